//! The tree of clap types: the commands, and the flags that all of them have.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use super::{
    announce, apply, backup, bundle, completions, crl, demo, examples, explain, import_ca, init, init_ca, issue_admin,
    issue_master, issue_node, join, ledger, lint, log, man, open, policy, register, remove, renew, request, restore,
    revoke, rotate_ca, show, sign, status, token, validate, verify, version,
};
#[cfg(feature = "server")]
use super::{csr, signer};
use crate::store::layout::Layout;
use crate::ui::{ColorChoice, Verbosity};

const EXIT_STATUS: &str = "\
Exit status:
  0   done, or everything proven
  1   verify: a check failed or could not be proven; status: something is due or has expired; crl show: a CRL is missing, has expired or does not match the ledger; ledger check: something is wrong; lint: an error or a warning is reported
  2   wrong usage, or an unreadable or invalid cluster file; verify: nothing could be checked
  3   refused: a file exists already, a question was answered no, a passphrase is wrong, a host's request asks for more than it may have
  4   environment: a file, the disk, the network or a limit of the system; interrupted by a signal, with the work so far kept
  5   join: a request is not decided yet, or the bundle is not available yet; run it again
  10  with --exit-code: apply changed something, or plan found something to change
  70  a bug
  130 ended immediately by Ctrl-C, at a question or the second time; 143 by SIGTERM, 129 by SIGHUP";

/// The heading of the flags that every command has, so that a command's own come first.
const HEADING: &str = "Global options";

/// Static clustering for Kubernetes: an offline root CA, certificates for every master and node, a bundle for every host, and
/// a proof on the live cluster that they find and trust each other.
#[derive(Debug, Parser)]
#[command(name = "clusterctl", version, after_help = EXIT_STATUS, arg_required_else_help = true)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The cluster directory [env: CLUSTERCTL_DIR] [default: the nearest folder upwards with a cluster.yaml]
    #[arg(long, global = true, help_heading = HEADING, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Use a cluster directory that another user owns, and trust that user with its content
    #[arg(long, global = true, help_heading = HEADING)]
    pub trust_owner: bool,
    /// Only print results, warnings and errors
    #[arg(short, long, global = true, help_heading = HEADING, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more
    #[arg(short, long, global = true, help_heading = HEADING)]
    pub verbose: bool,
    /// When to use colour (NO_COLOR is respected)
    #[arg(long, global = true, help_heading = HEADING, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

impl Global {
    /// Returns the amount of commentary that is printed.
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        }
    }

    /// Returns the cluster directory: the given one, else the environment's, else the nearest one upwards from `here`.
    #[must_use]
    pub fn layout(&self, here: &Path, from_env: Option<PathBuf>) -> Layout {
        match self.dir.clone().or(from_env) {
            Some(dir) => Layout::new(here.join(dir)),
            None => Layout::find(here),
        }
    }
}

/// The commands, in the order in which a cluster is made.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented cluster file, cluster.yaml
    #[command(after_help = examples::INIT)]
    Init(init::InitArgs),
    /// Check the cluster file alone
    #[command(after_help = examples::VALIDATE)]
    Validate(validate::ValidateArgs),
    /// Print what a key of the cluster file means
    #[command(after_help = examples::EXPLAIN)]
    Explain(explain::ExplainArgs),
    /// Create the root CAs: the cluster's, etcd's and the front proxy's
    #[command(after_help = examples::INIT_CA)]
    InitCa(init_ca::InitCaArgs),
    /// Take over a CA that another tool made: a root, or an intermediate
    #[command(after_help = examples::IMPORT_CA)]
    ImportCa(import_ca::ImportCaArgs),
    /// Issue masters' credentials: what is missing or no longer matches the cluster file
    #[command(after_help = examples::ISSUE_MASTER)]
    IssueMaster(issue_master::IssueMasterArgs),
    /// Issue nodes' credentials: what is missing or no longer matches the cluster file
    #[command(after_help = examples::ISSUE_NODE)]
    IssueNode(issue_node::IssueNodeArgs),
    /// Make a node's keys on the node itself, and write a request for its certificates
    #[command(after_help = examples::REQUEST)]
    Request(request::RequestArgs),
    /// Join a cluster, on the node itself: find it, make keys, ask for certificates, install the bundle
    #[command(after_help = examples::JOIN)]
    Join(join::JoinArgs),
    /// Register this cluster at a bootstrap endpoint, and print what hosts join with
    #[command(after_help = examples::REGISTER)]
    Register(register::RegisterArgs),
    /// Say at bootstrap endpoints where the masters are, by a signed record
    #[command(after_help = examples::ANNOUNCE)]
    Announce(announce::AnnounceArgs),
    /// Create, list and revoke one-time tokens for nodes that join
    #[command(after_help = examples::TOKEN)]
    Token(token::TokenArgs),
    /// Sign requests of nodes: their public keys, and everything else by the cluster file
    #[command(after_help = examples::SIGN)]
    Sign(sign::SignArgs),
    /// Renew what is due: certificates, administrators' kubeconfigs and CRLs
    #[command(after_help = examples::RENEW)]
    Renew(renew::RenewArgs),
    /// Issue an administrator's kubeconfig
    #[command(after_help = examples::ISSUE_ADMIN)]
    IssueAdmin(issue_admin::IssueAdminArgs),
    /// Render and pack one bundle for each host
    #[command(after_help = examples::BUNDLE)]
    Bundle(bundle::BundleArgs),
    /// Decrypt, check and unpack a bundle on its host
    #[command(after_help = examples::OPEN)]
    Open(open::OpenArgs),
    /// Write the accounts' rights for kubectl and API servers, or print them
    #[command(after_help = examples::POLICY)]
    Policy(policy::PolicyArgs),
    /// Make everything match the cluster file: credentials, CRLs, the policy and bundles
    #[command(after_help = examples::APPLY)]
    Apply(apply::ApplyArgs),
    /// Print what apply would change, and why
    #[command(after_help = examples::PLAN)]
    Plan(apply::PlanArgs),
    /// Replace a CA while the cluster runs, phase by phase, each one proven
    #[command(after_help = examples::ROTATE_CA)]
    RotateCa(rotate_ca::RotateCaArgs),
    /// Revoke certificates: in the ledger, in CRLs, and in the API servers' authorization configuration
    #[command(after_help = examples::REVOKE)]
    Revoke(revoke::RevokeArgs),
    /// Remove hosts that left: revoke their certificates, delete their files and bundles
    #[command(after_help = examples::REMOVE)]
    Remove(remove::RemoveArgs),
    /// Renew and describe CRLs
    #[command(after_help = examples::CRL)]
    Crl(crl::CrlArgs),
    /// Verify a live cluster, or the directory alone
    #[command(after_help = examples::VERIFY)]
    Verify(Box<verify::VerifyArgs>),
    /// Report what expires, what is due, and what to do about it
    #[command(after_help = examples::STATUS)]
    Status(status::StatusArgs),
    /// Check the files of any PKI by rules for Kubernetes
    #[command(after_help = examples::LINT)]
    Lint(lint::LintArgs),
    /// Describe certificates, keys, requests, CRLs, kubeconfigs and bundles, and what the ledger has of a certificate
    #[command(after_help = examples::SHOW)]
    Show(show::ShowArgs),
    /// Print who issued, packed and revoked what, and when
    #[command(after_help = examples::LOG)]
    Log(log::LogArgs),
    /// Check the ledger, the record of every certificate and revocation, make it anew, or add certificates
    #[command(after_help = examples::LEDGER)]
    Ledger(ledger::LedgerArgs),
    /// Approve and sign requests that hosts send, by the policy in the cluster file
    #[cfg(feature = "server")]
    #[command(after_help = examples::SIGNER)]
    Signer(signer::SignerArgs),
    /// Review requests that hosts send: list, explain, approve, deny
    #[cfg(feature = "server")]
    #[command(after_help = examples::CSR)]
    Csr(csr::CsrArgs),
    /// Write the whole cluster directory into one encrypted file
    #[command(after_help = examples::BACKUP)]
    Backup(backup::BackupArgs),
    /// Put a backup back into an empty folder
    #[command(after_help = examples::RESTORE)]
    Restore(restore::RestoreArgs),
    /// Run a server of enrolment: hosts ask for certificates over the network
    #[cfg(feature = "server")]
    #[command(after_help = examples::SERVE)]
    Serve(super::serve::ServeArgs),
    /// Run all steps, from nothing to a verified cluster, against a simulated cluster on this machine
    #[command(after_help = examples::DEMO)]
    Demo(demo::DemoArgs),
    /// Print the completions for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::CompletionsArgs),
    /// Write the man pages into a folder
    #[command(after_help = examples::MAN)]
    Man(man::ManArgs),
    /// Print the version, the commit, the target and the compiler
    #[command(after_help = examples::VERSION)]
    Version(version::VersionArgs),
}
