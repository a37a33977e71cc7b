//! The terminal under the tiles.

use std::io::Write;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Frames a second: what moves looks as if it did, and a slow line is not filled.
const RATE: u8 = 10;

/// One screen, line by line.
pub(super) struct Wall {
    term: Term,
    multi: MultiProgress,
    lines: Vec<ProgressBar>,
    size: (u16, u16),
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
            size: (0, 0),
            term,
            multi,
            lines: Vec::new(),
        })
    }

    /// Cells of a line, and lines, that can be used.
    pub(super) fn size(&self) -> (usize, usize) {
        let (rows, columns) = self.term.size();
        (usize::from(columns.max(1)), usize::from(rows.max(2)) - 1)
    }

    /// Shows these lines in place of the ones before.
    pub(super) fn show(&mut self, lines: Vec<String>) {
        let size = self.term.size();
        if size != self.size || lines.len() != self.lines.len() {
            self.size = size;
            self.clear(lines.len());
        }
        for (bar, line) in self.lines.iter().zip(lines) {
            if bar.message() != line {
                bar.set_message(line);
            }
        }
        if let Some(last) = self.lines.last() {
            last.tick(); // what came too fast for the rate is drawn now
        }
    }

    /// Another terminal, or another size of it: everything anew.
    fn clear(&mut self, lines: usize) {
        let _ = self.multi.clear();
        for line in self.lines.drain(..) {
            self.multi.remove(&line);
        }
        let _ = self.term.clear_screen();
        let style =
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        for _ in 0..lines {
            let line = self.multi.add(ProgressBar::new_spinner());
            line.set_style(style.clone());
            self.lines.push(line);
        }
    }

    /// Rings so many times.
    pub(super) fn ring(&self, times: usize) {
        let mut term = &self.term;
        let _ = term.write_all("\u{7}".repeat(times).as_bytes());
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        for line in &self.lines {
            line.abandon(); // what is on the screen stays readable
        }
        let _ = self.term.show_cursor();
        let _ = self.term.write_line("");
    }
}
