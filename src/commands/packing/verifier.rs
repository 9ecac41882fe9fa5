//! What CI verifies with, packed: `bundle --verifier`.

use super::exposed::Exposed;
use super::finishing;
use crate::app::revoke::{check_ledger_is_current, denials as revoked};
use crate::app::verify::denials;
use crate::bundle::input::CredentialPem;
use crate::bundle::packer;
use crate::bundle::render::Templates;
use crate::bundle::verifier::{self, VerifierInput};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::profile::Profile;
use crate::cluster::spec::Cluster;
use crate::config;
use crate::pki::ssh::SshKey;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::files::{self, PRIVATE};

/// Packs what CI verifies with.
pub(crate) fn pack(
    cluster: &Cluster,
    templates: &Templates,
    key: Option<&SshKey>,
    context: &mut Context<'_>,
) -> Result<Exit> {
    let _lock = context.lock("bundle --verifier")?;
    let layout = &context.env.layout;
    files::sweep(layout.dir())?;
    let (mut ledger, known, roots) = context.trust(cluster)?;
    check_ledger_is_current(layout, &roots, &ledger, context.env.now)?;
    let trust = &roots.cluster;
    let masters = cluster.masters.iter().flat_map(|master| cluster.master_leaves(master));
    let wanted = masters.filter(|leaf| leaf.profile == Profile::ApiserverKubeletClient);
    let (mut credentials, mut generation, exposed) = (Vec::new(), 0, Exposed::default());
    for leaf in wanted.chain([cluster.verifier_leaf()]) {
        let name = leaf.policy().name;
        let stored =
            credentials::read_good(layout, &leaf, cluster.keys, trust, &known, context.env.now).map_err(|why| {
                if let [CredentialProblem::Unreadable(error)] = why.as_slice() {
                    let what = format!("the {name} credential cannot be read, so nothing was packed");
                    return CliError::new(Exit::Environment, what).because(error.clone());
                }
                let why: Vec<String> = why.iter().map(ToString::to_string).collect();
                CliError::new(
                    Exit::Refused,
                    format!("the {name} credential is not good, so nothing was packed: {}", why.join("; ")),
                )
                .hint("issue it with: clusterctl issue-master --all")
            })?;
        if let Some(trouble) = credentials::mode_problem(layout, &leaf, Some(&stored)) {
            exposed.add(trouble);
        }
        generation = generation.max(known.sequence(stored.credential.certificate.fingerprint()).unwrap_or(0));
        let folder = layout.holder_folder(leaf.profile, leaf.host.as_ref());
        let path = folder.strip_prefix(layout.dir()).unwrap_or(&folder).join(name).display().to_string();
        let pem = CredentialPem { profile: leaf.profile, certificate: stored.certificate_pem, key: stored.key_pem };
        credentials.push((path, pem));
    }
    let cluster_file = files::read(&layout.cluster_file(), config::MAX_BYTES as u64)?;
    let policy = templates
        .verifier_policy()
        .map_err(|error| CliError::new(Exit::Usage, "the verifier's policy cannot be rendered").because(error))?;
    let rules = revoked::authorization(cluster, &revoked::of_ledger(&ledger, trust, context.env.now)?, templates)?;
    let denials = denials::of_ledger(&rules, &ledger, trust, context.env.now)?.to_json();
    let input = VerifierInput { policy, denials, cluster, cluster_file: &cluster_file, trust, credentials, generation };
    let mut bundle = verifier::render(input)
        .map_err(|error| CliError::new(Exit::Refused, "the verifier bundle cannot be made").because(error))?;
    if let Some(key) = key {
        finishing::sign(&mut bundle, key)?;
    }
    let path = layout.verifier_bundle();
    files::replace(&path, &packer::pack(&bundle), PRIVATE)?;
    ledger.log_event("bundle", "verifier", &path.display().to_string(), &context.env.audit())?;
    context.screen.answer(path.display());
    context.screen.step(
        "Use it with: clusterctl verify --from verifier.tar.gz   (apply policy/clusterctl-verifier.yaml from it once)",
    );
    exposed.tell(context);
    Ok(Exit::Done)
}
