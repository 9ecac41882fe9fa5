//! Rules for keys.

use crate::app::lint::remedy::LintRemedy;
use crate::app::lint::rule::{Rule, Severity};

pub(in crate::app::lint) static MISMATCH: Rule = Rule {
    id: "key.mismatch",
    severity: Severity::Error,
    title: "The private key does not belong to the certificate beside it",
    reason: "No TLS handshake succeeds with both. Compared are `x.crt` or `x.pem` with `x.key`, `x-key.pem` or `x.key.pem`, a \
             certificate with a key in the same file, and both of a user of a kubeconfig.",
    remedy: LintRemedy::FindKey,
};

pub(in crate::app::lint) static WEAK: Rule = Rule {
    id: "key.weak",
    severity: Severity::Error,
    title: "The key is weak or of a kind that Kubernetes does not know",
    reason: "RSA of less than 2048 bits can be broken, and Go refuses less than 1024 in TLS since 1.24. DSA, P-224 and other \
             curves are refused by Go or by others.",
    remedy: LintRemedy::NewKey,
};

pub(in crate::app::lint) static SHARED: Rule = Rule {
    id: "key.shared",
    severity: Severity::Warning,
    title: "Several different certificates have the same key",
    reason: "Who has the key of one has that of all, and revoking one leaves the others. Certificates that only renew one \
             another, with the same subject, are not reported.",
    remedy: LintRemedy::NewKey,
};

pub(in crate::app::lint) static WORLD_READABLE: Rule = Rule {
    id: "key.world-readable",
    severity: Severity::Error,
    title: "Every user of the machine can read the private key",
    reason: "The mode of a file with a private key, a token or a bundle with keys is 0600. Also judged are the modes of files in \
             bundles.",
    remedy: LintRemedy::CloseFile,
};

pub(in crate::app::lint) static GROUP_READABLE: Rule = Rule {
    id: "key.group-readable",
    severity: Severity::Note,
    title: "A group of users can read the private key",
    reason: "That may be meant, as where etcd runs under its own user; who is in the group has the key.",
    remedy: LintRemedy::CloseFile,
};

pub(in crate::app::lint) static CA_BESIDE_CREDENTIALS: Rule = Rule {
    id: "key.ca-beside-credentials",
    severity: Severity::Warning,
    title: "The unencrypted key of a CA is in the same folder as the keys of a host",
    reason: "Who takes over that host can sign certificates for every account. kubeadm and k3s leave the keys of CAs on every \
             control-plane node; Kubernetes needs them only to sign certificate requests. Folders below and above are not \
             compared.",
    remedy: LintRemedy::MoveCaKey,
};
