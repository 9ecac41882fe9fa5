//! Rules for keys.

use crate::app::lint::remedy::LintRemedy;
use crate::app::lint::rule::{Rule, Severity};

pub(in crate::app::lint) static MISMATCH: Rule = Rule {
    id: "key.mismatch",
    severity: Severity::Error,
    title: "The private key does not belong to the certificate beside it",
    reason: "No TLS handshake succeeds with them. The rule compares `x.crt` or `x.pem` with `x.key`, `x-key.pem`, `x_key.pem` or \
             `x.key.pem`, a certificate with a key in the same file, and the certificate and key of a user of a kubeconfig.",
    remedy: LintRemedy::FindKey,
};

pub(in crate::app::lint) static WEAK: Rule = Rule {
    id: "key.weak",
    severity: Severity::Error,
    title: "The key is weak or of a kind that Kubernetes does not know",
    reason: "RSA keys of less than 2048 bits are too short, and Go refuses less than 1024 bits since 1.24. DSA, P-224 and other \
             curves are refused by Go or by other programs.",
    remedy: LintRemedy::NewKey,
};

pub(in crate::app::lint) static SHARED: Rule = Rule {
    id: "key.shared",
    severity: Severity::Warning,
    title: "Several different certificates have the same key",
    reason: "A stolen key affects all of them, and revoking one certificate does not revoke the others. Certificates that renew \
             one another, with the same subject and extended key usages, are not reported.",
    remedy: LintRemedy::NewKey,
};

pub(in crate::app::lint) static WORLD_READABLE: Rule = Rule {
    id: "key.world-readable",
    severity: Severity::Error,
    title: "Every user of the machine can read the private key",
    reason: "Files with a private key, a token or a password, and bundles with keys, should have the mode 0600. The rule also \
             checks the modes of files in bundles.",
    remedy: LintRemedy::CloseFile,
};

pub(in crate::app::lint) static GROUP_READABLE: Rule = Rule {
    id: "key.group-readable",
    severity: Severity::Note,
    title: "A group of users can read the private key",
    reason: "It may be intended, for example if etcd runs as a user of its own. Every member of the group has the key.",
    remedy: LintRemedy::CloseFile,
};

pub(in crate::app::lint) static CA_BESIDE_CREDENTIALS: Rule = Rule {
    id: "key.ca-beside-credentials",
    severity: Severity::Warning,
    title: "The unencrypted key of a CA is in the same folder as the keys of a host",
    reason: "An attacker who takes over that host can sign certificates for every account. kubeadm and k3s leave the keys of CAs \
             on every control-plane node; Kubernetes needs them only to sign certificate requests. Folders below and above are \
             not compared.",
    remedy: LintRemedy::MoveCaKey,
};
