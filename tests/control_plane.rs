//! A master's bundle as other programs read it: openssl reads etcd's certificates, Kubernetes's own types the pods, and
//! three etcd members run with the flags of the bundle.

use crate::support::offline::offline;
use crate::support::outside::needs;
use crate::support::packages::package;
use crate::support::plans::master_plan;
use crate::support::{Lab, good_tool, pyyaml, tool};
use clusterctl::app::issue::ServiceAccountStep;
use clusterctl::app::package::PackageError;
use clusterctl::bundle::archive;
use clusterctl::bundle::model::Bundle;
use clusterctl::cluster::config_error::Reason;
use clusterctl::config;
use clusterctl::store::credentials::CredentialProblem;
use k8s_openapi::api::core::v1::Pod;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const HA: &str = r#"apiVersion: clusterctl/v1
kind: Cluster
name: prod
endpoint: https://api.prod.example.net:6443
serviceCIDRs: [10.96.0.0/16, "fd00:10:96::/112"]
masters:
- {name: master-1, addresses: [master-1.example.net, 10.20.0.11, "fd00::11"]}
- {name: master-2, addresses: ["fd00::12", 10.20.0.12], apiServerPort: 7443}
- {name: master-3, addresses: [master-3.example.net]}
nodes:
- {name: on, addresses: [10.20.4.1]}
"#;

/// Every host's bundle, unpacked by tar.
pub(super) struct Site {
    pub(super) lab: Lab,
}

impl Site {
    pub(super) fn new(cluster: &str, bundle: &[&str]) -> Self {
        let lab = Lab::with(cluster);
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-master", "--all"]);
        lab.good(&["issue-node", "--all"]);
        lab.good(&[&["bundle", "--all"], bundle].concat());
        let bundles = lab.dir().join("bundles");
        for entry in std::fs::read_dir(&bundles).expect("bundles") {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("an archive");
            unpack(&archive::read(&bytes).expect("a bundle"), lab.dir());
        }
        Self { lab }
    }

    pub(super) fn path(&self, host: &str, path: &str) -> PathBuf {
        self.lab.path(host).join(path)
    }

    pub(super) fn text(&self, host: &str, path: &str) -> String {
        let path = self.path(host, path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Returns a program's flags, as a shell reads them from its environment file.
    pub(super) fn flags(&self, host: &str, program: &str) -> Vec<String> {
        let file = self.path(host, &format!("etc/kubernetes/clusterctl/{program}.env")).display().to_string();
        let variable = format!("CLUSTERCTL_{}_ARGS", program.to_uppercase().replace('-', "_"));
        let script = format!(r#". "$0"; printf '%s\n' ${variable}"#);
        good_tool("sh", &["-euc", &script, &file]).lines().map(ToOwned::to_owned).collect()
    }

    /// Returns a static pod, as PyYAML reads it.
    pub(super) fn pod(&self, host: &str, program: &str) -> serde_json::Value {
        pyyaml(&self.text(host, &format!("etc/kubernetes/manifests/{program}.yaml")))
    }
}

/// Writes the files of a bundle below `folder`, in a folder with the host's name.
fn unpack(bundle: &Bundle, folder: &Path) {
    for file in &bundle.files {
        let path = folder.join(bundle.manifest.host.as_str()).join(&file.path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, &*file.bytes).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(file.mode)).expect("set");
    }
}

const PROGRAMS: [(&str, &str); 4] = [
    ("etcd", "etcd"),
    ("kube-apiserver", "apiserver"),
    ("kube-controller-manager", "controller-manager"),
    ("kube-scheduler", "scheduler"),
];

#[test]
fn api_server_flags_name_every_trust_anchor() {
    let site = Site::new(HA, &[]);
    assert_eq!(
        site.flags("master-1", "apiserver"),
        [
            "--secure-port=6443",
            "--advertise-address=10.20.0.11",
            "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
            "--client-ca-file=/etc/kubernetes/pki/ca.crt",
            "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt",
            "--tls-private-key-file=/etc/kubernetes/pki/apiserver.key",
            "--kubelet-certificate-authority=/etc/kubernetes/pki/ca.crt",
            "--kubelet-client-certificate=/etc/kubernetes/pki/apiserver-kubelet-client.crt",
            "--kubelet-client-key=/etc/kubernetes/pki/apiserver-kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP,Hostname",
            "--etcd-servers=https://10.20.0.11:2379,https://[fd00::12]:2379,https://master-3.example.net:2379",
            "--etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt",
            "--etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt",
            "--etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key",
            "--requestheader-client-ca-file=/etc/kubernetes/pki/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--proxy-client-cert-file=/etc/kubernetes/pki/front-proxy-client.crt",
            "--proxy-client-key-file=/etc/kubernetes/pki/front-proxy-client.key",
            "--service-account-key-file=/etc/kubernetes/pki/sa.pub",
            "--service-account-signing-key-file=/etc/kubernetes/pki/sa.key",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--anonymous-auth=false",
            "--authorization-config=/etc/kubernetes/clusterctl/authorization.yaml",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
        ]
    );
    let second = site.flags("master-2", "apiserver");
    assert_eq!(second[0], "--secure-port=7443");
    assert!(second.iter().any(|flag| flag.starts_with("--etcd-servers=https://[fd00::12]:2379,https://10.20.0.11:")));
    let advertised = |site: &Site, host: &str| {
        site.flags(host, "apiserver").into_iter().find(|flag| flag.starts_with("--advertise-address"))
    };
    let second = advertised(&site, "master-2");
    assert_eq!(
        second.as_deref(),
        Some("--advertise-address=10.20.0.12"),
        "of the services' family, although not the first"
    );
    assert_eq!(advertised(&site, "master-3"), None, "a name is no address");
    let turned = HA.replace("10.96.0.0/16, \"fd00:10:96::/112\"", "\"fd00:10:96::/112\", 10.96.0.0/16");
    let turned = Site::new(&turned, &[]);
    assert_eq!(advertised(&turned, "master-1").as_deref(), Some("--advertise-address=fd00::11"));
}

#[test]
fn etcd_members_use_the_names_in_their_certificates() {
    needs!("openssl");
    let site = Site::new(HA, &[]);
    let members =
        "master-1=https://10.20.0.11:2380,master-2=https://[fd00::12]:2380,master-3=https://master-3.example.net:2380";
    for (host, listens, server_name) in [
        ("master-1", "https://127.0.0.1:2379,https://10.20.0.11:2379", "10.20.0.11"),
        ("master-2", "https://127.0.0.1:2379,https://[fd00::12]:2379", "fd00::12"),
        ("master-3", "https://0.0.0.0:2379", "master-3.example.net"),
    ] {
        let flags = site.flags(host, "etcd");
        for flag in [
            format!("--name={host}"),
            "--client-cert-auth=true".to_owned(),
            "--peer-client-cert-auth=true".to_owned(),
            format!("--initial-cluster={members}"),
            format!("--listen-client-urls={listens}"),
        ] {
            assert!(flags.contains(&flag), "{flag}: {flags:?}");
        }
        let root = site.path(host, "etc/kubernetes/pki/etcd/ca.crt").display().to_string();
        let kind = if server_name.contains(".example") { "-verify_hostname" } else { "-verify_ip" };
        for (file, purposes) in [("server", ["sslserver", "sslclient"]), ("peer", ["sslserver", "sslclient"])] {
            let certificate = site.path(host, &format!("etc/kubernetes/pki/etcd/{file}.crt")).display().to_string();
            for purpose in purposes {
                let at = site.lab.now.unix_timestamp().to_string();
                let strict = ["verify", "-x509_strict", "-attime", &at, "-purpose", purpose];
                good_tool("openssl", &[&strict[..], &[kind, server_name, "-CAfile", &root, &certificate]].concat());
                let other = site.path(host, "etc/kubernetes/pki/ca.crt").display().to_string();
                let foreign = tool("openssl", &[&strict[..], &["-CAfile", &other, &certificate]].concat());
                assert!(!foreign.status.success(), "the cluster's root did not sign {certificate}");
            }
        }
    }
}

#[test]
fn files_named_by_flags_are_in_the_bundle_and_mounted() {
    needs!("python3-yaml");
    let site = Site::new(HA, &[]);
    for (program, short) in PROGRAMS {
        let pod = site.pod("master-1", program);
        let flags = site.flags("master-1", short);
        let command: Vec<String> = serde_json::from_value(pod["spec"]["containers"][0]["command"].clone()).expect("it");
        assert_eq!(command[0], program);
        assert_eq!(command[1..], flags, "one list for both ways to run {program}");
        let mounts = pod["spec"]["containers"][0]["volumeMounts"].as_array().expect("mounts");
        let mounts: Vec<&str> = mounts.iter().filter_map(|mount| mount["mountPath"].as_str()).collect();
        let mut files = 0;
        for path in flags.iter().filter_map(|flag| Some(flag.split_once("=/")?.1)) {
            let seen = mounts.iter().any(|mount| Path::new("/").join(path).starts_with(mount));
            assert!(seen, "{program} does not see /{path}: {mounts:?}");
            if path != "var/lib/etcd" {
                assert!(site.path("master-1", path).is_file(), "{program}: {path}");
                files += 1;
            }
        }
        assert!(files >= 3, "{program} names {files} files");
        for volume in pod["spec"]["volumes"].as_array().expect("volumes") {
            let path = volume["hostPath"]["path"].as_str().expect("a path");
            let whole = ["/etc/kubernetes/pki", "/etc/kubernetes", "/"].contains(&path);
            assert!(!whole || program == "kube-apiserver", "{program} is given all keys of the host");
        }
    }
}

#[test]
fn static_pods_are_valid_and_run_the_configured_versions() {
    needs!("python3-yaml");
    let set = ["--set", "kubernetesVersion=v1.36.5", "--set", "imageRepository=reg.example.net/k8s"];
    let (plain, set) = (Site::new(HA, &[]), Site::new(HA, &set));
    for (program, _) in PROGRAMS {
        let written = plain.pod("master-1", program);
        let pod: Pod = serde_json::from_value(written.clone()).expect("a pod");
        // Kubernetes's type drops unknown fields: a misspelt field would be missing here.
        assert_eq!(serde_json::to_value(&pod).expect("JSON"), written, "{program}");
        let image = |site: &Site| {
            let pod = site.pod("master-1", program);
            pod["spec"]["containers"][0]["image"].as_str().expect("an image").to_owned()
        };
        let (usual, wanted) = if program == "etcd" { ("3.6.8-0", "3.6.8-0") } else { ("v1.36.2", "v1.36.5") };
        assert_eq!(image(&plain), format!("registry.k8s.io/{program}:{usual}"));
        assert_eq!(image(&set), format!("reg.example.net/k8s/{program}:{wanted}"));
    }
    let wrong = ["kubernetesVersion=latest", "kubernetesversion=v1.36.2", "kubernetesVersion"];
    let ran = wrong.map(|wrong| plain.lab.run(&["bundle", "--all", "--set", wrong]).to_string());
    insta::assert_snapshot!("settings_that_are_refused", ran.join("\n"));
}

#[test]
fn kubectl_reads_kubeconfigs_for_the_local_api_server() {
    needs!("kubectl", "openssl");
    let site = Site::new(HA, &[]);
    for (host, server) in [
        ("master-1", "https://10.20.0.11:6443"),
        ("master-2", "https://[fd00::12]:7443"),
        ("master-3", "https://master-3.example.net:6443"),
    ] {
        for (file, user) in
            [("controller-manager", "system:kube-controller-manager"), ("scheduler", "system:kube-scheduler")]
        {
            let path = site.path(host, &format!("etc/kubernetes/{file}.conf")).display().to_string();
            let view = good_tool("kubectl", &["config", "view", "--minify", "--kubeconfig", &path, "-o", "json"]);
            let view: serde_json::Value = serde_json::from_str(&view).expect("JSON");
            assert_eq!(view["clusters"][0]["cluster"]["server"], server);
            assert_eq!(view["users"][0]["name"], user);
            let certificate = view["users"][0]["user"]["client-certificate"].as_str().expect("a path");
            let subject = site.path(host, certificate.trim_start_matches('/')).display().to_string();
            let subject = good_tool("openssl", &["x509", "-in", &subject, "-noout", "-subject", "-nameopt", "RFC2253"]);
            assert_eq!(subject, format!("subject=CN={user}\n"));
        }
    }
    let offline = site.lab.good(&["verify", "--offline"]);
    assert!(offline.out.contains("Passed: "), "{offline}");
}

#[test]
fn systemd_reads_every_drop_in() {
    needs!("systemd-analyze");
    let site = Site::new(HA, &[]);
    for (program, short) in PROGRAMS {
        let unit = site.lab.path(&format!("{program}.service"));
        let drop_ins = site.lab.path(&format!("{program}.service.d"));
        std::fs::create_dir(&drop_ins).expect("made");
        std::fs::write(&unit, "[Unit]\nDescription=it\n[Service]\nType=exec\n").expect("written");
        let drop_in = site.text("master-1", &format!("etc/systemd/system/{program}.service.d/99-clusterctl.conf"));
        let file = format!("EnvironmentFile=/etc/kubernetes/clusterctl/{short}.env\n");
        assert!(drop_in.contains(&file), "{drop_in}");
        // etcd would refuse the variables of Debian's unit together with these flags.
        let reset = drop_in.contains("\nEnvironment=\nEnvironmentFile=\nEnvironmentFile=");
        assert_eq!(reset, program == "etcd", "{drop_in}");
        let starts = format!("ExecStart={program} ");
        assert!(drop_in.contains(&starts), "{drop_in}");
        std::fs::write(drop_ins.join("99-clusterctl.conf"), drop_in.replace(&starts, "ExecStart=true ")).expect("it");
        let unit = unit.display().to_string();
        let verified = tool("systemd-analyze", &["verify", "--man=no", "--recursive-errors=no", &unit]);
        let complaints = String::from_utf8_lossy(&verified.stderr).into_owned();
        let ours: Vec<&str> = complaints.lines().filter(|line| line.contains(program)).collect();
        assert!(ours.is_empty(), "{ours:#?}");
    }
}

#[test]
fn service_account_key_is_shared_and_never_replaced() {
    needs!("openssl");
    let site = Site::new(HA, &[]);
    let (key, public) = (site.lab.read("pki/sa.key"), site.lab.read("pki/sa.pub"));
    for host in ["master-1", "master-2", "master-3"] {
        assert_eq!(site.text(host, "etc/kubernetes/pki/sa.key"), key);
        assert_eq!(site.text(host, "etc/kubernetes/pki/sa.pub"), public);
    }
    assert!(!site.path("on", "etc/kubernetes/pki/sa.key").exists(), "a node signs no tokens");
    let key_path = site.lab.path("pki/sa.key").display().to_string();
    assert_eq!(good_tool("openssl", &["pkey", "-in", &key_path, "-pubout"]), public);
    site.lab.good(&["issue-master", "--all", "--reissue"]);
    assert_eq!(site.lab.read("pki/sa.key"), key, "another one would end every token");

    std::fs::remove_file(site.lab.path("pki/sa.pub")).expect("removed");
    assert_eq!(master_plan(&site.lab).service_account, Some(ServiceAccountStep::WritePublicKey));
    site.lab.good(&["issue-master", "--all"]);
    assert_eq!(site.lab.read("pki/sa.pub"), public);

    std::fs::remove_file(site.lab.path("pki/sa.key")).expect("removed");
    let refused = site.lab.run(&["issue-master", "--all"]);
    assert_eq!(refused.status, 3, "{refused}");
    assert!(refused.err.contains("DIR/pki/sa.key"), "{refused}");
    let refused = site.lab.run(&["bundle", "--all"]);
    assert_eq!(refused.status, 3, "{refused}");
    let key = CredentialProblem::Missing(site.lab.path("pki/sa.key"));
    assert_eq!(package(&site.lab, &[]), Err(PackageError::ServiceAccountKey(key)));
    let found = offline(&site.lab, &[]);
    let key = "fail store.credential service accounts restore-service-account-key";
    assert!(found.status == 1 && found.has(key), "{found:?}");
}

#[test]
fn an_ed25519_cluster_has_an_ecdsa_service_account_key() {
    needs!("openssl");
    let site = Site::new(&HA.replace("kind: Cluster\n", "kind: Cluster\nkeys: ed25519\n"), &[]);
    let key = site.lab.path("pki/sa.key").display().to_string();
    let text = good_tool("openssl", &["pkey", "-in", &key, "-noout", "-text"]);
    assert!(text.contains("prime256v1"), "{text}");
}

#[test]
fn a_master_without_an_address_of_the_first_service_family_is_refused() {
    let refused_for = |cluster: &str, needed: &str| {
        let error = config::read(cluster.as_bytes()).expect_err("refused");
        let [error] = error.errors() else { panic!("{error}") };
        assert_eq!(error.path, "masters[0].addresses");
        assert!(matches!(error.reason, Reason::ServiceFamilyMissing { family, .. } if family == needed), "{error}");
    };
    let of_one = "apiVersion: clusterctl/v1\nkind: Cluster\nname: six\nmasters:\n- {name: m, addresses: [ADDRESSES]}\n";
    // Without a range in the file, kubeadm's default range is IPv4.
    refused_for(&of_one.replace("ADDRESSES", "\"fd00::1\", m.example.net"), "IPv4");
    let ipv6 = format!("{of_one}serviceCIDRs: [\"fd00:96::/112\", 10.96.0.0/16]\n");
    refused_for(&ipv6.replace("ADDRESSES", "10.0.0.1"), "IPv6");
    for fitting in ["\"fd00::1\"", "10.0.0.1, \"fd00::1\"", "m.example.net"] {
        Lab::with(&ipv6.replace("ADDRESSES", fitting)).good(&["init-ca", "--plaintext-ca-key"]);
    }
}

#[test]
fn names_of_other_nodes_and_bundle_file_names_are_refused() {
    let refused_for = |nodes: &str, path: &str, reason: Reason| {
        let cluster = format!(
            "apiVersion: clusterctl/v1\nkind: Cluster\nname: c\nmasters:\n- {{name: m, addresses: [10.0.0.1]}}\nnodes:\n{nodes}"
        );
        let error = config::read(cluster.as_bytes()).expect_err("refused");
        let [error] = error.errors() else { panic!("{error}") };
        assert_eq!((error.path.as_str(), &error.reason), (path, &reason));
    };
    refused_for(
        "- {name: a, addresses: [10.0.1.1, b]}\n- {name: b, addresses: [10.0.1.2]}\n",
        "nodes[0].addresses[1]",
        Reason::OtherNodeName { other: "nodes[1].name".into() },
    );
    refused_for(
        "- {name: 10.0.1.9, addresses: [x.example.net]}\n- {name: b, addresses: [10.0.1.9]}\n",
        "nodes[1].addresses[0]",
        Reason::OtherNodeName { other: "nodes[0].name".into() },
    );
    for suffix in [".tar.gz", ".tar.gz.age", ".ign", ".cloud-init.yaml", ".cloud-init.yaml.gz"] {
        let nodes = format!("- {{name: a{suffix}, addresses: [10.0.1.1]}}\n");
        refused_for(&nodes, "nodes[0].name", Reason::BundleSuffix { suffix });
    }
}

#[test]
fn a_long_master_name_and_a_third_service_range_are_refused() {
    let long = format!("{}.{}", "a".repeat(40), "b".repeat(40));
    let lab = Lab::with(&HA.replace("master-2", &long).replace("[10.96.0.0/16, ", "[10.96.0.0/16, 10.97.0.0/16, "));
    let refused = lab.run(&["init-ca", "--plaintext-ca-key"]);
    insta::assert_snapshot!("a_long_master_name_and_a_third_service_range", refused.to_string());
}
