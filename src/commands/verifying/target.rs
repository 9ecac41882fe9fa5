//! What `verify` is pointed at: the cluster directory, a bundle, or, for clusters that somebody else's tool made, files
//! and addresses named one by one.

use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::{bundles, denials};
use crate::app::in_full;
use crate::bundle::archive;
use crate::bundle::model::Bundle;
use crate::bundle::verifier as verifier_bundle;
use crate::cli::context::{Context, read_given, read_named, unknown_host};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::address::Address;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::profile::{ADMINS, CaRole, CertificateSpec};
use crate::cluster::spec::{Cluster, KUBELET_PORT};
use crate::config;
use crate::config::kubeconfig::{self, Credential, KubeCluster, Used};
use crate::pki::certificate::Certificate;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::ca;
use crate::store::credentials::{self, CredentialProblem};
use crate::store::layout::Layout;
use crate::verify::finding::{Aspect, CheckId, Finding, Status};
use crate::verify::remedy::{TargetKind, TrustRemedy, VerifierRemedy};
use crate::verify::target::{Held, Identity, Peer, Place, Target};

/// No bundle, trust file or kubeconfig is larger than this, in bytes.
const LIMIT: u64 = 16 << 20;

/// Where to verify from, when it is not the cluster directory.
#[derive(Debug, Args)]
#[command(next_help_heading = "Without a cluster directory")]
pub(crate) struct Elsewhere {
    /// Verify with what this bundle holds: a verifier bundle, or a node's own
    #[arg(long, value_name = "BUNDLE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["ca", "endpoint", "kubeconfig", "master_cert", "node_cert"])]
    from: Option<PathBuf>,
    /// Which of the kubeconfig's contexts to use [default: its current-context]
    #[arg(long, value_name = "NAME", requires = "kubeconfig", conflicts_with_all = ["from", "ca", "endpoint", "node_cert"])]
    context: Option<String>,
    /// The roots to trust, PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    ca: Option<PathBuf>,
    /// The masters' location, https://HOST:PORT
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Take endpoint, roots and the node's certificate from this kubeconfig
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["ca", "endpoint", "node_cert"])]
    kubeconfig: Option<PathBuf>,
    /// What masters call nodes with: certificate, PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "master_key")]
    master_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "master_cert")]
    master_key: Option<PathBuf>,
    /// What a node calls masters with: certificate, PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "node_key")]
    node_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "node_cert")]
    node_key: Option<PathBuf>,
}

/// A target, and what was found while it was put together.
pub(crate) struct Aim {
    pub(crate) target: Target,
    pub(crate) findings: Vec<Finding>,
}

impl Elsewhere {
    /// Whether it is something else than the cluster directory.
    pub(crate) fn is_given(&self) -> bool {
        let certificates = self.master_cert.is_some() || self.node_cert.is_some();
        self.from.is_some() || self.ca.is_some() || self.endpoint.is_some() || self.kubeconfig.is_some() || certificates
    }

    /// Puts the target together. `nodes` is what `--node` says: names, or `NAME=HOST[:PORT]` where nothing else tells.
    ///
    /// # Errors
    /// A usage error that names the file or flag that is missing or wrong.
    pub(crate) fn aim(&self, nodes: &[String], context: &Context<'_>) -> Result<Aim> {
        if let Some(path) = &self.from {
            return from_bundle(&context.path(path), nodes);
        }
        self.aim_by_flags(nodes, context)
    }

    fn aim_by_flags(&self, nodes: &[String], context: &Context<'_>) -> Result<Aim> {
        let mut aim = match &self.kubeconfig {
            Some(path) => from_kubeconfig(&context.path(path), self.context.as_deref())?,
            None => {
                let endpoint = self.endpoint.as_deref().map(parse_endpoint).transpose()?;
                let name = endpoint.as_ref().map_or_else(|| "cluster".to_owned(), ToString::to_string);
                let mut target = Target::bare(name);
                target.endpoint = endpoint.map(endpoint_peer);
                Aim { target, findings: Vec::new() }
            }
        };
        if let Some(path) = &self.ca {
            aim.target.take_trust_file(&read_given(&context.path(path), LIMIT, "trust file")?);
        }
        if aim.target.roots.is_empty() && aim.target.trust_faults.is_empty() && aim.target.trust_notes.is_empty() {
            return Err(CliError::new(Exit::Usage, "there are no roots to trust")
                .hint("name them with --ca FILE; the system's own are never used"));
        }
        for node in nodes {
            add_node(&mut aim.target, node_peer(node)?)?;
        }
        if aim.target.endpoint.is_none() && nodes.is_empty() {
            return Err(CliError::new(Exit::Usage, "there is nobody to dial")
                .hint("name the masters with --endpoint URL, nodes with --node NAME=HOST[:PORT], or both"));
        }
        if let Some(client) = pair("master", self.master_cert.as_deref(), self.master_key.as_deref(), context)? {
            aim.target.masters.push(Peer::caller("master".to_owned(), client));
        }
        if let Some(client) = pair("node", self.node_cert.as_deref(), self.node_key.as_deref(), context)? {
            if is_an_administrators(&client.certificate) {
                aim.findings.push(no_nodes_account(&aim.target, &client.certificate));
                (aim.target.verifier, aim.target.verifier_missing) = (Some(client), None);
            } else {
                call_as_node(&mut aim.target, client);
            }
        }
        aim.target.kind = aim.target.by_another_tool();
        Ok(aim)
    }
}

/// The cluster directory: all hosts, and the credentials that lie there.
pub(crate) fn from_directory(cluster: &Cluster, trust: &TrustBundle, layout: &Layout) -> Target {
    Target::of(cluster, trust.anchors().into_iter().cloned().collect(), |leaf: &CertificateSpec| held(leaf, layout))
}

fn held(leaf: &CertificateSpec, layout: &Layout) -> Held {
    let stored = match credentials::read(layout, leaf) {
        Ok(stored) => stored,
        Err(CredentialProblem::NotThere) => {
            let missing = format!("there is no {} of it in this directory", leaf.policy().name);
            return Held { missing: Some(missing), ..Held::default() };
        }
        Err(CredentialProblem::Missing(path)) => {
            // A key may have been forgotten on purpose: what its host shows can be compared with the certificate all the same.
            let certificate = credentials::read_certificate(layout, leaf).ok();
            let missing = match &certificate {
                Some(_) => format!("its key is not in this directory ( {} ): forgotten, or lost", path.display()),
                None => CredentialProblem::Missing(path).to_string(),
            };
            let issued = certificate.map(|certificate| certificate.fingerprint());
            return Held { issued, identity: None, missing: Some(missing) };
        }
        Err(trouble) => return Held { missing: Some(trouble.to_string()), ..Held::default() },
    };
    let issued = Some(stored.credential.certificate.fingerprint());
    match Identity::of(&stored.credential) {
        Ok(identity) => Held { issued, identity: Some(identity), missing: None },
        Err(error) => Held { issued, identity: None, missing: Some(error.to_string()) },
    }
}

/// Reads the CAs of the cluster directory that serve and call.
///
/// # Errors
/// When there is none.
pub(crate) fn trust(layout: &Layout) -> Result<TrustBundle> {
    Ok(ca::trust(layout, CaRole::Cluster)?)
}

/// Narrows a run to the nodes called `names`.
///
/// # Errors
/// A usage error for a name that the cluster does not have.
pub(crate) fn narrow(target: &mut Target, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let known: Vec<&str> = target.nodes.iter().map(|node| node.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown_host(unknown, "node", &known));
    }
    target.only_nodes(|name| names.iter().any(|wanted| wanted == name));
    Ok(())
}

fn from_bundle(path: &Path, nodes: &[String]) -> Result<Aim> {
    let unusable = |why: &dyn std::fmt::Display| {
        CliError::new(Exit::Usage, format!("the bundle {} cannot be used: {why}", path.display()))
    };
    let bytes = Zeroizing::new(read_given(path, LIMIT, "bundle")?);
    let bundle = archive::read(&bytes).map_err(|error| {
        unusable(&in_full(&error)).hint(match error.is_newer() {
            true => archive::USE_A_NEWER,
            false => "get it again from where it was made: it may have been tampered with",
        })
    })?;
    if let Some(file) = bundle.file(verifier_bundle::CLUSTER_FILE) {
        let cluster = config::read(&file.bytes).map_err(|error| unusable(&error))?;
        return from_verifier_bundle(&bundle, &cluster, nodes);
    }
    let Some(config) = bundle.file("etc/kubernetes/kubelet.conf") else {
        return Err(unusable(&"it is a master's, which does not say where the nodes are")
            .hint("make a verifier bundle with: clusterctl bundle --verifier"));
    };
    if let Some(node) = nodes.first() {
        let what = format!("the bundle {} is one node's own: it cannot say where {node} is", path.display());
        return Err(CliError::new(Exit::Usage, what).hint("a verifier bundle can: clusterctl bundle --verifier"));
    }
    let config = kubeconfig::read(&config.bytes).map_err(|error| unusable(&error))?;
    let used = config.used(None).map_err(|error| unusable(&error))?;
    let mut target = Target::bare(bundle.manifest.cluster.to_string());
    target.kind = TargetKind::Bundle;
    target.endpoint = Some(endpoint_of(used.cluster)?);
    let file = |path: &str| bundle.file(path).map(|file| file.bytes.to_vec()).unwrap_or_default();
    target.take_trust_file(&file("etc/kubernetes/pki/ca.crt"));
    let base = "var/lib/kubelet/pki/kubelet-client";
    let client = Identity::from_pem(&file(&format!("{base}.crt")), &file(&format!("{base}.key")));
    let client = client.map_err(|why| unusable(&why))?;
    let mut node = Peer::caller(bundle.manifest.host.to_string(), client);
    node.asked_for = true;
    target.nodes.push(node);
    let pinned = target.roots.iter().map(Certificate::spki_fingerprint).eq(bundle.manifest.pins());
    let mut wrong: Vec<String> = used.weaknesses().into_iter().map(|weakness| weakness.what).collect();
    wrong.extend(used.cluster.tls_server_name.as_deref().map(bundles::another_name));
    if !pinned {
        wrong.push("the root in it is not the one that its manifest pins".to_owned());
    }
    let findings = vec![trust_match(bundle.manifest.host.as_str(), path, &wrong, Status::Fail)];
    Ok(Aim { target, findings })
}

fn from_verifier_bundle(bundle: &Bundle, cluster: &Cluster, nodes: &[String]) -> Result<Aim> {
    let layout = Layout::new(PathBuf::new());
    let held = |leaf: &CertificateSpec| {
        let name = leaf.policy().name;
        let base = layout.holder_folder(leaf.profile, leaf.host.as_ref()).join(name).display().to_string();
        let (certificate, key) = (bundle.file(&format!("{base}.crt")), bundle.file(&format!("{base}.key")));
        let (Some(certificate), Some(key)) = (certificate, key) else {
            return Held {
                missing: Some(format!("the verifier bundle holds no {name} of this host")),
                ..Held::default()
            };
        };
        match Identity::from_pem(&certificate.bytes, &key.bytes) {
            Ok(identity) => Held { issued: None, identity: Some(identity), missing: None },
            Err(why) => Held { missing: Some(why.to_string()), ..Held::default() },
        }
    };
    let mut target = Target::of(cluster, Vec::new(), held);
    target.kind = TargetKind::Bundle;
    target.take_trust_file(bundle.file(verifier_bundle::ROOT).map(|file| &*file.bytes).unwrap_or_default());
    // One of an older clusterctl has none.
    if let Some(file) = bundle.file(verifier_bundle::DENIALS) {
        target.denials = Some(denials::of_bundle(&file.bytes)?);
    }
    narrow(&mut target, nodes)?;
    Ok(Aim { target, findings: Vec::new() })
}

/// `--kubeconfig`: the cluster and user of a context, as client-go picks them.
fn from_kubeconfig(path: &Path, context: Option<&str>) -> Result<Aim> {
    let shown = path.display();
    let unusable = |why: &dyn std::fmt::Display| {
        CliError::new(Exit::Usage, format!("the kubeconfig {shown} cannot be used: {why}"))
    };
    let bytes = Zeroizing::new(read_given(path, LIMIT, "kubeconfig")?);
    let config = kubeconfig::read(&bytes).map_err(|error| unusable(&error))?;
    let used = config.used(context).map_err(|error| {
        let names = config.context_names();
        unusable(&error).hint(match names.is_empty() {
            true => {
                "kubectl would find no server in it either: give it a context, or use --ca, --endpoint and --node-cert"
                    .to_owned()
            }
            false => format!("choose one with --context NAME; there is {}", names.join(", ")),
        })
    })?;
    let cluster = used.cluster;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut target = Target::bare(cluster.name.clone());
    target.endpoint = Some(endpoint_of(cluster)?);
    match &cluster.authority {
        Some(authority) => target.take_trust_file(&contents(authority, folder)?),
        None => {
            return Err(unusable(&"it names no certificate authority, so the system's would be trusted")
                .hint("give it a certificate-authority; verify trusts nothing else"));
        }
    }
    let mut no_node = None;
    if let Some(user) = used.user
        && let (Some(certificate), Some(key)) = (&user.certificate, &user.key)
    {
        let key = Zeroizing::new(contents(key, folder)?);
        let client = Identity::from_pem(&contents(certificate, folder)?, &key).map_err(|why| unusable(&why))?;
        match is_a_nodes(&client.certificate) {
            true => call_as_node(&mut target, client),
            false => {
                no_node = Some(no_nodes_account(&target, &client.certificate));
                (target.verifier, target.verifier_missing) = (Some(client), None);
            }
        }
    }
    let mut findings = judged(used, path);
    findings.extend(no_node);
    Ok(Aim { findings, target })
}

/// `trust.match` of a kubeconfig: what breaks trust fails; what merely does not reload is warned of.
fn judged(used: Used<'_>, path: &Path) -> Vec<Finding> {
    let of = |breaks_trust| {
        let weaknesses = used.weaknesses().into_iter().filter(|weakness| weakness.breaks_trust == breaks_trust);
        weaknesses.map(|weakness| weakness.what).collect::<Vec<_>>()
    };
    let (broken, embedded) = (of(true), of(false));
    let host = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut findings = vec![trust_match(&host, path, &broken, Status::Fail)];
    if !embedded.is_empty() {
        findings.push(trust_match(&host, path, &embedded, Status::Warn));
    }
    findings
}

fn trust_match(host: &str, path: &Path, wrong: &[String], status: Status) -> Finding {
    let expected = "a root named by file path, https, and client certificates alone";
    let status = if wrong.is_empty() { Status::Pass } else { status };
    let finding = Finding::new(CheckId::TRUST_MATCH, Place::Cluster, host, status).address(path.display().to_string());
    if wrong.is_empty() {
        return finding.saw("as expected", expected);
    }
    finding.saw(wrong.join("; "), expected).remedy(TrustRemedy::RewriteKubeconfig)
}

fn contents(credential: &Credential, folder: &Path) -> Result<Vec<u8>> {
    match credential {
        Credential::Data(bytes) => Ok(bytes.to_vec()),
        Credential::File(path) => read_named(&folder.join(path), LIMIT, "file"),
    }
}

/// Adds a node that `--node` names, or dials the one of that name that calls already.
fn add_node(target: &mut Target, node: Peer) -> Result<()> {
    let Some(known) = target.nodes.iter_mut().find(|known| known.name == node.name) else {
        target.nodes.push(node);
        return Ok(());
    };
    if known.dialled && known.port != node.port {
        let what = format!("--node names {} twice, with the ports {} and {}", node.name, known.port, node.port);
        return Err(CliError::new(Exit::Usage, what).hint("a kubelet has one port: name the node once"));
    }
    known.port = node.port;
    known.dialled = true;
    for address in node.addresses {
        if !known.addresses.contains(&address) {
            known.addresses.push(address);
        }
    }
    Ok(())
}

/// Whether a certificate carries a node's account: Kubernetes's own, or one of `accounts: kubelet`.
fn is_a_nodes(certificate: &Certificate) -> bool {
    let subject = &certificate.subject;
    let user = subject.common_names.last().map(String::as_str).unwrap_or_default();
    ["system:node:", "kubelet:"].iter().any(|prefix| user.starts_with(prefix))
        || subject.organizations.iter().any(|group| ["system:nodes", "kubelets"].contains(&group.as_str()))
}

/// Whether a certificate carries the group of an administrator: Kubernetes's, kubeadm's, or clusterctl's.
fn is_an_administrators(certificate: &Certificate) -> bool {
    let groups = ["system:masters", "kubeadm:cluster-admins", ADMINS];
    certificate.subject.organizations.iter().any(|group| groups.contains(&group.as_str()))
}

/// Says that what nodes call with is not here: an administrator's account, for example, reads what the verifier reads.
fn no_nodes_account(target: &Target, certificate: &Certificate) -> Finding {
    let subject = &certificate.subject;
    let user = subject.common_names.last().map(String::as_str).unwrap_or_default();
    let host = target.endpoint.as_ref().map_or("", |endpoint| endpoint.name.as_str());
    let id = CheckId::at(Place::Endpoint, Aspect::Caller);
    let groups = subject.organizations.join(", ");
    Finding::new(id, Place::Endpoint, host, Status::Skipped)
        .saw(format!("{user} ({groups}) is no node's account; it is used as the verifier"), "a node's own certificate")
        .remedy(VerifierRemedy::NameKubeletCredentials)
}

/// The node that a certificate belongs to, if it is among the target's, else one that is not dialled.
fn call_as_node(target: &mut Target, client: Identity) {
    let caller = Peer::caller(String::new(), client);
    let user = caller.account.as_ref().map(|account| account.user.clone()).unwrap_or_default();
    let host = user.rsplit(':').next().unwrap_or(&user).to_owned();
    match target.nodes.iter_mut().find(|node| node.name == host) {
        Some(node) => {
            (node.client, node.account, node.asked_for) = (caller.client, caller.account, true);
        }
        None => target.nodes.push(Peer { name: host, ..caller }),
    }
}

fn pair(
    whose: &str,
    certificate: Option<&Path>,
    key: Option<&Path>,
    context: &Context<'_>,
) -> Result<Option<Identity>> {
    let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(None) };
    let pem = read_given(&context.path(certificate), LIMIT, "certificate")?;
    let key = Zeroizing::new(read_given(&context.path(key), LIMIT, "key")?);
    let client = Identity::from_pem(&pem, &key).map_err(|why| {
        CliError::new(Exit::Usage, format!("the {whose}'s certificate {} cannot be used: {why}", certificate.display()))
    })?;
    Ok(Some(client))
}

fn parse_endpoint(text: &str) -> Result<Endpoint> {
    // DNS knows no case, and cloud providers write capitals.
    Endpoint::parse(&text.to_ascii_lowercase())
        .map_err(|error| CliError::new(Exit::Usage, format!("{text:?} is no endpoint: {error}")))
}

/// The endpoint of a kubeconfig's cluster, and the name that TLS has to ask for there.
fn endpoint_of(cluster: &KubeCluster) -> Result<Peer> {
    let mut peer = endpoint_peer(parse_endpoint(&cluster.location())?);
    if let Some(name) = &cluster.tls_server_name {
        let parsed = Address::parse(&name.to_ascii_lowercase());
        peer.tls_name = Some(parsed.map_err(|error| {
            CliError::new(
                Exit::Usage,
                format!("the kubeconfig's tls-server-name {name:?} is no server's name: {error}"),
            )
        })?);
    }
    Ok(peer)
}

fn endpoint_peer(endpoint: Endpoint) -> Peer {
    let name = format!("{}:{}", endpoint.host.for_url(), endpoint.port);
    Peer::at(name, endpoint.host, endpoint.port)
}

/// Reads `NAME=HOST[:PORT]`.
fn node_peer(text: &str) -> Result<Peer> {
    let wrong = |why: String| {
        CliError::new(Exit::Usage, format!("--node {text:?}: {why}"))
            .hint("without a cluster directory a node is written NAME=HOST or NAME=HOST:PORT")
    };
    // DNS knows no case, and a kubelet writes its node's name in small letters.
    let text = text.to_ascii_lowercase();
    let (name, place) = text.split_once('=').ok_or_else(|| wrong("there is no HOST".to_owned()))?;
    if name.is_empty() {
        return Err(wrong("there is no NAME".to_owned()));
    }
    let bracket = place.rfind(']').map_or(0, |at| at + 1);
    let alone = Address::parse(place);
    let (host, port) = match (alone, place[bracket..].rfind(':')) {
        // An IPv6 address without brackets has colons of its own.
        (Ok(address), _) => (address, KUBELET_PORT),
        (Err(_), Some(colon)) => {
            let (host, port) = place.split_at(bracket + colon);
            let port = port[1..].parse().ok().filter(|&port| port != 0);
            let port = port.ok_or_else(|| wrong("the port must be 1 to 65535".to_owned()))?;
            (Address::parse(host).map_err(|error| wrong(error.to_string()))?, port)
        }
        (Err(error), None) => return Err(wrong(error.to_string())),
    };
    let mut peer = Peer::at(name.to_owned(), host, port);
    peer.client_missing = Some("its certificate was not given".to_owned());
    Ok(peer)
}
