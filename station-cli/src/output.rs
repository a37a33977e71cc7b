//! What the command line says: JSON to standard output, words for people to standard error.

use std::io::{self, Write};

/// One JSON object on a line.
pub(crate) fn print(value: &serde_json::Value) -> io::Result<()> {
    print_line(&value.to_string())
}

/// Text that a person sends to a file.
pub(crate) fn print_text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

pub(crate) fn print_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// A person who closed the terminal misses it; that must not cost a unit.
pub(crate) fn say(words: &str) {
    let _ = writeln!(io::stderr(), "{}", legible(words));
}

/// Text that cannot move the cursor: what a unit says of itself stays words.
fn legible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() && c != '\n' {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unit_says_cannot_move_the_cursor() {
        assert_eq!(legible("a\u{1b}[2Kb\r\nc"), "a\\u{1b}[2Kb\\r\nc");
    }
}
