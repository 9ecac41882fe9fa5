//! Finds what differs from the cluster file, and changes it.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::changes::{BundleChange, BundleReason, Changes};
use crate::app::admin;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::issue::{self, IssueOptions, IssuePreview, Subjects};
use crate::app::notice::Notice;
use crate::app::observer::Observer;
use crate::app::once::Once;
use crate::app::package::{self, MissingRecipient, PackReason, PackageError, PackageOptions, PackagePreview, verifier};
use crate::app::policy::{self, ChangeKind, PolicyChange};
use crate::app::renew::{due_crls, renew_crls};
use crate::app::revoke::removed_hosts;
use crate::app::rotate::{self, OutdatedAccount};
use crate::bundle::policy::{ACCOUNTS, AUTHORIZATION};
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::{Cluster, Role};
use crate::pki::issuer::Issuer;
use crate::store::files;
use crate::store::issuance::{self, HostFolders};

/// The plan of a run.
#[derive(Debug)]
pub struct ApplyPlan<'a> {
    options: PackageOptions<'a>,
    cluster: &'a Cluster,
    env: &'a Env,
    changes: Changes,
    /// The roles of hosts whose credentials change.
    issues: Vec<Role>,
    signers: BTreeSet<CaRole>,
    /// Whether an interrupted run packed bundles without recording that.
    is_packing_unrecorded: bool,
    /// The notices that were already reported.
    seen: Vec<Notice>,
}

/// Finds what differs from the cluster file, and changes nothing.
///
/// `options` are those of packing all hosts but the ones in `without_recipients`, which are reported.
///
/// # Errors
/// Returns the errors of [`issue::preview`], [`policy::preview`] and of planning to pack; hosts that cannot be packed
/// are reported.
pub fn plan<'a>(
    options: PackageOptions<'a>,
    without_recipients: Vec<MissingRecipient>,
    cluster: &'a Cluster,
    env: &'a Env,
    observer: &mut dyn Observer,
) -> Result<ApplyPlan<'a>, Error> {
    let mut plan = ApplyPlan {
        changes: Changes { policy_folder: env.layout.policy(), without_recipients, ..Changes::default() },
        options,
        cluster,
        env,
        issues: Vec::new(),
        signers: BTreeSet::new(),
        is_packing_unrecorded: false,
        seen: Vec::new(),
    };
    for role in [Role::Master, Role::Node] {
        let mut observer = Once::new(observer, &mut plan.seen);
        let preview = issue::preview(issue_options(role, cluster), cluster, env, &mut observer)?;
        plan.add_issue(role, &preview);
    }
    plan.add_kubeconfigs()?;
    plan.changes.crls = due_crls(env, cluster, None)?;
    if !plan.changes.crls.is_empty() {
        plan.signers.extend(CaRole::ALL);
    }
    plan.add_policy(observer)?;
    plan.add_bundles(observer)?;
    plan.add_verifier_bundle()?;
    let (ledger, _) = directory::cas(&env.layout, cluster)?;
    let folders = HostFolders::list(&env.layout)?;
    plan.changes.removed_hosts = removed_hosts::find(&env.layout, cluster, &folders, &ledger, env.now)?;
    Ok(plan)
}

fn issue_options(role: Role, cluster: &Cluster) -> IssueOptions<'_> {
    let subjects = match role {
        Role::Master => Subjects::Masters(cluster.masters.iter().collect()),
        Role::Node => Subjects::Nodes(cluster.nodes.iter().collect()),
    };
    IssueOptions { subjects, reissue: false, renew_within: None, skips_unreadable: true }
}

impl<'a> ApplyPlan<'a> {
    fn add_issue(&mut self, role: Role, preview: &IssuePreview<'_>) {
        self.changes.to_request.extend(preview.to_request());
        // Hosts whose files cannot be read are refused when their bundles are planned.
        let of_verifier = preview.unreadable().find(|(host, _)| host.is_none());
        self.changes.verifier_unreadable =
            self.changes.verifier_unreadable.take().or(of_verifier.map(|(_, error)| error.clone()));
        if preview.is_empty() {
            return;
        }
        self.issues.push(role);
        self.signers.extend(preview.signers());
        self.changes.certificates.extend(preview.certificates());
        self.changes.service_account = self.changes.service_account.or(preview.service_account());
        self.changes.revoked.extend(preview.superseded().0.iter().cloned());
    }

    /// Adds the kubeconfigs that a rotation replaces: those that are here, and those that a person has to ask for.
    fn add_kubeconfigs(&mut self) -> Result<(), Error> {
        let (ledger, cas) = directory::cas(&self.env.layout, self.cluster)?;
        let outdated = rotate::outdated_accounts(&cas.cluster, &ledger, &self.env.layout, self.env.now)?;
        let (here, others) = outdated.into_iter().partition(OutdatedAccount::is_replaced_by_apply);
        self.changes.kubeconfigs = here;
        self.changes.to_reissue = others;
        if !self.changes.kubeconfigs.is_empty() {
            self.signers.insert(CaRole::Cluster);
        }
        Ok(())
    }

    fn add_policy(&mut self, observer: &dyn Observer) -> Result<(), Error> {
        let mut changes = policy::preview(self.env, self.cluster, self.options.templates.as_deref(), observer)?;
        if !self.changes.revoked.is_empty() {
            // Both files contain the last revocation, so they change even if their rules do not.
            for path in [ACCOUNTS, AUTHORIZATION] {
                if changes.iter().all(|change| change.path != path) {
                    changes.push(PolicyChange { path: path.to_owned(), kind: ChangeKind::Content });
                }
            }
        }
        self.changes.policy = changes;
        Ok(())
    }

    fn add_bundles(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let later = self.packed_later();
        let skipped: HashSet<HostName> = later
            .iter()
            .filter(|(_, reason)| !matches!(reason, BundleReason::Revocations))
            .map(|(host, _)| host.clone())
            .collect();
        let preview = package::preview(self.env, self.cluster, self.options.clone(), &skipped, observer)?;
        let PackagePreview { bundles, refused, kept, warnings, is_unrecorded } = preview;
        let mut reasons = later;
        for planned in bundles {
            reasons.entry(planned.host).or_insert(BundleReason::Outdated(planned.reason));
        }
        let refused_or_kept: HashSet<&HostName> = refused.iter().map(|one| &one.host).chain(&kept).collect();
        for roles in self.options.hosts.hosts() {
            let host = roles.host();
            let is_left_out = |reason: &BundleReason| {
                refused_or_kept.contains(host) && !matches!(reason, BundleReason::Outdated(PackReason::Keys))
            };
            let Some(reason) = reasons.remove(host).filter(|reason| !is_left_out(reason)) else { continue };
            let path = self.options.path(&self.env.layout, host);
            self.changes.bundles.push(BundleChange { host: host.clone(), path, reason });
        }
        let delivered = self.changes.bundles.iter().filter(|change| change.reason.needs_delivery());
        self.changes.to_deliver = delivered.map(|change| change.host.clone()).collect();
        self.changes.refused = refused;
        self.changes.keeping_bundles = kept;
        self.changes.warn(warnings);
        self.is_packing_unrecorded = is_unrecorded;
        Ok(())
    }

    /// Adds the verifier bundle, if there is one and it differs from what would be packed after this run's changes.
    fn add_verifier_bundle(&mut self) -> Result<(), Error> {
        let path = self.env.layout.verifier_bundle();
        if !files::is_plain_file(&path) {
            return Ok(());
        }
        let masters: HashSet<&HostName> = self.cluster.masters.iter().map(|host| &host.name).collect();
        let is_in_it = |host: &Option<HostName>| host.as_ref().is_none_or(|host| masters.contains(host));
        let is_changed = !self.changes.revoked.is_empty()
            || self.changes.certificates.iter().any(|one| is_in_it(&one.credential.host));
        let templates = self.options.templates.as_deref();
        let is_stale = is_changed
            || match verifier::is_verifier_bundle_stale(self.env, self.cluster, templates) {
                // The plan already names credentials that cannot be read, with their host or as the verifier's.
                Err(Error::Package(PackageError::VerifierCredential { .. })) => false,
                other => other?,
            };
        self.changes.verifier_bundle = is_stale.then_some(path);
        Ok(())
    }

    /// Returns the hosts whose bundles change because of what this run issues and revokes before it packs.
    fn packed_later(&self) -> HashMap<HostName, BundleReason> {
        let mut reasons = HashMap::new();
        for host in self.changes.certificates.iter().filter_map(|one| one.credential.host.as_ref()) {
            reasons.insert(host.clone(), BundleReason::Certificates);
        }
        let of_masters = match (self.changes.service_account, self.changes.revoked.is_empty()) {
            (Some(_), _) => BundleReason::ServiceAccountKey,
            (None, false) => BundleReason::Revocations,
            (None, true) => return reasons,
        };
        for master in &self.cluster.masters {
            reasons.entry(master.name.clone()).or_insert_with(|| of_masters.clone());
        }
        reasons
    }

    /// Returns the planned changes, and what is left for a person or a host to do.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Returns true if there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.is_packing_unrecorded
    }

    /// Returns the CAs whose keys are needed, each once.
    #[must_use]
    pub fn signers(&self) -> Vec<CaRole> {
        self.signers.iter().copied().collect()
    }

    /// Removes the unfinished files of an interrupted run, for plans that have nothing else to do. Writes nothing if
    /// there are none.
    ///
    /// # Errors
    /// Returns an error if the directory cannot be locked or a file cannot be removed.
    pub fn tidy(self, observer: &mut dyn Observer) -> Result<Changes, Error> {
        let layout = &self.env.layout;
        let elsewhere = issuance::unfinished_elsewhere(layout)?;
        if issuance::unfinished(layout)? > 0 || !elsewhere.is_empty() {
            let _lock = directory::lock(self.env, "apply", observer)?;
            issuance::sweep(layout)?;
            for (folder, _) in &elsewhere {
                files::sweep(folder)?;
            }
        }
        Ok(self.changes)
    }

    /// Changes what differs: issues credentials, signs CRLs, writes access rules, then packs bundles.
    ///
    /// `issuers` are the CAs of [`Self::signers`].
    ///
    /// # Errors
    /// Returns the errors of the use cases of each kind. What was changed until then is complete; another run does the
    /// rest.
    pub fn apply(mut self, issuers: &[Issuer], observer: &mut dyn Observer) -> Result<Changes, Error> {
        // Each use case finds these again under the lock. Another run may have made some of the planned changes since,
        // and only those of this run are reported.
        self.changes.warnings.clear();
        self.changes.certificates.clear();
        self.changes.revoked.clear();
        self.changes.service_account = None;
        for role in std::mem::take(&mut self.issues) {
            let options = issue_options(role, self.cluster);
            let plan = issue::plan(options, "apply", self.cluster, self.env, &mut Once::new(observer, &mut self.seen))?;
            let preview = plan.preview();
            self.changes.certificates.extend(preview.certificates());
            self.changes.service_account = self.changes.service_account.or(preview.service_account());
            self.changes.revoked.extend(preview.superseded().0.iter().cloned());
            if !preview.is_empty() {
                plan.apply(issuers, &mut Once::new(observer, &mut self.seen))?;
            }
        }
        self.reissue_kubeconfigs(issuers, observer)?;
        if !self.changes.crls.is_empty() {
            self.changes.crls = due_crls(self.env, self.cluster, None)?;
        }
        if let Some(validity) = self.changes.crls.iter().map(|due| due.validity).max() {
            let (templates, mut observer) = (self.options.templates.clone(), Once::new(observer, &mut self.seen));
            let report = renew_crls(validity, templates, self.cluster, self.env, issuers, &mut observer)?;
            self.changes.crl_files = report.written;
        }
        if !self.changes.policy.is_empty() || !self.changes.crls.is_empty() {
            self.write_policy(observer)?;
        }
        if !self.changes.bundles.is_empty() || self.is_packing_unrecorded {
            self.pack(observer)?;
        }
        if self.changes.verifier_bundle.is_some() {
            self.pack_verifier(observer)?;
        }
        Ok(self.changes)
    }

    fn reissue_kubeconfigs(&mut self, issuers: &[Issuer], observer: &mut dyn Observer) -> Result<(), Error> {
        for account in &self.changes.kubeconfigs {
            let mut observer = Once::new(observer, &mut self.seen);
            // The name of a file of the directory; one that is no account's was not found.
            let Ok(name) = HostName::parse(&account.name) else { continue };
            admin::reissue(name, account.validity, issuers, (self.cluster, self.env), &mut observer)?;
        }
        Ok(())
    }

    fn write_policy(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let mut observer = Once::new(observer, &mut self.seen);
        let report = policy::write(self.env, self.cluster, self.options.templates.as_deref(), &mut observer)?;
        // The rules were written when certificates were revoked or CRLs were signed, and are up to date now.
        let wrote_rules = !self.changes.revoked.is_empty() || !self.changes.crls.is_empty();
        let is_written = |change: &PolicyChange| {
            report.changes.contains(change)
                || (wrote_rules && [ACCOUNTS, AUTHORIZATION].contains(&change.path.as_str()))
        };
        self.changes.policy.retain(is_written);
        for change in report.changes {
            if !self.changes.policy.contains(&change) {
                self.changes.policy.push(change);
            }
        }
        self.changes.deletions = report.deletions;
        self.changes.warn(report.warnings);
        Ok(())
    }

    fn pack_verifier(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let templates = self.options.templates.as_deref();
        if !verifier::is_verifier_bundle_stale(self.env, self.cluster, templates)? {
            self.changes.verifier_bundle = None;
            return Ok(());
        }
        let key = self.options.signing_key.as_deref();
        let report = verifier::pack_verifier(self.env, self.cluster, templates, key, observer)?;
        self.changes.warn(report.warnings);
        Ok(())
    }

    fn pack(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let planned: HashSet<&HostName> = self.changes.bundles.iter().map(|change| &change.host).collect();
        let hosts = match planned.is_empty() {
            // All hosts, because the packing of each of them has to be recorded.
            true => self.options.hosts.clone(),
            false => self.options.hosts.only(|host| planned.contains(host)),
        };
        let options = PackageOptions { hosts, ..self.options.clone() };
        let mut observer = Once::new(observer, &mut self.seen);
        let report = package::plan(self.env, self.cluster, options, &mut observer)?.apply(&mut observer)?;
        self.changes.to_deliver =
            report.bundles.iter().filter(|bundle| bundle.changed).map(|bundle| bundle.host.clone()).collect();
        let refused: HashSet<&HostName> = report.refused.iter().map(|refused| &refused.host).collect();
        let changed: HashSet<&HostName> = self.changes.to_deliver.iter().collect();
        // The report does not count a bundle as changed if only its format or its host's keys in the directory changed.
        self.changes.bundles.retain(|change| {
            !refused.contains(&change.host) && (changed.contains(&change.host) || !change.reason.needs_delivery())
        });
        self.changes.refused.extend(report.refused);
        self.changes.deleted_keys = report.discarded;
        self.changes.warn(report.warnings);
        Ok(())
    }
}
