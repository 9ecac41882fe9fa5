//! Describes a certificate.

use serde_json::json;

use super::card::{Card, validity};
use super::context::{ExplainContext, IssuerCertificate, LedgerEntry};
use crate::cluster::duration::stamp;
use crate::pki::certificate::{Certificate, SignatureStatus, SubjectAltName};
use crate::pki::lint::{ca_violations, general_violations, leaf_violations, root_violations};

/// Adds subject alternative names.
pub(super) fn names(card: Card, names: &[SubjectAltName]) -> Card {
    let of = |wanted: fn(&SubjectAltName) -> Option<String>| names.iter().filter_map(wanted).collect::<Vec<_>>();
    let text: Vec<String> = names.iter().map(SubjectAltName::with_its_kind).collect();
    card.line("names", if text.is_empty() { "none".to_owned() } else { text.join(", ") })
        .data(
            "dnsNames",
            of(|name| match name {
                SubjectAltName::Dns(dns) => Some(dns.clone()),
                _ => None,
            }),
        )
        .data(
            "ipAddresses",
            of(|name| match name {
                SubjectAltName::Ip(ip) => Some(ip.to_string()),
                _ => None,
            }),
        )
        .data(
            "otherNames",
            of(|name| match name {
                SubjectAltName::Other(other) => Some(other.clone()),
                _ => None,
            }),
        )
}

/// Returns the card of a certificate in the file `place`.
pub(super) fn card(certificate: &Certificate, place: &str, context: &ExplainContext<'_>) -> Card {
    let is_ca = certificate.basic_constraints.is_some_and(|bc| bc.ca);
    let card = Card::new(if is_ca { "CA certificate" } else { "certificate" });
    let card =
        card.fact("subject", "subject", &certificate.subject.text).data("issuer", certificate.issuer.text.as_str());
    let card = names(account(card, certificate, is_ca), &certificate.names);
    let usages = usages(certificate);
    let card = card
        .line("usages", if usages.is_empty() { "not limited".to_owned() } else { usages.join(", ") })
        .data("usages", usages)
        .data("isCa", is_ca)
        .data("pathLength", certificate.basic_constraints.and_then(|bc| bc.path_len))
        .line("valid", validity(certificate.not_before, certificate.not_after, context.now))
        .data("notBefore", stamp(certificate.not_before))
        .data("notAfter", stamp(certificate.not_after))
        .fact("key", "key", certificate.key.to_string())
        .fact("signature", "signatureAlgorithm", certificate.signature_name())
        .fact("serial", "serial", certificate.serial.to_string())
        .fact("fingerprint", "fingerprint", certificate.fingerprint().to_string())
        .fact("pin", "pin", certificate.spki_fingerprint().as_pin())
        .data("hasKey", context.has_key_of(certificate));
    judged(card, certificate, place, is_ca, context)
}

/// Adds the signer, the problems and the revocation of a certificate.
fn judged(card: Card, certificate: &Certificate, place: &str, is_ca: bool, context: &ExplainContext<'_>) -> Card {
    let itself = certificate.is_self_issued() && certificate.is_signed_by(certificate);
    let signer = context.signer_of(certificate).filter(|_| !itself);
    let mut card = card.data("selfSigned", itself).data(
        "signedBy",
        signer.as_ref().map(|signer| {
            json!({ "subject": signer.certificate.subject.text, "fingerprint": signer.certificate.fingerprint().to_string(),
                    "file": signer.place })
        }),
    );
    card = match &signer {
        _ if itself => card.line("signed by", "itself"),
        Some(signer) => {
            let file = if signer.place == place { "this file" } else { signer.place };
            card.line("signed by", format!("{} ( {file} )", signer.certificate.subject.text))
        }
        None => {
            let why = match context.named_issuer_of(certificate) {
                Some(_) if certificate.is_self_issued() => String::new(),
                Some(known) => match certificate.signed_by(known.certificate) {
                    SignatureStatus::Unverifiable(reason) => format!(" ({reason})"),
                    _ => " (not by the certificate of that name that is known here)".to_owned(),
                },
                None if context.roots.is_empty() => " (its certificate was not given)".to_owned(),
                None => " (no root of this directory, and its certificate was not given)".to_owned(),
            };
            card.line("signed by", format!("{}{why}", certificate.issuer.text))
        }
    };
    let wanted = context.required_spec(certificate);
    let of_a_root = |signer: &IssuerCertificate<'_>| {
        context.roots.iter().any(|(_, root)| root.fingerprint() == signer.certificate.fingerprint())
    };
    let violations = match (&wanted, &signer) {
        _ if certificate.is_self_issued() && (itself || is_ca) => root_violations(certificate, context.now),
        _ if is_ca => ca_violations(certificate, context.now),
        (Some((spec, cluster)), Some(signer)) if !is_ca && of_a_root(signer) => {
            leaf_violations(certificate, spec, cluster.keys, signer.certificate, context.now)
        }
        _ => general_violations(certificate, context.now),
    };
    card.problems.extend(violations.iter().map(ToString::to_string));
    if let Some(host) = context.removed_host_of(certificate) {
        let text = format!("its host {host} is not in the cluster file: it left the cluster");
        card = card.data("hostLeft", true).problem(text);
    }
    let named = certificate.names.iter().any(|name| matches!(name, SubjectAltName::Dns(_) | SubjectAltName::Ip(_)));
    if !is_ca && !named && certificate.has_extended_usage("serverAuth") {
        card = card.problem("no names: clients ignore a server's CN (Go 1.15 and later)");
    }
    revocation(card, certificate, signer.as_ref().map(|signer| signer.certificate), context)
}

fn revocation(
    card: Card,
    certificate: &Certificate,
    signer: Option<&Certificate>,
    context: &ExplainContext<'_>,
) -> Card {
    if let Some(crl) = signer.and_then(|signer| context.crl_that_revokes(certificate, signer)) {
        let text = format!("it is revoked: its serial number is in the CRL of {}", stamp(crl.this_update));
        return card.data("revoked", true).problem(text);
    }
    let has_crl = signer.is_some_and(|signer| context.has_crl_of(signer));
    match context.ledger.map(|ledger| ledger(certificate.fingerprint())) {
        Some(Ok(Some(LedgerEntry { revocation: Some(revocation), .. }))) => card
            .data("revoked", true)
            .data("revokedAt", stamp(revocation.at))
            .data("revocationReason", revocation.reason)
            .problem(revocation.text),
        Some(Err(error)) => {
            card.data("revoked", json!(null)).problem(format!("its revocation status is unknown: {error}"))
        }
        Some(Ok(_)) => card.data("revoked", false),
        None if has_crl => card.data("revoked", false),
        None => card.data("revoked", json!(null)),
    }
}

/// Adds the account that Kubernetes takes from a client certificate. A CA certificate authenticates no client.
fn account(card: Card, certificate: &Certificate, is_ca: bool) -> Card {
    // A certificate without an extended key usage is valid for every usage (RFC 5280 § 4.2.1.12).
    let client = certificate.extended_key_usage.is_none()
        || certificate.has_extended_usage("clientAuth")
        || certificate.has_extended_usage("anyExtendedKeyUsage");
    if is_ca || !client {
        let card = card.data("user", json!(null)).data("groups", json!([]));
        return if is_ca {
            card
        } else {
            card.line("account", "none: it has no clientAuth, so it identifies no client")
        };
    }
    let user = certificate.account().user;
    let mut groups = certificate.subject.organizations.clone();
    let card = card.data("user", user.as_str()).data("groups", json!(groups));
    groups.push("system:authenticated".to_owned());
    card.line("account", format!("user {user}, groups {}", groups.join(", ")))
}

fn usages(certificate: &Certificate) -> Vec<String> {
    let mut usages = certificate.extended_key_usage.clone().unwrap_or_default();
    if let Some(bits) = certificate.key_usage {
        let named = [
            (bits.digital_signature, "digitalSignature"),
            (bits.cert_sign, "keyCertSign"),
            (bits.crl_sign, "cRLSign"),
            (bits.others, "others"),
        ];
        usages.extend(named.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()));
    }
    usages
}
