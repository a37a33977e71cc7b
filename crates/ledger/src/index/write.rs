//! Writing a run: blocks, offsets and tags grow side by side, because their lengths are known.

use std::io;

use ring::digest::{Context, SHA256, digest};

use super::run::{BLOCK, GATHER, MAGIC, PER_BLOCK, Record, SUM, Shape, Span, block_sum, damaged};
use crate::disk::{Disk, DiskFile};

/// Bytes written before they are synced: a sync at the end of a long merge would else hold up
/// the commits of other files for as long as the disk takes for all of it.
const SYNC_EVERY: u64 = 8 * 1024 * 1024;

/// Writes a run, of records that come in their order.
pub(super) struct RunWriter {
    span: Span,
    shape: Shape,
    file: Box<dyn DiskFile>,
    pushed: u64,
    next_bucket: usize,
    block: Vec<u8>,
    blocks: u64,
    offsets: Section,
    tags: Section,
    unsynced: u64,
}

/// A part of the file that grows beside the others.
struct Section {
    at: u64,
    gathered: Vec<u8>,
    sum: Context,
}

impl Section {
    fn new(at: u64) -> Section {
        Section {
            at,
            gathered: Vec::new(),
            sum: Context::new(&SHA256),
        }
    }

    fn add(&mut self, file: &dyn DiskFile, bytes: &[u8]) -> io::Result<()> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER {
            self.flush(file)?;
        }
        Ok(())
    }

    fn flush(&mut self, file: &dyn DiskFile) -> io::Result<()> {
        file.write_at(self.at, &self.gathered)?;
        self.sum.update(&self.gathered);
        self.at += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }
}

impl RunWriter {
    /// Begins the file under a name that no reader takes for a run.
    pub(super) fn create(disk: &dyn Disk, span: Span, count: u64) -> io::Result<RunWriter> {
        let shape = Shape::of(count);
        Ok(RunWriter {
            file: disk.create(&span.fresh())?,
            span,
            shape,
            pushed: 0,
            next_bucket: 0,
            block: Vec::with_capacity(BLOCK),
            blocks: 0,
            offsets: Section::new(shape.offsets()),
            tags: Section::new(shape.tags()),
            unsynced: 0,
        })
    }

    pub(super) fn push(&mut self, (hash, value): Record) -> io::Result<()> {
        let bucket = self.shape.bucket(hash);
        self.offsets_up_to(bucket)?;
        let tag = self.shape.tag(hash).to_le_bytes();
        self.tags.add(self.file.as_ref(), &tag)?;
        self.block.extend_from_slice(&hash.to_be_bytes());
        self.block.extend_from_slice(&value.to_be_bytes());
        self.pushed += 1;
        if self.pushed.is_multiple_of(PER_BLOCK) {
            self.end_block()?;
        }
        Ok(())
    }

    /// Makes the file durable and gives it its name.
    pub(super) fn finish(mut self, disk: &dyn Disk) -> io::Result<()> {
        assert_eq!(
            self.pushed, self.shape.count,
            "a run was promised another length"
        );
        if !self.block.is_empty() {
            self.end_block()?;
        }
        self.offsets_up_to(self.shape.buckets())?;
        let file = self.file.as_ref();
        self.offsets.flush(file)?;
        self.tags.flush(file)?;
        let mut header = MAGIC.to_vec();
        for number in [
            self.span.from,
            self.span.to,
            self.shape.count,
            u64::from(self.shape.bits),
        ] {
            header.extend_from_slice(&number.to_be_bytes());
        }
        header.extend_from_slice(&self.span.root);
        header.extend_from_slice(self.offsets.sum.finish().as_ref());
        header.extend_from_slice(self.tags.sum.finish().as_ref());
        let sum = digest(&SHA256, &header);
        header.extend_from_slice(sum.as_ref());
        header.resize(BLOCK, 0);
        file.write_at(0, &header)?;
        // Crash before this line: a file of no run, which the next start removes.
        file.sync()?;
        disk.rename(&self.span.fresh(), &self.span.name())?;
        disk.sync_names()
        // Crash after it: the run is there, and so are those it was merged from, which the next
        // start removes.
    }

    fn offsets_up_to(&mut self, bucket: usize) -> io::Result<()> {
        while self.next_bucket <= bucket {
            let before = u32::try_from(self.pushed).map_err(|_| damaged("too many records"))?;
            self.offsets
                .add(self.file.as_ref(), &before.to_le_bytes())?;
            self.next_bucket += 1;
        }
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        self.block.resize(BLOCK - SUM, 0);
        let sum = block_sum(&self.span, self.blocks, &self.block);
        self.block.extend_from_slice(&sum);
        self.file.write_at(Shape::block(self.blocks), &self.block)?;
        self.block.clear();
        self.blocks += 1;
        self.unsynced += BLOCK as u64;
        if self.unsynced >= SYNC_EVERY {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(())
    }
}
