//! The key index for a command that asks once and ends: runs are read in place, nothing is loaded.
//!
//! A server may be writing beside it: a run it merges away stays readable for who has it open, and
//! rows behind the last run are looked through one by one, by the database itself.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::run::{Run, is_damage};
use super::{Keys, RUN_ENTRIES, whole_runs};
use crate::disk::{Disk, Folder};
use crate::{Error, sql};

/// How often the list of runs is read again when one of them is merged away meanwhile.
const TRIES: usize = 5;

/// The runs in the folder of a log, opened when they are first asked.
pub(crate) struct Cold {
    disk: Box<dyn Disk>,
    runs: RefCell<Option<Vec<Arc<Run>>>>,
}

impl Cold {
    /// The index beside the database at `path`.
    pub(crate) fn beside(path: &Path) -> Cold {
        Cold {
            disk: Box::new(Folder::at(&crate::files::keys_path(path))),
            runs: RefCell::new(None),
        }
    }

    /// The runs of this log that are whole, as of now.
    pub(super) fn runs(&self, connection: &Connection) -> Result<Vec<Arc<Run>>, Error> {
        let size = sql::size(connection)?;
        for _ in 1..TRIES {
            match whole_runs(connection, self.disk.as_ref(), size, false) {
                Err(Error::Index(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
                runs => return runs,
            }
        }
        whole_runs(connection, self.disk.as_ref(), size, false)
    }

    fn refresh(&self, connection: &Connection) -> Result<(), Error> {
        let size = sql::size(connection)?;
        let mut runs = self.runs.borrow_mut();
        let covered = end(runs.as_deref().unwrap_or_default());
        if runs.is_none() || size - covered.min(size) > 2 * RUN_ENTRIES {
            *runs = Some(self.runs(connection)?);
        }
        Ok(())
    }
}

/// Entries that these runs speak of.
fn end(runs: &[Arc<Run>]) -> u64 {
    runs.last().map_or(0, |run| run.span.to)
}

impl Keys for Cold {
    fn find(&self, connection: &Connection, hash: u64) -> Result<Vec<u64>, Error> {
        self.refresh(connection)?;
        let mut runs = self.runs.borrow_mut();
        let mut found = Vec::new();
        for run in runs.as_deref().unwrap_or_default() {
            match run.find(hash, &mut found) {
                Ok(()) => {}
                // Not a run: the rows are looked through from the start, slowly and rightly.
                Err(error) if is_damage(&error) => {
                    *runs = Some(Vec::new());
                    return Ok(Vec::new());
                }
                Err(error) => return Err(Error::Index(error)),
            }
        }
        Ok(found)
    }

    fn unindexed_from(&self) -> Option<u64> {
        Some(end(self.runs.borrow().as_deref().unwrap_or_default()))
    }
}
