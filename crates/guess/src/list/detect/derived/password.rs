//! How a password is read before it is held against an identifier, and what is common to the
//! passwords of a list.

use zeroize::Zeroize;

use crate::list::shape::Shape;
use crate::list::table::Table;

/// Bytes of a password that are looked at.
pub(super) const PLACES: usize = 64;

/// Rows from which places with one symbol count as constant.
const ROWS_FOR_CONSTANT: usize = 8;

/// Symbols from which their own frequencies say how likely two are alike.
const SYMBOLS_FOR_FREQUENCY: u64 = 100;

/// One way of reading a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reading {
    /// Letters and digits only, without case.
    Forward,
    /// The same from the end.
    Backward,
    /// The first, third, fifth ... letter or digit, without case.
    Odd,
    /// The second, fourth, sixth ...
    Even,
    /// All but the separators of the list's format, with case.
    Exact,
}

impl Reading {
    pub(super) const ALL: [Reading; 5] = [
        Reading::Forward,
        Reading::Backward,
        Reading::Odd,
        Reading::Even,
        Reading::Exact,
    ];

    /// Bits that naming it takes, so that the chances of all readings add up to one reading's.
    pub(super) fn cost(self) -> f64 {
        match self {
            Reading::Forward => 0.3,
            Reading::Backward | Reading::Exact => 3.5,
            Reading::Odd | Reading::Even => 5.0,
        }
    }
}

/// A password as it is read. Wiped when dropped.
pub(super) struct Read {
    pub(super) symbols: Vec<u8>,
    /// Where each symbol stands in the password as it is written.
    pub(super) from: Vec<u8>,
}

impl Default for Read {
    /// Room for any password, so that nothing is left behind by growing.
    fn default() -> Read {
        Read {
            symbols: Vec::with_capacity(PLACES),
            from: Vec::with_capacity(PLACES),
        }
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.symbols.zeroize();
    }
}

impl Read {
    /// Replaces what was read before.
    pub(super) fn read(&mut self, password: &[u8], reading: Reading, shape: &Shape) {
        self.symbols.clear();
        self.from.clear();
        let shaped = password.len() == shape.length;
        let kept = |place: usize, byte: u8| match reading {
            Reading::Exact => !(shaped && shape.separators.contains(&place)),
            _ => byte.is_ascii_alphanumeric(),
        };
        for (place, &byte) in password.iter().take(PLACES).enumerate() {
            if kept(place, byte) {
                self.symbols.push(match reading {
                    Reading::Exact => byte,
                    _ => byte.to_ascii_lowercase(),
                });
                self.from.push(place as u8);
            }
        }
        match reading {
            Reading::Backward => {
                self.symbols.reverse();
                self.from.reverse();
            }
            Reading::Odd => self.every_second(0),
            Reading::Even => self.every_second(1),
            Reading::Forward | Reading::Exact => {}
        }
    }

    fn every_second(&mut self, first: usize) {
        for texts in [&mut self.symbols, &mut self.from] {
            let kept = texts.len().saturating_sub(first).div_ceil(2);
            for place in 0..kept {
                texts[place] = texts[2 * place + first];
            }
            texts.truncate(kept);
        }
    }
}

/// What the passwords of a list have in common.
pub(super) struct Ground {
    pub(super) shape: Shape,
    /// Whether their lengths differ.
    pub(super) lengths_differ: bool,
    /// Places that hold one symbol in all but 5 % of the rows, by [`Shape::length`].
    constant: [bool; PLACES],
    /// Symbols seen at each place, by [`Shape::length`], constant ones and separators left out.
    kinds: Vec<[bool; 256]>,
    /// Symbols seen at all of them.
    pub(super) seen: [u32; 256],
    /// Chance that two symbols agree, without case and with it.
    alike: [f64; 2],
    /// Whether the letters look like words: then they are worth 1.5 bits each, as English is.
    words: bool,
}

impl Ground {
    /// Looks at every row of a sample.
    pub(super) fn of(sample: &Table<'_>) -> Ground {
        let shape = Shape::of(sample);
        let rows = || (0..sample.len()).map(|row| sample.password(row));
        let constant = constants(rows().filter(|text| text.len() == shape.length));
        let mut seen = [0u32; 256];
        let mut kinds = vec![[false; 256]; shape.length.min(PLACES)];
        for text in rows() {
            let shaped = text.len() == shape.length;
            for (place, &byte) in text.iter().take(PLACES).enumerate() {
                let separates = shaped && shape.separators.contains(&place);
                if !(separates || shaped && constant[place]) {
                    seen[usize::from(byte)] += 1;
                    if shaped {
                        kinds[place][usize::from(byte)] = true;
                    }
                }
            }
        }
        let mut folded = [0u32; 256];
        for (byte, count) in seen.iter().enumerate() {
            folded[usize::from((byte as u8).to_ascii_lowercase())] += count;
        }
        let mut symbols: Vec<u8> = shape.alphabet.to_ascii_lowercase();
        symbols.sort_unstable();
        symbols.dedup();
        let words = words(&folded);
        Ground {
            lengths_differ: rows().any(|text| text.len() != shape.length),
            alike: [
                alike(&folded, symbols.len()),
                alike(&seen, shape.alphabet.len()),
            ],
            shape,
            constant,
            kinds,
            seen,
            words,
        }
    }

    /// Whether a place of a password is the same in nearly all of them.
    pub(super) fn is_constant(&self, password: &[u8], place: usize) -> bool {
        password.len() == self.shape.length && self.constant.get(place) == Some(&true)
    }

    /// The longest run of places at which no password shows a symbol beside these; places that
    /// separate or say nothing do not end a run.
    pub(super) fn holds(&self, symbols: &[u8], cased: bool) -> usize {
        let (mut longest, mut run) = (0, 0);
        for kinds in &self.kinds {
            let seen = (0..=255u8).filter(|byte| kinds[usize::from(*byte)]);
            let fits = |byte: u8| {
                symbols.contains(&byte) || !cased && symbols.contains(&byte.to_ascii_lowercase())
            };
            let (mut any, mut all) = (false, true);
            for byte in seen {
                any = true;
                all &= fits(byte);
            }
            run = match (any, all) {
                (true, true) => run + 1,
                (false, _) => run,
                _ => 0,
            };
            longest = longest.max(run);
        }
        longest
    }

    /// Chance that two symbols agree.
    pub(super) fn alike(&self, reading: Reading) -> f64 {
        self.alike[usize::from(reading == Reading::Exact)]
    }

    /// Chance that a symbol agrees that stands in a run of symbols of its kind: a format may keep
    /// some places for digits, or for words.
    pub(super) fn alike_in(&self, reading: Reading, run: &[u8]) -> f64 {
        let kind = if run.iter().all(u8::is_ascii_digit) {
            0.1
        } else if run.iter().all(u8::is_ascii_hexdigit) {
            1.0 / 16.0
        } else if run.iter().all(u8::is_ascii_alphabetic) {
            if self.words { 0.35 } else { 1.0 / 26.0 }
        } else {
            0.0
        };
        self.alike(reading).max(kind)
    }
}

fn constants<'p>(passwords: impl Iterator<Item = &'p [u8]>) -> [bool; PLACES] {
    let mut counts = vec![[0u32; 256]; PLACES];
    let mut rows = 0;
    for password in passwords {
        rows += 1;
        for (counts, &byte) in counts.iter_mut().zip(password) {
            counts[usize::from(byte)] += 1;
        }
    }
    let mut constant = [false; PLACES];
    for (constant, counts) in constant.iter_mut().zip(&counts) {
        let most = counts.iter().copied().max().unwrap_or(0) as usize;
        *constant = rows >= ROWS_FOR_CONSTANT && most * 20 >= rows * 19;
    }
    constant
}

/// One in the size of the alphabet, or more where some symbols are more frequent.
fn alike(counts: &[u32; 256], alphabet: usize) -> f64 {
    let all: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    let fair = 1.0 / alphabet.max(2) as f64;
    if all < SYMBOLS_FOR_FREQUENCY {
        return fair;
    }
    let pairs: u64 = counts
        .iter()
        .map(|&count| u64::from(count) * u64::from(count).saturating_sub(1))
        .sum();
    fair.max(pairs as f64 / (all * (all - 1)) as f64)
}

/// Vowels make two fifths of the letters of words, and a fifth of random letters.
fn words(folded: &[u32; 256]) -> bool {
    let count = |bytes: &mut dyn Iterator<Item = u8>| -> u32 {
        bytes.map(|byte| folded[usize::from(byte)]).sum()
    };
    let all: u32 = folded.iter().sum();
    let letters = count(&mut (b'a'..=b'z'));
    let vowels = count(&mut b"aeiou".iter().copied());
    letters * 10 > all * 6 && vowels * 10 > letters * 3
}
