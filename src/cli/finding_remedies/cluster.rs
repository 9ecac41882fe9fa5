//! The texts of remedies for nodes and API servers, and of what the verifier may read.

use crate::verify::remedy::{HealthRemedy, TargetKind, VerifierRemedy, VerifierRight};

pub(super) fn health(remedy: &HealthRemedy, kind: TargetKind) -> String {
    let is_clusterctls = matches!(kind, TargetKind::Directory | TargetKind::Bundle);
    let text = match remedy {
        HealthRemedy::RegisterNode if is_clusterctls => {
            "has its kubelet registered? See the kubelet's log, and check that its node name is the one in cluster.yaml"
        }
        HealthRemedy::RegisterNode => {
            "has its kubelet registered? See the kubelet's log, and check that its node name is the one given here"
        }
        HealthRemedy::ListNodes if is_clusterctls => {
            "add them to cluster.yaml, or remove them: kubectl delete node NAME"
        }
        HealthRemedy::ListNodes => "name them with --node, too, or remove them: kubectl delete node NAME",
        HealthRemedy::CorrectAddresses if is_clusterctls => {
            "correct cluster.yaml, or the kubelet's --node-ip; API servers dial the InternalIP that they know, and the \
             certificate has to name it"
        }
        HealthRemedy::CorrectAddresses => {
            "correct --node here, or the kubelet's --node-ip; API servers dial the InternalIP that they know, and the certificate \
             has to name it"
        }
        HealthRemedy::ReachApiServer => {
            "see the kubelet's log on the node: does it reach the endpoint, and does it present its own certificate? A \
             Lease belongs to only one node"
        }
        HealthRemedy::VerifyAgain => "verify again: a kubelet creates its Lease soon after it has registered",
        HealthRemedy::SeparateNodes => {
            "a node renews only its own Lease: two kubelets run under one name, or one has another's certificate"
        }
        HealthRemedy::SetNodeClock => "set the node's clock, which decides which certificates it accepts",
        HealthRemedy::ReadNodeStatus => {
            "the node reaches the API servers; the reason is in its own status, and is unrelated to trust"
        }
        HealthRemedy::CheckEtcd => {
            "check etcd on the control-plane nodes: does a majority of its members run, and do the certificates match? (etcdctl \
             endpoint health --cluster; the API server's --etcd-servers, --etcd-cafile, --etcd-certfile)"
        }
        HealthRemedy::ReadApiServerLog => "an API server that has just started needs a moment; otherwise see its log",
    };
    text.to_owned()
}

pub(super) fn verifier(remedy: &VerifierRemedy, kind: TargetKind) -> String {
    let is_clusterctls = matches!(kind, TargetKind::Directory | TargetKind::Bundle);
    let text = match remedy {
        VerifierRemedy::GrantVerifier { right } => {
            let right = describe(*right);
            return match is_clusterctls {
                true => format!("grant the verifier's group the rights that its bundle lists: {right}"),
                false => format!("grant the verifier's account the rights that it needs: {right}"),
            };
        }
        VerifierRemedy::AllowAccessReviews if is_clusterctls => {
            "permit the verifier to ask, which changes nothing: kubectl apply -f policy/, or the verifier bundle's \
             policy/clusterctl-verifier.yaml, as this clusterctl writes them (create subjectaccessreviews)"
        }
        VerifierRemedy::AllowAccessReviews => {
            "permit the verifier's account to ask, which changes nothing: create subjectaccessreviews"
        }
        VerifierRemedy::EnableFlagz => "/flagz exists from Kubernetes 1.32 on, behind the feature gate ComponentFlagz",
        VerifierRemedy::EnableConfigz => "the kubelet serves /configz if enableDebuggingHandlers is true",
        VerifierRemedy::EnableFineGrainedAuthorization => {
            "this kubelet demands nodes/proxy, which permits running commands, so that no verifier gets it; nodes/configz is \
             enough with the feature gate KubeletFineGrainedAuthz, which is on from Kubernetes 1.33"
        }
        VerifierRemedy::BindPublicInfoViewer => {
            "bind ClusterRole system:public-info-viewer to group system:authenticated, as Kubernetes does"
        }
        VerifierRemedy::NameKubeletCredentials => {
            "to prove what nodes present, name a kubelet's kubeconfig, or --node-cert and --node-key"
        }
        VerifierRemedy::VerifyAllNodes => "leave --sample out to prove all of them",
    };
    text.to_owned()
}

fn describe(right: VerifierRight) -> &'static str {
    match right {
        VerifierRight::Configz => "get nodes/configz",
        VerifierRight::Flagz => "get the path /flagz",
        VerifierRight::Leases => "get and list leases in kube-node-lease",
        VerifierRight::TokenKeys => "get the path /openid/v1/jwks",
    }
}
