//! `station-cli profile`: device profiles, looked at before a line depends on them.
//!
//! `check` says what a file would do; `test` holds a recorded conversation with it, or speaks to a
//! unit on the bench; `new` writes out one that comes with the station, to begin from. Facts go to
//! standard output, words to standard error, as everywhere.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use credential::{Bundle, Password, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use traveler::{Attempt, Serial};
use wire::console::{Found, Transcript, replay};
use wire::profile::{Driver, Profile, SHIPPED, Script, Step};

use crate::cli::{Format, print, say};
use crate::console::ConsoleUnit;
use crate::durable;
use crate::port::{Port, SerialPort};
use crate::steps::Steps;

/// The arguments of `station-cli profile`.
#[derive(Args)]
pub(crate) struct ProfileArgs {
    #[command(subcommand)]
    verb: ProfileVerb,
}

#[derive(Subcommand)]
enum ProfileVerb {
    /// Say whether a file is a profile, and what it does.
    Check {
        /// The profile, a file or the name of one that comes with the station.
        file: PathBuf,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Hold a conversation with it: a recorded one, or with a unit at a port.
    Test(TestArgs),
    /// Write out a profile that comes with the station, to begin from.
    New {
        /// Which: at-modem, linux-login, u-boot or zephyr-shell.
        #[arg(long, value_name = "NAME")]
        from: String,
        /// Where to [default: standard output]; a file that is there is left alone.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Args)]
struct TestArgs {
    /// The profile, a file or the name of one that comes with the station.
    file: PathBuf,
    /// A transcript that an earlier test recorded.
    #[arg(long, value_name = "TRANSCRIPT", conflicts_with = "port")]
    replay: Option<PathBuf>,
    /// A unit's port. Without --write it is only asked who it is and what it holds.
    #[arg(long, value_name = "PATH", required_unless_present = "replay")]
    port: Option<String>,
    /// Speed; USB ignores it.
    #[arg(long, value_name = "BAUD", default_value_t = SerialPort::BAUD)]
    baud: u32,
    /// Also write, reset and read back, with a made-up password that no log holds: for a unit that
    /// stays in the laboratory. It is not locked.
    #[arg(long, requires = "port")]
    write: bool,
    /// Where to write what was said, with its secrets masked.
    #[arg(long, value_name = "TRANSCRIPT", requires = "port")]
    record: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArg,
}

#[derive(Args)]
struct FormatArg {
    /// What goes to standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Does it; 0 when all is well, 1 when a conversation does not go through.
pub(crate) async fn run(args: ProfileArgs) -> anyhow::Result<u8> {
    match args.verb {
        ProfileVerb::Check { file, format } => check(&file, format.format),
        ProfileVerb::Test(args) => test(args).await,
        ProfileVerb::New { from, out } => new(&from, out.as_deref()),
    }
}

fn read(file: &Path) -> anyhow::Result<Profile> {
    let shipped = file.to_str().and_then(Profile::shipped);
    let text = match shipped {
        Some(text) => text.to_owned(),
        None => std::fs::read_to_string(file).with_context(|| {
            format!(
                "{} is no file, and no profile that comes with the station",
                file.display()
            )
        })?,
    };
    Profile::parse(&text).with_context(|| file.display().to_string())
}

fn check(file: &Path, format: Format) -> anyhow::Result<u8> {
    let profile = read(file)?;
    match format {
        Format::Json => print(&facts(&profile))?,
        Format::Text => say(&words(&profile)),
    }
    Ok(0)
}

fn facts(profile: &Profile) -> Value {
    let parts = profile.parts().iter().map(|part| part.as_str());
    json!({
        "name": profile.name,
        "version": profile.version,
        "driver": profile.driver.as_str(),
        "sha256": profile.sha256,
        "parts": parts.collect::<Vec<_>>(),
        "read_back": if profile.is_native() { "unit" } else { "station" },
        "not_locked": profile.unlocked(),
        "steps": steps(profile),
    })
}

/// How many lines each step has; why it is not done, where it is not.
fn steps(profile: &Profile) -> Value {
    fn of<L>(script: &Script<L>) -> Value {
        match script {
            Script::Run(lines) => json!({ "lines": lines.len() }),
            Script::None(reason) => json!({ "none": reason }),
        }
    }
    let step = |step: Step| match &profile.driver {
        Driver::Native => json!("native"),
        Driver::Console(console) => of(console.scripts.step(step)),
        Driver::Exec(exec) => of(exec.scripts.step(step)),
    };
    let pairs = Step::ALL.map(|of| (of.as_str().to_owned(), step(of)));
    Value::Object(pairs.into_iter().collect())
}

fn words(profile: &Profile) -> String {
    let parts: Vec<&str> = profile.parts().iter().map(|part| part.as_str()).collect();
    let by = match profile.is_native() {
        true => "proven by the unit",
        false => "read back by the station",
    };
    let lock = match profile.unlocked() {
        None => "then locked".to_owned(),
        Some(reason) => format!("NOT LOCKED: {reason}"),
    };
    format!(
        "{} version {}, {}, sha256 {}\n  writes {}; {by}; {lock}",
        profile.name,
        profile.version,
        profile.driver.as_str(),
        profile.sha256,
        parts.join(", ")
    )
}

fn new(from: &str, out: Option<&Path>) -> anyhow::Result<u8> {
    let Some(text) = Profile::shipped(from) else {
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no profile `{from}`: choose one of {}",
            names.join(", ")
        );
    };
    match out {
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
        Some(path) => {
            let file = std::fs::File::options()
                .write(true)
                .create_new(true)
                .open(path);
            let mut file = file.with_context(|| path.display().to_string())?;
            file.write_all(text.as_bytes())?;
            say(&format!(
                "{}: change its name and its lines, then station-cli profile check it",
                path.display()
            ));
        }
    }
    Ok(0)
}

async fn test(args: TestArgs) -> anyhow::Result<u8> {
    let profile = read(&args.file)?;
    let Driver::Console(console) = &profile.driver else {
        bail!(
            "only a console's profile holds a conversation; this one is {}",
            profile.driver.as_str()
        );
    };
    let bundle = made_up()?;
    let (went, failed) = match (&args.replay, args.port) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let transcript =
                Transcript::parse(&text).with_context(|| path.display().to_string())?;
            match replay(console, &transcript, &bundle) {
                Ok(went) => (went, None),
                Err(error) => (Vec::new(), Some(error.to_string())),
            }
        }
        (None, Some(path)) => {
            let mut port = SerialPort::new(path, args.baud);
            let mut unit = ConsoleUnit::new(port.open().await?, std::sync::Arc::clone(console));
            let talked = talk(&mut unit, &bundle, args.write).await;
            if let Some(path) = &args.record {
                let text = unit.transcript().to_string();
                durable::replace(path, text.as_bytes(), durable::PRIVATE)
                    .with_context(|| path.display().to_string())?;
            }
            talked
        }
        (None, None) => bail!("name a transcript with --replay, or a port with --port"),
    };
    report(&profile, &went, failed.as_deref(), args.format.format)?;
    Ok(u8::from(failed.is_some()))
}

/// The steps that a bench unit is taken through; as far as it goes.
async fn talk(
    unit: &mut ConsoleUnit<<SerialPort as Port>::Stream>,
    bundle: &Bundle,
    write: bool,
) -> (Vec<(Step, Found)>, Option<String>) {
    let mut went = Vec::new();
    let steps = match write {
        true => &Step::ALL[..7],
        false => &Step::ALL[..2],
    };
    unit.writes(bundle);
    for &step in steps {
        match unit.step(step).await {
            Ok(found) => went.push((step, found)),
            Err(error) => return (went, Some(format!("{step}: {error}"))),
        }
    }
    (went, None)
}

fn report(
    profile: &Profile,
    went: &[(Step, Found)],
    failed: Option<&str>,
    format: Format,
) -> anyhow::Result<()> {
    if format == Format::Json {
        let steps: Vec<Value> = went
            .iter()
            .map(|(step, found)| {
                let answers = found.answers.iter();
                let answers = answers.map(|(of, said)| (of.as_str().to_owned(), json!(said)));
                let parts: Vec<&str> = found.read_back.iter().map(|part| part.as_str()).collect();
                json!({
                    "step": step.as_str(),
                    "answers": Value::Object(answers.collect()),
                    "read_back": parts,
                })
            })
            .collect();
        print(&json!({
            "profile": profile.name,
            "sha256": profile.sha256,
            "passed": failed.is_none(),
            "steps": steps,
            "failed": failed,
        }))?;
        return Ok(());
    }
    for (step, found) in went {
        let answers = found.answers.iter();
        let answers = answers.map(|(of, said)| format!("{} {said}", of.as_str()));
        let parts = found
            .read_back
            .iter()
            .map(|part| format!("{} read back", part.as_str()));
        let all: Vec<String> = answers.chain(parts).collect();
        say(&format!("  {step:<12} {}", all.join(", ")));
    }
    match failed {
        None => say(&format!(
            "PASS {} goes through {} steps",
            profile.name,
            went.len()
        )),
        Some(why) => say(&format!("FAIL {why}")),
    }
    Ok(())
}

/// A bundle that no server issued, for a unit that no log knows.
fn made_up() -> anyhow::Result<Bundle> {
    let mut random = [0; 12];
    let filled = SystemRandom::new().fill(&mut random);
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
        key: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_profile_does_is_said_in_one_look() {
        let modem = read(Path::new("at-modem")).unwrap();
        let text = words(&modem);
        assert!(
            text.contains("read back by the station; then locked"),
            "{text}"
        );
        let text = words(&read(Path::new("u-boot")).unwrap());
        assert!(text.contains("NOT LOCKED: this boot loader"), "{text}");
        let json = facts(&modem);
        assert_eq!(json["parts"], json!(["password", "serial", "attempt"]));
        assert_eq!(json["steps"]["write"]["lines"], 3);
        assert!(read(Path::new("no-such-profile")).is_err());
    }

    #[test]
    fn a_profile_to_begin_from_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        assert_eq!(new("u-boot", Some(&path)).unwrap(), 0);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            Profile::shipped("u-boot").unwrap()
        );
        assert!(new("u-boot", Some(&path)).is_err());
        assert!(
            new("uboot", None)
                .unwrap_err()
                .to_string()
                .contains("zephyr-shell")
        );
    }
}
