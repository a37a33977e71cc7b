//! Cosignatures (c2sp.org/tlog-cosignature, Ed25519): a witness says when it saw which tree head.
//!
//! A witness signs that, as of a time, the largest tree of this log it has seen, consistent with
//! all it saw before, has this root. Whether that is so is for the witness to check before it signs
//! (see [`crate::verify_consistency`]). Deliberately absent: memory of what was seen, and clocks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::note::{KeyError, NoteError, SignError, key_id, key_text, name_is_valid};
use crate::note::{parse_key, parts};

/// Signature type of Ed25519 cosignatures (c2sp.org/tlog-cosignature).
const COSIGNATURE_TYPE: u8 = 0x04;

/// Bytes of a timestamped signature: the time (8, big-endian) and the signature.
const TIMESTAMPED: usize = 8 + 64;

/// The public key of a witness: `name+id+key`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WitnessKey {
    name: String,
    public: [u8; 32],
}

impl WitnessKey {
    /// The key of a witness called `name`.
    ///
    /// # Errors
    /// [`KeyError::Name`] when no note could carry the name.
    pub fn new(name: &str, ed25519_public: &[u8; 32]) -> Result<WitnessKey, KeyError> {
        if !name_is_valid(name) {
            return Err(KeyError::Name);
        }
        Ok(WitnessKey {
            name: name.to_owned(),
            public: *ed25519_public,
        })
    }

    /// Parses the one-line form.
    ///
    /// # Errors
    /// [`KeyError`] on anything else than a witness's key with the right id; a log's key is of
    /// another type.
    pub fn parse(text: &str) -> Result<WitnessKey, KeyError> {
        let (name, public) = parse_key(text, COSIGNATURE_TYPE)?;
        Ok(WitnessKey { name, public })
    }

    /// The witness's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl std::fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&key_text(&self.name, COSIGNATURE_TYPE, &self.public))
    }
}

/// Signs with a witness's key that lies elsewhere.
pub trait WitnessSigner {
    /// Signs the message as it is (Ed25519, 64 bytes).
    ///
    /// # Errors
    /// [`SignError`] when the key cannot be used now.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;

    /// The key others check the signature with.
    fn key(&self) -> &WitnessKey;
}

/// A cosignature that holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cosignature {
    /// Who saw the tree head.
    pub witness: String,
    /// When, in seconds since 1970.
    pub time: u64,
}

/// What a witness signs (c2sp.org/tlog-cosignature, "Ed25519 signed message").
fn message(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// The note with the witness's line under it; an older line of the same witness is replaced, so that
/// a note that is cosigned again does not grow.
///
/// `time` is in seconds since 1970. The witness has checked the note and its consistency.
///
/// # Errors
/// [`SignError`] of the signer, or when `note` is no signed note or `time` is beyond 2^63 - 1.
pub fn cosign(note: &str, time: u64, signer: &dyn WitnessSigner) -> Result<String, SignError> {
    let refused = |reason: String| SignError { reason };
    if i64::try_from(time).is_err() {
        return Err(refused("a time beyond 2^63 - 1 seconds".to_owned()));
    }
    let (text, signatures) = parts(note).map_err(|error| refused(error.to_string()))?;
    let key = signer.key();
    let id = key_id(&key.name, COSIGNATURE_TYPE, &key.public);
    let signature = signer.sign(message(time, text).as_bytes())?;
    let mut out = format!("{text}\n");
    let own = [&id[..], &time.to_be_bytes(), &signature].concat();
    let others = signatures
        .into_iter()
        .filter(|(name, bytes)| *name != key.name || !bytes.starts_with(&id));
    for (name, bytes) in others.chain([(key.name.as_str(), own)]) {
        out.push_str(&format!("\u{2014} {name} {}\n", BASE64.encode(bytes)));
    }
    Ok(out)
}

/// The cosignatures of these witnesses on a note. Lines of others are skipped, as the
/// specification asks.
///
/// # Errors
/// [`NoteError::Malformed`], or [`NoteError::BadSignature`] when a line claims one of the keys and
/// does not hold.
pub fn cosignatures(note: &str, witnesses: &[WitnessKey]) -> Result<Vec<Cosignature>, NoteError> {
    let (text, signatures) = parts(note)?;
    let mut held = vec![];
    for (name, bytes) in signatures {
        let (id, rest) = bytes.split_at(4);
        let own = |key: &&WitnessKey| {
            key.name == name && key_id(&key.name, COSIGNATURE_TYPE, &key.public) == id
        };
        for key in witnesses.iter().filter(own) {
            let time = checked(key, text, rest)
                .ok_or_else(|| NoteError::BadSignature(key.name.clone()))?;
            held.push(Cosignature {
                witness: key.name.clone(),
                time,
            });
        }
    }
    Ok(held)
}

/// The time of a timestamped signature that holds.
fn checked(key: &WitnessKey, text: &str, timestamped: &[u8]) -> Option<u64> {
    if timestamped.len() != TIMESTAMPED {
        return None;
    }
    let (time, signature) = timestamped.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    i64::try_from(time).ok()?;
    UnparsedPublicKey::new(&ED25519, key.public)
        .verify(message(time, text).as_bytes(), signature)
        .ok()
        .map(|()| time)
}

#[cfg(test)]
pub(crate) mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;
    use crate::note::tests::TestSigner;
    use crate::{CheckpointSigner, open_note, sign_note};

    /// A witness with a key anyone can know.
    pub(crate) struct TestWitness(Ed25519KeyPair, WitnessKey);

    impl TestWitness {
        pub(crate) fn new(name: &str, seed: u8) -> TestWitness {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            let public = pair.public_key().as_ref().try_into().unwrap();
            let key = WitnessKey::new(name, &public).unwrap();
            TestWitness(pair, key)
        }
    }

    impl WitnessSigner for TestWitness {
        fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
            Ok(self.0.sign(message).as_ref().try_into().unwrap())
        }

        fn key(&self) -> &WitnessKey {
            &self.1
        }
    }

    fn note() -> (TestSigner, String) {
        let log = TestSigner::new("example.com/log", 1);
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        let note = sign_note(&format!("example.com/log\n7\n{root}\n"), &log).unwrap();
        (log, note)
    }

    /// The message of the specification's example, to the letter.
    /// If it fails, change the code, not the vector.
    #[test]
    fn the_signed_message_is_that_of_the_specification() {
        let text = "example.com/behind-the-sofa\n20852163\n\
                    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let expected = "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n\
                        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        assert_eq!(message(1_679_315_147, text), expected);
    }

    #[test]
    fn a_cosigned_note_opens_under_both_keys() {
        let (log, note) = note();
        let witness = TestWitness::new("witness.example/w1", 2);
        let both = cosign(&note, 1_790_000_000, &witness).unwrap();
        assert!(open_note(&both, &[log.vkey().clone()]).is_ok());
        let seen = Cosignature {
            witness: "witness.example/w1".to_owned(),
            time: 1_790_000_000,
        };
        let keys = [witness.key().clone()];
        assert_eq!(cosignatures(&both, &keys), Ok(vec![seen]));
        assert_eq!(cosignatures(&note, &keys), Ok(vec![]));
        let again = cosign(&both, 1_790_000_001, &witness).unwrap();
        assert_eq!(again.len(), both.len(), "the older line is replaced");
        assert_eq!(cosignatures(&again, &keys).unwrap()[0].time, 1_790_000_001);
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let (_, note) = note();
        let witness = TestWitness::new("witness.example/w1", 2);
        let both = cosign(&note, 1_790_000_000, &witness).unwrap();
        let keys = [witness.key().clone()];
        let own = both.rfind("\u{2014} witness").unwrap();
        let text = both.find("\n\n").unwrap();
        for at in (0..text).chain(own..both.len()) {
            let mut changed = both.clone().into_bytes();
            changed[at] ^= 1;
            if let Ok(changed) = String::from_utf8(changed) {
                let held = cosignatures(&changed, &keys).unwrap_or_default();
                assert_eq!(held, [], "byte {at}");
            }
        }
    }

    #[test]
    fn a_logs_key_is_no_witnesss_key() {
        let (log, _) = note();
        let witness = TestWitness::new("witness.example/w1", 2);
        let text = witness.key().to_string();
        assert_eq!(WitnessKey::parse(&text).as_ref(), Ok(witness.key()));
        assert_eq!(
            WitnessKey::parse(&log.vkey().to_string()),
            Err(KeyError::Type { found: 1, asked: 4 })
        );
        assert!(crate::VerifierKey::parse(&text).is_err());
        assert!(cosign("no note", 1, &witness).is_err());
        assert!(cosign(&note().1, u64::MAX, &witness).is_err());
    }
}
