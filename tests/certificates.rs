//! Property tests of certificates: for every valid cluster file, webpki (rustls's verifier) accepts the issued certificates
//! for each of their names and addresses, and for no other.

use std::time::Duration;

use clusterctl::cluster::address::Address;
use clusterctl::cluster::profile::{CaRole, Profile};
use clusterctl::cluster::spec::{RawCluster, RawHost};
use clusterctl::pki::issuer::{Issuer, create_root};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring};

use crate::support::NOW;

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]([-a-z0-9]{0,14}[a-z0-9])?",
        prop::sample::select(vec!["on", "no", "null", "1e3", "0x1f", "true", "y"]).prop_map(str::to_owned),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(label(), 1..3).prop_map(|labels| labels.join("."))
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_u8..224, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| format!("{a}.{b}.{c}.{d}")),
        any::<[u16; 7]>().prop_map(|groups| format!(
            "fd00:{}",
            groups.iter().map(|group| format!("{group:x}")).collect::<Vec<_>>().join(":")
        )),
        (name(), Just(".example.net")).prop_map(|(name, parent)| format!("{name}{parent}")),
    ]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 64, ..Default::default() })]

    #[test]
    fn webpki_accepts_a_serving_certificate_for_all_its_names_and_no_other(
        node in name(),
        addresses in prop::collection::btree_set(address(), 1..5),
        other in address(),
        keys in prop::sample::select(vec!["ecdsa-p256", "ecdsa-p384", "ed25519"]),
    ) {
        let host = |name: &str, addresses: Vec<String>| RawHost { name: Some(name.to_owned()), addresses, ..RawHost::default() };
        let draft = RawCluster {
            name: Some("prop".to_owned()),
            keys: Some(keys.to_owned()),
            masters: vec![host("m", vec!["10.0.0.1".to_owned()])],
            nodes: vec![host(&node, addresses.into_iter().collect())],
            ..RawCluster::default()
        };
        // A few random names are invalid (a last label of digits); the rules have their own tests.
        let Ok(cluster) = draft.check() else { return Ok(()) };
        let root = create_root(CaRole::Cluster, &cluster.name, cluster.keys, cluster.validity.ca, NOW).expect("a root").into_inner();
        let issuer = Issuer::open(CaRole::Cluster, &root, NOW).expect("a valid root");
        let leaf = cluster.node_specs(&cluster.nodes[0]).into_iter().find(|l| l.profile == Profile::KubeletServer).expect("it");
        let made = issuer.issue_credential(&leaf, cluster.keys, NOW).expect("a credential").into_inner();

        let root_der = CertificateDer::from(root.certificate.der());
        let anchors = [anchor_from_trusted_cert(&root_der).expect("an anchor")];
        let der = CertificateDer::from(made.certificate.der());
        let end = EndEntityCert::try_from(&der).expect("a certificate");
        let algorithms = [ring::ECDSA_P256_SHA256, ring::ECDSA_P384_SHA384, ring::ED25519];
        let verify = |seconds: i64, usage| {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).expect("after 1970")));
            end.verify_for_usage(&algorithms, &anchors, &[], time, usage, None, None).map(|_| ())
        };
        let now = NOW.unix_timestamp();
        prop_assert_eq!(verify(now, KeyUsage::server_auth()), Ok(()));
        prop_assert!(verify(now, KeyUsage::client_auth()).is_err());
        prop_assert!(verify(now + 366 * 86_400, KeyUsage::server_auth()).is_err());
        prop_assert!(verify(now - 3600, KeyUsage::server_auth()).is_err());
        for address in &cluster.nodes[0].addresses {
            let server = ServerName::try_from(address.to_string()).expect("a server name");
            prop_assert!(end.verify_is_valid_for_subject_name(&server).is_ok(), "{address}");
            prop_assert!(made.certificate.names_address(address));
        }
        if let Ok(other) = Address::parse(&other)
            && !leaf.names.contains(&other)
        {
            let server = ServerName::try_from(other.to_string()).expect("a server name");
            prop_assert!(end.verify_is_valid_for_subject_name(&server).is_err(), "{other}");
            prop_assert!(!made.certificate.names_address(&other));
        }
    }
}
