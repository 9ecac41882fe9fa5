//! Shows the reports of a use case on the terminal, and stops the use case after a signal.

use super::context::Context;
use super::notices;
use super::process::Stop;
use crate::app::{Cancellation, Notice, Observer, Progress, Task};
use crate::ui::{self, Screen};

/// The observer of a command.
pub struct TerminalObserver<'c, 'w> {
    screen: &'c mut Screen<'w>,
    stop: &'c Stop,
}

impl<'w> Context<'w> {
    /// Returns an observer that shows notices and progress on the terminal.
    pub fn observer(&mut self) -> TerminalObserver<'_, 'w> {
        TerminalObserver { screen: &mut self.screen, stop: &self.stop }
    }
}

impl Observer for TerminalObserver<'_, '_> {
    fn notice(&mut self, notice: Notice) {
        notices::show(&notice, self.screen);
    }

    fn progress(&self, task: Task, total: u64) -> Box<dyn Progress> {
        let label = match task {
            Task::Checking => "checking",
            Task::Issuing => "issuing",
            Task::Packing => "packing",
            Task::Verifying => "verifying",
        };
        Box::new(self.screen.progress(label, total))
    }

    fn cancellation(&self) -> Cancellation {
        self.stop.cancellation()
    }

    fn defer_interrupts(&self) {
        self.stop.listen();
    }
}

impl Progress for ui::Progress {
    fn add(&self, count: u64) {
        Self::add(self, count);
    }

    fn set(&self, completed: u64, total: u64) {
        Self::set(self, completed, total);
    }
}
