//! Units on ptys, what their flash holds, and the labels an operator scans.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use line_sim::LabelReader;
use line_sim::unit::{SimUnit, SimUnitConfig};
use serde_json::Value;
use station_cli::Scanner;
use traveler::{DeviceId, Mac, Serial};
use wire::unit::{FLASH_SIZE, PAGE};
use zeroize::Zeroizing;

/// A healthy unit of a model; its silicon follows from its number.
pub(crate) fn silicon(number: u32, model: &str, flash: &Path) -> SimUnitConfig {
    let id = DeviceId::parse(&format!("51{number:014x}")).unwrap();
    let mut config = SimUnitConfig::new(flash, id, model);
    let [_, a, b, c] = number.to_be_bytes();
    config.macs = vec![Mac([0x02, 0xb1, 0x27, a, b, c])];
    config.revision = Some("B".to_owned());
    config
}

/// The port to open.
pub(crate) fn port(unit: &SimUnit) -> String {
    unit.port().unwrap().display().to_string()
}

/// What a unit's flash file says.
pub(crate) fn flash(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A whole bundle found in a unit's flash. Holds a secret, so it has no `Debug`.
pub(crate) struct Held {
    pub(crate) serial: String,
    pub(crate) attempt: u64,
    pub(crate) password: Zeroizing<String>,
    /// SHA-256 of the bundle's bytes, as hexadecimal.
    pub(crate) sha256: String,
}

impl Held {
    /// Looks into a flash file. `None` when the unit holds no whole bundle.
    pub(crate) fn in_flash(path: &Path) -> Option<Held> {
        let file = flash(path);
        let password = file["password"].as_str()?;
        let mut cells = bytes(file["flash"].as_str().unwrap());
        cells.resize(FLASH_SIZE, 0xff); // the file ends where the rest is erased
        // The marker of page 0 says how long the bundle in page 1 is (wire/src/unit/store.rs).
        let length = usize::from(u16::from_be_bytes([cells[4], cells[5]]));
        let sha256 = identity::sha256(&cells[PAGE..][..length]);
        assert_eq!(cells[8..40], sha256.0, "a marker over another bundle");
        Some(Held {
            serial: file["serial"].as_str().unwrap().to_owned(),
            attempt: file["attempt"].as_u64().unwrap(),
            password: Zeroizing::new(password.to_owned()),
            sha256: sha256.to_string(),
        })
    }
}

/// What a scanner reads from the label of a unit, with the line end it adds.
pub(crate) fn scan(labels: &Path, serial: &str) -> Option<Zeroizing<String>> {
    let mut reader = LabelReader(PathBuf::from(labels));
    let serial = Serial::parse(serial).unwrap();
    let scan = pin!(reader.scan(&serial)); // reading a file waits for nobody
    match scan.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(Some(text))) => Some(Zeroizing::new(format!("{}\n", text.as_str()))),
        _ => None,
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}
