//! Describes files and certificates of the ledger, linked to each other and to the cluster directory.

use super::error::{InspectError, Unreadable};
use super::recorded;
use super::search::{FoundFile, InputFile, find};
use crate::app::input::InputError;
use crate::app::{Env, directory};
use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
use crate::explain::card::Card;
use crate::explain::context::{ExplainContext, LedgerEntry, LedgerRevocation};
use crate::explain::file_item::FileItem;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::ca;
use crate::store::credentials::CredentialProblem;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::store::ledger::records::CertificateRecord;

/// The descriptions of all files.
#[derive(Debug)]
pub struct InspectReport {
    /// The files, in order; a folder is replaced by its files.
    pub files: Vec<InspectedFile>,
}

/// The description of a file.
#[derive(Debug)]
pub struct InspectedFile {
    /// The name on the command line.
    pub label: String,
    /// The descriptions of its content.
    pub cards: Vec<Card>,
    /// The reason why the file is not described, or only in part.
    pub error: Option<InspectError>,
}

/// The result of resolving an input.
enum Found {
    File(Box<FoundFile>),
    Recorded { name: String, records: Vec<CertificateRecord> },
    Error { label: String, error: InspectError },
}

/// Describes files, and certificates that the ledger has.
///
/// An input that is neither a file nor a path is looked up in the ledger: a host, an account, a serial number or a
/// SHA-256. The directory's ledger and cluster file are used only if `trusted` is true, because those of a directory
/// that another user owns prove nothing.
#[must_use]
pub fn inspect(env: &Env, inputs: &[InputFile], trusted: bool) -> InspectReport {
    let ledger = trusted.then(|| Ledger::open_read_only(&env.layout.ledger()).ok()).flatten();
    let found: Vec<Found> = inputs.iter().flat_map(|input| find_input(input, ledger.as_ref())).collect();
    let ask = |certificate: Fingerprint| match &ledger {
        None => Ok(None),
        Some(ledger) => entry(ledger, certificate),
    };
    let mut context = ExplainContext::new(env.now);
    context.roots = CaRole::ALL
        .into_iter()
        .flat_map(|role| {
            let path = env.layout.root_certificate(role).display().to_string();
            let trust = ca::trust(&env.layout, role).ok();
            let known = |trust: TrustBundle| trust.accepted().map(|ca| ca.certificate().clone()).collect::<Vec<_>>();
            trust.map(known).unwrap_or_default().into_iter().map(move |certificate| (path.clone(), certificate))
        })
        .collect();
    context.cluster = trusted.then(|| directory::cluster(&env.layout).ok()).flatten();
    context.ledger = ledger.is_some().then_some(&ask);
    for found in &found {
        match found {
            Found::File(file) => add(file, &mut context),
            Found::Recorded { records, .. } => {
                recorded::files_of(records, &env.layout).iter().for_each(|file| add(file, &mut context));
            }
            Found::Error { .. } => {}
        }
    }
    let describe = |found| match found {
        Found::File(file) => describe(*file, &context),
        Found::Recorded { name, records } => {
            let cards = records.iter().map(|record| recorded_card(record, &context)).collect();
            InspectedFile { label: name, cards, error: None }
        }
        Found::Error { label, error } => InspectedFile { label, cards: Vec::new(), error: Some(error) },
    };
    InspectReport { files: found.into_iter().map(describe).collect() }
}

fn find_input(input: &InputFile, ledger: Option<&Ledger>) -> Vec<Found> {
    let InputFile { label, path } = input;
    let is_name = !label.contains('/') && label != "-" && !files::exists(path);
    let Some(ledger) = ledger.filter(|_| is_name) else {
        return find(input).into_iter().map(|file| Found::File(Box::new(file))).collect();
    };
    match recorded::names(label, ledger) {
        Ok(names) => names.into_iter().map(|name| find_recorded(name, ledger)).collect(),
        Err(error) => vec![Found::Error { label: label.clone(), error: InputError::Store(error).into() }],
    }
}

fn find_recorded(name: String, ledger: &Ledger) -> Found {
    match recorded::find(&name, ledger) {
        Ok(records) if records.is_empty() => {
            Found::Error { error: InspectError::not_recorded(&name, ledger), label: name }
        }
        Ok(records) => Found::Recorded { name, records },
        Err(error) => Found::Error { label: name, error: InputError::Store(error).into() },
    }
}

fn add(file: &FoundFile, context: &mut ExplainContext<'_>) {
    if let Ok(content) = &file.content {
        content.add_to(&file.path.display().to_string(), context);
    }
}

/// Returns the card of a certificate in the ledger: its content, who issued it, and the files that contain it.
fn recorded_card(record: &CertificateRecord, context: &ExplainContext<'_>) -> Card {
    let CertificateRecord { issued, der, issued_at, issued_by, adopted, revoked_by } = record;
    let card = match Certificate::from_der(der.clone()) {
        Ok(certificate) => FileItem::Certificate(Box::new(certificate), None).card("the ledger", context),
        Err(error) => Card::damaged("certificate in the ledger", error.to_string()),
    };
    let places: Vec<&str> = context.places_of(issued.fingerprint).collect();
    let card = card
        .fact("profile", "profile", issued.profile.as_str())
        .line(if *adopted { "adopted" } else { "issued" }, format!("{} by {issued_by}", stamp(*issued_at)))
        .data("issuedAt", stamp(*issued_at))
        .data("issuedBy", issued_by.as_str())
        .data("adopted", *adopted)
        .data("host", issued.host.clone())
        .data("revokedBy", revoked_by.clone())
        .line("stored in", if places.is_empty() { "no file of this directory".to_owned() } else { places.join(", ") })
        .data("files", places);
    match (&issued.revocation, revoked_by) {
        (Some(revocation), Some(by)) => card.line("revoked", format!("{} by {by}", stamp(revocation.at))),
        _ => card,
    }
}

fn describe(file: FoundFile, context: &ExplainContext<'_>) -> InspectedFile {
    let FoundFile { label, path, content } = file;
    let content = match content {
        Ok(content) => content,
        Err(error) => return InspectedFile { label, cards: Vec::new(), error: Some(error) },
    };
    let cards = content.cards(&path.display().to_string(), context);
    let error = cards.iter().find(|card| card.damaged).map(|card| InspectError::Unreadable {
        path,
        reason: Unreadable::Part { kind: card.kind, problem: card.problems.first().cloned().unwrap_or_default() },
    });
    InspectedFile { label, cards, error }
}

fn entry(ledger: &Ledger, certificate: Fingerprint) -> Result<Option<LedgerEntry>, String> {
    let issued = ledger.by_fingerprint(certificate).map_err(|error| error.to_string())?;
    Ok(issued.map(|issued| {
        let revocation = issued.revocation.map(|revocation| LedgerRevocation {
            at: revocation.at,
            reason: revocation.reason.as_str(),
            text: CredentialProblem::Revoked(revocation).to_string(),
        });
        LedgerEntry { host: issued.host, revocation }
    }))
}
