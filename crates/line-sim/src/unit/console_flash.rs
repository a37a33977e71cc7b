//! The flash file of a unit with a console: what it stores outlives this process.
//!
//! Plain JSON, secrets included, as the native unit's.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use traveler::DeviceId;

use super::SimError;
use super::image::{damaged, replace};

/// What is in the file.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FlashFile {
    /// The shipped profile that its console is written for.
    console: String,
    device_id: DeviceId,
    /// What the unit has stored, by its own names.
    stored: BTreeMap<String, String>,
}

/// A file, and what was written into it last.
pub(super) struct ConsoleFlash {
    path: PathBuf,
    file: FlashFile,
}

impl ConsoleFlash {
    /// Opens a unit's file, or makes one that holds nothing.
    ///
    /// # Errors
    /// [`SimError::Flash`]; [`SimError::Damaged`] and [`SimError::OtherUnit`] for one that is not
    /// this console's, or this silicon's.
    pub(super) fn open(
        path: &Path,
        console: &str,
        device_id: &DeviceId,
    ) -> Result<ConsoleFlash, SimError> {
        let path = path.to_owned();
        let unusable = |path: &Path, source| SimError::Flash {
            path: path.to_owned(),
            source,
        };
        let file = match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice::<FlashFile>(&json)
                .map_err(|error| damaged(&path, &error.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = FlashFile {
                    console: console.to_owned(),
                    device_id: device_id.clone(),
                    stored: BTreeMap::new(),
                };
                write(&path, &file).map_err(|source| unusable(&path, source))?;
                file
            }
            Err(source) => return Err(unusable(&path, source)),
        };
        if file.device_id != *device_id {
            let device_id = file.device_id;
            return Err(SimError::OtherUnit { path, device_id });
        }
        if file.console != console {
            let what = format!("it is of a unit with the console {}", file.console);
            return Err(damaged(&path, &what));
        }
        Ok(ConsoleFlash { path, file })
    }

    /// What it holds.
    pub(super) fn stored(&self) -> &BTreeMap<String, String> {
        &self.file.stored
    }

    /// Writes what has changed.
    pub(super) fn save(&mut self, stored: &BTreeMap<String, String>) -> io::Result<()> {
        if self.file.stored == *stored {
            return Ok(());
        }
        self.file.stored.clone_from(stored);
        write(&self.path, &self.file)
    }
}

fn write(path: &Path, file: &FlashFile) -> io::Result<()> {
    replace(path, &serde_json::to_vec_pretty(file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unit_stored_is_its_own_and_outlives_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("unit.json");
        let [one, two] = ["5100000000000001", "5100000000000002"];
        let [one, two] = [one, two].map(|id| DeviceId::parse(id).unwrap());
        let mut flash = ConsoleFlash::open(&path, "u-boot", &one).unwrap();
        assert!(flash.stored().is_empty());
        let stored = BTreeMap::from([("serial".to_owned(), "CAM2-00001".to_owned())]);
        flash.save(&stored).unwrap();
        let again = ConsoleFlash::open(&path, "u-boot", &one).unwrap();
        assert_eq!(*again.stored(), stored);
        let error = ConsoleFlash::open(&path, "at-modem", &one).err().unwrap();
        assert!(error.to_string().contains("the console u-boot"), "{error}");
        let error = ConsoleFlash::open(&path, "u-boot", &two).err().unwrap();
        assert!(matches!(error, SimError::OtherUnit { .. }), "{error}");
        // A native unit's file is none of a console's.
        std::fs::write(&path, "{\"state\": \"blank\"}").unwrap();
        let error = ConsoleFlash::open(&path, "u-boot", &one).err().unwrap();
        assert!(matches!(error, SimError::Damaged { .. }), "{error}");
    }
}
