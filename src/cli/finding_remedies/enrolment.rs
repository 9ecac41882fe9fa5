//! The remedies for the enrolment endpoint, in words.

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
            "another program, or a proxy, answers there: put clusterctl serve ca in its place".to_owned()
        }
        EnrolmentRemedy::NameNodeCredential => {
            "run it in a cluster directory that has the keys of two nodes, where this is wanted".to_owned()
        }
    }
}
