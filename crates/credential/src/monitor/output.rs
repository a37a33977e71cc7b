//! Watches what a generator gives, byte by byte, whatever it is used for and whoever's order.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::{GUESSABLE, Unfit, even, threshold};

/// Answers that a fresh one is compared with, and the bytes of each that are.
///
/// Of 64 one is met by chance with 2^-58 at each answer: 3e-11 over ten million.
const BLOCKS: usize = 64;
const BLOCK: usize = 8;

/// Two for the bytes' values and two for each bit.
const STATISTICS: usize = 2 + 2 * 8;

/// The account of a generator's raw output since the server started, or the line was resumed.
pub struct Output {
    answers: u64,
    blocks: VecDeque<Zeroizing<[u8; BLOCK]>>,
    values: Vec<u64>,
    /// By bit: how often it was 0, and 1.
    bits: [[u64; 2]; 8],
}

impl Default for Output {
    fn default() -> Output {
        Output {
            answers: 0,
            blocks: VecDeque::with_capacity(BLOCKS),
            values: vec![0; 256],
            bits: [[0; 2]; 8],
        }
    }
}

impl Output {
    /// Takes what the generator gave to one request.
    ///
    /// # Errors
    /// [`Unfit`] when it began like an earlier answer, or its bytes or bits are uneven.
    pub fn heard(&mut self, answer: &[u8]) -> Result<(), Unfit> {
        self.answers += 1;
        self.repeated(answer)?;
        for &byte in answer {
            self.values[usize::from(byte)] += 1;
            for (bit, counts) in self.bits.iter_mut().enumerate() {
                counts[usize::from(byte >> bit & 1)] += 1;
            }
        }
        let threshold = threshold(STATISTICS, self.answers);
        for counts in &self.bits {
            even(counts, &[0.5; 2], threshold, "bit value")?;
        }
        even(&self.values, &[1.0 / 256.0; 256], threshold, "byte")
    }

    /// An answer under 8 bytes says too little and is passed.
    fn repeated(&mut self, answer: &[u8]) -> Result<(), Unfit> {
        let Some(block) = answer.first_chunk::<BLOCK>() else {
            return Ok(());
        };
        if self.blocks.iter().any(|earlier| **earlier == *block) {
            return Err(Unfit {
                detector: "repeated output",
                clause: GUESSABLE,
                evidence: format!(
                    "the generator gave {BLOCK} bytes again that it had given within the last \
                     {BLOCKS} answers"
                ),
            });
        }
        if self.blocks.len() == BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back(Zeroizing::new(*block));
        Ok(())
    }
}
