//! Overlap with identifiers and public facts: the same four characters in a row, in any of the
//! ways a lazy scheme writes an identifier.

use crate::text::fold;
use crate::{Clause, Facts, Verdict};

/// Characters in a row that may not be shared. Chance for one run of 12 of 32 symbols against one
/// run of an identifier: 9 / 32^4, so 4,600 different runs cost 4 % of draws.
const OVERLAP: usize = 4;

/// How far a neighbouring address is looked at: a radio's is often the base address plus a few.
const NEIGHBOURS: u128 = 10;

/// One way of writing a fact: its bytes, and how to name it.
struct View {
    bytes: Vec<u8>,
    how: &'static str,
}

/// Refuses a password that shares four characters with a fact.
pub(crate) fn overlap(password: &[u8], facts: &Facts<'_>) -> Option<Verdict> {
    let password = fold(password);
    let identifiers = [("serial", facts.serial), ("device id", facts.device_id)];
    let macs = facts.macs.iter().map(|mac| ("MAC address", mac.as_str()));
    for (what, text) in identifiers.into_iter().chain(macs) {
        if let Some(view) = text_views(text)
            .iter()
            .chain(&number_views(text))
            .find(shared(&password))
        {
            let evidence = evidence(what, view);
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
        if let Some(view) = text_views(text).iter().find(shared(&password)) {
            return Verdict::refused("public overlap", Clause::Public, evidence(what, view));
        }
    }
    None
}

fn evidence(what: &str, view: &View) -> String {
    format!(
        "{OVERLAP} characters in a row also stand in the {what} {}",
        view.how
    )
}

fn shared(password: &[u8]) -> impl Fn(&&View) -> bool {
    |view| {
        view.bytes
            .windows(OVERLAP)
            .any(|run| password.windows(OVERLAP).any(|other| other == run))
    }
}

/// A fact as text: forwards, backwards, and its digits alone.
fn text_views(text: &str) -> Vec<View> {
    let plain = fold(text.as_bytes()).to_vec();
    let backwards = plain.iter().rev().copied().collect();
    let digits = text.bytes().filter(u8::is_ascii_digit).collect();
    vec![
        View {
            bytes: plain,
            how: "as it is written",
        },
        View {
            bytes: backwards,
            how: "read backwards",
        },
        View {
            bytes: digits,
            how: "with only its digits",
        },
    ]
}

/// An identifier as a number: every base a scheme may print it in, and its neighbours.
fn number_views(text: &str) -> Vec<View> {
    let hex: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    let mut views = vec![];
    let separated = text.bytes().filter(u8::is_ascii_alphanumeric).count();
    if hex.len() == separated {
        views.extend(pair_views(&hex));
        // The low 128 bits of a longer id: the leading bytes are its text views already.
        let value = value(&hex, 16);
        views.extend(value_views(value));
        for (low, how) in [
            (24, "low 24 bits as a number"),
            (32, "low 32 bits as a number"),
        ] {
            let bytes = written(value & ((1 << low) - 1), 10);
            views.push(View { bytes, how });
        }
        for step in 1..=NEIGHBOURS {
            for neighbour in [value.wrapping_add(step), value.wrapping_sub(step)] {
                views.push(View {
                    bytes: hexadecimal(neighbour, 8),
                    how: "of a neighbour",
                });
            }
        }
        views.push(View {
            bytes: hexadecimal(!value, hex.len()),
            how: "with every bit turned",
        });
    }
    if digits.len() >= OVERLAP {
        views.extend(value_views(value(&digits, 10)));
    }
    views
}

/// Bytes backwards and nibbles swapped, as dumps of the other byte order show them.
fn pair_views(hex: &[u8]) -> [View; 2] {
    let pairs = hex.chunks_exact(2);
    let reversed: Vec<u8> = pairs.clone().rev().flatten().copied().collect();
    let swapped: Vec<u8> = pairs.flat_map(|pair| [pair[1], pair[0]]).collect();
    [
        View {
            bytes: fold(&reversed).to_vec(),
            how: "with its bytes reversed",
        },
        View {
            bytes: fold(&swapped).to_vec(),
            how: "with its nibbles swapped",
        },
    ]
}

fn value_views(value: u128) -> [View; 4] {
    [
        View {
            bytes: written(value, 10),
            how: "as a decimal number",
        },
        View {
            bytes: written(value, 16),
            how: "as a hexadecimal number",
        },
        View {
            bytes: written(value, 32),
            how: "as a base-32 number",
        },
        View {
            bytes: written(value, 36),
            how: "as a base-36 number",
        },
    ]
}

/// The value of the digits, modulo 2^128.
fn value(digits: &[u8], base: u32) -> u128 {
    digits.iter().fold(0, |value: u128, &digit| {
        let digit = char::from(digit).to_digit(base).unwrap_or(0);
        value.wrapping_mul(base.into()).wrapping_add(digit.into())
    })
}

/// The value in another base without leading zeros, folded; base 32 in Crockford's symbols.
fn written(mut value: u128, base: u8) -> Vec<u8> {
    let symbols: &[u8] = match base {
        32 => b"0123456789ABCDEFGHJKMNPQRSTVWXYZ",
        _ => b"0123456789ABCDEFGH1JK1MN0PQRSTUVWXYZ",
    };
    let base = u64::from(base);
    let mut digits = vec![];
    while value > 0 {
        // Most identifiers fit 64 bits, where dividing is ten times cheaper.
        let digit = if let Ok(small) = u64::try_from(value) {
            value = (small / base).into();
            small % base
        } else {
            let digit = value % u128::from(base);
            value /= u128::from(base);
            digit as u64
        };
        digits.push(symbols[digit as usize]);
    }
    digits.reverse();
    digits
}

/// The low digits of the value, leading zeros and all.
fn hexadecimal(value: u128, digits: usize) -> Vec<u8> {
    let places = (0..digits.min(32)).rev();
    places
        .map(|place| b"0123456789ABCDEF"[(value >> (4 * place) & 15) as usize])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let got = match overlap(password.as_bytes(), &facts) {
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

    #[test]
    fn numbers_are_found_in_other_bases() {
        let base_32 = String::from_utf8(written(20_471_133, 32)).unwrap();
        check(&base_32, "1(3)(c) serial as a base-32 number");
        let low_24 = String::from_utf8(written(0x3c_4d5e, 10)).unwrap();
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
