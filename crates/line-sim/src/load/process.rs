//! The server as a process of its own, and what the kernel says it cost.

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ledger::Reader;
use provisioner::site::Site;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::program;
use crate::guard::Guard;

/// Where a server's keys are, when they are not in a software token of its own.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    /// Arguments of `init`.
    pub(crate) arguments: Vec<OsString>,
    /// What the token's module finds in its environment; no secret.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// A server that does not listen by then never will.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// What is queued is written and calls under way end before that.
const DOWN_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks.
const TICK: Duration = Duration::from_millis(20);
/// Clock ticks a second in /proc (USER_HZ, time(7): 100 on every architecture but alpha and ia64).
const TICKS_PER_S: u64 = 100;

/// One server; it never outlives this, nor this process.
pub(crate) struct Process {
    child: Child,
    _guard: Guard,
    pub(crate) site: Site,
    pub(crate) address: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server has cost since it started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// User and system time of all its threads.
    pub(super) cpu_ms: u64,
    pub(super) resident_kb: u64,
    pub(super) peak_kb: u64,
    /// Sent to the disk (proc(5), `write_bytes`); a server keeps that from who is not root.
    pub(super) written_kb: Option<u64>,
    /// Durable writes of the log: each is one transaction with one checkpoint and one sync.
    pub(super) batches: u64,
    pub(super) entries: u64,
}

impl Process {
    /// Makes a site below `data` and serves it on a loopback port of the system's choice.
    pub(crate) async fn start(data: &Path, named: Option<&Path>, keys: &Keys) -> Result<Process> {
        let program = program("provisioner", named)?;
        let site = Site::at(&data.join("provisioner"));
        let init = Command::new(&program)
            .args(["init", "--data"])
            .arg(site.data())
            .args(&keys.arguments)
            .envs(keys.environment.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        if !init.status.success() {
            bail!("no site: {}", String::from_utf8_lossy(&init.stderr).trim());
        }
        let log = data.join("server.txt");
        let mut serve = Command::new(&program);
        serve
            .args(["serve", "--allow-simulated-hsm", "--listen", "127.0.0.1:0"])
            .args(["--log", "warn", "--data"])
            .arg(site.data())
            .envs(keys.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let (guard, child) = Guard::start(&mut serve)?;
        let mut process = Process {
            child,
            _guard: guard,
            site,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let give_up = Instant::now() + UP_WITHIN;
        loop {
            let said = std::fs::read_to_string(process.site.listening()).unwrap_or_default();
            if let Ok(address) = said.trim().parse() {
                process.address = address;
                return Ok(process);
            }
            if process.child.try_wait()?.is_some() || Instant::now() > give_up {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("the server does not listen: {}", said.trim());
            }
            sleep(TICK).await;
        }
    }

    /// What it has cost so far.
    pub(super) fn figures(&self) -> Result<Figures> {
        let read = |name: &str| {
            let path = format!("/proc/{}/{name}", self.child.id());
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        // The name in the second field may hold spaces; what follows its last bracket does not.
        let stat = read("stat")?;
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let field = |nth: usize| -> Option<u64> {
            fields.split_whitespace().nth(nth - 3)?.parse().ok() // numbered from 1 in proc(5)
        };
        let ticks = field(14)
            .zip(field(15))
            .context("/proc says nothing of CPU time")?;
        let (status, io) = (read("status")?, read("io").ok());
        let number = |text: &str, name: &str| -> Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|line| line.split_whitespace().next());
            let number = word.and_then(|word| word.parse().ok());
            number.with_context(|| format!("/proc says nothing of {name}"))
        };
        let written = io.map(|io| number(&io, "write_bytes:")).transpose()?;
        let reader = Reader::open(&self.site.ledger())?;
        Ok(Figures {
            cpu_ms: (ticks.0 + ticks.1) * 1_000 / TICKS_PER_S,
            resident_kb: number(&status, "VmRSS:")?,
            peak_kb: number(&status, "VmHWM:")?,
            written_kb: written.map(|bytes| bytes / 1_024),
            batches: reader.batches()?,
            entries: reader.size()?,
        })
    }

    /// Its number, for signals.
    pub(crate) fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether it is still the process that was started.
    pub(crate) fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Stops it in good order.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let give_up = Instant::now() + DOWN_WITHIN;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the server ended with {status}"),
                None if Instant::now() > give_up => bail!("the server does not stop"),
                None => sleep(TICK).await,
            }
        }
    }
}
