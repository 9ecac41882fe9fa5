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
    title: "A certificate that is no CA signed others",
    reason: "Without basicConstraints with CA:TRUE, or as X.509 version 1, Go's CheckSignatureFrom rejects what it signed.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static NOT_CRITICAL: Rule = Rule {
    id: "ca.basic-constraints-not-critical",
    severity: Severity::Warning,
    title: "The basicConstraints of the CA are not marked critical",
    reason: "RFC 5280 § 4.2.1.9 requires it. Kubernetes accepts such a CA, but strict clients (Python since 3.13) do not.",
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
    reason: "A CA should have keyCertSign and cRLSign (RFC 5280 § 4.2.1.3). Go treats a missing key usage as every usage.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static CRL_SIGN: Rule = Rule {
    id: "ca.crl-sign",
    severity: Severity::Note,
    title: "The key usage of the CA lacks cRLSign",
    reason: "It cannot sign CRLs. kubeadm makes such CAs; Kubernetes reads no CRLs, but etcd and others do.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static EXTENDED_USAGE: Rule = Rule {
    id: "ca.extended-key-usage",
    severity: Severity::Error,
    title: "The extended key usage of the CA excludes a usage of a certificate that it signed",
    reason: "Where a CA has extended key usages, Go accepts certificates below it for these usages only, also where the CA is \
             the root.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static PATH_LENGTH: Rule = Rule {
    id: "ca.path-length",
    severity: Severity::Error,
    title: "A CA signed another CA, which its path length forbids",
    reason: "Go rejects a path with too many intermediates (RFC 5280 § 4.2.1.9).",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static IDENTIFIER_MISSING: Rule = Rule {
    id: "ca.subject-identifier-missing",
    severity: Severity::Warning,
    title: "The CA has no subjectKeyIdentifier",
    reason: "RFC 5280 § 4.2.1.2 requires it. Kubernetes accepts such a CA, but Python since 3.13 does not. While a CA is \
             replaced by one with the same name, clients cannot tell which of the two signed a certificate.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static SAME_NAME: Rule = Rule {
    id: "ca.same-name",
    severity: Severity::Warning,
    title: "Two CAs with different keys have the same subject",
    reason: "Programs look for an issuer by its name. Some try only the first one, and reject the certificates that the other \
             one signed. A CA that replaces another needs a name of its own.",
    remedy: LintRemedy::ReplaceCa,
};

pub(in crate::app::lint) static SEVERAL_ROLES: Rule = Rule {
    id: "ca.several-roles",
    severity: Severity::Error,
    title: "One CA is both the cluster's and that of etcd or of the front proxy",
    reason: "If etcd trusts the cluster's CA, every client certificate of the cluster may read and write etcd. If the CA of the \
             front proxy (`--requestheader-client-ca-file`) is the cluster's, a client may name any user in a header. The files \
             are recognized by the names that kubeadm, k3s and Talos use.",
    remedy: LintRemedy::SeparateCas,
};
