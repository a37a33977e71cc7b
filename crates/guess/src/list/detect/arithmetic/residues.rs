//! Numbers modulo another.

pub(super) fn difference(a: u64, b: u64, modulus: u64) -> u64 {
    (a % modulus + (modulus - b % modulus)) % modulus
}

pub(super) fn plus(a: u64, b: u64, modulus: u64) -> u64 {
    // Both are under the modulus, and that is at most 2^63.
    (a + b) % modulus
}

pub(super) fn times(a: u64, b: u64, modulus: u64) -> u64 {
    // Division of 128 bits costs more than all else in this family.
    if modulus.is_power_of_two() {
        return a.wrapping_mul(b) & (modulus - 1);
    }
    if (a | b) >> 32 == 0 {
        return a * b % modulus;
    }
    (u128::from(a) * u128::from(b) % u128::from(modulus)) as u64
}

pub(super) fn inverse(value: u64, modulus: u64) -> Option<u64> {
    let (mut r, mut next_r) = (i128::from(modulus), i128::from(value));
    let (mut t, mut next_t) = (0i128, 1i128);
    while next_r != 0 {
        let quotient = r / next_r;
        (r, next_r) = (next_r, r - quotient * next_r);
        (t, next_t) = (next_t, t - quotient * next_t);
    }
    (r == 1).then(|| t.rem_euclid(i128::from(modulus)) as u64)
}

/// Greatest common divisor; 0 and n have n.
pub(super) fn greatest<T>(a: T, b: T) -> T
where
    T: Copy + Default + PartialEq + std::ops::Rem<Output = T>,
{
    let (mut a, mut b) = (a, b);
    while b != T::default() {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_and_divisors() {
        let check = |value, modulus, expected| {
            assert_eq!(
                inverse(value, modulus),
                expected,
                "{value} modulo {modulus}"
            );
        };
        check(3, 10, Some(7));
        check(4, 10, None);
        check(0, 10, None);
        check(1, 1 << 60, Some(1));
        assert_eq!(greatest(0u64, 12), 12);
        assert_eq!(greatest(84u64, 36), 12);
    }
}
