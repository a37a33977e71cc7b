//! What the person at the bench saw, kept as text.

use std::time::Instant;

use anyhow::Result;

use super::operator::{ANSWER, Operator, TICK};

/// What stands on a screen that is kept, once it is drawn.
const DRAWN: [(&str, &str); 7] = [
    ("put-back", "PUT BACK"),
    ("offline", " LEFT"),
    ("paper-out", "CHECK PAPER AND PRINTER"),
    ("wrong-product", "WRONG PRODUCT"),
    ("swapped", "E-205"),
    ("same-unit", "SAME UNIT"),
    ("labels-swapped", "<->"),
];

impl Operator<'_> {
    /// Keeps what is on the screen once it is drawn, or what is there instead; the newest of each
    /// name.
    pub(super) fn picture(&self, name: &str) -> Result<()> {
        let drawn = DRAWN.iter().find(|(screen, _)| *screen == name);
        let give_up = Instant::now() + ANSWER;
        let screen = loop {
            self.halt.pause(TICK)?;
            let screen = self.terminal.screen()?;
            if drawn.is_none_or(|(_, words)| screen.contains(words)) || Instant::now() > give_up {
                break screen;
            }
        };
        Ok(std::fs::write(
            self.screens.join(format!("{name}.txt")),
            screen,
        )?)
    }
}
