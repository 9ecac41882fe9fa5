//! `issue-admin`: an administrator's kubeconfig; and, behind a confirmation, one that passes by every authorizer.

use std::path::Path;

use clap::Args;

use crate::app::revoke::{certificates, check_ledger_is_current};
use crate::bundle::kubeconfig;
use crate::cli::args::ca_passphrase::{PassphraseArgs, authority};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cluster::duration::stamp;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::{HostName, NameError};
use crate::cluster::profile::{ADMINS, CaRole, CertificateSpec, SYSTEM_MASTERS};
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::issuer::Credential;
use crate::pki::trust_bundle::TrustBundle;
use crate::pki::verified::Verified;
use crate::store::error::StoreError;
use crate::store::files::{self, PRIVATE};
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::Entry;

/// kubeadm's name for the same account.
const ADMIN: &str = "kubernetes-admin";
const BREAK_GLASS: &str = "break-glass";
/// A common name holds 64 characters.
const MAX_NAME: usize = 64;

/// Issues an administrator's kubeconfig, pki/admins/NAME.conf: a member of the group clusterctl:admins, which the policy
/// pack binds to cluster-admin.
#[derive(Debug, Args)]
pub struct IssueAdminArgs {
    /// What the account is called [default: kubernetes-admin; with --break-glass: break-glass]
    #[arg(value_name = "NAME", value_parser = name)]
    name: Option<HostName>,
    /// How long it lives, for example 90d [default: 90d; with --break-glass: 24h, and 7d at most]
    #[arg(long = "for", value_name = "TIME", value_parser = Lifetime::parse)]
    lifetime: Option<Lifetime>,
    /// Put it into system:masters instead: it passes by every authorizer and cannot be revoked. For emergencies
    #[arg(long)]
    break_glass: bool,
    /// Do not ask whether --break-glass is meant
    #[arg(long, requires = "break_glass")]
    yes: bool,
    /// Replace the kubeconfig of that name
    #[arg(long)]
    reissue: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

fn name(text: &str) -> Result<HostName, NameError> {
    match text.chars().count() {
        length if length > MAX_NAME => Err(NameError::TooLong { length, limit: MAX_NAME }),
        _ => HostName::parse(text),
    }
}

/// Runs `issue-admin`.
///
/// # Errors
/// A usage error for the name of a host or of a control plane's account. Refused when there is a kubeconfig of that name, or the emergency is not confirmed; see [`PassphraseArgs::open`].
pub fn run(args: &IssueAdminArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let leaf = wanted(args, &cluster)?;
    if leaf.lifetime > Lifetime::ONE_YEAR {
        context.screen.warn(format_args!(
            "--for {} is long for a person's certificate: until it ends only `revoke` takes its rights away, and only from API \
             servers that have the new rule. 90d is the default, and issue-admin is quick",
            leaf.lifetime
        ));
    }
    let _lock = context.lock("issue-admin")?;
    let (mut ledger, roots) = context.roots(&cluster)?;
    check_ledger_is_current(&context.env.layout, &roots, &ledger, context.env.now)?;
    let name = HostName::parse(&leaf.subject.user)
        .map_err(|error| CliError::new(Exit::Bug, "the account's name is none").because(error))?;
    let path = context.env.layout.admin_kubeconfig(&name);
    if files::exists(&path) && !args.reissue {
        return Err(CliError::new(Exit::Refused, format!("{} exists already", path.display())).hint(
            "give another NAME, or replace it with --reissue: the old certificate is good until it ends or is revoked",
        ));
    }
    if args.break_glass {
        confirm(args, &leaf, context)?;
    }
    let made = make(args, &leaf, &cluster, context)?;
    let credential = made.get();
    record_replaced(&path, &roots, &mut ledger, context)?;
    record(&leaf, credential, &roots.cluster, &mut ledger, context)?;
    let text = kubeconfig::embedded(&cluster, &roots.cluster, credential);
    let folder = path.parent().unwrap_or(context.env.layout.dir());
    files::create_folder(folder)?;
    files::sweep(folder)?;
    files::replace(&path, text.as_bytes(), PRIVATE)?;
    let until = stamp(credential.certificate.not_after);
    context.screen.answer(path.display());
    if args.break_glass {
        context.screen.warn(format_args!(
            "until {until} whoever has this file owns the cluster. Destroy it when the emergency is over"
        ));
    } else {
        context.screen.step(format_args!(
            "{name}, group {ADMINS}, until {until}. Hand it to that person and to nobody else; its rights come with clusterctl policy"
        ));
    }
    Ok(Exit::Done)
}

fn wanted(args: &IssueAdminArgs, cluster: &Cluster) -> Result<CertificateSpec> {
    let (default, usual) = if args.break_glass { (BREAK_GLASS, "24h") } else { (ADMIN, "90d") };
    let bug = |what: &str| CliError::new(Exit::Bug, format!("{what} is none"));
    let name = match &args.name {
        Some(name) => name.clone(),
        None => HostName::parse(default).map_err(|error| bug(default).because(error))?,
    };
    refuse_others_names(&name, cluster)?;
    let lifetime = match args.lifetime {
        Some(lifetime) => lifetime,
        None => Lifetime::parse(usual).map_err(|error| bug(usual).because(error))?,
    };
    if !args.break_glass {
        return Ok(cluster.admin_leaf(&name, lifetime));
    }
    if lifetime > Lifetime::ONE_WEEK {
        return Err(CliError::new(Exit::Usage, format!("--for {lifetime} is too long for --break-glass"))
            .hint("it cannot be revoked: 7d is the most, hours are better"));
    }
    Ok(cluster.break_glass_leaf(&name, lifetime))
}

/// A person is not called as somebody else is: whoever asks for the common name alone would take one for the other, and so
/// would `revoke`.
fn refuse_others_names(name: &HostName, cluster: &Cluster) -> Result<()> {
    let is_host = cluster.host_names().contains(&name);
    let mut leaves = cluster.masters.iter().flat_map(|master| cluster.master_leaves(master));
    let whose = match leaves.find(|leaf| leaf.subject.user == name.as_str()) {
        _ if is_host => "a host of the cluster file".to_owned(),
        Some(leaf) => format!("the account of every master's {}", leaf.policy().name),
        None => return Ok(()),
    };
    Err(CliError::new(
        Exit::Usage,
        format!("no administrator can be called {name}: it is {whose}, and one could pass for the other"),
    )
    .hint("give the person's own name: clusterctl issue-admin alice"))
}

fn confirm(args: &IssueAdminArgs, leaf: &CertificateSpec, context: &mut Context<'_>) -> Result<()> {
    if args.yes {
        return Ok(());
    }
    let Some(prompts) = &mut context.prompts else {
        return Err(CliError::new(
            Exit::Usage,
            "--break-glass asks for confirmation, and there is no terminal to ask on",
        )
        .hint("say --yes if it is meant"));
    };
    context.screen.warn(format_args!(
        "{} in {SYSTEM_MASTERS} passes by every authorizer and by every admission policy that spares it, and cannot be revoked for {}",
        leaf.subject.user, leaf.lifetime
    ));
    if prompts.confirm("Issue it?").map_err(no_answer("it was not confirmed"))? {
        return Ok(());
    }
    Err(CliError::new(Exit::Refused, "it was not confirmed").hint("nothing was issued"))
}

fn make(
    args: &IssueAdminArgs,
    leaf: &CertificateSpec,
    cluster: &Cluster,
    context: &mut Context<'_>,
) -> Result<Verified<Credential>> {
    let opened = args.passphrase.open(&[CaRole::Cluster], context)?;
    let Some((_, root)) = opened.into_iter().next() else {
        return Err(CliError::new(Exit::Bug, "the root was not opened"));
    };
    Ok(authority(CaRole::Cluster, root, context.env.now)?.issue_credential(leaf, cluster.keys, context.env.now)?)
}

/// Before it is replaced: whoever has a copy of it may have to be revoked.
fn record_replaced(path: &Path, roots: &CaSet, ledger: &mut Ledger, context: &mut Context<'_>) -> Result<()> {
    if !files::exists(path) {
        return Ok(());
    }
    // What cannot be read, or is another root's, is nothing that could be revoked here.
    let Ok(replaced) = certificates::in_file(path, roots, ledger) else { return Ok(()) };
    if certificates::record(&replaced, roots, ledger, &context.env.audit())? > 0
        && let Some(ours) = replaced.first()
    {
        context.screen.warn(format_args!(
            "the certificate that is replaced, which the ledger had forgotten, is recorded in it again, and can be revoked with: \
             clusterctl revoke {}",
            ours.issued.serial
        ));
    }
    Ok(())
}

/// The ledger knows it before any file does, and says aloud what passes by every authorizer.
fn record(
    leaf: &CertificateSpec,
    credential: &Credential,
    trust: &TrustBundle,
    ledger: &mut Ledger,
    context: &Context<'_>,
) -> Result<(), StoreError> {
    let certificate = &credential.certificate;
    let (profile, issuer) = (leaf.policy().name, trust.ca_of(certificate).certificate());
    ledger.record(&[Entry { certificate, profile, host: None, issuer }], &context.env.audit())?;
    let group = leaf.subject.group.as_deref().unwrap_or_default();
    let detail = format!("group {group}, until {}, sha256 {}", stamp(certificate.not_after), certificate.fingerprint());
    let kind = if group == SYSTEM_MASTERS { "BREAK-GLASS" } else { "issue-admin" };
    ledger.log_event(kind, &leaf.subject.user, &detail, &context.env.audit())
}
