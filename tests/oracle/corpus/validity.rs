//! Dates, authority, key usage and path length.

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Eku, IsCa, KeyUsagePurpose as Ku};
use time::macros::datetime;

use super::builder::{
    BASIC_CONSTRAINTS, BEGIN, CA_FALSE, CA_TRUE, Change, Corpus, END, Made, NAME, NOW, ca_params, dns, extension,
    intermediate, intermediate_but, key, leaf, leaf_but, leaf_params, root, root_but, root_with, subject,
};

pub(super) fn dates(corpus: &mut Corpus) {
    let second = time::Duration::SECOND;
    let good = root();
    let plain = leaf(&good);
    corpus.path("dates/good", &good, &plain, &[]);
    corpus.at("dates/at-not-before", &good, &plain, &[], BEGIN);
    corpus.at("dates/before-not-before", &good, &plain, &[], BEGIN - second);
    corpus.at("dates/at-not-after", &good, &plain, &[], END);
    corpus.at("dates/within-the-last-second", &good, &plain, &[], END + time::Duration::milliseconds(900));
    corpus.at("dates/after-not-after", &good, &plain, &[], END + second);
    let expired = |params: &mut CertificateParams| params.not_after = NOW - second;
    let early = |params: &mut CertificateParams| params.not_before = NOW + second;
    corpus.path("dates/leaf-expired", &good, &leaf_but(&good, expired), &[]);
    corpus.path("dates/leaf-early", &good, &leaf_but(&good, early), &[]);
    let between = intermediate_but(&good, expired);
    corpus.path("dates/intermediate-expired", &good, &leaf(&between), &[&between]);
    let between = intermediate_but(&good, early);
    corpus.path("dates/intermediate-early", &good, &leaf(&between), &[&between]);
    let root = root_but(expired);
    corpus.path("dates/root-expired", &root, &leaf(&root), &[]);
    let between = intermediate(&root);
    corpus.path("dates/root-of-an-intermediate-expired", &root, &leaf(&between), &[&between]);
    let root = root_but(early);
    corpus.path("dates/root-early", &root, &leaf(&root), &[]);
    let between = intermediate_but(&good, |params| params.not_after = datetime!(2035-01-01 00:00 UTC));
    corpus.path("dates/leaf-outlives-its-issuer", &good, &leaf(&between), &[&between]);
    let inverted = |params: &mut CertificateParams| (params.not_before, params.not_after) = (END, BEGIN);
    corpus.path("dates/inverted", &good, &leaf_but(&good, inverted), &[]);
    // Issued by the root to a new key of its own: a self-issued intermediate.
    for (id, change) in [("expired", &expired as &dyn Fn(&mut CertificateParams)), ("early", &early)] {
        let between = intermediate_but(&good, |params| {
            params.distinguished_name = subject("root");
            change(params);
        });
        corpus.path(&format!("dates/self-issued-intermediate-{id}"), &good, &leaf(&between), &[&between]);
    }
    let century = |params: &mut CertificateParams| params.not_after = datetime!(9999-12-31 23:59:59 UTC);
    let forever = root_but(century);
    corpus.path("dates/no-end", &forever, &leaf_but(&forever, century), &[]);
}

pub(super) fn authority(corpus: &mut Corpus) {
    let without = |params: &mut CertificateParams| params.is_ca = IsCa::NoCa;
    let explicitly_not = |params: &mut CertificateParams| params.is_ca = IsCa::ExplicitNoCa;
    let not_critical = |params: &mut CertificateParams| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, false, CA_TRUE));
    };
    let false_not_critical = |params: &mut CertificateParams| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, false, CA_FALSE));
    };
    let changes: [(&str, Change<'_>); 4] = [
        ("without-basic-constraints", &without),
        ("false", &explicitly_not),
        ("true-not-critical", &not_critical),
        ("false-not-critical", &false_not_critical),
    ];
    for (id, change) in changes {
        let odd = root_but(change);
        corpus.path(&format!("ca/root-{id}"), &odd, &leaf(&odd), &[]);
        let good = root();
        let between = intermediate_but(&good, change);
        corpus.path(&format!("ca/intermediate-{id}"), &good, &leaf(&between), &[&between]);
    }
    let good = root();
    let authority = leaf_but(&good, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    corpus.path("ca/leaf-true", &good, &authority, &[]);
    corpus.path("ca/leaf-without-basic-constraints", &good, &leaf_but(&good, without), &[]);
    let issued_by_a_leaf = leaf(&good);
    corpus.path("ca/leaf-signed-by-a-leaf", &good, &leaf(&issued_by_a_leaf), &[&issued_by_a_leaf]);
    let mut params = leaf_params();
    params.use_authority_key_identifier_extension = false;
    let itself = root_with(params, key());
    corpus.path("ca/self-signed-leaf-trusted-itself", &itself, &itself, &[]);
    corpus.path("ca/self-signed-leaf-not-trusted", &good, &itself, &[]);
    let mut params = ca_params("root");
    (params.subject_alt_names, params.extended_key_usages) = (vec![dns(NAME)], vec![Eku::ServerAuth]);
    let both = root_with(params, key());
    corpus.path("ca/root-serves-itself", &both, &both, &[]);
    let pinned = leaf(&good);
    corpus.path("ca/leaf-of-a-root-trusted-alone", &pinned, &pinned, &[]);
}

pub(super) fn key_usage(corpus: &mut Corpus) {
    let usages: [(&str, Vec<Ku>); 5] = [
        ("none", vec![]),
        ("crl-sign-alone", vec![Ku::CrlSign]),
        ("digital-signature-alone", vec![Ku::DigitalSignature]),
        ("cert-sign-alone", vec![Ku::KeyCertSign]),
        ("kubeadm", vec![Ku::DigitalSignature, Ku::KeyEncipherment, Ku::KeyCertSign]),
    ];
    for (id, usage) in usages {
        let odd = root_but(|params| params.key_usages.clone_from(&usage));
        corpus.path(&format!("key-usage/root-{id}"), &odd, &leaf(&odd), &[]);
        let good = root();
        let between = intermediate_but(&good, |params| params.key_usages = usage);
        corpus.path(&format!("key-usage/intermediate-{id}"), &good, &leaf(&between), &[&between]);
    }
    let good = root();
    for (id, usage) in [
        ("none", vec![]),
        ("key-encipherment-alone", vec![Ku::KeyEncipherment]),
        ("cert-sign-alone", vec![Ku::KeyCertSign]),
        ("kubeadm", vec![Ku::DigitalSignature, Ku::KeyEncipherment]),
    ] {
        corpus.path(&format!("key-usage/leaf-{id}"), &good, &leaf_but(&good, |p| p.key_usages = usage), &[]);
    }
}

pub(super) fn extended_key_usage(corpus: &mut Corpus) {
    let usages: [(&str, Vec<Eku>); 7] = [
        ("none", vec![]),
        ("any", vec![Eku::Any]),
        ("client", vec![Eku::ClientAuth]),
        ("server", vec![Eku::ServerAuth]),
        ("both", vec![Eku::ServerAuth, Eku::ClientAuth]),
        ("code-signing", vec![Eku::CodeSigning]),
        ("unknown", vec![Eku::Other(vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 2])]),
    ];
    for (id, usage) in usages {
        let good = root();
        let end = leaf_but(&good, |params| params.extended_key_usages.clone_from(&usage));
        corpus.path(&format!("eku/leaf-{id}"), &good, &end, &[]);
        let between = intermediate_but(&good, |params| params.extended_key_usages.clone_from(&usage));
        corpus.path(&format!("eku/intermediate-{id}"), &good, &leaf(&between), &[&between]);
        let odd = root_but(|params| params.extended_key_usages.clone_from(&usage));
        corpus.path(&format!("eku/root-{id}"), &odd, &leaf(&odd), &[]);
        // Two intermediates, the upper one limited.
        let upper = intermediate_but(&good, |params| params.extended_key_usages = usage);
        let lower = intermediate_but(&upper, |params| params.distinguished_name = subject("lower"));
        corpus.path(&format!("eku/upper-intermediate-{id}"), &good, &leaf(&lower), &[&lower, &upper]);
    }
    let good = root();
    let between = intermediate_but(&good, |params| params.extended_key_usages = vec![Eku::Any]);
    let end = leaf_but(&between, |params| params.extended_key_usages = vec![]);
    corpus.path("eku/any-above-none", &good, &end, &[&between]);
    let critical = leaf_but(&good, |params| {
        params.extended_key_usages.clear();
        let server = [0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
        params.custom_extensions.push(extension(&[2, 5, 29, 37], true, &server));
    });
    corpus.path("eku/leaf-critical", &good, &critical, &[]);
}

pub(super) fn path_length(corpus: &mut Corpus) {
    let limited = |limit: u8| {
        move |params: &mut CertificateParams| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(limit));
        }
    };
    for limit in [0, 1, 2] {
        let good = root_but(limited(limit));
        let first = intermediate(&good);
        let second = intermediate_but(&first, |params| params.distinguished_name = subject("second"));
        corpus.path(&format!("pathlen/root-{limit}-none-between"), &good, &leaf(&good), &[]);
        corpus.path(&format!("pathlen/root-{limit}-one-between"), &good, &leaf(&first), &[&first]);
        corpus.path(&format!("pathlen/root-{limit}-two-between"), &good, &leaf(&second), &[&second, &first]);
    }
    let good = root();
    let first = intermediate_but(&good, limited(0));
    let second = intermediate_but(&first, |params| params.distinguished_name = subject("second"));
    corpus.path("pathlen/intermediate-0-none-below", &good, &leaf(&first), &[&first]);
    corpus.path("pathlen/intermediate-0-one-below", &good, &leaf(&second), &[&second, &first]);
    let renewed = intermediate_but(&first, |params| params.distinguished_name = subject("intermediate"));
    corpus.path("pathlen/intermediate-0-self-issued-below", &good, &leaf(&renewed), &[&renewed, &first]);
    let strict = root_but(limited(0));
    let renewed = intermediate_but(&strict, |params| params.distinguished_name = subject("root"));
    corpus.path("pathlen/root-0-self-issued-between", &strict, &leaf(&renewed), &[&renewed]);
    let without_ca = [0x30, 0x03, 0x02, 0x01, 0x00];
    let odd = leaf_but(&good, |params| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, true, &without_ca));
    });
    corpus.path("pathlen/leaf-without-ca", &good, &odd, &[]);
    let negative = [0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0xff];
    let odd = root_but(|params| {
        params.is_ca = IsCa::NoCa;
        params.custom_extensions.push(extension(BASIC_CONSTRAINTS, true, &negative));
    });
    corpus.path("pathlen/root-negative", &odd, &leaf(&odd), &[]);
    let mut chain = vec![root()];
    for step in 0..8 {
        let next =
            intermediate_but(&chain[step], |params| params.distinguished_name = subject(&format!("step {step}")));
        chain.push(next);
    }
    let sent: Vec<&Made> = chain[1..].iter().rev().collect();
    let end = leaf(&chain[8]);
    corpus.path("pathlen/eight-between", &chain[0], &end, &sent);
}
