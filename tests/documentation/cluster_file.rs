//! The reference page of the cluster file, generated from the table of keys.

use std::fmt::Write;

use clusterctl::config::key_docs::{self, KeyDoc};
use clusterctl::config::keys::Value;

const INTRODUCTION: &str = "\
# Cluster file

<!-- Generated from src/config/keys.rs. CONTRIBUTING.md says how. -->

`cluster.yaml` describes a cluster: its name, its members, and how their certificates are made. Every command reads it, and none but
`init` writes it. It is YAML, UTF-8, at most 32 MiB. A minimal file has a name and one master:

```yaml
apiVersion: clusterctl/v1
kind: Cluster
name: homelab
masters:
- {name: pi-1, addresses: [192.168.1.10]}
nodes:
- {name: pi-2, addresses: [192.168.1.11]}
```

Scalars are read as they are written: a node called `on`, `no` or `1e3` keeps its name. Unknown and repeated keys, and values of
another type, are errors; all errors are reported together, each with its path and line. Of more than 100 errors a message lists the first
100; `clusterctl validate --output json` lists up to 10,000.

`clusterctl validate` checks only the file, and `clusterctl explain KEY` prints what is here about a key.

Editors complete and check the file by [`schemas/cluster.schema.json`](../../../schemas/cluster.schema.json), which
`clusterctl explain --schema` prints. For editors with the YAML language server, write this line at the top of the file, with the path or the address of the schema:

```yaml
# yaml-language-server: $schema=cluster.schema.json
```

The schema knows types, names and formats. Only the program checks the rules between keys, which are [below](#rules-between-keys),
and those that protect [trust](kubelet-settings.md).

## Keys
";

const RULES: &str = "
## Rules between keys

- With several masters `endpoint` is required.
- `validity.master` and `validity.node` are at most `validity.ca`; `renewBefore` is shorter than both.
- Names are unique in their list, and so are addresses. A host that is master and node has the same name in both lists.
- No node has a name or an address of an API server: a master's (unless it is the same host), the endpoint, `localhost`, `kubernetes`,
  `kubernetes.default` and its longer forms, or an address in a range of `serviceCIDRs`. No node has another node's name among its
  addresses.
- A master that lists IP addresses has one of the family of the first range in `serviceCIDRs`.
- Host names fit into a certificate's common name: at most 64 characters for a master, and for a node together with the prefix
  `system:node:`. No name ends like a bundle's file, for example in `.tar.gz`.
- A rule of `enrolment.policy` that approves requires more than `inventory`. `approvals` belong to rules with `then: queue`, and need
  `enrolment.allowedSigners`. `insecure-always-approve` has `until`, and no other policy has it.
- Fields of `kubelet` are known to the release in `kubernetes.version`.
";

/// Returns the whole page.
pub(crate) fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n| key | type | default |\n|---|---|---|\n");
    let all = key_docs::all();
    for KeyDoc { path, key } in &all {
        let _ = writeln!(page, "| `{path}` | {} | {} |", key.value.type_name(), key.absent.words());
    }
    for doc in &all {
        section(&mut page, doc);
    }
    page.push_str(RULES);
    page
}

fn section(page: &mut String, KeyDoc { path, key }: &KeyDoc) {
    let _ = write!(page, "\n### `{path}`\n\n{}\n\n", filled(key.description));
    let _ = writeln!(page, "- Type: {}", key.value.type_name());
    if let Some(allowed) = key.value.allowed() {
        let _ = writeln!(page, "- Allowed: {allowed}");
    }
    let _ = writeln!(page, "- Default: {}", key.absent.words());
    let _ = writeln!(page, "- Example: `{}: {}`", key.name, key.example);
    if matches!(key.value, Value::Kubelet) {
        page.push_str("- See: [kubelet settings](kubelet-settings.md)\n");
    }
}

/// Breaks a paragraph into lines of at most 130 characters.
pub(crate) fn filled(text: &str) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 130 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}
