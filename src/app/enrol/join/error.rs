//! Errors of joining.

use std::path::PathBuf;

use time::OffsetDateTime;

use super::remedy::JoinRemedy;
use crate::bundle::archive::ArchiveError;
use crate::cluster::duration::stamp;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::enrol::record::RecordError;
use crate::https::HttpsError;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::ssh::SshError;

/// Errors of joining a cluster and of renewing a host's certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The root folder is not a folder.
    #[error("there is no folder {}", .0.display())]
    NoRoot(PathBuf),
    /// The host never joined.
    #[error("this host has not joined a cluster: there is no {}", .0.display())]
    NoState(PathBuf),
    /// The file with the host's state cannot be read.
    #[error("{} is damaged", .0.display())]
    State(PathBuf),
    /// The host joined another cluster.
    #[error("this host joined another cluster, {joined}")]
    OtherCluster {
        /// The id of that cluster.
        joined: String,
    },
    /// The host joined by another name.
    #[error("this host joined as {joined}, not as {asked}")]
    OtherHost {
        /// The name that it has.
        joined: HostName,
        /// The name that was given.
        asked: HostName,
    },
    /// The HTTPS client cannot be set up, or the request failed.
    #[error(transparent)]
    Https(HttpsError),
    /// No endpoint gave an answer.
    #[error("no {what} endpoint can be reached: {}", listed(.tried))]
    Unreachable {
        /// The kind of endpoint.
        what: &'static str,
        /// The endpoints, and what each did.
        tried: Vec<(Endpoint, String)>,
    },
    /// Endpoints answer, and accept nothing now.
    #[error("the {what} endpoint accepts nothing now: {}", listed(.tried))]
    Busy {
        /// The kind of endpoint.
        what: &'static str,
        /// The endpoints, and what each answered.
        tried: Vec<(Endpoint, String)>,
    },
    /// The certificate of an endpoint is not valid at the time of this host.
    #[error("{}; one of the two clocks is wrong, or the certificate has to be replaced", listed(.tried))]
    Clock {
        /// The endpoints, and what is wrong with each.
        tried: Vec<(Endpoint, String)>,
    },
    /// An endpoint has no record of the cluster.
    #[error("{0} does not know this cluster")]
    UnknownCluster(Endpoint),
    /// The record is not accepted.
    #[error("the record that {endpoint} gave is refused")]
    Record {
        /// The endpoint.
        endpoint: Endpoint,
        /// The reason.
        source: RecordError,
    },
    /// The SSH host key cannot sign.
    #[error("the SSH host key cannot sign")]
    HostKey(#[source] SshError),
    /// The endpoint did not accept a request.
    #[error("the request {name} was not accepted (HTTP {status}): {message}")]
    NotAccepted {
        /// The request.
        name: String,
        /// The HTTP status.
        status: u16,
        /// The endpoint's reason.
        message: String,
    },
    /// A request of this name is for another key.
    #[error("there is another request with the name {0}, for another key or signer")]
    NameTaken(String),
    /// The answer is not the requested object.
    #[error("{endpoint} gave no valid answer about {name}")]
    NotAnAnswer {
        /// The endpoint.
        endpoint: Endpoint,
        /// The request.
        name: String,
    },
    /// The request was denied, or the signer refused it.
    #[error("the request {name} was denied ({reason}): {message}")]
    Denied {
        /// The request.
        name: String,
        /// The reason in one word.
        reason: String,
        /// The reason as text.
        message: String,
    },
    /// Nothing was decided in time.
    #[error("nothing is decided yet about {}", .0.join(", "))]
    StillWaiting(Vec<String>),
    /// A stop was requested.
    #[error("stopped on request")]
    Stopped,
    /// The certificate is not the requested one.
    #[error("the certificate that was issued for {} is refused: {reason}", .profile.policy().name)]
    WrongCertificate {
        /// The profile.
        profile: Profile,
        /// The reason.
        reason: String,
    },
    /// There is no bundle for the host yet.
    #[error("{endpoint} has no bundle for this host yet: {reason}")]
    NoBundle {
        /// The endpoint.
        endpoint: Endpoint,
        /// The reason.
        reason: String,
    },
    /// The bundle cannot be read.
    #[error("the bundle that {endpoint} gave is refused")]
    Bundle {
        /// The endpoint.
        endpoint: Endpoint,
        /// The reason.
        source: ArchiveError,
    },
    /// The bundle is encrypted, and cannot be decrypted.
    #[error("the bundle of this host is encrypted: {0}")]
    Encrypted(String),
    /// The bundle is for another host or cluster.
    #[error("the bundle is for {host} of the cluster {pin}")]
    OtherBundle {
        /// The bundle's host.
        host: HostName,
        /// The pin of the bundle's root.
        pin: Fingerprint,
    },
    /// `install.sh` did not install the bundle.
    #[error("install.sh ended with status {status}: {output}")]
    Installer {
        /// Its exit status.
        status: i32,
        /// The end of its output.
        output: String,
    },
    /// A program cannot be run.
    #[error("{program} cannot be run: {reason}")]
    Program {
        /// The program.
        program: &'static str,
        /// The reason.
        reason: String,
    },
    /// The certificate has expired, and there is no other proof.
    #[error("the certificate of this host expired at {}, and no SSH host key is named that proves the host", stamp(*.0))]
    NoProof(OffsetDateTime),
    /// The root of the host's certificates was replaced, and nothing else proves the host.
    #[error("the root of this host's certificates was replaced ({}), and nothing else proves the host", .0.as_pin())]
    RootReplaced(Fingerprint),
    /// A certificate of the host is missing or damaged.
    #[error("the certificate {} is missing, or damaged", .0.display())]
    NoCertificate(PathBuf),
}

fn listed(tried: &[(Endpoint, String)]) -> String {
    let each: Vec<String> = tried.iter().map(|(endpoint, reason)| format!("{endpoint}: {reason}")).collect();
    each.join("; ")
}

/// The kind of failure of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// It answers that it accepts nothing now.
    Busy,
    /// Its certificate is not valid at the time of this host.
    Clock,
    /// It cannot be reached, or is not the right one.
    Unreachable,
}

/// Returns the error for endpoints that all failed.
pub(super) fn all_failed(what: &'static str, tried: Vec<(Endpoint, Why, String)>) -> JoinError {
    let all = |why: Why| tried.iter().all(|(_, found, _)| *found == why);
    let (is_busy, is_clock) = (all(Why::Busy), all(Why::Clock));
    let tried = tried.into_iter().map(|(endpoint, _, reason)| (endpoint, reason)).collect();
    match () {
        () if is_busy => JoinError::Busy { what, tried },
        () if is_clock => JoinError::Clock { tried },
        () => JoinError::Unreachable { what, tried },
    }
}

impl JoinError {
    pub(in crate::app) fn remedy(&self) -> Option<JoinRemedy> {
        Some(match self {
            Self::NoRoot(_) => JoinRemedy::NameAnotherRoot,
            Self::NoState(_) => JoinRemedy::JoinFirst,
            Self::State(path) => JoinRemedy::RemoveState(path.clone()),
            Self::OtherCluster { .. } | Self::OtherHost { .. } => JoinRemedy::LeaveFirst,
            Self::Unreachable { .. } => JoinRemedy::CheckNetwork,
            Self::Busy { .. } => JoinRemedy::WaitAndRunAgain,
            Self::Clock { .. } => JoinRemedy::CheckClock,
            Self::UnknownCluster(_) => JoinRemedy::CheckId,
            Self::Record { source, .. } => match source {
                RecordError::Expired { .. } => JoinRemedy::AnnounceAgain,
                RecordError::Dates { not_before, now, .. } if now < not_before => JoinRemedy::CheckClock,
                RecordError::Dates { .. } => JoinRemedy::AnnounceAgain,
                RecordError::Early { .. } => JoinRemedy::CheckClock,
                RecordError::Stale { .. } => JoinRemedy::AnnounceAgain,
                _ => JoinRemedy::CheckId,
            },
            Self::HostKey(_) => JoinRemedy::NameAnotherHostKey,
            Self::NotAccepted { status: 401, .. } => JoinRemedy::CheckCertificate,
            Self::NotAccepted { .. } => JoinRemedy::CheckProof,
            Self::Denied { .. } => JoinRemedy::AskTheAdministrator,
            Self::NameTaken(_) => JoinRemedy::MakeNewKeys,
            Self::StillWaiting(names) => JoinRemedy::Approve(names.clone()),
            Self::Stopped => JoinRemedy::RunAgain,
            Self::NoBundle { .. } => JoinRemedy::PackBundle,
            Self::NoProof(_) | Self::RootReplaced(_) | Self::Encrypted(_) => JoinRemedy::NameHostKey,
            Self::NoCertificate(_) => JoinRemedy::JoinFirst,
            Self::Installer { .. } => JoinRemedy::ReadInstaller,
            Self::Https(_)
            | Self::NotAnAnswer { .. }
            | Self::WrongCertificate { .. }
            | Self::Bundle { .. }
            | Self::OtherBundle { .. }
            | Self::Program { .. } => return None,
        })
    }
}
