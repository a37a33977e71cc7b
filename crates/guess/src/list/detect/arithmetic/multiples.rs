//! Single symbols that are a multiple of a number, and pairs of units that differ in the same bits.

use super::chance::{Tally, most_common};
use super::digits::{Digits, naming};
use super::ground::Window;
use super::modular::Line;

/// Rows that are read for single symbols.
const SYMBOL_ROWS: usize = 2_048;

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
    pub(super) fn exclusive_or(&self, digits: &Digits, tally: &mut Tally) {
        let width = self.ground.width;
        let mut pairs: Vec<(u64, usize, usize)> = vec![];
        for far in 1..=3 {
            let ahead = self.points.iter().zip(self.points.iter().skip(far));
            pairs.extend(ahead.map(|(a, b)| (a.0 ^ b.0, a.1, b.1)));
        }
        pairs.retain(|pair| pair.0 != 0);
        pairs.sort_unstable();
        let mut groups: Vec<&[(u64, usize, usize)]> = pairs.chunk_by(|a, b| a.0 == b.0).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let half = width.div_ceil(2);
        let windows = [(0, width), (0, half), (width - half, half)];
        for group in groups.into_iter().take(3).filter(|group| group.len() > 2) {
            for (first, length) in windows {
                let window = Window { first, length };
                let between = |&(_, a, b): &(u64, usize, usize)| -> Vec<u8> {
                    let a = digits.row(a)[first..first + length].iter();
                    a.zip(&digits.row(b)[first..]).map(|(a, b)| a ^ b).collect()
                };
                let mut seen: Vec<Vec<u8>> = group.iter().map(between).collect();
                seen.sort_unstable();
                let alike = seen.chunk_by(|a, b| a == b);
                let nonzero = alike.filter(|same| same[0].iter().any(|&digit| digit != 0));
                let Some(same) = nonzero.max_by_key(|same| same.len()) else {
                    continue;
                };
                let chance = most_common(group.len(), same.len(), self.ground.chance(window));
                tally.look(chance, || {
                    let pairs = group.iter().filter(|pair| between(pair) == same[0]);
                    let rows = pairs.flat_map(|&(_, a, b)| [a, b]).collect();
                    let evidence = format!(
                        "where {} differs in the same bits, so does {}, in {} of {} pairs",
                        self.source.name,
                        naming(window, width),
                        same.len(),
                        group.len(),
                    );
                    self.suspect(rows, evidence)
                });
            }
        }
    }
}
