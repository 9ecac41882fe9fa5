//! Rules for kubeconfigs.

use crate::app::lint::remedy::LintRemedy;
use crate::app::lint::rule::{Rule, Severity};

pub(in crate::app::lint) static EMBEDDED: Rule = Rule {
    id: "kubeconfig.embedded",
    severity: Severity::Note,
    title: "The kubeconfig of a component has its certificate embedded",
    reason: "client-go reads embedded data once, and files again every five minutes: a renewed certificate is used after a \
             restart only. Components are the users whose names begin with `system:` or `kubelet:`; a person's kubeconfig is \
             better in one file.",
    remedy: LintRemedy::NameFiles,
};

pub(in crate::app::lint) static INSECURE: Rule = Rule {
    id: "kubeconfig.insecure",
    severity: Severity::Error,
    title: "The kubeconfig does not authenticate the API server",
    reason: "With plain HTTP, with insecure-skip-tls-verify, or without a CA (then the system's CAs are trusted) another server \
             can take the API server's place.",
    remedy: LintRemedy::CorrectKubeconfig,
};

pub(in crate::app::lint) static REFUSED: Rule = Rule {
    id: "kubeconfig.refused",
    severity: Severity::Error,
    title: "client-go refuses the kubeconfig",
    reason: "Its current context leads nowhere, or two of its fields exclude each other (clientcmd's ConfirmUsable).",
    remedy: LintRemedy::CorrectKubeconfig,
};

pub(in crate::app::lint) static SERVER: Rule = Rule {
    id: "kubeconfig.server",
    severity: Severity::Error,
    title: "No certificate of an API server names the server of the kubeconfig",
    reason: "The client rejects the API server. Compared are the certificates of API servers among the files that the CA of the \
             kubeconfig signed, with `tls-server-name` where it is set.",
    remedy: LintRemedy::ReissueWithNames,
};

pub(in crate::app::lint) static CA: Rule = Rule {
    id: "kubeconfig.ca",
    severity: Severity::Error,
    title: "The CA in the kubeconfig did not sign the certificate of its server",
    reason: "The client rejects the API server. Compared are the certificates of API servers among the files that name the \
             server of the kubeconfig.",
    remedy: LintRemedy::CorrectKubeconfigCa,
};

pub(in crate::app::lint) static REFERENCE: Rule = Rule {
    id: "kubeconfig.reference",
    severity: Severity::Note,
    title: "The kubeconfig names a file that cannot be read",
    reason: "On its host that is an error; in a copy of the files the file may be elsewhere. An absolute path is also looked for \
             below the folders that were named, as in a copy of a host's root.",
    remedy: LintRemedy::CorrectKubeconfig,
};
