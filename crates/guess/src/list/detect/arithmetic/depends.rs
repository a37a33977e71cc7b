//! Units that share a part of an identifier, and share a part of the password for it.

use std::collections::HashMap;

use super::chance::{Suspect, Tally, tail};
use super::columns::{called, clause};
use super::digits::naming;
use super::ground::{Ground, Window};
use super::pairing::{Pairing, Source};
use crate::Clause;
use crate::list::Column;
use crate::list::report::{Class, Finding};
use crate::list::table::Table;
use crate::list::table::mixed;

/// Rows that are looked at.
const ROWS: usize = 2_048;

/// Characters of an identifier that are looked at, from either end.
const CHARACTERS: usize = 24;

/// Numbers are taken modulo these.
const MODULI: std::ops::RangeInclusive<u64> = 2..=128;

/// Pairs of rows with an equal part, below which nothing can be said.
const PAIRS: usize = 3;

/// Finds parts of the password that go with a part of an identifier.
pub(super) fn functional(table: &Table<'_>) -> Vec<Finding> {
    let Some(ground) = Ground::of(table) else {
        return vec![];
    };
    let mut tally = Tally::new("dependence");
    let windows = windows(&ground);
    let looked = Looked::of(&ground);
    let single = windows
        .iter()
        .take_while(|window| window.length == 1)
        .count();
    for pairing in Pairing::ALL {
        // Whatever repeats with the number does so in single symbols.
        for source in Source::all(&ground, pairing) {
            for modulus in MODULI {
                let key = |row: usize| Some((source.values[row]? % modulus) as usize);
                let part = Part {
                    column: source.column,
                    name: format!("{} modulo {modulus}", source.name),
                };
                part.look(&looked, &windows[..single], key, &mut tally);
            }
        }
        let held_against = pairing.of(&ground);
        for (&column, texts) in &ground.texts {
            for (name, read) in parts(column, texts) {
                let part = Part {
                    column: Some(column),
                    name: format!("{name}{}", pairing.words()),
                };
                let mut known: HashMap<&[u8], usize> = HashMap::new();
                let key = |row: usize| {
                    let text = read.of(&texts[held_against[row]?])?;
                    let next = known.len();
                    Some(*known.entry(text).or_insert(next))
                };
                part.look(&looked, &windows, key, &mut tally);
            }
        }
    }
    tally.findings(table)
}

fn windows(ground: &Ground) -> Vec<Window> {
    let width = ground.width;
    let lengths = [1, 2, 4, width.div_ceil(2), width];
    let mut windows: Vec<Window> = lengths
        .into_iter()
        .filter(|&length| length <= width)
        .flat_map(|length| (0..=width - length).map(move |first| Window { first, length }))
        .collect();
    windows.sort_by_key(|window| (window.length, window.first));
    windows.dedup();
    windows
}

/// Some characters of a cell.
#[derive(Clone, Copy)]
enum Read {
    First(usize),
    Last(usize),
    /// One, counted from the end.
    One(usize),
    /// All.
    Whole,
}

impl Read {
    fn of(self, text: &[u8]) -> Option<&[u8]> {
        match self {
            Read::First(n) => text.get(..n),
            Read::Last(n) => text.get(text.len().checked_sub(n)?..),
            Read::One(n) => {
                let place = text.len().checked_sub(n + 1)?;
                text.get(place..=place)
            }
            Read::Whole => Some(text).filter(|text| !text.is_empty()),
        }
    }
}

fn parts(column: Column, texts: &[Vec<u8>]) -> Vec<(String, Read)> {
    let called = called(column);
    let mut parts = vec![(called.to_owned(), Read::Whole)];
    if column == Column::Model {
        return parts;
    }
    let longest = texts
        .iter()
        .map(Vec::len)
        .max()
        .unwrap_or(0)
        .min(CHARACTERS);
    for n in 1..=longest {
        parts.push((
            format!("the last {n} characters of {called}"),
            Read::Last(n),
        ));
        parts.push((
            format!("the first {n} characters of {called}"),
            Read::First(n),
        ));
        parts.push((
            format!("character {n} from the end of {called}"),
            Read::One(n - 1),
        ));
    }
    parts
}

struct Part {
    column: Option<Column>,
    name: String,
}

/// Two rows whose part is equal.
struct Pair {
    rows: [usize; 2],
    /// A bit for each symbol that is equal as well.
    equal: u32,
}

impl Part {
    fn look(
        &self,
        looked: &Looked<'_>,
        windows: &[Window],
        mut key: impl FnMut(usize) -> Option<usize>,
        tally: &mut Tally,
    ) {
        let ground = looked.ground;
        let mut latest: Vec<Option<usize>> = vec![];
        let mut pairs = vec![];
        for &row in &looked.rows {
            let Some(key) = key(row) else { continue };
            if key >= latest.len() {
                latest.resize(key + 1, None);
            }
            if let Some(before) = latest[key].replace(row) {
                let symbols = ground.symbols(before).iter().zip(ground.symbols(row));
                let equal = symbols
                    .rev()
                    .fold(0, |equal, (a, b)| equal << 1 | u32::from(a == b));
                let rows = [before, row];
                pairs.push(Pair { rows, equal });
            }
        }
        // One value for all says nothing.
        if pairs.len() < PAIRS || latest.iter().flatten().count() < 2 {
            return;
        }
        for &window in windows {
            let mask = (u32::MAX >> (32 - window.length)) << window.first;
            let equal = |pair: &&Pair| pair.equal & mask == mask;
            let hits = pairs.iter().filter(equal).count();
            let chance = tail(pairs.len(), hits, ground.chance(window));
            tally.look(chance, || Suspect {
                class: Class::Arithmetic,
                clause: self.column.map_or(Clause::Counter, clause),
                rows: ground.table_rows(pairs.iter().filter(equal).flat_map(|pair| pair.rows)),
                evidence: format!(
                    "where {} is equal, so is {}, in {hits} of {} pairs",
                    self.name,
                    naming(window, ground.width),
                    pairs.len(),
                ),
            });
        }
    }
}

/// Rows in no order, so that none of the file's shows through.
struct Looked<'a> {
    ground: &'a Ground,
    rows: Vec<usize>,
}

impl<'a> Looked<'a> {
    fn of(ground: &'a Ground) -> Looked<'a> {
        let mut rows: Vec<usize> = (0..ground.len()).collect();
        rows.sort_by_key(|&row| mixed(row as u64));
        rows.truncate(ROWS);
        Looked { ground, rows }
    }
}
