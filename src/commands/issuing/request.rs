//! What is asked for, and how.

use clap::Args;
use time::OffsetDateTime;

use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::CertificateSpec;
use crate::cluster::spec::Cluster;

/// Flags of both commands.
#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// Replace what is good, too
    #[arg(long)]
    pub(crate) reissue: bool,
    /// Say what would be issued and why, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also replace what ends within this time, for example 30d
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse)]
    pub(crate) renew_within: Option<Lifetime>,
    #[command(flatten)]
    pub(super) passphrase: PassphraseArgs,
}

impl IssueArgs {
    /// What ends by then is replaced, whatever the cluster file says.
    pub(super) fn end(&self, now: OffsetDateTime) -> OffsetDateTime {
        self.renew_within.map_or(now, |within| now + within.duration())
    }

    /// What ends by then may have to be replaced: what of these is good beyond that needs no closer look.
    pub(super) fn end_of(&self, leaves: &[CertificateSpec], cluster: &Cluster, now: OffsetDateTime) -> OffsetDateTime {
        let longest = leaves.iter().map(|leaf| leaf.lifetime.duration()).max().unwrap_or_default();
        self.end(now).max(now + cluster.renewed_before(longest))
    }
}

/// What is asked for.
pub(crate) struct Request<'a> {
    /// The command's name.
    pub(crate) command: &'static str,
    /// How many hold something,
    pub(crate) holders: usize,
    /// and what each of them, by number, is to hold. Made when it is needed: of many hosts it would fill the memory.
    pub(crate) leaves: &'a (dyn Fn(usize) -> Vec<CertificateSpec> + Sync),
    /// Whether the cluster's service-account pair is part of it.
    pub(crate) service_account: bool,
    /// How.
    pub(crate) how: &'a IssueArgs,
}
