//! Between the forms of PKCS#11 and those of certificates: points, public keys, signatures.

use crate::material::{ED25519_SPKI, P256_SPKI};

/// OID prime256v1 (RFC 5480), as `CKA_EC_PARAMS` has it.
pub(crate) const PRIME256V1: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// OID id-Ed25519 (RFC 8410), as `CKA_EC_PARAMS` has it.
pub(crate) const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

/// The SubjectPublicKeyInfo (DER) of a P-256 `CKA_EC_POINT`: an OCTET STRING, or bare.
pub(crate) fn p256_spki(point: &[u8]) -> Option<Vec<u8>> {
    let bare = point.strip_prefix(b"\x04\x41").unwrap_or(point);
    (bare.len() == 65 && bare[0] == 4).then(|| [P256_SPKI, bare].concat())
}

/// The SubjectPublicKeyInfo (DER) of an Ed25519 `CKA_EC_POINT`. Tokens give it bare, as an OCTET
/// STRING, or as a BIT STRING (PKCS #11 v3.0 and v3.1 differ).
pub(crate) fn ed25519_spki(point: &[u8]) -> Option<Vec<u8>> {
    let bare = match point.len() {
        34 => point.strip_prefix(b"\x04\x20")?,
        35 => point.strip_prefix(b"\x03\x21\x00")?,
        _ => point,
    };
    (bare.len() == 32).then(|| [ED25519_SPKI, bare].concat())
}

/// The `ECDSA-Sig-Value` (RFC 3279, DER) of r and s, 32 bytes each.
pub(crate) fn der_signature(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() != 64 {
        return None;
    }
    let (r, s) = raw.split_at(32);
    let (r, s) = (integer(r), integer(s));
    // At most 2 x 35 bytes: the length fits one byte.
    let header = [0x30, (r.len() + s.len()) as u8];
    Some([&header[..], &r, &s].concat())
}

/// A positive INTEGER: no leading zeros but the one that keeps it positive.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros.min(bytes.len() - 1)..];
    let sign: &[u8] = if digits[0] & 0x80 != 0 { &[0] } else { &[] };
    let header = [0x02, (sign.len() + digits.len()) as u8];
    [&header[..], sign, digits].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(r: &[u8], s: &[u8], expected: &[u8]) {
        let mut raw = [0; 64];
        raw[32 - r.len()..32].copy_from_slice(r);
        raw[64 - s.len()..].copy_from_slice(s);
        assert_eq!(der_signature(&raw).as_deref(), Some(expected));
    }

    #[test]
    fn integers_are_as_short_as_der_wants_them() {
        check(&[1], &[2], b"\x30\x06\x02\x01\x01\x02\x01\x02");
        check(&[0x80], &[0x7f], b"\x30\x07\x02\x02\x00\x80\x02\x01\x7f");
        check(&[], &[1, 0], b"\x30\x07\x02\x01\x00\x02\x02\x01\x00");
        let long = [0xff; 32];
        let body = [&b"\x02\x21\x00"[..], &long].concat();
        check(&long, &long, &[&b"\x30\x46"[..], &body, &body].concat());
        assert_eq!(der_signature(&[1; 63]), None);
    }

    #[test]
    fn points_are_taken_bare_and_wrapped_and_of_no_other_length() {
        let point = [&[4][..], &[9; 64]].concat();
        let wrapped = [&b"\x04\x41"[..], &point].concat();
        assert_eq!(p256_spki(&point), p256_spki(&wrapped));
        assert_eq!(p256_spki(&wrapped).map(|spki| spki.len()), Some(91));
        assert_eq!(p256_spki(&point[1..]), None);
        let bare = [7; 32];
        let octets = [&b"\x04\x20"[..], &bare].concat();
        let bits = [&b"\x03\x21\x00"[..], &bare].concat();
        assert_eq!(ed25519_spki(&bare), ed25519_spki(&octets));
        assert_eq!(ed25519_spki(&bare), ed25519_spki(&bits));
        assert_eq!(ed25519_spki(&bare).map(|spki| spki.len()), Some(44));
        assert_eq!(ed25519_spki(&[7; 33]), None);
    }
}
