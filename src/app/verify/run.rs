//! Runs the checks against the target.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::assembled::AssembledTarget;
use super::error::VerifyError;
use crate::app::observer::{Observer, Task};
use crate::app::{Env, threads};
use crate::verify::checks::Clock;
use crate::verify::options::Options;
use crate::verify::probe;
use crate::verify::recording::Recording;
use crate::verify::verdict::Strictness;

/// The limits of a run, and how its findings are evaluated.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The longest time for one connection and its answer.
    pub timeout: Duration,
    /// The longest time for the whole run; checks that have not started by then are not proven.
    pub deadline: Option<Duration>,
    /// The number of hosts that are verified at the same time.
    pub concurrency: usize,
    /// Whether dry-run writes, which change nothing, are made as nodes to prove that admission works.
    pub dry_run_writes: bool,
    /// Pinned addresses, `NAME:ADDRESS`, for names that are not resolved.
    pub resolve: Vec<String>,
    /// Certificates that expire within this time are a warning.
    pub expires_within: time::Duration,
    /// The findings that fail the run.
    pub strictness: Strictness,
}

impl RunOptions {
    fn limits(&self) -> Result<Options, VerifyError> {
        let mut options = Options {
            one_thread: threads::are_scarce(),
            timeout: self.timeout,
            deadline: self.deadline,
            concurrency: self.concurrency,
            dry_run_writes: self.dry_run_writes,
            ..Options::default()
        };
        for pin in &self.resolve {
            options.pin(pin)?;
        }
        Ok(options)
    }
}

/// Connects to every peer of the target, and returns a recording of the observations.
///
/// The report of the recording is the report of the run. `finished` returns the time when it is called.
///
/// # Errors
/// Returns an error if an address is malformed, or there is no network at all.
pub fn run(
    env: &Env,
    assembled: AssembledTarget,
    options: &RunOptions,
    finished: &dyn Fn() -> OffsetDateTime,
    observer: &dyn Observer,
) -> Result<Recording, VerifyError> {
    let limits = options.limits()?;
    let target = Arc::new(assembled.target);
    let progress = observer.progress(Task::Verifying, 0);
    let seen = probe::run(&target, &limits, env.now, &|done, total| progress.set(done as u64, total as u64))
        .map_err(VerifyError::Network)?;
    drop(progress);
    let clock = Clock { now: env.now, expires_within: options.expires_within };
    Ok(Recording::new(&target, assembled.findings, seen, clock, options.strictness, finished()))
}
