//! What is lost for good, put on record: the gap, what stations can prove of it, and what is blocked.
//!
//! A unit that a station proves is written again as what it was: with its order's place, its silicon
//! and its password, which is never issued again. What the rules refuse, or nobody proves, is blocked.
//! A crash on the way leaves a log whose gap is on record and whose server does not start; run again
//! with the same files, it goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use compliance::Product;
use ledger::{Ledger, Reader, Refused};
use traveler::{Blocked, Change, Event, LogRecovered, OperatorId, Recovered, Serial};

use super::journal::Journal;
use super::loss::Loss;
use super::order::OrderAgain;
use super::withdrawn::Withdrawn;
use crate::auth::sha256;
use crate::keys::LogKey;
use crate::line::now;
use crate::site::Site;

/// Entries in one transaction.
const BATCH: usize = 256;

/// What was written.
#[derive(Default)]
pub(super) struct Written {
    pub(super) recovered: u64,
    pub(super) blocked: BTreeMap<Serial, String>,
}

/// Who writes, and what they say.
pub(super) struct Said<'a> {
    pub(super) restored: u64,
    pub(super) by: &'a [OperatorId],
    pub(super) simulated: bool,
    pub(super) orders: &'a [OrderAgain],
    pub(super) products: &'a [String],
    pub(super) block: &'a [Serial],
}

/// Puts the loss on record.
pub(super) fn write(
    site: &Site,
    signer: &Arc<LogKey>,
    loss: &Loss,
    journals: &[Journal],
    said: &Said<'_>,
) -> Result<Written> {
    let mut pen = Pen {
        log: Ledger::open_unsigned(&site.ledger())?,
        signer,
        simulated: said.simulated,
    };
    let by: Vec<String> = said.by.iter().map(ToString::to_string).collect();
    if loss.unsaid {
        pen.one(Event::LogRecovered(Box::new(LogRecovered {
            restored: said.restored,
            kept: loss.kept,
            remembered: loss.remembered,
            lost: loss.lost(),
            token_mark: loss.token_mark,
            checkpoints: loss.unnamed.clone(),
            journals: journals.iter().map(Journal::used).collect(),
            statement: loss.statement(),
            by: by.clone(),
        })))?
        .context("the recovery is not taken")?;
    }
    give_orders_again(&mut pen, said, &by)?;
    let mut written = Written::default();
    let mut blocks: Vec<Blocked> = Vec::new();
    let reader = pen.log.reader()?;
    let withdrawn = Withdrawn::by(&reader, &loss.units, now())?;
    drop(reader);
    for batch in withdrawn.in_order(&loss.units).chunks(BATCH) {
        pen.units(batch, &withdrawn, &mut written, &mut blocks)?;
    }
    blocks.extend(loss.unproven.values().cloned());
    blocks.extend(not_yet_blocked(&pen.log.reader()?, said.block)?);
    for block in blocks {
        let (serial, reason) = (block.serial.clone(), block.reason.clone());
        let block = Blocked {
            by: by.clone(),
            ..block
        };
        pen.one(Event::SerialBlocked(Box::new(block)))?
            .with_context(|| format!("serial {serial} is not blocked"))?;
        written.blocked.insert(serial, reason);
    }
    pen.log.close()?;
    Ok(written)
}

/// The serials that a person names, but for those that a run before this one has blocked.
fn not_yet_blocked(reader: &Reader, serials: &[Serial]) -> Result<Vec<Blocked>> {
    let mut blocks = Vec::new();
    for serial in serials {
        if reader.blocks(serial)?.is_empty() {
            blocks.push(Blocked {
                serial: serial.clone(),
                device_id: None,
                reason: "it may be in the field and is in no record".to_owned(),
                by: Vec::new(),
                evidence: None,
            });
        }
    }
    Ok(blocks)
}

struct Pen<'a> {
    log: Ledger,
    signer: &'a Arc<LogKey>,
    simulated: bool,
}

impl Pen<'_> {
    fn change(&self, events: Vec<Event>) -> Change {
        Change {
            time: now(),
            simulated_hsm: self.simulated,
            events,
        }
    }

    fn one(&mut self, event: Event) -> Result<Result<(), Refused>> {
        let change = self.change(vec![event]);
        let written = self.log.append(&[change], self.signer.as_ref())?;
        Ok(written.into_iter().try_for_each(|one| one.map(drop)))
    }

    /// Writes lost entries again; what the rules refuse is blocked.
    fn units(
        &mut self,
        batch: &[&Recovered],
        withdrawn: &Withdrawn,
        written: &mut Written,
        blocks: &mut Vec<Blocked>,
    ) -> Result<()> {
        let changes: Vec<Change> = batch
            .iter()
            .map(|one| {
                let again = Event::Recovered(Box::new((*one).clone()));
                self.change(withdrawn.around(&one.entry.event, again))
            })
            .collect();
        for (one, outcome) in batch
            .iter()
            .zip(self.log.append(&changes, self.signer.as_ref())?)
        {
            let Err(refused) = outcome else {
                written.recovered += 1;
                continue;
            };
            let event = &one.entry.event;
            let Some(serial) = event.serial() else {
                continue;
            };
            let minted = matches!(event, Event::Issued(_) | Event::Leased(_));
            // The first refusal says why; the steps behind it are refused for want of it.
            if blocks.iter().any(|block| block.serial == *serial) {
                continue;
            }
            let reason = format!("lost entry {} cannot stand: {refused}", one.entry.seq);
            blocks.push(Blocked {
                serial: serial.clone(),
                device_id: event.step().map(|(step, _)| step.device_id.clone()),
                reason: reason.chars().take(400).collect(),
                by: Vec::new(),
                evidence: minted.then(|| Box::new((*one).clone())),
            });
        }
        Ok(())
    }
}

/// Products and orders that were made after the copy, given again by who made them.
fn give_orders_again(pen: &mut Pen<'_>, said: &Said<'_>, by: &[String]) -> Result<()> {
    let by = by.join(" and ");
    for definition in said.products {
        let product = Product::parse(definition).context("--product")?;
        let product_sha256 = sha256(definition.as_bytes());
        let known = pen.log.reader()?.definition(&product_sha256)?;
        if known.is_none() {
            pen.one(Event::ProductApplied {
                product: product.sku,
                product_sha256,
                definition: definition.clone(),
                by: by.clone(),
            })?
            .context("--product")?;
        }
    }
    for again in said.orders {
        let reader = pen.log.reader()?;
        if reader.order(&again.order)?.is_some() {
            continue;
        }
        let Some(row) = reader.product(&again.product)? else {
            bail!(
                "product {} is not known: give its --product FILE",
                again.product
            );
        };
        pen.one(Event::OrderCreated {
            order: again.order.clone(),
            product: again.product.clone(),
            product_sha256: row.product_sha256,
            quantity: again.quantity,
            allowance: again.allowance,
            by: by.clone(),
        })?
        .with_context(|| format!("--order {}", again.order))?;
    }
    Ok(())
}
