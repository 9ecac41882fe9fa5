//! The state that all checks share: the target, the observations, and cached results.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use time::{Duration, OffsetDateTime};

use super::super::observation::Observations;
use super::super::revocation::Crls;
use super::super::target::{Peer, Target};
use super::anchor::UsedRoots;
use super::trust::Trust;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;

/// The time at which dates are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The time of the run.
    pub now: OffsetDateTime,
    /// The remaining lifetime below which a certificate is a warning.
    pub expires_within: Duration,
}

/// The state that all checks share.
pub(super) struct CheckContext<'a> {
    pub(super) target: &'a Target,
    pub(super) clock: Clock,
    pub(super) seen: &'a Observations,
    pub(super) parsed: HashMap<Fingerprint, Option<Rc<Result<Certificate, String>>>>,
    pub(super) trusted: HashMap<Vec<Fingerprint>, Rc<Trust>>,
    /// The roots of the observed paths.
    pub(super) used: UsedRoots,
    /// The client certificates whose expiry has been reported.
    pub(super) reported_expiry: HashSet<Fingerprint>,
    pub(super) nodes: HashMap<&'a str, &'a Peer>,
    pub(super) crls: Crls<'a>,
}

/// The text of a finding about something that was not observed.
pub(super) const NOT_OBSERVED: &str = "not observed";

impl CheckContext<'_> {
    /// Returns an observed certificate, parsed at its first use.
    pub(super) fn certificate_of(&mut self, fingerprint: &Fingerprint) -> Option<Rc<Result<Certificate, String>>> {
        let seen = self.seen;
        let read = || {
            let der = seen.certificates.get(fingerprint)?;
            Some(Rc::new(Certificate::from_der(der.0.clone()).map_err(|error| error.to_string())))
        };
        self.parsed.entry(*fingerprint).or_insert_with(read).clone()
    }
}
