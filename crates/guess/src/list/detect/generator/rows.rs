//! Which rows are looked at, and in which order a generator may have filled them.

use std::collections::HashSet;

use super::field::Field;
use crate::list::Column;
use crate::list::table::spread;

/// Rows that stand together in a sample, so that a column shifted by one row still meets.
const TOGETHER: usize = 8;

/// At most about `most` rows of different passwords: blocks of neighbours, at random.
pub(super) fn sample(field: &Field<'_>, most: usize) -> Vec<usize> {
    let rows = &field.rows;
    let picked: Vec<usize> = if rows.len() <= most {
        rows.clone()
    } else {
        let blocks = (most / TOGETHER).max(1);
        let starts = spread(rows.len() / TOGETHER, blocks, field.table().seed());
        starts
            .flat_map(|block| rows[block * TOGETHER..][..TOGETHER].iter().copied())
            .collect()
    };
    distinct(field, picked)
}

/// The same rows without those whose password was there before: repeats are no further evidence.
pub(super) fn distinct(field: &Field<'_>, rows: Vec<usize>) -> Vec<usize> {
    let mut seen: HashSet<&[u8]> = HashSet::with_capacity(rows.len());
    let table = field.table();
    rows.into_iter()
        .filter(|&row| seen.insert(table.password(row)))
        .collect()
}

/// An order in which a generator may have filled the rows.
pub(super) struct Sequence {
    /// As a report says it.
    pub(super) name: &'static str,
    /// Rows of the table.
    pub(super) rows: Vec<usize>,
}

/// The file's own order, and those of its columns where they are others.
pub(super) fn sequences(field: &Field<'_>) -> Vec<Sequence> {
    let mut found = vec![Sequence {
        name: "in the file's order",
        rows: field.rows.clone(),
    }];
    let columns = [
        (Column::Serial, "in the serials' order"),
        (Column::Mac, "in the addresses' order"),
        (Column::Date, "in the dates' order"),
    ];
    for (column, name) in columns {
        if !field.table().has(column) {
            continue;
        }
        let mut keyed: Vec<(u8, u128, u32)> = field
            .rows
            .iter()
            .map(|&row| key(field, column, row))
            .collect();
        // Equal cells keep the file's order: the row is part of the key.
        keyed.sort_unstable();
        let rows: Vec<usize> = keyed.iter().map(|&(_, _, row)| row as usize).collect();
        if found.iter().all(|sequence| sequence.rows != rows) {
            found.push(Sequence { name, rows });
        }
    }
    found
}

/// Length and last 21 letters and digits of a cell in one number: a million rows are sorted in a
/// tenth of a second.
fn key(field: &Field<'_>, column: Column, row: usize) -> (u8, u128, u32) {
    let text = field.table().cell(column, row);
    let mut length = 0u8;
    let mut packed = 0u128;
    for byte in text.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        length = length.saturating_add(1);
        packed = (packed << 6 | u128::from(byte.to_ascii_uppercase() - b'0')) & (u128::MAX >> 2);
    }
    (length, packed, row as u32)
}
