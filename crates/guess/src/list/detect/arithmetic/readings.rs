//! The orders in which symbols may be digits, and whether they are letters of words.

use crate::list::shape::Shape;

/// At most so many orders are looked at.
const READINGS: usize = 6;

/// One way of reading symbols as digits.
pub(super) struct Reading {
    pub(super) base: u8,
    digits: Box<[u8; 256]>,
}

impl Reading {
    fn new(alphabet: &[u8]) -> Reading {
        let mut digits = Box::new([0; 256]);
        for (value, &byte) in alphabet.iter().enumerate() {
            digits[usize::from(byte)] = value as u8;
        }
        Reading {
            base: alphabet.len().min(255) as u8,
            digits,
        }
    }

    pub(super) fn digit(&self, symbol: u8) -> u8 {
        self.digits[usize::from(symbol)]
    }
}

/// The orders in which the symbols may be digits: the alphabet's own, its classes (digits, capitals,
/// small letters) in the other orders, and the symbols that were seen, when that is all there are.
pub(super) fn readings(shape: &Shape, symbols: &[u8]) -> Vec<Reading> {
    let mut seen: Vec<u8> = symbols.to_vec();
    seen.sort_unstable();
    seen.dedup();
    let mut alphabets = vec![shape.alphabet.clone()];
    // Each of k symbols is among 8 k draws but for a chance of k / e^8.
    if seen.len() > 1 && symbols.len() > 8 * seen.len() && seen.len() < shape.alphabet.len() {
        alphabets.insert(0, seen);
    }
    let mut readings: Vec<Vec<u8>> = vec![];
    for alphabet in &alphabets {
        let class = |byte: &u8| match byte {
            b'0'..=b'9' => 0,
            b'A'..=b'Z' => 1,
            b'a'..=b'z' => 2,
            _ => 3,
        };
        readings.push(alphabet.clone());
        for order in [
            [0, 1, 2, 3],
            [1, 2, 0, 3],
            [1, 0, 2, 3],
            [0, 2, 1, 3],
            [2, 1, 0, 3],
            [2, 0, 1, 3],
        ] {
            let mut other = alphabet.clone();
            other.sort_by_key(|byte| (order[class(byte)], *byte));
            if !readings.contains(&other) {
                readings.push(other);
            }
        }
    }
    readings.truncate(READINGS);
    readings
        .iter()
        .map(|alphabet| Reading::new(alphabet))
        .collect()
}

/// Whether letters are as in words: random ones hold vowels in at most 5 of 26.
pub(super) fn wordy(symbols: &[u8]) -> bool {
    let letters = symbols
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    let vowels = symbols
        .iter()
        .filter(|byte| b"AEIOUaeiou".contains(byte))
        .count();
    let most_symbols = letters * 4 >= symbols.len() * 3;
    let share = 5.0 / 26.0;
    let expected = letters as f64 * share;
    most_symbols && vowels as f64 > expected * 1.25 + 5.0 * (expected * (1.0 - share)).sqrt()
}
