//! The Ansible role in `examples/ansible`, run by Ansible.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use time::OffsetDateTime;

use crate::restarting::{Machine, SYSTEMCTL};
use crate::support::Lab;
use crate::support::encryption::age_key;
use crate::support::outside::needs;

const CLUSTER: &str = r#"apiVersion: clusterctl/v1
kind: Cluster
name: prod
endpoint: https://api.prod.example.net:6443
serviceCIDRs: [10.96.0.0/16]
kubernetes: {version: v1.36.2}
masters:
- {name: m1, addresses: [192.0.2.1]}
nodes:
- {name: n1, addresses: [192.0.2.11]}
"#;

/// What a run of the playbook did to a host.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Unchanged,
    Changed,
    Failed,
}
use Outcome::{Changed, Failed, Unchanged};

/// A cluster directory with bundles, and an inventory.
struct Fleet {
    lab: Lab,
    home: PathBuf,
}

impl Fleet {
    fn new() -> Self {
        let mut lab = Lab::with(CLUSTER);
        // install.sh compares with this machine's clock.
        lab.now = OffsetDateTime::now_utc();
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["issue-master", "--all"]);
        lab.good(&["issue-node", "--all"]);
        lab.good(&["bundle", "--all"]);
        let variables = "[all:vars]\nansible_connection=local\nansible_python_interpreter=/usr/bin/python3\n";
        lab.write("inventory", &format!("[masters]\nm1\n[nodes]\nn1\n{variables}"));
        lab.write("ansible.cfg", "");
        let home = lab.path("home");
        fs::create_dir(&home).expect("made");
        Self { lab, home }
    }

    /// Runs the playbook for some of the hosts, and returns the outcome for each of them.
    #[track_caller]
    fn play(
        &self,
        mut command: Command,
        hosts: &str,
        settings: serde_json::Value,
        check: bool,
    ) -> BTreeMap<String, Outcome> {
        let mut variables = json!({"clusterctl_bundle_directory": self.lab.dir()});
        let all = variables.as_object_mut().expect("an object");
        all.extend(settings.as_object().expect("an object").clone());
        let playbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ansible/deliver.yml");
        command.args(["ansible-playbook", "--limit", hosts, "--extra-vars", &variables.to_string(), "--inventory"]);
        command.arg(self.lab.path("inventory")).arg(playbook);
        if check {
            command.arg("--check");
        }
        command.env("HOME", &self.home).env("ANSIBLE_HOME", self.home.join(".ansible")).env("LC_ALL", "C.UTF-8");
        command.env("ANSIBLE_CONFIG", self.lab.path("ansible.cfg"));
        command.envs([("ANSIBLE_GATHERING", "explicit"), ("ANSIBLE_NOCOLOR", "1")]);
        let output = command.output().expect("ansible-playbook runs");
        let said = String::from_utf8_lossy(&output.stdout);
        // "n1  : ok=6  changed=1  unreachable=0  failed=0  …", in the last lines.
        let counts = said.lines().filter_map(|line| line.split_once(" : ok="));
        let outcomes: BTreeMap<String, Outcome> = counts
            .map(|(host, counts)| {
                let is_zero = |name| counts.contains(&format!(" {name}=0 "));
                let outcome = match (is_zero("failed"), is_zero("changed")) {
                    (false, _) => Failed,
                    (true, true) => Unchanged,
                    (true, false) => Changed,
                };
                (host.trim().to_owned(), outcome)
            })
            .collect();
        assert_eq!(outcomes.len(), hosts.split(',').count(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.success(), outcomes.values().all(|outcome| *outcome != Failed), "{said}");
        outcomes
    }
}

#[test]
fn the_role_installs_only_what_changed() {
    needs!("ansible-playbook", "python3", "age");
    let fleet = Fleet::new();
    let lab = &fleet.lab;
    let roots = ["m1", "n1"].map(|host| lab.path("roots").join(host));
    roots.iter().for_each(|root| fs::create_dir_all(root.join("etc")).expect("made"));
    let identity = lab.path("age.key");
    let settings = json!({
        "clusterctl_bundle_root": format!("{}/{{{{ inventory_hostname }}}}", lab.path("roots").display()),
        "clusterctl_bundle_identity": identity,
    });
    let play = |check| fleet.play(Command::new("env"), "m1,n1", settings.clone(), check);
    let both = |m1, n1| BTreeMap::from([("m1".to_owned(), m1), ("n1".to_owned(), n1)]);
    let is_installed = || roots.clone().map(|root| root.join("etc/kubernetes/pki/ca.crt").exists());

    assert_eq!((play(true), is_installed()), (both(Changed, Changed), [false; 2]));
    assert_eq!((play(false), is_installed()), (both(Changed, Changed), [true; 2]));
    assert_eq!(play(false), both(Unchanged, Unchanged));

    lab.good(&["issue-node", "--reissue", "n1"]);
    lab.good(&["bundle", "--all", "--encrypt-to", &age_key(lab, "age.key")]);
    assert!(!lab.path("bundles/n1.tar.gz").exists());
    let installed = roots[1].join("var/lib/kubelet/pki/kubelet-server.crt");
    let before = fs::read(&installed).expect("a certificate");
    assert_eq!(play(false), both(Unchanged, Changed));
    assert_ne!(fs::read(&installed).expect("a certificate"), before);
    let left = fs::read_dir(std::env::temp_dir()).expect("a folder").filter_map(Result::ok);
    let left = left.filter(|entry| entry.path().join("n1/manifest.json").exists()).count();
    assert_eq!(left, 0, "unpacked bundles are removed");
}

#[test]
fn the_role_restarts_as_its_variable_says() {
    needs!("root", "unshare", "dash", "ansible-playbook", "python3");
    let fleet = Fleet::new();
    let lab = &fleet.lab;
    let machine = Machine::new(&["dash"]).with_units();
    for file in ["passwd", "group", "nsswitch.conf"] {
        let from = Path::new("/etc").join(file);
        if from.exists() {
            fs::copy(from, machine.root.join("etc").join(file)).expect("copied");
        }
    }
    machine.program("uname", "case \"$*\" in -n) echo n1 ;; *) exec /bin/uname \"$@\" ;; esac");
    machine.program("hostname", "echo n1");
    // Ansible asks for all properties of a unit, and whether it is enabled, and gives --no-block to everything.
    let ansible = "case \"$*\" in *is-enabled* | *daemon-reload) exit 0 ;; *\"show --property\"*) ;; *show*)\n\
                   echo LoadState=loaded; echo ActiveState=active; exit 0 ;; esac\n";
    machine.program("systemctl", &format!("{ansible}{SYSTEMCTL}"));
    let play = |restart: bool| {
        let settings = json!({"clusterctl_bundle_restart": restart});
        let outcome = fleet.play(machine.command(), "n1", settings, false).remove("n1").expect("an outcome");
        (outcome, machine.told())
    };
    let once = || vec!["restart kubelet".to_owned()];

    assert_eq!(play(false), (Changed, once()), "by the handler");
    assert_eq!(play(true), (Unchanged, Vec::new()), "nothing is left to be restarted");

    // A kubelet of this version reads new certificates without a restart.
    let renew = || {
        lab.good(&["issue-node", "--reissue", "n1"]);
        lab.good(&["bundle", "n1"]);
    };
    renew();
    assert_eq!(play(true), (Changed, Vec::new()));
    renew();
    assert_eq!(play(false), (Changed, once()));

    // It reads its configuration when it starts.
    lab.write("cluster.yaml", &format!("{CLUSTER}kubelet: {{maxPods: 42}}\n"));
    lab.good(&["bundle", "n1"]);
    machine.set("kubelet.fails", "");
    assert_eq!(play(true), (Failed, once()));
    fs::remove_file(machine.units.join("kubelet.fails")).expect("removed");
    assert_eq!(play(true), (Changed, once()), "the same run goes on");
    assert_eq!(play(true), (Unchanged, Vec::new()));
}
