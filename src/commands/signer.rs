//! `signer`: decides about requests of hosts, and signs approved ones.

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use clap::Args;

use crate::app::enrol::connection::connect_at;
use crate::app::enrol::signer::{self, LocalReviewers, SignerError, SignerMetrics, SignerOptions};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cli::output::enrolment;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::mailbox::{LeaseTerms, Mailbox};
use crate::pki::issuer::Issuer;
use crate::ui::Screen;

/// The variable that names a kubeconfig.
const KUBECONFIG: &str = "KUBECONFIG";
/// The duration of the Lease without a renewal, in seconds.
const LEASE_SECONDS: u16 = 15;

/// The arguments of `signer`.
#[derive(Debug, Args)]
pub struct SignerArgs {
    /// The kubeconfig of an API to which hosts send their requests, with a CA and a client certificate; may be repeated
    /// [default: the file in KUBECONFIG]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    kubeconfig: Vec<PathBuf>,
    /// Connect to this server instead of that in the kubeconfig
    #[arg(long, value_name = "URL", value_parser = Endpoint::parse)]
    server: Option<Endpoint>,
    /// Stop when no request can be decided or signed now
    #[arg(long)]
    once: bool,
    /// The namespace of the Lease, which one of several signers holds
    #[arg(long, value_name = "NAMESPACE", default_value = "kube-system", value_parser = parse_name)]
    lease_namespace: String,
    /// The name of the Lease
    #[arg(long, value_name = "NAME", default_value = "clusterctl-signer", value_parser = parse_name)]
    lease_name: String,
    /// Write metrics to this file, in Prometheus's text format for node_exporter's textfile collector
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    metrics: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Parses a name of an object of Kubernetes: a DNS subdomain.
fn parse_name(text: &str) -> Result<String, String> {
    HostName::parse(text).map(|name| name.to_string()).map_err(|error| error.to_string())
}

/// Returns the kubeconfigs of the flags, else the one in the variable.
pub(super) fn kubeconfigs(given: &[PathBuf], context: &Context<'_>) -> Result<Vec<PathBuf>> {
    let named: Vec<PathBuf> = given.iter().map(|path| context.path(path)).collect();
    if !named.is_empty() {
        return Ok(named);
    }
    match context.variable(KUBECONFIG) {
        Some(path) => Ok(vec![context.path(path.as_ref())]),
        None => Err(CliError::new(Exit::Usage, "no kubeconfig is named")
            .hint("name that of the enrolment CA, or of an API server, with --kubeconfig FILE")),
    }
}

/// Runs `signer`.
///
/// # Errors
/// Returns the errors of [`connect_at`], `PassphraseArgs::issuers` and [`signer::run`].
pub fn run(args: &SignerArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    if cluster.enrolment.is_none() {
        return Err(crate::app::Error::from(SignerError::NotEnabled).into());
    }
    let mut mailboxes: Vec<Box<dyn Mailbox>> = Vec::new();
    let paths = kubeconfigs(&args.kubeconfig, context)?;
    if args.server.is_some() && paths.len() > 1 {
        return Err(CliError::new(Exit::Usage, "--server is for one kubeconfig, and several are named"));
    }
    for path in paths {
        mailboxes.push(Box::new(connect_at(&path, args.server.as_ref().map(ToString::to_string))?));
    }
    let issuers = args.passphrase.issuers(&[CaRole::Cluster], &cluster, context)?;
    context.stop.listen();
    let lease = (args.lease_namespace.as_str(), args.lease_name.as_str());
    let metrics = args.metrics.as_ref().map(|path| SignerMetrics::new(context.path(path)));
    work(&mailboxes, &issuers, lease, args.once, metrics, &|_| (), context)
}

/// The namespace and the name of the Lease, if no flag names another one.
pub(super) const LEASE: (&str, &str) = ("kube-system", "clusterctl-signer");

/// Decides and signs until a stop is requested; with `once`, until no request can be decided or signed. `also` is called about ten
/// times a second.
///
/// # Errors
/// Returns the errors of [`signer::run`].
pub(super) fn work(
    mailboxes: &[Box<dyn Mailbox>],
    issuers: &[Issuer],
    lease: (&str, &str),
    once: bool,
    metrics: Option<SignerMetrics>,
    also: &dyn Fn(&mut Screen<'_>),
    context: &mut Context<'_>,
) -> Result<Exit> {
    let holder = format!("{}/{}", context.env.actor, std::process::id());
    let (sender, events) = channel();
    let sender = Mutex::new(sender);
    let report = |event| {
        if let Ok(sender) = sender.lock() {
            // The receiver is this process.
            let _ = sender.send(event);
        }
    };
    let (stop, clock) = (context.stop.clone(), context.clock);
    let options = SignerOptions {
        layout: context.env.layout.clone(),
        actor: context.env.actor.clone(),
        issuers,
        clock,
        once,
        lease: LeaseTerms { namespace: lease.0.to_owned(), name: lease.1.to_owned(), holder, seconds: LEASE_SECONDS },
        stop: &|| stop.is_requested(),
        report: &report,
        reviewers: Arc::new(LocalReviewers),
        metrics,
        turn: Mutex::new(()),
    };
    let screen = &mut context.screen;
    let counts = std::thread::scope(|scope| {
        let working = scope.spawn(|| signer::run(mailboxes, &options));
        loop {
            while let Ok(event) = events.recv_timeout(std::time::Duration::from_millis(100)) {
                enrolment::show_event(&event, screen);
            }
            also(screen);
            if working.is_finished() {
                events.try_iter().for_each(|event| enrolment::show_event(&event, screen));
                return working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        }
    })?;
    enrolment::show_counts(counts, screen);
    Ok(Exit::Done)
}
