//! Lists made from seeds by schemes of every kind, and clean ones.

use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512};

use super::super::super::report::{Finding, Severity};
use super::super::super::table::Table;
use super::super::super::{Column, List};
use super::DETECTORS;

const BASE_32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const CROCKFORD: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BASE_36: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE_62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// SplitMix64 (Steele, Lea, Flood 2014): a seed replays a list.
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn text(&mut self, symbols: &[u8], length: usize) -> String {
        let drawn = (0..length).map(|_| symbols[self.below(symbols.len() as u64) as usize]);
        String::from_utf8(drawn.collect()).unwrap()
    }
}

/// A unit as a row of a list names it.
#[derive(Clone)]
struct Row {
    serial: String,
    number: u64,
    mac: u64,
    uid: String,
    ssid: String,
    model: &'static str,
    date: String,
}

impl Row {
    fn mac(&self) -> String {
        format!("{:012X}", self.mac)
    }

    fn colons(&self) -> String {
        let mac = self.mac();
        let pairs: Vec<&str> = (0..6).map(|n| &mac[2 * n..2 * n + 2]).collect();
        pairs.join(":")
    }
}

/// Units of one order: serials count, addresses count or jump.
fn rows(count: usize, random: &mut SplitMix) -> Vec<Row> {
    let first = 20_000_000 + random.below(50_000_000);
    let base = random.below(1 << 46) << 2 & !0xff_ffff;
    let low = random.below(1 << 23);
    let jumps = random.below(2) == 1;
    let step = 1 + random.below(4);
    let sorted = random.below(2) == 1;
    let mut rows: Vec<Row> = (0..count as u64)
        .map(|n| {
            let low = if jumps {
                random.below(1 << 24)
            } else {
                low + n * step
            };
            let mac = base | low & 0xff_ffff;
            Row {
                serial: format!("BM{}", first + n),
                number: first + n,
                mac,
                uid: format!("{:016x}{:08x}", random.next(), random.next() as u32),
                ssid: format!("Home-{:04X}", mac & 0xffff),
                model: ["KETTLE-9000", "TOAST-12"][(n % 2) as usize],
                date: format!("2025-06-{:02}", 1 + n * 28 / count as u64),
            }
        })
        .collect();
    if !sorted {
        for last in (1..rows.len()).rev() {
            rows.swap(last, random.below(last as u64 + 1) as usize);
        }
    }
    rows
}

type Scheme = fn(&Row, &mut SplitMix) -> String;

/// A list of `count` units with passwords by a scheme, in `share` of 100 rows; random capitals and
/// digits of the same length in the others.
fn list(
    seed: u64,
    count: usize,
    share: u64,
    scheme: impl Fn(&Row, &mut SplitMix) -> String,
) -> List {
    let mut random = SplitMix(seed);
    let rows = rows(count, &mut random);
    let passwords: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(n, row)| {
            let weak = scheme(row, &mut random);
            match (n as u64 * 37 + 5) % 100 < share {
                true => weak,
                false => {
                    let other = scheme(&other(row, &mut random), &mut random);
                    other
                }
            }
        })
        .collect();
    filled(&rows, passwords.iter().map(String::as_str), &Column::ALL)
}

/// A unit that nobody has: its password looks like the others and is random.
fn other(row: &Row, random: &mut SplitMix) -> Row {
    let number = random.below(1 << 40);
    Row {
        serial: format!("ZQ{number}"),
        number,
        mac: random.below(1 << 48),
        uid: format!("{:016x}{:08x}", random.next(), random.next() as u32),
        ssid: format!("Home-{:04X}", random.below(1 << 16)),
        ..row.clone()
    }
}

fn filled<'p>(rows: &[Row], passwords: impl Iterator<Item = &'p str>, has: &[Column]) -> List {
    let mut list = List::new(has);
    for (row, password) in rows.iter().zip(passwords) {
        let mac = row.colons();
        let cells = [
            (Column::Serial, row.serial.as_bytes()),
            (Column::Mac, mac.as_bytes()),
            (Column::Model, row.model.as_bytes()),
            (Column::Ssid, row.ssid.as_bytes()),
            (Column::Uid, row.uid.as_bytes()),
            (Column::Date, row.date.as_bytes()),
            (Column::Password, password.as_bytes()),
        ];
        let given: Vec<(Column, &[u8])> = cells
            .into_iter()
            .filter(|(column, _)| has.contains(column))
            .collect();
        list.push(&given);
    }
    list
}

fn look(list: &List) -> Vec<Finding> {
    let table = Table::whole(list);
    DETECTORS
        .iter()
        .flat_map(|detector| (detector.look)(&table))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn modulo(bytes: &[u8], symbols: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| char::from(symbols[usize::from(*byte) % symbols.len()]))
        .collect()
}

fn groups(bytes: &[u8], bits: usize, symbols: &[u8]) -> String {
    let stream: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let values = stream.chunks_exact(bits).map(|group| {
        group
            .iter()
            .fold(0, |value, bit| value << 1 | usize::from(*bit))
    });
    values.map(|value| char::from(symbols[value])).collect()
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

fn base(mut value: u128, symbols: &[u8], least: usize) -> String {
    let mut digits = vec![];
    while value > 0 || digits.len() < least {
        digits.push(symbols[(value % symbols.len() as u128) as usize]);
        value /= symbols.len() as u128;
    }
    digits.reverse();
    String::from_utf8(digits).unwrap()
}

fn u64_of(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().unwrap())
}

/// Identifiers written otherwise.
const VERBATIM: &[(&str, Scheme)] = &[
    ("last 8 of the MAC", |row, _| row.mac()[4..].to_owned()),
    ("last 8 of the MAC reversed", |row, _| {
        reversed(&row.mac()[4..])
    }),
    ("whole MAC with hyphens", |row, _| {
        row.colons().replace(':', "-")
    }),
    ("serial", |row, _| row.serial.clone()),
    ("serial behind a constant", |row, _| {
        format!("Acme{}!", row.number)
    }),
    ("last 6 of the MAC, small, doubled", |row, _| {
        row.mac()[6..].to_lowercase().repeat(2)
    }),
    ("MAC + 3", |row, _| format!("{:08X}", row.mac as u32 + 3)),
    ("MAC - 7 in decimal", |row, _| (row.mac - 7).to_string()),
    ("low 24 bits in decimal, 8 digits", |row, _| {
        format!("{:08}", row.mac & 0xff_ffff)
    }),
    ("low 32 bits in decimal", |row, _| {
        (row.mac as u32).to_string()
    }),
    ("MAC in base 36", |row, _| base(row.mac.into(), BASE_36, 10)),
    ("MAC in base 32, Crockford", |row, _| {
        base(row.mac.into(), CROCKFORD, 10)
    }),
    ("serial number in base 36", |row, _| {
        base(row.number.into(), BASE_36, 6)
    }),
    ("serial number in hex", |row, _| {
        format!("{:08X}", row.number)
    }),
    ("MAC bytes reversed", |row, _| {
        format!("{:012X}", row.mac.swap_bytes() >> 16)
    }),
    ("MAC nibbles swapped", |row, _| {
        hex(&row.mac.to_be_bytes()[2..]
            .iter()
            .map(|byte| byte.rotate_left(4))
            .collect::<Vec<u8>>())
    }),
    ("MAC complemented", |row, _| {
        format!("{:012X}", !row.mac & 0xffff_ffff_ffff)
    }),
    ("MAC bits reversed", |row, _| {
        format!("{:012x}", row.mac.reverse_bits() >> 16)
    }),
    ("WPS PIN of the MAC", |row, _| {
        super::wps::Formula::Remainder
            .pin(row.mac & 0xff_ffff)
            .to_string()
    }),
    ("WPS PIN by D-Link", |row, _| {
        super::wps::Formula::DLink.pin(row.mac).to_string()
    }),
    ("last 4 of the MAC and 4 random digits", |row, random| {
        format!("{}{}", &row.mac()[8..], random.text(b"0123456789", 4))
    }),
    ("6 random, then last 5 of the serial", |row, random| {
        format!("{}{:05}", random.text(BASE_36, 6), row.number % 100_000)
    }),
    ("serial and MAC interleaved", |row, _| {
        let (one, other) = (row.number.to_string(), row.mac());
        one.chars()
            .zip(other[4..].chars())
            .flat_map(|(a, b)| [a, b])
            .collect()
    }),
    ("uid, first 12", |row, _| row.uid[..12].to_owned()),
    ("uid in base 62", |row, _| {
        base(u128::from_str_radix(&row.uid, 16).unwrap(), BASE_62, 17)
    }),
    ("MAC bytes in base 64", |row, _| {
        groups(
            &row.mac.to_be_bytes()[2..],
            6,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        )
    }),
    ("serial in base 32", |row, _| {
        groups(row.serial.as_bytes(), 5, BASE_32)
    }),
    ("nibbles modulo 10", |row, _| {
        row.mac()[4..]
            .chars()
            .map(|c| char::from(b'0' + (c.to_digit(16).unwrap() % 10) as u8))
            .collect()
    }),
    ("serial complemented", |row, _| {
        row.number
            .to_string()
            .bytes()
            .map(|byte| char::from(b'0' + b'9' - byte))
            .collect()
    }),
    ("MAC in groups", |row, _| {
        let mac = row.mac();
        format!("{}-{}-{}", &mac[0..4], &mac[4..8], &mac[8..])
    }),
];

/// Hashes of identifiers.
const HASHED: &[(&str, Scheme)] = &[
    ("MD5 of the serial, 8 hex", |row, _| {
        hex(&Md5::digest(&row.serial))[..8].to_owned()
    }),
    ("MD5 of the MAC, capitals, 10 hex from place 5", |row, _| {
        hex(&Md5::digest(row.mac()))[5..15].to_uppercase()
    }),
    ("SHA-1 of the serial, last 10 hex", |row, _| {
        hex(&Sha1::digest(&row.serial))[30..].to_owned()
    }),
    ("SHA-256 of the serial, 12 base 32", |row, _| {
        groups(&Sha256::digest(&row.serial), 5, BASE_32)[..12].to_owned()
    }),
    ("SHA-256 of the MAC with colons, Crockford", |row, _| {
        groups(&Sha256::digest(row.colons()), 5, CROCKFORD)[..12].to_owned()
    }),
    ("SHA-1 of MAC bytes, bytes modulo 10", |row, _| {
        modulo(
            &Sha1::digest(&row.mac.to_be_bytes()[2..])[..8],
            b"0123456789",
        )
    }),
    ("MD5 of the small MAC, modulo 36", |row, _| {
        modulo(&Md5::digest(row.mac().to_lowercase())[..10], BASE_36)
    }),
    ("SHA-256 of serial + MAC, modulo 62", |row, _| {
        modulo(
            &Sha256::digest(format!("{}{}", row.serial, row.mac()))[4..16],
            BASE_62,
        )
    }),
    ("SHA-512 of MAC-serial, 10 of 31 symbols", |row, _| {
        modulo(
            &Sha512::digest(format!("{}-{}", row.mac(), row.serial))[..10],
            b"23456789ABCDEFGHJKMNPQRSTUVWXYZ",
        )
    }),
    ("MD5 of MAC + 1, decimal", |row, _| {
        (u64_of(&Md5::digest(format!("{:012X}", row.mac + 1))) % 100_000_000 + 100_000_000)
            .to_string()[1..]
            .to_owned()
    }),
    (
        "SHA-1 of the SSID, base 36 of the first 8 bytes",
        |row, _| base(u64_of(&Sha1::digest(&row.ssid)).into(), BASE_36, 13)[3..].to_owned(),
    ),
    ("CRC-32 of the serial, hex", |row, _| {
        format!(
            "{:08x}",
            crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(row.serial.as_bytes())
        )
    }),
    ("CRC-32 of the MAC, decimal", |row, _| {
        format!(
            "{:010}",
            crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(row.mac().as_bytes())
        )
    }),
    ("MD5 of hex MD5 of the uid, 12 hex", |row, _| {
        hex(&Md5::digest(hex(&Md5::digest(&row.uid))))[..12].to_owned()
    }),
    ("MD5 of the serial with a line end", |row, _| {
        hex(&Md5::digest(format!("{}\n", row.serial)))[..8].to_owned()
    }),
    ("SHA-1 of admin + MAC, base 64", |row, _| {
        groups(
            &Sha1::digest(format!("admin{}", row.mac())),
            6,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        )[..10]
            .to_owned()
    }),
    ("SHA-256 of model + MAC, 10 hex", |row, _| {
        hex(&Sha256::digest(format!("{}{}", row.model, row.mac())))[..10].to_owned()
    }),
    (
        "SHA-1 of the last 6 of the MAC, behind a constant",
        |row, _| format!("WIFI-{}", &hex(&Sha1::digest(&row.mac()[6..]))[..8]),
    ),
    ("SHA-256 of the serial, every second hex", |row, _| {
        hex(&Sha256::digest(&row.serial))
            .chars()
            .step_by(2)
            .take(10)
            .collect()
    }),
    ("MD5 of the serial, reversed", |row, _| {
        reversed(&hex(&Md5::digest(&row.serial))[..10])
    }),
    ("MD5 of the serial, 4 digits", |row, _| {
        modulo(&Md5::digest(&row.serial)[..4], b"0123456789")
    }),
    ("SHA-256 of the MAC in base 36 groups", |row, _| {
        let text = modulo(&Sha256::digest(row.mac())[..12], BASE_36);
        format!("{}-{}-{}", &text[..4], &text[4..8], &text[8..])
    }),
    ("SHA-256 as a number in base 58", |row, _| {
        let digest = Sha256::digest(&row.serial);
        let value = digest[16..]
            .iter()
            .fold(0u128, |value, &byte| value << 8 | u128::from(byte));
        // The low digits of the whole: base 2^128 falls away modulo nothing, so take it whole.
        let _ = value;
        whole(&digest, super::alphabet::BASE_58)[..12].to_owned()
    }),
    ("HMAC of the MAC under the serial", |row, _| {
        hex(&super::digests::KEYED[0].1(
            row.serial.as_bytes(),
            row.mac().as_bytes(),
        ))[..10]
            .to_owned()
    }),
    ("digits of the hex MD5", |row, _| {
        hex(&Md5::digest(row.mac()))
            .chars()
            .filter(char::is_ascii_digit)
            .take(8)
            .collect()
    }),
    ("first 5 symbols of a hash, 6 random", |row, random| {
        format!(
            "{}{}",
            &groups(&Sha1::digest(&row.serial), 5, BASE_32)[..5],
            random.text(BASE_32, 6)
        )
    }),
];

fn whole(bytes: &[u8], symbols: &[u8]) -> String {
    let mut digits: Vec<usize> = vec![];
    for &byte in bytes {
        let mut carry = usize::from(byte);
        for digit in digits.iter_mut() {
            carry += *digit << 8;
            *digit = carry % symbols.len();
            carry /= symbols.len();
        }
        while carry > 0 {
            digits.push(carry % symbols.len());
            carry /= symbols.len();
        }
    }
    digits
        .iter()
        .rev()
        .map(|digit| char::from(symbols[*digit]))
        .collect()
}

fn refused(list: &List) -> bool {
    look(list)
        .iter()
        .any(|finding| finding.severity == Severity::Refused)
}

/// Formats that good generators write in.
const CLEAN: &[(&str, Scheme)] = &[
    ("8 digits", |_, random| random.text(b"0123456789", 8)),
    ("6 digits", |_, random| random.text(b"0123456789", 6)),
    ("4 digits", |_, random| random.text(b"0123456789", 4)),
    ("20 digits", |_, random| random.text(b"0123456789", 20)),
    ("8 hex", |_, random| random.text(b"0123456789abcdef", 8)),
    ("16 hex", |_, random| random.text(b"0123456789ABCDEF", 16)),
    ("12 of base 32", |_, random| random.text(BASE_32, 12)),
    ("20 of Crockford", |_, random| random.text(CROCKFORD, 20)),
    ("10 of base 36", |_, random| random.text(BASE_36, 10)),
    ("10 of base 62", |_, random| random.text(BASE_62, 10)),
    ("16 printable", |_, random| {
        let printable: Vec<u8> = (b'!'..=b'~').collect();
        random.text(&printable, 16)
    }),
    ("three groups of six", |_, random| {
        let mut group = || {
            random.text(
                b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789",
                6,
            )
        };
        format!("{}-{}-{}", group(), group(), group())
    }),
    ("four words", |_, random| {
        let words: Vec<&str> = include_str!("../../../../words/common.txt")
            .split_whitespace()
            .filter(|word| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase()))
            .collect();
        let mut word = || words[random.below(words.len() as u64) as usize];
        [word(), word(), word(), word()].join("-")
    }),
    ("brand, then 12 of base 32", |_, random| {
        format!("BM-{}", random.text(BASE_32, 12))
    }),
    ("pronounceable, two digits", |_, random| {
        let mut pair = || random.text(b"bcdfghjklmnprstvwz", 1) + &random.text(b"aeiou", 1);
        let syllables: String = (0..5).map(|_| pair()).collect();
        format!("{syllables}{}", random.text(b"0123456789", 2))
    }),
    ("model, then 14 of Crockford", |row, random| {
        format!("{}-{}", row.model, random.text(CROCKFORD, 14))
    }),
    ("HOMEKIT", |_, random| {
        format!(
            "{}-{}-{}",
            random.text(b"0123456789", 3),
            random.text(b"0123456789", 2),
            random.text(b"0123456789", 3)
        )
    }),
];

fn clean(lists: u64, counts: &[usize]) -> Vec<String> {
    let mut alarms = vec![];
    for (at, (name, scheme)) in CLEAN.iter().enumerate() {
        for seed in 0..lists {
            let count = counts[seed as usize % counts.len()];
            let list = list(9_000 * at as u64 + seed, count, 100, scheme);
            let found = look(&list)
                .into_iter()
                .filter(|finding| finding.severity == Severity::Refused);
            alarms.extend(found.map(|finding| {
                format!(
                    "{name}, {count}: {:.1} {}",
                    finding.chance_log10, finding.evidence
                )
            }));
        }
    }
    alarms
}

#[test]
fn falsely() {
    let start = std::time::Instant::now();
    let alarms = clean(36, &[1, 2, 3, 10, 10, 30, 100, 300, 1000]);
    eprintln!(
        "R {} alarms in {:?}: {alarms:#?}",
        alarms.len(),
        start.elapsed()
    );
}

#[test]
fn measure() {
    for (at, (name, scheme)) in VERBATIM
        .iter()
        .chain(HASHED)
        .enumerate()
        .skip(VERBATIM.len() + 19)
    {
        let mut line = String::new();
        for (count, share) in [(1, 100), (3, 100), (10, 100), (30, 100), (300, 10)] {
            let hits = (0..3)
                .filter(|seed| {
                    let list = list(*seed + 77, count, share, scheme);
                    let table = Table::whole(&list);
                    (DETECTORS[usize::from(at >= VERBATIM.len())].look)(&table)
                        .iter()
                        .any(|finding| finding.severity == Severity::Refused)
                })
                .count();
            line += &format!(" {hits}");
        }
        let list = list(78, 300, 100, scheme);
        let found = (DETECTORS[usize::from(at >= VERBATIM.len())].look)(&Table::whole(&list));
        eprintln!(
            "R{line}  {name}: {:?}",
            found
                .iter()
                .map(|f| format!("{:.0} {}", f.chance_log10, f.evidence))
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn clock() {
    for count in [300usize, 100_000, 1_000_000] {
        for (name, scheme) in [
            ("clean", (|_, random| random.text(BASE_32, 12)) as Scheme),
            ("digits", |_, random| random.text(b"0123456789", 8)),
            ("62", |_, random| random.text(BASE_62, 10)),
            ("weak", HASHED[3].1),
            ("mac", VERBATIM[1].1),
        ] {
            let list = list(5, count, 100, scheme);
            let table = Table::whole(&list);
            for detector in DETECTORS {
                let start = std::time::Instant::now();
                let found = (detector.look)(&table);
                eprintln!(
                    "{count} {name} {}: {:?} {:?}",
                    detector.name,
                    start.elapsed(),
                    found.len()
                );
            }
        }
    }
}
