//! Runs a program with input and output, bounded in time and size.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::pki::signer_error::ProgramError;
use crate::sanitize::sanitized;

/// Variables with secrets of other programs: a program that holds a key needs no passphrase of another one.
const SECRETS: [&str; 3] = ["CLUSTERCTL_CA_PASSPHRASE", "CLUSTERCTL_KEY_PASSPHRASE", "CLUSTERCTL_PIN"];
/// How often the program is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// As much of the end of standard error is shown, in bytes.
const SHOWN: usize = 500;
/// How long pipes are read after the program was ended.
const AFTER_THE_END: Duration = Duration::from_millis(500);

/// A program to run.
pub(crate) struct Call<'a> {
    pub(crate) program: &'a str,
    pub(crate) args: &'a [String],
    pub(crate) folder: &'a Path,
    /// Whether it and its children are a process group of their own, which is ended as a whole. Such a group cannot
    /// read from the terminal.
    pub(crate) own_group: bool,
    /// The largest output, in bytes.
    pub(crate) limit: usize,
    pub(crate) timeout: Duration,
}

/// Runs the program with `input` on its standard input, and returns its standard output.
///
/// # Errors
/// Returns an error if it is not found, fails, does not end in time, or writes nothing or too much. It has ended then.
pub(crate) fn run(call: &Call<'_>, input: Vec<u8>) -> Result<Vec<u8>, ProgramError> {
    let deadline = Instant::now() + call.timeout;
    let mut running = Running::start(call)?;
    if let Some(stdin) = running.child.stdin.take() {
        feed(stdin, input)?;
    }
    let output = running.child.stdout.take().map(|stdout| in_background(stdout, call.limit + 1, false)).transpose()?;
    let errors = running.child.stderr.take().map(|stderr| in_background(stderr, SHOWN, true)).transpose()?;
    let said = |wait: Duration| {
        let bytes = errors.as_ref().and_then(|errors| errors.recv_timeout(wait).ok()).unwrap_or_default();
        sanitized(String::from_utf8_lossy(&bytes).trim())
    };
    let late = |running: &mut Running| {
        running.end();
        Err(ProgramError::TimedOut { limit: call.timeout, stderr: said(AFTER_THE_END) })
    };
    // The end of output comes first: a program that has ended may have left another one that still writes.
    let left = deadline.saturating_duration_since(Instant::now());
    let Some(output) = output.and_then(|output| output.recv_timeout(left).ok()) else { return late(&mut running) };
    if output.len() > call.limit {
        running.end();
        return Err(ProgramError::TooLong { limit: call.limit });
    }
    while !running.has_ended() {
        if Instant::now() >= deadline {
            return late(&mut running);
        }
        thread::sleep(LOOK_AGAIN);
    }
    let status = running.status()?;
    if !status.success() {
        return Err(ProgramError::Failed { status: in_words(status), stderr: said(AFTER_THE_END) });
    }
    if output.is_empty() {
        return Err(ProgramError::NoAnswer { stderr: said(AFTER_THE_END) });
    }
    Ok(output)
}

/// A program that runs; it is ended when this is dropped.
struct Running {
    child: Child,
    own_group: bool,
    /// Whether it was waited for: from then on its process id may be another process's.
    is_done: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

impl Running {
    fn start(call: &Call<'_>) -> Result<Self, ProgramError> {
        // A path is relative to the folder, wherever the program is run from.
        let program: OsString = match call.program.contains('/') {
            true => call.folder.join(call.program).into(),
            false => call.program.into(),
        };
        let mut command = Command::new(program);
        command.args(call.args).current_dir(call.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for secret in SECRETS {
            command.env_remove(secret);
        }
        if call.own_group {
            command.process_group(0);
        }
        let child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => ProgramError::NotFound,
            _ => not_started(error),
        })?;
        Ok(Self { child, own_group: call.own_group, is_done: false })
    }

    /// Returns true if it has ended. Its process id stays its own until it is waited for.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match self.pid() {
            Some(pid) => !matches!(waitid(WaitId::Pid(pid), options), Ok(None)),
            None => true,
        }
    }

    /// Waits for its end.
    fn status(&mut self) -> Result<ExitStatus, ProgramError> {
        self.is_done = true;
        self.child.wait().map_err(not_started)
    }

    /// Ends it, and the processes of its group.
    fn end(&mut self) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        match self.pid() {
            Some(pid) if self.own_group => {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            _ => {}
        }
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

/// Writes the input, and closes it. A program need not read all of it.
fn feed(mut stdin: ChildStdin, input: Vec<u8>) -> Result<(), ProgramError> {
    let write = move || {
        let _ = stdin.write_all(&input);
    };
    thread::Builder::new().spawn(write).map(|_| ()).map_err(not_started)
}

/// Reads a pipe to its end, and keeps the first `limit` bytes, or the last ones.
///
/// A pipe whose first bytes are too many is not read any further.
fn in_background(
    mut pipe: impl Read + Send + 'static,
    limit: usize,
    last: bool,
) -> Result<Receiver<Vec<u8>>, ProgramError> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => kept.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
            if last {
                kept.drain(..kept.len().saturating_sub(limit));
            } else if kept.len() >= limit {
                break;
            }
        }
        // The receiver may have given up.
        let _ = sender.send(kept);
    };
    thread::Builder::new().spawn(read).map(|_| receiver).map_err(not_started)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err takes")]
fn not_started(error: io::Error) -> ProgramError {
    ProgramError::NotStarted(error.to_string())
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
