//! What an answer is worth: when it is whole, what it says, and when to ask again.

use std::format;
use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;

use zeroize::Zeroizing;

use super::heard::is_prompt;
use super::line::Line;
use super::turn::{Phase, wait};
use super::{ASKS, Action, Console, ConsoleError, Found};
use crate::profile::{Answer, Pattern, Step};

/// How often a unit may refuse its own password before it counts as not holding it: a password is
/// typed without echo, so that a lost byte is not noticed, and accounts lock after a few wrong ones.
const REFUSALS: u32 = 4;

/// How often the same wrong value must come to count as what is stored. In a value with a digit that
/// is repeated, a lost byte leaves the same text behind at any of several places, so twice is chance.
const WRONG: usize = 3;

/// Why a line must be asked again.
enum Unclear {
    Silent,
    Refused,
    What(String),
    /// It was understood, and has to be said once more.
    Once,
}

impl Console {
    pub(super) fn answering(
        &mut self,
        end: Duration,
        now: Duration,
    ) -> Result<Option<Action>, ConsoleError> {
        match self.ended(now) {
            Some(true) => return self.judge(),
            Some(false) => return self.again(Unclear::Refused),
            None => {}
        }
        if now >= end {
            let line = self.lines.get(self.at);
            let what = match line.and_then(|line| line.rule.expect.as_ref()) {
                None => "no prompt".to_string(),
                Some(_) => "nothing as expected".to_string(),
            };
            return match self.heard.count {
                0 => self.again(Unclear::Silent),
                _ => self.again(Unclear::What(what)),
            };
        }
        let settled = self.settled_at();
        let look = if settled > now { settled.min(end) } else { end };
        Ok(Some(Action::Wait(wait(look, now))))
    }

    /// Whether the answer is whole: `Some(true)` as hoped, `Some(false)` the unit said no.
    fn ended(&self, now: Duration) -> Option<bool> {
        let manner = &self.profile.manner;
        let rule = &self.lines.get(self.at)?.rule;
        let quiet = now >= self.settled_at();
        let no = |line: &[u8]| {
            let patterns = rule.refuse.iter().chain(&manner.refuse);
            patterns.into_iter().any(|no| no.anywhere.is_match(line))
        };
        let mut ended = self.heard.lines(manner);
        let open = self.heard.open_line();
        match &rule.expect {
            Some(expect) => {
                let here = |line: &[u8]| expect.anywhere.is_match(line);
                // A boot's first word is often a line of its log, which elsewhere is noise.
                let booted = rule.booted && self.heard.all_lines().any(here);
                if booted || ended.any(here) || (quiet && !open.is_empty() && here(open)) {
                    return Some(true);
                }
                // A line that says no may be followed by nothing else.
                let refused = rule.refuse.as_ref().is_some_and(|no| {
                    self.heard
                        .lines(manner)
                        .any(|line| no.anywhere.is_match(line))
                });
                (quiet && refused).then_some(false)
            }
            None => {
                let there = quiet && is_prompt(&manner.prompt, self.heard.last_line(manner));
                there.then(|| !ended.any(no))
            }
        }
    }

    /// Looks into an answer that is whole.
    fn judge(&mut self) -> Result<Option<Action>, ConsoleError> {
        let Some(line) = self.lines.get(self.at) else {
            self.phase = Phase::Next;
            return Ok(None);
        };
        if !line.asks() {
            self.found.read_back.extend(line.rule.proves);
            self.advance();
            return Ok(None);
        }
        let answer = self.heard.answer(&self.profile.manner);
        let mut said = Zeroizing::new(Vec::new());
        let mut answers: Vec<(Answer, String)> = Vec::new();
        for (of, capture) in &line.rule.capture {
            let found = match only(&capture.pattern, &answer) {
                Ok(None) if capture.optional => &[][..],
                Ok(Some(found)) => found,
                Ok(None) => return self.again(Unclear::What(format!("no {}", of.as_str()))),
                Err(()) => return self.again(Unclear::What(format!("two {}", of.as_str()))),
            };
            said.extend_from_slice(found);
            said.push(b'\n');
            answers.push((*of, String::from_utf8_lossy(found).into_owned()));
        }
        let (mut right, mut parts) = (true, Vec::new());
        for (value, pattern) in &line.rule.read_back {
            let found = match only(pattern, &answer) {
                Ok(Some(found)) => found,
                // It was there before the reset. What it says instead is a value, and a wrong one:
                // said whole, so that an answer which was only garbled is not the same twice.
                Ok(None) if self.step == Step::VerifyAgain => {
                    right = false;
                    said.extend_from_slice(&answer);
                    said.push(b'\n');
                    continue;
                }
                _ => return self.again(Unclear::What(format!("no {value}"))),
            };
            said.extend_from_slice(found);
            said.push(b'\n');
            right &= self.values.same(*value, found);
            parts.push(value.part);
        }
        let times = line
            .unsettled
            .iter()
            .filter(|earlier| ***earlier == *said)
            .count();
        let before = times > 0;
        let facts = line.rule.read_back.is_empty();
        if (facts && before) || (!facts && right && (answers.is_empty() || before)) {
            self.found.answers.extend(answers);
            self.found.read_back.extend(parts);
            self.found.read_back.extend(line.rule.proves);
            self.advance();
            return Ok(None);
        }
        if !facts && !right && times + 1 >= WRONG {
            self.record();
            return Err(ConsoleError::Mismatch { step: self.step });
        }
        if let Some(line) = self.lines.get_mut(self.at) {
            line.unsettled.push(said);
        }
        self.again(Unclear::Once)
    }

    /// Asks once more, from where that is safe; the prompt is brought back first, unless it is there.
    fn again(&mut self, why: Unclear) -> Result<Option<Action>, ConsoleError> {
        self.record();
        self.heard.clear();
        self.phase = Phase::Next;
        self.tries = 0;
        let step = self.step;
        let Some(line) = self.lines.get_mut(self.at) else {
            return Ok(None);
        };
        line.asks += 1;
        let number = line.number;
        let passing = line.is_passing;
        let proves = line.rule.proves.is_some() && matches!(why, Unclear::Refused);
        // A wrong password that was not even answered is no refusal.
        line.refusals += u32::from(proves);
        if proves && line.refusals >= REFUSALS {
            return Err(ConsoleError::Mismatch { step });
        }
        if line.asks >= ASKS {
            return Err(match why {
                Unclear::Silent => ConsoleError::Silent { step },
                Unclear::Refused => ConsoleError::Refused { step, line: number },
                Unclear::What(what) => ConsoleError::Unclear {
                    step,
                    line: number,
                    what,
                },
                Unclear::Once => ConsoleError::Unclear {
                    step,
                    line: number,
                    what: "not the same twice".to_string(),
                },
            });
        }
        if !line.stands_alone() {
            // In the middle of a dialogue there is no half: the step is done from its start, and
            // what it found is found again.
            self.lines.retain(|line| !line.is_passing);
            self.at = 0;
            // The lines of a login are made anew, and what was counted of them goes with them: only
            // the logins themselves say that this one never works.
            if !passing {
                self.logins = 0;
            }
            self.found = Found::default();
        } else if !matches!(why, Unclear::Once) {
            self.lines.insert(self.at, Line::attach().passing());
        }
        Ok(None)
    }
}
/// What a pattern's first group finds, when all that it finds is the same.
///
/// # Errors
/// When it finds different things: then the unit, or what is mixed into its answer, contradicts
/// itself.
#[allow(clippy::result_unit_err, reason = "there is nothing to add")]
pub fn only<'a>(pattern: &Pattern, answer: &'a [u8]) -> Result<Option<&'a [u8]>, ()> {
    let mut found: Option<&[u8]> = None;
    for captures in pattern.anywhere.captures_iter(answer) {
        let group = captures.get(1).map_or(&[][..], |group| group.as_bytes());
        let group = group.trim_ascii();
        match found {
            Some(before) if before != group => return Err(()),
            _ => found = Some(group),
        }
    }
    Ok(found)
}
