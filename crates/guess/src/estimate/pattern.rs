//! Sequences, years and dates in a folded text.

use super::{Piece, folded};
use crate::dictionary::Bits16;

/// The largest step of a sequence, in either direction.
const STEP: i16 = 5;

/// A sequence of three costs twelve guesses: four places to start from, times its length.
const SEQUENCE: Bits16 = 57;

/// A year of this century or the last: 20 guesses.
const YEAR: Bits16 = 69;

/// A date: 20 years of 365 days.
const DATE: Bits16 = 205;

/// What may stand between the parts of a date; a hyphen is left out before.
const SEPARATORS: &[u8] = b" \t/\\_.";

/// What a folded symbol may have been.
fn meant(symbol: &u8) -> &[u8] {
    match symbol {
        b'0' => b"0O",
        b'1' => b"1IL",
        other => std::slice::from_ref(other),
    }
}

/// Stretches of three symbols and more whose codes are equal steps apart.
pub(super) fn sequences(symbols: &[u8], found: &mut impl FnMut(Piece)) {
    for (start, two) in symbols.windows(2).enumerate() {
        for &first in meant(&two[0]) {
            for &second in meant(&two[1]) {
                let step = i16::from(second) - i16::from(first);
                if step == 0 || step.abs() > STEP {
                    continue;
                }
                let mut expected = i16::from(second);
                for (at, &symbol) in symbols.iter().enumerate().skip(start + 2) {
                    expected += step;
                    if u8::try_from(expected).map(folded) != Ok(symbol) {
                        break;
                    }
                    found(Piece::new(start, at + 1, SEQUENCE));
                }
            }
        }
    }
}

/// Years of four digits, and dates of day, month and year in any order that ends or begins with
/// the year, with or without separators.
pub(super) fn dates(symbols: &[u8], found: &mut impl FnMut(Piece)) {
    for start in 0..symbols.len() {
        let text = &symbols[start..];
        if !text[0].is_ascii_digit() {
            continue;
        }
        if let [b'1', b'9', c, d, ..] | [b'2', b'0', c, d, ..] = text
            && c.is_ascii_digit()
            && d.is_ascii_digit()
        {
            found(Piece::new(start, start + 4, YEAR));
        }
        let digits = text.iter().take_while(|symbol| symbol.is_ascii_digit());
        let digits = digits.take(8).count();
        let separated = text
            .get(digits)
            .is_some_and(|next| SEPARATORS.contains(next));
        // Nearly every text is done with here.
        if digits < 4 && !separated {
            continue;
        }
        for (first, second, third) in splits() {
            for separated in [false, true] {
                if let Some(length) = date(text, [first, second, third], separated) {
                    found(Piece::new(start, start + length, DATE));
                }
            }
        }
    }
}

/// How many digits the parts of a date may have.
fn splits() -> impl Iterator<Item = (usize, usize, usize)> {
    (1..=4).flat_map(|first| {
        (1..=2).flat_map(move |second| (1..=4).map(move |third| (first, second, third)))
    })
}

/// Symbols of the date that begins the text, if one does with so many digits in its parts.
fn date(text: &[u8], digits: [usize; 3], separated: bool) -> Option<usize> {
    let mut rest = text;
    let mut numbers = [0u16; 3];
    let mut separator = None;
    for (part, (&digits, number)) in digits.iter().zip(&mut numbers).enumerate() {
        if separated && part > 0 {
            let (&between, after) = rest.split_first()?;
            let same = separator.is_none_or(|earlier| earlier == between);
            if !same || !SEPARATORS.contains(&between) {
                return None;
            }
            separator = Some(between);
            rest = after;
        }
        let (part, after) = rest.split_at_checked(digits)?;
        for digit in part {
            if !digit.is_ascii_digit() {
                return None;
            }
            *number = *number * 10 + u16::from(digit - b'0');
        }
        rest = after;
    }
    let [first, second, third] = numbers;
    let year = |year: u16| year < 100 || (1000..=2050).contains(&year);
    let day = |a: u16, b: u16| a >= 1 && b >= 1 && a.min(b) <= 12 && a.max(b) <= 31;
    let dated = year(third) && day(first, second) || year(first) && day(second, third);
    let length = text.len() - rest.len();
    (dated && length >= 4).then_some(length)
}
