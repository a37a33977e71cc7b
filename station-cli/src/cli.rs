//! The command line: words in, words and JSON out, and the exit code.
//!
//! JSON goes to standard output, one object a line; words for people go to standard error.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use serde_json::json;
use traveler::{OperatorId, OrderId, Serial};
use zeroize::Zeroizing;

use crate::calls::{Patience, Server};
use crate::doctor::{self, DoctorArgs};
use crate::enroll::{EnrolError, enroll};
use crate::failure::{Failure, Outcome};
use crate::greet;
use crate::home::Home;
use crate::lease::{self, LeaseArgs};
use crate::output::print_line;
pub(crate) use crate::output::{print, say};
use crate::plug::UnitPort;
use crate::port::SerialPort;
use crate::ports::{self, PortsArgs};
use crate::printer::PrinterArgs;
use crate::profile::{self, ProfileArgs};
use crate::provision::{Bench, Job, provision};
use crate::recovery::{self, RecoveryArgs};
use crate::reprint::{self, ReprintArgs};
use crate::screen::Screen;
use crate::seams::{LabelFolder, StdinScanner};
use crate::shift::{self, ShiftArgs};
use crate::sync::{self, SyncArgs};
use crate::token::Token;
use crate::usb::NoPlace;

/// Puts each unit's own credential on it, proves that it is there, and closes the record.
#[derive(Parser)]
#[command(name = "station-cli", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 pass; 1 something to look at (doctor, profile test); 2 nothing was \
                          spent, the message says what to do; 10 run again with the same unit; 20 scrap \
                          the unit; 30 stop the line.\n\
                          Words for people, facts among them, go to standard error; with --format json \
                          facts go to standard output.";

#[derive(Subcommand)]
enum Verb {
    /// Make a key here and have it certified, once, with a token from an administrator.
    Enroll(EnrollArgs),
    /// Provision one unit, or go on with one that was interrupted.
    Provision(Box<ProvisionArgs>),
    /// The shift: scanner in, PASS or FAIL out, all slots of the bench at once.
    Run(Box<ShiftArgs>),
    /// Ask a unit who it is and what it holds.
    Greet(GreetArgs),
    /// List the ports of this machine that units can be on: serial, and vendor-class USB.
    Ports(PortsArgs),
    /// Look at everything a shift needs: ports, clock, disk, printer, server, certificate.
    Doctor(DoctorArgs),
    /// Lease credentials for the hours without a network, give them back, or say what is held.
    Lease(Box<LeaseArgs>),
    /// Hold the attempts under way against the server and close those that ended.
    Sync(SyncArgs),
    /// Print the label of a unit that is not sealed yet again, marked R1, R2; those before it are void.
    Reprint(Box<ReprintArgs>),
    /// What the server's log says it has lost of the log this station remembers, and accepting it.
    Recovery(RecoveryArgs),
    /// Check, test or begin a device profile: how units with a console or a tool are spoken to.
    Profile(ProfileArgs),
}

#[derive(Args)]
pub(crate) struct DataArgs {
    /// The station's folder.
    #[arg(
        long,
        value_name = "DIR",
        env = "BIRTHMARK_STATION",
        default_value = "station"
    )]
    pub(crate) data: PathBuf,
}

#[derive(Args)]
pub(crate) struct FormatArgs {
    /// What goes to standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// Words for people, on standard error.
    Text,
    /// One JSON object a line, on standard output.
    Json,
}

#[derive(Args)]
#[command(group(ArgGroup::new("invitation").args(["token_file", "token"]).required(true)))]
struct EnrollArgs {
    /// Address of the server: https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The token, as `provisioner station token` printed it; `-` reads it from standard input.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// A file that holds the token; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
struct ProvisionArgs {
    /// The work order.
    #[arg(long, value_name = "ID")]
    order: OrderId,
    /// The unit's serial, as scanned.
    #[arg(long, value_name = "SERIAL")]
    serial: Serial,
    #[command(flatten)]
    port: PortArgs,
    /// Who stands here: a badge pseudonym.
    #[arg(long, value_name = "BADGE")]
    operator: Option<OperatorId>,
    #[command(flatten)]
    printer: PrinterArgs,
    /// Seconds to wait for a cable that was pulled.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    reconnect: u32,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
struct PortArgs {
    /// The unit's port: /dev/serial/by-path/... or usb:BUS-PORT, as `station-cli ports` lists it.
    #[arg(long, value_name = "PATH")]
    port: String,
    /// Speed; USB ignores it.
    #[arg(long, value_name = "BAUD", default_value_t = SerialPort::BAUD)]
    baud: u32,
}

#[derive(Args)]
pub(crate) struct WaitArgs {
    /// Seconds to wait for a server that does not answer.
    #[arg(long = "wait", value_name = "SECONDS", default_value_t = 15)]
    seconds: u32,
}

#[derive(Args)]
struct GreetArgs {
    #[command(flatten)]
    port: PortArgs,
    /// The device profile of a unit with a console or a tool of its maker's, a file or the name of one
    /// that comes with the station. Without it frames are sent, which a shell would take for typing.
    #[arg(long, value_name = "FILE|NAME")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
}

impl WaitArgs {
    pub(crate) fn patience(&self) -> Patience {
        Patience(Duration::from_secs(self.seconds.into()))
    }
}

impl PortArgs {
    fn named(&self) -> Result<UnitPort, NoPlace> {
        UnitPort::named(&self.port, self.baud)
    }
}

/// Reads the command line of this process, does it, and gives the exit code.
pub async fn run() -> u8 {
    if shows_a_label(std::env::args_os()) {
        say("station-cli: that is a label: scan the serial");
        return 2;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // help goes to standard output, anything else to standard error
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let done = match cli.verb {
        Verb::Enroll(args) => run_enroll(args).await,
        Verb::Provision(args) => run_provision(*args).await,
        Verb::Run(args) => shift::run(*args).await,
        Verb::Greet(args) => run_greet(args).await,
        Verb::Ports(args) => ports::run(args).await,
        Verb::Doctor(args) => doctor::run(args).await,
        Verb::Lease(args) => lease::run(*args).await,
        Verb::Sync(args) => sync::run(args).await,
        Verb::Reprint(args) => reprint::run(*args).await,
        Verb::Recovery(args) => recovery::run(args).await,
        Verb::Profile(args) => profile::run(args).await,
    };
    done.unwrap_or_else(|error| {
        say(&format!("station-cli: {error:#}"));
        exit_code(&error)
    })
}

/// What went wrong decides, wherever it is in the chain; unusable input otherwise.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    let failure = error.downcast_ref::<Failure>();
    let outcome = failure.map_or(Outcome::Refused, |failure| failure.advice().outcome);
    outcome.exit_code()
}

async fn run_enroll(args: EnrollArgs) -> anyhow::Result<u8> {
    let text = read_token(&args)?;
    let token = Token::parse(&text)?;
    let home = match enroll(&args.server, token, &args.data.data).await {
        Ok(home) => home,
        Err(EnrolError::Call(error)) => {
            let failure = Failure::from(error);
            let action = failure.advice().action;
            return Err(anyhow::Error::from(failure).context(action));
        }
        Err(error) => return Err(error.into()),
    };
    let (station, dir) = (home.station(), home.dir().display().to_string());
    match args.format.format {
        Format::Json => print(&json!({"station": station, "server": home.server(), "data": dir}))?,
        Format::Text => say(&format!(
            "enrolled as {station}; keys and journal are in {dir}"
        )),
    }
    Ok(0)
}

fn read_token(args: &EnrollArgs) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    match (&args.token, &args.token_file) {
        (Some(token), _) if token != "-" => text.push_str(token),
        (_, Some(file)) if file.as_os_str() != "-" => {
            let open = std::fs::File::open(file);
            open.and_then(|mut file| file.read_to_string(&mut text))
                .with_context(|| format!("{} cannot be read", file.display()))?;
        }
        _ => {
            io::stdin()
                .read_line(&mut text)
                .context("no token on standard input")?;
        }
    }
    Ok(text)
}

async fn run_provision(args: ProvisionArgs) -> anyhow::Result<u8> {
    let home = Home::open(&args.data.data)?;
    let printer = args.printer.open(home.labels());
    let job = Job {
        order: args.order,
        serial: args.serial,
        operator: args.operator,
        patience: args.wait.patience(),
        reconnect: Duration::from_secs(args.reconnect.into()),
    };
    let mut bench = Bench {
        server: Server::of(&home)?,
        port: args.port.named()?,
        scanner: StdinScanner,
        labels: printer,
        progress: Screen::new(),
    };
    let report = provision(&job, &home, &mut bench).await;
    // Said first, and never taken back: the unit is what it is, whoever listens.
    say(&report.to_string());
    if args.format.format == Format::Json
        && let Err(error) = print_line(&report.to_json())
    {
        say(&format!("standard output was not taken: {error}"));
    }
    // Whatever printer this run had: the one before may have been the folder.
    if let Err(error) = put_away(&home, &job.serial) {
        say(&format!("the label's file is still there: {error:#}"));
    }
    Ok(report.exit_code())
}

/// Removes the label of a unit that is not under way any more from the station's own folder: it
/// holds a password in clear, and it was scanned or is worthless.
pub(crate) fn put_away(home: &Home, serial: &Serial) -> anyhow::Result<()> {
    let open = home.journal().open()?;
    if open.iter().all(|open| open.serial != *serial) {
        LabelFolder(home.labels()).take_back(serial)?;
    }
    Ok(())
}

/// The same for all labels in that folder. Listed before the journal is: a unit is journaled before
/// its label is printed, so one that is begun meanwhile keeps its own.
pub(crate) fn put_all_away(home: &Home) {
    let labels = LabelFolder(home.labels());
    let all = labels.serials().map_err(anyhow::Error::from);
    let done = all.and_then(|all| all.iter().try_for_each(|serial| put_away(home, serial)));
    if let Err(error) = done {
        say(&format!(
            "labels of units that are done are still in {}: {error:#}",
            labels.0.display()
        ));
    }
}

/// Whether a label was scanned where an argument belongs: its password must not be repeated, by
/// whatever would say that there is no such serial, order, badge or port.
fn shows_a_label(arguments: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let is_label = |text: &str| text.to_ascii_uppercase().contains("BM1:");
    arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .any(|text| is_label(&text))
}

async fn run_greet(args: GreetArgs) -> anyhow::Result<u8> {
    let profile = args.profile.as_deref().map(profile::read).transpose()?;
    let facts = greet::greet_as(&mut args.port.named()?, &profile.map(Arc::new)).await?;
    match args.format.format {
        Format::Json => print(&greet::json(&facts))?,
        Format::Text => say(&greet::words(&facts)),
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    fn check(line: &str, expected: &str) {
        let error = Cli::try_parse_from(line.split_whitespace()).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn labels_of_units_that_are_not_under_way_are_put_away_whole() {
        let folder = tempfile::tempdir().unwrap();
        let vkey = tlog::vkey("line.example/log", &[7; 32]).unwrap();
        let text = format!("server = \"https://a\"\nstation = \"bench-1\"\nvkey = \"{vkey}\"\n");
        std::fs::write(folder.path().join("station.toml"), text).unwrap();
        let home = Home::open(folder.path()).unwrap();
        put_all_away(&home); // there is no such folder yet
        std::fs::create_dir(home.labels()).unwrap();
        let names = [
            "A47.zpl",
            "A47.zpl.new",
            "A48.zpl",
            "A49.zpl.new",
            "notes.zpl",
        ];
        for name in names {
            std::fs::write(home.labels().join(name), "^XA^XZ").unwrap();
        }
        let open = crate::journal::Open {
            serial: Serial::parse("A48").unwrap(),
            order: OrderId::parse("WO-1").unwrap(),
            port: "p".into(),
            device_id: traveler::DeviceId::parse("00112233").unwrap(),
            issued: None,
            withdraw: None,
        };
        let mut claim = home.journal().claim(&open.serial).unwrap();
        claim.write(open).unwrap();
        put_all_away(&home);
        let left = std::fs::read_dir(home.labels()).unwrap().flatten();
        let mut left: Vec<_> = left.map(|file| file.file_name()).collect();
        left.sort();
        assert_eq!(left, ["A48.zpl", "notes.zpl"]);
    }

    #[test]
    fn bad_arguments_say_what_was_expected() {
        check(
            "s provision --order WO-1 --serial a47 --port p",
            "3 to 32 of A-Z",
        );
        check(
            "s provision --order wo --serial A47 --port p",
            "1 to 32 of A-Z",
        );
        check("s provision --order WO-1 --serial A47", "--port <PATH>");
        check(
            "s enroll --server https://a:1",
            "--token-file <FILE>|--token <TOKEN>",
        );
    }

    #[test]
    fn a_label_in_place_of_a_serial_is_not_repeated() {
        let shown = |line: &str| shows_a_label(line.split_whitespace().map(Into::into));
        assert!(shown("s provision --serial BM1:A47:K7QDM2X9TR4W"));
        assert!(shown("s sync --void=bm1:a47:k7qdm2x9tr4w"));
        assert!(!shown("s enroll --token BM1-bench-1-X-Y"));
    }

    #[test]
    fn the_failure_decides_the_exit_code() {
        let failure = Failure::from(crate::UnitError::Cable(io::ErrorKind::BrokenPipe.into()));
        assert_eq!(exit_code(&anyhow::Error::from(failure).context("x")), 10);
        assert_eq!(exit_code(&anyhow::anyhow!("x")), 2);
    }
}
