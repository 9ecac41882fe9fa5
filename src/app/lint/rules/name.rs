//! Rules for names and usages.

use crate::app::lint::remedy::LintRemedy;
use crate::app::lint::rule::{Rule, Severity};

pub(in crate::app::lint) static COMMON_NAME_LENGTH: Rule = Rule {
    id: "name.common-name-length",
    severity: Severity::Error,
    title: "A common name has more than 64 characters",
    reason: "That is its limit (RFC 5280, appendix A.1). Go reads longer ones, and OpenSSL and others refuse them: a node whose \
             name has more than 52 characters cannot be `system:node:NAME` everywhere.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static UPPER_CASE: Rule = Rule {
    id: "name.upper-case",
    severity: Severity::Warning,
    title: "The name of a host is not in lower case",
    reason: "Kubernetes writes names of nodes in lower case: `system:node:Worker-1` is another account than that of the node \
             `worker-1`, and has no rights. Also judged are DNS names of servers, which some programs compare letter by letter.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static NO_SUBJECT_ALTERNATIVE: Rule = Rule {
    id: "name.no-subject-alternative-name",
    severity: Severity::Error,
    title: "The certificate of a server has no subject alternative name",
    reason: "Go ignores the common name since 1.15: no client in Kubernetes accepts the server.",
    remedy: LintRemedy::ReissueWithNames,
};

pub(in crate::app::lint) static ADDRESS_AS_DNS: Rule = Rule {
    id: "name.address-as-dns",
    severity: Severity::Error,
    title: "An IP address is written as a DNS name",
    reason: "It never matches: clients compare an address with iPAddress entries only (RFC 9525 § 6.3). In openssl's \
             configuration it is `IP:10.0.0.1`, not `DNS:10.0.0.1`.",
    remedy: LintRemedy::ReissueWithNames,
};

pub(in crate::app::lint) static HOST_MISSING: Rule = Rule {
    id: "name.host-missing",
    severity: Severity::Error,
    title: "The serving certificate of a kubelet does not name its host",
    reason: "An API server that verifies kubelets connects by the node's addresses; by default its host name is among them. The \
             host is the one in the common name `system:node:HOST`.",
    remedy: LintRemedy::ReissueWithNames,
};

pub(in crate::app::lint) static ADDRESS_MISSING: Rule = Rule {
    id: "name.address-missing",
    severity: Severity::Error,
    title: "The certificate of a server does not name an address that the cluster file has for it",
    reason: "Clients that connect to that address reject the server. Judged where cluster.yaml was found and has the host: by \
             the common name, or by a folder of that name. An API server needs the endpoint, the names of the service \
             `kubernetes` and the first address of every service range, too.",
    remedy: LintRemedy::ReissueWithNames,
};

pub(in crate::app::lint) static KUBELET_SERVING: Rule = Rule {
    id: "name.kubelet-serving",
    severity: Severity::Warning,
    title: "The common name of a kubelet's serving certificate is not `system:node:HOST`",
    reason: "Kubernetes 1.38 will demand it of kubelets that API servers verify. k3s and hand-made certificates have the bare \
             name of the host.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static SYSTEM_MASTERS: Rule = Rule {
    id: "account.system-masters",
    severity: Severity::Warning,
    title: "The client is in the group `system:masters`",
    reason: "The group bypasses every authorizer: no RBAC and no authorization configuration takes its rights away before the \
             certificate expires. kubeadm puts it into super-admin.conf (before 1.29 into admin.conf), k3s into client-admin.crt.",
    remedy: LintRemedy::BindByRbac,
};

pub(in crate::app::lint) static USAGE_MISSING: Rule = Rule {
    id: "usage.missing",
    severity: Severity::Warning,
    title: "The certificate has no extended key usage",
    reason: "Go takes that for every usage: the certificate of a server authenticates as a client, and the other way round.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static USAGE_ANY: Rule = Rule {
    id: "usage.any",
    severity: Severity::Warning,
    title: "The extended key usage is anyExtendedKeyUsage",
    reason: "It stands for every usage: the certificate of a server authenticates as a client, and the other way round.",
    remedy: LintRemedy::SplitUsages,
};

pub(in crate::app::lint) static USAGE_BOTH: Rule = Rule {
    id: "usage.server-and-client",
    severity: Severity::Warning,
    title: "The certificate is for servers and for clients",
    reason: "A client that has it can be a server with the same name, and a server can act as that account. Only members of \
             etcd need both, and are not reported. cfssl's profile of Kubernetes the hard way issues all certificates so.",
    remedy: LintRemedy::SplitUsages,
};

pub(in crate::app::lint) static USAGE_NOT_SERVER: Rule = Rule {
    id: "usage.not-server",
    severity: Severity::Error,
    title: "A server's certificate lacks serverAuth",
    reason: "Every client rejects it. Servers are recognized by the names of files that kubeadm, k3s, Talos and Kubernetes the \
             hard way use.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static USAGE_NOT_CLIENT: Rule = Rule {
    id: "usage.not-client",
    severity: Severity::Error,
    title: "A client's certificate lacks clientAuth",
    reason: "API servers, kubelets and etcd reject it. Clients are those of kubeconfigs, and files with the names that kubeadm, \
             k3s and Talos use.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static USAGE_ETCD: Rule = Rule {
    id: "usage.etcd-member",
    severity: Severity::Error,
    title: "The certificate of an etcd member lacks serverAuth or clientAuth",
    reason: "Members connect to each other with their serving certificate, and etcd's gateway to its own server: they need both.",
    remedy: LintRemedy::Reissue,
};
