//! Texts about the folder of access rules.

use std::path::Path;

use crate::ui::Screen;

/// Warns of objects in the cluster that nothing removes by itself; `folder` names them.
pub(crate) fn warn_of_deletions(folder: &Path, screen: &mut Screen<'_>) {
    screen.warn(format_args!(
        "objects of accounts that the cluster file no longer has may exist in the cluster, and give rights. Once \
         their nodes have new certificates: kubectl delete --ignore-not-found -f {}",
        folder.display()
    ));
}
