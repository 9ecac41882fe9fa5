//! Name constraints, critical extensions, key identifiers, versions and serial numbers.

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, CidrSubnet, GeneralSubtree, IsCa, KeyIdMethod, NameConstraints, SanType};

use super::builder::{
    BASIC_CONSTRAINTS, CA_TRUE, Corpus, LEAF, NAME, NOW, P256, ROOT, SHA256, UNKNOWN, dns, extension, intermediate_but,
    ip, leaf, leaf_but, root, root_but, subject,
};

pub(super) fn name_constraints(corpus: &mut Corpus) {
    let permits =
        |subtrees: Vec<GeneralSubtree>| NameConstraints { permitted_subtrees: subtrees, excluded_subtrees: vec![] };
    let excludes =
        |subtrees: Vec<GeneralSubtree>| NameConstraints { permitted_subtrees: vec![], excluded_subtrees: subtrees };
    let domain = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    let net = |a: [u8; 4], bits| GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(a, bits));
    let constraints: Vec<(&str, NameConstraints)> = vec![
        ("permits-the-domain", permits(vec![domain("example.net")])),
        ("permits-the-name", permits(vec![domain(NAME)])),
        ("permits-with-a-dot", permits(vec![domain(".example.net")])),
        ("permits-another", permits(vec![domain("example.org")])),
        ("permits-a-part-of-a-label", permits(vec![domain("ample.net")])),
        ("permits-all", permits(vec![domain("")])),
        ("excludes-the-domain", excludes(vec![domain("example.net")])),
        ("excludes-another", excludes(vec![domain("example.org")])),
        ("permits-addresses-alone", permits(vec![net([10, 0, 0, 0], 8)])),
        ("excludes-all-addresses", excludes(vec![net([0, 0, 0, 0], 0)])),
        ("permits-mail-alone", permits(vec![GeneralSubtree::Rfc822Name("example.net".into())])),
        ("permits-a-directory-name", permits(vec![GeneralSubtree::DirectoryName(subject("kube-apiserver"))])),
        ("excludes-a-directory-name", excludes(vec![GeneralSubtree::DirectoryName(subject("kube-apiserver"))])),
    ];
    for (id, limits) in constraints {
        let modified = root_but(|params| params.name_constraints = Some(limits.clone()));
        corpus.path(&format!("name-constraints/root-{id}"), &modified, &leaf(&modified), &[]);
        let root_ca = root();
        let intermediate = intermediate_but(&root_ca, |params| params.name_constraints = Some(limits));
        corpus.path(&format!("name-constraints/intermediate-{id}"), &root_ca, &leaf(&intermediate), &[&intermediate]);
    }
    let root_ca = root();
    for (id, limits, name, asked) in [
        ("address-within", permits(vec![net([10, 0, 0, 0], 8)]), ip("10.1.2.3"), "10.1.2.3"),
        ("address-outside", permits(vec![net([10, 0, 0, 0], 8)]), ip("192.168.1.1"), "192.168.1.1"),
        ("address-excluded", excludes(vec![net([10, 0, 0, 0], 8)]), ip("10.1.2.3"), "10.1.2.3"),
        ("address-under-names", permits(vec![domain("example.net")]), ip("10.1.2.3"), "10.1.2.3"),
        ("wildcard-within", permits(vec![domain("example.net")]), dns("*.example.net"), NAME),
        ("wildcard-excluded-name", excludes(vec![domain(NAME)]), dns("*.example.net"), NAME),
        ("wildcard-permitted-name", permits(vec![domain(NAME)]), dns("*.example.net"), NAME),
        ("capitals", permits(vec![domain("EXAMPLE.net")]), dns("api.Example.NET"), NAME),
    ] {
        let intermediate = intermediate_but(&root_ca, |params| params.name_constraints = Some(limits));
        let end_entity = leaf_but(&intermediate, |params| params.subject_alt_names = vec![name]);
        let key = end_entity.key.serialize_pem();
        corpus.add(
            &format!("name-constraints/{id}"),
            &[&root_ca.der],
            (&end_entity.der, &key),
            &[&intermediate.der],
            asked,
            NOW,
        );
    }
    // permittedSubtrees [0] { dNSName example.org }, not critical.
    let other = b"\x30\x11\xa0\x0f\x30\x0d\x82\x0bexample.org";
    let modified = root_but(|params| params.custom_extensions.push(extension(&[2, 5, 29, 30], false, other)));
    corpus.path("name-constraints/root-not-critical-another", &modified, &leaf(&modified), &[]);
    let intermediate = intermediate_but(&root_ca, |params| {
        params.custom_extensions.push(extension(&[2, 5, 29, 30], false, other));
    });
    corpus.path("name-constraints/intermediate-not-critical-another", &root_ca, &leaf(&intermediate), &[&intermediate]);
    let with_mail = leaf_but(&root_ca, |params| {
        params.custom_extensions.push(extension(&[2, 5, 29, 30], true, other));
    });
    corpus.path("name-constraints/leaf-has-some", &root_ca, &with_mail, &[]);
    // A URI that is constrained; the name asked for is not.
    let uri = b"\x30\x11\xa0\x0f\x30\x0d\x86\x0bexample.org";
    let intermediate = intermediate_but(&root_ca, |params| {
        params.custom_extensions.push(extension(&[2, 5, 29, 30], true, uri));
    });
    let end_entity = leaf_but(&intermediate, |params| {
        params.subject_alt_names.push(SanType::URI(Ia5String::try_from("spiffe://example.net/a").expect("ASCII")));
    });
    corpus.path("name-constraints/uri-outside", &root_ca, &end_entity, &[&intermediate]);
    corpus.path("name-constraints/uri-constrained-and-none-there", &root_ca, &leaf(&intermediate), &[&intermediate]);
}

pub(super) fn critical_extensions(corpus: &mut Corpus) {
    for (id, critical) in [("critical", true), ("not-critical", false)] {
        let modified =
            |params: &mut CertificateParams| params.custom_extensions.push(extension(UNKNOWN, critical, &[5, 0]));
        let root_ca = root();
        corpus.path(&format!("unknown-extension/leaf-{id}"), &root_ca, &leaf_but(&root_ca, modified), &[]);
        let intermediate = intermediate_but(&root_ca, modified);
        corpus.path(&format!("unknown-extension/intermediate-{id}"), &root_ca, &leaf(&intermediate), &[&intermediate]);
        let modified_root = root_but(modified);
        corpus.path(&format!("unknown-extension/root-{id}"), &modified_root, &leaf(&modified_root), &[]);
        corpus.path(
            &format!("unknown-extension/unused-intermediate-{id}"),
            &root_ca,
            &leaf(&root_ca),
            &[&intermediate],
        );
        corpus.roots(&format!("unknown-extension/unused-root-{id}"), &[&root_ca, &modified_root], &leaf(&root_ca), &[]);
    }
    let root_ca = root();
    // Extensions that have names and are rare: policies, CRL and OCSP addresses, policy constraints, subject information.
    let policies = [0x30, 0x06, 0x30, 0x04, 0x06, 0x02, 0x2a, 0x03];
    let points = b"\x30\x14\x30\x12\xa0\x10\xa0\x0e\x86\x0chttp://a/crl";
    let access = b"\x30\x13\x30\x11\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01\x86\x05a:b/c";
    let no_policy = [0x30, 0x03, 0x80, 0x01, 0x00];
    for (id, oid, content) in [
        ("policies", &[2, 5, 29, 32][..], &policies[..]),
        ("crl-distribution-points", &[2, 5, 29, 31], points),
        ("authority-information", &[1, 3, 6, 1, 5, 5, 7, 1, 1], access),
        ("policy-constraints", &[2, 5, 29, 36], &no_policy),
        ("inhibit-any-policy", &[2, 5, 29, 54], &[2, 1, 0]),
        ("must-staple", &[1, 3, 6, 1, 5, 5, 7, 1, 24], &[0x30, 0x03, 0x02, 0x01, 0x05]),
        ("subject-directory", &[2, 5, 29, 9], &[0x30, 0x00]),
        ("netscape-type", &[2, 16, 840, 1, 113_730, 1, 1], &[0x03, 0x02, 0x06, 0x40]),
        ("netscape-comment", &[2, 16, 840, 1, 113_730, 1, 13], &[0x16, 0x02, 0x68, 0x69]),
    ] {
        for critical in [false, true] {
            let modified =
                leaf_but(&root_ca, |params| params.custom_extensions.push(extension(oid, critical, content)));
            let word = if critical { "critical" } else { "not-critical" };
            corpus.path(&format!("extension/leaf-{id}-{word}"), &root_ca, &modified, &[]);
            let intermediate =
                intermediate_but(&root_ca, |params| params.custom_extensions.push(extension(oid, critical, content)));
            corpus.path(
                &format!("extension/intermediate-{id}-{word}"),
                &root_ca,
                &leaf(&intermediate),
                &[&intermediate],
            );
        }
    }
    let twice = leaf_but(&root_ca, |params| {
        params.custom_extensions.push(extension(UNKNOWN, false, &[5, 0]));
        params.custom_extensions.push(extension(UNKNOWN, false, &[5, 0]));
    });
    corpus.path("extension/leaf-the-same-twice", &root_ca, &twice, &[]);
    let twice = root_but(|params| {
        params.custom_extensions.push(extension(UNKNOWN, false, &[5, 0]));
        params.custom_extensions.push(extension(UNKNOWN, false, &[5, 0]));
    });
    corpus.path("extension/root-the-same-twice", &twice, &leaf(&twice), &[]);
    let damaged = leaf_but(&root_ca, |params| {
        params.extended_key_usages.clear();
        params.custom_extensions.push(extension(&[2, 5, 29, 37], false, &[0x30, 0x7f]));
    });
    corpus.path("extension/leaf-damaged-eku", &root_ca, &damaged, &[]);
    let damaged = intermediate_but(&root_ca, |params| {
        params.custom_extensions.push(extension(&[2, 5, 29, 30], false, &[0x30, 0x7f]));
    });
    corpus.path("extension/unused-intermediate-damaged", &root_ca, &leaf(&root_ca), &[&damaged]);
    corpus.path("extension/intermediate-damaged", &root_ca, &leaf(&damaged), &[&damaged]);
}

pub(super) fn key_identifiers(corpus: &mut Corpus) {
    let root_ca = root();
    let aki = |content: &'static [u8], critical| {
        move |params: &mut CertificateParams| {
            params.use_authority_key_identifier_extension = false;
            params.custom_extensions.push(extension(&[2, 5, 29, 35], critical, content));
        }
    };
    let other = b"\x30\x06\x80\x04\x01\x02\x03\x04";
    corpus.path("key-identifiers/leaf-other", &root_ca, &leaf_but(&root_ca, aki(other, false)), &[]);
    corpus.path("key-identifiers/leaf-critical", &root_ca, &leaf_but(&root_ca, aki(other, true)), &[]);
    corpus.path("key-identifiers/leaf-empty", &root_ca, &leaf_but(&root_ca, aki(b"\x30\x00", false)), &[]);
    let none = leaf_but(&root_ca, |params| params.use_authority_key_identifier_extension = false);
    corpus.path("key-identifiers/leaf-none", &root_ca, &none, &[]);
    // keyid and serial without an issuer's name.
    let serial = b"\x30\x09\x80\x04\x01\x02\x03\x04\x82\x01\x05";
    corpus.path("key-identifiers/leaf-with-a-serial", &root_ca, &leaf_but(&root_ca, aki(serial, false)), &[]);
    let intermediate = intermediate_but(&root_ca, aki(other, false));
    corpus.path("key-identifiers/intermediate-other", &root_ca, &leaf(&intermediate), &[&intermediate]);
    let modified = root_but(|params| params.key_identifier_method = KeyIdMethod::PreSpecified(vec![1, 2, 3]));
    corpus.path("key-identifiers/root-of-its-own-choice", &modified, &leaf(&modified), &[]);
    // Two roots with one name; the key identifier points to the wrong one.
    let same_name_root = root();
    let confused = leaf_but(&root_ca, |params| {
        params.use_authority_key_identifier_extension = false;
        let id = same_name_root.params.key_identifier(&same_name_root.key);
        let mut content =
            vec![0x30, u8::try_from(id.len()).expect("short") + 2, 0x80, u8::try_from(id.len()).expect("short")];
        content.extend(id);
        params.custom_extensions.push(extension(&[2, 5, 29, 35], false, &content));
    });
    corpus.roots("key-identifiers/leaf-names-the-twin", &[&root_ca, &same_name_root], &confused, &[]);
    corpus.roots("key-identifiers/twin-alone", &[&same_name_root], &leaf(&root_ca), &[]);
    corpus.roots("key-identifiers/twin-first", &[&same_name_root, &root_ca], &leaf(&root_ca), &[]);
    let ski_critical = root_but(|params| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, true, CA_TRUE));
        params.custom_extensions.push(extension(&[2, 5, 29, 14], true, &[4, 2, 1, 2]));
    });
    corpus.path("key-identifiers/root-critical", &ski_critical, &leaf(&ski_critical), &[]);
    let no_ski = root_but(|params| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, true, CA_TRUE));
    });
    corpus.path("key-identifiers/root-none", &no_ski, &leaf(&no_ski), &[]);
}

pub(super) fn versions_and_serials(corpus: &mut Corpus) {
    corpus.pair("version/root-1", (P256, SHA256, "7", ""), (P256, SHA256, "8", LEAF));
    corpus.pair("version/leaf-1", (P256, SHA256, "7", ROOT), (P256, SHA256, "8", ""));
    let root_der = corpus.certificate("root", None, P256, SHA256, "7", ROOT);
    let intermediate = corpus.certificate("between", Some("root"), P256, SHA256, "9", "");
    let end_entity = corpus.certificate("leaf", Some("between"), P256, SHA256, "8", LEAF);
    let key = corpus.key_of("leaf");
    corpus.add("version/intermediate-1", &[&root_der], (&end_entity, &key), &[&intermediate], NAME, NOW);
    let long = "0x7fffffffffffffffffffffffffffffffffffffff";
    let longer = "0x7fffffffffffffffffffffffffffffffffffffffff";
    for (id, serial) in [
        ("zero", "0"),
        ("negative", "-5"),
        ("negative-long", "-0x7ffffffffffffffffffffff"),
        ("20-octets", long),
        ("21-octets", longer),
    ] {
        corpus.pair(&format!("serial/root-{id}"), (P256, SHA256, serial, ROOT), (P256, SHA256, "8", LEAF));
        corpus.pair(&format!("serial/leaf-{id}"), (P256, SHA256, "7", ROOT), (P256, SHA256, serial, LEAF));
        let root_der = corpus.certificate("root", None, P256, SHA256, "7", ROOT);
        let intermediate = corpus.certificate("between", Some("root"), P256, SHA256, serial, ROOT);
        let end_entity = corpus.certificate("leaf", Some("between"), P256, SHA256, "8", LEAF);
        let key = corpus.key_of("leaf");
        corpus.add(
            &format!("serial/intermediate-{id}"),
            &[&root_der],
            (&end_entity, &key),
            &[&intermediate],
            NAME,
            NOW,
        );
        let direct = corpus.certificate("leaf", Some("root"), P256, SHA256, "8", LEAF);
        let key = corpus.key_of("leaf");
        corpus.add(
            &format!("serial/unused-intermediate-{id}"),
            &[&root_der],
            (&direct, &key),
            &[&intermediate],
            NAME,
            NOW,
        );
        let modified = corpus.certificate("odd", None, P256, SHA256, serial, ROOT);
        corpus.add(&format!("serial/unused-root-{id}"), &[&root_der, &modified], (&direct, &key), &[], NAME, NOW);
    }
}
