//! The texts of remedies for trust anchors.

use crate::verify::remedy::{TargetKind, TrustRemedy};

pub(super) fn words(remedy: &TrustRemedy, kind: TargetKind) -> String {
    let text = match remedy {
        TrustRemedy::KeepOnlyRoots => "keep root certificates in the trust file, and nothing else",
        TrustRemedy::RemoveUnusedRoot if kind == TargetKind::Directory => {
            "change its state in pki/trust.json from trusted to retired, remove its certificate from pki/ca.crt, run clusterctl apply, \
             and install the bundles"
        }
        TrustRemedy::RemoveUnusedRoot => "remove it from the trust file on every host",
        TrustRemedy::TrustIssuer => {
            "every renewal has to be distributed to each trust file: trust the CA that issues it, and not the certificate"
        }
        TrustRemedy::ReplaceRoot => replace_root(kind),
        TrustRemedy::ImproveNextRoot => {
            "Kubernetes accepts it as it is; the root that replaces it should have none of this"
        }
        TrustRemedy::CheckTrustFile => "check that the trust file is this cluster's ca.crt",
        TrustRemedy::SeeTrustAnchor => "no certificate is valid longer than its root: see trust.anchor",
        TrustRemedy::RewriteKubeconfig => rewrite_kubeconfig(kind),
    };
    text.to_owned()
}

fn replace_root(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Directory | TargetKind::Bundle => {
            "a root cannot be renewed in place: make a new one with `clusterctl init-ca` in a new directory, then reissue and \
             distribute every certificate"
        }
        TargetKind::Kubeadm => {
            "kubeadm does not renew its CA: replace /etc/kubernetes/pki/ca.crt by hand, as the Kubernetes documentation describes \
             under \"Manual Rotation of CA Certificates\""
        }
        TargetKind::Other => {
            "a root cannot be renewed in place: make a new one with the tool that made this cluster's, then reissue and \
             distribute every certificate"
        }
    }
}

fn rewrite_kubeconfig(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Directory | TargetKind::Bundle => {
            "use the kubeconfig of clusterctl's bundles, which has none of this"
        }
        TargetKind::Kubeadm => {
            "name the root, the certificate and its key by file path in it, an https server without a proxy, and no other \
             credential; what is embedded has to be written again at each renewal"
        }
        TargetKind::Other => {
            "name the CA, certificate and key as files of this cluster, with https and nothing that disables TLS verification"
        }
    }
}
