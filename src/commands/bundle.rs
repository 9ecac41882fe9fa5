//! `bundle`: one archive for each host, with all that it needs to find and trust the others.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rayon::iter::{Either, IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use zeroize::Zeroizing;

use super::batches::{Stopped, in_batches};
use super::context::{Context, unknown_host};
use super::given::templates;
use super::packing::finishing::{self, Finish, LaidParcels};
use super::packing::forgetting;
use super::packing::sealing::SealArgs;
use super::packing::signing::SignArgs;
use super::revoking::lists;
use super::revoking::revocations;
use crate::bundle::archive::{self, Packer};
use crate::bundle::format::{Format, Parcel, sealed_name};
use crate::bundle::input::{BundleInput, CredentialPem, Held, Roles};
use crate::bundle::render::Templates;
use crate::bundle::settings::Settings;
use crate::bundle::verifier::{self, VerifierInput};
use crate::cluster::profile::{Holder, Leaf, Profile};
use crate::cluster::spec::{Cluster, Host};
use crate::cluster_file;
use crate::failure::{Exit, Failure};
use crate::pki::roots::Roots;
use crate::pki::ssh::SshKey;
use crate::policy::denials::Denials;
use crate::store::credentials::{self, Trouble};
use crate::store::error::StoreError;
use crate::store::files::{self, PRIVATE, PUBLIC};
use crate::store::issuance;
use crate::store::layout::Layout;
use crate::store::ledger::Known;
use crate::store::service_account::{self, Found};
use crate::store::traces::{self, Terms, Trace, Traces};

/// Bundles in one batch: up to three batches are kept in memory until they are on the disk.
const BATCH: usize = 512;
/// The most user-data that EC2 takes, in bytes; other clouds take more.
const EC2_LIMIT: u64 = 16 << 10;
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
    /// In which form: an archive to unpack, a folder to copy, user-data for cloud-init, or a config for Ignition
    #[arg(long, value_name = "FORMAT", default_value = Format::TarGz.as_str(), value_parser = formats(), conflicts_with = "verifier")]
    format: Format,
    /// Take templates from this folder where it has them, by their path
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
    /// What runs in a master's static pods: kubernetesVersion, etcdVersion, imageRepository
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "verifier")]
    set: Vec<String>,
    /// Write the built-in templates into this folder, to start from, and do nothing else
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, conflicts_with_all = ["hosts", "all", "templates"])]
    eject_templates: Option<PathBuf>,
    #[command(flatten)]
    seal: SealArgs,
    #[command(flatten)]
    sign: SignArgs,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    let named = |name: String| Format::ALL.into_iter().find(|format| format.as_str() == name);
    PossibleValuesParser::new(Format::ALL.map(Format::as_str)).try_map(move |name| named(name).ok_or("no such format"))
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
        let key = args.sign.key(args.format, context)?;
        return pack_verifier(&cluster, &templates::load(args.templates.as_deref(), context)?, key.as_ref(), context);
    }
    let hosts = select(&cluster, args)?;
    let sealing = args.seal.plan(&hosts, args.format, context)?;
    let forget = args.seal.forget_keys(sealing.as_ref())?;
    let key = args.sign.key(args.format, context)?;
    let finish =
        Finish { templates: templates::load(args.templates.as_deref(), context)?, format: args.format, key, sealing };
    let _lock = context.lock("bundle")?;
    let (mut ledger, known, roots) = context.trust(&cluster)?;
    lists::nothing_is_forgotten(&context.layout, &roots, &ledger, context.now)?;
    let settings = settings(args)?;
    let service_account = service_account_key(&hosts, &context.layout)?;
    let traces = ledger.traces()?;
    let source = Source {
        cluster: &cluster,
        roots: &roots,
        service_account: service_account.as_ref(),
        settings: &settings,
        denials: &revocations::denials(&ledger, &roots.cluster, context.now)?,
        revocations: ledger.count_of_revocations()?,
        known: &known,
        terms: Terms::new(cluster.keys, &roots, &ledger)?,
        traces: &traces,
        layout: &context.layout,
        now: context.now,
    };
    let begun = Instant::now();
    let Ready { hosts, kept, found_good } = all_have_credentials(&source, hosts, args.all)?;
    let folder = context.layout.bundles();
    args.seal.keep_sealed(finish.sealing.as_ref(), &hosts, &folder)?;
    if !found_good.is_empty() {
        ledger.remember(&found_good)?;
    }
    // A killed run may have left keys that it was about to forget, of hosts and of folders that were not finished.
    let mut to_forget = Vec::new();
    if forget {
        issuance::sweep(&context.layout)?;
        let kept = kept.iter().filter_map(Roles::node).flat_map(|node| cluster.node_leaves(node));
        to_forget.extend(kept.filter(|leaf| credentials::lies_there_forgotten(&context.layout, leaf, &known)));
    }
    let kept = kept.len();
    if hosts.is_empty() {
        if !to_forget.is_empty() {
            forgetting::forget(&to_forget, &mut ledger, context)?;
        }
        forgetting::tell_kept(kept, context);
        context.screen.step("nothing was packed");
        return Ok(Exit::Done);
    }
    files::create_folder(&folder)?;
    files::sweep(&folder)?;
    let written = write_all(&source, &hosts, &finish, context)?;
    forgetting::tell_kept(kept, context);
    ledger.note(
        "bundle",
        &format!("{written} host{}", if written == 1 { "" } else { "s" }),
        &folder.display().to_string(),
        &context.mark(),
    )?;
    if forget {
        to_forget.extend(hosts.iter().filter_map(Roles::node).flat_map(|node| cluster.node_leaves(node)));
        forgetting::forget(&to_forget, &mut ledger, context)?;
    }
    if hosts.len() == 1 {
        context.screen.answer(folder.join(finish.name(hosts[0].host())).display());
    } else {
        context.screen.answer(folder.display());
    }
    let seconds = begun.elapsed().as_secs_f64();
    context.screen.step(format_args!(
        "packed {written} bundle{}, in {seconds:.1} s ({:.0} a second). Each holds its host's keys: {}",
        if written == 1 { "" } else { "s" },
        written as f64 / seconds.max(0.001),
        finish.advice(),
    ));
    if args.format.is_user_data() {
        warn_of_user_data(args.format, &folder, &hosts, context)?;
    }
    Ok(Exit::Done)
}

/// What a platform hands to a host, it may hand to others, too.
fn warn_of_user_data(
    format: Format,
    folder: &Path,
    hosts: &[Roles<'_>],
    context: &mut Context<'_>,
) -> Result<(), StoreError> {
    context.screen.warn(
        "the keys are in it in the clear. A cloud's metadata service hands it to every process on the host that asks, \
         pods too: keep pods from 169.254.169.254, and let nobody read it in the cloud's console",
    );
    let mut large = 0;
    for roles in hosts {
        let path = folder.join(format.file_name(roles.host()));
        large += usize::from(files::size(&path)? > EC2_LIMIT);
    }
    if large > 0 {
        context.screen.step(format_args!(
            "{large} of them: over {} KiB, which is more than EC2 takes; {}",
            EC2_LIMIT >> 10,
            match format {
                Format::CloudInit => "lay it in a private bucket, and let user-data of #include and its URL fetch it",
                _ => "lay it in a private bucket, and let a small config fetch it (ignition.config.replace)",
            }
        ));
    }
    Ok(())
}

fn eject(dir: &Path, context: &mut Context<'_>) -> anyhow::Result<Exit> {
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
fn pack_verifier(
    cluster: &Cluster,
    templates: &Templates,
    key: Option<&SshKey>,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    let _lock = context.lock("bundle --verifier")?;
    let layout = &context.layout;
    let (mut ledger, known, roots) = context.trust(cluster)?;
    let root = &roots.cluster;
    let masters = cluster.masters.iter().flat_map(|master| cluster.master_leaves(master));
    let wanted = masters.filter(|leaf| leaf.profile == Profile::ApiserverKubeletClient);
    let (mut credentials, mut generation) = (Vec::new(), 0);
    for leaf in wanted.chain([cluster.verifier_leaf()]) {
        let name = leaf.policy().name;
        let stored = credentials::read_good(layout, &leaf, cluster.keys, root, &known, context.now).map_err(|why| {
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
    let input = VerifierInput { policy, cluster, cluster_file: &cluster_file, root, credentials, generation };
    let mut bundle = verifier::render(input)
        .map_err(|error| Failure::new(Exit::Refused, "the verifier bundle cannot be made").because(error))?;
    if let Some(key) = key {
        finishing::sign(&mut bundle, key)?;
    }
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
    let mut wanted: HashSet<&str> = args.hosts.iter().map(String::as_str).collect();
    let (selected, others): (Vec<_>, Vec<_>) =
        hosts.into_iter().partition(|roles| wanted.remove(roles.host().as_str()));
    if let Some(unknown) = args.hosts.iter().find(|name| wanted.contains(name.as_str())) {
        let known: Vec<&str> = selected.iter().chain(&others).map(|roles| roles.host().as_str()).collect();
        return Err(unknown_host(unknown, "host", &known));
    }
    Ok(selected)
}

fn settings(args: &BundleArgs) -> Result<Settings, Failure> {
    Settings::parse(&args.set).map_err(|error| Failure::new(Exit::Usage, "a --set cannot be used").because(error))
}

/// What signs service accounts' tokens, where one of the hosts is a master.
fn service_account_key(hosts: &[Roles<'_>], layout: &Layout) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    if hosts.iter().all(|roles| roles.master().is_none()) {
        return Ok(None);
    }
    let refused = |why: String| {
        Failure::new(Exit::Refused, format!("the service-account key is not good, so nothing was packed: {why}"))
    };
    match service_account::look(layout) {
        Ok(Found::Whole(key)) => Ok(Some(Zeroizing::new(key.to_pem().as_bytes().to_vec()))),
        Ok(Found::Nothing | Found::Half(_)) => {
            Err(refused("it was not made yet".to_owned()).hint("make it with: clusterctl issue-master --all"))
        }
        Err(trouble) => Err(refused(trouble.to_string()).hint("restore pki/sa.key and pki/sa.pub from a backup")),
    }
}

/// What bundles are made from.
struct Source<'a> {
    cluster: &'a Cluster,
    roots: &'a Roots,
    service_account: Option<&'a Zeroizing<Vec<u8>>>,
    settings: &'a Settings,
    denials: &'a Denials,
    /// How many there ever were: what a master holds grows with them.
    revocations: u64,
    known: &'a Known,
    terms: Terms,
    traces: &'a Traces,
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

    /// Whether all that a host is to hold is good, by its trace, or else by a close look, whose traces are returned.
    fn judge<'c>(&self, roles: &Roles<'c>) -> Result<Vec<Trace>, Lacking<'c>> {
        let leaves = self.leaves(roles);
        let mut traces = Vec::new();
        // A host that is both has two folders.
        for leaves in leaves.chunk_by(|a, b| a.policy().holder == b.policy().holder) {
            let sight = traces::look(self.layout, leaves, &self.terms, self.now);
            if sight.is_some_and(|sight| self.traces.vouch_for(&sight, self.now, self.now).is_some()) {
                continue;
            }
            let mut good = Vec::new();
            for leaf in leaves {
                let (keys, root) = (self.cluster.keys, self.roots.issuer_of(leaf));
                let found = credentials::read_good(self.layout, leaf, keys, root, self.known, self.now);
                let stored = found.map_err(|troubles| Lacking::of(roles, leaf, &troubles))?;
                good.push(stored.credential.certificate);
            }
            traces.extend(sight.zip(leaves.first()).and_then(|(sight, first)| sight.trace(first, good.iter())));
        }
        Ok(traces)
    }

    /// A host's credentials, and the generation of its bundle: the newest one's place in the ledger. The very bytes that are
    /// packed are judged here, in all but the root's signature, for which the ledger is believed.
    fn credentials(&self, roles: &Roles<'_>) -> Result<(Vec<Held>, u64), Failure> {
        let (mut held, mut generation) = (Vec::new(), 0);
        for leaf in self.leaves(roles) {
            let (keys, root) = (self.cluster.keys, self.roots.issuer_of(&leaf));
            let found = credentials::read_issued(self.layout, &leaf, keys, root, self.known, self.now);
            let stored = found.map_err(|troubles| Lacking::of(roles, &leaf, &troubles).after_the_first_look())?;
            let fingerprint = stored.credential.certificate.fingerprint();
            generation = generation.max(self.known.sequence(fingerprint).unwrap_or(0));
            held.push(Held { profile: leaf.profile, credential: stored.credential });
        }
        // A master that is told of more revocations is never told of fewer.
        if roles.master().is_some() {
            generation += self.revocations;
        }
        Ok((held, generation))
    }
}

/// A host whose credentials are not there, or no longer good.
struct Lacking<'c> {
    roles: Roles<'c>,
    what: &'static str,
    why: String,
    master: bool,
    /// Its key was forgotten on purpose; all else is good.
    forgotten: bool,
}

impl<'c> Lacking<'c> {
    fn of(roles: &Roles<'c>, leaf: &Leaf, troubles: &[Trouble]) -> Self {
        Self {
            roles: *roles,
            what: leaf.policy().name,
            why: troubles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            master: leaf.policy().holder == Holder::Master,
            forgotten: matches!(troubles, [Trouble::Forgotten { .. }]),
        }
    }

    /// Its files changed while others were being packed. Or their bytes did and nothing else, and nobody looked at those.
    fn after_the_first_look(self) -> Failure {
        let Self { roles, what, why, master, .. } = self;
        let host = roles.host();
        let command = if master { "issue-master" } else { "issue-node" };
        Failure::new(Exit::Refused, format!("the {what} credential of {host} is not good: {why}"))
            .hint(format!("look at all with: clusterctl verify --offline   and issue it again with: clusterctl {command} {host} --reissue"))
    }
}

/// What the first look at all hosts found.
struct Ready<'c> {
    /// All of whose credentials are good.
    hosts: Vec<Roles<'c>>,
    /// Those that, where all are meant, keep the sealed bundle that has their forgotten keys.
    kept: Vec<Roles<'c>>,
    /// What may be remembered.
    found_good: Vec<Trace>,
}

/// Looks at every host before anything is written.
fn all_have_credentials<'c>(source: &Source<'_>, hosts: Vec<Roles<'c>>, all: bool) -> Result<Ready<'c>, Failure> {
    let (good, lacking): (Vec<(Roles<'c>, Vec<Trace>)>, Vec<Lacking<'c>>) =
        hosts.into_par_iter().partition_map(|roles| match source.judge(&roles) {
            Ok(traces) => Either::Left((roles, traces)),
            Err(lacking) => Either::Right(lacking),
        });
    let keeps = |l: &Lacking<'_>| {
        all && l.forgotten && files::exists(&source.layout.bundles().join(sealed_name(l.roles.host())))
    };
    let (kept, lacking): (Vec<Lacking<'c>>, Vec<Lacking<'c>>) = lacking.into_iter().partition(keeps);
    let Some(first) = lacking.first() else {
        let (hosts, traces): (Vec<Roles<'c>>, Vec<Vec<Trace>>) = good.into_iter().unzip();
        let kept = kept.into_iter().map(|lacking| lacking.roles).collect();
        return Ok(Ready { hosts, kept, found_good: traces.into_iter().flatten().collect() });
    };
    let mut lines: Vec<String> =
        lacking.iter().take(NAMED).map(|l| format!("{} {}: {}", l.roles.host(), l.what, l.why)).collect();
    if lacking.len() > NAMED {
        lines.push(format!("and {} more", lacking.len() - NAMED));
    }
    let mut commands = Vec::new();
    let ways = [
        (true, false, "clusterctl issue-master"),
        (false, false, "clusterctl issue-node"),
        (false, true, "clusterctl issue-node --reissue"),
    ];
    for (master, forgotten, command) in ways {
        let meant = lacking.iter().filter(|l| l.master == master && l.forgotten == forgotten);
        let of: Vec<&str> = meant.map(|l| l.roles.host().as_str()).collect();
        match of.len() {
            0 => {}
            1..=NAMED => commands.push(format!("{command} {}", of.join(" "))),
            _ => commands.push(format!("{command} --all")),
        }
    }
    let what = match lacking.len() {
        1 => {
            format!("{} has no good credentials, so nothing was packed:\n  {}", first.roles.host(), lines.join("\n  "))
        }
        count => format!("{count} hosts have no good credentials, so nothing was packed:\n  {}", lines.join("\n  ")),
    };
    Err(Failure::new(Exit::Refused, what).hint(format!("issue them with: {}", commands.join(" ; "))))
}

/// Renders batch after batch on all cores, while the one before is laid into files, and the one before that settles on the disk.
fn write_all(
    source: &Source<'_>,
    hosts: &[Roles<'_>],
    finish: &Finish<'_>,
    context: &Context<'_>,
) -> anyhow::Result<usize> {
    let progress = context.screen.progress("packing", hosts.len() as u64);
    let (folder, stop) = (source.layout.bundles(), &context.stop);
    let make = |batch: &[Roles<'_>]| {
        // rayon makes a packer for every part that it cuts a batch into.
        let parts = batch.par_iter().with_min_len(BATCH / 16);
        let one = |packer: &mut Packer, roles: &Roles<'_>| match stop.asked() {
            true => Err(Stopped.into()),
            false => pack(source, *roles, finish, packer),
        };
        parts.map_init(|| finish.format.packer(), one).collect()
    };
    let lay = |batch: &[Roles<'_>], parcels: Vec<Parcel>| {
        let names = batch.iter().map(|roles| finish.name(roles.host()));
        Ok(finishing::lay(&folder, names.zip(&parcels))?)
    };
    let settle = |batch: &[Roles<'_>], laid: LaidParcels| {
        laid.settle(&folder)?;
        let superseded: Vec<PathBuf> = batch.iter().flat_map(|roles| finish.superseded(roles.host())).collect();
        files::remove_all(&folder, &superseded)?;
        progress.add(batch.len() as u64);
        Ok(())
    };
    let told = |written| format!("{written} of {} bundles packed", hosts.len());
    in_batches(hosts, BATCH, context, make, lay, settle, told)
}

fn pack(source: &Source<'_>, roles: Roles<'_>, finish: &Finish<'_>, packer: &mut Packer) -> anyhow::Result<Parcel> {
    let (credentials, generation) = source.credentials(&roles)?;
    let input = BundleInput {
        cluster: source.cluster,
        roles,
        roots: source.roots,
        service_account: source.service_account.filter(|_| roles.master().is_some()),
        settings: source.settings,
        denials: source.denials,
        credentials: &credentials,
        generation,
    };
    let bundle = finish.templates.render(&input).map_err(|error| {
        Failure::new(Exit::Usage, format!("the bundle of {} cannot be rendered", roles.host()))
            .hint("look at the template that is named; clusterctl bundle --eject-templates DIR writes those that work")
            .because(error)
    })?;
    finish.parcel(bundle, packer)
}
