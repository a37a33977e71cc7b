//! What one password shows by itself: common strings, runs over a keyboard, repeated symbols.

use std::sync::LazyLock;

use crate::text::fold;
use crate::{Clause, Verdict};

/// Common passwords and words nobody wants on a label, folded; a comment starts with `#`.
static COMMON: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let lines = include_str!("../words/common.txt").lines();
    let words = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
    words.map(|word| fold(word.as_bytes()).to_vec()).collect()
});

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

/// The shortest stretch of a row that counts as a run.
const RUN: usize = 3;

/// The fewest symbols of any policy: a PIN of six digits behind a lockout.
const SHORTEST: usize = 6;

/// Refuses a password that can be tried by hand.
pub(crate) fn short(password: &[u8]) -> Option<Verdict> {
    let length = fold(password).len();
    if length >= SHORTEST {
        return None;
    }
    let evidence = format!("has {length} letters and digits, fewer than {SHORTEST}");
    Verdict::refused("short", Clause::Guessable, evidence)
}

/// Refuses a password that contains a common string.
pub(crate) fn common(password: &[u8]) -> Option<Verdict> {
    let password = fold(password);
    let inside = |word: &&Vec<u8>| password.windows(word.len()).any(|part| part == **word);
    let word = COMMON.iter().find(inside)?;
    let evidence = format!("contains a common string of {} characters", word.len());
    Verdict::refused("common string", Clause::Guessable, evidence)
}

/// Common passwords and words, folded.
pub(crate) fn common_words() -> impl Iterator<Item = &'static [u8]> {
    COMMON.iter().map(Vec::as_slice)
}

/// Whether a common string covers 60 % of a folded password: hardly anything else is in it.
pub(crate) fn common_whole(folded: &[u8]) -> bool {
    let covers = |word: &&Vec<u8>| word.len() * 10 >= folded.len() * 6;
    let inside = |word: &Vec<u8>| folded.windows(word.len()).any(|part| part == *word);
    COMMON.iter().filter(covers).any(inside)
}

/// Refuses a password that runs along keys or digits for 60 % of its length.
///
/// A fixed run length would be wrong: five in a row stand in 0.2 % of random 20-digit codes.
pub(crate) fn run(password: &[u8]) -> Option<Verdict> {
    let password = fold(password);
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
    let password = fold(password);
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
    let mut different = password.clone();
    different.sort_unstable();
    different.dedup();
    if different.len() * 3 <= password.len() {
        return refused("a third of its symbols or fewer are different");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, expected: &str) {
        let password = password.as_bytes();
        let got = match short(password)
            .or_else(|| common(password))
            .or_else(|| run(password))
            .or_else(|| repeats(password))
        {
            Some(Verdict::Refused { detector, .. }) => detector,
            _ => "pass",
        };
        assert_eq!(got, expected, "{}", password.escape_ascii());
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
        assert!(COMMON.len() >= 100, "{}", COMMON.len());
        for word in COMMON.iter() {
            assert!(word.len() >= 4, "{}", word.escape_ascii());
        }
    }
}
