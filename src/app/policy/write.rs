//! Renders the access rules and writes them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::changes::{FolderComparison, FolderUpdate, PolicyChange};
use super::error::PolicyError;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::package::{TemplatesError, Warning, templates, versions};
use crate::app::revoke::superseded::Superseded;
use crate::app::revoke::{check_ledger_is_current, denials};
use crate::bundle::images::Settings;
use crate::bundle::policy::{self, PolicyFile};
use crate::bundle::render::TemplateError;
use crate::cluster::account::AccountScheme;
use crate::cluster::profile::Profile;
use crate::cluster::spec::Cluster;
use crate::rbac::denials::Denials;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::ledger::Ledger;

/// The result of writing the access rules.
#[derive(Debug)]
pub struct PolicyReport {
    /// The folder.
    pub folder: PathBuf,
    /// The files in it.
    pub files: Vec<PathBuf>,
    /// The files that changed.
    pub changes: Vec<PolicyChange>,
    /// The folder with the objects of accounts that are no longer in the cluster file, for deletion; `None` if there
    /// are none.
    pub deletions: Option<PathBuf>,
    /// Valid certificates of the previous account scheme.
    pub superseded: Option<Superseded>,
    /// Warnings about features that the cluster's release of Kubernetes does not support.
    pub warnings: Vec<Warning>,
}

/// Writes the folder of access rules. The same input gives the same bytes.
///
/// Files that are up to date are not written. `templates` is a folder of templates, instead of the one that the cluster
/// file names.
///
/// # Errors
/// Returns an error if a template cannot be used, the folder has other files, or CRLs or rendered files revoke more
/// than the ledger.
pub fn write(
    env: &Env,
    cluster: &Cluster,
    templates: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<PolicyReport, Error> {
    let layout = &env.layout;
    let templates = templates::load(templates, cluster, layout)?;
    let _lock = directory::lock(env, "policy", observer)?;
    let (mut ledger, denials) = denials_of(env, cluster)?;
    let settings = Settings::of(&cluster.kubernetes);
    let warnings = versions::unsupported(&settings, cluster.accounts, denials.count());
    let folder = layout.policy();
    check_folder(&folder)?;
    files::sweep(layout.dir())?;
    let deletions = ledger.as_ref().map(|ledger| left_over(cluster, ledger)).transpose()?.flatten();
    let (has_deletions, cancellation) = (deletions.is_some(), observer.cancellation());
    let mut update = FolderUpdate::new(&folder);
    for file in templates.policy(cluster, &denials).chain(deletions.map(Ok)) {
        if cancellation.is_cancelled() {
            return Err(PolicyError::Stopped.into());
        }
        update.add(rendered(file)?)?;
    }
    let (written, changes) = update.publish(layout.dir())?;
    if let Some(ledger) = ledger.as_mut().filter(|_| !changes.is_empty()) {
        ledger.log_event("policy", &cluster.name.to_string(), &folder.display().to_string(), &env.audit())?;
    }
    let superseded = ledger.as_ref().map(|ledger| Superseded::find(cluster, ledger, env)).transpose()?;
    Ok(PolicyReport {
        deletions: has_deletions.then(|| folder.join(policy::DELETE)),
        superseded: superseded.filter(|superseded| !superseded.is_empty()),
        folder,
        files: written,
        changes,
        warnings,
    })
}

/// Returns the files that [`write()`] would change, and changes nothing.
///
/// # Errors
/// Returns the errors of [`write()`].
pub fn preview(
    env: &Env,
    cluster: &Cluster,
    templates: Option<&Path>,
    observer: &dyn Observer,
) -> Result<Vec<PolicyChange>, Error> {
    let templates = templates::load(templates, cluster, &env.layout)?;
    let (ledger, denials) = denials_of(env, cluster)?;
    let folder = env.layout.policy();
    check_folder(&folder)?;
    let deletions = ledger.as_ref().map(|ledger| left_over(cluster, ledger)).transpose()?.flatten();
    let (mut comparison, cancellation) = (FolderComparison::new(&folder), observer.cancellation());
    for file in templates.policy(cluster, &denials).chain(deletions.map(Ok)) {
        if cancellation.is_cancelled() {
            return Err(PolicyError::Stopped.into());
        }
        comparison.add(&rendered(file)?);
    }
    Ok(comparison.end()?)
}

fn rendered(file: Result<PolicyFile, TemplateError>) -> Result<PolicyFile, TemplatesError> {
    file.map_err(|source| TemplatesError::Render { output: "the policy", source })
}

/// Returns the revoked certificates; empty if there are no CAs yet.
fn denials_of(env: &Env, cluster: &Cluster) -> Result<(Option<Ledger>, Denials), Error> {
    if !files::exists(&env.layout.pki()) {
        return Ok((None, Denials::default()));
    }
    let (ledger, _, cas) = directory::cas_and_inventory(&env.layout, cluster)?;
    check_ledger_is_current(&env.layout, &cas, &ledger, env.now)?;
    let denials = denials::of_ledger(&ledger, &cas.cluster, env.now)?;
    Ok((Some(ledger), denials))
}

/// Refuses a folder with files that clusterctl did not write, because they would be lost.
fn check_folder(folder: &Path) -> Result<(), Error> {
    if !files::exists(folder) {
        return Ok(());
    }
    match files::files_below(folder)?.into_iter().find(|path| !policy::is_ours(path)) {
        Some(other) => Err(PolicyError::OtherFile(folder.join(other)).into()),
        None => Ok(()),
    }
}

/// Returns the file for deleting the objects of nodes' accounts that are no longer in the rules.
fn left_over(cluster: &Cluster, ledger: &Ledger) -> Result<Option<PolicyFile>, StoreError> {
    let scheme = AccountScheme::Kubelet;
    let mut accounts = ledger.accounts_of(Profile::KubeletClient.policy().name)?;
    accounts.retain(|account| account.starts_with(scheme.prefix()));
    let all_of_them = cluster.accounts != scheme && !accounts.is_empty();
    if cluster.accounts == scheme {
        let current: HashSet<String> = cluster.nodes.iter().map(|node| scheme.account(&node.name).user).collect();
        accounts.retain(|account| !current.contains(account));
    }
    Ok(policy::deletions(&accounts, all_of_them))
}
