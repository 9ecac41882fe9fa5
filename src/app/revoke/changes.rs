//! Plans what is revoked and recorded, and which CRLs have to list it.

use std::collections::{BTreeMap, BTreeSet};

use super::certificates::OwnCertificate;
use super::crl_file::StoredCrls;
use super::denials::{self, MAX_RULES};
use super::error::RevokeError;
use super::lookup::Found;
use super::not_in_ledger::NotInLedger;
use super::rendered::RenderedState;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::bundle::policy::AUTHORIZATION;
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::IssueError;
use crate::pki::reason::Reason;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;

/// The certificates to revoke and to record, and the CRLs to sign.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The certificates that are revoked now.
    pub(super) revoked: Vec<IssuedCertificate>,
    /// The certificates that were revoked for a lesser reason, which is replaced.
    pub(super) raised: Vec<IssuedCertificate>,
    /// The certificates that the ledger does not have, and that are recorded.
    pub(super) recorded: Vec<OwnCertificate>,
    /// The issuers and serial numbers that are revoked without a certificate.
    pub(super) serials: Vec<(Fingerprint, Serial)>,
    /// The CAs whose CRLs are signed.
    pub(super) crls: Vec<CaRole>,
    /// Whether nothing is left to do: every certificate is revoked or has expired, and CRLs and rules are up to date.
    pub(super) is_settled: bool,
}

impl Changes {
    /// Plans to sign the CRLs of all CAs that can sign them.
    pub(super) fn of_all_crls(cas: &CaSet) -> Self {
        Self::of_crls(CaRole::ALL.into_iter().filter(|role| signs_crls(*role, cas)).collect())
    }

    /// Plans to sign CRLs, without any revocation.
    pub(super) fn of_crls(crls: Vec<CaRole>) -> Self {
        Self { crls, ..Self::default() }
    }

    /// Plans to revoke all certificates of the CA that a rotation replaces, but not those by which it is proven.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be used.
    pub(super) fn of_replaced(role: CaRole, cas: &CaSet, ledger: &Ledger, env: &Env) -> Result<Self, StoreError> {
        let Some(old) = cas.of(role).outgoing() else { return Ok(Self { is_settled: true, ..Self::default() }) };
        let mut revoked = ledger.valid_of_issuer(old.certificate().fingerprint(), env.now)?.all()?;
        revoked.retain(|one| !one.is_canary());
        let crls = if old.certificate().can_sign_crls() { vec![role] } else { Vec::new() };
        Ok(Self { revoked, ..Self::of_crls(crls) })
    }

    /// Plans to record the revocations that rendered files have and the ledger lacks.
    ///
    /// Certificates in bundles that the ledger does not have are also recorded, because their hosts may use them.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be used.
    pub(super) fn recording(
        states: &[RenderedState],
        not_in_ledger: &NotInLedger,
        cas: &CaSet,
        ledger: &Ledger,
    ) -> Result<Self, StoreError> {
        let crls = not_in_ledger.crls(cas).into_iter().filter(|role| signs_crls(*role, cas)).collect();
        let (mut recorded, mut seen) = (Vec::new(), BTreeSet::new());
        for (host, certificates) in states.iter().filter_map(|state| state.packed.as_ref()) {
            for certificate in certificates.iter().filter(|certificate| seen.insert(certificate.fingerprint())) {
                let own = OwnCertificate::look_up(certificate.clone(), Some(host.as_str()), cas, ledger)?;
                recorded.extend(own.filter(|own| !own.recorded));
            }
        }
        Ok(Self { recorded, ..Self::of_crls(crls) })
    }

    /// Plans to revoke the certificates that were found for `name`, or to complete an interrupted revocation.
    ///
    /// # Errors
    /// Returns [`RevokeError::Ca`], [`RevokeError::Expired`], [`RevokeError::AlreadyRevoked`], or an error if the
    /// ledger cannot be used.
    pub(super) fn revoking(
        (name, reason): (&str, Reason),
        found: Found,
        not_in_ledger: &NotInLedger,
        cas: &CaSet,
        ledger: &Ledger,
        env: &Env,
    ) -> Result<Self, Error> {
        match found {
            Found::Serial(role, serial) => Self::of_serial(name, role, serial, cas, ledger),
            Found::Certificates { issued, unrecorded } => {
                Ok(Self::of_certificates((name, Some(reason)), issued, unrecorded, not_in_ledger, cas, env)?)
            }
        }
    }

    /// Plans to revoke the certificates of hosts that left the cluster, unless they are already revoked or expired.
    ///
    /// # Errors
    /// Returns [`RevokeError::Ca`].
    pub(super) fn removing(
        hosts: &[HostName],
        (issued, unrecorded): (Vec<IssuedCertificate>, Vec<OwnCertificate>),
        not_in_ledger: &NotInLedger,
        cas: &CaSet,
        env: &Env,
    ) -> Result<Self, RevokeError> {
        let name = hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ");
        match Self::of_certificates((&name, None), issued, unrecorded, not_in_ledger, cas, env) {
            Err(RevokeError::Expired { .. } | RevokeError::AlreadyRevoked { .. }) => {
                Ok(Self { is_settled: true, ..Self::default() })
            }
            other => other,
        }
    }

    fn of_serial(name: &str, role: CaRole, serial: Serial, cas: &CaSet, ledger: &Ledger) -> Result<Self, Error> {
        let serial = (cas.of(role).active().certificate().fingerprint(), serial);
        // Only a CRL can revoke a certificate by its serial number.
        if !signs_crls(role, cas) {
            return Err(RevokeError::Crl { role, source: IssueError::NoCrlSign }.into());
        }
        if ledger.unrecorded()?.iter().any(|one| one.serial.as_ref() == Some(&serial)) {
            return Err(RevokeError::AlreadyRevoked { name: name.to_owned(), since: None }.into());
        }
        Ok(Self { serials: vec![serial], ..Self::of_crls(vec![role]) })
    }

    /// Plans to revoke certificates. `reason` replaces lesser reasons of earlier revocations.
    fn of_certificates(
        (name, reason): (&str, Option<Reason>),
        mut issued: Vec<IssuedCertificate>,
        recorded: Vec<OwnCertificate>,
        not_in_ledger: &NotInLedger,
        cas: &CaSet,
        env: &Env,
    ) -> Result<Self, RevokeError> {
        let name = || name.to_owned();
        let mut is_forgotten = !recorded.is_empty();
        for one in &mut issued {
            if let Some(known) = not_in_ledger.recorded.iter().find(|known| known.fingerprint == one.fingerprint) {
                one.revocation.clone_from(&known.revocation);
                is_forgotten = true;
            }
        }
        if issued.iter().any(IssuedCertificate::is_root) {
            return Err(RevokeError::Ca(name()));
        }
        let last = issued.iter().map(|one| one.not_after).max();
        issued.retain(|one| one.not_after > env.now);
        if issued.is_empty() {
            return Err(RevokeError::Expired { name: name(), last });
        }
        // Only active CAs sign CRLs, and those that a rotation replaces.
        let signed_by = |role: &CaRole| issued.iter().any(|one| cas.of(*role).signs_crl_of(one.issuer));
        let mut crls: Vec<CaRole> =
            CaRole::ALL.into_iter().filter(signed_by).filter(|role| signs_crls(*role, cas)).collect();
        let (before, revoked): (Vec<IssuedCertificate>, Vec<IssuedCertificate>) =
            issued.into_iter().partition(|one| one.revocation.is_some());
        let is_lesser = |one: &&IssuedCertificate| {
            one.revocation.as_ref().zip(reason).is_some_and(|(known, reason)| reason.replaces(known.reason))
        };
        let raised: Vec<IssuedCertificate> = before.iter().filter(is_lesser).cloned().collect();
        if revoked.is_empty() && raised.is_empty() {
            crls.retain(|role| !is_listed(*role, &before, cas, env));
            if crls.is_empty() && !is_forgotten && is_denied(&before, cas, env) {
                let since = before.iter().filter_map(|one| one.revocation.as_ref()).map(|one| one.at).min();
                return Err(RevokeError::AlreadyRevoked { name: name(), since });
            }
        }
        Ok(Self { revoked, raised, recorded, ..Self::of_crls(crls) })
    }

    /// Returns the number of certificates that are revoked now.
    pub(super) fn count(&self) -> usize {
        self.revoked.len() + self.serials.len()
    }
}

/// Returns true if the CA that signs for a role may sign CRLs.
fn signs_crls(role: CaRole, cas: &CaSet) -> bool {
    cas.of(role).active().certificate().can_sign_crls()
}

/// Returns true if the CRLs of a role are current and list all of these certificates that its CAs issued, each with its
/// reason.
fn is_listed(role: CaRole, revoked: &[IssuedCertificate], cas: &CaSet, env: &Env) -> bool {
    let signers = cas.of(role).all().map(|(ca, _)| ca.certificate().fingerprint());
    let mut signers =
        signers.filter(|ca| cas.of(role).signs_crl_of(*ca) && revoked.iter().any(|one| one.issuer == *ca));
    StoredCrls::read(&env.layout, cas.of(role)).is_ok_and(|crls| {
        signers.all(|ca| {
            let mut issued = revoked.iter().filter(|one| one.issuer == ca);
            let Some(crl) = crls.of(ca) else { return false };
            let listed: BTreeMap<Serial, Reason> =
                crl.entries().into_iter().map(|entry| (entry.serial, entry.reason)).collect();
            let has = |one: &IssuedCertificate| {
                one.revocation.as_ref().is_some_and(|known| listed.get(&one.serial) == Some(&known.reason))
            };
            crl.next_update.is_some_and(|next| next > env.now) && issued.all(has)
        })
    })
}

/// Returns true if the authorization configuration denies all of these certificates that it has to deny.
fn is_denied(revoked: &[IssuedCertificate], cas: &CaSet, env: &Env) -> bool {
    let text = files::read(&env.layout.policy().join(AUTHORIZATION), MAX_RULES);
    text.is_ok_and(|text| {
        let text = String::from_utf8_lossy(&text);
        denials::denied(revoked, &cas.cluster).all(|one| text.contains(&one.fingerprint.to_string()))
    })
}
