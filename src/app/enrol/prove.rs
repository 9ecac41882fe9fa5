//! Proves an enrolment endpoint: its chain and name, and that it refuses clients without rights.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde_json::json;
use zeroize::Zeroizing;

use super::join::JoinError;
use crate::app::directory;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::cluster::account::AccountScheme;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Profile, Usage};
use crate::cluster::spec::Cluster;
use crate::enrol::evidence::{Occasion, Proofs, Statement};
use crate::https::{Answer, Client, ClientCertificate, ClientOptions, HttpsError, Request, Trust};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::IssueError;
use crate::pki::key::PrivateKey;
use crate::pki::local_key::LocalKey;
use crate::pki::pem;
use crate::pki::request::create_request_for;
use crate::pki::untrusted::{UntrustedKey, UntrustedKind, untrusted};
use crate::store::credentials;
use crate::verify::finding::{Aspect, CheckId, Finding, Scope, Status};
use crate::verify::remedy::EnrolmentRemedy;
use crate::verify::remedy::TargetKind;
use crate::verify::report::{Report, RootLine};
use crate::verify::target::Place;
use crate::verify::verdict::Strictness;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const LIMIT: usize = 1 << 20;
const TIME: Duration = Duration::from_secs(10);
/// The answers that refuse a client (RFC 9110 § 15.5.2, § 15.5.4).
const REFUSALS: [u16; 2] = [401, 403];

/// The endpoint, and the roots and the id that it has to match.
struct Target<'a> {
    endpoint: &'a Endpoint,
    roots: Vec<Certificate>,
    id: Fingerprint,
    cluster: Cluster,
    env: &'a Env,
}

/// Proves the enrolment endpoint of the cluster directory, and returns the report.
///
/// # Errors
/// Returns an error if the cluster file cannot be used, there is no CA, or a test certificate cannot be made.
pub fn prove(endpoint: &Endpoint, env: &Env, strictness: Strictness) -> Result<Report, Error> {
    let cluster = directory::cluster(&env.layout)?;
    let (_, cas) = directory::cas(&env.layout, &cluster)?;
    let roots: Vec<Certificate> = cas.cluster.anchors().into_iter().cloned().collect();
    let target = Target { endpoint, roots, id: cas.cluster.pin(), cluster, env };
    let mut findings = Vec::new();
    if target.identity(&mut findings)? {
        findings.push(target.anonymous()?);
        findings.push(target.untrusted()?);
        findings.push(target.other_node()?);
    }
    let roots = target.roots.iter().map(|root| RootLine {
        subject: crate::sanitize::sanitized(&root.subject.text),
        pin: root.spki_fingerprint().as_pin(),
        sha256: root.fingerprint().to_string(),
    });
    Ok(Report {
        rotation: None,
        cluster: target.cluster.name.to_string(),
        kind: TargetKind::Directory,
        roots: roots.collect(),
        started: env.now,
        finished: env.now,
        findings,
        strictness,
    })
}

impl Target<'_> {
    fn finding(&self, aspect: Aspect, status: Status) -> Finding {
        let name = self.endpoint.host.to_string();
        Finding::new(CheckId(Scope::Enrolment, aspect), Place::Master, &name, status).address(self.endpoint.to_string())
    }

    /// Judges an answer to a client that has to be refused.
    fn refused(&self, aspect: Aspect, answer: Result<Answer, HttpsError>, expected: &str) -> Finding {
        match answer {
            Ok(answer) if REFUSALS.contains(&answer.status) => {
                self.finding(aspect, Status::Pass).saw(format!("HTTP {}", answer.status), expected)
            }
            // A server may also abort the handshake.
            Err(HttpsError::Unreachable { reason, .. }) => {
                self.finding(aspect, Status::Pass).saw(format!("no connection: {reason}"), expected)
            }
            Ok(answer) => self
                .finding(aspect, Status::Fail)
                .saw(format!("HTTP {}: {}", answer.status, answer.message()), expected)
                .remedy(EnrolmentRemedy::ReplaceEnrolmentServer),
            Err(error) => self
                .finding(aspect, Status::NotProven)
                .saw(error.to_string(), expected)
                .remedy(EnrolmentRemedy::StartEnrolmentServer),
        }
    }

    fn get(&self, certificate: Option<ClientCertificate<'_>>, path: &str) -> Result<Answer, HttpsError> {
        let options = ClientOptions { trust: Trust::Roots(&self.roots), certificate, now: self.env.now, limit: TIME };
        Client::new(&options)?.send(&Request::get(&format!("{}{path}", self.endpoint), LIMIT))
    }

    /// Adds the findings about reachability, chain and name. Returns true if the endpoint is the right one.
    fn identity(&self, findings: &mut Vec<Finding>) -> Result<bool, Error> {
        let (chain, name) = ("a chain to the root of the cluster", "a certificate for the address that hosts dial");
        let connect = |status| self.finding(Aspect::Connect, status);
        match self.get(None, "/healthz") {
            Ok(_) => {
                findings.push(connect(Status::Pass).saw("it answers", "an answer"));
                findings.push(self.finding(Aspect::Chain, Status::Pass).saw("valid", chain));
                findings.push(self.finding(Aspect::Name, Status::Pass).saw("named", name));
                return Ok(true);
            }
            Err(HttpsError::OtherName { reason, .. }) => {
                findings.push(connect(Status::Pass).saw("it answers", "an answer"));
                findings.push(self.finding(Aspect::Chain, Status::Pass).saw("valid", chain));
                let wrong = self.finding(Aspect::Name, Status::Fail).saw(reason, name);
                findings.push(wrong.remedy(EnrolmentRemedy::ServeOwnCertificate));
            }
            Err(error @ HttpsError::NotInDate { .. }) => {
                findings.push(connect(Status::Pass).saw("it answers", "an answer"));
                let wrong = self.finding(Aspect::Chain, Status::Fail).saw(error.to_string(), chain);
                findings.push(wrong.remedy(EnrolmentRemedy::ServeOwnCertificate));
            }
            Err(HttpsError::Untrusted { reason, .. }) => {
                findings.push(connect(Status::Pass).saw("it answers", "an answer"));
                let wrong = self.finding(Aspect::Chain, Status::Fail).saw(reason, chain);
                findings.push(wrong.remedy(EnrolmentRemedy::ServeOwnCertificate));
            }
            Err(error) => {
                let wrong = connect(Status::Fail).saw(error.to_string(), "an answer");
                findings.push(wrong.remedy(EnrolmentRemedy::StartEnrolmentServer));
            }
        }
        Ok(false)
    }

    /// A client without a certificate may not list requests.
    fn anonymous(&self) -> Result<Finding, Error> {
        Ok(self.refused(
            Aspect::Anonymous,
            self.get(None, REQUESTS),
            "refused: anonymous clients may not list requests",
        ))
    }

    /// A client with a certificate of another CA for the group of approvers may not list requests.
    fn untrusted(&self) -> Result<Finding, Error> {
        let expected = "refused: another CA issued the certificate";
        let Some(root) = self.roots.first() else {
            return Ok(self.finding(Aspect::Untrusted, Status::Skipped).saw("there is no root", expected));
        };
        let mut account = AccountScheme::default().account(&self.any_node()?);
        account.group = Some(crate::cluster::profile::APPROVERS.to_owned());
        let client = untrusted(UntrustedKind::ForgedIssuer, root, &account, UntrustedKey::New(KeyKind::EcdsaP256))?;
        let chain: String = client.chain.iter().map(Certificate::to_pem).collect();
        let key = PrivateKey::from_pkcs8(Zeroizing::new(client.pkcs8().to_vec())).map_err(IssueError::from)?;
        let key = key.to_pem();
        let certificate = ClientCertificate { chain: chain.as_bytes(), key: key.as_bytes() };
        Ok(self.refused(Aspect::Untrusted, self.get(Some(certificate), REQUESTS), expected))
    }

    fn any_node(&self) -> Result<HostName, Error> {
        let named = self.cluster.nodes.first().or(self.cluster.masters.first());
        let named = named.map(|host| host.name.clone());
        named.ok_or_else(|| directory_without_hosts().into())
    }

    /// A node may not request another node's certificate. The request is a dry run, so that nothing is created.
    ///
    /// Nodes that joined keep their keys, so the directory may have none. Then the request has the statement of another host as
    /// evidence, which a server must refuse as well.
    fn other_node(&self) -> Result<Finding, Error> {
        let expected = "refused: a node may only request its own certificates";
        let with_key = self.cluster.nodes.iter().find_map(|node| {
            let spec = self.cluster.node_specs(node).into_iter().find(|spec| spec.profile == Profile::KubeletClient)?;
            Some((node, credentials::read(&self.env.layout, &spec).ok()?.credential))
        });
        let other = |name: &HostName| self.cluster.nodes.iter().find(|node| node.name != *name).map(|node| &node.name);
        let by_certificate = with_key.and_then(|found| other(&found.0.name).map(|other| (found.1, other.clone())));
        let (credential, other) = match by_certificate {
            Some((credential, other)) => (Some(credential), other),
            None => (None, self.any_node()?),
        };
        let (body, statement) = self.request_of(&other)?;
        let pem = credential.as_ref().map(|credential| {
            let chain: String = credential.certificates().map(Certificate::to_pem).collect();
            (chain, credential.key.to_pem())
        });
        let certificate =
            pem.as_ref().map(|(chain, key)| ClientCertificate { chain: chain.as_bytes(), key: key.as_bytes() });
        let body = if certificate.is_some() { body("") } else { body(&statement) };
        let options = ClientOptions { trust: Trust::Roots(&self.roots), certificate, now: self.env.now, limit: TIME };
        let url = format!("{}{REQUESTS}?dryRun=All", self.endpoint);
        let request = Request {
            method: "POST",
            url: &url,
            body: Some(("application/json", body.as_bytes())),
            headers: &[],
            limit: LIMIT,
        };
        let answer = Client::new(&options).and_then(|client| client.send(&request));
        let mut finding = self.refused(Aspect::OtherNode, answer, expected);
        if certificate.is_none() {
            finding.observed.push_str(", to another host's statement: no key of a node is in this directory");
        }
        Ok(finding)
    }

    /// Returns the request for a client certificate of a node, as a function of its evidence, and a statement of another host
    /// about it.
    fn request_of(&self, node: &HostName) -> Result<(impl Fn(&str) -> String + use<>, String), Error> {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).map_err(IssueError::from)?;
        let signing = LocalKey::open(&key).map_err(IssueError::from)?;
        let account = self.cluster.accounts.account(node);
        let csr = create_request_for(&signing, &account, &[], Usage::Client)?;
        let signer = match self.cluster.accounts {
            AccountScheme::Kubelet => "clusterctl.io/kubelet-client",
            AccountScheme::SystemNode => "kubernetes.io/kube-apiserver-client-kubelet",
        };
        let statement = Statement {
            host: HostName::parse("another-host").map_err(|_| directory_without_hosts())?,
            time: self.env.now,
            cluster: self.id,
            request: Fingerprint::of(&csr),
            occasion: Occasion::Join,
        };
        let statement = statement.to_blocks(&Proofs { ssh_host_key: None, token: None }).map_err(JoinError::HostKey)?;
        let (name, text) = (format!("clusterctl-{node}-verify"), pem::write_request(&csr));
        let body = move |evidence: &str| {
            json!({
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "CertificateSigningRequest",
                "metadata": {"name": name},
                "spec": {
                    "request": Base64::encode_string(format!("{text}{evidence}").as_bytes()),
                    "signerName": signer,
                    "usages": ["digital signature", "client auth"],
                },
            })
            .to_string()
        };
        Ok((body, statement))
    }
}

/// The error of a cluster file without hosts, which is never valid.
fn directory_without_hosts() -> crate::app::verify::VerifyError {
    crate::app::verify::VerifyError::Target(crate::app::verify::TargetError::NoPeers)
}
