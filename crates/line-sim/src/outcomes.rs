//! What came of a demo, judged and told: for scripts as one object, for people as ticked lines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::v1;
use console::style;
use serde_json::json;
use station_cli::{Outcome, Report};

/// What came of a demo, and what should have.
pub(crate) struct Outcomes {
    pub(crate) units: u32,
    pub(crate) count: v1::OrderRecord,
    pub(crate) refused: Vec<Report>,
    pub(crate) entries: u64,
    pub(crate) findings: usize,
    pub(crate) distinct: usize,
    pub(crate) leaks: Vec<PathBuf>,
    pub(crate) searched: u64,
}

impl Outcomes {
    fn complete(&self) -> bool {
        let count = &self.count;
        let sum = count.sealed + count.scrapped + count.open + count.not_started;
        count.sealed == self.units && count.quantity == sum
    }

    fn unique(&self) -> bool {
        self.distinct == self.units as usize
    }

    pub(crate) fn good(&self) -> bool {
        let refused = |report: &Report| report.outcome == Outcome::Refused;
        self.complete()
            && self.unique()
            && self.refused.len() == 2
            && self.refused.iter().all(refused)
            && self.findings == 0
            && self.leaks.is_empty()
    }

    pub(crate) fn json(&self, data: &Path, took: Duration) -> serde_json::Value {
        let refused = |report: &Report| {
            let (serial, outcome) = (report.serial.as_str(), report.outcome);
            json!({ "serial": serial, "outcome": outcome, "reason": report.reason })
        };
        json!({
            "ok": self.good(),
            "data": data.display().to_string(),
            "order": self.count.order,
            "units": self.units,
            "sealed": self.count.sealed,
            "scrapped": self.count.scrapped,
            "open": self.count.open,
            "not_started": self.count.not_started,
            "voided": self.count.voided,
            "refused": self.refused.iter().map(refused).collect::<Vec<_>>(),
            "entries": self.entries,
            "log": if self.findings == 0 { "clean" } else { "altered" },
            "distinct_passwords": self.distinct,
            "files_searched": self.searched,
            "files_with_a_password": self.leaks.len(),
            "ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        })
    }

    pub(crate) fn text(&self) -> String {
        let count = &self.count;
        let mut lines = vec![
            (
                self.complete(),
                format!(
                    "ordered {} = sealed {} + scrapped {} + open {} + not started {}",
                    count.quantity, count.sealed, count.scrapped, count.open, count.not_started
                ),
            ),
            (
                self.unique(),
                format!("{} passwords, no two alike", self.distinct),
            ),
        ];
        let tried = [
            "its serial scanned for another unit",
            "the same unit put in again",
        ];
        for (report, tried) in self.refused.iter().zip(tried) {
            let words = format!("{}, {tried}: {}", report.serial, report.says);
            lines.push((report.outcome == Outcome::Refused, words));
        }
        let verified = format!(
            "{} log entries verified, {} findings",
            self.entries, self.findings
        );
        lines.push((self.findings == 0, verified));
        let (searched, leaks) = (self.searched, self.leaks.len());
        let words = format!(
            "{searched} files searched for the passwords: {leaks} hold one outside units/ and labels/"
        );
        lines.push((self.leaks.is_empty(), words));
        lines
            .into_iter()
            .map(|(good, words)| format!("{} {words}\n", mark(good)))
            .collect()
    }
}

fn mark(good: bool) -> console::StyledObject<&'static str> {
    if good {
        style("✓").green().bold()
    } else {
        style("✗").red().bold()
    }
}
