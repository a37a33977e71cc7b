//! The command line: `provisioner --help`. Facts go to stdout, words for people to stderr.
//!
//! Exit codes: 0 clean, 1 findings (an altered log, a stopped line, a refused policy or list), 2 unusable
//! arguments or input.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use traveler::{OrderId, Sku, StationName};

use crate::audit::AuditVerb;
use crate::config::{Config, HsmPlace};
pub(crate) use crate::format::{Format, TableFormat};
use crate::format::{Word, formats};
use crate::init::{self, InitArgs};
use crate::operators::{self, OperatorVerb};
use crate::orders::QUANTITY_MAX;
use crate::pin::PinArgs;
use crate::recover::{self, RecoverArgs};
use crate::rotate::{self, RotateArgs};
use crate::serve::{self, Tail};
use crate::site::Site;
use crate::{admin, audit, backup, lint, offline, policy};

/// Gives every product on the line its own identity, and keeps the record that proves it.
#[derive(Debug, Parser)]
#[command(name = "provisioner", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    /// The server's data directory.
    #[arg(
        long,
        global = true,
        env = "BIRTHMARK_DATA",
        default_value = "birthmark",
        value_name = "DIR"
    )]
    data: PathBuf,
    /// How facts are printed.
    #[arg(
        long,
        global = true,
        value_enum,
        value_delimiter = ',',
        default_value = "text",
        value_name = "FORMAT"
    )]
    format: Vec<Word>,
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 done or clean; 1 findings (an altered log, a stopped line, a refused \
                          list or policy, records that are lost); 2 unusable arguments or input.\n\
                          Facts go to standard output, words for people to standard error.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a site: keys, certificates, log, admin and QA credentials.
    Init(InitArgs),
    /// Run the server.
    Serve(ServeArgs),
    /// What is built.
    #[command(subcommand)]
    Product(ProductVerb),
    /// Permission to build.
    #[command(subcommand)]
    Order(OrderVerb),
    /// Who builds.
    #[command(subcommand)]
    Station(StationVerb),
    /// Whether passwords may be minted, and letting them again after a broken generator.
    #[command(subcommand)]
    Line(LineVerb),
    /// How passwords are minted.
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Whose badge is whose. The log holds badges only; names can be erased.
    #[command(subcommand)]
    Operator(OperatorVerb),
    /// What happened, and the proof of it.
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Judge a list of passwords that was made elsewhere: exit code 1 when it is refused.
    ///
    /// The first line names the columns: serial, mac, model, ssid, uid, date and password, in any order,
    /// any of them but `password` may be missing. Asks no server and keeps nothing.
    Lint(lint::LintArgs),
    /// Copy the log into one file, also while the server runs; its newest checkpoint and the
    /// log's key lie beside it as FILE.checkpoint and FILE.vkey.
    Backup {
        /// A new file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a log that was put back from a copy whole again from an exported bundle, while no
    /// server runs: exit code 1 when somebody remembers more than the bundle has.
    Recover(RecoverArgs),
    /// Let another key take over, while no server runs: the one that signs the log, or the one that
    /// certifies units. What the old key signed stays good.
    Rotate(RotateArgs),
}

/// Verbs about the line.
#[derive(Debug, Subcommand)]
pub(crate) enum LineVerb {
    /// Whether the generator was found unfit, and how: exit code 1 while nothing is issued.
    Status,
    /// Issue again, once the generator is repaired or replaced.
    Resume {
        /// What was done about it, on one line; it stands in the log under your name.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The entry that stopped the line, as `status` names it [default: the one that does].
        #[arg(long, value_name = "SEQ")]
        entry: Option<u64>,
    },
}

/// Verbs about password policies. They ask no server.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// The policies a product file may name.
    List,
    /// One policy, with what it promises.
    Show {
        /// Which.
        name: String,
        /// With another length than its own.
        #[arg(long, value_name = "N")]
        length: Option<u8>,
    },
    /// Judge a policy file: exit code 1 with the reason when it would be refused.
    Check {
        /// The policy (TOML).
        file: PathBuf,
    },
}

#[derive(Args, Debug)]
struct ServeArgs {
    /// Where to listen; port 0 lets the system choose.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where the keys are: soft:FILE, sim:SOCKET or pkcs11:MODULE?token=LABEL.
    #[arg(long, value_name = "PLACE")]
    hsm: Option<String>,
    #[command(flatten)]
    pin: PinArgs,
    /// Accept a software token in place of an HSM; every entry will say so.
    #[arg(long)]
    allow_simulated_hsm: bool,
    /// Sign entries that no checkpoint covers, after a person has looked at them.
    #[arg(long)]
    sign_unsigned_tail: bool,
    /// What to log, for example `info` or `provisioner=debug`.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// Verbs about products.
#[derive(Debug, Subcommand)]
pub(crate) enum ProductVerb {
    /// Put a product definition into force.
    Apply {
        /// The definition (TOML).
        file: PathBuf,
    },
    /// Products in force.
    List,
}

/// Verbs about orders.
#[derive(Debug, Subcommand)]
pub(crate) enum OrderVerb {
    /// Give permission to build N units of a product.
    Create {
        /// What to build.
        #[arg(long, value_name = "SKU")]
        product: Sku,
        /// How many, 1 to 10000000.
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=i64::from(QUANTITY_MAX)))]
        quantity: u32,
        /// The order's name [default: the next WO-number].
        #[arg(long, value_name = "ID")]
        order: Option<OrderId>,
        /// Voids and reworks it may replace [default: 3 %, at least 20].
        #[arg(long, value_name = "N")]
        allowance: Option<u32>,
    },
    /// All orders.
    List,
    /// One order and its count.
    Show {
        /// Which.
        id: OrderId,
    },
    /// End an order.
    Close {
        /// Which.
        id: OrderId,
    },
}

/// Verbs about stations.
#[derive(Debug, Subcommand)]
pub(crate) enum StationVerb {
    /// Make a one-time token with which a station enrols.
    Token {
        /// The station's name.
        name: StationName,
        /// How long the token works, in seconds, 60 to 604800.
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        valid: u32,
    },
    /// All stations.
    List,
    /// End a station: it is refused at its next call, and what it had under way is voided.
    Revoke {
        /// Which.
        name: StationName,
    },
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

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let site = Site::at(&cli.data);
    let (format, tables) = formats(&cli.format);
    if !tables.is_empty() && !matches!(cli.verb, Verb::Audit(AuditVerb::Export { .. })) {
        anyhow::bail!("csv and jsonl are tables of `audit export`: use --format text or json");
    }
    match cli.verb {
        Verb::Init(args) => {
            let (issuing_csr, choice) = args.chosen();
            if issuing_csr {
                let csr = offline::issuing_request(&choice)?;
                let fact = serde_json::json!({ "csr": csr });
                print(format, &fact, || csr.clone())?;
                return Ok(ExitCode::SUCCESS);
            }
            let made = init::init(&cli.data, &choice)?;
            print(format, &made, || init_text(&made))?;
        }
        Verb::Serve(args) => return serve_until_stopped(&site, args),
        Verb::Product(verb) => admin::product(&site, verb, format)?,
        Verb::Order(verb) => admin::order(&site, verb, format)?,
        Verb::Station(verb) => admin::station(&site, verb, format)?,
        Verb::Line(verb) => return admin::line(&site, verb, format),
        Verb::Policy(verb) => return policy::run(verb, format),
        Verb::Operator(verb) => return operators::run(&site, verb, format),
        Verb::Recover(args) => return recover::run(&site, args, format),
        Verb::Rotate(args) => return rotate::run(&site, args, format),
        Verb::Backup { out } => backup::run(&site, &out, format)?,
        Verb::Audit(verb) => return audit::run(&site, verb, format, &tables),
        Verb::Lint(args) => return lint::run(&args, format),
    }
    Ok(ExitCode::SUCCESS)
}

fn init_text(made: &init::Made) -> String {
    let data = made.data.display();
    let simulated = if made.simulated_hsm {
        "\nThe keys are in a software token: good for trying, not for production.\n\
         `serve` needs --allow-simulated-hsm, and every entry will say so.\n"
    } else {
        ""
    };
    format!(
        "site        {data}\n\
         log         {}\n\
         log key     {}\n\
         keys in     {}\n\
         ceremony    {data}/ceremony.txt: print it, two people sign it\n\
         admin       {data}/admin\n\
         QA          {data}/qa\n{simulated}",
        made.origin, made.vkey, made.hsm
    )
}

fn serve_until_stopped(site: &Site, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut config = Config::read(site.data())?;
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if let Some(hsm) = args.hsm {
        // Said on the command line, so relative to where the person stands.
        let here = std::path::absolute(".")?;
        config.hsm = HsmPlace::parse(&hsm, &here)?.to_string();
    }
    args.pin.tell(&mut config)?;
    config.allow_simulated_hsm |= args.allow_simulated_hsm;
    let filter = log_filter(args.log.as_ref().unwrap_or(&config.log))?;
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .init();

    let tail = match args.sign_unsigned_tail {
        true => Tail::Sign,
        false => Tail::Refuse,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let running = serve::start(site, &config, tail).await?;
        tracing::info!(address = %running.address, data = %site.data().display(), "listening");
        serve::run(running, stop_signal()).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What is logged. A module's mechanisms that nobody asks for are no errors, though `cryptoki` says
/// so of each; a filter that names it shows them.
fn log_filter(text: &str) -> anyhow::Result<tracing_subscriber::EnvFilter> {
    let filter = tracing_subscriber::EnvFilter::try_new(text)
        .map_err(|error| anyhow::anyhow!("the log filter is not usable: {error}"))?;
    Ok(match text.contains("cryptoki") {
        true => filter,
        false => filter.add_directive("cryptoki::mechanism=off".parse()?),
    })
}

/// Resolves at SIGTERM or SIGINT.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Prints one fact in the form that was asked for.
pub(crate) fn print(
    format: Format,
    fact: &impl serde::Serialize,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let said = match format {
        Format::Json => format!("{}\n", serde_json::to_string(fact)?),
        Format::Text => legible(&text()),
    };
    match std::io::stdout().lock().write_all(said.as_bytes()) {
        // Whoever reads has read enough, as `head` does; the exit code still says how it went.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Text that cannot move the cursor: what an altered log or a hostile unit says stays words.
fn legible(text: &str) -> String {
    let plain = |c: char| c == '\n' || !c.is_control();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if plain(c) {
            out.push(c)
        } else {
            out.extend(c.escape_default())
        }
    }
    out
}

/// Says something to the person at the terminal.
#[allow(clippy::print_stderr, reason = "words for people go to stderr")]
pub(crate) fn say(words: &str) {
    eprintln!("{}", legible(words));
}
