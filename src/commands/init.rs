//! `init`: a commented cluster file, from flags, from questions, or from what kubectl says of a running cluster.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::context::{Context, read_given};
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cluster::account::AccountScheme;
use crate::cluster::address::Address;
use crate::cluster::config_error::{ConfigError, Reason};
use crate::cluster::endpoint::Endpoint;
use crate::cluster::inventory::{ExternalIps, Inventory, Oddity, Why};
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::ClusterName;
use crate::cluster::spec::{DEFAULT_SERVICE_CIDR, RawCluster, RawHost};
use crate::config::{self, MASTER_KEYS, MASTER_LABELS};
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
    /// Take the nodes from this file, the output of: kubectl get nodes -o json; - is standard input
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    from_kubectl: Option<PathBuf>,
    /// Let hosts listen on ExternalIPs, and report them, where kubectl lists no InternalIP
    #[arg(long, requires = "from_kubectl")]
    external_ips: bool,
    /// A master with its addresses; once for each
    #[arg(long = "master", value_name = "NAME=ADDRESS[,ADDRESS…]", value_parser = host)]
    masters: Vec<RawHost>,
    /// A node with its addresses, in place of what kubectl lists of it; once for each
    #[arg(long = "node", value_name = "NAME=ADDRESS[,ADDRESS…]", value_parser = host)]
    nodes: Vec<RawHost>,
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
pub fn run(args: &InitArgs, context: &mut Context<'_>) -> Result<Exit> {
    let layout = target(context);
    let path = layout.cluster_file();
    if files::exists(&path) {
        return Err(StoreError::Exists(path).into());
    }
    let mut draft = draft(args, &layout, context)?;
    if draft.masters.is_empty() {
        ask_for_hosts(&mut draft, args.from_kubectl.is_some(), context)?;
    }
    ask_for_an_endpoint(&mut draft, context)?;
    let cluster = draft.check().map_err(|faults| no_cluster(&faults, args.from_kubectl.is_some()))?;
    files::create_folder(layout.dir())?;
    files::write_new(&path, config::write(&draft).as_bytes(), files::PUBLIC)?;
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
    if context.dir_was_given { context.env.layout.clone() } else { Layout::new(context.dir.to_owned()) }
}

fn draft(args: &InitArgs, layout: &Layout, context: &mut Context<'_>) -> Result<RawCluster> {
    let mut draft = RawCluster {
        name: args.name.clone(),
        endpoint: args.endpoint.as_deref().map(str::to_ascii_lowercase),
        accounts: args.accounts.clone(),
        service_cidrs: (!args.service_cidrs.is_empty()).then(|| args.service_cidrs.clone()),
        cluster_domain: args.cluster_domain.clone(),
        keys: args.keys.clone(),
        masters: args.masters.clone(),
        nodes: args.nodes.clone(),
        ..RawCluster::default()
    };
    refuse_wrong(&draft)?;
    if let Some(path) = &args.from_kubectl {
        take_over(&mut draft, path, args, context)?;
    }
    if draft.name.is_none() {
        draft.name = Some(name(layout, context)?);
    }
    Ok(draft)
}

/// Flags are refused before a question is asked: what was typed by then would be lost.
fn refuse_wrong(draft: &RawCluster) -> Result<()> {
    let mut faults = draft.check().err().unwrap_or_default();
    faults.retain(|fault| !matches!(fault.reason, Reason::Missing { .. } | Reason::EndpointNeeded { .. }));
    if faults.is_empty() { Ok(()) } else { Err(no_cluster(&faults, false)) }
}

fn no_cluster(faults: &[ConfigError], of_a_list: bool) -> CliError {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    CliError::new(Exit::Usage, format!("what was given makes no valid cluster:\n  {}", faults.join("\n  "))).hint(
        match of_a_list {
            true => "nothing was written; --node NAME=ADDRESS says better what kubectl lists of a host",
            false => "nothing was written; correct the flags or the input and try again",
        },
    )
}

/// Adds the nodes that kubectl lists, and those of them that are marked as control plane where no flag names a master.
fn take_over(draft: &mut RawCluster, path: &Path, args: &InitArgs, context: &mut Context<'_>) -> Result<()> {
    let path = context.input(path);
    let bytes = read_given(&path, KUBECTL_LIMIT, "file")?;
    let external = if args.external_ips { ExternalIps::AsAddresses } else { ExternalIps::NamesOnly };
    let mut found = config::from_kubectl(&bytes, external).map_err(|error| {
        CliError::new(Exit::Usage, format!("{} does not list nodes", path.display())).hint(error.hint()).because(error)
    })?;
    let named: HashSet<&str> = args.nodes.iter().filter_map(|node| node.name.as_deref()).collect();
    let is_named = |name: &str| named.contains(name);
    for oddity in found.oddities.iter().filter(|oddity| !is_named(&oddity.host)) {
        context.screen.warn(oddity);
    }
    for (host, why) in found.left_out.iter().filter(|(host, _)| !is_named(host)) {
        context.screen.warn(format_args!("{host} is left out: {why}"));
    }
    if !found.other_kinds.is_empty() {
        let kinds = found.other_kinds.iter().cloned().collect();
        context.screen.warn(format_args!("what else is in the list is left out: {}", listing(kinds)));
    }
    if !found.windows.is_empty() {
        context.screen.warn(format_args!(
            "these run Windows, for which bundles have no installer and no paths: {}; verify looks at them like at the others",
            listing(found.windows.clone())
        ));
    }
    found.without_addresses.retain(|name| !is_named(name));
    found.external_only.retain(|(name, _)| !is_named(name));
    without_usable_addresses(&found)?;
    if draft.masters.is_empty() {
        draft.masters = found.masters;
    }
    draft.nodes.extend(found.nodes.into_iter().filter(|node| !node.name.as_deref().is_some_and(is_named)));
    leave_out_too_long(draft, &mut context.screen);
    leave_out_taken(draft, &found.internal, &mut context.screen);
    if draft.service_cidrs.is_none() {
        context.screen.warn(format_args!(
            "kubectl does not list the range of services; {DEFAULT_SERVICE_CIDR} is assumed, as of kubeadm, kind, minikube and \
             Talos. k3s and RKE2 have 10.43.0.0/16, MicroK8s 10.152.183.0/24, Kubespray 10.233.0.0/18, OpenShift \
             172.30.0.0/16, EKS 10.100.0.0/16 or 172.20.0.0/16, AKS 10.0.0.0/16. `kubectl get service kubernetes` shows \
             its first address, which API servers' certificates must name; give the range with --service-cidr"
        ));
    }
    Ok(())
}

fn without_usable_addresses(found: &Inventory) -> Result<()> {
    if !found.external_only.is_empty() {
        let hosts = found.external_only.iter().map(|(name, ip)| format!("{name} ({ip})"));
        let what = format!("kubectl lists an ExternalIP and no InternalIP of {}", listing(hosts.collect()));
        return Err(CliError::new(Exit::Usage, what).hint(
            "--external-ips lets hosts listen on ExternalIPs and report them; where they are a gateway's, give each host's \
             own address with --node NAME=ADDRESS",
        ));
    }
    if !found.without_addresses.is_empty() {
        let what = format!("kubectl lists no address that can be used of {}", listing(found.without_addresses.clone()));
        return Err(CliError::new(Exit::Usage, what).hint(
            "give each host's address with --node NAME=ADDRESS, or take the host out of the list; nothing was written",
        ));
    }
    Ok(())
}

/// All of a few, and how many more there are.
fn listing(mut names: Vec<String>) -> String {
    const SHOWN: usize = 10;
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Leaves out the listed nodes whose accounts no certificate can hold.
fn leave_out_too_long(draft: &mut RawCluster, screen: &mut Screen<'_>) {
    let faults = draft.check().err().unwrap_or_default();
    let too_long = faults.iter().filter(|fault| matches!(fault.reason, Reason::AccountTooLong { .. }));
    let nodes: BTreeMap<usize, &ConfigError> = too_long.filter_map(|fault| Some((fault.node()?, fault))).collect();
    // From the end, so that the positions before it stay right.
    for (node, fault) in nodes.into_iter().rev() {
        if node < draft.nodes.len() {
            let host = draft.nodes.remove(node).name.unwrap_or_default();
            screen.warn(format_args!("{host} is left out: {}", fault.reason));
        }
    }
}

/// Leaves out of listed nodes what the masters, the endpoint, the services or nodes of flags have already. An InternalIP stays: it
/// is where the node is, so that two with the same are a fault.
fn leave_out_taken(draft: &mut RawCluster, internal: &HashSet<Address>, screen: &mut Screen<'_>) {
    let faults = draft.check().err().unwrap_or_default();
    let is_taken = |reason: &Reason| {
        matches!(reason, Reason::ApiServers { .. } | Reason::AnothersName { .. } | Reason::Duplicate { .. })
    };
    let at = |fault: ConfigError| Some((fault.address_of_a_node()?, fault.reason));
    let taken: BTreeMap<_, _> = faults.into_iter().filter(|fault| is_taken(&fault.reason)).filter_map(at).collect();
    // From the end, so that the positions before it stay right.
    for ((node, address), reason) in taken.into_iter().rev() {
        let Some(host) = draft.nodes.get_mut(node).filter(|host| host.addresses.len() > 1) else { continue };
        let Some(value) = host.addresses.get(address).cloned() else { continue };
        if Address::parse(&value).is_ok_and(|address| !internal.contains(&address)) {
            host.addresses.remove(address);
            let host = host.name.clone().unwrap_or_default();
            screen.warn(Oddity { host, value, why: Why::Taken(reason.to_string()) });
        }
    }
}

/// The cluster's name: the person's, or made of the folder's.
fn name(layout: &Layout, context: &mut Context<'_>) -> Result<String> {
    let folder = layout.dir().file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain: String = folder.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(47).collect();
    let plain = plain.trim_matches('-');
    let offered = if ClusterName::parse(plain).is_ok() { plain } else { "cluster" };
    let Some(prompts) = &mut context.prompts else {
        context
            .screen
            .step(format_args!("the cluster is called {offered}, as its folder is; --name chooses another name"));
        return Ok(offered.to_owned());
    };
    asked("Name of the cluster", Some(offered), &mut context.screen, *prompts, |typed| {
        ClusterName::parse(typed)
            .map(|name| name.to_string())
            .map_err(|reason| format!("{typed:?} is no name: {reason}"))
    })
}

/// Asks until the answer is good, so that no answer is lost at the end.
fn asked<T>(
    question: &str,
    default: Option<&str>,
    screen: &mut Screen<'_>,
    prompts: &mut dyn Prompts,
    mut read: impl FnMut(&str) -> Result<T, String>,
) -> Result<T> {
    loop {
        let line = prompts.line(question, default).map_err(no_answer(format!("no answer was given: {question}")))?;
        match read(line.trim()) {
            Ok(answer) => return Ok(answer),
            Err(reason) => screen.warn(format_args!("{reason}; type it again")),
        }
    }
}

/// Asks for the masters, and for the nodes where none are known.
fn ask_for_hosts(draft: &mut RawCluster, of_a_list: bool, context: &mut Context<'_>) -> Result<()> {
    let Some(prompts) = &mut context.prompts else {
        let failure = CliError::new(Exit::Usage, "no master was given, and there is no terminal to ask on");
        let hint = "name each with --master NAME=ADDRESS,ADDRESS";
        if !of_a_list {
            return Err(failure.hint(hint));
        }
        let labels = MASTER_LABELS.map(|(label, values)| format!("{label}={}", values.join("|")));
        let keys: Vec<&str> = MASTER_KEYS.into_iter().chain(labels.iter().map(String::as_str)).collect();
        return Err(failure.hint(format!(
            "{hint}. No listed node is marked as control plane (managed ones are not listed), by {}",
            keys.join(", ")
        )));
    };
    ask_for_some("Master", draft, |draft| &mut draft.masters, &mut context.screen, *prompts)?;
    if draft.nodes.is_empty() {
        endpoint_of(draft, &mut context.screen, *prompts)?;
        ask_for_some("Node", draft, |draft| &mut draft.nodes, &mut context.screen, *prompts)?;
    }
    Ok(())
}

/// Asks until a line alone is Enter. What cannot be in this cluster is asked for again.
fn ask_for_some(
    role: &str,
    draft: &mut RawCluster,
    list: fn(&mut RawCluster) -> &mut Vec<RawHost>,
    screen: &mut Screen<'_>,
    prompts: &mut dyn Prompts,
) -> Result<()> {
    let question = format!("{role} (NAME=ADDRESS,ADDRESS; Enter when done)");
    loop {
        let before = draft.clone();
        let next = asked(&question, None, screen, prompts, |typed| {
            if typed.is_empty() {
                return Ok(None);
            }
            let mut with = before.clone();
            list(&mut with).push(host(typed)?);
            new_fault(&before, &with).map_or(Ok(Some(with)), Err)
        })?;
        match next {
            Some(with) => *draft = with,
            // Only where there is one can anything go on.
            None if list(draft).is_empty() && role == "Master" => screen.warn("a cluster needs a master at least"),
            None => return Ok(()),
        }
    }
}

/// What an answer brings that is wrong, and was not before. What is still to be asked for is not missing yet.
fn new_fault(before: &RawCluster, with: &RawCluster) -> Option<String> {
    let old = before.check().err().unwrap_or_default();
    let mut new = with.check().err().unwrap_or_default();
    new.retain(|fault| !old.contains(fault));
    new.retain(|fault| !matches!(fault.reason, Reason::EndpointNeeded { .. }));
    let reasons: Vec<String> = new
        .iter()
        .map(|fault| match &fault.seen {
            Some(seen) => format!("{seen:?}: {}", fault.reason),
            None => fault.reason.to_string(),
        })
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Asks for the endpoint of several masters, where there is somebody to ask.
fn ask_for_an_endpoint(draft: &mut RawCluster, context: &mut Context<'_>) -> Result<()> {
    match &mut context.prompts {
        Some(prompts) => endpoint_of(draft, &mut context.screen, *prompts),
        None => Ok(()),
    }
}

fn endpoint_of(draft: &mut RawCluster, screen: &mut Screen<'_>, prompts: &mut dyn Prompts) -> Result<()> {
    if draft.masters.len() < 2 || draft.endpoint.is_some() {
        return Ok(());
    }
    let before = draft.clone();
    let endpoint = asked("Endpoint that reaches all masters (https://HOST:PORT)", None, screen, prompts, |typed| {
        let typed = typed.to_ascii_lowercase();
        Endpoint::parse(&typed).map_err(|reason| format!("{typed:?} is no endpoint: {reason}"))?;
        let with = RawCluster { endpoint: Some(typed.clone()), ..before.clone() };
        new_fault(&before, &with).map_or(Ok(typed), Err)
    })?;
    draft.endpoint = Some(endpoint);
    Ok(())
}

/// Reads `NAME=ADDRESS,ADDRESS`.
fn host(text: &str) -> Result<RawHost, String> {
    let (name, addresses) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=ADDRESS,ADDRESS"))?;
    // DNS knows no case, and load balancers' names have capitals.
    let addresses = addresses.split(',').map(|a| a.trim().to_ascii_lowercase()).filter(|a| !a.is_empty()).collect();
    Ok(RawHost { name: Some(name.trim().to_owned()), addresses, ..RawHost::default() })
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
