//! What goes wrong at the bench, and what the person there does about it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::operator::{Later, Operator, TICK};
use super::trouble::Trouble;

/// A cable that was pulled stays out so long.
const PULLED: Duration = Duration::from_millis(400);
/// Paper is put in again after so long.
const NO_PAPER: Duration = Duration::from_secs(2);

impl Operator<'_> {
    /// Pulls the cable of a unit that is still where it was.
    pub(super) fn pull(&mut self, at: usize, number: u32) -> Result<()> {
        let there = self.bench.positions[at].unit.as_ref();
        match there.filter(|unit| unit.number == number) {
            // Done before that: it befalls the next unit, and sooner; or one that is at the bench.
            None => {
                let mut next = self.shelf.iter();
                if let Some(next) = next.find(|unit| !self.troubles.contains_key(unit)) {
                    self.troubles.insert(*next, Trouble::Pull(0));
                } else if let Some((at, number)) = self.bench.first_plugged() {
                    self.after(TICK, Later::Pull(at, number));
                }
                return Ok(());
            }
            Some(unit) if unit.pulled => {
                self.after(TICK, Later::Pull(at, number)); // once it is plugged in again
                return Ok(());
            }
            Some(_) => self.bench.cable(at, false)?,
        }
        self.after(PULLED, Later::Plug(at));
        self.meet("cables pulled");
        Ok(())
    }

    /// `kill -9`, and the power is back; a unit that was in work is not, until somebody sees to it.
    pub(super) fn power_cut(&mut self) -> Result<()> {
        let station = Pid::from_raw(self.terminal.process()?).context("a process has a number")?;
        kill_process(station, Signal::KILL)?;
        self.bench.look()?;
        let missing = self.under_way();
        if let Some(at) = missing {
            self.bench.cable(at, false)?;
        }
        for position in &mut self.bench.positions {
            position.tile = Default::default();
        }
        self.meet("power cuts");
        self.terminal.restart()?;
        self.arrive(missing)
    }

    /// The other's label is stuck on this one: the station refuses both, and asks for each one's own.
    pub(super) fn swap_labels(&mut self, one: (usize, u32), other: (usize, u32)) -> Result<bool> {
        let Some(theirs) = self.label(other.1)? else {
            return Ok(false);
        };
        if self.scan_slot(one.0)?.says != "SCAN_LABEL" {
            return Ok(false);
        }
        let heard = self.scan_label(one.1, &theirs)?;
        if heard.accepted {
            return Ok(true); // it stays where it is, and is counted
        }
        if heard.says != "LABELS_SWAPPED" {
            return Ok(false); // the other waits for none any more: it is swapped with the next
        }
        self.troubles.remove(&one.1);
        self.holds_label = None;
        self.meet("labels swapped");
        self.picture("labels-swapped").map(|()| true)
    }

    /// What goes wrong while this unit is begun; false when it has to wait for something else to
    /// come right first.
    pub(super) fn trouble_before(&mut self, number: u32) -> Result<bool> {
        match self.troubles.get(&number) {
            Some(Trouble::Nonsense) => {
                for text in [
                    "HELLO WORLD",
                    "L-1x",
                    "00000000000000000000000000000000000",
                    "BM1:",
                ] {
                    let heard = self.scan(text)?;
                    if heard.accepted {
                        bail!("`{text}` was accepted as {}", heard.says);
                    }
                }
                self.meet("nonsense scanned");
            }
            Some(Trouble::PaperOut) if !self.labels.is_dir() => return Ok(false),
            Some(Trouble::PaperOut) => {
                std::fs::rename(&self.labels, self.labels.with_extension("away"))?;
                std::fs::write(&self.labels, "no paper\n")?;
                self.after(NO_PAPER, Later::Paper);
                self.meet("paper out");
            }
            Some(Trouble::NetworkCut) => {
                kill_process(self.server, Signal::STOP)?;
                let due = Instant::now() + self.cut;
                self.after(self.cut, Later::Network(due));
                self.meet("network cuts");
            }
            Some(Trouble::PowerCut) => {
                let wait = Duration::from_millis(200 + self.random.below(1_500));
                self.after(wait, Later::PowerCut);
            }
            _ => return Ok(true),
        }
        self.troubles.remove(&number);
        Ok(true)
    }

    pub(super) fn passed(&mut self, at: usize, number: u32) -> Result<()> {
        self.picture("pass")?;
        if self.troubles.get(&number) == Some(&Trouble::LeftIn) && !self.shelf.is_empty() {
            self.troubles.remove(&number);
            self.left_in = Some(at);
            return Ok(());
        }
        if self.left_in == Some(at) {
            return Ok(());
        }
        self.bench.take_out(at)?;
        self.done.insert(number);
        Ok(())
    }

    pub(super) fn call_lead(&mut self, at: usize) -> Result<()> {
        self.picture("fail")?;
        self.meet("leads called");
        self.scan_of_rank("L-1")?;
        self.scan_slot(at)?;
        self.scan_of_rank("RETRY").map(drop)
    }
}
