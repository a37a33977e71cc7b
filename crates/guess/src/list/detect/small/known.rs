//! Reads passwords as words of the dictionary, digits and signs, whatever divides them.
//!
//! Two figures for each row. The *cost* is a code length, so it is evidence: steps, cases, signs
//! and lengths are learned from the rows before, a word costs its rank. The *tries* are what an
//! attacker spends who tries words by rank.

use std::collections::HashMap;

use super::fit::Kind;
use crate::dictionary::{Word, dress_off, words_at};
use crate::list::table::mixed;

/// Sum over the dictionary's words of 2^-rank, in bits: 5.9. What a word's rank costs more, so that
/// the chances of all words add up to 1 at most.
const ALL_WORDS_BITS: f64 = 6.0;

/// The dictionary merges six lists, so up to six words share a rank.
const LISTS: f64 = 6.0;

/// Letters that the dictionary takes for each other: a word that has one is written in three ways.
const ALIKE: &[u8] = b"iltILT";

/// Longest run of digits that is one step.
const DIGITS_MAX: usize = 15;

/// How a password is read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// A word in one of three cases.
    Word(Case),
    Digits,
    /// A letter that belongs to no word.
    Letter,
    Sign,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Case {
    Small,
    Capitals,
    Capitalised,
}

impl Case {
    fn of(word: &[u8]) -> Option<Case> {
        let small = |part: &[u8]| part.iter().all(u8::is_ascii_lowercase);
        let (first, rest) = word.split_first()?;
        match first.is_ascii_uppercase() {
            false => small(word).then_some(Case::Small),
            true if small(rest) => Some(Case::Capitalised),
            true => word
                .iter()
                .all(u8::is_ascii_uppercase)
                .then_some(Case::Capitals),
        }
    }
}

/// How often something came, and what it costs to come again.
#[derive(Default)]
struct Tally {
    counts: HashMap<usize, f64>,
    all: f64,
}

impl Tally {
    /// The cost in nats, when there are `options` in all.
    fn cost(&self, option: usize, options: f64) -> f64 {
        let count = self.counts.get(&option).copied().unwrap_or(0.0);
        -((count + 1.0 / options) / (self.all + 1.0)).ln()
    }

    fn add(&mut self, option: usize) {
        *self.counts.entry(option).or_insert(0.0) += 1.0;
        self.all += 1.0;
    }
}

/// The cheapest way to a place of the password.
#[derive(Clone, Copy)]
struct Way {
    cost: f64,
    tries: f64,
    from: usize,
    step: Option<Step>,
}

/// A reader, and what it has learned of how the rows are put together.
#[derive(Default)]
pub(super) struct Reader {
    steps: Tally,
    cases: Tally,
    signs: Tally,
    lengths: Tally,
    /// Words that came before, by hash.
    words: HashMap<u64, f64>,
    words_read: f64,
}

impl Reader {
    /// Cost and tries of a password, in nats; then learns it. Places in `given` cost nothing.
    pub(super) fn read(&mut self, password: &[u8], given: &[usize]) -> (f64, f64) {
        let start = Way {
            cost: f64::INFINITY,
            tries: 0.0,
            from: 0,
            step: None,
        };
        let mut ways = vec![start; password.len() + 1];
        ways[0].cost = 0.0;
        for at in 0..password.len() {
            if !ways[at].cost.is_finite() {
                continue;
            }
            if given.contains(&at) {
                reach(&mut ways, at, at + 1, None, (0.0, 0.0));
                continue;
            }
            match Kind::of(password[at]) {
                Kind::Digit => self.digits(&mut ways, password, at),
                Kind::Other => {
                    let sign = self.signs.cost(password[at].into(), 256.0);
                    let cost = self.step(Step::Sign) + sign;
                    reach(&mut ways, at, at + 1, Some(Step::Sign), (cost, cost));
                }
                Kind::Capital | Kind::Small => self.letters(&mut ways, password, at),
            }
        }
        self.learn(&ways, password);
        let end = ways[password.len()];
        (end.cost, end.tries)
    }

    fn step(&self, step: Step) -> f64 {
        self.steps.cost(number(step), 4.0)
    }

    fn digits(&self, ways: &mut [Way], password: &[u8], at: usize) {
        let run = password[at..].iter().take_while(|it| it.is_ascii_digit());
        let length = run.take(DIGITS_MAX).count();
        let digits = length as f64 * 10f64.ln();
        let cost = self.step(Step::Digits) + self.lengths.cost(length, 16.0);
        reach(
            ways,
            at,
            at + length,
            Some(Step::Digits),
            (cost + digits, cost + digits),
        );
    }

    fn letters(&self, ways: &mut [Way], password: &[u8], at: usize) {
        let cost = self.step(Step::Letter) + 52f64.ln();
        reach(ways, at, at + 1, Some(Step::Letter), (cost, cost));
        let run = password[at..]
            .iter()
            .take_while(|it| it.is_ascii_alphabetic());
        let run = &password[at..at + run.count()];
        words_at(&dress_off(run), &mut |Word { length, rank }| {
            let Some(case) = run.get(..length).and_then(Case::of) else {
                return;
            };
            let alike = run[..length].iter().filter(|it| ALIKE.contains(it)).count();
            let dress = self.step(Step::Word(case)) + self.cases.cost(case as usize, 3.0);
            let rank = f64::from(rank) / 16.0 * std::f64::consts::LN_2;
            let cost = rank + ALL_WORDS_BITS * std::f64::consts::LN_2 + alike as f64 * 3f64.ln();
            let again = |fresh: f64| self.word(&run[..length], fresh) + dress;
            let told = (again(cost), again(rank + LISTS.ln()));
            reach(ways, at, at + length, Some(Step::Word(case)), told);
        });
    }

    /// The cost of a word that costs `fresh` when it has not come before.
    fn word(&self, word: &[u8], fresh: f64) -> f64 {
        let different = self.words.len() as f64;
        if different == 0.0 {
            return fresh;
        }
        let count = self.words.get(&hash(word)).copied().unwrap_or(0.0);
        -((count + different * (-fresh).exp()) / (self.words_read + different)).ln()
    }

    fn learn(&mut self, ways: &[Way], password: &[u8]) {
        let mut at = password.len();
        while at > 0 {
            let Way { from, step, .. } = ways[at];
            if let Some(step) = step {
                self.steps.add(number(step));
                match step {
                    Step::Word(case) => {
                        self.cases.add(case as usize);
                        *self.words.entry(hash(&password[from..at])).or_insert(0.0) += 1.0;
                        self.words_read += 1.0;
                    }
                    Step::Digits => self.lengths.add(at - from),
                    Step::Sign => self.signs.add(password[from].into()),
                    Step::Letter => {}
                }
            }
            at = from;
        }
    }
}

/// A word whatever its case; others meet it with 2^-64.
fn hash(word: &[u8]) -> u64 {
    let grown = |hash: u64, byte: &u8| mixed(hash ^ u64::from(byte.to_ascii_lowercase()));
    word.iter().fold(word.len() as u64, grown)
}

fn number(step: Step) -> usize {
    match step {
        Step::Word(_) => 0,
        Step::Digits => 1,
        Step::Letter => 2,
        Step::Sign => 3,
    }
}

/// Keeps the way to `to` by way of `from` when it is cheaper than the one known.
fn reach(ways: &mut [Way], from: usize, to: usize, step: Option<Step>, told: (f64, f64)) {
    let cost = ways[from].cost + told.0;
    if cost < ways[to].cost {
        ways[to] = Way {
            cost,
            tries: ways[from].tries + told.1,
            from,
            step,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a password as the first, and after twenty like it; gives the tries in bits.
    fn check(password: &str, least: f64, most: f64) {
        let mut reader = Reader::default();
        let (cost, tries) = reader.read(password.as_bytes(), &[]);
        let bits = tries / std::f64::consts::LN_2;
        assert!((least..most).contains(&bits), "{password}: {bits} bits");
        assert!(
            cost >= tries - 1e-9,
            "{password}: a word has more spellings than tries"
        );
        for _ in 0..20 {
            reader.read(password.as_bytes(), &[]);
        }
        let (_, again) = reader.read(password.as_bytes(), &[]);
        assert!(again <= tries, "{password}: what is learned costs more");
    }

    #[test]
    fn words_cost_their_rank_and_other_letters_their_number() {
        check("happypanda123", 28.0, 48.0);
        check("HappyPanda123", 28.0, 48.0);
        check("123456", 19.0, 28.0);
        check("xqvkzjwqxkvj", 60.0, 100.0);
        check("", 0.0, 0.1);
    }
}
