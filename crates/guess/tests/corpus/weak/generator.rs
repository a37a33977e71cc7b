//! Class F: weak generators, and good ones seeded with what can be guessed.

use super::super::encode::{
    BASE36, BASE62, BASE62_LETTERS, CROCKFORD, DIGITS, HEX_SMALL, LETTERS, NO_LOOKALIKES, digits,
};
use super::super::generators::{
    Draws, Java, ansi, congruential, galois, glibc, minimal, msvc, mt19937, randu, recipes,
    splitmix, xorshift32, xorshift128,
};
use super::{Scheme, rule, scheme};

/// Symbols by remainder, as nearly everybody writes it.
fn drawn(draws: &mut Draws, alphabet: &str, length: usize) -> String {
    let symbols = alphabet.as_bytes();
    (0..length)
        .map(|_| char::from(symbols[draws() as usize % symbols.len()]))
        .collect()
}

/// Symbols by scaling: draw x size / 2^bits.
fn scaled(draws: &mut Draws, bits: u32, alphabet: &str, length: usize) -> String {
    let symbols = alphabet.as_bytes();
    let place = |draw: u32| ((u64::from(draw) * symbols.len() as u64) >> bits) as usize;
    (0..length)
        .map(|_| char::from(symbols[place(draws())]))
        .collect()
}

pub(super) const SCHEMES: &[Scheme] = &[
    scheme(
        "msvc-second",
        "F",
        "Microsoft's rand seeded by the second",
        |rng| {
            let alphabet = rng.pick(&[BASE62, BASE62_LETTERS]);
            rule(move |unit| drawn(&mut msvc(unit.second as u32), alphabet, 10))
        },
    ),
    scheme(
        "glibc-second",
        "F",
        "srand(time(NULL)), eight digits",
        |_| rule(|unit| drawn(&mut glibc(unit.second as u32), DIGITS, 8)),
    ),
    scheme("glibc-pid", "F", "srand(getpid()), ten letters", |rng| {
        let mut own = super::Rng::new(&rng.word().to_string());
        rule(move |_| drawn(&mut glibc(own.within(300, 32_767) as u32), LETTERS, 10))
    }),
    scheme(
        "twister-16-bits",
        "F",
        "MT19937 seeded by a 16-bit number",
        |rng| {
            let mut own = super::Rng::new(&rng.word().to_string());
            rule(move |_| drawn(&mut mt19937(own.below(1 << 16) as u32), BASE62, 12))
        },
    ),
    scheme(
        "twister-second",
        "F",
        "CVE-2020-27020: MT19937 seeded by the clock",
        |_| rule(|unit| drawn(&mut mt19937(unit.second as u32), NO_LOOKALIKES, 12)),
    ),
    scheme(
        "php-second",
        "F",
        "PHP mt_srand(time()), mt_rand over 62 symbols",
        |_| {
            rule(|unit| {
                let mut twister = mt19937(unit.second as u32);
                let mut draws: Draws = Box::new(move || twister() >> 1);
                scaled(&mut draws, 31, BASE62, 10)
            })
        },
    ),
    scheme(
        "java-serial",
        "F",
        "java.util.Random seeded by the serial's number",
        |_| {
            rule(|unit| {
                let mut random = Java::new(unit.count);
                let symbol = |_| char::from(BASE36.as_bytes()[random.below(36) as usize]);
                (0..10).map(symbol).collect()
            })
        },
    ),
    scheme(
        "java-mac",
        "F",
        "java.util.Random seeded by the MAC",
        |_| {
            rule(|unit| {
                let mut random = Java::new(unit.mac);
                let symbol = |_| char::from(BASE62.as_bytes()[random.below(62) as usize]);
                (0..12).map(symbol).collect()
            })
        },
    ),
    scheme(
        "recipes-stream",
        "F",
        "a 32-bit LCG's low bits, one stream for the list",
        |rng| {
            let mut draws = recipes(rng.word() as u32);
            rule(move |_| drawn(&mut draws, CROCKFORD, 12))
        },
    ),
    scheme(
        "own-lcg-stream",
        "F",
        "an LCG mod 2^32 of unknown factors, low hex digits",
        |rng| {
            let (a, c) = ((rng.word() & 0xFFFF_FFFC) | 1, rng.word() | 1);
            let mut draws = congruential(a, c, 0xFFFF_FFFF, 0, rng.word());
            rule(move |_| drawn(&mut draws, HEX_SMALL, 12))
        },
    ),
    scheme(
        "ansi-stream",
        "F",
        "the C standard's rand, one stream, base 32",
        |rng| {
            let mut draws = ansi(rng.word() as u32);
            rule(move |_| drawn(&mut draws, CROCKFORD, 10))
        },
    ),
    scheme(
        "minimal-stream",
        "F",
        "MINSTD scaled to letters, seeded once",
        |rng| {
            let mut draws = minimal(rng.pick(&[16_807, 48_271]), rng.below(1 << 16) as u32);
            rule(move |_| scaled(&mut draws, 31, LETTERS, 10))
        },
    ),
    scheme("randu-stream", "F", "RANDU scaled to digits", |rng| {
        let mut draws = randu(rng.word() as u32);
        rule(move |_| scaled(&mut draws, 31, DIGITS, 12))
    }),
    scheme(
        "xorshift-stream",
        "F",
        "xorshift32, one stream, base 32",
        |rng| {
            let mut draws = xorshift32(rng.word() as u32);
            rule(move |_| drawn(&mut draws, CROCKFORD, 12))
        },
    ),
    scheme(
        "xorshift128-stream",
        "F",
        "xorshift128, one stream, base 32 grouped",
        |rng| {
            let mut draws = xorshift128(std::array::from_fn(|_| rng.word() as u32));
            rule(move |_| {
                let text = drawn(&mut draws, CROCKFORD, 12);
                format!("{}-{}-{}", &text[..4], &text[4..8], &text[8..])
            })
        },
    ),
    scheme(
        "twister-stream",
        "F",
        "MT19937, one stream from a 16-bit seed",
        |rng| {
            let mut draws = mt19937(rng.below(1 << 16) as u32);
            rule(move |_| drawn(&mut draws, BASE62, 10))
        },
    ),
    scheme(
        "register-stream",
        "F",
        "a 24-bit shift register, its bits in base 32",
        |rng| {
            let (taps, mut state) = (0xE1_0000, rng.word() as u32 & 0xFF_FFFF | 1);
            let mut draws: Draws = Box::new(move || {
                let mut value = 0;
                for _ in 0..5 {
                    value = value << 1 | state & 1;
                    state = galois(state, taps);
                }
                value
            });
            rule(move |_| drawn(&mut draws, CROCKFORD, 12))
        },
    ),
    scheme(
        "chained-lcg",
        "FB",
        "each password is the last one through an LCG mod 10^10",
        |rng| {
            let (a, c) = (
                rng.below(500_000_000) * 20 + 1,
                rng.below(4_000_000_000) * 2 + 1,
            );
            let mut state = u128::from(rng.below(10_000_000_000));
            rule(move |_| {
                state = (state * u128::from(a) + u128::from(c)) % 10_000_000_000;
                format!("{state:010}")
            })
        },
    ),
    scheme(
        "nvg589",
        "FE",
        "AT&T NVG589: 31 bits x a multiplier, base 37 and octal by turns",
        |rng| {
            let mut own = super::Rng::new(&rng.word().to_string());
            let letters = "abcdefghijkmnpqrstuvwxyz23456789#%+=?";
            let multiplier = 465_000_000.0 + own.below(1_000_000_000) as f64 / 1_000.0;
            rule(move |_| {
                let mut left = (own.below(1 << 31) as f64 * multiplier) as u64;
                let mut text = vec![];
                for _ in 0..6 {
                    text.push(letters.as_bytes()[(left % 37) as usize]);
                    left /= 37;
                    text.push(b'2' + (left % 8) as u8);
                    left /= 37;
                }
                text.into_iter().rev().map(char::from).collect()
            })
        },
    ),
    scheme(
        "splitmix-serial",
        "F",
        "a 64-bit mixer seeded by the serial's number",
        |_| rule(|unit| digits(u128::from(splitmix(unit.count)), CROCKFORD, 12)),
    ),
];
