//! The password as a number: a multiple of an identifier's number plus a constant, modulo
//! something. Multiplier, constant and modulus are unknown.

use super::chance::{Suspect, Tally, choose};
use super::columns::clause;
use super::digits::{Digits, End, above, naming};
use super::ground::{Ground, Window};
use super::pairing::{Pairing, Source};
use super::residues::{difference, greatest, inverse, plus, times};
use crate::Clause;
use crate::list::report::{Class, Finding};
use crate::list::table::Table;
use crate::list::table::mixed;

/// Pairs of rows from which multiplier and constant are solved: for whole passwords in the likeliest
/// reading, where one row of ten is then enough but for 1 list in 100; in other readings; for parts.
const TRIALS: usize = 480;
const OTHER_TRIALS: usize = 96;
const PART_TRIALS: usize = 24;

/// Rows on which a solution is tried before it is held against all.
const TRIED: usize = 40;

/// Readings of the alphabet that are tried.
const READINGS: usize = 4;

/// Least common modulus of so many rows, drawn so often.
const DETERMINANTS: usize = 8;
const DRAWS: usize = 12;

/// Finds `password = a * number + b`.
pub(super) fn affine(table: &Table<'_>) -> Vec<Finding> {
    let Some(ground) = Ground::of(table) else {
        return vec![];
    };
    let mut tally = Tally::new("modular");
    for pairing in Pairing::ALL {
        for source in Source::all(&ground, pairing) {
            let Some(line) = Line::of(&ground, &source) else {
                continue;
            };
            // A slipped row is looked at in the first reading only.
            let readings = match pairing {
                Pairing::Own => READINGS,
                _ => 1,
            };
            for (n, reading) in ground.readings.iter().take(readings).enumerate() {
                let digits = Digits::of(&ground, reading);
                for end in End::BOTH {
                    let trials = if n == 0 { TRIALS } else { OTHER_TRIALS };
                    line.known_modulus(&digits, end, trials, &mut tally);
                    line.unknown_modulus(&digits, end, &mut tally);
                }
                if n < 2 {
                    line.symbols(&digits, &mut tally);
                    line.exclusive_or(&digits, &mut tally);
                }
            }
        }
    }
    tally.findings(table)
}

/// A source with what its numbers have in common taken out.
pub(super) struct Line<'a> {
    pub(super) ground: &'a Ground,
    pub(super) source: &'a Source,
    /// Steps from the least number, and rows, ascending.
    pub(super) points: Vec<(u64, usize)>,
}

impl<'a> Line<'a> {
    fn of(ground: &'a Ground, source: &'a Source) -> Option<Line<'a>> {
        let mut points = source.sorted();
        let least = points.first()?.0;
        let common = points
            .iter()
            .fold(0, |gcd, &(x, _)| greatest(gcd, x - least));
        (points.len() >= 4 && common > 0).then_some(())?;
        for (x, _) in &mut points {
            *x = (*x - least) / common;
        }
        Some(Line {
            ground,
            source,
            points,
        })
    }

    pub(super) fn suspect(&self, rows: Vec<usize>, evidence: String) -> Suspect {
        let class = match self.source.column {
            Some(_) => Class::Arithmetic,
            None => Class::Counter,
        };
        Suspect {
            class,
            clause: self.source.column.map_or(Clause::Counter, clause),
            rows: self.ground.table_rows(rows),
            evidence,
        }
    }

    /// Modulo a power of the base, which cuts off leading digits, and modulo powers of two.
    fn known_modulus(&self, digits: &Digits, end: End, most: usize, tally: &mut Tally) {
        let (width, fitting) = (self.ground.width, digits.fitting());
        for least in 0..width {
            let room = match end {
                End::Most => least + 1,
                End::Least => width - least,
            };
            let Some(window) = above(least, room.min(fitting), end, width) else {
                continue;
            };
            let edge = (end == End::Most) == (least + 1 == width) && room == width;
            let trials = if edge { most } else { PART_TRIALS };
            let modulus = digits.modulus(window);
            let number = |row: usize| digits.number(row, window, end);
            self.solve(window, (modulus, trials), &number, tally);
            if edge && window.length == width && !digits.base.is_power_of_two() {
                for bits in (16..=56).step_by(8).filter(|&bits| 1 << bits < modulus) {
                    self.solve(window, (1 << bits, PART_TRIALS), &number, tally);
                }
            }
        }
    }

    /// Solves multiplier and constant from two rows, and counts the rows that agree.
    fn solve(
        &self,
        window: Window,
        (modulus, trials): (u64, usize),
        number: &dyn Fn(usize) -> u64,
        tally: &mut Tally,
    ) {
        let points = &self.points;
        // The chance of one residue is at least that of the window's symbols.
        let one = (1.0 / modulus as f64)
            .log10()
            .max(self.ground.chance(window));
        let draw = |n: usize| points[(mixed(n as u64) % points.len() as u64) as usize];
        let mut best: (usize, u64, (u64, usize)) = (0, 0, points[0]);
        for trial in 0..trials {
            let (from, to) = (draw(2 * trial), draw(2 * trial + 1));
            let Some(slope) = slope(from, to, modulus, number) else {
                continue;
            };
            let agrees = |&(x, row): &(u64, usize)| {
                let steps = times(slope, difference(x, from.0, modulus), modulus);
                plus(number(from.1) % modulus, steps, modulus) == number(row) % modulus
            };
            let stride = points.len().div_ceil(TRIED);
            let few = points.iter().skip(trial % stride).step_by(stride);
            let others = few.filter(|point| point.1 != from.1 && point.1 != to.1);
            if others.filter(|point| agrees(point)).count() == 0 {
                continue;
            }
            let hits = points.iter().filter(|point| agrees(point)).count();
            if hits > best.0 {
                best = (hits, slope, from);
            }
        }
        let (hits, slope, from) = best;
        let chance = match hits {
            0..=2 => 0.0,
            _ => (choose(points.len(), hits) + (hits - 2) as f64 * one).min(0.0),
        };
        tally.look(chance, || {
            let agrees = |&&(x, row): &&(u64, usize)| {
                let steps = times(slope, difference(x, from.0, modulus), modulus);
                plus(number(from.1) % modulus, steps, modulus) == number(row) % modulus
            };
            let rows = points.iter().filter(agrees).map(|&(_, row)| row).collect();
            let evidence = format!(
                "{} = a constant times {}, plus a constant, modulo {modulus}, in {hits} of {} rows",
                naming(window, self.ground.width),
                self.source.name,
                points.len(),
            );
            self.suspect(rows, evidence)
        });
    }

    /// The determinant of three points on a line is 0 modulo whatever the modulus is: what many
    /// determinants have in common is the modulus, and by chance nothing large.
    fn unknown_modulus(&self, digits: &Digits, end: End, tally: &mut Tally) {
        let points = &self.points;
        let reach = points.last().map_or(0, |last| last.0);
        let taken = DETERMINANTS.min(points.len() - 2);
        if reach >= 1 << 48 || taken < 3 || digits.whole(0, end).is_none() {
            return;
        }
        let whole = |row: usize| digits.whole(row, end).map_or(0, |value| value as i128);
        for draw in 0..DRAWS {
            let pick = |n: usize| (mixed((draw << 8 | n) as u64) % points.len() as u64) as usize;
            let first = pick(0).min(points.len() - 2);
            let (from, to) = (points[first], points[first + 1]);
            let mut others: Vec<(u64, usize)> = (1..=4 * taken).map(|n| points[pick(n)]).collect();
            others.sort_unstable();
            others.dedup();
            others.retain(|point| *point != from && *point != to);
            others.truncate(taken);
            let step = |x: u64| i128::from(x) - i128::from(from.0);
            let common = others
                .iter()
                .fold(0, |gcd, &(x, _)| greatest(gcd, step(x).unsigned_abs()));
            let common = greatest(common, step(to.0).unsigned_abs()).max(1) as i128;
            let (run, rise) = (step(to.0) / common, whole(to.1) - whole(from.1));
            let off = |(x, row): (u64, usize)| {
                rise * (step(x) / common) - (whole(row) - whole(from.1)) * run
            };
            let mut modulus = others
                .iter()
                .fold(0, |gcd, &point| greatest(gcd, off(point).unsigned_abs()));
            // What divides the run makes one of two factors 0, and is no sign of a modulus.
            while modulus > 0 && greatest(modulus, run.unsigned_abs()) > 1 {
                modulus /= greatest(modulus, run.unsigned_abs());
            }
            // Symbols that are not even favour residues of their base.
            let base = u128::from(digits.base);
            while modulus > 0 && self.ground.is_uneven() && greatest(modulus, base) > 1 {
                modulus /= greatest(modulus, base);
            }
            if run == 0 || others.len() < 3 {
                continue;
            }
            // Over integers, with no modulus at all, the determinants are 0.
            let size = if modulus == 0 {
                self.chance_of_zero(digits)
            } else {
                (modulus as f64).log10()
            };
            let chance = -((others.len() - 1) as f64) * size + 0.5;
            tally.look(chance.min(0.0), || {
                let agrees = |&&point: &&(u64, usize)| match modulus {
                    0 => off(point) == 0,
                    _ => off(point).unsigned_abs() % modulus == 0,
                };
                let rows: Vec<usize> = points.iter().filter(agrees).map(|&(_, row)| row).collect();
                let evidence = format!(
                    "the password = a constant times {}, plus a constant{}, in {} of {} rows",
                    self.source.name,
                    match modulus {
                        0 => String::new(),
                        _ => format!(", modulo a number that divides {modulus}"),
                    },
                    rows.len(),
                    points.len(),
                );
                self.suspect(rows, evidence)
            });
        }
    }

    /// How many values a password has, as log10, should it be exactly on a line.
    fn chance_of_zero(&self, digits: &Digits) -> f64 {
        let window = Window {
            first: 0,
            length: self.ground.width,
        };
        let all = -self.ground.chance(window);
        all.min(digits.width_log10())
    }
}

/// The multiplier that leads from one row to another, when there is exactly one.
fn slope(
    from: (u64, usize),
    to: (u64, usize),
    modulus: u64,
    number: &dyn Fn(usize) -> u64,
) -> Option<u64> {
    let run = difference(to.0, from.0, modulus);
    let rise = difference(number(to.1), number(from.1), modulus);
    // A password that is there twice says nothing of the number.
    (rise != 0).then_some(())?;
    Some(times(rise, inverse(run, modulus)?, modulus))
}
