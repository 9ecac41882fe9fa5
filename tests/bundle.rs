//! Bundles as their readers see them: tar, sh, PyYAML, kubectl, systemd. Credentials are minted here, not stored.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clusterctl::bundle::archive;
use clusterctl::bundle::contents::Bundle;
use clusterctl::bundle::input::{BundleInput, CredentialPem, InputError, Roles};
use clusterctl::bundle::manifest::Manifest;
use clusterctl::bundle::render::{RenderError, TemplateError, Templates};
use clusterctl::bundle::settings::Settings;
use clusterctl::cluster::key_kind::KeyKind;
use clusterctl::cluster::lifetime::Lifetime;
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::{Leaf, Profile, RootKind};
use clusterctl::cluster::spec::{Cluster, Draft, DraftHost, Role};
use clusterctl::pki::authority::{Authority, Credential, create_root};
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::roots::Roots;
use clusterctl::policy::denials::Denials;
use time::OffsetDateTime;
use time::macros::datetime;
use zeroize::Zeroizing;

use crate::support::pyyaml;

const NOW: OffsetDateTime = datetime!(2026-11-23 12:00:00 UTC);
const KEYS: KeyKind = KeyKind::EcdsaP256;

/// A cluster with its roots, opened, and the key that signs service accounts' tokens.
struct Site {
    cluster: Cluster,
    root: Credential,
    etcd: Credential,
    front_proxy: Credential,
    service_account: Zeroizing<Vec<u8>>,
}

impl Site {
    /// The cluster is called `no`; `both` is master and node.
    fn new() -> Self {
        let host = |name: &str, addresses: &[&str], port: Option<&str>| DraftHost {
            name: Some(name.into()),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            port: port.map(ToOwned::to_owned),
            ..DraftHost::default()
        };
        let draft = Draft {
            name: Some("no".into()),
            endpoint: Some("https://[fd00::100]:6443".into()),
            masters: vec![host("m1", &["10.0.0.1"], Some("8443")), host("both", &["10.0.0.2", "fd00::2"], None)],
            nodes: vec![
                host("on", &["on.example.net", "fd00:1::1", "10.0.1.1", "10.0.1.99"], Some("10255")),
                host("1e3", &["10.0.1.2"], None),
                host("null", &["null.example.net"], None),
                host("10.0.1.9", &["10.0.1.9"], None),
                host("both", &["10.0.0.2", "fd00::2"], None),
                host("worker-a1.fra1.example.net", &["10.0.1.4"], None),
            ],
            ..Draft::default()
        };
        let cluster = draft.check().expect("a good draft");
        Self::of(cluster)
    }

    fn of(cluster: Cluster) -> Self {
        let root = |kind| {
            let lifetime = Lifetime::parse("10y").expect("a lifetime");
            create_root(kind, &cluster.name, KEYS, lifetime, NOW).expect("a root").into_inner()
        };
        let service_account = PrivateKey::generate(KEYS).expect("a key").to_pem().as_bytes().to_vec().into();
        Self {
            root: root(RootKind::Cluster),
            etcd: root(RootKind::Etcd),
            front_proxy: root(RootKind::FrontProxy),
            service_account,
            cluster,
        }
    }

    fn signer(&self, kind: RootKind) -> &Credential {
        match kind {
            RootKind::Cluster => &self.root,
            RootKind::Etcd => &self.etcd,
            RootKind::FrontProxy => &self.front_proxy,
        }
    }

    fn roles(&self, host: &str) -> Roles<'_> {
        Roles::of(&self.cluster, &HostName::parse(host).expect("a name")).expect("a host of the cluster")
    }

    fn credentials(&self, host: &str) -> Vec<CredentialPem> {
        let roles = self.roles(host);
        let masters = roles.master().into_iter().flat_map(|host| self.cluster.master_leaves(host));
        let nodes = roles.node().into_iter().flat_map(|host| self.cluster.node_leaves(host));
        let issue = |leaf: Leaf| {
            let authority = Authority::open(self.signer(leaf.policy().signed_by), NOW).expect("a fit root");
            let made = authority.issue(&leaf, KEYS).expect("a credential").into_inner();
            let certificate = made.certificate.to_pem().into_bytes();
            CredentialPem { profile: leaf.profile, certificate, key: made.key.to_pem().as_bytes().to_vec().into() }
        };
        masters.chain(nodes).map(issue).collect()
    }

    fn try_bundle(
        &self,
        templates: &Templates,
        host: &str,
        credentials: &[CredentialPem],
        generation: u64,
    ) -> Result<Bundle, RenderError> {
        let roles = self.roles(host);
        let roots = Roots {
            cluster: self.root.certificate.clone(),
            etcd: self.etcd.certificate.clone(),
            front_proxy: self.front_proxy.certificate.clone(),
        };
        let (cluster, roots, settings) = (&self.cluster, &roots, &Settings::default());
        let service_account = roles.master().map(|_| &self.service_account);
        let denials = &Denials::default();
        let credentials = &credentials.iter().map(CredentialPem::read).collect::<Result<Vec<_>, _>>()?;
        let input = BundleInput { cluster, roles, roots, service_account, settings, denials, credentials, generation };
        templates.render(&input)
    }

    fn bundle(&self, host: &str, generation: u64) -> Bundle {
        let templates = Templates::compiled_in().expect("the compiled-in templates");
        self.try_bundle(&templates, host, &self.credentials(host), generation).expect("a bundle")
    }
}

fn text<'a>(bundle: &'a Bundle, path: &str) -> &'a str {
    let file = bundle.file(path).unwrap_or_else(|| panic!("{path} is in the bundle"));
    std::str::from_utf8(&file.bytes).expect("text")
}

fn overriding(path: &str, text: &str) -> Result<Templates, TemplateError> {
    Templates::with_overrides(&BTreeMap::from([(path.to_owned(), text.to_owned())]))
}

/// The compiled-in templates, with more at the end of the kubelet's configuration.
fn kubelet_config_with(more: &str) -> Templates {
    let path = "node/var/lib/kubelet/config.yaml";
    let (_, text) = Templates::eject().iter().find(|(known, _)| *known == path).expect("a template");
    overriding(path, &format!("{text}{more}")).expect("templates")
}

fn listing(bundle: &Bundle) -> Vec<(&str, u32)> {
    bundle.files.iter().map(|file| (file.path.as_str(), file.mode)).collect()
}

// ── rendering ──

#[test]
fn a_nodes_bundle_holds_what_a_node_needs_and_no_more() {
    let bundle = Site::new().bundle("on", 1);
    assert_eq!(
        listing(&bundle),
        [
            ("etc/kubernetes/kubelet.conf", 0o600),
            ("etc/kubernetes/pki/ca.crt", 0o644),
            ("etc/systemd/system/kubelet.service.d/10-clusterctl.conf", 0o644),
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
fn a_masters_bundle_has_kubeadms_names_and_a_key_is_its_owners_alone() {
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
    assert_eq!(at("etc/systemd/system/"), programs.map(|name| format!("{name}.service.d/10-clusterctl.conf")));
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
fn a_host_that_is_both_gets_one_bundle_with_both_trees() {
    let bundle = Site::new().bundle("both", 3);
    assert_eq!(bundle.manifest.roles, [Role::Master, Role::Node]);
    assert_eq!(bundle.manifest.account, "kubelet:both");
    for path in ["etc/kubernetes/pki/apiserver.key", "var/lib/kubelet/pki/kubelet-client.key"] {
        assert!(bundle.file(path).is_some(), "{path}");
    }
    let alone = |host| Site::new().bundle(host, 3).files.len();
    // What both have: the root, install.sh, the manifest and its checksum.
    assert_eq!(bundle.files.len(), alone("m1") + alone("on") - 4);
}

#[test]
fn the_manifest_says_what_the_certificates_say() {
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
fn the_kubelets_flags_are_one_item_each_and_dual_stack() {
    let site = Site::new();
    let drop_in = "etc/systemd/system/kubelet.service.d/10-clusterctl.conf";
    let command = |host: &str| {
        let bundle = site.bundle(host, 1);
        let (_, command) = text(&bundle, drop_in).split_once("ExecStart=\nExecStart=").expect("a reset and a command");
        command.replace("\\\n", "").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let fixed = r#"kubelet "--config=/var/lib/kubelet/config.yaml" "--kubeconfig=/etc/kubernetes/kubelet.conf""#;
    assert_eq!(command("on"), format!(r#"{fixed} "--node-ip=fd00:1::1,10.0.1.1" "--hostname-override=on""#));
    assert_eq!(command("1e3"), format!(r#"{fixed} "--node-ip=10.0.1.2" "--hostname-override=1e3""#));
    assert_eq!(command("null"), format!(r#"{fixed} "--hostname-override=null""#));
}

#[test]
fn systemd_reads_the_drop_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("kubelet.service");
    let drop_ins = folder.path().join("kubelet.service.d");
    fs::create_dir(&drop_ins).expect("made");
    // A unit without a command of its own is refused unless the drop-in's is read; `true` stands for the kubelet.
    fs::write(&unit, "[Unit]\nDescription=kubelet\n[Service]\nType=exec\n").expect("written");
    let bundle = Site::new().bundle("on", 1);
    let drop_in = text(&bundle, "etc/systemd/system/kubelet.service.d/10-clusterctl.conf");
    fs::write(drop_ins.join("10-clusterctl.conf"), drop_in.replace("=kubelet ", "=true ")).expect("written");
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
fn a_yaml_1_1_reader_gets_every_name_as_the_string_it_is() {
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
fn a_bare_name_in_a_template_is_still_a_string_for_yaml_1_1() {
    let site = Site::new();
    let templates = kubelet_config_with("clusterDomain: {{ host }}\nclusterDNS: {{ node.addresses }}\n");
    for host in ["on", "1e3", "null", "10.0.1.9"] {
        let bundle = site.try_bundle(&templates, host, &site.credentials(host), 1).expect("a bundle");
        assert_eq!(pyyaml(text(&bundle, "var/lib/kubelet/config.yaml"))["clusterDomain"], host);
    }
}

#[test]
fn kubectl_loads_the_kubeconfig() {
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

// ── templates of one's own ──

#[test]
fn many_threads_can_fill_the_same_templates() {
    fn shared<T: Send + Sync>() {}
    shared::<Templates>();
}

#[test]
fn what_was_ejected_overrides_into_the_same_bundle() {
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
fn an_override_that_is_wrong_names_template_line_and_reason() {
    let unknown = overriding("node/etc/motd", "").map(|_| ()).expect_err("refused");
    let shown = unknown.to_string();
    assert!(matches!(unknown, TemplateError::Unknown { .. }));
    assert!(shown.starts_with("node/etc/motd overrides nothing; "), "{shown}");
    assert!(shown.contains(" node/var/lib/kubelet/config.yaml"), "{shown}");

    // With an empty installer the host would report success and have nothing.
    let empty = overriding("install.sh", " \n").map(|_| ()).expect_err("refused");
    assert!(empty.to_string().starts_with("install.sh is empty, "), "{empty}");
    assert!(overriding("node/etc/systemd/system/kubelet.service.d/10-clusterctl.conf", "").is_ok());

    let template = "node/var/lib/kubelet/config.yaml";
    let broken = overriding(template, "a: 1\nb: {{ host\nc: 2\n").map(|_| ()).expect_err("refused");
    let TemplateError::Failed { line, reason, .. } = &broken else { panic!("{broken:?}") };
    assert!(matches!(line, 2 | 3) && reason.starts_with("syntax error: "), "{broken}");

    let site = Site::new();
    let unfilled = overriding(template, "a: 1\nb: {{ cluster.nmae }}\n").expect("it parses");
    let failed = site.try_bundle(&unfilled, "on", &site.credentials("on"), 1).expect_err("refused");
    assert_eq!(
        failed.to_string(),
        "template node/var/lib/kubelet/config.yaml, line 2: undefined value: b: {{ cluster.nmae }}"
    );
    // Where the template is not needed, it does not fail.
    assert!(site.try_bundle(&unfilled, "m1", &site.credentials("m1"), 1).is_ok());
}

#[test]
fn a_shell_gets_back_what_a_template_printed() {
    let site = Site::new();
    let hostile = r#"{{ "it's $HOME `id` \\ %n \"x\" " ~ host }}"#;
    let templates = overriding("install.sh", &format!("printf '%s' {hostile}\n")).expect("templates");
    let bundle = site.try_bundle(&templates, "on", &site.credentials("on"), 1).expect("a bundle");
    let printed = stdout(Command::new("sh").args(["-euc", text(&bundle, "install.sh")]));
    assert_eq!(printed, r#"it's $HOME `id` \ %n "x" on"#);
}

// ── whose credentials ──

#[test]
fn credentials_that_are_not_the_hosts_own_make_no_bundle() {
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

    let twin = Site::of(site.cluster.clone());
    let issuer = site.root.certificate.subject.text.clone();
    assert_eq!(refused(&twin.credentials("on")), InputError::OtherRoot { profile: Profile::KubeletClient, issuer });
}

#[test]
fn a_cas_key_never_goes_into_a_bundle() {
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
fn the_same_bundle_is_the_same_bytes_and_comes_back_whole() {
    let site = Site::new();
    let credentials = site.credentials("both");
    let pack = || {
        let templates = Templates::compiled_in().expect("templates");
        archive::pack(&site.try_bundle(&templates, "both", &credentials, 5).expect("a bundle"))
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
    let folder = tempfile::tempdir().expect("a folder");
    let packed = folder.path().join("on.tar.gz");
    fs::write(&packed, archive::pack(&Site::new().bundle("on", 1))).expect("written");
    let listed = stdout(Command::new("tar").args(["--utc", "--full-time", "-tvzf"]).arg(&packed).env("LC_ALL", "C"));
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("drwx------ 0/0") && lines[0].ends_with("1970-01-01 00:00:00 on/"), "{listed}");
    assert_eq!(lines.len(), 12);
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
fn a_path_longer_than_a_tar_headers_name_still_packs() {
    let name = [["a"; 30].concat().as_str(); 2].join(".");
    let host = DraftHost { name: Some(name.clone()), addresses: vec!["10.0.0.1".into()], ..DraftHost::default() };
    let draft = Draft { name: Some("prod".into()), masters: vec![host], ..Draft::default() };
    let bundle = Site::of(draft.check().expect("a good draft")).bundle(&name, 1);
    assert!(bundle.files.iter().any(|file| name.len() + 1 + file.path.len() > 100), "tar's own field has 100 bytes");
    assert_eq!(archive::read(&archive::pack(&bundle)), Ok(bundle));
}

// ── install.sh ──

/// A bundle unpacked by tar, and a scratch root to install into.
struct Scratch {
    folder: tempfile::TempDir,
    root: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("scratch root");
        fs::create_dir(&root).expect("made");
        Self { folder, root }
    }

    /// Unpacks in place of what was unpacked before; the folder that install.sh is in.
    fn unpack(&self, bundle: &Bundle) -> PathBuf {
        let at = self.folder.path().join("unpacked");
        if at.exists() {
            fs::remove_dir_all(&at).expect("removed");
        }
        fs::create_dir(&at).expect("made");
        let packed = self.folder.path().join("bundle.tar.gz");
        fs::write(&packed, archive::pack(bundle)).expect("written");
        stdout(Command::new("tar").arg("-xzf").arg(&packed).arg("-C").arg(&at));
        at.join(bundle.manifest.host.as_str())
    }

    fn installer(&self, unpacked: &Path, arguments: &[&str]) -> Command {
        let mut sh = Command::new("dash");
        sh.arg(unpacked.join("install.sh")).args(arguments).env("DESTDIR", &self.root).current_dir("/");
        sh
    }

    fn install(&self, unpacked: &Path, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.installer(unpacked, arguments))
    }

    /// With a program of ours found before the system's one of that name.
    fn install_with(&self, unpacked: &Path, program: &str, script: &str) -> Ran {
        let bin = self.folder.path().join("bin");
        let _ = fs::remove_dir_all(&bin);
        fs::create_dir(&bin).expect("made");
        let file = bin.join(program);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
        let path = std::env::var("PATH").expect("a PATH");
        Ran::of(self.installer(unpacked, &[]).env("PATH", format!("{}:{path}", bin.display())))
    }

    fn tree(&self) -> BTreeMap<String, (u32, Vec<u8>)> {
        tree(&self.root)
    }
}

#[derive(Debug)]
struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    #[track_caller]
    fn refused(&self, reason: &str) {
        assert!(self.status == Some(1) && self.stderr.contains(reason), "{reason}: {self:#?}");
    }

    #[track_caller]
    fn succeeded(&self) {
        assert!(self.status == Some(0) && self.stderr.is_empty(), "{self:#?}");
    }
}

#[test]
fn shellcheck_passes_the_installer() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("install.sh");
    fs::write(&file, text(&Site::new().bundle("both", 1), "install.sh")).expect("written");
    assert_eq!(stdout(Command::new("shellcheck").args(["--shell=sh", "--severity=style"]).arg(&file)), "");
}

#[test]
fn installing_puts_every_file_in_place_with_its_mode_and_the_second_time_does_nothing() {
    let (site, scratch) = (Site::new(), Scratch::new());
    let bundle = site.bundle("both", 4);
    let unpacked = scratch.unpack(&bundle);

    let planned = scratch.install(&unpacked, &["--dry-run"]);
    planned.succeeded();
    assert!(planned.stdout.contains("  new      0600  "), "{}", planned.stdout);
    assert!(scratch.tree().is_empty());

    let first = scratch.install(&unpacked, &[]);
    first.succeeded();
    assert!(first.stdout.contains("Next:  systemctl daemon-reload && systemctl restart kubelet\n"), "{first:#?}");
    let installed = scratch.tree();
    let mut expected: BTreeMap<String, (u32, Vec<u8>)> = bundle
        .files
        .iter()
        .filter(|file| file.path.contains('/'))
        .map(|file| (file.path.clone(), (file.mode, file.bytes.to_vec())))
        .collect();
    let record = bundle.file("manifest.json").expect("a manifest").bytes.to_vec();
    expected.insert("etc/kubernetes/clusterctl/manifest.json".into(), (0o644, record));
    let (folders, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        installed.clone().into_iter().partition(|(path, _)| scratch.root.join(path).is_dir());
    assert_eq!(files, expected);
    assert_eq!((folders["etc/kubernetes/pki"].0, folders["var/lib/kubelet/pki"].0), (0o755, 0o750));

    let again = scratch.install(&unpacked, &[]);
    again.succeeded();
    let place = scratch.root.display();
    assert_eq!(
        again.stdout,
        format!(
            "Signature not checked: no --signer was given, and there is no \
             {place}/etc/kubernetes/clusterctl/allowed_signers.\nHost name not checked: there is no \
             {place}/etc/hostname.\nNothing to do: all 46 files of both (generation 4) are in place under {place}.\n"
        )
    );
    assert_eq!(scratch.tree(), installed);
}

#[test]
fn a_key_is_its_owners_alone_from_its_first_byte_on() {
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let log = scratch.folder.path().join("modes");
    // What the file that cat is about to fill may be done with, and by whom.
    let cat =
        format!(r#"mode=$(stat -L -c %a /proc/$$/fd/1); echo "$mode $2" >>'{}'; exec /bin/cat "$@""#, log.display());
    scratch.install_with(&unpacked, "cat", &cat).succeeded();
    let modes = fs::read_to_string(log).expect("a log");
    let of = |ending: &str| -> Vec<&str> {
        modes.lines().filter(|line| line.ends_with(ending)).filter_map(|line| line.split(' ').next()).collect()
    };
    assert_eq!((of(".key"), of("kubelet.conf"), of("ca.crt")), (vec!["600"; 2], vec!["600"], vec!["644"]), "{modes}");
}

#[test]
fn other_shells_install_alike() {
    for shell in ["sh", "bash"] {
        let scratch = Scratch::new();
        let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
        let installed = Ran::of(Command::new(shell).arg(unpacked.join("install.sh")).env("DESTDIR", &scratch.root));
        installed.succeeded();
        assert!(scratch.install(&unpacked, &[]).stdout.contains("Nothing to do"), "{shell}");
    }
}

#[test]
fn a_file_whose_mode_or_bytes_were_changed_is_put_right_alone() {
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    scratch.install(&unpacked, &[]).succeeded();
    let good = scratch.tree();
    let at = |path: &str| scratch.root.join(path);
    fs::set_permissions(at("var/lib/kubelet/pki/kubelet-client.key"), fs::Permissions::from_mode(0o644)).expect("set");
    fs::write(at("etc/kubernetes/pki/ca.crt"), "another root").expect("written");
    let put_right = scratch.install(&unpacked, &[]);
    put_right.succeeded();
    assert_eq!(put_right.stdout.matches("  0").count(), 2, "{put_right:#?}");
    assert_eq!(scratch.tree(), good);
}

#[test]
fn damaged_and_missing_files_are_named_and_nothing_is_installed() {
    let (site, scratch) = (Site::new(), Scratch::new());
    let bundle = site.bundle("on", 1);
    let damaged = |path: &str| {
        let unpacked = scratch.unpack(&bundle);
        let mut bytes = fs::read(unpacked.join(path)).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(unpacked.join(path), bytes).expect("written");
        scratch.install(&unpacked, &["--force-host", "--replace"])
    };
    for file in bundle.files.iter().filter(|file| file.path != "install.sh") {
        let ran = damaged(&file.path);
        ran.refused(if file.path.starts_with("manifest") { "manifest.json is damaged" } else { &file.path });
        assert!(scratch.tree().is_empty(), "{}", file.path);
    }
    let unpacked = scratch.unpack(&bundle);
    fs::remove_file(unpacked.join("var/lib/kubelet/pki/kubelet-server.key")).expect("removed");
    std::os::unix::fs::symlink("/etc/passwd", unpacked.join("var/lib/kubelet/pki/kubelet-server.key")).expect("linked");
    scratch.install(&unpacked, &[]).refused("kubelet-server.key(missing)");
    fs::remove_file(unpacked.join("manifest.sha256")).expect("removed");
    scratch.install(&unpacked, &[]).refused("manifest.sha256 is missing");
    assert!(scratch.tree().is_empty());
}

#[test]
fn a_bundle_is_refused_on_another_host() {
    let (site, scratch) = (Site::new(), Scratch::new());
    let unpacked = scratch.unpack(&site.bundle("worker-a1.fra1.example.net", 1));
    // Without DESTDIR this machine is meant, which is called otherwise. A dry run, in case it should go wrong.
    let mut here = scratch.installer(&unpacked, &["--dry-run"]);
    Ran::of(here.env_remove("DESTDIR"))
        .refused("this bundle is for worker-a1.fra1.example.net, and this host is called ");

    fs::create_dir(scratch.root.join("etc")).expect("made");
    let called = |name: &str| fs::write(scratch.root.join("etc/hostname"), name).expect("written");
    for other in ["worker-a2.fra1.example.net\n", "worker-a1.ams1.example.net\n", "worker-a\n", "example.net\n"] {
        called(other);
        scratch.install(&unpacked, &[]).refused(&format!("this host is called {other}"));
        assert_eq!(scratch.tree().len(), 2, "{other}");
    }
    let forced = scratch.install(&unpacked, &["--dry-run", "--force-host"]);
    assert!(forced.status == Some(0) && forced.stderr.starts_with("warning: this bundle is for "), "{forced:#?}");
    for same in ["worker-a1.fra1.example.net\n", "Worker-A1\n"] {
        called(same);
        scratch.install(&unpacked, &["--dry-run"]).succeeded();
    }
}

#[test]
fn comments_and_empty_lines_before_the_hosts_name_are_passed_over() {
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    fs::create_dir(scratch.root.join("etc")).expect("made");
    let called = |name: &str| fs::write(scratch.root.join("etc/hostname"), name).expect("written");
    for before in ["# written by cloud-init\n", "\n", "# one\n#two\n\n  \t\n  # three\n\r\n"] {
        called(&format!("{before}other\non\n"));
        scratch.install(&unpacked, &[]).refused("this bundle is for on, and this host is called other\n");
        assert_eq!(scratch.tree().len(), 2, "{before:?}");
        for name in ["on\n", "on", "on\nother\n", "  on  \n", "on\r\n"] {
            called(&format!("{before}{name}"));
            let planned = scratch.install(&unpacked, &["--dry-run"]);
            planned.succeeded();
            assert!(!planned.stdout.contains("Host name not checked"), "{before:?} {name:?}: {planned:#?}");
        }
        // Nobody's name, as in a file that is empty.
        called(before);
        let planned = scratch.install(&unpacked, &["--dry-run"]);
        planned.succeeded();
        assert!(planned.stdout.contains("Host name not checked: there is no name in "), "{before:?}: {planned:#?}");
    }
}

#[test]
fn an_older_bundle_and_another_clusters_are_refused_unless_told() {
    let (site, scratch) = (Site::new(), Scratch::new());
    scratch.install(&scratch.unpack(&site.bundle("on", 10)), &[]).succeeded();
    let newest = scratch.tree();
    let older = scratch.unpack(&site.bundle("on", 9));
    scratch.install(&older, &[]).refused("generation 10 is installed here, and this bundle is older: generation 9");
    assert_eq!(scratch.tree(), newest);
    scratch.install(&older, &["--replace"]).succeeded();
    assert_ne!(scratch.tree(), newest);
    let other = scratch.unpack(&site.bundle("1e3", 11));
    scratch.install(&other, &[]).refused("a bundle of host on is installed here, and this one is of host 1e3");
    scratch.install(&scratch.unpack(&site.bundle("on", 11)), &[]).succeeded();
}

#[test]
fn where_nothing_can_be_written_nothing_is_left_behind() {
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let nowhere = Ran::of(scratch.installer(&unpacked, &[]).env("DESTDIR", "/proc/clusterctl-test"));
    nowhere.refused("the folder /proc/clusterctl-test cannot be made");
    assert!(nowhere.stderr.ends_with("Nothing was changed.\n"), "{nowhere:#?}");

    // The files under etc are prepared already when the folder var turns out to be a file.
    fs::write(scratch.root.join("var"), "a file").expect("written");
    let before = scratch.tree();
    scratch.install(&unpacked, &[]).refused("/var cannot be made");
    assert_eq!(scratch.tree(), before);
    fs::remove_file(scratch.root.join("var")).expect("removed");

    fs::create_dir_all(scratch.root.join("etc/kubernetes/kubelet.conf")).expect("made");
    scratch.install(&unpacked, &[]).refused("kubelet.conf is a folder, and a file has to go there");
}

#[test]
fn a_full_disk_is_seen_before_and_survived_after() {
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let df = "echo Filesystem 1024-blocks Used Available Capacity Mounted on\necho /dev/with space 100 90 10 90% /";
    scratch.install_with(&unpacked, "df", df).refused(": 10 KiB are free, ");
    assert!(scratch.tree().is_empty());
    // No file may grow, so that the first one that is written fails as on a full disk.
    let mut limited = Command::new("dash");
    limited.args(["-c", r#"ulimit -f 0; exec dash "$0""#]).arg(unpacked.join("install.sh"));
    Ran::of(limited.env("DESTDIR", &scratch.root)).refused(".clusterctl-new cannot be written");
    assert!(scratch.tree().is_empty());
}

#[test]
fn a_rename_that_fails_takes_back_the_ones_before_it() {
    let (site, scratch) = (Site::new(), Scratch::new());
    let mv = r#"case "$4" in *config.yaml) exit 1 ;; esac; exec /bin/mv "$@""#;
    let first = scratch.unpack(&site.bundle("on", 1));
    scratch.install_with(&first, "mv", mv).refused("config.yaml cannot be replaced");
    assert!(scratch.tree().is_empty());

    scratch.install(&first, &[]).succeeded();
    let before = scratch.tree();
    let changed = kubelet_config_with("# changed\n");
    let bundle = site.try_bundle(&changed, "on", &site.credentials("on"), 2).expect("a bundle");
    let second = scratch.unpack(&bundle);
    scratch.install_with(&second, "mv", mv).refused("Nothing was changed.");
    assert_eq!(scratch.tree(), before);
    scratch.install(&second, &[]).succeeded();
}

#[test]
fn an_installation_that_is_killed_is_finished_by_the_next_one() {
    let (site, scratch) = (Site::new(), Scratch::new());
    scratch.install(&scratch.unpack(&site.bundle("on", 1)), &[]).succeeded();
    let before = scratch.tree();
    let unpacked = scratch.unpack(&site.bundle("on", 2));
    // A polite end, before the first rename: as if it had never begun.
    let ended = scratch.install_with(&unpacked, "sync", "kill -TERM $PPID");
    assert_eq!(ended.status, Some(143), "{ended:#?}");
    assert_eq!(scratch.tree(), before);
    // A rude one, between two renames.
    let mv = r#"case "$4" in *kubelet-client.key) kill -9 $PPID; exit 1 ;; esac; exec /bin/mv "$@""#;
    assert_eq!(scratch.install_with(&unpacked, "mv", mv).status, None);
    assert!(scratch.tree().keys().any(|path| path.ends_with(".clusterctl-new")));
    scratch.install(&unpacked, &[]).succeeded();
    let names: Vec<String> = scratch.tree().into_keys().collect();
    assert_eq!(names, before.into_keys().collect::<Vec<_>>());
    assert!(scratch.install(&unpacked, &[]).stdout.contains("Nothing to do"));
}

#[test]
fn two_at_once_are_one_after_the_other() {
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let mut held = Command::new("flock");
    held.arg(&scratch.root).arg("dash").arg(unpacked.join("install.sh")).env("DESTDIR", &scratch.root);
    Ran::of(&mut held).refused("another install.sh is at work");
    scratch.install(&unpacked, &[]).succeeded();
}

#[test]
fn a_drop_in_that_would_undo_ours_is_named_until_it_is_masked() {
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let packaged = scratch.root.join("usr/lib/systemd/system/kubelet.service.d");
    fs::create_dir_all(&packaged).expect("made");
    fs::write(packaged.join("10-kubeadm.conf"), "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet\n")
        .expect("written");
    // As on every system of today.
    std::os::unix::fs::symlink("usr/lib", scratch.root.join("lib")).expect("linked");
    let warned = scratch.install(&unpacked, &[]);
    assert_eq!((warned.status, warned.stderr.matches("warning:").count()), (Some(0), 1), "{warned:#?}");
    assert!(warned.stderr.contains("10-kubeadm.conf comes after ours and sets ExecStart="), "{warned:#?}");
    let mask = scratch.root.join("etc/systemd/system/kubelet.service.d/10-kubeadm.conf");
    std::os::unix::fs::symlink("/dev/null", mask).expect("linked");
    fs::remove_file(scratch.root.join("etc/kubernetes/kubelet.conf")).expect("removed");
    scratch.install(&unpacked, &[]).succeeded();
}

#[test]
fn a_drop_in_that_would_undo_ours_is_named_also_where_nothing_is_installed() {
    let (site, scratch) = (Site::new(), Scratch::new());
    let unpacked = scratch.unpack(&site.bundle("on", 1));
    scratch.install(&unpacked, &[]).succeeded();
    // kubeadm's package comes after the bundle.
    let packaged = scratch.root.join("usr/lib/systemd/system/kubelet.service.d");
    fs::create_dir_all(&packaged).expect("made");
    fs::write(packaged.join("10-kubeadm.conf"), "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet\n")
        .expect("written");
    let warned = |ran: &Ran, says: &str| {
        assert_eq!((ran.status, ran.stderr.matches("warning:").count()), (Some(0), 1), "{ran:#?}");
        assert!(ran.stderr.contains("10-kubeadm.conf comes after ours and sets ExecStart="), "{ran:#?}");
        assert!(ran.stdout.contains(says) && ran.stdout.contains("To switch it off:  ln -sf /dev/null "), "{ran:#?}");
    };
    let before = scratch.tree();
    warned(&scratch.install(&unpacked, &[]), "Nothing to do: ");
    warned(&scratch.install(&unpacked, &["--dry-run"]), "Nothing to do: ");
    assert_eq!(scratch.tree(), before);
    let newer = scratch.unpack(&site.bundle("on", 2));
    warned(&scratch.install(&newer, &["--dry-run"]), "Would install ");
    assert_eq!(scratch.tree(), before);
    let mask = scratch.root.join("etc/systemd/system/kubelet.service.d/10-kubeadm.conf");
    std::os::unix::fs::symlink("/dev/null", mask).expect("linked");
    scratch.install(&newer, &["--dry-run"]).succeeded();
    scratch.install(&newer, &[]).succeeded();
    scratch.install(&newer, &[]).succeeded();

    // A host without a kubelet of ours has nothing that could be undone.
    let master = Scratch::new();
    let packaged = master.root.join("usr/lib/systemd/system/kubelet.service.d");
    fs::create_dir_all(&packaged).expect("made");
    fs::write(packaged.join("10-kubeadm.conf"), "[Service]\nExecStart=/usr/bin/kubelet\n").expect("written");
    let unpacked = master.unpack(&site.bundle("m1", 1));
    for arguments in [&["--dry-run"][..], &[], &[]] {
        master.install(&unpacked, arguments).succeeded();
    }
}

#[test]
fn an_unknown_argument_is_a_usage_error() {
    let scratch = Scratch::new();
    let unpacked = scratch.unpack(&Site::new().bundle("on", 1));
    let ran = scratch.install(&unpacked, &["--froce"]);
    assert!(ran.status == Some(2) && ran.stderr.contains("unknown argument --froce"), "{ran:#?}");
}

// ── helpers ──

#[track_caller]
fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {shown}{}", String::from_utf8_lossy(&output.stderr));
    shown
}

/// Everything below `root`: path → mode and bytes; folders have none.
fn tree(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let facts = fs::symlink_metadata(&path).expect("facts");
            let name = path.strip_prefix(root).expect("below").to_str().expect("a text").to_owned();
            let bytes = if facts.is_file() { fs::read(&path).expect("read") } else { Vec::new() };
            found.insert(name, (facts.permissions().mode() & 0o7777, bytes));
            if facts.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}
