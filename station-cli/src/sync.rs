//! The attempts this station has under way, held against the server; and how one is given up.

mod verb;

use serde::Serialize;
use traveler::{Attempt, OperatorId, OrderId, Serial, State, VoidCause};

use crate::calls::{CallError, Patience, Patient, Provisioning};
use crate::damaged::damaged;
use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::journal::{Claim, JournalError, Open, Withdraw};
use crate::offline::is_away;
use crate::outbox::{Hold, Upload};
use crate::settle::{Desk, Fate, Standing};

pub(crate) use verb::{SyncArgs, run};

/// What became of one attempt in the journal.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Synced {
    /// The unit.
    pub serial: Serial,
    /// Its order; none where the record that has it is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// Where it stood.
    pub port: String,
    /// The try; `None` when the reply that had its number was lost.
    pub attempt: Option<Attempt>,
    /// What became of it.
    pub state: SyncState,
    /// Of one on hold, why: the reason that the server gave, and its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// What became of an attempt in the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// Under way: the unit has to come back.
    Open,
    /// Sealed; its record is closed.
    Sealed,
    /// Sealed, but the unit is not known to be locked: it has to come back.
    Unlocked,
    /// Withdrawn, or nothing was ever issued; its record is closed.
    Withdrawn,
    /// Another process of this station works on it.
    InHand,
    /// The server does not know it any more.
    Forgotten,
    /// Under way by the journal alone: the server is away.
    NotAsked,
    /// It went on without the server, which has heard all of it now.
    Uploaded,
    /// It went on without the server, which has yet to hear of it.
    ToUpload,
    /// The server refuses what was done without it: a person has to look.
    Hold,
}

impl SyncState {
    /// What it means for the line.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            SyncState::Sealed | SyncState::Withdrawn | SyncState::Uploaded => Outcome::Sealed,
            SyncState::Open
            | SyncState::Unlocked
            | SyncState::InHand
            | SyncState::NotAsked
            | SyncState::ToUpload => Outcome::Rework,
            SyncState::Forgotten | SyncState::Hold => Outcome::Stop,
        }
    }

    /// What an operator sees and does.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            SyncState::Open => "under way: put the unit back and run again, or sync --void SERIAL",
            SyncState::Sealed => "sealed",
            SyncState::Unlocked => "sealed, lock unknown: put the unit back and run again",
            SyncState::Withdrawn => "withdrawn; destroy its label if there is one",
            SyncState::InHand => "being worked on now",
            SyncState::NotAsked => "under way, server not asked: check network, run again",
            SyncState::Uploaded => "uploaded",
            SyncState::ToUpload => "done here, to be uploaded: check network, run again",
            SyncState::Hold => {
                "HOLD: put the unit aside, call the lead: sync --again SERIAL, or --settle SERIAL"
            }
            SyncState::Forgotten => "the server has lost it: stop the line, call IT",
        }
    }
}

/// Tells the server what was done without it, asks it about every attempt in the journal, and closes
/// the records of those that ended.
///
/// With `void`, first withdraws that serial: its unit will not come back. A server that is away
/// hides nothing that is on record here: it is listed as not asked.
///
/// # Errors
/// [`Failure::Call`], [`Failure::Journal`] and [`Failure::Log`]; what was settled before stays so.
/// [`Failure::SealedAlready`] and [`Failure::NothingOpen`] for what `void` names.
pub async fn sync<S: Provisioning>(
    home: &Home,
    server: &S,
    patience: Patience,
    void: Option<(&Serial, Option<&OperatorId>)>,
) -> Result<Vec<Synced>, Failure> {
    let desk = Desk {
        home,
        calls: Patient::new(server, patience),
        operator: void.and_then(|(_, operator)| operator),
    };
    let mut all = Vec::new();
    let to_tell = home.outbox().all()?;
    if let Some((serial, _)) = void {
        let mut claim = home.journal().claim(serial)?;
        let open = desk.give_up(&mut claim, serial, false).await?;
        all.push(synced(open, SyncState::Withdrawn));
    }
    // What was done without the server comes first: it is ahead of what the server knows.
    let mut away = match desk.drain_all().await {
        Ok(_) => false,
        // A log that went backwards is told nothing either, but that is for people to hear.
        Err(Failure::Call(CallError::Unavailable { .. })) => true,
        Err(failure) => return Err(failure),
    };
    for open in home.journal().open()? {
        let state = match home.journal().claim(&open.serial) {
            Err(JournalError::InHand { .. }) => SyncState::InHand,
            Err(error) => return Err(error.into()),
            Ok(_) if away && !open.is_leased() => SyncState::NotAsked, // one wait for it is enough
            Ok(mut claim) => {
                if away {
                    desk.calls.go_without();
                }
                match desk.settle_if_ended(&mut claim).await {
                    Ok(Fate::Live) => SyncState::Open,
                    Ok(Fate::Gone) => SyncState::Withdrawn,
                    Ok(Fate::Forgotten) => SyncState::Forgotten,
                    Ok(Fate::Sealed) if claim.open().is_none() => SyncState::Sealed,
                    Ok(Fate::Sealed) => SyncState::Unlocked,
                    Err(Failure::Hold { .. }) => SyncState::Hold,
                    Err(Failure::Call(CallError::Unavailable { reason: None, .. })) => {
                        away = true;
                        SyncState::NotAsked
                    }
                    Err(failure) => return Err(failure),
                }
            }
        };
        all.push(synced(open, state));
    }
    list_uploads(home, to_tell, &mut all)?;
    list_damaged(home, &mut all)?;
    Ok(all)
}

/// What became of what was to be told.
fn list_uploads(home: &Home, to_tell: Vec<Upload>, all: &mut Vec<Synced>) -> Result<(), Failure> {
    for upload in to_tell {
        let left = home.outbox().of(&upload.serial)?;
        let (state, hold) = match left.map(|left| left.hold) {
            None => (SyncState::Uploaded, None),
            Some(None) => (SyncState::ToUpload, None),
            Some(hold) => (SyncState::Hold, hold),
        };
        match all.iter_mut().find(|one| one.serial == upload.serial) {
            // Closed here, or not known to be: that the server has yet to hear of it says more.
            Some(one) if state != SyncState::Uploaded => (one.state, one.hold) = (state, hold),
            Some(_) => {}
            None => all.push(Synced {
                serial: upload.serial,
                order: Some(upload.order),
                port: String::new(),
                attempt: Some(upload.attempt),
                state,
                hold,
            }),
        }
    }
    Ok(())
}

/// Whatever else is known of a unit: that its record is damaged comes first.
fn list_damaged(home: &Home, all: &mut Vec<Synced>) -> Result<(), Failure> {
    for one in damaged(home)? {
        let hold = Some(one.hold());
        match all.iter_mut().find(|listed| listed.serial == one.serial) {
            Some(listed) => (listed.state, listed.hold) = (SyncState::Hold, hold),
            None => all.push(Synced {
                serial: one.serial,
                order: None,
                port: String::new(),
                attempt: None,
                state: SyncState::Hold,
                hold,
            }),
        }
    }
    Ok(())
}

/// Withdraws what is under way for one serial; `scrap` ends the unit with it.
///
/// # Errors
/// [`Failure::NothingOpen`], [`Failure::SealedAlready`], [`Failure::Call`], [`Failure::Journal`] and
/// [`Failure::Log`].
pub(crate) async fn withdraw<S: Provisioning>(
    home: &Home,
    server: &S,
    patience: Patience,
    (serial, operator): (&Serial, &OperatorId),
    scrap: bool,
) -> Result<(), Failure> {
    let desk = Desk {
        home,
        calls: Patient::new(server, patience),
        operator: Some(operator),
    };
    let mut claim = home.journal().claim(serial)?;
    desk.give_up(&mut claim, serial, scrap).await.map(drop)
}

fn synced(open: Open, state: SyncState) -> Synced {
    Synced {
        attempt: open.issued.map(|issued| issued.attempt),
        serial: open.serial,
        order: Some(open.order),
        port: open.port,
        state,
        hold: None,
    }
}

impl<S: Provisioning> Desk<'_, S> {
    /// Withdraws what is under way for a serial, journaled or not.
    async fn give_up(
        &self,
        claim: &mut Claim,
        serial: &Serial,
        scrap: bool,
    ) -> Result<Open, Failure> {
        self.not_sealed_here(serial).await?;
        let open = match claim.open() {
            Some(open) => open.clone(),
            None => self.begun_here(serial).await?,
        };
        let cause = match open.issued {
            Some(_) => VoidCause::UnitLost,
            None => VoidCause::ReplyLost,
        };
        let decided = Withdraw { cause, scrap };
        claim.write(Open {
            withdraw: Some(open.withdraw.unwrap_or(decided)),
            ..open.clone()
        })?;
        let withdrawn = self.withdraw(claim).await;
        if matches!(withdrawn, Err(Failure::SealedAlready { .. })) {
            self.settle_if_ended(claim).await?;
        }
        withdrawn.map(|()| open)
    }

    /// What was sealed here while the server was away is ahead of what it says.
    async fn not_sealed_here(&self, serial: &Serial) -> Result<(), Failure> {
        if let Some(upload) = self.home.outbox().of(serial)? {
            let told = async {
                self.may_hear(&upload.order).await?;
                self.drain(serial).await
            };
            match told.await {
                Err(failure) if !is_away(&failure) => return Err(failure),
                _ => {}
            }
        }
        let upload = self.home.outbox().of(serial)?;
        match upload.is_some_and(|upload| upload.seals()) {
            true => Err(Failure::SealedAlready {
                serial: serial.clone(),
            }),
            false => Ok(()),
        }
    }

    /// A station that lost its folder finds its own attempts at the server.
    async fn begun_here(&self, serial: &Serial) -> Result<Open, Failure> {
        match self.standing(serial).await? {
            Standing::Known {
                state: State::Issued | State::Loaded,
                device_id,
                order,
                station,
                ..
            } if station == *self.home.station() => Ok(Open {
                serial: serial.clone(),
                order,
                port: String::new(),
                device_id,
                issued: None,
                withdraw: None,
            }),
            _ => Err(Failure::NothingOpen {
                serial: serial.clone(),
            }),
        }
    }
}
