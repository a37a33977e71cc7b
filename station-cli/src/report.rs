//! What is said of one unit: one JSON object for machines, one line for people.

use serde::Serialize;
use std::time::Duration;
use traveler::{Attempt, DeviceId, Digest, OrderId, Serial, StationName, Timestamp};

use crate::calls::CallError;
use crate::failure::{Failure, Outcome};
use crate::port::PortError;

/// How a unit's turn ended. Never a secret.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The unit.
    pub serial: Serial,
    /// The order.
    pub order: OrderId,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it is not sealed; `None` when it is.
    pub reason: Option<&'static str>,
    /// The silicon, once it was greeted.
    pub device_id: Option<DeviceId>,
    /// The try, once there is one.
    pub attempt: Option<Attempt>,
    /// Leaf index of the newest entry that was proven.
    pub index: Option<u64>,
    /// SHA-256 of the unit's certificate (DER).
    pub certificate_sha256: Option<Digest>,
    /// Who says what the unit holds, once that is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_back: Option<ReadBack>,
    /// Whether the server has yet to hear of it: it is on record at this station, to be uploaded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub offline: bool,
    /// Why the unit is not locked, when its kind cannot be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_locked: Option<String>,
    /// Where the serial is that is not to be had here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
    /// From the start of the turn to its end, in milliseconds.
    pub cycle_ms: u64,
    /// How far this machine's clock and the server's were apart, when the server told its time.
    #[serde(skip)]
    pub(crate) clock_off: Option<Duration>,
    /// Why the port does not open: the process that has it, or what the system says.
    #[serde(skip)]
    pub(crate) port: Option<PortTrouble>,
    /// For people: what the operator sees.
    #[serde(skip)]
    pub says: &'static str,
    /// For people: what to do, and the particulars.
    #[serde(skip)]
    pub words: String,
    /// How deep in the unit's turn is.
    #[serde(skip)]
    pub(crate) doubt: Doubt,
}

/// What keeps a port shut, for whoever can end that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PortTrouble {
    /// This process has it.
    Held(String),
    /// This user may not open it.
    NotPermitted,
}

impl PortTrouble {
    fn of(failure: &Failure) -> Option<PortTrouble> {
        match failure {
            Failure::Port(PortError::Busy { holder, .. }) => {
                // A process names itself: that must not move a cursor.
                let name = holder.chars().filter(|c| !c.is_control());
                Some(PortTrouble::Held(name.collect()))
            }
            Failure::Port(PortError::Unusable { reason, .. }) => {
                let refused = reason.to_ascii_lowercase().contains("permi");
                refused.then_some(PortTrouble::NotPermitted)
            }
            _ => None,
        }
    }
}

/// The station that has a serial, or had it last.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Used {
    /// Which.
    pub station: StationName,
    /// Since when it stands where it does, by the server's clock.
    pub since: Timestamp,
}

impl Used {
    fn of(failure: &Failure) -> Option<Used> {
        match failure {
            Failure::Call(CallError::Refused { in_use, .. }) => in_use.clone().map(|it| Used {
                station: it.station,
                since: it.since,
            }),
            _ => None,
        }
    }
}

/// Who says what a unit holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBack {
    /// The unit itself, from its flash.
    Unit,
    /// The station, which read it back by the unit's console or its maker's tool.
    Station,
}

/// What a failure leaves behind; decides between "nothing spent" and "run again".
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Doubt {
    /// No attempt is under way.
    None,
    /// One is, and the unit may hold none, a part or all of it.
    Open,
    /// One is, and the unit is known to hold it.
    Loaded,
}

impl Report {
    pub(crate) fn new(serial: &Serial, order: &OrderId) -> Report {
        Report {
            serial: serial.clone(),
            order: order.clone(),
            outcome: Outcome::Sealed,
            reason: None,
            device_id: None,
            attempt: None,
            index: None,
            certificate_sha256: None,
            read_back: None,
            offline: false,
            not_locked: None,
            used: None,
            cycle_ms: 0,
            clock_off: None,
            port: None,
            says: "PASS",
            words: String::new(),
            doubt: Doubt::None,
        }
    }

    /// Fills in how it ended. With an attempt under way nothing is merely refused: the unit has to
    /// come back.
    pub(crate) fn end(mut self, ended: Result<(), Failure>, took: Duration) -> Report {
        self.cycle_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let Err(failure) = ended else {
            return self;
        };
        self.port = PortTrouble::of(&failure);
        self.used = Used::of(&failure);
        let advice = failure.advice();
        self.outcome = match (advice.outcome, self.doubt) {
            (Outcome::Refused, Doubt::Open) => Outcome::Rework,
            (Outcome::Refused | Outcome::Rework, Doubt::Loaded) => Outcome::Loaded,
            (outcome, _) => outcome,
        };
        self.reason = Some(advice.reason);
        self.says = advice.says;
        self.words = format!("{} ({failure})", advice.action);
        self
    }

    /// One JSON object, without a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report is plain data")
    }

    /// What the process that made it ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.outcome.exit_code()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.serial, self.says)?;
        if !self.words.is_empty() {
            write!(f, " - {}", self.words)?;
        }
        if self.offline {
            write!(f, "; offline, to be uploaded")?;
        }
        if self.read_back == Some(ReadBack::Station) {
            write!(f, "; read back by the station")?;
        }
        if let Some(reason) = &self.not_locked {
            write!(f, "; not locked: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(doubt: Doubt, failure: Option<Failure>, expected: (Outcome, u8)) {
        let serial = Serial::parse("A47").unwrap();
        let mut report = Report::new(&serial, &OrderId::parse("WO-1").unwrap());
        report.doubt = doubt;
        let report = report.end(failure.map_or(Ok(()), Err), Duration::from_millis(7));
        assert_eq!((report.outcome, report.exit_code()), expected);
    }

    #[test]
    fn who_has_a_port_is_told() {
        let path = || "p".to_owned();
        let busy = PortError::Busy {
            path: path(),
            holder: "mod\u{1b}em (7)".to_owned(),
        };
        let held = PortTrouble::Held("modem (7)".to_owned());
        assert_eq!(PortTrouble::of(&Failure::Port(busy)), Some(held));
        for (reason, expected) in [
            ("Permission denied", Some(PortTrouble::NotPermitted)),
            (
                "Operation not permitted (os error 1)",
                Some(PortTrouble::NotPermitted),
            ),
            ("Input/output error", None),
        ] {
            let unusable = PortError::Unusable {
                path: path(),
                reason: reason.to_owned(),
            };
            assert_eq!(PortTrouble::of(&Failure::Port(unusable)), expected);
        }
    }

    #[test]
    fn nothing_is_merely_refused_once_an_attempt_is_under_way() {
        let same = || Some(Failure::SameUnit { held: None });
        check(Doubt::None, None, (Outcome::Sealed, 0));
        check(Doubt::None, same(), (Outcome::Refused, 2));
        check(Doubt::Open, same(), (Outcome::Rework, 10));
        check(Doubt::Loaded, same(), (Outcome::Loaded, 10));
        check(Doubt::Loaded, Some(Failure::ReadBack), (Outcome::Scrap, 20));
        check(Doubt::None, Some(Failure::NoScan), (Outcome::Loaded, 10));
    }

    /// People script against these bytes: if this fails, change the code, not the text.
    #[test]
    fn the_line_for_machines() {
        let serial = Serial::parse("A47").unwrap();
        let report = Report::new(&serial, &OrderId::parse("WO-1").unwrap());
        let report = report.end(Err(Failure::NoScan), Duration::from_millis(7));
        assert_eq!(
            report.to_json(),
            "{\"serial\":\"A47\",\"order\":\"WO-1\",\"outcome\":\"loaded\",\"reason\":\"NO_SCAN\",\
             \"device_id\":null,\"attempt\":null,\"index\":null,\"certificate_sha256\":null,\
             \"cycle_ms\":7}"
        );
        assert_eq!(
            report.to_string(),
            "A47: LABEL NOT SCANNED - run again and scan the label (no label was scanned)"
        );
    }
}
