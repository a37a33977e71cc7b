//! Overlap with identifiers and public facts: the same four characters in a row, in any of the
//! ways a lazy scheme writes an identifier.
//!
//! Runs on every draw, so the views are streamed past the password's few runs, and those that
//! are written in digits or hexadecimal are made only for a password that has such a run.

use zeroize::Zeroizing;

use crate::text::folded_bytes;
use crate::{Clause, Facts, Verdict};

/// Characters in a row that may not be shared. Chance for one run of 12 of 32 symbols against one
/// run of an identifier: 9 / 32^4, so 4,600 different runs cost 4 % of draws.
const OVERLAP: usize = 4;

/// How far a neighbouring address is looked at: a radio's is often the base address plus a few.
const NEIGHBOURS: u128 = 10;

/// Refuses a password that shares four characters with a fact. The password is folded.
pub(crate) fn overlap(password: &[u8], facts: &Facts<'_>) -> Option<Verdict> {
    let runs = Runs::of(password);
    let identifiers = [("serial", facts.serial), ("device id", facts.device_id)];
    let macs = facts.macs.iter().map(|mac| ("MAC address", mac.as_str()));
    for (what, text) in identifiers.into_iter().chain(macs) {
        if let Some(how) = text_views(text, &runs).or_else(|| number_views(text, &runs)) {
            let evidence = evidence(what, how);
            return Verdict::refused("identifier overlap", Clause::Identifier, evidence);
        }
    }
    let named = [
        ("model", facts.model),
        ("network name", facts.ssid.unwrap_or("")),
    ];
    let public = facts
        .public
        .iter()
        .map(|&text| ("public information", text));
    for (what, text) in named.into_iter().chain(public) {
        if let Some(how) = text_views(text, &runs) {
            return Verdict::refused("public overlap", Clause::Public, evidence(what, how));
        }
    }
    None
}

fn evidence(what: &str, how: &str) -> String {
    format!("{OVERLAP} characters in a row also stand in the {what} {how}")
}

/// The runs of four in a password.
struct Runs<'a> {
    password: &'a [u8],
    /// A bit for the hash of each run: what is not here is not in the password.
    hashes: Zeroizing<[u64; 16]>,
    /// Whether any run is all digits, and whether any is all hexadecimal digits: no view in those
    /// can share another.
    digits: bool,
    hexadecimal: bool,
}

impl Runs<'_> {
    fn of(password: &[u8]) -> Runs<'_> {
        let mut runs = Runs {
            password,
            hashes: Zeroizing::new([0; 16]),
            digits: false,
            hexadecimal: false,
        };
        for run in password.windows(OVERLAP) {
            let (word, bit) = Runs::place(run.iter().fold(0, joined));
            runs.hashes[word] |= bit;
            runs.digits |= run.iter().all(u8::is_ascii_digit);
            runs.hexadecimal |= run.iter().all(u8::is_ascii_hexdigit);
        }
        runs
    }

    /// Where the hash of a run is kept.
    fn place(run: u32) -> (usize, u64) {
        let hash = run.wrapping_mul(0x9e37_79b1) >> 22;
        ((hash / 64) as usize, 1 << (hash % 64))
    }

    /// Whether the view has one of the runs.
    fn shared(&self, view: impl Iterator<Item = u8>) -> bool {
        let mut run = 0;
        let mut before = OVERLAP - 1; // characters still missing from the first run
        for byte in view {
            run = joined(run, &byte);
            if before > 0 {
                before -= 1;
                continue;
            }
            let (word, bit) = Runs::place(run);
            if self.hashes[word] & bit != 0 && self.has(run) {
                return true;
            }
        }
        false
    }

    fn has(&self, run: u32) -> bool {
        let mut runs = self.password.windows(OVERLAP);
        runs.any(|other| other.iter().fold(0, joined) == run)
    }
}

/// The last four characters as one number.
fn joined(run: u32, byte: &u8) -> u32 {
    run << 8 | u32::from(*byte)
}

/// A fact as text: forwards, backwards, and its digits alone. Says which view shares a run.
fn text_views(text: &str, runs: &Runs<'_>) -> Option<&'static str> {
    if runs.shared(folded_bytes(text.as_bytes())) {
        return Some("as it is written");
    }
    if runs.shared(folded_bytes(text.as_bytes()).rev()) {
        return Some("read backwards");
    }
    if runs.digits && runs.shared(text.bytes().filter(u8::is_ascii_digit)) {
        return Some("with only its digits");
    }
    None
}

/// An identifier as a number: every base a scheme may print it in, and its neighbours.
fn number_views(text: &str, runs: &Runs<'_>) -> Option<&'static str> {
    let alphanumeric = text.bytes().filter(u8::is_ascii_alphanumeric);
    let hex = text.bytes().filter(u8::is_ascii_hexdigit);
    if alphanumeric.count() == hex.clone().count()
        && let Some(how) = hexadecimal_views(hex, runs)
    {
        return Some(how);
    }
    let digits = text.bytes().filter(u8::is_ascii_digit);
    if digits.clone().count() < OVERLAP {
        return None;
    }
    value_views(value(digits, 10), runs)
}

fn hexadecimal_views(
    hex: impl DoubleEndedIterator<Item = u8> + Clone,
    runs: &Runs<'_>,
) -> Option<&'static str> {
    if runs.hexadecimal
        && let Some(how) = pair_views(&hex.clone().collect::<Vec<u8>>(), runs)
    {
        return Some(how);
    }
    // The low 128 bits of a longer id: the leading bytes are its text views already.
    let value = value(hex.clone(), 16);
    if let Some(how) = value_views(value, runs) {
        return Some(how);
    }
    if runs.digits {
        for (low, how) in [
            (24, "low 24 bits as a number"),
            (32, "low 32 bits as a number"),
        ] {
            if runs.shared(written::<10>(value & ((1 << low) - 1)).iter()) {
                return Some(how);
            }
        }
    }
    if runs.hexadecimal {
        for step in 1..=NEIGHBOURS {
            for neighbour in [value.wrapping_add(step), value.wrapping_sub(step)] {
                if runs.shared(hexadecimal(neighbour, 8)) {
                    return Some("of a neighbour");
                }
            }
        }
        if runs.shared(hexadecimal(!value, hex.count())) {
            return Some("with every bit turned");
        }
    }
    None
}

/// Bytes backwards and nibbles swapped, as dumps of the other byte order show them.
fn pair_views(hex: &[u8], runs: &Runs<'_>) -> Option<&'static str> {
    let pairs = hex.chunks_exact(2).map(<[u8]>::to_ascii_uppercase);
    if runs.shared(pairs.clone().rev().flatten()) {
        return Some("with its bytes reversed");
    }
    if runs.shared(pairs.flat_map(|pair| [pair[1], pair[0]])) {
        return Some("with its nibbles swapped");
    }
    None
}

fn value_views(value: u128, runs: &Runs<'_>) -> Option<&'static str> {
    if runs.digits && runs.shared(written::<10>(value).iter()) {
        return Some("as a decimal number");
    }
    if runs.hexadecimal && runs.shared(written::<16>(value).iter()) {
        return Some("as a hexadecimal number");
    }
    if runs.shared(written::<32>(value).iter()) {
        return Some("as a base-32 number");
    }
    if runs.shared(written::<36>(value).iter()) {
        return Some("as a base-36 number");
    }
    None
}

/// The value of the digits, modulo 2^128.
fn value(digits: impl Iterator<Item = u8>, base: u32) -> u128 {
    digits.fold(0, |value: u128, digit| {
        let digit = char::from(digit).to_digit(base).unwrap_or(0);
        value.wrapping_mul(base.into()).wrapping_add(digit.into())
    })
}

/// Digits of a number in some base, at most 39: those of 2^128 in base 10.
struct Digits {
    bytes: [u8; 39],
    start: usize,
}

impl Digits {
    fn iter(&self) -> impl Iterator<Item = u8> {
        self.bytes[self.start..].iter().copied()
    }
}

/// The value in another base, 10 or more, without leading zeros, folded; base 32 in Crockford's
/// symbols.
fn written<const BASE: u64>(mut value: u128) -> Digits {
    let symbols: &[u8; 36] = match BASE {
        32 => b"0123456789ABCDEFGHJKMNPQRSTVWXYZ....",
        _ => b"0123456789ABCDEFGH1JK1MN0PQRSTUVWXYZ",
    };
    // As many digits as 64 bits hold: dividing 128 bits once for each is what would take time.
    let at_once = const { u64::MAX.ilog(BASE) };
    let power = const { BASE.pow(u64::MAX.ilog(BASE)) };
    let mut digits = Digits {
        bytes: [0; 39],
        start: 39,
    };
    loop {
        let (mut low, high) = match u64::try_from(value) {
            Ok(low) => (low, 0),
            Err(_) => {
                let high = value / u128::from(power);
                (value.wrapping_sub(high * u128::from(power)) as u64, high)
            }
        };
        let mut left = at_once + 1;
        // Zeros between two parts are digits like others; in front of the first they are not.
        while low > 0 || (high > 0 && left > 1) {
            digits.start -= 1;
            digits.bytes[digits.start] = symbols[(low % BASE) as usize];
            low /= BASE;
            left -= 1;
        }
        if high == 0 {
            return digits;
        }
        value = high;
    }
}

/// The low digits of the value, leading zeros and all.
fn hexadecimal(value: u128, digits: usize) -> impl Iterator<Item = u8> {
    let places = (0..digits.min(32)).rev();
    places.map(move |place| b"0123456789ABCDEF"[(value >> (4 * place) & 15) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::fold;

    /// Passwords by the shapes that were shipped; facts are those of `facts()`.
    fn check(password: &str, expected: &str) {
        let macs = ["02:1A:2B:3C:4D:5E".to_owned()];
        let facts = Facts {
            serial: "BM-20471133",
            device_id: "30aea4c7f0182d6b",
            macs: &macs,
            model: "KETTLE-9000",
            ssid: Some("HomeHub-7QX2"),
            public: &["Acme Widgets", "2025-06-14"],
        };
        let got = match overlap(&fold(password.as_bytes()), &facts) {
            Some(Verdict::Refused {
                clause, evidence, ..
            }) => {
                for run in password.as_bytes().windows(OVERLAP) {
                    let run = std::str::from_utf8(run).unwrap();
                    assert!(!evidence.contains(run), "{evidence} repeats {run}");
                }
                let told = evidence.strip_prefix("4 characters in a row also stand in the ");
                format!("{clause} {}", told.unwrap())
            }
            _ => "pass".to_owned(),
        };
        assert_eq!(got, expected, "{password}");
    }

    #[test]
    fn identifiers_are_found_in_every_dress() {
        check("zz2b3c4d5ezz", "1(3)(c) MAC address as it is written");
        check("QQ-2B3-C4D-QQ", "1(3)(c) MAC address as it is written");
        check("E5D4C3ZZZZZZ", "1(3)(c) MAC address read backwards");
        check(
            "ZZ5E4D3CZZZZ",
            "1(3)(c) MAC address with its bytes reversed",
        );
        check(
            "ZZA1B2C3ZZZZ",
            "1(3)(c) MAC address with its nibbles swapped",
        );
        check("ZZZZ4D62ZZZZ", "1(3)(c) MAC address of a neighbour");
        check("ZZFDE5ZZZZZZ", "1(3)(c) MAC address with every bit turned");
        check("ZZ4D56ZZZZZZ", "1(3)(c) MAC address of a neighbour");
        check("ZZ4734ZZZZZZ", "pass");
        check("KQ47113WZZZZ", "1(3)(c) serial as it is written");
        check("KQ3311WZZZZZ", "1(3)(c) serial read backwards");
        check("ZZC7F0ZZZZZZ", "1(3)(c) device id as it is written");
    }

    fn text(digits: &Digits) -> String {
        digits.iter().map(char::from).collect()
    }

    #[test]
    fn numbers_are_written_in_any_base() {
        assert_eq!(text(&written::<10>(0)), "");
        for value in [
            1,
            9,
            10,
            36u128.pow(12),
            10u128.pow(19),
            10u128.pow(38),
            u128::MAX,
        ] {
            assert_eq!(text(&written::<10>(value)), value.to_string());
            assert_eq!(text(&written::<16>(value)), format!("{value:X}"));
            let read = |base, text: &str| u128::from_str_radix(text, base).unwrap();
            // The folded base 36 is ambiguous where I, L and O were: count its digits only.
            let places = value.ilog(36) as usize + 1;
            assert_eq!(text(&written::<36>(value)).len(), places);
            assert_eq!(read(16, &text(&written::<16>(value))), value);
        }
        assert_eq!(text(&written::<36>(36u128.pow(24) + 35)).len(), 25);
        assert_eq!(
            text(&written::<32>(1 << 120)),
            format!("1{}", "0".repeat(24))
        );
    }

    #[test]
    fn numbers_are_found_in_other_bases() {
        let base_32 = text(&written::<32>(20_471_133));
        check(&base_32, "1(3)(c) serial as a base-32 number");
        let low_24 = text(&written::<10>(0x3c_4d5e));
        check(&low_24, "1(3)(c) MAC address low 24 bits as a number");
    }

    #[test]
    fn public_facts_have_their_own_limb() {
        check("XKETT1EX", "1(3)(b) model as it is written");
        check("X7QX2X", "1(3)(b) network name as it is written");
        check("X0614X", "1(3)(b) public information as it is written");
        check("SEMKAX", "pass");
        check("XSTEGX", "1(3)(b) public information read backwards");
    }

    #[test]
    fn chance_neighbours_pass() {
        check("K7QDM2X9TR4W", "pass");
        check("", "pass");
        check("2B3", "pass");
    }
}
