//! A vendor-class interface with two bulk endpoints, by FunctionFS
//! (<https://docs.kernel.org/usb/functionfs.html> and linux/usb/functionfs.h).

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::boot;
use crate::cable::Cable;
use crate::gadget::Gadget;

/// `bMaxPacketSize` of a bulk endpoint (USB 2.0, 5.8.3): at full speed the largest, at high speed the
/// only one.
const FULL: u16 = 64;
pub(crate) const HIGH: u16 = 512;

const DESCRIPTORS_V2: u32 = 3;
const STRINGS: u32 = 2;
const HAS_FULL_AND_HIGH: u32 = 1 | 2;

/// The files of one interface. A read or write waits while the cable is out, and fails when it is
/// pulled. What is done to the wrong one halts it.
pub(crate) struct Endpoints {
    /// Bytes from the station.
    pub(crate) from_host: File,
    /// Bytes to it.
    pub(crate) to_host: File,
}

/// Makes a gadget with such an interface.
pub(crate) fn vendor(name: &str) -> Result<(Arc<Cable>, Endpoints)> {
    let gadget = Gadget::new(name, &format!("ffs.{name}"))?;
    let folder = format!("/functionfs/{name}");
    boot::place_for(name, "functionfs", &folder)?;
    let open = |file: &str| {
        let mut options = OpenOptions::new();
        let path = Path::new(&folder).join(file);
        options.read(true).write(true).open(path)
    };
    let mut control = open("ep0")?;
    control.write_all(&descriptors()).context("descriptors")?;
    control.write_all(&strings()).context("strings")?;
    let endpoints = Endpoints {
        to_host: open("ep1")?,
        from_host: open("ep2")?,
    };
    // Events have to be read, or the next ones are lost; none of them matters here.
    std::thread::spawn(move || {
        let mut events = [0; 12 * 4];
        while control.read(&mut events).is_ok() {}
        let _open = control; // closed, it would take the function away
        loop {
            std::thread::park();
        }
    });
    Ok((gadget.finish()?, endpoints))
}

fn descriptors() -> Vec<u8> {
    let mut all = Vec::new();
    for packet in [FULL, HIGH] {
        let [low, high] = packet.to_le_bytes();
        all.extend([9, 4, 0, 0, 2, 0xff, 0, 0, 0]); // an interface of vendor class
        all.extend([7, 5, 0x81, 2, low, high, 0]); // bulk, to the host
        all.extend([7, 5, 0x02, 2, low, high, 0]); // bulk, from the host
    }
    const EACH: u32 = 3;
    let head = [
        DESCRIPTORS_V2,
        5 * 4 + u32::try_from(all.len()).unwrap_or(u32::MAX),
        HAS_FULL_AND_HIGH,
        EACH,
        EACH,
    ];
    [words(&head), all].concat()
}

fn strings() -> Vec<u8> {
    words(&[STRINGS, 4 * 4, 0, 0])
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
