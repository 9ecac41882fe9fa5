//! The exit statuses for errors of enrolment.

#[cfg(feature = "server")]
use super::of_credential;
use super::{Exit, of_signing};
use crate::app::enrol::announce::AnnounceError;
use crate::app::enrol::join::JoinError;
#[cfg(feature = "server")]
use crate::app::enrol::serve::ServeError;
#[cfg(feature = "server")]
use crate::app::enrol::{DecisionError, SignerError};
#[cfg(feature = "server")]
use crate::mailbox::MailboxError;
#[cfg(feature = "server")]
use crate::server::{ServerError, bootstrap::BootstrapError};

#[cfg(feature = "server")]
pub(super) fn of_bootstrap(error: &BootstrapError) -> Exit {
    match error {
        BootstrapError::Damaged(_) => Exit::Refused,
        BootstrapError::Listen { .. } | BootstrapError::InUse(_) | BootstrapError::Tls(_) => Exit::Environment,
    }
}

#[cfg(feature = "server")]
pub(super) fn of_decision(error: &DecisionError) -> Exit {
    match error {
        DecisionError::Decided { .. }
        | DecisionError::Approved(_)
        | DecisionError::NoCertificate { .. }
        | DecisionError::NotCounted(_)
        | DecisionError::Decisions(_) => Exit::Refused,
        DecisionError::Ssh(_) => Exit::Usage,
    }
}

#[cfg(feature = "server")]
pub(super) fn of_signer(error: &SignerError) -> Exit {
    match error {
        SignerError::NotEnabled | SignerError::Mailbox(MailboxError::Kubeconfig(_) | MailboxError::Gone(_)) => {
            Exit::Usage
        }
        SignerError::Mailbox(error) if error.is_forbidden() => Exit::Refused,
        SignerError::Mailbox(MailboxError::Unreadable { .. }) => Exit::Refused,
        SignerError::Mailbox(
            MailboxError::Unreachable { .. }
            | MailboxError::Refused { .. }
            | MailboxError::Conflict(_)
            | MailboxError::Setup(_),
        )
        | SignerError::Standby(_)
        | SignerError::Thread(_) => Exit::Environment,
    }
}

#[cfg(feature = "server")]
pub(super) fn of_serve(error: &ServeError) -> Exit {
    match error {
        ServeError::SeveralMasters(_) | ServeError::UnknownMaster(_) => Exit::Usage,
        ServeError::NoCredential(_) | ServeError::Crl(_) => Exit::Refused,
        ServeError::Credential { problem, .. } => of_credential(std::slice::from_ref(problem.as_ref())),
        ServeError::InUse(_) => Exit::Environment,
        ServeError::Tls(_) => Exit::Refused,
        ServeError::Server(
            ServerError::Listen { .. } | ServerError::Queue(_) | ServerError::Threads(_) | ServerError::Tls(_),
        ) => Exit::Environment,
    }
}

pub(super) fn of_announcement(error: &AnnounceError) -> Exit {
    match error {
        AnnounceError::NoEndpoint | AnnounceError::NoEnrolment | AnnounceError::Credential { .. } => Exit::Usage,
        AnnounceError::NotAnAnnouncer { .. } | AnnounceError::Refused { .. } => Exit::Refused,
        AnnounceError::Https(_) => Exit::Environment,
        AnnounceError::Partly { source, .. } => of_announcement(source),
        AnnounceError::Sign(error) => of_signing(error),
        AnnounceError::Token(_) => Exit::Bug,
    }
}

pub(super) fn of_join(error: &JoinError) -> Exit {
    match error {
        JoinError::NoRoot(_) | JoinError::NoState(_) | JoinError::HostKey(_) => Exit::Usage,
        JoinError::State(_)
        | JoinError::OtherCluster { .. }
        | JoinError::OtherHost { .. }
        | JoinError::UnknownCluster(_)
        | JoinError::Record { .. }
        | JoinError::NotAccepted { .. }
        | JoinError::NameTaken(_)
        | JoinError::NotAnAnswer { .. }
        | JoinError::Denied { .. }
        | JoinError::WrongCertificate { .. }
        | JoinError::Bundle { .. }
        | JoinError::OtherBundle { .. }
        | JoinError::Encrypted(_)
        | JoinError::Installer { .. }
        | JoinError::NoProof(_)
        | JoinError::RootReplaced(_)
        | JoinError::NoCertificate(_) => Exit::Refused,
        JoinError::Https(_)
        | JoinError::Unreachable { .. }
        | JoinError::Busy { .. }
        | JoinError::Clock { .. }
        | JoinError::Stopped
        | JoinError::Program { .. } => Exit::Environment,
        JoinError::StillWaiting(_) | JoinError::NoBundle { .. } => Exit::Waiting,
    }
}
