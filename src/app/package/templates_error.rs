//! Errors of templates.

use std::path::PathBuf;
use std::str::Utf8Error;

use crate::app::remedy::Remedy;
use crate::bundle::render::TemplateError;

/// Errors of templates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplatesError {
    /// A template is not UTF-8.
    #[error("the template {} is not text", path.display())]
    NotText {
        /// Its file.
        path: PathBuf,
        /// The position of the error.
        source: Utf8Error,
    },
    /// A template replaces nothing, is empty, or has a syntax error.
    #[error("the templates cannot be used")]
    Invalid(#[source] TemplateError),
    /// A template fails with the values of this cluster.
    #[error("{output} cannot be rendered")]
    Render {
        /// The path of the template's output.
        output: &'static str,
        /// The position and the reason.
        source: TemplateError,
    },
}

impl TemplatesError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::NotText { .. } => None,
            Self::Invalid(_) => Some(Remedy::EjectTemplates),
            Self::Render { .. } => Some(Remedy::CorrectTemplate),
        }
    }
}
