//! How the server's word can fail to be taken.

use std::io;

use thiserror::Error;

/// Why the server's word is not taken.
#[derive(Debug, Error)]
pub enum LogError {
    /// The proof does not prove, or proves something else.
    #[error("the server's proof does not hold: {0}")]
    NoProof(String),
    /// The log is shorter than it was.
    #[error(
        "the server's log went backwards: it had {had} entries, now {has}; when it was recovered, a \
         lead looks at it with `station-cli recovery`"
    )]
    WentBack {
        /// Entries this station has seen.
        had: u64,
        /// Entries the server now has.
        has: u64,
    },
    /// Two logs that differ within one length.
    #[error(
        "the first {size} entries of the server's log are not the ones it had before; when it was \
         recovered, a lead looks at it with `station-cli recovery`"
    )]
    Forked {
        /// Entries of either.
        size: u64,
    },
    /// The station cannot remember what it saw.
    #[error("{path} cannot be read or written: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}
