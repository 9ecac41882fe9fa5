//! Remedies for hosts that cannot join, as data.

use std::path::PathBuf;

/// The remedy for a host that cannot join or renew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinRemedy {
    /// Name a folder that exists as the root.
    NameAnotherRoot,
    /// Join before renewing.
    JoinFirst,
    /// Remove the damaged state.
    RemoveState(PathBuf),
    /// Remove the files of the other cluster from the host first.
    LeaveFirst,
    /// Check the address, the network and the firewall.
    CheckNetwork,
    /// Wait, and run it again.
    WaitAndRunAgain,
    /// Find out on the admin machine why the evidence of the host is refused.
    CheckProof,
    /// Find out on the admin machine whether the host's certificate was revoked.
    CheckCertificate,
    /// Compare the id with the one that `register` printed.
    CheckId,
    /// Let a master announce the cluster again.
    AnnounceAgain,
    /// Correct this host's clock.
    CheckClock,
    /// Name the host's Ed25519 key.
    NameAnotherHostKey,
    /// Find out the reason on the admin machine.
    AskTheAdministrator,
    /// Move the keys away, so that new ones are generated.
    MakeNewKeys,
    /// Approve these requests, and run it again.
    Approve(Vec<String>),
    /// Run it again.
    RunAgain,
    /// Pack the host's bundle.
    PackBundle,
    /// Name the host's SSH key.
    NameHostKey,
    /// Follow what `install.sh` says.
    ReadInstaller,
}
