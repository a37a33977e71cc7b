//! The rows of table `steps`, read once and beside the entries: a look-up for each of them would cost
//! more than all the rest of an audit.

use crate::findings::Findings;
use crate::rows::StepRow;
use crate::stream::Stream;
use crate::table::int;

/// The rows of table `steps`, beside the entries that make them.
pub(crate) struct Steps<'a> {
    rows: Stream<'a, rusqlite::Result<StepRow>>,
    /// Rows that no entry spoke of.
    stray: u64,
    /// The table could not be read on, which was said.
    damaged: bool,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(rows: rusqlite::Rows<'a>) -> Steps<'a> {
        Steps {
            rows: Stream::new(rows),
            stray: 0,
            damaged: false,
        }
    }

    /// Looks at the row that an entry makes.
    pub(crate) fn check(&mut self, step: &StepRow, findings: &mut Findings) {
        let place = int(step.seq).cast_unsigned();
        // Numbers that were altered sort where they do not belong.
        while let Some(number) = self.peek(findings)
            && (number < place || number > i64::MAX.cast_unsigned())
        {
            self.pass();
        }
        if self.damaged {
            return; // what could not be read is not missing; the one finding says it all
        }
        match self.rows.peek() {
            Ok(Some((number, found))) if *number == place => {
                match found {
                    Ok(found) if found == step => {}
                    Ok(_) => findings.add(step.seq, "its row in table steps is not what it says"),
                    Err(error) => {
                        findings.add(step.seq, format!("its row in table steps: {error}"));
                    }
                }
                self.rows.take();
            }
            _ => findings.add(step.seq, "its row in table steps is missing"),
        }
    }

    /// Behind the last entry.
    pub(crate) fn check_rest(&mut self, findings: &mut Findings) {
        while self.peek(findings).is_some() {
            self.pass();
        }
        if self.stray > 0 {
            let what = format!(
                "table steps has {} rows that no entry speaks of",
                self.stray
            );
            findings.add(None, what);
        }
    }

    /// The number of the next row; none at the end and behind a damage.
    fn peek(&mut self, findings: &mut Findings) -> Option<u64> {
        if self.damaged {
            return None;
        }
        match self.rows.peek() {
            Ok(next) => next.map(|(number, _)| *number),
            Err(error) => {
                findings.add(None, format!("table steps is damaged: {error}"));
                self.damaged = true;
                None
            }
        }
    }

    fn pass(&mut self) {
        self.rows.take();
        self.stray += 1;
    }
}
