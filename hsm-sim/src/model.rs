//! What kind of token is simulated: how many sessions, how slow, what it writes down, and how many
//! wrong PINs it bears.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hsm::message::v1;
use serde_json::json;

use crate::store_file;

/// Wrong PINs in a row that lock the token, for as long as `STORE.tries` says so: whoever removes that
/// file is the simulator's security officer.
pub(crate) const PIN_TRIES: u32 = 10;

/// The limits of a simulated token.
#[derive(Default)]
pub struct Model {
    /// Sessions that may be logged in at once; `None` for as many as there are connections.
    pub sessions: Option<usize>,
    /// What each command behind the login takes at least.
    pub latency: Duration,
    /// Where each command is written down.
    pub audit: Option<Audit>,
    /// Where wrong PINs are counted; `None` for as long as the process lives.
    pub tries: Option<Tries>,
}

/// The count of wrong PINs, beside the store: a token that was locked is locked when it is served
/// again, as one of silicon is.
pub struct Tries {
    path: PathBuf,
    /// How many there were in a row when this process began.
    pub(crate) found: u32,
}

impl Tries {
    /// The count of the token in `store`. A file that says nothing counts as locked: it was there.
    ///
    /// # Errors
    /// What the system says.
    pub fn beside(store: &Path) -> io::Result<Tries> {
        let path = store_file::beside(store, "tries");
        let found = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(PIN_TRIES),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Tries { path, found })
    }

    /// Durable when it returns.
    pub(crate) fn write(&self, wrong: u32) -> io::Result<()> {
        store_file::replace(&self.path, format!("{wrong}\n").as_bytes())
    }
}

/// The audit trail: a line of JSON a command, with its key and its outcome, never its data.
pub struct Audit(Mutex<File>);

impl Audit {
    /// Continues the trail in `path`, or begins it.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Audit> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        Ok(Audit(Mutex::new(file)))
    }

    /// One line. A full disk is said in the log: a simulator goes on.
    pub(crate) fn write(&self, session: u64, command: &str, response: &v1::Response) {
        use v1::response::Outcome;
        let outcome = match &response.outcome {
            Some(Outcome::Failure(failure)) => failure.code().as_str_name(),
            _ => "done",
        };
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let line = json!({
            "unix_ms": since.as_millis() as u64,
            "session": session,
            "command": command,
            "outcome": outcome,
        });
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
            tracing::error!(%error, "the audit trail has a gap");
        }
    }
}
