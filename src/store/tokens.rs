//! The file of one-time tokens, readable only by its owner: `pki/tokens.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::error::StoreError;
use super::files;
use super::layout::Layout;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::cluster::profile::TABLE;
use crate::enrol::token::{Source, Token, TokenKind, TokenRecord, TokenUse};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::mac::MacSecret;

/// The largest file, in bytes: room for 20,000 tokens.
const LIMIT: u64 = 16 << 20;
const API_VERSION: &str = "clusterctl/v1";
/// Expired and revoked tokens are kept for this time.
const KEPT: Duration = Duration::days(90);

/// The tokens of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens(Vec<TokenRecord>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    api_version: String,
    kind: String,
    tokens: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    secret: Zeroizing<String>,
    kind: TokenKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Fingerprint>,
    created: String,
    expires: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
    #[serde(default)]
    uses: Vec<Use>,
}

#[derive(Serialize, Deserialize)]
struct Use {
    profile: String,
    key: Fingerprint,
    at: String,
}

impl Tokens {
    /// Returns the token with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&TokenRecord> {
        self.0.iter().find(|record| record.token.id == id)
    }

    /// Returns the token with this id, to change it.
    pub fn find_mut(&mut self, id: &str) -> Option<&mut TokenRecord> {
        self.0.iter_mut().find(|record| record.token.id == id)
    }

    /// Returns all tokens, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = &TokenRecord> {
        self.0.iter()
    }

    /// Adds a token, and removes those that expired or were revoked long ago.
    pub fn add(&mut self, record: TokenRecord) {
        let now = record.created;
        self.0.retain(|old| old.expires + KEPT > now);
        self.0.push(record);
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let file: File = serde_json::from_slice(bytes).ok()?;
        if file.api_version != API_VERSION {
            return None;
        }
        file.tokens.into_iter().map(Row::parse).collect::<Option<_>>().map(Self)
    }

    fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let tokens = self.0.iter().map(Row::of).collect();
        let file = File { api_version: API_VERSION.to_owned(), kind: "Tokens".to_owned(), tokens };
        // Texts always have a JSON form.
        Zeroizing::new(serde_json::to_vec_pretty(&file).unwrap_or_default())
    }
}

impl Row {
    fn of(record: &TokenRecord) -> Self {
        let used =
            |one: &TokenUse| Use { profile: one.profile.policy().name.to_owned(), key: one.key, at: stamp(one.at) };
        Self {
            id: record.token.id.clone(),
            secret: Zeroizing::new(record.token.secret.expose().to_owned()),
            kind: record.kind,
            host: record.host.as_ref().map(ToString::to_string),
            source: record.source.as_ref().map(ToString::to_string),
            key: record.key,
            created: stamp(record.created),
            expires: stamp(record.expires),
            revoked: record.revoked.map(stamp),
            uses: record.uses.iter().map(used).collect(),
        }
    }

    fn parse(self) -> Option<TokenRecord> {
        let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
        let used = |one: Use| {
            let profile = TABLE.iter().find(|row| row.name == one.profile)?.profile;
            Some(TokenUse { profile, key: one.key, at: time(&one.at)? })
        };
        let host = self.host.map(|host| HostName::parse(&host).ok());
        let source = self.source.map(|source| Source::parse(&source));
        let revoked = self.revoked.map(|at| time(&at));
        // A value that cannot be read must not be treated like a missing one.
        if host.as_ref().is_some_and(Option::is_none)
            || source.as_ref().is_some_and(Option::is_none)
            || revoked.is_some_and(|at| at.is_none())
        {
            return None;
        }
        Some(TokenRecord {
            token: Token { id: self.id, secret: MacSecret::new(self.secret.to_string()) },
            kind: self.kind,
            host: host.flatten(),
            source: source.flatten(),
            key: self.key,
            created: time(&self.created)?,
            expires: time(&self.expires)?,
            revoked: revoked.flatten(),
            uses: self.uses.into_iter().map(used).collect::<Option<_>>()?,
        })
    }
}

/// Reads the tokens of a cluster directory; none if there is no file.
///
/// # Errors
/// Returns the errors of [`read_file`].
pub fn read(layout: &Layout) -> Result<Tokens, StoreError> {
    match read_file(&layout.tokens()) {
        Err(StoreError::Missing(_)) => Ok(Tokens::default()),
        other => other,
    }
}

/// Reads a file of tokens.
///
/// # Errors
/// Returns an error if it does not exist, is damaged, or cannot be read.
pub fn read_file(path: &Path) -> Result<Tokens, StoreError> {
    let bytes = Zeroizing::new(files::read(path, LIMIT)?);
    Tokens::parse(&bytes).ok_or_else(|| StoreError::InTheWay(path.to_owned()))
}

/// Changes the tokens of a cluster directory. The caller holds its lock.
///
/// # Errors
/// Returns an error if the file cannot be read or written. Then nothing is changed.
pub fn update<T>(layout: &Layout, change: impl FnOnce(&mut Tokens) -> T) -> Result<T, StoreError> {
    let mut tokens = read(layout)?;
    let before = tokens.clone();
    let result = change(&mut tokens);
    if tokens != before {
        files::replace(&layout.tokens(), &tokens.to_json(), files::PRIVATE)?;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::profile::Profile;
    use proptest::prelude::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00 UTC);

    fn record(kind: TokenKind) -> TokenRecord {
        TokenRecord {
            token: Token::generate(kind).expect("a token"),
            kind,
            host: HostName::parse("node-1").ok(),
            source: Source::parse("10.20.0.0/16"),
            key: Some(Fingerprint::of(b"key")),
            created: NOW,
            expires: NOW + Duration::HOUR,
            revoked: Some(NOW),
            uses: vec![TokenUse { profile: Profile::KubeletServer, key: Fingerprint::of(b"key"), at: NOW }],
        }
    }

    #[test]
    fn tokens_are_read_as_they_were_written_and_only_by_their_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(folder.path().to_owned());
        files::create_folder(&layout.pki()).expect("created");
        assert_eq!(read(&layout), Ok(Tokens::default()));
        let (join, bearer) = (record(TokenKind::Join), record(TokenKind::Bearer));
        update(&layout, |tokens| {
            tokens.add(join.clone());
            tokens.add(bearer.clone());
        })
        .expect("written");
        let tokens = read(&layout).expect("read");
        assert_eq!(tokens.find(&join.token.id), Some(&join));
        assert_eq!(tokens.all().collect::<Vec<_>>(), [&join, &bearer]);
        assert_eq!(files::mode(&layout.tokens()), Ok(0o600));
        let later = TokenRecord { created: NOW + KEPT * 2, expires: NOW + KEPT * 3, ..record(TokenKind::Join) };
        update(&layout, |tokens| tokens.add(later)).expect("written");
        assert_eq!(read(&layout).expect("read").all().count(), 1, "ended tokens are dropped");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(Tokens::parse(&bytes), None);
        }
    }
}
