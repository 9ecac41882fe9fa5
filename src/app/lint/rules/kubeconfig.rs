//! Rules for kubeconfigs.

use crate::app::lint::remedy::LintRemedy;
use crate::app::lint::rule::{Rule, Severity};

pub(in crate::app::lint) static EMBEDDED: Rule = Rule {
    id: "kubeconfig.embedded",
    severity: Severity::Note,
    title: "The client certificate of a component is embedded in its kubeconfig",
    reason: "client-go reads embedded data once, but files again every five minutes: an embedded certificate that is renewed is \
             used only after a restart. Components are the users whose common names begin with `system:` or `kubelet:`; a \
             person's kubeconfig is better in one file.",
    remedy: LintRemedy::NameFiles,
};

pub(in crate::app::lint) static INSECURE: Rule = Rule {
    id: "kubeconfig.insecure",
    severity: Severity::Error,
    title: "The kubeconfig does not authenticate the API server",
    reason: "With plain HTTP, with insecure-skip-tls-verify, or without a CA (then the system's CAs are trusted) another server \
             can impersonate the API server.",
    remedy: LintRemedy::CorrectKubeconfig,
};

pub(in crate::app::lint) static REFUSED: Rule = Rule {
    id: "kubeconfig.refused",
    severity: Severity::Error,
    title: "client-go refuses the kubeconfig",
    reason: "Its current context does not exist or is incomplete, two of its fields exclude each other (clientcmd's \
             ConfirmUsable), two entries have the same name, or its apiVersion is unknown.",
    remedy: LintRemedy::CorrectKubeconfig,
};

pub(in crate::app::lint) static CREDENTIAL: Rule = Rule {
    id: "kubeconfig.credential",
    severity: Severity::Error,
    title: "A certificate or key of the kubeconfig is damaged, empty or missing",
    reason: "client-go needs base64 of PEM where data is embedded, PEM in files, and the unencrypted key of each client \
             certificate. It refuses what is damaged. A user whose certificate is empty, or who only has a key, sends none: if there is no \
             token or plugin either, its requests are anonymous. A relative path is that of a file beside the kubeconfig; if an \
             absolute path leads nowhere, the rule is `kubeconfig.reference`.",
    remedy: LintRemedy::CorrectKubeconfig,
};

pub(in crate::app::lint) static SERVER: Rule = Rule {
    id: "kubeconfig.server",
    severity: Severity::Error,
    title: "No certificate of an API server names the server of the kubeconfig",
    reason: "The client rejects the API server. The rule compares the server, or `tls-server-name` if it is set, with the \
             certificates of API servers among the files that the CA of the kubeconfig signed.",
    remedy: LintRemedy::ReissueWithNames,
};

pub(in crate::app::lint) static CA: Rule = Rule {
    id: "kubeconfig.ca",
    severity: Severity::Error,
    title: "The CA in the kubeconfig did not sign the certificate of its server",
    reason: "The client rejects the API server. The rule checks the certificates of API servers among the files that name the \
             server of the kubeconfig.",
    remedy: LintRemedy::CorrectKubeconfigCa,
};

pub(in crate::app::lint) static REFERENCE: Rule = Rule {
    id: "kubeconfig.reference",
    severity: Severity::Note,
    title: "The kubeconfig names a file that cannot be read here",
    reason: "On the host of the kubeconfig that is an error; in a copy of its files, the file may be elsewhere. An absolute path \
             is also searched for among the files, as in a copy of a host's file system.",
    remedy: LintRemedy::CorrectKubeconfig,
};
