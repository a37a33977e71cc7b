//! A token's store, its PIN and its lock as files.
//!
//! `STORE` is replaced whole: written beside it, synced, renamed, the folder synced. A crash leaves
//! the old store or the new one. `STORE.lock` keeps a second process out, whose keys would replace
//! the first one's. `STORE.pin` is made, before the store, when no PIN file is named. All are
//! readable by this user only.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hsm::{HsmError, Pin, Randomness, SoftToken, Storage};
use ring::rand::SecureRandom;
use rustix::fs::FlockOperation;
use zeroize::Zeroizing;

/// No store is longer.
const STORE_MAX: u64 = 4_096;

/// Symbols of a PIN that is made here: 24 of 32 are 120 bits.
const PIN_SYMBOLS: usize = 24;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why a token's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Two processes would overwrite each other's keys.
    #[error("{0} is used by another process: stop it, or choose another --store")]
    InUse(PathBuf),
    /// A folder is not made by mistake in the wrong place.
    #[error("the folder of {0} is not there: make it, or choose another --store")]
    NoFolder(PathBuf),
    /// The store is there, but nothing says what opens it.
    #[error("there is no PIN file {0}: name the one that opens the store with --pin-file")]
    NoPin(PathBuf),
    /// The PIN file holds no PIN.
    #[error("{path} holds no PIN")]
    Pin {
        /// The PIN file.
        path: PathBuf,
        /// What is wrong with it.
        source: hsm::PinLength,
    },
    /// The store and the PIN do not belong together, or the store was altered.
    #[error(
        "{store} does not open with the PIN in {pin_file}: name the right --pin-file, or move \
             the store away to begin with a new token"
    )]
    WrongPin {
        /// The store.
        store: PathBuf,
        /// Where the PIN came from.
        pin_file: PathBuf,
    },
    /// The token says no.
    #[error(
        "no token from {store}: name another --store, or move it away to begin with a new token"
    )]
    Token {
        /// The store.
        store: PathBuf,
        /// What is wrong with it.
        source: HsmError,
    },
    /// The system says no.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A token, and how it came to be.
pub struct Opened {
    /// The token. It saves itself to the store whenever a key is made.
    pub token: Arc<SoftToken>,
    /// Whether the store was made now.
    pub created: bool,
    /// The PIN file that was made now, to be told to people.
    pub new_pin: Option<PathBuf>,
}

/// The system's randomness.
pub struct SystemRandomness(ring::rand::SystemRandom);

impl SystemRandomness {
    /// Opens nothing and cannot fail; [`Randomness::fill`] may.
    pub fn new() -> SystemRandomness {
        SystemRandomness(ring::rand::SystemRandom::new())
    }
}

impl Default for SystemRandomness {
    fn default() -> SystemRandomness {
        SystemRandomness::new()
    }
}

impl Randomness for SystemRandomness {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), HsmError> {
        let reason = "the system gives no randomness".to_owned();
        self.0
            .fill(out)
            .map_err(|_| HsmError::Unavailable { reason })
    }
}

/// Opens the token in `store`, or makes it with an empty store when there is none. Its PIN is in
/// `pin_file`, or else beside the store in `STORE.pin`.
///
/// # Errors
///
/// [`OpenError`] by what the operator has to do.
pub fn open_or_create(store: &Path, pin_file: Option<&Path>) -> Result<Opened, OpenError> {
    let file = StoreFile::lock(store)?;
    let stored = read_store(store)?;
    let beside = beside(store, "pin");
    let pin_path = pin_file.unwrap_or(&beside);

    // Crash after this line: a PIN without a store, which the next start takes up.
    let makes_pin = pin_file.is_none() && stored.is_none() && !beside.exists();
    if makes_pin {
        make_pin(&beside)?;
    }
    let pin = read_pin(pin_path)?;
    let random = Box::new(SystemRandomness::new());
    let created = stored.is_none();
    let token = match stored {
        Some(bytes) => SoftToken::open(&bytes, &pin, random, Box::new(file)),
        None => SoftToken::create(&pin, random, Box::new(file)),
    };
    let token = token.map_err(|error| match error {
        HsmError::WrongPin => OpenError::WrongPin {
            store: store.to_owned(),
            pin_file: pin_path.to_owned(),
        },
        source => OpenError::Token {
            store: store.to_owned(),
            source,
        },
    })?;
    Ok(Opened {
        token: Arc::new(token),
        created,
        new_pin: makes_pin.then_some(beside),
    })
}

/// The store's place, for as long as the token lives.
struct StoreFile {
    path: PathBuf,
    /// The system gives the lock back when this is closed, also by a crash.
    lock: File,
}

impl StoreFile {
    fn lock(store: &Path) -> Result<StoreFile, OpenError> {
        let path = beside(store, "lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => OpenError::NoFolder(store.to_owned()),
                _ => OpenError::File {
                    path: path.clone(),
                    source,
                },
            })?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(StoreFile {
                path: store.to_owned(),
                lock,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(store.to_owned())),
            Err(errno) => Err(OpenError::File {
                path,
                source: errno.into(),
            }),
        }
    }
}

impl Drop for StoreFile {
    fn drop(&mut self) {
        // Said aloud, not left to the close: a process that another thread is starting just now
        // holds a copy of this file until its exec, and the store would seem in use for that long.
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
    }
}

impl Storage for StoreFile {
    fn save(&self, store: &[u8]) -> io::Result<()> {
        replace(&self.path, store)
    }
}

fn read_store(store: &Path) -> Result<Option<Vec<u8>>, OpenError> {
    let failed = |source| OpenError::File {
        path: store.to_owned(),
        source,
    };
    let file = match File::open(store) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(STORE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(Some(bytes))
}

fn read_pin(path: &Path) -> Result<Pin, OpenError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => OpenError::NoPin(path.to_owned()),
        _ => OpenError::File {
            path: path.to_owned(),
            source,
        },
    };
    let mut file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_file() && about.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others may read the PIN file: chmod 600 it");
    }
    // Longer than any PIN and never grown, so that no copy stays behind.
    let mut bytes = Zeroizing::new([0; 300]);
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..]).map_err(failed)? {
            0 => break,
            more => length += more,
        }
    }
    Pin::parse(&bytes[..length]).map_err(|source| OpenError::Pin {
        path: path.to_owned(),
        source,
    })
}

fn make_pin(path: &Path) -> Result<(), OpenError> {
    let mut bytes = Zeroizing::new([0; PIN_SYMBOLS]);
    SystemRandomness::new()
        .fill(bytes.as_mut_slice())
        .map_err(|source| OpenError::Token {
            store: path.to_owned(),
            source,
        })?;
    for byte in bytes.iter_mut() {
        *byte = ALPHABET[usize::from(*byte % 32)]; // 256 is a multiple of 32: no bias
    }
    replace(path, bytes.as_slice()).map_err(|source| OpenError::File {
        path: path.to_owned(),
        source,
    })
}

/// Puts `bytes` in place of the file, durably and all or nothing.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path, "new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    // Without this a power cut could bring the old store back after a key was used.
    let folder = path
        .parent()
        .filter(|it| !it.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

pub(crate) fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    PathBuf::from(path)
}

#[cfg(test)]
mod tests {
    use hsm::{Hsm, Key};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    /// Why `store` does not open, in words, without the folder's name.
    fn check(folder: &Path, store: &str, pin_file: Option<&str>, expected: &str) {
        let pin_file = pin_file.map(|name| folder.join(name));
        let error = open_or_create(&folder.join(store), pin_file.as_deref())
            .err()
            .unwrap();
        let text = error
            .to_string()
            .replace(&format!("{}/", folder.display()), "");
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_new_store_gets_a_pin_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("token");
        let first = open_or_create(&store, None).unwrap();
        let pin = beside(&store, "pin");
        assert!(first.created);
        assert_eq!(first.new_pin.as_ref(), Some(&pin));
        assert_eq!((mode(&store), mode(&pin)), (0o600, 0o600));
        let text = std::fs::read(&pin).unwrap();
        assert_eq!(text.len(), PIN_SYMBOLS);
        assert!(text.iter().all(|symbol| ALPHABET.contains(symbol)));

        first.token.make_key(Key::Log).unwrap();
        let public = first.token.public_key(Key::Log);
        drop(first);
        let again = open_or_create(&store, None).unwrap();
        assert!(!again.created && again.new_pin.is_none());
        assert_eq!(again.token.public_key(Key::Log), public);
        assert!(!beside(&store, "new").exists());
    }

    #[test]
    fn a_crash_between_pin_and_store_costs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("token");
        std::fs::write(beside(&store, "pin"), "left behind").unwrap();
        let opened = open_or_create(&store, None).unwrap();
        assert!(opened.created && opened.new_pin.is_none());
        assert_eq!(
            std::fs::read(beside(&store, "pin")).unwrap(),
            b"left behind"
        );
    }

    #[test]
    fn a_full_disk_makes_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("token");
        let opened = open_or_create(&store, None).unwrap();
        // A folder in the new file's place refuses it as a full disk would.
        std::fs::create_dir(beside(&store, "new")).unwrap();
        assert!(matches!(
            opened.token.make_key(Key::Log),
            Err(HsmError::Store { .. })
        ));
        std::fs::remove_dir(beside(&store, "new")).unwrap();
        opened.token.make_key(Key::Log).unwrap();
    }

    #[test]
    fn what_does_not_open_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        let held = open_or_create(&folder.join("held"), None).unwrap();
        drop(open_or_create(&folder.join("good"), None).unwrap());
        write("other.pin", "another PIN");
        write("short.pin", "123\n");
        write("bad", "no store");
        write("bad.pin", "1234");
        write("alone", "no store");

        check(
            folder,
            "held",
            None,
            "held is used by another process: stop it",
        );
        check(
            folder,
            "good",
            Some("other.pin"),
            "good does not open with the PIN in other.pin",
        );
        check(folder, "good", Some("short.pin"), "short.pin holds no PIN");
        check(
            folder,
            "new",
            Some("absent"),
            "there is no PIN file absent: name the one",
        );
        check(
            folder,
            "alone",
            None,
            "there is no PIN file alone.pin: name the one",
        );
        check(
            folder,
            "bad",
            None,
            "no token from bad: name another --store",
        );
        check(
            folder,
            "absent/token",
            None,
            "the folder of absent/token is not there: make it",
        );
        assert!(!folder.join("new").exists());
        drop(held);
        assert!(open_or_create(&folder.join("held"), None).is_ok());
    }
}
