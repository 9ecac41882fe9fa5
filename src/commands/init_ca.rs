//! `init-ca`: the three roots and the ledger, once.

use clap::Args;
use zeroize::Zeroizing;

use super::context::Context;
use super::given::passphrase::PassphraseArgs;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::error::{CliError, Exit};
use crate::pki::inspect::stamp;
use crate::pki::issuer::create_root;
use crate::pki::passphrase::Passphrase;
use crate::store::ca::{self, NewCa};
use crate::store::error::StoreError;

/// Creates the roots: the cluster's, etcd's and the front proxy's, and the ledger of all that they will sign.
#[derive(Debug, Args)]
pub struct InitCaArgs {
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Store the CA's keys in the clear, protected by their mode alone
    #[arg(long, conflicts_with = "ca_passphrase_file")]
    plaintext_ca_key: bool,
}

/// Runs `init-ca`.
///
/// # Errors
/// Refused when there is a root already; see [`PassphraseArgs::choose`].
pub fn run(args: &InitCaArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let cluster = context.cluster()?;
    let _lock = context.lock("init-ca")?;
    refuse_a_second_root(context)?;
    let passphrase = if args.plaintext_ca_key { None } else { Some(args.passphrase.choose(context)?) };
    let made = make(&cluster, passphrase.as_ref(), context)?;
    ca::create_all(&context.layout, &made, &context.mark())?;
    tell(&made, passphrase.is_some(), context);
    Ok(Exit::Done)
}

fn refuse_a_second_root(context: &Context<'_>) -> Result<(), StoreError> {
    let pki = context.layout.pki();
    if crate::store::files::exists(&pki) { Err(StoreError::Exists(pki)) } else { Ok(()) }
}

fn make(cluster: &Cluster, passphrase: Option<&Passphrase>, context: &Context<'_>) -> anyhow::Result<Vec<NewCa>> {
    let mut roots = Vec::new();
    for kind in CaRole::ALL {
        let made = create_root(kind, &cluster.name, cluster.keys, cluster.validity.ca, context.now)?;
        let key_pem = match passphrase {
            Some(passphrase) => Zeroizing::new(
                made.get()
                    .key
                    .to_encrypted_pem(passphrase)
                    .map_err(|error| CliError::new(Exit::Bug, "the key could not be encrypted").because(error))?,
            ),
            None => made.get().key.to_pem(),
        };
        roots.push(NewCa { kind, made, key_pem });
    }
    Ok(roots)
}

fn tell(made: &[NewCa], encrypted: bool, context: &mut Context<'_>) {
    for root in made {
        let certificate = &root.made.get().certificate;
        context.screen.answer(format_args!(
            "{}\n  file         {}\n  valid until  {}\n  pin          {}\n  fingerprint  {}",
            certificate.account().user,
            context.layout.root_certificate(root.kind).display(),
            stamp(certificate.not_after),
            certificate.spki_fingerprint().as_pin(),
            certificate.fingerprint(),
        ));
    }
    let pki = context.layout.pki();
    if encrypted {
        context
            .screen
            .step("The keys are encrypted with your passphrase. Without it nothing can be issued: keep it safe.");
    } else {
        context.screen.warn("the CA's keys are stored in the clear; whoever reads them owns the cluster");
    }
    context.screen.step(format_args!("Back up {} now, then go on with: clusterctl issue-master --all", pki.display()));
}
