//! The authenticated client of a request.

use std::net::IpAddr;

use crate::cluster::account::AccountScheme;
use crate::cluster::name::HostName;
use crate::cluster::profile::{APPROVERS, SIGNERS};
use crate::enrol::request::{ANONYMOUS, Requester};
use crate::store::queue::StoredRequest;

/// The group of the account of `verify`, which may read metrics.
const VERIFIERS: &str = "clusterctl:verifiers";
/// The group of clients with a bootstrap token (Kubernetes `bootstrap/token/api`).
pub const BOOTSTRAPPERS: &str = "system:bootstrappers";
/// The prefix of the user names of clients with bearer tokens, before the id of the token.
pub const BOOTSTRAP_USER: &str = "system:bootstrap:";

/// The key in `spec.extra` of the address from which a request came.
pub const SOURCE_ADDRESS: &str = "clusterctl.io/source-address";
/// The key in `spec.extra` of the client certificate (Kubernetes `apiserver/pkg/authentication/user`).
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// The client of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// User name and groups.
    pub requester: Requester,
    /// The host, if its certificate or its token is that of a host.
    pub host: Option<HostName>,
    /// The address of the connection.
    pub address: IpAddr,
}

impl Client {
    /// Returns a client without credentials.
    #[must_use]
    pub fn anonymous(address: IpAddr) -> Self {
        Self { requester: Requester::anonymous(), host: None, address }
    }

    /// Returns true if the client has no credentials.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.requester.username == ANONYMOUS
    }

    /// Returns true for approvers.
    #[must_use]
    pub fn is_approver(&self) -> bool {
        self.requester.is_in(APPROVERS)
    }

    /// Returns true for signers.
    #[must_use]
    pub fn is_signer(&self) -> bool {
        self.requester.is_in(SIGNERS)
    }

    /// Returns true for clients that may read all requests: approvers and signers.
    #[must_use]
    pub fn may_see_all(&self) -> bool {
        self.is_approver() || self.is_signer()
    }

    /// Returns true for clients that may read metrics.
    #[must_use]
    pub fn may_read_metrics(&self) -> bool {
        self.may_see_all() || self.requester.is_in(VERIFIERS)
    }

    /// Returns true if the client may read a request whose name it knows: one that it sent, one of its host, or one that was sent
    /// without credentials. Names contain a hash of the key, so others cannot guess them.
    #[must_use]
    pub fn may_see(&self, request: &StoredRequest) -> bool {
        self.may_see_all()
            || request.requester.username == ANONYMOUS
            || request.requester.username == self.requester.username
            || self.host.as_ref().is_some_and(|host| host.as_str() == request.host && !self.is_token())
    }

    /// Returns true if the client may send requests for a host.
    #[must_use]
    pub fn may_ask_for(&self, host: &HostName) -> bool {
        match &self.host {
            Some(own) => own == host,
            // A token that is not for one host, an account that is not a host's, or no credential: the policy decides.
            None => true,
        }
    }

    fn is_token(&self) -> bool {
        self.requester.is_in(BOOTSTRAPPERS)
    }
}

/// Returns the host of an account whose user name and group are those of a host.
#[must_use]
pub fn host_of_account(requester: &Requester) -> Option<HostName> {
    AccountScheme::ALL.into_iter().find_map(|scheme| {
        let host = HostName::parse(requester.username.strip_prefix(scheme.prefix())?).ok()?;
        let group = scheme.account(&host).group?;
        requester.is_in(&group).then_some(host)
    })
}
