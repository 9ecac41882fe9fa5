//! `serve ca`: the enrolment CA's server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use time::OffsetDateTime;

use crate::app::enrol::serve::{self, MAX_CONNECTIONS, ServeOptions};
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cluster::name::HostName;
use crate::server::notify;

/// The interval at which a requested stop is noticed.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Takes requests of hosts for certificates over TLS, by Kubernetes's certificates.k8s.io/v1: kubelets ask for certificates
/// and kubectl approves them as with an API server. It holds the queue and no CA key; clusterctl signer decides and signs.
///
/// It needs cluster.yaml, the CAs' certificates, their CRLs and a master's serving certificate. Files are read again when they
/// change.
#[derive(Debug, Args)]
pub(super) struct ServeCaArgs {
    /// The address to listen on [default: enrolment.listen in cluster.yaml, else [::]:6444]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The master on which it runs [default: the only one whose serving certificate and key are in the directory]
    #[arg(long, value_name = "NAME", value_parser = HostName::parse)]
    master: Option<HostName>,
    /// The folder of the queue, enrolment.sqlite [default: the cluster directory]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    state: Option<PathBuf>,
    /// The largest number of open connections
    #[arg(long, value_name = "NUMBER", default_value_t = MAX_CONNECTIONS)]
    max_connections: usize,
}

/// Runs `serve ca` until a signal requests a stop.
///
/// # Errors
/// Returns the errors of [`serve::serve`].
pub(super) fn run(args: &ServeCaArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let options = ServeOptions {
        listen: args.listen,
        state: args.state.as_ref().map(|folder| context.path(folder)),
        master: args.master.clone(),
        max_connections: args.max_connections,
        version: env!("CARGO_PKG_VERSION"),
    };
    // The injected clock only lives as long as the command, so the server keeps its distance from the system's.
    let ahead = (context.clock)() - OffsetDateTime::now_utc();
    let server = serve::serve(&options, &cluster, &context.env, Arc::new(move || OffsetDateTime::now_utc() + ahead))?;
    context.stop.listen();
    context.screen.answer(format!("https://{}", server.address()));
    notify::ready();
    while !context.stop.asked() {
        std::thread::sleep(LOOK_AGAIN);
    }
    notify::stopping();
    server.stop();
    context.screen.step("stopped");
    Ok(Exit::Done)
}
