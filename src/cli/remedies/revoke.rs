//! Remedies of revocation in words.

use crate::app::revoke::Remedy;

/// Returns the remedy for certificates that cannot be revoked.
pub(super) fn words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::RestoreOrRenewCrls => {
            "restore it from a backup, or sign it again from what the ledger knows: clusterctl crl renew"
                .to_owned()
        }
        Remedy::LearnFromCrls => {
            "the ledger is from a backup; it learns them from the CRLs with: clusterctl crl renew".to_owned()
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
        Remedy::NameFileOrIssuer => {
            "print a certificate's serial number with: clusterctl show FILE. If the ledger is from a backup, revoke a certificate \
             that it lacks by its file, or with --issuer, which names the CA that signed it; issue-node and issue-master record it \
             when they replace it"
                .to_owned()
        }
        Remedy::FindSerial => "print a certificate's serial number with: clusterctl show FILE".to_owned(),
        Remedy::UseSimilar(name) => format!("did you mean {name} ?"),
        Remedy::RevokeHost(host) => {
            format!("revoke all certificates of the host with: clusterctl revoke {host}")
        }
        Remedy::NameHostOrSerial => "name one of them, or the serial number of one certificate".to_owned(),
        Remedy::NameHolder => "name a host, an account or a serial number of the ledger".to_owned(),
        Remedy::ReplaceCa => {
            "replace a CA that is lost: create a new cluster directory and install everything from it".to_owned()
        }
        Remedy::ExpiredIsRejected => "an expired certificate is rejected without a revocation".to_owned(),
        Remedy::RenewCrls => "sign the CRLs again with: clusterctl crl renew".to_owned(),
    }
}
