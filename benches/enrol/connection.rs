//! A small HTTP/1.1 client over TLS, so that ten thousand of them fit beside the server.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(tls: &Arc<rustls::ClientConfig>, address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("set");
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.expect("TLS");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends a request.
    pub(crate) async fn send(&mut self, method: &str, path: &str, media_type: &str, body: &str) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: ca\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.expect("sent");
        self.stream.flush().await.expect("sent");
    }

    async fn more(&mut self) -> bool {
        let mut part = [0; 4096];
        let length = self.stream.read(&mut part).await.unwrap_or(0);
        self.buffer.extend_from_slice(&part[..length]);
        length > 0
    }

    async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                let rest = self.buffer.split_off(at + end.len());
                return std::mem::replace(&mut self.buffer, rest);
            }
            assert!(self.more().await, "the server ended the connection");
        }
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.more().await, "the server ended the connection");
        }
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Reads the head of an answer, and returns the status and the length of the body; `None` is chunked.
    pub(crate) async fn head(&mut self) -> (u16, Option<usize>) {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await).expect("text").to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        (status, length.map(|text| text.trim().parse().expect("a length")))
    }

    /// Reads an answer.
    pub(crate) async fn answer(&mut self) -> (u16, Vec<u8>) {
        let (status, length) = self.head().await;
        match length {
            Some(length) => (status, self.exactly(length).await),
            None => {
                let mut body = Vec::new();
                loop {
                    let chunk = self.chunk().await;
                    if chunk.is_empty() {
                        return (status, body);
                    }
                    body.extend(chunk);
                }
            }
        }
    }

    /// Reads a chunk of a body; an empty one ends it.
    pub(crate) async fn chunk(&mut self) -> Vec<u8> {
        let size = String::from_utf8(self.until(b"\r\n").await).expect("text");
        let size = usize::from_str_radix(size.trim(), 16).expect("a size");
        let mut chunk = self.exactly(size + 2).await;
        chunk.truncate(size);
        chunk
    }
}
