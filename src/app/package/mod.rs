//! Packs the files that each host needs into its bundle, and reads bundles.
//!
//! [`Packager::plan`] checks everything before anything is written, and [`Plan::apply`] writes the bundles.

mod apply;
mod encrypted_archives;
pub mod encryption;
mod error;
mod finalize;
mod generation;
mod inputs;
mod older;
pub mod open;
mod open_error;
mod options;
mod permissions;
mod plan;
mod preflight;
mod preflight_error;
mod preview;
pub mod reader;
mod remedy;
mod report;
mod selection;
mod signatures;
pub mod templates;
mod templates_error;
pub mod verifier;
pub mod versions;

pub use error::{MissingRecipient, PackageError};
pub use open_error::OpenBundleError;
pub use options::PackageOptions;
pub(in crate::app) use plan::plan;
pub use plan::{Packager, Plan};
pub use preflight_error::{CredentialRemedy, Refusal, RefusedHost};
pub(in crate::app) use preview::preview;
pub use preview::{PackReason, PackagePreview, PlannedBundle};
pub use remedy::Remedy;
pub use report::{PackageReport, PackedBundle, Warning};
pub use selection::Selection;
pub use templates_error::TemplatesError;
