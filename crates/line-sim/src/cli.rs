//! The command line: `line-sim --help`. Facts go to stdout, words for people to stderr.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::bench::{self, Bench};
use crate::load::{self, Plan};
use crate::printer::verb;
use crate::unit::verb::UnitArgs;
use crate::{demo, shift, softhsm, unit};

/// Runs a production line on this machine: no hardware, no network, no root.
#[derive(Debug, Parser)]
#[command(
    name = "line-sim",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 all is as it must be; 1 it is not; 2 unusable arguments or input."
)]
struct Cli {
    /// How facts are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(subcommand)]
    verb: Verb,
}

/// How facts are printed on stdout.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object, for scripts.
    Json,
}

/// What the keys of a simulated line are in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Token {
    /// The project's own simulator, behind its socket.
    Sim,
    /// SoftHSM 2, by PKCS#11, as an HSM would be.
    Softhsm,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Provision a whole order on this machine and show what came of it.
    Demo {
        /// Where everything is kept, new or empty [default: a temporary folder].
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// How many units, 1 to 10000.
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        units: u32,
        /// What the keys are in.
        #[arg(long, value_enum, default_value_t = Token::Sim)]
        hsm: Token,
    },
    /// Put units through a real server process over mutual TLS on loopback, and say what it cost.
    Load {
        /// How many units, 1 to 1000000.
        #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        units: u32,
        /// Stations at once, each with a connection of its own, 1 to 256.
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
        clients: u16,
        /// Units started a second, 0.01 to 100000 [default: as fast as they end].
        #[arg(long, value_name = "R", value_parser = rate)]
        rate: Option<f64>,
        /// Where the site is kept, new or empty [default: a temporary folder].
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// The server's program [default: `provisioner` beside this one].
        #[arg(long, value_name = "FILE")]
        provisioner: Option<PathBuf>,
    },
    /// Work a whole shift at one bench under tmux, with a scanner only and everything that goes wrong.
    Shift {
        /// How many units, 16 to 10000.
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(16..=10_000))]
        units: u32,
        /// Slots of the bench, 2 to 32.
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=32))]
        slots: u16,
        /// What goes wrong, and where.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// How long the server does not answer, once: ten minutes of a shift, scaled, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 12)]
        cut: u32,
        /// Where everything is kept, new or empty [default: a temporary folder].
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Measure a part of the line on this machine.
    #[command(subcommand)]
    Bench(Bench),
    /// A simulated label printer on a socket, until standard input ends; each line of it is a fault.
    /// Prints the address to give to `station-cli --printer`.
    Printer {
        /// Where it listens.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9100")]
        listen: SocketAddr,
        /// The folder that labels come out in, with their passwords.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// One simulated unit on a pty, until it is interrupted. Prints the port to open.
    Unit(UnitArgs),
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok();
    let rate = rate.filter(|rate| (0.01..=100_000.0).contains(rate));
    rate.ok_or_else(|| "a number from 0.01 to 100000".to_owned())
}

/// Runs one command.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match cli.verb {
        Verb::Bench(bench) => bench::run(bench, cli.format, &runtime),
        Verb::Demo { data, units, hsm } => {
            let data = demo::data(data)?;
            if hsm == Token::Softhsm {
                let units = units.to_string();
                let again = ["demo", "--hsm", "softhsm", "--units", &units];
                softhsm::enter(&data, &data.join("hsm"), again.into_iter(), cli.format)?;
            }
            runtime.block_on(demo::demo(data, hsm, units, cli.format))
        }
        Verb::Load {
            units,
            clients,
            rate,
            data,
            provisioner,
        } => {
            let plan = Plan {
                units,
                clients,
                rate,
                data,
                provisioner,
            };
            runtime.block_on(load::load(plan, cli.format))
        }
        Verb::Printer { listen, out } => verb::run(listen, &out, cli.format),
        Verb::Shift {
            units,
            slots,
            seed,
            cut,
            data,
        } => {
            let plan = shift::Plan {
                units,
                slots,
                seed,
                cut: Duration::from_secs(cut.into()),
                data,
            };
            runtime.block_on(shift::shift(plan, cli.format))
        }
        Verb::Unit(unit) => runtime.block_on(unit::verb::run(unit, cli.format)),
    }
}

/// Prints one fact in the form that was asked for.
#[allow(clippy::print_stdout, reason = "this is the command's output")]
pub(crate) fn print(format: Format, fact: &serde_json::Value, text: &str) {
    match format {
        Format::Json => println!("{fact}"),
        Format::Text => print!("{text}"),
    }
}

/// Says something to the person at the terminal.
#[allow(clippy::print_stderr, reason = "words for people go to stderr")]
pub(crate) fn say(words: &str) {
    eprintln!("{words}");
}
