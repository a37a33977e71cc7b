//! The slots of the bench: units one after the other at each, and what each of them took.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use station_cli::{
    Bench, Home, Job, LabelFolder, Outcome, Patience, Progress, Provisioning, Report, SerialPort,
    Stage, provision,
};
use traveler::{DeviceId, OrderId, Serial};

use super::MODEL;
use crate::printer::LabelReader;
use crate::unit::{LineCounts, SimUnit, SimUnitConfig};

/// One unit's turn.
pub(super) struct Cycle {
    pub(super) took: Duration,
    pub(super) wire: Duration,
    /// Of it, each call with the journal around it, whether or not bytes travelled meanwhile.
    pub(super) calls: [Duration; 4],
    pub(super) bytes: u64,
    pub(super) turns: u64,
}

impl Cycle {
    /// The server's calls and the journal, together.
    pub(super) fn off_line(&self) -> Duration {
        self.calls.iter().sum()
    }
}

/// Watches one unit go by.
struct Clock {
    since: Instant,
    /// The call that is under way, when it is the server's.
    call: Option<usize>,
    calls: [Duration; 4],
}

impl Clock {
    fn new() -> Clock {
        Clock {
            since: Instant::now(),
            call: None,
            calls: [Duration::ZERO; 4],
        }
    }

    fn enter(&mut self, call: Option<usize>) {
        if let Some(call) = self.call {
            self.calls[call] += self.since.elapsed();
        }
        (self.since, self.call) = (Instant::now(), call);
    }
}

impl Progress for Clock {
    fn stage(&mut self, _: &Serial, stage: Stage) {
        self.enter(match stage {
            Stage::Server => Some(0),
            Stage::Issue => Some(1),
            Stage::Confirm => Some(2),
            Stage::Seal => Some(3),
            _ => None,
        });
    }

    fn ended(&mut self, _: &Report) {
        self.enter(None);
    }
}

/// One station and its order.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) home: Home,
    pub(super) order: OrderId,
    pub(super) units: PathBuf,
    pub(super) labels: PathBuf,
    /// Numbers the units, of all lines.
    pub(super) next: Arc<AtomicU32>,
}

/// How many slots at once, and units one after the other at each.
#[derive(Clone, Copy)]
pub(super) struct Width {
    pub(super) slots: u16,
    pub(super) units: u16,
}

impl Line {
    /// Fills all slots at once, each with a way to the server of its own.
    pub(super) async fn turns<S: Provisioning + Clone + Send + 'static>(
        self: &Arc<Line>,
        width: Width,
        baud: Option<u32>,
        server: impl Fn() -> Result<S>,
    ) -> Result<Vec<Cycle>> {
        let mut working = Vec::new();
        for _ in 0..width.slots {
            let (line, server) = (Arc::clone(self), server()?);
            working.push(tokio::spawn(async move {
                let mut cycles = Vec::new();
                for _ in 0..width.units {
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

    async fn turn<S: Provisioning + Clone>(&self, server: &S, baud: Option<u32>) -> Result<Cycle> {
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
            calls: bench.progress.calls,
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
