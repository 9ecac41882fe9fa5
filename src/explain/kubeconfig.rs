//! Describes a kubeconfig and the files that it refers to.

use std::path::Path;

use super::card::Card;
use super::context::ExplainContext;
use super::piece::{self, Piece};
use crate::config::kubeconfig::{ContextError, Credential, Kubeconfig};

/// A kubeconfig with the certificates and keys that it contains or refers to.
pub struct ReadKubeconfig {
    config: Kubeconfig,
    parts: Vec<Part>,
}

/// The path of a file, and its content or the reason why it cannot be read.
pub type Opened = (String, Result<Vec<u8>, String>);

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
    pub pieces: Result<Vec<Piece>, String>,
}

/// A certificate that a kubeconfig contains or refers to.
#[derive(Clone, Copy)]
pub struct CertificatePart<'a> {
    /// The user that it belongs to; `None` for a cluster's CA.
    pub user: Option<&'a str>,
    /// Whether it is embedded in the kubeconfig.
    pub is_embedded: bool,
    /// The parsed items, or the reason why they cannot be read.
    pub pieces: Result<&'a [Piece], &'a str>,
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
        let pieces = bytes.and_then(|bytes| piece::read(&bytes).map_err(|error| error.to_string()));
        let is_embedded = matches!(credential, Some(Credential::Data(_)));
        parts.push(Part { of: of.to_owned(), field, place, is_embedded, pieces });
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

impl ReadKubeconfig {
    /// Adds its certificates and keys to the context.
    pub fn add_to(&self, context: &mut ExplainContext<'_>) {
        for part in &self.parts {
            if let Ok(pieces) = &part.pieces {
                context.add(&part.place, pieces);
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

    /// Returns the certificates that it contains or refers to, those of CAs first.
    pub fn certificates(&self) -> impl Iterator<Item = CertificatePart<'_>> {
        self.parts.iter().filter(|part| part.field != Field::Key).map(|part| CertificatePart {
            user: (part.field == Field::Certificate).then_some(part.of.as_str()),
            is_embedded: part.is_embedded,
            pieces: part.pieces.as_deref().map_err(String::as_str),
        })
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
            if let (Field::Key, Err(reason)) = (part.field, &part.pieces) {
                card = card.problem(format!("the key of user {} cannot be read: {reason}", part.of));
            }
        }
        let mut cards = vec![card];
        for part in self.parts.iter().filter(|part| part.field != Field::Key) {
            match &part.pieces {
                Ok(pieces) => cards.extend(pieces.iter().map(|piece| piece.card(&part.place, context))),
                Err(reason) => cards.push(Card::new("certificate").problem(reason)),
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

    /// Compares a user's certificate with the user's key.
    fn mismatch(&self, user: &str) -> Option<String> {
        let pieces = |field| {
            let part = self.parts.iter().find(|part| part.of == user && part.field == field)?;
            part.pieces.as_ref().ok()
        };
        let certificate = pieces(Field::Certificate)?.iter().find_map(|piece| match piece {
            Piece::Certificate(certificate, _) => Some(certificate),
            _ => None,
        })?;
        let key = pieces(Field::Key)?.iter().find_map(|piece| match piece {
            Piece::Key(facts, _) => facts.fingerprint,
            _ => None,
        })?;
        (key != certificate.spki_fingerprint()).then(|| {
            format!("the key of user {user} does not belong to its certificate ({})", certificate.subject.text)
        })
    }
}
