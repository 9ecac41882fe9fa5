//! Prepares the requests of a host: the CSRs, signed with its keys, and the evidence.

use std::path::Path;

use time::OffsetDateTime;

use super::api::{NewRequest, request_name};
use super::certificates;
use super::error::JoinError;
use crate::app::error::Error;
use crate::app::request::keys::{self, HostKey};
use crate::cluster::account::{Account, AccountScheme};
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, Profile, TABLE, Usage};
use crate::enrol::evidence::{Occasion, Proofs, Statement};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;
use crate::pki::request::create_request_for;

/// The common part of all requests of a host.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) root: &'a Path,
    pub(super) host: &'a HostName,
    pub(super) cluster: Fingerprint,
    pub(super) accounts: AccountScheme,
    pub(super) keys: KeyKind,
    pub(super) proofs: Proofs<'a>,
    pub(super) now: OffsetDateTime,
    pub(super) occasion: Occasion,
}

/// A request with the key that it is for.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) key: HostKey,
    pub(super) request: NewRequest,
}

/// Returns the request for each profile of a node. Missing keys are generated, readable only by their owner.
///
/// # Errors
/// Returns an error if a key cannot be used or written, or the SSH host key cannot sign.
pub(super) fn prepare(asking: &Asking<'_>, wanted: impl Fn(Profile) -> bool) -> Result<Vec<Prepared>, Error> {
    let mut prepared = Vec::new();
    for row in TABLE.iter().filter(|row| row.holder == Holder::Node && wanted(row.profile)) {
        let Some((key, signing)) = keys::open_or_make(asking.root, row.profile, asking.keys)? else { continue };
        let is_server = row.usage == Usage::Server;
        let names = if is_server { vec![asking.host.to_address()] } else { Vec::new() };
        let csr = create_request_for(&signing, &account(asking, is_server), &names, row.usage)?;
        let statement = Statement {
            host: asking.host.clone(),
            time: asking.now,
            cluster: asking.cluster,
            request: Fingerprint::of(&csr),
            occasion: asking.occasion,
        };
        let evidence = statement.to_blocks(&asking.proofs).map_err(JoinError::HostKey)?;
        let present = match asking.occasion {
            Occasion::Join => None,
            Occasion::Renewal => certificates::present(asking.root, row.profile)?.map(|one| one.fingerprint()),
        };
        let (what, usage) = if is_server { ("serving", "server auth") } else { ("client", "client auth") };
        let name = request_name(asking.host, what, key.public_key, present);
        let text = pem::write_request(&csr) + &evidence;
        let request = NewRequest { name, signer: signer(asking.accounts, is_server), usage, csr, text };
        prepared.push(Prepared { key, request });
    }
    Ok(prepared)
}

/// Returns the subject. `kubernetes.io/kubelet-serving` permits only `system:node:HOST` in `system:nodes` (Kubernetes,
/// "Certificates and Certificate Signing Requests", section "Kubernetes signers").
fn account(asking: &Asking<'_>, is_server: bool) -> Account {
    if is_server { AccountScheme::SystemNode.account(asking.host) } else { asking.accounts.account(asking.host) }
}

fn signer(accounts: AccountScheme, is_server: bool) -> &'static str {
    match (accounts, is_server) {
        (AccountScheme::Kubelet, false) => "clusterctl.io/kubelet-client",
        (AccountScheme::Kubelet, true) => "clusterctl.io/kubelet-serving",
        (AccountScheme::SystemNode, false) => "kubernetes.io/kube-apiserver-client-kubelet",
        (AccountScheme::SystemNode, true) => "kubernetes.io/kubelet-serving",
    }
}
