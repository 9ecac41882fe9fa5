//! Detects whether the system permits only few threads (`ulimit -u`, a cgroup's pids.max). Work then runs in one
//! thread.

use std::sync::{OnceLock, RwLock};
use std::thread;

use rayon::ThreadPoolBuilder;

/// The number of threads besides one for each core: for writing, recording and syncing, and for the terminal.
const SPARE: usize = 4;
/// The stack size of a thread that is started as a test, in bytes.
const STACK: usize = 64 * 1024;

static SCARCE: OnceLock<bool> = OnceLock::new();

/// Returns true if the system permits fewer threads than a use case may need.
///
/// The first call decides. If threads are scarce, it makes rayon work in the calling thread, because rayon panics if it
/// cannot start its global pool.
pub fn are_scarce() -> bool {
    *SCARCE.get_or_init(|| {
        let scarce = !can_start(rayon::max_num_threads().min(cores()) + SPARE);
        if scarce {
            // This only fails if a pool already exists, so there are threads.
            let _ = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
        }
        scarce
    })
}

/// Returns true if the system does not permit one thread for each core now.
#[must_use]
pub fn are_used_up() -> bool {
    !can_start(cores())
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Returns true if `count` threads can run at the same time.
fn can_start(count: usize) -> bool {
    let lock = RwLock::new(());
    thread::scope(|scope| {
        // The threads wait for the lock, so that all of them exist at the same time.
        let held = lock.write();
        let all = (0..count).all(|_| {
            let wait = || drop(lock.read());
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, wait).is_ok()
        });
        drop(held);
        all
    })
}
