//! From an error to what a person reads and what a script sees: what, why, what to do, and the exit status. The one
//! place that walks an error's chain.

use std::error::Error as StdError;
use std::fmt;

use crate::pki::issuer::IssueError;
use crate::pki::key::KeyError;
use crate::store::ca::CaError;
use crate::store::error::StoreError;
use crate::ui::ErrorReport;

/// How the program ends. The numbers are part of its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or everything proven.
    Done,
    /// `verify`: something failed or could not be proven.
    Unproven,
    /// Wrong usage, or an unreadable or invalid cluster file.
    Usage,
    /// Refused: it exists, it was declined, a passphrase is wrong.
    Refused,
    /// The environment: I/O, no network at all.
    Environment,
    /// A bug of ours.
    Bug,
}

impl Exit {
    /// The process's exit status.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unproven => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Environment => 4,
            Self::Bug => 70,
        }
    }
}

/// A failure that a command words itself: what could not be done, how the program ends, and what to do about it.
#[derive(Debug)]
pub struct CliError {
    what: String,
    exit: Exit,
    hint: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl CliError {
    /// A failure in one sentence, without a full stop.
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { what: what.into(), exit, hint: None, cause: None }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Why.
    #[must_use]
    pub fn because(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl StdError for CliError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// Walks the chain of `error`: what a person is told, and how the program ends. Sentences that only repeat the one before
/// are left out.
#[must_use]
pub fn tell(error: &anyhow::Error) -> (ErrorReport, Exit) {
    let mut causes: Vec<String> = Vec::new();
    let mut last = error.to_string();
    for link in error.chain().skip(1) {
        let sentence = link.to_string();
        if !last.contains(&sentence) {
            causes.push(sentence.clone());
            last = sentence;
        }
    }
    let hint = error.chain().find_map(hint_of);
    (ErrorReport { error: error.to_string(), causes, hint }, error.chain().find_map(exit_of).unwrap_or(Exit::Bug))
}

/// An error and what is behind it, on one line.
#[must_use]
pub fn in_full(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut link = error.source();
    while let Some(cause) = link {
        text.push_str(&format!(": {cause}"));
        link = cause.source();
    }
    text
}

/// The exit status of an error of ours. An error of none of these kinds is a bug.
fn exit_of(link: &(dyn StdError + 'static)) -> Option<Exit> {
    if let Some(failure) = link.downcast_ref::<CliError>() {
        return Some(failure.exit);
    }
    if let Some(error) = link.downcast_ref::<StoreError>() {
        return Some(match error {
            StoreError::Exists(_) | StoreError::InTheWay(_) => Exit::Refused,
            StoreError::Io { .. }
            | StoreError::Missing(_)
            | StoreError::TooLarge { .. }
            | StoreError::Locked { .. }
            | StoreError::LedgerMissing(_)
            | StoreError::LedgerEmpty(_)
            | StoreError::LedgerDamaged { .. }
            | StoreError::LedgerForeign { .. }
            | StoreError::LedgerNewer { .. }
            | StoreError::LedgerLocked { .. }
            | StoreError::Ledger { .. } => Exit::Environment,
        });
    }
    if let Some(error) = link.downcast_ref::<CaError>() {
        return Some(match error {
            CaError::Store(error) => return exit_of(error),
            CaError::Key { .. }
            | CaError::KeyMissing(_)
            | CaError::CertificateMissing(_)
            | CaError::None(_)
            | CaError::Pem { .. }
            | CaError::Several { .. }
            | CaError::Certificate { .. } => Exit::Refused,
        });
    }
    if let Some(error) = link.downcast_ref::<IssueError>() {
        return Some(match error {
            IssueError::Flawed { .. } => Exit::Refused,
            IssueError::Key(KeyError::NoRandomness) => Exit::Environment,
            IssueError::Key(_)
            | IssueError::Certificate(_)
            | IssueError::Encode(_)
            | IssueError::List(_)
            | IssueError::OtherList => Exit::Bug,
        });
    }
    link.downcast_ref::<std::io::Error>().map(|_| Exit::Environment)
}

fn hint_of(link: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(failure) = link.downcast_ref::<CliError>() {
        return failure.hint.clone();
    }
    if let Some(error) = link.downcast_ref::<StoreError>() {
        return error.hint();
    }
    if let Some(error) = link.downcast_ref::<CaError>() {
        return match error {
            CaError::Store(error) => error.hint(),
            CaError::KeyMissing(path) => {
                Some(format!("bring it back to {path} for as long as you issue; it may be kept elsewhere in between"))
            }
            CaError::CertificateMissing(path) => {
                Some(format!("put the root's own certificate back in {path}, from a backup or a bundle"))
            }
            CaError::None(_) => Some("create it with: clusterctl init-ca".to_owned()),
            CaError::Key { source, .. } => key_hint(source),
            CaError::Pem { path, .. } | CaError::Certificate { path, .. } | CaError::Several { path, .. } => {
                Some(format!("put the root's own certificate back in {path}, from a backup or a bundle"))
            }
        };
    }
    None
}

fn key_hint(error: &KeyError) -> Option<String> {
    match error {
        KeyError::PassphraseNeeded => {
            Some("give it with --ca-passphrase-file FILE or CLUSTERCTL_CA_PASSPHRASE, or run on a terminal".to_owned())
        }
        KeyError::WrongPassphrase => Some("nothing was changed; try again with the right one".to_owned()),
        KeyError::Pem(_) | KeyError::NoKey | KeyError::Foreign | KeyError::Damaged | KeyError::Encryption(_) => {
            Some("put the root's own key back, from a backup".to_owned())
        }
        KeyError::NoRandomness => None,
    }
}
