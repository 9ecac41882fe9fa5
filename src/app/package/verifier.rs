//! Packs the files that CI needs to verify the cluster. They contain no CA's key and no node's credentials.

use std::path::{Path, PathBuf};

use super::error::PackageError;
use super::permissions::ExposedKeys;
use super::plan::Packager;
use super::reader;
use super::report::Warning;
use super::templates;
use super::templates_error::TemplatesError;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::revoke::{self, denials};
use crate::app::verify::denials as expected;
use crate::bundle::input::CredentialPem;
use crate::bundle::model::{Bundle, BundleFile, SIGNATURE};
use crate::bundle::packer;
use crate::bundle::render::Templates;
use crate::bundle::signature;
use crate::bundle::verifier::{self, VerifierInput};
use crate::cluster::profile::{CertificateSpec, Profile};
use crate::cluster::spec::Cluster;
use crate::config;
use crate::pki::ca_set::CaSet;
use crate::pki::ssh::SshKey;
use crate::store::credentials;
use crate::store::files::{self, PRIVATE};
use crate::store::ledger::Ledger;
use crate::store::ledger::inventory::Inventory;

/// The verifier bundle that was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierReport {
    /// Its file.
    pub path: PathBuf,
    /// The warnings.
    pub warnings: Vec<Warning>,
}

/// What became of the verifier bundle after other bundles were packed.
#[derive(Debug)]
pub enum VerifierRefresh {
    /// There is none, or it is up to date.
    Current,
    /// It was packed again.
    Packed(VerifierReport),
    /// It is not up to date, and stays as it is.
    Kept {
        /// Its file.
        path: PathBuf,
        /// The credential that cannot be used.
        reason: PackageError,
    },
}

impl Packager {
    /// Packs the verifier bundle: the cluster file, the CA, the expected rules and denials, and the client credentials of
    /// the verifier and of API servers.
    ///
    /// # Errors
    /// Returns an error if one of the credentials cannot be used, a template fails, or the bundle cannot be written.
    pub fn verifier_bundle(
        &self,
        templates: Option<&Path>,
        signing_key: Option<&SshKey>,
        observer: &mut dyn Observer,
    ) -> Result<VerifierReport, Error> {
        pack_verifier(&self.env, &self.cluster, templates, signing_key, observer)
    }

    /// Packs the verifier bundle again, if there is one that is not up to date.
    ///
    /// # Errors
    /// Returns the errors of [`Packager::verifier_bundle`]. If it is not known whether the bundle is up to date, because
    /// a credential cannot be used, the bundle is kept.
    pub fn refresh_verifier_bundle(
        &self,
        templates: Option<&Path>,
        signing_key: Option<&SshKey>,
        observer: &mut dyn Observer,
    ) -> Result<VerifierRefresh, Error> {
        match is_verifier_bundle_stale(&self.env, &self.cluster, templates) {
            Ok(false) => Ok(VerifierRefresh::Current),
            Ok(true) => self.verifier_bundle(templates, signing_key, observer).map(VerifierRefresh::Packed),
            Err(Error::Package(reason @ PackageError::VerifierCredential { .. })) => {
                Ok(VerifierRefresh::Kept { path: self.env.layout.verifier_bundle(), reason })
            }
            Err(error) => Err(error),
        }
    }
}

/// Like [`Packager::verifier_bundle`].
///
/// # Errors
/// Returns the errors of [`Packager::verifier_bundle`].
pub(in crate::app) fn pack_verifier(
    env: &Env,
    cluster: &Cluster,
    templates: Option<&Path>,
    signing_key: Option<&SshKey>,
    observer: &mut dyn Observer,
) -> Result<VerifierReport, Error> {
    let layout = &env.layout;
    let templates = templates::load(templates, cluster, layout)?;
    let _lock = directory::lock(env, "bundle --verifier", observer)?;
    files::sweep(layout.dir())?;
    let (mut ledger, known, cas) = directory::cas_and_inventory(layout, cluster)?;
    revoke::check_ledger_is_current(layout, &cas, &ledger, env.now)?;
    let (mut bundle, exposed) = render(env, cluster, &templates, (&ledger, &known, &cas))?;
    let path = layout.verifier_bundle();
    let mut warnings: Vec<Warning> = exposed.warning().into_iter().collect();
    match signing_key {
        Some(key) => signature::sign(&mut bundle, key).map_err(PackageError::Signing)?,
        None if reader::read(&path).is_ok_and(|there| there.file(SIGNATURE).is_some()) => {
            warnings.push(Warning::SignatureRemoved { hosts: vec![bundle.manifest.host.clone()] });
        }
        None => {}
    }
    files::replace(&path, &packer::pack(&bundle), PRIVATE)?;
    ledger.log_event("bundle", "verifier", &path.display().to_string(), &env.audit())?;
    Ok(VerifierReport { path, warnings })
}

/// Returns true if there is a verifier bundle, and its files differ from those that would be packed now.
///
/// # Errors
/// Returns an error if one of the credentials cannot be used, or a template fails.
pub(in crate::app) fn is_verifier_bundle_stale(
    env: &Env,
    cluster: &Cluster,
    templates: Option<&Path>,
) -> Result<bool, Error> {
    let path = env.layout.verifier_bundle();
    if !files::is_plain_file(&path) {
        return Ok(false);
    }
    let templates = templates::load(templates, cluster, &env.layout)?;
    let (ledger, known, cas) = directory::cas_and_inventory(&env.layout, cluster)?;
    let (wanted, _) = render(env, cluster, &templates, (&ledger, &known, &cas))?;
    let is_current = |there: Bundle| {
        let files = there.files.iter().filter(|file| file.path != SIGNATURE);
        let plain = |file: &BundleFile| (file.path.clone(), file.mode, file.bytes.to_vec());
        files.map(plain).eq(wanted.files.iter().map(plain))
    };
    Ok(!reader::read(&path).is_ok_and(is_current))
}

fn render(
    env: &Env,
    cluster: &Cluster,
    templates: &Templates,
    (ledger, known, cas): (&Ledger, &Inventory, &CaSet),
) -> Result<(Bundle, ExposedKeys), Error> {
    let trust = &cas.cluster;
    let Credentials { pems, generation, exposed } = credentials(env, cluster, cas, known)?;
    let cluster_file = files::read(&env.layout.cluster_file(), config::MAX_BYTES as u64)?;
    let policy = templates
        .verifier_policy()
        .map_err(|source| TemplatesError::Render { output: "the verifier's policy", source })?;
    let rules = denials::authorization(cluster, &denials::of_ledger(ledger, trust, env.now)?, templates)?;
    let denials = expected::of_ledger(&rules, ledger, trust, env.now)?.to_json();
    let input =
        VerifierInput { policy, denials, cluster, cluster_file: &cluster_file, trust, credentials: pems, generation };
    Ok((verifier::render(input).map_err(PackageError::VerifierBundle)?, exposed))
}

/// The credentials of the verifier bundle.
struct Credentials {
    /// The credentials, each with its path below the cluster directory, without extension.
    pems: Vec<(String, CredentialPem)>,
    /// The newest certificate's sequence in the ledger.
    generation: u64,
    exposed: ExposedKeys,
}

fn credentials(env: &Env, cluster: &Cluster, cas: &CaSet, known: &Inventory) -> Result<Credentials, PackageError> {
    let masters = cluster.masters.iter().flat_map(|master| cluster.master_specs(master));
    let clients = masters.filter(|spec| spec.profile == Profile::ApiserverKubeletClient);
    let mut found = Credentials { pems: Vec::new(), generation: 0, exposed: ExposedKeys::default() };
    for spec in clients.chain([cluster.verifier_spec()]) {
        let (layout, profile) = (&env.layout, spec.profile);
        let loaded = credentials::read_good(layout, &spec, cluster.keys, &cas.cluster, known, env.now)
            .map_err(|problems| PackageError::VerifierCredential { profile, problems })?;
        if let Some(problem) = credentials::mode_problem(layout, &spec, Some(&loaded)) {
            found.exposed.add(problem);
        }
        let sequence = known.sequence(loaded.credential.certificate.fingerprint()).unwrap_or(0);
        found.generation = found.generation.max(sequence);
        let pem = CredentialPem { profile, certificate: loaded.certificate_pem, key: loaded.key_pem };
        found.pems.push((path_in_bundle(env, &spec), pem));
    }
    Ok(found)
}

fn path_in_bundle(env: &Env, spec: &CertificateSpec) -> String {
    let folder = env.layout.holder_folder(spec.profile, spec.host.as_ref());
    folder.strip_prefix(env.layout.dir()).unwrap_or(&folder).join(spec.policy().name).display().to_string()
}
