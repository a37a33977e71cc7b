//! The command line: `serve`, `fault`, `status`.
//!
//! Exit code 0 when done, 2 when the arguments or what they name cannot be used. JSON goes to
//! stdout with `--format json`; words for people go to stderr. The PIN comes from a file, never
//! from an argument or the environment.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use hsm::Hsm;
use hsm::message::v1::request::Command;
use hsm::message::v1::response::Outcome;
use hsm::message::{self, v1};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{Audit, Fault, Model, OpenError, ServeError, Server, Tries, open_or_create};

/// Unusable arguments or input.
const UNUSABLE: u8 = 2;

/// How long `fault` and `status` wait: they are answered at once, whatever fault is on.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A software token in a process of its own, which fails on command.
#[derive(Parser)]
#[command(
    name = "hsm-sim",
    version,
    after_help = "Exit codes: 0 done; 2 unusable arguments or input."
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    /// Words for people on stderr, or one JSON object on stdout.
    #[arg(long, value_enum, global = true, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the token of a store file on a Unix socket until SIGTERM or ^C.
    Serve {
        /// The Unix socket, for this user alone.
        #[arg(long)]
        socket: PathBuf,
        /// The token's keys, encrypted under its PIN; made when absent.
        #[arg(long)]
        store: PathBuf,
        /// The file that holds the PIN. Without it STORE.pin, which is made with the store.
        #[arg(long)]
        pin_file: Option<PathBuf>,
        /// Sessions that may be logged in at once [default: as many as connections, 64].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
        sessions: Option<u16>,
        /// What each command takes at least, in milliseconds.
        #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=60_000))]
        latency_ms: u64,
        /// Write each command down here, a line of JSON each, without its data.
        #[arg(long, value_name = "FILE")]
        audit: Option<PathBuf>,
    },
    /// Switch what is wrong with a token that is being served.
    Fault {
        /// The one fault that is on from now.
        #[arg(value_enum)]
        name: Fault,
        /// The token's socket.
        #[arg(long)]
        socket: PathBuf,
    },
    /// Say who the token is, what is wrong with it and what it was used for.
    Status {
        /// The token's socket.
        #[arg(long)]
        socket: PathBuf,
    },
}

/// Why a command ends with exit code 2.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("no token answers on {path}: start one with `hsm-sim serve --socket {path}`")]
    NoServer {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("the token on {path} refuses: {reason}")]
    Refused { path: String, reason: String },
    #[error("the system takes no signal handler or output")]
    System(#[from] io::Error),
}

/// Runs one command with its arguments, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                UNUSABLE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let format = arguments.format;
    let done = match arguments.verb {
        Verb::Serve {
            socket,
            store,
            pin_file,
            sessions,
            latency_ms,
            audit,
        } => {
            let model = Model {
                sessions: sessions.map(usize::from),
                latency: Duration::from_millis(latency_ms),
                audit: None,
                tries: None,
            };
            let trail = audit.as_deref();
            serve(&socket, &store, pin_file.as_deref(), model, trail, format)
        }
        Verb::Fault { name, socket } => switch(name, &socket, format),
        Verb::Status { socket } => status(&socket, format),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("hsm-sim: {}", sentence(&error)));
            UNUSABLE.into()
        }
    }
}

fn serve(
    socket: &Path,
    store: &Path,
    pin_file: Option<&Path>,
    mut model: Model,
    trail: Option<&Path>,
    format: Format,
) -> Result<(), Unusable> {
    if let Some(path) = trail {
        model.audit = Some(Audit::open(path).map_err(|source| OpenError::File {
            path: path.to_owned(),
            source,
        })?);
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A program that runs this in its own process has its own log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .try_init();

    // Signals first: from the moment anybody may know of this process, it ends cleanly.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let opened = open_or_create(store, pin_file)?;
    if let Some(pin) = &opened.new_pin {
        say(&format!(
            "made a PIN for the new store: it is in {}",
            pin.display()
        ));
    }
    model.tries = Some(Tries::beside(store).map_err(|source| OpenError::File {
        path: store.to_owned(),
        source,
    })?);
    let about = opened.token.describe().map_err(|source| OpenError::Token {
        store: store.to_owned(),
        source,
    })?;
    let handle = Server::bind_as(socket, opened.token, model)?.spawn()?;
    match format {
        Format::Json => print(&json!({
            "serving": socket.display().to_string(),
            "store": store.display().to_string(),
            "created": opened.created,
            "model": about.model,
            "serial": about.serial,
            "simulated": about.simulated,
        }))?,
        Format::Text => say(&format!(
            "simulated token {} is served on {}: its keys lie in {}, not in silicon",
            about.serial,
            socket.display(),
            store.display()
        )),
    }
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    handle.stop();
    Ok(())
}

fn switch(fault: Fault, socket: &Path, format: Format) -> Result<(), Unusable> {
    ask(
        socket,
        Command::Fault(v1::Fault {
            name: fault.name().to_owned(),
        }),
    )?;
    match format {
        Format::Json => print(&json!({ "fault": fault.name() }))?,
        Format::Text => say(&format!("fault: {fault}")),
    }
    Ok(())
}

fn status(socket: &Path, format: Format) -> Result<(), Unusable> {
    let Outcome::Status(report) = ask(socket, Command::Status(v1::Status {}))? else {
        return Err(no_server(socket, io::ErrorKind::InvalidData.into()));
    };
    let token = report.token.unwrap_or_default();
    let fault = if report.fault.is_empty() {
        "none"
    } else {
        &report.fault
    };
    match format {
        Format::Json => print(&json!({
            "model": token.model,
            "serial": token.serial,
            "simulated": token.simulated,
            "fault": fault,
            "sessions": report.sessions,
            "resets": report.resets,
            "pin_tries": token.pin_tries,
            "uses": report.uses,
        }))?,
        Format::Text => {
            say(&format!("{} {}\nfault: {fault}", token.model, token.serial));
            say(&format!(
                "sessions: {}, resets: {}",
                report.sessions, report.resets
            ));
            if let Some(left) = token.pin_tries {
                say(&format!("wrong PINs before it locks: {left}"));
            }
            for (name, count) in &report.uses {
                say(&format!("{count:>10} {name}"));
            }
        }
    }
    Ok(())
}

/// One command that needs no login.
fn ask(socket: &Path, command: Command) -> Result<Outcome, Unusable> {
    let exchange = || -> io::Result<Option<Outcome>> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        message::write(
            &mut stream,
            &v1::Request {
                command: Some(command),
            },
        )?;
        let response: Option<v1::Response> = message::read(&mut stream)?;
        Ok(response.and_then(|it| it.outcome))
    };
    match exchange().map_err(|error| no_server(socket, error))? {
        Some(Outcome::Failure(failure)) => {
            let path = socket.display().to_string();
            Err(Unusable::Refused {
                path,
                reason: failure.message,
            })
        }
        Some(outcome) => Ok(outcome),
        None => Err(no_server(socket, io::ErrorKind::UnexpectedEof.into())),
    }
}

fn no_server(socket: &Path, source: io::Error) -> Unusable {
    Unusable::NoServer {
        path: socket.display().to_string(),
        source,
    }
}

/// An error and its causes, each after a colon.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// To people. A closed stderr is nobody to tell.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// To programs.
fn print(object: &serde_json::Value) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{object}")?;
    out.flush()
}
