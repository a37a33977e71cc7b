//! Single symbols that are a multiple of a number, and pairs of units that differ in the same bits.

use super::chance::{Tally, choose, most_common};
use super::digits::{Digits, naming};
use super::ground::Window;
use super::modular::Line;

/// Rows that are read for single symbols.
const SYMBOL_ROWS: usize = 2_048;

/// Units further apart than this by their number are not paired.
const FAR: usize = 8;

/// Symbols that are compared at once.
const PACKED: usize = 18;

impl Line<'_> {
    /// One symbol = a * number + b modulo the base, whatever the others do.
    pub(super) fn symbols(&self, digits: &Digits, tally: &mut Tally) {
        let base = digits.base as usize;
        let stride = self.points.len().div_ceil(SYMBOL_ROWS);
        let points: Vec<(usize, usize)> = self
            .points
            .iter()
            .step_by(stride)
            .map(|&(x, row)| ((x % digits.base) as usize, row))
            .collect();
        for place in 0..self.ground.width {
            let window = Window {
                first: place,
                length: 1,
            };
            let one = self.ground.chance(window);
            // Rows by the number modulo the base and by the symbol.
            let mut cells = vec![0usize; base * base];
            for &(x, row) in &points {
                cells[x * base + usize::from(digits.row(row)[place])] += 1;
            }
            let mut best = (0, 0, 0);
            for slope in 1..base {
                let mut counts = vec![0usize; base];
                for x in 0..base {
                    let shift = slope * x % base;
                    for (symbol, hits) in cells[x * base..][..base].iter().enumerate() {
                        counts[(symbol + base - shift) % base] += hits;
                    }
                }
                let line = counts
                    .into_iter()
                    .enumerate()
                    .map(|(at, hits)| (hits, slope, at));
                best = line.fold(best, Ord::max);
            }
            let (hits, slope, at) = best;
            let chance = most_common(points.len(), hits, one);
            tally.look_among(base, chance, || {
                let on_line = |&&(x, row): &&(usize, usize)| {
                    (slope * x + at) % base == usize::from(digits.row(row)[place])
                };
                let rows = points.iter().filter(on_line).map(|&(_, row)| row).collect();
                let evidence = format!(
                    "{} = a constant times {}, plus a constant, modulo {base}, in {hits} of {} rows",
                    naming(window, self.ground.width),
                    self.source.name,
                    points.len(),
                );
                self.suspect(rows, evidence)
            });
        }
    }

    /// Pairs of units whose numbers differ in the same bits: do their passwords as well?
    ///
    /// Rows that are in such pairs of pairs are counted, four to a coincidence: a set of units may
    /// be paired in several ways, but each coincidence brings at most four rows.
    pub(super) fn exclusive_or(&self, digits: &Digits, tally: &mut Tally) {
        let width = self.ground.width;
        // The numbers as they are: less a constant, they differ in other bits.
        let sorted = self.source.sorted();
        let stride = sorted.len().div_ceil(SYMBOL_ROWS);
        let points: Vec<(u64, usize)> = sorted.into_iter().step_by(stride).collect();
        let (half, most) = (width.div_ceil(2), width.min(PACKED));
        for (first, length) in [
            (0, most),
            (0, half.min(most)),
            (width - half.min(most), half.min(most)),
        ] {
            let window = Window { first, length };
            let packed = |row: usize| {
                let digits = digits.row(row)[first..first + length].iter();
                digits.fold(0u128, |all, &digit| all << 7 | u128::from(digit))
            };
            let values: Vec<(u64, u128, usize)> = points
                .iter()
                .map(|&(x, row)| (x, packed(row), row))
                .collect();
            let mut pairs: Vec<(u64, u128, [usize; 2])> = vec![];
            for far in 1..=FAR.min(values.len() - 1) {
                let ahead = values.iter().zip(&values[far..]);
                pairs.extend(ahead.map(|(a, b)| (a.0 ^ b.0, a.1 ^ b.1, [a.2, b.2])));
            }
            pairs.retain(|pair| pair.0 != 0 && pair.1 != 0);
            pairs.sort_unstable();
            let same_number = pairs.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len);
            let chances: f64 = same_number.map(|n| n as f64 * (n as f64 - 1.0) / 2.0).sum();
            let same = pairs.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
            let mut rows: Vec<usize> = same
                .filter(|same| same.len() > 1)
                .flatten()
                .flat_map(|pair| pair.2)
                .collect();
            rows.sort_unstable();
            rows.dedup();
            let independent = rows.len().div_ceil(4);
            let chance = choose(chances as usize, independent)
                + independent as f64 * self.ground.chance(window);
            tally.look(chance.min(0.0), || {
                let evidence = format!(
                    "where {} differs in the same bits, so does {}, in {} of {} rows",
                    self.source.name,
                    naming(window, width),
                    rows.len(),
                    points.len(),
                );
                self.suspect(rows.clone(), evidence)
            });
        }
    }
}
