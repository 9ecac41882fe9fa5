//! User-data for cloud-init, as cloud-init's own modules read and write it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clusterctl::bundle::format::Format;
use clusterctl::pki::ssh::SshKey;

use crate::delivery::{packed, tree};
use crate::support::encryption::ssh_key;
use crate::support::outside::needs;
use crate::support::packages::package_with;
use crate::support::{CLUSTER, Lab, good_tool, tool};

/// Packs the user-data of a host, and returns its path.
fn packed_user_data(lab: &Lab, host: &str) -> PathBuf {
    let ran = lab.good(&["bundle", host, "--format", "cloud-init"]);
    assert_eq!(ran.out, format!("DIR/bundles/{host}.cloud-init.yaml.gz\n"));
    assert_eq!(ran.err.matches("warning: ").count(), 1, "keys without encryption: {ran}");
    lab.path(&format!("bundles/{host}.cloud-init.yaml.gz"))
}

/// Packs the user-data of a host, and decompresses it as cloud-init does. Returns the path of the text.
fn user_data(lab: &Lab, host: &str) -> String {
    decompressed(lab, &packed_user_data(lab, host))
}

/// Decompresses a file, and returns the path of the copy.
pub(crate) fn decompressed(lab: &Lab, packed: &Path) -> String {
    let text = good_tool("gzip", &["-dc", &packed.display().to_string()]);
    lab.write("user-data.yaml", &text);
    lab.path("user-data.yaml").display().to_string()
}

/// Runs Python with cloud-init's own modules.
fn cloud_init(script: &str, args: &[&str]) -> String {
    good_tool("/usr/bin/python3", &[&["-c", script], args].concat())
}

#[test]
fn cloud_init_accepts_the_user_data_of_every_kind_of_host() {
    needs!("cloud-init");
    let lab = Lab::with(&CLUSTER.replace("nodes:\n", "nodes:\n- {name: master-2, addresses: [10.20.0.12]}\n"));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    for host in ["on", "master-1", "master-2"] {
        let path = user_data(&lab, host);
        let said = good_tool("cloud-init", &["schema", "--config-file", &path]);
        assert!(said.contains("Valid cloud-config"), "{said}");
        let packed = lab.path(&format!("bundles/{host}.cloud-init.yaml.gz"));
        assert_eq!(fs::metadata(&packed).expect("facts").permissions().mode() & 0o777, 0o600);
        let first = fs::read(&packed).expect("user-data");
        fs::remove_file(&packed).expect("removed");
        packed_user_data(&lab, host);
        assert_eq!(fs::read(&packed).expect("user-data"), first, "the same bytes");
    }
    // A schema that accepts everything would prove nothing.
    let path = user_data(&lab, "on");
    let wrong = fs::read_to_string(&path).expect("text").replacen("\"0600\"", "384", 1);
    fs::write(&path, wrong).expect("written");
    assert!(!tool("cloud-init", &["schema", "--config-file", &path]).status.success());
}

#[test]
fn node_user_data_fits_the_ec2_limit_and_larger_hosts_are_reported() {
    needs!("ssh-keygen");
    // A name of maximal length, signed, and with more names in the certificates than those of EC2.
    let long = "ip-10-120-233-117.eu-central-1.compute.internal";
    let more =
        format!("nodes:\n- {{name: {long}, addresses: [10.20.3.7, \"fd20:1::7\", {long}, a.{long}, b.{long}]}}\n");
    let lab = Lab::with(&CLUSTER.replace("nodes:\n", &more));
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    ssh_key(&lab, "signer", "ecdsa", "");
    lab.good(&["bundle", "--all", "--format", "cloud-init", "--sign-with", "signer"]);
    let report = package_with(&lab, &[], |_, options| {
        options.format = Format::CloudInit;
        options.signing_key = Some(Arc::new(SshKey::from_pem(lab.read("signer").as_bytes()).expect("a key")));
        Ok(())
    });
    let report = report.expect("bundles");
    let large = report.user_data_above(16 << 10);
    let size = |host: &str| fs::metadata(lab.path(&format!("bundles/{host}.cloud-init.yaml.gz"))).expect("facts").len();
    // Keys, serial numbers and signatures differ from run to run, and by some tens of bytes in size: half a KiB stays free.
    for node in [long, "worker-a1.fra1.example.net", "on", "worker-b1"] {
        assert!(size(node) <= (16 << 10) - 512, "{node}: {}", size(node));
        assert!(large.iter().all(|(host, _)| host.as_str() != node), "{large:?}");
    }
    for master in ["master-1", "master-2"] {
        let found = large.iter().find(|(host, _)| host.as_str() == master).map(|(_, size)| *size);
        assert_eq!(found, Some(size(master)).filter(|size| *size > 16 << 10), "{master}");
    }
}

#[test]
fn user_data_of_an_earlier_version_is_removed() {
    let lab = Lab::issued();
    packed_user_data(&lab, "on");
    lab.write("bundles/on.cloud-init.yaml", "#cloud-config\n# with unencrypted keys\n");
    packed_user_data(&lab, "on");
    assert!(!lab.path("bundles/on.cloud-init.yaml").exists());
}

#[test]
fn signed_user_data_is_installed_only_with_an_allowed_signer() {
    needs!("python3", "ssh-keygen");
    let lab = Lab::issued();
    for name in ["signer", "other"] {
        let public = ssh_key(&lab, name, "ed25519", "");
        lab.write(&format!("allowed-{name}"), &format!("{name}@example.net {public}\n"));
    }
    let refused = lab.run(&["bundle", "on", "--format", "ignition", "--sign-with", "signer"]);
    assert_eq!((refused.status, refused.out.as_str()), (2, ""), "{refused}");
    insta::assert_snapshot!("ignition_cannot_be_signed", refused.err);
    assert!(!lab.path("bundles").exists(), "nothing is packed");

    lab.good(&["bundle", "on", "--format", "cloud-init", "--sign-with", "signer"]);
    let path = decompressed(&lab, &lab.path("bundles/on.cloud-init.yaml.gz"));
    let (staging, root) = (lab.path("staging"), lab.path("root"));
    fs::create_dir_all(root.join("etc")).expect("a folder");
    fs::write(root.join("etc/hostname"), "on\n").expect("written");
    let install = |allowed: &str| {
        cloud_init(WRITE_FILES, &[&path, &staging.display().to_string()]);
        let mut installer = std::process::Command::new("sh");
        installer.arg(staging.join("on/install.sh")).env("DESTDIR", &root).env("CLUSTERCTL_SIGNER", lab.path(allowed));
        installer.output().expect("sh")
    };
    let wrong = install("allowed-other");
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(!root.join("var").exists(), "nothing was installed");
    let right = install("allowed-signer");
    assert!(right.status.success(), "{right:?}");
    assert!(String::from_utf8_lossy(&right.stdout).contains("signer@example.net"), "{right:?}");
    // `show` and `verify --offline` read back the whole tree, with the signature.
    lab.good(&["show", "bundles/on.cloud-init.yaml.gz"]);
}

/// Writes the files of user-data under `$2` in place of /run/clusterctl, as cloud-init does, and prints the last command.
const WRITE_FILES: &str = "
import logging, sys, yaml
from cloudinit.config import cc_write_files
config = yaml.safe_load(open(sys.argv[1]))
assert config['bootcmd'] == [['cloud-init-per', 'instance', 'clusterctl', 'install', '-d', '-m', '0700', '/run/clusterctl']]
assert list(config) == ['bootcmd', 'write_files', 'runcmd'], list(config)
for entry in config['write_files']:
    assert entry['path'].startswith('/run/clusterctl/') and entry['owner'] == 'root:root', entry['path']
    entry['path'] = entry['path'].replace('/run/clusterctl', sys.argv[2])
cc_write_files.write_files('write_files', config['write_files'], 'root:root')
[command] = config['runcmd']
assert command[:2] == ['sh', '-c'] and len(command) == 3
print(command[2].replace('/run/clusterctl', sys.argv[2]), end='')
";

#[test]
fn files_written_by_cloud_init_are_the_bundle_and_install_themselves() {
    needs!("python3");
    let lab = Lab::issued();
    let bundle = packed(&lab, "on");
    let path = user_data(&lab, "on");
    let staging = lab.path("staging");
    let script = cloud_init(WRITE_FILES, &[&path, &staging.display().to_string()]);
    let laid = tree(&staging.join("on"));
    for file in &bundle.files {
        assert_eq!(laid[&file.path], (format!("{:o}", file.mode), file.bytes.to_vec()), "{}", file.path);
    }
    // A stub of systemctl that records its arguments.
    let bin = lab.path("bin");
    fs::create_dir(&bin).expect("a folder");
    fs::write(bin.join("systemctl"), format!("#!/bin/sh\necho \"$*\" >>{}\n", lab.path("systemctl.log").display()))
        .expect("written");
    fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).expect("set");
    let root = lab.path("root");
    fs::create_dir_all(root.join("etc")).expect("a folder");
    let run = |name: &str| {
        fs::write(root.join("etc/hostname"), name).expect("written");
        std::process::Command::new("sh")
            .args(["-c", &script])
            .env("DESTDIR", &root)
            .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path")))
            .output()
            .expect("sh")
    };
    let other = run("another-host\n");
    assert_eq!(other.status.code(), Some(1), "{}", String::from_utf8_lossy(&other.stderr));
    assert!(!staging.exists() && !lab.path("systemctl.log").exists(), "no key is left, and nothing is started");
    assert!(!root.join("var").exists(), "nothing was installed");

    cloud_init(WRITE_FILES, &[&path, &staging.display().to_string()]);
    let installed = run("on\n");
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    assert!(!staging.exists());
    assert_eq!(lab.read("systemctl.log"), "daemon-reload\nenable kubelet\nrestart kubelet\n");
    assert_eq!(tree(&root)["var/lib/kubelet/pki/kubelet-client.key"].0, "600");
    assert_eq!(tree(&root)["var/lib/kubelet"].0, "750");
}
