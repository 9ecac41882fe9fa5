//! Requests the identity of an account and its rights.

use std::sync::Arc;

use super::config::Dialer;
use super::exchange::unanswered;
use super::socket::{Offer, Socket};
use crate::verify::capturing_verifier::CapturingVerifier;
use crate::verify::http::HttpRequest;
use crate::verify::identity::Identity;
use crate::verify::observation::{Access, AccessDecision, Client, Exchange, Outcome, Request};

impl Dialer {
    /// Requests the client's identity and, if it is authenticated, its rights, on one new connection if the server
    /// keeps it open. `reviews` are the bodies of SelfSubjectAccessReviews. The timeout applies to each request.
    pub(in crate::verify) async fn self_review(
        &self,
        socket: &Socket,
        client: Client,
        identity: &Identity,
        reviews: &[(Access, String)],
        offer: Offer,
    ) -> Exchange {
        let mut seen = unanswered(client, Some(identity), Request::WhoAmI);
        let verifier = self.verifier();
        let (opened, began) = self.open(socket, Some(identity), &verifier, offer).await;
        match opened {
            Ok(mut connection) => {
                seen.outcome =
                    connection.ask(Request::WhoAmI, HttpRequest::of(Request::WhoAmI), began + self.limit).await;
                if matches!(&seen.outcome, Outcome::Answer(answer) if (200..300).contains(&answer.status)) {
                    let mut decisions = connection.decisions(reviews, self.limit).await;
                    drop(connection);
                    self.remaining_decisions(reviews, &mut decisions, &verifier, (socket, identity, offer)).await;
                    seen.decisions = self.decisions.of(&decisions);
                }
            }
            Err(outcome) => seen.outcome = outcome,
        }
        self.finish(&mut seen, &verifier, began, (socket, Some(identity), offer)).await;
        seen
    }

    /// Requests the rest of `reviews` on more connections: a server of HTTP/1.1 may close each after one response. All
    /// have to send the first one's certificates: another server's decision does not count.
    async fn remaining_decisions(
        &self,
        reviews: &[(Access, String)],
        decisions: &mut Vec<(Access, AccessDecision)>,
        first: &Arc<CapturingVerifier>,
        (socket, identity, offer): (&Socket, &Identity, Offer),
    ) {
        while let rest @ [(access, _), ..] = &reviews[decisions.len()..] {
            let verifier = self.verifier();
            let more = match self.open(socket, Some(identity), &verifier, offer).await.0 {
                Ok(mut connection) if first.saw_same_chain_as(&verifier) => {
                    connection.decisions(rest, self.limit).await
                }
                Err(Outcome::TimedOut(_)) => vec![(*access, AccessDecision::late())],
                _ => Vec::new(),
            };
            if more.is_empty() {
                break;
            }
            decisions.extend(more);
        }
        let ended = || AccessDecision::Unclear("the connection was closed".to_owned());
        let unanswered = &reviews[decisions.len()..];
        decisions.extend(unanswered.iter().map(|(access, _)| (*access, ended())));
    }
}
