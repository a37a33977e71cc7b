//! How a station gets its name: a one-time token in, a certificate for a key made here out.

use std::path::Path;
use std::sync::Arc;

use api::v1::EnrolRequest;
use api::v1::enrolment_client::EnrolmentClient;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use tlog::VerifierKey;
use tokio::time::{Duration, timeout};
use zeroize::Zeroizing;

use crate::calls::CallError;
use crate::connect::{self, Address, AddressError};
use crate::durable;
use crate::home::{Enrolled, Home, HomeError};
use crate::token::Token;
use crate::trust;

/// For the one call. It is not repeated: a token works once, so a second answer would be a refusal
/// and hide the first.
const ENROL_WITHIN: Duration = Duration::from_secs(20);

/// Why a station could not be enrolled.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// The folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The server, or the way to it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// No key could be made.
    #[error("no key could be made: {0}")]
    Key(#[from] rcgen::Error),
    /// The reply contradicts itself, the token or the key.
    #[error("the server's reply cannot be used: {0}")]
    BadReply(String),
}

/// Enrols this machine as the station the token names, into `dir`.
///
/// A folder of the same station at the same server is enrolled anew and keeps its journal; any
/// other is refused.
///
/// # Errors
/// Every variant of [`EnrolError`].
pub async fn enroll(server: &str, token: Token, dir: &Path) -> Result<Home, EnrolError> {
    let address = Address::parse(server)?;
    let token = Arc::new(token);
    durable::make_folder(dir).map_err(HomeError::io(dir))?;
    may_enrol(dir, &token)?;

    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let request = EnrolRequest {
        token: token.expose(str::to_owned),
        csr: csr(&key, &token)?,
    };
    let tls = trust::enrolment_tls(&token).map_err(CallError::from)?;
    let (channel, watch) = connect::channel(&address, tls);
    let mut client = EnrolmentClient::new(channel);
    let answer = timeout(ENROL_WITHIN, client.enrol(request)).await;
    let reply = answer
        .map_err(|_| CallError::Unavailable {
            reason: None,
            message: "no reply in time".to_owned(),
        })?
        .map_err(|status| watch.take().map_or_else(|| status.into(), CallError::Trust))?
        .into_inner();
    // Crash from here on: the token is spent and the key lost. Ask for another token.
    let bad = |what: &str| EnrolError::BadReply(what.to_owned());
    if reply.station != token.station().as_str() {
        return Err(bad("it names another station than the token"));
    }
    if !token.names_root(&reply.site_root) {
        return Err(bad("its root is not the one the token names"));
    }
    if !certifies(&reply.certificate, &key) {
        return Err(bad("its certificate is for another key"));
    }
    let vkey = VerifierKey::parse(&reply.vkey).map_err(|e| bad(&e.to_string()))?;
    Ok(Home::keep(
        dir,
        &Enrolled {
            server,
            station: token.station(),
            vkey: &vkey,
            key_pem: &Zeroizing::new(key.serialize_pem()),
            certificate_pem: &pem(&reply.certificate),
            root_pem: &pem(&reply.site_root),
        },
    )?)
}

/// A folder's journal may hold attempts only its own server can settle.
fn may_enrol(dir: &Path, token: &Token) -> Result<(), HomeError> {
    let home = match Home::open(dir) {
        Ok(home) => home,
        // Never enrolled, or an enrolment that was cut short.
        Err(HomeError::NotEnrolled { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let same_site = home
        .identity()
        .is_ok_and(|identity| token.names_root(&identity.root));
    if same_site && home.station() == token.station() {
        return Ok(());
    }
    Err(HomeError::OtherServer {
        dir: dir.display().to_string(),
        station: home.station().clone(),
        server: home.server().to_owned(),
    })
}

/// Proof that this station has the key. The name in it is for people: the server goes by the token.
fn csr(key: &KeyPair, token: &Token) -> Result<Vec<u8>, rcgen::Error> {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, token.station().as_str());
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    Ok(params.serialize_request(key)?.der().to_vec())
}

/// Whether a certificate (DER) carries the public half of this key.
fn certifies(certificate: &[u8], key: &KeyPair) -> bool {
    let private = Zeroizing::new(key.serialize_der());
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private.as_slice()));
    let Ok(signer) = any_supported_type(&private) else {
        return false;
    };
    let chain = vec![CertificateDer::from(certificate.to_vec())];
    CertifiedKey::new(chain, signer).keys_match().is_ok()
}

/// A certificate in PEM form (RFC 7468).
fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for (position, symbol) in body.chars().enumerate() {
        if position > 0 && position % 64 == 0 {
            text.push('\n');
        }
        text.push(symbol);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}
