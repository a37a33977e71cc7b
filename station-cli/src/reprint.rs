//! `station-cli reprint`: the label of a unit that is not sealed yet, once more.
//!
//! A label that did not come out, tore or stuck to the wrong place is printed again with the next
//! number, `R1`, in its text and in its code. On record first: the server's log says who asked for it
//! and why, and that the labels before it are void, before a byte goes to the printer. Behind the seal
//! there is no way: a sealed attempt never gives its secret again, to nobody, so a unit whose label is
//! lost then goes to rework and gets another password with its label.
//!
//! The unit need not be there: what is printed is what the ticket opens. It has to be there for the
//! scan, by `provision` or `run`.

use anyhow::Result;
use api::{Reason, v1};
use clap::Args;
use label::REPRINT_MAX;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use traveler::{Attempt, OperatorId, Serial, Slot, State};

use crate::begin::Credential;
use crate::calls::{CallError, Patience, Patient, Provisioning, Server};
use crate::cli::{Format, print, say};
use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::journal::{Claim, Issued, Open, Reached};
use crate::outbox::{About, Told};
use crate::printer::{Labels, PrinterArgs, Printout};
use crate::printout;
use crate::settle::{Desk, Fate, Standing, device_id_bytes};

/// The arguments of `reprint`.
#[derive(Args)]
pub(crate) struct ReprintArgs {
    /// The unit whose label is printed again.
    #[arg(long, value_name = "SERIAL")]
    serial: Serial,
    /// Why, in a few words; it stands in the log.
    #[arg(long, value_name = "WORDS")]
    reason: String,
    /// Who asks for it: a badge pseudonym.
    #[arg(long, value_name = "BADGE")]
    operator: OperatorId,
    #[command(flatten)]
    printer: PrinterArgs,
    /// Seconds to wait for a server that does not answer.
    #[arg(long = "wait", value_name = "SECONDS", default_value_t = 15)]
    seconds: u32,
    /// The station's folder.
    #[arg(
        long,
        value_name = "DIR",
        env = "BIRTHMARK_STATION",
        default_value = "station"
    )]
    data: PathBuf,
    /// What goes to standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What is to be printed again.
#[derive(Clone, Debug)]
pub struct Again {
    /// The unit.
    pub serial: Serial,
    /// Why, on one line.
    pub reason: String,
    /// Who asks for it.
    pub operator: OperatorId,
    /// How long to wait for a server that is away.
    pub patience: Patience,
}

/// A label that was sent to the printer again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reprinted {
    /// The try whose label it is.
    pub attempt: Attempt,
    /// The number on it: `R1` is 1.
    pub reprint: u32,
    /// Why it is not known whether it came out, when it is not.
    pub unknown: Option<String>,
}

/// Prints the label of a unit under way again, under the next number.
///
/// # Errors
/// [`Failure::NoReprint`] when there is nothing to print again, with what to do instead; else what
/// failed. A repeat goes on where it stopped: a number that is on record and was surely not printed is
/// printed under that number.
pub async fn reprint<S: Provisioning, L: Labels>(
    home: &Home,
    server: &S,
    labels: &mut L,
    again: &Again,
) -> Result<Reprinted, Failure> {
    let desk = Desk {
        home,
        calls: Patient::new(server, again.patience),
        operator: Some(&again.operator),
    };
    let mut claim = home.journal().claim(&again.serial)?;
    let Some((open, issued)) = in_hand(&claim) else {
        return Err(not_in_hand(&desk, &again.serial).await);
    };
    let order = desk.order(&open.order, issued.leased).await?;
    if !order.label {
        return Err(no_reprint(&again.serial, "its product carries no label"));
    }
    may_reprint(&desk, &claim, &open, &issued).await?;
    let credential = bundle(&desk, open, &issued).await?;
    // One that is on record and came out of no printer has its number already.
    let recorded = issued.reprint > 0 && issued.reached == Reached::Locked;
    let number = match recorded {
        true => issued.reprint,
        false => {
            next(
                &desk,
                &mut claim,
                &credential,
                issued.reprint,
                &again.reason,
            )
            .await?
        }
    };
    let slot = Slot::parse(&credential.open.port).ok();
    let (open, bundle) = (&credential.open, &credential.bundle);
    let zpl = printout::draw(&order, open, bundle, slot.as_ref(), number)?;
    let label = Printout {
        serial: &again.serial,
        attempt: credential.attempt,
        reprint: number,
        zpl: &zpl,
    };
    // Crash before this line: on record, not printed; a repeat prints it under its number. Crash in
    // it: one may have come out, and a repeat prints the next number.
    let unknown = printout::print(labels, &mut claim, &label).await?;
    Ok(Reprinted {
        attempt: credential.attempt,
        reprint: number,
        unknown,
    })
}

fn in_hand(claim: &Claim) -> Option<(Open, Issued)> {
    let open = claim.open()?.clone();
    let issued = open.issued.clone()?;
    Some((open, issued))
}

fn no_reprint(serial: &Serial, why: &str) -> Failure {
    Failure::NoReprint(format!("the label of {serial} is not printed again: {why}"))
}

/// Why there is nothing to print, of a unit that this station has not in hand.
async fn not_in_hand<S: Provisioning>(desk: &Desk<'_, S>, serial: &Serial) -> Failure {
    let sealed = "it is sealed, and a sealed attempt never gives its secret again: set the unit aside \
                  for rework, another attempt with another password and label";
    match desk.standing(serial).await {
        Err(failure) => failure,
        Ok(Standing::Known {
            state: State::Sealed,
            ..
        }) => no_reprint(serial, sealed),
        Ok(Standing::Known {
            state: State::Issued | State::Loaded,
            station,
            ..
        }) if station != *desk.home.station() => {
            let serial = serial.clone();
            Failure::AtOtherStation { serial, station }
        }
        Ok(Standing::Known { state, .. }) => no_reprint(serial, &format!("it is {state}")),
        Ok(Standing::Unknown | Standing::Elsewhere) => {
            no_reprint(serial, "it is not under way at this station")
        }
    }
}

async fn may_reprint<S: Provisioning>(
    desk: &Desk<'_, S>,
    claim: &Claim,
    open: &Open,
    issued: &Issued,
) -> Result<(), Failure> {
    let no = |why| Err(no_reprint(&open.serial, why));
    // Decided, and perhaps on record already: another label would be one of a credential that is void.
    if open.withdraw.is_some() {
        return no("it is being withdrawn: station-cli sync");
    }
    match desk.fate(claim).await? {
        Fate::Live => {}
        Fate::Sealed => return no("it is sealed: run again, and its record is closed"),
        Fate::Gone => return no("its attempt was withdrawn: run again for a new one"),
        Fate::Forgotten => {
            return Err(Failure::Forgotten {
                serial: open.serial.clone(),
                attempt: issued.attempt,
            });
        }
    }
    match issued.reached {
        Reached::Issued => no("the unit is not loaded yet: run again, and it is printed"),
        Reached::Locked if issued.reprint == 0 => {
            no("it was not printed yet: run again, and it is")
        }
        Reached::Matched => no("it was scanned and is right: run again, and it is sealed"),
        Reached::Locked | Reached::Printing | Reached::Labelled
            if issued.reprint >= REPRINT_MAX =>
        {
            no("it was printed too often: withdraw it with station-cli sync --void SERIAL")
        }
        Reached::Locked | Reached::Printing | Reached::Labelled => Ok(()),
    }
}

/// The same bundle again, by its ticket.
async fn bundle<S: Provisioning>(
    desk: &Desk<'_, S>,
    open: Open,
    issued: &Issued,
) -> Result<Credential, Failure> {
    if issued.leased {
        return desk.leased_again(open, issued);
    }
    let request = v1::ResumeRequest {
        serial: open.serial.to_string(),
        attempt: issued.attempt.0,
        device_id: device_id_bytes(&open.device_id),
        ticket: issued.ticket.0.clone(),
    };
    let credential = Credential::read(open, desk.calls.resume(request).await?)?;
    match credential.bundle_sha256 == issued.bundle_sha256 {
        true => Ok(credential),
        false => Err(Failure::BadReply(
            "the ticket brought another bundle than it was given for".to_owned(),
        )),
    }
}

/// Puts the next number on record. The server may know newer ones than this station: its folder is from
/// a copy, or it lost its power before a reply. Then it says so, and the one after is asked for.
async fn next<S: Provisioning>(
    desk: &Desk<'_, S>,
    claim: &mut Claim,
    credential: &Credential,
    known: u32,
    reason: &str,
) -> Result<u32, Failure> {
    let mut number = known + 1;
    loop {
        match record(desk, claim, credential, number, reason).await {
            Err(Failure::Call(CallError::Refused {
                reason: Reason::VoidLabel,
                ..
            })) if number < REPRINT_MAX => number += 1,
            ended => return ended,
        }
    }
}

/// Puts the number on record, there and here, and gives it back.
async fn record<S: Provisioning>(
    desk: &Desk<'_, S>,
    claim: &mut Claim,
    credential: &Credential,
    number: u32,
    reason: &str,
) -> Result<u32, Failure> {
    let told = Told::Reprint {
        reprint: number,
        reason: reason.to_owned(),
        operator: desk.badge(),
    };
    let about = About::of(&credential.open, credential.attempt);
    desk.say(credential.leased, &about, &told).await?;
    // Crash before this line: the server (or the outbox) knows a number that the journal does not; it
    // is asked for again under the same number, and until then no label is taken for a seal.
    claim.reprint(number)?;
    Ok(number)
}

/// `station-cli reprint`. Exit code 0 when the printer says it is printed, 10 when it is not known.
pub(crate) async fn run(args: ReprintArgs) -> Result<u8> {
    let home = Home::open(&args.data)?;
    let server = Server::of(&home)?;
    let mut printer = args.printer.open(home.labels());
    let again = Again {
        serial: args.serial,
        reason: args.reason,
        operator: args.operator,
        patience: Patience(Duration::from_secs(args.seconds.into())),
    };
    let done = match reprint(&home, &server, &mut printer, &again).await {
        Ok(done) => done,
        Err(failure) => {
            let advice = failure.advice();
            let (serial, outcome) = (&again.serial, advice.outcome);
            say(&format!(
                "{serial}: {} - {} ({failure})",
                advice.says, advice.action
            ));
            tell(
                args.format,
                &json!({
                    "serial": serial, "outcome": outcome, "reason": advice.reason,
                    "attempt": null, "reprint": null, "printed": null,
                }),
            );
            return Ok(outcome.exit_code());
        }
    };
    let outcome = Outcome::Loaded;
    let number = format!("R{}", done.reprint);
    match &done.unknown {
        None => say(&format!(
            "{}: label {number} is printed, those before it are void: scan it",
            again.serial
        )),
        Some(why) => say(&format!(
            "{}: label {number} was sent, whether it came out is not known ({why}); scan it, or \
             print again",
            again.serial
        )),
    }
    if let Some(folder) = printer.as_folder() {
        let folder = folder.0.display();
        say(&format!("{}: the label is in {folder}", again.serial));
    }
    tell(
        args.format,
        &json!({
            "serial": again.serial, "outcome": outcome, "reason": null,
            "attempt": done.attempt, "reprint": number, "printed": done.unknown.is_none(),
        }),
    );
    Ok(match done.unknown {
        None => 0,
        Some(_) => outcome.exit_code(),
    })
}

/// Nobody may listen any more; the label is what it is.
fn tell(format: Format, value: &serde_json::Value) {
    if format == Format::Json
        && let Err(error) = print(value)
    {
        say(&format!("standard output was not taken: {error}"));
    }
}
