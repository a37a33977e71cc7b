//! How a log is kept on its disk.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::Error;
use crate::disk::{Disk, Folder};
use crate::files::keys_path;
use crate::index::{Index, RUN_ENTRIES};
use crate::room::{LEAST_FREE, RESERVE, Room};

/// How the files beside the database are kept; the default is what a server wants.
#[derive(Clone, Default)]
pub struct Options {
    /// Where the key index is kept [default: a folder beside the database].
    pub disk: Option<Arc<dyn Disk>>,
    /// Entries between two files of the key index [default: 65,536].
    pub run_entries: Option<u64>,
    /// Batches after which the write-ahead log is folded into the database [default: 128].
    pub fold_batches: Option<u64>,
    /// Free bytes of the disk below which no unit is issued [default: 64 MiB].
    pub least_free: Option<u64>,
    /// Bytes set aside to finish what is under way when the disk is full [default: 16 MiB].
    pub reserve: Option<u64>,
}

impl Options {
    pub(super) fn room(&self, path: &Path) -> Room {
        let least_free = self.least_free.unwrap_or(LEAST_FREE);
        Room::hold(path, least_free, self.reserve.unwrap_or(RESERVE))
    }

    pub(super) fn index(&self, connection: &Connection, path: &Path) -> Result<Index, Error> {
        let folder = || Arc::new(Folder::at(&keys_path(path))) as Arc<dyn Disk>;
        let disk = self.disk.clone().unwrap_or_else(folder);
        Index::open(connection, disk, self.run_entries.unwrap_or(RUN_ENTRIES))
    }
}
