//! Words drawn from a list, where something divides them: hyphens, digits, capitals.
//!
//! How often a word comes back tells how long the list is, long before the list is known: of M
//! words, two are the same with a chance of 1 / M.

use std::collections::HashMap;

use super::evidence::{ENOUGH, least_mean, poisson_tail};
use super::fit::Kind;
use super::repeats::sample;
use crate::list::table::Table;
use crate::list::table::mixed;

/// Rows looked at.
const ROWS: usize = 20_000;

/// Shortest word.
const SHORTEST: usize = 3;

/// Fewest pairs of equal words to tell a length from.
const PAIRS: f64 = 8.0;

/// Confidence of the length: 1e-3.
const CONFIDENCE: f64 = 7.0;

/// What a list of passphrases is made of.
pub(super) struct Words {
    /// Words in a password.
    pub(super) count: usize,
    /// Words in the list, as far as is known: the estimate.
    pub(super) list: f64,
    /// Upper bound on the strength, other symbols included.
    pub(super) bits: f64,
    /// In nats.
    pub(super) evidence: f64,
}

/// A part of one kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Word,
    /// So many digits.
    Digits(usize),
    /// A sign.
    Sign(u8),
}

impl Words {
    /// `None` when rows are not all made of as many words and digits as the next.
    pub(super) fn of(table: &Table<'_>) -> Option<Words> {
        let all: Vec<usize> = (0..table.len()).collect();
        let rows = sample(&all, ROWS);
        let mut like: Option<Vec<Part>> = None;
        let mut fields: Vec<HashMap<u64, u32>> = vec![];
        let mut shortest = usize::MAX;
        for &row in &rows {
            let parts = parts(table.password(row));
            let kinds: Vec<Part> = parts.iter().map(|(part, _)| *part).collect();
            if *like.get_or_insert_with(|| kinds.clone()) != kinds {
                return None;
            }
            let words = parts.into_iter().filter(|(part, _)| *part == Part::Word);
            for (at, (_, word)) in words.enumerate() {
                if word.len() < SHORTEST {
                    return None;
                }
                shortest = shortest.min(word.len());
                fields.resize_with(fields.len().max(at + 1), HashMap::new);
                *fields[at].entry(hash(word)).or_insert(0) += 1;
            }
        }
        if fields.is_empty() || rows.len() < 3 {
            return None;
        }
        let digits = like.iter().flatten().map(|part| match part {
            Part::Digits(count) => *count as f64 * 10f64.log2(),
            _ => 0.0,
        });
        Words::drawn(&fields, rows.len() as f64, shortest, digits.sum())
    }

    fn drawn(
        fields: &[HashMap<u64, u32>],
        rows: f64,
        shortest: usize,
        digits: f64,
    ) -> Option<Words> {
        let mut together: HashMap<u64, u32> = HashMap::new();
        for (word, count) in fields.iter().flatten() {
            *together.entry(*word).or_insert(0) += count;
        }
        let words = rows * fields.len() as f64;
        let shared = Drawn::of(together.values(), words);
        let by_chance = words * (words - 1.0) / 2.0 * 26f64.powi(-(shortest as i32));
        let evidence = -poisson_tail(shared.pairs, by_chance);
        if shared.pairs < PAIRS || evidence < ENOUGH {
            return None;
        }
        let bits = fields.iter().map(|field| {
            let own = Drawn::of(field.values(), rows);
            match own.pairs < PAIRS {
                true => shared.bits,
                false => own.bits,
            }
        });
        Some(Words {
            count: fields.len(),
            list: words * (words - 1.0) / 2.0 / shared.pairs,
            bits: bits.sum::<f64>() + digits,
            evidence,
        })
    }
}

/// Draws from a list of unknown length.
struct Drawn {
    /// Pairs of equal draws.
    pairs: f64,
    /// Upper bound on the list's order-2 entropy.
    bits: f64,
}

impl Drawn {
    fn of<'a>(counts: impl Iterator<Item = &'a u32>, draws: f64) -> Drawn {
        let pairs_of = |&count: &u32| f64::from(count) * (f64::from(count) - 1.0) / 2.0;
        let pairs: f64 = counts.map(pairs_of).sum();
        let share = least_mean(pairs, CONFIDENCE) / (draws * (draws - 1.0) / 2.0);
        Drawn {
            pairs,
            bits: -share.log2(),
        }
    }
}

/// A word whatever its case; others meet it with 2^-64.
fn hash(word: &[u8]) -> u64 {
    let grown = |hash: u64, byte: &u8| mixed(hash ^ u64::from(byte.to_ascii_lowercase()));
    word.iter().fold(word.len() as u64, grown)
}

/// A password's words, digits and signs; a capital after a small letter begins a word.
fn parts(password: &[u8]) -> Vec<(Part, &[u8])> {
    let mut parts = vec![];
    let mut start = 0;
    for end in 1..=password.len() {
        let before = Kind::of(password[end - 1]);
        let goes_on = password
            .get(end)
            .is_some_and(|&next| match (before, Kind::of(next)) {
                (Kind::Other, _) | (_, Kind::Other) => false,
                (Kind::Digit, next) => next == Kind::Digit,
                (Kind::Small, next) => next == Kind::Small,
                (Kind::Capital, next) => next != Kind::Digit,
            });
        if !goes_on {
            let part = &password[start..end];
            let kind = match before {
                Kind::Digit => Part::Digits(part.len()),
                Kind::Other => Part::Sign(part[0]),
                _ => Part::Word,
            };
            parts.push((kind, part));
            start = end;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, expected: &[&str]) {
        let parts: Vec<String> = parts(password.as_bytes())
            .into_iter()
            .map(|(_, part)| String::from_utf8_lossy(part).into_owned())
            .collect();
        assert_eq!(parts, expected);
    }

    #[test]
    fn words_end_where_something_divides_them() {
        check("happy-panda-42", &["happy", "-", "panda", "-", "42"]);
        check("HappyPanda42", &["Happy", "Panda", "42"]);
        check("HAPPY7panda", &["HAPPY", "7", "panda"]);
        check("", &[]);
    }
}
