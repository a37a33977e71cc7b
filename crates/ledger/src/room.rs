//! Room on the disk: new work is refused while there is still some for what is under way.
//!
//! Two belts. Below [`LEAST_FREE`] no unit is issued any more, while units that were are loaded,
//! sealed and voided. And a file of [`RESERVE`] bytes holds room that no other program can take; when
//! a batch does not fit all the same, the file is let go and the batch tried again. A batch that
//! still does not fit is rolled back whole: the database writes an entry or none of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;
use traveler::{Change, Event};

use crate::Refused;

/// Free space, in bytes, below which no unit is issued: 20,000 entries with all that goes with them.
pub(crate) const LEAST_FREE: u64 = 64 * 1024 * 1024;
/// Length of the file that holds room: 5,000 entries, and each unit under way needs two.
pub(crate) const RESERVE: u64 = 16 * 1024 * 1024;

/// The room there is.
pub(crate) struct Room {
    folder: PathBuf,
    reserve: PathBuf,
    least_free: u64,
    length: u64,
    /// Whether the file is there in full.
    held: bool,
    /// Free bytes, as of the last look.
    free: u64,
}

impl Room {
    /// Takes hold of the room beside the database at `path`, as far as there is any.
    pub(crate) fn hold(path: &Path, least_free: u64, length: u64) -> Room {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut room = Room {
            folder,
            reserve: path.with_extension("reserve"),
            least_free,
            length,
            held: false,
            free: 0,
        };
        room.look();
        room
    }

    /// Looks how much is free, and takes hold of the reserve again when there is plenty.
    ///
    /// A system that cannot say counts as one with nothing free; one that cannot set space aside is
    /// treated as a full one, because nothing would be left for what is under way.
    pub(crate) fn look(&mut self) {
        self.free = fs4::available_space(&self.folder).unwrap_or(0);
        if !self.held && self.free >= self.least_free.saturating_add(self.length) {
            self.held = self.set_aside().is_ok();
        }
    }

    /// Why a change is not even tried; none when it may be.
    pub(crate) fn refuses(&self, change: &Change) -> Option<Refused> {
        let begins = |event: &Event| {
            matches!(
                event,
                Event::Issued(_) | Event::Leased(_) | Event::OrderCreated { .. }
            )
        };
        let tight = self.free < self.least_free || !self.held;
        (tight && change.events.iter().any(begins)).then_some(Refused::NoRoom {
            free_mb: self.free / 1_000_000,
        })
    }

    /// Lets the reserve go. False when it was gone already.
    pub(crate) fn let_go(&mut self) -> bool {
        let held = std::mem::take(&mut self.held);
        // What cannot be removed frees nothing, and the batch fails once more.
        held && std::fs::remove_file(&self.reserve).is_ok()
    }

    fn set_aside(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file: File = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.reserve)?;
        FileExt::allocate(&file, self.length)?;
        file.sync_all()
    }
}

/// Whether an error says that the disk is full.
pub(crate) fn is_full(error: &crate::Error) -> bool {
    match error {
        crate::Error::Database(error) => {
            error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
        }
        crate::Error::File { source, .. } | crate::Error::Index(source) => {
            source.kind() == io::ErrorKind::StorageFull
        }
        _ => false,
    }
}
