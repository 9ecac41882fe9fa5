//! The arguments of a control plane's programs, for systemd units and for static pods.
//!
//! Only flags for trust and addresses are set. The operator chooses all other flags.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cluster::address::Address;
use crate::cluster::etcd;
use crate::cluster::kubernetes::Features;
use crate::cluster::profile::FRONT_PROXY_CLIENT;
use crate::cluster::spec::{Cluster, Host};

/// etcd's health endpoint: without TLS, and on loopback only (kubeadm's port).
const ETCD_METRICS: &str = "http://127.0.0.1:2381";

/// The arguments of each program, in an order for readers.
#[derive(Debug, Serialize)]
pub(super) struct Flags {
    etcd: Vec<String>,
    apiserver: Vec<String>,
    controller_manager: Vec<String>,
    scheduler: Vec<String>,
}

impl Flags {
    /// Returns the arguments for `master`, whose files are at `files` ([`super::paths::by_name`]).
    pub(super) fn of(cluster: &Cluster, master: &Host, files: &BTreeMap<String, String>, features: Features) -> Self {
        let file = |name: &str| files.get(name).cloned().unwrap_or_default();
        Self {
            etcd: etcd(cluster, master, &file),
            apiserver: apiserver(cluster, master, &file, features),
            controller_manager: controller_manager(&file),
            scheduler: scheduler(&file),
        }
    }
}

fn etcd(cluster: &Cluster, master: &Host, file: &dyn Fn(&str) -> String) -> Vec<String> {
    let own = dialled(master);
    // etcd listens on IP addresses only. A master without an IP address in the cluster file listens on all addresses.
    let listen = master.addresses.iter().find_map(Address::ip).map_or_else(|| "0.0.0.0".to_owned(), for_url);
    let peers: Vec<String> =
        cluster.masters.iter().map(|host| format!("{}={}", host.name, peer_url(&dialled(host)))).collect();
    let clients = if listen == "0.0.0.0" { String::new() } else { format!("{},", client_url("127.0.0.1")) };
    vec![
        format!("--name={}", master.name),
        format!("--data-dir={}", file("etcd_data")),
        format!("--cert-file={}", file("etcd_server_crt")),
        format!("--key-file={}", file("etcd_server_key")),
        format!("--trusted-ca-file={}", file("etcd_ca")),
        "--client-cert-auth=true".to_owned(),
        format!("--peer-cert-file={}", file("etcd_peer_crt")),
        format!("--peer-key-file={}", file("etcd_peer_key")),
        format!("--peer-trusted-ca-file={}", file("etcd_ca")),
        "--peer-client-cert-auth=true".to_owned(),
        format!("--listen-client-urls={clients}{}", client_url(&listen)),
        format!("--advertise-client-urls={}", client_url(&own)),
        format!("--listen-peer-urls={}", peer_url(&listen)),
        format!("--initial-advertise-peer-urls={}", peer_url(&own)),
        format!("--initial-cluster={}", peers.join(",")),
        format!("--initial-cluster-token={}", cluster.name),
        "--initial-cluster-state=new".to_owned(),
        format!("--listen-metrics-urls={ETCD_METRICS}"),
    ]
}

fn apiserver(cluster: &Cluster, master: &Host, file: &dyn Fn(&str) -> String, features: Features) -> Vec<String> {
    // The master's own etcd comes first; the others are used if it is down.
    let others = cluster.masters.iter().filter(|host| host.name != master.name);
    let etcds: Vec<String> = [master].into_iter().chain(others).map(|host| client_url(&dialled(host))).collect();
    let ranges: Vec<String> = cluster.service_cidrs.iter().map(ToString::to_string).collect();
    let mut flags = vec![format!("--secure-port={}", master.port)];
    // The address must be of the first service range's family, or the API server refuses to start (Kubernetes
    // `cmd/kube-apiserver/app/options`, `validatePublicIPServiceClusterIPRangeIPFamilies`). Without the flag, the API
    // server uses the address of its default route.
    let primary = cluster.service_cidrs.first().map(|cidr| cidr.first_address().is_ipv4());
    let advertised = master.addresses.iter().filter_map(Address::ip).find(|ip| Some(ip.is_ipv4()) == primary);
    flags.extend(advertised.map(|ip| format!("--advertise-address={ip}")));
    flags.extend([
        format!("--service-cluster-ip-range={}", ranges.join(",")),
        format!("--client-ca-file={}", file("ca")),
        format!("--tls-cert-file={}", file("apiserver_crt")),
        format!("--tls-private-key-file={}", file("apiserver_key")),
        format!("--kubelet-certificate-authority={}", file("ca")),
        format!("--kubelet-client-certificate={}", file("apiserver_kubelet_client_crt")),
        format!("--kubelet-client-key={}", file("apiserver_kubelet_client_key")),
        "--kubelet-preferred-address-types=InternalIP,Hostname".to_owned(),
        format!("--etcd-servers={}", etcds.join(",")),
        format!("--etcd-cafile={}", file("etcd_ca")),
        format!("--etcd-certfile={}", file("apiserver_etcd_client_crt")),
        format!("--etcd-keyfile={}", file("apiserver_etcd_client_key")),
        format!("--requestheader-client-ca-file={}", file("front_proxy_ca")),
        format!("--requestheader-allowed-names={FRONT_PROXY_CLIENT}"),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        format!("--proxy-client-cert-file={}", file("front_proxy_client_crt")),
        format!("--proxy-client-key-file={}", file("front_proxy_client_key")),
        format!("--service-account-key-file={}", file("service_account_public")),
        format!("--service-account-signing-key-file={}", file("service_account_key")),
        format!("--service-account-issuer=https://kubernetes.default.svc.{}", cluster.cluster_domain),
        "--anonymous-auth=false".to_owned(),
        match features.has_authorization_config() {
            true => format!("--authorization-config={}", file("authorization")),
            false => "--authorization-mode=Node,RBAC".to_owned(),
        },
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        // Network add-ons need privileged pods. Pod Security decides who may run such pods (kubeadm also sets this
        // flag).
        "--allow-privileged=true".to_owned(),
    ]);
    flags.extend(features.api_server_flags(cluster.accounts));
    flags
}

fn controller_manager(file: &dyn Fn(&str) -> String) -> Vec<String> {
    let kubeconfig = file("controller_manager_kubeconfig");
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        format!("--client-ca-file={}", file("ca")),
        format!("--requestheader-client-ca-file={}", file("front_proxy_ca")),
        format!("--requestheader-allowed-names={FRONT_PROXY_CLIENT}"),
        format!("--root-ca-file={}", file("ca")),
        format!("--service-account-private-key-file={}", file("service_account_key")),
        "--use-service-account-credentials=true".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=true".to_owned(),
    ]
}

fn scheduler(file: &dyn Fn(&str) -> String) -> Vec<String> {
    let kubeconfig = file("scheduler_kubeconfig");
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=true".to_owned(),
    ]
}

/// Returns the address that peers and API servers connect to: the first IP address, else the first name.
///
/// All of a master's addresses are in its certificates.
pub(super) fn dialled(master: &Host) -> String {
    etcd::member_address(master).for_url()
}

fn for_url(ip: std::net::IpAddr) -> String {
    Address::Ip(ip).for_url()
}

fn client_url(host: &str) -> String {
    format!("https://{host}:{}", etcd::CLIENT_PORT)
}

fn peer_url(host: &str) -> String {
    format!("https://{host}:{}", etcd::PEER_PORT)
}
