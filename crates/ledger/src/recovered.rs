//! What a log that was put back from a copy says about it, for those who remember more.

use tlog::Checkpoint;
use traveler::{Entry, Event, LogRecovered, Serial};

use crate::rows::{BlockRow, RecoveryRow};
use crate::table::Table;
use crate::{Error, Reader, schema};

impl Reader {
    /// Every recovery, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn recoveries(&self) -> Result<Vec<RecoveryRow>, Error> {
        let connection = self.connection();
        if schema::version(connection)? < schema::RECOVERED {
            return Ok(Vec::new());
        }
        Ok(RecoveryRow::list(connection, "ORDER BY seq", [])?)
    }

    /// The recovery that names this checkpoint as lost, and its entry's number.
    ///
    /// # Errors
    /// What the database says.
    pub fn recovery_of(&self, seen: &Checkpoint) -> Result<Option<(u64, LogRecovered)>, Error> {
        for row in self.recoveries()? {
            let entry = self.entry(row.seq)?;
            let entry = entry.and_then(|bytes| Entry::from_bytes(&bytes).ok());
            if let Some(Event::LogRecovered(said)) = entry.map(|entry| entry.event)
                && said.names(seen.size, &seen.root)
            {
                return Ok(Some((row.seq, *said)));
            }
        }
        Ok(None)
    }

    /// The entries that block a serial.
    ///
    /// # Errors
    /// What the database says.
    pub fn blocks(&self, serial: &Serial) -> Result<Vec<BlockRow>, Error> {
        let connection = self.connection();
        if schema::version(connection)? < schema::RECOVERED {
            return Ok(Vec::new());
        }
        let filter = "WHERE serial = ?1 ORDER BY seq";
        Ok(BlockRow::list(connection, filter, [serial.as_str()])?)
    }
}
