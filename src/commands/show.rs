//! `show`: any certificate, key, request, CRL, kubeconfig or bundle on one screen, ours or anybody's.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::app::in_full;
use crate::app::package::reader;
use crate::bundle::format;
use crate::bundle::seal;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::{Context, read_given};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::profile::CaRole;
use crate::config::kubeconfig::{self, KubeconfigError};
use crate::explain::bundle::ReadBundle;
use crate::explain::card::Card;
use crate::explain::context::{ExplainContext, LedgerRevocation};
use crate::explain::kubeconfig::{ReadKubeconfig, follow};
use crate::explain::piece::{self, Piece};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::material::{self, MaterialError};
use crate::sanitize::{sanitized, sanitized_lines};
use crate::store::ca;
use crate::store::credentials::CredentialProblem;
use crate::store::files;
use crate::store::ledger::Ledger;

/// Larger files are none of what we explain, in bytes.
const LIMIT: u64 = 16 * 1024 * 1024;
/// How deep a folder is looked through, and how many of its files are read.
const MAX_DEPTH: usize = 6;
const MAX_FILES: usize = 2000;

/// Explains certificates, keys (kind and fingerprint only), signing requests, CRLs, kubeconfigs and bundles. What is given
/// together is linked: a root among the files is a root.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Files or folders to explain; `-` is standard input
    #[arg(value_name = "FILE", required = true, value_hint = clap::ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// How to answer
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

/// Runs `show`.
///
/// # Errors
/// A usage error for a file that cannot be explained; all others are explained.
pub fn run(args: &ShowArgs, context: &mut Context<'_>) -> Result<Exit> {
    let given = args.files.iter().flat_map(|file| open(file, context)).collect::<Vec<_>>();
    // What another user's ledger says is nothing to go by.
    let ours = context.check_owner().is_ok();
    let ledger = ours.then(|| Ledger::open_read_only(&context.env.layout.ledger()).ok()).flatten();
    let ask = |certificate: Fingerprint| match &ledger {
        None => Ok(None),
        Some(ledger) => revocation(ledger, certificate),
    };
    let mut around = ExplainContext::new(context.env.now);
    around.roots = CaRole::ALL.into_iter().filter_map(|kind| known_root(kind, context)).collect();
    around.cluster = context.cluster().ok();
    around.ledger = ledger.is_some().then_some(&ask);
    for one in &given {
        one.give(&mut around);
    }
    let mut failures = Vec::new();
    let mut shown = Vec::new();
    for one in given {
        let cards = one.cards(&around);
        match args.output {
            OutputFormat::Human if !cards.is_empty() => context.screen.answer(human(&one.label, &cards)),
            OutputFormat::Human => {}
            OutputFormat::Json => shown.push(one.json(&cards)),
        }
        failures.extend(one.failure(&cards));
    }
    if args.output == OutputFormat::Json {
        let answer = json!({ "schemaVersion": 1, "files": shown });
        context.screen.answer(format_args!("{answer:#}"));
    }
    match failures.pop() {
        None => Ok(Exit::Done),
        Some(last) => {
            for other in &failures {
                context.screen.warn(format_args!("{other}"));
            }
            Err(last)
        }
    }
}

fn known_root(kind: CaRole, context: &Context<'_>) -> Option<(String, Certificate)> {
    let certificate = ca::certificate(&context.env.layout, kind).ok()?;
    Some((context.env.layout.root_certificate(kind).display().to_string(), certificate))
}

fn revocation(ledger: &Ledger, certificate: Fingerprint) -> Result<Option<LedgerRevocation>, String> {
    let issued = ledger.by_fingerprint(certificate).map_err(|error| error.to_string())?;
    Ok(issued.and_then(|issued| issued.revocation).map(|revocation| LedgerRevocation {
        at: revocation.at,
        reason: revocation.reason.as_str(),
        text: CredentialProblem::Revoked(revocation).to_string(),
    }))
}

/// A file that was given, and what is in it.
struct Given {
    /// As it was given.
    label: String,
    /// Where it is.
    place: String,
    content: Result<Content>,
}

enum Content {
    Pieces(Vec<Piece>),
    Kubeconfig(ReadKubeconfig),
    Bundle(ReadBundle),
    Encrypted(Vec<String>),
}

/// Reads a file, or all files of a folder that is no bundle.
fn open(file: &Path, context: &Context<'_>) -> Vec<Given> {
    let path = context.input(file);
    let label = file.display().to_string();
    if !files::is_folder(&path) {
        return vec![Given { label, place: path.display().to_string(), content: read(&path) }];
    }
    if files::exists(&path.join(crate::bundle::model::MANIFEST)) {
        let bundle = reader::read(&path).map_err(|error| unknown(&path, &in_full(&error)));
        let content = bundle.map(|bundle| Content::Bundle(ReadBundle::of(bundle)));
        return vec![Given { label, place: path.display().to_string(), content }];
    }
    let mut found = Vec::new();
    walk(&path, file, 0, &mut found);
    if found.is_empty() {
        let why = "nothing in this folder is a file that is explained here";
        let content = Err(unknown(&path, &why));
        return vec![Given { label, place: path.display().to_string(), content }];
    }
    found
}

/// Everything in a folder that can be explained. What cannot, and is of no kind that is explained here, is passed over.
fn walk(folder: &Path, label: &Path, depth: usize, found: &mut Vec<Given>) {
    for name in files::names_in(folder).unwrap_or_default() {
        let (path, label) = (folder.join(&name), label.join(&name));
        if files::is_folder(&path) {
            if depth < MAX_DEPTH {
                walk(&path, &label, depth + 1, found);
            }
            continue;
        }
        if found.len() >= MAX_FILES {
            return;
        }
        let content = files::read(&path, LIMIT).map_err(CliError::from).and_then(|bytes| {
            let bytes = zeroize::Zeroizing::new(bytes);
            if is_of_a_known_kind(&bytes) { content(&path, &bytes).map(Some) } else { Ok(None) }
        });
        if let Some(content) = content.transpose() {
            found.push(Given { label: label.display().to_string(), place: path.display().to_string(), content });
        }
    }
}

fn is_of_a_known_kind(bytes: &[u8]) -> bool {
    let has = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    has(b"-----BEGIN")
        || seal::is_sealed(bytes)
        || reader::looks_like_bundle(bytes)
        || piece::read(bytes).is_ok()
        || (has(b"clusters:") && kubeconfig::read(bytes).is_ok())
}

fn unknown(path: &Path, why: &dyn std::fmt::Display) -> CliError {
    let (path, why) = (sanitized(&path.display().to_string()), sanitized_lines(&why.to_string()));
    CliError::new(Exit::Usage, format!("{path} cannot be explained: {why}")).hint(
        "show explains PEM and DER certificates, keys, requests and CRLs, PKCS#7, kubeconfigs, and bundles of clusterctl, \
         encrypted ones too",
    )
}

fn read(path: &Path) -> Result<Content> {
    let bytes = zeroize::Zeroizing::new(read_given(path, LIMIT, "file")?);
    content(path, &bytes)
}

fn content(path: &Path, bytes: &[u8]) -> Result<Content> {
    if seal::is_sealed(bytes) {
        let kinds = seal::recipients(bytes).map_err(|error| unknown(path, &error))?;
        return Ok(Content::Encrypted(kinds));
    }
    if reader::looks_like_bundle(bytes) {
        let bundle = format::read(bytes).map_err(|error| unknown(path, &in_full(&error)))?;
        return Ok(Content::Bundle(ReadBundle::of(bundle)));
    }
    // A kubeconfig may hold PEM as text, which is its mistake and not another kind of file.
    let is_yaml = bytes.windows(11).any(|window| window == b"apiVersion:");
    if !is_yaml {
        match piece::read(bytes) {
            Ok(pieces) => return Ok(Content::Pieces(pieces)),
            Err(MaterialError::Unknown) => {}
            Err(error) => return Err(unknown(path, &error)),
        }
    }
    let config = kubeconfig::read(bytes).map_err(|error| match error {
        // What a parser thinks of a file that is something else helps no reader.
        KubeconfigError::Shape(_) => unknown(path, &material::what_else(bytes).unwrap_or("it is none of these")),
        other => unknown(path, &other),
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let open = |named: &Path| {
        let path = folder.join(named);
        (path.display().to_string(), files::read(&path, LIMIT).map_err(|error| error.to_string()))
    };
    Ok(Content::Kubeconfig(follow(config, &path.display().to_string(), &open)))
}

impl Given {
    fn give(&self, around: &mut ExplainContext<'_>) {
        match &self.content {
            Ok(Content::Pieces(pieces)) => around.give(&self.place, pieces),
            Ok(Content::Kubeconfig(config)) => config.give(around),
            Ok(Content::Bundle(bundle)) => bundle.give(&self.place, around),
            Ok(Content::Encrypted(_)) | Err(_) => {}
        }
    }

    fn cards(&self, around: &ExplainContext<'_>) -> Vec<Card> {
        match &self.content {
            Ok(Content::Pieces(pieces)) => pieces.iter().map(|piece| piece.card(&self.place, around)).collect(),
            Ok(Content::Kubeconfig(config)) => config.cards(around),
            Ok(Content::Bundle(bundle)) => bundle.cards(&self.place, around),
            Ok(Content::Encrypted(kinds)) => {
                let card = Card::new("sealed file")
                    .line("format", "age; what is in it only its recipients can see")
                    .data("format", "age")
                    .data("recipients", kinds.clone());
                vec![kinds.iter().fold(card, |card, kind| card.line("sealed to", kind))]
            }
            Err(_) => Vec::new(),
        }
    }

    fn json(&self, cards: &[Card]) -> Value {
        let items: Vec<Value> = cards.iter().map(Card::json).collect();
        match &self.content {
            Ok(_) => json!({ "file": self.label, "items": items }),
            Err(error) => json!({ "file": self.label, "items": items, "error": error.to_string() }),
        }
    }

    /// Why it could not be explained, or not all of it.
    fn failure(self, cards: &[Card]) -> Option<CliError> {
        if let Err(error) = self.content {
            return Some(error);
        }
        let damaged = cards.iter().find(|card| card.damaged)?;
        let reason = damaged.problems.first().cloned().unwrap_or_default();
        Some(unknown(Path::new(&self.place), &format!("{}: {reason}", damaged.kind)))
    }
}

fn human(label: &str, cards: &[Card]) -> String {
    let mut text = format!("{}\n", one_line(label));
    for card in cards {
        text.push_str(&format!("  {}\n", card.kind));
        for (name, value) in &card.lines {
            text.push_str(&format!("    {name:<12} {}\n", one_line(value)));
        }
        for problem in &card.problems {
            text.push_str(&format!("    {:<12} {}\n", "problem", one_line(problem)));
        }
    }
    text
}

/// Text from a file or its name, on one line.
fn one_line(text: &str) -> String {
    sanitized_lines(text).replace(['\n', '\t'], " ")
}
