//! Requests (PKCS#10, RFC 2986): proof that the sender holds a key, and the key.

use thiserror::Error;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::OID_SIG_ECDSA_WITH_SHA256;
use x509_parser::prelude::FromDer;

use crate::key::{KeyError, point, verify};

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
    verify(spki, info.raw, &csr.signature_value.data).map_err(|_| CsrError::NoPossession)?;
    Ok(spki.to_vec())
}
