//! Files of the repository that are generated from the program. With `CLUSTERCTL_BLESS=1` the test writes them.

use std::path::Path;

use clap::ValueEnum;
use clusterctl::commands::completions::ShellName;

use crate::documentation::{cluster_file, cluster_schema, commands, lint_rules};
use crate::support::Lab;

/// The variable that makes the test write stale files instead of reporting them.
const BLESS: &str = "CLUSTERCTL_BLESS";

#[test]
fn files_are_current() {
    let lab = Lab::empty();
    let mut files = vec![
        ("docs/src/reference/cluster-file.md".to_owned(), cluster_file::page()),
        ("docs/src/reference/commands.md".to_owned(), commands::page()),
        ("docs/src/reference/lint-rules.md".to_owned(), lint_rules::page()),
        ("schemas/cluster.schema.json".to_owned(), cluster_schema::text()),
    ];
    for shell in ShellName::ALL {
        let name = shell.to_possible_value().expect("a name").get_name().to_owned();
        files.push((format!("completions/{}", shell.file_name()), lab.good(&["completions", &name]).out));
    }
    let bless = std::env::var(BLESS).is_ok_and(|value| value == "1");
    let mut stale = Vec::new();
    for (path, wanted) in files {
        let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        if std::fs::read_to_string(&full).ok().as_ref() == Some(&wanted) {
            continue;
        }
        match bless {
            true => std::fs::write(&full, wanted).unwrap_or_else(|error| panic!("{path}: {error}")),
            false => stale.push(path),
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} are stale; write them by: {BLESS}=1 cargo test --test suite files_are_current"
    );
}
