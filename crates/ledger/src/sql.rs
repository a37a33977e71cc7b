//! The log in SQL: the rules' view of it, and the writes of one accepted entry.

use rusqlite::{Connection, ErrorCode, OptionalExtension};
use tlog::Hash;
use traveler::{
    Change, DeviceId, Digest, Entry, Fingerprint, KeyId, OrderId, Serial, Sku, StationName,
};

use crate::rows::{
    DeviceRow, IssueRow, KeyRow, LogRow, OrderRow, Row, StationRow, StopRow, TokenRow, UnitRow,
};
use crate::rules::{Stop, View, admit, admit_change};
use crate::table::{Table, int};
use crate::{Error, Refused};

/// The rules' view, as the running transaction sees it.
pub(crate) struct SqlView<'a>(pub(crate) &'a Connection);

impl View for SqlView<'_> {
    type Error = rusqlite::Error;

    fn fingerprint_key(&self) -> rusqlite::Result<Option<KeyId>> {
        Ok(LogRow::find(self.0, "", [])?.map(|row| row.fingerprint_key))
    }

    fn product(&self, product: &Sku) -> rusqlite::Result<Option<Digest>> {
        let sql = "SELECT product_sha256 FROM products WHERE product = ?1 \
            ORDER BY seq DESC LIMIT 1";
        let mut statement = self.0.prepare_cached(sql)?;
        let digest = statement
            .query_row([product.as_str()], |row| row.get(0))
            .optional()?;
        Ok(digest.map(Digest))
    }

    fn order(&self, order: &OrderId) -> rusqlite::Result<Option<OrderRow>> {
        OrderRow::find(self.0, "WHERE order_id = ?1", [order.as_str()])
    }

    fn station(&self, station: &StationName) -> rusqlite::Result<Option<StationRow>> {
        StationRow::find(self.0, "WHERE station = ?1", [station.as_str()])
    }

    fn token(&self, token_sha256: &Digest) -> rusqlite::Result<Option<TokenRow>> {
        TokenRow::find(self.0, "WHERE token_sha256 = ?1", [token_sha256.0])
    }

    fn unit(&self, serial: &Serial) -> rusqlite::Result<Option<UnitRow>> {
        UnitRow::find(self.0, "WHERE serial = ?1", [serial.as_str()])
    }

    fn device(&self, device_id: &DeviceId) -> rusqlite::Result<Option<DeviceRow>> {
        DeviceRow::find(self.0, "WHERE device_id = ?1", [device_id.as_str()])
    }

    fn key(&self, public_key_sha256: &Digest) -> rusqlite::Result<Option<DeviceId>> {
        let row = KeyRow::find(
            self.0,
            "WHERE public_key_sha256 = ?1",
            [public_key_sha256.0],
        )?;
        Ok(row.map(|row| row.device_id))
    }

    fn fingerprint(&self, fingerprint: &Fingerprint) -> rusqlite::Result<bool> {
        Ok(IssueRow::find(self.0, "WHERE fingerprint = ?1", [fingerprint.0])?.is_some())
    }

    fn stop(&self) -> rusqlite::Result<Option<StopRow>> {
        StopRow::find(self.0, "WHERE resumed_seq IS NULL", [])
    }
}

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

/// Writes one change behind the first `size` entries: all of its events, or none.
pub(crate) fn write_change(
    connection: &Connection,
    change: &Change,
    size: u64,
) -> rusqlite::Result<Result<u64, Refused>> {
    connection.prepare_cached("SAVEPOINT change")?.execute([])?;
    let written = write_events(connection, change, size);
    if written.is_err() {
        connection
            .prepare_cached("ROLLBACK TO change")?
            .execute([])?;
    }
    connection.prepare_cached("RELEASE change")?.execute([])?;
    match written {
        Ok(size) => Ok(Ok(size)),
        Err(Stop::Refused(refused)) => Ok(Err(refused)),
        Err(Stop::View(error)) => Err(error),
    }
}

/// The new size of the log.
fn write_events(
    connection: &Connection,
    change: &Change,
    mut size: u64,
) -> Result<u64, Stop<rusqlite::Error>> {
    admit_change(&SqlView(connection), &change.events)?;
    for event in &change.events {
        let entry = Entry {
            seq: size,
            time: change.time,
            simulated_hsm: change.simulated_hsm,
            event: event.clone(),
        };
        for row in admit(&SqlView(connection), &entry)? {
            put(connection, &row)?;
        }
        write_entry(connection, size, &entry.to_bytes())?;
        size += 1;
    }
    Ok(size)
}

/// The entry and the hashes it completes.
fn write_entry(
    connection: &Connection,
    seq: u64,
    bytes: &[u8],
) -> Result<(), Stop<rusqlite::Error>> {
    if bytes.len() > Entry::MAX_BYTES {
        return Err(Stop::Refused(Refused::TooLong { bytes: bytes.len() }));
    }
    let sql = "INSERT INTO entries (seq, bytes) VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute((int(seq), bytes))?;
    let mut read = |position| stored_hash(connection, position);
    let hashes = tlog::append_hashes(seq, tlog::leaf_hash(bytes), &mut read)?;
    let sql = "INSERT INTO hashes (position, hash) VALUES (?1, ?2)";
    let mut insert = connection.prepare_cached(sql)?;
    for (position, hash) in (tlog::stored_count(seq)..).zip(hashes) {
        insert.execute((int(position), hash))?;
    }
    Ok(())
}

/// Writes a derived row. A constraint that fires here stopped what the rules let through, so
/// it is the same refusal: two belts, one word.
fn put(connection: &Connection, row: &Row) -> Result<(), Stop<rusqlite::Error>> {
    let error = match row {
        Row::Log(row) => row.put(connection),
        Row::Product(row) => row.put(connection),
        Row::Order(row) => row.put(connection),
        Row::Station(row) => row.put(connection),
        Row::Token(row) => row.put(connection),
        Row::Unit(row) => row.put(connection),
        Row::Device(row) => row.put(connection),
        Row::Key(row) => row.put(connection),
        Row::Issue(row) => row.put(connection),
        Row::Step(row) => row.put(connection),
        Row::Stop(row) => row.put(connection),
    };
    let Err(error) = error else { return Ok(()) };
    if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
        return Err(Stop::View(error));
    }
    match row {
        Row::Issue(_) => Err(Stop::Refused(Refused::FingerprintUsed)),
        Row::Key(row) => match SqlView(connection).key(&row.public_key_sha256)? {
            Some(device_id) => Err(Stop::Refused(Refused::KeyInUse { device_id })),
            None => Err(Stop::View(error)),
        },
        Row::Unit(row) => {
            let filter = "WHERE device_id = ?1 AND serial <> ?2 \
                AND state IN ('issued', 'loaded', 'sealed', 'rework')";
            let params = [row.device_id.as_str(), row.serial.as_str()];
            match UnitRow::find(connection, filter, params)? {
                Some(UnitRow {
                    device_id, serial, ..
                }) => Err(Stop::Refused(Refused::DeviceInUse { device_id, serial })),
                None => Err(Stop::View(error)),
            }
        }
        _ => Err(Stop::View(error)),
    }
}
