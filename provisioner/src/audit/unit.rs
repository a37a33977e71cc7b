//! One unit's traveler, and the proof of each of its entries as files for people who trust nobody.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use ledger::{LeaseRow, Reader, UnitRow};
use serde_json::{Value, json};
use tlog::EntryProof;
use traveler::{Entry, Serial, VoidCause};

use super::{no_site, reader};
use crate::cli::{Format, print};
use crate::site::{self, Site};

/// `provisioner audit unit`
pub(super) fn run(site: &Site, serial: &Serial, out: Option<&Path>, format: Format) -> Result<()> {
    let reader = reader(site)?;
    let blocks = reader.blocks(serial)?;
    let (unit, lease) = (reader.unit(serial)?, reader.lease(serial)?);
    if unit.is_none() && lease.is_none() {
        if let Some(block) = blocks.first() {
            bail!(
                "serial {serial} is in no record and blocked since entry {}: a unit of that name may \
                 be in the field",
                block.seq
            );
        }
        bail!("serial {serial} was never issued here: check it, or name the server with --data");
    }
    let traveler = reader.traveler(serial)?;
    let entries: Vec<Value> = traveler
        .iter()
        .map(|bytes| serde_json::from_slice(bytes))
        .collect::<Result<_, _>>()
        .context("an entry is not JSON: run `provisioner audit verify`")?;
    let proofs = match out {
        Some(out) => prove(site, &reader, &traveler, out)?,
        None => Vec::new(),
    };
    let mut fact = stands(unit.as_ref());
    fact["serial"] = json!(serial.as_str());
    fact["lease"] = lease.as_ref().map_or(Value::Null, lease_json);
    fact["entries"] = json!(entries);
    fact["blocked_by"] = blocks.iter().map(|block| block.seq).collect();
    fact["proofs"] = json!(proofs);
    print(format, &fact, || {
        let mut text = match &unit {
            Some(row) => format!("{serial} is {} (attempt {})\n", row.state, row.attempt),
            None => format!("{serial} is no unit yet\n"),
        };
        text.push_str(&lease.as_ref().map_or_else(String::new, lease_line));
        entries
            .iter()
            .for_each(|entry| text.push_str(&entry_line(entry)));
        for block in &blocks {
            text.push_str(&format!(
                "  {:>8}  BLOCKED: nothing more is issued\n",
                block.seq
            ));
        }
        if let (Some(out), Some(first)) = (out, proofs.first()) {
            let out = out.display();
            text.push_str(&format!(
                "{} of {} entries with their proofs in {out}\nverify anywhere: provisioner audit \
                 verify --proof {out}/{} --vkey FILE\n",
                proofs.len(),
                entries.len(),
                first["proof"].as_str().unwrap_or_default(),
            ));
        }
        text
    })
}

/// Where the unit stands. Every name is there also when there is no unit yet, only a lease.
fn stands(unit: Option<&UnitRow>) -> Value {
    json!({
        "state": unit.map(|row| row.state.as_str()),
        "attempt": unit.map(|row| row.attempt.0),
        "device_id": unit.map(|row| row.device_id.as_str()),
        "order": unit.map(|row| row.order.as_str()),
        "station": unit.map(|row| row.station.as_str()),
        "certificate_sha256": unit.map(|row| row.certificate_sha256.to_string()),
    })
}

/// The newest lease of the serial, whatever became of it.
fn lease_json(row: &LeaseRow) -> Value {
    json!({
        "state": became(row),
        "attempt": row.attempt.0,
        "order": row.order.as_str(),
        "station": row.station.as_str(),
        "expires": row.expires,
        "cause": row.voided.map(|cause| cause.as_str()),
    })
}

fn became(row: &LeaseRow) -> &'static str {
    match (row.spent_seq, row.voided) {
        (Some(_), _) => "spent",
        (None, Some(_)) => "voided",
        (None, None) => "held",
    }
}

/// Said while it matters: once it is spent it is an attempt, which the entries tell.
fn lease_line(row: &LeaseRow) -> String {
    let LeaseRow {
        attempt,
        station,
        expires,
        ..
    } = row;
    match (row.spent_seq, row.voided) {
        (Some(_), _) => String::new(),
        (None, Some(VoidCause::UnitLost)) => format!(
            "leased to {station} as attempt {attempt}, put aside without a record: a unit with it MAY \
             EXIST, the serial is not given out again\n"
        ),
        (None, Some(cause)) => {
            let cause = cause.as_str();
            format!("leased to {station} as attempt {attempt}, ended without a unit: {cause}\n")
        }
        (None, None) => {
            format!("leased to {station} as attempt {attempt} until {expires}, no unit reported\n")
        }
    }
}

/// Writes each entry and its proof. An entry that no checkpoint covers yet has none.
fn prove(site: &Site, reader: &Reader, traveler: &[Vec<u8>], out: &Path) -> Result<Vec<Value>> {
    let key = site.vkey().with_context(|| no_site(site))?;
    let unusable = || format!("cannot use {}", out.display());
    std::fs::create_dir_all(out).with_context(unusable)?;
    let mut written = Vec::new();
    for bytes in traveler {
        let altered = "an entry is not as it was written: run `provisioner audit verify`";
        let entry = Entry::from_bytes(bytes).context(altered)?;
        let Some(proof) = reader.proof(entry.seq)? else {
            continue;
        };
        if proof.entry != *bytes {
            bail!(altered);
        }
        // Nobody is handed a proof that does not hold.
        let held = proof.verify(&key);
        held.map_err(|why| anyhow!("entry {}: {why}", entry.seq))
            .context(altered)?;
        let file = EntryProof {
            index: proof.index,
            hashes: proof.inclusion,
            checkpoint: proof.checkpoint,
        };
        let [name, entry_name] =
            ["tlog-proof", "json"].map(|kind| format!("entry-{}.{kind}", entry.seq));
        site::replace_durably(&out.join(&entry_name), bytes, false)?;
        site::replace_durably(&out.join(&name), file.to_string().as_bytes(), false)?;
        written.push(json!({ "seq": entry.seq, "proof": name, "entry": entry_name }));
    }
    Ok(written)
}

fn entry_line(whole: &Value) -> String {
    // One that was lost and written again is told as what it was, and where it was.
    let (entry, lost) = match whole["kind"].as_str() {
        Some("recovered") => (
            &whole["entry"],
            format!(
                "  (was entry {} of the lost log, kept by {})",
                whole["entry"]["seq"],
                whole["from"].as_str().unwrap_or_default()
            ),
        ),
        _ => (whole, String::new()),
    };
    let word = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let notes = [
        "cause",
        "reason",
        "label",
        "expires",
        "released",
        "fingerprint",
    ]
    .map(|name| {
        entry[name]
            .as_str()
            .map(|value| format!("  {name} {value}"))
    });
    let reprint = entry["reprint"].as_u64();
    let reprint = reprint.map_or(String::new(), |number| format!("  label R{number}"));
    // Weaker than a unit's own proof, so it is said.
    let read_back = match entry["profile_sha256"].as_str() {
        Some(profile) => format!("  read back by the station under profile {profile}"),
        None => String::new(),
    };
    format!(
        "  {:>8}  {}  {:<9} attempt {}  {}  {}{reprint}{}{read_back}{lost}\n",
        whole["seq"],
        word("time"),
        word("kind"),
        entry["attempt"],
        word("station"),
        word("operator"),
        notes.into_iter().flatten().collect::<String>()
    )
}
