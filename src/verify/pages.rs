//! Lists of an API server, page by page: an ordinary client's work, done by reqwest. What reqwest would do by itself is
//! switched off: the system's roots, proxies, redirects, retries.

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url, retry};
use rustls::ClientConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::{Instant, timeout_at};

use super::dialer::{Socket, millis};
use super::error::outcome;
use super::http::name_of;
use super::observation::{Answer, Outcome};
use crate::cluster::address::Address;

/// What a page may hold, in bytes.
const PAGE_LIMIT: usize = 4 * 1024 * 1024;
/// A list longer than this is no cluster's.
const MAX_ITEMS: usize = 100_000;
/// What a peer may send of headers, in bytes.
const HEADERS: u32 = 64 * 1024;

/// A list to ask for.
pub(super) struct Wanted {
    /// `/api/v1/nodes`
    pub(super) path: &'static str,
    /// `NodeList`
    pub(super) kind: &'static str,
    /// How many items are asked for at once.
    pub(super) page: usize,
}

/// All items of a list, and the API server's own time when it gave the last page.
pub(super) struct Whole<T> {
    pub(super) items: Vec<T>,
    pub(super) served: Option<OffsetDateTime>,
}

/// Gets every item over one connection that `config` secures, until `deadline`.
pub(super) async fn list<T: DeserializeOwned>(
    config: ClientConfig,
    socket: &Socket,
    wanted: &Wanted,
    deadline: Instant,
) -> Result<Whole<T>, Outcome> {
    let began = Instant::now();
    let late = || Err(Outcome::TimedOut(millis(deadline - began)));
    timeout_at(deadline, pages(config, socket, wanted)).await.unwrap_or_else(|_| late())
}

async fn pages<T: DeserializeOwned>(
    config: ClientConfig,
    socket: &Socket,
    wanted: &Wanted,
) -> Result<Whole<T>, Outcome> {
    let failed = |error: reqwest::Error| outcome(&error);
    let (client, base) = client(config, socket).map_err(failed)?;
    let mut items: Vec<T> = Vec::new();
    let mut from = String::new();
    loop {
        let url = format!("{base}{}?limit={}{from}", wanted.path, wanted.page);
        let said = Said::of(client.get(url).header("accept", "application/json").send().await.map_err(failed)?).await;
        let page = (said.status == StatusCode::OK && !said.truncated)
            .then(|| serde_json::from_slice::<List<T>>(&said.body).ok().filter(|list| list.kind == wanted.kind));
        let Some(page) = page.flatten() else { return Err(said.refused()) };
        items.extend(page.items.into_iter().flatten());
        let next = page.metadata.next.unwrap_or_default();
        if next.is_empty() {
            return Ok(Whole { items, served: said.served });
        }
        if items.len() > MAX_ITEMS {
            return Err(Outcome::Failed(format!("there is no end after {MAX_ITEMS} items")));
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
    served: Option<OffsetDateTime>,
    body: Vec<u8>,
    truncated: bool,
}

impl Said {
    async fn of(mut response: Response) -> Self {
        let content_type = response.headers().get("content-type");
        let content_type = content_type.map(|v| String::from_utf8_lossy(v.as_bytes()).chars().take(128).collect());
        let served = response.headers().get("date").and_then(|value| date(value.to_str().ok()?));
        let (status, version) = (response.status(), name_of(response.version()).to_owned());
        let mut said = Self { status, version, content_type, served, body: Vec::new(), truncated: true };
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

    /// What came in place of a list.
    fn refused(self) -> Outcome {
        Outcome::Answer(Answer {
            status: self.status.as_u16(),
            version: self.version.into(),
            content_type: self.content_type.map(Into::into),
            body: String::from_utf8_lossy(&self.body).chars().take(1024).collect::<String>().into(),
            truncated: self.truncated || self.body.len() > 1024,
        })
    }
}

/// Reads an HTTP date (RFC 9110 § 5.6.7), whose zone RFC 2822 writes as a number.
fn date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok()
}

/// As it stands in a query (RFC 3986 § 2.1).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What is wanted of any list of Kubernetes.
#[derive(Deserialize)]
struct List<T> {
    kind: String,
    #[serde(default)]
    metadata: ListMeta,
    items: Option<Vec<T>>,
}

#[derive(Deserialize, Default)]
struct ListMeta {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn http_dates_are_read() {
        assert_eq!(date("Sat, 28 Nov 2026 11:26:53 GMT"), Some(datetime!(2026-11-28 11:26:53 UTC)));
        assert_eq!(date("yesterday"), None);
    }
}
