//! What units say of themselves, bit by bit.

use super::columns::{IDENTIFYING, called};
use super::digits::Digits;
use super::ground::Ground;
use super::pairing::{Pairing, Source};
use crate::list::Column;

/// Characters of a cell that are looked at, from its end.
const CHARACTERS: usize = 24;

/// Bits of one set.
const BITS: usize = 640;

/// A set of bits for each row.
pub(super) struct Features {
    pub(super) name: String,
    /// Columns they come from; none for the place in the file and for earlier passwords.
    pub(super) columns: Vec<Column>,
    /// One list of bits for each row; `None` when a cell is missing.
    pub(super) rows: Vec<Option<Vec<bool>>>,
}

impl Features {
    /// All sets of a pairing, small ones first.
    pub(super) fn all(ground: &Ground, pairing: Pairing) -> Vec<Features> {
        let sources = Source::all(ground, pairing);
        let numbers: Vec<Features> = sources.iter().map(Features::of_number).collect();
        let held_against = pairing.of(ground);
        let columns = IDENTIFYING.into_iter().chain([Column::Model]);
        let (mut plain, mut one_hot) = (vec![], vec![]);
        for column in columns {
            let Some(texts) = ground.texts.get(&column) else {
                continue;
            };
            let texts: Vec<Option<&[u8]>> = held_against
                .iter()
                .map(|row| Some(texts[(*row)?].as_slice()).filter(|text| !text.is_empty()))
                .collect();
            plain.push(Features::of_characters(column, &texts, pairing));
            one_hot.push(Features::one_hot(column, &texts, pairing));
        }
        let of_cells = |features: &&Features| !features.columns.is_empty();
        let together = [
            Features::together(numbers.iter().filter(of_cells)),
            Features::together(plain.iter()),
            Features::together(one_hot.iter()),
        ];
        let mut sets: Vec<Features> = numbers.into_iter().chain(plain).chain(one_hot).collect();
        sets.extend(together.into_iter().flatten());
        sets
    }

    fn of_number(source: &Source) -> Features {
        let values = source.values.iter().flatten();
        let most = values.fold(0, |most, value| most | value);
        let width = (u64::BITS - most.leading_zeros()) as usize;
        let bits = |value: &Option<u64>| {
            let value = (*value)?;
            Some((0..width).map(|bit| value >> bit & 1 == 1).collect())
        };
        Features {
            name: source.name.clone(),
            columns: source.column.into_iter().collect(),
            rows: source.values.iter().map(bits).collect(),
        }
    }

    fn of_characters(column: Column, texts: &[Option<&[u8]>], pairing: Pairing) -> Features {
        let longest = texts.iter().flatten().map(|text| text.len()).max();
        let places = longest.unwrap_or(0).min(CHARACTERS);
        let bits = |text: &Option<&[u8]>| {
            let text = (*text)?;
            let byte = |place: usize| text.iter().rev().nth(place).copied().unwrap_or(0);
            let bits = (0..places).flat_map(|place| (0..7).map(move |bit| (place, bit)));
            Some(
                bits.map(|(place, bit)| byte(place) >> bit & 1 == 1)
                    .collect(),
            )
        };
        Features {
            name: format!("the characters of {}{}", called(column), pairing.words()),
            columns: vec![column],
            rows: texts.iter().map(bits).collect(),
        }
    }

    /// One bit for each value that a character has: any table of one character is a sum of these.
    fn one_hot(column: Column, texts: &[Option<&[u8]>], pairing: Pairing) -> Features {
        let byte = |text: &[u8], place: usize| text.iter().rev().nth(place).copied().unwrap_or(0);
        let mut values: Vec<(usize, u8)> = vec![];
        for place in 0..CHARACTERS {
            let mut seen: Vec<u8> = texts
                .iter()
                .flatten()
                .map(|text| byte(text, place))
                .collect();
            seen.sort_unstable();
            seen.dedup();
            // The last one is there when the others are not.
            seen.pop();
            values.extend(seen.into_iter().map(|value| (place, value)));
        }
        values.truncate(BITS);
        let bits = |text: &Option<&[u8]>| {
            let text = (*text)?;
            Some(
                values
                    .iter()
                    .map(|&(place, value)| byte(text, place) == value)
                    .collect(),
            )
        };
        Features {
            name: format!(
                "each character of {}{}, by a table",
                called(column),
                pairing.words()
            ),
            columns: vec![column],
            rows: texts.iter().map(bits).collect(),
        }
    }

    /// Several sets as one; `None` when there is only one.
    fn together<'a>(sets: impl Iterator<Item = &'a Features> + Clone) -> Option<Features> {
        let mut sets_left = sets.clone();
        let first = sets_left.next()?;
        sets_left.next()?;
        let rows = (0..first.rows.len()).map(|row| {
            let mut bits = vec![];
            for set in sets.clone() {
                bits.extend(set.rows[row].as_ref()?);
            }
            bits.truncate(BITS);
            Some(bits)
        });
        let mut columns: Vec<Column> = sets.clone().flat_map(|set| set.columns.clone()).collect();
        columns.sort_unstable();
        columns.dedup();
        let names: Vec<&str> = columns.iter().map(|&column| called(column)).collect();
        Some(Features {
            name: names.join(" and "),
            rows: rows.collect(),
            columns,
        })
    }

    /// The digits of the password before, in each order.
    pub(super) fn before(ground: &Ground, digits: &Digits) -> Vec<Features> {
        let each = (u64::BITS - (digits.base - 1).leading_zeros()) as usize;
        let orders = ground.telling_orders();
        orders
            .map(|order| {
                let mut rows = vec![None; ground.len()];
                for pair in order.rows.windows(2) {
                    let digits = digits.row(pair[0]).iter();
                    let bits =
                        digits.flat_map(|&digit| (0..each).map(move |bit| digit >> bit & 1 == 1));
                    rows[pair[1]] = Some(bits.collect());
                }
                Features {
                    name: format!("the password before it by {}", order.name()),
                    columns: vec![],
                    rows,
                }
            })
            .collect()
    }
}
