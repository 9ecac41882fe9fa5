//! Signs the CRLs of the cluster directory.

use std::path::PathBuf;

use time::OffsetDateTime;

use super::crl_comparison::RevokedSerials;
use super::crl_file::StoredCrls;
use super::denials::listed;
use super::error::RevokeError;
use super::notice::Notice;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::lifetime::Lifetime;
use crate::pki::certificate::Certificate;
use crate::pki::crl::{Crl, Revoked};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::Issuer;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::files::{self, PUBLIC};
use crate::store::ledger::Ledger;
use crate::store::ledger::revocations::Revocation;

/// Signs the CRL of one CA from the ledger's revocations, writes it, and returns its path.
///
/// CRLs of other CAs in the same file are kept, those of CAs that are not accepted while they are current and complete.
/// Programs that read only the first CRL, as etcd does, read the active CA's.
///
/// # Errors
/// Returns an error if the CRL cannot be signed, or the ledger or the disk cannot be used.
pub(crate) fn sign(
    issuer: &Issuer,
    trust: &TrustBundle,
    validity: Lifetime,
    ledger: &mut Ledger,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<PathBuf, Error> {
    let (role, ca) = (trust.role(), issuer.ca().certificate());
    let next_update = env.now + validity.duration();
    let entries = entries(ca, ledger, env.now)?;
    let path = env.layout.revocation_list(role);
    let present = StoredCrls::read(&env.layout, trust).unwrap_or_else(|why| {
        observer.notice(Notice::CrlReplaced { path: path.clone(), why }.into());
        StoredCrls::default()
    });
    // A ledger from a backup may lack the last numbers. The CRL in the directory has the last number, unless it is also
    // from that backup; the time in seconds is greater in any case.
    let last = present.of(ca.fingerprint()).and_then(|crl| crl.number);
    let at_least = last.map_or(1, |number| number.saturating_add(1));
    let at_least = at_least.max(u64::try_from(env.now.unix_timestamp()).unwrap_or(1));
    let number = ledger.next_crl_number(ca.fingerprint(), at_least, env.now, next_update)?;
    let crl = issuer
        .revocation_list(&entries, number, env.now, next_update)
        .map_err(|source| RevokeError::Crl { role, source })?;
    let is_accepted = |signer| trust.accepted().any(|ca| ca.certificate().fingerprint() == signer);
    let revoked = RevokedSerials::read(ledger, env.now)?;
    let is_last = |signer: Fingerprint, crl: &Crl| {
        crl.is_current(env.now) && revoked.of(signer).all(|serial| crl.serials.contains(serial))
    };
    let is_kept = |signer: Fingerprint, crl: &Crl| is_accepted(signer) || is_last(signer, crl);
    let others = present.iter().filter(|(signer, crl)| *signer != ca.fingerprint() && is_kept(*signer, crl));
    let mut all = vec![(ca.fingerprint(), crl.to_pem())];
    all.extend(others.map(|(signer, crl)| (signer, crl.to_pem())));
    all.sort_by_key(|(signer, _)| *signer != trust.active().certificate().fingerprint());
    let text: String = all.into_iter().map(|(_, pem)| pem).collect();
    files::replace(&path, text.as_bytes(), PUBLIC)?;
    Ok(path)
}

/// Returns the entries that the CRL of a CA must have.
fn entries(ca: &Certificate, ledger: &Ledger, now: OffsetDateTime) -> Result<Vec<Revoked>, StoreError> {
    let ca = ca.fingerprint();
    let recorded = listed(ledger, now)?.into_iter().filter(|issued| issued.issuer == ca).filter_map(|issued| {
        let Revocation { reason, at } = issued.revocation?;
        Some(Revoked { serial: issued.serial, at, reason })
    });
    let unrecorded = ledger.unrecorded()?.into_iter().filter_map(|one| {
        let (issuer, serial) = one.serial?;
        let Revocation { reason, at } = one.revocation;
        (issuer == ca).then_some(Revoked { serial, at, reason })
    });
    Ok(recorded.chain(unrecorded).collect())
}
