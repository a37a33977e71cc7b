//! The end of an attempt: the server hears that the unit holds its bundle, the label is matched, the
//! attempt is sealed.

use api::v1;
use credential::Password;
use label::{Label, Template, parse_scan};
use traveler::{Attempt, Event, Serial, Sku, Slot, State};
use wire::{Answer, Check, Facts, Lock, Receipt, UnitState};

use crate::begin::Credential;
use crate::calls::Provisioning;
use crate::drive::Line;
use crate::failure::Failure;
use crate::journal::{Claim, Issued, Open, Reached};
use crate::port::Port;
use crate::provision::Run;
use crate::seams::{Labels, Progress, Scanner, Stage};
use crate::settle::device_id_bytes;

impl<S, P, C, L, O> Run<'_, S, P, C, L, O>
where
    S: Provisioning,
    P: Port,
    C: Scanner,
    L: Labels,
    O: Progress,
{
    /// Hands the receipt over and takes no PASS without proof.
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
        let request = v1::ConfirmRequest {
            serial: self.job.serial.to_string(),
            attempt: credential.attempt.0,
            device_id: device_id_bytes(&receipt.device_id),
            bundle_sha256: receipt.digest.0.to_vec(),
            signature,
            public_key,
            operator: self.desk.badge(),
        };
        let seen = self.desk.home.seen();
        let before = seen.size()?;
        let proof = self.desk.calls.confirm(request).await?;
        let step = self.desk.step(&credential.open, credential.attempt);
        let proven = seen.verify(before, &proof, &step, &[State::Loaded])?;
        self.report.index = Some(proven.index);
        match proven.event.happened() {
            Event::Loaded { bundle_sha256, .. } if *bundle_sha256 == credential.bundle_sha256 => {
                Ok(())
            }
            _ => Err(Failure::BadReply(
                "it recorded another bundle than it gave".to_owned(),
            )),
        }
    }

    /// Prints the label once, and lets the unit itself say whether the one that was scanned is its
    /// own.
    pub(crate) async fn label(
        &mut self,
        claim: &mut Claim,
        line: &mut Line<P::Stream>,
        order: &v1::OpenOrderResponse,
        credential: &Credential,
    ) -> Result<(), Failure> {
        let reached = claim
            .open()
            .and_then(|open| open.issued.as_ref())
            .map_or(Reached::Locked, |issued| issued.reached);
        if !order.label || reached >= Reached::Matched {
            return Ok(());
        }
        if reached < Reached::Labelled {
            self.print(order, credential)?;
            // Crash before this line: the same label is given to the printer once more.
            claim.reach(Reached::Labelled)?;
        }
        self.stage(Stage::Label); // not before: whoever is asked to scan must have what to scan
        let serial = &self.job.serial;
        let scanned = self.scanner.scan(serial).await.map_err(Failure::Printer)?;
        let text = scanned.ok_or(Failure::NoScan)?;
        let scanned = read_label(serial, &text)?;
        // First held against what was issued: a unit that says yes to everything proves nothing.
        if !same(&scanned, &credential.bundle.password) {
            return Err(Failure::WrongLabel(format!(
                "the label that was scanned for {serial} is not the one of this attempt"
            )));
        }
        match line.drive(Check::new(&scanned)).await? {
            Answer::Yes => Ok(claim.reach(Reached::Matched)?),
            Answer::No => Err(Failure::WrongLabel(format!(
                "the unit says no to the label that was scanned for {serial}"
            ))),
        }
    }

    fn print(
        &mut self,
        order: &v1::OpenOrderResponse,
        credential: &Credential,
    ) -> Result<(), Failure> {
        let product = Sku::parse(&order.product).map_err(|e| Failure::BadReply(e.to_string()))?;
        let slot = Slot::parse(self.port.path()).ok();
        let template = Template::standard().map_err(|error| Failure::NoLabel(error.to_string()))?;
        let zpl = credential.bundle.password.expose(|password| {
            let label = Label {
                serial: &credential.open.serial,
                product: &product,
                name: &order.model,
                attempt: credential.attempt,
                password,
                slot: slot.as_ref(),
                reprint: 0,
                ssid: None,
                gtin: None,
            };
            label.to_zpl(&template)
        });
        let zpl = zpl.map_err(|error| Failure::NoLabel(error.to_string()))?;
        self.labels
            .print(&credential.open.serial, credential.attempt, &zpl)
            .map_err(Failure::Printer)
    }

    /// Closes the attempt; the record is closed last. A repeat of the call answers the same.
    pub(crate) async fn seal(
        &mut self,
        claim: &mut Claim,
        open: &Open,
        attempt: Attempt,
        label_scanned: bool,
    ) -> Result<(), Failure> {
        self.stage(Stage::Seal);
        let request = v1::SealRequest {
            serial: open.serial.to_string(),
            attempt: attempt.0,
            device_id: device_id_bytes(&open.device_id),
            label_scanned,
            operator: self.desk.badge(),
        };
        let seen = self.desk.home.seen();
        let before = seen.size()?;
        let proof = self.desk.calls.seal(request).await?;
        let step = self.desk.step(open, attempt);
        let proven = seen.verify(before, &proof, &step, &[State::Sealed])?;
        self.report.index = Some(proven.index);
        Ok(claim.settle()?)
    }

    /// The reply to the last seal was lost. What is left is to see that the unit is locked.
    pub(crate) async fn close_sealed(
        &mut self,
        claim: &mut Claim,
        line: &mut Line<P::Stream>,
        facts: &Facts,
        open: &Open,
        issued: &Issued,
    ) -> Result<(), Failure> {
        self.report.attempt = Some(issued.attempt);
        self.report.certificate_sha256 = Some(issued.certificate_sha256);
        if facts.state != UnitState::Locked {
            self.stage(Stage::Lock);
            line.drive(Lock::new(issued.bundle_sha256)).await?;
            claim.reach(Reached::Locked)?;
        }
        let label_scanned = issued.reached >= Reached::Matched;
        self.seal(claim, open, issued.attempt, label_scanned).await
    }
}

/// The password on a label of this serial. Says nothing of it when the label is another's.
fn read_label(serial: &Serial, text: &str) -> Result<Password, Failure> {
    let wrong = |what: String| Failure::WrongLabel(what);
    let scan = parse_scan(text).ok_or_else(|| wrong("what was scanned is no label".to_owned()))?;
    if scan.serial != *serial {
        return Err(wrong(format!(
            "the label of {} was scanned for {serial}",
            scan.serial
        )));
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
        let error = read_label(&serial, text).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("K7QD"), "{error}");
    }

    #[test]
    fn another_label_is_named_without_its_secret() {
        check("A47", "no label");
        check("BM1:A48:K7QDM2X9TR4W", "label of A48");
    }
}
