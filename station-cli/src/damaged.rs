//! A file of the lease or of the outbox that cannot be used: its unit is set aside, and no other waits.
//!
//! Nobody can say what it held. So the credential counts as given to a unit, is given to none and not
//! leased anew; the unit is on hold, and the file stays as it is, for whoever can read more of it than
//! this program. When a lead settles it, the server's log says that a unit may exist, and the file goes
//! to `lost/`.
//!
//! Which silicon the file named is not known any more; the journal still names it while its attempt is
//! open, and a unit that is locked says itself that it is done. Honest limit: one that is neither could
//! be given another serial by hand.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use traveler::Serial;

use crate::durable;
use crate::failure::Failure;
use crate::home::Home;
use crate::journal::{JournalError, io_error, read_each, read_json};
use crate::outbox::Hold;

/// The reason of such a hold. No server gives it.
pub(crate) const DAMAGED: &str = "DAMAGED";

/// One file, and why it cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Damaged {
    pub(crate) serial: Serial,
    pub(crate) path: PathBuf,
    what: String,
}

impl Damaged {
    pub(crate) fn hold(&self) -> Hold {
        Hold {
            reason: DAMAGED.to_owned(),
            message: format!("{} cannot be used: {}", self.path.display(), self.what),
        }
    }

    /// Puts it where it is evidence and stands in nobody's way.
    pub(crate) fn lay_aside(&self, folder: &Path) -> Result<(), JournalError> {
        durable::make_folder(folder).map_err(io_error(folder))?;
        let from = self.path.parent().and_then(Path::file_name);
        let from = from.unwrap_or_default().to_string_lossy();
        let to = folder.join(format!("{}.{from}.damaged", self.serial));
        durable::move_to(&self.path, &to).map_err(io_error(&self.path))
    }
}

/// A damaged record is a matter of its unit alone.
impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Failure {
        match error {
            JournalError::SetAside { ref serial, .. } => Failure::Hold {
                serial: serial.clone(),
                reason: DAMAGED.to_owned(),
                message: error.to_string(),
            },
            error => Failure::Journal(error),
        }
    }
}

/// All that cannot be used of lease and outbox.
pub(crate) fn damaged(home: &Home) -> Result<Vec<Damaged>, Failure> {
    let mut all = home.leases().damaged()?;
    all.extend(home.outbox().damaged()?);
    Ok(all)
}

/// The record of one serial. What cannot be used sets its unit aside.
pub(crate) fn one_of<T: DeserializeOwned>(
    path: &Path,
    serial: &Serial,
    of: impl Fn(&T) -> &Serial,
) -> Result<Option<T>, JournalError> {
    let set_aside = |path, what| JournalError::SetAside {
        serial: serial.clone(),
        path,
        what,
    };
    match read_json(path) {
        Ok(Some(record)) if of(&record) != serial => {
            let what = format!("it is of {}", of(&record));
            Err(set_aside(path.display().to_string(), what))
        }
        Err(JournalError::Damaged { path, what }) => Err(set_aside(path, what)),
        record => record,
    }
}

/// The records of a folder, and the files that are none.
pub(crate) fn apart<T: DeserializeOwned>(
    dir: &Path,
    of: impl Fn(&T) -> &Serial,
) -> Result<(Vec<T>, Vec<Damaged>), JournalError> {
    let (mut good, mut damaged) = (Vec::new(), Vec::new());
    for (serial, read) in read_each(dir)? {
        let what = match read {
            Ok(record) if *of(&record) == serial => {
                good.push(record);
                continue;
            }
            Ok(record) => format!("it is of {}", of(&record)),
            Err(JournalError::Damaged { what, .. }) => what,
            Err(error) => return Err(error),
        };
        let path = dir.join(format!("{serial}.json"));
        damaged.push(Damaged { serial, path, what });
    }
    Ok((good, damaged))
}
