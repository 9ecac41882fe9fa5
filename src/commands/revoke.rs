//! `revoke`: what somebody lost, or no longer needs, is worth nothing from now on. The ledger first, then the lists, then the
//! API servers' rule; interrupted, the same command goes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use time::OffsetDateTime;

use crate::app::count;
use crate::app::package::templates;
use crate::app::revoke::certificates::{self, OwnCertificate};
use crate::app::revoke::forgotten::Forgotten;
use crate::app::revoke::rendered::{self, RenderedState};
use crate::app::revoke::{crl, denials};
use crate::cli::args::ca_passphrase::{PassphraseArgs, authority};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cluster::duration::stamp;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::{CaRole, Profile};
use crate::cluster::similar::nearest;
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::reason::Reason;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::revocations::Revocation;
use crate::store::ledger::unrecorded::UnrecordedRevocation;

/// A serial number in fewer digits than this is no serial number of ours.
const SERIAL_DIGITS: usize = 16;

/// Revokes all certificates of a host that have not ended, the one with a serial number, or those in a file: in the ledger, in
/// the revocation lists of the roots that signed them (pki/crl.pem, pki/etcd/crl.pem, pki/front-proxy/crl.pem), and in the rule
/// that API servers heed (policy/masters/authorization.yaml, and masters' bundles from then on).
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// A host, a person's or the verifier's account, a serial number in hexadecimal, or a file with certificates or a kubeconfig
    #[arg(value_name = "HOST|SERIAL|FILE", required_unless_present_any = ["renew", "from"], add = super::completions::hosts())]
    whose: Option<String>,
    /// Why, by RFC 5280's name
    #[arg(long, value_name = "REASON", value_parser = reasons(), default_value = "unspecified")]
    reason: Reason,
    /// Which root signed the certificate with that serial number, where the ledger does not know it
    #[arg(long, value_name = "ROOT", requires = "whose", conflicts_with_all = ["renew", "from"])]
    issuer: Option<IssuerName>,
    /// Record again what a ledger from a backup has forgotten: all that this authorization.yaml, master's bundle or folder of
    /// bundles denies, and all that this directory's do; once for each
    #[arg(long, value_name = "FILE", conflicts_with_all = ["whose", "renew"], value_hint = clap::ValueHint::AnyPath)]
    from: Vec<PathBuf>,
    /// Sign the three lists again, before they are due, and revoke nothing
    #[arg(long, conflicts_with_all = ["whose", "reason", "yes"])]
    renew: bool,
    /// CRL validity (nextUpdate). Clients that check CRLs reject all certificates once it has passed
    #[arg(long, alias = "next-update", value_name = "TIME", value_parser = Lifetime::parse, default_value = "90d")]
    crl_validity: Lifetime,
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

/// `--issuer`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IssuerName {
    /// The cluster's CA, pki/ca.crt.
    #[value(alias = "root")]
    Cluster,
    /// etcd's CA, pki/etcd/ca.crt.
    Etcd,
    /// The front proxy's CA, pki/front-proxy/ca.crt.
    FrontProxy,
}

impl IssuerName {
    fn kind(self) -> CaRole {
        match self {
            Self::Cluster => CaRole::Cluster,
            Self::Etcd => CaRole::Etcd,
            Self::FrontProxy => CaRole::FrontProxy,
        }
    }
}

/// Runs `revoke`.
///
/// # Errors
/// A usage error for what was never issued; refused for what is revoked already or has ended, when it is not confirmed, and
/// when the passphrase is wrong. Nothing is changed then.
pub fn run(args: &RevokeArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let templates = templates::load(
        args.templates.as_ref().map(|dir| context.path(dir)).as_deref(),
        &cluster,
        &context.env.layout,
    )?;
    let _lock = context.lock("revoke")?;
    let (mut ledger, _, roots) = context.trust(&cluster)?;
    for kind in CaRole::ALL {
        files::sweep(&context.env.layout.root_folder(kind))?;
    }
    // A ledger from a backup may have forgotten what lists and rules that were written since then say: nothing is taken back.
    let memories = memories(args, &roots, context)?;
    rendered::check_complete(&memories, &ledger)?;
    let lost = Forgotten::find(&context.env.layout, &roots, &memories, &ledger, context.env.now)?;
    if args.from.is_empty() {
        let others = rendered::of_directory(&context.env.layout, &roots.cluster)?;
        lost.check_covers(&others, &memories, &ledger, context.env.now)?;
    }
    let plan = match &args.whose {
        Some(whose) => plan(whose, args.issuer, &cluster, &ledger, &lost, &roots, context)?,
        None if args.from.is_empty() => Plan::of_lists(CaRole::ALL.to_vec()),
        None => Plan { to_record: packed(&memories, &roots, &ledger)?, ..Plan::of_lists(lost.crls(&roots)) },
    };
    // All that can fail for other reasons than the disk fails before anything is written.
    let coming = plan.fresh.iter().chain(&lost.recorded).filter(|issued| roots.cluster.has(issued.issuer)).count();
    let denials = denials::of_ledger(&ledger, &roots.cluster, context.env.now)?;
    denials.room_for(coming + lost.digests.len()).map_err(|error| {
        CliError::new(Exit::Refused, "the API servers' rules would not hold them, so nothing was revoked")
            .because(error)
    })?;
    denials::authorization(&cluster, &denials, &templates)?;
    confirm(args, &plan, context)?;
    let opened = args.passphrase.open(&plan.lists, context)?;
    let authorities = opened
        .into_iter()
        .map(|(kind, ca)| Ok((kind, authority(kind, ca, context.env.now)?)))
        .collect::<Result<Vec<_>>>()?;
    let env = context.env.clone();
    record(args, &plan, &lost, &memories, &roots, &mut ledger, context)?;
    for (kind, authority) in &authorities {
        crl::sign(authority, *kind, args.crl_validity, &mut ledger, &env, &mut context.observer())?;
        context.screen.answer(env.layout.revocation_list(*kind).display());
    }
    let denials = denials::of_ledger(&ledger, &roots.cluster, context.env.now)?;
    let path = denials::write_authorization(&cluster, &denials, &templates, &context.env.layout)?;
    context.screen.answer(path.display());
    let what = args.whose.as_deref().unwrap_or(if args.renew { "lists" } else { "from files" });
    let count = plan.fresh.len() + plan.serials.len();
    ledger.log_event("revoke", what, &format!("{count} certificates, {}", args.reason), &context.env.audit())?;
    tell(args, &plan, context);
    tell_of_lost(args, &lost, context);
    Ok(Exit::Done)
}

/// What files remember from which this run learns: the API servers' rules in the policy folder, and with --from what was named,
/// and the bundles, too.
fn memories(args: &RevokeArgs, roots: &CaSet, context: &Context<'_>) -> Result<Vec<RenderedState>> {
    let root = &roots.cluster;
    if args.from.is_empty() {
        return Ok(rendered::of_policy(&context.env.layout, root)?);
    }
    let mut found = rendered::of_directory(&context.env.layout, root)?;
    let bundles = context.env.layout.bundles();
    if files::is_folder(&bundles) {
        found.extend(rendered::of_given(&bundles, root)?);
    }
    for path in &args.from {
        found.extend(rendered::of_given(&context.path(path), root)?);
    }
    Ok(found)
}

/// The certificates of bundles that the ledger does not have: their hosts may well use them.
fn packed(memories: &[RenderedState], roots: &CaSet, ledger: &Ledger) -> Result<Vec<OwnCertificate>, StoreError> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for (host, certificates) in memories.iter().filter_map(|state| state.packed.as_ref()) {
        for certificate in certificates.iter().filter(|certificate| seen.insert(certificate.fingerprint())) {
            let ours = OwnCertificate::look_up(certificate.clone(), Some(host.as_str()), roots, ledger)?;
            found.extend(ours.filter(|own| !own.recorded));
        }
    }
    Ok(found)
}

/// Records, before any file is written, what was forgotten and what is revoked now.
fn record(
    args: &RevokeArgs,
    plan: &Plan,
    lost: &Forgotten,
    memories: &[RenderedState],
    roots: &CaSet,
    ledger: &mut Ledger,
    context: &Context<'_>,
) -> Result<()> {
    let mark = context.env.audit();
    let highest = |of: fn(&RenderedState) -> u64| memories.iter().map(of).max().unwrap_or(0);
    ledger.raise_sequences(highest(|state| state.sequence), highest(|state| state.generation))?;
    certificates::record(&plan.to_record, roots, ledger, &mark)?;
    let now = Revocation { reason: args.reason, at: context.env.now };
    let kept = lost.recorded.iter().filter_map(|issued| Some((issued.fingerprint, issued.revocation.clone()?)));
    let fresh = plan.fresh.iter().map(|issued| (issued.fingerprint, now.clone()));
    ledger.revoke(&kept.chain(fresh).collect::<Vec<_>>(), &mark)?;
    let serials = plan.serials.iter().map(|(issuer, serial)| UnrecordedRevocation {
        fingerprint: None,
        serial: Some((*issuer, serial.clone())),
        revocation: now.clone(),
    });
    let unrecorded = lost.serials.iter().chain(&lost.digests).cloned().chain(serials);
    ledger.revoke_unrecorded(&unrecorded.collect::<Vec<_>>(), &mark)?;
    Ok(())
}

/// What is to be done.
struct Plan {
    /// What is revoked now.
    fresh: Vec<IssuedCertificate>,
    /// Certificates that the ledger does not have, and learns.
    to_record: Vec<OwnCertificate>,
    /// Serial numbers of certificates that nobody has here, with the SHA-256 of their issuer.
    serials: Vec<(Fingerprint, Serial)>,
    /// The roots whose lists are signed.
    lists: Vec<CaRole>,
}

impl Plan {
    fn of_lists(lists: Vec<CaRole>) -> Self {
        Self { fresh: Vec::new(), to_record: Vec::new(), serials: Vec::new(), lists }
    }
}

/// What a name or a serial number stands for: what of it can be revoked, and the lists that have to say so. A revocation that
/// was interrupted is completed.
fn plan(
    whose: &str,
    issuer: Option<IssuerName>,
    cluster: &Cluster,
    ledger: &Ledger,
    lost: &Forgotten,
    roots: &CaSet,
    context: &Context<'_>,
) -> Result<Plan> {
    let (mut found, to_record) = match find(whose, issuer, cluster, ledger, roots, context)? {
        Found::Issued(mut found, forgotten) => {
            found.extend(forgotten.iter().map(|own| own.issued.clone()));
            (found, forgotten)
        }
        Found::InFile(ours) => {
            let found = ours.iter().map(|own| own.issued.clone()).collect();
            (found, ours.into_iter().filter(|own| !own.recorded).collect())
        }
        Found::Unknown(kind, serial) => {
            let serial = (roots.of(kind).active().certificate().fingerprint(), serial);
            if ledger.unrecorded()?.iter().any(|one| one.serial.as_ref() == Some(&serial)) {
                return Err(already(whose, None));
            }
            return Ok(Plan { serials: vec![serial], ..Plan::of_lists(vec![kind]) });
        }
    };
    let mut forgot = !to_record.is_empty();
    for issued in &mut found {
        if let Some(kept) = lost.recorded.iter().find(|kept| kept.fingerprint == issued.fingerprint) {
            issued.revocation = kept.revocation.clone();
            forgot = true;
        }
    }
    if found.iter().any(IssuedCertificate::is_root) {
        return Err(CliError::new(Exit::Refused, format!("{whose} is a root, and nobody would ask its own list"))
            .hint("a root that is lost is replaced: make a new cluster directory and install everything from it"));
    }
    let (alive, ended): (Vec<IssuedCertificate>, Vec<IssuedCertificate>) =
        found.into_iter().partition(|issued| issued.not_after > context.env.now);
    let (revoked, fresh): (Vec<IssuedCertificate>, Vec<IssuedCertificate>) =
        alive.into_iter().partition(|issued| issued.revocation.is_some());
    let refused = |what: String| CliError::new(Exit::Refused, what);
    if fresh.is_empty() && revoked.is_empty() {
        let last = ended.iter().map(|issued| issued.not_after).max().map(stamp).unwrap_or_default();
        let what = format!("nothing of {whose} can be revoked: the last certificate ended at {last}");
        return Err(refused(what).hint("what has ended is refused by everybody"));
    }
    let kinds = |of: &[IssuedCertificate]| -> Vec<CaRole> {
        let signed = |kind: &CaRole| of.iter().any(|issued| roots.of(*kind).has(issued.issuer));
        CaRole::ALL.into_iter().filter(signed).collect()
    };
    if !fresh.is_empty() {
        let lists = kinds(&[&fresh[..], &revoked].concat());
        return Ok(Plan { fresh, to_record, ..Plan::of_lists(lists) });
    }
    let mut lists = kinds(&revoked);
    lists.retain(|kind| !says_it(*kind, &revoked, roots, context));
    if lists.is_empty() && !forgot && rule_says_it(&revoked, roots, context) {
        let first = revoked.iter().filter_map(|issued| issued.revocation.as_ref()).map(|r| r.at).min();
        return Err(already(whose, first));
    }
    Ok(Plan { to_record, ..Plan::of_lists(lists) })
}

fn already(whose: &str, since: Option<OffsetDateTime>) -> CliError {
    let since = since.map(|at| format!(", since {}", stamp(at))).unwrap_or_default();
    CliError::new(Exit::Refused, format!("{whose} is revoked already{since}"))
        .hint("to sign the lists again: clusterctl revoke --renew")
}

/// What a name, a serial number or a file stands for.
enum Found {
    /// Certificates that the ledger has, and those that it has forgotten.
    Issued(Vec<IssuedCertificate>, Vec<OwnCertificate>),
    /// Certificates of a file, whether the ledger has them or not.
    InFile(Vec<OwnCertificate>),
    /// A certificate of this root that the ledger does not have.
    Unknown(CaRole, Serial),
}

fn find(
    whose: &str,
    issuer: Option<IssuerName>,
    cluster: &Cluster,
    ledger: &Ledger,
    roots: &CaSet,
    context: &Context<'_>,
) -> Result<Found> {
    let found = ledger.by_host(whose)?.all()?;
    if issuer.is_none() {
        let forgotten = certificates::unrecorded_of(whose, &context.env.layout, roots, ledger)?;
        if !found.is_empty() || !forgotten.is_empty() {
            return Ok(Found::Issued(found, forgotten));
        }
    }
    let path = context.path(Path::new(whose));
    if issuer.is_none() && files::is_plain_file(&path) {
        return Ok(Found::InFile(certificates::in_file(&path, roots, ledger)?));
    }
    let number = whose.strip_prefix("0x").or_else(|| whose.strip_prefix("0X")).unwrap_or(whose);
    let digits = number.chars().filter(char::is_ascii_hexdigit).count();
    if let Some(serial) = Serial::parse(number).filter(|_| digits >= SERIAL_DIGITS) {
        let mut found = ledger.by_serial(&serial)?;
        if let Some(kind) = issuer.map(IssuerName::kind) {
            found.retain(|issued| roots.of(kind).has(issued.issuer));
            if found.is_empty() {
                return Ok(Found::Unknown(kind, serial));
            }
        }
        if found.is_empty() {
            let what = format!("the ledger knows no certificate with the serial number {serial}");
            return Err(CliError::new(Exit::Usage, what)
                .hint("clusterctl show FILE tells a certificate's serial number. What a ledger from a backup has forgotten is revoked by its file, or with --issuer, which says who signed it; and it learns again when issue-node or issue-master replaces it"));
        }
        return Ok(Found::Issued(found, Vec::new()));
    }
    if issuer.is_some() {
        let what = format!("{whose} is no serial number, and --issuer is for one that the ledger does not know");
        return Err(CliError::new(Exit::Usage, what).hint("clusterctl show FILE tells a certificate's serial number"));
    }
    if whose.contains('/') {
        return Err(CliError::new(Exit::Usage, format!("there is no file {}", path.display())));
    }
    if cluster.host_names().iter().any(|name| name.as_str() == whose) {
        return Err(CliError::new(Exit::Refused, format!("nothing was ever issued to {whose}")));
    }
    if let Some(failure) = no_holder(whose, cluster, &ledger.hosts_with_account(whose)?) {
        return Err(failure);
    }
    let holders = ledger.holders()?;
    let holders: Vec<&str> = holders.iter().map(String::as_str).collect();
    let failure = CliError::new(Exit::Usage, format!("nobody called {whose:?} ever got a certificate here"));
    let longer =
        holders.iter().copied().find(|name| name.strip_prefix(whose).is_some_and(|rest| rest.starts_with('.')));
    Err(match longer.or_else(|| nearest(whose, holders.iter().copied())) {
        Some(near) => failure.hint(format!("did you mean {near} ?")),
        None => failure.hint("name a host, an account or a serial number; the ledger has them all"),
    })
}

/// What to say of a name that is in certificates, and is nobody's by which anything is revoked.
fn no_holder(whose: &str, cluster: &Cluster, hosts: &[Option<String>]) -> Option<CliError> {
    let failure = |what: &str| CliError::new(Exit::Usage, format!("{whose} is {what}"));
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
fn says_it(kind: CaRole, revoked: &[IssuedCertificate], roots: &CaSet, context: &Context<'_>) -> bool {
    let root = roots.of(kind).active().certificate();
    crl::read(&context.env.layout, kind, root).ok().flatten().is_some_and(|list| {
        list.next_update.is_some_and(|next| next > context.env.now)
            && revoked.iter().filter(|i| i.issuer == root.fingerprint()).all(|i| list.serials.contains(&i.serial))
    })
}

/// Whether the API servers' rule names all of these that it has to.
fn rule_says_it(revoked: &[IssuedCertificate], roots: &CaSet, context: &Context<'_>) -> bool {
    let path = context.env.layout.policy().join(crate::bundle::policy::AUTHORIZATION);
    let text = files::read(&path, denials::MAX_RULES).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    text.is_ok_and(|text| {
        denials::denied(revoked, &roots.cluster).all(|issued| text.contains(&issued.fingerprint.to_string()))
    })
}

/// Shows what is about to be done, and asks.
fn confirm(args: &RevokeArgs, plan: &Plan, context: &mut Context<'_>) -> Result<()> {
    let count = plan.fresh.len() + plan.serials.len();
    if count == 0 {
        return Ok(());
    }
    for (_, serial) in &plan.serials {
        context.screen.step(format_args!("serial {serial}, which the ledger does not know"));
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
    let Some(prompts) = &mut context.prompts else {
        return Err(
            CliError::new(Exit::Usage, "revoking wants a yes, and there is no terminal to ask on").hint("say --yes")
        );
    };
    let these = if count == 1 { "this certificate".to_owned() } else { format!("these {count} certificates") };
    if prompts.confirm(&format!("Revoke {these}? It cannot be undone")).map_err(no_answer("nobody answered"))? {
        Ok(())
    } else {
        Err(CliError::new(Exit::Refused, "it was declined, and nothing was revoked"))
    }
}

/// Says what the lists, and the rules that were rendered, knew better than the ledger.
fn tell_of_lost(args: &RevokeArgs, lost: &Forgotten, context: &mut Context<'_>) {
    if !lost.recorded.is_empty() {
        let names: BTreeSet<&str> =
            lost.recorded.iter().map(|issued| issued.host.as_deref().unwrap_or(&issued.account)).collect();
        context.screen.warn(format_args!(
            "the ledger had forgotten, as one from a backup does, that {} of {} were revoked; it learnt it from the lists{}",
            count::certificates(lost.recorded.len()),
            names.into_iter().collect::<Vec<_>>().join(", "),
            if args.from.is_empty() { "" } else { " and the files" },
        ));
    }
    if !lost.serials.is_empty() {
        context.screen.warn(format_args!(
            "the lists name {} that the ledger never heard of: they stay in the lists, and API servers cannot be told of them",
            count::certificates(lost.serials.len()),
        ));
    }
    if !lost.digests.is_empty() {
        context.screen.warn(format_args!(
            "the API servers' rules deny {} that the ledger never heard of: they stay denied, and no list can name them",
            count::certificates(lost.digests.len()),
        ));
    }
}

fn tell(args: &RevokeArgs, plan: &Plan, context: &mut Context<'_>) {
    let due = stamp(context.env.now + args.crl_validity.duration());
    let profiles = || plan.fresh.iter().map(|issued| issued.profile.as_str());
    match plan.fresh.len() + plan.serials.len() {
        0 if !args.from.is_empty() => {
            if !plan.to_record.is_empty() {
                context.screen.warn(format_args!(
                    "{} of bundles that the ledger had forgotten are recorded in it again; what pki/ has for these hosts is older",
                    count::certificates(plan.to_record.len()),
                ));
            }
            context.screen.step(
                "the ledger is as new as these files. What they do not name it cannot know: serving certificates that were \
                 revoked, and certificates that were issued, since the backup",
            );
        }
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
    if !plan.serials.is_empty() {
        context.screen.warn(
            "API servers deny by a certificate's digest, and a serial number does not tell it: name its file to have them deny it",
        );
    }
    if plan.lists.contains(&CaRole::Cluster) || plan.fresh.is_empty() {
        context.screen.step(
            "API servers deny within a minute of getting authorization.yaml: copy it to /etc/kubernetes/clusterctl on every \
             master under another name and rename it into place, or bundle and install the masters again.",
        );
    }
    if plan.lists.contains(&CaRole::Etcd) {
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
