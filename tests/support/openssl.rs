//! CAs and certificates that openssl makes, after the layouts of other tools.

use std::fs;

use serde_json::json;
use time::Duration;

use super::{Lab, good_tool};

/// The extensions of kubeadm's CAs: their key usage lacks cRLSign.
pub(crate) const KUBEADM: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature,keyEncipherment,keyCertSign\n\
                       subjectKeyIdentifier=hash\nsubjectAltName=DNS:kubernetes";
pub(crate) const GOOD: &str =
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash";
/// A CA without key identifiers, as old openssl configurations create it.
pub(crate) const BARE: &str = "basicConstraints=CA:TRUE\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none";
/// The extensions of a client's certificate.
pub(crate) const CLIENT: &str =
    "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth";
/// The extensions of a server's certificate; further usages may follow.
pub(crate) const SERVER: &str =
    "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth";
pub(crate) const RSA: &[&str] = &["genrsa", "-traditional", "2048"];
pub(crate) const P256: &[&str] = &["ecparam", "-name", "prime256v1", "-genkey", "-noout"];
pub(crate) const P384: &[&str] = &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
pub(crate) const ED25519: &[&str] = &["genpkey", "-algorithm", "ed25519"];

/// Generates `NAME.key`.
pub(crate) fn key(lab: &Lab, name: &str, how: &[&str]) {
    lab.write(&format!("{name}.key"), &good_tool("openssl", how));
}

/// Creates `NAME.crt` for `NAME.key`, valid for `days` from ten days before the laboratory's time, signed by `above` or
/// by itself.
pub(crate) fn certificate(lab: &Lab, name: &str, subject: &str, extensions: &str, above: Option<&str>, days: i64) {
    sign(lab, name, subject, extensions, above, days, "00");
}

/// Makes `NAME.key`, and `NAME.crt` with this serial number, signed by `above`.
pub(crate) fn leaf(lab: &Lab, name: &str, subject: &str, extensions: &str, above: &str, serial: &str) {
    key(lab, name, P256);
    sign(lab, name, subject, extensions, Some(above), 365, serial);
}

fn sign(lab: &Lab, name: &str, subject: &str, extensions: &str, above: Option<&str>, days: i64, serial: &str) {
    let stamp = |time: time::OffsetDateTime| {
        let (date, clock) = (time.date(), time.time());
        let (month, day) = (u8::from(date.month()), date.day());
        format!("{}{month:02}{day:02}{:02}{:02}{:02}Z", date.year(), clock.hour(), clock.minute(), clock.second())
    };
    let start = lab.now - Duration::days(10);
    let (from, until) = (stamp(start), stamp(start + Duration::days(days)));
    let path = |name: &str| lab.path(name).display().to_string();
    let dir = lab.dir().display();
    lab.write(
        "ca.cnf",
        &format!(
            "[ca]\ndefault_ca=one\n[one]\ndatabase={dir}/ca.index\nserial={dir}/ca.serial\nnew_certs_dir={dir}\n\
             default_md=sha256\npolicy=any\n[any]\norganizationName=optional\ncommonName=optional\n\
             [extensions]\n{extensions}\n[req]\ndistinguished_name=dn\n[dn]\n"
        ),
    );
    lab.write("ca.index", "");
    lab.write("ca.serial", &format!("{serial}\n"));
    let (own, csr, cnf) = (path(&format!("{name}.key")), path("ca.csr"), path("ca.cnf"));
    good_tool("openssl", &["req", "-new", "-key", &own, "-subj", subject, "-config", &cnf, "-out", &csr]);
    let (out, signer) = (path(&format!("{name}.crt")), above.unwrap_or(name));
    let (signer_crt, signer_key) = (path(&format!("{signer}.crt")), path(&format!("{signer}.key")));
    let mut args = vec!["ca", "-batch", "-notext", "-preserveDN", "-config", &cnf, "-extensions", "extensions"];
    args.extend(["-in", &csr, "-out", &out, "-startdate", &from, "-enddate", &until, "-keyfile", &signer_key]);
    match above {
        None => args.push("-selfsign"),
        Some(_) => args.extend(["-cert", &signer_crt]),
    }
    good_tool("openssl", &args);
}

pub(crate) fn root(lab: &Lab, name: &str, subject: &str, extensions: &str, how: &[&str]) {
    key(lab, name, how);
    certificate(lab, name, subject, extensions, None, 3650);
}

/// Makes `NAME.conf` of `NAME.crt` and `NAME.key`, and removes these.
pub(crate) fn kubeconfig(lab: &Lab, name: &str) {
    let data = |ending: &str| {
        let file = lab.path(&format!("{name}.{ending}"));
        let text = good_tool("openssl", &["base64", "-A", "-in", &file.display().to_string()]);
        fs::remove_file(file).expect("removed");
        text
    };
    let user =
        json!({"name": "admin", "user": {"client-certificate-data": data("crt"), "client-key-data": data("key")}});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "users": [user],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.20.0.11:6443"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "admin"}}], "current-context": "c",
    });
    lab.write(&format!("{name}.conf"), &config.to_string());
}
