//! clusterctl: static clustering for Kubernetes, from a cluster file to a proven cluster.
//!
//! The rooms, from the ground up; imports point down only, and a test holds them to it:
//!
//! - [`cluster`]: what the admin declared, parsed for good, and the PKI policy as a table
//! - [`pki`]: bytes and cryptography
//! - [`policy`]: who may do what in the cluster, and who is denied
//! - [`cluster_file`]: YAML and kubectl's JSON to a cluster, and back
//! - [`store`]: the cluster directory
//! - [`bundle`]: what each host receives
//! - [`verify`]: the proof on the wire
//! - [`explain`]: what certificates, keys, CRLs, kubeconfigs and bundles say, for `show`
//! - [`fake_cluster`]: a cluster on loopback, for the demo and the tests
//! - [`ui`]: the terminal
//! - [`commands`]: one file a command
//! - [`cli`]: the tree of commands and flags
//!
//! [`sanitized`] makes strangers' texts sanitized, [`world`] is all that is outside, [`failure`] how an error ends, and [`run`] the program.

pub mod bundle;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod error;
pub mod explain;
pub mod fake_cluster;
pub mod pki;
pub mod process;
pub mod rbac;
pub mod sanitize;
pub mod store;
pub mod ui;
pub mod verify;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};
use crate::commands::context::Context;
use crate::error::{CliError, Exit, tell};
use crate::process::Process;
use crate::ui::{ColorChoice, Screen, Verbosity};

/// Runs the program with the arguments of `world` and tells how it ended.
pub fn run(world: &mut Process) -> Exit {
    if let Some(exit) = commands::completions::answer_a_shell(Cli::command, world) {
        return exit;
    }
    if let Err(failure) = commands::given::secrets::none_among(&world.args) {
        return told(world, failure);
    }
    let cli = match Cli::try_parse_from(&world.args) {
        Ok(cli) => cli,
        Err(mut error) => {
            cli::hints::improve(&mut error);
            return usage(world, &error);
        }
    };
    let no_color = is_without_color(world);
    let dir_from_env: Option<PathBuf> = world.env("CLUSTERCTL_DIR").map(Into::into);
    let (stop, now) = (world.stop.clone(), (world.clock)());
    let mut context = Context {
        screen: Screen::new(&mut world.out, &mut world.err, cli.global.verbosity(), cli.global.color, no_color),
        given_dir: cli.global.dir.is_some() || dir_from_env.is_some(),
        layout: cli.global.layout(&world.dir, dir_from_env),
        trust_owner: cli.global.trust_owner,
        dir: &world.dir,
        env: &world.env,
        clock: &world.clock,
        now,
        user: &world.user,
        prompts: world.prompts.as_deref_mut(),
        stop,
        tree: Cli::command,
    };
    commands::threads::are_scarce();
    let outcome = catch_unwind(AssertUnwindSafe(|| dispatch(cli.command, &mut context)));
    let result = outcome.unwrap_or_else(|_| {
        let what = "clusterctl met a situation that it was not built for";
        let bug = || CliError::new(Exit::Bug, what).hint("this is a bug; please report what you did");
        Err(lacking().unwrap_or_else(bug).into())
    });
    let lost = context.screen.take_lost();
    let result = match (result, lost) {
        (Ok(_), Some(error)) => Err(unwritten(error).into()),
        (result, _) => result,
    };
    result.unwrap_or_else(|error| {
        let (mut telling, mut exit) = tell(&error);
        if let Some(lacking) = lacking().filter(|_| exit == Exit::Bug) {
            (telling, exit) = tell(&lacking.because(Told(telling.error)).into());
        }
        context.screen.failure(&telling);
        exit
    })
}

fn dispatch(command: Command, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    use crate::commands::{
        bundle, completions, demo, init, init_ca, issue_admin, issue_master, issue_node, man, open, policy, revoke,
        show, verify,
    };
    match command {
        Command::Init(args) => init::run(&args, context),
        Command::InitCa(args) => init_ca::run(&args, context),
        Command::IssueMaster(args) => issue_master::run(&args, context),
        Command::IssueNode(args) => issue_node::run(&args, context),
        Command::IssueAdmin(args) => issue_admin::run(&args, context),
        Command::Bundle(args) => bundle::run(&args, context),
        Command::Open(args) => open::run(&args, context),
        Command::Policy(args) => policy::run(&args, context),
        Command::Revoke(args) => revoke::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Show(args) => show::run(&args, context),
        Command::Demo(args) => demo::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
    }
}

/// What the system does not give, where what looks like a bug of ours comes of it.
fn lacking() -> Option<CliError> {
    if !pki::key::randomness_is_there() {
        return Some(
            CliError::new(Exit::Environment, "the system gives no randomness")
                .hint("no key can be made without it: getrandom(2) failed, and there is no usable /dev/urandom"),
        );
    }
    commands::threads::are_used_up().then(commands::threads::too_few)
}

/// An error that was told already, as the cause of another.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(String);

fn unwritten(error: io::Error) -> CliError {
    CliError::new(Exit::Environment, "the answer could not be written").because(error)
}

/// True where colours are unwanted (no-color.org), or the terminal has none.
fn is_without_color(world: &Process) -> bool {
    world.env("NO_COLOR").is_some() || world.env("TERM").is_some_and(|term| term == "dumb")
}

/// A failure from before any flag was read.
fn told(world: &mut Process, failure: CliError) -> Exit {
    let no_color = is_without_color(world);
    let mut screen = Screen::new(&mut world.out, &mut world.err, Verbosity::Normal, ColorChoice::Auto, no_color);
    let (telling, exit) = tell(&failure.into());
    screen.failure(&telling);
    exit
}

/// clap's own answers: help and version go to stdout, complaints to stderr.
fn usage(world: &mut Process, error: &clap::Error) -> Exit {
    let without = is_without_color(world);
    let colored = |terminal: bool| terminal && !without;
    let (stream, colored) = if error.use_stderr() {
        let colored = colored(world.err.terminal);
        (&mut world.err, colored)
    } else {
        let colored = colored(world.out.terminal);
        (&mut world.out, colored)
    };
    let text = error.render();
    let written = match colored {
        true => write!(stream.sink, "{}", text.ansi()),
        false => write!(stream.sink, "{text}"),
    };
    match written.and_then(|()| stream.sink.flush()) {
        // Nobody is left to be told when stderr is gone.
        _ if error.use_stderr() => Exit::Usage,
        Err(lost) if lost.kind() != io::ErrorKind::BrokenPipe => told(world, unwritten(lost)),
        _ => Exit::Done,
    }
}
