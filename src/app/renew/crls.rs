//! CRLs that are due.

use std::path::PathBuf;

use time::OffsetDateTime;

use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::app::revoke::{self, Request, RevokeOptions, RevokeReport};
use crate::app::status::{self, Credential, State, StatusRow};
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::issuer::Issuer;

/// A CRL that is due, missing or damaged, or that lacks a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueCrl {
    /// The role of its CA.
    pub role: CaRole,
    /// Its state.
    pub state: State,
    /// The validity of the new CRL: that of the cluster file, or else that of this one; 90 days if it cannot be read.
    pub validity: Lifetime,
}

/// Returns the CRLs that are due, missing or damaged, or lack a revocation, and those that expire within the given time.
///
/// # Errors
/// Returns the errors of [`status::crls_of_directory`].
pub(in crate::app) fn due_crls(env: &Env, cluster: &Cluster, within: Option<Lifetime>) -> Result<Vec<DueCrl>, Error> {
    let due = |row: StatusRow| {
        let Credential::Crl(role) = row.credential else { return None };
        let is_unusable = matches!(row.state, State::Missing | State::Unreadable | State::Outdated);
        let is_wanted = is_unusable || is_due(&row, env.now, within);
        let validity = cluster.validity.crl.unwrap_or_else(|| validity(&row));
        is_wanted.then_some(DueCrl { role, state: row.state, validity })
    };
    Ok(status::crls_of_directory(env, cluster, within)?.into_iter().filter_map(due).collect())
}

/// Returns true if a row is past its time of renewal, or expires within the given time.
pub(super) fn is_due(row: &StatusRow, now: OffsetDateTime, within: Option<Lifetime>) -> bool {
    let by = within.map(|within| now + within.duration());
    matches!(row.state, State::Due | State::Expiring | State::Expired)
        && (row.renew_from.is_some_and(|from| from <= now)
            || row.not_after.is_some_and(|end| by.is_some_and(|by| end <= by)))
}

/// Returns the validity of a row's certificate or CRL; 90 days if the row has none.
pub(super) fn validity(row: &StatusRow) -> Lifetime {
    let validity = row.not_before.zip(row.not_after).map(|(from, to)| to - from);
    let validity = validity.and_then(|validity| std::time::Duration::try_from(validity).ok());
    validity.map_or(Lifetime::NINETY_DAYS, Lifetime::nearest)
}

/// Signs all CRLs again.
///
/// # Errors
/// Returns the errors of [`revoke::plan`] and [`revoke::RevokePlan::apply`].
pub(in crate::app) fn renew_crls(
    validity: Lifetime,
    templates: Option<PathBuf>,
    cluster: &Cluster,
    env: &Env,
    issuers: &[Issuer],
    observer: &mut dyn Observer,
) -> Result<RevokeReport, Error> {
    let options = RevokeOptions { request: Request::RenewCrls, crl_validity: Some(validity), templates };
    revoke::plan(options, cluster, env, observer)?.apply(issuers, observer)
}
