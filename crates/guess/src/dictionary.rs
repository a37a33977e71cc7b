//! A dictionary of 92,000 words: which of them stand in a text, however they are dressed.
//!
//! Case and look-alikes do not matter: letters and the digits and signs that people write for them
//! are one class (`4` and `@` are A), also those that folding merges. A class is coarser than any
//! one custom of writing, so nothing written in such a custom is missed. Deliberately absent:
//! words under three letters and edit distances.

use std::sync::LazyLock;

use zeroize::Zeroizing;

/// Bits, in sixteenths: what costs are counted in.
pub(crate) type Bits16 = u16;

/// Classes of symbols: 24 of letters, one of all other symbols.
const CLASSES: usize = 25;

/// What stands for one letter or one digit; the rest of the letters stand for themselves.
///
/// The customs are those of zxcvbn's table, chained where they share a sign (1 is I and L, 7 is L
/// and T); folding adds nothing to them.
const ALIKE: [&[u8]; 10] = [
    b"A4@",
    b"B8",
    b"C([{<",
    b"E3",
    b"G69",
    b"ILT17!|+",
    b"O0",
    b"S5$",
    b"X%",
    b"Z2",
];

/// Letters of a word that are looked at: nobody can tell the 23 longest apart from their start.
const LONGEST: usize = 24;

/// Slots of the table, a power of two: nearly three for each word, so that probes are short.
const SLOTS: usize = 1 << 18;

/// Odd, with its bits evenly spread (the golden ratio).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut class = [CLASSES as u8 - 1; 256];
    let mut next = 0;
    let mut symbol = 0;
    while symbol < 128 {
        if class[symbol] as usize == CLASSES - 1 && (symbol as u8).is_ascii_uppercase() {
            class[symbol] = next;
            let mut row = 0;
            while row < ALIKE.len() {
                if ALIKE[row][0] == symbol as u8 {
                    let mut at = 1;
                    while at < ALIKE[row].len() {
                        class[ALIKE[row][at] as usize] = next;
                        at += 1;
                    }
                }
                row += 1;
            }
            next += 1;
        }
        symbol += 1;
    }
    let mut letter = b'A';
    while letter <= b'Z' {
        class[letter.to_ascii_lowercase() as usize] = class[letter as usize];
        letter += 1;
    }
    class
}

/// A text as classes of symbols, hyphens left out. Wiped when dropped.
pub(crate) fn dress_off(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut classes = Zeroizing::new(Vec::with_capacity(text.len()));
    classes.extend(text.iter().copied().filter_map(class));
    classes
}

fn class(symbol: u8) -> Option<u8> {
    (symbol != b'-').then(|| CLASS[usize::from(symbol)])
}

/// A word that begins where it was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Word {
    /// Its symbols.
    pub(crate) length: usize,
    /// The logarithm of its rank among words of its kind, rounded down to half a bit.
    pub(crate) rank: Bits16,
}

/// Every word, ready to be found. 2.2 MB, made in a few milliseconds at the first use.
static WORDS: LazyLock<Words> =
    LazyLock::new(|| Words::read(include_str!("../words/frequent.txt")));

struct Words {
    /// Whether a word begins with these four classes: 49 kB, which rules nearly every text out.
    starts: Vec<u64>,
    /// Rank and one of the words of three letters.
    threes: Vec<u8>,
    /// Open addressing; the upper 56 bits tell words apart, the lowest 8 are the rank. Two texts of
    /// one key, one in 2^38 or rarer, only make the gate stricter.
    slots: Vec<u64>,
}

impl Words {
    /// Lines `= N` head the words of rank 2^(N/2); `#` starts a comment.
    fn read(lines: &str) -> Words {
        let mut words = Words {
            starts: vec![0; CLASSES.pow(4).div_ceil(64)],
            threes: vec![0; CLASSES.pow(3)],
            slots: vec![0; SLOTS],
        };
        let mut rank = 0;
        let mut classes = Vec::new();
        for line in lines.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix("= ") {
                Some(head) => rank = head.parse::<u8>().map_or(0, |head| head.min(31) * 8),
                None => {
                    for word in line.split(' ') {
                        classes.clear();
                        classes.extend(word.bytes().filter_map(class));
                        words.insert(&classes, rank);
                    }
                }
            }
        }
        words
    }

    fn insert(&mut self, word: &[u8], rank: u8) {
        match word {
            [] | [_] | [_, _] => {}
            [_, _, _] => {
                let three = &mut self.threes[index(word)];
                if *three == 0 || *three > rank + 1 {
                    *three = rank + 1;
                }
            }
            _ => {
                let start = index(&word[..4]);
                self.starts[start / 64] |= 1 << (start % 64);
                let word = &word[..word.len().min(LONGEST)];
                let key = key(word.iter().fold(0, grown));
                let slot = self.slot(key);
                // Words of one key, which start alike, keep the better rank: it was read first.
                if self.slots[slot] == 0 {
                    self.slots[slot] = key | u64::from(rank);
                }
            }
        }
    }

    /// Where the key is, or the empty slot where it would be.
    fn slot(&self, key: u64) -> usize {
        let mut slot = (key >> (64 - SLOTS.ilog2())) as usize;
        while self.slots[slot] != 0 && self.slots[slot] & !0xff != key {
            slot = (slot + 1) % SLOTS;
        }
        slot
    }

    fn begins(&self, four: &[u8]) -> bool {
        let start = index(four);
        self.starts[start / 64] >> (start % 64) & 1 == 1
    }
}

/// The first classes as a number.
fn index(classes: &[u8]) -> usize {
    classes
        .iter()
        .fold(0, |index, &class| index * CLASSES + usize::from(class))
}

/// A word's hash with one more class.
fn grown(hash: u64, class: &u8) -> u64 {
    (hash + 1 + u64::from(*class))
        .wrapping_mul(SPREAD)
        .rotate_left(23)
}

/// What tells the word of this hash from others; never 0, its lowest 8 bits are.
fn key(hash: u64) -> u64 {
    (hash ^ hash >> 31).wrapping_mul(SPREAD) & !0xff | 0x100
}

/// Lends `found` every word that begins `classes`, the short ones first.
pub(crate) fn words_at(classes: &[u8], found: &mut impl FnMut(Word)) {
    let words = &*WORDS;
    let Some(three) = classes.get(..3) else {
        return;
    };
    if let Some(rank) = words.threes[index(three)].checked_sub(1) {
        found(Word {
            length: 3,
            rank: rank.into(),
        });
    }
    if !classes.get(..4).is_some_and(|four| words.begins(four)) {
        return;
    }
    let mut hash = three.iter().fold(0, grown);
    for (at, class) in classes.iter().enumerate().take(LONGEST).skip(3) {
        hash = grown(hash, class);
        let stored = words.slots[words.slot(key(hash))];
        if stored != 0 {
            found(Word {
                length: at + 1,
                rank: Bits16::from(stored as u8),
            });
        }
    }
}

/// The most symbols that words of four letters and more explain without overlapping.
pub(crate) fn covered(classes: &[u8]) -> usize {
    let mut most = vec![0; classes.len() + 1];
    for start in 0..classes.len() {
        let so_far = most[start];
        most[start + 1] = most[start + 1].max(so_far);
        words_at(&classes[start..], &mut |word| {
            if word.length >= 4 {
                let end = &mut most[start + word.length];
                *end = (*end).max(so_far + word.length);
            }
        });
    }
    most[classes.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: usize) {
        assert_eq!(covered(&dress_off(text.as_bytes())), expected, "{text}");
    }

    #[test]
    fn words_are_found_in_every_dress() {
        for text in [
            "elephant",
            "ELEPHANT",
            "e1ephant",
            "3L3PH4N7",
            "EL-EPH-ANT",
            "E1EPHANT",
        ] {
            check(text, 8);
        }
        check("xqelephantxq", 8);
        check("correcthorse", 12);
        check("xqvkzjwqxkvj", 0);
        check("", 0);
    }

    #[test]
    fn frequent_words_rank_first() {
        let rank = |text: &str| {
            let mut found = None;
            words_at(&dress_off(text.as_bytes()), &mut |word| found = Some(word));
            found
                .filter(|word| word.length == text.len())
                .map(|word| word.rank)
        };
        assert_eq!(rank("the"), Some(0));
        assert!(rank("password") < rank("elephant"));
        assert!(rank("elephant") < rank("triathlon"));
        assert_eq!(rank("xqvk"), None);
    }

    #[test]
    fn every_word_of_the_list_is_found() {
        let lines = include_str!("../words/frequent.txt").lines();
        let lines = lines.filter(|line| !line.starts_with(['#', '=']));
        let mut words = 0;
        for word in lines.flat_map(|line| line.split(' ')) {
            let classes = dress_off(word.as_bytes());
            let whole = classes.len().min(LONGEST);
            let mut found = false;
            words_at(&classes, &mut |word| found |= word.length == whole);
            assert!(found, "{word}");
            words += 1;
        }
        assert!(words > 90_000, "{words}");
    }
}
