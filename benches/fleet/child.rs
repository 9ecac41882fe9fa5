//! A program as a child process: its duration, its processor time and its peak memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cost::{self, Cost};

/// The interval at which its memory is read. The kernel keeps the peak, so that only the very last moments can be missed.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The cost of a run.
pub(crate) struct Run {
    /// From start to end.
    pub(crate) cost: Cost,
    /// The most memory held, in bytes (VmHWM in `/proc/PID/status`).
    pub(crate) peak: u64,
}

/// Runs `program` in `dir`. It has to succeed.
pub(crate) fn run(program: &Path, args: &[&str], dir: &Path) -> Run {
    let (start, used) = (Instant::now(), cost::of_children());
    let mut child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let looked = std::thread::spawn(move || {
        let mut peak = 0;
        // The line is gone as soon as the process has ended, even before it is waited for.
        while let Some(seen) = peak_of(&status) {
            peak = seen;
            std::thread::sleep(LOOK_AGAIN);
        }
        peak
    });
    let ended = child.wait().expect("the program ends");
    let cost = Cost { elapsed: start.elapsed(), processor: cost::of_children() - used };
    assert!(ended.success(), "{} {}: {ended}", program.display(), args.join(" "));
    Run { cost, peak: looked.join().expect("the watch ends") }
}

fn peak_of(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
