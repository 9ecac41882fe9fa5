//! `version`, and what `build.rs` records about the source: with git, without, and in a package.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::outside::needs;
use crate::support::{Lab, forms, good_tool};

/// Returns the compiled build script.
fn script(lab: &Lab) -> PathBuf {
    let (source, program) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs"), lab.path("build-script"));
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let (source, out) = (source.display().to_string(), program.display().to_string());
    good_tool(&rustc, &["--edition", "2024", "-o", &out, &source]);
    program
}

/// Runs the script in `folder`, and returns the variables that it sets and the files that it watches.
fn run_script(script: &Path, folder: &Path, variables: &[(&str, &str)]) -> (BTreeMap<String, String>, Vec<String>) {
    let mut command = Command::new(script);
    for name in ["CLUSTERCTL_COMMIT", "CLUSTERCTL_COMMIT_DATE", "SOURCE_DATE_EPOCH", "RUSTC", "TARGET", "PROFILE"] {
        command.env_remove(name);
    }
    let output = command.current_dir(folder).envs(variables.iter().copied()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let facts = text.lines().filter_map(|line| line.strip_prefix("cargo:rustc-env=CLUSTERCTL_BUILD_")?.split_once('='));
    let watched = text.lines().filter_map(|line| line.strip_prefix("cargo:rerun-if-changed="));
    (facts.map(|(name, fact)| (name.to_owned(), fact.to_owned())).collect(), watched.map(str::to_owned).collect())
}

fn facts(facts: &[(&str, &str)]) -> BTreeMap<String, String> {
    facts.iter().map(|(name, fact)| ((*name).to_owned(), (*fact).to_owned())).collect()
}

#[test]
fn without_git_commit_and_date_come_from_the_environment() {
    let lab = Lab::empty();
    let script = script(&lab);
    let package = lab.path("package");
    std::fs::create_dir(&package).expect("made");
    let release = ("PROFILE", "release");
    let watched = vec!["build.rs".to_owned()];
    assert_eq!(run_script(&script, &package, &[release]), (facts(&[]), watched.clone()));
    let named = [release, ("CLUSTERCTL_COMMIT", "abc1234"), ("CLUSTERCTL_COMMIT_DATE", "2026-01-02"), ("TARGET", "t")];
    assert_eq!(
        run_script(&script, &package, &named),
        (facts(&[("COMMIT", "abc1234"), ("COMMIT_DATE", "2026-01-02"), ("TARGET", "t")]), watched.clone())
    );
    let dated = |seconds| run_script(&script, &package, &[release, ("SOURCE_DATE_EPOCH", seconds)]).0;
    for (seconds, date) in [("0", "1970-01-01"), ("951868800", "2000-03-01"), ("1795435199", "2026-11-23")] {
        assert_eq!(dated(seconds), facts(&[("COMMIT_DATE", date)]));
    }
    assert_eq!(dated("tomorrow"), facts(&[]));
    lab.write(
        "package/.cargo_vcs_info.json",
        "{\n  \"git\": {\n    \"sha1\": \"0123abcd\"\n  },\n  \"path_in_vcs\": \"\"\n}",
    );
    assert_eq!(run_script(&script, &package, &[release]), (facts(&[("COMMIT", "0123abcd")]), watched));
}

#[test]
fn with_git_only_a_release_build_reads_the_commit() {
    needs!("git");
    let lab = Lab::empty();
    let script = script(&lab);
    let folder = lab.path("repository");
    let at = folder.display().to_string();
    good_tool("git", &["init", "--quiet", "--initial-branch=main", &at]);
    let git = |args: &[&str]| {
        let user = ["-c", "user.name=a", "-c", "user.email=a@example.net", "-c", "commit.gpgsign=false"];
        good_tool("git", &[&["-C", &at], &user[..], args].concat())
    };
    git(&["commit", "--quiet", "--allow-empty", "--date=2026-01-02T03:04:05Z", "--message=first"]);
    let head = git(&["rev-parse", "HEAD"]);
    let (facts, watched) = run_script(&script, &folder, &[("PROFILE", "release")]);
    assert_eq!(facts["COMMIT"], head.trim());
    assert_eq!(facts["COMMIT_DATE"].len(), 10);
    assert_eq!(watched, ["build.rs", ".git/HEAD", ".git/refs/heads/main"]);
    let (facts, watched) = run_script(&script, &folder, &[("PROFILE", "debug")]);
    assert_eq!((facts.len(), watched.len()), (0, 1));
    // A package unpacked inside another repository does not belong to it.
    std::fs::create_dir(folder.join("package")).expect("made");
    assert_eq!(run_script(&script, &folder.join("package"), &[("PROFILE", "release")]).0.len(), 0);
}

#[test]
fn version_is_printed_as_text_and_as_json() {
    let lab = Lab::empty();
    let text = lab.good(&["version"]).out;
    assert_eq!(text.lines().next(), Some(concat!("clusterctl ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(text.lines().count(), 5);
    let json = lab.good(&["version", "-o", "json"]).out;
    forms::conforms("version", &json);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert!(json["target"].is_string() && json["rustc"].is_string(), "{json}");
}
