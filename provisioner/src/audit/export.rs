//! The log for others: tiles that prove everything, and tables that people can read.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ledger::{Audit, Holdings, LeaseCountRow, OrderRow, Reader, UnitRow};
use serde_json::{Value, json};
use tlog::{Checkpoint, VerifierKey};

use super::tables::{ENTRIES, ORDERS, Table, UNITS};
use super::{FINDINGS, no_site, read_checkpoint, reader, threads};
use crate::cli::{Format, TableFormat, print, say};
use crate::figures::{hex, order_json, order_record};
use crate::site::Site;

/// `provisioner audit export`
pub(super) fn run(
    site: &Site,
    out: &Path,
    since: Option<&str>,
    formats: &[TableFormat],
    format: Format,
) -> Result<ExitCode> {
    let key = site.vkey().with_context(|| no_site(site))?;
    if out.exists() && !out.is_dir() {
        bail!("{} is a file: choose another name", out.display());
    }
    let (from, seen) = match since {
        Some(since) => behind(since, &reader(site)?, formats.is_empty())?,
        None => (0, None),
    };
    let exported = ledger::export(&site.ledger(), &key, out)?;
    if !formats.is_empty() || seen.is_some() {
        let audit = Audit {
            remembered: seen.as_slice(),
            threads: threads(),
            ..Audit::default()
        };
        let (report, holdings) = ledger::holdings(out, &key, &audit)?;
        if !report.is_clean() {
            for finding in &report.findings {
                say(&format!("  {finding}"));
            }
            say("the log is not as it was written: run `provisioner audit verify`");
            return Ok(ExitCode::from(FINDINGS));
        }
        for &format in formats {
            tables(out, &key, from, &holdings, format)
                .with_context(|| format!("cannot write the tables in {}", out.display()))?;
        }
    }
    let fact = json!({
        "out": out.display().to_string(),
        "size": exported.size,
        "root": hex(&exported.root),
        "since": from,
    });
    print(format, &fact, || {
        let (out, size) = (out.display(), exported.size);
        let rows = match since {
            Some(_) if !formats.is_empty() => {
                format!(", {} of them in the tables", size.saturating_sub(from))
            }
            _ => String::new(),
        };
        format!(
            "{size} entries written to {out}{rows}\nverify anywhere: provisioner audit verify --bundle {out} --vkey FILE\n"
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Where to begin: a number of entries, or a checkpoint that is held against the log as well.
///
/// A number that the log has not reached is refused: a job that counts on would be told for ever
/// that nothing is new, when the log was put back from an old copy.
fn behind(since: &str, reader: &Reader, no_tables: bool) -> Result<(u64, Option<Checkpoint>)> {
    let Ok(size) = since.parse() else {
        let (_, seen) = read_checkpoint(Path::new(since), &reader.log_keys()?)
            .context("--since takes a number of entries or a file with a checkpoint")?;
        return Ok((seen.size, Some(seen)));
    };
    let there = reader.size()?;
    if size > there {
        bail!("the log has {there} entries, fewer than {size}: was it put back from an old copy?");
    }
    if no_tables {
        bail!("--since {size} is for the tables: add --format csv or jsonl");
    }
    Ok((size, None))
}

fn tables(
    out: &Path,
    key: &VerifierKey,
    from: u64,
    holdings: &Holdings,
    format: TableFormat,
) -> Result<()> {
    let dir = out.join("tables");
    let mut entries = Table::create(&dir, "entries", format, ENTRIES)?;
    ledger::bundle_entries(out, key, from, &mut |_, bytes| entries.json_row(bytes))?;
    entries.finish()?;
    let mut units = Table::create(&dir, "units", format, UNITS)?;
    for row in holdings.units.iter().filter(|row| row.last_seq >= from) {
        units.row(&unit_json(row))?;
    }
    units.finish()?;
    let mut orders = Table::create(&dir, "orders", format, ORDERS)?;
    for row in &holdings.orders {
        let leases = holdings.lease_count(&row.order);
        if row.seq.max(leases.seq) >= from {
            orders.row(&order_row(row, leases))?;
        }
    }
    Ok(orders.finish()?)
}

fn unit_json(row: &UnitRow) -> Value {
    json!({
        "serial": row.serial.as_str(),
        "state": row.state.as_str(),
        "attempt": row.attempt.0,
        "order": row.order.as_str(),
        "station": row.station.as_str(),
        "device_id": row.device_id.as_str(),
        "issued_seq": row.issued_seq,
        "last_seq": row.last_seq,
        "since": row.since,
        "certificate_sha256": row.certificate_sha256.to_string(),
        "public_key_sha256": row.public_key_sha256.to_string(),
    })
}

fn order_row(row: &OrderRow, leases: LeaseCountRow) -> Value {
    let mut fact = order_json(&order_record((row.clone(), leases)));
    fact["product_sha256"] = row.product_sha256.to_string().into();
    fact
}
