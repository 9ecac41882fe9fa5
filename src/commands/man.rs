//! `man`: the manual pages.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::store::files;

/// The arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder of the pages; created if it does not exist
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

/// Runs `man`.
///
/// # Errors
/// Returns an error if the folder cannot be written to.
pub fn run(args: &ManArgs, mut command: clap::Command, context: &mut Context<'_>) -> Result<Exit> {
    let dir = context.path(&args.folder);
    files::create_open_folder(&dir)?;
    command.build();
    for (name, command) in pages(PROGRAM.to_owned(), &command) {
        let mut page = Vec::new();
        render(&name, command.clone(), &mut page)
            .map_err(|error| CliError::new(Exit::Bug, "a man page could not be rendered").because(error))?;
        let path = dir.join(format!("{name}.1"));
        files::replace(&path, &page, files::PUBLIC)?;
        context.screen.answer(path.display());
    }
    Ok(Exit::Done)
}

/// Returns a command and all commands below it, with the names of their pages.
fn pages(name: String, command: &clap::Command) -> Vec<(String, &clap::Command)> {
    let below = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    let below = below.flat_map(|sub| pages(format!("{name}-{}", sub.get_name()), sub)).collect::<Vec<_>>();
    [(name, command)].into_iter().chain(below).collect()
}

/// Renders a page as `Man::render` does, but for the synopsis.
///
/// clap_mangen's synopsis lists flags without their values, and does not mark repeatable arguments.
fn render(name: &str, mut command: clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace('\\', "\\e").replace('-', "\\-");
    let has_subcommands = command.has_subcommands();
    let man = Man::new(command.display_name(name.to_owned())).title(name.to_owned());
    man.render_title(page)?;
    man.render_name_section(page)?;
    writeln!(page, ".SH SYNOPSIS\n\\fB{usage}\\fR")?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if has_subcommands {
        man.render_subcommands_section(page)?;
    }
    let mut extra = Vec::new();
    man.render_extra_section(&mut extra)?;
    page.extend(without_filling_examples(&String::from_utf8_lossy(&extra)).into_bytes());
    Ok(())
}

/// Returns a section in which roff neither joins nor breaks the lines of examples: some have words that are longer than a line.
fn without_filling_examples(section: &str) -> String {
    let (mut text, mut is_example) = (String::new(), false);
    for line in section.lines() {
        if line.starts_with("  ") != is_example {
            is_example = !is_example;
            text.push_str(if is_example { ".nf\n" } else { ".fi\n" });
        }
        text.push_str(line);
        text.push('\n');
    }
    if is_example {
        text.push_str(".fi\n");
    }
    text
}

const PROGRAM: &str = "clusterctl";
