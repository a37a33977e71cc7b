//! Generators that are linear over GF(2): xorshift, feedback registers, MT19937, V8's
//! `Math.random`. Bits of their outputs obey a recurrence, whatever the seed.
//!
//! Which bits show: `value % k` keeps the low bits that `k` has as a factor, scaling keeps as many
//! high ones.

use std::sync::LazyLock;

use zeroize::Zeroizing;

use super::LINEAR;
use super::field::Field;
use super::rows::{Sequence, sequences};
use super::seeded::{RARE_LOG10, finding};
use super::source::{Engine, Stream};
use crate::Clause;
use crate::list::report::Finding;
use crate::list::table::Table;

/// Symbols of a row of bits whose linear complexity is measured; the time grows with the square.
const SHORT: usize = 3_000;

/// Bits of a place's own row.
const PLACE: usize = 800;

/// Symbols that are held against the twister's recurrence and against long periods.
const LONG: usize = 140_000;

/// Orders and bits of each that are looked at.
const ORDERS: usize = 3;
const DEPTH: u32 = 2;

/// V8 makes 64 values at a time and gives out the last first.
const BLOCK: usize = 64;

/// A row of bits, and what it is.
struct Plane {
    bits: Zeroizing<Vec<u8>>,
    name: &'static str,
}

/// Looks for a linear recurrence or a short period in any row of bits.
pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    let Some(field) = Field::of(table) else {
        return vec![];
    };
    let sequences = sequences(&field);
    let ways = sequences.len() * ORDERS * 2 * DEPTH as usize * (field.length() + 4);
    let ways = (ways as f64).log10();
    for sequence in &sequences {
        let most = LONG.div_ceil(field.length()).min(sequence.rows.len());
        let rows = &sequence.rows[..most];
        for order in field.orders.iter().take(ORDERS) {
            let symbols = field.stream(rows, order);
            for shift in 0..order.k.trailing_zeros().min(DEPTH) {
                for high in [false, true] {
                    let plane = plane(&symbols, order.k, shift, high);
                    let Some((structure, chance)) = judge(&plane, field.length()) else {
                        continue;
                    };
                    let chance = chance + ways;
                    if chance < RARE_LOG10 {
                        return vec![said(&field, sequence, rows, &plane, &structure, chance)];
                    }
                }
            }
        }
    }
    vec![]
}

fn said(
    field: &Field<'_>,
    sequence: &Sequence,
    rows: &[usize],
    plane: &Plane,
    structure: &str,
    chance: f64,
) -> Finding {
    let evidence = format!(
        "one stream of {structure} ({} of the symbols' numbers), {}, in {} of",
        plane.name,
        sequence.name,
        rows.len()
    );
    finding(LINEAR, field, Clause::Guessable, rows, chance, evidence)
}

fn plane(symbols: &[u8], k: usize, shift: u32, high: bool) -> Plane {
    let bit = |&symbol: &u8| match high {
        true => ((usize::from(symbol) << (shift + 1)) / k) as u8 & 1,
        false => symbol >> shift & 1,
    };
    Plane {
        bits: Zeroizing::new(symbols.iter().map(bit).collect()),
        name: if high { "high bits" } else { "low bits" },
    }
}

/// What structure a row of bits has, with the chance of as much in random bits.
fn judge(plane: &Plane, length: usize) -> Option<(String, f64)> {
    let bits = &plane.bits;
    let register = |bits: &[u8]| {
        let (complexity, chance) = short_recurrence(bits)?;
        let name = match complexity {
            0..24 => format!("a generator in a short cycle (linear complexity {complexity})"),
            _ => format!("a feedback register of {complexity} bits, such as xorshift,"),
        };
        Some((name, chance))
    };
    let head = &bits[..bits.len().min(SHORT)];
    if let Some(found) = register(head) {
        return Some(found);
    }
    let mut turned = Zeroizing::new(head.to_vec());
    turned.chunks_exact_mut(BLOCK).for_each(<[u8]>::reverse);
    if let Some(found) = register(&turned[..head.len() / BLOCK * BLOCK]) {
        return Some(found);
    }
    // One place of every password: also when passwords are written backwards.
    for place in 0..length {
        let own = bits.iter().skip(place).step_by(length).take(PLACE);
        let own: Zeroizing<Vec<u8>> = Zeroizing::new(own.copied().collect());
        if let Some(found) = register(&own) {
            return Some(found);
        }
    }
    twisted(bits).or_else(|| periodic(bits))
}

/// The linear complexity of bits that vary, when it is too small for random ones.
fn short_recurrence(bits: &[u8]) -> Option<(usize, f64)> {
    let most = bits.len().checked_sub(MARGIN)? / 2;
    let (complexity, _) = recurrence(bits, most)?;
    // A place that never changes is no generator.
    (complexity > 1).then(|| {
        let spare = bits.len() - 2 * complexity;
        (complexity, (2.0 - spare as f64) * std::f64::consts::LOG10_2)
    })
}

/// Bits beyond twice the complexity, which random bits pass with 2^-30 at least.
const MARGIN: usize = 30;

/// Berlekamp and Massey (Massey 1969) on packed words: the complexity and the connection
/// polynomial, or `None` as soon as the complexity is over `most`.
fn recurrence(bits: &[u8], most: usize) -> Option<(usize, Vec<u64>)> {
    let words = most / 64 + 2;
    let mut connection = vec![0u64; words];
    let mut before = vec![0u64; words];
    let mut window = Zeroizing::new(vec![0u64; words]);
    (connection[0], before[0]) = (1, 1);
    let (mut complexity, mut since) = (0usize, 1usize);
    for (at, &bit) in bits.iter().enumerate() {
        let used = complexity / 64 + 2;
        let mut carry = u64::from(bit);
        for word in window.iter_mut() {
            let out = *word >> 63;
            *word = *word << 1 | carry;
            carry = out;
        }
        let both = connection.iter().zip(window.iter()).take(used);
        let parity = both.fold(0, |sum, (a, b)| sum ^ (a & b)).count_ones() & 1;
        if parity == 0 {
            since += 1;
        } else if 2 * complexity <= at {
            let old = connection.clone();
            add_shifted(&mut connection, &before, since);
            complexity = at + 1 - complexity;
            if complexity > most {
                return None;
            }
            before = old;
            since = 1;
        } else {
            add_shifted(&mut connection, &before, since);
            since += 1;
        }
    }
    Some((complexity, connection))
}

fn add_shifted(to: &mut [u64], from: &[u64], by: usize) {
    let (words, bits) = (by / 64, by % 64);
    for at in words..to.len() {
        to[at] ^= from[at - words] << bits;
        if bits > 0 && at > words {
            to[at] ^= from[at - words - 1] >> (64 - bits);
        }
    }
}

/// Degree of MT19937's recurrence.
const DEGREE: usize = 19_937;

/// Bits that are held against it.
const CHECKED: usize = 400;

/// The places back that sum to nothing in every bit of MT19937's output; 135 of them, so a row of
/// bits is judged with 20,000 of them and not with 40,000. Every second output obeys it as well,
/// since squaring permutes the polynomial's roots.
static TWISTER: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut stream = Stream::new(Engine::Twister, 5_489);
    let bits: Vec<u8> = (0..2 * DEGREE + 64)
        .map(|_| (stream.next() >> 31) as u8)
        .collect();
    let connection = recurrence(&bits, DEGREE).map_or(vec![], |(_, connection)| connection);
    let set = |&place: &u32| connection[place as usize / 64] >> (place % 64) & 1 == 1;
    (0..=DEGREE as u32)
        .filter(|place| !connection.is_empty() && set(place))
        .collect()
});

fn twisted(bits: &[u8]) -> Option<(String, f64)> {
    let spare = bits.len().checked_sub(DEGREE + MARGIN)? + MARGIN;
    let checked = spare.min(CHECKED);
    let holds = |at: usize| {
        TWISTER
            .iter()
            .fold(0, |sum, &back| sum ^ bits[at - back as usize])
            == 0
    };
    let all = !TWISTER.is_empty() && (DEGREE..DEGREE + checked).all(holds);
    let varies = bits.iter().any(|&bit| bit != bits[0]);
    (all && varies).then(|| {
        let chance = -(checked as f64) * std::f64::consts::LOG10_2;
        ("Mersenne Twister".to_owned(), chance)
    })
}

/// The low bits of a congruential generator modulo a power of two: equal, or all opposite, after a
/// power of two.
fn periodic(bits: &[u8]) -> Option<(String, f64)> {
    for log in 1..17 {
        let period = 1usize << log;
        let Some(spare) = bits.len().checked_sub(period + MARGIN) else {
            break;
        };
        let checked = (spare + MARGIN).min(CHECKED);
        let pairs = || bits.iter().zip(&bits[period..]).take(checked);
        let equal = pairs().all(|(a, b)| a == b);
        let opposite = !equal && pairs().all(|(a, b)| a != b);
        let varies = bits[..checked].iter().any(|&bit| bit != bits[0]);
        if varies && (equal || opposite) {
            let chance = -(checked as f64) * std::f64::consts::LOG10_2 + 1.5;
            let name = format!("a congruential generator with a period of {period} in it");
            return Some((name, chance));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complexity_is_that_of_the_register() {
        let mut stream = Stream::new(Engine::Xorshift32, 77);
        let bits: Vec<u8> = (0..200).map(|_| stream.next() as u8 & 1).collect();
        let (complexity, chance) = short_recurrence(&bits).unwrap();
        assert_eq!(complexity, 32);
        assert!(chance < -40.0, "{chance}");
        let mut stream = Stream::new(Engine::SplitMix, 77);
        let bits: Vec<u8> = (0..2000).map(|_| stream.next() as u8 & 1).collect();
        assert_eq!(short_recurrence(&bits), None);
    }

    #[test]
    fn the_twister_has_135_taps() {
        // Matsumoto and Nishimura 1998, table II: the polynomial has 135 terms.
        assert_eq!(TWISTER.len(), 135);
        assert_eq!(TWISTER.last(), Some(&(DEGREE as u32)));
    }
}
