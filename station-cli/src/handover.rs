//! `sync --export FILE`: what this station knows of the server's log, for `provisioner recover`.
//!
//! Asks nobody: the server it is for does not run. The first line says whose it is and what log the
//! station remembers; each further line is an attempt under way or an entry with its proof. No
//! ticket is handed over, so the file is worth nothing to a thief.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::cli::{Format, print, say};
use crate::durable;
use crate::home::Home;

/// How much was handed over.
struct HandedOver {
    remembered: u64,
    open: usize,
    proven: u64,
}

/// Hands over, and says how much.
pub(crate) fn run(home: &Home, out: &Path, format: Format) -> Result<u8> {
    let done = write(home, out)?;
    let (remembered, open, proven) = (done.remembered, done.open, done.proven);
    let out = out.display().to_string();
    match format {
        Format::Json => print(&json!({
            "out": out, "remembered": remembered, "open": open, "proven": proven,
        }))?,
        Format::Text => say(&format!(
            "a log of {remembered} entries is remembered; {proven} of its entries and {open} \
             attempts under way are in {out}"
        )),
    }
    Ok(0)
}

/// Writes the file whole; one of that name is replaced.
fn write(home: &Home, out: &Path) -> Result<HandedOver> {
    let unusable = || format!("cannot write {}", out.display());
    let seen = home.seen();
    let open = home.journal().open()?;
    let mut fresh = out.as_os_str().to_owned();
    fresh.push(".new");
    let _ = fs::remove_file(&fresh); // what a crash left
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(durable::PUBLIC);
    let mut file = BufWriter::new(options.open(&fresh).with_context(unusable)?);
    let mut line = |value: &serde_json::Value| writeln!(file, "{value}");

    line(&json!({
        "birthmark_journal": 1,
        "station": home.station(),
        "vkey": home.vkey().to_string(),
        "checkpoint": seen.note()?,
        "rotations": seen.rotations()?,
    }))
    .with_context(unusable)?;
    for one in &open {
        let issued = one.issued.as_ref().map(|issued| {
            json!({
                "attempt": issued.attempt,
                "bundle_sha256": issued.bundle_sha256,
                "certificate_sha256": issued.certificate_sha256,
                "reached": issued.reached,
            })
        });
        line(&json!({ "open": {
            "serial": one.serial,
            "order": one.order,
            "device_id": one.device_id,
            "issued": issued,
        }}))
        .with_context(unusable)?;
    }
    let mut proven = 0;
    seen.proven()
        .each(|kept| {
            proven += 1;
            line(&serde_json::to_value(&kept)?)
        })
        .with_context(unusable)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error);
    file.and_then(|file| file.sync_all())
        .with_context(unusable)?;
    fs::rename(&fresh, out).with_context(unusable)?;
    Ok(HandedOver {
        remembered: seen.size()?,
        open: open.len(),
        proven,
    })
}
