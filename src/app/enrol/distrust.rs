//! What no longer proves a host after one of its certificates was revoked because a key was compromised: a thief of its disk has
//! its SSH key and its tokens, too.

use std::collections::HashSet;

use time::OffsetDateTime;

use crate::enrol::token::TokenRecord;
use crate::pki::reason::Reason;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;

/// The revocation of a host's certificates because a key was compromised.
#[derive(Debug)]
struct Compromise {
    /// The time of the last revocation.
    at: OffsetDateTime,
    /// The tokens that were created later; `None` if the ledger does not record what the host had.
    tokens: Option<HashSet<String>>,
}

/// The evidence that does not count for a host.
#[derive(Debug)]
pub(super) struct Distrust<'k> {
    keys: &'k HashSet<String>,
    compromise: Option<Compromise>,
}

impl<'k> Distrust<'k> {
    /// Reads what does not count for a host with these certificates. `keys` are the SSH keys that prove no host.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be read.
    pub(super) fn of(
        host: &str,
        certificates: &[IssuedCertificate],
        keys: &'k HashSet<String>,
        ledger: &Ledger,
    ) -> Result<Self, StoreError> {
        let revocations = certificates.iter().filter_map(|issued| issued.revocation.as_ref());
        let last = revocations.filter(|one| one.reason == Reason::KeyCompromise).map(|one| one.at).max();
        let compromise = match last {
            Some(at) => Some(Compromise { at, tokens: ledger.tokens_since_compromise(host)? }),
            None => None,
        };
        Ok(Self { keys, compromise })
    }

    /// Returns true if an approval needs a proof that is newer than a revocation.
    pub(super) fn is_compromised(&self) -> bool {
        self.compromise.is_some()
    }

    /// Returns true if an SSH key proves nothing, by its fingerprint: it was that of a compromised host. If the ledger does not
    /// record which one the host had, none counts.
    pub(super) fn refuses_key(&self, fingerprint: &str) -> bool {
        self.keys.contains(fingerprint) || self.compromise.as_ref().is_some_and(|one| one.tokens.is_none())
    }

    /// Returns true if a token is older than the revocation.
    pub(super) fn refuses_token(&self, record: &TokenRecord) -> bool {
        self.compromise.as_ref().is_some_and(|one| match &one.tokens {
            // The order of the ledger tells also what happened within one second.
            Some(later) => !later.contains(&record.token.id),
            None => record.created <= one.at,
        })
    }
}
