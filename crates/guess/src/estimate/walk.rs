//! Walks over neighbouring keys of a keyboard or a number pad.

use std::sync::LazyLock;

use super::{Piece, folded};
use crate::dictionary::Bits16;

/// Rows of keys without shift, each with the column of its first key.
type Rows = [(&'static [u8], i8)];

const QWERTY: &Rows = &[
    (b"`1234567890-=", 0),
    (b"qwertyuiop[]\\", 1),
    (b"asdfghjkl;'", 1),
    (b"zxcvbnm,./", 1),
];

const DVORAK: &Rows = &[
    (b"`1234567890[]", 0),
    (b"',.pyfgcrl/=\\", 1),
    (b"aoeuidhtns-", 1),
    (b";qjkxbmwvz", 1),
];

const PAD: &Rows = &[
    (b"/*-", 1),
    (b"789+", 0),
    (b"456", 0),
    (b"123", 0),
    (b"0.", 1),
];

const APPLE_PAD: &Rows = &[
    (b"=/*", 1),
    (b"789-", 0),
    (b"456+", 0),
    (b"123", 0),
    (b"0.", 1),
];

/// Neighbours on a keyboard, whose rows are set off by half a key: columns and rows away.
const SLANTED: &[(i8, i8)] = &[(-1, 0), (0, -1), (1, -1), (1, 0), (0, 1), (-1, 1)];

/// Neighbours on a pad, whose rows are not.
const ALIGNED: &[(i8, i8)] = &[
    (-1, 0),
    (-1, -1),
    (0, -1),
    (1, -1),
    (1, 0),
    (1, 1),
    (0, 1),
    (-1, 1),
];

/// Keyboards, then pads; a byte of `Walks::steps` each.
const LAYOUTS: [(&Rows, &[(i8, i8)]); 4] = [
    (QWERTY, SLANTED),
    (DVORAK, SLANTED),
    (PAD, ALIGNED),
    (APPLE_PAD, ALIGNED),
];

/// Symbols that a key has with shift, each before the one without.
const SHIFTED: &[u8] = b"~`!1@2#3$4%5^6&7*8(9)0_-+={[}]|\\:;\"'<,>.?/";

/// Distinct keys, those that folding merges counted once, and one for all that is no key.
const KEYS: usize = 48;

/// The longest walk that is priced; a longer one is two.
const LONGEST: usize = 32;

static WALKS: LazyLock<Walks> = LazyLock::new(Walks::new);

struct Walks {
    /// The key of each ASCII symbol; 0 is none.
    keys: [u8; 128],
    /// From key to key, for each layout a byte: a bit for each direction that leads there.
    steps: Vec<u32>,
    /// Cost by kind of layout, length and turns.
    costs: [Vec<Bits16>; 2],
}

impl Walks {
    fn new() -> Walks {
        let mut keys = [0; 128];
        let mut next = 1;
        let rows = LAYOUTS.iter().flat_map(|(rows, _)| rows.iter());
        for key in rows.flat_map(|(row, _)| row.iter()) {
            let key = usize::from(folded(unshifted(*key)));
            if keys[key] == 0 {
                keys[key] = next;
                next += 1;
            }
        }
        for symbol in 0..128u8 {
            keys[usize::from(symbol)] = keys[usize::from(folded(unshifted(symbol)))];
        }
        let mut steps = vec![0; KEYS * KEYS];
        for (layout, (rows, directions)) in LAYOUTS.iter().enumerate() {
            let places = || {
                (0i8..).zip(*rows).flat_map(|(y, (row, x))| {
                    (*x..)
                        .zip(*row)
                        .map(move |(x, key)| (keys[usize::from(*key)], x, y))
                })
            };
            for (from, x, y) in places() {
                for (to, other_x, other_y) in places() {
                    let way = (other_x - x, other_y - y);
                    if let Some(bit) = directions.iter().position(|there| *there == way) {
                        steps[usize::from(from) * KEYS + usize::from(to)] |=
                            1 << (8 * layout + bit);
                    }
                }
            }
        }
        Walks {
            keys,
            steps,
            // 94 symbols on a keyboard, 15 on a pad, and how many neighbours one has on average.
            costs: [costs(94.0, 4.0), costs(15.0, 5.0)],
        }
    }
}

/// The symbol of the same key without shift.
fn unshifted(symbol: u8) -> u8 {
    let pair = SHIFTED.chunks_exact(2).find(|pair| pair[0] == symbol);
    pair.map_or(symbol, |pair| pair[1])
}

/// The logarithm of how many walks have this length or less and so many turns or fewer.
fn costs(starts: f64, neighbours: f64) -> Vec<Bits16> {
    let mut costs = vec![0; (LONGEST + 1) * (LONGEST + 1)];
    for turns in 1..=LONGEST {
        let mut walks = 0.0;
        for length in 2..=LONGEST {
            // Where the walk turns, of the steps after its first.
            let mut places = 1.0;
            for turn in 1..=turns.min(length - 1) {
                walks += places * starts * neighbours.powi(turn as i32);
                places *= (length - 1 - turn) as f64 / turn as f64;
            }
            costs[length * (LONGEST + 1) + turns] = (walks.log2() * 16.0) as Bits16;
        }
    }
    costs
}

/// Walks of three keys and more.
pub(super) fn walks(symbols: &[u8], found: &mut impl FnMut(Piece)) {
    let walks = &*WALKS;
    let key = |symbol: u8| usize::from(*walks.keys.get(usize::from(symbol)).unwrap_or(&0));
    let step = |at: usize| walks.steps[key(symbols[at]) * KEYS + key(symbols[at + 1])];
    for start in 0..symbols.len().saturating_sub(2) {
        let (first, second) = (step(start), step(start + 1));
        if first == 0 || second == 0 {
            continue;
        }
        for layout in 0..LAYOUTS.len() {
            let costs = &walks.costs[layout / 2];
            let ways = |step: u32| (step >> (8 * layout)) as u8;
            let mut way = ways(first);
            if way == 0 {
                continue;
            }
            let mut turns = 1;
            for end in start + 3..=symbols.len().min(start + LONGEST) {
                let next = ways(step(end - 2));
                if next == 0 {
                    break;
                }
                // A symbol may be one of several keys: as few turns as any of them needs.
                way &= next;
                if way == 0 {
                    turns += 1;
                    way = next;
                }
                let cost = costs[(end - start) * (LONGEST + 1) + turns];
                found(Piece::new(start, end, cost));
            }
        }
    }
}
