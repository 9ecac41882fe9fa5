//! Checks owners and modes of files and folders, and files that interrupted commands left.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use super::directory::Audit;
use crate::cluster::name::BUNDLE_SUFFIXES;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Role;
use crate::store::credentials;
use crate::store::files::{self, Owner};
use crate::store::issuance;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::FileRemedy;
use crate::verify::target::Place;

/// The ending of an encrypted bundle's name.
const ENCRYPTED: &str = ".age";
/// The maximum number of files that a finding names.
const NAMED: usize = 5;

impl Audit<'_> {
    /// Returns a finding if other users can access folders of keys, the ledger or the bundles.
    pub(super) fn open_folders(&self) -> Option<Finding> {
        let roles = [Role::Master, Role::Node].map(|role| self.layout.hosts_folder(role));
        let roots = [CaRole::Etcd, CaRole::FrontProxy].map(|role| self.layout.root_folder(role));
        let rotations = CaRole::ALL.map(|role| self.layout.rotation(role));
        let paths = [self.layout.pki(), self.layout.ledger(), self.layout.bundles(), self.layout.verifier_bundle()];
        let paths = paths.into_iter().chain(roles).chain(roots).chain(rotations).chain([self.layout.admins()]);
        let open: Vec<String> = paths
            .into_iter()
            .filter_map(|path| credentials::readable_by_others(&path))
            .map(|problem| problem.to_string())
            .collect();
        let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "folders", Status::Fail);
        let expected = "only their owner can access folders, ledger and bundles";
        (!open.is_empty()).then(|| finding.saw(open.join("; "), expected).remedy(FileRemedy::RestrictAccess))
    }

    /// Returns a finding if other users can change the cluster file, CAs, the ledger, rules, or their folders.
    ///
    /// Hosts' own folders are not checked: there are many, and the mode of `pki` protects them.
    pub(super) fn changeable_by_others(&self) -> Option<Finding> {
        let roots = CaRole::ALL.into_iter().flat_map(|role| {
            [
                self.layout.root_folder(role),
                self.layout.root_certificate(role),
                self.layout.root_key(role),
                self.layout.revocation_list(role),
            ]
        });
        let policy = files::files_below(&self.layout.policy()).unwrap_or_default();
        let policy = policy.into_iter().map(|path| self.layout.policy().join(path));
        let own = [
            self.layout.dir().to_owned(),
            self.layout.cluster_file(),
            self.layout.ledger(),
            self.layout.hosts_folder(Role::Master),
            self.layout.hosts_folder(Role::Node),
            self.layout.admins(),
            self.layout.service_account_key(),
            self.layout.service_account_public(),
            self.layout.bundles(),
            self.layout.policy(),
            self.layout.verifier_bundle(),
            self.layout.packing_record(),
        ];
        let (mut saw, mut by_everyone, mut paths) = (Vec::new(), false, BTreeSet::new());
        for path in own.into_iter().chain(roots).chain(policy).filter(|path| paths.insert(path.clone())) {
            if let Some(Owner { uid, ours }) = files::another_owner(&path, None) {
                saw.push(format!("{} belongs to uid {uid}, and clusterctl runs as {ours}", path.display()));
                by_everyone = true;
            }
            let Ok(mode) = files::mode(&path) else { continue };
            if mode & 0o022 != 0 {
                saw.push(format!("{} has mode {mode:04o}, others can change it", path.display()));
                by_everyone |= mode & 0o002 != 0;
            }
        }
        if saw.is_empty() {
            return None;
        }
        // If only the group has access, that is a warning: many distributions give each user a separate group.
        let status = if by_everyone { Status::Fail } else { Status::Warn };
        let more = saw.len().saturating_sub(NAMED);
        saw.truncate(NAMED);
        if more > 0 {
            saw.push(format!("and {more} more"));
        }
        let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "owners", status);
        let expected = "only its owner can change it, and the owner is the current user";
        Some(finding.saw(saw.join("; "), expected).remedy(FileRemedy::RestrictOwners))
    }

    /// Returns a finding if an interrupted command that issued certificates left temporary folders beside those of hosts.
    pub(super) fn unfinished_issue(&self) -> Option<Finding> {
        let count = issuance::unfinished(self.layout).ok().filter(|count| *count > 0)?;
        let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "folders", Status::Warn);
        let saw =
            format!("{count} temporary folders .unfinished-…, perhaps with keys, of an interrupted or running command");
        Some(finding.saw(saw, "nothing unfinished").remedy(FileRemedy::RemoveUnfinishedIssue))
    }

    /// Returns a finding if interrupted commands left temporary files in other folders.
    pub(super) fn unfinished_elsewhere(&self) -> Option<Finding> {
        let found = issuance::unfinished_elsewhere(self.layout).unwrap_or_default();
        if found.is_empty() {
            return None;
        }
        let counted = |(folder, count): &(PathBuf, usize)| format!("{count} in {}", folder.display());
        let saw = format!(
            "temporary files of an interrupted or running command, perhaps with keys: {}",
            found.iter().map(counted).collect::<Vec<_>>().join(", ")
        );
        let folders = found.iter().map(|(folder, _)| folder.display().to_string()).collect();
        let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "folders", Status::Warn);
        let finding = finding.saw(saw, "nothing unfinished");
        Some(finding.remedy(FileRemedy::RemoveUnfinished { folders }))
    }

    /// Returns a finding if other users can read bundles, or keys of hosts that are no longer in the cluster file.
    ///
    /// No other check covers those hosts, and their certificates may still be valid for a long time.
    pub(super) fn open_files(&self) -> Option<Finding> {
        let hosts: HashSet<&str> = self.cluster.host_names().into_iter().map(|name| name.as_str()).collect();
        let mut paths: Vec<PathBuf> = Vec::new();
        for role in [Role::Master, Role::Node] {
            let folder = self.layout.hosts_folder(role);
            for holder in files::names_in(&folder).unwrap_or_default() {
                if hosts.contains(holder.as_str()) {
                    continue;
                }
                let keys = files::names_in(&folder.join(&holder)).unwrap_or_default();
                paths.extend(
                    keys.iter().filter(|name| name.ends_with(".key")).map(|key| folder.join(&holder).join(key)),
                );
            }
        }
        // An encrypted bundle may be readable by all users.
        let bundles = self.layout.bundles();
        let is_archive =
            |name: &&String| !name.ends_with(ENCRYPTED) && BUNDLE_SUFFIXES.iter().any(|end| name.ends_with(end));
        let is_bundle = |name: &&String| is_archive(name) || files::is_folder(&bundles.join(name));
        let names = files::names_in(&bundles).unwrap_or_default();
        paths.extend(names.iter().filter(is_bundle).map(|name| bundles.join(name)));
        let open: Vec<String> = paths
            .into_iter()
            .filter_map(|path| credentials::readable_by_others(&path))
            .map(|problem| problem.to_string())
            .collect();
        let mut saw = open.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
        if open.len() > NAMED {
            saw.push_str(&format!("; and {} more", open.len() - NAMED));
        }
        let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "folders", Status::Fail);
        let expected = "only their owner can access bundles and keys of removed hosts";
        (!open.is_empty()).then(|| finding.saw(saw, expected).remedy(FileRemedy::RestrictAccess))
    }
}
