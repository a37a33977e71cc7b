//! Who signs the log now, as its own tables say.

use rusqlite::Connection;
use tlog::{CheckpointSigner, LogKeys, SignError, VerifierKey, countersigned, sign_note};
use traveler::{Change, Event};

use crate::rows::{SignerName, SigningKeyRow};
use crate::table::Table;

/// Who signs a batch.
#[derive(Clone, Copy)]
pub(crate) enum Signers<'a> {
    /// The log's key.
    One(&'a dyn CheckpointSigner),
    /// The log's key, and the one that takes over with this batch.
    Both {
        old: &'a dyn CheckpointSigner,
        new: &'a dyn CheckpointSigner,
    },
}

impl<'a> Signers<'a> {
    /// The key that is in force before the batch.
    pub(crate) fn vkey(&self) -> &'a VerifierKey {
        match self {
            Signers::One(signer) => signer.vkey(),
            Signers::Both { old, .. } => old.vkey(),
        }
    }

    /// The checkpoint with the lines it has to carry.
    pub(crate) fn sign(&self, text: &str) -> Result<String, SignError> {
        match self {
            Signers::One(signer) => sign_note(text, *signer),
            Signers::Both { old, new } => countersigned(text, *old, *new),
        }
    }

    /// Whether the change is one that these sign over: a rotation by both, all else by one.
    pub(crate) fn suit(&self, change: &Change) -> bool {
        let rotates = |event: &Event| matches!(event, Event::LogKeyRotated { .. });
        match self {
            Signers::One(_) => !change.events.iter().any(rotates),
            Signers::Both { .. } => matches!(&change.events[..], [only] if rotates(only)),
        }
    }
}

/// The keys of a log, the first as its first entry has it.
///
/// # Errors
/// What is wrong with the tables, in a sentence.
pub(crate) fn log_keys(connection: &Connection) -> Result<LogKeys, String> {
    let filter = "WHERE key = ?1 ORDER BY seq";
    let rows = SigningKeyRow::list(connection, filter, [SignerName::Log.as_str()]);
    let rows = rows.map_err(|error| error.to_string())?;
    let (first, later) = rows.split_first().ok_or("it names no key")?;
    let first = VerifierKey::parse(&first.public).map_err(|error| error.to_string())?;
    let mut keys = LogKeys::new(first);
    for row in later {
        keys.follow(&row.proof).map_err(|error| error.to_string())?;
    }
    Ok(keys)
}
