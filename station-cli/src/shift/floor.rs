//! The shift as pure logic: scans and what slots report go in, what is to be done and what is to be
//! seen comes out. Time is an argument, measured from the start of the shift.
//!
//! One slot's state says all about it; whatever happens, [`Floor::advance`] looks at every slot once
//! more and starts what can start. A repeat of any scan is harmless: it is refused, or it says again
//! what is so. Nothing here remembers anything over a restart: that is the journal's work, and
//! [`Floor::replay`] takes it up. Deliberately absent: ports, files, the terminal, and every secret
//! but a label on its way to the slot that it names.

mod command;
mod scanned;
mod slot;
mod turn;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use traveler::{DeviceId, OperatorId, OrderId, Serial};
use zeroize::Zeroizing;

use crate::failure::Outcome;
use crate::journal::{Open, Reached};
use crate::report::PortTrouble;
use crate::seams::Stage;
use crate::shift::card;
use crate::shift::lookout::Outlook;

use slot::{ASKED, Held, Slot, State};
pub(crate) use view::{Banner, Said, Tile};

/// How long a scanned slot stays meant by what is scanned next.
const FOCUS: Duration = Duration::from_secs(30);
/// How long a lead's badge counts.
const LEAD: Duration = Duration::from_secs(60);
/// Between two tries with a server or a printer that is away.
const AGAIN: Duration = Duration::from_secs(5);
/// A turn whose stage has not changed for so long hangs: no stage but the waits for people takes it.
const HANGS: Duration = Duration::from_secs(90);

/// What this bench allows.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) order: OrderId,
    /// Further tries of one unit, by itself.
    pub(crate) retries: u32,
    /// Fails in a row after which a slot locks itself.
    pub(crate) lock_after: u32,
    /// How long a unit may say nothing before its turn is begun anyway, and fails.
    pub(crate) answer_within: Duration,
    /// Whether a label counts only after the slot that it belongs to.
    pub(crate) slot_before_label: bool,
}

/// What stands at a slot's port, as far as one can ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Presence {
    /// Not asked since the last turn.
    Unknown,
    /// It cannot be asked, for this reason: nobody says how the order's units are spoken to.
    Unasked(&'static str),
    /// No port.
    Nothing,
    /// A port that says nothing: a fixture without a unit, or a dead one.
    Silent,
    /// The lid is open.
    LidOpen,
    /// Somebody else has the port.
    Busy,
    /// This unit.
    Unit(DeviceId),
    /// This unit, and it holds a credential for good.
    Locked(DeviceId),
}

impl Presence {
    /// The silicon that stands there.
    fn unit(&self) -> Option<&DeviceId> {
        match self {
            Presence::Unit(there) | Presence::Locked(there) => Some(there),
            _ => None,
        }
    }
}

/// What a slot reports.
#[derive(Debug)]
pub(crate) enum SlotEvent {
    Present(Presence),
    Stage(Stage),
    Ended(Turned),
    /// A withdrawal was heard by the server, or the reason why not.
    Withdrawn(Result<(), &'static str>),
    /// A broken seal is on record here, and the server hears of it when it is back.
    Kept,
    /// Another label was sent to the printer, or the reason why not.
    Reprinted(Result<(), &'static str>),
    /// The turn broke off by a fault of this program.
    Died,
}

/// How a turn ended, as far as the floor is concerned.
#[derive(Clone, Debug)]
pub(crate) struct Turned {
    pub(crate) reason: Option<&'static str>,
    pub(crate) outcome: Outcome,
    pub(crate) device_id: Option<DeviceId>,
    /// Whether an attempt is under way still.
    pub(crate) open: bool,
    /// What keeps its port shut.
    pub(crate) port: Option<PortTrouble>,
    /// Station and time of a serial that is used, as they are shown.
    pub(crate) used: Option<String>,
}

/// What is to be done outside. No `Debug`: a label is secret.
pub(crate) enum Do {
    /// Take a unit as far as it will go.
    Start {
        slot: usize,
        serial: Serial,
        order: OrderId,
        operator: OperatorId,
    },
    /// Give the slot's unit its label, whole.
    Label {
        slot: usize,
        text: Zeroizing<String>,
    },
    /// No label will be scanned for it.
    NoLabel { slot: usize },
    /// Withdraw what is under way.
    Withdraw {
        slot: usize,
        serial: Serial,
        operator: OperatorId,
        /// Then it is a seal that is broken.
        second: Option<Second>,
        scrap: bool,
    },
    /// Print the unit's label again, under the next number.
    Reprint {
        slot: usize,
        serial: Serial,
        operator: OperatorId,
    },
    /// Read the journal again and give it to [`Floor::replay`].
    Journal,
    /// Make a noise.
    Sound(Sound),
}

/// Three noises, so that nobody has to look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sound {
    Pass,
    Fail,
    Action,
}

/// What became of a scan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Heard {
    pub(crate) accepted: bool,
    /// What the operator is told, by key.
    pub(crate) says: &'static str,
    /// The number of the slot it was about.
    pub(crate) slot: Option<u32>,
}

/// A person who may do more, for a while.
struct Lead {
    badge: OperatorId,
    until: Duration,
}

/// Who agrees that a seal is broken, and of which unit: a serial may have been scanned for another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Second {
    pub(crate) badge: OperatorId,
    pub(crate) unit: DeviceId,
}

/// All slots of a bench, and who stands there.
pub(crate) struct Floor {
    rules: Rules,
    slots: Vec<Slot>,
    operator: Option<OperatorId>,
    lead: Option<Lead>,
    /// The second person, for a while.
    qa: Option<Lead>,
    /// The slot that was scanned last, and until when it is meant.
    focus: Option<(usize, Duration)>,
    /// Whether its own code was scanned, not the serial of its unit.
    named: bool,
    /// A serial that waits for a slot to be scanned, and until when.
    pending: Option<(Serial, Duration)>,
    /// The slot that got the last serial by itself; another may still be scanned for it, until then.
    given: Option<(usize, Duration)>,
    /// Why the line has stopped, by reason.
    stopped: Option<&'static str>,
    /// Begun at a place that is no slot of this bench.
    elsewhere: Vec<Serial>,
    /// Serials whose tries are spent: a lead goes on with them, wherever they are scanned.
    spent: BTreeSet<Serial>,
    clock_is_wrong: bool,
    scanner_lost: bool,
    outlook: Outlook,
    ending: bool,
    said: Said,
    todo: Vec<Do>,
}

impl Floor {
    /// A bench with these slots: number and place.
    pub(crate) fn new(rules: Rules, slots: impl IntoIterator<Item = (u32, String)>) -> Floor {
        let slots = slots
            .into_iter()
            .map(|(number, path)| Slot::new(number, path));
        Floor {
            rules,
            slots: slots.collect(),
            operator: None,
            lead: None,
            qa: None,
            focus: None,
            named: false,
            pending: None,
            given: None,
            stopped: None,
            elsewhere: Vec::new(),
            spent: BTreeSet::new(),
            clock_is_wrong: false,
            scanner_lost: false,
            outlook: Outlook::default(),
            ending: false,
            said: Said::plain("SCAN_BADGE"),
            todo: Vec::new(),
        }
    }

    /// Takes up what a former run left: each of these slots does nothing else until it is settled.
    pub(crate) fn replay(&mut self, journal: &[Open]) {
        self.elsewhere.clear();
        for open in journal {
            let Some(slot) = self.slots.iter_mut().find(|slot| slot.path == open.port) else {
                self.elsewhere.push(open.serial.clone());
                continue;
            };
            if !slot.may_be_called_back() {
                continue;
            }
            slot.state = State::Held {
                serial: open.serial.clone(),
                order: open.order.clone(),
                card: crate::shift::card::of(Some("PUT_BACK"), Outcome::Rework),
                until: Held::Unit(Some(open.device_id.clone())),
                tries: 0,
                open: true,
            };
            slot.presence = Presence::Unknown;
            let reached = open.issued.as_ref().map(|issued| issued.reached);
            slot.label_out = reached.is_some_and(|reached| reached >= Reached::Printing);
        }
        if let Some((serial, number)) = self.to_put_back() {
            self.said = Said::about("PUT_BACK_IN", &serial, number);
            self.sound(Sound::Action);
        }
    }

    /// No more scans will come: nothing new begins, and who waits for a label waits no longer.
    pub(crate) fn end(&mut self) {
        self.ending = true;
        self.pending = None;
        for at in 0..self.slots.len() {
            match &self.slots[at].state {
                State::Waiting { .. } => self.slots[at].state = State::Free,
                State::Running { .. } => self.todo.push(Do::NoLabel { slot: at }),
                _ => {}
            }
        }
        self.said = Said::plain("ENDING");
    }

    /// Whether nothing is in work any more.
    pub(crate) fn is_idle(&self) -> bool {
        !self.slots.iter().any(Slot::is_busy)
    }

    /// This machine's clock and the server's differ by more than anybody should accept.
    pub(crate) fn clock_is_wrong(&mut self, wrong: bool) {
        self.clock_is_wrong = wrong;
    }

    /// How it stands with server and lease now.
    pub(crate) fn looks_out(&mut self, outlook: Outlook) {
        if outlook.revoked && self.stopped.is_none() {
            self.stopped = Some("STATION_REVOKED");
            self.sound(Sound::Fail);
        }
        if outlook.held.on_hold.len() > self.outlook.held.on_hold.len() {
            self.sound(Sound::Fail);
        }
        // The unit may stand there still, under the PASS that it had.
        for slot in &mut self.slots {
            if let State::Done {
                serial,
                card,
                reason,
                out: false,
                ..
            } = &mut slot.state
                && outlook.held.on_hold.contains(serial)
            {
                *reason = Some("HOLD");
                *card = card::of(*reason, Outcome::Stop);
            }
        }
        self.outlook = outlook;
    }

    /// The scanner does not answer, or does again; gives whether that is new.
    pub(crate) fn scanner_is_here(&mut self, here: bool) -> bool {
        let new = self.scanner_lost == here;
        self.scanner_lost = !here;
        if new && !here {
            self.sound(Sound::Action);
        }
        new
    }

    /// What is to be done since this was asked last.
    pub(crate) fn todo(&mut self) -> Vec<Do> {
        std::mem::take(&mut self.todo)
    }

    /// Starts what can start now. To be called after everything that happened, and once in a while.
    pub(crate) fn advance(&mut self, now: Duration) {
        self.lead.take_if(|lead| lead.until < now);
        self.qa.take_if(|qa| qa.until < now);
        self.focus.take_if(|(_, until)| *until < now);
        self.pending.take_if(|(_, until)| *until < now);
        self.given.take_if(|(_, until)| *until < now);
        self.withdraw_again(now);
        self.part_swapped();
        let Some(operator) = self.operator.clone() else {
            return;
        };
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            if self.belongs_to(at).is_some() {
                continue;
            }
            if self.stopped.is_some() || slot.locked.is_some() || (self.ending && !slot.is_busy()) {
                continue;
            }
            let Some((serial, order, tries)) = slot.ready(&self.rules, now) else {
                continue;
            };
            self.given.take_if(|(given, _)| *given == at);
            self.start(at, serial, order, tries, operator.clone(), now);
        }
    }

    /// Tells the server again what it was not there to hear.
    fn withdraw_again(&mut self, now: Duration) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if let State::Withdrawing {
                serial,
                scrap,
                operator,
                second,
                away,
                ..
            } = &mut slot.state
                && let Some((_, then)) = away.as_mut().filter(|(_, then)| *then <= now)
            {
                *then = ASKED; // it is away until it answers
                self.todo.push(Do::Withdraw {
                    slot: at,
                    serial: serial.clone(),
                    operator: operator.clone(),
                    second: second.clone(),
                    scrap: *scrap,
                });
            }
        }
    }

    fn start(
        &mut self,
        at: usize,
        serial: Serial,
        order: OrderId,
        tries: u32,
        operator: OperatorId,
        now: Duration,
    ) {
        self.seen_here_alone(at, now);
        let slot = &mut self.slots[at];
        let away = slot.away();
        slot.presence = Presence::Unknown;
        slot.state = State::running(serial.clone(), order.clone(), tries, now);
        if let State::Running { was_away, .. } = &mut slot.state {
            *was_away = away;
        }
        self.todo.push(Do::Start {
            slot: at,
            serial,
            order,
            operator,
        });
    }

    /// The unit of slot `at` may have stood in another a moment ago, which has to look again.
    fn seen_here_alone(&mut self, at: usize, now: Duration) {
        let Some(unit) = self.slots[at].presence.unit().cloned() else {
            return;
        };
        let others = self.slots.iter_mut().enumerate();
        for (_, slot) in others.filter(|(nth, slot)| *nth != at && slot.stranger() == Some(&unit)) {
            slot.presence = Presence::Unknown;
            if let State::Waiting { since, .. } = &mut slot.state {
                *since = now;
            }
        }
    }

    fn sound(&mut self, sound: Sound) {
        self.todo.push(Do::Sound(sound));
    }

    /// The slot that the unit in slot `at` was begun in: it belongs back there, whatever is scanned.
    fn belongs_to(&self, at: usize) -> Option<usize> {
        let unit = self.slots[at].stranger()?;
        self.slots.iter().position(|slot| slot.wants_back(unit))
    }

    /// Whether slot `at` takes a new serial.
    fn takes_serial(&self, at: usize) -> bool {
        self.slots[at].is_free() && self.belongs_to(at).is_none()
    }

    /// The first unit that somebody has to bring back.
    fn to_put_back(&self) -> Option<(Serial, u32)> {
        let back = |slot: &Slot| match &slot.state {
            State::Held {
                serial,
                until: Held::Unit(_),
                card,
                ..
            } if card.number == 209 => Some((serial.clone(), slot.number)),
            _ => None,
        };
        self.slots.iter().find_map(back)
    }
}
