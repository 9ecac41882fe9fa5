//! Remedies in reports, which depend on how the cluster was made. Each fault is evaluated for the cluster's directory,
//! for a bundle, and for files and addresses of another tool.

use std::collections::BTreeSet;
use std::sync::Arc;

use clusterctl::cli::finding_remedies::words;
use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::verify::finding::{Finding, Status};
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use clusterctl::verify::recording::Recording;
use clusterctl::verify::remedy::{
    AuthenticationRemedy, AuthorizationRemedy, CertificateRemedy, ConnectionRemedy, HealthRemedy, Program, Remedy,
    Server, TargetKind, TrustRemedy, VerifierRemedy, VerifierRight,
};
use clusterctl::verify::report::Report;
use clusterctl::verify::target::Place;
use serde_json::Value;

use super::lab::{Lab, lab};

/// Words that no report of another tool's cluster contains.
const OURS: [&str; 6] = ["clusterctl", "bundle", "cluster file", "cluster directory", "policy/", "ledger"];

/// Returns the hints and expectations of a report.
fn said(report: &Report) -> Vec<String> {
    let json: Value = serde_json::from_str(&report.to_json(&words)).expect("JSON");
    let results = json["results"].as_array().expect("results").iter();
    let texts = results.flat_map(|result| [&result["hint"], &result["expected"]]);
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn report(lab: &Lab, findings: &[Finding], kind: TargetKind) -> Report {
    let mut target = (*lab.target).clone();
    target.kind = kind;
    Report::new(&target, findings.to_vec(), clusterctl::verify::verdict::Strictness::default(), lab.now, lab.now)
}

fn names_ours(text: &str) -> bool {
    OURS.iter().any(|ours| text.contains(ours))
}

/// Every fault, and hosts without a listener.
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
fn remedies_are_worded_for_the_tool_of_the_cluster() {
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
        let helpless = findings.iter().find(|f| f.status == Status::Fail && f.remedy.is_none());
        assert_eq!(helpless, None, "{name}");
    }
    for command in ["clusterctl issue-node", "clusterctl init-ca"] {
        assert!(ours.iter().any(|text| text.contains(command)), "{command}: {ours:#?}");
    }
    assert!(!kubeadms.is_empty());
}

/// Every remedy of a check; those of a cluster directory are for clusterctl's own clusters alone.
fn remedies() -> Vec<Remedy> {
    let host = || "h1".to_owned();
    let server = |place| Server { place, host: host() };
    let mut all: Vec<Remedy> = Vec::new();
    for place in [Place::Node, Place::Master, Place::Endpoint] {
        let program = Program::at(place);
        all.extend(
            [
                CertificateRemedy::Reissue(server(place)),
                CertificateRemedy::Renew(server(place)),
                CertificateRemedy::ReissueForServers(server(place)),
                CertificateRemedy::ReissueWithNames(server(place)),
                CertificateRemedy::ReissueByPermittedCa(server(place)),
                CertificateRemedy::ReissueByServerCa(server(place)),
                CertificateRemedy::ReissueWithStrongKey(server(place)),
                CertificateRemedy::InstallServingCertificate(server(place)),
                CertificateRemedy::SendIntermediates(server(place)),
                CertificateRemedy::SendChainOnly(server(place)),
            ]
            .map(Remedy::from),
        );
        all.extend(
            [
                ConnectionRemedy::Start(server(place)),
                ConnectionRemedy::RequireTls12 { program },
                ConnectionRemedy::BypassProxy { program },
            ]
            .map(Remedy::from),
        );
        all.extend(
            [
                AuthenticationRemedy::RefuseUnauthenticated { program },
                AuthenticationRemedy::TrustOneClientCa { program },
                AuthenticationRemedy::TrustClusterCa { program },
                AuthenticationRemedy::SetClientCa { program },
            ]
            .map(Remedy::from),
        );
        let denials = |no_rule| AuthorizationRemedy::UpdateDenials { server: server(place), no_rule };
        all.extend([denials(true), denials(false)].map(Remedy::from));
    }
    all.extend(remedies_of_no_server());
    all
}

fn remedies_of_no_server() -> Vec<Remedy> {
    let host = || "h1".to_owned();
    let rights = [VerifierRight::Configz, VerifierRight::Flagz, VerifierRight::Leases];
    let certificate = [
        CertificateRemedy::NameServingFiles,
        CertificateRemedy::ServeNewest { host: host() },
        CertificateRemedy::UseVerifiableKey,
        CertificateRemedy::MatchKeyAndCertificate,
        CertificateRemedy::ReissueClient { host: host() },
        CertificateRemedy::RenewClient,
        CertificateRemedy::ProvideCurrentCrl,
        CertificateRemedy::CompareClocks,
    ];
    let trust = [
        TrustRemedy::KeepOnlyRoots,
        TrustRemedy::RemoveUnusedRoot,
        TrustRemedy::TrustIssuer,
        TrustRemedy::ReplaceRoot,
        TrustRemedy::ImproveNextRoot,
        TrustRemedy::CheckTrustFile,
        TrustRemedy::SeeTrustAnchor,
        TrustRemedy::RewriteKubeconfig,
    ];
    let connection = [
        ConnectionRemedy::StartLoadBalancer,
        ConnectionRemedy::CheckFirewall { host: host() },
        ConnectionRemedy::CheckRoute { host: host() },
        ConnectionRemedy::CheckPort { host: host() },
        ConnectionRemedy::ResolveName { name: host() },
        ConnectionRemedy::DialEachAddress { name: host() },
        ConnectionRemedy::RaiseTimeout,
        ConnectionRemedy::ServeTls,
        ConnectionRemedy::OfferSupportedTls,
        ConnectionRemedy::ConfigureCertificate,
        ConnectionRemedy::CheckKubeletAnswers,
    ];
    let authentication = [
        AuthenticationRemedy::PassClientCertificate,
        AuthenticationRemedy::SeparateFrontProxyCa,
        AuthenticationRemedy::FindOtherAuthenticator,
        AuthenticationRemedy::FindSecondCredential,
        AuthenticationRemedy::FindTlsTermination,
        AuthenticationRemedy::UpgradeForCredentialId,
        AuthenticationRemedy::UpgradeForSelfReview,
        AuthenticationRemedy::DisableReadOnlyPort,
        AuthenticationRemedy::KubeletSettings,
        AuthenticationRemedy::ApiServerFlags,
    ];
    let authorization = [
        AuthorizationRemedy::RefuseOtherNodes,
        AuthorizationRemedy::AllowMasters,
        AuthorizationRemedy::ReachAuthorizer,
        AuthorizationRemedy::AllowSelfReview,
        AuthorizationRemedy::GrantNodes,
        AuthorizationRemedy::NarrowNodes,
        AuthorizationRemedy::NarrowReads,
        AuthorizationRemedy::RefuseWrites,
        AuthorizationRemedy::AcceptOwnWrites,
        AuthorizationRemedy::EnableNodeRestriction,
        AuthorizationRemedy::CheckNodeRestriction,
        AuthorizationRemedy::FindContradictoryAuthorizer,
        AuthorizationRemedy::RepairAuthorizer,
        AuthorizationRemedy::FindDenyingAuthorizer,
    ];
    let health = [
        HealthRemedy::RegisterNode,
        HealthRemedy::ListNodes,
        HealthRemedy::CorrectAddresses,
        HealthRemedy::ReachApiServer,
        HealthRemedy::VerifyAgain,
        HealthRemedy::SeparateNodes,
        HealthRemedy::SetNodeClock,
        HealthRemedy::ReadNodeStatus,
        HealthRemedy::CheckEtcd,
        HealthRemedy::ReadApiServerLog,
    ];
    let verifier = [
        VerifierRemedy::AllowAccessReviews,
        VerifierRemedy::EnableFlagz,
        VerifierRemedy::EnableConfigz,
        VerifierRemedy::EnableFineGrainedAuthorization,
        VerifierRemedy::BindPublicInfoViewer,
        VerifierRemedy::NameKubeletCredentials,
        VerifierRemedy::VerifyAllNodes,
    ];
    let mut all: Vec<Remedy> = certificate.map(Remedy::from).into();
    all.extend(trust.map(Remedy::from));
    all.extend(connection.map(Remedy::from));
    all.extend(authentication.map(Remedy::from));
    all.extend(authorization.map(Remedy::from));
    all.extend(health.map(Remedy::from));
    all.extend(verifier.map(Remedy::from));
    all.extend(rights.map(|right| VerifierRemedy::GrantVerifier { right }.into()));
    all
}

#[test]
fn remedies_have_words_for_every_kind_of_target() {
    let mut ids = BTreeSet::new();
    for remedy in remedies() {
        ids.insert(remedy.id());
        for kind in [TargetKind::Directory, TargetKind::Bundle] {
            assert!(!words(&remedy, kind).is_empty() && !words(&remedy, kind).contains("kubeadm"), "{remedy:?}");
        }
        for kind in [TargetKind::Kubeadm, TargetKind::Other] {
            assert!(!names_ours(&words(&remedy, kind)) && !words(&remedy, kind).is_empty(), "{remedy:?}");
        }
        assert!(!words(&remedy, TargetKind::Other).contains("/etc/kubernetes"), "{remedy:?}");
        let text = serde_json::to_string(&remedy).expect("JSON");
        assert_eq!(serde_json::from_str::<Remedy>(&text).expect("the same"), remedy, "{text}");
    }
    assert!(
        ids.len() > 75
            && ids.iter().all(|id| id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
    );
}

/// A snapshot of all remedies for every kind of target.
#[test]
fn remedies_have_a_snapshot() {
    let mut text = String::new();
    for remedy in remedies() {
        let mut last = String::new();
        text.push_str(&format!("{}\n", serde_json::to_string(&remedy).expect("JSON")));
        for kind in [TargetKind::Directory, TargetKind::Bundle, TargetKind::Kubeadm, TargetKind::Other] {
            let words = words(&remedy, kind);
            if words != last {
                text.push_str(&format!("  {kind:?}: {words}\n"));
            }
            last = words;
        }
    }
    insta::with_settings!({ snapshot_path => "../snapshots" }, { insta::assert_snapshot!("remedies", text) });
}

/// Recordings of earlier versions contain remedies as text, or remedies that no longer exist.
#[test]
fn remedies_of_earlier_recordings_are_read() {
    let read = |hint: Value| {
        let finding = serde_json::json!({
            "id": ["trust", "match"], "place": "cluster", "host": "h", "address": null, "server_name": null, "caller": null,
            "status": "fail", "severity": "error", "observed": "", "expected": "", "hint": hint, "elapsed_ms": 0,
        });
        serde_json::from_value::<Finding>(finding).expect("a finding").remedy
    };
    assert_eq!(read(Value::Null), None);
    assert_eq!(read("look there".into()), None);
    assert_eq!(read("rewrite-kubeconfig".into()), Some(TrustRemedy::RewriteKubeconfig.into()));
    assert_eq!(
        read("to prove what nodes call with, name a kubelet's kubeconfig, or --node-cert and --node-key".into()),
        Some(VerifierRemedy::NameKubeletCredentials.into())
    );
}

#[test]
fn a_recording_keeps_the_tool_of_the_cluster() {
    let mut lab = lab(1, 2, Some(InjectedFault::ExpiredNode));
    let mut target = (*lab.target).clone();
    target.kind = TargetKind::Kubeadm;
    lab.target = Arc::new(target);
    let clock = clusterctl::verify::checks::Clock { now: lab.now, expires_within: time::Duration::days(30) };
    let strictness = clusterctl::verify::verdict::Strictness::default();
    let recording = Recording::new(&lab.target, Vec::new(), lab.observe(), clock, strictness, lab.now);
    let again = Recording::from_bytes(&recording.to_bytes().expect("written")).expect("read").report();
    assert_eq!(again, recording.report());
    assert_eq!(again.kind, TargetKind::Kubeadm);
}
