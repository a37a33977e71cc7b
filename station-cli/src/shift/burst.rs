//! What comes in one go. A code may hold several lines, and a person who scans it took it for one
//! thing; and a key that a person presses comes alone.
//!
//! A scanner on a cable, or a text that is pasted, is read at once, or in pieces: a bridge of a serial
//! line hands on what it has, a USB scanner sends its packets, and a code may be padded so that each
//! of its lines ends one. A keyboard wedge types, key by key, at a pace of its own: the next line of
//! the same code follows at that pace, the next scan of a person does not.

use std::time::Duration;

use super::scanner::ETX;

/// What is read within this time of what was read before was sent with it. Above what a bridge waits
/// for more (16 ms; FTDI, AN232B-04) with another 24 ms of two busy cores, below two scans of a person
/// or of a program that pauses for 50 ms before what takes a person of rank.
const AT_ONCE: Duration = Duration::from_millis(40);
/// How much longer than the longest pause between two keys of a wedge the pause at a line's end may be.
const UNEVEN: u32 = 4;
/// No person scans twice within this time.
const LONGEST: Duration = Duration::from_millis(100);
/// What comes within this time of a Ctrl-C (which is an ETX) makes it a scanner's.
pub(super) const BY_HAND: Duration = Duration::from_millis(200);

/// Tells whether what is read goes on with what was read before.
#[derive(Default)]
pub(super) struct Burst {
    /// When something was read last.
    last: Option<Duration>,
    /// The longest pause within its lines.
    pace: Duration,
    /// Whether there was more than one read takes.
    full: bool,
}

impl Burst {
    /// Something was read at this time, `in_line` when a line has begun and not ended; `full` when
    /// there may be more of it. True when it belongs to what came before.
    pub(super) fn goes_on(&mut self, now: Duration, in_line: bool, full: bool) -> bool {
        let before = self.last.replace(now);
        let was_full = std::mem::replace(&mut self.full, full);
        let Some(pause) = before.map(|before| now.saturating_sub(before)) else {
            return false;
        };
        if in_line {
            self.pace = self.pace.max(pause).min(LONGEST);
            return true;
        }
        let soon = (self.pace * UNEVEN).clamp(AT_ONCE, LONGEST);
        let goes_on = was_full || pause <= soon;
        if !goes_on {
            self.pace = Duration::ZERO;
        }
        goes_on
    }
}

/// Tells a person's Ctrl-C from an ETX of a scanner.
#[derive(Default)]
pub(super) struct Keys {
    last: Option<Duration>,
    pressed: bool,
}

impl Keys {
    /// These bytes were read at this time.
    pub(super) fn read(&mut self, bytes: &[u8], now: Duration) {
        let before = self.last.replace(now);
        let alone = before.is_none_or(|before| now.saturating_sub(before) > BY_HAND);
        self.pressed = (alone || self.pressed) && bytes.iter().all(|byte| *byte == ETX);
    }

    /// Whether it was Ctrl-C, if nothing comes within [`BY_HAND`].
    pub(super) fn pressed(&self) -> bool {
        self.pressed
    }

    /// It was.
    pub(super) fn heard(&mut self) {
        self.pressed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Reads, each with its time in milliseconds and whether it ends a line; and which go on.
    fn check(reads: &[(u32, bool)], expected: &[bool]) {
        let (mut burst, mut in_line) = (Burst::default(), false);
        let goes_on = reads.iter().map(|(at, ends)| {
            let goes_on = burst.goes_on(*at * MS, in_line, false);
            in_line = !ends;
            goes_on
        });
        assert_eq!(goes_on.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_follows_at_a_wedges_own_pace_is_of_the_same_code() {
        // Keys each 8 ms, a line's end among them, and a scan by hand half a second later.
        let keys = [
            (0, false),
            (8, true),
            (16, false),
            (24, true),
            (524, false),
            (532, true),
        ];
        check(&keys, &[false, true, true, true, false, true]);
        // A slow wedge, which pauses a little at a line's end.
        check(
            &[(0, false), (20, true), (60, false), (80, true)],
            &[false, true, true, true],
        );
    }

    #[test]
    fn what_is_read_at_once_is_one_code_and_what_answers_an_answer_another() {
        check(
            &[(0, true), (1, true), (51, true), (500, true)],
            &[false, true, false, false],
        );
        // One that is longer than a read.
        let mut burst = Burst::default();
        assert!(!burst.goes_on(MS, false, true));
        assert!(burst.goes_on(60 * MS, false, false));
        assert!(!burst.goes_on(120 * MS, false, false));
    }

    /// Padded, so that each line ends a packet or what a bridge hands on; then somebody scans.
    #[test]
    fn lines_of_one_code_that_come_in_reads_of_their_own_are_one_code() {
        for apart in [4, 16, 40] {
            let at = |read: u32| (read * apart, true);
            let reads = [at(0), at(1), at(2), at(3), (3 * apart + 50, true)];
            check(&reads, &[false, true, true, true, false]);
        }
        // The next key of a line that a bridge cut in two.
        check(
            &[(0, true), (16, false), (32, true), (48, true)],
            &[false, true, true, true],
        );
    }

    /// However slowly somebody types, the next line is another.
    #[test]
    fn who_types_by_hand_types_one_line_after_the_other() {
        check(
            &[(0, false), (300, true), (450, false), (700, true)],
            &[false, true, false, true],
        );
    }

    #[test]
    fn only_an_etx_that_comes_alone_is_pressed_by_hand() {
        let after = |reads: &[(u32, &[u8])]| {
            let mut keys = Keys::default();
            for (at, bytes) in reads {
                keys.read(bytes, *at * MS);
            }
            keys.pressed()
        };
        assert!(after(&[(0, b"\x03")]));
        assert!(after(&[(0, b"A47\r"), (300, b"\x03")]));
        assert!(after(&[(0, b"\x03"), (50, b"\x03")]), "pressed twice");
        // A scanner's end of a scan, or one code that is nothing but this.
        assert!(!after(&[(0, b"A47\r"), (100, b"\x03")]));
        assert!(!after(&[(0, b"A47\r\x03")]));
        assert!(!after(&[(0, b"\x03\r")]));
        assert!(!after(&[(0, b"\x03"), (8, b"\r")]));
        assert!(!after(&[(0, b"\x02"), (8, b"\x03"), (16, b"\x03")]));
    }
}
