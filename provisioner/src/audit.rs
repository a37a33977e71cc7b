//! The auditor's verbs. They read files and ask nobody: no server, no HSM, no network.

mod args;
mod export;
mod order;
mod tables;
mod unit;
mod verify;
mod witness;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use ledger::Reader;
use tlog::{Checkpoint, LogKeys, VerifierKey};

pub(crate) use args::AuditVerb;

use crate::cli::{Format, TableFormat};
use crate::site::Site;

/// Findings were made: the record is not as it was written.
const FINDINGS: u8 = 1;
/// The record was written by a newer program, and this one cannot judge it.
const NEWER: u8 = 2;

/// Longest file that is read of those an auditor brings along: keys, checkpoints, proofs.
const BROUGHT_MAX: u64 = 2_000_000;

/// `provisioner audit ...`
pub(crate) fn run(
    site: &Site,
    verb: AuditVerb,
    format: Format,
    tables: &[TableFormat],
) -> Result<ExitCode> {
    match verb {
        AuditVerb::Verify(args) => return verify::run(site, &args, format),
        AuditVerb::Unit { serial, proof } => unit::run(site, &serial, proof.as_deref(), format)?,
        AuditVerb::Order { id } => order::run(site, &id, format)?,
        AuditVerb::Export { out, since } => {
            return export::run(site, &out, since.as_deref(), tables, format);
        }
        AuditVerb::Witness(args) => return witness::run(&args, format),
    }
    Ok(ExitCode::SUCCESS)
}

/// A file that an auditor brought along; a pipe may be one.
fn brought(file: &Path) -> Result<String> {
    let unusable = || format!("cannot use {}", file.display());
    let mut text = String::new();
    let opened = File::open(file).with_context(unusable)?;
    let length = opened.take(BROUGHT_MAX + 1).read_to_string(&mut text);
    if length.with_context(unusable)? as u64 > BROUGHT_MAX {
        bail!("{} is longer than {BROUGHT_MAX} bytes", file.display());
    }
    Ok(text)
}

fn read_vkey(file: &Path) -> Result<VerifierKey> {
    let text = brought(file)?;
    VerifierKey::parse(text.trim_end())
        .with_context(|| format!("{} holds no verifier key (name+hash+key)", file.display()))
}

/// A checkpoint that a station, witness or auditor kept: the note, and what it says.
pub(crate) fn read_checkpoint(file: &Path, keys: &LogKeys) -> Result<(String, Checkpoint)> {
    read_by(file, |note| keys.open(note))
}

/// The same for one that may be of entries that the log has lost: one of its keys signed it.
pub(crate) fn read_remembered(file: &Path, keys: &LogKeys) -> Result<(String, Checkpoint)> {
    read_by(file, |note| keys.open_remembered(note))
}

fn read_by(
    file: &Path,
    open: impl Fn(&str) -> Result<Checkpoint, String>,
) -> Result<(String, Checkpoint)> {
    let note = brought(file)?;
    let unusable = || {
        format!(
            "{} is no checkpoint signed by this log's key",
            file.display()
        )
    };
    let seen = open(&note)
        .map_err(|why| anyhow!(why))
        .with_context(unusable)?;
    Ok((note, seen))
}

fn reader(site: &Site) -> Result<Reader> {
    Reader::open(&site.ledger()).with_context(|| no_site(site))
}

fn no_site(site: &Site) -> String {
    let data = site.data().display();
    format!("{data} is no data directory: name it with --data")
}

/// As many threads as there are processors, within what is of use.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().min(8))
}
