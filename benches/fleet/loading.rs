//! Reading a cluster file and nothing else, in a process of its own: in one that has held much memory before, a second reading
//! finds it there, and a first one has to wait for the kernel to clear it.

use std::hint::black_box;
use std::path::Path;

use crate::child::{self, Run};

/// The type that the file is read into.
#[derive(Clone, Copy)]
pub(crate) enum Loading {
    /// YAML of any shape: what the YAML crate takes by itself.
    Untyped,
    /// A cluster, checked.
    Cluster,
}

impl Loading {
    const fn argument(self) -> &'static str {
        match self {
            Self::Untyped => "load-untyped",
            Self::Cluster => "load-cluster",
        }
    }
}

/// Runs this program again, for `file` alone.
pub(crate) fn run(what: Loading, file: &Path) -> Run {
    let program = std::env::current_exe().expect("this program's path");
    let file = file.display().to_string();
    child::run(&program, &[what.argument(), &file], Path::new("/"))
}

/// In the process that [`run`] starts: does what it was started for, and says that it did.
pub(crate) fn was_asked_for() -> bool {
    let mut arguments = std::env::args().skip(1);
    let (Some(what), Some(file)) = (arguments.next(), arguments.next()) else { return false };
    let read = || std::fs::read(&file).expect("the cluster file");
    if what == Loading::Untyped.argument() {
        black_box(serde_yaml::from_slice::<serde_yaml::Value>(&read()).expect("YAML"));
    } else if what == Loading::Cluster.argument() {
        black_box(clusterctl::config::read(&read()).expect("a good cluster file"));
    } else {
        return false;
    }
    true
}
