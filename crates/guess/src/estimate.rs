//! How many guesses a password stands against one who tries words, keyboard walks, sequences,
//! repeats, years and dates first.
//!
//! A floor under zxcvbn's score 3 and no strength meter: every cost here is at most the one zxcvbn
//! counts, every pattern it knows is known, and what it adds for capitals, look-alikes, reversal
//! and the order of parts is left out. So nothing passes that it scores below 3, and what passes
//! is not thereby called strong.
//!
//! Applies from ten symbols on. A policy with a floor of 48 bits needs ten of 32 symbols; shorter
//! codes stand behind a lockout or a pairing protocol, and zxcvbn has no score 3 for them at all.

mod pattern;
mod walk;

use std::ops::Range;

use zeroize::Zeroizing;

use crate::dictionary::{self, Bits16, Word, words_at};
use crate::{Clause, Verdict};

/// The fewest symbols that are estimated.
const SHORTEST: usize = 10;

/// Symbols that are looked at: the rest of a longer password could only cost more.
const LONGEST: usize = 64;

/// Guesses of score 3, which zxcvbn puts at 10^8 and 5: 26.575 bits.
const LIMIT: Bits16 = 425;

/// One symbol that nothing explains: ten guesses.
const UNEXPLAINED: Bits16 = 53;

/// The least that a part of a password costs, however common: 50 guesses.
const PART: Bits16 = 90;

/// A part of the password that one pattern explains.
#[derive(Clone, Copy)]
struct Piece {
    start: usize,
    end: usize,
    /// What a guesser spends on it.
    cost: Bits16,
    /// The least that zxcvbn may count for it, no more than `cost`.
    least: Bits16,
}

impl Piece {
    fn new(start: usize, end: usize, cost: Bits16) -> Piece {
        Piece {
            start,
            end,
            cost,
            least: cost,
        }
    }
}

/// Refuses a password that few guesses reach.
pub(crate) fn weak(password: &[u8]) -> Option<Verdict> {
    let text = Text::of(password);
    if text.symbols.len() < SHORTEST {
        return None;
    }
    let cost = cost(&text, PART);
    if cost > LIMIT {
        return None;
    }
    let evidence = format!(
        "is among the first 10^{} guesses; words cover {} of its {} symbols",
        (f64::from(cost) / 16.0 * std::f64::consts::LOG10_2).ceil(),
        dictionary::covered(&text.classes),
        text.symbols.len()
    );
    Verdict::refused("few guesses", Clause::Guessable, evidence)
}

/// A password as the patterns read it.
struct Text {
    /// Capitals, O as 0, I and L as 1, other symbols as they are; no hyphens.
    symbols: Zeroizing<Vec<u8>>,
    /// The same as classes of the dictionary.
    classes: Zeroizing<Vec<u8>>,
}

impl Text {
    fn of(password: &[u8]) -> Text {
        let mut symbols = Zeroizing::new(Vec::with_capacity(password.len()));
        let kept = password.iter().filter(|symbol| **symbol != b'-');
        symbols.extend(kept.take(LONGEST).map(|&symbol| folded(symbol)));
        let classes = dictionary::dress_off(&symbols);
        Text { symbols, classes }
    }

    fn part(&self, range: Range<usize>) -> Text {
        Text {
            symbols: Zeroizing::new(self.symbols[range.clone()].to_vec()),
            classes: Zeroizing::new(self.classes[range].to_vec()),
        }
    }
}

/// Symbols that a label does not tell apart are one.
fn folded(symbol: u8) -> u8 {
    match symbol.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    }
}

/// The cheapest way to put the text together, each part costing `least` or more.
fn cost(text: &Text, least: Bits16) -> Bits16 {
    let length = text.symbols.len();
    let mut pieces = Vec::new();
    let mut found = |piece: Piece| {
        let piece = Piece {
            cost: piece.cost.max(least),
            least: piece.least.max(least),
            ..piece
        };
        if piece.least < unexplained(piece.end - piece.start) {
            pieces.push(piece);
        }
    };
    words(text, &mut found);
    walk::walks(&text.symbols, &mut found);
    pattern::sequences(&text.symbols, &mut found);
    pattern::dates(&text.symbols, &mut found);
    repeats(text, &mut found);
    if pieces.is_empty() {
        return unexplained(length);
    }
    pieces.sort_unstable_by_key(|piece| piece.start);
    in_two(&pieces, length).min(in_any(&pieces, length))
}

fn unexplained(symbols: usize) -> Bits16 {
    UNEXPLAINED * symbols as Bits16
}

/// The cheapest of one part or two, as zxcvbn may count them. For three it always counts 10^8
/// guesses and more, so these decide its score.
fn in_two(pieces: &[Piece], length: usize) -> Bits16 {
    let mut before: [Bits16; LONGEST + 1] = std::array::from_fn(unexplained);
    let mut after = before;
    after[..=length].reverse();
    for piece in pieces {
        if piece.start == 0 {
            before[piece.end] = before[piece.end].min(piece.least);
        }
        if piece.end == length {
            after[piece.start] = after[piece.start].min(piece.least);
        }
    }
    let whole = before[length].min(after[0]);
    (1..length).fold(whole, |cheapest, at| cheapest.min(before[at] + after[at]))
}

/// The cheapest of any number of parts. `pieces` are sorted by where they start.
fn in_any(pieces: &[Piece], length: usize) -> Bits16 {
    let mut cheapest = [Bits16::MAX; LONGEST + 1];
    cheapest[0] = 0;
    let mut pieces = pieces.iter().peekable();
    for start in 0..length {
        let so_far = cheapest[start];
        cheapest[start + 1] = cheapest[start + 1].min(so_far + UNEXPLAINED);
        while let Some(piece) = pieces.next_if(|piece| piece.start == start) {
            let end = &mut cheapest[piece.end];
            *end = (*end).min(so_far + piece.cost);
        }
    }
    cheapest[length]
}

/// Words of the dictionary, in either direction.
fn words(text: &Text, found: &mut impl FnMut(Piece)) {
    let length = text.classes.len();
    // Of capitals with a digit or sign among them zxcvbn counts no ways to write them, and so the
    // least a part can cost, whatever the word.
    let mut found = |start: usize, word: Word| {
        let symbols = &text.symbols[start..start + word.length];
        let plain = symbols.iter().all(u8::is_ascii_uppercase);
        found(Piece {
            start,
            end: start + word.length,
            cost: word.rank,
            least: if plain { word.rank } else { 0 },
        });
    };
    for start in 0..length {
        words_at(&text.classes[start..], &mut |word| found(start, word));
    }
    let mut backwards = Zeroizing::new(Vec::with_capacity(length));
    backwards.extend(text.classes.iter().rev());
    for start in 0..length {
        words_at(&backwards[start..], &mut |word| {
            found(length - start - word.length, word);
        });
    }
}

/// A part that stands two or more times in a row: what one costs, and how many there are.
fn repeats(text: &Text, found: &mut impl FnMut(Piece)) {
    let length = text.symbols.len();
    for period in 1..=length / 2 {
        let mut alike = 0; // symbols in a row that stand again a period later
        for at in 0..length - period {
            let same = text.symbols[at] == text.symbols[at + period];
            alike = if same { alike + 1 } else { 0 };
            if alike < period {
                continue;
            }
            // Every copy up to here, back to where the stretch begins.
            let end = at + period + 1;
            let part = end - period..end;
            if period > 1 && shorter_period(&text.symbols[part.clone()]) {
                continue;
            }
            let base = base_cost(text, part);
            for copies in 2..=(alike / period + 1) {
                let count = ((copies as f64).log2() * 16.0) as Bits16;
                found(Piece::new(end - copies * period, end, base + count));
            }
        }
    }
}

/// Whether the part is itself a repeat, which is found by its own period.
fn shorter_period(part: &[u8]) -> bool {
    let repeats = |period: usize| {
        part.len().is_multiple_of(period) && part.iter().zip(&part[period..]).all(|(a, b)| a == b)
    };
    (1..=part.len() / 2).any(repeats)
}

/// What the repeated part costs. One or two symbols cost nothing, to be on the safe side; a part
/// of a part may be as common as it likes.
fn base_cost(text: &Text, part: Range<usize>) -> Bits16 {
    if part.len() < 3 {
        return 0;
    }
    cost(&text.part(part), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, expected: &str) {
        let got = match weak(password.as_bytes()) {
            Some(Verdict::Refused { evidence, .. }) => evidence,
            _ => "pass".to_owned(),
        };
        assert_eq!(got, expected, "{password}");
    }

    fn check_refused(password: &str) {
        assert!(weak(password.as_bytes()).is_some(), "{password}");
    }

    #[test]
    fn words_fall_in_every_dress() {
        check(
            "elephantqx52",
            "is among the first 10^6 guesses; words cover 8 of its 12 symbols",
        );
        check_refused("3L3PH4NTQX7K");
        check_refused("tnahpelexq7k");
        check_refused("ELEP-HANTXQ7K");
        check_refused("kitchentable");
        check_refused("ch0c01at3czz");
        check_refused("G0RG3OU$2019");
    }

    #[test]
    fn walks_fall_folded_and_shifted() {
        check_refused("mnbvcxzasdfg");
        check_refused("POIUYTREWQAS");
        check_refused("P01UYTREWQAS");
        check_refused("!@#$%^&*()xk");
        check_refused("aoeuidhtnsqj");
        check_refused("147896321470");
    }

    #[test]
    fn sequences_repeats_and_dates_fall() {
        check_refused("acegikmoqsuw");
        check_refused("MN0PQRSTUVXK");
        check_refused("zwtqnkheb7q2");
        check_refused("xk7xk7xk7xk7");
        check_refused("x7kqx7kqx7z");
        check_refused("31.12.1999q7");
        check_refused("1999123101q7");
        check_refused("202620252024");
    }

    #[test]
    fn what_nothing_explains_passes() {
        check("K7QDM2X9TR4W", "pass");
        check("9XTR4WK7QDM2", "pass");
        check("P0C3HJ5N8VYA", "pass");
        // Words enough are no weakness.
        check("horse-amber-tulip-canoe-frost-melon", "pass");
    }

    #[test]
    fn short_codes_are_not_estimated() {
        check("19991231", "pass");
        check("elephant1", "pass");
    }

    /// However a text repeats itself, it is judged at once.
    #[test]
    fn texts_that_repeat_in_many_ways_cost_no_more() {
        check_refused(&"ABAABABAABAAB".repeat(20));
        check_refused(&"ABABCABABD".repeat(30));
        check_refused(&"A".repeat(500));
    }
}
