//! The Kubernetes version of a cluster: set in the cluster file, kept from bundle to bundle, and rendered for its release.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use clusterctl::bundle::archive;
use clusterctl::bundle::model::Bundle;

use clusterctl::app::package::{PackageError, Warning, versions};
use clusterctl::cluster::name::HostName;

use crate::support::outside::needs;
use crate::support::packages::{cluster, package, planned_warnings, warnings, warnings_with};
use crate::support::{CLUSTER, Lab, forms, good_tool};

fn lab(more: &str) -> Lab {
    let lab = Lab::with(&CLUSTER.replace("masters:\n", &format!("{more}masters:\n")));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab
}

fn bundle(lab: &Lab, host: &str) -> Bundle {
    archive::read(&fs::read(lab.path(&format!("bundles/{host}.tar.gz"))).expect("an archive")).expect("a bundle")
}

fn text<'b>(bundle: &'b Bundle, path: &str) -> &'b str {
    std::str::from_utf8(&bundle.file(path).unwrap_or_else(|| panic!("{path}")).bytes).expect("text")
}

const API_SERVER: &str = "etc/kubernetes/manifests/kube-apiserver.yaml";
const AUTHORIZATION: &str = "etc/kubernetes/clusterctl/authorization.yaml";

// ── kept ──

#[test]
fn versions_in_the_cluster_file_persist_between_bundles() {
    let lab = lab("kubernetes: {version: v1.35.1, imageRepository: reg.example.net/k8s, etcdVersion: 3.6.1-0}\n");
    for _ in 0..2 {
        assert_eq!(warnings(&lab, &[]), []);
        let bundle = bundle(&lab, "master-1");
        assert!(text(&bundle, API_SERVER).contains("\"reg.example.net/k8s/kube-apiserver:v1.35.1\""));
        assert!(text(&bundle, "etc/kubernetes/manifests/etcd.yaml").contains("\"reg.example.net/k8s/etcd:3.6.1-0\""));
    }
    let offline = lab.good(&["verify", "--offline"]);
    assert!(!offline.out.contains("WARN"), "{offline}");
}

#[test]
fn a_changed_version_gives_a_warning() {
    let lab = lab("");
    let changed = |hosts: &[&str], before: &str, after: &str, overridden| Warning::VersionsChanged {
        hosts: hosts.iter().map(|host| HostName::parse(host).expect("a name")).collect(),
        before: format!("Kubernetes {before} and etcd 3.6.8-0 from registry.k8s.io"),
        after: format!("Kubernetes {after} and etcd 3.6.8-0 from registry.k8s.io"),
        overridden,
    };
    lab.good(&["bundle", "--all"]);
    let overrides = ["kubernetesVersion=v1.36.5"];
    let all = [changed(&["master-1", "master-2"], "v1.36.2", "v1.36.5", true)];
    assert_eq!(warnings_with(&lab, &[], &overrides), all);
    assert_eq!(warnings_with(&lab, &[], &overrides), [], "only once");
    // Renewed later, without the override: master by master.
    for master in ["master-1", "master-2"] {
        assert_eq!(warnings(&lab, &[master]), [changed(&[master], "v1.36.5", "v1.36.2", false)]);
    }
    // Nodes have no images.
    assert_eq!(warnings_with(&lab, &["on"], &overrides), []);
}

#[test]
fn a_plan_has_the_warnings_of_packing() {
    let lab = lab("");
    lab.good(&["apply"]);
    for overrides in [&["kubernetesVersion=v1.36.5"][..], &["kubernetesVersion=v1.34.1"], &[]] {
        let planned = planned_warnings(&lab, overrides);
        let is_of_policy = |one: &Warning| matches!(one, Warning::PolicyOfOtherVersion { .. });
        let is_other_minor = overrides.iter().any(|one| one.contains("v1.34"));
        assert_eq!(planned.iter().any(is_of_policy), is_other_minor, "{planned:?}");
        assert_eq!(planned, warnings_with(&lab, &[], overrides), "{overrides:?}");
    }
}

#[test]
fn templates_named_in_the_cluster_file_are_used_by_every_command() {
    let lab = lab("templates: own\n");
    fs::create_dir_all(lab.path("own/node/var/lib/kubelet")).expect("made");
    let (path, compiled_in) = clusterctl::bundle::render::Templates::eject()
        .iter()
        .find(|(path, _)| path.ends_with("lib/kubelet/config.yaml"))
        .expect("there");
    lab.write(&format!("own/{path}"), &format!("{compiled_in}maxPods: 33\n"));
    lab.good(&["bundle", "--all"]);
    assert!(text(&bundle(&lab, "on"), "var/lib/kubelet/config.yaml").contains("maxPods: 33"));
    let offline = lab.good(&["verify", "--offline"]);
    assert!(!offline.out.contains("WARN"), "{offline}");
    lab.good(&["policy"]);
    fs::remove_dir_all(lab.path("own")).expect("removed");
    assert_ne!(lab.run(&["bundle", "--all"]).status, 0, "a folder that is gone is no reason for the built-in ones");
}

#[test]
fn faults_of_versions_have_their_path() {
    let fault = |more: &str, wanted: &str| {
        let ran = Lab::with(&CLUSTER.replace("masters:\n", &format!("{more}masters:\n"))).run(&["verify", "--offline"]);
        assert!(ran.status == 2 && ran.err.contains(wanted), "{ran}");
    };
    fault("kubernetes: {version: 1.36.2}\n", "kubernetes.version");
    fault("kubernetes: {version: v1.20.2}\n", "kubernetes.version");
    fault("kubernetes: {etcdVersion: v3}\n", "kubernetes.etcdVersion");
    fault("kubernetes: {imageRepository: 'a b'}\n", "kubernetes.imageRepository");
    fault("kubernetes: {versions: v1.36.2}\n", "kubernetes.versions");
    fault("templates: \"\"\n", "templates");
    fault("kubernetes: {version: v1.31.0}\nkubelet: {singleProcessOOMKill: true}\n", "kubelet.singleProcessOOMKill");
}

#[test]
fn init_writes_commented_keys() {
    let lab = Lab::empty();
    lab.good(&["init", "--name", "prod", "--master", "m1=10.0.0.1"]);
    let written = lab.read("cluster.yaml");
    for line in
        ["# kubernetes:\n", "#   version: \"v1.36.2\"\n", "#   imageRepository: ", "#   etcdVersion: ", "# templates: "]
    {
        assert!(written.contains(line), "{line}: {written}");
    }
    lab.write("cluster.yaml", &written.replace("# kubernetes:\n#   version", "kubernetes:\n  version"));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
}

// ── rendered ──

#[test]
fn each_release_gets_supported_api_versions_and_flags() {
    for (minor, authorization, admission) in [
        (28, "v1alpha1", "v1beta1"),
        (29, "v1alpha1", "v1beta1"),
        (30, "v1beta1", "v1"),
        (31, "v1beta1", "v1"),
        (32, "v1", "v1"),
        (36, "v1", "v1"),
        (37, "v1", "v1"),
    ] {
        let lab = lab(&format!("kubernetes: {{version: v1.{minor}.0}}\n"));
        lab.good(&["bundle", "master-1"]);
        let bundle = bundle(&lab, "master-1");
        let rules = text(&bundle, AUTHORIZATION);
        assert!(
            rules.contains(&format!("apiVersion: \"apiserver.config.k8s.io/{authorization}\"\n")),
            "{minor}: {rules}"
        );
        assert_eq!(rules.contains("fieldSelector"), minor >= 31, "{minor}");
        let server = text(&bundle, API_SERVER);
        assert_eq!(server.contains("--authorization-config="), minor >= 29, "{minor}");
        assert_eq!(server.contains("--authorization-mode="), minor < 29, "{minor}");
        assert_eq!(server.contains("--feature-gates="), minor < 32 && minor != 30, "{minor}: {server}");
        assert_eq!(server.contains("--runtime-config="), minor < 30, "{minor}");
        let unsupported = warnings(&lab, &["master-1"]);
        assert_eq!(unsupported.len(), usize::from(!(31..=36).contains(&minor)), "{minor}: {unsupported:?}");
        lab.good(&["policy"]);
        let policy = lab.read("policy/10-accounts.yaml");
        assert!(policy.contains(&format!("\"admissionregistration.k8s.io/{admission}\"")), "{minor}");
        assert_eq!(lab.read("policy/masters/authorization.yaml"), rules, "{minor}");
    }
}

#[test]
fn a_release_that_cannot_deny_certificates_gives_a_warning() {
    let lab = lab("kubernetes: {version: v1.31.4}\naccounts: system-node\n");
    assert_eq!(warnings(&lab, &["master-1"]), []);
    lab.good(&["revoke", "on", "--yes"]);
    let after = warnings(&lab, &["master-1"]);
    assert!(matches!(after.as_slice(), [Warning::Unsupported { .. }]), "{after:?}");
}

#[test]
fn an_etcd_without_livez_is_probed_by_health() {
    let lab = lab("kubernetes: {etcdVersion: 3.5.9-0}\n");
    lab.good(&["bundle", "master-1"]);
    let bundle = bundle(&lab, "master-1");
    let pod = text(&bundle, "etc/kubernetes/manifests/etcd.yaml");
    assert!(pod.contains("path: \"/health\"\n") && !pod.contains("livez"), "{pod}");
}

// ── what changed ──

/// Returns inode and time of every archive.
fn archives(lab: &Lab) -> BTreeMap<String, (u64, i64, i64)> {
    let entries = fs::read_dir(lab.path("bundles")).expect("a folder");
    let facts = |entry: fs::DirEntry| {
        let facts = entry.metadata().expect("facts");
        (entry.file_name().into_string().expect("text"), (facts.ino(), facts.mtime(), facts.mtime_nsec()))
    };
    entries.map(|entry| facts(entry.expect("an entry"))).collect()
}

#[test]
fn bundle_reports_and_writes_only_changed_bundles() {
    for format in ["tar.gz", "dir", "cloud-init", "ignition"] {
        let lab = Lab::issued();
        let pack = || -> serde_json::Value {
            let ran = lab.good(&["bundle", "--all", "--format", format, "--output", "json"]);
            forms::conforms("bundle", &ran.out);
            serde_json::from_str(&ran.out).expect("JSON")
        };
        assert_eq!(pack()["changed"].as_array().map(Vec::len), Some(5), "{format}");
        let before = archives(&lab);
        assert_eq!(pack()["changed"], serde_json::json!([]), "{format}");
        assert_eq!(archives(&lab), before, "{format}");
        lab.good(&["issue-node", "--reissue", "on"]);
        let report = pack();
        assert_eq!(report["changed"], serde_json::json!(["on"]), "{format}: {report}");
        assert_eq!(
            (report["unchanged"].as_array().map(Vec::len), &report["refused"]),
            (Some(4), &serde_json::json!([]))
        );
        let after = archives(&lab);
        let others =
            after.iter().filter(|(name, facts)| before.get(*name) != Some(*facts)).map(|(name, _)| name.as_str());
        let changed: Vec<&str> = others.collect();
        assert!(changed.len() == 1 && changed[0].starts_with("on"), "{format}: {changed:?}");
    }
}

#[test]
fn a_damaged_or_readable_archive_is_written_again() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let path = lab.path("bundles/on.tar.gz");
    let whole = fs::read(&path).expect("an archive");
    fs::write(&path, &whole[1..]).expect("written");
    fs::set_permissions(lab.path("bundles/worker-b1.tar.gz"), fs::Permissions::from_mode(0o644)).expect("set");
    assert_eq!(package(&lab, &[]).expect("bundles").hosts(true), ["on", "worker-b1"]);
    assert_eq!(fs::read(&path).expect("an archive"), whole);
}

#[test]
fn a_host_that_was_revoked_is_refused_and_the_others_are_packed() {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.good(&["revoke", "on", "--yes"]);
    let ran = lab.run(&["bundle", "--all", "--output", "json"]);
    assert_eq!(ran.status, 3, "{ran}");
    forms::conforms("bundle", &ran.out);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(report["refused"], serde_json::json!(["on"]));
    // Only masters' bundles contain the denials.
    assert_eq!(report["changed"], serde_json::json!(["master-1", "master-2"]));
    assert_eq!(ran.err.lines().filter(|line| line.starts_with("hint: ")).count(), 1, "{ran}");
    assert!(text(&bundle(&lab, "master-1"), AUTHORIZATION).contains("X509SHA256="));
}

#[test]
fn an_overridden_release_checks_kubelet_fields() {
    let lab = lab("kubelet: {podLogsDir: /var/log/pods}\n");
    let ran = lab.run(&["bundle", "--all", "--set", "kubernetesVersion=v1.29.4"]);
    assert_eq!(ran.status, 2, "{ran}");
    assert!(!lab.path("bundles").exists(), "{ran}");
    let error = versions::settings(&cluster(&lab), &["kubernetesVersion=v1.29.4".to_owned()], false);
    let Err(PackageError::KubeletSettings { fields, .. }) = error else { panic!("{error:?}") };
    assert_eq!(fields.len(), 1, "{fields:?}");
    lab.good(&["bundle", "--all", "--set", "kubernetesVersion=v1.30.0"]);
}

#[test]
fn an_overridden_release_without_policy_support_gives_a_warning() {
    let lab = lab("kubernetes: {version: v1.36.2}\n");
    let warned = |version: &str| {
        let warnings = warnings_with(&lab, &[], &[&format!("kubernetesVersion={version}")]);
        warnings.iter().any(|warning| matches!(warning, Warning::PolicyOfOtherVersion { .. }))
    };
    assert!(warned("v1.31.0") && !warned("v1.36.9"));
}

#[test]
fn an_unknown_later_release_gives_a_warning() {
    let later = lab("kubernetes: {version: v1.37.0}\n");
    insta::assert_snapshot!(later.good(&["policy"]).err);
    assert!(matches!(warnings(&later, &[]).as_slice(), [Warning::Unsupported { .. }]));
}

// ── units ──

#[test]
fn units_by_cluster_file_persist_and_units_by_flag_give_a_warning() {
    let units =
        |lab: &Lab, host: &str| bundle(lab, host).files.iter().filter(|file| file.path.ends_with(".service")).count();
    let by_file = lab("withUnits: true\n");
    for _ in 0..2 {
        by_file.good(&["bundle", "--all"]);
        assert_eq!((units(&by_file, "master-1"), units(&by_file, "on")), (4, 1));
    }
    assert!(!by_file.good(&["verify", "--offline"]).out.contains("WARN"));
    let by_flag = lab("");
    by_flag.good(&["bundle", "--all", "--with-units"]);
    for host in ["master-1", "on"] {
        let hosts = vec![HostName::parse(host).expect("a name")];
        assert_eq!(warnings(&by_flag, &[host]), [Warning::UnitsRemoved { hosts }]);
        assert_eq!(warnings(&by_flag, &[host]), [], "only once");
    }
    // If the file has units and a bundle has none, the bundle differs from what would be packed.
    by_flag.write("cluster.yaml", &format!("{}withUnits: true\n", by_flag.read("cluster.yaml")));
    assert!(by_flag.run(&["verify", "--offline"]).out.contains("kubelet.service"));
}

#[test]
fn requested_units_are_packed_and_valid_for_systemd() {
    needs!("systemd-analyze");
    let cluster = CLUSTER.replace("nodes:\n", "nodes:\n- {name: master-2, addresses: [10.20.0.12]}\n");
    let lab = Lab::with(&cluster);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "--all"]);
    let units = |lab: &Lab| {
        let bundle = bundle(lab, "master-2");
        bundle.files.iter().filter(|file| file.path.ends_with(".service")).count()
    };
    assert_eq!(units(&lab), 0);
    lab.good(&["bundle", "--all", "--with-units"]);
    assert_eq!(units(&lab), 5);
    let offline = lab.good(&["verify", "--offline"]);
    assert!(!offline.out.contains("WARN"), "{offline}");

    let packed = bundle(&lab, "master-2");
    for program in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"] {
        let folder = lab.path(&format!("units/{program}.service.d"));
        fs::create_dir_all(&folder).expect("made");
        let unit = lab.path(&format!("units/{program}.service")).display().to_string();
        fs::write(&unit, text(&packed, &format!("etc/systemd/system/{program}.service"))).expect("written");
        let drop_in = text(&packed, &format!("etc/systemd/system/{program}.service.d/99-clusterctl.conf"));
        assert!(drop_in.contains("$EXTRA_ARGS"), "{program}");
        // `true` replaces the program, which is not on this machine.
        let starts = format!("ExecStart={program} ");
        assert!(drop_in.contains(&starts), "{drop_in}");
        fs::write(folder.join("99-clusterctl.conf"), drop_in.replace(&starts, "ExecStart=true ")).expect("written");
        let verified = crate::support::tool("systemd-analyze", &["verify", "--man=no", "--recursive-errors=no", &unit]);
        let complaints = String::from_utf8_lossy(&verified.stderr).into_owned();
        let ours: Vec<&str> = complaints.lines().filter(|line| line.contains(&format!("{program}.service"))).collect();
        assert!(ours.is_empty(), "{ours:#?}");
    }
    // For Ignition, units are plain files, and the kubelet's unit is enabled.
    lab.good(&["bundle", "master-2", "--format", "ignition", "--with-units"]);
    let config: serde_json::Value = serde_json::from_str(&lab.read("bundles/master-2.ign")).expect("JSON");
    let files = config["storage"]["files"].as_array().expect("files");
    assert!(files.iter().any(|file| file["path"] == "/etc/systemd/system/kubelet.service"));
}

#[test]
fn ignition_drop_ins_sort_after_kubeadms() {
    needs!("systemd-analyze");
    let lab = Lab::issued();
    lab.good(&["bundle", "on", "--format", "ignition"]);
    let config: serde_json::Value = serde_json::from_str(&lab.read("bundles/on.ign")).expect("JSON");
    let units = config["systemd"]["units"].as_array().expect("units");
    let kubelet = units.iter().find(|unit| unit["name"] == "kubelet.service").expect("the kubelet's");
    let name = kubelet["dropins"][0]["name"].as_str().expect("a name");
    let (root, unit) = (lab.path("root"), "etc/systemd/system/kubelet.service.d");
    for folder in [unit, "usr/lib/systemd/system/kubelet.service.d"] {
        fs::create_dir_all(root.join(folder)).expect("made");
    }
    let packaged = root.join("usr/lib/systemd/system");
    fs::write(packaged.join("kubelet.service"), "[Service]\nExecStart=/usr/bin/kubelet\n").expect("written");
    fs::write(
        packaged.join("kubelet.service.d/10-kubeadm.conf"),
        "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet\n",
    )
    .expect("written");
    fs::write(root.join(unit).join(name), kubelet["dropins"][0]["contents"].as_str().expect("text")).expect("written");
    let at = format!("--root={}", root.display());
    let read = good_tool("systemd-analyze", &[&at, "cat-config", "systemd/system/kubelet.service"]);
    let last = &read[read.rfind("\nExecStart=").expect("a command")..];
    assert!(last.contains("--hostname-override=on"), "{read}");
}
