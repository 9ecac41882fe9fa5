//! Describes files, linked to each other and to the cluster directory.

use std::path::PathBuf;

use super::error::{InspectError, Unreadable};
use super::search::{FoundFile, find};
use crate::app::{Env, directory};
use crate::cluster::profile::CaRole;
use crate::explain::card::Card;
use crate::explain::context::{ExplainContext, LedgerRevocation};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::ca;
use crate::store::credentials::CredentialProblem;
use crate::store::ledger::Ledger;

/// A file or folder to describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// How it was named.
    pub label: String,
    /// Its path.
    pub path: PathBuf,
}

/// The descriptions of all files.
#[derive(Debug)]
pub struct InspectReport {
    /// The files, in order; a folder's in place of the folder.
    pub files: Vec<InspectedFile>,
}

/// The description of a file.
#[derive(Debug)]
pub struct InspectedFile {
    /// How it was named.
    pub label: String,
    /// What is in it.
    pub cards: Vec<Card>,
    /// Why it is not described, or not all of it.
    pub error: Option<InspectError>,
}

/// Describes files.
///
/// The ledger and the cluster file of the directory are consulted only where `trusted`: of a directory that another user owns
/// they prove nothing.
#[must_use]
pub fn inspect(env: &Env, inputs: &[InputFile], trusted: bool) -> InspectReport {
    let found: Vec<FoundFile> = inputs.iter().flat_map(find).collect();
    let ledger = trusted.then(|| Ledger::open_read_only(&env.layout.ledger()).ok()).flatten();
    let ask = |certificate: Fingerprint| match &ledger {
        None => Ok(None),
        Some(ledger) => revocation(ledger, certificate),
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
    for file in &found {
        if let Ok(content) = &file.content {
            content.give(&file.path.display().to_string(), &mut context);
        }
    }
    InspectReport { files: found.into_iter().map(|file| describe(file, &context)).collect() }
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

fn revocation(ledger: &Ledger, certificate: Fingerprint) -> Result<Option<LedgerRevocation>, String> {
    let issued = ledger.by_fingerprint(certificate).map_err(|error| error.to_string())?;
    Ok(issued.and_then(|issued| issued.revocation).map(|revocation| LedgerRevocation {
        at: revocation.at,
        reason: revocation.reason.as_str(),
        text: CredentialProblem::Revoked(revocation).to_string(),
    }))
}
