//! The reference page of the commands, generated from the tree of commands.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};
use clusterctl::commands::tree::Cli;

use super::cluster_file::filled;

const INTRODUCTION: &str = "\
# Commands

<!-- Generated from the program's own help. CONTRIBUTING.md says how. -->

Results go to stdout, everything else to stderr, and the [exit status](exit-statuses.md) says how a command ended. Every prompt has a
flag that answers it; without a terminal no command prompts. `clusterctl COMMAND --help` prints the same text.

";

const MORE: &str = "
## Shell completions and man pages

Completions know commands, flags, and the host names in the cluster file.

```console
$ clusterctl completions bash >/etc/bash_completion.d/clusterctl
$ clusterctl man /usr/local/share/man/man1
```
";

/// Returns the whole page.
pub(crate) fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| command | does |\n|---|---|\n");
    let commands = listed(&root, &[]);
    for (name, command) in &commands {
        let _ = writeln!(page, "| [`{name}`](#{}) | {} |", name.replace(' ', "-"), about(command));
    }
    page.push_str("\n## Global options\n\nEvery command takes them.\n\n");
    for arg in root.get_arguments().filter(|arg| is_listed(arg)) {
        option(&mut page, arg);
    }
    for (name, command) in commands {
        section(&mut page, &name, command);
    }
    page.push_str(MORE);
    page
}

/// Returns every command that can be run, with its full name.
fn listed<'c>(command: &'c Command, path: &[&'c str]) -> Vec<(String, &'c Command)> {
    let mut found = Vec::new();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let path = [path, &[sub.get_name()]].concat();
        if sub.has_subcommands() && sub.is_subcommand_required_set() {
            found.extend(listed(sub, &path));
        } else {
            found.push((path.join(" "), sub));
        }
    }
    found
}

fn section(page: &mut String, name: &str, command: &Command) {
    let usage = command.clone().render_usage().to_string();
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "\n## {name}\n\n");
    for paragraph in about.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let _ = write!(page, "{}\n\n", filled(&sentence(&escaped(paragraph))));
    }
    let _ = write!(page, "```text\n{}\n```\n", usage.trim());
    let options: Vec<&Arg> = command.get_arguments().filter(|arg| is_listed(arg) && !arg.is_global_set()).collect();
    if !options.is_empty() {
        page.push('\n');
    }
    for arg in options {
        option(page, arg);
    }
    if let Some(help) = command.get_after_long_help().or(command.get_after_help()) {
        more(page, &help.to_string());
    }
}

/// Adds the examples of a command, and the text after them.
fn more(page: &mut String, help: &str) {
    for paragraph in help.split("\n\n") {
        match paragraph.strip_prefix("Examples:\n") {
            Some(examples) => {
                let lines: Vec<&str> =
                    examples.lines().map(|line| line.trim_start().trim_start_matches("$ ")).collect();
                let _ = write!(page, "\n```text\n{}\n```\n", lines.join("\n"));
            }
            None => {
                let _ = write!(page, "\n{}\n", filled(&escaped(paragraph)));
            }
        }
    }
}

fn is_listed(arg: &Arg) -> bool {
    !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
}

fn option(page: &mut String, arg: &Arg) {
    let values = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let values = values.map(|names| names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" "));
    let flags = [arg.get_short().map(|c| format!("-{c}")), arg.get_long().map(|long| format!("--{long}"))];
    let flags: Vec<String> = flags.into_iter().flatten().collect();
    let shown = match (flags.is_empty(), values) {
        (true, values) => values.unwrap_or_default(),
        (false, Some(values)) => format!("{} {values}", flags.join(", ")),
        (false, None) => flags.join(", "),
    };
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let item = |line: &'_ str| line.strip_prefix("  ").and_then(|line| line.split_once("  ")).is_some();
    let lines: Vec<&str> = help.lines().filter(|line| !line.is_empty()).collect();
    let (prose, listed) = lines.split_at(lines.iter().position(|line| item(line)).unwrap_or(lines.len()));
    let mut text = sentence(&escaped(&prose.join(" ")));
    if arg.get_action().takes_values() && !arg.is_hide_possible_values_set() {
        let all = arg.get_possible_values();
        let all: Vec<String> =
            all.iter().filter(|value| !value.is_hide_set()).map(|value| format!("`{}`", value.get_name())).collect();
        if !all.is_empty() {
            let _ = write!(text, " Values: {}.", all.join(", "));
        }
        let defaults: Vec<_> = arg.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
        if !defaults.is_empty() {
            let _ = write!(text, " Default: {}.", defaults.join(", "));
        }
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, " Environment: `{}`.", variable.display());
    }
    let _ = writeln!(page, "- `{shown}`: {}", filled(text.trim()).replace('\n', "\n  "));
    let mut indent = "  ";
    for line in listed {
        match line.trim_start().split_once(' ') {
            Some((name, text)) if item(line) => {
                let _ = writeln!(page, "{indent}- `{name}`: {}", sentence(&escaped(text)));
            }
            // The head of further items.
            _ => {
                let _ = writeln!(page, "  - {}", sentence(&escaped(line)));
                indent = "    ";
            }
        }
    }
}

fn about(command: &Command) -> String {
    command.get_about().map(|about| escaped(&about.to_string()).replace('|', "\\|")).unwrap_or_default()
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', ':', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// Returns text escaped so that Markdown finds no HTML and no emphasis in it.
fn escaped(text: &str) -> String {
    text.replace('<', "\\<").replace('*', "\\*").replace("__", "\\_\\_")
}
