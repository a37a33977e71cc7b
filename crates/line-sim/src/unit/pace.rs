//! The speed of a unit's line: a pty has none, a serial port has its baud rate.
//!
//! A byte takes ten bits (8N1). What the station says reaches the unit when its last byte would have,
//! and what the unit says reaches the station as it would come out of the wire. What is on the line
//! is counted, so that a cycle can be held against the time that its bytes alone take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bits a byte takes: a start bit, eight of data, a stop bit.
const BITS: u32 = 10;
/// Bytes that come out of the wire at once: less than any reader waits for, more than a sleep is worth.
const PIECE: usize = 256;
/// How late a sleep can end on a machine with other work; the rest is waited for awake.
const LATE: Duration = Duration::from_micros(150);

/// What was said over a unit's line since it was powered.
#[derive(Debug, Default)]
pub struct LineCounts {
    heard: AtomicU64,
    said: AtomicU64,
    turns: AtomicU64,
}

impl LineCounts {
    /// Bytes both ways.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.heard.load(Ordering::Relaxed) + self.said.load(Ordering::Relaxed)
    }

    /// Times the unit answered: the station waited for each before it went on.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// How long so many bytes take at a speed, and nothing else.
    #[must_use]
    pub fn wire_time(bytes: u64, baud: u32) -> Duration {
        Duration::from_secs_f64(bytes as f64 * f64::from(BITS) / f64::from(baud.max(1)))
    }

    pub(super) fn answered(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }
}

/// A line's speed, if it has one, and its counts.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    baud: Option<u32>,
    counts: Arc<LineCounts>,
    /// When the newest byte was through.
    free: Instant,
}

impl Pace {
    pub(super) fn new(baud: Option<u32>, counts: Arc<LineCounts>) -> Pace {
        Pace {
            baud,
            counts,
            free: Instant::now(),
        }
    }

    pub(super) fn counts(&self) -> &LineCounts {
        &self.counts
    }

    /// Bytes were put on the line a moment ago: returns when the last one is through.
    pub(super) fn hear(&mut self, length: usize) {
        self.counts
            .heard
            .fetch_add(length as u64, Ordering::Relaxed);
        self.pass(length, Instant::now());
    }

    /// Says bytes piece by piece, each when it is through.
    pub(super) fn say<E>(
        &mut self,
        bytes: &[u8],
        mut put: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let now = Instant::now();
        for piece in bytes.chunks(if self.baud.is_some() {
            PIECE
        } else {
            usize::MAX
        }) {
            self.counts
                .said
                .fetch_add(piece.len() as u64, Ordering::Relaxed);
            self.pass(piece.len(), now);
            put(piece)?;
        }
        Ok(())
    }

    /// One piece after the other: a line that is still busy is waited for, and a sleep that ended late
    /// does not make the next piece later.
    fn pass(&mut self, length: usize, now: Instant) {
        let Some(baud) = self.baud else {
            return;
        };
        self.free = self.free.max(now) + LineCounts::wire_time(length as u64, baud);
        let left = self.free.saturating_duration_since(Instant::now());
        std::thread::sleep(left.saturating_sub(LATE));
        while Instant::now() < self.free {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_as_long_as_on_a_wire() {
        let counts = Arc::new(LineCounts::default());
        let mut pace = Pace::new(Some(115_200), Arc::clone(&counts));
        let begun = Instant::now();
        pace.hear(100);
        let mut said = Vec::new();
        let put = |piece: &[u8]| {
            said.push(piece.len());
            Ok::<(), ()>(())
        };
        pace.say(&[0; 476], put).unwrap();
        // 576 bytes of ten bits are 1/20 of a second.
        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert_eq!(
            LineCounts::wire_time(counts.bytes(), 115_200),
            Duration::from_millis(50)
        );
        assert_eq!(said, [256, 220]);
    }

    #[test]
    fn a_line_without_a_speed_takes_no_time_and_counts() {
        let counts = Arc::new(LineCounts::default());
        let mut pace = Pace::new(None, Arc::clone(&counts));
        pace.hear(1_000_000);
        pace.say(&[0; 1_000], |_| Ok::<(), ()>(())).unwrap();
        assert_eq!(counts.bytes(), 1_001_000);
    }
}
