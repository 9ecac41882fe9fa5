//! Options of a run: limits and pinned names. [`super::target`] has the target of the run.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::leases::RENEWED_WITHIN;

/// Limits and pins of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The timeout of a request, from its connection's first packet to the response's last byte.
    pub timeout: Duration,
    /// The limit of the whole run. Checks that have not started by then are not proven.
    pub deadline: Option<Duration>,
    /// The number of hosts that are dialled concurrently, unresponsive ones included; at least one. File descriptors
    /// may allow fewer.
    pub concurrency: usize,
    /// Names with pinned addresses, which are not resolved.
    pub resolve: BTreeMap<String, Vec<IpAddr>>,
    /// Whether only the calling thread is used, if the system permits no others.
    pub one_thread: bool,
    /// The kubelet's read-only port; `None` does not try it.
    pub readonly_port: Option<u16>,
    /// The pause after which stale Leases are read again.
    pub lease_pause: Duration,
    /// Whether nodes make dry-run writes, which change nothing, to prove admission.
    pub dry_run_writes: bool,
}

/// The default of `concurrency`. It is large enough that a thousand unresponsive hosts do not delay a thousand healthy
/// ones.
pub const DEFAULT_CONCURRENCY: u16 = 4096;

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            deadline: None,
            concurrency: DEFAULT_CONCURRENCY.into(),
            resolve: BTreeMap::new(),
            one_thread: false,
            readonly_port: Some(10255),
            lease_pause: RENEWED_WITHIN,
            dry_run_writes: true,
        }
    }
}

/// An error of parsing a pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not NAME:ADDRESS, for example api.example.net:10.0.0.10 or api.example.net:[fd00::10]")]
pub struct PinError(pub String);

impl Options {
    /// Adds a pin `NAME:ADDR`. All addresses of a name are used.
    ///
    /// # Errors
    /// Returns an error if it is not a name, a colon and an IP address.
    pub fn pin(&mut self, text: &str) -> Result<(), PinError> {
        let wrong = || PinError(text.to_owned());
        let (name, address) = text.split_once(':').ok_or_else(wrong)?;
        let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
        let address: IpAddr = bare.parse().map_err(|_| wrong())?;
        if name.is_empty() {
            return Err(wrong());
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.resolve.entry(name).or_default().push(address);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_add_up_and_wrong_ones_are_refused() {
        let mut options = Options::default();
        for pin in ["API.example.net:10.0.0.1", "api.example.net.:[fd00::1]", "api.example.net:fd00::2"] {
            assert_eq!(options.pin(pin), Ok(()));
        }
        assert_eq!(options.resolve["api.example.net"].len(), 3);
        for wrong in ["api", "api:", ":10.0.0.1", "api:host", "api:10.0.0.1:80"] {
            assert_eq!(options.pin(wrong), Err(PinError(wrong.into())));
        }
    }
}
