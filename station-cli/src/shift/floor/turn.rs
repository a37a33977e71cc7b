//! What slots report, and what follows.

use std::time::Duration;

use traveler::{DeviceId, OrderId, Serial};

use super::slot::{Held, State, WrongLabel};
use super::{AGAIN, Do, Floor, Presence, Said, SlotEvent, Sound, Turned};
use crate::failure::Outcome;
use crate::report::PortTrouble;
use crate::seams::Stage;
use crate::shift::card::{self, Card, Then, Tone};

impl Floor {
    /// Nothing can be looked for, for this reason, until a slot reports something else.
    pub(crate) fn unasked(&mut self, reason: &'static str) {
        for slot in &mut self.slots {
            slot.presence = Presence::Unasked(reason);
        }
    }

    /// Takes in what slot `at` reports.
    pub(crate) fn hear(&mut self, at: usize, event: SlotEvent, now: Duration) {
        if at >= self.slots.len() {
            return;
        }
        match event {
            SlotEvent::Present(presence) => {
                let slot = &mut self.slots[at];
                let waits = matches!(slot.state, State::Waiting { .. });
                let blocked = presence == Presence::Busy && slot.presence != Presence::Busy;
                slot.sees(presence);
                if waits && blocked {
                    self.sound(Sound::Action);
                }
            }
            SlotEvent::Stage(stage) => self.stage(at, stage, now),
            SlotEvent::Ended(turned) => self.ended(at, &turned, now),
            SlotEvent::Withdrawn(done) => self.withdrawn(at, done, now),
            SlotEvent::Kept => {
                self.withdrawn(at, Ok(()), now);
                if let State::Done { serial, .. } = &self.slots[at].state {
                    self.said = Said::about("TOLD_LATER", serial, self.slots[at].number);
                }
            }
            SlotEvent::Reprinted(done) => self.reprinted(at, done, now),
            SlotEvent::Died => {
                self.slots[at].locked = Some("SLOT_DIED");
                self.slots[at].state = State::Free;
                self.slots[at].label_out = false;
                // What it had in hand is in the journal.
                self.todo.push(Do::Journal);
                self.sound(Sound::Fail);
            }
        }
        self.advance(now);
    }

    fn stage(&mut self, at: usize, next: Stage, now: Duration) {
        let State::Running {
            stage,
            since,
            labelled,
            ..
        } = &mut self.slots[at].state
        else {
            return;
        };
        *since = now;
        *stage = Some(next);
        *labelled = false;
        // Locked is printed: the printer may put one out before the turn hears of it.
        match next {
            Stage::Lock | Stage::Label | Stage::Printer => self.slots[at].label_out = true,
            Stage::Seal => self.slots[at].label_out = false,
            _ => {}
        }
        match next {
            Stage::Label | Stage::Printer if self.ending => {
                self.todo.push(Do::NoLabel { slot: at })
            }
            Stage::Label | Stage::Printer | Stage::Reconnect => self.sound(Sound::Action),
            _ => {}
        }
    }

    fn ended(&mut self, at: usize, turned: &Turned, now: Duration) {
        let State::Running {
            serial,
            order,
            tries,
            reprint,
            was_away,
            ..
        } = &self.slots[at].state
        else {
            return;
        };
        let first = was_away.is_none();
        let (of, tries) = ((serial.clone(), order.clone()), *tries);
        let label_alone = turned.outcome == Outcome::Loaded && *reprint;
        let number = self.slots[at].number;
        // Once: it is tried every few seconds.
        match turned.port.as_ref().filter(|_| first) {
            Some(PortTrouble::Held(holder)) => {
                self.said = Said::text("PORT_HELD", holder.clone(), number);
            }
            Some(PortTrouble::NotPermitted) => {
                self.said = Said::text("NO_PERMISSION", String::new(), number);
            }
            None => {}
        }
        match self.operator.clone().filter(|_| label_alone) {
            Some(operator) => {
                let (serial, order) = of;
                self.todo.push(Do::Reprint {
                    slot: at,
                    serial: serial.clone(),
                    operator,
                });
                self.slots[at].state = State::Reprinting {
                    serial,
                    order,
                    tries,
                    since: now,
                };
            }
            None => self.conclude(at, of, tries, turned, now),
        }
    }

    /// The turn goes on with the other label, or the slot says why there is none.
    fn reprinted(&mut self, at: usize, done: Result<(), &'static str>, now: Duration) {
        let State::Reprinting {
            serial,
            order,
            tries,
            ..
        } = &self.slots[at].state
        else {
            return;
        };
        let (of, tries) = ((serial.clone(), order.clone()), *tries);
        match done {
            Ok(()) => self.again(at, of.0, of.1, tries, now),
            Err(reason) => {
                let turned = Turned {
                    reason: Some(reason),
                    outcome: Outcome::Loaded,
                    device_id: None,
                    open: true,
                    port: None,
                    used: None,
                };
                self.conclude(at, of, tries, &turned, now);
            }
        }
    }

    /// What a turn's end means for its slot.
    fn conclude(
        &mut self,
        at: usize,
        of: (Serial, OrderId),
        tries: u32,
        turned: &Turned,
        now: Duration,
    ) {
        let (serial, order) = of;
        let unit = turned.device_id.clone();
        let card = card::of(turned.reason, turned.outcome);
        self.slots[at].presence = Presence::Unknown;
        let goes_on = !self.ending && self.stopped.is_none();
        match card.then {
            Then::Retry if tries < self.rules.retries && goes_on => {
                self.again(at, serial, order, tries + 1, now);
            }
            Then::Relabel if goes_on => {
                self.again(at, serial, order, tries, now);
                if let State::Running { wrong, .. } = &mut self.slots[at].state {
                    *wrong = Some(match turned.reason {
                        Some("VOID_LABEL") => WrongLabel::Void,
                        _ => WrongLabel::Other,
                    });
                }
                self.sound(Sound::Fail);
            }
            Then::Cable if tries < self.rules.retries => {
                let until = Held::Unit(unit);
                self.hold(at, (serial, order, tries + 1), card, until, turned.open);
            }
            // It drops whenever it is spoken to: that is no cable.
            Then::Cable => {
                let reason = Some("FAIL_COMM");
                let card = card::of(reason, Outcome::Rework);
                let turned = Turned {
                    reason,
                    ..turned.clone()
                };
                self.done(at, (serial, order), card, &turned, unit);
            }
            Then::Wait => {
                let until = Held::At(now + AGAIN);
                self.hold(at, (serial, order, tries), card, until, turned.open);
            }
            Then::Journal => {
                self.done(at, (serial, order), card, turned, unit);
                self.todo.push(Do::Journal);
            }
            Then::Halt => {
                self.stopped = turned.reason.or(Some("UNKNOWN_FAULT"));
                self.done(at, (serial, order), card, turned, unit);
            }
            Then::Stay | Then::Retry | Then::Relabel => {
                self.done(at, (serial, order), card, turned, unit);
            }
        }
    }

    /// The same unit once more, at once.
    fn again(&mut self, at: usize, serial: Serial, order: OrderId, tries: u32, now: Duration) {
        match self.operator.clone() {
            Some(operator) => self.start(at, serial, order, tries, operator, now),
            None => {
                let card = card::of(Some("NO_SCAN"), Outcome::Loaded);
                self.hold(at, (serial, order, tries), card, Held::At(now), true);
            }
        }
    }

    fn hold(&mut self, at: usize, of: (Serial, OrderId, u32), card: Card, until: Held, open: bool) {
        let (serial, order, tries) = of;
        self.slots[at].state = State::Held {
            serial,
            order,
            card,
            until,
            tries,
            open,
        };
        if card.tone == Tone::Action {
            self.sound(Sound::Action);
        }
    }

    fn done(
        &mut self,
        at: usize,
        of: (Serial, OrderId),
        card: Card,
        turned: &Turned,
        unit: Option<DeviceId>,
    ) {
        let slot = &mut self.slots[at];
        slot.label_out &= turned.open;
        slot.fails = match card {
            Card::PASS => 0,
            card if card::counts_against_slot(card) => slot.fails + 1,
            _ => slot.fails,
        };
        if slot.fails >= self.rules.lock_after {
            slot.locked = Some("CHECK_PINS");
        }
        let (serial, order) = of;
        match card.then {
            Then::Retry | Then::Cable => drop(self.spent.insert(serial.clone())),
            _ if card.tone == Tone::Pass => drop(self.spent.remove(&serial)),
            _ => {}
        }
        slot.state = State::Done {
            serial,
            order,
            card,
            reason: turned.reason,
            used: turned.used.clone(),
            unit,
            open: turned.open,
            out: false,
        };
        self.sound(match card.tone {
            Tone::Pass => Sound::Pass,
            Tone::Fail | Tone::Stop | Tone::Locked => Sound::Fail,
            _ => Sound::Action,
        });
    }

    fn withdrawn(&mut self, at: usize, done: Result<(), &'static str>, now: Duration) {
        let State::Withdrawing {
            serial,
            order,
            scrap,
            second,
            before,
            away,
            ..
        } = &mut self.slots[at].state
        else {
            return;
        };
        if let Err(reason) = &done {
            let card = card::of(Some(reason), Outcome::Refused);
            if card.then == Then::Wait && !self.ending {
                *away = Some((card, now + AGAIN));
                return;
            }
        }
        let (serial, order) = (serial.clone(), order.clone());
        // Nobody has decided anything: it is the unit that it was.
        if let (Err("ONLY_ONLINE"), Some(second), Some((card, reason))) = (&done, &second, *before)
        {
            let unit = Some(second.unit.clone());
            self.said = Said::about("ONLY_ONLINE", &serial, self.slots[at].number);
            self.slots[at].state = State::Done {
                serial,
                order,
                card,
                reason,
                used: None,
                unit,
                open: false,
                out: false,
            };
            return self.sound(Sound::Action);
        }
        let (key, reason, open) = match done {
            Ok(()) if *scrap => ("SCRAPPED", Some("SCRAPPED"), false),
            Ok(()) => ("WITHDRAWN", Some("WITHDRAWN"), false),
            // What was sealed is sealed still, and nothing of it is under way.
            Err(reason) if second.is_some() => (reason, Some(reason), false),
            Err(reason) => (reason, Some(reason), reason != "NOTHING_OPEN"),
        };
        self.said = Said::about(key, &serial, self.slots[at].number);
        let sealed = reason == Some("SEALED_ALREADY");
        let card = Card {
            number: 0,
            tone: if open { Tone::Action } else { Tone::Fail },
            then: Then::Stay,
            word: None,
        };
        let (card, open) = match sealed {
            true => (card::of(reason, Outcome::Refused), false),
            false => (card, open),
        };
        self.slots[at].state = State::Done {
            serial,
            order,
            card,
            reason,
            used: None,
            unit: None,
            open,
            out: false,
        };
        self.slots[at].presence = Presence::Unknown;
        self.slots[at].label_out &= open;
        if sealed {
            self.todo.push(Do::Journal);
        }
        self.sound(Sound::Action);
    }
}
