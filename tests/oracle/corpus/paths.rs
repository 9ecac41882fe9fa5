//! Alternative paths, and the strength of keys and signatures.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose as Eku, IsCa, KeyPair};

use super::builder::{
    Corpus, ED25519, LEAF, MD5, Made, NAME, NOW, P224, P256, P384, P521, PSS, PSS384, PSS512, ROOT, RSA, RSA_E3,
    RSA512, RSA1024, RSA1536, RSA3072, RSA4096, SHA1, SHA224, SHA256, SHA384, SHA512, intermediate, intermediate_but,
    leaf, leaf_but, root, root_but, root_with, signed, subject,
};

pub(super) fn alternatives(corpus: &mut Corpus) {
    let good = root();
    let between = intermediate(&good);
    let end = leaf(&between);
    corpus.path("path/intermediate", &good, &end, &[&between]);
    corpus.path("path/intermediate-missing", &good, &end, &[]);
    corpus.path("path/with-its-root", &good, &end, &[&between, &good]);
    corpus.path("path/root-before-the-intermediate", &good, &end, &[&good, &between]);
    corpus.path("path/intermediate-trusted-too", &between, &end, &[&between]);
    corpus.path("path/intermediate-trusted-alone", &between, &end, &[]);
    corpus.path("path/intermediate-trusted-and-root-sent", &between, &end, &[&between, &good]);
    corpus.roots("path/intermediate-and-root-trusted", &[&between, &good], &end, &[]);
    corpus.path("path/the-same-twice", &good, &end, &[&between, &between]);
    corpus.path("path/leaf-sent-twice", &good, &end, &[&end, &between]);
    let second = intermediate_but(&between, |params| params.distinguished_name = subject("second"));
    let deep = leaf(&second);
    corpus.path("path/in-order", &good, &deep, &[&second, &between]);
    corpus.path("path/out-of-order", &good, &deep, &[&between, &second]);
    corpus.path("path/one-missing", &good, &deep, &[&second]);

    // A root that was cross-signed by an older one.
    let old = root_but(|params| params.distinguished_name = subject("old root"));
    let expired_old = root_but(|params| {
        params.distinguished_name = subject("old root");
        params.not_after = NOW - time::Duration::DAY;
    });
    let cross = |issuer: &Made, change: &dyn Fn(&mut CertificateParams)| {
        let mut params = good.params.clone();
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let copy = KeyPair::from_pem(&good.key.serialize_pem()).expect("a key");
        signed(issuer, params, copy)
    };
    let fine = cross(&old, &|_| ());
    let ended = cross(&old, &|params| params.not_after = NOW - time::Duration::DAY);
    let early = cross(&old, &|params| params.not_before = NOW + time::Duration::DAY);
    let client = cross(&old, &|params| params.extended_key_usages = vec![Eku::ClientAuth]);
    corpus.path("path/cross-signed-by-the-old-root", &old, &end, &[&between, &fine]);
    corpus.path("path/cross-signed-new-root-trusted", &good, &end, &[&between, &fine]);
    corpus.roots("path/cross-signed-both-trusted", &[&old, &good], &end, &[&between, &fine]);
    corpus.path("path/expired-cross-beside", &good, &end, &[&between, &ended]);
    corpus.path("path/early-cross-beside", &good, &end, &[&between, &early]);
    corpus.path("path/client-cross-beside", &good, &end, &[&between, &client]);
    corpus.path("path/expired-cross-needed", &old, &end, &[&between, &ended]);
    corpus.path("path/client-cross-needed", &old, &end, &[&between, &client]);
    corpus.path("path/expired-cross-first", &old, &end, &[&between, &ended, &fine]);
    corpus.roots("path/expired-old-root-beside", &[&expired_old, &good], &end, &[&between, &fine]);
    let cross_of_expired = cross(&expired_old, &|_| ());
    corpus.roots("path/cross-of-an-expired-root", &[&expired_old, &good], &end, &[&between, &cross_of_expired]);
    corpus.path("path/cross-of-an-expired-root-needed", &expired_old, &end, &[&between, &cross_of_expired]);

    // Certificates after the path.
    let old_leaf = leaf_but(&between, |params| params.not_after = NOW - time::Duration::DAY);
    corpus.path("path/old-leaf-beside", &good, &end, &[&between, &old_leaf]);
    let renew = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = between.params.clone();
        change(&mut params);
        let copy = KeyPair::from_pem(&between.key.serialize_pem()).expect("a key");
        signed(&good, params, copy)
    };
    let old_between = renew(&|params| params.not_after = NOW - time::Duration::DAY);
    let later = renew(&|params| params.not_before = NOW + time::Duration::DAY);
    corpus.path("path/old-intermediate-beside", &good, &end, &[&between, &old_between]);
    corpus.path("path/old-intermediate-first", &good, &end, &[&old_between, &between]);
    corpus.path("path/later-intermediate-beside", &good, &end, &[&between, &later]);
    corpus.path("path/old-intermediate-alone", &good, &end, &[&old_between]);
    let other_root = root_but(|params| params.distinguished_name = subject("stranger"));
    let unrelated = intermediate_but(&other_root, |params| params.distinguished_name = subject("unrelated"));
    corpus.path("path/unrelated-beside", &good, &end, &[&between, &unrelated, &other_root]);
    corpus.path("path/of-another-root", &other_root, &end, &[&between]);
    corpus.path("path/of-another-root-that-is-sent", &other_root, &end, &[&between, &good]);
    let same_name_intermediate = intermediate(&other_root);
    corpus.path("path/intermediate-of-the-same-name-beside", &good, &end, &[&same_name_intermediate, &between]);
    corpus.path("path/intermediate-of-the-same-name-alone", &good, &end, &[&same_name_intermediate]);

    // Roots that were renewed with the same key, and with another.
    let renewed = |not_after| {
        let mut params = good.params.clone();
        params.not_after = not_after;
        let copy = KeyPair::from_pem(&good.key.serialize_pem()).expect("a key");
        root_with(params, copy)
    };
    let expired = renewed(NOW - time::Duration::DAY);
    corpus.roots("roots/expired-of-the-same-key-beside", &[&expired, &good], &end, &[&between]);
    corpus.roots("roots/expired-of-the-same-key-alone", &[&expired], &end, &[&between]);
    let other = root();
    corpus.roots("roots/other-key-beside", &[&other, &good], &end, &[&between]);
    let expired_other = root_but(|params| params.not_after = NOW - time::Duration::DAY);
    corpus.roots("roots/expired-other-key-beside", &[&expired_other, &good], &end, &[&between]);
    corpus.roots("roots/the-same-twice", &[&good, &good], &end, &[&between]);
    corpus.roots("roots/leaf-in-the-file", &[&end, &good], &end, &[&between]);
    corpus.roots("roots/another-leaf-in-the-file", &[&leaf(&good), &good], &end, &[&between]);
    let no_ca = root_but(|params| params.is_ca = IsCa::ExplicitNoCa);
    corpus.roots("roots/no-ca-beside", &[&no_ca, &good], &end, &[&between]);

    // Signatures that are not the issuer's.
    let mut broken = end.der.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let key = end.key.serialize_pem();
    corpus.add("path/leaf-signature-broken", &[&good.der], (&broken, &key), &[&between.der], NAME, NOW);
    let mut broken = between.der.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    corpus.add("path/intermediate-signature-broken", &[&good.der], (&end.der, &key), &[&broken], NAME, NOW);
    corpus.add("path/unused-signature-broken", &[&between.der], (&end.der, &key), &[&broken], NAME, NOW);
    let mut broken = good.der.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    corpus.add("path/root-signature-broken", &[&broken], (&end.der, &key), &[&between.der], NAME, NOW);
    corpus.add(
        "path/garbage-beside",
        &[&good.der],
        (&end.der, &key),
        &[&between.der, b"\x30\x03\x02\x01\x01"],
        NAME,
        NOW,
    );
    let mut trailing = between.der.clone();
    trailing.push(0);
    corpus.add("path/bytes-behind-an-unused-one", &[&between.der], (&end.der, &key), &[&trailing], NAME, NOW);
    let mut trailing = end.der.clone();
    trailing.push(0);
    corpus.add("path/bytes-behind-the-leaf", &[&good.der], (&trailing, &key), &[&between.der], NAME, NOW);
}

pub(super) fn strength(corpus: &mut Corpus) {
    for (id, kind, digest) in [
        ("p256-sha256", P256, SHA256),
        ("p256-sha384", P256, SHA384),
        ("p256-sha512", P256, SHA512),
        ("p256-sha224", P256, SHA224),
        ("p256-sha1", P256, SHA1),
        ("p384-sha384", P384, SHA384),
        ("p384-sha256", P384, SHA256),
        ("p384-sha512", P384, SHA512),
        ("p521-sha512", P521, SHA512),
        ("p521-sha256", P521, SHA256),
        ("p224-sha256", P224, SHA256),
        ("ed25519", ED25519, &[]),
        ("rsa512-sha256", RSA512, SHA256),
        ("rsa1024-sha256", RSA1024, SHA256),
        ("rsa1536-sha256", RSA1536, SHA256),
        ("rsa2048-sha256", RSA, SHA256),
        ("rsa2048-sha384", RSA, SHA384),
        ("rsa2048-sha512", RSA, SHA512),
        ("rsa2048-sha224", RSA, SHA224),
        ("rsa2048-sha1", RSA, SHA1),
        ("rsa2048-md5", RSA, MD5),
        ("rsa2048-pss-sha256", RSA, PSS),
        ("rsa2048-pss-sha384", RSA, PSS384),
        ("rsa2048-pss-sha512", RSA, PSS512),
        ("rsa2048-exponent-3", RSA_E3, SHA256),
        ("rsa3072-sha256", RSA3072, SHA256),
        ("rsa4096-sha256", RSA4096, SHA256),
    ] {
        // The root signs itself and the leaf with it.
        corpus.pair(&format!("strength/root-{id}"), (kind, digest, "7", ROOT), (P256, digest, "8", LEAF));
        if !digest.is_empty() && id.ends_with("sha256") || id.starts_with("ed") || id == "p521-sha512" {
            corpus.pair(&format!("strength/leaf-key-{id}"), (P256, SHA256, "7", ROOT), (kind, SHA256, "8", LEAF));
        }
    }
    // A root's own signature is not checked: it is trusted for its key.
    for (id, kind, digest) in [("sha1", RSA, SHA1), ("md5", RSA, MD5), ("p521-sha1", P521, SHA1)] {
        corpus.pair(
            &format!("strength/root-self-signed-with-{id}"),
            (kind, digest, "7", ROOT),
            (P256, SHA256, "8", LEAF),
        );
    }
    for (id, kind, digest) in [("sha1", P256, SHA1), ("rsa1024", RSA1024, SHA256), ("p521", P521, SHA512)] {
        let root_der = corpus.certificate("root", None, P256, SHA256, "7", ROOT);
        let between =
            corpus.certificate("between", Some("root"), kind, if id == "sha1" { digest } else { SHA256 }, "9", ROOT);
        let end =
            corpus.certificate("leaf", Some("between"), P256, if id == "sha1" { SHA256 } else { digest }, "8", LEAF);
        let key = corpus.key_of("leaf");
        corpus.add(&format!("strength/intermediate-{id}"), &[&root_der], (&end, &key), &[&between], NAME, NOW);
        let direct = corpus.certificate("leaf", Some("root"), P256, SHA256, "8", LEAF);
        let key = corpus.key_of("leaf");
        corpus.add(
            &format!("strength/unused-intermediate-{id}"),
            &[&root_der],
            (&direct, &key),
            &[&between],
            NAME,
            NOW,
        );
    }
}
