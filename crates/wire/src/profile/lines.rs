//! The lines of a profile's steps: what is typed or run, and what must come back.

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::time::Duration;
use std::vec::Vec;

use super::{Part, Pattern, Template, Value};

/// Something a unit says of itself.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Answer {
    /// The silicon's own id, in hexadecimal digits; marks between them are dropped.
    DeviceId,
    /// A MAC address.
    Mac,
    /// What it is.
    Model,
    /// Its hardware revision.
    Revision,
    /// The version of its firmware.
    Firmware,
    /// What tells blank, loaded and locked apart.
    Marker,
    /// Whose bundle it holds.
    Serial,
    /// Of which attempt.
    Attempt,
    /// How often it has booted.
    Boots,
}

impl Answer {
    /// All of them.
    pub const ALL: [Answer; 9] = [
        Answer::DeviceId,
        Answer::Mac,
        Answer::Model,
        Answer::Revision,
        Answer::Firmware,
        Answer::Marker,
        Answer::Serial,
        Answer::Attempt,
        Answer::Boots,
    ];

    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::DeviceId => "device_id",
            Answer::Mac => "mac",
            Answer::Model => "model",
            Answer::Revision => "revision",
            Answer::Firmware => "firmware",
            Answer::Marker => "marker",
            Answer::Serial => "serial",
            Answer::Attempt => "attempt",
            Answer::Boots => "boots",
        }
    }
}

/// One line of a console's step.
#[derive(Clone, Debug, Default)]
pub struct ConsoleLine {
    /// Typed, with the console's line end behind it.
    pub send: Option<Template>,
    /// Typed as it is, without echo or line end; instead of `send`.
    pub key: Option<String>,
    /// The line that ends the answer; without it, the console's prompt does.
    pub expect: Option<Pattern>,
    /// Lines that say no, besides those of the console.
    pub refuse: Option<Pattern>,
    /// What a unit says of itself: the first group of each.
    pub capture: BTreeMap<Answer, Capture>,
    /// What it holds: the first group is compared with the part.
    pub read_back: BTreeMap<Value, Pattern>,
    /// The part that the unit has shown to know by giving `expect`.
    pub proves: Option<Part>,
    /// Repeats the line for each piece of this part.
    pub split: Option<Value>,
    /// Characters in one piece.
    pub width: usize,
    /// Whether it is typed without echo, as a password is.
    pub hidden: bool,
    /// Whether `expect` is the unit's own word that it has started.
    pub booted: bool,
    /// How long the answer may take, when not as long as others.
    pub within: Option<Duration>,
}

/// How a unit says something of itself.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The first group is what it says.
    pub pattern: Pattern,
    /// Whether it may say nothing.
    pub optional: bool,
}

/// One run of a vendor's tool.
#[derive(Clone, Debug, Default)]
pub struct ToolLine {
    /// Program and arguments. No secret can stand here: other users of the machine see them.
    pub run: Vec<Template>,
    /// Lines that go to its standard input; the only way in for a secret.
    pub stdin: Vec<Template>,
    /// Lines of its output that say no.
    pub refuse: Option<Pattern>,
    /// What the unit says of itself, by the tool.
    pub capture: BTreeMap<Answer, Capture>,
    /// What it holds.
    pub read_back: BTreeMap<Value, Pattern>,
    /// How long it may run.
    pub within: Option<Duration>,
    /// Exit codes that mean the unit says no, besides 0 for yes; any other is a fault of the tool.
    pub refused: Vec<i32>,
    /// Exit codes that mean there is no unit.
    pub absent: Vec<i32>,
}

/// Reads the table of what is captured.
pub(super) fn captures(
    table: BTreeMap<String, Pattern>,
) -> Result<BTreeMap<Answer, Capture>, String> {
    let mut captures = BTreeMap::new();
    for (word, pattern) in table {
        let bare = word.trim_end_matches('?');
        let answer = Answer::ALL
            .into_iter()
            .find(|answer| answer.as_str() == bare);
        let Some(answer) = answer else {
            let known = Answer::ALL.map(Answer::as_str).join(", ");
            return Err(format!(
                "`{word}` cannot be captured: expected one of {known}"
            ));
        };
        one_group(&word, &pattern)?;
        let optional = bare != word;
        captures.insert(answer, Capture { pattern, optional });
    }
    Ok(captures)
}

/// Reads the table of what is read back.
pub(super) fn read_backs(
    table: BTreeMap<String, Pattern>,
) -> Result<BTreeMap<Value, Pattern>, String> {
    let pair = |(word, pattern): (String, Pattern)| {
        one_group(&word, &pattern)?;
        Ok((Value::parse(&word)?, pattern))
    };
    table.into_iter().map(pair).collect()
}

fn one_group(word: &str, pattern: &Pattern) -> Result<(), String> {
    match pattern.anywhere.captures_len() {
        2 => Ok(()),
        groups => Err(format!(
            "the pattern of `{word}` has {} groups: put round brackets around the value alone",
            groups - 1
        )),
    }
}
