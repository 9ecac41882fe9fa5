//! Work that waits for the disk most of the time, in more threads than there are cores.

use rayon::ThreadPoolBuilder;

/// Runs `work`, whose parallel iterators then use this number of threads. With fewer than `threads` items it uses the usual
/// number, because starting threads takes longer than that work.
pub fn in_threads<R: Send>(threads: usize, items: usize, work: impl FnOnce() -> R + Send) -> R {
    if items < threads {
        return work();
    }
    match ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(work),
        // Without more threads the work only takes longer.
        Err(_) => work(),
    }
}
