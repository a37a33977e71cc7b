//! The tables of the file, each value read into what it means where it stands, so that a mistake is
//! shown with its line. What only a whole profile can get wrong is `read`'s.

use std::borrow::ToOwned;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;

use regex::bytes::{Regex, RegexBuilder};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::Pattern;
use super::lines::{ConsoleLine, ToolLine, captures, read_backs};
use super::template::{Part, Piece, Template, Value};

/// What one pattern may cost when it is compiled, in bytes.
const PATTERN_MAX: usize = 256 * 1024;
/// The longest time a profile may name, in milliseconds.
const WAIT_MAX: u32 = 600_000;

/// Only what decides how the rest is read.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) driver: DriverName,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DriverName {
    Native,
    Console,
    Exec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NativeFile {
    #[serde(deserialize_with = "name")]
    pub(super) name: String,
    #[serde(deserialize_with = "version")]
    pub(super) version: u32,
    #[serde(rename = "driver")]
    pub(super) _driver: DriverName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "L: Deserialize<'de>"))]
pub(super) struct File<L> {
    #[serde(deserialize_with = "name")]
    pub(super) name: String,
    #[serde(deserialize_with = "version")]
    pub(super) version: u32,
    #[serde(rename = "driver")]
    pub(super) _driver: DriverName,
    pub(super) parts: Vec<Word<Part>>,
    pub(super) console: Option<MannerTable>,
    pub(super) states: StatesTable,
    pub(super) identify: StepTable<L>,
    pub(super) precheck: StepTable<L>,
    pub(super) write: StepTable<L>,
    pub(super) persist: StepTable<L>,
    pub(super) verify: StepTable<L>,
    pub(super) reset: StepTable<L>,
    pub(super) verify_again: StepTable<L>,
    pub(super) lock: StepTable<L>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatesTable {
    pub(super) blank: Pattern,
    pub(super) loaded: Pattern,
    pub(super) locked: Option<Pattern>,
}

/// One of the three; which is checked where the step is known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "L: Deserialize<'de>"))]
pub(super) struct StepTable<L> {
    pub(super) run: Option<Vec<L>>,
    pub(super) none: Option<String>,
    pub(super) like: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MannerTable {
    pub(super) prompt: Pattern,
    pub(super) refuse: Option<Pattern>,
    #[serde(default)]
    pub(super) noise: Vec<Pattern>,
    #[serde(default = "carriage_return")]
    pub(super) line_end: String,
    #[serde(default = "carriage_return")]
    pub(super) wake: String,
    #[serde(default)]
    pub(super) cancel: String,
    #[serde(default)]
    pub(super) erase: String,
    #[serde(default = "yes")]
    pub(super) echo: bool,
    #[serde(default)]
    pub(super) own_port: bool,
    #[serde(default = "chunk", deserialize_with = "small")]
    pub(super) chunk: usize,
    #[serde(default = "max_line", deserialize_with = "small")]
    pub(super) max_line: usize,
    #[serde(default, deserialize_with = "millis")]
    pub(super) gap_ms: Option<Duration>,
    #[serde(default, deserialize_with = "millis")]
    pub(super) settle_ms: Option<Duration>,
    #[serde(default, deserialize_with = "millis")]
    pub(super) echo_ms: Option<Duration>,
    #[serde(default, deserialize_with = "millis")]
    pub(super) within_ms: Option<Duration>,
    #[serde(default, deserialize_with = "millis")]
    pub(super) wake_ms: Option<Duration>,
    #[serde(default)]
    pub(super) login: Vec<LoginTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginTable {
    pub(super) prompt: Pattern,
    pub(super) run: Vec<ConsoleLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsoleLineTable {
    send: Option<Word<Template>>,
    key: Option<String>,
    expect: Option<Pattern>,
    booted: Option<Pattern>,
    refuse: Option<Pattern>,
    #[serde(default)]
    capture: BTreeMap<String, Pattern>,
    #[serde(default)]
    read_back: BTreeMap<String, Pattern>,
    proves: Option<Word<Part>>,
    split: Option<Word<Value>>,
    #[serde(default)]
    width: usize,
    #[serde(default)]
    hidden: bool,
    #[serde(default, deserialize_with = "millis")]
    within_ms: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolLineTable {
    run: Vec<Word<Template>>,
    #[serde(default)]
    stdin: Vec<Word<Template>>,
    refuse: Option<Pattern>,
    #[serde(default)]
    capture: BTreeMap<String, Pattern>,
    #[serde(default)]
    read_back: BTreeMap<String, Pattern>,
    #[serde(default, deserialize_with = "millis")]
    within_ms: Option<Duration>,
    #[serde(default)]
    refused: Vec<i32>,
    #[serde(default)]
    absent: Vec<i32>,
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=32).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(name);
    }
    Err(D::Error::custom("expected 1 to 32 of a-z, 0-9 and hyphen"))
}

fn version<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        0 => Err(D::Error::custom("versions begin with 1")),
        version => Ok(version),
    }
}

fn millis<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    match u32::deserialize(from)? {
        time @ 1..=WAIT_MAX => Ok(Some(Duration::from_millis(time.into()))),
        _ => Err(D::Error::custom(format!(
            "expected 1 to {WAIT_MAX} milliseconds"
        ))),
    }
}

fn small<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    match u16::deserialize(from)? {
        size @ 1..=4_096 => Ok(size.into()),
        _ => Err(D::Error::custom("expected 1 to 4096 bytes")),
    }
}

fn carriage_return() -> String {
    "\r".to_owned()
}

fn yes() -> bool {
    true
}

fn chunk() -> usize {
    16
}

fn max_line() -> usize {
    128
}

/// A string that is read into something else.
pub(super) struct Word<T>(pub(super) T);

trait FromWord: Sized {
    fn from_word(text: &str) -> Result<Self, String>;
}

impl FromWord for Part {
    fn from_word(text: &str) -> Result<Part, String> {
        let expected = "expected password, serial, attempt, certificate or key";
        Part::named(text).ok_or_else(|| format!("`{text}` is no part: {expected}"))
    }
}

impl FromWord for Value {
    fn from_word(text: &str) -> Result<Value, String> {
        Value::parse(text)
    }
}

impl FromWord for Template {
    fn from_word(text: &str) -> Result<Template, String> {
        Template::parse(text)
    }
}

impl<'de, T: FromWord> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Word<T>, D::Error> {
        let text = String::deserialize(from)?;
        T::from_word(&text).map(Word).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Pattern, D::Error> {
        let text = String::deserialize(from)?;
        Pattern::parse(&text).map_err(D::Error::custom)
    }
}

impl Pattern {
    /// Compiles a pattern: bytes, not characters; `\d` and its like are ASCII.
    ///
    /// # Errors
    /// What is wrong with it, on one line.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let compile = |text: &str| -> Result<Regex, String> {
            let built = RegexBuilder::new(text)
                .unicode(false)
                .size_limit(PATTERN_MAX)
                .build();
            built.map_err(|error| {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                format!("not a pattern: {}", last.trim_start_matches("error: "))
            })
        };
        Ok(Pattern {
            anywhere: compile(text)?,
            whole: compile(&format!("^(?:{text})$"))?,
        })
    }
}

impl<'de> Deserialize<'de> for ConsoleLine {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<ConsoleLine, D::Error> {
        let table = ConsoleLineTable::deserialize(from)?;
        console_line(table).map_err(D::Error::custom)
    }
}

fn console_line(table: ConsoleLineTable) -> Result<ConsoleLine, String> {
    let send = table.send.map(|Word(template)| template);
    let split = table.split.map(|Word(value)| value);
    let piece = send.as_ref().is_some_and(|send| send.has(&Piece::Part));
    let complaint = match (&send, &table.key, &table.expect, &table.booted) {
        (Some(_), Some(_), ..) => Some("a line has `send` or `key`, not both"),
        (None, None, None, None) => Some("a line needs `send`, `key` or `expect`"),
        (_, _, Some(_), Some(_)) => Some("a line has `expect` or `booted`, not both"),
        (_, Some(key), ..) if !(1..=32).contains(&key.len()) => Some("`key` has 1 to 32 bytes"),
        (None, ..) if table.hidden => Some("`hidden` belongs to a line with `send`"),
        _ if piece != split.is_some() => Some("`split` and {piece} belong together"),
        _ if split.is_some() && !(1..=512).contains(&table.width) => {
            Some("`split` needs `width`, 1 to 512")
        }
        _ if table.proves.is_some() && table.expect.is_none() => {
            Some("`proves` needs `expect`: what the unit says to the right part alone")
        }
        _ => None,
    };
    if let Some(complaint) = complaint {
        return Err(complaint.to_owned());
    }
    if send.as_ref().is_some_and(|send| send.has(&Piece::Port)) {
        return Err("{port} is for tools: a console is the port".to_owned());
    }
    Ok(ConsoleLine {
        send,
        key: table.key,
        booted: table.booted.is_some(),
        expect: table.expect.or(table.booted),
        refuse: table.refuse,
        capture: captures(table.capture)?,
        read_back: read_backs(table.read_back)?,
        proves: table.proves.map(|Word(part)| part),
        split,
        width: table.width,
        hidden: table.hidden,
        within: table.within_ms,
    })
}

impl<'de> Deserialize<'de> for ToolLine {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<ToolLine, D::Error> {
        let table = ToolLineTable::deserialize(from)?;
        tool_line(table).map_err(D::Error::custom)
    }
}

fn tool_line(table: ToolLineTable) -> Result<ToolLine, String> {
    let templates = |words: Vec<Word<Template>>| -> Vec<Template> {
        words.into_iter().map(|Word(template)| template).collect()
    };
    let (run, stdin) = (templates(table.run), templates(table.stdin));
    if run.is_empty() {
        return Err("`run` names a program and its arguments".to_owned());
    }
    let secret = |template: &Template| {
        template.values().any(|value| value.part.is_secret()) || template.has(&Piece::Decoy)
    };
    if run.iter().any(secret) {
        return Err(
            "a secret in an argument is seen by every user of the machine: put it into `stdin`"
                .to_owned(),
        );
    }
    if run.iter().chain(&stdin).any(|line| line.has(&Piece::Part)) {
        return Err("{piece} is for consoles: a tool takes a part whole".to_owned());
    }
    Ok(ToolLine {
        run,
        stdin,
        refuse: table.refuse,
        capture: captures(table.capture)?,
        read_back: read_backs(table.read_back)?,
        within: table.within_ms,
        refused: table.refused,
        absent: table.absent,
    })
}
