//! Symbols that come too often, and symbols that follow each other too often.
//!
//! Judged within the kinds (digits, capitals, small letters, others): a rule that every password
//! must have one of each, met by drawing again, changes how often a kind comes but leaves its
//! symbols even. The first two places and the last are left out: a number written in some base is
//! uneven there though it was drawn evenly.

use super::evidence::{ENOUGH, ln_mean, uneven};
use super::fit::Kind;
use super::places::{Place, Places};
use super::repeats::sample;
use super::{Seen, grade, words};
use crate::list::report::{Finding, Severity};
use crate::list::shape::Shape;
use crate::list::table::Table;

/// Rows looked at. With more, the traces of honest re-draws (names, overlaps with identifiers)
/// would come near to what is found.
const ROWS: usize = 200_000;

/// Prior observations for each symbol: from wildly uneven to nearly even.
const WEIGHTS: [f64; 4] = [0.5, 5.0, 50.0, 500.0];

/// Ways of looking, each of which may find something by chance.
const WAYS: f64 = 4.0;

/// Finds uneven symbols in the places that are drawn from the same set.
pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    let shape = Shape::of(table);
    let places = Places::of(table, &shape);
    let Some(found) = Uneven::of(table, &places) else {
        return vec![];
    };
    let bits = (places.bits - found.lost).max(0.0);
    let severity = match words::text(table, &places) {
        // Words and syllables are uneven by nature: what counts is what they leave.
        true => grade(bits, places.nominal),
        false => Severity::Refused,
    };
    let evidence = format!(
        "{} over {} rows: at least {:.2} bits are missing in a password of {:.1}",
        found.what, found.rows, found.lost, places.nominal
    );
    let seen = Seen {
        severity,
        detector: "uneven symbols",
        rows: places.rows.len(),
        examples: &[],
        evidence,
        chance: -found.evidence,
    };
    vec![seen.finding(table)]
}

/// Bits that uneven symbols take from each password.
pub(super) fn lost(table: &Table<'_>, places: &Places) -> f64 {
    Uneven::of(table, places).map_or(0.0, |found| found.lost)
}

/// What was found, in nats; `lost` in bits for each password.
struct Uneven {
    what: &'static str,
    rows: usize,
    evidence: f64,
    lost: f64,
}

impl Uneven {
    fn of(table: &Table<'_>, places: &Places) -> Option<Uneven> {
        let inner = inner(places);
        let set = inner.first()?.set.clone();
        if set.len() < 2 || places.rows.len() < 2 {
            return None;
        }
        let mut together = vec![0u32; set.len()];
        let mut apart = vec![0.0; WEIGHTS.len()];
        for place in &inner {
            let counts = place.counted();
            for (total, count) in together.iter_mut().zip(&counts) {
                *total += count;
            }
            for (sum, weight) in apart.iter_mut().zip(WEIGHTS) {
                *sum += within_kinds(&set, &counts, None, weight);
            }
        }
        let rows = sample(&places.rows, ROWS);
        let ways = [
            (
                "some symbols stand more often than others of their kind",
                ln_mean(&WEIGHTS.map(|weight| within_kinds(&set, &together, None, weight))),
                places.rows.len(),
            ),
            (
                "each place has symbols that stand more often than others of their kind",
                ln_mean(&apart),
                places.rows.len(),
            ),
            (
                "symbols at the head of the alphabet stand more often, as after a remainder",
                remainder(&set, &together),
                places.rows.len(),
            ),
            (
                "some symbols follow each other more often than others",
                following(table, &rows, &inner, &set),
                rows.len(),
            ),
        ];
        let (what, evidence, rows) = ways.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let evidence = evidence - WAYS.ln();
        (evidence > ENOUGH).then(|| Uneven {
            what,
            rows,
            evidence,
            lost: evidence / rows as f64 / std::f64::consts::LN_2,
        })
    }
}

/// The places, ends left out, that share the most common set.
fn inner(places: &Places) -> Vec<&Place> {
    let all = &places.places;
    let inner = &all[2.min(all.len())..all.len().saturating_sub(1).max(2.min(all.len()))];
    let sharing = |set: &[u8]| inner.iter().filter(|place| place.set == set).count();
    let best = inner.iter().max_by_key(|place| sharing(&place.set));
    let Some(best) = best else { return vec![] };
    inner.iter().filter(|place| place.set == best.set).collect()
}

/// Evidence against even symbols within each kind; one symbol may be left out.
fn within_kinds(set: &[u8], counts: &[u32], without: Option<usize>, weight: f64) -> f64 {
    let mut evidence = 0.0;
    for kind in Kind::ALL {
        let of_kind = |(at, byte): (usize, &u8)| {
            let counted = Kind::of(*byte) == kind && Some(at) != without;
            counted.then(|| counts[at])
        };
        let counts: Vec<u32> = set.iter().enumerate().filter_map(of_kind).collect();
        if counts.len() > 1 {
            let chances = vec![1.0 / counts.len() as f64; counts.len()];
            evidence += uneven(&counts, &chances, weight * counts.len() as f64);
        }
    }
    evidence
}

/// Evidence that the first symbols of each kind come more often, as after `byte % 62`.
fn remainder(set: &[u8], counts: &[u32]) -> f64 {
    let mut options = vec![];
    for kind in Kind::ALL {
        let of_kind = set
            .iter()
            .zip(counts)
            .filter(|(byte, _)| Kind::of(**byte) == kind);
        let counts: Vec<u32> = of_kind.map(|(_, &count)| count).collect();
        let all: u32 = counts.iter().sum();
        let mut head = 0;
        for (at, count) in counts
            .iter()
            .enumerate()
            .take(counts.len().saturating_sub(1))
        {
            head += count;
            let share = (at + 1) as f64 / counts.len() as f64;
            let split = [head, all - head];
            let chances = [share, 1.0 - share];
            options.extend([10.0, 1_000.0].map(|weight| uneven(&split, &chances, weight)));
        }
    }
    match options.is_empty() {
        true => 0.0,
        false => ln_mean(&options),
    }
}

/// Evidence that a symbol depends on the one before it; equal neighbours are left out, for rules
/// may forbid them.
fn following(table: &Table<'_>, rows: &[usize], inner: &[&Place], set: &[u8]) -> f64 {
    let size = set.len();
    let mut value = [usize::MAX; 256];
    for (at, &byte) in set.iter().enumerate() {
        value[usize::from(byte)] = at;
    }
    let neighbours: Vec<(usize, usize)> = inner
        .windows(2)
        .map(|two| (two[0].at, two[1].at))
        .filter(|(one, next)| next - one == 1)
        .collect();
    let mut table_of = vec![0u32; size * size];
    for &row in rows {
        let password = table.password(row);
        for &(one, next) in &neighbours {
            let one = value[usize::from(password[one])];
            let next = value[usize::from(password[next])];
            if one < size && next < size {
                table_of[one * size + next] += 1;
            }
        }
    }
    let evidence = WEIGHTS.map(|weight| {
        let after = table_of.chunks(size).enumerate();
        after
            .map(|(one, counts)| within_kinds(set, counts, Some(one), weight))
            .sum::<f64>()
    });
    ln_mean(&evidence)
}
