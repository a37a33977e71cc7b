//! `slots.toml`: what stands on this bench. Read once, at the start of a shift.
//!
//! ```toml
//! language = "zh-CN"               # or "en"
//! retries = 2                      # of one unit, before a lead is asked
//! lock_after = 3                   # fails in a row
//!
//! [scan]
//! port = "stdin"                   # or the path of a serial scanner
//! serial = "CAM2-#####"
//! check = "mod37-36"               # or "luhn"
//! badge = "B-*"
//! leads = ["L-1", "L-2"]           # each by name
//! qa = ["Q-1"]                     # each by name: with a lead, who may break a seal
//!
//! [sound]
//! fail = ["paplay", "fail.oga"]    # the terminal's bell when there is none
//!
//! [[slot]]
//! number = 1
//! path = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.1:1.0-port0"
//!
//! [[slot]]
//! number = 2
//! usb = "1-1.2"                    # where no udevd speaks
//! baud = 921600
//! lid = "/sys/class/gpio/gpio17/value"   # reads 1 when it is closed
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use traveler::OperatorId;

use super::mask::{Check, Mask};
use super::place::Place;
use super::scan::{COMMANDS, Reading};
use super::words::Language;
use crate::port::SerialPort;

/// Slots of one bench: what fits on one screen.
pub(crate) const SLOTS_MAX: usize = 32;
/// Baud of a serial scanner unless another is named.
const SCANNER_BAUD: u32 = 9_600;

/// Why the file cannot be used; the text says what to do.
#[derive(Debug, Error)]
pub(crate) enum SlotsError {
    #[error(
        "{path} cannot be read: {cause}; name the bench's slots with --slots FILE, or see the \
         README, \"A shift\""
    )]
    Unreadable {
        path: String,
        /// In the text alone, so that what to do comes last.
        cause: std::io::Error,
    },
    #[error("{path} cannot be used: {what}")]
    Unusable { path: String, what: String },
}

/// What stands on this bench.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    pub(crate) language: Language,
    /// Further tries of one unit, by itself.
    pub(crate) retries: u32,
    /// Fails in a row after which a slot locks itself.
    pub(crate) lock_after: u32,
    /// How long a unit may say nothing before it is called silent.
    pub(crate) answer_within: Duration,
    pub(crate) scanner: ScannerAt,
    pub(crate) reading: Reading,
    pub(crate) sound: Sounds,
    pub(crate) slots: Vec<SlotAt>,
}

/// Where scans come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ScannerAt {
    /// A keyboard wedge, or a script.
    Stdin,
    /// A scanner on a serial port.
    Port { path: String, baud: u32 },
}

/// Programs that make a noise: a program and its arguments.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sounds {
    #[serde(default)]
    pub(crate) pass: Vec<String>,
    #[serde(default)]
    pub(crate) fail: Vec<String>,
    #[serde(default)]
    pub(crate) action: Vec<String>,
}

/// One position.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SlotAt {
    pub(crate) number: u32,
    pub(crate) place: Place,
    pub(crate) baud: u32,
    /// A file that reads 1 while the lid is closed.
    pub(crate) lid: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    language: Language,
    #[serde(default = "two")]
    retries: u32,
    #[serde(default = "three")]
    lock_after: u32,
    #[serde(default = "twenty")]
    answer_within_s: u32,
    #[serde(default)]
    scan: ScanTable,
    #[serde(default)]
    sound: Sounds,
    #[serde(default, rename = "slot")]
    slots: Vec<SlotTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScanTable {
    port: Option<String>,
    baud: Option<u32>,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    suffix: String,
    serial: Option<String>,
    check: Option<Check>,
    badge: Option<String>,
    #[serde(default)]
    leads: Vec<String>,
    #[serde(default)]
    qa: Vec<String>,
    #[serde(default)]
    slot_before_label: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotTable {
    number: u32,
    path: Option<String>,
    usb: Option<String>,
    #[serde(default = "baud")]
    baud: u32,
    lid: Option<PathBuf>,
}

fn two() -> u32 {
    2
}

fn three() -> u32 {
    3
}

fn twenty() -> u32 {
    20
}

fn baud() -> u32 {
    SerialPort::BAUD
}

impl Slots {
    /// Reads the file.
    ///
    /// # Errors
    /// [`SlotsError`].
    pub(crate) fn read(path: &Path) -> Result<Slots, SlotsError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|cause| SlotsError::Unreadable {
            path: name.clone(),
            cause,
        })?;
        Slots::parse(&text).map_err(|what| SlotsError::Unusable { path: name, what })
    }

    fn parse(text: &str) -> Result<Slots, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let bounded = |name: &str, value: u32, bounds: std::ops::RangeInclusive<u32>| {
            let out = format!("{name} = {value} is not within {bounds:?}");
            bounds.contains(&value).then_some(value).ok_or(out)
        };
        let within = bounded("answer_within_s", file.answer_within_s, 1..=600)?;
        let slots = slots(file.slots)?;
        Ok(Slots {
            language: file.language,
            retries: bounded("retries", file.retries, 0..=10)?,
            lock_after: bounded("lock_after", file.lock_after, 1..=100)?,
            answer_within: Duration::from_secs(within.into()),
            scanner: scanner(&file.scan)?,
            reading: reading(file.scan)?,
            sound: file.sound,
            slots,
        })
    }
}

fn slots(tables: Vec<SlotTable>) -> Result<Vec<SlotAt>, String> {
    if tables.is_empty() || tables.len() > SLOTS_MAX {
        return Err(format!(
            "it has {} [[slot]], expected 1 to {SLOTS_MAX}",
            tables.len()
        ));
    }
    let mut slots: Vec<SlotAt> = Vec::new();
    for table in tables {
        let number = table.number;
        let named = |what: String| format!("slot {number}: {what}");
        if !(1..=99).contains(&number) {
            return Err(named("a slot has a number from 1 to 99".to_owned()));
        }
        let place = match (&table.path, &table.usb) {
            (Some(path), None) => Place::path(path).map_err(named)?,
            (None, Some(usb)) => Place::usb(usb).map_err(named)?,
            _ => return Err(named("give either path or usb".to_owned())),
        };
        if let Some(other) = slots.iter().find(|slot| slot.number == number) {
            return Err(named(format!("{} has this number too", other.place.name())));
        }
        if let Some(other) = slots.iter().find(|slot| slot.place == place) {
            return Err(named(format!("slot {} is at this place too", other.number)));
        }
        slots.push(SlotAt {
            number,
            place,
            baud: table.baud,
            lid: table.lid,
        });
    }
    slots.sort_by_key(|slot| slot.number);
    Ok(slots)
}

fn scanner(scan: &ScanTable) -> Result<ScannerAt, String> {
    match scan.port.as_deref() {
        None | Some("stdin") => Ok(ScannerAt::Stdin),
        Some(path) => {
            let Place::Path(path) = Place::path(path).map_err(|what| format!("scan: {what}"))?
            else {
                return Err("scan: a scanner is on stdin or at a path".to_owned());
            };
            let baud = scan.baud.unwrap_or(SCANNER_BAUD);
            Ok(ScannerAt::Port { path, baud })
        }
    }
}

fn reading(scan: ScanTable) -> Result<Reading, String> {
    let mask = |name: &str, text: Option<&str>| {
        let parsed = text.map(Mask::parse).transpose();
        parsed.map_err(|what| format!("scan: {name} is {what}"))
    };
    let serial = mask("serial", scan.serial.as_deref())?;
    let badge = mask("badge", Some(scan.badge.as_deref().unwrap_or("B-*")))?;
    let Some(badge) = badge else {
        return Err("scan: badges need a form".to_owned());
    };
    // Without one any scrap of a code on the bench would begin a unit.
    let Some(serial) = serial else {
        return Err(
            "scan: say what a serial of this line looks like, as [scan] serial = \"CAM2-#####\" \
             (# digit, @ capital, ? either)"
                .to_owned(),
        );
    };
    let leads = people(&scan.leads, "lead", "leads = [\"L-1\"]")?;
    let qa = people(&scan.qa, "QA", "qa = [\"Q-1\"]")?;
    if let Some(both) = qa.iter().find(|badge| leads.contains(badge)) {
        return Err(format!(
            "scan: {both} would be both a lead and QA: a seal is broken by two people"
        ));
    }
    let named = leads.iter().map(|lead| (lead, "a lead"));
    for (person, role) in named.chain(qa.iter().map(|qa| (qa, "QA"))) {
        let also = [("badge", &badge), ("serial", &serial)];
        if let Some((name, mask)) = also.iter().find(|(_, mask)| mask.matches(person.as_str())) {
            return Err(format!(
                "scan: {person} would be both {role} and {name} (\"{mask}\")"
            ));
        }
    }
    let named = [("badge", &badge), ("serial", &serial)];
    for (at, (name, mask)) in named.iter().enumerate() {
        let words = COMMANDS.iter().map(|(word, _)| *word);
        if let Some(word) = words
            .chain(["SLOT1", "SLOT10"])
            .find(|word| mask.matches(word))
        {
            return Err(format!("scan: {name} = \"{mask}\" is also the code {word}"));
        }
        for (other, theirs) in &named[..at] {
            if mask.meets(theirs) {
                return Err(format!(
                    "scan: one code would be both {name} (\"{mask}\") and {other} (\"{theirs}\")"
                ));
            }
        }
    }
    Ok(Reading {
        prefix: scan.prefix,
        suffix: scan.suffix,
        serial,
        check: scan.check,
        badge,
        leads,
        qa,
        slot_before_label: scan.slot_before_label,
    })
}

/// Badges of people who may do more, each whole.
fn people(texts: &[String], role: &str, example: &str) -> Result<Vec<OperatorId>, String> {
    let person = |text: &String| {
        let code = COMMANDS.iter().any(|(word, _)| word == text) || text.starts_with("SLOT");
        let parsed = OperatorId::parse(text).ok().filter(|_| !code);
        parsed.ok_or(format!(
            "scan: \"{text}\" is no {role}'s badge; name each one whole, as {example}"
        ))
    };
    texts.iter().map(person).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: &str = "[[slot]]\nnumber = 1\npath = \"/dev/pts/3\"\n";
    const ONE: &str = "scan = { serial = \"A##\" }\n[[slot]]\nnumber = 1\npath = \"/dev/pts/3\"\n";

    fn check(text: &str, expected: &str) {
        let error = Slots::parse(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_said_once_and_what_to_do_last() {
        let folder = tempfile::tempdir().unwrap();
        let error = Slots::read(&folder.path().join("slots.toml")).unwrap_err();
        let text = format!("{:#}", anyhow::Error::from(error));
        assert_eq!(text.matches("No such file").count(), 1, "{text}");
        assert!(text.ends_with("\"A shift\""), "{text}");
    }

    #[test]
    fn what_is_left_out_has_a_value() {
        let slots = Slots::parse(ONE).unwrap();
        assert_eq!((slots.retries, slots.lock_after), (2, 3));
        assert_eq!(slots.scanner, ScannerAt::Stdin);
        assert_eq!(slots.language, Language::En);
        assert_eq!(slots.slots[0].baud, 115_200);
    }

    #[test]
    fn everything_can_be_said() {
        let text = "language = \"zh-CN\"\nretries = 1\nlock_after = 5\n[scan]\nport = \
                    \"/dev/serial/by-path/x\"\nbaud = 115200\nserial = \"CAM2-#####\"\n[sound]\n\
                    pass = [\"true\"]\n[[slot]]\nnumber = 2\nusb = \"1-1.2\"\nbaud = 9600\nlid = \
                    \"/lid\"\n[[slot]]\nnumber = 1\nusb = \"1-1.1\"\n";
        let slots = Slots::parse(text).unwrap();
        assert_eq!(slots.language, Language::ZhCn);
        let numbers: Vec<u32> = slots.slots.iter().map(|slot| slot.number).collect();
        assert_eq!(numbers, [1, 2], "as they stand on the bench");
        assert!(matches!(
            slots.scanner,
            ScannerAt::Port { baud: 115_200, .. }
        ));
    }

    #[test]
    fn what_cannot_be_used_says_what_to_do() {
        check("", "1 to 32");
        check("[[slot]]\nnumber = 1\n", "slot 1: give either path or usb");
        check("[[slot]]\nnumber = 0\npath = \"/x\"\n", "1 to 99");
        check("[[slot]]\nnumber = 1\npath = \"/dev/ttyUSB0\"\n", "by-path");
        check(&SLOT.repeat(2), "this number too");
        check(
            &format!("{SLOT}{}", SLOT.replace("= 1", "= 2")),
            "slot 1 is at this place",
        );
        check(&format!("retires = 1\n{ONE}"), "line 1");
        check(&format!("language = \"fr\"\n{ONE}"), "line 1");
        check(&format!("lock_after = 0\n{ONE}"), "lock_after");
        check(
            &format!("[scan]\nserial = \"?????\"\n{SLOT}"),
            "the code RETRY",
        );
        check(
            &format!("[scan]\nserial = \"B-###\"\n{SLOT}"),
            "both serial",
        );
        check(&format!("[scan]\nport = \"/dev/ttyACM0\"\n{SLOT}"), "scan:");
        check(SLOT, "[scan] serial = \"CAM2-#####\"");
        let scan =
            |line: &str| format!("[scan]\nserial = \"A##\"\nbadge = \"B-*\"\n{line}\n{SLOT}");
        check(&scan("leads = [\"B-1\"]"), "both a lead and badge");
        check(&scan("leads = [\"A47\"]"), "both a lead and serial");
        check(&scan("leads = [\"L-*\"]"), "name each one whole");
        check(&scan("leads = [\"SCRAP\"]"), "name each one whole");
        check(
            &scan("qa = [\"Q-*\"]"),
            "no QA's badge; name each one whole",
        );
        check(&scan("qa = [\"A47\"]"), "both QA and serial");
        check(&scan("leads = [\"L-1\"]\nqa = [\"L-1\"]"), "by two people");
        check(&scan("lead = \"L-*\""), "line 4");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Slots::read(Path::new("/nowhere/slots.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nowhere/slots.toml") && error.contains("--slots"),
            "{error}"
        );
    }
}
