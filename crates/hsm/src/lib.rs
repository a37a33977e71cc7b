//! The few HSM commands, the software token, and the client of a token elsewhere.
//!
//! Three things are behind [`Hsm`]: [`SoftToken`], the token in process, its keys in a store that is
//! encrypted under a PIN; [`RemoteToken`], which speaks `proto/hsm/v1` to one elsewhere; and
//! [`Pkcs11Token`], a real one behind the PKCS#11 module of its maker.
//!
//! Deliberately absent: a call that returns a private key; sockets, files, clocks and a source of
//! randomness, which are all arguments ([`Connect`], [`Storage`], [`Randomness`]), so that a seed
//! replays a token's keys and signatures (what a PKCS#11 module does is its own); and any question
//! of the form "was this MACed before?".

mod error;
#[cfg(test)]
mod far;
mod key;
mod material;
pub mod message;
mod pin;
mod pkcs11;
mod pool;
mod remote;
mod soft;
mod store;

use std::io;

use zeroize::Zeroizing;

pub use error::HsmError;
pub use key::{Key, Kind, Turn};
pub use pin::{Pin, PinLength};
pub use pkcs11::{Pkcs11Token, Wrapping};
pub use pool::{Connect, Stream};
pub use remote::RemoteToken;
pub use soft::SoftToken;

/// The most bytes one command takes: message or data, or context and clear text together.
///
/// Leaves room for labels and framing under [`message::FRAME_MAX`].
pub const DATA_MAX: usize = 60_000;

/// What is asked of a token. Each call may be repeated without harm.
///
/// Calls block: they belong on a thread that may wait. Many threads may call at once.
///
/// # Errors
///
/// Every call may answer [`HsmError::Unavailable`] (ask again later; nothing is wrong with the
/// question) and, where it names a key, [`HsmError::NoSuchKey`] or [`HsmError::WrongKind`].
/// [`HsmError::TooLong`] is given for more than [`DATA_MAX`] bytes.
pub trait Hsm: Send + Sync {
    /// Who the token says it is, and whether it is a simulated one.
    fn describe(&self) -> Result<Description, HsmError>;

    /// Fills `out` with random bytes.
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError>;

    /// HMAC-SHA-256 of `data` under a key of kind [`Kind::Mac`].
    fn mac(&self, key: Key, data: &[u8]) -> Result<[u8; 32], HsmError>;

    /// Signs `message`: ECDSA with SHA-256 as ASN.1 DER under a [`Kind::P256`] key, 64 bytes
    /// (RFC 8032) under a [`Kind::Ed25519`] key.
    fn sign(&self, key: Key, message: &[u8]) -> Result<Vec<u8>, HsmError>;

    /// The SubjectPublicKeyInfo (DER) of a signing key.
    fn public_key(&self, key: Key) -> Result<Vec<u8>, HsmError>;

    /// Encrypts `plain`, bound to `aad`, under a key of kind [`Kind::Aes256`] that stays inside.
    /// The answer is 28 bytes longer, or as long as its [`Hsm::wrapping`] makes it, at most 72.
    fn wrap(&self, key: Key, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, HsmError>;

    /// Undoes [`Hsm::wrap`]. [`HsmError::Refused`] when a byte of `wrapped` or `aad` differs or
    /// another key made it.
    fn unwrap(&self, key: Key, aad: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, HsmError>;

    /// How it wraps, which stands in the ceremony's record.
    fn wrapping(&self) -> Wrapping {
        Wrapping::Gcm
    }

    /// Makes the key if it is not there. When it returns, the key is on record.
    fn make_key(&self, key: Key) -> Result<(), HsmError>;

    /// What the token says about where the key has been. A key that lies in a file could leave
    /// the token, and that is what is said unless a token knows better.
    fn key_facts(&self, key: Key) -> Result<KeyFacts, HsmError> {
        let _ = key;
        Ok(KeyFacts::IN_A_FILE)
    }

    /// The highest size to which [`Hsm::raise_high_water`] raised the mark of the log with this
    /// origin; `None` when it never did, or when the token keeps no mark. Whoever restores an old
    /// database, but not the token, is given away by it.
    fn high_water(&self, log: &str) -> Result<Option<u64>, HsmError> {
        let _ = log;
        Ok(None)
    }

    /// Raises the mark to `size` entries, and never lowers it. Durable when it returns; a token
    /// that keeps no mark answers `Ok` and keeps none. Costs a write: call it at a bounded rate,
    /// and at the end.
    fn raise_high_water(&self, log: &str, size: u64) -> Result<(), HsmError> {
        let _ = (log, size);
        Ok(())
    }
}

/// Where a key has been, as its token says (PKCS #11 v2.40, section 4.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// The token does not show it.
    pub sensitive: bool,
    /// It can leave the token, wrapped or in the clear.
    pub extractable: bool,
    /// It was sensitive all its life.
    pub always_sensitive: bool,
    /// It was never extractable.
    pub never_extractable: bool,
    /// It was made by the token and not brought to it.
    pub made_inside: bool,
}

impl KeyFacts {
    /// A key of a software token: made by it, and in a file that others may copy.
    pub const IN_A_FILE: KeyFacts = KeyFacts {
        sensitive: false,
        extractable: true,
        always_sensitive: false,
        never_extractable: false,
        made_inside: true,
    };
}

/// Who a token says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// For people, such as `birthmark soft token`.
    pub model: String,
    /// Tells one token from another; no format is promised.
    pub serial: String,
    /// Version of what runs in the token; empty when it does not say.
    pub firmware: String,
    /// True for a token whose keys lie in a file: every entry written under it says so.
    pub simulated: bool,
}

/// A source of random bytes: the system's in production, a seeded one in a simulation.
pub trait Randomness: Send {
    /// Fills `out`.
    ///
    /// # Errors
    ///
    /// [`HsmError::Unavailable`] when there is no randomness to be had; `out` is then not used.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), HsmError>;
}

/// Where a [`SoftToken`] puts its store.
pub trait Storage: Send + Sync {
    /// Puts `store` in place of what was saved before, durably and all or nothing.
    ///
    /// # Errors
    ///
    /// Any, when the old or no store may be what is found later; the key being made is then
    /// forgotten.
    fn save(&self, store: &[u8]) -> io::Result<()>;
}

/// Both sides refuse what is too long: the client before it sends, the token whoever asks.
fn bounded(given: usize) -> Result<(), HsmError> {
    if given > DATA_MAX {
        return Err(HsmError::TooLong {
            given,
            limit: DATA_MAX,
        });
    }
    Ok(())
}
