//! `verify`: checks the live cluster, a recording of it, or the cluster directory.

mod args;
mod target_args;

use std::path::Path;
use std::time::Instant;

pub use args::{FailOn, ReportFormat, VerifyArgs};

use crate::app::audit::{AuditOptions, audit};
use crate::app::verify;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::finding_remedies::words;
use crate::cluster::duration::stamp;
use crate::ui::Screen;
use crate::verify::checks::Detail;
use crate::verify::recording::Recording;
use crate::verify::report::{Report, TextStyle};
use crate::verify::verdict::Verdict;

/// Runs `verify`.
///
/// # Errors
/// Returns an error if the target cannot be assembled, there is no network at all, or a recording cannot be used.
pub fn run(args: &VerifyArgs, context: &mut Context<'_>) -> Result<Exit> {
    let detail = args.detail(context.screen.verbose());
    let report = match &args.replay {
        Some(file) => replay(args, &context.path(file), &mut context.screen)?.into_report(detail),
        None if args.offline => offline(args, detail, context)?,
        None => online(args, context)?.into_report(detail),
    };
    Ok(show(&report, args.output, &mut context.screen))
}

/// Audits the cluster directory.
fn offline(args: &VerifyArgs, detail: Detail, context: &mut Context<'_>) -> Result<Report> {
    context.check_owner()?;
    let (env, clock) = (context.env.clone(), context.clock);
    let options = AuditOptions { expires_within: args.expires_within(), problems_only: detail == Detail::ProblemsOnly };
    let started = Instant::now();
    let found = audit(&env, &options, &context.observer())?;
    let (seconds, count) = (started.elapsed().as_secs_f64(), found.findings.len());
    context.screen.step(format_args!(
        "checked {} hosts, {count} checks, in {seconds:.1} s ({:.0} per second)",
        found.hosts,
        count as f64 / seconds.max(0.001),
    ));
    Ok(found.into_report(args.strictness(), env.now, clock()))
}

/// Verifies the live cluster, and records it with `--record`.
fn online(args: &VerifyArgs, context: &mut Context<'_>) -> Result<Recording> {
    let (env, clock) = (context.env.clone(), context.clock);
    let target = verify::assemble(&env, &args.target(context)?)?;
    let record = args.record.as_ref().map(|given| context.path(given));
    if let Some(path) = &record {
        verify::check_writable(path)?;
    }
    let recording = verify::run(&env, target, &args.run_options(), &clock, &context.observer())?;
    // Before it is judged, so that a recording exists even if judging it fails.
    if let Some(path) = &record {
        verify::write(path, &recording)?;
        context.screen.step(format_args!("recorded in {}", path.display()));
    }
    Ok(recording)
}

/// Reads a recording, and applies the flags that were given now.
fn replay(args: &VerifyArgs, path: &Path, screen: &mut Screen<'_>) -> Result<Recording> {
    let mut recording = verify::read(path)?;
    screen.step(format_args!(
        "judging what was recorded at {}; it proves as much as you trust who recorded it",
        stamp(recording.clock.now)
    ));
    if let Some(span) = args.given_expires_within() {
        recording.clock.expires_within = span;
    }
    recording.strictness.allow_skipped |= args.allow_skipped;
    if let Some(what) = args.fail_on {
        recording.strictness.fail_on_warn = what == FailOn::Warn;
    }
    Ok(recording)
}

fn show(report: &Report, format: ReportFormat, screen: &mut Screen<'_>) -> Exit {
    match format {
        ReportFormat::Human => {
            let style = TextStyle { color: screen.color(), verbose: screen.verbose(), width: screen.columns() };
            screen.answer(report.to_text(style, &words));
        }
        ReportFormat::Json => screen.answer(report.to_json(&words)),
        ReportFormat::Junit => screen.answer(report.to_junit(&words)),
    }
    match report.verdict() {
        Verdict::Proven => Exit::Done,
        Verdict::Unproven => Exit::Unproven,
        Verdict::NothingJudged => Exit::Usage,
    }
}
