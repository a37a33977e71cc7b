//! The console engine: types a profile's lines and reads what comes back. Events in, actions out;
//! time is an argument.
//!
//! What a console says is not framed, so nothing of it is believed at once. A line is typed in
//! pieces, each after the echo of the one before, and its end is sent only when all of it came back
//! right: a garbled line is never carried out. What was said before the line's end counts for
//! nothing, so a late answer to an earlier line, or a prompt in a boot log, does not pass for this
//! one's. An answer ends with the prompt *as the last line*, after which the unit stays quiet. A
//! fact counts when it was given twice the same, a read-back when it is the part itself; a wrong
//! one counts as bad memory only when it came three times the same, else as noise.
//!
//! A unit that lies can say all this and hold nothing: the station sees a console, not flash. That
//! is why what comes of it is called "read back by the station", never "proven by the unit".
//!
//! Bounds: pieces become smaller twice ([`sizes`]), after [`TRIES`] tries each, a line is asked [`ASKS`]
//! times, every wait ends. Spec: DESIGN.md sections 6 and 9.

mod answer;
mod heard;
mod line;
mod replay;
mod transcript;
mod turn;
mod values;

use std::collections::BTreeMap;
use std::string::String;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use credential::Bundle;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::profile::{Answer, ConsoleProfile, Driver, Part, Profile, Script, Step};
use heard::Heard;
use line::Line;
use turn::Phase;

pub use answer::only;
pub use replay::{ReplayError, replay};
pub use transcript::{Transcript, TranscriptError};
pub use values::Values;

/// Tries of one line with pieces of one size, before they become smaller. With one byte in a
/// hundred lost each way, a line of 40 comes back right in 45 of 100 tries.
pub const TRIES: u32 = 6;
/// How often one line is asked, answers that were not understood included.
pub const ASKS: u32 = 10;
/// How long a unit that never stops talking is waited for before a line is typed all the same.
pub const QUIET_AT_MOST: Duration = Duration::from_millis(1_500);
/// How often the prompt is asked for while it does not come.
pub const WAKE_EVERY: Duration = Duration::from_millis(500);

/// Something that happened on the line.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// Once after each [`Console::begin`], first.
    Opened,
    /// Bytes, as they came.
    Received(&'a [u8]),
    /// Nothing for as long as the last action said.
    TimedOut,
}

/// What the driver does next.
pub enum Action {
    /// Write these bytes, which may be secret; an event within the time.
    Send(Zeroizing<Vec<u8>>, Duration),
    /// Write nothing; an event within the time.
    Wait(Duration),
    /// The step is over.
    Finish(Found),
}

/// What a step found out. What a unit says of itself is text of its own making.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// What it says of itself; empty where it may say nothing and did.
    pub answers: BTreeMap<Answer, String>,
    /// The parts that were read back and are right.
    pub read_back: Vec<Part>,
}

/// Why a step did not end well. Never what the unit said: that may be a secret.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ConsoleError {
    /// Not one byte came.
    #[error("the console is silent ({step})")]
    Silent {
        /// What was being done.
        step: Step,
    },
    /// No prompt, though bytes come.
    #[error("the console does not come to its prompt ({step})")]
    NoPrompt {
        /// What was being done.
        step: Step,
    },
    /// What was typed never came back right.
    #[error("the console garbles what is typed ({step}, line {line})")]
    Garbled {
        /// What was being done.
        step: Step,
        /// Which line of it, from 1.
        line: usize,
    },
    /// It says no, however often it is asked.
    #[error("the unit refuses ({step}, line {line})")]
    Refused {
        /// What was being done.
        step: Step,
        /// Which line of it, from 1.
        line: usize,
    },
    /// It says nothing that fits, or not the same twice.
    #[error("the unit's answer is not understood ({step}, line {line}: {what})")]
    Unclear {
        /// What was being done.
        step: Step,
        /// Which line of it, from 1.
        line: usize,
        /// What was looked for.
        what: String,
    },
    /// Twice the same, and not what was written.
    #[error("the unit does not hold what was written ({step})")]
    Mismatch {
        /// What was being done.
        step: Step,
    },
    /// A part cannot be typed.
    #[error(
        "the {} cannot be typed plainly here: let the profile write it as :hex or :base64",
        .part.as_str()
    )]
    Unwritable {
        /// Which.
        part: Part,
    },
    /// A line is longer than the console takes.
    #[error("a line of {length} bytes is longer than the console's {most} ({step}, line {line})")]
    TooLong {
        /// What was being done.
        step: Step,
        /// Which line of it, from 1.
        line: usize,
        /// Bytes of the line.
        length: usize,
        /// What the profile allows.
        most: usize,
    },
}

/// The console of one open port. It remembers how small the pieces must be, and what was said.
pub struct Console {
    profile: Arc<ConsoleProfile>,
    /// Known once there is a bundle: hides its secrets in the transcript.
    values: Values,
    transcript: Transcript,
    step: Step,
    lines: Vec<Line>,
    at: usize,
    phase: Phase,
    heard: Heard,
    last_heard: Duration,
    /// Index into [`sizes`]; it never goes back, since the line did not become better.
    size: usize,
    /// Tries of the line under way, of every size.
    tries: u32,
    /// Bytes that may stand in a line which was not ended, for a console that erases one by one.
    half: usize,
    logins: u32,
    found: Found,
}

impl Console {
    /// A console of which nothing is known yet.
    #[must_use]
    pub fn new(profile: Arc<ConsoleProfile>) -> Console {
        Console {
            half: profile.manner.max_line, // whoever was here before may have gone while typing
            profile,
            values: Values::none(),
            transcript: Transcript::default(),
            step: Step::Identify,
            lines: Vec::new(),
            at: 0,
            phase: Phase::Next,
            heard: Heard::new(),
            last_heard: Duration::ZERO,
            size: 0,
            tries: 0,
            logins: 0,
            found: Found::default(),
        }
    }

    /// From now on these are written, compared and hidden.
    pub fn holds(&mut self, values: Values) {
        self.values = values;
    }

    /// Prepares a step. The first event is [`Event::Opened`].
    ///
    /// # Errors
    /// [`ConsoleError::Unwritable`] and [`ConsoleError::TooLong`]; nothing was typed.
    pub fn begin(&mut self, step: Step) -> Result<(), ConsoleError> {
        let profile = Arc::clone(&self.profile);
        self.step = step;
        self.lines.clear();
        // Wherever the last step, or a boot, has left the console.
        self.lines.push(Line::attach());
        if let Script::Run(lines) = profile.scripts.step(step) {
            for (nth, rule) in lines.iter().enumerate() {
                let lines = Line::render(rule, &self.values, &profile.manner, step, nth + 1)?;
                self.lines.extend(lines);
                if rule.booted {
                    self.lines.push(Line::attach());
                }
            }
        }
        self.at = 0;
        self.phase = Phase::Next;
        self.logins = 0;
        self.tries = 0;
        self.found = Found::default();
        self.transcript.step(step);
        Ok(())
    }

    /// Prepares what is left of the reset step on a port that went away with it: the lines behind the
    /// one that boots. False, and nothing is prepared, where none of them can say no: then they tell
    /// nothing of the boot.
    ///
    /// # Errors
    /// As [`Console::begin`].
    pub fn begin_after_boot(&mut self) -> Result<bool, ConsoleError> {
        self.begin(Step::Reset)?;
        let boots = self.lines.iter().rposition(|line| line.rule.booted);
        let rest = boots.map_or(0, |at| at + 1);
        self.lines.drain(..rest);
        let tells = |line: &Line| line.rule.refuse.is_some() || line.rule.expect.is_some();
        Ok(self.lines.iter().any(tells))
    }

    /// Whether the line that resets the unit was ended: a port that goes away then has gone with it.
    #[must_use]
    pub fn has_reset(&self) -> bool {
        let before = self.lines.iter().take(self.at).any(|line| line.rule.booted);
        let here = self.lines.get(self.at).is_some_and(|line| line.rule.booted);
        let ended = matches!(self.phase, Phase::Answering { .. });
        self.step == Step::Reset && (before || (here && ended))
    }

    /// What was said so far, with every secret hidden.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Takes an event at `now`, any clock that only goes forward, and says what to do.
    ///
    /// # Errors
    /// Any [`ConsoleError`]; the step is over, and may be begun again.
    pub fn on(&mut self, event: Event<'_>, now: Duration) -> Result<Action, ConsoleError> {
        match event {
            Event::Received(bytes) => {
                self.heard.push(bytes);
                self.last_heard = now;
            }
            Event::Opened => {
                self.heard.clear();
                self.last_heard = now;
            }
            Event::TimedOut => {}
        }
        loop {
            // Each turn that asks for nothing moves on; the lines and their tries are bounded.
            if let Some(action) = self.turn(now)? {
                return Ok(action);
            }
        }
    }
}

/// Whether every step of a profile can be typed, or given to its tool, for such a bundle.
///
/// # Errors
/// [`ConsoleError::Unwritable`] and [`ConsoleError::TooLong`], of the first step that cannot.
pub fn fits(profile: &Profile, bundle: &Bundle) -> Result<(), ConsoleError> {
    match &profile.driver {
        Driver::Native => Ok(()),
        Driver::Console(console) => {
            let mut typed = Console::new(Arc::clone(console));
            typed.holds(Values::of(bundle));
            Step::ALL.into_iter().try_for_each(|step| typed.begin(step))
        }
        Driver::Exec(exec) => {
            let values = Values::of(bundle);
            let steps = Step::ALL.into_iter();
            let lines = steps.flat_map(|step| exec.scripts.step(step).lines());
            let mut texts = lines.flat_map(|line| line.run.iter().chain(&line.stdin));
            texts.try_for_each(|text| values.fill(text, "").map(drop))
        }
    }
}

/// Bytes typed at once: the profile's, a quarter of it, one.
#[must_use]
pub fn sizes(chunk: usize) -> [usize; 3] {
    [chunk, (chunk / 4).max(1), 1]
}
