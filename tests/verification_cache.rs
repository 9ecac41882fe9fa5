//! The cache of verified files avoids reading them, hides no change, and proves nothing.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use clusterctl::app::package::PackageError;
use clusterctl::cluster::profile::Profile;
use clusterctl::store::ledger::Ledger;
use clusterctl::store::verification_cache::CacheEntry;

use crate::support::fleets::calls_of;
use crate::support::outside::needs;
use crate::support::packages::package;
use crate::support::plans::{issued, node_plan};
use crate::support::{CLUSTER, Lab, good_tool};

const KEY: &str = "pki/nodes/on/kubelet-server.key";

fn sql(lab: &Lab, statement: &str) -> String {
    good_tool("sqlite3", &[&lab.path("pki/ledger.sqlite3").display().to_string(), statement])
}

fn entries(lab: &Lab) -> usize {
    sql(lab, "select count(*) from verification_cache").trim().parse().expect("a number")
}

/// Returns how many files of nodes `issue-node --all` opens if there is nothing to do.
fn opened(lab: &Lab) -> usize {
    opened_by(lab, &["issue-node", "--all"])
}

/// Returns how many existing files of nodes a command opens.
fn opened_by(lab: &Lab, args: &[&str]) -> usize {
    let calls = calls_of(lab, "open,openat", args);
    // strace splits a call into two lines; only the first has its arguments.
    let asked = |line: &str| {
        let asked = line.split(" = ").next().unwrap_or_default();
        asked.contains("/kubelet-") && !asked.contains("O_CREAT")
    };
    calls.lines().filter(|line| asked(line)).count()
}

/// Issues everything in child processes, with the real clock.
fn issued_today() -> Lab {
    let mut lab = Lab::with(CLUSTER);
    lab.now = time::OffsetDateTime::now_utc();
    for args in [["init-ca", "--plaintext-ca-key"], ["issue-master", "--all"], ["issue-node", "--all"]] {
        let ran = lab.process(&args).output().expect("it runs");
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    lab
}

/// Changes a byte of the key's base64 in place: the file keeps its inode, its size, and the times that a user can set.
fn damage(lab: &Lab, file: &str) {
    let path = lab.path(file);
    let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a file");
    // The kernel's clock ticks every few milliseconds.
    std::thread::sleep(Duration::from_millis(20));
    let bytes = fs::read(&path).expect("a file");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("writable");
    let at = bytes.iter().position(|byte| *byte == b'\n').expect("a line") + 70;
    let other = if bytes[at] == b'A' { b'B' } else { b'A' };
    file.write_all_at(&[other], at as u64).expect("written");
    file.set_modified(modified).expect("set back");
}

#[test]
fn unchanged_credentials_are_not_read_again() {
    needs!("sqlite3", "strace");
    let lab = issued_today();
    assert_eq!(entries(&lab), 6, "three nodes, two masters, the verifier");
    assert_eq!(opened(&lab), 0, "nothing changed: no credential is opened");
    sql(&lab, "delete from verification_cache");
    std::thread::sleep(Duration::from_millis(2_200));
    assert_eq!(opened(&lab), 12, "without entries all files are read");
    assert_eq!(opened(&lab), 0, "and cached");
    damage(&lab, KEY);
    assert_eq!(node_plan(&lab, &[]).only().0, "on kubelet-server");
}

#[test]
fn a_renewal_reads_each_credential_at_most_once() {
    needs!("sqlite3", "strace");
    let lab = issued_today();
    let all = ["renew", "--all", "--within", "2y"];
    assert_eq!(opened_by(&lab, &[&all[..], &["--dry-run"]].concat()), 0, "the ledger knows when each expires");
    sql(&lab, "delete from verification_cache");
    std::thread::sleep(Duration::from_millis(2_200));
    let before = issued(&lab);
    assert_eq!(opened_by(&lab, &all), 12, "read for the plan, and not again under the lock");
    assert_ne!(issued(&lab), before);
    assert_eq!(opened(&lab), 0, "the new credentials are cached");
}

#[test]
fn of_two_cached_credentials_only_the_due_one_is_renewed() {
    let mut lab = Lab::issued();
    lab.now += time::Duration::days(100);
    fs::remove_file(lab.path("pki/nodes/on/kubelet-client.crt")).expect("removed");
    lab.good(&["issue-node", "on"]);
    lab.now += time::Duration::days(150);
    let plan = node_plan(&lab, &[]);
    let names = plan.names();
    assert!(names.contains(&"on kubelet-server") && !names.contains(&"on kubelet-client"), "{names:?}");
    assert!(names.contains(&"worker-b1 kubelet-server") && names.contains(&"worker-b1 kubelet-client"), "{names:?}");
}

#[test]
fn a_change_that_keeps_size_and_time_is_detected() {
    let lab = Lab::issued();
    damage(&lab, KEY);
    assert_eq!(node_plan(&lab, &[]).only().0, "on kubelet-server");
    let ran = lab.run(&["bundle", "on"]);
    assert_eq!(ran.status, 3, "{ran}");
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "on"]);
}

#[test]
fn missing_swapped_and_expired_credentials_are_detected() {
    let mut lab = Lab::issued();
    let plan = |lab: &Lab, args: &[&str]| lab.good(&[&["issue-node", "--all", "--dry-run"], args].concat()).out;
    fs::remove_file(lab.path("pki/nodes/on/kubelet-client.crt")).expect("removed");
    assert_eq!(plan(&lab, &[]).lines().count(), 1);
    lab.good(&["issue-node", "--all"]);
    let (a, b) = (lab.path("pki/nodes/on"), lab.path("pki/nodes/worker-b1"));
    fs::rename(&a, lab.path("c"))
        .and_then(|()| fs::rename(&b, &a))
        .and_then(|()| fs::rename(lab.path("c"), &b))
        .expect("swapped");
    assert_eq!(plan(&lab, &[]).lines().count(), 4, "each has the other's");
    lab.good(&["issue-node", "--all"]);
    assert_eq!(plan(&lab, &[]), "");
    assert_eq!(plan(&lab, &["--renew-within", "360d"]), "");
    assert_eq!(plan(&lab, &["--renew-within", "366d"]).lines().count(), 6);
    assert_eq!(plan(&lab, &["--reissue"]).lines().count(), 6);
    lab.now += time::Duration::days(366);
    assert_eq!(plan(&lab, &[]).lines().count(), 6, "expired");
}

#[test]
fn a_revocation_is_detected() {
    let lab = Lab::issued();
    assert_eq!(lab.good(&["issue-node", "--all", "--dry-run"]).out, "");
    lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    assert_eq!(node_plan(&lab, &[]).names(), ["on kubelet-client", "on kubelet-server"]);
}

#[test]
fn bundle_and_verify_do_not_rely_on_cache_entries() {
    let lab = Lab::issued();
    damage(&lab, KEY);
    // Simulates a disk that changed a byte without a change of metadata: the entry is made for the damaged file.
    add_unverified_cache_entries(&lab);
    assert_eq!(lab.good(&["issue-node", "--all", "--dry-run"]).out, "", "the cache has an entry, and nothing is read");
    let ran = lab.run(&["bundle", "--all"]);
    assert_eq!(ran.status, 3, "{ran}");
    let Err(PackageError::CredentialChanged(host)) = package(&lab, &["on"]) else { panic!("a bundle") };
    assert_eq!((host.host.as_str(), host.credential), ("on", Profile::KubeletServer));
    assert!(!lab.path("bundles/on.tar.gz").exists());
    let ran = lab.run(&["verify", "--offline"]);
    assert!(ran.status == 1 && ran.out.contains("kubelet-server.key"), "{ran}");
}

/// Adds cache entries for the files of the node `on`, without verifying them.
fn add_unverified_cache_entries(lab: &Lab) {
    use clusterctl::cluster::profile::CaRole;
    use clusterctl::pki::ca_set::CaSet;
    use clusterctl::store::layout::Layout;
    use clusterctl::store::verification_cache::{CacheKey, Snapshots};
    let layout = Layout::new(lab.dir().to_owned());
    let cluster = clusterctl::config::read(lab.read("cluster.yaml").as_bytes()).expect("a good file");
    let root = |kind| clusterctl::store::ca::trust(&layout, kind).expect("a root");
    let roots =
        CaSet { cluster: root(CaRole::Cluster), etcd: root(CaRole::Etcd), front_proxy: root(CaRole::FrontProxy) };
    let mut ledger = Ledger::open(&layout.ledger()).expect("a ledger");
    let key = CacheKey::new(cluster.keys, &roots, ledger.revocation_count().expect("a count"));
    let leaves = cluster.node_specs(cluster.node("on").expect("a node"));
    let snapshot = Snapshots::new(&layout, key, lab.now).take(&leaves).expect("files");
    let (not_before, not_after) = (time::OffsetDateTime::UNIX_EPOCH, lab.now + time::Duration::days(1000));
    let entry = CacheEntry { folder: "nodes/on".into(), digest: snapshot.digest(), not_before, not_after };
    ledger.cache_verified(&[entry]).expect("remembered");
}

#[test]
fn a_copied_directory_is_read_once() {
    needs!("sqlite3");
    let lab = issued_today();
    let before = entries(&lab);
    for folder in ["on", "worker-b1", "worker-a1.fra1.example.net"] {
        let (from, to) = (lab.path("pki/nodes").join(folder), lab.path("copy"));
        good_tool("cp", &["-a", &from.display().to_string(), &to.display().to_string()]);
        fs::remove_dir_all(&from).and_then(|()| fs::rename(&to, &from)).expect("put in its place");
    }
    // Files that changed just now are not cached yet.
    std::thread::sleep(Duration::from_millis(2_200));
    let run = || lab.process(&["-v", "issue-node", "--all"]).output().expect("it runs");
    let digests = || sql(&lab, "select folder, hex(digest) from verification_cache order by 1");
    let (old, issued_before, first) = (digests(), issued(&lab), run());
    assert!(first.status.success() && issued(&lab) == issued_before, "{first:?}");
    let new = digests();
    assert_ne!(new, old);
    assert_eq!(entries(&lab), before);
    assert!(run().status.success());
    assert_eq!(digests(), new);
}

#[test]
fn cache_entries_hide_no_change_of_cluster_file_or_cas() {
    needs!("sqlite3", "strace");
    let lab = issued_today();
    let file = lab.read("cluster.yaml");
    let run = |args: &[&str]| lab.process(&[&["issue-node", "--all"], args].concat()).output().expect("it runs");
    let rows = || sql(&lab, "select count(*) from certificates where host is not null").trim().to_owned();
    let issued = rows();

    lab.write("cluster.yaml", &format!("{file}# nothing else\n"));
    assert_eq!(opened(&lab), 0, "a comment changes nothing that is expected");
    let dropped = file.replace("- {name: on", "#- {name: on");
    assert_ne!(dropped, file);
    lab.write("cluster.yaml", &dropped);
    assert!(run(&[]).status.success());
    assert_eq!(rows(), issued);
    assert!(run(&["--renew-within", "366d"]).status.success());
    assert_eq!(rows().parse::<u32>(), issued.parse::<u32>().map(|issued| issued + 4), "two nodes");
    lab.write("cluster.yaml", &file);
    assert!(run(&[]).status.success());
    lab.write("cluster.yaml", "nonsense");
    assert_eq!(run(&[]).status.code(), Some(2));
    lab.write("cluster.yaml", &file);
    fs::rename(lab.path("pki/ca.crt"), lab.path("ca.crt")).expect("renamed");
    assert_eq!(run(&[]).status.code(), Some(3), "the root is missing");
    fs::copy(lab.path("pki/etcd/ca.crt"), lab.path("pki/ca.crt")).expect("copied");
    assert_eq!(run(&[]).status.code(), Some(3), "the root is another");
}
