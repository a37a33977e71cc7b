//! What a row says of its unit, and the numbers and texts that schemes start from.

use crate::list::Column;
use crate::list::table::Table;

/// Bytes of a cell that are looked at; no identifier on a label is longer.
const CELL_MAX: usize = 128;

/// Identifiers that schemes start from, in the order they are tried.
pub(super) const COLUMNS: [Column; 6] = [
    Column::Serial,
    Column::Mac,
    Column::Uid,
    Column::Ssid,
    Column::Model,
    Column::Date,
];

/// The identifiers of one row.
pub(super) struct Unit<'a> {
    cells: [&'a [u8]; COLUMNS.len()],
}

impl<'a> Unit<'a> {
    /// Those of the row that stands `slip` rows below; empty where there is no such row.
    pub(super) fn of(table: &Table<'a>, row: usize, slip: i8) -> Unit<'a> {
        let place = row.checked_add_signed(slip.into());
        let cells = match place.filter(|&place| place < table.len()) {
            Some(place) => COLUMNS.map(|column| table.cell(column, place)),
            None => [b"".as_slice(); COLUMNS.len()],
        };
        Unit { cells }
    }

    /// What a column says, as it is written.
    pub(super) fn cell(&self, column: Column) -> &'a [u8] {
        let place = COLUMNS.iter().position(|other| *other == column);
        let cell = place.map_or(b"".as_slice(), |place| self.cells[place]);
        &cell[..cell.len().min(CELL_MAX)]
    }

    /// A column as a hexadecimal number: how many digits, and the low 128 bits. `None` when it
    /// holds anything but digits and separators, or fewer than four digits.
    pub(super) fn hex(&self, column: Column) -> Option<(usize, u128)> {
        let (mut digits, mut value) = (0, 0u128);
        for &byte in self.cell(column) {
            match char::from(byte).to_digit(16) {
                Some(digit) => {
                    digits += 1;
                    value = value << 4 | u128::from(digit);
                }
                None if byte.is_ascii_alphanumeric() => return None,
                None => {}
            }
        }
        (digits >= 4).then_some((digits, value))
    }

    /// The decimal digits of a column read as one number, modulo 2^128.
    pub(super) fn decimal(&self, column: Column) -> Option<u128> {
        let digits = self
            .cell(column)
            .iter()
            .filter(|byte| byte.is_ascii_digit());
        let mut any = false;
        let value = digits.fold(0u128, |value, &digit| {
            any = true;
            value.wrapping_mul(10).wrapping_add((digit - b'0').into())
        });
        any.then_some(value)
    }
}

/// The value of digits in `base`, most significant first: at least `width` of them, leading zeros
/// and all; without leading zeros when `width` is 0.
pub(super) fn digits(value: u128, base: u8, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let mut high = value;
    while u64::try_from(high).is_err() {
        out.push((high % u128::from(base)) as u8);
        high /= u128::from(base);
    }
    // Most identifiers fit 64 bits, and many 32, where dividing is many times cheaper.
    let mut rest = high as u64;
    while u32::try_from(rest).is_err() {
        out.push((rest % u64::from(base)) as u8);
        rest /= u64::from(base);
    }
    let mut low = rest as u32;
    while low > 0 {
        out.push((low % u32::from(base)) as u8);
        low /= u32::from(base);
    }
    out.resize(out.len().max(start + width), 0);
    out[start..].reverse();
}

/// How many digits of `base` a number of `bits` bits may have.
pub(super) fn width(bits: usize, base: u8) -> usize {
    (bits as f64 / f64::from(base).log2()).ceil() as usize
}
