//! Key material in memory and what is done with it. Every operation takes `&self`: threads share
//! a key without a lock.
//!
//! ring and p256 keep their own expanded copies of a key. p256 wipes them; ring does not, which is
//! one more reason why a token of this kind is called simulated.

use p256::ecdsa::signature::Signer;
use ring::aead;
use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::{HsmError, Key, Kind};

/// Every kind's secret is 32 bytes: a P-256 scalar, an Ed25519 seed, a MAC or an AES key.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// AES-256-GCM's nonce (NIST SP 800-38D section 8.2.2: random, so at most 2^32 wraps a key; a line
/// that wraps one ticket a second needs 136 years for that).
pub(crate) const NONCE: usize = 12;

/// How much longer wrapped bytes are: nonce and tag.
pub(crate) const OVERHEAD: usize = NONCE + 16;

/// SubjectPublicKeyInfo up to the point: id-ecPublicKey, prime256v1 (RFC 5480).
pub(crate) const P256_SPKI: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\
    \x48\xce\x3d\x03\x01\x07\x03\x42\x00";
/// SubjectPublicKeyInfo up to the key: id-Ed25519 (RFC 8410).
pub(crate) const ED25519_SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// A key that is ready for use, and the secret it came from (for writing the store anew).
pub(crate) struct Material {
    key: Key,
    secret: Secret,
    ready: Ready,
}

enum Ready {
    P256(Box<p256::ecdsa::SigningKey>),
    Ed25519(Box<Ed25519KeyPair>),
    Mac(ring::hmac::Key),
    Aes(Box<aead::LessSafeKey>),
}

impl Material {
    /// Makes `key` ready. `None` when the secret is not one of its kind, which for P-256 happens
    /// to one in 2^32 random ones, and to zero.
    pub(crate) fn new(key: Key, secret: Secret) -> Option<Material> {
        let ready = match key.kind() {
            Kind::P256 => Ready::P256(Box::new(
                p256::ecdsa::SigningKey::from_slice(secret.as_slice()).ok()?,
            )),
            Kind::Ed25519 => Ready::Ed25519(Box::new(
                Ed25519KeyPair::from_seed_unchecked(secret.as_slice()).ok()?,
            )),
            Kind::Mac => Ready::Mac(ring::hmac::Key::new(
                ring::hmac::HMAC_SHA256,
                secret.as_slice(),
            )),
            Kind::Aes256 => Ready::Aes(Box::new(aes(&secret))),
        };
        Some(Material { key, secret, ready })
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn mac(&self, data: &[u8]) -> Result<[u8; 32], HsmError> {
        let Ready::Mac(key) = &self.ready else {
            return Err(HsmError::WrongKind(self.key));
        };
        let mut mac = [0; 32];
        mac.copy_from_slice(ring::hmac::sign(key, data).as_ref());
        Ok(mac)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        match &self.ready {
            // RFC 6979: no randomness, so a repeat gives the same signature and a weak generator
            // gives no key away.
            Ready::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(message);
                Ok(signature.as_bytes().to_vec())
            }
            Ready::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Ready::Mac(_) | Ready::Aes(_) => Err(HsmError::WrongKind(self.key)),
        }
    }

    pub(crate) fn public_key(&self) -> Result<Vec<u8>, HsmError> {
        match &self.ready {
            Ready::P256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                Ok([P256_SPKI, point.as_bytes()].concat())
            }
            Ready::Ed25519(pair) => Ok([ED25519_SPKI, pair.public_key().as_ref()].concat()),
            Ready::Mac(_) | Ready::Aes(_) => Err(HsmError::WrongKind(self.key)),
        }
    }

    pub(crate) fn wrap(
        &self,
        aad: &[u8],
        plain: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, HsmError> {
        let Ready::Aes(key) = &self.ready else {
            return Err(HsmError::WrongKind(self.key));
        };
        Ok(encrypt(key, nonce, aad, plain))
    }

    pub(crate) fn unwrap(
        &self,
        aad: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        let Ready::Aes(key) = &self.ready else {
            return Err(HsmError::WrongKind(self.key));
        };
        decrypt(key, aad, wrapped).ok_or_else(|| {
            HsmError::refused("the wrapped bytes or their context are not what was wrapped")
        })
    }
}

/// An AES-256-GCM key.
pub(crate) fn aes(secret: &Secret) -> aead::LessSafeKey {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, secret.as_slice());
    aead::LessSafeKey::new(key.expect("32 bytes are an AES-256 key"))
}

/// Nonce, ciphertext, tag.
pub(crate) fn encrypt(
    key: &aead::LessSafeKey,
    nonce: [u8; NONCE],
    aad: &[u8],
    plain: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + OVERHEAD);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plain);
    let nonce = aead::Nonce::assume_unique_for_key(nonce);
    let tag = key
        .seal_in_place_separate_tag(nonce, aead::Aad::from(aad), &mut out[NONCE..])
        .expect("a token's data is far below AES-GCM's 64 GiB");
    out.extend_from_slice(tag.as_ref());
    out
}

/// Undoes [`encrypt`]; `None` when anything differs.
pub(crate) fn decrypt(
    key: &aead::LessSafeKey,
    aad: &[u8],
    wrapped: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = wrapped.split_at_checked(NONCE)?;
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut plain = Zeroizing::new(body.to_vec());
    let length = key
        .open_in_place(nonce, aead::Aad::from(aad), &mut plain)
        .ok()?
        .len();
    plain.truncate(length);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};

    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        assert_eq!(text.len(), 2 * N);
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    fn material(key: Key, secret: [u8; 32]) -> Material {
        Material::new(key, Zeroizing::new(secret)).unwrap()
    }

    /// RFC 6979 A.2.5: P-256, SHA-256, message "sample".
    #[test]
    fn p256_signatures_are_those_of_rfc_6979() {
        let key = material(
            Key::Site,
            hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"),
        );
        let r: [u8; 32] = hex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716");
        let s: [u8; 32] = hex("F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8");
        let signature = key.sign(b"sample").unwrap();
        let der = [&b"\x30\x46\x02\x21\x00"[..], &r, &b"\x02\x21\x00"[..], &s].concat();
        assert_eq!(signature, der);
    }

    /// RFC 8032 7.1, test 2: a one-byte message.
    #[test]
    fn ed25519_signatures_are_those_of_rfc_8032() {
        let key = material(
            Key::Log,
            hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"),
        );
        let public: [u8; 32] =
            hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature: [u8; 64] = hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        assert_eq!(key.sign(b"\x72").unwrap(), signature);
        assert_eq!(key.public_key().unwrap()[12..], public);
    }

    /// RFC 4231, test case 1, its 20-byte key padded with zeros as HMAC itself does.
    #[test]
    fn macs_are_those_of_rfc_4231() {
        let mut secret = [0; 32];
        secret[..20].fill(0x0b);
        let mac = material(Key::Fingerprint, secret).mac(b"Hi There").unwrap();
        assert_eq!(
            mac,
            hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        );
    }

    /// The GCM specification's test case 14: zero key, nonce and block.
    #[test]
    fn wrapping_is_aes_256_gcm() {
        let wrapped = material(Key::Ticket, [0; 32])
            .wrap(b"", &[0; 16], [0; 12])
            .unwrap();
        let body: [u8; 32] =
            hex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
        assert_eq!(wrapped, [&[0; 12][..], &body].concat());
    }

    #[test]
    fn other_people_verify_signatures_by_the_public_key_given_out() {
        use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};
        for key in [Key::DeviceRoot, Key::DeviceIssuing, Key::Site, Key::Log] {
            for fill in [1, 2, 0x7f] {
                let material = material(key, [fill; 32]);
                let spki = material.public_key().unwrap();
                let (rest, parsed) = SubjectPublicKeyInfo::from_der(&spki).unwrap();
                assert!(rest.is_empty());
                let signature = material.sign(b"message").unwrap();
                let point = &parsed.subject_public_key.data;
                let verify = |message| match key.kind() {
                    Kind::P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                        .verify(message, &signature),
                    _ => UnparsedPublicKey::new(&ED25519, point).verify(message, &signature),
                };
                assert!(verify(b"message").is_ok());
                assert!(verify(b"massage").is_err());
                assert!(parsed.parsed().is_ok());
            }
        }
    }

    #[test]
    fn what_is_no_scalar_is_no_key() {
        assert!(Material::new(Key::Site, Zeroizing::new([0; 32])).is_none());
        assert!(Material::new(Key::Site, Zeroizing::new([0xff; 32])).is_none());
        assert!(Material::new(Key::Log, Zeroizing::new([0; 32])).is_some());
    }
}
