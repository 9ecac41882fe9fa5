//! The README and the book are checked against the program: commands parse and run, tables match the program, links
//! have targets.

mod cluster_file;
mod cluster_schema;
mod commands;
mod generated;
mod lint_rules;

use std::collections::BTreeSet;
use std::path::Path;

use clap::{CommandFactory, Parser};
use clusterctl::cluster::profile::{Holder, TABLE, Usage};
use clusterctl::commands::tree::Cli;

use crate::support::encryption::{age_key, ssh_key};
use crate::support::outside::needs;
use crate::support::{Lab, good_tool};

/// Returns the README and the book's pages in the order of the table of contents, each with its path in the repository.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: String| {
        let text = std::fs::read_to_string(root.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        (path, text)
    };
    let (_, summary) = read("docs/src/SUMMARY.md".to_owned());
    let pages = summary.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    std::iter::once("README.md".to_owned()).chain(pages.map(|(page, _)| format!("docs/src/{page}"))).map(read).collect()
}

/// Returns a page of the book, by its path without the extension.
fn page(name: &str) -> String {
    let path = format!("docs/src/{name}.md");
    let (_, text) = documents().into_iter().find(|(at, _)| *at == path).unwrap_or_else(|| panic!("{path} is listed"));
    text
}

/// Returns the rows of the tables in `text` as trimmed cells, without headers and rulers.
fn rows(text: &str) -> Vec<Vec<&str>> {
    fn row(line: &str) -> Vec<&str> {
        line.trim_matches('|').split('|').map(str::trim).collect()
    }
    let lines: Vec<&str> = text.lines().collect();
    let body = lines.iter().enumerate().filter(|(i, line)| {
        let head = lines.get(i + 1).is_some_and(|next| next.starts_with("|---"));
        line.starts_with('|') && !line.starts_with("|---") && !head
    });
    body.map(|(_, line)| row(line)).collect()
}

/// Returns the lines of the code blocks; a line that ends in `\` is joined with the next one.
fn code_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut inside, mut goes_on) = (false, false);
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside {
            let (part, more) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
            match lines.last_mut() {
                Some(last) if goes_on => last.push_str(part),
                _ => lines.push(part.to_owned()),
            }
            goes_on = more;
        }
    }
    lines
}

/// Returns the code between single backticks in the running text.
fn code_spans(text: &str) -> Vec<&str> {
    let prose = text.split("\n```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// Returns the words of a shell command up to a redirection or the next command.
fn words(line: &str) -> Vec<String> {
    let ends = |word: &&str| !word.starts_with(['>', '|', ';', '&', '#']);
    line.split_whitespace().take_while(ends).map(|word| word.replace(['"', '\''], "")).collect()
}

fn parses(line: &str) -> bool {
    // For --help clap returns an error value.
    Cli::try_parse_from(words(line)).map_or_else(|error| !error.use_stderr(), |_| true)
}

#[test]
fn every_command_line_parses() {
    let mut found = 0;
    for (path, text) in documents() {
        for line in code_lines(&text) {
            let line = line.trim_start().trim_start_matches("- ");
            let line = line.strip_prefix("$ ").unwrap_or(line);
            if line.starts_with("clusterctl ") {
                assert!(parses(line), "{path}: {line:?} is no command");
                found += 1;
            }
        }
    }
    assert!(found >= 20, "only {found} commands were found");
    assert!(!parses("clusterctl verify --nodes on") && !parses("clusterctl issue-nodes --all"));
}

#[test]
fn every_command_in_the_running_text_parses() {
    let commands = Cli::command();
    let names: BTreeSet<&str> = commands.get_subcommands().map(clap::Command::get_name).collect();
    let mut found = 0;
    for (path, text) in documents() {
        for span in code_spans(&text) {
            let line = span.strip_prefix("clusterctl ").unwrap_or(span);
            // A command's name alone refers to the command.
            let is_name = line.split(' ').try_fold(&commands, |command, word| command.find_subcommand(word)).is_some();
            if names.contains(line.split(' ').next().unwrap_or_default()) && !is_name {
                assert!(parses(&format!("clusterctl {line}")), "{path}: `{span}` is no command");
                found += 1;
            }
        }
    }
    assert!(found >= 4, "only {found} commands were found");
}

/// Returns the commands of the blocks in order; a line that ends in `\\` is joined with the next one.
fn session(text: &str) -> Vec<String> {
    code_lines(text).into_iter().filter_map(|line| line.strip_prefix("$ ").map(str::to_owned)).collect()
}

/// Returns true if a command needs resources that a test does not have: a live cluster, a host, another checkout.
fn needs_more(command: &str) -> bool {
    let live = command.contains("clusterctl verify") && !command.contains("--offline");
    let elsewhere =
        ["cargo ", "tests/run", "mkdir ", "demo", "age -d", "tar cz ", "/etc/", "/usr/", "open on.tar.gz.age"];
    live || command.starts_with("kubectl ") || elsewhere.iter().any(|word| command.contains(word))
}

#[test]
fn console_blocks_of_the_readme_run_in_order() {
    needs!("age-keygen", "ssh-keygen");
    let (_, text) = documents().swap_remove(0);
    let ran = run_session(&session(&text));
    assert!(ran >= 10, "only {ran} commands were run");
}

#[test]
fn console_blocks_of_the_book_run_in_order() {
    needs!("age-keygen", "ssh-keygen");
    let commands: Vec<String> = documents().iter().skip(1).flat_map(|(_, text)| session(text)).collect();
    let ran = run_session(&commands);
    assert!(ran >= 25, "only {ran} commands were run");
}

/// Runs the commands in a new folder, except those that [need more](needs_more), and returns how many were run.
fn run_session(commands: &[String]) -> usize {
    let lab = Lab::empty();
    let at = |path: &str| lab.path(path).display().to_string();
    for folder in ["prod", "host", "root", ".ssh"] {
        std::fs::create_dir(lab.path(folder)).expect("made");
    }
    lab.write("nodes.json", include_str!("data/nodes-from-kubectl.json"));
    lab.write("passphrase", "correct horse battery staple\n");
    let signer = ssh_key(&lab, ".ssh/id_ed25519", "ed25519", "");
    lab.write("host/allowed_signers", &format!("admin@example.net {signer}\n"));
    let recipient = age_key(&lab, "age");
    let mut ran = 0;
    for command in commands.iter().filter(|command| !needs_more(command)) {
        let command = command
            .replace("sudo ", "")
            // There is no terminal to prompt at.
            .replace("clusterctl revoke", "clusterctl revoke --yes")
            .replace("clusterctl remove", "clusterctl remove --yes")
            .replace("issue-admin --break-glass", "issue-admin --yes --break-glass")
            .replace("clusterctl init ", "clusterctl init --name prod ")
            .replace("age1l2ssrzt…", &recipient)
            .replace("/run/credentials/ca-passphrase", &at("passphrase"));
        if command.contains("--known-hosts") {
            let cluster = lab.read("prod/cluster.yaml");
            let names = cluster.lines().filter_map(|line| line.strip_prefix("- name: \"")?.strip_suffix('"'));
            let line = |(i, name): (usize, &str)| {
                format!("{name} {}\n", ssh_key(&lab, &format!("host-key-{i}"), "ed25519", ""))
            };
            lab.write(".ssh/known_hosts", &names.enumerate().map(line).collect::<String>());
        }
        // The page says to remove the node from the cluster file first.
        if command.contains("remove --yes worker-b1") {
            let cluster = lab.read("prod/cluster.yaml");
            if let Some((before, rest)) = cluster.split_once("- name: \"worker-b1\"\n") {
                let rest = rest.find("\n- ").map_or("", |end| &rest[end + 1..]);
                lab.write("prod/cluster.yaml", &format!("{before}{rest}"));
            }
        }
        let on_a_host = ["on.tar.gz", "on/"]
            .iter()
            .any(|word| format!(" {command}").contains(&format!(" {word}")) && !command.contains("bundles/"));
        if on_a_host && command.contains("on.tar.gz") {
            good_tool("rm", &["-rf", &at("host/on")]);
            good_tool("cp", &[&at("prod/bundles/on.tar.gz"), &at("host/on.tar.gz")]);
        }
        let program = Path::new(env!("CARGO_BIN_EXE_clusterctl")).parent().expect("a folder").display().to_string();
        let output = std::process::Command::new("sh")
            .args(["-c", &command])
            .current_dir(lab.path(if on_a_host { "host" } else { "prod" }))
            .env("PATH", format!("{program}:{}", std::env::var("PATH").expect("a PATH")))
            .env("HOME", lab.dir())
            .env("DESTDIR", lab.path("root"))
            .env("CLUSTERCTL_CA_PASSPHRASE", "correct horse battery staple")
            .env_remove("CLUSTERCTL_DIR")
            .output()
            .expect("sh");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}{}", String::from_utf8_lossy(&output.stdout));
        ran += 1;
    }
    ran
}

#[test]
fn readme_begins_with_the_demo_and_the_tests() {
    let (_, text) = documents().swap_remove(0);
    let first: Vec<String> = code_lines(&text).into_iter().filter(|line| line.starts_with("$ ")).take(2).collect();
    assert_eq!(first, ["$ cargo run --release -- demo", "$ tests/run"]);
    assert!(parses("clusterctl demo") && Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run").is_file());
}

#[test]
fn documented_exit_statuses_match_the_help() {
    let help = Cli::command().get_after_help().expect("exit statuses").to_string();
    let printed = help.lines().skip(1).map(|line| line.trim().split_once(' ').expect("a number and a text"));
    let printed: Vec<Vec<&str>> = printed.map(|(status, means)| vec![status, means.trim()]).collect();
    assert_eq!(printed.len(), 9);
    assert_eq!(rows(&page("reference/exit-statuses")), printed);
}

#[test]
fn documented_certificates_match_the_profiles() {
    let text = page("reference/certificates");
    let rows = rows(&text);
    let documented: Vec<(&str, &str, &str)> = rows
        .iter()
        .filter(|row| row[0].starts_with('`'))
        .map(|row| (row[0].trim_matches('`'), row[1], row[3]))
        .collect();
    let policy = TABLE.map(|policy| {
        let holder = match policy.holder {
            Holder::Master => "master",
            Holder::Node => "node",
            Holder::Cluster => "cluster",
            Holder::Person => "person",
        };
        let usage = match policy.usage {
            Usage::Server => "server",
            Usage::Client => "client",
            Usage::ServerAndClient => "server and client",
        };
        (policy.name, holder, usage)
    });
    assert_eq!(documented, policy);
}

#[test]
fn documented_checks_match_the_catalogue() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let online = lab.good(&["demo", "-v"]);
    let offline = lab.good(&["verify", "--offline", "-v"]);
    let mut made = BTreeSet::new();
    for out in [&online.out, &offline.out] {
        made.extend(out.split_whitespace().filter(|word| is_check(word)).map(str::to_owned));
    }
    // The demo has only addresses, no names, and no revocations.
    made.extend(
        ["node.resolve", "master.resolve", "node.revoked", "master.revoked", "master.denials"].map(str::to_owned),
    );
    // Only `verify --enrolment` makes these.
    made.extend(
        ["connect", "chain", "name", "anonymous", "untrusted", "other-node"]
            .map(|aspect| format!("enrolment.{aspect}")),
    );
    // Those of `--phase`, which a rotation alone has.
    let of_phases = ["new-root", "old-root", "served-root", "installed"];
    made.extend(of_phases.iter().flat_map(|check| [format!("node.{check}"), format!("master.{check}")]));
    made.insert("master.token-keys".to_owned());
    let of_etcd = ["connect", "chain", "new-root", "old-root", "served-root", "installed", "health"];
    made.extend(of_etcd.map(|aspect| format!("etcd.{aspect}")));
    let text = page("reference/checks");
    let documented: BTreeSet<String> = rows(&text)
        .iter()
        .flat_map(|row| row[0].split_whitespace())
        .map(|cell| cell.trim_matches('`').to_owned())
        .filter(|cell| is_check(cell))
        .collect();
    assert_eq!(documented, made);
}

fn is_check(word: &str) -> bool {
    let Some((scope, aspect)) = word.split_once('.') else { return false };
    ["trust", "store", "node", "master", "enrolment", "etcd"].contains(&scope)
        && !aspect.is_empty()
        && aspect.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

#[test]
fn every_link_has_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let anchors = |text: &str| -> BTreeSet<String> {
        let headings = text.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")).collect()
    };
    let mut found = 0;
    for (path, text) in documents() {
        let folder = root.join(&path).parent().expect("a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            found += 1;
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root.join(&path) } else { folder.join(file) };
            assert!(target.exists(), "{path}: the link to {link} leads nowhere");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).expect("a page");
                assert!(anchors(&text).contains(anchor), "{path}: there is no heading for {link}");
            }
        }
    }
    assert!(found >= 60, "only {found} links were found");
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src");
    let listed: BTreeSet<_> = documents().into_iter().map(|(path, _)| path).collect();
    let folders = ["", "reference", "operate", "development", "development/decisions"].map(|folder| src.join(folder));
    for entry in folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("a folder")) {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "md") && !path.ends_with("SUMMARY.md") {
            let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("inside").display().to_string();
            assert!(listed.contains(&name), "{name} is not listed");
        }
    }
}
