//! What a report says of what helps: by what the cluster was made with. Each fault is judged as the same cluster seen from its
//! directory, from a bundle, and by files and addresses that another tool wrote.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::verify::finding::{Finding, Status};
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use clusterctl::verify::recording::Recording;
use clusterctl::verify::remedy::{Remedy, Server, TargetKind};
use clusterctl::verify::report::Report;
use clusterctl::verify::target::Place;
use serde_json::Value;

use super::lab::{Lab, lab};

/// What no report of another tool's cluster says.
const OURS: [&str; 6] = ["clusterctl", "bundle", "cluster file", "cluster directory", "policy/", "ledger"];

/// The hints and expectations of a report, as its reader has them.
fn said(report: &Report) -> Vec<String> {
    let json: Value = serde_json::from_str(&report.to_json()).expect("JSON");
    let results = json["results"].as_array().expect("results").iter();
    let texts = results.flat_map(|result| [&result["hint"], &result["expected"]]);
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn report(lab: &Lab, findings: &[Finding], kind: TargetKind) -> Report {
    let mut target = (*lab.target).clone();
    target.kind = kind;
    Report::new(&target, findings.to_vec(), clusterctl::verify::finding::Strictness::default(), lab.now, lab.now)
}

fn names_ours(text: &str) -> bool {
    OURS.iter().any(|ours| text.contains(ours))
}

/// Every fault, and hosts that nothing listens at.
fn faults() -> Vec<(String, Lab, Vec<Finding>)> {
    let options = || Options {
        timeout: std::time::Duration::from_secs(2),
        lease_pause: std::time::Duration::from_millis(50),
        ..Options::default()
    };
    let judged = |name: String, lab: Lab| {
        let seen = run(&lab.target, &options(), lab.now, &|_, _| {}).expect("a network");
        let findings = lab.judge(&seen);
        (name, lab, findings)
    };
    let mut all: Vec<_> =
        InjectedFault::ALL.into_iter().map(|fault| judged(fault.to_string(), lab(1, 2, Some(fault)))).collect();
    let mut silent = lab(1, 2, None);
    let mut target = (*silent.target).clone();
    (target.nodes[1].port, target.masters[0].port) = (1, 1);
    silent.target = Arc::new(target);
    all.push(judged("silent".to_owned(), silent));
    all
}

#[test]
fn hints_are_worded_by_what_the_cluster_was_made_with() {
    let mut ours = BTreeSet::new();
    let mut kubeadms = BTreeSet::new();
    for (name, lab, findings) in faults() {
        for kind in [TargetKind::Other, TargetKind::Kubeadm] {
            let wrong: Vec<String> =
                said(&report(&lab, &findings, kind)).into_iter().filter(|t| names_ours(t)).collect();
            assert_eq!(wrong, Vec::<String>::new(), "{name} {kind:?}");
        }
        let commands = |kind, tool: &str| -> Vec<String> {
            said(&report(&lab, &findings, kind)).into_iter().filter(|text| text.contains(tool)).collect()
        };
        ours.extend(commands(TargetKind::Directory, "clusterctl "));
        kubeadms.extend(commands(TargetKind::Kubeadm, "kubeadm "));
        assert_eq!(commands(TargetKind::Other, "kubeadm"), Vec::<String>::new(), "{name}");
        let helpless = findings.iter().find(|f| f.status == Status::Fail && f.hint.is_none());
        assert_eq!(helpless, None, "{name}");
    }
    for command in ["clusterctl issue-node", "clusterctl init-ca"] {
        assert!(ours.iter().any(|text| text.contains(command)), "{command}: {ours:#?}");
    }
    assert!(!kubeadms.is_empty());
}

#[test]
fn every_remedy_has_words_for_every_kind_and_none_of_ours_for_others() {
    let server = |place| Server { place, host: "h1".to_owned() };
    let host = || "h1".to_owned();
    let by_server = [Place::Node, Place::Master, Place::Endpoint].into_iter().flat_map(|place| {
        [
            Remedy::Reissue(server(place)),
            Remedy::Renew(server(place)),
            Remedy::ReissueForServers(server(place)),
            Remedy::ReissueWithNames(server(place)),
            Remedy::ServeOurs(server(place)),
            Remedy::ServeWholeChain(server(place)),
            Remedy::Start(server(place)),
            Remedy::Deny { server: server(place), no_rule: true },
            Remedy::Deny { server: server(place), no_rule: false },
        ]
    });
    let rest = [
        Remedy::NameServingFiles,
        Remedy::ServeNewest { host: host() },
        Remedy::ReissueClient { host: host() },
        Remedy::ReplaceRoot,
        Remedy::GrantVerifier { what: "get nodes/configz".into() },
        Remedy::AllowMasters,
        Remedy::KubeletSettings,
        Remedy::ApiServerFlags,
        Remedy::GrantNodes,
        Remedy::NarrowNodes,
        Remedy::NarrowReads,
        Remedy::RefuseWrites,
        Remedy::LetVerifierAsk,
        Remedy::RegisterNode,
        Remedy::ListNodes,
        Remedy::CorrectAddresses,
        Remedy::RewriteKubeconfig,
    ];
    for remedy in by_server.chain(rest) {
        for kind in [TargetKind::Directory, TargetKind::Bundle] {
            assert!(!remedy.words(kind).is_empty() && !remedy.words(kind).contains("kubeadm"), "{remedy:?}");
        }
        for kind in [TargetKind::Kubeadm, TargetKind::Other] {
            assert!(!names_ours(&remedy.words(kind)) && !remedy.words(kind).is_empty(), "{remedy:?}");
        }
        assert!(!remedy.words(TargetKind::Other).contains("/etc/kubernetes"), "{remedy:?}");
        let text = serde_json::to_string(&remedy).expect("JSON");
        assert_eq!(serde_json::from_str::<Remedy>(&text).expect("the same"), remedy, "{text}");
    }
    // As recordings of older versions have it.
    assert_eq!(serde_json::from_str::<Remedy>("\"look there\"").expect("words"), "look there".into());
}

/// The checks make data of what helps; only what is nobody's command is text there.
#[test]
fn no_check_holds_a_command_of_ours() {
    let verify = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/verify");
    let files = [verify.join("checks"), verify.clone()]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()));
    for path in files.filter(|path| path.extension().is_some_and(|e| e == "rs") && !path.ends_with("remedy.rs")) {
        let text = std::fs::read_to_string(&path).expect("readable");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let command = ["issue-", "init", "bundle", "revoke", "policy"]
                .iter()
                .any(|c| line.contains(&format!("clusterctl {c}")));
            let paper = line.contains("bundle") || line.contains("cluster file");
            assert!(!command && !paper, "{}:{}: {line}", path.display(), at + 1);
        }
    }
}

#[test]
fn a_recording_keeps_who_made_the_cluster() {
    let mut lab = lab(1, 2, Some(InjectedFault::ExpiredNode));
    let mut target = (*lab.target).clone();
    target.kind = TargetKind::Kubeadm;
    lab.target = Arc::new(target);
    let clock = clusterctl::verify::checks::Clock { now: lab.now, expires_within: time::Duration::days(30) };
    let strictness = clusterctl::verify::finding::Strictness::default();
    let recording = Recording::new(&lab.target, Vec::new(), lab.observe(), clock, strictness, lab.now);
    let again = Recording::from_bytes(&recording.to_bytes().expect("written")).expect("read").report();
    assert_eq!(again, recording.report());
    assert_eq!(again.kind, TargetKind::Kubeadm);
}
