//! Loads the templates of bundles and policy files, and writes the built-in templates into a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::templates_error::TemplatesError;
use crate::app::error::Error;
use crate::bundle::render::Templates;
use crate::cluster::spec::Cluster;
use crate::store::error::StoreError;
use crate::store::files::{self, PUBLIC};
use crate::store::layout::Layout;

/// The largest template, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Returns the templates. A file in a folder of templates replaces the built-in template with the same path.
///
/// The folder is `given`, or else the one that the cluster file names, if any.
///
/// # Errors
/// Returns an error if a file of the folder cannot be read, replaces nothing, or is not a valid template.
pub fn load(given: Option<&Path>, cluster: &Cluster, layout: &Layout) -> Result<Templates, Error> {
    match given {
        Some(folder) => from_folder(folder),
        None => of_cluster(cluster, layout),
    }
}

/// Returns the templates that the cluster file names, or else the built-in ones.
///
/// # Errors
/// Returns the errors of [`load`].
pub fn of_cluster(cluster: &Cluster, layout: &Layout) -> Result<Templates, Error> {
    match &cluster.templates {
        Some(folder) => from_folder(&layout.dir().join(folder)),
        None => Ok(Templates::compiled_in().map_err(TemplatesError::Invalid)?),
    }
}

fn from_folder(folder: &Path) -> Result<Templates, Error> {
    let mut overrides = BTreeMap::new();
    for path in files::files_below(folder)? {
        let file = folder.join(&path);
        let bytes = files::read(&file, MAX_BYTES)?;
        let text = String::from_utf8(bytes)
            .map_err(|error| TemplatesError::NotText { path: file, source: error.utf8_error() })?;
        overrides.insert(path, text);
    }
    Ok(Templates::with_overrides(&overrides).map_err(TemplatesError::Invalid)?)
}

/// Writes the built-in templates into a folder and returns their files.
///
/// # Errors
/// Returns an error if a file exists already, or cannot be written.
pub fn eject(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut written = Vec::new();
    for (path, text) in Templates::eject() {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            files::create_folder(parent)?;
        }
        files::write_new(&path, text.as_bytes(), PUBLIC)?;
        written.push(path);
    }
    Ok(written)
}
