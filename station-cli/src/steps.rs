//! A unit that cannot prove what it holds, taken through the steps of its device profile.
//!
//! The same for consoles and tools: see `console` and `exec` for how a step is done.

use std::future::Future;

use traveler::{Attempt, DeviceId, Mac, Serial};
use wire::console::{ConsoleError, Found};
use wire::profile::{Answer as Says, Part, States, Step};
use wire::{Answer, Facts, Held, Nonce, PROTOCOL_FIRST, Receipt, UnitState, WireError};

use crate::begin::Credential;
use crate::drive::UnitError;

/// Longest text that a unit may say it is, in bytes: what the server takes.
const TEXT_MAX: usize = 64;

/// Does the steps of a profile, one at a time.
pub(crate) trait Steps: Send {
    /// From now on these parts are written, compared and hidden.
    fn holds(&mut self, credential: &Credential);

    /// Does one.
    fn step(&mut self, step: Step) -> impl Future<Output = Result<Found, UnitError>> + Send;

    /// What the marker means.
    fn states(&self) -> &States;

    /// The parts that must be read back.
    fn parts(&self) -> &[Part];

    /// Whether its units can be locked.
    fn locks(&self) -> bool;
}

impl<U: Steps> Steps for &mut U {
    fn holds(&mut self, credential: &Credential) {
        U::holds(self, credential);
    }

    async fn step(&mut self, step: Step) -> Result<Found, UnitError> {
        U::step(self, step).await
    }

    fn states(&self) -> &States {
        U::states(self)
    }

    fn parts(&self) -> &[Part] {
        U::parts(self)
    }

    fn locks(&self) -> bool {
        U::locks(self)
    }
}

pub(crate) async fn greet(unit: &mut impl Steps) -> Result<Facts, UnitError> {
    let who = unit.step(Step::Identify).await?;
    let what = unit.step(Step::Precheck).await?;
    Ok(facts(&who, &what, unit.states())?)
}

/// Greets, and goes no further with another unit than this one.
async fn expect(unit: &mut impl Steps, device_id: &DeviceId) -> Result<Facts, UnitError> {
    let facts = greet(unit).await?;
    if facts.device_id == *device_id {
        return Ok(facts);
    }
    Err(UnitError::Wire(WireError::Swapped {
        expected: device_id.clone(),
        found: Some(facts.device_id),
    }))
}

pub(crate) async fn load(unit: &mut impl Steps, credential: &Credential) -> Result<(), UnitError> {
    unit.holds(credential);
    // The server was waited for: whoever stands here now is asked before anything is typed.
    expect(unit, &credential.open.device_id).await?;
    unit.step(Step::Write).await?;
    unit.step(Step::Persist).await?;
    let found = unit.step(Step::Verify).await?;
    whole(unit.parts(), &found)
}

pub(crate) async fn reset(unit: &mut impl Steps, before: &Facts) -> Result<(), UnitError> {
    unit.step(Step::Reset).await?;
    // Where the unit counts its boots, its word for one is not enough.
    if let Some(boots) = before.boots
        && greet(unit).await?.boots.is_none_or(|after| after <= boots)
    {
        return Err(WireError::NotReset { boots }.into());
    }
    Ok(())
}

/// Reads everything back and makes the receipt: of a unit that is still the one that was greeted,
/// and only when each part that the profile names was read, now, as it was issued.
pub(crate) async fn prove(
    unit: &mut impl Steps,
    credential: &Credential,
) -> Result<Receipt, UnitError> {
    unit.holds(credential);
    let facts = expect(unit, &credential.open.device_id).await?;
    let found = unit.step(Step::VerifyAgain).await?;
    whole(unit.parts(), &found)?;
    Ok(Receipt {
        device_id: facts.device_id,
        boots: facts.boots.unwrap_or(0),
        digest: credential.bundle_sha256,
        signature: None,
        public_key: None,
    })
}

/// Locks this unit and no other: a lock cannot be taken back.
pub(crate) async fn lock(unit: &mut impl Steps, device_id: &DeviceId) -> Result<(), UnitError> {
    if !unit.locks() {
        return Ok(()); // the profile says why, and the log names the profile
    }
    if expect(unit, device_id).await?.state == UnitState::Locked {
        return Ok(());
    }
    unit.step(Step::Lock).await?;
    // Its word for it is asked for again: locked is what `precheck` says is locked.
    match expect(unit, device_id).await?.state {
        UnitState::Locked => Ok(()),
        _ => Err(unclear(Step::Lock, "it is not locked").into()),
    }
}

pub(crate) async fn check(
    unit: &mut impl Steps,
    credential: &Credential,
) -> Result<Answer, UnitError> {
    match prove(unit, credential).await {
        Ok(_) => Ok(Answer::Yes),
        Err(UnitError::Wire(WireError::Mismatch)) => Ok(Answer::No),
        Err(error) => Err(error),
    }
}

/// A step that ended well and did not read every part is a profile's fault; it proves nothing.
pub(crate) fn whole(parts: &[Part], found: &Found) -> Result<(), UnitError> {
    match parts.iter().all(|part| found.read_back.contains(part)) {
        true => Ok(()),
        false => Err(WireError::Mismatch.into()),
    }
}

fn unclear(step: Step, what: &str) -> ConsoleError {
    ConsoleError::Unclear {
        step,
        line: 0,
        what: what.to_owned(),
    }
}

/// What a unit said, as the line works with it.
pub(crate) fn facts(who: &Found, what: &Found, states: &States) -> Result<Facts, ConsoleError> {
    let said = |says: Says| {
        let all = who.answers.get(&says).or_else(|| what.answers.get(&says));
        all.map(String::as_str).filter(|text| !text.is_empty())
    };
    let text = |says: Says| match said(says) {
        Some(text) if text.len() > TEXT_MAX || text.chars().any(char::is_control) => {
            Err(unclear(Step::Identify, says.as_str()))
        }
        other => Ok(other.map(str::to_owned)),
    };
    let held = match (said(Says::Serial), said(Says::Attempt)) {
        (Some(serial), Some(attempt)) => {
            let parsed = Serial::parse(serial).ok().zip(attempt.parse().ok());
            parsed.map(|(serial, attempt)| Held {
                serial,
                attempt: Attempt(attempt),
            })
        }
        _ => None,
    };
    let marker = said(Says::Marker).unwrap_or_default();
    Ok(Facts {
        nonce: Nonce([0; 16]), // a console is not asked with one
        device_id: device_id(said(Says::DeviceId).unwrap_or_default())?,
        macs: said(Says::Mac)
            .and_then(|mac| Mac::parse(mac).ok())
            .into_iter()
            .collect(),
        model: text(Says::Model)?.unwrap_or_default(),
        revision: text(Says::Revision)?,
        firmware: text(Says::Firmware)?.unwrap_or_default(),
        state: state(states, marker)?,
        boots: match said(Says::Boots).map(str::parse) {
            None => None,
            Some(Ok(boots)) => Some(boots),
            Some(Err(_)) => return Err(unclear(Step::Precheck, "boots")),
        },
        held,
        csr: None,
        public_key: None,
        protocol: PROTOCOL_FIRST,
    })
}

/// An id as hexadecimal digits, whatever marks stand between them. Letters beyond them are no mark:
/// without them two units could have one id. One may begin with 0x; one digit short of a byte gets a zero
/// in front, as the 15 decimal digits of an IMEI do.
fn device_id(said: &str) -> Result<DeviceId, ConsoleError> {
    let said = said.strip_prefix("0x").unwrap_or(said);
    let letter = |c: char| c.is_alphanumeric() && !c.is_ascii_hexdigit();
    if said.contains(letter) {
        return Err(unclear(Step::Identify, "device_id"));
    }
    let digits = said.chars().filter(char::is_ascii_hexdigit);
    let mut id: String = digits.map(|digit| digit.to_ascii_lowercase()).collect();
    if id.len() % 2 == 1 {
        id.insert(0, '0');
    }
    DeviceId::parse(&id).map_err(|_| unclear(Step::Identify, "device_id"))
}

fn state(states: &States, marker: &str) -> Result<UnitState, ConsoleError> {
    let locked = states.locked.as_ref();
    let meanings = [
        (Some(&states.blank), UnitState::Blank),
        (Some(&states.loaded), UnitState::Loaded),
        (locked, UnitState::Locked),
    ];
    let mut fitting = meanings.into_iter().filter(|(pattern, _)| {
        pattern.is_some_and(|pattern| pattern.whole.is_match(marker.as_bytes()))
    });
    match (fitting.next(), fitting.next()) {
        (Some((_, state)), None) => Ok(state),
        _ => Err(unclear(Step::Precheck, "marker")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use wire::profile::{Driver, Profile};

    use super::*;

    /// A slot where a hand exchanges the units: one after the other, as often as they are asked.
    struct Slot {
        ids: VecDeque<&'static str>,
        boots: VecDeque<&'static str>,
        did: Vec<Step>,
        states: States,
    }

    impl Slot {
        fn with(ids: &[&'static str]) -> Slot {
            let text = Profile::shipped("at-modem").unwrap();
            let Driver::Console(console) = Profile::parse(text).unwrap().driver else {
                panic!("no console");
            };
            Slot {
                ids: ids.iter().copied().collect(),
                boots: VecDeque::new(),
                did: Vec::new(),
                states: console.scripts.states.clone(),
            }
        }
    }

    impl Steps for Slot {
        fn holds(&mut self, _: &Credential) {}

        async fn step(&mut self, step: Step) -> Result<Found, UnitError> {
            let mut found = Found::default();
            match step {
                Step::Identify => {
                    let id = self.ids.pop_front().unwrap();
                    found.answers.insert(Says::DeviceId, id.to_owned());
                    if let Some(boots) = self.boots.pop_front() {
                        found.answers.insert(Says::Boots, boots.to_owned());
                    }
                }
                Step::Precheck => {
                    let locked = self.did.contains(&Step::Lock);
                    let marker = if locked { "locked" } else { "loaded" };
                    found.answers.insert(Says::Marker, marker.to_owned());
                }
                _ => {}
            }
            self.did.push(step);
            Ok(found)
        }

        fn states(&self) -> &States {
            &self.states
        }

        fn parts(&self) -> &[Part] {
            &[]
        }

        fn locks(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_unit_that_took_anothers_place_is_not_locked_nor_passes_for_it() {
        for (ids, locked, passes) in [
            (&["00112233", "00112233"][..], true, true),
            (&["44556677"][..], false, false),
            (&["00112233", "44556677"][..], true, false),
        ] {
            let mut slot = Slot::with(ids);
            let device_id = DeviceId::parse("00112233").unwrap();
            let ended = lock(&mut slot, &device_id).await;
            assert_eq!(slot.did.contains(&Step::Lock), locked, "{ids:?}");
            assert_eq!(ended.is_ok(), passes, "{ids:?}");
            let swapped = matches!(ended, Err(UnitError::Wire(WireError::Swapped { .. })));
            assert_eq!(swapped, !passes, "{ids:?}");
        }
    }

    #[tokio::test]
    async fn a_count_of_boots_that_is_told_must_go_up() {
        for (boots, passes) in [
            (&["", ""][..], true), // it tells none: its reset step alone says so
            (&["0", "1"], true),
            (&["0", "0"], false),
            (&["7", "7"], false),
            (&["7", ""], false),
            (&["seven", "eight"], false),
        ] {
            let mut slot = Slot::with(&["00112233", "00112233"]);
            slot.boots = boots.iter().copied().collect();
            let ended = match greet(&mut slot).await {
                Ok(before) => reset(&mut slot, &before).await,
                Err(error) => Err(error),
            };
            assert_eq!(ended.is_ok(), passes, "{boots:?}");
        }
    }

    #[test]
    fn ids_are_hexadecimal_however_they_are_written() {
        for (said, expected) in [
            ("00:11:22:33", Some("00112233")),
            ("0011-AABB", Some("0011aabb")),
            ("867962041234567", Some("0867962041234567")),
            ("0x0011AABB", Some("0011aabb")),
            ("SN-0011AABB", None),
            ("0011AABBG", None),
            ("12", None),
            ("", None),
        ] {
            let id = device_id(said).ok();
            assert_eq!(id.as_ref().map(DeviceId::as_str), expected, "{said}");
        }
    }
}
