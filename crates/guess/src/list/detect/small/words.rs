//! Predictable text: words, syllables, templates of words and digits, whatever their lengths.

use super::evidence::{ENOUGH, binomial_tail, diluted, ln_mean};
use super::known::Reader;
use super::places::Places;
use super::predict::{Predictor, Way};
use super::repeats::{in_words, once, sample};
use super::tokens::Words;
use super::{Seen, grade, nominal};
use crate::list::report::{Finding, Severity};
use crate::list::shape::Shape;
use crate::list::table::Table;

/// Rows read. What is not predictable after so many has parts from pools that birthday counts see.
const ROWS: usize = 4_000;

/// Rows after which reading ends when nothing was told so far.
const FIRST: usize = 1_500;

/// Shares of the rows that may be predictable among others that are not.
const SHARES: [f64; 3] = [0.3, 0.1, 0.02];

/// A row among others is predictable when it is `exp` of so much likelier than honest: 1e-6.
const ROW: f64 = 13.8;

/// What prediction must take from a list to be worth a line, in bits.
const WORTH_SAYING: f64 = 3.0;

/// How much more vowels than even drawing gives are language; so many of them, each by itself.
const VOWELS: f64 = 1.25;
const VOWELS_MORE: usize = 3;

/// Says how far passwords can be predicted from each other.
pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    let table = &*once(table);
    let shape = Shape::of(table);
    let places = Places::of(table, &shape);
    let whole = nominal(table, &shape, &places);
    let reading = Reading::of(table, &shape, &places);
    let mut findings = vec![];
    let words = Words::of(table);
    // A dictionary may tell more than what comes back, and less.
    let words = words.filter(|words| reading.bits.is_none_or(|bits| words.bits <= bits));
    if let Some(words) = words {
        let seen = Seen {
            severity: grade(words.bits, whole),
            detector: "words",
            rows: table.len(),
            examples: &reading.rows,
            evidence: format!(
                "{} of a list of about {}: at most {:.1} bits",
                match words.count {
                    1 => "one word".to_owned(),
                    count => format!("{count} words"),
                },
                in_words(words.list),
                words.bits
            ),
            chance: -words.evidence,
        };
        findings.push(seen.finding(table));
    } else if let Some(bits) = reading.bits
        && whole - bits >= WORTH_SAYING
        && !(places.found() && places.rows.len() == table.len() && bits + 1.0 > places.bits)
    {
        let what = match (reading.dictionary, text(table, &places)) {
            (true, _) => "passwords are words of a dictionary, tried by rank",
            (false, true) => {
                "passwords are words or syllables: the rows before tell the next one in part"
            }
            (false, false) => "passwords are alike: the rows before tell the next one in part",
        };
        let seen = Seen {
            severity: grade(bits, whole),
            detector: "predictable",
            rows: table.len(),
            examples: &reading.rows,
            evidence: format!("{what}; at most {bits:.1} bits of {whole:.1} are left"),
            chance: -reading.evidence,
        };
        findings.push(seen.finding(table));
    }
    let refused = |it: &Finding| it.severity == Severity::Refused;
    if !findings.iter().any(refused)
        && let Some(part) = reading.part(whole)
    {
        findings.push(part.finding(table));
    }
    findings
}

/// Upper bound on the strength that prediction shows; infinite when it shows nothing.
pub(super) fn bits(table: &Table<'_>, shape: &Shape, places: &Places) -> f64 {
    let reading = Reading::of(table, shape, places);
    let words = Words::of(table).map_or(f64::INFINITY, |words| words.bits);
    reading.bits.unwrap_or(f64::INFINITY).min(words)
}

/// Whether letters are those of a language or of syllables: vowels stand more often than even
/// drawing has them.
pub(super) fn text(table: &Table<'_>, places: &Places) -> bool {
    let mut alphabet = places.alphabet.clone();
    alphabet.retain(u8::is_ascii_alphabetic);
    let vowel = |byte: &u8| b"aeiouAEIOU".contains(byte);
    let even = alphabet.iter().filter(|byte| vowel(byte)).count() as f64 / alphabet.len() as f64;
    let all: Vec<usize> = (0..table.len()).collect();
    let mut counts = [0usize; 26];
    for row in sample(&all, ROWS) {
        for byte in table
            .password(row)
            .iter()
            .filter(|it| it.is_ascii_alphabetic())
        {
            counts[usize::from(byte.to_ascii_lowercase() - b'a')] += 1;
        }
    }
    let letters: usize = counts.iter().sum();
    let vowels = b"aeiou".map(|vowel| counts[usize::from(vowel - b'a')]);
    let more = |&count: &usize| count as f64 > VOWELS * letters as f64 / 26.0;
    let all: usize = vowels.iter().sum();
    // One or two favourites that happen to be vowels are no language.
    vowels.iter().filter(|it| more(it)).count() >= VOWELS_MORE
        && all as f64 > VOWELS * even * letters as f64
        && binomial_tail(all, letters, even) < -ROW / 2.0
}

/// The reader of the dictionary among the readings, behind the ways of predicting.
const DICTIONARY: usize = Way::ALL.len();

/// What one way says of one row, in nats.
#[derive(Clone, Copy)]
struct Told {
    /// That the row is not drawn from the alphabet.
    evidence: f64,
    /// The tries that lead to it.
    tries: f64,
}

/// What the rows cost when each is predicted from those before.
struct Reading {
    rows: Vec<usize>,
    /// In nats, for all rows together.
    evidence: f64,
    /// Upper bound on the entropy of a row, when there is evidence enough.
    bits: Option<f64>,
    /// Whether it is the dictionary that bounds it.
    dictionary: bool,
    /// By row, as the best way reads it for a part of the rows.
    by_row: Vec<Told>,
    /// In nats, that a share of the rows is predictable.
    part_evidence: f64,
}

impl Reading {
    fn of(table: &Table<'_>, shape: &Shape, places: &Places) -> Reading {
        let all: Vec<usize> = (0..table.len()).collect();
        let rows = sample(&all, ROWS);
        let alphabet = match places.rows.len() == table.len() && !places.found() {
            true => &places.alphabet,
            false => &shape.alphabet,
        };
        let size = (alphabet.len().max(1) as f64).ln();
        let mut predictors = Way::ALL.map(|way| Predictor::new(way, alphabet));
        let mut reader = Reader::default();
        let mut readings: [Vec<Told>; Way::ALL.len() + 1] = std::array::from_fn(|_| vec![]);
        for (number, &row) in rows.iter().enumerate() {
            let told = |rows: &Vec<Told>| shared(rows) > 0.0 || total(rows) > 0.0;
            if number == FIRST && !readings.iter().any(told) {
                break;
            }
            let password = table.password(row);
            let given: &[usize] = match password.len() == shape.length {
                true => &shape.separators,
                false => &[],
            };
            let honest = size * (password.len() - given.len()) as f64;
            for (predictor, reading) in predictors.iter_mut().zip(&mut readings) {
                let cost = predictor.read(password, given);
                reading.push(Told {
                    evidence: honest - cost,
                    tries: cost,
                });
            }
            let (cost, tries) = reader.read(password, given);
            readings[DICTIONARY].push(Told {
                evidence: honest - cost,
                tries,
            });
        }
        let rows = rows[..readings[0].len()].to_vec();
        let evidence = ln_mean(&readings.each_ref().map(|it| total(it)));
        let learned = readings[..DICTIONARY]
            .iter()
            .map(|rows| tries_for_next(rows));
        let learned = learned.fold(f64::INFINITY, f64::min) + length_bits(table);
        let by_rank = tries_for_next(&readings[DICTIONARY]);
        let parts = readings.each_ref().map(|it| shared(it));
        let best = (0..readings.len()).max_by(|&a, &b| parts[a].total_cmp(&parts[b]));
        Reading {
            by_row: readings
                .into_iter()
                .nth(best.unwrap_or(0))
                .unwrap_or_default(),
            bits: (evidence > ENOUGH).then_some(learned.min(by_rank)),
            dictionary: by_rank < learned,
            part_evidence: ln_mean(&parts),
            evidence,
            rows,
        }
    }

    /// Rows that are predictable among others that are not.
    fn part(&self, whole: f64) -> Option<Part> {
        if self.part_evidence < ENOUGH {
            return None;
        }
        let hits: Vec<usize> = (0..self.rows.len())
            .filter(|&n| self.by_row[n].evidence > ROW)
            .collect();
        let told: f64 = hits.iter().map(|&hit| self.by_row[hit].evidence).sum();
        // Where the others are predictable too, the best of them say nothing about a part.
        if total(&self.by_row) > told {
            return None;
        }
        let tries: f64 = hits.iter().map(|&hit| self.by_row[hit].tries).sum();
        let bits = tries / hits.len().max(1) as f64 / std::f64::consts::LN_2;
        let refused = hits.len() >= 2 && grade(bits, whole) == Severity::Refused;
        refused.then(|| Part {
            rows: hits.iter().map(|&hit| self.rows[hit]).collect(),
            of: self.rows.len(),
            bits,
            chance: -self.part_evidence,
        })
    }
}

struct Part {
    rows: Vec<usize>,
    of: usize,
    bits: f64,
    chance: f64,
}

impl Part {
    fn finding(self, table: &Table<'_>) -> Finding {
        let evidence = format!(
            "{} of {} rows are predictable: at most {:.1} bits each",
            self.rows.len(),
            self.of,
            self.bits
        );
        let seen = Seen {
            severity: Severity::Refused,
            detector: "predictable",
            rows: self.rows.len(),
            examples: &self.rows,
            evidence,
            chance: self.chance,
        };
        seen.finding(table)
    }
}

/// Evidence that all rows are predictable.
fn total(rows: &[Told]) -> f64 {
    rows.iter().map(|row| row.evidence).sum()
}

/// Evidence that some are.
fn shared(rows: &[Told]) -> f64 {
    let of_share = |share| {
        rows.iter()
            .map(|row| diluted(row.evidence, share))
            .sum::<f64>()
    };
    ln_mean(&SHARES.map(of_share))
}

/// The mean tries for a row in the second half, and three deviations of that mean, in bits. The
/// first half is for learning.
fn tries_for_next(rows: &[Told]) -> f64 {
    let costs: Vec<f64> = rows[rows.len() / 2..].iter().map(|row| row.tries).collect();
    let count = costs.len() as f64;
    if count < 2.0 {
        return f64::INFINITY;
    }
    let mean = costs.iter().sum::<f64>() / count;
    let spread = costs.iter().map(|cost| (cost - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean + 3.0 * (spread / count).sqrt()) / std::f64::consts::LN_2
}

/// Entropy of the passwords' lengths.
fn length_bits(table: &Table<'_>) -> f64 {
    let mut lengths = std::collections::BTreeMap::new();
    for row in 0..table.len() {
        *lengths.entry(table.password(row).len()).or_insert(0usize) += 1;
    }
    let share = |&count: &usize| count as f64 / table.len() as f64;
    lengths
        .values()
        .map(|count| -share(count) * share(count).log2())
        .sum()
}
