//! One TLS connection to the server, remade when it breaks.
//!
//! What tonic's own TLS configuration cannot do is why this connector is ours: another name than
//! the address is verified, and a refusal of a certificate is told apart from a network that is
//! down. In TLS 1.3 a server refuses a client's certificate after the client took the handshake
//! for done, so the refusal is watched for on the stream as well.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::Service;

use crate::trust::{TrustError, server_name};

/// TCP and TLS together; a factory network answers in milliseconds.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A connection with nothing on it is asked for a sign of life this often.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
/// Without a sign for so long it is dead: a partition sends no reset.
const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(5);

/// An address that cannot be one of a server.
#[derive(Debug, Error)]
#[error("server address `{address}` is not usable: expected https://HOST:PORT")]
pub struct AddressError {
    address: String,
}

/// A server's address, `https://HOST:PORT`.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The port when none is given: that of HTTPS.
    const PORT: u16 = 443;

    pub(crate) fn parse(text: &str) -> Result<Address, AddressError> {
        let unusable = || AddressError {
            address: text.chars().take(80).collect(),
        };
        let uri: Uri = text.parse().map_err(|_| unusable())?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let host = uri.host().filter(|_| bare).ok_or_else(unusable)?;
        if uri.scheme_str() != Some("https") {
            return Err(unusable());
        }
        Ok(Address {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(Address::PORT),
        })
    }
}

/// Remembers that the other end was found not to be trusted, or did not trust this one.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Option<TrustError>>>);

impl Watch {
    fn note(&self, error: &(dyn Error + 'static)) {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let tls = error.downcast_ref::<rustls::Error>().or_else(|| {
                let io = error.downcast_ref::<io::Error>()?;
                io.get_ref()?.downcast_ref::<rustls::Error>()
            });
            if let Some(found) = tls.and_then(TrustError::of) {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                return;
            }
            cause = error.source();
        }
    }

    /// What was found since it was last asked for.
    pub(crate) fn take(&self) -> Option<TrustError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A channel that connects at its first call. Nothing is sent before TLS is up.
pub(crate) fn channel(address: &Address, tls: ClientConfig) -> (Channel, Watch) {
    let watch = Watch::default();
    let connector = Connector {
        tls: TlsConnector::from(Arc::new(tls)),
        address: address.clone(),
        watch: watch.clone(),
    };
    // The connector does TLS itself; at an https address tonic would insist on doing it too.
    let endpoint = Endpoint::from_static("http://provisioner.birthmark")
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_WITHIN)
        .keep_alive_while_idle(true);
    (endpoint.connect_with_connector_lazy(connector), watch)
}

/// Opens connections for tonic; cloned parts only, so a broken one is replaced by itself.
#[derive(Clone)]
struct Connector {
    tls: TlsConnector,
    address: Address,
    watch: Watch,
}

impl Connector {
    async fn open(self) -> io::Result<TokioIo<Watched>> {
        let target = (self.address.host.as_str(), self.address.port);
        let opening = async {
            let stream = TcpStream::connect(target).await?;
            stream.set_nodelay(true)?; // small messages, each waited for
            self.tls.connect(server_name(), stream).await
        };
        let opened = timeout(CONNECT_WITHIN, opening)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match opened {
            Ok(stream) => Ok(TokioIo::new(Watched {
                stream,
                watch: self.watch,
            })),
            Err(error) => {
                self.watch.note(&error);
                Err(error)
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Watched>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Watched>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().open())
    }
}

/// A TLS stream that notes why it was refused: HTTP/2 passes on the words of an error alone.
struct Watched {
    stream: tokio_rustls::client::TlsStream<TcpStream>,
    watch: Watch,
}

impl Watched {
    fn seen<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            self.watch.note(error);
        }
        polled
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.seen(polled)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.seen(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.seen(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, u16)>) {
        let parsed = Address::parse(text).ok();
        let found = parsed.as_ref().map(|a| (a.host.as_str(), a.port));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn an_address_is_https_host_and_port() {
        check("https://127.0.0.1:7443", Some(("127.0.0.1", 7443)));
        check("https://[::1]:7443/", Some(("::1", 7443)));
        check("https://line.example", Some(("line.example", 443)));
        for bad in [
            "",
            "127.0.0.1:7443",
            "http://a:1",
            "https://a/b",
            "https://a?b",
            "a b",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn a_refusal_is_found_however_deep_it_is_wrapped() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired);
        let watch = Watch::default();
        watch.note(&io::Error::other(io::Error::other(alert)));
        assert!(
            watch.take().is_none(),
            "an io::Error hides what it wraps twice from source()"
        );
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired);
        watch.note(&io::Error::other(alert));
        assert!(matches!(watch.take(), Some(TrustError::NotAccepted(_))));
        assert!(watch.take().is_none());
        watch.note(&io::Error::from(io::ErrorKind::ConnectionReset));
        assert!(watch.take().is_none());
    }
}
