//! What one password shows by itself: common strings, runs over a keyboard, repeated symbols.

use std::sync::LazyLock;

use crate::text::fold;
use crate::{Clause, Verdict};

/// Common passwords and words nobody wants on a label, folded; a comment starts with `#`.
static COMMON: LazyLock<Common> = LazyLock::new(|| {
    let lines = include_str!("../words/common.txt").lines();
    let words = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
    Common::of(words.map(|word| fold(word.as_bytes()).to_vec()).collect())
});

/// Words of four symbols and more.
struct Common {
    words: Vec<Vec<u8>>,
    /// A bit for the hash of each word's first four symbols: what is not here begins no word.
    starts: [u64; 64],
}

impl Common {
    fn of(words: Vec<Vec<u8>>) -> Common {
        let mut starts = [0; 64];
        for word in &words {
            let (part, bit) = Common::place(&word[..4]);
            starts[part] |= bit;
        }
        Common { words, starts }
    }

    fn place(four: &[u8]) -> (usize, u64) {
        let four = four
            .iter()
            .fold(0, |four, byte| four << 8 | u32::from(*byte));
        let hash = four.wrapping_mul(0x9e37_79b1) >> 20;
        ((hash / 64) as usize, 1 << (hash % 64))
    }

    fn inside(&self, text: &[u8]) -> Option<&[u8]> {
        (0..text.len().saturating_sub(3)).find_map(|start| {
            let rest = &text[start..];
            let (part, bit) = Common::place(&rest[..4]);
            if self.starts[part] & bit == 0 {
                return None;
            }
            let words = self.words.iter().map(Vec::as_slice);
            words.into_iter().find(|word| rest.starts_with(word))
        })
    }
}

/// Orders in which fingers and counters run, folded.
const ROWS: [&[u8]; 9] = [
    b"01234567890",
    b"ABCDEFGH1JK1MN0PQRSTUVWXYZ",
    b"0123456789ABCDEFGHJKMNPQRSTVWXYZ",
    b"QWERTYU10P",
    b"QWERTZU10P",
    b"AZERTYU10P",
    b"ASDFGHJK1",
    b"ZXCVBNM",
    b"1QAZ2WSX3EDC4RFV5TGB6YHN7UJM",
];

/// Which symbols are neighbours in any row: a bit for each that stands next to a symbol.
static NEIGHBOURS: LazyLock<[u64; 256]> = LazyLock::new(|| {
    let mut neighbours = [0; 256];
    for two in ROWS.iter().flat_map(|row| row.windows(2)) {
        neighbours[usize::from(two[0])] |= 1 << (two[1] - b'0');
        neighbours[usize::from(two[1])] |= 1 << (two[0] - b'0');
    }
    neighbours
});

/// The shortest stretch of a row that counts as a run.
const RUN: usize = 3;

/// The fewest symbols of any policy: a PIN of six digits behind a lockout.
const SHORTEST: usize = 6;

/// Refuses a password that can be tried by hand. This and the rest are given it folded.
pub(crate) fn short(password: &[u8]) -> Option<Verdict> {
    let length = password.len();
    if length >= SHORTEST {
        return None;
    }
    let evidence = format!("has {length} letters and digits, fewer than {SHORTEST}");
    Verdict::refused("short", Clause::Guessable, evidence)
}

/// Refuses a password that contains a common string.
pub(crate) fn common(password: &[u8]) -> Option<Verdict> {
    let word = COMMON.inside(password)?;
    let evidence = format!("contains a common string of {} characters", word.len());
    Verdict::refused("common string", Clause::Guessable, evidence)
}

/// Refuses a password that runs along keys or digits for 60 % of its length.
///
/// A fixed run length would be wrong: five in a row stand in 0.2 % of random 20-digit codes.
pub(crate) fn run(password: &[u8]) -> Option<Verdict> {
    // Stretches of three and more are at least two steps for three symbols.
    let steps = password.windows(2).filter(|two| neighbours(two)).count();
    if steps * 10 < password.len() * 4 {
        return None;
    }
    let mut covered = 0;
    let mut start = 0;
    while start < password.len() {
        let longest = longest_run(&password[start..]);
        if longest >= RUN {
            covered += longest;
        }
        start += longest.max(1);
    }
    if covered == 0 || covered * 10 < password.len() * 6 {
        return None;
    }
    let evidence = format!("{covered} of {} symbols run along a row", password.len());
    Verdict::refused("run", Clause::Guessable, evidence)
}

fn neighbours(two: &[u8]) -> bool {
    NEIGHBOURS[usize::from(two[0])] >> two[1].saturating_sub(b'0') & 1 == 1
}

/// Symbols from the front that follow one row, in either direction.
fn longest_run(text: &[u8]) -> usize {
    let follows = |row: &[u8], at: usize| {
        let forwards = row[at..]
            .iter()
            .zip(text)
            .take_while(|(a, b)| a == b)
            .count();
        let backwards = row[..=at]
            .iter()
            .rev()
            .zip(text)
            .take_while(|(a, b)| a == b)
            .count();
        forwards.max(backwards)
    };
    let along = |row: &&[u8]| (0..row.len()).map(|at| follows(row, at)).max().unwrap_or(0);
    ROWS.iter().map(along).max().unwrap_or(0)
}

/// Refuses three of one symbol in a row, a repeated part, and too few different symbols.
pub(crate) fn repeats(password: &[u8]) -> Option<Verdict> {
    let refused =
        |evidence: &str| Verdict::refused("repeats", Clause::Guessable, evidence.to_owned());
    if password
        .windows(3)
        .any(|three| three[0] == three[1] && three[1] == three[2])
    {
        return refused("one symbol stands three times in a row");
    }
    let period = |&period: &usize| {
        password
            .iter()
            .zip(&password[period..])
            .all(|(a, b)| a == b)
    };
    if (1..=password.len() / 2).any(|length| period(&length)) {
        return refused("one part is repeated");
    }
    // Folded symbols are 0 to Z, which 64 bits hold.
    let seen = password.iter().fold(0u64, |seen, symbol| {
        seen | 1 << symbol.saturating_sub(b'0').min(63)
    });
    if seen.count_ones() as usize * 3 <= password.len() {
        return refused("a third of its symbols or fewer are different");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, expected: &str) {
        let folded = fold(password.as_bytes());
        let got = match short(&folded)
            .or_else(|| common(&folded))
            .or_else(|| run(&folded))
            .or_else(|| repeats(&folded))
        {
            Some(Verdict::Refused { detector, .. }) => detector,
            _ => "pass",
        };
        assert_eq!(got, expected, "{password}");
    }

    #[test]
    fn common_strings_are_found_whatever_their_dress() {
        check("xxPassw0rdxx", "common string");
        check("K7ADM1NX9TR4", "common string");
        check("LetMeIn-K7QD", "common string");
    }

    #[test]
    fn runs_count_by_the_share_they_cover() {
        check("WERTYU10VNTX", "run");
        check("98765432QV7X", "run");
        check("EFGHJKMNX9R2", "run");
        check("FV5TGB6YH9R2", "run");
        check("ABCX9RK7QDM2", "pass");
        check("34567K7QDM2X", "pass");
    }

    #[test]
    fn repeats_are_found() {
        check("K7QDM2XXXTR4", "repeats");
        check("K7QDM2K7QDM2", "repeats");
        check("K7K7K7K7K7K7", "repeats");
        check("AB9A9BB9A9AB", "repeats");
        check("K7QDM2XXTR4W", "pass");
    }

    #[test]
    fn an_ordinary_draw_passes() {
        check("K7QDM2X9TR4W", "pass");
        check("482913", "pass");
    }

    #[test]
    fn codes_that_can_be_tried_by_hand_are_refused() {
        check("", "short");
        check("48-29-1", "short");
    }

    #[test]
    fn no_common_string_is_too_short_to_mean_anything() {
        assert!(COMMON.words.len() >= 100, "{}", COMMON.words.len());
        for word in &COMMON.words {
            assert!(word.len() >= 4, "{}", word.escape_ascii());
        }
    }
}
