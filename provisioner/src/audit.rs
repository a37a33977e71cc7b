//! The auditor's verbs. They read files and ask nobody: no server, no HSM, no network.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ledger::{Finding, Reader, Report};
use serde_json::{Value, json};
use tlog::{Checkpoint, VerifierKey};
use traveler::{OrderId, Serial};

use crate::cli::{AuditVerb, Format, print, say};
use crate::figures::{hex, order_json, order_line, order_record};
use crate::site::{self, Site};

/// Findings were made: the record is not as it was written.
const FINDINGS: u8 = 1;

/// `provisioner audit ...`
pub(crate) fn run(site: &Site, verb: AuditVerb, format: Format) -> Result<ExitCode> {
    match verb {
        AuditVerb::Verify {
            bundle,
            vkey,
            checkpoint,
        } => {
            let what = Checked {
                bundle,
                vkey,
                checkpoint,
            };
            return verify(site, what, format);
        }
        AuditVerb::Unit { serial } => unit(site, &serial, format)?,
        AuditVerb::Order { id } => order(site, &id, format)?,
        AuditVerb::Export { out } => export(site, &out, format)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(site: &Site, what: Checked, format: Format) -> Result<ExitCode> {
    let (report, key) = match &what.bundle {
        Some(dir) => {
            let key = match (&what.vkey, site.vkey()) {
                (Some(file), _) => read_vkey(file)?,
                (None, Ok(key)) => key,
                (None, Err(_)) => {
                    // It proves only that the bundle fits itself: an auditor brings the key along.
                    say("checked against the bundle's own key; bring the log's with --vkey FILE");
                    read_vkey(&dir.join("vkey"))?
                }
            };
            (ledger::verify_bundle(dir, &key)?, key)
        }
        None => {
            let key = match &what.vkey {
                Some(file) => read_vkey(file)?,
                None => site.vkey().with_context(|| no_site(site))?,
            };
            let mut report = ledger::verify(&site.ledger(), &key, &mut |_, _| {})?;
            for file in &what.checkpoint {
                report.findings.extend(remembered(site, &key, file)?);
            }
            (report, key)
        }
    };
    print(format, &report_json(&report, &key), || {
        report_text(&report, &key)
    })?;
    Ok(if report.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FINDINGS)
    })
}

/// What is checked, and against what.
pub(crate) struct Checked {
    /// An exported bundle instead of the data directory.
    pub(crate) bundle: Option<PathBuf>,
    /// File with the log's verifier key.
    pub(crate) vkey: Option<PathBuf>,
    /// Checkpoints that somebody else remembered.
    pub(crate) checkpoint: Vec<PathBuf>,
}

/// Holds the log against a checkpoint that a station, witness or auditor kept.
fn remembered(site: &Site, key: &VerifierKey, file: &Path) -> Result<Option<Finding>> {
    let note = site::read(file)?;
    let unusable = || {
        format!(
            "{} is no checkpoint signed by this log's key",
            file.display()
        )
    };
    let text = tlog::open_note(&note, std::slice::from_ref(key)).with_context(unusable)?;
    let seen = Checkpoint::parse(text).with_context(unusable)?;
    let file = file.display();
    Ok(match reader(site)?.root_at(seen.size)? {
        Some(root) if root == seen.root => None,
        Some(_) => Some(Finding {
            seq: None,
            what: format!(
                "the first {} entries are not those that {file} was signed over",
                seen.size
            ),
        }),
        None => Some(Finding {
            seq: None,
            what: format!(
                "{file} was signed over {} entries: the tail is cut",
                seen.size
            ),
        }),
    })
}

fn read_vkey(file: &Path) -> Result<VerifierKey> {
    let text = site::read(file)?;
    VerifierKey::parse(text.trim_end())
        .with_context(|| format!("{} holds no verifier key (name+hash+key)", file.display()))
}

fn report_json(report: &Report, key: &VerifierKey) -> Value {
    let finding = |finding: &Finding| json!({ "seq": finding.seq, "what": finding.what });
    json!({
        "verdict": if report.findings.is_empty() { "clean" } else { "altered" },
        "origin": key.name(),
        "vkey": key.to_string(),
        "entries": report.entries,
        "checkpoint_size": report.size,
        "root": hex(&report.root),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn report_text(report: &Report, key: &VerifierKey) -> String {
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
        "root    {} over {} entries\nkey     {key}\n",
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
