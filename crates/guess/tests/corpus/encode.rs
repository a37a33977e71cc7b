//! How schemes write numbers and digests, and the checksums that some of them use.

pub(crate) const DIGITS: &str = "0123456789";
pub(crate) const HEX: &str = "0123456789ABCDEF";
pub(crate) const HEX_SMALL: &str = "0123456789abcdef";
pub(crate) const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(crate) const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
pub(crate) const CROCKFORD: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
pub(crate) const CROCKFORD_SMALL: &str = "0123456789abcdefghjkmnpqrstvwxyz";
pub(crate) const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub(crate) const BASE36: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(crate) const BASE36_SMALL: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
pub(crate) const BASE58: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
pub(crate) const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
pub(crate) const BASE62_LETTERS: &str =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
pub(crate) const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
pub(crate) const NO_LOOKALIKES: &str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";

/// The last `width` digits of a number, the highest first.
pub(crate) fn digits(mut number: u128, alphabet: &str, width: usize) -> String {
    let symbols = alphabet.as_bytes();
    let base = symbols.len() as u128;
    let mut text = vec![b'?'; width];
    for place in text.iter_mut().rev() {
        *place = symbols[(number % base) as usize];
        number /= base;
    }
    text.into_iter().map(char::from).collect()
}

/// A digest as one large number, its last `width` digits.
pub(crate) fn number(digest: &[u8], alphabet: &str, width: usize) -> String {
    let symbols = alphabet.as_bytes();
    let base = symbols.len() as u32;
    let mut left = digest.to_vec();
    let mut text = vec![b'?'; width];
    for place in text.iter_mut().rev() {
        let mut rest = 0;
        for byte in &mut left {
            let value = rest << 8 | u32::from(*byte);
            *byte = (value / base) as u8;
            rest = value % base;
        }
        *place = symbols[rest as usize];
    }
    text.into_iter().map(char::from).collect()
}

/// One symbol for each byte, by remainder.
pub(crate) fn remainders(bytes: &[u8], alphabet: &str) -> String {
    let symbols = alphabet.as_bytes();
    let symbol = |byte: &u8| char::from(symbols[usize::from(*byte) % symbols.len()]);
    bytes.iter().map(symbol).collect()
}

/// The bits of a digest in groups, the first `width` of them; the alphabet has 2^k symbols.
pub(crate) fn groups_of_bits(bytes: &[u8], alphabet: &str, width: usize) -> String {
    let symbols = alphabet.as_bytes();
    let each = symbols.len().ilog2() as usize;
    let bit = |at: usize| usize::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let value = |place: usize| (0..each).fold(0, |value, k| value << 1 | bit(place * each + k));
    (0..width)
        .map(|place| char::from(symbols[value(place)]))
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn upper_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// `ABCDEF` as `AB-CD-EF`.
pub(crate) fn grouped(text: &str, size: usize, separator: char) -> String {
    let mut grouped = String::new();
    for (at, symbol) in text.chars().enumerate() {
        if at > 0 && at % size == 0 {
            grouped.push(separator);
        }
        grouped.push(symbol);
    }
    grouped
}

pub(crate) fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// The last symbols of an ASCII text.
pub(crate) fn tail(text: &str, width: usize) -> &str {
    &text[text.len().saturating_sub(width)..]
}

/// Value of a hexadecimal or decimal symbol, 0 for others.
pub(crate) fn nibble(symbol: u8) -> u8 {
    char::from(symbol).to_digit(16).unwrap_or(0) as u8
}

/// Seven digits and the check digit of Wi-Fi Simple Configuration 2.0 section 7.4.1.
pub(crate) fn wps(pin: u64) -> String {
    let pin = pin % 10_000_000;
    let (mut sum, mut left, mut weight) = (0, pin, 3);
    while left > 0 {
        sum += weight * (left % 10);
        left /= 10;
        weight = 4 - weight;
    }
    format!("{pin:07}{}", (10 - sum % 10) % 10)
}

/// The check digit of ISO/IEC 7812.
pub(crate) fn luhn(text: &str) -> u8 {
    let mut sum = 0;
    for (at, symbol) in text.bytes().rev().enumerate() {
        let value = nibble(symbol) * if at % 2 == 0 { 2 } else { 1 };
        sum += value / 10 + value % 10;
    }
    (10 - sum % 10) % 10
}

/// A reflected 32-bit CRC; the usual one is (0xEDB8_8320, `u32::MAX`, `u32::MAX`).
pub(crate) fn crc32(bytes: &[u8], polynomial: u32, start: u32, last: u32) -> u32 {
    let mut crc = start;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { polynomial } else { 0 };
        }
    }
    crc ^ last
}

pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

pub(crate) fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381, |hash: u32, &byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(byte))
    })
}

pub(crate) fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1, 0);
    for &byte in bytes {
        low = (low + u32::from(byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    high << 16 | low
}

#[test]
fn checksums_are_the_published_ones() {
    assert_eq!(
        crc32(b"123456789", 0xEDB8_8320, u32::MAX, u32::MAX),
        0xCBF4_3926
    );
    assert_eq!(fnv1a(b"a"), 0xAF63_DC4C_8601_EC8C);
    assert_eq!(djb2(b""), 5381);
    assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    assert_eq!(wps(1_234_567), "12345670");
    assert_eq!(luhn("7992739871"), 3);
}

#[test]
fn encodings_agree() {
    let digest: Vec<u8> = (1..=16).collect();
    let value = u128::from_be_bytes(std::array::from_fn(|at| at as u8 + 1));
    assert_eq!(number(&digest, BASE36, 20), digits(value, BASE36, 20));
    assert_eq!(groups_of_bits(&digest, HEX_SMALL, 32), hex(&digest));
    assert_eq!(groups_of_bits(b"Many", BASE64, 4), "TWFu");
}
