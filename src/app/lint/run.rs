//! Reads the files and applies every rule.

use time::OffsetDateTime;

use super::error::LintError;
use super::finding::{Findings, LintReport, Place};
use super::material::Material;
use super::options::LintOptions;
use super::rule::Rule;
use super::rules::certificate::UNREADABLE;
use super::rules::kubeconfig::{CREDENTIAL, REFUSED};
use super::{authorities, certificates, identities, keys, kubeconfigs, names, sources, usages};
use crate::app::Error;
use crate::app::inspect::content::Content;
use crate::app::inspect::read_all::read;
use crate::app::inspect::walk::WalkError;
use crate::app::inspect::{InputFile, InspectError, SkipReason, Unreadable, labels};
use crate::config::kubeconfig::KubeconfigError;

/// Checks files, and all files of known kinds in folders.
///
/// # Errors
/// Returns an error if a file that was named does not exist, if no file is of a known kind, or if all of them are
/// encrypted.
pub fn lint(inputs: &[InputFile], options: &LintOptions, now: OffsetDateTime) -> Result<LintReport, Error> {
    let (files, skipped) = read(inputs)?;
    let count = files.len();
    let encrypted = files.iter().filter(|file| matches!(file.content, Content::Encrypted(_))).count();
    if encrypted > 0 && encrypted == count && skipped.is_empty() {
        return Err(LintError::OnlyEncrypted(count).into());
    }
    let (sources, unreadable) = sources::of(files);
    let material = Material::of(&sources);
    let mut findings = Findings::default();
    // A link that leads to a folder above it leaves nothing out: that folder is searched anyway.
    let is_left_out = |reason: &SkipReason| !matches!(reason, SkipReason::Walk(WalkError::Loop));
    for skipped in skipped.iter().filter(|skipped| is_left_out(&skipped.reason)) {
        let place = Place { file: skipped.label.clone(), part: None };
        findings.add(rule_of(&skipped.reason), &place, skipped.reason.to_string());
    }
    for (place, reason) in &unreadable {
        findings.add(rule_of(reason), place, reason.to_string());
    }
    if count == 0 && skipped.is_empty() {
        return Err(LintError::NothingFound(labels(inputs)).into());
    }
    for (place, reason) in &material.damaged {
        findings.add(&UNREADABLE, place, reason.as_str());
    }
    certificates::check(&material, now, &mut findings);
    authorities::check(&material, now, &mut findings);
    identities::check(&material, &mut findings);
    keys::check(&material, &mut findings);
    names::check(&material, options.cluster(), &mut findings);
    usages::check(&material, &mut findings);
    kubeconfigs::check(&material, &mut findings);
    let mut findings = findings.sorted();
    let all = findings.len();
    findings.retain(|finding| options.reports(finding.rule));
    let hidden = all - findings.len();
    Ok(LintReport { findings, files: count, certificates: material.entries.len(), hidden })
}

/// Returns the rule that a file breaks which was not read.
fn rule_of(reason: &SkipReason) -> &'static Rule {
    let SkipReason::Inspect(InspectError::Unreadable { reason: Unreadable::Kubeconfig(error), .. }) = reason else {
        return &UNREADABLE;
    };
    match error {
        KubeconfigError::Base64(_) => &CREDENTIAL,
        KubeconfigError::Version(_) | KubeconfigError::Twice { .. } => &REFUSED,
        KubeconfigError::Shape(_) | KubeconfigError::Kind(_) => &UNREADABLE,
    }
}
