//! `station-cli profile`: device profiles, looked at before a line depends on them.
//!
//! `check` says what a file would do; `test` takes a unit on the bench through its steps, or a
//! conversation that was recorded (see [`trial`]); `new` writes out one that comes with the station,
//! to begin from. Facts go to standard output, words to standard error, as everywhere.

mod new;
mod trial;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use wire::profile::{Driver, Profile, Script, Step};

use self::trial::TrialArgs;
use crate::cli::{Format, print, say};

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
    /// Take a unit at a port through its steps, or a conversation that was recorded.
    Test(TrialArgs),
    /// Write out a profile that comes with the station, to begin from.
    New {
        /// Which: at-modem, linux-login, u-boot, zephyr-shell; exec-example, with a tool beside it.
        #[arg(long, value_name = "NAME")]
        from: String,
        /// Where to [default: standard output]; a file that is there is left alone.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct FormatArg {
    /// What goes to standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Does it; 0 when all is well, 1 when a conversation does not go through.
pub(crate) async fn run(args: ProfileArgs) -> anyhow::Result<u8> {
    match args.verb {
        ProfileVerb::Check { file, format } => check(&file, format.format),
        ProfileVerb::Test(args) => trial::run(args).await,
        ProfileVerb::New { from, out } => new::new(&from, out.as_deref()),
    }
}

/// A profile by its file, or by its name when it comes with the station.
pub(crate) fn read(file: &Path) -> anyhow::Result<Profile> {
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
}
