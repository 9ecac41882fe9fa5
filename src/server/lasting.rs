//! Long-lived answers: watches over HTTP/1.1.
//!
//! hyper keeps buffers of 16 KiB for each connection, which a watch does not need: the connection is taken from hyper, and the
//! answer is written directly to its TLS stream.

use std::fmt::Write;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use hyper::body::{Body as _, Bytes};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Response};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// The stream of a connection; in a box, because it is moved from one future to the next.
pub(super) type Stream = Box<TlsStream<TcpStream>>;

/// The time limit of a write.
const PATIENCE: Duration = Duration::from_secs(60);
/// Data is written when there is this much, in bytes, or when no more is pending.
const AT_ONCE: usize = 32 * 1024;

/// Marks an answer that [`write()`] writes instead of hyper.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lasting;

/// Writes an answer until its body ends or the client disconnects, and closes the connection.
pub(super) async fn write(mut stream: Stream, response: Response<Body>, now: OffsetDateTime) {
    let (parts, mut body) = response.into_parts();
    let mut unsent = head(&parts, now).into_bytes();
    drop(parts);
    loop {
        let has_unsent = !unsent.is_empty();
        match poll_fn(|context| next(context, &mut stream, &mut body, has_unsent)).await {
            Next::Data(data) => {
                add_chunk(&mut unsent, &data);
                if unsent.len() >= AT_ONCE && send(&mut stream, std::mem::take(&mut unsent)).await.is_err() {
                    return;
                }
            }
            Next::Nothing => {
                if send(&mut stream, std::mem::take(&mut unsent)).await.is_err() {
                    return;
                }
            }
            Next::End => break,
            Next::Gone => return,
        }
    }
    unsent.extend_from_slice(b"0\r\n\r\n");
    // The client may have disconnected.
    if send(&mut stream, unsent).await.is_ok() {
        let _ = timeout(PATIENCE, stream.shutdown()).await;
    }
}

/// The next event of the answer or of the connection.
enum Next {
    Data(Bytes),
    /// No more data is pending, and some is not sent yet.
    Nothing,
    End,
    /// The client disconnected, or sent data during the answer.
    Gone,
}

fn next(context: &mut Context<'_>, stream: &mut Stream, body: &mut Body, has_unsent: bool) -> Poll<Next> {
    match Pin::new(body).poll_frame(context) {
        Poll::Ready(Some(Ok(frame))) => {
            return Poll::Ready(frame.into_data().map_or(Next::End, Next::Data));
        }
        Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Next::End),
        Poll::Pending if has_unsent => return Poll::Ready(Next::Nothing),
        Poll::Pending => {}
    }
    let mut byte = [0];
    Pin::new(stream).poll_read(context, &mut ReadBuf::new(&mut byte)).map(|_| Next::Gone)
}

/// Adds a chunk (RFC 9112 § 7.1).
fn add_chunk(to: &mut Vec<u8>, data: &[u8]) {
    // An empty chunk would end the body.
    if !data.is_empty() {
        to.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        to.extend_from_slice(data);
        to.extend_from_slice(b"\r\n");
    }
}

async fn send(stream: &mut Stream, bytes: Vec<u8>) -> io::Result<()> {
    let all = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    timeout(PATIENCE, all).await?
}

/// Returns the head of the answer. The body is chunked, and the connection is closed after it.
fn head(parts: &Parts, now: OffsetDateTime) -> String {
    let mut head = format!("HTTP/1.1 {}\r\n", parts.status);
    add_headers(&mut head, &parts.headers);
    let form =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    if let Ok(date) = now.to_offset(time::UtcOffset::UTC).format(form) {
        let _ = write!(head, "date: {date}\r\n");
    }
    head.push_str("transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    head
}

fn add_headers(head: &mut String, headers: &HeaderMap) {
    for (name, value) in headers {
        if let Ok(value) = value.to_str() {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{CONTENT_TYPE, HeaderValue};
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_head_is_that_of_a_chunked_answer() {
        let mut response = Response::new(());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (parts, ()) = response.into_parts();
        assert_eq!(
            head(&parts, datetime!(2026-11-29 12:00:07 UTC)),
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Sun, 29 Nov 2026 12:00:07 GMT\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_chunk_has_its_size_and_an_empty_one_does_not_end_the_body() {
        let mut text = Vec::new();
        add_chunk(&mut text, &[b'a'; 17]);
        add_chunk(&mut text, b"");
        assert_eq!(text, [b"11\r\n", &[b'a'; 17][..], b"\r\n"].concat());
    }
}
