//! Finds where a text and a password run together, and which alignments do so in many rows.

use super::password::Reading;

/// One alignment of a derived text with a password, the same in every row that a scheme made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// Which text.
    pub(super) text: u32,
    /// How the password is read.
    pub(super) reading: Reading,
    /// Rows between the unit and the password.
    pub(super) slip: i8,
    /// Whether places of the text are counted from its end: its lengths differ.
    pub(super) text_from_end: bool,
    /// Whether places of the password are counted from its end.
    pub(super) password_from_end: bool,
    /// Place in the password minus place in the text.
    pub(super) lag: i16,
}

impl Line {
    pub(super) fn key(self) -> u64 {
        u64::from(self.text) << 32
            | (self.reading as u64) << 24
            | ((self.slip + 1) as u64) << 20
            | u64::from(self.text_from_end) << 17
            | u64::from(self.password_from_end) << 16
            | u64::from(self.lag as u16)
    }

    fn from_key(key: u64) -> Line {
        Line {
            text: (key >> 32) as u32,
            reading: Reading::ALL[(key >> 24 & 7) as usize],
            slip: (key >> 20 & 3) as i8 - 1,
            text_from_end: key >> 17 & 1 == 1,
            password_from_end: key >> 16 & 1 == 1,
            lag: key as u16 as i16,
        }
    }

    /// Bits that naming it takes beside its text and the window in the password.
    pub(super) fn cost(self) -> f64 {
        let slipped = if self.slip == 0 { 0.1 } else { 5.0 };
        self.reading.cost() + slipped
    }
}

/// For each value a text may hold, the places of the password that show it, place 0 lowest.
pub(super) type Masks = [u64; 256];

/// Calls `each` with the places of the password at which three symbols in a row agree with three of
/// the text, and the place in the text of the third.
pub(super) fn triples(masks: &Masks, text: &[u8], mut each: impl FnMut(u64, usize)) {
    let (mut last, mut pair) = (0u64, 0u64);
    for (place, &value) in text.iter().enumerate() {
        let here = masks[usize::from(value)];
        let three = here & pair << 1;
        if three != 0 {
            each(three, place);
        }
        pair = here & last << 1;
        last = here;
    }
}

/// The run that starts with the triple which ends at these places: its length, and 0 when another
/// triple of the run was there before.
pub(super) fn run(masks: &Masks, text: &[u8], third: usize, in_text: usize) -> usize {
    let agree =
        |place: usize, at: usize| place < 64 && masks[usize::from(text[at])] >> place & 1 == 1;
    if in_text > 2 && third > 2 && agree(third - 3, in_text - 3) {
        return 0;
    }
    let more = (1..text.len() - in_text).take_while(|&n| agree(third + n, in_text + n));
    3 + more.count()
}

/// Rows in which an alignment was seen, and what it explained there.
#[derive(Clone, Copy)]
struct Votes {
    key: u64,
    rows: u32,
    symbols: u32,
}

/// Collects runs, row by row.
#[derive(Default)]
pub(super) struct Ballot {
    /// Key, and symbols of the run.
    runs: Vec<(u64, u8)>,
}

impl Ballot {
    pub(super) fn cast(&mut self, line: Line, symbols: usize) {
        self.runs.push((line.key(), symbols as u8));
    }

    /// The alignments that explain the most, given that a symbol agrees by chance once in
    /// 2^`bits`; at most `most` of them, none that one would see in any list of `rows` rows.
    pub(super) fn count(mut self, bits: f64, rows: usize, most: usize) -> Vec<Line> {
        self.runs.sort_unstable();
        let mut tally: Vec<Votes> = vec![];
        for (key, symbols) in self.runs {
            let symbols = u32::from(symbols);
            match tally.last_mut() {
                Some(last) if last.key == key => {
                    last.rows += 1;
                    last.symbols += symbols;
                }
                _ => tally.push(Votes {
                    key,
                    rows: 1,
                    symbols,
                }),
            }
        }
        // Chernoff's bound on so many rows by chance, with some ten places for a run to start.
        let surprise = |votes: &Votes| {
            let chances = 10.0 * std::f64::consts::E * rows as f64 / f64::from(votes.rows);
            f64::from(votes.symbols) * bits - f64::from(votes.rows) * chances.log2()
        };
        let mut found: Vec<(f64, u64)> = tally
            .iter()
            .map(|votes| (surprise(votes), votes.key))
            .filter(|(surprise, _)| *surprise > 10.0)
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(most);
        found
            .into_iter()
            .map(|(_, key)| Line::from_key(key))
            .collect()
    }
}
