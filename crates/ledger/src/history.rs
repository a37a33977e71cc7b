//! A long history in little time, for measuring what the log costs behind one. Nothing else.
//!
//! It writes what the rules would have let through, without asking them: a store it made verifies
//! when the units it was given are new, and is found out by the audit when they are not.

use std::sync::mpsc::sync_channel;

use tlog::{CheckpointSigner, Hash};
use traveler::{Entry, Event, Fingerprint, Issued, LabelProof, OrderId, State, Timestamp};

use crate::end::End;
use crate::index::added;
use crate::rows::{DeviceRow, IssueRow, KeyRow, OrderRow, Row, StepRow, UnitRow};
use crate::rules::View;
use crate::sql::SqlView;
use crate::table::Table;
use crate::{Error, Ledger, sql};

/// Units made at a time, by one thread for the other.
const CHUNK: usize = 8_192;
/// Entries of one unit: issued, loaded, sealed.
const STEPS: u64 = 3;

/// One unit's entries, ready to be written.
struct Life {
    issued: Issued,
    entries: [(Vec<u8>, Hash); STEPS as usize],
}

impl Ledger {
    /// Adds units that were issued, loaded and sealed at `time`, three entries each, all of `order`,
    /// whose quantity they must fit. Not durable until it returns: for measuring only.
    ///
    /// # Errors
    /// What the database says, and the key.
    pub fn measure_history(
        &mut self,
        order: &OrderId,
        time: Timestamp,
        units: impl Iterator<Item = Issued> + Send,
        signer: &dyn CheckpointSigner,
    ) -> Result<(), Error> {
        self.connection.pragma_update(None, "synchronous", "OFF")?;
        let mut seq = self.end.tip.size();
        let mut made = 0;
        let mut units = units.peekable();
        let (chunks, ready) = sync_channel::<Vec<Life>>(4);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while units.peek().is_some() {
                    let lives = units.by_ref().take(CHUNK).map(|issued| {
                        seq += STEPS;
                        life(issued, time, seq - STEPS)
                    });
                    if chunks.send(lives.collect()).is_err() {
                        return;
                    }
                }
            });
            for chunk in ready {
                made += chunk.len();
                self.write_lives(&chunk, time)?;
            }
            Ok::<(), Error>(())
        })?;
        let last = self.end.tip.size() - 1;
        let row = OrderRow::find(&self.connection, "WHERE order_id = ?1", [order.as_str()])?;
        if let Some(mut row) = row {
            let made = u32::try_from(made).unwrap_or(u32::MAX);
            row.sealed += made;
            row.not_started -= made;
            row.seq = last;
            row.put(&self.connection)?;
        }
        self.near.clear();
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.sign_pending(signer)?;
        self.fold()
    }

    /// Looks for a fingerprint as an issue does, and says nothing of what it found: for measuring.
    ///
    /// # Errors
    /// What the index and the database say.
    pub fn measure_check(&self, fingerprint: &Fingerprint) -> Result<(), Error> {
        let view = SqlView {
            connection: &self.connection,
            keys: &self.index,
            near: None,
        };
        view.fingerprint(fingerprint).map(drop)
    }

    fn write_lives(&mut self, lives: &[Life], time: Timestamp) -> Result<(), Error> {
        let transaction = self.connection.unchecked_transaction()?;
        let mut tip = self.end.tip.clone();
        for life in lives {
            let first = tip.size();
            for row in rows(&life.issued, first, time) {
                self.index.add(added(&row, first));
                sql::put(&transaction, &row)?;
            }
            for (bytes, leaf) in &life.entries {
                sql::insert_entry(&transaction, &mut tip, bytes, *leaf)?;
            }
        }
        transaction.commit()?;
        self.end = End::at(tip, self.end.version);
        self.index.keep();
        let (size, root) = (self.end.tip.size(), self.end.root);
        self.index.maintain(size, root, false)?;
        if size - self.folded_at >= 10 * CHUNK as u64 * STEPS {
            self.fold()?;
        }
        Ok(())
    }
}

fn life(issued: Issued, time: Timestamp, first: u64) -> Life {
    let step = || issued.step.clone();
    let events = [
        Event::Issued(Box::new(issued.clone())),
        Event::Loaded {
            step: step(),
            bundle_sha256: issued.bundle_sha256,
            receipt_signed: true,
            profile_sha256: None,
        },
        Event::Sealed {
            step: step(),
            label: LabelProof::Scanned,
            reprint: 0,
        },
    ];
    let mut seq = first;
    let entries = events.map(|event| {
        let entry = Entry {
            seq,
            time,
            simulated_hsm: true,
            event,
        };
        seq += 1;
        let bytes = entry.to_bytes();
        let leaf = tlog::leaf_hash(&bytes);
        (bytes, leaf)
    });
    Life { issued, entries }
}

/// The derived rows of one unit whose life began with entry `first`.
fn rows(issued: &Issued, first: u64, time: Timestamp) -> Vec<Row> {
    let step = &issued.step;
    let mut rows = vec![
        Row::Unit(UnitRow {
            serial: step.serial.clone(),
            device_id: step.device_id.clone(),
            order: step.order.clone(),
            station: step.station.clone(),
            attempt: step.attempt,
            state: State::Sealed,
            first_seq: first,
            issued_seq: first,
            last_seq: first + 2,
            bundle_sha256: issued.bundle_sha256,
            certificate_sha256: issued.certificate_sha256,
            public_key_sha256: issued.public_key_sha256,
            since: time,
        }),
        Row::Device(DeviceRow {
            device_id: step.device_id.clone(),
            first_seq: first,
            serial: step.serial.clone(),
            released: false,
            seq: first,
        }),
        Row::Key(KeyRow {
            public_key_sha256: issued.public_key_sha256,
            device_id: step.device_id.clone(),
            seq: first,
        }),
        Row::Issue(IssueRow {
            fingerprint: issued.fingerprint,
            serial: step.serial.clone(),
            attempt: step.attempt,
            seq: first,
        }),
    ];
    let states = [State::Issued, State::Loaded, State::Sealed];
    rows.extend((first..).zip(states).map(|(seq, state)| {
        Row::Step(StepRow {
            serial: step.serial.clone(),
            seq,
            state,
            before: (seq > first).then(|| seq - 1),
        })
    }));
    rows
}
