//! The log in SQL: the rules' view of it, and the writes of one accepted entry.

mod hashes;

use rusqlite::{Connection, OptionalExtension};
use tlog::Hash;
use traveler::{
    Change, DeviceId, Digest, Entry, Fingerprint, KeyId, OrderId, Serial, Sku, StationName,
};

use crate::index::{self, Index, Keyed, Keys};
use crate::near::Near;
use crate::rows::{
    BlockRow, DeviceRow, IssueRow, KeyRow, LeaseCountRow, LeaseRow, LogRow, OrderRow, RecoveryRow,
    ReprintRow, Row, SignerName, SigningKeyRow, StationRow, StopRow, TokenRow, UnitRow,
};
use crate::rules::{Stop, View, admit, admit_change};
use crate::table::{Table, int};
use crate::tip::Tip;
use crate::{Error, Refused};

pub(crate) use hashes::{hash_error, newest_checkpoint, root, root_of, size, stored_hash};

/// The rules' view, as the running transaction sees it.
pub(crate) struct SqlView<'a> {
    pub(crate) connection: &'a Connection,
    /// Where rows are that are not found by number.
    pub(crate) keys: &'a dyn Keys,
    /// What the writer keeps near.
    pub(crate) near: Option<&'a Near>,
}

impl View for SqlView<'_> {
    type Error = Error;

    fn fingerprint_key(&self) -> Result<Option<KeyId>, Error> {
        if let Some(key) = self.near.and_then(|near| near.fingerprint_key.get()) {
            return Ok(Some(key));
        }
        let key = LogRow::find(self.connection, "", [])?.map(|row| row.fingerprint_key);
        if let Some(near) = self.near {
            near.fingerprint_key.set(key);
        }
        Ok(key)
    }

    fn product(&self, product: &Sku) -> Result<Option<Digest>, Error> {
        let sql = "SELECT product_sha256 FROM products WHERE product = ?1 \
            ORDER BY seq DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let digest = statement
            .query_row([product.as_str()], |row| row.get(0))
            .optional()?;
        Ok(digest.map(Digest))
    }

    fn order(&self, order: &OrderId) -> Result<Option<OrderRow>, Error> {
        let filter = "WHERE order_id = ?1";
        let find = || Ok(OrderRow::find(self.connection, filter, [order.as_str()])?);
        self.near.map_or_else(find, |near| near.order(order, find))
    }

    fn station(&self, station: &StationName) -> Result<Option<StationRow>, Error> {
        let filter = "WHERE station = ?1";
        let find = || {
            let row = StationRow::find(self.connection, filter, [station.as_str()]);
            Ok(row?)
        };
        self.near
            .map_or_else(find, |near| near.stations.get(station, find))
    }

    fn token(&self, token_sha256: &Digest) -> Result<Option<TokenRow>, Error> {
        let filter = "WHERE token_sha256 = ?1";
        Ok(TokenRow::find(self.connection, filter, [token_sha256.0])?)
    }

    fn unit(&self, serial: &Serial) -> Result<Option<UnitRow>, Error> {
        let find = || self.keyed(serial);
        self.near
            .map_or_else(find, |near| near.units.get(serial, find))
    }

    fn device(&self, device_id: &DeviceId) -> Result<Option<DeviceRow>, Error> {
        self.keyed(device_id)
    }

    fn key(&self, public_key_sha256: &Digest) -> Result<Option<DeviceId>, Error> {
        let row: Option<KeyRow> = self.keyed(public_key_sha256)?;
        Ok(row.map(|row| row.device_id))
    }

    fn fingerprint(&self, fingerprint: &Fingerprint) -> Result<bool, Error> {
        Ok(self.keyed::<IssueRow>(fingerprint)?.is_some())
    }

    fn stop(&self) -> Result<Option<StopRow>, Error> {
        if let Some(known) = self.near.and_then(|near| near.stop.borrow().clone()) {
            return Ok(known);
        }
        let filter = "WHERE resumed_seq IS NULL";
        let found = StopRow::find(self.connection, filter, [])?;
        if let Some(near) = self.near {
            *near.stop.borrow_mut() = Some(found.clone());
        }
        Ok(found)
    }

    fn signing_key(&self, key: SignerName) -> Result<Option<SigningKeyRow>, Error> {
        let filter = "WHERE key = ?1 ORDER BY seq DESC LIMIT 1";
        Ok(SigningKeyRow::find(
            self.connection,
            filter,
            [key.as_str()],
        )?)
    }

    fn vkeys(&self) -> Result<Vec<String>, Error> {
        let filter = "WHERE key = ?1 ORDER BY seq";
        let rows = SigningKeyRow::list(self.connection, filter, [SignerName::Log.as_str()])?;
        Ok(rows.into_iter().map(|row| row.public).collect())
    }

    fn recovery(&self) -> Result<Option<RecoveryRow>, Error> {
        let newest = "ORDER BY seq DESC LIMIT 1";
        Ok(RecoveryRow::find(self.connection, newest, [])?)
    }

    fn blocked(
        &self,
        serial: &Serial,
        device_id: Option<&DeviceId>,
    ) -> Result<Option<BlockRow>, Error> {
        let filter = "WHERE serial = ?1 OR device_id = ?2 ORDER BY seq LIMIT 1";
        let params = (serial.as_str(), device_id.map(DeviceId::as_str));
        Ok(BlockRow::find(self.connection, filter, params)?)
    }

    fn reprint(&self, serial: &Serial) -> Result<Option<ReprintRow>, Error> {
        let filter = "WHERE serial = ?1 ORDER BY seq DESC LIMIT 1";
        Ok(ReprintRow::find(
            self.connection,
            filter,
            [serial.as_str()],
        )?)
    }

    fn lease(&self, serial: &Serial) -> Result<Option<LeaseRow>, Error> {
        if !self.has_leases()? {
            return Ok(None);
        }
        let filter = "WHERE serial = ?1 ORDER BY seq DESC LIMIT 1";
        let params = [serial.as_str()];
        Ok(LeaseRow::find(self.connection, filter, params)?)
    }

    fn leased_key(&self, public_key_sha256: &Digest) -> Result<Option<Serial>, Error> {
        if !self.has_leases()? {
            return Ok(None);
        }
        let filter = "WHERE public_key_sha256 = ?1";
        let row = LeaseRow::find(self.connection, filter, [public_key_sha256.0])?;
        Ok(row.map(|row| row.serial))
    }

    fn held(&self, station: &StationName) -> Result<u32, Error> {
        let sql = "SELECT count(*) FROM leases WHERE station = ?1 AND voided IS NULL \
            AND spent_seq IS NULL";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([station.as_str()], |row| row.get(0))?)
    }

    fn lapsed(&self, order: &OrderId, station: &StationName) -> Result<u32, Error> {
        // Word for word what the index is made over, else it is not used.
        let sql = "SELECT count(*) FROM leases WHERE order_id = ?1 AND voided IS NOT NULL \
            AND voided <> 'lease_returned' AND spent_seq IS NULL AND station = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let params = [order.as_str(), station.as_str()];
        Ok(statement.query_row(params, |row| row.get(0))?)
    }

    fn lease_count(&self, order: &OrderId) -> Result<Option<LeaseCountRow>, Error> {
        let filter = "WHERE order_id = ?1";
        let params = [order.as_str()];
        Ok(LeaseCountRow::find(self.connection, filter, params)?)
    }
}

impl SqlView<'_> {
    /// Whether there is any lease. A site that never had one does not look for it at every unit.
    fn has_leases(&self) -> Result<bool, Error> {
        if let Some(known) = self.near.and_then(|near| near.leases.get()) {
            return Ok(known);
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM leases)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let any = statement.query_row([], |row| row.get(0))?;
        if let Some(near) = self.near {
            near.leases.set(Some(any));
        }
        Ok(any)
    }

    /// The row with this key, when there is one: a record of the index leads to it, and the row
    /// itself says whether it is the one.
    fn keyed<T: Keyed>(&self, key: &T::Key) -> Result<Option<T>, Error> {
        let hash = index::hash::<T>(T::bytes(key));
        let at = format!("WHERE {} = ?1", T::ROW);
        for value in self.keys.find(self.connection, hash)? {
            let Some(row) = index::row_of::<T>(value) else {
                continue;
            };
            match T::find(self.connection, &at, [int(row)])? {
                Some(found) if found.key() == *key => return Ok(Some(found)),
                Some(_) => {}
                None => {
                    let table = T::NAME;
                    return Err(Error::RowLost { table, row });
                }
            }
        }
        let Some(from) = self.keys.unindexed_from() else {
            return Ok(None);
        };
        let behind = format!("WHERE {} >= ?1 AND {} = ?2", T::ROW, T::COLUMN);
        Ok(T::find(
            self.connection,
            &behind,
            (int(from), T::cell(key)),
        )?)
    }
}

/// Writes one change behind the log's end: all of its events, or none.
pub(crate) fn write_change(
    connection: &Connection,
    index: &mut Index,
    near: &Near,
    tip: &mut Tip,
    change: &Change,
) -> Result<Result<(), Refused>, Error> {
    // A first event is refused before anything of it is written: only those behind it need a place
    // to go back to, which costs a copy of every page that is touched.
    let several = change.events.len() > 1;
    let run = |sql| connection.prepare_cached(sql)?.execute([]);
    if several {
        near.write(connection)?; // what others of the batch changed stays, whatever becomes of this
        run("SAVEPOINT change")?;
    }
    let (before, mark) = (tip.clone(), index.mark());
    let written = write_events(connection, index, near, tip, change);
    if several {
        if written.is_err() {
            run("ROLLBACK TO change")?;
            *tip = before;
            index.take_back(mark);
            near.clear();
        }
        run("RELEASE change")?;
    }
    match written {
        Ok(()) => Ok(Ok(())),
        Err(Stop::Refused(refused)) => Ok(Err(refused)),
        Err(Stop::View(error)) => Err(error),
    }
}

fn write_events(
    connection: &Connection,
    index: &mut Index,
    near: &Near,
    tip: &mut Tip,
    change: &Change,
) -> Result<(), Stop<Error>> {
    let view = SqlView {
        connection,
        keys: index,
        near: Some(near),
    };
    admit_change(&view, &change.events)?;
    for event in &change.events {
        let entry = Entry {
            seq: tip.size(),
            time: change.time,
            simulated_hsm: change.simulated_hsm,
            event: event.clone(),
        };
        let view = SqlView {
            connection,
            keys: index,
            near: Some(near),
        };
        let rows = admit(&view, &entry)?;
        let bytes = entry.to_bytes();
        if bytes.len() > Entry::MAX_BYTES {
            return Err(Stop::Refused(Refused::TooLong { bytes: bytes.len() }));
        }
        for row in &rows {
            if index::added(row, entry.seq).is_some() {
                is_free(&view, row)?;
            }
        }
        // Whatever fails from here on is no refusal, and takes the whole batch back.
        for row in &rows {
            index.add(index::added(row, entry.seq));
            if !near.take(row) {
                put(connection, row)?;
            }
        }
        insert_entry(connection, tip, &bytes, tlog::leaf_hash(&bytes))?;
    }
    Ok(())
}

/// The entry and the hashes it completes.
pub(crate) fn insert_entry(
    connection: &Connection,
    tip: &mut Tip,
    bytes: &[u8],
    leaf: Hash,
) -> Result<(), Error> {
    let seq = tip.size();
    let sql = "INSERT INTO entries (seq, bytes) VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute((int(seq), bytes))?;
    let sql = "INSERT INTO hashes (position, hash) VALUES (?1, ?2)";
    let mut insert = connection.prepare_cached(sql)?;
    for (position, hash) in (tlog::stored_count(seq)..).zip(tip.push(leaf)) {
        insert.execute((int(position), hash))?;
    }
    Ok(())
}

/// The second belt: where a key is written, it is looked for once more, whatever the rules said.
/// It is the same refusal: two belts, one word.
fn is_free(view: &SqlView<'_>, row: &Row) -> Result<(), Stop<Error>> {
    let refused = match row {
        Row::Issue(row) => view
            .fingerprint(&row.fingerprint)?
            .then_some(Refused::FingerprintUsed),
        Row::Key(row) => view
            .key(&row.public_key_sha256)?
            .map(|device_id| Refused::KeyInUse { device_id }),
        Row::Device(row) => view
            .device(&row.device_id)?
            .map(|row| Refused::DeviceInUse {
                device_id: row.device_id,
                serial: row.serial,
            }),
        Row::Unit(row) => view.unit(&row.serial)?.map(|row| Refused::SerialInUse {
            serial: row.serial,
            state: row.state,
            station: row.station,
            order: row.order,
            since: row.since,
        }),
        _ => None,
    };
    refused.map_or(Ok(()), |refused| Err(Stop::Refused(refused)))
}

/// Writes a derived row.
pub(crate) fn put(connection: &Connection, row: &Row) -> Result<(), Error> {
    let written = match row {
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
        Row::SigningKey(row) => row.put(connection),
        Row::Recovery(row) => row.put(connection),
        Row::Block(row) => row.put(connection),
        Row::Reprint(row) => row.put(connection),
        Row::Lease(row) => row.put(connection),
        Row::LeaseCount(row) => row.put(connection),
    };
    Ok(written?)
}
