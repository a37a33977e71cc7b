//! `line-sim bench hsm`: what the token allows, and how much of it the line makes.
//!
//! Two figures. With SoftHSM: units issued by the whole server, over mutual TLS and durable, as a
//! share of the bare P-256 signatures that as many threads get from the same token, in slices that
//! alternate, so that all see the same machine. A unit costs the token more than its signature, so
//! the ceiling is measured as well: as many threads that have it do what one unit needs of it and
//! nothing else. With a token that takes its time: commands that the line has under way as a share of
//! sessions / latency, which no client can exceed, and how many of them a unit takes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use api::v1;
use hsm::{Hsm, Key, Pin, Pkcs11Token};
use provisioner::config::HsmPlace;
use serde_json::json;
use station_cli::{Provisioning, Server};
use tokio::runtime::Runtime;

use crate::cli::{Format, print};
use crate::town::Town;
use crate::{demo, softhsm};

const PRODUCT: &str = "sku = \"PLUG-1\"\nname = \"Plug\"\nmodel = \"PLUG1\"\n";

/// More than any bench issues.
const QUANTITY: u32 = 1_000_000;

/// Sessions of the slow token: what its client opens.
const SESSIONS: usize = 8;
const LATENCY: Duration = Duration::from_millis(20);

/// Clients of the slow token: enough to keep every session busy.
const CLIENTS: usize = 64;

/// How long and how often is measured, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where everything is kept, new or empty [default: a temporary folder].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Threads that sign, and clients of the server beside them, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// One slice in milliseconds, 100 to 60000.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    slice_ms: u64,
    /// Slices of each kind, 1 to 99.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u8).range(1..=99))]
    slices: u8,
}

/// How long and how often is measured.
#[derive(Clone, Copy)]
struct Effort {
    /// Threads, and clients of the server beside them.
    threads: usize,
    /// One slice.
    slice: Duration,
    /// Slices of each kind.
    slices: usize,
}

/// Runs it, in a process that finds SoftHSM's configuration.
pub(crate) fn run(args: Args, format: Format, runtime: &Runtime) -> Result<ExitCode> {
    let data = demo::data(args.data)?;
    let numbers = [args.slice_ms, args.slices.into(), args.threads.into()].map(|it| it.to_string());
    let again = [
        "bench",
        "hsm",
        "--slice-ms",
        &numbers[0],
        "--slices",
        &numbers[1],
    ];
    let again = again.into_iter().chain(["--threads", &numbers[2]]);
    softhsm::enter(&data, &data.join("softhsm/hsm"), again, format)?;
    let effort = Effort {
        threads: args.threads.into(),
        slice: Duration::from_millis(args.slice_ms),
        slices: args.slices.into(),
    };
    runtime.block_on(measure(&data, effort, format))
}

/// `data` is a new or empty folder.
async fn measure(data: &Path, effort: Effort, format: Format) -> Result<ExitCode> {
    let SoftRates {
        signs,
        sets,
        issues,
    } = softhsm(&data.join("softhsm"), effort).await?;
    let (share, of_ceiling) = (issues / signs, issues / sets);
    let slow = slow(&data.join("slow"), effort).await?;
    let bound = SESSIONS as f64 / LATENCY.as_secs_f64();
    let (of_bound, commands) = (slow.0 / bound, slow.0);
    let fact = json!({
        "threads": effort.threads,
        "slices": effort.slices,
        "slice_ms": effort.slice.as_millis() as u64,
        "softhsm": {
            "p256_signs_per_s": signs,
            "issues_per_s": issues,
            "share": share,
            "token_work_of_a_unit_per_s": sets,
            "share_of_ceiling": of_ceiling,
        },
        "latency": {
            "latency_ms": LATENCY.as_millis() as u64,
            "sessions": SESSIONS,
            "clients": CLIENTS,
            "commands_per_s": commands,
            "bound_per_s": bound,
            "share": of_bound,
            "issues_per_s": slow.1,
            "commands_per_issue": slow.0 / slow.1,
        },
    });
    let text = format!(
        "SoftHSM, {} threads   {signs:>9.0} bare P-256 signatures/s\n\
         \x20                     {sets:>9.0} times/s all that a unit needs of it\n\
         \x20                     {issues:>9.0} issues/s, {share:.3} of the signatures, {of_ceiling:.3} of \
         the ceiling\n\
         {SESSIONS} sessions, {} ms       {bound:>9.0} commands/s at the most\n\
         \x20                     {commands:>9.0} commands/s, {of_bound:.3} of them ({:.0} issues/s, \
         {:.2} commands each)\n",
        effort.threads,
        LATENCY.as_millis(),
        slow.1,
        slow.0 / slow.1,
    );
    print(format, &fact, &text);
    Ok(ExitCode::SUCCESS)
}

/// Medians, a second.
struct SoftRates {
    /// Bare signatures.
    signs: f64,
    /// All that a unit needs of the token, and nothing else.
    sets: f64,
    /// Units issued by the server.
    issues: f64,
}

async fn softhsm(data: &Path, effort: Effort) -> Result<SoftRates> {
    let town = Town::found_on_softhsm(data).await?;
    let config = provisioner::config::Config::read(town.site.data())?;
    let HsmPlace::Pkcs11 { module, token, .. } = HsmPlace::parse(&config.hsm, data)? else {
        anyhow::bail!("the site is not on SoftHSM");
    };
    let pin_file = config.pin_file.context("the site has no PIN file")?;
    let pin = Pin::parse(&zeroize::Zeroizing::new(std::fs::read(pin_file)?))?;
    let token = Arc::new(Pkcs11Token::open(&module, &token, pin, effort.threads)?);
    let line = Load::on(&town, effort.threads).await?;

    let (mut signs, mut sets, mut issues) = (Vec::new(), Vec::new(), Vec::new());
    line.issue_for(effort.slice).await?; // warms both: connections, sessions, caches
    for _ in 0..effort.slices {
        for (work, rates) in [
            (sign_once as fn(&Pkcs11Token) -> Result<()>, &mut signs),
            (work_of_a_unit, &mut sets),
        ] {
            let token = Arc::clone(&token);
            let bare = tokio::task::spawn_blocking(move || rate_of(&token, work, effort));
            rates.push(bare.await??);
        }
        issues.push(line.issue_for(effort.slice).await?);
    }
    town.stop().await?;
    Ok(SoftRates {
        signs: median(&mut signs),
        sets: median(&mut sets),
        issues: median(&mut issues),
    })
}

/// Commands of the token and issues, a second, while each command takes [`LATENCY`].
async fn slow(data: &Path, effort: Effort) -> Result<(f64, f64)> {
    let model = hsm_sim::Model {
        sessions: Some(SESSIONS),
        latency: LATENCY,
        audit: None,
        tries: None,
    };
    let town = Town::found_as(data, model).await?;
    let line = Load::on(&town, CLIENTS).await?;
    let (mut commands, mut issues) = (Vec::new(), Vec::new());
    line.issue_for(effort.slice).await?;
    for _ in 0..effort.slices {
        let (before, begun) = (town.token_commands(), Instant::now());
        issues.push(line.issue_for(effort.slice).await?);
        let done = town.token_commands() - before;
        commands.push(done as f64 / begun.elapsed().as_secs_f64());
    }
    town.stop().await?;
    Ok((median(&mut commands), median(&mut issues)))
}

fn sign_once(token: &Pkcs11Token) -> Result<()> {
    token.sign(Key::DeviceIssuing, b"what a certificate's length is")?;
    Ok(())
}

/// What the server asks of the token for one unit: password, fingerprint, certificate, salt, ticket.
/// The checkpoint is shared by a batch, and is left out.
fn work_of_a_unit(token: &Pkcs11Token) -> Result<()> {
    let mut drawn = [0; 16];
    token.random(&mut drawn)?;
    token.mac(Key::Fingerprint, &drawn)?;
    token.sign(Key::DeviceIssuing, &[7; 400])?;
    token.random(&mut drawn)?;
    token.wrap(Key::Ticket, &drawn, &[7; 900])?;
    Ok(())
}

/// How often a second, by all threads together.
fn rate_of(
    token: &Pkcs11Token,
    act: fn(&Pkcs11Token) -> Result<()>,
    effort: Effort,
) -> Result<f64> {
    let begun = Instant::now();
    let counts: Vec<Result<u64>> = std::thread::scope(|scope| {
        let work = || {
            let mut count = 0;
            while begun.elapsed() < effort.slice {
                act(token)?;
                count += 1;
            }
            Ok(count)
        };
        let threads: Vec<_> = (0..effort.threads).map(|_| scope.spawn(work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
            Ok(count) => count,
            Err(_) => Err(anyhow::anyhow!("a signing thread panicked")),
        };
        threads.into_iter().map(join).collect()
    });
    let mut sum = 0;
    for count in counts {
        sum += count?;
    }
    Ok(sum as f64 / begun.elapsed().as_secs_f64())
}

/// Clients of one station, a connection each, that ask for one unit after the other.
struct Load {
    order: String,
    servers: Vec<Server>,
    next: Arc<AtomicU32>,
}

impl Load {
    async fn on(town: &Town, clients: usize) -> Result<Load> {
        let order = town.order(PRODUCT, "PLUG-1", QUANTITY).await?;
        let home = town.enrol("bench-1").await?;
        let servers = (0..clients).map(|_| Server::of(&home));
        Ok(Load {
            order,
            servers: servers.collect::<Result<_, _>>()?,
            next: Arc::new(AtomicU32::new(0)),
        })
    }

    /// Issues a second.
    async fn issue_for(&self, slice: Duration) -> Result<f64> {
        let begun = Instant::now();
        let mut clients = Vec::new();
        for server in &self.servers {
            let (server, order) = (server.clone(), self.order.clone());
            let next = Arc::clone(&self.next);
            clients.push(tokio::spawn(async move {
                let mut count = 0u64;
                while begun.elapsed() < slice {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let request = v1::IssueRequest {
                        order: order.clone(),
                        serial: format!("B-{number:07}"),
                        device_id: number.to_be_bytes().to_vec(),
                        model: "PLUG1".to_owned(),
                        ..v1::IssueRequest::default()
                    };
                    server.issue(request).await?;
                    count += 1;
                }
                Ok::<u64, anyhow::Error>(count)
            }));
        }
        let mut sum = 0;
        for client in clients {
            sum += client.await??;
        }
        Ok(sum as f64 / begun.elapsed().as_secs_f64())
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
