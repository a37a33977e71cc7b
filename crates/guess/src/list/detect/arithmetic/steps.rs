//! Neighbours in some order: equal steps, rising, repeating, alike.

use std::collections::BTreeMap;

use super::chance::{Suspect, Tally, most_common, rising, tail};
use super::digits::{Digits, End, above, naming};
use super::ground::{Ground, Order, Window};
use crate::Clause;
use crate::list::report::{Class, Finding};
use crate::list::table::Table;

/// Lengths of the windows in which a counter is looked for, besides the longest.
const LENGTHS: [usize; 6] = [1, 2, 3, 4, 6, 8];

/// Counters that take turns, as when several stations count, are seen up to this many.
const TURNS: usize = 8;

/// Distances at which symbols may repeat.
const PERIODS: usize = 64;

/// How far a password may be shifted against the one before it, in bits.
const SHIFTS: usize = 8;

/// The same step from unit to unit.
pub(super) fn counters(table: &Table<'_>) -> Vec<Finding> {
    let Some(ground) = Ground::of(table) else {
        return vec![];
    };
    let mut tally = Tally::new("steps");
    for (n, reading) in ground.readings.iter().enumerate() {
        let digits = Digits::of(&ground, reading);
        let longest = digits.fitting();
        for order in ground.telling_orders() {
            for end in End::BOTH {
                for least in 0..ground.width {
                    let room = match end {
                        End::Most => least + 1,
                        End::Least => ground.width - least,
                    };
                    let longest = longest.min(room);
                    let lengths = LENGTHS.into_iter().filter(|&length| length < longest);
                    for length in lengths.chain([longest]) {
                        let Some(window) = above(least, length, end, ground.width) else {
                            continue;
                        };
                        let turns = if length == longest && n < 2 { TURNS } else { 1 };
                        let run = Run {
                            ground: &ground,
                            digits: &digits,
                            order,
                            window,
                            end,
                        };
                        run.equal_steps(turns, &mut tally);
                    }
                }
            }
        }
    }
    tally.findings(table)
}

/// A window of the passwords, in an order.
struct Run<'a> {
    ground: &'a Ground,
    digits: &'a Digits,
    order: &'a Order,
    window: Window,
    end: End,
}

impl Run<'_> {
    fn values(&self) -> zeroize::Zeroizing<Vec<u64>> {
        let rows = self.order.rows.iter();
        let values = rows.map(|&row| self.digits.number(row, self.window, self.end));
        zeroize::Zeroizing::new(values.collect())
    }

    fn equal_steps(&self, turns: usize, tally: &mut Tally) {
        let values = self.values();
        let modulus = self.digits.modulus(self.window);
        let chance = self.ground.chance(self.window);
        let step = |from: u64, to: u64| (to + (modulus - from)) % modulus;
        for turn in 1..=turns {
            let steps = differences(&values, turn, step);
            self.offer(&steps, turn, chance, "the same step", tally);
            if turn == 1 && steps.len() > 2 {
                let second = differences(&steps, 1, step);
                self.offer(&second, 1, chance, "a step that changes evenly", tally);
            }
        }
    }

    /// Zero is left out: what stays the same counts nothing.
    fn offer(&self, steps: &[u64], turn: usize, chance: f64, what: &str, tally: &mut Tally) {
        let Some((step, hits)) = mode(steps) else {
            return;
        };
        let chance = most_common(steps.len(), hits, chance);
        tally.look(chance, || {
            let at = (0..steps.len()).filter(|&n| steps[n] == step);
            let rows = at.flat_map(|n| [self.order.rows[n], self.order.rows[n + turn]]);
            let further = match turn {
                1 => "to the next".to_owned(),
                _ => format!("to the one {turn} further"),
            };
            Suspect {
                class: Class::Counter,
                clause: Clause::Counter,
                rows: self.ground.table_rows(rows),
                evidence: format!(
                    "{} as a number in base {}, {} first: {what} from one unit {further} by {}, \
                     in {hits} of {} pairs",
                    naming(self.window, self.ground.width),
                    self.digits.base,
                    match self.end {
                        End::Most => "most significant",
                        End::Least => "least significant",
                    },
                    self.order.name(),
                    steps.len(),
                ),
            }
        });
    }
}

fn differences(values: &[u64], turn: usize, step: impl Fn(u64, u64) -> u64) -> Vec<u64> {
    let pairs = values.iter().zip(values.iter().skip(turn));
    pairs.map(|(&from, &to)| step(from, to)).collect()
}

/// The most common value but 0, and how often it comes.
fn mode(values: &[u64]) -> Option<(u64, usize)> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted
        .chunk_by(|a, b| a == b)
        .filter(|same| same[0] != 0)
        .map(|same| (same[0], same.len()))
        .max_by_key(|&(_, hits)| hits)
}

/// Passwords that rise or fall with an identifier or along the file, exceptions allowed.
pub(super) fn rises(table: &Table<'_>) -> Vec<Finding> {
    let Some(ground) = Ground::of(table) else {
        return vec![];
    };
    let mut tally = Tally::new("order");
    for reading in &ground.readings {
        let digits = Digits::of(&ground, reading);
        let fitting = digits.fitting();
        for order in ground.telling_orders() {
            for end in End::BOTH {
                for most in 0..ground.width {
                    let (first, length) = match end {
                        End::Most => (most, (ground.width - most).min(fitting)),
                        End::Least => (most + 1 - (most + 1).min(fitting), (most + 1).min(fitting)),
                    };
                    let window = Window { first, length };
                    let run = Run {
                        ground: &ground,
                        digits: &digits,
                        order,
                        window,
                        end,
                    };
                    run.rise(&mut tally);
                }
            }
        }
    }
    tally.findings(table)
}

impl Run<'_> {
    fn rise(&self, tally: &mut Tally) {
        let values = self.values();
        let falling: zeroize::Zeroizing<Vec<u64>> =
            zeroize::Zeroizing::new(values.iter().map(|&value| u64::MAX - value).collect());
        for (values, word) in [(&values, "rises"), (&falling, "falls")] {
            let length = longest_rise(values).0;
            tally.look(rising(values.len(), length), || {
                let rows = longest_rise(values)
                    .1
                    .into_iter()
                    .map(|n| self.order.rows[n]);
                Suspect {
                    class: Class::Counter,
                    clause: Clause::Counter,
                    rows: self.ground.table_rows(rows),
                    evidence: format!(
                        "{} {word} by {}, in {length} of {} rows",
                        naming(self.window, self.ground.width),
                        self.order.name(),
                        values.len(),
                    ),
                }
            });
        }
    }
}

/// Length of the longest strictly rising subsequence, and where it runs (patience sorting).
fn longest_rise(values: &[u64]) -> (usize, Vec<usize>) {
    let mut ends: Vec<usize> = vec![];
    let mut before: Vec<Option<usize>> = Vec::with_capacity(values.len());
    for (n, &value) in values.iter().enumerate() {
        let pile = ends.partition_point(|&end| values[end] < value);
        before.push(pile.checked_sub(1).map(|pile| ends[pile]));
        match ends.get_mut(pile) {
            Some(end) => *end = n,
            None => ends.push(n),
        }
    }
    let mut run: Vec<usize> = std::iter::successors(ends.last().copied(), |&n| before[n]).collect();
    run.reverse();
    (run.len(), run)
}

/// Neighbours that share symbols or bits, repeat after a number of units, or are shifted copies.
pub(super) fn alike(table: &Table<'_>) -> Vec<Finding> {
    let Some(ground) = Ground::of(table) else {
        return vec![];
    };
    let mut tally = Tally::new("neighbours");
    let digits = Digits::of(&ground, &ground.readings[0]);
    for order in ground.telling_orders() {
        for period in (1..=PERIODS).take_while(|period| period * 2 < order.rows.len()) {
            for place in 0..ground.width {
                repeats(&ground, &digits, order, (period, place), &mut tally);
            }
            if period <= TURNS && ground.one_by_one() {
                shared(&ground, order, period, &mut tally);
            }
        }
        if digits.base.is_power_of_two() && ground.one_by_one() {
            shifted(&ground, &digits, order, &mut tally);
        }
    }
    tally.findings(table)
}

/// One symbol, a number of units further: the same difference again and again.
fn repeats(
    ground: &Ground,
    digits: &Digits,
    order: &Order,
    (period, place): (usize, usize),
    tally: &mut Tally,
) {
    let base = digits.base as usize;
    let pairs = || order.rows.iter().zip(&order.rows[period..]);
    let step = |from: usize, to: usize| {
        let from = usize::from(digits.row(from)[place]);
        (usize::from(digits.row(to)[place]) + base - from) % base
    };
    let mut counts = vec![0usize; base];
    for (&from, &to) in pairs() {
        counts[step(from, to)] += 1;
    }
    let window = Window {
        first: place,
        length: 1,
    };
    let Some((most, &hits)) = counts.iter().enumerate().max_by_key(|(_, hits)| **hits) else {
        return;
    };
    let compared = order.rows.len() - period;
    tally.look(most_common(compared, hits, ground.chance(window)), || {
        let same = pairs().filter(|&(&from, &to)| step(from, to) == most);
        Suspect {
            class: Class::Counter,
            clause: Clause::Counter,
            rows: ground.table_rows(same.flat_map(|(&from, &to)| [from, to])),
            evidence: format!(
                "{} and the one {period} further by {} differ by the same amount in {hits} of \
                 {compared} pairs",
                naming(window, ground.width),
                order.name(),
            ),
        }
    });
}

/// Symbols that neighbours have in common.
fn shared(ground: &Ground, order: &Order, period: usize, tally: &mut Tally) {
    let pairs = || order.rows.iter().zip(&order.rows[period..]);
    let common = |from: usize, to: usize| {
        let symbols = ground.symbols(from).iter().zip(ground.symbols(to));
        symbols.filter(|(a, b)| a == b).count()
    };
    let hits: usize = pairs().map(|(&from, &to)| common(from, to)).sum();
    let places =
        (0..ground.width).map(|first| 10f64.powf(ground.chance(Window { first, length: 1 })));
    let mean = places.sum::<f64>() / ground.width as f64;
    let compared = (order.rows.len() - period) * ground.width;
    tally.look(tail(compared, hits, mean.log10()), || {
        let most = pairs().filter(|&(&from, &to)| common(from, to) * 2 >= ground.width);
        Suspect {
            class: Class::Counter,
            clause: Clause::Counter,
            rows: ground.table_rows(most.flat_map(|(&from, &to)| [from, to])),
            evidence: format!(
                "units {period} apart by {} share {hits} of {compared} symbols, chance gives {:.0}",
                order.name(),
                mean * compared as f64,
            ),
        }
    });
}

/// A password's bits against those of the one before, moved by some places.
fn shifted(ground: &Ground, digits: &Digits, order: &Order, tally: &mut Tally) {
    let each = digits.base.trailing_zeros() as usize;
    let bits = |row: usize| -> Vec<u8> {
        let digits = digits.row(row).iter();
        digits
            .flat_map(|&digit| (0..each).rev().map(move |bit| digit >> bit & 1))
            .collect()
    };
    let rows: Vec<Vec<u8>> = order.rows.iter().map(|&row| bits(row)).collect();
    let width = ground.width * each;
    let mut equal: BTreeMap<(bool, usize), usize> = BTreeMap::new();
    for pair in rows.windows(2) {
        for shift in 0..=SHIFTS.min(width / 2) {
            for (back, a, b) in [(false, &pair[0], &pair[1]), (true, &pair[1], &pair[0])] {
                let same = a[shift..].iter().zip(b).filter(|(a, b)| a == b).count();
                *equal.entry((back, shift)).or_default() += same;
            }
        }
    }
    // A bit is even when its symbol is; where it is not, one of two values is no measure.
    let even = (0..ground.width).all(|first| {
        let chance = ground.chance(Window { first, length: 1 });
        10f64.powf(chance) * digits.base as f64 <= 1.5
    });
    for ((back, shift), hits) in equal.into_iter().filter(|_| even) {
        let compared = (rows.len() - 1) * (width - shift);
        tally.look(tail(compared, hits, 0.5f64.log10()), || Suspect {
            class: Class::Counter,
            clause: Clause::Counter,
            rows: ground.table_rows(order.rows.iter().copied()),
            evidence: format!(
                "neighbours by {}, moved {} by {shift} bits, agree in {hits} of {compared} bits",
                order.name(),
                if back { "right" } else { "left" },
            ),
        });
    }
}
