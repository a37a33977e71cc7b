//! `provisioner policy`: what may be named in a product file, and what a policy file is worth.
//!
//! Asks no server and changes nothing. A policy of one's own is judged here; products name built-in
//! ones.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use credential::{Policy, PolicyError};
use guess::{Facts, Verdict};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

use crate::cli::{Format, PolicyVerb, print};

/// The policy would be refused.
const REFUSED: u8 = 1;

/// Longest policy file, in bytes: a list of 65,536 words fits.
const FILE_MAX: u64 = 1 << 20;

/// Draws that show whether a policy's passwords pass the gate at all.
const TRIALS: u32 = 64;

/// `provisioner policy ...`
pub(crate) fn run(verb: PolicyVerb, format: Format) -> Result<ExitCode> {
    match verb {
        PolicyVerb::List => {
            let policies: Vec<Policy> = Policy::names()
                .map(|name| Policy::named(name, None))
                .collect::<Result<_, _>>()?;
            let facts: Vec<Value> = policies.iter().map(fact).collect();
            print(format, &facts, || policies.iter().map(line).collect())?;
        }
        PolicyVerb::Show { name, length } => match Policy::named(&name, length) {
            Ok(policy) => print(format, &fact(&policy), || text(&policy))?,
            Err(error @ PolicyError::Unknown { .. }) => bail!(error),
            Err(error) => return refused(&error.to_string(), format),
        },
        PolicyVerb::Check { file } => match Policy::parse(&read(&file)?) {
            Err(PolicyError::Unreadable(why)) => bail!("{}: {}", file.display(), why.trim_end()),
            Err(error) => return refused(&error.to_string(), format),
            Ok(policy) => match passes_no_gate(&policy)? {
                Some(why) => return refused(&why, format),
                None => print(format, &fact(&policy), || {
                    format!("GOOD    {}", text(&policy))
                })?,
            },
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<String> {
    let name = || format!("cannot read the policy file {}", file.display());
    let length = std::fs::metadata(file).with_context(name)?.len();
    if length > FILE_MAX {
        bail!(
            "{} has {length} bytes, more than {FILE_MAX}",
            file.display()
        );
    }
    std::fs::read_to_string(file).with_context(name)
}

fn refused(why: &str, format: Format) -> Result<ExitCode> {
    let fact = json!({ "verdict": "refused", "reason": why });
    print(format, &fact, || format!("REFUSED {why}\n"))?;
    Ok(ExitCode::from(REFUSED))
}

/// Why the gate would refuse every password of this policy, if it does.
fn passes_no_gate(policy: &Policy) -> Result<Option<String>> {
    let facts = Facts {
        serial: "",
        device_id: "",
        macs: &[],
        model: "",
        ssid: None,
        public: &[],
    };
    let system = SystemRandom::new();
    let mut random = |out: &mut [u8]| system.fill(out).map_err(|_| std::io::Error::other("none"));
    let mut last = None;
    for _ in 0..TRIALS {
        let password = credential::mint(policy, &mut random)
            .map_err(|_| anyhow::anyhow!("the system gave no randomness"))?;
        match password.folded(|clear| guess::judge(clear, &facts, &[])) {
            Verdict::Pass => return Ok(None),
            Verdict::Refused {
                detector, clause, ..
            } => last = Some((detector, clause)),
        }
    }
    Ok(last.map(|(detector, clause)| {
        format!(
            "policy `{}`: no draw passes the gate ({detector}, clause {clause})",
            policy.name()
        )
    }))
}

fn fact(policy: &Policy) -> Value {
    let classes: Vec<&str> = policy.classes().iter().map(|it| it.as_str()).collect();
    let (least, most) = policy.lengths();
    json!({
        "verdict": "good",
        "name": policy.name(),
        "version": policy.version(),
        "sha256": policy.hash().to_string(),
        "source": policy.source(),
        "bits": (policy.net_bits() * 100.0).floor() / 100.0,
        "floor_bits": policy.floor_bits(),
        "length": policy.length(),
        "lengths": [least, most],
        "choices": policy.choices(),
        "alphabet": String::from_utf8_lossy(policy.alphabet()),
        "words": policy.words().len(),
        "classes": classes,
        "excluded": policy.excluded().len(),
        "format": policy.format(),
        "longest": policy.text_max(),
        "needs_lockout": policy.needs_lockout(),
    })
}

fn line(policy: &Policy) -> String {
    let lockout = if policy.needs_lockout() {
        ", with a lockout"
    } else {
        ""
    };
    format!(
        "{:<20} v{}  {:>6.2} bits  {}{lockout}\n                     {}\n",
        policy.name(),
        policy.version(),
        (policy.net_bits() * 100.0).floor() / 100.0,
        drawn(policy),
        policy.source()
    )
}

fn text(policy: &Policy) -> String {
    let mut text = format!(
        "{} version {}\n  sha256    {}\n  source    {}\n  bits      {:.2}, floor {}\n  drawn     {}\n",
        policy.name(),
        policy.version(),
        policy.hash(),
        policy.source(),
        (policy.net_bits() * 100.0).floor() / 100.0,
        policy.floor_bits(),
        drawn(policy),
    );
    if policy.words().is_empty() {
        let alphabet = String::from_utf8_lossy(policy.alphabet());
        text.push_str(&format!("  alphabet  {alphabet}\n"));
    }
    let classes: Vec<&str> = policy.classes().iter().map(|it| it.as_str()).collect();
    if !classes.is_empty() {
        text.push_str(&format!("  holds     {}\n", classes.join(", ")));
    }
    if !policy.excluded().is_empty() {
        text.push_str(&format!("  never     {}\n", policy.excluded().join(" ")));
    }
    if let Some(format) = policy.format() {
        text.push_str(&format!("  format    {format}\n"));
    }
    if policy.needs_lockout() {
        text.push_str("  only for products that declare `lockout = TRIES` under [password]\n");
    }
    text
}

fn drawn(policy: &Policy) -> String {
    let what = if policy.words().is_empty() {
        "symbols"
    } else {
        "words"
    };
    format!("{} of {} {what}", policy.length(), policy.choices())
}
