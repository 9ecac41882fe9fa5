//! Errors of checking files by rules.

use crate::app::Remedy;
use crate::app::inspect::names;

/// Errors of checking files by rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LintError {
    /// No rule has this id.
    #[error("there is no rule {id:?}")]
    UnknownRule {
        /// The id.
        id: String,
        /// The most similar id.
        similar: Option<String>,
    },
    /// No file is of a known kind.
    #[error("there is no certificate, key, CRL, kubeconfig or bundle in {}", names(.0))]
    NothingFound(Vec<String>),
    /// All files are encrypted, so that nothing was checked.
    #[error("{} encrypted, so that nothing was checked", are(*.0))]
    OnlyEncrypted(usize),
}

fn are(count: usize) -> String {
    if count == 1 {
        "the only file of a known kind is".to_owned()
    } else {
        format!("all {count} files of known kinds are")
    }
}

impl LintError {
    pub(in crate::app) fn remedy(&self) -> Remedy {
        match self {
            Self::UnknownRule { similar: Some(similar), .. } => Remedy::DidYouMean(similar.clone()),
            Self::UnknownRule { similar: None, .. } => Remedy::ListRules,
            Self::NothingFound(_) => Remedy::InspectKnownKinds,
            Self::OnlyEncrypted(_) => Remedy::OpenBundles,
        }
    }
}
