//! The texts of remedies for the files of a cluster directory.

use crate::cli::remedies::package::USE_NEWER_VERSION;
use crate::cli::remedies::request::send_request;
use crate::verify::remedy::{DirectoryRemedy, FileRemedy, Server};
use crate::verify::target::Place;

/// The remedy for certificates of the former account scheme.
const REPLACE_ACCOUNTS: &str = "clusterctl issue-node --all revokes what it replaces";

/// The remedies if a root has expired: `rotate-ca` needs a root that can still sign.
const REPLACE_EXPIRED_ROOT: &str = "it signs nothing more, and cannot be rotated: move pki away, make new CAs with clusterctl \
    init-ca, copy sa.key and sa.pub back, run issue-master --all, issue-node --all and bundle --all, and install every bundle \
    with install.sh --replace";
const REPLACE_EXPIRED_ROOT_OF_ROLE: &str = "it signs nothing more, and cannot be rotated: move pki away, import the other CAs \
    from there (clusterctl import-ca), make this one with init-ca, copy sa.key and sa.pub back, run issue-master --all, \
    issue-node --all and bundle --all, and install every bundle";

/// The remedies if a CA expires that only is trusted: `rotate-ca` replaces the one that signs.
const REISSUE_OF_TRUSTED: &str = "it signs nothing, so it is not rotated. Before it expires, issue with the CA that signs what this one \
    signed: clusterctl issue-master --all --reissue, issue-node --all --reissue, issue-admin NAME --reissue, and bundle --all";
const REISSUE_OF_TRUSTED_ROLE: &str = "it signs nothing, so it is not rotated. Before it expires, issue with the CA that signs what this \
    one signed: clusterctl issue-master --all --reissue, and bundle --all";

/// The remedy if no file of rules in the directory is new enough.
const RECORD_FROM_A_MASTER: &str = "restore the newest pki/, or copy /etc/kubernetes/clusterctl/authorization.yaml \
    from a control-plane node and record again what is missing with: clusterctl revoke --from FILE";

/// Returns the text of a remedy of credentials.
pub(super) fn credential(remedy: &DirectoryRemedy) -> String {
    let text = match remedy {
        DirectoryRemedy::Issue { server, reissue } => {
            return format!("{}{}", issue(server), if *reissue { " --reissue" } else { "" });
        }
        DirectoryRemedy::RenewHost(server) => {
            return format!("renew it before it expires: {} --reissue", issue(server));
        }
        // Without a time it would keep what is not due yet.
        DirectoryRemedy::RenewVerifier { days } => {
            return format!("renew it before it expires: clusterctl issue-master --all --renew-within {days}d");
        }
        DirectoryRemedy::ReissueUnlessInstalled { host } => {
            return format!("if it was not installed on its host: clusterctl issue-node {host} --reissue");
        }
        DirectoryRemedy::SendRequest { host } => return send_request(host),
        DirectoryRemedy::DeleteDeliveredKey { path } => {
            return format!("once its host's encrypted bundle is installed: rm {path}");
        }
        DirectoryRemedy::RestrictKey { path } => return format!("chmod 600 {path}"),
        DirectoryRemedy::ReissueAdmin { name, is_break_glass } => {
            let flag = if *is_break_glass { " --break-glass" } else { "" };
            return format!("clusterctl issue-admin {name}{flag} --reissue");
        }
        DirectoryRemedy::DeleteAdmin { path } => return format!("rm {path}"),
        DirectoryRemedy::MoveAdminAway { path } => {
            return format!("move {path} to another folder: this one is for the kubeconfigs that clusterctl issues");
        }
        DirectoryRemedy::DeleteEmergencyAdmin { path } => {
            return format!("delete it when the emergency is over: rm {path}");
        }
        DirectoryRemedy::RemoveHost { host } => return format!("if it has left the cluster: clusterctl remove {host}"),
        DirectoryRemedy::RemoveRole { revoke, paths } => return remove_role(revoke, paths),
        DirectoryRemedy::ReplaceAccounts { delete_objects: true } => {
            return format!("{REPLACE_ACCOUNTS}; clusterctl policy names the objects that grant them rights");
        }
        DirectoryRemedy::ReplaceAccounts { delete_objects: false } => REPLACE_ACCOUNTS,
        DirectoryRemedy::ReissueBoth => "reissue both with --reissue: a holder of the key can impersonate the other",
        DirectoryRemedy::RestoreRoot => "restore the root's files from a backup",
        DirectoryRemedy::ContinueRotation => "clusterctl rotate-ca status says what to do next",
        DirectoryRemedy::Apply => "clusterctl apply issues and packs what the phase of the rotation requires",
        DirectoryRemedy::PlanNewRoots { role } => {
            let role = role.as_ref().map(|role| format!(" --role {role}")).unwrap_or_default();
            return format!(
                "replace the root before it expires (clusterctl rotate-ca start{role}): what it signs expires with it, at the latest"
            );
        }
        DirectoryRemedy::ReplaceExpiredRoot { role: None } => REPLACE_EXPIRED_ROOT,
        DirectoryRemedy::ReplaceExpiredRoot { role: Some(_) } => REPLACE_EXPIRED_ROOT_OF_ROLE,
        DirectoryRemedy::ReissueOfTrusted { role: None } => REISSUE_OF_TRUSTED,
        DirectoryRemedy::ReissueOfTrusted { role: Some(_) } => REISSUE_OF_TRUSTED_ROLE,
        DirectoryRemedy::IssueServiceAccountKey => "clusterctl issue-master --all",
        DirectoryRemedy::RestoreServiceAccountKey => "restore sa.key and sa.pub from a backup",
    };
    text.to_owned()
}

/// Returns the text of a remedy of other files.
pub(super) fn file(remedy: &FileRemedy) -> String {
    let text = match remedy {
        FileRemedy::RemoveUnfinished { folders } => {
            let files: Vec<String> = folders.iter().map(|folder| format!("{folder}/.unfinished-*")).collect();
            return format!("if no clusterctl runs here: rm -r {}", files.join(" "));
        }
        FileRemedy::PackBundle { host, format } => return pack(host, format.as_deref()),
        FileRemedy::PackIfChanged { host } => {
            return format!("if anything has changed since it was made: {}", pack(host, None));
        }
        FileRemedy::CompareBundle { host, format } => {
            let pack = pack(host, format.as_deref());
            return format!("compare these files, if you made them with --templates or --set; otherwise: {pack}");
        }
        FileRemedy::RecordMissing { from: Some(path) } => {
            return format!(
                "pki/ is from a backup: restore the newest one, or record again what it lacks with: clusterctl revoke \
                 --from {path}"
            );
        }
        FileRemedy::CheckOwner { path } => {
            return format!(
                "check who owns {path} and the folder that it is in, and their modes, or run as their owner"
            );
        }
        FileRemedy::MoveAway { path } => {
            return format!(
                "there is a folder instead of a file, or a file instead of a folder: check {path}, and move \
                away what does not belong there"
            );
        }
        FileRemedy::RecordMissing { from: None } => RECORD_FROM_A_MASTER,
        FileRemedy::RestrictAccess => "chmod go= on each of them",
        FileRemedy::RestrictOwners => "chown each of them, and chmod go-w",
        FileRemedy::RemoveUnfinishedIssue => "clusterctl issue-node --all removes them",
        FileRemedy::UseNewerVersion => USE_NEWER_VERSION,
        FileRemedy::WritePolicy => "clusterctl policy",
        FileRemedy::RenewCrl => "clusterctl crl renew",
        FileRemedy::RestoreLedger => "restore the newest ledger: this one is older than the CRL",
        FileRemedy::FreeSpace => "free some space and run the same command again: nothing is lost",
        FileRemedy::CheckDisk => "it may be valid: check the disk",
    };
    text.to_owned()
}

fn issue(server: &Server) -> String {
    match server.place {
        Place::Node => format!("clusterctl issue-node {}", server.host),
        Place::Cluster => "clusterctl issue-master --all".to_owned(),
        Place::Master | Place::Endpoint => format!("clusterctl issue-master {}", server.host),
    }
}

fn pack(host: &str, format: Option<&str>) -> String {
    match format {
        None => format!("clusterctl bundle {host}"),
        Some(format) => format!("clusterctl bundle {host} --format {format}"),
    }
}

fn remove_role(revoke: &[String], paths: &[String]) -> String {
    let mut commands: Vec<String> = revoke.iter().map(|what| format!("clusterctl revoke {what}")).collect();
    if !paths.is_empty() {
        commands.push(format!("rm -r {}", paths.join(" ")));
    }
    format!("if it no longer has that role: {}", commands.join(" ; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::profile::CaRole;

    #[test]
    fn commands_name_the_role_and_the_kind_of_account() {
        let has = |remedy: DirectoryRemedy, command: &str| assert!(credential(&remedy).contains(command), "{remedy:?}");
        has(DirectoryRemedy::plan_new_root(CaRole::Etcd), "clusterctl rotate-ca start --role etcd)");
        has(DirectoryRemedy::plan_new_root(CaRole::Cluster), "clusterctl rotate-ca start)");
        let reissue = |is_break_glass| DirectoryRemedy::ReissueAdmin { name: "x".to_owned(), is_break_glass };
        has(reissue(true), "clusterctl issue-admin x --break-glass --reissue");
        has(reissue(false), "clusterctl issue-admin x --reissue");
    }
}
