//! Questions to a person. Each has a flag, so that nobody has to be there.

use std::io;

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

/// The person at the terminal.
#[derive(Debug)]
pub struct Terminal;

impl Prompts for Terminal {
    fn line(&mut self, question: &str, default: Option<&str>) -> io::Result<String> {
        let input = dialoguer::Input::<String>::new().with_prompt(question).allow_empty(true);
        let input = match default {
            Some(default) => input.default(default.to_owned()),
            None => input,
        };
        input.interact_text().map_err(into_io)
    }

    fn passphrase(&mut self, question: &str) -> io::Result<Passphrase> {
        let typed = dialoguer::Password::new().with_prompt(question).allow_empty_password(true).interact();
        typed.map(Passphrase::new).map_err(into_io)
    }

    fn confirm(&mut self, question: &str) -> io::Result<bool> {
        dialoguer::Confirm::new().with_prompt(question).default(false).interact().map_err(into_io)
    }
}

fn into_io(error: dialoguer::Error) -> io::Error {
    match error {
        dialoguer::Error::IO(error) => error,
    }
}
