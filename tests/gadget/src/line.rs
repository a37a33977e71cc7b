//! A site with one station, and the units that are put through it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_sim::unit::{SimUnit, SimUnitConfig};
use line_sim::{LabelReader, Town};
use serde_json::Value;
use station_cli::{
    Bench, Home, Job, LabelFolder, Outcome, Patience, Port, Report, Server, provision,
};
use traveler::{DeviceId, OrderId, Serial};

use crate::cable::Cable;
use crate::transport::{OnReset, serial_unit, vendor_unit};

const MODEL: &str = "CAM2";
const DEFINITION: &str =
    "sku = \"CAM-2\"\nname = \"Example camera\"\nmodel = \"CAM2\"\nlabel = true\n";

/// How long the station waits for a server that is emulated, and for a cable.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Line {
    town: Town,
    pub(crate) home: Home,
    server: Server,
    order: OrderId,
    folder: PathBuf,
}

/// One simulated unit and its cable.
pub(crate) struct Unit {
    pub(crate) serial: Serial,
    pub(crate) device_id: DeviceId,
    pub(crate) cable: Arc<Cable>,
    flash: PathBuf,
    /// Powered as long as this lives.
    _silicon: SimUnit,
}

impl Line {
    pub(crate) async fn found(folder: &Path, quantity: u32) -> Result<Line> {
        let town = Town::found(&folder.join("site")).await?;
        let order = town.order(DEFINITION, "CAM-2", quantity).await?;
        let home = town.enrol("bench-1").await?;
        for name in ["units", "labels"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        Ok(Line {
            server: Server::of(&home)?,
            order: OrderId::parse(&order)?,
            town,
            home,
            folder: folder.to_owned(),
        })
    }

    /// A unit with a vendor-class interface, not plugged in yet.
    pub(crate) fn unit(&self, number: u8, on_reset: OnReset) -> Result<Unit> {
        self.powered(number, |name, pty| vendor_unit(name, pty, on_reset))
    }

    /// A unit with a serial port over USB.
    pub(crate) fn serial_unit(&self, number: u8) -> Result<Unit> {
        self.powered(number, serial_unit)
    }

    fn powered(
        &self,
        number: u8,
        join: impl FnOnce(&str, &Path) -> Result<Arc<Cable>>,
    ) -> Result<Unit> {
        let device_id = DeviceId::parse(&format!("51000000000000{number:02}"))?;
        let flash = self.folder.join(format!("units/{number}.json"));
        let silicon = SimUnit::spawn(SimUnitConfig::new(&flash, device_id.clone(), MODEL))?;
        let pty = silicon.port().context("a unit that is plugged in")?;
        let cable = join(&format!("unit-{number}"), pty)?;
        Ok(Unit {
            serial: Serial::parse(&format!("USB-{number:03}"))?,
            device_id,
            cable,
            flash,
            _silicon: silicon,
        })
    }

    /// Puts a unit through at a port, as `station-cli provision` does.
    pub(crate) async fn provision(
        &self,
        unit: &Unit,
        port: impl Port,
        reconnect: Duration,
    ) -> Report {
        let labels = self.folder.join("labels");
        let job = Job {
            order: self.order.clone(),
            serial: unit.serial.clone(),
            operator: None,
            patience: Patience(PATIENCE),
            reconnect,
        };
        let mut bench = Bench {
            server: self.server.clone(),
            port,
            scanner: LabelReader(labels.clone()),
            labels: LabelFolder(labels),
            progress: (),
        };
        provision(&job, &self.home, &mut bench).await
    }

    /// The same, and it has to end well: sealed at its first attempt, with its own credential on it.
    pub(crate) async fn seal(
        &self,
        unit: &Unit,
        port: impl Port,
        reconnect: Duration,
    ) -> Result<()> {
        let report = self.provision(unit, port, reconnect).await;
        ensure!(report.outcome == Outcome::Sealed, "{report}");
        ensure!(
            report.attempt.is_some_and(|attempt| attempt.0 == 1),
            "{report}: not the bundle it was issued at first"
        );
        ensure!(
            report.device_id.as_ref() == Some(&unit.device_id),
            "{report}"
        );
        let held: Value = serde_json::from_slice(&std::fs::read(&unit.flash)?)?;
        ensure!(
            held["state"] == "locked" && held["serial"] == unit.serial.as_str(),
            "{} does not hold what was sealed",
            unit.serial
        );
        Ok(())
    }

    /// Nothing was lost: all units of the order are sealed, and no attempt was withdrawn.
    pub(crate) async fn close(self) -> Result<u32> {
        let count = self.town.count(self.order.as_str()).await?;
        ensure!(
            (count.sealed, count.open, count.voided) == (count.quantity, 0, 0),
            "{} of {} sealed, {} open, {} voided",
            count.sealed,
            count.quantity,
            count.open,
            count.voided
        );
        self.town.stop().await?;
        Ok(count.sealed)
    }
}
