//! The inputs of rendering bundles: the cluster file, the CAs, the ledger, and the credentials in the directory.

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::error::PackageError;
use super::permissions::ExposedKeys;
use super::preflight_error::RefusedHost;
use crate::app::env::Env;
use crate::bundle::images::Settings;
use crate::bundle::input::{HostCredential, Roles};
use crate::bundle::manifest::RotationMark;
use crate::bundle::restarts::ReadAtStart;
use crate::cluster::profile::CertificateSpec;
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;
use crate::rbac::denials::Denials;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::layout::Layout;
use crate::store::ledger::inventory::Inventory;
use crate::store::service_account::{self, KeyPairState};
use crate::store::verification_cache::{CacheEntry, Snapshots, VerificationCache};

/// The inputs of rendering bundles.
#[derive(Debug)]
pub(super) struct Inputs<'c> {
    pub(super) env: Env,
    pub(super) cluster: &'c Cluster,
    pub(super) cas: CaSet,
    pub(super) service_account: Option<Zeroizing<Vec<u8>>>,
    /// The public keys, as PEM, of which API servers also accept tokens.
    pub(super) other_token_keys: Vec<String>,
    pub(super) settings: Settings,
    pub(super) denials: Denials,
    /// The phase for which bundles are packed, and then those of earlier bundles.
    pub(super) marks: Vec<Option<RotationMark>>,
    pub(super) read_at_start: Vec<ReadAtStart>,
    pub(super) known: Inventory,
    /// The certificates that are packed without their keys, which were deleted here before trust files changed.
    pub(super) without_keys: HashSet<Fingerprint>,
    pub(super) snapshots: Snapshots,
    pub(super) cache: VerificationCache,
    /// Filled while credentials are read.
    pub(super) exposed: ExposedKeys,
}

impl Inputs<'_> {
    /// Returns the certificates that a host needs.
    pub(super) fn specs(&self, roles: &Roles<'_>) -> Vec<CertificateSpec> {
        let master = roles.master().map(|host| self.cluster.master_specs(host));
        let node = roles.node().map(|host| self.cluster.node_specs(host));
        master.into_iter().chain(node).flatten().collect()
    }

    /// Checks all credentials of a host, and returns entries for the verification cache for those that were read.
    ///
    /// Files that the cache covers are not read.
    pub(super) fn check(&self, roles: &Roles<'_>) -> Result<Vec<CacheEntry>, RefusedHost> {
        let (layout, now) = (&self.env.layout, self.env.now);
        let specs = self.specs(roles);
        let mut entries = Vec::new();
        // A host that is both master and node has two folders.
        for specs in specs.chunk_by(|a, b| a.policy().holder == b.policy().holder) {
            let snapshot = self.snapshots.take(specs);
            if snapshot.is_some_and(|snapshot| self.cache.covers(&snapshot, now, now)) {
                continue;
            }
            let mut verified = Vec::new();
            for spec in specs {
                let (keys, issuer) = (self.cluster.keys, self.cas.issuer_of(spec));
                match credentials::read_good(layout, spec, keys, issuer, &self.known, now) {
                    Ok(loaded) => verified.push(loaded.credential.certificate),
                    Err(problems) if self.is_packed_without_key(spec, &problems) => {}
                    Err(problems) => return Err(self.refused(spec, roles, problems)),
                }
            }
            entries.extend(
                snapshot.zip(specs.first()).and_then(|(snapshot, first)| snapshot.entry(first, verified.iter())),
            );
        }
        Ok(entries)
    }

    /// Returns true if a certificate without its key goes into a bundle.
    ///
    /// That is so if only the host ever had the key, or if it was deleted here before trust files changed: the host has it, and
    /// needs only the new roots. `install.sh` refuses the bundle on a host that has another key, or none.
    fn is_packed_without_key(&self, spec: &CertificateSpec, problems: &[CredentialProblem]) -> bool {
        match problems {
            [CredentialProblem::KeyOnHost { .. }] => true,
            [CredentialProblem::KeyDiscarded { .. }] => self.is_key_left_out(spec),
            _ => false,
        }
    }

    fn is_key_left_out(&self, spec: &CertificateSpec) -> bool {
        let stored = credentials::read_certificates(&self.env.layout, spec);
        stored.is_ok_and(|(certificate, chain)| {
            let expected = self.cas.issuer_of(spec).ca_of(&certificate).chain();
            self.without_keys.contains(&certificate.fingerprint()) && chain == expected
        })
    }

    /// Returns true if a host's bundle lacks keys that only the host has.
    pub(super) fn lacks_keys(&self, roles: &Roles<'_>) -> bool {
        let layout = &self.env.layout;
        let is_left_out = |spec: &CertificateSpec| !credentials::has_key(layout, spec) && self.is_key_left_out(spec);
        let is_on_host =
            |spec: &CertificateSpec| credentials::is_key_on_host(layout, spec, &self.known) || is_left_out(spec);
        let has_any = self.known.has_keys_on_hosts() || !self.without_keys.is_empty();
        has_any && self.specs(roles).iter().any(is_on_host)
    }

    fn refused(&self, spec: &CertificateSpec, roles: &Roles<'_>, problems: Vec<CredentialProblem>) -> RefusedHost {
        let is_key_on_host = credentials::is_key_on_host(&self.env.layout, spec, &self.known);
        RefusedHost { host: roles.host().clone(), credential: spec.profile, problems, is_key_on_host }
    }

    /// Reads a host's credentials and checks the bytes that are packed, except for the issuer's signature.
    ///
    /// The signature was verified before, or the ledger has the certificate's fingerprint.
    pub(super) fn credentials(&self, roles: &Roles<'_>) -> Result<Vec<HostCredential>, PackageError> {
        let layout = &self.env.layout;
        let mut found = Vec::new();
        for spec in self.specs(roles) {
            let (keys, issuer) = (self.cluster.keys, self.cas.issuer_of(&spec));
            let changed = |problems| PackageError::CredentialChanged(self.refused(&spec, roles, problems));
            let loaded = match credentials::read_issued(layout, &spec, keys, issuer, &self.known, self.env.now) {
                Ok(loaded) => loaded,
                Err(problems) if self.is_packed_without_key(&spec, &problems) => {
                    let (certificate, chain) =
                        credentials::read_certificates(layout, &spec).map_err(|problem| changed(vec![problem]))?;
                    found.push(HostCredential { profile: spec.profile, certificate, chain, key: None });
                    continue;
                }
                Err(problems) => return Err(changed(problems)),
            };
            if let Some(problem) = credentials::mode_problem(layout, &spec, Some(&loaded)) {
                self.exposed.add(problem);
            }
            found.push(HostCredential::with_key(spec.profile, loaded.credential));
        }
        Ok(found)
    }
}

/// Returns the public keys, as PEM, of which API servers also accept tokens, while that key is rotated.
pub(super) fn other_token_keys(hosts: &[Roles<'_>], layout: &Layout) -> Result<Vec<String>, PackageError> {
    if hosts.iter().all(|roles| roles.master().is_none()) {
        return Ok(Vec::new());
    }
    service_account::other_public_keys(layout).map_err(PackageError::ServiceAccountKey)
}

/// Returns the key that signs service account tokens, as PKCS#8 PEM; `None` if no host is a master.
pub(super) fn service_account_key(
    hosts: &[Roles<'_>],
    layout: &Layout,
) -> Result<Option<Zeroizing<Vec<u8>>>, PackageError> {
    if hosts.iter().all(|roles| roles.master().is_none()) {
        return Ok(None);
    }
    match service_account::read(layout).map_err(PackageError::ServiceAccountKey)? {
        KeyPairState::Complete(key) => Ok(Some(Zeroizing::new(key.to_pem().as_bytes().to_vec()))),
        KeyPairState::Missing | KeyPairState::PrivateKeyOnly(_) => {
            Err(PackageError::ServiceAccountKey(CredentialProblem::NotThere))
        }
    }
}
