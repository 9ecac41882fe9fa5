//! Requests the decisions of an API server about revoked certificates.

use super::context::{DEADLINE_PASSED, Run, not_sent};
use crate::verify::dialer::Socket;
use crate::verify::http::HttpRequest;
use crate::verify::identity::Identity;
use crate::verify::observation::{Client, Exchange, Outcome, Request};

impl Run {
    /// Sends reviews about revoked certificates to an API server, as the first client that is permitted to: the
    /// verifier, or a node, which sends the same reviews about its own clients.
    pub(super) async fn denials(&self, socket: &Socket, seen: &mut Vec<Exchange>) {
        let Some(denials) = self.target.denials.as_ref().filter(|denials| !denials.is_empty()) else { return };
        let request = Request::DenialReview;
        let mut questions: Vec<_> =
            denials.subjects().map(|subject| (request, HttpRequest::review(&subject.review()))).collect();
        let (_, first) = questions.remove(0);
        let revoked = |identity: &Identity| {
            let fingerprint = identity.certificate.fingerprint();
            self.target.revoked.as_ref().is_some_and(|revoked| revoked.contains(&fingerprint))
        };
        let node = self.target.nodes.iter().find_map(|node| {
            let identity = node.client.as_ref().filter(|identity| !revoked(identity))?;
            Some((Client::Node(node.name.clone()), identity.clone()))
        });
        let verifier = self.target.verifier.clone().map(|verifier| (Client::Verifier, verifier));
        let callers: Vec<(Client, Identity)> = verifier.into_iter().chain(node).collect();
        if callers.is_empty() {
            let why = Outcome::NoCredential("there is no certificate of the verifier or of a node here".to_owned());
            return seen.push(not_sent(Client::Verifier, None, request, why));
        }
        for (client, identity) in callers {
            let not_tried =
                |why: &str| not_sent(client.clone(), Some(&identity), request, Outcome::NotTried(why.to_owned()));
            if self.deadline_passed() {
                return seen.push(not_tried(DEADLINE_PASSED));
            }
            let asking = self.dialer.ask(socket, client.clone(), Some(&identity), request, (first.clone(), &questions));
            let asking = self.before_deadline(self.limiter.run(|| asking)).await;
            let exchange = asking.unwrap_or_else(|| not_tried(DEADLINE_PASSED));
            let refused = matches!(&exchange.outcome, Outcome::Answer(answer) if !(200..300).contains(&answer.status));
            seen.push(exchange);
            if !refused {
                return;
            }
        }
    }
}
