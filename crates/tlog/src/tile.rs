//! Tiles (c2sp.org/tlog-tiles): a log as a folder of files that never change.
//!
//! A hash tile holds up to 256 neighbouring hashes of one tree level (0, 8, 16, ..); an entry
//! bundle holds the up to 256 entries under one level-0 tile. A tile that is not full yet is
//! named with its width. Deliberately absent: files; a path here is a name and nothing more.

use crate::stored::stored_index;

/// Hashes or entries in a full tile.
pub const TILE_WIDTH: u16 = 256;
/// Tree levels in one tile level.
const TILE_HEIGHT: u8 = 8;
/// Highest tile level of a path (c2sp.org/tlog-tiles).
const LEVEL_MAX: u8 = 63;

/// What a tile holds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Hashes of tree level 8 times this, which is 0 to 63.
    Hashes(u8),
    /// The entries themselves, each behind its length.
    Entries,
}

/// One tile of a tree: `tile/<level>/<index>[.p/<width>]`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TilePath {
    /// What it holds.
    pub level: Level,
    /// Its place in the level, from 0.
    pub index: u64,
    /// How many hashes or entries it holds, 1 to 256.
    pub width: u16,
}

/// A tile, or a tile's name, that cannot be right.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TileError {
    /// Not the name of a tile.
    #[error("this is not the path of a tile")]
    Path,
    /// An entry too long for its 16-bit length.
    #[error("entry {0} of the bundle is longer than 65,535 bytes")]
    TooLong(usize),
    /// The bundle ends inside an entry, or goes on behind the last one.
    #[error("the bundle breaks off or goes on after entry {0}")]
    Framing(usize),
}

impl TilePath {
    /// Reads a path as [`Display`](std::fmt::Display) writes it.
    ///
    /// # Errors
    /// [`TileError::Path`] on anything else; each tile has one name.
    pub fn parse(path: &str) -> Result<TilePath, TileError> {
        let parsed = TilePath::read(path).ok_or(TileError::Path)?;
        // Leading zeros, a full tile named as partial and the like all fail to come back.
        if parsed.to_string() == path {
            Ok(parsed)
        } else {
            Err(TileError::Path)
        }
    }

    fn read(path: &str) -> Option<TilePath> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = match level {
            "entries" => Level::Entries,
            number => Level::Hashes(number.parse().ok().filter(|&level| level <= LEVEL_MAX)?),
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok().filter(|w| (1..256).contains(w))?),
            None => (rest, TILE_WIDTH),
        };
        let mut number: u64 = 0;
        for group in index.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            number = number
                .checked_mul(1_000)?
                .checked_add(digits.parse().ok()?)?;
        }
        Some(TilePath {
            level,
            index: number,
            width,
        })
    }

    /// The number of the first entry or hash of its level in this tile.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.index.saturating_mul(TILE_WIDTH.into())
    }

    /// Positions, in the stored order, of the hashes in this tile; for a bundle, of its leaves.
    pub fn positions(&self) -> impl Iterator<Item = u64> + use<> {
        let start = self.start();
        let level = match self.level {
            Level::Hashes(level) => level.saturating_mul(TILE_HEIGHT),
            Level::Entries => 0,
        };
        (0..u64::from(self.width)).map(move |n| stored_index(level, start.saturating_add(n)))
    }
}

impl std::fmt::Display for TilePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.level {
            Level::Hashes(level) => write!(f, "tile/{level}/")?,
            Level::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1_000];
        let mut rest = self.index / 1_000;
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        for group in groups[1..].iter().rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups[0])?;
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)
        } else {
            Ok(())
        }
    }
}

/// Every tile of a tree of `size` entries: hash tiles from the bottom up, then the bundles.
pub fn tiles(size: u64) -> impl Iterator<Item = TilePath> {
    let levels = (0..=7u8).take_while(move |level| size >> (level * TILE_HEIGHT) > 0);
    levels
        .flat_map(move |level| row(Level::Hashes(level), size >> (level * TILE_HEIGHT)))
        .chain(row(Level::Entries, size))
}

/// The tiles of one level with `count` hashes or entries.
fn row(level: Level, count: u64) -> impl Iterator<Item = TilePath> {
    let wide = u64::from(TILE_WIDTH);
    (0..count.div_ceil(wide)).map(move |index| {
        let width = (count - index * wide).min(wide) as u16;
        TilePath {
            level,
            index,
            width,
        }
    })
}

/// Entries as a bundle: each behind its length in 16 bits, big endian.
///
/// # Errors
/// [`TileError::TooLong`].
pub fn encode_bundle<B: AsRef<[u8]>>(entries: &[B]) -> Result<Vec<u8>, TileError> {
    let mut bundle = Vec::new();
    for (n, entry) in entries.iter().enumerate() {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| TileError::TooLong(n))?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The `width` entries of a bundle.
///
/// # Errors
/// [`TileError::Framing`] unless there are exactly that many and nothing behind them.
pub fn decode_bundle(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    for n in 0..usize::from(width) {
        let (length, tail) = rest.split_first_chunk().ok_or(TileError::Framing(n))?;
        let length = u16::from_be_bytes(*length).into();
        let (entry, tail) = tail.split_at_checked(length).ok_or(TileError::Framing(n))?;
        entries.push(entry);
        rest = tail;
    }
    if rest.is_empty() {
        Ok(entries)
    } else {
        Err(TileError::Framing(width.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(path: &str, level: Level, index: u64, width: u16) {
        let tile = TilePath {
            level,
            index,
            width,
        };
        assert_eq!(tile.to_string(), path);
        assert_eq!(TilePath::parse(path), Ok(tile));
    }

    #[test]
    fn paths_of_the_specification() {
        check("tile/0/x001/x234/067", Level::Hashes(0), 1_234_067, 256);
        check("tile/0/000", Level::Hashes(0), 0, 256);
        check("tile/1/x273/112.p/160", Level::Hashes(1), 273_112, 160);
        check("tile/63/000.p/1", Level::Hashes(63), 0, 1);
        check("tile/entries/x067/999.p/255", Level::Entries, 67_999, 255);
    }

    #[test]
    fn other_names_are_refused() {
        for bad in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/0000",
            "tile/00/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/x000/000",
            "tile/0/001/000",
            "tile/0/x001",
            "tile/data/000",
            "tile/0/000/",
            "/tile/0/000",
            "tile/0/../000",
            "tile/0/+01",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(TilePath::parse(bad), Err(TileError::Path), "{bad}");
        }
    }

    #[test]
    fn the_other_implementation_names_the_same_tiles() {
        for size in [
            1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000,
        ] {
            let ours: BTreeSet<String> = tiles(size)
                .filter(|tile| tile.level != Level::Entries)
                .map(|tile| tile.to_string())
                .collect();
            // Theirs lists every full tile on the way and the partial ones of this size.
            let theirs: BTreeSet<String> = tlog_tiles::Tile::new_tiles(8, 0, size)
                .iter()
                .map(|tile| tile.path().replace("tile/8/", "tile/"))
                .collect();
            assert_eq!(ours, theirs, "{size}");
        }
        assert_eq!(tiles(0).count(), 0);
    }

    #[test]
    fn a_bundle_must_hold_exactly_its_entries() {
        let bundle = encode_bundle(&[&b"one"[..], b"", b"three"]).unwrap();
        assert_eq!(bundle, b"\0\x03one\0\0\0\x05three");
        assert_eq!(
            decode_bundle(&bundle, 3).unwrap(),
            [&b"one"[..], b"", b"three"]
        );
        assert_eq!(decode_bundle(&bundle, 2), Err(TileError::Framing(2)));
        assert_eq!(decode_bundle(&bundle, 4), Err(TileError::Framing(3)));
        for cut in 0..bundle.len() {
            assert!(decode_bundle(&bundle[..cut], 3).is_err());
        }
        assert_eq!(
            encode_bundle(&[vec![0; 65_536]]),
            Err(TileError::TooLong(0))
        );
    }

    proptest! {
        #[test]
        fn paths_and_bundles_round_trip(
            level in 0u8..=63, index in any::<u64>(), width in 1u16..=256,
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        ) {
            let tile = TilePath { level: Level::Hashes(level), index, width };
            prop_assert_eq!(TilePath::parse(&tile.to_string()), Ok(tile));
            let bundle = encode_bundle(&entries).unwrap();
            prop_assert_eq!(decode_bundle(&bundle, entries.len() as u16).unwrap(), entries);
        }

        #[test]
        fn no_text_and_no_bytes_panic(
            path in ".{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..80), width in any::<u16>()
        ) {
            let _ = TilePath::parse(&path);
            let _ = decode_bundle(&bytes, width);
        }
    }
}
