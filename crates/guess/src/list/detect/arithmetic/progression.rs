//! The passwords as a set, whatever the units: counters that were shuffled, and small numbers that
//! were multiplied to fill a password.

use zeroize::Zeroizing;

use super::chance::{Suspect, Tally, choose, tail};
use super::digits::{Digits, End, above, naming};
use super::ground::{Ground, Window};
use super::planes::HALF;
use super::residues::greatest;
use crate::Clause;
use crate::list::report::{Class, Finding};
use crate::list::table::Table;

/// Steps up to 2^this are small.
const STEP_BITS: u32 = 40;

/// Bits that may have been spread over a password.
const SPREAD: std::ops::RangeInclusive<u32> = 8..=48;

/// Finds equal and small steps, common factors and spread numbers.
pub(super) fn sets(table: &Table<'_>) -> Vec<Finding> {
    let Some(ground) = Ground::of(table) else {
        return vec![];
    };
    let mut tally = Tally::new("progression");
    for reading in &ground.readings {
        let digits = Digits::of(&ground, reading);
        let fitting = digits.fitting();
        for end in End::BOTH {
            for least in 0..ground.width {
                let room = match end {
                    End::Most => least + 1,
                    End::Least => ground.width - least,
                };
                for length in [room.min(fitting), (room / 2).min(fitting), room.min(4)] {
                    let Some(window) = above(least, length.max(1), end, ground.width) else {
                        continue;
                    };
                    let set = Set::of(&ground, &digits, window, end);
                    set.small_steps(&mut tally);
                    set.equal_steps(&mut tally);
                    set.common_factor(&mut tally);
                }
            }
            let length = ground.width.min(fitting);
            if let Some(window) = above(ground.width - 1, length, End::Most, ground.width)
                && length == ground.width
            {
                Set::of(&ground, &digits, window, end).spread(&mut tally);
            }
        }
    }
    tally.findings(table)
}

/// The different numbers of a window, ascending.
struct Set<'a> {
    ground: &'a Ground,
    window: Window,
    base: u64,
    modulus: u64,
    numbers: Zeroizing<Vec<(u64, usize)>>,
}

impl<'a> Set<'a> {
    fn of(ground: &'a Ground, digits: &Digits, window: Window, end: End) -> Set<'a> {
        let rows = 0..ground.len();
        let mut numbers: Vec<(u64, usize)> = rows
            .map(|row| (digits.number(row, window, end), row))
            .collect();
        numbers.sort_unstable();
        numbers.dedup_by_key(|(number, _)| *number);
        Set {
            ground,
            window,
            base: digits.base,
            modulus: digits.modulus(window),
            numbers: Zeroizing::new(numbers),
        }
    }

    fn steps(&self) -> impl Iterator<Item = (u64, usize)> + '_ {
        let steps = self.numbers.windows(2).enumerate();
        steps.map(|(n, pair)| (pair[1].0 - pair[0].0, n))
    }

    /// log10 of the chance that the next number is one named beforehand: the density of them.
    fn density(&self) -> f64 {
        let one = self.ground.chance(self.window);
        let floor = -(self.modulus as f64).log10();
        one.max(floor) + (self.ground.len() as f64).log10()
    }

    fn suspect(&self, steps: impl Iterator<Item = usize>, evidence: String) -> Suspect {
        let rows = steps.flat_map(|n| [self.numbers[n].1, self.numbers[n + 1].1]);
        Suspect {
            class: Class::Counter,
            clause: Clause::Counter,
            rows: self.ground.table_rows(rows),
            evidence: format!(
                "{} as a number in base {}, sorted: {evidence}",
                naming(self.window, self.ground.width),
                self.base,
            ),
        }
    }

    /// More numbers close together than a draw leaves.
    fn small_steps(&self, tally: &mut Tally) {
        let mut steps: Vec<u64> = self.steps().map(|(step, _)| step).collect();
        steps.sort_unstable();
        for bits in 0..STEP_BITS {
            let most = 1u64 << bits;
            let chance = self.density() + f64::from(bits) * std::f64::consts::LOG10_2;
            if chance >= HALF {
                break;
            }
            let hits = steps.partition_point(|&step| step <= most);
            tally.look(tail(steps.len(), hits, chance), || {
                let small = self
                    .steps()
                    .filter(|&(step, _)| step <= most)
                    .map(|(_, n)| n);
                let evidence = format!(
                    "{hits} of {} are at most {most} from the next, chance gives {:.1}",
                    steps.len(),
                    10f64.powf(chance) * steps.len() as f64,
                );
                self.suspect(small, evidence)
            });
        }
    }

    /// The same step again and again, however large.
    fn equal_steps(&self, tally: &mut Tally) {
        let mut steps: Vec<u64> = self.steps().map(|(step, _)| step).collect();
        steps.sort_unstable();
        let equal = steps.chunk_by(|a, b| a == b);
        let Some(most) = equal.max_by_key(|equal| equal.len()) else {
            return;
        };
        let (step, hits) = (most[0], most.len());
        // The first names the step.
        let density = self.density().min(0.0);
        let chance = choose(steps.len(), hits) + (hits - 1) as f64 * density;
        tally.look(chance.min(0.0), || {
            let same = self
                .steps()
                .filter(|&(other, _)| other == step)
                .map(|(_, n)| n);
            self.suspect(same, format!("{hits} of {} steps are equal", steps.len()))
        });
    }

    /// All differences are multiples of something.
    fn common_factor(&self, tally: &mut Tally) {
        let factor = self.steps().fold(0, |gcd, (step, _)| greatest(gcd, step));
        if factor < 2 || self.numbers.len() < 4 {
            return;
        }
        // A symbol that is skewed favours residues of its base.
        let skewed = self.ground.chance(self.window) > -(self.modulus as f64).log10() + 0.5;
        let shared = if skewed { self.base } else { 1 };
        let mut rare = factor;
        while greatest(rare, shared) > 1 {
            rare /= greatest(rare, shared);
        }
        let most = self.modulus / self.numbers.len() as u64;
        let chance = (self.numbers.len() - 2) as f64 * -(rare.min(most) as f64).log10() + 0.3;
        tally.look(chance.min(0.0), || {
            let all = 0..self.numbers.len() - 1;
            self.suspect(all, format!("all differ by multiples of {factor}"))
        });
    }

    /// A number of `bits` bits times modulus / 2^`bits`: multiplied back, it is near a whole one.
    fn spread(&self, tally: &mut Tally) {
        let modulus = self.modulus;
        let mut turned: Zeroizing<Vec<u64>> =
            Zeroizing::new(self.numbers.iter().map(|&(number, _)| number).collect());
        for bits in 1..=*SPREAD.end() {
            for value in turned.iter_mut() {
                // Under 2^63, so twice as much still fits.
                *value = *value * 2 % modulus;
            }
            let near = 1u64 << bits;
            let one = (1.0 / modulus as f64).log10();
            let one = one.max(self.ground.chance(self.window));
            let chance = one + (near as f64 * 2.0).log10();
            if !SPREAD.contains(&bits) || chance > HALF * 8.0 {
                continue;
            }
            let whole = |&value: &u64| value <= near || modulus - value <= near;
            let hits = turned.iter().filter(|value| whole(value)).count();
            tally.look(tail(turned.len(), hits, chance), || {
                let spread = turned.iter().enumerate().filter(|(_, value)| whole(value));
                Suspect {
                    class: Class::Small,
                    clause: Clause::Guessable,
                    rows: self
                        .ground
                        .table_rows(spread.map(|(n, _)| self.numbers[n].1)),
                    evidence: format!(
                        "a number of {bits} bits, spread over the password, in {hits} of {} rows",
                        turned.len(),
                    ),
                }
            });
        }
    }
}
