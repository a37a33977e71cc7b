//! Merging of adjacent runs into one, a few records at a time.

use std::io;
use std::sync::Arc;

use super::run::{Cursor, Run, Span};
use super::write::RunWriter;
use crate::disk::Disk;

/// Runs of one size that are merged into one of the next.
pub(super) const FAN_IN: usize = 4;

/// One merge under way. Dropping it leaves a file of no run, which the next start removes.
pub(super) struct Merge {
    /// What is merged: together it covers the span of the outcome.
    pub(super) span: Span,
    inputs: Vec<Cursor>,
    output: RunWriter,
}

impl Merge {
    /// Begins to merge these adjacent runs.
    pub(super) fn begin(disk: &dyn Disk, runs: &[Arc<Run>]) -> io::Result<Merge> {
        let (first, last) = (runs[0].span, runs[runs.len() - 1].span);
        let span = Span {
            from: first.from,
            ..last
        };
        let count = runs.iter().map(|run| run.count()).sum();
        let inputs = runs.iter().map(|run| Cursor::new(Arc::clone(run)));
        Ok(Merge {
            span,
            inputs: inputs.collect(),
            output: RunWriter::create(disk, span, count)?,
        })
    }

    /// Moves up to `records` of them. True when none is left.
    pub(super) fn step(&mut self, records: u64) -> io::Result<bool> {
        for _ in 0..records {
            let mut least: Option<((u64, u64), usize)> = None;
            for (at, input) in self.inputs.iter_mut().enumerate() {
                if let Some(record) = input.peek()?
                    && least.is_none_or(|(other, _)| record < other)
                {
                    least = Some((record, at));
                }
            }
            let Some((record, at)) = least else {
                return Ok(true);
            };
            self.output.push(record)?;
            self.inputs[at].pass();
        }
        Ok(false)
    }

    /// Makes the outcome durable under its name.
    pub(super) fn finish(self, disk: &dyn Disk) -> io::Result<()> {
        self.output.finish(disk)
    }
}

/// The adjacent runs that are to be merged next: the longest group, of the smallest size there is
/// such a group of, that holds no run of a merge under way.
pub(super) fn next(
    runs: &[Arc<Run>],
    least: u64,
    busy: &[Merge],
) -> Option<std::ops::Range<usize>> {
    let size = |run: &Run| {
        (run.span.to - run.span.from)
            .max(1)
            .div_ceil(least)
            .ilog(FAN_IN as u64)
    };
    let is_busy = |run: &Run| {
        let within =
            |merge: &Merge| merge.span.from <= run.span.from && run.span.to <= merge.span.to;
        busy.iter().any(within)
    };
    let largest = runs.iter().map(|run| size(run)).max()?;
    for limit in 0..=largest {
        let mut best = 0..0;
        let mut from = 0;
        for at in 0..=runs.len() {
            let joins = runs
                .get(at)
                .is_some_and(|run| size(run) <= limit && !is_busy(run));
            if joins {
                continue;
            }
            if at - from > best.len() {
                best = from..at;
            }
            from = at + 1;
        }
        if best.len() >= FAN_IN {
            return Some(best);
        }
    }
    None
}
