//! What one station or operator did for an order, the stops of the line in its time, and counts.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use traveler::{Event, State, Timestamp};

/// Different reasons for scrap or rework that are counted one by one; people write them freely.
const REASONS_MAX: usize = 50;

/// What one station or operator did.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) issued: u64,
    pub(super) sealed: u64,
    pub(super) voided: u64,
    pub(super) reprinted: u64,
    pub(super) leased: u64,
    pub(super) returned: u64,
    pub(super) other: u64,
}

/// A stop of the line while the order was open.
pub(super) struct Stopped {
    pub(super) seq: u64,
    pub(super) time: Timestamp,
    pub(super) order: String,
    pub(super) clause: String,
    pub(super) detector: String,
    pub(super) evidence: String,
    pub(super) resumed: Option<(u64, Timestamp, String, String)>,
}

impl Tally {
    pub(super) fn count(&mut self, event: &Event, state: State) {
        match state {
            // It moves no unit: the state is that of the load before.
            _ if matches!(event, Event::Reprinted { .. }) => self.reprinted += 1,
            State::Issued => self.issued += 1,
            State::Sealed => self.sealed += 1,
            State::Voided => self.voided += 1,
            State::Loaded | State::Rework | State::Scrapped => self.other += 1,
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "issued": self.issued,
            "sealed": self.sealed,
            "voided": self.voided,
            "reprinted": self.reprinted,
            "leased": self.leased,
            "returned": self.returned,
            "other": self.other,
        })
    }

    pub(super) fn text(&self) -> String {
        let reprinted = match self.reprinted {
            0 => String::new(),
            count => format!(", reprinted {count}"),
        };
        let leases = match (self.leased, self.returned) {
            (0, 0) => String::new(),
            (leased, returned) => format!(", leased {leased}, returned {returned}"),
        };
        format!(
            "issued {}, sealed {}, voided {}{reprinted}{leases}",
            self.issued, self.sealed, self.voided
        )
    }
}

impl Stopped {
    pub(super) fn json(&self) -> Value {
        let resumed = self.resumed.as_ref().map(|(seq, time, by, reason)| {
            json!({ "seq": seq, "time": time, "by": by, "reason": reason })
        });
        json!({
            "seq": self.seq,
            "time": self.time,
            "order": self.order,
            "clause": self.clause,
            "detector": self.detector,
            "evidence": self.evidence,
            "resumed": resumed,
        })
    }

    pub(super) fn text(&self) -> String {
        let ended = match &self.resumed {
            Some((seq, time, by, reason)) => {
                format!("resumed {time} (entry {seq}) by {by}: {reason}")
            }
            None => "not resumed".to_owned(),
        };
        format!(
            "{} (entry {}) in {}: clause {}, {}, {}; {ended}",
            self.time, self.seq, self.order, self.clause, self.detector, self.evidence
        )
    }
}

/// Counts a reason by its words; what is said too rarely to be listed is counted together.
pub(super) fn count_reason(reasons: &mut BTreeMap<String, u64>, reason: &str) {
    let known = reasons.contains_key(reason) || reasons.len() < REASONS_MAX;
    let reason = if known { reason } else { "(others)" };
    *reasons.entry(reason.to_owned()).or_default() += 1;
}

/// `: a 1, b 2`, or nothing.
pub(super) fn counts<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let parts: Vec<String> = counts
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    match parts[..] {
        [] => String::new(),
        _ => format!(": {}", parts.join(", ")),
    }
}
