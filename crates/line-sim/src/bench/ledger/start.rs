//! Start-up after `kill -9`, and resident memory, each of a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use ledger::Ledger;

use super::store::fingerprint;

/// Look-ups before the memory is read, so that what they touch counts.
const TOUCHES: u64 = 50_000;

/// What a fresh process says of itself.
pub(super) struct Started {
    pub(super) ready_ms: f64,
    pub(super) resident_kb: u64,
}

/// Opens the log in a process that is killed, and then in another, which is measured.
pub(super) fn measure(path: &Path) -> Result<Started> {
    let mut first = Opened::spawn(path)?;
    first.started()?;
    first.child.kill()?;
    first.child.wait()?;
    let mut second = Opened::spawn(path)?;
    let started = second.started()?;
    second.child.kill()?;
    second.child.wait()?;
    Ok(started)
}

struct Opened {
    child: Child,
}

impl Opened {
    fn spawn(path: &Path) -> Result<Opened> {
        let child = Command::new(std::env::current_exe()?)
            .args(["bench", "opened"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Opened { child })
    }

    fn started(&mut self) -> Result<Started> {
        let stdout = self.child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (Some(ready), Some(resident)) = (words.next(), words.next()) else {
            bail!("the process that opened the log said {line:?}");
        };
        Ok(Started {
            ready_ms: ready.parse()?,
            resident_kb: resident.parse()?,
        })
    }
}

/// The other process: opens the log, says how long it took and how large it is, and waits.
pub(crate) fn opened(path: &Path) -> Result<()> {
    let begin = Instant::now();
    let ledger = Ledger::open(path)?;
    let ready_ms = begin.elapsed().as_secs_f64() * 1_000.0;
    for n in 0..TOUCHES {
        ledger.measure_check(&fingerprint(u64::MAX / 2 + n))?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.context("no VmRSS in /proc/self/status")?;
    let kb = resident.split_whitespace().next().unwrap_or("0");
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready_ms} {kb}")?;
    stdout.flush()?;
    // Until the other end is gone or this process is.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(ledger);
    Ok(())
}
