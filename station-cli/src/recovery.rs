//! `station-cli recovery`: the server's log lost what this station remembers, and says so.
//!
//! A station refuses a log that does not go on from the one it knows, for good. Only a lead ends
//! that, and only for a log whose own key signed an entry that names the very checkpoint this
//! station remembers as lost: by typing what that entry says, numbers and all.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use api::{Reason, v1::ProofResponse};
use clap::Args;
use serde_json::json;
use tlog::Checkpoint;
use traveler::{Event, LogRecovered, Serial};

use crate::calls::{CallError, Patience, Patient, Server};
use crate::cli::{Format, FormatArgs, print, say};
use crate::durable;
use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::log::{Seen, no_proof};
use crate::settle::{Desk, Fate};

/// The arguments of `recovery`.
#[derive(Args)]
pub(crate) struct RecoveryArgs {
    /// Accept the loss: the statement that the log has on it, typed whole.
    #[arg(long, value_name = "STATEMENT")]
    accept: Option<String>,
    /// The station's folder.
    #[arg(
        long,
        value_name = "DIR",
        env = "BIRTHMARK_STATION",
        default_value = "station"
    )]
    data: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
}

/// Asks the server what its log says about what this station remembers; accepts it when told to.
/// Exit code 30 while nothing is accepted.
pub(crate) async fn run(args: RecoveryArgs) -> Result<u8> {
    let home = Home::open(&args.data)?;
    let server = Server::of(&home)?;
    let seen = home.seen();
    let Some(remembered) = seen.newest()? else {
        bail!("this station remembers no log: there is nothing to accept");
    };
    let proof = shown(&server, &seen).await?;
    if proof.entry.is_empty() {
        return nothing_lost(&seen, &remembered, &proof, args.format.format);
    }
    let (_, entry) = seen.included(&proof)?;
    let said = match entry.event {
        Event::LogRecovered(said) if said.names(remembered.size, &remembered.root) => said,
        _ => return Err(no_proof(&"the entry is of another loss").into()),
    };
    let mut words = story(entry.seq, &said, &remembered);
    let mut left = Vec::new();
    let accepted = match args.accept.as_deref().map(str::trim) {
        None => {
            words.push_str(&format!(
                "\nNothing is accepted yet. When this is right, a lead types:\n\
                 station-cli recovery --accept \"{}\"",
                said.statement
            ));
            false
        }
        Some(typed) if typed != said.statement => bail!(
            "that is not what entry {} says: \"{}\"; nothing is accepted",
            entry.seq,
            said.statement
        ),
        Some(_) => {
            seen.give_up(&remembered, &proof.checkpoint)?;
            words.push_str("\nAccepted: this station goes on with the recovered log.");
            left = lay_aside(&home, &server).await?;
            for serial in &left {
                words.push_str(&format!(
                    "\n{serial}: its record is lost and laid aside: scrap the unit and its label"
                ));
            }
            true
        }
    };
    say(&words);
    let fact = json!({
        "entry": entry.seq,
        "remembered_here": remembered.size,
        "kept": said.kept,
        "remembered": said.remembered,
        "lost": said.lost,
        "statement": said.statement,
        "by": said.by,
        "accepted": accepted,
        "laid_aside": left,
    });
    if args.format.format == Format::Json {
        print(&fact)?;
    }
    Ok(match accepted {
        true => 0,
        false => Outcome::Stop.exit_code(),
    })
}

/// What the server's log says of what this station remembers.
async fn shown(server: &Server, seen: &Seen<'_>) -> Result<ProofResponse> {
    let error = match server.show_recovery(seen.note()?).await {
        Ok(proof) => return Ok(proof),
        Err(error) => error,
    };
    if let CallError::Refused {
        reason: Reason::UnknownUnit,
        ..
    } = error
    {
        return Err(anyhow::Error::from(error)).context(
            "the server's log does not go on from what this station remembers and names no loss of \
             it: hand over `station-cli sync --export FILE` to `provisioner recover`",
        );
    }
    let failure = Failure::from(error);
    let action = failure.advice().action;
    Err(anyhow::Error::from(failure).context(action))
}

/// The log goes on from what is remembered, by its own proof: there is nothing to accept.
fn nothing_lost(
    seen: &Seen<'_>,
    remembered: &Checkpoint,
    proof: &ProofResponse,
    format: Format,
) -> Result<u8> {
    let rotations = &proof.rotations;
    let grown = seen.grown(
        Some(remembered),
        &proof.checkpoint,
        &proof.consistency,
        rotations,
    );
    grown.map_err(Failure::from)?;
    let entries = seen.newest()?.map_or(0, |checkpoint| checkpoint.size);
    match format {
        Format::Json => print(&json!({
            "remembered_here": remembered.size,
            "entries": entries,
            "lost": 0,
            "accepted": false,
        }))?,
        Format::Text => say(&format!(
            "nothing is lost: the log of {entries} entries goes on from the {} that are remembered \
             here",
            remembered.size
        )),
    }
    Ok(0)
}

fn story(seq: u64, said: &LogRecovered, remembered: &Checkpoint) -> String {
    format!(
        "The server's disk was lost and its log put back from a copy (entry {seq}).\n\
         This station remembers {} entries; {} of them are as they were, and of {} that anybody \
         remembers {} are lost.\nBy {}: \"{}\"",
        remembered.size,
        said.kept.min(remembered.size),
        said.remembered,
        said.lost,
        said.by.join(" and "),
        said.statement,
    )
}

/// Attempts under way that not even the recovered log knows: nothing can settle them, and their
/// ports must not wait for them for ever. Their records are kept in `lost/`.
async fn lay_aside(home: &Home, server: &Server) -> Result<Vec<Serial>> {
    let patience = Patience::default();
    let desk = Desk {
        home,
        calls: Patient::new(server, patience),
        operator: None,
    };
    let mut left = Vec::new();
    for open in home.journal().open()? {
        let mut claim = home.journal().claim(&open.serial)?;
        match desk.settle_if_ended(&mut claim).await {
            Ok(Fate::Forgotten) => {}
            Ok(_) | Err(Failure::Hold { .. }) => continue, // on hold it waits for a person
            Err(failure) => return Err(failure.into()),
        }
        let folder = home.dir().join("lost");
        durable::make_folder(&folder)?;
        let record = serde_json::to_vec(&open)?;
        let path = folder.join(format!("{}.json", open.serial));
        durable::replace(&path, &record, durable::PRIVATE)?;
        home.outbox().lay_aside(&open.serial, &folder)?;
        desk.close(&mut claim)?;
        left.push(open.serial);
    }
    Ok(left)
}
