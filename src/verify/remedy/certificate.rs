//! Remedies of certificates and trust anchors.

use serde::{Deserialize, Serialize};

use super::server::Server;

/// Remedies of certificates, keys and CRLs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateRemedy {
    /// Reissue the serving certificate.
    Reissue(Server),
    /// Reissue the serving certificate before it expires.
    Renew(Server),
    /// Reissue the serving certificate with only serverAuth.
    ReissueForServers(Server),
    /// Reissue the serving certificate with every name that is dialled.
    ReissueWithNames(Server),
    /// Reissue the certificate by a CA that may sign it.
    ReissueByPermittedCa(Server),
    /// Reissue the certificate by a CA whose extended key usage permits serverAuth.
    ReissueByServerCa(Server),
    /// Reissue the certificate with a strong key.
    ReissueWithStrongKey(Server),
    /// Install the serving certificate that this cluster's CA issued.
    #[serde(alias = "serve-ours")]
    InstallServingCertificate(Server),
    /// Send the serving certificate with every intermediate.
    #[serde(alias = "serve-whole-chain")]
    SendIntermediates(Server),
    /// Send the certificate and its intermediates, and nothing else.
    SendChainOnly(Server),
    /// Configure the kubelet's serving certificate, so that it does not sign its own.
    NameServingFiles,
    /// Install the newest serving certificate of a node.
    ServeNewest {
        /// The node.
        host: String,
    },
    /// Install the bundle of the rotation's phase on a host, and restart what the plan names.
    InstallPhase {
        /// The host.
        host: String,
    },
    /// Use a kind of key that can be verified here.
    UseVerifiableKey,
    /// Use the key that belongs to the certificate.
    MatchKeyAndCertificate,
    /// Reissue a node's client certificate.
    ReissueClient {
        /// The node.
        host: String,
    },
    /// Renew a client certificate in the directory that issued it.
    RenewClient,
    /// Use a CRL that the cluster's CA signed and that is current.
    ProvideCurrentCrl,
    /// Compare the clocks of this machine and of the issuer.
    CompareClocks,
}

/// Remedies of trust anchors.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustRemedy {
    /// Remove everything except root certificates from the trust file.
    KeepOnlyRoots,
    /// Remove an unused certificate from the trust file.
    RemoveUnusedRoot,
    /// Trust the CA that issued a certificate, and not the certificate.
    TrustIssuer,
    /// Replace a root that has expired.
    ReplaceRoot,
    /// Create the next root without these violations.
    ImproveNextRoot,
    /// Check that the trust file is this cluster's.
    CheckTrustFile,
    /// See the finding `trust.anchor`.
    SeeTrustAnchor,
    /// Write a kubeconfig that names its files and trusts no other CA.
    RewriteKubeconfig,
}
