//! The texts of remedies for hosts that cannot join.

use crate::app::enrol::join::JoinRemedy;

pub(super) fn words(remedy: &JoinRemedy) -> String {
    match remedy {
        JoinRemedy::NameAnotherRoot => "name the folder that stands for / with --root".to_owned(),
        JoinRemedy::JoinFirst => "join first: clusterctl join --cluster ID@URL".to_owned(),
        JoinRemedy::RemoveState(path) => {
            format!("look at it, remove {}, and join again: the host's keys are kept", path.display())
        }
        JoinRemedy::LeaveFirst => {
            "a host is in one cluster, by one name. To leave it, remove etc/kubernetes/clusterctl/join.json and the files of its bundle first"
                .to_owned()
        }
        JoinRemedy::CheckNetwork => "check the address, the network and the firewall, and run it again".to_owned(),
        JoinRemedy::WaitAndRunAgain => {
            "wait, and run it again. On the admin machine, clusterctl csr list shows the open requests, and clusterctl csr deny makes room".to_owned()
        }
        JoinRemedy::CheckProof => {
            "it was refused before it was queued. On the admin machine, compare the host's name with cluster.yaml; clusterctl token list shows whether its token \
             is valid, and clusterctl token create HOST makes another one"
                .to_owned()
        }
        JoinRemedy::CheckCertificate => {
            "the certificate of this host may be revoked: on the admin machine, clusterctl log HOST shows that. If the host may come back, move its \
             certificates and keys away, and join again with a one-time token"
                .to_owned()
        }
        JoinRemedy::CheckId => {
            "compare ID and URL with those that clusterctl register printed. If they are right, the endpoint, or someone between it \
             and this host, sends false records: none was accepted"
                .to_owned()
        }
        JoinRemedy::AnnounceAgain => "run clusterctl announce on a master, and run this again".to_owned(),
        JoinRemedy::CheckClock => {
            "compare the clock of this host with the admin machine's, set the one that is wrong, and run it again".to_owned()
        }
        JoinRemedy::NameAnotherHostKey => "use /etc/ssh/ssh_host_ed25519_key".to_owned(),
        JoinRemedy::AskTheAdministrator => {
            "on the admin machine, clusterctl csr explain shows which rule decided. A name that was denied is free again after an hour, or after \
             kubectl delete csr"
                .to_owned()
        }
        JoinRemedy::MakeNewKeys => {
            "move var/lib/kubelet/pki/*.key away, and run it again: then new keys are made".to_owned()
        }
        JoinRemedy::Approve(names) => {
            format!("on the admin machine: clusterctl csr approve {}   then run the same command here again", names.join(" "))
        }
        JoinRemedy::RunAgain => "what is done is kept: run the same command again to continue".to_owned(),
        JoinRemedy::PackBundle => {
            "the certificates are installed. On the admin machine, run clusterctl bundle for this host; then run this again".to_owned()
        }
        JoinRemedy::NameHostKey => {
            "name it: --ssh-host-key /etc/ssh/ssh_host_ed25519_key".to_owned()
        }
        JoinRemedy::ReadInstaller => "follow what it says, and run the same command again".to_owned(),
    }
}
