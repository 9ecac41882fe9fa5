//! Events of a signer, as data.

use std::path::PathBuf;

use time::OffsetDateTime;

use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::pki::certificate::Serial;

/// Something that a signer did, or could not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerEvent {
    /// It works at a mailbox now.
    Working {
        /// The mailbox.
        mailbox: String,
    },
    /// Another signer works at the mailbox.
    Standby {
        /// The mailbox.
        mailbox: String,
    },
    /// A request waits for a person.
    Queued {
        /// The request.
        request: String,
        /// The host.
        host: HostName,
        /// Why.
        reason: String,
    },
    /// A request was approved.
    Approved {
        /// The request.
        request: String,
        /// The host.
        host: HostName,
        /// Why.
        reason: String,
    },
    /// A request was denied, or refused after its approval.
    Denied {
        /// The request.
        request: String,
        /// The host.
        host: HostName,
        /// Why.
        reason: String,
    },
    /// A certificate was delivered.
    Issued {
        /// The request.
        request: String,
        /// The host.
        host: HostName,
        /// What it is for.
        profile: Profile,
        /// Its serial number.
        serial: Serial,
        /// When it expires.
        not_after: OffsetDateTime,
        /// Whether the request got this certificate in an earlier run.
        again: bool,
    },
    /// A request cannot be read or is not valid.
    Unreadable {
        /// The request.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something failed, and is tried again.
    Retry {
        /// The request or the mailbox.
        subject: String,
        /// Why.
        reason: String,
    },
    /// The policy is `insecure-always-approve`.
    Insecure {
        /// Until when it approves without a proof, or why it does not apply.
        reason: String,
    },
    /// Every user can replace a program of the policy.
    OpenProgram {
        /// The program.
        path: PathBuf,
        /// The mode of its file.
        mode: u32,
    },
}

/// The numbers of requests, by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Certificates that were delivered.
    pub issued: usize,
    /// Requests that were denied or refused.
    pub denied: usize,
    /// Requests that wait for a person.
    pub queued: usize,
    /// Requests that are tried again.
    pub retried: usize,
}

impl Counts {
    /// Adds the counts of another round.
    pub fn add(&mut self, other: Self) {
        self.issued += other.issued;
        self.denied += other.denied;
        self.queued += other.queued;
        self.retried += other.retried;
    }
}
