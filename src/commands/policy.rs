//! `policy`: what the accounts may do, as files for `kubectl apply` and for API servers, or in words.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;

use crate::app::package::{templates, versions};
use crate::app::revoke::superseded::Superseded;
use crate::app::revoke::{check_ledger_is_current, denials};
use crate::bundle::images::Settings;
use crate::bundle::policy::{self, PolicyFile};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cli::finding_remedies::words;
use crate::cli::output::bundles;
use crate::cluster::account::AccountScheme;
use crate::cluster::profile::Profile;
use crate::cluster::spec::Cluster;
use crate::rbac::denials::Denials;
use crate::rbac::explain;
use crate::store::error::StoreError;
use crate::store::files::{self, PUBLIC};
use crate::store::ledger::Ledger;
use crate::store::staged::StagedFolder;
use crate::verify::remedy::{DirectoryRemedy, TargetKind};

/// Writes the folder policy/ from the cluster file: RBAC and admission policies, for kubectl apply -f policy/, and what each
/// API server is told to deny, policy/masters/authorization.yaml, which masters' bundles hold, too. The same bytes for the
/// same input.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// Say in words what each account may do, may not do, and what stays open, and write nothing
    #[arg(long, conflicts_with = "templates")]
    check: bool,
    /// Take templates from this folder where it has them, by their path
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
}

/// Runs `policy`.
///
/// # Errors
/// A usage error for templates that do not work; refused when files of somebody else's lie in the folder, or lists name more
/// as revoked than the ledger, so that what is written would let somebody in again.
pub fn run(args: &PolicyArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    if args.check {
        context.screen.answer(explain::accounts(&cluster));
        return Ok(Exit::Done);
    }
    let templates = templates::load(
        args.templates.as_ref().map(|dir| context.path(dir)).as_deref(),
        &cluster,
        &context.env.layout,
    )?;
    let _lock = context.lock("policy")?;
    let (mut ledger, denials) = denials(&cluster, context)?;
    let settings = Settings::of(&cluster.kubernetes);
    for warning in versions::unsupported(&settings, cluster.accounts, denials.count()) {
        bundles::warn(&warning, &context.env.layout, &mut context.screen);
    }
    let folder = context.env.layout.policy();
    refuse_others_files(context)?;
    files::sweep(context.env.layout.dir())?;
    let staged = StagedFolder::begin(&folder)?;
    let mut paths = Vec::new();
    for file in templates.policy(&cluster, &denials) {
        context.go_on(|| "nothing was changed".to_owned())?;
        let PolicyFile { path, text } = file.map_err(|error| {
            CliError::new(Exit::Usage, "the policy cannot be rendered")
                .hint("look at the template that is named; clusterctl bundle --eject-templates DIR writes those that work")
                .because(error)
        })?;
        staged.add_below(&path, text.as_bytes(), PUBLIC)?;
        paths.push(path);
    }
    let deletions = match &ledger {
        Some(ledger) => left_over(&cluster, ledger)?,
        None => None,
    };
    if let Some(PolicyFile { path, text }) = &deletions {
        staged.add_below(path, text.as_bytes(), PUBLIC)?;
        paths.push(path.clone());
    }
    files::sync_all(context.env.layout.dir())?;
    staged.publish()?;
    files::sync_all(context.env.layout.dir())?;
    if let Some(ledger) = &mut ledger {
        ledger.log_event("policy", &cluster.name.to_string(), &folder.display().to_string(), &context.env.audit())?;
    }
    for path in &paths {
        context.screen.answer(folder.join(path).display());
    }
    context.screen.step(format_args!("Apply it with: kubectl apply -f {}", folder.display()));
    if deletions.is_some() {
        let folder = folder.join(policy::DELETE);
        context.screen.warn(format_args!(
            "objects of accounts that the cluster file does not have any more may be left in the cluster, and give rights. Once \
             their nodes have new certificates: kubectl delete --ignore-not-found -f {}",
            folder.display()
        ));
    }
    if let Some(ledger) = &ledger {
        let superseded = Superseded::find(&cluster, ledger, &context.env)?;
        if !superseded.is_empty() {
            let what = superseded.in_words(cluster.accounts);
            let remedy = DirectoryRemedy::ReplaceAccounts { delete_objects: false };
            context.screen.warn(format_args!("{what}: {}", words(&remedy.into(), TargetKind::Directory)));
        }
    }
    context.screen.step(
        "The first time nobody has the right to: use clusterctl issue-admin --break-glass, and issue-admin from then on.",
    );
    Ok(Exit::Done)
}

/// What names the objects of nodes' accounts that were issued once, and that the policy does not have any more.
fn left_over(cluster: &Cluster, ledger: &Ledger) -> Result<Option<PolicyFile>, StoreError> {
    let scheme = AccountScheme::Kubelet;
    let mut accounts = ledger.accounts_of(Profile::KubeletClient.policy().name)?;
    accounts.retain(|account| account.starts_with(scheme.prefix()));
    let all_of_them = cluster.accounts != scheme && !accounts.is_empty();
    if cluster.accounts == scheme {
        let today: HashSet<String> = cluster.nodes.iter().map(|node| scheme.account(&node.name).user).collect();
        accounts.retain(|account| !today.contains(account));
    }
    Ok(policy::deletions(&accounts, all_of_them))
}

/// What is revoked; nothing before there is a root.
fn denials(cluster: &Cluster, context: &Context<'_>) -> Result<(Option<Ledger>, Denials)> {
    if !files::exists(&context.env.layout.pki()) {
        return Ok((None, Denials::default()));
    }
    let (ledger, _, roots) = context.trust(cluster)?;
    check_ledger_is_current(&context.env.layout, &roots, &ledger, context.env.now)?;
    let denials = denials::of_ledger(&ledger, &roots.cluster, context.env.now)?;
    Ok((Some(ledger), denials))
}

/// The folder is replaced as a whole, and what a person laid there is nobody's to lose.
fn refuse_others_files(context: &Context<'_>) -> Result<()> {
    let folder = context.env.layout.policy();
    if !files::exists(&folder) {
        return Ok(());
    }
    let others: Vec<String> = files::files_below(&folder)?.into_iter().filter(|path| !policy::is_ours(path)).collect();
    let Some(first) = others.first() else { return Ok(()) };
    let what =
        format!("{} is not from clusterctl, and the folder is replaced as a whole", folder.join(first).display());
    Err(CliError::new(Exit::Refused, what).hint("keep your own files in another folder"))
}
