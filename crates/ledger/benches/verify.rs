//! How fast an audit is, as a share of the one thing it cannot do without: hashing every leaf.
//!
//! `cargo bench -p ledger --bench verify -- [UNITS]` (default 20,000 units, three entries each).
//! Both are measured in the same run, in turns, and the medians of 9 are compared: an audit with some
//! threads with hashing by as many, which split the leaves between them and do nothing else. A share
//! of 1 would mean that parsing, rules and reading cost nothing. The second share is of processor
//! time, all threads together: what else the machine does falls out of it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench says its figures, and one that cannot be set up must fail"
)]

#[path = "../tests/line/mod.rs"]
mod line;

use std::hint::black_box;
use std::time::Instant;

use ledger::{Audit, export, verify_bundle_with, verify_with};
use line::*;
use tlog::CheckpointSigner;
use traveler::{Change, Event};

const ROUNDS: usize = 9;
/// Changes in one transaction: as many as a busy server has.
const BATCH: u32 = 256;

fn main() {
    let units = std::env::args().find_map(|word| word.parse().ok());
    let units: u32 = units.unwrap_or(20_000).clamp(1, 1_000_000);
    let mut line = Line::new();
    line.ok(order_created("WO-2", units, 20));
    let own = |event: fn(&str, u32) -> Event| {
        move |unit: &String| {
            let mut event = event(unit, 1);
            match &mut event {
                Event::Issued(issued) => issued.step.order = order("WO-2"),
                Event::Loaded { step, .. } | Event::Sealed { step, .. } => {
                    step.order = order("WO-2");
                }
                _ => {}
            }
            event
        }
    };
    for first in (0..units).step_by(BATCH as usize) {
        let names = (first..units.min(first + BATCH)).map(|unit| format!("BM-{unit:07}"));
        let names: Vec<String> = names.collect();
        let batch = |event: &dyn Fn(&String) -> Event| -> Vec<Change> {
            names.iter().map(|name| change(vec![event(name)])).collect()
        };
        for batch in [
            batch(&own(issue)),
            batch(&|name| match own(loaded)(name) {
                Event::Loaded {
                    step,
                    receipt_signed,
                    profile_sha256,
                    ..
                } => Event::Loaded {
                    bundle_sha256: issue_of(step.clone()).bundle_sha256,
                    step,
                    receipt_signed,
                    profile_sha256,
                },
                other => other,
            }),
            batch(&own(sealed)),
        ] {
            for outcome in line.ledger.append(&batch, line.key.as_ref()).unwrap() {
                outcome.unwrap();
            }
        }
    }
    let out = line.folder.path().join("export");
    export(&line.path, line.key.vkey(), &out).unwrap();
    let mut entries = Vec::new();
    let reader = line.ledger.reader().unwrap();
    reader
        .entries(0, &mut |_, bytes| entries.push(bytes.to_vec()))
        .unwrap();
    measure(&line, &out, &entries);
}

fn measure(line: &Line, out: &std::path::Path, entries: &[Vec<u8>]) {
    let key = line.key.vkey();
    let bytes: usize = entries.iter().map(Vec::len).sum();
    println!(
        "{} entries of {} bytes on average; medians of {ROUNDS}",
        entries.len(),
        bytes / entries.len()
    );
    let audit = |threads| Audit {
        threads,
        ..Audit::default()
    };
    let bundle = |threads| {
        let report = verify_bundle_with(out, key, &audit(threads)).unwrap();
        assert_eq!(report.findings, []);
    };
    let database = |threads| {
        let report = verify_with(&line.path, key, &audit(threads), &mut |_, _| {}).unwrap();
        assert_eq!(report.findings, []);
    };
    let hash_all = |entries: &[Vec<u8>]| {
        for entry in entries {
            black_box(tlog::leaf_hash(black_box(entry)));
        }
    };
    let hash = |threads: usize| {
        std::thread::scope(|scope| {
            for part in entries.chunks(entries.len().div_ceil(threads)) {
                scope.spawn(move || hash_all(part));
            }
        });
    };
    let parse = || {
        for entry in entries {
            black_box(traveler::Entry::from_bytes(black_box(entry)).unwrap());
        }
    };
    // Each with the work that it is a share of.
    let work: [(&str, usize, &dyn Fn()); 7] = [
        ("hashing, 1 thread", 0, &|| hash(1)),
        ("hashing, 2 threads", 1, &|| hash(2)),
        ("parsing, 1 thread", 0, &parse),
        ("bundle, 1 thread", 0, &|| bundle(1)),
        ("bundle, 2 threads", 1, &|| bundle(2)),
        ("database, 1 thread", 0, &|| database(1)),
        ("database, 2 threads", 1, &|| database(2)),
    ];
    compare(&work, entries.len() as f64);
}

/// Runs each in turns and says what share it is of the one it is a share of.
fn compare(work: &[(&str, usize, &dyn Fn())], entries: f64) {
    let mut times = vec![vec![]; work.len()];
    let mut busy = vec![0; work.len()];
    for _ in 0..ROUNDS {
        for (((_, _, run), times), busy) in work.iter().zip(&mut times).zip(&mut busy) {
            let (started, before) = (Instant::now(), ticks());
            run();
            times.push(started.elapsed().as_secs_f64());
            *busy += ticks() - before;
        }
    }
    let medians: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect();
    for (((name, of, _), median), own) in work.iter().zip(&medians).zip(&busy) {
        println!(
            "{name:<20} {:>10.0} entries/s   {:>6.2} us an entry   {:.3} of {}, {:.3} of its \
             processor time",
            entries / median,
            median * 1e6 / entries,
            medians[*of] / median,
            work[*of].0,
            busy[*of] as f64 / *own as f64
        );
    }
}

/// Processor time of this process, all threads together, in ticks of 10 ms; 0 where `/proc` is not.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, which may hold anything, ends with the last bracket; utime and stime are the 12th
    // and 13th words behind it (proc(5)).
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let words = behind.split_whitespace().skip(11).take(2);
    words.filter_map(|word| word.parse::<u64>().ok()).sum()
}
