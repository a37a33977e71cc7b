//! Two files beside the database: the lock, and the newest checkpoint; and the name of a folder.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;
use tlog::{Checkpoint, LogKeys};

use crate::Error;

/// Held for as long as the log is open for writing; the kernel lets go when the process ends,
/// however it ends.
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock, or says that another process has it.
    pub(crate) fn take(database: &Path) -> Result<Lock, Error> {
        let path = database.with_extension("lock");
        let open = || {
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
        };
        let file = open().map_err(|source| file_error(&path, source))?;
        match FileExt::try_lock_exclusive(&file) {
            Ok(true) => Ok(Lock(file)),
            Ok(false) => Err(Error::Busy(database.to_owned())),
            Err(source) => Err(file_error(&path, source)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Said aloud, not left to the close: a process that another thread is starting just now
        // holds a copy of this file until its exec, and the log would seem busy for that long.
        // When it cannot be said, the close that follows lets go all the same.
        let _ = FileExt::unlock(&self.0);
    }
}

/// What the checkpoint file beside the database holds.
pub(crate) enum Beside {
    /// There is no such file, though the first batch leaves one.
    Missing,
    /// What a power cut leaves of a file that was not synced: nothing, or zeros.
    Torn,
    /// A checkpoint of this log.
    Signed(Checkpoint),
    /// Something that is not one.
    Foreign(String),
}

/// Puts the newest checkpoint beside the database, by rename: the tripwire for a cut tail.
///
/// While callers wait it is put there once for every time the write-ahead log is folded in, and as
/// soon as nobody waits: who cuts the tail of a log at work and gets away with it here cuts at most
/// that much, and stations and witnesses remember more. It is not synced. After a power cut the old file or an empty one may be there; either claims
/// less than the database holds, so it can never accuse a log that is whole. The next batch
/// writes it again.
pub(crate) fn place_checkpoint(database: &Path, note: &str) -> Result<(), Error> {
    let path = checkpoint_path(database);
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, note).map_err(|source| file_error(&fresh, source))?;
    std::fs::rename(&fresh, &path).map_err(|source| file_error(&path, source))
}

/// Reads it back; none when there is no such file.
pub(crate) fn checkpoint_beside(database: &Path) -> Result<Option<Vec<u8>>, Error> {
    let path = checkpoint_path(database);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(file_error(&path, source)),
    }
}

impl Beside {
    /// What the file's bytes are to a log of these keys.
    pub(crate) fn of(bytes: Option<Vec<u8>>, keys: &LogKeys) -> Beside {
        let Some(bytes) = bytes else {
            return Beside::Missing;
        };
        if bytes.iter().all(|&byte| byte == 0) {
            return Beside::Torn;
        }
        let Ok(note) = String::from_utf8(bytes) else {
            return Beside::Foreign("it is not text".to_owned());
        };
        match keys.open(&note) {
            Ok(checkpoint) => Beside::Signed(checkpoint),
            Err(why) => Beside::Foreign(why),
        }
    }
}

/// Makes a new file's name durable.
pub(crate) fn sync_folder(database: &Path) -> Result<(), Error> {
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| file_error(folder, source))
}

pub(crate) fn file_error(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        source,
    }
}

/// The folder of the key index.
pub(crate) fn keys_path(database: &Path) -> PathBuf {
    database.with_extension("keys")
}

fn checkpoint_path(database: &Path) -> PathBuf {
    database.with_file_name("checkpoint")
}
