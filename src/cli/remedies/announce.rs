//! The texts of remedies for clusters that cannot be registered or announced.

use crate::app::enrol::announce::AnnounceError;

pub(super) fn words(error: &AnnounceError) -> Option<String> {
    Some(match error {
        AnnounceError::NoEndpoint => "name it: clusterctl announce https://boot.example.net:6445".to_owned(),
        AnnounceError::NoEnrolment => "name it: --enrolment https://master-1.example.net:6444".to_owned(),
        AnnounceError::Credential { .. } | AnnounceError::NotAnAnnouncer { .. } => {
            "make one with: clusterctl issue-admin announcer --announcer".to_owned()
        }
        AnnounceError::Partly { source, .. } => return words(source),
        AnnounceError::Https(_) => "check the address, the network and the firewall, and run it again".to_owned(),
        AnnounceError::Refused { status: 404, .. } => {
            "register the cluster there first: clusterctl register URL".to_owned()
        }
        AnnounceError::Refused { status: 401, .. } => {
            "ask the operator of the endpoint for a token: clusterctl serve bootstrap --create-token".to_owned()
        }
        AnnounceError::Refused { status: 409, .. } => {
            "a registration token registers one cluster: ask the operator of the endpoint for another one (clusterctl serve bootstrap --create-token). \
             If the endpoint has a newer record, run announce where the last one was made, or compare the clocks"
                .to_owned()
        }
        AnnounceError::Refused { status: 422, .. } => {
            "compare the clock of this machine with that of the endpoint, and the validity of the announcer's certificate (clusterctl show FILE); then announce again"
                .to_owned()
        }
        AnnounceError::Refused { .. } | AnnounceError::Sign(_) | AnnounceError::Token(_) => return None,
    })
}
