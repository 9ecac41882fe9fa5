//! Requests lists of an API server page by page, with reqwest. System roots, proxies, redirects and retries are disabled.

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

/// The maximum size of a page, in bytes.
const PAGE_LIMIT: usize = 4 * 1024 * 1024;
/// The maximum length of a list.
const MAX_ITEMS: usize = 100_000;
/// The maximum size of headers, in bytes.
const HEADERS: u32 = 64 * 1024;

/// A list to request.
pub(super) struct Wanted {
    /// `/api/v1/nodes`
    pub(super) path: &'static str,
    /// `NodeList`
    pub(super) kind: &'static str,
    /// The number of items per page.
    pub(super) page: usize,
}

/// All items of a list, and the API server's time of the last page.
pub(super) struct CompleteList<T> {
    pub(super) items: Vec<T>,
    pub(super) served: Option<OffsetDateTime>,
}

/// Lists every item over one connection, until `deadline`.
pub(super) async fn list<T: DeserializeOwned>(
    config: ClientConfig,
    socket: &Socket,
    wanted: &Wanted,
    deadline: Instant,
) -> Result<CompleteList<T>, Outcome> {
    let began = Instant::now();
    let late = || Err(Outcome::TimedOut(millis(deadline - began)));
    timeout_at(deadline, pages(config, socket, wanted)).await.unwrap_or_else(|_| late())
}

async fn pages<T: DeserializeOwned>(
    config: ClientConfig,
    socket: &Socket,
    wanted: &Wanted,
) -> Result<CompleteList<T>, Outcome> {
    let failed = |error: reqwest::Error| outcome(&error);
    let (client, base) = client(config, socket).map_err(failed)?;
    let mut items: Vec<T> = Vec::new();
    let mut from = String::new();
    loop {
        let url = format!("{base}{}?limit={}{from}", wanted.path, wanted.page);
        let said =
            HttpResponse::of(client.get(url).header("accept", "application/json").send().await.map_err(failed)?).await;
        let page = (said.status == StatusCode::OK && !said.truncated)
            .then(|| serde_json::from_slice::<List<T>>(&said.body).ok().filter(|list| list.kind == wanted.kind));
        let Some(page) = page.flatten() else { return Err(said.refused()) };
        items.extend(page.items.into_iter().flatten());
        let next = page.metadata.next.unwrap_or_default();
        if next.is_empty() {
            return Ok(CompleteList { items, served: said.served });
        }
        if items.len() > MAX_ITEMS {
            return Err(Outcome::Failed(format!("the list does not end after {MAX_ITEMS} items")));
        }
        from = format!("&continue={}", escaped(&next));
    }
}

/// Returns a client that only connects to this socket, and the base of its URLs.
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
    // reqwest takes the server name from the URL.
    if let Address::Dns(name) = socket.name() {
        // The URL standard parses a name such as `0x1f` as an IPv4 address; such a host is dialled by its address.
        if Url::parse(&format!("https://{name}/")).is_ok_and(|url| url.domain() == Some(name.as_str())) {
            builder = builder.resolve_to_addrs(name.as_str(), &[socket.to]);
            host = socket.name().clone();
        }
    }
    Ok((builder.build()?, format!("https://{}:{}", host.for_url(), socket.to.port())))
}

/// A response before it is evaluated.
struct HttpResponse {
    status: StatusCode,
    version: String,
    content_type: Option<String>,
    served: Option<OffsetDateTime>,
    body: Vec<u8>,
    truncated: bool,
}

impl HttpResponse {
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

    /// Returns the outcome of a response that is not a list.
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

/// Returns a text, percent-encoded for a query (RFC 3986 § 2.1).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The fields of a Kubernetes list that are read.
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
