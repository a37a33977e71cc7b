//! Signed notes (c2sp.org/signed-note) with Ed25519 keys: one text, signature lines under it.
//!
//! Deliberately absent: other signature types, and private keys: signing is lent by the caller.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::hash::sha256;

/// Signature type of plain Ed25519 (c2sp.org/signed-note).
const ED25519_TYPE: u8 = 0x01;
/// Longest note that is read. A checkpoint with a few witnesses is under 2 kB.
const NOTE_MAX: usize = 1_000_000;
/// Most signature lines that are read.
const SIGNATURES_MAX: usize = 100;

/// The public key a note is checked with: `name+id+key`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

/// A verifier key that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// Not `name+id+key`.
    #[error("a verifier key reads name+id+key, with 8 hexadecimal digits and base 64")]
    Malformed,
    /// The name is empty or has a space or a plus in it.
    #[error("the key name is empty or has a space or a plus in it")]
    Name,
    /// The id is not that of this name and key.
    #[error("the key's id is not that of its name and bytes: a character was changed")]
    Id,
    /// A key for another purpose: logs sign with 0x01, witnesses with 0x04.
    #[error("the key is of signature type {found:#04x}; {asked:#04x} is asked for")]
    Type {
        /// The type of the key.
        found: u8,
        /// The type that belongs here.
        asked: u8,
    },
}

impl VerifierKey {
    /// Parses the one-line form.
    ///
    /// # Errors
    /// [`KeyError`] on anything else than an Ed25519 verifier key with the right id.
    pub fn parse(text: &str) -> Result<VerifierKey, KeyError> {
        let (name, public) = parse_key(text, ED25519_TYPE)?;
        Ok(VerifierKey { name, public })
    }

    /// The name, which is also the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first 4 bytes of SHA-256(name || 0x0A || 0x01 || key): a hint which key to try.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, ED25519_TYPE, &self.public)
    }

    /// The Ed25519 public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&key_text(&self.name, ED25519_TYPE, &self.public))
    }
}

/// Name and key of the one-line form, when it is of this signature type and its id is right.
pub(crate) fn parse_key(text: &str, kind: u8) -> Result<(String, [u8; 32]), KeyError> {
    let (name, rest) = text.split_once('+').ok_or(KeyError::Malformed)?;
    let (id, key) = rest.split_once('+').ok_or(KeyError::Malformed)?;
    let key = BASE64.decode(key).map_err(|_| KeyError::Malformed)?;
    let (&found, public) = key.split_first().ok_or(KeyError::Malformed)?;
    if !name_is_valid(name) {
        return Err(KeyError::Name);
    }
    if found != kind {
        return Err(KeyError::Type { found, asked: kind });
    }
    let public = public.try_into().map_err(|_| KeyError::Malformed)?;
    if id_hex(name, kind, &public) == id {
        Ok((name.to_owned(), public))
    } else {
        Err(KeyError::Id)
    }
}

/// The one-line form of a key.
pub(crate) fn key_text(name: &str, kind: u8, public: &[u8; 32]) -> String {
    let key = BASE64.encode([&[kind][..], public].concat());
    format!("{name}+{}+{key}", id_hex(name, kind, public))
}

/// The first 4 bytes of SHA-256(name || 0x0A || type || key), as signature lines carry them.
pub(crate) fn key_id(name: &str, kind: u8, public: &[u8; 32]) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[kind], public]);
    [hash[0], hash[1], hash[2], hash[3]]
}

fn id_hex(name: &str, kind: u8, public: &[u8; 32]) -> String {
    let id = key_id(name, kind, public);
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl std::str::FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<VerifierKey, KeyError> {
        VerifierKey::parse(text)
    }
}

/// The verifier key of an Ed25519 public key.
///
/// # Errors
/// [`KeyError::Name`] when no note could carry the name.
pub fn vkey(name: &str, ed25519_public: &[u8; 32]) -> Result<VerifierKey, KeyError> {
    if name_is_valid(name) {
        Ok(VerifierKey {
            name: name.to_owned(),
            public: *ed25519_public,
        })
    } else {
        Err(KeyError::Name)
    }
}

/// Signs notes with a key that lies elsewhere.
pub trait CheckpointSigner {
    /// Signs the note's text as it is (Ed25519, 64 bytes).
    ///
    /// # Errors
    /// [`SignError`] when the key cannot be used now.
    fn sign(&self, note: &[u8]) -> Result<[u8; 64], SignError>;

    /// The key others check the signature with.
    fn vkey(&self) -> &VerifierKey;
}

/// The signing key could not be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the log key cannot sign: {reason}")]
pub struct SignError {
    /// Why, in the words of what holds the key.
    pub reason: String,
}

/// A note that cannot be trusted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoteError {
    /// Not the form of a signed note.
    #[error("this is not a signed note: {0}")]
    Malformed(&'static str),
    /// None of the given keys signed it.
    #[error("none of the trusted keys signed this note")]
    NotSigned,
    /// A line claims a trusted key and its signature does not hold.
    #[error("the signature of {0} does not match: the text or the signature was altered")]
    BadSignature(String),
}

/// The text with the signer's line under it.
///
/// # Errors
/// [`SignError`] of the signer, or when `text` cannot be a note's text.
pub fn sign_note(text: &str, signer: &dyn CheckpointSigner) -> Result<String, SignError> {
    if !text_is_valid(text) {
        let reason = "a note's text is whole lines without control characters".to_owned();
        return Err(SignError { reason });
    }
    let signature = signer.sign(text.as_bytes())?;
    let key = signer.vkey();
    let line = BASE64.encode([&key.id()[..], &signature].concat());
    Ok(format!("{text}\n\u{2014} {} {line}\n", key.name()))
}

/// The note's text, when at least one of `keys` signed it.
///
/// Signatures by others are skipped, as the specification asks.
///
/// # Errors
/// [`NoteError`]; also when one trusted signature holds and another does not.
pub fn open_note<'a>(note: &'a str, keys: &[VerifierKey]) -> Result<&'a str, NoteError> {
    let (text, signatures) = parts(note)?;
    let mut signed = false;
    for (name, bytes) in signatures {
        let (id, signature) = bytes.split_at(4);
        for key in keys.iter().filter(|key| key.name == name && key.id() == id) {
            UnparsedPublicKey::new(&ED25519, key.public)
                .verify(text.as_bytes(), signature)
                .map_err(|_| NoteError::BadSignature(key.name.clone()))?;
            signed = true;
        }
    }
    if signed {
        Ok(text)
    } else {
        Err(NoteError::NotSigned)
    }
}

/// Name, and 4 bytes of key id before the signature.
pub(crate) type SignatureLine<'a> = (&'a str, Vec<u8>);

/// A note's text and its signature lines, none of them checked.
pub(crate) fn parts(note: &str) -> Result<(&str, Vec<SignatureLine<'_>>), NoteError> {
    if note.len() > NOTE_MAX {
        return Err(NoteError::Malformed("it is longer than 1,000,000 bytes"));
    }
    let blank = note
        .rfind("\n\n")
        .ok_or(NoteError::Malformed("no blank line under the text"))?;
    let (text, lines) = (&note[..=blank], &note[blank + 2..]);
    if !text_is_valid(text) {
        return Err(NoteError::Malformed("a control character in the text"));
    }
    let lines = lines
        .strip_suffix('\n')
        .ok_or(NoteError::Malformed("no newline at the end"))?;
    if lines.split('\n').count() > SIGNATURES_MAX {
        return Err(NoteError::Malformed("more than 100 signatures"));
    }
    let signature =
        |line| signature_line(line).ok_or(NoteError::Malformed("a line that is not a signature"));
    let signatures: Result<_, _> = lines.split('\n').map(signature).collect();
    Ok((text, signatures?))
}

/// Name and bytes (4 of key id, then the signature) of one signature line.
fn signature_line(line: &str) -> Option<SignatureLine<'_>> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = BASE64.decode(signature).ok()?;
    (name_is_valid(name) && bytes.len() > 4).then_some((name, bytes))
}

pub(crate) fn name_is_valid(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

fn text_is_valid(text: &str) -> bool {
    text.ends_with('\n') && text.chars().all(|c| c == '\n' || !c.is_ascii_control())
}

#[cfg(test)]
pub(crate) mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    /// A signer with a key anyone can know.
    pub(crate) struct TestSigner(Ed25519KeyPair, VerifierKey);

    impl TestSigner {
        pub(crate) fn new(name: &str, seed: u8) -> TestSigner {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            let public = pair.public_key().as_ref().try_into().unwrap();
            TestSigner(pair, vkey(name, &public).unwrap())
        }
    }

    impl CheckpointSigner for TestSigner {
        fn sign(&self, note: &[u8]) -> Result<[u8; 64], SignError> {
            Ok(self.0.sign(note).as_ref().try_into().unwrap())
        }

        fn vkey(&self) -> &VerifierKey {
            &self.1
        }
    }

    /// The example of c2sp.org/signed-note and golang.org/x/mod/sumdb/note.
    /// If it fails, change the code, not the vector.
    #[test]
    fn the_published_example_opens() {
        let key = VerifierKey::parse(
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        )
        .unwrap();
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let note = format!(
            "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        );
        assert_eq!(open_note(&note, std::slice::from_ref(&key)), Ok(text));
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn the_other_implementation_reads_our_notes() {
        let signer = TestSigner::new("birthmark.example/log", 7);
        let note = sign_note("one\ntwo\n", &signer).unwrap();
        let verifier = signed_note::StandardVerifier::new(&signer.vkey().to_string()).unwrap();
        let list = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        let parsed = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
        let (ours, others) = parsed.verify(&list).unwrap();
        assert_eq!((ours.len(), others.len()), (1, 0));
        assert_eq!(parsed.text(), b"one\ntwo\n");
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let signer = TestSigner::new("log", 1);
        let note = sign_note("text\n", &signer).unwrap();
        let keys = [signer.vkey().clone()];
        assert_eq!(open_note(&note, &keys), Ok("text\n"));
        for at in 0..note.len() {
            let mut changed = note.clone().into_bytes();
            changed[at] ^= 1;
            if let Ok(changed) = String::from_utf8(changed) {
                assert!(open_note(&changed, &keys).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn strangers_signatures_are_skipped_and_never_enough() {
        let (ours, other) = (TestSigner::new("log", 1), TestSigner::new("witness", 2));
        let both = sign_note("text\n", &ours).unwrap()
            + sign_note("text\n", &other)
                .unwrap()
                .split_once("\n\n")
                .unwrap()
                .1;
        assert_eq!(open_note(&both, &[ours.vkey().clone()]), Ok("text\n"));
        let stranger = TestSigner::new("stranger", 3).vkey().clone();
        assert_eq!(open_note(&both, &[stranger]), Err(NoteError::NotSigned));
        // The same name with another key has another id, so it is a stranger too.
        let namesake = TestSigner::new("log", 9).vkey().clone();
        assert_eq!(open_note(&both, &[namesake]), Err(NoteError::NotSigned));
    }

    #[test]
    fn malformed_keys_and_notes_are_refused() {
        let good = TestSigner::new("log", 1).vkey().to_string();
        for bad in [
            "",
            "log",
            "log+00",
            "+00000000+AA==",
            &good[1..],
            &good.replace('+', " "),
        ] {
            assert!(VerifierKey::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(vkey("a b", &[0; 32]), Err(KeyError::Name));
        for bad in [
            "",
            "\n",
            "text\n",
            "text\n\n",
            "text\n\n\u{2014} log\n",
            "a\tb\n\n\u{2014} log AAAAAAA=\n",
        ] {
            assert!(
                matches!(open_note(bad, &[]), Err(NoteError::Malformed(_))),
                "{bad:?}"
            );
        }
        assert!(sign_note("no newline", &TestSigner::new("log", 1)).is_err());
    }
}
