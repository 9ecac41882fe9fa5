//! What strangers may hand us: every file of the fuzz corpora, as it is and changed in many ways, with a fixed seed. What
//! each has to hold to is in `fuzz/src/lib.rs`, which is the fuzz targets', too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "they are public where they are at home")]
mod entrances;

/// How many changed copies of each file are tried; fewer of what has to be judged whole.
const CHANGED: u64 = 200;
const JUDGED: u64 = 25;

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(&path).expect("a file"))).collect()
}

fn hold(name: &str, entrance: fn(&[u8]), rounds: u64) {
    let files = corpus(name);
    assert!(files.len() > 3, "{name} has files");
    for (path, bytes) in &files {
        try_on(name, entrance, bytes, || path.display().to_string());
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64);
        for round in 0..rounds {
            let other = &files[random.below(files.len())].1;
            let changed = change(bytes, other, &mut random);
            try_on(name, entrance, &changed, || format!("{}, change {round}", path.display()));
        }
    }
}

fn try_on(name: &str, entrance: fn(&[u8]), bytes: &[u8], what: impl Fn() -> String) {
    if catch_unwind(AssertUnwindSafe(|| entrance(bytes))).is_err() {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("broke-{name}"));
        std::fs::write(&kept, bytes).expect("written");
        panic!("{name} does not hold what it promises on {}; it is kept in {}", what(), kept.display());
    }
}

/// xorshift64*: the same changes on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("small")
    }
}

/// Bytes that parsers trip over.
const TRAPS: [&[u8]; 16] = [
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x30\x84\xff\xff\xff\xff",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\x1b[2J",
    b"\"",
    b"{",
    b"[[[[",
    b"&a *a",
    b"-----BEGIN ",
    b"18446744073709551616",
    b"-1",
    b"1e999",
    b"\xe2\x80\xae",
    b"../",
];

fn change(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(changed.len() + 1);
        let end = (at + 1 + random.below(16)).min(changed.len());
        match random.below(8) {
            0 if at < changed.len() => changed[at] ^= 1 << random.below(8),
            1 if at < changed.len() => changed[at] = u8::try_from(random.below(256)).expect("a byte"),
            2 => drop(changed.drain(at..end)),
            3 => {
                let copy = changed[at..end].to_vec();
                changed.splice(at..at, copy);
            }
            4 => drop(changed.splice(at..at, TRAPS[random.below(TRAPS.len())].iter().copied())),
            5 => drop(changed.splice(at..end, TRAPS[random.below(TRAPS.len())].iter().copied())),
            6 => {
                let from = random.below(other.len());
                let to = (from + random.below(200)).min(other.len());
                changed.splice(at..end, other[from..to].iter().copied());
            }
            _ => changed.truncate(if random.below(4) == 0 { at } else { changed.len() }),
        }
    }
    changed
}

#[test]
fn recordings_hold() {
    hold("recordings", entrances::recordings, JUDGED);
}

#[test]
fn answers_hold() {
    hold("answers", entrances::answers, JUDGED);
}

#[test]
fn certificates_hold() {
    hold("certificates", entrances::certificates, CHANGED);
}

#[test]
fn crls_hold() {
    hold("crls", entrances::crls, CHANGED);
}

#[test]
fn pem_holds() {
    hold("pem", entrances::pem, CHANGED);
}

#[test]
fn kubeconfigs_hold() {
    hold("kubeconfigs", entrances::kubeconfigs, CHANGED);
}

#[test]
fn cluster_files_hold() {
    hold("cluster_files", entrances::cluster_files, CHANGED);
}

#[test]
fn kubectls_answers_hold() {
    hold("kubectl", entrances::kubectl, CHANGED);
}

#[test]
fn bundles_hold() {
    hold("bundles", entrances::bundles, CHANGED);
}

/// Each corpus has what its reader takes, too: a corpus of refusals alone would try nothing behind the door.
#[test]
fn every_corpus_gets_through_the_door() {
    use clusterctl::bundle::archive;
    use clusterctl::cluster::inventory::ExternalIps;
    use clusterctl::config::{self, kubeconfig};
    use clusterctl::pki::certificate::Certificate;
    use clusterctl::pki::crl::{Crl, read_all};
    use clusterctl::pki::pem;
    use clusterctl::verify::recording::Recording;
    let taken = |name: &str, takes: fn(&[u8]) -> bool| corpus(name).iter().filter(|(_, bytes)| takes(bytes)).count();
    assert!(taken("recordings", |bytes| Recording::from_bytes(bytes).is_ok()) >= 3);
    assert!(taken("certificates", |bytes| Certificate::from_der(bytes.to_vec()).is_ok()) >= 5);
    assert!(
        taken("crls", |bytes| read_all(bytes).is_ok_and(|l| l.into_iter().all(|der| Crl::from_der(der).is_ok()))) >= 4
    );
    assert!(taken("pem", |bytes| pem::read_all(bytes).is_ok()) >= 4);
    assert!(taken("kubeconfigs", |bytes| kubeconfig::read(bytes).is_ok()) >= 3);
    assert!(taken("cluster_files", |bytes| config::read(bytes).is_ok()) >= 3);
    assert!(taken("kubectl", |bytes| config::from_kubectl(bytes, ExternalIps::default()).is_ok()) >= 2);
    assert!(taken("bundles", |bytes| archive::read(bytes).is_ok()) >= 2);
}

/// Every fuzz target has its entrance, its corpus and its test here.
#[test]
fn every_fuzz_target_is_replayed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(root.join(folder)).expect("a folder");
        let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| stem(entry.expect("an entry").path())).collect();
        names.sort();
        names
    };
    let targets = names("fuzz/fuzz_targets");
    assert_eq!(targets, names("fuzz/corpus"));
    let here = std::fs::read_to_string(root.join("tests/corpora.rs")).expect("this file");
    for target in targets {
        assert!(here.contains(&format!("hold(\"{target}\", entrances::{target}, ")), "{target} is not replayed");
    }
}

/// Writes the corpora anew: `cargo test --test suite -- --ignored the_corpora_are_written_anew`. Its keys are nobody's.
#[test]
#[ignore = "it writes to fuzz/corpus"]
fn the_corpora_are_written_anew() {
    use clusterctl::fake_cluster::injected_fault::InjectedFault;

    use crate::support::live::Live;
    use crate::support::{CLUSTER, Lab, tool};

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let put = |name: &str, bytes: &[u8]| {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(path, bytes).expect("written");
    };
    let mut recordings = Vec::new();
    for (name, fault) in [
        ("good", None),
        ("anonymous-node", Some(InjectedFault::AnonymousNode)),
        ("other-ca", Some(InjectedFault::OtherCa)),
        ("plaintext", Some(InjectedFault::Plaintext)),
    ] {
        let live = Live::sized(1, 2, fault);
        live.lab.run(&["verify", "--record", "run.json"]);
        let recording = live.lab.read("run.json");
        put(&format!("recordings/{name}.json"), recording.as_bytes());
        recordings.push(recording);
    }
    put("recordings/cut.json", &recordings[0].as_bytes()[..3000]);
    put("recordings/newer.json", recordings[0].replacen("\"version\":2", "\"version\":3", 1).as_bytes());

    let review = r#"{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1","status":{"userInfo":{"username":"u","groups":["g"],"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=00"]}}}}"#;
    let forbidden = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"nodes is forbidden","reason":"Forbidden","code":403}"#;
    let deep = "[".repeat(300);
    let page = "<html><head><title>400 No required SSL certificate was sent</title></head></html>";
    let escapes = "\u{1b}[2J\u{202e}\r\n\0";
    let pods = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#;
    for (i, (status, body)) in
        [(200u16, pods), (201, review), (403, forbidden), (200, &*deep), (400, page), (200, escapes), (999, "")]
            .iter()
            .enumerate()
    {
        for which in [0, 3, 0x86] {
            let mut bytes = vec![which];
            bytes.extend(status.to_be_bytes());
            bytes.extend(body.as_bytes());
            put(&format!("answers/{i}-{which}"), &bytes);
        }
    }

    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    let openssl = |args: &[&str]| {
        let output = tool("openssl", args);
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let path = |name: &str| lab.path(name).display().to_string();
    let certificates = [
        ("root", "pki/ca.crt"),
        ("server", "pki/nodes/on/kubelet-server.crt"),
        ("client", "pki/nodes/on/kubelet-client.crt"),
    ];
    for (name, file) in certificates {
        put(&format!("certificates/{name}.der"), &openssl(&["x509", "-outform", "DER", "-in", &path(file)]));
    }
    let names: String =
        (0..60).map(|i| format!("DNS:n{i}.example.net,IP:fd00::{i:x},")).collect::<String>() + "DNS:*.a";
    let self_signed = |kind: &[&str], extensions: &[&str]| {
        let mut args = vec!["req", "-x509", "-outform", "DER", "-noenc", "-subj", "/O=a/CN=b"];
        let key = path("some.key");
        args.extend(["-keyout", &key, "-newkey"]);
        args.extend(kind);
        for extension in extensions {
            args.extend(["-addext", extension]);
        }
        openssl(&args)
    };
    put("certificates/rsa.der", &self_signed(&["rsa:2048"], &["nameConstraints=critical,permitted;DNS:example.net"]));
    put("certificates/ed25519.der", &self_signed(&["ed25519"], &[&format!("subjectAltName={names}")]));
    let odd = ["1.2.3.4=critical,DER:0500", "extendedKeyUsage=serverAuth,1.2.3.5", "keyUsage=cRLSign"];
    put("certificates/odd.der", &self_signed(&["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], &odd));
    put("certificates/none.der", b"\x30\x80\0\0");

    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=30\n\
                  [deltas]\n2.5.29.27=critical,ASN1:INTEGER:1\n";
    for (file, text) in [("ca.cnf", config), ("index", ""), ("number", "01\n")] {
        lab.write(
            file,
            &text.replace("=index", &format!("={}", path("index"))).replace("=number", &format!("={}", path("number"))),
        );
    }
    let (cnf, crt, key) = (path("ca.cnf"), path("pki/etcd/ca.crt"), path("pki/etcd/ca.key"));
    let ca = ["ca", "-config", &cnf, "-cert", &crt, "-keyfile", &key];
    let list = |more: &[&str]| {
        openssl(&[&ca[..], &["-gencrl", "-out", &path("crl.pem")], more].concat());
        openssl(&["crl", "-outform", "DER", "-in", &path("crl.pem")])
    };
    put("crls/empty.der", &list(&[]));
    put("crls/delta.der", &list(&["-crlexts", "deltas"]));
    for reason in ["keyCompromise", "removeFromCRL"] {
        let leaf = path(if reason == "keyCompromise" {
            "pki/nodes/on/kubelet-client.crt"
        } else {
            "pki/nodes/on/kubelet-server.crt"
        });
        openssl(&[&ca[..], &["-revoke", &leaf, "-crl_reason", reason]].concat());
    }
    let revoked = list(&[]);
    put("crls/revoked.der", &revoked);
    put("crls/cut.der", &revoked[..revoked.len() - 9]);
    put("crls/revoked.pem", lab.read("crl.pem").as_bytes());
    put("crls/two.pem", lab.read("crl.pem").repeat(2).as_bytes());
    put("crls/none.pem", lab.read("pki/ca.crt").as_bytes());

    let crt = lab.read("pki/ca.crt");
    put("pem/chain.pem", format!("about it\r\n{}\n{crt}", crt.replace('\n', "\r\n")).as_bytes());
    put("pem/pkcs8.pem", &openssl(&["genpkey", "-algorithm", "ed25519"]));
    put("pem/sec1.pem", &openssl(&["ecparam", "-name", "prime256v1", "-genkey"]));
    put("pem/encrypted.pem", &openssl(&["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x"]));
    let csr = ["req", "-new", "-key", &path("some.key"), "-subj", "/CN=x"];
    put("pem/request.pem", &openssl(&csr));
    put("pem/no-end.pem", crt.split_at(crt.len() - 10).0.as_bytes());

    put("kubeconfigs/node.conf", lab_kubeconfig("/etc/kubernetes/pki/ca.crt").as_bytes());
    put(
        "kubeconfigs/embedded.conf",
        lab_kubeconfig("").replace("certificate-authority: \"\"", "certificate-authority-data: QUJD").as_bytes(),
    );
    put(
        "kubeconfigs/exec.conf",
        lab_kubeconfig("ca").replace("client-key: k", "exec: {command: aws, args: [a], env: null}").as_bytes(),
    );
    put(
        "kubeconfigs/insecure.conf",
        lab_kubeconfig("ca").replace("server:", "insecure-skip-tls-verify: true\n    server:").as_bytes(),
    );
    put(
        "kubeconfigs/aliases.conf",
        b"kind: Config\nclusters: &a [&b {name: x, cluster: {server: s}}, *b, *b]\nusers: *a\n",
    );

    put("cluster_files/small.yaml", CLUSTER.as_bytes());
    for example in ["ha-dual-stack", "homelab", "single-machine"] {
        let path = format!("{}/examples/{example}.yaml", env!("CARGO_MANIFEST_DIR"));
        put(&format!("cluster_files/{example}.yaml"), &std::fs::read(path).expect("an example"));
    }
    put("cluster_files/bomb.yaml", b"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n");
    put(
        "cluster_files/twice.yaml",
        b"apiVersion: clusterctl/v1\nkind: Cluster\nname: a\nname: b\nmasters: [{name: yes}]\n",
    );

    let node = |name: &str| {
        format!(
            r#"{{"kind":"Node","metadata":{{"name":"{name}","labels":{{}}}},"status":{{"addresses":[{{"type":"InternalIP","address":"10.0.0.9"}},{{"type":"Hostname","address":"{name}"}}],"daemonEndpoints":{{"kubeletEndpoint":{{"Port":10250}}}}}}}}"#
        )
    };
    let list = |nodes: &str| format!(r#"{{"kind":"List","apiVersion":"v1","items":[{nodes}]}}"#);
    put("kubectl/two.json", list(&format!("{},{}", node("a"), node("b"))).as_bytes());
    put("kubectl/one.json", list(&node("a")).as_bytes());
    put("kubectl/none.json", list("").as_bytes());
    put("kubectl/no-list.json", br#"{"kind":"Status","message":"no"}"#);

    let gzip = std::fs::read(lab.path("bundles/on.tar.gz")).expect("a bundle");
    put("bundles/node.tar.gz", &gzip);
    put("bundles/master.tar.gz", &std::fs::read(lab.path("bundles/master-2.tar.gz")).expect("a bundle"));
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*gzip), &mut tar).expect("gzip");
    put("bundles/node.tar", &tar);
    put("bundles/cut.tar.gz", &gzip[..gzip.len() / 2]);
}

fn lab_kubeconfig(ca: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: https://api.example.net:6443\n    \
         certificate-authority: \"{ca}\"\nusers:\n- name: u\n  user:\n    client-certificate: c\n    client-key: k\n\
         contexts:\n- name: x\n  context: {{cluster: c, user: u}}\ncurrent-context: x\n"
    )
}

#[test]
fn sealed_files_hold() {
    hold("sealed", entrances::sealed, CHANGED);
}

#[test]
fn what_is_ssh_s_holds() {
    hold("ssh", entrances::ssh, CHANGED);
}
