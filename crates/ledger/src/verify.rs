//! The audit of a database: everything recomputed, nothing believed.
//!
//! A damaged page is a finding like any other: reading goes on with what can still be read.

use std::path::Path;

use rusqlite::{Connection, Rows as SqlRows};
use tlog::{Hash, VerifierKey};

use crate::files::{Beside, checkpoint_beside, open_checkpoint};
use crate::index::{self, Cold};
use crate::memory::{Memory, Rows};
use crate::replay::{Findings, Replay, Report, StoredHashes};
use crate::rows::{Row, StepRow};
use crate::table::{Cells, Table, int};
use crate::tail::{check_beside, check_tail};
use crate::{Error, schema};

/// Entries between two calls of `progress`.
const PROGRESS_EVERY: u64 = 1_000;

/// Recomputes the whole log at `path` and compares: leaf and node hashes, every checkpoint's root
/// and signature, the rules over every entry, every derived row, and the file's own structure.
///
/// A writer may be at work; what is checked is one moment. `progress` gets entries done and
/// entries there are. Memory grows by about 1 kB per unit.
///
/// # Errors
/// [`Error::NotALog`] when there is no such file. Whatever is wrong inside it is a finding.
pub fn verify(
    path: &Path,
    vkey: &VerifierKey,
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
    // Read first: a writer may go on, and then the file is ahead of what is checked.
    let beside = checkpoint_beside(path, vkey)?;
    match check(path, &mut replay, beside, progress) {
        Ok(()) => {}
        Err(error @ (Error::Older { .. } | Error::Newer { .. })) => {
            replay.findings.add(None, error.to_string());
        }
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
    beside: Beside,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let connection = schema::reader(path)?;
    schema::check_version(&connection, path)?;
    connection.execute_batch("BEGIN")?;
    check_structure(&connection, &mut replay.findings)?;
    let whole = replay_entries(&connection, replay, progress);
    check_beside(&connection, replay, beside);
    whole?;
    check_tail(replay);
    let memory = std::mem::take(&mut replay.memory);
    index::check(
        &connection,
        &Cold::beside(path),
        &memory,
        &mut replay.findings,
    )?;
    check_derived(&connection, memory, &mut replay.findings);
    Ok(())
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

/// Entries, hashes and checkpoints, side by side in one pass.
fn replay_entries(
    connection: &Connection,
    replay: &mut Replay<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let total = count("SELECT count(*) FROM entries")?.unsigned_abs();
    let hashes_there = count("SELECT count(*) FROM hashes")?.unsigned_abs();
    let mut entries = connection.prepare("SELECT seq, bytes FROM entries ORDER BY seq")?;
    let mut hashes = connection.prepare("SELECT position, hash FROM hashes ORDER BY position")?;
    let mut checkpoints = connection.prepare("SELECT size, note FROM checkpoints ORDER BY size")?;
    let mut hashes = HashStream {
        rows: Stream::new(hashes.query([])?),
        position: 0,
    };
    let mut checkpoints = Stream::new(checkpoints.query([])?);
    let mut entries = Stream::new(entries.query([])?);
    let mut steps = 0;

    while let Some((seq, bytes)) = entries.next()? {
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
        let rows = replay.feed(Some(&bytes), &mut hashes);
        steps += check_steps(connection, &rows, &mut replay.findings);
        check_checkpoints(replay, &mut checkpoints)?;
        if replay.size.is_multiple_of(PROGRESS_EVERY) {
            progress(replay.size, total);
        }
    }
    progress(replay.size, total);
    let size = replay.size;
    if hashes.rows.next()?.is_some() {
        let what = "it is missing, and so are all after it: there are hashes of more entries";
        replay.findings.add(size, what);
    }
    while let Some((signed, note)) = checkpoints.next()? {
        let good = open_checkpoint(&String::from_utf8_lossy(&note), replay.key);
        if good.is_ok_and(|checkpoint| checkpoint.size == signed) {
            replay.covered = signed;
        }
        let what = format!("it is missing: a checkpoint over {signed} entries was signed");
        replay.findings.add(size, what);
    }
    let stray = count("SELECT count(*) FROM steps")?.saturating_sub(steps);
    if stray > 0 {
        let what = format!("table steps has {stray} rows that no entry speaks of");
        replay.findings.add(None, what);
    }
    Ok(())
}

/// The checkpoints over exactly the entries replayed so far.
fn check_checkpoints(replay: &mut Replay<'_>, rows: &mut Stream<'_>) -> Result<(), Error> {
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

/// The rows of `steps` that an entry makes; how many are there.
fn check_steps(connection: &Connection, rows: &[Row], findings: &mut Findings) -> i64 {
    let mut there = 0;
    for row in rows {
        let Row::Step(step) = row else { continue };
        let params = (step.serial.as_str(), int(step.seq));
        match StepRow::find(connection, "WHERE serial = ?1 AND seq = ?2", params) {
            Ok(Some(found)) => {
                there += 1;
                if found != *step {
                    findings.add(step.seq, "its row in table steps is not what it says");
                }
            }
            Ok(None) => findings.add(step.seq, "its row in table steps is missing"),
            Err(error) => findings.add(step.seq, format!("its row in table steps: {error}")),
        }
    }
    there
}

/// Every derived table against what the entries add up to.
fn check_derived(connection: &Connection, memory: Memory, findings: &mut Findings) {
    compare(connection, memory.log, findings);
    compare(connection, memory.products, findings);
    compare(connection, memory.orders, findings);
    compare(connection, memory.stations, findings);
    compare(connection, memory.tokens, findings);
    compare(connection, memory.units, findings);
    compare(connection, memory.device_ids, findings);
    compare(connection, memory.keys, findings);
    compare(connection, memory.issues, findings);
    compare(connection, memory.stops, findings);
}

fn compare<T: Table>(connection: &Connection, rows: Rows<T>, findings: &mut Findings) {
    let mut expected = rows.0;
    if let Err(error) = compare_rows(connection, &mut expected, findings) {
        // What could not be read is not missing; the one finding says it all.
        findings.add(None, format!("table {} is damaged: {error}", T::NAME));
        return;
    }
    for (key, row) in expected {
        findings.add(
            row.seq(),
            format!("its row {key} in table {} is missing", T::NAME),
        );
    }
}

/// Takes from `expected` what is in the table.
fn compare_rows<T: Table>(
    connection: &Connection,
    expected: &mut std::collections::HashMap<T::Key, T>,
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
        let (key, table) = (found.key(), T::NAME);
        match expected.remove(&key) {
            Some(row) if row == found => {}
            Some(row) => {
                let what = format!("row {key} of table {table} is not what the entries add up to");
                findings.add(row.seq(), what);
            }
            None => findings.add(
                None,
                format!("no entry speaks of row {key} of table {table}"),
            ),
        }
    }
    Ok(())
}

/// Rows of a number and some bytes, in order, with one row of foresight.
struct Stream<'a> {
    rows: SqlRows<'a>,
    peeked: Option<(u64, Vec<u8>)>,
}

impl<'a> Stream<'a> {
    fn new(rows: SqlRows<'a>) -> Stream<'a> {
        Stream { rows, peeked: None }
    }

    fn peek(&mut self) -> rusqlite::Result<Option<&(u64, Vec<u8>)>> {
        if self.peeked.is_none() {
            self.peeked = match self.rows.next()? {
                Some(row) => {
                    // A negative number becomes a huge one, which no entry can have.
                    let number = row.get::<_, i64>(0)?.cast_unsigned();
                    let bytes = row
                        .get_ref(1)?
                        .as_bytes_or_null()?
                        .unwrap_or_default()
                        .to_vec();
                    Some((number, bytes))
                }
                None => None,
            };
        }
        Ok(self.peeked.as_ref())
    }

    fn next(&mut self) -> rusqlite::Result<Option<(u64, Vec<u8>)>> {
        self.peek()?;
        Ok(self.peeked.take())
    }
}

/// The stored hashes in their order, which is the order the replay asks in.
struct HashStream<'a> {
    rows: Stream<'a>,
    position: u64,
}

impl StoredHashes for HashStream<'_> {
    fn stored(&mut self, level: u8, n: u64, findings: &mut Findings) -> Option<Hash> {
        let wanted = self.position;
        self.position += 1;
        let seq = ((n + 1) << level) - 1;
        // Numbers that were altered sort where they do not belong.
        while let Ok(Some((position, _))) = self.rows.peek()
            && (*position < wanted || i64::try_from(*position).is_err())
        {
            findings.add(
                None,
                format!(
                    "there is a hash at the impossible position {}",
                    position.cast_signed()
                ),
            );
            self.rows.peeked = None;
        }
        match self.rows.peek() {
            Ok(Some((position, _))) if *position == wanted => {}
            Ok(_) => {
                findings.add(
                    seq,
                    format!("the stored hash at position {wanted} is missing"),
                );
                return None;
            }
            Err(error) => {
                let what = format!("the stored hash at position {wanted}: {error}");
                findings.add(seq, what);
                return None;
            }
        }
        let (_, bytes) = self.rows.next().ok().flatten()?;
        let hash = Hash::try_from(bytes).ok();
        if hash.is_none() {
            findings.add(
                seq,
                format!("the stored hash at position {wanted} is not 32 bytes"),
            );
        }
        hash
    }
}

fn sentence(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
