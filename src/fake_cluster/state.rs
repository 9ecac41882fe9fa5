//! The state of the simulated servers, and their authentication of clients.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use super::injected_fault::InjectedFault;
use crate::cluster::name::HostName;
use crate::cluster::profile::FRONT_PROXY_CLIENT;
use crate::cluster::spec::Cluster;
use crate::pki::certificate::Certificate;
use crate::pki::chain::verify_chain;
use crate::pki::fingerprint::Fingerprint;

/// The certificates that the API servers deny.
pub(super) type Denied = Arc<Mutex<BTreeSet<Fingerprint>>>;

/// An authenticated client.
pub(super) struct AuthenticatedClient {
    pub(super) user: String,
    pub(super) groups: Vec<String>,
    /// SHA-256 of its certificate; `None` if a front proxy names it.
    pub(super) credential: Option<Fingerprint>,
}

/// The state that all connections share.
pub(super) struct ServerState {
    pub(super) cluster: Cluster,
    /// The nodes by their user names.
    pub(super) users: HashMap<String, HostName>,
    pub(super) fault: Option<InjectedFault>,
    pub(super) now: OffsetDateTime,
    pub(super) answer_after: Duration,
    pub(super) requests: AtomicUsize,
    pub(super) denied: Denied,
}

/// The service of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    ApiServer,
    /// A kubelet, with its own fault.
    Kubelet(Option<InjectedFault>),
}

impl ServerState {
    /// Returns true if the API servers deny a certificate.
    pub(super) fn denies(&self, certificate: Fingerprint) -> bool {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        self.fault != Some(InjectedFault::NotReloaded) && denied.contains(&certificate)
    }

    /// Authenticates a client certificate like Go's x509 and Kubernetes's `x509.CommonNameUserConversion`.
    ///
    /// It needs a chain to a root, all of it valid now, and the usage clientAuth.
    pub(super) fn authenticate(
        &self,
        chain: &[CertificateDer<'_>],
        service: Service,
        roots: &[Certificate],
    ) -> Option<AuthenticatedClient> {
        let parsed: Vec<Certificate> =
            chain.iter().map(|der| Certificate::from_der(der.to_vec())).collect::<Result<_, _>>().ok()?;
        let (leaf, intermediates) = parsed.split_first()?;
        let is_accepted = match (service, self.fault) {
            (Service::ApiServer, Some(InjectedFault::AnyCaMaster))
            | (Service::Kubelet(Some(InjectedFault::RsaOnlyNode)), _) => true,
            (Service::Kubelet(Some(InjectedFault::SelfSignedNode)), _) => leaf.issuer.der == leaf.subject.der,
            _ => false,
        };
        let in_date = |cert: &Certificate| (cert.not_before..=cert.not_after).contains(&self.now);
        let roots: Vec<Certificate> = roots.iter().filter(|root| in_date(root)).cloned().collect();
        if !is_accepted {
            verify_chain(leaf, intermediates, &roots).ok()?;
        }
        let is_client = leaf.has_extended_usage("clientAuth") || leaf.has_extended_usage("anyExtendedKeyUsage");
        (in_date(leaf) && !roots.is_empty() && is_client).then(|| AuthenticatedClient {
            user: leaf.account().user,
            groups: leaf.subject.organizations.clone(),
            credential: Some(leaf.fingerprint()),
        })
    }

    /// Returns true if an API server believes the headers of a client, like Kubernetes's
    /// `authentication/request/headerrequest`: its chain leads to one of the CAs of front proxies, and its name is permitted.
    pub(super) fn is_front_proxy(&self, chain: &[CertificateDer<'_>], service: Service, roots: &[Certificate]) -> bool {
        let parsed = chain.iter().map(|der| Certificate::from_der(der.to_vec())).collect::<Result<Vec<_>, _>>();
        let Ok(parsed) = parsed else { return false };
        let Some((leaf, intermediates)) = parsed.split_first() else { return false };
        service == Service::ApiServer
            && verify_chain(leaf, intermediates, roots).is_ok()
            && (leaf.not_before..=leaf.not_after).contains(&self.now)
            && leaf.has_extended_usage("clientAuth")
            && leaf.account().user == FRONT_PROXY_CLIENT
    }

    /// Returns the user name of a client: that of its certificate, except with [`InjectedFault::SwappedAccount`].
    pub(super) fn user_name(&self, client: &AuthenticatedClient) -> String {
        let swapped = self.fault == Some(InjectedFault::SwappedAccount);
        match self.cluster.nodes.as_slice() {
            [first, second, ..] if swapped && self.own_host(client) == Some(&first.name) => {
                self.cluster.accounts.account(&second.name).user
            }
            _ => client.user.clone(),
        }
    }

    /// Returns the node whose user name the client has.
    pub(super) fn own_host(&self, client: &AuthenticatedClient) -> Option<&HostName> {
        self.users.get(&client.user)
    }

    /// Returns true if a client may create SubjectAccessReviews, as kubelets do for their own clients.
    pub(super) fn may_review_others(&self, client: &AuthenticatedClient) -> bool {
        client.may_list_nodes() || self.own_host(client).is_some()
    }
}

impl AuthenticatedClient {
    /// Returns the client that a front proxy names; `None` if it names none.
    pub(super) fn named_by(headers: &HeaderMap) -> Option<Self> {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let user = headers.get("x-remote-user").and_then(text).filter(|user| !user.is_empty())?;
        let groups = headers.get_all("x-remote-group").iter().filter_map(text).collect();
        Some(Self { user, groups, credential: None })
    }

    /// Returns true for the verifier and for administrators.
    pub(super) fn may_list_nodes(&self) -> bool {
        self.is_verifier() || self.is_in("system:masters")
    }

    pub(super) fn is_verifier(&self) -> bool {
        self.is_in("clusterctl:verifiers")
    }

    /// Returns true for a member of a group.
    pub(super) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}
