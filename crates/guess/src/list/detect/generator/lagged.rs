//! Generators that add or subtract two earlier outputs: C libraries' `random()`, .NET, Go. Symbols
//! then add up as well, but for a carry or a wrap, so the difference takes few values.

use super::ADDITIVE;
use super::chance;
use super::field::Field;
use super::rows::sequences;
use super::seeded::{RARE_LOG10, finding};
use crate::Clause;
use crate::list::report::Finding;
use crate::list::table::Table;

/// The two lags and whether the second is taken away; with the name.
const LAGS: &[(usize, usize, bool, &str)] = &[
    (31, 3, false, "C library random() (31 words)"),
    (55, 34, true, ".NET Random"),
    (7, 3, false, "C library random() (7 words)"),
    (15, 1, false, "C library random() (15 words)"),
    (63, 1, false, "C library random() (63 words)"),
    (607, 273, false, "Go math/rand"),
    (55, 24, false, "an additive generator (55, 24)"),
    (55, 24, true, "a subtractive generator (55, 24)"),
    (55, 31, true, "a subtractive generator (55, 31)"),
];

/// Values that the difference takes: with a carry, and with a carry and a wrap.
const TAKEN: [usize; 2] = [2, 4];

/// Rows from which on each place is taken by itself.
const ALONE: usize = 30;

/// Symbols that are looked at.
const SYMBOLS: usize = 20_000;

/// Orders that are looked at.
const ORDERS: usize = 6;

/// Looks for sums of earlier symbols.
pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    let Some(field) = Field::of(table) else {
        return vec![];
    };
    let sequences = sequences(&field);
    let tried = (sequences.len() * ORDERS * LAGS.len() * TAKEN.len()) as f64;
    let mut best: Option<(f64, Finding)> = None;
    for sequence in &sequences {
        let most = SYMBOLS.div_ceil(field.length()).min(sequence.rows.len());
        let rows = &sequence.rows[..most];
        for order in field.orders.iter().take(ORDERS) {
            let symbols = field.stream(rows, order);
            let common = common(&symbols, order.k, field.length());
            for &(far, near, minus, name) in LAGS {
                let Some(chance) = sums(&symbols, &common, order.k, (far, near, minus)) else {
                    continue;
                };
                let chance = chance + tried.log10();
                let worse = best.as_ref().is_some_and(|(other, _)| *other <= chance);
                if chance >= RARE_LOG10 || worse {
                    continue;
                }
                let evidence = format!("one stream of {name}, {}, in {most} of", sequence.name);
                best = Some((
                    chance,
                    finding(ADDITIVE, &field, Clause::Guessable, rows, chance, evidence),
                ));
            }
        }
    }
    best.into_iter().map(|(_, finding)| finding).collect()
}

/// For each place of a password, how often its likeliest few symbols come at most.
///
/// Not every place of a sound password takes every symbol as often: groups of a consonant and a
/// vowel do not. With `c` the chance that two of its symbols are the same, `t` of `k` symbols have
/// at most `t / k + sqrt(t (c - 1 / k))` of the chance (Cauchy and Schwarz), and `c` is known
/// without bias from few symbols. Few rows share one `c` among all places.
fn common(symbols: &[u8], k: usize, length: usize) -> Vec<[f64; TAKEN.len()]> {
    let alone = symbols.len() >= ALONE * length;
    let of_places = |first: usize, step: usize| {
        let mut counts = vec![0usize; k];
        for &symbol in symbols[first..].iter().step_by(step) {
            counts[usize::from(symbol)] += 1;
        }
        let all: usize = counts.iter().sum();
        let same: usize = counts
            .iter()
            .map(|&count| count * count.saturating_sub(1))
            .sum();
        let same = same as f64 / (all * all.saturating_sub(1)).max(1) as f64;
        let even = 1.0 / k as f64;
        TAKEN.map(|taken| {
            let taken = taken as f64;
            (taken * even + (taken * (same - even).max(0.0)).sqrt()).min(1.0)
        })
    };
    match alone {
        true => (0..length).map(|place| of_places(place, length)).collect(),
        false => vec![of_places(0, 1); length],
    }
}

/// log10 of the chance that the differences of random symbols take so few values.
///
/// Given all symbols before it, a symbol leads to few values no oftener than to its own likeliest
/// few; given all behind it, the farthest of the three does. Either bounds the whole stream.
fn sums(
    symbols: &[u8],
    common: &[[f64; TAKEN.len()]],
    k: usize,
    (far, near, minus): (usize, usize, bool),
) -> Option<f64> {
    let trials = symbols
        .len()
        .checked_sub(far)
        .filter(|&trials| trials > 0)?;
    let mut counts = vec![0usize; k];
    let mut expected = [[0.0; TAKEN.len()]; 2];
    for at in far..symbols.len() {
        let (a, b) = (
            usize::from(symbols[at - far]),
            usize::from(symbols[at - near]),
        );
        let b = if minus { k - b } else { b };
        counts[(usize::from(symbols[at]) + 2 * k - a - b) % k] += 1;
        for (expected, at) in expected.iter_mut().zip([at, at - far]) {
            let common = common[at % common.len()];
            for (expected, common) in expected.iter_mut().zip(common) {
                *expected += common;
            }
        }
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let told = (0..TAKEN.len()).filter(|&which| TAKEN[which] * 2 <= k);
    let rarest = told.map(|which| {
        let taken = TAKEN[which];
        let hits: usize = counts[..taken].iter().sum();
        let expected = expected[0][which].min(expected[1][which]);
        // Any so many of the values would have done, and either of the two bounds.
        let choices = (k as f64).log10() * taken as f64 + std::f64::consts::LOG10_2;
        choices + chance::at_least(hits, trials, (expected / trials as f64).log10())
    });
    rarest.min_by(f64::total_cmp)
}
