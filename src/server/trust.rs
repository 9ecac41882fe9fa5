//! Authenticates clients: the cluster's CAs, and the revoked certificates.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::client::CREDENTIAL_ID;
use crate::enrol::request::Requester;
use crate::pki::certificate::Certificate;
use crate::pki::chain::verify_chain;
use crate::pki::crl::Crl;

/// The CAs whose client certificates are accepted, and the CRLs.
#[derive(Debug, Clone, Default)]
pub struct ClientTrust {
    /// The trust anchors.
    pub anchors: Vec<Certificate>,
    /// The CAs below them.
    pub intermediates: Vec<Certificate>,
    /// The CRLs, whose signatures are verified.
    pub crls: Vec<Crl>,
    /// Certificates that are revoked in the ledger, by SHA-256 of their DER.
    pub denied: std::collections::BTreeSet<crate::pki::fingerprint::Fingerprint>,
    /// Grows with each change.
    pub generation: u64,
}

/// Reasons for rejecting a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No CA that is trusted signed it.
    #[error("the client certificate is not signed by a CA of this cluster")]
    Untrusted,
    /// It is not valid at this time.
    #[error("the client certificate is not valid at this time")]
    Dates,
    /// It is not for clients.
    #[error("the client certificate does not have the usage clientAuth")]
    Usage,
    /// It is revoked.
    #[error("the client certificate is revoked")]
    Revoked,
    /// It cannot be parsed.
    #[error("the client certificate cannot be parsed")]
    Malformed,
}

impl ClientTrust {
    /// Authenticates a client certificate like Go's x509 and Kubernetes's `x509.CommonNameUserConversion`, and checks
    /// that it is not revoked.
    ///
    /// # Errors
    /// Returns the reason for rejecting it.
    pub fn authenticate(&self, chain: &[Certificate], now: OffsetDateTime) -> Result<Requester, Rejected> {
        let (leaf, sent) = chain.split_first().ok_or(Rejected::Malformed)?;
        let in_date = |one: &&Certificate| (one.not_before..=one.not_after).contains(&now);
        if !in_date(&leaf) {
            return Err(Rejected::Dates);
        }
        if !(leaf.has_extended_usage("clientAuth") || leaf.has_extended_usage("anyExtendedKeyUsage")) {
            return Err(Rejected::Usage);
        }
        let valid = |all: &[Certificate]| all.iter().filter(in_date).cloned().collect::<Vec<_>>();
        let others: Vec<Certificate> = valid(sent).into_iter().chain(valid(&self.intermediates)).collect();
        let anchors = valid(&self.anchors);
        verify_chain(leaf, &others, &anchors).map_err(|_| Rejected::Untrusted)?;
        let is_revoked = |one: &Certificate| {
            self.crls.iter().any(|crl| crl.issuer.der == one.issuer.der && crl.serials.contains(&one.serial))
        };
        if self.denied.contains(&leaf.fingerprint()) || is_revoked(leaf) || sent.iter().any(is_revoked) {
            return Err(Rejected::Revoked);
        }
        let mut groups = leaf.subject.organizations.clone();
        groups.push("system:authenticated".to_owned());
        let id = vec![leaf.fingerprint().as_credential_id()];
        let extra = BTreeMap::from([(CREDENTIAL_ID.to_owned(), id)]);
        Ok(Requester { username: leaf.account().user, groups, extra })
    }
}
