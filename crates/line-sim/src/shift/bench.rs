//! The bench as the person at it sees it: slots with units in them, and what the tiles say.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use traveler::{DeviceId, Mac};

use super::stuck::Stuck;
use crate::unit::{Fault, SimUnit, SimUnitConfig};

/// One position of the bench.
#[derive(Default)]
pub(super) struct Position {
    /// What is in it.
    pub(super) unit: Option<InSlot>,
    /// What its tile says.
    pub(super) tile: Tile,
    /// Whether the person has answered what the tile says now.
    pub(super) answered: bool,
}

/// A unit in a slot.
pub(super) struct InSlot {
    /// Which of the shift's, from 1.
    pub(super) number: u32,
    sim: SimUnit,
    pub(super) pulled: bool,
    /// Whether another one takes its place at its reset.
    swaps: bool,
}

/// One tile, as the station tells it to machines.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Tile {
    pub(super) tone: String,
    pub(super) says: String,
    pub(super) number: u64,
    pub(super) serial: String,
    pub(super) stage: String,
}

/// What became of one scan.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) accepted: bool,
    pub(super) says: String,
    pub(super) slot: Option<usize>,
}

/// Slots, their ports, and the events of the station.
pub(super) struct Bench {
    ports: PathBuf,
    units: PathBuf,
    events: PathBuf,
    /// How far they were read.
    read: u64,
    rest: String,
    pub(super) positions: Vec<Position>,
    /// Scans that the station has answered.
    pub(super) heard: Vec<Heard>,
    /// How often the station has begun.
    pub(super) begun: u32,
    /// Labels that are on their units.
    pub(super) stuck: Stuck,
    /// Whether the station that runs knows that the server is away.
    pub(super) away: bool,
    /// Units that were sealed, and how many of them while it was.
    pub(super) sealed: BTreeSet<String>,
    pub(super) sealed_offline: usize,
}

impl Bench {
    pub(super) fn new(data: &Path, slots: usize) -> Bench {
        Bench {
            ports: data.join("ports"),
            units: data.join("units"),
            events: data.join("events.jsonl"),
            read: 0,
            rest: String::new(),
            positions: (0..slots).map(|_| Position::default()).collect(),
            heard: Vec::new(),
            begun: 0,
            stuck: Stuck::default(),
            away: false,
            sealed: BTreeSet::new(),
            sealed_offline: 0,
        }
    }

    /// Reads what the station has told since.
    pub(super) fn look(&mut self) -> Result<()> {
        let Ok(mut file) = File::open(&self.events) else {
            return Ok(()); // it has told nothing yet
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        self.read += file.read_to_end(&mut bytes)? as u64;
        self.rest.push_str(&String::from_utf8_lossy(&bytes));
        while let Some(end) = self.rest.find('\n') {
            let line: String = self.rest.drain(..=end).collect();
            // A power cut may have torn one; the next begins on the same line.
            if let Ok(event) = serde_json::from_str(&line) {
                self.take(&event);
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let slot = event["slot"]
            .as_u64()
            .and_then(|slot| usize::try_from(slot).ok());
        match event["event"].as_str() {
            Some("shift") => {
                self.begun += 1;
                self.away = false;
            }
            Some("lease") => self.away = event["away"] == true,
            Some("result") if event["outcome"] == "sealed" => {
                self.sealed_offline += usize::from(event["offline"] == true);
                self.sealed.insert(text("serial"));
            }
            Some("scan") => self.heard.push(Heard {
                accepted: event["accepted"] == true,
                says: text("says"),
                slot: slot.map(|slot| slot - 1),
            }),
            Some("tile") => {
                let Some(position) = slot.and_then(|slot| self.positions.get_mut(slot - 1)) else {
                    return;
                };
                position.answered = false;
                position.tile = Tile {
                    tone: text("tile"),
                    says: text("says"),
                    number: event["number"].as_u64().unwrap_or_default(),
                    serial: text("serial"),
                    stage: text("stage"),
                };
            }
            _ => {}
        }
    }

    /// Whether the station has a serial for every unit that stands here, or says to take it out.
    pub(super) fn all_known(&self) -> bool {
        const TAKE_OUT: u64 = 201;
        let known = |one: &Position| {
            one.unit.is_none() || !one.tile.serial.is_empty() || one.tile.number == TAKE_OUT
        };
        self.positions.iter().all(known)
    }

    /// The first slot whose unit has its cable in, and which that is.
    pub(super) fn first_plugged(&self) -> Option<(usize, u32)> {
        let mut all = self.positions.iter().enumerate();
        all.find_map(|(at, one)| {
            let unit = one.unit.as_ref().filter(|unit| !unit.pulled)?;
            Some((at, unit.number))
        })
    }

    /// Puts a unit into a slot.
    pub(super) fn put(&mut self, at: usize, number: u32, config: SimUnitConfig) -> Result<()> {
        let swap = |fault: &Fault| matches!(fault, Fault::SwapOnReset(_));
        let swaps = config.faults.iter().any(swap);
        let sim = SimUnit::spawn(config)?;
        let port = sim.port().context("a unit has a port")?.to_owned();
        self.point(at, Some(&port))?;
        self.positions[at].unit = Some(InSlot {
            number,
            sim,
            pulled: false,
            swaps,
        });
        Ok(())
    }

    /// Whether what stands there is not what was put in, as everybody sees who looks at it.
    pub(super) fn is_another(&self, at: usize) -> bool {
        let unit = self.positions[at].unit.as_ref();
        unit.is_some_and(|unit| unit.swaps && self.flash(unit.number, "-other").exists())
    }

    /// Takes the unit out.
    pub(super) fn take_out(&mut self, at: usize) -> Result<()> {
        self.point(at, None)?;
        match self.positions[at].unit.take() {
            Some(unit) => Ok(unit.sim.stop()?),
            None => Ok(()),
        }
    }

    /// Pulls the cable, or plugs it in: the port gets another name, and the place stays.
    pub(super) fn cable(&mut self, at: usize, plug: bool) -> Result<()> {
        let Some(unit) = &mut self.positions[at].unit else {
            return Ok(());
        };
        if unit.pulled != plug {
            return Ok(()); // it is so already: another unit may have come in its place
        }
        unit.pulled = !plug;
        match plug {
            true => {
                let port = unit.sim.plug_cable()?.to_owned();
                self.point(at, Some(&port))
            }
            false => {
                unit.sim.pull_cable()?;
                self.point(at, None)
            }
        }
    }

    /// The path of a slot is a link, as udev makes one.
    fn point(&self, at: usize, port: Option<&Path>) -> Result<()> {
        let link = self.port(at);
        let _ = std::fs::remove_file(&link);
        port.map_or(Ok(()), |port| symlink(port, &link))
            .with_context(|| format!("cannot make {}", link.display()))
    }

    /// The path of a slot.
    pub(super) fn port(&self, at: usize) -> PathBuf {
        self.ports.join(format!("slot-{}", at + 1))
    }

    /// What one of the shift's units is; `kind` tells its flash from another's of that number.
    pub(super) fn silicon(&self, number: u32, kind: &str, model: &str) -> Result<SimUnitConfig> {
        let family = if kind.is_empty() { 0x51 } else { 0x52 };
        let id = DeviceId::parse(&format!("{family:02x}{number:014x}"))?;
        let mut config = SimUnitConfig::new(self.flash(number, kind), id, model);
        let [_, a, b, c] = number.to_be_bytes();
        config.macs = vec![Mac([0x02, family, 0x27, a, b, c])]; // locally administered (IEEE 802)
        config.revision = Some("B".to_owned());
        Ok(config)
    }

    /// A unit's flash file.
    pub(super) fn flash(&self, number: u32, kind: &str) -> PathBuf {
        self.units.join(format!("{number}{kind}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;

    /// After a power cut the station has forgotten what had no attempt, and with its cable out its
    /// slot looks empty: the next unit must not go there.
    #[test]
    fn a_unit_that_the_station_forgot_comes_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["units", "ports"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut bench = Bench::new(folder.path(), 2);
        assert!(bench.all_known());
        let config = bench.silicon(5, "", demo::MODEL).unwrap();
        bench.put(1, 5, config).unwrap();
        bench.cable(1, false).unwrap();
        let mut tile = |tile: &str, serial: Value, number: u64| {
            let event = serde_json::json!({
                "event": "tile", "slot": 2, "tile": tile, "serial": serial, "number": number
            });
            bench.take(&event);
            bench.all_known()
        };
        assert!(!tile("empty", Value::Null, 0));
        assert!(
            !tile("ready", Value::Null, 0),
            "its serial is to be scanned"
        );
        assert!(tile("ready", "CAM2-00005".into(), 0));
        assert!(tile("action", Value::Null, 201), "it is to be taken out");
        bench.cable(1, true).unwrap();
        let port = std::fs::read_link(bench.port(1)).unwrap();
        bench.cable(1, true).unwrap();
        assert_eq!(std::fs::read_link(bench.port(1)).unwrap(), port);
        bench.take_out(1).unwrap();
    }

    /// After a power cut the station does not know any more that a unit was swapped.
    #[test]
    fn a_unit_that_took_anothers_place_is_seen_by_who_looks_at_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["units", "ports"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut bench = Bench::new(folder.path(), 2);
        let other = bench.silicon(5, "-other", demo::MODEL).unwrap();
        let mut config = bench.silicon(5, "", demo::MODEL).unwrap();
        config.faults = vec![Fault::SwapOnReset(Box::new(other))];
        bench.put(0, 5, config).unwrap();
        assert!(!bench.is_another(0), "not yet");
        std::fs::write(bench.flash(5, "-other"), "{}").unwrap();
        assert!(bench.is_another(0));
        bench.take_out(0).unwrap();
        let own = bench.silicon(5, "", demo::MODEL).unwrap();
        bench.put(0, 5, own).unwrap();
        assert!(!bench.is_another(0), "the one that was meant is back");
        bench.take_out(0).unwrap();
    }
}
