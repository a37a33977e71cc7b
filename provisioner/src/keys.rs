//! Opens the HSM and lends its keys to certificates and checkpoints.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hsm::{
    Connect, Hsm, HsmError, Key, Pin, Pkcs11Token, Randomness, RemoteToken, SoftToken, Storage,
    Turn,
};
use ring::rand::SecureRandom;
use thiserror::Error;
use tlog::{CheckpointSigner, SignError, VerifierKey};

use crate::config::HsmPlace;
use crate::pin::PinError;
use crate::site::{self, SiteError};

/// How long one command to a token elsewhere may take before it counts as gone.
const TOKEN_WITHIN: Duration = Duration::from_secs(5);

/// Why the keys cannot be had.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The PIN or the token's file cannot be read.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The token refused or is not there.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// There is no PIN.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// Only a software token is there and nobody allowed it.
    #[error(
        "the keys are in a software token: start with --allow-simulated-hsm to accept that every entry says so"
    )]
    Simulated,
}

/// Opens the token at `place`.
///
/// # Errors
/// [`KeysError`] when it is not there, the PIN is wrong, or it is simulated and not allowed.
pub(crate) fn open(
    place: &HsmPlace,
    pin: Pin,
    allow_simulated: bool,
) -> Result<Arc<dyn Hsm>, KeysError> {
    let token: Arc<dyn Hsm> = match place {
        HsmPlace::Soft(path) => {
            let store = std::fs::read(path).map_err(|source| SiteError::File {
                path: path.clone(),
                source,
            })?;
            let storage = Box::new(StoreFile(path.clone()));
            Arc::new(SoftToken::open(
                &store,
                &pin,
                Box::new(SystemRandomness),
                storage,
            )?)
        }
        HsmPlace::Sim(path) => Arc::new(RemoteToken::new(connector(path.clone()), pin)),
        HsmPlace::Pkcs11 {
            module,
            token,
            sessions,
            wrapping,
        } => {
            let (sessions, wrapping) = (*sessions, *wrapping);
            let token = Pkcs11Token::open_wrapping(module, token, pin, sessions, wrapping)?;
            Arc::new(token)
        }
    };
    if token.describe()?.simulated && !allow_simulated {
        return Err(KeysError::Simulated);
    }
    Ok(token)
}

/// Makes a software token with an empty store file.
///
/// # Errors
/// [`KeysError`] when the file is already there or cannot be written.
pub(crate) fn create_soft(path: &Path, pin: &Pin) -> Result<(), KeysError> {
    if path.exists() {
        let source = io::ErrorKind::AlreadyExists.into();
        return Err(SiteError::File {
            path: path.to_owned(),
            source,
        }
        .into());
    }
    let storage = Box::new(StoreFile(path.to_owned()));
    SoftToken::create(pin, Box::new(SystemRandomness), storage)?;
    Ok(())
}

fn connector(path: std::path::PathBuf) -> Connect {
    Box::new(move || {
        let stream = UnixStream::connect(&path)?;
        stream.set_read_timeout(Some(TOKEN_WITHIN))?;
        stream.set_write_timeout(Some(TOKEN_WITHIN))?;
        Ok(Box::new(stream))
    })
}

/// The operating system's generator.
pub(crate) struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), HsmError> {
        ring::rand::SystemRandom::new()
            .fill(out)
            .map_err(|_| HsmError::Unavailable {
                reason: "no system randomness".into(),
            })
    }
}

/// A store file that is replaced whole: a crash leaves the old keys or the new ones.
struct StoreFile(std::path::PathBuf);

impl Storage for StoreFile {
    fn save(&self, store: &[u8]) -> io::Result<()> {
        let fresh = self.0.with_extension("new");
        let _ = std::fs::remove_file(&fresh);
        site::write_new(&fresh, store, true).map_err(io::Error::other)?;
        std::fs::rename(&fresh, &self.0)?;
        std::fs::File::open(self.0.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// One signing key of the token, as certificates need it.
pub(crate) struct CertificateKey {
    hsm: Arc<dyn Hsm>,
    key: Key,
    spki: Vec<u8>,
}

/// A key, and which of its successors it is: 1 for the first.
pub(crate) struct Turned<S> {
    pub(crate) turn: u8,
    pub(crate) signer: S,
}

/// The key whose public half is `wanted`, among those that took over from one another; none when the
/// token holds no such key. A turn that is not there ends the search: they are made in order.
fn turn_of(
    hsm: &dyn Hsm,
    turns: fn(u8) -> Option<Key>,
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<Option<(u8, Key)>, HsmError> {
    for turn in 1..=Turn::MAX {
        let Some(key) = turns(turn) else { break };
        match hsm.public_key(key) {
            Ok(spki) if wanted(&spki) => return Ok(Some((turn, key))),
            Ok(_) => {}
            Err(HsmError::NoSuchKey(_)) if turn > 1 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

impl CertificateKey {
    /// The key of this public half (SubjectPublicKeyInfo, DER), if the token holds it.
    ///
    /// # Errors
    /// [`HsmError`] of the token.
    pub(crate) fn of(
        hsm: &Arc<dyn Hsm>,
        turns: fn(u8) -> Option<Key>,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Turned<CertificateKey>>, HsmError> {
        let Some((turn, key)) = turn_of(&**hsm, turns, wanted)? else {
            return Ok(None);
        };
        let signer = CertificateKey::new(hsm, key)?;
        Ok(Some(Turned { turn, signer }))
    }

    /// Takes a P-256 key of the token.
    ///
    /// # Errors
    /// [`HsmError`] when the token does not have it.
    pub(crate) fn new(hsm: &Arc<dyn Hsm>, key: Key) -> Result<CertificateKey, HsmError> {
        Ok(CertificateKey {
            hsm: Arc::clone(hsm),
            key,
            spki: hsm.public_key(key)?,
        })
    }
}

impl identity::Signer for CertificateKey {
    fn spki(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, identity::SignError> {
        self.hsm
            .sign(self.key, message)
            .map_err(|error| identity::SignError {
                reason: error.to_string(),
            })
    }
}

/// The log key, as checkpoints need it.
pub(crate) struct LogKey {
    hsm: Arc<dyn Hsm>,
    key: Key,
    vkey: VerifierKey,
}

/// Length of an Ed25519 public key, the tail of its SubjectPublicKeyInfo (RFC 8410).
const ED25519_PUBLIC: usize = 32;

impl LogKey {
    /// The log key with this public half, if the token holds it.
    ///
    /// # Errors
    /// [`HsmError`] of the token.
    pub(crate) fn of(
        hsm: &Arc<dyn Hsm>,
        vkey: &VerifierKey,
    ) -> Result<Option<Turned<LogKey>>, HsmError> {
        let wanted = |spki: &[u8]| spki.ends_with(vkey.public_key());
        let Some((turn, key)) = turn_of(&**hsm, Key::log, wanted)? else {
            return Ok(None);
        };
        let signer = LogKey::new(hsm, key, vkey.name())?;
        Ok(Some(Turned { turn, signer }))
    }

    /// Takes one of the token's log keys under the log's origin.
    ///
    /// # Errors
    /// [`HsmError`] when the token does not have it.
    pub(crate) fn new(hsm: &Arc<dyn Hsm>, key: Key, origin: &str) -> Result<LogKey, HsmError> {
        let spki = hsm.public_key(key)?;
        let public: [u8; ED25519_PUBLIC] =
            spki.last_chunk()
                .copied()
                .ok_or_else(|| HsmError::Refused {
                    reason: "the log key is not Ed25519".into(),
                })?;
        let vkey = tlog::vkey(origin, &public).map_err(|error| HsmError::Refused {
            reason: error.to_string(),
        })?;
        Ok(LogKey {
            hsm: Arc::clone(hsm),
            key,
            vkey,
        })
    }
}

impl CheckpointSigner for LogKey {
    fn sign(&self, note: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.hsm.sign(self.key, note).map_err(|error| SignError {
            reason: error.to_string(),
        })?;
        signature.try_into().map_err(|_| SignError {
            reason: "the log key's signature is not Ed25519".into(),
        })
    }

    fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }
}
