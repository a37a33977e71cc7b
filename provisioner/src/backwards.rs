//! The server's half of noticing that its disk was put back from an older copy.
//!
//! Its own tripwires are the checkpoint beside the log and the token's mark, which is raised once a
//! second. Stations remember every entry, and show the newest checkpoint they have, signed by this
//! log's own key, before they begin a unit. A log that does not go on from one of those is not the
//! log: from then on nothing is written, by no station, also after a restart, until `provisioner
//! recover` has made the log whole or put the loss on record.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ledger::{AppendError, Consistency, Proof};
use tlog::{Checkpoint, LogKeys};

use crate::auth::Caller;
use crate::close::CloseError;
use crate::line::{BenchError, Line};
use crate::site::{self, Site};

/// Longest checkpoint that is looked at, in bytes.
const NOTE_MAX: usize = 16_384;

/// What this log must go on from and does not.
#[derive(Default)]
pub(crate) struct Backwards {
    seen: RwLock<Option<Checkpoint>>,
    file: PathBuf,
}

impl Backwards {
    pub(crate) fn of(site: &Site) -> Backwards {
        Backwards {
            seen: RwLock::default(),
            file: site.backwards(),
        }
    }

    fn get(&self) -> Option<Checkpoint> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}

impl Site {
    /// A checkpoint that the log does not go on from: it locks the server until `recover` ends.
    #[must_use]
    pub fn backwards(&self) -> PathBuf {
        self.data().join("checkpoint.remembered")
    }
}

/// The checkpoint that locks a site, when there is one. A torn file locks too.
pub(crate) fn locked(site: &Site, keys: &LogKeys) -> Option<Option<Checkpoint>> {
    let path = site.backwards();
    path.exists().then(|| {
        let note = site::read(&path).ok()?;
        signed(&note, keys)
    })
}

/// Locks a site by this note.
pub(crate) fn lock(path: &Path, note: &str) -> std::io::Result<()> {
    site::replace_durably(path, note.as_bytes(), false).map_err(std::io::Error::other)
}

/// A checkpoint of this log, signed by a key that it has or had.
fn signed(note: &str, keys: &LogKeys) -> Option<Checkpoint> {
    match note.len() > NOTE_MAX {
        true => None,
        false => keys.open_remembered(note).ok(),
    }
}

impl Line {
    /// Refuses to write to a log that went backwards.
    ///
    /// # Errors
    /// [`AppendError::Io`] with [`ledger::Error::WentBackwards`].
    pub(crate) fn not_backwards(&self) -> Result<(), AppendError> {
        let Some(seen) = self.backwards.get() else {
            return Ok(());
        };
        let entries = self.read(|ledger| ledger.size()).unwrap_or_default();
        let signed = seen.size;
        let error = ledger::Error::WentBackwards { signed, entries };
        Err(AppendError::Io(Arc::new(error)))
    }

    /// Holds the log against what a station remembers of it, and locks when it does not go on from
    /// there. What nobody signed says nothing: a station cannot lock the line by a claim.
    ///
    /// # Errors
    /// [`BenchError::Ledger`] when the log cannot be asked.
    pub(crate) fn hold_against(&self, note: &str) -> Result<(), BenchError> {
        let Some(seen) = signed(note, &self.log_keys) else {
            return Ok(());
        };
        let goes_on = self.read(|ledger| {
            Ok(ledger.root_at(seen.size)? == Some(seen.root)
                // It is on record that this was lost; the station has yet to hear of it.
                || ledger.recovery_of(&seen)?.is_some())
        })?;
        if goes_on {
            return Ok(());
        }
        tracing::error!(
            remembered = seen.size,
            "a station remembers a log that this one does not go on from: an old copy was put back. \
             Nothing is written any more; stop the server and run `provisioner recover`"
        );
        let mut locked = self
            .backwards
            .seen
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if locked.as_ref().is_none_or(|locked| locked.size < seen.size) {
            // Without the file the next start asks the stations again.
            if let Err(error) = lock(&self.backwards.file, note) {
                tracing::error!(%error, "the lock is not on disk");
            }
            *locked = Some(seen);
        }
        Ok(())
    }

    /// The proof of the entry that names this checkpoint as lost, or that nothing is.
    ///
    /// # Errors
    /// [`CloseError::NoRecovery`] when the log says neither.
    pub(crate) fn recovery(&self, caller: &Caller, note: &str) -> Result<Recovery, CloseError> {
        self.bench(caller)?;
        let seen = signed(note, &self.log_keys).ok_or(CloseError::NoRecovery)?;
        if let Some((seq, _)) = self.read(|ledger| ledger.recovery_of(&seen))? {
            return self.proof(seq).map(Recovery::Lost);
        }
        let goes_on = self.read(
            |ledger| match ledger.root_at(seen.size)? == Some(seen.root) {
                true => ledger.consistency(seen.size),
                false => Ok(None),
            },
        )?;
        goes_on
            .map(Recovery::NothingLost)
            .ok_or(CloseError::NoRecovery)
    }
}

/// What the log says of a checkpoint that a station remembers.
pub(crate) enum Recovery {
    /// It is on record that entries under it are lost.
    Lost(Proof),
    /// The log goes on from it.
    NothingLost(Consistency),
}
