//! Imports point down only, and each crate is only named in its own module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The layers from the bottom up. A module may import from those below it, and from itself.
const LAYERS: [(&str, &[&str]); 24] = [
    ("sanitize", &[]),
    ("cluster", &[]),
    ("pki", &["cluster"]),
    ("signers", &["sanitize", "cluster", "pki"]),
    ("config", &["cluster"]),
    ("enrol", &["sanitize", "cluster", "pki", "config"]),
    ("https", &["sanitize", "cluster", "pki"]),
    ("store", &["sanitize", "cluster", "pki", "enrol"]),
    ("rbac", &["cluster", "pki"]),
    ("bundle", &["cluster", "pki", "config", "rbac"]),
    ("html", &["sanitize", "pki"]),
    ("metrics", &["sanitize"]),
    ("verify", &["sanitize", "html", "metrics", "cluster", "pki"]),
    ("explain", &["cluster", "pki", "config", "bundle"]),
    ("fake_cluster", &["cluster", "pki", "verify"]),
    ("mailbox", &["sanitize", "cluster", "pki", "config", "enrol"]),
    ("server", &["sanitize", "metrics", "cluster", "pki", "config", "enrol", "store"]),
    (
        "app",
        &[
            "sanitize", "metrics", "cluster", "pki", "signers", "config", "enrol", "store", "rbac", "bundle", "verify",
            "explain", "mailbox", "server", "https",
        ],
    ),
    ("ui", &["sanitize", "cluster", "pki"]),
    (
        "cli",
        &[
            "sanitize", "html", "metrics", "cluster", "pki", "signers", "config", "enrol", "mailbox", "store", "rbac",
            "bundle", "verify", "server", "app", "ui",
        ],
    ),
    (
        "commands",
        &[
            "sanitize",
            "cluster",
            "pki",
            "config",
            "enrol",
            "mailbox",
            "store",
            "rbac",
            "bundle",
            "verify",
            "explain",
            "fake_cluster",
            "server",
            "app",
            "ui",
            "cli",
        ],
    ),
    ("program", &["pki", "app", "ui", "cli", "commands"]),
    ("lib", &["program"]),
    ("main", &[]),
];

/// Crates, and the modules that may name them.
const CRATES: [(&str, &[&str]); 34] = [
    ("rcgen", &["pki"]),
    ("ring", &["pki"]),
    ("x509_parser", &["pki"]),
    ("pkcs8", &["pki"]),
    ("pkcs12", &["pki"]),
    ("aes", &["pki"]),
    ("cbc", &["pki"]),
    ("des", &["pki"]),
    ("md5", &["pki"]),
    ("sha1", &["pki"]),
    ("cryptoki", &["signers"]),
    ("webpki", &["pki"]),
    ("ssh_key", &["pki"]),
    ("serde_yaml", &["config"]),
    ("rusqlite", &["store"]),
    ("age", &["bundle"]),
    ("maud", &["html", "verify", "cli"]),
    ("minijinja", &["bundle"]),
    ("tar", &["bundle"]),
    ("flate2", &["bundle"]),
    ("hyper", &["verify", "fake_cluster", "server"]),
    ("hyper_util", &["fake_cluster", "verify", "server"]),
    ("reqwest", &["verify", "fake_cluster", "https", "mailbox"]),
    ("rustls", &["verify", "fake_cluster", "https", "server", "mailbox"]),
    ("tokio", &["verify", "fake_cluster", "https", "server", "mailbox"]),
    ("axum", &["server"]),
    ("prost", &["server"]),
    ("kube", &["mailbox"]),
    ("k8s_openapi", &["mailbox"]),
    ("sd_notify", &["server"]),
    ("indicatif", &["ui"]),
    ("dialoguer", &["ui"]),
    ("anyhow", &["cli"]),
    ("clap", &["ui", "cli", "commands", "program"]),
];

fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(&root).expect("below src");
                let first = relative.components().next().expect("a name").as_os_str().to_string_lossy();
                let module = first.trim_end_matches(".rs").to_owned();
                let text = std::fs::read_to_string(&path).expect("text");
                // Imports of tests inside a file are not counted.
                let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
                found.push((module, path, text));
            }
        }
    }
    found
}

fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn imports_point_down_only() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.into_iter().collect();
    let sources = sources();
    assert!(sources.len() > 40, "the walk finds the sources");
    for (module, path, text) in sources {
        let below =
            allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module} is a module that this test does not know"));
        for line in code_lines(&text) {
            let mut rest = line;
            while let Some(at) = rest.find("crate::") {
                rest = &rest[at + "crate::".len()..];
                let target: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let fine = target == module || below.contains(&target.as_str());
                assert!(fine, "{}: {module} may not import from {target}: {line}", path.display());
            }
        }
    }
}

#[test]
fn modules_are_imported_by_absolute_path() {
    // With one `super::` too many, a path leaves its module without naming it, and the test above does not detect it.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (_, path, text) in sources() {
        let depth = path.strip_prefix(&root).expect("below src").components().count();
        // A module's own mod.rs and a file at the root of src are at the top already.
        let steps = if path.ends_with("mod.rs") { depth - 1 } else { depth };
        let leads_out = "super::".repeat(steps);
        let found = code_lines(&text).find(|line| depth > 1 && line.contains(&leads_out));
        assert_eq!(found, None, "{}: write crate:: and the module's name", path.display());
    }
}

#[test]
fn each_external_crate_is_used_in_its_own_module() {
    for (module, path, text) in sources() {
        for (name, modules) in CRATES {
            if modules.contains(&module.as_str()) {
                continue;
            }
            for line in code_lines(&text) {
                // `ring::` at the beginning of a path; in `rustls::crypto::ring::…` it is a module of rustls.
                let begins_a_path = |(at, _): (usize, &str)| {
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
                };
                let prefix = format!("{name}::");
                let used =
                    line.match_indices(prefix.as_str()).any(begins_a_path) || line.trim() == format!("use {name};");
                assert!(!used, "{}: {module} may not name {name}: {line}", path.display());
            }
        }
    }
}

#[test]
fn only_the_store_accesses_the_file_system() {
    for (module, path, text) in sources().into_iter().filter(|(module, ..)| module != "store") {
        // /proc/self is not a file outside the repository.
        let of_this_process = |line: &&str| path.ends_with("process.rs") && line.contains("(\"/proc/self/");
        for line in code_lines(&text).filter(|line| !of_this_process(line)) {
            let calls = ["std::fs", "fs::File", "File::open", ".is_dir()", ".is_file()", ".exists()", ".metadata()"];
            let names = calls.iter().any(|call| line.contains(call));
            assert!(!names, "{}: {module} may not touch files: {line}", path.display());
        }
    }
}

/// Modules below `cli` that still contain a command line of clusterctl. The list must only shrink.
const COMMAND_LINES_LEFT: [&str; 1] = ["config"];

/// Only `cli` contains command lines, because they are useless for library users and in reports about other tools'
/// clusters.
#[test]
fn no_command_line_in_texts_below_cli() {
    const COMMANDS: [&str; 13] = [
        "init",
        "issue-",
        "bundle",
        "revoke",
        "policy",
        "verify -",
        "show",
        "open",
        "demo",
        "man",
        "completions",
        "crl",
        "status",
    ];
    let above = ["cli", "commands", "lib", "main", "program", "ui"];
    let mut left: Vec<&str> = COMMAND_LINES_LEFT.into();
    for (module, path, text) in sources().into_iter().filter(|(module, ..)| !above.contains(&module.as_str())) {
        for line in code_lines(&text) {
            let words = COMMANDS.iter().any(|command| line.contains(&format!("clusterctl {command}")));
            if words && let Some(at) = COMMAND_LINES_LEFT.iter().position(|left| *left == module) {
                left.retain(|left| *left != COMMAND_LINES_LEFT[at]);
            } else {
                assert!(!words, "{}: a command line is worded by cli: {line}", path.display());
            }
        }
    }
    assert_eq!(left, Vec::<&str>::new(), "take these off the list");
}

#[test]
fn nothing_below_commands_prints_or_reads_a_clock() {
    for (module, path, text) in sources() {
        let quiet = ["cluster", "pki", "rbac", "config", "store", "bundle", "verify", "explain", "app", "fake_cluster"]
            .contains(&module.as_str());
        for line in code_lines(&text) {
            let prints = ["println!", "eprintln!", "print!(", "eprint!("].iter().any(|macro_| line.contains(macro_));
            assert!(!prints, "{}: printing is the screen's: {line}", path.display());
            let clock = line.contains("SystemTime::now") || line.contains("now_utc()");
            assert!(!(quiet && clock), "{}: time is an argument: {line}", path.display());
        }
    }
}

/// Returns the path at the start of a text, or the paths of a group in braces.
fn paths(text: &str) -> Vec<String> {
    let is_path = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let start: String = text.chars().take_while(is_path).collect();
    let Some(group) = text[start.len()..].strip_prefix('{') else { return vec![start] };
    let mut found = Vec::new();
    let (mut depth, mut is_start) = (1, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => is_start = true,
            c if c.is_whitespace() => {}
            _ if is_start && depth == 1 => {
                found.extend(paths(&group[at..]).iter().map(|path| format!("{start}{path}")));
                is_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// The modules that each file imports, by their paths below `src`.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let module = |path: &Path| {
        let relative = path.strip_prefix(&root).expect("below src").with_extension("");
        let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        parts.join("::").trim_end_matches("::mod").to_owned()
    };
    let sources: BTreeMap<String, String> =
        sources().into_iter().map(|(_, path, text)| (module(&path), text)).collect();
    let imported = |(name, text): (&String, &String)| {
        let parent = name.rsplit_once("::").map_or("", |(parent, _)| parent);
        let mut found = BTreeSet::new();
        let code = code_lines(text).collect::<Vec<_>>().join(" ");
        for (prefix, base) in [("crate::", ""), ("super::", parent)] {
            for (at, _) in code.match_indices(prefix) {
                for rest in paths(&code[at + prefix.len()..]) {
                    let mut path = [base, &rest].join("::").trim_matches(':').to_owned();
                    // What is imported may be a type of a module.
                    while !sources.contains_key(&path) {
                        let Some((shorter, _)) = path.rsplit_once("::") else { break };
                        path = shorter.to_owned();
                    }
                    let related = path.starts_with(&format!("{name}::")) || name.starts_with(&format!("{path}::"));
                    if sources.contains_key(&path) && path != *name && !related {
                        found.insert(path);
                    }
                }
            }
        }
        (name.clone(), found)
    };
    sources.iter().map(imported).collect()
}

#[test]
fn groups_of_imports_are_read() {
    assert_eq!(paths("a::b;"), ["a::b"]);
    assert_eq!(paths("a::{b, c::{d, e}, f::g}; h"), ["a::b", "a::c::d", "a::c::e", "a::f::g"]);
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut imports = imports();
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 1000, "imports are found");
    // Files that import nothing of the rest are in no circle.
    loop {
        let rest: BTreeSet<String> = imports.keys().cloned().collect();
        imports.retain(|_, imported| imported.iter().any(|one| rest.contains(one)));
        if imports.len() == rest.len() {
            break;
        }
    }
    assert!(imports.is_empty(), "these files import each other, or files that do: {imports:#?}");
}

/// The limits of lines. Longer files and functions are split by concern.
const MAX_FILE: usize = 500;
const MAX_FUNCTION: usize = 80;

#[test]
fn files_and_functions_are_short() {
    for (_, path, text) in sources().into_iter().filter(|(_, path, _)| !path.ends_with("tests.rs")) {
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() <= MAX_FILE, "{}: {} lines", path.display(), lines.len());
        for (at, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let is_function =
                ["fn ", "pub fn ", "async fn ", "pub async fn "].iter().any(|start| code.starts_with(start))
                    || code.starts_with("pub(") && code.contains(" fn ");
            if is_function && !line.ends_with(['}', ';']) {
                // rustfmt puts the closing brace below the beginning of the first line.
                let end = format!("{}}}", &line[..line.len() - code.len()]);
                let length = lines[at..].iter().position(|line| *line == end).map_or(0, |length| length + 1);
                assert!(length <= MAX_FUNCTION, "{}:{}: {length} lines", path.display(), at + 1);
            }
        }
    }
}
