//! `line-sim unit`: one unit to try a station with, native or with a console only.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use traveler::DeviceId;

use super::console::{ConsoleUnit, Kind};
use super::console_flash::ConsoleFlash;
use super::{SimConsole, SimUnit, SimUnitConfig};
use crate::cli::{Format, print, say};
use crate::demo;

/// The arguments of `line-sim unit`.
#[derive(Args, Debug)]
pub(crate) struct UnitArgs {
    /// The unit's flash; made when absent.
    #[arg(long, value_name = "FILE")]
    flash: PathBuf,
    /// The silicon's own id, 8 to 64 hexadecimal digits; 16 with --console.
    #[arg(long, value_name = "HEX", default_value = "5100000000000001")]
    device_id: DeviceId,
    /// What it says it is.
    #[arg(long, default_value = demo::MODEL)]
    model: String,
    /// Its hardware revision.
    #[arg(long, default_value = demo::REVISION)]
    revision: String,
    /// Let the server mint a key, as for silicon that cannot make its own.
    #[arg(long)]
    no_key: bool,
    /// A unit with a console and nothing of ours in it: what the shipped profile of that name is for.
    #[arg(long, value_enum, value_name = "PROFILE", conflicts_with_all = ["revision", "no_key"])]
    console: Option<Console>,
}

/// A console, by the profile that is shipped for it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Console {
    AtModem,
    LinuxLogin,
    UBoot,
    ZephyrShell,
}

impl Console {
    fn kind(self) -> Kind {
        match self {
            Console::AtModem => Kind::At,
            Console::LinuxLogin => Kind::Linux,
            Console::UBoot => Kind::UBoot,
            Console::ZephyrShell => Kind::Zephyr,
        }
    }
}

/// Powers it until it is interrupted.
pub(crate) async fn run(args: UnitArgs, format: Format) -> Result<ExitCode> {
    match args.console {
        Some(console) => with_console(console, args, format).await,
        None => native(args, format).await,
    }
}

async fn native(args: UnitArgs, format: Format) -> Result<ExitCode> {
    let mut config = SimUnitConfig::new(args.flash, args.device_id.clone(), &args.model);
    config.revision = Some(args.revision);
    config.own_key = !args.no_key;
    let unit = SimUnit::spawn(config)?;
    let port = unit
        .port()
        .map(|port| port.display().to_string())
        .unwrap_or_default();
    powered(&port, &args.device_id, format).await?;
    unit.stop()?;
    Ok(ExitCode::SUCCESS)
}

async fn with_console(console: Console, args: UnitArgs, format: Format) -> Result<ExitCode> {
    let id = args.device_id.as_str();
    let number = u64::from_str_radix(id, 16).ok().filter(|_| id.len() == 16);
    let number = number.context("a unit with a console has a --device-id of 16 digits")?;
    let named = console.to_possible_value();
    let name = named.as_ref().map_or("", |value| value.get_name());
    let flash = ConsoleFlash::open(&args.flash, name, &args.device_id)?;
    let mut unit = ConsoleUnit::new(console.kind(), number, 1);
    unit.model = args.model;
    unit.wake(flash.stored().clone());
    let unit = SimConsole::keeping(unit, Some(flash))?;
    powered(&unit.port().display().to_string(), &args.device_id, format).await?;
    unit.stop()
        .with_context(|| format!("the unit broke; see {}", args.flash.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Says where the unit is, and waits for the end of its life.
async fn powered(port: &str, device_id: &DeviceId, format: Format) -> Result<()> {
    // Heard from before anybody is told that there is something to interrupt.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let fact = json!({ "port": port, "device_id": device_id.to_string() });
    print(format, &fact, &format!("{port}\n"));
    say("the unit is powered; interrupt to cut its power");
    interrupts.recv().await;
    Ok(())
}
