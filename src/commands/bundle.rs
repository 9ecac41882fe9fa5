//! `bundle`: one archive for each host, with all that it needs to find and trust the others.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use zeroize::Zeroizing;

use super::packing::exposed::Exposed;
use super::packing::finishing::{self, Finish, LaidParcels};
use super::packing::images;
use super::packing::numbering::Numbering;
use super::packing::ready::{Ready, who_has_credentials};
use super::packing::report::{Report, listed};
use super::packing::resealing::Resealing;
use super::packing::sealing::SealArgs;
use super::packing::signing::{SignArgs, signed_before, tell_of_lost_signatures};
use super::packing::source::Source;
use super::packing::{forgetting, older, verifier};
use crate::app::batches::{Interrupt, batch_size, in_batches};
use crate::app::package::templates;
use crate::app::revoke::{check_ledger_is_current, denials, removed_hosts, rendered};
use crate::bundle::format::{Format, Parcel};
use crate::bundle::images::Settings;
use crate::bundle::input::Roles;
use crate::bundle::packer::Packer;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::{Context, unknown_host};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::duration::stamp;
use crate::cluster::profile::{CaRole, CertificateSpec};
use crate::cluster::spec::{Cluster, Host};
use crate::pki::ca_set::CaSet;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::issuance;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::service_account::{self, Found};
use crate::store::verification_cache::{CacheKey, Snapshots};

/// Bundles in one batch: a handful of batches is in memory at once, until they are on the disk.
const BATCH: RangeInclusive<usize> = 512..=2048;
/// Fewer bundles than these are not worth a packer.
const FEWEST: usize = 32;
/// The most user-data that EC2 takes, in bytes; other clouds take more.
const EC2_LIMIT: u64 = 16 << 10;

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
    /// What runs in a master's static pods, in place of what the cluster file says: kubernetesVersion, etcdVersion,
    /// imageRepository
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "verifier")]
    set: Vec<String>,
    /// Pack systemd units for the host's programs, too, for hosts whose packages bring none; withUnits in the cluster file
    /// does so each time
    #[arg(long, conflicts_with = "verifier")]
    with_units: bool,
    /// Write the built-in templates into this folder, to start from, and do nothing else
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, conflicts_with_all = ["hosts", "all", "templates"])]
    eject_templates: Option<PathBuf>,
    /// How to answer
    #[arg(long, value_enum, default_value_t, conflicts_with_all = ["verifier", "eject_templates"])]
    output: OutputFormat,
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
pub fn run(args: &BundleArgs, context: &mut Context<'_>) -> Result<Exit> {
    if let Some(dir) = &args.eject_templates {
        return eject(dir, context);
    }
    let cluster = context.cluster()?;
    if args.verifier {
        let key = args.sign.key(args.format, context)?;
        return verifier::pack(
            &cluster,
            &templates::load(
                args.templates.as_ref().map(|dir| context.path(dir)).as_deref(),
                &cluster,
                &context.env.layout,
            )?,
            key.as_ref(),
            context,
        );
    }
    let hosts = select(&cluster, args)?;
    let sealing = args.seal.plan(&hosts, &cluster, args.format, context)?;
    let forget = args.seal.forget_keys(sealing.as_ref())?;
    let key = args.sign.key(args.format, context)?;
    let finish = Finish {
        templates: templates::load(
            args.templates.as_ref().map(|dir| context.path(dir)).as_deref(),
            &cluster,
            &context.env.layout,
        )?,
        format: args.format,
        key,
        sealing,
    };
    let _lock = context.lock("bundle")?;
    let (mut ledger, known, roots) = context.trust(&cluster)?;
    check_ledger_is_current(&context.env.layout, &roots, &ledger, context.env.now)?;
    root_lasts(&roots, context)?;
    removed_hosts::report(&context.env.clone(), &cluster, &ledger, &mut context.observer())?;
    let settings = settings(args, &cluster)?;
    let service_account = service_account_key(&hosts, &context.env.layout)?;
    let cache_key = CacheKey::new(cluster.keys, &roots, ledger.revocation_count()?);
    let cache = ledger.verification_cache()?;
    let denials = denials::of_ledger(&ledger, &roots.cluster, context.env.now)?;
    let source = Source {
        cluster: &cluster,
        roots: &roots,
        service_account: service_account.as_ref(),
        settings: &settings,
        denials: &denials,
        known: &known,
        snapshots: Snapshots::new(&context.env.layout, cache_key, context.env.now),
        cache: &cache,
        layout: &context.env.layout,
        now: context.env.now,
        exposed: Exposed::default(),
    };
    let begun = Instant::now();
    let Ready { hosts, kept, found_good, refused } = who_has_credentials(&source, hosts, args.all)?;
    let folder = context.env.layout.bundles();
    args.seal.keep_sealed(finish.sealing.as_ref(), &hosts, &folder)?;
    finish.loses_nothing(&hosts, &folder)?;
    older::refuse(&source, &hosts, &folder, ledger.last_generation()?)?;
    if !found_good.is_empty() {
        ledger.remember_verified(&found_good)?;
    }
    let mut to_forget = if forget { left_to_forget(&kept, &source)? } else { Vec::new() };
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
    let were_signed = if finish.key.is_none() { signed_before(&hosts, &folder) } else { Vec::new() };
    let changed = write_all(&source, &mut ledger, &hosts, &finish, context)?;
    let written = hosts.len();
    source.exposed.tell(context);
    if service_account.is_some() {
        Exposed::tell_of_service_accounts(context);
    }
    if service_account.is_some() {
        images::tell_of_shortcomings(&settings, cluster.accounts, denials.count(), context);
    }
    images::tell_of_changes(&ledger, &hosts, &settings, !args.set.is_empty(), context)?;
    tell_of_lost_signatures(&were_signed, context);
    images::tell_of_others_versions(&hosts, &settings, &cluster, context);
    images::remember(&mut ledger, &hosts, &settings)?;
    forgetting::tell_kept(kept, context);
    ledger.log_event(
        "bundle",
        &format!("{written} host{}", if written == 1 { "" } else { "s" }),
        &folder.display().to_string(),
        &context.env.audit(),
    )?;
    if forget {
        to_forget.extend(hosts.iter().filter_map(Roles::node).flat_map(|node| cluster.node_leaves(node)));
        forgetting::forget(&to_forget, &mut ledger, context)?;
    }
    let (refused, failure) = refused.unzip();
    let report = Report {
        hosts: &hosts,
        changed: &changed,
        refused: refused.unwrap_or_default(),
        finish: &finish,
        folder: &folder,
        seconds: begun.elapsed().as_secs_f64(),
    };
    report.print(args.output, context);
    if args.format.is_user_data() {
        warn_of_user_data(args.format, &folder, &hosts, context)?;
    }
    match failure {
        Some(failure) => Err(failure),
        None => Ok(Exit::Done),
    }
}

/// Keys that a killed run was about to forget, of hosts that keep their sealed bundles; what it left of folders that were not
/// finished goes at once.
fn left_to_forget(kept: &[Roles<'_>], source: &Source<'_>) -> Result<Vec<CertificateSpec>, StoreError> {
    issuance::sweep(source.layout)?;
    let leaves = kept.iter().filter_map(Roles::node).flat_map(|node| source.cluster.node_leaves(node));
    Ok(leaves.filter(|leaf| credentials::has_discarded_key(source.layout, leaf, source.known)).collect())
}

/// Where a root has ended, new certificates help nobody.
fn root_lasts(roots: &CaSet, context: &Context<'_>) -> Result<()> {
    for kind in CaRole::ALL {
        let end = roots.of(kind).active().not_after();
        if context.env.now > end {
            let what = format!("the {} ended on {}, so nothing was packed", kind.as_str(), stamp(end));
            return Err(CliError::new(Exit::Refused, what).hint(
                "nothing that it signed is good any more: start a new cluster directory. Or is this machine's clock (date) wrong?",
            ));
        }
    }
    Ok(())
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
    let mut large = Vec::new();
    for roles in hosts {
        let size = files::size(&folder.join(format.file_name(roles.host())))?;
        if size > EC2_LIMIT {
            large.push(format!("{} ({size} bytes)", roles.host()));
        }
    }
    if !large.is_empty() {
        let hosts: Vec<&str> = large.iter().map(String::as_str).collect();
        context.screen.step(format_args!(
            "{} of them: over {} KiB ({EC2_LIMIT} bytes), which is more than EC2 takes: {}; {}",
            large.len(),
            EC2_LIMIT >> 10,
            listed(&hosts),
            match format {
                Format::CloudInit => "lay it in a private bucket, and let user-data of #include and its URL fetch it",
                _ => "lay it in a private bucket, and let a small config fetch it (ignition.config.replace)",
            }
        ));
    }
    Ok(())
}

fn eject(dir: &Path, context: &mut Context<'_>) -> Result<Exit> {
    let dir = context.path(dir);
    for path in templates::eject(&dir)? {
        context.screen.answer(path.display());
    }
    context
        .screen
        .step(format_args!("change what you need and use it with: clusterctl bundle --templates {}", dir.display()));
    Ok(Exit::Done)
}

/// The hosts that bundles are made for, each once, with what they are; masters first, in the cluster file's order.
fn select<'c>(cluster: &'c Cluster, args: &BundleArgs) -> Result<Vec<Roles<'c>>> {
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
        return Err(CliError::new(Exit::Usage, "no host was named").hint(hint));
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

fn settings(args: &BundleArgs, cluster: &Cluster) -> Result<Settings> {
    let mut settings = Settings::with(&cluster.kubernetes, &args.set)
        .map_err(|error| CliError::new(Exit::Usage, "a --set cannot be used").because(error))?;
    let unknown = cluster.kubelet_fields_unknown_to(&settings.kubernetes_version);
    if !unknown.is_empty() {
        let what =
            format!("the kubelets' settings in cluster.yaml do not fit Kubernetes {}", settings.kubernetes_version);
        let faults: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        return Err(CliError::new(Exit::Usage, format!("{what}, so nothing was packed:\n  {}", faults.join("\n  ")))
            .hint("take them out of cluster.yaml, or --set a later kubernetesVersion"));
    }
    settings.with_units = args.with_units || cluster.with_units;
    Ok(settings)
}

/// What signs service accounts' tokens, where one of the hosts is a master.
fn service_account_key(hosts: &[Roles<'_>], layout: &Layout) -> Result<Option<Zeroizing<Vec<u8>>>> {
    if hosts.iter().all(|roles| roles.master().is_none()) {
        return Ok(None);
    }
    let refused = |why: String| {
        CliError::new(Exit::Refused, format!("the service-account key is not good, so nothing was packed: {why}"))
    };
    match service_account::look(layout) {
        Ok(Found::Whole(key)) => Ok(Some(Zeroizing::new(key.to_pem().as_bytes().to_vec()))),
        Ok(Found::Nothing | Found::Half(_)) => {
            Err(refused("it was not made yet".to_owned()).hint("make it with: clusterctl issue-master --all"))
        }
        Err(CredentialProblem::Unreadable(error)) => {
            let what = "the service-account key cannot be read, so nothing was packed";
            Err(CliError::new(Exit::Environment, what).because(error))
        }
        Err(trouble) => Err(refused(trouble.to_string()).hint("restore pki/sa.key and pki/sa.pub from a backup")),
    }
}

/// Renders batch after batch on all cores, while the one before is laid into files, and the one before that settles on the disk.
/// Returns the hosts whose bundles changed; the others' files are left alone.
fn write_all(
    source: &Source<'_>,
    ledger: &mut Ledger,
    hosts: &[Roles<'_>],
    finish: &Finish<'_>,
    context: &Context<'_>,
) -> Result<HashSet<String>> {
    let (numbering, resealing) = (Numbering::begin(ledger, context.env.now)?, Resealing::begin(ledger)?);
    let progress = context.screen.progress("packing", hosts.len() as u64);
    let (folder, stop) = (source.layout.bundles(), &context.stop);
    let changed = Mutex::new(HashSet::new());
    let size = batch_size(hosts.len(), BATCH);
    let make = |batch: &[Roles<'_>]| {
        // rayon makes a packer for every part that it cuts a batch into.
        let parts = batch.par_iter().with_min_len((batch.len() / 16).max(FEWEST));
        let one = |packer: &mut Packer, roles: &Roles<'_>| {
            if stop.asked() {
                return Err(Interrupt::Cancelled);
            }
            let bundle = numbering.bundle(source, *roles, &finish.templates)?;
            let parcel = finish.parcel(bundle, packer, &resealing, &folder)?;
            if parcel.is_some() {
                changed.lock().unwrap_or_else(PoisonError::into_inner).insert(roles.host().to_string());
            }
            Ok(parcel)
        };
        parts.map_init(|| finish.format.packer(), one).collect()
    };
    let lay = |batch: &[Roles<'_>], parcels: Vec<Option<Parcel>>| {
        let names = batch.iter().map(|roles| finish.name(roles.host()));
        let new = names.zip(&parcels).filter_map(|(name, parcel)| Some((name, parcel.as_ref()?)));
        Ok(finishing::lay(&folder, new)?)
    };
    let settle = |batch: &[Roles<'_>], laid: LaidParcels| {
        laid.settle(&folder)?;
        let superseded: Vec<PathBuf> = batch.iter().flat_map(|roles| finish.superseded(roles.host())).collect();
        files::remove_all(&folder, &superseded)?;
        progress.add(batch.len() as u64);
        Ok(())
    };
    let told = |written| format!("{written} of {} bundles packed", hosts.len());
    context.stop.listen();
    let written = in_batches(hosts, size, &context.stop.cancellation(), make, lay, settle).and_then(|written| {
        match written < hosts.len() {
            true => context.go_on(|| told(written)),
            false => Ok(()),
        }
    });
    // Before whatever went wrong is told: what was packed until then was packed.
    let remembered = numbering.end(ledger).and_then(|()| resealing.end(ledger));
    written?;
    remembered?;
    rendered::record_packing(source.layout, ledger, &source.roots.cluster)?;
    Ok(changed.into_inner().unwrap_or_else(PoisonError::into_inner))
}
