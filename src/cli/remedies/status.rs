//! The texts of remedies for expiring items.

use crate::app::status::Remedy;
use crate::cli::finding_remedies;
use crate::verify::remedy::TargetKind;

/// Returns the text of a remedy.
pub(super) fn words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::OfFinding(remedy) => return finding_remedies::words(remedy, TargetKind::Directory),
        Remedy::RenewByKubeadm { name } => {
            return format!(
                "kubeadm certs renew {name} on this control-plane node, then restart the static pods that use it"
            );
        }
        Remedy::RenewByK3s => {
            "restart k3s, which renews what expires soon when it starts, or stop it, run k3s certificate rotate, and start it"
        }
        Remedy::LetTalosRenew => "Talos renews it while the node runs: check the node and its clock",
        Remedy::LetKubeletRenew => {
            "the kubelet renews it while it runs (rotateCertificates): check the kubelet, and its requests with kubectl get csr"
        }
        Remedy::ReplaceKubeletClient => {
            "the kubelet cannot renew it any more: give its node a new kubelet.conf (kubeadm kubeconfig user --org system:nodes \
             --client-name system:node:NODE, on a control-plane node), delete its kubelet-client-*.pem, and restart it"
        }
        Remedy::ReplaceKubeletServing => {
            "the kubelet made it itself and never renews it: delete kubelet.crt and kubelet.key, and restart the kubelet, which \
             makes new ones"
        }
        Remedy::RenewByItsTool => "renew it with the tool that issued it",
        Remedy::PlanNewCa => "replace the CA in time: what it signs expires with it, at the latest",
        Remedy::ReplaceExpiredCa => {
            "make a new CA, and issue with it all that this one signed: nothing of it is accepted any more"
        }
        Remedy::SignNewCrl => "sign a new CRL with the tool that signed this one",
    }
    .to_owned()
}
