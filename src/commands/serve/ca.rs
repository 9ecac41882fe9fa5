//! `serve ca`: the enrolment CA's server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use time::OffsetDateTime;

use crate::app::enrol::connection::connect_at;
use crate::app::enrol::serve::{self, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, ServeOptions};
use crate::app::enrol::signer::{SignerError, SignerMetrics};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::enrolment::show_server_notices;
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::commands::signer::{self, LEASE};
use crate::mailbox::Mailbox;
use crate::pki::issuer::Issuer;
use crate::server::notify;
use crate::ui::Screen;

/// The interval at which a requested stop is noticed.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The arguments of `serve ca`.
#[derive(Debug, Args)]
pub(super) struct ServeCaArgs {
    /// The address to listen on (default: enrolment.listen in cluster.yaml, else `[::]:6444`)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The master on which it runs [default: the only one whose serving certificate and key are in the directory]
    #[arg(long, value_name = "NAME", value_parser = HostName::parse)]
    master: Option<HostName>,
    /// The folder of the queue, enrolment.sqlite [default: the cluster directory]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    state: Option<PathBuf>,
    /// The largest number of open connections
    #[arg(long, value_name = "NUMBER", default_value_t = MAX_CONNECTIONS, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    max_connections: usize,
    /// The largest number of open connections of one address (IPv6: of one /64 network)
    #[arg(long, value_name = "NUMBER", default_value_t = MAX_CONNECTIONS_PER_ADDRESS, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    max_connections_per_address: usize,
    /// Decide and sign in this process, too: then the process that listens has the CA's key
    #[arg(long)]
    signer: bool,
    /// The kubeconfig of the signer, which clusterctl issue-admin --signer makes [default: pki/admins/signer.conf]
    #[arg(long, requires = "signer", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    signer_kubeconfig: Option<PathBuf>,
    /// Write the signer's metrics to this file, as those of clusterctl signer --metrics
    #[arg(long, requires = "signer", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    signer_metrics: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
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
        max_connections_per_address: args.max_connections_per_address,
        version: env!("CARGO_PKG_VERSION"),
    };
    // Before the server starts, because it may prompt for a passphrase.
    let issuers = if args.signer { signer_issuers(args, &cluster, context)? } else { Vec::new() };
    // The server's threads cannot borrow the injected clock, so they add its difference to the system's clock.
    let ahead = (context.clock)() - OffsetDateTime::now_utc();
    let server = serve::serve(&options, &cluster, &context.env, Arc::new(move || OffsetDateTime::now_utc() + ahead))?;
    context.stop.listen();
    context.screen.answer(format!("https://{}", server.address()));
    notify::ready();
    if args.signer {
        let folder = context.env.layout.admins();
        let kubeconfig = args.signer_kubeconfig.as_ref().map(|path| context.path(path));
        let kubeconfig = kubeconfig.unwrap_or_else(|| folder.join("signer.conf"));
        let metrics = args.signer_metrics.as_ref().map(|path| SignerMetrics::new(context.path(path)));
        let mailbox: Box<dyn Mailbox> = Box::new(connect_at(&kubeconfig, Some(local(server.address())))?);
        let told = |screen: &mut Screen<'_>| show_server_notices(&server.notices(), screen);
        let done = signer::work(&[mailbox], &issuers, LEASE, false, metrics, &told, context);
        notify::stopping();
        server.stop();
        return done;
    }
    while !context.stop.is_requested() {
        show_server_notices(&server.notices(), &mut context.screen);
        std::thread::sleep(LOOK_AGAIN);
    }
    notify::stopping();
    server.stop();
    context.screen.step("stopped");
    Ok(Exit::Done)
}

fn signer_issuers(args: &ServeCaArgs, cluster: &Cluster, context: &mut Context<'_>) -> Result<Vec<Issuer>> {
    if cluster.enrolment.is_none() {
        return Err(crate::app::Error::from(SignerError::NotEnabled).into());
    }
    let issuers = args.passphrase.issuers(&[CaRole::Cluster], cluster, context)?;
    context
        .screen
        .warn("the process that listens has the CA's key: an attacker who takes it over controls the cluster");
    Ok(issuers)
}

/// Returns the URL at which this process reaches its own server.
fn local(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("https://{address}")
}
