//! Numbered rows of the database, read in order with one row of foresight.

use rusqlite::Rows as SqlRows;
use tlog::Hash;

use crate::replay::{Findings, StoredHashes};

/// Rows of a number and some bytes, in order, with one row of foresight.
pub(crate) struct Stream<'a> {
    rows: SqlRows<'a>,
    peeked: Option<(u64, Vec<u8>)>,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(rows: SqlRows<'a>) -> Stream<'a> {
        Stream { rows, peeked: None }
    }

    pub(crate) fn peek(&mut self) -> rusqlite::Result<Option<&(u64, Vec<u8>)>> {
        if self.peeked.is_none() {
            self.peeked = match self.rows.next()? {
                Some(row) => {
                    // A negative number becomes a huge one, which no entry can have.
                    let number = row.get::<_, i64>(0)?.cast_unsigned();
                    let bytes = row
                        .get_ref(1)?
                        .as_bytes_or_null()?
                        .unwrap_or_default()
                        .to_vec();
                    Some((number, bytes))
                }
                None => None,
            };
        }
        Ok(self.peeked.as_ref())
    }

    pub(crate) fn next(&mut self) -> rusqlite::Result<Option<(u64, Vec<u8>)>> {
        self.peek()?;
        Ok(self.peeked.take())
    }
}

/// The stored hashes in their order, which is the order the replay asks in.
pub(crate) struct HashStream<'a> {
    rows: Stream<'a>,
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
    pub(crate) fn next(&mut self) -> rusqlite::Result<Option<(u64, Vec<u8>)>> {
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
        let (_, bytes) = self.rows.next().ok().flatten()?;
        let hash = Hash::try_from(bytes).ok();
        if hash.is_none() {
            findings.add(
                seq,
                format!("the stored hash at position {wanted} is not 32 bytes"),
            );
        }
        hash
    }
}
