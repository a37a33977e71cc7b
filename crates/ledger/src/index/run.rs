//! One sorted, immutable file of the key index: the records of the entries from one number to
//! another.
//!
//! ```text
//! header    4096 bytes: magic, span, count, bucket bits, root of the log at the span's end, sums
//! blocks    4096 bytes each: 255 records of 16 bytes (hash, value; big endian), then a sum
//! offsets   4 bytes for each bucket and one more: records in the buckets before it
//! tags      2 bytes for each record: the bits of its hash that follow the bucket's
//! ```
//!
//! Hashes are uniform, so their first bits choose a bucket of about 24 records, and the next 16
//! bits the record: offsets and tags in memory (2.3 bytes for each record) answer "not here" for
//! all but 1 of 2,700 other keys, and say where to read for the rest. The header is written last and
//! the name is given after a sync, so a crash leaves a whole file or none of that name; every byte
//! that is read later was summed, so a disk that lies is noticed and never believed.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ring::digest::{Context, SHA256, digest};
use tlog::Hash;

use crate::disk::{Disk, DiskFile};

pub(super) const BLOCK: usize = 4_096;
const RECORD: usize = 16;
pub(super) const SUM: usize = 16;
/// Records in a block.
pub(super) const PER_BLOCK: u64 = ((BLOCK - SUM) / RECORD) as u64;
pub(super) const MAGIC: &[u8; 16] = b"birthmark keys 1";
/// Bytes of the header that its own sum covers.
const HEADER: usize = 16 + 8 * 4 + 32 + 32 + 32;
/// Bytes of the tables read or written at a time.
pub(super) const GATHER: usize = 64 * 1024;

/// A key's hash and where its row is.
pub(super) type Record = (u64, u64);

/// Which entries a run speaks of: those from `from` on and before `to`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
    /// Root of the log over its first `to` entries: a run is of this log and of no other.
    pub(super) root: Hash,
}

impl Span {
    /// The run's file.
    pub(super) fn name(&self) -> String {
        format!("{}-{}.run", self.from, self.to)
    }

    /// The span's ends in a file name.
    pub(super) fn ends(name: &str) -> Option<(u64, u64)> {
        let (from, to) = name.strip_suffix(".run")?.split_once('-')?;
        Some((from.parse().ok()?, to.parse().ok()?))
    }

    /// Its name before it is whole.
    pub(super) fn fresh(&self) -> String {
        format!("{}-{}.new", self.from, self.to)
    }
}

/// Where what is in a run's file.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) count: u64,
    pub(super) bits: u32,
}

impl Shape {
    pub(super) fn of(count: u64) -> Shape {
        let bits = (count / 16).checked_ilog2().unwrap_or(0);
        Shape { count, bits }
    }

    pub(super) fn block(index: u64) -> u64 {
        (index + 1) * BLOCK as u64
    }

    pub(super) fn offsets(self) -> u64 {
        Shape::block(self.count.div_ceil(PER_BLOCK))
    }

    pub(super) fn buckets(self) -> usize {
        1 << self.bits
    }

    pub(super) fn tags(self) -> u64 {
        self.offsets() + (self.buckets() as u64 + 1) * 4
    }

    pub(super) fn bucket(self, hash: u64) -> usize {
        match self.bits {
            0 => 0,
            bits => (hash >> (64 - bits)) as usize,
        }
    }

    pub(super) fn tag(self, hash: u64) -> u16 {
        ((hash << self.bits) >> 48) as u16
    }
}

/// An open run.
pub(super) struct Run {
    pub(super) span: Span,
    shape: Shape,
    file: Box<dyn DiskFile>,
    /// Held by a server, which asks all the time; not by a command that asks once.
    tables: Option<Tables>,
    /// Set when a block was read that is not what was written, for ever.
    bad: AtomicBool,
}

struct Tables {
    offsets: Vec<u32>,
    tags: Vec<u16>,
}

impl Run {
    /// Opens the run of that name. `resident`: its tables are read into memory, and summed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] or [`ErrorKind::UnexpectedEof`] when it is not whole.
    pub(super) fn open(disk: &dyn Disk, name: &str, resident: bool) -> io::Result<Run> {
        let file = disk.open(name)?;
        let mut header = [0; BLOCK];
        file.read_at(0, &mut header)?;
        let sum = digest(&SHA256, &header[..HEADER]);
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&header[at..at + 8]);
            u64::from_be_bytes(bytes)
        };
        let mut root = [0; 32];
        root.copy_from_slice(&header[48..80]);
        let (from, to) = (number(16), number(24));
        let span = Span { from, to, root };
        let shape = Shape::of(number(32));
        if header[..16] != MAGIC[..]
            || header[HEADER..HEADER + 32] != *sum.as_ref()
            || number(40) != u64::from(shape.bits)
            || span.name() != name
        {
            return Err(damaged("its header is not whole"));
        }
        let mut run = Run {
            span,
            shape,
            file,
            tables: None,
            bad: AtomicBool::new(false),
        };
        if resident {
            run.tables = Some(run.read_tables(&header[80..112], &header[112..144])?);
        }
        Ok(run)
    }

    /// Records in it.
    pub(super) fn count(&self) -> u64 {
        self.shape.count
    }

    /// Whether a block of it turned out to be another one than was written.
    pub(super) fn is_bad(&self) -> bool {
        self.bad.load(Ordering::SeqCst)
    }

    /// Adds the values of every record with this hash.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] when what was read is not what was written.
    pub(super) fn find(&self, hash: u64, found: &mut Vec<u64>) -> io::Result<()> {
        let (bucket, tag) = (self.shape.bucket(hash), self.shape.tag(hash));
        let Some(tables) = &self.tables else {
            let mut ends = [0; 8];
            self.file
                .read_at(self.shape.offsets() + bucket as u64 * 4, &mut ends)?;
            let end = |at: usize| {
                u64::from(u32::from_le_bytes([
                    ends[at],
                    ends[at + 1],
                    ends[at + 2],
                    ends[at + 3],
                ]))
            };
            if end(0) > end(4) || end(4) > self.shape.count {
                return Err(damaged("an offset is impossible"));
            }
            return self.matching(end(0)..end(4), hash, found);
        };
        let (first, last) = (tables.offsets[bucket], tables.offsets[bucket + 1]);
        let tags = &tables.tags[first as usize..last as usize];
        // A bucket's tags are in order: those that match stand together.
        let Some(at) = tags.iter().position(|&other| other >= tag) else {
            return Ok(());
        };
        let same = tags[at..].iter().take_while(|&&other| other == tag).count() as u64;
        if same == 0 {
            return Ok(());
        }
        let at = u64::from(first) + at as u64;
        self.matching(at..at + same, hash, found)
    }

    /// The records at these places, as far as they have this hash.
    fn matching(
        &self,
        places: std::ops::Range<u64>,
        hash: u64,
        found: &mut Vec<u64>,
    ) -> io::Result<()> {
        let mut block = (u64::MAX, Vec::new());
        for place in places {
            if block.0 != place / PER_BLOCK {
                block = (place / PER_BLOCK, self.block(place / PER_BLOCK)?);
            }
            let (other, value) = record(&block.1, (place % PER_BLOCK) as usize);
            if self.shape.bucket(other) != self.shape.bucket(hash) {
                self.bad.store(true, Ordering::SeqCst);
                return Err(damaged("a record is not in its bucket"));
            }
            if other == hash {
                found.push(value);
            }
        }
        Ok(())
    }

    fn block(&self, index: u64) -> io::Result<Vec<u8>> {
        let mut block = vec![0; BLOCK];
        self.file.read_at(Shape::block(index), &mut block)?;
        if block[BLOCK - SUM..] != block_sum(&self.span, index, &block[..BLOCK - SUM]) {
            self.bad.store(true, Ordering::SeqCst);
            return Err(damaged("a block is not what was written"));
        }
        Ok(block)
    }

    fn read_tables(&self, offsets_sum: &[u8], tags_sum: &[u8]) -> io::Result<Tables> {
        let buckets = self.shape.buckets();
        let mut offsets = Vec::with_capacity(buckets + 1);
        let bytes = (buckets as u64 + 1) * 4;
        let sum = self.read_summed(self.shape.offsets(), bytes, |chunk| {
            offsets.extend(
                chunk
                    .chunks_exact(4)
                    .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]])),
            );
        })?;
        let mut tags = Vec::with_capacity(usize::try_from(self.shape.count).unwrap_or(0));
        let tags_read = self.read_summed(self.shape.tags(), self.shape.count * 2, |chunk| {
            tags.extend(
                chunk
                    .chunks_exact(2)
                    .map(|two| u16::from_le_bytes([two[0], two[1]])),
            );
        })?;
        if sum.as_ref() != offsets_sum || tags_read.as_ref() != tags_sum {
            return Err(damaged("its tables are not what was written"));
        }
        Ok(Tables { offsets, tags })
    }

    fn read_summed(
        &self,
        mut at: u64,
        bytes: u64,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<ring::digest::Digest> {
        let mut sum = Context::new(&SHA256);
        let mut chunk = vec![0; GATHER];
        let end = at + bytes;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(GATHER).min(GATHER);
            self.file.read_at(at, &mut chunk[..wanted])?;
            sum.update(&chunk[..wanted]);
            take(&chunk[..wanted]);
            at += wanted as u64;
        }
        Ok(sum.finish())
    }
}

/// Reads a run's records in their order.
pub(super) struct Cursor {
    run: Arc<Run>,
    place: u64,
    block: Vec<u8>,
}

impl Cursor {
    pub(super) fn new(run: Arc<Run>) -> Cursor {
        Cursor {
            run,
            place: 0,
            block: Vec::new(),
        }
    }

    /// The next record, or none behind the last.
    pub(super) fn peek(&mut self) -> io::Result<Option<Record>> {
        if self.place == self.run.shape.count {
            return Ok(None);
        }
        if self.place.is_multiple_of(PER_BLOCK) && self.block.is_empty() {
            self.block = self.run.block(self.place / PER_BLOCK)?;
        }
        Ok(Some(record(&self.block, (self.place % PER_BLOCK) as usize)))
    }

    /// Goes past the record that was peeked at.
    pub(super) fn pass(&mut self) {
        self.place += 1;
        if self.place.is_multiple_of(PER_BLOCK) {
            self.block.clear();
        }
    }
}

fn record(block: &[u8], place: usize) -> Record {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&block[at..at + 8]);
        u64::from_be_bytes(bytes)
    };
    (number(place * RECORD), number(place * RECORD + 8))
}

/// Covers place and run too: a block that was put elsewhere is not whole there.
pub(super) fn block_sum(span: &Span, index: u64, records: &[u8]) -> [u8; SUM] {
    let mut sum = Context::new(&SHA256);
    for number in [span.from, span.to, index] {
        sum.update(&number.to_be_bytes());
    }
    sum.update(records);
    let mut cut = [0; SUM];
    cut.copy_from_slice(&sum.finish().as_ref()[..SUM]);
    cut
}

pub(super) fn damaged(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.to_owned())
}

/// Whether an error says that the file is not whole, and not that it could not be read.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof
    )
}
