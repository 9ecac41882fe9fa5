//! Notices of `init` as text.

use crate::app::init::{Notice, abbreviated_list};
use crate::cluster::inventory::addresses::Adjustment;
use crate::cluster::spec::DEFAULT_SERVICE_CIDR;
use crate::ui::Screen;

/// Shows a notice.
pub(super) fn show(notice: &Notice, screen: &mut Screen<'_>) {
    match notice {
        Notice::Address(address) if address.adjustment == Adjustment::NoInternalOfFamily => {
            screen.warn(format_args!("{address}; --external-ips keeps it"));
        }
        Notice::Address(address) => screen.warn(address),
        Notice::HostSkipped { host, reason } => screen.warn(format_args!("{host} is left out: {reason}")),
        Notice::AccountTooLong { host, reason } => screen.warn(format_args!("{host} is left out: {reason}")),
        Notice::OtherKinds(kinds) => {
            let kinds: Vec<String> = kinds.iter().cloned().collect();
            screen.warn(format_args!("objects of other kinds in the list are left out: {}", abbreviated_list(&kinds)));
        }
        Notice::Windows(hosts) => screen.warn(format_args!(
            "bundles have no installer for Windows, which these hosts run: {}; verify checks them like all others",
            abbreviated_list(hosts)
        )),
        Notice::VersionUnknown(note) => {
            screen.warn(format_args!("kubernetes.version is not set: {}", note.trim_end_matches('.')));
        }
        Notice::ServiceRangeAssumed => screen.warn(format_args!(
            "kubectl does not list the service range; {DEFAULT_SERVICE_CIDR} is assumed, the default of kubeadm, kind, minikube \
             and Talos. k3s and RKE2 have 10.43.0.0/16, MicroK8s 10.152.183.0/24, Kubespray 10.233.0.0/18, OpenShift \
             172.30.0.0/16, EKS 10.100.0.0/16 or 172.20.0.0/16, AKS 10.0.0.0/16. `kubectl get service kubernetes` shows \
             its first address, which API servers' certificates must name; set the range with --service-cidr"
        )),
    }
}
