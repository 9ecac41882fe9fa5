//! `import-ca`: imports a CA that another tool made.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::app::ca::{self, ImportCaError, ImportOptions, KeyProtection, ToolLayout};
use crate::app::ledger::{self, AdoptOptions};
use crate::cli::args::ca_passphrase::{NewPassphraseArgs, holders};
use crate::cli::args::output::OutputFormat;
use crate::cli::args::passphrase_file::passphrase_of_file;
use crate::cli::args::pins::PinsOf;
use crate::cli::context::{Context, known_host};
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cli::output::imported;
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::pki::key::KeyError;
use crate::pki::passphrase::Passphrase;

/// The environment variable that may hold the passphrase of the key to be imported.
const VARIABLE: &str = "CLUSTERCTL_KEY_PASSPHRASE";
/// The number of attempts to enter the passphrase.
const TRIES: usize = 3;

/// The arguments of `import-ca`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["cert", "from_kubeadm", "from_k3s"]))]
pub struct ImportCaArgs {
    /// The CA's certificate, as PEM or DER; in PEM, the certificates above it may follow in the file
    #[arg(long, value_name = "FILE", requires = "role", value_hint = clap::ValueHint::FilePath)]
    cert: Option<PathBuf>,
    /// The CA's private key, as PEM or DER: PKCS#8, PKCS#1 or SEC 1, encrypted or not
    /// [default: the key stays with the signer that cluster.yaml names (signers)]
    #[arg(long, value_name = "FILE", requires = "cert", value_hint = clap::ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// Import all CAs and the service accounts' key of a kubeadm control plane: /etc/kubernetes, or its pki folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    from_kubeadm: Option<PathBuf>,
    /// Import all CAs and the service accounts' key of a k3s server: /var/lib/rancher/k3s/server, or its tls folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    from_k3s: Option<PathBuf>,
    /// The certificates above an intermediate, with the root
    #[arg(long, value_name = "FILE", requires = "cert", value_hint = clap::ValueHint::FilePath)]
    chain: Option<PathBuf>,
    /// What the CA signs for
    #[arg(long = "as", value_name = "ROLE", requires = "cert")]
    role: Option<Role>,
    /// File with the passphrase of the key that is imported [env: CLUSTERCTL_KEY_PASSPHRASE holds the passphrase itself]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    key_passphrase_file: Option<PathBuf>,
    /// The host whose files these are, for certificates that do not name their host
    #[arg(long, value_name = "HOST", value_parser = HostName::parse, conflicts_with = "cert")]
    host: Option<HostName>,
    #[command(flatten)]
    passphrase: NewPassphraseArgs,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

/// `--as`
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Nodes, API servers and administrators
    Cluster,
    /// etcd's members and clients
    Etcd,
    /// Extension API servers' front proxy
    FrontProxy,
}

impl Role {
    fn of_ca(self) -> CaRole {
        match self {
            Self::Cluster => CaRole::Cluster,
            Self::Etcd => CaRole::Etcd,
            Self::FrontProxy => CaRole::FrontProxy,
        }
    }
}

/// Runs `import-ca`.
///
/// # Errors
/// Returns the errors of [`ca::plan`], [`ca::plan_directory`], the passphrases, the keys and the files.
pub fn run(args: &ImportCaArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let _lock = context.lock("import-ca")?;
    let env = context.env.clone();
    if let Some(host) = &args.host {
        known_host(host, &cluster)?;
    }
    if let Some((tool, folder)) = args.tool() {
        let plan = ca::plan_directory(tool, &context.path(folder), &cluster, &env)?;
        let keys = open(&|passphrase| plan.open(passphrase), args.key_passphrase_file.as_deref(), context)?;
        let protection = args.passphrase.protection(cluster.name.as_str(), context)?;
        let files = plan.certificate_files().to_vec();
        let report = plan.apply(&keys, &protection)?;
        let adopted = ledger::adopt(&AdoptOptions { files, host: args.host.clone() }, &env);
        imported::show_directory(&report, adopted.as_ref().ok(), args.output, &mut context.screen);
        return match adopted {
            Ok(_) => Ok(Exit::Done),
            Err(error) => Err(CliError::from(error).hint(format!(
                "the CAs are imported; to record the certificates that they issued: clusterctl ledger adopt {}",
                folder.display()
            ))),
        };
    }
    let (Some(cert), Some(role)) = (&args.cert, args.role.map(Role::of_ca)) else {
        return Err(CliError::new(Exit::Usage, "--cert and --as belong together"));
    };
    let options = ImportOptions {
        certificate: context.input(cert),
        key: args.key.as_ref().map(|path| context.input(path)),
        chain: args.chain.as_ref().map(|path| context.input(path)),
        role,
    };
    let plan = ca::plan(options, &cluster, &env)?;
    let key = match holders(&[role], &cluster, context).pop() {
        Some(holder) => plan.hold(holder.key(None, &mut PinsOf(context))?)?,
        None => open(&|passphrase| plan.open(passphrase), args.key_passphrase_file.as_deref(), context)?,
    };
    let protection = match plan.is_held() {
        true => KeyProtection::None,
        false => args.passphrase.protection(cluster.name.as_str(), context)?,
    };
    let report = plan.apply(&key, &protection)?;
    imported::show(&report, args.output, &mut context.screen);
    Ok(Exit::Done)
}

impl ImportCaArgs {
    /// Returns the tool whose folder is imported.
    fn tool(&self) -> Option<(ToolLayout, &Path)> {
        let kubeadm = self.from_kubeadm.as_deref().map(|folder| (ToolLayout::Kubeadm, folder));
        kubeadm.or_else(|| self.from_k3s.as_deref().map(|folder| (ToolLayout::K3s, folder)))
    }
}

/// Opens keys with a passphrase, where they need one.
type Opener<'p, T> = &'p dyn Fn(Option<&Passphrase>) -> Result<T, ImportCaError>;

/// Opens the key with the given passphrase, or prompts for it if the key is encrypted.
///
/// # Errors
/// Returns the errors of `open`, or a usage error if the key is encrypted, and there is neither a passphrase nor a terminal.
pub(super) fn open<T>(open: Opener<'_, T>, passphrase: Option<&Path>, context: &mut Context<'_>) -> Result<T> {
    let given = match passphrase {
        Some(path) => Some(passphrase_of_file(path, context)?),
        None => context.variable(VARIABLE).map(|text| Passphrase::new(text.to_owned())),
    };
    let closed = match open(given.as_ref()) {
        Err(error @ ImportCaError::Key { source: KeyError::PassphraseNeeded, .. }) => error,
        other => return Ok(other?),
    };
    let Some(prompts) = &mut context.prompts else {
        return Err(CliError::new(Exit::Usage, "the CA's key is encrypted, and there is no terminal to ask on")
            .hint(format!("give its passphrase with --key-passphrase-file FILE or {VARIABLE}"))
            .because(closed));
    };
    for left in (0..TRIES).rev() {
        let typed = prompts
            .passphrase("Passphrase of the key that is imported")
            .map_err(no_answer("no passphrase was typed"))?;
        match open(Some(&typed)) {
            Err(ImportCaError::Key { source: KeyError::WrongPassphrase, .. }) if left > 0 => {
                context.screen.warn("the passphrase is wrong, try again");
            }
            other => return Ok(other?),
        }
    }
    Err(closed.into())
}
