//! The log as a folder for others: C2SP tlog-tiles, a signed checkpoint, the verifier key.
//!
//! Any tool that reads tlog-tiles checks it; [`verify_bundle`] also replays the rules. Tiles are
//! written first and the checkpoint last, so a broken-off export claims nothing it has not got.

mod holdings;
mod keys;

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tlog::{Checkpoint, Hash, Level, LogKeys, TilePath, VerifierKey, decode_bundle};

use crate::ahead::{Ahead, Block};
use crate::files::file_error;
use crate::findings::{Findings, Report};
use crate::folder::{ROTATIONS, check_strangers, read};
use crate::profiles::Profiles;
use crate::remembered::{goes_on_from, peaks};
use crate::replay::Replay;
use crate::rows::{SignerName, SigningKeyRow};
use crate::signers::log_keys;
use crate::sql::{hash_error, newest_checkpoint, root_of, size, stored_hash};
use crate::table::{Table, int};
use crate::tile_hashes::TileHashes;
use crate::{Audit, Error, schema};

pub use holdings::{Holdings, holdings};
pub use keys::bundle_keys;
use keys::chain;

/// Longest checkpoint file that is read.
const NOTE_MAX: u64 = 1_000_000;
/// Longest tile: a bundle of 256 entries of 65,535 bytes, each behind its length.
pub(crate) const TILE_MAX: u64 = 256 * 65_537;
/// Bytes of a hash.
pub(crate) const HASH: usize = 32;

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
/// `vkey`, `tile/<level>/<index>` and `tile/entries/<index>`; and `rotations` for whoever knows an
/// older key than the one in `vkey`. `vkey` is any key that the log has had.
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
    let keys = log_keys(&connection).map_err(|_| Error::Altered(0))?;
    let vkey = match keys.hold(vkey) {
        Ok(()) => keys.newest(),
        Err(_) => vkey,
    };
    let text = tlog::open_note(&note, std::slice::from_ref(vkey)).map_err(Error::Note)?;
    let checkpoint = tlog::Checkpoint::parse(text).map_err(|_| Error::Altered(0))?;
    let entries = size(&connection)?;
    if checkpoint.size > entries || root_of(&connection, checkpoint.size)? != checkpoint.root {
        return Err(Error::Altered(checkpoint.size));
    }
    unaltered(&connection, checkpoint.size)?;
    let earlier = own_folder(out, &keys, &connection, checkpoint.size)?;
    let mut written = 0;
    for tile in tlog::tiles(checkpoint.size) {
        write(
            &out.join(tile.to_string()),
            &tile_bytes(&connection, &tile, checkpoint.size)?,
        )?;
        written += 1;
    }
    write(&out.join("vkey"), format!("{vkey}\n").as_bytes())?;
    let rotations = SigningKeyRow::list(
        &connection,
        "WHERE key = ?1 AND seq > 0 AND seq < ?2 ORDER BY seq",
        (SignerName::Log.as_str(), int(checkpoint.size)),
    )?;
    let rotations: String = rotations.into_iter().map(|row| row.proof).collect();
    if !rotations.is_empty() {
        write(&out.join(ROTATIONS), rotations.as_bytes())?;
    }
    // The same tree head with the lines of witnesses under it is worth more than without.
    let cosigned = earlier.filter(|earlier| {
        tlog::open_note(earlier, std::slice::from_ref(vkey)).is_ok_and(|earlier| earlier == text)
    });
    let fresh = out.join("checkpoint.new");
    write(&fresh, cosigned.unwrap_or(note.clone()).as_bytes())?;
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
/// off, or somebody else's; they are no part of what is reported. A file that is no tile at all
/// is a finding.
///
/// # Errors
/// [`Error::NotALog`] when the folder holds no checkpoint. Whatever is wrong is a finding.
pub fn verify_bundle(dir: &Path, vkey: &VerifierKey) -> Result<Report, Error> {
    verify_bundle_with(dir, vkey, &Audit::default())
}

/// The same as [`verify_bundle`], held against what others remember, from a trusted checkpoint
/// on, or with more threads.
///
/// # Errors
/// Those of [`verify_bundle`].
pub fn verify_bundle_with(
    dir: &Path,
    vkey: &VerifierKey,
    audit: &Audit<'_>,
) -> Result<Report, Error> {
    Ok(walk(dir, vkey, audit)?.report())
}

/// Hands out the entries of an exported folder from entry `from` on, byte for byte.
///
/// # Errors
/// What the folder says, and what `each` fails with. Nothing is verified: see [`holdings`].
pub fn bundle_entries(
    dir: &Path,
    vkey: &VerifierKey,
    from: u64,
    each: &mut dyn FnMut(u64, &[u8]) -> std::io::Result<()>,
) -> Result<(), Error> {
    let (_, checkpoint) = signed_by(dir, &bundle_keys(dir, vkey)?)?;
    let checkpoint = checkpoint.map_err(|why| Error::NotALog {
        path: dir.to_owned(),
        why,
    })?;
    let damaged = |path: &Path, why: String| file_error(path, std::io::Error::other(why));
    for tile in bundles(from, checkpoint.size) {
        let path = dir.join(tile.to_string());
        let bytes = read(&path, TILE_MAX).map_err(|source| file_error(&path, source))?;
        let entries = decode_bundle(&bytes, tile.width);
        let entries = entries.map_err(|error| damaged(&path, error.to_string()))?;
        for (seq, entry) in (tile.start()..)
            .zip(entries)
            .filter(|(seq, _)| *seq >= from)
        {
            each(seq, entry).map_err(|source| file_error(&path, source))?;
        }
    }
    Ok(())
}

/// The folder's note, and the checkpoint in it or why it is none of these keys'.
fn signed_by(dir: &Path, keys: &LogKeys) -> Result<(String, Result<Checkpoint, String>), Error> {
    let note = read(&dir.join("checkpoint"), NOTE_MAX).map_err(|source| Error::NotALog {
        path: dir.to_owned(),
        why: format!("no checkpoint: {source}"),
    })?;
    let note = String::from_utf8_lossy(&note).into_owned();
    let checkpoint = keys.open(&note);
    Ok((note, checkpoint))
}

/// The entry bundles of a tree of `size`, from the one with entry `from` on.
fn bundles(from: u64, size: u64) -> impl Iterator<Item = TilePath> {
    let wide = u64::from(tlog::TILE_WIDTH);
    (from / wide..size.div_ceil(wide)).map(move |index| TilePath {
        level: Level::Entries,
        index,
        width: (size - index * wide).min(wide) as u16,
    })
}

/// The whole way through a folder.
fn walk<'a>(dir: &Path, vkey: &'a VerifierKey, audit: &Audit<'_>) -> Result<Replay<'a>, Error> {
    let mut replay = Replay::new(vkey);
    replay.profiles = Profiles::read_by(audit.profile_of);
    // Believed for the checkpoint's size alone; the entries say which keys there were.
    let keys = match chain(dir, vkey) {
        Ok(keys) => keys,
        Err(why) => {
            replay.findings.add(None, why);
            LogKeys::new(vkey.clone())
        }
    };
    let (note, checkpoint) = signed_by(dir, &keys)?;
    let checkpoint = match checkpoint {
        Ok(checkpoint) => checkpoint,
        Err(why) => {
            replay
                .findings
                .add(None, format!("the checkpoint is not good: {why}"));
            return Ok(replay);
        }
    };
    let newest = keys.newest();
    if read(&dir.join("vkey"), NOTE_MAX).ok() != Some(format!("{newest}\n").into_bytes()) {
        replay
            .findings
            .add(None, "the file vkey does not hold the key that was given");
    }
    let mut hashes = TileHashes::of(dir, checkpoint.size);
    if let Some(trusted) = audit.since {
        let known = if trusted.size <= checkpoint.size {
            peaks(trusted.size, &mut |position| hashes.at(position)).unwrap_or_default()
        } else {
            Vec::new()
        };
        if !replay.skip(trusted, known) {
            return Ok(replay);
        }
    }
    feed(&mut replay, &mut hashes, dir, audit.threads);
    if replay.size == checkpoint.size {
        replay.checkpoint(&note);
        goes_on_from(&mut replay, audit.remembered, &mut |position| {
            hashes.at(position)
        });
    }
    if audit.since.is_none() && replay.keys != keys {
        let what = format!("{ROTATIONS} does not tell of the keys that the entries name");
        replay.findings.add(None, what);
    }
    check_strangers(dir, &mut replay.findings);
    Ok(replay)
}

/// Feeds every entry below the folder's checkpoint, from where the replay stands.
fn feed(replay: &mut Replay<'_>, hashes: &mut TileHashes<'_>, dir: &Path, threads: usize) {
    let (from, size) = (replay.size, hashes.size());
    let mut tiles = bundles(from, size);
    let mut ahead = Ahead::new(threads);
    let mut read_tile = |block: &mut Block| -> Result<bool, (u64, String)> {
        let Some(tile) = tiles.next() else {
            return Ok(false);
        };
        // Which of its entries was hit cannot be told, so none of them is believed.
        let broken = |why: String| (tile.start(), format!("{tile}: {why}"));
        let bytes = read(&dir.join(tile.to_string()), TILE_MAX);
        let bytes = bytes.map_err(|error| broken(error.to_string()))?;
        let entries = decode_bundle(&bytes, tile.width);
        let entries = entries.map_err(|error| broken(error.to_string()))?;
        for (seq, entry) in (tile.start()..).zip(entries) {
            if seq >= from {
                block.push(seq, entry);
            }
        }
        Ok(true)
    };
    loop {
        match ahead.next(&mut read_tile) {
            Ok(Some((_, entry))) => {
                replay.feed(Some(entry), hashes);
            }
            Ok(None) => return,
            Err((seq, what)) => {
                replay.findings.add(seq, what);
                return;
            }
        }
    }
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

/// The folder is empty, or an earlier and not longer export of this log, whose note it gives.
///
/// A checkpoint of this log alone makes no export: stations, witnesses and the server keep theirs
/// as their memory, which would be written over.
fn own_folder(
    out: &Path,
    keys: &LogKeys,
    connection: &Connection,
    entries: u64,
) -> Result<Option<String>, Error> {
    fs::create_dir_all(out).map_err(|source| file_error(out, source))?;
    let foreign = |what: String| Error::ForeignDirectory {
        path: out.to_owned(),
        what,
    };
    let mut strangers = Findings::default();
    check_strangers(out, &mut strangers);
    if !strangers.is_empty() {
        return Err(foreign(strangers.first()));
    }
    let note = match read(&out.join("checkpoint"), NOTE_MAX) {
        Ok(note) => note,
        // An export that broke off has tiles and no checkpoint.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(foreign(format!("checkpoint: {error}"))),
    };
    if !out.join("vkey").is_file() {
        return Err(foreign("a checkpoint without the file vkey".to_owned()));
    }
    let note = String::from_utf8_lossy(&note).into_owned();
    let earlier = keys.open(&note).map_err(foreign)?;
    if earlier.size > entries {
        return Err(Error::WentBackwards {
            signed: earlier.size,
            entries,
        });
    }
    // The log was another one when it was exported: whoever holds that export is right.
    if root_of(connection, earlier.size)? != earlier.root {
        return Err(Error::Altered(earlier.size));
    }
    Ok(Some(note))
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
