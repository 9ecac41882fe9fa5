//! The table of the kubelet's configuration fields that authentication, authorization and TLS depend on.

use super::rule::{Allowed, OwnField, Rule};

/// The suites of TLS 1.2 with ECDHE and AEAD, and all of TLS 1.3, by their names in Go (`crypto/tls`).
///
/// Two suites also have an older name in Kubernetes.
const SUITES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

const OMIT: &str = "omit it";

/// The rules, in the order in which violations are reported.
pub(super) const RULES: &[Rule] = &[
    Rule {
        path: &["apiVersion"],
        allowed: Allowed::OneOf(&["kubelet.config.k8s.io/v1beta1"]),
        property: "1.iii",
        why: "in another version the fields may have other meanings",
        instead: OMIT,
    },
    Rule {
        path: &["kind"],
        allowed: Allowed::OneOf(&["KubeletConfiguration"]),
        property: "1.iii",
        why: "an object of another kind does not configure authentication",
        instead: OMIT,
    },
    Rule {
        path: &["enableServer"],
        allowed: Allowed::Bool(true),
        property: "1.i",
        why: "API servers cannot connect to the kubelet",
        instead: OMIT,
    },
    Rule {
        path: &["address"],
        // Go listens on both families for each of them.
        allowed: Allowed::OneOf(&["0.0.0.0", "::"]),
        property: "1.i",
        why: "the kubelet does not listen at every address that the cluster file gives it",
        instead: "omit it, and list the node's addresses under addresses:",
    },
    Rule {
        path: &["port"],
        allowed: Allowed::Own(OwnField::Port),
        property: "1.i",
        why: "API servers connect to another port",
        instead: "set the node's kubeletPort:",
    },
    Rule {
        path: &["readOnlyPort"],
        allowed: Allowed::Number("0"),
        property: "1.iii",
        why: "the read-only port is open to everyone",
        instead: OMIT,
    },
    Rule {
        path: &["authentication", "anonymous", "enabled"],
        allowed: Allowed::Bool(false),
        property: "1.iii",
        why: "anonymous clients are accepted",
        instead: OMIT,
    },
    Rule {
        path: &["authentication", "webhook", "enabled"],
        allowed: Allowed::Bool(true),
        property: "1.iii",
        why: "bearer tokens are not reviewed",
        instead: OMIT,
    },
    Rule {
        path: &["authentication", "x509", "clientCAFile"],
        allowed: Allowed::Own(OwnField::ClientCa),
        property: "1.iii",
        why: "clients with certificates of another CA than this cluster's are accepted",
        instead: OMIT,
    },
    Rule {
        path: &["authorization", "mode"],
        allowed: Allowed::OneOf(&["Webhook"]),
        property: "1.iii",
        why: "requests are not authorized by the API server",
        instead: OMIT,
    },
    Rule {
        path: &["authentication", "webhook", "cacheTTL"],
        allowed: Allowed::AtMostSeconds(300),
        property: "1.iii",
        why: "a revoked token is accepted for as long",
        instead: "use 5m or less",
    },
    Rule {
        path: &["authorization", "webhook", "cacheAuthorizedTTL"],
        allowed: Allowed::AtMostSeconds(300),
        property: "1.iii",
        why: "a revoked client is authorized for as long",
        instead: "use 5m or less",
    },
    Rule {
        path: &["tlsCertFile"],
        allowed: Allowed::Own(OwnField::Certificate),
        property: "1.ii",
        why: "the kubelet presents another certificate than the one that this cluster's CA issued for it",
        instead: OMIT,
    },
    Rule {
        path: &["tlsPrivateKeyFile"],
        allowed: Allowed::Own(OwnField::Key),
        property: "1.ii",
        why: "the kubelet has no key for its serving certificate",
        instead: OMIT,
    },
    Rule {
        path: &["tlsMinVersion"],
        allowed: Allowed::OneOf(&["VersionTLS12", "VersionTLS13"]),
        property: "1.ii",
        why: "an attacker on the network can break older TLS",
        instead: "use VersionTLS12 or VersionTLS13",
    },
    Rule {
        path: &["tlsCipherSuites"],
        allowed: Allowed::SubsetOf(SUITES),
        property: "1.ii",
        why: "an attacker on the network can break suites without ECDHE and AEAD",
        instead: "use suites such as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    },
    Rule {
        path: &["serverTLSBootstrap"],
        allowed: Allowed::Bool(false),
        property: "1.ii",
        why: "the kubelet requests its serving certificate from another signer",
        instead: OMIT,
    },
    Rule {
        path: &["rotateCertificates"],
        allowed: Allowed::Bool(false),
        property: "2.iii",
        why: "the kubelet requests its client certificate from another signer, so that the ledger does not record it",
        instead: OMIT,
    },
    Rule {
        path: &["staticPodURL"],
        allowed: Allowed::Absent,
        property: "2.ii",
        why: "the kubelet runs pods from that server, bypassing the API server",
        instead: "use staticPodPath",
    },
    Rule {
        path: &["staticPodURLHeader"],
        allowed: Allowed::Absent,
        property: "2.ii",
        why: "the kubelet runs pods from that server, bypassing the API server",
        instead: "use staticPodPath",
    },
    Rule {
        path: &["featureGates", "KubeletFineGrainedAuthz"],
        allowed: Allowed::Bool(true),
        property: "1.iii",
        why: "clients that only read pods then need nodes/proxy, which permits running commands in all of them",
        instead: OMIT,
    },
    Rule {
        path: &["featureGates", "AllAlpha"],
        allowed: Allowed::Bool(false),
        property: "1.iii",
        why: "it enables features that are not named, which may change who is accepted",
        instead: "name the gates instead",
    },
    Rule {
        path: &["featureGates", "AllBeta"],
        allowed: Allowed::Bool(true),
        property: "1.iii",
        why: "it disables features that are not named, which may change who is accepted",
        instead: "name the gates instead",
    },
];
