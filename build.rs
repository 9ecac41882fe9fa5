//! Tells the program which source it was built from: `clusterctl version` prints it.
//!
//! The commit and its date come from `CLUSTERCTL_COMMIT` and `CLUSTERCTL_COMMIT_DATE` where a packager sets them, else from git in a
//! release build, else from the file that `cargo package` writes. A debug build asks no git: it would be compiled again after each commit.
//! `SOURCE_DATE_EPOCH` is the date where there is no other.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["CLUSTERCTL_COMMIT", "CLUSTERCTL_COMMIT_DATE", "SOURCE_DATE_EPOCH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let release = variable("PROFILE").is_some_and(|profile| profile == "release");
    let git = if release { from_git() } else { None };
    let (commit, date) = git.map_or_else(|| (packaged(), None), |(commit, date)| (Some(commit), Some(date)));
    let commit = variable("CLUSTERCTL_COMMIT").or(commit);
    let date = variable("CLUSTERCTL_COMMIT_DATE").or(date).or_else(source_date);
    let rustc = variable("RUSTC").and_then(|rustc| printed(Command::new(rustc).arg("--version")));
    let facts = [("COMMIT", commit), ("COMMIT_DATE", date), ("TARGET", variable("TARGET")), ("RUSTC", rustc)];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            println!("cargo:rustc-env=CLUSTERCTL_BUILD_{name}={fact}");
        }
    }
}

/// Returns the value of an environment variable, if it is a line that is not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty() && !value.contains('\n'))
}

/// Returns the commit that is checked out, and its date. A repository around an unpacked package does not count.
fn from_git() -> Option<(String, String)> {
    if !Path::new(".git").exists() {
        return None;
    }
    let git = |args: &[&str]| printed(Command::new("git").args(args));
    let head = git(&["log", "-1", "--format=%H %cd", "--date=format:%Y-%m-%d"])?;
    // A commit changes what HEAD points to; a checkout changes HEAD.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let (commit, date) = head.split_once(' ')?;
    Some((commit.to_owned(), date.to_owned()))
}

/// Returns the commit of a package (`{"git": {"sha1": "…"}, …}`).
fn packaged() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    commit.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| commit.to_owned())
}

/// Returns the day of `SOURCE_DATE_EPOCH` (reproducible-builds.org), which is in seconds.
fn source_date() -> Option<String> {
    let seconds: i64 = variable("SOURCE_DATE_EPOCH")?.parse().ok()?;
    // Days to a date of the Gregorian calendar: H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

/// Returns what a program prints, without the line's end; nothing when it fails or is missing.
fn printed(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty() && !text.contains('\n')).then_some(text)
}
