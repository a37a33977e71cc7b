//! Watches what a generator gives, byte by byte, whatever it is used for and whoever's order.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::{COUNTER, GUESSABLE, Unfit, even, threshold};

/// Answers that a fresh one is compared with, and the bytes at each end that are.
///
/// Of 64 one is met by chance with 2^-57 at each answer: 7e-11 over ten million.
const ANSWERS: usize = 64;
const END: usize = 8;

/// Two for the bytes' values and two for each bit.
const STATISTICS: usize = 2 + 2 * 8;

/// The account of a generator's raw output since the server started, or the line was resumed.
pub struct Output {
    answers: u64,
    recent: VecDeque<Ends>,
    values: Vec<u64>,
    /// By bit: how often it was 0, and 1.
    bits: [[u64; 2]; 8],
}

/// How an answer begins and ends.
struct Ends {
    length: usize,
    head: Zeroizing<[u8; END]>,
    tail: Zeroizing<[u8; END]>,
}

impl Default for Output {
    fn default() -> Output {
        Output {
            answers: 0,
            recent: VecDeque::with_capacity(ANSWERS),
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
        self.compared(answer)?;
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
    fn compared(&mut self, answer: &[u8]) -> Result<(), Unfit> {
        let (Some(head), Some(tail)) = (answer.first_chunk::<END>(), answer.last_chunk::<END>())
        else {
            return Ok(());
        };
        let now = Ends {
            length: answer.len(),
            head: Zeroizing::new(*head),
            tail: Zeroizing::new(*tail),
        };
        self.recent.iter().try_for_each(|then| then.against(&now))?;
        if self.recent.len() == ANSWERS {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        Ok(())
    }
}

impl Ends {
    fn against(&self, now: &Ends) -> Result<(), Unfit> {
        let (head, tail) = (*self.head == *now.head, *self.tail == *now.tail);
        let same_length = self.length == now.length;
        let (detector, clause, what) = match (head, tail) {
            (true, false) | (false, true) if same_length => (
                "counter",
                COUNTER,
                "at one end and differ at the other, as a counter's do",
            ),
            (true, _) => ("repeated output", GUESSABLE, "where they begin"),
            _ => return Ok(()),
        };
        Err(Unfit {
            detector,
            clause,
            evidence: format!(
                "two of {ANSWERS} answers of the generator agree in {END} bytes {what}"
            ),
        })
    }
}
