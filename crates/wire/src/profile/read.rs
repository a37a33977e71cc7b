//! From TOML to a profile: one pass for where things stand, one for what only the whole can get
//! wrong. What this lets through is not checked again later.

use std::borrow::ToOwned;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use traveler::Digest;

use super::lines::{Answer, Capture, ConsoleLine, ToolLine};
use super::tables::{DriverName, File, Head, MannerTable, NativeFile, StepTable, Word};
use super::template::{Form, Part, Piece, Template};
use super::{
    ConsoleProfile, Driver, ExecProfile, Login, Manner, PROFILE_MAX, Profile, ProfileError, Script,
    Scripts, States, Step,
};

/// Lines in one step.
const LINES_MAX: usize = 64;
/// Bytes of a reason.
const REASON: std::ops::RangeInclusive<usize> = 10..=300;

/// Silence after which a line that has come is whole: 300 characters at 115,200 baud.
const SETTLE: Duration = Duration::from_millis(30);
/// A piece of 16 characters and its echo take 34 ms at 9,600 baud; the rest is the unit's.
const ECHO_WITHIN: Duration = Duration::from_millis(250);
/// A command that writes flash; an erase of one page takes up to 0.1 s.
const WITHIN: Duration = Duration::from_secs(3);
/// A boot.
const WAKE_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn profile(text: &str) -> Result<Profile, ProfileError> {
    if text.len() > PROFILE_MAX {
        return Err(ProfileError::TooLong(text.len()));
    }
    let (name, version, driver) = match parsed::<Head>(text)?.driver {
        DriverName::Native => {
            let file: NativeFile = parsed(text)?;
            (file.name, file.version, Driver::Native)
        }
        DriverName::Console => {
            let mut file: File<ConsoleLine> = parsed(text)?;
            let table = file.console.take();
            let manner = manner(table.ok_or_else(|| {
                field("console", "a console profile says how its console behaves")
            })?)?;
            let (name, version, scripts) = scripts(file)?;
            let reset = scripts.step(Step::Reset).lines();
            if !reset.iter().any(Asks::boots) {
                let message = "one line needs `booted`: the unit's own word that it has started";
                return Err(field("reset", message));
            }
            let console = ConsoleProfile { manner, scripts };
            (name, version, Driver::Console(Arc::new(console)))
        }
        DriverName::Exec => {
            let file: File<ToolLine> = parsed(text)?;
            if file.console.is_some() {
                return Err(field("console", "an exec profile has none: remove it"));
            }
            let (name, version, scripts) = scripts(file)?;
            (
                name,
                version,
                Driver::Exec(Arc::new(ExecProfile { scripts })),
            )
        }
    };
    Ok(Profile {
        name,
        version,
        driver,
        sha256: Digest(Sha256::digest(text.as_bytes()).into()),
    })
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, ProfileError> {
    toml::from_str(text).map_err(|error| {
        // Without a span the text as a whole is at fault, such as by a missing field.
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ProfileError::At {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: error.message().to_owned(),
        }
    })
}

fn field(field: impl ToString, message: impl ToString) -> ProfileError {
    ProfileError::Field {
        field: field.to_string(),
        message: message.to_string(),
    }
}

fn manner(table: MannerTable) -> Result<Manner, ProfileError> {
    if table.line_end.is_empty() || table.wake.is_empty() {
        return Err(field("console", "`line_end` and `wake` cannot be empty"));
    }
    taken_back(&table)?;
    if table.chunk > table.max_line {
        return Err(field("console.chunk", "is longer than `max_line`"));
    }
    Ok(Manner {
        prompt: table.prompt,
        refuse: table.refuse,
        noise: table.noise,
        line_end: table.line_end,
        wake: table.wake,
        cancel: table.cancel,
        erase: table.erase,
        echo: table.echo,
        own_port: table.own_port,
        chunk: table.chunk,
        max_line: table.max_line,
        gap: table.gap_ms.unwrap_or_default(),
        settle: table.settle_ms.unwrap_or(SETTLE),
        echo_within: table.echo_ms.unwrap_or(ECHO_WITHIN),
        within: table.within_ms.unwrap_or(WITHIN),
        wake_within: table.wake_ms.unwrap_or(WAKE_WITHIN),
        login: {
            let read = table.login.into_iter().map(|login| Login {
                prompt: login.prompt,
                run: login.run,
            });
            read.collect()
        },
    })
}

/// A line whose echo is wrong is taken back. What ends a line would carry it out instead.
fn taken_back(table: &MannerTable) -> Result<(), ProfileError> {
    let (cancel, erase) = (&table.cancel, &table.erase);
    for (name, keys) in [("console.cancel", cancel), ("console.erase", erase)] {
        if keys.contains(['\r', '\n']) || keys.contains(&table.line_end) {
            let message = "ends the line, and so carries out what it should take back: name the key \
                           that discards a line, or in `erase` the one that takes back one byte";
            return Err(field(name, message));
        }
    }
    match (cancel.is_empty(), erase.is_empty()) {
        (false, false) => Err(field("console.erase", "`cancel` is there: remove one")),
        (true, true) if table.echo => {
            let message =
                "a console that echoes needs it, or `erase`: a garbled line must be taken back";
            Err(field("console.cancel", message))
        }
        (false, true) if !table.wake.starts_with(cancel.as_str()) => {
            let message = "begins with `cancel`: it must not carry out a line that was half typed";
            Err(field("console.wake", message))
        }
        _ => Ok(()),
    }
}

fn scripts<L: Asks + Clone>(file: File<L>) -> Result<(String, u32, Scripts<L>), ProfileError> {
    let parts: Vec<Part> = file.parts.into_iter().map(|Word(part)| part).collect();
    let tables = [
        (Step::Identify, file.identify),
        (Step::Precheck, file.precheck),
        (Step::Write, file.write),
        (Step::Persist, file.persist),
        (Step::Verify, file.verify),
        (Step::Reset, file.reset),
        (Step::VerifyAgain, file.verify_again),
        (Step::Lock, file.lock),
    ];
    let mut steps = BTreeMap::new();
    for (step, table) in tables {
        let script = script(step, table, &steps)?;
        steps.insert(step, script);
    }
    let states = States {
        blank: file.states.blank,
        loaded: file.states.loaded,
        locked: file.states.locked,
    };
    let scripts = Scripts {
        parts,
        states,
        steps,
    };
    whole(&scripts)?;
    Ok((file.name, file.version, scripts))
}

fn script<L: Clone>(
    step: Step,
    table: StepTable<L>,
    before: &BTreeMap<Step, Script<L>>,
) -> Result<Script<L>, ProfileError> {
    match (table.run, table.none, table.like) {
        (Some(lines), None, None) if (1..=LINES_MAX).contains(&lines.len()) => {
            Ok(Script::Run(lines))
        }
        (Some(_), None, None) => Err(field(step, format!("`run` has 1 to {LINES_MAX} lines"))),
        (None, Some(reason), None) => {
            let can = matches!(step, Step::Persist | Step::Lock);
            let plain = REASON.contains(&reason.len()) && !reason.chars().any(char::is_control);
            match (can, plain) {
                (true, true) => Ok(Script::None(reason)),
                (false, _) => Err(field(step, "cannot be left out: only persist and lock can")),
                (true, false) => Err(field(
                    step,
                    "say in 10 to 300 bytes of one line why the unit cannot do it",
                )),
            }
        }
        (None, None, Some(_)) if step != Step::VerifyAgain => Err(field(
            step,
            "only verify_again is `like` another: say what it does",
        )),
        (None, None, Some(like)) => {
            let known = before.iter().find(|(step, _)| step.as_str() == like);
            let script = known.map(|(_, script)| script.clone());
            script.ok_or_else(|| field(step, format!("`{like}` is no step before it")))
        }
        _ => Err(field(step, "needs one of `run`, `none` and `like`")),
    }
}

fn whole<L: Asks>(scripts: &Scripts<L>) -> Result<(), ProfileError> {
    if !scripts.parts.contains(&Part::Password) {
        return Err(field(
            "parts",
            "\"password\" is what a profile is for: name it",
        ));
    }
    for &part in &scripts.parts {
        let word = part.as_str();
        let lines = |step| scripts.step(step).lines();
        if !lines(Step::Write)
            .iter()
            .any(|l| l.writes().contains(&part))
        {
            return Err(field(
                "write",
                format!("no line writes {{{word}}}, a named part"),
            ));
        }
        for step in [Step::Verify, Step::VerifyAgain] {
            if !lines(step).iter().any(|line| line.reads().contains(&part)) {
                let message = format!("no line reads {word} back: what is not read is not known");
                return Err(field(step, message));
            }
        }
    }
    for step in Step::ALL {
        let lines = scripts.step(step).lines();
        for (at, line) in lines.iter().enumerate() {
            let Some(part) = line.proves() else { continue };
            if part != Part::Password || !line.writes().contains(&part) {
                let message = "`proves` is for the password, on the line that sends it";
                return Err(field(step, message));
            }
            let refused = |before: &L| before.decoys() && before.expects() != line.expects();
            if !lines[..at].iter().any(refused) {
                let message = "`proves` needs a line before it that sends {decoy} and expects something \
                               else: a unit that says yes to everything proves nothing";
                return Err(field(step, message));
            }
        }
    }
    must_capture(scripts, Step::Identify, Answer::DeviceId)?;
    must_capture(scripts, Step::Identify, Answer::Model)?;
    must_capture(scripts, Step::Precheck, Answer::Marker)?;
    match (scripts.unlocked(), &scripts.states.locked) {
        (None, None) => Err(field(
            "states",
            "a unit that is locked says so: add `locked`",
        )),
        (Some(_), Some(_)) => Err(field(
            "states.locked",
            "nothing locks these units: remove it",
        )),
        _ => Ok(()),
    }
}

fn must_capture<L: Asks>(
    scripts: &Scripts<L>,
    step: Step,
    answer: Answer,
) -> Result<(), ProfileError> {
    let lines = scripts.step(step).lines();
    let asked = |line: &L| line.captures().get(&answer).is_some_and(|c| !c.optional);
    match lines.iter().any(asked) {
        true => Ok(()),
        false => Err(field(step, format!("no line captures {}", answer.as_str()))),
    }
}

/// What the checks of a whole profile ask of its lines, whatever its driver.
trait Asks {
    fn writes(&self) -> Vec<Part>;
    fn reads(&self) -> Vec<Part>;
    fn captures(&self) -> &BTreeMap<Answer, Capture>;
    fn proves(&self) -> Option<Part>;
    fn decoys(&self) -> bool;
    fn expects(&self) -> Option<&str>;
    fn boots(&self) -> bool;
}

fn written<'a>(templates: impl Iterator<Item = &'a Template>) -> Vec<Part> {
    let values = templates.flat_map(Template::values);
    let values = values.filter(|value| value.form != Form::Sha256);
    values.map(|value| value.part).collect()
}

impl Asks for ConsoleLine {
    fn writes(&self) -> Vec<Part> {
        let mut parts = written(self.send.iter());
        parts.extend(self.split.map(|value| value.part));
        parts
    }

    fn reads(&self) -> Vec<Part> {
        let read = self.read_back.keys().map(|value| value.part);
        read.chain(self.proves).collect()
    }

    fn captures(&self) -> &BTreeMap<Answer, Capture> {
        &self.capture
    }

    fn proves(&self) -> Option<Part> {
        self.proves
    }

    fn decoys(&self) -> bool {
        self.send
            .as_ref()
            .is_some_and(|send| send.has(&Piece::Decoy))
    }

    fn expects(&self) -> Option<&str> {
        self.expect.as_ref().map(|expect| expect.anywhere.as_str())
    }

    fn boots(&self) -> bool {
        self.booted
    }
}

impl Asks for ToolLine {
    fn writes(&self) -> Vec<Part> {
        written(self.run.iter().chain(&self.stdin))
    }

    fn reads(&self) -> Vec<Part> {
        self.read_back.keys().map(|value| value.part).collect()
    }

    fn captures(&self) -> &BTreeMap<Answer, Capture> {
        &self.capture
    }

    fn proves(&self) -> Option<Part> {
        None
    }

    fn decoys(&self) -> bool {
        false
    }

    fn expects(&self) -> Option<&str> {
        None
    }

    fn boots(&self) -> bool {
        true // a tool resets the unit itself, and says so by its exit code
    }
}
