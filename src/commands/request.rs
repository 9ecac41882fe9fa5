//! `request`: generates a host's keys on the host itself, and writes the request for their certificates.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::request::{RequestOptions, request};
use crate::cli::args::output::OutputFormat;
use crate::cli::args::ssh_keys::NamedKey;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::requests;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;

/// The arguments of `request`.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// The host's name in cluster.yaml
    #[arg(value_name = "HOST", value_parser = parse_host)]
    host: HostName,
    /// The folder that stands for /, for example a mounted image: the keys are made in its var/lib/kubelet/pki
    #[arg(long, value_name = "FOLDER", default_value = "/", value_hint = clap::ValueHint::DirPath)]
    root: PathBuf,
    /// The request's file [default: HOST.request in the current folder]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    out: Option<PathBuf>,
    /// The type of new keys: ecdsa-p256, ecdsa-p384 or ed25519
    #[arg(long, value_name = "TYPE", default_value = "ecdsa-p256", value_parser = parse_kind)]
    keys: KeyKind,
    /// The host's SSH private key: it signs the request, so that clusterctl sign can verify which host sent it
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    ssh_host_key: Option<PathBuf>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

pub(super) fn parse_host(text: &str) -> Result<HostName, String> {
    HostName::parse(text).map_err(|error| error.to_string())
}

pub(super) fn parse_kind(text: &str) -> Result<KeyKind, String> {
    let found = KeyKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| "it is none of ecdsa-p256, ecdsa-p384, ed25519".to_owned())
}

/// Runs `request`.
///
/// # Errors
/// Returns the errors of [`request()`].
pub fn run(args: &RequestArgs, context: &mut Context<'_>) -> Result<Exit> {
    let out = args.out.clone().unwrap_or_else(|| Path::new(&format!("{}.request", args.host)).to_owned());
    let ssh_host_key = match &args.ssh_host_key {
        Some(path) => {
            let path = context.path(path);
            let key = NamedKey { what: "SSH host key", path: &path, passphrase_file: None, flag: None };
            Some(key.unlock(&key.read()?, context)?)
        }
        None => None,
    };
    let options = RequestOptions {
        host: args.host.clone(),
        root: context.path(&args.root),
        keys: args.keys,
        out: context.path(&out),
        ssh_host_key,
        now: context.env.now,
    };
    requests::show(&request(&options)?, args.output, &mut context.screen);
    Ok(Exit::Done)
}
