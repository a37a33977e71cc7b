//! What this station can prove of its units, for the day the server's disk dies.
//!
//! Each entry that the server proved to this station is kept with its proof, in its order, until
//! newer ones have filled two files. A server that was put back from a copy takes its units back by
//! these (`provisioner recover --journal`): signed by the log's own key, so that nobody can invent
//! one. It holds no secret: a fingerprint is keyed inside the HSM.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;
use serde::{Deserialize, Serialize};
use tlog::EntryProof;
use traveler::{Attempt, DeviceId, Entry, Serial, State, Step};

/// Bytes after which a new file is begun and the one before the last is dropped: a unit takes
/// about 5 kB, so at least the last 3,000 units are kept.
const FILE_MAX: u64 = 16 * 1024 * 1024;
/// Longest line that is read back: an entry has at most 65,535 bytes, which JSON may escape.
const LINE_MAX: u64 = 1024 * 1024;

/// One entry with its proof.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    /// The entry, byte for byte: it is JSON.
    pub(crate) entry: String,
    /// Its proof (c2sp.org/tlog-proof).
    pub(crate) proof: String,
}

impl Kept {
    /// `None` when the entry is not text, which no version's is.
    pub(crate) fn new(entry: &[u8], proof: &EntryProof) -> Option<Kept> {
        Some(Kept {
            entry: std::str::from_utf8(entry).ok()?.to_owned(),
            proof: proof.to_string(),
        })
    }

    /// The line that it is in the file.
    pub(crate) fn line(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// How far in its attempt a state is.
fn far(state: State) -> u8 {
    match state {
        State::Issued => 0,
        State::Loaded => 1,
        State::Sealed => 2,
        State::Voided | State::Rework | State::Scrapped => 3,
    }
}

/// The two files.
pub(crate) struct ProvenEntries {
    newer: PathBuf,
    older: PathBuf,
    lock: PathBuf,
}

impl ProvenEntries {
    /// Beside the checkpoint at this path.
    pub(crate) fn beside(checkpoint: &Path) -> ProvenEntries {
        let [newer, older, lock] = ["proven.jsonl", "proven.older.jsonl", "proven.lock"]
            .map(|name| checkpoint.with_file_name(name));
        ProvenEntries { newer, older, lock }
    }

    /// Keeps these lines; they are on disk when this returns. A crash on the way leaves a line without
    /// an end, which the next one does not go on from and nobody reads.
    pub(crate) fn append(&self, lines: &[Vec<u8>]) -> io::Result<()> {
        let lock = File::create(&self.lock)?;
        FileExt::lock_exclusive(&lock)?;
        if fs::metadata(&self.newer).is_ok_and(|file| file.len() >= FILE_MAX) {
            fs::rename(&self.newer, &self.older)?;
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .open(&self.newer)?;
        let mut bytes = lines.concat();
        if !ends_a_line(&mut file)? {
            bytes.insert(0, b'\n');
        }
        file.write_all(&bytes)?;
        file.sync_data()
    }

    /// Where this silicon stands under this serial, from this attempt on, as far as it was proven to
    /// this station: what another did with it since is not known here.
    pub(crate) fn newest(
        &self,
        serial: &Serial,
        device_id: &DeviceId,
        from: Attempt,
    ) -> io::Result<Option<(Step, State)>> {
        let mut newest: Option<(Step, State)> = None;
        self.each(|kept| {
            // Most are of others, and are not taken apart.
            if !kept.entry.contains(serial.as_str()) {
                return Ok(());
            }
            let entry = Entry::from_bytes(kept.entry.as_bytes()); // or of a newer server
            let event = entry.as_ref().ok().map(|entry| entry.event.happened());
            let step = event.and_then(|event| event.step());
            if let Some((step, state)) = step
                && (&step.serial, &step.device_id) == (serial, device_id)
                && step.attempt >= from
            {
                // A repeat is proven late.
                let before = newest
                    .as_ref()
                    .map(|(step, state)| (step.attempt, far(*state)));
                if before <= Some((step.attempt, far(state))) {
                    newest = Some((step.clone(), state));
                }
            }
            Ok(())
        })?;
        Ok(newest)
    }

    /// Hands out all that are kept, the oldest first.
    pub(crate) fn each(&self, mut take: impl FnMut(Kept) -> io::Result<()>) -> io::Result<()> {
        for path in [&self.older, &self.newer] {
            let file = match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let mut lines = BufReader::new(file);
            loop {
                let mut line = Vec::new();
                if lines.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
                    break;
                }
                // What a power cut tore was acknowledged to nobody.
                if let Ok(kept) = serde_json::from_slice(&line) {
                    take(kept)?;
                }
            }
        }
        Ok(())
    }
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(entry: &str) -> Kept {
        Kept {
            entry: entry.to_owned(),
            proof: "p\n".to_owned(),
        }
    }

    fn all(proven: &ProvenEntries) -> Vec<String> {
        let mut all = Vec::new();
        let read = proven.each(|kept| {
            all.push(kept.entry);
            Ok(())
        });
        read.unwrap();
        all
    }

    #[test]
    fn a_torn_line_costs_itself_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let proven = ProvenEntries::beside(&folder.path().join("checkpoint"));
        assert!(all(&proven).is_empty());
        proven.append(&[kept("1").line().unwrap()]).unwrap();
        let mut file = OpenOptions::new().append(true).open(&proven.newer).unwrap();
        file.write_all(b"{\"entry\":\"tor").unwrap();
        proven.append(&[kept("2").line().unwrap()]).unwrap();
        proven.append(&[kept("3").line().unwrap()]).unwrap();
        assert_eq!(all(&proven), ["1", "2", "3"]);
    }

    #[test]
    fn the_newest_are_kept_and_the_files_do_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let proven = ProvenEntries::beside(&folder.path().join("checkpoint"));
        for round in 0..4 {
            let kept = kept(&format!("first {round}"));
            proven.append(&[kept.line().unwrap()]).unwrap();
            let file = OpenOptions::new().write(true).open(&proven.newer).unwrap();
            file.set_len(FILE_MAX).unwrap(); // as if that many more had come
        }
        proven.append(&[kept("last").line().unwrap()]).unwrap();
        assert_eq!(all(&proven), ["first 3", "last"]);
    }
}
