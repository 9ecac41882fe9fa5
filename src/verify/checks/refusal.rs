//! Callers who have to be refused. That proves something only where another is let in.

use std::sync::Arc;

use super::super::finding::{Aspect, Cause, CheckId, Finding, Status};
use super::super::observation::{self, Answer, Caller, Dial, Exchange, Outcome, Request};
use super::super::remedy::{AuthenticationRemedy, AuthorizationRemedy, ConnectionRemedy, Program, Remedy};
use super::super::target::Place;
use super::answer::{asked_and_said, is_kubernetes_status, requested, who, with_more_time};
use super::api_server::read_review;
use super::judge::CheckContext;
use super::location::{Location, expectation};
use super::naming::{Named, named};

impl CheckContext<'_> {
    /// A caller who has to be refused, in every request that it made: the exchange at the place `at` among those of `dial`.
    pub(super) fn refusal(&mut self, spot: &Location<'_>, dial: &Dial, at: usize, rightful: Rightful) -> Finding {
        let exchange = &dial.exchanges[at];
        let presented = match exchange.caller {
            Caller::Untrusted(_) => self.presented_names(dial),
            _ => Vec::new(),
        };
        let first = self.first_refusal(spot, exchange, at, (rightful, &presented));
        let mut finding = with_more_time(first, &exchange.outcome);
        // What was not said by this cluster's server says nothing of it.
        if finding.because_of.as_ref().is_some_and(|cause| cause.id == CheckId::at(spot.place, Aspect::Chain)) {
            return finding;
        }
        if finding.status == Status::Pass
            && matches!(exchange.caller, Caller::Untrusted(_))
            && exchange.presented.is_none()
        {
            finding.status = Status::NotProven;
            finding
                .observed
                .push_str(", but the server takes signatures of no key here, so that no certificate was presented");
        }
        for further in &exchange.more {
            if finding.status == Status::Fail {
                break;
            }
            let mut said = requested(further.request, &further.outcome);
            let answer = match self.proven_by(&further.shown) {
                Err(reason) if !further.shown.is_empty() => {
                    said = format!("{said}, but {reason}");
                    Further::Unclear
                }
                _ => self.further_refusal(&exchange.caller, &exchange.outcome, further, &presented),
            };
            match answer {
                Further::Refused => {}
                Further::Open => {
                    finding.status = Status::Fail;
                    finding.observed = format!("{}; then {said}", finding.observed);
                    finding.remedy = Some(refuse_all(spot.place, finding.id.1));
                }
                Further::Authenticated(user) => {
                    finding.status = Status::Fail;
                    finding.observed = format!("{}; then {said}: it was authenticated as {user}", finding.observed);
                    finding.remedy = Some(trust_one_ca(spot.place));
                }
                Further::Repeats(name) if finding.status == Status::Pass => {
                    finding.status = Status::NotProven;
                    finding.observed = format!("{}; then {said}{}", finding.observed, repeated(&name));
                    finding.remedy = Some(trust_one_ca(spot.place));
                }
                Further::Unclear if finding.status == Status::Pass => {
                    finding.status = Status::NotProven;
                    finding.observed = format!("{}; then {said}", finding.observed);
                    finding = with_more_time(finding, &further.outcome);
                }
                Further::Repeats(_) | Further::Unclear => {}
            }
        }
        finding
    }

    /// What a request after the first one comes to. `first` was the answer to that.
    fn further_refusal(
        &self,
        caller: &Caller,
        first: &Outcome,
        further: &observation::Further,
        presented: &[String],
    ) -> Further {
        let answer = match &further.outcome {
            Outcome::Answer(answer) => answer,
            Outcome::Alert(_) | Outcome::Closed | Outcome::Reset => return Further::Refused,
            _ => return Further::Unclear,
        };
        let authenticated = |user: String| {
            if self.may_be_named(caller, &user) { Further::Refused } else { Further::Authenticated(user) }
        };
        match answer.status {
            // Whom it takes a client for is a question that an unauthenticated client may be allowed.
            200..300 if matches!(further.request, Request::WhoAmI | Request::WhoAmIByHeader) => {
                match read_review(answer) {
                    Some(review) if review.user == ANONYMOUS => {
                        review.more_than_anonymous().map_or(Further::Refused, Further::Authenticated)
                    }
                    Some(review) => authenticated(review.user),
                    None => Further::Unclear,
                }
            }
            200..300 => Further::Open,
            status => match (named(answer, presented), first) {
                (Named::User(user), _) => authenticated(user),
                (Named::Mentioned(name), _) => Further::Repeats(name),
                (Named::Nobody, Outcome::Answer(first)) if first.status == status => Further::Refused,
                // Where nothing is, nothing is shown.
                _ if matches!(status, 401 | 403 | 404 | 405) => Further::Refused,
                _ => Further::Unclear,
            },
        }
    }

    fn first_refusal(
        &mut self,
        spot: &Location<'_>,
        exchange: &Exchange,
        at: usize,
        (rightful, presented): (Rightful, &[String]),
    ) -> Finding {
        let aspect = match exchange.caller {
            Caller::Untrusted(_) => Aspect::Untrusted,
            Caller::OtherNode(_) => Aspect::OtherNode,
            _ => Aspect::Anonymous,
        };
        let expected = expectation(spot.place, aspect);
        let observed = asked_and_said(exchange);
        let mut finding = spot.finding(aspect, Status::NotProven).saw(observed, expected);
        finding.caller = who(&exchange.caller);
        finding.elapsed_ms = exchange.elapsed_ms;
        if let Outcome::NoCredential(_) = exchange.outcome {
            finding.status = Status::Skipped;
            return finding;
        }
        // A refusal in the handshake may come before any certificate; what does show one has to show the right one.
        let answered = matches!(exchange.outcome, Outcome::Answer(_));
        if (answered || !exchange.shown.is_empty())
            && let Err(reason) = self.proven(exchange)
        {
            finding.observed = format!("{}, but {reason}", finding.observed);
            finding.because_of = Some(spot.cause(Aspect::Chain));
            return finding;
        }
        if let Outcome::Answer(answer) = &exchange.outcome
            && !(200..300).contains(&answer.status)
        {
            match named(answer, presented) {
                Named::User(user) if !self.may_be_named(&exchange.caller, &user) => {
                    finding.status = Status::Fail;
                    finding.observed = format!("{}: it was authenticated as {user}", finding.observed);
                    return finding.remedy(trust_one_ca(spot.place));
                }
                Named::Mentioned(name) => {
                    finding.observed.push_str(&repeated(&name));
                    return finding.remedy(trust_one_ca(spot.place));
                }
                Named::User(_) | Named::Nobody => {}
            }
        }
        let refused = match &exchange.outcome {
            Outcome::Answer(answer) if (200..300).contains(&answer.status) => {
                finding.status = Status::Fail;
                return finding.remedy(refuse_all(spot.place, aspect));
            }
            Outcome::Answer(answer) => match by_answer(spot.place, answer, rightful) {
                Refusal::Proven => true,
                Refusal::NoProof(why) => {
                    finding.observed.push_str(why);
                    finding.because_of = rightful.to_blame(spot);
                    // With a key that is not here it might have been proven.
                    if rightful.keyless {
                        finding.status = Status::Skipped;
                    }
                    return finding;
                }
                // nginx's and others' way of refusing a certificate. It may hold for one path alone.
                Refusal::None if answer.status == 400 => return finding.remedy(bypass_proxy(spot.place)),
                Refusal::None => false,
            },
            Outcome::Alert(alert) => refuses(alert),
            Outcome::Closed | Outcome::Reset => match rightful.best {
                Positive::Accepted | Positive::Forbidden if rightful.last.is_none_or(|last| last < at) => {
                    finding.observed.push_str(", but nobody else was let in afterwards: it may hang up on everybody");
                    return finding;
                }
                Positive::Answered => {
                    finding.observed.push_str(NO_YES);
                    finding.because_of = rightful.to_blame(spot);
                    return finding;
                }
                _ => true,
            },
            _ => false,
        };
        if !refused {
            return finding;
        }
        match rightful.best {
            Positive::Accepted | Positive::Forbidden | Positive::Answered => finding.status = Status::Pass,
            Positive::Untried => {
                finding.status = Status::Skipped;
                finding.observed.push_str(", but there is no key here for a call that should be accepted");
                finding.because_of = rightful.to_blame(spot);
            }
            Positive::Failed => {
                finding.observed.push_str(", but the rightful caller is not accepted either");
                finding.because_of = rightful.to_blame(spot);
            }
        }
        finding
    }
}

impl CheckContext<'_> {
    /// Returns the names that untrusted clients present: those of the rightful clients, and of an administrator.
    fn presented_names(&mut self, dial: &Dial) -> Vec<String> {
        let by_right = |exchange: &&Exchange| matches!(exchange.caller, Caller::Master(_) | Caller::Node(_));
        let mut names: Vec<String> = PRESENTED.map(str::to_owned).into();
        for presented in dial.exchanges.iter().filter(by_right).filter_map(|exchange| exchange.presented) {
            let read = self.certificate_of(&presented);
            let Some(Ok(certificate)) = read.as_deref() else { continue };
            let subject = &certificate.subject;
            for name in subject.common_names.iter().chain(&subject.organizations) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        names
    }

    /// Whether a refusal of `caller` may name `user`. A client that nobody vouches for is at most `system:anonymous`; another
    /// node is itself.
    fn may_be_named(&self, caller: &Caller, user: &str) -> bool {
        let own = match caller {
            Caller::OtherNode(name) => match self.nodes.get(name.as_str()).and_then(|node| node.account.as_ref()) {
                Some(account) => Some(account.user.as_str()),
                // Without an account to compare with nothing follows from a name.
                None => return true,
            },
            _ => None,
        };
        user == ANONYMOUS || own == Some(user)
    }
}

/// Whom Kubernetes takes a client for that it does not know.
pub(super) const ANONYMOUS: &str = "system:anonymous";

/// What untrusted clients present as administrators, and the group of every client that was authenticated.
const PRESENTED: [&str; 3] = ["kubernetes-admin", "system:masters", "system:authenticated"];

fn repeated(name: &str) -> String {
    format!(", but that repeats {name} out of the certificate, which may have been believed")
}

fn trust_one_ca(place: Place) -> Remedy {
    AuthenticationRemedy::TrustOneClientCa { program: Program::at(place) }.into()
}

/// What a request after a caller's first one comes to.
enum Further {
    /// It was refused.
    Refused,
    /// It was answered with data.
    Open,
    /// The caller was taken for this user.
    Authenticated(String),
    /// It was refused in words that have this name in them, which the client's certificate has.
    Repeats(String),
    /// Nothing follows from what came.
    Unclear,
}

/// What an answer is worth as a refusal.
enum Refusal {
    /// It is one, where anybody is let in at all.
    Proven,
    /// It looks like one; why it is none.
    NoProof(&'static str),
    /// It is none.
    None,
}

fn by_answer(place: Place, answer: &Answer, rightful: Rightful) -> Refusal {
    if !matches!(answer.status, 401 | 403) {
        return Refusal::None;
    }
    match rightful.best {
        // Where the rightful caller's own certificate gets no more than 403, another's 403 says nothing.
        Positive::Forbidden if answer.status == 403 => Refusal::NoProof(", as the rightful caller is"),
        Positive::Answered => Refusal::NoProof(NO_YES),
        // Masters are asked for the nodes, which a node may not list: that the refusal is the API server's and not of
        // something in front of this path, its words have to tell.
        _ if place != Place::Node && !rightful.same_path && !is_kubernetes_status(answer) => {
            Refusal::NoProof(", in words that are not Kubernetes's")
        }
        _ => Refusal::Proven,
    }
}

const NO_YES: &str = ", but the rightful caller got no answer that means yes";

/// The calls that should be accepted, all together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rightful {
    /// The best that became of one.
    best: Positive,
    /// Whether it was accepted where the others are refused.
    same_path: bool,
    /// No key is here of those whose right it is; the verifier, at best, is known.
    keyless: bool,
    /// The last that was accepted, or recognised, among the exchanges of its dial.
    last: Option<usize>,
}

impl Rightful {
    pub(super) fn none() -> Self {
        Self { best: Positive::Untried, same_path: false, keyless: true, last: None }
    }

    /// The check of those calls, where none was accepted.
    fn to_blame(self, spot: &Location<'_>) -> Option<Arc<Cause>> {
        (self.best != Positive::Accepted).then(|| spot.cause(Aspect::Caller))
    }

    /// Takes one more into account: who called, what became of it, whether it asked for what others are refused, and its
    /// place.
    pub(super) fn add(&mut self, caller: &Caller, positive: Positive, same_path: bool, at: usize) {
        self.keyless &= *caller == Caller::Verifier || positive == Positive::Untried;
        self.best = self.best.max(positive);
        self.same_path |= same_path && positive == Positive::Accepted;
        if matches!(positive, Positive::Accepted | Positive::Forbidden) {
            self.last = self.last.max(Some(at));
        }
    }
}

/// What became of a call that should be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Positive {
    /// There was no key to call with.
    Untried,
    /// None was accepted.
    Failed,
    /// The caller got some answer that is neither a yes nor a refusal: a 404, an answer that is not Kubernetes's. It was
    /// let in as far as that: beyond the handshake, and no further.
    Answered,
    /// The caller was recognised, and forbidden.
    Forbidden,
    /// One was accepted.
    Accepted,
}

/// What an answer that is neither yes nor a refusal comes to. A server in trouble has let nobody in.
pub(super) fn at_least_answered(answer: &Answer) -> Positive {
    if matches!(answer.status, 200..300 | 404) { Positive::Answered } else { Positive::Failed }
}

/// An alert that speaks of the client's certificate (RFC 8446 § 6.2, RFC 5246 § 7.2.2). In TLS 1.2 a missing one may be
/// met by `handshake_failure`; OpenSSL calls a signature that is not the issuer's `decrypt_error`.
pub(super) fn refuses(alert: &str) -> bool {
    const SPEAKING: [&str; 11] = [
        "NoCertificate",
        "BadCertificate",
        "UnsupportedCertificate",
        "CertificateRevoked",
        "CertificateExpired",
        "CertificateUnknown",
        "UnknownCA",
        "AccessDenied",
        "DecryptError",
        "HandshakeFailure",
        "CertificateRequired",
    ];
    SPEAKING.iter().any(|speaking| alert.eq_ignore_ascii_case(speaking))
}

/// Returns the remedy for a response that is not the program's own.
pub(super) fn bypass_proxy(place: Place) -> Remedy {
    ConnectionRemedy::BypassProxy { program: Program::at(place) }.into()
}

/// Returns the remedy where a client was accepted that has to be refused.
fn refuse_all(place: Place, aspect: Aspect) -> Remedy {
    match (place, aspect) {
        (Place::Node, Aspect::OtherNode) => AuthorizationRemedy::RefuseOtherNodes.into(),
        _ => AuthenticationRemedy::RefuseUnauthenticated { program: Program::at(place) }.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::observation::Untrusted;
    use super::super::fixture::{NOW, PODS, answer, bed, issue, master, statuses};
    use super::*;
    use crate::cluster::key_kind::KeyKind;
    use crate::cluster::lifetime::Lifetime;
    use crate::cluster::profile::CaRole;
    use crate::pki::issuer::create_root;
    use crate::verify::target::Place;

    #[test]
    fn an_impostors_answers_mean_nothing() {
        let bed = bed();
        let twin = create_root(CaRole::Cluster, &bed.cluster.name, KeyKind::EcdsaP256, Lifetime::TEN_YEARS, NOW);
        let impostor = issue(twin.expect("a root").get(), &bed.node_leaf(), NOW).certificate;
        let calls = [
            (master(), answer(200, PODS)),
            (Caller::Anonymous, answer(401, "Unauthorized")),
            (Caller::Untrusted(Untrusted::ForgedCa), Outcome::Alert("UnknownCA".into())),
            (Caller::OtherNode("n2".into()), answer(200, PODS)),
        ];
        let found = bed.judged(Place::Node, &impostor, &calls, NOW);
        assert_eq!(statuses(&found, &["chain", "name", "dates"]), ["fail", "pass", "pass"]);
        assert_eq!(statuses(&found, &["caller", "anonymous", "untrusted", "other-node"]), ["not-proven"; 4]);
    }

    #[test]
    fn refusals_prove_nothing_where_everybody_is_refused() {
        let bed = bed();
        let refused = answer(401, "Unauthorized");
        let calls = [
            (master(), refused.clone()),
            (Caller::Anonymous, refused),
            (Caller::Untrusted(Untrusted::ForgedCa), Outcome::Reset),
        ];
        let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
        assert_eq!(statuses(&found, &["caller", "anonymous", "untrusted"]), ["fail", "not-proven", "not-proven"]);
    }

    #[test]
    fn only_a_refusal_is_a_refusal() {
        let bed = bed();
        let cases = [
            (answer(401, ""), "pass"),
            (answer(403, ""), "pass"),
            (Outcome::Alert("CertificateRequired".into()), "pass"),
            (Outcome::Alert("DecryptError".into()), "pass"),
            (Outcome::Reset, "pass"),
            (Outcome::Closed, "pass"),
            (answer(200, ""), "fail"),
            (answer(204, ""), "fail"),
            (answer(404, ""), "not-proven"),
            (answer(302, ""), "not-proven"),
            (answer(400, ""), "not-proven"),
            (answer(500, ""), "not-proven"),
            (Outcome::Alert("InternalError".into()), "not-proven"),
            // Alerts that do not speak of a certificate.
            (Outcome::Alert("UnrecognizedName".into()), "not-proven"),
            (Outcome::Alert("DecodeError".into()), "not-proven"),
            (Outcome::TimedOut(5000), "not-proven"),
            (Outcome::Failed("?".into()), "not-proven"),
        ];
        for (outcome, expected) in cases {
            for untrusted in [Caller::Untrusted(Untrusted::ForgedCa), Caller::Untrusted(Untrusted::UnknownCa)] {
                // The master calls again behind the untrusted client, and is let in.
                let calls =
                    [(master(), answer(200, PODS)), (untrusted, outcome.clone()), (master(), answer(200, PODS))];
                let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
                assert_eq!(found["untrusted"].status.as_str(), expected, "{outcome:?}");
            }
        }
    }

    #[test]
    fn a_refusal_that_names_another_user_than_anonymous_is_an_authentication() {
        let bed = bed();
        let kubelets =
            |user: &str| answer(403, &format!("Forbidden (user={user}, verb=get, resource=nodes, subresource=proxy)"));
        let judged = |caller: Caller, refused: Outcome| {
            let aspect = match caller {
                Caller::Anonymous => "anonymous",
                Caller::OtherNode(_) => "other-node",
                _ => "untrusted",
            };
            let calls = [(master(), answer(200, PODS)), (caller, refused)];
            bed.judged(Place::Node, &bed.node_cert(), &calls, NOW)[aspect].status.as_str()
        };
        for caller in
            [Caller::Untrusted(Untrusted::ForgedCa), Caller::Untrusted(Untrusted::UnknownCa), Caller::Anonymous]
        {
            assert_eq!(judged(caller.clone(), kubelets("kube-apiserver-kubelet-client")), "fail", "{caller:?}");
            assert_eq!(judged(caller.clone(), kubelets("system:anonymous")), "pass", "{caller:?}");
        }
        let other = || Caller::OtherNode("n2".into());
        assert_eq!(judged(other(), kubelets("kubelet:n2")), "pass");
        assert_eq!(judged(other(), kubelets("kubelet:n1")), "fail");
        let nodes = |user: &str| {
            let message =
                format!("nodes is forbidden: User \"{user}\" cannot list resource \"nodes\" in API group \"\"");
            answer(403, &serde_json::json!({"kind": "Status", "message": message, "code": 403}).to_string())
        };
        let known = bed.review("kubelet:n1", &["kubelets", "system:authenticated"], None);
        for (user, expected) in [("kubelet:n1", "fail"), ("kubernetes-admin", "fail"), ("system:anonymous", "pass")] {
            for caller in [Caller::Untrusted(Untrusted::ForgedCa), Caller::Untrusted(Untrusted::UnknownCa)] {
                let calls = [(Caller::Node("n1".into()), known.clone()), (caller, nodes(user))];
                let found = bed.judged(Place::Master, &bed.master_cert(), &calls, NOW);
                assert_eq!(found["untrusted"].status.as_str(), expected, "{user}");
            }
        }
    }

    /// The status of a client without a right at the API server, which answers it 403 and then `said` to `request`.
    fn then(caller: Caller, request: Request, said: Outcome) -> &'static str {
        let bed = bed();
        let known = bed.review("kubelet:n1", &["kubelets", "system:authenticated"], None);
        let aspect = if caller == Caller::Anonymous { Aspect::Anonymous } else { Aspect::Untrusted };
        let calls = [(Caller::Node("n1".into()), known), (caller, answer(403, &STATUS.replace("401", "403")))];
        let more = [observation::Further { request, outcome: said, shown: Default::default() }];
        let found = bed.findings_of_several(Place::Master, &bed.master_cert(), &calls, &more, NOW);
        found.iter().find(|f| f.id.1 == aspect).expect("a finding").status.as_str()
    }

    #[test]
    fn a_review_for_anybody_but_an_unauthenticated_client_is_an_authentication() {
        let bed = bed();
        let nobody = |groups: &[&str], credential| bed.review(ANONYMOUS, groups, credential);
        let cases = [
            (nobody(&["system:unauthenticated"], None), "pass"),
            (nobody(&[], None), "pass"),
            (nobody(&["system:unauthenticated", "system:masters"], None), "fail"),
            (nobody(&["system:authenticated"], None), "fail"),
            (nobody(&["system:unauthenticated"], Some("X509SHA256=00")), "fail"),
            (bed.review("kubelet:n1", &["kubelets"], None), "fail"),
            (bed.review("", &[], None), "fail"),
            (answer(201, "{}"), "not-proven"),
            (answer(401, STATUS), "pass"),
        ];
        for (said, expected) in cases {
            for caller in [Caller::Anonymous, Caller::Untrusted(Untrusted::LoneLeaf)] {
                for request in [Request::WhoAmI, Request::WhoAmIByHeader] {
                    assert_eq!(then(caller.clone(), request, said.clone()), expected, "{caller:?} {said:?}");
                }
            }
        }
    }

    #[test]
    fn an_untrusted_client_has_to_be_refused_on_every_path() {
        let untrusted = || Caller::Untrusted(Untrusted::UnknownCa);
        for request in [Request::Nodes, Request::Secrets, Request::AllPods] {
            assert_eq!(then(untrusted(), request, answer(200, "")), "fail");
            assert_eq!(then(untrusted(), request, answer(403, "no")), "pass");
        }
    }

    #[test]
    fn a_refusal_that_repeats_the_name_in_an_untrusted_certificate_proves_nothing() {
        let bed = bed();
        let known = bed.review("kubelet:n1", &["kubelets", "system:authenticated"], None);
        let said = |message: &str| {
            answer(403, &serde_json::json!({"kind": "Status", "message": message, "code": 403}).to_string())
        };
        let cases = [
            ("nodes is forbidden: user kubelet:n1 may not", "fail"),
            ("not for CN=kubelet:n1", "not-proven"),
            ("not for the group kubelets", "not-proven"),
            ("not even for system:masters", "not-proven"),
            ("forbidden", "pass"),
        ];
        for (message, expected) in cases {
            let calls =
                [(Caller::Node("n1".into()), known.clone()), (Caller::Untrusted(Untrusted::ForgedCa), said(message))];
            let found = bed.judged(Place::Master, &bed.master_cert(), &calls, NOW);
            assert_eq!(found["untrusted"].status.as_str(), expected, "{message}");
            // Behind a first refusal that names none it counts as much.
            assert_eq!(then(Caller::Untrusted(Untrusted::ForgedCa), Request::Secrets, said(message)), expected);
        }
    }

    #[test]
    fn who_hangs_up_on_an_untrusted_client_has_to_let_the_master_in_afterwards() {
        let bed = bed();
        for cut_off in [Outcome::Closed, Outcome::Reset] {
            let calls = |after: Outcome| {
                let before = (master(), answer(200, PODS));
                let found = bed.judged(
                    Place::Node,
                    &bed.node_cert(),
                    &[before, (Caller::Anonymous, cut_off.clone()), (master(), after)],
                    NOW,
                );
                (found["anonymous"].status.as_str(), found["caller"].status.as_str())
            };
            assert_eq!(calls(answer(200, PODS)), ("pass", "pass"));
            // A kubelet that restarts, or a limit on connections, hangs up on everybody.
            assert_eq!(calls(Outcome::Closed), ("not-proven", "pass"));
            assert_eq!(calls(Outcome::Failed("connection refused".into())), ("not-proven", "pass"));
        }
    }

    #[test]
    fn where_the_master_gets_no_yes_only_the_handshake_refuses() {
        let bed = bed();
        let untrusted = |of_the_master: Outcome, refused: Outcome| {
            let calls = [
                (master(), of_the_master),
                (Caller::Untrusted(Untrusted::ForgedCa), refused),
                (Caller::Untrusted(Untrusted::UnknownCa), answer(401, "")),
            ];
            bed.judged(Place::Node, &bed.node_cert(), &calls, NOW)["untrusted"].status.as_str()
        };
        let alert = || Outcome::Alert("UnknownCA".into());
        assert_eq!(untrusted(answer(404, "404 page not found"), alert()), "pass");
        assert_eq!(untrusted(answer(404, "404 page not found"), answer(401, "")), "not-proven");
        assert_eq!(untrusted(answer(404, "404 page not found"), Outcome::Closed), "not-proven");
        // A server in trouble has let nobody in.
        for status in [500, 502, 503, 429, 302, 400] {
            assert_eq!(untrusted(answer(status, ""), alert()), "not-proven", "{status}");
        }
    }

    const STATUS: &str =
        r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"m","reason":"r","code":401}"#;

    #[test]
    fn an_api_servers_refusal_speaks_kubernetes_or_the_verifier_is_let_in_at_the_same_path() {
        let bed = bed();
        let node = || Caller::Node("n1".into());
        let known = || bed.review("kubelet:n1", &["kubelets", "system:authenticated"], None);
        let nodes = r#"{"kind":"NodeList","apiVersion":"v1","metadata":{},"items":[]}"#;
        let anonymous = |calls: &[(Caller, Outcome)], refused: Outcome| {
            let calls: Vec<_> = calls.iter().cloned().chain([(Caller::Anonymous, refused)]).collect();
            bed.judged(Place::Master, &bed.master_cert(), &calls, NOW)["anonymous"].status.as_str()
        };
        let forbidden = STATUS.replace("401", "403");
        assert_eq!(anonymous(&[(node(), known())], answer(401, STATUS)), "pass");
        assert_eq!(anonymous(&[(node(), known())], answer(403, &forbidden)), "pass");
        // Something in front of this path, and of others perhaps not.
        for (status, body) in [(401, "<html>"), (403, "<html>"), (401, ""), (403, STATUS)] {
            assert_eq!(anonymous(&[(node(), known())], answer(status, body)), "not-proven", "{status} {body}");
        }
        let verifier = |outcome: Outcome| [(Caller::Verifier, outcome)];
        assert_eq!(anonymous(&verifier(answer(200, nodes)), answer(401, "<html>")), "pass");
        assert_eq!(anonymous(&verifier(answer(200, nodes)), answer(403, "<html>")), "pass");
        // Known and forbidden is known: a 401 is not the same, another 403 is.
        assert_eq!(anonymous(&verifier(answer(403, &forbidden)), answer(401, STATUS)), "pass");
        assert_eq!(anonymous(&verifier(answer(403, &forbidden)), answer(403, &forbidden)), "skipped");
        assert_eq!(anonymous(&verifier(answer(403, "<html>")), answer(401, STATUS)), "not-proven");
        assert_eq!(anonymous(&verifier(answer(401, STATUS)), answer(401, STATUS)), "not-proven");
        assert_eq!(anonymous(&[], answer(401, STATUS)), "skipped");
        // Who is taken for nobody is not let in.
        let nobody = bed.review("system:anonymous", &["system:unauthenticated"], None);
        assert_eq!(anonymous(&[(node(), nobody)], answer(401, STATUS)), "not-proven");
    }

    #[test]
    fn where_no_master_can_call_the_verifier_shows_that_the_kubelet_knows_its_ca() {
        let bed = bed();
        let none = || (master(), Outcome::NoCredential("no key".into()));
        let words = "Forbidden (user=clusterctl:verifier, verb=get, resource=nodes, subresource(s)=[pods proxy])";
        let judged = |verifier: Outcome, refused: Outcome| {
            let calls = [none(), (Caller::Verifier, verifier), (Caller::Anonymous, refused)];
            let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
            (found["caller"].status.as_str(), found["anonymous"].status.as_str())
        };
        assert_eq!(judged(answer(403, words), answer(401, "")), ("skipped", "pass"));
        let nobody = words.replace("clusterctl:verifier", "system:anonymous");
        assert_eq!(judged(answer(403, words), answer(403, &nobody)), ("skipped", "skipped"));
        assert_eq!(judged(answer(403, "<html>"), answer(401, "")), ("skipped", "not-proven"));
        assert_eq!(judged(answer(401, ""), answer(401, "")), ("skipped", "not-proven"));
    }

    #[test]
    fn without_a_key_here_a_check_is_skipped_but_an_open_door_is_seen() {
        let bed = bed();
        let none = Outcome::NoCredential("no key".into());
        let calls = [
            (master(), none),
            (Caller::Anonymous, answer(200, PODS)),
            (Caller::Untrusted(Untrusted::ForgedCa), answer(401, "")),
        ];
        let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
        assert_eq!(statuses(&found, &["caller", "anonymous", "untrusted"]), ["skipped", "fail", "skipped"]);
    }
}
