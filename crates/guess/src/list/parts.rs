//! What a list is cut into, so that rows of another make hide nothing.
//!
//! Detectors look at rows of one length over one alphabet. A list with two products in it, or with a
//! few odd rows, is looked at as a whole and again part by part. What stays unexamined is said.

use std::collections::BTreeMap;

use super::Column;
use super::shape::ALPHABETS;
use super::table::Table;

/// Fewest rows of a part, and the least share of the rows.
const PART_ROWS: usize = 8;
const PART_SHARE: f64 = 0.02;

/// Most parts: each costs as much as the whole.
const PARTS_MAX: usize = 3;

/// The share of a part's rows that an alphabet must hold, for the others to be the odd ones.
const HELD: f64 = 0.9;

/// Rows under which most tests have nothing to go by.
const FEW: usize = 30;

/// Rows that are searched for hashes and for identifiers in a long list.
const HASHED: usize = 56;
const SEARCHED: usize = 400;

/// Rows that detectors look at together.
pub(super) struct Part<'a> {
    pub(super) number: usize,
    pub(super) table: Table<'a>,
    /// Whether it is all rows of the most common length: whoever looks at no others need not look at
    /// the whole list as well.
    pub(super) most_common: bool,
    /// Before the evidence: which rows these are.
    pub(super) says: String,
}

/// The whole list, and the parts that differ from it.
pub(super) fn parts<'a>(table: &Table<'a>) -> Vec<Part<'a>> {
    let mut parts = vec![Part {
        number: 0,
        table: table.clone(),
        most_common: false,
        says: String::new(),
    }];
    for (rank, (length, rows)) in lengths(table).into_iter().enumerate().take(PARTS_MAX) {
        let (held, odd) = held(table, rows);
        if held.len() == table.len() || (odd == 0 && held.len() < least(table)) {
            continue;
        }
        let rows = held.len();
        parts.push(Part {
            number: parts.len(),
            table: table.pick(held),
            most_common: rank == 0 && odd == 0,
            says: format!("in the {rows} rows of {length} like symbols: "),
        });
    }
    parts
}

fn least(table: &Table<'_>) -> usize {
    PART_ROWS.max((table.len() as f64 * PART_SHARE) as usize)
}

/// Rows by the length of their password, the most common length first and the longer of two that
/// are as common; rare lengths are left out.
fn lengths(table: &Table<'_>) -> Vec<(usize, Vec<usize>)> {
    let mut lengths: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for row in 0..table.len() {
        let length = table.password(row).len();
        lengths.entry(length).or_default().push(row);
    }
    let mut lengths: Vec<(usize, Vec<usize>)> = lengths.into_iter().collect();
    lengths.retain(|(_, rows)| rows.len() >= least(table));
    lengths.sort_by_key(|(length, rows)| std::cmp::Reverse((rows.len(), *length)));
    lengths
}

/// The rows that the smallest alphabet holds which holds nearly all, and how many it does not.
fn held(table: &Table<'_>, rows: Vec<usize>) -> (Vec<usize>, usize) {
    let all = rows.len();
    for alphabet in ALPHABETS {
        let mut known = [false; 256];
        for &byte in alphabet.iter().chain(b"-_. :/") {
            known[usize::from(byte)] = true;
        }
        let fits = |row: &usize| {
            table
                .password(*row)
                .iter()
                .all(|byte| known[usize::from(*byte)])
        };
        let held: Vec<usize> = rows.iter().copied().filter(fits).collect();
        if held.len() as f64 >= all as f64 * HELD {
            let odd = all - held.len();
            return (held, odd);
        }
    }
    (rows, 0)
}

/// What was examined in part or not at all.
pub(super) fn limits(table: &Table<'_>, parts: &[Part<'_>], ambiguous: &[Column]) -> Vec<String> {
    let rows = table.len();
    let mut limits = vec![];
    if rows < FEW {
        limits.push(format!(
            "With {rows} rows most tests have little to go by: give the whole list, at best {FEW} rows and more."
        ));
    }
    if rows > SEARCHED {
        limits.push(format!(
            "Identifiers in other spellings were searched for in {SEARCHED} rows drawn at random, hashes of \
             them in {HASHED}: a scheme in under about one row of a hundred can be missed."
        ));
    }
    let lengths: BTreeMap<usize, usize> = (0..rows).fold(BTreeMap::new(), |mut lengths, row| {
        *lengths.entry(table.password(row).len()).or_default() += 1;
        lengths
    });
    if lengths.len() > 1 {
        let longest = parts
            .iter()
            .skip(1)
            .map(|part| part.table.len())
            .sum::<usize>();
        let usual = lengths.values().copied().max().unwrap_or(0).max(longest);
        limits.push(format!(
            "Passwords have {} different lengths: arithmetic and generators were looked for in the {usual} \
             rows of the usual ones.",
            lengths.len()
        ));
    }
    for column in ambiguous {
        limits.push(format!(
            "The column {} names no unit: one value of it stands with several passwords.",
            column.name()
        ));
    }
    limits
}
