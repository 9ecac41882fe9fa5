//! `issue-admin`: issues the kubeconfig of an administrator, an approver, a signer or an announcer; after a confirmation also one
//! that bypasses every authorizer.

use clap::Args;

use crate::app::admin::{self, AdminAccount, AdminOptions, AdminReport};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cluster::account::MAX_COMMON_NAME;
use crate::cluster::duration::stamp;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::{HostName, NameError};
use crate::cluster::profile::{CaRole, CertificateSpec, SYSTEM_MASTERS};

/// The arguments of `issue-admin`.
#[derive(Debug, Args)]
pub struct IssueAdminArgs {
    /// The account's name [default: kubernetes-admin; with --break-glass: break-glass; with --approver: approver; with --signer: signer; with --announcer: announcer]
    #[arg(value_name = "NAME", value_parser = name)]
    name: Option<HostName>,
    /// How long the certificate is valid, for example 90d [default: validity.admin in cluster.yaml, or else 90d; with --break-glass: 24h, and 7d at most; with --reissue: as before]
    #[arg(long, alias = "for", value_name = "TIME", value_parser = Lifetime::parse)]
    validity: Option<Lifetime>,
    /// For emergencies: put the account into system:masters instead; it bypasses every authorizer and cannot be revoked
    #[arg(long)]
    break_glass: bool,
    /// Put the account into clusterctl:approvers instead: it may approve and deny hosts' requests at the enrolment CA, and nothing else
    #[arg(long, conflicts_with_all = ["break_glass", "signer", "announcer"])]
    approver: bool,
    /// Put the account into clusterctl:signers instead: clusterctl signer uses it at the enrolment CA
    #[arg(long, conflicts_with = "break_glass")]
    signer: bool,
    /// Put the account into clusterctl:announcers instead: clusterctl announce signs the cluster's record with its key
    #[arg(long, conflicts_with_all = ["break_glass", "signer"])]
    announcer: bool,
    /// Do not ask for confirmation of --break-glass
    #[arg(long, requires = "break_glass")]
    yes: bool,
    /// Replace the kubeconfig of that name, by one of the same group and validity
    #[arg(long)]
    reissue: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

fn name(text: &str) -> Result<HostName, NameError> {
    match text.chars().count() {
        length if length > MAX_COMMON_NAME => Err(NameError::TooLong { length, limit: MAX_COMMON_NAME }),
        _ => HostName::parse(text),
    }
}

/// Runs `issue-admin`.
///
/// # Errors
/// Returns the errors of [`admin::plan`], the passphrase and [`admin::AdminPlan::apply`], or a refusal if it is not
/// confirmed.
pub fn run(args: &IssueAdminArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let IssueAdminArgs { name, validity, reissue, .. } = args;
    let account = match () {
        () if args.break_glass => Some(AdminAccount::BreakGlass),
        () if args.approver => Some(AdminAccount::Approver),
        () if args.signer => Some(AdminAccount::Signer),
        () if args.announcer => Some(AdminAccount::Announcer),
        () => None,
    };
    let options = AdminOptions { name: name.clone(), validity: *validity, account, reissue: *reissue };
    let env = context.env.clone();
    let plan = admin::plan(&options, &cluster, &env, &mut context.observer())?;
    if args.break_glass && !args.yes {
        confirm(plan.spec(), context)?;
    }
    let issuer = args.passphrase.issuer(CaRole::Cluster, &cluster, context)?;
    let report = plan.apply(&issuer, &mut context.observer())?;
    show(&report, context);
    Ok(Exit::Done)
}

fn confirm(spec: &CertificateSpec, context: &mut Context<'_>) -> Result<()> {
    let Some(prompts) = &mut context.prompts else {
        let what = "--break-glass asks for confirmation, and there is no terminal to ask on";
        return Err(CliError::new(Exit::Usage, what).hint("use --yes to confirm it"));
    };
    context.screen.warn(format_args!(
        "{} in {SYSTEM_MASTERS} bypasses every authorizer and every admission policy that exempts it, and cannot be revoked; its certificate is valid for {}",
        spec.subject.user, spec.lifetime
    ));
    if prompts.confirm("Issue it?").map_err(no_answer("it was not confirmed"))? {
        return Ok(());
    }
    Err(CliError::new(Exit::Refused, "it was not confirmed").hint("nothing was issued"))
}

fn show(report: &AdminReport, context: &mut Context<'_>) {
    let AdminReport { path, name, not_after, account } = report;
    let (until, group) = (stamp(*not_after), account.group());
    context.screen.answer(path.display());
    match account {
        AdminAccount::BreakGlass => context.screen.warn(format_args!(
            "anyone who has this file controls the cluster until {until}. Destroy it when the emergency is over"
        )),
        AdminAccount::Admin => context.screen.step(format_args!(
            "{name}, group {group}, until {until}. Give it only to that person; its rights come with clusterctl policy"
        )),
        AdminAccount::Approver | AdminAccount::Signer | AdminAccount::Announcer => context.screen.step(format_args!(
            "{name}, group {group}, until {until}. Its rights are those of the enrolment CA; in Kubernetes it has none"
        )),
    }
}
