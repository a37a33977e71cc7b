//! TLS for the listener: who the server says it is, and whom it lets in.
//!
//! The server's key lives in memory alone: every start makes one and has it certified by the
//! site's key in the HSM, so there is no TLS key file to steal. Client certificates are asked
//! for and verified against the site's root; only enrolment works without one (`auth`).

use std::sync::{Arc, PoisonError, RwLock};

use identity::Role;
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;

use crate::authority::{Authority, AuthorityError};
use crate::line;

/// How long one server certificate is valid. It is renewed every day, so a server that cannot
/// reach its HSM keeps answering for a month.
const VALID_HOURS: u32 = 31 * 24;

/// Why TLS could not be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The certificate could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] credential::KeyError),
    /// The parts do not fit together.
    #[error("cannot set up TLS: {0}")]
    Rustls(String),
}

/// The server's certificate of the day.
#[derive(Debug)]
pub(crate) struct ServerCertificate(RwLock<Arc<CertifiedKey>>);

impl ServerCertificate {
    /// Makes a key and has it certified.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn new(authority: &Authority) -> Result<ServerCertificate, TlsError> {
        Ok(ServerCertificate(RwLock::new(Arc::new(certified(
            authority,
        )?))))
    }

    /// Replaces it with a fresh one; connections that are open go on with the old.
    ///
    /// # Errors
    /// [`TlsError`]; the old one stays.
    pub(crate) fn renew(&self, authority: &Authority) -> Result<(), TlsError> {
        let fresh = Arc::new(certified(authority)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.0.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

fn certified(authority: &Authority) -> Result<CertifiedKey, TlsError> {
    let minted = credential::mint_key(&ring::rand::SystemRandom::new())?;
    let role = Role::Server {
        dns: vec![api::SERVER_NAME.to_owned()],
        ips: Vec::new(),
    };
    let leaf = authority.leaf(&minted.spki, &role, line::now(), VALID_HOURS)?;
    let key = minted.private.expose(|pkcs8| {
        any_ecdsa_type(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(
            pkcs8.to_vec(),
        )))
    });
    let key = key.map_err(|error| TlsError::Rustls(error.to_string()))?;
    // The root goes along, so that a station that enrols can hold it against its token's digest.
    let chain = [leaf, authority.site_root().to_vec()].map(CertificateDer::from);
    Ok(CertifiedKey::new(chain.to_vec(), key))
}

/// The listener's configuration.
///
/// # Errors
/// [`TlsError`] when the site's root is not usable.
pub(crate) fn server_config(
    authority: &Authority,
    certificate: Arc<ServerCertificate>,
) -> Result<ServerConfig, TlsError> {
    let broken = |error: &dyn std::fmt::Display| TlsError::Rustls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(authority.site_root().to_vec()))
        .map_err(|error| broken(&error))?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| broken(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| broken(&error))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
