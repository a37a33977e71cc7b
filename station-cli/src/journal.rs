//! The attempts under way at this station, one small file each, so that no power cut loses one.
//!
//! `SERIAL.json` is replaced whole and synced before the step it announces; it is removed when the
//! attempt is settled. A crash in between finds it again and goes on from there. It holds no
//! secret: a ticket is a bundle wrapped under a key that never leaves the server's HSM.
//!
//! `SERIAL.lock` keeps two processes, or two slots of one, from working on one serial.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use traveler::{Attempt, DeviceId, Digest, OrderId, Serial, VoidCause};

use crate::durable;

/// Why an attempt cannot be journaled; then nothing is begun.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Another process, or another slot, has this serial in hand.
    #[error("{serial} is being worked on by another process of this station")]
    InHand {
        /// Which.
        serial: Serial,
    },
    /// A file of the journal is not what this program wrote.
    #[error("{path} cannot be used: {what}")]
    Damaged {
        /// The file.
        path: String,
        /// Where and how.
        what: String,
    },
    /// A file of the lease or of the outbox is not what this program wrote: its unit is set aside, and
    /// every other goes on.
    #[error("{path} cannot be used: {what}")]
    SetAside {
        /// Its unit.
        serial: Serial,
        /// The file.
        path: String,
        /// Where and how.
        what: String,
    },
    /// The disk does not do as it is told.
    #[error("{path} cannot be read or written: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// One attempt under way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The unit's serial.
    pub serial: Serial,
    /// The order that permits it.
    pub order: OrderId,
    /// The port it stood at.
    pub port: String,
    /// The silicon it was begun with.
    pub device_id: DeviceId,
    /// What the server gave; absent while a credential is being asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Issued>,
    /// Set once the attempt can only be withdrawn: a rerun does that and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdraw: Option<Withdraw>,
}

/// What is kept of an issue.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// The try.
    pub attempt: Attempt,
    /// SHA-256 of the product definition that it was made under, as the log has it; absent where the
    /// log has shown none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_sha256: Option<Digest>,
    /// What to show to get the same bundle again; empty when the bundle is leased and lies here.
    pub ticket: Ticket,
    /// Whether it comes from this station's lease, and the server hears of it by the outbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leased: bool,
    /// SHA-256 of the bundle, as the log has it.
    pub bundle_sha256: Digest,
    /// SHA-256 of the unit's certificate (DER).
    pub certificate_sha256: Digest,
    /// How far the unit has come since.
    pub reached: Reached,
    /// The number of the newest label: 0 is the first print. The others are void.
    #[serde(default, skip_serializing_if = "is_first")]
    pub reprint: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde lends")]
fn is_first(reprint: &u32) -> bool {
    *reprint == 0
}

/// How far a unit has come, of what cannot be asked of unit or server again.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// The server minted; the unit may hold nothing, a part or all of it.
    Issued,
    /// The server knows that the unit holds it, and the unit takes nothing else any more.
    Locked,
    /// Its label is being sent to the printer: one may have come out, and it is not printed again.
    Printing,
    /// Its label was given to the printer; it is not printed again.
    Labelled,
    /// The label was scanned and the unit said yes.
    Matched,
}

/// A decision to withdraw, made but perhaps not yet heard by the server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// Why.
    pub cause: VoidCause,
    /// Whether the unit is scrapped with it.
    pub scrap: bool,
}

/// An opaque ticket; base 64 in the file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ticket(#[serde(with = "crate::as_base64")] pub Vec<u8>);

/// The folder of attempts under way.
#[derive(Clone, Debug)]
pub struct Journal {
    dir: PathBuf,
}

impl Journal {
    pub(crate) fn new(dir: PathBuf) -> Journal {
        Journal { dir }
    }

    /// Takes a serial in hand until the claim is dropped.
    ///
    /// # Errors
    /// Every variant of [`JournalError`].
    pub fn claim(&self, serial: &Serial) -> Result<Claim, JournalError> {
        durable::make_folder(&self.dir).map_err(io_error(&self.dir))?;
        let lock_path = self.dir.join(format!("{serial}.lock"));
        let lock = take_lock(&lock_path)
            .map_err(io_error(&lock_path))?
            .ok_or_else(|| JournalError::InHand {
                serial: serial.clone(),
            })?;
        let path = self.dir.join(format!("{serial}.json"));
        let mut claim = Claim {
            lock_path,
            lock,
            open: None,
            path,
        };
        claim.open = read_json(&claim.path)?;
        Ok(claim)
    }

    /// Every attempt under way, by serial.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] or [`JournalError::Io`].
    pub fn open(&self) -> Result<Vec<Open>, JournalError> {
        read_all(&self.dir)
    }
}

/// A serial in hand, and what is on record of it.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    lock_path: PathBuf,
    lock: File,
    open: Option<Open>,
}

impl Open {
    /// Whether its credential came from this station's lease.
    pub(crate) fn is_leased(&self) -> bool {
        self.issued.as_ref().is_some_and(|issued| issued.leased)
    }
}

impl Claim {
    /// The attempt under way, if there is one.
    #[must_use]
    pub fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// Puts a step on record; on disk when this returns.
    ///
    /// # Errors
    /// [`JournalError::Io`]; what was on record before still is.
    pub fn write(&mut self, open: Open) -> Result<(), JournalError> {
        write_json(&self.path, &open)?;
        self.open = Some(open);
        Ok(())
    }

    /// Records how far the unit has come; nothing when no credential is under way.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn reach(&mut self, reached: Reached) -> Result<(), JournalError> {
        let mut next = self.open.clone();
        match next.as_mut().and_then(|open| open.issued.as_mut()) {
            Some(issued) if issued.reached < reached => issued.reached = reached,
            _ => return Ok(()),
        }
        next.map_or(Ok(()), |open| self.write(open))
    }

    /// Records that the label whose print was begun did not come out, surely: it may be printed again.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn unprinted(&mut self) -> Result<(), JournalError> {
        let mut next = self.open.clone();
        match next.as_mut().and_then(|open| open.issued.as_mut()) {
            Some(issued) if issued.reached == Reached::Printing => issued.reached = Reached::Locked,
            _ => return Ok(()),
        }
        next.map_or(Ok(()), |open| self.write(open))
    }

    /// Records that the label that was scanned and matched does not count after all.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn unmatched(&mut self) -> Result<(), JournalError> {
        let mut next = self.open.clone();
        match next.as_mut().and_then(|open| open.issued.as_mut()) {
            Some(issued) if issued.reached == Reached::Matched => {
                issued.reached = Reached::Printing;
            }
            _ => return Ok(()),
        }
        next.map_or(Ok(()), |open| self.write(open))
    }

    /// Records that the labels before this number are void, and this one is to be printed.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn reprint(&mut self, reprint: u32) -> Result<(), JournalError> {
        let mut next = self.open.clone();
        match next.as_mut().and_then(|open| open.issued.as_mut()) {
            Some(issued) => (issued.reprint, issued.reached) = (reprint, Reached::Locked),
            None => return Ok(()),
        }
        next.map_or(Ok(()), |open| self.write(open))
    }

    /// Closes the record: the attempt ended, and the server knows it.
    ///
    /// # Errors
    /// [`JournalError::Io`]; then a rerun settles it again, which changes nothing.
    pub fn settle(&mut self) -> Result<(), JournalError> {
        durable::remove(&self.path).map_err(io_error(&self.path))?;
        self.open = None;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Removed while it is still held: whoever opened it meanwhile finds it gone and opens anew.
        // When it cannot be removed an empty file stays behind, which harms nobody.
        let _ = fs::remove_file(&self.lock_path);
        // Said aloud, not left to the close: a program that another slot is starting just now holds
        // a copy of this file until its exec, and the serial would seem taken for that long.
        let _ = FileExt::unlock(&self.lock);
    }
}

/// Opens and locks; `None` when somebody else holds it.
fn take_lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        if !FileExt::try_lock_exclusive(&lock)? {
            return Ok(None);
        }
        // The holder before us may have removed the file between our open and our lock.
        match fs::metadata(path) {
            Ok(found) if found.ino() == lock.metadata()?.ino() => return Ok(Some(lock)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads a record; `None` when there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, JournalError> {
    let damaged = |what: String| JournalError::Damaged {
        path: path.display().to_string(),
        what,
    };
    let text = match durable::read(path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        // No text, or a place of the disk that cannot be read any more.
        Err(error) if is_damage(&error) => return Err(damaged(error.to_string())),
        Err(error) => return Err(io_error(path)(error)),
    };
    let read = serde_json::from_str(&text).map(Some);
    read.map_err(|error| damaged(error.to_string()))
}

/// Whether a file is there and holds nothing that can be read: the file's fault, not the disk's.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    /// EIO (errno(3)): a block that the disk has lost.
    const LOST_BLOCK: i32 = 5;
    error.kind() == io::ErrorKind::InvalidData || error.raw_os_error() == Some(LOST_BLOCK)
}

/// Every `SERIAL.json` of a folder, by serial; none where there is no folder.
pub(crate) fn read_all<T: DeserializeOwned>(dir: &Path) -> Result<Vec<T>, JournalError> {
    read_each(dir)?.into_iter().map(|(_, read)| read).collect()
}

/// A record by its name, or why it cannot be used.
type Each<T> = (Serial, Result<T, JournalError>);

/// Each `SERIAL.json` of a folder, or why it cannot be used.
pub(crate) fn read_each<T: DeserializeOwned>(dir: &Path) -> Result<Vec<Each<T>>, JournalError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error(dir)(error)),
    };
    let mut all = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(io_error(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let serial = name.and_then(|name| Serial::parse(name.strip_suffix(".json")?).ok());
        // None: closed since it was listed.
        if let Some(serial) = serial
            && let Some(record) = read_json(&path).transpose()
        {
            all.insert(serial, record);
        }
    }
    Ok(all.into_iter().collect())
}

/// Replaces a record; on disk when this returns.
pub(crate) fn write_json(path: &Path, record: &impl Serialize) -> Result<(), JournalError> {
    let text = serde_json::to_vec(record).map_err(|error| JournalError::Damaged {
        path: path.display().to_string(),
        what: error.to_string(),
    })?;
    durable::replace(path, &text, durable::PRIVATE).map_err(io_error(path))
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.display().to_string();
    move |source| JournalError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(serial: &str) -> Open {
        Open {
            serial: Serial::parse(serial).unwrap(),
            order: OrderId::parse("WO-1").unwrap(),
            port: "/dev/ttyUSB0".into(),
            device_id: DeviceId::parse("00112233").unwrap(),
            issued: None,
            withdraw: None,
        }
    }

    fn issued() -> Issued {
        Issued {
            attempt: Attempt::FIRST,
            ticket: Ticket(vec![0, 1, 255]),
            leased: false,
            product_sha256: None,
            bundle_sha256: Digest([1; 32]),
            certificate_sha256: Digest([2; 32]),
            reached: Reached::Issued,
            reprint: 0,
        }
    }

    #[test]
    fn what_was_written_survives_and_what_is_settled_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().join("journal"));
        assert_eq!(journal.open().unwrap(), []);

        let mut claim = journal.claim(&intent("A47").serial).unwrap();
        claim.write(intent("A47")).unwrap();
        claim.reach(Reached::Locked).unwrap();
        assert_eq!(claim.open(), Some(&intent("A47")), "nothing to reach yet");
        let mut open = intent("A47");
        open.issued = Some(issued());
        claim.write(open.clone()).unwrap();
        claim.reach(Reached::Labelled).unwrap();
        claim.reach(Reached::Locked).unwrap(); // never backwards
        drop(claim);

        open.issued.as_mut().unwrap().reached = Reached::Labelled;
        assert_eq!(journal.open().unwrap(), [open.clone()]);
        let mut claim = journal.claim(&open.serial).unwrap();
        assert_eq!(claim.open(), Some(&open));
        claim.settle().unwrap();
        claim.settle().unwrap();
        drop(claim);
        assert_eq!(
            fs::read_dir(folder.path().join("journal")).unwrap().count(),
            0
        );
    }

    #[test]
    fn only_a_print_that_was_begun_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().to_owned());
        let mut claim = journal.claim(&intent("A47").serial).unwrap();
        let mut open = intent("A47");
        open.issued = Some(issued());
        claim.write(open).unwrap();
        let reached = |claim: &Claim| {
            let issued = claim.open().unwrap().issued.as_ref().unwrap();
            (issued.reached, issued.reprint)
        };
        claim.reach(Reached::Printing).unwrap();
        claim.unprinted().unwrap();
        assert_eq!(reached(&claim), (Reached::Locked, 0));
        claim.reach(Reached::Labelled).unwrap();
        claim.unprinted().unwrap();
        assert_eq!(reached(&claim), (Reached::Labelled, 0));
        claim.reprint(1).unwrap();
        assert_eq!(reached(&claim), (Reached::Locked, 1));
        assert!(
            fs::read_to_string(folder.path().join("A47.json"))
                .unwrap()
                .contains("\"reprint\":1")
        );
    }

    #[test]
    fn one_serial_is_in_one_hand() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().to_owned());
        let claim = journal.claim(&intent("A47").serial).unwrap();
        let second = journal.claim(&intent("A47").serial);
        assert!(matches!(second, Err(JournalError::InHand { .. })));
        journal.claim(&intent("A48").serial).unwrap();
        drop(claim);
        journal.claim(&intent("A47").serial).unwrap();
    }

    #[test]
    fn a_damaged_record_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().to_owned());
        fs::write(folder.path().join("A47.json"), "{\"serial\":7}").unwrap();
        for error in [
            journal.open().unwrap_err(),
            journal.claim(&intent("A47").serial).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(
                text.contains("A47.json") && text.contains("line 1"),
                "{text}"
            );
        }
    }

    /// Old stations' journals must stay readable: if this fails, change the code, not the text.
    #[test]
    fn the_bytes_of_a_record() {
        let mut open = intent("A47");
        open.issued = Some(issued());
        open.withdraw = Some(Withdraw {
            cause: VoidCause::ReadBack,
            scrap: true,
        });
        let (one, two) = ("01".repeat(32), "02".repeat(32));
        let expected = format!(
            "{{\"serial\":\"A47\",\"order\":\"WO-1\",\"port\":\"/dev/ttyUSB0\",\
             \"device_id\":\"00112233\",\"issued\":{{\"attempt\":1,\"ticket\":\"AAH/\",\
             \"bundle_sha256\":\"{one}\",\"certificate_sha256\":\"{two}\",\
             \"reached\":\"issued\"}},\"withdraw\":{{\"cause\":\"read_back\",\"scrap\":true}}}}"
        );
        assert_eq!(serde_json::to_string(&open).unwrap(), expected);
    }
}
