//! Bytes to and from a printer, each within a time.

use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::node::Node;

/// For a printer on the network to take what is on its way, when it does not answer: some never close
/// a line.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);
/// The same on a cable, which says when it is out: a slow printer takes its time.
const LEFT_WITHIN: Duration = Duration::from_secs(10);

/// An open line to a printer.
pub(super) enum Link {
    Tcp(TcpStream),
    Node(Node),
}

impl Link {
    pub(super) async fn tcp(host: &str, port: u16, within: Duration) -> io::Result<Link> {
        let opened = timeout(within, TcpStream::connect((host, port))).await;
        let stream = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        stream.set_nodelay(true)?;
        Ok(Link::Tcp(stream))
    }

    pub(super) fn node(path: &Path) -> io::Result<Link> {
        Node::open(path).map(Link::Node)
    }

    /// Sends all of it, or says that it cannot; some of it may have gone then.
    pub(super) async fn send(&mut self, bytes: &[u8], within: Duration) -> io::Result<()> {
        match self {
            Link::Tcp(stream) => {
                let sent = timeout(within, async {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                });
                sent.await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
            Link::Node(node) => node.write(bytes, Instant::now() + within).await,
        }
    }

    /// At least a byte; an error at the end.
    pub(super) async fn receive(&mut self, bytes: &mut [u8], until: Instant) -> io::Result<usize> {
        match self {
            Link::Tcp(stream) => {
                let read = timeout_at(until, stream.read(bytes)).await;
                match read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    count => Ok(count),
                }
            }
            Link::Node(node) => node.read(bytes, until).await,
        }
    }

    /// Drops what the printer said before it was asked: on a cable, an answer to somebody who has
    /// given up waiting for it may lie there.
    pub(super) async fn drain(&mut self) {
        match self {
            Link::Tcp(stream) => {
                let mut old = [0; 256];
                for _ in 0..16 {
                    if !matches!(stream.try_read(&mut old), Ok(count) if count > 0) {
                        return;
                    }
                }
            }
            Link::Node(node) => node.drain().await,
        }
    }

    /// Ends a line to a printer that does not answer: a line that is dropped with bytes on their way
    /// takes them back.
    pub(super) async fn finish(&mut self) {
        match self {
            Link::Tcp(stream) => {
                let ending = async {
                    let _ = stream.shutdown().await;
                    let mut rest = [0; 64];
                    while matches!(stream.read(&mut rest).await, Ok(count) if count > 0) {}
                };
                let _ = timeout(CLOSED_WITHIN, ending).await;
            }
            Link::Node(node) => node.sent(LEFT_WITHIN).await,
        }
    }
}
