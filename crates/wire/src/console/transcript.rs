//! What was said, to look at and to replay: text, one event a line, without a secret in it.
//!
//! ```text
//! birthmark transcript 1
//! = identify
//! > kernel hwid
//! < kernel id\r\nid: 00112233\r\nuart:~$
//! ! asked again
//! ```
//!
//! `=` begins a step, `>` is a line as the profile has it, with the names of parts in place of
//! them, `<` is all that came back after it, escaped as in Rust, and `!` is the engine's own word.

use std::borrow::ToOwned;
use std::format;
use std::string::String;
use std::vec::Vec;

use thiserror::Error;

use crate::profile::Step;

const FIRST: &str = "birthmark transcript 1";
/// Lines that are kept; of a longer conversation the beginning.
const LINES_MAX: usize = 4_096;

/// A conversation with one unit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Transcript {
    pub(super) events: Vec<Said>,
}

/// One event of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Said {
    Step(Step),
    Exchange(String, Vec<u8>),
    Note(String),
}

/// A text that is no transcript.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("line {line} of the transcript: {message}")]
pub struct TranscriptError {
    line: usize,
    message: &'static str,
}

impl Transcript {
    pub(super) fn step(&mut self, step: Step) {
        self.push(Said::Step(step));
    }

    pub(super) fn exchange(&mut self, said: &str, answer: &[u8]) {
        self.push(Said::Exchange(said.to_owned(), answer.to_vec()));
    }

    pub(super) fn note(&mut self, note: &str) {
        self.push(Said::Note(note.to_owned()));
    }

    fn push(&mut self, said: Said) {
        if self.events.len() < LINES_MAX {
            self.events.push(said);
        }
    }

    /// Reads one back.
    ///
    /// # Errors
    /// [`TranscriptError`] with the line that is not what this program writes.
    pub fn parse(text: &str) -> Result<Transcript, TranscriptError> {
        let mut transcript = Transcript::default();
        for (nth, line) in text.lines().enumerate() {
            let wrong = |message| TranscriptError {
                line: nth + 1,
                message,
            };
            if nth == 0 {
                match line {
                    FIRST => continue,
                    _ => return Err(wrong("expected `birthmark transcript 1`")),
                }
            }
            let (kind, rest) = line.split_at_checked(2).unwrap_or((line, ""));
            match kind {
                "= " => {
                    let step = Step::ALL.into_iter().find(|step| step.as_str() == rest);
                    transcript.step(step.ok_or_else(|| wrong("no step of a profile"))?);
                }
                "> " => transcript.exchange(rest, b""),
                "< " => match transcript.events.last_mut() {
                    Some(Said::Exchange(_, answer)) if answer.is_empty() => {
                        *answer = unescaped(rest).ok_or_else(|| wrong("an escape that is none"))?;
                    }
                    _ => return Err(wrong("an answer to nothing")),
                },
                "! " => transcript.note(rest),
                "" => {}
                _ => return Err(wrong("expected a line that begins with =, >, < or !")),
            }
        }
        Ok(transcript)
    }
}

impl std::fmt::Display for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FIRST}")?;
        for said in &self.events {
            match said {
                Said::Step(step) => writeln!(f, "= {step}")?,
                Said::Note(note) => writeln!(f, "! {note}")?,
                Said::Exchange(said, answer) => {
                    writeln!(f, "> {said}")?;
                    if !answer.is_empty() {
                        writeln!(f, "< {}", escaped(answer))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'\\' => match rest.next()? {
                b'r' => b'\r',
                b'n' => b'\n',
                b'\\' => b'\\',
                b'x' => {
                    let digits = [rest.next()?, rest.next()?];
                    let digits = core::str::from_utf8(&digits).ok()?;
                    u8::from_str_radix(digits, 16).ok()?
                }
                _ => return None,
            },
            byte => byte,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let mut transcript = Transcript::default();
        transcript.step(Step::VerifyAgain);
        transcript.exchange("get {password}", b"\r\n\\v: {password}\x1b\xff \r\n# ");
        transcript.exchange("quiet", b"");
        transcript.note("asked again");
        let text = std::string::ToString::to_string(&transcript);
        assert_eq!(Transcript::parse(&text).unwrap(), transcript, "{text}");
    }

    #[test]
    fn what_is_no_transcript_is_named_by_its_line() {
        for (text, line) in [
            ("hello", 1),
            ("birthmark transcript 1\n= identify\n< x", 3),
            ("birthmark transcript 1\n= nothing", 2),
            ("birthmark transcript 1\n> a\n< \\q", 3),
            ("birthmark transcript 1\n> a\n< \\x4", 3),
            ("birthmark transcript 1\nwhat", 2),
        ] {
            let error = Transcript::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
        }
    }
}
