//! A unit's label as its printer gets it, and the record that is kept around a print.

use std::io;

use api::v1;
use credential::Bundle;
use label::{Gtin, Label, SsidPattern, Template};
use traveler::{Sku, Slot};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::journal::{Claim, Open, Reached};
use crate::printer::{Labels, Printout, Taken};

/// Draws the label of an attempt.
pub(crate) fn draw(
    order: &v1::OpenOrderResponse,
    open: &Open,
    bundle: &Bundle,
    slot: Option<&Slot>,
    reprint: u32,
) -> Result<Zeroizing<String>, Failure> {
    let product = Sku::parse(&order.product).map_err(|e| Failure::BadReply(e.to_string()))?;
    let no_label = |why: &dyn std::fmt::Display| Failure::NoLabel(why.to_string());
    let spec = order.label_spec.as_ref();
    let said = |field: fn(&v1::LabelSpec) -> &String| {
        spec.map(field)
            .filter(|text| !text.is_empty())
            .map(String::as_str)
    };
    let template = match said(|spec| &spec.template) {
        Some(text) => Template::parse(text),
        None => Template::standard(), // an older server says nothing of labels
    };
    let template = template.map_err(|e| no_label(&e))?;
    let gtin = said(|spec| &spec.gtin).map(Gtin::parse).transpose();
    let gtin = gtin.map_err(|e| no_label(&e))?;
    let longest = open.serial.as_str().len();
    let ssid = said(|spec| &spec.ssid).map(|text| SsidPattern::parse(text, longest));
    let ssid = ssid.transpose().map_err(|e| no_label(&e))?;
    let ssid = ssid.map(|pattern| pattern.of(&open.serial));
    let zpl = bundle.password.expose(|password| {
        let label = Label {
            serial: &open.serial,
            product: &product,
            name: said(|spec| &spec.name).unwrap_or(&order.model),
            attempt: bundle.attempt,
            password,
            slot,
            reprint,
            ssid: ssid.as_deref(),
            gtin: gtin.as_ref(),
        };
        match spec.is_some_and(|spec| spec.raster) {
            true => Ok(label.raster(&template, template.dots_per_mm())?.to_zpl()),
            false => label.to_zpl(&template),
        }
    });
    zpl.map_err(|e| no_label(&e))
}

/// Prints, and says why it is not known whether a label came out, when it is not.
///
/// The record is ahead of the first byte: a crash from then on leaves a label that may exist, and
/// only a print that surely brought none is taken back. So it is for every printer, a folder too:
/// what feeds from it may have taken the label before the crash, and the next run may have another.
pub(crate) async fn print(
    labels: &mut impl Labels,
    claim: &mut Claim,
    label: &Printout<'_>,
) -> Result<Option<String>, Failure> {
    let mut kept = Ok(());
    let mut begin = || {
        kept = claim.reach(Reached::Printing);
        match kept {
            Ok(()) => Ok(()),
            Err(_) => Err(io::Error::other("the station's disk")),
        }
    };
    let printed = labels.print(label, &mut begin).await;
    kept?;
    match printed {
        Ok(Taken::Printed) => {
            claim.reach(Reached::Labelled)?;
            Ok(None)
        }
        Ok(Taken::Unknown(why)) => Ok(Some(why)),
        Err(error) => {
            claim.unprinted()?;
            Err(Failure::Printer(error))
        }
    }
}
