//! The texts of remedies for findings of `lint`.

use crate::app::lint::LintRemedy;

pub(super) fn words(remedy: LintRemedy) -> &'static str {
    match remedy {
        LintRemedy::Renew => {
            "renew it with the tool that issued it (kubeadm certs renew, a restart of k3s, clusterctl renew)"
        }
        LintRemedy::Reissue => "issue it again without it",
        LintRemedy::ReissueWithNames => {
            "issue it again with every name and address at which clients connect (kubeadm: apiServer.certSANs; k3s: tls-san; \
             clusterctl: addresses in cluster.yaml)"
        }
        LintRemedy::SplitUsages => {
            "issue one certificate for the server and another one, with its own key, for the client"
        }
        LintRemedy::Shorten => "issue it for a shorter time, and renew it by a timer; no longer than its CA is valid",
        LintRemedy::CompareClocks => "compare the clock of this machine (date) with that of the one that issued it",
        LintRemedy::FindIssuer => {
            "put the CA that signed it in its place, or issue it again; clusterctl show prints issuers and fingerprints"
        }
        LintRemedy::ReplaceCa => "plan for a new CA: a CA cannot be changed, and what it signed has to be issued again",
        LintRemedy::SeparateCas => {
            "make one CA for the cluster, one for etcd and one for the front proxy (clusterctl init-ca)"
        }
        LintRemedy::FindKey => {
            "put the right key next to it; openssl pkey -in KEY -pubout and openssl x509 -in CERT -noout -pubkey print \
             the same for both"
        }
        LintRemedy::NewKey => {
            "make a new key of P-256, or RSA of at least 2048 bits, for this certificate only, and issue it again"
        }
        LintRemedy::CloseFile => "close the file with chmod 600; if others were on that machine, replace the key",
        LintRemedy::MoveCaKey => {
            "move the key to a machine that is not a node, or encrypt it; the controller manager needs it only to sign \
             certificate requests (clusterctl import-ca imports it)"
        }
        LintRemedy::BindByRbac => {
            "give its rights by RBAC to a group of your own, as clusterctl issue-admin does, and keep this credential offline for \
             emergencies"
        }
        LintRemedy::NameFiles => {
            "name client-certificate and client-key as files, which client-go reads again when they change, or restart the \
             component after a renewal"
        }
        LintRemedy::CorrectKubeconfig => "correct the kubeconfig; clusterctl show prints what it names",
        LintRemedy::CorrectKubeconfigCa => {
            "put the CA that signed the API server's certificate into certificate-authority-data"
        }
        LintRemedy::RepairFile => "make the file readable for this user, write it again, or remove it",
        LintRemedy::SignCrl => "sign a new CRL with the tool that signed this one (clusterctl crl renew)",
        LintRemedy::ReplaceRevoked => {
            "replace it where it is used, and deny it at API servers by their authorization configuration (clusterctl revoke)"
        }
    }
}
