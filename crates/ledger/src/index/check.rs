//! The audit of the key index: it knows what the entries add up to, and nothing else.

use rusqlite::Connection;

use super::run::Run;
use super::{Cold, Keyed, hash, row_of};
use crate::Error;
use crate::findings::Findings;
use crate::memory::{Memory, Rows};
use std::sync::Arc;

/// Compares the runs beside the log with what was replayed. What a start would make again anyway
/// (a run that is missing, torn or of another log) is no finding; one that is believed and wrong is.
pub(crate) fn check(
    connection: &Connection,
    index: &Cold,
    memory: &Memory,
    findings: &mut Findings,
) -> Result<(), Error> {
    let runs = index.runs(connection)?;
    let known = runs.iter().map(|run| run.count()).sum::<u64>();
    let expected = every(&runs, &memory.units, |row| row.first_seq, findings)
        + every(&runs, &memory.device_ids, |row| row.first_seq, findings)
        + every(&runs, &memory.keys, |row| row.seq, findings)
        + every(&runs, &memory.issues, |row| row.seq, findings);
    if known > expected {
        let what = format!("the key index has {} records too many", known - expected);
        findings.add(None, what);
    }
    Ok(())
}

/// Looks up each row of a table that the runs speak of; how many those are.
fn every<T: Keyed>(
    runs: &[Arc<Run>],
    rows: &Rows<T>,
    first: impl Fn(&T) -> u64,
    findings: &mut Findings,
) -> u64 {
    let mut there = 0;
    for row in rows.all() {
        let (key, seq) = (&row.key(), first(row));
        let Some(run) = runs
            .iter()
            .find(|run| run.span.from <= seq && seq < run.span.to)
        else {
            continue;
        };
        there += 1;
        let mut found = Vec::new();
        let what = match run.find(hash::<T>(T::bytes(key)), &mut found) {
            Ok(()) if found.iter().any(|&value| row_of::<T>(value) == Some(seq)) => continue,
            Ok(()) => format!("the key index does not know {key} of table {}", T::NAME),
            Err(error) => format!("the key index cannot find {key}: {error}"),
        };
        findings.add(seq, what);
    }
    there
}
