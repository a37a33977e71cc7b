//! `station-cli doctor`: what stands in the way of a shift, each with what to do about it.
//!
//! It looks and changes nothing, but for one small file in the station's folder that it writes, syncs
//! and removes: a disk that lies about that costs units. It opens no port, since whoever holds one
//! may be in the middle of a unit. Findings are for people; scripts take the JSON and the exit code.

mod machine;
mod ports;
mod server;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::json;
use traveler::Serial;

use crate::cli::Format;
use crate::damaged::damaged;
use crate::home::Home;
use crate::lease::Standing;
use crate::output::{print, print_text, say};
use crate::printer::PrinterArgs;

/// The udev rules that a station wants.
const RULES: &str = include_str!("../udev/70-birthmark.rules");

/// The arguments of `doctor`.
#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Print the udev rules for this station's ports, and look at nothing.
    #[arg(long)]
    udev: bool,
    /// A port to look at beside those that this machine lists; may be given again.
    #[arg(long, value_name = "PATH")]
    port: Vec<PathBuf>,
    #[command(flatten)]
    printer: PrinterArgs,
    /// The station's folder.
    #[arg(
        long,
        value_name = "DIR",
        env = "BIRTHMARK_STATION",
        default_value = "station"
    )]
    data: PathBuf,
    /// What goes to standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How well it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// Nothing to do.
    Green,
    /// A shift can be run, and may be disturbed.
    Amber,
    /// A shift cannot be run.
    Red,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at, the same word in every language.
    check: &'static str,
    /// Which one of them, when there may be several.
    #[serde(skip_serializing_if = "String::is_empty")]
    subject: String,
    level: Level,
    /// What was found.
    says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl Finding {
    fn green(check: &'static str, says: impl Into<String>) -> Finding {
        Finding {
            check,
            subject: String::new(),
            level: Level::Green,
            says: says.into(),
            todo: None,
        }
    }

    fn amber(check: &'static str, says: impl Into<String>, todo: impl Into<String>) -> Finding {
        Finding {
            level: Level::Amber,
            todo: Some(todo.into()),
            ..Finding::green(check, says)
        }
    }

    fn red(check: &'static str, says: impl Into<String>, todo: impl Into<String>) -> Finding {
        Finding {
            level: Level::Red,
            todo: Some(todo.into()),
            ..Finding::green(check, says)
        }
    }

    fn of(self, subject: impl Into<String>) -> Finding {
        let subject = subject.into();
        Finding { subject, ..self }
    }

    fn line(&self) -> String {
        let (mark, word) = match self.level {
            Level::Green => ("✓", "ok"),
            Level::Amber => ("!", "LOOK"),
            Level::Red => ("✗", "STOP"),
        };
        let subject = match self.subject.as_str() {
            "" => String::new(),
            subject => format!("{subject}: "),
        };
        let todo = self
            .todo
            .as_ref()
            .map(|todo| format!("\n{:27}-> {todo}", ""));
        format!(
            "{mark} {word:<5} {:<18} {subject}{}{}",
            self.check,
            self.says,
            todo.unwrap_or_default()
        )
    }
}

/// Looks at everything. Exit code 0: all well; 1: something is amber or red.
pub(crate) async fn run(args: DoctorArgs) -> Result<u8> {
    if args.udev {
        return match args.format {
            Format::Json => print(&json!({"file": "70-birthmark.rules", "rules": RULES})),
            Format::Text => print_text(RULES),
        }
        .map(|()| 0)
        .map_err(Into::into);
    }
    let mut findings = vec![machine::disk(&args.data), machine::sync(&args.data)];
    findings.extend(ports::look(&args.port, Path::new("/")));
    findings.push(machine::usb(Path::new("/")));
    findings.push(machine::terminal(&|name| std::env::var(name).ok()));
    match Home::open(&args.data) {
        Ok(home) => {
            findings.push(machine::certificate(&home));
            findings.extend(server::look(&home).await);
            findings.push(lease(&home));
            findings.push(printer(&args.printer, home.labels()).await);
        }
        Err(error) => {
            let todo = "enrol this station: its server, certificate and printer were not looked at";
            findings.push(Finding::red("station", error.to_string(), todo));
        }
    }
    for finding in &findings {
        match args.format {
            Format::Json => print(&json!(finding))?,
            Format::Text => say(&finding.line()),
        }
    }
    let well = findings.iter().all(|it| it.level == Level::Green);
    Ok(u8::from(!well))
}

/// What is held for the hours without a network, and what the server has yet to hear of them.
fn lease(home: &Home) -> Finding {
    let held = match Standing::of(home, None) {
        Ok(held) => held,
        Err(error) => {
            return Finding::red("lease", error.to_string(), "restore the folder: call IT");
        }
    };
    let says = held.words();
    match &held {
        held if !held.on_hold.is_empty() => {
            let todo = "put these units aside; a lead: sync --again SERIAL, or --settle SERIAL";
            Finding::red("lease", format!("{says}: {}", named(home, held)), todo)
        }
        held if held.to_upload > 0 => {
            Finding::amber("lease", says, "station-cli sync, once the server answers")
        }
        held if held.expired > 0 => {
            Finding::amber("lease", says, "station-cli lease --return, and lease anew")
        }
        _ => Finding::green("lease", says),
    }
}

/// The units on hold, each with the file that is damaged where one is.
fn named(home: &Home, held: &Standing) -> String {
    let files = damaged(home).unwrap_or_default();
    let one = |serial: &Serial| {
        let damaged = files.iter().find(|file| file.serial == *serial);
        match damaged {
            Some(file) => format!("{serial} ({} is damaged)", file.path.display()),
            None => serial.to_string(),
        }
    };
    let all: Vec<String> = held.on_hold.iter().map(one).collect();
    all.join(", ")
}

/// The printer as the verbs that print would open it.
async fn printer(args: &PrinterArgs, own: PathBuf) -> Finding {
    match args.open(own).ask().await {
        Ok(says) => Finding::green("printer", says),
        Err(error) => {
            let todo = "see to the printer; units wait for their labels";
            Finding::red("printer", error.to_string(), todo)
        }
    }
}
