//! What this station holds for the hours without a network: credentials that were leased to it.
//!
//! ```text
//! lease/SERIAL.json       one credential, encrypted to this station's lease key; who got it
//! lease/ORDER.order.json  what the order builds, as the server said when it gave the lease
//! lease/key-N             the key of one lease, erased with the last credential of it; all are kept
//!                         as long as a damaged file may need one
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

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use credential::{BundleBytes, LeaseFor, LeaseKey, LeasedBundle};
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};
use traveler::{Attempt, DeviceId, Digest, OrderId, Serial, StationName, Timestamp};
use zeroize::Zeroizing;

use crate::damaged::{Damaged, apart, one_of};
use crate::durable;
use crate::journal::{JournalError, io_error, is_damage, write_json};
use crate::outbox::Spend;

pub(crate) use take::is_refused_for_itself;
pub use take::{Ask, give_back, lease};
pub(crate) use verb::{LeaseArgs, Standing, run};

/// One credential that waits for its unit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leased {
    pub(crate) serial: Serial,
    pub(crate) order: OrderId,
    pub(crate) attempt: Attempt,
    /// SHA-256 of the product definition that it was made under, as the log has it.
    pub(crate) product_sha256: Digest,
    /// SHA-256 of the bundle, as the log has it.
    pub(crate) bundle_sha256: Digest,
    /// SHA-256 of the unit's certificate (DER), as the log has it.
    pub(crate) certificate_sha256: Digest,
    /// From when on it is given to nobody.
    pub(crate) expires: Timestamp,
    /// Which key opens it.
    pub(crate) key: u32,
    /// The silicon that got it. Set before anybody is told and before it is decrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) released: Option<Released>,
    #[serde(with = "crate::as_base64")]
    pub(crate) encapped: Vec<u8>,
    #[serde(with = "crate::as_base64")]
    pub(crate) wrapped: Vec<u8>,
}

/// Who got a credential, and what the server is told of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Released {
    pub(crate) device_id: DeviceId,
    pub(crate) spend: Spend,
    /// Whether that is in the outbox, or heard: before it is, nothing is decrypted.
    pub(crate) told: bool,
}

impl Leased {
    /// The silicon that got it.
    pub(crate) fn owner(&self) -> Option<&DeviceId> {
        self.released.as_ref().map(|released| &released.device_id)
    }

    /// Whether it may have been decrypted.
    pub(crate) fn may_be_open(&self) -> bool {
        self.released.as_ref().is_some_and(|released| released.told)
    }
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
        Ok(self.read()?.0)
    }

    /// The one of a serial.
    pub(crate) fn of(&self, serial: &Serial) -> Result<Option<Leased>, JournalError> {
        one_of(&self.path(serial), serial, |leased: &Leased| &leased.serial)
    }

    /// Those whose file cannot be used. Each counts as given to a unit: nobody can say that it was not.
    pub(crate) fn damaged(&self) -> Result<Vec<Damaged>, JournalError> {
        Ok(self.read()?.1)
    }

    fn read(&self) -> Result<(Vec<Leased>, Vec<Damaged>), JournalError> {
        apart(&self.dir, |leased: &Leased| &leased.serial)
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
    pub(crate) fn release(&self, leased: &mut Leased, to: Released) -> Result<(), JournalError> {
        // A power cut after a release must not make its time undone.
        self.saw(self.now()?)?;
        leased.released = Some(to);
        self.keep(leased)
    }

    /// Gives one to nobody any more, before the server is asked to void it: the reply may be lost.
    pub(crate) fn suspend(&self, leased: &Leased) -> Result<(), JournalError> {
        self.keep(&Leased {
            expires: Timestamp::from_unix_ms(0),
            ..leased.clone()
        })
    }

    /// Erases one, and its key with the last of its lease.
    pub(crate) fn erase(&self, serial: &Serial) -> Result<(), JournalError> {
        remove_whole(&self.path(serial))?;
        // One that is being asked for just now is encrypted to a key that nothing is held for yet.
        match self.try_lock("asking")? {
            Some(_nobody_asks) => self.erase_idle_keys(),
            None => Ok(()),
        }
    }

    /// Erases all there is: this station was revoked.
    pub(crate) fn erase_all(&self) -> Result<(), JournalError> {
        // The keys first: what is left without them is worth nothing.
        for number in self.keys()? {
            remove_whole(&self.key_path(number))?;
        }
        for leased in self.all()? {
            remove_whole(&self.path(&leased.serial))?;
        }
        Ok(())
    }

    /// Decrypts one that was given to the silicon at hand.
    pub(crate) fn open(
        &self,
        leased: &Leased,
        station: &StationName,
    ) -> Result<BundleBytes, JournalError> {
        let damaged = |what: String| JournalError::SetAside {
            serial: leased.serial.clone(),
            path: self.path(&leased.serial).display().to_string(),
            what,
        };
        let no_key = || damaged("the key of its lease is gone; withdraw it".to_owned());
        let key = match self.key(leased.key) {
            Err(JournalError::Damaged { what, .. }) => return Err(damaged(what)),
            key => key?.ok_or_else(no_key)?,
        };
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

    pub(crate) fn seen_time(&self) -> Result<Timestamp, JournalError> {
        let path = self.dir.join("time");
        let text = match durable::read(&path) {
            Err(error) if is_damage(&error) => None,
            text => text.map_err(io_error(&path))?,
        };
        // One that cannot be used stops nobody: the hard bound is the count, and the next time that is
        // seen takes its place.
        let ms = text.and_then(|text| text.trim().parse().ok());
        Ok(Timestamp::from_unix_ms(ms.unwrap_or_default()))
    }

    /// A key, if it is there.
    fn key(&self, number: u32) -> Result<Option<LeaseKey>, JournalError> {
        let path = self.key_path(number);
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

    /// The numbers of the keys that are here.
    fn keys(&self) -> Result<Vec<u32>, JournalError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error(&self.dir)(error)),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry.map_err(io_error(&self.dir))?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("key-"));
            keys.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        Ok(keys)
    }

    /// A key that nothing was ever encrypted to.
    fn new_key(&self) -> Result<(u32, LeaseKey), JournalError> {
        self.erase_idle_keys()?;
        let held = self.all()?.into_iter().map(|leased| leased.key);
        let number = held.chain(self.keys()?).max().unwrap_or(0) + 1;
        let path = self.key_path(number);
        let key = LeaseKey::generate(&SystemRandom::new());
        let key = key.map_err(io::Error::other).map_err(io_error(&path))?;
        key.expose(|bytes| durable::replace(&path, bytes, durable::PRIVATE))
            .map_err(io_error(&path))?;
        Ok((number, key))
    }

    /// Erases keys that open nothing here any more; and with the last the time, which was about what
    /// was held: one that was wrong must not spoil the next lease.
    fn erase_idle_keys(&self) -> Result<(), JournalError> {
        let (held, damaged) = self.read()?;
        if !damaged.is_empty() {
            return Ok(()); // nobody can say which key is theirs
        }
        let held: Vec<u32> = held.into_iter().map(|leased| leased.key).collect();
        for number in self.keys()? {
            if !held.contains(&number) {
                remove_whole(&self.key_path(number))?;
            }
        }
        match held.is_empty() {
            true => remove_whole(&self.dir.join("time")),
            false => Ok(()),
        }
    }

    fn make(&self) -> Result<(), JournalError> {
        durable::make_folder(&self.dir).map_err(io_error(&self.dir))
    }

    fn key_path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("key-{number}"))
    }

    fn path(&self, serial: &Serial) -> PathBuf {
        self.dir.join(format!("{serial}.json"))
    }

    fn lock(&self, name: &str) -> Result<File, JournalError> {
        self.make()?;
        let path = self.dir.join(name);
        durable::lock(&path).map_err(io_error(&path))
    }

    fn try_lock(&self, name: &str) -> Result<Option<File>, JournalError> {
        if !self.dir.exists() {
            return Ok(None);
        }
        let path = self.dir.join(name);
        durable::try_lock(&path).map_err(io_error(&path))
    }
}

/// Removes a file, and what a crash left of a fresh one beside it.
fn remove_whole(path: &Path) -> Result<(), JournalError> {
    durable::remove(&durable::beside(path)).map_err(io_error(path))?;
    durable::remove(path).map_err(io_error(path))
}
