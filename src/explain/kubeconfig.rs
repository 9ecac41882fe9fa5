//! Describes a kubeconfig and the files that it refers to.

use std::path::Path;

use zeroize::Zeroizing;

use super::card::Card;
use super::context::ExplainContext;
use super::file_item::{self, FileItem};
use crate::config::kubeconfig::{ContextError, Credential, KubeUser, Kubeconfig};
use crate::pki::material::MaterialError;

/// A kubeconfig with the certificates and keys that it contains or refers to.
pub struct ReadKubeconfig {
    config: Kubeconfig,
    parts: Vec<Part>,
}

/// The path of a file, and its content or the reason why it cannot be read.
pub type Opened = (String, Result<Vec<u8>, PartError>);

/// Errors of reading a field of a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// The file that it names does not exist.
    #[error("{0}")]
    Missing(String),
    /// The file that it names cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The content has no certificate and no key.
    #[error("{0}")]
    Content(String),
}

/// The content of a field of a kubeconfig: embedded data, or the file that the field names.
pub struct Part {
    /// The cluster's or user's name.
    pub of: String,
    /// The field.
    pub field: Field,
    /// The file that contains it; for embedded data, the kubeconfig.
    pub place: String,
    /// Whether it is embedded in the kubeconfig.
    pub is_embedded: bool,
    /// The parsed items, or the reason why they cannot be read.
    pub items: Result<Vec<FileItem>, PartError>,
}

/// A field of a kubeconfig that has or names a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A cluster's CA.
    Ca,
    /// A user's certificate.
    Certificate,
    /// A user's key.
    Key,
}

/// Resolves the references of `config`. `open` reads a referenced file, and returns its path.
pub fn follow(config: Kubeconfig, place: &str, open: &dyn Fn(&Path) -> Opened) -> ReadKubeconfig {
    let mut parts = Vec::new();
    let mut follow = |of: &str, field, credential: &Option<Credential>| {
        let (place, bytes) = match credential {
            None => return,
            Some(Credential::Data(bytes)) => (place.to_owned(), Ok(bytes.to_vec())),
            Some(Credential::File(path)) => open(path),
        };
        let content = |error: MaterialError| PartError::Content(error.to_string());
        let items = bytes.map(Zeroizing::new).and_then(|bytes| file_item::read(&bytes).map_err(content));
        let is_embedded = matches!(credential, Some(Credential::Data(_)));
        parts.push(Part { of: of.to_owned(), field, place, is_embedded, items });
    };
    for cluster in &config.clusters {
        follow(&cluster.name, Field::Ca, &cluster.ca);
    }
    for user in &config.users {
        follow(&user.name, Field::Certificate, &user.certificate);
        follow(&user.name, Field::Key, &user.key);
    }
    ReadKubeconfig { config, parts }
}

/// The problem of an encrypted key.
const ENCRYPTED: &str = "the key is encrypted, and client-go cannot decrypt it";

/// Returns why client-go cannot use the content of a field; `None` if it can.
///
/// client-go reads the first certificate and the first key of a user (`tls.X509KeyPair`), and needs one readable
/// certificate of a cluster's CAs (`AppendCertsFromPEM`).
#[must_use]
pub fn unusable(field: Field, items: &[FileItem]) -> Option<String> {
    let mut candidates = items.iter().filter_map(|item| match (field, item) {
        (Field::Ca | Field::Certificate, FileItem::Certificate(_, None)) => Some(None),
        (Field::Ca | Field::Certificate, FileItem::Certificate(_, Some(remark))) => Some(Some((*remark).to_owned())),
        (Field::Ca | Field::Certificate, FileItem::Damaged { kind: kind @ "certificate", reason }) => {
            Some(Some(format!("a {kind} in it is damaged: {reason}")))
        }
        (Field::Key, FileItem::Key(_, Some(remark))) => Some(Some((*remark).to_owned())),
        (Field::Key, FileItem::Key(facts, None)) => {
            Some(facts.is_damaged().then(|| format!("the key is {}", facts.kind)))
        }
        (Field::Key, FileItem::EncryptedKey) => Some(Some(ENCRYPTED.to_owned())),
        _ => None,
    });
    let first = candidates.next();
    match (field, first) {
        (Field::Ca, Some(Some(_))) if candidates.any(|problem| problem.is_none()) => None,
        (_, Some(problem)) => problem,
        (Field::Key, None) => Some("there is no private key in it".to_owned()),
        (_, None) => Some("there is no certificate in it".to_owned()),
    }
}

impl Field {
    /// Returns the field's name, embedded or not.
    #[must_use]
    pub fn name(self, is_embedded: bool) -> &'static str {
        match (self, is_embedded) {
            (Self::Ca, false) => "certificate-authority",
            (Self::Ca, true) => "certificate-authority-data",
            (Self::Certificate, false) => "client-certificate",
            (Self::Certificate, true) => "client-certificate-data",
            (Self::Key, false) => "client-key",
            (Self::Key, true) => "client-key-data",
        }
    }
}

impl ReadKubeconfig {
    /// Adds its certificates and keys to the context.
    pub fn add_to(&self, context: &mut ExplainContext<'_>) {
        for part in &self.parts {
            if let Ok(items) = &part.items {
                context.add(&part.place, items);
            }
        }
    }

    /// Returns the parsed kubeconfig.
    #[must_use]
    pub fn config(&self) -> &Kubeconfig {
        &self.config
    }

    /// Returns the content of its fields: CAs, then certificates and keys of users.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns the kubeconfig's card and those of its certificates.
    #[must_use]
    pub fn cards(&self, context: &ExplainContext<'_>) -> Vec<Card> {
        let config = &self.config;
        let mut card = Card::new("kubeconfig")
            .data("currentContext", config.current_context.clone())
            .line("context", config.current_context.clone().unwrap_or_else(|| "none".to_owned()));
        let dangling = config.resolve(None).err().filter(|why| !matches!(why, ContextError::NoneChosen));
        card = card.problem_if_any(dangling.map(|why| why.to_string()));
        let servers: Vec<&str> = config.clusters.iter().map(|cluster| cluster.server.as_str()).collect();
        let users: Vec<&str> = config.users.iter().map(|user| user.name.as_str()).collect();
        card = card.data("servers", servers).data("users", users);
        for cluster in &config.clusters {
            card = card.line("server", format!("{} ({})", cluster.server, cluster.name));
            if !cluster.location().starts_with("https://") {
                card = card.problem(format!("{} is not https, so the server is not authenticated", cluster.server));
            }
            if cluster.insecure {
                card = card.problem("insecure-skip-tls-verify: the server is not authenticated");
            }
            card = match &cluster.ca {
                Some(ca) => card.line("trusts", self.where_is(ca, &cluster.name, Field::Ca)),
                None => {
                    card.problem(format!("{}: no certificate authority, so the system's are trusted", cluster.name))
                }
            };
        }
        for user in &config.users {
            card = card.line("user", user.name.clone());
            if let Some(certificate) = &user.certificate {
                card = card.line("certificate", self.where_is(certificate, &user.name, Field::Certificate));
            }
            if let Some(key) = &user.key {
                card = card.line("key", self.where_is(key, &user.name, Field::Key));
            }
            for other in &user.others {
                card = card.problem(format!("user {} also authenticates by {other}", user.name));
            }
            card = card.problem_if_any(self.mismatch(&user.name));
        }
        for part in &self.parts {
            if let (Field::Key, Err(reason)) = (part.field, &part.items) {
                card = card.problem(format!("the key of user {} cannot be read: {reason}", part.of));
            }
        }
        let mut cards = vec![card];
        for part in self.parts.iter().filter(|part| part.field != Field::Key) {
            match &part.items {
                Ok(items) => cards.extend(items.iter().map(|item| item.card(&part.place, context))),
                Err(reason) => cards.push(Card::new("certificate").problem(reason.to_string())),
            }
        }
        cards
    }

    fn where_is(&self, credential: &Credential, of: &str, field: Field) -> String {
        match credential {
            Credential::Data(_) => "embedded (a kubelet does not reload it)".to_owned(),
            Credential::File(path) => {
                let part = self.parts.iter().find(|part| part.of == of && part.field == field);
                part.map_or_else(|| path.display().to_string(), |part| part.place.clone())
            }
        }
    }

    /// Returns why requests of a user are anonymous, as far as they do not name another user; `None` if they are not.
    ///
    /// client-go sends no certificate unless it has a key, too, and none of them may be empty (`HasCertAuth`).
    #[must_use]
    pub fn anonymous(user: &KubeUser) -> Option<&'static str> {
        match (&user.certificate, &user.key, user.others.is_empty()) {
            (None, Some(_), true) => Some("it has a key and no client certificate, so that its requests are anonymous"),
            (None, None, true) if user.has_empty_field => {
                Some("its client certificate or key is empty, so that its requests are anonymous")
            }
            // A user may be anonymous on purpose: an API server's, for a webhook. A certificate without a key is refused.
            _ => None,
        }
    }

    /// Compares a user's certificate with the user's key.
    #[must_use]
    pub fn mismatch(&self, user: &str) -> Option<String> {
        let items = |field| {
            let part = self.parts.iter().find(|part| part.of == user && part.field == field)?;
            part.items.as_ref().ok()
        };
        let certificate = items(Field::Certificate)?.iter().find_map(|item| match item {
            FileItem::Certificate(certificate, _) => Some(certificate),
            _ => None,
        })?;
        let key = items(Field::Key)?.iter().find_map(|item| match item {
            FileItem::Key(facts, _) => facts.fingerprint,
            _ => None,
        })?;
        (key != certificate.spki_fingerprint()).then(|| {
            format!("the key of user {user} does not belong to its certificate ({})", certificate.subject.text)
        })
    }
}
