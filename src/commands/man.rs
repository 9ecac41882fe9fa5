//! `man`: the manual pages.

use std::path::PathBuf;

use clap::Args;

use super::context::Context;
use crate::failure::{Exit, Failure};
use crate::store::files;

/// Writes the man pages, one a command, into a folder.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Where to; made if it is not there
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

/// Runs `man`.
///
/// # Errors
/// When the folder cannot be written to.
pub fn run(args: &ManArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let dir = context.path(&args.folder);
    files::create_open_folder(&dir)?;
    let mut command = (context.tree)();
    command.build();
    let pages = [("clusterctl".to_owned(), command.clone())].into_iter().chain(
        command
            .get_subcommands()
            .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
            .map(|sub| (format!("clusterctl-{}", sub.get_name()), sub.clone())),
    );
    for (name, command) in pages {
        let mut page = Vec::new();
        clap_mangen::Man::new(command.display_name(name.clone()))
            .title(name.clone())
            .render(&mut page)
            .map_err(|error| Failure::new(Exit::Bug, "a man page could not be rendered").because(error))?;
        let path = dir.join(format!("{name}.1"));
        files::replace(&path, &page, files::PUBLIC)?;
        context.screen.answer(path.display());
    }
    Ok(Exit::Done)
}
