//! Which bundle is sealed to whom: from the command line, from SSH's known_hosts, or as the cluster file says.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use clap::Args;
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use crate::bundle::format::{Format, sealed_name};
use crate::bundle::input::Roles;
use crate::bundle::seal::Sealer;
use crate::cli::args::secrets;
use crate::cli::context::{Context, read_given};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::recipient::{Recipient, RecipientError, may_be_secret};
use crate::cluster::spec::{Cluster, Host};
use crate::pki::known_hosts::{KnownHostError, KnownHosts};
use crate::store::error::StoreError;
use crate::store::files;

/// No file of recipients is larger than this, in bytes. A hundred thousand hosts need a third of it.
const LIMIT: u64 = 64 * 1024 * 1024;
/// How many hosts without a recipient an error names.
const NAMED: usize = 5;

/// The flags that seal.
#[derive(Debug, Args)]
pub(crate) struct SealArgs {
    /// Seal every bundle to this: age1…, "ssh-ed25519 AAAA…", or a file of such lines. Also several times; in place of what
    /// sealTo in the cluster file says
    #[arg(long, value_name = "RECIPIENT|FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "verifier")]
    seal_to: Vec<String>,
    /// Seal each bundle to its host's own SSH host key, found in this known_hosts file by the host's name or addresses; in
    /// place of what sealTo in the cluster file says
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "verifier")]
    known_hosts: Option<PathBuf>,
    /// Write the bundles in the clear, whatever sealTo in the cluster file says
    #[arg(long, conflicts_with_all = ["seal_to", "known_hosts"])]
    unsealed: bool,
    /// Once the sealed bundles are written, remove the nodes' keys from this directory: their hosts alone have them then
    #[arg(long, conflicts_with_all = ["unsealed", "verifier"])]
    forget_keys: bool,
}

/// Whom the bundle of each host is sealed to. Every host has somebody, and every key is usable.
pub(crate) struct Sealing<'c>(HashMap<&'c str, Vec<Recipient>>);

impl Sealing<'_> {
    /// Whom the bundle of `host` is sealed to, in order.
    pub(crate) fn recipients(&self, host: &str) -> &[Recipient] {
        self.0.get(host).map_or(&[], Vec::as_slice)
    }

    /// What seals the bundle of `host`.
    ///
    /// # Errors
    /// None that [`SealArgs::plan`] did not look for.
    pub(crate) fn sealer(&self, host: &str) -> Result<Sealer> {
        Sealer::new(self.recipients(host)).map_err(|error| cannot(host, error))
    }
}

fn cannot(host: &str, error: impl std::error::Error + Send + Sync + 'static) -> CliError {
    CliError::new(Exit::Usage, format!("the bundle of {host} cannot be sealed, so nothing was packed")).because(error)
}

impl SealArgs {
    /// Whom the bundles of `hosts` are sealed to; `None` when nobody asked for sealing: neither the command line, nor, for any
    /// of these hosts, the cluster file.
    ///
    /// # Errors
    /// A usage error for what is no recipient; refused when a host has none. Nothing is written then, for anyone.
    pub(crate) fn plan<'c>(
        &self,
        hosts: &[Roles<'c>],
        cluster: &Cluster,
        format: Format,
        context: &Context<'_>,
    ) -> Result<Option<Sealing<'c>>> {
        if self.unsealed {
            return Ok(None);
        }
        let everyone = self.everyone(context)?;
        let known = self.known_hosts.as_ref().map(|path| known_hosts(&context.path(path))).transpose()?;
        let by_file = everyone.is_empty() && known.is_none();
        if by_file && hosts.iter().all(|roles| declared(roles).is_empty()) {
            return Ok(None);
        }
        if format != Format::TarGz {
            let what = format!("--format {} cannot be sealed", format.as_str());
            let hint =
                "only the archive can: leave --format away, or say --unsealed where sealTo in cluster.yaml asks for it";
            return Err(CliError::new(Exit::Usage, what).hint(hint));
        }
        let one = |roles: &Roles<'c>| -> Result<(&'c str, Vec<Recipient>), (&'c str, KnownHostError)> {
            let host = roles.host().as_str();
            let own = match &known {
                Some(known) => vec![known.key_of(&names(roles)).map_err(|error| (host, error))?],
                None if by_file => declared(roles),
                None => Vec::new(),
            };
            let mut recipients = everyone.clone();
            recipients.extend(own);
            recipients.sort_unstable();
            recipients.dedup();
            Ok((host, recipients))
        };
        let planned: Vec<_> = hosts.par_iter().map(one).collect();
        let mut plan = HashMap::with_capacity(planned.len());
        let mut lacking = Vec::new();
        for result in planned {
            match result {
                Ok((host, recipients)) if recipients.is_empty() => lacking.push(format!("{host}: it has no sealTo")),
                Ok((host, recipients)) => drop(plan.insert(host, recipients)),
                Err((host, error)) => lacking.push(format!("{host}: {}", in_full(&error))),
            }
        }
        if !lacking.is_empty() {
            return Err(nobody(&lacking, known.is_some()));
        }
        if let Some(known) = &known {
            no_two_share(&plan, &everyone, cluster, known)?;
        }
        let sealing = Sealing(plan);
        // Every key is looked at before the first bundle is written.
        sealing.0.par_iter().try_for_each(|(host, _)| sealing.sealer(host).map(drop))?;
        Ok(Some(sealing))
    }

    /// Whether keys are to be forgotten.
    ///
    /// # Errors
    /// A usage error when nothing is sealed: the keys would lie in the bundles in the clear, and be nowhere else.
    pub(crate) fn forget_keys(&self, sealing: Option<&Sealing<'_>>) -> Result<bool> {
        if self.forget_keys && sealing.is_none() {
            return Err(CliError::new(
                Exit::Usage,
                "--forget-keys needs sealed bundles, and nothing says whom to seal to",
            )
            .hint("say it with sealTo in cluster.yaml, --known-hosts FILE or --seal-to RECIPIENT"));
        }
        Ok(self.forget_keys)
    }

    /// Looks that nothing in the clear takes the place of a sealed archive, or comes to lie beside it, unless somebody said so:
    /// a flag that was forgotten would undo what an earlier run sealed.
    ///
    /// # Errors
    /// Refused, with some of the hosts that have one.
    pub(crate) fn keep_sealed(&self, sealing: Option<&Sealing<'_>>, hosts: &[Roles<'_>], folder: &Path) -> Result<()> {
        if self.unsealed || sealing.is_some() {
            return Ok(());
        }
        let names = hosts.par_iter().map(|roles| roles.host().as_str());
        let sealed: Vec<&str> = names.filter(|host| files::exists(&folder.join(sealed_name(host)))).collect();
        let Some(first) = sealed.first() else { return Ok(()) };
        let mut named = sealed[..sealed.len().min(NAMED)].join(", ");
        if sealed.len() > NAMED {
            named.push_str(&format!(" and {} more", sealed.len() - NAMED));
        }
        let what = match sealed.len() {
            1 => {
                format!("the bundle of {first} is there sealed, and this one would be in the clear; nothing was packed")
            }
            count => format!(
                "the bundles of {count} hosts are there sealed, and these would be in the clear; nothing was packed: {named}"
            ),
        };
        Err(CliError::new(Exit::Refused, what).hint(
            "seal them again, with --known-hosts FILE, --seal-to RECIPIENT or sealTo in cluster.yaml; --unsealed writes \
             them in the clear all the same",
        ))
    }

    /// The recipients of the command line.
    fn everyone(&self, context: &Context<'_>) -> Result<Vec<Recipient>> {
        let mut everyone = Vec::new();
        for text in &self.seal_to {
            match Recipient::parse(text) {
                Ok(recipient) => everyone.push(recipient),
                // What looks like nothing of the kind is a file.
                Err(RecipientError::Unknown) => everyone.extend(recipients_in(text, &context.path(Path::new(text)))?),
                Err(error) => {
                    let what = match may_be_secret(text) {
                        true => "--seal-to cannot be used".to_owned(),
                        false => format!("--seal-to {text:?} cannot be used"),
                    };
                    let hint =
                        "an SSH key's kind and the key go into one pair of quotes, as they stand in its .pub file";
                    return Err(CliError::new(Exit::Usage, what).hint(hint).because(error));
                }
            }
        }
        Ok(everyone)
    }
}

/// What the cluster file says of a host, in both of its roles.
fn declared(roles: &Roles<'_>) -> Vec<Recipient> {
    let entries = roles.master().into_iter().chain(roles.node());
    entries.flat_map(|host| host.seal_to.iter().cloned()).collect()
}

/// What ssh may know a host by.
fn names(roles: &Roles<'_>) -> Vec<String> {
    names_of(roles.master().into_iter().chain(roles.node()))
}

/// The name that all of a host's entries have, and all of their addresses.
fn names_of<'h>(entries: impl IntoIterator<Item = &'h Host>) -> Vec<String> {
    let mut names = Vec::new();
    for host in entries {
        if names.is_empty() {
            names.push(host.name.to_string());
        }
        names.extend(host.addresses.iter().map(ToString::to_string));
    }
    names
}

/// One recipient a line; `#` begins a comment.
fn recipients_in(given: &str, path: &Path) -> Result<Vec<Recipient>> {
    secrets::not_one(given, path)?;
    let bytes = match files::read_or_wait(path, LIMIT) {
        Err(StoreError::Missing(_)) => {
            let what = format!("--seal-to {given:?} is neither a recipient nor a file");
            let hint = "a recipient is age1…, or ssh-ed25519 or ssh-rsa and a public key in one pair of quotes";
            return Err(CliError::new(Exit::Usage, what).hint(hint));
        }
        other => other?,
    };
    let shown = path.display();
    let text = String::from_utf8(bytes).map_err(|error| {
        CliError::new(Exit::Usage, format!("the file of recipients {shown} is not text")).because(error.utf8_error())
    })?;
    let mut recipients = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        recipients.push(Recipient::parse(line).map_err(|error| {
            let what = format!("line {} of the file of recipients {shown} cannot be used", i + 1);
            let failure = CliError::new(Exit::Usage, what);
            let failure = match KnownHosts::parse(line).is_empty() {
                true => failure,
                false => {
                    failure.hint("this looks like a known_hosts file, in which hosts are found with --known-hosts FILE")
                }
            };
            failure.because(error)
        })?);
    }
    if recipients.is_empty() {
        let what = format!("there is no recipient in {shown}");
        return Err(CliError::new(Exit::Usage, what).hint("write one a line: age1…, or ssh-ed25519 AAAA…"));
    }
    Ok(recipients)
}

fn known_hosts(path: &Path) -> Result<KnownHosts> {
    let bytes = read_given(path, LIMIT, "known_hosts file")?;
    let known = KnownHosts::parse(&String::from_utf8_lossy(&bytes));
    if known.is_empty() {
        let what = format!("there is no host in the known_hosts file {}", path.display());
        return Err(CliError::new(Exit::Usage, what).hint("ssh-keyscan -t ed25519 HOST prints a line for it"));
    }
    Ok(known)
}

fn in_full(error: &KnownHostError) -> String {
    match error {
        KnownHostError::Damaged { reason, .. } => format!("{error}: {reason}"),
        other => other.to_string(),
    }
}

fn nobody(lacking: &[String], by_known_hosts: bool) -> CliError {
    let mut lines: Vec<String> = lacking.iter().take(NAMED).cloned().collect();
    if lacking.len() > NAMED {
        lines.push(format!("and {} more", lacking.len() - NAMED));
    }
    let hosts = match lacking.len() {
        1 => "one host has nobody to seal its bundle to".to_owned(),
        count => format!("{count} hosts have nobody to seal their bundles to"),
    };
    let hint = if by_known_hosts {
        "see that known_hosts has one ssh-ed25519 key for each of them (ssh-keyscan -t ed25519 HOST, compared with the \
         host's own /etc/ssh/ssh_host_ed25519_key.pub), or leave them out"
    } else {
        "give them a sealTo in cluster.yaml, or use --known-hosts FILE or --seal-to RECIPIENT; --unsealed writes all of \
         them in the clear"
    };
    CliError::new(Exit::Refused, format!("{hosts}, so nothing was packed:\n  {}", lines.join("\n  "))).hint(hint)
}

/// A key that two hosts have opens both of their bundles: images that were cloned with their host keys. The other may be one
/// whose bundle is not made now.
fn no_two_share(
    plan: &HashMap<&str, Vec<Recipient>>,
    everyone: &[Recipient],
    cluster: &Cluster,
    known: &KnownHosts,
) -> Result<()> {
    let mut owners: BTreeMap<&Recipient, &str> = BTreeMap::new();
    let planned: BTreeMap<&&str, &Vec<Recipient>> = plan.iter().collect();
    for (host, recipients) in planned {
        for recipient in recipients.iter().filter(|recipient| !everyone.contains(recipient)) {
            if let Some(other) = owners.insert(recipient, host) {
                return Err(shared(other, host));
            }
        }
    }
    // Each hashed line is tried for each name, so that there shall be few of them.
    let known = known.of_keys(|key| owners.contains_key(key));
    let others: Vec<&Host> = cluster.masters.iter().chain(&cluster.nodes).collect();
    let others = others.into_par_iter().filter(|host| !plan.contains_key(host.name.as_str()));
    let found = others.find_map_first(|host| {
        let key = known.key_of(&names_of([host])).ok()?;
        owners.get(&key).map(|owner| (*owner, host.name.as_str()))
    });
    found.map_or(Ok(()), |(owner, other)| Err(shared(owner.min(other), owner.max(other))))
}

fn shared(one: &str, other: &str) -> CliError {
    let what = format!("{one} and {other} have the same SSH host key, so each could open the other's bundle");
    CliError::new(Exit::Refused, what).hint(
        "nothing was packed. They are likely clones of one image: make new keys on one of them with rm \
         /etc/ssh/ssh_host_* && ssh-keygen -A, and learn them anew",
    )
}
