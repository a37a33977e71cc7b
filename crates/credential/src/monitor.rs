//! Watches the generator over the draws of one order: the batch half of the gate.
//!
//! One password shows little; a batch shows a broken generator. Every draw is looked at before any
//! rule refuses it, so under a fair generator each place is uniform and independent, and each
//! bound below is a theorem and not a rule of thumb. After every draw each statistic is compared
//! with a threshold that grows with the number of looks, so that a fair generator is called unfit
//! with a chance under [`FALSE_ALARM`] over an order of any length.
//!
//! Pure, bounded and in memory: counts, and the last draws as numbers, wiped when dropped.
//! Deliberately absent: what is issued (draws are), clocks, and a search for seeded generators.

use std::collections::VecDeque;

use thiserror::Error;
use zeroize::Zeroize;

use crate::Policy;

mod output;

pub use output::Output;

/// Chance of calling a fair generator unfit over one order.
const FALSE_ALARM: f64 = 1e-9;

/// Draws that a fresh one is compared with.
const REMEMBERED: usize = 64;

/// How much rarer than by chance a step from the draw before must be to count, as a power of two.
const RARE_BITS: i32 = 12;

/// What is compared after each draw, beside the counts of symbols.
const OTHER_STATISTICS: usize = 6;

/// The generator does what a fair one does not.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("generator unfit: {detector}, clause {clause}: {evidence}")]
pub struct Unfit {
    /// What saw it.
    pub detector: &'static str,
    /// The limb of Schedule 1 paragraph 1(3) that its passwords would break.
    pub clause: &'static str,
    /// What was seen, without a symbol of any password.
    pub evidence: String,
}

const COUNTER: &str = "1(3)(a)";
const GUESSABLE: &str = "1(3)(d)";

/// The running account of one order's draws.
pub struct Monitor {
    /// Choices in one place.
    choices: u64,
    /// Draws so far: each is one look.
    draws: u64,
    /// How often each symbol stood in each place; the last of them are all places together.
    places: Vec<Counts>,
    /// Parts of an index that are counted apart: a word is counted as two symbols.
    parts: Vec<Part>,
    /// The chance that a draw is one of those remembered, and that it is near the one before.
    chances: Chances,
    /// Newest last; as numbers, first place first and last place first.
    recent: VecDeque<Draw>,
    repeated: u64,
    /// By direction: small steps, and steps equal to the one before.
    small: [u64; 2],
    equal: [u64; 2],
    /// Draws that the gate judged, and refused.
    judged: u64,
    refused: u64,
}

/// One draw as two numbers modulo 2^128.
struct Draw([u128; 2]);

impl Drop for Draw {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

struct Chances {
    one: f64,
    near: f64,
    stride: u128,
}

/// How an index becomes a small one, with the chance of each.
struct Part {
    of: fn(u64, u64) -> u64,
    side: u64,
    chances: Vec<f64>,
}

/// Counts of one part in one place, or in all.
struct Counts {
    part: usize,
    counts: Vec<u64>,
}

impl Monitor {
    /// An account without draws.
    #[must_use]
    pub fn new(policy: &Policy) -> Monitor {
        let choices = policy.choices() as u64;
        let parts = parts(choices);
        let place = || {
            let count = |part: usize| Counts {
                part,
                counts: vec![0; parts[part].chances.len()],
            };
            (0..parts.len()).map(count)
        };
        let places = (0..=policy.length()).flat_map(|_| place()).collect();
        // Of draws that are remembered modulo 2^128, the chance is never under 2^-128.
        let one = (choices as f64)
            .powi(-(policy.length() as i32))
            .max((-128f64).exp2());
        let stride = ((-f64::from(RARE_BITS)).exp2() / one / 2.0).floor() as u128;
        let near = one * (2.0 * stride as f64 + 1.0);
        Monitor {
            choices,
            draws: 0,
            places,
            chances: Chances { one, near, stride },
            parts,
            recent: VecDeque::with_capacity(REMEMBERED),
            repeated: 0,
            small: [0; 2],
            equal: [0; 2],
            judged: 0,
            refused: 0,
        }
    }

    /// Takes one draw, as [`crate::mint_seen`] shows it.
    ///
    /// # Errors
    /// [`Unfit`] when no fair generator would have come here.
    pub fn drawn(&mut self, indices: &[u16]) -> Result<(), Unfit> {
        self.draws += 1;
        self.compare(indices);
        self.count(indices);
        self.repetition()?;
        self.counter()?;
        self.bias()
    }

    /// Takes the gate's word on one draw; `chance` bounds that of refusing a fair one.
    ///
    /// # Errors
    /// [`Unfit`] when it refuses far more than that.
    pub fn judged(&mut self, refused: bool, chance: f64) -> Result<(), Unfit> {
        self.judged += 1;
        self.refused += u64::from(refused);
        if divergence(self.refused, self.judged, chance) < self.threshold(self.judged) {
            return Ok(());
        }
        Err(Unfit {
            detector: "refusal rate",
            clause: GUESSABLE,
            evidence: format!(
                "the gate refused {} of {} draws; of fair ones at most {:.0} in 100 are",
                self.refused,
                self.judged,
                100.0 * chance
            ),
        })
    }

    /// Compares the draw with those before.
    fn compare(&mut self, indices: &[u16]) {
        let grown = |number: u128, &index: &u16| {
            number
                .wrapping_mul(self.choices.into())
                .wrapping_add(index.into())
        };
        let now = Draw([
            indices.iter().fold(0, grown),
            indices.iter().rev().fold(0, grown),
        ]);
        let same = self.recent.iter().any(|then| then.0 == now.0);
        self.repeated += u64::from(same);
        let mut before = self.recent.iter().rev();
        if let Some(last) = before.next() {
            let second = before.next();
            for way in 0..2 {
                let step = now.0[way].wrapping_sub(last.0[way]);
                let small = step.min(step.wrapping_neg()) <= self.chances.stride;
                self.small[way] += u64::from(small);
                let equal = second.is_some_and(|it| last.0[way].wrapping_sub(it.0[way]) == step);
                self.equal[way] += u64::from(equal);
            }
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
    }

    fn count(&mut self, indices: &[u16]) {
        let parts = self.parts.len();
        let all = self.places.len() - parts;
        for (place, &index) in indices.iter().enumerate() {
            for (number, part) in self.parts.iter().enumerate() {
                let cell = (part.of)(index.into(), part.side) as usize;
                self.places[place * parts + number].counts[cell] += 1;
                self.places[all + number].counts[cell] += 1;
            }
        }
    }

    fn repetition(&self) -> Result<(), Unfit> {
        let chance = self.chances.one * REMEMBERED as f64;
        if divergence(self.repeated, self.draws, chance) < self.threshold(self.draws) {
            return Ok(());
        }
        Err(Unfit {
            detector: "repeated",
            clause: GUESSABLE,
            evidence: format!(
                "{} of {} draws are one of the {REMEMBERED} before",
                self.repeated, self.draws
            ),
        })
    }

    fn counter(&self) -> Result<(), Unfit> {
        // A step of nothing is a repetition, and is told as one.
        let counted = |hits: u64| hits.saturating_sub(self.repeated);
        let hits = [
            (self.small[0], self.chances.near, "little away from"),
            (self.small[1], self.chances.near, "little away from"),
            (self.equal[0], self.chances.one, "an equal step away from"),
            (self.equal[1], self.chances.one, "an equal step away from"),
        ];
        let threshold = self.threshold(self.draws);
        let over = |(hits, chance, _): &(u64, f64, &str)| {
            divergence(counted(*hits), self.draws, *chance) >= threshold
        };
        match hits.iter().find(|hit| over(hit)) {
            None => Ok(()),
            Some((hits, _, how)) => Err(Unfit {
                detector: "counter",
                clause: COUNTER,
                evidence: format!(
                    "{hits} of {} draws are {how} the one before, read as numbers",
                    self.draws
                ),
            }),
        }
    }

    fn bias(&self) -> Result<(), Unfit> {
        let threshold = self.threshold(self.draws);
        for place in &self.places {
            let chances = &self.parts[place.part].chances;
            even(&place.counts, chances, threshold, "symbol")?;
        }
        Ok(())
    }

    /// What a statistic must reach at this look, in nats: the chances over all looks and all
    /// statistics add up to [`FALSE_ALARM`], because the sum of 1/n^2 is under 1.65.
    fn threshold(&self, look: u64) -> f64 {
        threshold(2 * self.places.len() + OTHER_STATISTICS, look)
    }
}

fn threshold(statistics: usize, look: u64) -> f64 {
    (statistics as f64 * 1.65).ln() + 2.0 * (look as f64).ln() - FALSE_ALARM.ln()
}

/// Refuses counts of which one is far too large, and counts that are uneven as a whole: two
/// statistics.
///
/// One count: Chernoff's bound, P(divergence >= y) <= e^-y. All together: R. Agrawal,
/// "Finite-sample concentration of the multinomial in relative entropy" (2020): for k values and
/// y > k - 1, P <= (e y / (k - 1))^(k - 1) e^-y.
fn even(counts: &[u64], chances: &[f64], threshold: f64, what: &str) -> Result<(), Unfit> {
    let seen: u64 = counts.iter().sum();
    let own = threshold + (chances.len() as f64).ln();
    let over = |(count, chance): &(&u64, &f64)| divergence(**count, seen, **chance) >= own;
    if let Some((count, chance)) = counts.iter().zip(chances).find(over) {
        return Err(biased(format!(
            "one {what} stands in {count} of {seen} places, by chance in {:.0}",
            chance * seen as f64
        )));
    }
    let freedom = chances.len() as f64 - 1.0;
    let uneven = entropy_missing(counts, chances);
    if uneven > freedom && uneven - freedom * (1.0 + (uneven / freedom).ln()) >= threshold {
        let bits = uneven / seen as f64 / std::f64::consts::LN_2;
        return Err(biased(format!(
            "over {seen} places about {bits:.1} bits are missing in each {what}"
        )));
    }
    Ok(())
}

fn biased(evidence: String) -> Unfit {
    Unfit {
        detector: "biased",
        clause: GUESSABLE,
        evidence,
    }
}

/// A symbol as it is; a word as the quotient and the remainder by the root of the list's length,
/// so that a few draws fill the cells.
fn parts(choices: u64) -> Vec<Part> {
    const WHOLE_MAX: u64 = 94;
    let part = |of: fn(u64, u64) -> u64, side: u64| {
        let mut counts: Vec<u64> = vec![];
        for index in 0..choices {
            let cell = of(index, side) as usize;
            counts.resize(counts.len().max(cell + 1), 0);
            counts[cell] += 1;
        }
        let chance = |&count: &u64| count as f64 / choices as f64;
        Part {
            of,
            side,
            chances: counts.iter().map(chance).collect(),
        }
    };
    if choices <= WHOLE_MAX {
        return vec![part(|index, _| index, 1)];
    }
    let side = choices.isqrt().max(2);
    vec![
        part(|index, side| index / side, side),
        part(|index, side| index % side, side),
    ]
}

/// Chernoff's exponent for `hits` of `of` at `chance` each, in nats; 0 when they are not too many.
fn divergence(hits: u64, of: u64, chance: f64) -> f64 {
    if of == 0 || chance >= 1.0 {
        return 0.0;
    }
    let share = hits as f64 / of as f64;
    if share <= chance {
        return 0.0;
    }
    let missed = 1.0 - share;
    let rest = if missed > 0.0 {
        missed * (missed / (1.0 - chance)).ln()
    } else {
        0.0
    };
    of as f64 * (share * (share / chance).ln() + rest)
}

/// The counts' divergence from their chances, all together, in nats.
fn entropy_missing(counts: &[u64], chances: &[f64]) -> f64 {
    let all: u64 = counts.iter().sum();
    let term = |(&count, &chance): (&u64, &f64)| {
        let count = count as f64;
        if count > 0.0 {
            count * (count / (chance * all as f64)).ln()
        } else {
            0.0
        }
    };
    counts.iter().zip(chances).map(term).sum()
}

#[cfg(test)]
mod tests;
