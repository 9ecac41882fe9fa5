//! `join`: joins this host to a cluster, renews its certificates, and installs a timer that renews them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::register::token_in;
use super::request::parse_host;
use crate::app::enrol::join::{self, JoinOptions, JoinState, RenewOptions};
use crate::cli::args::output::OutputFormat;
use crate::cli::args::ssh_keys::NamedKey;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cli::output::joining;
use crate::cluster::duration::in_seconds;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::ssh::SshKey;

/// The arguments of `join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The cluster: its id as clusterctl register printed it, and the URLs of its bootstrap endpoints
    #[arg(long, value_name = "ID@URL[,URL]", value_parser = parse_cluster, required_unless_present_any = ["renew", "install_timer"])]
    cluster: Option<ClusterArg>,
    /// The host's name in cluster.yaml [default: the name of this host]
    #[arg(long, value_name = "HOST", value_parser = parse_host)]
    host: Option<HostName>,
    /// A file with the one-time token of this host; - is standard input. The token is never sent
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "ssh_host_key")]
    token_file: Option<PathBuf>,
    /// The host's SSH private key, which signs the requests
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    ssh_host_key: Option<PathBuf>,
    /// The time to wait for a decision, as 30s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = parse_wait, default_value = "1h")]
    wait: Duration,
    /// The folder that stands for /
    #[arg(long, value_name = "FOLDER", default_value = "/", value_hint = clap::ValueHint::DirPath)]
    root: PathBuf,
    /// The type of new keys: ecdsa-p256, ecdsa-p384 or ed25519
    #[arg(long, value_name = "TYPE", default_value = "ecdsa-p256", value_parser = super::request::parse_kind)]
    keys: KeyKind,
    /// Do not start the kubelet
    #[arg(long)]
    no_start: bool,
    /// Renew the certificates of this host of whose lifetime two thirds have passed. The current certificate proves the host, or
    /// the SSH host key once that certificate has expired
    #[arg(long, conflicts_with_all = ["cluster", "token_file", "host", "install_timer"])]
    renew: bool,
    /// With --renew: renew what is not due, too
    #[arg(long, requires = "renew")]
    force: bool,
    /// Write a systemd timer that runs join --renew every hour, and start it where systemd runs
    #[arg(long, conflicts_with_all = ["token_file", "ssh_host_key", "host", "force"])]
    install_timer: bool,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

/// The remedy for a file without a token.
const TOKEN_REMEDY: &str = "create one on the admin machine with: clusterctl token create HOST";

/// A cluster's id and the URLs of its bootstrap endpoints.
#[derive(Debug, Clone)]
struct ClusterArg {
    id: Fingerprint,
    urls: Vec<Endpoint>,
}

fn parse_cluster(text: &str) -> Result<ClusterArg, String> {
    let (id, urls) =
        text.split_once('@').ok_or("it is written ID@URL, as in sha256:…@https://boot.example.net:6445")?;
    let id = id.strip_prefix("sha256:").and_then(Fingerprint::parse);
    let id = id.ok_or("the id is sha256: and 64 hexadecimal digits")?;
    let urls: Result<Vec<Endpoint>, String> =
        urls.split(',').map(|url| Endpoint::parse(url).map_err(|error| format!("{url}: {error}"))).collect();
    Ok(ClusterArg { id, urls: urls? })
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    let seconds = in_seconds(text).filter(|seconds| (0.0..=7.0 * 86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "it is a time of at most 168h, as 30s, 5m or 1h".to_owned())
}

/// Runs `join`.
///
/// # Errors
/// Returns the errors of [`join::join`], [`join::renew`] and [`join::install_timer`].
pub fn run(args: &JoinArgs, context: &mut Context<'_>) -> Result<Exit> {
    let root = context.path(&args.root);
    if args.renew {
        return renew(args, root, context);
    }
    let cluster = match &args.cluster {
        Some(cluster) => cluster.clone(),
        None => return install_timer(args, &root, context),
    };
    let host = match &args.host {
        Some(host) => host.clone(),
        None => own_name()?,
    };
    let ssh_host_key = match &args.ssh_host_key {
        Some(path) => Some((context.path(path), unlocked(path, context)?)),
        None => None,
    };
    let options = JoinOptions {
        cluster: cluster.id,
        bootstrap: cluster.urls,
        host,
        host_was_given: args.host.is_some(),
        root: root.clone(),
        keys: args.keys,
        token: args.token_file.as_ref().map(|path| token_in(path, context, TOKEN_REMEDY)).transpose()?,
        ssh_host_key,
        wait: args.wait,
        start: !args.no_start,
    };
    let now = context.env.now;
    let report = join::join(&options, now, &mut context.observer())?;
    joining::show(&report, args.output, &mut context.screen);
    if args.install_timer {
        return install_timer(args, &root, context);
    }
    Ok(Exit::Done)
}

fn renew(args: &JoinArgs, root: PathBuf, context: &mut Context<'_>) -> Result<Exit> {
    let named = match &args.ssh_host_key {
        Some(path) => Some(path.clone()),
        // The key with which the host joined, if it still exists.
        None => JoinState::read(&root)?
            .and_then(|state| state.ssh_host_key)
            .filter(|path| crate::store::files::is_plain_file(path)),
    };
    let ssh_host_key = named.map(|path| unlocked(&path, context)).transpose()?;
    let options = RenewOptions { root, ssh_host_key, wait: args.wait, force: args.force };
    let now = context.env.now;
    let report = join::renew(&options, now, &mut context.observer())?;
    joining::show_renewed(&report, args.output, &mut context.screen);
    Ok(Exit::Done)
}

fn install_timer(args: &JoinArgs, root: &std::path::Path, context: &mut Context<'_>) -> Result<Exit> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::new(Exit::Environment, "the path of clusterctl is not known").because(error))?;
    let report = join::install_timer(root, &program)?;
    if args.cluster.is_none() || args.output == OutputFormat::Human {
        joining::show_timer(&report, args.output, &mut context.screen);
    }
    Ok(Exit::Done)
}

fn unlocked(path: &std::path::Path, context: &mut Context<'_>) -> Result<SshKey> {
    let path = context.path(path);
    let key = NamedKey { what: "SSH host key", path: &path, passphrase_file: None, flag: None };
    key.unlock(&key.read()?, context)
}

/// Returns the name of this host, in lower case.
fn own_name() -> Result<HostName> {
    let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    HostName::parse(&name).map_err(|error| {
        CliError::new(Exit::Usage, format!("this host is called {name:?}, which is not a valid name of a node"))
            .hint("name it with --host, as cluster.yaml has it")
            .because(error)
    })
}
