//! The tables of the units: where each stands, its silicon, keys, fingerprints and steps.

use rusqlite::types::Value;
use traveler::{Attempt, DeviceId, Digest, Fingerprint, OrderId, Serial, State, StationName};

use super::{Cells, Table, blob, int, number, text};
use crate::rows::{DeviceRow, IssueRow, KeyRow, StepRow, UnitRow};

impl Table for UnitRow {
    type Key = Serial;
    const NAME: &'static str = "units";
    const SELECT: &'static str = "SELECT first_seq, serial, device_id, order_id, station, attempt, \
        state, issued_seq, last_seq, bundle_sha256, certificate_sha256, public_key_sha256, \
        since_ms FROM units";
    const PUT: &'static str = "INSERT INTO units (first_seq, serial, device_id, order_id, station, \
        attempt, state, issued_seq, last_seq, bundle_sha256, certificate_sha256, \
        public_key_sha256, since_ms) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
        ON CONFLICT (first_seq) DO UPDATE SET device_id = ?3, order_id = ?4, station = ?5, \
        attempt = ?6, state = ?7, issued_seq = ?8, last_seq = ?9, bundle_sha256 = ?10, \
        certificate_sha256 = ?11, public_key_sha256 = ?12, since_ms = ?13";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<UnitRow> {
        Ok(UnitRow {
            first_seq: cells.number()?,
            serial: cells.text::<Serial>()?,
            device_id: cells.text::<DeviceId>()?,
            order: cells.text::<OrderId>()?,
            station: cells.text::<StationName>()?,
            attempt: Attempt(cells.number()?),
            state: cells.word(State::parse)?,
            issued_seq: cells.number()?,
            last_seq: cells.number()?,
            bundle_sha256: Digest(cells.bytes()?),
            certificate_sha256: Digest(cells.bytes()?),
            public_key_sha256: Digest(cells.bytes()?),
            since: cells.time()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            number(int(self.first_seq)),
            text(self.serial.as_str()),
            text(self.device_id.as_str()),
            text(self.order.as_str()),
            text(self.station.as_str()),
            number(self.attempt.0),
            text(self.state.as_str()),
            number(int(self.issued_seq)),
            number(int(self.last_seq)),
            blob(&self.bundle_sha256.0),
            blob(&self.certificate_sha256.0),
            blob(&self.public_key_sha256.0),
            number(self.since.unix_ms()),
        ]
    }

    fn key(&self) -> Serial {
        self.serial.clone()
    }

    fn seq(&self) -> u64 {
        self.last_seq
    }
}

impl Table for DeviceRow {
    type Key = DeviceId;
    const NAME: &'static str = "device_ids";
    const SELECT: &'static str =
        "SELECT first_seq, device_id, serial, released, seq FROM device_ids";
    const PUT: &'static str = "INSERT INTO device_ids (first_seq, device_id, serial, released, seq) \
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (first_seq) DO UPDATE SET serial = ?3, \
        released = ?4, seq = ?5";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<DeviceRow> {
        Ok(DeviceRow {
            first_seq: cells.number()?,
            device_id: cells.text::<DeviceId>()?,
            serial: cells.text::<Serial>()?,
            released: cells.flag()?,
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            number(int(self.first_seq)),
            text(self.device_id.as_str()),
            text(self.serial.as_str()),
            number(self.released),
            number(int(self.seq)),
        ]
    }

    fn key(&self) -> DeviceId {
        self.device_id.clone()
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

impl Table for KeyRow {
    type Key = Digest;
    const NAME: &'static str = "public_keys";
    const SELECT: &'static str = "SELECT public_key_sha256, device_id, seq FROM public_keys";
    const PUT: &'static str = "INSERT INTO public_keys (public_key_sha256, device_id, seq) \
        VALUES (?1, ?2, ?3)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<KeyRow> {
        Ok(KeyRow {
            public_key_sha256: Digest(cells.bytes()?),
            device_id: cells.text::<DeviceId>()?,
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        let key = blob(&self.public_key_sha256.0);
        vec![key, text(self.device_id.as_str()), number(int(self.seq))]
    }

    fn key(&self) -> Digest {
        self.public_key_sha256
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

impl Table for IssueRow {
    type Key = Fingerprint;
    const NAME: &'static str = "issues";
    const SELECT: &'static str = "SELECT fingerprint, serial, attempt, seq FROM issues";
    const PUT: &'static str = "INSERT INTO issues (fingerprint, serial, attempt, seq) \
        VALUES (?1, ?2, ?3, ?4)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<IssueRow> {
        Ok(IssueRow {
            fingerprint: Fingerprint(cells.bytes()?),
            serial: cells.text::<Serial>()?,
            attempt: Attempt(cells.number()?),
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            blob(&self.fingerprint.0),
            text(self.serial.as_str()),
            number(self.attempt.0),
            number(int(self.seq)),
        ]
    }

    fn key(&self) -> Fingerprint {
        self.fingerprint
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

impl Table for StepRow {
    type Key = u64;
    const NAME: &'static str = "steps";
    const SELECT: &'static str = "SELECT serial, seq, state, before FROM steps";
    const PUT: &'static str =
        "INSERT INTO steps (serial, seq, state, before) VALUES (?1, ?2, ?3, ?4)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<StepRow> {
        Ok(StepRow {
            serial: cells.text::<Serial>()?,
            seq: cells.number()?,
            state: cells.word(State::parse)?,
            before: cells.number_or_none()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        let (serial, state) = (text(self.serial.as_str()), text(self.state.as_str()));
        let before = self.before.map_or(Value::Null, |seq| number(int(seq)));
        vec![serial, number(int(self.seq)), state, before]
    }

    fn key(&self) -> u64 {
        self.seq
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}
