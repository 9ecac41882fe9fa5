//! Questions on a terminal. Every question has a flag that makes it unnecessary.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::pki::passphrase::Passphrase;

/// Asks questions.
pub trait Prompts {
    /// Asks for a line of text; Enter alone returns the default.
    ///
    /// # Errors
    /// Returns an error if the terminal is closed or the question is interrupted.
    fn line(&mut self, question: &str, default: Option<&str>) -> io::Result<String>;

    /// Asks for a passphrase, which is not shown while it is typed.
    ///
    /// # Errors
    /// Returns an error if the terminal is closed or the question is interrupted.
    fn passphrase(&mut self, question: &str) -> io::Result<Passphrase>;

    /// Asks for yes or no.
    ///
    /// # Errors
    /// Returns an error if the terminal is closed or the question is interrupted.
    fn confirm(&mut self, question: &str) -> io::Result<bool>;
}

/// Restores the terminal's settings.
pub type Restore = Box<dyn Fn() + Send>;

/// Handles signals while a question is open.
pub trait Interrupts {
    /// Runs `restore` before a signal ends the process, from now on.
    fn restore_first(&self, restore: Restore);

    /// Ends the process if such a signal has arrived.
    fn end_if_signalled(&self);
}

/// Questions on the terminal of this process.
pub struct Terminal {
    interrupts: Box<dyn Interrupts>,
    /// The terminal's settings before the open question.
    before: Option<Arc<Mutex<Option<Termios>>>>,
}

impl Terminal {
    /// Returns a terminal on which `interrupts` may end a question.
    #[must_use]
    pub fn new(interrupts: Box<dyn Interrupts>) -> Self {
        Self { interrupts, before: None }
    }

    /// Asks a question, and restores the terminal's settings after any answer, Ctrl-C included.
    fn ask<T>(&mut self, question: impl FnOnce() -> T) -> T {
        let before = self.before.get_or_insert_with(|| {
            let before: Arc<Mutex<Option<Termios>>> = Arc::default();
            let shared = Arc::clone(&before);
            self.interrupts.restore_first(Box::new(move || restore(&shared)));
            before
        });
        *lock_unpoisoned(before) = tcgetattr(io::stdin()).ok();
        let answer = question();
        self.interrupts.end_if_signalled();
        *lock_unpoisoned(before) = None;
        answer
    }
}

fn restore(before: &Mutex<Option<Termios>>) {
    if let Some(before) = lock_unpoisoned(before).take() {
        // The process ends in any case.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        let _ = io::stderr().write_all(SHOW_CURSOR);
    }
}

/// DECTCEM, and the end of the question's line.
const SHOW_CURSOR: &[u8] = b"\x1b[?25h\n";

fn lock_unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
        // A whole line: the library's own question takes a single key, and ignores those that it does not know.
        let input = dialoguer::Input::<String>::new().with_prompt(format!("{question} [y/N]")).allow_empty(true);
        let typed = self.ask(|| input.interact_text()).map_err(into_io)?;
        Ok(["y", "yes"].iter().any(|yes| typed.trim().eq_ignore_ascii_case(yes)))
    }
}

fn into_io(error: dialoguer::Error) -> io::Error {
    match error {
        dialoguer::Error::IO(error) => error,
    }
}
