//! Creates the CAs of a cluster, imports them from other tools, renews intermediates, and opens keys that external
//! holders have.

mod create;
mod import;
mod import_directory;
mod import_warning;
mod key_holder;
mod renew_intermediate;

pub use create::{
    CaReport, CreateCaError, CreateOptions, CreatedCa, KeyProtection, KeyStorage, check_root_out, create, missing,
};
pub(in crate::app) use create::{key_pem, role_with_key, stored_key_problem};
pub use import::{ImportCaError, ImportOptions, ImportPlan, ImportReport, ImportedKey, plan};
pub(in crate::app) use import::{ReadCa, key_file, read_for_rotation};
pub use import_directory::{DirectoryPlan, DirectoryReport, ToolLayout, plan_directory};
pub use import_warning::{CaWarning, CaWarningKind};
pub use key_holder::{KeyHolder, signer};
pub use renew_intermediate::{RenewCaError, RenewCaOptions, RenewCaReport, renew, renewable};
