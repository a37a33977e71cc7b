//! One turn of the engine: where a line stands, and what comes next.

use std::format;
use std::string::{String, ToString};
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use zeroize::Zeroizing;

use super::heard::is_prompt;
use super::line::{Line, Typed};
use super::{ASKS, Action, Console, ConsoleError, QUIET_AT_MOST, TRIES, WAKE_EVERY, sizes};
use crate::profile::{Answer, Pattern};

/// Logins in one step: more means that the console throws the station out again.
const LOGINS: u32 = 6;

/// How often a unit may refuse its own password before it counts as not holding it: a password is
/// typed without echo, so that a lost byte is not noticed, and accounts lock after a few wrong ones.
const REFUSALS: u32 = 4;

/// Where the line under way stands.
pub(super) enum Phase {
    /// It has not begun.
    Next,
    /// The wake-up was typed, last at `woken`; the prompt must come by `end`.
    Attaching {
        woken: Option<Duration>,
        end: Duration,
    },
    /// The unit should be quiet before anything is typed; after `end` it is typed all the same.
    Quiet { end: Duration },
    /// Bytes before `from` came back right; those up to `to` are out, due back by `end`.
    Typing {
        from: usize,
        to: usize,
        end: Duration,
    },
    /// All is typed; the answer must come by `end`.
    Answering { end: Duration },
}

/// Why a line must be asked again.
enum Unclear {
    Silent,
    Refused,
    What(String),
    /// It was understood, and has to be said once more.
    Once,
}

impl Console {
    /// One turn; `None` when the phase changed and there is more to do at once.
    pub(super) fn turn(&mut self, now: Duration) -> Result<Option<Action>, ConsoleError> {
        match self.phase {
            Phase::Next => Ok(self.next(now)),
            Phase::Attaching { woken, end } => self.attaching(woken, end, now),
            Phase::Quiet { end } => Ok(self.quiet(end, now)),
            Phase::Typing { from, to, end } => self.typing(from, to, end, now),
            Phase::Answering { end } => self.answering(end, now),
        }
    }

    fn next(&mut self, now: Duration) -> Option<Action> {
        let Some(line) = self.lines.get(self.at) else {
            return Some(Action::Finish(std::mem::take(&mut self.found)));
        };
        self.phase = match line.typed {
            Typed::Attach => Phase::Attaching {
                woken: None,
                end: now + self.profile.manner.wake_within,
            },
            Typed::Nothing => Phase::Answering {
                end: now + line.rule.within.unwrap_or(self.profile.manner.within),
            },
            _ => Phase::Quiet {
                end: now + QUIET_AT_MOST,
            },
        };
        None
    }

    fn advance(&mut self) {
        self.record();
        self.heard.clear();
        self.at += 1;
        self.phase = Phase::Next;
        self.tries = 0;
    }

    /// The line and its whole answer go into the transcript together, so that no secret hides in
    /// the seam between two reads.
    fn record(&mut self) {
        if let Some(line) = self.lines.get(self.at) {
            let masked = self.values.mask(self.heard.bytes());
            self.transcript.exchange(&line.said, &masked);
        }
    }

    /// When the unit will have been quiet for long enough.
    fn settled_at(&self) -> Duration {
        self.last_heard + self.profile.manner.settle
    }

    fn attaching(
        &mut self,
        woken: Option<Duration>,
        end: Duration,
        now: Duration,
    ) -> Result<Option<Action>, ConsoleError> {
        let profile = Arc::clone(&self.profile);
        let manner = &profile.manner;
        let Some(woken) = woken else {
            self.heard.clear();
            self.heard.count = 0;
            return Ok(Some(self.wake(end, now)));
        };
        let last = self.heard.last_line(manner);
        let login = manner
            .login
            .iter()
            .find(|login| is_prompt(&login.prompt, last));
        let there = is_prompt(&manner.prompt, last);
        if (there || login.is_some()) && now >= self.settled_at() {
            if let (Some(login), false) = (login, there) {
                self.logins += 1;
                if self.logins > LOGINS {
                    return Err(ConsoleError::NoPrompt { step: self.step });
                }
                let mut lines = Vec::new();
                for rule in &login.run {
                    lines.extend(Line::render(rule, &self.values, manner, self.step, 0)?);
                }
                let after = self.at + 1;
                lines.push(Line::attach());
                let lines = lines.into_iter().map(Line::passing);
                self.lines.splice(after..after, lines);
            }
            self.advance();
            return Ok(None);
        }
        if now >= end {
            return Err(match self.heard.count {
                0 => ConsoleError::Silent { step: self.step },
                _ => ConsoleError::NoPrompt { step: self.step },
            });
        }
        let again = woken + WAKE_EVERY;
        if now >= again && now >= self.settled_at() {
            return Ok(Some(self.wake(end, now)));
        }
        let look = match there || login.is_some() || now >= again {
            true => self.settled_at(),
            false => again,
        };
        Ok(Some(Action::Wait(wait(look.min(end), now))))
    }

    fn wake(&mut self, end: Duration, now: Duration) -> Action {
        self.phase = Phase::Attaching {
            woken: Some(now),
            end,
        };
        let wake = self.profile.manner.wake.clone().into_bytes();
        Action::Send(Zeroizing::new(wake), WAKE_EVERY.min(wait(end, now)))
    }

    fn quiet(&mut self, end: Duration, now: Duration) -> Option<Action> {
        let settled = self.settled_at();
        if now < settled && now < end {
            return Some(Action::Wait(wait(settled.min(end), now)));
        }
        // Whatever is here now belongs to no line of ours.
        self.heard.clear();
        self.heard.count = 0;
        let line = self.lines.get(self.at)?;
        let within = line.rule.within.unwrap_or(self.profile.manner.within);
        match &line.typed {
            Typed::Key(key) => {
                let key = Zeroizing::new(key.clone());
                self.phase = Phase::Answering { end: now + within };
                Some(Action::Send(key, within))
            }
            _ => {
                let (from, to) = (0, 0);
                self.phase = Phase::Typing { from, to, end: now };
                None
            }
        }
    }

    fn typing(
        &mut self,
        mut from: usize,
        to: usize,
        end: Duration,
        now: Duration,
    ) -> Result<Option<Action>, ConsoleError> {
        let profile = Arc::clone(&self.profile);
        let manner = &profile.manner;
        let Some((line, Typed::Text(text))) = self.lines.get(self.at).map(|l| (l, &l.typed)) else {
            self.phase = Phase::Next;
            return Ok(None);
        };
        let echoes = manner.echo && !line.rule.hidden;
        if to > from {
            let (out, back) = (&text[from..to], self.heard.bytes());
            let whole = !echoes || back == out;
            let wait_on = if echoes {
                out.starts_with(back) && !whole
            } else {
                true
            };
            if wait_on && now < end {
                return Ok(Some(Action::Wait(wait(end, now))));
            }
            if !whole {
                return self.garbled(now);
            }
            from = to;
        }
        if from < text.len() {
            let to = (from + sizes(manner.chunk)[self.size]).min(text.len());
            let within = if echoes {
                manner.echo_within
            } else {
                manner.gap
            };
            let piece = Zeroizing::new(text[from..to].to_vec());
            let end = now + within;
            self.phase = Phase::Typing { from, to, end };
            self.heard.clear();
            return Ok(Some(Action::Send(piece, within)));
        }
        let within = line.rule.within.unwrap_or(manner.within);
        let line_end = Zeroizing::new(manner.line_end.clone().into_bytes());
        // Only what comes after the line's end can be its answer.
        self.heard.clear();
        self.last_heard = now;
        self.phase = Phase::Answering { end: now + within };
        Ok(Some(Action::Send(line_end, within)))
    }

    /// The echo is not what was typed. The line was not ended, so it is taken back, not carried out.
    fn garbled(&mut self, now: Duration) -> Result<Option<Action>, ConsoleError> {
        self.tries += 1;
        let line = self.lines.get(self.at).map_or(0, |line| line.number);
        self.transcript.note("garbled echo");
        let sizes = u32::try_from(sizes(1).len()).unwrap_or(1);
        if self.tries >= sizes * TRIES {
            return Err(match self.heard.count {
                0 => ConsoleError::Silent { step: self.step },
                _ => ConsoleError::Garbled {
                    step: self.step,
                    line,
                },
            });
        }
        if self.tries.is_multiple_of(TRIES) && self.size + 1 < sizes as usize {
            self.size += 1;
        }
        self.phase = Phase::Quiet {
            end: now + QUIET_AT_MOST,
        };
        let cancel = self.profile.manner.cancel.clone().into_bytes();
        self.last_heard = now;
        match cancel.is_empty() {
            true => Ok(None),
            false => Ok(Some(Action::Send(
                Zeroizing::new(cancel),
                self.profile.manner.settle,
            ))),
        }
    }

    fn answering(&mut self, end: Duration, now: Duration) -> Result<Option<Action>, ConsoleError> {
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
            let Ok(Some(found)) = only(pattern, &answer) else {
                return self.again(Unclear::What(format!("no {value}")));
            };
            said.extend_from_slice(found);
            said.push(b'\n');
            right &= self.values.same(*value, found);
            parts.push(value.part);
        }
        let before = line.unsettled.iter().any(|earlier| **earlier == *said);
        let facts = line.rule.read_back.is_empty();
        if (facts && before) || (!facts && right && (answers.is_empty() || before)) {
            self.found.answers.extend(answers);
            self.found.read_back.extend(parts);
            self.found.read_back.extend(line.rule.proves);
            self.advance();
            return Ok(None);
        }
        if !facts && !right && before {
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
        let proves = line.rule.proves.is_some() && matches!(why, Unclear::Refused);
        if proves && line.asks >= REFUSALS {
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
            self.logins = 0;
            self.found = super::Found::default();
        } else if !matches!(why, Unclear::Once) {
            self.lines.insert(self.at, Line::attach().passing());
        }
        Ok(None)
    }
}

/// What a pattern finds, when all that it finds is the same.
fn only<'a>(pattern: &Pattern, answer: &'a [u8]) -> Result<Option<&'a [u8]>, ()> {
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

fn wait(until: Duration, now: Duration) -> Duration {
    until.saturating_sub(now).max(Duration::from_millis(1))
}
