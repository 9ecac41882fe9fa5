//! Remedies of connections and TLS.

use serde::{Deserialize, Serialize};

use super::server::{Program, Server};

/// Remedies of connections and TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionRemedy {
    /// Start the server.
    Start(Server),
    /// Start the load balancer.
    StartLoadBalancer,
    /// Check that the host is up and that no firewall drops packets.
    CheckFirewall {
        /// The host.
        host: String,
    },
    /// Check that there is a route to the host.
    CheckRoute {
        /// The host.
        host: String,
    },
    /// Check which program listens at the port.
    CheckPort {
        /// The host.
        host: String,
    },
    /// Make a name resolve.
    ResolveName {
        /// The name.
        name: String,
    },
    /// Dial the addresses of a name one by one.
    DialEachAddress {
        /// The name.
        name: String,
    },
    /// Give each request more time.
    RaiseTimeout,
    /// Enable TLS on the server.
    ServeTls,
    /// Offer a cipher suite and a curve that are supported here.
    OfferSupportedTls,
    /// Configure a certificate for the requested server name.
    ConfigureCertificate,
    /// Refuse versions of TLS before 1.2.
    RequireTls12 {
        /// The program.
        program: Program,
    },
    /// Dial the program itself, or pass TLS through to it.
    BypassProxy {
        /// The program.
        program: Program,
    },
    /// Check that a kubelet answers.
    CheckKubeletAnswers,
}
