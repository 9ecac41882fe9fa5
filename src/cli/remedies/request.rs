//! The texts of remedies for requests that cannot be made or signed.

use crate::app::request::Remedy;

pub(super) fn words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::NameAnotherRoot => "name the folder that stands for / with --root".to_owned(),
        Remedy::MoveKeyAway => "move it away: then a new key is made, and the host needs new certificates".to_owned(),
        Remedy::CloseKey(path) => format!(
            "chmod 600 {} ; if other users could read it, move it away instead: then a new key is made",
            path.display()
        ),
        Remedy::NameFiles => "name the files that clusterctl request wrote, or another tool's requests".to_owned(),
        Remedy::NameAnotherHostKey => "use /etc/ssh/ssh_host_ed25519_key".to_owned(),
        Remedy::NameHostKeys => {
            "compare the host's key by a channel that you trust, then name it in cluster.yaml (sealTo) or with --known-hosts FILE; \
             clusterctl request HOST --ssh-host-key /etc/ssh/ssh_host_ed25519_key signs with it"
                .to_owned()
        }
        Remedy::NameAnotherFile => "name another file with --out".to_owned(),
        Remedy::MakeNewKey => "move that key away on its host, and make a new one: clusterctl request HOST".to_owned(),
        Remedy::AddHost => {
            "add it to the nodes in cluster.yaml, or name the host that the request is for: clusterctl sign --host HOST FILE"
                .to_owned()
        }
        Remedy::IssueMaster(master) => {
            format!("a master's certificates are issued with their keys, in the cluster directory: clusterctl issue-master {master}")
        }
        Remedy::NameHostAndProfile => "name them: clusterctl sign --host HOST --profile kubelet-server FILE".to_owned(),
        Remedy::CorrectRequest => "make the request again: clusterctl request HOST. What a certificate may have is in cluster.yaml".to_owned(),
    }
}

/// Returns the remedy for a host whose keys only it has: a new request, over the network if it joined.
pub(crate) fn send_request(host: &str) -> String {
    format!(
        "on {host}, if it joined: clusterctl join --renew --force. Otherwise: clusterctl request {host} there, and clusterctl sign \
         {host}.request here"
    )
}
