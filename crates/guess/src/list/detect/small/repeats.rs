//! Passwords that come twice, and passwords that are the same but for a few symbols: more of them
//! than the space explains mean that the space is smaller.
//!
//! The count is that of rows that repeat an earlier one. In an honest space its mean is at most
//! pairs / space, and its tail is that of a Poisson count: it is a sum of negatively associated
//! events (the places left empty when balls are thrown into bins).

use std::borrow::Cow;
use std::collections::HashMap;

use super::evidence::{ENOUGH, least_mean, poisson_tail};
use super::fit::log2;
use super::places::Places;
use super::{Seen, grade, nominal, pairs, words};
use crate::list::Column;
use crate::list::report::{Finding, Severity};
use crate::list::shape::Shape;
use crate::list::table::{Table, mixed};

/// Class rules and re-draws make an honest space smaller than its alphabet says: at most so many
/// times.
const SLACK: f64 = 4.0;

/// With structure that may be honest (words, templates), only a pool under so many passwords is
/// refused: four words of 1,296 are 41 bits.
const POOL_BITS: f64 = 36.0;

/// Confidence of the strength given, once the finding stands: 1e-3.
const CONFIDENCE: f64 = 7.0;

/// Rows hashed and sorted in the search for near repeats.
const NEAR_SORTS: usize = 4_000_000;

/// Fewest rows worth it.
const ROWS_MIN: usize = 3;

/// Finds repeated and nearly repeated passwords.
pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    let table = &*once(table);
    let shape = Shape::of(table);
    let places = Places::of(table, &shape);
    let mut findings = vec![];
    let exact = Exact::of(table);
    let whole = nominal(table, &shape, &places);
    if let Some(pool) = exact.pool(table, &shape, &places) {
        findings.push(exact.finding(table, pool, whole));
    }
    if findings.is_empty()
        && let Some(near) = Near::of(table, &places)
    {
        findings.push(near.finding(table, &places));
    }
    findings
}

/// Upper bound on the strength that repeats show, or that of the places.
pub(super) fn bits(table: &Table<'_>, shape: &Shape, places: &Places) -> f64 {
    let whole = match places.rows.len() == table.len() {
        true => places.bits,
        false => nominal(table, shape, places),
    };
    let exact = Exact::of(table);
    let pool = exact.pool(table, shape, places).map(|pool| pool.bits);
    let near = match pool {
        None => Near::of(table, places).map(|near| near.bits),
        Some(_) => None,
    };
    whole.min(pool.unwrap_or(whole)).min(near.unwrap_or(whole))
}

/// Rows that repeat an earlier row's password.
struct Exact {
    rows: usize,
    repeats: usize,
    /// Pairs of equal rows.
    pairs: f64,
    distinct: usize,
    examples: Vec<usize>,
}

struct Pool {
    bits: f64,
    chance: f64,
}

impl Exact {
    fn of(table: &Table<'_>) -> Exact {
        let keys = sorted_keys(table);
        let mut exact = Exact {
            rows: table.len(),
            repeats: 0,
            pairs: 0.0,
            distinct: 0,
            examples: vec![],
        };
        for group in keys.chunk_by(|a, b| a.0 == b.0) {
            let equal = group.len();
            exact.distinct += 1;
            exact.repeats += equal - 1;
            exact.pairs += equal as f64 * (equal as f64 - 1.0) / 2.0;
            if equal > 1 && exact.examples.len() < super::EXAMPLES {
                let two = group.iter().map(|(_, row)| *row as usize).take(2);
                exact.examples.extend(two);
            }
        }
        exact
    }

    fn all_pairs(&self) -> f64 {
        let rows = self.rows as f64;
        rows * (rows - 1.0) / 2.0
    }

    /// Repeats beyond those of an honest space, and the space they speak of.
    fn pool(&self, table: &Table<'_>, shape: &Shape, places: &Places) -> Option<Pool> {
        if self.repeats == 0 || self.rows < ROWS_MIN {
            return None;
        }
        // Many equal rows are one event or many: pairs count for the size, repeats for the chance.
        let repeats = self.repeats as f64;
        let share = repeats / self.all_pairs();
        let size = (self.pairs / self.all_pairs()).max(share);
        let least = least_mean(repeats, CONFIDENCE) / repeats * size;
        let structured = places.found() || words::text(table, places);
        let honest = match structured {
            true => POOL_BITS.min(places.bits),
            false => nominal(table, shape, places).min(pairs::bits(table, places)),
        };
        let mean = self.all_pairs() * (-honest).exp2() * SLACK;
        let chance = poisson_tail(repeats, mean);
        let bits = -least.log2();
        (chance < -ENOUGH).then_some(Pool { bits, chance })
    }

    fn finding(&self, table: &Table<'_>, pool: Pool, whole: f64) -> Finding {
        let evidence = if self.distinct == 1 {
            format!("all {} rows have the same password", self.rows)
        } else {
            format!(
                "{} of {} rows repeat an earlier password; {} different ones: as if drawn from about \
                 {}, at most {:.1} bits where {whole:.1} were written",
                self.repeats,
                self.rows,
                self.distinct,
                in_words(self.all_pairs() / self.pairs),
                pool.bits
            )
        };
        let seen = Seen {
            severity: Severity::Refused,
            detector: "repeated passwords",
            rows: self.repeats + 1,
            examples: &self.examples,
            evidence,
            chance: pool.chance,
        };
        seen.finding(table)
    }
}

/// The table without rows that list a unit a second time, with the password it has anyway.
pub(super) fn once<'t, 'a>(table: &'t Table<'a>) -> Cow<'t, Table<'a>> {
    if !IDENTIFIERS.iter().any(|&column| table.has(column)) {
        return Cow::Borrowed(table);
    }
    let mut again = vec![];
    for group in sorted_keys(table).chunk_by(|a, b| a.0 == b.0) {
        for two in group.windows(2) {
            let (before, row) = (two[0].1 as usize, two[1].1 as usize);
            if same_unit(table, before, row) {
                again.push(row);
            }
        }
    }
    if again.is_empty() {
        return Cow::Borrowed(table);
    }
    again.sort_unstable();
    let first = |row: &usize| again.binary_search(row).is_err();
    Cow::Owned(table.pick((0..table.len()).filter(first)))
}

/// Hashes of the passwords with their rows, equal ones together.
fn sorted_keys(table: &Table<'_>) -> Vec<(u64, u32)> {
    let mut keys: Vec<(u64, u32)> = (0..table.len())
        .map(|row| (hash(table.password(row)), row as u32))
        .collect();
    keys.sort_unstable();
    keys
}

const IDENTIFIERS: [Column; 3] = [Column::Serial, Column::Mac, Column::Uid];

/// Whether every identifier of two rows is the same, and there is one.
fn same_unit(table: &Table<'_>, one: usize, other: usize) -> bool {
    let mut told = IDENTIFIERS
        .into_iter()
        .filter(|&it| table.has(it) && !table.cell(it, one).is_empty())
        .peekable();
    told.peek().is_some() && told.all(|it| table.cell(it, one) == table.cell(it, other))
}

/// A part of the password that repeats though the rest differs.
struct Near {
    /// Places left out.
    without: Vec<usize>,
    repeats: usize,
    rows: usize,
    bits: f64,
    chance: f64,
    examples: Vec<usize>,
}

impl Near {
    /// The part whose repeats are least likely. Only where every place is drawn from the whole
    /// alphabet: where words or templates may explain a repeat, they are told by other looks.
    fn of(table: &Table<'_>, places: &Places) -> Option<Near> {
        let symbols = places.places.len();
        if symbols < 4 || places.rows.len() < ROWS_MIN || places.composed {
            return None;
        }
        let parts = left_out(symbols);
        let most = (NEAR_SORTS / parts.len()).max(1_000);
        let sampled = sample(&places.rows, most);
        let keys = keys(table, places, &sampled);
        let pairs = sampled.len() as f64 * (sampled.len() as f64 - 1.0) / 2.0;
        let options = (parts.len() as f64).ln();
        // Passwords that are the same altogether have been judged already.
        let mut whole: Vec<u64> = keys.iter().map(|key| key.whole).collect();
        whole.sort_unstable();
        let exact = equal_neighbours(&whole);
        let mut found: Option<Near> = None;
        let mut hashes: Vec<u64> = vec![];
        for without in parts {
            let gone: f64 = without.iter().map(|&place| places.places[place].bits).sum();
            let rest: f64 = places.places.iter().map(|place| place.bits).sum::<f64>() - gone;
            let mean = pairs * (-rest).exp2() * SLACK;
            hashes.clear();
            hashes.extend(keys.iter().map(|key| {
                let left = without.iter().map(|&place| key.places[place]);
                left.fold(key.whole, |hash, place| hash ^ place)
            }));
            hashes.sort_unstable();
            let repeats = equal_neighbours(&hashes) - exact;
            let chance = poisson_tail(repeats as f64, mean) + options;
            if chance < -ENOUGH && found.as_ref().is_none_or(|best| chance < best.chance) {
                let part = least_mean(repeats as f64, CONFIDENCE) / pairs;
                found = Some(Near {
                    without,
                    repeats,
                    rows: sampled.len(),
                    bits: -part.log2() + gone,
                    chance,
                    examples: vec![],
                });
            }
        }
        let mut near = found?;
        let shape_words = words::text(table, places);
        if places.found() && near.bits > POOL_BITS || shape_words {
            return None;
        }
        near.examples = near.examples(&keys, &sampled);
        Some(near)
    }

    /// Rows of which another has the same part.
    fn examples(&self, keys: &[Key], rows: &[usize]) -> Vec<usize> {
        let mut met: HashMap<u64, usize> = HashMap::new();
        let mut examples = vec![];
        for (key, &row) in keys.iter().zip(rows) {
            let left = self.without.iter().map(|&place| key.places[place]);
            let part = left.fold(key.whole, |hash, place| hash ^ place);
            if let Some(before) = met.insert(part, row) {
                examples.extend([before, row]);
            }
            if examples.len() >= super::EXAMPLES {
                break;
            }
        }
        examples
    }

    fn finding(&self, table: &Table<'_>, places: &Places) -> Finding {
        let at = |&place: &usize| (places.places[place].at + 1).to_string();
        let without: Vec<String> = self.without.iter().map(at).collect();
        let evidence = format!(
            "{} of {} rows repeat an earlier password but for the symbols at {}; at most {:.1} bits \
             of {:.1}",
            self.repeats,
            self.rows,
            without.join(", "),
            self.bits,
            places.nominal
        );
        let severity = match grade(self.bits, places.nominal) {
            // An honest draw shows none of these, however strong the rest.
            Severity::Note if !places.found() => Severity::Refused,
            severity => severity,
        };
        let seen = Seen {
            severity,
            detector: "near repeats",
            rows: self.repeats,
            examples: &self.examples,
            evidence,
            chance: self.chance,
        };
        seen.finding(table)
    }
}

fn equal_neighbours(sorted: &[u64]) -> usize {
    sorted.windows(2).filter(|two| two[0] == two[1]).count()
}

/// Places to leave out: every stretch of up to half the password, and every two places.
fn left_out(symbols: usize) -> Vec<Vec<usize>> {
    let mut parts = vec![];
    for length in 1..=symbols / 2 {
        for first in 0..=symbols - length {
            parts.push((first..first + length).collect());
        }
    }
    for first in 0..symbols {
        for second in first + 2..symbols {
            parts.push(vec![first, second]);
        }
    }
    parts
}

/// A row as the exclusive or of its places' hashes, so that places are left out at no cost.
struct Key {
    whole: u64,
    places: Vec<u64>,
}

fn keys(table: &Table<'_>, places: &Places, rows: &[usize]) -> Vec<Key> {
    let key = |&row: &usize| {
        let password = table.password(row);
        let place = |(number, place): (usize, &super::places::Place)| {
            mixed((number as u64) << 8 | u64::from(password[place.at]))
        };
        let places: Vec<u64> = places.places.iter().enumerate().map(place).collect();
        Key {
            whole: places.iter().fold(0, |hash, place| hash ^ place),
            places,
        }
    };
    rows.iter().map(key).collect()
}

/// At most `most` rows, evenly spread.
pub(super) fn sample(rows: &[usize], most: usize) -> Vec<usize> {
    let taken = rows.len().min(most);
    let spread = |n: usize| rows[n * rows.len() / taken.max(1)];
    (0..taken).map(spread).collect()
}

fn hash(password: &[u8]) -> u64 {
    let grown = |hash: u64, &byte: &u8| mixed(hash ^ u64::from(byte));
    password.iter().fold(password.len() as u64, grown)
}

/// A size to two digits: an estimate has no more.
pub(super) fn in_words(size: f64) -> String {
    let scale = 10f64.powf(
        log2(size as usize)
            .mul_add(std::f64::consts::LOG10_2, -1.0)
            .floor(),
    );
    match size < 100.0 {
        true => format!("{size:.0}"),
        false => format!("{:.0}", (size / scale).round() * scale),
    }
}
