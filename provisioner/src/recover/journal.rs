//! What a station handed over (`station-cli sync --export FILE`), read and held against the log's key.
//!
//! An entry in it counts only with its proof. The attempts under way are the station's word alone:
//! they block a serial, and give nobody anything.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use ring::digest::{Context as Sha256, SHA256};
use serde::Deserialize;
use tlog::{Checkpoint, EntryProof, VerifierKey};
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
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Open { open: OpenAttempt },
    Kept { entry: String, proof: String },
}

impl Journal {
    /// Reads a file whole; whatever is wrong with it is said with its line.
    pub(super) fn read(file: &Path, key: &VerifierKey) -> Result<Journal> {
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
            let read = match &mut journal {
                None => header(&line, key).map(|read| journal = Some(read)),
                Some(journal) => journal.take(&line, key),
            };
            read.with_context(|| {
                format!(
                    "{}, line {number}: it is not as a station wrote it, take it from there again",
                    file.display()
                )
            })?;
        }
        let mut journal = journal.with_context(|| format!("{} is empty", file.display()))?;
        journal.sha256.0.copy_from_slice(sha256.finish().as_ref());
        Ok(journal)
    }

    fn take(&mut self, line: &[u8], key: &VerifierKey) -> Result<()> {
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
                let checkpoint = read.verify(&tlog::leaf_hash(&bytes), key)?;
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

    /// Whether it proves the issue of this attempt.
    pub(super) fn proves_issue(&self, serial: &Serial, attempt: Attempt) -> bool {
        self.proven.values().any(|one| {
            matches!(&one.entry.event, Event::Issued(issued)
                if issued.step.serial == *serial && issued.step.attempt == attempt)
        })
    }
}

fn header(line: &[u8], key: &VerifierKey) -> Result<Journal> {
    let header: Header = serde_json::from_slice(line)?;
    if header.birthmark_journal != 1 {
        bail!(
            "it has form {}, of a newer station",
            header.birthmark_journal
        );
    }
    if header.vkey != key.to_string() {
        bail!("it is of the log {}, this is {key}", header.vkey);
    }
    let remembered = match header.checkpoint.as_str() {
        "" => None,
        note => {
            let text = tlog::open_note(note, std::slice::from_ref(key))?;
            Some((note.to_owned(), Checkpoint::parse(text)?))
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
