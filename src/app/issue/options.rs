//! The options of issuing: the subjects, and which credentials are replaced.

use std::time::Duration;

use time::OffsetDateTime;

use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CertificateSpec;
use crate::cluster::spec::{Cluster, Host, Role};

/// The options of issuing.
#[derive(Debug, Clone)]
pub struct IssueOptions<'a> {
    /// The subjects whose credentials are issued.
    pub subjects: Subjects<'a>,
    /// Whether all valid credentials are replaced.
    pub reissue: bool,
    /// Credentials that expire within this time are replaced; overrides the cluster file.
    pub renew_within: Option<Lifetime>,
    /// Whether subjects with a file that cannot be read are left as they are, instead of an error for all.
    pub skips_unreadable: bool,
}

/// The subjects whose credentials are issued.
#[derive(Debug, Clone)]
pub enum Subjects<'a> {
    /// These control-plane nodes, the verifier, and the key pair that signs service account tokens.
    Masters(Vec<&'a Host>),
    /// These nodes.
    Nodes(Vec<&'a Host>),
}

/// The credentials that the options and the cluster file require.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) options: IssueOptions<'a>,
    pub(super) cluster: &'a Cluster,
    pub(super) now: OffsetDateTime,
}

impl Wanted<'_> {
    /// Returns the role of the hosts.
    pub(super) fn role(&self) -> Role {
        match self.options.subjects {
            Subjects::Masters(_) => Role::Master,
            Subjects::Nodes(_) => Role::Node,
        }
    }

    /// Returns the number of subjects.
    pub(super) fn subjects(&self) -> usize {
        match &self.options.subjects {
            // The verifier follows the masters.
            Subjects::Masters(hosts) => hosts.len() + 1,
            Subjects::Nodes(hosts) => hosts.len(),
        }
    }

    /// Returns the required certificates of a subject. They are computed on demand, because those of a large cluster
    /// would not fit in memory.
    pub(super) fn specs(&self, subject: usize) -> Vec<CertificateSpec> {
        match &self.options.subjects {
            Subjects::Masters(hosts) => match hosts.get(subject) {
                Some(host) => self.cluster.master_specs(host),
                None => vec![self.cluster.verifier_spec()],
            },
            Subjects::Nodes(hosts) => hosts.get(subject).map_or_else(Vec::new, |host| self.cluster.node_specs(host)),
        }
    }

    /// Returns the time beyond which all of these certificates must be valid so that none of them is due.
    pub(super) fn valid_beyond(&self, specs: &[CertificateSpec]) -> OffsetDateTime {
        let longest = specs.iter().map(|spec| spec.lifetime.duration()).max().unwrap_or_default();
        let requested = self.options.renew_within.map_or(Duration::ZERO, Lifetime::duration);
        self.now + requested.max(self.cluster.renewed_before(longest))
    }
}
