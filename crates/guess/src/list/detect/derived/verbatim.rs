//! Class A: an identifier as it is, or as it is written otherwise.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::found::{Named, findings};
use super::password::{Ground, Read, Reading};
use super::scan::{Ballot, Line, Masks, run, triples};
use super::unit::Unit;
use super::views::{self, Part, View, Writing};
use super::weigh::Scales;
use crate::Clause;
use crate::list::Column;
use crate::list::report::{Class, Finding};
use crate::list::table::{Table, spread};

/// Rows that are searched, and rows that are searched with the unit above and below.
const SEARCHED: usize = 400;
const SLIPPED: usize = 100;

/// Alignments that are weighed.
const WEIGHED: usize = 256;

/// Rows from which the common ground of the passwords is taken.
pub(super) const GROUND: usize = 2_000;

/// A view that this list has, and whether its lengths differ.
struct Present {
    view: View,
    lengths_differ: bool,
}

pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    if table.len() == 0 {
        return vec![];
    }
    let ground = Ground::of(&table.sample(GROUND));
    let present = present(table);
    let lines = search(table, &ground, &present);
    let scales = Scales {
        table,
        ground: &ground,
        write: &|text, unit, out| present[text as usize].view.write(unit, out),
        // Six plain views and under 2,000 others: the chances add up to less than one.
        cost: &|text| match present[text as usize].view.is_plain() {
            true => 3.0,
            false => 12.5,
        },
    };
    findings(&scales, &lines, &|text| named(present[text as usize].view))
}

/// The views that say something, each once.
fn present(table: &Table<'_>) -> Vec<Present> {
    let units: Vec<Unit<'_>> = spread(table.len(), 64, table.seed())
        .map(|row| Unit::of(table, row, 0))
        .collect();
    let mut known = HashSet::new();
    let mut text = vec![];
    let mut present = vec![];
    for view in views::all() {
        let mut all = DefaultHasher::new();
        let (mut shortest, mut longest) = (usize::MAX, 0);
        for unit in &units {
            text.clear();
            view.write(unit, &mut text);
            text.hash(&mut all);
            longest = longest.max(text.len());
            if !text.is_empty() {
                shortest = shortest.min(text.len());
            }
        }
        if longest > 2 && known.insert((all.finish(), view.has_case())) {
            present.push(Present {
                view,
                lengths_differ: shortest < longest,
            });
        }
    }
    present
}

fn search(table: &Table<'_>, ground: &Ground, present: &[Present]) -> Vec<Line> {
    let mut ballot = Ballot::default();
    let mut reads: Vec<(Reading, Read, Box<Masks>)> = Reading::ALL
        .into_iter()
        .map(|reading| (reading, Read::default(), Box::new([0; 256])))
        .collect();
    let mut text = vec![];
    let slips = [(0, SEARCHED), (-1, SLIPPED), (1, SLIPPED)];
    for (slip, most) in slips {
        for row in spread(table.len(), most, table.seed()) {
            let unit = Unit::of(table, row, slip);
            for (reading, read, masks) in &mut reads {
                read.read(table.password(row), *reading, &ground.shape);
                **masks = masks_of(&read.symbols);
            }
            for (at, present) in present.iter().enumerate() {
                text.clear();
                present.view.write(&unit, &mut text);
                for (reading, read, masks) in &reads {
                    if present.view.has_case() == (*reading == Reading::Exact) {
                        let line = Line {
                            text: at as u32,
                            reading: *reading,
                            slip,
                            text_from_end: false,
                            password_from_end: false,
                            lag: 0,
                        };
                        let ends = [present.lengths_differ, ground.lengths_differ];
                        vote(&mut ballot, line, masks, &text, read.symbols.len(), ends, 3);
                    }
                }
            }
        }
    }
    let bits = -ground.alike(Reading::Forward).log2();
    ballot.count(bits, table.len().min(SEARCHED), WEIGHED)
}

/// Places of each symbol.
fn masks_of(symbols: &[u8]) -> Masks {
    let mut masks = [0; 256];
    for (place, &symbol) in symbols.iter().enumerate() {
        masks[usize::from(symbol)] |= 1 << place;
    }
    masks
}

/// Casts a vote for each run of `least` symbols and more, three at least; where lengths differ, for each end.
pub(super) fn vote(
    ballot: &mut Ballot,
    line: Line,
    masks: &Masks,
    text: &[u8],
    password: usize,
    [text_ends, password_ends]: [bool; 2],
    least: usize,
) {
    triples(masks, text, |places, in_text| {
        let mut left = places;
        while left != 0 {
            let third = left.trailing_zeros() as usize;
            left &= left - 1;
            let symbols = run(masks, text, third, in_text);
            if symbols < least {
                continue;
            }
            let lag = third as isize - in_text as isize;
            for from_text_end in [false, true].into_iter().take(1 + usize::from(text_ends)) {
                for from_end in [false, true]
                    .into_iter()
                    .take(1 + usize::from(password_ends))
                {
                    let text_shift = if from_text_end {
                        text.len() as isize
                    } else {
                        0
                    };
                    let shift = if from_end { password as isize } else { 0 };
                    let line = Line {
                        text_from_end: from_text_end,
                        password_from_end: from_end,
                        lag: (lag + text_shift - shift) as i16,
                        ..line
                    };
                    ballot.cast(line, symbols);
                }
            }
        }
    });
}

/// How people call an identifier.
pub(super) fn called(column: Column) -> &'static str {
    match column {
        Column::Mac => "MAC",
        Column::Uid => "UID",
        Column::Ssid => "SSID",
        other => other.name(),
    }
}

/// The limb that a password made of this column breaks.
pub(super) fn clause(column: Column) -> Clause {
    match column {
        Column::Serial | Column::Mac | Column::Uid => Clause::Identifier,
        _ => Clause::Public,
    }
}

fn named(view: View) -> Named {
    let column = called(view.column);
    let part = match view.part {
        Part::Text | Part::Number(0) => column.to_owned(),
        Part::Digits | Part::Decimal => format!("digits of {column}"),
        Part::Number(step) => format!("{column} {step:+}"),
        Part::Low(bits) => format!("low {bits} bits of {column}"),
        Part::High => format!("{column} without its low 24 bits"),
        Part::BytesReversed => format!("{column}, bytes reversed"),
        Part::NibblesSwapped => format!("{column}, nibbles swapped"),
        Part::BitsReversed => format!("{column}, bits reversed"),
        Part::BitsOfBytesReversed => format!("{column}, bits of each byte reversed"),
        Part::Complement => format!("{column}, complemented"),
    };
    Named {
        what: format!("{part}{}", written(view)),
        clause: clause(view.column),
        class: Class::Verbatim,
        detector: "identifier",
    }
}

fn written(view: View) -> String {
    match view.writing {
        Writing::Plain => String::new(),
        Writing::PairsReversed => ", pairs reversed".to_owned(),
        Writing::PairsSwapped => ", neighbours swapped".to_owned(),
        Writing::Mirrored => ", complemented".to_owned(),
        Writing::Rot13 => ", letters 13 further".to_owned(),
        Writing::Second(0) => ", every second symbol from the first".to_owned(),
        Writing::Second(_) => ", every second symbol from the second".to_owned(),
        Writing::Codes(base) => format!(", character codes in base {base}"),
        Writing::Bits(base) => format!(", characters in base {base}"),
        Writing::Keypad => ", letters as telephone keys".to_owned(),
        Writing::Ordinals => ", letters as numbers".to_owned(),
        Writing::Letters(_) => ", digits as letters".to_owned(),
        Writing::Luhn => " with a Luhn check digit".to_owned(),
        Writing::Sums => ", sums of neighbours".to_owned(),
        Writing::Base(16) if view.part != Part::Decimal => String::new(),
        Writing::Base(10) => " in decimal".to_owned(),
        Writing::Base(base) => format!(" in base {base}"),
        Writing::Base32(_) | Writing::BytesIn(32) => " in base 32".to_owned(),
        Writing::Mixed(symbols) => format!(" in base {}", symbols.len()),
        Writing::BytesIn(_) => " in base 64".to_owned(),
        Writing::ByteByByte(_) => ", byte by byte in decimal".to_owned(),
        Writing::NibblesModTen => ", each hexadecimal digit modulo 10".to_owned(),
        Writing::NibblesAsLetters => ", each hexadecimal digit as a letter".to_owned(),
        Writing::Wps(_) => " as a WPS PIN".to_owned(),
    }
}
