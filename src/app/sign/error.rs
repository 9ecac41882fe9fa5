//! Refused requests and the reasons.

use std::fmt;
use std::path::PathBuf;

use time::OffsetDateTime;

use crate::app::issue::CredentialName;
use crate::app::remedy::Remedy;
use crate::app::request::{self, StatementError};
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::pki::certificate::{CertificateError, Serial};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::known_hosts::KnownHostError;
use crate::pki::material::MaterialError;
use crate::pki::reason::Reason;
use crate::pki::request::RequestError;

/// The reasons for refusing a request. Texts from the request are sanitized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestProblem {
    /// The file does not exist.
    #[error("there is no such file")]
    Missing,
    /// The file is too large to be a request.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The largest size, in bytes.
        limit: u64,
    },
    /// The file is empty.
    #[error("it is empty")]
    Empty,
    /// The file is damaged, or of an unknown kind.
    #[error("{0}")]
    Damaged(MaterialError),
    /// There is no request in the file.
    #[error("there is no certificate request in it")]
    NoRequest,
    /// There is a private key in the file.
    #[error("there is a private key in it, which has to stay on its host")]
    PrivateKey,
    /// The request cannot be parsed.
    #[error("the request cannot be read: {0}")]
    Malformed(CertificateError),
    /// The request does not prove possession of a key that can be used.
    #[error("{0}")]
    Unproven(RequestError),
    /// Neither the request nor a flag names the host.
    #[error("it names no host")]
    NoHost,
    /// The cluster file has no node of this name.
    #[error("the cluster file has no node called \"{name}\"")]
    UnknownHost {
        /// The name.
        name: String,
        /// The most similar name that the cluster file has.
        similar: Option<String>,
    },
    /// The host is a master, whose certificates are issued without a request.
    #[error("{0} is a master in the cluster file, and only requests of nodes are signed")]
    Master(HostName),
    /// Neither the request nor a flag determines the profile.
    #[error("it does not say whether it is for kubelet-client or kubelet-server")]
    NoProfile,
    /// It asks for another user name.
    #[error("it asks for the user name \"{0}\"")]
    OtherUser(String),
    /// It asks for another group.
    #[error("it asks for the group \"{0}\"")]
    OtherGroup(String),
    /// It asks for a name or an address that the cluster file does not have for the host.
    #[error("it asks for the name \"{0}\", which the cluster file does not have for this host")]
    OtherName(String),
    /// It asks for a usage that the profile does not have.
    #[error("it asks for the usage {usage}, which {} does not have", profile.policy().name)]
    OtherUsage {
        /// The usage.
        usage: String,
        /// The profile.
        profile: Profile,
    },
    /// It asks to be a CA.
    #[error("it asks to be a CA")]
    Ca,
    /// Another certificate has the same public key.
    #[error("its key is also that of {} (serial {serial})", with_host(host.as_ref(), profile))]
    KeyOfAnother {
        /// The host of the other certificate, if it has one.
        host: Option<String>,
        /// The profile of the other certificate.
        profile: String,
        /// The serial number of the other certificate.
        serial: Serial,
    },
    /// The key was generated in the cluster directory, so not only the host has it.
    #[error("its key was generated in the cluster directory (serial {serial}), so not only the host has it")]
    KeyMadeHere {
        /// The serial number of the certificate that the key was generated for.
        serial: Serial,
    },
    /// The key signs service account tokens.
    #[error("its key is the one that signs service accounts' tokens")]
    KeyOfServiceAccounts,
    /// A certificate of the same public key was revoked.
    #[error("a certificate of its key was revoked (serial {serial}, {reason})")]
    KeyRevoked {
        /// The serial number of the certificate.
        serial: Serial,
        /// The reason.
        reason: Reason,
    },
    /// A certificate was already issued for the same request, and has expired.
    #[error("the certificate with serial {serial} was already issued for it, and expired at {}", stamp(*not_after))]
    IssuedBefore {
        /// The serial number of the certificate.
        serial: Serial,
        /// When it expired.
        not_after: OffsetDateTime,
    },
    /// Its SSH signature is not valid.
    #[error("{0}")]
    Statement(StatementError),
    /// Its SSH signature covers other requests than those in the file.
    #[error("its SSH signature covers other requests")]
    OtherRequests,
    /// Its SSH signature is about another host.
    #[error("its SSH signature names the host {0}")]
    OtherHost(HostName),
    /// Its SSH signature is about another cluster.
    #[error("its SSH signature names another root, {}", .0.as_pin())]
    OtherCluster(Fingerprint),
    /// An SSH key other than the host's signed it.
    #[error("the SSH key {0} signed it, which is not the host's")]
    OtherHostKey(String),
    /// An SSH key signed it, but no key of the host is known.
    #[error("the SSH key {0} signed it, and no key of the host is known here")]
    UnknownHostKey(String),
    /// No SSH key signed it.
    #[error("no SSH key signed it")]
    NoHostKey,
    /// The host's SSH key cannot be used.
    #[error("{0}")]
    HostKeyUnusable(KnownHostError),
    /// Two requests have the same public key.
    #[error("another of these requests has the same key")]
    KeyTwice,
    /// Two requests are for the same certificate.
    #[error("another of these requests is also for {0}")]
    Twice(CredentialName),
}

impl RequestProblem {
    fn is_of_key(&self) -> bool {
        matches!(
            self,
            Self::KeyOfAnother { .. }
                | Self::KeyMadeHere { .. }
                | Self::KeyOfServiceAccounts
                | Self::KeyRevoked { .. }
                | Self::IssuedBefore { .. }
        )
    }

    fn is_of_host_key(&self) -> bool {
        matches!(self, Self::OtherHostKey(_) | Self::UnknownHostKey(_) | Self::NoHostKey | Self::HostKeyUnusable(_))
    }
}

fn with_host(host: Option<&String>, profile: &str) -> String {
    host.map_or_else(|| profile.to_owned(), |host| format!("{host} {profile}"))
}

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRequest {
    /// The file.
    pub file: PathBuf,
    /// The number of the request in the file, from 1; `None` if the file as a whole is refused.
    pub number: Option<usize>,
    /// All reasons, at least one.
    pub problems: Vec<RequestProblem>,
}

impl fmt::Display for RefusedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(number) = self.number {
            write!(f, ", request {number}")?;
        }
        let problems: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        write!(f, ": {}", problems.join("; "))
    }
}

/// Errors of signing requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Requests are refused, so nothing was signed.
    #[error("requests are refused, so nothing was signed:{}", lines(.0))]
    Refused(Vec<RefusedRequest>),
}

fn lines(refused: &[RefusedRequest]) -> String {
    refused.iter().map(|one| format!("\n  {one}")).collect()
}

impl SignError {
    pub(in crate::app) fn remedy(&self) -> Remedy {
        let Self::Refused(refused) = self;
        let unknown = refused.iter().flat_map(|one| &one.problems).find_map(|one| match one {
            RequestProblem::UnknownHost { similar, .. } => Some(similar.clone()),
            _ => None,
        });
        match unknown {
            Some(Some(similar)) => return Remedy::DidYouMean(similar),
            Some(None) => return Remedy::Request(request::Remedy::AddHost),
            None => {}
        }
        let master = refused.iter().flat_map(|one| &one.problems).find_map(|one| match one {
            RequestProblem::Master(name) => Some(name.clone()),
            _ => None,
        });
        if let Some(master) = master {
            return Remedy::Request(request::Remedy::IssueMaster(master));
        }
        let has = |is: fn(&RequestProblem) -> bool| refused.iter().flat_map(|one| &one.problems).any(is);
        if has(RequestProblem::is_of_key) {
            return Remedy::Request(request::Remedy::MakeNewKey);
        }
        if has(RequestProblem::is_of_host_key) {
            return Remedy::Request(request::Remedy::NameHostKeys);
        }
        if has(|one| matches!(one, RequestProblem::NoHost | RequestProblem::NoProfile)) {
            return Remedy::Request(request::Remedy::NameHostAndProfile);
        }
        if has(|one| *one == RequestProblem::Missing) {
            return Remedy::Request(request::Remedy::NameFiles);
        }
        Remedy::Request(request::Remedy::CorrectRequest)
    }
}
