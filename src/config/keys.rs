//! The keys of the cluster file as one table, which the reader, the comments of `init`, the reference page and the JSON
//! Schema are derived from.

mod enrolment;
mod signers;

use crate::cluster::account::AccountScheme;
use crate::cluster::key_kind::KeyKind;

pub use enrolment::{CONDITIONS, ENROLMENT, REQUIREMENT, RULE, WEBHOOK};
pub use signers::{SIGNER, SIGNERS};

/// The only `apiVersion`.
pub(super) const API_VERSION: &str = "clusterctl/v1";
/// The only `kind`.
pub(super) const KIND: &str = "Cluster";

/// A key of the cluster file.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key's name.
    pub name: &'static str,
    /// The allowed values.
    pub value: Value,
    /// What happens without the key.
    pub absent: Absent,
    /// An example of a value, as YAML on one line.
    pub example: &'static str,
    /// What the key means, as plain text. Code is between backticks.
    pub description: &'static str,
}

/// What happens when a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// The file is refused.
    Refused,
    /// This value applies, as YAML on one line.
    Default(&'static str),
    /// This rule applies, as text.
    Rule(&'static str),
}

/// The kinds of values that a key can have.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// Exactly this text.
    Constant(&'static str),
    /// A text of a format.
    Text(Format),
    /// One of these texts.
    Choice(fn() -> Vec<&'static str>),
    /// `true` or `false`.
    Switch,
    /// A TCP port, 1 to 65535.
    Port,
    /// A list of values of one kind; if the list is present, it has at least `min` items.
    List {
        /// The kind of each item.
        item: &'static Value,
        /// The smallest allowed number of items.
        min: usize,
    },
    /// One value of a kind, or a list of at least one.
    OneOrList(&'static Value),
    /// A mapping with these keys.
    Mapping(&'static [Key]),
    /// One of these words, or a value of another kind.
    WordOr {
        /// The words.
        words: &'static [&'static str],
        /// The other kind.
        other: &'static Value,
    },
    /// A whole number from 1 to 9.
    Digit,
    /// Fields of KubeletConfiguration ([`crate::cluster::kubelet_fields`]).
    Kubelet,
}

/// The format of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// The format's name, for people.
    pub name: &'static str,
    /// A regular expression (ECMA-262) that matches every text of the format, and possibly others.
    pub pattern: &'static str,
}

const CLUSTER_NAME: Value =
    Value::Text(Format { name: "DNS label of at most 47 characters", pattern: "^[a-z0-9]([-a-z0-9]{0,45}[a-z0-9])?$" });
const HOST_NAME: Value = Value::Text(Format {
    name: "DNS name",
    pattern: r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$",
});
const DOMAIN: Value = Value::Text(Format {
    name: "DNS name",
    pattern: r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*\.?$",
});
const ADDRESS: Value = Value::Text(Format {
    name: "IP address or DNS name",
    pattern: r"^(\[?[0-9A-Fa-f:.]+\]?|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*\.?)$",
});
const ENDPOINT: Value =
    Value::Text(Format { name: "https://HOST:PORT", pattern: "^[Hh][Tt][Tt][Pp][Ss]://[^/?#@]+/?$" });
const CIDR: Value = Value::Text(Format { name: "CIDR", pattern: "^[0-9A-Fa-f:.]+/[0-9]{1,3}$" });
const LIFETIME: Value = Value::Text(Format { name: "duration, 1h to 100y", pattern: "^[0-9]+[hdy]$" });
const KUBERNETES_VERSION: Value = Value::Text(Format {
    name: "image tag, v1.28.0 or later",
    pattern: r"^v1\.(2[89]|[3-9][0-9]|[1-9][0-9]{2,})\.[0-9]+(-[0-9A-Za-z._-]*)?$",
});
const ETCD_VERSION: Value =
    Value::Text(Format { name: "image tag, 3.4.0 or later", pattern: r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z._-]*)?$" });
const REPOSITORY: Value = Value::Text(Format { name: "image repository", pattern: r"^[^\s/]+(/[^\s/]+)*$" });
const PATH: Value = Value::Text(Format { name: "path of a directory", pattern: r"\S" });
const RECIPIENT: Value = Value::Text(Format {
    name: "age1…, or ssh-ed25519 or ssh-rsa with a public key",
    pattern: r"^\s*(age1\S+|ssh-(ed25519|rsa)\s+\S.*)\s*$",
});

/// The keys at the top of the file.
pub const FILE: [Key; 18] = [
    Key {
        name: "apiVersion",
        value: Value::Constant(API_VERSION),
        absent: Absent::Refused,
        example: API_VERSION,
        description: "The version of this file's format.",
    },
    Key {
        name: "kind",
        value: Value::Constant(KIND),
        absent: Absent::Refused,
        example: KIND,
        description: "The kind of this file.",
    },
    Key {
        name: "name",
        value: CLUSTER_NAME,
        absent: Absent::Refused,
        example: "prod",
        description: "The cluster's name. It is part of every root's name, so no two clusters should share it, and it \
                      cannot change once the roots exist.",
    },
    Key {
        name: "endpoint",
        value: ENDPOINT,
        absent: Absent::Rule("the first address of the only master; needed with several masters"),
        example: "https://api.prod.example.net:6443",
        description: "The location of the API servers for nodes: a load balancer in front of the masters, or the only \
                      master. The masters' certificates name this host. The port is 443 when it is not given.",
    },
    Key {
        name: "accounts",
        value: Value::Choice(|| AccountScheme::ALL.map(AccountScheme::as_str).to_vec()),
        absent: Absent::Default("kubelet"),
        example: "kubelet",
        description: "The account in a node's client certificate. With `kubelet` it is `kubelet:HOST` in the group \
                      `kubelets`, whose rights come from RBAC and admission policies that clusterctl writes. With \
                      `system-node` it is `system:node:HOST` in the group `system:nodes`, for which the Node \
                      authorizer and NodeRestriction compute rights.",
    },
    Key {
        name: "serviceCIDRs",
        value: Value::List { item: &CIDR, min: 1 },
        absent: Absent::Default("[10.96.0.0/12]"),
        example: "[10.96.0.0/12]",
        description: "The ranges of service addresses, as in the API server's --service-cluster-ip-range: one, or one \
                      of each IP family. The first address of each range belongs to the service `kubernetes` and is in \
                      the masters' certificates.",
    },
    Key {
        name: "clusterDomain",
        value: DOMAIN,
        absent: Absent::Default("cluster.local"),
        example: "cluster.local",
        description: "The cluster's DNS domain, as in kubernetes.default.svc.cluster.local.",
    },
    Key {
        name: "keys",
        value: Value::Choice(|| KeyKind::ALL.map(KeyKind::as_str).to_vec()),
        absent: Absent::Default("ecdsa-p256"),
        example: "ecdsa-p256",
        description: "The kind of every key that is generated.",
    },
    Key {
        name: "validity",
        value: Value::Mapping(&VALIDITY),
        absent: Absent::Rule("the default of each key"),
        example: "{ca: 10y, master: 1y, node: 1y}",
        description: "How long certificates are valid: a number with h (hours), d (days) or y (years of 365 days). No \
                      certificate outlives its root.",
    },
    Key {
        name: "kubernetes",
        value: Value::Mapping(&KUBERNETES),
        absent: Absent::Rule("the default of each key"),
        example: "{version: v1.36.2}",
        description: "The Kubernetes release of the control plane: the images of the masters' static pods, and the \
                      flags and API versions that bundles may use.",
    },
    Key {
        name: "templates",
        value: PATH,
        absent: Absent::Rule("the built-in templates"),
        example: "templates",
        description: "A directory of templates that replace built-in ones, relative to this file. `clusterctl bundle \
                      --eject-templates DIR` writes the built-in ones, which are used for every file that the directory \
                      lacks.",
    },
    Key {
        name: "withUnits",
        value: Value::Switch,
        absent: Absent::Default("false"),
        example: "true",
        description: "Whether bundles contain systemd units for the host's programs, for hosts whose packages have \
                      none.",
    },
    Key {
        name: "renewBefore",
        value: LIFETIME,
        absent: Absent::Rule("a third of the certificate's validity"),
        example: "90d",
        description: "How long before its expiry a certificate is due, and is renewed by renew, apply, issue-master and issue-node.",
    },
    Key {
        name: "signers",
        value: Value::Mapping(&SIGNERS),
        absent: Absent::Rule("the keys of all CAs are files in the cluster directory"),
        example: "{cluster: {exec: [/usr/local/bin/sign-by-kms, prod]}}",
        description: "The holders of CAs' keys that are not in the cluster directory. They sign whenever the CA's key is \
                      needed, and no passphrase is asked for.",
    },
    Key {
        name: "enrolment",
        value: Value::Mapping(&ENROLMENT),
        absent: Absent::Rule("hosts cannot ask for certificates"),
        example: "{listen: \"10.20.0.11:6444\", policy: queue}",
        description: "How certificates are issued to hosts that ask for them: where they ask, and who gets one.",
    },
    Key {
        name: "kubelet",
        value: Value::Kubelet,
        absent: Absent::Rule("no further fields"),
        example: "{clusterDNS: [10.96.0.10], cgroupDriver: systemd}",
        description: "Fields of KubeletConfiguration (kubelet.config.k8s.io/v1beta1) for every kubelet, in addition to \
                      those that clusterctl writes. Fields that would weaken trust are refused.",
    },
    Key {
        name: "masters",
        value: Value::List { item: &Value::Mapping(&MASTER), min: 1 },
        absent: Absent::Refused,
        example: "[{name: master-1, addresses: [10.20.0.11, master-1.example.net]}]",
        description: "The masters: control-plane nodes, the hosts that run an API server.",
    },
    Key {
        name: "nodes",
        value: Value::List { item: &Value::Mapping(&NODE), min: 0 },
        absent: Absent::Default("[]"),
        example: "[{name: worker-1, addresses: [10.20.1.11, \"fd20:1::11\"]}]",
        description: "The nodes: the hosts that run a kubelet. A host that is master and node is in both lists, under \
                      the same name.",
    },
];

/// The keys of `validity`.
pub const VALIDITY: [Key; 5] = [
    Key {
        name: "ca",
        value: LIFETIME,
        absent: Absent::Default("10y"),
        example: "10y",
        description: "Validity of the roots.",
    },
    Key {
        name: "master",
        value: LIFETIME,
        absent: Absent::Default("1y"),
        example: "1y",
        description: "Validity of the masters' certificates.",
    },
    Key {
        name: "node",
        value: LIFETIME,
        absent: Absent::Default("1y"),
        example: "90d",
        description: "Validity of the nodes' certificates.",
    },
    Key {
        name: "admin",
        value: LIFETIME,
        absent: Absent::Default("90d"),
        example: "30d",
        description: "Validity of the certificates of administrators, approvers, signers and announcers, unless issue-admin \
                      --validity names another. A certificate that replaces another is valid for as long as that one, and \
                      certificates of break-glass accounts for 24 hours.",
    },
    Key {
        name: "crl",
        value: LIFETIME,
        absent: Absent::Default("90d"),
        example: "30d",
        description: "Time from a CRL's thisUpdate to its nextUpdate, unless --crl-validity names another. Without this key, a \
                      CRL that renew or apply replaces keeps its time.",
    },
];

/// The keys of `kubernetes`.
pub const KUBERNETES: [Key; 3] = [
    Key {
        name: "version",
        value: KUBERNETES_VERSION,
        absent: Absent::Default("v1.36.2"),
        example: "v1.36.2",
        description: "The release, as its images are tagged.",
    },
    Key {
        name: "imageRepository",
        value: REPOSITORY,
        absent: Absent::Default("registry.k8s.io"),
        example: "registry.example.net/k8s",
        description: "The repository from which the images are pulled.",
    },
    Key {
        name: "etcdVersion",
        value: ETCD_VERSION,
        absent: Absent::Rule("the release that kubeadm uses with this Kubernetes"),
        example: "3.6.8-0",
        description: "etcd's release, as its image is tagged.",
    },
];

const SEAL_TO: Key = Key {
    name: "sealTo",
    value: Value::OneOrList(&RECIPIENT),
    absent: Absent::Rule("the bundle is not encrypted, unless a flag of `bundle` names a recipient"),
    example: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
    description: "Who can decrypt the host's bundle: its own SSH host key, an age recipient, or a list of them.",
};

/// The keys of a master.
pub const MASTER: [Key; 4] = [
    Key {
        name: "name",
        value: HOST_NAME,
        absent: Absent::Refused,
        example: "master-1",
        description: "The host's name, unique among the masters.",
    },
    Key {
        name: "addresses",
        value: Value::List { item: &ADDRESS, min: 1 },
        absent: Absent::Refused,
        example: "[10.20.0.11, master-1.example.net]",
        description: "The addresses at which the host is reached, unique among the masters. All of them are in its \
                      certificates.",
    },
    Key {
        name: "apiServerPort",
        value: Value::Port,
        absent: Absent::Rule("6443, or the endpoint's port on a master that is the endpoint"),
        example: "6443",
        description: "The port of the API server.",
    },
    SEAL_TO,
];

/// The keys of a node.
pub const NODE: [Key; 5] = [
    Key {
        name: "name",
        value: HOST_NAME,
        absent: Absent::Refused,
        example: "worker-1",
        description: "The node's name, as `kubectl get nodes` lists it, unique among the nodes.",
    },
    Key {
        name: "addresses",
        value: Value::List { item: &ADDRESS, min: 1 },
        absent: Absent::Refused,
        example: "[10.20.1.11, \"fd20:1::11\", worker-1.example.net]",
        description: "The addresses at which the masters reach the kubelet, unique among the nodes. All of them are in \
                      its serving certificate; masters reject a certificate that does not name the address.",
    },
    Key {
        name: "kubeletPort",
        value: Value::Port,
        absent: Absent::Default("10250"),
        example: "10250",
        description: "The port of the kubelet.",
    },
    Key {
        name: "kubelet",
        value: Value::Kubelet,
        absent: Absent::Rule("no further fields"),
        example: "{maxPods: 30, systemReserved: {cpu: null}}",
        description: "Like `kubelet` at the top of the file, but only for this node. It is merged over the other one; \
                      null removes a field.",
    },
    SEAL_TO,
];

pub(super) const FILE_NAMES: &[&str] = &names(&FILE);
pub(super) const VALIDITY_NAMES: &[&str] = &names(&VALIDITY);
pub(super) const KUBERNETES_NAMES: &[&str] = &names(&KUBERNETES);
pub(super) const SIGNERS_NAMES: &[&str] = &names(&SIGNERS);
pub(super) const SIGNER_NAMES: &[&str] = &names(&SIGNER);
pub(super) const MASTER_NAMES: &[&str] = &names(&MASTER);
pub(super) const NODE_NAMES: &[&str] = &names(&NODE);

const fn names<const N: usize>(keys: &[Key; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut i = 0;
    while i < N {
        names[i] = keys[i].name;
        i += 1;
    }
    names
}

/// Returns the key called `name` at the top of the file.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    const KEYS: &[Key] = &FILE;
    KEYS.iter().find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kubernetes::Version;
    use crate::cluster::lifetime::Lifetime;
    use crate::cluster::spec::{DEFAULT_DOMAIN, DEFAULT_SERVICE_CIDR, KUBELET_PORT};

    fn default_of(keys: &[Key], name: &str) -> String {
        match keys.iter().find(|key| key.name == name).map(|key| key.absent) {
            Some(Absent::Default(text)) => text.to_owned(),
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_of_the_model() {
        assert_eq!(default_of(&FILE, "accounts"), AccountScheme::default().as_str());
        assert_eq!(default_of(&FILE, "keys"), KeyKind::default().as_str());
        assert_eq!(default_of(&FILE, "serviceCIDRs"), format!("[{DEFAULT_SERVICE_CIDR}]"));
        assert_eq!(default_of(&FILE, "clusterDomain"), DEFAULT_DOMAIN);
        assert_eq!(default_of(&VALIDITY, "ca"), Lifetime::TEN_YEARS.to_string());
        assert_eq!(default_of(&VALIDITY, "node"), Lifetime::ONE_YEAR.to_string());
        assert_eq!(default_of(&KUBERNETES, "version"), Version::default().to_string());
        assert_eq!(default_of(&NODE, "kubeletPort"), KUBELET_PORT.to_string());
    }
}
