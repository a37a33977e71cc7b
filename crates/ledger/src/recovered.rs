//! What a log that was put back from a copy says about it, for those who remember more.

use std::collections::HashMap;

use tlog::{Checkpoint, Hash, append_hashes, leaf_hash, root, stored_count};
use traveler::{Entry, Event, LogRecovered, Serial};

use crate::rows::{BlockRow, RecoveryRow};
use crate::sql::stored_hash;
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

    /// How far these entries, the first of which would be the log's next, make it again the log of
    /// the checkpoints: its size at the last of those that they lead to, with none before it that
    /// they do not lead to.
    ///
    /// # Errors
    /// What the database says.
    pub fn goes_on_to(&self, entries: &[Vec<u8>], seen: &[Checkpoint]) -> Result<u64, Error> {
        let from = self.size()?;
        let connection = self.connection();
        let mut fresh: HashMap<u64, Hash> = HashMap::new();
        let mut seen: Vec<&Checkpoint> = seen.iter().filter(|seen| seen.size > from).collect();
        seen.sort_by_key(|seen| seen.size);
        let mut good = from;
        let mut size = from;
        for one in seen {
            let many = usize::try_from(one.size - from).unwrap_or(usize::MAX);
            if many > entries.len() {
                break;
            }
            let read = |fresh: &HashMap<u64, Hash>, position| match fresh.get(&position) {
                Some(hash) => Ok(*hash),
                None => stored_hash(connection, position),
            };
            for entry in &entries[(size - from) as usize..many] {
                let leaf = leaf_hash(entry);
                let hashes = append_hashes(size, leaf, &mut |at| read(&fresh, at))?;
                fresh.extend((stored_count(size)..).zip(hashes));
                size += 1;
            }
            if root(size, &mut |at| read(&fresh, at))? != one.root {
                break;
            }
            good = size;
        }
        Ok(good)
    }
}
