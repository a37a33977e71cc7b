//! How schemes turn a digest into symbols: the values that they then look up in an alphabet.

use super::alphabet;
use super::unit::{digits, width};

/// One way from the bytes of a digest to values below the alphabet's size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// The bits in groups, from the front: hexadecimal, base 32, base 64.
    Groups,
    /// Each byte modulo the size.
    Modulo,
    /// Every second of those groups, or of those bytes, from the first or the second.
    GroupsSecond(usize),
    ModuloSecond(usize),
    /// Each byte scaled to the size, by its high bits.
    Scaled,
    /// Each two bytes, or four, as a number modulo the size.
    Words(usize),
    /// Hexadecimal with the low half of each byte first.
    LowFirst,
    /// Each hexadecimal digit modulo the size.
    Nibbles,
    /// The decimal digits among the hexadecimal ones.
    DigitsOfHex,
    /// Each byte in decimal, one after the other.
    ByteByByte,
    /// The whole digest as one number, high byte first or last; leading zeros and all, or bare.
    Whole {
        swapped: bool,
        bare: bool,
    },
    /// Its first or last bytes as a number.
    Part {
        bytes: usize,
        last: bool,
        swapped: bool,
        bare: bool,
    },
    /// 31 bits from the place that the last four bits name (RFC 4226).
    Truncated,
}

const fn part(bytes: usize, last: bool, swapped: bool, bare: bool) -> Way {
    Way::Part {
        bytes,
        last,
        swapped,
        bare,
    }
}

/// All of them.
pub(super) const WAYS: [Way; 30] = [
    Way::Groups,
    Way::Modulo,
    Way::Scaled,
    Way::Words(2),
    Way::Words(4),
    Way::LowFirst,
    Way::Nibbles,
    Way::DigitsOfHex,
    Way::ByteByByte,
    Way::Whole {
        swapped: false,
        bare: false,
    },
    Way::Whole {
        swapped: false,
        bare: true,
    },
    Way::Whole {
        swapped: true,
        bare: false,
    },
    Way::Whole {
        swapped: true,
        bare: true,
    },
    part(4, false, false, false),
    part(4, false, false, true),
    part(4, false, true, false),
    part(4, true, false, false),
    part(4, true, true, false),
    part(8, false, false, false),
    part(8, false, false, true),
    part(8, false, true, false),
    part(8, true, false, false),
    part(8, true, true, false),
    part(6, false, false, false),
    part(6, true, false, false),
    Way::Truncated,
    Way::GroupsSecond(0),
    Way::GroupsSecond(1),
    Way::ModuloSecond(0),
    Way::ModuloSecond(1),
];

impl Way {
    /// Whether it says something of its own for a digest of this length in this radix.
    pub(super) fn applies(self, length: usize, radix: u8) -> bool {
        let grouped = matches!(radix, 16 | 32 | 64);
        match self {
            Way::Groups => grouped,
            Way::GroupsSecond(_) => grouped && length > 4,
            Way::LowFirst => radix == 16,
            Way::DigitsOfHex | Way::ByteByByte => radix == 10,
            Way::Nibbles => radix < 16,
            Way::Modulo | Way::Scaled | Way::ModuloSecond(_) => length > 4,
            Way::Words(bytes) => length >= 3 * bytes,
            // Whole bytes of hexadecimal are groups, whichever end they are counted from.
            Way::Whole { swapped, .. } => radix != 16 || swapped,
            Way::Part { bytes, .. } => length > bytes && radix != 16,
            Way::Truncated => length >= 20 && radix != 16,
        }
    }

    /// Whether it is tried with rare digests as well.
    pub(super) fn usual(self, length: usize) -> bool {
        match self {
            Way::Groups | Way::Modulo | Way::DigitsOfHex => true,
            Way::Part {
                bytes: 8,
                last: false,
                swapped: false,
                ..
            } => true,
            Way::Whole { .. } => length <= 8,
            _ => false,
        }
    }

    /// Whether it is the way before it in [`WAYS`] without leading zeros.
    pub(super) fn is_bare(self) -> bool {
        matches!(
            self,
            Way::Whole { bare: true, .. } | Way::Part { bare: true, .. }
        )
    }

    /// Appends the values.
    pub(super) fn write(self, digest: &[u8], radix: u8, out: &mut Vec<u8>) {
        match self {
            Way::Groups => alphabet::values(digest, radix.ilog2(), out),
            Way::Modulo => out.extend(digest.iter().map(|byte| byte % radix)),
            Way::GroupsSecond(first) => {
                let mut all = vec![];
                alphabet::values(digest, radix.ilog2(), &mut all);
                out.extend(all.iter().skip(first).step_by(2));
            }
            Way::ModuloSecond(first) => {
                let bytes = digest.iter().skip(first).step_by(2);
                out.extend(bytes.map(|byte| byte % radix));
            }
            Way::Scaled => {
                let scaled = |byte: &u8| ((u16::from(*byte) * u16::from(radix)) >> 8) as u8;
                out.extend(digest.iter().map(scaled));
            }
            Way::Words(bytes) => {
                let words = digest.chunks_exact(bytes).map(number);
                out.extend(words.map(|word| (word % u64::from(radix)) as u8));
            }
            Way::LowFirst => out.extend(digest.iter().flat_map(|byte| [byte & 15, byte >> 4])),
            Way::Nibbles => {
                let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                out.extend(nibbles.map(|nibble| nibble % radix));
            }
            Way::DigitsOfHex => {
                let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                out.extend(nibbles.filter(|nibble| *nibble < 10));
            }
            Way::ByteByByte => {
                for &byte in digest {
                    digits(byte.into(), 10, 1, out);
                }
            }
            Way::Whole { swapped, bare } if digest.len() <= 8 => {
                let value = ordered(digest, swapped);
                digits(value.into(), radix, width_of(digest, radix, bare), out);
            }
            Way::Whole { swapped, bare } => whole(digest, swapped, bare, radix, out),
            Way::Part {
                bytes,
                last,
                swapped,
                bare,
            } => {
                let part = match last {
                    true => &digest[digest.len() - bytes..],
                    false => &digest[..bytes],
                };
                let value = ordered(part, swapped);
                digits(value.into(), radix, width_of(part, radix, bare), out);
            }
            Way::Truncated => {
                let at = usize::from(digest[digest.len() - 1] & 15);
                let value = number(&digest[at..at + 4]) & 0x7fff_ffff;
                digits(value.into(), radix, width(31, radix), out);
            }
        }
    }

    /// In words, after the alphabet.
    pub(super) fn name(self) -> String {
        match self {
            Way::Groups | Way::Whole { swapped: false, .. } => String::new(),
            Way::Modulo => ", each byte modulo its size".to_owned(),
            Way::GroupsSecond(0) => ", every second symbol from the first".to_owned(),
            Way::GroupsSecond(_) => ", every second symbol from the second".to_owned(),
            Way::ModuloSecond(0) => ", every second byte modulo its size".to_owned(),
            Way::ModuloSecond(_) => {
                ", every second byte from the second modulo its size".to_owned()
            }
            Way::Scaled => ", the high bits of each byte".to_owned(),
            Way::Words(bytes) => format!(", each {bytes} bytes modulo its size"),
            Way::LowFirst => ", low halves first".to_owned(),
            Way::Nibbles => ", each hexadecimal digit modulo its size".to_owned(),
            Way::DigitsOfHex => ", letters left out of the hexadecimal".to_owned(),
            Way::ByteByByte => ", byte by byte".to_owned(),
            Way::Whole { .. } => ", low byte first".to_owned(),
            Way::Part {
                bytes,
                last,
                swapped,
                ..
            } => {
                let end = if last { "last" } else { "first" };
                let order = if swapped { ", low byte first" } else { "" };
                format!(", {end} {bytes} bytes as a number{order}")
            }
            Way::Truncated => ", truncated as RFC 4226 has it".to_owned(),
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn ordered(bytes: &[u8], swapped: bool) -> u64 {
    match swapped {
        true => number(bytes).swap_bytes() >> (64 - 8 * bytes.len()),
        false => number(bytes),
    }
}

/// Digits that any number of so many bytes fits in; 0 for no leading zeros.
fn width_of(bytes: &[u8], radix: u8, bare: bool) -> usize {
    if bare {
        0
    } else {
        width(8 * bytes.len(), radix)
    }
}

/// A number of any length in a radix: limbs of 32 bits are divided by the largest power of the
/// radix that fits, so that one division gives several digits.
fn whole(digest: &[u8], swapped: bool, bare: bool, radix: u8, out: &mut Vec<u8>) {
    let mut bytes = digest.to_vec();
    if swapped {
        bytes.reverse();
    }
    let mut limbs: Vec<u64> = bytes.rchunks(4).rev().map(number).collect();
    let per = 32.0 / f64::from(radix).log2();
    let per = per as u32;
    let power = u64::from(radix).pow(per);
    let start = out.len();
    while !limbs.is_empty() {
        let mut rest = 0;
        for limb in &mut limbs {
            let value = rest << 32 | *limb;
            *limb = value / power;
            rest = value % power;
        }
        for _ in 0..per {
            out.push((rest % u64::from(radix)) as u8);
            rest /= u64::from(radix);
        }
        let zeros = limbs.iter().take_while(|limb| **limb == 0).count();
        limbs.drain(..zeros);
    }
    while out.len() > start && out.last() == Some(&0) {
        out.pop();
    }
    let width = width_of(digest, radix, bare);
    out.resize(out.len().max(start + width), 0);
    out[start..].reverse();
}
