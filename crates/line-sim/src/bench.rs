//! `line-sim bench`: what a part of the line allows on this machine. `ledger` is the log, `audit`
//! what an auditor asks of it, `hsm` the token before it, `station` the slots in front.

mod audit;
mod hsm;
mod ledger;
mod outage;
mod station;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use tokio::runtime::Runtime;

use crate::cli::{Format, print};

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// The ledger: append rate as a share of the disk's, duplicate checks, memory and start-up,
    /// with and without history. Under 5 minutes on a quiet machine; 9 GB of disk.
    Ledger(ledger::Args),
    /// How long `audit unit` and `audit order` take behind a long history, each as a process.
    Audit(audit::Args),
    /// How much of what a token allows the line makes: SoftHSM, and a token that takes its time.
    Hsm(hsm::Args),
    /// Kill, pause and reset the token under load, round after round: what was lost, what was doubled,
    /// and how long until the line is back at its rate.
    Outage(outage::Args),
    /// A station's cycle time over the time that a unit's bytes take, at two speeds, for one slot and
    /// for many.
    Station(station::Args),
    /// Makes a token of SoftHSM in a folder and says where it is.
    #[command(hide = true)]
    SofthsmToken {
        /// New or empty.
        folder: PathBuf,
    },
    /// Opens a log, says how long that took and how much memory it takes, and waits.
    #[command(hide = true)]
    Opened {
        /// The log.
        path: PathBuf,
    },
}

/// Runs one.
pub(crate) fn run(bench: Bench, format: Format, runtime: &Runtime) -> Result<ExitCode> {
    match bench {
        Bench::Ledger(args) => ledger::run(args, format),
        Bench::Audit(args) => audit::run(args, format),
        Bench::Hsm(args) => hsm::run(args, format, runtime),
        Bench::Outage(args) => runtime.block_on(outage::run(args, format)),
        Bench::Station(args) => runtime.block_on(station::run(args, format)),
        Bench::SofthsmToken { folder } => {
            let (place, _) = crate::softhsm::found(&folder)?;
            print(format, &serde_json::json!(place), &format!("{place}\n"));
            Ok(ExitCode::SUCCESS)
        }
        Bench::Opened { path } => {
            ledger::start::opened(&path)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
