//! Rows for the hosts of the cluster file: their credentials, and bundles that lack the newest ones.
//!
//! The ledger returns each profile's certificates sorted by host name, so one pass over all of them suffices and none
//! is kept in memory.

use std::collections::HashSet;
use std::iter::Peekable;

use time::OffsetDateTime;

use super::authorities::Cas;
use super::bundles::{Bundles, Needed};
use super::expiry::Validity;
use super::row::{CertificateId, Credential, StatusRow, Subject};
use super::source::{Sink, Source};
use super::state::State;
use crate::app::renewal;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, Policy, TABLE};
use crate::cluster::spec::Role;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::lint::has_other_names;
use crate::store::credentials;
use crate::store::error::StoreError;
use crate::store::ledger::current::CurrentCertificate;
use crate::verify::remedy::{DirectoryRemedy, Server};
use crate::verify::target::Place;

/// Reports the credentials and outdated bundles of the selected hosts, sorted by name.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn rows(
    source: &Source<'_>,
    cas: &Cas,
    is_wanted: &dyn Fn(&str) -> bool,
    sink: Sink<'_>,
) -> Result<(), StoreError> {
    let mut members: Vec<(&HostName, Role)> =
        source.cluster.masters.iter().map(|host| (&host.name, Role::Master)).collect();
    members.extend(source.cluster.nodes.iter().map(|host| (&host.name, Role::Node)));
    members.retain(|(name, _)| is_wanted(name.as_str()));
    members.sort_unstable();
    let of_hosts = TABLE.iter().filter(|policy| source.cluster.has_profile(policy.profile));
    let profiles: Vec<(&Policy, Role)> =
        of_hosts.filter_map(|policy| Some((policy, role_of(policy.holder)?))).collect();
    let mut queries = profiles
        .iter()
        .map(|(policy, _)| source.ledger.current_of_hosts(policy.name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut columns: Vec<_> = profiles
        .iter()
        .zip(&mut queries)
        .map(|((policy, role), query)| (*policy, *role, Ordered(query.rows().peekable())))
        .collect();
    let mut generations = source.ledger.packed_generations()?;
    let mut generations = Ordered(generations.rows().peekable());
    let (discarded, on_hosts) = (source.ledger.discarded_keys()?, source.ledger.keys_on_hosts()?);
    let renewed_by_hosts = source.ledger.renewed_by_hosts()?;
    let discarded_before_restore = source.ledger.keys_discarded_before_restore()?;
    let hosts = Hosts { source, cas, discarded, on_hosts };
    let bundles = Bundles::list(source, cas)?;
    for member in members.chunk_by(|(one, _), (other, _)| one == other) {
        let [(name, _), ..] = member else { continue };
        let mut newest: Option<OffsetDateTime> = None;
        let mut is_key_lost = false;
        for (policy, role, column) in &mut columns {
            if !member.iter().any(|(_, of)| of == role) {
                continue;
            }
            let current = column.take(name.as_str(), |row| row.issued.host.as_deref().unwrap_or_default())?;
            // A certificate that the host renewed itself is not delivered in a bundle.
            let to_deliver = current.as_ref().filter(|one| !renewed_by_hosts.contains(&one.issued.fingerprint));
            newest = newest.max(to_deliver.map(|current| current.issued_at));
            is_key_lost |=
                current.as_ref().is_some_and(|one| discarded_before_restore.contains(&one.issued.fingerprint));
            sink(hosts.row(name, *role, policy, current));
        }
        let packed = generations.take(name.as_str(), |(host, _)| host)?;
        // The directory was restored from a backup without bundles, and only the bundle had the keys.
        if is_key_lost && !bundles.has_encrypted(name) {
            let remedy = DirectoryRemedy::ReissueUnlessInstalled { host: name.to_string() };
            let row = StatusRow::new(Subject::Host(name.to_string()), Credential::Bundle, State::Missing);
            sink(row.remedy(remedy));
            continue;
        }
        let has_rules = member.iter().any(|(_, role)| *role == Role::Master);
        let needed = newest.map(|issued_at| Needed { host: name, issued_at, has_rules });
        if let Some(needed) = needed
            && let Some(row) = bundles.row(needed, packed.map(|(_, generation)| generation))?
        {
            sink(row);
        }
    }
    Ok(())
}

/// Returns the role of the hosts that hold a credential; `None` if its holder is not a host.
fn role_of(holder: Holder) -> Option<Role> {
    match holder {
        Holder::Master => Some(Role::Master),
        Holder::Node => Some(Role::Node),
        Holder::Cluster | Holder::Person => None,
    }
}

/// The sources of the hosts' rows.
struct Hosts<'a> {
    source: &'a Source<'a>,
    cas: &'a Cas,
    /// The certificates whose keys were deleted on purpose.
    discarded: HashSet<Fingerprint>,
    /// The certificates whose keys only their hosts have.
    on_hosts: HashSet<Fingerprint>,
}

impl Hosts<'_> {
    fn row(&self, name: &HostName, role: Role, policy: &Policy, current: Option<CurrentCertificate>) -> StatusRow {
        let row = |state| StatusRow::new(Subject::Host(name.to_string()), Credential::Leaf(policy.profile), state);
        let place = if role == Role::Master { Place::Master } else { Place::Node };
        let server = || Server { place, host: name.to_string() };
        let is_on_host = current.as_ref().is_some_and(|one| self.on_hosts.contains(&one.issued.fingerprint));
        let send_request = || DirectoryRemedy::SendRequest { host: name.to_string() };
        let issue = || match is_on_host {
            true => send_request(),
            // In an emergency rotation, the certificates of all hosts are revoked, and `apply` replaces them together.
            false if self.cas.is_rotating(policy.signed_by) => DirectoryRemedy::Apply,
            false => DirectoryRemedy::Issue { server: server(), reissue: false },
        };
        let Some(CurrentCertificate { issued, not_before, .. }) = current else {
            let of_ca = self.cas.remedy(policy.signed_by, None, self.source.rule.now);
            return row(State::Missing).remedy(of_ca.unwrap_or_else(issue));
        };
        let not_after = issued.not_after;
        let validity = &self.source.cluster.validity;
        let lifetime = if role == Role::Master { validity.master } else { validity.node }.duration();
        let renew_from = renewal::starts(self.source.cluster, lifetime, not_before, not_after);
        let ca_not_after = self.cas.active_not_after(policy.signed_by);
        let is_renewable =
            ca_not_after.is_none_or(|ca| renewal::lasts_longer(lifetime, not_after, ca, self.source.rule.now));
        let renew_from = Some(renew_from).filter(|_| is_renewable);
        let state = match &issued.revocation {
            Some(_) if not_after > self.source.rule.now => State::Revoked,
            _ => self.source.rule.state(&Validity { not_before, not_after, renew_from }),
        };
        // A difference from the cluster file is only reported here if the key is on the host, because such a certificate is
        // issued again only when the host requests it. `plan` reports the others.
        let state = match state {
            State::Valid if is_on_host && self.differs(name, role, policy) => State::Outdated,
            other => other,
        };
        let row = StatusRow {
            is_key_discarded: self.discarded.contains(&issued.fingerprint),
            certificate: Some(CertificateId::from(issued)),
            not_before: Some(not_before),
            not_after: Some(not_after),
            renew_from,
            ..row(state)
        };
        let is_due = renew_from.is_some_and(|from| from <= self.source.rule.now);
        let expiring = Some(not_after).filter(|_| state == State::Expiring);
        match (state, self.cas.remedy(policy.signed_by, expiring, self.source.rule.now)) {
            (State::Valid, _) => row,
            (_, Some(remedy)) => row.remedy(remedy),
            (State::Expiring, None) if !is_due && !is_on_host => row.remedy(DirectoryRemedy::RenewHost(server())),
            _ => row.remedy(issue()),
        }
    }
}

impl Hosts<'_> {
    /// Returns true if the stored certificate of a host has another account or other names than the cluster file asks for.
    fn differs(&self, name: &HostName, role: Role, policy: &Policy) -> bool {
        let cluster = self.source.cluster;
        let specs = match role {
            Role::Master => cluster.master(name.as_str()).map(|host| cluster.master_specs(host)),
            Role::Node => cluster.node(name.as_str()).map(|host| cluster.node_specs(host)),
        };
        let spec = specs.into_iter().flatten().find(|spec| spec.profile == policy.profile);
        spec.is_some_and(|spec| {
            let stored = credentials::read_certificate(self.source.layout, &spec);
            stored.is_ok_and(|certificate| has_other_names(&certificate, &spec))
        })
    }
}

/// An iterator over rows that are sorted by a key.
struct Ordered<I: Iterator>(Peekable<I>);

impl<T, I: Iterator<Item = Result<T, StoreError>>> Ordered<I> {
    /// Returns the row with this key, if there is one, and skips the rows before it.
    fn take(&mut self, key: &str, key_of: impl Fn(&T) -> &str) -> Result<Option<T>, StoreError> {
        let is_before = |row: &Result<T, StoreError>| row.as_ref().is_ok_and(|row| key_of(row) < key);
        while self.0.next_if(is_before).is_some() {}
        let is_it = |row: &Result<T, StoreError>| row.as_ref().map_or(true, |row| key_of(row) == key);
        self.0.next_if(is_it).transpose()
    }
}
