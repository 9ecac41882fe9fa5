//! `revoke`: revokes certificates in the ledger, in CRLs and in the authorization configuration of API servers.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use crate::app::revoke::{self, Request, RevokeOptions, RevokePreview, Subject};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cli::output::revocation;
use crate::cluster::duration::stamp;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CaRole;
use crate::pki::reason::Reason;

/// The arguments of `revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// A host, a person's or the verifier's account, a serial number in hexadecimal, or a file with certificates or a
    /// kubeconfig
    #[arg(value_name = "HOST|ACCOUNT|SERIAL|FILE", required_unless_present_any = ["renew", "from"], add = super::completions::hosts())]
    name: Option<String>,
    /// The reason, as RFC 5280 names it. keyCompromise also replaces the reason of what was revoked before
    #[arg(long, value_name = "REASON", value_parser = reasons(), default_value = "unspecified")]
    reason: Reason,
    /// The CA that signed the certificate with that serial number, if the ledger does not have it
    #[arg(long, value_name = "CA", requires = "name", conflicts_with_all = ["renew", "from"])]
    issuer: Option<IssuerName>,
    /// Record revocations that a ledger from a backup lacks: all that this authorization.yaml, master's bundle or folder of
    /// bundles denies, and all that those in this directory deny; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "renew"], value_hint = clap::ValueHint::AnyPath)]
    from: Vec<PathBuf>,
    /// As `crl renew`
    #[arg(long, hide = true, conflicts_with_all = ["name", "reason", "yes"])]
    renew: bool,
    /// CRL validity (nextUpdate). Clients that check CRLs reject all certificates once it has passed [default: validity.crl in
    /// cluster.yaml, or else 90d]
    #[arg(long, alias = "next-update", value_name = "TIME", value_parser = Lifetime::parse)]
    crl_validity: Option<Lifetime>,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Replace built-in templates with the files of the same path in this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Returns the parser of `--reason`.
pub(super) fn reasons() -> impl TypedValueParser<Value = Reason> {
    PossibleValuesParser::new(Reason::ALL.map(Reason::as_str))
        .try_map(|name| Reason::parse(&name).ok_or("no such reason"))
}

/// `--issuer`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IssuerName {
    /// The cluster's CA, pki/ca.crt.
    #[value(alias = "root")]
    Cluster,
    /// etcd's CA, pki/etcd/ca.crt.
    Etcd,
    /// The front proxy's CA, pki/front-proxy/ca.crt.
    FrontProxy,
}

impl From<IssuerName> for CaRole {
    fn from(name: IssuerName) -> Self {
        match name {
            IssuerName::Cluster => Self::Cluster,
            IssuerName::Etcd => Self::Etcd,
            IssuerName::FrontProxy => Self::FrontProxy,
        }
    }
}

impl RevokeArgs {
    fn options(&self, context: &Context<'_>) -> RevokeOptions {
        let request = match &self.name {
            Some(name) => Request::Revoke {
                subject: Subject {
                    name: name.clone(),
                    file: context.path(Path::new(name)),
                    issuer: self.issuer.map(CaRole::from),
                },
                reason: self.reason,
            },
            None if self.renew => Request::RenewCrls,
            None => Request::RecordFromFiles(self.from.iter().map(|path| context.path(path)).collect()),
        };
        let templates = self.templates.as_ref().map(|folder| context.path(folder));
        RevokeOptions { request, crl_validity: self.crl_validity, templates }
    }
}

/// Runs `revoke`.
///
/// # Errors
/// Returns the errors of [`revoke::plan`], the passphrase and [`revoke::RevokePlan::apply`], or a refusal if it is not
/// confirmed.
pub fn run(args: &RevokeArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let env = context.env.clone();
    let plan = revoke::plan(args.options(context), &cluster, &env, &mut context.observer())?;
    confirm(plan.preview(), args.yes, context)?;
    let issuers = args.passphrase.crl_issuers(plan.signers(), &cluster, context)?;
    let report = plan.apply(&issuers, &mut context.observer())?;
    revocation::show(&report, &mut context.screen);
    Ok(Exit::Done)
}

/// Shows what is about to be revoked, and asks for confirmation.
fn confirm(plan: &RevokePreview<'_>, confirmed: bool, context: &mut Context<'_>) -> Result<()> {
    for serial in plan.serials() {
        context.screen.step(format_args!("serial {serial}, which the ledger does not have"));
    }
    for one in plan.certificates() {
        let name = one.host.as_deref().unwrap_or(&one.account);
        let (profile, serial, until) = (&one.profile, &one.serial, stamp(one.not_after));
        context.screen.step(format_args!("{name} {profile} (serial {serial}, until {until})"));
    }
    for one in plan.raised() {
        let name = one.host.as_deref().unwrap_or(&one.account);
        let reason = one.revocation.as_ref().map_or_else(String::new, |known| format!(", {}", known.reason));
        context.screen.step(format_args!("{name} {} (serial {}, revoked before{reason})", one.profile, one.serial));
    }
    let count = plan.count() + plan.raised().len();
    if confirmed || count == 0 {
        return Ok(());
    }
    let Some(prompts) = &mut context.prompts else {
        let what = "revoking asks for confirmation, and there is no terminal to ask on";
        return Err(CliError::new(Exit::Usage, what).hint("use --yes to confirm it"));
    };
    let these = match count {
        1 => "this certificate".to_owned(),
        count => format!("these {count} certificates"),
    };
    let question = match plan.count() {
        0 => format!("Change the reason for the revocation of {these}? It cannot be undone"),
        _ => format!("Revoke {these}? It cannot be undone"),
    };
    if prompts.confirm(&question).map_err(no_answer("it was not confirmed"))? {
        return Ok(());
    }
    Err(CliError::new(Exit::Refused, "it was not confirmed").hint("nothing was revoked"))
}
