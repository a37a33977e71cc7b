//! What a scan does.

use std::time::Duration;

use traveler::Serial;
use zeroize::Zeroizing;

use super::slot::{Held, Slot, State, WrongLabel};
use super::{Do, FOCUS, Floor, Heard, LEAD, Lead, Presence, Said, Sound};
use crate::failure::Outcome;
use crate::seams::Stage;
use crate::shift::card::{self, Tone};
use crate::shift::scan::{Command, Scan};

/// Accepted or not, and what is said of which slot.
pub(super) type Answer = Result<(&'static str, Option<usize>), (&'static str, Option<usize>)>;

impl Floor {
    /// Takes in one scan.
    pub(crate) fn scan(&mut self, scan: Scan, now: Duration) -> Heard {
        let about = match &scan {
            Scan::Badge(badge) | Scan::Lead(badge) | Scan::Qa(badge) => badge.to_string(),
            other => other.serial().map(ToString::to_string).unwrap_or_default(),
        };
        let nobody = self.operator.is_none();
        let quiet = matches!(scan, Scan::Label(..)) && !nobody;
        let answer = match scan {
            Scan::Badge(badge) => {
                // What the one before began to say is not this one's.
                (self.pending, self.given) = (None, None);
                self.operator = Some(badge);
                Ok(("HELLO", None))
            }
            Scan::Lead(badge) => {
                let until = now + LEAD;
                self.operator.get_or_insert_with(|| badge.clone());
                self.lead = Some(Lead { badge, until });
                Ok(("LEAD_HERE", None))
            }
            Scan::Qa(badge) => {
                let until = now + LEAD;
                self.qa = Some(Lead { badge, until });
                Ok(("QA_HERE", None))
            }
            Scan::Slot(_) | Scan::Label(..) if nobody => Err(("SCAN_BADGE", None)),
            Scan::Command(command) if nobody && command != Command::Help => {
                Err(("SCAN_BADGE", None))
            }
            Scan::Unknown => Err(("WRONG_CODE", None)),
            Scan::Hasty => Err(("SCAN_AGAIN", None)),
            Scan::Slot(number) => self.slot_scanned(number, now),
            Scan::Serial(serial) => self.serial_scanned(serial, now),
            Scan::Label(serial, text) => self.label_scanned(&serial, text),
            Scan::Command(command) => self.commanded(command, now),
        };
        let (accepted, (says, at)) = match answer {
            Ok(said) => (true, said),
            Err(said) => (false, said),
        };
        let slot = at.map(|at| self.slots[at].number);
        let serial = match at.and_then(|at| self.slots[at].serial()) {
            Some(serial) if says != "LABELS_SWAPPED" => serial.to_string(),
            _ => about,
        };
        if says != "LABELS_SWAPPED" {
            self.said = Said::text(says, serial, slot.unwrap_or_default());
        }
        if !accepted && !quiet {
            self.sound(Sound::Action);
        }
        self.advance(now);
        Heard {
            accepted,
            says,
            slot,
        }
    }

    fn serial_scanned(&mut self, serial: Serial, now: Duration) -> Answer {
        if self.operator.is_none() {
            return Err(("SCAN_BADGE", None));
        }
        if self.stopped.is_some() {
            return Err(("STOPPED", None));
        }
        if self.ending {
            return Err(("ENDING", None));
        }
        let known = self
            .slots
            .iter()
            .position(|slot| slot.serial() == Some(&serial));
        let out = |at: usize| matches!(self.slots[at].state, State::Done { out: true, .. });
        if self.spent.contains(&serial) && known.is_none_or(out) {
            self.lead.take().ok_or(("NEEDS_LEAD", known))?;
        }
        if let Some(at) = known
            && let Some(answer) = self.known(at, &serial, now)
        {
            return answer;
        }
        let focus = self.focus.take().map(|(at, _)| at);
        if let Some(at) = focus.filter(|at| self.takes_serial(*at)) {
            return Ok(self.give(at, serial, now));
        }
        // Who names a slot puts the unit there, whatever else is said.
        if let Some(at) = focus.filter(|_| self.named) {
            return Err(("SLOT_NOT_FREE", Some(at)));
        }
        self.pending = None;
        match self.choose() {
            Ok(at) => {
                let answer = self.give(at, serial, now);
                self.given = Some((at, now + FOCUS));
                Ok(answer)
            }
            Err("SCAN_SLOT") => {
                self.pending = Some((serial, now + FOCUS));
                Ok(("SCAN_SLOT", None))
            }
            Err(says) => Err((says, None)),
        }
    }

    /// What is said of a serial that slot `at` has; `None` when it is to be given to a slot anew.
    fn known(&mut self, at: usize, serial: &Serial, now: Duration) -> Option<Answer> {
        let slot = &mut self.slots[at];
        match &mut slot.state {
            State::Running {
                stage: Some(Stage::Label | Stage::Printer),
                ..
            } => Some(Ok((self.label_named(at, now), Some(at)))),
            State::Held {
                until: Held::Unit(_),
                ..
            } => {
                self.mean(at, now);
                Some(Ok(("PUT_BACK_IN", Some(at))))
            }
            // It was taken out and comes back: it goes on where it was begun.
            State::Done {
                open: true,
                out: true,
                ..
            } if slot.locked.is_none() => {
                let serial = serial.clone();
                slot.state = State::Waiting { serial, since: now };
                Some(Ok(("PUT_IN_SLOT", Some(at))))
            }
            State::Done {
                out: true,
                open: false,
                ..
            } => None,
            State::Done { .. } => {
                self.mean(at, now);
                Some(Err(("IN_WORK", Some(at))))
            }
            _ => Some(Err(("IN_WORK", Some(at)))),
        }
    }

    /// The serial of a unit that waits for its label: it may be the label's own bar code, which an
    /// imager meets before or between what was meant. It shows no slot, and hides none.
    fn label_named(&mut self, at: usize, now: Duration) -> &'static str {
        let shown = self.focus.map(|(shown, _)| shown).filter(|_| self.named);
        if !shown.is_some_and(|shown| self.slots[shown].wants_label()) {
            self.mean(at, now);
        } else if shown == Some(at) {
            return "SCAN_LABEL";
        }
        match self.slot_comes_first(at) {
            true => "SCAN_SLOT_FIRST",
            false => "SCAN_LABEL",
        }
    }

    fn give(&mut self, at: usize, serial: Serial, now: Duration) -> (&'static str, Option<usize>) {
        (self.pending, self.given, self.focus) = (None, None, None);
        // One serial in two slots would leave its label to chance.
        for slot in &mut self.slots {
            if slot.serial() == Some(&serial) && matches!(slot.state, State::Done { .. }) {
                slot.state = State::Free;
            }
        }
        self.slots[at].state = State::Waiting { serial, since: now };
        self.slots[at].label_out = false;
        ("PUT_IN_SLOT", Some(at))
    }

    /// What is scanned next is for this slot.
    fn mean(&mut self, at: usize, now: Duration) {
        self.focus = Some((at, now + FOCUS));
        self.named = false;
    }

    /// The slot for a serial: the one with a new unit in it, else the first that is empty.
    fn choose(&self) -> Result<usize, &'static str> {
        let all = 0..self.slots.len();
        let free: Vec<usize> = all.filter(|at| self.takes_serial(*at)).collect();
        let with_unit = |at: &&usize| matches!(self.slots[**at].presence, Presence::Unit(_));
        let filled: Vec<&usize> = free.iter().filter(with_unit).collect();
        match filled.as_slice() {
            [only] => Ok(**only),
            [] => free.first().copied().ok_or("NO_FREE_SLOT"),
            _ => Err("SCAN_SLOT"),
        }
    }

    fn slot_scanned(&mut self, number: u32, now: Duration) -> Answer {
        let Some(at) = self.slots.iter().position(|slot| slot.number == number) else {
            return Err(("NO_SUCH_SLOT", None));
        };
        self.mean(at, now);
        self.named = true;
        if self.slots[at].locked.is_some() {
            if self.lead.take().is_none() {
                return Err(("NEEDS_LEAD", Some(at)));
            }
            let slot = &mut self.slots[at];
            slot.locked = None;
            slot.fails = 0;
            return Ok(("UNLOCKED", Some(at)));
        }
        if self.slots[at].wants_label() {
            return Ok(("SCAN_LABEL", Some(at)));
        }
        if let Some(home) = self.belongs_to(at) {
            return Err(("PUT_BACK_IN", Some(home)));
        }
        // Where anything was put in since, it is that unit's serial.
        let empty = |slot: &Slot| {
            matches!(
                slot.presence,
                Presence::Unknown | Presence::Unasked(_) | Presence::Nothing
            )
        };
        let waiting = self.given.map(|(given, _)| given).filter(|given| {
            let slot = &self.slots[*given];
            *given != at && matches!(slot.state, State::Waiting { .. }) && empty(slot)
        });
        let moved = match (self.pending.clone(), waiting) {
            (Some((serial, _)), _) => Some(serial),
            (None, Some(given)) => self.slots[given].serial().cloned(),
            (None, None) => None,
        };
        let Some(serial) = moved else {
            return Ok(("SLOT", Some(at)));
        };
        if self.slots[at].is_free() {
            if let Some(given) = waiting {
                self.slots[given].state = State::Free;
            }
            return Ok(self.give(at, serial, now));
        }
        // The unit before is still in: no second secret for it, and nobody's fault.
        match &mut self.slots[at].state {
            State::Free => Err(("TAKE_OUT", Some(at))),
            State::Done {
                card,
                out: false,
                reason,
                ..
            } if card.tone == Tone::Pass || *reason == Some("SAME_UNIT") => {
                *reason = Some("SAME_UNIT");
                *card = card::of(*reason, Outcome::Refused);
                Err(("TAKE_OUT", Some(at)))
            }
            _ => Err(("SLOT_NOT_FREE", Some(at))),
        }
    }

    fn label_scanned(&mut self, serial: &Serial, text: Zeroizing<String>) -> Answer {
        let focus = self
            .focus
            .map(|(at, _)| at)
            .filter(|at| self.slots[*at].wants_label());
        let find = |wanting: bool| {
            let own = |slot: &Slot| slot.serial() == Some(serial);
            let fits = |slot: &Slot| own(slot) && (slot.wants_label() || !wanting);
            self.slots.iter().position(fits)
        };
        let named = find(true).or_else(|| find(false));
        let Some(at) = named.filter(|at| self.slots[*at].wants_label()) else {
            self.sound(Sound::Fail);
            if let Some(at) = focus {
                self.mark(at, WrongLabel::Other);
                self.focus = None; // the next label may be another slot's
                return Err(("WRONG_LABEL", Some(at)));
            }
            let back = |at: &usize| matches!(self.slots[*at].state, State::Held { .. });
            return Err(match named.filter(back) {
                Some(at) => ("PUT_BACK_IN", Some(at)),
                None => ("NO_LABEL_WANTED", None),
            });
        };
        // Not the serial before: it may have been read off any label.
        let shown = focus.filter(|_| self.named);
        if let Some(other) = shown.filter(|shown| *shown != at) {
            let (here, there) = (self.slots[other].number, self.slots[at].number);
            self.mark(other, WrongLabel::SwappedWith(there));
            self.mark(at, WrongLabel::SwappedWith(here));
            self.focus = None;
            self.said = Said::text("LABELS_SWAPPED", format!("{here} <-> {there}"), here);
            self.sound(Sound::Fail);
            return Err(("LABELS_SWAPPED", Some(other)));
        }
        if shown.is_none() && self.slot_comes_first(at) {
            self.sound(Sound::Action);
            return Err(("SCAN_SLOT_FIRST", Some(at)));
        }
        self.focus = None;
        if let State::Running {
            labelled, wrong, ..
        } = &mut self.slots[at].state
        {
            *labelled = true;
            *wrong = None;
        }
        self.slots[at].label_out = false; // it is here: the slot was shown, or no other can have it
        self.todo.push(Do::Label { slot: at, text });
        Ok(("LABEL_TAKEN", Some(at)))
    }

    /// Whether the label of this slot's unit counts only after the slot's own code. A label says
    /// whose it is, not what it was stuck on: with two at hand a person has to show, also where the
    /// other unit waits for a server, a lead, or its way back after a power cut.
    pub(super) fn slot_comes_first(&self, at: usize) -> bool {
        let other = |(nth, slot): (usize, &Slot)| nth != at && slot.label_out;
        let others = self.slots.iter().enumerate().any(other);
        self.slots[at].was_swapped() || others || self.rules.slot_before_label
    }

    /// Of two slots that change labels each says so as long as the other does. A person who is sent
    /// to a slot whose unit is settled would take a good label off.
    pub(super) fn part_swapped(&mut self) {
        for at in 0..self.slots.len() {
            let Some(other) = self.slots[at].swapped_with() else {
                continue;
            };
            let here = self.slots[at].number;
            let mut slots = self.slots.iter();
            if !slots.any(|slot| slot.number == other && slot.swapped_with() == Some(here)) {
                self.mark(at, WrongLabel::WasSwapped);
            }
        }
    }

    fn mark(&mut self, at: usize, what: WrongLabel) {
        if let State::Running { wrong, .. } = &mut self.slots[at].state {
            *wrong = Some(what);
        }
    }
}
