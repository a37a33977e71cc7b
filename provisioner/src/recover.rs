//! A log that was put back from a copy learns again what came after the copy.
//!
//! An exported bundle holds the entries byte for byte, and the tables follow from the entries, so
//! a bundle that is newer than the copy makes the log whole again: the same bytes at the same
//! places under the same roots, judged by the same rules as when they were written. Stations and
//! witnesses then find what they remember, and go on. Nothing is made up: what is in no bundle is
//! named, and whoever remembers it goes on refusing, since a serial sealed there would be blank
//! here and could be issued twice.
//!
//! Nothing is written before all of it is checked. A crash on the way leaves a log that is whole
//! and shorter, and that no server opens; running it again goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use hsm::Hsm;
use ledger::{Audit, Ledger, Reader};
use serde_json::json;
use tlog::{Checkpoint, LogKeys, VerifierKey};
use traveler::{Change, Entry, Event};

use crate::audit::read_checkpoint;
use crate::cli::{Format, print};
use crate::config::Config;
use crate::figures::hex;
use crate::pin::PinArgs;
use crate::serve;
use crate::site::Site;

/// Entries in one transaction.
const BATCH: usize = 256;
/// The checkpoint that was beside the log, for as long as the log is shorter than it says.
pub(crate) const ASIDE: &str = "checkpoint.before-recover";
/// Some remember more than could be brought back.
const LOST: u8 = 1;

/// The arguments of `recover`.
#[derive(clap::Args, Debug)]
pub(crate) struct RecoverArgs {
    /// The newest export of this log that anybody has.
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    /// A checkpoint that a station or witness remembers; may be given again.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    #[command(flatten)]
    pin: PinArgs,
    /// Accept a software token in place of an HSM.
    #[arg(long)]
    allow_simulated_hsm: bool,
}

/// `provisioner recover`, with the log's key as it is in the HSM.
pub(crate) fn run(site: &Site, args: RecoverArgs, format: Format) -> Result<ExitCode> {
    let mut config = Config::read(site.data())?;
    config.allow_simulated_hsm |= args.allow_simulated_hsm;
    args.pin.tell(&mut config)?;
    let hsm = serve::open_hsm(site, &config)?;
    let bundle = args.bundle.as_path();
    let key = site.vkey()?;
    let keys = ledger::bundle_keys(bundle, &key)?;
    let mut seen = Vec::new();
    for file in &args.checkpoint {
        seen.push(read_checkpoint(file, &keys)?.1);
    }
    // No root, only how many: enough to know that some are lost, and what the server holds the log
    // against when it starts.
    let mark = hsm.high_water(key.name())?.unwrap_or(0);
    let before = check(site, &key, bundle)?;
    let tripwires = Tripwires::read(site, &keys)?;
    hold(bundle, &key, &tripwires.seen)?;
    // Only now, and kept: until the log is as long again, it accuses the log of being short.
    tripwires.set_aside()?;
    let after = bring_back(site, &hsm, bundle, &keys, before)?;
    tripwires.done()?;

    let most = seen.iter().map(|seen| seen.size).fold(mark, u64::max);
    let (size, root) = (after.size, after.root);
    let good = most <= size && goes_on(site, &seen)?;
    let lost = most.saturating_sub(size);
    let fact = json!({
        "entries_before": before,
        "entries": size,
        "root": hex(&root),
        "remembered": most,
        "lost": lost,
        "recovered": good,
    });
    print(format, &fact, || {
        let mut text = format!("{before} entries were there, {size} are there now\n");
        if lost > 0 {
            text.push_str(&format!(
                "{lost} entries are lost: a log of {most} entries is remembered and no bundle \
                 here has entry {size} and those after it. Find a newer bundle and run this \
                 again; until then whoever remembers them rightly refuses this log.\n"
            ));
        } else if !good {
            text.push_str("a checkpoint that is remembered is of another history of this log\n");
        }
        text
    })?;
    Ok(match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(LOST),
    })
}

/// Checks the bundle whole and that it goes on from the log; how many entries the log has.
fn check(site: &Site, key: &VerifierKey, bundle: &Path) -> Result<u64> {
    let reader = Reader::open(&site.ledger())?;
    let size = reader.size()?;
    let root = reader.root_at(size)?.context("the log has no root")?;
    let own = Checkpoint {
        origin: key.name().to_owned(),
        size,
        root,
    };
    hold(bundle, key, &[own])?;
    let mut odd = None;
    ledger::bundle_entries(bundle, key, size, &mut |seq, bytes| {
        let written = Entry::from_bytes(bytes).map(|entry| entry.to_bytes());
        if !written.is_ok_and(|written| written == bytes) {
            odd = odd.or(Some(seq));
        }
        Ok(())
    })?;
    match odd {
        Some(seq) => bail!("entry {seq} was written by another version: recover with that one"),
        None => Ok(size),
    }
}

/// The bundle is whole and goes on from each of these.
fn hold(bundle: &Path, key: &VerifierKey, seen: &[Checkpoint]) -> Result<()> {
    let audit = Audit {
        remembered: seen,
        ..Audit::default()
    };
    let report = ledger::verify_bundle_with(bundle, key, &audit)?;
    match report.findings.first() {
        Some(finding) => Err(anyhow!("{finding}")).context("this bundle cannot be used"),
        None => Ok(()),
    }
}

/// Writes the bundle's entries behind the log's own.
fn bring_back(
    site: &Site,
    hsm: &Arc<dyn Hsm>,
    bundle: &Path,
    keys: &LogKeys,
    from: u64,
) -> Result<Checkpoint> {
    let mut changes = Vec::new();
    ledger::bundle_entries(bundle, keys.newest(), from, &mut |_, bytes| {
        let entry = Entry::from_bytes(bytes)?;
        changes.push(Change {
            time: entry.time,
            simulated_hsm: entry.simulated_hsm,
            events: vec![entry.event],
        });
        Ok(())
    })?;
    // What no checkpoint covered was held against the bundle, so it may be signed over.
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
    site.put_vkey(log.vkey())?;
    let reader = log.reader()?;
    let size = reader.size()?;
    let root = reader.root_at(size)?.context("the log has no root")?;
    log.close()?;
    let (_, told) = read_checkpoint(&bundle.join("checkpoint"), keys)?;
    if size == told.size && root != told.root {
        bail!("the log does not lead to the bundle's root: put the copy back and keep all files");
    }
    Ok(Checkpoint {
        origin: keys.newest().name().to_owned(),
        size,
        root,
    })
}

/// Whether the log begins with what each of these was signed over.
fn goes_on(site: &Site, seen: &[Checkpoint]) -> Result<bool> {
    let reader = Reader::open(&site.ledger())?;
    for seen in seen {
        if reader.root_at(seen.size)? != Some(seen.root) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The checkpoints beside the log: the newest one, and one that an earlier run set aside.
struct Tripwires {
    beside: PathBuf,
    aside: PathBuf,
    seen: Vec<Checkpoint>,
}

impl Tripwires {
    fn read(site: &Site, keys: &LogKeys) -> Result<Tripwires> {
        let [beside, aside] = ["checkpoint", ASIDE].map(|name| site.data().join(name));
        let mut seen = Vec::new();
        for file in [&beside, &aside] {
            // What a power cut leaves of it is no checkpoint and claims nothing.
            if let Ok((_, checkpoint)) = read_checkpoint(file, keys) {
                seen.push(checkpoint);
            }
        }
        Ok(Tripwires {
            beside,
            aside,
            seen,
        })
    }

    /// An earlier one that was set aside claims as much or more, and stays.
    fn set_aside(&self) -> Result<()> {
        if self.beside.exists() && !self.aside.exists() {
            fs::rename(&self.beside, &self.aside)?;
            crate::site::sync_folder_of(&self.aside)?;
        }
        if self.beside.exists() {
            fs::remove_file(&self.beside)?; // of the batches of a run that broke off
        }
        Ok(())
    }

    fn done(&self) -> Result<()> {
        match fs::remove_file(&self.aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}
