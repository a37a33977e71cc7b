//! A printer that is a folder: something else prints from it, or a person looks into it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use traveler::Serial;
use zeroize::Zeroizing;

use super::{Labels, Printout, Taken};
use crate::durable;

/// A folder that a printer takes labels from: `SERIAL.zpl`, one a unit, the newest attempt's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LabelFolder(pub PathBuf);

impl LabelFolder {
    /// Takes back the label of a withdrawn attempt, when no printer has taken it yet, and what a
    /// crash left of one.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn take_back(&self, serial: &Serial) -> io::Result<()> {
        let path = self.path(serial);
        durable::remove(&durable::beside(&path))?;
        durable::remove(&path)
    }

    /// Whose labels lie here, whole or in part; what has no such name is somebody else's.
    pub(crate) fn serials(&self) -> io::Result<Vec<Serial>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut serials = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            let stem = name.strip_suffix(".new").unwrap_or(&name);
            let stem = stem.strip_suffix(".zpl");
            serials.extend(stem.and_then(|stem| Serial::parse(stem).ok()));
        }
        Ok(serials)
    }

    fn path(&self, serial: &Serial) -> PathBuf {
        self.0.join(format!("{serial}.zpl"))
    }
}

impl Labels for LabelFolder {
    async fn print(
        &mut self,
        label: &Printout<'_>,
        begin: &mut (dyn FnMut() -> io::Result<()> + Send),
    ) -> io::Result<Taken> {
        begin()?;
        durable::make_folder(&self.0)?;
        place(&self.path(label.serial), label.zpl)
    }

    fn holds(&self, label: &Printout<'_>) -> bool {
        lies(&self.path(label.serial), label.zpl)
    }
}

/// Whether files can be put into a folder, or into the one above it that is there; it is made then.
pub(super) fn takes_files(folder: &Path) -> io::Result<()> {
    let mut above = folder.ancestors().map(|path| match path.as_os_str() {
        none if none.is_empty() => Path::new("."),
        _ => path,
    });
    let there = above.find(|path| path.symlink_metadata().is_ok());
    let there = there.unwrap_or(folder);
    match fs::metadata(there)?.is_dir() {
        true => Ok(access(there, Access::WRITE_OK | Access::EXEC_OK)?),
        false => Err(io::Error::other(format!(
            "{} is no folder",
            there.display()
        ))),
    }
}

/// Whether a file is this label, whole.
pub(super) fn lies(path: &Path, zpl: &str) -> bool {
    let there = durable::read(path).map(|there| Zeroizing::new(there.unwrap_or_default()));
    there.is_ok_and(|there| *there == zpl)
}

/// Puts a label in place, once: whatever feeds from there may take it from that moment on, so an
/// error behind it does not mean that none came out.
pub(super) fn place(path: &Path, zpl: &str) -> io::Result<Taken> {
    if lies(path, zpl) {
        return Ok(Taken::Printed);
    }
    let fresh = durable::write_beside(path, zpl.as_bytes(), durable::PRIVATE)?;
    Ok(match durable::put_in_place(&fresh, path)? {
        Ok(()) => Taken::Printed,
        Err(error) => Taken::Unknown(format!("it may not outlive a power cut: {error}")),
    })
}
