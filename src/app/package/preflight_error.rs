//! Hosts that cannot be packed, and the remedies.

use std::fmt;

use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, Profile};
use crate::cluster::spec::Role;
use crate::store::credentials::CredentialProblem;
use crate::store::error::StoreError;

/// The maximum number of hosts that a message names with their problems.
const NAMED: usize = 5;

/// A host whose bundle cannot be packed, because one of its credentials cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedHost {
    /// The host.
    pub host: HostName,
    /// The first of its credentials that cannot be used.
    pub credential: Profile,
    /// What is wrong with it.
    pub problems: Vec<CredentialProblem>,
    /// Whether only the host has its key.
    pub is_key_on_host: bool,
}

/// The remedy for a host that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialRemedy {
    /// Issue the credential.
    Issue,
    /// Reissue it: its key was discarded on purpose, and everything else is valid.
    Reissue,
    /// Send a new request from the host, because only it has the key.
    SendRequest,
    /// Make its file readable: the credential may be valid.
    MakeReadable,
    /// Compare the clocks: it is not valid yet.
    CompareClocks,
}

impl RefusedHost {
    /// Returns the name of the credential.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.credential.policy().name
    }

    /// Returns the problems as text.
    #[must_use]
    pub fn reason(&self) -> String {
        joined(&self.problems)
    }

    /// Returns the role that the credential is for.
    #[must_use]
    pub fn role(&self) -> Role {
        if self.credential.policy().holder == Holder::Master { Role::Master } else { Role::Node }
    }

    /// Returns the remedy.
    #[must_use]
    pub fn remedy(&self) -> CredentialRemedy {
        match self.problems.as_slice() {
            [CredentialProblem::KeyDiscarded { .. }] => CredentialRemedy::Reissue,
            [CredentialProblem::Unreadable(_)] => CredentialRemedy::MakeReadable,
            problems if problems.iter().all(CredentialProblem::is_early) => CredentialRemedy::CompareClocks,
            _ if self.is_key_on_host => CredentialRemedy::SendRequest,
            _ => CredentialRemedy::Issue,
        }
    }

    /// Returns the system's error, if it is the only problem.
    #[must_use]
    pub fn unreadable(&self) -> Option<&StoreError> {
        match self.problems.as_slice() {
            [CredentialProblem::Unreadable(error)] => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for RefusedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.host, self.name(), self.reason())
    }
}

/// The hosts that were refused, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The hosts that were refused, in order.
    pub refused: Vec<RefusedHost>,
    /// Whether other hosts were packed.
    pub is_partial: bool,
}

impl Refusal {
    /// Returns true if unreadable files are the only problems.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.refused.iter().all(|host| host.unreadable().is_some())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refused.as_slice() {
            [one] => write!(f, "{} has ", one.host)?,
            all => write!(f, "{} hosts have ", all.len())?,
        }
        f.write_str(if self.is_unreadable() { "credentials that cannot be read" } else { "no usable credentials" })?;
        f.write_str(if self.is_partial { ", so not all was packed:" } else { ", so nothing was packed:" })?;
        for host in self.refused.iter().take(NAMED) {
            write!(f, "\n  {host}")?;
        }
        match self.refused.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Returns problems as text.
pub(super) fn joined(problems: &[CredentialProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
