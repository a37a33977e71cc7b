//! The log, open for writing: one connection, one process, one transaction per batch.

mod asked;
mod rotate;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tlog::{CheckpointSigner, LogKeys, VerifierKey};
use traveler::Change;

use crate::end::{End, not_backwards, sign};
use crate::files::{Lock, place_checkpoint, sync_folder};
use crate::index::Index;
use crate::near::Near;
use crate::options::Options;
use crate::room::{Room, is_full};
use crate::signers::{Signers, log_keys};
use crate::transaction::Transaction;
use crate::{Error, Refused, schema, sql};

/// Batches and entries after which the write-ahead log is folded in: it stays below 20 MB, and
/// three syncs are shared by that many.
const FOLD_BATCHES: u64 = 128;
const FOLD_ENTRIES: u64 = 4_096;

/// The log and the right to write it.
pub struct Ledger {
    /// Before the lock, so that it is closed while the lock is still held.
    pub(crate) connection: Connection,
    path: PathBuf,
    keys: LogKeys,
    /// Set when it is opened and after each commit; nothing is signed on top of anything else.
    pub(crate) end: End,
    pub(crate) index: Index,
    pub(crate) near: Near,
    /// Size of the log when its write-ahead log was folded in last.
    pub(crate) folded_at: u64,
    /// Batches committed since.
    unfolded: u64,
    fold_batches: u64,
    room: Room,
    syncs: u64,
    /// A checkpoint that is newer than the one beside the database.
    unplaced: Option<String>,
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
        let keys = LogKeys::new(signer.vkey().clone());
        let mut ledger = Ledger {
            end: End::of(&connection)?,
            index: Options::default().index(&connection, path)?,
            connection,
            path: path.to_owned(),
            keys,
            near: Near::default(),
            folded_at: 0,
            unfolded: 0,
            fold_batches: FOLD_BATCHES,
            room: Options::default().room(path),
            syncs: 0,
            unplaced: None,
            _lock: lock,
        };
        if let [traveler::Event::LogOpened { origin, vkey, .. }] = &first.events[..] {
            ledger.right_name(vkey, ledger.vkey().to_string())?;
            ledger.right_name(origin, ledger.vkey().name().to_owned())?;
        }
        for outcome in ledger.append(&[first], signer)? {
            outcome.map_err(Error::FirstEntry)?;
        }
        ledger.place();
        sync_folder(path)?;
        Ok(ledger)
    }

    /// Opens the log at `path` for writing, when every entry in it is signed over.
    ///
    /// A batch is committed together with its checkpoint, so a kill or a power cut never leaves
    /// others; a process that ended while the key was away does.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process writes it, [`Error::WentBackwards`] or
    /// [`Error::Altered`] when a signed checkpoint contradicts it, [`Error::Unsigned`],
    /// [`Error::NotALog`].
    pub fn open(path: &Path) -> Result<Ledger, Error> {
        Ledger::open_with(path, &Options::default())
    }

    /// The same with the files beside the database kept otherwise.
    ///
    /// # Errors
    /// Those of [`Ledger::open`].
    pub fn open_with(path: &Path, options: &Options) -> Result<Ledger, Error> {
        let (ledger, from) = Ledger::open_signed_up_to(path, options)?;
        let entries = ledger.end.tip.size();
        if from < entries {
            return Err(Error::Unsigned { from, entries });
        }
        Ok(ledger)
    }

    /// The same for a log whose last entries no checkpoint covers, once a person has looked at
    /// them: the next batch or [`Ledger::sign_pending`] signs over them.
    ///
    /// # Errors
    /// Those of [`Ledger::open`] but [`Error::Unsigned`].
    pub fn open_unsigned(path: &Path) -> Result<Ledger, Error> {
        Ok(Ledger::open_signed_up_to(path, &Options::default())?.0)
    }

    /// The log, and how many of its entries are signed over.
    fn open_signed_up_to(path: &Path, options: &Options) -> Result<(Ledger, u64), Error> {
        let not_a_log = |why: String| Error::NotALog {
            path: path.to_owned(),
            why,
        };
        if !path.is_file() {
            return Err(not_a_log("there is no such file".to_owned()));
        }
        let lock = Lock::take(path)?;
        let connection = schema::writer(path, false)?;
        if sql::size(&connection)? == 0 {
            return Err(not_a_log("it has no first entry".to_owned()));
        }
        let keys = log_keys(&connection).map_err(not_a_log)?;
        let signed = not_backwards(&connection, path, &keys)?;
        let mut ledger = Ledger {
            end: End::of(&connection)?,
            index: options.index(&connection, path)?,
            connection,
            path: path.to_owned(),
            keys,
            near: Near::default(),
            folded_at: 0,
            unfolded: 0,
            fold_batches: options.fold_batches.unwrap_or(FOLD_BATCHES),
            room: options.room(path),
            syncs: 0,
            unplaced: None,
            _lock: lock,
        };
        ledger.folded_at = ledger.end.tip.size();
        Ok((ledger, signed))
    }

    /// Writes a batch: each change whole or not at all, all of them in one transaction with one
    /// sync and one checkpoint. The outcomes are in the order of the changes.
    ///
    /// When the signing key is away the entries are written without a checkpoint; the next batch
    /// or [`Ledger::sign_pending`] signs over them.
    ///
    /// # Errors
    /// When nothing of the batch is known to be written: ask again, the rules make it safe.
    /// [`Error::Database`] when the disk is full to the last reserve; before, new units are refused
    /// with [`Refused::NoRoom`]. [`Error::Unsigned`], [`Error::Altered`] or [`Error::WentBackwards`] when somebody else wrote
    /// to the log since; asking again does not help then.
    pub fn append(
        &mut self,
        batch: &[Change],
        signer: &dyn CheckpointSigner,
    ) -> Result<Vec<Result<Appended, Refused>>, Error> {
        self.written(batch, Signers::One(signer))
    }

    fn written(
        &mut self,
        batch: &[Change],
        signers: Signers<'_>,
    ) -> Result<Vec<Result<Appended, Refused>>, Error> {
        self.room.look();
        let mut written = self.write_batch(batch, signers);
        if let Err(error) = &written {
            self.near.clear(); // it speaks of a transaction that was taken back
            if is_full(error) && self.room.let_go() {
                written = self.write_batch(batch, signers);
            }
        }
        if written.is_err() {
            self.near.clear();
        }
        written
    }

    fn write_batch(
        &mut self,
        batch: &[Change],
        signers: Signers<'_>,
    ) -> Result<Vec<Result<Appended, Refused>>, Error> {
        self.right_key(signers.vkey())?;
        self.ready_index()?;
        let transaction = Transaction::begin(&self.connection)?;
        if self.end.is_still(&transaction)? {
            self.near.clear();
        }
        let mut tip = self.end.tip.clone();
        self.index.take_back(0); // what a batch that failed left behind
        let mut outcomes = Vec::with_capacity(batch.len());
        for change in batch {
            if !signers.suit(change) {
                outcomes.push(Err(Refused::RotatesAlone));
                continue;
            }
            if let Some(refused) = self.room.refuses(change) {
                outcomes.push(Err(refused));
                continue;
            }
            let first = tip.size();
            let written =
                sql::write_change(&transaction, &mut self.index, &self.near, &mut tip, change)?;
            outcomes.push(written.map(|()| Appended {
                first,
                last: tip.size() - 1,
            }));
        }
        if tip.size() == self.end.tip.size() {
            return Ok(outcomes);
        }
        self.near.write(&transaction)?;
        let end = End::at(tip, self.end.version);
        let note = match (sign(&transaction, &end, signers)?, signers) {
            // Nobody could follow the new key without it.
            (Err(error), Signers::Both { .. }) => return Err(Error::Sign(error)),
            (note, _) => note.ok(),
        };
        // Crash before this line: nothing happened, every caller asks again.
        transaction.commit()?;
        // Crash after it: all is durable and nobody was told. Callers ask again and are refused
        // by the rules with where the unit stands, which is their answer.
        self.end = end;
        self.index.keep();
        self.unfolded += 1;
        self.syncs += 1;
        self.unplaced = note.or(self.unplaced.take());
        Ok(outcomes)
    }

    /// Does what can wait until the callers are answered: folds the write-ahead log into the
    /// database, puts the newest checkpoint beside it and keeps the key index compact. `idle` when
    /// nobody waits. True when there is more to do.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Database`]: no entry is lost by it, and it is tried again later.
    pub fn maintain(&mut self, idle: bool) -> Result<bool, Error> {
        let entries = self.end.tip.size() - self.folded_at;
        let due = self.unfolded >= self.fold_batches || entries >= FOLD_ENTRIES;
        if due {
            self.fold()?;
        }
        if due || idle {
            self.place();
        }
        let (size, root) = (self.end.tip.size(), self.end.root);
        Ok(self.index.maintain(size, root, idle)? || self.unplaced.is_some())
    }

    /// How often this process made what it wrote to the log durable: one sync for each batch and
    /// each checkpoint that was signed later, three for each time the write-ahead log is folded in
    /// (it, the database, and its first page when it begins anew). Files of the key index not counted.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Copies what the write-ahead log holds into the database, so that it begins anew. A crash on
    /// the way leaves the write-ahead log, and it is copied again.
    pub(crate) fn fold(&mut self) -> Result<(), Error> {
        let busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], busy)?;
        self.folded_at = self.end.tip.size();
        self.unfolded = 0;
        self.syncs += 3;
        Ok(())
    }

    /// The key index speaks of all entries, and has room for those of the next batch.
    fn ready_index(&mut self) -> Result<(), Error> {
        if self.index.is_broken() {
            self.index.heal(&self.connection)?;
        }
        // Whoever appends without end and never maintains is made to.
        let unfolded = self.end.tip.size() - self.folded_at < 4 * FOLD_ENTRIES;
        if unfolded && self.index.has_room(self.end.tip.size()) {
            return Ok(());
        }
        self.maintain(false).map(drop)
    }

    /// Signs over entries that have no checkpoint yet. True when there were any.
    ///
    /// # Errors
    /// [`Error::Sign`] when the key is still away; as for [`Ledger::append`] when somebody else
    /// wrote to the log.
    pub fn sign_pending(&mut self, signer: &dyn CheckpointSigner) -> Result<bool, Error> {
        self.right_key(signer.vkey())?;
        let transaction = Transaction::begin(&self.connection)?;
        if self.end.is_still(&transaction)? {
            self.near.clear();
        }
        let newest = sql::newest_checkpoint(&transaction)?;
        if newest.is_some_and(|(signed, _)| signed == self.end.tip.size()) {
            return Ok(false);
        }
        let note = sign(&transaction, &self.end, Signers::One(signer))?.map_err(Error::Sign)?;
        transaction.commit()?;
        self.syncs += 1;
        self.unplaced = Some(note);
        self.place();
        Ok(true)
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

    /// Sets the tripwire. The entries are durable whether or not it can be set; a full disk shows
    /// at the next batch, and this file is older then, which accuses nobody.
    fn place(&mut self) {
        if let Some(note) = self.unplaced.take() {
            let _ = place_checkpoint(&self.path, &note);
        }
    }

    fn right_key(&self, given: &VerifierKey) -> Result<(), Error> {
        if given == self.vkey() {
            return Ok(());
        }
        self.right_name(&given.to_string(), self.vkey().to_string())
    }

    fn right_name(&self, given: &str, expected: String) -> Result<(), Error> {
        if given == expected {
            return Ok(());
        }
        Err(Error::OtherKey {
            expected,
            given: given.to_owned(),
        })
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.place();
    }
}
