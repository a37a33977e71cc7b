//! The affine test over GF(2): is a bit of the password a sum of bits that anybody can read?
//!
//! XOR, CRC, LFSR, Gray codes, permutations and complements of bits are such sums, and so are tables
//! of single characters when each value of a character is a bit of its own. Gaussian elimination
//! needs as many rows as there are independent bits, r; each of the other N - r must then agree,
//! and a random bit does so with 1 / 2.

use zeroize::Zeroizing;

use super::chance::{Suspect, Tally, choose, tail};
use super::columns::clause;
use super::digits::Digits;
use super::features::Features;
use super::ground::Ground;
use super::pairing::Pairing;
use super::planes::{Bits, HALF};
use crate::Clause;
use crate::list::report::{Class, Finding};
use crate::list::table::Table;
use crate::list::table::mixed;

/// Rows of the elimination.
const ROWS: usize = 2_048;

/// Eliminations from other rows, when a wrong row among the first would spoil one, and the most
/// independent bits with which that is worth the time.
const TRIALS: u64 = 16;
const TRIAL_RANK: usize = 32;

/// Finds bits of the password that are sums of bits of identifiers.
pub(super) fn affine(table: &Table<'_>) -> Vec<Finding> {
    let Some(ground) = Ground::of(table) else {
        return vec![];
    };
    let mut tally = Tally::new("bits");
    let bits = Bits::of(&ground);
    let rows = taken(&ground);
    for pairing in Pairing::ALL {
        let mut sets = Features::all(&ground, pairing);
        if pairing == Pairing::Own {
            sets.extend(Features::before(
                &ground,
                &Digits::of(&ground, &ground.readings[0]),
            ));
        }
        for features in sets {
            let system = System::of(&features, &bits, &rows);
            let first = system.look(&ground, &bits, &features, 0, &mut tally);
            if pairing == Pairing::Own && first <= TRIAL_RANK {
                for trial in 1..TRIALS {
                    system.look(&ground, &bits, &features, trial, &mut tally);
                }
            }
        }
    }
    tally.findings(table)
}

/// At most [`ROWS`] rows: half of them neighbours, half spread.
fn taken(ground: &Ground) -> Vec<usize> {
    if ground.len() <= ROWS {
        return (0..ground.len()).collect();
    }
    let identified = ground.orders.iter().find(|order| order.by.is_some());
    let order = identified.unwrap_or(&ground.orders[0]);
    let neighbours = order.rows.iter().take(ROWS / 2).copied();
    let spread = (0..ROWS / 2).map(|n| n * ground.len() / (ROWS / 2));
    let mut rows: Vec<usize> = neighbours.chain(spread).collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// Features and password bits of the rows that have both, side by side.
struct System {
    /// Rows of the ground.
    rows: Vec<usize>,
    /// Words of features, the first bit being 1 in all rows.
    features: usize,
    words: usize,
    matrix: Zeroizing<Vec<u64>>,
}

impl System {
    fn of(features: &Features, bits: &Bits, rows: &[usize]) -> System {
        let longest = features.rows.iter().flatten().map(Vec::len).max();
        let width = (longest.unwrap_or(0) + 1).div_ceil(64);
        let words = width + bits.words;
        let mut matrix = Zeroizing::new(Vec::with_capacity(rows.len() * words));
        let mut used = vec![];
        for &row in rows {
            let Some(features) = &features.rows[row] else {
                continue;
            };
            let mut line = vec![0u64; width];
            line[0] = 1;
            for (n, _) in features.iter().enumerate().filter(|(_, bit)| **bit) {
                line[(n + 1) / 64] |= 1 << ((n + 1) % 64);
            }
            matrix.extend_from_slice(&line);
            matrix.extend_from_slice(&bits.rows[row * bits.words..][..bits.words]);
            used.push(row);
        }
        System {
            rows: used,
            features: width,
            words,
            matrix,
        }
    }

    /// Eliminates in an order of rows; the independent ones, and what the others leave over.
    fn eliminate(&self, trial: u64) -> (usize, Vec<(usize, Vec<u64>)>) {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|&n| mixed(trial << 32 | n as u64));
        let mut pivots: Vec<(usize, u32, Zeroizing<Vec<u64>>)> = vec![];
        let mut left = vec![];
        for n in order {
            let mut line = Zeroizing::new(self.matrix[n * self.words..][..self.words].to_vec());
            for (word, bit, pivot) in &pivots {
                if line[*word] >> bit & 1 == 1 {
                    line.iter_mut().zip(pivot.iter()).for_each(|(a, b)| *a ^= b);
                }
            }
            match line[..self.features].iter().position(|&word| word != 0) {
                Some(word) => pivots.push((word, line[word].trailing_zeros(), line)),
                None => left.push((n, line[self.features..].to_vec())),
            }
        }
        (pivots.len(), left)
    }

    /// One elimination: its rank.
    fn look(
        &self,
        ground: &Ground,
        bits: &Bits,
        features: &Features,
        trial: u64,
        tally: &mut Tally,
    ) -> usize {
        let (rank, left) = self.eliminate(trial);
        // The constant alone, or no row to spare: nothing can be said.
        if rank < 2 || left.len() < 2 {
            return usize::MAX;
        }
        let mut wrong = vec![0usize; bits.chances.len()];
        for (_, line) in &left {
            for (n, wrong) in wrong.iter_mut().enumerate() {
                *wrong += (line[n / 64] >> (n % 64) & 1) as usize;
            }
        }
        let sum = Sum {
            system: self,
            ground,
            features,
            rank,
            left: &left,
        };
        sum.single_bits(bits, &wrong, tally);
        sum.bits_together(bits, &wrong, tally);
        sum.rows_together(bits, tally);
        rank
    }
}

/// What one elimination shows.
struct Sum<'a> {
    system: &'a System,
    ground: &'a Ground,
    features: &'a Features,
    rank: usize,
    left: &'a [(usize, Vec<u64>)],
}

impl Sum<'_> {
    /// A bit that agrees in most rows: among 2^rank sums, one may by chance.
    fn single_bits(&self, bits: &Bits, wrong: &[usize], tally: &mut Tally) {
        let all = self.system.rows.len();
        for (n, &wrong) in wrong.iter().enumerate() {
            let chance = tail(all, all - wrong, bits.chances[n]) - self.rank as f64 * HALF;
            tally.look(chance.min(0.0), || {
                let agrees = |line: &[u64]| line[n / 64] >> (n % 64) & 1 == 0;
                self.suspect(agrees, "a bit of the password is")
            });
        }
    }

    /// Bits that agree in every row, of those that are independent.
    fn bits_together(&self, bits: &Bits, wrong: &[usize], tally: &mut Tally) {
        for group in &bits.groups {
            let exact = group.iter().filter(|&&n| wrong[n] == 0).count();
            let each = self.left.len() as f64 * HALF;
            tally.look(tail(group.len(), exact, each), || {
                self.suspect(|_| true, &format!("{exact} bits of the password are"))
            });
        }
    }

    /// Rows in which every independent bit agrees.
    fn rows_together(&self, bits: &Bits, tally: &mut Tally) {
        for group in bits.groups.iter().filter(|group| !group.is_empty()) {
            let agrees = |line: &[u64]| group.iter().all(|n| line[n / 64] >> (n % 64) & 1 == 0);
            let exact = self.left.iter().filter(|(_, line)| agrees(line)).count();
            let named = choose(self.system.rows.len(), self.rank + exact);
            let chance = named + (exact * group.len()) as f64 * HALF;
            tally.look(chance.min(0.0), || {
                self.suspect(agrees, &format!("{} bits of the password are", group.len()))
            });
        }
    }

    fn suspect(&self, agrees: impl Fn(&[u64]) -> bool, what: &str) -> Suspect {
        let left = self.left.iter();
        let wrong: std::collections::HashSet<usize> = left
            .filter(|(_, line)| !agrees(line))
            .map(|(n, _)| *n)
            .collect();
        let all = self.system.rows.len();
        let rows = (0..all)
            .filter(|n| !wrong.contains(n))
            .map(|n| self.system.rows[n]);
        let columns = &self.features.columns;
        let identifying = columns
            .iter()
            .find(|&&column| clause(column) == Clause::Identifier);
        let column = identifying.or(columns.first());
        Suspect {
            class: if column.is_some() {
                Class::Arithmetic
            } else {
                Class::Counter
            },
            clause: column.map_or(Clause::Counter, |&column| clause(column)),
            rows: self.ground.table_rows(rows),
            evidence: format!(
                "{what} the exclusive or of bits of {} ({} independent ones), in {} of {all} rows",
                self.features.name,
                self.rank - 1,
                all - wrong.len(),
            ),
        }
    }
}
