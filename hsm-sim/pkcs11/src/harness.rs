//! For the fuzzer: one input is a caller's calls and a token's answers, and both may be anything but
//! wrong about their own memory.
//!
//! The caller keeps what C demands of it (a pointer is null or points to as much as it says) and
//! nothing else: handles, lengths, templates, mechanisms and the order of calls come from the input.
//! The token is a socket on which the answers lie already, whole, torn or foreign. What is checked is
//! that nothing is written beyond a buffer, that no call panics into C, and that no call claims more
//! bytes than there was room for.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use cryptoki_sys::*;

use crate::application;
use crate::call::*;
use crate::work::*;

/// More calls only make the fuzzer slower.
const CALLS_MAX: usize = 64;
/// Attributes of one template.
const TEMPLATE_MAX: usize = 5;
/// A buffer's most bytes, and what lies behind it and must stay.
const ROOM_MAX: usize = 255;
const GUARD: [u8; 16] = [0xa5; 16];

/// What every connection reads; none outside of [`drive`].
static ANSWERS: Mutex<Option<Vec<u8>>> = Mutex::new(None);
/// One input at a time: the module has one application a process.
static DRIVING: Mutex<()> = Mutex::new(());

/// A connection to the token of the input, while there is one.
pub(crate) fn stream() -> Option<UnixStream> {
    let answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    let (near, mut far) = UnixStream::pair().ok()?;
    // At most 16 kB: what a socket takes without a reader (unix(7), SO_SNDBUF).
    far.write_all(answers.as_ref()?).ok()?;
    // Nobody reads on; the end is seen at once and not after a time-out.
    far.shutdown(std::net::Shutdown::Write).ok()?;
    FAR.lock().unwrap_or_else(PoisonError::into_inner).push(far);
    Some(near)
}

/// The token's ends, kept so that a request can be written.
static FAR: Mutex<Vec<UnixStream>> = Mutex::new(Vec::new());

/// Runs one input.
pub fn drive(input: &[u8]) {
    let _one = DRIVING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut input = Input(input);
    let length = usize::from(input.byte()) * 64;
    let answers = input.some(length).to_vec();
    *ANSWERS.lock().unwrap_or_else(PoisonError::into_inner) = Some(answers);
    let _ = application::initialize_at("".into());
    for _ in 0..CALLS_MAX {
        if input.0.is_empty() {
            break;
        }
        call(&mut input);
    }
    let _ = application::finalize();
    *ANSWERS.lock().unwrap_or_else(PoisonError::into_inner) = None;
    FAR.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// What is left of an input.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.some(1).first().copied().unwrap_or(0)
    }

    fn some(&mut self, most: usize) -> &'a [u8] {
        let (some, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        some
    }

    /// Small, as handles and sizes are, or huge.
    fn number(&mut self) -> CK_ULONG {
        match self.byte() {
            255 => CK_ULONG::MAX,
            254 => 1 << 40,
            253 => 1_000 + CK_ULONG::from(self.byte()),
            small => CK_ULONG::from(small),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte());
        self.some(length).to_vec()
    }
}

/// A buffer with a guard behind it, or none.
struct Room {
    bytes: Vec<u8>,
    length: CK_ULONG,
    absent: bool,
}

impl Room {
    fn of(input: &mut Input<'_>) -> Room {
        let size = usize::from(input.byte()).min(ROOM_MAX);
        let mut bytes = vec![0; size];
        bytes.extend_from_slice(&GUARD);
        Room {
            bytes,
            length: size as CK_ULONG,
            absent: input.byte().is_multiple_of(4),
        }
    }

    fn at(&mut self) -> *mut CK_BYTE {
        match self.absent {
            true => std::ptr::null_mut(),
            false => self.bytes.as_mut_ptr(),
        }
    }

    fn check(&self, answer: CK_RV) {
        let size = self.bytes.len() - GUARD.len();
        assert_eq!(self.bytes[size..], GUARD, "written beyond a buffer");
        if answer == CKR_OK && !self.absent {
            assert!(self.length as usize <= size, "more than there was room for");
        }
    }
}

/// Attributes that point to values of their own, each with a guard behind it.
struct Attributes {
    values: Vec<Vec<u8>>,
    list: Vec<CK_ATTRIBUTE>,
}

impl Attributes {
    fn of(input: &mut Input<'_>) -> Attributes {
        const TYPES: [CK_ATTRIBUTE_TYPE; 8] = [
            CKA_CLASS,
            CKA_LABEL,
            CKA_TOKEN,
            CKA_VALUE,
            CKA_EC_POINT,
            CKA_ID,
            CKA_SENSITIVE,
            CKA_KEY_TYPE,
        ];
        let count = usize::from(input.byte()) % (TEMPLATE_MAX + 1);
        let mut values = Vec::new();
        let mut list = Vec::new();
        for _ in 0..count {
            let kind = TYPES[usize::from(input.byte()) % TYPES.len()];
            let mut value = input.bytes();
            let length = value.len();
            value.extend_from_slice(&GUARD);
            list.push((kind, length));
            values.push(value);
        }
        let list = list.into_iter().zip(&mut values);
        let list = list.map(|((kind, length), value)| CK_ATTRIBUTE {
            type_: kind,
            pValue: match length {
                0 => std::ptr::null_mut(),
                _ => value.as_mut_ptr().cast(),
            },
            ulValueLen: length as CK_ULONG,
        });
        let list = list.collect();
        Attributes { values, list }
    }

    fn count(&self) -> CK_ULONG {
        self.list.len() as CK_ULONG
    }

    fn check(&self) {
        for value in &self.values {
            assert!(value.ends_with(&GUARD), "written beyond an attribute");
        }
    }
}

/// A mechanism, with GCM's parameters when it is one of GCM and the input wants them.
fn with_mechanism(
    input: &mut Input<'_>,
    act: impl FnOnce(&mut Input<'_>, *mut CK_MECHANISM) -> CK_RV,
) -> CK_RV {
    const NUMBERS: [CK_MECHANISM_TYPE; 9] = [
        CKM_ECDSA_SHA256,
        CKM_EDDSA,
        CKM_SHA256_HMAC,
        CKM_AES_GCM,
        CKM_EC_KEY_PAIR_GEN,
        CKM_EC_EDWARDS_KEY_PAIR_GEN,
        CKM_GENERIC_SECRET_KEY_GEN,
        CKM_AES_KEY_GEN,
        CKM_RSA_PKCS,
    ];
    let number = NUMBERS[usize::from(input.byte()) % NUMBERS.len()];
    let (mut nonce, mut aad) = (input.bytes(), input.bytes());
    let mut gcm = CK_GCM_PARAMS {
        pIv: nonce.as_mut_ptr(),
        ulIvLen: nonce.len() as CK_ULONG,
        ulIvBits: nonce.len() as CK_ULONG * 8,
        pAAD: aad.as_mut_ptr(),
        ulAADLen: aad.len() as CK_ULONG,
        ulTagBits: 128,
    };
    let mut mechanism = CK_MECHANISM {
        mechanism: number,
        pParameter: std::ptr::null_mut(),
        ulParameterLen: 0,
    };
    if number == CKM_AES_GCM && !input.byte().is_multiple_of(8) {
        mechanism.pParameter = std::ptr::from_mut(&mut gcm).cast();
        mechanism.ulParameterLen = size_of::<CK_GCM_PARAMS>() as CK_ULONG;
    }
    act(input, &mut mechanism)
}

/// One call, whichever the input says.
fn call(input: &mut Input<'_>) {
    let (which, session) = (input.byte() % 18, input.number());
    match which {
        0..=3 => sessions(which, session, input),
        4..=8 => objects(which, session, input),
        9..=11 => begin(which, session, input),
        12..=14 => finish(which, session, input),
        15 => {
            let mut room = Room::of(input);
            let (to, length) = (room.at(), room.length);
            // SAFETY: `to` is null or has `length` places.
            let answer = unsafe { C_GenerateRandom(session, to, length) };
            room.check(answer);
        }
        _ => make(which, session, input),
    }
}

fn sessions(which: u8, session: CK_SESSION_HANDLE, input: &mut Input<'_>) {
    let mut handle = 0;
    let mut pin = input.bytes();
    let (to, length) = (pin.as_mut_ptr(), pin.len() as CK_ULONG);
    let (mut token, mut about) = (CK_TOKEN_INFO::default(), CK_SESSION_INFO::default());
    // SAFETY: every pointer is to a value of the call's own type that lives until the end.
    unsafe {
        match which {
            0 => {
                let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
                C_OpenSession(0, flags, std::ptr::null_mut(), None, &mut handle);
            }
            1 => {
                C_CloseSession(session);
            }
            2 => {
                C_Login(session, CKU_USER, to, length);
            }
            _ => {
                C_GetTokenInfo(0, &mut token);
                C_GetSessionInfo(session, &mut about);
                C_Logout(session);
            }
        }
    }
}

fn objects(which: u8, session: CK_SESSION_HANDLE, input: &mut Input<'_>) {
    let object = input.number();
    let mut attributes = Attributes::of(input);
    let (list, count) = (attributes.list.as_mut_ptr(), attributes.count());
    let mut handles = [0; 4 + 1];
    let mut found = 0;
    // SAFETY: the list has `count` attributes, each of which points to as much as it says; the
    // handles have room for four.
    unsafe {
        match which {
            4 => {
                C_FindObjectsInit(session, list, count);
            }
            5 => {
                let most = CK_ULONG::from(input.byte() % 5);
                C_FindObjects(session, handles.as_mut_ptr(), most, &mut found);
                assert!(found <= 4 && handles[4] == 0);
                C_FindObjectsFinal(session);
            }
            6 => {
                C_GetAttributeValue(session, object, list, count);
            }
            7 => {
                C_CreateObject(session, list, count, &mut found);
            }
            _ => {
                C_SetAttributeValue(session, object, list, count);
            }
        }
    }
    attributes.check();
}

fn begin(which: u8, session: CK_SESSION_HANDLE, input: &mut Input<'_>) {
    let key = input.number();
    // SAFETY: the mechanism and its parameters live until the call has ended.
    with_mechanism(input, |_, mechanism| unsafe {
        match which {
            9 => C_SignInit(session, mechanism, key),
            10 => C_EncryptInit(session, mechanism, key),
            _ => C_DecryptInit(session, mechanism, key),
        }
    });
}

fn finish(which: u8, session: CK_SESSION_HANDLE, input: &mut Input<'_>) {
    let mut data = input.bytes();
    let mut room = Room::of(input);
    let (from, given) = (data.as_mut_ptr(), data.len() as CK_ULONG);
    let (to, length) = (room.at(), std::ptr::from_mut(&mut room.length));
    // SAFETY: the data are as long as is said, and the buffer is null or has `length` places.
    let answer = unsafe {
        match which {
            12 => C_Sign(session, from, given, to, length),
            13 => C_Encrypt(session, from, given, to, length),
            _ => C_Decrypt(session, from, given, to, length),
        }
    };
    room.check(answer);
}

fn make(which: u8, session: CK_SESSION_HANDLE, input: &mut Input<'_>) {
    let mut attributes = Attributes::of(input);
    let (list, count) = (attributes.list.as_mut_ptr(), attributes.count());
    let (mut public, mut private) = (0, 0);
    // SAFETY: as in `objects` and `begin`.
    with_mechanism(input, |_, mechanism| unsafe {
        match which {
            16 => C_GenerateKey(session, mechanism, list, count, &mut private),
            _ => C_GenerateKeyPair(
                session,
                mechanism,
                list,
                count,
                list,
                count,
                &mut public,
                &mut private,
            ),
        }
    });
    attributes.check();
}

#[cfg(test)]
mod tests {
    use hsm::message::{self, v1};
    use proptest::prelude::*;

    use super::*;

    /// Answers that let a login, a search and a signature through.
    fn answers(outcomes: &[v1::Response]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for outcome in outcomes {
            message::write(&mut bytes, outcome).unwrap();
        }
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        [&[(bytes.len() / 64) as u8], &bytes[..]].concat()
    }

    #[test]
    fn a_caller_that_does_all_in_order_is_answered() {
        let about = v1::Response {
            outcome: Some(v1::response::Outcome::Description(
                v1::Description::default(),
            )),
        };
        let replies = [about.clone(), v1::Response::done(vec![7; 32])];
        let open = [0, 0, 0];
        // Opens two sessions, and one random byte each without and with a login.
        let calls = [&open[..], &open, &[15, 1, 8, 1], &[2, 1, 2, b'1', b'2']].concat();
        drive(&[&answers(&replies)[..], &calls].concat());
    }

    proptest! {
        #[test]
        fn any_input_is_survived(input: Vec<u8>) {
            drive(&input);
        }
    }
}
