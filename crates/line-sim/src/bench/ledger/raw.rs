//! What the disk can do: group commit with nothing above it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;

/// Length of the file, which is written once before anything is measured and then over and over.
const LENGTH: usize = 64 * 1024 * 1024;

/// A file whose blocks are there already, so that a sync moves nothing but the data.
pub(super) struct Raw {
    file: File,
    at: usize,
}

impl Raw {
    pub(super) fn make(folder: &Path) -> Result<Raw> {
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(true)
            .write(true)
            .open(folder.join("raw"))?;
        let zeros = vec![0; 1024 * 1024];
        for at in (0..LENGTH).step_by(zeros.len()) {
            file.write_all_at(&zeros, at as u64)?;
        }
        file.sync_all()?;
        Ok(Raw { file, at: 0 })
    }

    /// Writes a batch's bytes and makes them durable.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.at + bytes.len() > LENGTH {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at as u64)?;
        self.file.sync_data()?;
        self.at += bytes.len();
        Ok(())
    }
}
