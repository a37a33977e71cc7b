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

/// For each place of a password, the share of its rows that its few most common symbols have.
///
/// Not every place of a sound password takes every symbol as often: groups of a consonant and a
/// vowel do not.
fn common(symbols: &[u8], k: usize, length: usize) -> Vec<[f64; TAKEN.len()]> {
    let rows = (symbols.len() / length).max(1) as f64;
    let of_place = |place: usize| {
        let mut counts = vec![0usize; k];
        for &symbol in symbols[place..].iter().step_by(length) {
            counts[usize::from(symbol)] += 1;
        }
        counts.sort_unstable_by(|a, b| b.cmp(a));
        TAKEN.map(|taken| counts.iter().take(taken).sum::<usize>() as f64 / rows)
    };
    (0..length).map(of_place).collect()
}

/// log10 of the chance that the differences of random symbols take so few values.
///
/// Two of the three symbols of a difference leave it as free as the third is, so that it takes the
/// likeliest few values no more often than the most even of the three its own.
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
    let mut expected = [0.0; TAKEN.len()];
    for at in far..symbols.len() {
        let (a, b) = (
            usize::from(symbols[at - far]),
            usize::from(symbols[at - near]),
        );
        let b = if minus { k - b } else { b };
        counts[(usize::from(symbols[at]) + 2 * k - a - b) % k] += 1;
        let places = [at, at - far, at - near].map(|at| &common[at % common.len()]);
        for (taken, expected) in expected.iter_mut().enumerate() {
            *expected += places
                .map(|it| it[taken])
                .iter()
                .copied()
                .fold(1.0, f64::min);
        }
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let told = TAKEN
        .iter()
        .zip(expected)
        .filter(|&(&taken, _)| taken * 2 <= k);
    let rarest = told.map(|(&taken, expected)| {
        let hits: usize = counts[..taken].iter().sum();
        // Any so many of the values would have done.
        let choices = (k as f64).log10() * taken as f64;
        choices + chance::at_least(hits, trials, (expected / trials as f64).log10())
    });
    rarest.min_by(f64::total_cmp)
}
