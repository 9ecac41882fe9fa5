//! The templates that a command fills: what is compiled in, with some of it replaced from a folder.

use std::collections::BTreeMap;
use std::path::Path;

use crate::bundle::render::Templates;
use crate::commands::context::Context;
use crate::failure::{Exit, Failure};
use crate::store::files;

/// No template is larger than this, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// The templates, with those of the folder `dir` in place of those of the same path.
///
/// # Errors
/// A usage error when one of them overrides nothing or is no template; or what the system says.
pub(crate) fn load(dir: Option<&Path>, context: &Context<'_>) -> anyhow::Result<Templates> {
    let mut overrides = BTreeMap::new();
    if let Some(dir) = dir {
        let dir = context.path(dir);
        for path in files::files_below(&dir)? {
            let bytes = files::read(&dir.join(&path), LIMIT)?;
            let text = String::from_utf8(bytes).map_err(|error| {
                let what = format!("the template {} is not text", dir.join(&path).display());
                Failure::new(Exit::Usage, what).because(error)
            })?;
            overrides.insert(path, text);
        }
    }
    Templates::with_overrides(&overrides).map_err(|error| {
        Failure::new(Exit::Usage, "the templates cannot be used")
            .hint("clusterctl bundle --eject-templates DIR writes those that work")
            .because(error)
            .into()
    })
}
