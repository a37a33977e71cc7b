//! How much more likely what was seen is under a weakness than under honest drawing.
//!
//! Two measures. *Evidence* is a likelihood ratio in nats: a description that was fixed before the
//! rows were seen (or learned only from earlier rows) against uniform symbols. Its mean under
//! uniform symbols is 1 at most, so by Markov's and Ville's inequalities evidence of `e` nats has a
//! chance of `exp(-e)` at most, whatever the number of rows. *Tails* bound how often a count is met
//! or passed (Chernoff), as a natural logarithm.

/// What evidence must reach, in nats, and what a tail must fall under: a chance of 1e-10 for each
/// finding that a detector can make on a clean list.
pub(super) const ENOUGH: f64 = 23.03;

/// log10 of the chance that evidence of `nats` bounds.
pub(super) fn chance_log10(nats: f64) -> f64 {
    -nats * std::f64::consts::LOG10_E
}

/// ln Gamma, by Stirling's series after shifting to 8 and more; better than 1e-9 for x > 0.
pub(super) fn ln_gamma(mut x: f64) -> f64 {
    let mut product = 1.0;
    while x < 8.0 {
        product *= x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series =
        (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - product.ln()
}

/// ln of n over k.
pub(super) fn ln_choose(n: usize, k: usize) -> f64 {
    let gamma = |n: usize| ln_gamma(n as f64 + 1.0);
    gamma(n) - gamma(k) - gamma(n - k)
}

/// ln of the mean of numbers whose logarithms are given.
pub(super) fn ln_mean(logarithms: &[f64]) -> f64 {
    let most = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logarithms.iter().map(|it| (it - most).exp()).sum();
    most + (sum / logarithms.len() as f64).ln()
}

/// Evidence that a share of `prior` goes to the description and the rest to honest drawing, so a
/// description that does not fit costs next to nothing.
pub(super) fn diluted(nats: f64, prior: f64) -> f64 {
    if nats > 30.0 {
        return nats + prior.ln();
    }
    (1.0 - prior + prior * nats.exp()).ln()
}

/// Evidence that these counts were not drawn with these chances: a Dirichlet prior around the
/// chances, worth `weight` observations, against the chances themselves.
pub(super) fn uneven(counts: &[u32], chances: &[f64], weight: f64) -> f64 {
    let all: f64 = counts.iter().map(|&count| f64::from(count)).sum();
    let term = |(&count, &chance): (&u32, &f64)| {
        if count == 0 {
            return 0.0;
        }
        let (count, prior) = (f64::from(count), weight * chance);
        ln_gamma(prior + count) - ln_gamma(prior) - count * chance.ln()
    };
    let terms: f64 = counts.iter().zip(chances).map(term).sum();
    ln_gamma(weight) - ln_gamma(weight + all) + terms
}

/// ln of a bound on the chance that a count with this mean (Poisson, or a sum of independent or
/// negatively associated events) reaches `count`.
pub(super) fn poisson_tail(count: f64, mean: f64) -> f64 {
    if count <= mean || count <= 0.0 {
        return 0.0;
    }
    count - mean - count * (count / mean).ln()
}

/// The smallest mean that still reaches `count` with a chance of `exp(-nats)`.
pub(super) fn least_mean(count: f64, nats: f64) -> f64 {
    let (mut low, mut high) = (count * (-nats / count.max(1.0) - 2.0).exp(), count);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if poisson_tail(count, middle) < -nats {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// ln of a bound on the chance of `hits` or more in `of` trials at `chance` each.
pub(super) fn binomial_tail(hits: usize, of: usize, chance: f64) -> f64 {
    let (count, all) = (hits as f64, of as f64);
    if of == 0 || chance >= 1.0 || count <= all * chance {
        return 0.0;
    }
    let missed = all - count;
    let rest = match missed > 0.0 {
        true => missed * (missed / (all * (1.0 - chance))).ln(),
        false => 0.0,
    };
    -(count * (count / (all * chance)).ln() + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
    }

    #[test]
    fn logarithms_are_those_of_the_tables() {
        check(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln());
        check(ln_gamma(1.0), 0.0);
        check(ln_gamma(11.0), 3_628_800f64.ln());
        check(ln_choose(32, 2), 496f64.ln());
        check(ln_mean(&[0.0, 2f64.ln()]), 1.5f64.ln());
    }

    #[test]
    fn tails_bound_what_they_are_for() {
        // One hit where a billionth is expected: e times that at most.
        check(poisson_tail(1.0, 1e-9), 1e-9f64.ln() + 1.0 - 1e-9);
        check(poisson_tail(3.0, 4.0), 0.0);
        check(binomial_tail(10, 10, 0.1), 10.0 * 0.1f64.ln());
        check(poisson_tail(8.0, least_mean(8.0, 7.0)), -7.0);
    }

    /// The mean of the likelihood ratio over all outcomes is 1: the bound on chance hangs on it.
    #[test]
    fn evidence_has_mean_one_under_honest_drawing() {
        let chances: [f64; 2] = [0.25, 0.75];
        let mean: f64 = (0..=12u32)
            .map(|n| {
                let outcome = [n, 12 - n];
                let ln = ln_choose(12, n as usize)
                    + f64::from(n) * chances[0].ln()
                    + f64::from(12 - n) * chances[1].ln();
                (ln + uneven(&outcome, &chances, 2.0)).exp()
            })
            .sum();
        check(mean, 1.0);
    }
}
