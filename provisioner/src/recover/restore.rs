//! What joins on to the log as it was put back: entries that come again byte for byte.
//!
//! From an export, or from stations whose entries lie side by side. The tables follow from the
//! entries, so the log is whole again as far as they go: the same bytes at the same places under the
//! same roots, judged by the same rules as when they were written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use ledger::{Audit, Ledger, Reader};
use tlog::{Checkpoint, VerifierKey};
use traveler::{Change, Entry};

use super::journal::Journal;
use crate::audit::read_checkpoint;
use crate::keys::LogKey;
use crate::site::Site;

/// Entries in one transaction.
const BATCH: usize = 256;
/// The checkpoint that was beside the log, for as long as `recover` is at work.
pub(crate) const ASIDE: &str = "checkpoint.before-recover";

/// The log's size and root.
pub(super) fn end_of(site: &Site, key: &VerifierKey) -> Result<Checkpoint> {
    let reader = Reader::open(&site.ledger())?;
    let size = reader.size()?;
    let root = reader.root_at(size)?.context("the log has no root")?;
    Ok(Checkpoint {
        origin: key.name().to_owned(),
        size,
        root,
    })
}

/// The entries that a bundle has behind the log's own, once the bundle is shown to be whole and to
/// go on from the log and from all that is remembered of what it covers.
pub(super) fn from_bundle(
    site: &Site,
    key: &VerifierKey,
    bundle: &Path,
    remembered: &[Checkpoint],
) -> Result<Vec<Vec<u8>>> {
    let (_, told) = read_checkpoint(&bundle.join("checkpoint"), key)?;
    let own = end_of(site, key)?;
    let from = own.size;
    let mut held = vec![own];
    held.extend(
        remembered
            .iter()
            .filter(|seen| seen.size <= told.size)
            .cloned(),
    );
    let audit = Audit {
        remembered: &held,
        ..Audit::default()
    };
    let report = ledger::verify_bundle_with(bundle, key, &audit)?;
    if let Some(finding) = report.findings.first() {
        return Err(anyhow!("{finding}")).context("this bundle cannot be used");
    }
    if let Some(newer) = &report.newer {
        bail!(
            "entry {} was written by another version: recover with that one",
            newer.seq
        );
    }
    let mut entries = Vec::new();
    ledger::bundle_entries(bundle, key, from, &mut |_, bytes| {
        entries.push(bytes.to_vec());
        Ok(())
    })?;
    Ok(entries)
}

/// The entries that stations can prove to be the log's next ones, with none missing between.
pub(super) fn from_journals(
    site: &Site,
    journals: &[Journal],
    remembered: &[Checkpoint],
) -> Result<Vec<Vec<u8>>> {
    let reader = Reader::open(&site.ledger())?;
    let mut seen = remembered.to_vec();
    let mut entries = Vec::new();
    for seq in reader.size()?.. {
        let mut proven = journals
            .iter()
            .filter_map(|journal| journal.proven.get(&seq));
        let Some(one) = proven.next() else { break };
        if proven.any(|other| other.entry != one.entry) {
            break; // of two histories: no more than what is proven of each unit
        }
        seen.push(one.checkpoint.clone());
        entries.push(one.entry.to_bytes());
    }
    let good = reader.goes_on_to(&entries, &seen)?;
    entries.truncate(usize::try_from(good - reader.size()?)?);
    Ok(entries)
}

/// Writes entries behind the log's own.
pub(super) fn bring_back(site: &Site, signer: &Arc<LogKey>, entries: &[Vec<u8>]) -> Result<()> {
    let mut changes = Vec::new();
    for bytes in entries {
        let entry = Entry::from_bytes(bytes)?;
        if entry.to_bytes() != *bytes {
            bail!(
                "entry {} was written by another version: recover with that one",
                entry.seq
            );
        }
        changes.push(Change {
            time: entry.time,
            simulated_hsm: entry.simulated_hsm,
            events: vec![entry.event],
        });
    }
    // What no checkpoint covered was held against what comes back, so it may be signed over.
    let mut log = Ledger::open_unsigned(&site.ledger())?;
    for batch in changes.chunks(BATCH) {
        for written in log.append(batch, signer.as_ref())? {
            written.context("the rules refuse an entry that they once let through")?;
        }
    }
    log.close()?;
    Ok(())
}

/// The checkpoints beside the log: the newest one, and one that an earlier run set aside.
pub(super) struct Tripwires {
    beside: PathBuf,
    aside: PathBuf,
    pub(super) seen: Vec<(String, Checkpoint)>,
}

impl Tripwires {
    pub(super) fn read(site: &Site, key: &VerifierKey) -> Result<Tripwires> {
        let [beside, aside] = ["checkpoint", ASIDE].map(|name| site.data().join(name));
        let mut seen = Vec::new();
        for file in [&beside, &aside] {
            // What a power cut leaves of it is no checkpoint and claims nothing.
            if let Ok(read) = read_checkpoint(file, key) {
                seen.push(read);
            }
        }
        Ok(Tripwires {
            beside,
            aside,
            seen,
        })
    }

    /// An earlier one that was set aside claims as much or more, and stays.
    pub(super) fn set_aside(&self) -> Result<()> {
        if self.beside.exists() && !self.aside.exists() {
            fs::rename(&self.beside, &self.aside)?;
            crate::site::sync_folder_of(&self.aside)?;
        }
        if self.beside.exists() {
            fs::remove_file(&self.beside)?; // of the batches of a run that broke off
        }
        Ok(())
    }

    pub(super) fn done(&self) -> Result<()> {
        self.end()
    }

    /// The work goes on until this is taken away, whatever happens in between.
    pub(super) fn begin(&self) -> Result<()> {
        if !self.aside.exists() {
            crate::site::replace_durably(&self.aside, b"", false)?;
        }
        Ok(())
    }

    fn end(&self) -> Result<()> {
        match fs::remove_file(&self.aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}
