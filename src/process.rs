//! All that is outside of the program: arguments, the current folder, the environment, clock, streams, whoever can be
//! asked. Everything else gets it from here, so that a test can be the world.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use time::OffsetDateTime;

use crate::ui::Stream;
use crate::ui::prompts::{Interrupts, Prompts, Restore, Terminal};

/// The outside.
pub struct Process {
    /// Arguments, the program's name first.
    pub args: Vec<OsString>,
    /// The current folder.
    pub dir: PathBuf,
    /// Environment variables.
    pub env: BTreeMap<String, OsString>,
    /// What time it is.
    pub clock: Box<dyn Fn() -> OffsetDateTime + Send + Sync>,
    /// `user@machine`, for the ledger.
    pub user: String,
    /// Where answers go.
    pub out: Stream,
    /// Where everything else goes.
    pub err: Stream,
    /// Who can be asked; nobody when there is no terminal.
    pub prompts: Option<Box<dyn Prompts>>,
    /// Whether somebody asked us to stop.
    pub stop: Stop,
}

/// Whether somebody asked us to stop (SIGINT, SIGTERM, SIGHUP). Batches look at it between their parts.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    /// A SIGINT or SIGTERM came: another one ends the process at once.
    pressed: Arc<AtomicBool>,
    listening: Arc<AtomicBool>,
    /// The signal that came at a question; none is 0.
    at_a_question: Arc<AtomicUsize>,
    real: bool,
}

/// How often somebody looks whether a signal came while a question is open.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Stop {
    /// From here on a first signal only asks; a second SIGINT or SIGTERM ends the process at once. Before this call, and in programs
    /// that never make it, a signal ends the process as ever: at a prompt, that is what people want. What whoever started
    /// us had us ignore, as `nohup` does, stays ignored.
    pub fn listen(&self) {
        // Who listens twice would take one signal for two.
        if !self.real || self.listening.swap(true, Ordering::Relaxed) {
            return;
        }
        // It came behind the last question, and nobody looked any more.
        if self.at_a_question.load(Ordering::Relaxed) != 0 {
            self.ask();
        }
        let ignored = ignored_signals();
        let heeded = |signal: &i32| ignored.is_some_and(|ignored| ignored & (1 << (signal - 1)) == 0);
        // All of this only fails for signals that cannot be caught, which these are not.
        for signal in [SIGINT, SIGTERM].into_iter().filter(|signal| ignored.is_none() || heeded(signal)) {
            let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&self.pressed));
            let _ = signal_hook::flag::register(signal, Arc::clone(&self.pressed));
            let _ = signal_hook::flag::register(signal, Arc::clone(&self.asked));
        }
        // A terminal that is closed sends it twice, once by its shell and once by the kernel, and systemd sends it with SIGTERM, of
        // which either may be delivered first: it is neither a second request nor makes one of the other. Where nobody can tell whether nohup is above us, it is left alone.
        if heeded(&SIGHUP) {
            let _ = signal_hook::flag::register(SIGHUP, Arc::clone(&self.asked));
        }
    }

    /// True once somebody asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Asks, as a signal would.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}

impl Interrupts for Stop {
    /// From here on, until [`Self::listen`], a SIGINT, SIGTERM or SIGHUP runs `restore` before it ends the process as ever: a question
    /// has the terminal show nothing of what is typed, and no cursor.
    fn restore_first(&self, restore: Restore) {
        let ignored = ignored_signals();
        let heeded = |signal: &i32| ignored.is_some_and(|ignored| ignored & (1 << (signal - 1)) == 0);
        let stop = self.clone();
        let watch = move || {
            while !stop.listening.load(Ordering::Relaxed) {
                if let Ok(signal @ 1..) = i32::try_from(stop.at_a_question.load(Ordering::Relaxed)) {
                    if stop.listening.load(Ordering::Relaxed) {
                        break;
                    }
                    restore();
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        };
        // Where the system gives no thread, a signal ends the process as ever, and the terminal stays as the question has it.
        if std::thread::Builder::new().spawn(watch).is_err() {
            return;
        }
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(heeded) {
            let number = usize::try_from(signal).unwrap_or_default();
            let _ = signal_hook::flag::register_usize(signal, Arc::clone(&self.at_a_question), number);
        }
    }

    /// Waits for the end, where a signal came at a question: whoever asked it has no answer to go on with.
    fn end_if_told(&self) {
        while self.at_a_question.load(Ordering::Relaxed) != 0 && !self.listening.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// The signals that this process ignores, the first in the lowest bit (proc_pid_status(5): SigIgn), where the kernel tells.
fn ignored_signals() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Keeps this process's memory, with keys in it, out of core dumps and from debuggers of the same user. Where the system has no
/// such thing all works as well.
pub fn keep_memory_private() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    #[cfg(target_os = "linux")]
    {
        // The kernel ignores the limit where core_pattern is a pipe.
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }
}

impl Process {
    /// The real one.
    #[must_use]
    pub fn real() -> Self {
        let env: BTreeMap<String, OsString> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        let (out, err) = (io::stdout(), io::stderr());
        let (out_terminal, err_terminal) = (out.is_terminal(), err.is_terminal());
        let stop = Stop { real: true, ..Stop::default() };
        // A write past the limit of a file's size (ulimit -f) fails with an error then, and does not end the process.
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
        let asks = io::stdin().is_terminal() && err_terminal;
        Self {
            args: std::env::args_os().collect(),
            dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            clock: Box::new(OffsetDateTime::now_utc),
            user: user_at_machine(&env),
            env,
            out: Stream { sink: Box::new(out), terminal: out_terminal, width: crate::ui::terminal_width() },
            err: Stream { sink: Box::new(err), terminal: err_terminal, width: crate::ui::terminal_width() },
            prompts: asks.then(|| Box::new(Terminal::new(Box::new(stop.clone()))) as Box<dyn Prompts>),
            stop,
        }
    }

    /// An environment variable, when it is set to something that is text.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env.get(name).and_then(|value| value.to_str()).filter(|value| !value.is_empty())
    }
}

fn user_at_machine(env: &BTreeMap<String, OsString>) -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| env.get(*name)?.to_str().map(str::to_owned));
    let user = named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{machine}")
}
