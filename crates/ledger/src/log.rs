//! The log, open for writing: one connection, one process, one transaction per batch.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use tlog::{Checkpoint, CheckpointSigner, VerifierKey};
use traveler::Change;

use crate::files::{Beside, Lock, checkpoint_beside, place_checkpoint, sync_folder};
use crate::rows::LogRow;
use crate::table::Table;
use crate::{Error, Reader, Refused, schema, sql};

/// The log and the right to write it.
pub struct Ledger {
    /// Before the lock, so that it is closed while the lock is still held.
    connection: Connection,
    path: PathBuf,
    vkey: VerifierKey,
    _lock: Lock,
}

/// Where a change's entries are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Appended {
    /// Sequence number of the first.
    pub first: u64,
    /// Sequence number of the last; the same for a change of one event.
    pub last: u64,
}

impl Ledger {
    /// Makes a log at `path` whose entry 0 is `first`, which opens it.
    ///
    /// A crash on the way leaves a file without entries, which this takes up again.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is one, [`Error::FirstEntry`] when `first` opens nothing,
    /// [`Error::OtherKey`] when it names another key than the signer's; and what I/O brings.
    pub fn create(
        path: &Path,
        signer: &dyn CheckpointSigner,
        first: Change,
    ) -> Result<Ledger, Error> {
        let lock = Lock::take(path)?;
        let connection = schema::writer(path, true)?;
        if sql::size(&connection)? > 0 {
            return Err(Error::Exists(path.to_owned()));
        }
        let vkey = signer.vkey().clone();
        let mut ledger = Ledger {
            connection,
            path: path.to_owned(),
            vkey,
            _lock: lock,
        };
        if let [traveler::Event::LogOpened { origin, vkey, .. }] = &first.events[..] {
            ledger.right_key(vkey)?;
            ledger.right_key_name(origin)?;
        }
        for outcome in ledger.append(&[first], signer)? {
            outcome.map_err(Error::FirstEntry)?;
        }
        sync_folder(path)?;
        Ok(ledger)
    }

    /// Opens the log at `path` for writing.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process writes it, [`Error::WentBackwards`] or
    /// [`Error::Altered`] when a signed checkpoint contradicts it, [`Error::NotALog`].
    pub fn open(path: &Path) -> Result<Ledger, Error> {
        let not_a_log = |why: String| Error::NotALog {
            path: path.to_owned(),
            why,
        };
        if !path.is_file() {
            return Err(not_a_log("there is no such file".to_owned()));
        }
        let lock = Lock::take(path)?;
        let connection = schema::writer(path, false)?;
        let row = LogRow::find(&connection, "", [])?
            .ok_or_else(|| not_a_log("it has no first entry".to_owned()))?;
        let vkey = VerifierKey::parse(&row.vkey).map_err(|error| not_a_log(error.to_string()))?;
        let ledger = Ledger {
            connection,
            path: path.to_owned(),
            vkey,
            _lock: lock,
        };
        ledger.not_backwards()?;
        Ok(ledger)
    }

    /// Writes a batch: each change whole or not at all, all of them in one transaction with one
    /// sync and one checkpoint. The outcomes are in the order of the changes.
    ///
    /// When the signing key is away the entries are written without a checkpoint; the next batch
    /// or [`Ledger::sign_pending`] signs over them.
    ///
    /// # Errors
    /// When nothing of the batch is known to be written: ask again, the rules make it safe.
    pub fn append(
        &mut self,
        batch: &[Change],
        signer: &dyn CheckpointSigner,
    ) -> Result<Vec<Result<Appended, Refused>>, Error> {
        self.right_key(&signer.vkey().to_string())?;
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let before = sql::size(&transaction)?;
        let mut size = before;
        let mut outcomes = Vec::with_capacity(batch.len());
        for change in batch {
            let written = sql::write_change(&transaction, change, size)?;
            outcomes.push(written.map(|after| {
                let first = std::mem::replace(&mut size, after);
                Appended {
                    first,
                    last: after - 1,
                }
            }));
        }
        if size == before {
            return Ok(outcomes);
        }
        let note = sign(&transaction, signer)?.ok();
        // Crash before this line: nothing happened, every caller asks again.
        transaction.commit()?;
        // Crash after it: all is durable and nobody was told. Callers ask again and are refused
        // by the rules with where the unit stands, which is their answer.
        self.place(note);
        Ok(outcomes)
    }

    /// Signs over entries that have no checkpoint yet. True when there were any.
    ///
    /// # Errors
    /// [`Error::Sign`] when the key is still away.
    pub fn sign_pending(&mut self, signer: &dyn CheckpointSigner) -> Result<bool, Error> {
        self.right_key(&signer.vkey().to_string())?;
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let size = sql::size(&transaction)?;
        if sql::newest_checkpoint(&transaction)?.is_some_and(|(signed, _)| signed == size) {
            return Ok(false);
        }
        let note = sign(&transaction, signer)?.map_err(Error::Sign)?;
        transaction.commit()?;
        self.place(Some(note));
        Ok(true)
    }

    /// A connection of its own for reading.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open(&self.path)
    }

    /// Where the log is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key its checkpoints are checked with.
    #[must_use]
    pub fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }

    /// Folds the write-ahead log into the database, so that one file holds everything.
    ///
    /// # Errors
    /// What the database says. Everything is durable already; this loses nothing.
    pub fn close(self) -> Result<(), Error> {
        let busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], busy)?;
        Ok(())
    }

    /// The entries are durable whether or not the tripwire can be set; a full disk shows at the
    /// next batch, and this file is older then, which accuses nobody.
    fn place(&self, note: Option<String>) {
        if let Some(note) = note {
            let _ = place_checkpoint(&self.path, &note);
        }
    }

    fn right_key(&self, given: &str) -> Result<(), Error> {
        let expected = self.vkey.to_string();
        if given == expected {
            return Ok(());
        }
        Err(Error::OtherKey {
            expected,
            given: given.to_owned(),
        })
    }

    fn right_key_name(&self, origin: &str) -> Result<(), Error> {
        let expected = self.vkey.name().to_owned();
        if origin == expected {
            return Ok(());
        }
        Err(Error::OtherKey {
            expected,
            given: origin.to_owned(),
        })
    }

    /// What was signed once must still be there.
    fn not_backwards(&self) -> Result<(), Error> {
        let entries = sql::size(&self.connection)?;
        let row = sql::newest_checkpoint(&self.connection)?;
        let in_row =
            row.and_then(|(_, note)| crate::files::open_checkpoint(&note, &self.vkey).ok());
        let beside = match checkpoint_beside(&self.path, &self.vkey)? {
            Beside::Signed(checkpoint) => Some(checkpoint),
            Beside::Nothing | Beside::Foreign(_) => None,
        };
        for Checkpoint {
            size: signed, root, ..
        } in in_row.into_iter().chain(beside)
        {
            if signed > entries {
                return Err(Error::WentBackwards { signed, entries });
            }
            let found = sql::root(&self.connection, signed);
            if !found.is_ok_and(|found| found == root) {
                return Err(Error::Altered(signed));
            }
        }
        Ok(())
    }
}

/// Signs the whole log as the transaction sees it and keeps the note in it.
///
/// The outer error is the database's; the inner one is the key's, and costs no entry.
fn sign(
    connection: &Connection,
    signer: &dyn CheckpointSigner,
) -> Result<Result<String, tlog::SignError>, Error> {
    let size = sql::size(connection)?;
    let root = sql::root(connection, size)?;
    let origin = signer.vkey().name().to_owned();
    let note = match tlog::sign_note(&Checkpoint { origin, size, root }.to_text(), signer) {
        Ok(note) => note,
        Err(error) => return Ok(Err(error)),
    };
    let sql = "INSERT INTO checkpoints (size, note) VALUES (?1, ?2)";
    connection
        .prepare_cached(sql)?
        .execute((crate::table::int(size), &note))?;
    Ok(Ok(note))
}
