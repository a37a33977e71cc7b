//! What is written when a log was put back from a copy and cannot be made whole again.
//!
//! The gap is an entry, and stays one: how much was lost, who remembers more, who said that the
//! line goes on without it. What stations can prove of the lost entries is written again, each with
//! the proof that the log's own key once signed over it, so that nobody can invent a unit here.

use serde::{Deserialize, Serialize};

use crate::{DeviceId, Digest, Entry, Serial, StationName};

/// A log that goes on without entries that it once had.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LogRecovered {
    /// Entries of the log as it was put back.
    pub restored: u64,
    /// Entries from 0 that are those of the lost log, as far as anybody can tell.
    pub kept: u64,
    /// Entries of the longest log that anybody remembers.
    pub remembered: u64,
    /// `remembered` less `kept`.
    pub lost: u64,
    /// How many entries the token saw signed, when it keeps such a mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_mark: Option<u64>,
    /// Checkpoints of the lost log: whoever remembers one of them finds it here.
    pub checkpoints: Vec<LostCheckpoint>,
    /// What stations handed over.
    pub journals: Vec<JournalUsed>,
    /// What was typed to accept the loss, with its numbers.
    pub statement: String,
    /// The people who did, by their badges: two at least.
    pub by: Vec<String>,
}

impl LogRecovered {
    /// Whether it names this checkpoint as lost.
    #[must_use]
    pub fn names(&self, size: u64, root: &[u8; 32]) -> bool {
        let mut named = self.checkpoints.iter();
        named.any(|lost| (lost.size, &lost.root.0) == (size, root))
    }
}

/// A signed checkpoint that the log does not go on from any more.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LostCheckpoint {
    /// Entries it was signed over.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
    /// Who remembered it: `server`, `station NAME`, or the file it was given in.
    pub by: String,
}

/// One station's journal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JournalUsed {
    /// The station.
    pub station: StationName,
    /// SHA-256 of the file, to find it again by.
    pub sha256: Digest,
    /// Entries that it proves.
    pub entries: u64,
    /// Attempts that it had under way.
    pub open: u64,
}

/// An entry of the lost log about a unit, and the proof that it was in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Recovered {
    /// The entry as it was, with the number it had.
    pub entry: Box<Entry>,
    /// The proof (c2sp.org/tlog-proof) under the log's own key.
    pub proof: String,
    /// The station that kept it.
    pub from: StationName,
}

/// What nothing is issued for any more: a unit may be in the field that the log knows nothing of.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Blocked {
    /// The serial.
    pub serial: Serial,
    /// The silicon it was, when somebody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// Why.
    pub reason: String,
    /// Who blocked it, by badges.
    pub by: Vec<String>,
    /// The lost issue, when it is proven and the rules refuse it: its password is burnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Recovered>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attempt, Event, LabelProof, OrderId, State, Step, Timestamp};

    fn step() -> Step {
        Step {
            serial: Serial::parse("BM-000001").unwrap(),
            device_id: DeviceId::parse("00112233aabbccdd").unwrap(),
            order: OrderId::parse("WO-1").unwrap(),
            station: StationName::parse("bench-1").unwrap(),
            attempt: Attempt::FIRST,
            operator: None,
        }
    }

    fn check(event: Event, expected: &str) {
        let entry = Entry {
            seq: 7,
            time: Timestamp::from_unix_ms(1_700_000_000_000),
            simulated_hsm: true,
            event,
        };
        let bytes = entry.to_bytes();
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
        assert_eq!(Entry::from_bytes(&bytes).unwrap(), entry);
    }

    /// People script against these bytes: if this fails, change the code, not the text.
    #[test]
    fn the_bytes_of_a_recovery() {
        let lost = Entry {
            seq: 9,
            time: Timestamp::from_unix_ms(1_700_000_000_000),
            simulated_hsm: false,
            event: Event::Sealed {
                step: step(),
                label: LabelProof::Scanned,
                reprint: 0,
            },
        };
        let was = "{\"seq\":9,\"time\":\"2023-11-14T22:13:20.000Z\",\"kind\":\"sealed\",\
             \"serial\":\"BM-000001\",\"device_id\":\"00112233aabbccdd\",\"order\":\"WO-1\",\
             \"station\":\"bench-1\",\"attempt\":1,\"label\":\"scanned\"}";
        assert_eq!(lost.to_bytes(), was.as_bytes(), "its leaf is found again");
        let recovered = Event::Recovered(Box::new(Recovered {
            entry: Box::new(lost),
            proof: "c2sp.org/tlog-proof@v1\n".into(),
            from: step().station,
        }));
        assert_eq!(recovered.step(), Some((&step(), State::Sealed)));
        assert!(matches!(recovered.happened(), Event::Sealed { .. }));
        let head = "{\"seq\":7,\"time\":\"2023-11-14T22:13:20.000Z\",\"simulated_hsm\":true,";
        check(
            recovered,
            &format!(
                "{head}\"kind\":\"recovered\",\"entry\":{was},\
                 \"proof\":\"c2sp.org/tlog-proof@v1\\n\",\"from\":\"bench-1\"}}"
            ),
        );
        check(
            Event::SerialBlocked(Box::new(Blocked {
                serial: step().serial,
                device_id: None,
                reason: "in no record".into(),
                by: vec!["B-7".into()],
                evidence: None,
            })),
            &format!(
                "{head}\"kind\":\"serial_blocked\",\"serial\":\"BM-000001\",\
                 \"reason\":\"in no record\",\"by\":[\"B-7\"]}}"
            ),
        );
        check(
            Event::LogRecovered(Box::new(LogRecovered {
                restored: 4,
                kept: 5,
                remembered: 9,
                lost: 4,
                token_mark: Some(9),
                checkpoints: vec![LostCheckpoint {
                    size: 9,
                    root: Digest([1; 32]),
                    by: "station bench-1".into(),
                }],
                journals: vec![],
                statement: "4 of 9 entries are lost".into(),
                by: vec!["B-7".into(), "B-8".into()],
            })),
            &format!(
                "{head}\"kind\":\"log_recovered\",\"restored\":4,\"kept\":5,\
                 \"remembered\":9,\"lost\":4,\"token_mark\":9,\"checkpoints\":[{{\"size\":9,\
                 \"root\":\"{}\",\"by\":\"station bench-1\"}}],\"journals\":[],\
                 \"statement\":\"4 of 9 entries are lost\",\"by\":[\"B-7\",\"B-8\"]}}",
                "01".repeat(32)
            ),
        );
    }
}
