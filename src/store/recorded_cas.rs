//! Opens the ledger that recorded the CAs of a cluster directory.

use super::ca::CaError;
use super::layout::Layout;
use super::ledger::Ledger;
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;

/// Opens the ledger, which must have recorded these CAs of the directory.
///
/// A CA's certificate in place of another CA's could give every node access to etcd.
///
/// # Errors
/// Returns [`CaError::NotInLedger`], or an error if the ledger cannot be used.
pub fn open_ledger(layout: &Layout, cas: &CaSet) -> Result<Ledger, CaError> {
    let ledger = Ledger::open(&layout.ledger())?;
    for role in CaRole::ALL {
        for (ca, _) in cas.of(role).all() {
            if !ledger.has_ca(ca.certificate().fingerprint(), role)? {
                return Err(CaError::NotInLedger { path: layout.root_certificate(role), role });
            }
        }
    }
    Ok(ledger)
}
