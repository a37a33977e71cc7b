//! What identifiers say when they are read as characters, as numbers and as days.

use crate::Clause;
use crate::list::Column;

/// Columns that say which unit it is; the model says only which kind.
pub(super) const IDENTIFYING: [Column; 5] = [
    Column::Serial,
    Column::Mac,
    Column::Uid,
    Column::Ssid,
    Column::Date,
];

/// The limb that a password made from a column breaks.
pub(super) fn clause(column: Column) -> Clause {
    match column {
        Column::Serial | Column::Mac | Column::Uid => Clause::Identifier,
        _ => Clause::Public,
    }
}

/// A cell's letters and digits, as capitals.
pub(super) fn plain(cell: &[u8]) -> Vec<u8> {
    cell.iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_uppercase)
        .collect()
}

/// A key by which cells sort as people count: dates by time, all else shorter first.
pub(super) fn sort_key(column: Column, cell: &[u8]) -> Option<u128> {
    if column == Column::Date
        && let Some(seconds) = seconds(cell)
    {
        return Some(u128::from(seconds));
    }
    let text = plain(cell);
    let length = text.len().min(0x7f) as u128;
    if text.is_empty() {
        return None;
    }
    // Fifteen bytes fit. Of longer texts the end counts, packed when it is hexadecimal.
    let value = if text.len() > 15 && text.iter().all(u8::is_ascii_hexdigit) {
        let nibbles = text.iter().rev().take(30).rev();
        nibbles.fold(0u128, |value, &byte| value << 4 | u128::from(digit(byte)))
    } else {
        let bytes = text.iter().rev().take(15).rev();
        bytes.fold(0u128, |value, &byte| value << 8 | u128::from(byte))
    };
    Some(length << 120 | value)
}

/// One way of reading the cells of a column as numbers.
pub(super) struct Numbers {
    pub(super) column: Column,
    /// How evidence calls it.
    pub(super) name: String,
    /// One for each row, as far as it can be read.
    pub(super) values: Vec<Option<u64>>,
}

/// The ways in which a column's cells are numbers, leaving out those that say the same again.
pub(super) fn numbers(column: Column, cells: &[&[u8]]) -> Vec<Numbers> {
    let ways: &[(&str, Read)] = match column {
        Column::Serial => &[
            ("the number that {} ends in", trailing_digits),
            ("the digits of {}", all_digits),
            ("{} in hexadecimal", hexadecimal),
            ("{} in base 36", base_36),
            ("{}, character by character", characters),
        ],
        Column::Mac | Column::Uid => &[
            ("{}", hexadecimal),
            ("the first half of {}", leading_hexadecimal),
        ],
        Column::Ssid => &[
            ("the number that {} ends in", trailing_digits),
            (
                "the hexadecimal number that {} ends in",
                trailing_hexadecimal,
            ),
        ],
        Column::Date => &[
            ("the day of {}", |cell| Some(seconds(cell)? / DAY)),
            ("the second of {}", seconds),
            ("the digits of {}", all_digits),
        ],
        Column::Model | Column::Password => &[],
    };
    let mut readings: Vec<Numbers> = vec![];
    for (name, read) in ways {
        let values: Vec<Option<u64>> = cells.iter().map(|cell| read(cell)).collect();
        let steps = |values: &[Option<u64>]| -> Vec<Option<u64>> {
            let first = values.iter().flatten().next().copied().unwrap_or(0);
            let less = |value: &Option<u64>| value.map(|value| value.wrapping_sub(first));
            values.iter().map(less).collect()
        };
        let own = steps(&values);
        let varies = own.iter().flatten().any(|&step| step != 0);
        if varies && readings.iter().all(|other| steps(&other.values) != own) {
            let name = name.replace("{}", called(column));
            readings.push(Numbers {
                column,
                name,
                values,
            });
        }
    }
    readings
}

/// How evidence calls a column.
pub(super) fn called(column: Column) -> &'static str {
    match column {
        Column::Mac => "the MAC",
        Column::Serial => "the serial",
        Column::Ssid => "the SSID",
        Column::Uid => "the silicon id",
        Column::Date => "the date",
        Column::Model => "the model",
        Column::Password => "the password",
    }
}

type Read = fn(&[u8]) -> Option<u64>;

fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'Z' => byte - b'A' + 10,
        _ => byte.wrapping_sub(b'a').wrapping_add(10),
    }
}

fn in_base(digits: &[u8], base: u64) -> Option<u64> {
    (!digits.is_empty()).then_some(())?;
    digits.iter().try_fold(0u64, |value, &byte| {
        value.checked_mul(base)?.checked_add(digit(byte).into())
    })
}

/// The last so many of those that `keep` wants.
fn ending(text: &[u8], keep: fn(&u8) -> bool, most: usize) -> &[u8] {
    let kept = text.iter().rev().take_while(|byte| keep(byte)).count();
    &text[text.len() - kept.min(most)..]
}

fn trailing_digits(cell: &[u8]) -> Option<u64> {
    in_base(ending(&plain(cell), u8::is_ascii_digit, 18), 10)
}

fn all_digits(cell: &[u8]) -> Option<u64> {
    let digits: Vec<u8> = cell.iter().copied().filter(u8::is_ascii_digit).collect();
    in_base(ending(&digits, u8::is_ascii_digit, 18), 10)
}

fn trailing_hexadecimal(cell: &[u8]) -> Option<u64> {
    let cell = cell.to_ascii_uppercase();
    in_base(ending(&cell, u8::is_ascii_hexdigit, 15), 16)
}

fn hexadecimal(cell: &[u8]) -> Option<u64> {
    let text = plain(cell);
    let all = text.iter().all(u8::is_ascii_hexdigit);
    all.then(|| in_base(ending(&text, u8::is_ascii_hexdigit, 15), 16))?
}

fn leading_hexadecimal(cell: &[u8]) -> Option<u64> {
    let text = plain(cell);
    let long = text.len() > 15 && text.iter().all(u8::is_ascii_hexdigit);
    long.then(|| in_base(&text[..15], 16))?
}

fn base_36(cell: &[u8]) -> Option<u64> {
    in_base(ending(&plain(cell), u8::is_ascii_alphanumeric, 11), 36)
}

/// The last 9, 7 bits each: what CRCs and tables of bits are linear in.
fn characters(cell: &[u8]) -> Option<u64> {
    let text = plain(cell);
    let last = ending(&text, u8::is_ascii, 9);
    let bits = last.iter().fold(0, |all, &byte| all << 7 | u64::from(byte));
    (!text.is_empty()).then_some(bits)
}

const DAY: u64 = 86_400;

/// Seconds since 0000-03-01 of a date and, when given, a time: `2025-06-14T08:15:00`, `20250614`,
/// `14.06.2025`, `06/14/2025` (told apart by what can be a month).
fn seconds(cell: &[u8]) -> Option<u64> {
    let mut groups: Vec<(u64, usize)> = vec![];
    let mut inside = false;
    for &byte in cell {
        if byte.is_ascii_digit() {
            let digit = u64::from(byte - b'0');
            match groups.last_mut().filter(|_| inside) {
                Some((value, length)) => {
                    *value = value.checked_mul(10)?.checked_add(digit)?;
                    *length += 1;
                }
                None => groups.push((digit, 1)),
            }
        }
        inside = byte.is_ascii_digit();
    }
    let (year, month, day, used) = match *groups.first()? {
        (date, 8) => (date / 10_000, date / 100 % 100, date % 100, 1),
        (date, 6) => (2000 + date / 10_000, date / 100 % 100, date % 100, 1),
        (year, 4) => (year, groups.get(1)?.0, groups.get(2)?.0, 3),
        (one, 1 | 2) => {
            let (two, year) = (groups.get(1)?.0, groups.get(2)?.0);
            let (day, month) = if two > 12 { (two, one) } else { (one, two) };
            (year, month, day, 3)
        }
        _ => return None,
    };
    let possible = (1..=12).contains(&month) && (1..=31).contains(&day) && year < 10_000;
    possible.then_some(())?;
    // Days of the years that begin in March, so that a leap day is the last.
    let (years, months) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let days = 365 * years + years / 4 - years / 100 + years / 400;
    let days = days + (153 * months + 2) / 5 + day - 1;
    let part = |place: usize| groups.get(used + place).map_or(0, |(value, _)| value % 100);
    Some(days * DAY + part(0) * 3600 + part(1) * 60 + part(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_whichever_way_they_are_written() {
        let check = |a: &str, b: &str, apart: u64| {
            let read = |text: &str| seconds(text.as_bytes()).unwrap();
            assert_eq!(read(b) - read(a), apart, "{a} to {b}");
        };
        check("2024-02-28", "20240301", 2 * DAY);
        check("2023-12-31", "01.01.2024", DAY);
        check("13.06.2025", "06/14/2025", DAY);
        check("2025-06-14T08:15:00Z", "2025-06-14 09:15:30", 3630);
        assert_eq!(seconds(b"week 23"), None);
        assert_eq!(seconds(b"2025-13-40"), None);
    }

    #[test]
    fn serials_sort_as_people_count() {
        let key = |text: &str| sort_key(Column::Serial, text.as_bytes());
        assert!(key("SN99") < key("SN100"));
        assert!(key("sn-0099") < key("SN0100"));
        assert!(key("00112233445566778899aabb") < key("00112233445566778899aabc"));
        assert_eq!(key("--"), None);
    }

    #[test]
    fn cells_are_numbers_in_several_ways() {
        let check = |column: Column, cells: &[&str], expected: &[&str]| {
            let cells: Vec<&[u8]> = cells.iter().map(|cell| cell.as_bytes()).collect();
            let numbers = numbers(column, &cells);
            let got: Vec<String> = numbers
                .iter()
                .map(|way| format!("{}: {:?}", way.name, way.values.last().unwrap()))
                .collect();
            assert_eq!(got, expected, "{column:?}");
        };
        check(
            Column::Serial,
            &["AB-0041", "AB-0042"],
            &["the number that the serial ends in: Some(42)"],
        );
        check(
            Column::Mac,
            &["00:00:00:00:00:0F", "00:00:00:00:00:1F"],
            &["the MAC: Some(31)"],
        );
        check(
            Column::Ssid,
            &["Hub-00", "Hub-0A"],
            &["the hexadecimal number that the SSID ends in: Some(10)"],
        );
    }
}
