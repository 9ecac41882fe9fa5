//! The program: arguments and a process environment in, an exit status out.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use clap::{CommandFactory, Parser};

use crate::app::{self, threads};
use crate::cli::args::secrets;
use crate::cli::context::Context;
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::process::Process;
use crate::commands::tree::Cli;
use crate::commands::{completions, dispatch, hints};
use crate::pki::key;
use crate::ui::{ColorChoice, Screen, Verbosity};

/// The last year in which the program runs. The longest lifetime is far shorter than the time until the year 9999, the last
/// one that certificates can have (RFC 5280 § 4.1.2.5).
const LAST_YEAR: i32 = 9000;

/// Runs the program with the arguments of `process`, and returns how it ended.
pub fn run(process: &mut Process) -> Exit {
    if let Some(exit) = completions::answer_shell(Cli::command, process) {
        return exit;
    }
    if let Err(error) = secrets::none_among(&process.args) {
        return show(process, &error);
    }
    let cli = match Cli::try_parse_from(&process.args) {
        Ok(cli) => cli,
        Err(mut error) => {
            hints::improve(&mut error);
            return usage(process, &error);
        }
    };
    let now = (process.clock)();
    if now.year() > LAST_YEAR {
        return show(process, &late_clock(now.year()));
    }
    let no_color = is_without_color(process);
    let dir_from_env: Option<PathBuf> = process.env("CLUSTERCTL_DIR").map(Into::into);
    let stop = process.stop.clone();
    let mut context = Context {
        screen: Screen::new(&mut process.out, &mut process.err, cli.global.verbosity(), cli.global.color, no_color),
        prompts: process.prompts.as_deref_mut(),
        dir_was_given: cli.global.dir.is_some() || dir_from_env.is_some(),
        env: app::Env { layout: cli.global.layout(&process.dir, dir_from_env), now, actor: process.user.clone() },
        trust_owner: cli.global.trust_owner,
        dir: &process.dir,
        variables: &process.env,
        clock: &process.clock,
        stop,
    };
    threads::are_scarce();
    let outcome = catch_unwind(AssertUnwindSafe(|| dispatch(cli.command, &mut context)));
    let bug = || {
        CliError::new(Exit::Bug, "clusterctl met a situation that it was not built for")
            .hint("this is a bug; please report what you did")
    };
    let result = outcome.unwrap_or_else(|_| Err(missing_resource().unwrap_or_else(bug)));
    let result = match (result, context.screen.take_lost()) {
        (Ok(_), Some(error)) => Err(unwritten(error)),
        (result, _) => result,
    };
    result.unwrap_or_else(|error| {
        let missing = missing_resource().filter(|_| error.exit() == Exit::Bug);
        let error = match missing {
            Some(missing) => missing.because_of(error),
            None => error,
        };
        context.screen.failure(&error.report());
        error.exit()
    })
}

/// Returns the error for a clock after [`LAST_YEAR`].
fn late_clock(year: i32) -> CliError {
    CliError::new(Exit::Environment, format!("the clock of this machine is at the year {year}"))
        .hint("correct the clock: certificates cannot be valid beyond the year 9999")
}

/// Returns the error for a missing resource of the system that may have caused a panic.
fn missing_resource() -> Option<CliError> {
    if !key::has_randomness() {
        return Some(
            CliError::new(Exit::Environment, "the system gives no randomness")
                .hint("no key can be made without it: getrandom(2) failed, and there is no usable /dev/urandom"),
        );
    }
    threads::are_used_up().then(error::too_few_threads)
}

fn unwritten(error: io::Error) -> CliError {
    CliError::new(Exit::Environment, "the answer could not be written").because(error)
}

/// Returns true if colours are unwanted (no-color.org) or the terminal does not support them.
fn is_without_color(process: &Process) -> bool {
    process.env("NO_COLOR").is_some() || process.env("TERM").is_some_and(|term| term == "dumb")
}

/// Shows an error from before the flags were parsed.
fn show(process: &mut Process, error: &CliError) -> Exit {
    let no_color = is_without_color(process);
    let mut screen = Screen::new(&mut process.out, &mut process.err, Verbosity::Normal, ColorChoice::Auto, no_color);
    screen.failure(&error.report());
    error.exit()
}

/// Shows clap's own answers: help and version on stdout, errors on stderr.
fn usage(process: &mut Process, error: &clap::Error) -> Exit {
    let without = is_without_color(process);
    let colored = |terminal: bool| terminal && !without;
    let (stream, colored) = if error.use_stderr() {
        let colored = colored(process.err.terminal);
        (&mut process.err, colored)
    } else {
        let colored = colored(process.out.terminal);
        (&mut process.out, colored)
    };
    let text = error.render();
    let written = match colored {
        true => write!(stream.sink, "{}", text.ansi()),
        false => write!(stream.sink, "{text}"),
    };
    match written.and_then(|()| stream.sink.flush()) {
        // If stderr is closed, the error cannot be reported.
        _ if error.use_stderr() => Exit::Usage,
        Err(lost) if lost.kind() != io::ErrorKind::BrokenPipe => show(process, &unwritten(lost)),
        _ => Exit::Done,
    }
}
