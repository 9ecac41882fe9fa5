//! Nodes' certificates with accounts of a scheme other than the cluster file's.
//!
//! They remain valid after a change of `accounts:`, and are revoked when their replacements are issued.

use std::collections::HashSet;
use std::path::PathBuf;

use super::crl;
use super::denials;
use crate::app::count::certificates;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::package::templates;
use crate::cluster::account::AccountScheme;
use crate::cluster::profile::Profile;
use crate::cluster::spec::Cluster;
use crate::pki::issuer::Issuer;
use crate::pki::reason::Reason;
use crate::pki::trust_bundle::TrustBundle;
use crate::rbac::denials::TooMany;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::revocations::Revocation;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::DirectoryRemedy;
use crate::verify::target::Place;

/// Valid certificates of nodes whose account is not of the scheme in the cluster file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Superseded(pub Vec<IssuedCertificate>);

impl Superseded {
    /// Finds all such certificates.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be used.
    pub fn find(cluster: &Cluster, ledger: &Ledger, env: &Env) -> Result<Self, StoreError> {
        let prefix = cluster.accounts.other().prefix();
        ledger.valid_by_account_prefix(Profile::KubeletClient.policy().name, prefix, env.now)?.all().map(Self)
    }

    /// Like [`Self::find`], for some hosts. `hosts` is only called if there are such certificates.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be used.
    pub fn of_hosts(
        hosts: impl FnOnce() -> HashSet<String>,
        cluster: &Cluster,
        ledger: &Ledger,
        env: &Env,
    ) -> Result<Self, StoreError> {
        let Self(mut found) = Self::find(cluster, ledger, env)?;
        if !found.is_empty() {
            let (hosts, prefix) = (hosts(), cluster.accounts.other().prefix());
            let is_of_hosts = |issued: &IssuedCertificate| {
                issued.account.strip_prefix(prefix).is_some_and(|host| hosts.contains(host))
            };
            found.retain(is_of_hosts);
        }
        Ok(Self(found))
    }

    /// Returns these certificates if API servers can deny all of them in addition to those that are revoked; otherwise
    /// none, and the reason.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be used.
    pub(in crate::app) fn that_fit(
        self,
        cluster: &Cluster,
        root: &TrustBundle,
        ledger: &Ledger,
        env: &Env,
    ) -> Result<(Self, Option<SupersededKept>), Error> {
        let count = self.0.len();
        if count == 0 {
            return Ok((self, None));
        }
        Ok(match denials::of_ledger(ledger, root, env.now)?.room_for(count) {
            Ok(_) => (self, None),
            Err(error) => {
                let prefix = cluster.accounts.other().prefix();
                (Self::default(), Some(SupersededKept { count, prefix, error }))
            }
        })
    }

    /// Returns true if there are no such certificates.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a sentence with the number of certificates.
    pub(crate) fn in_words(&self, scheme: AccountScheme) -> String {
        let verb = if self.0.len() == 1 { "is" } else { "are" };
        format!(
            "{} of accounts {}HOST {verb} valid, but accounts: {scheme} is set in cluster.yaml",
            certificates(self.0.len()),
            scheme.other().prefix(),
        )
    }

    /// Revokes the certificates: in the ledger, in the CRL of the cluster's CA, and in the authorization configuration
    /// of API servers.
    ///
    /// # Errors
    /// Returns an error if the ledger or the disk cannot be used, or a template fails.
    pub(crate) fn revoke(
        &self,
        cluster: &Cluster,
        root: &TrustBundle,
        issuer: &Issuer,
        ledger: &mut Ledger,
        env: &Env,
        observer: &mut dyn Observer,
    ) -> Result<SupersededReport, Error> {
        let count = self.0.len();
        let revocation = Revocation { reason: Reason::Superseded, at: env.now };
        let revoked: Vec<_> = self.0.iter().map(|issued| (issued.fingerprint, revocation.clone())).collect();
        ledger.revoke(&revoked, &env.audit())?;
        let crl = crl::sign(issuer, root, cluster.validity.of_new_crl(), ledger, env, observer)?;
        let denials = denials::of_ledger(ledger, root, env.now)?;
        let templates = templates::of_cluster(cluster, &env.layout)?;
        let rules = denials::write_authorization(cluster, &denials, &templates, &env.layout)?;
        let detail = format!("{}, {}", certificates(count), Reason::Superseded);
        ledger.log_event("revoke", "accounts", &detail, &env.audit())?;
        Ok(SupersededReport { count, written: vec![crl, rules] })
    }
}

/// The result of revoking superseded certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupersededReport {
    /// Their number.
    pub count: usize,
    /// The files that list or deny them.
    pub written: Vec<PathBuf>,
}

/// Superseded certificates that stay valid, because API servers cannot deny so many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupersededKept {
    /// Their number.
    pub count: usize,
    /// The beginning of their accounts.
    pub prefix: &'static str,
    /// The number of certificates that would have to be denied.
    pub error: TooMany,
}

/// Returns a finding of `store.credential` for those of the cluster's nodes, if there are any.
///
/// Issuing to all nodes replaces them. A host that is not a node has a finding of its own.
///
/// # Errors
/// Returns an error if the ledger cannot be used.
pub(crate) fn finding(cluster: &Cluster, ledger: &Ledger, env: &Env) -> Result<Option<Finding>, StoreError> {
    let nodes = || cluster.nodes.iter().map(|node| node.name.to_string()).collect();
    let found = Superseded::of_hosts(nodes, cluster, ledger, env)?;
    if found.is_empty() {
        return Ok(None);
    }
    let remedy = DirectoryRemedy::ReplaceAccounts { delete_objects: cluster.accounts == AccountScheme::SystemNode };
    let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "accounts", Status::Warn);
    let expected = "no valid certificate of the other account scheme";
    Ok(Some(finding.saw(found.in_words(cluster.accounts), expected).remedy(remedy)))
}
