//! The alphabets that a list may be written in.

use super::alphabet::{CASED, CASELESS};
use super::password::Ground;

/// Symbols an alphabet may have that is known from the list alone; more is noise, not a format.
const OWN_SYMBOLS: std::ops::RangeInclusive<usize> = 3..=128;

/// An alphabet this list may be written in.
pub(super) struct Symbols {
    pub(super) name: &'static str,
    pub(super) symbols: Vec<u8>,
    pub(super) cased: bool,
    /// Longest run of places at which no password shows another symbol.
    pub(super) holds: usize,
    /// Bits that naming it takes.
    pub(super) cost: f64,
}

/// The known alphabets whose symbols the list uses, and its own in the usual orders.
pub(super) fn alphabets(ground: &Ground) -> Vec<Symbols> {
    let seen = |byte: u8| ground.seen[usize::from(byte)] > 0;
    let any = |range: std::ops::RangeInclusive<u8>| range.into_iter().any(seen);
    let cased = any(b'a'..=b'z') && any(b'A'..=b'Z');
    let all: u32 = ground.seen.iter().sum();
    let used = |symbols: &[u8], cased: bool| {
        let here = |byte: u8| seen(byte) || !cased && seen(byte.to_ascii_uppercase());
        let count = symbols.iter().filter(|&&byte| here(byte)).count();
        count > 1 && (count * 10 >= symbols.len() * 7 || (all as usize) < 3 * symbols.len())
    };
    let known = CASELESS
        .iter()
        .map(|(name, symbols)| (*name, *symbols, false))
        .chain(CASED.iter().map(|(name, symbols)| (*name, *symbols, true)));
    let mut alphabets: Vec<Symbols> = known
        .filter(|(_, symbols, case)| used(symbols, *case) && (cased || !case))
        .map(|(name, symbols, cased)| Symbols {
            name,
            symbols: symbols.to_vec(),
            cased,
            holds: ground.holds(symbols, cased),
            cost: match symbols.len() {
                10 | 16 | 36 | 62 => 3.5,
                _ => 6.0,
            },
        })
        .collect();
    for symbols in own_orders(ground, cased) {
        if OWN_SYMBOLS.contains(&symbols.len())
            && !alphabets.iter().any(|known| known.symbols == symbols)
        {
            alphabets.push(Symbols {
                name: "the list's own symbols",
                holds: usize::MAX,
                symbols,
                cased,
                cost: 6.0,
            });
        }
    }
    alphabets
}

/// The symbols of the list: digits, capitals and small letters in every order of the three.
fn own_orders(ground: &Ground, cased: bool) -> Vec<Vec<u8>> {
    let mut symbols: Vec<u8> = (0..=255u8)
        .filter(|byte| ground.seen[usize::from(*byte)] > 0)
        .collect();
    if !cased {
        symbols.make_ascii_lowercase();
    }
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        _ => 3,
    };
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 2, 0],
        [2, 1, 0],
        [1, 0, 2],
        [2, 0, 1],
    ];
    let mut all: Vec<Vec<u8>> = orders
        .iter()
        .map(|order| {
            let mut symbols = symbols.clone();
            let rank = |byte: &u8| order.iter().position(|other| *other == kind(*byte));
            symbols.sort_by_key(|byte| (rank(byte).unwrap_or(3), *byte));
            symbols
        })
        .collect();
    // Plain byte order, in which marks stand between digits and letters.
    symbols.sort_unstable();
    all.push(symbols);
    all.sort();
    all.dedup();
    all
}
