//! What goes wrong with the log itself. A rule that refuses a change is [`Refused`].

use std::path::PathBuf;
use std::sync::Arc;

use crate::Refused;

/// The log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error("{} is in use by another process: only one may write", .0.display())]
    Busy(PathBuf),
    /// There is a log already.
    #[error("{} is a log already: choose another data directory", .0.display())]
    Exists(PathBuf),
    /// There is nothing, or nothing of ours.
    #[error("{} is not a log: {why}", .path.display())]
    NotALog {
        /// What was opened.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Written by a newer version of this software.
    #[error("the log has version {found}, this software knows up to {known}: use the newer one")]
    Newer {
        /// The version of the file.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// Written by an older version of this software, and not opened for writing since.
    #[error(
        "the log has the shape of version {found}, this software reads version {known}: start the \
         server once, which brings it up to date"
    )]
    Older {
        /// The version of the file.
        found: u32,
        /// The version that is read.
        known: u32,
    },
    /// The first entry was not accepted.
    #[error("the log cannot begin like this")]
    FirstEntry(#[source] Refused),
    /// The signed checkpoint beside the log is ahead of it or of another history.
    #[error(
        "the log went backwards: a checkpoint over {signed} entries was signed and the log has \
         {entries} (an old backup, or a cut tail): nothing is written until a person has looked"
    )]
    WentBackwards {
        /// Size of the checkpoint beside it, or in the directory that is exported to.
        signed: u64,
        /// Entries in the log.
        entries: u64,
    },
    /// The hashes do not lead to the root that was signed.
    #[error("the first {0} entries no longer lead to the root that was signed: run audit verify")]
    Altered(u64),
    /// Entries above the newest checkpoint that this process did not write.
    #[error(
        "the log has {entries} entries and from entry {from} on no signed checkpoint covers them \
         (written while the HSM was away, or added by somebody else): look at them with \
         `provisioner audit verify`, then start once with --sign-unsigned-tail"
    )]
    Unsigned {
        /// The first entry that is not covered.
        from: u64,
        /// Entries in the log.
        entries: u64,
    },
    /// The signing key is not the log's.
    #[error("this is the log of key {expected}, the key at hand is {given}")]
    OtherKey {
        /// The log's verifier key.
        expected: String,
        /// The signer's.
        given: String,
    },
    /// The log key could not be used. The entries are written; the checkpoint is not.
    #[error("the checkpoint is not signed yet")]
    Sign(#[source] tlog::SignError),
    /// No checkpoint covers anything yet.
    #[error("no checkpoint is signed yet: nothing can be exported")]
    NoCheckpoint,
    /// The checkpoint of the log is not signed by the given key.
    #[error("the newest checkpoint cannot be trusted")]
    Note(#[source] tlog::NoteError),
    /// The directory holds something else: nothing is written into it.
    #[error(
        "{} is not empty and not an earlier export of this log ({what}): choose another folder",
        .path.display()
    )]
    ForeignDirectory {
        /// Which directory.
        path: PathBuf,
        /// By what it is known not to be one.
        what: String,
    },
    /// The key index beside the database. What it holds is made again from the tables.
    #[error("the key index beside the log cannot be used")]
    Index(#[source] std::io::Error),
    /// The key index was made when the row was there.
    #[error("row {row} of table {table} was taken away: run audit verify")]
    RowLost {
        /// The table.
        table: &'static str,
        /// The entry that made the row.
        row: u64,
    },
    /// A file beside the database.
    #[error("{}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// The database.
    #[error("the log's database failed")]
    Database(#[from] rusqlite::Error),
}

/// An append that is not known to be written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// A rule forbids it; nothing was written.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Nothing is known to be written. Ask again: the rules make a repeat safe.
    #[error("the log cannot be written now")]
    Io(#[source] Arc<Error>),
    /// The writer was closed before this change; nothing was written.
    #[error("the log is closed")]
    Closed,
}
