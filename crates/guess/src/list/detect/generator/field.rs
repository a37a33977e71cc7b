//! The part of a list that a generator may have made: passwords of one length, without the places
//! that are the same in all of them, read in the orders that people write alphabets in.

use zeroize::Zeroizing;

use crate::list::table::Table;

/// Alphabets a script might index, before look-alikes are struck out.
const ALPHABETS: &[&str] = &[
    "0123456789",
    "0123456789ABCDEF",
    "0123456789abcdef",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789ABCDEFGHJKMNPQRSTVWXYZ",
    "0123456789abcdefghjkmnpqrstvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "abcdefghijklmnopqrstuvwxyz234567",
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "0123456789abcdefghijklmnopqrstuvwxyz",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz",
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
];

/// Look-alikes that people strike out together.
const STRUCK: &[&str] = &[
    "", "0O", "0OIl", "01OI", "0O1Il", "0Oo1Il", "01OIL", "01IOlo", "01ILOilo", "01",
];

/// Orders that are tried; more alphabets are possible only for a handful of symbols.
pub(super) const ORDERS_MAX: usize = 24;

/// An alphabet that leaves out so many of its symbols would be seen this rarely: it is not the one.
const UNSEEN_LOG10: f64 = -5.0;

/// Rows of which a place must be the same before it is left out.
const CONSTANT_ROWS: usize = 8;

/// An alphabet in the order in which a script has it.
pub(super) struct Order {
    pub(super) k: usize,
    values: [u8; 256],
}

impl Order {
    fn new(symbols: &[u8]) -> Order {
        let mut values = [u8::MAX; 256];
        for (value, &byte) in symbols.iter().enumerate() {
            values[usize::from(byte)] = value as u8;
        }
        Order {
            k: symbols.len(),
            values,
        }
    }

    pub(super) fn value(&self, byte: u8) -> u8 {
        self.values[usize::from(byte)]
    }
}

/// Rows of one length and the places in them that vary.
pub(super) struct Field<'a> {
    table: &'a Table<'a>,
    /// Rows of the table, ascending.
    pub(super) rows: Vec<usize>,
    places: Vec<usize>,
    pub(super) orders: Vec<Order>,
}

impl<'a> Field<'a> {
    /// The most common length; `None` when there is nothing to look at.
    pub(super) fn of(table: &'a Table<'a>) -> Option<Field<'a>> {
        let mut lengths = std::collections::BTreeMap::new();
        for row in 0..table.len() {
            *lengths.entry(table.password(row).len()).or_insert(0usize) += 1;
        }
        let (&length, _) = lengths
            .iter()
            .max_by_key(|&(&length, &count)| (count, length))?;
        let of_length = |&row: &usize| table.password(row).len() == length;
        let rows: Vec<usize> = (0..table.len()).filter(of_length).collect();
        let first = table.password(rows[0]);
        let same = |place: usize| {
            rows.iter()
                .all(|&row| table.password(row)[place] == first[place])
        };
        let left_out = |&place: &usize| {
            let separates = b"-_. :/".contains(&first[place]);
            (separates || rows.len() >= CONSTANT_ROWS) && same(place)
        };
        let places: Vec<usize> = (0..length).filter(|place| !left_out(place)).collect();
        let mut seen = [0usize; 256];
        for &row in &rows {
            let text = table.password(row);
            for &place in &places {
                seen[usize::from(text[place])] += 1;
            }
        }
        let orders = orders(&seen);
        (places.len() >= 3 && !orders.is_empty()).then_some(Field {
            table,
            rows,
            places,
            orders,
        })
    }

    /// Symbols of a password that vary.
    pub(super) fn length(&self) -> usize {
        self.places.len()
    }

    /// A row's symbols as numbers in an order.
    pub(super) fn values(&self, row: usize, order: &Order) -> impl Iterator<Item = u8> {
        let text = self.table.password(row);
        self.places
            .iter()
            .map(move |&place| order.value(text[place]))
    }

    /// The table behind it.
    pub(super) fn table(&self) -> &'a Table<'a> {
        self.table
    }

    /// All symbols of some rows, one after the other.
    pub(super) fn stream(&self, rows: &[usize], order: &Order) -> Zeroizing<Vec<u8>> {
        let mut stream = Zeroizing::new(Vec::with_capacity(rows.len() * self.length()));
        for &row in rows {
            stream.extend(self.values(row, order));
        }
        stream
    }
}

/// log10 of about how often `total` random symbols out of `k` leave `unseen` of them out.
fn unseen_log10(k: usize, unseen: usize, total: usize) -> f64 {
    let choices = (0..unseen).map(|n| ((k - n) as f64 / (n + 1) as f64).log10());
    let share = (k - unseen) as f64 / k.max(1) as f64;
    choices.sum::<f64>() + share.log10() * total as f64
}

/// The orders in which these symbols may have been indexed, likely ones first.
fn orders(seen: &[usize; 256]) -> Vec<Order> {
    let total: usize = seen.iter().sum();
    let kinds = seen.iter().filter(|&&count| count > 0).count();
    let mut found: Vec<(u32, Vec<u8>)> = vec![];
    let mut add = |symbols: Vec<u8>| {
        let held = symbols
            .iter()
            .filter(|&&byte| seen[usize::from(byte)] > 0)
            .count();
        let unseen = unseen_log10(symbols.len(), symbols.len() - held, total);
        let known = found.iter().any(|(_, other)| *other == symbols);
        if held == kinds && symbols.len() >= 2 && unseen >= UNSEEN_LOG10 && !known {
            found.push((-unseen.min(0.0) as u32, symbols));
        }
    };
    // Enough symbols show the alphabet itself, whatever was struck out of it.
    let shown = total >= kinds * 12;
    for alphabet in ALPHABETS {
        if shown {
            let held = alphabet.bytes().filter(|&byte| seen[usize::from(byte)] > 0);
            add(held.collect());
        } else {
            add(alphabet.bytes().collect());
        }
    }
    for struck in STRUCK {
        for alphabet in ALPHABETS.iter().filter(|_| !shown) {
            let left = alphabet
                .bytes()
                .filter(|byte| !struck.as_bytes().contains(byte));
            add(left.collect());
        }
    }
    // Stable: among equals the alphabets keep their order.
    found.sort_by_key(|(unlikely, _)| *unlikely);
    found.truncate(ORDERS_MAX);
    found
        .iter()
        .map(|(_, symbols)| Order::new(symbols))
        .collect()
}
