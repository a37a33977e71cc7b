//! The tables of leases, and of how many of each order's there are.

use rusqlite::types::Value;
use traveler::{Attempt, Digest, OrderId, Serial, StationName, VoidCause};

use super::{Cells, Table, blob, int, number, text};
use crate::rows::{LeaseCountRow, LeaseRow};

impl Table for LeaseRow {
    type Key = u64;
    const NAME: &'static str = "leases";
    const SELECT: &'static str = "SELECT seq, serial, attempt, order_id, station, expires_ms, \
        bundle_sha256, certificate_sha256, public_key_sha256, voided, voided_seq, spent_seq \
        FROM leases";
    const PUT: &'static str = "INSERT INTO leases (seq, serial, attempt, order_id, station, \
        expires_ms, bundle_sha256, certificate_sha256, public_key_sha256, voided, voided_seq, \
        spent_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
        ON CONFLICT (seq) DO UPDATE SET voided = ?10, voided_seq = ?11, spent_seq = ?12";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<LeaseRow> {
        Ok(LeaseRow {
            seq: cells.number()?,
            serial: cells.text::<Serial>()?,
            attempt: Attempt(cells.number()?),
            order: cells.text::<OrderId>()?,
            station: cells.text::<StationName>()?,
            expires: cells.time()?,
            bundle_sha256: Digest(cells.bytes()?),
            certificate_sha256: Digest(cells.bytes()?),
            public_key_sha256: Digest(cells.bytes()?),
            voided: cells.word_or_none(VoidCause::parse)?,
            voided_seq: cells.number_or_none()?,
            spent_seq: cells.number_or_none()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        let seq_or_null = |seq: Option<u64>| seq.map_or(Value::Null, |seq| number(int(seq)));
        vec![
            number(int(self.seq)),
            text(self.serial.as_str()),
            number(self.attempt.0),
            text(self.order.as_str()),
            text(self.station.as_str()),
            number(self.expires.unix_ms()),
            blob(&self.bundle_sha256.0),
            blob(&self.certificate_sha256.0),
            blob(&self.public_key_sha256.0),
            self.voided
                .map_or(Value::Null, |cause| text(cause.as_str())),
            seq_or_null(self.voided_seq),
            seq_or_null(self.spent_seq),
        ]
    }

    fn key(&self) -> u64 {
        self.seq
    }

    fn seq(&self) -> u64 {
        let ends = [self.voided_seq, self.spent_seq];
        ends.into_iter().flatten().fold(self.seq, u64::max)
    }
}

impl Table for LeaseCountRow {
    type Key = OrderId;
    const NAME: &'static str = "lease_counts";
    const SELECT: &'static str = "SELECT order_id, leased, returned, seq FROM lease_counts";
    const PUT: &'static str = "INSERT INTO lease_counts (order_id, leased, returned, seq) \
        VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT (order_id) DO UPDATE SET leased = ?2, returned = ?3, seq = ?4";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<LeaseCountRow> {
        Ok(LeaseCountRow {
            order: cells.text::<OrderId>()?,
            leased: cells.number()?,
            returned: cells.number()?,
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            text(self.order.as_str()),
            number(self.leased),
            number(self.returned),
            number(int(self.seq)),
        ]
    }

    fn key(&self) -> OrderId {
        self.order.clone()
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}
