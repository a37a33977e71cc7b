//! What the command barcodes do.

use std::time::Duration;

use super::scanned::Answer;
use super::slot::{Held, Slot, State};
use super::{Do, Floor, Second};
use crate::seams::Stage;
use crate::shift::card::{Card, Then, Tone};
use crate::shift::scan::Command;

/// Number of the card of a unit that was sealed before.
const SAME_UNIT: u16 = 201;

impl Floor {
    pub(super) fn commanded(&mut self, command: Command, now: Duration) -> Answer {
        match command {
            Command::Help => Ok(self.help()),
            Command::Logout => {
                (self.lead, self.qa) = (None, None);
                (self.pending, self.given) = (None, None);
                match self.operator.take() {
                    Some(_) => Ok(("GOODBYE", None)),
                    None => Err(("SCAN_BADGE", None)),
                }
            }
            Command::Retry => self.retry(now),
            Command::Rework => self.withdraw(false, now),
            Command::Scrap => self.withdraw(true, now),
            Command::Reprint => self.reprint(now),
            Command::Cancel => self.cancel(),
        }
    }

    fn help(&self) -> (&'static str, Option<usize>) {
        let wants = self.slots.iter().position(Slot::wants_label);
        match (&self.operator, wants) {
            (None, _) => ("HELP_BADGE", None),
            (_, Some(at)) => ("SCAN_LABEL", Some(at)),
            _ => ("HELP_UNIT", None),
        }
    }

    fn retry(&mut self, now: Duration) -> Answer {
        if self.stopped.is_some() {
            self.lead.take().ok_or(("NEEDS_LEAD", None))?;
            self.stopped = None;
            for at in 0..self.slots.len() {
                if let State::Done { card, .. } = &self.slots[at].state
                    && card.then == Then::Halt
                {
                    self.hold_now(at, now);
                }
            }
            return Ok(("SCAN_SERIAL", None));
        }
        let at = self.target(|slot| {
            matches!(
                &slot.state,
                State::Held { .. } | State::Done { out: false, .. }
            ) && !matches!(&slot.state, State::Done { card, .. } if card.tone == Tone::Pass)
        })?;
        let needs_lead =
            matches!(&self.slots[at].state, State::Done { card, .. } if card.tone == Tone::Fail);
        if needs_lead {
            self.lead.take().ok_or(("NEEDS_LEAD", Some(at)))?;
        }
        self.hold_now(at, now);
        Ok(("SLOT", Some(at)))
    }

    /// The slot goes on with its unit as soon as it may; its two tries by itself are spent.
    fn hold_now(&mut self, at: usize, now: Duration) {
        let (State::Held {
            serial,
            order,
            card,
            open,
            ..
        }
        | State::Done {
            serial,
            order,
            card,
            open,
            ..
        }) = &self.slots[at].state
        else {
            return;
        };
        self.slots[at].state = State::Held {
            serial: serial.clone(),
            order: order.clone(),
            card: *card,
            until: Held::At(now),
            tries: self.rules.retries,
            open: *open,
        };
    }

    /// What is under way is withdrawn by a lead. What is sealed is opened again, or scrapped, by a
    /// lead and a second person: both badges were scanned a moment ago.
    fn withdraw(&mut self, scrap: bool, now: Duration) -> Answer {
        let at =
            self.target(|slot| matches!(slot.state, State::Held { .. } | State::Done { .. }))?;
        let slot = &self.slots[at];
        let before = match &slot.state {
            State::Done { card, reason, .. } => Some((*card, *reason)),
            _ => None,
        };
        let (serial, order, sealed) = match &slot.state {
            State::Held { serial, order, .. }
            | State::Done {
                serial,
                order,
                open: true,
                ..
            } => (serial.clone(), order.clone(), None),
            State::Done {
                serial,
                order,
                card,
                unit: Some(unit),
                ..
            } if *card == Card::PASS || card.number == SAME_UNIT => {
                (serial.clone(), order.clone(), Some(unit.clone()))
            }
            _ => return Err(("NOT_POSSIBLE", Some(at))),
        };
        if sealed.is_some() && (self.lead.is_none() || self.qa.is_none()) {
            return Err(("NEEDS_TWO", Some(at)));
        }
        let lead = self.lead.take().ok_or(("NEEDS_LEAD", Some(at)))?;
        let second = match sealed {
            Some(unit) => self.qa.take().map(|qa| Second {
                badge: qa.badge,
                unit,
            }),
            None => None,
        };
        self.todo.push(Do::Withdraw {
            slot: at,
            serial: serial.clone(),
            operator: lead.badge.clone(),
            second: second.clone(),
            scrap,
        });
        self.focus = None;
        self.slots[at].state = State::Withdrawing {
            serial,
            order,
            scrap,
            operator: lead.badge,
            second,
            before,
            since: now,
            away: None,
        };
        Ok(("WITHDRAWING", Some(at)))
    }

    /// Another label, under the next number. Whether one that nobody is sure of came out the person
    /// sees; to doubt one that was printed takes a lead.
    fn reprint(&mut self, now: Duration) -> Answer {
        let waits = |slot: &Slot| {
            let printer = matches!(&slot.state, State::Held { card, .. } if card.number == 301);
            printer || slot.wants_label()
        };
        let at = self.target(waits)?;
        let sure = matches!(
            self.slots[at].state,
            State::Running {
                stage: Some(Stage::Label),
                ..
            }
        );
        if sure {
            self.lead.take().ok_or(("NEEDS_LEAD", Some(at)))?;
        }
        match &mut self.slots[at].state {
            State::Running { reprint, .. } => {
                *reprint = true;
                self.todo.push(Do::NoLabel { slot: at });
            }
            _ => self.hold_now(at, now),
        }
        Ok(("REPRINTING", Some(at)))
    }

    fn cancel(&mut self) -> Answer {
        if self.pending.take().is_some() {
            return Ok(("SCAN_SERIAL", None));
        }
        let given = self.given.take().map(|(at, _)| at);
        let waiting = |slot: &Slot| {
            let begun = matches!(slot.state, State::Held { open: true, .. });
            matches!(slot.state, State::Waiting { .. } | State::Held { .. }) && !begun
        };
        let at = match given.filter(|at| self.focus.is_none() && waiting(&self.slots[*at])) {
            Some(at) => at,
            None => self.target(|slot| waiting(slot) || slot.wants_label())?,
        };
        if self.slots[at].wants_label() {
            self.todo.push(Do::NoLabel { slot: at });
            return Ok(("SLOT", Some(at)));
        }
        self.slots[at].state = State::Free;
        Ok(("SLOT", Some(at)))
    }

    /// The slot that a command means: the one that was scanned, or the only one it fits.
    fn target(
        &mut self,
        fits: impl Fn(&Slot) -> bool,
    ) -> Result<usize, (&'static str, Option<usize>)> {
        if let Some((at, _)) = self.focus {
            return match fits(&self.slots[at]) {
                true => Ok(at),
                false => Err(("NOT_NOW", Some(at))),
            };
        }
        let fitting = |(at, slot): (usize, &Slot)| fits(slot).then_some(at);
        let all: Vec<usize> = self.slots.iter().enumerate().filter_map(fitting).collect();
        match all.as_slice() {
            [] => Err(("NOT_NOW", None)),
            [only] => Ok(*only),
            _ => Err(("SCAN_SLOT", None)),
        }
    }
}
