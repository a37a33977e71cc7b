//! Whom a station trusts over TLS: before enrolment the root its token names, afterwards the root
//! it was enrolled with, and in both cases nobody else. The machine's own roots are never looked at.

use std::sync::Arc;

use api::SERVER_NAME;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use thiserror::Error;

use crate::home::Identity;
use crate::token::Token;

/// HTTP/2, as gRPC wants it (RFC 7301 protocol id).
const ALPN: &[u8] = b"h2";

/// Why two ends of a connection do not trust each other. Repeating the call does not help.
#[derive(Clone, Debug, Error)]
pub enum TrustError {
    /// The server shows a certificate of another site, or none for this service.
    #[error(
        "this server is not the one the station was enrolled with ({0}): check the address, or \
         enrol with a token of that server into another --data folder"
    )]
    OtherServer(String),
    /// The server's certificate, or this machine's clock, is out of date.
    #[error("the server's certificate is not valid now ({0}): check both clocks, then renew it")]
    ServerExpired(String),
    /// The server does not take this station's certificate.
    #[error(
        "the server does not accept this station's certificate ({0}): it is expired or unknown \
         there; enrol again with a fresh token"
    )]
    NotAccepted(String),
    /// Key, certificate or root of the station cannot be used together.
    #[error("this station's key and certificates cannot be used ({0}): enrol again")]
    Unusable(String),
}

impl TrustError {
    /// What a TLS error means for a station, or `None` when it may pass by itself.
    pub(crate) fn of(error: &rustls::Error) -> Option<TrustError> {
        use AlertDescription as Alert;
        use CertificateError as Bad;
        match error {
            rustls::Error::InvalidCertificate(
                Bad::Expired
                | Bad::ExpiredContext { .. }
                | Bad::NotValidYet
                | Bad::NotValidYetContext { .. },
            ) => Some(TrustError::ServerExpired(error.to_string())),
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                Some(TrustError::OtherServer(error.to_string()))
            }
            rustls::Error::AlertReceived(
                Alert::CertificateExpired
                | Alert::CertificateRevoked
                | Alert::CertificateUnknown
                | Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::DecryptError,
            ) => Some(TrustError::NotAccepted(error.to_string())),
            _ => None,
        }
    }
}

/// For every call but enrolment: shows the station's certificate, trusts the pinned root.
pub(crate) fn station_tls(identity: Identity) -> Result<ClientConfig, TrustError> {
    let unusable = |error: rustls::Error| TrustError::Unusable(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.add(identity.root).map_err(unusable)?;
    let mut config = builder()?
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.chain, identity.key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// For the one call before a station has a certificate: trusts the root that the token names.
pub(crate) fn enrolment_tls(token: &Arc<Token>) -> Result<ClientConfig, TrustError> {
    let verifier = NamedRoot {
        token: Arc::clone(token),
        provider: provider(),
    };
    let mut config = builder()?
        .dangerous() // a verifier of our own: it hands over to WebPKI once the root is found
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// The name every server's certificate carries, whatever address it is reached at.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER_NAME).expect("a constant DNS name")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TrustError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError::Unusable(error.to_string()))
}

/// Finds, in the chain that was presented, the root whose hash the token names, and verifies the
/// server's certificate against it by the usual rules.
///
/// Someone in between can present any chain, but needs either the root's key or another
/// certificate whose SHA-256 starts with the same 64 bits.
struct NamedRoot {
    token: Arc<Token>,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for NamedRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NamedRoot")
    }
}

impl ServerCertVerifier for NamedRoot {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let root = intermediates
            .iter()
            .find(|certificate| self.token.names_root(certificate))
            .ok_or_else(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&self.provider))
            .build()
            .map_err(|_| unknown())?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
