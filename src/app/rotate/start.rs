//! Begins a rotation: makes the new CA beside the old one, and a client certificate of each, the canaries.

use std::path::Path;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::error::RotateError;
use super::handover;
use super::plan::{PhasePlan, Target, plan, remaining};
use super::state::{RotatedCa, record};
use super::tokens::TokenRotationError;
use crate::app::ca::{self as app_ca, CaWarning, ImportCaError, KeyProtection, ReadCa, role_with_key};
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::ca_key::CaKey;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::{IssueError, Issuer};
use crate::pki::key::PrivateKey;
use crate::pki::local_key::LocalKey;
use crate::pki::new_ca;
use crate::pki::passphrase::Passphrase;
use crate::pki::rotation::{Phase, Rotation};
use crate::pki::signing_key::SigningKey;
use crate::pki::trust_bundle::{CaState, TrustBundle, TrustBundleError};
use crate::pki::verified::Verified;
use crate::sanitize::sanitized;
use crate::store::ca;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::{CANARY_PROFILE, Entry};
use crate::store::rotation::{self, CanaryOf};
use crate::store::token_rotation;

/// The source of the new CA.
pub enum NewCa {
    /// A root with a new key of this kind.
    Generate(KeyKind),
    /// A root whose key is with the token or program that the cluster file names.
    Held(Box<dyn SigningKey>),
    /// A CA that another tool made.
    Import(Box<ImportedCa>),
}

/// The files of a CA that another tool made. It can replace the one of its role.
pub struct ImportedFiles(ReadCa);

impl ImportedFiles {
    /// Reads the certificate, optionally with those above it in this file or in `chain`, and the key.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, or the CA cannot replace the one of the role.
    pub fn read(files: (&Path, &Path, Option<&Path>), role: CaRole, env: &Env) -> Result<Self, Error> {
        let read = app_ca::read_for_rotation(files, role, env)?;
        check_new(&read.ca, &ca::trust(&env.layout, role)?, &env.layout)?;
        Ok(Self(read))
    }

    /// Opens the key, with a passphrase if it is encrypted.
    ///
    /// # Errors
    /// Returns an error if it cannot be opened, or belongs to another certificate.
    pub fn open(&self, passphrase: Option<&Passphrase>, env: &Env) -> Result<CaKey, ImportCaError> {
        self.0.open(passphrase, env)
    }

    /// Returns the CA with its key, which will be stored as `protection` says.
    ///
    /// # Errors
    /// Returns an error if the key cannot be encrypted.
    pub fn with_key(
        self,
        key: &CaKey,
        protection: &KeyProtection,
        cluster: &Cluster,
        env: &Env,
    ) -> Result<ImportedCa, Error> {
        let signing = key.open().map_err(IssueError::Key)?;
        let (key_pem, warnings) = (app_ca::key_file(key, protection)?, self.0.warnings(key, cluster, env));
        Ok(ImportedCa { ca: self.0.ca, key_pem, signing: Box::new(signing), warnings })
    }
}

/// A CA that another tool made, with its key.
pub struct ImportedCa {
    ca: CaCertificate,
    key_pem: Zeroizing<String>,
    signing: Box<dyn SigningKey>,
    warnings: Vec<CaWarning>,
}

impl ImportedCa {
    /// Returns the differences from CAs that clusterctl generates, except for when it expires.
    #[must_use]
    pub fn warnings(&self) -> &[CaWarning] {
        &self.warnings
    }

    /// Returns when the CA expires, if that is before certificates of hosts would that it signs now: they expire with it.
    #[must_use]
    pub fn cuts_short(&self, cluster: &Cluster, env: &Env) -> Option<OffsetDateTime> {
        let longest = cluster.validity.master.max(cluster.validity.node);
        Some(self.ca.not_after()).filter(|not_after| *not_after < env.now + longest.duration())
    }
}

/// The options of beginning a rotation.
pub struct StartOptions {
    /// The role of the CA that is replaced.
    pub role: CaRole,
    /// The CA that replaces it.
    pub new: NewCa,
    /// The hosts that present certificates issued by the new CA first; the first master and the first node if empty.
    pub canaries: Vec<String>,
    /// How the key of the new CA is stored.
    pub protection: KeyProtection,
    /// Whether the rotation begins in an emergency, which does not wait for the rotations of other roles.
    pub is_emergency: bool,
}

/// The result of beginning a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartReport {
    /// The role.
    pub role: CaRole,
    /// The rotation.
    pub rotation: Rotation,
    /// The CA that is replaced.
    pub old: RotatedCa,
    /// The CA that replaces it.
    pub new: RotatedCa,
    /// The plan of the first phase.
    pub present: PhasePlan,
    /// The plans of the phases that follow.
    pub next: Vec<PhasePlan>,
}

/// Checks that a rotation can begin, before a passphrase is asked for.
///
/// # Errors
/// Returns an error if a rotation is under way, in an emergency one of the same role, or a canary is unknown.
pub fn check(
    role: CaRole,
    canaries: &[String],
    is_emergency: bool,
    cluster: &Cluster,
    layout: &Layout,
) -> Result<(), Error> {
    if let Some(rotation) = token_rotation::state(layout)?.filter(|_| !is_emergency) {
        return Err(TokenRotationError::UnderWay(rotation.phase).into());
    }
    for other in CaRole::ALL.into_iter().filter(|other| !is_emergency || *other == role) {
        if let Some(rotation) = ca::trust(layout, other)?.rotation() {
            return Err(RotateError::UnderWay { role: other, phase: rotation.phase }.into());
        }
    }
    // Nodes have only certificates of the cluster's CA.
    let is_host = |name: &str| match role {
        CaRole::Cluster => cluster.host_names().iter().any(|host| host.as_str() == name),
        CaRole::Etcd | CaRole::FrontProxy => cluster.masters.iter().any(|host| host.name.as_str() == name),
    };
    match canaries.iter().find(|name| !is_host(name)) {
        Some(unknown) => Err(RotateError::UnknownCanary(unknown.clone()).into()),
        None => Ok(()),
    }
}

/// Makes the new CA and keeps it beside the old one. No host gets it before the next phase.
///
/// `old` is the CA that is replaced. After a kill, the same command continues.
///
/// # Errors
/// Returns the errors of [`check`], or an error if the new CA cannot be made or imported, or a file cannot be written.
pub fn start(
    options: StartOptions,
    old: &Issuer,
    cluster: &Cluster,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<StartReport, Error> {
    let role = options.role;
    let _lock = directory::lock(env, "rotate-ca start", observer)?;
    check(role, &options.canaries, options.is_emergency, cluster, &env.layout)?;
    let (mut ledger, cas) = directory::cas(&env.layout, cluster)?;
    let trust = cas.of(role);
    let canaries = canaries(role, &options.canaries, cluster);
    let left = rotation::new_ca(&env.layout, role)?;
    let new = match left {
        // A run that was killed left it.
        Some(ca) if !trust.has(ca.certificate().fingerprint()) => ca,
        // A rotation that is over left it.
        Some(_) => {
            rotation::remove(&env.layout, role)?;
            make(options, old, trust, cluster, env)?
        }
        None => make(options, old, trust, cluster, env)?,
    };
    let fingerprints = (old.ca().certificate().fingerprint(), new.certificate().fingerprint());
    record_certificates(&mut ledger, &new, old, env)?;
    handover::keep(&env.layout, old.ca(), &new)?;
    record(&mut ledger, role, Phase::Prepare.as_str(), fingerprints, &env.audit())?;
    let rotation = Rotation {
        phase: Phase::Prepare,
        began: env.now,
        old: fingerprints.0,
        new: fingerprints.1,
        canaries,
        after_sequence: ledger.last_sequence()?,
    };
    let mut all: Vec<(CaCertificate, CaState)> = trust.all().map(|(ca, state)| (ca.clone(), state)).collect();
    all.push((new.clone(), CaState::Prepared));
    let rotating = TrustBundle::new(role, all).and_then(|trust| trust.rotating(rotation.clone()));
    ca::write_trust(&env.layout, &rotating.map_err(|error| inconsistent(&env.layout, role, error))?)?;
    let next = remaining(role, &rotation, cluster);
    let present = plan(role, Target::Phase(rotation.phase), &rotation.canaries, cluster);
    Ok(StartReport { role, old: RotatedCa::of(old.ca()), new: RotatedCa::of(&new), present, next, rotation })
}

/// Returns the error for CAs that do not make a trust bundle.
pub(super) fn inconsistent(layout: &Layout, role: CaRole, error: TrustBundleError) -> Error {
    let path = layout.trust_file(role).display().to_string();
    ca::CaError::TrustFile { path, source: error.into() }.into()
}

fn canaries(role: CaRole, chosen: &[String], cluster: &Cluster) -> Vec<String> {
    if !chosen.is_empty() {
        return chosen.to_vec();
    }
    let node = cluster.nodes.first().filter(|_| role == CaRole::Cluster);
    let first = [cluster.masters.first(), node].into_iter().flatten();
    let mut names: Vec<String> = first.map(|host| host.name.to_string()).collect();
    names.dedup();
    names
}

/// Makes the new CA and both canaries, and writes them.
fn make(
    options: StartOptions,
    old: &Issuer,
    trust: &TrustBundle,
    cluster: &Cluster,
    env: &Env,
) -> Result<CaCertificate, Error> {
    let role = options.role;
    let new_root = |key: &dyn SigningKey| {
        let numbers = trust.all().filter_map(|(ca, _)| role.number_of(&cluster.name, &ca.root().account()));
        let number = numbers.max().unwrap_or(1) + 1;
        let made = new_ca::numbered_root(role, &cluster.name, number, key, cluster.validity.ca, env.now);
        made.map(Verified::into_inner)
    };
    let (ca, key_pem, signing): (CaCertificate, Option<Zeroizing<String>>, Box<dyn SigningKey>) = match options.new {
        NewCa::Generate(kind) => {
            let key = PrivateKey::generate(kind).map_err(IssueError::Key)?;
            let signing = LocalKey::open(&key).map_err(IssueError::Key)?;
            (new_root(&signing)?, Some(app_ca::key_pem(&key, &options.protection)?), Box::new(signing))
        }
        NewCa::Held(key) => {
            // Checked before the holder signs: a known key would get a certificate with another subject.
            if let Some((known, _)) = trust.all().find(|(ca, _)| ca.certificate().spki == key.public_key()) {
                return Err(RotateError::Known { subject: sanitized(&known.certificate().subject.text) }.into());
            }
            (new_root(&*key)?, None, key)
        }
        NewCa::Import(imported) => {
            let ImportedCa { ca, key_pem, signing, .. } = *imported;
            (ca, Some(key_pem), signing)
        }
    };
    check_new(&ca, trust, &env.layout)?;
    let new = Issuer::new(ca.clone(), signing, env.now)?;
    let spec = cluster.canary_spec(role);
    let canary = |issuer: &Issuer| issuer.issue_credential(&spec, cluster.keys, env.now);
    let (of_old, of_new) = (canary(old)?.into_inner(), canary(&new)?.into_inner());
    let key = key_pem.as_ref().map(|key| key.as_str());
    rotation::create(&env.layout, &ca, key, [&of_old, &of_new])?;
    Ok(ca)
}

/// Refuses a CA that could be confused with another one.
fn check_new(new: &CaCertificate, trust: &TrustBundle, layout: &Layout) -> Result<(), RotateError> {
    let (role, subject) = (new.role(), || sanitized(&new.certificate().subject.text));
    if trust.all().any(|(ca, _)| ca.certificate().spki == new.certificate().spki) {
        return Err(RotateError::Known { subject: subject() });
    }
    // Programs look for an issuer by its name first.
    if trust.accepted().any(|ca| ca.path().any(|one| new.path().any(|other| one.subject.der == other.subject.der))) {
        return Err(RotateError::SameSubject { role, subject: subject() });
    }
    match new.path().find_map(|one| role_with_key(layout, role, &one.spki)) {
        Some(other) => Err(RotateError::SharedKey(other)),
        None => Ok(()),
    }
}

/// Records the new CA and the canaries, unless a killed command already did.
fn record_certificates(ledger: &mut Ledger, new: &CaCertificate, old: &Issuer, env: &Env) -> Result<(), Error> {
    let role = new.role();
    if !ledger.has_ca(new.certificate().fingerprint(), role)? {
        let certificate = new.certificate();
        let entry = Entry { certificate, profile: role.as_str(), host: None, issuer: certificate };
        ledger.record(&[entry], &env.audit())?;
    }
    for (of, issuer) in CanaryOf::ALL.into_iter().zip([old.ca(), new]) {
        let Some(canary) = rotation::canary(&env.layout, role, of) else { continue };
        let fingerprint: Fingerprint = canary.certificate.fingerprint();
        if ledger.by_fingerprint(fingerprint)?.is_none() {
            let entry = Entry {
                certificate: &canary.certificate,
                profile: CANARY_PROFILE,
                host: None,
                issuer: issuer.certificate(),
            };
            ledger.record(&[entry], &env.audit())?;
        }
    }
    Ok(())
}
