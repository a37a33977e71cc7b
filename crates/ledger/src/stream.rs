//! Numbered rows of the database, read in order with one row of foresight.

use rusqlite::{Row, Rows as SqlRows};
use tlog::Hash;

use crate::findings::Findings;
use crate::replay::StoredHashes;
use crate::rows::StepRow;
use crate::table::{Cells, Table};

/// Rows of a number and something else, in order, with one row of foresight.
pub(crate) struct Stream<'a, T> {
    rows: SqlRows<'a>,
    peeked: Option<(u64, T)>,
}

/// What stands in a row beside its number.
pub(crate) trait Beside: Sized {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self>;
}

impl Beside for Vec<u8> {
    fn read(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
        Ok(bytes(row)?.to_vec())
    }
}

/// None: it is not 32 bytes.
impl Beside for Option<Hash> {
    fn read(row: &Row<'_>) -> rusqlite::Result<Option<Hash>> {
        Ok(bytes(row)?.try_into().ok())
    }
}

/// A step, or why the row is none.
impl Beside for rusqlite::Result<StepRow> {
    fn read(row: &Row<'_>) -> rusqlite::Result<rusqlite::Result<StepRow>> {
        Ok(StepRow::read(&mut Cells::from(row, 1)))
    }
}

/// The number of a row. A negative one becomes a huge one, which no entry can have.
pub(crate) fn number(row: &Row<'_>) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(0)?.cast_unsigned())
}

/// The bytes beside it.
pub(crate) fn bytes<'a>(row: &'a Row<'_>) -> rusqlite::Result<&'a [u8]> {
    Ok(row.get_ref(1)?.as_bytes_or_null()?.unwrap_or_default())
}

impl<'a, T: Beside> Stream<'a, T> {
    pub(crate) fn new(rows: SqlRows<'a>) -> Stream<'a, T> {
        Stream { rows, peeked: None }
    }

    pub(crate) fn peek(&mut self) -> rusqlite::Result<Option<&(u64, T)>> {
        if self.peeked.is_none() {
            self.peeked = match self.rows.next()? {
                Some(row) => Some((number(row)?, T::read(row)?)),
                None => None,
            };
        }
        Ok(self.peeked.as_ref())
    }

    pub(crate) fn next(&mut self) -> rusqlite::Result<Option<(u64, T)>> {
        self.peek()?;
        Ok(self.take())
    }

    /// The row that was peeked at.
    pub(crate) fn take(&mut self) -> Option<(u64, T)> {
        self.peeked.take()
    }
}

/// The stored hashes in their order, which is the order the replay asks in.
pub(crate) struct HashStream<'a> {
    rows: Stream<'a, Option<Hash>>,
    position: u64,
}

impl<'a> HashStream<'a> {
    /// Hashes from position `position` on.
    pub(crate) fn new(rows: SqlRows<'a>, position: u64) -> HashStream<'a> {
        HashStream {
            rows: Stream::new(rows),
            position,
        }
    }

    /// What follows the last hash that was asked for.
    pub(crate) fn next(&mut self) -> rusqlite::Result<Option<(u64, Option<Hash>)>> {
        self.rows.next()
    }
}

impl StoredHashes for HashStream<'_> {
    fn stored(&mut self, level: u8, n: u64, findings: &mut Findings) -> Option<Hash> {
        let wanted = self.position;
        self.position += 1;
        let seq = ((n + 1) << level) - 1;
        // Numbers that were altered sort where they do not belong.
        while let Ok(Some((position, _))) = self.rows.peek()
            && (*position < wanted || i64::try_from(*position).is_err())
        {
            findings.add(
                None,
                format!(
                    "there is a hash at the impossible position {}",
                    position.cast_signed()
                ),
            );
            self.rows.peeked = None;
        }
        match self.rows.peek() {
            Ok(Some((position, _))) if *position == wanted => {}
            Ok(_) => {
                findings.add(
                    seq,
                    format!("the stored hash at position {wanted} is missing"),
                );
                return None;
            }
            Err(error) => {
                let what = format!("the stored hash at position {wanted}: {error}");
                findings.add(seq, what);
                return None;
            }
        }
        let (_, hash) = self.rows.next().ok().flatten()?;
        if hash.is_none() {
            findings.add(
                seq,
                format!("the stored hash at position {wanted} is not 32 bytes"),
            );
        }
        hash
    }
}
