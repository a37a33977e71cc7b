//! One turn of the engine: where a line stands, and what is typed next.

use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use zeroize::Zeroizing;

use super::heard::is_prompt;
use super::line::{Line, Typed};
use super::{Action, Console, ConsoleError, QUIET_AT_MOST, TRIES, WAKE_EVERY, sizes};

/// Logins in one step: more means that the console throws the station out again.
const LOGINS: u32 = 6;

/// Where the line under way stands.
pub(super) enum Phase {
    /// It has not begun.
    Next,
    /// The wake-up was typed, last at `woken`; the prompt must come by `end`.
    Attaching {
        woken: Option<Duration>,
        end: Duration,
    },
    /// What may be half typed is erased; so many keys are left, the next ones at `due`.
    Erasing { left: usize, due: Duration },
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

impl Console {
    /// One turn; `None` when the phase changed and there is more to do at once.
    pub(super) fn turn(&mut self, now: Duration) -> Result<Option<Action>, ConsoleError> {
        match self.phase {
            Phase::Next => Ok(self.next(now)),
            Phase::Attaching { woken, end } => self.attaching(woken, end, now),
            Phase::Erasing { left, due } => Ok(self.erasing(left, due, now)),
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

    pub(super) fn advance(&mut self) {
        self.record();
        self.heard.clear();
        self.half = 0; // not before: the byte that ends the line may have been lost
        self.at += 1;
        self.phase = Phase::Next;
        self.tries = 0;
    }

    /// The line and its whole answer go into the transcript together, so that no secret hides in
    /// the seam between two reads.
    pub(super) fn record(&mut self) {
        if let Some(line) = self.lines.get(self.at) {
            let masked = self.values.mask(self.heard.bytes());
            self.transcript.exchange(&line.said, &masked);
        }
    }

    /// When the unit will have been quiet for long enough.
    pub(super) fn settled_at(&self) -> Duration {
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
            if self.must_erase(now) {
                return Ok(None);
            }
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

    /// Where one byte at a time is taken back, that is done with every byte that may stand there, and
    /// as many more: some of the keys are lost, and one too many does nothing.
    fn must_erase(&mut self, now: Duration) -> bool {
        if self.half == 0 || self.profile.manner.erase.is_empty() {
            return false;
        }
        self.phase = Phase::Erasing {
            left: 2 * self.half,
            due: now,
        };
        true
    }

    /// In pieces that the unit's receiver takes.
    fn erasing(&mut self, left: usize, due: Duration, now: Duration) -> Option<Action> {
        if now < due {
            return Some(Action::Wait(wait(due, now)));
        }
        if left == 0 {
            self.half = 0;
            self.last_heard = now;
            self.phase = Phase::Next;
            return None;
        }
        let manner = &self.profile.manner;
        let keys = left.min(sizes(manner.chunk)[self.size]);
        let (erase, settle) = (manner.erase.repeat(keys).into_bytes(), manner.settle);
        self.phase = Phase::Erasing {
            left: left - keys,
            due: now + settle,
        };
        Some(Action::Send(Zeroizing::new(erase), settle))
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
            self.half = (self.half + piece.len()).min(manner.max_line);
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
        if self.must_erase(now) {
            return Ok(None);
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
}

pub(super) fn wait(until: Duration, now: Duration) -> Duration {
    until.saturating_sub(now).max(Duration::from_millis(1))
}
