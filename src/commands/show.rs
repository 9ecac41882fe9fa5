//! `show`: any certificate, key, request, kubeconfig or bundle on one screen, ours or anybody's.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::context::{Context, read_given};
use super::output::OutputFormat;
use super::packing::parcels;
use crate::bundle::contents::Bundle;
use crate::bundle::format;
use crate::bundle::seal;
use crate::bundle::signature::{self, SignatureError};
use crate::cluster::profile::{Leaf, RootKind};
use crate::cluster::spec::Cluster;
use crate::cluster_file::kubeconfig::{self, Credential, Kubeconfig, KubeconfigError};
use crate::failure::{Exit, Failure, in_full};
use crate::pki::certificate::{Certificate, SignatureKind};
use crate::pki::inspect::{authority_flaws, general_flaws, in_words, leaf_flaws, root_flaws, stamp};
use crate::pki::key::KeyFacts;
use crate::pki::pem::{self, Item};
use crate::pki::request::CertificateRequest;
use crate::printable::printable_lines;
use crate::store::credentials::Trouble;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::store::roots;

/// Larger files are none of what we explain, in bytes.
const LIMIT: u64 = 16 * 1024 * 1024;

/// Explains certificates, keys (kind and fingerprint only), signing requests, kubeconfigs and bundles.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Files to explain
    #[arg(value_name = "FILE", required = true, value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// How to answer
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

/// Runs `show`.
///
/// # Errors
/// A usage error for a file that cannot be explained; the files before it are explained.
pub fn run(args: &ShowArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let around = Surroundings::of(context);
    let mut shown = Vec::new();
    for file in &args.files {
        let explained = explain(&context.path(file), &around)?;
        match args.output {
            OutputFormat::Human => context.screen.answer(human(file, &explained)),
            OutputFormat::Json => {
                shown.push(json!({ "file": file, "items": explained.iter().map(Card::json).collect::<Vec<_>>() }))
            }
        }
    }
    if args.output == OutputFormat::Json {
        let answer = json!({ "schemaVersion": 1, "files": shown });
        context.screen.answer(format_args!("{answer:#}"));
    }
    Ok(Exit::Done)
}

/// What the directory knows, for "signed by whom here". Everything is optional: `show` works anywhere.
struct Surroundings {
    roots: Vec<(PathBuf, Certificate)>,
    cluster: Option<Cluster>,
    ledger: Option<Ledger>,
    now: OffsetDateTime,
}

impl Surroundings {
    fn of(context: &Context<'_>) -> Self {
        let root = |kind| {
            let certificate = roots::certificate(&context.layout, kind).ok()?;
            Some((context.layout.root_certificate(kind), certificate))
        };
        let roots = RootKind::ALL.into_iter().filter_map(root).collect();
        let ledger = Ledger::open(&context.layout.ledger()).ok();
        Self { roots, cluster: context.cluster().ok(), ledger, now: context.now }
    }

    /// What the cluster file asks for under this certificate's account and usage.
    fn wanted(&self, certificate: &Certificate) -> Option<(Leaf, &Cluster)> {
        let cluster = self.cluster.as_ref()?;
        let account = certificate.account();
        let fits = |leaf: &Leaf| {
            leaf.subject == account
                && leaf.policy().usage.names().iter().all(|usage| certificate.has_extended_usage(usage))
        };
        let nodes = cluster.nodes.iter().flat_map(|node| cluster.node_leaves(node));
        let masters = cluster.masters.iter().flat_map(|master| cluster.master_leaves(master));
        let candidates: Vec<Leaf> = nodes.chain(masters).chain([cluster.verifier_leaf()]).filter(fits).collect();
        // All API servers carry one account: the one whose names fit best is meant.
        let missing = |leaf: &Leaf| leaf.names.iter().filter(|name| !certificate.names_address(name)).count();
        candidates.into_iter().min_by_key(missing).map(|leaf| (leaf, cluster))
    }
}

/// One thing, explained: what it is, its facts in order, and what is wrong with it.
struct Card {
    kind: &'static str,
    facts: Vec<(&'static str, String)>,
    problems: Vec<String>,
}

impl Card {
    fn new(kind: &'static str) -> Self {
        Self { kind, facts: Vec::new(), problems: Vec::new() }
    }

    fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    fn problem(mut self, problem: impl Into<String>) -> Self {
        self.problems.push(problem.into());
        self
    }

    fn json(&self) -> Value {
        let mut facts = serde_json::Map::new();
        for (name, value) in &self.facts {
            // What there may be several of is a list where there are.
            match facts.get_mut(*name) {
                None => drop(facts.insert((*name).to_owned(), json!(value))),
                Some(Value::Array(values)) => values.push(json!(value)),
                Some(first) => *first = json!([first, value]),
            }
        }
        json!({ "kind": self.kind, "facts": facts, "problems": self.problems })
    }
}

fn human(file: &Path, cards: &[Card]) -> String {
    let mut text = format!("{}\n", file.display());
    for card in cards {
        text.push_str(&format!("  {}\n", card.kind));
        for (name, value) in &card.facts {
            text.push_str(&format!("    {name:<12} {}\n", harmless(value)));
        }
        for problem in &card.problems {
            text.push_str(&format!("    {:<12} {}\n", "problem", harmless(problem)));
        }
    }
    text
}

/// What a file says is a stranger's text, on one line here.
fn harmless(text: &str) -> String {
    printable_lines(text).replace(['\n', '\t'], " ")
}

fn explain(path: &Path, around: &Surroundings) -> anyhow::Result<Vec<Card>> {
    let unknown = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("{} cannot be explained: {why}", path.display())).hint(
            "show explains PEM and DER certificates, PEM keys and requests, kubeconfigs, and bundles of clusterctl, sealed ones too",
        )
    };
    if files::is_folder(path) {
        let bundle = parcels::read(path).map_err(|error| unknown(&in_full(&error)))?;
        return Ok(bundle_cards(&bundle, around));
    }
    let bytes = zeroize::Zeroizing::new(read_given(path, LIMIT, "file")?);
    if seal::is_sealed(&bytes) {
        let kinds = seal::recipients(&bytes).map_err(|error| unknown(&error))?;
        let card = Card::new("sealed file").fact("format", "age; what is in it only its recipients can see");
        return Ok(vec![kinds.into_iter().fold(card, |card, kind| card.fact("sealed to", kind))]);
    }
    if parcels::looks_like_one(&bytes) {
        let bundle = format::read(&bytes).map_err(|error| unknown(&in_full(&error)))?;
        return Ok(bundle_cards(&bundle, around));
    }
    if bytes.windows(10).any(|window| window == b"-----BEGIN") && !bytes.windows(11).any(|w| w == b"apiVersion:") {
        let items = pem::read_all(&bytes).map_err(|error| unknown(&error))?;
        return Ok(items.into_iter().map(|item| item_card(item, around)).collect());
    }
    if let Ok(certificate) = Certificate::from_der(bytes.to_vec()) {
        return Ok(vec![certificate_card(&certificate, around)]);
    }
    let config = kubeconfig::read(&bytes).map_err(|error| match error {
        // What a parser thinks of a file that is something else helps nobody.
        KubeconfigError::Shape(_) => unknown(&"it is none of these"),
        other => unknown(&other),
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Ok(kubeconfig_cards(&config, folder, around))
}

fn item_card(item: Item, around: &Surroundings) -> Card {
    match item {
        Item::Certificate(der) => match Certificate::from_der(der) {
            Ok(certificate) => certificate_card(&certificate, around),
            Err(error) => Card::new("certificate").problem(error.to_string()),
        },
        Item::Key(form, secret) => {
            let facts = KeyFacts::of(form, &secret);
            let card = Card::new("private key").fact("kind", facts.kind);
            match facts.fingerprint {
                Some(fingerprint) => card.fact("public key", fingerprint.as_pin()),
                None => card,
            }
        }
        Item::EncryptedKey(_) => {
            Card::new("encrypted private key").fact("kind", "not to be seen without its passphrase")
        }
        Item::Csr(der) => match CertificateRequest::from_der(&der) {
            Ok(request) => request_card(&request),
            Err(error) => Card::new("certificate signing request").problem(error.to_string()),
        },
        Item::Crl(_) => Card::new("certificate revocation list"),
        Item::PublicKey(der) => {
            Card::new("public key").fact("fingerprint", crate::pki::fingerprint::Fingerprint::of(&der).as_pin())
        }
    }
}

fn request_card(request: &CertificateRequest) -> Card {
    let names: Vec<String> = request.names.iter().map(ToString::to_string).collect();
    let card = Card::new("certificate signing request")
        .fact("subject", &request.subject.text)
        .fact("names", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
        .fact("key", request.key.to_string())
        .fact("public key", request.spki_fingerprint.as_pin());
    if request.signature_fits {
        card
    } else {
        card.problem("it is not signed with its own key, so it proves no possession")
    }
}

fn certificate_card(certificate: &Certificate, around: &Surroundings) -> Card {
    let is_ca = certificate.basic_constraints.is_some_and(|bc| bc.ca);
    let names: Vec<String> = certificate.names.iter().map(ToString::to_string).collect();
    let mut card = Card::new(if is_ca { "CA certificate" } else { "certificate" })
        .fact("subject", &certificate.subject.text)
        .fact("account", account(certificate))
        .fact("names", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
        .fact("usages", usages(certificate))
        .fact("valid", validity(certificate, around.now))
        .fact("key", certificate.key.to_string())
        .fact("signature", signature(certificate))
        .fact("serial", certificate.serial.to_string())
        .fact("fingerprint", certificate.fingerprint().to_string())
        .fact("pin", certificate.spki_fingerprint().as_pin());
    let signer = around.roots.iter().find(|(_, root)| certificate.is_signed_by(root));
    let itself = certificate.is_self_issued() && certificate.is_signed_by(certificate);
    card = card.fact(
        "signed by",
        match signer {
            _ if itself => "itself".to_owned(),
            Some((path, root)) => format!("{} ( {} )", root.subject.text, path.display()),
            None if around.roots.is_empty() => {
                format!("{} (there is no root here to check it with)", certificate.issuer.text)
            }
            None => format!("{} (no root of this directory)", certificate.issuer.text),
        },
    );
    let wanted = around.wanted(certificate);
    let flaws = match (&wanted, signer) {
        _ if certificate.is_self_issued() && (itself || is_ca) => root_flaws(certificate, around.now),
        _ if is_ca => authority_flaws(certificate, around.now),
        (Some((leaf, cluster)), Some((_, root))) => leaf_flaws(certificate, leaf, cluster.keys, root, around.now),
        _ => general_flaws(certificate, around.now),
    };
    card.problems.extend(flaws.iter().map(ToString::to_string));
    let revocation = around.ledger.as_ref().map(|ledger| ledger.revocation_of(certificate.fingerprint()));
    match revocation {
        Some(Ok(Some(revocation))) => card.problem(Trouble::Revoked(revocation).to_string()),
        Some(Err(error)) => card.problem(format!("whether it was revoked cannot be told: {error}")),
        _ => card,
    }
}

/// Who Kubernetes takes the bearer for.
fn account(certificate: &Certificate) -> String {
    // A certificate that limits its usage in no way is good for every usage (RFC 5280 § 4.2.1.12).
    let calls = certificate.extended_key_usage.is_none()
        || certificate.has_extended_usage("clientAuth")
        || certificate.has_extended_usage("anyExtendedKeyUsage");
    if !calls {
        return "none: without clientAuth nobody is called with it".to_owned();
    }
    let mut groups = certificate.subject.organizations.clone();
    groups.push("system:authenticated".to_owned());
    format!("user {}, groups {}", certificate.account().user, groups.join(", "))
}

fn usages(certificate: &Certificate) -> String {
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
    if usages.is_empty() { "not limited".to_owned() } else { usages.join(", ") }
}

fn validity(certificate: &Certificate, now: OffsetDateTime) -> String {
    let (from, to) = (certificate.not_before, certificate.not_after);
    let words = if now < from {
        format!("begins in {}", in_words(from - now))
    } else if now > to {
        format!("ended {} ago", in_words(now - to))
    } else {
        format!("{} left", in_words(to - now))
    };
    format!("{} to {} ({words})", stamp(from), stamp(to))
}

fn signature(certificate: &Certificate) -> &'static str {
    match certificate.signature {
        SignatureKind::Strong(name) | SignatureKind::WeakHash(name) => name,
        SignatureKind::Unknown => "of an unknown kind",
    }
}

fn bundle_cards(bundle: &Bundle, around: &Surroundings) -> Vec<Card> {
    let manifest = &bundle.manifest;
    let roles: Vec<&str> = manifest.roles.iter().map(|role| role.as_str()).collect();
    let mut card = Card::new("bundle of clusterctl")
        .fact("cluster", manifest.cluster.to_string())
        .fact("host", format!("{} ({})", manifest.host, roles.join(" and ")))
        .fact("account", &manifest.account)
        .fact("endpoint", manifest.endpoint.to_string())
        .fact("root's pin", manifest.root_pin.as_pin())
        .fact("valid", format!("{} to {}", stamp(manifest.not_before), stamp(manifest.not_after)))
        .fact("generation", manifest.generation.to_string());
    card = match signature::found(bundle) {
        Ok(signature) => card.fact("signed with", format!("{} ({})", signature.fingerprint(), signature.kind())),
        Err(SignatureError::Unsigned) => card.fact("signed with", "nothing"),
        Err(error) => card.problem(format!("its signature is not good: {error}")),
    };
    for file in &bundle.files {
        card = card.fact("file", format!("{:04o} {}", file.mode, file.path));
    }
    if around.now > manifest.not_after {
        card = card.problem(format!("its certificates ended {} ago", in_words(around.now - manifest.not_after)));
    }
    if let Some((_, root)) = around.roots.first()
        && root.spki_fingerprint() != manifest.root_pin
    {
        card = card.problem("it trusts another root than this directory's");
    }
    let certificates = bundle.files.iter().filter(|file| file.path.ends_with(".crt"));
    let certificates = certificates.flat_map(|file| pem::read_all(&file.bytes).unwrap_or_default());
    let mut cards = vec![card];
    cards.extend(certificates.map(|item| item_card(item, around)));
    cards
}

fn kubeconfig_cards(config: &Kubeconfig, folder: &Path, around: &Surroundings) -> Vec<Card> {
    let mut card =
        Card::new("kubeconfig").fact("context", config.current_context.clone().unwrap_or_else(|| "none".to_owned()));
    let mut cards = Vec::new();
    for cluster in &config.clusters {
        card = card.fact("server", format!("{} ({})", cluster.server, cluster.name));
        if !cluster.server.starts_with("https://") {
            card = card.problem(format!("{} is not https, so nobody is authenticated", cluster.server));
        }
        if cluster.insecure {
            card = card.problem("insecure-skip-tls-verify: the master is not authenticated");
        }
        match &cluster.authority {
            Some(authority) => {
                card = card.fact("trusts", describe(authority, folder));
                cards.extend(cards_of(authority, folder, around));
            }
            None => {
                card = card.problem(format!("{}: no certificate authority, so the system's are trusted", cluster.name))
            }
        }
    }
    for user in &config.users {
        card = card.fact("user", user.name.clone());
        if let Some(certificate) = &user.certificate {
            card = card.fact("certificate", describe(certificate, folder));
            cards.extend(cards_of(certificate, folder, around));
        }
        if let Some(key) = &user.key {
            card = card.fact("key", describe(key, folder));
        }
        for other in &user.others {
            card = card.problem(format!("user {} also authenticates by {other}", user.name));
        }
    }
    cards.insert(0, card);
    cards
}

fn describe(credential: &Credential, folder: &Path) -> String {
    match credential {
        Credential::File(path) => folder.join(path).display().to_string(),
        Credential::Data(_) => "embedded (a kubelet does not reload it)".to_owned(),
    }
}

/// The certificates behind a kubeconfig's reference, as far as they can be read from here.
fn cards_of(credential: &Credential, folder: &Path, around: &Surroundings) -> Vec<Card> {
    let bytes = match credential {
        Credential::Data(bytes) => Ok(bytes.to_vec()),
        Credential::File(path) => files::read(&folder.join(path), LIMIT),
    };
    match bytes {
        Err(error) => vec![Card::new("certificate").problem(error.to_string())],
        Ok(bytes) => match pem::read_all(&bytes) {
            Ok(items) => items.into_iter().map(|item| item_card(item, around)).collect(),
            Err(error) => vec![Card::new("certificate").problem(error.to_string())],
        },
    }
}
