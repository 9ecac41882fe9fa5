//! `register`: registers the cluster at a bootstrap endpoint.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::enrol::announce;
use crate::app::{Error, input};
use crate::cli::args::output::OutputFormat;
use crate::cli::args::passphrase_file::warn_if_open;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cli::output::announcements;
use crate::cluster::endpoint::{Endpoint, EndpointError};
use crate::enrol::token::{MAX_FILE, Token};

/// The arguments of `register`.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// The bootstrap endpoint
    #[arg(value_name = "URL", value_parser = parse_url)]
    url: Endpoint,
    /// A file with the registration token of the endpoint; - is standard input
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    token_file: PathBuf,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

pub(in crate::commands) fn parse_url(text: &str) -> Result<Endpoint, EndpointError> {
    Endpoint::parse(text)
}

/// Returns the token in a file.
pub(super) fn token_in(path: &Path, context: &mut Context<'_>, remedy: &str) -> Result<Token> {
    let path = context.input(path);
    let bytes = zeroize::Zeroizing::new(input::read_or_wait(&path, MAX_FILE, "token file").map_err(Error::from)?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let none = |error| {
        let what = format!("there is no token in {}", path.display());
        CliError::new(Exit::Usage, what).hint(remedy).because(error)
    };
    let token = Token::parse(text).map_err(none)?;
    warn_if_open("token file", &path, context);
    Ok(token)
}

/// Runs `register`.
///
/// # Errors
/// Returns the errors of [`announce::register`].
pub fn run(args: &RegisterArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let remedy = "the operator of the endpoint makes one with: clusterctl serve bootstrap --create-token";
    let token = token_in(&args.token_file, context, remedy)?;
    let report = announce::register(&args.url, &token, &cluster, &context.env)?;
    announcements::show_registered(&report, args.output, &mut context.screen);
    Ok(Exit::Done)
}
