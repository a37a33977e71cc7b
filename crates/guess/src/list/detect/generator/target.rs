//! The passwords a search wants to meet, found by their first symbols.

use zeroize::Zeroizing;

use super::field::Field;

/// Bits of the filters: the first of 8 KiB, so that those of a few sizes stay in a core's nearest
/// cache, and behind it one of 128 KiB that lets hardly anything through.
const NEAR_BITS: u32 = 16;
const FILTER_BITS: u32 = 20;

/// Most different beginnings that are told apart.
const CODES: usize = 1 << 26;

/// A password in one order, forwards or backwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Row of the table.
    pub(super) row: u32,
    /// Order of the field.
    pub(super) order: u16,
    /// Last symbol first.
    pub(super) reversed: bool,
}

/// Passwords in all orders over alphabets of one size.
pub(super) struct Targets {
    pub(super) k: usize,
    pub(super) length: usize,
    /// Symbols that the filter looks at.
    pub(super) prefix: usize,
    near: Vec<u64>,
    filter: Vec<u64>,
    /// Code of the beginning, and which target; ascending.
    index: Zeroizing<Vec<(u32, u32)>>,
    targets: Vec<Target>,
    symbols: Zeroizing<Vec<u8>>,
}

impl Targets {
    /// One for each size of alphabet among the field's orders, `most` at most, likely ones first.
    pub(super) fn of(field: &Field<'_>, rows: &[usize], most: usize) -> Vec<Targets> {
        let mut sizes: Vec<usize> = vec![];
        for order in &field.orders {
            if !sizes.contains(&order.k) && sizes.len() < most {
                sizes.push(order.k);
            }
        }
        sizes
            .iter()
            .map(|&k| Targets::of_size(field, rows, k))
            .collect()
    }

    fn of_size(field: &Field<'_>, rows: &[usize], k: usize) -> Targets {
        let length = field.length();
        let mut prefix = 0;
        let mut codes = 1;
        while prefix < length && codes * k <= CODES {
            codes *= k;
            prefix += 1;
        }
        let mut made = Targets {
            k,
            length,
            prefix,
            near: vec![0; 1 << (NEAR_BITS - 6)],
            filter: vec![0; 1 << (FILTER_BITS - 6)],
            index: Zeroizing::new(vec![]),
            targets: vec![],
            symbols: Zeroizing::new(Vec::with_capacity(rows.len() * length * 2)),
        };
        for (number, order) in field
            .orders
            .iter()
            .enumerate()
            .filter(|(_, order)| order.k == k)
        {
            for &row in rows {
                for reversed in [false, true] {
                    let start = made.symbols.len();
                    made.symbols.extend(field.values(row, order));
                    if reversed {
                        made.symbols[start..].reverse();
                    }
                    let code = made.code(&made.symbols[start..start + prefix]);
                    for (filter, bits) in
                        [(&mut made.near, NEAR_BITS), (&mut made.filter, FILTER_BITS)]
                    {
                        let bit = place(code, bits);
                        filter[bit >> 6] |= 1 << (bit & 63);
                    }
                    made.index.push((code, made.targets.len() as u32));
                    let (row, order) = (row as u32, number as u16);
                    made.targets.push(Target {
                        row,
                        order,
                        reversed,
                    });
                }
            }
        }
        made.index.sort_unstable();
        made
    }

    /// The first symbols as a number.
    #[inline]
    pub(super) fn code(&self, symbols: &[u8]) -> u32 {
        let step = |code: u32, &symbol: &u8| code.wrapping_mul(self.k as u32) + u32::from(symbol);
        symbols.iter().fold(0, step)
    }

    /// Whether any password may begin so.
    #[inline]
    pub(super) fn may_begin(&self, code: u32) -> bool {
        let set = |filter: &[u64], bits| {
            let bit = place(code, bits);
            filter[bit >> 6] >> (bit & 63) & 1 == 1
        };
        set(&self.near, NEAR_BITS) && set(&self.filter, FILTER_BITS)
    }

    /// The passwords that begin so.
    pub(super) fn beginning(&self, code: u32) -> impl Iterator<Item = (Target, &[u8])> {
        let first = self.index.partition_point(|&(other, _)| other < code);
        let same = self.index[first..]
            .iter()
            .take_while(move |(other, _)| *other == code);
        same.map(|&(_, number)| {
            let number = number as usize;
            let start = number * self.length;
            (
                self.targets[number],
                &self.symbols[start..start + self.length],
            )
        })
    }
}

#[inline]
fn place(code: u32, bits: u32) -> usize {
    (code.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}
