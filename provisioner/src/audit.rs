//! The auditor's verbs. They read files and ask nobody: no server, no HSM, no network.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ledger::{Reader, Report};
use serde_json::{Value, json};
use tlog::VerifierKey;
use traveler::{OrderId, Serial};

use crate::cli::{AuditVerb, Format, print, say};
use crate::figures::{hex, order_json, order_line, order_record};
use crate::site::{self, Site};

/// Findings were made: the record is not as it was written.
const FINDINGS: u8 = 1;

/// `provisioner audit ...`
pub(crate) fn run(site: &Site, verb: AuditVerb, format: Format) -> Result<ExitCode> {
    match verb {
        AuditVerb::Verify { bundle, vkey } => return verify(site, bundle, vkey, format),
        AuditVerb::Unit { serial } => unit(site, &serial, format)?,
        AuditVerb::Order { id } => order(site, &id, format)?,
        AuditVerb::Export { out } => export(site, &out, format)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(
    site: &Site,
    bundle: Option<PathBuf>,
    vkey: Option<PathBuf>,
    format: Format,
) -> Result<ExitCode> {
    let report = match &bundle {
        Some(dir) => {
            // A bundle's own key proves only that it fits itself: an auditor brings the key along.
            let own = vkey.is_none();
            let key = read_vkey(&vkey.unwrap_or_else(|| dir.join("vkey")))?;
            if own {
                say("checked against the bundle's own key; bring the log's with --vkey FILE");
            }
            ledger::verify_bundle(dir, &key)?
        }
        None => {
            let key = match vkey {
                Some(file) => read_vkey(&file)?,
                None => site.vkey().with_context(|| no_site(site))?,
            };
            ledger::verify(&site.ledger(), &key, &mut |_, _| {})?
        }
    };
    print(format, &report_json(&report), || report_text(&report))?;
    Ok(if report.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FINDINGS)
    })
}

fn read_vkey(file: &Path) -> Result<VerifierKey> {
    let text = site::read(file)?;
    VerifierKey::parse(text.trim_end())
        .with_context(|| format!("{} holds no verifier key (name+hash+key)", file.display()))
}

fn report_json(report: &Report) -> Value {
    let finding = |finding: &ledger::Finding| json!({ "seq": finding.seq, "what": finding.what });
    json!({
        "verdict": if report.findings.is_empty() { "clean" } else { "altered" },
        "entries": report.entries,
        "checkpoint_size": report.size,
        "root": hex(&report.root),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn report_text(report: &Report) -> String {
    let mut text = if report.findings.is_empty() {
        format!(
            "CLEAN   {} entries, none altered, missing or out of order\n",
            report.entries
        )
    } else {
        format!(
            "ALTERED {} entries, {} findings\n",
            report.entries,
            report.findings.len()
        )
    };
    for finding in &report.findings {
        let place = finding
            .seq
            .map_or_else(|| "log".to_owned(), |seq| format!("entry {seq}"));
        text.push_str(&format!("  {place}: {}\n", finding.what));
    }
    text.push_str(&format!(
        "root    {} over {} entries\n",
        hex(&report.root),
        report.size
    ));
    text
}

fn unit(site: &Site, serial: &Serial, format: Format) -> Result<()> {
    let reader = reader(site)?;
    let Some(row) = reader.unit(serial)? else {
        bail!("serial {serial} was never issued here: check it, or name the server with --data");
    };
    let entries: Vec<Value> = reader
        .traveler(serial)?
        .iter()
        .map(|bytes| serde_json::from_slice(bytes))
        .collect::<Result<_, _>>()
        .context("an entry is not JSON: run `provisioner audit verify`")?;
    let fact = json!({
        "serial": serial.as_str(),
        "state": row.state.as_str(),
        "attempt": row.attempt.0,
        "device_id": row.device_id.as_str(),
        "order": row.order.as_str(),
        "station": row.station.as_str(),
        "certificate_sha256": row.certificate_sha256.to_string(),
        "entries": entries,
    });
    print(format, &fact, || {
        let mut text = format!("{serial} is {} (attempt {})\n", row.state, row.attempt);
        entries
            .iter()
            .for_each(|entry| text.push_str(&entry_line(entry)));
        text
    })
}

fn entry_line(entry: &Value) -> String {
    let word = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let notes = ["cause", "reason", "label", "fingerprint"].map(|name| {
        entry[name]
            .as_str()
            .map(|value| format!("  {name} {value}"))
    });
    format!(
        "  {:>8}  {}  {:<9} attempt {}  {}  {}{}\n",
        entry["seq"],
        word("time"),
        word("kind"),
        entry["attempt"],
        word("station"),
        word("operator"),
        notes.into_iter().flatten().collect::<String>()
    )
}

fn order(site: &Site, id: &OrderId, format: Format) -> Result<()> {
    let Some(row) = reader(site)?.order(id)? else {
        bail!("there is no order {id} here: check it, or name the server with --data");
    };
    let row = order_record(row);
    print(format, &order_json(&row), || order_line(&row))
}

fn export(site: &Site, out: &Path, format: Format) -> Result<()> {
    let key = site.vkey().with_context(|| no_site(site))?;
    let exported = ledger::export(&site.ledger(), &key, out)?;
    let fact = json!({
        "out": out.display().to_string(),
        "size": exported.size,
        "root": hex(&exported.root),
    });
    print(format, &fact, || {
        let out = out.display();
        format!(
            "{} entries written to {out}\nverify anywhere: provisioner audit verify --bundle {out} --vkey FILE\n",
            exported.size
        )
    })
}

fn reader(site: &Site) -> Result<Reader> {
    Reader::open(&site.ledger()).with_context(|| no_site(site))
}

fn no_site(site: &Site) -> String {
    let data = site.data().display();
    format!("{data} is no data directory: name it with --data")
}
