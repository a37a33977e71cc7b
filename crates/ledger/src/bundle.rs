//! The log as a folder for others: C2SP tlog-tiles, a signed checkpoint, the verifier key.
//!
//! Any tool that reads tlog-tiles checks it; [`verify_bundle`] also replays the rules. Tiles are
//! written first and the checkpoint last, so a broken-off export claims nothing it has not got.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tlog::{Hash, Level, TilePath, VerifierKey};

use crate::files::{file_error, open_checkpoint};
use crate::replay::{Findings, Replay, Report, StoredHashes};
use crate::sql::{hash_error, newest_checkpoint, root_of, size, stored_hash};
use crate::table::int;
use crate::{Error, schema};

/// Longest checkpoint file that is read.
const NOTE_MAX: u64 = 1_000_000;
/// Longest tile: a bundle of 256 entries of 65,535 bytes, each behind its length.
const TILE_MAX: u64 = 256 * 65_537;
/// Bytes of a hash.
const HASH: usize = 32;

/// What was exported.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exported {
    /// Entries the checkpoint covers.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Hash tiles and entry bundles written.
    pub tiles: u64,
}

/// Writes the log at `path`, as far as it is signed, into the folder `out`: `checkpoint`,
/// `vkey`, `tile/<level>/<index>` and `tile/entries/<index>`.
///
/// An earlier export of the same log is brought up to date. All is checked before the first file
/// is written: a log that was altered leaves the earlier export as it was.
///
/// # Errors
/// [`Error::ForeignDirectory`], [`Error::WentBackwards`] when the earlier export has more
/// entries, [`Error::NoCheckpoint`], [`Error::Altered`] when the log does not lead to its
/// checkpoint or to that of the earlier export, and what files and database say.
pub fn export(path: &Path, vkey: &VerifierKey, out: &Path) -> Result<Exported, Error> {
    if !path.is_file() {
        let why = "there is no such file".to_owned();
        return Err(Error::NotALog {
            path: path.to_owned(),
            why,
        });
    }
    let connection = schema::reader(path)?;
    schema::check_version(&connection, path)?;
    connection.execute_batch("BEGIN")?;
    let (_, note) = newest_checkpoint(&connection)?.ok_or(Error::NoCheckpoint)?;
    let text = tlog::open_note(&note, std::slice::from_ref(vkey)).map_err(Error::Note)?;
    let checkpoint = tlog::Checkpoint::parse(text).map_err(|_| Error::Altered(0))?;
    let entries = size(&connection)?;
    if checkpoint.size > entries || root_of(&connection, checkpoint.size)? != checkpoint.root {
        return Err(Error::Altered(checkpoint.size));
    }
    unaltered(&connection, checkpoint.size)?;
    own_folder(out, vkey, &connection, checkpoint.size)?;
    let mut written = 0;
    for tile in tlog::tiles(checkpoint.size) {
        write(
            &out.join(tile.to_string()),
            &tile_bytes(&connection, &tile, checkpoint.size)?,
        )?;
        written += 1;
    }
    write(&out.join("vkey"), format!("{vkey}\n").as_bytes())?;
    let fresh = out.join("checkpoint.new");
    write(&fresh, note.as_bytes())?;
    let target = out.join("checkpoint");
    fs::rename(&fresh, &target).map_err(|source| file_error(&target, source))?;
    Ok(Exported {
        size: checkpoint.size,
        root: checkpoint.root,
        tiles: written,
    })
}

/// Checks an exported folder with nothing but the verifier key: every tile, every entry, the
/// root that was signed, and the rules over all of it.
///
/// Read is what the checkpoint covers and no more. Tiles above it are of an export that broke
/// off, or somebody else's; they are no part of what is reported.
///
/// # Errors
/// [`Error::NotALog`] when the folder holds no checkpoint. Whatever is wrong is a finding.
pub fn verify_bundle(dir: &Path, vkey: &VerifierKey) -> Result<Report, Error> {
    let mut replay = Replay::new(vkey);
    let note = read(&dir.join("checkpoint"), NOTE_MAX).map_err(|source| Error::NotALog {
        path: dir.to_owned(),
        why: format!("no checkpoint: {source}"),
    })?;
    let note = String::from_utf8_lossy(&note).into_owned();
    let checkpoint = match open_checkpoint(&note, vkey) {
        Ok(checkpoint) => checkpoint,
        Err(why) => {
            replay
                .findings
                .add(None, format!("the checkpoint is not good: {why}"));
            return Ok(replay.report());
        }
    };
    if read(&dir.join("vkey"), NOTE_MAX).ok() != Some(format!("{vkey}\n").into_bytes()) {
        replay
            .findings
            .add(None, "the file vkey does not hold the key that was given");
    }
    let mut hashes = TileHashes {
        dir,
        size: checkpoint.size,
        open: Vec::new(),
    };
    for tile in tlog::tiles(checkpoint.size).filter(|tile| tile.level == Level::Entries) {
        let entries = read(&dir.join(tile.to_string()), TILE_MAX).map_err(|e| e.to_string());
        let decoded = entries.as_ref().map_err(String::clone).and_then(|bytes| {
            tlog::decode_bundle(bytes, tile.width).map_err(|error| error.to_string())
        });
        match decoded {
            Ok(entries) => entries.into_iter().for_each(|entry| {
                replay.feed(Some(entry), &mut hashes);
            }),
            Err(why) => {
                // Which of its entries was hit cannot be told, so none of them is believed.
                replay.findings.add(tile.start(), format!("{tile}: {why}"));
                break;
            }
        }
    }
    if replay.size == checkpoint.size {
        replay.checkpoint(&note);
    }
    Ok(replay.report())
}

/// Every entry leads to its leaf hash, and those to every hash above them.
///
/// A root is made of few of the stored hashes, so that it is right says little of the others.
fn unaltered(connection: &Connection, size: u64) -> Result<(), Error> {
    let sql = "SELECT seq, bytes FROM entries WHERE seq >= 0 AND seq < ?1 ORDER BY seq";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([int(size)])?;
    let mut read = |position| stored_hash(connection, position).map_err(hash_error(size));
    for seq in 0..size {
        let row = rows.next()?.ok_or(Error::Altered(size))?;
        if row.get::<_, i64>(0)? != int(seq) {
            return Err(Error::Altered(size));
        }
        let leaf = tlog::leaf_hash(&row.get::<_, Vec<u8>>(1)?);
        let hashes = tlog::append_hashes(seq, leaf, &mut read)?;
        for (position, hash) in (tlog::stored_count(seq)..).zip(hashes) {
            if read(position)? != hash {
                return Err(Error::Altered(size));
            }
        }
    }
    Ok(())
}

/// The folder is empty, or an earlier and not longer export of this log.
fn own_folder(
    out: &Path,
    vkey: &VerifierKey,
    connection: &Connection,
    entries: u64,
) -> Result<(), Error> {
    fs::create_dir_all(out).map_err(|source| file_error(out, source))?;
    let mut files = fs::read_dir(out).map_err(|source| file_error(out, source))?;
    if files.next().is_none() {
        return Ok(());
    }
    let checkpoint = read(&out.join("checkpoint"), NOTE_MAX).ok();
    let Some(note) = checkpoint.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        // An export that broke off has tiles and no checkpoint, and nothing else.
        let ours = ["tile", "vkey", "checkpoint.new"];
        let foreign = fs::read_dir(out)
            .map_err(|source| file_error(out, source))?
            .any(|file| file.is_ok_and(|file| !ours.iter().any(|name| file.file_name() == *name)));
        return if foreign {
            Err(Error::ForeignDirectory(out.to_owned()))
        } else {
            Ok(())
        };
    };
    match open_checkpoint(&note, vkey) {
        Ok(earlier) if earlier.size > entries => Err(Error::WentBackwards {
            signed: earlier.size,
            entries,
        }),
        // The log was another one when it was exported: whoever holds that export is right.
        Ok(earlier) if root_of(connection, earlier.size)? != earlier.root => {
            Err(Error::Altered(earlier.size))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(Error::ForeignDirectory(out.to_owned())),
    }
}

fn tile_bytes(connection: &Connection, tile: &TilePath, size: u64) -> Result<Vec<u8>, Error> {
    if tile.level != Level::Entries {
        let mut bytes = Vec::with_capacity(usize::from(tile.width) * HASH);
        for position in tile.positions() {
            bytes.extend_from_slice(&stored_hash(connection, position)?);
        }
        return Ok(bytes);
    }
    let sql = "SELECT bytes FROM entries WHERE seq >= ?1 AND seq < ?2 ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let bounds = (int(tile.start()), int(tile.start() + u64::from(tile.width)));
    let entries = statement.query_map(bounds, |row| row.get(0))?;
    let entries: Vec<Vec<u8>> = entries.collect::<Result<_, _>>()?;
    if entries.len() != usize::from(tile.width) {
        return Err(Error::Altered(size));
    }
    tlog::encode_bundle(&entries).map_err(|_| Error::Altered(size))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, bytes))
        .map_err(|source| file_error(path, source))
}

/// A file that is not longer than it may be.
fn read(path: &Path, longest: u64) -> std::io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > longest {
        return Err(std::io::Error::new(
            ErrorKind::InvalidData,
            "the file is too long",
        ));
    }
    fs::read(path)
}

/// The hashes in the tiles of a folder: those of levels 0, 8, 16, ... of the tree.
struct TileHashes<'a> {
    dir: &'a Path,
    size: u64,
    /// The tile last read of each tile level, by index, with its bytes when it could be read.
    open: Vec<(u64, Option<Vec<u8>>)>,
}

impl StoredHashes for TileHashes<'_> {
    fn stored(&mut self, level: u8, n: u64, findings: &mut Findings) -> Option<Hash> {
        if !level.is_multiple_of(8) {
            return None;
        }
        let (row, index, place) = (usize::from(level / 8), n / 256, (n % 256) as usize);
        if self.open.len() <= row {
            self.open.push((u64::MAX, None));
        }
        if self.open[row].0 != index {
            self.open[row] = (index, self.tile(level, index, findings));
        }
        let bytes = self.open[row].1.as_ref()?;
        bytes.get(place * HASH..(place + 1) * HASH)?.try_into().ok()
    }
}

impl TileHashes<'_> {
    fn tile(&self, level: u8, index: u64, findings: &mut Findings) -> Option<Vec<u8>> {
        let there = self.size >> level;
        let width = (there - index * 256).min(256) as u16;
        let tile = TilePath {
            level: Level::Hashes(level / 8),
            index,
            width,
        };
        let path: PathBuf = self.dir.join(tile.to_string());
        match read(&path, TILE_MAX) {
            Ok(bytes) if bytes.len() == usize::from(width) * HASH => return Some(bytes),
            Ok(bytes) => findings.add(
                tile_first(level, index),
                format!("{tile}: it is {} bytes", bytes.len()),
            ),
            Err(error) => findings.add(tile_first(level, index), format!("{tile}: {error}")),
        }
        None
    }
}

/// The first entry under a tile.
fn tile_first(level: u8, index: u64) -> u64 {
    (index * 256) << level
}
