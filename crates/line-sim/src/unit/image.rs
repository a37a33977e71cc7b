//! The flash file: the bytes of flash, and beside them in words what they mean.
//!
//! Only `flash`, `boots` and the unit's own key are read back; the other fields are for people and
//! tests, and are written anew with every change. The file is replaced by rename and not synced:
//! the power that fails here is the unit's, never this machine's.

use std::cell::RefCell;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use credential::Bundle;
use serde::{Deserialize, Serialize};
use traveler::{Attempt, DeviceId, Mac, Serial};
use wire::UnitState;
use wire::unit::{FLASH_SIZE, Flash, PAGE};

use super::{SimError, SimUnitConfig, chip};

/// The file as it is written. Holds secrets, as flash does, so it has no `Debug`.
#[derive(Deserialize, Serialize)]
struct FlashFile {
    device_id: DeviceId,
    macs: Vec<Mac>,
    model: String,
    revision: Option<String>,
    firmware: String,
    state: String,
    boots: u32,
    #[serde(flatten)]
    held: Option<HeldFields>,
    /// Whether `private_key` is the unit's own, made at first start, or was minted for it.
    own_key: bool,
    /// PKCS#8 in PEM.
    private_key: Option<String>,
    /// Hexadecimal, to the last byte that is not erased.
    flash: String,
}

/// What a whole bundle says.
#[derive(Deserialize, Serialize)]
struct HeldFields {
    serial: Serial,
    attempt: Attempt,
    password: String,
    salt: String,
    certificate_chain: Vec<String>,
}

/// A unit's flash, with its file.
pub(super) struct Image {
    path: PathBuf,
    file: FlashFile,
    bytes: Vec<u8>,
    /// Changed since it was saved.
    dirty: bool,
    /// Bytes that can still be written before power fails, when it is to fail.
    power_left: Option<usize>,
    /// Power has failed; nothing can be read or written until the next boot.
    dead: bool,
}

impl Image {
    /// Opens a unit's flash file, or makes one with a key when there is none.
    pub(super) fn open(config: &SimUnitConfig) -> Result<Image, SimError> {
        let path = config.flash_path.clone();
        let (file, fresh) = match std::fs::read(&path) {
            Ok(json) => (read_file(&json, config)?, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (new_file(config)?, true),
            Err(source) => return Err(SimError::Flash { path, source }),
        };
        let mut bytes = from_hex(&file.flash)
            .filter(|bytes| bytes.len() <= FLASH_SIZE)
            .ok_or_else(|| damaged(&path, "flash is not hexadecimal of at most two pages"))?;
        bytes.resize(FLASH_SIZE, 0xff);
        let mut image = Image {
            path,
            file,
            bytes,
            dirty: false,
            power_left: None,
            dead: false,
        };
        if fresh {
            image.save(UnitState::Blank, None)?; // a key that was made is never made again
        }
        Ok(image)
    }

    /// Power on: counts the boot and gives the chip that boots.
    pub(super) fn boot(&mut self, config: &SimUnitConfig) -> Result<chip::Chip, SimError> {
        self.power_back();
        self.dirty = true;
        self.file.boots = self.file.boots.saturating_add(1);
        let device_id = from_hex(config.device_id.as_str()).unwrap_or_default();
        let own = self.file.private_key.as_deref();
        let own = own.filter(|_| self.file.own_key);
        chip::Chip::new(config, device_id, self.file.boots, own)
    }

    pub(super) fn cut_power_after(&mut self, bytes: usize) {
        self.power_left = Some(bytes);
    }

    /// Whether power has failed since the boot.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// Flash can be read again.
    pub(super) fn power_back(&mut self) {
        self.dead = false;
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Flips one bit of the bundle.
    pub(super) fn flip_bit(&mut self) {
        self.bytes[PAGE + 1] ^= 0x10;
        self.dirty = true;
    }

    /// Writes the file, with what flash means in words.
    pub(super) fn save(&mut self, state: UnitState, bundle: Option<&[u8]>) -> Result<(), SimError> {
        let held = bundle.and_then(|bytes| Bundle::decode(bytes).ok());
        let minted = held.as_ref().and_then(|bundle| bundle.key.as_ref());
        if !self.file.own_key {
            let pem = |der: &[u8]| identity::pem("PRIVATE KEY", der).to_string();
            self.file.private_key = minted.map(|key| key.expose(pem));
        }
        self.file.held = held.as_ref().map(HeldFields::of);
        self.file.state = state.as_str().to_owned();
        let programmed = self.bytes.iter().rposition(|byte| *byte != 0xff);
        self.file.flash = to_hex(&self.bytes[..programmed.map_or(0, |last| last + 1)]);
        let json = serde_json::to_vec_pretty(&self.file).map_err(io::Error::from);
        let saved = json.and_then(|json| replace(&self.path, &json));
        saved.map_err(|source| SimError::Flash {
            path: self.path.clone(),
            source,
        })?;
        self.dirty = false;
        Ok(())
    }
}

impl HeldFields {
    fn of(bundle: &Bundle) -> HeldFields {
        let text = |clear: &[u8]| String::from_utf8_lossy(clear).into_owned();
        let pem = |der: &Vec<u8>| identity::pem("CERTIFICATE", der).to_string();
        HeldFields {
            serial: bundle.serial.clone(),
            attempt: bundle.attempt,
            password: bundle.password.expose(text),
            salt: bundle.salt.expose(|salt| to_hex(salt)),
            certificate_chain: bundle.chain.iter().map(pem).collect(),
        }
    }
}

/// Flash as the unit's side of `wire` drives it; shared with the thread that saves it.
pub(super) struct SimFlash(pub(super) Rc<RefCell<Image>>);

/// The power failed.
pub(super) struct PowerCut;

impl Flash for SimFlash {
    type Error = PowerCut;

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), PowerCut> {
        let image = self.0.borrow();
        let end = offset + out.len();
        match image.bytes.get(offset..end) {
            Some(bytes) if !image.dead => out.copy_from_slice(bytes),
            _ => return Err(PowerCut),
        }
        Ok(())
    }

    fn erase(&mut self, page: usize) -> Result<(), PowerCut> {
        let mut image = self.0.borrow_mut();
        if image.dead {
            return Err(PowerCut);
        }
        image.dirty = true;
        image.bytes[page * PAGE..][..PAGE].fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), PowerCut> {
        let mut image = self.0.borrow_mut();
        if image.dead {
            return Err(PowerCut);
        }
        image.dirty = true;
        let done = image.power_left.unwrap_or(usize::MAX).min(bytes.len());
        for (cell, byte) in image.bytes[offset..][..done].iter_mut().zip(bytes) {
            *cell &= byte; // a write can only clear bits
        }
        image.power_left = image.power_left.map(|left| left - done);
        if done == bytes.len() {
            return Ok(());
        }
        image.power_left = None;
        image.dead = true;
        Err(PowerCut)
    }
}

fn read_file(json: &[u8], config: &SimUnitConfig) -> Result<FlashFile, SimError> {
    let path = &config.flash_path;
    let file: FlashFile =
        serde_json::from_slice(json).map_err(|error| damaged(path, &error.to_string()))?;
    if file.device_id != config.device_id {
        return Err(SimError::OtherUnit {
            path: path.clone(),
            device_id: file.device_id,
        });
    }
    Ok(file)
}

fn new_file(config: &SimUnitConfig) -> Result<FlashFile, SimError> {
    Ok(FlashFile {
        device_id: config.device_id.clone(),
        macs: config.macs.clone(),
        model: config.model.clone(),
        revision: config.revision.clone(),
        firmware: config.firmware.clone(),
        state: UnitState::Blank.as_str().to_owned(),
        boots: 0,
        held: None,
        own_key: config.own_key,
        private_key: config.own_key.then(chip::new_key).transpose()?,
        flash: String::new(),
    })
}

pub(super) fn damaged(path: &Path, what: &str) -> SimError {
    SimError::Damaged {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

/// Whoever reads the file sees the old one or the new one, never half.
pub(super) fn replace(path: &Path, json: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&fresh)?.write_all(json)?;
    std::fs::rename(fresh, path)
}

/// Without a format of each byte: it is five thousand of them, three times in a unit's life.
fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    nibbles
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<Vec<u8>>>()
        .filter(|_| text.len().is_multiple_of(2))
}
