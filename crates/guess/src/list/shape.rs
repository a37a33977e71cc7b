//! What the passwords of a list look like: length, separators, alphabet. The ground on which
//! controls are drawn and symbols are read as numbers.

use super::table::Table;

/// Alphabets that schemes write in, smallest first; where two have one size, the more common first.
pub(crate) const ALPHABETS: &[&[u8]] = &[
    b"0123456789",
    b"0123456789ABCDEF",
    b"0123456789abcdef",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"abcdefghijklmnopqrstuvwxyz",
    b"0123456789ABCDEFGHJKMNPQRSTVWXYZ",
    b"0123456789abcdefghjkmnpqrstvwxyz",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    b"abcdefghijklmnopqrstuvwxyz234567",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"0123456789abcdefghijklmnopqrstuvwxyz",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
];

/// The shape most passwords of a table share.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Symbols in a password, separators and all; the most common length.
    pub(crate) length: usize,
    /// Places, ascending, that hold one and the same separator in every password of that length.
    pub(crate) separators: Vec<usize>,
    /// The smallest of [`ALPHABETS`] that holds every symbol seen, or the symbols seen, sorted.
    pub(crate) alphabet: Vec<u8>,
    /// Value of each byte in `alphabet`.
    values: [Option<u8>; 256],
}

impl Shape {
    /// Looks at every row of the table.
    pub(crate) fn of(table: &Table<'_>) -> Shape {
        let mut lengths = std::collections::BTreeMap::new();
        for row in 0..table.len() {
            *lengths.entry(table.password(row).len()).or_insert(0usize) += 1;
        }
        let length = lengths
            .iter()
            .max_by_key(|&(&length, &count)| (count, length))
            .map_or(0, |(&length, _)| length);
        let rows = || (0..table.len()).map(|row| table.password(row));
        let mut separators = vec![];
        if table.len() > 1 {
            for place in 0..length {
                let mut of_length = rows().filter(|text| text.len() == length);
                let first = of_length.next().map(|text| text[place]);
                let separates = |byte: u8| b"-_. :/".contains(&byte);
                if first.is_some_and(|first| {
                    separates(first) && of_length.all(|text| text[place] == first)
                }) {
                    separators.push(place);
                }
            }
        }
        let mut seen = [false; 256];
        for text in rows() {
            for (place, &byte) in text.iter().enumerate() {
                if text.len() != length || !separators.contains(&place) {
                    seen[usize::from(byte)] = true;
                }
            }
        }
        let holds = |alphabet: &[u8]| {
            (0..=255u8).all(|byte| !seen[usize::from(byte)] || alphabet.contains(&byte))
        };
        let seen_alone = || (0..=255).filter(|&byte| seen[usize::from(byte)]).collect();
        let named = ALPHABETS.iter().find(|it| holds(it));
        let alphabet = named.map_or_else(seen_alone, |it| it.to_vec());
        let mut values = [None; 256];
        for (value, &byte) in alphabet.iter().enumerate() {
            values[usize::from(byte)] = u8::try_from(value).ok();
        }
        Shape {
            length,
            separators,
            alphabet,
            values,
        }
    }

    /// Symbols of a password, without its separators.
    pub(crate) fn symbols(&self) -> usize {
        self.length - self.separators.len()
    }

    /// The values of a password's symbols in the alphabet, separators left out; `None` when it has
    /// another length or a symbol of another alphabet.
    pub(crate) fn values(&self, password: &[u8]) -> Option<Vec<u8>> {
        if password.len() != self.length {
            return None;
        }
        password
            .iter()
            .enumerate()
            .filter(|(place, _)| !self.separators.contains(place))
            .map(|(_, &byte)| self.values[usize::from(byte)])
            .collect()
    }
}
