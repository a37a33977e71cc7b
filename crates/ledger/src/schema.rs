//! Opening the database: version, migrations, and the pragmas that durability rests on.

use std::path::Path;
use std::time::Duration;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags};

use crate::Error;

/// Numbered migrations; the number of the last is the file's `user_version`.
const MIGRATIONS: [&str; 8] = [
    include_str!("../migrations/0001_log.sql"),
    include_str!("../migrations/0002_stops.sql"),
    include_str!("../migrations/0003_flat.sql"),
    include_str!("../migrations/0004_signing_keys.sql"),
    include_str!("../migrations/0005_recovered.sql"),
    include_str!("../migrations/0006_reprints.sql"),
    include_str!("../migrations/0007_leases.sql"),
    include_str!("../migrations/0008_lapsed.sql"),
];
/// The migration behind which every table is read as it is.
const READ_FROM: u32 = 4;
/// The migration that brought the tables of recoveries. A file that no newer software wrote to yet
/// has none of them, and nothing to put into them.
pub(crate) const RECOVERED: u32 = 5;
/// The same for the table of reprints.
pub(crate) const REPRINTED: u32 = 6;
/// The same for the tables of leases.
pub(crate) const LEASED: u32 = 7;
/// Prepared statements kept per connection; there are about 40.
const STATEMENTS: usize = 64;
/// How long a reader's or writer's lock is waited for. Readers never block in WAL mode; this
/// covers the moments at which the WAL is restarted.
const BUSY: Duration = Duration::from_secs(5);

/// The one connection that writes. Makes the file when `create`, else it must be there.
pub(crate) fn writer(path: &Path, create: bool) -> Result<Connection, Error> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let mut connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL syncs the WAL at each commit: what `append` has answered survives a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Folded in by `Ledger::maintain`, when nobody waits for it.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -16_384)?; // 16 MiB: what is written is at the end
    // No stale copy of an entry stays in a page that was split: whoever searches the file for an
    // entry finds the one that counts, and an altered byte of it is an altered entry.
    connection.pragma_update(None, "secure_delete", true)?;
    migrate(&mut connection, MIGRATIONS.len() as u32)?;
    connection.authorizer(Some(keeps))?;
    Ok(connection)
}

/// What was recorded is kept for the longer of 10 years and the product's support period, and
/// nothing here deletes it then either: no statement of this software that deletes or changes an
/// entry, a hash or a checkpoint, or takes away a table or index, is even prepared.
fn keeps(context: AuthContext<'_>) -> Authorization {
    let kept = |table: &str| ["entries", "hashes", "checkpoints"].contains(&table);
    match context.action {
        AuthAction::Delete { table_name } | AuthAction::Update { table_name, .. }
            if kept(table_name) =>
        {
            Authorization::Deny
        }
        AuthAction::DropTable { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::AlterTable { .. } => Authorization::Deny,
        _ => Authorization::Allow,
    }
}

/// A connection that only reads.
pub(crate) fn reader(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

/// An empty database in memory, as migration `number` leaves it.
pub(crate) fn blank(number: u32) -> Result<Connection, Error> {
    let mut connection = Connection::open_in_memory()?;
    migrate(&mut connection, number)?;
    Ok(connection)
}

/// The version of the file, when it is one this software knows and not empty.
pub(crate) fn check_version(connection: &Connection, path: &Path) -> Result<(), Error> {
    match version(connection)? {
        0 => Err(Error::NotALog {
            path: path.to_owned(),
            why: "it is empty".to_owned(),
        }),
        found if found > MIGRATIONS.len() as u32 => Err(Error::Newer {
            found,
            known: MIGRATIONS.len() as u32,
        }),
        // A table had another shape or was not there: reading on would find nothing, or all of it damaged.
        found if found < READ_FROM => Err(Error::Older {
            found,
            known: MIGRATIONS.len() as u32,
        }),
        _ => Ok(()),
    }
}

fn prepare(connection: &Connection) -> Result<(), Error> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A page that was altered outside is reported, not followed.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// The number of the last migration the file has seen. One that no newer software wrote to since
/// an update is an older one until it does.
pub(crate) fn version(connection: &Connection) -> Result<u32, Error> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Each migration up to `last` in its own transaction with its number: a crash leaves the one
/// before.
fn migrate(connection: &mut Connection, last: u32) -> Result<(), Error> {
    let found = version(connection)?;
    if found > MIGRATIONS.len() as u32 {
        return Err(Error::Newer {
            found,
            known: MIGRATIONS.len() as u32,
        });
    }
    for (number, sql) in (1..=last).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        writer(&path, true)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        assert!(matches!(
            writer(&path, false),
            Err(Error::Newer {
                found: 99,
                known: 8
            })
        ));
        let reader = reader(&path).unwrap();
        assert!(matches!(
            check_version(&reader, &path),
            Err(Error::Newer { found: 99, .. })
        ));
    }

    #[test]
    fn an_older_file_is_brought_up_to_date_and_keeps_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        {
            let mut old = Connection::open(&path).unwrap();
            migrate(&mut old, 1).unwrap();
            let sql = "INSERT INTO entries (seq, bytes) VALUES (0, x'00')";
            old.execute(sql, []).unwrap();
        }
        let connection = writer(&path, false).unwrap();
        assert_eq!(version(&connection).unwrap(), 8);
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        assert_eq!(count("SELECT count(*) FROM entries").unwrap(), 1);
        assert_eq!(count("SELECT count(*) FROM stops").unwrap(), 0);
    }

    #[test]
    fn nothing_deletes_or_changes_what_was_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let connection = writer(&folder.path().join("log.db"), true).unwrap();
        let fill = [
            "INSERT INTO entries VALUES (0, x'00')",
            "INSERT INTO hashes VALUES (0, zeroblob(32))",
            "INSERT INTO checkpoints VALUES (1, 'signed')",
        ];
        for sql in fill {
            connection.execute(sql, []).unwrap();
        }
        for sql in [
            "DELETE FROM entries",
            "DELETE FROM hashes WHERE position = 0",
            "DELETE FROM checkpoints",
            "UPDATE entries SET bytes = x'01'",
            "UPDATE hashes SET hash = zeroblob(32)",
            "UPDATE checkpoints SET note = 'forged'",
            "INSERT INTO entries VALUES (0, x'01') ON CONFLICT (seq) DO UPDATE SET bytes = x'01'",
            "DROP TABLE entries",
            "ALTER TABLE entries RENAME TO gone",
            "DROP INDEX units_open",
        ] {
            assert!(connection.execute(sql, []).is_err(), "{sql}");
        }
        let bytes: Vec<u8> = connection
            .query_row("SELECT bytes FROM entries", [], |row| row.get(0))
            .unwrap();
        assert_eq!(bytes, [0]);
    }

    #[test]
    fn what_durability_rests_on_is_set() {
        let folder = tempfile::tempdir().unwrap();
        let connection = writer(&folder.path().join("log.db"), true).unwrap();
        let text = |name| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(text("journal_mode").unwrap(), "wal");
        assert_eq!(number("synchronous").unwrap(), 2);
    }
}
