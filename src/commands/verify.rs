//! `verify`: checks the live cluster, a recording of it, or the cluster directory.

mod args;
mod target_args;

use std::path::Path;
use std::time::Instant;

pub(super) use args::parse_time;
pub use args::{FailOn, ReportFormat, VerifyArgs};

use crate::app::audit::{AuditOptions, audit};
use crate::app::enrol::prove::prove;
use crate::app::status::{self, StatusOptions};
use crate::app::{Env, verify};
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::finding_remedies::words;
use crate::cli::output::status::DirectoryCertificates;
use crate::cluster::duration::stamp;
use crate::cluster::spec::Cluster;
use crate::ui::Screen;
use crate::verify::certificate_map::CertificateMap;
use crate::verify::checks::Detail;
use crate::verify::recording::Recording;
use crate::verify::report::{CertificateDrawings, Report, TextStyle};
use crate::verify::verdict::Verdict;

/// Runs `verify`.
///
/// # Errors
/// Returns an error if the target cannot be assembled, there is no network at all, or a recording cannot be used.
pub fn run(args: &VerifyArgs, context: &mut Context<'_>) -> Result<Exit> {
    if args.reads_directory() {
        context.check_owner()?;
    }
    let (report, drawings) = match &args.enrolment {
        Some(endpoint) => (prove(endpoint, &context.env, args.strictness())?, CertificateDrawings::default()),
        None if args.offline => offline(args, context)?,
        None => observed(args, context)?,
    };
    Ok(show(&report, args.output, drawings, &mut context.screen))
}

/// Audits the cluster directory.
fn offline(args: &VerifyArgs, context: &mut Context<'_>) -> Result<(Report, CertificateDrawings)> {
    let (env, clock) = (context.env.clone(), context.clock);
    let detail = args.detail(context.screen.verbose());
    let options = AuditOptions { expires_within: args.expires_within(), problems_only: detail == Detail::ProblemsOnly };
    let started = Instant::now();
    let found = audit(&env, &options, &context.observer())?;
    let (seconds, count) = (started.elapsed().as_secs_f64(), found.findings.len());
    context.screen.step(format_args!(
        "checked {} hosts, {count} checks, in {seconds:.1} s ({:.0} per second)",
        found.hosts,
        count as f64 / seconds.max(0.001),
    ));
    let finished = clock();
    let drawings = match args.is_page() {
        true => drawings_of_directory(&env, &found.cluster)?,
        false => CertificateDrawings::default(),
    };
    Ok((found.into_report(args.strictness(), env.now, finished), drawings))
}

/// Returns drawings of the certificates that the ledger and the directory have.
fn drawings_of_directory(env: &Env, cluster: &Cluster) -> Result<CertificateDrawings> {
    let mut certificates = DirectoryCertificates::new(env.now);
    status::of_directory(env, cluster, &StatusOptions::default(), &mut |row| certificates.add(&row))?;
    Ok(certificates.drawings())
}

/// Judges what is observed now, or what was recorded.
fn observed(args: &VerifyArgs, context: &mut Context<'_>) -> Result<(Report, CertificateDrawings)> {
    let detail = args.detail(context.screen.verbose());
    let recording = match &args.replay {
        Some(file) => replay(args, &context.path(file), &mut context.screen)?,
        None => online(args, context)?,
    };
    // Before the observations are dropped.
    let certificates = if args.is_page() { recording.certificates() } else { CertificateMap::default() };
    Ok((recording.into_report(detail), CertificateDrawings::of(&certificates, context.env.now)))
}

/// Verifies the live cluster, and records it with `--record`.
fn online(args: &VerifyArgs, context: &mut Context<'_>) -> Result<Recording> {
    let (env, clock) = (context.env.clone(), context.clock);
    let target = verify::assemble(&env, &args.target(context.dir))?;
    let record = args.record.as_ref().map(|given| context.path(given));
    if let Some(path) = &record {
        verify::check_writable(path)?;
    }
    let recording = verify::run(&env, target, &args.run_options(), &clock, &context.observer())?;
    // Written before it is evaluated, so that a recording exists even if the evaluation fails.
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

fn show(report: &Report, format: ReportFormat, certificates: CertificateDrawings, screen: &mut Screen<'_>) -> Exit {
    match format {
        ReportFormat::Human => {
            let style = TextStyle { color: screen.color(), verbose: screen.verbose(), width: screen.columns() };
            screen.answer(report.to_text(style, &words));
        }
        ReportFormat::Json => screen.answer(report.to_json(&words)),
        ReportFormat::Junit => screen.answer(report.to_junit(&words)),
        ReportFormat::Html => screen.answer(report.to_html_with(&words, certificates)),
        ReportFormat::Prometheus => screen.answer(report.to_prometheus()),
    }
    match report.verdict() {
        Verdict::Proven => Exit::Done,
        Verdict::Unproven => Exit::Findings,
        Verdict::NothingJudged => Exit::Usage,
    }
}
