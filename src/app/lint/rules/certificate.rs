//! Rules for every certificate and CRL, and for files.

use crate::app::lint::remedy::LintRemedy;
use crate::app::lint::rule::{Rule, Severity};

pub(in crate::app::lint) static EXPIRED: Rule = Rule {
    id: "certificate.expired",
    severity: Severity::Error,
    title: "The certificate has expired",
    reason: "Kubernetes rejects it, and so does everything else (RFC 5280 § 4.1.2.5).",
    remedy: LintRemedy::Renew,
};

pub(in crate::app::lint) static NOT_YET_VALID: Rule = Rule {
    id: "certificate.not-yet-valid",
    severity: Severity::Error,
    title: "The certificate is not valid yet",
    reason: "Kubernetes rejects it until then. Most often the clock of one of the machines is wrong.",
    remedy: LintRemedy::CompareClocks,
};

pub(in crate::app::lint) static SIGNATURE: Rule = Rule {
    id: "certificate.signature",
    severity: Severity::Error,
    title: "The certificate names a CA as its issuer whose key did not sign it",
    reason: "Clients that trust that CA reject the certificate. The CA was created again with the same name, or its file is \
             that of another cluster. Only CAs that are among the files are compared.",
    remedy: LintRemedy::FindIssuer,
};

pub(in crate::app::lint) static WEAK_HASH: Rule = Rule {
    id: "certificate.weak-hash",
    severity: Severity::Error,
    title: "The certificate is signed with SHA-1, MD5 or an unknown algorithm",
    reason: "Go rejects SHA-1 since 1.18 and MD5 in earlier releases, too, and so does all of Kubernetes. The signature of a \
             root over itself is not verified, and therefore not reported.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static OUTLIVES_CA: Rule = Rule {
    id: "certificate.outlives-ca",
    severity: Severity::Warning,
    title: "The certificate is valid for longer than its CA",
    reason: "It is rejected as soon as the CA expires, although its own notAfter is later.",
    remedy: LintRemedy::Shorten,
};

pub(in crate::app::lint) static VALIDITY: Rule = Rule {
    id: "certificate.validity",
    severity: Severity::Warning,
    title: "The certificate is valid for more than two years",
    reason: "Kubernetes checks no CRLs: a stolen key can be used until its certificate expires. kubeadm, k3s and Talos issue \
             certificates for one year.",
    remedy: LintRemedy::Shorten,
};

pub(in crate::app::lint) static VALIDITY_OF_PERSON: Rule = Rule {
    id: "certificate.validity-of-person",
    severity: Severity::Warning,
    title: "The client certificate of a person is valid for more than one year",
    reason: "A person's kubeconfig is copied to laptops, and cannot be revoked at API servers without an authorization \
             configuration that denies it. A person is each user of a kubeconfig whose common name does not begin with \
             `system:`, `kube-` or `kubelet:`.",
    remedy: LintRemedy::Shorten,
};

pub(in crate::app::lint) static SELF_SIGNED: Rule = Rule {
    id: "certificate.self-signed",
    severity: Severity::Warning,
    title: "The certificate is signed by its own key and is no CA",
    reason: "Only a peer that trusts this certificate itself accepts it. An API server cannot verify a kubelet with such a \
             serving certificate, and connects to it without verification.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static IS_CA: Rule = Rule {
    id: "certificate.is-ca",
    severity: Severity::Error,
    title: "A server or a client uses the certificate of a CA (CA:TRUE)",
    reason: "Its key can sign certificates for every account, and it is on a host or in a kubeconfig. Strict clients reject it.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static REVOKED: Rule = Rule {
    id: "certificate.revoked",
    severity: Severity::Error,
    title: "A CRL of its CA lists the certificate",
    reason: "Kubernetes reads no CRLs and still accepts the certificate. A CRL counts only if it and the CA that signed it are \
             among the files.",
    remedy: LintRemedy::ReplaceRevoked,
};

pub(in crate::app::lint) static NOT_READABLE: Rule = Rule {
    id: "certificate.not-readable",
    severity: Severity::Error,
    title: "Kubernetes cannot read the certificate",
    reason: "Go's crypto/x509 cannot parse it, although other libraries may; nothing in Kubernetes can use it.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static UNKNOWN_CRITICAL: Rule = Rule {
    id: "certificate.unknown-critical",
    severity: Severity::Error,
    title: "The certificate has a critical extension that Kubernetes does not process",
    reason: "A certificate with an unknown critical extension has to be rejected (RFC 5280 § 4.2), and Go does so.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static IDENTIFIER_MISSING: Rule = Rule {
    id: "certificate.authority-identifier-missing",
    severity: Severity::Warning,
    title: "The certificate has no authorityKeyIdentifier, and its CA has a subjectKeyIdentifier",
    reason: "RFC 5280 § 4.2.1.1 requires it. Kubernetes accepts the certificate, but strict clients (Python since 3.13) do not. \
             If two CAs have the same name, every client has to try both.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static IDENTIFIER_MISMATCH: Rule = Rule {
    id: "certificate.authority-identifier-mismatch",
    severity: Severity::Warning,
    title: "The authorityKeyIdentifier is not the subjectKeyIdentifier of the CA that signed the certificate",
    reason: "Go uses it only as a hint, but OpenSSL rejects the path: kubectl works, but clients that use OpenSSL, such as curl, \
             do not.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static SERIAL_NEGATIVE: Rule = Rule {
    id: "certificate.serial-negative",
    severity: Severity::Error,
    title: "The serial number is negative",
    reason: "Go since 1.23 cannot parse such a certificate (x509negativeserial), and neither can any release of Kubernetes that \
             is built with it.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static SERIAL_ZERO: Rule = Rule {
    id: "certificate.serial-zero",
    severity: Severity::Warning,
    title: "The serial number is zero",
    reason: "It has to be positive (RFC 5280 § 4.1.2.2). Older releases of kubeadm made roots with serial number 0, \
             which Kubernetes accepts, but other programs do not.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static SERIAL_LONG: Rule = Rule {
    id: "certificate.serial-long",
    severity: Severity::Warning,
    title: "The serial number is longer than 20 octets",
    reason: "Programs need not accept longer ones (RFC 5280 § 4.1.2.2).",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static SERIAL_DUPLICATE: Rule = Rule {
    id: "certificate.serial-duplicate",
    severity: Severity::Error,
    title: "Two certificates of one issuer have the same serial number",
    reason: "A CRL that revokes one revokes the other, and audit logs do not tell them apart (RFC 5280 § 4.1.2.2). It happens \
             if a serial file is copied, or the number is fixed, as with `openssl x509 -set_serial 1`.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static CRL_EXPIRED: Rule = Rule {
    id: "crl.expired",
    severity: Severity::Warning,
    title: "The CRL is past its nextUpdate",
    reason: "Clients that check it reject every certificate of its CA, or ignore the CRL (RFC 5280 § 5.1.2.5).",
    remedy: LintRemedy::SignCrl,
};

pub(in crate::app::lint) static UNREADABLE: Rule = Rule {
    id: "file.unreadable",
    severity: Severity::Warning,
    title: "A file or folder cannot be read, or is damaged",
    reason: "Its contents were not checked. It may be a damaged certificate, which Kubernetes cannot read either.",
    remedy: LintRemedy::RepairFile,
};
