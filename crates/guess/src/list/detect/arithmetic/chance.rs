//! How likely chance is to show as much, always bounded from above, as log10.

use crate::Clause;
use crate::list::report::{Class, Finding, Severity};
use crate::list::table::Table;

/// A finding is one when chance shows it in fewer than 1 clean list of 10^9, all looks of the
/// detector counted.
const LIMIT: f64 = -9.0;

/// Rows named as examples.
const EXAMPLES: usize = 5;

/// log10 of n!.
pub(super) fn factorial(n: usize) -> f64 {
    if n < 2 {
        return 0.0;
    }
    // Stirling's series; the first term left out is 1 / (360 n^3).
    let n = n as f64;
    let ln = n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + 1.0 / (12.0 * n);
    ln / std::f64::consts::LN_10
}

/// log10 of the ways to choose k of n.
pub(super) fn choose(n: usize, k: usize) -> f64 {
    let k = k.min(n);
    factorial(n) - factorial(k) - factorial(n - k)
}

/// log10 of the chance of at least `hits` of `n`, each with log10 chance `p` (Chernoff's bound).
pub(super) fn tail(n: usize, hits: usize, p: f64) -> f64 {
    if n == 0 || hits == 0 || p >= 0.0 {
        return 0.0;
    }
    let (n, rate) = (n as f64, hits as f64 / n as f64);
    let chance = 10f64.powf(p);
    if rate <= chance {
        return 0.0;
    }
    let hit = rate * (rate.log10() - p);
    let miss = match 1.0 - rate {
        rest if rest > 0.0 => rest * (rest / (1.0 - chance)).log10(),
        _ => 0.0,
    };
    -(n * (hit + miss)).max(0.0)
}

/// log10 of the chance that one value, whichever, comes up `hits` times in `n`, when each value has
/// log10 chance `p` at most.
pub(super) fn most_common(n: usize, hits: usize, p: f64) -> f64 {
    if hits < 2 {
        return 0.0;
    }
    // The first one names the value, or the value is one of at most 10^-p.
    let named = choose(n, hits) + (hits - 1) as f64 * p;
    named.min(tail(n, hits, p) - p).min(0.0)
}

/// log10 of the chance that a random order of n holds a rising run of `length`, gaps allowed.
pub(super) fn rising(n: usize, length: usize) -> f64 {
    (choose(n, length) - factorial(length)).min(0.0)
}

/// What a look saw, should it be the least likely one.
pub(super) struct Suspect {
    pub(super) class: Class,
    pub(super) clause: Clause,
    /// Rows of the table that show it.
    pub(super) rows: Vec<usize>,
    pub(super) evidence: String,
}

/// Counts the looks of a detector and keeps the least likely of what they saw.
pub(super) struct Tally {
    detector: &'static str,
    looks: f64,
    best: Option<(f64, Suspect)>,
}

impl Tally {
    pub(super) fn new(detector: &'static str) -> Tally {
        Tally {
            detector,
            looks: 0.0,
            best: None,
        }
    }

    /// One look whose result chance shows with 10^`chance`. `describe` runs when it is the least
    /// likely so far.
    pub(super) fn look(&mut self, chance: f64, describe: impl FnOnce() -> Suspect) {
        self.look_among(1, chance, describe);
    }

    /// The least likely of `looks` looks.
    pub(super) fn look_among(
        &mut self,
        looks: usize,
        chance: f64,
        describe: impl FnOnce() -> Suspect,
    ) {
        self.looks += looks as f64;
        let least = self.best.as_ref().map_or(LIMIT, |(least, _)| *least);
        if chance < least {
            self.best = Some((chance, describe()));
        }
    }

    /// The finding, if chance does not explain it.
    pub(super) fn findings(self, table: &Table<'_>) -> Vec<Finding> {
        let Some((chance, mut suspect)) = self.best else {
            return vec![];
        };
        let chance_log10 = chance + self.looks.log10();
        if chance_log10 > LIMIT {
            return vec![];
        }
        suspect.rows.sort_unstable();
        suspect.rows.dedup();
        let examples = suspect.rows.iter().take(EXAMPLES);
        vec![Finding {
            severity: Severity::Refused,
            class: suspect.class,
            detector: self.detector,
            clause: suspect.clause,
            rows: suspect.rows.len(),
            examples: examples.map(|&row| table.number(row)).collect(),
            evidence: suspect.evidence,
            chance_log10,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(got: f64, least: f64, most: f64) {
        assert!(least <= got && got <= most, "{got} not in {least}..{most}");
    }

    #[test]
    fn bounds_are_bounds_and_close() {
        check(factorial(20), 18.386, 18.387);
        check(choose(1000, 3), 8.220, 8.222);
        // Exactly p^n when all hit; 0.5 and above is no news.
        check(tail(40, 40, 0.5f64.log10()), -12.05, -12.04);
        check(tail(40, 20, 0.5f64.log10()), 0.0, 0.0);
        // At least 60 of 100 fair coins: 0.0284 exactly.
        check(tail(100, 60, 0.5f64.log10()), 0.0284f64.log10(), -0.8);
        check(most_common(10, 2, -6.0), -4.4, -4.3);
        check(rising(15, 15), -12.2, -12.1);
    }
}
