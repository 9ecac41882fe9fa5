//! Checks the key pair that signs service account tokens.

use super::directory::Audit;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::service_account::{self, KeyPairState};
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::DirectoryRemedy;
use crate::verify::target::Place;

const EXPECTED: &str = "a private key that only its owner can read, and its public key";

impl Audit<'_> {
    /// Returns the finding `store.credential` of the service accounts' key pair.
    pub(super) fn service_account(&self) -> Finding {
        let path = self.layout.service_account_key();
        let finding = |status| {
            Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "service accounts", status)
                .address(path.display().to_string())
        };
        let (wrong, remedy) = match (service_account::read(self.layout), credentials::readable_by_others(&path)) {
            (Ok(KeyPairState::Complete(key)), None) => {
                let saw = format!("{}, {}", key.kind(), key.fingerprint().as_pin());
                return finding(Status::Pass).saw(saw, EXPECTED);
            }
            (Ok(KeyPairState::Complete(_)), Some(open)) => {
                (open.to_string(), DirectoryRemedy::RestrictKey { path: path.display().to_string() })
            }
            (Ok(KeyPairState::Missing), _) => {
                (CredentialProblem::NotThere.to_string(), DirectoryRemedy::IssueServiceAccountKey)
            }
            (Ok(KeyPairState::PrivateKeyOnly(_)), _) => {
                let missing = CredentialProblem::Missing(self.layout.service_account_public());
                (missing.to_string(), DirectoryRemedy::IssueServiceAccountKey)
            }
            (Err(problem), _) => (problem.to_string(), DirectoryRemedy::RestoreServiceAccountKey),
        };
        finding(Status::Fail).saw(wrong, EXPECTED).remedy(remedy)
    }
}
