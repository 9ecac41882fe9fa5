//! Third-party programs: whether they are installed, what they print, and what they leave on the disk.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Set to 1, as `tests/run` does, a missing program is a failure.
const REQUIRE: &str = "CLUSTERCTL_REQUIRE_PROGRAMS";

/// Leaves out the rest of a test when one of the named programs is not installed, and says so.
///
/// `python3-yaml` and `python3-jsonschema` are modules of `/usr/bin/python3`; `root` is the right to mount and to change owners.
macro_rules! needs {
    ($($program:literal),+ $(,)?) => {
        if $crate::support::outside::is_left_out(&[$($program),+]) {
            return;
        }
    };
}
pub(crate) use needs;

/// Returns true if a program is missing.
///
/// The line that names it goes directly to the standard error, because the test harness hides the output of tests that
/// pass.
#[track_caller]
pub(crate) fn is_left_out(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !is_installed(program)).collect();
    if missing.is_empty() {
        return false;
    }
    let missing = missing.join(", ");
    assert!(
        !std::env::var(REQUIRE).is_ok_and(|value| value == "1"),
        "needed by this test, and not installed: {missing}"
    );
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("left out: {test}: not installed: {missing}\n").as_bytes());
    true
}

fn is_installed(program: &str) -> bool {
    static KNOWN: Mutex<Option<HashMap<String, bool>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    *known.entry(program.to_owned()).or_insert_with(|| look_for(program))
}

fn look_for(program: &str) -> bool {
    if program == "root" {
        return rustix::process::geteuid().is_root();
    }
    if let Some(module) = program.strip_prefix("python3") {
        let script = format!("import {}", if module.is_empty() { "sys" } else { module.trim_start_matches('-') });
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        return python.status().is_ok_and(|status| status.success());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // nginx is in sbin, which is not on every user's PATH.
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders
        .map(|folder| folder.join(program))
        .any(|file| fs::metadata(file).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0))
}

/// Runs a program, which must succeed, and returns its output.
#[track_caller]
pub(crate) fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {shown}{}", String::from_utf8_lossy(&output.stderr));
    shown
}

/// Returns everything below `root`: path → mode and bytes; folders have no bytes.
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
