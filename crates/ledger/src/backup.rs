//! A copy of the log, made while somebody writes to it.
//!
//! The copy is one moment of the log in one file (`VACUUM INTO` on a reader's connection, which
//! never blocks the writer), synced before it gets its name, and it leads to its own newest
//! checkpoint. What it cannot be is newer than it is: a log that was put back from one went
//! backwards for everybody who remembers more, and they must not take it for the log.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tlog::{Hash, LogKeys, VerifierKey};

use crate::files::{file_error, sync_folder};
use crate::sql::{newest_checkpoint, root_of, size};
use crate::{Error, schema};

/// A backup that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backup {
    /// Entries in it.
    pub entries: u64,
    /// How many of them its newest checkpoint covers.
    pub size: u64,
    /// The root over those.
    pub root: Hash,
    /// That checkpoint, signed.
    pub checkpoint: String,
}

/// Copies the log at `path` into the new file `out`, readable by its owner alone.
///
/// A crash on the way leaves `out` absent and at most a file `out.new`, which the next backup
/// replaces.
///
/// # Errors
/// [`Error::NoCheckpoint`], [`Error::Note`] and [`Error::Altered`] when what was copied does not
/// lead to a checkpoint of this key; [`Error::File`] also when `out` is there already.
pub fn backup(path: &Path, vkey: &VerifierKey, out: &Path) -> Result<Backup, Error> {
    if !path.is_file() {
        return Err(Error::NotALog {
            path: path.to_owned(),
            why: "there is no such file".to_owned(),
        });
    }
    let taken = std::io::ErrorKind::AlreadyExists;
    if out.exists() {
        return Err(file_error(out, taken.into()));
    }
    let fresh = fresh(out);
    let made = copy(path, &fresh).and_then(|()| look(&fresh, vkey));
    let named = made.and_then(|backup| {
        // A link never replaces a file that came to be meanwhile.
        fs::hard_link(&fresh, out).map_err(|source| file_error(out, source))?;
        Ok(backup)
    });
    let _ = fs::remove_file(&fresh); // after a failure, too; what stays is replaced next time
    let backup = named?;
    sync_folder(out)?;
    Ok(backup)
}

/// One moment of the log, on disk.
fn copy(path: &Path, fresh: &Path) -> Result<(), Error> {
    let failed = |source| file_error(fresh, source);
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    // Made before SQLite does: it would let others read it. An empty file is written into.
    let made = options.write(true).create_new(true).mode(0o600).open(fresh);
    made.map_err(failed)?;
    let connection = schema::reader(path)?;
    schema::check_version(&connection, path)?;
    let name = fresh.to_str().ok_or_else(|| {
        failed(std::io::Error::other(
            "the name is not UTF-8, which SQLite wants",
        ))
    })?;
    connection.execute("VACUUM INTO ?1", [name])?;
    let synced = File::open(fresh).and_then(|file| file.sync_all());
    synced.map_err(failed)
}

/// What the copy holds, when it leads to its checkpoint.
fn look(copy: &Path, vkey: &VerifierKey) -> Result<Backup, Error> {
    let connection = schema::reader(copy)?;
    let (_, note) = newest_checkpoint(&connection)?.ok_or(Error::NoCheckpoint)?;
    tlog::open_note(&note, std::slice::from_ref(vkey)).map_err(Error::Note)?;
    let keys = LogKeys::new(vkey.clone());
    let checkpoint = keys.open(&note).map_err(|_| Error::Altered(0))?;
    let entries = size(&connection)?;
    if checkpoint.size > entries || root_of(&connection, checkpoint.size)? != checkpoint.root {
        return Err(Error::Altered(checkpoint.size));
    }
    Ok(Backup {
        entries,
        size: checkpoint.size,
        root: checkpoint.root,
        checkpoint: note,
    })
}

fn fresh(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".new");
    name.into()
}
