//! Judges requests with the cluster directory: which certificate their host may have, and what is proven.

use std::collections::HashSet;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::app::directory::{self, ClusterFileCache};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::revoke::check_ledger_is_current;
use crate::app::sign::RequestProblem;
use crate::app::sign::judge::{Records, problems_of, spec_of, unknown};
use crate::cluster::enrolment::{Enrolment, Policy, RequestKind};
use crate::cluster::profile::{CertificateSpec, Profile};
use crate::cluster::spec::Cluster;
use crate::enrol::policy::review::{PastCertificate, Review};
use crate::enrol::request::{EnrolmentRequest, SignerName};
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::reason::Reason;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::service_account;
use crate::store::tokens::{self, Tokens};

use super::distrust::Distrust;
pub use super::inventory::Inventory;
use super::prepared::{Prepared, Proofs};
use super::proofs;

/// The largest number of a host's past certificates in a review.
const HISTORY: usize = 20;

/// The cluster file, the CAs and the ledger, as they are now.
#[derive(Debug)]
pub struct Judge {
    pub(super) cluster: Arc<Cluster>,
    pub(super) policy: Arc<Policy>,
    pub(super) cas: CaSet,
    pub(super) ledger: Ledger,
    discarded: HashSet<Fingerprint>,
    distrusted: HashSet<String>,
    service_accounts: Vec<Fingerprint>,
    pub(super) tokens: Tokens,
    env: Env,
}

impl Judge {
    /// Reads the cluster directory.
    ///
    /// # Errors
    /// Returns an error if the cluster file cannot be read, there is no CA, or the ledger is not current.
    pub fn open(env: &Env) -> Result<Self, Error> {
        Self::open_with(env, &ClusterFileCache::default())
    }

    /// Like [`Self::open`]; the cluster file is read only if it changed since it was read last.
    ///
    /// # Errors
    /// Returns the errors of [`Self::open`].
    pub fn open_with(env: &Env, known: &ClusterFileCache) -> Result<Self, Error> {
        let cluster = known.read(&env.layout)?;
        let (ledger, cas) = directory::cas(&env.layout, &cluster)?;
        check_ledger_is_current(&env.layout, &cas, &ledger, env.now)?;
        let policy = cluster.enrolment.as_ref().map_or(Policy::Queue, |enrolment| enrolment.policy.clone());
        Ok(Self {
            policy: Arc::new(policy),
            discarded: ledger.discarded_keys()?,
            distrusted: ledger.distrusted_keys()?,
            service_accounts: service_account::public_keys(&env.layout)?,
            tokens: tokens::read(&env.layout)?,
            cluster,
            cas,
            ledger,
            env: env.clone(),
        })
    }

    /// Judges by another policy.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy: Arc::new(policy), ..self }
    }

    /// Returns the cluster file's settings of enrolment.
    #[must_use]
    pub fn enrolment(&self) -> Option<&Enrolment> {
        self.cluster.enrolment.as_ref()
    }

    /// Returns the pin of the cluster's root, which is the cluster's id.
    #[must_use]
    pub fn pin(&self) -> Fingerprint {
        self.cas.cluster.pin()
    }

    /// Returns true if a `signerName` is for the cluster file's scheme of accounts. Requests for other signers are ignored.
    #[must_use]
    pub fn signs_for(&self, signer: SignerName) -> bool {
        signer.accounts() == self.cluster.accounts
    }

    /// Returns what the cluster file grants to a request.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be read.
    pub fn inventory(&self, request: &EnrolmentRequest) -> Result<Inventory, StoreError> {
        let content = &request.content;
        let name = content.host.as_str();
        let Some(host) = self.cluster.node(name) else {
            return Ok(Inventory::Unknown(unknown(name, &self.cluster)));
        };
        let Some(spec) = spec_of(&self.cluster, host, content.profile()) else {
            return Ok(Inventory::Refused(vec![RequestProblem::NoProfile]));
        };
        let records = Records {
            ledger: &self.ledger,
            layout: &self.env.layout,
            discarded: &self.discarded,
            service_accounts: &self.service_accounts,
        };
        let problems = problems_of(content.csr.request(), &spec, &self.cluster, &records)?;
        Ok(if problems.is_empty() { Inventory::Granted(Box::new(spec)) } else { Inventory::Refused(problems) })
    }

    /// Reads everything that a policy may ask about a request, except for the answers of programs and services.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be read.
    pub fn prepare(&self, request: &EnrolmentRequest) -> Result<Prepared, Error> {
        self.prepare_at(request, self.env.now)
    }

    /// Like [`Self::prepare`], with the proofs as of the creation of the request. Later revocations of the host's certificates do not
    /// deny it. A token, or a certificate of the connection, that was revoked later still proves nothing.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be read.
    pub fn prepare_as_of_creation(&self, request: &EnrolmentRequest) -> Result<Prepared, Error> {
        Ok(Prepared { revoked_since: None, ..self.prepare_at(request, request.created)? })
    }

    fn prepare_at(&self, request: &EnrolmentRequest, now: OffsetDateTime) -> Result<Prepared, Error> {
        let inventory = self.inventory(request)?;
        let of_host = self.ledger.by_host(request.content.host.as_str())?.all()?;
        let same_host = proofs::same_host(request, &self.ledger, now)?;
        let kind = if same_host.is_ok() { RequestKind::Renewal } else { RequestKind::First };
        let evidence = proofs::evidence(request);
        let distrust = Distrust::of(request.content.host.as_str(), &of_host, &self.distrusted, &self.ledger)?;
        let proofs = Proofs {
            same_host,
            ssh_host_key: proofs::ssh_host_key(request, &evidence, &self.cluster, &self.cas, &distrust, now),
            token: proofs::token(request, evidence, &self.tokens, &self.cas, &distrust, now),
            source_address: proofs::source_address(request, &self.cluster),
        };
        let revoked_since = revoked_since(&of_host, request);
        let review = if self.policy.asks_others() { self.review(request, kind, &inventory, of_host) } else { None };
        Ok(Prepared {
            request: request.clone(),
            policy: Arc::clone(&self.policy),
            folder: self.env.layout.dir().to_owned(),
            now,
            kind,
            inventory,
            revoked_since,
            is_compromised: distrust.is_compromised(),
            proofs,
            review,
        })
    }

    fn review(
        &self,
        request: &EnrolmentRequest,
        kind: RequestKind,
        inventory: &Inventory,
        mut of_host: Vec<IssuedCertificate>,
    ) -> Option<serde_json::Value> {
        let Inventory::Granted(spec) = inventory else { return None };
        let past = |issued: IssuedCertificate| PastCertificate {
            profile: issued.profile,
            serial: issued.serial.to_string(),
            not_after: issued.not_after,
            revoked: issued.revocation.map(|revocation| revocation.reason.as_str().to_owned()),
        };
        of_host.reverse();
        let review = Review {
            cluster: &self.cluster.name,
            pin: self.pin(),
            request,
            kind,
            spec,
            not_after: self.latest_not_after(spec),
            host: self.cluster.node(request.content.host.as_str())?,
            history: of_host.into_iter().take(HISTORY).map(past).collect(),
        };
        Some(review.to_json())
    }

    fn latest_not_after(&self, spec: &CertificateSpec) -> OffsetDateTime {
        let ca = self.cas.of(spec.policy().signed_by).active().not_after();
        (self.env.now + spec.lifetime.duration()).min(ca)
    }
}

/// Returns why a host's open request is denied: certificates of the host were revoked after it was sent.
fn revoked_since(of_host: &[IssuedCertificate], request: &EnrolmentRequest) -> Option<String> {
    let is_of_a_node = |issued: &&IssuedCertificate| {
        [Profile::KubeletClient, Profile::KubeletServer].iter().any(|profile| issued.profile == profile.policy().name)
    };
    let revoked = of_host.iter().filter(is_of_a_node).filter_map(|issued| issued.revocation.as_ref());
    let later =
        revoked.filter(|revocation| revocation.reason != Reason::Superseded && revocation.at >= request.created);
    later.map(|revocation| revocation.reason).next().map(|reason| {
        format!(
            "certificates of {} were revoked ({}) after the request was sent",
            request.content.host,
            reason.as_str()
        )
    })
}
