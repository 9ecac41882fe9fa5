//! `init`: a commented cluster file, from flags, from questions, or from what kubectl says of a running cluster.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::context::{Context, read_given};
use crate::cluster::account::AccountScheme;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::ClusterName;
use crate::cluster::spec::{Draft, DraftHost};
use crate::cluster_file;
use crate::failure::{Exit, Failure};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::ui::Screen;
use crate::ui::prompts::Prompts;

/// kubectl tells some twenty kilobytes of each node; this is enough for tens of thousands, in bytes.
const KUBECTL_LIMIT: u64 = 1 << 30;

/// Writes a commented cluster.yaml: from flags, from kubectl's list of nodes, and, on a terminal, from questions.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The cluster's name, a DNS label [default: the folder's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What nodes dial, for example https://api.prod.example.net:6443 [default: the only master]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Take the nodes from this file, the output of: kubectl get nodes -o json
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    from_kubectl: Option<PathBuf>,
    /// A master with its addresses; once for each
    #[arg(long = "master", value_name = "NAME=ADDRESS[,ADDRESS…]", value_parser = host)]
    masters: Vec<DraftHost>,
    /// A node with its addresses; once for each
    #[arg(long = "node", value_name = "NAME=ADDRESS[,ADDRESS…]", value_parser = host)]
    nodes: Vec<DraftHost>,
    /// How nodes' accounts are called
    #[arg(long, value_name = "SCHEME", value_parser = AccountScheme::ALL.map(AccountScheme::as_str))]
    accounts: Option<String>,
    /// What keys are made
    #[arg(long, value_name = "KIND", value_parser = KeyKind::ALL.map(KeyKind::as_str))]
    keys: Option<String>,
    /// Where services get their addresses; once for each family
    #[arg(long = "service-cidr", value_name = "CIDR")]
    service_cidrs: Vec<String>,
    /// The cluster's DNS domain
    #[arg(long, value_name = "DOMAIN")]
    cluster_domain: Option<String>,
}

/// Runs `init`.
///
/// # Errors
/// Refused when there is a cluster file; a usage error when what was given makes no cluster, with all faults.
pub fn run(args: &InitArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let layout = target(context);
    let path = layout.cluster_file();
    if files::exists(&path) {
        return Err(StoreError::Exists(path).into());
    }
    let mut draft = draft(args, &layout, context)?;
    if args.masters.is_empty() && draft.masters.is_empty() {
        ask_for_masters(&mut draft, context)?;
    }
    let cluster = draft.check().map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::new(Exit::Usage, format!("what was given makes no valid cluster:\n  {}", faults.join("\n  ")))
            .hint("nothing was written; correct the flags or the input and try again")
    })?;
    files::create_folder(layout.dir())?;
    files::write_new(&path, cluster_file::write(&draft).as_bytes(), files::PUBLIC)?;
    context.screen.answer(path.display());
    context.screen.step(format_args!(
        "cluster {} with {} and {}. Look it over, then go on with: clusterctl init-ca",
        cluster.name,
        counted(cluster.masters.len(), "master"),
        counted(cluster.nodes.len(), "node"),
    ));
    Ok(Exit::Done)
}

/// A new cluster file belongs where the person stands, not beside one further up.
fn target(context: &Context<'_>) -> Layout {
    if context.given_dir { context.layout.clone() } else { Layout::new(context.dir.to_owned()) }
}

fn draft(args: &InitArgs, layout: &Layout, context: &mut Context<'_>) -> anyhow::Result<Draft> {
    let mut draft = Draft {
        name: args.name.clone(),
        endpoint: args.endpoint.clone(),
        accounts: args.accounts.clone(),
        service_cidrs: (!args.service_cidrs.is_empty()).then(|| args.service_cidrs.clone()),
        cluster_domain: args.cluster_domain.clone(),
        keys: args.keys.clone(),
        masters: args.masters.clone(),
        nodes: args.nodes.clone(),
        ..Draft::default()
    };
    if let Some(path) = &args.from_kubectl {
        let path = context.path(path);
        let bytes = read_given(&path, KUBECTL_LIMIT, "file")?;
        let found = cluster_file::from_kubectl(&bytes).map_err(|error| {
            Failure::new(Exit::Usage, format!("{} does not list nodes", path.display()))
                .hint(error.hint())
                .because(error)
        })?;
        if draft.masters.is_empty() {
            draft.masters = found.masters;
        }
        draft.nodes.extend(found.nodes);
        for name in found.without_addresses {
            context.screen.warn(format_args!("{name} is left out: kubectl knows no address of it"));
        }
    }
    if draft.name.is_none() {
        draft.name = Some(name(layout, context)?);
    }
    Ok(draft)
}

/// The cluster's name: the person's, or made of the folder's.
fn name(layout: &Layout, context: &mut Context<'_>) -> anyhow::Result<String> {
    let folder = layout.dir().file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain: String = folder.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(47).collect();
    let plain = plain.trim_matches('-');
    let offered = if ClusterName::parse(plain).is_ok() { plain } else { "cluster" };
    match &mut context.prompts {
        Some(prompts) => prompts.line("Name of the cluster", Some(offered)).context("no name was given"),
        None => {
            context
                .screen
                .step(format_args!("the cluster is called {offered}, as its folder is; --name chooses another name"));
            Ok(offered.to_owned())
        }
    }
}

fn ask_for_masters(draft: &mut Draft, context: &mut Context<'_>) -> anyhow::Result<()> {
    let Some(prompts) = &mut context.prompts else {
        return Err(Failure::new(Exit::Usage, "no master was given, and there is no terminal to ask on")
            .hint("name each with --master NAME=ADDRESS,ADDRESS")
            .into());
    };
    let question = "Master (NAME=ADDRESS,ADDRESS; Enter when done)";
    ask_for_hosts(question, &mut draft.masters, &mut context.screen, *prompts)?;
    if draft.masters.len() > 1 && draft.endpoint.is_none() {
        draft.endpoint = Some(ask_for_an_endpoint(&mut context.screen, *prompts)?);
    }
    if draft.nodes.is_empty() {
        let question = "Node (NAME=ADDRESS,ADDRESS; Enter when done)";
        ask_for_hosts(question, &mut draft.nodes, &mut context.screen, *prompts)?;
    }
    Ok(())
}

/// Asks until a line alone is Enter. A line that cannot be read is asked for again: what was typed before is not lost.
fn ask_for_hosts(
    question: &str,
    hosts: &mut Vec<DraftHost>,
    screen: &mut Screen<'_>,
    prompts: &mut dyn Prompts,
) -> anyhow::Result<()> {
    loop {
        let line = prompts.line(question, None).context("no host was given")?;
        if line.trim().is_empty() {
            return Ok(());
        }
        match host(line.trim()) {
            Ok(host) => hosts.push(host),
            Err(reason) => screen.warn(format_args!("{reason}; type it again")),
        }
    }
}

fn ask_for_an_endpoint(screen: &mut Screen<'_>, prompts: &mut dyn Prompts) -> anyhow::Result<String> {
    loop {
        let line = prompts.line("Endpoint that reaches all masters (https://HOST:PORT)", None);
        let line = line.context("no endpoint was given")?.trim().to_owned();
        match Endpoint::parse(&line) {
            Ok(_) => return Ok(line),
            Err(reason) => screen.warn(format_args!("{line:?} is no endpoint: {reason}; type it again")),
        }
    }
}

/// Reads `NAME=ADDRESS,ADDRESS`.
fn host(text: &str) -> Result<DraftHost, String> {
    let (name, addresses) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=ADDRESS,ADDRESS"))?;
    let addresses = addresses.split(',').map(str::trim).filter(|a| !a.is_empty()).map(str::to_owned).collect();
    Ok(DraftHost { name: Some(name.trim().to_owned()), addresses, ..DraftHost::default() })
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
