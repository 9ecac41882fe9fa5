//! The revoked certificates that API servers deny: how many fit into one rule, and how many rules there may be.
//!
//! Kubernetes does not check CRLs. It can deny certificates by an authorizer that matches their `credential-id`.

use super::mark::LedgerMark;
use crate::pki::fingerprint::Fingerprint;

/// The largest expression, in code points (cel-go `parser/options.go`, `expressionSizeCodePointLimit`).
///
/// Kubernetes keeps this default of cel-go. The other limit, a cost of 1,000,000 for one evaluation
/// (`apiserver/pkg/apis/cel`, `PerCallLimit`), is not reached: a search in a list costs one per item.
const MAX_EXPRESSION: usize = 100_000;
/// The number of certificates that fit into one rule: each takes 78 code points, and the rest of the expression needs
/// some.
pub const IN_A_RULE: usize = 1_200;
/// The maximum number of rules. Kubernetes has no limit, but evaluates each rule for every request.
const MAX_RULES: usize = 64;
/// The maximum number of revoked certificates that API servers can deny.
pub const MAX: usize = IN_A_RULE * MAX_RULES;

const _: () = assert!(IN_A_RULE * 78 + 1_500 < MAX_EXPRESSION, "API servers accept a full rule");

/// The text before the digest of a revoked certificate that API servers never see, in a comment of the file.
pub const NAMED: &str = "revoked SHA256=";

/// The revoked certificates that API servers have to deny, each once, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denials {
    revoked: Vec<Fingerprint>,
    beside: Vec<Fingerprint>,
    mark: Option<LedgerMark>,
}

/// More certificates are revoked than API servers can deny.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{count} certificates are revoked and have not expired yet; API servers can deny {MAX}")]
pub struct TooMany {
    /// The number of revoked certificates.
    pub count: usize,
}

impl Denials {
    /// Returns the denials of certificates, by the SHA-256 of their DER.
    ///
    /// # Errors
    /// Returns an error if they are more than [`MAX`].
    pub fn of(certificates: impl IntoIterator<Item = Fingerprint>) -> Result<Self, TooMany> {
        let mut revoked: Vec<Fingerprint> = certificates.into_iter().collect();
        revoked.sort_unstable();
        revoked.dedup();
        if revoked.len() > MAX {
            Err(TooMany { count: revoked.len() })
        } else {
            Ok(Self { revoked, ..Self::default() })
        }
    }

    /// Adds the state of the ledger that the denials are from, which rendered files record.
    #[must_use]
    pub fn as_of(self, mark: LedgerMark) -> Self {
        Self { mark: Some(mark), ..self }
    }

    /// Adds other revoked certificates, which clients never present to API servers: those of servers, and those of
    /// other roots.
    ///
    /// Rendered files list them, so that a ledger from a backup can be completed from the file.
    #[must_use]
    pub fn beside(self, others: impl IntoIterator<Item = Fingerprint>) -> Self {
        let mut beside: Vec<Fingerprint> = others.into_iter().collect();
        beside.sort_unstable();
        beside.dedup();
        Self { beside, ..self }
    }

    /// Returns the other revoked certificates as rendered files list them.
    #[must_use]
    pub fn named_beside(&self) -> Vec<String> {
        self.beside.iter().map(|sha256| format!("{NAMED}{sha256}")).collect()
    }

    /// Returns the state of the ledger that the denials are from; `None` without a ledger.
    #[must_use]
    pub fn mark(&self) -> Option<&LedgerMark> {
        self.mark.as_ref()
    }

    /// Checks that `coming` more certificates would fit.
    ///
    /// # Errors
    /// Returns an error if they would be more than [`MAX`].
    pub fn room_for(&self, coming: usize) -> Result<(), TooMany> {
        let count = self.revoked.len() + coming;
        if count > MAX { Err(TooMany { count }) } else { Ok(()) }
    }

    /// Returns the number of denied certificates.
    #[must_use]
    pub fn count(&self) -> usize {
        self.revoked.len()
    }

    /// Returns all denied certificates.
    #[must_use]
    pub fn certificates(&self) -> &[Fingerprint] {
        &self.revoked
    }

    /// Returns the `credential-id`s of each rule, as Kubernetes writes them.
    ///
    /// The format is that of `apiserver/pkg/authentication/request/x509`, `CommonNameUserConversion`. There is always
    /// at least one rule, possibly an empty one, because a reload must not remove an authorizer type that was
    /// configured at the start.
    #[must_use]
    pub fn rules(&self) -> Vec<Vec<String>> {
        let ids = |rule: &[Fingerprint]| rule.iter().map(Fingerprint::as_credential_id).collect();
        let rules: Vec<_> = self.revoked.chunks(IN_A_RULE).map(ids).collect();
        if rules.is_empty() { vec![Vec::new()] } else { rules }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprints(count: usize) -> impl Iterator<Item = Fingerprint> {
        (0..count).map(|i| Fingerprint::of(&i.to_be_bytes()))
    }

    #[test]
    fn there_is_always_a_rule_and_none_names_too_many() {
        assert_eq!(Denials::default().rules(), [Vec::<String>::new()]);
        let twice = fingerprints(IN_A_RULE).chain(fingerprints(IN_A_RULE));
        assert_eq!(Denials::of(twice).expect("few").rules().len(), 1);
        let rules = Denials::of(fingerprints(IN_A_RULE + 1)).expect("few").rules();
        assert_eq!(rules.iter().map(Vec::len).collect::<Vec<_>>(), [IN_A_RULE, 1]);
        assert!(rules[0].is_sorted() && rules[0].last() < rules[1].first());
    }

    #[test]
    fn more_than_api_servers_can_deny_are_refused() {
        assert_eq!(Denials::of(fingerprints(MAX)).map(|denials| denials.count()), Ok(MAX));
        assert_eq!(Denials::of(fingerprints(MAX + 1)), Err(TooMany { count: MAX + 1 }));
    }
}
