//! What other programs print, and what they leave on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What a program prints, which has to end well.
#[track_caller]
pub(crate) fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {shown}{}", String::from_utf8_lossy(&output.stderr));
    shown
}

/// Everything below `root`: path → mode and bytes; folders have none.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let facts = fs::symlink_metadata(&path).expect("facts");
            let name = path.strip_prefix(root).expect("below").to_str().expect("a text").to_owned();
            let bytes = if facts.is_file() { fs::read(&path).expect("read") } else { Vec::new() };
            found.insert(name, (facts.permissions().mode() & 0o7777, bytes));
            if facts.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}
