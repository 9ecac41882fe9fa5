//! How new credentials come into the directory: the ledger first, then whole folders, durable before success is told.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use time::OffsetDateTime;

use super::credentials::Stored;
use super::error::StoreError;
use super::files::{self, PRIVATE, PUBLIC, Staged};
use super::layout::Layout;
use super::ledger::{Entry, Ledger, Mark};
use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, Profile, TABLE};
use crate::cluster::spec::Role;
use crate::pki::authority::Credential;
use crate::pki::inspect::Verified;
use crate::pki::roots::Roots;

/// What one holder is to have in its folder.
#[derive(Debug)]
pub struct Holding {
    /// The host; `None` for the verifier.
    pub host: Option<HostName>,
    /// Newly made, and passed by the stranger's check.
    pub fresh: Vec<(Profile, Verified<Credential>)>,
    /// Good as they lie there: carried over byte for byte.
    pub kept: Vec<(Profile, Stored)>,
}

/// Who issues: recorded beside every certificate.
#[derive(Debug, Clone)]
pub struct Issuer<'a> {
    /// The roots that signed, each what the policy says.
    pub roots: &'a Roots,
    /// The time.
    pub now: OffsetDateTime,
    /// `user@machine`
    pub by: &'a str,
}

/// Makes the folders that holders' folders appear in, and removes what a killed process left in them.
///
/// # Errors
/// What the system says.
pub fn prepare(layout: &Layout) -> Result<(), StoreError> {
    for role in [Role::Master, Role::Node] {
        files::create_folder(&layout.hosts_folder(role))?;
        files::sweep(&layout.hosts_folder(role))?;
    }
    files::sweep(&layout.pki())
}

/// Records and writes a batch. When it returns, the ledger, the files and their folders are on the disk. When it fails, or
/// the machine does, the ledger may know certificates that nobody holds, and every folder is the old one or the new one.
///
/// # Errors
/// What the system or the ledger says.
pub fn commit(layout: &Layout, ledger: &mut Ledger, issuer: &Issuer<'_>, batch: &[Holding]) -> Result<(), StoreError> {
    let entries: Vec<Entry<'_>> = batch
        .iter()
        .flat_map(|holding| {
            holding.fresh.iter().map(|(profile, made)| Entry {
                certificate: &made.get().certificate,
                profile: profile.policy().name,
                host: holding.host.as_ref().map(HostName::as_str),
                issuer: issuer.roots.of(profile.policy().signed_by),
            })
        })
        .collect();
    ledger.record(&entries, &Mark { at: issuer.now, by: issuer.by })?;
    let staged = batch.par_iter().map(|holding| stage(layout, holding)).collect::<Result<Vec<_>, _>>()?;
    // Contents before names: after a power failure a folder that is there must be whole.
    files::sync_all(&layout.pki())?;
    staged.into_iter().try_for_each(Staged::publish)?;
    files::sync_all(&layout.pki())
}

fn stage(layout: &Layout, holding: &Holding) -> Result<Staged, StoreError> {
    let profiles = holding.fresh.iter().map(|(p, _)| p).chain(holding.kept.iter().map(|(p, _)| p));
    let mut folder = layout.pki();
    for profile in profiles {
        debug_assert!(profile.policy().holder != Holder::Cluster || holding.host.is_none());
        folder = layout.holder_folder(*profile, holding.host.as_ref());
    }
    let staged = Staged::begin(&folder)?;
    for (profile, made) in &holding.fresh {
        let Credential { certificate, key } = made.get();
        let name = profile.policy().name;
        staged.add(&format!("{name}.crt"), certificate.to_pem().as_bytes(), PUBLIC)?;
        staged.add(&format!("{name}.key"), key.to_pem().as_bytes(), PRIVATE)?;
    }
    for (profile, stored) in &holding.kept {
        let name = profile.policy().name;
        staged.add(&format!("{name}.crt"), &stored.certificate_pem, PUBLIC)?;
        staged.add(&format!("{name}.key"), &stored.key_pem, PRIVATE)?;
    }
    let ours: Vec<String> =
        TABLE.iter().flat_map(|row| [format!("{}.crt", row.name), format!("{}.key", row.name)]).collect();
    staged.keep_others(&ours)?;
    Ok(staged)
}
