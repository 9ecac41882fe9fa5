//! `init-ca`: creates the CAs and the ledger, once.

use clap::Args;

use crate::app::ca::{self, CaReport, KeyProtection};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cluster::duration::stamp;

/// Creates the root CAs of the cluster, of etcd and of the front proxy, and the ledger of the certificates that they
/// will sign.
#[derive(Debug, Args)]
pub struct InitCaArgs {
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Store the CA's keys without encryption, protected by the mode of their files alone
    #[arg(long, conflicts_with = "ca_passphrase_file")]
    plaintext_ca_key: bool,
}

/// Runs `init-ca`.
///
/// # Errors
/// Returns the errors of [`ca::create`] and `PassphraseArgs::choose`.
pub fn run(args: &InitCaArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let _lock = context.lock("init-ca")?;
    // No passphrase is asked for in vain.
    ca::missing(&context.env.layout)?;
    let protection = match args.plaintext_ca_key {
        true => KeyProtection::None,
        false => KeyProtection::Passphrase(args.passphrase.choose(context)?),
    };
    show(&ca::create(&context.env, &cluster, &protection)?, context);
    Ok(Exit::Done)
}

fn show(report: &CaReport, context: &mut Context<'_>) {
    for ca in &report.created {
        context.screen.answer(format_args!(
            "{}\n  file         {}\n  valid until  {}\n  pin          {}\n  fingerprint  {}",
            ca.name,
            ca.certificate.display(),
            stamp(ca.not_after),
            ca.pin.as_pin(),
            ca.fingerprint,
        ));
    }
    if report.encrypted {
        context.screen.step(
            "The keys are encrypted with your passphrase. Without it no certificate can be issued: keep it safe.",
        );
    } else {
        context.screen.warn("the CA's keys are not encrypted: anyone who reads them controls the cluster");
    }
    let pki = context.env.layout.pki();
    context.screen.step(format_args!("Back up {} now. Next: clusterctl issue-master --all", pki.display()));
}
