//! Weighs an alignment over many rows: which part of the passwords it explains, in how many, and
//! how likely that is by chance.
//!
//! Chance is that of passwords which have nothing to do with the units they stand beside: at each
//! place, how often a password's symbol agrees with the text of *another* row. Naming the recipe
//! costs bits (a prefix code over everything that was tried), so the chances of all recipes add up
//! to at most that of one.

use std::collections::BTreeSet;

use zeroize::{Zeroize, Zeroizing};

use super::password::{Ground, PLACES, Read};
use super::scan::Line;
use super::unit::Unit;
use crate::list::table::Table;

/// Rows over which alignments are weighed; the chosen one is then held against every row.
pub(super) const ROWS: usize = 600;

/// Windows of one alignment that are weighed, the most frequent ones.
const WINDOWS: usize = 24;

/// A place at which more pairs of rows agree is the same in all of them.
const CONSTANT: f64 = 0.95;

/// log2 of the chance under which something is said.
pub(super) const REFUSED: f64 = -30.0;

/// Writes the text of a recipe for a unit, in the symbols of a password; leaves it empty when the
/// unit lacks what the recipe needs.
pub(super) type Writer<'w> = dyn Fn(u32, &Unit<'_>, &mut Vec<u8>) + 'w;

/// What is needed to weigh.
pub(super) struct Scales<'s, 'l> {
    pub(super) table: &'s Table<'l>,
    pub(super) ground: &'s Ground,
    pub(super) write: &'s Writer<'s>,
    /// Bits that naming a text takes.
    pub(super) cost: &'s dyn Fn(u32) -> f64,
}

/// A password beside a text.
#[derive(Clone)]
pub(super) struct Beside {
    /// Places at which they agree; places counted from the end are bits 63 downwards.
    agree: u64,
    /// Place of the text beside place 0.
    shift: isize,
    /// Symbols of the text, beside the password or not.
    pub(super) text_length: usize,
    /// Places that the password fills.
    pub(super) filled: u64,
    own: [u8; PLACES],
    text: [u8; PLACES],
    /// Where each place stands in the password as it is written.
    from: [u8; PLACES],
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.own.zeroize();
    }
}

impl Beside {
    /// Places of the text that a window stands beside.
    pub(super) fn in_text(&self, window: u64) -> std::ops::Range<usize> {
        let place = |bit: u32| usize::try_from(self.shift + bit as isize).unwrap_or(0);
        place(window.trailing_zeros())..place(64 - window.leading_zeros())
    }

    /// Bytes of the password, as it is written, that a window explains.
    pub(super) fn written(&self, window: u64) -> u64 {
        places(window).fold(0, |bytes, place| bytes | 1 << self.from[place])
    }
}

/// An alignment, weighed.
#[derive(Clone)]
pub(super) struct Weighed {
    pub(super) line: Line,
    /// Places explained.
    pub(super) window: u64,
    /// log2 of the chance.
    pub(super) chance: f64,
    /// For each row weighed, the bytes of the password explained.
    pub(super) explains: Vec<u64>,
    /// Whether all of it is the same in nearly all rows.
    pub(super) is_constant: bool,
}

/// Buffers that are used again for each row.
#[derive(Default)]
pub(super) struct Desk {
    read: Read,
    text: Vec<u8>,
}

impl Scales<'_, '_> {
    /// The best window of an alignment, over the rows at `rows`, leaving out what is `explained`
    /// already; `None` when it explains nothing.
    pub(super) fn weigh(&self, line: Line, rows: &[usize], explained: &[u64]) -> Option<Weighed> {
        let mut desk = Desk::default();
        let beside = rows.iter().map(|&row| self.beside(line, row, &mut desk));
        let beside: Vec<Beside> = beside.collect();
        let chances = chances(&beside);
        let mut best: Option<(f64, u64)> = None;
        for window in windows(&beside) {
            let hits = hits(&beside, explained, window);
            if hits.is_empty() {
                continue;
            }
            let chance = self.chance(line, &beside, &chances, window, &hits);
            let wider = |other: u64| window.count_ones() > other.count_ones();
            if best.is_none_or(|(least, other)| {
                chance < least - 1e-9 || chance < least + 1e-9 && wider(other)
            }) {
                best = Some((chance, window));
            }
        }
        let (mut chance, window) = best?;
        let hits = hits(&beside, explained, window);
        // Places may hang together, as letters of words do: then pairs of rows tell.
        if chance < 0.0
            && let Some(joint) = joint(&beside, window)
        {
            let (once, _) = self.alike(line, &beside, &chances, window, &hits);
            let named = self.naming(line, &beside, window, &hits) + once;
            chance = chance.max(named + tail(rows.len(), hits.len(), joint));
        }
        // A text that many rows share, as that of a model, proves as much as one row does.
        if chance < 0.0 {
            let (texts, shown) = distinct(&beside, &hits, window);
            let least = self.least(line, &beside, window, &hits);
            let each = least.powf(window.count_ones().into());
            chance =
                chance.max(self.naming(line, &beside, window, &hits) + tail(texts, shown, each));
        }
        let mut explains = vec![0; rows.len()];
        for &row in &hits {
            explains[row] = beside[row].written(window);
        }
        Some(Weighed {
            line,
            window,
            chance,
            explains,
            is_constant: places(window).all(|place| chances[place] > CONSTANT),
        })
    }

    /// Whether a row shows what was found.
    pub(super) fn shows(&self, found: &Weighed, row: usize, desk: &mut Desk) -> bool {
        self.beside(found.line, row, desk).agree & found.window == found.window
    }

    pub(super) fn beside(&self, line: Line, row: usize, desk: &mut Desk) -> Beside {
        let unit = Unit::of(self.table, row, line.slip);
        desk.text.clear();
        (self.write)(line.text, &unit, &mut desk.text);
        let password = self.table.password(row);
        desk.read.read(password, line.reading, &self.ground.shape);
        let (own, text) = (desk.read.symbols.len(), desk.text.len());
        let (lead, counted) = match line.password_from_end {
            true => (PLACES - own, PLACES as isize),
            false => (0, 0),
        };
        let counted_in_text = if line.text_from_end { text as isize } else { 0 };
        let mut beside = Beside {
            agree: 0,
            shift: counted_in_text - counted - isize::from(line.lag),
            text_length: text,
            filled: 0,
            own: [0; PLACES],
            text: [0; PLACES],
            from: [0; PLACES],
        };
        for (place, &symbol) in desk.read.symbols.iter().enumerate() {
            let at = place + lead;
            beside.own[at] = symbol;
            beside.from[at] = desk.read.from[place];
            beside.filled |= 1 << at;
            let there = usize::try_from(beside.shift + at as isize).ok();
            if let Some(&there) = there.and_then(|there| desk.text.get(there)) {
                beside.text[at] = there;
                beside.agree |= u64::from(there == symbol) << at;
            }
        }
        beside
    }

    /// log2 of the chance of so many hits of this window, or of any other recipe.
    fn chance(
        &self,
        line: Line,
        beside: &[Beside],
        chances: &[f64; PLACES],
        window: u64,
        hits: &[usize],
    ) -> f64 {
        let (once, each) = self.alike(line, beside, chances, window, hits);
        self.naming(line, beside, window, hits) + once + tail(beside.len(), hits.len(), each)
    }

    /// Chances that a window agrees: log2 of that of its constant places, which agree in all rows
    /// or in none, and that of the others in one row.
    fn alike(
        &self,
        line: Line,
        beside: &[Beside],
        chances: &[f64; PLACES],
        window: u64,
        hits: &[usize],
    ) -> (f64, f64) {
        let least = self.least(line, beside, window, hits);
        let (mut once, mut each) = (0.0, 1.0);
        for place in places(window) {
            match chances[place] > CONSTANT {
                true => once += least.log2(),
                false => each *= chances[place].max(least),
            }
        }
        (once, each)
    }

    /// Chance that a symbol of the window agrees, from its kind alone.
    fn least(&self, line: Line, beside: &[Beside], window: u64, hits: &[usize]) -> f64 {
        let shown = hits
            .iter()
            .flat_map(|&row| places(window).map(move |place| beside[row].own[place]));
        let shown = Zeroizing::new(shown.collect::<Vec<u8>>());
        self.ground.alike_in(line.reading, &shown)
    }

    /// Bits that naming the recipe takes.
    fn naming(&self, line: Line, beside: &[Beside], window: u64, hits: &[usize]) -> f64 {
        let Some(shown) = hits.first().map(|&row| &beside[row]) else {
            return 0.0;
        };
        let part = match window == shown.filled {
            true => 0.5,
            false => 2.0 + 2.0 * f64::from(shown.filled.count_ones()).log2(),
        };
        let in_text = shown.in_text(window);
        let part_of_text = match in_text.start == 0 || in_text.end == shown.text_length {
            true => 1.5,
            false => 1.5 + (shown.text_length as f64).log2(),
        };
        (self.cost)(line.text) + line.cost() + part + part_of_text
    }
}

/// Places of a window.
fn places(window: u64) -> impl Iterator<Item = usize> {
    (0..PLACES).filter(move |place| window >> place & 1 == 1)
}

/// Rows that agree all over the window and are not explained there yet.
fn hits(beside: &[Beside], explained: &[u64], window: u64) -> Vec<usize> {
    let rows = beside.iter().zip(explained).enumerate();
    rows.filter(|(_, (row, explained))| {
        row.agree & window == window && row.written(window) & **explained == 0
    })
    .map(|(at, _)| at)
    .collect()
}

/// Runs of two places and more at which rows agree, the most telling first.
fn windows(beside: &[Beside]) -> Vec<u64> {
    let mut runs = vec![];
    for row in beside {
        let mut left = row.agree;
        while left != 0 {
            let start = left.trailing_zeros();
            let length = (left >> start).trailing_ones();
            let run = (u64::MAX >> (64 - length)) << start;
            left &= !run;
            if length > 1 {
                runs.push(run);
            }
        }
    }
    runs.sort_unstable();
    let mut counted: Vec<(u32, u64)> = vec![];
    for run in runs {
        match counted.last_mut() {
            Some((count, last)) if *last == run => *count += run.count_ones(),
            _ => counted.push((run.count_ones(), run)),
        }
    }
    counted.sort_unstable_by(|a, b| b.cmp(a));
    counted.truncate(WINDOWS);
    counted.into_iter().map(|(_, run)| run).collect()
}

/// For each place, how often a password agrees with the text of another row there.
fn chances(beside: &[Beside]) -> [f64; PLACES] {
    let mut chances = [0.0; PLACES];
    let pairs = beside.len() * beside.len().saturating_sub(1);
    if pairs == 0 {
        return chances;
    }
    for (place, chance) in chances.iter_mut().enumerate() {
        let (mut own, mut text) = ([0u32; 256], [0u32; 256]);
        let mut same = 0u64;
        for row in beside {
            own[usize::from(row.own[place])] += 1;
            text[usize::from(row.text[place])] += 1;
            same += row.agree >> place & 1;
        }
        let both = (1..256).map(|symbol| u64::from(own[symbol]) * u64::from(text[symbol]));
        // A cell may hold the byte that stands for no symbol here: then more agree than were counted.
        *chance = both.sum::<u64>().saturating_sub(same) as f64 / pairs as f64;
    }
    chances
}

/// How often a password agrees with the text of another row all over the window; `None` when
/// that happens too seldom to tell.
fn joint(beside: &[Beside], window: u64) -> Option<f64> {
    let cut = |symbols: &[u8; PLACES]| -> Vec<u8> {
        places(window).map(|place| symbols[place]).collect()
    };
    let mut texts: Vec<Vec<u8>> = beside.iter().map(|row| cut(&row.text)).collect();
    texts.sort_unstable();
    let mut pairs = 0;
    for row in beside {
        let own = Zeroizing::new(cut(&row.own));
        let start = texts.partition_point(|text| *text < *own);
        pairs += texts[start..]
            .iter()
            .take_while(|text| **text == *own)
            .count();
        pairs -= usize::from(row.agree & window == window);
    }
    let all = beside.len() * beside.len().saturating_sub(1);
    (pairs >= 3).then(|| pairs as f64 / all as f64)
}

/// How many texts stand beside a window, each counted once, and how many of them in `hits`.
fn distinct(beside: &[Beside], hits: &[usize], window: u64) -> (usize, usize) {
    let count = |rows: &mut dyn Iterator<Item = &Beside>| {
        let texts = rows.map(|row| places(window).map(|place| row.text[place]).collect());
        texts.collect::<BTreeSet<Vec<u8>>>().len()
    };
    let all = count(&mut beside.iter());
    (all, count(&mut hits.iter().map(|&row| &beside[row])))
}

/// log2 of a bound on the chance of `hits` of `rows` where each is a hit with chance `each`
/// (Chernoff's bound; exact for one row).
fn tail(rows: usize, hits: usize, each: f64) -> f64 {
    let (rows, hits) = (rows as f64, hits as f64);
    if hits <= rows * each {
        return 0.0;
    }
    let misses = rows - hits;
    let missed = match misses > 0.0 {
        true => misses * (misses / (rows * (1.0 - each))).log2(),
        false => 0.0,
    };
    -(hits * (hits / (rows * each)).log2() + missed)
}
