//! The person at the bench: looks at tiles, scans, plugs, and does nothing else. No keyboard, no
//! look into a file but the label's, which is what a scanner sees.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use station_cli::Scanner;
use traveler::Serial;
use zeroize::Zeroizing;

use super::ahead::Ahead;
use super::bench::{Bench, Heard};
use super::halt::Halt;
use super::terminal::Terminal;
use super::trouble::{Random, Trouble};
use crate::printer::LabelReader;

/// Between two looks at the bench.
pub(super) const TICK: Duration = Duration::from_millis(40);
/// A scan is answered by then, unless the power fails.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// Between a scan's end and a lead's badge or a command: what comes sooner is of the same code, and
/// refused. No hand is faster.
const APART: Duration = Duration::from_millis(50);
/// A slot notices by then that it is empty.
pub(super) const LOOK: Duration = Duration::from_millis(300);
/// The network stays away so much longer than it was cut, when nothing has come of it yet.
const LONGER: Duration = Duration::from_secs(60);

/// One person, with the shelf of units before them.
pub(super) struct Operator<'a> {
    pub(super) bench: Bench,
    pub(super) terminal: &'a Terminal,
    pub(super) halt: Halt,
    pub(super) server: Pid,
    /// What is leased before the network goes.
    pub(super) ahead: Ahead,
    pub(super) labels: PathBuf,
    pub(super) screens: PathBuf,
    pub(super) random: Random,
    /// What is still to go wrong.
    pub(super) troubles: BTreeMap<u32, Trouble>,
    /// What has gone wrong.
    pub(super) met: BTreeMap<&'static str, u32>,
    /// Units to do, in order.
    pub(super) shelf: VecDeque<u32>,
    pub(super) done: BTreeSet<u32>,
    /// How long a network cut is.
    pub(super) cut: Duration,
    pub(super) later: Vec<(Instant, Later)>,
    /// A unit that is to be left in, and where.
    pub(super) left_in: Option<usize>,
    /// When a serial is scanned again that no slot was free for.
    pub(super) not_before: Instant,
    /// A unit whose label waits for another's.
    pub(super) holds_label: Option<u32>,
}

/// What happens after a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Later {
    Pull(usize, u32),
    Plug(usize),
    Paper,
    /// The network is back; it was to be by then.
    Network(Instant),
    PowerCut,
}

/// The serial of a unit of the shift.
pub(super) fn serial(number: u32) -> String {
    format!("CAM2-{number:05}")
}

impl Operator<'_> {
    /// Works until every unit is done.
    pub(super) fn work(&mut self, within: Duration) -> Result<()> {
        let give_up = Instant::now() + within;
        self.arrive(None)?;
        while !self.is_done() {
            self.bench.look()?;
            self.happens()?;
            for at in 0..self.bench.positions.len() {
                self.look_at(at)?;
            }
            self.next_unit()?;
            if Instant::now() > give_up {
                let left = self.shelf.len();
                let (done, within) = (self.done.len(), within.as_secs());
                bail!("{done} units are done after {within} s, {left} are on the shelf");
            }
            self.halt.pause(TICK)?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let empty = self
            .bench
            .positions
            .iter()
            .all(|position| position.unit.is_none());
        self.shelf.is_empty() && empty && self.later.is_empty()
    }

    /// Waits for the station and shows the badge; `missing` is the slot whose unit it has to ask for.
    pub(super) fn arrive(&mut self, missing: Option<usize>) -> Result<()> {
        let begun = self.bench.begun;
        let give_up = Instant::now() + 3 * ANSWER;
        while self.bench.begun == begun {
            if Instant::now() > give_up {
                bail!("the station does not begin");
            }
            self.halt.pause(TICK)?;
            self.bench.look()?;
        }
        if let Some(at) = missing {
            self.picture("put-back")?;
            self.after(TICK, Later::Plug(at));
        }
        self.scan("B-7").map(drop)
    }

    /// What was to come has come.
    fn happens(&mut self) -> Result<()> {
        let now = Instant::now();
        let due: Vec<Later> = self
            .later
            .iter()
            .filter(|(at, _)| *at <= now)
            .map(|(_, l)| *l)
            .collect();
        self.later.retain(|(at, _)| *at > now);
        for one in due {
            match one {
                Later::Pull(at, number) => self.pull(at, number)?,
                Later::Plug(at) => self.bench.cable(at, true)?,
                Later::Paper => {
                    std::fs::remove_file(&self.labels)?;
                    std::fs::rename(self.labels.with_extension("away"), &self.labels)?;
                }
                // A cut in which the station has just begun again, or no unit came to its end, would
                // have shown nothing.
                Later::Network(due) if !self.went_on() && now < due + LONGER => {
                    self.after(TICK, Later::Network(due));
                }
                Later::Network(_) => {
                    self.picture("offline")?;
                    kill_process(self.server, Signal::CONT)?;
                }
                // In the middle of something, as long as anything is still to be done.
                Later::PowerCut if !self.in_the_middle() && !self.shelf.is_empty() => {
                    self.after(TICK, Later::PowerCut);
                }
                Later::PowerCut => self.power_cut()?,
            }
        }
        Ok(())
    }

    pub(super) fn after(&mut self, wait: Duration, what: Later) {
        self.later.push((Instant::now() + wait, what));
    }

    /// Whether the station knows that the server is away, and a unit has passed all the same.
    fn went_on(&self) -> bool {
        self.bench.away && self.bench.sealed_offline > 0
    }

    /// Whether a unit has an attempt under way.
    fn in_the_middle(&self) -> bool {
        self.under_way().is_some()
    }

    /// The first slot whose unit has an attempt under way.
    pub(super) fn under_way(&self) -> Option<usize> {
        let stages = ["load", "reset", "prove", "confirm", "label"];
        let under_way = |stage: &str| stages.contains(&stage);
        self.bench
            .positions
            .iter()
            .position(|one| under_way(&one.tile.stage))
    }

    pub(super) fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    /// Scans, and waits for what the station makes of it.
    pub(super) fn scan(&mut self, text: &str) -> Result<Heard> {
        let before = self.bench.heard.len();
        self.terminal.scan(text)?;
        let give_up = Instant::now() + ANSWER;
        loop {
            self.bench.look()?;
            if let Some(heard) = self.bench.heard.get(before) {
                return Ok(heard.clone());
            }
            if Instant::now() > give_up {
                bail!("a scan is not answered");
            }
            self.halt.pause(TICK / 4)?;
        }
    }

    /// The same of a lead's badge, a QA badge or a command.
    pub(super) fn scan_of_rank(&mut self, text: &str) -> Result<Heard> {
        self.halt.pause(APART)?;
        self.scan(text)
    }

    pub(super) fn scan_slot(&mut self, at: usize) -> Result<Heard> {
        self.scan(&format!("SLOT{}", at + 1))
    }

    /// What the scanner sees of a label.
    pub(super) fn label(&self, number: u32) -> Result<Option<Zeroizing<String>>> {
        label(&self.labels, &serial(number))
    }

    /// Does what a tile asks for.
    fn look_at(&mut self, at: usize) -> Result<()> {
        let position = &self.bench.positions[at];
        let tile = position.tile.clone();
        let Some(unit) = position.unit.as_ref() else {
            return Ok(());
        };
        let number = unit.number;
        if position.answered {
            return Ok(());
        }
        // Whatever the tile says after this is new.
        self.bench.positions[at].answered = true;
        match (tile.tone.as_str(), tile.says.as_str(), tile.number) {
            ("pass", ..) => self.passed(at, number)?,
            ("action", "SCAN_LABEL" | "SCAN_SLOT_FIRST", _) | ("fail", "WRONG_LABEL", _) => {
                let done = self.stick(at, number)?;
                self.bench.positions[at].answered &= done;
            }
            ("fail", "LABELS_SWAPPED", _) => {
                let done = self.own_label(at, number)?;
                self.bench.positions[at].answered &= done;
            }
            ("action", "SAME_UNIT" | "TAKE_OUT", 201) if self.left_in != Some(at) => {
                self.bench.take_out(at)?;
                self.done.insert(number);
            }
            ("action", _, 101 | 102) => self.picture("reconnect")?,
            ("action", _, 301) => self.picture("paper-out")?,
            ("fail", _, 204) => {
                self.picture("wrong-product")?;
                self.bench.take_out(at)?;
                self.shelf.push_front(number);
            }
            ("fail", _, 205) => {
                self.picture("swapped")?;
                self.bench.take_out(at)?;
                self.shelf.push_front(number);
            }
            // Its lease was spent on an attempt that was withdrawn: later, with a server that has
            // heard of it.
            ("action", "NOT_IN_LEASE" | "LEASED", _) => {
                self.picture("not-in-lease")?;
                self.bench.take_out(at)?;
                self.shelf.push_back(number);
                self.not_before = Instant::now() + 2 * LOOK;
            }
            ("fail", "CALL_LEAD", _) => self.call_lead(at)?,
            ("action", "SCAN_OR_REPRINT", _) => {
                let done = self.in_doubt(at, number)?;
                self.bench.positions[at].answered &= done;
            }
            // The power failed while another stood there, and nobody was told.
            ("ready", "SCAN_SERIAL", _) if self.bench.is_another(at) => {
                self.bench.take_out(at)?;
                self.shelf.push_front(number);
            }
            ("action", _, 209) => {
                let done = self.put_back(at, number)?;
                self.bench.positions[at].answered &= done;
            }
            // The station forgot a serial that had no attempt yet, or the slot wants one.
            ("ready", "SCAN_SERIAL", _) => {
                self.scan_slot(at)?;
                let done = self.scan(&serial(number))?.accepted;
                self.bench.positions[at].answered &= done;
            }
            ("locked", ..) => {
                self.scan_of_rank("L-1")?;
                self.scan_slot(at)?;
            }
            ("stop", ..) => bail!("the line has stopped"),
            _ => {}
        }
        Ok(())
    }

    /// What the station waits for is there, or another one in its place.
    fn put_back(&mut self, at: usize, number: u32) -> Result<bool> {
        let another = self.bench.is_another(at);
        if another {
            self.bench.take_out(at)?;
            self.insert(at, number)?;
        }
        Ok(another) // else it may be swapped yet
    }

    /// Sticks the label on and scans it, unless it is held back.
    fn stick(&mut self, at: usize, number: u32) -> Result<bool> {
        if self.troubles.get(&number) == Some(&Trouble::LabelsSwapped) {
            let other = self.waiting_for_label(at);
            match other {
                Some(other) => return self.swap_labels((at, number), other),
                // Held back until another is printed, unless nobody else comes.
                None if !self.shelf.is_empty() => {
                    self.holds_label = Some(number);
                    return Ok(false);
                }
                None => drop(self.troubles.remove(&number)),
            }
        }
        let waits = |held: u32| self.wants_label(|_, unit| unit == held).is_some();
        if self
            .holds_label
            .is_some_and(|held| held != number && waits(held))
        {
            return Ok(false); // its turn comes with the other's
        }
        self.holds_label = None;
        self.own_label(at, number)
    }

    /// The power failed while a label was printed: whether it came out the person sees.
    fn in_doubt(&mut self, at: usize, number: u32) -> Result<bool> {
        if !self.labels.is_dir() {
            return Ok(false); // the printer is open
        }
        if self.label(number)?.is_some() {
            return self.own_label(at, number);
        }
        self.scan_slot(at)?;
        let done = self.scan_of_rank("REPRINT")?.accepted;
        if done {
            self.meet("labels printed again");
        }
        Ok(done)
    }

    /// Scans a slot and the label that belongs there; false when it has to be done again.
    fn own_label(&mut self, at: usize, number: u32) -> Result<bool> {
        let Some(text) = self.label(number)? else {
            return Ok(false); // it comes out in a moment, or with the next paper
        };
        // Whatever else waits for a label: this one is on the unit in this slot.
        if self.scan_slot(at)?.says != "SCAN_LABEL" {
            return Ok(false);
        }
        Ok(self.scan_label(number, &text)?.accepted)
    }

    fn waiting_for_label(&self, but: usize) -> Option<(usize, u32)> {
        self.wants_label(|at, _| at != but && !self.bench.positions[at].answered)
    }

    /// The first unit that waits for its label and is such a one.
    fn wants_label(&self, such: impl Fn(usize, u32) -> bool) -> Option<(usize, u32)> {
        let mut all = self.bench.positions.iter().enumerate();
        all.find_map(|(at, one)| {
            let number = one.unit.as_ref()?.number;
            let wants = matches!(one.tile.says.as_str(), "SCAN_LABEL" | "SCAN_SLOT_FIRST");
            (wants && such(at, number)).then_some((at, number))
        })
    }
}

/// What a scanner sees of the label that was printed for a serial.
pub(super) fn label(labels: &Path, serial: &str) -> Result<Option<Zeroizing<String>>> {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    let mut reader = LabelReader(labels.to_owned());
    let serial = Serial::parse(serial)?;
    let seen = pin!(reader.scan(&serial)); // reading a file waits for nobody
    Ok(match seen.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(text)) => text,
        Poll::Ready(Err(_)) | Poll::Pending => None,
    })
}
