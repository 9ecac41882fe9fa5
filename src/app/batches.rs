//! Runs long work in batches, in three concurrent steps: make, stage, commit.
//!
//! While one batch is committed to the disk, the next is written to files or recorded, and the one after it is made on
//! all cores, so no core waits for the disk. All three steps keep the order of the work. At most two made batches wait,
//! so memory does not grow with the work. The first batches are small, so that results are saved early; the last
//! batches are small, so that little remains to be committed after the last one was made.

use std::ops::RangeInclusive;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::observer::Cancellation;
use super::threads;

/// The size of the first batch. Each following batch is twice as large as the previous one, up to the limit.
const FIRST: usize = 128;

/// The approximate number of batches, within the limits of their size.
const COUNT: usize = 48;

/// The number of made batches that may wait. With only one, no batch would be made while the disk is slow.
const WAITING: usize = 2;

/// Returns the largest size of a batch for `work` items, within `bounds`.
///
/// Names and digests are not ordered, so each batch changes pages in all parts of a folder or an index, and each sync
/// writes all of them again. With small batches, the bytes written would grow with the square of the work.
pub(crate) fn batch_size(work: usize, bounds: RangeInclusive<usize>) -> usize {
    (work / COUNT).clamp(*bounds.start(), *bounds.end())
}

/// Errors of a batch.
#[derive(Debug)]
pub(crate) enum Interrupt<E> {
    /// A stop was requested. Nothing of the batch was written, so it can be dropped.
    Cancelled,
    /// The batch could not be made.
    Failed(E),
}

impl<E> From<E> for Interrupt<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

/// Makes, stages and commits `work` in batches of at most `size`, and returns the number of committed items.
///
/// All items are committed unless a stop is requested. In that case, staged batches are committed, and no new batch
/// starts.
///
/// # Errors
/// Returns the first error of `commit`, `stage` or `make`, in the order of the batches. What was committed before is
/// complete.
pub(crate) fn in_batches<T: Sync, M: Send, S: Send, E: Send>(
    work: &[T],
    size: usize,
    cancellation: &Cancellation,
    make: impl Fn(&[T]) -> Result<Vec<M>, Interrupt<E>>,
    mut stage: impl FnMut(&[T], Vec<M>) -> Result<S, E> + Send,
    mut commit: impl FnMut(&[T], S) -> Result<(), E> + Send,
) -> Result<usize, E> {
    if threads::are_scarce() {
        return one_after_another(work, size, cancellation, make, stage, commit);
    }
    thread::scope(|scope| {
        let (to_stage, made) = sync_channel::<(&[T], Vec<M>)>(WAITING);
        // No batch may wait here, so that a crash leaves as few recorded certificates without files as possible.
        let (to_commit, staged) = sync_channel::<(&[T], S)>(0);
        let stager = scope.spawn(move || {
            for (batch, made) in made {
                if cancellation.is_cancelled() {
                    break;
                }
                let staged = stage(batch, made)?;
                // The receiver is gone only after a failure, which is returned below.
                if to_commit.send((batch, staged)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let committer = scope.spawn(move || {
            let mut committed = 0;
            for (batch, staged) in staged {
                commit(batch, staged)?;
                committed += batch.len();
            }
            Ok(committed)
        });
        let mut batches = Batches::of(work, size);
        let stopped = loop {
            let Some(batch) = batches.next().filter(|_| !cancellation.is_cancelled()) else { break Ok(()) };
            let made = match make(batch) {
                Ok(made) => made,
                Err(Interrupt::Cancelled) => break Ok(()),
                Err(Interrupt::Failed(error)) => break Err(error),
            };
            // The receiver is gone only after a failure, or when a stop was requested.
            if to_stage.send((batch, made)).is_err() {
                break Ok(());
            }
        };
        drop(to_stage);
        let staged: Result<(), E> = stager.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let committed: Result<usize, E> = committer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let committed = committed?;
        staged?;
        stopped?;
        Ok(committed)
    })
}

/// Like [`in_batches`], but in this thread only.
fn one_after_another<T, M, S, E>(
    work: &[T],
    size: usize,
    cancellation: &Cancellation,
    make: impl Fn(&[T]) -> Result<Vec<M>, Interrupt<E>>,
    mut stage: impl FnMut(&[T], Vec<M>) -> Result<S, E>,
    mut commit: impl FnMut(&[T], S) -> Result<(), E>,
) -> Result<usize, E> {
    let mut committed = 0;
    for batch in Batches::of(work, size) {
        if cancellation.is_cancelled() {
            break;
        }
        let made = match make(batch) {
            Err(Interrupt::Cancelled) => break,
            Err(Interrupt::Failed(error)) => return Err(error),
            Ok(made) => made,
        };
        let staged = stage(batch, made)?;
        commit(batch, staged)?;
        committed += batch.len();
    }
    Ok(committed)
}

/// An iterator over the batches of the work: small at the beginning, larger, and small again at the end.
struct Batches<'a, T> {
    rest: &'a [T],
    allowed: usize,
    size: usize,
}

impl<'a, T> Batches<'a, T> {
    fn of(work: &'a [T], size: usize) -> Self {
        Self { rest: work, allowed: FIRST, size }
    }
}

impl<'a, T> Iterator for Batches<'a, T> {
    type Item = &'a [T];

    fn next(&mut self) -> Option<&'a [T]> {
        let next = self.allowed.min(self.size).min((self.rest.len() / 2).max(FIRST)).min(self.rest.len());
        let (batch, rest) = self.rest.split_at(next);
        (self.rest, self.allowed) = (rest, next * 2);
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_with_the_work_within_their_bounds() {
        for (work, size) in [(0, 1024), (10_000, 1024), (60_000, 1250), (100_000, 2048), (usize::MAX, 2048)] {
            assert_eq!(batch_size(work, 1024..=2048), size, "{work}");
        }
    }
}
