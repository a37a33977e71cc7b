//! The audit of a database: everything recomputed, nothing believed.
//!
//! A damaged page is a finding like any other: reading goes on with what can still be read.

use std::path::Path;

use rusqlite::Connection;
use tlog::{Checkpoint, VerifierKey};

use crate::ahead::{Ahead, Block};
use crate::files::checkpoint_beside;
use crate::findings::{Findings, Report};
use crate::index::{self, Cold};
use crate::memory::{Memory, Rows};
use crate::profiles::{ProfileOf, Profiles};
use crate::remembered::{goes_on_from, peaks};
use crate::replay::Replay;
use crate::sql::stored_hash;
use crate::steps::Steps;
use crate::stream::{self, HashStream, Stream};
use crate::table::{Cells, Table, int};
use crate::tail::{check_beside, check_tail};
use crate::{Error, schema};

/// Entries between two calls of `progress`.
const PROGRESS_EVERY: u64 = 1_000;

/// What an audit is held against, and how much of it is done again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit<'a> {
    /// Checkpoints that others remember: the log must go on from each of them.
    pub remembered: &'a [Checkpoint],
    /// A checkpoint that an earlier audit ended with. The entries it covers are not read again;
    /// that the log still begins with them is proven from hashes. Entries behind it are hashed
    /// and checked for their form, their numbers and repeated passwords among themselves; the
    /// rules that need the entries before them, and the derived tables, are left to a whole audit.
    pub since: Option<&'a Checkpoint>,
    /// Threads that hash and parse ahead of the rules; 0 and 1 do all in one thread. From 2 on, the
    /// structure of a database file is looked at beside them, in one more.
    pub threads: usize,
    /// Reads what a product's definition says of its device profile: then each load must have been
    /// vouched for as that says. Left out behind a trusted checkpoint, with the rules.
    pub profile_of: Option<ProfileOf>,
}

/// Recomputes the whole log at `path` and compares: leaf and node hashes, every checkpoint's root
/// and signature, the rules over every entry, every derived row, and the file's own structure.
///
/// A writer may be at work; what is checked is one moment. `progress` gets entries done and
/// entries there are. Memory grows by about 1 kB per unit.
///
/// # Errors
/// [`Error::NotALog`] when there is no such file; [`Error::Newer`] and [`Error::Older`] when it is
/// for another version of this software to judge. Whatever is wrong inside it is a finding.
pub fn verify(
    path: &Path,
    vkey: &VerifierKey,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, Error> {
    verify_with(path, vkey, &Audit::default(), progress)
}

/// The same as [`verify`], held against what others remember, from a trusted checkpoint on, or
/// with more threads.
///
/// # Errors
/// Those of [`verify`].
pub fn verify_with(
    path: &Path,
    vkey: &VerifierKey,
    audit: &Audit<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, Error> {
    if !path.is_file() {
        let why = "there is no such file".to_owned();
        return Err(Error::NotALog {
            path: path.to_owned(),
            why,
        });
    }
    let mut replay = Replay::new(vkey);
    replay.profiles = Profiles::read_by(audit.profile_of);
    // Read first: a writer may go on, and then the file is ahead of what is checked.
    let beside = checkpoint_beside(path)?;
    match check(path, &mut replay, audit, beside, progress) {
        Ok(()) => {}
        Err(error @ (Error::Older { .. } | Error::Newer { .. })) => return Err(error),
        Err(error) => replay.findings.add(
            None,
            format!("the database is damaged: {}", sentence(&error)),
        ),
    }
    Ok(replay.report())
}

fn check(
    path: &Path,
    replay: &mut Replay<'_>,
    audit: &Audit<'_>,
    beside: Option<Vec<u8>>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let connection = schema::reader(path)?;
    schema::check_version(&connection, path)?;
    connection.execute_batch("BEGIN")?;
    if let Some(trusted) = audit.since {
        let mut read = |position| stored_hash(&connection, position);
        let found = peaks(trusted.size, &mut read).unwrap_or_default();
        if !replay.skip(trusted, found) {
            return Ok(());
        }
    } else if audit.threads < 2 {
        check_structure(&connection, &mut replay.findings)?;
    }
    let whole = std::thread::scope(|scope| {
        // Of another moment when somebody is writing, and as good: each has a file that is whole.
        let aside = audit.since.is_none() && audit.threads > 1;
        let structure = aside.then(|| scope.spawn(|| structure_of(path)));
        let ahead = &mut Ahead::new(audit.threads);
        let whole = replay_entries(&connection, replay, ahead, progress);
        if let Some(structure) = structure {
            match structure
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            {
                Ok(found) => replay.findings.put_first(found),
                Err(error) => return Err(error),
            }
        }
        whole
    });
    check_beside(&connection, replay, beside);
    whole?;
    check_tail(replay);
    let mut read = |position| stored_hash(&connection, position).map_err(|e| e.to_string());
    goes_on_from(replay, audit.remembered, &mut read);
    // What a newer program wrote changed tables in ways that are not known here.
    if audit.since.is_some() || replay.newer.is_some() {
        return Ok(());
    }
    let memory = std::mem::take(&mut replay.memory);
    index::check(
        &connection,
        &Cold::beside(path),
        &memory,
        &mut replay.findings,
    )?;
    check_derived(&connection, &memory, &mut replay.findings);
    Ok(())
}

/// The same on a connection of its own.
fn structure_of(path: &Path) -> Result<Findings, Error> {
    let mut findings = Findings::default();
    check_structure(&schema::reader(path)?, &mut findings)?;
    Ok(findings)
}

/// The file's b-trees, and that no table, index or constraint was taken away.
fn check_structure(connection: &Connection, findings: &mut Findings) -> Result<(), Error> {
    let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            findings.add(None, format!("the database is damaged: {line}"));
        }
    }
    if schema_of(connection)? != schema_of(&schema::blank(schema::version(connection)?)?)? {
        findings.add(
            None,
            "the tables are not those this software makes: a constraint was changed",
        );
    }
    Ok(())
}

fn schema_of(connection: &Connection) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT name, coalesce(sql, '') FROM sqlite_schema \
        WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name, sql";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Entries, hashes and checkpoints, side by side in one pass, from where the replay stands.
fn replay_entries(
    connection: &Connection,
    replay: &mut Replay<'_>,
    ahead: &mut Ahead<rusqlite::Error>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let start = replay.size;
    let first_hash = tlog::stored_count(start);
    // From the very beginning also what has an impossible number is looked at.
    let from = |first| if start == 0 { i64::MIN } else { int(first) };
    let count = |table: &str, number: &str, first| {
        // Without a condition it is the pages that are counted, not the rows.
        let behind = format!(" WHERE {number} >= {first}");
        let behind = if start == 0 { "" } else { &behind };
        let sql = format!("SELECT count(*) FROM {table}{behind}");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
    };
    let total = start + count("entries", "seq", start)?.unsigned_abs();
    let hashes_there = first_hash + count("hashes", "position", first_hash)?.unsigned_abs();
    let sql = "SELECT seq, bytes FROM entries WHERE seq >= ?1 ORDER BY seq";
    let mut entries = connection.prepare(sql)?;
    let sql = "SELECT position, hash FROM hashes WHERE position >= ?1 ORDER BY position";
    let mut hashes = connection.prepare(sql)?;
    let sql = "SELECT size, note FROM checkpoints WHERE size >= ?1 ORDER BY size";
    let mut checkpoints = connection.prepare(sql)?;
    let mut hashes = HashStream::new(hashes.query([from(first_hash)])?, first_hash);
    let mut checkpoints = Stream::new(checkpoints.query([from(start)])?);
    let mut entries = entries.query([from(start)])?;
    let mut read = |block: &mut Block| -> rusqlite::Result<bool> {
        let Some(row) = entries.next()? else {
            return Ok(false);
        };
        block.push(stream::number(row)?, stream::bytes(row)?);
        Ok(true)
    };
    let sql = "SELECT seq, serial, seq, state, before FROM steps ORDER BY seq";
    let mut steps = connection.prepare(sql)?;
    let mut steps = Steps::new(steps.query([])?);
    if start > 0 {
        check_checkpoints(replay, &mut checkpoints)?;
    }

    while let Some((seq, entry)) = ahead.next(&mut read)? {
        // No place for it: a number that was altered, not a gap of billions of entries.
        if seq < replay.size || seq >= total.max(hashes_there) {
            replay.findings.add(
                None,
                format!(
                    "there is an entry with the impossible number {}",
                    seq.cast_signed()
                ),
            );
            continue;
        }
        while replay.size < seq {
            replay.feed(None, &mut hashes);
            check_checkpoints(replay, &mut checkpoints)?;
        }
        let made = replay.feed(Some(entry), &mut hashes);
        if let Some(step) = made {
            steps.check(&step, &mut replay.findings);
        }
        check_checkpoints(replay, &mut checkpoints)?;
        if replay.size.is_multiple_of(PROGRESS_EVERY) {
            progress(replay.size, total);
        }
    }
    progress(replay.size, total);
    check_rest(replay, &mut hashes, &mut checkpoints)?;
    if start == 0 && replay.newer.is_none() {
        steps.check_rest(&mut replay.findings);
    }
    Ok(())
}

/// What is left when there are no more entries: hashes and checkpoints over more of them.
fn check_rest(
    replay: &mut Replay<'_>,
    hashes: &mut HashStream<'_>,
    checkpoints: &mut Stream<'_, Vec<u8>>,
) -> Result<(), Error> {
    let size = replay.size;
    if hashes.next()?.is_some() {
        let what = "it is missing, and so are all after it: there are hashes of more entries";
        replay.findings.add(size, what);
    }
    while let Some((signed, note)) = checkpoints.next()? {
        let good = replay.keys.open(&String::from_utf8_lossy(&note));
        if good.is_ok_and(|checkpoint| checkpoint.size == signed) {
            replay.covered = signed;
        }
        let what = format!("it is missing: a checkpoint over {signed} entries was signed");
        replay.findings.add(size, what);
    }
    Ok(())
}

/// The checkpoints over exactly the entries replayed so far.
fn check_checkpoints(replay: &mut Replay<'_>, rows: &mut Stream<'_, Vec<u8>>) -> Result<(), Error> {
    while let Some((size, _)) = rows.peek()?
        && *size <= replay.size
    {
        let Some((size, note)) = rows.next()? else {
            break;
        };
        if size < replay.size {
            let what = format!(
                "there is a checkpoint with the impossible size {}",
                size.cast_signed()
            );
            replay.findings.add(None, what);
            continue;
        }
        match std::str::from_utf8(&note) {
            Ok(note) => replay.checkpoint(note),
            Err(_) => {
                let what = format!("the checkpoint over {size} entries is not text");
                replay.findings.add(size.checked_sub(1), what);
            }
        }
    }
    Ok(())
}

/// Every derived table against what the entries add up to.
fn check_derived(connection: &Connection, memory: &Memory, findings: &mut Findings) {
    compare(connection, &memory.log, findings);
    compare(connection, &memory.products, findings);
    compare(connection, &memory.orders, findings);
    compare(connection, &memory.stations, findings);
    compare(connection, &memory.tokens, findings);
    compare(connection, &memory.units, findings);
    compare(connection, &memory.device_ids, findings);
    compare(connection, &memory.keys, findings);
    compare(connection, &memory.issues, findings);
    compare(connection, &memory.stops, findings);
    compare(connection, &memory.signing_keys, findings);
    let there = schema::version(connection).is_ok_and(|found| found >= schema::RECOVERED);
    if there || memory.recoveries.len() > 0 || memory.blocks.len() > 0 {
        compare(connection, &memory.recoveries, findings);
        compare(connection, &memory.blocks, findings);
    }
    let there = schema::version(connection).is_ok_and(|found| found >= schema::REPRINTED);
    if there || memory.reprints.len() > 0 {
        compare(connection, &memory.reprints, findings);
    }
    let there = schema::version(connection).is_ok_and(|found| found >= schema::LEASED);
    if there || memory.leases.len() > 0 {
        compare(connection, &memory.leases, findings);
        compare(connection, &memory.lease_counts, findings);
    }
}

fn compare<T: Table>(connection: &Connection, expected: &Rows<T>, findings: &mut Findings) {
    let mut seen = vec![false; expected.len()];
    if let Err(error) = compare_rows(connection, expected, &mut seen, findings) {
        // What could not be read is not missing; the one finding says it all.
        findings.add(None, format!("table {} is damaged: {error}", T::NAME));
        return;
    }
    for (row, _) in expected.all().zip(seen).filter(|(_, seen)| !seen) {
        let what = format!("its row {} in table {} is missing", row.key(), T::NAME);
        findings.add(row.seq(), what);
    }
}

/// Notes which of the rows that are expected are in the table.
fn compare_rows<T: Table>(
    connection: &Connection,
    expected: &Rows<T>,
    seen: &mut [bool],
    findings: &mut Findings,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(T::SELECT)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let found = match T::read(&mut Cells::new(row)) {
            Ok(found) => found,
            Err(error) => {
                findings.add(
                    None,
                    format!("a row of table {} is damaged: {error}", T::NAME),
                );
                continue;
            }
        };
        let place = expected.place(&found.key());
        let place = place.filter(|&place| !std::mem::replace(&mut seen[place], true));
        let Some(row) = place.map(|place| expected.at(place)) else {
            let (key, table) = (found.key(), T::NAME);
            let what = format!("no entry speaks of row {key} of table {table}");
            findings.add(None, what);
            continue;
        };
        if *row != found {
            let (key, table) = (found.key(), T::NAME);
            let what = format!("row {key} of table {table} is not what the entries add up to");
            findings.add(row.seq(), what);
        }
    }
    Ok(())
}

fn sentence(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
