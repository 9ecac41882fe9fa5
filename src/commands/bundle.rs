//! `bundle`: one archive for each host, with all that it needs to find and trust the others.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use zeroize::Zeroizing;

use super::context::{Context, unknown_host};
use crate::bundle::archive;
use crate::bundle::input::{BundleInput, CredentialPem, Roles};
use crate::bundle::render::Templates;
use crate::bundle::verifier::{self, VerifierInput};
use crate::cluster::profile::{Leaf, Profile, RootKind};
use crate::cluster::spec::{Cluster, Host};
use crate::cluster_file;
use crate::failure::{Exit, Failure};
use crate::pki::certificate::Certificate;
use crate::store::credentials;
use crate::store::files::{self, PRIVATE, PUBLIC};
use crate::store::layout::Layout;
use crate::store::ledger::{Known, Ledger};
use crate::store::roots;

/// Bundles in one batch: they are kept in memory until the batch is on the disk.
const BATCH: usize = 512;
/// No template is larger than this, in bytes.
const TEMPLATE_LIMIT: u64 = 1024 * 1024;
/// How many hosts without credentials an error names.
const NAMED: usize = 5;

/// Renders and packs bundles/HOST.tar.gz for each host: the same bytes for the same input. A host that is master and
/// node gets one bundle with both.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// Hosts, as the cluster file calls them
    #[arg(value_name = "HOST", add = super::completions::hosts())]
    hosts: Vec<String>,
    /// All masters and nodes of the cluster file
    #[arg(long, conflicts_with = "hosts")]
    all: bool,
    /// Pack verifier.tar.gz instead: what CI needs to run verify. It holds no CA's key, but it does hold what masters call
    /// kubelets with: keep it as a secret
    #[arg(long, conflicts_with_all = ["hosts", "all"])]
    verifier: bool,
    /// Take templates from this folder where it has them, by their path
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
    /// Write the built-in templates into this folder, to start from, and do nothing else
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, conflicts_with_all = ["hosts", "all", "templates"])]
    eject_templates: Option<PathBuf>,
}

/// Runs `bundle`.
///
/// # Errors
/// A usage error for unknown hosts and for templates that do not work; refused when a host has no good credentials.
pub fn run(args: &BundleArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    if let Some(dir) = &args.eject_templates {
        return eject(dir, context);
    }
    let cluster = context.cluster()?;
    if args.verifier {
        return pack_verifier(&cluster, &templates(args, context)?, context);
    }
    let hosts = select(&cluster, args)?;
    let templates = templates(args, context)?;
    let _lock = context.lock("bundle")?;
    let root = roots::certificate(&context.layout, RootKind::Cluster)?;
    let mut ledger = Ledger::open(&context.layout.ledger())?;
    let known = ledger.known()?;
    let source = Source { cluster: &cluster, root: &root, known: &known, layout: &context.layout, now: context.now };
    all_have_credentials(&source, &hosts)?;
    let folder = context.layout.bundles();
    files::create_folder(&folder)?;
    files::sweep(&folder)?;
    let written = write_all(&source, &hosts, &templates, context)?;
    ledger.note(
        "bundle",
        &format!("{written} host{}", if written == 1 { "" } else { "s" }),
        &folder.display().to_string(),
        &context.mark(),
    )?;
    if hosts.len() == 1 {
        context.screen.answer(context.layout.bundle(hosts[0].host()).display());
    } else {
        context.screen.answer(folder.display());
    }
    context.screen.step(format_args!(
        "packed {written} bundle{}. Each holds its host's keys: hand it to that host and to nobody else",
        if written == 1 { "" } else { "s" },
    ));
    Ok(Exit::Done)
}

fn eject(dir: &std::path::Path, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let dir = context.path(dir);
    for (path, text) in Templates::eject() {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            files::create_folder(parent)?;
        }
        files::write_new(&path, text.as_bytes(), PUBLIC)?;
        context.screen.answer(path.display());
    }
    context
        .screen
        .step(format_args!("change what you need and use it with: clusterctl bundle --templates {}", dir.display()));
    Ok(Exit::Done)
}

/// Packs what CI verifies with.
fn pack_verifier(cluster: &Cluster, templates: &Templates, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let _lock = context.lock("bundle --verifier")?;
    let layout = &context.layout;
    let root = roots::certificate(layout, RootKind::Cluster)?;
    let mut ledger = Ledger::open(&layout.ledger())?;
    let known = ledger.known()?;
    let masters = cluster.masters.iter().flat_map(|master| cluster.master_leaves(master));
    let wanted = masters.filter(|leaf| leaf.profile == Profile::ApiserverKubeletClient);
    let (mut credentials, mut generation) = (Vec::new(), 0);
    for leaf in wanted.chain([cluster.verifier_leaf()]) {
        let name = leaf.policy().name;
        let stored =
            credentials::read_good(layout, &leaf, cluster.keys, &root, &known, context.now).map_err(|why| {
                let why: Vec<String> = why.iter().map(ToString::to_string).collect();
                Failure::new(
                    Exit::Refused,
                    format!("the {name} credential is not good, so nothing was packed: {}", why.join("; ")),
                )
                .hint("issue it with: clusterctl issue-master --all")
            })?;
        generation = generation.max(known.sequence(stored.credential.certificate.fingerprint()).unwrap_or(0));
        let folder = layout.holder_folder(leaf.profile, leaf.host.as_ref());
        let path = folder.strip_prefix(layout.dir()).unwrap_or(&folder).join(name).display().to_string();
        let pem = CredentialPem { profile: leaf.profile, certificate: stored.certificate_pem, key: stored.key_pem };
        credentials.push((path, pem));
    }
    let cluster_file = files::read(&layout.cluster_file(), cluster_file::MAX_BYTES as u64)?;
    let policy = templates
        .verifier_policy()
        .map_err(|error| Failure::new(Exit::Usage, "the verifier's policy cannot be rendered").because(error))?;
    let input = VerifierInput { policy, cluster, cluster_file: &cluster_file, root: &root, credentials, generation };
    let bundle = verifier::render(input)
        .map_err(|error| Failure::new(Exit::Refused, "the verifier bundle cannot be made").because(error))?;
    let path = layout.verifier_bundle();
    files::replace(&path, &archive::pack(&bundle), PRIVATE)?;
    ledger.note("bundle", "verifier", &path.display().to_string(), &context.mark())?;
    context.screen.answer(path.display());
    context.screen.step(
        "Use it with: clusterctl verify --from verifier.tar.gz   (apply policy/clusterctl-verifier.yaml from it once)",
    );
    Ok(Exit::Done)
}

/// The hosts that bundles are made for, each once, with what they are; masters first, in the cluster file's order.
fn select<'c>(cluster: &'c Cluster, args: &BundleArgs) -> Result<Vec<Roles<'c>>, Failure> {
    let mut nodes: BTreeMap<&str, &Host> = cluster.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let masters = cluster.masters.iter().map(|master| {
        let node = nodes.remove(master.name.as_str());
        (Some(master), node)
    });
    let mut hosts: Vec<(Option<&Host>, Option<&Host>)> = masters.collect();
    hosts.extend(
        cluster.nodes.iter().filter(|node| nodes.contains_key(node.name.as_str())).map(|node| (None, Some(node))),
    );
    let hosts: Vec<Roles<'_>> = hosts.into_iter().filter_map(|(m, n)| Roles::from_entries(m, n)).collect();
    if args.all {
        return Ok(hosts);
    }
    if args.hosts.is_empty() {
        let hint = "name some of the cluster file's masters and nodes, or say --all";
        return Err(Failure::new(Exit::Usage, "no host was named").hint(hint));
    }
    let known: Vec<&str> = hosts.iter().map(|roles| roles.host().as_str()).collect();
    if let Some(unknown) = args.hosts.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown_host(unknown, "host", &known));
    }
    Ok(hosts.into_iter().filter(|roles| args.hosts.iter().any(|name| name == roles.host().as_str())).collect())
}

fn templates(args: &BundleArgs, context: &Context<'_>) -> anyhow::Result<Templates> {
    let mut overrides = BTreeMap::new();
    if let Some(dir) = &args.templates {
        let dir = context.path(dir);
        for path in files::files_below(&dir)? {
            let bytes = files::read(&dir.join(&path), TEMPLATE_LIMIT)?;
            let text = String::from_utf8(bytes).map_err(|error| {
                let what = format!("the template {} is not text", dir.join(&path).display());
                Failure::new(Exit::Usage, what).because(error)
            })?;
            overrides.insert(path, text);
        }
    }
    Templates::with_overrides(&overrides).map_err(|error| {
        Failure::new(Exit::Usage, "the templates cannot be used")
            .hint("clusterctl bundle --eject-templates DIR writes those that work")
            .because(error)
            .into()
    })
}

/// What bundles are made from.
struct Source<'a> {
    cluster: &'a Cluster,
    root: &'a Certificate,
    known: &'a Known,
    layout: &'a Layout,
    now: time::OffsetDateTime,
}

impl Source<'_> {
    /// What a host is to hold.
    fn leaves(&self, roles: &Roles<'_>) -> Vec<Leaf> {
        let master = roles.master().map(|host| self.cluster.master_leaves(host));
        let node = roles.node().map(|host| self.cluster.node_leaves(host));
        master.into_iter().chain(node).flatten().collect()
    }

    /// A host's credentials, all good, and the newest one's place in the ledger.
    fn credentials(&self, roles: &Roles<'_>) -> Result<(Vec<CredentialPem>, u64), Lacking> {
        let mut found = Vec::new();
        let mut generation = 0;
        for leaf in self.leaves(roles) {
            let keys = self.cluster.keys;
            let stored = credentials::read_good(self.layout, &leaf, keys, self.root, self.known, self.now).map_err(
                |troubles| Lacking {
                    host: roles.host().to_string(),
                    what: leaf.policy().name,
                    why: troubles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
                    master: roles
                        .master()
                        .is_some_and(|_| leaf.policy().holder == crate::cluster::profile::Holder::Master),
                },
            )?;
            let fingerprint = stored.credential.certificate.fingerprint();
            generation = generation.max(self.known.sequence(fingerprint).unwrap_or(0));
            found.push(CredentialPem {
                profile: leaf.profile,
                certificate: stored.certificate_pem,
                key: stored.key_pem,
            });
        }
        Ok((found, generation))
    }
}

/// A host whose credentials are not there, or no longer good.
struct Lacking {
    host: String,
    what: &'static str,
    why: String,
    master: bool,
}

/// Looks at every host before anything is written.
fn all_have_credentials(source: &Source<'_>, hosts: &[Roles<'_>]) -> Result<(), Failure> {
    let lacking: Vec<Lacking> = hosts.par_iter().filter_map(|roles| source.credentials(roles).err()).collect();
    let Some(first) = lacking.first() else { return Ok(()) };
    let mut lines: Vec<String> =
        lacking.iter().take(NAMED).map(|l| format!("{} {}: {}", l.host, l.what, l.why)).collect();
    if lacking.len() > NAMED {
        lines.push(format!("and {} more", lacking.len() - NAMED));
    }
    let mut commands = Vec::new();
    for (master, command) in [(true, "clusterctl issue-master"), (false, "clusterctl issue-node")] {
        let of: Vec<&str> = lacking.iter().filter(|l| l.master == master).map(|l| l.host.as_str()).collect();
        match of.len() {
            0 => {}
            1..=NAMED => commands.push(format!("{command} {}", of.join(" "))),
            _ => commands.push(format!("{command} --all")),
        }
    }
    let what = match lacking.len() {
        1 => format!("{} has no good credentials, so nothing was packed:\n  {}", first.host, lines.join("\n  ")),
        count => format!("{count} hosts have no good credentials, so nothing was packed:\n  {}", lines.join("\n  ")),
    };
    Err(Failure::new(Exit::Refused, what).hint(format!("issue them with: {}", commands.join(" ; "))))
}

/// Renders on all cores and writes batch after batch.
fn write_all(
    source: &Source<'_>,
    hosts: &[Roles<'_>],
    templates: &Templates,
    context: &Context<'_>,
) -> anyhow::Result<usize> {
    let progress = context.screen.progress("packing", hosts.len() as u64);
    let folder = source.layout.bundles();
    context.stop.listen();
    let mut written = 0;
    for batch in hosts.chunks(BATCH) {
        context.go_on(|| format!("{written} of {} bundles packed", hosts.len()))?;
        let packed = batch
            .par_iter()
            .map(|roles| pack(source, roles, templates))
            .collect::<anyhow::Result<Vec<Zeroizing<Vec<u8>>>>>()?;
        let files: Vec<files::NewFile<'_>> = batch
            .iter()
            .zip(&packed)
            .map(|(roles, bytes)| (format!("{}.tar.gz", roles.host()), bytes.as_slice(), PRIVATE))
            .collect();
        files::replace_all(&folder, &files)?;
        written += batch.len();
        progress.add(batch.len() as u64);
    }
    Ok(written)
}

fn pack(source: &Source<'_>, roles: &Roles<'_>, templates: &Templates) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let host = roles.host();
    let (credentials, generation) = source.credentials(roles).map_err(|lacking| {
        Failure::new(Exit::Refused, format!("the credentials of {host} changed meanwhile: {}", lacking.why))
    })?;
    let input = BundleInput {
        cluster: source.cluster,
        roles: *roles,
        root: source.root,
        credentials: &credentials,
        generation,
    };
    let bundle = templates.render(&input).map_err(|error| {
        Failure::new(Exit::Usage, format!("the bundle of {host} cannot be rendered"))
            .hint("look at the template that is named; clusterctl bundle --eject-templates DIR writes those that work")
            .because(error)
    })?;
    Ok(archive::pack(&bundle))
}
