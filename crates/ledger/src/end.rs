//! Where the log ends for the process that writes it: what it signs on top of, and nothing else.

use std::path::Path;

use rusqlite::Connection;
use tlog::{Checkpoint, Hash, LogKeys};

use crate::files::{Beside, checkpoint_beside};
use crate::signers::Signers;
use crate::tip::Tip;
use crate::{Error, sql};

/// Where the log ends, as this process found it or wrote it.
pub(crate) struct End {
    pub(crate) tip: Tip,
    pub(crate) root: Hash,
    /// What the database said of itself then: another number when somebody else committed.
    pub(crate) version: i64,
}

impl End {
    pub(crate) fn of(connection: &Connection) -> Result<End, Error> {
        let version = data_version(connection)?;
        Ok(End::at(Tip::read(connection)?, version))
    }

    pub(crate) fn at(tip: Tip, version: i64) -> End {
        End {
            root: tip.root(),
            tip,
            version,
        }
    }

    /// Nobody wrote to the log but this process: what others put there is never signed. True when
    /// somebody wrote to the file all the same, and nothing that was read of it before counts.
    pub(crate) fn is_still(&mut self, connection: &Connection) -> Result<bool, Error> {
        let version = data_version(connection)?;
        if version == self.version {
            return Ok(false);
        }
        let (from, entries) = (self.tip.size(), sql::size(connection)?);
        if entries < from {
            let signed = from;
            return Err(Error::WentBackwards { signed, entries });
        }
        if sql::root_of(connection, from)? != self.root {
            return Err(Error::Altered(from));
        }
        if entries > from {
            return Err(Error::Unsigned { from, entries });
        }
        self.version = version;
        Ok(true)
    }
}

/// A number that changes when another connection commits, inside the transaction that asks.
fn data_version(connection: &Connection) -> Result<i64, Error> {
    let mut statement = connection.prepare_cached("PRAGMA data_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// What was signed once must still be there. How many entries the newest checkpoint covers.
pub(crate) fn not_backwards(
    connection: &Connection,
    path: &Path,
    keys: &LogKeys,
) -> Result<u64, Error> {
    let entries = sql::size(connection)?;
    let in_row = match sql::newest_checkpoint(connection)? {
        Some((size, note)) => {
            // A row that is not good would hide what nobody signed.
            let good = keys.open(&note).ok();
            let good = good.filter(|checkpoint| checkpoint.size == size);
            Some(good.ok_or(Error::Altered(size))?)
        }
        None => None,
    };
    let signed = in_row.as_ref().map_or(0, |checkpoint| checkpoint.size);
    let beside = match Beside::of(checkpoint_beside(path)?, keys) {
        Beside::Signed(checkpoint) => Some(checkpoint),
        Beside::Missing | Beside::Torn | Beside::Foreign(_) => None,
    };
    for Checkpoint { size, root, .. } in in_row.into_iter().chain(beside) {
        if size > entries {
            let signed = size;
            return Err(Error::WentBackwards { signed, entries });
        }
        if sql::root_of(connection, size)? != root {
            return Err(Error::Altered(size));
        }
    }
    Ok(signed)
}

/// Signs the whole log, which the transaction leaves at `end`, and keeps the note in it.
///
/// The outer error is the database's; the inner one is the key's, and costs no entry.
pub(crate) fn sign(
    connection: &Connection,
    end: &End,
    signers: Signers<'_>,
) -> Result<Result<String, tlog::SignError>, Error> {
    let checkpoint = Checkpoint {
        origin: signers.vkey().name().to_owned(),
        size: end.tip.size(),
        root: end.root,
    };
    let note = match signers.sign(&checkpoint.to_text()) {
        Ok(note) => note,
        Err(error) => return Ok(Err(error)),
    };
    let sql = "INSERT INTO checkpoints (size, note) VALUES (?1, ?2)";
    connection
        .prepare_cached(sql)?
        .execute((crate::table::int(end.tip.size()), &note))?;
    Ok(Ok(note))
}
