//! The examples: systemd's units, and Prometheus's rules, which must only use existing metrics.

use std::path::{Path, PathBuf};

use clap::Parser;
use clusterctl::app::status::State;
use clusterctl::commands::tree::Cli;
use time::Duration;

use crate::support::outside::needs;
use crate::support::{Lab, NOW, forms, tool};

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

#[test]
fn systemd_reads_the_units() {
    needs!("systemd-analyze");
    let lab = Lab::empty();
    let program = format!("={} ", env!("CARGO_BIN_EXE_clusterctl"));
    let mut units: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(example("systemd")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a text");
        let text = std::fs::read_to_string(example("systemd").join(&name)).expect("a unit");
        lab.write(&name, &text.replace("=clusterctl ", &program));
        units.push(name);
    }
    assert_eq!(units.len(), 11, "{units:?}");
    for name in &units {
        let unit = lab.path(name).display().to_string();
        let verified = tool("systemd-analyze", &["verify", "--man=no", "--recursive-errors=no", &unit]);
        let said = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("clusterctl")).collect();
        assert!(ours.is_empty(), "{ours:#?}");
    }
}

#[test]
fn alerts_use_only_existing_metrics() {
    needs!("python3-yaml");
    let text = std::fs::read_to_string(example("prometheus/clusterctl.rules.yml")).expect("rules");
    let rules = crate::support::pyyaml(&text);
    let lab = Lab::issued();
    // So that there is a CRL.
    lab.good(&["revoke", "--yes", "worker-b1"]);
    let metrics = lab.run(&["status", "--output", "prometheus"]).out
        + &lab.run(&["verify", "--offline", "--output", "prometheus"]).out;
    let rules = rules["groups"][0]["rules"].as_array().expect("rules");
    assert!(rules.len() >= 4);
    for rule in rules {
        let expr = rule["expr"].as_str().expect("an expression");
        let at = expr.find("clusterctl_").unwrap_or_else(|| panic!("{expr}"));
        let name = expr[at..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().expect("a name");
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{expr}");
    }
    for state in State::ALL.into_iter().filter(|state| *state != State::Valid) {
        let tells =
            |rule: &serde_json::Value| rule["expr"].as_str().is_some_and(|expr| has_state(expr, state.as_str()));
        assert!(rules.iter().any(tells), "no alert tells of {state:?}");
    }
}

/// Returns true if an expression selects the rows of a state.
fn has_state(expr: &str, state: &str) -> bool {
    let quoted = expr.split_once("state=").and_then(|(_, rest)| rest.split('"').nth(1));
    quoted.is_some_and(|states| states.split('|').any(|one| one == state))
}

#[test]
fn units_run_existing_commands_with_existing_flags() {
    let mut commands = 0;
    for name in ["status", "renew", "verify", "serve-ca", "serve-bootstrap", "announce"] {
        let unit =
            std::fs::read_to_string(example("systemd").join(format!("clusterctl-{name}.service"))).expect("a unit");
        for line in unit.lines().filter_map(|line| line.strip_prefix("ExecStart=clusterctl ")) {
            let parsed = Cli::try_parse_from(["clusterctl"].into_iter().chain(line.split(' ')));
            assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
            commands += 1;
        }
    }
    assert_eq!(commands, 7);
}

#[test]
fn promtool_accepts_the_metrics_and_the_alerts() {
    needs!("promtool");
    let rules = example("prometheus/clusterctl.rules.yml").display().to_string();
    let checked = tool("promtool", &["check", "rules", &rules]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let mut lab = Lab::issued();
    lab.good(&["issue-admin", "alice", "--validity", "30d"]);
    for days in [0, 25, 400] {
        lab.now = NOW + Duration::days(days);
        if days == 25 {
            lab.good(&["revoke", "--yes", "worker-b1"]);
        }
        let status = lab.run(&["status", "--output", "prometheus"]).out;
        let verify = lab.run(&["verify", "--offline", "--output", "prometheus"]).out;
        let verdict =
            |exit: u8| format!("\nclusterctl_verify_success{{cluster=\"prod\",looked_at=\"directory\"}} {exit}\n");
        assert!(verify.contains(&verdict(u8::from(days == 0))), "{verify}");
        for metrics in [status, verify] {
            assert_eq!(forms::verdict("promtool", &["check", "metrics"], &metrics), Ok(()), "{metrics}");
        }
    }
}
