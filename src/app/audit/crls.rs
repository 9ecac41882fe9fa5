//! Checks that the CRLs in the cluster directory are current and list all certificates that are revoked in the ledger.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use crate::app::count::certificates as count;
use crate::app::revoke::crl_comparison::{CrlComparison, RevokedSerials};
use crate::app::revoke::crl_file::StoredCrls;
use crate::cluster::duration::{in_words, stamp};
use crate::cluster::profile::CaRole;
use crate::pki::crl::Crl;
use crate::pki::trust_bundle::{CaState, TrustBundle};
use crate::store::error::StoreError;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::{CertificateRemedy, FileRemedy, Remedy};
use crate::verify::target::Place;

/// The result of checking a CRL: the status, the observation and the remedy.
type Judgement = (Status, String, Option<Remedy>);

/// Returns a finding `store.credential` for each CRL that exists in the directory or is required.
///
/// # Errors
/// Returns an error if the ledger cannot be used.
pub(super) fn findings(
    layout: &Layout,
    cas: &BTreeMap<CaRole, TrustBundle>,
    ledger: &Ledger,
    now: OffsetDateTime,
    expires_within: Duration,
) -> Result<Vec<Finding>, StoreError> {
    let revoked = RevokedSerials::read(ledger, now)?;
    let mut findings = Vec::new();
    for (role, trust) in cas {
        let name = format!("CRL of the {}", role.as_str());
        let finding = |(status, saw, remedy): Judgement| {
            let finding = Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, &name, status)
                .address(layout.revocation_list(*role).display().to_string())
                .saw(saw, "a current CRL of its CA that lists what the ledger records as revoked");
            match remedy {
                Some(remedy) => finding.remedy(remedy),
                None => finding,
            }
        };
        let crls = match StoredCrls::read(layout, trust) {
            Ok(crls) => crls,
            Err(why) => {
                findings.push(finding((Status::Fail, why.to_string(), Some(FileRemedy::RenewCrl.into()))));
                continue;
            }
        };
        // Certificates of a CA that is not trusted are rejected without a CRL.
        for (ca, state) in trust.all().filter(|(_, state)| state.is_accepted()) {
            let can_sign = ca.certificate().can_sign_crls();
            let ca = ca.certificate().fingerprint();
            let wanted = revoked.of(ca).count();
            let judged = match crls.of(ca) {
                None if wanted == 0 => continue,
                // API servers deny revoked certificates of the cluster's CA by their rules.
                None if !can_sign && *role == CaRole::Cluster => continue,
                None if !can_sign => {
                    let saw =
                        "its CA's key usage lacks cRLSign: only a new CA makes the revoked certificates untrusted";
                    (Status::Warn, saw.to_owned(), None)
                }
                None => {
                    let saw = format!("it is missing, and the ledger records {} as revoked", count(wanted));
                    (Status::Fail, saw, Some(FileRemedy::RenewCrl.into()))
                }
                Some(crl) => {
                    let comparison = CrlComparison::new(crl, ca, &revoked, ledger)?;
                    judge(crl, &comparison, now, expires_within)
                }
            };
            findings.push(finding(if trust.signs_crl_of(ca) { judged } else { of_state(judged, state) }));
        }
    }
    Ok(findings)
}

/// Lowers the severity of a problem with the CRL of a CA that no longer signs: its key need not be here, and API
/// servers deny its revoked certificates without a CRL.
fn of_state((status, saw, remedy): Judgement, state: CaState) -> Judgement {
    match (state, status) {
        (CaState::Trusted, Status::Fail | Status::Warn) => {
            (Status::Warn, format!("of a CA that is trusted and does not sign: {saw}"), None)
        }
        _ => (status, saw, remedy),
    }
}

/// Evaluates a CRL by its times and by its differences from the ledger.
fn judge(crl: &Crl, comparison: &CrlComparison, now: OffsetDateTime, expires_within: Duration) -> Judgement {
    let CrlComparison { missing, not_revoked, unknown } = comparison;
    let mut wrong = Vec::new();
    if crl.this_update > now {
        let saw = format!("its thisUpdate is {}, and the time here is {}", stamp(crl.this_update), stamp(now));
        if missing.is_empty() {
            return (Status::Fail, saw, Some(CertificateRemedy::CompareClocks.into()));
        }
        wrong.push(saw);
    }
    match crl.next_update {
        Some(next) if next > now => {}
        Some(next) => wrong.push(format!("it expired at {}", stamp(next))),
        None => wrong.push("it has no nextUpdate".to_owned()),
    }
    if !missing.is_empty() {
        wrong.push(format!("it does not list {} that the ledger records as revoked", count(missing.len())));
    }
    if !not_revoked.is_empty() {
        wrong.push(format!("it lists {} that the ledger does not record as revoked", count(not_revoked.len())));
    }
    if !wrong.is_empty() {
        return (Status::Fail, wrong.join("; "), Some(FileRemedy::RenewCrl.into()));
    }
    if !unknown.is_empty() {
        let saw = format!("it lists {} that the ledger does not have", count(unknown.len()));
        return (Status::Warn, saw, Some(FileRemedy::RestoreLedger.into()));
    }
    let next = crl.next_update.map(stamp).unwrap_or_default();
    if let Some(due) = crl.next_update {
        let span = due - crl.this_update;
        // A CRL with a short validity must not be a warning for all of that time.
        if due - now <= expires_within.min(span / 3) {
            let saw = format!("it expires in {}, at {next}", in_words(due - now));
            return (Status::Warn, saw, Some(FileRemedy::RenewCrl.into()));
        }
    }
    (Status::Pass, format!("{} revoked, expires at {next}", crl.serials.len()), None)
}
