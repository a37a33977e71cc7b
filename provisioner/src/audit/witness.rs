//! The brand owner's witness: somebody outside the factory who remembers the log for it.
//!
//! It signs that the largest tree it has seen of this log, consistent with all it saw before, has
//! this root (c2sp.org/tlog-cosignature). A factory that shows one history to the brand owner and
//! another to an auditor then needs the witness's key as well. Its folder holds that key and, for
//! each log, the log's key and the last checkpoint it cosigned.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use fs4::fs_std::FileExt;
use ledger::{Audit, Finding, Report};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};
use tlog::{Checkpoint, LogKeys, SignError, VerifierKey, WitnessKey, WitnessSigner};
use zeroize::Zeroizing;

use super::args::WitnessArgs;
use super::verify::finding_json;
use super::{FINDINGS, NEWER, brought, read_checkpoint, read_remembered, read_vkey, threads};
use crate::auth::sha256;
use crate::cli::{Format, print, say};
use crate::figures::hex;
use crate::site;

/// Findings that are said to a person; a script gets all of them.
const SAID_MAX: usize = 20;

/// `provisioner audit witness`
pub(super) fn run(args: &WitnessArgs, format: Format) -> Result<ExitCode> {
    let home = Home::open(&args.home, args.name.as_deref())?;
    let given = match &args.vkey {
        Some(file) => read_vkey(file)?,
        None => read_vkey(&args.bundle.join("vkey"))?,
    };
    let memory = home.memory(&given);
    // Once it knows a log, the key it knows counts: the bundle shows how that one handed over.
    let key = memory.key()?.unwrap_or_else(|| given.clone());
    let keys = match ledger::bundle_keys(&args.bundle, &key) {
        Ok(keys) if keys.hold(&given).is_ok() => keys,
        _ => LogKeys::new(key.clone()),
    };
    let seen = match memory.seen(&keys, &given)? {
        Seen::Never => {
            if args.vkey.is_none() {
                say("this log is new to the witness and its key came with the bundle: compare it");
            }
            None
        }
        Seen::OtherKey => {
            let what = format!(
                "the witness knows the log {} under another key than {given}",
                given.name()
            );
            let found = [Finding { seq: None, what }];
            let refusal = refusal(&home, key.name(), "altered", &found);
            return not_cosigned(format, &refusal, &found, "it is not the log that was seen");
        }
        Seen::Checkpoint(seen) => Some(seen),
    };
    let (report, mut why) = judged(args, &key, &memory, seen.as_ref())?;
    if !report.is_clean() {
        let mut verdict = "altered";
        if let (Some(newer), []) = (&report.newer, &report.findings[..]) {
            verdict = "newer";
            why = format!(
                "entry {} is of a kind that this program does not know: use the newer one",
                newer.seq
            );
        }
        let mut refusal = refusal(&home, key.name(), verdict, &report.findings);
        refusal["entries"] = report.entries.into();
        refusal["seen_before"] = seen.map(|seen| seen.size).into();
        return not_cosigned(format, &refusal, &report.findings, &why);
    }
    let cosigned = cosign(&home, &memory, &keys, &args.bundle, &report)?;
    let fact = json!({
        "verdict": "clean",
        "cosigned": true,
        "witness": home.key.name(),
        "witness_vkey": home.key.to_string(),
        "origin": key.name(),
        "size": report.size,
        "root": hex(&report.root),
        "seen_before": seen.map(|seen| seen.size),
        "checkpoint": cosigned,
    });
    print(format, &fact, || cosigned.clone())?;
    say(&format!(
        "cosigned over {} entries as {}; auditors check it with {}",
        report.size,
        home.key.name(),
        args.home.join(VKEY).display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The bundle held against what this witness remembers, and what speaks against it when it is not
/// clean. A loss that the brand owner accepts is none.
fn judged(
    args: &WitnessArgs,
    key: &VerifierKey,
    memory: &Memory,
    seen: Option<&Checkpoint>,
) -> Result<(Report, String)> {
    let audit = Audit {
        remembered: seen.map(std::slice::from_ref).unwrap_or_default(),
        threads: threads(),
        profile_of: Some(compliance::profile_sha256),
        ..Audit::default()
    };
    let mut report = ledger::verify_bundle_with(&args.bundle, key, &audit)?;
    let mut why = "the bundle is altered".to_owned();
    if let Some(seen) = seen
        && !report.findings.is_empty()
    {
        let alone = alone(args, key)?;
        if alone.findings.is_empty() {
            why = format!(
                "the witness has seen {} entries, and the bundle of {} does not go on from them",
                seen.size, alone.size
            );
            if alone.is_clean() && accepts_the_loss(args, &alone, memory, seen)? {
                report = alone;
            }
        }
    }
    Ok((report, why))
}

/// The bundle verified without what this witness remembers.
fn alone(args: &WitnessArgs, key: &VerifierKey) -> Result<Report> {
    let audit = Audit {
        threads: threads(),
        profile_of: Some(compliance::profile_sha256),
        ..Audit::default()
    };
    Ok(ledger::verify_bundle_with(&args.bundle, key, &audit)?)
}

/// Whether the log's own key signed an entry that names what this witness remembers as lost, and the
/// brand owner has typed what that entry says. The old cosigned checkpoint is then kept beside the
/// new one.
fn accepts_the_loss(
    args: &WitnessArgs,
    alone: &Report,
    memory: &Memory,
    seen: &Checkpoint,
) -> Result<bool> {
    let mut named = alone.recoveries.iter();
    let named = named.find(|(_, said)| said.names(seen.size, &seen.root));
    let Some((seq, said)) = named else {
        if !alone.recoveries.is_empty() {
            say(&format!(
                "this log says that it lost entries, and names others' checkpoints, not this \
                 witness's: hand {} to `provisioner recover --checkpoint FILE`",
                memory.0.join("checkpoint").display()
            ));
        }
        return Ok(false);
    };
    let (size, statement) = (seen.size, &said.statement);
    match args.accept_loss.as_deref().map(str::trim) {
        Some(typed) if typed == statement => {
            memory.lay_aside(size)?;
            Ok(true)
        }
        Some(_) => bail!("that is not what entry {seq} says: \"{statement}\"; nothing is accepted"),
        None => {
            say(&format!(
                "entry {seq} of this log, by {}, says of the {size} entries that were cosigned here: \
                 \"{statement}\"\nwhen that is right: --accept-loss \"{statement}\"",
                said.by.join(" and ")
            ));
            Ok(false)
        }
    }
}

/// What a script is told of a bundle that gets no signature.
fn refusal(home: &Home, origin: &str, verdict: &str, findings: &[Finding]) -> Value {
    json!({
        "verdict": verdict,
        "cosigned": false,
        "witness": home.key.name(),
        "origin": origin,
        "findings": findings.iter().map(finding_json).collect::<Vec<_>>(),
    })
}

fn not_cosigned(
    format: Format,
    refusal: &Value,
    findings: &[Finding],
    why: &str,
) -> Result<ExitCode> {
    for finding in findings.iter().take(SAID_MAX) {
        say(&format!("  {finding}"));
    }
    print(format, refusal, String::new)?;
    say(&format!("not cosigned: {why}"));
    Ok(ExitCode::from(match findings {
        [] => NEWER,
        _ => FINDINGS,
    }))
}

/// Signs the checkpoint that was verified, and no other.
fn cosign(
    home: &Home,
    memory: &Memory,
    keys: &LogKeys,
    bundle: &Path,
    report: &Report,
) -> Result<String> {
    let file = bundle.join("checkpoint");
    let (note, checkpoint) = read_checkpoint(&file, keys)?;
    if (checkpoint.size, checkpoint.root) != (report.size, report.root) {
        bail!("{} was replaced while it was verified", file.display());
    }
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("this machine's clock is before 1970: set it")?
        .as_secs();
    let cosigned = tlog::cosign(&note, time, home)?;
    // Remembered before anybody can have the signature: a crash here forgets nothing that was
    // promised, and the next run signs again.
    memory.remember(&report.vkey, &cosigned)?;
    site::replace_durably(&file, cosigned.as_bytes(), false)?;
    Ok(cosigned)
}

/// The witness's public key, for auditors.
const VKEY: &str = "witness.vkey";
/// Its private key (PKCS#8).
const KEY: &str = "witness.pem";

/// The witness's folder, held by one process at a time.
struct Home {
    folder: PathBuf,
    pair: Ed25519KeyPair,
    key: WitnessKey,
    _lock: File,
}

impl Home {
    fn open(folder: &Path, name: Option<&str>) -> Result<Home> {
        let unusable = || format!("cannot use {}", folder.display());
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder).with_context(unusable)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let lock = options.open(folder.join("lock")).with_context(unusable)?;
        if !FileExt::try_lock_exclusive(&lock).with_context(unusable)? {
            bail!("{} is in use by another witness process", folder.display());
        }
        let pair = key_pair(&folder.join(KEY))?;
        let key = own_key(folder, name, &pair)?;
        Ok(Home {
            folder: folder.to_owned(),
            pair,
            key,
            _lock: lock,
        })
    }

    /// What is remembered of the log of this key.
    fn memory(&self, log: &VerifierKey) -> Memory {
        // An origin is no file name; its digest is.
        let name = sha256(log.name().as_bytes()).to_string();
        Memory(self.folder.join("logs").join(&name[..32]))
    }
}

impl WitnessSigner for Home {
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.pair.sign(message);
        signature.as_ref().try_into().map_err(|_| SignError {
            reason: "an Ed25519 signature is 64 bytes".to_owned(),
        })
    }

    fn key(&self) -> &WitnessKey {
        &self.key
    }
}

/// Reads the private key, or makes it at first use.
fn key_pair(path: &Path) -> Result<Ed25519KeyPair> {
    let unusable = || format!("{} is no key of a witness", path.display());
    if !path.exists() {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        let pem = identity::pem("PRIVATE KEY", pkcs8.as_ref());
        site::write_new(path, pem.as_bytes(), true)?;
    }
    let mode = fs::metadata(path)
        .with_context(unusable)?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        bail!(
            "{} can be read by others (mode {:03o}): make a new witness, or chmod 600 it if it \
             never was",
            path.display(),
            mode & 0o777
        );
    }
    let pem = Zeroizing::new(fs::read(path).with_context(unusable)?);
    let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).with_context(unusable)?;
    Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| anyhow::anyhow!(unusable()))
}

/// The public key with the witness's name, which is chosen once.
fn own_key(folder: &Path, name: Option<&str>, pair: &Ed25519KeyPair) -> Result<WitnessKey> {
    let public: [u8; 32] = pair.public_key().as_ref().try_into()?;
    let path = folder.join(VKEY);
    if path.exists() {
        let key = WitnessKey::parse(brought(&path)?.trim_end())
            .with_context(|| format!("{} holds no witness's key", path.display()))?;
        if name.is_some_and(|name| name != key.name()) {
            bail!(
                "this witness is called {}: another needs its own --home",
                key.name()
            );
        }
        if WitnessKey::new(key.name(), &public)? != key {
            bail!(
                "{} is not the public half of its key: restore both",
                path.display()
            );
        }
        return Ok(key);
    }
    let name = match name {
        Some(name) => name.to_owned(),
        None => {
            let mut id = [0; 4];
            let filled = SystemRandom::new().fill(&mut id);
            filled.map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
            format!("birthmark-witness/{}", hex(&id))
        }
    };
    let key = WitnessKey::new(&name, &public).context("--name")?;
    site::write_new(&path, format!("{key}\n").as_bytes(), false)?;
    Ok(key)
}

/// What a witness remembers of one log: its key and the last checkpoint it cosigned.
struct Memory(PathBuf);

enum Seen {
    Never,
    OtherKey,
    Checkpoint(Checkpoint),
}

impl Memory {
    /// The key under which the log is known, which may be one that was rotated since.
    fn key(&self) -> Result<Option<VerifierKey>> {
        match self.0.join("checkpoint").exists() {
            true => read_vkey(&self.0.join("vkey")).map(Some),
            false => Ok(None),
        }
    }

    fn seen(&self, keys: &LogKeys, given: &VerifierKey) -> Result<Seen> {
        let file = self.0.join("checkpoint");
        // Written after the key: without it nothing was ever cosigned.
        if !file.exists() {
            return Ok(Seen::Never);
        }
        if keys.hold(given).is_err() {
            return Ok(Seen::OtherKey);
        }
        Ok(Seen::Checkpoint(read_remembered(&file, keys)?.1))
    }

    /// Keeps what was cosigned and is lost, for whoever asks later.
    fn lay_aside(&self, size: u64) -> Result<()> {
        let note = brought(&self.0.join("checkpoint"))?;
        let aside = self.0.join(format!("checkpoint.lost-{size}"));
        Ok(site::replace_durably(&aside, note.as_bytes(), false)?)
    }

    fn remember(&self, key: &VerifierKey, cosigned: &str) -> Result<()> {
        fs::create_dir_all(&self.0).with_context(|| format!("cannot use {}", self.0.display()))?;
        site::replace_durably(&self.0.join("vkey"), format!("{key}\n").as_bytes(), false)?;
        site::replace_durably(&self.0.join("checkpoint"), cosigned.as_bytes(), false)?;
        Ok(())
    }
}
