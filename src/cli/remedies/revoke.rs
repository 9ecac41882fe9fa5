//! The texts of remedies of revoking.

use crate::app::revoke::Remedy;

/// Returns the remedy for certificates that cannot be revoked.
pub(super) fn words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::RestoreOrRenewCrls => {
            "restore it from a backup, or sign it again from the ledger: clusterctl crl renew"
                .to_owned()
        }
        Remedy::RecordFromCrls => {
            "the ledger is from a backup; add them to it from the CRLs with: clusterctl crl renew".to_owned()
        }
        Remedy::ReplaceCas => {
            "replace the CA: clusterctl rotate-ca start; or, if that cannot be done, start a new cluster directory"
                .to_owned()
        }
        Remedy::NameCertificate => {
            "name a certificate's file or a kubeconfig, a host, an account or a serial number".to_owned()
        }
        Remedy::NameRenderedFile => {
            "name policy/masters/authorization.yaml, a master's copy of it, a master's bundle, or the folder bundles"
                .to_owned()
        }
        Remedy::AskItsIssuer => "nothing was revoked; only the CA that signed it can revoke it".to_owned(),
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
            "a CA is replaced instead: clusterctl rotate-ca start, with --emergency if the cluster's CA's key was stolen".to_owned()
        }
        Remedy::ExpiredIsRejected => "an expired certificate is rejected without a revocation".to_owned(),
        Remedy::RenewCrls => "sign the CRLs again with: clusterctl crl renew".to_owned(),
    }
}
