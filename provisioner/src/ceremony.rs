//! The key ceremony: makes or finds every key, and writes down what two people sign.
//!
//! The record is the same in the first entry of the log, in `ceremony.json` and in `ceremony.txt`,
//! which is printed and signed by hand.

use std::fmt::Write;

use hsm::{Description, Hsm, HsmError, Key, Kind, Wrapping};
use traveler::{Ceremony, CeremonyKey, KeyId, Timestamp};

use crate::auth::sha256;
use crate::figures::hex;
use crate::line::fingerprint_key_id;

/// Makes the `wanted` keys that are not there, and describes all of them.
///
/// # Errors
/// [`HsmError`] of the token; what was made until then stays in it and is found the next time.
pub(crate) fn hold(
    hsm: &dyn Hsm,
    about: &Description,
    operators: &[String],
    wanted: &[Key],
) -> Result<Ceremony, HsmError> {
    let mut keys = Vec::with_capacity(wanted.len());
    let fallback = hsm.wrapping() == Wrapping::CbcHmac && wanted.contains(&Key::Ticket);
    let more = fallback.then_some(Key::TicketMac);
    for key in more.into_iter().chain(wanted.iter().copied()) {
        let made = !is_there(hsm, key)?;
        hsm.make_key(key)?;
        keys.push(describe(hsm, key, made)?);
    }
    Ok(Ceremony {
        model: about.model.clone(),
        serial: about.serial.clone(),
        firmware: about.firmware.clone(),
        operators: operators.to_vec(),
        keys,
    })
}

fn is_there(hsm: &dyn Hsm, key: Key) -> Result<bool, HsmError> {
    let used = match key.kind() {
        Kind::P256 | Kind::Ed25519 => hsm.public_key(key).map(drop),
        Kind::Mac => hsm.mac(key, b"birthmark").map(drop),
        Kind::Aes256 => hsm.wrap(key, b"birthmark", b"").map(drop),
    };
    match used {
        Ok(()) => Ok(true),
        Err(HsmError::NoSuchKey(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn describe(hsm: &dyn Hsm, key: Key, made: bool) -> Result<CeremonyKey, HsmError> {
    let (algorithm, spki) = match key.kind() {
        Kind::P256 => ("P-256", Some(hsm.public_key(key)?)),
        Kind::Ed25519 => ("Ed25519", Some(hsm.public_key(key)?)),
        Kind::Mac => ("HMAC-SHA-256", None),
        Kind::Aes256 => (hsm.wrapping().name(), None),
    };
    let id = match (&spki, key.kind()) {
        (Some(spki), _) => Some(key_id(spki)),
        (None, _) if key == Key::Fingerprint => Some(fingerprint_key_id(hsm)?),
        (None, _) => None,
    };
    let facts = hsm.key_facts(key)?;
    Ok(CeremonyKey {
        key: key.label().to_owned(),
        algorithm: algorithm.to_owned(),
        id,
        public_key: spki.as_deref().map(hex),
        made,
        sensitive: facts.sensitive,
        extractable: facts.extractable,
        always_sensitive: facts.always_sensitive,
        never_extractable: facts.never_extractable,
        made_inside: facts.made_inside,
    })
}

/// The first 8 bytes of SHA-256 of a public key.
pub(crate) fn key_id(spki: &[u8]) -> KeyId {
    let digest = sha256(spki);
    let mut id = [0; 8];
    id.copy_from_slice(&digest.0[..8]);
    KeyId(id)
}

/// The record on paper.
pub(crate) fn text(ceremony: &Ceremony, origin: &str, vkey: &str, time: Timestamp) -> String {
    let mut out = format!(
        "KEY CEREMONY\n\n\
         when        {time}\n\
         log         {origin}\n\
         log key     {vkey}\n\
         token       {}\n\
         serial      {}\n\
         firmware    {}\n",
        ceremony.model, ceremony.serial, ceremony.firmware
    );
    for key in &ceremony.keys {
        let word = |is: bool, word: &'static str| if is { word } else { "" };
        let facts = [
            if key.made { "made now" } else { "found" },
            word(key.made_inside, "made inside"),
            word(key.sensitive, "sensitive"),
            word(key.always_sensitive, "always sensitive"),
            word(key.never_extractable, "never extractable"),
            word(key.extractable, "CAN LEAVE THE TOKEN"),
        ];
        let facts: Vec<&str> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        let id = key.id.map(|id| id.to_string()).unwrap_or_default();
        let _ = write!(
            out,
            "\n{:<16}{:<14}{id}\n{:16}{}\n",
            key.key,
            key.algorithm,
            "",
            facts.join(", ")
        );
        if let Some(public) = &key.public_key {
            for line in public.as_bytes().chunks(64) {
                let _ = writeln!(out, "{:16}{}", "", String::from_utf8_lossy(line));
            }
        }
    }
    out.push_str(
        "\nWe saw these keys made or found, and that the record agrees with the screen.\n",
    );
    let blank = String::new();
    for number in 0..ceremony.operators.len().max(2) {
        let name = ceremony.operators.get(number).unwrap_or(&blank);
        let _ = write!(
            out,
            "\nname        {name}\nsignature   ______________________  date  __________\n"
        );
    }
    out
}
