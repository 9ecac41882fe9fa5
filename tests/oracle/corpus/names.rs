//! Names of servers, and trust files of common tools.

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Eku, IsCa,
    KeyUsagePurpose as Ku, SanType, SerialNumber,
};

use super::builder::{
    Corpus, ED25519, NAME, P256, RSA, RSA4096, SHA256, ca_params, dns, intermediate_but, ip, key, leaf, leaf_but, root,
    root_but, root_with, subject,
};

pub(super) fn names(corpus: &mut Corpus) {
    let both = || vec![dns(NAME), ip("10.0.0.1"), ip("fd00::1"), dns("kubernetes"), dns("kubernetes.default.svc")];
    for asked in [
        NAME,
        "10.0.0.1",
        "fd00::1",
        "kubernetes",
        "kubernetes.default.svc",
        "10.0.0.2",
        "fd00::2",
        "kubernetes.default",
        "API.Example.NET",
        "api.example.net.",
    ] {
        corpus.named(&format!("names/asked-for-{asked}"), both(), asked);
    }
    for (id, name, asked) in [
        ("ip-as-dns", dns("10.0.0.1"), "10.0.0.1"),
        ("ipv6-as-dns", dns("fd00::1"), "fd00::1"),
        ("capitals", dns("API.Example.NET"), NAME),
        ("wildcard", dns("*.example.net"), NAME),
        ("wildcard-two-labels", dns("*.example.net"), "a.api.example.net"),
        ("wildcard-apex", dns("*.example.net"), "example.net"),
        ("wildcard-top", dns("*.net"), "example.net"),
        ("wildcard-alone", dns("*"), "localhost"),
        ("wildcard-alone-for-two", dns("*"), NAME),
        ("wildcard-part", dns("a*.example.net"), NAME),
        ("wildcard-part-behind", dns("*i.example.net"), NAME),
        ("wildcard-second", dns("api.*.net"), NAME),
        ("wildcard-twice", dns("*.*.net"), NAME),
        ("wildcard-capitals", dns("*.EXAMPLE.net"), NAME),
        ("wildcard-single-label", dns("*.local"), "node1.local"),
        ("trailing-dot", dns("api.example.net."), NAME),
        ("leading-dot", dns(".example.net"), NAME),
        ("underscore", dns("api_1.example.net"), "api_1.example.net"),
        ("single-label", dns("node1"), "node1"),
        ("digits", dns("123"), "123"),
        ("punycode", dns("xn--bcher-kva.example"), "xn--bcher-kva.example"),
        ("space", dns("api example.net"), NAME),
        ("empty", dns(""), NAME),
        ("hyphens", dns("-api.example.net"), "-api.example.net"),
        ("with-port", dns("api.example.net:6443"), NAME),
        ("with-scheme", dns("https://api.example.net"), NAME),
        ("ipv4-mapped", ip("::ffff:10.0.0.1"), "10.0.0.1"),
        ("ipv4-asked-as-mapped", ip("10.0.0.1"), "::ffff:10.0.0.1"),
        ("ipv6-other-spelling", ip("fd00::1"), "fd00:0:0:0:0:0:0:1"),
        ("another", dns("other.example.net"), NAME),
        ("mail-alone", SanType::Rfc822Name(Ia5String::try_from("a@example.net").expect("ASCII")), NAME),
        ("uri-alone", SanType::URI(Ia5String::try_from("https://api.example.net").expect("ASCII")), NAME),
    ] {
        corpus.named(&format!("names/{id}"), vec![name], asked);
    }
    corpus.named("names/good-beside-a-wrong-one", vec![dns("bad name"), dns(NAME)], NAME);
    corpus.named("names/many", (0..300).map(|i| dns(&format!("n{i}.example.net"))).chain([dns(NAME)]).collect(), NAME);
    let root = root();
    let common_name = leaf_but(&root, |params| {
        params.subject_alt_names.clear();
        params.distinguished_name = subject(NAME);
    });
    corpus.path("names/common-name-alone", &root, &common_name, &[]);
    let nameless = leaf_but(&root, |params| params.distinguished_name = DistinguishedName::new());
    corpus.path("names/no-subject", &root, &nameless, &[]);
    let good = [&[0x30, 0x11, 0x82, 0x0f][..], NAME.as_bytes()].concat();
    corpus.named_raw("names/critical", true, &good, NAME);
    corpus.named_raw("names/none-in-the-extension", false, &[0x30, 0x00], NAME);
    corpus.named_raw(
        "names/address-of-five-octets",
        false,
        &[&[0x30, 0x18, 0x82, 0x0f][..], NAME.as_bytes(), &[0x87, 0x05, 1, 2, 3, 4, 5]].concat(),
        NAME,
    );
    corpus.named_raw(
        "names/address-with-a-mask",
        false,
        &[0x30, 0x0a, 0x87, 0x08, 10, 0, 0, 1, 255, 0, 0, 0],
        "10.0.0.1",
    );
    corpus.named_raw("names/not-ascii", false, b"\x30\x06\x82\x04\xc3\xa4.a", NAME);
    corpus.named_raw(
        "names/latin-1-beside",
        false,
        &[&[0x30, 0x17, 0x82, 0x0f][..], NAME.as_bytes(), b"\x82\x04\xe4.ab"].concat(),
        NAME,
    );
    corpus.named_raw("names/nul-inside", false, b"\x30\x13\x82\x11api.example\0.net.a", NAME);
    corpus.named_raw(
        "names/other-name-beside",
        false,
        &[
            &[0x30, 0x1b, 0x82, 0x0f][..],
            NAME.as_bytes(),
            &[0xa0, 0x08, 0x06, 0x02, 0x2a, 0x03, 0xa0, 0x02, 0x05, 0x00],
        ]
        .concat(),
        NAME,
    );
    corpus.named_raw(
        "names/registered-id-beside",
        false,
        &[&[0x30, 0x15, 0x82, 0x0f][..], NAME.as_bytes(), &[0x88, 0x02, 0x2a, 0x03]].concat(),
        NAME,
    );
    corpus.named_raw("names/extension-cut", false, &good[..10], NAME);
    corpus.named_raw(
        "names/uri-damaged-beside",
        false,
        &[&[0x30, 0x16, 0x82, 0x0f][..], NAME.as_bytes(), b"\x86\x03:::"].concat(),
        NAME,
    );
    corpus.named_raw(
        "names/mail-without-at-beside",
        false,
        &[&[0x30, 0x16, 0x82, 0x0f][..], NAME.as_bytes(), b"\x81\x03abc"].concat(),
        NAME,
    );
}

/// Adds trust files and serving certificates as common tools write them.
pub(super) fn tools(corpus: &mut Corpus) {
    let server = |ku: Vec<Ku>, eku: Vec<Eku>, is_ca: IsCa| {
        move |params: &mut CertificateParams| {
            (params.key_usages, params.extended_key_usages, params.is_ca) = (ku, eku, is_ca);
        }
    };
    let usual = vec![Ku::DigitalSignature, Ku::KeyEncipherment];
    for (id, serial) in [("kubeadm", 1_234_567_890), ("kubeadm-before-mid-2023", 0)] {
        let made = root_but(|params| {
            params.distinguished_name = subject("kubernetes");
            params.subject_alt_names = vec![dns("kubernetes")];
            params.key_usages = vec![Ku::DigitalSignature, Ku::KeyEncipherment, Ku::KeyCertSign];
            params.serial_number = Some(SerialNumber::from(serial));
        });
        let end = leaf_but(&made, server(usual.clone(), vec![Eku::ServerAuth], IsCa::ExplicitNoCa));
        corpus.path(&format!("tools/{id}"), &made, &end, &[]);
    }
    for (id, name, serial) in [
        ("k3s", "k3s-server-ca@1700000000", 0),
        ("rke2", "rke2-server-ca@1700000000", 0),
        ("k3s-of-today", "k3s-server-ca@1790000000", 77),
    ] {
        let made = root_but(|params| {
            params.distinguished_name = subject(name);
            params.key_usages = vec![Ku::DigitalSignature, Ku::KeyEncipherment, Ku::KeyCertSign];
            params.serial_number = Some(SerialNumber::from(serial));
        });
        let end = leaf_but(&made, server(usual.clone(), vec![Eku::ServerAuth], IsCa::NoCa));
        corpus.path(&format!("tools/{id}"), &made, &end, &[]);
        corpus.path(&format!("tools/{id}-with-its-root"), &made, &end, &[&made]);
    }
    let talos = root_but(|params| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "kubernetes");
        params.key_usages = vec![Ku::DigitalSignature, Ku::KeyCertSign];
        params.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
    });
    let end = leaf_but(&talos, server(usual.clone(), vec![Eku::ServerAuth, Eku::ClientAuth], IsCa::NoCa));
    corpus.path("tools/talos", &talos, &end, &[]);
    let plain_leaf = "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n\
                      subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\nsubjectAltName=DNS:api.example.net,IP:10.0.0.1\n";
    for (id, kind, extensions) in [
        (
            "talos-os",
            ED25519,
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature,keyCertSign\nextendedKeyUsage=serverAuth,clientAuth\nsubjectKeyIdentifier=hash\n",
        ),
        ("the-hard-way", RSA4096, "basicConstraints=CA:TRUE\nkeyUsage=cRLSign,keyCertSign\n"),
        (
            "the-hard-way-by-cfssl",
            RSA,
            "basicConstraints=critical,CA:TRUE,pathlen:2\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
        ),
        (
            "openssl-defaults",
            RSA,
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nbasicConstraints=critical,CA:TRUE\n",
        ),
        ("openssl-genrsa-and-x509", RSA, ""),
        (
            "cfssl",
            P256,
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n",
        ),
        (
            "easy-rsa",
            RSA,
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always,issuer:always\nbasicConstraints=CA:TRUE\nkeyUsage=cRLSign,keyCertSign\n",
        ),
        (
            "easy-rsa-2",
            RSA,
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always,issuer:always\nbasicConstraints=CA:TRUE\n",
        ),
    ] {
        let digest = if kind == ED25519 { &[][..] } else { SHA256 };
        corpus.pair(
            &format!("tools/{id}"),
            (kind, digest, "0x1234567890abcdef", extensions),
            (RSA, digest, "0x2345", plain_leaf),
        );
    }
    let step = root_but(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
    let step_between = intermediate_but(&step, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let end =
        leaf_but(&step_between, server(vec![Ku::DigitalSignature], vec![Eku::ServerAuth, Eku::ClientAuth], IsCa::NoCa));
    corpus.path("tools/step", &step, &end, &[&step_between]);
    corpus.path("tools/step-without-its-intermediate", &step, &end, &[]);
    corpus.path("tools/step-intermediate-trusted", &step_between, &end, &[]);
    // kubeadm with an external CA: the intermediate is in ca.crt, alone or with its root.
    let external = intermediate_but(&step, |params| params.distinguished_name = subject("kubernetes"));
    let end = leaf(&external);
    corpus.roots("tools/kubeadm-external-ca", &[&external, &step], &end, &[]);
    corpus.roots("tools/kubeadm-external-ca-alone", &[&external], &end, &[]);
    // A kubelet that signs its own certificate.
    let mut own = ca_params("node1-ca@1700000000");
    own.key_usages = vec![Ku::DigitalSignature, Ku::KeyEncipherment, Ku::KeyCertSign];
    let own = root_with(own, key());
    let end = leaf_but(&own, server(usual, vec![Eku::ServerAuth], IsCa::NoCa));
    corpus.path("tools/kubelet-self-signed", &step, &end, &[&own]);
}
