//! What every call works with: the ledger's writer, readers, the HSM and the authority.
//!
//! All of it is synchronous and may block for one fsync or one HSM command; `services` calls it on
//! blocking threads.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use hsm::{Hsm, HsmError, Key};
use ledger::{AppendError, Appended, Reader, StationState, Writer};
use tlog::LogKeys;
use traveler::{Change, Event, KeyId, StationName, Timestamp};

use crate::auth::Caller;
use crate::authority::Authority;
use crate::backwards::Backwards;
use crate::breaker::Breaker;
use crate::status::Denied;
use crate::stop::Unwritten;
use crate::turns::Turns;
use crate::watch::Watch;

/// The server without its network.
pub(crate) struct Line {
    /// The token, behind `breaker`.
    pub(crate) hsm: Arc<dyn Hsm>,
    pub(crate) breaker: Arc<Breaker>,
    /// The log's size when the token's mark of it was last raised.
    pub(crate) marked: AtomicU64,
    pub(crate) authority: Authority,
    pub(crate) fingerprint_key: KeyId,
    pub(crate) station_certificate_hours: u32,
    pub(crate) vkey: String,
    /// How one key of the log handed over to the next; a server sees no rotation while it runs.
    pub(crate) rotations: Vec<String>,
    /// The keys of the log, as those name them.
    pub(crate) log_keys: LogKeys,
    pub(crate) watch: Watch,
    pub(crate) unwritten: Unwritten,
    pub(crate) turns: Turns,
    pub(crate) backwards: Backwards,
    /// The name under which the token keeps its mark of this log.
    pub(crate) mark: String,
    simulated: bool,
    writer: Writer,
    readers: Readers,
}

/// What [`Line::new`] is made of.
pub(crate) struct Parts {
    /// The token.
    pub(crate) breaker: Arc<Breaker>,
    /// The certificates that sign.
    pub(crate) authority: Authority,
    /// The thread that writes the ledger.
    pub(crate) writer: Writer,
    /// Verifier key of the log, as text.
    pub(crate) vkey: String,
    /// How one key of the log handed over to the next.
    pub(crate) rotations: Vec<String>,
    /// The keys of the log.
    pub(crate) log_keys: LogKeys,
    /// How long a station's certificate is valid, in hours.
    pub(crate) station_certificate_hours: u32,
    /// What the log was found not to go on from.
    pub(crate) backwards: Backwards,
    /// The name under which the token keeps its mark of this log.
    pub(crate) mark: String,
}

impl Line {
    /// Puts a server together.
    ///
    /// # Errors
    /// [`HsmError`] when the token cannot say who it is.
    pub(crate) fn new(parts: Parts) -> Result<Line, HsmError> {
        Ok(Line {
            fingerprint_key: fingerprint_key_id(&*parts.breaker)?,
            simulated: parts.breaker.describe()?.simulated,
            readers: Readers::default(),
            hsm: parts.breaker.clone(),
            breaker: parts.breaker,
            marked: AtomicU64::new(0),
            authority: parts.authority,
            station_certificate_hours: parts.station_certificate_hours,
            vkey: parts.vkey,
            rotations: parts.rotations,
            log_keys: parts.log_keys,
            writer: parts.writer,
            watch: Watch::default(),
            unwritten: Unwritten::default(),
            turns: Turns::default(),
            backwards: parts.backwards,
            mark: parts.mark,
        })
    }

    /// Records events in a row, or none; returns when they are durable.
    pub(crate) fn append(&self, events: Vec<Event>) -> Result<Appended, AppendError> {
        self.append_at(self.now(), events)
    }

    /// The same under a time that the caller has written into the events.
    pub(crate) fn append_at(
        &self,
        time: Timestamp,
        events: Vec<Event>,
    ) -> Result<Appended, AppendError> {
        self.not_backwards()?;
        self.writer.append(Change {
            time,
            simulated_hsm: self.simulated,
            events,
        })
    }

    /// Signs a checkpoint over what was written while the HSM was away.
    pub(crate) fn sign_pending(&self) -> Result<bool, AppendError> {
        self.writer.sign_pending()
    }

    /// Reads from the ledger as it is now.
    pub(crate) fn read<T>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, ledger::Error>,
    ) -> Result<T, ledger::Error> {
        let reader = match self.readers.idle() {
            Some(reader) => reader,
            None => self.writer.reader()?,
        };
        let answer = question(&reader);
        self.readers.keep(reader);
        answer
    }

    /// The server's clock.
    #[allow(clippy::unused_self, reason = "the clock is the line's to give")]
    pub(crate) fn now(&self) -> Timestamp {
        now()
    }

    /// The calling station, if it may still work.
    ///
    /// Asked on every call: a revocation holds from the moment its entry is durable.
    pub(crate) fn bench(&self, caller: &Caller) -> Result<StationName, BenchError> {
        let name = caller.station()?.clone();
        let row = self.read(|ledger| ledger.station(&name))?;
        let newest = row.as_ref().and_then(|row| row.certificate_sha256);
        match row.map(|row| row.state) {
            Some(StationState::Revoked) => Err(Denied::Revoked(name).into()),
            Some(StationState::Enrolled) if newest == Some(caller.certificate_sha256) => Ok(name),
            // A server put back from before the enrolment cannot tell this from a folder that is
            // out of date. Whoever is told that it is revoked erases what it holds, and there may
            // be units that carry it: only a revocation on record may say so.
            Some(StationState::Enrolled | StationState::Invited) | None => {
                Err(Denied::NotOnRecord(name).into())
            }
        }
    }

    /// Writes what is queued and closes the ledger.
    pub(crate) fn close(self) {
        self.writer.close();
    }
}

/// Why a station may not call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// It may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The ledger could not be asked.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// The id of the token's fingerprint key: a MAC of a fixed text, so it says nothing of the key.
pub(crate) fn fingerprint_key_id(hsm: &dyn Hsm) -> Result<KeyId, HsmError> {
    let mac = hsm.mac(Key::Fingerprint, b"birthmark fingerprint key id v1")?;
    let mut id = [0; 8];
    id.copy_from_slice(&mac[..8]);
    Ok(KeyId(id))
}

/// The system clock; before 1970 counts as 1970.
#[must_use]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Read connections that are waiting for a question.
#[derive(Default)]
struct Readers(Mutex<Vec<Reader>>);

impl Readers {
    /// Connections kept open between questions; more are opened and closed as needed.
    const KEPT: usize = 16;

    fn idle(&self) -> Option<Reader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, reader: Reader) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < Readers::KEPT {
            idle.push(reader);
        }
    }
}
