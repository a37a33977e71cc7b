//! Letters and shapes several rows high, so that a tile is read at two metres.
//!
//! A glyph is five pixels high; a pixel is half a cell, since a terminal's cell is about twice as
//! high as wide. Chinese has no such letters here: its tiles have the shape big and the word plain.

use super::card::Tone;

/// Rows of a glyph, in pixels.
const HIGH: usize = 5;

/// Letters, three pixels wide: a row is three bits.
#[rustfmt::skip]
const LETTERS: [(char, [u8; HIGH]); 27] = [
    ('A', [2, 5, 7, 5, 5]), ('B', [6, 5, 6, 5, 6]), ('C', [3, 4, 4, 4, 3]),
    ('D', [6, 5, 5, 5, 6]), ('E', [7, 4, 6, 4, 7]), ('F', [7, 4, 6, 4, 4]),
    ('G', [3, 4, 5, 5, 3]), ('H', [5, 5, 7, 5, 5]), ('I', [7, 2, 2, 2, 7]),
    ('J', [1, 1, 1, 5, 2]), ('K', [5, 5, 6, 5, 5]), ('L', [4, 4, 4, 4, 7]),
    ('M', [5, 7, 7, 5, 5]), ('N', [6, 5, 5, 5, 5]), ('O', [7, 5, 5, 5, 7]),
    ('P', [7, 5, 7, 4, 4]), ('Q', [2, 5, 5, 7, 3]), ('R', [6, 5, 6, 5, 5]),
    ('S', [7, 4, 7, 1, 7]), ('T', [7, 2, 2, 2, 2]), ('U', [5, 5, 5, 5, 7]),
    ('V', [5, 5, 5, 5, 2]), ('W', [5, 5, 7, 7, 5]), ('X', [5, 5, 2, 5, 5]),
    ('Y', [5, 5, 2, 2, 2]), ('Z', [7, 1, 2, 4, 7]), (' ', [0, 0, 0, 0, 0]),
];

/// The shape of a tone, five pixels wide.
fn shape(tone: Tone) -> [u8; HIGH] {
    match tone {
        Tone::Pass => [1, 2, 20, 8, 0],       // a tick
        Tone::Fail => [17, 10, 4, 10, 17],    // a cross
        Tone::Action => [4, 4, 4, 0, 4],      // an exclamation mark
        Tone::Ready => [14, 17, 17, 17, 14],  // a ring
        Tone::Offline => [0, 31, 0, 31, 0],   // two bars: it pauses
        Tone::Locked => [14, 10, 31, 31, 31], // a lock
        Tone::Stop => [14, 31, 31, 31, 14],   // a stop sign
        Tone::Running => [8, 12, 14, 12, 8],  // a triangle
        Tone::Empty => [0, 0, 0, 0, 0],
    }
}

/// The same, where there is no room for more than a character.
pub(super) fn small(tone: Tone) -> &'static str {
    match tone {
        Tone::Pass => "\u{2713}",
        Tone::Fail => "\u{2717}",
        Tone::Action => "!",
        Tone::Ready => "\u{25cb}",
        Tone::Offline => "=",
        Tone::Locked => "\u{25a0}",
        Tone::Stop => "\u{25cf}",
        Tone::Running => "\u{25b6}",
        Tone::Empty => "\u{b7}",
    }
}

/// What a terminal for Chinese may draw two cells wide (Unicode annex 11, "ambiguous"), by what is
/// one cell wide everywhere.
pub(super) fn narrow(c: char) -> char {
    match c {
        '\u{2580}' => '\u{281b}',
        '\u{2584}' => '\u{28e4}',
        '\u{2588}' => '\u{28ff}',
        '\u{25cb}' => 'o',
        '\u{25a0}' => '#',
        '\u{25cf}' => '@',
        '\u{25b6}' => '>',
        '\u{b7}' => '.',
        other => other,
    }
}

/// Shape and word, as big as fits into so many cells; `None` when nothing does. A long word stands
/// without the shape; one that is longer still, or has no big letters, leaves the shape alone.
pub(super) fn big(tone: Tone, word: &str, width: usize, height: usize) -> Option<Vec<String>> {
    let scale = (1..=4)
        .rev()
        .find(|scale| (HIGH * scale).div_ceil(2) <= height)?;
    let fits = |columns: &[[bool; HIGH]], scale: usize| columns.len() * scale <= width;
    for scale in (1..=scale).rev() {
        let lettered = columns(Some(tone), word);
        if let Some(columns) = lettered.filter(|columns| fits(columns, scale)) {
            return Some(rows(&columns, scale));
        }
    }
    let alone = columns(None, word).filter(|columns| !word.is_empty() && fits(columns, 1));
    if let Some(columns) = alone {
        return Some(rows(&columns, 1));
    }
    let shape = columns(Some(tone), "").filter(|columns| fits(columns, scale))?;
    Some(rows(&shape, scale))
}

/// Whether the word itself can be written with big letters in this width.
pub(super) fn has_letters(word: &str, width: usize) -> bool {
    columns(None, word).is_some_and(|columns| columns.len() <= width)
}

/// Pixels by column; `None` when a letter is missing.
fn columns(tone: Option<Tone>, word: &str) -> Option<Vec<[bool; HIGH]>> {
    let mut all = Vec::new();
    let mut push = |rows: [u8; HIGH], wide: u8| {
        for bit in (0..wide).rev() {
            all.push(rows.map(|row| row >> bit & 1 == 1));
        }
        all.push([false; HIGH]);
    };
    if let Some(tone) = tone {
        push(shape(tone), 5);
    }
    for letter in word.chars() {
        let (_, rows) = LETTERS.iter().find(|(known, _)| *known == letter)?;
        push(*rows, 3);
    }
    all.pop();
    Some(all)
}

/// Two pixel rows a text row.
fn rows(columns: &[[bool; HIGH]], scale: usize) -> Vec<String> {
    let pixel =
        |row: usize, column: usize| row < HIGH * scale && columns[column / scale][row / scale];
    let cell = |row: usize, column: usize| match (pixel(row, column), pixel(row + 1, column)) {
        (true, true) => '\u{2588}',
        (true, false) => '\u{2580}',
        (false, true) => '\u{2584}',
        (false, false) => ' ',
    };
    let text = |row: usize| {
        (0..columns.len() * scale)
            .map(|column| cell(row, column))
            .collect()
    };
    (0..HIGH * scale).step_by(2).map(text).collect()
}

#[cfg(test)]
mod tests {
    use console::measure_text_width;

    use super::*;

    #[test]
    fn as_big_as_fits() {
        let high = |width, height| big(Tone::Pass, "PASS", width, height).map(|rows| rows.len());
        assert_eq!(high(39, 2), None);
        assert_eq!(high(39, 3), Some(3));
        assert_eq!(high(39, 8), Some(3), "letters before height");
        assert_eq!(high(59, 5), Some(5));
        assert_eq!(high(4, 3), None);
        for rows in [
            big(Tone::Pass, "PASS", 39, 3),
            big(Tone::Fail, "RECONNECT", 39, 3),
        ] {
            assert!(
                rows.unwrap()
                    .iter()
                    .all(|row| measure_text_width(row) <= 39)
            );
        }
    }

    #[test]
    fn a_word_without_big_letters_has_its_shape() {
        let shape = big(Tone::Pass, "\u{5408}\u{683c}", 39, 3).unwrap();
        assert_eq!(shape, big(Tone::Pass, "WRONG PRODUCT", 39, 3).unwrap());
        assert!(!has_letters("\u{5408}\u{683c}", 39) && has_letters("PASS", 39));
    }

    #[test]
    fn a_tick_looks_like_one() {
        let rows = big(Tone::Pass, "", 39, 3).unwrap();
        assert_eq!(
            rows,
            ["   \u{2584}\u{2580}", "\u{2580}\u{2584}\u{2580}  ", "     "]
        );
    }
}
