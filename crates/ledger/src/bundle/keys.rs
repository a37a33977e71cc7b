//! How an exported folder tells that one key of its log handed over to the next.

use std::path::Path;

use tlog::{LogKeys, VerifierKey};

use super::NOTE_MAX;
use crate::Error;
use crate::folder::{ROTATIONS, read};

/// Every key of the log in an exported folder, when `vkey` is one of them; `vkey` alone when the
/// folder tells of no other.
///
/// # Errors
/// [`Error::NotALog`] when what the folder tells is no chain of keys that leads to or from `vkey`.
pub fn bundle_keys(dir: &Path, vkey: &VerifierKey) -> Result<LogKeys, Error> {
    chain(dir, vkey).map_err(|why| Error::NotALog {
        path: dir.to_owned(),
        why,
    })
}

/// Lines of a rotation with its signatures: five, one that is blank, and two.
const ROTATION_LINES: usize = 8;

/// The same, with what is wrong in a sentence.
pub(super) fn chain(dir: &Path, vkey: &VerifierKey) -> Result<LogKeys, String> {
    let text = match read(&dir.join(ROTATIONS), NOTE_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(|error| format!("{ROTATIONS}: {error}"))?,
    };
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let notes: Vec<String> = lines.chunks(ROTATION_LINES).map(<[_]>::concat).collect();
    LogKeys::chain(vkey, notes.iter().map(String::as_str)).map_err(|error| error.to_string())
}
