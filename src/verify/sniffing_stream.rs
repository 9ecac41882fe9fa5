//! A stream that keeps the first bytes that it read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The number of first bytes that are kept.
const FIRST_BYTES: usize = 64;

/// A stream that keeps the first bytes that it read.
pub(super) struct SniffingStream {
    pub(super) stream: TcpStream,
    pub(super) first: Vec<u8>,
}

impl AsyncRead for SniffingStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let room = FIRST_BYTES.saturating_sub(self.first.len());
        let new = &buf.filled()[before..];
        let new = new[..new.len().min(room)].to_vec();
        self.first.extend(new);
        polled
    }
}

impl AsyncWrite for SniffingStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
