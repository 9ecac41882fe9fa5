//! Questions to a person. Each has a flag, so that nobody has to be there.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::pki::passphrase::Passphrase;

/// Whoever answers questions.
pub trait Prompts {
    /// A line of text; Enter alone takes the default.
    ///
    /// # Errors
    /// When the terminal is gone or the person gives up.
    fn line(&mut self, question: &str, default: Option<&str>) -> io::Result<String>;

    /// A passphrase, not shown while it is typed.
    ///
    /// # Errors
    /// When the terminal is gone or the person gives up.
    fn passphrase(&mut self, question: &str) -> io::Result<Passphrase>;

    /// Yes or no.
    ///
    /// # Errors
    /// When the terminal is gone or the person gives up.
    fn confirm(&mut self, question: &str) -> io::Result<bool>;
}

/// Gives the terminal back as it was.
pub type Restore = Box<dyn Fn() + Send>;

/// Whoever knows of signals.
pub trait Interrupts {
    /// From here on a signal that ends the process runs `restore` first.
    fn restore_first(&self, restore: Restore);

    /// Returns unless such a signal has come.
    fn end_if_told(&self);
}

/// The person at the terminal.
pub struct Terminal {
    interrupts: Box<dyn Interrupts>,
    /// How the terminal was before the question that is open.
    before: Option<Arc<Mutex<Option<Termios>>>>,
}

impl Terminal {
    /// Where `interrupts` may end a question.
    #[must_use]
    pub fn new(interrupts: Box<dyn Interrupts>) -> Self {
        Self { interrupts, before: None }
    }

    /// Asks, so that the terminal is as it was whatever the answer is, Ctrl-C too.
    fn ask<T>(&mut self, question: impl FnOnce() -> T) -> T {
        let before = self.before.get_or_insert_with(|| {
            let before: Arc<Mutex<Option<Termios>>> = Arc::default();
            let of_watch = Arc::clone(&before);
            self.interrupts.restore_first(Box::new(move || restore(&of_watch)));
            before
        });
        *unpoisoned(before) = tcgetattr(io::stdin()).ok();
        let answer = question();
        self.interrupts.end_if_told();
        *unpoisoned(before) = None;
        answer
    }
}

fn restore(before: &Mutex<Option<Termios>>) {
    if let Some(before) = unpoisoned(before).take() {
        // The process ends in any case.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        let _ = io::stderr().write_all(SHOW_CURSOR);
    }
}

/// DECTCEM, and an end for the question's line.
const SHOW_CURSOR: &[u8] = b"\x1b[?25h\n";

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Prompts for Terminal {
    fn line(&mut self, question: &str, default: Option<&str>) -> io::Result<String> {
        let input = dialoguer::Input::<String>::new().with_prompt(question).allow_empty(true);
        let input = match default {
            Some(default) => input.default(default.to_owned()),
            None => input,
        };
        self.ask(|| input.interact_text()).map_err(into_io)
    }

    fn passphrase(&mut self, question: &str) -> io::Result<Passphrase> {
        let password = dialoguer::Password::new().with_prompt(question).allow_empty_password(true);
        let typed = self.ask(|| password.interact());
        typed.map(Passphrase::new).map_err(into_io)
    }

    fn confirm(&mut self, question: &str) -> io::Result<bool> {
        let confirm = dialoguer::Confirm::new().with_prompt(question).default(false);
        self.ask(|| confirm.interact()).map_err(into_io)
    }
}

fn into_io(error: dialoguer::Error) -> io::Error {
    match error {
        dialoguer::Error::IO(error) => error,
    }
}
