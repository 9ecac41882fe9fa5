//! Writes a `RawCluster` as a commented cluster file. The comments come from the table of keys.
//!
//! Every text is quoted, so that YAML 1.1 and 1.2 readers agree that it is a text.

use std::fmt::Write;

use super::keys::{API_VERSION, Absent, KIND, KUBERNETES, Key, MASTER, NODE, SIGNERS, VALIDITY, Value, key};
use crate::cluster::kubelet::RawValue;
use crate::cluster::signer::{RawSigner, RawSigners};
use crate::cluster::spec::{DEFAULT_SERVICE_CIDR, OneOrMore, RawCluster, RawHost};

/// Comments are wrapped at this column.
const WIDTH: usize = 118;

/// Writes the cluster file for `raw`. An absent key is written as a comment with its default or an example.
#[must_use]
pub fn write(raw: &RawCluster) -> String {
    write_noting(raw, None)
}

/// Like [`write()`], with a comment about the version of Kubernetes.
#[must_use]
pub fn write_noting(raw: &RawCluster, about_version: Option<&str>) -> String {
    let mut file = File(String::with_capacity(4096 + 120 * (raw.masters.len() + raw.nodes.len())));
    file.comment(
        "The hosts of this cluster, and how their certificates are made: clusterctl issues what this file describes. \
         After a change, `clusterctl plan` prints what follows from it, and `clusterctl apply` does it; only what no \
         longer matches is replaced. A line that begins with # is a comment; a key in a comment has its default, or an example. \
         Texts are in quotes because YAML reads some names as something else: a host called on is \"on\".",
    );
    file.line(&format!("apiVersion: {API_VERSION}"));
    file.line(&format!("kind: {KIND}"));
    file.text("name", raw.name.as_deref());
    file.text("endpoint", raw.endpoint.as_deref());
    file.text("accounts", raw.accounts.as_deref());
    file.describe("serviceCIDRs");
    match &raw.service_cidrs {
        Some(cidrs) => file.line(&format!("serviceCIDRs: {}", list(cidrs))),
        None => file.line(&format!("# serviceCIDRs: [{}]", quoted(DEFAULT_SERVICE_CIDR))),
    }
    file.text("clusterDomain", raw.cluster_domain.as_deref());
    file.text("keys", raw.keys.as_deref());
    let validity = [&raw.validity_ca, &raw.validity_master, &raw.validity_node, &raw.validity_admin, &raw.validity_crl];
    file.mapping("validity", &VALIDITY, validity);
    let kubernetes = [&raw.kubernetes_version, &raw.image_repository, &raw.etcd_version];
    file.mapping("kubernetes", &KUBERNETES, kubernetes);
    if let Some(note) = about_version {
        file.wrapped("# ", "# ", note);
    }
    file.text("templates", raw.templates.as_deref());
    file.text("withUnits", raw.with_units.as_deref());
    file.text("renewBefore", raw.renew_before.as_deref());
    file.signers(&raw.signers);
    file.describe("enrolment");
    match &raw.enrolment {
        RawValue::Null => file.line(
            "# enrolment:\n\
             #   listen: \"10.20.0.11:6444\"\n\
             #   policy: \"queue\"",
        ),
        written => file.line(&format!("enrolment: {}", flow(written))),
    }
    file.describe("kubelet");
    match &raw.kubelet {
        RawValue::Null => file.line(
            "# kubelet:\n\
             #   clusterDNS: [\"10.96.0.10\"]\n\
             #   clusterDomain: \"cluster.local\"\n\
             #   cgroupDriver: \"systemd\"\n\
             #   systemReserved: {cpu: \"200m\", memory: \"512Mi\"}",
        ),
        written => file.line(&format!("kubelet: {}", flow(written))),
    }
    file.hosts("masters", &MASTER, "apiServerPort", &raw.masters);
    file.hosts("nodes", &NODE, "kubeletPort", &raw.nodes);
    file.0
}

struct File(String);

impl File {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// Writes a paragraph of comment after an empty line.
    fn comment(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.wrapped("# ", "# ", text);
    }

    /// Writes `text` wrapped, with `first` in front of the first line and `next` in front of the others.
    fn wrapped(&mut self, first: &str, next: &str, text: &str) {
        let mut line = first.to_owned();
        let mut is_empty = true;
        for word in text.split(' ') {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                (line, is_empty) = (next.to_owned(), true);
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        self.line(&line);
    }

    /// Writes the description of a key as a comment, with its choices if it has any.
    fn describe(&mut self, name: &str) {
        let Some(key) = key(name) else { return };
        let choices = match key.value {
            Value::Choice(all) => format!(" One of: {}.", all().join(", ")),
            _ => String::new(),
        };
        self.comment(&format!("{}{choices}", key.description));
    }

    /// Writes `key: "value"`; without a value, a comment with the default or an example.
    fn text(&mut self, name: &str, value: Option<&str>) {
        self.describe(name);
        match (value, key(name)) {
            (Some(value), _) => self.line(&format!("{name}: {}", quoted(value))),
            (None, Some(key)) => self.line(&format!("# {name}: {}", quoted(shown(key)))),
            (None, None) => {}
        }
    }

    /// Writes `name:` with `values` below, one for each of `keys`; or a comment with the defaults if there are no
    /// values.
    fn mapping<const N: usize>(&mut self, name: &str, keys: &[Key; N], values: [&Option<String>; N]) {
        self.describe(name);
        let any = values.iter().any(|value| value.is_some());
        self.line(&format!("{}{name}:", if any { "" } else { "# " }));
        for (key, value) in keys.iter().zip(values) {
            match value {
                Some(value) => self.line(&format!("  {}: {}", key.name, quoted(value))),
                None => self.line(&format!("#   {}: {}", key.name, quoted(shown(key)))),
            }
        }
    }

    fn signers(&mut self, signers: &RawSigners) {
        self.describe("signers");
        let RawSigners { cluster, etcd, front_proxy, next_cluster } = signers;
        let all = [cluster, etcd, front_proxy, next_cluster];
        let any = all.iter().any(|signer| signer.is_some());
        self.line(if any { "signers:" } else { "# signers:" });
        for (key, signer) in SIGNERS.iter().zip(all) {
            match signer {
                Some(signer) => self.line(&format!("  {}: {}", key.name, holder(signer))),
                None => self.line(&format!("#   {}: {}", key.name, key.example)),
            }
        }
    }

    fn hosts(&mut self, list_key: &str, keys: &[Key], port_key: &str, hosts: &[RawHost]) {
        self.describe(list_key);
        for key in keys {
            self.wrapped(&format!("#   {}: ", key.name), "#     ", key.description);
        }
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
            if host.kubelet != RawValue::Null {
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

/// Returns an entry of `signers` on one line.
fn holder(signer: &RawSigner) -> String {
    let exec = signer.exec.as_ref().map(|words| format!("exec: {}", list(words)));
    let texts = [("timeout", &signer.timeout), ("pkcs11", &signer.pkcs11), ("module", &signer.module)];
    let texts = texts.into_iter().filter_map(|(key, text)| Some(format!("{key}: {}", quoted(text.as_ref()?))));
    format!("{{{}}}", exec.into_iter().chain(texts).collect::<Vec<_>>().join(", "))
}

/// Returns the default of a key, or its example.
fn shown(key: &Key) -> &'static str {
    match key.absent {
        Absent::Default(text) => text,
        Absent::Refused | Absent::Rule(_) => key.example,
    }
}

/// Returns the value on one line. Keys of mappings are quoted too.
fn flow(written: &RawValue) -> String {
    match written {
        RawValue::Null => "null".to_owned(),
        RawValue::Text(text) => quoted(text),
        RawValue::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        RawValue::Mapping(entries) => {
            let entry = |(key, value): &(String, RawValue)| format!("{}: {}", quoted(key), flow(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Returns plain digits as they are: every reader agrees on them, unless they begin with 0. Quotes anything else.
fn number_or_quoted(text: &str) -> String {
    let number = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if number { text.to_owned() } else { quoted(text) }
}

/// Returns a double-quoted scalar in plain ASCII (YAML 1.1 and 1.2 § 5.7).
///
/// JSON's quoting would leave U+0085, U+2028 and similar characters as they are, which YAML 1.1 reads as line breaks.
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
    fn quoted_strings_are_ascii_on_one_line() {
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
