//! Opens keys of CAs that external holders have: programs and tokens that `signers` in the cluster file names.

use crate::app::env::Env;
use crate::app::error::Error;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::CaRole;
use crate::cluster::signer::Signer;
use crate::cluster::spec::Cluster;
use crate::pki::issuer::IssueError;
use crate::pki::key::KeyError;
use crate::pki::public_key::PublicKey;
use crate::pki::signing_key::SigningKey;
use crate::signers::pins::Pins;
use crate::signers::{self, Access, SignerEnv};
use crate::store::ca::{self, OpenedCa};
use crate::store::layout::Layout;
use crate::store::{files, rotation};

/// Returns the holder of the key that signs for a role; `None` if the key is a file in the cluster directory.
///
/// Once the new CA of a rotation signs, its holder is the entry `next-cluster` of `signers`. The entry stays valid after the
/// rotation, until the user renames it to `cluster`.
#[must_use]
pub fn signer<'c>(role: CaRole, cluster: &'c Cluster, layout: &Layout) -> Option<&'c Signer> {
    let (own, next) = (cluster.signer(role), cluster.next_signer(role));
    let Ok(trust) = ca::trust(layout, role) else { return own };
    match trust.rotation() {
        Some(rotation) if trust.active().certificate().fingerprint() == rotation.new => {
            next.filter(|_| rotation::is_key_elsewhere(layout, role))
        }
        Some(_) => own,
        None => own.or_else(|| next.filter(|_| !files::exists(&layout.root_key(role)))),
    }
}

/// The holder of the key of a role's CA.
#[derive(Debug)]
pub struct KeyHolder<'c> {
    signer: &'c Signer,
    access: Access,
}

impl<'c> KeyHolder<'c> {
    /// Returns the holder that the cluster file names; `None` if the key is a file in the cluster directory.
    #[must_use]
    pub fn of(role: CaRole, cluster: &'c Cluster, env: &Env, signer_env: &SignerEnv) -> Option<Self> {
        let signer = signer(role, cluster, &env.layout)?;
        Some(Self::new(signer, role, cluster, env, signer_env))
    }

    /// Returns the holder of the key of the CA that replaces a role's in a rotation; `None` if the cluster file has none.
    #[must_use]
    pub fn of_next(role: CaRole, cluster: &'c Cluster, env: &Env, signer_env: &SignerEnv) -> Option<Self> {
        Some(Self::new(cluster.next_signer(role)?, role, cluster, env, signer_env))
    }

    /// Returns the holder of the key of the CA that a rotation replaces; `None` if there is none, or the key is a file.
    ///
    /// The cluster file's entry of the role may already be that of the new CA, so compare the public key of [`Self::key`].
    #[must_use]
    pub fn of_outgoing(role: CaRole, cluster: &'c Cluster, env: &Env, signer_env: &SignerEnv) -> Option<Self> {
        let trust = ca::trust(&env.layout, role).ok()?;
        trust.outgoing().filter(|old| old.certificate().can_sign_crls())?;
        Some(Self::new(cluster.signer(role)?, role, cluster, env, signer_env))
    }

    /// Opens the CA that a rotation replaces, which still signs its own CRL; `None` if the holder has another key.
    ///
    /// # Errors
    /// Returns the errors of [`Self::key`].
    pub fn open_outgoing(self, env: &Env, pins: &mut dyn Pins) -> Result<Option<OpenedCa>, Error> {
        let trust = ca::trust(&env.layout, self.role())?;
        let Some(old) = trust.outgoing().cloned() else { return Ok(None) };
        let key = self.key(None, pins)?;
        Ok((key.public_key() == old.certificate().spki).then_some(OpenedCa { ca: old, key, weakly_encrypted: None }))
    }

    fn new(signer: &'c Signer, role: CaRole, cluster: &Cluster, env: &Env, signer_env: &SignerEnv) -> Self {
        let (folder, cluster) = (env.layout.dir().to_owned(), cluster.name.clone());
        Self { signer, access: Access { folder, cluster, role, signer_env: signer_env.clone() } }
    }

    /// Returns the role of the CA.
    #[must_use]
    pub fn role(&self) -> CaRole {
        self.access.role
    }

    /// Opens the active CA of the role for signing. A program is not run before something has to be signed.
    ///
    /// # Errors
    /// Returns an error if a certificate is missing, unreadable, or has a key of a kind that cannot sign here, or if a
    /// token cannot be opened.
    pub fn open(self, env: &Env, pins: &mut dyn Pins) -> Result<OpenedCa, Error> {
        let ca = ca::trust(&env.layout, self.role())?.into_active();
        let public_key = PublicKey::read(&ca.certificate().spki).map_err(|_| IssueError::Key(KeyError::Foreign))?;
        let key = signers::key(self.signer, self.access, public_key, pins).map_err(IssueError::from)?;
        Ok(OpenedCa { ca, key, weakly_encrypted: None })
    }

    /// Asks the holder for its public key, and returns the key. If `new` is given, a holder without a key may generate
    /// one of that kind.
    ///
    /// # Errors
    /// Returns an error if the holder does not answer, or its key is of a kind that cannot sign here.
    pub fn key(self, new: Option<KeyKind>, pins: &mut dyn Pins) -> Result<Box<dyn SigningKey>, Error> {
        Ok(signers::key_of_holder(self.signer, self.access, new, pins).map_err(IssueError::from)?)
    }
}
