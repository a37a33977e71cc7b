//! What an open log says of itself.

use std::path::Path;
use std::sync::Arc;

use tlog::{LogKeys, VerifierKey};

use super::Ledger;
use crate::index::Shared;
use crate::{Error, Reader};

impl Ledger {
    /// A connection of its own for reading.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::beside_writer(&self.path, self.index.shared())
    }

    /// What readers of this process find keys by.
    pub(crate) fn keys(&self) -> Arc<Shared> {
        self.index.shared()
    }

    /// Where the log is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key that signs its checkpoints now.
    #[must_use]
    pub fn vkey(&self) -> &VerifierKey {
        self.keys.newest()
    }

    /// Every key that has signed its checkpoints.
    #[must_use]
    pub fn log_keys(&self) -> &LogKeys {
        &self.keys
    }

    /// The number that the next entry will have.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.end.tip.size()
    }
}
