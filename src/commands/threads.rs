//! Threads, where the system gives few of them (`ulimit -u`, a cgroup's pids.max): work then goes on in one.

use std::sync::{OnceLock, RwLock};
use std::thread;

use rayon::ThreadPoolBuilder;

use crate::error::{CliError, Exit};

/// So many more than there are cores may be at work: those that write, record and sync, and the terminal's.
const SPARE: usize = 4;
/// What is tried needs no room.
const STACK: usize = 64 * 1024;

static SCARCE: OnceLock<bool> = OnceLock::new();

/// Returns true where fewer threads can be had than a command may use. The first call decides, and has rayon work in the calling
/// thread then: its own pool panics where it cannot be made.
pub fn are_scarce() -> bool {
    *SCARCE.get_or_init(|| {
        let scarce = !can_be_had(rayon::max_num_threads().min(cores()) + SPARE);
        if scarce {
            // Only where a pool exists already does it fail, and then there were threads.
            let _ = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
        }
        scarce
    })
}

/// Returns true where not even one thread more can be had now.
#[must_use]
pub fn are_used_up() -> bool {
    !can_be_had(cores())
}

/// The error for work that cannot go on in one thread.
#[must_use]
pub fn too_few() -> CliError {
    CliError::new(Exit::Environment, "the system gives this process too few threads")
        .hint("raise the limit of processes (ulimit -u, RLIMIT_NPROC, or the cgroup's pids.max)")
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Whether so many threads can be had at the same time.
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
