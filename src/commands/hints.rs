//! What to type instead of a command or flag that is not clusterctl's: habits of other programs, Cluster API's `clusterctl` first.

use clap::error::{ContextKind, ContextValue, ErrorKind};

const RENEW: &str = "to renew, issue again: clusterctl issue-master --all --renew-within 30d, clusterctl issue-node --all \
                     --renew-within 30d, then clusterctl bundle --all";
const STATUS: &str = "to check the live cluster: clusterctl verify; to check the directory and what ends soon: clusterctl verify \
                      --offline";
const LIST: &str = "hosts are listed in cluster.yaml, and their certificates by: clusterctl verify --offline --verbose; clusterctl \
                    show FILE describes one";
const SHOW: &str = "to describe a certificate, key, kubeconfig or bundle: clusterctl show FILE";
const REMOVE: &str = "to take a host out: clusterctl revoke HOST, remove it from cluster.yaml, then clusterctl policy";
const JOIN: &str = "to add a host: add it to cluster.yaml, then clusterctl issue-node HOST and clusterctl bundle HOST, and run the \
                    bundle's install.sh on the host";
const ISSUE: &str = "to issue: clusterctl issue-master, clusterctl issue-node or clusterctl issue-admin";
const REQUEST: &str = "requests are not signed here: clusterctl issue-node HOST and clusterctl issue-master HOST make the key and the \
                       certificate, and clusterctl show FILE explains a request";
const APPLY: &str = "cluster.yaml is applied by: clusterctl issue-master --all, clusterctl issue-node --all, then clusterctl bundle \
                     --all; each does what is missing";
const PLAN: &str = "to see what would be issued, and why: clusterctl issue-node --all --dry-run, clusterctl issue-master --all \
                    --dry-run";

/// Words that people try, and what does it here.
const HABITS: &[(&[&str], &str)] = &[
    (&["renew", "renewal", "reissue", "refresh", "rotate", "renew-cert", "rekey"], RENEW),
    (
        &[
            "status",
            "check",
            "health",
            "doctor",
            "test",
            "ping",
            "audit",
            "check-expiration",
            "expiration",
            "expiry",
            "wait",
        ],
        STATUS,
    ),
    (&["validate", "lint"], "to check cluster.yaml and all that was made from it: clusterctl verify --offline"),
    (&["list", "ls", "get", "nodes", "masters", "hosts", "log", "logs", "history", "events"], LIST),
    (
        &[
            "certs",
            "cert",
            "certificates",
            "certificate",
            "certinfo",
            "show-cert",
            "inspect",
            "explain",
            "view",
            "cat",
            "print",
            "info",
            "dump",
            "decode",
        ],
        SHOW,
    ),
    (&["delete", "remove", "rm", "drain", "cordon", "reset", "remove-node", "delete-node"], REMOVE),
    (&["join", "add", "enroll", "node", "master", "add-node", "add-master", "register", "token", "token-create"], JOIN),
    (&["apply", "sync", "update", "up"], APPLY),
    (&["plan", "diff"], PLAN),
    (&["create", "new", "setup", "bootstrap"], "to begin: clusterctl init, then clusterctl init-ca"),
    (
        &["ca", "init-pki", "pki", "build-ca", "gen-ca", "create-ca", "new-ca", "selfsign"],
        "to create the root CAs: clusterctl init-ca",
    ),
    (
        &["import", "import-ca", "adopt"],
        "no CA that another tool made is taken over; a new one is made by: clusterctl init-ca",
    ),
    (&["issue", "gencert", "genkey", "build-server-full", "build-client-full", "gen-cert"], ISSUE),
    (&["sign", "approve", "csr", "request", "gen-req", "import-req", "sign-req", "deny"], REQUEST),
    (
        &["edit", "set", "patch", "config-set"],
        "hosts and settings are in cluster.yaml, which is edited by hand; clusterctl init writes one",
    ),
    (&["kubeconfig", "admin", "login"], "to make an administrator's kubeconfig: clusterctl issue-admin"),
    (
        &["pack", "package", "export", "render", "deploy", "install"],
        "to pack what a host installs: clusterctl bundle HOST",
    ),
    (&["unpack", "extract", "decrypt", "unseal"], "to open a bundle: clusterctl open FILE"),
    (
        &["seal", "encrypt"],
        "to seal bundles to their hosts: clusterctl bundle --all --known-hosts FILE, or sealTo in cluster.yaml",
    ),
    (
        &["crl", "gen-crl", "gencrl", "ocsp", "ocspsign", "revoke-renewed"],
        "to revoke, or to sign the revocation lists again: clusterctl revoke HOST, clusterctl revoke --renew",
    ),
    (&["serve", "bundle-verify", "prove", "connect", "healthcheck"], STATUS),
    (&["rbac", "rights"], "to write or print what the accounts may do: clusterctl policy, clusterctl policy --check"),
    (&["completion", "complete"], "to print a shell's completions: clusterctl completions bash"),
    (&["docs"], "to write the man pages: clusterctl man FOLDER"),
];

/// Commands of Cluster API's `clusterctl` that are none here.
const CLUSTER_API_COMMANDS: &[&str] =
    &["generate", "describe", "move", "upgrade", "config", "alpha", "rollout", "topology", "backup", "restore"];
/// Commands that both could have.
const OF_BOTH: &[&str] = &["delete", "get", "completion", "validate"];
/// Flags of Cluster API's `clusterctl` that are none here.
const CLUSTER_API_FLAGS: &[&str] = &[
    "--infrastructure",
    "-i",
    "--bootstrap",
    "-b",
    "--control-plane",
    "-c",
    "--core",
    "--ipam",
    "--addon",
    "--runtime-extension",
    "--target-namespace",
    "--namespace",
    "-n",
    "--kubeconfig-context",
    "--flavor",
    "--kubernetes-version",
    "--worker-machine-count",
    "--control-plane-machine-count",
    "--list-images",
    "--wait-providers",
    "--to-kubeconfig",
    "--to-directory",
    "--config",
    "--skip-template-process",
];
const NOT_CLUSTER_API: &str =
    "this is not Cluster API's clusterctl, but a program of the same name for clusters built by hand";

/// Replaces clap's tips where they would mislead.
pub fn improve(error: &mut clap::Error) {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand => named(ContextKind::InvalidSubcommand).and_then(|word| of_command(&word)),
        ErrorKind::UnknownArgument => {
            let flag = named(ContextKind::InvalidArg).unwrap_or_default();
            // "to pass '--force' as a value": no command takes one that begins with a dash.
            error.remove(ContextKind::Suggested);
            let flag = flag.split(['=', ' ']).next().unwrap_or_default();
            CLUSTER_API_FLAGS.contains(&flag).then(|| NOT_CLUSTER_API.to_owned())
        }
        _ => None,
    };
    if let Some(tip) = tip {
        // What is spelt alike does something else.
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
}

/// What does here what `word` does elsewhere.
fn of_command(word: &str) -> Option<String> {
    if CLUSTER_API_COMMANDS.contains(&word) {
        return Some(NOT_CLUSTER_API.to_owned());
    }
    let lower = word.to_ascii_lowercase().replace('_', "-");
    let (_, hint) = HABITS.iter().find(|(words, _)| words.contains(&lower.as_str()))?;
    Some(match OF_BOTH.contains(&word) {
        true => format!("{hint} ({NOT_CLUSTER_API})"),
        false => (*hint).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::commands::tree::Cli;

    fn said(line: &str) -> String {
        let mut error = Cli::try_parse_from(line.split(' ')).expect_err(line);
        improve(&mut error);
        error.to_string()
    }

    #[test]
    fn every_command_that_a_hint_names_is_one() {
        let names: Vec<String> = Cli::command().get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
        for (words, hint) in HABITS {
            for named in hint.split("clusterctl ").skip(1).filter_map(|rest| rest.split([' ', ',', ';']).next()) {
                assert!(named.starts_with("--") || names.iter().any(|name| name == named), "{hint}: {named}");
            }
            assert!(words.iter().all(|word| !names.iter().any(|name| name == word)), "{words:?}");
        }
    }

    #[test]
    fn habitual_verbs_get_a_hint_and_no_command_that_is_only_spelt_alike() {
        for word in [
            "renew",
            "status",
            "list",
            "get",
            "validate",
            "delete",
            "remove",
            "join",
            "apply",
            "plan",
            "token",
            "gen-crl",
            "sign-req",
            "build_ca",
            "Import-CA",
            "check-expiration",
            "edit",
        ] {
            let said = said(&format!("clusterctl {word} wk1"));
            assert!(said.contains("tip: ") && !said.contains("similar"), "{said}");
        }
        assert!(said("clusterctl isue-node wk1").contains("issue-node"), "a typing error is still one");
    }

    #[test]
    fn cluster_apis_words_are_named_as_such() {
        for line in [
            "clusterctl generate cluster c",
            "clusterctl init --infrastructure docker",
            "clusterctl move",
            "clusterctl init -i aws",
        ] {
            assert!(said(line).contains("not Cluster API's"), "{line}: {}", said(line));
        }
    }

    #[test]
    fn an_unknown_flag_is_not_to_be_passed_as_a_value() {
        let said = said("clusterctl issue-node on --force");
        assert!(!said.contains("as a value"), "{said}");
    }
}
