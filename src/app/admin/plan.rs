//! Plans and issues a kubeconfig for an administrator, an approver, a signer or an announcer.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::error::{AdminError, NameOwner};
use super::foreign;
use super::kubeconfig::certificate_in;
use super::notice::Notice;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::revoke::{certificates, check_ledger_is_current};
use crate::bundle::kubeconfig;
use crate::cluster::duration::stamp;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::cluster::profile::{ADMINS, ANNOUNCERS, APPROVERS, CertificateSpec, SIGNERS, SYSTEM_MASTERS};
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::pki::issuer::Issuer;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::files::{self, PRIVATE};
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::Entry;
use crate::store::lock::Lock;

/// The default name of an administrator, as in kubeadm.
const ADMIN: &str = "kubernetes-admin";
/// The default names of the other kinds of accounts.
const BREAK_GLASS: &str = "break-glass";
const APPROVER: &str = "approver";
const SIGNER: &str = "signer";
const ANNOUNCER: &str = "announcer";

/// The options of an administrator's kubeconfig.
#[derive(Debug, Clone)]
pub struct AdminOptions {
    /// The account's name; `None` means `kubernetes-admin`, or for other kinds of accounts `break-glass`, `approver`,
    /// `signer` or `announcer`.
    pub name: Option<HostName>,
    /// The validity of the certificate; `None` means that of the certificate that is replaced, or else that of the
    /// cluster file, 24 hours for break-glass.
    pub validity: Option<Lifetime>,
    /// The kind of account; `None` means that of the account that is reissued, or else an administrator.
    pub account: Option<AdminAccount>,
    /// Whether to replace an existing kubeconfig.
    pub reissue: bool,
}

/// The kind of an administrator's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdminAccount {
    /// An administrator, whose rights come from RBAC.
    #[default]
    Admin,
    /// A member of `system:masters`, which bypasses every authorizer and cannot be revoked.
    BreakGlass,
    /// A person who approves hosts' requests at the enrolment CA.
    Approver,
    /// A signer, which signs approved requests at the enrolment CA.
    Signer,
    /// An announcer, which signs the records of the cluster for bootstrap endpoints.
    Announcer,
}

impl AdminAccount {
    /// Returns the kind of the account in a certificate.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        let has = |group: &str| certificate.subject.organizations.iter().any(|own| own == group);
        match () {
            () if has(SYSTEM_MASTERS) => Self::BreakGlass,
            () if has(APPROVERS) => Self::Approver,
            () if has(SIGNERS) => Self::Signer,
            () if has(ANNOUNCERS) => Self::Announcer,
            () => Self::Admin,
        }
    }

    /// Returns the group of such an account.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Admin => ADMINS,
            Self::BreakGlass => SYSTEM_MASTERS,
            Self::Approver => APPROVERS,
            Self::Signer => SIGNERS,
            Self::Announcer => ANNOUNCERS,
        }
    }
}

/// The plan for issuing a kubeconfig. It holds the lock of the cluster directory.
#[derive(Debug)]
pub struct AdminPlan<'a> {
    spec: CertificateSpec,
    path: PathBuf,
    account: AdminAccount,
    cluster: &'a Cluster,
    env: &'a Env,
    ledger: Ledger,
    cas: CaSet,
    _lock: Lock,
}

/// A kubeconfig that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminReport {
    /// The kubeconfig.
    pub path: PathBuf,
    /// The account's name.
    pub name: String,
    /// The certificate expires at this time.
    pub not_after: OffsetDateTime,
    /// The kind of account.
    pub account: AdminAccount,
}

/// Locks the cluster directory and plans a kubeconfig.
///
/// # Errors
/// Returns [`AdminError`], or an error if there is no CA, or the ledger is not current.
pub fn plan<'a>(
    options: &AdminOptions,
    cluster: &'a Cluster,
    env: &'a Env,
    observer: &mut dyn Observer,
) -> Result<AdminPlan<'a>, Error> {
    let name = name(options)?;
    check_name(&name, cluster)?;
    let lock = directory::lock(env, "issue-admin", observer)?;
    let (ledger, cas) = directory::cas(&env.layout, cluster)?;
    check_ledger_is_current(&env.layout, &cas, &ledger, env.now)?;
    let path = env.layout.admin_kubeconfig(&name);
    if files::exists(&path) && !options.reissue {
        return Err(AdminError::Exists(path).into());
    }
    let present = if options.reissue { Present::find(&name, &path, (&cas.cluster, &ledger))? } else { None };
    if let (None, None, true) = (options.account, &present, files::exists(&path))
        && let Err(source) = certificate_in(&path)
    {
        return Err(AdminError::UnknownGroup { path, source }.into());
    }
    let account = account(options.account, present.as_ref(), &path)?;
    let validity = options.validity.or(present.map(|present| present.validity));
    let spec = spec(account, validity, &name, cluster)?;
    if spec.lifetime > Lifetime::ONE_YEAR {
        observer.notice(Notice::LongValidity(spec.lifetime).into());
    }
    Ok(AdminPlan { spec, path, account, cluster, env, ledger, cas, _lock: lock })
}

/// The account that is reissued.
struct Present {
    account: AdminAccount,
    validity: Lifetime,
    is_in_file: bool,
}

impl Present {
    /// Returns the account of the kubeconfig, or, if that is missing or cannot be read, of the ledger's newest certificate of
    /// that name. Refuses a kubeconfig of another account, of another CA, or of another group.
    fn find(name: &HostName, path: &Path, (trust, ledger): (&TrustBundle, &Ledger)) -> Result<Option<Self>, Error> {
        if let Ok(certificate) = certificate_in(path) {
            foreign::check(name.as_str(), &certificate, trust)
                .map_err(|source| AdminError::Foreign { path: path.to_owned(), source })?;
            return Ok(Some(Self::of(&certificate, true)));
        }
        for fingerprint in ledger.newest_of(name.as_str())?.into_iter().rev() {
            let record = ledger.certificate_record(fingerprint)?.filter(|record| record.issued.host.is_none());
            if let Some(certificate) = record.and_then(|record| Certificate::from_der(record.der).ok()) {
                return Ok(Some(Self::of(&certificate, false)));
            }
        }
        Ok(None)
    }

    fn of(certificate: &Certificate, is_in_file: bool) -> Self {
        let validity = std::time::Duration::try_from(certificate.not_after - certificate.not_before);
        let validity = validity.map_or(Lifetime::NINETY_DAYS, Lifetime::nearest);
        Self { account: AdminAccount::of(certificate), validity, is_in_file }
    }
}

/// Returns the kind of the account. A kubeconfig is never replaced by one of another group, which would have other rights, and one
/// for emergencies only if that was asked for.
fn account(wanted: Option<AdminAccount>, present: Option<&Present>, path: &Path) -> Result<AdminAccount, AdminError> {
    let other = |present: AdminAccount, wanted: AdminAccount| {
        Err(AdminError::OtherGroup { path: path.to_owned(), present: present.group(), wanted: wanted.group() })
    };
    match (wanted, present) {
        (None, None) => Ok(AdminAccount::Admin),
        (None, Some(present)) if present.account == AdminAccount::BreakGlass => {
            other(present.account, AdminAccount::Admin)
        }
        (None, Some(present)) => Ok(present.account),
        (Some(wanted), Some(present)) if present.is_in_file && present.account != wanted => {
            other(present.account, wanted)
        }
        (Some(wanted), _) => Ok(wanted),
    }
}

fn name(options: &AdminOptions) -> Result<HostName, AdminError> {
    let default = match options.account.unwrap_or_default() {
        AdminAccount::Admin => ADMIN,
        AdminAccount::BreakGlass => BREAK_GLASS,
        AdminAccount::Approver => APPROVER,
        AdminAccount::Signer => SIGNER,
        AdminAccount::Announcer => ANNOUNCER,
    };
    options.name.clone().map_or_else(|| HostName::parse(default).map_err(AdminError::DefaultName), Ok)
}

/// Refuses a name that is already in use, because programs that compare only common names could not tell the two
/// accounts apart.
fn check_name(name: &HostName, cluster: &Cluster) -> Result<(), AdminError> {
    let taken = |owner| Err(AdminError::NameTaken { name: name.clone(), owner });
    if cluster.host_names().contains(&name) {
        return taken(NameOwner::Host);
    }
    let mut specs = cluster.masters.iter().flat_map(|master| cluster.master_specs(master));
    match specs.find(|spec| spec.subject.user == name.as_str()) {
        Some(spec) => taken(NameOwner::Account(spec.profile)),
        None => Ok(()),
    }
}

fn spec(
    account: AdminAccount,
    validity: Option<Lifetime>,
    name: &HostName,
    cluster: &Cluster,
) -> Result<CertificateSpec, AdminError> {
    match account {
        AdminAccount::Admin => {
            return Ok(cluster.admin_spec(name, validity.unwrap_or(cluster.validity.admin)));
        }
        AdminAccount::Approver | AdminAccount::Signer | AdminAccount::Announcer => {
            let validity = validity.unwrap_or(cluster.validity.admin);
            return Ok(cluster.enrolment_spec(name, account.group(), validity));
        }
        AdminAccount::BreakGlass => {}
    }
    let validity = validity.unwrap_or(Lifetime::ONE_DAY);
    if validity > Lifetime::ONE_WEEK {
        return Err(AdminError::BreakGlassTooLong { validity });
    }
    Ok(cluster.break_glass_spec(name, validity))
}

impl AdminPlan<'_> {
    /// Returns the specification of the certificate to issue.
    #[must_use]
    pub fn spec(&self) -> &CertificateSpec {
        &self.spec
    }

    /// Issues the kubeconfig. The certificate is recorded in the ledger before any file is written.
    ///
    /// `issuer` is the cluster's CA.
    ///
    /// # Errors
    /// Returns an error if the certificate cannot be issued, or the ledger or the disk cannot be used.
    pub fn apply(mut self, issuer: &Issuer, observer: &mut dyn Observer) -> Result<AdminReport, Error> {
        let Self { spec, path, account, cluster, env, .. } = &self;
        let issued = issuer.issue_credential(spec, cluster.keys, env.now)?;
        let credential = issued.get();
        let text = kubeconfig::embedded_for(endpoint(*account, cluster), cluster, &self.cas.cluster, credential);
        let report = AdminReport {
            path: path.clone(),
            name: spec.subject.user.clone(),
            not_after: credential.certificate.not_after,
            account: *account,
        };
        record_replaced(&report.path, &self.cas, &mut self.ledger, self.env, observer)?;
        self.record(&credential.certificate)?;
        let folder = report.path.parent().unwrap_or(self.env.layout.dir());
        files::create_folder(folder)?;
        files::sweep(folder)?;
        files::replace(&report.path, text.as_bytes(), PRIVATE)?;
        Ok(report)
    }

    /// Records the certificate. A break-glass certificate is logged as an event of its own kind.
    fn record(&mut self, certificate: &Certificate) -> Result<(), StoreError> {
        let Self { spec, env, ledger, cas, .. } = self;
        let (profile, issuer) = (spec.policy().name, cas.cluster.ca_of(certificate).certificate());
        ledger.record(&[Entry { certificate, profile, host: None, issuer }], &env.audit())?;
        let group = spec.subject.group.as_deref().unwrap_or_default();
        let (until, sha256) = (stamp(certificate.not_after), certificate.fingerprint());
        let detail = format!("group {group}, until {until}, sha256 {sha256}");
        let kind = if group == SYSTEM_MASTERS { "BREAK-GLASS" } else { "issue-admin" };
        ledger.log_event(kind, &spec.subject.user, &detail, &env.audit())
    }
}

/// Returns the server of a kubeconfig. Approvers, signers and announcers connect to the enrolment CA, if the cluster
/// file names it.
fn endpoint(account: AdminAccount, cluster: &Cluster) -> &Endpoint {
    let enrolment = cluster.enrolment.as_ref().and_then(|enrolment| enrolment.endpoint.as_ref());
    match account {
        AdminAccount::Approver | AdminAccount::Signer | AdminAccount::Announcer => {
            enrolment.unwrap_or(&cluster.endpoint)
        }
        AdminAccount::Admin | AdminAccount::BreakGlass => &cluster.endpoint,
    }
}

/// Records the replaced certificate if the ledger does not have it, because its copies may have to be revoked.
fn record_replaced(
    path: &Path,
    cas: &CaSet,
    ledger: &mut Ledger,
    env: &Env,
    observer: &mut dyn Observer,
) -> Result<(), StoreError> {
    if !files::exists(path) {
        return Ok(());
    }
    // A certificate that cannot be read, or that another CA signed, cannot be revoked here.
    let Ok(replaced) = certificates::in_file(path, cas, ledger) else { return Ok(()) };
    if certificates::record(&replaced, cas, ledger, &env.audit())? > 0
        && let Some(own) = replaced.first()
    {
        observer.notice(Notice::ReplacedRecorded(own.issued.serial.clone()).into());
    }
    Ok(())
}
