//! One trace for all nodes together: where neither the cluster file nor any node's file was touched since all of them were
//! good, `issue-node --all` need not even read what the cluster file says. Like any trace it is no proof.

use std::collections::HashMap;
use std::time::Duration;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rusqlite::{OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::error::StoreError;
use super::files::{self, Listing};
use super::identity::Looker;
use super::layout::Layout;
use super::ledger::{Ledger, failed};
use super::verification_cache::{self, Good};
use crate::cluster::profile::{CaRole, Holder, TABLE};
use crate::cluster::spec::Role;
use crate::pki::ca_set::CaSet;
use crate::pki::fingerprint::Fingerprint;

/// The ledger's format that brought this.
const SINCE: i64 = 4;

/// What all nodes had when all of it was good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetTrace {
    /// Of what was asked for, and of what tells every node's files from any others.
    pub digest: Fingerprint,
    /// How many certificates that is.
    pub certificates: usize,
    /// All of them are valid from here, in Unix seconds,
    pub not_before: i64,
    /// until here.
    pub not_after: i64,
}

impl FleetTrace {
    /// Of `nodes`, all that the cluster file has, by name; what else lies beside them is looked at now. `None` where there are
    /// none, one of them is not there, or their folder cannot be read.
    #[must_use]
    pub fn of(layout: &Layout, asked: Fingerprint, nodes: &HashMap<&str, Good>) -> Option<Self> {
        let (digest, found) = look(layout, asked, nodes)?;
        let all = nodes.values();
        let trace = Self {
            digest,
            certificates: all.clone().map(|node| node.certificates).sum(),
            not_before: all.clone().map(|node| node.not_before).max()?,
            not_after: all.map(|node| node.not_after).min()?,
        };
        (found == nodes.len()).then_some(trace)
    }

    /// The same, to be looked at closely so long before its end.
    #[must_use]
    pub fn until(self, before_the_end: Duration) -> Self {
        let before = i64::try_from(before_the_end.as_secs()).unwrap_or(i64::MAX);
        Self { not_after: self.not_after.saturating_sub(before), ..self }
    }

    /// Whether this is what lies there now, and good from `now` until after `end`.
    #[must_use]
    pub fn vouches(&self, layout: &Layout, asked: Fingerprint, now: OffsetDateTime, end: OffsetDateTime) -> bool {
        self.not_before <= now.unix_timestamp()
            && end.unix_timestamp() < self.not_after
            && look(layout, asked, &HashMap::new()).is_some_and(|(digest, _)| digest == self.digest)
    }
}

impl Ledger {
    /// Remembers that all nodes were good.
    ///
    /// # Errors
    /// When SQLite cannot; what was remembered before stays.
    pub fn remember_fleet(&mut self, trace: &FleetTrace) -> Result<(), StoreError> {
        let FleetTrace { digest, certificates, not_before, not_after } = trace;
        let certificates = i64::try_from(*certificates).unwrap_or(i64::MAX);
        self.connection
            .execute(
                "INSERT OR REPLACE INTO fleet_trace (one, digest, certificates, not_before, not_after) VALUES (1, ?1, ?2, ?3, ?4)",
                params![digest.bytes(), certificates, not_before, not_after],
            )
            .map(|_| ())
            .map_err(|error| failed(&self.path, &error))
    }

    /// What is remembered of all nodes; nothing where the ledger is older than that.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn fleet_trace(&self) -> Result<Option<FleetTrace>, StoreError> {
        if self.format()? < SINCE {
            return Ok(None);
        }
        let row = |row: &Row<'_>| {
            Ok(FleetTrace {
                digest: Fingerprint::from_bytes(row.get(0)?),
                certificates: usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
                not_before: row.get(2)?,
                not_after: row.get(3)?,
            })
        };
        self.connection
            .query_row("SELECT digest, certificates, not_before, not_after FROM fleet_trace", [], row)
            .optional()
            .map_err(|error| failed(&self.path, &error))
    }
}

/// A digest of all that nodes are asked to hold: by the bytes of the whole cluster file and the policy of this version of the
/// program, under these roots, after as many revocations.
#[must_use]
pub fn asked(cluster_file: Fingerprint, roots: &CaSet, revocations: u64) -> Fingerprint {
    let roots = CaRole::ALL.map(|kind| roots.of(kind).fingerprint());
    Fingerprint::of_value(&(env!("CARGO_PKG_VERSION"), TABLE, cluster_file, roots, revocations))
}

/// The digest of what is asked for and of every file that a node has, in every folder that is there; those that `known` names
/// are as it says, and the number of them that are there comes with it. `None` when the folder cannot be read, or something in it
/// is not finished.
fn look(layout: &Layout, asked: Fingerprint, known: &HashMap<&str, Good>) -> Option<(Fingerprint, usize)> {
    let folder = layout.hosts_folder(Role::Node);
    // What a killed process left has to be swept, with the keys in it.
    let Listing { names, unfinished: 0 } = files::list(&folder).ok()? else { return None };
    let looker = Looker::at(&folder).ok()?;
    let one = |name: &String| match known.get(name.as_str()) {
        Some(good) => Some(good.files),
        None => of_folder(&looker, name),
    };
    let digests: Vec<Option<Fingerprint>> = names.par_iter().map(one).collect();
    let found = names.iter().filter(|name| known.contains_key(name.as_str())).count();
    Some((Fingerprint::of_value(&(asked, names, digests)), found))
}

/// What its trace says of a node's files, as they are now; `None` when one is missing or cannot be looked at.
fn of_folder(looker: &Looker, name: &str) -> Option<Fingerprint> {
    let mut files = Vec::with_capacity(2);
    for policy in TABLE.iter().filter(|policy| policy.holder == Holder::Node) {
        let identity = |ending| looker.identity(&[name, "/", policy.name, ending].concat());
        files.push((policy.profile, [identity(".crt")?, identity(".key")?]));
    }
    Some(verification_cache::of_files(&mut files))
}
