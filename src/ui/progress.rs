//! Progress bars: shown on a terminal only, and only for work that takes a while.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The time after which a bar appears.
const DELAY: Duration = Duration::from_millis(500);

/// A bar that appears after half a second on a terminal. Threads may share it.
pub struct Progress {
    bar: ProgressBar,
    hidden_until: Mutex<Option<Instant>>,
}

impl Progress {
    pub(super) fn new(label: &'static str, total: u64, shown: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {human_pos}/{human_len} {per_sec:0}, {eta} left");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(label);
        Self { bar, hidden_until: Mutex::new(shown.then(|| Instant::now() + DELAY)) }
    }

    /// Adds `count` completed items.
    pub fn add(&self, count: u64) {
        self.appear();
        self.bar.inc(count);
    }

    /// Sets the number of completed items, and of all.
    pub fn set(&self, completed: u64, total: u64) {
        self.appear();
        self.bar.set_length(total);
        self.bar.set_position(completed);
    }

    fn appear(&self) {
        let Ok(mut hidden_until) = self.hidden_until.lock() else { return };
        if hidden_until.is_some_and(|when| Instant::now() >= when) {
            *hidden_until = None;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
