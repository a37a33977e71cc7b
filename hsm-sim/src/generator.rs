//! A generator that is broken in one of the ways generators are found broken in.
//!
//! What it gives is made of fair bytes, drawn when the fault is switched on or as it goes, so no two
//! runs break alike. Keys and nonces are not touched: only what the `random` command answers.

use hsm::HsmError;

use crate::Fault;

/// Blocks of [`Fault::Repeating`], and the bytes after which a longer answer repeats within itself.
const BLOCKS: usize = 5;
const BLOCK: usize = 64;

/// The state of the fault that is on.
#[derive(Default)]
pub(crate) struct Generator {
    /// Fair bytes from which the fault is made; empty before its first answer.
    seed: Vec<u8>,
    answers: u128,
}

/// A source of fair bytes.
pub(crate) type Fair<'a> = &'a dyn Fn(&mut [u8]) -> Result<(), HsmError>;

impl Generator {
    /// Fills `out` as the fault has it, or fairly when it is none of the generator's.
    ///
    /// # Errors
    /// What the source of fair bytes says.
    pub(crate) fn fill(
        &mut self,
        fault: Fault,
        out: &mut [u8],
        fair: Fair<'_>,
        unix_s: u64,
    ) -> Result<(), HsmError> {
        if self.seed.is_empty() && Fault::GENERATOR.contains(&fault) {
            self.seed = vec![0; BLOCKS * BLOCK];
            fair(&mut self.seed)?;
        }
        match fault {
            Fault::Stuck => out.fill(self.seed[0]),
            Fault::Counting => {
                let first = self.seed.first_chunk().copied().unwrap_or_default();
                let number = u128::from_be_bytes(first).wrapping_add(self.answers);
                let digits = number.to_be_bytes();
                let last_first = digits.iter().rev().cycle();
                let places = out.iter_mut().rev().zip(last_first);
                places.for_each(|(place, digit)| *place = *digit);
            }
            Fault::Biased => {
                let mut more = vec![0; out.len()];
                fair(out)?;
                fair(&mut more)?;
                out.iter_mut()
                    .zip(more)
                    .for_each(|(place, more)| *place |= more);
            }
            Fault::Repeating => {
                let block = (self.answers % BLOCKS as u128) as usize * BLOCK;
                let bytes = self.seed[block..block + BLOCK].iter().cycle();
                out.iter_mut()
                    .zip(bytes)
                    .for_each(|(place, byte)| *place = *byte);
            }
            Fault::LowEntropy => {
                fair(out)?;
                out.iter_mut()
                    .for_each(|place| *place = (*place & 7).wrapping_mul(37));
            }
            Fault::SeededByTime => out.copy_from_slice(&rand_of(unix_s, out.len())),
            Fault::None
            | Fault::Gone
            | Fault::Paused
            | Fault::Slow
            | Fault::Busy
            | Fault::ReplyLost
            | Fault::SessionLost
            | Fault::WrongPin
            | Fault::KeyMissing
            | Fault::LogUnsigned
            | Fault::Reset => fair(out)?,
        }
        self.answers += 1;
        Ok(())
    }
}

/// Low bytes of `rand` as the C standard shows it (ISO 9899, 7.22.2.2), after `srand(seed)`.
fn rand_of(seed: u64, length: usize) -> Vec<u8> {
    let mut next = seed as u32;
    let mut byte = || {
        next = next.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (next / 65_536 % 32_768) as u8
    };
    (0..length).map(|_| byte()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fair enough for a test, and the same in every run.
    fn fair() -> impl Fn(&mut [u8]) -> Result<(), HsmError> {
        let state = std::cell::Cell::new(1u32);
        move |out| {
            out.fill_with(|| {
                state.set(
                    state
                        .get()
                        .wrapping_mul(1_664_525)
                        .wrapping_add(1_013_904_223),
                );
                (state.get() >> 24) as u8
            });
            Ok(())
        }
    }

    /// Twelve answers of 16 bytes.
    fn answers(fault: Fault) -> Vec<[u8; 16]> {
        let (mut generator, fair) = (Generator::default(), fair());
        let mut answer = || {
            let mut out = [0; 16];
            generator
                .fill(fault, &mut out, &fair, 1_700_000_000)
                .unwrap();
            out
        };
        (0..12).map(|_| answer()).collect()
    }

    #[test]
    fn each_fault_is_what_it_is_called() {
        let stuck = answers(Fault::Stuck);
        assert!(stuck.iter().flatten().all(|byte| *byte == stuck[0][0]));
        let counting = answers(Fault::Counting);
        let number = |bytes: [u8; 16]| u128::from_be_bytes(bytes);
        assert_eq!(number(counting[1]), number(counting[0]) + 1);
        let ones = |all: &[[u8; 16]]| -> u32 { all.iter().flatten().map(|b| b.count_ones()).sum() };
        assert!((1_000..1_300).contains(&ones(&answers(Fault::Biased))));
        assert!((650..890).contains(&ones(&answers(Fault::None))));
        let repeating = answers(Fault::Repeating);
        assert_eq!(repeating[0], repeating[5]);
        assert_ne!(repeating[0], repeating[1]);
        let mut few: Vec<u8> = answers(Fault::LowEntropy).concat();
        few.sort_unstable();
        few.dedup();
        assert_eq!(few.len(), 8);
        let seeded = answers(Fault::SeededByTime);
        assert_eq!(seeded[0], seeded[11]);
        assert_ne!(rand_of(1, 8), rand_of(2, 8));
    }
}
