//! Bundles as read by tar, sh, PyYAML, kubectl and systemd. Credentials are issued in memory.

use std::fs;
use std::path::Path;
use std::process::Command;

use clusterctl::bundle::archive;
use clusterctl::bundle::input::{CredentialPem, InputError};
use clusterctl::bundle::manifest::Manifest;
use clusterctl::bundle::model::Bundle;
use clusterctl::bundle::packer;
use clusterctl::bundle::render::{RenderError, TemplateError, Templates};
use clusterctl::cluster::profile::Profile;
use clusterctl::cluster::spec::{RawCluster, RawHost, Role};
use time::macros::datetime;

use crate::support::outside::needs;
use crate::support::outside::{stdout, tree};
use crate::support::pyyaml;
use crate::support::site::{Site, kubelet_config_with, overriding, text};

fn listing(bundle: &Bundle) -> Vec<(&str, u32)> {
    bundle.files.iter().map(|file| (file.path.as_str(), file.mode)).collect()
}

// ── rendering ──

#[test]
fn a_nodes_bundle_has_only_the_files_of_a_node() {
    let bundle = Site::new().bundle("on", 1);
    assert_eq!(
        listing(&bundle),
        [
            ("etc/kubernetes/kubelet.conf", 0o600),
            ("etc/kubernetes/pki/ca.crt", 0o644),
            ("etc/systemd/system/kubelet.service.d/99-clusterctl.conf", 0o644),
            ("install.sh", 0o755),
            ("manifest.json", 0o644),
            ("manifest.sha256", 0o644),
            ("var/lib/kubelet/config.yaml", 0o644),
            ("var/lib/kubelet/pki/kubelet-client.crt", 0o644),
            ("var/lib/kubelet/pki/kubelet-client.key", 0o600),
            ("var/lib/kubelet/pki/kubelet-server.crt", 0o644),
            ("var/lib/kubelet/pki/kubelet-server.key", 0o600),
        ]
    );
}

#[test]
fn a_masters_bundle_has_kubeadm_file_names_and_private_keys() {
    let bundle = Site::new().bundle("m1", 1);
    let at = |folder: &str| -> Vec<String> {
        let below = |path: &str| path.strip_prefix(folder).map(ToOwned::to_owned);
        listing(&bundle).iter().filter_map(|(path, _)| below(path)).collect()
    };
    assert_eq!(
        at("etc/kubernetes/pki/"),
        [
            "apiserver-etcd-client.crt",
            "apiserver-etcd-client.key",
            "apiserver-kubelet-client.crt",
            "apiserver-kubelet-client.key",
            "apiserver.crt",
            "apiserver.key",
            "ca.crt",
            "controller-manager/controller-manager.crt",
            "controller-manager/controller-manager.key",
            "etcd/ca.crt",
            "etcd/healthcheck-client.crt",
            "etcd/healthcheck-client.key",
            "etcd/peer.crt",
            "etcd/peer.key",
            "etcd/server.crt",
            "etcd/server.key",
            "front-proxy-ca.crt",
            "front-proxy-client.crt",
            "front-proxy-client.key",
            "sa.key",
            "sa.pub",
            "scheduler/scheduler.crt",
            "scheduler/scheduler.key",
        ]
    );
    let programs = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    assert_eq!(at("etc/kubernetes/manifests/"), programs.map(|name| format!("{name}.yaml")));
    assert_eq!(at("etc/systemd/system/"), programs.map(|name| format!("{name}.service.d/99-clusterctl.conf")));
    for (path, mode) in listing(&bundle) {
        let secret = path.ends_with(".key") || path.starts_with("etc/kubernetes/") && path.ends_with(".conf");
        let wanted = if path == "install.sh" {
            0o755
        } else if secret {
            0o600
        } else {
            0o644
        };
        assert_eq!(mode, wanted, "{path}");
    }
}

#[test]
fn a_host_with_both_roles_gets_one_bundle() {
    let bundle = Site::new().bundle("both", 3);
    assert_eq!(bundle.manifest.roles, [Role::Master, Role::Node]);
    assert_eq!(bundle.manifest.account, "kubelet:both");
    for path in ["etc/kubernetes/pki/apiserver.key", "var/lib/kubelet/pki/kubelet-client.key"] {
        assert!(bundle.file(path).is_some(), "{path}");
    }
    let alone = |host| Site::new().bundle(host, 3).files.len();
    // Common to both: the root, install.sh, the manifest and its checksum.
    assert_eq!(bundle.files.len(), alone("m1") + alone("on") - 4);
}

#[test]
fn manifest_matches_the_certificates() {
    let site = Site::new();
    let bundle = site.bundle("on", 7);
    let parsed = Manifest::parse(text(&bundle, "manifest.json").as_bytes()).expect("a manifest");
    assert_eq!(parsed, bundle.manifest);
    assert_eq!(parsed.account, "kubelet:on");
    assert_eq!(parsed.root_pin, site.root.certificate.spki_fingerprint());
    assert_eq!(parsed.not_before, datetime!(2026-11-23 11:55:00 UTC));
    assert_eq!(parsed.not_after, datetime!(2027-11-23 12:00:00 UTC));
    assert_eq!((parsed.generation, parsed.files.len()), (7, bundle.files.len() - 2));
}

#[test]
fn kubelet_flags_are_separate_arguments_and_dual_stack() {
    let site = Site::new();
    let drop_in = "etc/systemd/system/kubelet.service.d/99-clusterctl.conf";
    let command = |host: &str| {
        let bundle = site.bundle(host, 1);
        let (_, command) = text(&bundle, drop_in).split_once("ExecStart=\nExecStart=").expect("a reset and a command");
        command.replace("\\\n", "").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let fixed = r#"kubelet "--config=/var/lib/kubelet/config.yaml" "--kubeconfig=/etc/kubernetes/kubelet.conf""#;
    assert_eq!(
        command("on"),
        format!(r#"{fixed} "--node-ip=fd00:1::1,10.0.1.1" "--hostname-override=on" $EXTRA_ARGS"#)
    );
    assert_eq!(command("1e3"), format!(r#"{fixed} "--node-ip=10.0.1.2" "--hostname-override=1e3" $EXTRA_ARGS"#));
    assert_eq!(command("null"), format!(r#"{fixed} "--hostname-override=null" $EXTRA_ARGS"#));
}

#[test]
fn systemd_reads_the_drop_in() {
    needs!("systemd-analyze");
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("kubelet.service");
    let drop_ins = folder.path().join("kubelet.service.d");
    fs::create_dir(&drop_ins).expect("made");
    // A unit without a command is refused unless systemd reads the drop-in's command; `true` replaces the kubelet.
    fs::write(&unit, "[Unit]\nDescription=kubelet\n[Service]\nType=exec\n").expect("written");
    let bundle = Site::new().bundle("on", 1);
    let drop_in = text(&bundle, "etc/systemd/system/kubelet.service.d/99-clusterctl.conf");
    fs::write(drop_ins.join("99-clusterctl.conf"), drop_in.replace("=kubelet ", "=true ")).expect("written");
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&unit)
        .output()
        .expect("systemd-analyze");
    let complaints = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<&str> = complaints.lines().filter(|line| line.contains("kubelet")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}

#[test]
fn a_yaml_1_1_reader_reads_every_name_as_a_string() {
    needs!("python3-yaml");
    let site = Site::new();
    for host in ["on", "1e3", "null", "10.0.1.9", "both"] {
        let bundle = site.bundle(host, 1);
        let kubeconfig = pyyaml(text(&bundle, "etc/kubernetes/kubelet.conf"));
        let account = format!("kubelet:{host}");
        assert_eq!(
            kubeconfig,
            serde_json::json!({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "no", "cluster": {
                    "server": "https://[fd00::100]:6443",
                    "certificate-authority": "/etc/kubernetes/pki/ca.crt",
                }}],
                "users": [{"name": account, "user": {
                    "client-certificate": "/var/lib/kubelet/pki/kubelet-client.crt",
                    "client-key": "/var/lib/kubelet/pki/kubelet-client.key",
                }}],
                "contexts": [{"name": format!("{account}@no"), "context": {"cluster": "no", "user": account}}],
                "current-context": format!("{account}@no"),
            })
        );
        let config = pyyaml(text(&bundle, "var/lib/kubelet/config.yaml"));
        let port = site.roles(host).node().expect("a node").port;
        assert_eq!(
            config,
            serde_json::json!({
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "address": "0.0.0.0",
                "port": port,
                "readOnlyPort": 0,
                "authentication": {
                    "anonymous": {"enabled": false},
                    "webhook": {"enabled": true},
                    "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
                },
                "authorization": {"mode": "Webhook"},
                "tlsCertFile": "/var/lib/kubelet/pki/kubelet-server.crt",
                "tlsPrivateKeyFile": "/var/lib/kubelet/pki/kubelet-server.key",
                "tlsMinVersion": "VersionTLS12",
            })
        );
    }
}

#[test]
fn an_unquoted_name_in_a_template_is_a_string_in_yaml_1_1() {
    needs!("python3-yaml");
    let site = Site::new();
    let templates = kubelet_config_with("clusterDomain: {{ host }}\nclusterDNS: {{ node.addresses }}\n");
    for host in ["on", "1e3", "null", "10.0.1.9"] {
        let bundle = site.try_bundle(&templates, host, &site.credentials(host), 1).expect("a bundle");
        assert_eq!(pyyaml(text(&bundle, "var/lib/kubelet/config.yaml"))["clusterDomain"], host);
    }
}

#[test]
fn kubectl_loads_the_kubeconfig() {
    needs!("kubectl");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kubelet.conf");
    fs::write(&file, text(&Site::new().bundle("on", 1), "etc/kubernetes/kubelet.conf")).expect("written");
    let view = |output: &str| {
        let mut kubectl = Command::new("kubectl");
        stdout(kubectl.arg("--kubeconfig").arg(&file).args(["config", "view", "--minify", "-o", output]))
    };
    assert_eq!(view("jsonpath={.clusters[0].cluster.server}"), "https://[fd00::100]:6443");
    assert_eq!(view("jsonpath={.users[0].name}"), "kubelet:on");
    assert_eq!(view("jsonpath={.users[0].user.client-key}"), "/var/lib/kubelet/pki/kubelet-client.key");
}

// ── custom templates ──

#[test]
fn templates_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Templates>();
}

#[test]
fn ejected_templates_render_the_same_bundle() {
    let site = Site::new();
    let credentials = site.credentials("both");
    let ejected = Templates::eject().iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
    let ours = Templates::with_overrides(&ejected).expect("templates");
    let compiled_in = Templates::compiled_in().expect("templates");
    assert_eq!(
        site.try_bundle(&ours, "both", &credentials, 1).expect("a bundle"),
        site.try_bundle(&compiled_in, "both", &credentials, 1).expect("a bundle")
    );
}

#[test]
fn every_file_under_templates_is_compiled_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let on_disk: Vec<String> = tree(&root).into_keys().filter(|path| !root.join(path).is_dir()).collect();
    let known: Vec<&str> = Templates::eject().iter().map(|(path, _)| *path).collect();
    assert_eq!(on_disk, known);
}

#[test]
fn an_invalid_override_reports_template_line_and_reason() {
    let unknown = overriding("node/etc/motd", "").map(|_| ()).expect_err("refused");
    assert!(matches!(&unknown, TemplateError::Unknown { .. }), "{unknown:?}");
    let shown = unknown.to_string();
    assert!(shown.contains("node/etc/motd") && shown.contains(" node/var/lib/kubelet/config.yaml"), "{shown}");

    // With an empty installer the host would report success without any file.
    let empty = overriding("install.sh", " \n").map(|_| ()).expect_err("refused");
    insta::assert_snapshot!("an_empty_installer", empty.to_string());
    assert!(overriding("node/etc/systemd/system/kubelet.service.d/99-clusterctl.conf", "").is_ok());

    let template = "node/var/lib/kubelet/config.yaml";
    let broken = overriding(template, "a: 1\nb: {{ host\nc: 2\n").map(|_| ()).expect_err("refused");
    let TemplateError::Failed { line, reason, .. } = &broken else { panic!("{broken:?}") };
    assert!(matches!(line, 2 | 3) && !reason.is_empty(), "{broken}");

    let site = Site::new();
    let unfilled = overriding(template, "a: 1\nb: {{ cluster.nmae }}\n").expect("it parses");
    let failed = site.try_bundle(&unfilled, "on", &site.credentials("on"), 1).expect_err("refused");
    insta::assert_snapshot!("a_template_with_an_undefined_value", failed.to_string());
    // A template that is not needed does not fail.
    assert!(site.try_bundle(&unfilled, "m1", &site.credentials("m1"), 1).is_ok());
}

#[test]
fn shell_quoting_in_templates_round_trips() {
    let site = Site::new();
    let hostile = r#"{{ "it's $HOME `id` \\ %n \"x\" " ~ host }}"#;
    let templates = overriding("install.sh", &format!("printf '%s' {hostile}\n")).expect("templates");
    let bundle = site.try_bundle(&templates, "on", &site.credentials("on"), 1).expect("a bundle");
    let printed = stdout(Command::new("sh").args(["-euc", text(&bundle, "install.sh")]));
    assert_eq!(printed, r#"it's $HOME `id` \ %n "x" on"#);
}

// ── whose credentials ──

#[test]
fn credentials_of_another_host_are_refused() {
    let site = Site::new();
    let templates = Templates::compiled_in().expect("templates");
    let refused = |credentials: &[CredentialPem]| match site.try_bundle(&templates, "on", credentials, 1) {
        Err(RenderError::Input(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&[]), InputError::Missing { profile: Profile::KubeletClient });

    let mut swapped = site.credentials("on");
    let keys: Vec<_> = swapped.iter().map(|credential| credential.key.clone()).rev().collect();
    swapped.iter_mut().zip(keys).for_each(|(credential, key)| credential.key = key);
    assert_eq!(refused(&swapped), InputError::KeyDoesNotFit { profile: Profile::KubeletClient });

    let twice: Vec<_> = site.credentials("on").into_iter().chain(site.credentials("on")).collect();
    assert_eq!(refused(&twice), InputError::NotTheHosts { profile: Profile::KubeletClient });
    assert_eq!(refused(&site.credentials("both")), InputError::NotTheHosts { profile: Profile::Apiserver });

    let same_name_site = Site::of(site.cluster.clone());
    let issuer = site.root.certificate.subject.text.clone();
    assert_eq!(
        refused(&same_name_site.credentials("on")),
        InputError::OtherRoot { profile: Profile::KubeletClient, issuer }
    );
}

#[test]
fn a_bundle_never_contains_a_ca_key() {
    let site = Site::new();
    let mut credentials = site.credentials("on");
    credentials[0] = CredentialPem {
        profile: Profile::KubeletClient,
        certificate: site.root.certificate.to_pem().into_bytes(),
        key: site.root.key.to_pem().as_bytes().to_vec().into(),
    };
    let templates = Templates::compiled_in().expect("templates");
    let refused = site.try_bundle(&templates, "on", &credentials, 1).expect_err("refused");
    assert_eq!(refused, RenderError::Input(InputError::IsCa { profile: Profile::KubeletClient }));

    let ca_key = site.root.key.to_pem();
    let secret_line = ca_key.lines().nth(1).expect("a line of base64");
    for host in ["on", "m1", "both"] {
        for file in &site.bundle(host, 1).files {
            assert!(!String::from_utf8_lossy(&file.bytes).contains(secret_line), "{host} {}", file.path);
        }
    }
    assert!(!format!("{:?}", site.bundle("on", 1)).contains("PRIVATE"));
}

// ── archives ──

#[test]
fn packing_is_deterministic_and_reversible() {
    let site = Site::new();
    let credentials = site.credentials("both");
    let pack = || {
        let templates = Templates::compiled_in().expect("templates");
        packer::pack(&site.try_bundle(&templates, "both", &credentials, 5).expect("a bundle"))
    };
    let (first, second) = (pack(), pack());
    assert_eq!(first, second);
    assert_eq!(
        archive::read(&first),
        Ok(site.try_bundle(&Templates::compiled_in().expect("templates"), "both", &credentials, 5).expect("a bundle"))
    );
}

#[test]
fn tar_unpacks_one_folder_with_modes_and_no_owner_or_time() {
    needs!("tar");
    let folder = tempfile::tempdir().expect("a folder");
    let packed = folder.path().join("on.tar.gz");
    fs::write(&packed, packer::pack(&Site::new().bundle("on", 1))).expect("written");
    let listed = stdout(Command::new("tar").args(["--utc", "--full-time", "-tvzf"]).arg(&packed).env("LC_ALL", "C"));
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("drwx------ 0/0") && lines[0].ends_with("1970-01-01 00:00:00 on/"), "{listed}");
    assert_eq!(lines.len(), 12);
    // install.sh comes last: the packer shares it among bundles, because it is the same for every host.
    assert!(lines[11].ends_with(" on/install.sh"), "{listed}");
    for line in &lines[1..] {
        let mode = match line.rsplit(' ').next().expect("a path") {
            path if path.ends_with(".key") || path.ends_with("kubelet.conf") => "-rw-------",
            path if path.ends_with("install.sh") => "-rwxr-xr-x",
            _ => "-rw-r--r--",
        };
        assert!(line.starts_with(&format!("{mode} 0/0")), "{line}");
        assert!(line.contains(" 1970-01-01 00:00:00 on/"), "{line}");
    }
}

#[test]
fn a_path_longer_than_a_tar_header_name_is_packed() {
    let name = [["a"; 30].concat().as_str(); 2].join(".");
    let host = RawHost { name: Some(name.clone()), addresses: vec!["10.0.0.1".into()], ..RawHost::default() };
    let draft = RawCluster { name: Some("prod".into()), masters: vec![host], ..RawCluster::default() };
    let bundle = Site::of(draft.check().expect("a good draft")).bundle(&name, 1);
    assert!(bundle.files.iter().any(|file| name.len() + 1 + file.path.len() > 100), "tar's own field has 100 bytes");
    assert_eq!(archive::read(&packer::pack(&bundle)), Ok(bundle));
}
