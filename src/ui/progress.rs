//! Progress bars: only for a person, and only for work that takes a while.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter work shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// A bar that appears after half a second, if anybody watches. Threads may share it.
pub struct Progress {
    bar: ProgressBar,
    hidden_until: Mutex<Option<Instant>>,
}

impl Progress {
    pub(super) fn new(what: &'static str, total: u64, watched: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {human_pos}/{human_len} {per_sec:0}, {eta} left");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        Self { bar, hidden_until: Mutex::new(watched.then(|| Instant::now() + PATIENCE)) }
    }

    /// `count` more are done.
    pub fn add(&self, count: u64) {
        self.appear();
        self.bar.inc(count);
    }

    /// So many of so many are done.
    pub fn at(&self, done: usize, total: usize) {
        self.appear();
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
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
