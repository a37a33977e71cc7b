//! Simulated units on real ptys, spoken to as a station speaks to them.

#![allow(clippy::unwrap_used)] // the helpers of a test fail as the test does

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use credential::{Bundle, BundleBytes, Password, PrivateKey, Salt, mint_key};
use line_sim::unit::{Fault, SimError, SimUnit, SimUnitConfig};
use ring::rand::SystemRandom;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, ioctl_tiocexcl, tcgetattr, tcsetattr};
use traveler::{Attempt, DeviceId, Serial};
use wire::{
    Action, Answer, Check, Event, Exchange, Facts, Greet, Install, Link, Load, Lock, Nonce, Prove,
    Receipt, Reset, UnitState, WireError,
};

const PASSWORD: &str = "K7QDM2X9TR4W";
const NONCE: Nonce = Nonce([0x5a; 16]);
const LATER: Nonce = Nonce([0xa5; 16]);

#[derive(Debug)]
enum Failure {
    Cable,
    Wire(WireError),
}

/// A station's port: exclusive and raw, as `serialport` opens it.
struct Station {
    port: File,
    link: Link,
}

impl Station {
    fn open(path: &Path) -> Station {
        let port = File::options().read(true).write(true).open(path).unwrap();
        ioctl_tiocexcl(&port).unwrap();
        let mut termios = tcgetattr(&port).unwrap();
        termios.make_raw();
        tcsetattr(&port, OptionalActions::Now, &termios).unwrap();
        Station {
            port,
            link: Link::new(7),
        }
    }

    fn drive<E: Exchange>(&mut self, mut exchange: E) -> Result<E::Done, Failure> {
        let mut heard = VecDeque::new();
        let mut event = Event::Opened;
        loop {
            let within = match exchange.on(event).map_err(Failure::Wire)? {
                Action::Finish(done) => return Ok(done),
                Action::Wait(within) => within,
                Action::Send(request, within) => {
                    let line = self.link.encode(&request);
                    self.port.write_all(&line).map_err(|_| Failure::Cable)?;
                    within
                }
            };
            let end = Instant::now() + within;
            while heard.is_empty() && Instant::now() < end {
                heard.extend(self.read(end).map_err(|_| Failure::Cable)?);
            }
            event = heard.pop_front().map_or(Event::TimedOut, Event::Received);
        }
    }

    fn read(&mut self, end: Instant) -> io::Result<Vec<wire::Reply>> {
        let left = Timespec::try_from(end.saturating_duration_since(Instant::now())).unwrap();
        let mut fds = [PollFd::new(&self.port, PollFlags::IN)];
        if poll(&mut fds, Some(&left))? == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = [0; 512];
        match self.port.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => Ok(self.link.decode(&bytes[..length])),
        }
    }

    fn greet(&mut self) -> Facts {
        self.drive(Greet::new(NONCE)).unwrap()
    }

    fn load(&mut self, bundle: &BundleBytes) -> Result<(), Failure> {
        self.drive(Load::new(NONCE, device_id(1), bundle))
    }

    fn install(&mut self, bundle: &BundleBytes) -> Result<Receipt, Failure> {
        self.drive(Install::new(LATER, device_id(1), bundle))
    }

    fn prove(&mut self, bundle: &BundleBytes) -> Result<Receipt, Failure> {
        self.drive(Prove::new(LATER, device_id(1), bundle))
    }

    fn reset(&mut self) -> Result<wire::Booted, Failure> {
        let before = self.greet();
        self.drive(Reset::new(LATER, &before))
    }
}

fn device_id(last: u8) -> DeviceId {
    DeviceId::from_bytes(&[0, 0xc0, 0xff, 0xee, last]).unwrap()
}

fn config(folder: &Path, last: u8) -> SimUnitConfig {
    let mut config = SimUnitConfig::new(
        folder.join(format!("{last}.json")),
        device_id(last),
        "BM-CAM",
    );
    config.boot = Duration::from_millis(3);
    config
}

fn serial() -> Serial {
    Serial::parse("BM-000047").unwrap()
}

fn bundle(key: Option<PrivateKey>) -> BundleBytes {
    let bundle = Bundle {
        serial: serial(),
        attempt: Attempt(2),
        password: Password::parse(PASSWORD.as_bytes()).unwrap(),
        salt: Salt::from_bytes([7; 16]),
        chain: vec![vec![0x30; 500], vec![0x31; 500]],
        key,
    };
    bundle.encode().unwrap_or_else(|error| panic!("{error}"))
}

fn file(folder: &Path, last: u8) -> serde_json::Value {
    let json = std::fs::read(folder.join(format!("{last}.json"))).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// A unit in a folder of its own, and a station on its port.
fn line(faults: Vec<Fault>) -> (tempfile::TempDir, SimUnit, Station) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), 1);
    config.faults = faults;
    let unit = SimUnit::spawn(config).unwrap();
    let station = Station::open(unit.port().unwrap());
    (folder, unit, station)
}

fn signature_holds(receipt: &Receipt, bundle: &BundleBytes) -> bool {
    let signed = credential::receipt(&serial(), Attempt(2), &device_id(1), &bundle.digest());
    let spki = receipt.public_key.as_deref().unwrap();
    identity::verify(spki, &signed, receipt.signature.as_deref().unwrap()).is_ok()
}

#[test]
fn a_unit_is_provisioned_over_its_port() {
    let (folder, unit, mut station) = line(Vec::new());
    let facts = station.greet();
    assert_eq!(facts.state, UnitState::Blank);
    let public_key = identity::check_csr(&facts.csr.unwrap()).unwrap();

    let bundle = bundle(None);
    station.load(&bundle).unwrap();
    assert_eq!(station.reset().unwrap().boots, 2);
    let receipt = station.prove(&bundle).unwrap();
    assert_eq!(receipt.public_key.as_ref(), Some(&public_key));
    assert!(signature_holds(&receipt, &bundle));
    station.drive(Lock::new(bundle.digest())).unwrap();
    let password = Password::parse(PASSWORD.as_bytes()).unwrap();
    assert!(station.drive(Check::new(&password)).unwrap() == Answer::Yes);

    unit.stop().unwrap();
    let file = file(folder.path(), 1);
    assert_eq!(file["state"], "locked");
    assert_eq!(file["boots"], 2);
    assert_eq!(file["serial"], "BM-000047");
    assert_eq!(file["attempt"], 2);
    assert_eq!(file["password"], PASSWORD);
    assert_eq!(file["salt"], "07".repeat(16));
    assert_eq!(file["certificate_chain"].as_array().unwrap().len(), 2);
    assert!(
        file["private_key"]
            .as_str()
            .unwrap()
            .contains("BEGIN PRIVATE KEY")
    );
}

#[test]
fn a_unit_is_asked_three_times_and_proves_what_a_reset_left() {
    let (folder, unit, mut station) = line(Vec::new());
    let key = station.greet().public_key;
    let bundle = bundle(None);
    let receipt = station.install(&bundle).unwrap();
    assert_eq!((receipt.boots, receipt.digest), (2, bundle.digest()));
    assert_eq!(receipt.public_key, key);
    assert!(signature_holds(&receipt, &bundle));
    station.drive(Lock::new(bundle.digest())).unwrap();
    assert_eq!(unit.counts().turns(), 3);
    unit.stop().unwrap();
    let file = file(folder.path(), 1);
    assert_eq!(
        (&file["state"], &file["boots"]),
        (&"locked".into(), &2.into())
    );
}

#[test]
fn an_install_does_not_pass_over_a_flipped_bit_or_a_swapped_unit() {
    let bundle = bundle(None);
    let (_folder, _unit, mut station) = line(vec![Fault::FlipBitOnReset]);
    let damaged = station.install(&bundle);
    assert!(matches!(damaged, Err(Failure::Wire(WireError::Mismatch))));
    assert_eq!(station.install(&bundle).unwrap().boots, 3); // rewritten

    let other = tempfile::tempdir().unwrap();
    let swap = Box::new(config(other.path(), 2));
    let (_folder, _unit, mut station) = line(vec![Fault::SwapOnReset(swap)]);
    let swapped = station.install(&bundle);
    assert!(matches!(
        swapped,
        Err(Failure::Wire(WireError::Swapped { found: Some(_), .. }))
    ));
    assert!(file(other.path(), 2)["password"].is_null());
}

/// A boot in the middle of the load is no reset: the unit is written again, and reset after that.
#[test]
fn an_install_in_which_power_fails_is_done_again() {
    let bundle = bundle(None);
    let length = bundle.expose(<[u8]>::len);
    for bytes in [0, 256, length, length + 40, length + 63] {
        let (_folder, _unit, mut station) = line(vec![Fault::CutPowerAfterBytes(bytes)]);
        let receipt = station.install(&bundle).unwrap();
        assert_eq!(receipt.boots, 3, "after {bytes} bytes");
    }
}

#[test]
fn a_minted_key_signs_when_the_unit_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), 1);
    config.own_key = false;
    let unit = SimUnit::spawn(config).unwrap();
    let mut station = Station::open(unit.port().unwrap());
    let facts = station.greet();
    assert_eq!((facts.csr, facts.public_key), (None, None));
    assert!(file(folder.path(), 1)["private_key"].is_null());

    let minted = mint_key(&SystemRandom::new()).unwrap();
    let bundle = bundle(Some(minted.private));
    station.load(&bundle).unwrap();
    let receipt = station.prove(&bundle).unwrap();
    assert_eq!(receipt.public_key.as_ref(), Some(&minted.spki));
    assert!(signature_holds(&receipt, &bundle));
    assert!(file(folder.path(), 1)["private_key"].is_string());
}

#[test]
fn a_unit_outlives_its_stations_and_is_the_same_after_a_restart() {
    let (folder, unit, mut station) = line(Vec::new());
    let key = station.greet().public_key;
    for _ in 0..5 {
        drop(station); // as when it is killed: it leaves the port exclusive
        station = Station::open(unit.port().unwrap());
        assert_eq!(station.greet().boots, Some(1));
    }
    let bundle = bundle(None);
    station.load(&bundle).unwrap();
    drop(station);
    unit.stop().unwrap();

    let unit = SimUnit::spawn(config(folder.path(), 1)).unwrap();
    let mut station = Station::open(unit.port().unwrap());
    let facts = station.greet();
    assert_eq!((facts.boots, facts.state), (Some(2), UnitState::Loaded));
    assert_eq!(facts.public_key, key);
    assert!(station.prove(&bundle).is_ok());
}

#[test]
fn a_pulled_cable_ends_the_file_and_comes_back_under_another_name() {
    let (_folder, mut unit, mut station) = line(Vec::new());
    station.load(&bundle(None)).unwrap();
    unit.pull_cable().unwrap();
    assert_eq!(unit.port(), None);
    assert!(matches!(
        station.drive(Greet::new(NONCE)),
        Err(Failure::Cable)
    ));
    let path = unit.plug_cable().unwrap().to_owned();
    let mut again = Station::open(&path);
    let facts = again.greet();
    assert_eq!((facts.boots, facts.state), (Some(1), UnitState::Loaded));
    unit.power_cycle().unwrap();
    assert_eq!(again.greet().boots, Some(2));
}

#[test]
fn a_bit_that_flips_in_a_reset_is_found_and_rewritten() {
    let (_folder, _unit, mut station) = line(vec![Fault::FlipBitOnReset]);
    let bundle = bundle(None);
    station.load(&bundle).unwrap();
    station.reset().unwrap();
    let damaged = station.prove(&bundle);
    assert!(matches!(damaged, Err(Failure::Wire(WireError::Mismatch))));
    assert_eq!(station.greet().state, UnitState::Partial);
    station.load(&bundle).unwrap();
    station.reset().unwrap();
    assert!(station.prove(&bundle).is_ok());
}

#[test]
fn power_that_fails_while_flash_is_written_leaves_no_half_bundle() {
    let bundle = bundle(None);
    let length = bundle.expose(<[u8]>::len);
    for bytes in [0, 1, 255, 256, length, length + 40] {
        let (folder, unit, mut station) = line(vec![Fault::CutPowerAfterBytes(bytes)]);
        // The unit says that it booted, and the station asks again.
        station.load(&bundle).unwrap();
        assert_eq!(
            station.prove(&bundle).unwrap().boots,
            2,
            "after {bytes} bytes"
        );
        unit.stop().unwrap();
        assert_eq!(file(folder.path(), 1)["password"], PASSWORD);
    }

    let (folder, mut unit, mut station) = line(Vec::new());
    station.greet();
    unit.inject(Fault::CutPowerAfterBytes(300)).unwrap();
    let mut load = Load::new(NONCE, device_id(1), &bundle);
    let Ok(Action::Send(request, _)) = load.on(Event::Opened) else {
        panic!("a load begins with a request");
    };
    let line = station.link.encode(&request);
    station.port.write_all(&line).unwrap();
    while file(folder.path(), 1)["boots"] == 1 {
        station
            .read(Instant::now() + Duration::from_millis(5))
            .unwrap();
    }
    unit.stop().unwrap();
    let file = file(folder.path(), 1);
    assert_eq!(file["state"], "partial");
    assert!(file["password"].is_null(), "half a bundle is none");
}

#[test]
fn a_swapped_unit_is_found_on_the_same_port() {
    let other = tempfile::tempdir().unwrap();
    let swap = || Box::new(config(other.path(), 2));
    let (_folder, mut unit, mut station) = line(vec![Fault::SwapOnReset(swap())]);
    let bundle = bundle(None);
    station.load(&bundle).unwrap();
    let reset = station.reset();
    assert!(matches!(
        reset,
        Err(Failure::Wire(WireError::Swapped { .. }))
    ));
    assert_eq!(station.greet().device_id, device_id(2));
    let load = station.load(&bundle);
    assert!(matches!(
        load,
        Err(Failure::Wire(WireError::Swapped { .. }))
    ));
    assert!(file(other.path(), 2)["password"].is_null());

    unit.swap(config(other.path(), 3)).unwrap();
    assert_eq!(station.greet().device_id, device_id(3));
}

#[test]
fn a_flash_file_that_is_not_this_units_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    SimUnit::spawn(config(folder.path(), 1))
        .unwrap()
        .stop()
        .unwrap();
    let mut other = config(folder.path(), 2);
    other.flash_path = config(folder.path(), 1).flash_path;
    assert!(matches!(
        SimUnit::spawn(other).err(),
        Some(SimError::OtherUnit { .. })
    ));

    let damaged = config(folder.path(), 3);
    std::fs::write(&damaged.flash_path, "{").unwrap();
    assert!(matches!(
        SimUnit::spawn(damaged).err(),
        Some(SimError::Damaged { .. })
    ));

    let nowhere = config(&folder.path().join("absent"), 4);
    assert!(matches!(
        SimUnit::spawn(nowhere).err(),
        Some(SimError::Flash { .. })
    ));
}

#[test]
fn a_unit_stops_at_once_even_while_it_boots() {
    let folder = tempfile::tempdir().unwrap();
    let mut slow = config(folder.path(), 1);
    slow.boot = Duration::from_secs(600);
    let unit = SimUnit::spawn(slow).unwrap();
    let station = Station::open(unit.port().unwrap());
    let started = Instant::now();
    unit.stop().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    drop(station);
}
