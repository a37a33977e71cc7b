//! What the old issuing key signs when another takes over from it.

use crate::Digest;

/// The takeover of one issuing key by another, as the old one authorises it.
///
/// No certificate and no request begins like this text (both are DER), so a signature of it is
/// worth nothing anywhere else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuingRotation<'a> {
    /// The log's origin.
    pub origin: &'a str,
    /// Number of the entry that records it.
    pub seq: u64,
    /// SubjectPublicKeyInfo (DER) of the old key, in hexadecimal digits.
    pub old: &'a str,
    /// That of the new key.
    pub new: &'a str,
    /// SHA-256 of the new key's certificate (DER).
    pub certificate_sha256: Digest,
}

impl IssuingRotation<'_> {
    /// The text that the old key signs (ECDSA on P-256 with SHA-256).
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "birthmark issuing key rotation v1\n{}\n{}\n{}\n{}\n{}\n",
            self.origin, self.seq, self.old, self.new, self.certificate_sha256
        )
    }
}
