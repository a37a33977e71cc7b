//! The lease that a lead takes before the network is cut, as anybody would: with `station-cli lease`,
//! while the shift runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::operator::serial;
use super::trouble::Trouble;
use crate::load::program;

/// No lease has more.
const UNITS_MAX: usize = 256;

/// What is leased, and when.
pub(super) struct Ahead {
    program: PathBuf,
    order: String,
    home: PathBuf,
    /// From this unit on, once.
    from: Option<u32>,
}

impl Ahead {
    /// Before the network goes, and so long before that whatever is in a slot then was leased.
    pub(super) fn of(
        troubles: &std::collections::BTreeMap<u32, Trouble>,
        slots: u16,
        order: &str,
        home: &Path,
    ) -> Result<Ahead> {
        let cut = troubles
            .iter()
            .find(|(_, trouble)| **trouble == Trouble::NetworkCut);
        Ok(Ahead {
            program: program("station-cli", None)?,
            order: order.to_owned(),
            home: home.to_owned(),
            from: cut.map(|(number, _)| number.saturating_sub(2 * u32::from(slots)).max(1)),
        })
    }

    /// Leases for what is on the shelf, when it is time for it; how many.
    pub(super) fn lease(&mut self, shelf: &[u32]) -> Result<usize> {
        let due = |from: &mut u32| shelf.first().is_some_and(|number| *number >= *from);
        if self.from.take_if(due).is_none() {
            return Ok(0);
        }
        let some = &shelf[..shelf.len().min(UNITS_MAX)];
        let mut child = Command::new(&self.program)
            .args(["lease", "--order", &self.order, "--serials", "-", "--data"])
            .arg(&self.home)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let list: String = some.iter().map(|number| serial(*number) + "\n").collect();
        let mut input = child.stdin.take().context("its input is a pipe")?;
        input.write_all(list.as_bytes())?;
        drop(input);
        let done = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "no lease: {said}");
        Ok(some.len())
    }
}
