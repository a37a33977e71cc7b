//! How long the log is, what was signed over it, and the hashes in between.

use rusqlite::{Connection, OptionalExtension};
use tlog::Hash;

use crate::Error;
use crate::table::int;

/// Entries in the log.
pub(crate) fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT max(seq) FROM entries")?;
    let newest: Option<i64> = statement.query_row([], |row| row.get(0))?;
    Ok(newest.map_or(0, |seq| seq.unsigned_abs() + 1))
}

/// The newest signed checkpoint and the size it covers.
pub(crate) fn newest_checkpoint(
    connection: &Connection,
) -> rusqlite::Result<Option<(u64, String)>> {
    let sql = "SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let newest = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?));
    statement.query_row([], newest).optional()
}

/// A stored hash by position.
pub(crate) fn stored_hash(connection: &Connection, position: u64) -> rusqlite::Result<Hash> {
    let mut statement = connection.prepare_cached("SELECT hash FROM hashes WHERE position = ?1")?;
    statement.query_row([int(position)], |row| row.get(0))
}

/// Root over the first `size` entries, from the stored hashes.
pub(crate) fn root(connection: &Connection, size: u64) -> rusqlite::Result<Hash> {
    tlog::root(size, &mut |position| stored_hash(connection, position))
}

/// The same for a root that must be there: a hash that is missing was taken away.
pub(crate) fn root_of(connection: &Connection, size: u64) -> Result<Hash, Error> {
    root(connection, size).map_err(hash_error(size))
}

/// What it means that a hash under the first `size` entries could not be read.
pub(crate) fn hash_error(size: u64) -> impl Fn(rusqlite::Error) -> Error {
    move |error| match error {
        rusqlite::Error::QueryReturnedNoRows => Error::Altered(size),
        error => Error::Database(error),
    }
}
