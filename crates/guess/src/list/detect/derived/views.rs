//! The ways in which lazy schemes write an identifier: some hundred views of each.

use super::alphabet::{self, BASE_58, BASE_62, CROCKFORD, RFC_4648};
use super::unit::{COLUMNS, Unit, digits, width};
use super::wps;
use crate::list::Column;

/// How far a neighbouring address is looked at: a radio's is often the base address plus a few.
const NEIGHBOURS: i8 = 10;

/// What is taken of an identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// Its letters and digits.
    Text,
    /// Its digits alone.
    Digits,
    /// Its digits alone, as a decimal number.
    Decimal,
    /// A hexadecimal number: the whole of it, plus so many.
    Number(i8),
    /// The low bits of a hexadecimal number.
    Low(u8),
    /// The number without its low 24 bits.
    High,
    /// The number with its bytes in the other order.
    BytesReversed,
    /// With its two nibbles swapped in every byte.
    NibblesSwapped,
    /// With its bits in the other order.
    BitsReversed,
    /// With the bits of every byte in the other order.
    BitsOfBytesReversed,
    /// With every bit turned.
    Complement,
}

/// How it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Writing {
    /// Texts: as it is.
    Plain,
    /// Texts: pairs of symbols in the other order.
    PairsReversed,
    /// Texts: the two symbols of every pair swapped.
    PairsSwapped,
    /// Texts: 9 for 0, f for 0 or z for a, and so on.
    Mirrored,
    /// Texts: letters 13 further.
    Rot13,
    /// Texts: every second symbol, from the first or the second.
    Second(usize),
    /// Texts: codes of its characters in this base, 10 or 16.
    Codes(u8),
    /// Texts: its characters in base 32 or 64.
    Bits(u8),
    /// Texts: letters as on the keys of a telephone.
    Keypad,
    /// Texts: letters as their number in the alphabet, modulo 10.
    Ordinals,
    /// Texts: digits as letters from this one on.
    Letters(u8),
    /// Digits: with a check digit as bank cards have it.
    Luhn,
    /// Digits: sums of neighbours, modulo 10.
    Sums,
    /// Numbers: in a base, digits before letters.
    Base(u8),
    /// Numbers: in base 32 as RFC 4648 has it, or as Crockford has it.
    Base32(&'static [u8]),
    /// Numbers: in base 58 or 62, with case.
    Mixed(&'static [u8]),
    /// Numbers: their bytes in base 32 or 64.
    BytesIn(u8),
    /// Numbers: each byte in decimal, of three digits or as many as it takes.
    ByteByByte(usize),
    /// Numbers: each hexadecimal digit modulo 10.
    NibblesModTen,
    /// Numbers: each hexadecimal digit as a letter from a.
    NibblesAsLetters,
    /// Numbers: as a WPS PIN, by one of the published formulas.
    Wps(wps::Formula),
}

/// One way of writing one identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct View {
    pub(super) column: Column,
    pub(super) part: Part,
    pub(super) writing: Writing,
}

/// All of them, the plainest first.
pub(super) fn all() -> Vec<View> {
    let mut views = vec![];
    for column in COLUMNS {
        let mut add = |part, writing| {
            views.push(View {
                column,
                part,
                writing,
            });
        };
        texts(&mut add);
        for base in (2..=36).filter(|base| matches!(base, 8 | 10 | 16 | 20..)) {
            add(Part::Decimal, Writing::Base(base));
        }
        for writing in [
            Writing::Base32(RFC_4648),
            Writing::Base32(CROCKFORD),
            Writing::Mixed(BASE_58),
            Writing::Mixed(BASE_62),
            Writing::Wps(wps::Formula::Remainder),
        ] {
            add(Part::Decimal, writing);
        }
        if matches!(column, Column::Serial | Column::Mac | Column::Uid) {
            numbers(&mut add);
        }
        if column == Column::Mac {
            neighbours(&mut add);
        }
    }
    views.sort_by_key(|view| !view.is_plain());
    views
}

fn texts(add: &mut impl FnMut(Part, Writing)) {
    for writing in [
        Writing::Plain,
        Writing::PairsReversed,
        Writing::PairsSwapped,
        Writing::Mirrored,
        Writing::Rot13,
        Writing::Second(0),
        Writing::Second(1),
        Writing::Codes(10),
        Writing::Codes(16),
        Writing::Bits(32),
        Writing::Bits(64),
        Writing::Keypad,
        Writing::Ordinals,
        Writing::Letters(b'a'),
    ] {
        add(Part::Text, writing);
    }
    for writing in [
        Writing::Plain,
        Writing::PairsReversed,
        Writing::PairsSwapped,
        Writing::Mirrored,
        Writing::Second(0),
        Writing::Second(1),
        Writing::Letters(b'a'),
        Writing::Letters(b'b'),
        Writing::Luhn,
        Writing::Sums,
        Writing::Bits(64),
    ] {
        add(Part::Digits, writing);
    }
}

fn numbers(add: &mut impl FnMut(Part, Writing)) {
    let parts = [
        Part::Number(0),
        Part::Low(24),
        Part::Low(32),
        Part::Low(28),
        Part::Low(16),
        Part::High,
        Part::BytesReversed,
        Part::BitsReversed,
        Part::Complement,
        Part::NibblesSwapped,
        Part::BitsOfBytesReversed,
    ];
    for (at, part) in parts.into_iter().enumerate() {
        add(part, Writing::Base(16));
        add(part, Writing::Base(10));
        add(part, Writing::Base(36));
        add(part, Writing::Base32(RFC_4648));
        add(part, Writing::Base32(CROCKFORD));
        add(part, Writing::BytesIn(32));
        add(part, Writing::BytesIn(64));
        if at < 3 {
            for base in (8..36).filter(|base| matches!(base, 8 | 20..)) {
                add(part, Writing::Base(base));
            }
            add(part, Writing::Mixed(BASE_58));
            add(part, Writing::Mixed(BASE_62));
            for formula in wps::Formula::ALL {
                add(part, Writing::Wps(formula));
            }
        }
    }
    for part in [Part::Number(0), Part::BytesReversed, Part::NibblesSwapped] {
        for writing in [
            Writing::ByteByByte(3),
            Writing::ByteByByte(1),
            Writing::NibblesModTen,
            Writing::NibblesAsLetters,
        ] {
            add(part, writing);
        }
    }
}

fn neighbours(add: &mut impl FnMut(Part, Writing)) {
    for step in (-NEIGHBOURS..=NEIGHBOURS).filter(|step| *step != 0) {
        for writing in [
            Writing::Base(16),
            Writing::Base(10),
            Writing::Base(36),
            Writing::Base32(RFC_4648),
            Writing::Base32(CROCKFORD),
            Writing::NibblesModTen,
            Writing::Wps(wps::Formula::Remainder),
            Writing::Wps(wps::Formula::DLink),
        ] {
            add(Part::Number(step), writing);
        }
    }
}

impl View {
    /// Whether it is the identifier as it stands on the label.
    pub(super) fn is_plain(&self) -> bool {
        self.part == Part::Text && self.writing == Writing::Plain
    }

    /// Whether capitals and small letters differ.
    pub(super) fn has_case(&self) -> bool {
        matches!(
            self.writing,
            Writing::Bits(64) | Writing::BytesIn(64) | Writing::Mixed(_)
        )
    }

    /// Appends the view of a unit; nothing when the unit lacks the identifier.
    pub(super) fn write(&self, unit: &Unit<'_>, out: &mut Vec<u8>) {
        match self.part {
            Part::Text | Part::Digits => {
                let cell = unit.cell(self.column);
                let kept = |byte: &u8| match self.part {
                    Part::Digits => byte.is_ascii_digit(),
                    _ => byte.is_ascii_alphanumeric(),
                };
                if matches!(self.writing, Writing::Codes(_) | Writing::Bits(_)) {
                    let kept: Vec<u8> = cell.iter().copied().filter(kept).collect();
                    self.write_characters(&kept, out);
                } else {
                    out.extend(
                        cell.iter()
                            .filter(|byte| kept(byte))
                            .map(u8::to_ascii_lowercase),
                    );
                    self.write_text(out);
                }
            }
            Part::Decimal => {
                if let Some(value) = unit.decimal(self.column) {
                    self.write_number(value, 0, out);
                }
            }
            _ => {
                if let Some((length, value)) = unit.hex(self.column) {
                    let (bits, value) = self.part_of(4 * length.min(32), value);
                    self.write_number(value, bits, out);
                }
            }
        }
    }

    /// The part of a number of `bits` bits, and its bits.
    fn part_of(&self, bits: usize, value: u128) -> (usize, u128) {
        let mask = u128::MAX >> (128 - bits);
        let whole_bytes = bits.next_multiple_of(8);
        let part = match self.part {
            Part::Number(step) => value.wrapping_add_signed(step.into()) & mask,
            Part::Low(low) => {
                let low = usize::from(low).min(bits);
                return (low, value & (u128::MAX >> (128 - low)));
            }
            Part::High if bits > 24 => return (bits - 24, value >> 24),
            Part::BytesReversed => value.swap_bytes() >> (128 - whole_bytes),
            Part::NibblesSwapped => {
                let low = u128::MAX / 0xff * 0x0f;
                ((value & low) << 4 | value >> 4 & low) & (u128::MAX >> (128 - whole_bytes))
            }
            Part::BitsReversed => value.reverse_bits() >> (128 - bits),
            Part::BitsOfBytesReversed => {
                value.reverse_bits().swap_bytes() & (u128::MAX >> (128 - whole_bytes))
            }
            Part::Complement => !value & mask,
            _ => value,
        };
        (bits, part)
    }

    fn write_text(&self, text: &mut Vec<u8>) {
        match self.writing {
            Writing::PairsReversed => {
                text.reverse();
                text.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
            }
            Writing::PairsSwapped => text.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1)),
            Writing::Second(first) => {
                *text = text.iter().skip(first).step_by(2).copied().collect();
            }
            Writing::Luhn => text.extend(wps::luhn(text)),
            Writing::Sums => {
                let pairs = text.windows(2);
                *text = pairs
                    .map(|pair| b'0' + (pair[0] + pair[1] - 2 * b'0') % 10)
                    .collect();
            }
            Writing::Mirrored => {
                let hex = text.iter().all(u8::is_ascii_hexdigit)
                    && text.iter().any(u8::is_ascii_alphabetic);
                for byte in text {
                    *byte = mirrored(*byte, hex);
                }
            }
            writing => {
                for byte in text {
                    *byte = replaced(*byte, writing);
                }
            }
        }
    }

    fn write_characters(&self, characters: &[u8], out: &mut Vec<u8>) {
        match self.writing {
            Writing::Bits(32) => alphabet::groups(characters, 5, RFC_4648, out),
            Writing::Bits(_) => alphabet::groups(characters, 6, alphabet::BASE_64, out),
            Writing::Codes(base) => {
                for &byte in characters {
                    let start = out.len();
                    digits(byte.into(), base, 2, out);
                    alphabet::spell(&mut out[start..], alphabet::BASE_36);
                }
                return;
            }
            _ => {}
        }
        if !self.has_case() {
            out.make_ascii_lowercase();
        }
    }

    /// Writes a number of `bits` bits, leading zeros and all; without them when `bits` is 0.
    fn write_number(&self, value: u128, bits: usize, out: &mut Vec<u8>) {
        let bytes = value.to_be_bytes();
        let bytes = &bytes[16 - bits.div_ceil(8)..];
        let (base, symbols) = match self.writing {
            Writing::Base(base) => (base, alphabet::BASE_36),
            Writing::Base32(symbols) => (32, symbols),
            Writing::Mixed(symbols) => (symbols.len() as u8, symbols),
            Writing::NibblesAsLetters => (16, b"abcdefghijklmnop".as_slice()),
            Writing::NibblesModTen => (16, b"0123456789012345".as_slice()),
            Writing::Wps(formula) => {
                digits(formula.pin(value as u64).into(), 10, 8, out);
                return alphabet::spell(out, alphabet::BASE_36);
            }
            Writing::BytesIn(32) => return alphabet::groups(bytes, 5, RFC_4648, out),
            Writing::BytesIn(_) => return alphabet::groups(bytes, 6, alphabet::BASE_64, out),
            Writing::ByteByByte(least) => {
                for &byte in bytes {
                    digits(byte.into(), 10, least, out);
                }
                return alphabet::spell(out, alphabet::BASE_36);
            }
            _ => return,
        };
        let width = if bits == 0 { 0 } else { width(bits, base) };
        digits(value, base, width, out);
        alphabet::spell(out, symbols);
    }
}

/// 9 for 0 and z for a; f for 0 where the text is hexadecimal.
fn mirrored(byte: u8, hex: bool) -> u8 {
    match char::from(byte).to_digit(16) {
        Some(digit) if hex => b"fedcba9876543210"[digit as usize],
        _ if byte.is_ascii_digit() => b'0' + b'9' - byte,
        _ => b'a' + b'z' - byte,
    }
}

fn replaced(byte: u8, writing: Writing) -> u8 {
    let letter = byte.is_ascii_alphabetic().then(|| byte.wrapping_sub(b'a'));
    match (writing, letter) {
        (Writing::Rot13, Some(letter)) => b'a' + (letter + 13) % 26,
        (Writing::Keypad, Some(letter)) => b"22233344455566677778889999"[usize::from(letter)],
        (Writing::Ordinals, Some(letter)) => b'0' + (letter + 1) % 10,
        (Writing::Letters(first), None) => first + (byte - b'0'),
        _ => byte,
    }
}
