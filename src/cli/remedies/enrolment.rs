//! The texts of remedies for the signer and for the review of requests.

use std::borrow::Cow;

use crate::app::enrol::ReviewRemedy;
use crate::sanitize::sanitized;

pub(super) fn words(remedy: &ReviewRemedy) -> Cow<'static, str> {
    Cow::Borrowed(match remedy {
        ReviewRemedy::DenySigned(name) => {
            let name = sanitized(name);
            return Cow::Owned(format!(
                "an approved request is denied by a signature: clusterctl csr deny {name} --sign-with KEY; or delete it: kubectl delete csr {name}"
            ));
        }
        ReviewRemedy::EnableEnrolment => {
            "write it into cluster.yaml, for example enrolment: {policy: queue}; clusterctl explain enrolment"
        }
        ReviewRemedy::CorrectKubeconfig => {
            "name a kubeconfig with a CA, a client certificate and its key, such as those of clusterctl issue-admin"
        }
        ReviewRemedy::GrantRights => {
            "the account needs rights: at an API server those of policy/, which kubectl apply -f policy/ grants to the groups \
             clusterctl:signers and clusterctl:approvers; clusterctl issue-admin NAME --signer or --approver makes such an account"
        }
        ReviewRemedy::CheckConnection => {
            "check that it runs and can be reached from here, then run the same command again"
        }
        ReviewRemedy::EndTheOtherSigner => {
            "stop the other signer, or wait until it stops: its Lease expires 15 seconds later"
        }
        ReviewRemedy::ListRequests => "clusterctl csr list --all shows the requests",
        ReviewRemedy::CorrectRequest => {
            "correct cluster.yaml, or let the host send a request that its entry there allows"
        }
        ReviewRemedy::AllowTheKey => {
            "sign with a key in the file that enrolment.allowedSigners in cluster.yaml names, or add the key there: each person and each key counts once"
        }
        ReviewRemedy::UseAnotherKey => "use an ed25519 or ECDSA key, or create one: ssh-keygen -t ed25519",
    })
}
