//! What joins on to the log as it was put back: entries that come again byte for byte.
//!
//! From an export, or from stations whose entries lie side by side. The tables follow from the
//! entries, so the log is whole again as far as they go: the same bytes at the same places under the
//! same roots, judged by the same rules as when they were written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use hsm::Hsm;
use ledger::{Audit, Ledger, Reader};
use tlog::{Checkpoint, LogKeys, NoteError, VerifierKey};
use traveler::{Change, Entry, Event};

use super::journal::Journal;
use crate::audit::{read_checkpoint, read_remembered};
use crate::serve;
use crate::site::Site;

/// Entries in one transaction.
const BATCH: usize = 256;
/// The checkpoint that was beside the log, for as long as `recover` is at work.
pub(crate) const ASIDE: &str = "checkpoint.before-recover";

/// The keys of the log, as the bundle or else the log itself names them.
///
/// A rotation that neither of them has is lost with the rest: what the next key signed can be held
/// against nothing, and nobody could follow the log from there. So nothing is recovered then.
pub(super) fn log_keys(site: &Site, bundle: Option<&Path>) -> Result<LogKeys> {
    let key = site.vkey()?;
    let keys = match bundle {
        Some(bundle) => ledger::bundle_keys(bundle, &key)?,
        None => Reader::open(&site.ledger())?.log_keys()?,
    };
    match keys.hold(&key) {
        Ok(()) => Ok(keys),
        Err(_) => bail!(
            "the site's key is {key} and the log put back does not name it: the key was rotated \
             after the copy; recover with an export that was made since (--bundle)"
        ),
    }
}

/// The log's size and root.
pub(super) fn end_of(site: &Site, keys: &LogKeys) -> Result<Checkpoint> {
    let reader = Reader::open(&site.ledger())?;
    let size = reader.size()?;
    let root = reader.root_at(size)?.context("the log has no root")?;
    Ok(Checkpoint {
        origin: keys.newest().name().to_owned(),
        size,
        root,
    })
}

/// The entries that a bundle has behind the log's own, once the bundle is shown to be whole and to
/// go on from the log and from all that is remembered of what it covers.
pub(super) fn from_bundle(
    site: &Site,
    keys: &LogKeys,
    bundle: &Path,
    remembered: &[Checkpoint],
) -> Result<Vec<Vec<u8>>> {
    let (_, told) = read_checkpoint(&bundle.join("checkpoint"), keys)?;
    let own = end_of(site, keys)?;
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
    let report = ledger::verify_bundle_with(bundle, keys.newest(), &audit)?;
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
    ledger::bundle_entries(bundle, keys.newest(), from, &mut |_, bytes| {
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

/// Writes entries behind the log's own, each signed over by whoever signs at its place.
pub(super) fn bring_back(site: &Site, hsm: &Arc<dyn Hsm>, entries: &[Vec<u8>]) -> Result<()> {
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
    let mut signer = serve::log_key(log.vkey(), hsm)?.signer;
    let rotates = |change: &Change| matches!(change.events[..], [Event::LogKeyRotated { .. }]);
    let refused = "the rules refuse an entry that they once let through";
    for run in changes.chunk_by(|a, b| !rotates(a) && !rotates(b)) {
        if let [Change { events, .. }] = run
            && let [Event::LogKeyRotated { vkey, .. }] = &events[..]
        {
            let new = serve::log_key(&VerifierKey::parse(vkey)?, hsm)?.signer;
            log.rotate(&run[0], &signer, &new)?.context(refused)?;
            signer = new;
            continue;
        }
        for batch in run.chunks(BATCH) {
            for written in log.append(batch, &signer)? {
                written.context(refused)?;
            }
        }
    }
    if site.vkey()? != *log.vkey() {
        site.put_vkey(log.vkey())?;
    }
    log.close()?;
    Ok(())
}

/// Whether a whole checkpoint of this log is there that none of its keys signed.
fn signed_by_another(file: &Path, keys: &LogKeys) -> bool {
    let note = crate::site::read(file).unwrap_or_default();
    let all: Vec<VerifierKey> = keys.all().cloned().collect();
    let unknown = matches!(tlog::open_note(&note, &all), Err(NoteError::NotSigned));
    let text = note.split_once("\n\n").map(|(text, _)| format!("{text}\n"));
    let seen = text.and_then(|text| Checkpoint::parse(&text).ok());
    unknown && seen.is_some_and(|seen| seen.origin == keys.newest().name())
}

/// The checkpoints beside the log: the newest one, and one that an earlier run set aside.
pub(super) struct Tripwires {
    beside: PathBuf,
    aside: PathBuf,
    pub(super) seen: Vec<(String, Checkpoint)>,
}

impl Tripwires {
    pub(super) fn read(site: &Site, keys: &LogKeys) -> Result<Tripwires> {
        let [beside, aside] = ["checkpoint", ASIDE].map(|name| site.data().join(name));
        let mut seen = Vec::new();
        for file in [&beside, &aside] {
            // What a power cut leaves of it is no checkpoint and claims nothing.
            if let Ok(read) = read_remembered(file, keys) {
                seen.push(read);
            } else if signed_by_another(file, keys) {
                bail!(
                    "{} is signed by a key that the log put back does not name: the key was \
                     rotated after the copy; recover with an export that was made since (--bundle)",
                    file.display()
                );
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

    /// A run that broke off may have written all there was to write but this file: its absence would
    /// be held against whoever runs the server.
    pub(super) fn put_back(&self, newest: Option<String>) -> Result<()> {
        if let Some(note) = newest.filter(|_| !self.beside.exists()) {
            crate::site::replace_durably(&self.beside, note.as_bytes(), false)?;
        }
        Ok(())
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
