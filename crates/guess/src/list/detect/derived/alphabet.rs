//! Symbols that schemes write values in.

pub(super) const BASE_36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
pub(super) const RFC_4648: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
pub(super) const CROCKFORD: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
pub(super) const BASE_58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
pub(super) const BASE_62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
pub(super) const BASE_64: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Alphabets without case: passwords are held against them in small letters.
pub(super) const CASELESS: &[(&str, &[u8])] = &[
    ("decimal", b"0123456789"),
    ("hexadecimal", b"0123456789abcdef"),
    ("consonants", b"bcdfghjklmnpqrstvwxz"),
    ("base 24 of product keys", b"bcdfghjkmpqrtvwxy2346789"),
    ("letters", b"abcdefghijklmnopqrstuvwxyz"),
    (
        "31 symbols, digits first",
        b"23456789abcdefghjkmnpqrstuvwxyz",
    ),
    (
        "31 symbols, letters first",
        b"abcdefghjkmnpqrstuvwxyz23456789",
    ),
    ("base 32", RFC_4648),
    ("Crockford base 32", CROCKFORD),
    ("base 32, digits first", b"0123456789abcdefghijklmnopqrstuv"),
    (
        "32 symbols, digits first",
        b"23456789abcdefghjklmnpqrstuvwxyz",
    ),
    (
        "32 symbols, letters first",
        b"abcdefghjklmnpqrstuvwxyz23456789",
    ),
    ("z-base-32", b"ybndrfg8ejkmcpqxot1uwisza345h769"),
    ("base 36", BASE_36),
    (
        "base 36, letters first",
        b"abcdefghijklmnopqrstuvwxyz0123456789",
    ),
];

/// Alphabets in which capitals and small letters differ.
pub(super) const CASED: &[(&str, &[u8])] = &[
    ("letters of both cases", b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    ("letters of both cases, small first", b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    (
        "57 symbols",
        b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    ),
    ("base 58", BASE_58),
    ("base 58, small first", b"123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"),
    ("base 62", BASE_62),
    ("base 62, small first", b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("base 62, letters first", b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
    ("base 62, small letters first", b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
    ("base 64", BASE_64),
    ("base 64 for URLs", b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
    (
        "printable ASCII",
        b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
    ),
];

/// Puts symbols in the place of values.
pub(super) fn spell(values: &mut [u8], symbols: &[u8]) {
    for value in values {
        *value = symbols[usize::from(*value)];
    }
}

/// Bytes as a string of bits, cut into groups from the front, the last one filled up with zeros;
/// each group as a symbol.
pub(super) fn groups(bytes: &[u8], bits: u32, symbols: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    values(bytes, bits, out);
    spell(&mut out[start..], symbols);
}

/// The values of such groups.
pub(super) fn values(bytes: &[u8], bits: u32, out: &mut Vec<u8>) {
    let (mut held, mut waiting) = (0u32, 0u32);
    for &byte in bytes {
        held = held << 8 | u32::from(byte);
        waiting += 8;
        while waiting >= bits {
            waiting -= bits;
            out.push((held >> waiting & ((1 << bits) - 1)) as u8);
        }
    }
    if waiting > 0 {
        out.push((held << (bits - waiting) & ((1 << bits) - 1)) as u8);
    }
}
