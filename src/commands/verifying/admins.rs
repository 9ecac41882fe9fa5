//! What an audit finds of administrators' kubeconfigs.

use std::path::Path;

use zeroize::Zeroizing;

use super::audit::Audit;
use crate::cluster::duration::stamp;
use crate::cluster::profile::SYSTEM_MASTERS;
use crate::config::kubeconfig::{self, Credential};
use crate::pki::certificate::Certificate;
use crate::pki::lint::general_violations;
use crate::pki::pem;
use crate::pki::violation::Violation;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::files;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::DirectoryRemedy;
use crate::verify::target::Place;

/// No administrator's kubeconfig is larger than this, in bytes.
const ADMIN_LIMIT: u64 = 256 * 1024;

impl Audit<'_> {
    /// Administrators' kubeconfigs that still lie here. They are to be handed over: one that passes by every authorizer is
    /// told of even when it is as it should be.
    pub(super) fn admins(&self) -> Vec<Finding> {
        let names = files::names_in(&self.layout.admins()).unwrap_or_default();
        names.iter().filter(|name| name.ends_with(".conf")).map(|name| self.admin(name)).collect()
    }

    fn admin(&self, file: &str) -> Finding {
        let path = self.layout.admins().join(file);
        let who = format!("admin {}", file.trim_end_matches(".conf"));
        let finding = |status| {
            Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, &who, status).address(path.display().to_string())
        };
        let expected = "a kubeconfig of this root's, known to the ledger, its owner's alone";
        let certificate = match administrator(&path) {
            Ok(certificate) => certificate,
            Err(why) => {
                return finding(Status::Fail).saw(why, expected).remedy(reissue(file));
            }
        };
        let mut wrong: Vec<String> =
            general_violations(&certificate, self.now).iter().map(ToString::to_string).collect();
        if !self.root.accepted().any(|ca| certificate.is_signed_by(ca.certificate())) {
            wrong.push(Violation::BadSignature.to_string());
        }
        if self.known.sequence(certificate.fingerprint()).is_none() {
            wrong.push(CredentialProblem::NotInLedger.to_string());
        }
        let revoked = self.known.revocation(certificate.fingerprint()).cloned();
        wrong.extend(revoked.map(|revocation| CredentialProblem::Revoked(revocation).to_string()));
        wrong.extend(credentials::readable_by_others(&path).map(|trouble| trouble.to_string()));
        let until = stamp(certificate.not_after);
        if !wrong.is_empty() {
            let remedy = DirectoryRemedy::DeleteAdmin { path: path.display().to_string() };
            return finding(Status::Fail).saw(wrong.join("; "), expected).remedy(remedy);
        }
        if certificate.subject.organizations.iter().any(|group| group == SYSTEM_MASTERS) {
            let saw = format!("{SYSTEM_MASTERS}, which no authorizer is asked about, until {until}");
            return finding(Status::Warn)
                .saw(saw, "no such account outside of an emergency")
                .remedy(DirectoryRemedy::DeleteEmergencyAdmin { path: path.display().to_string() });
        }
        let left = certificate.not_after - self.now;
        // One that was made for a short time is not warned of all of that time.
        if left <= self.expires_within.min((certificate.not_after - certificate.not_before) / 3) {
            return finding(Status::Warn)
                .saw(self.ends_soon(certificate.not_after), self.lasts())
                .remedy(reissue(file));
        }
        finding(Status::Pass).saw(format!("good until {until}"), expected)
    }
}

fn reissue(file: &str) -> DirectoryRemedy {
    DirectoryRemedy::ReissueAdmin { name: file.trim_end_matches(".conf").to_owned() }
}

/// The certificate in an administrator's kubeconfig.
fn administrator(path: &Path) -> Result<Certificate, String> {
    let bytes = files::read(path, ADMIN_LIMIT).map(Zeroizing::new).map_err(|error| error.to_string())?;
    let config = kubeconfig::read(&bytes).map_err(|error| error.to_string())?;
    let Some(Credential::Data(pem)) = config.users.first().and_then(|user| user.certificate.as_ref()) else {
        return Err("it holds no certificate".to_owned());
    };
    let der = pem::certificates(pem).map_err(|error| error.to_string())?.swap_remove(0);
    Certificate::from_der(der).map_err(|error| error.to_string())
}
