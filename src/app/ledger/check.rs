//! Checks the ledger: the database, its hash chain, its certificates, and the files that its revocations were written
//! to.

use std::collections::{BTreeMap, HashMap};

use time::Duration;

use super::finding::{LedgerFinding, LedgerFindingId as Id, Severity};
use crate::app::audit;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::{Error, with_causes};
use crate::app::remedy::Remedy;
use crate::cluster::profile::CaRole;
use crate::pki::certificate::{Certificate, SignatureStatus};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::trust_bundle::TrustBundle;
use crate::sanitize::sanitized;
use crate::store::ca;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;
use crate::store::ledger::chain::{BreakKind, ChainBreak};
use crate::store::ledger::check::{SchemaDifference, SchemaProblem, StoredCertificate};
use crate::verify::finding::{Finding, Status};

/// CRLs that expire within this time are a warning.
const EXPIRES_WITHIN: Duration = Duration::days(30);

/// The result of checking the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The findings.
    pub findings: Vec<LedgerFinding>,
    /// The number of certificates.
    pub certificates: usize,
    /// The number of rows in the hash chain.
    pub rows: usize,
    /// The hash of the chain's last link. A copy kept elsewhere proves later that the chain was not replaced.
    pub head: Option<Fingerprint>,
}

impl CheckReport {
    /// Returns true if there is no error; warnings are allowed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Warning)
    }
}

/// Checks the ledger and changes nothing. `head` is the head of an earlier check, which must be a link of the chain.
///
/// # Errors
/// Returns an error if the ledger is newer than this program, is locked, or may not be read, or if the directory cannot
/// be used.
pub fn check(env: &Env, head: Option<Fingerprint>) -> Result<CheckReport, Error> {
    match directory::ledger(&env.layout) {
        Ok(ledger) => match check_opened(env, &ledger, head) {
            Err(Error::Store(error @ (StoreError::LedgerDamaged { .. } | StoreError::Ledger { .. }))) => {
                Ok(unusable(error))
            }
            checked => checked,
        },
        Err(Error::Store(
            error @ (StoreError::LedgerMissing(_)
            | StoreError::LedgerEmpty(_)
            | StoreError::LedgerDamaged { .. }
            | StoreError::LedgerForeign { .. }),
        )) => Ok(unusable(error)),
        Err(error) => Err(error),
    }
}

/// Returns the report of a ledger that cannot be used.
fn unusable(error: StoreError) -> CheckReport {
    let finding = LedgerFinding {
        id: Id::Integrity,
        severity: Severity::Error,
        place: "ledger.sqlite3".to_owned(),
        observed: with_causes(&error),
        remedy: Some(Remedy::RestoreLedger),
    };
    CheckReport { findings: vec![finding], certificates: 0, rows: 0, head: None }
}

fn check_opened(env: &Env, ledger: &Ledger, head: Option<Fingerprint>) -> Result<CheckReport, Error> {
    let integrity = ledger.integrity_problems()?;
    let mut findings: Vec<LedgerFinding> =
        integrity.into_iter().map(|problem| error(Id::Integrity, "ledger.sqlite3".to_owned(), problem)).collect();
    let schema = ledger.schema_problems()?;
    // Without these, what follows would fail, or read something else.
    let is_incomplete =
        |problem: &SchemaProblem| problem.kind != "index" && problem.difference != SchemaDifference::Foreign;
    let has_no_tables = schema.iter().any(is_incomplete);
    findings.extend(schema.into_iter().map(of_schema));
    if has_no_tables {
        return Ok(CheckReport { findings, certificates: 0, rows: 0, head: None });
    }
    findings.extend(ledger.dangling_rows()?.into_iter().map(|(table, row)| {
        error(Id::ForeignKey, place(&table, row), "it refers to a certificate that the ledger does not have".to_owned())
    }));
    let chain = ledger.check_chain(head)?;
    findings.extend(chain.breaks.into_iter().map(of_break));
    if let (Some(head), false) = (head, chain.has_expected) {
        let observed = format!("no link has the hash {head}: the chain was created again, or its end was removed");
        findings.push(error(Id::Head, "chain".to_owned(), observed));
    }
    let readable = |role| Some((role, ca::trust(&env.layout, role).ok()?));
    let cas: BTreeMap<CaRole, TrustBundle> = CaRole::ALL.into_iter().filter_map(readable).collect();
    for (role, trust) in &cas {
        for (ca, _) in trust.all() {
            if !ledger.has_ca(ca.certificate().fingerprint(), *role)? {
                let path = env.layout.root_certificate(*role).display().to_string();
                let observed =
                    "the ledger did not record this CA: it is the ledger of another directory, or older than the CA";
                findings.push(error(Id::Ca, path, observed.to_owned()));
            }
        }
    }
    let certificates = certificates(ledger, &cas, &mut findings)?;
    // The checks below need a readable ledger; otherwise they would return an error instead of findings.
    if findings.iter().all(|finding| finding.severity == Severity::Warning) {
        findings.extend(revocations(env, ledger, &cas)?);
    }
    Ok(CheckReport { findings, certificates, rows: chain.rows, head: chain.head })
}

fn error(id: Id, place: String, observed: String) -> LedgerFinding {
    LedgerFinding { id, severity: Severity::Error, place, observed, remedy: Some(Remedy::RestoreLedger) }
}

fn place(table: &str, row: i64) -> String {
    format!("{table} {row}")
}

fn of_schema(SchemaProblem { kind, name, difference }: SchemaProblem) -> LedgerFinding {
    let observed = match (difference, kind.as_str()) {
        (SchemaDifference::Foreign, "trigger") => {
            "clusterctl did not make this trigger, which changes the ledger when clusterctl writes it"
        }
        (SchemaDifference::Foreign, _) => "clusterctl did not make it",
        (SchemaDifference::Altered, _) => "its definition is not the one that clusterctl made",
        (SchemaDifference::Missing, _) => "it is missing",
    };
    error(Id::Schema, format!("{kind} {}", sanitized(&name)), observed.to_owned())
}

fn of_break(ChainBreak { kind, table, row }: ChainBreak) -> LedgerFinding {
    let (id, observed) = match kind {
        BreakKind::Changed => (Id::RowChanged, "the row is not what it was when it was recorded"),
        BreakKind::Removed => (Id::RowRemoved, "the row was removed"),
        BreakKind::Inserted => (Id::RowInserted, "the row is not in the hash chain: clusterctl did not record it"),
        BreakKind::Link => {
            (Id::Chain, "the link does not follow the one before it: it was changed, or one was removed")
        }
    };
    error(id, place(&table, row), observed.to_owned())
}

/// Checks that every certificate matches its row and was signed by a known CA. Returns the number of certificates.
fn certificates(
    ledger: &Ledger,
    cas: &BTreeMap<CaRole, TrustBundle>,
    findings: &mut Vec<LedgerFinding>,
) -> Result<usize, StoreError> {
    let of_directory = cas.values().flat_map(TrustBundle::all).flat_map(|(ca, _)| ca.path());
    let mut issuers: HashMap<String, Certificate> =
        of_directory.map(|ca| (ca.fingerprint().to_string(), ca.clone())).collect();
    let mut count = 0;
    ledger.each_stored_certificate(|stored| {
        count += 1;
        let place = place("certificates", stored.row);
        match judged(&stored, &issuers) {
            Err((id, why)) => findings.push(error(id, place, why)),
            // A CA is recorded before the certificates that it issues.
            Ok(certificate) if certificate.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca) => {
                issuers.insert(stored.sha256, certificate);
            }
            Ok(_) => {}
        }
    })?;
    Ok(count)
}

fn judged(stored: &StoredCertificate, issuers: &HashMap<String, Certificate>) -> Result<Certificate, (Id, String)> {
    let certificate = Certificate::from_der(stored.der.clone())
        .map_err(|error| (Id::Certificate, format!("it cannot be parsed: {error}")))?;
    if certificate.fingerprint().to_string() != stored.sha256 || certificate.serial.to_string() != stored.serial {
        return Err((Id::Certificate, "it is another certificate than the row describes".to_owned()));
    }
    // A CA is recorded as its own issuer, also an intermediate. The CA above may be only in the ledger, if the command
    // that created it was interrupted. What a root says of itself proves nothing: one that the directory has is known by
    // its bytes, and no host trusts any other root, even if its signature (SHA-1) cannot be verified here.
    let is_signed = match stored.issuer == stored.sha256 {
        true => {
            issuers.contains_key(&stored.sha256)
                || (certificate.is_self_issued() && certificate.signed_by(&certificate) != SignatureStatus::Invalid)
                || issuers.values().any(|above| certificate.is_signed_by(above))
        }
        false => issuers.get(&stored.issuer).is_some_and(|issuer| certificate.is_signed_by(issuer)),
    };
    match is_signed {
        true => Ok(certificate),
        false => Err((Id::Issuer, format!("it is not signed by a CA that is known here: {}", stored.issuer))),
    }
}

/// Compares CRLs and the API servers' authorization configuration with the ledger, as `verify --offline` does.
fn revocations(env: &Env, ledger: &Ledger, cas: &BTreeMap<CaRole, TrustBundle>) -> Result<Vec<LedgerFinding>, Error> {
    let of = |id: Id| move |finding: Finding| of_audit(id, finding);
    let crls = audit::crl_findings(&env.layout, cas, ledger, env.now, EXPIRES_WITHIN)?;
    let mut findings: Vec<LedgerFinding> = crls.into_iter().filter_map(of(Id::Crl)).collect();
    if let Some(root) = cas.get(&CaRole::Cluster) {
        let cluster = directory::cluster(&env.layout)?;
        let denials = audit::denial_findings(&cluster, ledger, root, env)?;
        findings.extend(denials.into_iter().filter_map(of(Id::Denials)));
    }
    Ok(findings)
}

fn of_audit(id: Id, finding: Finding) -> Option<LedgerFinding> {
    let severity = match finding.status {
        Status::Pass => return None,
        Status::Warn => Severity::Warning,
        _ => Severity::Error,
    };
    let place = finding.address.unwrap_or(finding.host);
    Some(LedgerFinding {
        id,
        severity,
        place,
        observed: finding.observed,
        remedy: finding.remedy.map(Remedy::OfFinding),
    })
}
