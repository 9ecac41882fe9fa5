//! Long work in batches: while one is being written, the next is being made on all cores. What is made is written in order,
//! and at most two made batches wait, so that memory does not grow with the work. The first batches are small, so that there
//! is soon something to keep.

use std::sync::mpsc::sync_channel;
use std::thread;

use super::context::Context;

/// The first batch; each is twice as large as the one before, as far as allowed.
const FIRST: usize = 128;

/// What making a part of a batch ends with when somebody asked us to stop: nothing of that batch was written yet, so that it
/// can be dropped.
#[derive(Debug, thiserror::Error)]
#[error("stopped on request")]
pub(super) struct Stopped;

/// Makes and writes `work` in batches of at most `size`; returns how many of its items were written. `told` says what to tell of
/// that many when somebody asked us to stop: whole batches that were made by then are written first. `make` may end with
/// [`Stopped`] then.
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
        let (mut rest, mut next) = (work, FIRST.min(size));
        let stopped = loop {
            if rest.is_empty() || context.stop.asked() {
                break Ok(());
            }
            let batch;
            (batch, rest) = rest.split_at(next.min(rest.len()));
            next = (next * 2).min(size);
            let made = match make(batch) {
                Ok(made) => made,
                Err(error) if error.is::<Stopped>() => break Ok(()),
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
