//! Randomness of the corpus: SHA-256 over a seed and a counter, so that a seed replays a list; or
//! the operating system's generator itself.

use std::fs::File;
use std::io::Read;

use sha2::{Digest, Sha256};

pub(crate) struct Rng {
    source: Source,
    block: [u8; 32],
    used: usize,
}

enum Source {
    Seed { key: [u8; 32], counter: u64 },
    System(File),
}

impl Source {
    fn next(&mut self) -> [u8; 32] {
        match self {
            Source::Seed { key, counter } => {
                let mut hash = Sha256::new();
                hash.update(*key);
                hash.update(counter.to_le_bytes());
                *counter += 1;
                hash.finalize().into()
            }
            Source::System(file) => {
                let mut block = [0; 32];
                file.read_exact(&mut block).expect("it never ends");
                block
            }
        }
    }
}

impl Rng {
    pub(crate) fn new(seed: &str) -> Rng {
        Rng::of(Source::Seed {
            key: Sha256::digest(seed).into(),
            counter: 0,
        })
    }

    /// The operating system's generator, which nobody can replay.
    pub(crate) fn system() -> Rng {
        let file = File::open("/dev/urandom").expect("every Unix has it");
        Rng::of(Source::System(file))
    }

    /// Another one: of its own seed, or the system's as this one.
    pub(crate) fn fork(&mut self) -> Rng {
        match self.source {
            Source::Seed { .. } => Rng::new(&self.word().to_string()),
            Source::System(_) => Rng::system(),
        }
    }

    fn of(source: Source) -> Rng {
        Rng {
            source,
            block: [0; 32],
            used: 32,
        }
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                self.block = self.source.next();
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    pub(crate) fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A number under `bound`, each as likely as the next.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let fair = u64::MAX - u64::MAX % bound;
        loop {
            let word = self.word();
            if word < fair {
                return word % bound;
            }
        }
    }

    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }

    /// A permutation of the numbers under `length`.
    pub(crate) fn order(&mut self, length: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..length).collect();
        self.shuffle(&mut order);
        order
    }

    /// The symbols of an alphabet in another order.
    pub(crate) fn reordered(&mut self, alphabet: &str) -> String {
        let mut symbols: Vec<char> = alphabet.chars().collect();
        self.shuffle(&mut symbols);
        symbols.into_iter().collect()
    }

    /// `length` symbols of an ASCII alphabet.
    pub(crate) fn text(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..length)
            .map(|_| char::from(self.pick(alphabet)))
            .collect()
    }
}
