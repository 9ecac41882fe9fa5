//! The addresses of etcd's members, which run on the control-plane nodes.

use super::address::Address;
use super::spec::Host;

/// etcd's port for its clients.
pub const CLIENT_PORT: u16 = 2379;
/// etcd's port for its peers.
pub const PEER_PORT: u16 = 2380;

/// Returns the address at which peers and API servers connect to a member: its first IP address, else its first name.
///
/// All of a master's addresses are in its certificates.
#[must_use]
pub fn member_address(master: &Host) -> Address {
    let first_ip = master.addresses.iter().find(|address| address.ip().is_some());
    first_ip.or_else(|| master.addresses.first()).cloned().unwrap_or_else(|| master.name.to_address())
}
