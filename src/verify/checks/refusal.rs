//! Callers who have to be refused. That proves something only where another is let in.

use super::super::finding::{Aspect, CheckId, Finding, Status};
use super::super::observation::{Caller, Exchange, Outcome};
use super::super::target::Place;
use super::answer::{asked_and_said, who};
use super::judge::Bench;
use super::spot::{Spot, expectation};

impl Bench<'_> {
    /// A caller who has to be refused. That proves something only where another is let in.
    pub(super) fn refusal(&mut self, spot: &Spot<'_>, exchange: &Exchange, positive: Positive) -> Finding {
        let aspect = match exchange.caller {
            Caller::Stranger => Aspect::Stranger,
            Caller::Neighbour(_) => Aspect::Neighbour,
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
            finding.follows = Some(CheckId::at(spot.place, Aspect::Chain));
            return finding;
        }
        let refused = match &exchange.outcome {
            Outcome::Answer(answer) if (200..300).contains(&answer.status) => {
                finding.status = Status::Fail;
                return finding.hint(open_door(spot.place, aspect));
            }
            Outcome::Answer(answer) if answer.status == 401 => true,
            // Where the master's own certificate gets no more than 403, another's 403 says nothing.
            Outcome::Answer(answer) if answer.status == 403 => positive == Positive::Accepted,
            Outcome::Alert(alert) => refuses(alert),
            Outcome::Closed | Outcome::Reset => true,
            // nginx's and others' way of refusing a certificate. It may hold for one path alone.
            Outcome::Answer(answer) if answer.status == 400 => {
                let who = if spot.place == Place::Node { "the kubelet" } else { "the API server" };
                return finding.hint(format!(
                    "something answers in {who}'s place (nginx, a load balancer?): dial {who} itself, or let whatever stands \
                     in front pass TLS through"
                ));
            }
            _ => false,
        };
        if !refused {
            return finding;
        }
        match positive {
            Positive::Accepted | Positive::Forbidden | Positive::Answered => finding.status = Status::Pass,
            Positive::Untried => {
                finding.status = Status::Skipped;
                finding.observed.push_str(", but there is no key here for a call that should be accepted");
            }
            Positive::Failed => {
                finding.observed.push_str(", but the rightful caller is not accepted either");
                finding.follows = Some(CheckId::at(spot.place, Aspect::Caller));
            }
        }
        finding
    }
}

/// What became of the calls that should be accepted; the best of them counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Positive {
    /// There was no key to call with.
    Untried,
    /// None was accepted.
    Failed,
    /// The caller got some answer that is neither a yes nor a refusal: a 404, an answer that is not Kubernetes's. It was
    /// let in as far as that.
    Answered,
    /// The caller was recognised, and forbidden.
    Forbidden,
    /// One was accepted.
    Accepted,
}

/// An alert that speaks of the client's certificate.
pub(super) fn refuses(alert: &str) -> bool {
    !["ProtocolVersion", "InternalError", "UserCanceled", "CloseNotify", "RecordOverflow", "UnexpectedMessage"]
        .iter()
        .any(|other| alert.eq_ignore_ascii_case(other))
}

fn open_door(place: Place, aspect: Aspect) -> &'static str {
    match (place, aspect) {
        (Place::Node, Aspect::Neighbour) => {
            "any node may command this one: set authorization.mode: Webhook in the kubelet's configuration, and grant \
             nodes/proxy to nobody but the masters"
        }
        (Place::Node, _) => {
            "anybody may command this node: set authentication.anonymous.enabled: false, authentication.x509.clientCAFile \
             and authorization.mode: Webhook in the kubelet's configuration"
        }
        _ => {
            "anybody may read this cluster: start the API server with --anonymous-auth=false, --client-ca-file and an \
             authorizer that is not AlwaysAllow, and look for roles bound to system:anonymous"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bed::{NOW, PODS, answer, bed, issue, master, statuses};
    use super::*;
    use crate::cluster::key_kind::KeyKind;
    use crate::cluster::lifetime::Lifetime;
    use crate::cluster::profile::RootKind;
    use crate::pki::authority::create_root;
    use crate::verify::target::Place;

    #[test]
    fn an_impostors_answers_mean_nothing() {
        let bed = bed();
        let twin = create_root(RootKind::Cluster, &bed.cluster.name, KeyKind::EcdsaP256, Lifetime::TEN_YEARS, NOW);
        let impostor = issue(twin.expect("a root").get(), &bed.node_leaf(), NOW).certificate;
        let calls = [
            (master(), answer(200, PODS)),
            (Caller::Anonymous, answer(401, "Unauthorized")),
            (Caller::Stranger, Outcome::Alert("UnknownCA".into())),
            (Caller::Neighbour("n2".into()), answer(200, PODS)),
        ];
        let found = bed.judged(Place::Node, &impostor, &calls, NOW);
        assert_eq!(statuses(&found, &["chain", "name", "dates"]), ["fail", "pass", "pass"]);
        assert_eq!(statuses(&found, &["caller", "anonymous", "stranger", "neighbour"]), ["not-proven"; 4]);
    }

    #[test]
    fn refusals_prove_nothing_where_everybody_is_refused() {
        let bed = bed();
        let refused = answer(401, "Unauthorized");
        let calls = [(master(), refused.clone()), (Caller::Anonymous, refused), (Caller::Stranger, Outcome::Reset)];
        let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
        assert_eq!(statuses(&found, &["caller", "anonymous", "stranger"]), ["fail", "not-proven", "not-proven"]);
    }

    #[test]
    fn only_a_refusal_is_a_refusal() {
        let bed = bed();
        let cases = [
            (answer(401, ""), "pass"),
            (answer(403, ""), "pass"),
            (Outcome::Alert("CertificateRequired".into()), "pass"),
            (Outcome::Reset, "pass"),
            (Outcome::Closed, "pass"),
            (answer(200, ""), "fail"),
            (answer(204, ""), "fail"),
            (answer(404, ""), "not-proven"),
            (answer(302, ""), "not-proven"),
            (answer(500, ""), "not-proven"),
            (Outcome::Alert("InternalError".into()), "not-proven"),
            (Outcome::TimedOut(5000), "not-proven"),
            (Outcome::Failed("?".into()), "not-proven"),
        ];
        for (outcome, expected) in cases {
            let calls = [(master(), answer(200, PODS)), (Caller::Stranger, outcome.clone())];
            let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
            assert_eq!(found["stranger"].status.as_str(), expected, "{outcome:?}");
        }
    }

    #[test]
    fn without_a_key_here_a_check_is_skipped_but_an_open_door_is_seen() {
        let bed = bed();
        let none = Outcome::NoCredential("no key".into());
        let calls = [(master(), none), (Caller::Anonymous, answer(200, PODS)), (Caller::Stranger, answer(401, ""))];
        let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
        assert_eq!(statuses(&found, &["caller", "anonymous", "stranger"]), ["skipped", "fail", "skipped"]);
    }
}
