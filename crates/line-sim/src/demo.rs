//! The demo: one order from blank units to sealed ones, two things that must be refused, and the
//! proof, in less than half a minute.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use console::style;
use station_cli::{
    Bench, Home, Job, LabelFolder, Outcome, Patience, Report, SerialPort, Server, provision,
};
use traveler::{DeviceId, Mac, OrderId, Serial};
use zeroize::Zeroizing;

use crate::cli::{Format, Token, print, say};
use crate::outcomes::Outcomes;
use crate::printer::LabelReader;
use crate::search;
use crate::show::{Row, Wall};
use crate::town::Town;
use crate::unit::{SimUnit, SimUnitConfig};

/// What the demo's units say they are.
pub(crate) const MODEL: &str = "CAM2";
pub(crate) const REVISION: &str = "B";

pub(crate) const PRODUCT: &str = "CAM-2";
pub(crate) const DEFINITION: &str = r#"# What is built: apply with `provisioner product apply FILE`.
sku = "CAM-2"
name = "Example camera"
model = "CAM2"          # what a unit must say it is
revisions = ["B"]       # hardware revisions that may be built
label = true            # the printed label must be scanned before the seal

[password]
policy = "uk-psti"
"#;

const STATIONS: [&str; 2] = ["bench-1", "bench-2"];
const SLOTS: usize = 4;

/// From a unit's power to its first word: long enough to watch, short enough not to wait.
const BOOT: Duration = Duration::from_millis(250);

/// One slot of one station.
struct Slot {
    home: Arc<Home>,
    server: Server,
    name: String,
}

/// Where everything of one demo lies.
struct Places {
    data: PathBuf,
    units: PathBuf,
    labels: PathBuf,
}

/// The folder that was named, or a temporary one that stays.
pub(crate) fn data(data: Option<PathBuf>) -> Result<PathBuf> {
    match data {
        Some(data) => Ok(std::path::absolute(data)?),
        None => {
            let folder = tempfile::Builder::new().prefix("birthmark-demo-").tempdir();
            Ok(folder?.keep())
        }
    }
}

/// Runs the demo.
pub(crate) async fn demo(
    data: PathBuf,
    hsm: Token,
    units: u32,
    format: Format,
) -> Result<ExitCode> {
    let started = Instant::now();
    let places = places(data)?;
    heading("Birthmark: an identity at birth for every unit");
    let town = match hsm {
        Token::Sim => Town::found(&places.data).await?,
        Token::Softhsm => Town::found_on_softhsm(&places.data).await?,
    };
    let token = match hsm {
        Token::Sim => "a token behind a socket",
        Token::Softhsm => "SoftHSM behind PKCS#11",
    };
    step(&format!(
        "{token}, a server behind mutual TLS, a log with its first entry"
    ));
    std::fs::write(places.data.join("product.toml"), DEFINITION)?;
    let order = OrderId::parse(&town.order(DEFINITION, PRODUCT, units).await?)?;
    step(&format!(
        "order {order}: permission to build {units} of {PRODUCT}, and no more"
    ));
    let slots = slots(&town).await?;
    step(&format!(
        "{} stations enrolled, {SLOTS} slots each\n",
        STATIONS.len()
    ));

    let sealed = build(&slots, &order, units, &places).await?;
    let refused = refused(&slots, &order, &sealed, &places).await?;
    let count = town.count(order.as_str()).await?;
    let site = town.site.clone();
    town.stop().await?;

    let log = ledger::verify(&site.ledger(), &site.vkey()?, &mut |_, _| {})?;
    let passwords = passwords(&places, &sealed)?;
    let distinct = passwords
        .iter()
        .map(|p| p.as_str())
        .collect::<HashSet<_>>()
        .len();
    let homes = [places.units.clone(), places.labels.clone()];
    let (leaks, searched) = search::holders(&places.data, &homes, &passwords)?;
    let (entries, findings) = (log.entries, log.findings.len());
    let came = Outcomes {
        units,
        count,
        refused,
        entries,
        findings,
        distinct,
        leaks,
        searched,
    };
    let text = came.text() + &lies_where(&places, &sealed);
    print(format, &came.json(&places.data, started.elapsed()), &text);
    Ok(if came.good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn places(data: PathBuf) -> Result<Places> {
    if std::fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} is not empty: name a new folder with --data",
            data.display()
        );
    }
    let places = Places {
        units: data.join("units"),
        labels: data.join("labels"),
        data,
    };
    for folder in [&places.units, &places.labels] {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(places)
}

/// Enrols the stations and sets up their slots.
async fn slots(town: &Town) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    for station in STATIONS {
        let home = Arc::new(town.enrol(station).await?);
        let server = Server::of(&home)?;
        for number in 1..=SLOTS {
            let name = format!("{station} slot {number}");
            slots.push(Slot {
                home: Arc::clone(&home),
                server: server.clone(),
                name,
            });
        }
    }
    Ok(slots)
}

/// Puts every unit of the order through a slot, all slots at once.
async fn build(
    slots: &[Slot],
    order: &OrderId,
    units: u32,
    places: &Places,
) -> Result<Vec<Report>> {
    let wall = Wall::new(units.into());
    let waiting = Arc::new(Mutex::new(1..=units));
    let mut workers = Vec::new();
    for slot in slots {
        let mut row = wall.row(&slot.name);
        let (home, server) = (Arc::clone(&slot.home), slot.server.clone());
        let (waiting, order) = (Arc::clone(&waiting), order.clone());
        let (units, labels) = (places.units.clone(), places.labels.clone());
        workers.push(tokio::spawn(async move {
            let mut reports = Vec::new();
            loop {
                let next = waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .next();
                let Some(number) = next else {
                    return Ok::<_, anyhow::Error>(reports);
                };
                let serial = Serial::parse(&format!("CAM2-{number:05}"))?;
                let unit = SimUnit::spawn(silicon(number, &units.join(format!("{serial}.json")))?)?;
                let report;
                (report, row) = turn(&home, &server, &order, &serial, &unit, &labels, row).await?;
                unit.stop()?;
                if row.is_watched() {
                    tokio::time::sleep(Row::STICKS).await;
                }
                reports.push(report);
            }
        }));
    }
    let mut reports = Vec::new();
    for worker in workers {
        reports.extend(worker.await??);
    }
    wall.clear();
    reports.sort_by(|a, b| a.serial.cmp(&b.serial));
    let failed = reports
        .iter()
        .filter(|report| report.outcome != Outcome::Sealed);
    failed.for_each(|report| say(&format!("  {}: {}", report.serial, report.words)));
    reports.retain(|report| report.outcome == Outcome::Sealed);
    Ok(reports)
}

/// One unit's turn in one slot; the row comes back for the next.
async fn turn(
    home: &Home,
    server: &Server,
    order: &OrderId,
    serial: &Serial,
    unit: &SimUnit,
    labels: &Path,
    row: Row,
) -> Result<(Report, Row)> {
    let port = unit
        .port()
        .context("the unit has no port")?
        .display()
        .to_string();
    let mut bench = Bench {
        server: server.clone(),
        port: SerialPort::new(port, SerialPort::BAUD),
        scanner: LabelReader(labels.to_owned()),
        labels: LabelFolder(labels.to_owned()),
        progress: row,
    };
    let job = Job {
        order: order.clone(),
        serial: serial.clone(),
        operator: None,
        patience: Patience::default(),
        reconnect: Duration::ZERO,
    };
    let report = provision(&job, home, &mut bench).await;
    Ok((report, bench.progress))
}

/// A sealed serial on another unit, and a sealed unit put in again: both must be refused.
async fn refused(
    slots: &[Slot],
    order: &OrderId,
    sealed: &[Report],
    places: &Places,
) -> Result<Vec<Report>> {
    let Some(first) = sealed.first() else {
        return Ok(Vec::new());
    };
    let scratch = tempfile::tempdir()?;
    let (wall, mut reports) = (Wall::new(0), Vec::new());
    let flash = places.units.join(format!("{}.json", first.serial));
    let fresh = Serial::parse("CAM2-99999")?; // whatever serial is scanned for it
    let blank = silicon(90_001, &scratch.path().join("blank.json"))?;
    for (serial, config) in [(&first.serial, blank), (&fresh, silicon_again(&flash)?)] {
        let unit = SimUnit::spawn(config)?;
        let (slot, row) = (&slots[0], wall.row(&slots[0].name));
        let labels = scratch.path();
        let turned = turn(&slot.home, &slot.server, order, serial, &unit, labels, row).await?;
        unit.stop()?;
        reports.push(turned.0);
    }
    wall.clear();
    Ok(reports)
}

/// A blank unit; its silicon follows from its number.
fn silicon(number: u32, flash: &Path) -> Result<SimUnitConfig> {
    let mut config =
        SimUnitConfig::new(flash, DeviceId::parse(&format!("51{number:014x}"))?, MODEL);
    let [_, a, b, c] = number.to_be_bytes();
    config.macs = vec![Mac([0x02, 0xb1, 0x27, a, b, c])]; // locally administered (IEEE 802)
    config.revision = Some(REVISION.to_owned());
    config.boot = BOOT;
    Ok(config)
}

/// A unit that has been through the line before.
fn silicon_again(flash: &Path) -> Result<SimUnitConfig> {
    let file: serde_json::Value = serde_json::from_slice(&Zeroizing::new(std::fs::read(flash)?))?;
    let device_id = file["device_id"]
        .as_str()
        .context("the flash names no device id")?;
    let mut config = SimUnitConfig::new(flash, DeviceId::parse(device_id)?, MODEL);
    config.revision = Some(REVISION.to_owned());
    Ok(config)
}

/// What the units' flash holds, for the search and the count.
fn passwords(places: &Places, sealed: &[Report]) -> Result<Vec<Zeroizing<String>>> {
    let read = |report: &Report| {
        let path = places.units.join(format!("{}.json", report.serial));
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        let password = file["password"]
            .as_str()
            .with_context(|| format!("{} holds no password, yet it is sealed", path.display()))?;
        Ok(Zeroizing::new(password.to_owned()))
    };
    sealed.iter().map(read).collect()
}

fn lies_where(places: &Places, sealed: &[Report]) -> String {
    let data = places.data.display();
    let serial = sealed
        .first()
        .map_or("SERIAL", |report| report.serial.as_str());
    // Beside this program where somebody installed it; not yet built where cargo ran it.
    let beside = std::env::current_exe().map(|own| own.with_file_name("provisioner"));
    let run = match beside {
        Ok(program) if program.is_file() => program.display().to_string(),
        _ => "cargo run -q --release --bin provisioner --".to_owned(),
    };
    format!(
        "\nEverything lies in {data}\n\
         \x20 provisioner/   the server: log, certificates, no password\n\
         \x20 stations/      one folder a station: its key, its certificate, its journal\n\
         \x20 units/         what each unit's flash holds\n\
         \x20 labels/        what the printer was given\n\n\
         Look for yourself:\n\
         \x20 {run} audit unit {serial} --data {data}/provisioner\n\
         \x20 {run} audit verify --data {data}/provisioner\n"
    )
}

fn heading(words: &str) {
    say(&format!("\n{}\n", style(words).bold().for_stderr()));
}

fn step(words: &str) {
    say(&format!("  {} {words}", style("•").blue().for_stderr()));
}
