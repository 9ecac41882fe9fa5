//! CAs whose keys are not in the cluster directory.

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
use crate::signers::{self, Access};
use crate::store::ca::{self, OpenedCa};

/// The holder of the key of a role's CA.
#[derive(Debug)]
pub struct Holder<'c> {
    signer: &'c Signer,
    access: Access,
}

impl<'c> Holder<'c> {
    /// Returns the holder that the cluster file names; `None` where the key is a file in the cluster directory.
    ///
    /// `has_terminal` says whether a program may ask on the terminal.
    #[must_use]
    pub fn of(role: CaRole, cluster: &'c Cluster, env: &Env, has_terminal: bool) -> Option<Self> {
        let signer = cluster.signer(role)?;
        let (folder, cluster) = (env.layout.dir().to_owned(), cluster.name.clone());
        Some(Self { signer, access: Access { folder, cluster, role, has_terminal } })
    }

    /// Returns the role of the CA.
    #[must_use]
    pub fn role(&self) -> CaRole {
        self.access.role
    }

    /// Opens the active CA of the role for signing. The holder is not asked before something is to be signed.
    ///
    /// # Errors
    /// When a certificate is missing, unreadable, or has a key of a kind that cannot sign here.
    pub fn open(self, env: &Env) -> Result<OpenedCa, Error> {
        let ca = ca::trust(&env.layout, self.role())?.into_active();
        let public_key = PublicKey::read(&ca.certificate().spki).map_err(|_| IssueError::Key(KeyError::Foreign))?;
        Ok(OpenedCa { ca, key: signers::key(self.signer, self.access, public_key) })
    }

    /// Asks the holder for its public key, and returns the key. A holder without one may make one of the kind `new`, if
    /// that is given.
    ///
    /// # Errors
    /// When the holder does not answer, or its key is of a kind that cannot sign here.
    pub fn key(self, new: Option<KeyKind>) -> Result<Box<dyn SigningKey>, Error> {
        let public_key = signers::public_key(self.signer, &self.access, new).map_err(IssueError::from)?;
        Ok(signers::key(self.signer, self.access, public_key))
    }
}
