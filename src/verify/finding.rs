//! What a run proved, as data: which check, where, with what result, and what mends it. Making findings is
//! [`super::checks`]'s; showing them is [`super::report`]'s.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::remedy::{Remedy, VerifierRemedy};
use super::target::Place;

/// One of the six properties of an established cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Property {
    /// Master → node: location.
    P1i,
    /// Master → node: target authentication.
    P1ii,
    /// Master → node: caller authentication and authorization.
    P1iii,
    /// Node → master: location.
    P2i,
    /// Node → master: target authentication.
    P2ii,
    /// Node → master: caller authentication and authorization.
    P2iii,
}

impl Property {
    /// All six, in order.
    pub const ALL: [Self; 6] = [Self::P1i, Self::P1ii, Self::P1iii, Self::P2i, Self::P2ii, Self::P2iii];

    /// `1.i` … `2.iii`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P1i => "1.i",
            Self::P1ii => "1.ii",
            Self::P1iii => "1.iii",
            Self::P2i => "2.i",
            Self::P2ii => "2.ii",
            Self::P2iii => "2.iii",
        }
    }

    /// What it says, in a few words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::P1i => "masters find nodes",
            Self::P1ii => "nodes prove who they are",
            Self::P1iii => "nodes obey masters alone",
            Self::P2i => "nodes find masters",
            Self::P2ii => "masters prove who they are",
            Self::P2iii => "masters know each node",
        }
    }
}

/// What a check's id begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// `trust.`
    Trust,
    /// `store.`
    Store,
    /// `node.`
    Node,
    /// `master.`
    Master,
}

/// What a check's id ends with. In the catalogue's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// Every certificate of the trust file is a usable root.
    Anchor,
    /// What is carried elsewhere is this root.
    Match,
    /// A credential is what it should be.
    Credential,
    /// A name resolves.
    Resolve,
    /// TCP opens.
    Connect,
    /// The API server's list is the cluster file's.
    Listed,
    /// The node itself has reached a master.
    Heartbeat,
    /// TLS is spoken.
    Tls,
    /// TLS 1.2 or better.
    Protocol,
    /// A chain to the root.
    Chain,
    /// The peer holds the key.
    Possession,
    /// In date.
    Dates,
    /// In date for a while yet.
    Expiry,
    /// Names where it is dialled.
    Name,
    /// Is a server's certificate.
    Usage,
    /// Is the one issued last.
    Identity,
    /// Is not revoked.
    Revoked,
    /// The right caller is accepted.
    Caller,
    /// As exactly its account.
    Whoami,
    /// A client without a certificate is refused.
    Anonymous,
    /// A client with a certificate that the root did not sign is refused.
    #[serde(alias = "stranger")]
    Untrusted,
    /// Another node is refused.
    #[serde(alias = "neighbour")]
    OtherNode,
    /// May do its own work and no one else's.
    Scope,
    /// The kubelet's configuration is the bundle's.
    Config,
    /// The read-only port is closed.
    Readonly,
    /// The API server's flags verify kubelets.
    Flags,
    /// A node's write about another is refused.
    Admission,
    /// The API server has its store.
    Backend,
    /// The API server denies what is revoked.
    Denials,
}

impl Aspect {
    /// Returns the second half of a check's id, such as `other-node`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Match => "match",
            Self::Credential => "credential",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Listed => "listed",
            Self::Heartbeat => "heartbeat",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Chain => "chain",
            Self::Possession => "possession",
            Self::Dates => "dates",
            Self::Expiry => "expiry",
            Self::Name => "name",
            Self::Usage => "usage",
            Self::Identity => "identity",
            Self::Revoked => "revoked",
            Self::Caller => "caller",
            Self::Whoami => "whoami",
            Self::Anonymous => "anonymous",
            Self::Untrusted => "untrusted",
            Self::OtherNode => "other-node",
            Self::Scope => "scope",
            Self::Config => "config",
            Self::Readonly => "readonly",
            Self::Flags => "flags",
            Self::Admission => "admission",
            Self::Backend => "backend",
            Self::Denials => "denials",
        }
    }
}

/// The stable id of a check, such as `node.chain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckId(pub Scope, pub Aspect);

impl CheckId {
    /// `trust.anchor`
    pub const TRUST_ANCHOR: Self = Self(Scope::Trust, Aspect::Anchor);
    /// `trust.match`
    pub const TRUST_MATCH: Self = Self(Scope::Trust, Aspect::Match);
    /// `store.credential`
    pub const STORE_CREDENTIAL: Self = Self(Scope::Store, Aspect::Credential);

    /// The id of `aspect` at `place`.
    #[must_use]
    pub fn at(place: Place, aspect: Aspect) -> Self {
        match place {
            Place::Cluster => Self(Scope::Trust, aspect),
            Place::Endpoint | Place::Master => Self(Scope::Master, aspect),
            Place::Node => Self(Scope::Node, aspect),
        }
    }

    /// The properties that it bears on.
    #[must_use]
    pub fn properties(self) -> &'static [Property] {
        match (self.0, self.1) {
            (Scope::Trust, _) => &[Property::P1ii, Property::P2ii],
            (Scope::Store, _) => &Property::ALL,
            (_, Aspect::Heartbeat) => &[Property::P2i, Property::P2iii],
            (_, Aspect::Admission | Aspect::Denials) => &[Property::P2iii],
            (_, Aspect::Backend) => &[Property::P2i],
            (scope, Aspect::Resolve | Aspect::Connect | Aspect::Listed) => match scope {
                Scope::Node => &[Property::P1i],
                _ => &[Property::P2i],
            },
            (
                scope,
                Aspect::Caller
                | Aspect::Whoami
                | Aspect::Anonymous
                | Aspect::Untrusted
                | Aspect::OtherNode
                | Aspect::Scope
                | Aspect::Config
                | Aspect::Readonly,
            ) => match scope {
                Scope::Node => &[Property::P1iii],
                _ => &[Property::P2iii],
            },
            (_, Aspect::Flags) => &[Property::P1ii, Property::P2iii],
            (Scope::Node, _) => &[Property::P1ii],
            (Scope::Master, _) => &[Property::P2ii],
        }
    }

    /// Whether a failure fails the run, by the catalogue.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self.1 {
            Aspect::Listed
            | Aspect::Expiry
            | Aspect::Identity
            | Aspect::Config
            | Aspect::Readonly
            | Aspect::Flags
            | Aspect::Denials => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match self.0 {
            Scope::Trust => "trust",
            Scope::Store => "store",
            Scope::Node => "node",
            Scope::Master => "master",
        };
        write!(f, "{scope}.{}", self.1.as_str())
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It holds.
    Pass,
    /// It could not be tried here.
    Skipped,
    /// It holds, but something wants attention.
    Warn,
    /// It was tried and nothing follows from what was seen. Never a pass.
    NotProven,
    /// It does not hold.
    Fail,
}

impl Status {
    /// `pass`, `skipped`, `warn`, `not-proven` or `fail`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::NotProven => "not-proven",
            Self::Fail => "fail",
        }
    }
}

/// What a failure means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It wants attention.
    Warning,
    /// It fails the run.
    Error,
}

impl Severity {
    /// `warning` or `error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Names the finding on which others hang: a check, and where it was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cause {
    /// Which check.
    pub id: CheckId,
    /// What kind of host it was made at.
    pub place: Place,
    /// The host; the cluster's name where it is about the whole.
    pub host: String,
    /// The socket dialled, or the file looked at.
    pub address: Option<String>,
}

/// One check at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which check.
    pub id: CheckId,
    /// What kind of host it was made at.
    pub place: Place,
    /// The host; the cluster's name where it is about the whole.
    pub host: String,
    /// The socket dialled, or the file looked at.
    pub address: Option<String>,
    /// The name or address that the certificate has to carry.
    pub server_name: Option<String>,
    /// Whose credential called, where that matters.
    pub caller: Option<String>,
    /// How it ended.
    pub status: Status,
    /// What a failure means.
    pub severity: Severity,
    /// What was seen. A peer's own words may be in it: escape it before it is shown.
    pub observed: String,
    /// What should have been seen.
    pub expected: String,
    /// The remedy. Recordings of earlier versions have it as text.
    #[serde(rename = "hint", deserialize_with = "recorded_remedy")]
    pub remedy: Option<Remedy>,
    /// The one property that it bears on, where that is not all of its check's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Property>,
    /// The finding on which this one hangs, where it would have been another without that. What is found before anybody is
    /// dialled, which is all of a finding's that a recording carries, hangs on nothing.
    #[serde(skip)]
    pub because_of: Option<Arc<Cause>>,
    /// In milliseconds; 0 for a judgement without a connection of its own.
    pub elapsed_ms: u64,
}

impl Finding {
    /// Keeps which check it is, of which host and whose call, and how it ended.
    pub(super) fn forget_the_words(&mut self) {
        let (host, caller) = (std::mem::take(&mut self.host), self.caller.take());
        *self = Self { host, caller, severity: self.severity, ..Self::new(self.id, self.place, "", self.status) };
    }

    /// A finding with the catalogue's severity; the rest is filled in with the methods below.
    #[must_use]
    pub fn new(id: CheckId, place: Place, host: &str, status: Status) -> Self {
        Self {
            id,
            place,
            host: host.to_owned(),
            address: None,
            server_name: None,
            caller: None,
            status,
            severity: id.severity(),
            observed: String::new(),
            expected: String::new(),
            remedy: None,
            only: None,
            because_of: None,
            elapsed_ms: 0,
        }
    }

    /// Returns what names this finding to those that hang on it.
    #[must_use]
    pub fn as_cause(&self) -> Arc<Cause> {
        Arc::new(Cause { id: self.id, place: self.place, host: self.host.clone(), address: self.address.clone() })
    }

    /// Returns the properties that it bears on.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        match &self.only {
            Some(property) => std::slice::from_ref(property),
            None => self.id.properties(),
        }
    }

    /// What was seen and what should have been.
    #[must_use]
    pub fn saw(mut self, observed: impl Into<String>, expected: impl Into<String>) -> Self {
        self.observed = observed.into();
        self.expected = expected.into();
        self
    }

    /// Sets the remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<Remedy>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The socket dialled, or the file looked at.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }
}

/// Reads a remedy. The two texts that recordings of earlier versions hold become data; any other text is no remedy.
fn recorded_remedy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Remedy>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Recorded {
        Remedy(Remedy),
        Text(String),
    }
    Ok(match Option::<Recorded>::deserialize(deserializer)? {
        None => None,
        Some(Recorded::Remedy(remedy)) => Some(remedy),
        Some(Recorded::Text(text)) if text.contains("--node-key") => {
            Some(VerifierRemedy::NameKubeletCredentials.into())
        }
        Some(Recorded::Text(text)) if text.contains("--sample") => Some(VerifierRemedy::VerifyAllNodes.into()),
        Some(Recorded::Text(_)) => None,
    })
}

/// What all findings together say: the exit status's reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was proven.
    Proven,
    /// Something failed, or could not be proven.
    Unproven,
    /// Nothing could be judged at all.
    NothingJudged,
}

impl Verdict {
    /// `proven`, `unproven` or `nothing-judged`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Unproven => "unproven",
            Self::NothingJudged => "nothing-judged",
        }
    }
}

/// Which findings count against a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strictness {
    /// `--allow-skipped`
    pub allow_skipped: bool,
    /// `--fail-on warn`
    pub fail_on_warn: bool,
}

impl Strictness {
    /// Whether a finding counts against the run.
    #[must_use]
    pub fn counts(self, finding: &Finding) -> bool {
        match finding.status {
            Status::Pass => false,
            Status::Warn => self.fail_on_warn,
            Status::Skipped => finding.severity == Severity::Error && !self.allow_skipped,
            Status::Fail | Status::NotProven => finding.severity == Severity::Error || self.fail_on_warn,
        }
    }
}

/// Sums up. Not-proven is never a pass.
#[must_use]
pub fn verdict(findings: &[Finding], strictness: Strictness) -> Verdict {
    let judged = |finding: &&Finding| matches!(finding.status, Status::Pass | Status::Warn | Status::Fail);
    let failed = findings.iter().any(|finding| finding.status == Status::Fail);
    let about_hosts = findings.iter().filter(judged).any(|finding| finding.id != CheckId::TRUST_ANCHOR);
    if !about_hosts && !failed {
        return Verdict::NothingJudged;
    }
    if findings.iter().any(|finding| strictness.counts(finding)) { Verdict::Unproven } else { Verdict::Proven }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(aspect: Aspect, status: Status) -> Finding {
        let place = if aspect == Aspect::Anchor { Place::Cluster } else { Place::Node };
        Finding::new(CheckId::at(place, aspect), place, "n", status)
    }

    fn judge(findings: &[(Aspect, Status)], strictness: Strictness) -> Verdict {
        let findings: Vec<_> = findings.iter().map(|&(aspect, status)| finding(aspect, status)).collect();
        verdict(&findings, strictness)
    }

    #[test]
    fn not_proven_and_skipped_are_no_pass() {
        let strict = Strictness::default();
        let pass = (Aspect::Tls, Status::Pass);
        assert_eq!(judge(&[pass], strict), Verdict::Proven);
        for status in [Status::Fail, Status::NotProven, Status::Skipped] {
            assert_eq!(judge(&[pass, (Aspect::Caller, status)], strict), Verdict::Unproven);
        }
        let lenient = Strictness { allow_skipped: true, ..strict };
        assert_eq!(judge(&[pass, (Aspect::Caller, Status::Skipped)], lenient), Verdict::Proven);
        assert_eq!(judge(&[pass, (Aspect::Caller, Status::NotProven)], lenient), Verdict::Unproven);
    }

    #[test]
    fn warnings_count_when_asked() {
        let findings = [(Aspect::Tls, Status::Pass), (Aspect::Expiry, Status::Warn)];
        assert_eq!(judge(&findings, Strictness::default()), Verdict::Proven);
        assert_eq!(judge(&findings, Strictness { fail_on_warn: true, ..Strictness::default() }), Verdict::Unproven);
    }

    #[test]
    fn a_good_root_alone_is_no_proof() {
        let strict = Strictness::default();
        assert_eq!(judge(&[], strict), Verdict::NothingJudged);
        assert_eq!(judge(&[(Aspect::Anchor, Status::Pass)], strict), Verdict::NothingJudged);
        assert_eq!(judge(&[(Aspect::Anchor, Status::Fail)], strict), Verdict::Unproven);
        let unreached = [(Aspect::Anchor, Status::Pass), (Aspect::Tls, Status::NotProven)];
        assert_eq!(judge(&unreached, strict), Verdict::NothingJudged);
    }

    #[test]
    fn ids_are_the_catalogues() {
        assert_eq!(CheckId::TRUST_ANCHOR.to_string(), "trust.anchor");
        assert_eq!(CheckId::at(Place::Endpoint, Aspect::Whoami).to_string(), "master.whoami");
        assert_eq!(CheckId::at(Place::Node, Aspect::OtherNode).to_string(), "node.other-node");
        assert_eq!(CheckId::at(Place::Node, Aspect::Readonly).severity(), Severity::Warning);
        assert_eq!(CheckId::at(Place::Node, Aspect::Chain).properties(), [Property::P1ii]);
    }
}
