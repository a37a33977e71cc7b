//! What a start finds: the runs that may be believed, and the rows that no run speaks of.

use std::sync::Arc;

use rusqlite::Connection;

use super::key::{self, Keyed};
use super::run::{Record, Run, Span, is_damage};
use crate::disk::Disk;
use crate::{Error, sql};

/// The runs that are whole, of this log, and side by side from entry 0 on; the widest where a crash
/// left a merged one beside those it was merged from.
pub(super) fn whole_runs(
    connection: &Connection,
    disk: &dyn Disk,
    size: u64,
    resident: bool,
) -> Result<Vec<Arc<Run>>, Error> {
    let mut spans: Vec<(u64, u64)> = disk
        .list()
        .map_err(Error::Index)?
        .iter()
        .filter_map(|name| Span::ends(name))
        .collect();
    spans.sort_unstable_by_key(|&(from, to)| (from, std::cmp::Reverse(to)));
    let mut runs: Vec<Arc<Run>> = Vec::new();
    for (from, to) in spans {
        let end = runs.last().map_or(0, |run| run.span.to);
        if from != end || to <= from || to > size {
            continue;
        }
        match Run::open(disk, &format!("{from}-{to}.run"), resident) {
            Ok(run) if sql::root_of(connection, to)? == run.span.root => runs.push(Arc::new(run)),
            Ok(_) => {}
            Err(error) if is_damage(&error) => {}
            Err(error) => return Err(Error::Index(error)),
        }
    }
    Ok(runs)
}

/// The records of the rows that these entries made first.
pub(super) fn rows_between<T: Keyed>(
    connection: &Connection,
    entries: std::ops::Range<u64>,
    records: &mut Vec<Record>,
) -> Result<(), Error> {
    let (row, column, table) = (T::ROW, T::COLUMN, T::NAME);
    let sql = format!("SELECT {row}, {column} FROM {table} WHERE {row} >= ?1 AND {row} < ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let bounds = [entries.start, entries.end].map(crate::table::int);
    let mut rows = statement.query(bounds)?;
    while let Some(cells) = rows.next()? {
        let row: i64 = cells.get(0)?;
        let key = cells
            .get_ref(1)?
            .as_bytes()
            .map_err(rusqlite::Error::from)?;
        records.push(key::record::<T>(key, row.unsigned_abs()));
    }
    Ok(())
}
