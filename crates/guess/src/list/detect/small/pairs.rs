//! Places that follow from others: copies, mirrored halves, fixed distances, check digits.

use zeroize::Zeroizing;

use super::evidence::{ENOUGH, diluted, ln_mean, uneven};
use super::fit::{OWN, log2};
use super::places::{Place, Places};
use super::repeats::sample;
use super::{Seen, grade, symbols};
use crate::list::report::Finding;
use crate::list::shape::Shape;
use crate::list::table::Table;

/// Rows looked at: a dependence that many rows are needed for costs no strength.
const ROWS: usize = 20_000;

/// What a dependence must take from a place to count, in bits.
const WORTH_SAYING: f64 = 0.5;

/// Share of the prior that a place follows from another.
const PRIOR: f64 = 0.1;

/// How one place is compared with another.
const WAYS: usize = 4;

/// Says which places follow from others, and what is left.
pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    let shape = Shape::of(table);
    let places = Places::of(table, &shape);
    let found = Dependent::of(table, &places);
    if found.places.is_empty() && found.check.is_none() {
        return vec![];
    }
    let bits = places.bits - found.lost();
    let which: Vec<String> = found
        .places
        .iter()
        .map(|it| format!("{} from {}", it.place + 1, it.from + 1))
        .take(12)
        .collect();
    let what = match &found.check {
        Some(how) => format!("the symbols hold a check symbol ({how})"),
        None => format!("places follow from others ({})", which.join(", ")),
    };
    let evidence = format!("{what}; at most {bits:.1} bits of {:.1}", places.nominal);
    let seen = Seen {
        severity: grade(bits, places.nominal),
        detector: "dependent places",
        rows: places.rows.len(),
        examples: &places.rows,
        evidence,
        chance: -found.evidence,
    };
    vec![seen.finding(table)]
}

/// Upper bound on the strength that the places show, by themselves and with each other.
pub(super) fn bits(table: &Table<'_>, places: &Places) -> f64 {
    if places.rows.len() < table.len() {
        return f64::INFINITY;
    }
    let dependent = Dependent::of(table, places).lost();
    places.bits - dependent.max(symbols::lost(table, places))
}

/// A place that follows from an earlier one.
struct Follower {
    /// Offsets in the password.
    place: usize,
    from: usize,
    lost: f64,
}

struct Dependent {
    places: Vec<Follower>,
    /// The check symbol's rule.
    check: Option<&'static str>,
    check_bits: f64,
    evidence: f64,
}

impl Dependent {
    fn of(table: &Table<'_>, places: &Places) -> Dependent {
        let rows = sample(&places.rows, ROWS);
        let columns: Vec<Column<'_>> = places
            .places
            .iter()
            .filter(|place| place.set.len() > 1)
            .map(|place| Column::of(table, &rows, place))
            .collect();
        let mut found = Dependent {
            places: vec![],
            check: None,
            check_bits: 0.0,
            evidence: 0.0,
        };
        if rows.len() < 4 {
            return found;
        }
        for (at, column) in columns.iter().enumerate() {
            let earlier: Vec<&Column<'_>> = columns[..at]
                .iter()
                .filter(|it| it.set == column.set)
                .collect();
            let costs = ((earlier.len() * WAYS).max(1) as f64).ln();
            let of = |from: &&Column<'_>| (from.at, column.evidence(from) - costs);
            let best = earlier.iter().map(of).max_by(|a, b| a.1.total_cmp(&b.1));
            let Some((from, evidence)) = best else {
                continue;
            };
            found.evidence += diluted(evidence, PRIOR);
            // Each row costs so many bits when it is told by the other place.
            let told = evidence / rows.len() as f64 / std::f64::consts::LN_2;
            let lost = column.bits - (log2(column.set.len()) - told).max(0.0);
            if evidence > OWN && lost > WORTH_SAYING {
                found.places.push(Follower {
                    place: column.at,
                    from,
                    lost,
                });
            }
        }
        if found.evidence < ENOUGH {
            found.places.clear();
        }
        if found.places.is_empty() {
            found.check_symbol(&columns, rows.len());
        }
        found
    }

    fn lost(&self) -> f64 {
        self.places.iter().map(|it| it.lost).sum::<f64>() + self.check_bits
    }

    /// Looks for a weighted sum of all symbols that is the same in every row.
    fn check_symbol(&mut self, columns: &[Column<'_>], rows: usize) {
        let Some(first) = columns.first() else { return };
        let size = first.set.len() as u32;
        if columns.len() < 3 || columns.iter().any(|it| it.set != first.set) {
            return;
        }
        let evidence = (rows as f64 - 1.0) * f64::from(size).ln() - (RULES.len() as f64).ln();
        if evidence < ENOUGH {
            return;
        }
        let sum = |rule: Rule, row: usize| {
            let terms = columns.iter().rev().enumerate();
            terms.fold(0, |sum, (at, it)| {
                rule(sum, at, it.values[row].into(), size)
            })
        };
        let holds = |(_, rule): &&(&str, Rule)| {
            let first = sum(*rule, 0);
            (1..rows).all(|row| sum(*rule, row) == first)
        };
        if let Some((name, _)) = RULES.iter().find(holds) {
            self.check = Some(name);
            self.check_bits = log2(size as usize);
            self.evidence = evidence;
        }
    }
}

/// Adds a value to a check sum; places are counted from the end, in an alphabet of a size.
type Rule = fn(u32, usize, u32, u32) -> u32;

const RULES: [(&str, Rule); 6] = [
    ("sum", |sum, _, value, size| (sum + value) % size),
    ("exclusive or", |sum, _, value, _| sum ^ value),
    (
        "sum, every other place three times",
        |sum, at, value, size| (sum + value * if at % 2 == 1 { 3 } else { 1 }) % size,
    ),
    ("alternating sum", |sum, at, value, size| {
        (sum + if at % 2 == 1 { size - value } else { value }) % size
    }),
    ("Luhn", |sum, at, value, size| {
        let twice = if at % 2 == 1 { value * 2 } else { value };
        (sum + twice / size + twice % size) % size
    }),
    ("sum of places by number", |sum, at, value, size| {
        (sum + value * (at as u32 + 1)) % size
    }),
];

/// The values of one place.
struct Column<'a> {
    at: usize,
    set: &'a [u8],
    bits: f64,
    /// Wiped when dropped: together the columns are the passwords.
    values: Zeroizing<Vec<u8>>,
}

impl<'a> Column<'a> {
    fn of(table: &Table<'_>, rows: &[usize], place: &'a Place) -> Column<'a> {
        let mut value = [0u8; 256];
        for (at, &byte) in place.set.iter().enumerate() {
            value[usize::from(byte)] = at as u8;
        }
        let of_row = |&row: &usize| value[usize::from(table.password(row)[place.at])];
        Column {
            at: place.at,
            set: &place.set,
            bits: place.bits,
            values: Zeroizing::new(rows.iter().map(of_row).collect()),
        }
    }

    /// Evidence that this place follows from another of the same set, in the best of four ways:
    /// by distance, by sum, by exclusive or, or by any table.
    fn evidence(&self, from: &Column<'_>) -> f64 {
        let size = self.set.len();
        let even = vec![1.0 / size as f64; size];
        let mut counts = [vec![0u32; size], vec![0u32; size], vec![0u32; 256]];
        let mut pairs = vec![0u32; size * size];
        for (&here, &there) in self.values.iter().zip(from.values.iter()) {
            let (here, there) = (usize::from(here), usize::from(there));
            counts[0][(here + size - there) % size] += 1;
            counts[1][(here + there) % size] += 1;
            counts[2][here ^ there] += 1;
            pairs[there * size + here] += 1;
        }
        let weights = [1.0, size as f64];
        let of = |counts: &[u32]| ln_mean(&weights.map(|weight| uneven(counts, &even, weight)));
        let mut best = of(&counts[0]).max(of(&counts[1]));
        if size.is_power_of_two() {
            best = best.max(of(&counts[2][..size]));
        }
        best.max(
            pairs
                .chunks(size)
                .map(|counts| uneven(counts, &even, 1.0))
                .sum(),
        )
    }
}
