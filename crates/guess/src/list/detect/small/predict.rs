//! Predicts each password from the rows before it, symbol by symbol: what is predicted well need
//! not be guessed.
//!
//! Prediction by partial matching (Cleary and Witten, 1984) with escape method C (Moffat, 1990),
//! every order updated. Each prediction is a probability that hangs only on what came before, so
//! the likelihood ratio against uniform symbols is evidence whatever is learned (Ville), and the
//! mean cost of a row is an upper bound on its entropy.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use zeroize::Zeroizing;

use super::fit::Kind;
use crate::list::table::mixed;

/// Symbols before one that help to predict it.
const ORDER: usize = 6;

/// Words that passwords are made of, known before the first row.
static KNOWN: LazyLock<Memory> = LazyLock::new(|| {
    let mut memory = Memory::default();
    for word in crate::shape::common_words() {
        let said: Vec<u8> = word.iter().map(u8::to_ascii_lowercase).collect();
        for at in 0..said.len() {
            memory.learn(&letter_contexts(&said, at), said[at].into());
        }
    }
    memory
});

/// Counts by context. Keys are hashes, which collide with 2^-64.
#[derive(Default)]
struct Memory {
    /// By context: how many symbols followed, and how many different ones.
    contexts: HashMap<u64, (u32, u32), Mixed>,
    symbols: HashMap<u64, u32, Mixed>,
}

type Mixed = BuildHasherDefault<MixedHasher>;

/// Keys are hashes already.
#[derive(Default)]
struct MixedHasher(u64);

impl Hasher for MixedHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = mixed(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl Memory {
    fn learn(&mut self, contexts: &[u64], symbol: u64) {
        for &context in contexts {
            let count = self.symbols.entry(mixed(context ^ symbol)).or_insert(0);
            *count += 1;
            let fresh = u32::from(*count == 1);
            let seen = self.contexts.entry(context).or_insert((0, 0));
            *seen = (seen.0 + 1, seen.1 + fresh);
        }
    }

    /// How many symbols followed a context, how many different ones, and how often this one.
    fn recall(&self, context: u64, symbol: u64) -> (f64, f64, f64) {
        let Some(&(all, different)) = self.contexts.get(&context) else {
            return (0.0, 0.0, 0.0);
        };
        let count = self.symbols.get(&mixed(context ^ symbol));
        let count = count.copied().unwrap_or(0);
        (f64::from(all), f64::from(different), f64::from(count))
    }
}

/// The chance of a symbol after contexts from the most general to the most special, when it has
/// the chance `base` without any.
fn chance(memories: &[&Memory], contexts: &[u64], symbol: u64, base: f64) -> f64 {
    let mut chance = base;
    for &context in contexts {
        let (mut all, mut different, mut count) = (0.0, 0.0, 0.0);
        for memory in memories {
            let (more, kinds, counted) = memory.recall(context, symbol);
            (all, count) = (all + more, count + counted);
            different += kinds;
        }
        if all == 0.0 {
            break;
        }
        chance = (count + different * chance) / (all + different);
    }
    chance
}

/// A way of predicting. Costs are natural logarithms of probabilities, negated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// By the place in the password and the symbols before.
    Place,
    /// By kind, then by the letters before it in the word, whatever their case.
    Text,
    /// The same, knowing common words.
    KnownText,
}

impl Way {
    pub(super) const ALL: [Way; 3] = [Way::Place, Way::Text, Way::KnownText];
}

/// One way of predicting, and what it has learned.
pub(super) struct Predictor {
    way: Way,
    memory: Memory,
    /// Kind sizes in the alphabet, and its size.
    sizes: [f64; Kind::ALL.len()],
    size: f64,
}

impl Predictor {
    pub(super) fn new(way: Way, alphabet: &[u8]) -> Predictor {
        let mut sizes = [0.0; Kind::ALL.len()];
        for &byte in alphabet {
            sizes[Kind::of(byte) as usize] += 1.0;
        }
        Predictor {
            way,
            memory: Memory::default(),
            sizes,
            size: alphabet.len() as f64,
        }
    }

    /// The cost of a password, in nats; then learns it. Places in `given` cost nothing.
    pub(super) fn read(&mut self, password: &[u8], given: &[usize]) -> f64 {
        let mut cost = 0.0;
        let folded = Zeroizing::new(password.to_ascii_lowercase());
        let mut lessons = Vec::with_capacity(password.len() * 2);
        for (at, &byte) in password.iter().enumerate() {
            if given.contains(&at) {
                continue;
            }
            if self.way == Way::Place {
                let contexts = place_contexts(password, at);
                cost -= chance(&[&self.memory], &contexts, byte.into(), 1.0 / self.size).ln();
                lessons.push((contexts, u64::from(byte)));
                continue;
            }
            let kind = Kind::of(byte);
            let base = self.sizes[kind as usize];
            let contexts = kind_contexts(password, &folded, at);
            let symbol = kind as u64;
            cost -= chance(&[&self.memory], &contexts, symbol, base / self.size).ln();
            lessons.push((contexts, symbol));
            let contexts = match byte.is_ascii_alphabetic() {
                true => letter_contexts(&folded, at),
                false => other_contexts(password, at),
            };
            let symbol = u64::from(folded[at]);
            let memories: &[&Memory] = match self.way == Way::KnownText {
                true => &[&self.memory, &KNOWN],
                false => &[&self.memory],
            };
            cost -= chance(memories, &contexts, symbol, 1.0 / base).ln();
            lessons.push((contexts, symbol));
        }
        // A password is predicted by those before it and its own beginning alone.
        for (contexts, symbol) in lessons {
            self.memory.learn(&contexts, symbol);
        }
        cost
    }
}

/// Of a symbol: its place, then its place and the symbols before it.
fn place_contexts(password: &[u8], at: usize) -> Vec<u64> {
    let start = mixed(1 << 32 | (at as u64) << 8 | password.len() as u64 & 0xff);
    let before = password[..at].iter().rev().take(ORDER);
    let mut contexts = vec![mixed(1 << 33 | at as u64), start];
    let mut context = start;
    for &byte in before {
        context = mixed(context ^ u64::from(byte));
        contexts.push(context);
    }
    contexts
}

/// Of a kind: the kinds before it and how long the last run of one kind is, then the word's end.
fn kind_contexts(password: &[u8], folded: &[u8], at: usize) -> Vec<u64> {
    let left = (password.len() - at).min(8) as u64;
    let kind_at = |back: usize| match at.checked_sub(back) {
        Some(place) => Kind::of(password[place]) as u64,
        None => 7,
    };
    let last = kind_at(1);
    let run = (1..=at).take_while(|&back| kind_at(back) == last).count() as u64;
    let general = mixed(2 << 32 | last);
    let longer = mixed(general ^ run << 8 ^ kind_at(2) << 24);
    let placed = mixed(longer ^ left << 16);
    let word = folded[..at].iter().rev().take(4);
    let ending = word.fold(placed, |hash, &byte| mixed(hash ^ u64::from(byte)));
    vec![general, longer, placed, ending]
}

/// Of a letter: the letters before it, up to the word's beginning.
fn letter_contexts(folded: &[u8], at: usize) -> Vec<u64> {
    let mut context = mixed(3 << 32);
    let mut contexts = vec![context];
    for back in 1..=ORDER {
        let letter = at.checked_sub(back).map(|place| folded[place]);
        let letter = letter.filter(u8::is_ascii_alphabetic);
        context = mixed(context ^ u64::from(letter.unwrap_or(0)) ^ 1 << 40);
        contexts.push(context);
        if letter.is_none() {
            break;
        }
    }
    contexts
}

/// Of a digit or sign: its kind, how many of them are before it, then the one before.
fn other_contexts(password: &[u8], at: usize) -> Vec<u64> {
    let kind = Kind::of(password[at]);
    let before = password[..at].iter().rev();
    let run = before.take_while(|&&byte| Kind::of(byte) == kind).count() as u64;
    let general = mixed(4 << 32 | kind as u64);
    let placed = mixed(general ^ run << 8);
    let last = at.checked_sub(1).map_or(0, |place| password[place]);
    vec![general, placed, mixed(placed ^ u64::from(last) << 24)]
}
