//! `bundle`: one archive for each host, with everything that it needs to find and trust the others.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::app::package::encryption::Encryption;
use crate::app::package::{PackageError, PackageOptions, Packager, Selection, templates, versions};
use crate::bundle::format::Format;
use crate::cli::args::encryption::EncryptionArgs;
use crate::cli::args::hosts::expanded;
use crate::cli::args::output::OutputFormat;
use crate::cli::args::signing::SigningArgs;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::bundles;
use crate::cluster::spec::Cluster;
use crate::ui::Screen;

/// The arguments of `bundle`.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// Hosts, by their names in the cluster file: also lists as in a,b and patterns as in 'worker-*'
    #[arg(value_name = "HOST", add = super::completions::hosts())]
    hosts: Vec<String>,
    /// All masters and nodes of the cluster file
    #[arg(long, conflicts_with = "hosts")]
    all: bool,
    /// Pack verifier.tar.gz instead: what CI needs to run verify. It has no CA key, but it has the client key that
    /// masters present to kubelets: keep it secret
    #[arg(long, conflicts_with_all = ["hosts", "all", "encrypt_to", "known_hosts", "discard_keys"])]
    verifier: bool,
    /// Format of the bundles: an archive to unpack, a folder to copy, user-data for cloud-init, or a config for
    /// Ignition
    #[arg(long, value_name = "FORMAT", default_value = Format::TarGz.as_str(), value_parser = formats(), conflicts_with = "verifier")]
    format: Format,
    /// Replace built-in templates with the files of the same path in this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
    /// The versions in a master's static pods, in place of those in the cluster file: kubernetesVersion, etcdVersion,
    /// imageRepository
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "verifier")]
    set: Vec<String>,
    /// Also pack systemd units for the host's programs, for hosts whose packages have none; withUnits in the cluster
    /// file does so every time
    #[arg(long, conflicts_with = "verifier")]
    with_units: bool,
    /// Write the built-in templates into this folder, as a starting point, and do nothing else
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, conflicts_with_all = ["hosts", "all", "templates"])]
    eject_templates: Option<PathBuf>,
    /// Format of the report
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t, conflicts_with_all = ["verifier", "eject_templates"])]
    output: OutputFormat,
    #[command(flatten)]
    encryption: EncryptionArgs,
    #[command(flatten)]
    signing: SigningArgs,
}

pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    let named = |name: String| Format::ALL.into_iter().find(|format| format.as_str() == name);
    PossibleValuesParser::new(Format::ALL.map(Format::as_str)).try_map(move |name| named(name).ok_or("no such format"))
}

/// Runs `bundle`.
///
/// # Errors
/// Returns the errors of [`Packager::plan`] and [`crate::app::package::Plan::apply`], or a refusal if some hosts could
/// not be packed.
pub fn run(args: &BundleArgs, context: &mut Context<'_>) -> Result<Exit> {
    if let Some(folder) = &args.eject_templates {
        return eject(&context.path(folder), &mut context.screen);
    }
    let packager = Packager { cluster: context.cluster()?, env: context.env.clone() };
    let templates = args.templates.as_ref().map(|folder| context.path(folder));
    match args.verifier {
        true => pack_verifier(args, &packager, templates.as_deref(), context),
        false => pack(args, &packager, templates, context),
    }
}

fn pack(args: &BundleArgs, packager: &Packager, templates: Option<PathBuf>, context: &mut Context<'_>) -> Result<Exit> {
    let options = options(args, &packager.cluster, templates.clone(), context)?;
    let key = options.signing_key.clone();
    let began = Instant::now();
    let report = packager.plan(options, &mut context.observer())?.apply(&mut context.observer())?;
    bundles::show(&report, args.output, began.elapsed().as_secs_f64(), &packager.env.layout, &mut context.screen);
    if args.all {
        let refreshed =
            packager.refresh_verifier_bundle(templates.as_deref(), key.as_deref(), &mut context.observer())?;
        bundles::show_refreshed(&refreshed, &packager.env.layout, &mut context.screen);
    }
    match report.refusal() {
        Some(refusal) => Err(PackageError::Refused(refusal).into()),
        None => Ok(Exit::Done),
    }
}

fn options<'c>(
    args: &BundleArgs,
    cluster: &'c Cluster,
    templates: Option<PathBuf>,
    context: &mut Context<'_>,
) -> Result<PackageOptions<'c>> {
    let hosts = match args.all {
        true => Selection::all(cluster),
        false => {
            let known = cluster.masters.iter().chain(&cluster.nodes).map(|host| host.name.as_str());
            Selection::named(cluster, &expanded(&args.hosts, known)?)?
        }
    };
    let encryption = Encryption::plan(&hosts, cluster, args.format, &args.encryption.recipients(context.dir)?)?;
    Ok(PackageOptions {
        hosts,
        format: args.format,
        settings: versions::settings(cluster, &args.set, args.with_units)?,
        overrides_versions: !args.set.is_empty(),
        templates,
        encryption,
        discard_keys: args.encryption.discard_keys,
        signing_key: args.signing.key(args.format, context)?.map(Arc::new),
    })
}

fn pack_verifier(
    args: &BundleArgs,
    packager: &Packager,
    templates: Option<&Path>,
    context: &mut Context<'_>,
) -> Result<Exit> {
    let key = args.signing.key(args.format, context)?;
    let report = packager.verifier_bundle(templates, key.as_ref(), &mut context.observer())?;
    context.screen.answer(report.path.display());
    context.screen.step(
        "Use it with: clusterctl verify --from verifier.tar.gz   (apply policy/clusterctl-verifier.yaml from it once)",
    );
    for warning in &report.warnings {
        bundles::warn(warning, &packager.env.layout, &mut context.screen);
    }
    Ok(Exit::Done)
}

fn eject(folder: &Path, screen: &mut Screen<'_>) -> Result<Exit> {
    for path in templates::eject(folder)? {
        screen.answer(path.display());
    }
    let folder = folder.display();
    screen.step(format_args!("Change what you need, and use it with: clusterctl bundle --templates {folder}"));
    Ok(Exit::Done)
}
