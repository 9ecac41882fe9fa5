//! What helps, as data. The words for it are made in one place, by what the cluster was made with: a report of a cluster that
//! another tool made names no command of clusterctl.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::target::Place;

/// What is known of who made the cluster that is verified, and of what is at hand here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A cluster directory: clusterctl made the cluster, and its CA is here.
    #[default]
    Directory,
    /// A bundle: clusterctl made the cluster, and its CA is elsewhere.
    Bundle,
    /// Files and addresses, by which kubeadm made the cluster.
    Kubeadm,
    /// Files and addresses. Nothing is known of the tool.
    Other,
}

/// The remedy of a finding, as data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Issue a host's serving certificate again.
    Reissue(Server),
    /// Issue a host's serving certificate again before it ends.
    Renew(Server),
    /// Issue a host's serving certificate again, for servers.
    ReissueForServers(Server),
    /// Issue a host's serving certificate again, with every name that is dialled.
    ReissueWithNames(Server),
    /// Let a host serve the certificate that this cluster's root signed.
    ServeOurs(Server),
    /// Let a host serve this cluster's certificate, with every intermediate.
    ServeWholeChain(Server),
    /// Let a kubelet serve a certificate that it did not make itself.
    NameServingFiles,
    /// Let a node serve the certificate that was issued last.
    ServeNewest {
        /// The node.
        host: String,
    },
    /// Issue a node's client certificate again.
    ReissueClient {
        /// The node.
        host: String,
    },
    /// Replace a root that has ended.
    ReplaceRoot,
    /// Start the server that should listen.
    Start(Server),
    /// Give the verifier's account what it needs to read.
    GrantVerifier {
        /// What it could not read.
        what: Cow<'static, str>,
    },
    /// Let masters do at kubelets what they have to do.
    AllowMasters,
    /// Give a kubelet its settings back.
    KubeletSettings,
    /// Give an API server its flags back.
    ApiServerFlags,
    /// Give a node's account the rights that it lacks.
    GrantNodes,
    /// Bind a node's rights to its own name.
    NarrowNodes,
    /// Narrow what a node may read.
    NarrowReads,
    /// Refuse what a node must not write.
    RefuseWrites,
    /// Let an API server deny what is revoked.
    Deny {
        /// The API server.
        server: Server,
        /// Whether it denies nothing of what it has to.
        no_rule: bool,
    },
    /// Let the verifier ask what is denied.
    LetVerifierAsk,
    /// Find out why a node is not known.
    RegisterNode,
    /// Say which nodes there are.
    ListNodes,
    /// Let the node's addresses be what masters dial.
    CorrectAddresses,
    /// Write a kubeconfig that names files and trusts nothing else.
    RewriteKubeconfig,
    /// What helps whatever made the cluster.
    #[serde(untagged)]
    Words(Cow<'static, str>),
}

/// A host that serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Server {
    /// What it is.
    pub place: Place,
    /// Its name.
    pub host: String,
}

impl From<&'static str> for Remedy {
    fn from(words: &'static str) -> Self {
        Self::Words(Cow::Borrowed(words))
    }
}

impl From<String> for Remedy {
    fn from(words: String) -> Self {
        Self::Words(Cow::Owned(words))
    }
}

impl Server {
    /// The command of clusterctl that makes a new certificate for it.
    fn command(&self) -> String {
        match self.place {
            Place::Node => format!("clusterctl issue-node --reissue {}", self.host),
            Place::Master => format!("clusterctl issue-master --reissue {}", self.host),
            Place::Endpoint | Place::Cluster => "clusterctl issue-master --reissue --all".to_owned(),
        }
    }

    /// The hosts whose certificate it is, for another tool's words.
    fn on(&self) -> String {
        match self.place {
            Place::Node | Place::Master => format!("on {}", self.host),
            Place::Endpoint | Place::Cluster => "on each control-plane node".to_owned(),
        }
    }

    fn is_a_kubelet(&self) -> bool {
        self.place == Place::Node
    }
}

/// How kubeadm's kubelets get a serving certificate of the cluster's CA.
const BOOTSTRAP: &str = "set serverTLSBootstrap: true in the kubelet's configuration (/var/lib/kubelet/config.yaml, and the ConfigMap \
                         kubelet-config), restart the kubelet, and approve its request: kubectl get csr, kubectl certificate \
                         approve NAME";

/// Where kubeadm keeps an API server's flags.
const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

impl Remedy {
    /// Returns the words for it.
    #[must_use]
    pub fn words(&self, kind: TargetKind) -> Cow<'_, str> {
        match kind {
            TargetKind::Directory => self.ours(""),
            TargetKind::Bundle => self.ours("where the cluster directory is, "),
            TargetKind::Kubeadm => self.kubeadms(),
            TargetKind::Other => self.any_tools(),
        }
    }

    /// The words for a cluster of clusterctl; `there` says where its commands are run, unless that is here.
    fn ours(&self, there: &str) -> Cow<'_, str> {
        let text = match self {
            Self::Words(words) => return Cow::Borrowed(words),
            Self::Reissue(server) => format!("issue it again: {there}{}, then install the bundle", server.command()),
            Self::Renew(server) => format!("renew it in time: {there}{}", server.command()),
            Self::ReissueForServers(server) => format!(
                "issue it again with clusterctl, whose serving certificates are serverAuth alone: {there}{}, then install the \
                 bundle",
                server.command()
            ),
            Self::ReissueWithNames(server) => match server.place {
                Place::Endpoint | Place::Cluster => format!(
                    "issue the masters' certificates again ({there}clusterctl issue-master --all) and install their bundles, or is \
                     this another server?"
                ),
                Place::Node | Place::Master => {
                    let (host, role) = (&server.host, if server.is_a_kubelet() { "issue-node" } else { "issue-master" });
                    format!(
                        "if the cluster file lists it among {host}'s addresses, install its newest bundle; if not, add it and run \
                         {there}clusterctl {role} {host} first; or is this another server?"
                    )
                }
            },
            Self::ServeOurs(_) => "this host serves a certificate of another CA (a kubelet that signs its own, a proxy?): install \
                                   its bundle and restart what serves here"
                .to_owned(),
            Self::ServeWholeChain(_) => "another CA of the same name signed it, or not all intermediates are sent: install this \
                                         host's bundle again and restart what serves here"
                .to_owned(),
            Self::NameServingFiles => "the kubelet made this certificate itself, because its configuration names no tlsCertFile: \
                                       set tlsCertFile and tlsPrivateKeyFile as this host's bundle does, and restart the kubelet"
                .to_owned(),
            Self::ServeNewest { host } => format!(
                "install {host}'s newest bundle; it still serves an older certificate, or not its own. If that bundle has this very \
                 one, the last was never written: {there}clusterctl issue-node {host} --reissue"
            ),
            Self::ReissueClient { host } => format!(
                "the node presents a certificate that was revoked: {there}clusterctl issue-node --reissue {host}, then install its \
                 bundle again"
            ),
            Self::ReplaceRoot => "a root cannot be renewed in place: make a new one with `clusterctl init-ca` in a new directory, \
                                  then issue and distribute every certificate again"
                .to_owned(),
            Self::Start(server) => {
                let unit = if server.is_a_kubelet() { "kubelet" } else { "kube-apiserver" };
                format!("{} (systemctl status {unit}), or correct address and port", start(server))
            }
            Self::GrantVerifier { what } => {
                format!("give the verifier's group the rights that its bundle lists: {what}")
            }
            Self::AllowMasters => ALLOW_MASTERS.to_owned(),
            Self::KubeletSettings => "install the host's bundle again, and look for flags or drop-in files of the kubelet that \
                                      override it"
                .to_owned(),
            Self::ApiServerFlags => "start the API server with the flags that the master's bundle holds".to_owned(),
            Self::GrantNodes => "give the account its rights: apply the access rules of the masters' bundle, or is another \
                                 authorizer asked first that denies?"
                .to_owned(),
            Self::NarrowNodes => "bind a node's rights to its own name only, as the access rules of the masters' bundle do, and look \
                                  for other roles that are bound to its user or group"
                .to_owned(),
            Self::NarrowReads => "a kubelet needs the pods of its own node and the secrets that these name: see the access rules of \
                                  the masters' bundle for what narrows its reads"
                .to_owned(),
            Self::RefuseWrites => "switch on NodeRestriction (--enable-admission-plugins) and apply the policies of policy/ with \
                                   their bindings: a node that is taken over could act for others"
                .to_owned(),
            Self::Deny { server, no_rule } => {
                let (bundle, whose) = match server.place {
                    Place::Master => (format!("clusterctl bundle {}", server.host), "its"),
                    _ => ("clusterctl bundle --all".to_owned(), "each master's"),
                };
                let install = format!("install {whose} newest bundle ({there}{bundle})");
                match no_rule {
                    true => format!(
                        "{install}, and see that the API server runs with --authorization-config and that bundle's \
                         authorization.yaml: it has to be restarted once for that"
                    ),
                    false => format!("it has an older authorization.yaml: {install}. {RELOADED}"),
                }
            }
            Self::LetVerifierAsk => "let the verifier ask, which changes nothing: kubectl apply -f policy/, or the verifier bundle's \
                                     policy/clusterctl-verifier.yaml, as this clusterctl writes them (create \
                                     subjectaccessreviews)"
                .to_owned(),
            Self::RegisterNode => "has its kubelet registered? See its log, and that the node name it takes is the cluster file's"
                .to_owned(),
            Self::ListNodes => "add them to the cluster file, or remove them: kubectl delete node NAME".to_owned(),
            Self::CorrectAddresses => "correct the cluster file, or the kubelet's --node-ip; masters dial the InternalIP that the API \
                                       server knows, and the certificate has to name it"
                .to_owned(),
            Self::RewriteKubeconfig => "clusterctl's bundles carry a kubeconfig that has none of this".to_owned(),
        };
        Cow::Owned(text)
    }

    /// The words for a cluster that kubeadm made.
    fn kubeadms(&self) -> Cow<'_, str> {
        let text = match self {
            Self::Reissue(server) if server.is_a_kubelet() => {
                format!("let the cluster's CA issue it again: {BOOTSTRAP}")
            }
            Self::Renew(server) if server.is_a_kubelet() => {
                "a kubelet with rotateCertificates renews it itself, once its request is approved: kubectl get csr, kubectl \
                 certificate approve NAME"
                    .to_owned()
            }
            Self::ReissueForServers(server) if server.is_a_kubelet() => {
                format!("let the cluster's CA issue it again, for the signer kubernetes.io/kubelet-serving: {BOOTSTRAP}")
            }
            Self::ReissueWithNames(server) if server.is_a_kubelet() => format!(
                "a kubelet asks for the addresses that it knows of itself: set --node-ip or the host's name on {}, delete its \
                 serving certificate under /var/lib/kubelet/pki, and restart it; or is this another server?",
                server.host
            ),
            Self::ServeOurs(server) | Self::ServeWholeChain(server) if server.is_a_kubelet() => {
                format!("kubeadm's kubelets sign their serving certificates themselves unless told otherwise: {BOOTSTRAP}")
            }
            Self::NameServingFiles => format!(
                "the kubelet made this certificate itself, because it has none of the cluster's CA: {BOOTSTRAP}"
            ),
            Self::Reissue(server) => format!("issue it again: {}", renew(server)),
            Self::Renew(server) => format!("renew it in time: {}", renew(server)),
            Self::ReissueForServers(server) => format!("issue it again for servers: {}", renew(server)),
            Self::ReissueWithNames(server) => format!(
                "add it to apiServer.certSANs of kubeadm's ClusterConfiguration, then {}: move /etc/kubernetes/pki/apiserver.crt and \
                 apiserver.key away, run kubeadm init phase certs apiserver --config FILE, and restart kube-apiserver; or is this \
                 another server?",
                server.on()
            ),
            Self::ServeOurs(server) | Self::ServeWholeChain(server) => format!(
                "another CA signed it, or not all intermediates are sent: is /etc/kubernetes/pki/ca.crt {} this cluster's? If it \
                 is, issue it again: {}",
                server.on(),
                renew(server)
            ),
            Self::ServeNewest { host } => {
                format!("restart what serves on {host}: it still serves an older certificate, or not its own")
            }
            Self::ReissueClient { host } => format!(
                "the node presents a certificate that was revoked: issue it again with kubeadm init phase kubeconfig kubelet for \
                 {host}, or kubeadm reset and kubeadm join there"
            ),
            Self::ReplaceRoot => "kubeadm does not renew its CA: replace /etc/kubernetes/pki/ca.crt by hand, as the Kubernetes \
                                  documentation describes under \"Manual Rotation of CA Certificates\""
                .to_owned(),
            Self::Start(server) => {
                let look = if server.is_a_kubelet() {
                    "systemctl status kubelet".to_owned()
                } else {
                    format!("crictl ps -a --name kube-apiserver; {MANIFEST}")
                };
                format!("{} ({look}), or correct address and port", start(server))
            }
            Self::KubeletSettings => "set it in /var/lib/kubelet/config.yaml and the ConfigMap kubelet-config, restart the kubelet, \
                                      and look for flags (/var/lib/kubelet/kubeadm-flags.env) that override it"
                .to_owned(),
            Self::ApiServerFlags => format!("set it in {MANIFEST}, and in apiServer.extraArgs of the ClusterConfiguration"),
            Self::AllowMasters => "the master is recognised but not allowed: issue its certificate again with kubeadm certs renew \
                                   apiserver-kubelet-client, whose group may call kubelets, or bind ClusterRole \
                                   system:kubelet-api-admin to user kube-apiserver-kubelet-client"
                .to_owned(),
            Self::RewriteKubeconfig => {
                "name the root, the certificate and its key by file path in it, an https server without a proxy, and no other credential; \
                 what is embedded has to be written again when it is renewed"
                    .to_owned()
            }
            Self::Words(_)
            | Self::GrantVerifier { .. }
            | Self::GrantNodes
            | Self::NarrowNodes
            | Self::NarrowReads
            | Self::RefuseWrites
            | Self::Deny { .. }
            | Self::LetVerifierAsk
            | Self::RegisterNode
            | Self::ListNodes
            | Self::CorrectAddresses => return self.any_tools(),
        };
        Cow::Owned(text)
    }

    /// The words for a cluster of which only files and addresses are known.
    fn any_tools(&self) -> Cow<'_, str> {
        let text = match self {
            Self::Words(words) => return Cow::Borrowed(words),
            Self::Reissue(server) => {
                format!("issue it again by the tool that made this cluster's, and restart what serves {}", server.on())
            }
            Self::Renew(_) => "renew it in time by the tool that made this cluster's".to_owned(),
            Self::ReissueForServers(_) => "issue it again with the extended key usage serverAuth alone and CA:FALSE, by the tool that \
                                           made this cluster's"
                .to_owned(),
            Self::ReissueWithNames(_) => "issue the certificate again with a SAN for each address and name that is dialled, by the \
                                          tool that made this cluster's; or is this another server?"
                .to_owned(),
            Self::ServeOurs(_) => "this host serves a certificate of another CA (a kubelet that signs its own, a proxy?): have it \
                                   issued by this cluster's CA and restart what serves here; or is the trust file of another \
                                   cluster?"
                .to_owned(),
            Self::ServeWholeChain(_) => "another CA of the same name signed it, or not all intermediates are sent: let the server \
                                         send its certificate with every intermediate, and compare the trust file with the \
                                         cluster's"
                .to_owned(),
            Self::NameServingFiles => "the kubelet made this certificate itself, because its configuration names no tlsCertFile: \
                                       set tlsCertFile and tlsPrivateKeyFile, or serverTLSBootstrap: true, and restart the kubelet"
                .to_owned(),
            Self::ServeNewest { host } => {
                format!("restart what serves on {host}: it still serves an older certificate, or not its own")
            }
            Self::ReissueClient { host } => format!(
                "the node presents a certificate that was revoked: issue {host}'s client certificate again by the tool that made \
                 this cluster's"
            ),
            Self::ReplaceRoot => "a root cannot be renewed in place: make a new one by the tool that made this cluster's, then issue \
                                  and distribute every certificate again"
                .to_owned(),
            Self::Start(server) => format!("{}, or correct address and port", start(server)),
            Self::GrantVerifier { what } => format!("give the account that verifies the rights that it needs: {what}"),
            Self::AllowMasters => ALLOW_MASTERS.to_owned(),
            Self::KubeletSettings => {
                "set it in the kubelet's configuration, and look for flags or drop-in files of the kubelet that override it"
                    .to_owned()
            }
            Self::ApiServerFlags => "start the API server with this flag set".to_owned(),
            Self::GrantNodes => "give the account its rights: the Node authorizer (--authorization-mode=Node,RBAC) has them for each \
                                 node, or is another authorizer asked first that denies?"
                .to_owned(),
            Self::NarrowNodes => "bind a node's rights to its own name only, as the Node authorizer and NodeRestriction do, and look \
                                  for other roles that are bound to its user or group"
                .to_owned(),
            Self::NarrowReads => "a kubelet needs the pods of its own node and the secrets that these name, to which the Node \
                                  authorizer narrows its reads: look for roles that are bound to its user or group"
                .to_owned(),
            Self::RefuseWrites => "switch on NodeRestriction (--enable-admission-plugins): a node that is taken over could act for \
                                   others"
                .to_owned(),
            Self::Deny { no_rule: true, .. } => "see that the API server runs with --authorization-config, and that this file denies \
                                                 what is revoked: it has to be restarted once for that"
                .to_owned(),
            Self::Deny { no_rule: false, .. } => {
                format!("it has an older file of --authorization-config: bring the newest. {RELOADED}")
            }
            Self::LetVerifierAsk => {
                "let the account that verifies ask, which changes nothing: create subjectaccessreviews".to_owned()
            }
            Self::RegisterNode => {
                "has its kubelet registered? See its log, and that the node name it takes is the one given here".to_owned()
            }
            Self::ListNodes => "name them with --node, too, or remove them: kubectl delete node NAME".to_owned(),
            Self::CorrectAddresses => "correct --node here, or the kubelet's --node-ip; masters dial the InternalIP that the API \
                                       server knows, and the certificate has to name it"
                .to_owned(),
            Self::RewriteKubeconfig => "name the CA, certificate and key as files of this cluster, with https and nothing that \
                                        passes TLS verification by"
                .to_owned(),
        };
        Cow::Owned(text)
    }
}

const ALLOW_MASTERS: &str = "the master is recognised but not allowed: bind ClusterRole system:kubelet-api-admin to the user of its \
                             certificate, which is kube-apiserver-kubelet-client as a rule";

const RELOADED: &str = "An API server reads a new one within a minute; one that does not says why in its log (\"authorization \
                        config\"), and reads it when it is restarted";

fn start(server: &Server) -> String {
    let what = if server.is_a_kubelet() { "the kubelet" } else { "the API server" };
    format!("start {what} {}", server.on())
}

/// kubeadm's command for an API server's certificate.
fn renew(server: &Server) -> String {
    format!("kubeadm certs renew apiserver {}, then restart kube-apiserver there", server.on())
}
