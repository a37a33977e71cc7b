//! How often random passwords would show as much, as log10, bounded from above.

/// log10 of the chance of at least `hits` successes in `trials`, each of chance `10^each_log10`.
///
/// Chernoff's bound, `(n p / c)^c e^(c - n p)`, which needs no table and is never too small.
pub(super) fn at_least(hits: usize, trials: usize, each_log10: f64) -> f64 {
    let (hits, trials) = (hits as f64, trials as f64);
    let expected = trials.log10() + each_log10;
    if hits == 0.0 || expected >= hits.log10() {
        return 0.0;
    }
    let mean = 10f64.powf(expected);
    // Every trial a hit: the chance is exact, and smaller than the bound.
    if hits >= trials {
        return (hits * each_log10).min(0.0);
    }
    let log = hits * (expected - hits.log10()) + (hits - mean) * std::f64::consts::LOG10_E;
    log.min(0.0)
}

/// log10 of the chance that a random password of `symbols` symbols out of `alphabet` is a given one.
pub(super) fn of_password(symbols: usize, alphabet: usize) -> f64 {
    -(symbols as f64) * (alphabet.max(1) as f64).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hits: usize, trials: usize, each: f64, low: f64, high: f64) {
        let got = at_least(hits, trials, each);
        assert!(
            got >= low && got <= high,
            "{hits} of {trials} at {each}: {got}"
        );
    }

    #[test]
    fn tails_are_bounded_from_above() {
        check(0, 100, -3.0, 0.0, 0.0);
        check(2, 2, -12.0, -24.0, -24.0);
        // Poisson with mean 1e-4: three or more are 1.7e-13.
        check(3, 100, -6.0, -12.8, -11.4);
        let even = -std::f64::consts::LOG10_2;
        check(50, 100, even, -0.1, 0.0);
        check(100, 100, even, -30.2, -30.0);
    }
}
