//! One slot: what it does, and when it can go on by itself.

use std::time::Duration;

use traveler::{DeviceId, OperatorId, OrderId, Serial};

use super::{Presence, Rules, Second};
use crate::failure::Outcome;
use crate::seams::Stage;
use crate::shift::card::{self, Card, Then};

/// Number of the card of two units that were swapped.
const SWAPPED: u16 = 205;

/// Of something that was away: it is being asked now.
pub(super) const ASKED: Duration = Duration::MAX;

/// One position of the bench.
pub(super) struct Slot {
    pub(super) number: u32,
    /// Its place, as the journal has it.
    pub(super) path: String,
    pub(super) state: State,
    pub(super) presence: Presence,
    /// In a row.
    pub(super) fails: u32,
    /// Why it waits for a lead, by key.
    pub(super) locked: Option<&'static str>,
    /// Whether a label of its unit may be out, stuck on this unit or another, and nobody has shown on
    /// which.
    pub(super) label_out: bool,
}

/// What a slot does.
pub(super) enum State {
    /// Nothing.
    Free,
    /// A serial was scanned, its unit is to come.
    Waiting { serial: Serial, since: Duration },
    /// A unit is on its way.
    Running {
        serial: Serial,
        order: OrderId,
        stage: Option<Stage>,
        /// When it came to that stage.
        since: Duration,
        /// How often it was begun anew by itself.
        tries: u32,
        /// A label is on its way to it.
        labelled: bool,
        /// Its label is to be printed again as soon as nothing else is done with it.
        reprint: bool,
        /// What is wrong with the labels that were scanned.
        wrong: Option<WrongLabel>,
        /// What was away before: it is until the turn gets past it.
        was_away: Option<Card>,
    },
    /// It goes on with the same unit, later.
    Held {
        serial: Serial,
        order: OrderId,
        card: Card,
        until: Held,
        tries: u32,
        /// An attempt is under way.
        open: bool,
    },
    /// A result that sticks.
    Done {
        serial: Serial,
        order: OrderId,
        card: Card,
        reason: Option<&'static str>,
        /// Where its serial is used, as that is shown.
        used: Option<String>,
        unit: Option<DeviceId>,
        /// An attempt is under way still.
        open: bool,
        /// The unit was taken out since.
        out: bool,
    },
    /// Its label is being printed again.
    Reprinting {
        serial: Serial,
        order: OrderId,
        tries: u32,
        since: Duration,
    },
    /// The server is being told that the unit will not come back.
    Withdrawing {
        serial: Serial,
        order: OrderId,
        scrap: bool,
        /// Who decided it.
        operator: OperatorId,
        /// And who with them, where it is a seal that is broken.
        second: Option<Second>,
        /// What its tile said before.
        before: Option<(Card, Option<&'static str>)>,
        since: Duration,
        /// What was away, and when it is asked again; [`ASKED`] while it is.
        away: Option<(Card, Duration)>,
    },
}

/// What is wrong with the labels that were scanned for a unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WrongLabel {
    /// The unit, or what was issued, says no.
    Other,
    /// It is one that does not count any more.
    Void,
    /// It has the label of this slot's unit, and that one has its.
    SwappedWith(u32),
    /// It was swapped with one that has its own since, or is gone: it has to show that it is on the
    /// right unit, and no other label is to be touched.
    WasSwapped,
}

/// When a held slot goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Held {
    /// Once this unit is there; any, when none was seen.
    Unit(Option<DeviceId>),
    /// At this time.
    At(Duration),
}

impl State {
    pub(super) fn running(serial: Serial, order: OrderId, tries: u32, now: Duration) -> State {
        State::Running {
            serial,
            order,
            stage: None,
            since: now,
            tries,
            labelled: false,
            reprint: false,
            wrong: None,
            was_away: None,
        }
    }
}

impl Slot {
    pub(super) fn new(number: u32, path: String) -> Slot {
        Slot {
            number,
            path,
            state: State::Free,
            presence: Presence::Unknown,
            fails: 0,
            locked: None,
            label_out: false,
        }
    }

    /// Whether something is under way that must not be disturbed.
    pub(super) fn is_busy(&self) -> bool {
        matches!(
            self.state,
            State::Running { .. } | State::Reprinting { .. } | State::Withdrawing { .. }
        )
    }

    /// Whether what the journal has for its place may be asked of it. What it does itself, and a
    /// result that waits for a lead, stay.
    pub(super) fn may_be_called_back(&self) -> bool {
        match &self.state {
            State::Free | State::Waiting { .. } => true,
            State::Done {
                card, open, out, ..
            } => card.then == Then::Journal || (*out && !*open),
            _ => false,
        }
    }

    /// Whether a new serial may be given to it.
    pub(super) fn is_free(&self) -> bool {
        let free = match &self.state {
            State::Free => !matches!(self.presence, Presence::Locked(_)),
            State::Done { open, out, .. } => *out && !*open,
            _ => false,
        };
        free && self.locked.is_none()
    }

    /// The silicon at its port, when nothing is done with it yet.
    pub(super) fn stranger(&self) -> Option<&DeviceId> {
        match &self.state {
            State::Free | State::Waiting { .. } => self.presence.unit(),
            _ => None,
        }
    }

    /// Whether it was begun with this silicon, and waits for it.
    pub(super) fn wants_back(&self, unit: &DeviceId) -> bool {
        matches!(&self.state, State::Held { until: Held::Unit(Some(wanted)), .. } if wanted == unit)
    }

    /// The unit it has to do with.
    pub(super) fn serial(&self) -> Option<&Serial> {
        match &self.state {
            State::Free => None,
            State::Waiting { serial, .. }
            | State::Running { serial, .. }
            | State::Held { serial, .. }
            | State::Done { serial, .. }
            | State::Reprinting { serial, .. }
            | State::Withdrawing { serial, .. } => Some(serial),
        }
    }

    /// What it waits for by itself: a server or a printer, asked again just now or in a while.
    pub(super) fn away(&self) -> Option<Card> {
        match &self.state {
            State::Held {
                card,
                until: Held::At(_),
                ..
            } if card.then == Then::Wait => Some(*card),
            State::Running {
                was_away,
                stage: None | Some(Stage::Server),
                ..
            } => *was_away,
            State::Withdrawing {
                away: Some((card, _)),
                ..
            } => Some(*card),
            _ => {
                let (_, card) = self.unasked()?;
                (card.then == Then::Wait).then_some(card)
            }
        }
    }

    /// Why nobody can look for a unit in it, as long as it does nothing else.
    pub(super) fn unasked(&self) -> Option<(&'static str, Card)> {
        match (&self.state, &self.presence) {
            (State::Free | State::Waiting { .. }, Presence::Unasked(reason)) => {
                Some((reason, card::of(Some(reason), Outcome::Refused)))
            }
            _ => None,
        }
    }

    /// Whether it waits for a label, and none is on its way.
    pub(super) fn wants_label(&self) -> bool {
        matches!(
            self.state,
            State::Running {
                stage: Some(Stage::Label | Stage::Printer),
                labelled: false,
                ..
            }
        )
    }

    /// The slot that it was found to have changed labels with.
    pub(super) fn swapped_with(&self) -> Option<u32> {
        match &self.state {
            State::Running {
                wrong: Some(WrongLabel::SwappedWith(other)),
                ..
            } if self.wants_label() => Some(*other),
            _ => None,
        }
    }

    /// Whether it was swapped, so that a label counts for it only after its own code.
    pub(super) fn was_swapped(&self) -> bool {
        matches!(
            self.state,
            State::Running {
                wrong: Some(WrongLabel::SwappedWith(_) | WrongLabel::WasSwapped),
                ..
            }
        )
    }

    /// Serial, order and number of the try that can begin now.
    pub(super) fn ready(&self, rules: &Rules, now: Duration) -> Option<(Serial, OrderId, u32)> {
        match &self.state {
            State::Waiting { serial, since } => {
                // A port that does not open says why when it is used.
                let unheard = matches!(
                    self.presence,
                    Presence::Silent | Presence::Unknown | Presence::Unasked(_) | Presence::Busy
                );
                let silent = unheard && now >= *since + rules.answer_within;
                let there = matches!(self.presence, Presence::Unit(_) | Presence::Locked(_));
                (there || silent).then(|| (serial.clone(), rules.order.clone(), 0))
            }
            State::Held {
                serial,
                order,
                until,
                tries,
                ..
            } => {
                let goes_on = match (until, &self.presence) {
                    (Held::At(then), _) => now >= *then,
                    (Held::Unit(wanted), Presence::Unit(there) | Presence::Locked(there)) => {
                        wanted.as_ref().is_none_or(|wanted| wanted == there)
                    }
                    (Held::Unit(_), _) => false,
                };
                goes_on.then(|| (serial.clone(), order.clone(), *tries))
            }
            _ => None,
        }
    }

    /// Notes what stands at its port. A result's unit is out when it is not there any more.
    pub(super) fn sees(&mut self, presence: Presence) {
        if let State::Done {
            unit, out, card, ..
        } = &mut self.state
        {
            // Where units were swapped the other one is no new one: the slot has to be seen empty.
            let unit = unit.as_ref().filter(|_| card.number != SWAPPED);
            *out |= match (&presence, unit) {
                (Presence::Nothing | Presence::Silent, _) => true,
                (Presence::Unit(there) | Presence::Locked(there), Some(unit)) => there != unit,
                _ => false,
            };
        }
        self.presence = presence;
    }
}
