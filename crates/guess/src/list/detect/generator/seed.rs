//! Seeds that can be read off a unit: its identifiers as numbers, and the day it was made.

use crate::Clause;
use crate::list::Column;
use crate::list::table::Table;

/// How a seed is read from a row.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Rule {
    /// The decimal digits of a column, the last so many of them or all.
    Digits(Column, Option<u8>),
    /// The hexadecimal digits of a column as a number: so many low bits.
    Low(Column, u8),
    /// The first 32 bits of such a number.
    High(Column),
    /// The low 32 bits, bytes the other way round.
    Turned(Column),
    /// All words of 32 bits, XORed or added.
    Folded(Column, Fold),
    /// A number made of a column's text.
    Text(Column, Text),
    /// The row's number in the list, from this.
    Row(u8),
    /// Midnight of the day as Unix time.
    Midnight,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Fold {
    Xor,
    Add,
}

/// Ways to make a number of a text that languages have at hand.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Text {
    /// Java's `hashCode`.
    Java,
    /// Bernstein's, 33 times and add.
    Bernstein,
    /// FNV-1a, 32 bits.
    Fnv,
    /// CRC-32 as in zip.
    Crc,
    /// The sum of its bytes.
    Sum,
}

impl Rule {
    /// Those whose columns the list has.
    pub(super) fn all(table: &Table<'_>) -> Vec<Rule> {
        use Column::{Date, Mac, Serial, Uid};
        let mut rules = vec![Rule::Digits(Serial, None)];
        rules.extend((3..=9).map(|count| Rule::Digits(Serial, Some(count))));
        for column in [Mac, Uid] {
            rules.extend([16, 24, 32, 48, 64, 8].map(|bits| Rule::Low(column, bits)));
            rules.extend([Rule::High(column), Rule::Turned(column)]);
        }
        rules.extend([Rule::Folded(Uid, Fold::Xor), Rule::Folded(Uid, Fold::Add)]);
        rules.extend([Rule::Low(Serial, 32), Rule::Low(Serial, 64)]);
        rules.extend([
            Rule::Digits(Mac, None),
            Rule::Digits(Date, None),
            Rule::Midnight,
        ]);
        for column in [Serial, Mac, Uid] {
            let ways = [Text::Java, Text::Bernstein, Text::Fnv, Text::Crc, Text::Sum];
            rules.extend(ways.map(|way| Rule::Text(column, way)));
        }
        rules.retain(|rule| rule.column().is_some_and(|column| table.has(column)));
        rules.extend([Rule::Row(0), Rule::Row(1)]);
        rules
    }

    fn column(self) -> Option<Column> {
        match self {
            Rule::Digits(column, _)
            | Rule::Low(column, _)
            | Rule::High(column)
            | Rule::Turned(column)
            | Rule::Folded(column, _)
            | Rule::Text(column, _) => Some(column),
            Rule::Midnight => Some(Column::Date),
            Rule::Row(_) => None,
        }
    }

    /// The limb that a password seeded so breaks.
    pub(super) fn clause(self) -> Clause {
        match self.column() {
            Some(Column::Date) => Clause::Public,
            Some(_) => Clause::Identifier,
            None => Clause::Counter,
        }
    }

    /// As a report says it.
    pub(super) fn name(self) -> String {
        let column = match self.column() {
            Some(Column::Mac) => "MAC",
            Some(Column::Uid) => "UID",
            Some(column) => column.name(),
            None => "",
        };
        match self {
            Rule::Digits(_, None) => format!("the digits of the {column}"),
            Rule::Digits(_, Some(count)) => format!("the last {count} digits of the {column}"),
            Rule::Low(_, bits) => format!("the low {bits} bits of the {column}"),
            Rule::High(_) => format!("the first 32 bits of the {column}"),
            Rule::Turned(_) => format!("the last 4 bytes of the {column}, bytes reversed"),
            Rule::Folded(_, Fold::Xor) => format!("the XOR of the {column}'s 32-bit words"),
            Rule::Folded(_, Fold::Add) => format!("the sum of the {column}'s 32-bit words"),
            Rule::Text(_, Text::Java) => format!("the {column}'s hashCode"),
            Rule::Text(_, Text::Bernstein) => format!("the {column}'s djb2 hash"),
            Rule::Text(_, Text::Fnv) => format!("the {column}'s FNV-1a hash"),
            Rule::Text(_, Text::Crc) => format!("the {column}'s CRC-32"),
            Rule::Text(_, Text::Sum) => format!("the sum of the {column}'s characters"),
            Rule::Row(from) => format!("the row's number from {from}"),
            Rule::Midnight => "midnight of its day".to_owned(),
        }
    }

    /// The seed of a row; `None` when its cell has none.
    pub(super) fn seed(self, table: &Table<'_>, row: usize) -> Option<u64> {
        if let Rule::Row(from) = self {
            return Some(table.number(row) as u64 + u64::from(from));
        }
        let text = table.cell(self.column()?, row);
        match self {
            Rule::Digits(_, count) => {
                let keep = count.map_or(usize::MAX, usize::from);
                let digits = text
                    .iter()
                    .rev()
                    .filter(|byte| byte.is_ascii_digit())
                    .take(keep);
                number(digits.map(|byte| byte - b'0'), 10)
            }
            Rule::Low(_, bits) => {
                Some(number(nibbles(text), 16)? & super::source::low(u32::from(bits)))
            }
            Rule::High(_) => {
                let count = nibbles(text).count();
                number(nibbles(text).skip(count.checked_sub(8)?), 16)
            }
            Rule::Turned(_) => Some(u64::from((number(nibbles(text), 16)? as u32).swap_bytes())),
            Rule::Folded(_, fold) => {
                let nibbles: Vec<u8> = nibbles(text).collect();
                let words = nibbles
                    .chunks(8)
                    .filter_map(|word| number(word.iter().copied(), 16));
                let joined = words.reduce(|a, b| match fold {
                    Fold::Xor => a ^ b,
                    Fold::Add => (a + b) & 0xffff_ffff,
                });
                joined.filter(|_| nibbles.len() > 8)
            }
            Rule::Text(_, way) => (!text.is_empty()).then(|| hashed(text, way)),
            Rule::Midnight => days(text).first().map(|day| day * DAY),
            Rule::Row(_) => None,
        }
    }
}

/// Hexadecimal digits, the last first.
fn nibbles(text: &[u8]) -> impl Iterator<Item = u8> {
    let digit = |&byte: &u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    text.iter().rev().filter_map(digit)
}

/// Digits, the last first, as a number modulo 2^64.
fn number(digits: impl Iterator<Item = u8>, base: u64) -> Option<u64> {
    let (mut value, mut place, mut any) = (0u64, 1u64, false);
    for digit in digits {
        value = value.wrapping_add(place.wrapping_mul(u64::from(digit)));
        place = place.wrapping_mul(base);
        any = true;
    }
    any.then_some(value)
}

fn hashed(text: &[u8], way: Text) -> u64 {
    let bytes = text.iter().map(|&byte| u32::from(byte));
    u64::from(match way {
        Text::Java => bytes.fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte)),
        Text::Bernstein => bytes.fold(5381u32, |hash, byte| {
            hash.wrapping_mul(33).wrapping_add(byte)
        }),
        Text::Fnv => bytes.fold(0x811c_9dc5u32, |hash, byte| {
            (hash ^ byte).wrapping_mul(0x0100_0193)
        }),
        Text::Crc => !bytes.fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ byte, |crc, _| {
                (crc >> 1) ^ ((crc & 1).wrapping_neg() & 0xedb8_8320)
            })
        }),
        Text::Sum => bytes.sum(),
    })
}

/// Seconds of a day.
pub(super) const DAY: u64 = 86_400;

/// The days since 1970 that a date may mean: two when day and month can be either way round.
pub(super) fn days(text: &[u8]) -> Vec<u64> {
    let runs: Vec<&[u8]> = text
        .split(|byte| !byte.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .collect();
    let value = |run: &[u8]| {
        run.iter()
            .fold(0u64, |v, b| v.wrapping_mul(10) + u64::from(b - b'0'))
    };
    let mut found: Vec<u64> = match runs.as_slice() {
        [whole, ..] if whole.len() == 8 || whole.len() == 14 => {
            day(value(&whole[..4]), value(&whole[4..6]), value(&whole[6..8]))
                .into_iter()
                .collect()
        }
        // Unix time, in seconds or thousandths.
        [whole] if whole.len() == 10 => vec![value(whole) / DAY],
        [whole] if whole.len() == 13 => vec![value(whole) / 1000 / DAY],
        [year, month, date, ..] if year.len() == 4 => day(value(year), value(month), value(date))
            .into_iter()
            .collect(),
        [a, b, year, ..] if year.len() == 4 => {
            let (a, b, year) = (value(a), value(b), value(year));
            [day(year, b, a), day(year, a, b)]
                .into_iter()
                .flatten()
                .collect()
        }
        _ => vec![],
    };
    found.dedup();
    found
}

/// Days from 1970-01-01 to a date from 1970 to 2099.
fn day(year: u64, month: u64, date: u64) -> Option<u64> {
    if !(1970..2100).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&date) {
        return None;
    }
    let leap = |year: u64| year.is_multiple_of(4);
    let before = (1970..year)
        .map(|year| 365 + u64::from(leap(year)))
        .sum::<u64>();
    let lengths = [
        31,
        28 + u64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
    ];
    let months: u64 = lengths[..month as usize - 1].iter().sum();
    Some(before + months + date - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::List;

    fn check(rule: Rule, column: Column, cell: &str, expected: Option<u64>) {
        let mut list = List::new(&[column]);
        list.push(&[(column, cell.as_bytes())]);
        let table = Table::whole(&list);
        assert_eq!(rule.seed(&table, 0), expected, "{rule:?} {cell}");
    }

    #[test]
    fn seeds_are_read_off_identifiers() {
        use Column::{Mac, Serial, Uid};
        check(
            Rule::Digits(Serial, None),
            Serial,
            "SN24-00123",
            Some(2_400_123),
        );
        check(
            Rule::Digits(Serial, Some(4)),
            Serial,
            "SN24-00123",
            Some(123),
        );
        check(Rule::Digits(Serial, None), Serial, "none", None);
        check(
            Rule::Low(Mac, 24),
            Mac,
            "00:1A:2B:3C:4D:5E",
            Some(0x3c_4d5e),
        );
        check(
            Rule::Low(Mac, 48),
            Mac,
            "00-1a-2b-3c-4d-5e",
            Some(0x1a_2b3c_4d5e),
        );
        check(Rule::High(Mac), Mac, "001A2B3C4D5E", Some(0x1a_2b3c));
        check(Rule::Turned(Mac), Mac, "001A2B3C4D5E", Some(0x5e4d_3c2b));
        check(
            Rule::Folded(Uid, Fold::Xor),
            Uid,
            "000000010000000200000004",
            Some(7),
        );
        check(
            Rule::Text(Serial, Text::Java),
            Serial,
            "hello",
            Some(99_162_322),
        );
        check(
            Rule::Text(Serial, Text::Crc),
            Serial,
            "123456789",
            Some(0xcbf4_3926),
        );
        check(
            Rule::Text(Serial, Text::Fnv),
            Serial,
            "a",
            Some(0xe40c_292c),
        );
        check(
            Rule::Midnight,
            Column::Date,
            "2024-02-29",
            Some(1_709_164_800),
        );
    }

    #[test]
    fn dates_are_read_in_their_dresses() {
        let expected = 1_709_164_800 / DAY;
        for text in [
            "20240229",
            "2024/02/29",
            "29.02.2024",
            "02/29/2024",
            "1709164801",
        ] {
            assert_eq!(days(text.as_bytes()), [expected], "{text}");
        }
        assert_eq!(days(b"03/04/2024").len(), 2);
        assert!(days(b"week 7").is_empty());
    }
}
