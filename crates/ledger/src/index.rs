//! The key index: where the row of a serial, a piece of silicon, a public key or a fingerprint is.
//!
//! The tables are appended to by number, which costs the same at any length; a unique index over
//! random keys in the database does not (27,000 rows/s in an empty one, 650 at 50 million rows).
//! So keys are looked up here: sorted runs in files that never change, each of the entries from
//! one number to another, merged by fours as they gather, and the records since the last run in
//! memory. A key is in the log exactly when a record leads to a row that holds it in full; hashes
//! only say where to look.
//!
//! **One source of truth.** Nothing here is believed: a run names the root of the log at its end and
//! sums all its bytes, and what is missing, torn, stale or of another log is made again from the
//! tables. The one process that may write asks inside the transaction that writes, of an index that
//! speaks of exactly the entries that transaction began with.
//!
//! **A crash** loses what is in memory, which the next start reads back from the rows of the last
//! run's end on, and files that have no name yet, which it removes. A file that cannot be written
//! costs memory until it can, and no entry.

mod check;
mod cold;
mod key;
mod merge;
mod recover;
mod run;
mod write;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::Connection;
use tlog::Hash;

use crate::disk::Disk;
use crate::rows::{DeviceRow, IssueRow, KeyRow, UnitRow};
use crate::{Error, sql};
use merge::Merge;
use recover::{rows_between, whole_runs};
use run::{Record, Run, Span, damaged};
use write::RunWriter;

pub(crate) use check::check;
pub(crate) use cold::Cold;
pub(crate) use key::{Keyed, added, hash, row_of};

/// Entries whose records are kept in memory before they are written to a run: at most 262,144
/// records, 10 MB; and what a start after a crash reads back, a tenth of a second.
pub(crate) const RUN_ENTRIES: u64 = 65_536;
/// How far memory may run ahead of a disk that takes no run, in runs.
const AHEAD: u64 = 8;
/// Records each merge under way moves for each record that is added: two, so that it is done when
/// half of what starts the next one like it has come.
const PACE: u64 = 2;

/// Whom the rules and readers ask for keys.
pub(crate) trait Keys {
    /// The values of the records with this hash.
    fn find(&self, connection: &Connection, hash: u64) -> Result<Vec<u64>, Error>;
    /// The first entry whose rows have no records yet, when there may be such.
    fn unindexed_from(&self) -> Option<u64>;
}

/// What readers share with the writer.
pub(crate) struct Shared(RwLock<State>);

struct State {
    /// Side by side from entry 0 on.
    runs: Vec<Arc<Run>>,
    /// The records behind the last run.
    recent: BTreeSet<Record>,
    /// A run is out and could not be opened again: nothing can be answered.
    broken: bool,
}

/// The writer's index.
pub(crate) struct Index {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    /// Entries in one run when it is written.
    run_entries: u64,
    /// Entries that runs speak of; `recent` speaks of those behind them.
    covered: u64,
    merges: Vec<Merge>,
    /// Records of the running transaction.
    pending: BTreeSet<Record>,
    /// The same in order, so that a refused change can be taken back.
    order: Vec<Record>,
    /// Records added that the merges have not kept pace with yet.
    owed: u64,
    /// After a disk that failed: the size of the log at which it is tried again.
    again_at: u64,
}

impl Index {
    /// Reads the runs that are whole and of this log, and makes the rest again from the tables.
    pub(crate) fn open(
        connection: &Connection,
        disk: Arc<dyn Disk>,
        run_entries: u64,
    ) -> Result<Index, Error> {
        let size = sql::size(connection)?;
        let runs = whole_runs(connection, disk.as_ref(), size, true)?;
        let covered = runs.last().map_or(0, |run| run.span.to);
        let kept: Vec<String> = runs.iter().map(|run| run.span.name()).collect();
        for name in disk.list().map_err(Error::Index)? {
            if !kept.contains(&name) {
                disk.remove(&name).map_err(Error::Index)?;
            }
        }
        let state = State {
            runs,
            recent: BTreeSet::new(),
            broken: false,
        };
        let mut index = Index {
            shared: Arc::new(Shared(RwLock::new(state))),
            disk,
            run_entries,
            covered,
            merges: Vec::new(),
            pending: BTreeSet::new(),
            order: Vec::new(),
            owed: 0,
            again_at: 0,
        };
        index.read_tables(connection, size)?;
        Ok(index)
    }

    /// The part that readers ask.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// A run turned out to be damaged: nothing can be written until [`Index::heal`].
    pub(crate) fn is_broken(&self) -> bool {
        let state = self.shared.0.read().unwrap_or_else(PoisonError::into_inner);
        state.broken || state.runs.iter().any(|run| run.is_bad())
    }

    /// Throws away the damaged runs and makes their records again from the tables.
    pub(crate) fn heal(&mut self, connection: &Connection) -> Result<(), Error> {
        let bad: Vec<String> = {
            let mut state = self
                .shared
                .0
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            state.broken = true;
            let bad = state.runs.iter().filter(|run| run.is_bad());
            bad.map(|run| run.span.name()).collect()
        };
        self.merges.clear();
        for name in bad {
            self.disk.remove(&name).map_err(Error::Index)?;
        }
        let fresh = Index::open(connection, Arc::clone(&self.disk), self.run_entries)?;
        // Readers keep the part they have: what it holds is exchanged.
        let mut state = self
            .shared
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut new = fresh
            .shared
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *state, &mut *new);
        self.covered = fresh.covered;
        Ok(())
    }

    /// Adds the record of a row in the running transaction, when it has one.
    pub(crate) fn add(&mut self, record: Option<Record>) {
        if let Some(record) = record.filter(|record| self.pending.insert(*record)) {
            self.order.push(record);
        }
    }

    /// Where the running transaction stands.
    pub(crate) fn mark(&self) -> usize {
        self.order.len()
    }

    /// Takes back what was added behind a mark.
    pub(crate) fn take_back(&mut self, mark: usize) {
        for record in self.order.drain(mark..) {
            self.pending.remove(&record);
        }
    }

    /// The transaction is durable: its records count.
    pub(crate) fn keep(&mut self) {
        self.owed += self.order.len() as u64;
        let mut state = self
            .shared
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        state.recent.extend(self.order.drain(..));
        self.pending.clear();
    }

    /// Room in memory for the next batch; otherwise the disk has refused runs for a long time.
    pub(crate) fn has_room(&self, size: u64) -> bool {
        size - self.covered < self.run_entries * AHEAD
    }

    /// Does what is due: writes a run when enough has gathered, and moves merges on. `size` and
    /// `root` are those of the log, `idle` when nobody waits. True when more is left to do.
    ///
    /// A disk that fails costs no entry and is tried again later.
    pub(crate) fn maintain(&mut self, size: u64, root: Hash, idle: bool) -> Result<bool, Error> {
        if size < self.again_at {
            return Ok(false);
        }
        let done = self.maintain_now(size, root, idle);
        if done.is_err() {
            // A merge that failed begins again; its inputs are where they were.
            self.merges.clear();
            self.again_at = size + self.run_entries / 4 + 1;
        }
        done.map_err(Error::Index)
    }

    fn maintain_now(&mut self, size: u64, root: Hash, idle: bool) -> io::Result<bool> {
        if size - self.covered >= self.run_entries {
            self.write_run(size, root)?;
        }
        let share = std::mem::take(&mut self.owed) * PACE;
        let share = if idle { share.max(4_096) } else { share };
        while let Some(group) = {
            let state = self.shared.0.read().unwrap_or_else(PoisonError::into_inner);
            let next = merge::next(&state.runs, self.run_entries, &self.merges);
            next.map(|range| state.runs[range].to_vec())
        } {
            self.merges.push(Merge::begin(self.disk.as_ref(), &group)?);
        }
        let mut at = 0;
        while at < self.merges.len() {
            if self.merges[at].step(share)? {
                let merge = self.merges.swap_remove(at);
                self.exchange(merge)?;
            } else {
                at += 1;
            }
        }
        Ok(!self.merges.is_empty())
    }

    /// Writes what is in memory to a run that ends at `size`.
    fn write_run(&mut self, size: u64, root: Hash) -> io::Result<()> {
        let span = Span {
            from: self.covered,
            to: size,
            root,
        };
        let disk = self.disk.as_ref();
        {
            let state = self.shared.0.read().unwrap_or_else(PoisonError::into_inner);
            let mut run = RunWriter::create(disk, span, state.recent.len() as u64)?;
            for &record in &state.recent {
                run.push(record)?;
            }
            run.finish(disk)?;
        }
        let run = Arc::new(Run::open(disk, &span.name(), true)?);
        let mut state = self
            .shared
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        state.runs.push(run);
        state.recent.clear();
        self.covered = size;
        Ok(())
    }

    /// Puts the outcome of a merge in the place of what it was merged from.
    fn exchange(&mut self, merge: Merge) -> io::Result<()> {
        let (span, disk) = (merge.span, self.disk.as_ref());
        merge.finish(disk)?;
        let mut names = Vec::new();
        {
            let mut state = self
                .shared
                .0
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let within = |run: &Arc<Run>| span.from <= run.span.from && run.span.to <= span.to;
            let at = state.runs.iter().position(&within).unwrap_or(0);
            // The old tables go before the new ones come: at the largest merge that is half of
            // all the memory there is.
            state.broken = true;
            state.runs.retain(|run| {
                let goes = within(run);
                if goes {
                    names.push(run.span.name());
                }
                !goes
            });
            let run = Run::open(disk, &span.name(), true)?;
            state.runs.insert(at, Arc::new(run));
            state.broken = false;
        }
        for name in names {
            disk.remove(&name)?;
        }
        Ok(())
    }

    /// Makes records of the rows behind the last run.
    fn read_tables(&mut self, connection: &Connection, size: u64) -> Result<(), Error> {
        let mut from = self.covered;
        let begin = from;
        while from < size {
            let to = size.min(from + self.run_entries);
            let mut records = Vec::new();
            rows_between::<UnitRow>(connection, from..to, &mut records)?;
            rows_between::<DeviceRow>(connection, from..to, &mut records)?;
            rows_between::<KeyRow>(connection, from..to, &mut records)?;
            rows_between::<IssueRow>(connection, from..to, &mut records)?;
            let mut state = self
                .shared
                .0
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            state.recent.extend(records);
            drop(state);
            from = to;
            if to - self.covered >= self.run_entries {
                let root = sql::root_of(connection, to)?;
                self.write_run(to, root).map_err(Error::Index)?;
            }
        }
        // All of it was lost: that many small runs would make every look-up slow.
        if size - begin > self.run_entries * AHEAD {
            let root = sql::root_of(connection, size)?;
            self.owed = u64::MAX / PACE;
            while self.maintain(size, root, true)? {
                self.owed = u64::MAX / PACE;
            }
            self.owed = 0;
        }
        Ok(())
    }
}

impl Keys for Index {
    fn find(&self, connection: &Connection, hash: u64) -> Result<Vec<u64>, Error> {
        let mut found = self.shared.find(connection, hash)?;
        let pending = self.pending.range((hash, 0)..=(hash, u64::MAX));
        found.extend(pending.map(|record| record.1));
        Ok(found)
    }

    fn unindexed_from(&self) -> Option<u64> {
        None
    }
}

impl Keys for Shared {
    fn find(&self, _: &Connection, hash: u64) -> Result<Vec<u64>, Error> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if state.broken {
            return Err(Error::Index(damaged("it is being made again")));
        }
        let recent = state.recent.range((hash, 0)..=(hash, u64::MAX));
        let mut found = recent.map(|record| record.1).collect();
        for run in &state.runs {
            run.find(hash, &mut found).map_err(Error::Index)?;
        }
        Ok(found)
    }

    fn unindexed_from(&self) -> Option<u64> {
        None
    }
}

impl Keys for Arc<Shared> {
    fn find(&self, connection: &Connection, hash: u64) -> Result<Vec<u64>, Error> {
        self.as_ref().find(connection, hash)
    }

    fn unindexed_from(&self) -> Option<u64> {
        None
    }
}
