//! `serve bootstrap`: the endpoint at which hosts find clusters.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use time::OffsetDateTime;

use crate::app::enrol::bootstrap::{self, BootstrapOptions, MAX_CONNECTIONS_PER_ADDRESS, PORT};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::lifetime::Lifetime;

/// The interval at which a requested stop is noticed.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The arguments of `serve bootstrap`.
#[derive(Debug, Args)]
pub(super) struct ServeBootstrapArgs {
    /// The folder of the records and of the registration tokens' public halves
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    state: PathBuf,
    /// The address to listen on (default: `[::]:6445`)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The certificate chain of the endpoint, PEM [default: a new self-signed one: hosts do not verify it]
    #[arg(long, value_name = "FILE", requires = "key", value_hint = clap::ValueHint::FilePath)]
    cert: Option<PathBuf>,
    /// The private key of --cert
    #[arg(long, value_name = "FILE", requires = "cert", value_hint = clap::ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// The largest number of open connections of one address (IPv6: of one /64 network)
    #[arg(long, value_name = "NUMBER", default_value_t = MAX_CONNECTIONS_PER_ADDRESS, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    max_connections_per_address: usize,
    /// Create a token for registering one cluster, print it, and do not serve; it is not shown again
    #[arg(long)]
    create_token: bool,
    /// With --create-token: its lifetime
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse, default_value = "7d", requires = "create_token")]
    ttl: Lifetime,
}

/// Runs `serve bootstrap` until a signal requests a stop.
///
/// # Errors
/// Returns the errors of [`bootstrap::serve`] and [`bootstrap::create_token`].
pub(super) fn run(args: &ServeBootstrapArgs, context: &mut Context<'_>) -> Result<Exit> {
    let state = context.path(&args.state);
    if args.create_token {
        let token = bootstrap::create_token(&state, args.ttl, &context.env)?;
        if !context.screen.answer_once(token.to_text().as_str()) {
            bootstrap::remove_token(&state, &token.id)?;
            let what = "the token could not be written to standard output, and was removed";
            return Err(CliError::new(Exit::Environment, what));
        }
        context.screen.step(
            "it is not shown again. On the admin machine of the cluster: clusterctl register URL --token-file FILE",
        );
        return Ok(Exit::Done);
    }
    let credential = match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => Some((context.path(cert), context.path(key))),
        _ => None,
    };
    let listen = args.listen.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 0], PORT)));
    let max_connections_per_address = args.max_connections_per_address;
    let options = BootstrapOptions { listen, state, credential, max_connections_per_address };
    // The injected clock only lives as long as the command, so the server keeps its distance from the system's.
    let ahead = (context.clock)() - OffsetDateTime::now_utc();
    let server = bootstrap::serve(&options, &context.env, Arc::new(move || OffsetDateTime::now_utc() + ahead))?;
    context.stop.listen();
    context.screen.answer(format!("https://{}", server.address));
    while !context.stop.is_requested() {
        std::thread::sleep(LOOK_AGAIN);
    }
    drop(server);
    context.screen.step("stopped");
    Ok(Exit::Done)
}
