//! Pure functions that evaluate what kubelets and API servers report: configuration, flags, rights, the list of nodes.
//! [`super::checks`] turns the results into findings.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::finding::{Property, Status};
use super::observation::{Access, AccessDecision, Answer, ListedNode};
use super::redact::flag_value;
use super::remedy::{AuthenticationRemedy, AuthorizationRemedy, ConnectionRemedy, HealthRemedy, Remedy};
use super::target::Peer;
use crate::cluster::address::Address;

/// The result of an evaluation: a status with its observation and remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) status: Status,
    /// Whether the finding is only a warning, although the check's severity is an error.
    pub(super) warning_only: bool,
    pub(super) observed: String,
    pub(super) remedy: Option<Remedy>,
}

impl Judgement {
    fn new(status: Status, observed: impl Into<String>) -> Self {
        Self { status, warning_only: false, observed: observed.into(), remedy: None }
    }

    fn remedy(self, remedy: impl Into<Remedy>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// Evaluates a kubelet's configuration, an excerpt of its `/configz`; `None` if the answer is something else.
pub(super) fn kubelet(answer: &Answer) -> Option<Judgement> {
    let found: Map<String, Value> = serde_json::from_str(&answer.body).ok()?;
    let value = |path: &str| found.get(&format!("/kubeletconfig/{path}"));
    if found.keys().any(|key| !key.starts_with("/kubeletconfig/")) {
        return None;
    }
    let shown = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), ToString::to_string);
    let anonymous = value("authentication/anonymous/enabled");
    let webhook = value("authentication/webhook/enabled");
    let client_ca = value("authentication/x509/clientCAFile");
    let mode = value("authorization/mode");
    // The kubelet omits a port of 0.
    let readonly = value("readOnlyPort");
    let file = client_ca.and_then(Value::as_str).is_some_and(|file| !file.is_empty());
    let wrong = [
        (anonymous.and_then(Value::as_bool) != Some(false), "authentication.anonymous.enabled", anonymous),
        (webhook.and_then(Value::as_bool) != Some(true), "authentication.webhook.enabled", webhook),
        (!file, "authentication.x509.clientCAFile", client_ca),
        (mode.and_then(Value::as_str) != Some("Webhook"), "authorization.mode", mode),
        (readonly.is_some_and(|port| port.as_u64() != Some(0)), "readOnlyPort", readonly),
    ];
    let deviations: Vec<String> = wrong
        .iter()
        .filter(|(wrong, ..)| *wrong)
        .map(|(_, key, value)| format!("{key} is {}", shown(*value)))
        .collect();
    if deviations.is_empty() {
        let file = shown(client_ca);
        return Some(Judgement::new(Status::Pass, format!("as expected, with the client CA in {file}")));
    }
    Some(Judgement::new(Status::Warn, deviations.join("; ")).remedy(AuthenticationRemedy::KubeletSettings))
}

/// Evaluates an API server's flags, an excerpt of its `/flagz`; returns nothing if the answer is something else.
///
/// Returns one judgement, or one for each violated property. `by_restriction` is true if nodes have accounts of the
/// group `system:nodes`, which only NodeRestriction limits to their own objects.
pub(super) fn flags(answer: &Answer, by_restriction: bool) -> Vec<(Option<Property>, Judgement)> {
    let value = |flag: &str| answer.body.lines().find_map(|line| flag_value(line, flag));
    let empty = |flag: &str| value(flag).is_none_or(str::is_empty);
    let wanted = ["kubelet-certificate-authority", "client-ca-file", "anonymous-auth", "authorization-mode"];
    let absent: Vec<&str> = wanted.into_iter().filter(|flag| value(flag).is_none()).collect();
    if absent.len() == wanted.len() {
        return Vec::new();
    }
    let mut judged = Vec::new();
    let mut fails = |property, what: &str| {
        judged.push((Some(property), Judgement::new(Status::Fail, what).remedy(AuthenticationRemedy::ApiServerFlags)));
    };
    if value("kubelet-certificate-authority") == Some("") {
        fails(Property::P1ii, "--kubelet-certificate-authority is not set: no kubelet is verified");
    }
    if value("client-ca-file") == Some("") {
        fails(Property::P2iii, "--client-ca-file is not set: no client is authenticated by a certificate");
    }
    if by_restriction && restricts_nodes(answer) == Some(false) {
        let what = "--enable-admission-plugins has no NodeRestriction: each node may write the objects of others";
        fails(Property::P2iii, what);
    }
    let mut wrong = Vec::new();
    match value("anonymous-auth") {
        Some("false") | None => {}
        Some("true") if !empty("authentication-config") => {
            wrong.push("--anonymous-auth is true, unless --authentication-config restricts it".to_owned());
        }
        Some(other) => wrong.push(format!("--anonymous-auth is {other}")),
    }
    let configured = !empty("authorization-config");
    if let Some(mode) = value("authorization-mode") {
        let modes: Vec<&str> =
            mode.trim_matches(['[', ']']).split([',', ' ']).filter(|mode| !mode.is_empty()).collect();
        if modes.contains(&"AlwaysAllow") || (modes.is_empty() && !configured) {
            fails(Property::P2iii, "--authorization-mode is AlwaysAllow, which is also the default");
        }
    }
    // Only a warning: whether anonymous clients have any rights is checked by master.anonymous.
    if !wrong.is_empty() {
        let judgement = Judgement::new(Status::Warn, wrong.join("; ")).remedy(AuthenticationRemedy::ApiServerFlags);
        judged.push((Some(Property::P2iii), judgement));
    }
    if !judged.is_empty() {
        return judged;
    }
    if !absent.is_empty() {
        let observed = format!("the flags do not include {}", absent.join(", "));
        return vec![(None, Judgement::new(Status::Skipped, observed))];
    }
    let authorization = if configured { "authorization-config" } else { "authorization-mode" };
    let observed = format!(
        "--kubelet-certificate-authority={}, --client-ca-file={}, --anonymous-auth=false, --{authorization}={}",
        value("kubelet-certificate-authority").unwrap_or_default(),
        value("client-ca-file").unwrap_or_default(),
        value(authorization).unwrap_or_default(),
    );
    vec![(None, Judgement::new(Status::Pass, observed))]
}

/// Returns true if the API server runs the NodeRestriction admission plugin; `None` if unknown.
pub(super) fn restricts_nodes(answer: &Answer) -> Option<bool> {
    let plugins = |flag| answer.body.lines().find_map(|line| flag_value(line, flag));
    let named = |plugins: &str| plugins.trim_matches(['[', ']']).split([',', ' ']).any(|p| p == "NodeRestriction");
    let enabled = plugins("enable-admission-plugins").map(named);
    // The deprecated --admission-control, used in place of the newer flag, lists all plugins that run.
    if plugins("admission-control").is_some_and(named) { Some(true) } else { enabled }
}

/// Evaluates the rights of a node's account. `groups` are the account's groups; `restricted` is whether NodeRestriction
/// runs, `None` if unknown.
pub(super) fn rights(decisions: &[(Access, AccessDecision)], groups: &[String], restricted: Option<bool>) -> Judgement {
    let decisions: HashMap<Access, &AccessDecision> =
        decisions.iter().map(|(access, decision)| (*access, decision)).collect();
    let named = |list: &[Access]| list.iter().map(|access| access.as_str()).collect::<Vec<_>>().join(", ");
    let with = |wanted: &AccessDecision, list: &[Access]| -> Vec<Access> {
        list.iter()
            .copied()
            .filter(|access| decisions.get(access).is_some_and(|decision| *decision == wanted))
            .collect()
    };
    // The first seven are those that a kubelet needs.
    let lacking = with(&AccessDecision::Denied, &Access::ALL[..7]);
    let mut others = with(&AccessDecision::Allowed, &[Access::OtherStatusPatch, Access::OtherLeaseUpdate]);
    let wide = with(&AccessDecision::Allowed, &[Access::AllPodsList, Access::SecretsList]);
    // The Node authorizer allows every node's status to every node, and leaves it to the admission plugin to stop that
    // (plugin/pkg/auth/authorizer/node); admission is not part of the review.
    let left_to_admission =
        groups.iter().any(|group| group == "system:nodes") && others.contains(&Access::OtherStatusPatch);
    if left_to_admission {
        others.retain(|access| *access != Access::OtherStatusPatch);
    }
    let unclear: Vec<String> = Access::ALL
        .into_iter()
        .filter_map(|access| match decisions.get(&access) {
            Some(AccessDecision::Allowed | AccessDecision::Denied | AccessDecision::Contradictory) => None,
            Some(AccessDecision::Unclear(why)) => Some(format!("{}: {why}", access.as_str())),
            None => Some(format!("{}: not requested", access.as_str())),
        })
        .collect();
    let contradictory = with(&AccessDecision::Contradictory, &Access::ALL);
    if !contradictory.is_empty() {
        let observed = format!("both allowed and denied: {}", named(&contradictory));
        return Judgement::new(Status::Fail, observed).remedy(AuthorizationRemedy::FindContradictoryAuthorizer);
    }
    if !lacking.is_empty() || !others.is_empty() {
        let mut wrong = Vec::new();
        if !lacking.is_empty() {
            wrong.push(format!("it may not {}", named(&lacking)));
        }
        if !others.is_empty() {
            wrong.push(format!("it may {}", named(&others)));
        }
        let remedy = if others.is_empty() { AuthorizationRemedy::GrantNodes } else { AuthorizationRemedy::NarrowNodes };
        return Judgement::new(Status::Fail, wrong.join("; ")).remedy(remedy);
    }
    if let Some(first) = unclear.first() {
        let more = if unclear.len() > 1 { format!(" (and {} more)", unclear.len() - 1) } else { String::new() };
        let judgement = Judgement::new(Status::NotProven, format!("{first}{more}"));
        let late = decisions.values().any(|decision| decision.is_late());
        if decisions.values().any(|decision| decision.is_of_a_failed_authorizer()) {
            return judgement.remedy(AuthorizationRemedy::RepairAuthorizer);
        }
        return if late { judgement.remedy(ConnectionRemedy::RaiseTimeout) } else { judgement };
    }
    if !wide.is_empty() {
        let judgement = Judgement::new(Status::Warn, format!("it may {}", named(&wide)));
        let judgement = judgement.remedy(AuthorizationRemedy::NarrowReads);
        return Judgement { warning_only: true, ..judgement };
    }
    if left_to_admission && restricted == Some(false) {
        let observed = "it may patch another node's status: the NodeRestriction admission plugin does not run";
        return Judgement::new(Status::Fail, observed).remedy(AuthorizationRemedy::EnableNodeRestriction);
    }
    if left_to_admission && restricted.is_none() {
        let observed = "it may patch another node's status, unless the NodeRestriction admission plugin runs, which cannot \
                        be seen from here";
        let judgement = Judgement::new(Status::Warn, observed).remedy(AuthorizationRemedy::CheckNodeRestriction);
        return Judgement { warning_only: true, ..judgement };
    }
    let observed = if left_to_admission { "it has; NodeRestriction restricts it to its own status" } else { "it has" };
    Judgement::new(Status::Pass, observed)
}

/// Compares each node of the target, in the target's order, with the API server's list of nodes.
///
/// The second result is about listed nodes that the target does not have; `None` if there are none.
pub(super) fn listed(nodes: &[Peer], list: &[ListedNode]) -> (Vec<Judgement>, Option<Judgement>) {
    let by_name: BTreeMap<&str, &ListedNode> = list.iter().map(|node| (node.name.as_str(), node)).collect();
    let judge = |node: &Peer| match by_name.get(node.name.as_str()) {
        None => {
            Judgement::new(Status::Warn, "the API server lists no node of this name").remedy(HealthRemedy::RegisterNode)
        }
        Some(listed) => addresses(node, listed),
    };
    let known: BTreeSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let extra: Vec<&str> = by_name.keys().copied().filter(|name| !known.contains(name)).collect();
    let more = (!extra.is_empty()).then(|| {
        let rest = extra.len().saturating_sub(5);
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let names: Vec<&str> = extra.iter().take(5).copied().collect();
        let observed = format!("the API server also lists {}{rest}", names.join(", "));
        Judgement::new(Status::Warn, observed).remedy(HealthRemedy::ListNodes)
    });
    (nodes.iter().map(judge).collect(), more)
}

/// Compares a node's declared addresses with those that the API server lists, by type.
fn addresses(node: &Peer, listed: &ListedNode) -> Judgement {
    let of = |kinds: &[&str]| -> BTreeSet<Address> {
        let wanted = listed.addresses.iter().filter(|(kind, _)| kinds.contains(&kind.as_str()));
        wanted.filter_map(|(_, address)| Address::parse(address).ok()).collect()
    };
    let all = of(&["InternalIP", "ExternalIP", "InternalDNS", "ExternalDNS", "Hostname"]);
    let internal = of(&["InternalIP"]);
    let text = |addresses: &[&Address]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    // A kubelet reports one address of each family (--node-ip).
    let first = |v4| node.addresses.iter().find(move |address| address.ip().is_some_and(|ip| ip.is_ipv4() == v4));
    let missing: Vec<&Address> =
        [first(true), first(false)].into_iter().flatten().filter(|a| !all.contains(a)).collect();
    let extra: Vec<&Address> = internal.iter().filter(|address| !node.addresses.contains(address)).collect();
    let mut wrong = Vec::new();
    if !missing.is_empty() {
        wrong.push(format!("the API server does not list {}", text(&missing)));
    }
    if !extra.is_empty() {
        wrong.push(format!("it dials {}, which is not among the declared addresses", text(&extra)));
    }
    if wrong.is_empty() {
        let known: Vec<&Address> = all.iter().collect();
        return Judgement::new(Status::Pass, text(&known));
    }
    Judgement::new(Status::Warn, wrong.join("; ")).remedy(HealthRemedy::CorrectAddresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::observation::Request;
    use crate::verify::redact::kept;

    fn answer(body: &str) -> Answer {
        Answer { status: 200, version: "HTTP/2.0".into(), content_type: None, body: body.into(), truncated: false }
    }

    fn config(change: impl Fn(&mut Value)) -> Option<Judgement> {
        let mut config = serde_json::json!({
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
        });
        change(&mut config);
        let body = serde_json::json!({"kubeletconfig": config}).to_string();
        kubelet(&answer(&kept(Request::Configz, 200, &body)))
    }

    #[test]
    fn every_setting_of_a_kubelet_counts() {
        assert_eq!(config(|_| ()).expect("judged").status, Status::Pass);
        assert_eq!(config(|c| c["readOnlyPort"] = 0.into()).expect("judged").status, Status::Pass);
        type Change = fn(&mut Value);
        let changes: [(Change, &str); 7] = [
            (|c| c["authentication"]["anonymous"]["enabled"] = true.into(), "anonymous.enabled is true"),
            (|c| c["authentication"]["anonymous"] = Value::Null, "anonymous.enabled is not set"),
            (|c| c["authentication"]["webhook"]["enabled"] = false.into(), "webhook.enabled is false"),
            (|c| c["authentication"]["x509"] = Value::Null, "clientCAFile is not set"),
            (|c| c["authorization"]["mode"] = "AlwaysAllow".into(), "authorization.mode is \"AlwaysAllow\""),
            (|c| c["readOnlyPort"] = 10255.into(), "readOnlyPort is 10255"),
            (|c| c["readOnlyPort"] = "0".into(), "readOnlyPort is \"0\""),
        ];
        for (change, observed) in changes {
            let judged = config(change).expect("judged");
            assert!(judged.status == Status::Warn && judged.observed.contains(observed), "{observed}: {judged:?}");
        }
        for other in ["", "{}x", "[1]", "<html>", r#"{"kind":"Status"}"#] {
            assert_eq!(kubelet(&answer(&kept(Request::Configz, 200, other))), None, "{other}");
        }
    }

    #[test]
    fn every_flag_of_an_api_server_counts() {
        const GOOD: &str = "anonymous-auth: false\nauthentication-config: \nauthorization-config: authz.yaml\n\
                            authorization-mode: []\nclient-ca-file: ca.crt\nkubelet-certificate-authority: ca.crt\n\
                            enable-admission-plugins: []\n";
        let judged = |text: &str, by_restriction| {
            let found = flags(&answer(&kept(Request::Flagz, 200, text)), by_restriction);
            found.into_iter().map(|(property, judgement)| (property, judgement.status)).collect::<Vec<_>>()
        };
        assert_eq!(judged(GOOD, false), [(None, Status::Pass)]);
        for separator in [":", "=", " "] {
            assert_eq!(judged(&GOOD.replace(": ", separator), false), [(None, Status::Pass)], "{separator:?}");
        }
        assert_eq!(judged(&GOOD.replace("[]", "[Node,RBAC]"), false), [(None, Status::Pass)]);
        let changes = [
            ("kubelet-certificate-authority: ca.crt", "kubelet-certificate-authority: ", Property::P1ii, Status::Fail),
            ("client-ca-file: ca.crt", "client-ca-file: ", Property::P2iii, Status::Fail),
            ("anonymous-auth: false", "anonymous-auth: true", Property::P2iii, Status::Warn),
            ("authorization-config: authz.yaml", "authorization-config: ", Property::P2iii, Status::Fail),
            ("authorization-mode: []", "authorization-mode: [Node,AlwaysAllow]", Property::P2iii, Status::Fail),
        ];
        for (from, to, property, status) in changes {
            assert_eq!(judged(&GOOD.replace(from, to), false), [(Some(property), status)], "{to}");
        }
        // NodeRestriction is read from the flags. Without that flag its state is unknown.
        assert_eq!(judged(GOOD, true), [(Some(Property::P2iii), Status::Fail)]);
        assert_eq!(judged(&GOOD.replace("plugins: []", "plugins: [NodeRestriction]"), true), [(None, Status::Pass)]);
        assert_eq!(judged(&GOOD.replace("enable-admission-plugins: []\n", ""), true), [(None, Status::Pass)]);
        assert_eq!(judged("anonymous-auth: false\nauthorization-mode: [RBAC]\n", false), [(None, Status::Skipped)]);
        assert_eq!(judged("<html>no flags</html>", false), []);
        let restricts = |text: &str| restricts_nodes(&answer(text));
        assert_eq!(restricts("enable-admission-plugins: [NodeRestriction]"), Some(true));
        assert_eq!(restricts("enable-admission-plugins: []"), Some(false));
        assert_eq!(restricts("enable-admission-plugins: [NoNodeRestriction]"), Some(false));
        assert_eq!(restricts("enable-admission-plugins: []\nadmission-control: [NodeRestriction]"), Some(true));
        assert_eq!(restricts("anonymous-auth: false"), None);
    }

    fn decided(change: &[(Access, AccessDecision)]) -> Vec<(Access, AccessDecision)> {
        let good = Access::ALL
            .into_iter()
            .enumerate()
            .map(|(i, access)| (access, if i < 7 { AccessDecision::Allowed } else { AccessDecision::Denied }));
        let changed = |(access, decision)| {
            let other = change.iter().find(|(other, _)| *other == access);
            (access, other.map_or(decision, |(_, decision)| decision.clone()))
        };
        good.map(changed).collect()
    }

    #[test]
    fn too_little_and_others_fail_and_wide_reads_warn() {
        let kubelets = ["kubelets".to_owned()];
        let judge = |change: &[(Access, AccessDecision)]| rights(&decided(change), &kubelets, None);
        assert_eq!(judge(&[]).status, Status::Pass);
        for access in Access::ALL {
            let wrong =
                if Access::ALL[..7].contains(&access) { AccessDecision::Denied } else { AccessDecision::Allowed };
            let judged = judge(&[(access, wrong)]);
            let wide = matches!(access, Access::AllPodsList | Access::SecretsList);
            assert_eq!(judged.status, if wide { Status::Warn } else { Status::Fail }, "{access:?}");
            assert!(judged.observed.contains(access.as_str()) && judged.warning_only == wide, "{judged:?}");
            assert_eq!(judge(&[(access, AccessDecision::Contradictory)]).status, Status::Fail, "{access:?}");
            let judged = judge(&[(access, AccessDecision::Unclear("500 without a review".into()))]);
            assert_eq!(judged.status, Status::NotProven, "{access:?}");
        }
        assert_eq!(rights(&[], &kubelets, None).status, Status::NotProven);
        assert_eq!(rights(&decided(&[])[..10], &kubelets, None).status, Status::NotProven);
    }

    #[test]
    fn requests_left_to_admission_are_not_failures_of_the_node_authorizer() {
        let nodes = ["system:nodes".to_owned()];
        let status = decided(&[(Access::OtherStatusPatch, AccessDecision::Allowed)]);
        assert_eq!(rights(&status, &nodes, Some(true)).status, Status::Pass);
        let unseen = rights(&status, &nodes, None);
        assert_eq!((unseen.status, unseen.warning_only), (Status::Warn, true));
        let off = rights(&status, &nodes, Some(false));
        assert_eq!((off.status, off.warning_only), (Status::Fail, false));
        assert_eq!(
            rights(&decided(&[(Access::OtherLeaseUpdate, AccessDecision::Allowed)]), &nodes, Some(true)).status,
            Status::Fail
        );
    }
}
