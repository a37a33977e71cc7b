//! Lists made by weak generators are refused, lists made by good ones are not.

use super::source::{SOURCES, Source, Stream};
use super::symbol::Map;
use crate::list::detect::generator::DETECTORS;
use crate::list::report::Finding;
use crate::list::table::Table;
use crate::list::{Column, List};

const UPPER_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const CROCKFORD: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const NO_LOOKALIKES: &str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
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

fn drawn(stream: &mut Stream, source: &Source, map: Map, alphabet: &str, length: usize) -> String {
    let mut symbols = vec![0; length];
    assert!(map.draw(source.form, alphabet.len(), stream, &mut symbols));
    let symbol = |symbol: &u8| char::from(alphabet.as_bytes()[usize::from(*symbol)]);
    symbols.iter().map(symbol).collect()
}

fn look(list: &List) -> Vec<Finding> {
    let table = Table::whole(list);
    let looks = DETECTORS
        .iter()
        .flat_map(|detector| (detector.look)(&table));
    looks.collect()
}

fn check(list: &List, expected: &str) {
    let found = look(list);
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
}

fn seeded(
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
    for count in [1, 10, 100] {
        let passwords = seeded("glibc rand()", Map::Mod, UPPER_DIGITS, 12, seeds(count));
        check(
            &LINE.list(&passwords),
            "glibc rand(), remainder, seeded by a number under 65536",
        );
    }
    let passwords = seeded("Python random", Map::Topped, NO_LOOKALIKES, 10, seeds(30));
    check(&LINE.list(&passwords), "Python random, top bits");
    let passwords = seeded("Microsoft C rand()", Map::Mod, DIGITS, 8, seeds(300));
    check(&LINE.list(&passwords), "Microsoft C rand(), remainder");
}

#[test]
fn seeds_from_identifiers_are_found() {
    let serials = |count: u64| (0..count).map(|row| LINE.serial + row);
    for count in [1, 10, 300] {
        let passwords = seeded(".NET Random", Map::Scale, CROCKFORD, 12, serials(count));
        check(&LINE.list(&passwords), "seeded by the digits of the serial");
    }
    let macs = (0..10).map(|row| (LINE.mac + 2 * row) & 0xff_ffff);
    let passwords = seeded("Java Random.nextInt(bound)", Map::Mod, DIGITS, 8, macs);
    check(
        &LINE.list(&passwords),
        "seeded by the low 24 bits of the MAC",
    );
    // Shifted by one row.
    let passwords = seeded("xorshift32", Map::Mod, CROCKFORD, 12, serials(21).skip(1));
    check(&LINE.list(&passwords), "of the next row, in 19 of 20 rows");
}

#[test]
fn seconds_of_the_day_are_found() {
    let day = 1_715_904_000; // 2024-05-17
    let seconds = (0..50).map(|row| day + 28_800 + row * 41);
    let passwords = seeded("Mersenne Twister", Map::Mod, UPPER_DIGITS, 10, seconds);
    check(
        &LINE.list(&passwords),
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
        "one stream of Mersenne Twister, scaled, seeded once",
    );
}
