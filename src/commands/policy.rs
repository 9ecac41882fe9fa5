//! `policy`: writes the accounts' rights, as files for `kubectl apply` and for API servers, or prints them.

use std::path::PathBuf;

use clap::Args;

use crate::app::policy::{self, PolicyReport};
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::finding_remedies::words;
use crate::cli::output::{bundles, rules};
use crate::cluster::spec::Cluster;
use crate::rbac::explain;
use crate::verify::remedy::{DirectoryRemedy, TargetKind};

/// The arguments of `policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// Print what each account may do, may not do, and known remaining risks; write nothing
    #[arg(long, conflicts_with = "templates")]
    check: bool,
    /// Replace built-in templates with the files of the same path in this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
}

/// Runs `policy`.
///
/// # Errors
/// Returns the errors of [`policy::write`].
pub fn run(args: &PolicyArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    if args.check {
        context.screen.answer(explain::accounts(&cluster));
        return Ok(Exit::Done);
    }
    let (env, templates) = (context.env.clone(), args.templates.as_ref().map(|dir| context.path(dir)));
    let report = policy::write(&env, &cluster, templates.as_deref(), &mut context.observer())?;
    show(&report, &cluster, context);
    Ok(Exit::Done)
}

fn show(report: &PolicyReport, cluster: &Cluster, context: &mut Context<'_>) {
    let screen = &mut context.screen;
    for warning in &report.warnings {
        bundles::warn(warning, &context.env.layout, screen);
    }
    for file in &report.files {
        screen.answer(file.display());
    }
    screen.step(format_args!("Apply it with: kubectl apply -f {}", report.folder.display()));
    if let Some(folder) = &report.deletions {
        rules::warn_of_deletions(folder, screen);
    }
    if let Some(superseded) = &report.superseded {
        let remedy = DirectoryRemedy::ReplaceAccounts { delete_objects: false };
        screen.warn(format_args!(
            "{}: {}",
            superseded.in_words(cluster.accounts),
            words(&remedy.into(), TargetKind::Directory)
        ));
    }
    screen.step(
        "The first time no account has the right to apply it: use clusterctl issue-admin --break-glass, and issue-admin from \
         then on.",
    );
}
