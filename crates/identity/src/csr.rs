//! Requests (PKCS#10, RFC 2986): proof that the sender holds a key, and the key.

use thiserror::Error;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::OID_SIG_ECDSA_WITH_SHA256;
use x509_parser::prelude::FromDer;

use crate::key::{KeyError, point, verify};

/// AlgorithmIdentifier of ECDSA with SHA-256: no parameters (RFC 5758 section 3.2).
const ECDSA_WITH_SHA256: [u8; 12] = [
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];

/// The longest request that is looked at, in bytes.
pub const MAX_CSR_BYTES: usize = 4_096;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
pub enum CsrError {
    /// Longer than any request for a P-256 key needs to be.
    #[error("the request has {0} bytes, more than {MAX_CSR_BYTES}")]
    TooLong(usize),
    /// Not PKCS#10 in DER, or something follows it.
    #[error("the request is not PKCS#10 in DER")]
    Malformed,
    /// A key of another kind, or signed another way.
    #[error("the request is not for a P-256 key, signed with ECDSA and SHA-256")]
    Kind,
    /// The sender does not hold the key.
    #[error("the request is not signed by the key it asks for")]
    NoPossession,
}

/// Checks that whoever made the request holds its key, and returns that public key
/// (SubjectPublicKeyInfo, DER).
///
/// Only the key is taken. A request may ask for CA:TRUE, other names or other usages; a
/// certificate gets none of it, because nothing here reads it.
///
/// # Errors
/// Every variant of [`CsrError`].
pub fn check_csr(der: &[u8]) -> Result<Vec<u8>, CsrError> {
    if der.len() > MAX_CSR_BYTES {
        return Err(CsrError::TooLong(der.len()));
    }
    let (rest, csr) = X509CertificationRequest::from_der(der).map_err(|_| CsrError::Malformed)?;
    if !rest.is_empty() {
        return Err(CsrError::Malformed);
    }
    let info = &csr.certification_request_info;
    let spki = info.subject_pki.raw;
    point(spki).map_err(|KeyError| CsrError::Kind)?;
    if csr.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256 {
        return Err(CsrError::Kind);
    }
    if der != spelt(info.raw, &csr.signature_value.data) {
        return Err(CsrError::Malformed);
    }
    verify(spki, info.raw, &csr.signature_value.data).map_err(|_| CsrError::NoPossession)?;
    Ok(spki.to_vec())
}

/// The one DER spelling of a request around its signed part. The parser is lenient there, and what
/// a signature does not cover should not vary.
fn spelt(info: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut content = [info, &ECDSA_WITH_SHA256].concat();
    content.push(0x03);
    length(&mut content, signature.len() + 1);
    content.push(0);
    content.extend_from_slice(signature);
    let mut der = vec![0x30];
    length(&mut der, content.len());
    der.extend_from_slice(&content);
    der
}

/// A definite length in the fewest bytes (X.690 section 10.1), up to 65,535.
fn length(out: &mut Vec<u8>, length: usize) {
    let [.., high, low] = length.to_be_bytes();
    match (high, low) {
        (0, 0..0x80) => out.push(low),
        (0, _) => out.extend_from_slice(&[0x81, low]),
        _ => out.extend_from_slice(&[0x82, high, low]),
    }
}
