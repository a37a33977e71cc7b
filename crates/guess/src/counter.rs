//! Counting and stuck generators, seen against the passwords issued before.

use zeroize::Zeroizing;

use crate::{Clause, Verdict};

/// Digits that are looked at before all of them are. Twice five of base 36 fit 31 bits.
const LOW_DIGITS: usize = 5;

/// How many earlier passwords are compared.
pub(crate) const RECENT: usize = 64;

/// The largest stride of a counter that one earlier password is enough to see, as a power of two.
const STRIDE_BITS: u32 = 10;

/// How much rarer than by chance a stride must be before it counts, as a power of two.
const RARE_BITS: u32 = 20;

/// Codes under this many bits are compared with the newest two only: among 64 earlier ones, 4,032
/// pairs could continue by chance.
const LONG_BITS: u32 = 40;

/// The digits a counter may be written in, in their order, smallest base first.
static READINGS: [Reading; 5] = [
    Reading::new(b"0123456789"),
    Reading::new(b"0123456789ABCDEF"),
    Reading::new(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"),
    Reading::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    Reading::new(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
];

/// One way of reading symbols as a number.
struct Reading {
    base: u8,
    /// The value of each byte, in either case; `NO_DIGIT` for the others.
    digits: [u8; 256],
}

const NO_DIGIT: u8 = u8::MAX;

impl Reading {
    const fn new(symbols: &[u8]) -> Reading {
        let mut digits = [NO_DIGIT; 256];
        let mut value = 0;
        while value < symbols.len() {
            digits[symbols[value] as usize] = value as u8;
            digits[symbols[value].to_ascii_lowercase() as usize] = value as u8;
            value += 1;
        }
        Reading {
            base: symbols.len() as u8,
            digits,
        }
    }

    /// The value of the last five digits, or of the first five where the last comes first. A symbol
    /// that is no digit makes nonsense of it.
    fn low(&self, text: &[u8], last_first: bool) -> i32 {
        let base = i32::from(self.base);
        let mut digits = [0; LOW_DIGITS];
        let end = match last_first {
            true => text.first_chunk::<LOW_DIGITS>(),
            false => text.last_chunk::<LOW_DIGITS>(),
        };
        let mut all = 0;
        for (digit, symbol) in digits.iter_mut().zip(end.unwrap_or(b"-----")) {
            *digit = self.digits[usize::from(*symbol)];
            all |= *digit;
        }
        let add = |low: i32, digit: &u8| low * base + i32::from(*digit);
        // No base has more than 64 digits, so this bit is that of a symbol that is none.
        match all & 0x80 {
            0 if last_first => digits.iter().rfold(0, add),
            0 => digits.iter().fold(0, add),
            _ => self.low_with_hyphens(text, last_first),
        }
    }

    #[cold]
    fn low_with_hyphens(&self, text: &[u8], last_first: bool) -> i32 {
        let symbols = text.iter().filter(|symbol| **symbol != b'-');
        let (mut low, mut place) = (0, 1);
        let mut add = |symbol: &u8| {
            low += i32::from(self.digits[usize::from(*symbol)]) * place;
            place *= i32::from(self.base);
        };
        match last_first {
            true => symbols.take(LOW_DIGITS).for_each(&mut add),
            false => symbols.rev().take(LOW_DIGITS).for_each(&mut add),
        }
        low
    }

    /// Whether the low digits rule out that the password continues a count. Never when it does:
    /// what is near or equally far stays so modulo a power of the base. By chance they leave it
    /// open for one password of 32 symbols in 200.
    fn ruled_out(&self, password: &[u8], recent: &[&[u8]], last_first: bool, stride: i32) -> bool {
        let modulus = i32::from(self.base).pow(LOW_DIGITS as u32);
        let now = self.low(password, last_first);
        let mut lows = Zeroizing::new([0; RECENT]);
        let mut count = 0;
        for text in recent.iter().filter(|text| text.len() == password.len()) {
            lows[count] = self.low(text, last_first);
            count += 1;
        }
        let lows = &lows[..count];
        let near = |then: &i32| {
            let apart = (now - then).abs();
            apart.min(modulus - apart) <= stride
        };
        if lows.iter().filter(|then| near(then)).count() > 0 {
            return false;
        }
        // A bit for each value: what has none is not among them.
        let mut seen = Zeroizing::new([0u64; 64]);
        let place = |low: i32| {
            let hash = (low as u32).wrapping_mul(0x9e37_79b1) >> 20;
            ((hash / 64) as usize, 1 << (hash % 64))
        };
        for &low in lows {
            let (word, bit) = place(low);
            seen[word] |= bit;
        }
        lows.iter().all(|&middle| {
            // As far before the earlier one as the password is after it.
            let before = 2 * middle - now;
            let before = before + (modulus & (before >> 31));
            let beyond = before - modulus;
            let before = beyond + (modulus & (beyond >> 31));
            let (word, bit) = place(before);
            seen[word] & bit == 0 || !lows.contains(&before)
        })
    }

    /// The password as a number modulo 2^128, hyphens skipped; `None` when a symbol is no digit.
    fn value(&self, text: &[u8], last_first: bool) -> Option<u128> {
        let add = |value: u128, symbol: &u8| {
            let digit = self.digits[usize::from(*symbol)];
            let grown = value
                .wrapping_mul(self.base.into())
                .wrapping_add(digit.into());
            (digit != NO_DIGIT).then_some(grown)
        };
        let mut symbols = text.iter().filter(|symbol| **symbol != b'-');
        if last_first {
            symbols.try_rfold(0, add)
        } else {
            symbols.try_fold(0, add)
        }
    }
}

/// Refuses a password that continues a count: close after an earlier one, or as far from one as
/// that one is from a third.
pub(crate) fn counting(password: &[u8], recent: &[&[u8]]) -> Option<Verdict> {
    let mut readings = READINGS
        .iter()
        .filter(|reading| reading.value(password, false).is_some());
    // A larger base reads the same symbols, but their number stays that of the smallest.
    let bits = bits(readings.clone().next()?.base, password.len());
    // Among many short codes, some lie at equal steps by chance; the newest two rarely do.
    let compared = if bits < LONG_BITS { 2 } else { RECENT };
    let recent = &recent[recent.len().saturating_sub(compared)..];
    let evidence = readings.find_map(|reading| {
        [false, true].into_iter().find_map(|last_first| {
            if reading.ruled_out(password, recent, last_first, stride(bits)) {
                return None;
            }
            let now = reading.value(password, last_first)?;
            let same_length = recent.iter().filter(|text| text.len() == password.len());
            let read = |text: &&[u8]| reading.value(text, last_first);
            let mut values = Zeroizing::new(Vec::with_capacity(recent.len()));
            values.extend(same_length.filter_map(read));
            values.sort_unstable();
            Some(format!(
                "{} in base {}",
                continued(now, &values, stride(bits).unsigned_abs().into())?,
                reading.base
            ))
        })
    })?;
    Verdict::refused("counter", Clause::Counter, evidence)
}

/// How `now` continues the sorted `earlier` values, if it does.
fn continued(now: u128, earlier: &[u128], stride: u128) -> Option<String> {
    let close = |&then: &u128| now != then && distance(now, then) <= stride;
    if earlier.iter().any(close) {
        return Some(format!("is at most {stride} from an earlier one"));
    }
    // Arithmetic modulo 2^128 keeps equal differences equal, whatever the length.
    let equal_steps = |&middle: &u128| {
        let before = middle.wrapping_sub(now.wrapping_sub(middle));
        now != middle && earlier.binary_search(&before).is_ok()
    };
    let continues = earlier.iter().any(equal_steps);
    continues.then(|| "makes equal steps with two earlier ones".to_owned())
}

/// Refuses a password that equals an earlier one in five of six places.
pub(crate) fn stuck(password: &[u8], recent: &[&[u8]]) -> Option<Verdict> {
    let length = password.len();
    // Short codes agree by chance: 9 of 10 digits do so in 1e-8 of pairs, 5 of 6 in 5e-5.
    let enough = if length >= 10 {
        (length * 5).div_ceil(6)
    } else {
        length.max(1)
    };
    let may_differ = length.saturating_sub(enough);
    let agreeing = recent
        .iter()
        .filter(|earlier| earlier.len() == length)
        .filter_map(|earlier| {
            let places = password.iter().zip(earlier.iter());
            // Others differ soon, and are not read to the end.
            let mut differing = places.filter(|(a, b)| a != b);
            let differ = differing.by_ref().take(may_differ + 1).count();
            (differ <= may_differ).then_some(length - differ)
        });
    let most = agreeing.max().filter(|same| *same >= enough)?;
    let evidence = format!("{most} of {length} symbols are those of an earlier one");
    Verdict::refused("stuck", Clause::Guessable, evidence)
}

fn distance(a: u128, b: u128) -> u128 {
    a.wrapping_sub(b).min(b.wrapping_sub(a))
}

/// Bits of a code of this length, rounded down.
fn bits(base: u8, length: usize) -> u32 {
    u32::try_from(length)
        .unwrap_or(u32::MAX)
        .saturating_mul(base.ilog2())
}

/// The stride that counts for a code of so many bits; 0 where any stride is likely by chance.
fn stride(bits: u32) -> i32 {
    bits.checked_sub(RARE_BITS)
        .map_or(0, |spare| 1 << spare.min(STRIDE_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(recent: &[&str], password: &str, expected: &str) {
        let recent: Vec<&[u8]> = recent.iter().map(|text| text.as_bytes()).collect();
        let got = match counting(password.as_bytes(), &recent)
            .or_else(|| stuck(password.as_bytes(), &recent))
        {
            Some(Verdict::Refused {
                detector, clause, ..
            }) => format!("{detector} {clause}"),
            _ => "pass".to_owned(),
        };
        assert_eq!(got, expected, "{recent:?} then {password}");
    }

    /// Looking at five digits first must miss nothing that all of them show.
    #[test]
    fn nothing_that_counts_is_ruled_out_by_its_low_digits() {
        let mut state = 9u64;
        let mut next = |bound: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % bound
        };
        let written = |mut value: u64, reading: &Reading, last_first: bool| {
            let symbol = |digit: u64| {
                let is = |symbol: &u8| u64::from(reading.digits[usize::from(*symbol)]) == digit;
                (b'0'..=b'Z').find(is).unwrap()
            };
            let mut text: Vec<u8> = vec![];
            for _ in 0..10 {
                text.push(symbol(value % u64::from(reading.base)));
                value /= u64::from(reading.base);
            }
            if !last_first {
                text.reverse();
            }
            if text[0] < b'5' {
                text.insert(5, b'-');
                text.push(b'-');
            }
            text
        };
        for _ in 0..2_000 {
            let reading = &READINGS[next(5) as usize];
            let last_first = next(2) == 0;
            let span = u64::from(reading.base).pow(10) - 1;
            let (first, step) = (next(1 << 31) * 7, next(1 << 20) + 1);
            let values = [first, first + step, first + 2 * step].map(|value| value % span);
            let [a, b, c] = values.map(|value| written(value, reading, last_first));
            if values[0] > values[2] || a.len() != b.len() || b.len() != c.len() {
                continue;
            }
            for (recent, password) in [([&a[..], &b], &c), ([&c[..], &b], &a)] {
                assert!(
                    counting(password, &recent).is_some(),
                    "{} after {}",
                    password.escape_ascii(),
                    b.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn small_strides_are_seen_at_once() {
        check(&["K7QDM2X9TR4W"], "K7QDM2X9TR4X", "counter 1(3)(a)");
        check(&["K7QDM2X9TR4Z"], "K7QDM2X9TR50", "counter 1(3)(a)");
        check(&["K7QDM2X9TR4W"], "K7QDM2X9TQ4W", "counter 1(3)(a)");
        check(&["000000012799"], "000000012800", "counter 1(3)(a)");
        check(&["W4RT9X2MDQ7K"], "X4RT9X2MDQ7K", "counter 1(3)(a)");
        check(&["k7qd-m2x9-tr4w"], "k7qd-m2x9-tr4x", "counter 1(3)(a)");
    }

    #[test]
    fn large_strides_are_seen_at_the_third() {
        // 0x0123456789 apart, in hexadecimal.
        check(&["5A0000000000"], "5B2345678900", "pass");
        check(
            &["5A0000000000", "5B2345678900"],
            "5C468ACF1200",
            "counter 1(3)(a)",
        );
        check(&["5A0000000000", "5B2345678900"], "5C468ACF1291", "pass");
        // Other units were issued between.
        check(
            &["5A0000000000", "ZZZZZZZZZZZZ", "5B2345678900"],
            "5C468ACF1200",
            "counter 1(3)(a)",
        );
    }

    #[test]
    fn a_stuck_generator_is_seen() {
        check(&["K7QDM2X9TR4W"], "K7QDM2X9TR4W", "stuck 1(3)(d)");
        check(&["K7QDM2X9TR4W"], "K7QDM2X90000", "pass");
        check(&["K7QDM2X9TR4W"], "A7QDM2X9TR4Z", "stuck 1(3)(d)");
        check(&["123456"], "123456", "stuck 1(3)(d)");
    }

    #[test]
    fn unrelated_ones_pass() {
        check(&[], "K7QDM2X9TR4W", "pass");
        check(&["9XTR4WK7QDM2", "P0C3HJ5N8VYA"], "K7QDM2X9TR4W", "pass");
        check(&["482913"], "482915", "pass");
    }
}
