//! Requests the lists that any API server returns to the verifier.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::api_servers::ApiServerTarget;
use super::context::Run;
use crate::verify::dialer::millis;
use crate::verify::leases::looks_stale;
use crate::verify::observation::{Lease, LeaseListOutcome, LeaseListing, NodeListOutcome, NodeListing, Outcome};

impl Run {
    /// Lists the nodes, from the first API server that responds.
    pub(super) async fn listing(&self, api_servers: &[Arc<ApiServerTarget>]) -> Option<NodeListing> {
        let verifier = self.target.verifier.as_ref()?;
        // A large cluster takes longer to list, but the time for one server is limited.
        let limit = self.limit * (1 + u32::try_from(self.target.nodes.len() / 500).unwrap_or(u32::MAX));
        let mut last = None;
        for api_server in api_servers {
            let (place, peer) = self.target.peer(api_server.at.0)?;
            let began = Instant::now();
            let (server_chain, outcome) =
                self.before_deadline(self.dialer.listing(&api_server.socket, verifier, limit)).await?;
            let elapsed_ms = millis(began.elapsed());
            let done = matches!(outcome, NodeListOutcome::Nodes(_) | NodeListOutcome::Failed(Outcome::TimedOut(_)));
            last = Some(NodeListing {
                place,
                host: peer.name.clone(),
                to: api_server.socket.to,
                server_chain,
                outcome,
                elapsed_ms,
            });
            if done {
                break;
            }
        }
        last
    }

    /// Lists the nodes' Leases, from the first API server that responds. Stale ones are read again after the time in
    /// which a kubelet renews them: clocks may differ.
    pub(super) async fn leases(&self, api_servers: &[Arc<ApiServerTarget>]) -> Option<LeaseListing> {
        let verifier = self.target.verifier.as_ref()?;
        let dialled = self.target.nodes.iter().filter(|node| node.dialled);
        let nodes: HashSet<&str> = dialled.map(|node| node.name.as_str()).collect();
        if nodes.is_empty() {
            return None;
        }
        let limit = self.limit * (1 + u32::try_from(self.target.nodes.len() / 2000).unwrap_or(u32::MAX));
        let over = || LeaseListing {
            to: None,
            server_chain: Arc::default(),
            outcome: LeaseListOutcome::Failed(Outcome::NotTried("no API server could be reached in time".to_owned())),
            elapsed_ms: 0,
        };
        let mut last = over();
        for api_server in api_servers {
            let began = Instant::now();
            let ask = || self.before_deadline(self.dialer.leases(&api_server.socket, verifier, limit));
            let Some((server_chain, mut outcome)) = ask().await else { return Some(over()) };
            if let LeaseListOutcome::Complete { served, leases, again } = &mut outcome {
                let suspicious =
                    |lease: &&Lease| nodes.contains(lease.name.as_str()) && looks_stale(lease, served.as_deref());
                let before: BTreeMap<String, Option<String>> =
                    leases.iter().filter(suspicious).map(|lease| (lease.name.clone(), lease.renewed.clone())).collect();
                if !before.is_empty()
                    && self.before_deadline(tokio::time::sleep(self.lease_pause)).await.is_some()
                    && let Some((now_shown, LeaseListOutcome::Complete { leases: now, .. })) = ask().await
                    && now_shown == server_chain
                {
                    let renewed =
                        now.into_iter().filter(|lease| before.get(&lease.name).is_some_and(|b| *b != lease.renewed));
                    again.extend(renewed.filter_map(|lease| Some((lease.name, lease.renewed?))));
                }
            }
            let elapsed_ms = millis(began.elapsed());
            let done =
                matches!(outcome, LeaseListOutcome::Complete { .. } | LeaseListOutcome::Failed(Outcome::TimedOut(_)));
            last = LeaseListing { to: Some(api_server.socket.to), server_chain, outcome, elapsed_ms };
            if done {
                break;
            }
        }
        Some(last)
    }
}
