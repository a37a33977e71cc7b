//! Passwords that follow a pattern each by itself: runs over a keyboard, common strings, mirrored
//! or repeated parts, hardly any different symbols.
//!
//! How often such a password comes by chance is measured, not computed: on passwords put together
//! from the list's own rows, each place from another row. Constants, templates and words show the
//! same patterns there and are not accused twice.

use super::Seen;
use super::evidence::{ENOUGH, binomial_tail};
use super::repeats::sample;
use crate::list::report::{Finding, Severity};
use crate::list::table::Table;
use crate::list::table::mixed;
use crate::{shape, text::fold};
use zeroize::Zeroizing;

/// Rows looked at, and passwords put together for comparison.
const ROWS: usize = 20_000;

/// Fewest symbols with which a pattern means anything.
const SHORTEST: usize = 6;

/// A pattern: whether a folded password shows it.
type Pattern = fn(&[u8]) -> bool;

const PATTERNS: [(&str, &str, Pattern); 5] = [
    ("runs", "run along keys or digits", |it| {
        shape::run(it).is_some()
    }),
    (
        "common strings",
        "are a common string, or hardly more",
        shape::common_whole,
    ),
    ("mirrored", "read the same backwards", mirrored),
    ("repeated part", "repeat one part", repeated),
    ("few symbols", "have three different symbols or fewer", few),
];

/// Counts each pattern, here and in comparison.
pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    let all: Vec<usize> = (0..table.len()).collect();
    let rows = sample(&all, ROWS);
    let folded: Vec<Zeroizing<Vec<u8>>> =
        rows.iter().map(|&row| fold(table.password(row))).collect();
    let shows = |pattern: Pattern, it: &[u8]| it.len() >= SHORTEST && pattern(it);
    let mut suspects = vec![];
    for (detector, what, pattern) in PATTERNS {
        let hits: Vec<usize> = (0..rows.len())
            .filter(|&n| shows(pattern, &folded[n]))
            .collect();
        if !hits.is_empty() {
            suspects.push((detector, what, pattern, hits));
        }
    }
    if suspects.is_empty() {
        return vec![];
    }
    let compared = put_together(&folded);
    let mut findings = vec![];
    for (detector, what, pattern, hits) in suspects {
        let by_chance = compared.iter().filter(|it| shows(pattern, it)).count() as f64;
        // Four deviations and ten more: too low with a chance under 1e-6 each, and what it is
        // used for needs many hits.
        let bound = (by_chance + 4.0 * by_chance.sqrt() + 10.0) / compared.len() as f64;
        let chance = binomial_tail(hits.len(), rows.len(), bound) + (PATTERNS.len() as f64).ln();
        if chance > -ENOUGH {
            continue;
        }
        let examples: Vec<usize> = hits.iter().map(|&hit| rows[hit]).collect();
        let seen = Seen {
            severity: Severity::Refused,
            detector,
            rows: hits.len(),
            examples: &examples,
            evidence: format!(
                "{} of {} rows {what}; by chance at most {:.2} %",
                hits.len(),
                rows.len(),
                bound * 100.0
            ),
            chance,
        };
        findings.push(seen.finding(table));
    }
    findings
}

/// Passwords whose places come from different rows of the same length, or from anywhere when there
/// are few of that length.
fn put_together(rows: &[Zeroizing<Vec<u8>>]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut by_length = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (number, row) in rows.iter().enumerate() {
        by_length.entry(row.len()).or_default().push(number);
    }
    let mut state = rows.len() as u64;
    let mut below = |bound: usize| {
        state = state.wrapping_add(1);
        (mixed(state) % bound.max(1) as u64) as usize
    };
    let mut made = Vec::with_capacity(ROWS);
    for number in 0..ROWS {
        let length = rows[number % rows.len()].len();
        let same = &by_length[&length];
        let mut password = Zeroizing::new(Vec::with_capacity(length));
        for place in 0..length {
            let byte = match same.len() >= 8 {
                true => rows[same[below(same.len())]][place],
                false => {
                    let row = &rows[below(rows.len())];
                    row.get(below(row.len())).copied().unwrap_or(b'0')
                }
            };
            password.push(byte);
        }
        made.push(password);
    }
    made
}

fn mirrored(password: &[u8]) -> bool {
    password.iter().eq(password.iter().rev())
}

fn repeated(password: &[u8]) -> bool {
    let follows = |&period: &usize| {
        password
            .iter()
            .zip(&password[period..])
            .all(|(a, b)| a == b)
    };
    (1..=password.len() / 2).any(|period| follows(&period))
}

fn few(password: &[u8]) -> bool {
    let mut different = password.to_vec();
    different.sort_unstable();
    different.dedup();
    different.len() <= 3
}
