//! Finds what is due, and renews it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use time::OffsetDateTime;

use super::crls::{due_crls, is_due, renew_crls, validity};
use super::report::RenewReport;
use crate::app::admin::{self, AdminReport};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::issue::{self, IssueOptions, IssuePreview, PlannedCertificate, Subjects};
use crate::app::notice::Notice;
use crate::app::observer::Observer;
use crate::app::once::Once;
use crate::app::status::{self, Credential, StatusOptions, StatusRow, Subject};
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Profile};
use crate::cluster::spec::{Cluster, Host, Role};
use crate::pki::issuer::Issuer;
use crate::store::files;
use crate::store::layout::Layout;

/// The selection of what is renewed if it is due.
#[derive(Debug, Clone, Default)]
pub struct RenewOptions<'a> {
    /// These control-plane nodes.
    pub masters: Vec<&'a Host>,
    /// These nodes.
    pub nodes: Vec<&'a Host>,
    /// Administrators' kubeconfigs.
    pub admins: bool,
    /// CRLs.
    pub crls: bool,
    /// Certificates that expire within this time are also due; overrides the cluster file.
    pub within: Option<Lifetime>,
    /// A folder with templates for the API servers' authorization configuration, which is written with the CRLs.
    pub templates: Option<PathBuf>,
}

/// An administrator's kubeconfig that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueAdmin {
    /// The account's name.
    pub name: HostName,
    /// When the current certificate expires.
    pub not_after: OffsetDateTime,
    /// The validity of the current certificate, which the new certificate gets, too.
    pub validity: Lifetime,
}

/// The plan for a renewal.
#[derive(Debug)]
pub struct RenewPlan<'a> {
    options: RenewOptions<'a>,
    cluster: &'a Cluster,
    env: &'a Env,
    /// The plans of control-plane nodes and the verifier, then of nodes.
    credentials: Vec<IssuePreview<'a>>,
    admins: Vec<DueAdmin>,
    /// The validity of new CRLs, if they are due.
    crls: Option<Lifetime>,
    /// The notices that were already reported.
    seen: Vec<Notice>,
}

/// Finds what is due, and changes nothing.
///
/// # Errors
/// Returns the errors of [`issue::preview`] and [`status::of_directory`].
pub fn plan<'a>(
    options: RenewOptions<'a>,
    cluster: &'a Cluster,
    env: &'a Env,
    observer: &mut dyn Observer,
) -> Result<RenewPlan<'a>, Error> {
    let mut seen = Vec::new();
    let mut credentials = Vec::new();
    for subjects in subjects(&options, &env.layout) {
        let options = issue_options(subjects, options.within);
        credentials.push(issue::preview(options, cluster, env, &mut Once::new(observer, &mut seen))?);
    }
    let admins = if options.admins { due_admins(options.within, cluster, env)? } else { Vec::new() };
    let crls = if options.crls { due_crls(env, cluster, options.within)? } else { Vec::new() };
    let crls = crls.iter().map(|due| due.validity).max();
    Ok(RenewPlan { options, cluster, env, credentials, admins, crls, seen })
}

/// Returns the hosts that have credentials, because credentials that were never issued are not renewed.
fn subjects<'a>(options: &RenewOptions<'a>, layout: &Layout) -> Vec<Subjects<'a>> {
    let issued = |role, hosts: &[&'a Host]| -> Vec<&'a Host> {
        let folder = layout.hosts_folder(role);
        hosts.iter().copied().filter(|host| files::exists(&folder.join(host.name.as_str()))).collect()
    };
    let (masters, nodes) = (issued(Role::Master, &options.masters), issued(Role::Node, &options.nodes));
    let mut subjects = Vec::new();
    if !masters.is_empty() {
        subjects.push(Subjects::Masters(masters));
    }
    if !nodes.is_empty() {
        subjects.push(Subjects::Nodes(nodes));
    }
    subjects
}

fn issue_options(subjects: Subjects<'_>, within: Option<Lifetime>) -> IssueOptions<'_> {
    IssueOptions { subjects, reissue: false, renew_within: within, skips_unreadable: false }
}

/// Returns the administrators' kubeconfigs that are due.
fn due_admins(within: Option<Lifetime>, cluster: &Cluster, env: &Env) -> Result<Vec<DueAdmin>, Error> {
    let mut admins = Vec::new();
    let status_options = StatusOptions { expires_within: within, ..StatusOptions::default() };
    status::of_directory(env, cluster, &status_options, &mut |row| {
        if row.credential == Credential::Leaf(Profile::Admin) && is_due(&row, env.now, within) {
            admins.extend(due_admin(&row));
        }
    })?;
    Ok(admins)
}

fn due_admin(row: &StatusRow) -> Option<DueAdmin> {
    let Subject::Person(name) = &row.subject else { return None };
    Some(DueAdmin { name: HostName::parse(name).ok()?, not_after: row.not_after?, validity: validity(row) })
}

impl<'a> RenewPlan<'a> {
    /// Returns the certificates of hosts and of the verifier that are renewed.
    pub fn certificates(&self) -> impl Iterator<Item = PlannedCertificate> {
        self.credentials.iter().flat_map(IssuePreview::certificates)
    }

    /// Returns the certificates that are due but need a request from their host.
    pub fn to_request(&self) -> impl Iterator<Item = PlannedCertificate> {
        self.credentials.iter().flat_map(IssuePreview::to_request)
    }

    /// Returns the administrators' kubeconfigs that are renewed.
    #[must_use]
    pub fn admins(&self) -> &[DueAdmin] {
        &self.admins
    }

    /// Returns true if the CRLs are renewed.
    #[must_use]
    pub fn renews_crls(&self) -> bool {
        self.crls.is_some()
    }

    /// Returns true if nothing is due.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.credentials.iter().all(IssuePreview::is_empty) && self.admins.is_empty() && self.crls.is_none()
    }

    /// Returns the CAs whose keys are needed, each once.
    #[must_use]
    pub fn signers(&self) -> Vec<CaRole> {
        let mut roles: BTreeSet<CaRole> = self.credentials.iter().flat_map(IssuePreview::signers).collect();
        if !self.admins.is_empty() {
            roles.insert(CaRole::Cluster);
        }
        if self.crls.is_some() {
            roles.extend(CaRole::ALL);
        }
        roles.into_iter().collect()
    }

    /// Renews what is due: the hosts' and the verifier's certificates, then administrators' kubeconfigs, then the CRLs.
    ///
    /// `issuers` are the CAs of [`Self::signers`].
    ///
    /// # Errors
    /// Returns the errors of the use cases of each kind. What was renewed until then is complete; another run does the
    /// rest.
    pub fn apply(mut self, issuers: &[Issuer], observer: &mut dyn Observer) -> Result<RenewReport, Error> {
        // Another run may have renewed some of the planned certificates since: only those of this run are reported.
        let (mut certificates, mut to_request) = (Vec::new(), Vec::new());
        let previews = std::mem::take(&mut self.credentials);
        // The first plan puts all of them into the verification cache, where the second plan finds its own.
        let mut verified: Vec<_> = previews.into_iter().flat_map(IssuePreview::into_verified).collect();
        for subjects in subjects(&self.options, &self.env.layout) {
            let mut observer = Once::new(observer, &mut self.seen);
            let options = issue_options(subjects, self.options.within);
            let verified = std::mem::take(&mut verified);
            let plan = issue::plan_after(&verified, options, "renew", self.cluster, self.env, &mut observer)?;
            to_request.extend(plan.preview().to_request());
            if !plan.preview().is_empty() {
                certificates.extend(plan.preview().certificates());
                plan.apply(issuers, &mut observer)?;
            }
        }
        let mut admins = Vec::new();
        for due in std::mem::take(&mut self.admins) {
            admins.extend(self.admin(due, issuers, observer)?);
        }
        let crls = match self.crls {
            Some(validity) => {
                let (templates, mut observer) = (self.options.templates.take(), Once::new(observer, &mut self.seen));
                Some(renew_crls(validity, templates, self.cluster, self.env, issuers, &mut observer)?)
            }
            None => None,
        };
        Ok(RenewReport { certificates, to_request, admins, crls })
    }

    fn admin(
        &mut self,
        due: DueAdmin,
        issuers: &[Issuer],
        observer: &mut dyn Observer,
    ) -> Result<Option<AdminReport>, Error> {
        let mut observer = Once::new(observer, &mut self.seen);
        let DueAdmin { name, validity, .. } = due;
        admin::reissue(name, validity, issuers, (self.cluster, self.env), &mut observer)
    }
}
