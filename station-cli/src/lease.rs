//! What this station holds for the hours without a network: credentials that were leased to it.
//!
//! ```text
//! lease/SERIAL.json       one credential, encrypted to this station's lease key; who got it
//! lease/ORDER.order.json  what the order builds, as the server said when it gave the lease
//! lease/key               the lease key; made when there is none, erased when nothing is held
//! lease/time              the latest time anybody told or that was acted on here
//! ```
//!
//! A credential is given to one silicon, once: the file names it, synced, before anything is
//! decrypted, and the same silicon gets the same bundle again after a pulled cable or a power cut.
//! After the seal, or the withdrawal, the file is erased. Whoever holds a serial in hand
//! ([`crate::journal::Journal::claim`]) is the only one to change its file.
//!
//! The hard bound of a lease is its count. Its time is the later of this machine's clock and of the
//! latest time that was seen or acted on, so that a clock that is put back gives nobody more of it.
//!
//! Honest limit: the key is a file. Who steals the whole station has what is unspent here, at most;
//! the server's log says which serials, and a revocation voids them.

mod count;
mod order;
mod take;
mod verb;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use credential::{BundleBytes, LeaseFor, LeaseKey, LeasedBundle};
use fs4::fs_std::FileExt;
use serde::{Deserialize, Serialize};
use traveler::{Attempt, DeviceId, Digest, OrderId, Serial, StationName, Timestamp};
use zeroize::Zeroizing;

use crate::durable;
use crate::journal::{JournalError, io_error, read_json, write_json};

pub use take::{Ask, give_back, lease};
pub(crate) use verb::{LeaseArgs, Standing, run};

/// One credential that waits for its unit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leased {
    pub(crate) serial: Serial,
    pub(crate) order: OrderId,
    pub(crate) attempt: Attempt,
    /// SHA-256 of the bundle, as the log has it.
    pub(crate) bundle_sha256: Digest,
    /// SHA-256 of the unit's certificate (DER), as the log has it.
    pub(crate) certificate_sha256: Digest,
    /// From when on it is given to nobody.
    pub(crate) expires: Timestamp,
    /// The silicon that got it. Set before it is decrypted, and never to another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) released: Option<DeviceId>,
    #[serde(with = "crate::as_base64")]
    pub(crate) encapped: Vec<u8>,
    #[serde(with = "crate::as_base64")]
    pub(crate) wrapped: Vec<u8>,
}

/// The folder of them.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    dir: PathBuf,
}

impl Leases {
    pub(crate) fn new(dir: PathBuf) -> Leases {
        Leases { dir }
    }

    /// Every credential that is held, by serial, given to a silicon or not.
    pub(crate) fn all(&self) -> Result<Vec<Leased>, JournalError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error(&self.dir)(error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(io_error(&self.dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(stem) = name.and_then(|name| name.strip_suffix(".json")) else {
                continue;
            };
            if Serial::parse(stem).is_ok() {
                all.extend(read_json::<Leased>(&path)?); // none: erased since it was listed
            }
        }
        all.sort_by(|a, b| a.serial.cmp(&b.serial));
        Ok(all)
    }

    /// The one of a serial.
    pub(crate) fn of(&self, serial: &Serial) -> Result<Option<Leased>, JournalError> {
        read_json(&self.path(serial))
    }

    /// Those that nobody has got yet, and whether each may still be given out.
    pub(crate) fn unspent(&self) -> Result<Vec<(Leased, bool)>, JournalError> {
        let now = self.now()?;
        let all = self.all()?.into_iter();
        let unspent = all.filter(|leased| leased.released.is_none());
        Ok(unspent
            .map(|one| (one.expires > now, one))
            .map(|(ok, one)| (one, ok))
            .collect())
    }

    /// Puts one on disk; whoever does so has the serial in hand.
    pub(crate) fn keep(&self, leased: &Leased) -> Result<(), JournalError> {
        self.make()?;
        write_json(&self.path(&leased.serial), leased)
    }

    /// Gives one to a silicon, for good; on disk when this returns. A repeat changes nothing.
    pub(crate) fn release(&self, leased: &mut Leased, to: &DeviceId) -> Result<(), JournalError> {
        // A power cut after a release must not make its time undone.
        self.saw(self.now()?)?;
        leased.released = Some(to.clone());
        self.keep(leased)
    }

    /// Erases one, and the key with the last.
    pub(crate) fn erase(&self, serial: &Serial) -> Result<(), JournalError> {
        let path = self.path(serial);
        durable::remove(&path).map_err(io_error(&path))?;
        self.erase_key_when_idle()
    }

    /// Erases all there is: this station was revoked.
    pub(crate) fn erase_all(&self) -> Result<(), JournalError> {
        // The key first: what is left without it is worth nothing.
        self.erase_key()?;
        for leased in self.all()? {
            let path = self.path(&leased.serial);
            durable::remove(&path).map_err(io_error(&path))?;
        }
        Ok(())
    }

    /// Decrypts one that was given to the silicon at hand.
    pub(crate) fn open(
        &self,
        leased: &Leased,
        station: &StationName,
    ) -> Result<BundleBytes, JournalError> {
        let damaged = |what: String| JournalError::Damaged {
            path: self.path(&leased.serial).display().to_string(),
            what,
        };
        let no_key = || damaged("the key of its lease is gone; withdraw it".to_owned());
        let key = self.key()?.ok_or_else(no_key)?;
        let lease = LeaseFor {
            station,
            order: &leased.order,
            serial: &leased.serial,
            attempt: leased.attempt,
        };
        let bundle = LeasedBundle {
            encapped: leased.encapped.clone(),
            wrapped: leased.wrapped.clone(),
        };
        let opened = key.open(&lease, &bundle);
        let opened = opened.map_err(|error| damaged(error.to_string()))?;
        match opened.digest() == leased.bundle_sha256 {
            true => Ok(opened),
            false => Err(damaged("it is not the bundle that the log has".to_owned())),
        }
    }

    /// The later of this machine's clock and of what was seen or done before.
    pub(crate) fn now(&self) -> Result<Timestamp, JournalError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let here = i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
        Ok(Timestamp::from_unix_ms(here).max(self.seen_time()?))
    }

    /// Remembers a time that the server told, or that something was done here.
    pub(crate) fn saw(&self, time: Timestamp) -> Result<(), JournalError> {
        if !self.dir.exists() {
            return Ok(()); // nothing is held that could expire
        }
        let _one_at_a_time = self.lock("lock")?;
        if time <= self.seen_time()? {
            return Ok(());
        }
        let path = self.dir.join("time");
        let text = time.unix_ms().to_string();
        durable::replace(&path, text.as_bytes(), durable::PRIVATE).map_err(io_error(&path))
    }

    fn seen_time(&self) -> Result<Timestamp, JournalError> {
        let path = self.dir.join("time");
        let text = durable::read(&path).map_err(io_error(&path))?;
        let ms = text.map_or(Ok(0), |text| text.trim().parse());
        let ms = ms.map_err(|_| JournalError::Damaged {
            path: path.display().to_string(),
            what: "it is no time in milliseconds".to_owned(),
        });
        ms.map(Timestamp::from_unix_ms)
    }

    /// The key, if there is one.
    fn key(&self) -> Result<Option<LeaseKey>, JournalError> {
        let path = self.dir.join("key");
        let bytes = match fs::read(&path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&path)(error)),
        };
        LeaseKey::from_bytes(&bytes)
            .map(Some)
            .map_err(|error| JournalError::Damaged {
                path: path.display().to_string(),
                what: error.to_string(),
            })
    }

    fn keep_key(&self, key: &LeaseKey) -> Result<(), JournalError> {
        self.make()?;
        let path = self.dir.join("key");
        key.expose(|bytes| durable::replace(&path, bytes, durable::PRIVATE))
            .map_err(io_error(&path))
    }

    fn erase_key_when_idle(&self) -> Result<(), JournalError> {
        // A lease that is being asked for just now is encrypted to it.
        let Some(_nobody_asks) = self.try_lock("asking")? else {
            return Ok(());
        };
        match self.all()?.is_empty() {
            true => self.erase_key(),
            false => Ok(()),
        }
    }

    fn erase_key(&self) -> Result<(), JournalError> {
        let path = self.dir.join("key");
        durable::remove(&path).map_err(io_error(&path))
    }

    fn make(&self) -> Result<(), JournalError> {
        durable::make_folder(&self.dir).map_err(io_error(&self.dir))
    }

    fn path(&self, serial: &Serial) -> PathBuf {
        self.dir.join(format!("{serial}.json"))
    }

    fn lock(&self, name: &str) -> Result<File, JournalError> {
        self.make()?;
        let path = self.dir.join(name);
        let lock = open_lock(&path).map_err(io_error(&path))?;
        FileExt::lock_exclusive(&lock).map_err(io_error(&path))?;
        Ok(lock)
    }

    fn try_lock(&self, name: &str) -> Result<Option<File>, JournalError> {
        if !self.dir.exists() {
            return Ok(None);
        }
        let path = self.dir.join(name);
        let lock = open_lock(&path).map_err(io_error(&path))?;
        let held = FileExt::try_lock_exclusive(&lock).map_err(io_error(&path))?;
        Ok(held.then_some(lock))
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).open(path)
}
