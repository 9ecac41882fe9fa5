//! `completions`: prints scripts with which shells complete commands, flags, and the host names of the cluster file.
//!
//! The scripts run the program itself at every TAB, with the variable [`VARIABLE`] set.

use std::ffi::{OsStr, OsString};

use clap::{Args, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::app::directory;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cli::process::Process;
use crate::cluster::name::HostName;
use crate::cluster::spec::{Cluster, Role};
use crate::store::issuance::HostFolders;
use crate::store::layout::Layout;

/// The variable that the scripts set to the shell's name when they ask for candidates.
pub const VARIABLE: &str = "CLUSTERCTL_COMPLETE";
const PROGRAM: &str = "clusterctl";
/// Makes zsh complete at the first TAB.
///
/// zsh loads a file of its fpath when the function of that name is first called. The script only defines another
/// function, so without this the first TAB would do nothing.
const FIRST_TAB: &str = "
if [[ $funcstack[1] = _clusterctl ]]; then
    _clap_dynamic_completer_clusterctl \"$@\"
fi
";

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: ShellName,
}

/// The supported shells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellName {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// Elvish
    Elvish,
}

impl ShellName {
    /// All shells.
    pub const ALL: [Self; 5] = [Self::Bash, Self::Zsh, Self::Fish, Self::Powershell, Self::Elvish];

    /// Returns the name of its file in `completions/`, as the shell expects it.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Bash => "clusterctl.bash",
            Self::Zsh => "_clusterctl",
            Self::Fish => "clusterctl.fish",
            Self::Powershell => "_clusterctl.ps1",
            Self::Elvish => "clusterctl.elv",
        }
    }

    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &Bash,
            Self::Zsh => &Zsh,
            Self::Fish => &Fish,
            Self::Powershell => &Powershell,
            Self::Elvish => &Elvish,
        }
    }
}

/// Runs `completions`.
///
/// # Errors
/// Returns an error if the script cannot be generated, which is a bug.
pub fn run(args: &CompletionsArgs, context: &mut Context<'_>) -> Result<Exit> {
    let mut script = Vec::new();
    let completer = args.shell.completer();
    completer
        .write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .map_err(|error| CliError::new(Exit::Bug, "the script could not be generated").because(error))?;
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if args.shell == ShellName::Zsh {
        script.push_str(FIRST_TAB);
    }
    context.screen.answer(script);
    Ok(Exit::Done)
}

/// Prints candidates for a shell that asks for them; returns `None` if none does.
pub fn answer_shell(tree: fn() -> clap::Command, process: &mut Process) -> Option<Exit> {
    let shell = ShellName::from_str(process.env(VARIABLE)?, true).ok()?;
    let words: Vec<OsString> = process.args.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    let mut command = tree();
    command.build();
    let mut candidates = Vec::new();
    let found = shell.completer().write_complete(&mut command, words, Some(&process.dir), &mut candidates);
    let written = found.and_then(|()| process.out.sink.write_all(&candidates)).and_then(|()| process.out.sink.flush());
    Some(if written.is_ok() { Exit::Done } else { Exit::Environment })
}

/// Completes masters' names.
pub(super) fn masters() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |_, cluster| names(cluster.masters.iter().map(|h| &h.name)))
    })
}

/// Completes nodes' names.
pub(super) fn nodes() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, |_, cluster| names(cluster.nodes.iter().map(|h| &h.name))))
}

/// Completes the names of all hosts.
pub(super) fn hosts() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, |_, cluster| names(cluster.host_names().into_iter())))
}

/// Completes the names of hosts that have a folder and are no longer in the cluster file.
pub(super) fn hosts_that_left() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |layout, cluster| {
            let folders = HostFolders::list(layout).unwrap_or_default();
            let present = names(cluster.host_names().into_iter());
            let all = [Role::Master, Role::Node].into_iter().flat_map(|role| folders.of(role));
            all.filter(|name| !present.contains(name)).cloned().collect()
        })
    })
}

fn names<'n>(hosts: impl Iterator<Item = &'n HostName>) -> Vec<String> {
    hosts.map(ToString::to_string).collect()
}

/// Returns the value of `--dir` in what was typed so far.
fn dir_in(mut typed: impl Iterator<Item = OsString>) -> Option<OsString> {
    while let Some(word) = typed.next() {
        if word == "--dir" {
            return typed.next();
        }
        if let Some(dir) = word.to_str().and_then(|word| word.strip_prefix("--dir=")) {
            return Some(dir.into());
        }
    }
    None
}

/// Returns the candidates that begin with what was typed.
///
/// clap passes only the word to completers, so this is the only place that reads the process's current folder and
/// variables.
fn candidates(typed: &OsStr, names: fn(&Layout, &Cluster) -> Vec<String>) -> Vec<CompletionCandidate> {
    let cluster = || {
        let here = std::env::current_dir().ok()?;
        let named = std::env::var_os("CLUSTERCTL_DIR").filter(|dir| !dir.is_empty());
        let named = dir_in(std::env::args_os()).or(named).map(|dir| here.join(dir));
        let layout = named.map_or_else(|| Layout::find(&here), Layout::new);
        let cluster = directory::cluster(&layout).ok()?;
        Some((layout, cluster))
    };
    let Some((layout, cluster)) = cluster() else { return Vec::new() };
    let typed = typed.to_string_lossy();
    let matching = names(&layout, &cluster).into_iter().filter(|name| name.starts_with(&*typed));
    matching.map(CompletionCandidate::new).collect()
}
