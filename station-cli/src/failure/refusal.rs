//! The server's part of the table: what an operator is told of each [`Reason`].

use api::Reason;

use super::{Advice, Outcome, row};

/// The server's part of the table.
#[rustfmt::skip]
pub(super) fn refusal(reason: Reason) -> Advice {
    use Outcome::{Refused, Rework, Stop};
    let (outcome, says, action) = match reason { // no `_` arm: a new reason must choose
        Reason::BadRequest => (Refused, "INPUT NOT USABLE", "check what was scanned"),
        Reason::NotPermitted => (Refused, "STATION NOT PERMITTED", "enrol this station again"),
        Reason::StationRevoked => (Stop, "STATION REVOKED", "stop this station, call the lead"),
        Reason::TokenRefused => (Refused, "TOKEN NOT ACCEPTED", "ask for a fresh token"),
        Reason::UnknownStation => (Stop, "STATION UNKNOWN", "enrol this station"),
        Reason::UnknownOrder => (Refused, "UNKNOWN ORDER", "check the order number"),
        Reason::WorkOrderClosed => (Refused, "ORDER IS CLOSED", "take the next order"),
        Reason::QuotaSpent => (Refused, "ORDER IS COMPLETE", "take the next order"),
        Reason::AllowanceSpent => (Stop, "TOO MANY UNITS WITHDRAWN", "stop the line, call the lead"),
        Reason::UnknownProduct => (Refused, "UNKNOWN PRODUCT", "call the lead"),
        Reason::WrongProduct => (Refused, "WRONG PRODUCT", "take the unit out, check the order"),
        Reason::BadKey => (Rework, "UNIT KEY NOT USABLE", "to the rework bench"),
        Reason::DuplicateUnit => (Refused, "SERIAL USED", "take the next serial, call the lead"),
        Reason::UnitInUse => (Refused, "UNIT HAS ANOTHER SERIAL", "check serial and unit"),
        Reason::Leased => (Refused, "LEASED BY A STATION", "only the station that leased it builds it"),
        Reason::LeaseRefused => (Refused, "NO MORE TO LEASE", "return what is left, call the lead"),
        Reason::UnknownUnit => (Refused, "UNKNOWN SERIAL", "check the serial"),
        Reason::WrongState => (Rework, "UNIT WAS WITHDRAWN OR MOVED ON", "run again"),
        Reason::VoidLabel => (Rework, "THIS LABEL IS VOID", "destroy it, scan the newest; is there none? station-cli reprint"),
        Reason::OtherStation => (Refused, "IN WORK AT ANOTHER STATION", "take it there"),
        Reason::ReceiptMismatch => (Stop, "UNIT RECEIPT NOT ACCEPTED", "put the unit aside, call the lead"),
        Reason::TicketRefused => (Rework, "TICKET NOT ACCEPTED", "run again"),
        Reason::GeneratorUnfit => (Stop, "STOP: PASSWORDS UNFIT", "stop the line, call IT"),
        Reason::HsmUnavailable => (Stop, "STOP: SERVER HAS NO KEYS", "stop the line, call IT"),
        Reason::LedgerUnavailable => (Stop, "STOP: SERVER CANNOT RECORD", "stop the line, call IT"),
        Reason::AlreadyExists => (Refused, "EXISTS ALREADY", "choose another name"),
        Reason::UnitsOpen => (Refused, "UNITS STILL IN WORK", "finish them first"),
    };
    row(outcome, reason.as_str(), says, action)
}
