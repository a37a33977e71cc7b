//! The end of an attempt: the server hears that the unit holds its bundle, the label is matched, the
//! attempt is sealed.

use api::{Reason, v1};
use credential::Password;
use label::parse_scan;
use traveler::{Attempt, Serial, Slot};
use wire::{Answer, Facts, Receipt, UnitState};
use zeroize::Zeroizing;

use crate::begin::Credential;
use crate::calls::{CallError, Provisioning};
use crate::failure::Failure;
use crate::journal::{Claim, Issued, Open, Reached};
use crate::outbox::{About, Confirm, Told};
use crate::port::Port;
use crate::printer::Printout;
use crate::printout;
use crate::provision::Run;
use crate::report::ReadBack;
use crate::seams::{Labels, Progress, Scanner, Stage};
use crate::unit::Unit;

impl<S, P, C, L, O> Run<'_, S, P, C, L, O>
where
    S: Provisioning,
    P: Port,
    C: Scanner,
    L: Labels,
    O: Progress,
{
    /// Hands the receipt over: no PASS without proof, or without it being on record here when the
    /// server is away.
    pub(crate) async fn confirm(
        &mut self,
        credential: &Credential,
        receipt: Receipt,
    ) -> Result<(), Failure> {
        self.stage(Stage::Confirm);
        let (signature, public_key) = match (receipt.signature, receipt.public_key) {
            (Some(signature), Some(public_key)) => (signature, public_key),
            _ => Default::default(),
        };
        // Said as it is: a station's reading is not a unit's proof.
        let read_back_by = self.way.as_ref().map(|profile| profile.sha256);
        let confirm = Told::Confirm(Confirm {
            bundle_sha256: receipt.digest,
            signature,
            public_key,
            profile_sha256: read_back_by,
            operator: self.desk.badge(),
        });
        let about = About::of(&credential.open, credential.attempt);
        self.tell(credential.leased, &about, &confirm).await?;
        self.report.read_back = Some(match read_back_by {
            None => ReadBack::Unit,
            Some(_) => ReadBack::Station,
        });
        let profile = self.way.as_ref();
        self.report.not_locked = profile.and_then(|it| it.unlocked().map(str::to_owned));
        Ok(())
    }

    /// Prints the label once, and lets the unit itself say whether the one that was scanned is its
    /// own.
    ///
    /// A print that was begun is never begun again here: it would be a second label of the same
    /// number. Whether the first came out is settled by a scan of it, or by a reprint.
    pub(crate) async fn label(
        &mut self,
        claim: &mut Claim,
        unit: &mut Unit<P::Stream>,
        order: &v1::OpenOrderResponse,
        credential: &Credential,
    ) -> Result<(), Failure> {
        let (reached, reprint) = label_of(claim);
        if reached >= Reached::Matched {
            return Ok(());
        }
        let doubt = match reached {
            Reached::Labelled => None,
            // Whatever printer this run has: the one before may have put a label out.
            Reached::Printing => self.begun(claim, order, credential, reprint)?,
            _ => self.print(claim, order, credential, reprint).await?,
        };
        // Not before: whoever is asked to scan must have what to scan.
        self.stage(doubt.as_ref().map_or(Stage::Label, |_| Stage::Printer));
        let serial = &self.job.serial;
        let scanned = self.scanner.scan(serial).await.map_err(Failure::Printer)?;
        let text = scanned.ok_or_else(|| doubt.map_or(Failure::NoScan, Failure::LabelUnknown))?;
        let scanned = read_label(serial, reprint, &text)?;
        // First held against what was issued: a unit that says yes to everything proves nothing.
        if !same(&scanned, &credential.bundle.password) {
            return Err(Failure::WrongLabel(format!(
                "the label that was scanned for {serial} is not the one of this attempt"
            )));
        }
        match unit.check(&scanned, credential).await? {
            Answer::Yes => Ok(claim.reach(Reached::Matched)?),
            Answer::No => Err(Failure::WrongLabel(format!(
                "the unit says no to the label that was scanned for {serial}"
            ))),
        }
    }

    /// Prints, and says why it is not known whether a label came out, when it is not.
    async fn print(
        &mut self,
        claim: &mut Claim,
        order: &v1::OpenOrderResponse,
        credential: &Credential,
        reprint: u32,
    ) -> Result<Option<String>, Failure> {
        let zpl = self.draw(order, credential, reprint)?;
        let label = printout_of(credential, reprint, &zpl);
        printout::print(self.labels, claim, &label).await
    }

    /// The same of a print that a run before this one began: known only when the label still lies
    /// where this printer keeps it.
    fn begun(
        &self,
        claim: &mut Claim,
        order: &v1::OpenOrderResponse,
        credential: &Credential,
        reprint: u32,
    ) -> Result<Option<String>, Failure> {
        let zpl = self.draw(order, credential, reprint)?;
        if self.labels.holds(&printout_of(credential, reprint, &zpl)) {
            claim.reach(Reached::Labelled)?;
            return Ok(None);
        }
        Ok(Some("its print was begun before".to_owned()))
    }

    fn draw(
        &self,
        order: &v1::OpenOrderResponse,
        credential: &Credential,
        reprint: u32,
    ) -> Result<Zeroizing<String>, Failure> {
        let slot = Slot::parse(self.port.slot()).ok();
        let (open, bundle) = (&credential.open, &credential.bundle);
        printout::draw(order, open, bundle, slot.as_ref(), reprint)
    }

    /// Closes the attempt; the record is closed last. A repeat of the call answers the same.
    ///
    /// That the unit is locked is put on record while the server works, where no label stands between.
    /// Crash in between: the server may have it as sealed and the record says less. Its slot takes no
    /// other unit until this one was put back and has said itself that it is locked.
    pub(crate) async fn seal(
        &mut self,
        claim: &mut Claim,
        open: &Open,
        attempt: Attempt,
        label_scanned: bool,
    ) -> Result<(), Failure> {
        self.stage(Stage::Seal);
        let leased = claim.open().is_some_and(Open::is_leased);
        let seal = Told::Seal {
            label_scanned,
            reprint: label_of(claim).1,
            operator: self.desk.badge(),
        };
        let about = About::of(open, attempt);
        // Whoever comes back to a sealed unit has no earlier step of it proven again.
        self.desk.home.seen().keep_due()?;
        if leased {
            claim.reach(Reached::Locked)?; // the outbox is not the server: it must not be ahead
        }
        let telling = self.tell(leased, &about, &seal);
        let (told, locked) = tokio::join!(telling, async { claim.reach(Reached::Locked) });
        if let Err(failure) = told {
            return Err(self.not_sealed(claim, failure));
        }
        locked?;
        self.desk.close(claim)
    }

    /// A reprint that the server has on record may be unknown here: the station lost its power before
    /// the reply. Then the label that was scanned is void, and the reprint has to be asked for again.
    fn not_sealed(&self, claim: &mut Claim, failure: Failure) -> Failure {
        let (reached, reprint) = label_of(claim);
        let void = matches!(&failure, Failure::Call(CallError::Refused { reason, .. })
            if *reason == Reason::VoidLabel);
        if !void || reached != Reached::Matched {
            return failure;
        }
        if let Err(disk) = claim.unmatched() {
            return disk.into();
        }
        Failure::VoidLabel {
            serial: self.job.serial.clone(),
            scanned: format!("R{reprint}"),
            newest: format!("R{}", reprint + 1),
        }
    }

    /// The reply to the last seal was lost. What is left is to see that the unit is locked.
    pub(crate) async fn close_sealed(
        &mut self,
        claim: &mut Claim,
        unit: &mut Unit<P::Stream>,
        facts: &Facts,
        open: &Open,
        issued: &Issued,
    ) -> Result<(), Failure> {
        self.report.attempt = Some(issued.attempt);
        self.report.certificate_sha256 = Some(issued.certificate_sha256);
        if facts.state != UnitState::Locked {
            self.stage(Stage::Lock);
            unit.lock(&open.device_id, issued.bundle_sha256).await?;
            claim.reach(Reached::Locked)?;
        }
        let label_scanned = issued.reached >= Reached::Matched;
        self.seal(claim, open, issued.attempt, label_scanned).await
    }
}

fn printout_of<'a>(credential: &'a Credential, reprint: u32, zpl: &'a str) -> Printout<'a> {
    Printout {
        serial: &credential.open.serial,
        attempt: credential.attempt,
        reprint,
        zpl,
    }
}

/// How far the label of the attempt in hand is, and its number.
fn label_of(claim: &Claim) -> (Reached, u32) {
    let issued = claim.open().and_then(|open| open.issued.as_ref());
    issued.map_or((Reached::Locked, 0), |issued| {
        (issued.reached, issued.reprint)
    })
}

/// The password on the newest label of this serial. Says nothing of it when the label is another's.
fn read_label(serial: &Serial, newest: u32, text: &str) -> Result<Password, Failure> {
    let wrong = |what: String| Failure::WrongLabel(what);
    let scan = parse_scan(text).ok_or_else(|| wrong("what was scanned is no label".to_owned()))?;
    if scan.serial != *serial {
        return Err(wrong(format!(
            "the label of {} was scanned for {serial}",
            scan.serial
        )));
    }
    if scan.reprint != newest {
        return Err(Failure::VoidLabel {
            serial: scan.serial,
            scanned: format!("R{}", scan.reprint),
            newest: format!("R{newest}"),
        });
    }
    let password = scan.password.expose(Password::parse);
    password.map_err(|error| wrong(error.to_string()))
}

/// Whether two passwords read the same, in a time that does not depend on where they differ.
fn same(a: &Password, b: &Password) -> bool {
    a.folded(|a| {
        b.folded(|b| a.len() == b.len() && a.iter().zip(b).fold(0, |d, (a, b)| d | (a ^ b)) == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let serial = Serial::parse("A47").unwrap();
        let error = read_label(&serial, 1, text).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("K7QD"), "{error}");
    }

    #[test]
    fn another_label_is_named_without_its_secret() {
        check("A47", "no label");
        check("BM1:A48:K7QDM2X9TR4W", "label of A48");
        check("BM1:A47:K7QDM2X9TR4W", "label R0 of A47 is void, R1 counts");
        check("BM1:A47:K7QDM2X9TR4W R2", "label R2 of A47 is void");
    }
}
