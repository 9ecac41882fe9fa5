//! `crl`: renews and describes CRLs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::app::count::certificates;
use crate::app::revoke::{self, CrlSource, Request, RevokeOptions};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::{crls, revocation};
use crate::cluster::lifetime::Lifetime;

/// The arguments of `crl`.
#[derive(Debug, Args)]
pub struct CrlArgs {
    #[command(subcommand)]
    command: CrlCommand,
}

#[derive(Debug, Subcommand)]
enum CrlCommand {
    /// Sign the CRLs again, before they expire, and revoke nothing
    ///
    /// Signs the CRLs of the cluster's, etcd's and the front proxy's CA from what the ledger records as revoked, and
    /// writes the API servers' authorization configuration.
    #[command(after_help = super::examples::CRL_RENEW)]
    Renew(RenewArgs),
    /// Describe CRLs, and compare them with the ledger
    ///
    /// Prints issuer, number, dates and revoked serial numbers of the CRLs of the cluster directory, or of files.
    /// Exits with 1 when a CRL is missing, has expired or does not match the ledger.
    #[command(after_help = super::examples::CRL_SHOW)]
    Show(ShowArgs),
}

/// The arguments of `crl renew`.
#[derive(Debug, Args)]
struct RenewArgs {
    /// CRL validity (nextUpdate). Clients that check CRLs reject all certificates once it has passed [default: validity.crl in
    /// cluster.yaml, or else 90d]
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse)]
    crl_validity: Option<Lifetime>,
    /// Replace built-in templates with the files of the same path in this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// The arguments of `crl show`.
#[derive(Debug, Args)]
struct ShowArgs {
    /// Files with CRLs, PEM or DER [default: those of the cluster directory]; `-` is standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Format of the output; the schema of the JSON is schemas/crl.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

/// Runs `crl`.
///
/// # Errors
/// Returns the errors of [`revoke::plan`], [`revoke::RevokePlan::apply`] and [`revoke::describe`].
pub fn run(args: &CrlArgs, context: &mut Context<'_>) -> Result<Exit> {
    match &args.command {
        CrlCommand::Renew(args) => renew(args, context),
        CrlCommand::Show(args) => show(args, context),
    }
}

fn renew(args: &RenewArgs, context: &mut Context<'_>) -> Result<Exit> {
    let templates = args.templates.as_ref().map(|folder| context.path(folder));
    let options = RevokeOptions { request: Request::RenewCrls, crl_validity: args.crl_validity, templates };
    let cluster = context.cluster()?;
    let env = context.env.clone();
    let plan = revoke::plan(options, &cluster, &env, &mut context.observer())?;
    let issuers = args.passphrase.crl_issuers(plan.signers(), &cluster, context)?;
    let report = plan.apply(&issuers, &mut context.observer())?;
    revocation::show(&report, &mut context.screen);
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, context: &mut Context<'_>) -> Result<Exit> {
    let source = match args.files.as_slice() {
        [] => {
            context.cluster()?;
            CrlSource::Directory
        }
        files => CrlSource::Files {
            paths: files.iter().map(|file| context.input(file)).collect(),
            compare: context.check_owner().is_ok(),
        },
    };
    let report = revoke::describe(&source, &context.env)?;
    match args.output {
        OutputFormat::Human if report.crls.is_empty() && report.unlisted == 0 => {
            context.screen.step("there is no CRL, and no certificate is revoked");
        }
        OutputFormat::Human => {
            if report.unlisted > 0 {
                context.screen.warn(format_args!(
                    "no CRL lists {} that {} revoked, because the CA cannot sign CRLs: API servers deny them by their rules, and \
                     everything else accepts them until they expire",
                    certificates(report.unlisted),
                    if report.unlisted == 1 { "is" } else { "are" },
                ));
            }
            for state in &report.crls {
                context.screen.answer(crls::text(state, report.now).trim_end());
            }
        }
        OutputFormat::Json => context.screen.answer(crls::json(&report)),
    }
    Ok(if report.is_good() { Exit::Done } else { Exit::Findings })
}
