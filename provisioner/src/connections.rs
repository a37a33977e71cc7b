//! Connections: accepted, verified, counted.
//!
//! Each handshake has its own task and its own time limit, so a client that says nothing keeps
//! nobody waiting; a permit per connection bounds how many there are.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use crate::auth::PeerCertificate;

/// A handshake that takes longer is dropped; a station's takes milliseconds.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// How long a client that was refused may take to read why.
const ALERT_WITHIN: Duration = Duration::from_secs(1);

/// Connections at once. A line has tens of stations, a load test hundreds of clients.
const CONNECTIONS: usize = 1_024;

/// Connections at once that showed no certificate. They can only enrol, which takes a second, so
/// strangers cannot take the places of stations and administrators.
const STRANGERS: usize = 32;

/// How long a connection that showed no certificate may stay.
const STRANGER_WITHIN: Duration = Duration::from_secs(30);

/// Accepts until told to stop; each handshake in a task of its own.
pub(crate) fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    mut stopping: watch::Receiver<bool>,
) -> ReceiverStream<Result<Connection, std::io::Error>> {
    let (ready, connections) = mpsc::channel(16);
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            let Ok((stream, _)) = accepted else {
                // Out of descriptors, most likely: give some connection the time to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                continue;
            };
            let (acceptor, ready) = (acceptor.clone(), ready.clone());
            let strangers = Arc::clone(&strangers);
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let accepting = acceptor.accept(stream).into_fallible();
                match tokio::time::timeout(HANDSHAKE_WITHIN, accepting).await {
                    Ok(Ok(tls)) => {
                        let Some(connection) = Connection::new(tls, permit, &strangers) else {
                            return tracing::warn!("too many connections without a certificate");
                        };
                        let _ = ready.send(Ok(connection)).await;
                    }
                    Ok(Err((error, stream))) => {
                        tracing::warn!(%error, "TLS handshake refused");
                        let _ = tokio::time::timeout(ALERT_WITHIN, hear_out(stream)).await;
                    }
                    Err(_) => tracing::warn!("TLS handshake took too long"),
                }
            });
        }
    });
    ReceiverStream::new(connections)
}

/// Lets a client that was refused read the alert that says why.
///
/// In TLS 1.3 it has sent its first request by then. To close with that unread resets the
/// connection (RFC 2525, 2.17) and can take the alert with it: the station would see a network
/// that is down, and try again, where its certificate is not accepted.
async fn hear_out(mut stream: TcpStream) {
    let mut unread = [0; 1_024];
    if stream.shutdown().await.is_ok() {
        while matches!(stream.read(&mut unread).await, Ok(1..)) {}
    }
}

/// A verified connection, which remembers the certificate the client showed.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: PeerCertificate,
    _permit: OwnedSemaphorePermit,
    stranger: Option<Stranger>,
}

/// The place and the time of a connection that showed no certificate.
struct Stranger {
    _permit: OwnedSemaphorePermit,
    until: Pin<Box<Sleep>>,
}

impl Connection {
    /// `None` when it shows no certificate and too many such are there.
    fn new(
        stream: TlsStream<TcpStream>,
        permit: OwnedSemaphorePermit,
        strangers: &Arc<Semaphore>,
    ) -> Option<Connection> {
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.and_then(|chain| chain.first());
        let peer = PeerCertificate(shown.map(|der| der.as_ref().into()));
        let stranger = match peer.0 {
            Some(_) => None,
            None => Some(Stranger {
                _permit: Arc::clone(strangers).try_acquire_owned().ok()?,
                until: Box::pin(tokio::time::sleep(STRANGER_WITHIN)),
            }),
        };
        Some(Connection {
            stream,
            peer,
            _permit: permit,
            stranger,
        })
    }
}

impl Connected for Connection {
    type ConnectInfo = PeerCertificate;

    fn connect_info(&self) -> PeerCertificate {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(stranger) = &mut self.stranger
            && stranger.until.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
