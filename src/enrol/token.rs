//! One-time tokens: each is for one host, and optionally for one address or key.
//!
//! A host proves with an HMAC over its statement that it has a token, so that the secret is never sent. Kubelets and kubeadm
//! can only send the token itself; theirs are of the kind [`TokenKind::Bearer`].

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::cluster::address::Cidr;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::key::KeyError;
use crate::pki::mac::{MacSecret, random_text};

/// The longest file with a token, in bytes.
pub const MAX_FILE: u64 = 1024;

/// The use of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// For `clusterctl join`, which never sends it.
    Join,
    /// For a kubelet or kubeadm, which send it: a bootstrap token in Kubernetes's format.
    Bearer,
    /// For registering a cluster at a bootstrap endpoint.
    Register,
}

impl TokenKind {
    /// Returns the name of the kind.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Bearer => "bearer",
            Self::Register => "register",
        }
    }

    /// Returns the lengths of id and secret. Those of a bearer token are Kubernetes's (`cluster-bootstrap/token/api`,
    /// `BootstrapTokenPattern`).
    fn lengths(self) -> (usize, usize) {
        match self {
            Self::Join | Self::Register => (10, 32),
            Self::Bearer => (6, 16),
        }
    }
}

/// A token: `ID.SECRET`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The id, which is not secret.
    pub id: String,
    /// The secret.
    pub secret: MacSecret,
}

/// The text is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is written ID.SECRET, in lower-case letters and digits")]
pub struct NotAToken;

impl Token {
    /// Returns a new token.
    ///
    /// # Errors
    /// Returns an error if the operating system provides no random numbers.
    pub fn generate(kind: TokenKind) -> Result<Self, KeyError> {
        let (id, secret) = kind.lengths();
        let secret = random_text(secret)?;
        Ok(Self { id: random_text(id)?.to_string(), secret: MacSecret::new(secret.to_string()) })
    }

    /// Parses `ID.SECRET`; white space around it is ignored.
    ///
    /// # Errors
    /// Returns an error if it is not a token.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        let (id, secret) = text.trim().split_once('.').ok_or(NotAToken)?;
        let secret_fits = (16..=64).contains(&secret.len()) && secret.bytes().all(is_letter);
        if !is_id(id) || !secret_fits {
            return Err(NotAToken);
        }
        Ok(Self { id: id.to_owned(), secret: MacSecret::new(secret.to_owned()) })
    }

    /// Returns the text of the token.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}.{}", self.id, self.secret.expose()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.id)
    }
}

/// Returns true if the text has the form of a token's id.
pub(super) fn is_id(text: &str) -> bool {
    (6..=16).contains(&text.len()) && text.bytes().all(is_letter)
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// The addresses from which a token may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One address.
    Address(IpAddr),
    /// A network.
    Network(Cidr),
}

impl Source {
    /// Parses an IP address or a CIDR.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let address = text.parse().ok().map(Self::Address);
        address.or_else(|| Cidr::parse(text).ok().map(Self::Network))
    }

    /// Returns true if it contains this address. An IPv4-mapped IPv6 address is its IPv4 address.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        match self {
            Self::Address(address) => address.to_canonical() == ip,
            Self::Network(network) => network.contains(ip),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// A certificate that was issued with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUse {
    /// The profile of the certificate.
    pub profile: Profile,
    /// SHA-256 of the certificate's SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// The time of the first use.
    pub at: OffsetDateTime,
}

/// A token with its restrictions and its uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// The token.
    pub token: Token,
    /// Its kind.
    pub kind: TokenKind,
    /// The host that it is for; `None` only for registering a cluster.
    pub host: Option<HostName>,
    /// The addresses from which it may be used; `None` for any.
    pub source: Option<Source>,
    /// SHA-256 of the SubjectPublicKeyInfo that it is for; `None` for any.
    pub key: Option<Fingerprint>,
    /// The time of its creation.
    pub created: OffsetDateTime,
    /// The end of its validity.
    pub expires: OffsetDateTime,
    /// The time at which it was revoked.
    pub revoked: Option<OffsetDateTime>,
    /// The certificates that were issued with it, at most one of each profile.
    pub uses: Vec<TokenUse>,
}

/// A request that uses a token.
#[derive(Debug, Clone, Copy)]
pub struct TokenClaim<'a> {
    /// The host that asks.
    pub host: &'a HostName,
    /// The profile of the requested certificate.
    pub profile: Profile,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// The address that the request came from, where it is known.
    pub source: Option<IpAddr>,
    /// The time.
    pub now: OffsetDateTime,
}

/// Reasons why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// There is no such token.
    #[error("there is no token {0}")]
    Unknown(String),
    /// The HMAC was not made with the token's secret.
    #[error("the request does not prove that its host has the token")]
    Unproven,
    /// The token is for another purpose.
    #[error("the token is for another purpose: {}", .0.as_str())]
    OtherKind(TokenKind),
    /// The token was revoked.
    #[error("the token was revoked at {}", stamp(*.0))]
    Revoked(OffsetDateTime),
    /// The token has expired.
    #[error("the token expired at {}", stamp(*.0))]
    Expired(OffsetDateTime),
    /// The token is for another host.
    #[error("the token is for {0}")]
    OtherHost(HostName),
    /// The request came from another address.
    #[error("the token is for {wanted}, and the request came from {}", .found.map_or_else(|| "an unknown address".to_owned(), |ip| ip.to_string()))]
    OtherSource {
        /// The token's address.
        wanted: Source,
        /// The request's address.
        found: Option<IpAddr>,
    },
    /// The token is for another key.
    #[error("the token is for the key sha256:{0}")]
    OtherKey(Fingerprint),
    /// A certificate for another key was issued for it.
    #[error("the token was used at {} for the key sha256:{}", stamp(.0.at), .0.key)]
    Used(TokenUse),
}

impl TokenRecord {
    /// Checks whether the token may be used for a request. The HMAC is not checked here.
    ///
    /// A token that was used is accepted again for the same key and profile, because the answer may have been lost.
    ///
    /// # Errors
    /// Returns the reason why the token is not accepted.
    pub fn check(&self, claim: &TokenClaim<'_>) -> Result<(), TokenRefusal> {
        if self.kind == TokenKind::Register {
            return Err(TokenRefusal::OtherKind(self.kind));
        }
        self.check_validity(claim.now)?;
        if let Some(host) = self.host.as_ref().filter(|host| *host != claim.host) {
            return Err(TokenRefusal::OtherHost(host.clone()));
        }
        if let Some(wanted) = &self.source
            && !claim.source.is_some_and(|ip| wanted.has(ip))
        {
            return Err(TokenRefusal::OtherSource { wanted: wanted.clone(), found: claim.source });
        }
        if let Some(key) = self.key.filter(|key| *key != claim.key) {
            return Err(TokenRefusal::OtherKey(key));
        }
        let other_use = |used: &&TokenUse| used.profile == claim.profile && used.key != claim.key;
        match self.uses.iter().find(other_use) {
            Some(used) => Err(TokenRefusal::Used(used.clone())),
            None => Ok(()),
        }
    }

    /// Checks that it is neither revoked nor expired.
    ///
    /// # Errors
    /// Returns the reason why the token is not accepted.
    pub fn check_validity(&self, now: OffsetDateTime) -> Result<(), TokenRefusal> {
        if let Some(revoked) = self.revoked {
            return Err(TokenRefusal::Revoked(revoked));
        }
        if self.expires <= now { Err(TokenRefusal::Expired(self.expires)) } else { Ok(()) }
    }

    /// Records a use; the same use is recorded once.
    pub fn record_use(&mut self, used: TokenUse) {
        let is_known = self.uses.iter().any(|one| one.profile == used.profile && one.key == used.key);
        if !is_known {
            self.uses.push(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00 UTC);

    fn host(name: &str) -> HostName {
        HostName::parse(name).expect("a name")
    }

    fn record() -> TokenRecord {
        TokenRecord {
            token: Token::generate(TokenKind::Join).expect("a token"),
            kind: TokenKind::Join,
            host: Some(host("node-1")),
            source: None,
            key: None,
            created: NOW,
            expires: NOW + Duration::HOUR,
            revoked: None,
            uses: Vec::new(),
        }
    }

    fn claim<'a>(host: &'a HostName, key: &[u8]) -> TokenClaim<'a> {
        let key = Fingerprint::of(key);
        TokenClaim { host, profile: Profile::KubeletClient, key, source: None, now: NOW }
    }

    #[test]
    fn a_token_is_for_its_host_and_time() {
        let (own, other) = (host("node-1"), host("node-2"));
        let mut record = record();
        assert_eq!(record.check(&claim(&own, b"key")), Ok(()));
        assert_eq!(record.check(&claim(&other, b"key")), Err(TokenRefusal::OtherHost(own.clone())));
        let late = TokenClaim { now: record.expires, ..claim(&own, b"key") };
        assert_eq!(record.check(&late), Err(TokenRefusal::Expired(record.expires)));
        record.revoked = Some(NOW);
        assert_eq!(record.check(&claim(&own, b"key")), Err(TokenRefusal::Revoked(NOW)));
        record.kind = TokenKind::Register;
        assert_eq!(record.check(&claim(&own, b"key")), Err(TokenRefusal::OtherKind(TokenKind::Register)));
    }

    #[test]
    fn a_token_is_used_for_one_key_per_profile() {
        let own = host("node-1");
        let mut record = record();
        let used = TokenUse { profile: Profile::KubeletClient, key: Fingerprint::of(b"key"), at: NOW };
        record.record_use(used.clone());
        record.record_use(used.clone());
        assert_eq!(record.uses.len(), 1);
        assert_eq!(record.check(&claim(&own, b"key")), Ok(()), "the answer may have been lost");
        assert_eq!(record.check(&claim(&own, b"another")), Err(TokenRefusal::Used(used)));
        let serving = TokenClaim { profile: Profile::KubeletServer, ..claim(&own, b"another") };
        assert_eq!(record.check(&serving), Ok(()), "a host has two keys");
    }

    #[test]
    fn a_token_may_be_bound_to_an_address_and_a_key() {
        let own = host("node-1");
        let mut record = record();
        record.source = Source::parse("10.20.0.0/16");
        let from = |ip: &str| TokenClaim { source: ip.parse().ok(), ..claim(&own, b"key") };
        assert_eq!(record.check(&from("10.20.4.1")), Ok(()));
        assert_eq!(record.check(&from("::ffff:10.20.4.1")), Ok(()));
        assert!(matches!(record.check(&from("10.21.4.1")), Err(TokenRefusal::OtherSource { .. })));
        assert!(matches!(record.check(&claim(&own, b"key")), Err(TokenRefusal::OtherSource { found: None, .. })));
        record.source = Source::parse("10.20.4.1");
        assert_eq!(record.check(&from("10.20.4.1")), Ok(()));
        (record.source, record.key) = (None, Some(Fingerprint::of(b"key")));
        assert_eq!(record.check(&claim(&own, b"key")), Ok(()));
        let refused = record.check(&claim(&own, b"another"));
        assert_eq!(refused, Err(TokenRefusal::OtherKey(Fingerprint::of(b"key"))));
        assert_eq!(Source::parse("node-1"), None);
    }

    #[test]
    fn a_bearer_token_has_the_form_of_kubernetes() {
        let token = Token::generate(TokenKind::Bearer).expect("a token");
        assert_eq!((token.id.len(), token.secret.expose().len()), (6, 16));
        assert_eq!(Token::parse(&format!(" {}\n", *token.to_text())), Ok(token));
        for wrong in
            ["", "abcdef", "abcdef.", "ABCDEF.0123456789abcdef", "abc.0123456789abcdef", "abcdef.0123456789abcde"]
        {
            assert_eq!(Token::parse(wrong), Err(NotAToken), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,100}") {
            if let Ok(token) = Token::parse(&text) {
                let written = token.to_text();
                prop_assert_eq!(written.as_str(), text.trim());
            }
        }
    }
}
