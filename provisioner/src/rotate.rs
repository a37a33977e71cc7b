//! Another key takes over: `provisioner rotate`, while no server runs.
//!
//! The new key is made inside the token, beside the old one, which stays there: what it signed goes
//! on being good, and it signs nothing more. The log says who signs from when on, so the log decides:
//! a crash before the entry is durable leaves a key, and perhaps a certificate, that nobody uses and
//! that the next run takes up; a crash behind it leaves a `vkey` that the next start puts right.
//!
//! Deliberately absent: the fingerprint key, under which every password of all history is compared,
//! so that another one would find no duplicate; the root, which is the units' trust itself; and the
//! site's key and the ticket key, whose products last for weeks and whose change is a new site.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hsm::{Hsm, Key};
use identity::{Issuer, Signer, Stamp};
use ledger::{Ledger, SignerName};
use serde_json::json;
use tlog::{CheckpointSigner, Rotation};
use traveler::{CeremonyKey, Change, Event, IssuingRotation};

use crate::auth::sha256;
use crate::ceremony;
use crate::cli::{Format, print};
use crate::config::Config;
use crate::figures::hex;
use crate::keys::{CertificateKey, LogKey, Turned};
use crate::line::now;
use crate::offline;
use crate::pin::PinArgs;
use crate::serve;
use crate::site::{self, Site};

/// The arguments of `rotate`.
#[derive(clap::Args, Debug)]
pub(crate) struct RotateArgs {
    /// Which key: the one that signs the log, or the one that certifies units.
    #[arg(long, value_name = "KEY", value_parser = ["log", "issuing"])]
    key: String,
    /// Why, on one line; it stands in the log.
    #[arg(long, value_name = "TEXT", required_unless_present = "issuing_csr")]
    reason: Option<String>,
    /// Who stands at the token, best by badge: the log keeps it for good; may be given again.
    #[arg(long, value_name = "NAME", required_unless_present = "issuing_csr")]
    operator: Vec<String>,
    /// Make the new issuing key and print a request for its certificate; nothing is rotated yet.
    #[arg(long, conflicts_with = "issuing_cert")]
    issuing_csr: bool,
    /// File with the new issuing certificate and its root (PEM), signed where the root is kept.
    #[arg(long, value_name = "FILE")]
    issuing_cert: Option<PathBuf>,
    #[command(flatten)]
    pin: PinArgs,
    /// Accept a software token in place of an HSM.
    #[arg(long)]
    allow_simulated_hsm: bool,
}

/// `provisioner rotate`
pub(crate) fn run(site: &Site, args: RotateArgs, format: Format) -> Result<ExitCode> {
    let of_issuing = args.issuing_csr || args.issuing_cert.is_some();
    if args.key == SignerName::Log.as_str() && of_issuing {
        bail!("--issuing-csr and --issuing-cert go with --key issuing");
    }
    let mut config = Config::read(site.data())?;
    config.allow_simulated_hsm |= args.allow_simulated_hsm;
    args.pin.tell(&mut config)?;
    let hsm = serve::open_hsm(site, &config)?;
    let ledger = Ledger::open(&site.ledger()).context("stop the server first")?;
    serve::same_fingerprint_key(&ledger.reader()?, &*hsm)?;
    let mark = serve::not_backwards(site, &*hsm, &ledger.reader()?, ledger.log_keys())?;
    let why = Why {
        mark,
        reason: args.reason.unwrap_or_default(),
        by: args.operator.join(", "),
    };
    if args.key == SignerName::Log.as_str() {
        return log(site, &hsm, ledger, why, format);
    }
    let chosen = match (args.issuing_csr, args.issuing_cert) {
        (true, _) => Chosen::Request,
        (false, Some(chain)) => Chosen::Chain(chain),
        (false, None) => Chosen::OwnRoot,
    };
    issuing(site, &hsm, ledger, &chosen, why, format)
}

/// What the entry says of the people, and where the token is told of it.
struct Why {
    /// The name under which the token keeps its mark of the log.
    mark: String,
    reason: String,
    by: String,
}

/// Where the new issuing certificate comes from.
enum Chosen {
    Request,
    Chain(PathBuf),
    OwnRoot,
}

/// What was done, for a script and for two people with a pen.
fn tell(
    ledger: Ledger,
    format: Format,
    what: SignerName,
    seq: u64,
    (old, new): (&str, &str),
    key: &CeremonyKey,
) -> Result<ExitCode> {
    let checkpoint = ledger.reader()?.checkpoint()?.unwrap_or_default();
    ledger.close()?;
    let fact = json!({
        "rotated": what.as_str(),
        "entry": seq,
        "old": old,
        "new": new,
        "key": key,
        "checkpoint": checkpoint,
    });
    let label = &key.key;
    print(format, &fact, || {
        format!(
            "rotated     {what}, by entry {seq}\nold         {old}\nnew         {new}\nkey         {label}, {}\n\n{checkpoint}",
            if key.made { "made now" } else { "found" }
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn simulated(hsm: &dyn Hsm, events: Vec<Event>) -> Result<Change> {
    Ok(Change {
        time: now(),
        simulated_hsm: hsm.describe()?.simulated,
        events,
    })
}

/// The key after this one, made if a run that broke off did not.
fn successor(hsm: &dyn Hsm, next: Option<Key>) -> Result<(Key, CeremonyKey)> {
    let next = next.context("this key was rotated as often as a token has labels for")?;
    let about = hsm.describe()?;
    let held = ceremony::hold(hsm, &about, &[], &[next])?;
    let key = held.keys.into_iter().next();
    Ok((next, key.context("the token made no key")?))
}

fn log(
    site: &Site,
    hsm: &Arc<dyn Hsm>,
    mut ledger: Ledger,
    why: Why,
    format: Format,
) -> Result<ExitCode> {
    let Turned { turn, signer: old } = serve::log_key(ledger.vkey(), hsm)?;
    let (next, made) = successor(&**hsm, Key::log(turn + 1))?;
    let new = LogKey::new(hsm, next, old.vkey().name())?;
    let seq = ledger.next_seq();
    let event = Event::LogKeyRotated {
        vkey: new.vkey().to_string(),
        rotation: Rotation::sign(seq, &old, &new)?,
        reason: why.reason,
        by: why.by,
    };
    let change = simulated(&**hsm, vec![event])?;
    // Crash before this line: nobody uses the new key. After it: the log is the new key's, and the
    // next start puts the file right.
    ledger.rotate(&change, &old, &new)??;
    site.put_vkey(new.vkey())?;
    hsm.raise_high_water(&why.mark, ledger.next_seq())?;
    let keys = (old.vkey().to_string(), new.vkey().to_string());
    let keys = (keys.0.as_str(), keys.1.as_str());
    tell(ledger, format, SignerName::Log, seq, keys, &made)
}

fn issuing(
    site: &Site,
    hsm: &Arc<dyn Hsm>,
    mut ledger: Ledger,
    chosen: &Chosen,
    why: Why,
    format: Format,
) -> Result<ExitCode> {
    let before = ledger.reader()?.issuing_key()?.context(
        "this log was opened by an older version, which did not record its issuing key: only a \
         new site can have another",
    )?;
    let Turned { turn, signer: old } =
        CertificateKey::of(hsm, Key::issuing, |spki| hex(spki) == before.public)?.context(
            "the token does not hold this log's issuing key: name the right --data and --hsm",
        )?;
    let (next, made) = successor(&**hsm, Key::issuing(turn + 1))?;
    let key = CertificateKey::new(hsm, next)?;
    let name = format!("{} {}", offline::ISSUING, turn + 1);
    if matches!(chosen, Chosen::Request) {
        let request = identity::issuing_request(&key, &name)?;
        let csr = identity::pem("CERTIFICATE REQUEST", &request).to_string();
        print(format, &json!({ "csr": csr }), || csr.clone())?;
        return Ok(ExitCode::SUCCESS);
    }
    let certificate = certificate(site, hsm, &key, chosen, &name)?;
    // Beside the others: which of them is used is for the log to say.
    put_first(site, &certificate)?;
    let (seq, new) = (ledger.next_seq(), hex(key.spki()));
    let certificate_sha256 = sha256(&certificate);
    let signer = serve::log_key(ledger.vkey(), hsm)?.signer;
    let text = IssuingRotation {
        origin: signer.vkey().name(),
        seq,
        old: &before.public,
        new: &new,
        certificate_sha256,
    };
    let event = Event::IssuingKeyRotated {
        public_key: new.clone(),
        certificate_sha256,
        authorisation: hex(&Signer::sign(&old, text.to_text().as_bytes())?),
        reason: why.reason,
        by: why.by,
    };
    let change = simulated(&**hsm, vec![event])?;
    for written in ledger.append(&[change], &signer)? {
        written?;
    }
    hsm.raise_high_water(&why.mark, ledger.next_seq())?;
    let keys = (before.public.as_str(), new.as_str());
    tell(ledger, format, SignerName::Issuing, seq, keys, &made)
}

/// The new issuing certificate (DER), below the root of this site.
fn certificate(
    site: &Site,
    hsm: &Arc<dyn Hsm>,
    key: &CertificateKey,
    chosen: &Chosen,
    name: &str,
) -> Result<Vec<u8>> {
    let root = site::read_certificate(&site.device_root())?;
    if let Chosen::Chain(path) = chosen {
        let (issuing, given) = offline::chain(path, key)?;
        if given != root {
            bail!("{} is below another root than this site's", path.display());
        }
        return Ok(issuing);
    }
    let root_key = CertificateKey::new(hsm, Key::DeviceRoot).context(
        "the root is kept elsewhere: use --issuing-csr, have it signed, then --issuing-cert",
    )?;
    let mut serial_number = [0; 16];
    hsm.random(&mut serial_number)?;
    let stamp = Stamp {
        serial_number,
        not_before: now(),
    };
    let issuer = Issuer {
        signer: &root_key,
        certificate: &root,
    };
    Ok(identity::device_issuing(issuer, name, key.spki(), stamp)?.der)
}

/// Units of all times verify with the one file, whichever key certified them.
fn put_first(site: &Site, certificate: &[u8]) -> Result<()> {
    let path = site.device_issuing();
    let mut text = identity::pem("CERTIFICATE", certificate).to_string();
    text.push_str(&site::read(&path)?);
    Ok(site::replace_durably(&path, text.as_bytes(), false)?)
}
