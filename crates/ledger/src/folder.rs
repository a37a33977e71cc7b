//! The files of an exported folder, read by somebody who trusts none of them.
//!
//! A folder may come from anywhere: what is no plain file, or longer than it may be, is not read,
//! and what does not belong in it is named.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use tlog::TilePath;

use crate::findings::Findings;

/// Folders below an export: `tile`, a level, and a group of 3 digits for each thousandfold.
const DEPTH_MAX: usize = 10;
/// Files that are looked at for a stranger among them: 2^40 entries have fewer.
const LOOKED_AT_MAX: usize = 50_000_000;
/// What may lie beside the tiles; `tables` holds lists for people, which nothing is proven with.
const BESIDE: [&str; 4] = ["checkpoint", "checkpoint.new", "vkey", ROTATIONS];
/// How one key of the log handed over to the next, note behind note; absent while it has had one.
pub(crate) const ROTATIONS: &str = "rotations";
const TABLES: &str = "tables";

/// A plain file that is not longer than it may be; a pipe or a link to one is never waited for.
pub(crate) fn read(path: &Path, longest: u64) -> Result<Vec<u8>> {
    let invalid = |why| Error::new(ErrorKind::InvalidData, why);
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(invalid("it is not a file"));
    }
    if found.len() > longest {
        return Err(invalid("the file is too long"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len() + 1).unwrap_or(0));
    File::open(path)?
        .take(longest + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(invalid("the file is too long")); // it grows while it is read
    }
    Ok(bytes)
}

/// Names every file that no export writes. Tiles of an older or a longer export of the same log
/// are not strangers.
pub(crate) fn check_strangers(dir: &Path, findings: &mut Findings) {
    let mut looked_at = 0;
    if let Err(error) = look(dir, "", DEPTH_MAX, &mut looked_at, findings) {
        findings.add(None, format!("the folder cannot be listed: {error}"));
    }
}

fn look(
    dir: &Path,
    above: &str,
    deeper: usize,
    looked_at: &mut usize,
    findings: &mut Findings,
) -> Result<()> {
    for file in fs::read_dir(dir)? {
        let file = file?;
        *looked_at += 1;
        if *looked_at > LOOKED_AT_MAX || findings.is_full() {
            return Ok(());
        }
        let name = file.file_name().to_string_lossy().into_owned();
        let name = match above {
            "" => name,
            above => format!("{above}/{name}"),
        };
        let kind = file.file_type()?;
        let folder = name == "tile" || name.starts_with("tile/");
        if kind.is_dir() && name == TABLES {
            continue;
        }
        if kind.is_dir() && folder && deeper > 0 {
            look(&file.path(), &name, deeper - 1, looked_at, findings)?;
        } else if !kind.is_file()
            || !(BESIDE.contains(&name.as_str()) || TilePath::parse(&name).is_ok())
        {
            findings.add(None, format!("{name} is no part of an exported log"));
        }
    }
    Ok(())
}
