//! A whole shift at one bench, with a scanner only: the real station in a real terminal, the real
//! server as a process, units on ptys, and everything that goes wrong in a shift.
//!
//! What goes wrong, and at which unit, follows from the seed; how the processes interleave is the
//! kernel's to say. A network cut stops the server's process: nothing answers, nothing is closed.
//! Deliberately absent: any other way into the station than its scanner.

mod ahead;
mod bench;
mod count;
mod halt;
mod mishap;
mod operator;
mod shelf;
mod stuck;
mod terminal;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::cli::{Format, print, say};
use crate::demo;
use crate::load::process::{Keys, Process};
use crate::load::program;
use crate::town::{enrol_at, order_at};

use ahead::Ahead;
use bench::Bench;
use halt::Halt;
use operator::Operator;
use terminal::Terminal;
use trouble::Random;

/// The least time a shift is given, and what each unit adds.
const WITHIN: (Duration, Duration) = (Duration::from_secs(120), Duration::from_secs(5));
/// The station ends by then when it is asked to.
const ENDS: Duration = Duration::from_secs(60);
const TERMINAL: (u16, u16) = (80, 24);

/// A shift that was asked for.
pub(crate) struct Plan {
    pub(crate) units: u32,
    pub(crate) slots: u16,
    pub(crate) seed: u64,
    /// How long the server does not answer, once.
    pub(crate) cut: Duration,
    pub(crate) data: Option<PathBuf>,
}

/// Works one shift and says what came of it.
///
/// A line that breaks, or is told to end, says so and what was on the screen; what was started for
/// it ends with it.
pub(crate) async fn shift(plan: Plan, format: Format) -> Result<ExitCode> {
    let halt = Halt::listen()?;
    let data = demo::data(plan.data.clone())?;
    let (mut server, order) = line(&data, plan.units).await?;
    let bench = Bench::new(&data, plan.slots.into());
    std::fs::write(data.join("slots.toml"), slots(&bench, plan.slots))?;
    say(&format!(
        "order {order}: {} units, seed {}, in {}",
        plan.units,
        plan.seed,
        data.display()
    ));

    let terminal = Terminal::open(TERMINAL, &command(&data, &order)?)?;
    let mut random = Random(plan.seed);
    let troubles = trouble::plan(plan.units, &mut random);
    let mut operator = Operator {
        ahead: Ahead::of(&troubles, plan.slots, &order, &data.join("bench-1"))?,
        bench,
        terminal: &terminal,
        halt: halt.clone(),
        server: server.id(),
        labels: data.join("labels"),
        screens: data.join("screens"),
        troubles,
        random,
        met: BTreeMap::new(),
        shelf: (1..=plan.units).collect(),
        done: BTreeSet::new(),
        cut: plan.cut,
        later: Vec::new(),
        left_in: None,
        not_before: Instant::now(),
        holds_label: None,
    };
    let started = Instant::now();
    let worked = worked(&mut operator, &data, plan.units);
    let took = started.elapsed();
    let came = worked.and_then(|code| {
        let (site, bench) = (&server.site, &operator.bench);
        Ok((code, count::count(&data, site, &order, plan.units, bench)?))
    });
    let met = operator.met;
    let (mut fact, text, exit) = match came {
        Ok((code, came)) => {
            server.stop().await?;
            let mut fact = came.json(&met);
            fact["station_exit"] = code.into();
            let offline = operator.bench.sealed_offline;
            fact["sealed_offline"] = offline.into();
            let text = came.text(&met, took);
            let text = format!("{text}{offline} sealed while the server was away, from a lease\n");
            let good = came.good(plan.units) && code == 0;
            (fact, text, u8::from(!good))
        }
        Err(error) => {
            let screen = terminal.screen().unwrap_or_default();
            let text = format!("\u{2717} the line broke: {error:#}\n{screen}");
            let screen: Vec<&str> = screen.lines().collect();
            let fact = json!({"broke": format!("{error:#}"), "screen": screen, "troubles": met});
            (fact, text, halt.code().unwrap_or(1))
        }
    };
    fact["seed"] = plan.seed.into();
    fact["slots"] = plan.slots.into();
    fact["seconds"] = took.as_secs().into();
    fact["data"] = data.display().to_string().into();
    print(format, &fact, &text);
    Ok(ExitCode::from(exit))
}

/// A server, an order for so many units, and a station, all below one folder.
async fn line(data: &Path, units: u32) -> Result<(Process, String)> {
    for folder in ["units", "ports", "labels", "screens"] {
        std::fs::create_dir_all(data.join(folder))?;
    }
    let server = Process::start(data, None, &Keys::default()).await?;
    let (site, address) = (&server.site, server.address);
    let order = order_at(site, demo::DEFINITION, demo::PRODUCT, units).await?;
    enrol_at(site, address, "bench-1", &data.join("bench-1")).await?;
    Ok((server, order))
}

/// Works until every unit is done; gives the station's exit code.
fn worked(operator: &mut Operator, data: &Path, units: u32) -> Result<u8> {
    operator.work(WITHIN.0 + WITHIN.1 * units)?;
    operator.picture("end")?;
    let code = end(operator, &data.join("events.jsonl"))?;
    operator.bench.look()?;
    Ok(code)
}

/// The slots file of a bench whose ports are links.
fn slots(bench: &Bench, slots: u16) -> String {
    let mut text = "[scan]\nserial = \"CAM2-#####\"\nleads = [\"L-1\"]\n".to_owned();
    for at in 0..slots {
        let path = bench.port(at.into());
        let _ = write!(
            text,
            "\n[[slot]]\nnumber = {}\npath = \"{}\"\n",
            at + 1,
            path.display()
        );
    }
    text
}

/// The station's command line, for a shell.
fn command(data: &Path, order: &str) -> Result<String> {
    let program = program("station-cli", None)?;
    let quoted = |path: &Path| -> Result<String> {
        let text = path.to_str().context("a path that is no text")?;
        match text.contains('\'') {
            true => bail!("{text} has a quotation mark"),
            false => Ok(format!("'{text}'")),
        }
    };
    Ok(format!(
        "{} run --order {order} --wait 4 --slots {} --data {} --labels {} --events {}",
        quoted(&program)?,
        quoted(&data.join("slots.toml"))?,
        quoted(&data.join("bench-1"))?,
        quoted(&data.join("labels"))?,
        quoted(&data.join("events.jsonl"))?,
    ))
}

/// Nobody waits longer before they press it again.
const AGAIN: Duration = Duration::from_secs(15);
/// From the scanner to the keyboard.
const HAND: Duration = Duration::from_millis(400);

/// The exit code in the station's last event, once it has told it.
fn last_code(events: &Path) -> Result<Option<u8>> {
    let text = std::fs::read_to_string(events)?;
    let last = text.lines().last().unwrap_or_default();
    let last: serde_json::Value = serde_json::from_str(last).unwrap_or_default(); // cut in the middle
    let code = last["code"].as_u64().filter(|_| last["event"] == "end");
    Ok(code.map(u8::try_from).transpose()?)
}

/// The state of each thread of a process, as proc(5) has them: what keeps one that does not end.
fn threads_of(process: i32) -> String {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let state = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).ok()?;
        let (_, rest) = stat.split_once('(')?;
        let (name, rest) = rest.rsplit_once(") ")?;
        Some(format!("{name} {}", rest.chars().next()?))
    };
    let all: Vec<String> = threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(state)
        .collect();
    all.join(", ")
}

/// Ends the station as its operator does; gives its exit code.
fn end(operator: &Operator, events: &Path) -> Result<u8> {
    let (terminal, halt) = (operator.terminal, &operator.halt);
    let process = format!("/proc/{}/stat", terminal.process()?);
    halt.pause(HAND)?; // sooner after a scan it would be the scanner's
    terminal.interrupt()?;
    let give_up = Instant::now() + ENDS;
    let mut again = Instant::now() + AGAIN;
    loop {
        if let Some(code) = terminal.ended()? {
            return Ok(code);
        }
        // tmux 3.3 does not collect every program that ends: a few in a hundred stay zombies (state Z
        // of proc(5)) without an exit code. The last line has the code.
        let state = std::fs::read_to_string(&process).unwrap_or_else(|_| ") Z".to_owned());
        if state.contains(") Z")
            && let Some(code) = last_code(events)?
        {
            return Ok(code);
        }
        if Instant::now() > give_up {
            let threads = threads_of(terminal.process()?);
            bail!(
                "the station does not end ({threads}):\n{}",
                terminal.screen()?
            );
        }
        if Instant::now() > again {
            terminal.interrupt()?; // as anybody would: twice means now
            again += AGAIN;
        }
        halt.pause(operator::TICK)?;
    }
}
