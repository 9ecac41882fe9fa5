//! A host's request for a certificate, with the fields of Kubernetes's `certificates.k8s.io/v1`
//! CertificateSigningRequest.
//!
//! The names in a request only determine the host that it is for. The content of the certificate comes from the cluster file.

use std::collections::BTreeMap;
use std::fmt;

use time::OffsetDateTime;

use crate::cluster::account::AccountScheme;
use crate::cluster::name::{HostName, NameError};
use crate::cluster::profile::{Profile, Usage};
use crate::pki::certificate::CertificateError;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem::{self, Item, PemError};
use crate::pki::request::{CertificateRequest, RequestError, VerifiedRequest};
use crate::sanitize::sanitized;

/// The largest `spec.request`, in bytes: a CSR and its evidence.
pub const MAX_REQUEST: usize = 32 * 1024;
/// The longest name of a request (Kubernetes `IsDNS1123Subdomain`).
pub const MAX_NAME: usize = 253;
/// The largest number of requested usages.
const MAX_USAGES: usize = 8;

/// A signer that clusterctl acts for: `spec.signerName`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignerName {
    /// `clusterctl.io/kubelet-client`: a client certificate for `kubelet:<host>`.
    KubeletClient,
    /// `clusterctl.io/kubelet-serving`: a kubelet's serving certificate.
    KubeletServing,
    /// `kubernetes.io/kube-apiserver-client-kubelet`: a client certificate for `system:node:<host>`.
    ApiserverClientKubelet,
    /// `kubernetes.io/kubelet-serving`: a serving certificate for `system:node:<host>` in `system:nodes`.
    KubernetesKubeletServing,
}

impl SignerName {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::KubeletClient, Self::KubeletServing, Self::ApiserverClientKubelet, Self::KubernetesKubeletServing];

    /// Returns the name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KubeletClient => "clusterctl.io/kubelet-client",
            Self::KubeletServing => "clusterctl.io/kubelet-serving",
            Self::ApiserverClientKubelet => "kubernetes.io/kube-apiserver-client-kubelet",
            Self::KubernetesKubeletServing => "kubernetes.io/kubelet-serving",
        }
    }

    /// Reads the name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signer| signer.as_str() == text)
    }

    /// Returns the profile of the certificates that it signs.
    #[must_use]
    pub fn profile(self) -> Profile {
        match self {
            Self::KubeletClient | Self::ApiserverClientKubelet => Profile::KubeletClient,
            Self::KubeletServing | Self::KubernetesKubeletServing => Profile::KubeletServer,
        }
    }

    /// Returns the naming scheme of the accounts in its certificates.
    #[must_use]
    pub fn accounts(self) -> AccountScheme {
        match self {
            Self::KubeletClient | Self::KubeletServing => AccountScheme::Kubelet,
            Self::ApiserverClientKubelet | Self::KubernetesKubeletServing => AccountScheme::SystemNode,
        }
    }

    /// Returns the extended key usage as `spec.usages` spells it.
    #[must_use]
    pub fn usage(self) -> &'static str {
        match self.profile().policy().usage {
            Usage::Server => "server auth",
            Usage::Client | Usage::ServerAndClient => "client auth",
        }
    }
}

impl fmt::Display for SignerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state of a request: `pending → approved → issued`, or one of the others. All except `pending` and `approved` are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing is decided.
    Pending,
    /// Approved; the certificate is not issued yet.
    Approved,
    /// The certificate is issued.
    Issued,
    /// Denied.
    Denied,
    /// Approved, and then refused by the signer; or closed, because certificates of its host were revoked or the host was removed.
    Failed,
    /// Another request took its place before it was decided.
    Superseded,
    /// Not decided, or not issued after its approval, in time.
    Expired,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Approved, Self::Issued, Self::Denied, Self::Failed, Self::Superseded, Self::Expired];

    /// Returns the name of the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Issued => "issued",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
        }
    }

    /// Reads the name of a state.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Returns true if nothing is decided, or the certificate is not issued yet.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }

    /// Returns true if a request may go from this state to `next`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending, Self::Approved | Self::Denied | Self::Failed | Self::Superseded | Self::Expired)
                | (Self::Approved, Self::Issued | Self::Failed | Self::Expired)
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The client that sent a request, as the server authenticated it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requester {
    /// User name: a certificate's common name, `system:bootstrap:<token id>`, or `system:anonymous`.
    pub username: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Further attributes, as Kubernetes has them in `spec.extra`.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The user name of a client without credentials.
pub const ANONYMOUS: &str = "system:anonymous";

impl Requester {
    /// Returns the client without credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            username: ANONYMOUS.to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            extra: BTreeMap::new(),
        }
    }

    /// Returns true for a member of a group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

/// A condition of a request's status: an approval, a denial or a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `Approved`, `Denied` or `Failed`.
    pub kind: String,
    /// `True`.
    pub status: String,
    /// The reason in one word.
    pub reason: String,
    /// The reason as text.
    pub message: String,
    /// The time of the last change.
    pub last_update: Option<OffsetDateTime>,
    /// The time at which the status changed.
    pub last_transition: Option<OffsetDateTime>,
}

/// Reasons why a request is not accepted. Text from the request is sanitized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// clusterctl does not act for the signer.
    #[error("spec.signerName: \"{0}\" is not supported here")]
    UnknownSigner(String),
    /// The request is larger than the limit.
    #[error("spec.request: it has {0} bytes, at most {MAX_REQUEST} are accepted")]
    TooLarge(usize),
    /// The request is not PEM.
    #[error("spec.request: {0}")]
    Pem(PemError),
    /// The first block is not a certificate request, or there are several.
    #[error("spec.request: its first PEM block must be a CERTIFICATE REQUEST, and the only one")]
    NoRequest,
    /// There is a private key in it.
    #[error("spec.request: it contains a private key, which must not leave its host")]
    PrivateKey,
    /// The certificate request cannot be parsed.
    #[error("spec.request: {0}")]
    Malformed(CertificateError),
    /// The certificate request does not prove possession of a key that can be used.
    #[error("spec.request: {0}")]
    Unproven(RequestError),
    /// The common name is not the account of a host.
    #[error("spec.request: the common name \"{0}\" is not the account of a host")]
    NoHost(String),
    /// The host in the common name is not valid.
    #[error("spec.request: the host \"{name}\" is not valid: {error}")]
    InvalidHost {
        /// The host.
        name: String,
        /// The violated rule.
        error: NameError,
    },
    /// The usages are not those of the signer.
    #[error("spec.usages: {signer} signs for \"digital signature\", \"key encipherment\" and {:?}, not {found:?}", signer.usage())]
    Usages {
        /// The signer.
        signer: SignerName,
        /// The requested usages.
        found: Vec<String>,
    },
}

/// The fields of a request as they are on the wire.
#[derive(Debug, Clone, Copy)]
pub struct RequestFields<'a> {
    /// `spec.signerName`
    pub signer: &'a str,
    /// `spec.usages`
    pub usages: &'a [String],
    /// `spec.request`, decoded: PEM, the CSR first, then evidence.
    pub pem: &'a [u8],
}

/// The content of a request: parsed, and valid as far as it can be checked without other data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContent {
    /// The signer that it is for.
    pub signer: SignerName,
    /// The requested usages, as `spec.usages` spells them.
    pub usages: Vec<String>,
    /// `spec.request`: PEM, the CSR first, then evidence ([`super::evidence`] reads it).
    pub pem: Vec<u8>,
    /// The CSR. Its signature proves possession of its key.
    pub csr: VerifiedRequest,
    /// SHA-256 of the CSR's DER, to which the evidence refers.
    pub csr_digest: Fingerprint,
    /// The host in its common name, which nothing proves yet.
    pub host: HostName,
}

impl RequestContent {
    /// Parses and checks a request: bounded size, exactly one CSR, which comes first and is signed with its own key, a host's account
    /// as its common name, no private key, and the usages of its signer.
    ///
    /// # Errors
    /// Returns the first [`Refusal`].
    pub fn read(fields: RequestFields<'_>) -> Result<Self, Refusal> {
        let signer =
            SignerName::parse(fields.signer).ok_or_else(|| Refusal::UnknownSigner(sanitized(fields.signer)))?;
        check_usages(signer, fields.usages)?;
        if fields.pem.len() > MAX_REQUEST {
            return Err(Refusal::TooLarge(fields.pem.len()));
        }
        let items = pem::read_all(fields.pem).map_err(Refusal::Pem)?;
        if items.iter().any(|item| matches!(item, Item::Key(..) | Item::EncryptedKey(_))) {
            return Err(Refusal::PrivateKey);
        }
        let requests = items.iter().filter(|item| matches!(item, Item::Csr(_))).count();
        let Some(Item::Csr(der)) = items.first().filter(|_| requests == 1 && begins_with_request(fields.pem)) else {
            return Err(Refusal::NoRequest);
        };
        let request = CertificateRequest::from_der(der).map_err(Refusal::Malformed)?;
        let csr = VerifiedRequest::verify(request).map_err(Refusal::Unproven)?;
        let host = host_of(csr.request())?;
        Ok(Self {
            signer,
            usages: fields.usages.to_vec(),
            pem: fields.pem.to_vec(),
            csr_digest: Fingerprint::of(der),
            csr,
            host,
        })
    }

    /// Returns true if this was read from exactly these fields.
    #[must_use]
    pub fn was_read_from(&self, fields: RequestFields<'_>) -> bool {
        self.signer.as_str() == fields.signer && self.usages == fields.usages && self.pem == fields.pem
    }

    /// Returns the profile of the requested certificate.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.signer.profile()
    }

    /// Returns SHA-256 of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn key(&self) -> Fingerprint {
        self.csr.request().spki_fingerprint
    }
}

/// Returns true if the first PEM block is a CSR. Kubernetes reads only the first block, whatever its type.
fn begins_with_request(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let first = pem.windows(BEGIN.len()).position(|window| window == BEGIN).map(|at| &pem[at + BEGIN.len()..]);
    first.is_some_and(|rest| rest.starts_with(b"CERTIFICATE REQUEST-----"))
}

/// Returns the host in the common name of a request, which must be the account of a host.
fn host_of(request: &CertificateRequest) -> Result<HostName, Refusal> {
    let [name] = request.subject.common_names.as_slice() else {
        return Err(Refusal::NoHost(sanitized(&request.subject.common_names.join(", "))));
    };
    let bare = AccountScheme::ALL.iter().find_map(|scheme| name.strip_prefix(scheme.prefix()));
    let Some(bare) = bare else { return Err(Refusal::NoHost(sanitized(name))) };
    HostName::parse(bare).map_err(|error| Refusal::InvalidHost { name: sanitized(bare), error })
}

fn check_usages(signer: SignerName, usages: &[String]) -> Result<(), Refusal> {
    let allowed = ["digital signature", "key encipherment", signer.usage()];
    let has = |wanted: &str| usages.iter().any(|usage| usage == wanted);
    let only_allowed = usages.iter().all(|usage| allowed.contains(&usage.as_str()));
    if only_allowed && usages.len() <= MAX_USAGES && has("digital signature") && has(signer.usage()) {
        return Ok(());
    }
    let found = usages.iter().take(MAX_USAGES).map(|usage| sanitized(usage)).collect();
    Err(Refusal::Usages { signer, found })
}

/// A request in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentRequest {
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.resourceVersion`; an opaque text, empty if it is not known.
    pub resource_version: String,
    /// `metadata.annotations`
    pub annotations: BTreeMap<String, String>,
    /// The time of its creation.
    pub created: OffsetDateTime,
    /// What it asks for.
    pub content: RequestContent,
    /// The client that sent it.
    pub requester: Requester,
    /// The state, which follows from the conditions and the certificate.
    pub state: State,
    /// The conditions of its status.
    pub conditions: Vec<Condition>,
    /// The certificate, PEM; empty if there is none.
    pub certificate: Vec<u8>,
}

/// Returns the state that the conditions and the certificate of a status imply.
#[must_use]
pub fn state_of(conditions: &[Condition], has_certificate: bool) -> State {
    state_by(|kind| conditions.iter().any(|condition| condition.kind == kind), has_certificate)
}

/// Like [`state_of`], by a function that returns true for the types of the conditions that there are.
pub fn state_by(has: impl Fn(&str) -> bool, has_certificate: bool) -> State {
    match () {
        () if has("Denied") => State::Denied,
        () if has("Failed") => State::Failed,
        () if has("Approved") && has_certificate => State::Issued,
        () if has("Approved") => State::Approved,
        () => State::Pending,
    }
}

#[cfg(test)]
mod tests;
