//! Remedies of revocation in words.

use crate::app::revoke::Remedy;

/// Returns what helps where certificates cannot be revoked.
pub(super) fn words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::RestoreOrRenewCrls => {
            "restore it from a backup, or sign it again from what the ledger knows: clusterctl revoke --renew"
                .to_owned()
        }
        Remedy::LearnFromCrls => {
            "the ledger is from a backup; it learns them from the CRLs with: clusterctl revoke --renew".to_owned()
        }
        Remedy::ReplaceCas => {
            "start a new cluster directory with new CAs: with so many revocations the old ones protect little"
                .to_owned()
        }
        Remedy::NameCertificate => {
            "name a certificate's file or a kubeconfig, a host, an account or a serial number".to_owned()
        }
        Remedy::NameRenderedFile => {
            "name policy/masters/authorization.yaml, the one of a master, a master's bundle, or the folder bundles"
                .to_owned()
        }
        Remedy::AskItsIssuer => "nothing was revoked: its own CA can revoke it".to_owned(),
    }
}
