//! `init`: writes a commented cluster file from flags, from answers, or from the nodes that kubectl lists.

mod questions;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::init::{Draft, InitReport, check_absent};
use crate::cli::context::{Context, read_given};
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cluster::account::AccountScheme;
use crate::cluster::inventory::ExternalIps;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::spec::{RawCluster, RawHost};
use crate::store::layout::Layout;

/// The largest list of nodes that is read, in bytes: kubectl writes some twenty kilobytes for each node.
const LIST_LIMIT: u64 = 1 << 30;

/// The arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Name of the cluster, a DNS label [default: the folder's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// URL that nodes connect to.
    #[arg(
        long,
        value_name = "URL",
        help = "URL that nodes connect to, for example https://api.prod.example.net:6443 [default: the only master]"
    )]
    endpoint: Option<String>,
    /// Import the nodes from this file, the output of: kubectl get nodes -o json; - is standard input
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    from_kubectl: Option<PathBuf>,
    /// Let hosts listen on ExternalIPs, and report them, where kubectl lists no InternalIP
    #[arg(long, requires = "from_kubectl")]
    external_ips: bool,
    /// Master with its addresses; repeat for each
    #[arg(long = "master", value_name = "NAME=ADDRESS[,ADDRESS…]", value_parser = host)]
    masters: Vec<RawHost>,
    /// Node with its addresses, in place of those that kubectl lists; repeat for each
    #[arg(long = "node", value_name = "NAME=ADDRESS[,ADDRESS…]", value_parser = host)]
    nodes: Vec<RawHost>,
    /// Scheme of the nodes' account names
    #[arg(long, value_name = "SCHEME", value_parser = AccountScheme::ALL.map(AccountScheme::as_str))]
    accounts: Option<String>,
    /// Kind of keys to generate
    #[arg(long, value_name = "KIND", value_parser = KeyKind::ALL.map(KeyKind::as_str))]
    keys: Option<String>,
    /// Address range of services; repeat for a second family
    #[arg(long = "service-cidr", value_name = "CIDR")]
    service_cidrs: Vec<String>,
    /// DNS domain of the cluster
    #[arg(long, value_name = "DOMAIN")]
    cluster_domain: Option<String>,
}

/// Runs `init`.
///
/// # Errors
/// Returns a refusal if a cluster file exists, or a usage error with all errors of the given values.
pub fn run(args: &InitArgs, context: &mut Context<'_>) -> Result<Exit> {
    // A new cluster file belongs in the current folder, not beside one further up.
    let layout = if context.dir_was_given { context.env.layout.clone() } else { Layout::new(context.dir.to_owned()) };
    check_absent(&layout)?;
    let mut draft = Draft::new(args.values())?;
    if let Some(list) = &args.from_kubectl {
        import(&mut draft, list, args.external_ips, context)?;
    }
    questions::complete(&mut draft, &layout, context)?;
    show(&draft.write(&layout)?, context);
    Ok(Exit::Done)
}

impl InitArgs {
    fn values(&self) -> RawCluster {
        RawCluster {
            name: self.name.clone(),
            endpoint: self.endpoint.clone(),
            accounts: self.accounts.clone(),
            service_cidrs: (!self.service_cidrs.is_empty()).then(|| self.service_cidrs.clone()),
            cluster_domain: self.cluster_domain.clone(),
            keys: self.keys.clone(),
            masters: self.masters.clone(),
            nodes: self.nodes.clone(),
            ..RawCluster::default()
        }
    }
}

fn import(draft: &mut Draft, list: &Path, external_ips: bool, context: &mut Context<'_>) -> Result<()> {
    let path = context.input(list);
    let bytes = read_given(&path, LIST_LIMIT, "file")?;
    let external = if external_ips { ExternalIps::AsAddresses } else { ExternalIps::NamesOnly };
    Ok(draft.import(&path, &bytes, external, &mut context.observer())?)
}

fn show(report: &InitReport, context: &mut Context<'_>) {
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    context.screen.answer(report.path.display());
    context.screen.step(format_args!(
        "cluster {} with {} and {}. Check it. Next: clusterctl init-ca",
        report.name,
        counted(report.masters, "master"),
        counted(report.nodes, "node"),
    ));
}

/// Reads `NAME=ADDRESS,ADDRESS`.
fn host(text: &str) -> Result<RawHost, String> {
    let (name, addresses) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=ADDRESS,ADDRESS"))?;
    // DNS ignores case, and load balancers' names have capitals.
    let addresses = addresses.split(',').map(|a| a.trim().to_ascii_lowercase()).filter(|a| !a.is_empty()).collect();
    Ok(RawHost { name: Some(name.trim().to_owned()), addresses, ..RawHost::default() })
}
