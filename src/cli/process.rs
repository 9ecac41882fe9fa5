//! The process environment that is injected into the program: arguments, current folder, variables, clock, streams,
//! prompts and signals. No other module accesses them through the system, so a test can supply its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::app::Cancellation;
use crate::ui::Stream;
use crate::ui::prompts::{Interrupts, Prompts, Restore, Terminal};

/// The process environment.
pub struct Process {
    /// Arguments, the program's name first.
    pub args: Vec<OsString>,
    /// The current folder.
    pub dir: PathBuf,
    /// Environment variables.
    pub env: BTreeMap<String, OsString>,
    /// Returns the current time.
    pub clock: Box<dyn Fn() -> OffsetDateTime + Send + Sync>,
    /// `user@machine`, for the ledger.
    pub user: String,
    /// Standard output: results.
    pub out: Stream,
    /// Standard error: everything else.
    pub err: Stream,
    /// Interactive prompts; `None` if stdin or stderr is not a terminal.
    pub prompts: Option<Box<dyn Prompts>>,
    /// Whether a signal requested a stop.
    pub stop: Stop,
}

/// Records whether a signal (SIGINT, SIGTERM, SIGHUP) requested a stop. Long work checks it between batches.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    cancellation: Cancellation,
    /// A SIGINT or SIGTERM was received; a second one ends the process immediately.
    pressed: Arc<AtomicBool>,
    listening: Arc<AtomicBool>,
    /// The number of the signal that came at a prompt; 0 for none.
    at_prompt: Arc<AtomicUsize>,
    real: bool,
}

/// The interval at which a thread checks for a signal while a prompt is open.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Stop {
    /// Defers signals: the first one only requests a stop, a second SIGINT or SIGTERM ends the process immediately.
    ///
    /// Before this call a signal ends the process, which is what users expect at a prompt. A signal that the parent
    /// process has made ignored, as `nohup` does, stays ignored.
    pub fn listen(&self) {
        // Registering twice would count each signal twice.
        if !self.real || self.listening.swap(true, Ordering::Relaxed) {
            return;
        }
        // A signal that came after the last prompt may not have been handled: the thread that watches prompts ends now.
        if self.at_prompt.load(Ordering::Relaxed) != 0 {
            self.request();
        }
        let ignored = ignored_signals();
        let caught = |signal: &i32| ignored.is_some_and(|ignored| ignored & (1 << (signal - 1)) == 0);
        // All of this only fails for signals that cannot be caught, which these are not.
        for signal in [SIGINT, SIGTERM].into_iter().filter(|signal| ignored.is_none() || caught(signal)) {
            let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&self.pressed));
            let _ = signal_hook::flag::register(signal, Arc::clone(&self.pressed));
            let _ = signal_hook::flag::register(signal, self.cancellation.flag());
        }
        // SIGHUP may arrive twice (from the shell and from the kernel), or with SIGTERM (from systemd), so it never
        // forces an immediate exit. If it is not known whether nohup ignores it, its handler is not changed.
        if caught(&SIGHUP) {
            let _ = signal_hook::flag::register(SIGHUP, self.cancellation.flag());
        }
    }

    /// Returns the cancellation flag for use cases.
    #[must_use]
    pub fn cancellation(&self) -> Cancellation {
        self.cancellation.clone()
    }

    /// Returns true once a stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// Requests a stop, as a signal does.
    pub fn request(&self) {
        self.cancellation.cancel();
    }
}

impl Interrupts for Stop {
    /// Makes a SIGINT, SIGTERM or SIGHUP run `restore` before it ends the process, until [`Self::listen`].
    ///
    /// A prompt switches off the terminal's echo and cursor, which have to be restored.
    fn restore_first(&self, restore: Restore) {
        let ignored = ignored_signals();
        let caught = |signal: &i32| ignored.is_some_and(|ignored| ignored & (1 << (signal - 1)) == 0);
        let stop = self.clone();
        let watch = move || {
            while !stop.listening.load(Ordering::Relaxed) {
                if let Ok(signal @ 1..) = i32::try_from(stop.at_prompt.load(Ordering::Relaxed)) {
                    if stop.listening.load(Ordering::Relaxed) {
                        break;
                    }
                    restore();
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        };
        // Without a thread a signal ends the process immediately, and the terminal stays as the prompt left it.
        if std::thread::Builder::new().spawn(watch).is_err() {
            return;
        }
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(caught) {
            let number = usize::try_from(signal).unwrap_or_default();
            let _ = signal_hook::flag::register_usize(signal, Arc::clone(&self.at_prompt), number);
        }
    }

    /// Waits for the end of the process if a signal came at a prompt.
    fn end_if_signalled(&self) {
        while self.at_prompt.load(Ordering::Relaxed) != 0 && !self.listening.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Returns the signals that this process ignores as a mask, signal 1 in the lowest bit (proc_pid_status(5), `SigIgn`).
fn ignored_signals() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Keeps this process's memory, which has keys in it, out of core dumps and from debuggers of the same user.
///
/// A system that does not support it is not an error.
pub fn keep_memory_private() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    #[cfg(target_os = "linux")]
    {
        // The kernel ignores the limit if core_pattern is a pipe.
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }
}

impl Process {
    /// Returns the environment of the real process.
    #[must_use]
    pub fn real() -> Self {
        let env: BTreeMap<String, OsString> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        let (out, err) = (io::stdout(), io::stderr());
        let (out_terminal, err_terminal) = (out.is_terminal(), err.is_terminal());
        let stop = Stop { real: true, ..Stop::default() };
        // With this handler, a write past the file size limit (ulimit -f) fails with an error instead of ending the
        // process.
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
        let asks = io::stdin().is_terminal() && err_terminal;
        Self {
            args: std::env::args_os().collect(),
            dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            clock: Box::new(|| time_of(SystemTime::now())),
            user: user_at_machine(&env),
            env,
            out: Stream { sink: Box::new(out), terminal: out_terminal, width: crate::ui::terminal_width() },
            err: Stream { sink: Box::new(err), terminal: err_terminal, width: crate::ui::terminal_width() },
            prompts: asks.then(|| Box::new(Terminal::new(Box::new(stop.clone()))) as Box<dyn Prompts>),
            stop,
        }
    }

    /// Returns an environment variable, if it is set and is valid UTF-8.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env.get(name).and_then(|value| value.to_str()).filter(|value| !value.is_empty())
    }
}

/// Returns the time of the system's clock. A clock after the last year that can be written, 9999, is at its end.
fn time_of(clock: SystemTime) -> OffsetDateTime {
    let nanoseconds = match clock.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => i128::try_from(before.duration().as_nanos()).map_or(i128::MIN, |before| -before),
    };
    let limit = if nanoseconds < 0 { PrimitiveDateTime::MIN } else { PrimitiveDateTime::MAX };
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(limit.assume_utc())
}

fn user_at_machine(env: &BTreeMap<String, OsString>) -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| env.get(*name)?.to_str().map(str::to_owned));
    let user = named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{machine}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_after_the_last_year_is_at_its_end() {
        let at = |seconds| time_of(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_800_000_000).unix_timestamp(), 1_800_000_000);
        assert_eq!([at(253_402_300_800).year(), at(1 << 40).year()], [9999, 9999]);
        assert_eq!(time_of(UNIX_EPOCH - Duration::from_secs(1)).unix_timestamp(), -1);
    }
}
