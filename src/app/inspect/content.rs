//! Reads the content of a file by its kind.

use std::path::Path;

use super::error::{InspectError, Unreadable};
use crate::app::package::reader;
use crate::bundle::{encryption, format};
use crate::config::kubeconfig::{self, KubeconfigError};
use crate::explain::bundle::ReadBundle;
use crate::explain::card::Card;
use crate::explain::context::ExplainContext;
use crate::explain::file_item::{self, FileItem};
use crate::explain::kubeconfig::{PartError, ReadKubeconfig, follow};
use crate::pki::material::{self, MaterialError};
use crate::store::error::StoreError;
use crate::store::files;

/// The largest file that is read, in bytes.
pub(in crate::app) const LIMIT: u64 = 16 * 1024 * 1024;

/// Reads a file that a kubeconfig names, and returns its place and its bytes.
pub(super) type Opener<'o> = &'o dyn Fn(&Path) -> (String, Result<Vec<u8>, PartError>);

/// The content of a file.
pub(in crate::app) enum Content {
    Items(Vec<FileItem>),
    Kubeconfig(ReadKubeconfig),
    Bundle(Box<ReadBundle>),
    /// The kinds of recipients of an encrypted file.
    Encrypted(Vec<String>),
}

impl Content {
    /// Reads a bundle that is a folder.
    pub(super) fn of_bundle_folder(path: &Path) -> Result<Self, InspectError> {
        let bundle = reader::read(path)
            .map_err(|error| InspectError::Unreadable { path: path.to_owned(), reason: Unreadable::Bundle(error) })?;
        Ok(Self::Bundle(Box::new(ReadBundle::of(bundle))))
    }

    /// Reads the bytes of the file at `path`.
    pub(in crate::app) fn of_file(path: &Path, bytes: &[u8]) -> Result<Self, InspectError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let open = |named: &Path| {
            let path = folder.join(named);
            let reason = |error| match error {
                StoreError::Missing(_) => PartError::Missing(error.to_string()),
                other => PartError::Unreadable(other.to_string()),
            };
            (path.display().to_string(), files::read(&path, LIMIT).map_err(reason))
        };
        Self::parse(&path.display().to_string(), bytes, &open)
            .map_err(|reason| InspectError::Unreadable { path: path.to_owned(), reason })
    }

    /// Reads the bytes of a file. `open` reads a file that a kubeconfig names.
    pub(super) fn parse(place: &str, bytes: &[u8], open: Opener<'_>) -> Result<Self, Unreadable> {
        if encryption::is_encrypted(bytes) {
            return encryption::recipients(bytes).map(Self::Encrypted).map_err(Unreadable::Encrypted);
        }
        if reader::looks_like_bundle(bytes) {
            return Ok(Self::Bundle(Box::new(ReadBundle::of(format::read(bytes)?))));
        }
        // A kubeconfig may contain PEM as text, which is an error in it and not another kind of file.
        let is_yaml = bytes.windows(11).any(|window| window == b"apiVersion:");
        if !is_yaml {
            match file_item::read(bytes) {
                Ok(items) => return Ok(Self::Items(items)),
                Err(MaterialError::Unknown) => {}
                Err(error) => return Err(Unreadable::Material(error)),
            }
        }
        let config = kubeconfig::read(bytes).map_err(|error| match error {
            // The parser's message would describe another kind of file.
            KubeconfigError::Shape(_) => {
                material::other_kind(bytes).map_or(Unreadable::UnknownKind, Unreadable::OtherKind)
            }
            other => Unreadable::Kubeconfig(other),
        })?;
        Ok(Self::Kubeconfig(follow(config, place, open)))
    }

    /// Adds this content to `context`, so that other items can be linked to it.
    pub(super) fn add_to(&self, place: &str, context: &mut ExplainContext<'_>) {
        match self {
            Self::Items(items) => context.add(place, items),
            Self::Kubeconfig(config) => config.add_to(context),
            Self::Bundle(bundle) => bundle.add_to(place, context),
            Self::Encrypted(_) => {}
        }
    }

    /// Returns the descriptions of everything in the file.
    pub(super) fn cards(&self, place: &str, context: &ExplainContext<'_>) -> Vec<Card> {
        match self {
            Self::Items(items) => items.iter().map(|item| item.card(place, context)).collect(),
            Self::Kubeconfig(config) => config.cards(context),
            Self::Bundle(bundle) => bundle.cards(place, context),
            Self::Encrypted(recipients) => {
                let card = Card::new("encrypted file")
                    .line("format", "age; only its recipients can decrypt it")
                    .data("format", "age")
                    .data("recipients", recipients.clone());
                vec![recipients.iter().fold(card, |card, recipient| card.line("recipient", recipient))]
            }
        }
    }
}

/// Endings of the names of files that have certificates or CRLs, in lower case.
const ENDINGS: [&str; 8] = ["crt", "cer", "pem", "der", "crl", "p12", "pfx", "kubeconfig"];

/// Returns true if the file at `path` is of a known kind, or looks like a damaged file of a known kind. In a folder,
/// files of other kinds are skipped, but an unreadable certificate must be reported.
pub(in crate::app) fn may_be_of_known_kind(path: &Path, bytes: &[u8]) -> bool {
    let has = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    // A script may contain lines of PEM, and so does the list of the CAs of a cluster directory.
    let is_list_of_cas = path.file_name().is_some_and(|name| name == "trust.json") && bytes.starts_with(b"{");
    if bytes.starts_with(b"#!") || is_list_of_cas {
        return false;
    }
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
        || has(b"-----BEGIN")
        || is_utf16(bytes)
        // DER of more than 127 bytes begins with a SEQUENCE and its length in one to four bytes (X.690, 8.1.3.5).
        || matches!(bytes, [0x30, 0x81..=0x84, ..])
        || encryption::is_encrypted(bytes)
        || reader::looks_like_bundle(bytes)
        || file_item::read(bytes).is_ok()
        || (has(b"clusters:") && has(b"users:"))
}

/// Returns true for text with a byte order mark of UTF-16 that has PEM or a kubeconfig in it.
fn is_utf16(bytes: &[u8]) -> bool {
    let ([0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..]) = bytes else { return false };
    let text: Vec<u8> = rest.iter().copied().filter(|byte| *byte != 0).collect();
    let has = |what: &[u8]| text.windows(what.len()).any(|window| window == what);
    has(b"-----BEGIN") || has(b"clusters:")
}
