//! Long work in batches: while one is being written, the next is being made on all cores. What is made is written in order,
//! and at most two made batches wait, so that memory does not grow with the work.

use std::sync::mpsc::sync_channel;
use std::thread;

use super::context::Context;

/// Makes and writes `work` in batches of `size`; returns how many of its items were written. `told` says what to tell of
/// that many when somebody asked us to stop: what was made by then is written first.
///
/// # Errors
/// The first that `write` or `make` meets, in the order of the work; what was written before it is whole. Or that we were
/// asked to stop.
pub(super) fn in_batches<T: Sync, M: Send>(
    work: &[T],
    size: usize,
    context: &Context<'_>,
    make: impl Fn(&[T]) -> anyhow::Result<Vec<M>>,
    mut write: impl FnMut(&[T], Vec<M>) -> anyhow::Result<()> + Send,
    told: impl Fn(usize) -> String,
) -> anyhow::Result<usize> {
    context.stop.listen();
    thread::scope(|scope| {
        let (sender, made) = sync_channel::<(&[T], Vec<M>)>(1);
        let writer = scope.spawn(move || {
            let mut written = 0;
            for (batch, made) in made {
                write(batch, made)?;
                written += batch.len();
            }
            anyhow::Ok(written)
        });
        let mut batches = work.chunks(size);
        let stopped = loop {
            if context.stop.asked() {
                break Ok(());
            }
            let Some(batch) = batches.next() else { break Ok(()) };
            let made = match make(batch) {
                Ok(made) => made,
                Err(error) => break Err(error),
            };
            // The writer is gone only when it failed, and its own error is told below.
            if sender.send((batch, made)).is_err() {
                break Ok(());
            }
        };
        drop(sender);
        let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        stopped?;
        if written < work.len() {
            context.go_on(|| told(written))?;
        }
        Ok(written)
    })
}
