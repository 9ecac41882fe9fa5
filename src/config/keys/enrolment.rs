//! The keys of `enrolment`.

use super::{Absent, ENDPOINT, Format, Key, Value};
use crate::cluster::enrolment::{POLICY_WORDS, PROFILES, REQUIREMENT_WORDS, RequestKind, THEN_WORDS};

const LISTEN: Value =
    Value::Text(Format { name: "IP address with a port", pattern: r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}$" });
const FILE: Value = Value::Text(Format { name: "path of a file", pattern: r"\S" });
const PRINCIPAL: Value = Value::Text(Format { name: "principal of allowed_signers", pattern: r"." });
const TIME: Value = Value::Text(Format {
    name: "time (RFC 3339)",
    pattern: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[-+][0-9]{2}:[0-9]{2})$",
});
const RULE_NAME: Value =
    Value::Text(Format { name: "1 to 63 lower-case letters, digits and dashes", pattern: "^[a-z0-9][-a-z0-9]{0,62}$" });
const PATTERN: Value = Value::Text(Format { name: "name of a host, or a pattern with `*` and `?`", pattern: r"\S" });
const PROGRAM: Value = Value::Text(Format { name: "argument", pattern: r"^[^\x00]*$" });
const URL: Value = Value::Text(Format { name: "https://HOST:PORT/PATH", pattern: "^[Hh][Tt][Tt][Pp][Ss]://[^?#@]+" });
const PROGRAM_AND_ARGUMENTS: Value = Value::List { item: &PROGRAM, min: 1 };

/// The keys of `enrolment`.
pub const ENROLMENT: [Key; 7] = [
    Key {
        name: "listen",
        value: LISTEN,
        absent: Absent::Rule("port 6444 at every address of the host"),
        example: "\"10.20.0.11:6444\"",
        description: "The address at which the enrolment CA listens.",
    },
    Key {
        name: "endpoint",
        value: ENDPOINT,
        absent: Absent::Rule("port 6444 of the host of the file's `endpoint`"),
        example: "https://ca.prod.example.net:6444",
        description: "The location of the enrolment CA for hosts. Its certificate names this host.",
    },
    Key {
        name: "bootstrap",
        value: Value::OneOrList(&ENDPOINT),
        absent: Absent::Rule("hosts are told where the enrolment CA is"),
        example: "https://bootstrap.example.net:6445",
        description: "The bootstrap endpoint, which tells hosts where the cluster is and which root to trust, or a list of \
                      them.",
    },
    Key {
        name: "allowedSigners",
        value: FILE,
        absent: Absent::Rule("no rule can need `approvals`"),
        example: "approvers.allowed",
        description: "The file with the SSH keys of those who decide about requests, in the format of ssh-keygen's \
                      allowed_signers. A path is relative to the cluster directory.",
    },
    Key {
        name: "approvers",
        value: Value::List { item: &PRINCIPAL, min: 0 },
        absent: Absent::Rule("every principal of `allowedSigners`"),
        example: "[ann@example.net, bob@example.net]",
        description: "The principals of `allowedSigners` whose decisions count.",
    },
    Key {
        name: "policy",
        value: Value::WordOr { words: &POLICY_WORDS, other: &Value::List { item: &Value::Mapping(&RULE), min: 1 } },
        absent: Absent::Default("queue"),
        example: "[{name: racks, require: [inventory, ssh-host-key], then: approve}]",
        description: "Who gets a certificate. With `queue` a person decides about each request. With `always-reject` \
                      no host gets one. With `insecure-always-approve` every host of this file gets one, without \
                      further evidence, until the time in `until`. Otherwise it is a list of rules: the first one that decides \
                      applies, and if none does, a person decides. With every policy, the subject and the names of a certificate \
                      come only from this file.",
    },
    Key {
        name: "until",
        value: TIME,
        absent: Absent::Rule("required with `insecure-always-approve`, which ends then"),
        example: "2026-12-01T18:00:00Z",
        description: "The time at which `insecure-always-approve` ends, at most 24 hours in the future. After it, and while \
                      it is further in the future, a person decides.",
    },
];

/// The keys of a rule.
pub const RULE: [Key; 5] = [
    Key {
        name: "name",
        value: RULE_NAME,
        absent: Absent::Refused,
        example: "racks",
        description: "The rule's name, unique in the policy. It is recorded with each decision.",
    },
    Key {
        name: "when",
        value: Value::Mapping(&CONDITIONS),
        absent: Absent::Rule("every request"),
        example: "{kind: first, hosts: \"worker-*\"}",
        description: "The requests that the rule is about: those that match all of these conditions.",
    },
    Key {
        name: "require",
        value: Value::List {
            item: &Value::WordOr { words: &REQUIREMENT_WORDS, other: &Value::Mapping(&REQUIREMENT) },
            min: 0,
        },
        absent: Absent::Default("[]"),
        example: "[inventory, ssh-host-key]",
        description: "What a request needs, checked in this order. `inventory`: this file has the host, and the request asks for \
                      no more than the host's certificate has. `same-host`: the connection has a valid, unrevoked \
                      certificate of the same host. `ssh-host-key`: the host's SSH key, as in `sealTo`, signed the request. \
                      `token`: a one-time token of the host. `source-address`: the request came from an address that this \
                      file has for the host. Other requirements are mappings with one key.",
    },
    Key {
        name: "then",
        value: Value::Choice(|| THEN_WORDS.to_vec()),
        absent: Absent::Refused,
        example: "approve",
        description: "What happens to a request that meets all requirements. A rule that approves has to require more than \
                      `inventory`.",
    },
    Key {
        name: "approvals",
        value: Value::Digit,
        absent: Absent::Rule("the approval of one person whom the mailbox allows to approve"),
        example: "2",
        description: "How many persons have to approve a request that the rule queues, each by a signature of an SSH key in \
                      `allowedSigners`. An attacker who controls the mailbox then cannot approve.",
    },
];

/// The keys of a rule's `when`.
pub const CONDITIONS: [Key; 3] = [
    Key {
        name: "kind",
        value: Value::Choice(|| RequestKind::ALL.map(RequestKind::as_str).to_vec()),
        absent: Absent::Rule("both kinds"),
        example: "renewal",
        description: "The kind of request: `renewal` if the host asks with its present certificate, else `first`.",
    },
    Key {
        name: "hosts",
        value: Value::OneOrList(&PATTERN),
        absent: Absent::Rule("every host"),
        example: "\"worker-*\"",
        description: "Names of hosts, or patterns.",
    },
    Key {
        name: "profile",
        value: Value::Choice(|| PROFILES.map(|profile| profile.policy().name).to_vec()),
        absent: Absent::Rule("both profiles"),
        example: "kubelet-client",
        description: "The purpose of the certificate.",
    },
];

/// The keys of a requirement that is a mapping; it has one of them.
pub const REQUIREMENT: [Key; 3] = [
    Key {
        name: "exec",
        value: PROGRAM_AND_ARGUMENTS,
        absent: Absent::Rule("no program is asked"),
        example: "[/etc/clusterctl/policy/check, prod]",
        description: "A program and its arguments, run without a shell. It reads an ApprovalReview on standard input and \
                      writes its answer on standard output. A path is relative to the cluster directory; a name without \
                      a slash is looked up in PATH.",
    },
    Key {
        name: "webhook",
        value: Value::Mapping(&WEBHOOK),
        absent: Absent::Rule("no service is asked"),
        example: "{url: \"https://cmdb.example.net/review\", ca: cmdb.crt, certificate: me.crt, key: me.key}",
        description: "A service that gets an ApprovalReview by POST, over mutual TLS.",
    },
    Key {
        name: "puppet-autosign",
        value: PROGRAM_AND_ARGUMENTS,
        absent: Absent::Rule("no script is asked"),
        example: "[/etc/puppetlabs/puppet/autosign.sh]",
        description: "A script for Puppet's policy-based autosigning: it gets the host's name as its last argument and the \
                      request as PEM on standard input, and approves by exiting with 0.",
    },
];

/// The keys of `webhook`.
pub const WEBHOOK: [Key; 4] = [
    Key {
        name: "url",
        value: URL,
        absent: Absent::Refused,
        example: "https://cmdb.example.net/review",
        description: "The location of the service.",
    },
    Key {
        name: "ca",
        value: FILE,
        absent: Absent::Refused,
        example: "cmdb-ca.crt",
        description: "The file with the CAs that may issue the service's certificate; no other CA is trusted. Paths are relative to the \
                      cluster directory.",
    },
    Key {
        name: "certificate",
        value: FILE,
        absent: Absent::Refused,
        example: "reviewer.crt",
        description: "The file with the client certificate for the service.",
    },
    Key {
        name: "key",
        value: FILE,
        absent: Absent::Refused,
        example: "reviewer.key",
        description: "The file with the key of the client certificate.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::enrolment::{KEYS, REQUIREMENT_KEYS, RULE_KEYS, WEBHOOK_KEYS, WHEN_KEYS};

    #[test]
    fn tables_have_the_keys_that_the_model_reads() {
        let names = |keys: &[Key]| keys.iter().map(|key| key.name).collect::<Vec<_>>();
        assert_eq!(names(&ENROLMENT), KEYS);
        assert_eq!(names(&RULE), RULE_KEYS);
        assert_eq!(names(&CONDITIONS), WHEN_KEYS);
        assert_eq!(names(&REQUIREMENT), REQUIREMENT_KEYS);
        assert_eq!(names(&WEBHOOK), WEBHOOK_KEYS);
    }
}
