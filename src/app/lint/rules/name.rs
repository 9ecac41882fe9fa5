//! Rules for names and usages.

use crate::app::lint::remedy::LintRemedy;
use crate::app::lint::rule::{Rule, Severity};

pub(in crate::app::lint) static COMMON_NAME_LENGTH: Rule = Rule {
    id: "name.common-name-length",
    severity: Severity::Error,
    title: "A common name has more than 64 characters",
    reason: "That is its limit (RFC 5280, appendix A.1). Go accepts longer ones, but OpenSSL and others refuse them: for a node \
             with a name of more than 52 characters, some programs cannot issue `system:node:NAME`.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static UPPER_CASE: Rule = Rule {
    id: "name.upper-case",
    severity: Severity::Warning,
    title: "The name of a host is not in lower case",
    reason: "Kubernetes writes names of nodes in lower case: `system:node:Worker-1` is not the account of the node `worker-1`, \
             and has no rights. The rule also checks the DNS names of servers, because some programs compare them case-sensitively.",
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
    reason: "It never matches: clients compare an address only with iPAddress entries (RFC 9525 § 6.3). In openssl's \
             configuration, write `IP:10.0.0.1`, not `DNS:10.0.0.1`.",
    remedy: LintRemedy::ReissueWithNames,
};

pub(in crate::app::lint) static HOST_MISSING: Rule = Rule {
    id: "name.host-missing",
    severity: Severity::Error,
    title: "The serving certificate of a kubelet does not name its host",
    reason: "An API server connects to a kubelet at one of the node's addresses, by default at its host name, and rejects a \
             certificate without it if it verifies kubelets. The host is that of the common name `system:node:HOST`.",
    remedy: LintRemedy::ReissueWithNames,
};

pub(in crate::app::lint) static ADDRESS_MISSING: Rule = Rule {
    id: "name.address-missing",
    severity: Severity::Error,
    title: "The certificate of a server does not name an address that the cluster file has for it",
    reason: "Clients that connect to that address reject the server. The rule needs a cluster.yaml that has the host, which is \
             recognized by the common name, or by a folder with its name. An API server also needs the endpoint, the names of \
             the service `kubernetes` and the first address of every service range.",
    remedy: LintRemedy::ReissueWithNames,
};

pub(in crate::app::lint) static KUBELET_SERVING: Rule = Rule {
    id: "name.kubelet-serving",
    severity: Severity::Warning,
    title: "The common name of a kubelet's serving certificate is not `system:node:HOST`",
    reason: "Kubernetes 1.38 will require it of kubelets that API servers verify. k3s's and hand-made certificates have only the \
             name of the host.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static SYSTEM_MASTERS: Rule = Rule {
    id: "account.system-masters",
    severity: Severity::Warning,
    title: "The client is in the group `system:masters`",
    reason: "The group bypasses every authorizer: neither RBAC nor an authorization configuration can take its rights away before \
             the certificate expires. kubeadm uses it in super-admin.conf (before 1.29 in admin.conf), k3s in client-admin.crt.",
    remedy: LintRemedy::BindByRbac,
};

pub(in crate::app::lint) static USAGE_MISSING: Rule = Rule {
    id: "usage.missing",
    severity: Severity::Warning,
    title: "The certificate has no extended key usage",
    reason: "Go treats that as every usage: the certificate of a server authenticates as a client, and the other way round.",
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
    reason: "A client that has it can act as a server with its names, and a server can act as a client with its account. Only \
             members of etcd need both; they are not reported. The cfssl profile of Kubernetes the hard way issues all \
             certificates with both.",
    remedy: LintRemedy::SplitUsages,
};

pub(in crate::app::lint) static USAGE_NOT_SERVER: Rule = Rule {
    id: "usage.not-server",
    severity: Severity::Error,
    title: "A server's certificate lacks serverAuth",
    reason: "Every client rejects it. Servers are recognized by the file names that kubeadm, k3s, Talos and Kubernetes the hard \
             way use.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static USAGE_NOT_CLIENT: Rule = Rule {
    id: "usage.not-client",
    severity: Severity::Error,
    title: "A client's certificate lacks clientAuth",
    reason: "API servers, kubelets and etcd reject it. Clients are the users of kubeconfigs, certificates in files with the \
             names that kubeadm, k3s and Talos use, and accounts that begin with `system:`.",
    remedy: LintRemedy::Reissue,
};

pub(in crate::app::lint) static USAGE_ETCD: Rule = Rule {
    id: "usage.etcd-member",
    severity: Severity::Error,
    title: "The certificate of an etcd member lacks serverAuth or clientAuth",
    reason: "Members connect to each other with the certificate with which they serve, and etcd's gRPC gateway connects to its \
             own server with it: both usages are needed.",
    remedy: LintRemedy::Reissue,
};
