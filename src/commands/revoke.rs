//! `revoke`: what somebody lost, or no longer needs, is worth nothing from now on. The ledger first, then the lists, then the
//! API servers' rule; interrupted, the same command goes on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::context::Context;
use super::given::passphrase::{PassphraseArgs, authority};
use super::given::templates;
use super::revoking::lists::{self, Lost};
use super::revoking::revocations;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::{Profile, RootKind};
use crate::cluster::similar::nearest;
use crate::cluster::spec::Cluster;
use crate::failure::{Exit, Failure};
use crate::pki::authority::Authority;
use crate::pki::certificate::Serial;
use crate::pki::crl::Revoked;
use crate::pki::inspect::stamp;
use crate::pki::reason::Reason;
use crate::pki::roots::Roots;
use crate::store::files::{self, PUBLIC};
use crate::store::ledger::Ledger;
use crate::store::revocations::{Issued, Revocation};

/// A serial number in fewer digits than this is no serial number of ours.
const SERIAL_DIGITS: usize = 16;

/// Revokes all certificates of a host that have not ended, or the one with a serial number: in the ledger, in the revocation
/// lists of the roots that signed them (pki/crl.pem, pki/etcd/crl.pem, pki/front-proxy/crl.pem), and in the rule that API
/// servers heed (policy/masters/authorization.yaml, and masters' bundles from then on).
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// A host, a person's or the verifier's account, or a serial number in hexadecimal
    #[arg(value_name = "HOST|SERIAL", required_unless_present = "renew", add = super::completions::hosts())]
    whose: Option<String>,
    /// Why, by RFC 5280's name
    #[arg(long, value_name = "REASON", value_parser = reasons(), default_value = "unspecified")]
    reason: Reason,
    /// Sign the three lists again, before they are due, and revoke nothing
    #[arg(long, conflicts_with_all = ["whose", "reason", "yes"])]
    renew: bool,
    /// When the lists are due again: those who heed them refuse everybody when they are not renewed by then
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse, default_value = "90d")]
    next_update: Lifetime,
    /// Do not ask whether it is meant
    #[arg(long)]
    yes: bool,
    /// Take templates from this folder where it has them, by their path
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

fn reasons() -> impl TypedValueParser<Value = Reason> {
    PossibleValuesParser::new(Reason::ALL.map(Reason::as_str))
        .try_map(|name| Reason::parse(&name).ok_or("no such reason"))
}

/// Runs `revoke`.
///
/// # Errors
/// A usage error for what was never issued; refused for what is revoked already or has ended, when it is not confirmed, and
/// when the passphrase is wrong. Nothing is changed then.
pub fn run(args: &RevokeArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let cluster = context.cluster()?;
    let templates = templates::load(args.templates.as_deref(), context)?;
    let _lock = context.lock("revoke")?;
    let (mut ledger, _, roots) = context.trust(&cluster)?;
    for kind in RootKind::ALL {
        files::sweep(&context.layout.root_folder(kind))?;
    }
    // A ledger from a backup may have forgotten what lists that were signed since then say: nothing is taken back.
    let lost = lists::lost(&context.layout, &roots, &ledger, context.now)?;
    let plan = match &args.whose {
        Some(whose) => plan(whose, &cluster, &ledger, &lost, &roots, context)?,
        None => Plan { fresh: Vec::new(), lists: RootKind::ALL.to_vec() },
    };
    // All that can fail for other reasons than the disk fails before anything is written.
    let coming =
        plan.fresh.iter().chain(&lost.known).filter(|issued| issued.issuer == roots.cluster.fingerprint()).count();
    let denials = revocations::denials(&ledger, &roots.cluster, context.now)?;
    denials.room_for(coming).map_err(|error| {
        Failure::new(Exit::Refused, "the API servers' rules would not hold them, so nothing was revoked").because(error)
    })?;
    revocations::authorization(&cluster, &denials, &templates)?;
    confirm(args, &plan, context)?;
    let opened = args.passphrase.open(&plan.lists, context)?;
    let authorities = opened
        .iter()
        .map(|(kind, root)| Ok((*kind, authority(*kind, root, context.now)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let kept = lost.known.iter().filter_map(|issued| Some((issued.fingerprint, issued.revocation.clone()?)));
    let now = Revocation { reason: args.reason, at: context.now };
    let fresh = plan.fresh.iter().map(|issued| (issued.fingerprint, now.clone()));
    ledger.revoke(&kept.chain(fresh).collect::<Vec<_>>(), &context.mark())?;
    for (kind, authority) in &authorities {
        sign(*kind, authority, args, &lost, &mut ledger, context)?;
    }
    let denials = revocations::denials(&ledger, &roots.cluster, context.now)?;
    let path = revocations::write_authorization(&cluster, &denials, &templates, context)?;
    context.screen.answer(path.display());
    let what = args.whose.as_deref().unwrap_or("lists");
    ledger.note("revoke", what, &format!("{} certificates, {}", plan.fresh.len(), args.reason), &context.mark())?;
    tell(args, &plan, context);
    tell_of_lost(&lost, context);
    Ok(Exit::Done)
}

/// What is to be done.
struct Plan {
    /// What is revoked now.
    fresh: Vec<Issued>,
    /// The roots whose lists are signed.
    lists: Vec<RootKind>,
}

/// What a name or a serial number stands for: what of it can be revoked, and the lists that have to say so. A revocation that
/// was interrupted is completed.
fn plan(
    whose: &str,
    cluster: &Cluster,
    ledger: &Ledger,
    lost: &Lost,
    roots: &Roots,
    context: &Context<'_>,
) -> anyhow::Result<Plan> {
    let mut found = find(whose, cluster, ledger)?;
    let mut forgot = false;
    for issued in &mut found {
        if let Some(kept) = lost.known.iter().find(|kept| kept.fingerprint == issued.fingerprint) {
            issued.revocation = kept.revocation.clone();
            forgot = true;
        }
    }
    if found.iter().any(Issued::is_root) {
        return Err(Failure::new(Exit::Refused, format!("{whose} is a root, and nobody would ask its own list"))
            .hint("a root that is lost is replaced: make a new cluster directory and install everything from it")
            .into());
    }
    let (alive, ended): (Vec<Issued>, Vec<Issued>) =
        found.into_iter().partition(|issued| issued.not_after > context.now);
    let (revoked, fresh): (Vec<Issued>, Vec<Issued>) =
        alive.into_iter().partition(|issued| issued.revocation.is_some());
    let refused = |what: String| Failure::new(Exit::Refused, what);
    if fresh.is_empty() && revoked.is_empty() {
        let last = ended.iter().map(|issued| issued.not_after).max().map(stamp).unwrap_or_default();
        let what = format!("nothing of {whose} can be revoked: the last certificate ended at {last}");
        return Err(refused(what).hint("what has ended is refused by everybody").into());
    }
    let kinds = |of: &[Issued]| -> Vec<RootKind> {
        let signed = |kind: &RootKind| of.iter().any(|issued| issued.issuer == roots.of(*kind).fingerprint());
        RootKind::ALL.into_iter().filter(signed).collect()
    };
    if !fresh.is_empty() {
        return Ok(Plan { lists: kinds(&[&fresh[..], &revoked].concat()), fresh });
    }
    let mut lists = kinds(&revoked);
    lists.retain(|kind| !says_it(*kind, &revoked, roots, context));
    if lists.is_empty() && !forgot && rule_says_it(&revoked, roots, context) {
        let first = revoked.iter().filter_map(|issued| issued.revocation.as_ref()).map(|r| r.at).min();
        let since = first.map(stamp).unwrap_or_default();
        return Err(refused(format!("{whose} is revoked already, since {since}"))
            .hint("to sign the lists again: clusterctl revoke --renew")
            .into());
    }
    Ok(Plan { fresh, lists })
}

fn find(whose: &str, cluster: &Cluster, ledger: &Ledger) -> anyhow::Result<Vec<Issued>> {
    let found = ledger.issued_to(whose)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let number = whose.strip_prefix("0x").or_else(|| whose.strip_prefix("0X")).unwrap_or(whose);
    let digits = number.chars().filter(char::is_ascii_hexdigit).count();
    if let Some(serial) = Serial::parse(number).filter(|_| digits >= SERIAL_DIGITS) {
        let found = ledger.issued_with(&serial)?;
        if found.is_empty() {
            let what = format!("the ledger knows no certificate with the serial number {serial}");
            return Err(Failure::new(Exit::Usage, what)
                .hint("clusterctl show FILE tells a certificate's serial number. What a ledger from a backup has forgotten it learns again when issue-node or issue-master replaces it")
                .into());
        }
        return Ok(found);
    }
    if cluster.host_names().iter().any(|name| name.as_str() == whose) {
        return Err(Failure::new(Exit::Refused, format!("nothing was ever issued to {whose}")).into());
    }
    if let Some(failure) = no_holder(whose, cluster, &ledger.hosts_with(whose)?) {
        return Err(failure.into());
    }
    let holders = ledger.holders()?;
    let holders: Vec<&str> = holders.iter().map(String::as_str).collect();
    let failure = Failure::new(Exit::Usage, format!("nobody called {whose:?} ever got a certificate here"));
    let longer =
        holders.iter().copied().find(|name| name.strip_prefix(whose).is_some_and(|rest| rest.starts_with('.')));
    Err(match longer.or_else(|| nearest(whose, holders.iter().copied())) {
        Some(near) => failure.hint(format!("did you mean {near} ?")),
        None => failure.hint("name a host, an account or a serial number; the ledger has them all"),
    }
    .into())
}

/// What to say of a name that is in certificates, and is nobody's by which anything is revoked.
fn no_holder(whose: &str, cluster: &Cluster, hosts: &[Option<String>]) -> Option<Failure> {
    let failure = |what: &str| Failure::new(Exit::Usage, format!("{whose} is {what}"));
    let named: Vec<&str> = hosts.iter().flatten().map(String::as_str).collect();
    match named.as_slice() {
        [host] => Some(
            failure(&format!("an account of the host {host}"))
                .hint(format!("all that the host has is revoked with: clusterctl revoke {host}")),
        ),
        [] if !hosts.is_empty() => {
            Some(failure("a root, and nobody would ask its own list").hint("name a host, a person or a serial number"))
        }
        [] if cluster.name.as_str() == whose => {
            Some(failure("the cluster, which holds no certificate").hint("name a host, a person or a serial number"))
        }
        [] => None,
        hosts => Some(
            failure(&format!("an account that several hosts have: {}", hosts.join(", ")))
                .hint("name one of them, or the serial number of the one certificate that is meant"),
        ),
    }
}

/// Whether a root's list is there, is this root's, is not yet due, and names all of these that it signed.
fn says_it(kind: RootKind, revoked: &[Issued], roots: &Roots, context: &Context<'_>) -> bool {
    let root = roots.of(kind);
    lists::present(&context.layout, kind, root).ok().flatten().is_some_and(|list| {
        list.next_update.is_some_and(|next| next > context.now)
            && revoked.iter().filter(|i| i.issuer == root.fingerprint()).all(|i| list.serials.contains(&i.serial))
    })
}

/// Whether the API servers' rule names all of these that it has to.
fn rule_says_it(revoked: &[Issued], roots: &Roots, context: &Context<'_>) -> bool {
    let path = context.layout.policy().join(crate::bundle::policy::AUTHORIZATION);
    let text = files::read(&path, revocations::MAX_RULES).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    text.is_ok_and(|text| {
        revocations::denied(revoked, &roots.cluster).all(|issued| text.contains(&issued.fingerprint.to_string()))
    })
}

/// Shows what is about to be done, and asks.
fn confirm(args: &RevokeArgs, plan: &Plan, context: &mut Context<'_>) -> anyhow::Result<()> {
    if plan.fresh.is_empty() {
        return Ok(());
    }
    for issued in &plan.fresh {
        context.screen.step(format_args!(
            "{} {} (serial {}, until {})",
            issued.host.as_deref().unwrap_or(&issued.account),
            issued.profile,
            issued.serial,
            stamp(issued.not_after),
        ));
    }
    if args.yes {
        return Ok(());
    }
    let count = plan.fresh.len();
    let Some(prompts) = &mut context.prompts else {
        return Err(Failure::new(Exit::Usage, "revoking wants a yes, and there is no terminal to ask on")
            .hint("say --yes")
            .into());
    };
    let these = if count == 1 { "this certificate".to_owned() } else { format!("these {count} certificates") };
    if prompts.confirm(&format!("Revoke {these}? It cannot be undone")).context("nobody answered")? {
        Ok(())
    } else {
        Err(Failure::new(Exit::Refused, "it was declined, and nothing was revoked").into())
    }
}

/// Signs and writes the list of one root.
fn sign(
    kind: RootKind,
    authority: &Authority<'_>,
    args: &RevokeArgs,
    lost: &Lost,
    ledger: &mut Ledger,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let root = authority.root().fingerprint();
    let of_root = revocations::listed(ledger, context.now)?.into_iter().filter(|issued| issued.issuer == root);
    let strangers = lost.strangers.iter().filter(|(of, _)| *of == kind).map(|(_, entry)| entry.clone());
    let entries: Vec<Revoked> = of_root
        .filter_map(|issued| {
            let revocation = issued.revocation?;
            Some(Revoked { serial: issued.serial, at: revocation.at, reason: revocation.reason })
        })
        .chain(strangers)
        .collect();
    let next_update = context.now + args.next_update.duration();
    // A ledger from a backup may have forgotten the last numbers; the list that lies there has not.
    let path = context.layout.revocation_list(kind);
    let present = lists::present(&context.layout, kind, authority.root()).unwrap_or_else(|why| {
        context.screen.warn(format_args!("{} is replaced by what the ledger knows: {why}", path.display()));
        None
    });
    let at_least = present.and_then(|list| list.number).map_or(1, |number| number.saturating_add(1));
    let number = ledger.next_list(root, at_least, context.now, next_update)?;
    let list = authority.revocation_list(&entries, number, next_update).map_err(|error| {
        Failure::new(Exit::Bug, format!("the revocation list of the {} could not be made", kind.as_str()))
            .because(error)
    })?;
    files::replace(&path, list.to_pem().as_bytes(), PUBLIC)?;
    context.screen.answer(path.display());
    Ok(())
}

/// Says what the lists knew better than the ledger.
fn tell_of_lost(lost: &Lost, context: &mut Context<'_>) {
    if !lost.known.is_empty() {
        let names: BTreeSet<&str> =
            lost.known.iter().map(|issued| issued.host.as_deref().unwrap_or(&issued.account)).collect();
        context.screen.warn(format_args!(
            "the ledger had forgotten, as one from a backup does, that {} of {} were revoked; it learnt it from the lists",
            lists::count(lost.known.len()),
            names.into_iter().collect::<Vec<_>>().join(", "),
        ));
    }
    if !lost.strangers.is_empty() {
        context.screen.warn(format_args!(
            "the lists name {} that the ledger never heard of: they stay in the lists, and API servers cannot be told of them",
            lists::count(lost.strangers.len()),
        ));
    }
}

fn tell(args: &RevokeArgs, plan: &Plan, context: &mut Context<'_>) {
    let due = stamp(context.now + args.next_update.duration());
    let profiles = || plan.fresh.iter().map(|issued| issued.profile.as_str());
    match plan.fresh.len() {
        0 if args.renew => context.screen.step(format_args!("signed the lists again; they are due at {due}")),
        0 => context.screen.step("completed what was begun: nothing new was revoked"),
        count => context.screen.step(format_args!(
            "revoked {count} certificate{}; the lists are due again at {due}: clusterctl revoke --renew",
            if count == 1 { "" } else { "s" },
        )),
    }
    if args.renew {
        return;
    }
    if plan.lists.contains(&RootKind::Cluster) || plan.fresh.is_empty() {
        context.screen.step(
            "API servers deny within a minute of getting authorization.yaml: copy it to /etc/kubernetes/clusterctl on every \
             master under another name and rename it into place, or bundle and install the masters again.",
        );
    }
    if plan.lists.contains(&RootKind::Etcd) {
        context.screen.step("etcd heeds the list that its --client-crl-file names, at the next connection; no bundle brings it or that flag: copy \
             pki/etcd/crl.pem to every master, and give etcd --client-crl-file and --peer-crl-file.");
    }
    if profiles().any(|profile| profile == Profile::BreakGlass.policy().name) {
        context.screen.warn(
            "Kubernetes lets system:masters in whatever a rule says: a break-glass account works until its certificate ends",
        );
    }
    let serves = |profile: &str| {
        let kubelet = Profile::KubeletServer.policy().name;
        profile == Profile::Apiserver.policy().name || profile == kubelet
    };
    if profiles().any(serves) {
        context.screen.warn(
            "kubelets and API servers ask for no list when they call: whoever has a revoked serving key can still show it",
        );
    }
}
