//! Hosts that the cluster file does not have any more, and what is left of them: certificates that are good, files, bundles.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use time::OffsetDateTime;

use crate::bundle::format::{Format, sealed_name};
use crate::cli::context::Context;
use crate::cli::finding_remedies::words;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::cluster::spec::{Cluster, Role};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::{DirectoryRemedy, TargetKind};
use crate::verify::target::Place;

/// How many hosts are told one by one.
const NAMED: usize = 5;

/// What is left of a host that is not in the cluster file any more, or not in that role.
#[derive(Debug, Default)]
pub(crate) struct Departed {
    host: String,
    /// How many of its certificates are good, the last of them until when, and their serial numbers.
    good: usize,
    until: Option<OffsetDateTime>,
    serials: Vec<String>,
    /// Its folders and bundles.
    left: Vec<PathBuf>,
    /// The role that it still has.
    still: Option<Role>,
}

impl Departed {
    fn saw(&self) -> String {
        let mut parts = Vec::new();
        if let Some(until) = self.until {
            parts.push(format!(
                "{} that {} good until {}",
                super::lists::count(self.good),
                if self.good == 1 { "is" } else { "are" },
                stamp(until)
            ));
        }
        parts.extend(self.left.iter().map(|path| path.display().to_string()));
        let role = self.still.map_or(String::new(), |role| format!(", but as a {},", role.as_str()));
        format!("it is not in cluster.yaml any more{role} and has {}", parts.join(", "))
    }

    fn remedy(&self) -> DirectoryRemedy {
        let revoke = match (self.good, self.still) {
            (0, _) => Vec::new(),
            (_, None) => vec![self.host.clone()],
            (_, Some(_)) => self.serials.clone(),
        };
        let paths = self.left.iter().map(|path| path.display().to_string()).collect();
        DirectoryRemedy::RemoveHost { revoke, paths }
    }
}

/// Finds what is left of hosts that left the cluster file, in the order of their names.
///
/// # Errors
/// When the ledger or a folder cannot be read.
pub(crate) fn find(
    layout: &Layout,
    cluster: &Cluster,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<Vec<Departed>, StoreError> {
    let mut found: BTreeMap<String, Departed> = BTreeMap::new();
    let names = |role: Role| -> HashSet<&str> {
        let hosts = if role == Role::Master { &cluster.masters } else { &cluster.nodes };
        hosts.iter().map(|host| host.name.as_str()).collect()
    };
    let (masters, nodes) = (names(Role::Master), names(Role::Node));
    for (role, profile, here, other) in
        [(Role::Master, Profile::Apiserver, &masters, &nodes), (Role::Node, Profile::KubeletClient, &nodes, &masters)]
    {
        let folders = files::names_in(&layout.hosts_folder(role))?;
        let mut gone: Vec<String> = ledger.hosts_of(profile.policy().name)?;
        gone.extend(folders.iter().cloned());
        gone.retain(|host| !here.contains(host.as_str()));
        gone.sort_unstable();
        gone.dedup();
        for host in gone {
            let still = other.contains(host.as_str()).then_some(match role {
                Role::Master => Role::Node,
                Role::Node => Role::Master,
            });
            let of_role = |name: &str| {
                let row = crate::cluster::profile::TABLE.iter().find(|row| row.name == name);
                row.is_some_and(|row| (row.holder == crate::cluster::profile::Holder::Master) == (role == Role::Master))
            };
            let good = ledger.by_host(&host)?.all()?.into_iter();
            let good = good.filter(|one| one.not_after > now && one.revocation.is_none() && of_role(&one.profile));
            let good: Vec<_> = good.collect();
            let mut left = Vec::new();
            if folders.binary_search(&host).is_ok() {
                left.push(layout.hosts_folder(role).join(&host));
            }
            if still.is_none()
                && let Ok(name) = HostName::parse(&host)
            {
                let bundles = Format::ALL.map(|format| format.file_name(&name)).into_iter().chain([sealed_name(&name)]);
                left.extend(bundles.map(|bundle| layout.bundles().join(bundle)).filter(|path| files::exists(path)));
            }
            if good.is_empty() && left.is_empty() {
                continue;
            }
            let departed = found.entry(host.clone()).or_insert_with(|| Departed { host, still, ..Departed::default() });
            departed.good += good.len();
            departed.until = departed.until.max(good.iter().map(|one| one.not_after).max());
            departed.serials.extend(good.iter().map(|one| one.serial.to_string()));
            departed.left.extend(left.into_iter().filter(|path| !departed.left.contains(path)).collect::<Vec<_>>());
        }
    }
    Ok(found.into_values().collect())
}

/// Warns of hosts that are not in the cluster file any more.
///
/// # Errors
/// As [`find`].
pub(crate) fn tell(cluster: &Cluster, ledger: &Ledger, context: &mut Context<'_>) -> Result<(), StoreError> {
    let departed = find(&context.env.layout, cluster, ledger, context.env.now)?;
    for one in departed.iter().take(NAMED) {
        let remedy = words(&one.remedy().into(), TargetKind::Directory);
        context.screen.warn(format_args!("{}: {}; {remedy}", one.host, one.saw()));
    }
    if let Some(more) = departed.len().checked_sub(NAMED).filter(|more| *more > 0) {
        context.screen.warn(format_args!("and {more} more hosts that left: clusterctl verify --offline names all"));
    }
    Ok(())
}

/// `store.credential` for hosts that left the cluster file.
///
/// # Errors
/// As [`find`].
pub(crate) fn findings(
    layout: &Layout,
    cluster: &Cluster,
    ledger: &Ledger,
    now: OffsetDateTime,
) -> Result<Vec<Finding>, StoreError> {
    let finding = |one: Departed| {
        Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, &one.host, Status::Warn)
            .saw(one.saw(), "nothing of hosts that are not in the cluster file")
            .remedy(one.remedy())
    };
    Ok(find(layout, cluster, ledger, now)?.into_iter().map(finding).collect())
}
