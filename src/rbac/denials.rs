//! The revoked certificates that API servers deny: how many of them one rule takes, and how many rules there may be.
//! Kubernetes asks for no revocation list; an authorizer that denies by `credential-id` is what it has.

use super::mark::LedgerMark;
use crate::pki::fingerprint::Fingerprint;

/// An expression has at most this many code points (cel-go `parser/options.go`, `expressionSizeCodePointLimit`). Kubernetes
/// does not change that. Its other limit, a cost of 1,000,000 for one evaluation (`apiserver/pkg/apis/cel`,
/// `PerCallLimit`), is far away: looking into a list costs one for each of its items.
const MAX_EXPRESSION: usize = 100_000;
/// How many certificates one rule names: each takes 78 code points, and something stands around them.
pub const IN_A_RULE: usize = 1_200;
/// How many rules there may be. Kubernetes has no limit; each costs every request one evaluation.
const MAX_RULES: usize = 64;
/// How many revoked certificates the API servers can be told of at once.
pub const MAX: usize = IN_A_RULE * MAX_RULES;

const _: () = assert!(IN_A_RULE * 78 + 1_500 < MAX_EXPRESSION, "a full rule is one that API servers take");

/// What precedes the digest of a revoked certificate that API servers are not asked about, in a comment of the file.
pub const NAMED: &str = "revoked SHA256=";

/// Revoked certificates that Kubernetes is to deny, each once, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denials {
    revoked: Vec<Fingerprint>,
    beside: Vec<Fingerprint>,
    mark: Option<LedgerMark>,
}

/// More revoked certificates than API servers can be told of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{count} certificates are revoked and have not ended yet; API servers can be told of {MAX}")]
pub struct TooMany {
    /// How many there are.
    pub count: usize,
}

impl Denials {
    /// These certificates, by the SHA-256 of their DER.
    ///
    /// # Errors
    /// When they are more than [`MAX`].
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

    /// These, as of a state of the ledger, which rendered files name.
    #[must_use]
    pub fn as_of(self, mark: LedgerMark) -> Self {
        Self { mark: Some(mark), ..self }
    }

    /// Names other revoked certificates beside them, those of servers and of other roots, which API servers are not asked about. A
    /// ledger from a backup learns them again from the file.
    #[must_use]
    pub fn beside(self, others: impl IntoIterator<Item = Fingerprint>) -> Self {
        let mut beside: Vec<Fingerprint> = others.into_iter().collect();
        beside.sort_unstable();
        beside.dedup();
        Self { beside, ..self }
    }

    /// Returns the other revoked certificates as rendered files name them.
    #[must_use]
    pub fn named_beside(&self) -> Vec<String> {
        self.beside.iter().map(|sha256| format!("{NAMED}{sha256}")).collect()
    }

    /// The state of the ledger that they are of, where there is a ledger.
    #[must_use]
    pub fn mark(&self) -> Option<&LedgerMark> {
        self.mark.as_ref()
    }

    /// Whether `coming` more would fit.
    ///
    /// # Errors
    /// When they would be more than [`MAX`].
    pub fn room_for(&self, coming: usize) -> Result<(), TooMany> {
        let count = self.revoked.len() + coming;
        if count > MAX { Err(TooMany { count }) } else { Ok(()) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.revoked.len()
    }

    /// All of them.
    #[must_use]
    pub fn certificates(&self) -> &[Fingerprint] {
        &self.revoked
    }

    /// The `credential-id`s of each rule, as Kubernetes writes them (`apiserver/pkg/authentication/request/x509`,
    /// `CommonNameUserConversion`). There is always a rule, if only one that names nobody: a reload may not drop a type of
    /// authorizer that was there at the start.
    #[must_use]
    pub fn rules(&self) -> Vec<Vec<String>> {
        let id = |sha256: &Fingerprint| format!("X509SHA256={sha256}");
        let rules: Vec<_> = self.revoked.chunks(IN_A_RULE).map(|rule| rule.iter().map(id).collect()).collect();
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
    fn more_than_api_servers_can_be_told_of_are_refused() {
        assert_eq!(Denials::of(fingerprints(MAX)).map(|denials| denials.count()), Ok(MAX));
        let refused = Denials::of(fingerprints(MAX + 1)).expect_err("too many");
        assert_eq!(
            refused.to_string(),
            "76801 certificates are revoked and have not ended yet; API servers can be told of 76800"
        );
    }
}
