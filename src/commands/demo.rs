//! `demo`: all steps in a temporary folder, against a simulated cluster on loopback. Every step runs the
//! code of the command itself.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use super::bundle;
#[cfg(feature = "server")]
use super::demo_dynamic::{self, DynamicFault};
use super::demo_rotate::{self, RotateFault};
use super::init_ca;
use super::issue_admin;
use super::issue_master;
use super::issue_node;
use super::revoke;
use super::verify::{self, ReportFormat};
use crate::app::directory;
use crate::app::threads;
use crate::cli::context::Context;
use crate::cli::error::{self, CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::profile::{CaRole, CertificateSpec};
use crate::config;
use crate::fake_cluster::cluster::{Addresses, Config, FakeCluster, Reserved, reserve};
use crate::fake_cluster::injected_fault::InjectedFault;
use crate::pki::issuer::Credential;
use crate::store::layout::Layout;
use crate::store::{ca, credentials, files};

const MASTERS: usize = 2;
const NODES: usize = 3;

/// The arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Inject a fault, to see how verify reports it
    #[arg(long, value_name = "NAME", value_parser = faults(), hide_possible_values = true, long_help = fault_help())]
    fault: Option<Fault>,
    /// Show how a node joins a running cluster instead: register, announce, join, queue, approve, proof, renew, revoke
    #[cfg(feature = "server")]
    #[arg(long, conflicts_with_all = ["output", "rotate"])]
    dynamic: bool,
    /// Show how the CA of a running cluster is replaced instead, while its hosts connect to each other all the time
    #[arg(long, conflicts_with = "output")]
    rotate: bool,
    /// Format of the report
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: ReportFormat,
    /// Keep the folder for inspection
    #[arg(long)]
    keep: bool,
}

/// A fault of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Cluster(InjectedFault),
    Rotate(RotateFault),
    #[cfg(feature = "server")]
    Dynamic(DynamicFault),
}

/// What the demo shows, and its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Cluster(Option<InjectedFault>),
    Rotate(Option<RotateFault>),
    #[cfg(feature = "server")]
    Dynamic(Option<DynamicFault>),
}

impl Fault {
    fn parse(name: &str) -> Option<Self> {
        let fault = InjectedFault::parse(name).map(Self::Cluster);
        let fault = fault.or_else(|| RotateFault::parse(name).map(Self::Rotate));
        #[cfg(feature = "server")]
        let fault = fault.or_else(|| DynamicFault::parse(name).map(Self::Dynamic));
        fault
    }

    /// Returns the faults of each demo: the demo's option, and the names of its faults with descriptions.
    fn all() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
        let in_cluster = InjectedFault::ALL.iter().map(|fault| (fault.as_str(), fault.describe().to_string()));
        vec![
            ("", in_cluster.collect()),
            ("--rotate", RotateFault::all()),
            #[cfg(feature = "server")]
            ("--dynamic", DynamicFault::all()),
        ]
    }

    /// Returns the name of the fault, as `--fault` has it.
    fn name(self) -> &'static str {
        let names = Self::all().into_iter().flat_map(|(_, faults)| faults).map(|(name, _)| name);
        names.into_iter().find(|name| Self::parse(name) == Some(self)).unwrap_or_default()
    }

    /// Returns the option of `demo` that the fault needs.
    fn option(self) -> Option<&'static str> {
        match self {
            Self::Cluster(_) => None,
            Self::Rotate(_) => Some("--rotate"),
            #[cfg(feature = "server")]
            Self::Dynamic(_) => Some("--dynamic"),
        }
    }
}

fn faults() -> impl TypedValueParser<Value = Fault> {
    let named = |name: String| Fault::parse(&name).ok_or("no such fault");
    let names = Fault::all().into_iter().flat_map(|(_, faults)| faults).map(|(name, _)| name);
    PossibleValuesParser::new(names).try_map(named)
}

fn fault_help() -> String {
    let of_demo = |(option, faults): (&str, Vec<(&str, String)>)| {
        let head = match option {
            "" => "Inject a fault, to see how verify reports it:".to_owned(),
            option => format!("With {option}:"),
        };
        let lines = faults.into_iter().map(|(name, text)| format!("  {name:<22} {text}"));
        [head].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
    };
    Fault::all().into_iter().map(of_demo).collect::<Vec<_>>().join("\n")
}

impl DemoArgs {
    /// Returns what is shown.
    ///
    /// # Errors
    /// Returns a usage error for a fault of another demo.
    fn mode(&self) -> Result<Mode> {
        #[cfg(feature = "server")]
        if self.dynamic {
            return match self.fault {
                None => Ok(Mode::Dynamic(None)),
                Some(Fault::Dynamic(fault)) => Ok(Mode::Dynamic(Some(fault))),
                Some(other) => Err(Self::other_demo(other)),
            };
        }
        match (self.rotate, self.fault) {
            (true, None) => Ok(Mode::Rotate(None)),
            (true, Some(Fault::Rotate(fault))) => Ok(Mode::Rotate(Some(fault))),
            (false, None) => Ok(Mode::Cluster(None)),
            (false, Some(Fault::Cluster(fault))) => Ok(Mode::Cluster(Some(fault))),
            (_, Some(other)) => Err(Self::other_demo(other)),
        }
    }

    fn other_demo(fault: Fault) -> CliError {
        let error = |what: &str| CliError::new(Exit::Usage, what);
        match fault.option() {
            Some(option) => {
                let hint = format!("run clusterctl demo {option} --fault {}", fault.name());
                error("this is a fault of another demo").hint(hint)
            }
            None => error("this is a fault of the plain demo").hint("leave --dynamic and --rotate out"),
        }
    }
}

/// Runs `demo`.
///
/// # Errors
/// Returns an error if loopback or the temporary folder cannot be used.
pub fn run(args: &DemoArgs, context: &mut Context<'_>) -> Result<Exit> {
    if threads::are_scarce() {
        return Err(error::too_few_threads());
    }
    let mode = args.mode()?;
    // Before the folder exists, because a signal must not leave a folder with keys behind.
    context.stop.listen();
    let folder = tempfile::Builder::new()
        .prefix("clusterctl-demo-")
        .tempdir()
        .map_err(|error| CliError::new(Exit::Environment, "there is no temporary folder").because(error))?;
    let layout = Layout::new(folder.path().to_owned());
    let ended = match mode {
        Mode::Cluster(fault) => Demo { layout, times: Times::of(fault, context.env.now), fault }.play(args, context),
        Mode::Rotate(fault) => demo_rotate::play(&layout, fault, context),
        #[cfg(feature = "server")]
        Mode::Dynamic(fault) => demo_dynamic::play(&layout, fault, context),
    };
    leave(folder, args.keep, context);
    ended
}

/// A command's `run`.
type Run<A> = fn(&A, &mut Context<'_>) -> Result<Exit>;

struct Demo {
    layout: Layout,
    times: Times,
    fault: Option<InjectedFault>,
}

/// The times of the steps: now, except for the fault of an expired root.
struct Times {
    roots: OffsetDateTime,
    certificates: OffsetDateTime,
}

impl Times {
    fn of(fault: Option<InjectedFault>, now: OffsetDateTime) -> Self {
        if fault != Some(InjectedFault::ExpiredRoot) {
            return Self { roots: now, certificates: now };
        }
        let ended = now - Duration::DAY;
        Self { roots: ended - Duration::days(10 * 365), certificates: ended - Duration::DAY }
    }
}

impl Demo {
    fn play(&mut self, args: &DemoArgs, context: &mut Context<'_>) -> Result<Exit> {
        let reserved = reserve(MASTERS, NODES).map_err(|error| {
            CliError::new(Exit::Environment, "the simulated cluster cannot listen on loopback")
                .hint("it needs 127.0.0.1, 127.0.0.2 and so on; systems other than Linux need them as aliases first")
                .because(error)
        })?;
        let dir = self.layout.dir().display();
        context.screen.step(format_args!("A cluster of {MASTERS} masters and {NODES} nodes, in {dir}"));
        self.write_cluster_file(reserved.addresses(), context)?;
        let Times { roots, certificates } = self.times;
        let text = "the cluster's root, etcd's, the front proxy's";
        self.step(context, roots, "init-ca --plaintext-ca-key", text, init_ca::run)?;
        let text = "masters' serving and client certificates";
        self.step(context, certificates, "issue-master --all", text, issue_master::run)?;
        let text = "kubelets' serving and client certificates";
        self.step(context, certificates, "issue-node --all", text, issue_node::run)?;
        let text = "one archive per host, with the masters' endpoint";
        self.step(context, certificates, "bundle --all", text, bundle::run)?;
        if self.fault == Some(InjectedFault::NotReloaded) {
            let text = "a person's kubeconfig, to be revoked";
            self.step(context, certificates, "issue-admin", text, issue_admin::run)?;
            let text = "API servers have to deny it";
            self.step(context, certificates, "revoke kubernetes-admin --yes", text, revoke::run)?;
        }
        let _running = self.start(reserved, self.fault, context)?;
        let text = match self.fault {
            None => "verification of a simulated cluster on loopback".to_owned(),
            Some(fault) => format!("verification; {}", fault.describe()),
        };
        let mut words = match self.fault.is_some_and(InjectedFault::is_warned_of) {
            true => "verify --fail-on warn".to_owned(),
            false => "verify".to_owned(),
        };
        if let Some(format) = args.output.to_possible_value().filter(|_| args.output != ReportFormat::Human) {
            words = format!("{words} --output {}", format.get_name());
        }
        narrate(context, &words, &text);
        let now = context.env.now;
        let ended = self.command(context, now, &words, true, verify::run)?;
        context.screen.step(match (self.fault, ended) {
            (None, Exit::Done) => {
                "\nAll six properties hold. To see a fault reported: clusterctl demo --fault other-ca".to_owned()
            }
            (Some(fault), Exit::Findings) => {
                format!("\nThe injected fault: {}. verify ended with exit status 1", fault.describe())
            }
            _ => "\nThis is not how the demo should end: please report it".to_owned(),
        });
        Ok(ended)
    }

    /// Writes the cluster file. `init` has no flags for the simulated cluster's ports, so the demo calls its writer.
    fn write_cluster_file(&self, addresses: &Addresses, context: &mut Context<'_>) -> Result<()> {
        let draft = addresses.draft("demo");
        files::write_new(&self.layout.cluster_file(), config::write(&draft).as_bytes(), files::PUBLIC)?;
        narrate(context, "cluster.yaml", "the list of masters and nodes");
        Ok(())
    }

    fn step<A: Args>(
        &self,
        context: &mut Context<'_>,
        now: OffsetDateTime,
        words: &str,
        text: &str,
        run: Run<A>,
    ) -> Result<()> {
        self.command(context, now, words, false, run)?;
        let stopped = || CliError::new(Exit::Environment, "stopped on request; the demo's folder is removed");
        if context.stop.is_requested() {
            return Err(stopped());
        }
        narrate(context, words, text);
        Ok(())
    }

    /// Runs a command in the demo's directory. Its output is muted unless `shown` is set.
    fn command<A: Args>(
        &self,
        context: &mut Context<'_>,
        now: OffsetDateTime,
        words: &str,
        shown: bool,
        run: Run<A>,
    ) -> Result<Exit> {
        let matches = A::augment_args(clap::Command::new("demo")).try_get_matches_from(words.split(' '));
        let args = matches
            .and_then(|matches| A::from_arg_matches(&matches))
            .map_err(|error| CliError::new(Exit::Bug, "a step of the demo is not a command").because(error))?;
        let layout = std::mem::replace(&mut context.env.layout, self.layout.clone());
        let before = std::mem::replace(&mut context.env.now, now);
        let was_muted = context.screen.mute(!shown);
        let ended = run(&args, context);
        context.screen.mute(was_muted);
        context.env.now = before;
        context.env.layout = layout;
        ended
    }

    fn start(&self, reserved: Reserved, fault: Option<InjectedFault>, context: &Context<'_>) -> Result<FakeCluster> {
        let cluster = directory::cluster(&self.layout)?;
        let trust = ca::trust(&self.layout, CaRole::Cluster)?;
        let issuer = ca::open(&self.layout, CaRole::Cluster, None)?.into_issuer(context.env.now);
        let stored = |spec: &CertificateSpec| -> Result<Credential> {
            let missing = |_| CliError::new(Exit::Bug, "the demo's own credentials are missing");
            Ok(credentials::read(&self.layout, spec).map_err(missing)?.credential)
        };
        let config = Config::assemble(cluster, &trust, issuer.as_ref().ok(), fault, context.env.now, stored)?;
        reserved
            .start(config)
            .map_err(|error| CliError::new(Exit::Environment, "the simulated cluster does not start").because(error))
    }
}

fn narrate(context: &mut Context<'_>, step: &str, text: &str) {
    context.screen.step(format_args!("  {step:<28} {text}"));
}

fn leave(folder: TempDir, keep: bool, context: &mut Context<'_>) {
    if keep {
        let path = folder.keep();
        match context.screen.quiet() {
            // The folder has keys: print its path, so that the user can remove it.
            true => context.screen.answer(path.display()),
            false => context.screen.step(format_args!("The folder is kept: {}", path.display())),
        }
    }
}
