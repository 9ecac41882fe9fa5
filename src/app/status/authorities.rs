//! Rows for the CAs of each role, their rotations and their CRLs.

use std::collections::HashSet;

use time::OffsetDateTime;

use super::expiry::Validity;
use super::rotations::RotationSummary;
use super::row::{CertificateId, Credential, Problem, StatusRow, Subject};
use super::source::{Sink, Source};
use super::state::State;
use crate::app::renewal::{self, CaRule};
use crate::app::revoke::crl_comparison::RevokedSerials;
use crate::app::revoke::crl_file::StoredCrls;
use crate::app::rotate::{self, OutdatedAccount};
use crate::cluster::profile::CaRole;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::certificate::Certificate;
use crate::pki::crl::Crl;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::ca::{self, CaError};
use crate::store::error::StoreError;
use crate::store::token_rotation;
use crate::verify::remedy::{DirectoryRemedy, FileRemedy};

/// The CAs of each role, or the errors of reading them.
pub(super) struct Cas([(CaRole, Result<TrustBundle, CaError>); CaRole::ALL.len()]);

/// Reads the CAs of each role.
pub(super) fn read(source: &Source<'_>) -> Cas {
    Cas(CaRole::ALL.map(|role| (role, ca::trust(source.layout, role))))
}

impl Cas {
    /// Returns the rotations that are under way.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be read.
    pub(super) fn rotations(&self, source: &Source<'_>) -> Result<Vec<RotationSummary>, StoreError> {
        let mut found = Vec::new();
        for trust in self.0.iter().filter_map(|(_, trust)| trust.as_ref().ok()) {
            let state = rotate::of_trust(trust, source.ledger, source.cluster)?;
            found.extend(state.as_ref().map(RotationSummary::from));
        }
        let of_key = rotate::tokens::of_layout(source.layout, source.ledger, source.cluster)?;
        found.extend(of_key.as_ref().map(RotationSummary::from));
        Ok(found)
    }

    /// Returns the CAs of a role; `None` if they cannot be read.
    pub(super) fn trust(&self, role: CaRole) -> Option<&TrustBundle> {
        self.0.iter().find(|(of, _)| *of == role).and_then(|(_, trust)| trust.as_ref().ok())
    }

    /// Returns the kubeconfigs that are behind the phase of a rotation of the cluster's CA.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be read.
    pub(super) fn outdated_accounts(&self, source: &Source<'_>) -> Result<Vec<OutdatedAccount>, StoreError> {
        self.trust(CaRole::Cluster).map_or(Ok(Vec::new()), |trust| {
            rotate::outdated_accounts(trust, source.ledger, source.layout, source.rule.now)
        })
    }

    /// Returns true if the CA of a role is being rotated.
    pub(super) fn is_rotating(&self, role: CaRole) -> bool {
        self.trust(role).is_some_and(|trust| trust.rotation().is_some())
    }

    /// Returns the remedy if a role's CA has expired, or if a certificate that expires soon, at `expiring`, expires with it.
    pub(super) fn remedy(
        &self,
        role: CaRole,
        expiring: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Option<DirectoryRemedy> {
        let trust = self.trust(role)?;
        renewal::is_limited_by_ca(expiring, trust, now).then(|| renewal::ca_remedy(trust, now))
    }

    /// Returns the expiry of a role's active CA; `None` if the CA cannot be read.
    pub(super) fn active_not_after(&self, role: CaRole) -> Option<OffsetDateTime> {
        self.trust(role).map(|trust| trust.active().not_after())
    }
}

/// Reports the CAs that are not retired, their rotations, and their CRLs.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn rows(source: &Source<'_>, cas: &Cas, sink: Sink<'_>) -> Result<(), StoreError> {
    for (role, trust) in &cas.0 {
        match trust {
            Ok(trust) => of_trust(source, trust, sink),
            Err(error) => {
                let row = StatusRow::new(Subject::Cluster, Credential::Root(*role), State::Unreadable);
                sink(StatusRow {
                    file: Some(source.layout.root_certificate(*role)),
                    problem: Some(Problem::Ca(error.clone())),
                    ..row.remedy(DirectoryRemedy::RestoreRoot)
                });
            }
        }
    }
    for trust in cas.0.iter().filter_map(|(_, trust)| trust.as_ref().ok()) {
        rotation(source, trust, sink)?;
        crls(source, trust, sink)?;
    }
    if token_rotation::state(source.layout)?.is_some() {
        let row = StatusRow::new(Subject::Cluster, Credential::TokenRotation, State::Due);
        sink(row.remedy(DirectoryRemedy::ContinueRotation));
    }
    Ok(())
}

/// Reports a rotation that is under way, or else each CA that is trusted in addition to the active one.
fn rotation(source: &Source<'_>, trust: &TrustBundle, sink: Sink<'_>) -> Result<(), StoreError> {
    if trust.rotation().is_some() {
        let row = StatusRow::new(Subject::Cluster, Credential::Rotation(trust.role()), State::Due);
        sink(row.remedy(DirectoryRemedy::ContinueRotation));
        return Ok(());
    }
    let active = trust.active().certificate().fingerprint();
    for ca in trust.accepted().map(CaCertificate::certificate).filter(|ca| ca.fingerprint() != active) {
        let not_after = source.ledger.last_valid_of_issuer(ca.fingerprint(), source.rule.now)?;
        sink(StatusRow {
            certificate: Some(CertificateId::from(ca)),
            not_after,
            ..StatusRow::new(Subject::Cluster, Credential::Rotation(trust.role()), State::Valid)
        });
    }
    Ok(())
}

/// Reports every certificate of accepted CAs once: roots, and the intermediates below them.
///
/// An expired CA that only was trusted is not reported: it signed nothing that is valid, so nothing depends on it.
fn of_trust(source: &Source<'_>, trust: &TrustBundle, sink: Sink<'_>) {
    let mut seen = HashSet::new();
    let is_over = |ca: &&CaCertificate| trust.is_only_trusted(ca) && ca.not_after() <= source.rule.now;
    for ca in trust.accepted().filter(|ca| !is_over(ca)) {
        let issuers = ca.path().skip(1).map(Certificate::fingerprint).map(Some);
        let chain = ca.chain().iter().zip(issuers);
        let chain = chain.map(|(one, issuer)| (Credential::Intermediate(ca.role()), one, issuer));
        let root = (Credential::Root(ca.role()), ca.root(), None);
        for (credential, certificate, issuer) in [root].into_iter().chain(chain) {
            if seen.insert(certificate.fingerprint()) {
                let id = CertificateId { issuer, ..CertificateId::from(certificate) };
                sink(StatusRow { certificate: Some(id), ..ca_row(source, (trust, ca), credential, certificate) });
            }
        }
    }
}

fn ca_row(
    source: &Source<'_>,
    (trust, ca): (&TrustBundle, &CaCertificate),
    credential: Credential,
    certificate: &Certificate,
) -> StatusRow {
    let Certificate { not_before, not_after, .. } = *certificate;
    let replaced_from = || CaRule::of(source.cluster).replaced_from(not_before, not_after);
    let renew_from = (!trust.is_only_trusted(ca)).then(replaced_from);
    let state = source.rule.state(&Validity { not_before, not_after, renew_from });
    let row = StatusRow::new(Subject::Cluster, credential, state);
    let row = StatusRow { not_before: Some(not_before), not_after: Some(not_after), renew_from, ..row };
    if state == State::Valid { row } else { row.remedy(renewal::remedy_of_ca(ca, trust, source.rule.now)) }
}

/// Reports the CRLs of accepted CAs, and missing CRLs. A CA without revocations needs no CRL.
///
/// The CRL of a CA that no longer signs cannot be renewed here: it is reported while it is current, and is never due.
/// Programs that check CRLs need one of each CA. So if another CA of the role has a CRL (the old one of a rotation, or a
/// former intermediate), one of the CA that signs is due, too. A CRL that lacks a revocation of the ledger is outdated: it is
/// from a backup, or an interruption came before it was signed.
fn crls(source: &Source<'_>, trust: &TrustBundle, sink: Sink<'_>) -> Result<(), StoreError> {
    let row = |state| StatusRow {
        file: Some(source.layout.revocation_list(trust.role())),
        ..StatusRow::new(Subject::Cluster, Credential::Crl(trust.role()), state)
    };
    let stored = match StoredCrls::read(source.layout, trust) {
        Ok(stored) => stored,
        Err(error) => {
            let row = row(State::Unreadable).remedy(FileRemedy::RenewCrl);
            sink(StatusRow { problem: Some(error.into()), ..row });
            return Ok(());
        }
    };
    let has_another = stored.iter().next().is_some();
    let revoked = match has_another {
        true => RevokedSerials::read(source.ledger, source.rule.now)?,
        false => RevokedSerials::default(),
    };
    for ca in trust.accepted().map(CaCertificate::certificate) {
        let signs = trust.signs_crl_of(ca.fingerprint());
        match stored.of(ca.fingerprint()) {
            Some(crl) if !signs && crl.is_current(source.rule.now) => {
                let (not_before, not_after) = (Some(crl.this_update), crl.next_update);
                let crl_issuer = Some(ca.fingerprint());
                sink(StatusRow { crl_issuer, not_before, not_after, ..row(State::Valid) });
            }
            Some(_) if !signs => {}
            Some(crl) => {
                let lists = |serial| crl.serials.contains(serial);
                let is_complete = !ca.can_sign_crls() || revoked.of(ca.fingerprint()).all(lists);
                sink(StatusRow { crl_issuer: Some(ca.fingerprint()), ..crl_row(source, crl, is_complete, row) });
            }
            None if signs && ca.can_sign_crls() && (has_another || has_revoked(source, ca)?) => {
                sink(row(State::Missing).remedy(FileRemedy::RenewCrl))
            }
            None => {}
        }
    }
    Ok(())
}

fn crl_row(source: &Source<'_>, crl: &Crl, is_complete: bool, row: impl FnOnce(State) -> StatusRow) -> StatusRow {
    let not_before = crl.this_update;
    let Some(not_after) = crl.next_update else {
        let row = row(State::Unreadable).remedy(FileRemedy::RenewCrl);
        return StatusRow { problem: Some(Problem::NoNextUpdate), ..row };
    };
    let renew_from = Some(not_after - (not_after - not_before) / 3);
    let state = source.rule.state(&Validity { not_before, not_after, renew_from });
    let state = if is_complete { state } else { state.max(State::Outdated) };
    let row = StatusRow { not_before: Some(not_before), not_after: Some(not_after), renew_from, ..row(state) };
    if state == State::Valid { row } else { row.remedy(FileRemedy::RenewCrl) }
}

/// Returns true if certificates of a CA were revoked that have not expired.
fn has_revoked(source: &Source<'_>, ca: &Certificate) -> Result<bool, StoreError> {
    let mut revoked = source.ledger.revoked_expiring_after(source.rule.now)?;
    for issued in revoked.rows() {
        if issued?.issuer == ca.fingerprint() {
            return Ok(true);
        }
    }
    Ok(false)
}
