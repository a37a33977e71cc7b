//! How many equal passwords chance alone can explain.

/// Chance of calling a good generator broken, over the whole life of an index.
const FALSE_ALARM: f64 = 1e-6;

/// Collisions that independent uniform passwords of `bits` bits may show after `issued` issues,
/// before the generator must be called broken.
///
/// Collisions are Poisson with mean `issued`^2 / 2^(`bits` + 1). A million units at 40 bits expect
/// 0.45: a few are normal. At 60 bits they expect 4e-7: the first one stops the line.
#[must_use]
pub fn collisions_tolerated(bits: u32, issued: u64) -> u32 {
    let issued = issued as f64;
    let mean = issued * issued * (-f64::from(bits) - 1.0).exp2();
    if mean > 500.0 {
        // Normal tail: 6 standard deviations are under 1e-9. `as` saturates.
        return (mean + 6.0 * mean.sqrt()) as u32;
    }
    // `tail` is P(more than `tolerated`). With a tiny mean the subtraction from 1 would round to
    // nothing but noise, so the first step uses expm1.
    let mut term = (-mean).exp();
    let mut tail = -(-mean).exp_m1();
    let mut tolerated = 0;
    while tail >= FALSE_ALARM {
        tolerated += 1;
        term *= mean / f64::from(tolerated);
        tail -= term;
    }
    tolerated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bits: u32, issued: u64, expected: u32) {
        assert_eq!(
            collisions_tolerated(bits, issued),
            expected,
            "{bits} bits, {issued} issued"
        );
    }

    #[test]
    fn follows_the_birthday_bound() {
        check(60, 0, 0);
        check(60, 1_000_000, 0);
        check(60, 2_000_000, 1);
        check(40, 1_000_000, 6);
        check(100, 1_000_000_000, 0);
    }

    #[test]
    fn stays_finite_where_every_password_collides() {
        check(20, 1_000_000, 480_980);
        check(1, u64::MAX, u32::MAX);
    }

    #[test]
    fn never_shrinks_as_more_are_issued() {
        let mut last = 0;
        for exponent in 0..40 {
            let now = collisions_tolerated(40, 1 << exponent);
            assert!(now >= last, "2^{exponent}: {now} < {last}");
            last = now;
        }
    }
}
