//! The README is held to the program: its commands parse, its tables are the program's, its links lead somewhere.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{CommandFactory, Parser};
use clusterctl::cli::Cli;
use clusterctl::cluster::profile::{Holder, TABLE, Usage};

use crate::support::Lab;

const README: &str = include_str!("../README.md");

/// The part of the README under a heading of the second level.
fn section(heading: &str) -> &'static str {
    let start = README.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("there is a section {heading}"));
    let text = &README[start + 1..];
    text.find("\n## ").map_or(text, |end| &text[..end])
}

/// The rows of the tables in `text`, without heads and rulers, as trimmed cells.
fn rows(text: &'static str) -> Vec<Vec<&'static str>> {
    let lines: Vec<&'static str> = text.lines().collect();
    let row = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    let body = lines.iter().enumerate().filter(|(i, line)| {
        let head = lines.get(i + 1).is_some_and(|next| next.starts_with("|---"));
        line.starts_with('|') && !line.starts_with("|---") && !head
    });
    body.map(|(_, line)| row(line)).collect()
}

/// The code blocks' lines, with those that end in `\` joined to the next.
fn code_lines() -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut inside, mut goes_on) = (false, false);
    for line in README.lines() {
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

/// The code between single backticks in the running text.
fn code_spans() -> Vec<&'static str> {
    let prose = README.split("\n```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// The words of a shell's command up to a redirection or the next command.
fn words(line: &str) -> Vec<String> {
    let ends = |word: &&str| !word.starts_with(['>', '|', ';', '&']);
    line.split_whitespace().take_while(ends).map(|word| word.replace(['"', '\''], "")).collect()
}

fn parses(line: &str) -> bool {
    // Asked for help, clap answers with an error that is none.
    Cli::try_parse_from(words(line)).map_or_else(|error| !error.use_stderr(), |_| true)
}

#[test]
fn every_command_line_parses() {
    let mut found = 0;
    for line in code_lines() {
        let line = line.trim_start().trim_start_matches("- ");
        let line = line.strip_prefix("$ ").unwrap_or(line);
        if line.starts_with("clusterctl ") {
            assert!(parses(line), "the README's {line:?} is no command");
            found += 1;
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
    for span in code_spans() {
        let line = span.strip_prefix("clusterctl ").unwrap_or(span);
        // A command's name alone speaks of the command.
        if names.contains(line.split(' ').next().unwrap_or_default()) && line.contains(' ') {
            assert!(parses(&format!("clusterctl {line}")), "the README's `{span}` is no command");
            found += 1;
        }
    }
    assert!(found >= 4, "only {found} commands were found");
}

#[test]
fn the_demo_and_the_tests_come_first() {
    let first: Vec<String> = code_lines().into_iter().filter(|line| line.starts_with("$ ")).take(2).collect();
    assert_eq!(first, ["$ cargo run --release -- demo", "$ tests/run"]);
    assert!(parses("clusterctl demo") && Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run").is_file());
}

#[test]
fn the_commands_are_those_of_the_program_in_its_order() {
    let told: Vec<String> = rows(section("Commands")).iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let command = Cli::command();
    let are = command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(|sub| sub.get_name().to_owned());
    assert_eq!(told, are.collect::<Vec<_>>());
}

#[test]
fn the_exit_statuses_are_those_of_the_help() {
    let help = Cli::command().get_after_help().expect("exit statuses").to_string();
    let told = help.lines().skip(1).map(|line| line.trim().split_once(' ').expect("a number and a text"));
    let told: Vec<Vec<&str>> = told.map(|(status, means)| vec![status, means.trim()]).collect();
    assert_eq!(told.len(), 7);
    assert_eq!(rows(section("Exit status")), told);
}

#[test]
fn the_certificates_are_those_of_the_policy() {
    let rows = rows(section("Certificates"));
    let told: Vec<(&str, &str, &str)> = rows
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
    assert_eq!(told, policy);
}

#[test]
fn the_checks_are_those_that_verify_makes() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let online = lab.good(&["demo", "-v"]);
    let offline = lab.good(&["verify", "--offline", "-v"]);
    let mut made = BTreeSet::new();
    for out in [&online.out, &offline.out] {
        made.extend(out.split_whitespace().filter(|word| is_check(word)).map(str::to_owned));
    }
    // The demo has addresses and no names, and nothing in it was revoked.
    made.extend(["node.resolve", "master.resolve", "node.revoked", "master.revoked"].map(str::to_owned));
    let table = rows(section("What verify proves"));
    let told: BTreeSet<String> = table
        .iter()
        .flat_map(|row| row[0].split_whitespace())
        .map(|cell| cell.trim_matches('`').to_owned())
        .filter(|cell| is_check(cell))
        .collect();
    assert_eq!(told, made);
}

fn is_check(word: &str) -> bool {
    let Some((scope, aspect)) = word.split_once('.') else { return false };
    ["trust", "store", "node", "master"].contains(&scope)
        && !aspect.is_empty()
        && aspect.bytes().all(|b| b.is_ascii_lowercase())
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let headings: BTreeSet<String> = README
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    let mut found = 0;
    for link in README.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
        found += 1;
        match link.strip_prefix('#') {
            Some(anchor) => assert!(headings.contains(anchor), "the README has no heading for {link}"),
            None if link.starts_with("https://") => {}
            None => assert!(root.join(link).exists(), "the README's link to {link} leads nowhere"),
        }
    }
    assert!(found >= 25, "only {found} links were found");
}
