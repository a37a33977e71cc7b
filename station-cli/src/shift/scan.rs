//! What was scanned, told by content alone: a badge in a serial's place is a badge.
//!
//! Command barcodes hold only 0-9 and A-Z, which every symbology and keyboard layout carries. A
//! label is secret as a whole: it goes on as it came, and nothing of it but its serial is shown. So
//! is what nobody knows: it may be a label that was read badly.

use label::parse_scan;
use traveler::{OperatorId, Serial};
use zeroize::Zeroizing;

use super::mask::{Check, Mask};

/// What a person tells the station to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    /// Try the unit again.
    Retry,
    /// The attempt is withdrawn, or the seal broken by two; the unit may be run anew.
    Rework,
    /// The same, and the unit goes to the scrap bin.
    Scrap,
    /// The label again.
    Reprint,
    /// The serial that waits for its unit is taken back.
    Cancel,
    /// What to do now.
    Help,
    /// The operator leaves.
    Logout,
}

/// The command barcodes.
pub(crate) const COMMANDS: [(&str, Command); 7] = [
    ("RETRY", Command::Retry),
    ("REWORK", Command::Rework),
    ("SCRAP", Command::Scrap),
    ("REPRINT", Command::Reprint),
    ("CANCEL", Command::Cancel),
    ("HELP", Command::Help),
    ("LOGOUT", Command::Logout),
];

/// One scan. No `Debug`: it may hold a label.
pub(crate) enum Scan {
    Badge(OperatorId),
    Lead(OperatorId),
    Qa(OperatorId),
    Serial(Serial),
    Slot(u32),
    Command(Command),
    /// A label, whole, and the serial that it names.
    Label(Serial, Zeroizing<String>),
    /// What takes a person of rank or undoes something, behind another line of the same code.
    Hasty,
    /// Nothing of these.
    Unknown,
}

/// How this site's codes are told apart.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) prefix: String,
    pub(crate) suffix: String,
    pub(crate) serial: Mask,
    pub(crate) check: Option<Check>,
    pub(crate) badge: Mask,
    /// Each by name: a form of badges would let anybody print one.
    pub(crate) leads: Vec<OperatorId>,
    /// The second person where a seal is broken; each by name as well.
    pub(crate) qa: Vec<OperatorId>,
    /// Whether a label counts only after the code of the slot that it was stuck in.
    pub(crate) slot_before_label: bool,
}

impl Reading {
    /// Tells what was scanned.
    pub(crate) fn tell(&self, line: &str) -> Scan {
        let text = line.trim();
        let text = text.strip_prefix(&self.prefix).unwrap_or(text);
        let text = text.strip_suffix(&self.suffix).unwrap_or(text);
        if let Some(label) = parse_scan(text) {
            return Scan::Label(label.serial, Zeroizing::new(text.to_owned()));
        }
        if let Some((_, command)) = COMMANDS.iter().find(|(word, _)| *word == text) {
            return Scan::Command(*command);
        }
        if let Some(slot) = text.strip_prefix("SLOT").and_then(|n| n.parse().ok()) {
            return Scan::Slot(slot);
        }
        if self.badge.matches(text)
            && let Ok(badge) = OperatorId::parse(text)
        {
            return Scan::Badge(badge);
        }
        if let Some(lead) = self.leads.iter().find(|lead| lead.as_str() == text) {
            return Scan::Lead(lead.clone());
        }
        if let Some(qa) = self.qa.iter().find(|qa| qa.as_str() == text) {
            return Scan::Qa(qa.clone());
        }
        let form = self.serial.matches(text);
        let checked = self.check.is_none_or(|check| check.holds(text));
        match Serial::parse(text) {
            Ok(serial) if form && checked => Scan::Serial(serial),
            _ => Scan::Unknown,
        }
    }
}

impl Scan {
    /// What it is as a further line of one code. Whoever scanned that took it for a serial or a label:
    /// one that somebody else printed must not act as a lead, nor give a command.
    pub(crate) fn behind(self) -> Scan {
        match self {
            Scan::Lead(_) | Scan::Qa(_) | Scan::Command(_) => Scan::Hasty,
            other => other,
        }
    }

    /// What it is, for machines.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Scan::Badge(_) => "badge",
            Scan::Lead(_) => "lead",
            Scan::Qa(_) => "qa",
            Scan::Serial(_) => "serial",
            Scan::Slot(_) => "slot",
            Scan::Command(_) => "command",
            Scan::Label(..) => "label",
            Scan::Hasty => "hasty",
            Scan::Unknown => "unknown",
        }
    }

    /// The serial that it names.
    pub(crate) fn serial(&self) -> Option<&Serial> {
        match self {
            Scan::Serial(serial) | Scan::Label(serial, _) => Some(serial),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn reading() -> Reading {
        Reading {
            prefix: String::new(),
            suffix: String::new(),
            serial: Mask::parse("A##").unwrap(),
            check: None,
            badge: Mask::parse("B-*").unwrap(),
            leads: vec![OperatorId::parse("L-1").unwrap()],
            qa: vec![OperatorId::parse("Q-1").unwrap()],
            slot_before_label: false,
        }
    }

    fn check(reading: &Reading, text: &str, expected: &str) {
        assert_eq!(reading.tell(text).kind(), expected, "{text:?}");
    }

    #[test]
    fn content_tells_what_it_is() {
        let plain = reading();
        check(&plain, "A47\r\n", "serial");
        check(&plain, " A47 ", "serial");
        check(&plain, "A4", "unknown");
        check(&plain, "X47", "unknown");
        check(&plain, "B-7", "badge");
        check(&plain, "L-1", "lead");
        check(&plain, "L-2", "unknown");
        check(&plain, "Q-1", "qa");
        check(&plain, "Q-2", "unknown");
        check(&plain, "SLOT2", "slot");
        check(&plain, "SLOT", "unknown");
        check(&plain, "SCRAP", "command");
        check(&plain, "scrap", "unknown");
        check(&plain, "BM1:A47:K7QDM2X9TR4W", "label");
        check(&plain, "BM1:A47:", "unknown");
        check(&plain, "", "unknown");
        check(&plain, "\u{1b}[2J", "unknown");
    }

    #[test]
    fn a_scanner_may_add_its_own_and_a_serial_its_check() {
        let own = Reading {
            prefix: "~".to_owned(),
            suffix: "#".to_owned(),
            serial: Mask::parse("*").unwrap(),
            check: Some(Check::Luhn),
            ..reading()
        };
        check(&own, "~79927398713#", "serial");
        check(&own, "79927398713", "serial");
        check(&own, "~79927398714#", "unknown");
        check(&own, "~SLOT3#", "slot");
    }

    #[test]
    fn one_code_is_no_lead_and_no_command() {
        for (text, kind) in [
            ("L-1", "hasty"),
            ("Q-1", "hasty"),
            ("SCRAP", "hasty"),
            ("A47", "serial"),
            ("SLOT2", "slot"),
            ("BM1:A47:K7QDM2X9TR4W", "label"),
        ] {
            assert_eq!(reading().tell(text).behind().kind(), kind, "{text}");
        }
    }

    #[test]
    fn command_codes_hold_digits_and_capitals_alone() {
        for (word, _) in COMMANDS {
            assert!(
                word.bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            );
        }
    }
}
