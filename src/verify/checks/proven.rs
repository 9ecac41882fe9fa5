//! Checks whether a response came from a server of the cluster.

use super::super::observation::Exchange;
use super::context::CheckContext;
use crate::pki::chain::ChainError;
use crate::pki::fingerprint::Fingerprint;

impl CheckContext<'_> {
    /// Returns an error unless the server on this connection belongs to the cluster.
    pub(super) fn proven(&mut self, exchange: &Exchange) -> Result<(), String> {
        self.proven_by(&exchange.server_chain)
    }

    pub(super) fn proven_by(&mut self, server_chain: &[Fingerprint]) -> Result<(), String> {
        if server_chain.is_empty() {
            return Err("the server sent no certificate on this connection".to_owned());
        }
        let trust = self.trust(server_chain);
        trust.chain.clone().map_err(|reason| match reason {
            ChainError::NoValidPath(reason) => format!("the server does not belong to the cluster: {reason}"),
            ChainError::Unproven(reason) => {
                format!("whether the server belongs to the cluster is not proven: {reason}")
            }
        })
    }
}
