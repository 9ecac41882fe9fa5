//! `lint`: checks the files of any PKI against rules for Kubernetes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::app::inspect::InputFile;
use crate::app::lint::{self, LintOptions, RULES, Severity};
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::lint::{LintFormat, explain, list, show};
use crate::store::files;

/// The arguments of `lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Files and folders; `-` is standard input
    #[arg(value_name = "FILE|DIR", required_unless_present_any = ["rules", "explain"], value_hint = clap::ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// Report findings of this severity and worse
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = LeastSeverity::Note)]
    severity: LeastSeverity,
    /// Do not report findings of these rules: ids, or families as in 'key.*'; may be repeated, or a list as in a,b
    #[arg(long, value_name = "ID")]
    ignore: Vec<String>,
    /// List the rules
    #[arg(long, conflicts_with_all = ["files", "explain"])]
    rules: bool,
    /// Print what a rule means, and how to fix what it finds
    #[arg(long, value_name = "ID", conflicts_with = "files")]
    explain: Option<String>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: LintFormat,
}

/// `--severity`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LeastSeverity {
    /// It does not work, or lets others take over the cluster
    Error,
    /// It works, but is dangerous, or fails in some programs or later
    Warning,
    /// It works, but clusterctl would make it differently
    Note,
}

impl LeastSeverity {
    fn of_rules(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Note => Severity::Note,
        }
    }
}

/// Runs `lint`.
///
/// # Errors
/// Returns the errors of [`lint::lint`]; a usage error for an unknown rule, or an error if the cluster file cannot be
/// used.
pub fn run(args: &LintArgs, context: &mut Context<'_>) -> Result<Exit> {
    if args.rules {
        list(&RULES, &mut context.screen);
        return Ok(Exit::Done);
    }
    if let Some(id) = &args.explain {
        explain(lint::rule(id).map_err(crate::app::Error::from)?, &mut context.screen);
        return Ok(Exit::Done);
    }
    let cluster = match files::exists(&context.env.layout.cluster_file()) {
        true => Some(context.cluster()?),
        false => None,
    };
    let options = LintOptions::new(args.severity.of_rules(), &args.ignore, cluster).map_err(crate::app::Error::from)?;
    let input = |file: &PathBuf| InputFile { label: file.display().to_string(), path: context.input(file) };
    let inputs: Vec<InputFile> = args.files.iter().map(input).collect();
    let report = lint::lint(&inputs, &options, context.env.now)?;
    show(&report, args.output, context.env.now, &mut context.screen);
    Ok(if report.is_good() { Exit::Done } else { Exit::Findings })
}
