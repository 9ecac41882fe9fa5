//! `rotate-ca`: replaces a CA, phase by phase.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::import_ca::open as open_imported;
use super::rotate_emergency::Emergency;
use super::rotated_role::Role;
use super::verify::parse_time;
use crate::app::ca::KeyHolder;
use crate::app::rotate::tokens::{self, TokenNextOptions};
use crate::app::rotate::{self, ImportedFiles, NewCa, NextOptions, StartOptions};
use crate::app::verify::{self, RunOptions, TargetOptions, TargetSource};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::args::output::OutputFormat;
use crate::cli::args::pins::{PinsOf, signer_env};
use crate::cli::context::{Context, read_given};
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cli::finding_remedies::words;
use crate::cli::output::{imported, rotation, token_rotation};
use crate::cluster::duration::stamp;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::issuer::Issuer;
use crate::verify::checks::Detail;
use crate::verify::options::DEFAULT_CONCURRENCY;
use crate::verify::verdict::Strictness;

/// The largest report that is read, in bytes.
const LIMIT: u64 = 256 << 20;

/// The arguments of `rotate-ca`.
#[derive(Debug, Args)]
pub struct RotateCaArgs {
    #[command(subcommand)]
    command: RotateCommand,
}

#[derive(Debug, Subcommand)]
enum RotateCommand {
    /// Make the new CA beside the old one; no host gets it yet
    ///
    /// The new CA is a root with another name, or one that is imported. Its key gets the passphrase of the old one.
    /// Prints the plan of every phase.
    #[command(after_help = super::examples::ROTATE_CA_START)]
    Start(StartArgs),
    /// Print the phase, what has to be done for it, and the plans of those that follow
    ///
    /// Prints which CA is rotated, its phase, since when the phase is proven, what it changes and which programs have to
    /// be restarted for it, the next command, and what each phase that follows changes. Changes nothing.
    #[command(after_help = super::examples::ROTATE_CA_STATUS)]
    Status(StatusArgs),
    /// Prove the phase on the live cluster, and begin the next one
    ///
    /// Runs verify with the expectations of the phase, and begins the next phase if every host proves the present
    /// one. Otherwise names the hosts that are behind, and exits with 1. The report of a run elsewhere can be given
    /// instead (--report). clusterctl apply writes what the new phase changes.
    #[command(after_help = super::examples::ROTATE_CA_NEXT)]
    Next(NextArgs),
    /// Go back: first to certificates issued by the old CA, then to only the old root
    ///
    /// Possible until clients have certificates issued by the new CA. If hosts already present such certificates, the
    /// first call restores the old ones, and hosts still trust both roots. When verify proves that all hosts have the
    /// old ones, the next call ends the rotation, and deletes the key of the new CA. After each call, clusterctl
    /// apply packs the bundles.
    #[command(after_help = super::examples::ROTATE_CA_ABORT)]
    Abort(AbortArgs),
}

/// The arguments of `rotate-ca start`.
#[derive(Debug, Args)]
struct StartArgs {
    /// The CA, or the key, that is replaced
    #[arg(long, value_name = "ROLE", default_value = "cluster")]
    role: Role,
    /// Kind of the new CA's key [default: keys in cluster.yaml]
    #[arg(long, value_name = "KIND", value_parser = key_kind, conflicts_with = "cert")]
    key_kind: Option<KeyKind>,
    /// Import this CA instead of making one: its certificate, as PEM; the certificates above it may follow in the file
    #[arg(long, value_name = "FILE", requires = "key", value_hint = clap::ValueHint::FilePath)]
    cert: Option<PathBuf>,
    /// The private key of the CA that is imported, as PEM
    #[arg(long, value_name = "FILE", requires = "cert", value_hint = clap::ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// The certificates above an intermediate that is imported, with the root
    #[arg(long, value_name = "FILE", requires = "cert", value_hint = clap::ValueHint::FilePath)]
    chain: Option<PathBuf>,
    /// File with the passphrase of the key that is imported [env: CLUSTERCTL_KEY_PASSPHRASE holds the passphrase itself]
    #[arg(long, value_name = "FILE", requires = "cert", value_hint = clap::ValueHint::FilePath)]
    key_passphrase_file: Option<PathBuf>,
    /// The key of the old CA was stolen: begin the last phase at once, in which hosts trust only the new root, and revoke
    /// all that the old root signed. Hosts and accounts are cut off until they have new certificates
    #[arg(long, conflicts_with = "canaries")]
    emergency: bool,
    /// With --emergency: do not ask
    #[arg(long, requires = "emergency")]
    yes: bool,
    /// Host that presents certificates issued by the new CA first; repeat for each [default: the first master and the first node]
    #[arg(long = "canary", value_name = "HOST", add = super::completions::hosts())]
    canaries: Vec<String>,
    /// Format of the output; the schema of the JSON is schemas/rotation.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// The arguments of `rotate-ca status`.
#[derive(Debug, Args)]
struct StatusArgs {
    /// Format of the output; the schema of the JSON is schemas/rotation.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

/// The arguments of `rotate-ca next`.
#[derive(Debug, Args)]
struct NextArgs {
    /// The CA, or the key, that is replaced
    #[arg(long, value_name = "ROLE", default_value = "cluster")]
    role: Role,
    #[command(flatten)]
    proof: ProofArgs,
    /// Do not wait until programs have read their files again: all of them were restarted
    #[arg(long)]
    no_wait: bool,
    /// With --role service-account: no token that the old key signed is in use any more; do not wait until the last one expires
    #[arg(long)]
    tokens_replaced: bool,
    /// Go forward again although the rotation is being aborted
    #[arg(long)]
    resume: bool,
    /// Keep the key of the old CA in the directory when it is retired
    #[arg(long)]
    keep_old_key: bool,
    /// Do not ask before the key of the old CA is deleted, or before --emergency cuts hosts off
    #[arg(long)]
    yes: bool,
    /// Begin the last phase at once, without any proof: the key of the old CA was stolen
    #[arg(long, conflicts_with_all = ["report", "no_wait", "keep_old_key"])]
    emergency: bool,
    /// Print the plan of the next phase, prove nothing and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Format of the output; the schema of the JSON is schemas/rotation.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// How the phase is proven.
#[derive(Debug, Args)]
struct ProofArgs {
    /// Use this report as the proof: the output of verify --phase --output json
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    report: Option<PathBuf>,
    /// Use this address for a name, as in api.example.net:10.0.0.10; repeat for each
    #[arg(long, value_name = "NAME:ADDRESS", conflicts_with = "report")]
    resolve: Vec<String>,
    /// Longest time for one connection with its answer, for example 5s or 500ms
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time, conflicts_with = "report")]
    timeout: Duration,
    /// Do not fail on skipped checks, except for those of the phase
    #[arg(long, conflicts_with = "report")]
    allow_skipped: bool,
}

/// The arguments of `rotate-ca abort`.
#[derive(Debug, Args)]
struct AbortArgs {
    /// The CA, or the key, that is replaced
    #[arg(long, value_name = "ROLE", default_value = "cluster")]
    role: Role,
    #[command(flatten)]
    proof: ProofArgs,
    /// Format of the output; the schema of the JSON is schemas/rotation.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

fn key_kind(text: &str) -> Result<KeyKind, String> {
    let kind = KeyKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    kind.ok_or_else(|| format!("one of {}", KeyKind::ALL.map(KeyKind::as_str).join(", ")))
}

/// Runs `rotate-ca`.
///
/// # Errors
/// Returns the errors of [`rotate::start()`], [`rotate::next`], [`rotate::abort()`] and of the passphrases.
pub fn run(args: &RotateCaArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    match &args.command {
        RotateCommand::Start(args) => start(args, &cluster, context),
        RotateCommand::Status(args) => {
            let states = rotate::state(&cluster, &context.env)?;
            let tokens = tokens::state(&cluster, &context.env)?;
            rotation::show_states(&states, tokens.as_ref(), args.output, &mut context.screen);
            Ok(Exit::Done)
        }
        RotateCommand::Next(args) => next(args, &cluster, context),
        RotateCommand::Abort(args) => {
            let env = context.env.clone();
            let Some(role) = args.role.of_ca() else {
                let report = tokens::abort(&cluster, &env, &mut context.observer())?;
                token_rotation::show_abort(&report, args.output, &mut context.screen);
                return Ok(Exit::Done);
            };
            let report = match rotate::abort_needs_proof(role, &cluster, &env)? {
                true => Some(args.proof.report(args.role, context)?),
                false => None,
            };
            let report = rotate::abort(role, report.as_ref(), &cluster, &env, &mut context.observer())?;
            rotation::show_abort(&report, args.output, &mut context.screen);
            Ok(Exit::Done)
        }
    }
}

fn start(args: &StartArgs, cluster: &Cluster, context: &mut Context<'_>) -> Result<Exit> {
    let env = context.env.clone();
    let Some(role) = args.role.of_ca() else { return start_tokens(args, cluster, context) };
    if args.emergency {
        let output = args.output;
        let emergency = Emergency { role, passphrase: &args.passphrase, is_confirmed: args.yes, output };
        let is_under_way = rotate::state(cluster, &env)?.iter().any(|state| state.role == role);
        // A command that was killed may have made the new CA already.
        let prepared = if is_under_way { None } else { Some(prepare(args, role, cluster, context)?) };
        emergency.confirm(cluster, context)?;
        if let Some((options, old)) = prepared {
            rotate::start(options, &old, cluster, &env, &mut context.observer())?;
        }
        return emergency.run(cluster, context);
    }
    let (options, old) = prepare(args, role, cluster, context)?;
    let report = rotate::start(options, &old, cluster, &env, &mut context.observer())?;
    rotation::show_start(&report, args.output, &mut context.screen);
    Ok(Exit::Done)
}

/// Checks that the rotation can begin, and returns its options and the CA that is replaced. Changes nothing.
fn prepare(
    args: &StartArgs,
    role: CaRole,
    cluster: &Cluster,
    context: &mut Context<'_>,
) -> Result<(StartOptions, Issuer)> {
    let env = context.env.clone();
    rotate::check(role, &args.canaries, args.emergency, cluster, &env.layout)?;
    let held = match KeyHolder::of_next(role, cluster, &env, &signer_env(context)) {
        Some(_) if args.cert.is_some() => {
            let what = "the key of the CA that is imported is given, and cluster.yaml has signers.next-cluster";
            return Err(CliError::new(Exit::Usage, what).hint("leave one of the two out"));
        }
        Some(holder) => Some(holder.key(Some(args.key_kind.unwrap_or(cluster.keys)), &mut PinsOf(context))?),
        None => None,
    };
    let (old, protection) = args.passphrase.with_protection(role, cluster, context)?;
    let new = match (&args.cert, &args.key) {
        (Some(certificate), Some(key)) => {
            let (certificate, key) = (context.input(certificate), context.input(key));
            let chain = args.chain.as_ref().map(|path| context.input(path));
            let files = (&*certificate, &*key, chain.as_deref());
            let files = ImportedFiles::read(files, role, &env)?;
            let key = open_imported(
                &|passphrase| files.open(passphrase, &env),
                args.key_passphrase_file.as_deref(),
                context,
            )?;
            let imported = files.with_key(&key, &protection, cluster, &env)?;
            imported::warn(role, imported.warnings(), &mut context.screen);
            if let Some(not_after) = imported.cuts_short(cluster, &env) {
                let expires = stamp(not_after);
                context
                    .screen
                    .warn(format_args!("the new CA expires at {expires}, and all that it signs expires with it"));
            }
            NewCa::Import(Box::new(imported))
        }
        _ => held.map_or(NewCa::Generate(args.key_kind.unwrap_or(cluster.keys)), NewCa::Held),
    };
    let canaries = args.canaries.clone();
    Ok((StartOptions { role, new, canaries, protection, is_emergency: args.emergency }, old))
}

fn next(args: &NextArgs, cluster: &Cluster, context: &mut Context<'_>) -> Result<Exit> {
    let env = context.env.clone();
    let Some(role) = args.role.of_ca() else { return next_tokens(args, cluster, context) };
    if args.emergency {
        let (is_confirmed, output) = (args.yes, args.output);
        let emergency = Emergency { role, passphrase: &args.passphrase, is_confirmed, output };
        if args.dry_run {
            emergency.show_plan(cluster, context)?;
            return Ok(Exit::Done);
        }
        // Nothing breaks if there is no rotation.
        rotate::preview(role, cluster, &env)?;
        emergency.confirm(cluster, context)?;
        return emergency.run(cluster, context);
    }
    rotate::check_forward(role, args.resume, cluster, &env)?;
    if args.dry_run {
        let report = rotate::preview(role, cluster, &env)?;
        rotation::show_next(&report, true, args.output, &mut context.screen);
        return Ok(Exit::Done);
    }
    let mut options = NextOptions {
        role,
        report: None,
        no_wait: args.no_wait,
        keep_old_key: args.keep_old_key,
        confirmed: args.yes,
        resume: args.resume,
    };
    // A command that was killed already had the proof.
    let is_recorded = rotate::is_recorded(role, cluster, &env)?;
    if !is_recorded {
        options.report = Some(args.proof.report(args.role, context)?);
    }
    if rotate::deletes_key(role, cluster, &env)? && !args.keep_old_key && !args.yes {
        options.confirmed = confirm(context)?;
    }
    let env = context.env.clone();
    let old = match rotate::needs_last_crl(role, cluster, &env)? && !is_recorded {
        true => args.passphrase.outgoing(role, cluster, context)?,
        false => None,
    };
    let report = rotate::next(&options, old.as_ref(), cluster, &env, &mut context.observer())?;
    rotation::show_next(&report, false, args.output, &mut context.screen);
    Ok(Exit::Done)
}

/// Refuses an emergency of the key of service accounts, which no host trusts as it does a root.
fn refuse_emergency_of_tokens(is_emergency: bool) -> Result<()> {
    match is_emergency {
        true => Err(CliError::new(Exit::Usage, "--emergency is for CAs, and service accounts have a key")
            .hint("go through its phases at once: clusterctl rotate-ca next --role service-account --no-wait --tokens-replaced")),
        false => Ok(()),
    }
}

/// Begins the rotation of the key of service accounts.
fn start_tokens(args: &StartArgs, cluster: &Cluster, context: &mut Context<'_>) -> Result<Exit> {
    refuse_emergency_of_tokens(args.emergency)?;
    if args.key_kind.is_some() || args.cert.is_some() || !args.canaries.is_empty() {
        let why =
            "--key-kind, --cert and --canary are for CAs; the key of service accounts is of the kind of cluster.yaml";
        return Err(CliError::new(Exit::Usage, why));
    }
    let env = context.env.clone();
    let state = tokens::start(cluster, &env, &mut context.observer())?;
    token_rotation::show_start(&state, args.output, &mut context.screen);
    Ok(Exit::Done)
}

/// Begins the next phase of the rotation of the key of service accounts.
fn next_tokens(args: &NextArgs, cluster: &Cluster, context: &mut Context<'_>) -> Result<Exit> {
    refuse_emergency_of_tokens(args.emergency)?;
    let env = context.env.clone();
    let preview = tokens::preview(cluster, &env)?;
    if args.dry_run {
        token_rotation::show_next(&preview, true, args.output, &mut context.screen);
        return Ok(Exit::Done);
    }
    let mut options = TokenNextOptions {
        report: None,
        no_wait: args.no_wait,
        tokens_replaced: args.tokens_replaced,
        keep_old_key: args.keep_old_key,
        confirmed: args.yes,
    };
    // A command that was killed already had the proof.
    if !tokens::is_recorded(&env)? {
        options.report = Some(args.proof.report(args.role, context)?);
    }
    if preview.then.is_none() && !args.keep_old_key && !args.yes {
        options.confirmed = confirm(context)?;
    }
    let report = tokens::next(&options, cluster, &env, &mut context.observer())?;
    token_rotation::show_next(&report, false, args.output, &mut context.screen);
    Ok(Exit::Done)
}

impl ProofArgs {
    /// Returns the report that was given, or that of a new run of `verify`: its name and its content.
    fn report(&self, role: Role, context: &mut Context<'_>) -> Result<(PathBuf, Vec<u8>)> {
        match &self.report {
            Some(path) => {
                let path = context.input(path);
                let json = read_given(&path, LIMIT, "report of verify")?;
                Ok((path, json))
            }
            None => Ok((PathBuf::from("the report of this run"), prove(self, role, context)?)),
        }
    }
}

/// Runs `verify --phase`, and returns its report as JSON.
fn prove(args: &ProofArgs, role: Role, context: &mut Context<'_>) -> Result<Vec<u8>> {
    let (env, clock) = (context.env.clone(), context.clock);
    let options = TargetOptions {
        source: TargetSource::Directory,
        nodes: Vec::new(),
        // Nodes have only certificates of the cluster's CA.
        masters_only: role != Role::Cluster,
        sample: None,
        phase: Some(role.proven()),
        crls: Vec::new(),
    };
    let target = verify::assemble(&env, &options)?;
    let limits = RunOptions {
        timeout: args.timeout,
        deadline: None,
        concurrency: DEFAULT_CONCURRENCY.into(),
        dry_run_writes: true,
        resolve: args.resolve.clone(),
        expires_within: time::Duration::ZERO,
        strictness: Strictness { allow_skipped: args.allow_skipped, fail_on_warn: false },
    };
    let recording = verify::run(&env, target, &limits, &clock, &context.observer())?;
    Ok(recording.into_report(Detail::Everything).to_json(&words).into_bytes())
}

/// Asks whether to delete the old key.
fn confirm(context: &mut Context<'_>) -> Result<bool> {
    let Some(prompts) = &mut context.prompts else { return Ok(false) };
    let question = "Delete the old key? Only a backup can bring it back";
    match prompts.confirm(question).map_err(no_answer("the question was not answered"))? {
        true => Ok(true),
        false => Err(CliError::new(Exit::Refused, "cancelled; nothing was changed")),
    }
}
