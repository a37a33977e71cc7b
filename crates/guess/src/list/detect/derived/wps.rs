//! Check digits, and the published formulas for WPS PINs.

/// How a PIN is made of an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Formula {
    /// The number modulo 10^7.
    Remainder,
    /// The low 24 bits mixed with themselves, as D-Link units of 2014 did.
    DLink,
}

impl Formula {
    pub(super) const ALL: [Formula; 2] = [Formula::Remainder, Formula::DLink];

    /// Seven digits and the check digit of the WPS specification.
    pub(super) fn pin(self, number: u64) -> u32 {
        let seven = match self {
            Formula::Remainder => (number % 10_000_000) as u32,
            Formula::DLink => {
                let mut pin = number as u32 & 0xff_ffff ^ 0x55_aa55;
                let low = pin & 15;
                pin ^= low << 4 | low << 8 | low << 12 | low << 16 | low << 20;
                pin %= 10_000_000;
                match pin < 1_000_000 {
                    true => pin + pin % 9 * 1_000_000 + 1_000_000,
                    false => pin,
                }
            }
        };
        seven * 10 + check(seven)
    }
}

/// Digits in odd places, from the right, count three times; the sum ends in 0.
fn check(seven: u32) -> u32 {
    let (mut rest, mut sum) = (seven, 0);
    while rest > 0 {
        sum += 3 * (rest % 10) + rest / 10 % 10;
        rest /= 100;
    }
    (10 - sum % 10) % 10
}

/// The check digit of ISO/IEC 7812 for a text of digits; `None` for an empty one.
pub(super) fn luhn(digits: &[u8]) -> Option<u8> {
    let places = digits.iter().rev().enumerate();
    let sum: u32 = places
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') << ((place + 1) % 2);
            value / 10 + value % 10
        })
        .sum();
    (!digits.is_empty()).then(|| b'0' + ((10 - sum % 10) % 10) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address is that of the published example; 7992739871 is ISO/IEC 7812's.
    #[test]
    fn check_digits_are_the_published_ones() {
        assert_eq!(Formula::Remainder.pin(1_234_567), 12_345_670);
        assert_eq!(luhn(b"7992739871"), Some(b'3'));
    }
}
