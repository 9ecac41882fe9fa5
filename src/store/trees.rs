//! Nested folders, which are written atomically and read with limits.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::error::StoreError;
use super::files::{self, PRIVATE};
use super::staged::StagedFolder;

/// A file of a tree: its relative path with `/`, its bytes, and its mode.
pub type TreeFile<'a> = (&'a str, &'a [u8], u32);

/// Trees under temporary names. They are removed on drop unless they are committed.
#[derive(Debug)]
pub struct StagedTrees(Vec<StagedFolder>);

/// Writes many trees into one folder under temporary names, without syncing them.
///
/// The top folder of a tree has mode 0700; nested folders have the mode that `folder_mode` returns. Modes do not depend
/// on the umask.
///
/// # Errors
/// Returns [`StoreError::InTheWay`] if an existing entry at a tree's path is not a folder, or the system's error. In
/// that case, no file remains.
pub fn stage_all(
    folder: &Path,
    trees: &[(String, Vec<TreeFile<'_>>)],
    folder_mode: fn(&str) -> u32,
) -> Result<StagedTrees, StoreError> {
    let mut staged = Vec::with_capacity(trees.len());
    for (name, tree) in trees {
        let place = folder.join(name);
        if fs::symlink_metadata(&place).is_ok_and(|there| !there.is_dir()) {
            return Err(StoreError::InTheWay(place));
        }
        let stage = StagedFolder::begin(&place)?;
        stage.at_place(fill(stage.path(), tree, folder_mode))?;
        staged.push(stage);
    }
    Ok(StagedTrees(staged))
}

impl StagedTrees {
    /// Syncs the trees to the disk, then renames each to its final name, replacing existing trees. Durable on return.
    ///
    /// # Errors
    /// Returns the system's error; the trees that were not renamed yet are removed, and the existing trees are
    /// unchanged.
    pub fn commit(self, folder: &Path) -> Result<(), StoreError> {
        files::sync_all(folder)?;
        self.0.into_iter().try_for_each(StagedFolder::publish)?;
        files::sync_all(folder)
    }
}

fn fill(top: &Path, tree: &[TreeFile<'_>], folder_mode: fn(&str) -> u32) -> Result<(), StoreError> {
    for (path, bytes, mode) in tree {
        for (end, _) in path.match_indices('/') {
            make_folder(&top.join(&path[..end]), folder_mode(&path[..end]))?;
        }
        let file = top.join(path);
        // At first the file has at most the owner's bits of its mode; the full mode is set when it is complete.
        files::write_with_the_batch(&file, bytes, mode & PRIVATE)?;
        set_mode(&file, *mode)?;
    }
    Ok(())
}

fn make_folder(path: &Path, mode: u32) -> Result<(), StoreError> {
    match DirBuilder::new().mode(files::FOLDER).create(path) {
        Ok(()) => {
            files::give_folder(path);
            set_mode(path, mode)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::io("create", path, &error)),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), StoreError> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| StoreError::io("write", path, &error))
}

/// A file of a tree, read.
pub type ReadFile = (String, u32, Zeroizing<Vec<u8>>);

/// Reads the tree in `folder`: at most `max_files` files, and `limit` bytes in total. Links are not followed.
///
/// # Errors
/// Returns [`StoreError::InTheWay`] for anything that is not a plain file or folder, [`StoreError::TooLarge`], or the
/// system's error.
pub fn read(folder: &Path, limit: u64, max_files: usize) -> Result<Vec<ReadFile>, StoreError> {
    let paths = files::files_below(folder)?;
    let too_large = || StoreError::TooLarge { path: folder.to_owned(), limit };
    if paths.len() > max_files {
        return Err(too_large());
    }
    let mut left = limit;
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        let place = folder.join(&path);
        let failed = |error: io::Error| StoreError::io("read", &place, &error);
        let file = File::open(&place).map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(facts.len().min(left)).unwrap_or(0)));
        let read = file.take(left + 1).read_to_end(&mut bytes).map_err(failed)?;
        left = left.checked_sub(read as u64).ok_or_else(too_large)?;
        found.push((path, facts.permissions().mode() & 0o7777, bytes));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &str) -> u32 {
        if path.starts_with("var") { 0o750 } else { 0o755 }
    }

    #[test]
    fn a_tree_appears_complete_with_its_modes_and_is_read_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let tree: Vec<TreeFile<'_>> =
            vec![("etc/x/ca.crt", b"public", 0o644), ("install.sh", b"#!", 0o755), ("var/key", b"secret", 0o600)];
        for _ in 0..2 {
            let staged = stage_all(dir.path(), &[("on".to_owned(), tree.clone())], mode).expect("staged");
            staged.commit(dir.path()).expect("written");
            assert_eq!(files::names_in(dir.path()), Ok(vec!["on".to_owned()]));
        }
        let place = dir.path().join("on");
        assert_eq!(
            [".", "etc", "etc/x", "var"].map(|path| files::mode(&place.join(path)).expect("a mode")),
            [0o700, 0o755, 0o755, 0o750]
        );
        let read = read(&place, 100, 3).expect("read");
        let read: Vec<TreeFile<'_>> =
            read.iter().map(|(path, mode, bytes)| (path.as_str(), bytes.as_slice(), *mode)).collect();
        assert_eq!(read, tree);
    }

    #[test]
    fn a_file_in_the_way_stays_and_limits_hold() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("on"), "a file").expect("written");
        let tree = |name: &str| (name.to_owned(), vec![("a", b"12345".as_slice(), 0o644), ("b", b"6", 0o644)]);
        let refused = stage_all(dir.path(), &[tree("no"), tree("on")], mode).expect_err("something is in the way");
        assert_eq!(refused, StoreError::InTheWay(dir.path().join("on")));
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1, "nothing unfinished stays");
        drop(stage_all(dir.path(), &[tree("no")], mode).expect("staged"));
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1, "nor what never got to its place");
        stage_all(dir.path(), &[tree("no")], mode).and_then(|staged| staged.commit(dir.path())).expect("written");
        let place = dir.path().join("no");
        assert!(read(&place, 6, 2).is_ok());
        assert!(matches!(read(&place, 5, 2), Err(StoreError::TooLarge { .. })));
        assert!(matches!(read(&place, 6, 1), Err(StoreError::TooLarge { .. })));
        std::os::unix::fs::symlink("/etc/passwd", place.join("link")).expect("linked");
        assert!(matches!(read(&place, 6, 9), Err(StoreError::InTheWay(_))));
    }
}
