//! The rows of files.

use std::collections::HashMap;
use std::time::Duration;

use time::OffsetDateTime;

use super::certificates::{Found, FoundCertificate, FoundCrl};
use super::tool::{Tool, is_made_by_kubelet};
use crate::app::Error;
use crate::app::inspect::read_all;
use crate::app::inspect::{InputFile, labels};
use crate::app::renewal::CaRule;
use crate::app::status::error::StatusError;
use crate::app::status::expiry::{ExpiryRule, Validity};
use crate::app::status::options::StatusOptions;
use crate::app::status::remedy::Remedy;
use crate::app::status::report::StatusReport;
use crate::app::status::row::{CertificateId, Credential, FileKind, Problem, StatusRow, Subject};
use crate::app::status::state::State;
use crate::app::status::summary::Summary;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::verify::remedy::CertificateRemedy;

/// Reports every certificate, kubeconfig and CRL of files and folders, made by any tool.
///
/// Passes each row to `sink`, and returns the summary.
///
/// # Errors
/// Returns an error if a file does not exist, or nothing is found.
pub fn of_files(
    inputs: &[InputFile],
    options: &StatusOptions,
    now: OffsetDateTime,
    sink: &mut dyn FnMut(StatusRow),
) -> Result<StatusReport, Error> {
    let (mut files, mut skipped) = read_all::read(inputs)?;
    // A bundle has the files of clusterctl, whatever tool made the others.
    let tool = Tool::of(&files);
    read_all::add_bundled(&mut files, &mut skipped);
    let mut found = Found::of(&files);
    skipped.append(&mut found.skipped);
    if found.certificates.is_empty() && found.crls.is_empty() && skipped.is_empty() {
        return Err(StatusError::NothingFound(labels(inputs)).into());
    }
    let rule = ExpiryRule { now, expires_within: options.expires_within };
    let mut summary = Summary::default();
    let mut counted = |row: StatusRow| {
        summary.add(&row);
        sink(row);
    };
    let issuers: Vec<Option<Fingerprint>> =
        found.certificates.iter().map(|one| found.issuer_of(one.certificate)).collect();
    let longest = longest_signed(&found, &issuers);
    for (one, issuer) in found.certificates.iter().zip(issuers) {
        let is_revoked = found.is_revoked(one.certificate);
        let longest = longest.get(&one.certificate.fingerprint()).copied();
        let row = certificate_row(one, is_revoked, longest, tool, &rule);
        let id = CertificateId { issuer, ..CertificateId::from(one.certificate) };
        counted(StatusRow { certificate: Some(id), ..row });
    }
    for one in &found.crls {
        counted(StatusRow { crl_issuer: found.signer_of(one.crl), ..crl_row(one, &rule) });
    }
    Ok(StatusReport { summary, skipped, rotations: Vec::new(), last_backup: None, enrolment: None })
}

/// Returns the longest lifetime of the end-entity certificates that each CA signed, at most that of the usual ones.
fn longest_signed(found: &Found<'_>, issuers: &[Option<Fingerprint>]) -> HashMap<Fingerprint, Duration> {
    let mut longest = HashMap::new();
    for (FoundCertificate { certificate, .. }, issuer) in found.certificates.iter().zip(issuers) {
        if let Some(issuer) = issuer.filter(|_| !is_ca(certificate)) {
            let life = Duration::try_from(certificate.not_after - certificate.not_before).unwrap_or_default();
            let known: &mut Duration = longest.entry(issuer).or_default();
            *known = life.min(CaRule::USUAL.certificates).max(*known);
        }
    }
    longest
}

fn is_ca(certificate: &Certificate) -> bool {
    certificate.basic_constraints.is_some_and(|constraints| constraints.ca)
}

fn certificate_row(
    FoundCertificate { certificate, label, path, is_of_user }: &FoundCertificate<'_>,
    is_revoked: bool,
    longest: Option<Duration>,
    tool: Tool,
    rule: &ExpiryRule,
) -> StatusRow {
    let Certificate { not_before, not_after, .. } = **certificate;
    let is_ca = is_ca(certificate);
    let kind = match (is_ca, is_of_user) {
        (true, _) if certificate.is_self_issued() => FileKind::Root,
        (true, _) => FileKind::Intermediate,
        (false, true) => FileKind::Kubeconfig,
        (false, false) => FileKind::Certificate,
    };
    let of_ca = CaRule { certificates: longest.unwrap_or(CaRule::USUAL.certificates), ..CaRule::USUAL };
    let path_text = path.display().to_string();
    let is_of_kubelet = is_made_by_kubelet(&path_text, certificate);
    let renew_from = Some(match is_ca && !is_of_kubelet {
        true => of_ca.replaced_from(not_before, not_after),
        false => not_after - (not_after - not_before) / 3,
    });
    let state = match rule.state(&Validity { not_before, not_after, renew_from }) {
        State::Expired => State::Expired,
        _ if is_revoked => State::Revoked,
        state => state,
    };
    let remedy = match state {
        State::Valid => None,
        State::NotYetValid => Some(Remedy::from(CertificateRemedy::CompareClocks)),
        _ if is_of_kubelet => Some(Remedy::ReplaceKubeletServing),
        State::Expired if is_ca => Some(Remedy::ReplaceExpiredCa),
        _ if is_ca => Some(Remedy::PlanNewCa),
        _ => Some(tool.renewal_of(&path_text, state)),
    };
    StatusRow {
        not_before: Some(not_before),
        not_after: Some(not_after),
        renew_from,
        file: Some(path.clone()),
        remedy,
        ..StatusRow::new(Subject::Cluster, Credential::File { name: label.clone(), kind }, state)
    }
}

fn crl_row(FoundCrl { crl, label, path }: &FoundCrl<'_>, rule: &ExpiryRule) -> StatusRow {
    let row = |state| StatusRow {
        file: Some(path.clone()),
        not_before: Some(crl.this_update),
        ..StatusRow::new(Subject::Cluster, Credential::File { name: label.clone(), kind: FileKind::Crl }, state)
    };
    let Some(not_after) = crl.next_update else {
        return StatusRow { problem: Some(Problem::NoNextUpdate), ..row(State::Unreadable).remedy(Remedy::SignNewCrl) };
    };
    let renew_from = Some(not_after - (not_after - crl.this_update) / 3);
    let state = rule.state(&Validity { not_before: crl.this_update, not_after, renew_from });
    let row = StatusRow { not_after: Some(not_after), renew_from, ..row(state) };
    if state == State::Valid { row } else { row.remedy(Remedy::SignNewCrl) }
}
