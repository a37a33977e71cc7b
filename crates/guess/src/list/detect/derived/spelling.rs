//! How an identifier is spelt before it is hashed.

use super::unit::Unit;
use super::verbatim::called;
use crate::list::Column;

/// How an identifier is spelt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Spelling {
    /// As it is written.
    AsIs,
    Capitals,
    Small,
    /// Letters and digits only.
    Stripped,
    /// Digits only.
    Digits,
    /// A hexadecimal number: plus `step`, its low six digits or all, in pairs (fours for a dot)
    /// with a separator, 0 for none.
    Hex {
        step: i8,
        low: bool,
        capitals: bool,
        separator: u8,
    },
    /// Its bytes.
    Bytes {
        step: i8,
        low: bool,
    },
    /// Its value in decimal.
    Decimal,
}

impl Spelling {
    /// Appends a column of a unit so spelt; `None` when the unit lacks it.
    pub(super) fn write(self, column: Column, unit: &Unit<'_>, out: &mut Vec<u8>) -> Option<()> {
        let cell = unit.cell(column);
        let start = out.len();
        match self {
            Spelling::AsIs => out.extend(cell),
            Spelling::Capitals => out.extend(cell.to_ascii_uppercase()),
            Spelling::Small => out.extend(cell.to_ascii_lowercase()),
            Spelling::Stripped => {
                out.extend(cell.iter().filter(|byte| byte.is_ascii_alphanumeric()));
            }
            Spelling::Digits => out.extend(cell.iter().filter(|byte| byte.is_ascii_digit())),
            Spelling::Decimal => {
                let (_, value) = unit.hex(column)?;
                out.extend(value.to_string().into_bytes());
            }
            Spelling::Bytes { step, low } => {
                let (bytes, length) = stepped(column, unit, step, low)?;
                out.extend(&bytes[16 - length.div_ceil(2)..]);
            }
            Spelling::Hex {
                step,
                low,
                capitals,
                separator,
            } => {
                let (bytes, length) = stepped(column, unit, step, low)?;
                let symbols = if capitals {
                    b"0123456789ABCDEF"
                } else {
                    b"0123456789abcdef"
                };
                let group = if separator == b'.' { 4 } else { 2 };
                for place in 0..length {
                    if separator != 0 && place > 0 && (length - place) % group == 0 {
                        out.push(separator);
                    }
                    let at = 32 - length + place;
                    let nibble = bytes[at / 2] >> (4 * ((at + 1) % 2)) & 15;
                    out.push(symbols[usize::from(nibble)]);
                }
            }
        }
        (out.len() > start).then_some(())
    }

    /// In words.
    pub(super) fn name(self, column: Column) -> String {
        let column = called(column);
        let number = |step: i8, low: bool| match (step, low) {
            (0, false) => column.to_owned(),
            (0, true) => format!("last 6 digits of {column}"),
            (step, _) => format!("{column} {step:+}"),
        };
        match self {
            Spelling::AsIs => column.to_owned(),
            Spelling::Capitals => format!("{column} in capitals"),
            Spelling::Small => format!("{column} in small letters"),
            Spelling::Stripped => format!("{column} without separators"),
            Spelling::Digits => format!("digits of {column}"),
            Spelling::Decimal => format!("{column} in decimal"),
            Spelling::Bytes { step, low } => format!("{} as bytes", number(step, low)),
            Spelling::Hex {
                step,
                low,
                capitals,
                separator,
            } => {
                let case = if capitals {
                    "capitals"
                } else {
                    "small letters"
                };
                let with = match separator {
                    0 => String::new(),
                    separator => format!(" with {}", char::from(separator)),
                };
                format!("{} in {case}{with}", number(step, low))
            }
        }
    }
}

/// A hexadecimal number plus `step`, and how many of its digits count, 32 at most.
fn stepped(column: Column, unit: &Unit<'_>, step: i8, low: bool) -> Option<([u8; 16], usize)> {
    let (length, value) = unit.hex(column)?;
    let length = if low { length.min(6) } else { length.min(32) };
    Some((value.wrapping_add_signed(step.into()).to_be_bytes(), length))
}
