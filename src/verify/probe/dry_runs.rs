//! Dry-run writes of a node, permitted and forbidden ones.

use std::sync::Arc;

use super::context::{DEADLINE_PASSED, Run, not_sent};
use crate::verify::dialer::Socket;
use crate::verify::http::HttpRequest;
use crate::verify::identity::Identity;
use crate::verify::observation::{Client, DRY_RUN_DECLINED, Exchange, Outcome, Request};
use crate::verify::writes::{self, Write};

impl Run {
    /// Makes a node's dry-run writes, permitted and forbidden ones; none without a node that the API server
    /// authenticates.
    pub(super) async fn writes(self: &Arc<Self>, socket: &Socket, at: Option<usize>) -> Vec<Exchange> {
        let Some((at, node)) = at.and_then(|at| Some((at, self.target.nodes.get(at)?))) else { return Vec::new() };
        let Some(identity) = &node.client else { return Vec::new() };
        if !self.dry_run_writes {
            let (client, why) = (Client::Node(node.name.clone()), Outcome::NotTried(DRY_RUN_DECLINED.to_owned()));
            return vec![not_sent(client, Some(identity), Request::DryRunNode, why)];
        }
        let other = self.plan.others[at].map_or("another-node", |other| self.target.nodes[other].name.as_str());
        let first = self.write(socket, &node.name, identity, writes::own_node(&node.name)).await;
        let uid = match &first.outcome {
            Outcome::Answer(answer) => writes::uid(&answer.body),
            _ => None,
        };
        let late = self.timed_out(&first);
        let rest = writes::others(&node.name, other, uid.as_deref()).into_iter().map(|write| {
            let (run, socket) = (self.clone(), socket.clone());
            let (name, identity) = (node.name.clone(), identity.clone());
            async move { run.write(&socket, &name, &identity, write).await }
        });
        let mut seen = vec![first];
        seen.extend(self.in_turn(rest, late).await);
        seen
    }

    async fn write(&self, socket: &Socket, node: &str, identity: &Identity, write: Write) -> Exchange {
        let Write { request, path, body } = write;
        let client = || Client::Node(node.to_owned());
        let over = || not_sent(client(), Some(identity), request, Outcome::NotTried(DEADLINE_PASSED.to_owned()));
        if self.deadline_passed() {
            return over();
        }
        let question = HttpRequest::write(request, path, &body);
        let asking = self.limiter.run(|| self.dialer.ask(socket, client(), Some(identity), request, (question, &[])));
        self.before_deadline(asking).await.unwrap_or_else(over)
    }
}
