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
  1   verify: a check failed or could not be proven; status: something is due or has expired; crl show: a CRL is missing, has expired or does not match the ledger; ledger check: something is wrong; lint: an error or a warning is reported; rotate-ca: the phase is not proven on every host
  2   wrong usage, or an unreadable or invalid cluster file; verify: nothing could be checked
  3   refused: a file exists already, a question was answered with no, a passphrase is wrong, a host's request asks for more than it may have
  4   environment: a file, the disk, the network or a limit of the system; interrupted by a signal, with the work so far kept
  5   join: a request is not decided yet, or the bundle is not available yet; run it again
  10  with --exit-code: apply changed something, or plan found something to change
  70  a bug
  130 ended immediately by Ctrl-C, at a question or the second time; 143 by SIGTERM, 129 by SIGHUP";

/// The heading of the flags that every command has: they are listed after the command's own.
const HEADING: &str = "Global options";

/// The PKI of a Kubernetes cluster that is built by hand: an offline root CA, certificates for every master (control-plane node)
/// and node, a bundle for every host, and a proof on the live cluster that they find and trust each other.
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
    /// The cluster directory [env: CLUSTERCTL_DIR] [default: the current folder, or the nearest one above it, with a cluster.yaml]
    #[arg(long, global = true, help_heading = HEADING, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Use a cluster directory that another user owns, and trust that user with its content
    #[arg(long, global = true, help_heading = HEADING)]
    pub trust_owner: bool,
    /// Only print results, warnings and errors
    #[arg(short, long, global = true, help_heading = HEADING, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more: verify also lists the checks that passed
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

    /// Returns the cluster directory: the given one, else the environment's, else the nearest one from `here` upwards.
    #[must_use]
    pub fn layout(&self, here: &Path, from_env: Option<PathBuf>) -> Layout {
        match self.dir.clone().or(from_env) {
            Some(dir) => Layout::new(here.join(dir)),
            None => Layout::find(here),
        }
    }
}

/// The commands, in the order in which a cluster is made.
///
/// The documentation of a variant is the help of its command: the first paragraph is the summary, the others are shown by
/// `--help` and in the man page. clap does not show the documentation of the types of their arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented cluster file, cluster.yaml
    ///
    /// The values come from flags, from kubectl's list of nodes, and, on a terminal, from answers to questions.
    #[command(after_help = examples::INIT)]
    Init(init::InitArgs),
    /// Check the cluster file, and nothing else
    ///
    /// All errors are reported together, each with its path and line. There need be no CA. clusterctl verify
    /// --offline checks the files that were made from the cluster file.
    #[command(after_help = examples::VALIDATE)]
    Validate(validate::ValidateArgs),
    /// Print what a key of the cluster file means
    ///
    /// Also prints its type, its default and an example. Without a key, lists the keys at the top level.
    #[command(after_help = examples::EXPLAIN)]
    Explain(explain::ExplainArgs),
    /// Create the root CAs: the cluster's, etcd's and the front proxy's
    ///
    /// Also creates the ledger, which records the certificates that they sign. If cluster.yaml names a signer for a
    /// CA (signers: a token or a program), the key stays there, or is made there.
    #[command(after_help = examples::INIT_CA)]
    InitCa(init_ca::InitCaArgs),
    /// Import a CA that another tool made: a root, or an intermediate
    ///
    /// What Kubernetes accepts is accepted, with a warning about what clusterctl would make differently. A CA that
    /// cannot sign is refused. For an intermediate, trust files contain the root, and the rest of the chain follows
    /// every certificate. clusterctl init-ca creates the CAs that are not imported.
    ///
    /// --from-kubeadm and --from-k3s import all CAs of a control plane, or none, and record the certificates that are
    /// found beside them in the ledger, as clusterctl ledger adopt does.
    #[command(after_help = examples::IMPORT_CA)]
    ImportCa(import_ca::ImportCaArgs),
    /// Issue masters' credentials: what is missing, is due, or no longer matches the cluster file
    ///
    /// Masters are control-plane nodes. The verifier's credential is issued with theirs. Valid certificates are kept.
    #[command(after_help = examples::ISSUE_MASTER)]
    IssueMaster(issue_master::IssueMasterArgs),
    /// Issue nodes' credentials: what is missing, is due, or no longer matches the cluster file
    ///
    /// These are the client certificate with which a kubelet connects to API servers, and the serving certificate
    /// that it presents to them. Valid certificates are kept.
    #[command(after_help = examples::ISSUE_NODE)]
    IssueNode(issue_node::IssueNodeArgs),
    /// Make a node's keys on the node itself, and write a request for its certificates
    ///
    /// The two keys of the kubelet never leave the host. In the cluster directory, clusterctl sign turns the request
    /// into certificates. Neither a network nor a cluster directory is needed. Keys that exist are kept, so that the
    /// command can be run again.
    #[command(after_help = examples::REQUEST)]
    Request(request::RequestArgs),
    /// Join a cluster, on the node itself: find it, make keys, request certificates, install the bundle
    ///
    /// Finds the cluster by its id, the pin of its root, makes the host's keys, which never leave it, requests
    /// certificates, waits for a decision, installs the host's bundle, and starts the kubelet. Another run continues
    /// where the last one stopped, with the same keys. No cluster directory is needed.
    #[command(after_help = examples::JOIN)]
    Join(join::JoinArgs),
    /// Register this cluster at a bootstrap endpoint, and print what hosts join with
    ///
    /// Prints ID@URL, the argument of clusterctl join --cluster. The id is the pin of the cluster's root. The token
    /// authenticates the registration, and is not sent. The next step is clusterctl announce, which sends the
    /// cluster's addresses.
    #[command(after_help = examples::REGISTER)]
    Register(register::RegisterArgs),
    /// Publish a signed record of the cluster's addresses at bootstrap endpoints
    ///
    /// The record has the addresses of the API servers and of the enrolment endpoint, and the roots to trust. The
    /// announcer's key signs it. It is valid for a limited time: let a timer announce it again. This needs
    /// cluster.yaml and the certificates of the cluster's CA, no CA key and no ledger.
    #[command(after_help = examples::ANNOUNCE)]
    Announce(announce::AnnounceArgs),
    /// Create, list and revoke one-time tokens for nodes that join
    ///
    /// A token proves one host, for one client key and one serving key. clusterctl join sends an HMAC made with it,
    /// never the token.
    #[command(after_help = examples::TOKEN)]
    Token(token::TokenArgs),
    /// Sign nodes' requests for certificates
    ///
    /// Reads the requests of clusterctl request, and those of other tools, as PEM or DER. Only the public key is
    /// taken from a request; every name, usage and date comes from cluster.yaml. If a request asks for more, nothing
    /// is signed. The certificates are recorded in the ledger and stored without keys; clusterctl bundle packs them.
    #[command(after_help = examples::SIGN)]
    Sign(sign::SignArgs),
    /// Renew what is due: certificates, administrators' kubeconfigs and CRLs
    ///
    /// A certificate is due in the last third of its lifetime, or by renewBefore in cluster.yaml. Certificates that
    /// do not match the cluster file are replaced, too. What was never issued is left to issue-master and issue-node.
    /// The passphrase is asked for once, and only if something is due.
    #[command(after_help = examples::RENEW)]
    Renew(renew::RenewArgs),
    /// Issue an administrator's kubeconfig
    ///
    /// Writes pki/admins/NAME.conf. Its account is in the group clusterctl:admins, which the policy binds to
    /// cluster-admin, unless a flag chooses another group.
    #[command(after_help = examples::ISSUE_ADMIN)]
    IssueAdmin(issue_admin::IssueAdminArgs),
    /// Render and pack one bundle for each host
    ///
    /// Writes bundles/HOST.tar.gz; the same input gives the same bytes. A host that is both a master and a node gets
    /// one bundle with both.
    #[command(after_help = examples::BUNDLE)]
    Bundle(bundle::BundleArgs),
    /// Decrypt, check and unpack a bundle on its host
    ///
    /// Checks every file in the bundle, and unpacks it into a new folder, from which install.sh installs it.
    #[command(after_help = examples::OPEN)]
    Open(open::OpenArgs),
    /// Write the accounts' rights for kubectl and API servers, or print them
    ///
    /// Writes the folder policy/ from the cluster file: RBAC and admission policies, for kubectl apply -f policy/,
    /// and the API servers' authorization configuration, policy/masters/authorization.yaml, which masters' bundles
    /// contain, too. The same input gives the same bytes.
    #[command(after_help = examples::POLICY)]
    Policy(policy::PolicyArgs),
    /// Make everything match the cluster file: credentials, CRLs, the policy and bundles
    ///
    /// Issues what is missing, does not match or is due, signs CRLs that are due, writes policy/, and packs bundles.
    /// Files that are up to date are left alone, and a second run has nothing to do. The passphrase is asked for
    /// once, and only if something has to be signed.
    #[command(after_help = examples::APPLY)]
    Apply(apply::ApplyArgs),
    /// Print what apply would change, and why
    ///
    /// Prints one line for each certificate, file and bundle. Changes nothing, and asks for no passphrase.
    #[command(after_help = examples::PLAN)]
    Plan(apply::PlanArgs),
    /// Replace a CA while the cluster runs, phase by phase
    ///
    /// Hosts trust both roots, then present certificates of the new one, then trust only the new one. Each phase is
    /// delivered with clusterctl apply and install.sh. The next one begins only when verify proves on the live
    /// cluster that the phase holds on every host.
    #[command(after_help = examples::ROTATE_CA)]
    RotateCa(rotate_ca::RotateCaArgs),
    /// Revoke certificates: in the ledger, in CRLs, and in the API servers' authorization configuration
    ///
    /// Revokes all unexpired certificates of a host or an account, the one with a serial number, or those in a file.
    /// Writes the CRLs of the CAs that signed them (pki/crl.pem, pki/etcd/crl.pem, pki/front-proxy/crl.pem) and
    /// policy/masters/authorization.yaml, which masters' bundles contain from then on.
    #[command(after_help = examples::REVOKE)]
    Revoke(revoke::RevokeArgs),
    /// Remove hosts that left: revoke their certificates, delete their files and bundles
    ///
    /// Revokes all certificates of the hosts as clusterctl revoke does, deletes their folders in pki/ and their
    /// bundles, and prints what is left to do in the cluster. A host that is in cluster.yaml is refused: remove it
    /// from there first. After an interruption, run the same command again.
    #[command(after_help = examples::REMOVE)]
    Remove(remove::RemoveArgs),
    /// Renew and describe CRLs
    #[command(after_help = examples::CRL)]
    Crl(crl::CrlArgs),
    /// Verify a live cluster, or only the directory
    ///
    /// Proves that masters and nodes can connect to each other, that each authenticates itself, and that each rejects
    /// all other clients. Connects to every address of every node and every master, and changes nothing on them.
    #[command(after_help = examples::VERIFY)]
    Verify(Box<verify::VerifyArgs>),
    /// Report what expires, what is due, and what to do about it
    ///
    /// Covers CAs, CRLs, the certificates of hosts, of the verifier and of administrators, bundles that are older
    /// than their certificates, hosts that are no longer in cluster.yaml, and, if there is a queue of clusterctl
    /// serve ca, open requests of hosts. Needs no passphrase and changes nothing.
    #[command(after_help = examples::STATUS)]
    Status(status::StatusArgs),
    /// Check the files of any PKI against rules for Kubernetes
    ///
    /// Checks certificates, keys, CRLs, kubeconfigs and bundles, whichever tool made them: a folder such as
    /// /etc/kubernetes, or single files. Certificates of hosts in the cluster file are compared with it. Changes
    /// nothing, and needs no passphrase. Exits with 1 when an error or a warning is reported.
    #[command(after_help = examples::LINT)]
    Lint(lint::LintArgs),
    /// Describe certificates, keys, requests, CRLs, kubeconfigs and bundles, or look up the ledger
    ///
    /// Of a key, only its kind and its fingerprint are printed. Files that are given together are linked: a CA among
    /// them is the issuer of what it signed. What is not a file is looked up in the ledger: the newest certificates
    /// of a host or an account, or the one with a serial number or a SHA-256, with the time of issue, the user who
    /// issued it, its revocation, and the file that it is in. Names may be lists as in a,b and patterns as in
    /// 'worker-*'.
    #[command(after_help = examples::SHOW)]
    Show(show::ShowArgs),
    /// Print who issued, packed and revoked what, and when
    ///
    /// Prints certificates that were issued and revoked, bundles that were packed, keys that were deleted, and
    /// everything else that changed the cluster directory, with the time and the user, the oldest first. If there is
    /// a queue of clusterctl serve ca, also prints who sent, approved and denied requests of hosts, and why.
    #[command(after_help = examples::LOG)]
    Log(log::LogArgs),
    /// Check or rebuild the ledger, the record of every certificate and revocation, or add certificates to it
    #[command(after_help = examples::LEDGER)]
    Ledger(ledger::LedgerArgs),
    /// Approve and sign requests that hosts sent, by the policy in the cluster file
    ///
    /// Works at clusterctl's enrolment CA, at API servers of Kubernetes, or at several of them. It only connects to
    /// them, so that nothing listens on the machine with the CA's key. Only the public key is taken from a request. A
    /// failure never denies a request. Runs until a signal stops it.
    #[cfg(feature = "server")]
    #[command(after_help = examples::SIGNER)]
    Signer(signer::SignerArgs),
    /// Review requests that hosts sent: list, explain, approve, deny
    ///
    /// Shows what each request asks for, what it would get, what is proven, and what the policy decides.
    #[cfg(feature = "server")]
    #[command(after_help = examples::CSR)]
    Csr(csr::CsrArgs),
    /// Write the whole cluster directory into one encrypted file
    ///
    /// The file contains cluster.yaml, keys, certificates, the ledger, the access rules, the bundles and the
    /// templates, as they are at one moment, encrypted to recipients or with a passphrase. It appears complete or not
    /// at all, and replaces nothing. Its format is age's: age -d decrypts it to a tar archive. Copy it to another
    /// machine.
    #[command(after_help = examples::BACKUP)]
    Backup(backup::BackupArgs),
    /// Restore a backup into an empty folder
    ///
    /// Checks all of it (the archive against its list of SHA-256, the ledger's hash chain, the certificates against
    /// the CAs), and puts the cluster directory into --dir, or else into the current folder, which has to be empty or
    /// must not exist. It appears complete or not at all.
    #[command(after_help = examples::RESTORE)]
    Restore(restore::RestoreArgs),
    /// Run an enrolment server, from which hosts request certificates over the network
    #[cfg(feature = "server")]
    #[command(after_help = examples::SERVE)]
    Serve(super::serve::ServeArgs),
    /// Run all steps, from nothing to a verified cluster, against a simulated cluster on this machine
    ///
    /// Generates the certificates and bundles of a small cluster in a temporary folder, starts a simulated cluster on
    /// loopback, and proves the six properties on it. Changes nothing outside of the folder.
    #[command(after_help = examples::DEMO)]
    Demo(demo::DemoArgs),
    /// Print the completions for a shell
    ///
    /// They complete commands, flags, and the host names in the cluster file.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::CompletionsArgs),
    /// Write the man pages, one for each command, into a folder
    #[command(after_help = examples::MAN)]
    Man(man::ManArgs),
    /// Print the version, the commit, the target and the compiler
    #[command(after_help = examples::VERSION)]
    Version(version::VersionArgs),
}
