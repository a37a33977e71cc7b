//! `station-cli sync`: what is under way, on hold or to be uploaded, and what a person decides of it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use traveler::{OperatorId, Serial};

use super::sync;
use crate::calls::Server;
use crate::cli::{DataArgs, Format, FormatArgs, WaitArgs, print, put_all_away, say};
use crate::handover;
use crate::hold::{self, Decided};
use crate::home::Home;
use crate::seams::LabelFolder;

/// The arguments of `sync`.
#[derive(Args)]
pub(crate) struct SyncArgs {
    /// Withdraw this serial: its unit will not come back.
    #[arg(long, value_name = "SERIAL")]
    void: Option<Serial>,
    /// Tell the server again what it refused of this serial: what stood in the way was put right.
    #[arg(long, value_name = "SERIAL", conflicts_with = "void")]
    again: Option<Serial>,
    /// Put this serial's unit aside for good, which is on hold: its record is kept in lost/.
    #[arg(long, value_name = "SERIAL", conflicts_with_all = ["void", "again"])]
    settle: Option<Serial>,
    /// Hand over what this station knows of the server's log, for `provisioner recover`; asks no
    /// server.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["void", "again", "settle"])]
    export: Option<PathBuf>,
    /// Where its label may still lie [default: labels in the station's folder].
    #[arg(long, value_name = "DIR", requires = "void")]
    labels: Option<PathBuf>,
    /// Who stands here: a badge pseudonym.
    #[arg(long, value_name = "BADGE")]
    operator: Option<OperatorId>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Does what the arguments say; the exit code is the worst of what is listed.
pub(crate) async fn run(args: SyncArgs) -> Result<u8> {
    let home = Home::open(&args.data.data)?;
    if let Some(out) = &args.export {
        return handover::run(&home, out, args.format.format);
    }
    let server = Server::of(&home)?;
    let void = args
        .void
        .as_ref()
        .map(|serial| (serial, args.operator.as_ref()));
    let decided = [
        (&args.again, Decided::Again),
        (&args.settle, Decided::Settle),
    ];
    for (serial, decided) in decided {
        if let Some(serial) = serial {
            let unit = (serial, args.operator.as_ref());
            hold::settle(&home, &server, args.wait.patience(), unit, decided).await?;
            if decided == Decided::Settle && args.format.format == Format::Text {
                say(&format!("{serial}: put aside; its record is in lost/"));
            }
        }
    }
    let all = sync(&home, &server, args.wait.patience(), void).await?;
    put_all_away(&home);
    if let Some(serial) = &args.void {
        let labels = LabelFolder(args.labels.unwrap_or_else(|| home.labels()));
        labels
            .take_back(serial)
            .context("its label is still there")?;
    }
    if all.is_empty() && args.settle.is_none() && args.format.format == Format::Text {
        say("nothing is under way");
    }
    for synced in &all {
        match args.format.format {
            Format::Json => print(&json!(synced))?,
            Format::Text => {
                let why = synced.hold.as_ref();
                let why = why.map(|hold| format!(" ({}: {})", hold.reason, hold.message));
                let (serial, says) = (&synced.serial, synced.state.says());
                say(&format!("{serial}: {says}{}", why.unwrap_or_default()));
            }
        }
    }
    let codes = all.iter().map(|synced| synced.state.outcome().exit_code());
    Ok(codes.max().unwrap_or(0))
}
