//! Passes on each notice only once, because several use cases examine the same directory.

use super::notice::Notice;
use super::observer::{Cancellation, Observer, Progress, Task};

/// An observer that passes on each notice only once, and everything else unchanged.
pub(super) struct Once<'o> {
    inner: &'o mut dyn Observer,
    seen: &'o mut Vec<Notice>,
}

impl<'o> Once<'o> {
    pub(super) fn new(inner: &'o mut dyn Observer, seen: &'o mut Vec<Notice>) -> Self {
        Self { inner, seen }
    }
}

impl Observer for Once<'_> {
    fn notice(&mut self, notice: Notice) {
        if !self.seen.contains(&notice) {
            self.inner.notice(notice.clone());
            self.seen.push(notice);
        }
    }

    fn progress(&self, task: Task, total: u64) -> Box<dyn Progress> {
        self.inner.progress(task, total)
    }

    fn cancellation(&self) -> Cancellation {
        self.inner.cancellation()
    }

    fn defer_interrupts(&self) {
        self.inner.defer_interrupts();
    }
}
