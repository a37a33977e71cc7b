//! The figures, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Goals of the shares at batches of 1, 10 and 100.
const SHARE_GOALS: [f64; 3] = [0.9, 0.7, 0.4];

/// Everything a run measured.
pub(super) struct Figures {
    pub(super) shares: Vec<Share>,
    pub(super) behinds: Vec<Behind>,
    pub(super) seconds: f64,
}

/// Append rates at one batch size.
pub(super) struct Share {
    batch: usize,
    /// For each log and round: entries a second, and the disk's beside it.
    rates: Vec<Vec<(f64, f64)>>,
}

impl Share {
    pub(super) fn new(batch: usize, logs: usize) -> Share {
        Share {
            batch,
            rates: vec![Vec::new(); logs],
        }
    }

    /// Takes one round: each log's rate and the disk's.
    pub(super) fn round(&mut self, rates: &[(f64, f64)]) {
        for (all, &rate) in self.rates.iter_mut().zip(rates) {
            all.push(rate);
        }
    }

    fn rate(&self, log: usize) -> f64 {
        median(self.rates[log].iter().map(|rate| rate.0))
    }

    fn disk(&self) -> f64 {
        median(self.rates.iter().flatten().map(|rate| rate.1))
    }

    /// Of the disk's rate, round by round.
    fn of_disk(&self, log: usize) -> f64 {
        median(self.rates[log].iter().map(|rate| rate.0 / rate.1))
    }

    /// Of the rate without history, round by round.
    fn of_empty(&self, log: usize) -> f64 {
        let pairs = self.rates[log].iter().zip(&self.rates[0]);
        median(pairs.map(|(rate, empty)| rate.0 / empty.0))
    }
}

/// What was seen of one log.
pub(super) struct Behind {
    pub(super) entries: u64,
    pub(super) units: u64,
    pub(super) made_s: f64,
    pub(super) checks_ns: Vec<f64>,
    pub(super) syncs: Vec<f64>,
    pub(super) ready_ms: f64,
    pub(super) resident_kb: u64,
}

impl Behind {
    pub(super) fn new(entries: u64) -> Behind {
        Behind {
            entries,
            units: 0,
            made_s: 0.0,
            checks_ns: Vec::new(),
            syncs: Vec::new(),
            ready_ms: 0.0,
            resident_kb: 0,
        }
    }

    fn check_us(&self, percent: usize) -> f64 {
        let mut all = self.checks_ns.clone();
        all.sort_by(f64::total_cmp);
        let at = (all.len() * percent / 100).min(all.len().saturating_sub(1));
        all.get(at).copied().unwrap_or_default() / 1_000.0
    }

    /// Resident memory less the 64 MB that are granted, for each unit.
    fn bytes_per_unit(&self) -> f64 {
        let above = (self.resident_kb * 1_024).saturating_sub(64_000_000);
        above as f64 / self.units.max(1) as f64
    }
}

impl Figures {
    pub(super) fn json(&self) -> Value {
        let share = |share: &Share| {
            let logs = (0..self.behinds.len()).map(|log| {
                json!({
                    "history": self.behinds[log].entries,
                    "entries_per_s": share.rate(log).round(),
                    "share_of_disk": share.of_disk(log),
                    "share_of_no_history": share.of_empty(log),
                })
            });
            json!({
                "batch": share.batch,
                "disk_entries_per_s": share.disk().round(),
                "logs": logs.collect::<Vec<_>>(),
            })
        };
        let behind = |behind: &Behind| {
            json!({
                "history": behind.entries,
                "units": behind.units,
                "made_s": behind.made_s,
                "check_p50_us": behind.check_us(50),
                "check_p99_us": behind.check_us(99),
                "syncs_per_batch": median(behind.syncs.iter().copied()),
                "ready_after_kill_ms": behind.ready_ms,
                "resident_kb": behind.resident_kb,
                "bytes_per_unit_above_64_mb": behind.bytes_per_unit(),
            })
        };
        json!({
            "appends": self.shares.iter().map(share).collect::<Vec<_>>(),
            "logs": self.behinds.iter().map(behind).collect::<Vec<_>>(),
            "seconds": self.seconds,
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text =
            String::from("batch     history    entries/s    of the disk  of no history\n");
        for (share, goal) in self.shares.iter().zip(SHARE_GOALS) {
            for (log, behind) in self.behinds.iter().enumerate() {
                let _ = writeln!(
                    text,
                    "{:>5} {:>11} {:>12.0} {:>8.2} (>= {goal:.1}) {:>7.2} (>= 0.9)",
                    share.batch,
                    behind.entries,
                    share.rate(log),
                    share.of_disk(log),
                    share.of_empty(log),
                );
            }
            let _ = writeln!(
                text,
                "{:>5} {:>11} {:>12.0}",
                share.batch,
                "the disk",
                share.disk()
            );
        }
        text.push_str(
            "\n    history       units   check p50 us   p99 us  syncs/batch   ready ms   resident MB  B/unit\n",
        );
        for behind in &self.behinds {
            let _ = writeln!(
                text,
                "{:>11} {:>11} {:>14.2} {:>8.2} {:>12.2} {:>10.0} {:>13.1} {:>7.1}",
                behind.entries,
                behind.units,
                behind.check_us(50),
                behind.check_us(99),
                median(behind.syncs.iter().copied()),
                behind.ready_ms,
                behind.resident_kb as f64 * 1.024e-3,
                behind.bytes_per_unit(),
            );
        }
        let _ = writeln!(
            text,
            "goals: p50 <= 1 us, ready in 10,000 ms, resident <= 64 MB + 12 B a unit; took {:.0} s",
            self.seconds
        );
        text
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
