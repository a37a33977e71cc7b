//! A load on a real server: the process that a factory runs, over mutual TLS on loopback.
//!
//! Each client is one enrolled station with a connection of its own; a unit is its key, its
//! request and its receipt, without a port. A unit costs what the line asks of the server: issue,
//! confirm, seal, three entries. With a rate, units start by the clock whether or not the server
//! keeps up, and a unit's time counts from when it was due: a server that stalls cannot hide it.
//! Deliberately absent: any other host.

pub(crate) mod process;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::v1;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, SigningKey};
use serde_json::{Value, json};
use station_cli::{Provisioning, Server};
use tokio::time::{Instant, sleep_until};
use traveler::{Attempt, DeviceId, Serial};

use crate::cli::{Format, print, say};
use crate::load::process::{Figures, Keys, Process};
use crate::town;

pub(crate) const PRODUCT: &str = "PLUG-1";
pub(crate) const DEFINITION: &str =
    "sku = \"PLUG-1\"\nname = \"Example plug\"\nmodel = \"PLUG1\"\n";
const MODEL: &str = "PLUG1";

/// What is asked for.
pub(crate) struct Plan {
    pub(crate) units: u32,
    pub(crate) clients: u16,
    /// Units started a second, all clients together; none: each as soon as the one before ended.
    pub(crate) rate: Option<f64>,
    /// Where the site is made.
    pub(crate) data: Option<PathBuf>,
    /// The server's program.
    pub(crate) provisioner: Option<PathBuf>,
}

/// Runs the load and says what it cost.
pub(crate) async fn load(plan: Plan, format: Format) -> Result<ExitCode> {
    let scratch = tempfile::tempdir()?;
    let data = plan.data.as_deref().unwrap_or(scratch.path());
    if std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} is not empty: name a new folder with --data",
            data.display()
        );
    }
    let mut process = Process::start(data, plan.provisioner.as_deref(), &Keys::default()).await?;
    let order = town::order_at(&process.site, DEFINITION, PRODUCT, plan.units).await?;
    let servers = enrol(&process, &data.join("stations"), plan.clients).await?;
    say(&format!(
        "{} clients enrolled; {} units, three calls each",
        plan.clients, plan.units
    ));

    let before = process.figures()?;
    let (mut samples, took) = run(servers, &plan, &order).await?;
    let after = process.figures()?;
    let count = town::count_at(&process.site, &order).await?;
    process.stop().await?;
    let log = ledger::verify(
        &process.site.ledger(),
        &process.site.vkey()?,
        &mut |_, _| {},
    )?;
    let measured = Measured {
        plan: &plan,
        samples: &mut samples,
        took,
        before,
        after,
        sealed: count.sealed,
        findings: log.findings.len(),
    };
    let (fact, good) = measured.fact();
    print(format, &fact, &text(&fact));
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// As many stations as there are clients, each with its way to the server.
pub(crate) async fn enrol(process: &Process, stations: &Path, clients: u16) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for number in 1..=clients {
        let station = format!("load-{number}");
        let folder = stations.join(&station);
        let home = town::enrol_at(&process.site, process.address, &station, &folder).await?;
        servers.push(Server::of(&home)?);
    }
    Ok(servers)
}

/// Puts all units through, all clients at once; how long each took, and all together.
async fn run(servers: Vec<Server>, plan: &Plan, order: &str) -> Result<(Vec<Sample>, Duration)> {
    let started = Instant::now();
    let work = Arc::new(Work {
        next: AtomicU32::new(0),
        units: plan.units,
        every: plan.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
        started,
        order: order.to_owned(),
    });
    let spawn = |server| tokio::spawn(client(server, Arc::clone(&work)));
    let clients: Vec<_> = servers.into_iter().map(spawn).collect();
    let mut samples = Vec::new();
    let mut failed = None;
    for client in clients {
        match client.await? {
            Ok(mine) => samples.extend(mine),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error.context("the load broke off")),
        None => Ok((samples, started.elapsed())),
    }
}

/// What all clients share.
struct Work {
    next: AtomicU32,
    units: u32,
    every: Option<Duration>,
    started: Instant,
    order: String,
}

impl Work {
    /// The next unit, and when it is due.
    fn take(&self) -> Option<(u32, Option<Instant>)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.every.map(|every| self.started + every * number);
        (number < self.units).then_some((number, due))
    }
}

/// How long one unit took, and its issue alone.
struct Sample {
    unit: Duration,
    issue: Duration,
}

async fn client(server: Server, work: Arc<Work>) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    while let Some((number, due)) = work.take() {
        let unit = Unit::new(number)?; // its key is made in its own time, not the server's
        if let Some(due) = due {
            sleep_until(due).await;
        }
        let begun = due.unwrap_or_else(Instant::now);
        let request = unit.request(&work.order);
        let issued = server.issue(request).await.context("issue")?;
        let issue = begun.elapsed();
        server
            .confirm(unit.receipt(&issued)?)
            .await
            .context("confirm")?;
        server.seal(unit.seal(&issued)).await.context("seal")?;
        samples.push(Sample {
            unit: begun.elapsed(),
            issue,
        });
    }
    Ok(samples)
}

/// A unit that makes its own key; its silicon follows from its number.
pub(crate) struct Unit {
    pub(crate) serial: Serial,
    device_id: [u8; 8],
    key: KeyPair,
    csr: Vec<u8>,
}

impl Unit {
    pub(crate) fn new(number: u32) -> Result<Unit> {
        let key = KeyPair::generate()?;
        let csr = CertificateParams::default().serialize_request(&key)?;
        let mut device_id = [0xd0, 0, 0, 0, 0, 0, 0, 0];
        device_id[4..].copy_from_slice(&number.to_be_bytes());
        Ok(Unit {
            serial: Serial::parse(&format!("LOAD-{number:07}"))?,
            device_id,
            csr: csr.der().to_vec(),
            key,
        })
    }

    pub(crate) fn request(&self, order: &str) -> v1::IssueRequest {
        v1::IssueRequest {
            order: order.to_owned(),
            serial: self.serial.to_string(),
            device_id: self.device_id.to_vec(),
            model: MODEL.to_owned(),
            csr: self.csr.clone(),
            ..Default::default()
        }
    }

    pub(crate) fn receipt(&self, issued: &v1::IssueResponse) -> Result<v1::ConfirmRequest> {
        let digest = identity::sha256(&issued.bundle);
        let device_id = DeviceId::from_bytes(&self.device_id)?;
        let receipt =
            credential::receipt(&self.serial, Attempt(issued.attempt), &device_id, &digest);
        Ok(v1::ConfirmRequest {
            serial: self.serial.to_string(),
            attempt: issued.attempt,
            device_id: self.device_id.to_vec(),
            bundle_sha256: digest.0.to_vec(),
            signature: self.key.sign(&receipt)?,
            public_key: self.key.subject_public_key_info(),
            ..Default::default()
        })
    }

    pub(crate) fn seal(&self, issued: &v1::IssueResponse) -> v1::SealRequest {
        v1::SealRequest {
            serial: self.serial.to_string(),
            attempt: issued.attempt,
            device_id: self.device_id.to_vec(),
            label_scanned: false,
            ..Default::default()
        }
    }
}

/// One load that has ended.
struct Measured<'a> {
    plan: &'a Plan,
    samples: &'a mut [Sample],
    took: Duration,
    before: Figures,
    after: Figures,
    sealed: u32,
    findings: usize,
}

impl Measured<'_> {
    /// Everything that was measured, and whether all units were sealed on a log that is whole.
    fn fact(self) -> (Value, bool) {
        let Measured {
            plan,
            samples,
            took,
            before,
            after,
            sealed,
            findings,
        } = self;
        let per_unit = |count: u64| count as f64 / f64::from(plan.units);
        let good = sealed == plan.units && findings == 0;
        let mut spread = |of: fn(&Sample) -> Duration| {
            samples.sort_by_key(of);
            let at = |share: f64| {
                let place = (share * (samples.len() as f64 - 1.0)).round() as usize;
                samples
                    .get(place)
                    .map(|sample| round(of(sample).as_secs_f64() * 1_000.0))
            };
            json!({ "p50": at(0.5), "p99": at(0.99), "p99_9": at(0.999), "max": at(1.0) })
        };
        let written = after.written_kb.zip(before.written_kb);
        let written = written.map(|(after, before)| after - before);
        let fact = json!({
            "ok": good,
            "units": plan.units,
            "clients": plan.clients,
            "rate_asked": plan.rate,
            "seconds": round(took.as_secs_f64()),
            "units_per_s": round(f64::from(plan.units) / took.as_secs_f64()),
            "unit_ms": spread(|sample| sample.unit),
            "issue_ms": spread(|sample| sample.issue),
            "server_cpu_ms_per_unit": round(per_unit(after.cpu_ms - before.cpu_ms)),
            "batches_per_unit": round(per_unit(after.batches - before.batches)),
            "entries_per_batch": round(
                (after.entries - before.entries) as f64
                    / (after.batches - before.batches).max(1) as f64
            ),
            "written_kb_per_unit": written.map(|kb| round(per_unit(kb))),
            "resident_mb": round(after.resident_kb as f64 / 1_024.0),
            "resident_peak_mb": round(after.peak_kb as f64 / 1_024.0),
            "sealed": sealed,
            "log_findings": findings,
        });
        (fact, good)
    }
}

/// Three decimals are enough for a person and steady for a script.
fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

fn text(fact: &Value) -> String {
    let spread = |name: &str| {
        let of = &fact[name];
        format!(
            "p50 {} ms, p99 {} ms, p99.9 {} ms",
            of["p50"], of["p99"], of["p99_9"]
        )
    };
    format!(
        "units      {} sealed of {} in {} s by {} clients: {} units/s\n\
         a unit     {}\n\
         its issue  {}\n\
         server     {} ms of CPU a unit, {} written a unit, {} MB resident (peak {} MB)\n\
         syncs      {} a unit: each batch is one, with {} entries in it\n\
         log        {} findings\n",
        fact["sealed"],
        fact["units"],
        fact["seconds"],
        fact["clients"],
        fact["units_per_s"],
        spread("unit_ms"),
        spread("issue_ms"),
        fact["server_cpu_ms_per_unit"],
        fact["written_kb_per_unit"]
            .as_f64()
            .map_or_else(|| "unknown kB".to_owned(), |kb| format!("{kb} kB")),
        fact["resident_mb"],
        fact["resident_peak_mb"],
        fact["batches_per_unit"],
        fact["entries_per_batch"],
        fact["log_findings"],
    )
}

/// A program beside this one, unless another was named.
pub(crate) fn program(name: &str, named: Option<&Path>) -> Result<PathBuf> {
    let program = match named {
        Some(named) => named.to_owned(),
        None => std::env::current_exe()?.with_file_name(name),
    };
    if !program.is_file() {
        bail!(
            "there is no {}: build it or name it (see --help)",
            program.display()
        );
    }
    Ok(program)
}
