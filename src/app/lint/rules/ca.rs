//! Rules for CAs.

use crate::app::lint::remedy::LintRemedy;
use crate::app::lint::rule::{Rule, Severity};

pub(in crate::app::lint) static EXPIRED: Rule = Rule {
    id: "ca.expired",
    severity: Severity::Error,
    title: "The CA has expired",
    reason: "Every certificate that it signed is rejected, whatever its own date.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static NOT_YET_VALID: Rule = Rule {
    id: "ca.not-yet-valid",
    severity: Severity::Error,
    title: "The CA is not valid yet",
    reason: "Every certificate that it signed is rejected until then. Most often the clock of one of the machines is wrong.",
    remedy: LintRemedy::CompareClocks,
};

pub(in crate::app::lint) static VALIDITY: Rule = Rule {
    id: "ca.validity",
    severity: Severity::Warning,
    title: "The CA is valid for more than 30 years",
    reason: "Its key and its algorithms have to last as long. kubeadm, k3s and Talos make CAs for ten years.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static BASIC_CONSTRAINTS: Rule = Rule {
    id: "ca.basic-constraints",
    severity: Severity::Error,
    title: "A certificate signed others, and is no CA",
    reason: "Without basicConstraints with CA:TRUE, or as X.509 version 1, Go's CheckSignatureFrom rejects what it signed.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static NOT_CRITICAL: Rule = Rule {
    id: "ca.basic-constraints-not-critical",
    severity: Severity::Warning,
    title: "The basicConstraints of the CA are not marked critical",
    reason: "RFC 5280 § 4.2.1.9 demands it. Kubernetes accepts it, and strict clients (Python since 3.13) do not.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static KEY_USAGE: Rule = Rule {
    id: "ca.key-usage",
    severity: Severity::Error,
    title: "The key usage of the CA lacks keyCertSign",
    reason: "Go rejects what such a CA signed (RFC 5280 § 4.2.1.3).",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static NO_KEY_USAGE: Rule = Rule {
    id: "ca.no-key-usage",
    severity: Severity::Note,
    title: "The CA has no key usage",
    reason: "A CA should have keyCertSign and cRLSign (RFC 5280 § 4.2.1.3). Go takes a missing key usage for all.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static CRL_SIGN: Rule = Rule {
    id: "ca.crl-sign",
    severity: Severity::Note,
    title: "The key usage of the CA lacks cRLSign",
    reason: "It cannot sign CRLs. So are the CAs of kubeadm; Kubernetes reads no CRL, but etcd and others do.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static EXTENDED_USAGE: Rule = Rule {
    id: "ca.extended-key-usage",
    severity: Severity::Error,
    title: "The extended key usage of the CA excludes a usage of a certificate that it signed",
    reason: "Go demands the usages of a certificate of every CA above it that has any, the root among them.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static PATH_LENGTH: Rule = Rule {
    id: "ca.path-length",
    severity: Severity::Error,
    title: "A CA signed another CA, and its path length forbids that",
    reason: "Go rejects the path with too many intermediates (RFC 5280 § 4.2.1.9).",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static IDENTIFIER_MISSING: Rule = Rule {
    id: "ca.subject-identifier-missing",
    severity: Severity::Warning,
    title: "The CA has no subjectKeyIdentifier",
    reason: "RFC 5280 § 4.2.1.2 demands it. Kubernetes accepts it, and Python since 3.13 does not. While a CA is replaced by one \
             of the same name, clients cannot tell which of both signed a certificate.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static SAME_NAME: Rule = Rule {
    id: "ca.same-name",
    severity: Severity::Warning,
    title: "Two CAs with different keys have the same subject",
    reason: "Programs look for an issuer by its name. Some try the first one only, so that half of the certificates is rejected. \
             A CA that replaces another needs a name of its own.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static SEVERAL_ROLES: Rule = Rule {
    id: "ca.several-roles",
    severity: Severity::Error,
    title: "One CA is both the cluster's and that of etcd or of the front proxy",
    reason: "With the CA of etcd every client certificate of the cluster may read and write etcd. With the CA of the front proxy \
             (`--requestheader-client-ca-file`) a client may name any user in a header. The files are recognized by the names \
             that kubeadm, k3s and Talos use.",
    remedy: LintRemedy::SeparateCas,
};
