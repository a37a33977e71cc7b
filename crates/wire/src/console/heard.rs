//! What a unit has said since it was last asked: bytes in, lines out.

use std::vec::Vec;

use zeroize::Zeroizing;

use crate::profile::{Manner, Pattern};

/// What is kept of one answer, in bytes; of a longer one the end, where its prompt is.
const HEARD_MAX: usize = 16 * 1024;

/// Bytes as a person would see them: without what colours and moves a terminal's cursor.
pub(super) struct Heard {
    bytes: Zeroizing<Vec<u8>>,
    escape: Escape,
    /// Bytes since the last time that somebody looked, dropped ones included.
    pub(super) count: usize,
}

/// Where an escape sequence of ECMA-48 stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Escape {
    Outside,
    Begun,
    Control,
}

impl Heard {
    pub(super) fn new() -> Heard {
        Heard {
            bytes: Zeroizing::new(Vec::new()),
            escape: Escape::Outside,
            count: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.count += bytes.len();
        for &byte in bytes {
            let (next, keep) = match (self.escape, byte) {
                (_, 0x1b) => (Escape::Begun, false),
                (Escape::Begun, b'[') => (Escape::Control, false),
                (Escape::Control, 0x40..=0x7e) | (Escape::Begun, _) => (Escape::Outside, false),
                // A line's end is never part of one: a lost byte must not swallow what follows.
                (Escape::Control, b'\r' | b'\n') => (Escape::Outside, true),
                (Escape::Control, _) => (Escape::Control, false),
                (Escape::Outside, 0 | 7) => (Escape::Outside, false),
                (Escape::Outside, _) => (Escape::Outside, true),
            };
            self.escape = next;
            if keep {
                self.bytes.push(byte);
            }
        }
        if self.bytes.len() > HEARD_MAX {
            let over = self.bytes.len() - HEARD_MAX;
            self.bytes.drain(..over);
        }
    }

    pub(super) fn clear(&mut self) {
        // Not `Vec::clear`: what was heard may have been a secret.
        self.bytes = Zeroizing::new(Vec::new());
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lines that ended.
    pub(super) fn all_lines(&self) -> impl Iterator<Item = &[u8]> {
        let ended = self.bytes.iter().rposition(|byte| *byte == b'\n');
        let lines = ended.map(|at| self.bytes[..at].split(|byte| *byte == b'\n'));
        lines.into_iter().flatten().map(trimmed)
    }

    /// Those of them that mean something.
    pub(super) fn lines<'a>(&'a self, manner: &'a Manner) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.all_lines().filter(|line| !is_noise(manner, line))
    }

    /// The line that has not ended.
    pub(super) fn open_line(&self) -> &[u8] {
        let start = self.bytes.iter().rposition(|byte| *byte == b'\n');
        let line = &self.bytes[start.map_or(0, |at| at + 1)..];
        let start = line.iter().rposition(|byte| *byte == b'\r');
        match start {
            Some(at) if at + 1 < line.len() => &line[at + 1..],
            _ => line,
        }
    }

    /// The last line with anything in it, ended or not.
    pub(super) fn last_line<'a>(&'a self, manner: &'a Manner) -> &'a [u8] {
        let open = trimmed(self.open_line());
        match open.is_empty() {
            false => self.open_line(),
            true => self
                .lines(manner)
                .filter(|line| !line.is_empty())
                .last()
                .unwrap_or_default(),
        }
    }

    /// All of it, without the lines that mean nothing.
    pub(super) fn answer(&self, manner: &Manner) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.bytes.len() + 1));
        for line in self.lines(manner) {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        out.extend_from_slice(self.open_line());
        out
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    let mut line = line;
    while let Some((b'\r', rest)) = line.split_last() {
        line = rest;
    }
    while let Some((b'\r', rest)) = line.split_first() {
        line = rest;
    }
    line
}

fn is_noise(manner: &Manner, line: &[u8]) -> bool {
    manner
        .noise
        .iter()
        .any(|noise| noise.anywhere.is_match(line))
}

/// Whether a line is a prompt, and nothing but it; the space behind one may be lost.
pub(super) fn is_prompt(prompt: &Pattern, line: &[u8]) -> bool {
    prompt.whole.is_match(line) || prompt.whole.is_match(line.trim_ascii_end())
}
