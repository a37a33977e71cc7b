//! What each way a unit's turn can end means on the floor: its number, its colour, what comes next.
//!
//! One table. The number is printed beside the words and is the same in every language, so that an
//! operator can look it up or read it out.

use crate::failure::Outcome;

/// How a tile looks; each has a colour, a shape and a word.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Tone {
    /// Grey outline: nothing to do.
    Empty,
    /// Blue ring: a unit is expected.
    Ready,
    /// Blue stripes that move.
    Running,
    /// Solid green.
    Pass,
    /// Solid red, static.
    Fail,
    /// Amber: a hand is needed, nobody is to blame.
    Action,
    /// Blue: the server is away, it goes on by itself.
    Offline,
    /// Black: a lead is needed.
    Locked,
    /// Red: nothing goes on here.
    Stop,
}

/// What comes after.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Then {
    /// It stays until the unit is out and the next scan is in.
    Stay,
    /// The same unit again, a few times; then a lead.
    Retry,
    /// The same unit again, once it is back.
    Cable,
    /// The same unit again, after a while: server or printer is away.
    Wait,
    /// The same unit again, at once: only its label is wrong.
    Relabel,
    /// The journal knows which unit has to come back.
    Journal,
    /// The line stops.
    Halt,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Card {
    /// Printed as `E-201`; 0 for nothing to look up.
    pub(crate) number: u16,
    pub(crate) tone: Tone,
    pub(crate) then: Then,
    /// The tile's word, when it is not the tone's.
    pub(crate) word: Option<&'static str>,
}

const fn card(number: u16, tone: Tone, then: Then) -> Card {
    Card {
        number,
        tone,
        then,
        word: None,
    }
}

impl Card {
    pub(crate) const PASS: Card = card(0, Tone::Pass, Then::Stay);

    const fn called(self, word: &'static str) -> Card {
        Card {
            word: Some(word),
            ..self
        }
    }
}

/// The table. A reason that is newer than it is read by its outcome.
#[rustfmt::skip]
#[allow(clippy::too_many_lines, reason = "one table, a row for each reason")]
pub(crate) fn of(reason: Option<&str>, outcome: Outcome) -> Card {
    use Then::{Cable, Halt, Journal, Relabel, Retry, Stay, Wait};
    use Tone::{Action, Fail, Locked, Offline, Stop};
    let Some(reason) = reason else { return Card::PASS };
    match reason {
        // 1xx: the way to the unit.
        "CABLE" => card(101, Action, Cable).called("RECONNECT"),
        "PORT_MISSING" => card(102, Action, Cable).called("RECONNECT"),
        "PORT_BUSY" => card(103, Action, Wait),
        "PORT_UNUSABLE" => card(104, Action, Wait),
        "FAIL_COMM" => card(105, Fail, Retry),
        "TOOL_FAILED" => card(106, Fail, Retry),
        "TOOL_MISSING" => card(107, Action, Wait),
        "NO_PROFILE" => card(406, Action, Wait),
        // 2xx: the unit in the slot.
        "SAME_UNIT" => card(201, Action, Stay).called("SAME_UNIT"),
        "DUPLICATE_UNIT" => card(202, Action, Stay).called("USED"),
        "UNIT_IN_USE" => card(203, Action, Stay).called("USED"),
        "WRONG_PRODUCT" => card(204, Fail, Stay),
        "SWAPPED" => card(205, Fail, Stay).called("SWAPPED"),
        "READ_BACK" => card(206, Fail, Stay),
        "LOCKED_WITHDRAWN" => card(207, Fail, Stay),
        "BAD_KEY" => card(208, Fail, Stay),
        "PUT_BACK" => card(209, Action, Journal).called("PUT_BACK"),
        "OTHER_SERIAL" => card(210, Action, Stay),
        "IN_HAND" => card(211, Action, Wait),
        "OTHER_STATION" => card(212, Action, Stay),
        "NOT_IN_JOURNAL" => card(213, Action, Stay),
        "NOT_KNOWN_HERE" => card(214, Fail, Stay),
        "NOT_LOCKED_ANY_MORE" => card(215, Fail, Stay),
        "WRONG_STATE" => card(216, Fail, Retry),
        "TICKET_REFUSED" => card(217, Fail, Retry),
        "RECEIPT_MISMATCH" => card(218, Fail, Stay),
        "UNKNOWN_UNIT" => card(219, Action, Stay),
        "BAD_REQUEST" => card(220, Action, Stay),
        "NOTHING_OPEN" => card(221, Action, Stay),
        "NOT_KNOWN_NOW" => card(223, Action, Stay).called("ASIDE"),
        // Green: a good unit. Where it is not known to be locked the journal calls it back.
        "SEALED_ALREADY" => card(222, Tone::Pass, Journal),
        // 3xx: the label.
        "PRINTER" => card(301, Action, Wait).called("PRINTER"),
        "NO_LABEL" => card(302, Action, Stay),
        "NO_SCAN" => card(303, Action, Stay).called("LABEL"),
        "WRONG_LABEL" => card(304, Fail, Relabel).called("LABEL"),
        "LABEL_UNKNOWN" => card(306, Action, Stay).called("PRINTER"),
        "VOID_LABEL" => card(307, Fail, Relabel).called("LABEL"),
        "NO_REPRINT" => card(308, Action, Stay),
        // 4xx: the order.
        "OTHER_ORDER" => card(401, Action, Stay),
        "WORK_ORDER_CLOSED" => card(402, Action, Stay),
        "QUOTA_SPENT" => card(403, Action, Stay),
        "UNKNOWN_ORDER" => card(404, Action, Stay),
        "UNKNOWN_PRODUCT" => card(405, Action, Stay),
        // 5xx: the server, away.
        "NO_SERVER" => card(501, Offline, Wait),
        "HSM_UNAVAILABLE" => card(502, Offline, Wait),
        "NOT_TRUSTED" => card(503, Action, Wait),
        "LEASE_SPENT" => card(504, Offline, Wait),
        "NOT_IN_LEASE" => card(505, Action, Stay).called("NOT_IN_LEASE"),
        "LEASED" => card(506, Action, Stay).called("USED"),
        "LEASE_GONE" => card(507, Fail, Stay),
        "HOLD" => card(508, Fail, Stay).called("HOLD"),
        // 6xx: the line stops.
        "GENERATOR_UNFIT" => card(601, Stop, Halt),
        "LEDGER_UNAVAILABLE" => card(602, Stop, Halt),
        "ALLOWANCE_SPENT" => card(603, Stop, Halt),
        "LOG_WENT_BACK" => card(604, Stop, Halt),
        "LOG_NOT_PROVEN" => card(605, Stop, Halt),
        "SERVER_FAULT" => card(606, Stop, Halt),
        "STATION_DISK" => card(607, Stop, Halt),
        "STATION_REVOKED" => card(608, Locked, Halt),
        "UNKNOWN_STATION" => card(609, Locked, Halt),
        "NOT_PERMITTED" => card(610, Locked, Halt),
        _ => match outcome {
            Outcome::Sealed => Card::PASS,
            Outcome::Refused => card(901, Action, Stay),
            Outcome::Loaded => card(902, Action, Stay),
            Outcome::Rework => card(903, Fail, Retry),
            Outcome::Scrap => card(904, Fail, Stay),
            Outcome::Stop => card(905, Stop, Halt),
        },
    }
}

/// Whether the unit or the pins failed, so that a slot with several in a row is looked at.
pub(crate) fn counts_against_slot(card: Card) -> bool {
    matches!(card.number, 105 | 106 | 206 | 216 | 217 | 218 | 903 | 904)
}

#[cfg(test)]
mod tests {
    use api::Reason;

    use super::*;

    /// The floor's colour and the exit code for scripts must not contradict each other.
    #[test]
    fn no_failure_is_green() {
        for reason in Reason::ALL {
            let card = of(Some(reason.as_str()), Outcome::Refused);
            assert_ne!(card.tone, Tone::Pass, "{reason:?}");
        }
        assert_eq!(of(None, Outcome::Sealed), Card::PASS);
    }

    #[test]
    fn nobody_is_blamed_for_what_is_already_done() {
        for reason in [
            "SAME_UNIT",
            "DUPLICATE_UNIT",
            "CABLE",
            "PORT_MISSING",
            "PUT_BACK",
        ] {
            assert_eq!(
                of(Some(reason), Outcome::Rework).tone,
                Tone::Action,
                "{reason}"
            );
        }
        for reason in ["SWAPPED", "WRONG_PRODUCT"] {
            assert_eq!(
                of(Some(reason), Outcome::Refused).tone,
                Tone::Fail,
                "{reason}"
            );
        }
    }

    #[test]
    fn a_reason_of_tomorrow_is_read_by_its_outcome() {
        assert_eq!(of(Some("X"), Outcome::Stop).then, Then::Halt);
        assert_eq!(of(Some("X"), Outcome::Scrap).tone, Tone::Fail);
        assert_eq!(of(Some("X"), Outcome::Loaded).tone, Tone::Action);
    }
}
