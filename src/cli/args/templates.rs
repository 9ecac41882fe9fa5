//! The templates that a command fills: what is compiled in, with some of it replaced from a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::bundle::render::Templates;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::spec::Cluster;
use crate::store::files;
use crate::store::layout::Layout;

/// No template is larger than this, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Returns the templates, with those of the folder `given`, or else of the one that the cluster file names, in place of those of
/// the same path.
///
/// # Errors
/// A usage error when one of them overrides nothing or is no template; or what the system says.
pub(crate) fn load(given: Option<&Path>, cluster: &Cluster, context: &Context<'_>) -> Result<Templates> {
    match given {
        Some(dir) => from_folder(Some(context.path(dir))),
        None => of_cluster(cluster, &context.env.layout),
    }
}

/// Returns the templates that the cluster file names, or those that are built in.
///
/// # Errors
/// As [`load`].
pub(crate) fn of_cluster(cluster: &Cluster, layout: &Layout) -> Result<Templates> {
    from_folder(cluster.templates.as_ref().map(|dir| layout.dir().join(dir)))
}

fn from_folder(dir: Option<PathBuf>) -> Result<Templates> {
    let mut overrides = BTreeMap::new();
    if let Some(dir) = dir {
        for path in files::files_below(&dir)? {
            let bytes = files::read(&dir.join(&path), LIMIT)?;
            let text = String::from_utf8(bytes).map_err(|error| {
                let what = format!("the template {} is not text", dir.join(&path).display());
                CliError::new(Exit::Usage, what).because(error)
            })?;
            overrides.insert(path, text);
        }
    }
    Templates::with_overrides(&overrides).map_err(|error| {
        CliError::new(Exit::Usage, "the templates cannot be used")
            .hint("clusterctl bundle --eject-templates DIR writes those that work")
            .because(error)
    })
}
