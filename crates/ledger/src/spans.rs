//! Parts of the log, for questions that need not read all of it.

use crate::rows::StopRow;
use crate::table::{Table, int};
use crate::{Error, Reader};

impl Reader {
    /// Hands out the entries from `from` up to and without `to`, in order and byte for byte.
    ///
    /// # Errors
    /// What the database says.
    pub fn entries_within(
        &self,
        (from, to): (u64, u64),
        each: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<(), Error> {
        let sql = "SELECT seq, bytes FROM entries WHERE seq >= ?1 AND seq < ?2 ORDER BY seq";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([int(from), int(to)])?;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob();
            let seq = row.get::<_, i64>(0)?.unsigned_abs();
            each(seq, bytes.map_err(rusqlite::Error::from)?);
        }
        Ok(())
    }

    /// The newest entry below `below` that `is` the one, looked for backwards.
    ///
    /// # Errors
    /// What the database says.
    pub fn last_entry(
        &self,
        below: u64,
        is: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Option<u64>, Error> {
        let sql = "SELECT seq, bytes FROM entries WHERE seq < ?1 ORDER BY seq DESC";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([int(below)])?;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob();
            if is(bytes.map_err(rusqlite::Error::from)?) {
                return Ok(Some(row.get::<_, i64>(0)?.unsigned_abs()));
            }
        }
        Ok(None)
    }

    /// Every time the line was stopped, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn stops(&self) -> Result<Vec<StopRow>, Error> {
        Ok(StopRow::list(self.connection(), "ORDER BY seq", [])?)
    }
}
