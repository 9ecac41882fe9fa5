//! Long work in batches, in three steps: while one batch is being written, the next is being recorded and the one after it is
//! being made on all cores, so that neither the disk nor a core waits for the other. All three go in the order of the work, and
//! at most one made batch waits, so that memory does not grow with the work. The first batches are small, so that
//! there is soon something to keep, and the last ones too, so that little is left to be written when all is made.

use std::sync::mpsc::sync_channel;
use std::thread;

use super::context::Context;

/// The first batch; each is twice as large as the one before, as far as allowed.
const FIRST: usize = 128;

/// What making a part of a batch ends with when somebody asked us to stop: nothing of that batch was written yet, and nobody
/// knows of it, so that it can be dropped.
#[derive(Debug, thiserror::Error)]
#[error("stopped on request")]
pub(super) struct Stopped;

/// Makes, records and writes `work` in batches of at most `size`; returns how many of its items were written. `told` says what
/// to tell of that many when somebody asked us to stop: what is recorded by then is written first, and nothing else is
/// begun. `make` may end with [`Stopped`] then.
///
/// # Errors
/// The first that `write`, `record` or `make` meets, in the order of the work; what was written before it is whole. Or that we
/// were asked to stop.
pub(super) fn in_batches<T: Sync, M: Send>(
    work: &[T],
    size: usize,
    context: &Context<'_>,
    make: impl Fn(&[T]) -> anyhow::Result<Vec<M>>,
    mut record: impl FnMut(&[M]) -> anyhow::Result<()> + Send,
    mut write: impl FnMut(&[T], Vec<M>) -> anyhow::Result<()> + Send,
    told: impl Fn(usize) -> String,
) -> anyhow::Result<usize> {
    context.stop.listen();
    thread::scope(|scope| {
        let (to_record, made) = sync_channel::<(&[T], Vec<M>)>(1);
        // None waits here: what a crash leaves recorded and unwritten shall be little.
        let (to_write, recorded) = sync_channel::<(&[T], Vec<M>)>(0);
        let stop = context.stop.clone();
        let recorder = scope.spawn(move || {
            for (batch, made) in made {
                if stop.asked() {
                    break;
                }
                record(&made)?;
                // The writer is gone only when it failed, and its own error is told below.
                if to_write.send((batch, made)).is_err() {
                    break;
                }
            }
            anyhow::Ok(())
        });
        let writer = scope.spawn(move || {
            let mut written = 0;
            for (batch, made) in recorded {
                write(batch, made)?;
                written += batch.len();
            }
            anyhow::Ok(written)
        });
        let (mut rest, mut allowed) = (work, FIRST);
        let stopped = loop {
            if rest.is_empty() || context.stop.asked() {
                break Ok(());
            }
            let next = allowed.min(size).min((rest.len() / 4).max(FIRST)).min(rest.len());
            let batch;
            (batch, rest) = rest.split_at(next);
            allowed = next * 2;
            let made = match make(batch) {
                Ok(made) => made,
                Err(error) if error.is::<Stopped>() => break Ok(()),
                Err(error) => break Err(error),
            };
            // The recorder is gone only when it or the writer failed, or when we were asked to stop.
            if to_record.send((batch, made)).is_err() {
                break Ok(());
            }
        };
        drop(to_record);
        let recorded = recorder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        recorded?;
        stopped?;
        if written < work.len() {
            context.go_on(|| told(written))?;
        }
        Ok(written)
    })
}
