//! A disk in memory that keeps a journal of all that was done to it, so that what a crash at any
//! moment would have left can be made afterwards.
#![allow(missing_docs, unreachable_pub)] // used by this sweep alone

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use ledger::{Disk, DiskFile};

/// One thing that was done. Files are numbered as they are made; names come and go.
#[derive(Clone)]
enum Act {
    Create(String, usize),
    Write(usize, u64, Vec<u8>),
    Sync(usize),
    Rename(String, String),
    Remove(String),
    SyncNames,
}

/// How the act at which the power goes ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// Nothing of it is done.
    Lost,
    /// Half of it is.
    Torn,
    /// All of it is, and nobody was told.
    Done,
}

/// What becomes of writes that no sync made durable, and of names alike.
#[derive(Clone, Copy, Debug)]
pub enum Unsynced {
    Kept,
    Gone,
    /// Every other one is gone.
    Mixed,
}

#[derive(Default)]
struct Platter {
    files: Vec<Vec<u8>>,
    names: BTreeMap<String, usize>,
    journal: Vec<Act>,
}

/// The disk. Clones are the same one.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<Platter>>);

impl SimDisk {
    /// Acts so far.
    pub fn acts(&self) -> usize {
        self.platter().journal.len()
    }

    /// Whether act `n` can be torn.
    pub fn is_write(&self, n: usize) -> bool {
        matches!(self.platter().journal[n], Act::Write(..))
    }

    /// The disk as a crash at act `n` leaves it.
    pub fn after_crash(&self, n: usize, end: End, unsynced: Unsynced) -> SimDisk {
        let journal = self.platter().journal.clone();
        let (mut now, mut safe) = (Platter::default(), Platter::default());
        let mut pending: Vec<Vec<(u64, Vec<u8>)>> = Vec::new();
        let last = match (end, &journal[n]) {
            (End::Lost, _) => None,
            (End::Torn, Act::Write(file, at, bytes)) => {
                Some(Act::Write(*file, *at, bytes[..bytes.len() / 2].to_vec()))
            }
            (_, act) => Some(act.clone()),
        };
        for act in journal[..n].iter().cloned().chain(last) {
            match &act {
                Act::Create(..) => {
                    pending.push(Vec::new());
                    safe.files.push(Vec::new());
                }
                Act::Write(file, at, bytes) => pending[*file].push((*at, bytes.clone())),
                Act::Sync(file) => {
                    for (at, bytes) in pending[*file].drain(..) {
                        put(&mut safe.files[*file], at, &bytes);
                    }
                }
                Act::SyncNames => safe.names = now.names.clone(),
                Act::Rename(..) | Act::Remove(_) => {}
            }
            now.apply(act);
        }
        for (file, writes) in pending.into_iter().enumerate() {
            for (nth, (at, bytes)) in writes.into_iter().enumerate() {
                let keep = match unsynced {
                    Unsynced::Kept => true,
                    Unsynced::Gone => false,
                    Unsynced::Mixed => nth % 2 == 1,
                };
                if keep {
                    put(&mut safe.files[file], at, &bytes);
                }
            }
        }
        if !matches!(unsynced, Unsynced::Gone) {
            safe.names = now.names;
        }
        SimDisk(Arc::new(Mutex::new(safe)))
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    fn act(&self, act: Act) {
        let mut platter = self.platter();
        platter.journal.push(act.clone());
        platter.apply(act);
    }
}

impl Platter {
    fn apply(&mut self, act: Act) {
        match act {
            Act::Create(name, file) => {
                self.files.push(Vec::new());
                assert_eq!(self.files.len(), file + 1);
                self.names.insert(name, file);
            }
            Act::Write(file, at, bytes) => put(&mut self.files[file], at, &bytes),
            Act::Rename(from, to) => {
                let file = self.names.remove(&from).unwrap();
                self.names.insert(to, file);
            }
            Act::Remove(name) => drop(self.names.remove(&name)),
            Act::Sync(_) | Act::SyncNames => {}
        }
    }
}

fn put(file: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let at = at as usize;
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.platter().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.platter().names.get(name).copied();
        let file = file.ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        Ok(Box::new(SimFile(self.clone(), file)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.platter().files.len();
        self.act(Act::Create(name.to_owned(), file));
        Ok(Box::new(SimFile(self.clone(), file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.act(Act::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.act(Act::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.act(Act::SyncNames);
        Ok(())
    }
}

struct SimFile(SimDisk, usize);

impl DiskFile for SimFile {
    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let platter = self.0.platter();
        let file = &platter.files[self.1];
        let from = at as usize;
        let there = file.get(from..from + bytes.len());
        bytes.copy_from_slice(there.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.act(Act::Write(self.1, at, bytes.to_vec()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.act(Act::Sync(self.1));
        Ok(())
    }
}
