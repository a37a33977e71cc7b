//! What the server has yet to hear of units that went on without it.
//!
//! `outbox/SERIAL.json` holds the steps of one attempt, in their order. A step is on disk before
//! whatever relies on it: a unit is locked when its confirm is here, and PASS is shown when its seal
//! is. A step is taken off when the server's log has proven it, and the file goes with the last. So
//! a crash costs a repeat, which the server answers as it did before.
//!
//! What the server refuses is never dropped: the record is put on hold, with the reason, until a
//! person has looked at the unit. No secret is here: a receipt is signed, not secret.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use traveler::{Attempt, DeviceId, Digest, Mac, OrderId, Serial, Timestamp, VoidCause};

use crate::damaged::{Damaged, apart, one_of};
use crate::durable;
use crate::failure::Failure;
use crate::journal::{JournalError, Open, io_error, write_json};

/// One step that the server is told of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum Told {
    /// A leased credential was given to this unit.
    Spend(Spend),
    /// The unit holds it.
    Confirm(Confirm),
    /// Its label is printed again.
    Reprint {
        reprint: u32,
        reason: String,
        operator: String,
    },
    /// Its label was matched; the attempt is closed.
    Seal {
        label_scanned: bool,
        reprint: u32,
        operator: String,
    },
    /// It is withdrawn.
    Void {
        cause: VoidCause,
        scrap: bool,
        operator: String,
    },
    /// Two people broke its seal: it goes to rework, or will not ship.
    BreakSeal {
        /// The badge of the lead, and of whoever agrees.
        by: [String; 2],
        scrap: bool,
    },
}

/// To whom a leased credential was given, and when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Spend {
    pub(crate) macs: Vec<Mac>,
    pub(crate) model: String,
    pub(crate) revision: String,
    pub(crate) slot: String,
    pub(crate) operator: String,
    /// By this station's clock; advisory.
    pub(crate) released: Timestamp,
}

/// A unit's receipt, or what the station read back where the profile says so.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Confirm {
    pub(crate) bundle_sha256: Digest,
    #[serde(with = "crate::as_base64")]
    pub(crate) signature: Vec<u8>,
    #[serde(with = "crate::as_base64")]
    pub(crate) public_key: Vec<u8>,
    pub(crate) profile_sha256: Option<Digest>,
    pub(crate) operator: String,
}

impl Told {
    /// Whether this is the same step, whoever took it: it is not told twice.
    fn repeats(&self, other: &Told) -> bool {
        match (self, other) {
            (Told::Reprint { reprint: a, .. }, Told::Reprint { reprint: b, .. }) => a == b,
            (Told::BreakSeal { scrap: a, .. }, Told::BreakSeal { scrap: b, .. }) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// Which attempt of which unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct About {
    pub(crate) serial: Serial,
    pub(crate) order: OrderId,
    pub(crate) device_id: DeviceId,
    pub(crate) attempt: Attempt,
}

impl About {
    pub(crate) fn of(open: &Open, attempt: Attempt) -> About {
        About {
            serial: open.serial.clone(),
            order: open.order.clone(),
            device_id: open.device_id.clone(),
            attempt,
        }
    }
}

/// Why a record waits for a person.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The reason the server gave.
    pub reason: String,
    /// Its words.
    pub message: String,
}

impl Hold {
    pub(crate) fn failure(self, serial: &Serial) -> Failure {
        Failure::Hold {
            serial: serial.clone(),
            reason: self.reason,
            message: self.message,
        }
    }
}

/// All the server has yet to hear of one attempt.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    pub(crate) serial: Serial,
    pub(crate) order: OrderId,
    pub(crate) device_id: DeviceId,
    pub(crate) attempt: Attempt,
    /// In their order; never empty.
    pub(crate) steps: Vec<Told>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<Hold>,
}

impl Upload {
    fn new(about: &About) -> Upload {
        Upload {
            serial: about.serial.clone(),
            order: about.order.clone(),
            device_id: about.device_id.clone(),
            attempt: about.attempt,
            steps: Vec::new(),
            hold: None,
        }
    }

    pub(crate) fn about(&self) -> About {
        About {
            serial: self.serial.clone(),
            order: self.order.clone(),
            device_id: self.device_id.clone(),
            attempt: self.attempt,
        }
    }

    /// Whether the unit was sealed, as far as this station goes; the seal may be broken since.
    pub(crate) fn seals(&self) -> bool {
        matches!(
            self.steps.last(),
            Some(Told::Seal { .. } | Told::BreakSeal { .. })
        )
    }

    /// What two people decided about it after it was sealed: whether it is scrapped.
    pub(crate) fn broken(&self) -> Option<bool> {
        match self.steps.last() {
            Some(Told::BreakSeal { scrap, .. }) => Some(*scrap),
            _ => None,
        }
    }

    /// Whether the server is yet to hear to whom its credential was given.
    pub(crate) fn spends(&self) -> bool {
        matches!(self.steps.first(), Some(Told::Spend(_)))
    }

    /// Whether its unit is free for another serial: withdrawn, and not scrapped.
    pub(crate) fn frees(&self) -> bool {
        matches!(self.steps.last(), Some(Told::Void { scrap: false, .. }))
    }

    /// Whether it was withdrawn.
    pub(crate) fn voids(&self) -> bool {
        matches!(self.steps.last(), Some(Told::Void { .. }))
    }
}

/// The folder of them. Each change is one short file under a lock; no call is made under it.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    dir: PathBuf,
}

impl Outbox {
    pub(crate) fn new(dir: PathBuf) -> Outbox {
        Outbox { dir }
    }

    /// Everything there is to tell, by serial.
    pub(crate) fn all(&self) -> Result<Vec<Upload>, JournalError> {
        Ok(self.read()?.0)
    }

    /// Those whose file cannot be used.
    pub(crate) fn damaged(&self) -> Result<Vec<Damaged>, JournalError> {
        Ok(self.read()?.1)
    }

    fn read(&self) -> Result<(Vec<Upload>, Vec<Damaged>), JournalError> {
        apart(&self.dir, |upload: &Upload| &upload.serial)
    }

    /// What there is to tell of one serial.
    pub(crate) fn of(&self, serial: &Serial) -> Result<Option<Upload>, JournalError> {
        one_of(&self.path(serial), serial, |upload: &Upload| &upload.serial)
    }

    /// Puts a step behind those before it; on disk when this returns. A repeat changes nothing.
    pub(crate) fn put(&self, about: &About, told: &Told) -> Result<(), JournalError> {
        let _one_at_a_time = self.lock()?;
        let mut upload = self
            .of(&about.serial)?
            .unwrap_or_else(|| Upload::new(about));
        if upload.about() != *about {
            return Err(JournalError::Damaged {
                path: self.path(&about.serial).display().to_string(),
                what: format!("it is of attempt {} of another unit", upload.attempt),
            });
        }
        if upload.steps.iter().any(|before| before.repeats(told)) {
            return Ok(());
        }
        upload.steps.push(told.clone());
        write_json(&self.path(&about.serial), &upload)
    }

    /// Takes the first step off, when it is this one: the server's log has it.
    pub(crate) fn heard(&self, serial: &Serial, told: &Told) -> Result<(), JournalError> {
        self.change(serial, |upload| {
            if upload.steps.first() == Some(told) {
                upload.steps.remove(0);
            }
        })
    }

    /// Takes the last step off, when it is of this kind: it was refused, and nothing came of it here.
    pub(crate) fn take_back(&self, serial: &Serial, told: &Told) -> Result<(), JournalError> {
        self.change(serial, |upload| {
            upload.steps.pop_if(|last| last.repeats(told));
            upload.hold = None;
        })
    }

    /// Puts a record on hold for its first step, when it is this one still.
    pub(crate) fn refuse(
        &self,
        serial: &Serial,
        told: &Told,
        hold: &Hold,
    ) -> Result<(), JournalError> {
        self.change(serial, |upload| {
            if upload.steps.first() == Some(told) {
                upload.hold = Some(hold.clone());
            }
        })
    }

    /// Puts a record on hold, or takes it off.
    pub(crate) fn hold(&self, serial: &Serial, hold: Option<Hold>) -> Result<(), JournalError> {
        self.change(serial, |upload| upload.hold = hold)
    }

    fn change(
        &self,
        serial: &Serial,
        change: impl FnOnce(&mut Upload),
    ) -> Result<(), JournalError> {
        let _one_at_a_time = self.lock()?;
        let Some(before) = self.of(serial)? else {
            return Ok(()); // somebody else was as fast
        };
        let mut upload = before.clone();
        change(&mut upload);
        let path = self.path(serial);
        if upload.steps.is_empty() {
            return durable::remove(&path).map_err(io_error(&path));
        }
        match upload == before {
            true => Ok(()),
            false => write_json(&path, &upload),
        }
    }

    /// Moves a record out of the way for good, where it is kept: a person has settled it.
    pub(crate) fn lay_aside(&self, serial: &Serial, folder: &Path) -> Result<(), JournalError> {
        let _one_at_a_time = self.lock()?;
        let Some(upload) = self.of(serial)? else {
            return Ok(());
        };
        durable::make_folder(folder).map_err(io_error(folder))?;
        write_json(&folder.join(format!("{serial}.outbox.json")), &upload)?;
        let path = self.path(serial);
        durable::remove(&path).map_err(io_error(&path))
    }

    fn path(&self, serial: &Serial) -> PathBuf {
        self.dir.join(format!("{serial}.json"))
    }

    fn lock(&self) -> Result<File, JournalError> {
        durable::make_folder(&self.dir).map_err(io_error(&self.dir))?;
        let path = self.dir.join("lock");
        durable::lock(&path).map_err(io_error(&path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn about(device_id: &str) -> About {
        About {
            serial: Serial::parse("A47").unwrap(),
            order: OrderId::parse("WO-1").unwrap(),
            device_id: DeviceId::parse(device_id).unwrap(),
            attempt: Attempt::FIRST,
        }
    }

    fn seal() -> Told {
        Told::Seal {
            label_scanned: true,
            reprint: 0,
            operator: "B-7".into(),
        }
    }

    fn reprint(reprint: u32) -> Told {
        Told::Reprint {
            reprint,
            reason: "torn".into(),
            operator: "B-7".into(),
        }
    }

    fn confirm() -> Told {
        Told::Confirm(Confirm {
            bundle_sha256: Digest([1; 32]),
            signature: vec![1],
            public_key: vec![],
            profile_sha256: None,
            operator: String::new(),
        })
    }

    #[test]
    fn steps_stay_in_order_are_told_once_and_go_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path().join("outbox"));
        let unit = about("00112233");
        let steps = [confirm(), reprint(1), reprint(2), seal()];
        for told in steps.iter().chain(&steps) {
            outbox.put(&unit, told).unwrap();
        }
        let kept = outbox.of(&unit.serial).unwrap().unwrap();
        assert_eq!(kept.steps, steps);
        assert!(kept.seals() && !kept.voids());
        outbox.heard(&unit.serial, &seal()).unwrap(); // not its turn
        for (at, told) in steps.iter().enumerate() {
            assert_eq!(outbox.all().unwrap()[0].steps, steps[at..]);
            outbox.heard(&unit.serial, told).unwrap();
            outbox.heard(&unit.serial, &confirm()).unwrap(); // a repeat
        }
        assert_eq!(outbox.all().unwrap(), []);
    }

    #[test]
    fn another_unit_of_the_same_serial_is_never_mixed_in() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path().to_owned());
        outbox.put(&about("00112233"), &confirm()).unwrap();
        let error = outbox.put(&about("00112244"), &seal()).unwrap_err();
        assert!(error.to_string().contains("another unit"), "{error}");
        assert_eq!(outbox.all().unwrap()[0].steps, [confirm()]);
    }

    #[test]
    fn what_is_on_hold_is_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path().join("outbox"));
        let unit = about("00112233");
        outbox.put(&unit, &confirm()).unwrap();
        let hold = Hold {
            reason: "UNIT_IN_USE".into(),
            message: "it carries A48".into(),
        };
        outbox.hold(&unit.serial, Some(hold.clone())).unwrap();
        outbox.put(&unit, &seal()).unwrap();
        let kept = outbox.of(&unit.serial).unwrap().unwrap();
        assert_eq!((kept.hold, kept.steps.len()), (Some(hold), 2));
        let lost = folder.path().join("lost");
        outbox.lay_aside(&unit.serial, &lost).unwrap();
        assert_eq!(outbox.all().unwrap(), []);
        let text = fs::read_to_string(lost.join("A47.outbox.json")).unwrap();
        assert!(
            text.contains("UNIT_IN_USE") && text.contains("\"seal\""),
            "{text}"
        );
    }

    /// Old stations' records must stay readable: if this fails, change the code, not the text.
    #[test]
    fn the_bytes_of_a_record() {
        let mut upload = Upload::new(&about("00112233"));
        upload.steps = vec![
            Told::Spend(Spend {
                macs: vec![Mac([2, 0, 0, 0, 0, 1])],
                model: "M".into(),
                revision: String::new(),
                slot: "1".into(),
                operator: "B-7".into(),
                released: Timestamp::from_unix_ms(1_000),
            }),
            confirm(),
            Told::Void {
                cause: VoidCause::ReadBack,
                scrap: true,
                operator: String::new(),
            },
            Told::BreakSeal {
                by: ["L-1".into(), "Q-1".into()],
                scrap: false,
            },
        ];
        let expected = format!(
            "{{\"serial\":\"A47\",\"order\":\"WO-1\",\"device_id\":\"00112233\",\"attempt\":1,\
             \"steps\":[{{\"step\":\"spend\",\
             \"macs\":[\"02:00:00:00:00:01\"],\"model\":\"M\",\"revision\":\"\",\"slot\":\"1\",\
             \"operator\":\"B-7\",\"released\":\"1970-01-01T00:00:01.000Z\"}},\
             {{\"step\":\"confirm\",\"bundle_sha256\":\"{}\",\"signature\":\"AQ==\",\"public_key\":\"\",\
             \"profile_sha256\":null,\"operator\":\"\"}},{{\"step\":\"void\",\
             \"cause\":\"read_back\",\"scrap\":true,\"operator\":\"\"}},\
             {{\"step\":\"break_seal\",\"by\":[\"L-1\",\"Q-1\"],\"scrap\":false}}]}}",
            "01".repeat(32)
        );
        assert_eq!(serde_json::to_string(&upload).unwrap(), expected);
    }
}
