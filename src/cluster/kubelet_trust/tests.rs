use super::rules::RULES;
use super::*;

const OWN: RenderedValues<'_> =
    RenderedValues { port: 10250, client_ca: "/ca.crt", certificate: "/kubelet.crt", key: "/kubelet.key" };

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}

fn number(text: &str) -> Setting {
    Setting::Number(text.to_owned())
}

/// The mappings around a field with this value.
fn at(path: &[&str], value: Setting) -> Setting {
    path.iter().rev().fold(value, |inner, key| Setting::Mapping(vec![((*key).to_owned(), inner)]))
}

fn rendered() -> Setting {
    [
        at(&["apiVersion"], text("kubelet.config.k8s.io/v1beta1")),
        at(&["kind"], text("KubeletConfiguration")),
        at(&["port"], number("10250")),
        at(&["authentication", "x509", "clientCAFile"], text("/ca.crt")),
        at(&["authentication", "anonymous", "enabled"], Setting::Bool(false)),
        at(&["tlsCertFile"], text("/kubelet.crt")),
        at(&["tlsPrivateKeyFile"], text("/kubelet.key")),
    ]
    .iter()
    .fold(Setting::default(), Setting::merged)
}

/// For each rule a setting that violates it and no other, and the property.
fn violating() -> Vec<(&'static [&'static str], Setting, &'static str)> {
    vec![
        (&["apiVersion"], text("kubelet.config.k8s.io/v1"), "1.iii"),
        (&["kind"], text("Pod"), "1.iii"),
        (&["enableServer"], Setting::Bool(false), "1.i"),
        (&["address"], text("127.0.0.1"), "1.i"),
        (&["port"], number("10251"), "1.i"),
        (&["readOnlyPort"], number("10255"), "1.iii"),
        (&["authentication", "anonymous", "enabled"], Setting::Bool(true), "1.iii"),
        (&["authentication", "webhook", "enabled"], Setting::Bool(false), "1.iii"),
        (&["authentication", "x509", "clientCAFile"], text("/other.crt"), "1.iii"),
        (&["authorization", "mode"], text("AlwaysAllow"), "1.iii"),
        (&["authentication", "webhook", "cacheTTL"], text("24h"), "1.iii"),
        (&["authorization", "webhook", "cacheAuthorizedTTL"], text("5m1ms"), "1.iii"),
        (&["tlsCertFile"], text("/other.crt"), "1.ii"),
        (&["tlsPrivateKeyFile"], text("/other.key"), "1.ii"),
        (&["tlsMinVersion"], text("VersionTLS11"), "1.ii"),
        (&["tlsCipherSuites"], Setting::List(vec![text("TLS_RSA_WITH_AES_128_CBC_SHA")]), "1.ii"),
        (&["serverTLSBootstrap"], Setting::Bool(true), "1.ii"),
        (&["rotateCertificates"], Setting::Bool(true), "2.iii"),
        (&["staticPodURL"], text("http://pods.example.net/"), "2.ii"),
        (&["staticPodURLHeader"], Setting::default(), "2.ii"),
        (&["featureGates", "KubeletFineGrainedAuthz"], Setting::Bool(false), "1.iii"),
        (&["featureGates", "AllAlpha"], Setting::Bool(true), "1.iii"),
        (&["featureGates", "AllBeta"], Setting::Bool(false), "1.iii"),
    ]
}

#[test]
fn every_rule_has_a_setting_that_violates_it_alone_in_either_mode() {
    assert_eq!(violating().len(), RULES.len(), "each rule has an entry here");
    assert_eq!(trust_violations(&rendered(), ConfigKind::Rendered(&OWN)), []);
    assert_eq!(trust_violations(&rendered(), ConfigKind::Foreign), []);
    for (path, value, property) in violating() {
        let patch = at(path, value);
        let whole = rendered().merged(&patch);
        for found in [trust_violations(&patch, ConfigKind::Patch), trust_violations(&whole, ConfigKind::Rendered(&OWN))]
        {
            let [one] = found.as_slice() else { panic!("{path:?}: {found:?}") };
            assert_eq!((one.field.as_str(), one.rule.property), (path.join(".").as_str(), property));
        }
    }
}

#[test]
fn removing_a_required_field_is_reported_once() {
    let removed = |path: &[&str]| {
        let found = trust_violations(&at(path, Setting::Null), ConfigKind::Patch);
        found.into_iter().map(|violation| (violation.field, violation.seen)).collect::<Vec<_>>()
    };
    let once = |field: &str| vec![(field.to_owned(), "null".to_owned())];
    assert_eq!(removed(&["authentication"]), once("authentication"));
    assert_eq!(removed(&["authentication", "x509"]), once("authentication.x509"));
    assert_eq!(removed(&["port"]), once("port"));
    assert_eq!(removed(&["tlsCertFile"]), once("tlsCertFile"));
    // Kubernetes's own defaults are safe.
    assert_eq!(removed(&["authorization"]), []);
    assert_eq!(removed(&["authentication", "anonymous"]), []);
    assert_eq!(removed(&["maxPods"]), []);
}

#[test]
fn a_missing_field_is_reported_and_an_equal_value_is_not() {
    let nothing = trust_violations(&Setting::default(), ConfigKind::Foreign);
    let fields: Vec<&str> = nothing.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(
        fields,
        ["apiVersion", "kind", "port", "authentication.x509.clientCAFile", "tlsCertFile", "tlsPrivateKeyFile"]
    );
    let same = [
        at(&["readOnlyPort"], number("0")),
        at(&["authorization", "mode"], text("Webhook")),
        at(&["authorization", "webhook", "cacheAuthorizedTTL"], text("1m")),
        at(&["tlsMinVersion"], text("VersionTLS13")),
        at(&["address"], text("::")),
        at(&["tlsCipherSuites"], Setting::List(vec![text("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")])),
        at(&["featureGates", "NodeSwap"], Setting::Bool(true)),
    ];
    for patch in same {
        assert_eq!(trust_violations(&patch, ConfigKind::Patch), [], "{patch}");
    }
    // A text that looks like the value is a different value.
    let quoted = at(&["authentication", "anonymous", "enabled"], text("false"));
    assert_eq!(trust_violations(&quoted, ConfigKind::Patch).len(), 1);
}
