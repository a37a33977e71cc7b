//! What is to be seen: one tile a slot, and two lines for the whole bench. Keys and numbers, not
//! words: the language is the screen's.

use std::time::Duration;

use traveler::Serial;

use super::slot::{Held, Slot, State, WrongLabel};
use super::{Floor, HANGS, Presence};
use crate::seams::Stage;
use crate::shift::card::{Then, Tone};

/// A message by key, with what is filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Said {
    pub(crate) key: &'static str,
    pub(crate) serial: String,
    pub(crate) slot: u32,
    /// Until when it is so, as it is shown.
    pub(crate) time: String,
}

impl Said {
    pub(super) fn plain(key: &'static str) -> Said {
        Said::text(key, String::new(), 0)
    }

    pub(crate) fn about(key: &'static str, serial: &Serial, slot: u32) -> Said {
        Said::text(key, short(serial.as_str()), slot)
    }

    pub(crate) fn text(key: &'static str, serial: String, slot: u32) -> Said {
        let time = String::new();
        Said {
            key,
            serial,
            slot,
            time,
        }
    }
}

/// The end of a serial: what an operator compares.
pub(crate) fn short(serial: &str) -> String {
    const SHOWN: usize = 5;
    match serial.len().checked_sub(SHOWN) {
        Some(cut) if cut > 1 && serial.is_ascii() => format!("...{}", &serial[cut..]),
        _ => serial.to_owned(),
    }
}

/// One slot, as it is seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tile {
    pub(crate) slot: u32,
    pub(crate) tone: Tone,
    /// The big word, by key.
    pub(crate) word: &'static str,
    /// What to do, by key; `None` when there is nothing.
    pub(crate) says: Option<Said>,
    /// The number to look up; 0 for none.
    pub(crate) number: u16,
    pub(crate) serial: String,
    /// What is being done, by key.
    pub(crate) stage: Option<Stage>,
    /// Seconds since it began.
    pub(crate) seconds: u64,
}

/// The two lines for the whole bench.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Banner {
    pub(crate) order: String,
    pub(crate) operator: Option<String>,
    /// What was said last.
    pub(crate) said: Said,
    /// What everybody has to know, and how bad it is; the most pressing first. None hides another for
    /// long: the screen shows as many as it has room for, and the others in turn.
    pub(crate) notices: Vec<(Tone, Said)>,
}

impl Floor {
    /// All tiles, as the slots stand on the bench.
    pub(crate) fn tiles(&self, now: Duration) -> Vec<Tile> {
        let tile = |(at, slot): (usize, &Slot)| {
            let mut tile = slot.tile(now);
            let shown = self.named && self.focus.is_some_and(|(focus, _)| focus == at);
            let first = !shown && self.slot_comes_first(at);
            if let Some(said) = tile.says.as_mut().filter(|_| first)
                && said.key == "SCAN_LABEL"
            {
                said.key = "SCAN_SLOT_FIRST";
            }
            if let Some(home) = self.belongs_to(at).filter(|_| slot.locked.is_none()) {
                let home = &self.slots[home];
                let serial = home.serial().map(|serial| short(serial.as_str()));
                (tile.tone, tile.word, tile.number) = (Tone::Action, "PUT_BACK", 209);
                let serial = serial.unwrap_or_default();
                tile.says = Some(Said::text("PUT_BACK_IN", serial, home.number));
            }
            tile
        };
        self.slots.iter().enumerate().map(tile).collect()
    }

    /// Who and what, and what everybody has to know.
    pub(crate) fn banner(&self) -> Banner {
        Banner {
            order: self.rules.order.to_string(),
            operator: self.operator.as_ref().map(ToString::to_string),
            said: self.said.clone(),
            notices: self.notices(),
        }
    }

    fn notices(&self) -> Vec<(Tone, Said)> {
        if let Some(reason) = self.stopped {
            // Until a lead has looked nothing else is to be done.
            return vec![(Tone::Stop, Said::text("STOPPED", reason.to_owned(), 0))];
        }
        let mut notices = Vec::new();
        if let Some((serial, number)) = self.to_put_back() {
            notices.push((Tone::Action, Said::about("PUT_BACK_IN", &serial, number)));
        }
        if self.scanner_lost {
            notices.push((Tone::Action, Said::plain("SCANNER_LOST")));
        }
        let outlook = self.outlook.notices();
        let offline = |slot: &Slot| slot.away().is_some_and(|card| card.tone == Tone::Offline);
        let said = outlook
            .iter()
            .any(|(_, said)| said.key.starts_with("OFFLINE"));
        if !said && self.slots.iter().any(offline) {
            notices.push((Tone::Offline, Said::plain("OFFLINE")));
        }
        notices.extend(outlook);
        if self.clock_is_wrong {
            notices.push((Tone::Action, Said::plain("CLOCK")));
        }
        let elsewhere = self.elsewhere.first();
        let elsewhere = elsewhere.map(|serial| Said::about("PUT_BACK_NOWHERE", serial, 0));
        notices.extend(elsewhere.map(|said| (Tone::Action, said)));
        notices
    }
}

impl Slot {
    /// What it does, unless it cannot.
    fn tile(&self, now: Duration) -> Tile {
        let mut tile = self.works(now);
        let serial = self.serial().map(ToString::to_string).unwrap_or_default();
        let say = |key| Some(Said::text(key, short(&serial), self.number));
        if let Some((reason, card)) = self.unasked() {
            (tile.tone, tile.number) = (card.tone, card.number);
            tile.word = card.word.unwrap_or(word(card.tone));
            tile.says = say(match card.then {
                Then::Wait => waits_for(card.number),
                _ => reason,
            });
        }
        if let Some(why) = self.locked {
            (tile.tone, tile.word, tile.number) = (Tone::Locked, "LOCKED", 701);
            tile.says = say(why);
        }
        tile
    }

    fn works(&self, now: Duration) -> Tile {
        let serial = self.serial().map(ToString::to_string).unwrap_or_default();
        let say = |key| Some(Said::text(key, short(&serial), self.number));
        let mut tile = Tile {
            slot: self.number,
            tone: Tone::Empty,
            word: "EMPTY",
            says: None,
            number: 0,
            stage: None,
            seconds: 0,
            serial: serial.clone(),
        };
        match &self.state {
            State::Free => self.free(&mut tile),
            State::Waiting { .. } if self.presence == Presence::Busy => {
                (tile.tone, tile.word, tile.number) = (Tone::Action, "ACTION", 103);
                tile.says = say("PORT_BUSY");
            }
            State::Waiting { since, .. } => {
                (tile.tone, tile.word) = (Tone::Ready, "READY");
                tile.seconds = now.saturating_sub(*since).as_secs();
                tile.says = match self.presence {
                    Presence::LidOpen => say("CLOSE_LID"),
                    Presence::Silent if tile.seconds >= 5 => say("NO_ANSWER"),
                    _ => say("PUT_IN"),
                };
            }
            State::Running { .. } => self.running(&mut tile, now),
            State::Held { card, until, .. } => {
                (tile.tone, tile.number) = (card.tone, card.number);
                tile.word = card.word.unwrap_or(word(card.tone));
                tile.says = match (card.number, until) {
                    (209, _) => say("PUT_IN"),
                    (_, Held::Unit(_)) => say("CABLE"),
                    (number, Held::At(_)) => say(waits_for(number)),
                };
            }
            State::Done {
                card, reason, used, ..
            } => {
                (tile.tone, tile.number) = (card.tone, card.number);
                tile.word = card.word.unwrap_or(word(card.tone));
                tile.says = match used {
                    Some(at) => Some(Said::text(used_at(*reason), at.clone(), self.number)),
                    None => say(reason.unwrap_or("PASS")),
                };
                if card.then == Then::Retry {
                    tile.says = say("CALL_LEAD");
                }
            }
            State::Reprinting { since, .. } => {
                (tile.tone, tile.word) = (Tone::Running, "RUNNING");
                tile.seconds = now.saturating_sub(*since).as_secs();
                tile.says = say("REPRINTING");
            }
            State::Withdrawing { since, .. } => {
                (tile.tone, tile.word) = (Tone::Running, "RUNNING");
                tile.seconds = now.saturating_sub(*since).as_secs();
                tile.says = say("WITHDRAWING");
                if let Some(card) = self.away() {
                    (tile.tone, tile.number) = (card.tone, card.number);
                    tile.word = card.word.unwrap_or(word(card.tone));
                }
            }
        }
        tile
    }

    fn free(&self, tile: &mut Tile) {
        match self.presence {
            Presence::Unit(_) => {
                (tile.tone, tile.word) = (Tone::Ready, "READY");
                tile.says = Some(Said::text("SCAN_SERIAL", String::new(), self.number));
            }
            // Left in while the station was off.
            Presence::Locked(_) => {
                (tile.tone, tile.word, tile.number) = (Tone::Action, "SAME_UNIT", 201);
                tile.says = Some(Said::text("TAKE_OUT", String::new(), self.number));
            }
            _ => {}
        }
    }

    fn running(&self, tile: &mut Tile, now: Duration) {
        let State::Running {
            serial,
            stage,
            since,
            tries,
            wrong,
            labelled,
            ..
        } = &self.state
        else {
            return;
        };
        let say = |key, slot| Some(Said::about(key, serial, slot));
        tile.seconds = now.saturating_sub(*since).as_secs();
        tile.stage = *stage;
        (tile.tone, tile.word) = (Tone::Running, "RUNNING");
        if let Some(card) = self.away() {
            (tile.tone, tile.number, tile.stage) = (card.tone, card.number, None);
            tile.word = card.word.unwrap_or(word(card.tone));
            tile.says = say(waits_for(card.number), self.number);
            return;
        }
        match (stage, wrong) {
            (Some(Stage::Label | Stage::Printer), Some(WrongLabel::SwappedWith(other))) => {
                (tile.tone, tile.word, tile.number) = (Tone::Fail, "LABEL", 305);
                let pair = format!("{} <-> {other}", self.number);
                tile.says = Some(Said::text("LABELS_SWAPPED", pair, self.number));
            }
            (Some(Stage::Label | Stage::Printer), Some(WrongLabel::Other)) => {
                (tile.tone, tile.word, tile.number) = (Tone::Fail, "LABEL", 304);
                tile.says = say("WRONG_LABEL", self.number);
            }
            (Some(Stage::Label | Stage::Printer), Some(WrongLabel::Void)) => {
                (tile.tone, tile.word, tile.number) = (Tone::Fail, "LABEL", 307);
                tile.says = say("VOID_LABEL", self.number);
            }
            (Some(Stage::Label), None | Some(WrongLabel::WasSwapped)) if !labelled => {
                (tile.tone, tile.word) = (Tone::Action, "LABEL");
                tile.says = say("SCAN_LABEL", self.number);
            }
            (Some(Stage::Printer), _) => {
                (tile.tone, tile.word, tile.number) = (Tone::Action, "PRINTER", 306);
                tile.says = say("SCAN_OR_REPRINT", self.number);
            }
            (Some(Stage::Reconnect), _) => {
                (tile.tone, tile.word, tile.number) = (Tone::Action, "RECONNECT", 101);
                tile.says = say("CABLE", self.number);
            }
            // Its label: one printer for all slots, one label after the other.
            (Some(Stage::Lock), _) if now.saturating_sub(*since) > HANGS => {
                (tile.tone, tile.word, tile.number) = (Tone::Action, "PRINTER", 301);
                tile.says = say("PRINTER", self.number);
            }
            _ if now.saturating_sub(*since) > HANGS => {
                (tile.tone, tile.word, tile.number) = (Tone::Action, "ACTION", 702);
                tile.says = say("SLOT_SLOW", self.number);
            }
            _ if *tries > 0 => tile.says = say("TRY", tries + 1),
            _ => {}
        }
    }
}

/// Of a serial that is, or was, at another station.
fn used_at(reason: Option<&str>) -> &'static str {
    match reason {
        Some("OTHER_STATION") => "BEGUN_AT",
        _ => "USED_AT",
    }
}

/// What a slot that goes on by itself waits for, by the number of its card.
fn waits_for(number: u16) -> &'static str {
    match number {
        103 => "PORT_BUSY",
        104 => "PORT_UNUSABLE",
        107 => "TOOL_MISSING",
        211 => "IN_HAND",
        301 => "PRINTER",
        406 => "NO_PROFILE",
        502 => "HSM_UNAVAILABLE",
        503 => "NOT_TRUSTED",
        504 => "LEASE_SPENT",
        _ => "NO_SERVER",
    }
}

/// The word of a tone.
fn word(tone: Tone) -> &'static str {
    match tone {
        Tone::Empty => "EMPTY",
        Tone::Ready => "READY",
        Tone::Running => "RUNNING",
        Tone::Pass => "PASS",
        Tone::Fail => "FAIL",
        Tone::Action => "ACTION",
        Tone::Offline => "OFFLINE",
        Tone::Locked => "LOCKED",
        Tone::Stop => "STOP",
    }
}
