//! A token behind a PKCS#11 module: production.
//!
//! The module is a library of the token's maker, loaded while running; what it does is its own.
//! Here are the commands of [`Hsm`] in its terms: ECDSA by the token's own hash or by ours and raw
//! r || s made DER, Ed25519 (CKM_EDDSA), HMAC-SHA-256, AES-256-GCM with a nonce of the token's, or
//! the fallback that `wrapping` describes.
//!
//! Deliberately absent: ECDSA checkpoint keys, which c2sp.org/signed-note has no type for: a token
//! without Ed25519 is refused with what it lacks.

mod blank;
mod form;
mod keys;
mod library;
mod mark;
mod sessions;
mod wrapping;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::material::OVERHEAD;
use crate::{Description, Hsm, HsmError, Key, KeyFacts, Kind, Pin, bounded};
use keys::Found;
use library::Library;
use sessions::{Fault, Sessions};
pub use wrapping::Wrapping;
use wrapping::{CBC_OVERHEAD, MAGIC, Nonces};

/// What tokens say of themselves whose keys lie in a file, in any case: SoftHSM, Kryoptic, and the
/// simulator's own module.
const IN_A_FILE: [&str; 3] = ["softhsm", "kryoptic", "birthmark"];

/// A token behind a PKCS#11 module. See the module's text.
pub struct Pkcs11Token {
    sessions: Sessions,
    /// Whether the token hashes for ECDSA by itself.
    hash_inside: bool,
    wrapping: Wrapping,
    nonces: Nonces,
    known: Mutex<Known>,
}

/// The keys found since the module was begun anew; handles of an earlier beginning mean nothing.
#[derive(Default)]
struct Known {
    epoch: u64,
    keys: BTreeMap<Key, Found>,
}

impl Pkcs11Token {
    /// Loads `module`, logs in to the token labelled `label` and asserts the attributes of every
    /// key it holds. At most `sessions` at once, fewer when the token gives fewer.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with what a person has to do: no such module, a token that lacks a
    /// mechanism or counts wrong PINs, a key that could leave it. [`HsmError::WrongPin`], after one
    /// try. [`HsmError::Unavailable`] when the token is not there.
    pub fn open(
        module: &Path,
        label: &str,
        pin: Pin,
        sessions: usize,
    ) -> Result<Pkcs11Token, HsmError> {
        Pkcs11Token::open_wrapping(module, label, pin, sessions, None)
    }

    /// The same, wrapping as is said instead of as its list of mechanisms says best: for a token
    /// whose AES-GCM is not what the standard means.
    ///
    /// # Errors
    /// Those of [`Pkcs11Token::open`].
    pub fn open_wrapping(
        module: &Path,
        label: &str,
        pin: Pin,
        sessions: usize,
        wrapping: Option<Wrapping>,
    ) -> Result<Pkcs11Token, HsmError> {
        let library = Library::load(module)?;
        let sessions = Sessions::new(library, label, pin, sessions);
        let listed = sessions.call(|session, _| sessions.mechanisms(session))?;
        capable(label, &listed)?;
        let token = Pkcs11Token {
            sessions,
            hash_inside: listed.contains(&MechanismType::ECDSA_SHA256),
            wrapping: wrapping.or(Wrapping::of(&listed)).unwrap_or(Wrapping::Gcm),
            nonces: Nonces::default(),
            known: Mutex::default(),
        };
        for key in Key::every() {
            match token.with_key(key, |_, _| Ok(())) {
                Ok(()) | Err(HsmError::NoSuchKey(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(token)
    }

    /// Initialises the first blank token of `module`. For tokens that are files, such as a demo's:
    /// those of production are initialised with their maker's tool.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] when there is none, or it does not like a PIN.
    pub fn initialize(
        module: &Path,
        label: &str,
        officer: &Pin,
        pin: &Pin,
    ) -> Result<(), HsmError> {
        blank::initialize(module, label, officer, pin)
    }

    /// Runs `act` with a session and the key, found anew when the module was begun anew.
    fn with_key<R>(
        &self,
        key: Key,
        act: impl Fn(&Session, &Found) -> Result<R, Fault>,
    ) -> Result<R, HsmError> {
        self.sessions.call(|session, epoch| {
            let known = self.known(epoch).keys.get(&key).cloned();
            let found = match known {
                Some(found) => found,
                None => {
                    let found = keys::find(session, key, self.hash_inside)?
                        .ok_or(HsmError::NoSuchKey(key))?;
                    self.known(epoch).keys.insert(key, found.clone());
                    found
                }
            };
            act(session, &found)
        })
    }

    fn known(&self, epoch: u64) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch != epoch {
            *known = Known {
                epoch,
                keys: BTreeMap::new(),
            };
        }
        known
    }

    fn mac_under(&self, key: Key, data: &[u8]) -> Result<[u8; 32], HsmError> {
        let mac = self.with_key(key, |session, found| {
            Ok(session.sign(&Mechanism::Sha256Hmac, found.handle, data)?)
        })?;
        mac.try_into().map_err(|_| HsmError::out_of_turn())
    }
}

impl Hsm for Pkcs11Token {
    fn describe(&self) -> Result<Description, HsmError> {
        let info = self
            .sessions
            .call(|session, _| self.sessions.token_info(session))?;
        let names = format!("{} {}", info.manufacturer_id(), info.model()).to_lowercase();
        let firmware = info.firmware_version();
        Ok(Description {
            model: plain(&format!("{} {}", info.manufacturer_id(), info.model())),
            serial: plain(info.serial_number()),
            firmware: format!("{}.{}", firmware.major(), firmware.minor()),
            simulated: IN_A_FILE.iter().any(|name| names.contains(name)),
        })
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        if out.is_empty() {
            return Ok(());
        }
        let length = out.len();
        let bytes = self.sessions.call(|session, _| {
            let mut bytes = Zeroizing::new(vec![0; length]);
            session.generate_random_slice(&mut bytes)?;
            Ok(bytes)
        })?;
        out.copy_from_slice(&bytes);
        Ok(())
    }

    fn mac(&self, key: Key, data: &[u8]) -> Result<[u8; 32], HsmError> {
        bounded(data.len())?;
        of_kind(key, &[Kind::Mac])?;
        self.mac_under(key, data)
    }

    fn sign(&self, key: Key, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        bounded(message.len())?;
        of_kind(key, &[Kind::P256, Kind::Ed25519])?;
        self.with_key(key, |session, found| {
            sign_with(session, key, found.handle, self.hash_inside, message)
        })
    }

    fn public_key(&self, key: Key) -> Result<Vec<u8>, HsmError> {
        of_kind(key, &[Kind::P256, Kind::Ed25519])?;
        self.with_key(key, |_, found| {
            let spki = found.spki.clone();
            spki.ok_or(Fault::Said(HsmError::WrongKind(key)))
        })
    }

    fn wrap(&self, key: Key, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, HsmError> {
        bounded(aad.len().saturating_add(plain.len()))?;
        of_kind(key, &[Kind::Aes256])?;
        let mut wrapped = self.with_key(key, |session, found| {
            let nonce = self.nonces.next(session)?;
            match self.wrapping {
                Wrapping::Gcm => wrapping::gcm(session, found.handle, nonce, aad, plain),
                Wrapping::CbcHmac => wrapping::cbc(session, found.handle, nonce, plain),
            }
        })?;
        if self.wrapping == Wrapping::CbcHmac {
            let data = wrapping::authenticated(aad, &wrapped);
            wrapped.extend_from_slice(&self.mac_under(Key::TicketMac, &data)?);
        }
        Ok(wrapped)
    }

    fn wrapping(&self) -> Wrapping {
        self.wrapping
    }

    fn unwrap(&self, key: Key, aad: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        let longer = match wrapped.starts_with(MAGIC) {
            true => CBC_OVERHEAD,
            false => OVERHEAD,
        };
        let plain = wrapped.len().saturating_sub(longer);
        bounded(aad.len().saturating_add(plain))?;
        of_kind(key, &[Kind::Aes256])?;
        if wrapped.starts_with(MAGIC) {
            return self.unwrap_cbc(key, aad, wrapped);
        }
        if let Some(plain) = self.decrypt(key, aad, wrapped)? {
            return Ok(plain);
        }
        // Tokens say "general error" both of altered bytes and of themselves. One that undoes its
        // own wrap is well, so it is the bytes.
        let own = self.with_key(key, |session, found| {
            let nonce = self.nonces.next(session)?;
            wrapping::gcm(
                session,
                found.handle,
                nonce,
                b"birthmark",
                b"is it the token?",
            )
        })?;
        match self.decrypt(key, b"birthmark", &own)? {
            Some(_) => Err(altered()),
            None => Err(HsmError::unavailable("it does not decrypt")),
        }
    }

    fn make_key(&self, key: Key) -> Result<(), HsmError> {
        if key == Key::Ticket && self.wrapping == Wrapping::CbcHmac {
            self.make_key(Key::TicketMac)?;
        }
        // One at a time in this process; two of one label would both be refused.
        static MAKING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        self.sessions.call(|session, _| {
            // Asked again after a lost reply, it is there.
            if keys::find(session, key, self.hash_inside)?.is_none() {
                keys::make(session, key)?;
            }
            Ok(())
        })?;
        self.with_key(key, |_, _| Ok(()))
    }

    fn key_facts(&self, key: Key) -> Result<KeyFacts, HsmError> {
        self.with_key(key, |_, found| Ok(found.facts.clone()))
    }

    fn high_water(&self, log: &str) -> Result<Option<u64>, HsmError> {
        self.sessions
            .call(|session, _| Ok(mark::find(session, log)?.map(|found| found.size)))
    }

    fn raise_high_water(&self, log: &str, size: u64) -> Result<(), HsmError> {
        self.sessions
            .call(|session, _| mark::raise(session, log, size))
    }
}

fn altered() -> HsmError {
    HsmError::refused("the wrapped bytes or their context are not what was wrapped")
}

/// Signs with a private key: DER for ECDSA, 64 bytes for Ed25519.
fn sign_with(
    session: &Session,
    key: Key,
    handle: ObjectHandle,
    hash_inside: bool,
    message: &[u8],
) -> Result<Vec<u8>, Fault> {
    let out_of_turn = || Fault::Said(HsmError::out_of_turn());
    if key.kind() == Kind::Ed25519 {
        let pure = EddsaParams::new(EddsaSignatureScheme::Pure);
        let signature = session.sign(&Mechanism::Eddsa(pure), handle, message)?;
        return match signature.len() {
            64 => Ok(signature),
            _ => Err(out_of_turn()),
        };
    }
    let raw = if hash_inside {
        session.sign(&Mechanism::EcdsaSha256, handle, message)?
    } else {
        let hash = digest(&SHA256, message);
        session.sign(&Mechanism::Ecdsa, handle, hash.as_ref())?
    };
    form::der_signature(&raw).ok_or_else(out_of_turn)
}

/// Whether the token can do what the line asks of it.
fn capable(label: &str, listed: &[MechanismType]) -> Result<(), HsmError> {
    let ecdsa = [MechanismType::ECDSA, MechanismType::ECDSA_SHA256];
    let wanted = [
        ("ECDSA", &ecdsa[..]),
        ("Ed25519 (CKM_EDDSA)", &[MechanismType::EDDSA]),
        ("HMAC-SHA-256", &[MechanismType::SHA256_HMAC]),
        (
            "AES-GCM or AES-CBC",
            &[MechanismType::AES_GCM, MechanismType::AES_CBC],
        ),
    ];
    let lacks = wanted
        .iter()
        .filter(|(_, any)| !any.iter().any(|one| listed.contains(one)));
    let lacks: Vec<&str> = lacks.map(|(name, _)| *name).collect();
    if lacks.is_empty() {
        return Ok(());
    }
    Err(HsmError::refused(format!(
        "token {label} cannot do {}: the line needs one that can",
        lacks.join(", ")
    )))
}

fn of_kind(key: Key, kinds: &[Kind]) -> Result<(), HsmError> {
    match kinds.contains(&key.kind()) {
        true => Ok(()),
        false => Err(HsmError::WrongKind(key)),
    }
}

/// Text of the token's own, for entries and terminals.
fn plain(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control());
    visible.collect::<String>().trim().to_owned()
}
