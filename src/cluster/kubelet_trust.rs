//! What a kubelet's trust rests on in its configuration: one table of fields, what each has to be, and which property falls
//! when it is something else. Mode by it are the admin's own settings, what a template made, and what lies on hosts.

use std::fmt;

use super::duration::in_seconds;
use super::kubelet_setting::Setting;

/// A field that trust rests on.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    path: &'static [&'static str],
    may_be: MayBe,
    /// The property that falls: `1.iii`.
    pub property: &'static str,
    /// What happens then.
    pub why: &'static str,
    /// What is possible instead.
    pub instead: &'static str,
}

/// What a field may be without undoing trust. Kubernetes's defaults are good, so that a field may always be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MayBe {
    Bool(bool),
    Number(&'static str),
    OneOf(&'static [&'static str]),
    /// A list of some of these.
    SomeOf(&'static [&'static str]),
    /// What clusterctl itself writes there, and nobody else.
    Ours(Own),
    /// A duration of at most so many seconds.
    AtMost(u32),
    /// Not there at all.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Port,
    ClientAuthority,
    Certificate,
    Key,
}

/// What clusterctl itself writes into a kubelet's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Ours<'a> {
    /// Where the node is dialled.
    pub port: u16,
    /// Where the cluster's root lies on the host.
    pub client_authority: &'a str,
    /// Where the certificate lies that the kubelet shows.
    pub certificate: &'a str,
    /// Where its key lies.
    pub key: &'a str,
}

/// TLS 1.2 with ECDHE and AEAD, and all of TLS 1.3, as Go calls them (`crypto/tls`; two have an older name in Kubernetes).
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

const LEAVE_OUT: &str = "leave it out";

const RULES: &[Rule] = &[
    Rule {
        path: &["apiVersion"],
        may_be: MayBe::OneOf(&["kubelet.config.k8s.io/v1beta1"]),
        property: "1.iii",
        why: "in another version the fields of trust may mean something else",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["kind"],
        may_be: MayBe::OneOf(&["KubeletConfiguration"]),
        property: "1.iii",
        why: "another kind of object says nothing of trust",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["enableServer"],
        may_be: MayBe::Bool(true),
        property: "1.i",
        why: "the masters find nobody there",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["address"],
        // Go listens on both families for either.
        may_be: MayBe::OneOf(&["0.0.0.0", "::"]),
        property: "1.i",
        why: "the kubelet does not listen at every address that the cluster file gives it",
        instead: "leave it out, and list in addresses: where the node is dialled",
    },
    Rule {
        path: &["port"],
        may_be: MayBe::Ours(Own::Port),
        property: "1.i",
        why: "the masters dial another port",
        instead: "say kubeletPort: at the node",
    },
    Rule {
        path: &["readOnlyPort"],
        may_be: MayBe::Number("0"),
        property: "1.iii",
        why: "the read-only port is open to everybody",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["authentication", "anonymous", "enabled"],
        may_be: MayBe::Bool(false),
        property: "1.iii",
        why: "anonymous callers are let in",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["authentication", "webhook", "enabled"],
        may_be: MayBe::Bool(true),
        property: "1.iii",
        why: "tokens are not reviewed",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["authentication", "x509", "clientCAFile"],
        may_be: MayBe::Ours(Own::ClientAuthority),
        property: "1.iii",
        why: "not the clients of this cluster's root are believed",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["authorization", "mode"],
        may_be: MayBe::OneOf(&["Webhook"]),
        property: "1.iii",
        why: "the API server is not asked who may do what",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["authentication", "webhook", "cacheTTL"],
        may_be: MayBe::AtMost(300),
        property: "1.iii",
        why: "a token that was taken back is believed for as long",
        instead: "say 5m or less",
    },
    Rule {
        path: &["authorization", "webhook", "cacheAuthorizedTTL"],
        may_be: MayBe::AtMost(300),
        property: "1.iii",
        why: "whoever was revoked is let in for as long",
        instead: "say 5m or less",
    },
    Rule {
        path: &["tlsCertFile"],
        may_be: MayBe::Ours(Own::Certificate),
        property: "1.ii",
        why: "the kubelet shows another certificate than this cluster's root signed for it",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["tlsPrivateKeyFile"],
        may_be: MayBe::Ours(Own::Key),
        property: "1.ii",
        why: "the kubelet has no key for the certificate that it is to show",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["tlsMinVersion"],
        may_be: MayBe::OneOf(&["VersionTLS12", "VersionTLS13"]),
        property: "1.ii",
        why: "whoever listens in between can break older TLS",
        instead: "say VersionTLS12 or VersionTLS13",
    },
    Rule {
        path: &["tlsCipherSuites"],
        may_be: MayBe::SomeOf(SUITES),
        property: "1.ii",
        why: "a suite without ECDHE and AEAD can be broken by whoever listens in between",
        instead: "take suites such as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    },
    Rule {
        path: &["serverTLSBootstrap"],
        may_be: MayBe::Bool(false),
        property: "1.ii",
        why: "the kubelet asks somebody else for the certificate that it shows",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["rotateCertificates"],
        may_be: MayBe::Bool(false),
        property: "2.iii",
        why: "the kubelet asks somebody else for its account's certificate, which the ledger does not know",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["staticPodURL"],
        may_be: MayBe::Nothing,
        property: "2.ii",
        why: "the kubelet takes work from whoever answers there, past the API server",
        instead: "use staticPodPath",
    },
    Rule {
        path: &["staticPodURLHeader"],
        may_be: MayBe::Nothing,
        property: "2.ii",
        why: "the kubelet takes work from whoever answers there, past the API server",
        instead: "use staticPodPath",
    },
    Rule {
        path: &["featureGates", "KubeletFineGrainedAuthz"],
        may_be: MayBe::Bool(true),
        property: "1.iii",
        why: "who only reads pods needs nodes/proxy then, which is the right to run commands in all of them",
        instead: LEAVE_OUT,
    },
    Rule {
        path: &["featureGates", "AllAlpha"],
        may_be: MayBe::Bool(false),
        property: "1.iii",
        why: "it turns on what nobody named, and with it perhaps who is let in",
        instead: "name the gates that you mean",
    },
    Rule {
        path: &["featureGates", "AllBeta"],
        may_be: MayBe::Bool(true),
        property: "1.iii",
        why: "it turns off what nobody named, and with it who is let in",
        instead: "name the gates that you mean",
    },
];

/// A rule that is broken, and by what.
#[derive(Debug, PartialEq, Eq)]
pub struct TrustViolation {
    /// The field: `authentication.anonymous.enabled`, or the mapping around it that is missing.
    pub field: String,
    /// What stands there.
    pub seen: String,
    /// The rule.
    pub rule: &'static Rule,
}

impl fmt::Display for TrustViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen: String = self.seen.chars().take(80).collect();
        write!(f, "{} is {seen:?}: {}", self.field, self.rule)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it would undo property {}: {}; {}", self.property, self.why, self.instead)
    }
}

/// What is mode.
#[derive(Debug, Clone, Copy)]
pub enum Mode<'a> {
    /// Settings that are merged over what clusterctl writes, which has each field of trust.
    Patch,
    /// A whole configuration that clusterctl hands out, and what it has to say.
    Ours(&'a Ours<'a>),
    /// A whole configuration from somewhere.
    Found,
}

/// Which rules `settings` break: by what they say, by what they take away, and, where they are whole, by what is missing.
#[must_use]
pub fn trust_violations(settings: &Setting, mode: Mode<'_>) -> Vec<TrustViolation> {
    let mut found: Vec<TrustViolation> = Vec::new();
    for rule in RULES {
        let Some((field, seen)) = rule.breaks(settings, mode) else { continue };
        // Where a mapping is taken away, it is told once.
        if !found.iter().any(|earlier| earlier.field == field) {
            found.push(TrustViolation { field, seen, rule });
        }
    }
    found
}

impl Rule {
    /// The whole path, with dots.
    #[must_use]
    pub fn field(&self) -> String {
        self.path.join(".")
    }

    /// The field and its value, where it is not what it may be.
    fn breaks(&self, settings: &Setting, mode: Mode<'_>) -> Option<(String, String)> {
        let whole = !matches!(mode, Mode::Patch);
        let mut here = settings;
        for (depth, key) in self.path.iter().enumerate() {
            match here.get(key) {
                None | Some(Setting::Null) if whole => {
                    return self.has_to_be_said().then(|| (self.field(), "nothing".to_owned()));
                }
                None => return None,
                // What is taken away gets Kubernetes's default.
                Some(Setting::Null) => {
                    return self.has_to_be_said().then(|| (self.path[..=depth].join("."), "null".to_owned()));
                }
                Some(value) => here = value,
            }
        }
        (!self.allows(here, mode)).then(|| (self.field(), here.to_string()))
    }

    /// True where Kubernetes's own default would not do.
    fn has_to_be_said(&self) -> bool {
        matches!(self.may_be, MayBe::Ours(_)) || ["apiVersion", "kind"].contains(&self.path[0])
    }

    fn allows(&self, value: &Setting, mode: Mode<'_>) -> bool {
        match (self.may_be, value) {
            (MayBe::Bool(wanted), Setting::Bool(found)) => wanted == *found,
            (MayBe::Number(wanted), Setting::Number(found)) => wanted == found,
            (MayBe::OneOf(texts), Setting::Text(found)) => texts.contains(&found.as_str()),
            (MayBe::SomeOf(texts), Setting::List(found)) => {
                found.iter().all(|item| matches!(item, Setting::Text(text) if texts.contains(&text.as_str())))
            }
            (MayBe::AtMost(seconds), Setting::Text(found)) => {
                in_seconds(found).is_some_and(|d| d <= f64::from(seconds))
            }
            (MayBe::Ours(own), found) => match mode {
                Mode::Patch => false,
                Mode::Ours(ours) => ours.value(own) == *found,
                Mode::Found => matches!(found, Setting::Number(text) | Setting::Text(text) if !text.is_empty()),
            },
            _ => false,
        }
    }
}

impl Ours<'_> {
    fn value(&self, own: Own) -> Setting {
        match own {
            Own::Port => Setting::Number(self.port.to_string()),
            Own::ClientAuthority => Setting::Text(self.client_authority.to_owned()),
            Own::Certificate => Setting::Text(self.certificate.to_owned()),
            Own::Key => Setting::Text(self.key.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Ours<'_> =
        Ours { port: 10250, client_authority: "/ca.crt", certificate: "/kubelet.crt", key: "/kubelet.key" };

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

    fn ours() -> Setting {
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

    /// What breaks each rule, alone, with the property that falls.
    fn faults() -> Vec<(&'static [&'static str], Setting, &'static str)> {
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
    fn every_rule_is_broken_by_its_own_fault_alone_wherever_it_stands() {
        assert_eq!(faults().len(), RULES.len(), "each rule has its fault here");
        assert_eq!(trust_violations(&ours(), Mode::Ours(&OURS)), []);
        assert_eq!(trust_violations(&ours(), Mode::Found), []);
        for (path, value, property) in faults() {
            let fault = at(path, value);
            let whole = ours().merged(&fault);
            for found in [trust_violations(&fault, Mode::Patch), trust_violations(&whole, Mode::Ours(&OURS))] {
                let [one] = found.as_slice() else { panic!("{path:?}: {found:?}") };
                assert_eq!((one.field.as_str(), one.rule.property), (path.join(".").as_str(), property));
            }
        }
    }

    #[test]
    fn what_takes_a_field_of_ours_away_is_told_once() {
        let taken = |path: &[&str]| {
            let found = trust_violations(&at(path, Setting::Null), Mode::Patch);
            found.into_iter().map(|undone| (undone.field, undone.seen)).collect::<Vec<_>>()
        };
        let told = |field: &str| vec![(field.to_owned(), "null".to_owned())];
        assert_eq!(taken(&["authentication"]), told("authentication"));
        assert_eq!(taken(&["authentication", "x509"]), told("authentication.x509"));
        assert_eq!(taken(&["port"]), told("port"));
        assert_eq!(taken(&["tlsCertFile"]), told("tlsCertFile"));
        // Kubernetes's own defaults are as good.
        assert_eq!(taken(&["authorization"]), []);
        assert_eq!(taken(&["authentication", "anonymous"]), []);
        assert_eq!(taken(&["maxPods"]), []);
    }

    #[test]
    fn what_is_missing_in_a_whole_configuration_is_told_and_what_says_the_same_is_fine() {
        let nothing = trust_violations(&Setting::default(), Mode::Found);
        let fields: Vec<&str> = nothing.iter().map(|undone| undone.field.as_str()).collect();
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
            assert_eq!(trust_violations(&patch, Mode::Patch), [], "{patch}");
        }
        // A text that looks like the right value is another value.
        let quoted = at(&["authentication", "anonymous", "enabled"], text("false"));
        assert_eq!(trust_violations(&quoted, Mode::Patch).len(), 1);
    }
}
