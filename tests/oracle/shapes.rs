//! Malformed and unusual PEM files, key pairs and kubeconfigs.

use base64ct::{Base64, Encoding};
use serde_json::json;

use super::cases::{FileCase, FileKind, PathCase};

/// Returns all cases, built from the certificates of two path cases.
pub(super) fn all(paths: &[PathCase]) -> Vec<FileCase> {
    let case = |id: &str| paths.iter().find(|case| case.id == id).expect("a case of that name");
    let (good, other) = (case("dates/good"), case("pathlen/root-0-none-between"));
    let shapes = Shapes {
        first: good.roots[0].clone(),
        second: other.roots[0].clone(),
        leaf: good.sent[0].clone(),
        key: good.key.clone().expect("a key"),
        other_key: other.key.clone().expect("a key"),
        negative: case("serial/root-negative").roots[0].clone(),
    };
    let mut files = shapes.trust_files();
    files.extend(shapes.pairs());
    files.extend(shapes.kubeconfigs());
    files
}

struct Shapes {
    first: String,
    second: String,
    leaf: String,
    key: String,
    other_key: String,
    /// A certificate that Go cannot parse.
    negative: String,
}

/// Returns the base64 of a PEM section, on one line.
fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

fn section(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

/// Returns the body in lines of `width` characters.
fn wrapped(body: &str, width: usize, end: &str) -> String {
    let lines: Vec<&str> =
        body.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    lines.join(end)
}

impl Shapes {
    fn trust_files(&self) -> Vec<FileCase> {
        let (first, second) = (&self.first, &self.second);
        let plain = body(first);
        let cut = &first[..first.len() / 2];
        let in_the_middle = first.len() / 2;
        let inserted = |text: &str| format!("{}{text}{}", &first[..in_the_middle], &first[in_the_middle..]);
        let damaged_der = section("CERTIFICATE", &Base64::encode_string(b"\x30\x82\x01\x00garbage"));
        let texts: Vec<(&str, String)> = vec![
            ("one", first.clone()),
            ("two", format!("{first}{second}")),
            ("the-same-twice", format!("{first}{first}")),
            ("windows-line-ends", first.replace('\n', "\r\n")),
            ("old-mac-line-ends", first.replace('\n', "\r")),
            ("no-line-end-at-the-end", first.trim_end().to_owned()),
            ("byte-order-mark", format!("\u{feff}{first}")),
            ("byte-order-mark-and-a-comment", format!("\u{feff}# CA\n{first}")),
            ("byte-order-mark-before-the-second", format!("{first}\u{feff}{second}")),
            ("byte-order-mark-before-two", format!("\u{feff}{first}{second}")),
            ("comment-before", format!("# the cluster's CA\n{first}")),
            ("openssl-text-before", format!("Certificate:\n    Data:\n        Version: 3 (0x2)\n{first}")),
            ("comment-between", format!("{first}\nsubject=CN=root\n\n{second}")),
            ("comment-behind", format!("{first}# end\n")),
            ("comment-with-dashes", format!("----- a CA -----\n{first}")),
            ("comment-with-begin", format!("-----BEGIN of the file\n{first}")),
            ("indented", first.lines().map(|line| format!("    {line}\n")).collect()),
            ("indented-body", format!("-----BEGIN CERTIFICATE-----\n  {plain}\n-----END CERTIFICATE-----\n")),
            ("spaces-behind-lines", first.replace('\n', "  \n")),
            ("tabs-behind-lines", first.replace('\n', "\t\n")),
            ("spaces-before-the-end", first.replace("-----END", "  -----END")),
            ("space-before-begin", format!(" {first}")),
            ("blank-lines", first.replace('\n', "\n\n")),
            ("blank-line-after-begin", first.replacen('\n', "\n\n", 1)),
            ("one-line-body", section("CERTIFICATE", &plain)),
            ("short-lines", section("CERTIFICATE", &wrapped(&plain, 10, "\n"))),
            ("lines-of-76", section("CERTIFICATE", &wrapped(&plain, 76, "\n"))),
            ("spaces-for-line-ends", section("CERTIFICATE", &wrapped(&plain, 64, " "))),
            ("all-on-one-line", first.trim_end().replace('\n', "")),
            ("all-on-one-line-with-spaces", first.trim_end().replace('\n', " ")),
            ("escaped-line-ends", first.replace('\n', "\\n")),
            ("glued", format!("{}{second}", first.trim_end())),
            ("glued-second", format!("{first}{}{first}", second.trim_end())),
            ("glued-by-a-space", format!("{} {second}", first.trim_end())),
            ("cut-in-the-first", cut.to_owned()),
            ("cut-in-the-second", format!("{second}{cut}")),
            ("cut-before-a-good-one", format!("{cut}\n{second}")),
            ("end-missing-before-a-good-one", format!("{}{second}", first.replace("-----END CERTIFICATE-----\n", ""))),
            ("begin-missing", first.replace("-----BEGIN CERTIFICATE-----\n", "")),
            (
                "begin-missing-before-a-good-one",
                format!("{}{second}", first.replace("-----BEGIN CERTIFICATE-----\n", "")),
            ),
            ("end-of-another-kind", first.replace("-----END CERTIFICATE", "-----END X509 CRL")),
            ("four-dashes-begin", first.replacen("-----BEGIN", "----BEGIN", 1)),
            ("four-dashes-end", first.replace("-----END", "----END")),
            ("six-dashes", first.replace("-----", "------")),
            ("text-behind-begin", first.replacen("-----\n", "----- # root\n", 1)),
            ("text-behind-end", format!("{} # root\n", first.trim_end())),
            ("text-behind-end-of-the-first", format!("{} # root\n{second}", first.trim_end())),
            ("spaces-behind-end", format!("{}   \n{second}", first.trim_end())),
            (
                "small-letters",
                first.replace("BEGIN CERTIFICATE", "begin certificate").replace("END CERTIFICATE", "end certificate"),
            ),
            ("bad-letter", inserted("!")),
            ("bad-letter-then-a-good-one", format!("{}{second}", inserted("!"))),
            ("nul-inside", inserted("\0")),
            ("comment-inside", inserted("\n# here\n")),
            ("equals-inside", inserted("=")),
            ("padding-missing", first.replace('=', "")),
            ("padding-too-much", first.replace("\n-----END", "=\n-----END")),
            ("url-base64", section("CERTIFICATE", &plain.replace('+', "-").replace('/', "_"))),
            ("headers", first.replacen('\n', "\nComment: mine\n\n", 1)),
            ("headers-on-the-first-of-two", format!("{}{second}", first.replacen('\n', "\nComment: mine\n\n", 1))),
            ("headers-without-a-blank-line", first.replacen('\n', "\nComment: mine\n", 1)),
            ("bag-attributes", format!("Bag Attributes\n    friendlyName: ca\nsubject=CN = root\n{first}")),
            ("x509-certificate", first.replace("CERTIFICATE", "X509 CERTIFICATE")),
            ("trusted-certificate", first.replace("CERTIFICATE", "TRUSTED CERTIFICATE")),
            ("trusted-certificate-beside", format!("{}{second}", first.replace("CERTIFICATE", "TRUSTED CERTIFICATE"))),
            ("label-with-two-spaces", first.replace("BEGIN CERTIFICATE", "BEGIN  CERTIFICATE")),
            ("key-beside", format!("{}{first}", self.key)),
            ("key-behind", format!("{first}{}", self.key)),
            ("key-alone", self.key.clone()),
            ("damaged-der", damaged_der.clone()),
            ("damaged-der-beside", format!("{damaged_der}{first}")),
            ("damaged-der-behind", format!("{first}{damaged_der}")),
            ("negative-serial", self.negative.clone()),
            ("negative-serial-beside", format!("{}{first}", self.negative)),
            ("empty-section-beside", format!("{}{first}", section("CERTIFICATE", ""))),
            ("empty-section", section("CERTIFICATE", "")),
            (
                "two-in-one-section",
                section(
                    "CERTIFICATE",
                    &Base64::encode_string(&[super::cases::der_of(first), super::cases::der_of(second)].concat()),
                ),
            ),
            ("dh-parameters-beside", format!("{}{first}", section("DH PARAMETERS", "MAYCAQUCAQI="))),
            ("crl-beside", format!("{first}{}", section("X509 CRL", "MAA="))),
            ("request-beside", format!("{first}{}", section("CERTIFICATE REQUEST", "MAA="))),
            ("pkcs7-beside", format!("{first}{}", section("PKCS7", "MAA="))),
            ("empty", String::new()),
            ("blank", "\n\n".to_owned()),
            ("words", "no certificate here\n".to_owned()),
            ("base64-of-the-pem", Base64::encode_string(first.as_bytes())),
            ("base64-alone", plain.clone()),
            ("quoted", format!("\"{first}\"")),
            ("yaml-block", format!("ca: |\n{}", first.lines().map(|line| format!("  {line}\n")).collect::<String>())),
            ("form-feed-behind", format!("{first}\u{c}")),
            ("no-break-space-before", format!("\u{a0}{first}")),
            ("zero-width-space-before", format!("\u{200b}{first}")),
            ("long-line-before", format!("{}\n{first}", "x".repeat(100_000))),
        ];
        let mut files: Vec<FileCase> = texts.into_iter().map(|(id, text)| trust(id, text.into_bytes())).collect();
        files.push(trust("der", super::cases::der_of(first)));
        let wide = |big: bool| -> Vec<u8> {
            let units = std::iter::once(0xfeff).chain(first.encode_utf16());
            units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        files.push(trust("utf-16-little", wide(false)));
        files.push(trust("utf-16-big", wide(true)));
        files.push(trust("latin-1-comment", [b"# f\xfcr uns\n", first.as_bytes()].concat()));
        files.push(trust("nul-behind", [first.as_bytes(), b"\0"].concat()));
        files
    }

    fn pairs(&self) -> Vec<FileCase> {
        let (leaf, key) = (&self.leaf, &self.key);
        let parameters = section("EC PARAMETERS", "BggqhkjOPQMBBw==");
        let texts: Vec<(&str, String, String)> = vec![
            ("plain", leaf.clone(), key.clone()),
            ("chain", format!("{leaf}{}", self.first), key.clone()),
            ("root-first", format!("{}{leaf}", self.first), key.clone()),
            ("other-key", leaf.clone(), self.other_key.clone()),
            ("both-in-one", format!("{leaf}{key}"), format!("{leaf}{key}")),
            ("key-first-in-one", format!("{key}{leaf}"), format!("{key}{leaf}")),
            ("swapped", key.clone(), leaf.clone()),
            ("parameters-before-the-key", leaf.clone(), format!("{parameters}{key}")),
            ("two-keys", leaf.clone(), format!("{key}{}", self.other_key)),
            ("two-keys-wrong-first", leaf.clone(), format!("{}{key}", self.other_key)),
            ("no-key", leaf.clone(), String::new()),
            ("no-certificate", String::new(), key.clone()),
            ("windows-line-ends", leaf.replace('\n', "\r\n"), key.replace('\n', "\r\n")),
            ("byte-order-mark-before-the-key", leaf.clone(), format!("\u{feff}{key}")),
            ("glued-chain", format!("{}{}", leaf.trim_end(), self.first), key.clone()),
            ("comment-before-the-key", leaf.clone(), format!("# key\n{key}")),
        ];
        texts
            .into_iter()
            .map(|(id, certificate, key)| FileCase {
                id: format!("pair/{id}"),
                kind: FileKind::Pair,
                file: certificate.into_bytes(),
                key_file: key.into_bytes(),
            })
            .collect()
    }

    fn kubeconfigs(&self) -> Vec<FileCase> {
        let coded = |text: &str| Base64::encode_string(text.as_bytes());
        let (root, leaf, key) = (coded(&self.first), coded(&self.leaf), coded(&self.key));
        let lines = |text: &str, end: &str| wrapped(text, 64, end);
        let values: Vec<(&str, String, String, String)> = vec![
            ("plain", root.clone(), leaf.clone(), key.clone()),
            ("wrapped", lines(&root, "\n"), lines(&leaf, "\n"), lines(&key, "\n")),
            ("wrapped-as-windows-does", lines(&root, "\r\n"), leaf.clone(), key.clone()),
            ("line-end-behind", format!("{root}\n"), format!("{leaf}\n"), format!("{key}\n")),
            ("spaces-inside", lines(&root, " "), leaf.clone(), key.clone()),
            ("space-behind", format!("{root} "), leaf.clone(), key.clone()),
            ("tab-inside", lines(&root, "\t"), leaf.clone(), key.clone()),
            ("padding-missing", format!("{}\n", root.trim_end_matches('=')), leaf.clone(), key.clone()),
            ("url-base64", root.replace('+', "-").replace('/', "_"), leaf.clone(), key.clone()),
            ("pem-for-base64", self.first.clone(), leaf.clone(), key.clone()),
            ("twice-base64", coded(&root), leaf.clone(), key.clone()),
            ("bad-letter", format!("!{root}"), leaf.clone(), key.clone()),
            ("empty-authority", String::new(), leaf.clone(), key.clone()),
            ("authority-of-words", coded("words"), leaf.clone(), key.clone()),
            ("authority-glued", coded(&format!("{}{}", self.first.trim_end(), self.second)), leaf.clone(), key.clone()),
            ("authority-of-two", coded(&format!("{}{}", self.first, self.second)), leaf.clone(), key.clone()),
            ("authority-with-a-mark", coded(&format!("\u{feff}{}", self.first)), leaf.clone(), key.clone()),
            ("authority-negative-serial", coded(&self.negative), leaf.clone(), key.clone()),
            ("other-key", root.clone(), leaf.clone(), coded(&self.other_key)),
            ("key-for-certificate", root.clone(), key.clone(), key.clone()),
        ];
        let case = |(id, root, leaf, key): (&str, String, String, String)| {
            let config = json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": "https://api.example.net:6443", "certificate-authority-data": root}}],
                "users": [{"name": "u", "user": {"client-certificate-data": leaf, "client-key-data": key}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            });
            FileCase {
                id: format!("kubeconfig/{id}"),
                kind: FileKind::Kubeconfig,
                file: config.to_string().into_bytes(),
                key_file: Vec::new(),
            }
        };
        values.into_iter().map(case).collect()
    }
}

fn trust(id: &str, file: Vec<u8>) -> FileCase {
    FileCase { id: format!("trust-file/{id}"), kind: FileKind::Trust, file, key_file: Vec::new() }
}
