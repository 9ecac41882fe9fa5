//! A `RawCluster` → the commented cluster file that a person goes on with.
//! Every text of the draft is quoted: no YAML reader, of version 1.1 or 1.2, can take it for anything else.

use std::fmt::Write;

use super::raw::{API_VERSION, KIND};
use crate::cluster::kubelet::Written;
use crate::cluster::spec::{DEFAULT_DOMAIN, DEFAULT_SERVICE_CIDR, OneOrMore, RawCluster, RawHost};

/// Writes the cluster file that says what `draft` says; what the draft leaves out stands there as a comment.
#[must_use]
pub fn write(draft: &RawCluster) -> String {
    let mut file = File(String::with_capacity(4096 + 120 * (draft.masters.len() + draft.nodes.len())));
    file.comment(
        "The one statement of who is in this cluster: clusterctl reads it, and nothing else, to know what to issue.\n\
         Change it, run `clusterctl issue-node --all` and `clusterctl bundle --all` again, and only what no longer\n\
         matches is made anew. A line that begins with # is a comment; a key in one has its default, or an example.\n\
         Texts are in quotes because YAML would read some names otherwise: a host called on is \"on\".",
    );
    file.line(&format!("apiVersion: {API_VERSION}"));
    file.line(&format!("kind: {KIND}"));

    file.comment(
        "The cluster's name: a DNS label of at most 47 characters. It is part of every root's name, so no two clusters\n\
         should share it, and it cannot change once the roots exist.",
    );
    file.text("name", draft.name.as_deref(), "\"prod\"");

    file.comment(
        "What nodes dial: a load balancer before the masters, or the only master (then this line may be left out).\n\
         The masters' certificates name this host. The port is 443 when it is not given.",
    );
    file.text("endpoint", draft.endpoint.as_deref(), "\"https://api.prod.example.net:6443\"");

    file.comment(
        "The account that a node's certificate carries:\n\
         kubelet      kubelet:HOST in the group kubelets; its rights come from RBAC alone (the default)\n\
         system-node  system:node:HOST in the group system:nodes, on which the Node authorizer and NodeRestriction act",
    );
    file.text("accounts", draft.accounts.as_deref(), "\"kubelet\"");

    file.comment(
        "Where services get their addresses, as the API server's --service-cluster-ip-range says. The first address of\n\
         each range is the service called kubernetes, and is in the masters' certificates.",
    );
    match &draft.service_cidrs {
        Some(cidrs) => file.line(&format!("serviceCIDRs: {}", list(cidrs))),
        None => file.line(&format!("# serviceCIDRs: [{}]", quoted(DEFAULT_SERVICE_CIDR))),
    }

    file.comment("The cluster's DNS domain, as in kubernetes.default.svc.cluster.local.");
    file.text("clusterDomain", draft.cluster_domain.as_deref(), &quoted(DEFAULT_DOMAIN));

    file.comment(
        "What keys are made: ecdsa-p256 (the default, and right for nearly everybody), ecdsa-p384 or ed25519.",
    );
    file.text("keys", draft.keys.as_deref(), "\"ecdsa-p256\"");

    file.comment(
        "How long certificates live: a number with h (hours), d (days) or y (years of 365 days). ca is for the roots,\n\
         and no other certificate outlives its root.",
    );
    file.mapping(
        "validity",
        &[
            ("ca", &draft.validity_ca, "\"10y\""),
            ("master", &draft.validity_master, "\"1y\""),
            ("node", &draft.validity_node, "\"1y\""),
        ],
    );

    file.comment(
        "Which Kubernetes the control plane runs, 1.28 or later: the images of the masters' static pods, and which flags\n\
         and API versions bundles may use. Without etcdVersion it is one that fits that release.",
    );
    file.mapping(
        "kubernetes",
        &[
            ("version", &draft.kubernetes_version, "\"v1.36.2\""),
            ("imageRepository", &draft.image_repository, "\"registry.k8s.io\""),
            ("etcdVersion", &draft.etcd_version, "\"3.6.8-0\""),
        ],
    );

    file.comment(
        "A folder of your own templates, seen from this file's folder: clusterctl bundle --eject-templates DIR writes\n\
         those that there are. What is not in it is built in.",
    );
    file.text("templates", draft.templates.as_deref(), "\"templates\"");

    file.comment("Whether bundles bring systemd units for the host's programs, for hosts whose packages bring none.");
    file.text("withUnits", draft.with_units.as_deref(), "\"false\"");

    file.comment(
        "How long before they end issue-master and issue-node replace certificates: a third of their life, or this.",
    );
    file.text("renewBefore", draft.renew_before.as_deref(), "\"90d\"");

    file.comment(
        "What every kubelet's configuration says beyond what clusterctl writes: fields of KubeletConfiguration\n\
         (kubelet.config.k8s.io/v1beta1). A node can have a kubelet: of its own, which comes on top; null takes a field\n\
         away again. What would undo trust is refused.",
    );
    match &draft.kubelet {
        Written::Nothing => file.line(
            "# kubelet:\n\
             #   clusterDNS: [\"10.96.0.10\"]\n\
             #   clusterDomain: \"cluster.local\"\n\
             #   cgroupDriver: \"systemd\"\n\
             #   systemReserved: {cpu: \"200m\", memory: \"512Mi\"}",
        ),
        written => file.line(&format!("kubelet: {}", flow(written))),
    }

    file.comment(
        "The hosts that run an API server. addresses is where each is reached, IP addresses and DNS names; all of them\n\
         are in its certificate. apiServerPort is 6443, or the endpoint's port on a master that is the endpoint.\n\
         sealTo is whom its bundle is sealed to: the host's SSH host key, an age recipient, or a list of them.\n\
         An entry looks like this:\n\
         - name: \"master-1\"\n  addresses: [\"10.20.0.11\", \"master-1.example.net\"]",
    );
    file.hosts("masters", "apiServerPort", &draft.masters);

    file.comment(
        "The hosts that run a kubelet. name is the node's name as `kubectl get nodes` shows it; addresses must hold what\n\
         the masters dial, or they would refuse the node's certificate. kubeletPort is 10250. A machine that is both\n\
         stands in both lists. sealTo is as for masters. An entry looks like this:\n\
         - name: \"worker-1\"\n  addresses: [\"10.20.1.11\", \"fd20:1::11\", \"worker-1.example.net\"]",
    );
    file.hosts("nodes", "kubeletPort", &draft.nodes);
    file.0
}

struct File(String);

impl File {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A paragraph of comment, apart from what stands before it.
    fn comment(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        for line in text.lines() {
            self.line(&format!("# {line}"));
        }
    }

    /// `key: "value"`, or, for no value, a comment with the default or an example.
    fn text(&mut self, key: &str, value: Option<&str>, otherwise: &str) {
        match value {
            Some(value) => self.line(&format!("{key}: {}", quoted(value))),
            None => self.line(&format!("# {key}: {otherwise}")),
        }
    }

    /// `key:` with entries of text below; a comment with the defaults where there are none.
    fn mapping(&mut self, key: &str, entries: &[(&str, &Option<String>, &str)]) {
        let any = entries.iter().any(|(_, value, _)| value.is_some());
        self.line(&format!("{}{key}:", if any { "" } else { "# " }));
        for (key, value, default) in entries {
            match value {
                Some(value) => self.line(&format!("  {key}: {}", quoted(value))),
                None => self.line(&format!("#   {key}: {default}")),
            }
        }
    }

    fn hosts(&mut self, list_key: &str, port_key: &str, hosts: &[RawHost]) {
        if hosts.is_empty() {
            self.line(&format!("{list_key}: []"));
            return;
        }
        self.line(&format!("{list_key}:"));
        for host in hosts {
            let mut lead = "- ";
            if let Some(name) = &host.name {
                self.line(&format!("{lead}name: {}", quoted(name)));
                lead = "  ";
            }
            self.line(&format!("{lead}addresses: {}", list(&host.addresses)));
            if let Some(port) = &host.port {
                self.line(&format!("  {port_key}: {}", number_or_quoted(port)));
            }
            if host.kubelet != Written::Nothing {
                self.line(&format!("  kubelet: {}", flow(&host.kubelet)));
            }
            match &host.seal_to {
                OneOrMore::One(text) => self.line(&format!("  sealTo: {}", quoted(text))),
                OneOrMore::More(texts) if texts.is_empty() => {}
                OneOrMore::More(texts) => self.line(&format!("  sealTo: {}", list(texts))),
            }
        }
    }
}

/// On one line. A key of a mapping may stand in quotes, too.
fn flow(written: &Written) -> String {
    match written {
        Written::Nothing => "null".to_owned(),
        Written::Text(text) => quoted(text),
        Written::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Written::Mapping(entries) => {
            let entry = |(key, value): &(String, Written)| format!("{}: {}", quoted(key), flow(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Digits alone are the same number and the same text to everybody, unless they begin with 0.
fn number_or_quoted(text: &str) -> String {
    let number = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if number { text.to_owned() } else { quoted(text) }
}

/// A double-quoted scalar in plain ASCII (YAML 1.1 and 1.2 § 5.7). JSON's quoting would leave U+0085, U+2028 and their
/// kind as they are, which YAML 1.1 takes for line breaks.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        let code = u32::from(c);
        // Writing to a String does not fail.
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            ' '..='~' => write!(out, "{c}"),
            _ if code <= 0xFF => write!(out, "\\x{code:02x}"),
            _ if code <= 0xFFFF => write!(out, "\\u{code:04x}"),
            _ => write!(out, "\\U{code:08x}"),
        };
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_plain_ascii_on_one_line() {
        assert_eq!(quoted("on"), "\"on\"");
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\x0a\"");
        assert_eq!(quoted("\u{85}\u{2028}\u{1f600}"), "\"\\x85\\u2028\\U0001f600\"");
    }

    #[test]
    fn a_port_is_a_number_only_where_all_readers_agree_on_it() {
        assert_eq!(number_or_quoted("10250"), "10250");
        for other in ["", "0", "010", "0x1", "1_0", "+1", "123456", "10:30"] {
            assert_eq!(number_or_quoted(other), format!("\"{other}\""));
        }
    }
}
