//! `demo --rotate`: the cluster's CA is replaced on a simulated cluster, while its hosts connect to each other all the time.
//! Every step runs the code of the command itself.

use std::time::Instant;

use clap::{Args, ValueEnum};

use super::{apply, backup, init_ca, rotate_ca, verify};
use crate::app::directory;
use crate::bundle::archive;
use crate::bundle::model::Bundle;
use crate::bundle::paths;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::profile::{CaRole, CertificateSpec, Profile};
use crate::cluster::spec::{Cluster, Host};
use crate::config;
use crate::fake_cluster::cluster::{Config, FakeCluster, reserve};
use crate::fake_cluster::traffic::{Connected, Traffic};
use crate::pki::certificate::Certificate;
use crate::pki::issuer::Credential;
use crate::pki::key::PrivateKey;
use crate::pki::pem;
use crate::pki::rotation::Phase;
use crate::store::layout::Layout;
use crate::store::{ca, credentials, files};

const MASTERS: usize = 2;
const NODES: usize = 3;
/// The host of the fault.
const LEFT_OUT: &str = "node-2";
/// The file of the backup's passphrase.
const PASSPHRASE: &str = "passphrase";
/// The largest bundle that is read, in bytes.
const MAX_BUNDLE: u64 = 16 << 20;
/// The phases that the demo begins, one after the other.
const PHASES: [Phase; 5] = [Phase::TrustBoth, Phase::Canary, Phase::Servers, Phase::Clients, Phase::DropOld];

/// A fault of `demo --rotate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RotateFault {
    /// A host does not get the bundle of phase 1
    LeftOut,
    /// A host does not get the bundle of phase 5
    StillTrustsOld,
}

impl RotateFault {
    pub(super) fn parse(name: &str) -> Option<Self> {
        <Self as ValueEnum>::from_str(name, false).ok()
    }

    /// Returns the names of all faults, with descriptions.
    pub(super) fn all() -> Vec<(&'static str, String)> {
        let describe = |fault: &Self| match fault {
            Self::LeftOut => ("left-out", "a node does not get the bundle of phase 1"),
            Self::StillTrustsOld => ("still-trusts-old", "a node does not get the bundle of phase 5"),
        };
        Self::value_variants().iter().map(describe).map(|(name, text)| (name, text.to_owned())).collect()
    }

    fn phase(self) -> Phase {
        match self {
            Self::LeftOut => Phase::TrustBoth,
            Self::StillTrustsOld => Phase::DropOld,
        }
    }
}

/// The running cluster.
struct Running {
    layout: Layout,
    cluster: Cluster,
    servers: FakeCluster,
    traffic: Traffic,
}

/// A command's `run`.
type Run<A> = fn(&A, &mut Context<'_>) -> Result<Exit>;

/// Runs the demo in a folder, with an injected fault.
///
/// # Errors
/// Returns an error if loopback cannot be used, or a step fails that should not.
pub(super) fn play(layout: &Layout, fault: Option<RotateFault>, context: &mut Context<'_>) -> Result<Exit> {
    let began = Instant::now();
    let running = prepare(layout, context)?;
    step(layout, context, "rotate-ca start", "the new root, beside the old one; no host has it", rotate_ca::run)?;
    let file = layout.dir().join("demo.age");
    let words = format!("backup {} --passphrase-file {}", file.display(), layout.dir().join(PASSPHRASE).display());
    step(layout, context, &words, "the new key is only here", backup::run)?;
    for phase in PHASES {
        let text = format!("phase {} ({}): {}", phase.number(), phase.as_str(), describe(phase));
        step(layout, context, "rotate-ca next --no-wait", &text, rotate_ca::run)?;
        step(layout, context, "apply", "the bundles of the phase", apply::run)?;
        let is_at_fault = fault.is_some_and(|fault| fault.phase() == phase);
        running.install(|host| !is_at_fault || host != LEFT_OUT, context)?;
        if is_at_fault {
            return fails(layout, phase, context);
        }
    }
    let text = "phase 6 (retire): the old key is deleted";
    step(layout, context, "rotate-ca next --no-wait --yes", text, rotate_ca::run)?;
    step(layout, context, "verify", "every property holds, with only the new root", verify::run)?;
    let Connected { accepted, refused } = running.traffic.round();
    let seconds = began.elapsed().as_secs_f64();
    if let Some(refused) = refused.first() {
        let what = format!("{} was refused at {}: {}", refused.from, refused.to, refused.reason);
        return Err(CliError::new(Exit::Bug, what));
    }
    context.screen.step(format_args!(
        "\nThe CA was replaced: {accepted} connections between the hosts meanwhile, none refused ({seconds:.1} s). To see a \
         host that was left out: clusterctl demo --rotate --fault left-out"
    ));
    Ok(Exit::Done)
}

/// Returns what a phase means for hosts.
fn describe(phase: Phase) -> &'static str {
    match phase {
        Phase::Prepare => "the new root exists",
        Phase::TrustBoth => "all hosts trust both roots",
        Phase::Canary => "one master and one node present certificates issued by the new CA",
        Phase::Servers => "all servers present certificates issued by the new CA",
        Phase::Clients => "all clients present certificates issued by the new CA",
        Phase::DropOld => "all hosts trust only the new root",
    }
}

fn prepare(layout: &Layout, context: &mut Context<'_>) -> Result<Running> {
    let reserved = reserve(MASTERS, NODES).map_err(|error| {
        CliError::new(Exit::Environment, "the simulated cluster cannot listen on loopback")
            .hint("it needs 127.0.0.1, 127.0.0.2 and so on; systems other than Linux need them as aliases first")
            .because(error)
    })?;
    let dir = layout.dir().display();
    context.screen.step(format_args!("The CA of a running cluster of {MASTERS} masters and {NODES} nodes, in {dir}"));
    let addresses = reserved.addresses().clone();
    files::write_new(&layout.cluster_file(), config::write(&addresses.draft("demo")).as_bytes(), files::PUBLIC)?;
    files::write_new(
        &layout.dir().join(PASSPHRASE),
        b"only the demo's own backup has this passphrase\n",
        files::PRIVATE,
    )?;
    step(layout, context, "init-ca --plaintext-ca-key", "the root that is replaced later", init_ca::run)?;
    step(layout, context, "apply", "certificates, and one bundle per host", apply::run)?;
    let cluster = directory::cluster(layout)?;
    let trust = ca::trust(layout, CaRole::Cluster)?;
    let issuer = ca::open(layout, CaRole::Cluster, None)?.into_issuer(context.env.now);
    let stored = |spec: &CertificateSpec| -> Result<Credential> {
        Ok(credentials::read(layout, spec).map_err(|_| damaged())?.credential)
    };
    let config = Config::assemble(cluster.clone(), &trust, issuer.as_ref().ok(), None, context.env.now, stored)?;
    let servers = reserved
        .start(config)
        .map_err(|error| CliError::new(Exit::Environment, "the simulated cluster does not start").because(error))?;
    let traffic = Traffic::start(&cluster, &addresses);
    let running = Running { layout: layout.clone(), cluster, servers, traffic };
    running.install(|_| true, context)?;
    Ok(running)
}

/// Checks that the phase cannot be proven while a host lacks its bundle, and that the error names the host.
fn fails(layout: &Layout, phase: Phase, context: &mut Context<'_>) -> Result<Exit> {
    match run(layout, context, "rotate-ca next --no-wait --yes", rotate_ca::run) {
        Err(error) if error.exit() == Exit::Findings => {
            let report = error.report();
            narrate(context, "rotate-ca next --no-wait", &report.error);
            for line in report.hint.iter().flat_map(|hint| hint.lines()) {
                narrate(context, "", line);
            }
        }
        Err(error) => return Err(error),
        Ok(_) => return Err(CliError::new(Exit::Bug, "the host that was left out was not noticed")),
    }
    let is_kept = ca::trust(layout, CaRole::Cluster)?.rotation().is_some_and(|rotation| rotation.phase == phase);
    if !is_kept {
        return Err(CliError::new(Exit::Bug, "the next phase began without its proof"));
    }
    context.screen.step(format_args!(
        "\nThe injected fault was found: {LEFT_OUT} did not get its bundle, and phase {} goes on until it has",
        phase.number()
    ));
    Ok(Exit::Findings)
}

impl Running {
    /// Installs the present bundles of the chosen hosts, and lets the simulated programs read them, as after install.sh.
    fn install(&self, is_chosen: impl Fn(&str) -> bool, context: &mut Context<'_>) -> Result<()> {
        let hosts = self.cluster.masters.iter().map(|host| (host, true));
        let hosts = hosts.chain(self.cluster.nodes.iter().map(|host| (host, false)));
        let mut count = 0;
        for (host, is_master) in hosts.filter(|(host, _)| is_chosen(host.name.as_str())) {
            self.install_on(host, is_master)?;
            count += 1;
        }
        let Connected { accepted, refused } = self.traffic.round();
        let text = match refused.first() {
            None => format!("on {count} hosts; {accepted} connections between the hosts until now, none refused"),
            Some(first) => format!("on {count} hosts; {} was refused at {}: {}", first.from, first.to, first.reason),
        };
        narrate(context, "install.sh", &text);
        Ok(())
    }

    fn install_on(&self, host: &Host, is_master: bool) -> Result<()> {
        let bytes = files::read(&self.layout.bundle(&host.name), MAX_BUNDLE)?;
        let bundle = archive::read(&bytes)
            .map_err(|error| CliError::new(Exit::Bug, "a bundle of the demo cannot be read").because(error))?;
        let (server, client) = match is_master {
            true => (Profile::Apiserver, Profile::ApiserverKubeletClient),
            false => (Profile::KubeletServer, Profile::KubeletClient),
        };
        let roots = file(&bundle, paths::CA).and_then(certificates).ok_or_else(damaged)?;
        let (server, client) = (credential(&bundle, server)?, credential(&bundle, client)?);
        let failed = |error| CliError::new(Exit::Bug, "a bundle of the demo cannot be installed").because(error);
        self.servers.install(host.name.as_str(), &server, &roots).map_err(failed)?;
        self.traffic.install(host.name.as_str(), &client, &roots).map_err(failed)
    }
}

fn file<'b>(bundle: &'b Bundle, path: &str) -> Option<&'b [u8]> {
    bundle.file(path).map(|file| &*file.bytes)
}

fn certificates(text: &[u8]) -> Option<Vec<Certificate>> {
    pem::certificates(text).ok()?.into_iter().map(|der| Certificate::from_der(der).ok()).collect()
}

fn credential(bundle: &Bundle, profile: Profile) -> Result<Credential> {
    let read = || -> Option<Credential> {
        let path = paths::key_of(profile)?;
        let key = PrivateKey::from_pem(file(bundle, &path)?).ok()?;
        let mut chain = certificates(file(bundle, &path.replace(".key", ".crt"))?)?.into_iter();
        Some(Credential { certificate: chain.next()?, chain: chain.collect(), key })
    };
    read().ok_or_else(damaged)
}

fn damaged() -> CliError {
    CliError::new(Exit::Bug, "the demo's own credentials are missing")
}

fn step<A: Args>(layout: &Layout, context: &mut Context<'_>, words: &str, text: &str, command: Run<A>) -> Result<()> {
    let ended = run(layout, context, words, command)?;
    if ended != Exit::Done {
        return Err(CliError::new(Exit::Bug, format!("a step of the demo did not succeed: {words}")));
    }
    if context.stop.is_requested() {
        return Err(CliError::new(Exit::Environment, "stopped on request; the demo's folder is removed"));
    }
    let shown: Vec<&str> = words.split(' ').take_while(|word| !word.starts_with(['/', '\\'])).collect();
    narrate(context, &shown.join(" "), text);
    Ok(())
}

/// Runs a command in the demo's directory, without its output.
fn run<A: Args>(layout: &Layout, context: &mut Context<'_>, words: &str, command: Run<A>) -> Result<Exit> {
    let matches = A::augment_args(clap::Command::new("demo")).try_get_matches_from(words.split(' '));
    let args = matches
        .and_then(|matches| A::from_arg_matches(&matches))
        .map_err(|error| CliError::new(Exit::Bug, "a step of the demo is not a command").because(error))?;
    let layout = std::mem::replace(&mut context.env.layout, layout.clone());
    let before = std::mem::replace(&mut context.env.now, (context.clock)());
    let was_muted = context.screen.mute(true);
    let ended = command(&args, context);
    context.screen.mute(was_muted);
    context.env.now = before;
    context.env.layout = layout;
    ended
}

fn narrate(context: &mut Context<'_>, step: &str, text: &str) {
    context.screen.step(format_args!("  {step:<30} {text}"));
}
