//! Remedies for the signer and for the review of requests, as data.

/// The remedy for a signer that cannot work, or a decision that is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewRemedy {
    /// Write `enrolment` into the cluster file.
    EnableEnrolment,
    /// Correct the kubeconfig.
    CorrectKubeconfig,
    /// Grant the account its rights.
    GrantRights,
    /// Check that the API can be reached, and run the command again.
    CheckConnection,
    /// Stop the other signer, or wait until it stops.
    EndTheOtherSigner,
    /// List the requests.
    ListRequests,
    /// Sign the denial of this request, or delete the request.
    DenySigned(String),
    /// Correct the cluster file, or let the host ask again.
    CorrectRequest,
    /// Use another SSH key.
    UseAnotherKey,
    /// Add the key to the file of allowed keys, or sign with one that is in it.
    AllowTheKey,
}
