//! Public keys and the signers behind them: P-256 and nothing else.

use std::cell::RefCell;

use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use thiserror::Error;

/// SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point (RFC 5480 section 2).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// An uncompressed point: 0x04 and two coordinates of 32 bytes (SEC 1 section 2.3.3).
const POINT: usize = 65;

/// A P-256 key that signs, wherever it is kept.
pub trait Signer {
    /// The public key (SubjectPublicKeyInfo, DER).
    fn spki(&self) -> &[u8];

    /// Signs `message` with ECDSA and SHA-256; the signature is DER.
    ///
    /// # Errors
    /// [`SignError`] when the key cannot be reached or refuses.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A key did not sign.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("the key did not sign: {reason}")]
pub struct SignError {
    /// What the token said.
    pub reason: String,
}

/// Bytes that are not the one kind of public key there is here.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("the public key is not an uncompressed P-256 point")]
pub struct KeyError;

/// A signature that is not the key's over this message.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("the signature does not verify")]
pub struct VerifyError;

/// Checks an ECDSA P-256 SHA-256 signature (DER), such as a unit's over its receipt.
///
/// # Errors
/// [`VerifyError`] when the key is of another kind or the signature is not its own.
pub fn verify(spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
    let point = point(spki).map_err(|_| VerifyError)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
        .verify(message, signature)
        .map_err(|_| VerifyError)
}

/// The point inside a SubjectPublicKeyInfo. One spelling is accepted, byte for byte, so that the
/// hash of a public key in the ledger cannot be dodged by writing the same key differently.
pub(crate) fn point(spki: &[u8]) -> Result<&[u8], KeyError> {
    match spki.strip_prefix(&SPKI_PREFIX) {
        Some(point) if point.len() == POINT && point[0] == 4 => Ok(point),
        _ => Err(KeyError),
    }
}

/// A public key as rcgen takes it.
pub(crate) struct PublicKey<'a>(&'a [u8]);

impl PublicKey<'_> {
    pub(crate) fn parse(spki: &[u8]) -> Result<PublicKey<'_>, KeyError> {
        Ok(PublicKey(point(spki)?))
    }
}

impl PublicKeyData for PublicKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A signer as rcgen takes it. rcgen's error has no room for a reason, so it is kept here.
pub(crate) struct SigningAdapter<'a> {
    signer: &'a dyn Signer,
    public: PublicKey<'a>,
    failure: RefCell<Option<SignError>>,
}

impl<'a> SigningAdapter<'a> {
    pub(crate) fn new(signer: &'a dyn Signer) -> Result<SigningAdapter<'a>, KeyError> {
        let public = PublicKey::parse(signer.spki())?;
        Ok(SigningAdapter {
            signer,
            public,
            failure: RefCell::new(None),
        })
    }

    /// Why the last signature failed, when one did.
    pub(crate) fn failure(&self) -> Option<SignError> {
        self.failure.borrow_mut().take()
    }
}

impl PublicKeyData for SigningAdapter<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl SigningKey for SigningAdapter<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signer.sign(message).map_err(|error| {
            *self.failure.borrow_mut() = Some(error);
            rcgen::Error::RemoteKeyError
        })
    }
}
