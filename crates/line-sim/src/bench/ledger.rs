//! `line-sim bench ledger`: what an append, a duplicate check and a start cost, and whether history
//! makes them dearer.
//!
//! One run, one machine: every figure is a ratio of slices taken in turns, so that what else the
//! machine does falls on all of them. The disk's own group commit is measured beside the log.

mod raw;
mod report;
pub(super) mod start;
pub(super) mod store;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cli::{Format, print, say};
use raw::Raw;
use report::{Behind, Figures, Share};
use store::{Store, fingerprint};

/// Changes in one group commit.
const BATCHES: [usize; 3] = [1, 10, 100];
/// Rounds of slices; figures are medians over them.
const ROUNDS: usize = 9;
/// Length of one slice.
const SLICE: Duration = Duration::from_millis(250);
/// Batches made ready for a slice, which ends when they are spent.
const READY: usize = 400;
/// Look-ups in one slice of duplicate checks.
const CHECKS: u64 = 20_000;
/// Entries of history, and with `--full`.
const HISTORY: [u64; 3] = [0, 1_000_000, 10_000_000];
const FULL: u64 = 50_000_000;

/// How long the histories are, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The longest history, in entries.
    #[arg(long, value_name = "N", default_value_t = HISTORY[2], value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    history: u64,
    /// Also with 50,000,000 entries: 50 GB of disk and some 15 minutes.
    #[arg(long)]
    full: bool,
    /// Where the logs are made [default: a temporary folder, removed at the end].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(args: Args, format: Format) -> Result<ExitCode> {
    let data = args.data.unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&data)?;
    let folder = tempfile::Builder::new()
        .prefix("birthmark-bench-")
        .tempdir_in(data)?;
    let mut sizes: Vec<u64> = HISTORY.into_iter().filter(|&n| n < args.history).collect();
    sizes.push(args.history);
    if args.full && args.history < FULL {
        sizes.push(FULL);
    }
    let figures = measure(folder.path(), &sizes)?;
    print(format, &figures.json(), &figures.text());
    Ok(ExitCode::SUCCESS)
}

/// One log under test and what was seen of it.
struct Subject {
    store: Store,
    behind: Behind,
}

fn measure(folder: &Path, sizes: &[u64]) -> Result<Figures> {
    let begin = Instant::now();
    let mut subjects = Vec::new();
    for &entries in sizes {
        say(&format!("making a log of {entries} entries"));
        let made = Instant::now();
        let mut store = Store::make(&folder.join(entries.to_string()), entries)?;
        store.settle()?;
        let mut behind = Behind::new(store.ledger.reader()?.size()?);
        behind.made_s = made.elapsed().as_secs_f64();
        behind.units = behind.entries / 3;
        subjects.push(Subject { store, behind });
    }
    let mut raw = Raw::make(folder)?;
    let mut shares = Vec::new();
    for batch in BATCHES {
        say(&format!("appending in batches of {batch}"));
        shares.push(appends(&mut subjects, &mut raw, batch)?);
    }
    say("looking for duplicates");
    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            checks(subject)?;
        }
    }
    say("starting after kill -9");
    let mut behinds = Vec::new();
    for Subject { store, mut behind } in subjects {
        let path = store.path.clone();
        drop(store);
        let started = start::measure(&path)?;
        behind.ready_ms = started.ready_ms;
        behind.resident_kb = started.resident_kb;
        behinds.push(behind);
    }
    Ok(Figures {
        shares,
        behinds,
        seconds: begin.elapsed().as_secs_f64(),
    })
}

/// Rounds of slices at one batch size: the disk, then each log.
fn appends(subjects: &mut [Subject], raw: &mut Raw, batch: usize) -> Result<Share> {
    let mut share = Share::new(batch, subjects.len());
    for _ in 0..ROUNDS {
        let mut bytes = None;
        let mut rates = Vec::new();
        for Subject { store, behind } in subjects.iter_mut() {
            let batches = store.batches(batch, READY)?;
            let bytes = *bytes.get_or_insert_with(|| length(&batches));
            let syncs = store.ledger.syncs();
            // The disk's turn comes right beside each log's.
            let disk = slice(READY, |_| raw.append(&vec![0x5a; bytes]))?;
            let log = slice(batches.len(), |n| store.append(&batches[n]))?;
            let done = log.done as f64;
            behind
                .syncs
                .push((store.ledger.syncs() - syncs) as f64 / done);
            rates.push((log.rate() * batch as f64, disk.rate() * batch as f64));
        }
        share.round(&rates);
    }
    Ok(share)
}

/// Bytes of entries in one of these batches, on the average.
fn length(batches: &[Vec<traveler::Change>]) -> usize {
    let entry = |change: &traveler::Change| {
        let event = change.events.first()?.clone();
        let entry = traveler::Entry {
            seq: 1_000_000,
            time: change.time,
            simulated_hsm: true,
            event,
        };
        Some(entry.to_bytes().len())
    };
    let all: usize = batches.iter().flatten().filter_map(entry).sum();
    all / batches.len().max(1)
}

struct Slice {
    done: usize,
    took: Duration,
}

impl Slice {
    fn rate(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }
}

/// Does it again and again for the length of a slice, at most `most` times.
fn slice(most: usize, mut one: impl FnMut(usize) -> Result<()>) -> Result<Slice> {
    let begin = Instant::now();
    let mut done = 0;
    while done < most && (done == 0 || begin.elapsed() < SLICE) {
        one(done)?;
        done += 1;
    }
    Ok(Slice {
        done,
        took: begin.elapsed(),
    })
}

/// One slice of checks for fingerprints that were never issued, as nearly all are.
fn checks(subject: &mut Subject) -> Result<()> {
    let Subject { store, behind } = subject;
    let from = u64::MAX / 4 + behind.checks_ns.len() as u64;
    let mut took = Vec::with_capacity(CHECKS as usize);
    for n in 0..CHECKS {
        let asked = fingerprint(from + n);
        let begin = Instant::now();
        store.ledger.measure_check(&asked)?;
        took.push(begin.elapsed().as_nanos() as f64);
    }
    behind.checks_ns.extend(took);
    Ok(())
}
