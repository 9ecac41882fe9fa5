//! Long work in batches, in three steps: while one batch settles on the disk, the next is being laid into files, or recorded where
//! it has to be, and the one after it is being made on all cores, so that no core waits for the disk. All three go in the
//! order of the work, and at most two made batches wait, so that memory does not grow with the work. The first batches are small,
//! so that there is soon something to keep, and the last ones too, so that little is left to settle when all is made.

use std::ops::RangeInclusive;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::context::Context;
use super::threads;

/// The first batch; each is twice as large as the one before, as far as allowed.
const FIRST: usize = 128;

/// Work is cut into about so many batches, as far as their bounds allow.
const OF_MUCH: usize = 48;

/// So many batches that were made may wait: with one alone, whoever makes them sleeps while the disk takes long over another.
const WAITING: usize = 2;

/// How large the batches of so much work may be, within these bounds: names and digests come in no order, so that each batch
/// touches a folder or an index everywhere, and each sync writes all of it again. What there is of them grows with the work; with
/// batches that stay small the writing grows with its square.
pub(super) fn batch_size(work: usize, bounds: RangeInclusive<usize>) -> usize {
    (work / OF_MUCH).clamp(*bounds.start(), *bounds.end())
}

/// What making a part of a batch ends with when somebody asked us to stop: nothing of that batch was laid yet, and nobody
/// knows of it, so that it can be dropped.
#[derive(Debug, thiserror::Error)]
#[error("stopped on request")]
pub(super) struct Stopped;

/// Makes, lays and settles `work` in batches of at most `size`; returns how many of its items were settled. `told` says what
/// to tell of that many when somebody asked us to stop: what is laid by then is settled first, and nothing else is
/// begun. `make` may end with [`Stopped`] then.
///
/// # Errors
/// The first that `settle`, `lay` or `make` meets, in the order of the batches; what was settled before it is whole. Or that we
/// were asked to stop.
pub(super) fn in_batches<T: Sync, M: Send, L: Send>(
    work: &[T],
    size: usize,
    context: &Context<'_>,
    make: impl Fn(&[T]) -> anyhow::Result<Vec<M>>,
    mut lay: impl FnMut(&[T], Vec<M>) -> anyhow::Result<L> + Send,
    mut settle: impl FnMut(&[T], L) -> anyhow::Result<()> + Send,
    told: impl Fn(usize) -> String,
) -> anyhow::Result<usize> {
    context.stop.listen();
    if threads::are_scarce() {
        return one_after_another(work, size, context, make, lay, settle, told);
    }
    thread::scope(|scope| {
        let (to_lay, made) = sync_channel::<(&[T], Vec<M>)>(WAITING);
        // None waits here: what a crash leaves recorded and not in its place shall be little.
        let (to_settle, laid) = sync_channel::<(&[T], L)>(0);
        let stop = context.stop.clone();
        let layer = scope.spawn(move || {
            for (batch, made) in made {
                if stop.asked() {
                    break;
                }
                let laid = lay(batch, made)?;
                // Whoever settles is gone only after a failure, which is told below.
                if to_settle.send((batch, laid)).is_err() {
                    break;
                }
            }
            anyhow::Ok(())
        });
        let settler = scope.spawn(move || {
            let mut settled = 0;
            for (batch, laid) in laid {
                settle(batch, laid)?;
                settled += batch.len();
            }
            anyhow::Ok(settled)
        });
        let mut batches = Batches::of(work, size);
        let stopped = loop {
            let Some(batch) = batches.next().filter(|_| !context.stop.asked()) else { break Ok(()) };
            let made = match make(batch) {
                Ok(made) => made,
                Err(error) if error.is::<Stopped>() => break Ok(()),
                Err(error) => break Err(error),
            };
            // Whoever lays is gone only when it or the last step failed, or when we were asked to stop.
            if to_lay.send((batch, made)).is_err() {
                break Ok(());
            }
        };
        drop(to_lay);
        let laid = layer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let settled = settler.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        laid?;
        stopped?;
        if settled < work.len() {
            context.go_on(|| told(settled))?;
        }
        Ok(settled)
    })
}

/// As [`in_batches`], in this thread alone.
fn one_after_another<T, M, L>(
    work: &[T],
    size: usize,
    context: &Context<'_>,
    make: impl Fn(&[T]) -> anyhow::Result<Vec<M>>,
    mut lay: impl FnMut(&[T], Vec<M>) -> anyhow::Result<L>,
    mut settle: impl FnMut(&[T], L) -> anyhow::Result<()>,
    told: impl Fn(usize) -> String,
) -> anyhow::Result<usize> {
    let mut settled = 0;
    for batch in Batches::of(work, size) {
        if context.stop.asked() {
            break;
        }
        let made = match make(batch) {
            Err(error) if error.is::<Stopped>() => break,
            made => made?,
        };
        let laid = lay(batch, made)?;
        settle(batch, laid)?;
        settled += batch.len();
    }
    if settled < work.len() {
        context.go_on(|| told(settled))?;
    }
    Ok(settled)
}

/// Work cut into batches: small ones, larger ones, and small ones again.
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
