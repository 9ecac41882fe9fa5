//! Creates certificates, CRLs and kubeconfigs with openssl, and runs `lint` on them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64ct::{Base64, Encoding};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::support::{Lab, forms, good_tool};

/// The extensions of a CA without findings.
pub(super) const CA: &str =
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash";
const LEAF: &str = "basicConstraints=critical,CA:FALSE\nauthorityKeyIdentifier=keyid";
pub(super) const SERVER: &str = "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:host,IP:10.0.0.1";
pub(super) const CLIENT: &str = "extendedKeyUsage=clientAuth";
pub(super) const BOTH: &str = "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:host";

/// A certificate to create.
#[derive(Debug, Clone)]
pub(super) struct Plan<'a> {
    subject: String,
    extensions: String,
    ca: Option<&'a str>,
    /// Days from the laboratory's time.
    from: i64,
    until: i64,
    serial: String,
    digest: &'a str,
    key: &'a [&'a str],
    /// A key that exists.
    key_file: Option<&'a str>,
}

/// A root.
pub(super) fn ca(name: &str) -> Plan<'static> {
    Plan {
        subject: format!("/CN={name}"),
        extensions: CA.to_owned(),
        ca: None,
        from: -1,
        until: 3650,
        serial: "1001".to_owned(),
        digest: "sha256",
        key: &["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
        key_file: None,
    }
}

/// A certificate that the CA in a file signs.
pub(super) fn leaf<'a>(ca_file: &'a str, name: &str, extensions: &str) -> Plan<'a> {
    let plan = ca(name).below(ca_file).extensions(&format!("{LEAF}\n{extensions}")).days(-1, 364);
    // Derived from the name, so that serial numbers are equal only if a test sets them.
    let serial: String = name.bytes().map(|byte| format!("{byte:02x}")).take(16).collect();
    plan.serial(&format!("01{serial}"))
}

impl<'a> Plan<'a> {
    pub(super) fn below(self, ca: &'a str) -> Self {
        Self { ca: Some(ca), ..self }
    }

    pub(super) fn subject(self, subject: &str) -> Self {
        Self { subject: subject.to_owned(), ..self }
    }

    pub(super) fn extensions(self, extensions: &str) -> Self {
        Self { extensions: extensions.to_owned(), ..self }
    }

    pub(super) fn days(self, from: i64, until: i64) -> Self {
        Self { from, until, ..self }
    }

    pub(super) fn serial(self, serial: &str) -> Self {
        Self { serial: serial.to_owned(), ..self }
    }

    pub(super) fn digest(self, digest: &'a str) -> Self {
        Self { digest, ..self }
    }

    pub(super) fn key(self, key: &'a [&'a str]) -> Self {
        Self { key, ..self }
    }

    pub(super) fn with_key_of(self, file: &'a str) -> Self {
        Self { key_file: Some(file), ..self }
    }

    /// Creates the certificate at `path`, and its key beside it.
    pub(super) fn make(&self, lab: &Lab, path: &str) {
        fs::create_dir_all(lab.path(path).parent().expect("a folder")).expect("made");
        let own = key_of(path);
        match self.key_file {
            Some(other) => write_key(lab, &own, &lab.read(other)),
            None => write_key(lab, &own, &good_tool("openssl", self.key)),
        }
        let config = self.config(lab);
        let file = |path: &str| text(lab, path);
        let csr = file("made/csr");
        good_tool(
            "openssl",
            &["req", "-new", "-key", &file(&own), "-subj", &self.subject, "-config", &config, "-out", &csr],
        );
        let (from, until) = (stamp(lab.now + Duration::days(self.from)), stamp(lab.now + Duration::days(self.until)));
        let out = file(path);
        let signer_key = file(&self.ca.map_or(own, key_of));
        let mut args = vec!["ca", "-batch", "-notext", "-preserveDN", "-config", &config, "-in", &csr, "-out", &out];
        args.extend(["-startdate", &from, "-enddate", &until, "-keyfile", &signer_key]);
        if !self.extensions.is_empty() {
            args.extend(["-extensions", "extensions"]);
        }
        let signer = self.ca.map(file);
        match &signer {
            Some(signer) => args.extend(["-cert", signer]),
            None => args.push("-selfsign"),
        }
        good_tool("openssl", &args);
    }

    fn config(&self, lab: &Lab) -> String {
        fs::create_dir_all(lab.path("made")).expect("made");
        lab.write("made/serial", &format!("{}\n", self.serial));
        lab.write("made/index", "");
        let dir = text(lab, "made");
        // A common name may be longer than openssl's own limit.
        lab.write(
            "made/cnf",
            &format!(
                "openssl_conf=modules\n[modules]\nstbl_section=strings\n[strings]\ncommonName=min:1,max:200\n\
                 [ca]\ndefault_ca=one\n[one]\ndatabase={dir}/index\nserial={dir}/serial\nnew_certs_dir={dir}\n\
                 default_md={}\npolicy=any\ndefault_crl_days=30\n[any]\norganizationName=optional\ncommonName=optional\n\
                 [extensions]\n{}\n[req]\ndistinguished_name=dn\n[dn]\n",
                self.digest, self.extensions
            ),
        );
        text(lab, "made/cnf")
    }
}

/// The key beside a certificate.
pub(super) fn key_of(path: &str) -> String {
    let stem = path.strip_suffix(".crt").or_else(|| path.strip_suffix(".pem")).unwrap_or(path);
    if path.ends_with(".pem") { format!("{stem}-key.pem") } else { format!("{stem}.key") }
}

pub(super) fn text(lab: &Lab, path: &str) -> String {
    lab.path(path).display().to_string()
}

pub(super) fn mode(lab: &Lab, path: &str, mode: u32) {
    fs::set_permissions(lab.path(path), fs::Permissions::from_mode(mode)).expect("a mode");
}

fn write_key(lab: &Lab, path: &str, key: &str) {
    lab.write(path, key);
    mode(lab, path, 0o600);
}

fn stamp(time: OffsetDateTime) -> String {
    let (date, clock) = (time.date(), time.time());
    let (month, day) = (u8::from(date.month()), date.day());
    format!("{}{month:02}{day:02}{:02}{:02}{:02}Z", date.year(), clock.hour(), clock.minute(), clock.second())
}

/// Creates a CRL at `path` that revokes a certificate and expires in `until` days.
pub(super) fn crl(lab: &Lab, ca: &str, revoked: &str, path: &str, until: i64) {
    let config = super::make::ca("unused").config(lab);
    let (signer, key, out) = (text(lab, ca), text(lab, &key_of(ca)), text(lab, path));
    let by = ["ca", "-config", &config, "-cert", &signer, "-keyfile", &key];
    good_tool("openssl", &[&by[..], &["-revoke", &text(lab, revoked)]].concat());
    let (from, next) = (stamp(lab.now - Duration::days(20)), stamp(lab.now + Duration::days(until)));
    let dates = ["-gencrl", "-crl_lastupdate", &from, "-crl_nextupdate", &next, "-out", &out];
    good_tool("openssl", &[&by[..], &dates].concat());
}

/// Writes a kubeconfig with everything embedded, and removes the user's certificate and key.
pub(super) fn kubeconfig(lab: &Lab, path: &str, ca: &str, certificate: &str, server: &str) {
    let data = |path: &str| Base64::encode_string(lab.read(path).as_bytes());
    let (certificate_data, key_data) = (data(certificate), data(&key_of(certificate)));
    write_kubeconfig(
        lab,
        path,
        server,
        &format!("certificate-authority-data: {}", data(ca)),
        &format!("client-certificate-data: {certificate_data}\n    client-key-data: {key_data}"),
    );
    for part in [certificate.to_owned(), key_of(certificate)] {
        fs::remove_file(lab.path(&part)).expect("removed");
    }
}

pub(super) fn write_kubeconfig(lab: &Lab, path: &str, server: &str, ca: &str, user: &str) {
    let config = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: it\n  cluster:\n    server: {server}\n    {ca}\ncontexts:\n\
         - name: it\n  context: {{cluster: it, user: me}}\ncurrent-context: it\nusers:\n- name: me\n  user:\n    {user}\n"
    );
    lab.write(path, &config);
    mode(lab, path, 0o600);
}

/// The findings in some files.
pub(super) struct Linted {
    pub(super) status: u8,
    pub(super) answer: Value,
    /// The id and the file of each.
    pub(super) found: BTreeSet<(String, String)>,
}

impl Linted {
    pub(super) fn has(&self, id: &str) -> bool {
        self.found.iter().any(|(found, _)| found == id)
    }
}

/// Runs `lint` with JSON output, which must match its schema.
pub(super) fn lint(lab: &Lab, args: &[&str]) -> Linted {
    let ran = lab.run(&[&["lint", "--output", "json"], args].concat());
    assert!(ran.status <= 1, "{ran}");
    forms::conforms("lint", &ran.out);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(ran.status == 0, answer["good"] == true, "{ran}");
    let field = |finding: &Value, key: &str| finding[key].as_str().expect(key).to_owned();
    let findings = answer["findings"].as_array().expect("a list");
    let found = findings.iter().map(|finding| (field(finding, "id"), field(finding, "file"))).collect();
    Linted { status: ran.status, found, answer }
}

/// A laboratory with the current time, which openssl uses.
pub(super) fn lab() -> Lab {
    let mut lab = Lab::empty();
    lab.now = OffsetDateTime::now_utc();
    fs::create_dir(lab.path("pki")).expect("made");
    lab
}
