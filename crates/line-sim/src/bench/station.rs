//! `line-sim bench station`: what a station adds to the time that a unit's bytes need anyway.
//!
//! *Wire time* is the bytes that one unit heard and said, times ten bits, over the baud rate, and
//! nothing else: no boot, no flash, no server. *Cycle time* is one unit's turn at a slot, from the first
//! call of the server to the seal, as `station-cli provision` does it. Each cycle is held against its own
//! unit's wire time. The units pace their ptys; server, token, log and journal are real and on the same
//! machine, so a slow disk or a busy processor shows. Speeds and numbers of slots alternate within
//! each round, so that all see the same machine.
//!
//! *Server* is what of a cycle goes by while nothing is asked of the unit: the server's calls, and the
//! journal that goes ahead of them. A *turn* is one answer of the unit that the station waited for, and a
//! *resend* one more than the fewest of any cycle: all do the same, so something was asked for again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use station_cli::{
    Bench, Home, Job, LabelFolder, Outcome, Patience, Progress, Report, SerialPort, Server, Stage,
    provision,
};
use traveler::{DeviceId, OrderId, Serial};

use crate::cli::{Format, print};
use crate::demo;
use crate::printer::LabelReader;
use crate::town::Town;
use crate::unit::{LineCounts, SimUnit, SimUnitConfig};

const PRODUCT: &str = "sku = \"PLUG-1\"\nname = \"Plug\"\nmodel = \"PLUG1\"\n";
const MODEL: &str = "PLUG1";

/// More than any bench builds.
const QUANTITY: u32 = 1_000_000;

/// Speeds, and the share of wire time that the median cycle is to stay under at each.
const SPEEDS: [(u32, f64); 2] = [(115_200, 1.02), (921_600, 1.06)];

/// How long and how wide is measured, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where everything is kept, new or empty [default: a temporary folder].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Slots at once, 1 to 64 each.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [1, 8, 32], value_parser = clap::value_parser!(u16).range(1..=64))]
    slots: Vec<u16>,
    /// Rounds, 1 to 99.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=99))]
    rounds: u8,
    /// Units one after the other at each slot, speed and round, 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    units: u16,
}

/// Runs it.
pub(crate) async fn run(args: Args, format: Format) -> Result<ExitCode> {
    let data = demo::data(args.data.clone())?;
    let (units, labels) = (data.join("units"), data.join("labels"));
    std::fs::create_dir_all(&units).with_context(|| format!("cannot make {}", units.display()))?;
    let town = Town::found(&data).await?;
    let line = Arc::new(Line {
        order: OrderId::parse(&town.order(PRODUCT, "PLUG-1", QUANTITY).await?)?,
        home: town.enrol("bench-1").await?,
        units,
        labels,
        next: AtomicU32::new(0),
    });
    let mut settings: Vec<Setting> = Vec::new();
    for (baud, goal) in SPEEDS {
        settings.extend(
            args.slots
                .iter()
                .map(|&slots| Setting::new(baud, goal, slots)),
        );
    }
    line.turns(1, None, 1).await?; // warms connections and caches
    for _ in 0..args.rounds {
        for setting in &mut settings {
            let begun = Instant::now();
            let cycles = line
                .turns(setting.slots, Some(setting.baud), args.units)
                .await?;
            setting.took += begun.elapsed();
            setting.cycles.extend(cycles);
        }
    }
    town.stop().await?;

    let all = settings.iter().flat_map(|setting| &setting.cycles);
    let fewest = all.map(|cycle| cycle.turns).min().unwrap_or(0);
    let facts: Vec<Value> = settings.iter().map(|one| one.fact(fewest)).collect();
    let fact = json!({
        "rounds": args.rounds,
        "units_per_slot": args.units,
        "settings": facts,
    });
    let head = "  baud slots  units   cycle ms    wire ms  cycle/wire p50   p95         goal  server ms  turns  resends  bytes  units/s\n";
    let text: String = settings.iter().map(|one| one.text(fewest)).collect();
    print(format, &fact, &format!("{head}{text}"));
    Ok(ExitCode::SUCCESS)
}

/// One unit's turn.
struct Cycle {
    took: Duration,
    wire: Duration,
    /// Of it, what went by while nothing was asked of the unit: the server's calls and the journal.
    off_line: Duration,
    bytes: u64,
    turns: u64,
}

/// Watches one unit go by.
struct Clock {
    since: Instant,
    /// Whether the stage is one of the server's.
    is_off_line: bool,
    off_line: Duration,
}

impl Clock {
    fn new() -> Clock {
        Clock {
            since: Instant::now(),
            is_off_line: false,
            off_line: Duration::ZERO,
        }
    }

    fn enter(&mut self, is_off_line: bool) {
        if self.is_off_line {
            self.off_line += self.since.elapsed();
        }
        (self.since, self.is_off_line) = (Instant::now(), is_off_line);
    }
}

impl Progress for Clock {
    fn stage(&mut self, _: &Serial, stage: Stage) {
        self.enter(matches!(
            stage,
            Stage::Server | Stage::Issue | Stage::Confirm | Stage::Seal
        ));
    }

    fn ended(&mut self, _: &Report) {
        self.enter(false);
    }
}

/// A speed and a number of slots, and what came of it.
struct Setting {
    baud: u32,
    goal: f64,
    slots: u16,
    cycles: Vec<Cycle>,
    took: Duration,
}

impl Setting {
    fn new(baud: u32, goal: f64, slots: u16) -> Setting {
        Setting {
            baud,
            goal,
            slots,
            cycles: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// The value that this share of the cycles stays under.
    fn at(&self, share: f64, of: impl Fn(&Cycle) -> f64) -> f64 {
        let mut values: Vec<f64> = self.cycles.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        values.get(index).copied().unwrap_or(0.0)
    }

    fn ratio(&self, share: f64) -> f64 {
        self.at(share, |cycle| {
            cycle.took.as_secs_f64() / cycle.wire.as_secs_f64()
        })
    }

    fn ms(&self, of: impl Fn(&Cycle) -> Duration) -> f64 {
        self.at(0.5, |cycle| of(cycle).as_secs_f64() * 1_000.0)
    }

    fn units_per_s(&self) -> f64 {
        self.cycles.len() as f64 / self.took.as_secs_f64()
    }

    fn resends(&self, fewest: u64) -> u64 {
        let more = self.cycles.iter().map(|cycle| cycle.turns - fewest);
        more.sum()
    }

    fn is_met(&self) -> bool {
        !self.cycles.is_empty() && self.ratio(0.5) <= self.goal
    }

    fn fact(&self, fewest: u64) -> Value {
        json!({
            "baud": self.baud,
            "slots": self.slots,
            "units": self.cycles.len(),
            "cycle_ms_p50": self.ms(|cycle| cycle.took),
            "wire_ms_p50": self.ms(|cycle| cycle.wire),
            "server_and_journal_ms_p50": self.ms(|cycle| cycle.off_line),
            "cycle_over_wire_p50": self.ratio(0.5),
            "cycle_over_wire_p95": self.ratio(0.95),
            "goal_p50": self.goal,
            "goal_is_met": self.is_met(),
            "turns_p50": self.at(0.5, |cycle| cycle.turns as f64),
            "resends": self.resends(fewest),
            "bytes_p50": self.at(0.5, |cycle| cycle.bytes as f64),
            "units_per_s": self.units_per_s(),
        })
    }

    fn text(&self, fewest: u64) -> String {
        let met = if self.is_met() { "met" } else { "missed" };
        format!(
            "{:>6} {:>5} {:>6} {:>10.1} {:>10.1} {:>15.3} {:>5.2} {:>5.2} {met:<6} {:>10.1} {:>6.0} {:>8} {:>6.0} {:>8.1}\n",
            self.baud,
            self.slots,
            self.cycles.len(),
            self.ms(|cycle| cycle.took),
            self.ms(|cycle| cycle.wire),
            self.ratio(0.5),
            self.ratio(0.95),
            self.goal,
            self.ms(|cycle| cycle.off_line),
            self.at(0.5, |cycle| cycle.turns as f64),
            self.resends(fewest),
            self.at(0.5, |cycle| cycle.bytes as f64),
            self.units_per_s(),
        )
    }
}

/// One station and its order.
struct Line {
    home: Home,
    order: OrderId,
    units: PathBuf,
    labels: PathBuf,
    next: AtomicU32,
}

impl Line {
    /// Fills all slots at once, with so many units one after the other.
    async fn turns(
        self: &Arc<Line>,
        slots: u16,
        baud: Option<u32>,
        units: u16,
    ) -> Result<Vec<Cycle>> {
        let mut working = Vec::new();
        for _ in 0..slots {
            let line = Arc::clone(self);
            working.push(tokio::spawn(async move {
                let server = Server::of(&line.home)?;
                let mut cycles = Vec::new();
                for _ in 0..units {
                    cycles.push(line.turn(&server, baud).await?);
                }
                Ok::<_, anyhow::Error>(cycles)
            }));
        }
        let mut cycles = Vec::new();
        for slot in working {
            cycles.extend(slot.await??);
        }
        Ok(cycles)
    }

    async fn turn(&self, server: &Server, baud: Option<u32>) -> Result<Cycle> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let unit = powered(&self.units, number, baud).await?;
        let port = unit.port().context("its cable is in")?;
        let job = Job {
            order: self.order.clone(),
            serial: Serial::parse(&format!("B-{number:07}"))?,
            operator: None,
            patience: Patience(Duration::from_secs(15)),
            reconnect: Duration::ZERO,
        };
        let mut bench = Bench {
            server: server.clone(),
            port: SerialPort::new(port.display().to_string(), SerialPort::BAUD),
            scanner: LabelReader(self.labels.clone()),
            labels: LabelFolder(self.labels.clone()),
            progress: Clock::new(),
        };
        let begun = Instant::now();
        let report = provision(&job, &self.home, &mut bench).await;
        let took = begun.elapsed();
        ensure!(report.outcome == Outcome::Sealed, "{report}");
        let counts = unit.counts();
        let (bytes, turns) = (counts.bytes(), counts.turns());
        let speed = baud.unwrap_or(SerialPort::BAUD);
        let cycle = Cycle {
            took,
            wire: LineCounts::wire_time(bytes, speed),
            off_line: bench.progress.off_line,
            bytes,
            turns,
        };
        tokio::task::spawn_blocking(move || unit.stop()).await??;
        Ok(cycle)
    }
}

/// A new unit that has booted before its turn begins, as one has that a person puts in.
async fn powered(folder: &Path, number: u32, baud: Option<u32>) -> Result<SimUnit> {
    let flash = folder.join(format!("{number}.json"));
    let device_id = DeviceId::parse(&format!(
        "{:016x}",
        0x5300_0000_0000_0000 + u64::from(number)
    ))?;
    let mut config = SimUnitConfig::new(flash, device_id, MODEL);
    config.baud = baud;
    config.boot = Duration::ZERO; // no time of the station's, nor of the wire's
    Ok(tokio::task::spawn_blocking(move || SimUnit::spawn(config)).await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(turns: &[(u64, u64)]) -> Setting {
        let mut setting = Setting::new(115_200, 1.5, 1);
        setting
            .cycles
            .extend(turns.iter().map(|&(turns, took)| Cycle {
                took: Duration::from_millis(took),
                wire: Duration::from_millis(100),
                off_line: Duration::ZERO,
                bytes: 1,
                turns,
            }));
        setting.took = Duration::from_secs(1);
        setting
    }

    #[test]
    fn a_goal_that_is_missed_is_said_so_and_so_is_what_was_asked_for_again() {
        let met = setting(&[(6, 120), (7, 150), (8, 900)]);
        assert_eq!(met.resends(6), 3);
        assert!(met.text(6).contains(" 1.50 met "), "{}", met.text(6));
        assert_eq!(met.fact(6)["resends"], 3);
        let missed = setting(&[(6, 151)]);
        assert!(
            missed.text(6).contains(" 1.50 missed "),
            "{}",
            missed.text(6)
        );
        assert_eq!(missed.fact(6)["goal_is_met"], false);
        assert!(!setting(&[]).is_met(), "nothing was measured");
    }
}
