//! What `issue-master` and `issue-node` share: plan, open the root, then make, check, record and write in batches.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use clap::Args;
use rayon::iter::{Either, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use time::OffsetDateTime;

use super::batches::{Stopped, in_batches};
use super::context::Context;
use super::lists;
use super::passphrase::PassphraseArgs;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::{Leaf, RootKind};
use crate::cluster::spec::{Cluster, Host};
use crate::failure::{Exit, Failure};
use crate::pki::authority::{Authority, Credential, MintError};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::inspect::{Verified, in_words, stamp};
use crate::pki::roots::Roots;
use crate::store::credentials::{self, Trouble};
use crate::store::fleet_trace::{self, FleetTrace};
use crate::store::issuance::{self, Holding, Issuer};
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::service_account::{self, Found};
use crate::store::traces::{self, Good, Sight, Terms, Trace};

/// Holders in one batch: large enough that the disk's syncs do not count, small enough for memory and for a prompt stop.
const BATCH: usize = 1024;
/// Holders that each core is given at once.
const PART: usize = 32;

/// Flags of both commands.
#[derive(Debug, Args)]
pub(super) struct IssueArgs {
    /// Replace what is good, too
    #[arg(long)]
    pub(super) reissue: bool,
    /// Say what would be issued and why, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Also replace what ends within this time, for example 30d
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse)]
    pub(super) renew_within: Option<Lifetime>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// What is asked for.
pub(super) struct Request<'a> {
    /// The command's name.
    pub(super) command: &'static str,
    /// What comes after it.
    pub(super) next: &'static str,
    /// How many hold something,
    pub(super) holders: usize,
    /// and what each of them, by number, is to hold. Made when it is needed: of many hosts it would fill the memory.
    pub(super) leaves: &'a (dyn Fn(usize) -> Vec<Leaf> + Sync),
    /// Whether the cluster's service-account pair is part of it.
    pub(super) service_account: bool,
    /// All nodes, where it is about all of them.
    pub(super) fleet: Option<Fleet<'a>>,
    /// How.
    pub(super) how: &'a IssueArgs,
}

/// All nodes of a cluster file; holders have their numbers.
pub(super) struct Fleet<'a> {
    /// The digest of the cluster file's bytes.
    pub(super) file: Fingerprint,
    /// Its nodes.
    pub(super) nodes: &'a [&'a Host],
}

/// Says that there is nothing to do, where the ledger remembers that all nodes were good and nothing was touched since, the
/// cluster file with that digest neither. False where a closer look is needed, or anything is amiss: that look says what.
pub(super) fn all_are_untouched(file: Fingerprint, how: &IssueArgs, context: &mut Context<'_>) -> bool {
    let look = || {
        let (ledger, roots) = context.roots_of_any_cluster().ok()?;
        let trace = ledger.fleet_trace().ok()??;
        lists::nothing_is_forgotten(&context.layout, &roots, &ledger, context.now).ok()?;
        let asked = fleet_trace::asked(file, &roots, ledger.count_of_revocations().ok()?);
        trace.vouches(&context.layout, asked, context.now, how.end(context.now)).then_some(trace.certificates)
    };
    let untouched = if how.reissue { None } else { look() };
    if let Some(certificates) = untouched {
        tell_of_nothing(certificates, how, context);
    }
    untouched.is_some()
}

fn tell_of_nothing(kept: usize, how: &IssueArgs, context: &mut Context<'_>) {
    match how.dry_run {
        true => tell_count(0, kept, context),
        false => context.screen.step(format_args!("nothing to do: {} good", certificates(kept))),
    }
}

fn tell_count(issued: usize, kept: usize, context: &mut Context<'_>) {
    context.screen.step(format_args!("would issue {} and keep {kept}; nothing was changed", certificates(issued)));
}

impl IssueArgs {
    /// What ends by then is replaced.
    fn end(&self, now: OffsetDateTime) -> OffsetDateTime {
        self.renew_within.map_or(now, |within| now + within.duration())
    }
}

/// Issues what is missing or no longer good.
///
/// # Errors
/// When there is no root or it is not fit to sign, the passphrase is wrong, the ledger or the disk cannot be used. Then
/// whatever was issued before is kept, recorded and whole.
pub(super) fn issue(request: &Request<'_>, cluster: &Cluster, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    if request.how.dry_run {
        let (ledger, roots) = context.roots(cluster)?;
        let (plans, _) = plan(request, cluster, &roots, &ledger, context)?;
        tell_plan(request, &plans, pair_to_make(request, context)?.as_ref(), context);
        return Ok(Exit::Done);
    }
    let _lock = context.lock(request.command)?;
    let (mut ledger, roots) = context.roots(cluster)?;
    lists::nothing_is_forgotten(&context.layout, &roots, &ledger, context.now)?;
    let (plans, traces) = plan(request, cluster, &roots, &ledger, context)?;
    if !traces.is_empty() {
        ledger.remember(&traces)?;
    }
    let pair = make_pair(request, cluster, &mut ledger, context)?;
    let work: Vec<&Plan> = plans.iter().filter(|plan| !plan.issue.is_empty()).collect();
    let kept: usize = plans.iter().map(|plan| plan.kept).sum();
    if work.is_empty() && !pair {
        remember_fleet(request, &plans, &[], &roots, &mut ledger, context)?;
        tell_of_nothing(kept, request.how, context);
        return Ok(Exit::Done);
    }
    let signers = request.how.passphrase.open(&signers(request, &work), context)?;
    // Typing a passphrase is not work, and counts for nothing.
    let begun = Instant::now();
    let authorities = Authorities::open(&signers, context.now)?;
    warn_of_short_lives(request, &work, &roots, context);
    issuance::prepare(&context.layout)?;
    let traces = make_all(request, &work, cluster, &authorities, &roots, &mut ledger, context)?;
    remember_fleet(request, &plans, &traces, &roots, &mut ledger, context)?;
    let issued = certificates_in(&work);
    let seconds = begun.elapsed().as_secs_f64();
    context.screen.step(format_args!(
        "issued {}, kept {kept}, in {seconds:.1} s ({:.0} a second)",
        certificates(issued),
        issued as f64 / seconds.max(0.001),
    ));
    context.screen.step(format_args!("Go on with: clusterctl {}", request.next));
    Ok(Exit::Done)
}

/// What there is to be done for the service-account pair, if anything.
fn pair_to_make(request: &Request<'_>, context: &Context<'_>) -> Result<Option<Found>, Failure> {
    if !request.service_account {
        return Ok(None);
    }
    match service_account::look(&context.layout) {
        Ok(Found::Whole(_)) => Ok(None),
        Ok(found) => Ok(Some(found)),
        Err(trouble) => Err(Failure::new(Exit::Refused, format!("the service-account key is not good: {trouble}"))
            .hint("restore pki/sa.key and pki/sa.pub from a backup. Or remove both: then a new pair is made, and every service account's token ends")),
    }
}

/// Makes the service-account pair where it is missing; true when it did.
fn make_pair(
    request: &Request<'_>,
    cluster: &Cluster,
    ledger: &mut Ledger,
    context: &mut Context<'_>,
) -> anyhow::Result<bool> {
    let key = match pair_to_make(request, context)? {
        None | Some(Found::Whole(_)) => return Ok(false),
        Some(Found::Half(key)) => {
            service_account::write_public(&context.layout, &key)?;
            key
        }
        Some(Found::Nothing) => {
            let key = service_account::make(cluster.keys).map_err(MintError::Key)?;
            service_account::write(&context.layout, &key, ledger, &context.mark())?;
            key
        }
    };
    context
        .screen
        .step(format_args!("made the pair that signs service accounts' tokens: {}", key.fingerprint().as_pin()));
    Ok(true)
}

fn certificates(count: usize) -> String {
    format!("{count} certificate{}", if count == 1 { "" } else { "s" })
}

/// The roots that the work needs, each once.
fn signers(request: &Request<'_>, work: &[&Plan]) -> Vec<RootKind> {
    let needs = |plan: &&Plan| {
        let leaves = (request.leaves)(plan.holder);
        let kinds = plan.issue.iter().map(|(i, _)| leaves[*i].policy().signed_by);
        kinds.collect::<BTreeSet<_>>()
    };
    let all = work.par_iter().map(needs).reduce(BTreeSet::new, |a, b| &a | &b);
    all.into_iter().collect()
}

/// The roots that were opened, ready to sign.
struct Authorities<'a>(Vec<(RootKind, Authority<'a>)>);

impl<'a> Authorities<'a> {
    fn open(signers: &'a [(RootKind, Credential)], now: OffsetDateTime) -> anyhow::Result<Self> {
        let open = |(kind, root): &'a (RootKind, Credential)| {
            Authority::open(root, now).map(|authority| (*kind, authority)).map_err(|error| unfit(*kind, error))
        };
        signers.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    fn issue(&self, leaf: &Leaf, keys: KeyKind) -> anyhow::Result<Verified<Credential>> {
        let signer = leaf.policy().signed_by;
        let found = self.0.iter().find(|(kind, _)| *kind == signer);
        let (_, authority) = found.ok_or_else(|| {
            Failure::new(Exit::Bug, format!("the {} that signs {} was not opened", signer.as_str(), holder(leaf)))
        })?;
        authority.issue(leaf, keys).map_err(|error| {
            Failure::new(Exit::Bug, format!("no good certificate could be made for {}", holder(leaf)))
                .because(error)
                .into()
        })
    }
}

pub(super) fn unfit(kind: RootKind, error: MintError) -> anyhow::Error {
    Failure::new(Exit::Refused, format!("the {} is not fit to sign", kind.as_str()))
        .hint(
            "a root cannot be renewed in place: restore the right ca.crt and ca.key, or start a new cluster directory",
        )
        .because(error)
        .into()
}

/// What is to be done for one holder.
struct Plan {
    /// Its number.
    holder: usize,
    /// Which of its leaves are issued, by number, each with all reasons. The others are good and lie beside them.
    issue: Vec<(usize, Vec<String>)>,
    /// How many are good.
    kept: usize,
    /// What is good, where that is all, and nothing was touched just now.
    good: Option<Good>,
}

fn certificates_in(work: &[&Plan]) -> usize {
    work.iter().map(|plan| plan.issue.len()).sum()
}

/// Remembers, where all nodes are good by now, that they all are: by their plans, and by the traces of what was issued.
fn remember_fleet(
    request: &Request<'_>,
    plans: &[Plan],
    issued: &[Trace],
    roots: &Roots,
    ledger: &mut Ledger,
    context: &Context<'_>,
) -> anyhow::Result<()> {
    let Some(Fleet { file, nodes }) = &request.fleet else { return Ok(()) };
    let kept = plans.iter().filter_map(|plan| Some((nodes[plan.holder].name.as_str(), plan.good?)));
    let issued = issued.iter().filter_map(|trace| Some((trace.node()?, trace.good)));
    let good: HashMap<&str, Good> = kept.chain(issued).collect();
    let asked = fleet_trace::asked(*file, roots, ledger.count_of_revocations()?);
    if good.len() == nodes.len()
        && let Some(trace) = FleetTrace::of(&context.layout, asked, &good)
    {
        ledger.remember_fleet(&trace)?;
    }
    Ok(())
}

/// Compares what lies in the directory with what the cluster file asks for. Whose files were not touched since they were good
/// is not looked at more closely. Returns also what may be remembered of the others.
fn plan(
    request: &Request<'_>,
    cluster: &Cluster,
    roots: &Roots,
    ledger: &Ledger,
    context: &Context<'_>,
) -> anyhow::Result<(Vec<Plan>, Vec<Trace>)> {
    let (layout, now, how) = (&context.layout, context.now, request.how);
    let (terms, traces) = (Terms::new(cluster.keys, roots, ledger)?, ledger.traces()?);
    let end = how.end(now);
    let glance = |holder: usize| {
        let leaves = (request.leaves)(holder);
        let sight = traces::look(layout, &leaves, terms.asked(&leaves), now);
        let good = sight.filter(|_| !how.reissue).and_then(|sight| traces.vouch_for(&sight, now, end));
        let plan = |good| Plan { holder, issue: Vec::new(), kept: leaves.len(), good: Some(good) };
        good.map(plan).ok_or((holder, sight))
    };
    let sort = |glanced| match glanced {
        Ok(plan) => Either::Left(plan),
        Err(unknown) => Either::Right(unknown),
    };
    let (mut plans, others): (Vec<Plan>, Vec<(usize, Option<Sight>)>) =
        (0..request.holders).into_par_iter().map(glance).partition_map(sort);
    drop(traces);
    context.go_on(|| "nothing was changed".to_owned())?;
    if others.is_empty() {
        return Ok((plans, Vec::new()));
    }
    let progress = context.screen.progress("looking at what is there", others.len() as u64);
    let known = ledger.known()?;
    let one = |&(holder, sight): &(usize, Option<Sight>)| {
        let mut plan = Plan { holder, issue: Vec::new(), kept: 0, good: None };
        let (leaves, mut good, mut forgotten) = ((request.leaves)(holder), Vec::new(), Vec::new());
        // Of a new fleet there are no folders, and a look at each of their files would be most of the looking.
        let lacks_folder = leaves.first().is_some_and(|leaf| credentials::lacks_folder(layout, leaf));
        for (i, leaf) in leaves.iter().enumerate() {
            let found = match lacks_folder {
                true => Err(vec![Trouble::NotThere]),
                false => credentials::read_good(layout, leaf, cluster.keys, roots.issuer_of(leaf), &known, now),
            };
            let reasons: Vec<String> = match &found {
                // A disk or a mode that keeps us from reading says nothing of what lies there: it may be good.
                Err(troubles) if let [Trouble::Unreadable(error)] = troubles.as_slice() => return Err(error.clone()),
                // Forgotten on purpose is not missing.
                Err(troubles) if let [Trouble::Forgotten { not_after }] = troubles.as_slice() => {
                    forgotten.push(i);
                    reasons_to_replace(*not_after, how, now)
                }
                Err(troubles) => troubles.iter().map(ToString::to_string).collect(),
                Ok(stored) => reasons_to_replace(stored.credential.certificate.not_after, how, now),
            };
            if reasons.is_empty() {
                plan.kept += 1;
                good.extend(found.ok().map(|stored| stored.credential.certificate));
            } else {
                plan.issue.push((i, reasons));
            }
        }
        // A new bundle needs all of its host's keys.
        if !plan.issue.is_empty() {
            for i in
                forgotten.into_iter().filter(|i| plan.issue.iter().all(|(issued, _)| issued != i)).collect::<Vec<_>>()
            {
                plan.kept -= 1;
                plan.issue.push((i, vec!["its key was forgotten, and the next bundle needs one".to_owned()]));
            }
        }
        progress.add(1);
        let sight = sight.filter(|_| plan.issue.is_empty());
        let trace = sight.zip(leaves.first()).and_then(|(sight, leaf)| sight.trace(leaf, good.iter()));
        plan.good = trace.as_ref().map(|trace| trace.good);
        Ok((plan, trace))
    };
    let looked = others.par_iter().map(one).collect::<Result<Vec<_>, _>>()?;
    context.go_on(|| "nothing was changed".to_owned())?;
    let (more, traces): (Vec<Plan>, Vec<Option<Trace>>) = looked.into_iter().unzip();
    plans.extend(more);
    plans.sort_unstable_by_key(|plan| plan.holder);
    Ok((plans, traces.into_iter().flatten().collect()))
}

fn reasons_to_replace(not_after: OffsetDateTime, how: &IssueArgs, now: OffsetDateTime) -> Vec<String> {
    let left = not_after - now;
    let mut reasons = Vec::new();
    if how.renew_within.is_some_and(|within| left <= within.duration()) {
        reasons.push(format!("ends in {}", in_words(left)));
    }
    if how.reissue {
        reasons.push("--reissue asks for it".to_owned());
    }
    reasons
}

fn tell_plan(request: &Request<'_>, plans: &[Plan], pair: Option<&Found>, context: &mut Context<'_>) {
    match pair {
        Some(Found::Nothing) => context.screen.answer("make service-account key pair: not made yet"),
        Some(_) => context.screen.answer("write service-account public key: sa.pub is missing"),
        None => {}
    }
    let mut issued = 0;
    for plan in plans.iter().filter(|plan| !plan.issue.is_empty()) {
        let leaves = (request.leaves)(plan.holder);
        for (i, reasons) in &plan.issue {
            issued += 1;
            context.screen.answer(format_args!("issue {}: {}", holder(&leaves[*i]), reasons.join("; ")));
        }
    }
    tell_count(issued, plans.iter().map(|plan| plan.kept).sum(), context);
}

fn holder(leaf: &Leaf) -> String {
    let name = leaf.policy().name;
    leaf.host.as_ref().map_or_else(|| name.to_owned(), |host| format!("{host} {name}"))
}

fn warn_of_short_lives(request: &Request<'_>, work: &[&Plan], roots: &Roots, context: &mut Context<'_>) {
    let now = context.now;
    let shortened = |plan: &&Plan| {
        let leaves = (request.leaves)(plan.holder);
        let outlives = |leaf: &Leaf| now + leaf.lifetime.duration() > roots.issuer_of(leaf).not_after;
        plan.issue.iter().filter(|(i, _)| outlives(&leaves[*i])).count()
    };
    let count: usize = work.par_iter().map(shortened).sum();
    if count > 0 {
        let end = stamp(roots.cluster.not_after);
        context
            .screen
            .warn(format_args!("the root ends on {end}, and {} with it, earlier than asked for", certificates(count)));
    }
}

/// Makes batch after batch in memory on all cores, while the one before goes into the ledger and then onto the disk. Returns
/// the traces that all of it left.
fn make_all(
    request: &Request<'_>,
    work: &[&Plan],
    cluster: &Cluster,
    authorities: &Authorities<'_>,
    roots: &Roots,
    ledger: &mut Ledger,
    context: &Context<'_>,
) -> anyhow::Result<Vec<Trace>> {
    let total = certificates_in(work);
    let progress = context.screen.progress("issuing", total as u64);
    let issuer = Issuer { roots, now: context.now, by: context.user };
    let (layout, stop, terms) = (&context.layout, &context.stop, Terms::new(cluster.keys, roots, ledger)?);
    let mut traces = Vec::new();
    let one = |plan: &&Plan| {
        if stop.asked() {
            return Err(Stopped.into());
        }
        make(request, plan, cluster, authorities, layout, &terms)
    };
    // In parts, for writing wants the cores, too, and waits until one of these is done.
    let make = |batch: &[&Plan]| {
        let mut made = Vec::with_capacity(batch.len());
        for part in batch.chunks(PART * rayon::current_num_threads()) {
            made.extend(part.par_iter().map(one).collect::<anyhow::Result<Vec<_>>>()?);
        }
        Ok(made)
    };
    let record = |holdings: &[Holding]| Ok(issuance::record(ledger, &issuer, holdings)?);
    let write = |batch: &[&Plan], holdings: Vec<Holding>| {
        traces.extend(issuance::write(layout, &holdings)?);
        progress.add(certificates_in(batch) as u64);
        Ok(())
    };
    let told = |written| format!("{} of {} issued", certificates_in(&work[..written]), certificates(total));
    let done = in_batches(work, BATCH, context, make, record, write, told);
    // Also of what was done before it failed. Without it the next look takes longer, and that is all.
    let remembered = ledger.remember(&traces);
    done?;
    remembered?;
    Ok(traces)
}

fn make(
    request: &Request<'_>,
    plan: &Plan,
    cluster: &Cluster,
    authorities: &Authorities<'_>,
    layout: &Layout,
    terms: &Terms,
) -> anyhow::Result<Holding> {
    let leaves = (request.leaves)(plan.holder);
    let mut holding = Holding { host: None, asked: terms.asked(&leaves), fresh: Vec::new(), kept: Vec::new() };
    for (i, leaf) in leaves.iter().enumerate() {
        holding.host.clone_from(&leaf.host);
        if plan.issue.iter().any(|(issued, _)| *issued == i) {
            holding.fresh.push((leaf.profile, authorities.issue(leaf, cluster.keys)?));
        } else {
            let stored = credentials::read(layout, leaf).map_err(|trouble| {
                let what = format!("{} changed while it was looked at: {trouble}", holder(leaf));
                Failure::new(Exit::Environment, what)
            })?;
            holding.kept.push((leaf.profile, stored));
        }
    }
    Ok(holding)
}
