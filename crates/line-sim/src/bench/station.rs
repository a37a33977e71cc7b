//! `line-sim bench station`: what a station adds to the time that a unit's bytes need anyway.
//!
//! *Wire time* is the bytes that one unit heard and said, times ten bits, over the baud rate, and
//! nothing else: no boot, no flash, no server. *Cycle time* is one unit's turn at a slot, from the first
//! call of the server to the seal, as `station-cli provision` does it. Each cycle is held against its own
//! unit's wire time. The units pace their ptys; server, token, log and journal are real and on the same
//! machine, so a slow disk or a busy processor shows. Speeds and numbers of slots alternate within
//! each round, so that all see the same machine.
//!
//! *Server* is the server's calls, and the journal that goes ahead of them; some of it goes by while bytes
//! travel that do not depend on the answer. A *turn* is one answer of the unit that the station waited for, and a
//! *resend* one more than the fewest of any cycle: all do the same, so something was asked for again.
//!
//! *From memory* is the same station with the same units and a server that answers at once, in the same
//! rounds: what is left is the simulation, the journal and the station. *Processor* is what this process
//! took for a unit, units, station, server and token together. Slots times that over the number of cores is
//! a floor under the cycle on this machine, which a line does not have: its units and its server are
//! elsewhere. The units keep their flash in memory, where Linux has a file system there.

mod line;
mod memory;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use station_cli::Server;
use tempfile::TempDir;
use traveler::OrderId;

use crate::cli::{Format, print};
use crate::demo;
use crate::town::Town;

use line::{Cycle, Line, Width};
use memory::Memory;

const PRODUCT: &str = "sku = \"PLUG-1\"\nname = \"Plug\"\nmodel = \"PLUG1\"\n";
const MODEL: &str = "PLUG1";
/// The order of the server that answers from memory.
const MEMORY_ORDER: &str = "WO-MEMORY";

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
    let flash = flash(&data)?;
    let (units, labels) = (flash.path().to_owned(), data.join("labels"));
    let town = Town::found(&data).await?;
    let order = town.order(PRODUCT, "PLUG-1", QUANTITY).await?;
    let live = Arc::new(Line {
        order: OrderId::parse(&order)?,
        home: town.enrol("bench-1").await?,
        units,
        labels,
        next: Arc::default(),
    });
    let (memory, home) = Memory::found(&live.home, &data.join("memory"))?;
    let held = Arc::new(Line {
        order: OrderId::parse(MEMORY_ORDER)?,
        home,
        ..Line::clone(&live)
    });
    let (server, memory) = (|| Ok(Server::of(&live.home)?), || Ok(memory.clone()));

    let mut settings: Vec<Setting> = Vec::new();
    for (baud, goal) in SPEEDS {
        let slots = args.slots.iter();
        settings.extend(slots.map(|&slots| Setting::new(baud, goal, slots)));
    }
    let one = Width { slots: 1, units: 1 };
    live.turns(one, None, server).await?; // warms connections and caches
    held.turns(one, None, memory).await?;
    for _ in 0..args.rounds {
        for setting in &mut settings {
            let (baud, slots) = (Some(setting.baud), setting.slots);
            let width = Width {
                slots,
                units: args.units,
            };
            setting.live.add(live.turns(width, baud, server)).await?;
            setting.memory.add(held.turns(width, baud, memory)).await?;
        }
    }
    town.stop().await?;

    let cores = std::thread::available_parallelism().context("the number of cores")?;
    let cores = cores.get();
    let all = settings.iter().flat_map(|setting| &setting.live.cycles);
    let fewest = all.map(|cycle| cycle.turns).min().unwrap_or(0);
    let facts: Vec<Value> = settings.iter().map(|one| one.fact(fewest, cores)).collect();
    let fact = json!({
        "rounds": args.rounds,
        "units_per_slot": args.units,
        "cores": cores,
        "settings": facts,
    });
    let head = "  baud slots  units   cycle ms    wire ms  cycle/wire p50   p95         goal  from memory  server ms  turns  resends  bytes  units/s  processor ms  floor ms\n";
    let text: String = settings.iter().map(|one| one.text(fewest, cores)).collect();
    print(format, &fact, &format!("{head}{text}"));
    Ok(ExitCode::SUCCESS)
}

/// Where the units keep their flash: in memory, where Linux has a file system there, since a unit's
/// flash is not on the station's disk and must not keep it busy.
fn flash(data: &Path) -> Result<TempDir> {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    let flash = in_memory.or_else(|_| tempfile::tempdir_in(data));
    flash.with_context(|| format!("cannot make a folder in {}", data.display()))
}

/// Cycles of one kind, and what they took together.
#[derive(Default)]
struct Run {
    cycles: Vec<Cycle>,
    took: Duration,
    /// Of the processor, by this whole process.
    processor: Duration,
}

impl Run {
    async fn add(&mut self, turns: impl Future<Output = Result<Vec<Cycle>>>) -> Result<()> {
        let (begun, used) = (Instant::now(), processor());
        let cycles = turns.await?;
        self.took += begun.elapsed();
        self.processor += processor().saturating_sub(used);
        self.cycles.extend(cycles);
        Ok(())
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

    /// Of the processor, for one unit.
    fn processor_ms(&self) -> f64 {
        self.processor.as_secs_f64() * 1_000.0 / self.cycles.len().max(1) as f64
    }
}

fn processor() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

/// A speed and a number of slots, and what came of it.
struct Setting {
    baud: u32,
    goal: f64,
    slots: u16,
    live: Run,
    memory: Run,
}

impl Setting {
    fn new(baud: u32, goal: f64, slots: u16) -> Setting {
        Setting {
            baud,
            goal,
            slots,
            live: Run::default(),
            memory: Run::default(),
        }
    }

    fn resends(&self, fewest: u64) -> u64 {
        let more = self.live.cycles.iter().map(|cycle| cycle.turns - fewest);
        more.sum()
    }

    fn is_met(&self) -> bool {
        !self.live.cycles.is_empty() && self.live.ratio(0.5) <= self.goal
    }

    /// How long a cycle is at least on so many cores, when every slot works all the time.
    fn floor_ms(&self, cores: usize) -> f64 {
        self.live.processor_ms() * f64::from(self.slots) / cores as f64
    }

    fn fact(&self, fewest: u64, cores: usize) -> Value {
        let live = &self.live;
        let [open_order, issue, confirm, seal] =
            [0, 1, 2, 3].map(|call| live.ms(|cycle| cycle.calls[call]));
        json!({
            "baud": self.baud,
            "slots": self.slots,
            "units": live.cycles.len(),
            "cycle_ms_p50": live.ms(|cycle| cycle.took),
            "wire_ms_p50": live.ms(|cycle| cycle.wire),
            "server_and_journal_ms_p50": live.ms(Cycle::off_line),
            "open_order_ms_p50": open_order,
            "issue_ms_p50": issue,
            "confirm_ms_p50": confirm,
            "seal_ms_p50": seal,
            "cycle_over_wire_p50": live.ratio(0.5),
            "cycle_over_wire_p95": live.ratio(0.95),
            "goal_p50": self.goal,
            "goal_is_met": self.is_met(),
            "from_memory_cycle_over_wire_p50": self.memory.ratio(0.5),
            "from_memory_cycle_ms_p50": self.memory.ms(|cycle| cycle.took),
            "turns_p50": live.at(0.5, |cycle| cycle.turns as f64),
            "resends": self.resends(fewest),
            "bytes_p50": live.at(0.5, |cycle| cycle.bytes as f64),
            "units_per_s": live.units_per_s(),
            "processor_ms_per_unit": live.processor_ms(),
            "from_memory_processor_ms_per_unit": self.memory.processor_ms(),
            "floor_ms": self.floor_ms(cores),
        })
    }

    fn text(&self, fewest: u64, cores: usize) -> String {
        let met = if self.is_met() { "met" } else { "missed" };
        let live = &self.live;
        format!(
            "{:>6} {:>5} {:>6} {:>10.1} {:>10.1} {:>15.3} {:>5.2} {:>5.2} {met:<6} {:>12.3} {:>10.1} {:>6.0} {:>8} {:>6.0} {:>8.1} {:>13.1} {:>9.1}\n",
            self.baud,
            self.slots,
            live.cycles.len(),
            live.ms(|cycle| cycle.took),
            live.ms(|cycle| cycle.wire),
            live.ratio(0.5),
            live.ratio(0.95),
            self.goal,
            self.memory.ratio(0.5),
            live.ms(Cycle::off_line),
            live.at(0.5, |cycle| cycle.turns as f64),
            self.resends(fewest),
            live.at(0.5, |cycle| cycle.bytes as f64),
            live.units_per_s(),
            live.processor_ms(),
            self.floor_ms(cores),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(turns: &[(u64, u64)]) -> Setting {
        let mut setting = Setting::new(115_200, 1.5, 4);
        let cycles = turns.iter().map(|&(turns, took)| Cycle {
            took: Duration::from_millis(took),
            wire: Duration::from_millis(100),
            calls: [Duration::from_millis(1); 4],
            bytes: 1,
            turns,
        });
        setting.live.cycles.extend(cycles);
        setting.live.took = Duration::from_secs(1);
        setting
    }

    #[test]
    fn a_goal_that_is_missed_is_said_so_and_so_is_what_was_asked_for_again() {
        let met = setting(&[(6, 120), (7, 150), (8, 900)]);
        assert_eq!(met.resends(6), 3);
        assert!(met.text(6, 2).contains(" 1.50 met "), "{}", met.text(6, 2));
        assert_eq!(met.fact(6, 2)["resends"], 3);
        assert_eq!(met.fact(6, 2)["server_and_journal_ms_p50"], 4.0);
        let missed = setting(&[(6, 151)]);
        assert!(
            missed.text(6, 2).contains(" 1.50 missed "),
            "{}",
            missed.text(6, 2)
        );
        assert_eq!(missed.fact(6, 2)["goal_is_met"], false);
        assert!(!setting(&[]).is_met(), "nothing was measured");
    }

    #[test]
    fn the_floor_is_the_share_of_the_cores_that_the_slots_need() {
        let mut busy = setting(&[(3, 120), (3, 120)]);
        busy.live.processor = Duration::from_millis(20);
        assert_eq!(busy.fact(3, 2)["processor_ms_per_unit"], 10.0);
        assert_eq!(busy.fact(3, 2)["floor_ms"], 20.0); // four slots on two cores
    }
}
