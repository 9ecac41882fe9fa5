//! The error of a command: what failed, why, what to do, and the exit status.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::exit::{self, Exit};
use super::remedies;
use crate::app;
use crate::pki::issuer::IssueError;
use crate::store::ca::CaError;
use crate::store::error::StoreError;
use crate::ui::ErrorReport;

/// An error of a command, with its causes, the exit status, and remedies.
#[derive(Debug)]
pub struct CliError {
    exit: Exit,
    hint: Option<String>,
    /// The error; its chain has the causes.
    error: anyhow::Error,
}

/// The result of a command or of one of its steps.
pub type Result<T, E = CliError> = std::result::Result<T, E>;

impl CliError {
    /// Returns an error in one sentence, without a full stop.
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, hint: None, error: anyhow::Error::msg(what.into()) }
    }

    /// Adds a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.error = anyhow::Error::new(cause).context(self.error.to_string());
        self
    }

    /// Like [`Self::because`], for an error of a command.
    #[must_use]
    pub fn because_of(mut self, cause: Self) -> Self {
        self.error = cause.error.context(self.error.to_string());
        self
    }

    /// Returns the exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns the error as text for the user.
    ///
    /// Causes that only repeat the previous sentence are left out. If the error itself has no hint, the first hint of
    /// its causes is used.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let mut causes: Vec<String> = Vec::new();
        let mut last = self.error.to_string();
        for link in self.error.chain().skip(1) {
            let sentence = link.to_string();
            if !last.contains(&sentence) {
                causes.push(sentence.clone());
                last = sentence;
            }
        }
        let hint = self.hint.clone().or_else(|| self.error.chain().find_map(remedies::of_cause));
        ErrorReport { error: self.error.to_string(), causes, hint }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

/// An error of the layers below, which [`exit::of`] and [`remedies::of`] can convert.
trait UseCaseError: Into<app::Error> {}

impl UseCaseError for app::Error {}
impl UseCaseError for app::admin::AdminError {}
impl UseCaseError for app::ca::CreateCaError {}
impl UseCaseError for app::ca::ImportCaError {}
impl UseCaseError for app::DirectoryError {}
impl UseCaseError for app::init::InitError {}
impl UseCaseError for app::history::HistoryError {}
impl UseCaseError for app::input::InputError {}
impl UseCaseError for app::verify::VerifyError {}
impl UseCaseError for app::policy::PolicyError {}
impl UseCaseError for app::inspect::InspectError {}
impl UseCaseError for app::package::PackageError {}
impl UseCaseError for app::package::OpenBundleError {}
impl UseCaseError for app::package::TemplatesError {}
impl UseCaseError for app::issue::IssuanceError {}
impl UseCaseError for app::enrol::join::JoinError {}
impl UseCaseError for app::enrol::tokens::JoinTokenError {}
impl UseCaseError for app::request::RequestError {}
impl UseCaseError for app::revoke::RevokeError {}
impl UseCaseError for app::sign::SignError {}
impl UseCaseError for app::status::StatusError {}
impl UseCaseError for CaError {}
impl UseCaseError for IssueError {}
impl UseCaseError for StoreError {}

impl<E: UseCaseError> From<E> for CliError {
    fn from(error: E) -> Self {
        let error: app::Error = error.into();
        Self { exit: exit::of(&error), hint: remedies::of(&error), error: error.into() }
    }
}

/// Returns a function that converts the error of an unanswered prompt: end of input, or an interrupt.
pub(crate) fn no_answer(what: impl Into<String>) -> impl FnOnce(io::Error) -> CliError {
    |error| CliError::new(Exit::Environment, what).because(error)
}

/// Returns the error for a command that cannot run in one thread.
#[must_use]
pub fn too_few_threads() -> CliError {
    CliError::new(Exit::Environment, "the system permits this process too few threads")
        .hint("raise the limit of processes (ulimit -u, RLIMIT_NPROC, or the cgroup's pids.max)")
}
