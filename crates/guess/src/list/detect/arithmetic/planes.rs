//! Passwords as bits.

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::digits::{Digits, End};
use super::ground::{Ground, Window};

/// Bits of the password that are looked at.
const BITS: usize = 448;

/// log10 of 1 / 2.
pub(super) const HALF: f64 = -std::f64::consts::LOG10_2;

/// Bits of the passwords.
pub(super) struct Bits {
    pub(super) words: usize,
    /// `words` for each row.
    pub(super) rows: Zeroizing<Vec<u64>>,
    /// log10 of the chance of the more common value of each bit.
    pub(super) chances: Vec<f64>,
    /// Bits that are even and independent of each other: those of symbols, and the low ones of the
    /// password's number from either end.
    pub(super) groups: [Vec<usize>; 3],
}

/// One bit of all passwords.
struct Plane {
    bits: Zeroizing<Vec<bool>>,
    group: Option<usize>,
}

impl Bits {
    pub(super) fn of(ground: &Ground) -> Bits {
        let mut planes: Vec<Plane> = vec![];
        for (n, reading) in ground.readings.iter().enumerate() {
            let digits = Digits::of(ground, reading);
            planes.extend(symbol_planes(ground, &digits, n == 0));
            if !digits.base.is_power_of_two() && !ground.mixed {
                planes.extend(number_planes(ground, &digits, n == 0));
            }
        }
        let mut seen = HashSet::new();
        planes.retain(|Plane { bits, .. }| {
            let normal: Vec<bool> = bits.iter().map(|bit| bit ^ bits[0]).collect();
            seen.insert(normal)
        });
        planes.truncate(BITS);
        let words = planes.len().div_ceil(64);
        let mut rows = Zeroizing::new(vec![0u64; ground.len() * words]);
        let mut chances = vec![];
        let mut groups = [vec![], vec![], vec![]];
        for (n, Plane { bits, group }) in planes.iter().enumerate() {
            let ones = bits.iter().filter(|bit| **bit).count();
            let most = ones.max(bits.len() - ones) as f64 / bits.len() as f64;
            // Short lists are uneven by chance.
            chances.push(group.map_or(most.log10().max(HALF), |_| HALF));
            if let Some(group) = group {
                groups[*group].push(n);
            }
            for (row, _) in bits.iter().enumerate().filter(|(_, bit)| **bit) {
                rows[row * words + n / 64] |= 1 << (n % 64);
            }
        }
        Bits {
            words,
            rows,
            chances,
            groups,
        }
    }
}

/// Each bit of each symbol. In lists of several formats, the upper ones tell the format.
fn symbol_planes(ground: &Ground, digits: &Digits, group: bool) -> Vec<Plane> {
    let each = (u64::BITS - (digits.base - 1).leading_zeros()) as usize;
    let even_bits = match digits.base {
        base if base.is_power_of_two() => each,
        base if base % 2 == 0 => 1,
        _ => 0,
    };
    let mut planes = vec![];
    for bit in 0..if ground.mixed { 1 } else { each } {
        for place in 0..ground.width {
            let bits = (0..ground.len()).map(|row| digits.row(row)[place] >> bit & 1 == 1);
            let fair =
                group && ground.one_by_one() && bit < even_bits && even(ground, place, digits);
            planes.push(Plane {
                bits: Zeroizing::new(bits.collect()),
                group: fair.then_some(0),
            });
        }
    }
    planes
}

/// The low bits of the password's number: a number modulo 10^7 keeps the 7 lowest.
fn number_planes(ground: &Ground, digits: &Digits, group: bool) -> Vec<Plane> {
    let low = (digits.base.trailing_zeros() as usize * ground.width).min(64);
    let fair =
        group && ground.one_by_one() && (0..ground.width).all(|place| even(ground, place, digits));
    let mut planes = vec![];
    for (n, end) in End::BOTH.into_iter().enumerate() {
        let number = |row: usize| {
            let add = |value: u64, digit: &u8| {
                let value = value.wrapping_mul(digits.base);
                value.wrapping_add(u64::from(*digit))
            };
            match end {
                End::Most => digits.row(row).iter().fold(0, add),
                End::Least => digits.row(row).iter().rfold(0, add),
            }
        };
        let numbers: Zeroizing<Vec<u64>> = Zeroizing::new((0..ground.len()).map(number).collect());
        planes.extend((0..low).map(|bit| {
            Plane {
                bits: Zeroizing::new(
                    numbers
                        .iter()
                        .map(|number| number >> bit & 1 == 1)
                        .collect(),
                ),
                group: fair.then_some(n + 1),
            }
        }));
    }
    planes
}

/// Whether the symbols at a place are as even as drawn ones.
fn even(ground: &Ground, place: usize, digits: &Digits) -> bool {
    let chance = ground.chance(Window {
        first: place,
        length: 1,
    });
    10f64.powf(chance) * digits.base as f64 <= 1.5
}
