//! Limits the open connections of each source, so that one source cannot use up the limit of all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// The largest number of concurrent handshakes of one source.
const HANDSHAKES: usize = 64;

/// The open connections of each source: an IPv4 address, or an IPv6 network of 64 bits, because a host can use any address of its
/// network.
#[derive(Debug)]
pub(super) struct Sources {
    limit: usize,
    open: Mutex<HashMap<IpAddr, Source>>,
}

#[derive(Debug)]
struct Source {
    connections: usize,
    handshakes: Arc<Semaphore>,
}

/// A counted connection of a source, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    sources: Arc<Sources>,
    source: IpAddr,
    /// Limits the concurrent handshakes of the source.
    pub(super) handshakes: Arc<Semaphore>,
}

impl Sources {
    /// Returns sources with at most `limit` connections each.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, open: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Source>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection; `None` if its source has reached the limit.
    pub(super) fn place(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let source = source_of(address);
        let mut open = self.lock();
        let new = || Source { connections: 0, handshakes: Arc::new(Semaphore::new(HANDSHAKES)) };
        let one = open.entry(source).or_insert_with(new);
        if one.connections >= self.limit {
            return None;
        }
        one.connections += 1;
        Some(Place { sources: self.clone(), source, handshakes: one.handshakes.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sources.lock();
        if let Some(one) = open.get_mut(&self.source) {
            one.connections -= 1;
            if one.connections == 0 {
                open.remove(&self.source);
            }
        }
    }
}

fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_source_takes_no_place_of_another() {
        let sources = Sources::new(2);
        let first = sources.place(address("192.0.2.1")).expect("a place");
        let _second = sources.place(address("::ffff:192.0.2.1")).expect("the same IPv4 address");
        assert!(sources.place(address("192.0.2.1")).is_none());
        assert!(sources.place(address("192.0.2.2")).is_some(), "another address");
        drop(first);
        assert!(sources.place(address("192.0.2.1")).is_some(), "the place is free again");
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_is_forgotten_at_the_end() {
        let sources = Sources::new(1);
        let place = sources.place(address("2001:db8::1")).expect("a place");
        assert!(sources.place(address("2001:db8::ffff:1")).is_none());
        assert!(sources.place(address("2001:db8:0:1::1")).is_some(), "another network");
        drop(place);
        assert!(sources.lock().is_empty());
    }
}
