//! Generates the inputs of the fuzz corpora with clusterctl and openssl. The private keys in them are not secret.

use std::collections::BTreeMap;

use clusterctl::fake_cluster::injected_fault::InjectedFault;

use crate::support::live::Live;
use crate::support::{CLUSTER, Lab, tool};

/// The inputs by their paths, `corpus/file`.
type Files = BTreeMap<String, Vec<u8>>;

/// Returns all generated inputs.
pub(super) fn corpora() -> Files {
    let mut files = Files::new();
    recordings(&mut files);
    answers(&mut files);
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    certificates(&lab, &mut files);
    crls(&lab, &mut files);
    pem(&lab, &mut files);
    kubeconfigs(&mut files);
    cluster_files(&mut files);
    kubectl(&mut files);
    bundles(&lab, &mut files);
    files
}

fn put(files: &mut Files, name: &str, bytes: &[u8]) {
    files.insert(name.to_owned(), bytes.to_vec());
}

fn path(lab: &Lab, name: &str) -> String {
    lab.path(name).display().to_string()
}

/// Runs openssl and returns its standard output.
fn openssl(args: &[&str]) -> Vec<u8> {
    let output = tool("openssl", args);
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn recordings(files: &mut Files) {
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
        put(files, &format!("recordings/{name}.json"), recording.as_bytes());
        recordings.push(recording);
    }
    put(files, "recordings/cut.json", &recordings[0].as_bytes()[..3000]);
    put(files, "recordings/newer.json", recordings[0].replacen("\"version\":2", "\"version\":3", 1).as_bytes());
}

fn answers(files: &mut Files) {
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
            put(files, &format!("answers/{i}-{which}"), &bytes);
        }
    }
}

fn certificates(lab: &Lab, files: &mut Files) {
    let certificates = [
        ("root", "pki/ca.crt"),
        ("server", "pki/nodes/on/kubelet-server.crt"),
        ("client", "pki/nodes/on/kubelet-client.crt"),
    ];
    for (name, file) in certificates {
        put(
            files,
            &format!("certificates/{name}.der"),
            &openssl(&["x509", "-outform", "DER", "-in", &path(lab, file)]),
        );
    }
    let names: String =
        (0..60).map(|i| format!("DNS:n{i}.example.net,IP:fd00::{i:x},")).collect::<String>() + "DNS:*.a";
    let self_signed = |kind: &[&str], extensions: &[&str]| {
        let mut args = vec!["req", "-x509", "-outform", "DER", "-noenc", "-subj", "/O=a/CN=b"];
        let key = path(lab, "some.key");
        args.extend(["-keyout", &key, "-newkey"]);
        args.extend(kind);
        for extension in extensions {
            args.extend(["-addext", extension]);
        }
        openssl(&args)
    };
    put(
        files,
        "certificates/rsa.der",
        &self_signed(&["rsa:2048"], &["nameConstraints=critical,permitted;DNS:example.net"]),
    );
    put(files, "certificates/ed25519.der", &self_signed(&["ed25519"], &[&format!("subjectAltName={names}")]));
    let rare = ["1.2.3.4=critical,DER:0500", "extendedKeyUsage=serverAuth,1.2.3.5", "keyUsage=cRLSign"];
    put(files, "certificates/odd.der", &self_signed(&["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], &rare));
    put(files, "certificates/none.der", b"\x30\x80\0\0");
}

fn crls(lab: &Lab, files: &mut Files) {
    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=30\n\
                  [deltas]\n2.5.29.27=critical,ASN1:INTEGER:1\n";
    for (file, text) in [("ca.cnf", config), ("index", ""), ("number", "01\n")] {
        lab.write(
            file,
            &text
                .replace("=index", &format!("={}", path(lab, "index")))
                .replace("=number", &format!("={}", path(lab, "number"))),
        );
    }
    let (cnf, crt, key) = (path(lab, "ca.cnf"), path(lab, "pki/etcd/ca.crt"), path(lab, "pki/etcd/ca.key"));
    let ca = ["ca", "-config", &cnf, "-cert", &crt, "-keyfile", &key];
    let list = |more: &[&str]| {
        openssl(&[&ca[..], &["-gencrl", "-out", &path(lab, "crl.pem")], more].concat());
        openssl(&["crl", "-outform", "DER", "-in", &path(lab, "crl.pem")])
    };
    put(files, "crls/empty.der", &list(&[]));
    put(files, "crls/delta.der", &list(&["-crlexts", "deltas"]));
    for reason in ["keyCompromise", "removeFromCRL"] {
        let leaf = path(
            lab,
            if reason == "keyCompromise" {
                "pki/nodes/on/kubelet-client.crt"
            } else {
                "pki/nodes/on/kubelet-server.crt"
            },
        );
        openssl(&[&ca[..], &["-revoke", &leaf, "-crl_reason", reason]].concat());
    }
    let revoked = list(&[]);
    put(files, "crls/revoked.der", &revoked);
    put(files, "crls/cut.der", &revoked[..revoked.len() - 9]);
    put(files, "crls/revoked.pem", lab.read("crl.pem").as_bytes());
    put(files, "crls/two.pem", lab.read("crl.pem").repeat(2).as_bytes());
    put(files, "crls/none.pem", lab.read("pki/ca.crt").as_bytes());
}

fn pem(lab: &Lab, files: &mut Files) {
    let crt = lab.read("pki/ca.crt");
    put(files, "pem/chain.pem", format!("about it\r\n{}\n{crt}", crt.replace('\n', "\r\n")).as_bytes());
    put(files, "pem/pkcs8.pem", &openssl(&["genpkey", "-algorithm", "ed25519"]));
    put(files, "pem/sec1.pem", &openssl(&["ecparam", "-name", "prime256v1", "-genkey"]));
    put(files, "pem/encrypted.pem", &openssl(&["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x"]));
    lab.write("sec1.key", &String::from_utf8_lossy(&files["pem/sec1.pem"]));
    let with_headers = |cipher| openssl(&["ec", cipher, "-in", &path(lab, "sec1.key"), "-passout", "pass:x"]);
    put(files, "pem/headers-aes.pem", &with_headers("-aes256"));
    put(files, "pem/headers-3des.pem", &with_headers("-des3"));
    let csr = ["req", "-new", "-key", &path(lab, "some.key"), "-subj", "/CN=x"];
    put(files, "pem/request.pem", &openssl(&csr));
    put(files, "pem/no-end.pem", crt.split_at(crt.len() - 10).0.as_bytes());
}

fn kubeconfigs(files: &mut Files) {
    put(files, "kubeconfigs/node.conf", lab_kubeconfig("/etc/kubernetes/pki/ca.crt").as_bytes());
    put(
        files,
        "kubeconfigs/embedded.conf",
        lab_kubeconfig("").replace("certificate-authority: \"\"", "certificate-authority-data: QUJD").as_bytes(),
    );
    put(
        files,
        "kubeconfigs/exec.conf",
        lab_kubeconfig("ca").replace("client-key: k", "exec: {command: aws, args: [a], env: null}").as_bytes(),
    );
    put(
        files,
        "kubeconfigs/insecure.conf",
        lab_kubeconfig("ca").replace("server:", "insecure-skip-tls-verify: true\n    server:").as_bytes(),
    );
    put(
        files,
        "kubeconfigs/aliases.conf",
        b"kind: Config\nclusters: &a [&b {name: x, cluster: {server: s}}, *b, *b]\nusers: *a\n",
    );
}

fn cluster_files(files: &mut Files) {
    put(files, "cluster_files/small.yaml", CLUSTER.as_bytes());
    for example in ["ha-dual-stack", "homelab", "single-machine"] {
        let path = format!("{}/examples/{example}.yaml", env!("CARGO_MANIFEST_DIR"));
        put(files, &format!("cluster_files/{example}.yaml"), &std::fs::read(path).expect("an example"));
    }
    put(
        files,
        "cluster_files/bomb.yaml",
        b"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
    );
    put(
        files,
        "cluster_files/twice.yaml",
        b"apiVersion: clusterctl/v1\nkind: Cluster\nname: a\nname: b\nmasters: [{name: yes}]\n",
    );
}

fn kubectl(files: &mut Files) {
    let node = |name: &str| {
        format!(
            r#"{{"kind":"Node","metadata":{{"name":"{name}","labels":{{}}}},"status":{{"addresses":[{{"type":"InternalIP","address":"10.0.0.9"}},{{"type":"Hostname","address":"{name}"}}],"daemonEndpoints":{{"kubeletEndpoint":{{"Port":10250}}}}}}}}"#
        )
    };
    let list = |nodes: &str| format!(r#"{{"kind":"List","apiVersion":"v1","items":[{nodes}]}}"#);
    put(files, "kubectl/two.json", list(&format!("{},{}", node("a"), node("b"))).as_bytes());
    put(files, "kubectl/one.json", list(&node("a")).as_bytes());
    put(files, "kubectl/none.json", list("").as_bytes());
    put(files, "kubectl/no-list.json", br#"{"kind":"Status","message":"no"}"#);
}

fn bundles(lab: &Lab, files: &mut Files) {
    let gzip = std::fs::read(lab.path("bundles/on.tar.gz")).expect("a bundle");
    put(files, "bundles/node.tar.gz", &gzip);
    put(files, "bundles/master.tar.gz", &std::fs::read(lab.path("bundles/master-2.tar.gz")).expect("a bundle"));
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*gzip), &mut tar).expect("gzip");
    put(files, "bundles/node.tar", &tar);
    put(files, "bundles/cut.tar.gz", &gzip[..gzip.len() / 2]);
}

fn lab_kubeconfig(ca: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: https://api.example.net:6443\n    \
         certificate-authority: \"{ca}\"\nusers:\n- name: u\n  user:\n    client-certificate: c\n    client-key: k\n\
         contexts:\n- name: x\n  context: {{cluster: c, user: u}}\ncurrent-context: x\n"
    )
}
