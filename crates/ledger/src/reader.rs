//! Reading the log beside the writer, on a connection of its own.
//!
//! Readers never block the writer (WAL) and see only what is durable. Deliberately absent: any
//! question by password fingerprint.

mod keys;
mod leases;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use tlog::{Checkpoint, Hash};
use traveler::{DeviceId, Digest, OrderId, Serial, Sku, State, StationName};

use crate::index::{Cold, Keys, Shared};
use crate::rows::{
    DeviceRow, LogRow, OrderRow, ProductRow, ReprintRow, StationRow, StepRow, StopRow, UnitRow,
};
use crate::rules::View;
use crate::sql::{self, SqlView, hash_error, newest_checkpoint, root_of, stored_hash};
use crate::table::{Table, int};
use crate::{Error, schema};

/// A read connection. Each thread wants its own.
pub struct Reader {
    connection: Connection,
    keys: Box<dyn Keys + Send>,
}

/// That an entry is in the log, checkable by anyone with the log's verifier key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// The entry, byte for byte.
    pub entry: Vec<u8>,
    /// Its leaf index.
    pub index: u64,
    /// The signed checkpoint the proof leads to.
    pub checkpoint: String,
    /// RFC 6962 inclusion proof, from the leaf up.
    pub inclusion: Vec<Hash>,
}

/// That the log still begins with what somebody remembers of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consistency {
    /// The newest signed checkpoint, whose root the proof leads to.
    pub checkpoint: String,
    /// Entries it covers.
    pub size: u64,
    /// RFC 6962 consistency proof from the older size; empty when that is not below `size`.
    pub proof: Vec<Hash>,
}

impl Reader {
    /// Opens the log at `path` for reading; a writer may be at work.
    ///
    /// # Errors
    /// [`Error::NotALog`], [`Error::Newer`], or what the database says.
    pub fn open(path: &Path) -> Result<Reader, Error> {
        if !path.is_file() {
            let why = "there is no such file".to_owned();
            return Err(Error::NotALog {
                path: path.to_owned(),
                why,
            });
        }
        let keys = Box::new(Cold::beside(path));
        Reader::asking(path, keys)
    }

    /// The same in the process that writes, whose index is in memory.
    pub(crate) fn beside_writer(path: &Path, keys: Arc<Shared>) -> Result<Reader, Error> {
        Reader::asking(path, Box::new(keys))
    }

    fn asking(path: &Path, keys: Box<dyn Keys + Send>) -> Result<Reader, Error> {
        let connection = schema::reader(path)?;
        schema::check_version(&connection, path)?;
        Ok(Reader { connection, keys })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn view(&self) -> SqlView<'_> {
        SqlView {
            connection: &self.connection,
            keys: self.keys.as_ref(),
            near: None,
        }
    }

    /// Which log this is.
    ///
    /// # Errors
    /// What the database says; so for every method here.
    pub fn log(&self) -> Result<Option<LogRow>, Error> {
        Ok(LogRow::find(&self.connection, "", [])?)
    }

    /// Entries in the log.
    ///
    /// # Errors
    /// What the database says.
    pub fn size(&self) -> Result<u64, Error> {
        Ok(sql::size(&self.connection)?)
    }

    /// One order.
    ///
    /// # Errors
    /// What the database says.
    pub fn order(&self, order: &OrderId) -> Result<Option<OrderRow>, Error> {
        self.view().order(order)
    }

    /// Every order, by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn orders(&self) -> Result<Vec<OrderRow>, Error> {
        Ok(OrderRow::list(&self.connection, "ORDER BY order_id", [])?)
    }

    /// One unit.
    ///
    /// # Errors
    /// What the database says.
    pub fn unit(&self, serial: &Serial) -> Result<Option<UnitRow>, Error> {
        self.view().unit(serial)
    }

    /// The unit that a piece of silicon is; none when its newest attempt was voided.
    ///
    /// # Errors
    /// What the database says.
    pub fn unit_by_device(&self, device_id: &DeviceId) -> Result<Option<UnitRow>, Error> {
        match self.view().device(device_id)? {
            Some(DeviceRow {
                serial,
                released: false,
                ..
            }) => self.unit(&serial),
            _ => Ok(None),
        }
    }

    /// The attempts that a station has under way, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn open_units(&self, station: &StationName) -> Result<Vec<UnitRow>, Error> {
        let filter = "WHERE station = ?1 AND state IN ('issued', 'loaded') ORDER BY issued_seq";
        Ok(UnitRow::list(&self.connection, filter, [station.as_str()])?)
    }

    /// Every entry about a unit, byte for byte, in order; leases of its serial among them.
    ///
    /// # Errors
    /// What the database says.
    pub fn traveler(&self, serial: &Serial) -> Result<Vec<Vec<u8>>, Error> {
        let mut seqs = self.lease_seqs(serial)?;
        seqs.extend(self.steps(serial)?.iter().map(|step| step.seq));
        seqs.sort_unstable();
        let mut entries = Vec::new();
        for seq in seqs {
            entries.extend(self.entry(seq)?);
        }
        Ok(entries)
    }

    /// A unit's steps, the newest first.
    fn steps(&self, serial: &Serial) -> Result<Vec<StepRow>, Error> {
        let mut steps: Vec<StepRow> = Vec::new();
        let mut next = self.unit(serial)?.map(|unit| unit.last_seq);
        while let Some(seq) = next {
            let step = StepRow::find(&self.connection, "WHERE seq = ?1", [int(seq)])?;
            // Each step is before the one that names it: a row that was altered makes no circle.
            let step = step.filter(|step| {
                step.serial == *serial && step.before.is_none_or(|before| before < seq)
            });
            let step = step.ok_or(Error::RowLost {
                table: StepRow::NAME,
                row: seq,
            })?;
            next = step.before;
            steps.push(step);
        }
        Ok(steps)
    }

    /// The newest entry that brought a unit to `state`: the answer to a repeated call. Those behind
    /// it that left it there, as a reprint does, are not it.
    ///
    /// # Errors
    /// What the database says.
    pub fn last_step_seq(&self, serial: &Serial, state: State) -> Result<Option<u64>, Error> {
        let steps = self.steps(serial)?;
        let newest = steps.iter().skip_while(|step| step.state != state);
        let brought = newest.take_while(|step| step.state == state).last();
        Ok(brought.map(|step| step.seq))
    }

    /// The newest reprint of a serial's label, whichever attempt's.
    ///
    /// # Errors
    /// What the database says.
    pub fn reprint(&self, serial: &Serial) -> Result<Option<ReprintRow>, Error> {
        if schema::version(&self.connection)? < schema::REPRINTED {
            return Ok(None);
        }
        self.view().reprint(serial)
    }

    /// One station.
    ///
    /// # Errors
    /// What the database says.
    pub fn station(&self, station: &StationName) -> Result<Option<StationRow>, Error> {
        self.view().station(station)
    }

    /// Every station, by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn stations(&self) -> Result<Vec<StationRow>, Error> {
        Ok(StationRow::list(&self.connection, "ORDER BY station", [])?)
    }

    /// The station a token was given out for, whether or not it still works.
    ///
    /// # Errors
    /// What the database says.
    pub fn station_by_token(&self, token_sha256: &Digest) -> Result<Option<StationName>, Error> {
        Ok(self.view().token(token_sha256)?.map(|row| row.station))
    }

    /// Why nothing is issued, while the line is stopped.
    ///
    /// # Errors
    /// What the database says.
    pub fn stop(&self) -> Result<Option<StopRow>, Error> {
        self.view().stop()
    }

    /// The newest definition of a product.
    ///
    /// # Errors
    /// What the database says.
    pub fn product(&self, product: &Sku) -> Result<Option<ProductRow>, Error> {
        let filter = "WHERE product = ?1 ORDER BY seq DESC LIMIT 1";
        Ok(ProductRow::find(
            &self.connection,
            filter,
            [product.as_str()],
        )?)
    }

    /// A definition by its digest: that of an order may be older than the newest.
    ///
    /// # Errors
    /// What the database says.
    pub fn definition(&self, product_sha256: &Digest) -> Result<Option<ProductRow>, Error> {
        let filter = "WHERE product_sha256 = ?1 ORDER BY seq LIMIT 1";
        Ok(ProductRow::find(
            &self.connection,
            filter,
            [product_sha256.0],
        )?)
    }

    /// The newest definition of every product, by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn products(&self) -> Result<Vec<ProductRow>, Error> {
        let filter = "WHERE seq IN (SELECT max(seq) FROM products GROUP BY product) \
            ORDER BY product";
        Ok(ProductRow::list(&self.connection, filter, [])?)
    }

    /// One entry, byte for byte.
    ///
    /// # Errors
    /// What the database says.
    pub fn entry(&self, seq: u64) -> Result<Option<Vec<u8>>, Error> {
        let sql = "SELECT bytes FROM entries WHERE seq = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement
            .query_row([int(seq)], |row| row.get(0))
            .optional()?)
    }

    /// Hands out the entries from entry `from` on, in order and byte for byte, as they were when
    /// it was called.
    ///
    /// # Errors
    /// What the database says.
    pub fn entries(&self, from: u64, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), Error> {
        let sql = "SELECT seq, bytes FROM entries WHERE seq >= ?1 ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([int(from)])?;
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)?.unsigned_abs();
            let bytes = row.get_ref(1)?.as_blob();
            each(seq, bytes.map_err(rusqlite::Error::from)?);
        }
        Ok(())
    }

    /// The newest signed checkpoint.
    ///
    /// # Errors
    /// What the database says.
    pub fn checkpoint(&self) -> Result<Option<String>, Error> {
        Ok(newest_checkpoint(&self.connection)?.map(|(_, note)| note))
    }

    /// Signed checkpoints there are: one for each batch that was made durable.
    ///
    /// # Errors
    /// What the database says.
    pub fn batches(&self) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM checkpoints";
        let count: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// Proof that entry `seq` is in the log; none when no signed checkpoint covers it yet.
    ///
    /// # Errors
    /// What the database says.
    pub fn proof(&self, seq: u64) -> Result<Option<Proof>, Error> {
        // No transaction: hashes below a signed size never change.
        let Some((size, checkpoint)) = newest_checkpoint(&self.connection)? else {
            return Ok(None);
        };
        let Some(entry) = self.entry(seq)?.filter(|_| seq < size) else {
            return Ok(None);
        };
        let mut read = |position| stored_hash(&self.connection, position);
        let inclusion = tlog::inclusion(seq, size, &mut read)?;
        Ok(Some(Proof {
            entry,
            index: seq,
            checkpoint,
            inclusion,
        }))
    }

    /// Proof that the newest signed checkpoint continues the log of `old_size` entries; none
    /// when nothing is signed yet. All of it is of one moment, whatever a writer does meanwhile.
    ///
    /// # Errors
    /// [`Error::Altered`] when hashes are missing, or what the database says.
    pub fn consistency(&self, old_size: u64) -> Result<Option<Consistency>, Error> {
        let snapshot = self.connection.unchecked_transaction()?;
        let Some((size, checkpoint)) = newest_checkpoint(&snapshot)? else {
            return Ok(None);
        };
        let mut read = |position| stored_hash(&snapshot, position);
        let proof = tlog::consistency(old_size, size, &mut read).map_err(hash_error(size))?;
        Ok(Some(Consistency {
            checkpoint,
            size,
            proof,
        }))
    }

    /// Root over the first `size` entries as the stored hashes have it, to compare with that of
    /// a remembered checkpoint; none when the log is shorter.
    ///
    /// # Errors
    /// [`Error::Altered`] when hashes are missing, or what the database says.
    pub fn root_at(&self, size: u64) -> Result<Option<Hash>, Error> {
        let snapshot = self.connection.unchecked_transaction()?;
        if size > sql::size(&snapshot)? {
            return Ok(None);
        }
        root_of(&snapshot, size).map(Some)
    }
}

impl Proof {
    /// Checks the proof with nothing but the log's verifier key.
    ///
    /// # Errors
    /// A sentence saying what does not hold.
    pub fn verify(&self, vkey: &tlog::VerifierKey) -> Result<Checkpoint, String> {
        let checkpoint = tlog::LogKeys::new(vkey.clone()).open(&self.checkpoint)?;
        let leaf = tlog::leaf_hash(&self.entry);
        let Checkpoint { size, root, .. } = &checkpoint;
        tlog::verify_inclusion(&leaf, self.index, *size, root, &self.inclusion)
            .map_err(|error| error.to_string())?;
        Ok(checkpoint)
    }
}
