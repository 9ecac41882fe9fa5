//! Describes a bundle and its certificates.

use serde_json::json;

use super::card::Card;
use super::context::ExplainContext;
use super::file_item::{self, FileItem};
use crate::bundle::model::Bundle;
use crate::bundle::signature::{self, SignatureError};
use crate::cluster::duration::{in_words, stamp};

/// A bundle with the parsed content of its certificate files.
pub struct ReadBundle {
    bundle: Bundle,
    items: Vec<FileItem>,
}

impl ReadBundle {
    /// Parses the certificates of a bundle.
    #[must_use]
    pub fn of(bundle: Bundle) -> Self {
        let certificates = bundle.files.iter().filter(|file| file.path.ends_with(".crt"));
        let items = certificates.flat_map(|file| file_item::read(&file.bytes).unwrap_or_default()).collect();
        Self { bundle, items }
    }

    /// Returns the bundle.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Adds its certificates to the context.
    pub fn add_to(&self, place: &str, context: &mut ExplainContext<'_>) {
        context.add(place, &self.items);
    }

    /// Returns the bundle's card and those of its certificates.
    #[must_use]
    pub fn cards(&self, place: &str, context: &ExplainContext<'_>) -> Vec<Card> {
        let Self { bundle, items } = self;
        let manifest = &bundle.manifest;
        let roles: Vec<&str> = manifest.roles.iter().map(|role| role.as_str()).collect();
        let files: Vec<_> = bundle
            .files
            .iter()
            .map(|file| json!({ "path": file.path, "mode": format!("{:04o}", file.mode) }))
            .collect();
        let mut card = Card::new("bundle of clusterctl")
            .fact("cluster", "cluster", manifest.cluster.to_string())
            .data("host", manifest.host.to_string())
            .data("roles", roles.clone())
            .line("host", format!("{} ({})", manifest.host, roles.join(" and ")))
            .fact("account", "account", &manifest.account)
            .fact("endpoint", "endpoint", manifest.endpoint.to_string())
            .fact("root's pin", "rootPin", manifest.root_pin.as_pin())
            .line("valid", format!("{} to {}", stamp(manifest.not_before), stamp(manifest.not_after)))
            .data("notBefore", stamp(manifest.not_before))
            .data("notAfter", stamp(manifest.not_after))
            .data("generation", manifest.generation)
            .line("generation", manifest.generation.to_string())
            .data("files", files);
        card = match signature::found(bundle) {
            Ok(signature) => card
                .data("signedWith", signature.fingerprint())
                .line("signed by", format!("{} ({})", signature.fingerprint(), signature.kind())),
            Err(SignatureError::Unsigned) => card.data("signedWith", json!(null)).line("signature", "none"),
            Err(error) => card.problem(format!("its signature is not valid: {error}")),
        };
        for file in &bundle.files {
            card = card.line("file", format!("{:04o} {}", file.mode, file.path));
        }
        if context.now > manifest.not_after {
            let ago = in_words(context.now - manifest.not_after);
            card = card.problem(format!("its certificates expired {ago} ago"));
        }
        if let Some((_, root)) = context.roots.first()
            && root.spki_fingerprint() != manifest.root_pin
        {
            card = card.problem("it trusts another root than this directory's");
        }
        std::iter::once(card).chain(items.iter().map(|item| item.card(place, context))).collect()
    }
}
