//! A plain Go program that makes the same files, where there is a toolchain to build it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::cost::Cost;

/// The built program.
pub(crate) struct Golang(PathBuf);

impl Golang {
    /// Builds it in `folder`, or returns the reason of a failure.
    pub(crate) fn build(folder: &Path) -> Result<Self, String> {
        let go = std::env::var_os("GO").unwrap_or_else(|| OsString::from("go"));
        let shown = go.to_string_lossy().into_owned();
        let program = folder.join("floor-in-go");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/fleet/floor.go");
        let built = Command::new(go)
            .args(["build", "-o"])
            .args([&program, &source])
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local")
            .env("GOCACHE", folder.join("go-cache"))
            .output();
        match built {
            Err(error) => Err(format!("{shown}: {error}; the variable GO may name a toolchain")),
            Ok(built) if !built.status.success() => Err(String::from_utf8_lossy(&built.stderr).into_owned()),
            Ok(_) => Ok(Self(program)),
        }
    }

    /// Reads the program's file into the kernel's cache, completely, because the program cannot be run without work.
    pub(crate) fn load(&self) {
        std::fs::read(&self.0).expect("the program");
    }

    /// Returns the time that so many nodes take, in a new folder.
    pub(crate) fn issue(&self, folder: &Path, nodes: usize) -> Cost {
        let place = folder.display().to_string();
        child::run(&self.0, &[&place, &nodes.to_string()], Path::new("/")).cost
    }
}
