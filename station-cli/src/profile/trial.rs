//! `station-cli profile test`: what a run would make of a unit, before an order depends on it.
//!
//! A unit on the bench goes through the very functions of a run: what those do not take, this does
//! not take. Of a recorded conversation the same is asked afterwards: one unit throughout, a state
//! that is understood, every part read back, boots that went up. Deliberately absent: the lock, which
//! cannot be taken back; a server; the second look for a unit that takes its port with it when it
//! resets, which `provision` has.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};
use credential::{Bundle, Password, Salt, mint_key};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use traveler::{Attempt, DeviceId, OrderId, Serial};
use wire::console::{Found, Transcript, replay};
use wire::profile::{ConsoleProfile, Driver, Part, Profile, States, Step};
use wire::{Facts, UnitState, WireError};

use super::{FormatArg, read};
use crate::begin::Credential;
use crate::cli::{Format, print, say};
use crate::console::ConsoleUnit;
use crate::drive::UnitError;
use crate::durable;
use crate::exec::ToolUnit;
use crate::journal::Open;
use crate::port::{Port, SerialPort};
use crate::steps::{self, Steps};

#[derive(Args)]
#[command(group(ArgGroup::new("conversation").args(["port", "replay"]).required(true)))]
pub(super) struct TrialArgs {
    /// The profile, a file or the name of one that comes with the station.
    file: PathBuf,
    /// A transcript that an earlier test of a console recorded.
    #[arg(long, value_name = "TRANSCRIPT")]
    replay: Option<PathBuf>,
    /// A unit's port. Without --write it is only asked who it is and what it holds.
    #[arg(long, value_name = "PATH")]
    port: Option<String>,
    /// Speed; USB ignores it.
    #[arg(long, value_name = "BAUD", default_value_t = SerialPort::BAUD)]
    baud: u32,
    /// Also write, reset and read back, with a made-up password that no log holds: for a unit that
    /// stays in the laboratory. It is not locked.
    #[arg(long, requires = "port")]
    write: bool,
    /// Write also over what the unit holds already, such as the credential of one that was sealed.
    #[arg(long, requires = "write")]
    overwrite: bool,
    /// Where to write what a console said, with its secrets masked.
    #[arg(long, value_name = "TRANSCRIPT", requires = "port")]
    record: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArg,
}

/// What a trial does to its unit.
#[derive(Clone, Copy, Eq, PartialEq)]
enum How {
    Asks,
    /// Writes, when the unit holds nothing.
    WritesBlank,
    Overwrites,
}

impl TrialArgs {
    fn how(&self) -> How {
        match (self.write, self.overwrite) {
            (false, _) => How::Asks,
            (true, false) => How::WritesBlank,
            (true, true) => How::Overwrites,
        }
    }
}

/// What was gone through, and what ended it when it did not go well.
#[derive(Default)]
struct Trial {
    went: Vec<(Step, Found)>,
    failed: Option<String>,
}

/// Does it; 0 when a run would take the unit, 1 when not.
pub(super) async fn run(args: TrialArgs) -> anyhow::Result<u8> {
    let profile = read(&args.file)?;
    let trial = match (&profile.driver, &args.port) {
        (Driver::Native, _) => bail!(
            "native units are asked for no steps, they prove what they hold: station-cli greet asks \
             one who it is"
        ),
        (Driver::Exec(_), _) if args.replay.is_some() || args.record.is_some() => bail!(
            "a maker's tool holds no conversation to record: test the profile with --port PATH, and \
             --write for a unit of the laboratory"
        ),
        (Driver::Exec(exec), Some(port)) => {
            let mut unit = Watched::of(ToolUnit::new(Arc::clone(exec), port));
            let ended = talk(&mut unit, port, args.how()).await;
            unit.trial(ended)
        }
        (Driver::Console(console), Some(path)) => {
            let mut port = SerialPort::new(path.clone(), args.baud);
            let mut unit = ConsoleUnit::new(port.open().await?, Arc::clone(console));
            let mut watched = Watched::of(&mut unit);
            let ended = talk(&mut watched, path, args.how()).await;
            let trial = watched.trial(ended);
            if let Some(path) = &args.record {
                let text = unit.transcript().to_string();
                durable::replace(path, text.as_bytes(), durable::PRIVATE)
                    .with_context(|| path.display().to_string())?;
            }
            trial
        }
        (Driver::Console(console), None) => again(console, args.replay)?,
        (Driver::Exec(_), None) => bail!("name the unit's port with --port"),
    };
    report(&profile, &trial, args.format.format)?;
    Ok(u8::from(trial.failed.is_some()))
}

/// A recorded conversation, held again.
fn again(console: &Arc<ConsoleProfile>, path: Option<PathBuf>) -> anyhow::Result<Trial> {
    let Some(path) = path else {
        bail!("name a transcript with --replay, or a port with --port");
    };
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let transcript = Transcript::parse(&text).with_context(|| path.display().to_string())?;
    Ok(match replay(console, &transcript, &made_up()?) {
        Ok(went) => {
            let scripts = &console.scripts;
            let failed = judge(&went, &scripts.states, &scripts.parts).err();
            Trial {
                failed: failed.map(|error| error.to_string()),
                went,
            }
        }
        Err(error) => Trial {
            went: Vec::new(),
            failed: Some(error.to_string()),
        },
    })
}

/// Takes a unit as far as a run does before it asks the server to confirm.
async fn talk(unit: &mut impl Steps, port: &str, how: How) -> anyhow::Result<()> {
    let facts = steps::greet(unit).await?;
    if how == How::Asks {
        return Ok(());
    }
    // It may be one of the line, whose label would then be wrong.
    if facts.state == UnitState::Loaded && how == How::WritesBlank {
        let held = facts
            .held
            .map_or_else(|| "something".to_owned(), |held| held.serial.to_string());
        bail!("the unit holds {held}, and nothing was written: take a blank one, or --overwrite");
    }
    if facts.state == UnitState::Locked {
        bail!("the unit is locked and takes nothing any more: use another");
    }
    let credential = credential(port, facts.device_id)?;
    steps::load(unit, &credential).await?;
    let before = steps::greet(unit).await?;
    steps::reset(unit, &before).await?;
    steps::prove(unit, &credential).await?;
    Ok(())
}

/// What a run asks of the steps, asked of those that were recorded.
fn judge(went: &[(Step, Found)], states: &States, parts: &[Part]) -> Result<(), UnitError> {
    let mut who = &Found::default();
    let mut first: Option<DeviceId> = None;
    let mut last: Option<Facts> = None;
    let mut must_pass: Option<u32> = None;
    for (step, found) in went {
        match step {
            Step::Identify => who = found,
            Step::Precheck => {
                let facts = steps::facts(who, found, states)?;
                let expected = first.get_or_insert_with(|| facts.device_id.clone());
                if *expected != facts.device_id {
                    let (expected, found) = (expected.clone(), Some(facts.device_id));
                    return Err(WireError::Swapped { expected, found }.into());
                }
                if let Some(boots) = must_pass.take()
                    && facts.boots.is_none_or(|after| after <= boots)
                {
                    return Err(WireError::NotReset { boots }.into());
                }
                last = Some(facts);
            }
            Step::Verify | Step::VerifyAgain => steps::whole(parts, found)?,
            Step::Reset => must_pass = last.as_ref().and_then(|facts| facts.boots),
            Step::Write | Step::Persist | Step::Lock => {}
        }
    }
    match must_pass {
        Some(boots) => Err(WireError::NotReset { boots }.into()),
        None => Ok(()),
    }
}

/// A unit, and each step that it went through.
struct Watched<U> {
    unit: U,
    went: Vec<(Step, Found)>,
    /// The one that did not end well.
    stuck: Option<Step>,
}

impl<U> Watched<U> {
    fn of(unit: U) -> Watched<U> {
        Watched {
            unit,
            went: Vec::new(),
            stuck: None,
        }
    }

    fn trial(self, ended: anyhow::Result<()>) -> Trial {
        let step = self.stuck.or(self.went.last().map(|(step, _)| *step));
        Trial {
            failed: ended.err().map(|error| match step {
                Some(step) => format!("{step}: {error}"),
                None => error.to_string(),
            }),
            went: self.went,
        }
    }
}

impl<U: Steps> Steps for Watched<U> {
    fn holds(&mut self, credential: &Credential) {
        self.unit.holds(credential);
    }

    async fn step(&mut self, step: Step) -> Result<Found, UnitError> {
        self.stuck = Some(step);
        let found = self.unit.step(step).await?;
        self.stuck = None;
        self.went.push((step, found.clone()));
        Ok(found)
    }

    fn states(&self) -> &States {
        self.unit.states()
    }

    fn parts(&self) -> &[Part] {
        self.unit.parts()
    }

    fn locks(&self) -> bool {
        self.unit.locks()
    }
}

fn report(profile: &Profile, trial: &Trial, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return Ok(print(&facts(profile, trial))?);
    }
    for (step, found) in &trial.went {
        say(&line(*step, found));
    }
    match &trial.failed {
        None => say(&format!(
            "PASS {} goes through {} steps",
            profile.name,
            trial.went.len()
        )),
        Some(why) => say(&format!("FAIL {why}")),
    }
    Ok(())
}

/// One step for people. What a unit says of itself cannot move the cursor, nor end or begin a line.
fn line(step: Step, found: &Found) -> String {
    let answers = found.answers.iter();
    let answers = answers.map(|(of, said)| format!("{} {}", of.as_str(), said.escape_debug()));
    let parts = found.read_back.iter();
    let parts = parts.map(|part| format!("{} read back", part.as_str()));
    let all: Vec<String> = answers.chain(parts).collect();
    format!("  {step:<12} {}", all.join(", "))
}

fn facts(profile: &Profile, trial: &Trial) -> Value {
    let steps = trial.went.iter().map(|(step, found)| {
        let answers = found.answers.iter();
        let answers = answers.map(|(of, said)| (of.as_str().to_owned(), json!(said)));
        let parts: Vec<&str> = found.read_back.iter().map(|part| part.as_str()).collect();
        json!({
            "step": step.as_str(),
            "answers": Value::Object(answers.collect()),
            "read_back": parts,
        })
    });
    json!({
        "profile": profile.name,
        "sha256": profile.sha256,
        "passed": trial.failed.is_none(),
        "steps": steps.collect::<Vec<_>>(),
        "failed": trial.failed,
    })
}

/// What no server issued, for a unit that no log knows.
fn credential(port: &str, device_id: DeviceId) -> anyhow::Result<Credential> {
    let bundle = made_up()?;
    let bytes = bundle.encode()?;
    Ok(Credential {
        open: Open {
            serial: bundle.serial.clone(),
            order: OrderId::parse("BENCH")?,
            port: port.to_owned(),
            device_id,
            issued: None,
            withdraw: None,
        },
        attempt: bundle.attempt,
        bundle_sha256: bytes.digest(),
        bytes,
        bundle,
        leased: false,
    })
}

fn made_up() -> anyhow::Result<Bundle> {
    let system = SystemRandom::new();
    let mut random = [0; 12];
    let filled = system.fill(&mut random);
    filled.map_err(|_| anyhow::anyhow!("the system gave no randomness"))?;
    let symbols = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut text = zeroize::Zeroizing::new(Vec::with_capacity(random.len()));
    text.extend(
        random
            .iter()
            .map(|byte| symbols[usize::from(*byte) % symbols.len()]),
    );
    Ok(Bundle {
        serial: Serial::parse("BENCH-000001")?,
        attempt: Attempt::FIRST,
        password: Password::parse(&text)?,
        salt: Salt::from_bytes([0; 16]),
        chain: vec![vec![0x30; 300]],
        key: Some(mint_key(&system)?.private),
    })
}

#[cfg(test)]
mod tests {
    use wire::profile::Answer;

    use super::*;

    fn console(name: &str) -> Arc<ConsoleProfile> {
        let profile = Profile::parse(Profile::shipped(name).unwrap()).unwrap();
        let Driver::Console(console) = profile.driver else {
            panic!("no console");
        };
        console
    }

    fn who(id: &str) -> (Step, Found) {
        let mut found = Found::default();
        found.answers.insert(Answer::DeviceId, id.to_owned());
        (Step::Identify, found)
    }

    fn what(marker: &str, boots: &str) -> (Step, Found) {
        let mut found = Found::default();
        found.answers.insert(Answer::Marker, marker.to_owned());
        found.answers.insert(Answer::Boots, boots.to_owned());
        (Step::Precheck, found)
    }

    fn read_back(step: Step, parts: &[Part]) -> (Step, Found) {
        let read_back = parts.to_vec();
        let answers = Default::default();
        (step, Found { answers, read_back })
    }

    /// A unit that says it is in this state, and what is done to it.
    struct Said(&'static str, ConsoleProfile, Vec<Step>);

    impl Steps for Said {
        fn holds(&mut self, _: &Credential) {}

        async fn step(&mut self, step: Step) -> Result<Found, UnitError> {
            self.2.push(step);
            let (_, mut found) = match step {
                Step::Identify => who("00112233"),
                Step::Precheck => what(self.0, "3"),
                _ => read_back(step, &self.1.scripts.parts),
            };
            found.answers.insert(Answer::Model, "CAM2".to_owned());
            Ok(found)
        }

        fn states(&self) -> &States {
            &self.1.scripts.states
        }

        fn parts(&self) -> &[Part] {
            &self.1.scripts.parts
        }

        fn locks(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_unit_that_holds_something_is_written_only_when_that_is_said() {
        for (state, how, written) in [
            ("loaded", How::Asks, false),
            ("loaded", How::WritesBlank, false),
            ("loaded", How::Overwrites, true),
            ("blank", How::WritesBlank, true),
        ] {
            let mut unit = Said(state, console("at-modem").as_ref().clone(), Vec::new());
            let ended = talk(&mut unit, "p", how).await;
            assert_eq!(unit.2.contains(&Step::Write), written, "{state}");
            let refused = ended
                .err()
                .is_some_and(|e| e.to_string().contains("--overwrite"));
            assert_eq!(refused, how == How::WritesBlank && !written, "{state}");
        }
    }

    #[test]
    fn a_recording_passes_only_for_what_a_run_would_take() {
        let console = console("at-modem");
        let (states, parts) = (&console.scripts.states, &console.scripts.parts[..]);
        let done = |step| (step, Found::default());
        let good = [
            who("00112233"),
            what("blank", "3"),
            done(Step::Write),
            done(Step::Persist),
            read_back(Step::Verify, parts),
            done(Step::Reset),
            who("00112233"),
            what("loaded", "4"),
            read_back(Step::VerifyAgain, parts),
        ];
        let ended = judge(&good, states, parts);
        assert!(ended.is_ok(), "{:?}", ended.err());
        let check = |at: usize, other: (Step, Found), expected: &str| {
            let mut went = good.clone();
            went[at] = other;
            let error = judge(&went, states, parts).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}\n  not {expected}");
        };
        check(1, what("no such state", "3"), "marker");
        check(1, what("blank", "three"), "boots");
        check(0, who("SN-1"), "device_id");
        check(4, read_back(Step::Verify, &parts[1..]), "does not hold");
        check(6, who("44556677"), "swapped: expected 00112233");
        check(7, what("loaded", "3"), "did not reset (boot 3)");
        check(8, read_back(Step::VerifyAgain, &[]), "does not hold");
        let cut = judge(&good[..6], states, parts);
        assert!(cut.is_err(), "nobody looked whether it had reset");
    }

    #[test]
    fn what_a_unit_says_is_one_line_of_text() {
        let (step, mut found) = what("a\u{1b}[2J\r\nPASS", "1");
        found.read_back.push(Part::Password);
        let line = line(step, &found);
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.contains("\\u{1b}[2J\\r\\nPASS"), "{line}");
        assert!(line.ends_with("password read back"), "{line}");
    }
}
