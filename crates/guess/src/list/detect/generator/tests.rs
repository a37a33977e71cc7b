//! Lists made by weak generators are refused, lists made by good ones are not.

use super::source::{SOURCES, Source, Stream};
use super::symbol::Map;
use super::{ADDITIVE, CLOCK, CONGRUENTIAL, DETECTORS, FEW, LINEAR, UNIT};
use crate::list::report::Finding;
use crate::list::table::Table;
use crate::list::{Column, List};

const UPPER_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const CROCKFORD: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const NO_LOOKALIKES: &str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
const LETTERS_DIGITS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const DIGITS: &str = "0123456789";

fn source(name: &str) -> &'static Source {
    SOURCES.iter().find(|source| source.name == name).unwrap()
}

/// Units with identifiers in a row, made on one day.
struct Line {
    serial: u64,
    mac: u64,
}

impl Line {
    fn list(&self, passwords: &[String]) -> List {
        let columns = [Column::Serial, Column::Mac, Column::Date];
        let mut list = List::new(&columns);
        for (row, password) in passwords.iter().enumerate() {
            let serial = format!("SN{:08}", self.serial + row as u64);
            let mac = format!("{:012X}", self.mac + 2 * row as u64);
            list.push(&[
                (Column::Serial, serial.as_bytes()),
                (Column::Mac, mac.as_bytes()),
                (Column::Date, b"2024-05-17"),
                (Column::Password, password.as_bytes()),
            ]);
        }
        list
    }
}

pub(super) fn drawn(
    stream: &mut Stream,
    source: &Source,
    map: Map,
    alphabet: &str,
    length: usize,
) -> String {
    let mut symbols = vec![0; length];
    assert!(map.draw(source.form, alphabet.len(), stream, &mut symbols));
    let symbol = |symbol: &u8| char::from(alphabet.as_bytes()[usize::from(*symbol)]);
    symbols.iter().map(symbol).collect()
}

/// What one detector says; every other costs seconds that its own tests spend.
fn look(list: &List, detector: &str) -> Vec<Finding> {
    let table = Table::whole(list);
    let detector = DETECTORS.iter().find(|it| it.name == detector).unwrap();
    (detector.look)(&table)
}

fn check(list: &List, detector: &str, expected: &str) {
    let found = look(list, detector);
    let said: Vec<&str> = found
        .iter()
        .map(|finding| finding.evidence.as_str())
        .collect();
    if expected.is_empty() {
        assert!(said.is_empty(), "{said:?}");
    } else {
        assert!(
            said.iter().any(|said| said.contains(expected)),
            "{expected}: {said:?}"
        );
    }
    for finding in &found {
        assert!(finding.chance_log10 < -9.0, "{finding:?}");
        assert!(
            !finding.examples.is_empty() && finding.rows > 0,
            "{finding:?}"
        );
    }
}

pub(super) fn seeded(
    name: &str,
    map: Map,
    alphabet: &str,
    length: usize,
    seeds: impl Iterator<Item = u64>,
) -> Vec<String> {
    let source = source(name);
    seeds
        .map(|seed| {
            let mut stream = Stream::new(source.engine, seed);
            drawn(&mut stream, source, map, alphabet, length)
        })
        .collect()
}

const LINE: Line = Line {
    serial: 40_231_877,
    mac: 0x0009_5b3c_11a0,
};

#[test]
fn seeds_of_sixteen_bits_are_found() {
    let seeds = |count: u64| (0..count).map(|row| (row * 7919 + 31_337) % 65_536);
    for count in [1, 10] {
        let passwords = seeded("glibc rand()", Map::Mod, UPPER_DIGITS, 12, seeds(count));
        check(
            &LINE.list(&passwords),
            FEW,
            "glibc rand(), remainder, seeded by a number under 65536",
        );
    }
    let passwords = seeded("Python random", Map::Topped, NO_LOOKALIKES, 10, seeds(30));
    check(&LINE.list(&passwords), FEW, "Python random, top bits");
    let passwords = seeded("Microsoft C rand()", Map::Mod, DIGITS, 8, seeds(300));
    check(&LINE.list(&passwords), FEW, "Microsoft C rand(), remainder");
}

#[test]
fn seeds_from_identifiers_are_found() {
    let serials = |count: u64| (0..count).map(|row| LINE.serial + row);
    for count in [1, 10, 300] {
        let passwords = seeded(".NET Random", Map::Scale, CROCKFORD, 12, serials(count));
        check(
            &LINE.list(&passwords),
            UNIT,
            "seeded by the digits of the serial",
        );
    }
    let macs = (0..10).map(|row| (LINE.mac + 2 * row) & 0xff_ffff);
    let passwords = seeded("Java Random.nextInt(bound)", Map::Mod, DIGITS, 8, macs);
    check(
        &LINE.list(&passwords),
        UNIT,
        "seeded by the low 24 bits of the MAC",
    );
    // Shifted by one row.
    let passwords = seeded("xorshift32", Map::Mod, CROCKFORD, 12, serials(21).skip(1));
    check(
        &LINE.list(&passwords),
        UNIT,
        "of the next row, in 19 of 20 rows",
    );
}

#[test]
fn seconds_of_the_day_are_found() {
    let day = 1_715_904_000; // 2024-05-17
    let seconds = (0..50).map(|row| day + 28_800 + row * 41);
    let passwords = seeded("Mersenne Twister", Map::Mod, UPPER_DIGITS, 10, seconds);
    check(
        &LINE.list(&passwords),
        CLOCK,
        "seeded by a second of its date, in 50 of 50 rows",
    );
}

#[test]
fn one_stream_from_a_small_seed_is_found() {
    let source = source("Mersenne Twister");
    let mut stream = Stream::new(source.engine, 1234);
    let passwords: Vec<String> = (0..20)
        .map(|_| drawn(&mut stream, source, Map::Scale, DIGITS, 6))
        .collect();
    check(
        &LINE.list(&passwords),
        FEW,
        "one stream of Mersenne Twister, scaled, seeded once",
    );
}

/// Passwords out of one stream, its seed of 61 bits.
fn streamed(name: &str, map: Map, alphabet: &str, length: usize, rows: usize) -> Vec<String> {
    let source = source(name);
    let mut stream = Stream::new(source.engine, 0x1357_9bdf_0246_8ace);
    (0..rows)
        .map(|_| drawn(&mut stream, source, map, alphabet, length))
        .collect()
}

#[test]
fn streams_that_are_linear_are_found() {
    let check = |name, map, alphabet, rows, expected| {
        let passwords = streamed(name, map, alphabet, 12, rows);
        check(&LINE.list(&passwords), LINEAR, expected);
    };
    check(
        "xorshift32",
        Map::Mod,
        CROCKFORD,
        10,
        "a feedback register of 32 bits",
    );
    check(
        "xorshift64",
        Map::Scale,
        UPPER_DIGITS,
        30,
        "a feedback register of 64 bits",
    );
    check(
        "xorshift128",
        Map::Mod,
        DIGITS,
        100,
        "a feedback register of 128 bits",
    );
    check(
        "Mersenne Twister",
        Map::Mod,
        UPPER_DIGITS,
        1_700,
        "one stream of Mersenne Twister",
    );
    check(
        "Mersenne Twister",
        Map::Float53,
        CROCKFORD,
        1_700,
        "one stream of Mersenne Twister",
    );
    check(
        "Numerical Recipes generator",
        Map::Mod,
        CROCKFORD,
        30,
        "in a short cycle (linear complexity 2)",
    );
    check("splitmix64", Map::Mod, CROCKFORD, 1_700, "");
}

#[test]
fn streams_written_backwards_or_in_the_serials_order_are_found() {
    let backwards = streamed("xorshift32", Map::Mod, CROCKFORD, 12, 150);
    let backwards: Vec<String> = backwards
        .iter()
        .map(|text| text.chars().rev().collect())
        .collect();
    check(&LINE.list(&backwards), LINEAR, "a feedback register of");
    let in_order = streamed("xorshift32", Map::Mod, CROCKFORD, 12, 40);
    let mut list = List::new(&[Column::Serial]);
    for row in 0..40 {
        let unit = row * 17 % 40;
        let serial = format!("A{}", 90 + unit);
        let password = in_order[unit].as_bytes();
        list.push(&[
            (Column::Serial, serial.as_bytes()),
            (Column::Password, password),
        ]);
    }
    check(&list, LINEAR, "in the serials' order");
}

#[test]
fn streams_that_add_up_are_found() {
    let check = |name, map, alphabet, expected| {
        let passwords = streamed(name, map, alphabet, 10, 40);
        check(&LINE.list(&passwords), ADDITIVE, expected);
    };
    // Few rows: eight symbols of ten units.
    for alphabet in [UPPER_DIGITS, CROCKFORD] {
        let passwords = streamed("glibc rand()", Map::Mod, alphabet, 8, 10);
        let words = "C library random() (31 words)";
        super::tests::check(&LINE.list(&passwords), ADDITIVE, words);
    }
    check(
        "glibc rand()",
        Map::Mod,
        UPPER_DIGITS,
        "C library random() (31 words)",
    );
    check(
        "glibc rand()",
        Map::Mod,
        DIGITS,
        "C library random() (31 words)",
    );
    check(
        "glibc rand()",
        Map::Scale,
        NO_LOOKALIKES,
        "C library random() (31 words)",
    );
    check(
        ".NET Random",
        Map::Scale,
        UPPER_DIGITS,
        "one stream of .NET Random",
    );
    check("Mersenne Twister", Map::Mod, UPPER_DIGITS, "");
}

#[test]
fn states_that_are_small_enough_are_found() {
    let check = |name, map, alphabet, rows, expected| {
        let passwords = streamed(name, map, alphabet, 12, rows);
        check(&LINE.list(&passwords), CONGRUENTIAL, expected);
    };
    check(
        "C library rand() (ANSI, 15 bits)",
        Map::Mod,
        UPPER_DIGITS,
        10,
        "in 10 of 10 rows",
    );
    check(
        "Microsoft C rand()",
        Map::Mod,
        DIGITS,
        30,
        "one stream of Microsoft C rand()",
    );
    let scaled = "one stream of C library rand() (ANSI, 15 bits), scaled";
    check(
        "C library rand() (ANSI, 15 bits)",
        Map::Scale,
        LETTERS_DIGITS,
        100,
        scaled,
    );
    check(
        "Java Random.nextInt(bound)",
        Map::Mod,
        UPPER_DIGITS,
        10,
        "one stream of Java Random",
    );
    check("Mersenne Twister", Map::Mod, UPPER_DIGITS, 10, "");
}

#[test]
fn states_of_single_rows_are_found_whatever_their_seeds() {
    let seeds = (1..30u64).map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32);
    let passwords = seeded("Microsoft C rand()", Map::Mod, UPPER_DIGITS, 12, seeds);
    check(
        &LINE.list(&passwords),
        CONGRUENTIAL,
        "whose state has 31 bits",
    );
}

/// `Math.random` of V8: xorshift128+, of which only one word is given out, so it is linear; made 64
/// at a time and given out from the last.
#[test]
fn math_random_of_a_browser_is_found() {
    let (mut first, mut second) = (0x0123_4567_89ab_cdefu64, 0xfedc_ba98_7654_3210u64);
    let mut step = || {
        let mut mixed = first;
        first = second;
        mixed ^= mixed << 23;
        mixed ^= mixed >> 17;
        second = mixed ^ first ^ (first >> 26);
        (first >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut symbols = vec![];
    while symbols.len() < 1_200 {
        let block: Vec<f64> = (0..64).map(|_| step()).collect();
        let symbol = |value: &f64| char::from(UPPER_DIGITS.as_bytes()[(value * 36.0) as usize]);
        symbols.extend(block.iter().rev().map(symbol));
    }
    let passwords: Vec<String> = symbols
        .chunks_exact(12)
        .map(|symbols| symbols.iter().collect())
        .collect();
    check(
        &LINE.list(&passwords),
        LINEAR,
        "a feedback register of 128 bits",
    );
}

#[test]
fn good_lists_are_left_alone() {
    let formats = [
        (CROCKFORD, 12),
        (DIGITS, 6),
        (DIGITS, 8),
        ("0123456789abcdef", 8),
    ];
    for (number, (alphabet, length)) in formats.into_iter().enumerate() {
        for rows in [1, 10, 300] {
            let source = source("xorshift64*, high half");
            let mut stream = Stream::new(source.engine, 0x5eed_0000_1111_2222 + number as u64);
            let passwords: Vec<String> = (0..rows)
                .map(|_| drawn(&mut stream, source, Map::Mod, alphabet, length))
                .collect();
            for detector in [UNIT, LINEAR, ADDITIVE, CONGRUENTIAL] {
                check(&LINE.list(&passwords), detector, "");
            }
        }
    }
}

/// Groups of consonant, vowel, consonant with one digit and one capital, as phones suggest them: not
/// every place takes every symbol as often, so some differences are commoner than others.
#[test]
fn uneven_places_are_no_sums() {
    for (seed, rows) in [(1u64, 10), (2, 100), (3, 300), (4, 1_000)] {
        let mut stream = Stream::new(source("xorshift64*, high half").engine, seed << 40);
        let mut below = |bound: usize| (stream.next() >> 33) as usize % bound;
        let mut password = || {
            let mut text = vec![];
            for place in 0..18 {
                let symbols = match place % 3 {
                    1 => "aeiou",
                    _ => "bcdfghjkmnpqrstvwxyz",
                };
                text.push(symbols.as_bytes()[below(symbols.len())]);
            }
            let (capital, digit) = (below(18), below(18));
            text[capital].make_ascii_uppercase();
            text[digit] = b'0' + below(10) as u8;
            String::from_utf8(text).unwrap()
        };
        let passwords: Vec<String> = (0..rows).map(|_| password()).collect();
        check(&LINE.list(&passwords), ADDITIVE, "");
    }
}

/// Every other place takes two symbols only: what they add up to takes few values in clumps.
#[test]
fn places_of_two_symbols_are_no_sums() {
    for (seed, rows) in [(1u64, 10), (2, 30), (3, 100), (4, 1_000)] {
        let mut stream = Stream::new(source("xorshift64*, high half").engine, seed << 40);
        let mut one_of = |symbols: &str| {
            let symbols = symbols.as_bytes();
            char::from(symbols[(stream.next() >> 33) as usize % symbols.len()])
        };
        let mut password = || -> String {
            let places = ["AB", UPPER_DIGITS];
            (0..12).map(|place| one_of(places[place % 2])).collect()
        };
        let passwords: Vec<String> = (0..rows).map(|_| password()).collect();
        check(&LINE.list(&passwords), ADDITIVE, "");
    }
}
