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
            for &(far, near, minus, name) in LAGS {
                let Some(chance) = sums(&symbols, order.k, far, near, minus) else {
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

/// log10 of the chance that the differences of random symbols take so few values.
fn sums(symbols: &[u8], k: usize, far: usize, near: usize, minus: bool) -> Option<f64> {
    let trials = symbols.len().checked_sub(far)?;
    let mut counts = vec![0usize; k];
    for at in far..symbols.len() {
        let (a, b) = (
            usize::from(symbols[at - far]),
            usize::from(symbols[at - near]),
        );
        let b = if minus { k - b } else { b };
        counts[(usize::from(symbols[at]) + 2 * k - a - b) % k] += 1;
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let rarest = TAKEN.iter().filter(|&&taken| taken * 2 <= k).map(|&taken| {
        let hits: usize = counts[..taken].iter().sum();
        // Any so many of the values would have done.
        let choices = (k as f64).log10() * taken as f64;
        let each = (taken as f64 / k as f64).log10();
        choices + chance::at_least(hits, trials, each)
    });
    rarest.min_by(f64::total_cmp)
}
