//! Weak schemes, written from the descriptions of those that were shipped, and clean formats.

use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512};

use super::super::{alphabet, digests, wps};
use super::lists::Scheme;

const BASE_32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const CROCKFORD: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BASE_36: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE_62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Identifiers written otherwise, each with what is to be said of it.
pub(super) const VERBATIM: &[(&str, Scheme)] = &[
    ("password = last 8 of MAC", |row, _| {
        row.mac()[4..].to_owned()
    }),
    ("password = last 8 of MAC, reversed", |row, _| {
        reversed(&row.mac()[4..])
    }),
    ("password = MAC", |row, _| row.colons().replace(':', "-")),
    ("password = serial", |row, _| row.serial.clone()),
    (
        "8 symbols of the password, from place 5 = last 8 of serial",
        |row, _| format!("Acme{}!", row.number),
    ),
    (
        "last 6 symbols of the password = last 6 of MAC",
        |row, _| row.mac()[6..].to_lowercase().repeat(2),
    ),
    ("password = last 8 of MAC +3", |row, _| {
        format!("{:08X}", row.mac as u32 + 3)
    }),
    ("MAC -7 in decimal", |row, _| (row.mac - 7).to_string()),
    ("password = low 24 bits of MAC in decimal", |row, _| {
        format!("{:08}", row.mac & 0xff_ffff)
    }),
    (
        "password = last 9 of low 32 bits of MAC in decimal",
        |row, _| (row.mac as u32).to_string(),
    ),
    ("password = MAC in base 36", |row, _| {
        base(row.mac.into(), BASE_36, 10)
    }),
    ("password = MAC in base 32", |row, _| {
        base(row.mac.into(), CROCKFORD, 10)
    }),
    (
        "last 5 symbols of the password = digits of serial in base 36",
        |row, _| base(row.number.into(), BASE_36, 6),
    ),
    (
        "last 7 symbols of the password = digits of serial in base 16",
        |row, _| format!("{:08X}", row.number),
    ),
    ("password = MAC, pairs reversed", |row, _| {
        format!("{:012X}", row.mac.swap_bytes() >> 16)
    }),
    ("password = MAC, neighbours swapped", |row, _| {
        hex(&row.mac.to_be_bytes()[2..]
            .iter()
            .map(|byte| byte.rotate_left(4))
            .collect::<Vec<u8>>())
    }),
    ("password = MAC, complemented", |row, _| {
        format!("{:012X}", !row.mac & 0xffff_ffff_ffff)
    }),
    ("password = MAC, bits reversed", |row, _| {
        format!("{:012x}", row.mac.reverse_bits() >> 16)
    }),
    ("password = low 24 bits of MAC as a WPS PIN", |row, _| {
        wps::Formula::Remainder.pin(row.mac & 0xff_ffff).to_string()
    }),
    ("password = MAC as a WPS PIN", |row, _| {
        wps::Formula::DLink.pin(row.mac).to_string()
    }),
    (
        "first 4 symbols of the password = last 4 of MAC",
        |row, random| format!("{}{}", &row.mac()[8..], random.text(b"0123456789", 4)),
    ),
    (
        "last 5 symbols of the password = last 5 of serial",
        |row, random| format!("{}{:05}", random.text(BASE_36, 6), row.number % 100_000),
    ),
    (
        "all symbols at even places of the password = last 8 of MAC",
        |row, _| {
            let (one, other) = (row.number.to_string(), row.mac());
            one.chars()
                .zip(other[4..].chars())
                .flat_map(|(a, b)| [a, b])
                .collect()
        },
    ),
    ("password = first 12 of UID", |row, _| {
        row.uid[..12].to_owned()
    }),
    ("password = UID in base 62", |row, _| {
        base(u128::from_str_radix(&row.uid, 16).unwrap(), BASE_62, 17)
    }),
    ("password = MAC in base 64", |row, _| {
        groups(
            &row.mac.to_be_bytes()[2..],
            6,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        )
    }),
    ("password = serial, characters in base 32", |row, _| {
        groups(row.serial.as_bytes(), 5, BASE_32)
    }),
    (
        "password = last 8 of MAC, each hexadecimal digit modulo 10",
        |row, _| {
            row.mac()[4..]
                .chars()
                .map(|c| char::from(b'0' + (c.to_digit(16).unwrap() % 10) as u8))
                .collect()
        },
    ),
    ("password = last 8 of serial, complemented", |row, _| {
        row.number
            .to_string()
            .bytes()
            .map(|byte| char::from(b'0' + b'9' - byte))
            .collect()
    }),
    ("password = MAC", |row, _| {
        let mac = row.mac();
        format!("{}-{}-{}", &mac[0..4], &mac[4..8], &mac[8..])
    }),
];

/// Hashes of identifiers, each with what is to be said of it.
pub(super) const HASHED: &[(&str, Scheme)] = &[
    (
        "password = first 8 of MD5 of serial in hexadecimal",
        |row, _| hex(&Md5::digest(&row.serial))[..8].to_owned(),
    ),
    (
        "password = places 6 to 15 of MD5 of MAC in capitals in hexadecimal",
        |row, _| hex(&Md5::digest(row.mac()))[5..15].to_uppercase(),
    ),
    (
        "password = last 10 of SHA-1 of serial in hexadecimal",
        |row, _| hex(&Sha1::digest(&row.serial))[30..].to_owned(),
    ),
    (
        "password = first 12 of SHA-256 of serial in base 32",
        |row, _| groups(&Sha256::digest(&row.serial), 5, BASE_32)[..12].to_owned(),
    ),
    (
        "password = first 12 of SHA-256 of MAC in capitals with : in Crockford base 32",
        |row, _| groups(&Sha256::digest(row.colons()), 5, CROCKFORD)[..12].to_owned(),
    ),
    (
        "password = first 8 of SHA-1 of MAC as bytes in decimal, each byte modulo its size",
        |row, _| {
            modulo(
                &Sha1::digest(&row.mac.to_be_bytes()[2..])[..8],
                b"0123456789",
            )
        },
    ),
    (
        "password = first 10 of MD5 of MAC in small letters in base 36, each byte modulo its size",
        |row, _| modulo(&Md5::digest(row.mac().to_lowercase())[..10], BASE_36),
    ),
    (
        "password = places 5 to 16 of SHA-256 of serial + MAC in capitals in base 62, each byte modulo its size",
        |row, _| {
            modulo(
                &Sha256::digest(format!("{}{}", row.serial, row.mac()))[4..16],
                BASE_62,
            )
        },
    ),
    (
        "password = first 10 of SHA-512 of MAC in capitals + \"-\" + serial in 31 symbols, digits first, each byte modulo its size",
        |row, _| {
            modulo(
                &Sha512::digest(format!("{}-{}", row.mac(), row.serial))[..10],
                b"23456789ABCDEFGHJKMNPQRSTUVWXYZ",
            )
        },
    ),
    (
        "password = last 8 of MD5 of MAC +1 in capitals in decimal, first 8 bytes as a number",
        |row, _| {
            (u64_of(&Md5::digest(format!("{:012X}", row.mac + 1))) % 100_000_000 + 100_000_000)
                .to_string()[1..]
                .to_owned()
        },
    ),
    (
        "password = last 10 of SHA-1 of SSID in base 36, first 8 bytes as a number",
        |row, _| base(u64_of(&Sha1::digest(&row.ssid)).into(), BASE_36, 13)[3..].to_owned(),
    ),
    ("password = CRC-32 of serial in hexadecimal", |row, _| {
        format!(
            "{:08x}",
            crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(row.serial.as_bytes())
        )
    }),
    (
        "password = CRC-32 of MAC in capitals in decimal",
        |row, _| {
            format!(
                "{:010}",
                crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(row.mac().as_bytes())
            )
        },
    ),
    (
        "password = first 12 of MD5 of the hexadecimal MD5 of UID in small letters in hexadecimal",
        |row, _| hex(&Md5::digest(hex(&Md5::digest(&row.uid))))[..12].to_owned(),
    ),
    (
        "password = first 8 of MD5 of serial + a line end in hexadecimal",
        |row, _| hex(&Md5::digest(format!("{}\n", row.serial)))[..8].to_owned(),
    ),
    (
        "password = first 10 of SHA-1 of \"admin\" + MAC in capitals in base 64",
        |row, _| {
            groups(
                &Sha1::digest(format!("admin{}", row.mac())),
                6,
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            )[..10]
                .to_owned()
        },
    ),
    (
        "password = first 10 of SHA-256 of model + MAC in capitals in hexadecimal",
        |row, _| hex(&Sha256::digest(format!("{}{}", row.model, row.mac())))[..10].to_owned(),
    ),
    (
        "last 8 symbols of the password = first 8 of SHA-1 of last 6 digits of MAC in capitals in hexadecimal",
        |row, _| format!("WIFI-{}", &hex(&Sha1::digest(&row.mac()[6..]))[..8]),
    ),
    (
        "password = first 10 of SHA-256 of serial in hexadecimal, the high bits of each byte",
        |row, _| {
            hex(&Sha256::digest(&row.serial))
                .chars()
                .step_by(2)
                .take(10)
                .collect()
        },
    ),
    (
        "password = first 10 of MD5 of serial in hexadecimal, reversed",
        |row, _| reversed(&hex(&Md5::digest(&row.serial))[..10]),
    ),
    (
        "password = first 4 of MD5 of serial in decimal, each byte modulo its size",
        |row, _| modulo(&Md5::digest(&row.serial)[..4], b"0123456789"),
    ),
    (
        "password = first 12 of SHA-256 of MAC in capitals in base 36, each byte modulo its size",
        |row, _| {
            let text = modulo(&Sha256::digest(row.mac())[..12], BASE_36);
            format!("{}-{}-{}", &text[..4], &text[4..8], &text[8..])
        },
    ),
    (
        "password = first 12 of SHA-256 of serial in base 58",
        |row, _| {
            let digest = Sha256::digest(&row.serial);
            whole(&digest, alphabet::BASE_58)[..12].to_owned()
        },
    ),
    (
        "password = first 10 of HMAC-SHA-256 of MAC in capitals under the key serial in hexadecimal",
        |row, _| {
            hex(&digests::KEYED[0].1(
                row.serial.as_bytes(),
                row.mac().as_bytes(),
            ))[..10]
                .to_owned()
        },
    ),
    (
        "password = first 8 of MD5 of MAC in capitals in decimal, letters left out of the hexadecimal",
        |row, _| {
            hex(&Md5::digest(row.mac()))
                .chars()
                .filter(char::is_ascii_digit)
                .take(8)
                .collect()
        },
    ),
    (
        "first 5 symbols of the password = first 5 of SHA-1 of serial in base 32",
        |row, random| {
            format!(
                "{}{}",
                &groups(&Sha1::digest(&row.serial), 5, BASE_32)[..5],
                random.text(BASE_32, 6)
            )
        },
    ),
];

/// Formats that good generators write in.
pub(super) const CLEAN: &[(&str, Scheme)] = &[
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
        let words: Vec<&str> = include_str!("../../../../../words/common.txt")
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
