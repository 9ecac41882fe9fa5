//! Checks administrators' kubeconfigs.

use super::directory::Audit;
use crate::app::admin::kubeconfig::certificate_in;
use crate::app::admin::{ForeignKubeconfig, check_kubeconfig};
use crate::app::renewal;
use crate::cluster::duration::stamp;
use crate::cluster::profile::SYSTEM_MASTERS;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::certificate::Certificate;
use crate::pki::lint::general_violations;
use crate::pki::violation::Violation;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::files;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::DirectoryRemedy;
use crate::verify::target::Place;

impl Audit<'_> {
    /// Returns the finding `store.credential` of every administrator's kubeconfig in the directory.
    ///
    /// A kubeconfig that bypasses every authorizer should be kept elsewhere, so it is a warning even if it is valid.
    pub(super) fn admins(&self) -> Vec<Finding> {
        let names = files::names_in(&self.layout.admins()).unwrap_or_default();
        names.iter().filter(|name| name.ends_with(".conf")).map(|name| self.admin(name)).collect()
    }

    fn admin(&self, file: &str) -> Finding {
        let path = self.layout.admins().join(file);
        let name = file.trim_end_matches(".conf");
        let who = format!("admin {name}");
        let finding = |status| {
            Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, &who, status).address(path.display().to_string())
        };
        let expected = "a kubeconfig that only its owner can read, with a certificate that is in the ledger and signed by this root";
        let certificate = match certificate_in(&path) {
            Ok(certificate) => certificate,
            Err(reason) => {
                return finding(Status::Fail).saw(reason.to_string(), expected).remedy(reissue(file));
            }
        };
        let mut wrong: Vec<String> =
            general_violations(&certificate, self.now).iter().map(ToString::to_string).collect();
        if !self.root.accepted().any(|ca| certificate.is_signed_by(ca.certificate())) {
            wrong.push(self.other_ca(&certificate).to_string());
        }
        let foreign = check_kubeconfig(name, &certificate, self.root).err();
        // The certificate of another CA was named above.
        wrong.extend(foreign.iter().filter(|why| **why != ForeignKubeconfig::OtherCa).map(ToString::to_string));
        if self.known.sequence(certificate.fingerprint()).is_none() {
            wrong.push(CredentialProblem::NotInLedger.to_string());
        }
        let revoked = self.known.revocation(certificate.fingerprint()).cloned();
        wrong.extend(revoked.map(|revocation| CredentialProblem::Revoked(revocation).to_string()));
        wrong.extend(credentials::readable_by_others(&path).map(|problem| problem.to_string()));
        let until = stamp(certificate.not_after);
        if !wrong.is_empty() {
            let path = path.display().to_string();
            let remedy = match foreign {
                Some(_) => DirectoryRemedy::MoveAdminAway { path },
                None => DirectoryRemedy::DeleteAdmin { path },
            };
            return finding(Status::Fail).saw(wrong.join("; "), expected).remedy(remedy);
        }
        if certificate.subject.organizations.iter().any(|group| group == SYSTEM_MASTERS) {
            let saw = format!("{SYSTEM_MASTERS}, which bypasses every authorizer, until {until}");
            return finding(Status::Warn)
                .saw(saw, "no such account outside of an emergency")
                .remedy(DirectoryRemedy::DeleteEmergencyAdmin { path: path.display().to_string() });
        }
        let left = certificate.not_after - self.now;
        // A short-lived certificate must not be a warning during its whole lifetime.
        if left <= self.options.expires_within.min((certificate.not_after - certificate.not_before) / 3) {
            let remedy = match renewal::is_limited_by_ca(Some(certificate.not_after), self.root, self.now) {
                true => renewal::ca_remedy(self.root, self.now),
                false => reissue(file),
            };
            return finding(Status::Warn)
                .saw(self.time_left(certificate.not_after), self.expected_time())
                .remedy(remedy);
        }
        finding(Status::Pass).saw(format!("valid until {until}"), expected)
    }

    /// Returns the violation of a certificate that no accepted CA signed.
    fn other_ca(&self, certificate: &Certificate) -> Violation {
        let names = |ca: &CaCertificate| ca.certificate().subject.der == certificate.issuer.der;
        if self.root.accepted().any(names) {
            return Violation::BadSignature;
        }
        let root = self.root.active().certificate().subject.text.clone();
        Violation::OtherIssuer { found: certificate.issuer.text.clone(), root }
    }
}

fn reissue(file: &str) -> DirectoryRemedy {
    DirectoryRemedy::ReissueAdmin { name: file.trim_end_matches(".conf").to_owned(), is_break_glass: false }
}
