//! The list of nodes as an API server tells it: an ordinary client's work, page by page, done by reqwest. What reqwest would
//! do by itself is switched off: the system's roots, proxies, redirects, retries.

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url, retry};
use rustls::ClientConfig;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::ending::outcome;
use super::observation::{Answer, Listed, ListedNode, Outcome};
use super::wire::{Socket, millis};
use crate::cluster::address::Address;

/// How many nodes are asked for at once. A node's object is 5 to 20 KiB.
const PAGE: usize = 25;
/// What a page of nodes may hold, in bytes.
const PAGE_LIMIT: usize = 4 * 1024 * 1024;
/// A list longer than this is no cluster's.
const MAX_NODES: usize = 100_000;
/// What a peer may send of headers, in bytes.
const HEADERS: u32 = 64 * 1024;

/// Every node, over one connection that `config` secures, until `deadline`.
pub(super) async fn list(config: ClientConfig, socket: &Socket, deadline: Instant) -> Listed {
    let began = Instant::now();
    let listing = async {
        match pages(config, socket).await {
            Ok(nodes) => Listed::Nodes(nodes),
            Err(outcome) => Listed::Failed(outcome),
        }
    };
    let late = || Listed::Failed(Outcome::TimedOut(millis(deadline - began)));
    timeout_at(deadline, listing).await.unwrap_or_else(|_| late())
}

async fn pages(config: ClientConfig, socket: &Socket) -> Result<Vec<ListedNode>, Outcome> {
    let failed = |error: reqwest::Error| outcome(&error);
    let (client, base) = client(config, socket).map_err(failed)?;
    let mut nodes: Vec<ListedNode> = Vec::new();
    let mut from = String::new();
    loop {
        let asked = client.get(format!("{base}/api/v1/nodes?limit={PAGE}{from}")).header("accept", "application/json");
        let said = Said::of(asked.send().await.map_err(failed)?).await;
        let page = (said.status == StatusCode::OK && !said.truncated)
            .then(|| serde_json::from_slice::<NodeList>(&said.body).ok().filter(|list| list.kind == "NodeList"));
        let Some(page) = page.flatten() else { return Err(said.refused()) };
        nodes.extend(page.items.into_iter().flatten().map(ListedNode::from));
        let next = page.metadata.next.unwrap_or_default();
        if next.is_empty() {
            return Ok(nodes);
        }
        if nodes.len() > MAX_NODES {
            return Err(Outcome::Failed(format!("there is no end after {MAX_NODES} nodes")));
        }
        from = format!("&continue={}", escaped(&next));
    }
}

/// A client for this socket alone, and the beginning of its URLs.
fn client(config: ClientConfig, socket: &Socket) -> reqwest::Result<(Client, String)> {
    let mut builder = Client::builder()
        .use_preconfigured_tls(config)
        .https_only(true)
        .no_proxy()
        .redirect(Policy::none())
        .retry(retry::never())
        .http2_max_header_list_size(HEADERS)
        .user_agent(concat!("clusterctl/", env!("CARGO_PKG_VERSION")));
    let mut host = Address::Ip(socket.to.ip());
    // reqwest asks TLS for what the URL names.
    if let Address::Dns(name) = socket.name() {
        // The URL standard takes a name such as `0x1f` for an IPv4 address; such a host is asked by its address.
        if Url::parse(&format!("https://{name}/")).is_ok_and(|url| url.domain() == Some(name.as_str())) {
            builder = builder.resolve_to_addrs(name.as_str(), &[socket.to]);
            host = socket.name().clone();
        }
    }
    Ok((builder.build()?, format!("https://{}:{}", host.for_url(), socket.to.port())))
}

/// An answer as it came.
struct Said {
    status: StatusCode,
    version: String,
    content_type: Option<String>,
    body: Vec<u8>,
    truncated: bool,
}

impl Said {
    async fn of(mut response: Response) -> Self {
        let content_type = response.headers().get("content-type");
        let content_type = content_type.map(|v| String::from_utf8_lossy(v.as_bytes()).chars().take(128).collect());
        let (status, version) = (response.status(), format!("{:?}", response.version()));
        let mut said = Self { status, version, content_type, body: Vec::new(), truncated: true };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = PAGE_LIMIT - said.body.len();
                    said.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        return said;
                    }
                }
                Ok(None) => {
                    said.truncated = false;
                    return said;
                }
                Err(_) => return said,
            }
        }
    }

    /// What came in place of a list of nodes.
    fn refused(self) -> Outcome {
        Outcome::Answer(Answer {
            status: self.status.as_u16(),
            version: self.version,
            content_type: self.content_type,
            body: String::from_utf8_lossy(&self.body).chars().take(1024).collect(),
            truncated: self.truncated || self.body.len() > 1024,
        })
    }
}

/// As it stands in a query (RFC 3986 § 2.1).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What is wanted of a NodeList (Kubernetes `v1`).
#[derive(Deserialize)]
struct NodeList {
    kind: String,
    #[serde(default)]
    metadata: ListMeta,
    items: Option<Vec<NodeItem>>,
}

#[derive(Deserialize, Default)]
struct ListMeta {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct NodeItem {
    metadata: NodeMeta,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize)]
struct NodeMeta {
    name: String,
}

#[derive(Deserialize, Default)]
struct NodeStatus {
    #[serde(default)]
    addresses: Vec<NodeAddress>,
}

#[derive(Deserialize)]
struct NodeAddress {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

impl From<NodeItem> for ListedNode {
    fn from(item: NodeItem) -> Self {
        let addresses = item.status.addresses.into_iter().map(|address| (address.kind, address.address));
        Self { name: item.metadata.name, addresses: addresses.collect() }
    }
}
