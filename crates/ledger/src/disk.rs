//! The files beside the database, behind a seam: the simulated line and the crash sweep put a disk
//! there that loses, tears and crashes; a server puts a folder.
//!
//! Deliberately absent: the database itself. SQLite brings its own file layer, and one of ours
//! would be unsafe code; `tests/sweep.rs` crashes it by what it leaves in its files.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A flat folder of files.
///
/// What a crash may do: a write that was not followed by [`DiskFile::sync`] is there, not there or
/// there in part; a name that was not followed by [`Disk::sync_names`] is the old one or the new.
pub trait Disk: Send + Sync {
    /// The names of the files; none when the folder was never written to.
    ///
    /// # Errors
    /// What the system says; so for every method here.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file for reading.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Makes an empty file, in place of one of that name.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, in place of one of that name, at once or not at all.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_names(&self) -> io::Result<()>;
}

/// One open file. It stays readable when its name is taken away.
pub trait DiskFile: Send + Sync {
    /// Fills `bytes` from byte `at` on.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] when the file ends before; what the system says.
    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// Writes `bytes` from byte `at` on.
    ///
    /// # Errors
    /// What the system says; part of it may be written.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written durable.
    ///
    /// # Errors
    /// What the system says; then nothing written since the last sync may be relied upon.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the file system. It is made by the first file.
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`.
    #[must_use]
    pub fn at(path: &Path) -> Folder {
        Folder(path.to_owned())
    }
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let files = match std::fs::read_dir(&self.0) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let names = files.map(|file| Ok(file?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::open(self.0.join(name))?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        std::fs::create_dir_all(&self.0)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        Ok(Box::new(options.open(self.0.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl DiskFile for File {
    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, at)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
