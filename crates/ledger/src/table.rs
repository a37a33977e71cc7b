//! Derived rows to and from SQL: one implementation of [`Table`] per table.
//!
//! Reading parses every cell: a cell that was altered into something impossible is an error with
//! its column, never a panic and never a guess.

use std::str::FromStr;

use rusqlite::types::{FromSql, Type, Value};
use rusqlite::{Connection, OptionalExtension, Params, params_from_iter};
use traveler::{
    Attempt, DeviceId, Digest, Fingerprint, KeyId, OrderId, Serial, Sku, State, StationName,
    Timestamp,
};

use crate::rows::{
    DeviceRow, IssueRow, KeyRow, LogRow, OrderRow, ProductRow, StationRow, StationState, StepRow,
    TokenRow, UnitRow,
};

/// A row type and its table.
pub(crate) trait Table: Sized + PartialEq {
    /// The table's name.
    const NAME: &'static str;
    /// Reads all columns, in the order of `cells` and `read`; a filter can follow.
    const SELECT: &'static str;
    /// Writes one row. Rows that never change are plain inserts, so that a second one of the
    /// same key is an error and not an update. Never REPLACE: it would delete what it hits.
    const PUT: &'static str;

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<Self>;
    fn cells(&self) -> Vec<Value>;

    /// Writes the row.
    fn put(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(Self::PUT)?;
        statement.execute(params_from_iter(self.cells())).map(drop)
    }

    /// The first row under `filter`.
    fn find(
        connection: &Connection,
        filter: &str,
        params: impl Params,
    ) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(&format!("{} {filter}", Self::SELECT))?;
        statement
            .query_row(params, |row| Self::read(&mut Cells { row, next: 0 }))
            .optional()
    }

    /// Every row under `filter`.
    fn list(
        connection: &Connection,
        filter: &str,
        params: impl Params,
    ) -> rusqlite::Result<Vec<Self>> {
        let mut statement = connection.prepare_cached(&format!("{} {filter}", Self::SELECT))?;
        let rows = statement.query_map(params, |row| Self::read(&mut Cells { row, next: 0 }))?;
        rows.collect()
    }
}

/// The cells of one row, from left to right.
pub(crate) struct Cells<'a> {
    row: &'a rusqlite::Row<'a>,
    next: usize,
}

impl<'a> Cells<'a> {
    pub(crate) fn new(row: &'a rusqlite::Row<'a>) -> Cells<'a> {
        Cells { row, next: 0 }
    }

    fn cell<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }

    fn text<T>(&mut self) -> rusqlite::Result<T>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let text: String = self.cell()?;
        text.parse().map_err(|error| self.bad(Type::Text, error))
    }

    fn word<T>(&mut self, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
        let word: String = self.cell()?;
        parse(&word).ok_or_else(|| self.bad(Type::Text, std::io::Error::other("unknown word")))
    }

    fn bytes<const N: usize>(&mut self) -> rusqlite::Result<[u8; N]> {
        self.cell()
    }

    fn number<T>(&mut self) -> rusqlite::Result<T>
    where
        T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>,
    {
        let number: i64 = self.cell()?;
        T::try_from(number).map_err(|error| self.bad(Type::Integer, error))
    }

    fn time(&mut self) -> rusqlite::Result<Timestamp> {
        Ok(Timestamp::from_unix_ms(self.cell()?))
    }

    /// The error for the cell that was read last.
    fn bad(
        &self,
        kind: Type,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> rusqlite::Error {
        rusqlite::Error::FromSqlConversionFailure(self.next - 1, kind, Box::new(error))
    }
}

/// A sequence number as SQLite keeps it. Numbers that do not fit cannot be reached by counting.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn blob(bytes: &[u8]) -> Value {
    Value::Blob(bytes.to_vec())
}

fn number(number: impl Into<i64>) -> Value {
    Value::Integer(number.into())
}

impl Table for LogRow {
    const NAME: &'static str = "log";
    const SELECT: &'static str = "SELECT origin, vkey, fingerprint_key, device_root_sha256, \
        site_root_sha256 FROM log";
    const PUT: &'static str = "INSERT INTO log (seq, origin, vkey, fingerprint_key, \
        device_root_sha256, site_root_sha256) VALUES (0, ?1, ?2, ?3, ?4, ?5)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<LogRow> {
        Ok(LogRow {
            origin: cells.cell()?,
            vkey: cells.cell()?,
            fingerprint_key: KeyId(cells.bytes()?),
            device_root_sha256: Digest(cells.bytes()?),
            site_root_sha256: Digest(cells.bytes()?),
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            text(&self.origin),
            text(&self.vkey),
            blob(&self.fingerprint_key.0),
            blob(&self.device_root_sha256.0),
            blob(&self.site_root_sha256.0),
        ]
    }
}

impl Table for ProductRow {
    const NAME: &'static str = "products";
    const SELECT: &'static str = "SELECT seq, product, product_sha256, definition FROM products";
    const PUT: &'static str = "INSERT INTO products (seq, product, product_sha256, definition) \
        VALUES (?1, ?2, ?3, ?4)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<ProductRow> {
        Ok(ProductRow {
            seq: cells.number()?,
            product: cells.text::<Sku>()?,
            product_sha256: Digest(cells.bytes()?),
            definition: cells.cell()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            number(int(self.seq)),
            text(self.product.as_str()),
            blob(&self.product_sha256.0),
            text(&self.definition),
        ]
    }
}

impl Table for OrderRow {
    const NAME: &'static str = "orders";
    const SELECT: &'static str = "SELECT order_id, product, product_sha256, quantity, allowance, \
        closed, sealed, scrapped, open, not_started, voided, reworked, seq FROM orders";
    const PUT: &'static str = "INSERT INTO orders (order_id, product, product_sha256, quantity, \
        allowance, closed, sealed, scrapped, open, not_started, voided, reworked, seq) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
        ON CONFLICT (order_id) DO UPDATE SET closed = ?6, sealed = ?7, scrapped = ?8, open = ?9, \
        not_started = ?10, voided = ?11, reworked = ?12, seq = ?13";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<OrderRow> {
        Ok(OrderRow {
            order: cells.text::<OrderId>()?,
            product: cells.text::<Sku>()?,
            product_sha256: Digest(cells.bytes()?),
            quantity: cells.number()?,
            allowance: cells.number()?,
            closed: cells.cell()?,
            sealed: cells.number()?,
            scrapped: cells.number()?,
            open: cells.number()?,
            not_started: cells.number()?,
            voided: cells.number()?,
            reworked: cells.number()?,
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            text(self.order.as_str()),
            text(self.product.as_str()),
            blob(&self.product_sha256.0),
            number(self.quantity),
            number(self.allowance),
            number(self.closed),
            number(self.sealed),
            number(self.scrapped),
            number(self.open),
            number(self.not_started),
            number(self.voided),
            number(self.reworked),
            number(int(self.seq)),
        ]
    }
}

impl Table for StationRow {
    const NAME: &'static str = "stations";
    const SELECT: &'static str = "SELECT station, state, certificate_sha256, token_sha256, seq \
        FROM stations";
    const PUT: &'static str = "INSERT INTO stations (station, state, certificate_sha256, \
        token_sha256, seq) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (station) DO UPDATE SET \
        state = ?2, certificate_sha256 = ?3, token_sha256 = ?4, seq = ?5";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<StationRow> {
        Ok(StationRow {
            station: cells.text::<StationName>()?,
            state: cells.word(StationState::parse)?,
            certificate_sha256: cells.cell::<Option<[u8; 32]>>()?.map(Digest),
            token_sha256: Digest(cells.bytes()?),
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            text(self.station.as_str()),
            text(self.state.as_str()),
            self.certificate_sha256
                .map_or(Value::Null, |digest| blob(&digest.0)),
            blob(&self.token_sha256.0),
            number(int(self.seq)),
        ]
    }
}

impl Table for TokenRow {
    const NAME: &'static str = "tokens";
    const SELECT: &'static str = "SELECT token_sha256, station, expires_ms, used, seq FROM tokens";
    const PUT: &'static str = "INSERT INTO tokens (token_sha256, station, expires_ms, used, seq) \
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (token_sha256) DO UPDATE SET used = ?4, seq = ?5";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<TokenRow> {
        Ok(TokenRow {
            token_sha256: Digest(cells.bytes()?),
            station: cells.text::<StationName>()?,
            expires: cells.time()?,
            used: cells.cell()?,
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            blob(&self.token_sha256.0),
            text(self.station.as_str()),
            number(self.expires.unix_ms()),
            number(self.used),
            number(int(self.seq)),
        ]
    }
}

impl Table for UnitRow {
    const NAME: &'static str = "units";
    const SELECT: &'static str = "SELECT serial, device_id, order_id, station, attempt, state, \
        issued_seq, last_seq, bundle_sha256, certificate_sha256, public_key_sha256, since_ms \
        FROM units";
    const PUT: &'static str = "INSERT INTO units (serial, device_id, order_id, station, attempt, \
        state, issued_seq, last_seq, bundle_sha256, certificate_sha256, public_key_sha256, \
        since_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
        ON CONFLICT (serial) DO UPDATE SET device_id = ?2, order_id = ?3, station = ?4, \
        attempt = ?5, state = ?6, issued_seq = ?7, last_seq = ?8, bundle_sha256 = ?9, \
        certificate_sha256 = ?10, public_key_sha256 = ?11, since_ms = ?12";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<UnitRow> {
        Ok(UnitRow {
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
}

impl Table for DeviceRow {
    const NAME: &'static str = "devices";
    const SELECT: &'static str = "SELECT device_id, serial, released, seq FROM devices";
    const PUT: &'static str = "INSERT INTO devices (device_id, serial, released, seq) \
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT (device_id) DO UPDATE SET serial = ?2, \
        released = ?3, seq = ?4";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<DeviceRow> {
        Ok(DeviceRow {
            device_id: cells.text::<DeviceId>()?,
            serial: cells.text::<Serial>()?,
            released: cells.cell()?,
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            text(self.device_id.as_str()),
            text(self.serial.as_str()),
            number(self.released),
            number(int(self.seq)),
        ]
    }
}

impl Table for KeyRow {
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
}

impl Table for IssueRow {
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
}

impl Table for StepRow {
    const NAME: &'static str = "steps";
    const SELECT: &'static str = "SELECT serial, seq, state FROM steps";
    const PUT: &'static str = "INSERT INTO steps (serial, seq, state) VALUES (?1, ?2, ?3)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<StepRow> {
        Ok(StepRow {
            serial: cells.text::<Serial>()?,
            seq: cells.number()?,
            state: cells.word(State::parse)?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        let (serial, state) = (text(self.serial.as_str()), text(self.state.as_str()));
        vec![serial, number(int(self.seq)), state]
    }
}
