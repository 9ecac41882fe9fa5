//! Checks the CAs' certificates and keys.

use std::path::Path;

use super::directory::Audit;
use crate::app::ca::{role_with_key, stored_key_problem};
use crate::app::renewal::{self, CaRule};
use crate::cluster::duration::{in_words, stamp};
use crate::cluster::profile::CaRole;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::certificate::Certificate;
use crate::pki::key::KeyError;
use crate::pki::trust_bundle::TrustBundle;
use crate::pki::violation::Violation;
use crate::sanitize::sanitized;
use crate::store::ca;
use crate::store::credentials::{self, CredentialProblem};
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::{CertificateRemedy, DirectoryRemedy, Remedy};
use crate::verify::target::Place;

const EXPECTED: &str = "a CA that matches the PKI policy, with a key that only its owner can read";

impl Audit<'_> {
    /// Returns the finding `store.credential` of every CA of a role, except retired ones.
    pub(super) fn cas_of(&self, role: CaRole) -> Vec<Finding> {
        match ca::trust(self.layout, role) {
            Ok(trust) => {
                trust.accepted().map(|ca| self.ca(ca, &ca::key_path(self.layout, &trust, ca), &trust)).collect()
            }
            Err(error) => vec![self.ca_finding(role, Status::Fail).saw(error.to_string(), EXPECTED)],
        }
    }

    fn ca_finding(&self, role: CaRole, status: Status) -> Finding {
        Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, role.as_str(), status)
            .address(self.layout.root_certificate(role).display().to_string())
    }

    fn ca(&self, ca: &CaCertificate, key: &Path, trust: &TrustBundle) -> Finding {
        let role = ca.role();
        let mut wrong = self.ca_problems(ca, ca == trust.active());
        let (is_expired, is_only_trusted) = (ca.not_after() <= self.now, trust.is_only_trusted(ca));
        // A CA's key may be kept elsewhere. A key in the directory must be readable only by its owner.
        let open = credentials::readable_by_others(key);
        wrong.extend(open.as_ref().map(ToString::to_string));
        if wrong.len() == 1 && is_expired && is_only_trusted {
            let saw = format!("expired at {}; it signed nothing that is valid any more", stamp(ca.not_after()));
            return self.ca_finding(role, Status::Pass).saw(saw, EXPECTED);
        }
        if !wrong.is_empty() {
            let remedy = if self.now < ca.certificate().not_before {
                Remedy::from(CertificateRemedy::CompareClocks)
            } else if wrong.len() == 1 && open.is_some() {
                DirectoryRemedy::RestrictKey { path: key.display().to_string() }.into()
            } else if wrong.len() == 1 && is_expired {
                renewal::ca_remedy(trust, self.now).into()
            } else {
                DirectoryRemedy::RestoreRoot.into()
            };
            return self.ca_finding(role, Status::Fail).saw(wrong.join("; "), EXPECTED).remedy(remedy);
        }
        let life = ca.not_after() - ca.certificate().not_before;
        let in_time = match is_only_trusted {
            // No certificate that is issued now expires with it.
            true => self.options.expires_within,
            false => self.options.expires_within.max(CaRule::of(self.cluster).replaced_before(life)),
        };
        if ca.not_after() - self.now <= in_time {
            return self
                .ca_finding(role, Status::Warn)
                .saw(self.time_left(ca.not_after()), format!("more than {} left", in_words(in_time)))
                .remedy(renewal::remedy_of_ca(ca, trust, self.now));
        }
        self.ca_finding(role, Status::Pass).saw(format!("valid until {}", stamp(ca.not_after())), EXPECTED)
    }

    fn ca_problems(&self, ca: &CaCertificate, is_active: bool) -> Vec<String> {
        let (role, certificate) = (ca.role(), ca.certificate());
        let mut wrong: Vec<String> = ca.violations(self.now).iter().map(ToString::to_string).collect();
        let known = self.known.sequence(certificate.fingerprint()).is_some();
        if known && !self.known.is_root(certificate.fingerprint(), role) {
            wrong.push(format!("the ledger does not record it as the {}", role.as_str()));
        }
        // The key in the directory belongs to the active CA. An encrypted key is not decrypted here.
        if is_active {
            wrong.extend(stored_key_problem(self.layout, ca).map(|error| match error {
                KeyError::Foreign => Violation::KeyDoesNotFit.to_string(),
                other => format!("its key cannot be used: {other}"),
            }));
        }
        wrong.extend(ca.is_of_another_cluster(&self.cluster.name).map(|violation| violation.to_string()));
        if !known {
            wrong.push(CredentialProblem::NotInLedger.to_string());
        }
        // With a shared key, each role would accept certificates of the other role's CA.
        let shared = |one: &Certificate| {
            let other = role_with_key(self.layout, role, &one.spki)?;
            Some(format!("the {} has the key of {}, too", other.as_str(), sanitized(&one.subject.text)))
        };
        wrong.extend(ca.path().find_map(shared));
        wrong
    }
}
