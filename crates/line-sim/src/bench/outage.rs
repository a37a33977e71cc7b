//! `line-sim bench outage`: the token fails under load, again and again, and the line goes on.
//!
//! Token and server are processes of their own, as a factory has them. Each round lets the line run,
//! takes its rate, makes the token fail, brings it back, and takes the time until the line is at its
//! rate again. Each client goes on with the unit it has for as long as the server refuses, as a
//! station does. At the end every unit that was begun is sealed once, and the log is verified whole.
//!
//! What fails, by token: a simulator is killed (SIGKILL, and started again), paused (SIGSTOP and
//! SIGCONT, some of them for longer than the server waits) and reset. SoftHSM is a library inside the
//! server, so its process cannot be killed or paused without the server's: its tokens are moved away
//! and back, which to its caller is a token that was pulled.

mod token;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use station_cli::{CallError, Provisioning, Server};
use tokio::time::{Instant, sleep, timeout};

use crate::cli::{Format, print, say};
use crate::load::process::Process;
use crate::load::{DEFINITION, PRODUCT, Unit, enrol};
use crate::{demo, town};
use token::{Fault, Token};

/// More than any run builds; its voids are 3 % of it.
const QUANTITY: u32 = 1_000_000;

/// How long the line runs undisturbed in each round, and its rate is taken.
const CALM: Duration = Duration::from_millis(800);

/// The line is back when it makes this much of its rate over [`WINDOW`]: the rate itself moves by
/// about as much from window to window.
const FULL: f64 = 0.8;
const WINDOW: Duration = Duration::from_millis(250);

/// What an outage may cost the line once it is over.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// A line that is not back by then is not coming.
const GIVE_UP: Duration = Duration::from_secs(30);

/// A client that is refused waits this long: a station's first pause is longer.
const PAUSE: Duration = Duration::from_millis(20);

/// A call that has no answer by then is asked again, as a station does.
const TRY_WITHIN: Duration = Duration::from_secs(10);

/// Which token fails, and how often.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The token: the simulator by its socket, the same by its PKCS#11 module, or SoftHSM.
    #[arg(long, value_enum, default_value_t = token::Kind::Sim)]
    hsm: token::Kind,
    /// How often it fails, 1 to 10000.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Stations at once, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,
    /// Where everything is kept, new or empty [default: a temporary folder].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The simulator's PKCS#11 module [default: beside this program].
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
}

/// Runs it.
pub(crate) async fn run(args: Args, format: Format) -> Result<ExitCode> {
    let data = demo::data(args.data)?;
    let mut token = Token::start(args.hsm, &data.join("hsm"), args.module.as_deref()).await?;
    let mut server = Process::start(&data, None, &token.keys()).await?;
    let order = town::order_at(&server.site, DEFINITION, PRODUCT, QUANTITY).await?;
    let servers = enrol(&server, &data.join("stations"), args.clients).await?;
    let load = Arc::new(Load {
        order,
        next: AtomicU32::new(0),
        sealed: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let clients: Vec<_> = servers
        .into_iter()
        .map(|server| tokio::spawn(Arc::clone(&load).client(server)))
        .collect();
    sleep(CALM).await; // connections, sessions, caches

    let mut rounds = Vec::new();
    for number in 0..args.rounds {
        let round = round(&load, &mut token, number).await?;
        say(&format!(
            "{:>5}  {:<11} {:>6.0} units/s, back after {:>6.3} s",
            number + 1,
            round.fault.name(),
            round.rate,
            round.back.as_secs_f64()
        ));
        rounds.push(round);
    }
    load.stop.store(true, Ordering::SeqCst);
    let mut units = 0;
    for client in clients {
        units += client.await??;
    }
    let restarted = !server.runs()?;
    let count = town::count_at(&server.site, &load.order).await?;
    server.stop().await?;
    token.stop()?;
    let report = ledger::verify(&server.site.ledger(), &server.site.vkey()?, &mut |_, _| {})?;
    let ended = Ended {
        units,
        sealed: count.sealed.into(),
        open: count.open.into(),
        voided: count.voided.into(),
        findings: report.findings.iter().map(ToString::to_string).collect(),
        restarted,
    };
    Ok(tell(
        &rounds,
        &ended,
        load.refused.load(Ordering::SeqCst),
        format,
    ))
}

/// What one outage did.
struct Round {
    fault: Fault,
    /// Units a second before it.
    rate: f64,
    /// From the token's return until the line was at its rate.
    back: Duration,
}

async fn round(load: &Load, token: &mut Token, number: u32) -> Result<Round> {
    let (before, begun) = (load.sealed(), Instant::now());
    sleep(CALM).await;
    let rate = (load.sealed() - before) as f64 / begun.elapsed().as_secs_f64();
    let fault = token.fault(number);
    token.fail(fault).await?;
    let returned = Instant::now();
    let enough = rate * FULL * WINDOW.as_secs_f64();
    let mut counts = vec![(returned, load.sealed())];
    loop {
        sleep(Duration::from_millis(10)).await;
        let (now, sealed) = (Instant::now(), load.sealed());
        counts.push((now, sealed));
        // Against the newest count that is a window old: counts of before the return are not looked
        // at, so the time has a window in it.
        let old = counts.iter().rev().find(|(at, _)| now - *at >= WINDOW);
        if old.is_some_and(|(_, old)| (sealed - old) as f64 >= enough) {
            let back = now - returned;
            return Ok(Round { fault, rate, back });
        }
        if returned.elapsed() > GIVE_UP {
            bail!(
                "the line is not back {GIVE_UP:?} after round {} ({})",
                number + 1,
                fault.name()
            );
        }
    }
}

/// What all clients share.
struct Load {
    order: String,
    next: AtomicU32,
    sealed: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    fn sealed(&self) -> u64 {
        self.sealed.load(Ordering::SeqCst)
    }

    /// Builds one unit after the other; how many.
    async fn client(self: Arc<Load>, server: Server) -> Result<u64> {
        let mut units = 0;
        while !self.stop.load(Ordering::SeqCst) {
            let unit = Unit::new(self.next.fetch_add(1, Ordering::SeqCst))?;
            self.build(&server, &unit)
                .await
                .with_context(|| unit.serial.to_string())?;
            self.sealed.fetch_add(1, Ordering::SeqCst);
            units += 1;
        }
        Ok(units)
    }

    async fn build(&self, server: &Server, unit: &Unit) -> Result<()> {
        let issue = || server.issue(unit.request(&self.order));
        let issued = self.insist(issue).await.context("issue")?;
        let receipt = unit.receipt(&issued)?;
        let confirm = || server.confirm(receipt.clone());
        self.insist(confirm).await.context("confirm")?;
        let seal = || server.seal(unit.seal(&issued));
        self.insist(seal).await.context("seal")?;
        Ok(())
    }

    /// Asks until there is an answer: every call may be repeated.
    async fn insist<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let begun = Instant::now();
        loop {
            match timeout(TRY_WITHIN, call()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(CallError::Unavailable { .. })) | Err(_) => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                }
                Ok(Err(error)) => return Err(error.into()),
            }
            if begun.elapsed() > GIVE_UP {
                bail!("no answer for {GIVE_UP:?}");
            }
            sleep(PAUSE).await;
        }
    }
}

/// How it stands in the log.
struct Ended {
    /// Units that clients have built.
    units: u64,
    sealed: u64,
    open: u64,
    voided: u64,
    findings: Vec<String>,
    restarted: bool,
}

fn tell(rounds: &[Round], ended: &Ended, refused: u64, format: Format) -> ExitCode {
    let spread = |rounds: &[&Round]| {
        let mut back: Vec<f64> = rounds.iter().map(|it| it.back.as_secs_f64()).collect();
        back.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (share * (back.len().max(1) - 1) as f64).round() as usize;
            back.get(place).map(|s| (s * 1_000.0).round() / 1_000.0)
        };
        json!({ "rounds": back.len(), "p50_s": at(0.5), "p90_s": at(0.9), "max_s": at(1.0) })
    };
    let all: Vec<&Round> = rounds.iter().collect();
    let mut by_fault = serde_json::Map::new();
    for fault in Fault::ALL {
        let of: Vec<&Round> = all.iter().copied().filter(|it| it.fault == fault).collect();
        if !of.is_empty() {
            by_fault.insert(fault.name().to_owned(), spread(&of));
        }
    }
    let late = rounds.iter().filter(|it| it.back > BACK_WITHIN).count();
    // The log's rules let no serial and no password twice; a finding would be one.
    let lost = ended.units.saturating_sub(ended.sealed) + ended.open;
    let doubled = ended.sealed.saturating_sub(ended.units);
    let good = lost == 0 && doubled == 0 && ended.findings.is_empty() && !ended.restarted;
    let mut rates: Vec<f64> = rounds.iter().map(|it| it.rate).collect();
    rates.sort_by(f64::total_cmp);
    let rate = rates.get(rates.len() / 2).copied().unwrap_or(0.0);
    let fact = json!({
        "ok": good,
        "rounds": rounds.len(),
        "units": ended.units,
        "sealed": ended.sealed,
        "lost": lost,
        "duplicate": doubled,
        "voided": ended.voided,
        "refused_calls": refused,
        "server_restarted": ended.restarted,
        "log_findings": ended.findings,
        "units_per_s": rate.round(),
        "full_rate": { "share": FULL, "window_ms": WINDOW.as_millis() as u64 },
        "back": spread(&all),
        "back_by_fault": by_fault,
        "later_than_2_s": late,
    });
    print(format, &fact, &text(&fact));
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn text(fact: &Value) -> String {
    let back = &fact["back"];
    let mut text = format!(
        "rounds     {} outages under {} units/s, server not restarted\n\
         units      {} built, {} sealed, {} lost, {} duplicate, {} voided; {} calls refused\n\
         back       p50 {} s, p90 {} s, max {} s; {} of them later than 2 s\n",
        fact["rounds"],
        fact["units_per_s"],
        fact["units"],
        fact["sealed"],
        fact["lost"],
        fact["duplicate"],
        fact["voided"],
        fact["refused_calls"],
        back["p50_s"],
        back["p90_s"],
        back["max_s"],
        fact["later_than_2_s"],
    );
    for (name, of) in fact["back_by_fault"].as_object().into_iter().flatten() {
        text.push_str(&format!(
            "  {name:<10} {} rounds, p50 {} s, max {} s\n",
            of["rounds"], of["p50_s"], of["max_s"]
        ));
    }
    text
}
