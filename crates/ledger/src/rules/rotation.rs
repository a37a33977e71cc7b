//! One key takes over from another: only when the one in force says so.

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use tlog::Rotation;
use traveler::{Entry, Event, IssuingRotation};

use super::{Stop, Verdict, View, refuse};
use crate::Refused;
use crate::rows::{Row, SignerName, SigningKeyRow};

/// Bytes of an uncompressed P-256 point, the tail of its SubjectPublicKeyInfo (RFC 5480).
const POINT: usize = 65;

/// The keys with which a log begins.
pub(super) fn first(event: &Event) -> Vec<Row> {
    let Event::LogOpened { vkey, ceremony, .. } = event else {
        return Vec::new();
    };
    let keys = ceremony.iter().flat_map(|ceremony| &ceremony.keys);
    let mut issuing = keys.filter(|key| key.key == "device-issuing");
    let issuing = issuing.find_map(|key| key.public_key.clone());
    let row = |key, public| {
        Row::SigningKey(SigningKeyRow {
            seq: 0,
            key,
            public,
            proof: String::new(),
            certificate_sha256: None,
        })
    };
    let log = row(SignerName::Log, vkey.clone());
    let issuing = issuing.map(|public| row(SignerName::Issuing, public));
    std::iter::once(log).chain(issuing).collect()
}

/// The log's key: both keys signed the note that the entry holds.
pub(super) fn log_key<V: View>(view: &V, entry: &Entry) -> Verdict<V::Error> {
    let Event::LogKeyRotated { vkey, rotation, .. } = &entry.event else {
        return refuse(Refused::Empty);
    };
    let before = in_force(view, SignerName::Log)?;
    let told = match Rotation::open(rotation) {
        Ok(told) => told,
        Err(error) => return not_authorised(SignerName::Log, error.to_string()),
    };
    if told.old.to_string() != before.public {
        let why = format!(
            "it takes over from {}, not from {}",
            told.old, before.public
        );
        return not_authorised(SignerName::Log, why);
    }
    if told.seq != entry.seq || told.new.to_string() != *vkey {
        let why = "what was signed is of another entry or key".to_owned();
        return not_authorised(SignerName::Log, why);
    }
    Ok(vec![Row::SigningKey(SigningKeyRow {
        seq: entry.seq,
        key: SignerName::Log,
        public: vkey.clone(),
        proof: rotation.clone(),
        certificate_sha256: None,
    })])
}

/// The issuing key: the one before it signed for the new key and its certificate.
pub(super) fn issuing_key<V: View>(view: &V, entry: &Entry) -> Verdict<V::Error> {
    let Event::IssuingKeyRotated {
        public_key,
        certificate_sha256,
        authorisation,
        ..
    } = &entry.event
    else {
        return refuse(Refused::Empty);
    };
    let before = in_force(view, SignerName::Issuing)?;
    let origin = in_force(view, SignerName::Log)?.public;
    let text = IssuingRotation {
        origin: origin.split('+').next().unwrap_or_default(),
        seq: entry.seq,
        old: &before.public,
        new: public_key,
        certificate_sha256: *certificate_sha256,
    };
    let (point, signature) = (hex(&before.public), hex(authorisation));
    let point = point.as_deref().and_then(|spki| spki.last_chunk::<POINT>());
    let signed = point.zip(signature).is_some_and(|(point, signature)| {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(text.to_text().as_bytes(), &signature)
            .is_ok()
    });
    if !signed || *public_key == before.public || hex(public_key).is_none() {
        let why = format!("the key {} did not sign for it", before.public);
        return not_authorised(SignerName::Issuing, why);
    }
    Ok(vec![Row::SigningKey(SigningKeyRow {
        seq: entry.seq,
        key: SignerName::Issuing,
        public: public_key.clone(),
        proof: authorisation.clone(),
        certificate_sha256: Some(*certificate_sha256),
    })])
}

fn in_force<V: View>(view: &V, key: SignerName) -> Result<SigningKeyRow, Stop<V::Error>> {
    match view.signing_key(key)? {
        Some(row) => Ok(row),
        None => not_authorised(key, "the log does not say which key is in force".to_owned()),
    }
}

fn not_authorised<T, E>(key: SignerName, why: String) -> Result<T, Stop<E>> {
    refuse(Refused::NotAuthorised { key, why })
}

/// Bytes of hexadecimal digits.
fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((digit(high)? * 16 + digit(low)?) as u8);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}
