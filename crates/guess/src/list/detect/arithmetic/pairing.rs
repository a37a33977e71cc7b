//! Which unit's identifiers a password is held against: its own, or those of the row beside it.

use super::columns::{Numbers, called};
use super::ground::Ground;
use crate::list::Column;

/// A list whose passwords slipped by a row still hangs together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pairing {
    Own,
    RowBefore,
    RowAfter,
}

impl Pairing {
    pub(super) const ALL: [Pairing; 3] = [Pairing::Own, Pairing::RowBefore, Pairing::RowAfter];

    /// For each row of the ground, the row whose identifiers it is held against.
    pub(super) fn of(self, ground: &Ground) -> Vec<Option<usize>> {
        let beside = |row: usize| -> Option<usize> {
            let (other, line) = match self {
                Pairing::Own => return Some(row),
                Pairing::RowBefore => (row.checked_sub(1)?, ground.rows[row].checked_sub(1)?),
                Pairing::RowAfter => (row + 1, ground.rows[row] + 1),
            };
            (ground.rows.get(other) == Some(&line)).then_some(other)
        };
        (0..ground.len()).map(beside).collect()
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Pairing::Own => "",
            Pairing::RowBefore => " of the row before",
            Pairing::RowAfter => " of the row after",
        }
    }
}

/// A number that the password may be made from.
pub(super) struct Source {
    /// `None` for the place in the file.
    pub(super) column: Option<Column>,
    pub(super) name: String,
    pub(super) values: Vec<Option<u64>>,
}

impl Source {
    /// All numbers of a pairing. The place in the file is one only beside its own row, and not in a
    /// file that is sorted by its passwords.
    pub(super) fn all(ground: &Ground, pairing: Pairing) -> Vec<Source> {
        let held_against = pairing.of(ground);
        let mut sources: Vec<Source> = ground
            .numbers
            .iter()
            .map(
                |Numbers {
                     column,
                     name,
                     values,
                 }| Source {
                    column: Some(*column),
                    name: format!("{name}{}", pairing.words()),
                    values: held_against.iter().map(|row| values[(*row)?]).collect(),
                },
            )
            .collect();
        if pairing == Pairing::Own {
            if !ground.sorted_file {
                sources.push(Source {
                    column: None,
                    name: "the row's number in the file".to_owned(),
                    values: ground.rows.iter().map(|&row| Some(row as u64)).collect(),
                });
            }
            sources.extend(ranks(ground));
        }
        sources
    }

    /// Rows that have a number, by their number.
    pub(super) fn sorted(&self) -> Vec<(u64, usize)> {
        let rows = self.values.iter().enumerate();
        let mut sorted: Vec<(u64, usize)> = rows
            .filter_map(|(row, value)| Some(((*value)?, row)))
            .collect();
        sorted.sort_unstable();
        sorted
    }
}

/// The place among all units by an identifier, where the whole order is in view.
fn ranks(ground: &Ground) -> Vec<Source> {
    let mut ranks = vec![];
    for order in &ground.orders {
        let Some(column) = order.by.filter(|_| order.rows.len() == ground.len()) else {
            continue;
        };
        let mut values = vec![None; ground.len()];
        for (rank, &row) in order.rows.iter().enumerate() {
            values[row] = Some(rank as u64);
        }
        ranks.push(Source {
            column: Some(column),
            name: format!("the place in the order of {}", called(column)),
            values,
        });
    }
    ranks
}
