//! The texts of remedies of packing and opening bundles.

use super::{request, store};
use crate::app::package::{CredentialRemedy, Refusal, RefusedHost, Remedy};
use crate::cluster::spec::Role;
use crate::pki::violation::COMPARE_CLOCKS;

/// The remedy for a bundle that a later version wrote.
pub(crate) const USE_NEWER_VERSION: &str = "use the clusterctl that wrote it, or a later one";
/// The maximum number of hosts that a command names if it can use `--all` instead.
const NAMED: usize = 5;
/// The maximum number of hosts that a command names if it cannot use `--all`.
const NAMED_AT_MOST: usize = 50;

/// Returns the text of a remedy.
pub(super) fn words(remedy: &Remedy) -> Option<String> {
    let text = match remedy {
        Remedy::UseSimilarName(name) => return Some(format!("did you mean {name} ?")),
        Remedy::MakeReadable(error) => return store::words(error),
        Remedy::RepairCredentials(refusal) => return repair(refusal),
        Remedy::ReissueChanged { host, role } => {
            return Some(format!(
                "check all files with: clusterctl verify --offline   and reissue it with: clusterctl {} --reissue {host}",
                issue_command(*role)
            ));
        }
        Remedy::NameHosts => "name masters or nodes of the cluster file, or use --all",
        Remedy::AddHost => "add it to the cluster file first",
        Remedy::RemoveKubeletSettings => "remove them from cluster.yaml, or --set a later kubernetesVersion",
        Remedy::PackArchives => "only the archive can: omit --format, or use --unencrypted if cluster.yaml has sealTo",
        Remedy::PackWithInstaller => {
            "omit --sign-with, or use another format: the archive, the folder, or user-data for cloud-init"
        }
        Remedy::UseFormatWithInstaller => "use another format: the archive, the folder, or user-data for cloud-init",
        Remedy::CompleteKnownHosts => {
            "add one ssh-ed25519 key for each of them to known_hosts (ssh-keyscan -t ed25519 HOST, compared with the host's \
             own /etc/ssh/ssh_host_ed25519_key.pub), or leave them out"
        }
        Remedy::NameRecipients => {
            "give them a sealTo in cluster.yaml, or use --known-hosts FILE or --encrypt-to RECIPIENT; --unencrypted writes \
             all of them without encryption"
        }
        Remedy::ReplaceHostKeys => {
            "nothing was packed. They may be clones of one image: make new keys on one of them with rm \
             /etc/ssh/ssh_host_* && ssh-keygen -A, and update known_hosts"
        }
        Remedy::EncryptToDiscard => {
            "name recipients with sealTo in cluster.yaml, --known-hosts FILE or --encrypt-to RECIPIENT"
        }
        Remedy::EncryptAgain => {
            "encrypt them again, with --known-hosts FILE, --encrypt-to RECIPIENT or sealTo in cluster.yaml; or use \
             --unencrypted to replace them"
        }
        Remedy::ReplaceExpiredCa => {
            "no certificate that it signed is valid: start a new cluster directory. Or is this machine's clock (date) wrong?"
        }
        Remedy::CreateServiceAccountKey => "create it with: clusterctl issue-master --all",
        Remedy::RestoreServiceAccountKey => "restore pki/sa.key and pki/sa.pub from a backup",
        Remedy::MoveAway => "nothing was packed. Move it somewhere else, then run the same command again",
        Remedy::CorrectTemplate => {
            "correct the template that is named; clusterctl bundle --eject-templates DIR writes templates that work"
        }
        Remedy::RunAgain => "what is done is kept: run the same command again to continue",
        Remedy::IssueMasters => "issue it with: clusterctl issue-master --all",
        Remedy::UseRecipientsIdentity => {
            "run as root on its host, or name the key of another recipient with --identity. A host whose SSH keys were \
             replaced needs a new bundle"
        }
        Remedy::RemoveArmor => "decode it first, with: age -d, which also decrypts it",
        Remedy::CopyBundleAgain => "nothing was written: copy the bundle again",
        Remedy::CheckFile => "nothing was written: check that this is the right file",
        Remedy::UseNewerVersion => USE_NEWER_VERSION,
        Remedy::GetSignedBundle => {
            "nothing was written. Get the bundle from a signer that you trust; it is signed with: clusterctl bundle \
             --sign-with KEY"
        }
        Remedy::NameAnotherFolder => "remove it, or name another folder with --to",
    };
    Some(text.to_owned())
}

fn issue_command(role: Role) -> &'static str {
    match role {
        Role::Master => "issue-master",
        Role::Node => "issue-node",
    }
}

/// Returns the remedies for all refused hosts, in the order in which to apply them.
fn repair(refusal: &Refusal) -> Option<String> {
    let mut steps = Vec::new();
    let unreadable: Vec<_> = refusal.refused.iter().filter_map(RefusedHost::unreadable).collect();
    if let Some(hint) = unreadable.iter().find_map(|error| store::words(error)) {
        steps.push(match unreadable.len() - 1 {
            0 => hint,
            more => format!("{hint}, and the same for {more} more"),
        });
    }
    if refusal.refused.iter().any(|host| host.remedy() == CredentialRemedy::CompareClocks) {
        steps.push(COMPARE_CLOCKS.to_owned());
    }
    let commands = commands(&refusal.refused);
    if !commands.is_empty() {
        let which = if steps.is_empty() { "them" } else { "the others" };
        steps.push(format!("issue {which} with: {}", commands.join(" ; ")));
    }
    if refusal.is_partial {
        let hosts: Vec<&str> = refusal.refused.iter().take(NAMED_AT_MOST).map(|host| host.host.as_str()).collect();
        steps.push(format!("pack them with: clusterctl bundle {}", hosts.join(" ")));
    }
    (!steps.is_empty()).then(|| steps.join("; then "))
}

/// Returns the commands that issue the missing credentials.
fn commands(refused: &[RefusedHost]) -> Vec<String> {
    let hosts = |role: Role, remedy: CredentialRemedy| -> Vec<&str> {
        let of = refused.iter().filter(|host| host.role() == role && host.remedy() == remedy);
        of.map(|host| host.host.as_str()).collect()
    };
    let issue = |role: Role| {
        let (command, hosts) = (issue_command(role), hosts(role, CredentialRemedy::Issue));
        match hosts.len() {
            0 => None,
            1..=NAMED => Some(format!("clusterctl {command} {}", hosts.join(" "))),
            // With --all, valid credentials are kept.
            _ => Some(format!("clusterctl {command} --all")),
        }
    };
    let reissue = hosts(Role::Node, CredentialRemedy::Reissue);
    let reissue = match reissue.len() {
        0 => None,
        1..=NAMED_AT_MOST => Some(format!("clusterctl issue-node --reissue {}", reissue.join(" "))),
        // With --all it would also replace valid credentials.
        count => Some(format!(
            "clusterctl issue-node --reissue {}   (and {} more: run this again to list them)",
            reissue[..NAMED_AT_MOST].join(" "),
            count - NAMED_AT_MOST
        )),
    };
    let requests = hosts(Role::Node, CredentialRemedy::SendRequest).into_iter().take(NAMED_AT_MOST);
    let requests = requests.map(request::send_request);
    [issue(Role::Master), issue(Role::Node), reissue].into_iter().flatten().chain(requests).collect()
}
