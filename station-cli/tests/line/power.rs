//! The power as a station's disk sees it: what is left when it goes, and what has to be there when a
//! unit is done.

use std::fs::{self, File};
use std::future::Future;
use std::path::Path;
use std::sync::mpsc;

use fs4::fs_std::FileExt;
use station_cli::Home;
use traveler::{Attempt, Entry, Event, Serial, State};

use super::{Line, serial};

impl Line {
    /// The power is gone: the station has lost its memory, and with it whatever was still to be
    /// written. It starts again with what its disk held at that moment; who still writes for the one of
    /// before does so where nobody looks.
    pub fn cut(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        copy_at_once(self.folder.path(), folder.path());
        self.home = Home::open(folder.path()).unwrap();
        self.dead.push(std::mem::replace(&mut self.folder, folder));
        self.check_checkpoint();
    }

    /// How long the log is that this station remembers on its disk; never less than at the look before.
    pub fn check_checkpoint(&self) -> u64 {
        let note = fs::read_to_string(self.home.dir().join("checkpoint")).unwrap_or_default();
        let size = note.lines().nth(1).map_or(0, |size| size.parse().unwrap());
        let before = self.longest.replace(size);
        assert!(size >= before, "it remembered {before} entries, now {size}");
        size
    }

    /// A unit that is done was proven to this station, step by step, and the proofs are on its disk: by
    /// these alone a server that was put back from a copy takes it back.
    pub fn check_kept(&self, name: &str) {
        let books = self.server.books();
        let row = &books.units[&serial(name)];
        assert_eq!(row.state, State::Sealed);
        let kept = fs::read_to_string(self.home.dir().join("proven.jsonl")).unwrap_or_default();
        let kept: Vec<_> = kept.lines().filter_map(step_of).collect();
        for state in [State::Issued, State::Loaded, State::Sealed] {
            let step = (row.step.serial.clone(), row.step.attempt, state);
            assert!(kept.contains(&step), "no proof of {step:?} in {kept:?}");
        }
        let sealed = books.find(&row.step, State::Sealed).unwrap();
        assert!(self.check_checkpoint() > sealed, "a log without the seal");
    }
}

/// The step of a unit that a line of `proven.jsonl` proves.
fn step_of(line: &str) -> Option<(Serial, Attempt, State)> {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let entry = Entry::from_bytes(line["entry"].as_str().unwrap().as_bytes()).unwrap();
    match &entry.event {
        Event::Reprinted { .. } => None,
        event => {
            let (step, state) = event.step()?;
            Some((step.serial.clone(), step.attempt, state))
        }
    }
}

/// Nobody writes log or proofs meanwhile: a folder that changes while it is read would show what
/// never lay there together.
fn copy_at_once(from: &Path, to: &Path) {
    let _held = ["checkpoint.lock", "proven.lock"].map(|name| {
        let lock = File::create(from.join(name)).unwrap();
        FileExt::lock_exclusive(&lock).unwrap();
        lock
    });
    copy(from, to);
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        match from.is_dir() {
            true => {
                fs::create_dir(&to).unwrap();
                copy(&from, &to);
            }
            false => drop(fs::copy(&from, &to).unwrap()),
        }
    }
}

/// Runs something at a station whose disk is busy: what need not be there yet is not there before
/// this has ended, whatever else the machine does.
pub fn on_a_busy_disk<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (busy, free) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || free.recv());
    let done = runtime.block_on(work);
    drop(busy); // what waited is written now, before the runtime ends
    done
}
