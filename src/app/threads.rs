//! Threads, where the system gives few of them (`ulimit -u`, a cgroup's pids.max): work then goes on in one.

use std::sync::{OnceLock, RwLock};
use std::thread;

use rayon::ThreadPoolBuilder;

/// How many threads beside one for each core may run: for writing, recording and syncing, and for the terminal.
const SPARE: usize = 4;
/// The stack of a thread that is only tried, in bytes.
const STACK: usize = 64 * 1024;

static SCARCE: OnceLock<bool> = OnceLock::new();

/// Returns true when the system gives fewer threads than a use case may need.
///
/// The first call decides, and makes rayon work in the calling thread then: its own pool panics where it cannot be made.
pub fn are_scarce() -> bool {
    *SCARCE.get_or_init(|| {
        let scarce = !can_be_had(rayon::max_num_threads().min(cores()) + SPARE);
        if scarce {
            // It only fails where a pool exists already, and then there were threads.
            let _ = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
        }
        scarce
    })
}

/// Returns true when the system does not give one thread for each core now.
#[must_use]
pub fn are_used_up() -> bool {
    !can_be_had(cores())
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Returns true when `count` threads can run at the same time.
fn can_be_had(count: usize) -> bool {
    let gate = RwLock::new(());
    thread::scope(|scope| {
        let closed = gate.write();
        let all = (0..count).all(|_| {
            let wait = || drop(gate.read());
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, wait).is_ok()
        });
        drop(closed);
        all
    })
}
