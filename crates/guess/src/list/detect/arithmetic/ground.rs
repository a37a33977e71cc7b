//! The rows, orders and readings that every look of this family stands on.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use zeroize::Zeroizing;

use super::columns::{IDENTIFYING, Numbers, called, numbers, plain, sort_key};
use super::readings::{Reading, readings, wordy};
use crate::list::Column;
use crate::list::shape::Shape;
use crate::list::table::{Table, mixed, spread};

/// Rows in one order that are looked at: all of a short list, blocks of a long one.
const ORDER_ROWS: usize = 2_048;
const BLOCKS: usize = 8;

/// Symbols of a password that are looked at: the first and the last of a longer one.
const SYMBOLS: usize = 32;

/// One symbol of a passphrase of words is worth at least this much, as log10: 1 bit.
const WORDY: f64 = -0.301;

/// In lists of several formats, symbols may be one of 8 only.
const MIXED: f64 = -0.903;

/// Rows in which collisions are counted.
const COUNTED: usize = 4_096;

/// A run of symbols: `length` of them from `first` on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    pub(super) first: usize,
    pub(super) length: usize,
}

/// One order of the units.
pub(super) struct Order {
    /// What they are sorted by; `None` is the order of the file.
    pub(super) by: Option<Column>,
    /// Rows of the ground, one after the other.
    pub(super) rows: Vec<usize>,
}

impl Order {
    pub(super) fn name(&self) -> &'static str {
        self.by.map_or("the file's order", called)
    }
}

/// What is looked at.
pub(super) struct Ground {
    /// Row of the table, for each row here.
    pub(super) rows: Vec<usize>,
    /// Symbols that are not the same in all passwords.
    pub(super) width: usize,
    /// Of `width` symbols each.
    symbols: Zeroizing<Vec<u8>>,
    pub(super) readings: Vec<Reading>,
    pub(super) orders: Vec<Order>,
    /// Whether the file is sorted by its passwords, so that its order says nothing else.
    pub(super) sorted_file: bool,
    /// Whether the passwords look like words, so that neighbouring symbols depend on each other.
    pub(super) wordy: bool,
    /// Whether there are several formats, so that symbols tell which one it is.
    pub(super) mixed: bool,
    /// log10 of the chance that a symbol at this place is one named beforehand.
    symbol_chances: Vec<f64>,
    window_chances: Vec<OnceCell<f64>>,
    pub(super) numbers: Vec<Numbers>,
    /// Cells of the columns, letters and digits only.
    pub(super) texts: BTreeMap<Column, Vec<Vec<u8>>>,
}

impl Ground {
    /// `None` when there are fewer than 4 rows of one length, or nothing in them varies.
    pub(super) fn of(table: &Table<'_>) -> Option<Ground> {
        let sequences: Vec<(Option<Column>, Vec<usize>)> = std::iter::once(None)
            .chain(IDENTIFYING.map(Some))
            .filter(|by| by.is_none_or(|column| table.has(column)))
            .map(|by| (by, blocks(&in_order(table, by), table.seed())))
            .collect();
        let picked: BTreeSet<usize> = sequences
            .iter()
            .flat_map(|(_, rows)| rows)
            .copied()
            .collect();
        let sample = table.pick(picked.iter().copied());
        let shape = Shape::of(&sample);
        let (rows, places) = fitting(table, &sample, &shape, &picked);
        if rows.len() < 4 || places.is_empty() {
            return None;
        }
        let mut symbols = Zeroizing::new(Vec::with_capacity(rows.len() * places.len()));
        for &row in &rows {
            let password = table.password(row);
            symbols.extend(places.iter().map(|&place| password[place]));
        }
        let here: BTreeMap<usize, usize> = rows.iter().enumerate().map(|(n, &r)| (r, n)).collect();
        let orders = sequences.into_iter().map(|(by, sequence)| Order {
            by,
            rows: sequence
                .iter()
                .filter_map(|row| here.get(row))
                .copied()
                .collect(),
        });
        let mut ground = Ground {
            width: places.len(),
            readings: readings(&shape, &symbols),
            orders: orders.collect(),
            sorted_file: false,
            wordy: wordy(&symbols),
            mixed: false,
            symbol_chances: vec![],
            window_chances: vec![OnceCell::new(); places.len() * (places.len() + 1)],
            numbers: vec![],
            texts: BTreeMap::new(),
            symbols,
            rows,
        };
        ground.sorted_file = ground.is_file_sorted(table);
        ground.mixed = ground.is_mixed(&shape);
        ground.symbol_chances = (0..ground.width)
            .map(|place| ground.symbol_chance(place, shape.alphabet.len()))
            .collect();
        for column in Column::ALL
            .into_iter()
            .filter(|&column| column != Column::Password)
        {
            if table.has(column) {
                let cells: Vec<&[u8]> = ground
                    .rows
                    .iter()
                    .map(|&row| table.cell(column, row))
                    .collect();
                ground.numbers.extend(numbers(column, &cells));
                let texts = cells.iter().map(|cell| plain(cell)).collect();
                ground.texts.insert(column, texts);
            }
        }
        Some(ground)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The symbols of a row that vary.
    pub(super) fn symbols(&self, row: usize) -> &[u8] {
        &self.symbols[row * self.width..][..self.width]
    }

    /// Rows of the table, for rows here.
    pub(super) fn table_rows(&self, rows: impl IntoIterator<Item = usize>) -> Vec<usize> {
        rows.into_iter().map(|row| self.rows[row]).collect()
    }

    /// Orders that may say something; the file's own does not when it is sorted by password.
    pub(super) fn telling_orders(&self) -> impl Iterator<Item = &Order> {
        let telling = |order: &&Order| order.by.is_some() || !self.sorted_file;
        self.orders.iter().filter(telling)
    }

    /// Whether symbols are known not to be drawn evenly and one by one.
    pub(super) fn is_uneven(&self) -> bool {
        self.wordy || self.mixed
    }

    /// Whether the symbols of a password go with each other no more than drawn ones.
    pub(super) fn one_by_one(&self) -> bool {
        let whole = Window {
            first: 0,
            length: self.width,
        };
        !self.wordy && self.chance(whole) <= self.symbol_chances.iter().sum::<f64>() + 0.5
    }

    /// log10 of the chance that the symbols of a window are some that were named beforehand, or
    /// those of the row before.
    pub(super) fn chance(&self, window: Window) -> f64 {
        let slot = window.first * (self.width + 1) + window.length;
        *self.window_chances[slot].get_or_init(|| {
            let places = &self.symbol_chances[window.first..][..window.length];
            let independent = places.iter().sum();
            if window.length == 1 {
                return independent;
            }
            // Symbols that go together make a window more likely than its symbols are.
            let end = window.first + window.length;
            let step = self.len().div_ceil(COUNTED);
            let rows = (0..self.len()).step_by(step);
            let mut seen: Vec<&[u8]> = rows
                .map(|row| &self.symbols(row)[window.first..end])
                .collect();
            seen.sort_unstable();
            let equal = equal_pairs(seen.chunk_by(|a, b| a == b).map(<[_]>::len));
            let pairs = seen.len() as f64 * (seen.len() - 1) as f64 / 2.0;
            let expected = pairs * 10f64.powf(independent);
            if equal <= expected * 1.5 + 5.0 * expected.sqrt() + 3.0 {
                independent
            } else {
                (equal / pairs).log10().max(independent)
            }
        })
    }

    /// The chance for one symbol. Of pairs `c` are equal: for even symbols that is the chance of
    /// each, for uneven ones the most common has at most its root.
    fn symbol_chance(&self, place: usize, alphabet: usize) -> f64 {
        let mut counts = [0usize; 256];
        for row in 0..self.len() {
            counts[usize::from(self.symbols(row)[place])] += 1;
        }
        let equal = equal_pairs(counts.into_iter());
        let pairs = self.len() as f64 * (self.len() - 1) as f64 / 2.0;
        let even = 1.0 / alphabet as f64;
        let expected = even * pairs;
        let chance = if equal <= expected * 1.2 + 5.0 * expected.sqrt() + 3.0 {
            let noise = 3.0 * expected.sqrt() / pairs;
            let measured = if self.len() < 100 {
                even
            } else {
                equal / pairs + noise
            };
            measured.max(even)
        } else {
            (equal / pairs).sqrt()
        };
        let floor = match (self.wordy, self.mixed) {
            (true, _) => WORDY,
            (_, true) => MIXED,
            _ => f64::NEG_INFINITY,
        };
        chance.log10().max(floor).min(0.0)
    }

    /// Whether many passwords keep to a part of the alphabet, as when models have formats.
    fn is_mixed(&self, shape: &Shape) -> bool {
        let parts: [fn(&u8) -> bool; 4] = [
            u8::is_ascii_digit,
            u8::is_ascii_hexdigit,
            |byte| !byte.is_ascii_lowercase(),
            |byte| !byte.is_ascii_uppercase(),
        ];
        parts.into_iter().any(|part| {
            let inside = shape.alphabet.iter().filter(|byte| part(byte)).count();
            let share = inside as f64 / shape.alphabet.len() as f64;
            let chance = self.width as f64 * share.max(1e-9).log10();
            let keeps = |&row: &usize| self.symbols(row).iter().all(part);
            let keeping = (0..self.len()).filter(keeps).count();
            share < 1.0 && super::chance::tail(self.len(), keeping, chance) < -4.0
        })
    }

    fn is_file_sorted(&self, table: &Table<'_>) -> bool {
        let Some(order) = self.orders.iter().find(|order| order.by.is_none()) else {
            return false;
        };
        let folds: [fn(u8) -> u8; 2] = [|byte| byte, |byte| byte.to_ascii_uppercase()];
        folds.into_iter().any(|fold| {
            let key = |row: usize| table.password(self.rows[row]).iter().map(move |&b| fold(b));
            let pairs = order.rows.len() - 1;
            let steps = order.rows.windows(2);
            let rises = steps.filter(|pair| key(pair[0]).le(key(pair[1]))).count();
            // Ascents of a random order have mean (n - 1) / 2 and variance (n + 1) / 12.
            let most = rises.max(pairs - rises) as f64;
            most >= pairs as f64 / 2.0 + 4.0 * ((pairs + 2) as f64 / 12.0).sqrt()
        })
    }
}

fn equal_pairs(counts: impl Iterator<Item = usize>) -> f64 {
    counts
        .map(|count| count as f64 * (count as f64 - 1.0) / 2.0)
        .sum::<f64>()
        .max(0.0)
}

/// All rows in an order; those with no cell are left out, equal cells are in no order.
fn in_order(table: &Table<'_>, by: Option<Column>) -> Vec<usize> {
    let Some(column) = by else {
        return (0..table.len()).collect();
    };
    let mut keys: Vec<(u128, u64, u32)> = (0..table.len())
        .filter_map(|row| {
            let key = sort_key(column, table.cell(column, row))?;
            Some((key, mixed(row as u64), row as u32))
        })
        .collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, _, row)| row as usize).collect()
}

/// All rows of a short order; of a long one blocks of neighbours, one of each stretch at random.
fn blocks(rows: &[usize], seed: u64) -> Vec<usize> {
    if rows.len() <= ORDER_ROWS {
        return rows.to_vec();
    }
    let size = ORDER_ROWS / BLOCKS;
    spread(rows.len() / size, BLOCKS, seed)
        .flat_map(|block| &rows[block * size..][..size])
        .copied()
        .collect()
}

/// Rows whose password has the common length, each unit once, and the places where they differ.
fn fitting(
    table: &Table<'_>,
    sample: &Table<'_>,
    shape: &Shape,
    picked: &BTreeSet<usize>,
) -> (Vec<usize>, Vec<usize>) {
    let mut seen = HashSet::new();
    let rows: Vec<(usize, usize)> = picked
        .iter()
        .copied()
        .enumerate()
        .filter(|&(n, row)| {
            let mut hasher = DefaultHasher::new();
            sample.password(n).hash(&mut hasher);
            for column in IDENTIFYING {
                table.cell(column, row).hash(&mut hasher);
            }
            // Without identifiers a password twice may be two units.
            let known = IDENTIFYING.iter().any(|&c| !table.cell(c, row).is_empty());
            shape.values(sample.password(n)).is_some() && (seen.insert(hasher.finish()) || !known)
        })
        .collect();
    let varies = |place: &usize| {
        let mut symbols = rows.iter().map(|&(n, _)| sample.password(n)[*place]);
        let first = symbols.next();
        symbols.any(|symbol| Some(symbol) != first)
    };
    let mut places: Vec<usize> = (0..shape.length)
        .filter(|place| !shape.separators.contains(place))
        .filter(varies)
        .collect();
    if places.len() > SYMBOLS {
        places.drain(SYMBOLS / 2..places.len() - SYMBOLS / 2);
    }
    (rows.into_iter().map(|(_, row)| row).collect(), places)
}
