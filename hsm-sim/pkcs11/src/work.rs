//! The standard's functions that put keys to work or make them.

use cryptoki_sys::*;
use hsm::message::v1;
use hsm::message::v1::request::Command;
use hsm::{Key, Kind};

use crate::application::{self, Act, Answer, Gcm};
use crate::call::guard;
use crate::{objects, raw};

/// AES-GCM's tag, in bytes.
const TAG: usize = 16;

/// Begins an operation with a key; nothing is asked of the token yet.
unsafe fn begin(
    handle: CK_SESSION_HANDLE,
    mechanism: *const CK_MECHANISM,
    object: CK_OBJECT_HANDLE,
    act: impl FnOnce(Key, CK_MECHANISM_TYPE, Option<Gcm>) -> Answer<Act>,
) -> CK_RV {
    guard(|| {
        // SAFETY: the caller vouches for its mechanism.
        let (number, gcm) = unsafe { raw::mechanism(mechanism) }?;
        application::session(handle, |session| {
            if session.act.is_some() {
                return Err(CKR_OPERATION_ACTIVE);
            }
            session.act = Some(act(objects::key(object)?, number, gcm)?);
            Ok(())
        })
    })
}

pub(crate) unsafe extern "C" fn C_SignInit(
    handle: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    object: CK_OBJECT_HANDLE,
) -> CK_RV {
    let act = |key: Key, number, _| match (key.kind(), number) {
        (Kind::P256, CKM_ECDSA_SHA256)
        | (Kind::Ed25519, CKM_EDDSA)
        | (Kind::Mac, CKM_SHA256_HMAC) => Ok(Act::Sign(key)),
        (_, CKM_ECDSA_SHA256 | CKM_EDDSA | CKM_SHA256_HMAC) => Err(CKR_KEY_TYPE_INCONSISTENT),
        _ => Err(CKR_MECHANISM_INVALID),
    };
    // SAFETY: the caller vouches for its mechanism.
    unsafe { begin(handle, mechanism, object, act) }
}

pub(crate) unsafe extern "C" fn C_EncryptInit(
    handle: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    object: CK_OBJECT_HANDLE,
) -> CK_RV {
    let act = |key: Key, _, gcm: Option<Gcm>| match key.kind() {
        Kind::Aes256 => Ok(Act::Encrypt(key, gcm.ok_or(CKR_MECHANISM_INVALID)?)),
        _ => Err(CKR_KEY_TYPE_INCONSISTENT),
    };
    // SAFETY: the caller vouches for its mechanism.
    unsafe { begin(handle, mechanism, object, act) }
}

pub(crate) unsafe extern "C" fn C_DecryptInit(
    handle: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    object: CK_OBJECT_HANDLE,
) -> CK_RV {
    let act = |key: Key, _, gcm: Option<Gcm>| match key.kind() {
        Kind::Aes256 => Ok(Act::Decrypt(key, gcm.ok_or(CKR_MECHANISM_INVALID)?)),
        _ => Err(CKR_KEY_TYPE_INCONSISTENT),
    };
    // SAFETY: the caller vouches for its mechanism.
    unsafe { begin(handle, mechanism, object, act) }
}

/// Ends an operation that was begun: a question for the length leaves it, anything else ends it.
unsafe fn finish(
    handle: CK_SESSION_HANDLE,
    data: *const CK_BYTE,
    length: CK_ULONG,
    to: *mut CK_BYTE,
    to_length: *mut CK_ULONG,
    needed: impl FnOnce(&Act, usize) -> Option<usize>,
) -> CK_RV {
    guard(|| {
        application::session(handle, |session| {
            let act = session.act.take().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
            // SAFETY: the caller vouches for pointer and length.
            let data = zeroize::Zeroizing::new(unsafe { raw::bytes(data, length) }?);
            let needed = needed(&act, data.len()).ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
            let again = act.clone();
            // SAFETY: the caller vouches for its buffer and the buffer's length.
            let given = unsafe { raw::give(to, to_length, needed, || run(session, act, &data)) };
            if matches!(given, Ok(false) | Err(CKR_BUFFER_TOO_SMALL)) {
                session.act = Some(again);
            }
            given.map(drop)
        })
    })
}

pub(crate) unsafe extern "C" fn C_Sign(
    handle: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    length: CK_ULONG,
    to: *mut CK_BYTE,
    to_length: *mut CK_ULONG,
) -> CK_RV {
    let needed = |act: &Act, _| match act {
        Act::Sign(key) if key.kind() == Kind::Mac => Some(32),
        Act::Sign(_) => Some(64),
        Act::Encrypt(..) | Act::Decrypt(..) => None,
    };
    // SAFETY: the caller vouches for its pointers.
    unsafe { finish(handle, data, length, to, to_length, needed) }
}

pub(crate) unsafe extern "C" fn C_Encrypt(
    handle: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    length: CK_ULONG,
    to: *mut CK_BYTE,
    to_length: *mut CK_ULONG,
) -> CK_RV {
    let needed = |act: &Act, given| matches!(act, Act::Encrypt(..)).then_some(given + TAG);
    // SAFETY: the caller vouches for its pointers.
    unsafe { finish(handle, data, length, to, to_length, needed) }
}

pub(crate) unsafe extern "C" fn C_Decrypt(
    handle: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    length: CK_ULONG,
    to: *mut CK_BYTE,
    to_length: *mut CK_ULONG,
) -> CK_RV {
    let needed = |act: &Act, given: usize| {
        matches!(act, Act::Decrypt(..)).then(|| given.saturating_sub(TAG))
    };
    // SAFETY: the caller vouches for its pointers.
    unsafe { finish(handle, data, length, to, to_length, needed) }
}

/// Has the token do what was begun.
fn run(session: &mut application::Session, act: Act, data: &[u8]) -> Answer<Vec<u8>> {
    let label = |key: Key| key.label().to_owned();
    match act {
        Act::Sign(key) if key.kind() == Kind::Mac => {
            let (key, data) = (label(key), data.to_vec());
            let mac = session.bytes(Command::Mac(v1::Mac { key, data }))?;
            Ok(mac.to_vec())
        }
        Act::Sign(key) => {
            let (name, message) = (label(key), data.to_vec());
            let signed = session.bytes(Command::Sign(v1::Sign { key: name, message }))?;
            match key.kind() {
                Kind::P256 => raw_signature(&signed).ok_or(CKR_DEVICE_ERROR),
                _ => Ok(signed.to_vec()),
            }
        }
        Act::Encrypt(key, Gcm { nonce, aad }) => {
            let wrap = v1::Wrap {
                key: label(key),
                aad,
                plaintext: data.to_vec(),
                nonce: nonce.clone(),
            };
            let wrapped = session.bytes(Command::Wrap(wrap))?;
            let body = wrapped.strip_prefix(&nonce[..]).ok_or(CKR_DEVICE_ERROR)?;
            Ok(body.to_vec())
        }
        Act::Decrypt(key, Gcm { nonce, aad }) => {
            let unwrap = v1::Unwrap {
                key: label(key),
                aad,
                wrapped: [&nonce[..], data].concat(),
            };
            let plain = session.bytes(Command::Unwrap(unwrap));
            let plain = plain.map_err(|error| match error {
                CKR_FUNCTION_REJECTED => CKR_ENCRYPTED_DATA_INVALID,
                other => other,
            })?;
            Ok(plain.to_vec())
        }
    }
}

/// r and s of an `ECDSA-Sig-Value` (RFC 3279), 32 bytes each.
pub(crate) fn raw_signature(der: &[u8]) -> Option<Vec<u8>> {
    let [0x30, length, rest @ ..] = der else {
        return None;
    };
    let (r, rest) = integer((rest.len() == usize::from(*length)).then_some(rest)?)?;
    let (s, rest) = integer(rest)?;
    rest.is_empty().then(|| [r, s].concat())
}

fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [0x02, length, rest @ ..] = der else {
        return None;
    };
    let (digits, rest) = rest.split_at_checked(usize::from(*length))?;
    let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
    let mut number = [0; 32];
    let from = number.len().checked_sub(digits.len())?;
    number[from..].copy_from_slice(digits);
    Some((number, rest))
}

pub(crate) unsafe extern "C" fn C_GenerateKey(
    handle: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    to: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    guard(|| {
        // SAFETY: the caller vouches for its mechanism and its template.
        let ((number, _), template) =
            unsafe { (raw::mechanism(mechanism)?, raw::template(template, count)?) };
        let kind = match number {
            CKM_GENERIC_SECRET_KEY_GEN => Kind::Mac,
            CKM_AES_KEY_GEN => Kind::Aes256,
            _ => return Err(CKR_MECHANISM_INVALID),
        };
        let made = |session: &mut _| objects::make(session, &template, &[kind]);
        let key = application::session(handle, made)?;
        // SAFETY: the caller vouches for its pointer.
        unsafe { raw::put(to, objects::inside(key)) }
    })
}

pub(crate) unsafe extern "C" fn C_GenerateKeyPair(
    handle: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    _: *mut CK_ATTRIBUTE,
    _: CK_ULONG,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    public: *mut CK_OBJECT_HANDLE,
    private: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    guard(|| {
        // SAFETY: the caller vouches for its mechanism and its template.
        let ((number, _), template) =
            unsafe { (raw::mechanism(mechanism)?, raw::template(template, count)?) };
        let kind = match number {
            CKM_EC_KEY_PAIR_GEN => Kind::P256,
            CKM_EC_EDWARDS_KEY_PAIR_GEN => Kind::Ed25519,
            _ => return Err(CKR_MECHANISM_INVALID),
        };
        let made = |session: &mut _| objects::make(session, &template, &[kind]);
        let key = application::session(handle, made)?;
        // SAFETY: the caller vouches for its pointers.
        unsafe {
            raw::put(public, objects::public(key))?;
            raw::put(private, objects::inside(key))
        }
    })
}

pub(crate) unsafe extern "C" fn C_SeedRandom(
    _: CK_SESSION_HANDLE,
    _: *mut CK_BYTE,
    _: CK_ULONG,
) -> CK_RV {
    CKR_RANDOM_SEED_NOT_SUPPORTED
}

pub(crate) unsafe extern "C" fn C_GenerateRandom(
    handle: CK_SESSION_HANDLE,
    to: *mut CK_BYTE,
    length: CK_ULONG,
) -> CK_RV {
    guard(|| {
        application::session(handle, |session| {
            let mut left = length as usize;
            let mut at = to;
            while left > 0 {
                let next = left.min(hsm::message::RANDOM_MAX);
                let random = v1::Random {
                    length: next as u32,
                };
                let bytes = session.bytes(Command::Random(random))?;
                if bytes.len() != next || at.is_null() {
                    return Err(CKR_DEVICE_ERROR);
                }
                // SAFETY: `to` has `length` places, as the caller says, of which `left` are left.
                unsafe {
                    std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, next);
                    at = at.add(next);
                }
                left -= next;
            }
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signatures_are_read_as_der_has_them() {
        let der = b"\x30\x07\x02\x02\x00\x80\x02\x01\x7f";
        let mut raw = [0; 64];
        (raw[31], raw[63]) = (0x80, 0x7f);
        assert_eq!(raw_signature(der).as_deref(), Some(&raw[..]));
        for at in 0..der.len() {
            assert_eq!(raw_signature(&der[..at]), None, "cut at {at}");
        }
        let long = [&b"\x30\x26\x02\x21"[..], &[1; 33], b"\x02\x01\x01"].concat();
        assert_eq!(raw_signature(&long), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Some(raw) = raw_signature(&bytes) {
                prop_assert_eq!(raw.len(), 64);
            }
        }
    }

    /// Whatever is null where the standard has a pointer is an answer, not a crash.
    #[test]
    fn null_pointers_are_refused() {
        use std::ptr::null_mut;
        // SAFETY: null is what each function says it takes.
        let answers = unsafe {
            [
                C_SignInit(1, null_mut(), 1),
                C_EncryptInit(1, null_mut(), 1),
                C_DecryptInit(1, null_mut(), 1),
                C_Sign(1, null_mut(), 5, null_mut(), null_mut()),
                C_Encrypt(1, null_mut(), 5, null_mut(), null_mut()),
                C_Decrypt(1, null_mut(), 5, null_mut(), null_mut()),
                C_GenerateKey(1, null_mut(), null_mut(), 3, null_mut()),
                C_GenerateRandom(1, null_mut(), 5),
                crate::call::C_GetInfo(null_mut()),
                crate::call::C_GetTokenInfo(7, null_mut()),
                crate::call::C_GetMechanismList(0, null_mut(), null_mut()),
                crate::call::C_GetMechanismInfo(0, CKM_EDDSA, null_mut()),
                crate::call::C_Login(1, CKU_USER, null_mut(), 9),
                crate::call::C_FindObjectsInit(1, null_mut(), 2),
                crate::call::C_GetAttributeValue(1, 1, null_mut(), 2),
                crate::C_GetFunctionList(null_mut()),
            ]
        };
        assert!(
            answers.iter().all(|answer| *answer != CKR_OK),
            "{answers:?}"
        );
    }
}
