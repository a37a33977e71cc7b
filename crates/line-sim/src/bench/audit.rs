//! How long an auditor waits behind a long history: `audit unit`, with and without proofs, and `audit
//! order`, each as a person runs it: a process that opens the log, answers and ends.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::json;
use traveler::{Change, Event, OrderId, Timestamp};

use super::ledger::store::{Store, beginning};
use crate::cli::{Format, print};

/// Each question is asked so often; an odd number, so that one of them is the median.
const ASKED: usize = 9;
/// Batches of a hundred entries that a short order takes.
const SHORT: usize = 30;
const SHORT_ORDER: &str = "WO-SHORT";
const LONG_ORDER: &str = "WO-BENCH";

/// How long the history is.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Units in the log.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    units: u64,
    /// The program that is asked [default: `provisioner` beside this one].
    #[arg(long, value_name = "FILE")]
    provisioner: Option<PathBuf>,
    /// Where the log is made [default: a temporary folder, removed at the end].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Makes the log, asks, prints.
pub(crate) fn run(args: Args, format: Format) -> Result<ExitCode> {
    let program = match args.provisioner {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("provisioner"),
    };
    let parent = args.data.unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&parent)?;
    let folder = tempfile::Builder::new()
        .prefix("birthmark-bench-")
        .tempdir_in(parent)?;
    let (data, units) = (folder.path(), args.units);
    let started = Instant::now();
    make(data, units)?;
    let made = started.elapsed().as_secs_f64();

    let serial = format!("BM{:012}", units / 2);
    let proofs = data.join("proofs").display().to_string();
    let questions: [(&str, usize, &[&str]); 4] = [
        ("unit", ASKED, &["unit", &serial]),
        (
            "unit --proof",
            ASKED,
            &["unit", &serial, "--proof", &proofs],
        ),
        ("order, short", ASKED, &["order", SHORT_ORDER]),
        ("order, all units", 3, &["order", LONG_ORDER]),
    ];
    let mut facts = serde_json::Map::new();
    let mut text = format!(
        "{units} units in {} entries, made in {made:.0} s\n",
        3 * units
    );
    for (name, often, question) in questions {
        let mut took = Vec::new();
        for _ in 0..often {
            took.push(ask(&program, data, question)?);
        }
        took.sort_by(f64::total_cmp);
        let (median, most) = (took[often / 2], took[often - 1]);
        text.push_str(&format!(
            "audit {name:<18} median {median:.3} s, at most {most:.3} s of {often}\n"
        ));
        facts.insert(
            name.to_owned(),
            json!({ "median_s": median, "max_s": most }),
        );
    }
    let fact = json!({ "units": units, "made_s": made, "audit": facts });
    print(format, &fact, &text);
    Ok(ExitCode::SUCCESS)
}

/// A site that an auditor can be pointed at: a log with one long order, and a short one at its end.
fn make(data: &Path, units: u64) -> Result<()> {
    let mut store = Store::make(data, 3 * units)?;
    let short = OrderId::parse(SHORT_ORDER)?;
    for mut event in beginning()? {
        if let Event::OrderCreated { order, .. } = &mut event {
            order.clone_from(&short);
            store.append(&[Change {
                time: Timestamp::from_unix_ms(1_700_000_000_000),
                simulated_hsm: true,
                events: vec![event],
            }])?;
        }
    }
    for mut batch in store.batches(100, SHORT)? {
        for event in batch.iter_mut().flat_map(|change| &mut change.events) {
            match event {
                Event::Issued(issued) => issued.step.order.clone_from(&short),
                Event::Loaded { step, .. } | Event::Sealed { step, .. } => {
                    step.order.clone_from(&short);
                }
                _ => {}
            }
        }
        store.append(&batch)?;
    }
    store.settle()?;
    std::fs::write(data.join("vkey"), format!("{}\n", store.ledger.vkey()))?;
    store.ledger.close()?;
    for kind in ["db", "keys"] {
        let [made, site] = ["log", "ledger"].map(|name| data.join(format!("{name}.{kind}")));
        // A short log has no index of its keys on disk yet.
        if kind == "keys" && !made.exists() {
            continue;
        }
        std::fs::rename(&made, site)
            .with_context(|| format!("{} cannot be put in place", made.display()))?;
    }
    Ok(())
}

fn ask(program: &Path, data: &Path, question: &[&str]) -> Result<f64> {
    let started = Instant::now();
    let mut command = Command::new(program);
    let command = command.arg("audit").args(question).arg("--data").arg(data);
    let done = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    let done = done.with_context(|| format!("{} does not run", program.display()))?;
    if !done.status.success() {
        bail!("{}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(started.elapsed().as_secs_f64())
}
