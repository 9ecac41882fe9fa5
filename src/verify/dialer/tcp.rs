//! TCP connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::config::Dialer;
use super::socket::millis;
use crate::verify::observation::Connect;

/// Errors of opening a TCP stream.
pub(super) enum TcpError {
    TimedOut,
    OutOfDescriptors,
    Io(io::Error),
}

pub(super) const OUT_OF_DESCRIPTORS: &str = "this machine had no free file descriptors";

/// The number of tries for a descriptor, and the pause between them: a minute in all.
const DESCRIPTOR_TRIES: u32 = 3000;

const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(20);

impl Dialer {
    /// Opens a TCP connection.
    pub(in crate::verify) async fn connect(&self, to: SocketAddr) -> Result<TcpStream, Connect> {
        match self.tcp(to).await.0 {
            Ok(stream) => Ok(stream),
            Err(TcpError::TimedOut) => Err(Connect::TimedOut(millis(self.limit))),
            Err(TcpError::OutOfDescriptors) => Err(Connect::NotTried(OUT_OF_DESCRIPTORS.to_owned())),
            Err(TcpError::Io(error)) => Err(match error.kind() {
                io::ErrorKind::ConnectionRefused => Connect::Refused,
                io::ErrorKind::TimedOut => Connect::TimedOut(millis(self.limit)),
                _ => Connect::Failed(error.to_string()),
            }),
        }
    }

    /// Opens a TCP connection, and returns when the attempt began: the peer's time runs from there. A lack of file
    /// descriptors is a local problem, so this waits for free ones.
    pub(super) async fn tcp(&self, to: SocketAddr) -> (Result<TcpStream, TcpError>, Instant) {
        for _ in 0..DESCRIPTOR_TRIES {
            let began = Instant::now();
            let opened = match timeout(self.limit, TcpStream::connect(to)).await {
                Ok(Ok(stream)) => {
                    // Messages are small, and Nagle's algorithm only delays them. A failure changes nothing.
                    let _ = stream.set_nodelay(true);
                    Ok(stream)
                }
                Ok(Err(error)) if wants_descriptors(&error) => {
                    tokio::time::sleep(DESCRIPTOR_PAUSE).await;
                    continue;
                }
                Ok(Err(error)) => Err(TcpError::Io(error)),
                Err(_) => Err(TcpError::TimedOut),
            };
            return (opened, began);
        }
        (Err(TcpError::OutOfDescriptors), Instant::now())
    }
}

/// EMFILE and ENFILE.
fn wants_descriptors(error: &io::Error) -> bool {
    let wanting = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| errno.raw_os_error());
    error.raw_os_error().is_some_and(|code| wanting.contains(&code))
}
