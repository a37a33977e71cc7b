//! Whether the record is as it was written: a whole log, a bundle, or one entry with its proof.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ledger::{Audit, Finding, Newer, Reader, Report};
use serde_json::{Value, json};
use tlog::{Cosignature, EntryProof, EntryProofError, LogKeys, VerifierKey, WitnessKey};
use traveler::{Entry, LogRecovered};

use super::args::VerifyArgs;
use super::{FINDINGS, NEWER, brought, no_site, read_checkpoint, read_vkey, threads};
use crate::cli::{Format, print, say};
use crate::figures::hex;
use crate::site::Site;

/// `provisioner audit verify`
pub(super) fn run(site: &Site, args: &VerifyArgs, format: Format) -> Result<ExitCode> {
    if let Some(proof) = &args.proof {
        return one_entry(site, args, proof, format);
    }
    let key = key(site, args)?;
    let keys = log_keys(site, args, &key);
    let witnesses = witnesses(args)?;
    let mut notes = Vec::new();
    let mut remembered = Vec::new();
    for file in &args.checkpoint {
        let (note, seen) = read_checkpoint(file, &keys)?;
        notes.push(note);
        remembered.push(seen);
    }
    let since = match &args.since {
        Some(file) => Some(read_checkpoint(file, &keys)?.1),
        None => None,
    };
    let audit = Audit {
        remembered: &remembered,
        since: since.as_ref(),
        threads: args.threads.map_or_else(threads, usize::from),
        profile_of: Some(compliance::profile_sha256),
    };
    // What is behind a trusted checkpoint begins with whoever signed that.
    let in_force = since.as_ref().and_then(|since| keys.in_force(since.size));
    let trusted = in_force.unwrap_or(&key);
    let mut report = match &args.bundle {
        Some(dir) => {
            let report = ledger::verify_bundle_with(dir, trusted, &audit)?;
            notes.push(brought(&dir.join("checkpoint"))?);
            report
        }
        None => ledger::verify_with(&site.ledger(), trusted, &audit, &mut |_, _| {})?,
    };
    if !witnesses.is_empty() && notes.is_empty() {
        bail!("a witness signs what it was shown: give --bundle, --proof or --checkpoint too");
    }
    let cosigned = cosigned(&notes, &witnesses, &mut report.findings);
    print(format, &report_json(&report, &key, &cosigned), || {
        report_text(&report, &key, &cosigned)
    })?;
    Ok(code(&report.findings, report.newer.as_ref()))
}

/// What was altered is altered, whatever a newer program wrote beside it.
fn code(findings: &[Finding], newer: Option<&Newer>) -> ExitCode {
    match (findings, newer) {
        ([], None) => ExitCode::SUCCESS,
        ([], Some(_)) => ExitCode::from(NEWER),
        _ => ExitCode::from(FINDINGS),
    }
}

/// The keys by which remembered checkpoints are read: those that the log or the bundle tells of, as
/// far as they lead to or from the trusted one; else that one alone.
fn log_keys(site: &Site, args: &VerifyArgs, key: &VerifierKey) -> LogKeys {
    let told = match &args.bundle {
        Some(dir) => ledger::bundle_keys(dir, key).ok(),
        None => Reader::open(&site.ledger())
            .and_then(|log| log.log_keys())
            .ok()
            .filter(|keys| keys.hold(key).is_ok()),
    };
    told.unwrap_or_else(|| LogKeys::new(key.clone()))
}

/// The log's key: the auditor's own copy, the site's, or for want of both the bundle's.
fn key(site: &Site, args: &VerifyArgs) -> Result<VerifierKey> {
    match (&args.vkey, site.vkey(), &args.bundle) {
        (Some(file), _, _) => read_vkey(file),
        (None, Ok(key), _) => Ok(key),
        (None, Err(_), Some(dir)) => {
            // It proves only that the bundle fits itself: an auditor brings the key along.
            say("checked against the bundle's own key; bring the log's with --vkey FILE");
            read_vkey(&dir.join("vkey"))
        }
        (None, Err(error), None) => Err(error).with_context(|| no_site(site)),
    }
}

fn witnesses(args: &VerifyArgs) -> Result<Vec<WitnessKey>> {
    let read = |file: &std::path::PathBuf| {
        let text = brought(file)?;
        WitnessKey::parse(text.trim_end())
            .with_context(|| format!("{} holds no witness's key", file.display()))
    };
    args.witness.iter().map(read).collect()
}

/// The cosignatures of these witnesses; one that is missing on every note, or is not good on
/// one, is a finding.
fn cosigned(
    notes: &[String],
    witnesses: &[WitnessKey],
    findings: &mut Vec<Finding>,
) -> Vec<Cosignature> {
    let mut all = Vec::new();
    for key in witnesses {
        let before = all.len();
        for note in notes {
            match tlog::cosignatures(note, std::slice::from_ref(key)) {
                Ok(held) => all.extend(held),
                Err(error) => findings.push(Finding {
                    seq: None,
                    what: error.to_string(),
                }),
            }
        }
        if all.len() == before {
            findings.push(Finding {
                seq: None,
                what: format!("the witness {} has not cosigned the checkpoint", key.name()),
            });
        }
    }
    all
}

/// One entry, offline: its bytes, the way to the root, and who signed that.
fn one_entry(site: &Site, args: &VerifyArgs, proof: &Path, format: Format) -> Result<ExitCode> {
    let key = match &args.vkey {
        Some(file) => read_vkey(file)?,
        None => site
            .vkey()
            .context("bring the log's verifier key with --vkey FILE")?,
    };
    let witnesses = witnesses(args)?;
    let unusable = || format!("{} is no proof of an entry", proof.display());
    let read = EntryProof::parse(&brought(proof)?).with_context(unusable)?;
    let beside = proof.with_extension("json");
    let entry = brought(args.entry.as_deref().unwrap_or(&beside))?;
    let mut findings = Vec::new();
    let mut newer = None;
    let held = read.verify(&tlog::leaf_hash(entry.as_bytes()), &key);
    let mut found = |what: String| {
        findings.push(Finding {
            seq: Some(read.index),
            what,
        });
    };
    match &held {
        Ok(_) => {}
        Err(error @ EntryProofError::Malformed(_)) => bail!("{}: {error}", unusable()),
        Err(error) => found(error.to_string()),
    }
    match Entry::from_bytes(entry.as_bytes()) {
        Ok(parsed) if parsed.seq == read.index => {}
        Ok(parsed) => found(format!("it says that it is entry {}", parsed.seq)),
        // The log has it like this: somebody wrote it who knew more kinds.
        Err(error) if held.is_ok() => newer = Some(newer_entry(read.index, &entry, &error)),
        Err(error) => found(format!("it cannot be read: {error}")),
    }
    let cosigned = cosigned(
        std::slice::from_ref(&read.checkpoint),
        &witnesses,
        &mut findings,
    );
    let size = held.as_ref().map_or(0, |checkpoint| checkpoint.size);
    let fact = json!({
        "verdict": verdict(&findings, newer.as_ref()),
        "origin": key.name(),
        "vkey": key.to_string(),
        "index": read.index,
        "checkpoint_size": size,
        "root": held.as_ref().ok().map(|checkpoint| hex(&checkpoint.root)),
        "entry": serde_json::from_str::<Value>(&entry).ok(),
        "cosigned": cosigned.iter().map(cosigned_json).collect::<Vec<_>>(),
        "findings": findings.iter().map(finding_json).collect::<Vec<_>>(),
    });
    print(format, &fact, || {
        let mut text = match findings[..] {
            [] if newer.is_some() => format!(
                "NEWER   entry {} is in the log of {size} entries\n",
                read.index
            ),
            [] => format!(
                "CLEAN   entry {} is in the log of {size} entries\n",
                read.index
            ),
            _ => format!(
                "ALTERED entry {} is not shown to be in the log\n",
                read.index
            ),
        };
        text.push_str(&findings_text(&findings));
        text.push_str(&newer.as_ref().map(newer_text).unwrap_or_default());
        text.push_str(&cosigned_text(&cosigned));
        text.push_str(&format!("entry   {entry}\nkey     {key}\n"));
        text
    })?;
    Ok(code(&findings, newer.as_ref()))
}

fn verdict(findings: &[Finding], newer: Option<&Newer>) -> &'static str {
    match (findings, newer) {
        ([], None) => "clean",
        ([], Some(_)) => "newer",
        _ => "altered",
    }
}

fn newer_entry(seq: u64, entry: &str, why: &serde_json::Error) -> Newer {
    let entry: Value = serde_json::from_str(entry).unwrap_or_default();
    let kind = entry["kind"].as_str().unwrap_or("none");
    Newer {
        seq,
        kind: kind.chars().take(40).collect(),
        why: why.to_string(),
    }
}

fn newer_text(newer: &Newer) -> String {
    format!(
        "  entry {}: of kind \"{}\", which this program ({}) does not know: {}\n  \
         not judged here: the rules from that entry on, and the derived tables. Use the newer \
         program.\n",
        newer.seq,
        newer.kind,
        env!("CARGO_PKG_VERSION"),
        newer.why
    )
}

/// The losses that are on record: no audit is without them.
fn recoveries_text(report: &Report) -> String {
    let line = |(seq, said): &(u64, LogRecovered)| {
        format!(
            "LOST    {} of {} entries, with a disk: entry {seq} says so, by {}: \"{}\"\n",
            said.lost,
            said.remembered,
            said.by.join(" and "),
            said.statement
        )
    };
    report.recoveries.iter().map(line).collect()
}

fn recovery_json((seq, said): &(u64, LogRecovered)) -> Value {
    json!({
        "seq": seq,
        "restored": said.restored,
        "kept": said.kept,
        "remembered": said.remembered,
        "lost": said.lost,
        "statement": said.statement,
        "by": said.by,
    })
}

pub(super) fn finding_json(finding: &Finding) -> Value {
    json!({ "seq": finding.seq, "what": finding.what })
}

fn cosigned_json(cosigned: &Cosignature) -> Value {
    json!({ "witness": cosigned.witness, "time": cosigned.time })
}

fn report_json(report: &Report, key: &VerifierKey, cosigned: &[Cosignature]) -> Value {
    json!({
        "verdict": verdict(&report.findings, report.newer.as_ref()),
        "origin": key.name(),
        "vkey": key.to_string(),
        "signed_by": report.vkey.to_string(),
        "entries": report.entries,
        "checkpoint_size": report.size,
        "trusted": report.trusted,
        "root": hex(&report.root),
        "cosigned": cosigned.iter().map(cosigned_json).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "newer": report.newer.as_ref().map(|newer| {
            json!({ "seq": newer.seq, "kind": newer.kind, "why": newer.why })
        }),
        "recoveries": report.recoveries.iter().map(recovery_json).collect::<Vec<_>>(),
    })
}

fn report_text(report: &Report, key: &VerifierKey, cosigned: &[Cosignature]) -> String {
    let (entries, trusted) = (report.entries, report.trusted);
    let mut text = match (&report.findings[..], trusted) {
        ([], _) if report.newer.is_some() => {
            format!("NEWER   {entries} entries, whose bytes are those that were signed\n")
        }
        ([], 0) => format!("CLEAN   {entries} entries, none altered, missing or out of order\n"),
        ([], _) => format!(
            "CLEAN   {} new entries, none altered, missing or out of order\n",
            entries - trusted
        ),
        (findings, _) => format!("ALTERED {entries} entries, {} findings\n", findings.len()),
    };
    text.push_str(&findings_text(&report.findings));
    if let Some(newer) = &report.newer {
        text.push_str(&newer_text(newer));
    }
    text.push_str(&recoveries_text(report));
    if trusted > 0 {
        text.push_str(&format!(
            "covered the log begins with the {trusted} entries of the trusted checkpoint; those \
             behind it have\n        their hashes, numbers, form and signature, and repeat no \
             password among themselves\n\
             not covered: the bytes of the first {trusted} entries, the rules between them and \
             the new ones\n        (states, counts, passwords of old), the derived tables: run \
             without --since\n"
        ));
    }
    text.push_str(&cosigned_text(cosigned));
    text.push_str(&format!(
        "root    {} over {} entries\nkey     {key}\n",
        hex(&report.root),
        report.size
    ));
    if report.vkey != *key {
        text.push_str(&format!("now     {}\n", report.vkey));
    }
    text
}

fn findings_text(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let place = finding
            .seq
            .map_or_else(|| "log".to_owned(), |seq| format!("entry {seq}"));
        format!("  {place}: {}\n", finding.what)
    };
    findings.iter().map(line).collect()
}

fn cosigned_text(cosigned: &[Cosignature]) -> String {
    let line = |seen: &Cosignature| {
        let ms = i64::try_from(seen.time)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000);
        let time = traveler::Timestamp::from_unix_ms(ms);
        format!("witness {} cosigned at {time}\n", seen.witness)
    };
    cosigned.iter().map(line).collect()
}
