//! Wrapping by the token: AES-256-GCM where it has that, else AES-256-CBC with HMAC-SHA-256 behind it.
//!
//! The fallback encrypts, then authenticates (ISO/IEC 19772, mechanism 5; RFC 7366 says why in this
//! order), with a key of its own for each, both inside the token:
//!
//! ```text
//! form  magic (8) || IV (16) || AES-256-CBC(ticket, IV, plain padded as in PKCS #7) || tag (32)
//! tag   HMAC-SHA-256(ticket-mac, magic || length of context (8, big-endian) || context || IV || body)
//! ```
//!
//! The tag is checked before a byte is decrypted, so padding tells nobody anything. The magic says
//! which form it is: the other begins with a random nonce, which is the magic once in 2^64 tickets,
//! and such a ticket opens nothing and is issued anew.

use std::sync::{Mutex, PoisonError};

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::sessions::Fault;
use super::{Pkcs11Token, altered};
use crate::material::NONCE;
use crate::{HsmError, Key};

/// How a token wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// AES-256-GCM.
    Gcm,
    /// AES-256-CBC, then HMAC-SHA-256.
    CbcHmac,
}

impl Wrapping {
    /// Its name in a ceremony's record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Wrapping::Gcm => "AES-256-GCM",
            Wrapping::CbcHmac => "AES-256-CBC, HMAC-SHA-256",
        }
    }

    /// The best of what a token has; none when it has neither.
    pub(crate) fn of(listed: &[MechanismType]) -> Option<Wrapping> {
        let has = |one| listed.contains(&one);
        if has(MechanismType::AES_GCM) {
            return Some(Wrapping::Gcm);
        }
        let both = has(MechanismType::AES_CBC) && has(MechanismType::SHA256_HMAC);
        both.then_some(Wrapping::CbcHmac)
    }
}

/// AES-GCM's tag, in bits.
pub(crate) const TAG_BITS: u64 = 128;

/// What the fallback's form begins with.
pub(crate) const MAGIC: &[u8; 8] = b"bm-cbc1\0";

/// AES's block, and the IV's length.
const BLOCK: usize = 16;
const TAG: usize = 32;

/// How much longer the fallback's form can be than what was wrapped.
pub(crate) const CBC_OVERHEAD: usize = MAGIC.len() + BLOCK + BLOCK + TAG;

/// Random bytes that are no secret (nonces, IVs), drawn from the token many at a time: a ticket then
/// costs one command less. Each is given out once.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<Vec<[u8; BLOCK]>>);

/// Nonces of one draw: 512 bytes, which every token gives at once.
const DRAWN: usize = 32;

impl Nonces {
    pub(crate) fn next(&self, session: &Session) -> Result<[u8; BLOCK], Fault> {
        if let Some(nonce) = self.left().pop() {
            return Ok(nonce);
        }
        let mut drawn = [0; DRAWN * BLOCK];
        session.generate_random_slice(&mut drawn)?;
        let (nonces, _) = drawn.as_chunks::<BLOCK>();
        let (first, rest) = nonces.split_first().ok_or_else(HsmError::out_of_turn)?;
        self.left().extend_from_slice(rest);
        Ok(*first)
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Vec<[u8; BLOCK]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nonce, ciphertext, tag.
pub(crate) fn gcm(
    session: &Session,
    key: ObjectHandle,
    nonce: [u8; BLOCK],
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, Fault> {
    let mut nonce: [u8; NONCE] = std::array::from_fn(|at| nonce[at]);
    let mut wrapped = nonce.to_vec();
    let parameters = GcmParams::new(&mut nonce, aad, TAG_BITS.into())?;
    let body = session.encrypt(&Mechanism::AesGcm(parameters), key, plain)?;
    // A token that chose a nonce of its own would give a ticket that nothing opens.
    if body.len() != plain.len() + TAG_BITS as usize / 8 {
        return Err(HsmError::out_of_turn().into());
    }
    wrapped.extend_from_slice(&body);
    Ok(wrapped)
}

/// Magic, IV and body; the tag is still to come.
pub(crate) fn cbc(
    session: &Session,
    key: ObjectHandle,
    iv: [u8; BLOCK],
    plain: &[u8],
) -> Result<Vec<u8>, Fault> {
    let padding = BLOCK - plain.len() % BLOCK;
    let mut padded = Zeroizing::new(Vec::with_capacity(plain.len() + padding));
    padded.extend_from_slice(plain);
    padded.resize(plain.len() + padding, padding as u8);
    let body = session.encrypt(&Mechanism::AesCbc(iv), key, &padded)?;
    if body.len() != padded.len() {
        return Err(HsmError::out_of_turn().into());
    }
    Ok([&MAGIC[..], &iv, &body].concat())
}

/// What the tag is over.
pub(crate) fn authenticated(aad: &[u8], untagged: &[u8]) -> Vec<u8> {
    let (magic, rest) = untagged.split_at(MAGIC.len().min(untagged.len()));
    let length = (aad.len() as u64).to_be_bytes();
    [magic, &length, aad, rest].concat()
}

/// The fallback's form, taken apart.
pub(crate) struct Cbc<'a> {
    pub(crate) untagged: &'a [u8],
    iv: [u8; BLOCK],
    body: &'a [u8],
    tag: &'a [u8; TAG],
}

impl<'a> Cbc<'a> {
    /// None for what is of another form or length.
    pub(crate) fn of(wrapped: &'a [u8]) -> Option<Cbc<'a>> {
        let (untagged, tag) = wrapped.split_last_chunk::<TAG>()?;
        let (iv, body) = untagged.strip_prefix(MAGIC)?.split_first_chunk::<BLOCK>()?;
        let whole = !body.is_empty() && body.len().is_multiple_of(BLOCK);
        whole.then_some(Cbc {
            untagged,
            iv: *iv,
            body,
            tag,
        })
    }

    /// In a time that tells nothing of where they differ.
    pub(crate) fn has_tag(&self, expected: &[u8]) -> bool {
        self.tag.ct_eq(expected).into()
    }

    /// What was wrapped. Only behind a tag that fits: its padding is then what was made.
    pub(crate) fn decrypt(
        &self,
        session: &Session,
        key: ObjectHandle,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let plain = session.decrypt(&Mechanism::AesCbc(self.iv), key, self.body)?;
        let mut plain = Zeroizing::new(plain);
        let padding = plain.last().map_or(0, |byte| usize::from(*byte));
        let length = plain.len().checked_sub(padding);
        match length.filter(|_| (1..=BLOCK).contains(&padding)) {
            Some(length) => plain.truncate(length),
            None => return Err(HsmError::unavailable("it does not decrypt").into()),
        }
        Ok(plain)
    }
}

impl Pkcs11Token {
    /// Undoes the fallback's wrap.
    pub(super) fn unwrap_cbc(
        &self,
        key: Key,
        aad: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        let parts = Cbc::of(wrapped).ok_or_else(altered)?;
        let data = authenticated(aad, parts.untagged);
        if !parts.has_tag(&self.mac_under(Key::TicketMac, &data)?) {
            return Err(altered());
        }
        self.with_key(key, |session, found| parts.decrypt(session, found.handle))
    }

    pub(super) fn decrypt(
        &self,
        key: Key,
        aad: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, HsmError> {
        let Some((nonce, body)) = wrapped.split_first_chunk::<NONCE>() else {
            return Ok(None);
        };
        self.with_key(key, |session, found| {
            let mut nonce = *nonce;
            let parameters = GcmParams::new(&mut nonce, aad, TAG_BITS.into())?;
            match session.decrypt(&Mechanism::AesGcm(parameters), found.handle, body) {
                Ok(plain) => Ok(Some(Zeroizing::new(plain))),
                Err(error) if is_mismatch(&error) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }
}

/// What tokens answer when a tag does not fit.
fn is_mismatch(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange
                | RvError::SignatureInvalid
                | RvError::GeneralError
                | RvError::FunctionFailed,
            Function::Decrypt
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_without_gcm_falls_back_and_one_without_either_is_refused() {
        use MechanismType as M;
        assert_eq!(Wrapping::of(&[M::AES_CBC, M::AES_GCM]), Some(Wrapping::Gcm));
        let fallback = [M::AES_CBC, M::SHA256_HMAC];
        assert_eq!(Wrapping::of(&fallback), Some(Wrapping::CbcHmac));
        assert_eq!(Wrapping::of(&[M::AES_CBC]), None);
        assert_eq!(Wrapping::of(&[M::SHA256_HMAC]), None);
    }

    #[test]
    fn the_form_is_told_by_its_magic_and_its_lengths() {
        let whole = [&MAGIC[..], &[1; 16], &[2; 32], &[3; 32]].concat();
        let parts = Cbc::of(&whole).unwrap();
        assert_eq!(
            (parts.iv, parts.body, parts.tag),
            ([1; 16], &[2; 32][..], &[3; 32])
        );
        assert_eq!(parts.untagged, &whole[..56]);
        assert!(parts.has_tag(&[3; 32]) && !parts.has_tag(&[4; 32]) && !parts.has_tag(&[3; 31]));
        for cut in 0..whole.len() {
            let cut = Cbc::of(&whole[..cut]);
            assert!(
                cut.is_none_or(|cut| cut.body.len() == 16),
                "16 less is as whole"
            );
        }
        assert!(Cbc::of(&[0; 80]).is_none());
        // Context and form cannot be shifted into one another.
        assert_ne!(
            authenticated(b"a", b"bm-cbc1\0bc"),
            authenticated(b"ab", b"bm-cbc1\0c")
        );
    }
}
