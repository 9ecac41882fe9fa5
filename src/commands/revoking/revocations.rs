//! What `revoke`, `policy` and `bundle` share: which revoked certificates API servers are told of, and the file that tells
//! them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use time::{Duration, OffsetDateTime};

use super::remembered;
use crate::app::package::templates;
use crate::bundle::policy;
use crate::bundle::render::Templates;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::profile::{TABLE, Usage};
use crate::cluster::spec::Cluster;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::rbac::denials::Denials;
use crate::rbac::mark::LedgerMark;
use crate::store::files::{self, PUBLIC};
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::FileRemedy;
use crate::verify::target::Place;

/// How long an ended certificate is still listed: clocks differ.
pub(crate) const GRACE: Duration = Duration::DAY;
/// No file of theirs is larger than this, in bytes.
pub(crate) const MAX_RULES: u64 = 16 << 20;

/// What was revoked and has not ended, or not long ago.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn listed(ledger: &Ledger, now: OffsetDateTime) -> Result<Vec<IssuedCertificate>> {
    Ok(ledger.revoked_expiring_after(now - GRACE)?.all()?)
}

/// The certificates that API servers deny: what the cluster's root signed and somebody may call with.
///
/// # Errors
/// Refused when they are more than API servers can be told of; or when the ledger cannot be used.
pub(crate) fn denials(ledger: &Ledger, root: &Certificate, now: OffsetDateTime) -> Result<Denials> {
    let (listed, unrecorded) = (listed(ledger, now)?, ledger.unrecorded()?);
    let recorded: BTreeSet<Fingerprint> = denied(&listed, root).map(|issued| issued.fingerprint).collect();
    let others = listed.iter().map(|issued| issued.fingerprint).filter(|sha256| !recorded.contains(sha256));
    let others: Vec<Fingerprint> = others.collect();
    let all = recorded.into_iter().chain(unrecorded.iter().filter_map(|one| one.fingerprint));
    let mark = LedgerMark { sequence: ledger.sequence()?, root: root.fingerprint() };
    Denials::of(all).map(|denials| denials.beside(others).as_of(mark)).map_err(|error| {
        CliError::new(Exit::Refused, "the API servers' rules cannot be written")
            .hint("make a new root for a new cluster directory: so many revocations mean that the old one is worth little")
            .because(error)
    })
}

/// Those that API servers have to be told of.
pub(crate) fn denied<'i>(
    revoked: &'i [IssuedCertificate],
    root: &Certificate,
) -> impl Iterator<Item = &'i IssuedCertificate> {
    let root = root.fingerprint();
    let calls = |issued: &IssuedCertificate| {
        let row = TABLE.iter().find(|row| row.name == issued.profile);
        row.is_none_or(|row| row.usage != Usage::Server)
    };
    revoked.iter().filter(move |issued| issued.issuer == root && calls(issued))
}

/// Writes what API servers deny into the policy folder, from where it can be copied to masters alone.
///
/// # Errors
/// A usage error when the template fails; or what the system says.
pub(crate) fn write_authorization(
    cluster: &Cluster,
    denials: &Denials,
    templates: &Templates,
    context: &Context<'_>,
) -> Result<PathBuf> {
    let text = authorization(cluster, denials, templates)?;
    let path = context.env.layout.policy().join(policy::AUTHORIZATION);
    files::create_folder(&context.env.layout.policy().join(policy::MASTERS))?;
    files::sweep(&context.env.layout.policy().join(policy::MASTERS))?;
    files::replace(&path, text.as_bytes(), PUBLIC)?;
    Ok(path)
}

/// `store.credential` for what was rendered outside `pki/`: whether the ledger is older than it, and whether the API servers'
/// rules are what would be written today. Somebody's own templates may well say otherwise, and so may a cluster file that was
/// changed since.
///
/// # Errors
/// As [`authorization`].
pub(crate) fn findings(
    cluster: &Cluster,
    denials: &Denials,
    ledger: &Ledger,
    root: &Certificate,
    context: &Context<'_>,
) -> Result<Vec<Finding>> {
    let finding = |status, path: &Path, saw: String| {
        Finding::new(CheckId::STORE_CREDENTIAL, Place::Cluster, "API servers' rules", status)
            .address(path.display().to_string())
            .saw(saw, "what clusterctl policy would write today, before it is copied to masters")
    };
    let memories = remembered::of_directory(&context.env.layout, root);
    let older = match memories {
        Ok(memories) => remembered::older_than(&memories, ledger, context.env.now)?,
        Err(error) => {
            let path = context.env.layout.policy().join(policy::AUTHORIZATION);
            return Ok(vec![finding(Status::Fail, &path, error.to_string())]);
        }
    };
    if let Some(older) = older {
        let saw = format!("it is newer than the ledger: {}", older.why);
        return Ok(vec![finding(Status::Fail, &older.path, saw).remedy(remembered::remedy(&older.path))]);
    }
    let path = context.env.layout.policy().join(policy::AUTHORIZATION);
    let finding = |status, saw| finding(status, &path, saw);
    if !files::exists(&context.env.layout.policy()) {
        return Ok(Vec::new());
    }
    let today = authorization(cluster, denials, &templates::of_cluster(cluster, &context.env.layout)?)?;
    let warned = |saw: String| finding(Status::Warn, saw).remedy(FileRemedy::WritePolicy);
    Ok(vec![match files::read(&path, MAX_RULES) {
        Ok(bytes) if bytes == today.as_bytes() => {
            finding(Status::Pass, format!("it denies the {} that were revoked", denials.count()))
        }
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let missed = denials.certificates().iter().filter(|id| !text.contains(&id.to_string())).count();
            match missed {
                0 => {
                    let saw = "it is not what this cluster file, this ledger and the compiled-in template give";
                    warned(saw.to_owned())
                }
                missed => finding(Status::Fail, format!("it does not deny {missed} that were revoked"))
                    .remedy(FileRemedy::WritePolicy),
            }
        }
        Err(error) => warned(error.to_string()),
    }])
}

/// The text of that file.
///
/// # Errors
/// A usage error when the template fails.
pub(crate) fn authorization(cluster: &Cluster, denials: &Denials, templates: &Templates) -> Result<String> {
    templates.authorization(cluster, denials).map_err(|error| {
        CliError::new(Exit::Usage, "the API servers' rules cannot be rendered")
            .hint("look at the template that is named; clusterctl bundle --eject-templates DIR writes those that work")
            .because(error)
    })
}
