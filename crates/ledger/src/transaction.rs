//! A transaction that writes, begun and ended by statements that are prepared once for all of them.

use rusqlite::Connection;

/// Taken back when it is dropped before [`Transaction::commit`].
pub(crate) struct Transaction<'a> {
    connection: &'a Connection,
    open: bool,
}

impl<'a> Transaction<'a> {
    /// Takes the right to write at once, so that what is read in it is what is written upon.
    pub(crate) fn begin(connection: &'a Connection) -> rusqlite::Result<Transaction<'a>> {
        run(connection, "BEGIN IMMEDIATE")?;
        Ok(Transaction {
            connection,
            open: true,
        })
    }

    /// Makes it durable. After an error nothing of it is known to be written, and it is taken back.
    pub(crate) fn commit(mut self) -> rusqlite::Result<()> {
        run(self.connection, "COMMIT")?;
        self.open = false;
        Ok(())
    }
}

impl std::ops::Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SQLite takes some back by itself, a full disk's for one; then there is nothing to do.
        if self.open && !self.connection.is_autocommit() {
            let _ = run(self.connection, "ROLLBACK");
        }
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
