//! The texts of remedies for the enrolment endpoint.

use crate::verify::remedy::EnrolmentRemedy;

pub(super) fn words(remedy: EnrolmentRemedy) -> String {
    match remedy {
        EnrolmentRemedy::StartEnrolmentServer => {
            "start it on a master: clusterctl serve ca; or correct the address and the firewall".to_owned()
        }
        EnrolmentRemedy::ServeOwnCertificate => {
            "the address has to be in masters in cluster.yaml: then clusterctl issue-master --all, and start clusterctl serve ca again"
                .to_owned()
        }
        EnrolmentRemedy::ReplaceEnrolmentServer => {
            "another program, or a proxy, answers there: replace it by clusterctl serve ca".to_owned()
        }
        EnrolmentRemedy::ReviewRequests => {
            "clusterctl csr list shows the open requests; then clusterctl csr explain NAME, and csr approve NAME or csr deny NAME"
                .to_owned()
        }
        EnrolmentRemedy::StartSigner => "start the signer: clusterctl signer".to_owned(),
    }
}
