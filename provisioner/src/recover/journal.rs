//! What a station handed over (`station-cli sync --export FILE`), read and held against the log's key.
//!
//! An entry in it counts only with its proof. The attempts under way are the station's word alone:
//! they block a serial, and give nobody anything.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use ring::digest::{Context as Sha256, SHA256};
use serde::Deserialize;
use tlog::{Checkpoint, EntryProof, LogKeys, Rotation, VerifierKey};
use traveler::{Attempt, DeviceId, Digest, Entry, Event, JournalUsed, Serial, StationName};

/// Longest line that is read: an entry has at most 65,535 bytes, which JSON may escape.
const LINE_MAX: u64 = 1024 * 1024;
/// Lines of one file: two full files of a station have a tenth of it.
const LINES_MAX: u64 = 1_000_000;

/// One station's file.
pub(super) struct Journal {
    pub(super) station: StationName,
    /// The newest log that the station remembers, as signed; none when it remembers none.
    pub(super) remembered: Option<(String, Checkpoint)>,
    pub(super) open: Vec<OpenAttempt>,
    /// By the number each had.
    pub(super) proven: BTreeMap<u64, ProvenEntry>,
    sha256: Digest,
}

/// An attempt that the station has under way.
#[derive(Deserialize)]
pub(super) struct OpenAttempt {
    pub(super) serial: Serial,
    pub(super) device_id: DeviceId,
    pub(super) issued: Option<OpenIssue>,
}

/// What the station knows of its issue.
#[derive(Deserialize)]
pub(super) struct OpenIssue {
    pub(super) attempt: Attempt,
}

/// An entry with its proof.
pub(super) struct ProvenEntry {
    pub(super) entry: Entry,
    pub(super) proof: String,
    pub(super) checkpoint: Checkpoint,
}

#[derive(Deserialize)]
struct Header {
    birthmark_journal: u32,
    station: StationName,
    vkey: String,
    checkpoint: String,
    /// How the log's keys were handed over, as far as the station has seen it.
    #[serde(default)]
    rotations: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Open { open: OpenAttempt },
    Kept { entry: String, proof: String },
}

impl Journal {
    /// Reads a file whole; whatever is wrong with it is said with its line.
    pub(super) fn read(file: &Path, keys: &LogKeys) -> Result<Journal> {
        let all: Vec<VerifierKey> = keys.all().cloned().collect();
        let unusable = || format!("cannot use {}", file.display());
        let mut lines = BufReader::new(File::open(file).with_context(unusable)?);
        let mut sha256 = Sha256::new(&SHA256);
        let mut journal: Option<Journal> = None;
        for number in 1..=LINES_MAX {
            let mut line = Vec::new();
            let limited = lines.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
            if limited.with_context(unusable)? == 0 {
                break;
            }
            sha256.update(&line);
            let odd = || {
                format!(
                    "{}, line {number}: it is not as a station wrote it, take it from there again",
                    file.display()
                )
            };
            match &mut journal {
                None => {
                    let header = serde_json::from_slice(&line).with_context(odd)?;
                    journal = Some(begin(header, keys).with_context(unusable)?);
                }
                Some(journal) => journal.take(&line, &all).with_context(odd)?,
            }
        }
        let mut journal = journal.with_context(|| format!("{} is empty", file.display()))?;
        journal.sha256.0.copy_from_slice(sha256.finish().as_ref());
        Ok(journal)
    }

    fn take(&mut self, line: &[u8], keys: &[VerifierKey]) -> Result<()> {
        match serde_json::from_slice(line)? {
            Line::Open { open } => self.open.push(open),
            Line::Kept { entry, proof } => {
                let bytes = entry.into_bytes();
                let entry = Entry::from_bytes(&bytes)?;
                if entry.to_bytes() != bytes {
                    bail!(
                        "entry {} was written by another version: use that one",
                        entry.seq
                    );
                }
                let read = EntryProof::parse(&proof)?;
                let checkpoint = read.verify_by(&tlog::leaf_hash(&bytes), keys)?;
                if read.index != entry.seq {
                    bail!("it says that it is entry {}, not {}", entry.seq, read.index);
                }
                let proven = ProvenEntry {
                    entry,
                    proof,
                    checkpoint,
                };
                self.proven.insert(proven.entry.seq, proven);
            }
        }
        Ok(())
    }

    /// What the log says of this file.
    pub(super) fn used(&self) -> JournalUsed {
        JournalUsed {
            station: self.station.clone(),
            sha256: self.sha256,
            entries: self.proven.len() as u64,
            open: self.open.len() as u64,
        }
    }

    /// Whether it proves the issue of this attempt, or the lease that it came of.
    pub(super) fn proves_issue(&self, serial: &Serial, attempt: Attempt) -> bool {
        let is = |of: &Serial, nth: Attempt| *of == *serial && nth == attempt;
        self.proven.values().any(|one| match &one.entry.event {
            Event::Issued(issued) => is(&issued.step.serial, issued.step.attempt),
            Event::Leased(leased) => is(&leased.lease.serial, leased.lease.attempt),
            _ => false,
        })
    }
}

fn begin(header: Header, keys: &LogKeys) -> Result<Journal> {
    if header.birthmark_journal != 1 {
        bail!(
            "it has form {}, of a newer station",
            header.birthmark_journal
        );
    }
    let known = VerifierKey::parse(&header.vkey)?;
    if known.name() != keys.newest().name() {
        bail!("it is of the log {known}, this is {}", keys.newest());
    }
    let rotations = header.rotations.iter().map(|note| Rotation::open(note));
    let later = rotations.map(|told| Ok(told?.new));
    for key in later.chain([Ok(known)]).collect::<Result<Vec<_>>>()? {
        if keys.hold(&key).is_err() {
            bail!(
                "the station knows the log under the key {key}, which the log put back does not \
                 name: it was rotated after the copy; recover with an export that was made since \
                 (--bundle)"
            );
        }
    }
    let remembered = match header.checkpoint.as_str() {
        "" => None,
        note => {
            let seen = keys.open_remembered(note).map_err(|why| anyhow!(why))?;
            Some((note.to_owned(), seen))
        }
    };
    Ok(Journal {
        station: header.station,
        remembered,
        open: Vec::new(),
        proven: BTreeMap::new(),
        sha256: Digest([0; 32]),
    })
}
