//! The texts of remedies for certificates, keys and CRLs.

use super::phrases::{SERVER_TLS_BOOTSTRAP, is_a_kubelet, kubeadm_renew, on, reissue, where_to_run};
use crate::pki::violation::COMPARE_CLOCKS;
use crate::verify::remedy::{CertificateRemedy, Server, TargetKind};
use crate::verify::target::Place;

pub(super) fn words(remedy: &CertificateRemedy, kind: TargetKind) -> String {
    match kind {
        TargetKind::Directory | TargetKind::Bundle => of_clusterctl(remedy, where_to_run(kind)),
        TargetKind::Kubeadm => of_kubeadm(remedy),
        TargetKind::Other => of_any_tool(remedy),
    }
}

/// The texts for a cluster that clusterctl manages. `there` precedes its commands (see [`where_to_run`]).
fn of_clusterctl(remedy: &CertificateRemedy, there: &str) -> String {
    match remedy {
        CertificateRemedy::Reissue(server) => {
            format!("reissue it: {there}{}, then install the bundle", reissue(server))
        }
        CertificateRemedy::Renew(server) => format!("renew it before it expires: {there}{}", reissue(server)),
        CertificateRemedy::ReissueForServers(server) => format!(
            "reissue it with clusterctl, whose serving certificates have only serverAuth: {there}{}, then install the \
             bundle",
            reissue(server)
        ),
        CertificateRemedy::ReissueWithNames(server) => with_names(server, there),
        CertificateRemedy::InstallServingCertificate(_) => {
            "this host presents a certificate of another CA (a kubelet that signs its own, a proxy?): install the host's bundle \
             and restart the server"
                .to_owned()
        }
        CertificateRemedy::SendIntermediates(_) => {
            "another CA with the same name signed it, or not all intermediates are sent: install this host's bundle again and \
             restart the server"
                .to_owned()
        }
        CertificateRemedy::NameServingFiles => {
            "the kubelet signed this certificate itself, because its configuration has no tlsCertFile: set tlsCertFile and \
             tlsPrivateKeyFile as in this host's bundle, and restart the kubelet"
                .to_owned()
        }
        CertificateRemedy::ServeNewest { host } => format!(
            "install {host}'s newest bundle: it still presents an older certificate, or not its own. If that bundle has this \
             very certificate, the newest was never written: {there}clusterctl issue-node {host} --reissue"
        ),
        CertificateRemedy::InstallPhase { host } => format!(
            "{host} is behind in the rotation: install its newest bundle, and restart what clusterctl rotate-ca status names for the present phase"
        ),
        CertificateRemedy::ReissueClient { host } => format!(
            "the node presents a revoked certificate: {there}clusterctl issue-node --reissue {host}, then install its bundle"
        ),
        other => of_any_tool(other),
    }
}

fn with_names(server: &Server, there: &str) -> String {
    let (host, command) = (&server.host, if is_a_kubelet(server) { "issue-node" } else { "issue-master" });
    match server.place {
        Place::Endpoint | Place::Cluster => format!(
            "reissue the API servers' certificates ({there}clusterctl issue-master --all) and install their bundles; or is this \
             another server?"
        ),
        Place::Node | Place::Master => format!(
            "if cluster.yaml has it among {host}'s addresses, install the host's newest bundle; otherwise add it and run \
             {there}clusterctl {command} {host} first; or is this another server?"
        ),
    }
}

/// The texts for a cluster that kubeadm made.
fn of_kubeadm(remedy: &CertificateRemedy) -> String {
    match remedy {
        CertificateRemedy::ReissueClient { host } => format!(
            "the node presents a revoked certificate: reissue it with kubeadm init phase kubeconfig kubelet for {host}, or \
             run kubeadm reset and kubeadm join there"
        ),
        CertificateRemedy::NameServingFiles => {
            format!(
                "the kubelet signed this certificate itself, because it has none of the cluster's CA: {SERVER_TLS_BOOTSTRAP}"
            )
        }
        CertificateRemedy::Reissue(server)
        | CertificateRemedy::Renew(server)
        | CertificateRemedy::ReissueForServers(server)
        | CertificateRemedy::ReissueWithNames(server)
        | CertificateRemedy::InstallServingCertificate(server)
        | CertificateRemedy::SendIntermediates(server) => match is_a_kubelet(server) {
            true => of_kubeadms_kubelet(remedy, server),
            false => of_kubeadms_api_server(remedy, server),
        },
        other => of_any_tool(other),
    }
}

fn of_kubeadms_kubelet(remedy: &CertificateRemedy, server: &Server) -> String {
    match remedy {
        CertificateRemedy::Renew(_) => {
            "a kubelet with rotateCertificates renews it itself, once its CSR is approved: kubectl get csr, kubectl certificate \
             approve NAME"
                .to_owned()
        }
        CertificateRemedy::ReissueForServers(_) => {
            format!("let the cluster's CA reissue it, for the signer kubernetes.io/kubelet-serving: {SERVER_TLS_BOOTSTRAP}")
        }
        CertificateRemedy::ReissueWithNames(_) => format!(
            "a kubelet requests the addresses that it knows of itself: set --node-ip or the host's name on {}, delete its \
             serving certificate under /var/lib/kubelet/pki, and restart it; or is this another server?",
            server.host
        ),
        CertificateRemedy::InstallServingCertificate(_) | CertificateRemedy::SendIntermediates(_) => {
            format!("kubeadm's kubelets sign their serving certificates themselves by default: {SERVER_TLS_BOOTSTRAP}")
        }
        _ => format!("let the cluster's CA reissue it: {SERVER_TLS_BOOTSTRAP}"),
    }
}

fn of_kubeadms_api_server(remedy: &CertificateRemedy, server: &Server) -> String {
    match remedy {
        CertificateRemedy::Renew(_) => format!("renew it before it expires: {}", kubeadm_renew(server)),
        CertificateRemedy::ReissueForServers(_) => format!("reissue it for servers: {}", kubeadm_renew(server)),
        CertificateRemedy::ReissueWithNames(_) => format!(
            "add it to apiServer.certSANs of kubeadm's ClusterConfiguration, then {}: move /etc/kubernetes/pki/apiserver.crt and \
             apiserver.key away, run kubeadm init phase certs apiserver --config FILE, and restart kube-apiserver; or is this \
             another server?",
            on(server)
        ),
        CertificateRemedy::InstallServingCertificate(_) | CertificateRemedy::SendIntermediates(_) => format!(
            "another CA signed it, or not all intermediates are sent: is /etc/kubernetes/pki/ca.crt {} this cluster's? If it \
             is, reissue it: {}",
            on(server),
            kubeadm_renew(server)
        ),
        _ => format!("reissue it: {}", kubeadm_renew(server)),
    }
}

/// The texts for a cluster that any other tool manages.
fn of_any_tool(remedy: &CertificateRemedy) -> String {
    let text = match remedy {
        CertificateRemedy::Reissue(server) => {
            return format!("reissue it with the tool that made this cluster's, and restart the server {}", on(server));
        }
        CertificateRemedy::InstallPhase { host } => {
            return format!("{host} is behind in the rotation of the CA: install the files of its phase there");
        }
        CertificateRemedy::ServeNewest { host } => {
            return format!("restart the server on {host}: it still presents an older certificate, or not its own");
        }
        CertificateRemedy::ReissueClient { host } => {
            return format!(
                "the node presents a revoked certificate: reissue {host}'s client certificate with the tool that made this \
                 cluster's"
            );
        }
        CertificateRemedy::Renew(_) => "renew it before it expires, with the tool that made this cluster's",
        CertificateRemedy::ReissueForServers(_) => {
            "reissue it with only the extended key usage serverAuth and with CA:FALSE, with the tool that made this \
             cluster's"
        }
        CertificateRemedy::ReissueWithNames(_) => {
            "reissue it with a SAN for each address and name of the host, with the tool that made this cluster's; or is this \
             another server?"
        }
        CertificateRemedy::ReissueByPermittedCa(_) => {
            "Kubernetes rejects this chain: have the certificate issued by a CA that may sign it"
        }
        CertificateRemedy::ReissueByServerCa(_) => {
            "Kubernetes accepts no serving certificate below a CA whose extended key usage does not permit serverAuth: have it \
             issued by another CA"
        }
        CertificateRemedy::ReissueWithStrongKey(_) => "reissue it with a key that is not weak",
        CertificateRemedy::InstallServingCertificate(_) => {
            "this host presents a certificate of another CA (a kubelet that signs its own, a proxy?): have it issued by this \
             cluster's CA and restart the server; or is the trust file of another cluster?"
        }
        CertificateRemedy::SendIntermediates(_) => {
            "another CA with the same name signed it, or not all intermediates are sent: let the server send its certificate \
             with every intermediate, and compare the trust file with the cluster's"
        }
        CertificateRemedy::SendChainOnly(_) => "a server sends its certificate and intermediates, and nothing else",
        CertificateRemedy::NameServingFiles => {
            "the kubelet signed this certificate itself, because its configuration has no tlsCertFile: set tlsCertFile and \
             tlsPrivateKeyFile, or serverTLSBootstrap: true, and restart the kubelet"
        }
        CertificateRemedy::UseVerifiableKey => {
            "Kubernetes can verify it, and this program cannot: keys on P-256 or P-384, Ed25519 and RSA of 2048 to 8192 bits, \
             with SHA-256 or SHA-384, can be verified here"
        }
        CertificateRemedy::MatchKeyAndCertificate => {
            "the private key on this host does not belong to its certificate, or another server presents a copy of the \
             certificate: install certificate and key together"
        }
        CertificateRemedy::RenewClient => {
            "renew this client certificate where it was issued, and install it before it expires"
        }
        CertificateRemedy::ProvideCurrentCrl => {
            "give a CRL that this cluster's CA signed and whose next update is not over: --crl FILE"
        }
        CertificateRemedy::CompareClocks => COMPARE_CLOCKS,
    };
    text.to_owned()
}
