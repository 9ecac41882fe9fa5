//! `demo --dynamic`: a node joins a running cluster on loopback. Every step runs the code of the command itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use time::OffsetDateTime;

use super::{announce, bundle, csr, init_ca, issue_admin, issue_master, register, revoke, signer, token};
use crate::app::enrol::bootstrap::{self, BootstrapOptions};
use crate::app::enrol::join::{self, JoinError, JoinOptions, JoinReport, RenewOptions};
use crate::app::enrol::review::{ReviewedRequest, review};
use crate::app::enrol::serve::{self, ServeOptions};
use crate::app::{Env, Error, Silent, directory};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;
use crate::enrol::policy::Answer;
use crate::enrol::record::RecordError;
use crate::enrol::request::EnrolmentRequest;
use crate::enrol::token::Token;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::ssh::SshKey;
use crate::server::Server;
use crate::server::bootstrap::Bootstrap;
use crate::server::clock::Clock;
use crate::store::files;
use crate::store::layout::Layout;

/// The node that joins, and another one.
const NODE: &str = "worker-1";
const OTHER: &str = "worker-2";
/// The time limit of each wait.
const PATIENCE: Duration = Duration::from_secs(120);

/// A fault of `demo --dynamic`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DynamicFault {
    /// The node is given another cluster's id
    WrongId,
    /// The bootstrap endpoint gives an old record
    StaleRecord,
    /// The bootstrap endpoint changes the record
    ForgedRecord,
    /// Another host's SSH key signs the requests
    OtherHostKey,
    /// The token of another host is used
    StolenToken,
    /// An approver denies the requests
    Denied,
}

impl DynamicFault {
    pub(super) fn parse(name: &str) -> Option<Self> {
        <Self as ValueEnum>::from_str(name, false).ok()
    }

    /// Returns the names of all faults, with descriptions.
    pub(super) fn all() -> Vec<(&'static str, String)> {
        let describe = |fault: &Self| match fault {
            Self::WrongId => ("wrong-id", "the node is given another cluster's id"),
            Self::StaleRecord => ("stale-record", "the bootstrap endpoint gives an old record"),
            Self::ForgedRecord => ("forged-record", "the bootstrap endpoint changes the record"),
            Self::OtherHostKey => ("other-host-key", "another host's SSH key signs the requests"),
            Self::StolenToken => ("stolen-token", "the token of another host is used"),
            Self::Denied => ("denied", "a person denies the requests"),
        };
        Self::value_variants().iter().map(describe).map(|(name, text)| (name, text.to_owned())).collect()
    }
}

/// The running parts of the demo.
struct Parts {
    layout: Layout,
    cluster: String,
    bootstrap_state: PathBuf,
    enrolment: Endpoint,
    url: String,
    _bootstrap: Bootstrap,
    _server: Server,
}

/// A command's `run`.
type Run<A> = fn(&A, &mut Context<'_>) -> Result<Exit>;

/// Runs the demo in a folder, with an injected fault.
///
/// # Errors
/// Returns an error if a step fails that should not.
pub(super) fn play(layout: &Layout, fault: Option<DynamicFault>, context: &mut Context<'_>) -> Result<Exit> {
    let began = Instant::now();
    let dir = layout.dir().display().to_string();
    context.screen.step(format_args!("A running cluster of one master, and a node that is not in it yet, in {dir}"));
    let parts = prepare(layout, context)?;
    let ended = match fault {
        None => joins(&parts, context)?,
        Some(fault) => fails(&parts, fault, context)?,
    };
    let seconds = began.elapsed().as_secs_f64();
    context.screen.step(format_args!("{ended} ({seconds:.1} s)"));
    Ok(if fault.is_some() { Exit::Findings } else { Exit::Done })
}

fn prepare(layout: &Layout, context: &mut Context<'_>) -> Result<Parts> {
    let text = format!(
        "apiVersion: clusterctl/v1\nkind: Cluster\nname: demo\nendpoint: https://127.0.0.1:6443\n\
         masters:\n- {{name: master-1, addresses: [127.0.0.1]}}\n\
         nodes:\n- {{name: {NODE}, addresses: [127.0.0.11], sealTo: [{}]}}\n- {{name: {OTHER}, addresses: [127.0.0.12]}}\n\
         enrolment:\n  policy:\n  - {{name: tokens, require: [inventory, token], then: approve}}\n\
         \x20 - {{name: keys, require: [inventory, ssh-host-key], then: approve}}\n\
         \x20 - {{name: rest, require: [inventory], then: queue}}\n",
        host_key()?.public_key()
    );
    files::write_new(&layout.cluster_file(), text.as_bytes(), files::PUBLIC)?;
    narrate(
        context,
        "cluster.yaml",
        "both nodes, and the policy: with a token a request is approved at once, else a person decides",
    );
    step(layout, context, "init-ca --plaintext-ca-key", "the cluster's root, on the admin machine", init_ca::run)?;
    step(layout, context, "issue-master --all", "the master's certificates", issue_master::run)?;
    for (words, text) in [
        ("issue-admin announcer --announcer", "the account that announces the cluster"),
        ("issue-admin signer --signer", "the account that signs, on the admin machine"),
        ("issue-admin alice --approver", "the account that approves requests"),
    ] {
        step(layout, context, words, text, issue_admin::run)?;
    }
    let env = Env { layout: layout.clone(), ..context.env.clone() };
    let dir = layout.dir().display().to_string();
    let cluster = directory::cluster(layout)?;
    let ahead = (context.clock)() - OffsetDateTime::now_utc();
    let clock: Clock = Arc::new(move || OffsetDateTime::now_utc() + ahead);
    let listen = ([127, 0, 0, 1], 0).into();
    let options = ServeOptions {
        listen: Some(listen),
        state: None,
        master: HostName::parse("master-1").ok(),
        max_connections: 100,
        max_connections_per_address: 100,
        version: env!("CARGO_PKG_VERSION"),
    };
    let server = serve::serve(&options, &cluster, &env, clock.clone())?;
    let enrolment = loopback(server.address().port())?;
    narrate(context, "serve ca", &format!("on the master, at {enrolment}: it has no CA key"));
    let bootstrap_state = layout.dir().join("bootstrap");
    let options = BootstrapOptions {
        listen,
        state: bootstrap_state.clone(),
        credential: None,
        max_connections_per_address: bootstrap::MAX_CONNECTIONS_PER_ADDRESS,
    };
    let endpoint = bootstrap::serve(&options, &env, clock)?;
    let url = loopback(endpoint.address.port())?.to_string();
    narrate(context, "serve bootstrap", &format!("outside of the cluster, at {url}: it has no secret"));
    let registration = bootstrap::create_token(&bootstrap_state, crate::cluster::lifetime::Lifetime::ONE_DAY, &env)?;
    files::write_new(&layout.dir().join("registration"), registration.to_text().as_bytes(), files::PRIVATE)?;
    let words = format!("register {url} --token-file {dir}/registration");
    step(layout, context, &words, "the cluster's id is the pin of its root", register::run)?;
    for name in ["signer", "alice"] {
        dial(layout, name, &enrolment)?;
    }
    let pin = crate::store::ca::trust(layout, crate::cluster::profile::CaRole::Cluster)?.pin();
    let parts = Parts {
        layout: layout.clone(),
        cluster: pin.as_pin(),
        bootstrap_state,
        enrolment,
        url,
        _bootstrap: endpoint,
        _server: server,
    };
    parts.announce(context)?;
    Ok(parts)
}

/// Returns a new SSH host key.
fn host_key() -> Result<SshKey> {
    SshKey::generate().map_err(|error| CliError::new(Exit::Environment, "there is no SSH key").because(error))
}

fn loopback(port: u16) -> Result<Endpoint> {
    let invalid = |error| CliError::new(Exit::Bug, "loopback is not an endpoint").because(error);
    Endpoint::parse(&format!("https://127.0.0.1:{port}")).map_err(invalid)
}

/// Makes a kubeconfig of the demo name the enrolment endpoint instead of the API server.
fn dial(layout: &Layout, name: &str, to: &Endpoint) -> Result<()> {
    let path = layout.dir().join(format!("pki/admins/{name}.conf"));
    let text = zeroize::Zeroizing::new(String::from_utf8_lossy(&files::read(&path, 1 << 20)?).into_owned());
    let dialled = zeroize::Zeroizing::new(text.replace("https://127.0.0.1:6443", &to.to_string()));
    Ok(files::replace(&path, dialled.as_bytes(), files::PRIVATE)?)
}

impl Parts {
    fn announce(&self, context: &mut Context<'_>) -> Result<()> {
        let (url, enrolment) = (&self.url, &self.enrolment);
        let dir = self.layout.dir().display();
        let words = format!("announce {url} --enrolment {enrolment} --kubeconfig {dir}/pki/admins/announcer.conf");
        step(&self.layout, context, &words, "where the master is, and which root to trust, signed", announce::run)
    }

    fn options(&self, token: Option<Token>) -> Result<JoinOptions> {
        let invalid = || CliError::new(Exit::Bug, "the demo's own names are not valid");
        let root = self.layout.dir().join("hosts").join(NODE);
        files::create_folder(&root.join("etc"))?;
        Ok(JoinOptions {
            cluster: self.cluster.strip_prefix("sha256:").and_then(Fingerprint::parse).ok_or_else(invalid)?,
            bootstrap: vec![Endpoint::parse(&self.url).map_err(|_| invalid())?],
            host: HostName::parse(NODE).map_err(|_| invalid())?,
            host_was_given: true,
            root,
            keys: KeyKind::default(),
            token,
            ssh_host_key: None,
            wait: PATIENCE,
            start: false,
        })
    }

    /// Waits until there are open requests, and returns their names.
    fn open_requests(&self, count: usize) -> Result<Vec<String>> {
        let began = Instant::now();
        loop {
            let names: Vec<String> = self.arrived()?.into_iter().map(|request| request.name).collect();
            if names.len() >= count {
                return Ok(names);
            }
            if began.elapsed() > PATIENCE {
                return Err(CliError::new(Exit::Environment, "no request arrived"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns an open request whose SSH host key proves nothing, and why.
    fn refused_proof(&self, context: &Context<'_>) -> Result<Option<(String, String)>> {
        let env = Env { layout: self.layout.clone(), ..context.env.clone() };
        let reviewed = review(self.arrived()?, None, None, &env)?;
        let failed = |one: &ReviewedRequest| {
            let requirements =
                one.decision.iter().flat_map(|decision| &decision.rules).flat_map(|rule| &rule.requirements);
            let answer = requirements.filter(|one| one.name == "ssh-host-key").find_map(|one| one.answer.clone());
            match answer {
                Some(Answer::Failed(reason)) => Some((one.request.name.clone(), reason)),
                _ => None,
            }
        };
        Ok(reviewed.iter().find_map(failed))
    }

    /// Returns the requests that are not decided, as the approver sees them.
    fn arrived(&self) -> Result<Vec<EnrolmentRequest>> {
        let path = self.layout.dir().join("pki/admins/alice.conf");
        let mailbox = crate::app::enrol::connection::connect(&path)?;
        let arrived = mailbox
            .list()
            .map_err(|error| CliError::new(Exit::Environment, "the requests cannot be listed").because(error))?;
        let open = arrived.into_iter().filter_map(|one| match one {
            crate::mailbox::Arrived::Request(request) if request.state.is_open() => Some(*request),
            _ => None,
        });
        Ok(open.collect())
    }

    /// Decides about all open requests, signs what was approved, and packs the bundle.
    fn decide(&self, context: &mut Context<'_>, verdict: &str, count: usize) -> Result<()> {
        let names = self.open_requests(count)?;
        narrate(context, "", &format!("in the queue: {}", names.join(", ")));
        let dir = self.layout.dir().display();
        let words = format!("csr {verdict} --kubeconfig {dir}/pki/admins/alice.conf {}", names.join(" "));
        let text = "by a person, with a certificate of her own";
        step(&self.layout, context, &words, text, csr::run)
    }

    fn sign(&self, context: &mut Context<'_>) -> Result<()> {
        let words = format!("signer --once --kubeconfig {}/pki/admins/signer.conf", self.layout.dir().display());
        step(
            &self.layout,
            context,
            &words,
            "on the admin machine: the key is the request's, everything else comes from cluster.yaml",
            signer::run,
        )
    }

    /// Joins while the signer judges by the policy, and no person decides.
    fn beside_signer(&self, options: JoinOptions, context: &mut Context<'_>) -> Result<Result<JoinReport, Error>> {
        beside(
            context,
            move |now| Ok(join::join(&options, now, &mut Silent)),
            |context| {
                std::thread::sleep(Duration::from_secs(1));
                self.sign(context)
            },
        )
    }

    /// Asks the master who the node is.
    fn proof(&self, context: &Context<'_>) -> Result<String> {
        let root = self.layout.dir().join("hosts").join(NODE);
        Ok(join::whoami(&root, &self.enrolment, context.env.now)?)
    }
}

/// The whole way: join, queue, approve, certificate, proof, renew, revoke.
fn joins(parts: &Parts, context: &mut Context<'_>) -> Result<String> {
    let options = parts.options(None)?;
    narrate(context, "join", &format!("{NODE} finds the cluster by its id, makes its keys, and asks"));
    let report = beside(
        context,
        |now| join::join(&options, now, &mut Silent),
        |context| {
            parts.decide(context, "approve", 2)?;
            parts.sign(context)?;
            step(&parts.layout, context, "bundle worker-1 --unencrypted", "its files, without keys", bundle::run)
        },
    )?;
    told(context, &report);
    let user = parts.proof(context)?;
    narrate(context, "", &format!("the master is reached, and knows the node as {user}"));
    let renewal = RenewOptions { root: options.root.clone(), ssh_host_key: None, wait: PATIENCE, force: true };
    narrate(context, "join --renew --force", "with the present certificate");
    let renewed = beside(
        context,
        |now| join::renew(&renewal, now, &mut Silent),
        |context| {
            parts.decide(context, "approve", 2)?;
            parts.sign(context)
        },
    )?;
    narrate(context, "", &format!("{} files were replaced by path; the keys are the same", renewed.replaced.len()));
    step(&parts.layout, context, "revoke worker-1 --yes", "the node was lost", revoke::run)?;
    // The server reads the ledger again within a second.
    std::thread::sleep(Duration::from_millis(1500));
    let renewal = RenewOptions { wait: Duration::from_secs(2), ..renewal };
    let now = context.env.now;
    match join::renew(&renewal, now, &mut Silent) {
        Err(error) => narrate(context, "join --renew --force", &format!("refused: {error}")),
        Ok(_) => return Err(CliError::new(Exit::Bug, "a revoked node was renewed")),
    }
    Ok("\nThe node joined, was renewed, and was revoked. To see a fault caught: clusterctl demo --dynamic --fault forged-record".to_owned())
}

/// A fault, and how it is caught.
fn fails(parts: &Parts, fault: DynamicFault, context: &mut Context<'_>) -> Result<String> {
    let mut options = parts.options(None)?;
    options.wait = Duration::from_secs(3);
    let id = options.cluster;
    let file = parts.bootstrap_state.join("clusters").join(format!("{id}.json"));
    let now = context.env.now;
    let result = match fault {
        DynamicFault::WrongId => {
            options.cluster = Fingerprint::of(b"another cluster");
            join::join(&options, now, &mut Silent)
        }
        DynamicFault::StaleRecord => {
            let old = files::read(&file, 1 << 20)?;
            parts.announce(context)?;
            // It has seen the newer record, and waits for a decision.
            let _ =
                join::join(&JoinOptions { wait: Duration::from_millis(500), ..parts.options(None)? }, now, &mut Silent);
            files::replace(&file, &old, files::PUBLIC)?;
            join::join(&options, now, &mut Silent)
        }
        DynamicFault::ForgedRecord => {
            let text = String::from_utf8_lossy(&files::read(&file, 1 << 20)?).into_owned();
            files::replace(&file, forged(&text).as_bytes(), files::PUBLIC)?;
            join::join(&options, now, &mut Silent)
        }
        DynamicFault::OtherHostKey => {
            options.ssh_host_key = Some(("ssh_host_ed25519_key".into(), host_key()?));
            parts.beside_signer(options, context)?
        }
        DynamicFault::StolenToken => {
            let words = format!("token create {OTHER}");
            step(&parts.layout, context, &words, "the token of another node, which is stolen", token::run)?;
            let tokens = crate::store::tokens::read(&parts.layout)?;
            options.token = tokens.all().next().map(|record| record.token.clone());
            parts.beside_signer(options, context)?
        }
        DynamicFault::Denied => beside(
            context,
            |now| Ok(join::join(&options, now, &mut Silent)),
            |context| parts.decide(context, "deny", 2),
        )?,
    };
    let caught = matches!(
        (&fault, &result),
        (DynamicFault::WrongId, Err(Error::Join(JoinError::UnknownCluster(_))))
            | (
                DynamicFault::StaleRecord,
                Err(Error::Join(JoinError::Record { source: RecordError::Stale { .. }, .. }))
            )
            | (DynamicFault::ForgedRecord, Err(Error::Join(JoinError::Record { source: RecordError::Signature, .. })))
            | (DynamicFault::Denied, Err(Error::Join(JoinError::Denied { .. })))
            | (
                DynamicFault::OtherHostKey | DynamicFault::StolenToken,
                Err(Error::Join(JoinError::Denied { .. } | JoinError::StillWaiting(_) | JoinError::NotAccepted { .. })),
            )
    );
    let cause = match fault {
        // The host only learns that nothing is decided.
        DynamicFault::OtherHostKey => parts.refused_proof(context)?,
        _ => None,
    };
    let caught = caught && (cause.is_some() || !matches!(fault, DynamicFault::OtherHostKey));
    match result {
        Err(error) if caught => {
            narrate(context, "join", &crate::app::with_causes(&error));
            if let Some((name, reason)) = cause {
                narrate(context, &format!("csr explain {name}"), &format!("ssh-host-key failed: {reason}"));
            }
            Ok("\nThe injected fault was caught: nothing was trusted, and no certificate was issued".to_owned())
        }
        Err(error) => Err(error.into()),
        Ok(_) => Err(CliError::new(Exit::Bug, "the injected fault was not caught")),
    }
}

/// Returns a record with another endpoint, and the signature as it was.
fn forged(text: &str) -> String {
    use base64ct::{Base64, Encoding};
    let mut record: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let inner = Base64::decode_vec(record["record"].as_str().unwrap_or_default()).unwrap_or_default();
    let inner = String::from_utf8_lossy(&inner).replace("127.0.0.1", "127.0.0.9");
    record["record"] = Base64::encode_string(inner.as_bytes()).into();
    record.to_string()
}

/// Runs a host's part on a thread of its own, and the admin machine's part here.
fn beside<T: Send>(
    context: &mut Context<'_>,
    host: impl FnOnce(OffsetDateTime) -> Result<T, Error> + Send,
    admin_machine: impl FnOnce(&mut Context<'_>) -> Result<()>,
) -> Result<T> {
    let now = context.env.now;
    std::thread::scope(|scope| {
        let host = scope.spawn(move || host(now));
        let admin_machine = admin_machine(context);
        let host = host.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        admin_machine?;
        Ok(host?)
    })
}

fn told(context: &mut Context<'_>, report: &JoinReport) {
    for one in &report.certificates {
        narrate(context, "", &format!("{} for the key that only the node has", one.profile.policy().name));
    }
}

fn step<A: Args>(layout: &Layout, context: &mut Context<'_>, words: &str, text: &str, run: Run<A>) -> Result<()> {
    let matches = A::augment_args(clap::Command::new("demo")).try_get_matches_from(words.split(' '));
    let args = matches
        .and_then(|matches| A::from_arg_matches(&matches))
        .map_err(|error| CliError::new(Exit::Bug, "a step of the demo is not a command").because(error))?;
    // Relative paths are below the demo's folder.
    let before = std::mem::replace(&mut context.env.layout, layout.clone());
    let was_muted = context.screen.mute(true);
    let ended = run(&args, context);
    context.screen.mute(was_muted);
    context.env.layout = before;
    ended?;
    if context.stop.is_requested() {
        return Err(CliError::new(Exit::Environment, "stopped on request; the demo's folder is removed"));
    }
    let is_shown = |word: &&str| !word.starts_with("http") && !["--kubeconfig", "--token-file"].contains(word);
    let shown: Vec<&str> = words.split(' ').take_while(is_shown).collect();
    narrate(context, &shown.join(" "), text);
    Ok(())
}

fn narrate(context: &mut Context<'_>, step: &str, text: &str) {
    context.screen.step(format_args!("  {step:<34} {text}"));
}
