//! How a unit's turn can end otherwise than sealed, and the one table of what an operator is told.

mod refusal;

use std::io;

use serde::Serialize;
use thiserror::Error;
use traveler::{Attempt, DeviceId, OrderId, Serial, StationName};
use wire::WireError;
use wire::console::ConsoleError;

use crate::calls::CallError;
use crate::drive::UnitError;
use crate::exec::ToolError;
use crate::journal::JournalError;
use crate::log::LogError;
use crate::port::PortError;

use refusal::refusal;

/// What became of a unit's turn, and the exit code that says so to scripts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// PASS.
    Sealed,
    /// The unit holds its credential for good; label or seal is still to come.
    Loaded,
    /// Nothing was spent.
    Refused,
    /// Run again, with the same unit.
    Rework,
    /// Withdrawn; the unit goes to the scrap bin.
    Scrap,
    /// Nothing may go on here until somebody has looked.
    Stop,
}

impl Outcome {
    /// 0 pass; 2 unusable input; 10 rework; 20 scrap; 30 stop the line.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Sealed => 0,
            Outcome::Refused => 2,
            Outcome::Loaded | Outcome::Rework => 10,
            Outcome::Scrap => 20,
            Outcome::Stop => 30,
        }
    }
}

/// Why a unit was not sealed.
#[derive(Debug, Error)]
pub enum Failure {
    /// No port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The unit, or the cable to it.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// The server, or the way to it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The station's disk.
    #[error(transparent)]
    Journal(JournalError),
    /// The server's log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Not what the order builds.
    #[error("the unit says it is {found}, the order builds {expected}")]
    WrongProduct {
        /// Model and revision of the unit.
        found: String,
        /// Those of the product.
        expected: String,
    },
    /// It was provisioned before.
    #[error("the unit is locked and holds {}", .held.as_ref().map_or("a credential", Serial::as_str))]
    SameUnit {
        /// Its serial.
        held: Option<Serial>,
    },
    /// Locked for an attempt under way of which this station's journal knows nothing.
    #[error("{serial} attempt {attempt} is under way, but not in this station's journal")]
    NotInJournal {
        /// Its serial.
        serial: Serial,
        /// The try.
        attempt: Attempt,
    },
    /// Locked for an attempt under way of this station, but another serial was scanned.
    #[error("the unit is {serial}, which is under way here")]
    OtherSerial {
        /// Its serial.
        serial: Serial,
    },
    /// Locked for an attempt under way at another station.
    #[error("{serial} is under way at station {station}")]
    AtOtherStation {
        /// Its serial.
        serial: Serial,
        /// Where it was begun.
        station: StationName,
    },
    /// Locked with something that this server never gave, or not to this silicon.
    #[error("the unit is locked and says it holds {}; this server does not know it so", .held.as_ref().map_or("nothing", Serial::as_str))]
    NotKnownHere {
        /// The serial it says it holds.
        held: Option<Serial>,
    },
    /// Locked, and nobody can be asked now whether it is done.
    #[error("the unit is locked as {serial}; without the server nobody knows whether it is done")]
    NotKnownNow {
        /// Its serial.
        serial: Serial,
    },
    /// It was locked, and a unit with its id that is not locked stands in its place.
    #[error(
        "{serial} was locked before, and is not now: this is not the same unit, or a broken one"
    )]
    Unlocked {
        /// The serial.
        serial: Serial,
    },
    /// There is no attempt of this station to withdraw.
    #[error("{serial} has no attempt under way at this station")]
    NothingOpen {
        /// The serial.
        serial: Serial,
    },
    /// The server had sealed it before it was withdrawn here.
    #[error("{serial} is sealed: nothing was withdrawn, its label counts")]
    SealedAlready {
        /// The serial.
        serial: Serial,
    },
    /// Locked for an attempt that was withdrawn.
    #[error("the unit is locked with a credential of {serial} that was withdrawn")]
    LockedWithdrawn {
        /// Its serial.
        serial: Serial,
    },
    /// Another unit is under way at this port.
    #[error("{serial} is under way at {port} and not settled")]
    PutBack {
        /// The serial of that unit.
        serial: Serial,
        /// Where.
        port: String,
    },
    /// Another unit is under way under this serial.
    #[error("{serial} was begun with unit {expected}, here is unit {found}")]
    OtherUnit {
        /// The serial.
        serial: Serial,
        /// The silicon it was begun with.
        expected: DeviceId,
        /// The one that is here.
        found: DeviceId,
    },
    /// This serial is under way for another order.
    #[error("{serial} is under way for order {order}")]
    OtherOrder {
        /// The serial.
        serial: Serial,
        /// The order it was begun for.
        order: OrderId,
    },
    /// The unit was swapped during its turn; the attempt is withdrawn.
    #[error("{0}; the attempt is withdrawn")]
    Swapped(WireError),
    /// What was written does not stay; the attempt is withdrawn, the unit scrapped.
    #[error("the unit does not hold what was written, twice; the attempt is withdrawn")]
    ReadBack,
    /// The server has forgotten what it recorded.
    #[error("the server does not know attempt {attempt} of {serial}: its log went backwards")]
    Forgotten {
        /// The serial.
        serial: Serial,
        /// The try.
        attempt: Attempt,
    },
    /// The server's reply contradicts itself.
    #[error("the server's reply cannot be used: {0}")]
    BadReply(String),
    /// What the order says of how its units are spoken to cannot be read here.
    #[error("the device profile of this order cannot be used: {0}")]
    NoProfile(String),
    /// The printer did not take the label.
    #[error("the label could not be written: {0}")]
    Printer(io::Error),
    /// A label was sent, and whether it came out is not known.
    #[error("whether a label came out is not known: {0}")]
    LabelUnknown(String),
    /// A former label was scanned.
    #[error("label {scanned} of {serial} is void, {newest} counts")]
    VoidLabel {
        /// The unit.
        serial: Serial,
        /// As it is printed: "R0" is the first.
        scanned: String,
        /// The one that counts.
        newest: String,
    },
    /// There is no label to print again.
    #[error("{0}")]
    NoReprint(String),
    /// This unit's label cannot be laid out, whatever the printer.
    #[error("the label cannot be made: {0}")]
    NoLabel(String),
    /// The server is away, and this serial is not among those leased for that.
    #[error("{serial} is not in this station's lease, and there is no server: {why}")]
    NotInLease {
        /// The serial.
        serial: Serial,
        /// Why there is none to go by.
        why: String,
    },
    /// The server is away, and the lease is spent or over.
    #[error("the server is away, and this station's lease for {order} is {why}")]
    LeaseSpent {
        /// The order.
        order: OrderId,
        /// Spent, or over.
        why: &'static str,
    },
    /// The encrypted credential of a unit under way is not here any more.
    #[error("the leased credential of {serial} is not in this station's folder any more")]
    LeaseGone {
        /// The serial.
        serial: Serial,
    },
    /// The server refuses what this station did while it was away, or the record of it is damaged.
    #[error("what is on record of {serial} is on hold: {reason}, {message}")]
    Hold {
        /// The serial.
        serial: Serial,
        /// The reason it gives.
        reason: String,
        /// Its words.
        message: String,
    },
    /// Nobody scanned.
    #[error("no label was scanned")]
    NoScan,
    /// Not this unit's label.
    #[error("{0}")]
    WrongLabel(String),
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advice {
    /// For machines, and the same in every language.
    pub reason: &'static str,
    /// What became of the unit.
    pub outcome: Outcome,
    /// What an operator sees: at most eight words.
    pub says: &'static str,
    /// What to do.
    pub action: &'static str,
}

const fn row(
    outcome: Outcome,
    reason: &'static str,
    says: &'static str,
    action: &'static str,
) -> Advice {
    Advice {
        reason,
        outcome,
        says,
        action,
    }
}

impl Failure {
    /// The table: failure to operator sentence and outcome.
    #[must_use]
    #[rustfmt::skip]
    #[allow(clippy::too_many_lines, reason = "one table, a row or two for each failure")]
    pub fn advice(&self) -> Advice {
        use Outcome::{Loaded, Refused, Rework, Scrap, Stop};
        match self { // no `_` arm: a new failure must choose
            Failure::Call(CallError::Refused { reason, .. }
                | CallError::Unavailable { reason: Some(reason), .. }) => refusal(*reason),
            Failure::Call(CallError::Unavailable { reason: None, .. }) =>
                row(Refused, "NO_SERVER", "NO SERVER", "is `provisioner serve` up? check network, run again"),
            Failure::Call(CallError::Trust(_)) =>
                row(Refused, "NOT_TRUSTED", "CERTIFICATE NOT ACCEPTED", "call IT"),
            Failure::Call(CallError::Unexpected { .. }) | Failure::BadReply(_) =>
                row(Stop, "SERVER_FAULT", "SERVER FAULT", "stop the line, call IT"),
            Failure::Port(PortError::Missing { .. }) =>
                row(Refused, "PORT_MISSING", "NO PORT", "plug the unit in, check --port"),
            Failure::Port(PortError::Busy { .. }) =>
                row(Refused, "PORT_BUSY", "PORT BUSY", "end the other program, run again"),
            Failure::Port(PortError::Unusable { .. }) =>
                row(Refused, "PORT_UNUSABLE", "PORT DOES NOT OPEN", "check --port, call IT"),
            Failure::Unit(error) => at_unit(error),
            Failure::NoProfile(_) =>
                row(Refused, "NO_PROFILE", "DEVICE PROFILE NOT USABLE", "call an engineer: station-cli profile check"),
            Failure::Journal(JournalError::InHand { .. }) =>
                row(Refused, "IN_HAND", "SERIAL IN WORK HERE", "wait until its other slot is done"),
            Failure::Journal(JournalError::Damaged { .. } | JournalError::Io { .. }) | Failure::Log(LogError::Io { .. }) =>
                row(Stop, "STATION_DISK", "STATION DISK FAULT", "stop this station, call IT"),
            Failure::Log(LogError::WentBack { .. }) | Failure::Forgotten { .. } =>
                row(Stop, "LOG_WENT_BACK", "SERVER LOST RECORDS", "stop the line, call IT"),
            Failure::Log(LogError::NoProof(_) | LogError::Forked { .. }) =>
                row(Stop, "LOG_NOT_PROVEN", "SERVER RECORD NOT PROVEN", "stop the line, call IT"),
            Failure::WrongProduct { .. } =>
                row(Refused, "WRONG_PRODUCT", "WRONG PRODUCT", "take the unit out, check the order"),
            Failure::SameUnit { .. } =>
                row(Refused, "SAME_UNIT", "SAME UNIT, ALREADY DONE", "take the next unit"),
            Failure::NotInJournal { .. } =>
                row(Rework, "NOT_IN_JOURNAL", "UNIT BEGUN, RECORD MISSING", "withdraw it: station-cli sync --void SERIAL"),
            Failure::OtherSerial { .. } =>
                row(Rework, "OTHER_SERIAL", "ANOTHER SERIAL WAS BEGUN", "run again with the serial that is named"),
            Failure::AtOtherStation { .. } =>
                row(Refused, "OTHER_STATION", "IN WORK AT ANOTHER STATION", "take it there"),
            Failure::NotKnownHere { .. } =>
                row(Stop, "NOT_KNOWN_HERE", "UNIT NOT KNOWN HERE", "put it aside, call the lead"),
            Failure::NotKnownNow { .. } =>
                row(Refused, "NOT_KNOWN_NOW", "LOCKED, NOT KNOWN WITHOUT SERVER", "put it aside, try it again when the server is back"),
            Failure::Unlocked { .. } =>
                row(Stop, "NOT_LOCKED_ANY_MORE", "UNIT IS NOT THE SAME", "put it aside, call the lead"),
            Failure::NothingOpen { .. } =>
                row(Refused, "NOTHING_OPEN", "NOTHING TO WITHDRAW", "check the serial"),
            Failure::SealedAlready { .. } =>
                row(Refused, "SEALED_ALREADY", "IT IS SEALED, NOT WITHDRAWN", "a good unit: take the next one"),
            Failure::LockedWithdrawn { .. } =>
                row(Scrap, "LOCKED_WITHDRAWN", "UNIT LOCKED, WITHDRAWN", "scrap bin"),
            Failure::PutBack { .. } =>
                row(Rework, "PUT_BACK", "PUT BACK THE UNIT BEFORE", "finish that one, or sync --void SERIAL"),
            Failure::OtherUnit { .. } =>
                row(Rework, "PUT_BACK", "PUT BACK THE UNIT BEFORE", "this serial was begun with another unit"),
            Failure::OtherOrder { .. } =>
                row(Refused, "OTHER_ORDER", "UNIT BELONGS TO ANOTHER ORDER", "run again with its order"),
            Failure::Swapped(_) =>
                row(Rework, "SWAPPED", "SWAPPED", "put both units aside, call the lead"),
            Failure::ReadBack =>
                row(Scrap, "READ_BACK", "UNIT MEMORY IS BAD", "scrap bin"),
            Failure::Printer(_) =>
                row(Loaded, "PRINTER", "LABEL NOT PRINTED", "check printer, run again"),
            Failure::LabelUnknown(_) =>
                row(Loaded, "LABEL_UNKNOWN", "PRINTER: DID A LABEL COME OUT?", "if it did, run again and scan it; if not, station-cli reprint"),
            Failure::VoidLabel { .. } =>
                row(Loaded, "VOID_LABEL", "THIS LABEL IS VOID", "destroy it, scan the newest; is there none? station-cli reprint"),
            Failure::NoReprint(_) =>
                row(Refused, "NO_REPRINT", "NO LABEL TO PRINT AGAIN", "see what the message says"),
            Failure::NoLabel(_) =>
                row(Loaded, "NO_LABEL", "LABEL CANNOT BE MADE", "call an engineer: the label's template"),
            Failure::NotInLease { .. } =>
                row(Refused, "NOT_IN_LEASE", "NO SERVER, SERIAL NOT IN LEASE", "take a unit of the lease, or wait for the server"),
            Failure::LeaseSpent { .. } =>
                row(Refused, "LEASE_SPENT", "OFFLINE, LEASE SPENT", "wait for the server"),
            Failure::LeaseGone { .. } =>
                row(Rework, "LEASE_GONE", "LEASED CREDENTIAL IS GONE", "withdraw it: station-cli sync --void SERIAL"),
            Failure::Hold { .. } | Failure::Journal(JournalError::SetAside { .. }) =>
                row(Stop, "HOLD", "HOLD: PUT UNIT ASIDE", "put it aside, call the lead: station-cli sync"),
            Failure::NoScan =>
                row(Loaded, "NO_SCAN", "LABEL NOT SCANNED", "run again and scan the label"),
            Failure::WrongLabel(_) =>
                row(Loaded, "WRONG_LABEL", "WRONG LABEL", "find this unit's label, run again and scan"),
        }
    }
}

/// The unit's part of the table.
#[rustfmt::skip]
fn at_unit(error: &UnitError) -> Advice {
    use Outcome::{Refused, Rework};
    match error { // no `_` arm: a new error must choose
        UnitError::Cable(_) =>
            row(Rework, "CABLE", "RECONNECT UNIT", "reconnect the same unit, run again"),
        UnitError::Console(ConsoleError::Unwritable { .. } | ConsoleError::TooLong { .. }) =>
            row(Refused, "NO_PROFILE", "DEVICE PROFILE NOT USABLE", "call an engineer: it cannot type the password"),
        UnitError::Wire(_) | UnitError::Console(_) | UnitError::Tool(ToolError::Absent { .. }
            | ToolError::Refused { .. } | ToolError::Unclear { .. }) =>
            row(Rework, "FAIL_COMM", "FAIL COMM", "reseat the unit, run again"),
        UnitError::Tool(ToolError::TimedOut { .. } | ToolError::Failed { .. }) =>
            row(Rework, "TOOL_FAILED", "TOOL FAILED", "reseat the unit, run again; then call an engineer"),
        UnitError::Tool(ToolError::Missing { .. } | ToolError::NotAllowed { .. } | ToolError::Values(_)) =>
            row(Refused, "TOOL_MISSING", "TOOL NOT USABLE", "call an engineer: the device profile's tool"),
    }
}

#[cfg(test)]
mod tests {
    use api::Reason;

    use super::*;

    #[test]
    fn every_reason_has_a_sentence_an_operator_can_read_in_passing() {
        for &reason in Reason::ALL {
            let advice = refusal(reason);
            let words = advice.says.split_whitespace().count();
            assert!((1..=8).contains(&words), "{reason}: {}", advice.says);
            assert!(!advice.action.is_empty());
            assert_ne!(advice.outcome.exit_code(), 0, "{reason} is no pass");
        }
    }

    fn check(failure: Failure, reason: &str, code: u8) {
        let advice = failure.advice();
        assert_eq!((advice.reason, advice.outcome.exit_code()), (reason, code));
    }

    #[test]
    fn exit_codes_say_what_to_do_with_the_unit() {
        let away = || CallError::Unavailable {
            reason: None,
            message: String::new(),
        };
        check(away().into(), "NO_SERVER", 2);
        check(Failure::SameUnit { held: None }, "SAME_UNIT", 2);
        check(Failure::NoScan, "NO_SCAN", 10);
        check(
            UnitError::Cable(io::ErrorKind::BrokenPipe.into()).into(),
            "CABLE",
            10,
        );
        check(Failure::ReadBack, "READ_BACK", 20);
        check(LogError::Forked { size: 1 }.into(), "LOG_NOT_PROVEN", 30);
    }
}
