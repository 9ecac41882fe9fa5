//! Describes an item of a file.

use serde_json::json;

use super::card::Card;
use super::certificate;
use super::context::ExplainContext;
use super::file_item::FileItem;
use crate::cluster::duration::{in_words, stamp};
use crate::pki::certificate::{SignatureKind, SignatureStatus};
use crate::pki::crl::Crl;
use crate::pki::key_facts::KeyFacts;
use crate::pki::request::CertificateRequest;

impl FileItem {
    /// Returns the card of the item; `place` is its file.
    #[must_use]
    pub fn card(&self, place: &str, context: &ExplainContext<'_>) -> Card {
        match self {
            Self::Certificate(found, remark) => certificate::card(found, place, context).problem_if_any(*remark),
            Self::Key(facts, remark) => key_card(facts, place, context).problem_if_any(*remark),
            Self::EncryptedKey => Card::new("encrypted private key")
                .data("encrypted", true)
                .line("kind", "cannot be read without its passphrase"),
            Self::Request(request) => request_card(request),
            Self::Crl(crl) => crl_card(crl, place, context),
            Self::PublicKey(pin) => Card::new("public key").fact("fingerprint", "pin", pin.as_pin()),
            Self::Damaged { kind, reason } => Card::damaged(kind, reason),
        }
    }
}

fn key_card(facts: &KeyFacts, place: &str, context: &ExplainContext<'_>) -> Card {
    let card = Card::new("private key").fact("kind", "key", &facts.kind);
    let Some(pin) = facts.fingerprint else { return card };
    let mut card = card.fact("public key", "pin", pin.as_pin());
    let holders = context.certificates_of_key(pin);
    let subjects: Vec<&str> = holders.iter().map(|(_, certificate)| certificate.subject.text.as_str()).collect();
    card = card.data("belongsTo", json!(subjects));
    for (file, certificate) in holders {
        let which = if file == place { "this file".to_owned() } else { file.clone() };
        card = card.line("belongs to", format!("{} ( {which} )", certificate.subject.text));
    }
    match context.is_unmatched_key(pin) {
        true => card.problem("the private key belongs to none of the certificates given"),
        false => card,
    }
}

fn request_card(request: &CertificateRequest) -> Card {
    let card = Card::new("certificate signing request").fact("subject", "subject", &request.subject.text);
    let card = certificate::names(card, &request.names)
        .fact("key", "key", request.key.to_string())
        .fact("public key", "pin", request.spki_fingerprint.as_pin())
        // null if it cannot be verified here.
        .data(
            "signatureValid",
            match request.signed_by_itself {
                SignatureStatus::Valid => Some(true),
                SignatureStatus::Invalid => Some(false),
                SignatureStatus::Unverifiable(_) => None,
            },
        );
    match &request.signed_by_itself {
        SignatureStatus::Valid => card,
        SignatureStatus::Invalid => card.problem("it is not signed with its own key, so it proves no possession"),
        SignatureStatus::Unverifiable(why) => card.problem(format!("whether it proves possession is not known: {why}")),
    }
}

fn crl_card(crl: &Crl, place: &str, context: &ExplainContext<'_>) -> Card {
    let now = context.now;
    let overdue = crl.next_update.filter(|next| now > *next);
    let next = match crl.next_update {
        None => "none named".to_owned(),
        Some(next) if now > next => format!("{} (overdue since {})", stamp(next), in_words(now - next)),
        Some(next) => format!("{} (in {})", stamp(next), in_words(next - now)),
    };
    let serials: Vec<String> = crl.serials.iter().map(ToString::to_string).collect();
    let signer = context.signer_of_crl(crl);
    let signature = match crl.signature {
        SignatureKind::Strong(name) | SignatureKind::WeakHash(name) => name,
        SignatureKind::Unknown => "of an unknown kind",
    };
    let mut card = Card::new("certificate revocation list")
        .fact("issuer", "issuer", &crl.issuer.text)
        .fact("this update", "thisUpdate", stamp(crl.this_update))
        .data("nextUpdate", crl.next_update.map(stamp))
        .line("next update", next)
        .data("overdue", overdue.is_some())
        .data("number", crl.number)
        .line("number", crl.number.map_or_else(|| "none".to_owned(), |number| number.to_string()))
        .data("revokedCount", crl.serials.len())
        .line("revoked", format!("{} serial numbers", crl.serials.len()))
        .data("revokedSerials", serials)
        .fact("signature", "signatureAlgorithm", signature)
        .data("signedBy", signer.as_ref().map(|signer| signer.certificate.subject.text.clone()));
    card = match &signer {
        Some(signer) => {
            let file = if signer.place == place { "this file" } else { signer.place };
            card.line("signed by", format!("{} ( {file} )", signer.certificate.subject.text))
        }
        None => match context.named_issuers_of_crl(crl).map(|named| crl.signed_by(named)).max() {
            Some(SignatureStatus::Unverifiable(why)) => {
                card.problem(format!("whether its issuer signed it is not known: {why}"))
            }
            Some(_) => card.problem("it names a known CA as its issuer, but that CA's key did not sign it"),
            None => card.line("signed by", format!("{} (its certificate was not given)", crl.issuer.text)),
        },
    };
    if let Some(next) = overdue {
        card = card.problem(format!("it is overdue: its next update was due {} ago", in_words(now - next)));
    }
    if crl.next_update.is_none() {
        card = card.problem("it has no next update, so an old one cannot be detected");
    }
    if now < crl.this_update {
        card = card.problem(format!("it begins in {}", in_words(crl.this_update - now)));
    }
    if let SignatureKind::WeakHash(hash) = crl.signature {
        card = card.problem(format!("its signature is too weak: {hash}"));
    }
    card
}
