//! Tips for commands and flags that clusterctl does not have, but other programs do, such as Cluster API's `clusterctl`.

use clap::error::{ContextKind, ContextValue, ErrorKind};

const RENEW: &str = "to renew what is due: clusterctl renew --all, then clusterctl bundle --all";
const ROTATE: &str = "to renew what is due: clusterctl renew --all; to replace a CA: clusterctl rotate-ca start";
const STATUS: &str = "to see what expires and what is due: clusterctl status; to check the live cluster: clusterctl verify; to check \
                      every file of the directory: clusterctl verify --offline";
const LIST: &str = "hosts are listed in cluster.yaml; to describe what a host has now: clusterctl show HOST; to see what was issued: \
                    clusterctl log";
const SHOW: &str = "to describe a certificate, key, kubeconfig or bundle: clusterctl show FILE";
const REMOVE: &str = "to remove a host: remove it from cluster.yaml, then clusterctl remove HOST";
const JOIN: &str = "to add a host: add it to cluster.yaml, then clusterctl apply, and run the bundle's install.sh on the host; or let it \
     join over the network: clusterctl token create HOST, and clusterctl join on the host";
const ISSUE: &str = "to issue: clusterctl issue-master, clusterctl issue-node or clusterctl issue-admin";
const REQUEST: &str = "a node makes its keys and a request with clusterctl request HOST; clusterctl sign FILE signs requests of any tool, \
                       and clusterctl show FILE describes one";
#[cfg(feature = "server")]
const REVIEW: &str = "to review requests that hosts sent: clusterctl csr list, clusterctl csr approve NAME";
#[cfg(not(feature = "server"))]
const REVIEW: &str = REQUEST;
const APPLY: &str = "to make everything match cluster.yaml: clusterctl apply";
const PLAN: &str = "to see what apply would change, and why: clusterctl plan";

/// Commands of other programs, and the tip for each.
const FOREIGN_COMMANDS: &[(&[&str], &str)] = &[
    (&["renewal", "reissue", "refresh", "renew-cert"], RENEW),
    (&["rotate", "rekey"], ROTATE),
    (
        &["check", "health", "doctor", "test", "ping", "audit", "check-expiration", "expiration", "expiry", "wait"],
        STATUS,
    ),
    (
        &["scan", "analyze", "analyse", "vet", "certlint", "zlint"],
        "to check the files of any PKI: clusterctl lint FILE; everything made from cluster.yaml: clusterctl verify --offline",
    ),
    (&["list", "ls", "get", "nodes", "masters", "hosts"], LIST),
    (&["logs", "history", "events"], "to see who issued and revoked what, and when: clusterctl log"),
    (
        &[
            "certs",
            "cert",
            "certificates",
            "certificate",
            "certinfo",
            "show-cert",
            "inspect",
            "view",
            "cat",
            "print",
            "info",
            "dump",
            "decode",
        ],
        SHOW,
    ),
    (&["delete", "rm", "drain", "cordon", "reset", "remove-node", "delete-node"], REMOVE),
    (&["add", "enroll", "node", "master", "add-node", "add-master", "token-create"], JOIN),
    (&["sync", "update", "up", "converge", "reconcile"], APPLY),
    (&["diff", "preview"], PLAN),
    (&["create", "new", "setup", "bootstrap"], "to start: clusterctl init, then clusterctl init-ca"),
    (
        &["ca", "init-pki", "pki", "build-ca", "gen-ca", "create-ca", "new-ca", "selfsign"],
        "to create the root CAs: clusterctl init-ca",
    ),
    (
        &["import", "adopt"],
        "to import a CA of another tool: clusterctl import-ca; certificates that it issued: clusterctl ledger adopt",
    ),
    (&["issue", "gencert", "genkey", "build-server-full", "build-client-full", "gen-cert"], ISSUE),
    (&["approve", "deny"], REVIEW),
    (&["gen-req", "import-req", "sign-req"], REQUEST),
    (
        &["edit", "set", "patch", "config-set"],
        "hosts and settings are in cluster.yaml, which is edited by hand; clusterctl init writes one",
    ),
    (&["kubeconfig", "admin", "login"], "to make an administrator's kubeconfig: clusterctl issue-admin"),
    (
        &["pack", "package", "export", "render", "deploy", "install"],
        "to pack what a host installs: clusterctl bundle HOST",
    ),
    (&["unpack", "extract", "decrypt", "unseal"], "to decrypt and unpack a bundle: clusterctl open FILE"),
    (
        &["seal", "encrypt"],
        "to encrypt bundles to their hosts: clusterctl bundle --all --known-hosts FILE, or sealTo in cluster.yaml",
    ),
    (
        &["gen-crl", "gencrl", "ocsp", "ocspsign", "revoke-renewed"],
        "to revoke, or to sign the CRLs again: clusterctl revoke HOST, clusterctl crl renew",
    ),
    (&["bundle-verify", "prove", "connect", "healthcheck"], STATUS),
    (&["rbac", "rights"], "to write or print the accounts' rights: clusterctl policy, clusterctl policy --check"),
    (&["completion", "complete"], "to print a shell's completions: clusterctl completions bash"),
    (&["describe"], "to describe a host, a certificate, a key, a kubeconfig or a bundle: clusterctl show HOST or FILE"),
    (&["generate", "gen"], ISSUE),
    (
        &["move", "mv", "migrate"],
        "to move the cluster directory to another machine: clusterctl backup FILE, and clusterctl restore FILE there",
    ),
    (
        &["config", "configure", "settings"],
        "settings are in cluster.yaml: clusterctl init writes it, clusterctl explain describes its keys, clusterctl validate checks it",
    ),
    (&["docs"], "to write the man pages: clusterctl man DIR"),
];

/// Commands of Cluster API's `clusterctl` that this one does not have.
const CLUSTER_API_COMMANDS: &[&str] = &[
    "generate",
    "describe",
    "move",
    "upgrade",
    "config",
    "alpha",
    "rollout",
    "topology",
    "delete",
    "get",
    "completion",
];
/// Flags of Cluster API's `clusterctl` that this one does not have.
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

/// Replaces clap's tips where they would be misleading.
pub fn improve(error: &mut clap::Error) {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand => named(ContextKind::InvalidSubcommand).and_then(|word| of_command(&word)),
        ErrorKind::UnknownArgument => {
            let flag = named(ContextKind::InvalidArg).unwrap_or_default();
            // "to pass '--force' as a value": no command takes a value that begins with a dash.
            error.remove(ContextKind::Suggested);
            let flag = flag.split(['=', ' ']).next().unwrap_or_default();
            CLUSTER_API_FLAGS.contains(&flag).then(|| NOT_CLUSTER_API.to_owned())
        }
        _ => None,
    };
    if let Some(tip) = tip {
        // The command with the most similar name does something else.
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
}

/// Returns the tip for a command of another program.
fn of_command(word: &str) -> Option<String> {
    let lower = word.to_ascii_lowercase().replace('_', "-");
    let hint = FOREIGN_COMMANDS.iter().find(|(words, _)| words.contains(&lower.as_str())).map(|(_, hint)| *hint);
    match (hint, CLUSTER_API_COMMANDS.contains(&word)) {
        (Some(hint), true) => Some(format!("{hint} ({NOT_CLUSTER_API})")),
        (Some(hint), false) => Some(hint.to_owned()),
        (None, true) => Some(NOT_CLUSTER_API.to_owned()),
        (None, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::commands::tree::Cli;

    /// Returns the tip of a usage error, other than similar names.
    fn suggestions(line: &str) -> Option<String> {
        let mut error = Cli::try_parse_from(line.split(' ')).expect_err(line);
        improve(&mut error);
        match error.get(ContextKind::Suggested) {
            Some(ContextValue::StyledStrs(tips)) => tips.first().map(ToString::to_string),
            _ => None,
        }
    }

    #[test]
    fn every_command_that_a_hint_names_is_one() {
        let names: Vec<String> = Cli::command().get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
        for (words, hint) in FOREIGN_COMMANDS {
            for named in hint.split("clusterctl ").skip(1).filter_map(|rest| rest.split([' ', ',', ';']).next()) {
                assert!(named.starts_with("--") || names.iter().any(|name| name == named), "{hint}: {named}");
            }
            assert!(words.iter().all(|word| !names.iter().any(|name| name == word)), "{words:?}");
        }
    }

    #[test]
    fn a_command_of_another_program_gets_a_tip_instead_of_a_similar_name() {
        for (words, _) in FOREIGN_COMMANDS {
            for word in *words {
                assert!(suggestions(&format!("clusterctl {word} wk1")).is_some(), "{word}");
            }
        }
        for word in ["build_ca", "Build-CA"] {
            assert!(suggestions(&format!("clusterctl {word} wk1")).is_some(), "{word}");
        }
        assert!(suggestions("clusterctl isue-node wk1").is_none(), "a typing error keeps clap's own tip");
    }

    #[test]
    fn commands_and_flags_of_cluster_api_are_named_as_such() {
        for line in [
            "clusterctl generate cluster c",
            "clusterctl init --infrastructure docker",
            "clusterctl move",
            "clusterctl init -i aws",
            "clusterctl upgrade plan",
        ] {
            assert!(suggestions(line).is_some_and(|tip| tip.contains(NOT_CLUSTER_API)), "{line}");
        }
    }

    #[test]
    fn a_command_of_cluster_api_with_an_equivalent_here_also_names_that() {
        for (word, named) in [
            ("describe", "clusterctl show"),
            ("generate", "clusterctl issue-node"),
            ("move", "clusterctl backup"),
            ("mv", "clusterctl backup"),
            ("config", "cluster.yaml"),
        ] {
            assert!(suggestions(&format!("clusterctl {word}")).is_some_and(|tip| tip.contains(named)), "{word}");
        }
    }

    #[test]
    fn an_unknown_flag_is_not_to_be_passed_as_a_value() {
        assert!(suggestions("clusterctl issue-node on --force").is_none());
    }
}
