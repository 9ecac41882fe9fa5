//! The examples: systemd's units, and the rules of Prometheus, which name metrics that there are.

use std::path::{Path, PathBuf};

use crate::support::outside::needs;
use crate::support::{Lab, tool};

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

#[test]
fn systemd_reads_the_units() {
    needs!("systemd-analyze");
    let lab = Lab::empty();
    let program = format!("={} ", env!("CARGO_BIN_EXE_clusterctl"));
    for name in ["clusterctl-status.service", "clusterctl-status.timer"] {
        let text = std::fs::read_to_string(example("systemd").join(name)).expect("a unit");
        lab.write(name, &text.replace("=clusterctl ", &program));
    }
    for name in ["clusterctl-status.service", "clusterctl-status.timer"] {
        let unit = lab.path(name).display().to_string();
        let verified = tool("systemd-analyze", &["verify", "--man=no", "--recursive-errors=no", &unit]);
        let said = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("clusterctl")).collect();
        assert!(ours.is_empty(), "{ours:#?}");
    }
}

#[test]
fn the_alerts_are_about_metrics_that_there_are() {
    needs!("python3-yaml");
    let text = std::fs::read_to_string(example("prometheus/clusterctl.rules.yml")).expect("rules");
    let rules = crate::support::pyyaml(&text);
    let lab = Lab::issued();
    let metrics = lab.good(&["status", "--output", "prometheus"]).out;
    let rules = rules["groups"][0]["rules"].as_array().expect("rules");
    assert!(rules.len() >= 4);
    for rule in rules {
        let expr = rule["expr"].as_str().expect("an expression");
        let at = expr.find("clusterctl_").unwrap_or_else(|| panic!("{expr}"));
        let name = expr[at..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().expect("a name");
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{expr}");
    }
}
