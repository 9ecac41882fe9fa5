//! How certificates are issued to hosts that ask for them: `enrolment` in the cluster file.

use std::net::SocketAddr;
use std::num::NonZeroU8;

use time::OffsetDateTime;

use super::endpoint::{Endpoint, EndpointError};
use super::host_pattern::HostPattern;
use super::profile::Profile;

/// The keys of `enrolment`.
pub const KEYS: &[&str] = &["listen", "endpoint", "bootstrap", "allowedSigners", "approvers", "policy", "until"];
/// The keys of a rule.
pub const RULE_KEYS: &[&str] = &["name", "when", "require", "then", "approvals"];
/// The keys of a rule's `when`.
pub const WHEN_KEYS: &[&str] = &["kind", "hosts", "profile"];
/// The keys of a requirement that is a mapping.
pub const REQUIREMENT_KEYS: &[&str] = &["exec", "webhook", "puppet-autosign"];
/// The keys of `webhook`.
pub const WEBHOOK_KEYS: &[&str] = &["url", "ca", "certificate", "key"];
/// The requirements that are one word.
pub const REQUIREMENT_WORDS: [&str; 5] = ["inventory", "same-host", "ssh-host-key", "token", "source-address"];
/// The policies that are one word.
pub const POLICY_WORDS: [&str; 3] = ["always-reject", "queue", "insecure-always-approve"];
/// The decisions that a rule can make.
pub const THEN_WORDS: [&str; 3] = ["approve", "queue", "deny"];
/// The profiles that hosts can ask for.
pub const PROFILES: [Profile; 2] = [Profile::KubeletClient, Profile::KubeletServer];

/// The largest number of rules of a policy.
pub const MAX_RULES: usize = 200;

/// `enrolment` in the cluster file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The address at which the enrolment CA listens.
    pub listen: Option<SocketAddr>,
    /// The location of the enrolment CA for hosts.
    pub endpoint: Option<Endpoint>,
    /// The bootstrap endpoints.
    pub bootstrap: Vec<Endpoint>,
    /// The path of OpenSSH's `allowed_signers` with the keys of the approvers, relative to the cluster directory.
    pub allowed_signers: Option<String>,
    /// The principals whose decisions count; if empty, all of `allowed_signers`.
    pub approvers: Vec<String>,
    /// The policy for requests.
    pub policy: Policy,
}

/// Which requests get a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// No request.
    AlwaysReject,
    /// Every request that a person approves.
    Queue,
    /// Every request of a host in the cluster file, without further evidence.
    InsecureAlwaysApprove {
        /// The time at which this policy ends.
        until: OffsetDateTime,
    },
    /// The first matching rule decides; if there is none, a person decides.
    Rules(Vec<Rule>),
}

impl Policy {
    /// Returns the word of a policy that is one word.
    #[must_use]
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::AlwaysReject => Some(POLICY_WORDS[0]),
            Self::Queue => Some(POLICY_WORDS[1]),
            Self::InsecureAlwaysApprove { .. } => Some(POLICY_WORDS[2]),
            Self::Rules(_) => None,
        }
    }

    /// Returns true if a rule asks a program or a service.
    #[must_use]
    pub fn asks_others(&self) -> bool {
        let Self::Rules(rules) = self else { return false };
        rules.iter().flat_map(|rule| &rule.require).any(Requirement::asks_others)
    }
}

/// A rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique in the policy.
    pub name: String,
    /// The requests that it is about.
    pub when: When,
    /// The evidence that a request needs, checked in this order.
    pub require: Vec<Requirement>,
    /// What happens to a request that has all of it.
    pub then: Then,
}

/// The requests that a rule is about: those that all present conditions match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// A first certificate, or a renewal.
    pub kind: Option<RequestKind>,
    /// Names of hosts, or patterns; empty for all.
    pub hosts: Vec<HostPattern>,
    /// What the certificate is for.
    pub profile: Option<Profile>,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// The host has no valid certificate to ask with.
    First,
    /// The host asks with its current certificate.
    Renewal,
}

impl RequestKind {
    /// Both, in the order in which they are listed.
    pub const ALL: [Self; 2] = [Self::First, Self::Renewal];

    /// Returns the spelling in the cluster file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Renewal => "renewal",
        }
    }
}

/// Something that a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// The cluster file has the host, and the request asks for no more than the host's certificate has.
    Inventory,
    /// The connection has a valid certificate of the same host.
    SameHost,
    /// The host's SSH key signed the request.
    SshHostKey,
    /// A one-time token of the host.
    Token,
    /// The request came from an address that the cluster file has for the host.
    SourceAddress,
    /// A program approves.
    Exec(Program),
    /// A service approves.
    Webhook(Webhook),
    /// A script for Puppet's autosigning approves.
    PuppetAutosign(Program),
}

impl Requirement {
    /// Returns the spelling in the cluster file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Inventory => REQUIREMENT_WORDS[0],
            Self::SameHost => REQUIREMENT_WORDS[1],
            Self::SshHostKey => REQUIREMENT_WORDS[2],
            Self::Token => REQUIREMENT_WORDS[3],
            Self::SourceAddress => REQUIREMENT_WORDS[4],
            Self::Exec(_) => REQUIREMENT_KEYS[0],
            Self::Webhook(_) => REQUIREMENT_KEYS[1],
            Self::PuppetAutosign(_) => REQUIREMENT_KEYS[2],
        }
    }

    /// Returns true if a program or a service has to be asked.
    #[must_use]
    pub fn asks_others(&self) -> bool {
        matches!(self, Self::Exec(_) | Self::Webhook(_) | Self::PuppetAutosign(_))
    }

    /// Returns true if it proves who asks; a thief of a host's disk has its name and its address.
    #[must_use]
    pub fn is_a_proof(&self) -> bool {
        !matches!(self, Self::Inventory | Self::SourceAddress)
    }

    /// Returns true if it is evidence of who asks, and not only of what is asked.
    #[must_use]
    pub fn is_evidence_of_requester(&self) -> bool {
        *self != Self::Inventory
    }
}

/// A program with its arguments, run without a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// A service that judges requests, over mutual TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its URL.
    pub url: Url,
    /// The file with the CAs that may issue its serving certificate.
    pub ca: String,
    /// The file with the client certificate that clusterctl presents to it.
    pub certificate: String,
    /// The file with the private key of that certificate.
    pub key: String,
}

/// `https://HOST[:PORT]/PATH`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Host and port.
    pub endpoint: Endpoint,
    /// The path with its query; begins with `/`.
    pub path: String,
}

impl Url {
    /// Parses `https://HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    /// Returns an error if the part up to the path is not an endpoint, or the path has other characters than URLs.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let after_scheme = text.find("://").map_or(0, |at| at + 3);
        let (endpoint, path) = match text[after_scheme..].find('/') {
            Some(slash) => text.split_at(after_scheme + slash),
            None => (text, "/"),
        };
        let allowed = |c: char| c.is_ascii_graphic() && !"#\"<>\\^`{|}".contains(c);
        if !path.chars().all(allowed) {
            return Err(EndpointError::Rest);
        }
        Ok(Self { endpoint: Endpoint::parse(endpoint)?, path: path.to_owned() })
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.endpoint, self.path)
    }
}

/// What a rule does with a request that has all that is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The request is approved.
    Approve,
    /// A person decides.
    Queue {
        /// The number of approvals signed by SSH keys that are needed; `None` if the mailbox's approval is enough.
        approvals: Option<NonZeroU8>,
    },
    /// The request is denied.
    Deny,
}

impl Then {
    /// Returns the spelling in the cluster file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => THEN_WORDS[0],
            Self::Queue { .. } => THEN_WORDS[1],
            Self::Deny => THEN_WORDS[2],
        }
    }
}

/// Errors of `enrolment`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// Not an address with a port.
    #[error("an IP address with a port is needed here, for example 10.20.0.11:6444 or \"[::]:6444\"")]
    InvalidListen,
    /// Not a time.
    #[error("a time is needed here, for example 2026-12-01T18:00:00Z")]
    InvalidUntil,
    /// The policy `insecure-always-approve` without `until`.
    #[error("insecure-always-approve needs until, a time within the next 24 hours")]
    MissingUntil,
    /// `until` with another policy than `insecure-always-approve`.
    #[error("it belongs to the policy insecure-always-approve")]
    UntilWithOtherPolicy,
    /// A rule has a name with other characters, or none, or it is too long.
    #[error("a name is needed here: 1 to 63 lower-case letters, digits and dashes")]
    InvalidRuleName,
    /// Too many rules.
    #[error("a policy has at most {MAX_RULES} rules")]
    TooManyRules,
    /// A rule that approves without evidence.
    #[error(
        "a rule that approves needs more than the inventory; otherwise knowledge of a host name is enough for its certificate: add same-host, ssh-host-key, token, source-address, exec, webhook or puppet-autosign, or let it queue"
    )]
    ApprovesEveryone,
    /// `approvals` of a rule that does not queue.
    #[error("approvals belong to a rule with `then: queue`")]
    ApprovalsWithoutQueue,
    /// `approvals` without keys to check them.
    #[error("approvals are signatures by SSH keys: enrolment.allowedSigners names the file with these keys")]
    NoAllowedSigners,
    /// More approvals than approvers.
    #[error("it is more than the {approvers} of enrolment.approvers")]
    MoreThanApprovers {
        /// The number of approvers.
        approvers: usize,
    },
    /// Not a number of approvals.
    #[error("it must be 1 to 9")]
    InvalidApprovals,
    /// A list for a program that does not begin with its name.
    #[error("the first item names a program")]
    NoProgram,
    /// A path that is empty.
    #[error("the path of a file is needed here")]
    InvalidPath,
    /// A requirement that is a mapping with several keys or none.
    #[error("one requirement is needed here: a word, or a mapping with one key")]
    NotOneRequirement,
}
