//! The stored hashes of an exported folder: every eighth level of the tree, a tile at a time.

use std::path::Path;

use tlog::{Hash, Level, TilePath};

use crate::bundle::{HASH, TILE_MAX};
use crate::findings::Findings;
use crate::folder::read;
use crate::remembered::place_of;
use crate::replay::StoredHashes;

/// The hashes in the tiles of a folder: those of levels 0, 8, 16, ... of the tree.
pub(crate) struct TileHashes<'a> {
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

impl<'a> TileHashes<'a> {
    /// The tiles of a tree of `size` in a folder; nothing is read yet.
    pub(crate) fn of(dir: &'a Path, size: u64) -> TileHashes<'a> {
        TileHashes {
            dir,
            size,
            open: Vec::new(),
        }
    }

    /// Entries of the tree.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hash at a position of the stored order, put together from the tile that has it or
    /// what is under it.
    pub(crate) fn at(&self, position: u64) -> Result<Hash, String> {
        let (level, n) = place_of(position);
        let (row, height) = (level / 8, level % 8);
        let (first, count) = (n << height, 1usize << height);
        let mut findings = Findings::default();
        let tile = self.tile(row * 8, first / 256, &mut findings);
        let bytes = tile.ok_or_else(|| findings.first())?;
        let place = (first % 256) as usize;
        let missing = || format!("the tile of level {row} is too short");
        let hashes = bytes
            .get(place * HASH..(place + count) * HASH)
            .ok_or_else(missing)?;
        let mut hashes: Vec<Hash> = hashes.as_chunks::<HASH>().0.to_vec();
        for _ in 0..height {
            let pairs = hashes.as_chunks::<2>().0.iter();
            hashes = pairs
                .map(|[left, right]| tlog::node_hash(left, right))
                .collect();
        }
        hashes.first().copied().ok_or_else(missing)
    }

    fn tile(&self, level: u8, index: u64, findings: &mut Findings) -> Option<Vec<u8>> {
        let there = self.size >> level;
        let width = there.saturating_sub(index * 256).min(256) as u16;
        let tile = TilePath {
            level: Level::Hashes(level / 8),
            index,
            width,
        };
        match read(&self.dir.join(tile.to_string()), TILE_MAX) {
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
