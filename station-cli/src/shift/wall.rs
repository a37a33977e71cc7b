//! The terminal under the tiles.

use std::io::Write;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Drawn at most so often a second: more than there are frames, so that none is left out.
const RATE: u8 = 20;

/// One screen. It is one bar of many lines: a bar a line would be drawn line by line, and a tile
/// could stay half the one before.
pub(super) struct Wall {
    term: Term,
    multi: MultiProgress,
    frame: Option<ProgressBar>,
    /// Of the terminal, and how many lines there are.
    size: ((u16, u16), usize),
}

impl Wall {
    /// A screen on standard error; `None` when that is no terminal.
    pub(super) fn open() -> Option<Wall> {
        let term = Term::stderr();
        if !term.is_term() {
            return None;
        }
        let _ = term.hide_cursor(); // it would jump about
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::term(term.clone(), RATE));
        multi.set_move_cursor(true);
        Some(Wall {
            size: ((0, 0), 0),
            term,
            multi,
            frame: None,
        })
    }

    /// Cells of a line, and lines, that can be used.
    pub(super) fn size(&self) -> (usize, usize) {
        let (rows, columns) = self.term.size();
        (usize::from(columns.max(1)), usize::from(rows.max(2)) - 1)
    }

    /// Shows these lines in place of the ones before.
    pub(super) fn show(&mut self, lines: &[String]) {
        let size = (self.term.size(), lines.len());
        if size != self.size {
            self.size = size;
            self.clear();
        }
        let text = lines.join("\n");
        let frame = self.frame.get_or_insert_with(|| {
            let frame = self.multi.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                frame.set_style(style);
            }
            frame
        });
        if frame.message() != text {
            frame.set_message(text);
        }
    }

    /// Another terminal, or another size of it: everything anew.
    fn clear(&mut self) {
        let _ = self.multi.clear();
        if let Some(frame) = self.frame.take() {
            self.multi.remove(&frame);
        }
        let _ = self.term.clear_screen();
    }

    /// Rings so many times.
    pub(super) fn ring(&self, times: usize) {
        let mut term = &self.term;
        let _ = term.write_all("\u{7}".repeat(times).as_bytes());
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        if let Some(frame) = &self.frame {
            frame.abandon(); // what is on the screen stays readable
        }
        let _ = self.term.show_cursor();
        let _ = self.term.write_line("");
    }
}
