//! What is looked up by name rather than by number, and the hash it is filed under.

use ring::digest::{Context, SHA256};
use rusqlite::types::Value;
use traveler::{DeviceId, Digest, Fingerprint, Serial};

use super::run::Record;
use crate::rows::{DeviceRow, IssueRow, KeyRow, Row, UnitRow};
use crate::table::{Table, blob, text};

/// Bits of a record's value that hold the number of the row; the kind is above them.
const ROW_BITS: u32 = 62;

/// A table whose rows are found by a key that has no order in time.
pub(crate) trait Keyed: Table {
    /// Tells the tables apart, 0 to 3.
    const KIND: u64;
    /// The column with the key.
    const COLUMN: &'static str;
    /// The column with the entry that made the row first, by which the table is kept.
    const ROW: &'static str;

    /// The key as it is hashed.
    fn bytes(key: &Self::Key) -> &[u8];
    /// The key as it is in its column.
    fn cell(key: &Self::Key) -> Value;
}

impl Keyed for UnitRow {
    const KIND: u64 = 0;
    const COLUMN: &'static str = "serial";
    const ROW: &'static str = "first_seq";

    fn bytes(key: &Serial) -> &[u8] {
        key.as_str().as_bytes()
    }

    fn cell(key: &Serial) -> Value {
        text(key.as_str())
    }
}

impl Keyed for DeviceRow {
    const KIND: u64 = 1;
    const COLUMN: &'static str = "device_id";
    const ROW: &'static str = "first_seq";

    fn bytes(key: &DeviceId) -> &[u8] {
        key.as_str().as_bytes()
    }

    fn cell(key: &DeviceId) -> Value {
        text(key.as_str())
    }
}

impl Keyed for KeyRow {
    const KIND: u64 = 2;
    const COLUMN: &'static str = "public_key_sha256";
    const ROW: &'static str = "seq";

    fn bytes(key: &Digest) -> &[u8] {
        &key.0
    }

    fn cell(key: &Digest) -> Value {
        blob(&key.0)
    }
}

impl Keyed for IssueRow {
    const KIND: u64 = 3;
    const COLUMN: &'static str = "fingerprint";
    const ROW: &'static str = "seq";

    fn bytes(key: &Fingerprint) -> &[u8] {
        &key.0
    }

    fn cell(key: &Fingerprint) -> Value {
        blob(&key.0)
    }
}

/// The hash a key is filed under. Keys with one hash are told apart by their rows.
pub(crate) fn hash<T: Keyed>(key: &[u8]) -> u64 {
    let mut sum = Context::new(&SHA256);
    sum.update(&[T::KIND as u8]);
    sum.update(key);
    let mut first = [0; 8];
    first.copy_from_slice(&sum.finish().as_ref()[..8]);
    u64::from_be_bytes(first)
}

/// The record of the key whose row entry `row` made.
pub(super) fn record<T: Keyed>(key: &[u8], row: u64) -> Record {
    (hash::<T>(key), T::KIND << ROW_BITS | row)
}

/// The number of the row a record's value speaks of, when it is one of table `T`.
pub(crate) fn row_of<T: Keyed>(value: u64) -> Option<u64> {
    (value >> ROW_BITS == T::KIND).then_some(value & !(3 << ROW_BITS))
}

/// The record that a row adds when entry `by` is the first to make it; none for a row that is only
/// changed, or of a table that is not keyed.
pub(crate) fn added(row: &Row, by: u64) -> Option<Record> {
    fn of<T: Keyed>(row: &T, by: u64) -> Record {
        record::<T>(T::bytes(&row.key()), by)
    }
    match row {
        Row::Unit(row) if row.first_seq == by => Some(of(row, by)),
        Row::Device(row) if row.first_seq == by => Some(of(row, by)),
        Row::Key(row) => Some(of(row, by)),
        Row::Issue(row) => Some(of(row, by)),
        _ => None,
    }
}
