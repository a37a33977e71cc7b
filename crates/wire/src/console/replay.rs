//! A conversation held again with a profile, without a unit: the unit says what it said then.

use std::borrow::ToOwned;
use std::collections::VecDeque;
use std::string::String;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use credential::Bundle;
use thiserror::Error;
use zeroize::Zeroizing;

use super::line::Typed;
use super::transcript::Said;
use super::values::unmask;
use super::{Action, Console, ConsoleError, Event, Found, Transcript, Values};
use crate::profile::{ConsoleProfile, Step};

/// Turns of one replay: more are no conversation.
const TURNS_MAX: usize = 200_000;

/// What was typed in one step, and what came back.
type Exchanges<'a> = VecDeque<(&'a str, &'a [u8])>;

/// Why a profile does not go with a conversation.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ReplayError {
    /// The profile types something else now.
    #[error("{step}: the profile types `{typed}`, the transcript has `{recorded}`")]
    Differs {
        /// In which step.
        step: Step,
        /// What the profile types, as it is written there.
        typed: String,
        /// What was typed then.
        recorded: String,
    },
    /// The conversation is over before the profile is.
    #[error("{step}: the transcript ends before the step does")]
    Ended {
        /// In which step.
        step: Step,
    },
    /// What the unit said then is not accepted.
    #[error(transparent)]
    Console(#[from] ConsoleError),
}

/// Holds the conversation again, and gives what each of its steps found.
///
/// `bundle` stands in for the one of then, which no transcript has.
///
/// # Errors
/// Every variant of [`ReplayError`], at the first step that does not go through.
pub fn replay(
    profile: &Arc<ConsoleProfile>,
    transcript: &Transcript,
    bundle: &Bundle,
) -> Result<Vec<(Step, Found)>, ReplayError> {
    let values = Values::of(bundle);
    let mut console = Console::new(Arc::clone(profile));
    console.holds(Values::of(bundle));
    console.half = 0; // a transcript begins at a line that has nothing in it
    let mut steps: Vec<(Step, Exchanges<'_>)> = Vec::new();
    for said in &transcript.events {
        match (said, steps.last_mut()) {
            (Said::Step(step), _) => steps.push((*step, VecDeque::new())),
            (Said::Exchange(said, answer), Some((_, exchanges))) => {
                exchanges.push_back((said, answer));
            }
            _ => {}
        }
    }
    let mut now = Duration::ZERO;
    let mut all = Vec::new();
    for (step, exchanges) in steps {
        all.push((step, one(&mut console, step, exchanges, &values, &mut now)?));
    }
    Ok(all)
}

fn one(
    console: &mut Console,
    step: Step,
    mut exchanges: Exchanges<'_>,
    values: &Values,
    now: &mut Duration,
) -> Result<Found, ReplayError> {
    console.begin(step)?;
    let mut answer: Option<Zeroizing<Vec<u8>>> = None;
    let mut action = console.on(Event::Opened, *now)?;
    for _ in 0..TURNS_MAX {
        let (sent, within) = match action {
            Action::Finish(found) => return Ok(found),
            Action::Wait(within) => (Zeroizing::new(Vec::new()), within),
            Action::Send(bytes, within) => (bytes, within),
        };
        let manner = Arc::clone(&console.profile);
        let line = console.lines.get(console.at);
        let said = line.map(|line| (line.said.clone(), line.rule.hidden));
        let (said, hidden) = said.unwrap_or_default();
        // A line's end, a wake-up or a key: then the unit says what it said.
        let whole = match line.map(|line| &line.typed) {
            Some(Typed::Text(_)) => *sent == manner.manner.line_end.as_bytes(),
            Some(Typed::Attach | Typed::Key(_)) => !sent.is_empty(),
            Some(Typed::Nothing) => true,
            None => false,
        };
        if whole && answer.is_none() {
            let Some((recorded, said_then)) = exchanges.pop_front() else {
                return Err(ReplayError::Ended { step });
            };
            if recorded != said {
                return Err(ReplayError::Differs {
                    step,
                    typed: said,
                    recorded: recorded.to_owned(),
                });
            }
            let text = String::from_utf8_lossy(said_then).into_owned();
            answer = Some(unmask(values, &text));
        } else if !sent.is_empty() && manner.manner.echo && !hidden {
            answer = Some(sent);
        }
        action = match answer.take().filter(|answer| !answer.is_empty()) {
            Some(answer) => console.on(Event::Received(&answer), *now)?,
            None => {
                *now += within;
                console.on(Event::TimedOut, *now)?
            }
        };
    }
    Err(ReplayError::Ended { step })
}
