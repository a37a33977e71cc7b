//! What a detector is given: some rows of a list, with their own passwords or with control ones.

use std::borrow::Cow;

use zeroize::Zeroize;

use super::{Cells, Column, List};

/// Rows of a list in some order. Identifiers come from the list; passwords may have been replaced.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    list: &'a List,
    /// Row of the list, for each row of the table.
    rows: Vec<u32>,
    passwords: Cow<'a, Cells>,
    /// Where each row's password is in `passwords`.
    places: Vec<u32>,
    /// Decides which rows a sample takes: nobody can keep a list honest just where it is looked at.
    seed: u64,
}

impl<'a> Table<'a> {
    pub(crate) fn whole(list: &'a List) -> Table<'a> {
        let rows: Vec<u32> = (0..list.len() as u32).collect();
        let passwords = list.cells[Column::Password as usize].as_ref();
        Table {
            list,
            places: rows.clone(),
            rows,
            passwords: passwords.map_or(Cow::Owned(Cells::default()), Cow::Borrowed),
            seed: 0,
        }
    }

    /// The same rows, sampled as `seed` says.
    pub(crate) fn seeded(mut self, seed: u64) -> Table<'a> {
        self.seed = seed;
        self
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The same units with other passwords, one for each row in order.
    pub(crate) fn with_passwords(&self, passwords: Cells) -> Table<'a> {
        assert_eq!(passwords.len(), self.len(), "one password for each row");
        Table {
            list: self.list,
            rows: self.rows.clone(),
            places: (0..self.len() as u32).collect(),
            passwords: Cow::Owned(passwords),
            seed: self.seed,
        }
    }

    /// The same units, with the passwords of the rows that `order` names.
    pub(crate) fn with_order(&self, order: &[u32]) -> Table<'a> {
        let mut table = self.clone();
        table.places = order.iter().map(|&row| self.places[row as usize]).collect();
        table
    }

    /// These rows of the table, in this order.
    pub(crate) fn pick(&self, picked: impl IntoIterator<Item = usize>) -> Table<'a> {
        let picked: Vec<usize> = picked.into_iter().collect();
        Table {
            list: self.list,
            rows: picked.iter().map(|&row| self.rows[row]).collect(),
            places: picked.iter().map(|&row| self.places[row]).collect(),
            passwords: self.passwords.clone(),
            seed: self.seed,
        }
    }

    /// At most `most` rows, spread at random, in their order.
    pub(crate) fn sample(&self, most: usize) -> Table<'a> {
        self.pick(spread(self.len(), most, self.seed))
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn has(&self, column: Column) -> bool {
        self.list.has(column)
    }

    /// The password of a row, as it is written.
    pub(crate) fn password(&self, row: usize) -> &[u8] {
        self.passwords.get(self.places[row] as usize)
    }

    /// What a column says of a row; for passwords use [`Table::password`].
    pub(crate) fn cell(&self, column: Column, row: usize) -> &'a [u8] {
        debug_assert!(column != Column::Password, "controls have other passwords");
        self.list.cell(column, self.rows[row] as usize)
    }

    /// The row's number in the list, for a report.
    pub(crate) fn number(&self, row: usize) -> usize {
        self.rows[row] as usize
    }
}

/// At most `most` of so many rows, ascending: one of each stretch, drawn by `seed`.
pub(crate) fn spread(rows: usize, most: usize, seed: u64) -> impl Iterator<Item = usize> {
    let taken = rows.min(most);
    (0..taken).map(move |n| {
        let (low, high) = (n * rows / taken, (n + 1) * rows / taken);
        low + (mixed(seed ^ n as u64) % (high - low) as u64) as usize
    })
}

/// SplitMix64's finish (Steele, Lea, Flood 2014): equal inputs meet, others with 2^-64.
pub(crate) fn mixed(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        // Control passwords are nobody's, but a shuffled table may own copies of real ones.
        if let Cow::Owned(cells) = &mut self.passwords {
            cells.zeroize();
        }
    }
}
