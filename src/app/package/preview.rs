//! Finds the bundles that would change, and the reasons. Changes nothing.

use std::collections::HashSet;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::encrypted_archives::EncryptedArchives;
use super::error::PackageError;
use super::finalize::Finalizer;
use super::generation::GenerationTracker;
use super::inputs::Inputs;
use super::options::PackageOptions;
use super::preflight_error::RefusedHost;
use super::report::Warning;
use super::{older, permissions, plan, preflight, reader, signatures, templates, versions};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::{Observer, Task};
use crate::app::revoke::rendered;
use crate::bundle::input::Roles;
use crate::bundle::model::{Bundle, MANIFEST, MANIFEST_SUM, SIGNATURE};
use crate::bundle::packer::Packer;
use crate::bundle::render::Templates;
use crate::cluster::name::HostName;
use crate::cluster::spec::Cluster;
use crate::store::credentials;
use crate::store::files;
use crate::store::ledger::Ledger;

/// The minimum number of bundles per packer, because creating a packer is expensive.
const FEWEST: usize = 32;

/// The bundles that would change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackagePreview {
    /// The bundles, in the order of the selection.
    pub bundles: Vec<PlannedBundle>,
    /// The hosts that cannot be packed, in order.
    pub refused: Vec<RefusedHost>,
    /// The hosts that keep their encrypted bundle, because their keys were discarded.
    pub kept: Vec<HostName>,
    /// The warnings.
    pub warnings: Vec<Warning>,
    /// Whether packing was interrupted before it was recorded.
    pub is_unrecorded: bool,
}

/// A bundle that would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedBundle {
    /// The host.
    pub host: HostName,
    /// The reason.
    pub reason: PackReason,
}

/// Why a bundle would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackReason {
    /// There is none in this format and encryption.
    Missing,
    /// Its files would differ.
    Content {
        /// The paths of the files that differ from the last bundle; empty if it cannot be read.
        files: Vec<String>,
    },
    /// Its files would be the same, but its signature, its recipients or its mode would differ; or it is damaged.
    Form,
    /// A superseded bundle in another format or encryption would be removed.
    OtherForm,
    /// Its host's keys would be deleted here.
    Keys,
}

/// Finds the bundles of the selected hosts that would change. Changes nothing.
///
/// Hosts in `skipped` have no usable credentials yet: only the format and encryption of their bundles are checked.
///
/// # Errors
/// Returns the errors of [`Packager::plan`](super::Packager::plan), except that hosts that cannot be packed are no
/// error.
pub(in crate::app) fn preview(
    env: &Env,
    cluster: &Cluster,
    options: PackageOptions<'_>,
    skipped: &HashSet<HostName>,
    observer: &mut dyn Observer,
) -> Result<PackagePreview, Error> {
    let templates = templates::load(options.templates.as_deref(), cluster, &env.layout)?;
    plan::check_discard(&options)?;
    let (ledger, known, cas) = plan::trust(env, cluster)?;
    let all = options.hosts.clone();
    let options = PackageOptions { hosts: all.only(|host| !skipped.contains(host)), ..options };
    let inputs = plan::inputs(env, cluster, &options, (&ledger, known, cas))?;
    let preflight = preflight::check(&inputs, &options.hosts);
    let finalizer =
        Finalizer { format: options.format, signing_key: options.signing_key, encryption: options.encryption };
    let later = all.only(|host| skipped.contains(host));
    plan::check_form(&finalizer, &inputs, &[later.hosts(), &preflight.hosts].concat())?;
    older::check(&inputs, &preflight.hosts, &env.layout.bundles(), ledger.last_generation()?)?;
    let overrides_versions = options.overrides_versions;
    let comparer = Comparer { inputs, finalizer, templates, discards_keys: options.discard_keys };
    let mut bundles = comparer.changed(&preflight.hosts, &ledger, observer)?;
    bundles.extend(comparer.left_to_discard(&preflight.kept));
    let Comparer { mut inputs, finalizer, .. } = comparer;
    let changed: HashSet<&HostName> = bundles.iter().map(|planned| &planned.host).collect();
    let packed = all.only(|host| changed.contains(host) || skipped.contains(host));
    let is_unrecorded = rendered::is_packing_unrecorded(&env.layout, &ledger, &inputs.cas.cluster)?;
    Ok(PackagePreview {
        refused: preflight.refused,
        kept: preflight.kept.iter().map(|roles| roles.host().clone()).collect(),
        warnings: warnings(&mut inputs, &finalizer, &ledger, packed.hosts(), overrides_versions)?,
        is_unrecorded,
        bundles,
    })
}

/// Returns the warnings that packing these hosts would give.
fn warnings(
    inputs: &mut Inputs<'_>,
    finalizer: &Finalizer<'_>,
    ledger: &Ledger,
    packed: &[Roles<'_>],
    overrides_versions: bool,
) -> Result<Vec<Warning>, Error> {
    let mut warnings = Vec::from_iter(std::mem::take(&mut inputs.exposed).warning());
    if inputs.service_account.is_some() {
        warnings.extend(permissions::service_account_warning(&inputs.env.layout));
        warnings.extend(versions::unsupported(&inputs.settings, inputs.cluster.accounts, inputs.denials.count()));
    }
    warnings.extend(versions::changes(ledger, packed, &inputs.settings, overrides_versions)?);
    if finalizer.signing_key.is_none() {
        let hosts = signatures::signed_before(packed, &inputs.env.layout.bundles());
        warnings.extend((!hosts.is_empty()).then_some(Warning::SignatureRemoved { hosts }));
    }
    warnings.extend(versions::differs_from_policy(packed, &inputs.settings, inputs.cluster));
    Ok(warnings)
}

/// Compares the bundles in the directory with those that would be packed.
struct Comparer<'c> {
    inputs: Inputs<'c>,
    finalizer: Finalizer<'c>,
    templates: Templates,
    discards_keys: bool,
}

impl Comparer<'_> {
    fn changed(
        &self,
        hosts: &[Roles<'_>],
        ledger: &Ledger,
        observer: &mut dyn Observer,
    ) -> Result<Vec<PlannedBundle>, Error> {
        let generations = GenerationTracker::preview(ledger, self.inputs.env.now)?;
        let archives = EncryptedArchives::begin(ledger)?;
        let (progress, cancellation) = (observer.progress(Task::Checking, hosts.len() as u64), observer.cancellation());
        let parts = hosts.par_iter().with_min_len((hosts.len() / 64).max(FEWEST));
        let one = |packer: &mut Packer, roles: &Roles<'_>| {
            if cancellation.is_cancelled() {
                return Err(PackageError::Stopped { packed: 0, total: hosts.len() });
            }
            let reason = self.reason(*roles, &generations, &archives, packer)?;
            progress.add(1);
            Ok(reason.map(|reason| PlannedBundle { host: roles.host().clone(), reason }))
        };
        let compared = parts.map_init(|| self.finalizer.format.packer(), one).collect::<Result<Vec<_>, PackageError>>();
        Ok(compared?.into_iter().flatten().collect())
    }

    /// Returns the hosts that keep their bundles, and whose keys an interrupted run did not delete.
    fn left_to_discard(&self, kept: &[Roles<'_>]) -> Vec<PlannedBundle> {
        let has_left = |roles: &&Roles<'_>| {
            self.discards_keys && !plan::left_to_discard(std::slice::from_ref(*roles), &self.inputs).is_empty()
        };
        let planned = |roles: &Roles<'_>| PlannedBundle { host: roles.host().clone(), reason: PackReason::Keys };
        kept.iter().filter(has_left).map(planned).collect()
    }

    fn reason(
        &self,
        roles: Roles<'_>,
        generations: &GenerationTracker,
        archives: &EncryptedArchives,
        packer: &mut Packer,
    ) -> Result<Option<PackReason>, PackageError> {
        let (host, folder) = (roles.host(), self.inputs.env.layout.bundles());
        let path = folder.join(self.finalizer.name(host));
        if !files::exists(&path) {
            return Ok(Some(PackReason::Missing));
        }
        let (bundle, is_new) = generations.render(&self.inputs, roles, &self.templates)?;
        if is_new {
            let last = reader::read(&path).ok();
            return Ok(Some(PackReason::Content {
                files: last.map(|last| differing(&last, &bundle)).unwrap_or_default(),
            }));
        }
        let encoded = self.finalizer.encode(bundle, packer)?;
        if !self.finalizer.is_current(host, &encoded, archives, &folder) {
            return Ok(Some(PackReason::Form));
        }
        if self.finalizer.superseded(host).iter().any(|other| files::exists(&folder.join(other))) {
            return Ok(Some(PackReason::OtherForm));
        }
        Ok((self.discards_keys && self.has_keys(roles)).then_some(PackReason::Keys))
    }

    /// Returns true if the directory has a key that would be deleted.
    fn has_keys(&self, roles: Roles<'_>) -> bool {
        let specs = roles.node().map(|node| self.inputs.cluster.node_specs(node)).unwrap_or_default();
        specs.iter().any(|spec| credentials::has_key(&self.inputs.env.layout, spec))
    }
}

/// Returns the paths of the files that differ between two bundles in their bytes or mode, or are only in one of them.
fn differing(last: &Bundle, next: &Bundle) -> Vec<String> {
    let is_metadata = |path: &str| [MANIFEST, MANIFEST_SUM, SIGNATURE].contains(&path);
    let changed = next.files.iter().filter(|file| {
        last.file(&file.path).is_none_or(|before| before.mode != file.mode || before.bytes != file.bytes)
    });
    let removed = last.files.iter().filter(|file| next.file(&file.path).is_none());
    let paths = changed.chain(removed).map(|file| file.path.clone());
    let mut paths: Vec<String> = paths.filter(|path| !is_metadata(path)).collect();
    paths.sort_unstable();
    paths
}

impl PackReason {
    /// Returns the id, as in JSON.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Content { .. } => "content",
            Self::Form => "form",
            Self::OtherForm => "other-form",
            Self::Keys => "keys",
        }
    }
}
