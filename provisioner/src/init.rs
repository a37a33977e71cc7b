//! Makes a site: keys in the HSM, certificates, the log's first entry, people's credentials.
//!
//! Everything is made in a directory beside the one asked for and renamed at the end, so an init
//! that was cut short leaves nothing that looks like a site.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hsm::{Hsm, HsmError, Key, Pin};
use identity::{Issuer, PersonName, Role, Signer, Stamp};
use ledger::Ledger;
use thiserror::Error;
use tlog::CheckpointSigner;
use traveler::{Ceremony, Change, Event, Timestamp};
use zeroize::Zeroizing;

pub use crate::choice::Choice;
pub(crate) use crate::choice::InitArgs;

use crate::auth::sha256;
use crate::authority::{Authority, AuthorityError};
use crate::ceremony;
use crate::config::{Config, ConfigError, HsmPlace};
use crate::keys::{self, CertificateKey, KeysError, LogKey, SystemRandomness};
use crate::line::{fingerprint_key_id, now};
use crate::offline;
use crate::operators;
use crate::pin::PinSource;
use crate::site::{self, Site, SiteError};

/// How long a person's credential is valid: one year.
const PERSON_HOURS: u32 = 365 * 24;

/// Symbols of the PIN that `init` makes when none is given: 24 of 32, 120 bits.
const PIN_SYMBOLS: usize = 24;

/// Why no site was made.
#[derive(Debug, Error)]
pub enum InitError {
    /// A person's name cannot be kept with the badge.
    #[error("--operator: {0}")]
    Operators(String),
    /// The directory holds something already.
    #[error("{} is not an empty or new folder: choose another --data", .0.display())]
    NotEmpty(PathBuf),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file cannot be written.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The keys cannot be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The token refuses.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// A certificate could not be made.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    /// A credential could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// No key could be made for a person.
    #[error(transparent)]
    Key(#[from] credential::KeyError),
    /// A chain of another length.
    #[error(
        "{} holds {got} certificates: it should hold the issuing certificate and then its root",
        .path.display()
    )]
    Chain {
        /// Which file.
        path: PathBuf,
        /// How many it holds.
        got: usize,
    },
    /// The log could not be started.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// What was made, for the person who asked.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Made {
    /// The data directory.
    pub data: PathBuf,
    /// Origin of the log.
    pub origin: String,
    /// Verifier key of the log: auditors and witnesses keep it.
    pub vkey: String,
    /// What the keys are in.
    pub hsm: String,
    /// Whether that is a software token.
    pub simulated_hsm: bool,
    /// SHA-256 of the units' root certificate.
    pub device_root_sha256: String,
    /// SHA-256 of the root certificate of stations and people.
    pub site_root_sha256: String,
    /// The record of the key ceremony.
    pub ceremony: Ceremony,
}

/// Makes a site at `data`.
///
/// # Errors
/// [`InitError`]; then nothing is left behind that looks like a site.
pub fn init(data: &Path, choice: &Choice) -> Result<Made, InitError> {
    let occupied = fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some());
    // `.` cannot be replaced by a rename, and would hide that it was empty.
    if occupied || data.is_file() || data.file_name().is_none() {
        return Err(InitError::NotEmpty(data.to_owned()));
    }
    let file = |source| SiteError::File {
        path: data.to_owned(),
        source,
    };
    let mut name = data.file_name().unwrap_or("birthmark".as_ref()).to_owned();
    name.push(format!(".init-{}", std::process::id()));
    let draft = data.with_file_name(name);
    fs::create_dir_all(&draft).map_err(file)?;

    let made = build(&Site::at(&draft), choice).and_then(|made| {
        // Rename replaces an empty directory and nothing else (rename(2)).
        fs::rename(&draft, data).map_err(file)?;
        Ok(Made {
            data: data.to_owned(),
            ..made
        })
    });
    if made.is_err() {
        let _ = fs::remove_dir_all(&draft); // what is left is not a site; the name says so
    }
    made
}

fn build(site: &Site, choice: &Choice) -> Result<Made, InitError> {
    let (config, pin) = place_of_keys(site, choice)?;
    let place = HsmPlace::parse(&config.hsm, site.data())?;
    if choice.hsm.is_none() {
        let HsmPlace::Soft(store) = &place else {
            unreachable!("the default token is soft")
        };
        fs::create_dir_all(store.parent().unwrap_or(site.data())).map_err(|source| {
            SiteError::File {
                path: store.clone(),
                source,
            }
        })?;
        keys::create_soft(store, &pin)?;
    }
    let hsm = keys::open(&place, pin, true)?;
    let token = hsm.describe()?;
    let wanted = match &choice.issuing_cert {
        Some(_) => &offline::KEYS[..],
        None => &Key::ALL,
    };
    let ceremony = ceremony::hold(&*hsm, &token, &choice.badges(), wanted)?;
    let time = now();
    let (device_root, site_root) = certificates(site, &hsm, choice, time)?;
    let mut id = [0; 8];
    hsm.random(&mut id)?;
    let origin = format!("birthmark/{}", traveler::KeyId(id));
    let signer = LogKey::new(&hsm, Key::Log, &origin)?;
    let vkey = signer.vkey().to_string();
    let first = Event::LogOpened {
        origin: origin.clone(),
        vkey: vkey.clone(),
        hsm: format!("{} {}", token.model, token.serial),
        fingerprint_key: fingerprint_key_id(&*hsm)?,
        device_root_sha256: sha256(&device_root),
        site_root_sha256: sha256(&site_root),
        ceremony: Some(Box::new(ceremony.clone())),
    };
    let change = Change {
        time,
        simulated_hsm: token.simulated,
        events: vec![first],
    };
    Ledger::create(&site.ledger(), &signer, change)?;
    record(site, &ceremony, &origin, &vkey, time)?;
    operators::name_all(site, &choice.operators)
        .map_err(|why| InitError::Operators(format!("{why:#}")))?;
    site::write_new(&site.vkey_file(), format!("{vkey}\n").as_bytes(), false)?;
    let authority = Authority::open(&hsm, site, None)?;
    for (who, role) in [
        ("admin", Role::Admin(person("admin"))),
        ("qa", Role::Qa(person("qa"))),
    ] {
        credential(site, &authority, who, &role, time)?;
    }
    let text = toml::to_string(&config).expect("a configuration is plain data");
    site::write_new(&site.data().join(Config::FILE), text.as_bytes(), false)?;
    Ok(Made {
        data: site.data().to_owned(),
        origin,
        vkey,
        hsm: format!("{} {}", token.model, token.serial),
        simulated_hsm: token.simulated,
        device_root_sha256: sha256(&device_root).to_string(),
        site_root_sha256: sha256(&site_root).to_string(),
        ceremony,
    })
}

/// The ceremony's record for a script and for two people with a pen.
fn record(
    site: &Site,
    ceremony: &Ceremony,
    origin: &str,
    vkey: &str,
    time: Timestamp,
) -> Result<(), SiteError> {
    let text = ceremony::text(ceremony, origin, vkey, time);
    let json = serde_json::json!({
        "time": time, "origin": origin, "vkey": vkey, "ceremony": ceremony
    });
    site::write_new(
        &site.data().join("ceremony.json"),
        format!("{json:#}\n").as_bytes(),
        false,
    )?;
    site::write_new(&site.data().join("ceremony.txt"), text.as_bytes(), false)
}

/// The configuration, and the PIN: the given one, or a new one for a new software token.
fn place_of_keys(site: &Site, choice: &Choice) -> Result<(Config, Pin), InitError> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let hsm = match &choice.hsm {
        // Relative to where the person stands, not to the data directory.
        Some(text) => HsmPlace::parse(text, &absolute(Path::new(".")))?.to_string(),
        None => "soft:hsm/soft.store".to_owned(),
    };
    if let Some(source) = &choice.pin {
        let pin = source.read().map_err(KeysError::Pin)?;
        return Ok((Config::new(&hsm, None), pin));
    }
    if let Some(path) = &choice.pin_file {
        let path = absolute(path);
        let pin = PinSource::File(path.clone())
            .read()
            .map_err(KeysError::Pin)?;
        return Ok((Config::new(&hsm, Some(&path)), pin));
    }
    if choice.hsm.is_some() {
        // A PIN made here would open no token that is there already.
        return Err(ConfigError::NoPin.into());
    }
    let relative = Path::new("hsm/pin");
    let pin = random_pin()?;
    site::write_new(&site.data().join(relative), &pin, true)?;
    let path = site.data().join(relative);
    let pin = PinSource::File(path).read().map_err(KeysError::Pin)?;
    Ok((Config::new(&hsm, Some(relative)), pin))
}

fn random_pin() -> Result<Zeroizing<Vec<u8>>, InitError> {
    const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut pin = Zeroizing::new(vec![0; PIN_SYMBOLS]);
    hsm::Randomness::fill(&mut SystemRandomness, &mut pin)?;
    for byte in pin.iter_mut() {
        *byte = SYMBOLS[usize::from(*byte % 32)]; // 256 is 8 times 32: no symbol is likelier
    }
    Ok(pin)
}

/// Makes and writes the roots and the issuing certificate; returns both roots.
fn certificates(
    site: &Site,
    hsm: &Arc<dyn Hsm>,
    choice: &Choice,
    not_before: Timestamp,
) -> Result<(Vec<u8>, Vec<u8>), InitError> {
    let stamp = || -> Result<Stamp, HsmError> {
        let mut serial_number = [0; 16];
        hsm.random(&mut serial_number)?;
        Ok(Stamp {
            serial_number,
            not_before,
        })
    };
    let issuing_key = CertificateKey::new(hsm, Key::DeviceIssuing)?;
    let site_key = CertificateKey::new(hsm, Key::Site)?;
    let (issuing, root) = match &choice.issuing_cert {
        Some(path) => offline::chain(path, &issuing_key)?,
        None => {
            let root_key = CertificateKey::new(hsm, Key::DeviceRoot)?;
            let root = identity::device_root(&root_key, "Birthmark device id root", stamp()?)?.der;
            let issuer = Issuer {
                signer: &root_key,
                certificate: &root,
            };
            let (name, spki) = (offline::ISSUING, issuing_key.spki());
            let issuing = identity::device_issuing(issuer, name, spki, stamp()?)?;
            (issuing.der, root)
        }
    };
    let site_root = identity::site_root(&site_key, "Birthmark site root", stamp()?)?;
    for (path, der) in [
        (site.device_root(), &root),
        (site.device_issuing(), &issuing),
        (site.site_root(), &site_root.der),
    ] {
        site::write_new(&path, identity::pem("CERTIFICATE", der).as_bytes(), false)?;
    }
    Ok((root, site_root.der))
}

/// A person's key and certificate, in a folder of their own to be handed over.
fn credential(
    site: &Site,
    authority: &Authority,
    who: &str,
    role: &Role,
    now: Timestamp,
) -> Result<(), InitError> {
    let minted = credential::mint_key(&ring::rand::SystemRandom::new())?;
    let certificate = authority.leaf(&minted.spki, role, now, PERSON_HOURS)?;
    let folder = site.credential(who);
    let certificate = identity::pem("CERTIFICATE", &certificate);
    site::write_new(
        &folder.join("certificate.pem"),
        certificate.as_bytes(),
        false,
    )?;
    let key = minted
        .private
        .expose(|pkcs8| identity::pem("PRIVATE KEY", pkcs8));
    site::write_new(&folder.join("key.pem"), key.as_bytes(), true)?;
    Ok(())
}

fn person(name: &str) -> PersonName {
    PersonName::parse(name).expect("a fixed name that parses")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_init_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("site");
        let made = init(&data, &Choice::default()).unwrap();
        assert!(made.simulated_hsm);
        let vkey = fs::read_to_string(data.join("vkey")).unwrap();
        assert!(matches!(
            init(&data, &Choice::default()),
            Err(InitError::NotEmpty(_))
        ));
        assert_eq!(fs::read_to_string(data.join("vkey")).unwrap(), vkey);
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no draft stays behind");
    }

    #[test]
    fn secrets_are_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("site");
        init(&data, &Choice::default()).unwrap();
        for secret in ["hsm/pin", "hsm/soft.store", "admin/key.pem", "qa/key.pem"] {
            let mode = fs::metadata(data.join(secret))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
    }

    #[test]
    fn an_init_that_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("site");
        let choice = Choice {
            hsm: Some("yubi:1".into()),
            ..Choice::default()
        };
        assert!(init(&data, &choice).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
