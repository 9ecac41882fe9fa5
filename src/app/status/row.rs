//! A row of the status: the subject, the credential, its expiry, and the remedy.

use std::borrow::Cow;
use std::path::PathBuf;

use time::{Duration, OffsetDateTime};

use super::remedy::Remedy;
use super::state::State;
use crate::app::admin::ForeignKubeconfig;
use crate::app::admin::kubeconfig::AdminFileError;
use crate::app::package::reader::ReadBundleError;
use crate::app::revoke::crl_file::CrlFileError;
use crate::cluster::profile::{CaRole, Profile};
use crate::enrol::request::State as RequestState;
use crate::pki::certificate::{Certificate, Serial};
use crate::pki::fingerprint::Fingerprint;
use crate::store::ca::CaError;
use crate::store::error::StoreError;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::queue::QueueError;
use crate::verify::remedy::CertificateRemedy;

/// An item that expires or needs attention.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusRow {
    /// The subject that it belongs to.
    pub subject: Subject,
    /// The kind of credential.
    pub credential: Credential,
    /// The certificate; `None` for CRLs, bundles, and credentials that were never issued.
    pub certificate: Option<CertificateId>,
    /// The SHA-256 of the CA that signed the CRL; `None` for other items.
    pub crl_issuer: Option<Fingerprint>,
    /// When its validity begins, if that is known.
    pub not_before: Option<OffsetDateTime>,
    /// The time of expiry; for a CRL, its nextUpdate.
    pub not_after: Option<OffsetDateTime>,
    /// The time from which it is renewed; `None` if it is never renewed.
    pub renew_from: Option<OffsetDateTime>,
    /// Its state.
    pub state: State,
    /// Whether its key was deleted on purpose after its bundle was encrypted: a renewal needs a new key.
    pub is_key_discarded: bool,
    /// The file that it was read from, if any.
    pub file: Option<PathBuf>,
    /// The reason why it cannot be read.
    pub problem: Option<Problem>,
    /// The remedy; `None` if there is nothing to do.
    pub remedy: Option<Remedy>,
}

/// The subject of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The cluster, which has CAs, CRLs, and the verifier's certificate.
    Cluster,
    /// An administrator.
    Person(String),
    /// A host.
    Host(String),
}

impl Subject {
    /// Returns the name of the host; `None` for other subjects.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Host(name) => Some(name),
            Self::Cluster | Self::Person(_) => None,
        }
    }

    /// Returns the name of the host or person; empty for the cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Host(name) | Self::Person(name) => name,
            Self::Cluster => "",
        }
    }
}

/// The kind of a row's item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A root.
    Root(CaRole),
    /// An intermediate CA.
    Intermediate(CaRole),
    /// An end-entity certificate.
    Leaf(Profile),
    /// A CRL.
    Crl(CaRole),
    /// A host's bundle.
    Bundle,
    /// A rotation that is under way, or a CA that is trusted in addition to the active one until its last certificate
    /// expires.
    Rotation(CaRole),
    /// A host's request for a certificate, which is not decided or has no certificate yet.
    Request {
        /// Its name.
        name: String,
        /// Its state: pending or approved.
        state: RequestState,
        /// The client that sent it.
        requester: String,
        /// Whether evidence of the host was verified when it came.
        is_proven: bool,
    },
    /// The queue of the enrolment CA's server.
    Queue,
    /// The rotation of the key that signs service account tokens.
    TokenRotation,
    /// A certificate or a CRL in a file of any tool.
    File {
        /// Its name on the command line, or its path below the named folder.
        name: String,
        /// The kind of credential.
        kind: FileKind,
    },
}

/// The kind of an item in a file of any tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A root.
    Root,
    /// An intermediate CA.
    Intermediate,
    /// An end-entity certificate.
    Certificate,
    /// The certificate of a user of a kubeconfig.
    Kubeconfig,
    /// A CRL.
    Crl,
}

impl Credential {
    /// Returns the name in tables, JSON and metrics. CAs have the names that kubeadm gives them.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        let of_role = |role: CaRole, what: &str| match role {
            CaRole::Cluster => Cow::Owned(what.to_owned()),
            CaRole::Etcd => Cow::Owned(format!("etcd-{what}")),
            CaRole::FrontProxy => Cow::Owned(format!("front-proxy-{what}")),
        };
        match self {
            Self::Root(role) => of_role(*role, "ca"),
            Self::Intermediate(role) => of_role(*role, "intermediate-ca"),
            Self::Leaf(profile) => Cow::Borrowed(profile.policy().name),
            Self::Crl(role) => of_role(*role, "crl"),
            Self::Bundle => Cow::Borrowed("bundle"),
            Self::Rotation(role) => of_role(*role, "ca-rotation"),
            Self::Request { name, .. } | Self::File { name, .. } => Cow::Borrowed(name),
            Self::Queue => Cow::Borrowed("enrolment-queue"),
            Self::TokenRotation => Cow::Borrowed("service-account-rotation"),
        }
    }

    /// Returns the kind: `root`, `intermediate`, `certificate`, `kubeconfig`, `crl`, `bundle`, `rotation`, `request` or
    /// `queue`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Root(_) | Self::File { kind: FileKind::Root, .. } => "root",
            Self::Intermediate(_) | Self::File { kind: FileKind::Intermediate, .. } => "intermediate",
            Self::Leaf(Profile::Admin | Profile::BreakGlass) | Self::File { kind: FileKind::Kubeconfig, .. } => {
                "kubeconfig"
            }
            Self::Leaf(_) | Self::File { kind: FileKind::Certificate, .. } => "certificate",
            Self::Crl(_) | Self::File { kind: FileKind::Crl, .. } => "crl",
            Self::Bundle => "bundle",
            Self::Rotation(_) | Self::TokenRotation => "rotation",
            Self::Request { .. } => "request",
            Self::Queue => "queue",
        }
    }

    /// Returns the name that equal items of several subjects share.
    #[must_use]
    pub fn group_name(&self) -> Cow<'_, str> {
        match self {
            Self::Request { state, .. } => Cow::Owned(format!("request, {state}")),
            other => other.name(),
        }
    }
}

/// Identifies a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateId {
    /// Its serial number.
    pub serial: Serial,
    /// The SHA-256 of its DER, which is Kubernetes's credential-id.
    pub fingerprint: Fingerprint,
    /// The SHA-256 of its issuer's DER; `None` if the issuer is not known, or it is a root.
    pub issuer: Option<Fingerprint>,
    /// Its common name.
    pub account: String,
}

impl From<&Certificate> for CertificateId {
    fn from(certificate: &Certificate) -> Self {
        Self {
            serial: certificate.serial.clone(),
            fingerprint: certificate.fingerprint(),
            issuer: None,
            account: certificate.account().user,
        }
    }
}

impl From<IssuedCertificate> for CertificateId {
    fn from(issued: IssuedCertificate) -> Self {
        let IssuedCertificate { serial, fingerprint, issuer, account, .. } = issued;
        Self { serial, fingerprint, issuer: Some(issuer), account }
    }
}

/// Errors of reading an item.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// A CA's certificate.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A CRL.
    #[error(transparent)]
    Crl(#[from] CrlFileError),
    /// A bundle that is not encrypted.
    #[error(transparent)]
    Bundle(#[from] ReadBundleError),
    /// A file of another kind.
    #[error(transparent)]
    Store(StoreError),
    /// A CRL without nextUpdate: an old CRL cannot be told from the newest one.
    #[error("it does not say when the next one is due")]
    NoNextUpdate,
    /// An administrator's kubeconfig.
    #[error(transparent)]
    Admin(#[from] AdminFileError),
    /// A kubeconfig in the folder of administrators that is not one of the account that it is named after.
    #[error(transparent)]
    ForeignAdmin(ForeignKubeconfig),
    /// The queue of the enrolment CA's server.
    #[error(transparent)]
    Queue(QueueError),
}

impl StatusRow {
    /// Returns a row with only its subject, credential and state.
    pub(super) fn new(subject: Subject, credential: Credential, state: State) -> Self {
        Self {
            subject,
            credential,
            certificate: None,
            crl_issuer: None,
            not_before: None,
            not_after: None,
            renew_from: None,
            state,
            is_key_discarded: false,
            file: None,
            problem: None,
            remedy: None,
        }
    }

    /// Adds the remedy. An item that is not valid yet gets the remedy to compare clocks instead: one of them is wrong.
    pub(super) fn remedy(self, remedy: impl Into<Remedy>) -> Self {
        let remedy = match self.state {
            State::NotYetValid => CertificateRemedy::CompareClocks.into(),
            _ => remedy.into(),
        };
        Self { remedy: Some(remedy), ..self }
    }

    /// Returns the whole days until it expires, negative once it has expired.
    #[must_use]
    pub fn days(&self, now: OffsetDateTime) -> Option<i64> {
        let left = self.not_after? - now;
        Some(left.whole_seconds().div_euclid(Duration::DAY.whole_seconds()))
    }
}
