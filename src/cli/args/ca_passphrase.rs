//! The source of the passphrase of the CA's keys: a file, the environment, or a prompt.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use time::OffsetDateTime;

use super::passphrase_file::passphrase_of_file;
use super::pins::{PinsOf, signer_env};
use crate::app::ca::{self as app_ca, KeyHolder, KeyProtection};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::issuer::{IssueError, Issuer};
use crate::pki::key::KeyError;
use crate::pki::passphrase::Passphrase;
use crate::pki::violation::{COMPARE_CLOCKS, Violation};
use crate::store::ca::{self, CaError, OpenedCa};
use crate::store::credentials::{self, CredentialProblem};
use crate::store::files;
use crate::store::rotation;

/// The environment variable that may hold the passphrase.
const VARIABLE: &str = "CLUSTERCTL_CA_PASSPHRASE";
/// The bit of a mode that permits every user to write.
const OTHERS_WRITE: u32 = 0o002;
/// The number of attempts to type it.
const TRIES: usize = 3;

/// Returns an opened CA as an issuer.
///
/// # Errors
/// Returns an error if the CA cannot be used to sign.
pub(crate) fn ready_to_sign(role: CaRole, opened: OpenedCa, now: OffsetDateTime) -> Result<Issuer> {
    let early = |error: &IssueError| matches!(error, IssueError::Violations { violations } if violations.iter().all(Violation::is_early));
    opened.into_issuer(now).map_err(|error| {
        CliError::new(Exit::Refused, format!("the {} cannot be used to sign", role.as_str()))
            .hint(match early(&error) {
                true => COMPARE_CLOCKS,
                false => "a root cannot be renewed in place: restore the right ca.crt and ca.key, or start a new cluster directory",
            })
            .because(error)
    })
}

/// The flags that give the passphrase of new keys.
#[derive(Debug, Args)]
pub(crate) struct NewPassphraseArgs {
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Accept a passphrase that can be guessed
    #[arg(long)]
    allow_weak_passphrase: bool,
    /// Store the CA's keys without encryption, protected only by the mode of their files
    #[arg(long, conflicts_with_all = ["ca_passphrase_file", "allow_weak_passphrase"])]
    plaintext_ca_key: bool,
}

impl NewPassphraseArgs {
    /// Returns how new keys are stored; a prompt asks twice for their passphrase. `cluster` is the cluster's name.
    ///
    /// # Errors
    /// Returns a usage error if there is neither a flag, a variable nor a terminal, or a refusal if the two passphrases that
    /// are typed differ, or the passphrase is weak.
    pub(crate) fn protection(&self, cluster: &str, context: &mut Context<'_>) -> Result<KeyProtection> {
        if self.plaintext_ca_key {
            return Ok(KeyProtection::None);
        }
        let passphrase = self.passphrase.choose(context)?;
        match passphrase.weakness(&[cluster]) {
            None => {}
            Some(weakness) if self.allow_weak_passphrase => context.screen.warn(format_args!(
                "the passphrase is weak: {weakness}. Anyone who copies the keys can find it by trying"
            )),
            Some(weakness) => {
                return Err(CliError::new(Exit::Refused, format!("the passphrase is weak: {weakness}")).hint(
                    "anyone who copies the keys can try passphrases until the CA expires: choose several unrelated \
                     words, or use --allow-weak-passphrase",
                ));
            }
        }
        Ok(KeyProtection::Passphrase(passphrase))
    }
}

/// The flags that give the passphrase.
#[derive(Debug, Args)]
pub(crate) struct PassphraseArgs {
    /// File with the passphrase of the CA's keys in its first line [env: CLUSTERCTL_CA_PASSPHRASE holds the passphrase
    /// itself]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) ca_passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// Returns the passphrase, if it is given without a prompt.
    fn given(&self, context: &mut Context<'_>) -> Result<Option<Passphrase>> {
        if let Some(path) = &self.ca_passphrase_file {
            return passphrase_of_file(path, context).map(Some);
        }
        Ok(context.variable(VARIABLE).map(|text| Passphrase::new(text.to_owned())))
    }

    /// Returns the passphrase for new keys; a prompt asks for it twice.
    ///
    /// # Errors
    /// Returns a usage error if there is neither a flag, a variable nor a terminal, or a refusal if the two passphrases that
    /// are typed differ.
    fn choose(&self, context: &mut Context<'_>) -> Result<Passphrase> {
        if let Some(given) = self.given(context)? {
            return Ok(given);
        }
        let Some(prompts) = &mut context.prompts else {
            return Err(CliError::new(
                Exit::Usage,
                "the CA's keys need a passphrase, and there is no terminal to ask on",
            )
            .hint(format!(
                "give it with --ca-passphrase-file FILE or {VARIABLE}; or use --plaintext-ca-key to store the keys unencrypted"
            )));
        };
        let typed = prompts.passphrase("Passphrase for the CA's keys").map_err(no_answer("no passphrase was typed"))?;
        if typed.is_empty() {
            return Err(CliError::new(Exit::Refused, "an empty passphrase protects nothing")
                .hint("use --plaintext-ca-key if the keys are to be stored unencrypted"));
        }
        let again = prompts.passphrase("Repeat the passphrase").map_err(no_answer("no passphrase was typed"))?;
        if typed != again {
            return Err(CliError::new(Exit::Refused, "the two passphrases differ").hint("nothing was written"));
        }
        Ok(typed)
    }

    /// Like [`Self::open`], ready to sign.
    ///
    /// # Errors
    /// Returns the errors of [`Self::open`], or a refusal if a CA cannot be used to sign.
    pub(crate) fn issuers(
        &self,
        roles: &[CaRole],
        cluster: &Cluster,
        context: &mut Context<'_>,
    ) -> Result<Vec<Issuer>> {
        let is_held = |role: CaRole| app_ca::signer(role, cluster, &context.env.layout).is_some();
        let (held, in_files) = roles.iter().partition::<Vec<CaRole>, _>(|role| is_held(**role));
        let mut opened = self.open(&in_files, context)?;
        for holder in holders(&held, cluster, context) {
            let env = context.env.clone();
            opened.push((holder.role(), holder.open(&env, &mut PinsOf(context))?));
        }
        opened.into_iter().map(|(role, ca)| ready_to_sign(role, ca, context.env.now)).collect()
    }

    /// Like [`Self::issuers`], and also returns the CAs that rotations of these roles replace, which still sign their CRLs.
    ///
    /// # Errors
    /// Returns the errors of [`Self::issuers`].
    pub(crate) fn crl_issuers(
        &self,
        roles: &[CaRole],
        cluster: &Cluster,
        context: &mut Context<'_>,
    ) -> Result<Vec<Issuer>> {
        let mut issuers = self.issuers(roles, cluster, context)?;
        for role in roles {
            issuers.extend(self.outgoing(*role, cluster, context)?);
        }
        Ok(issuers)
    }

    /// Returns the CA that a rotation replaces, ready to sign its CRL; `None` if there is none, or it cannot sign it.
    ///
    /// # Errors
    /// Returns the errors of [`Self::issuers`].
    pub(crate) fn outgoing(
        &self,
        role: CaRole,
        cluster: &Cluster,
        context: &mut Context<'_>,
    ) -> Result<Option<Issuer>> {
        let layout = context.env.layout.clone();
        let opened = match rotation::open_outgoing(&layout, role, None) {
            Err(CaError::Key { source: KeyError::PassphraseNeeded, .. }) => {
                let passphrase = match self.given(context)? {
                    Some(given) => given,
                    None => asked("Passphrase of the old CA's key", context)?,
                };
                rotation::open_outgoing(&layout, role, Some(&passphrase))?
            }
            other => other?,
        };
        let opened = match opened {
            Some(here) => Some(here),
            None => {
                let env = context.env.clone();
                let holder = KeyHolder::of_outgoing(role, cluster, &env, &signer_env(context));
                holder.map(|holder| holder.open_outgoing(&env, &mut PinsOf(context))).transpose()?.flatten()
            }
        };
        opened
            .iter()
            .filter_map(|opened| opened.weakly_encrypted.as_ref())
            .for_each(|path| warn_of_encryption(path, context));
        // One that has expired signs nothing any more.
        let is_valid = |opened: &OpenedCa| opened.ca.not_after() > context.env.now;
        opened.filter(is_valid).map(|opened| ready_to_sign(role, opened, context.env.now)).transpose()
    }

    /// Opens the CA of a role for signing, and returns how to store the key of the CA that replaces it: with the same
    /// passphrase, or unencrypted if the old key is; for an old key that is with a signer, with a passphrase of its own.
    ///
    /// # Errors
    /// Returns the errors of [`Self::issuers`].
    pub(crate) fn with_protection(
        &self,
        role: CaRole,
        cluster: &Cluster,
        context: &mut Context<'_>,
    ) -> Result<(Issuer, KeyProtection)> {
        if app_ca::signer(role, cluster, &context.env.layout).is_some() {
            let is_file = cluster.next_signer(role).is_none();
            let protection = if is_file { self.of_new_file(context)? } else { KeyProtection::None };
            return Ok((self.issuer(role, cluster, context)?, protection));
        }
        let given = self.given(context)?;
        let (opened, passphrase) = match (ca::open(&context.env.layout, role, None), given) {
            (Err(CaError::Key { source: KeyError::PassphraseNeeded, .. }), Some(given)) => {
                (ca::open(&context.env.layout, role, Some(&given))?, Some(given))
            }
            (tried, _) => or_ask(role, tried, context)?,
        };
        opened.weakly_encrypted.iter().for_each(|path| warn_of_encryption(path, context));
        let protection = passphrase.map_or(KeyProtection::None, KeyProtection::Passphrase);
        Ok((ready_to_sign(role, opened, context.env.now)?, protection))
    }

    /// Returns the protection for the file of a new key, if the key that it replaces is not a file.
    fn of_new_file(&self, context: &mut Context<'_>) -> Result<KeyProtection> {
        let passphrase = self.choose(context).map_err(|error| match error.exit() {
            Exit::Usage => error.hint(format!("give it with --ca-passphrase-file FILE or {VARIABLE}")),
            _ => error,
        })?;
        Ok(KeyProtection::Passphrase(passphrase))
    }

    /// Like [`Self::issuers`], for one CA.
    ///
    /// # Errors
    /// Returns the errors of [`Self::issuers`].
    pub(crate) fn issuer(&self, role: CaRole, cluster: &Cluster, context: &mut Context<'_>) -> Result<Issuer> {
        let issuers = self.issuers(&[role], cluster, context)?;
        issuers.into_iter().next().ok_or_else(|| CliError::new(Exit::Bug, "the CA was not opened"))
    }

    /// Opens CAs for signing, and prompts for the passphrase if a key is encrypted. `init-ca` encrypts all keys with
    /// the same passphrase, so each answer is tried on all keys before the next prompt.
    ///
    /// # Errors
    /// Returns an error if there is no root, a key is missing or damaged, or the passphrase is wrong.
    fn open(&self, roles: &[CaRole], context: &mut Context<'_>) -> Result<Vec<(CaRole, OpenedCa)>> {
        if roles.is_empty() {
            return Ok(Vec::new());
        }
        warn_of_modes(roles, context);
        let mut at_hand = self.given(context)?;
        let may_ask = at_hand.is_none();
        let (mut opened, mut others) = (Vec::with_capacity(roles.len()), roles);
        if may_ask && let Some((first, rest)) = roles.split_first() {
            let tried = ca::open(&context.env.layout, *first, None);
            let (root, typed) = or_ask(*first, tried, context)?;
            opened.push((*first, root));
            (at_hand, others) = (typed, rest);
        }
        // Decrypting a key is slow on purpose (scrypt), so keys are opened concurrently.
        let layout = &context.env.layout;
        let tried: Vec<_> = others.par_iter().map(|role| (*role, ca::open(layout, *role, at_hand.as_ref()))).collect();
        for (role, tried) in tried {
            let root = if may_ask { or_ask(role, tried, context)?.0 } else { tried? };
            opened.push((role, root));
        }
        let weak = opened.iter().filter_map(|(_, opened)| opened.weakly_encrypted.as_ref());
        weak.for_each(|path| warn_of_encryption(path, context));
        Ok(opened)
    }
}

/// Asks for a passphrase once.
fn asked(question: &str, context: &mut Context<'_>) -> Result<Passphrase> {
    let Some(prompts) = &mut context.prompts else {
        let failure = CliError::new(Exit::Usage, "the old CA's key is encrypted, and there is no terminal to ask on");
        return Err(failure.hint(format!("give its passphrase with --ca-passphrase-file FILE or {VARIABLE}")));
    };
    prompts.passphrase(question).map_err(no_answer("no passphrase was typed"))
}

/// Warns of CAs' keys that other users can read, and of folders in which others can replace them.
fn warn_of_modes(roles: &[CaRole], context: &mut Context<'_>) {
    let layout = context.env.layout.clone();
    for path in roles.iter().map(|role| layout.root_key(*role)) {
        if let Some(CredentialProblem::Mode(path, mode)) = credentials::file_readable_by_others(&path) {
            context.screen.warn(format_args!(
                "others can read the CA's key {0}: it has mode {mode:04o}. Close it with: chmod 600 {0}",
                path.display()
            ));
        }
    }
    let folders: BTreeSet<PathBuf> = roles.iter().map(|role| layout.root_folder(*role)).collect();
    for folder in [layout.dir().to_owned(), layout.pki()].into_iter().chain(folders).collect::<BTreeSet<_>>() {
        let mode = files::mode(&folder).unwrap_or_default();
        // In a folder with the sticky bit, such as /tmp, others cannot replace files, but they can add new ones.
        if mode & OTHERS_WRITE != 0 {
            context.screen.warn(format_args!(
                "every user can replace files in {0}: it has mode {mode:04o}. Close it with: chmod o-w {0}",
                folder.display()
            ));
        }
    }
}

/// Warns of the weak encryption of a CA's key, and states how to encrypt it again.
pub(crate) fn warn_of_encryption(path: &Path, context: &mut Context<'_>) {
    context.screen.warn(format_args!(
        "the CA's key {0} is weakly encrypted (one round of MD5, as openssl before PKCS#8): passphrases are tried quickly. \
         Encrypt it again: openssl pkcs8 -topk8 -scrypt -in {0} -out {0}.new && mv {0}.new {0}; and delete copies of the old file",
        path.display()
    ));
}

/// Returns the holders of the keys of these roles; roles whose keys are files are left out.
pub(crate) fn holders<'c>(roles: &[CaRole], cluster: &'c Cluster, context: &Context<'_>) -> Vec<KeyHolder<'c>> {
    let signer_env = signer_env(context);
    roles.iter().filter_map(|role| KeyHolder::of(*role, cluster, &context.env, &signer_env)).collect()
}

/// Returns an opened CA. If it needs a passphrase other than the one tried, prompts for it, and also returns the
/// passphrase.
fn or_ask(
    role: CaRole,
    tried: Result<OpenedCa, CaError>,
    context: &mut Context<'_>,
) -> Result<(OpenedCa, Option<Passphrase>)> {
    let closed = match tried {
        Err(error @ CaError::Key { source: KeyError::PassphraseNeeded | KeyError::WrongPassphrase, .. }) => error,
        other => return Ok((other?, None)),
    };
    let Some(prompts) = &mut context.prompts else {
        let failure = CliError::new(Exit::Usage, "the CA's key is encrypted, and there is no terminal to ask on");
        return Err(failure
            .hint(format!("give its passphrase with --ca-passphrase-file FILE or {VARIABLE}"))
            .because(closed));
    };
    let question = match role {
        CaRole::Cluster => "Passphrase of the CA's key".to_owned(),
        CaRole::Etcd | CaRole::FrontProxy => format!("Passphrase of the {}'s key", role.as_str()),
    };
    for left in (0..TRIES).rev() {
        let typed = prompts.passphrase(&question).map_err(no_answer("no passphrase was typed"))?;
        match ca::open(&context.env.layout, role, Some(&typed)) {
            Err(CaError::Key { source: KeyError::WrongPassphrase, .. }) if left > 0 => {
                context.screen.warn("the passphrase is wrong, try again");
            }
            other => return Ok((other?, Some(typed))),
        }
    }
    Err(closed.into())
}
