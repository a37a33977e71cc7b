//! One line of a step as it will be typed.

use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use zeroize::Zeroizing;

use super::ConsoleError;
use super::values::{Values, is_safe, pieces};
use crate::profile::{ConsoleLine, Form, Manner, Piece, Step, Value};

/// What one line does.
pub(super) enum Typed {
    /// Brings the prompt, past a login where there is one.
    Attach,
    /// Types this, with echo unless it is hidden, and ends the line.
    Text(Zeroizing<Vec<u8>>),
    /// Types this as it is.
    Key(Vec<u8>),
    /// Types nothing: waits.
    Nothing,
}

/// One line, rendered.
pub(super) struct Line {
    pub(super) typed: Typed,
    pub(super) rule: ConsoleLine,
    /// What a transcript shows of it: never a secret.
    pub(super) said: String,
    /// Its number in the step, from 1.
    pub(super) number: usize,
    /// Whether it is a piece of a larger part.
    is_piece: bool,
    /// Whether it belongs to no step: a login, or a prompt that is brought back.
    pub(super) is_passing: bool,
    /// How often it was asked, over every restart of its step.
    pub(super) asks: u32,
    /// How often the unit said no to it.
    pub(super) refusals: u32,
    /// Its answers that are not settled yet.
    pub(super) unsettled: Vec<Zeroizing<Vec<u8>>>,
}

impl Line {
    fn new(typed: Typed, rule: &ConsoleLine, said: String, number: usize) -> Line {
        Line {
            typed,
            rule: rule.clone(),
            said,
            number,
            is_piece: rule.split.is_some(),
            is_passing: false,
            asks: 0,
            refusals: 0,
            unsettled: Vec::new(),
        }
    }

    pub(super) fn attach() -> Line {
        let rule = ConsoleLine::default();
        Line::new(Typed::Attach, &rule, "{wake}".to_string(), 0)
    }

    pub(super) fn passing(self) -> Line {
        Line {
            is_passing: true,
            ..self
        }
    }

    /// One line, or one for each piece of a part.
    pub(super) fn render(
        rule: &ConsoleLine,
        values: &Values,
        manner: &Manner,
        step: Step,
        number: usize,
    ) -> Result<Vec<Line>, ConsoleError> {
        let line = |typed, said| Line::new(typed, rule, said, number);
        let Some(send) = &rule.send else {
            return Ok(vec![match &rule.key {
                Some(key) => {
                    let said = format!("{{key}}{}", key.escape_default());
                    line(Typed::Key(key.clone().into_bytes()), said)
                }
                None => line(Typed::Nothing, "{nothing}".to_string()),
            }]);
        };
        let texts = match rule.split {
            None => vec![(values.render(send, b"")?, send.text.clone())],
            Some(value) => {
                let whole = values.get(value);
                // Judged whole: a piece of it may look like text where all of it does not.
                let whole = whole.filter(|text| value.form != Form::Plain || is_safe(text));
                let whole = whole.ok_or(ConsoleError::Unwritable { part: value.part })?;
                let mut texts = Vec::new();
                for piece in pieces(&whole, rule.width) {
                    texts.push((values.render(send, &piece)?, said_of(send, value, &piece)));
                }
                texts
            }
        };
        let mut lines = Vec::new();
        for (text, said) in texts {
            if text.len() > manner.max_line {
                return Err(ConsoleError::TooLong {
                    step,
                    line: number,
                    length: text.len(),
                    most: manner.max_line,
                });
            }
            lines.push(line(Typed::Text(text), said));
        }
        Ok(lines)
    }

    /// Whether asking it once more, alone, asks the same: not in the middle of a dialogue, and not
    /// a piece that would be added twice.
    pub(super) fn stands_alone(&self) -> bool {
        let dialogue = self.rule.expect.is_some() && !self.rule.booted;
        !dialogue && !self.is_piece && !self.rule.hidden
    }

    /// Whether its answer is looked into.
    pub(super) fn asks(&self) -> bool {
        !self.rule.capture.is_empty() || !self.rule.read_back.is_empty()
    }
}

/// A piece of a public part is shown, since a replay needs it; one of a secret is not.
fn said_of(send: &crate::profile::Template, value: Value, piece: &[u8]) -> String {
    let shown = match value.part.is_secret() && value.form != Form::Sha256 {
        true => "{piece}".to_string(),
        false => String::from_utf8_lossy(piece).into_owned(),
    };
    let mut said = String::new();
    for part in &send.pieces {
        match part {
            Piece::Text(text) => said.push_str(text),
            Piece::Part => said.push_str(&shown),
            Piece::Value(value) => said.push_str(&format!("{{{value}}}")),
            Piece::Decoy => said.push_str("{decoy}"),
            Piece::Port => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::super::values::tests::sample;
    use super::*;
    use crate::profile::{Driver, Profile, Script};

    /// The lines of the write step of a shell's profile that types its password in pieces.
    fn write(password: &str) -> Result<Vec<Line>, ConsoleError> {
        let text = Profile::shipped("zephyr-shell").unwrap();
        let split = "{ send = \"settings append factory/password {piece}\", split = \"password\", width = 4 }";
        let plain = "{ send = \"settings write string factory/password {password}\" }";
        assert!(text.contains(plain));
        let profile = Profile::parse(&text.replace(plain, split)).unwrap();
        let Driver::Console(console) = profile.driver else {
            panic!("no console");
        };
        let Script::Run(lines) = console.scripts.step(Step::Write) else {
            panic!("nothing is written");
        };
        Line::render(
            &lines[0],
            &sample(password),
            &console.manner,
            Step::Write,
            1,
        )
    }

    #[test]
    fn what_a_shell_would_act_on_is_not_typed_in_pieces_either() {
        assert_eq!(write("K7QDM2X9TR4W").unwrap().len(), 3);
        for password in [
            "K7QDM2X9;cat",
            "K7QD$(id)TR4W",
            "K7QDM2X9#R4W",
            "K7QD*2X9?R4W",
        ] {
            let error = write(password).err();
            let part = crate::profile::Part::Password;
            assert_eq!(error, Some(ConsoleError::Unwritable { part }), "{password}");
        }
    }
}
