//! A log whose key changed: who signs from which entry on, and why the next key is believed.
//!
//! The old key's last word is a signed note that names the new one, and the new key signs it too:
//! so the old key hands over to that key and no other, and whoever holds the new one cannot claim a
//! log that was never given to it. The note stands in the log as an entry, and the checkpoint over
//! exactly that entry carries both signatures. Whoever trusts any key of the chain can follow it both
//! ways; what only one key of two signed is no rotation.
//!
//! The note's text cannot be read as a checkpoint: its second line is a name, not a size.

use crate::checkpoint::Checkpoint;
use crate::note::{CheckpointSigner, NoteError, SignError, VerifierKey, open_note, sign_note};

/// First line of the note.
const TITLE: &str = "birthmark log key rotation v1";

/// From the entry with this number on, another key signs the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rotation {
    /// Number of the entry that holds the note.
    pub seq: u64,
    /// The key until then.
    pub old: VerifierKey,
    /// The key from then on.
    pub new: VerifierKey,
}

/// A rotation that is not to be followed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RotationError {
    /// Not the text of a rotation.
    #[error("this is not the rotation of a log key: {0}")]
    Malformed(&'static str),
    /// One of both keys did not sign it.
    #[error("the key {key} did not sign its rotation: {source}")]
    NotSigned {
        /// Which key.
        key: String,
        /// What is wrong with its signature.
        source: NoteError,
    },
    /// It does not follow the key that signs until then.
    #[error("the rotation takes over from {given}, the log's key is {expected}")]
    OtherKey {
        /// The key in force.
        expected: String,
        /// The key that the rotation names.
        given: String,
    },
    /// The key that is trusted is none of the chain's.
    #[error("this is the log of {first}, not of {trusted}")]
    Foreign {
        /// The chain's first key.
        first: String,
        /// The trusted one.
        trusted: String,
    },
}

impl Rotation {
    /// The text that both keys sign.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Rotation { seq, old, new } = self;
        format!("{TITLE}\n{}\n{seq}\n{old}\n{new}\n", old.name())
    }

    /// The note with both signatures.
    ///
    /// # Errors
    /// [`SignError`] of either signer.
    pub fn sign(
        seq: u64,
        old: &dyn CheckpointSigner,
        new: &dyn CheckpointSigner,
    ) -> Result<String, SignError> {
        let rotation = Rotation {
            seq,
            old: old.vkey().clone(),
            new: new.vkey().clone(),
        };
        countersigned(&rotation.to_text(), old, new)
    }

    /// Reads a note and checks both signatures. That its old key is to be believed is for
    /// [`LogKeys::follow`] to say.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn open(note: &str) -> Result<Rotation, RotationError> {
        let malformed = RotationError::Malformed;
        let (text, _) = crate::note::parts(note).map_err(|_| malformed("no signed note"))?;
        let lines: Vec<&str> = text.split('\n').collect();
        let [TITLE, origin, seq, old, new, ""] = lines[..] else {
            return Err(malformed("its lines are others"));
        };
        let key = |text| VerifierKey::parse(text).map_err(|_| malformed("a key cannot be read"));
        let rotation = Rotation {
            seq: seq.parse().map_err(|_| malformed("no number"))?,
            old: key(old)?,
            new: key(new)?,
        };
        let named = [&rotation.old, &rotation.new]
            .iter()
            .all(|key| key.name() == origin);
        if !named || rotation.old == rotation.new || rotation.to_text() != text {
            return Err(malformed("its keys are not two of one log"));
        }
        for key in [&rotation.old, &rotation.new] {
            open_note(note, std::slice::from_ref(key)).map_err(|source| {
                RotationError::NotSigned {
                    key: key.to_string(),
                    source,
                }
            })?;
        }
        Ok(rotation)
    }
}

/// A text with the lines of two signers under it.
///
/// # Errors
/// [`SignError`] of either.
pub fn countersigned(
    text: &str,
    old: &dyn CheckpointSigner,
    new: &dyn CheckpointSigner,
) -> Result<String, SignError> {
    let note = sign_note(text, old)?;
    let other = sign_note(text, new)?;
    let line = &other[text.len() + 1..];
    Ok(note + line)
}

/// The keys of one log in their order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogKeys {
    first: VerifierKey,
    /// Each with the number of the entry that brought it, in rising order.
    later: Vec<(u64, VerifierKey)>,
}

impl LogKeys {
    /// A log that has had one key.
    #[must_use]
    pub fn new(first: VerifierKey) -> LogKeys {
        LogKeys {
            first,
            later: Vec::new(),
        }
    }

    /// The chain that these notes make, when `trusted` is one of its keys.
    ///
    /// # Errors
    /// [`RotationError`] of the first that does not follow.
    pub fn chain<'a>(
        trusted: &VerifierKey,
        notes: impl IntoIterator<Item = &'a str>,
    ) -> Result<LogKeys, RotationError> {
        let mut keys: Option<LogKeys> = None;
        for note in notes {
            let before = match keys.take() {
                Some(keys) => keys,
                None => LogKeys::new(Rotation::open(note)?.old),
            };
            keys = Some(before.followed(note)?);
        }
        let keys = keys.unwrap_or_else(|| LogKeys::new(trusted.clone()));
        keys.hold(trusted)?;
        Ok(keys)
    }

    /// That `trusted` is one of them.
    ///
    /// # Errors
    /// [`RotationError::Foreign`] when it is not.
    pub fn hold(&self, trusted: &VerifierKey) -> Result<(), RotationError> {
        if self.all().any(|key| key == trusted) {
            return Ok(());
        }
        Err(RotationError::Foreign {
            first: self.first.to_string(),
            trusted: trusted.to_string(),
        })
    }

    fn followed(mut self, note: &str) -> Result<LogKeys, RotationError> {
        self.follow(note)?;
        Ok(self)
    }

    /// Takes the next key, when the newest one hands over to it.
    ///
    /// # Errors
    /// [`RotationError`]; then nothing changed.
    pub fn follow(&mut self, note: &str) -> Result<Rotation, RotationError> {
        let rotation = Rotation::open(note)?;
        if rotation.old != *self.newest() {
            return Err(RotationError::OtherKey {
                expected: self.newest().to_string(),
                given: rotation.old.to_string(),
            });
        }
        if self.all().any(|key| *key == rotation.new) {
            return Err(RotationError::Malformed("a key that signed before returns"));
        }
        if self
            .later
            .last()
            .is_some_and(|(seq, _)| *seq >= rotation.seq)
        {
            return Err(RotationError::Malformed("it is of an earlier entry"));
        }
        self.later.push((rotation.seq, rotation.new.clone()));
        Ok(rotation)
    }

    /// The key that signs now.
    #[must_use]
    pub fn newest(&self) -> &VerifierKey {
        self.later.last().map_or(&self.first, |(_, key)| key)
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = &VerifierKey> {
        std::iter::once(&self.first).chain(self.later.iter().map(|(_, key)| key))
    }

    /// The key that signs a checkpoint over `size` entries.
    #[must_use]
    pub fn in_force(&self, size: u64) -> Option<&VerifierKey> {
        self.signers(size).last()
    }

    /// The key that signs a checkpoint over `size` entries; two where `size` ends with a rotation.
    fn signers(&self, size: u64) -> impl Iterator<Item = &VerifierKey> {
        let mut before = &self.first;
        let mut both = None;
        for (seq, key) in &self.later {
            if *seq + 1 > size {
                break;
            }
            both = (*seq + 1 == size).then_some(before);
            before = key;
        }
        both.into_iter().chain(std::iter::once(before))
    }

    /// The checkpoint in a note that one of them signed, whatever its size.
    ///
    /// For what somebody remembers. A log that was put back from a copy and goes on without what it
    /// lost may come to its next key at a smaller size than a checkpoint that is lost.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn open_remembered(&self, note: &str) -> Result<Checkpoint, String> {
        let keys: Vec<VerifierKey> = self.all().cloned().collect();
        let text = open_note(note, &keys).map_err(|error| error.to_string())?;
        self.own(Checkpoint::parse(text).map_err(|error| error.to_string())?)
    }

    /// The checkpoint in a note, when whoever has to sign over its size did.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn open(&self, note: &str) -> Result<Checkpoint, String> {
        let (text, _) = crate::note::parts(note).map_err(|error| error.to_string())?;
        let checkpoint = Checkpoint::parse(text);
        // Whether anybody signed it is said first: what nobody signed can have any form.
        let size = checkpoint
            .as_ref()
            .map_or(u64::MAX, |checkpoint| checkpoint.size);
        for key in self.signers(size) {
            open_note(note, std::slice::from_ref(key)).map_err(|error| error.to_string())?;
        }
        self.own(checkpoint.map_err(|error| error.to_string())?)
    }

    fn own(&self, checkpoint: Checkpoint) -> Result<Checkpoint, String> {
        let name = self.first.name();
        if checkpoint.origin == name {
            return Ok(checkpoint);
        }
        let origin = checkpoint.origin;
        Err(format!(
            "its origin is {origin:?}, the key's name is {name:?}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::tests::TestSigner;

    fn signer(seed: u8) -> TestSigner {
        TestSigner::new("line.example/log", seed)
    }

    fn key(seed: u8) -> VerifierKey {
        signer(seed).vkey().clone()
    }

    fn note(seq: u64, old: u8, new: u8) -> String {
        Rotation::sign(seq, &signer(old), &signer(new)).unwrap()
    }

    fn checkpoint(size: u64) -> String {
        let root = [7; 32];
        let origin = "line.example/log".to_owned();
        Checkpoint { origin, size, root }.to_text()
    }

    #[test]
    fn a_chain_is_followed_from_any_of_its_keys() {
        let notes = [note(4, 1, 2), note(9, 2, 3)];
        let notes = || notes.iter().map(String::as_str);
        for trusted in 1..=3 {
            let keys = LogKeys::chain(&key(trusted), notes()).unwrap();
            assert_eq!(*keys.newest(), key(3));
            let signers = |size| keys.signers(size).cloned().collect::<Vec<_>>();
            assert_eq!(signers(0), [key(1)]);
            assert_eq!(signers(4), [key(1)]);
            assert_eq!(signers(5), [key(1), key(2)]);
            assert_eq!(signers(6), [key(2)]);
            assert_eq!(signers(9), [key(2)]);
            assert_eq!(signers(10), [key(2), key(3)]);
            assert_eq!(signers(11), [key(3)]);
        }
        let foreign = LogKeys::chain(&key(4), notes());
        assert!(matches!(foreign, Err(RotationError::Foreign { .. })));
    }

    #[test]
    fn each_checkpoint_is_signed_by_whoever_signs_at_its_size() {
        let keys = LogKeys::chain(&key(1), [note(4, 1, 2).as_str()]).unwrap();
        let check = |size: u64, signers: &[u8], good: bool| {
            let text = checkpoint(size);
            let note = match *signers {
                [one] => sign_note(&text, &signer(one)),
                [one, two] => countersigned(&text, &signer(one), &signer(two)),
                _ => unreachable!("one or two sign"),
            };
            assert_eq!(
                keys.open(&note.unwrap()).is_ok(),
                good,
                "{size} {signers:?}"
            );
        };
        check(4, &[1], true);
        check(4, &[2], false);
        check(5, &[1], false);
        check(5, &[2], false);
        check(5, &[1, 2], true);
        check(6, &[2], true);
        check(6, &[1], false);
        check(6, &[3], false);
    }

    #[test]
    fn what_is_remembered_was_signed_by_any_of_the_keys_and_no_other() {
        let keys = LogKeys::chain(&key(1), [note(4, 1, 2).as_str()]).unwrap();
        let read = |size, seed| {
            let signed = sign_note(&checkpoint(size), &signer(seed)).unwrap();
            keys.open_remembered(&signed).map(|seen| seen.size)
        };
        assert_eq!(read(9, 1), Ok(9));
        assert_eq!(read(3, 2), Ok(3));
        assert!(read(9, 3).is_err());
        let other = TestSigner::new("other.example/log", 1);
        let signed = sign_note(&checkpoint(9), &other).unwrap();
        assert!(keys.open_remembered(&signed).is_err());
    }

    #[test]
    fn what_one_key_of_two_did_not_sign_is_no_rotation() {
        let good = note(4, 1, 2);
        assert_eq!(Rotation::open(&good).map(|rotation| rotation.seq), Ok(4));
        let (text, lines) = good.split_once("\n\n").unwrap();
        for line in lines.lines() {
            let alone = format!("{text}\n\n{line}\n");
            let opened = Rotation::open(&alone);
            assert!(matches!(opened, Err(RotationError::NotSigned { .. })));
        }
        for at in 0..good.len() {
            let mut changed = good.clone().into_bytes();
            changed[at] ^= 1;
            if let Ok(changed) = String::from_utf8(changed) {
                assert!(Rotation::open(&changed).is_err(), "byte {at}");
            }
        }
        let same = Rotation::sign(4, &signer(1), &signer(1)).unwrap();
        assert!(Rotation::open(&same).is_err());
        let other = TestSigner::new("other.example/log", 2);
        let other = Rotation::sign(4, &signer(1), &other).unwrap();
        assert!(Rotation::open(&other).is_err());
    }

    #[test]
    fn no_rotation_is_a_checkpoint_and_no_checkpoint_a_rotation() {
        let (rotation, both) = (note(4, 1, 2), checkpoint(5));
        let text = open_note(&rotation, &[key(1)]).unwrap();
        assert!(Checkpoint::parse(text).is_err());
        let both = countersigned(&both, &signer(1), &signer(2)).unwrap();
        assert!(Rotation::open(&both).is_err());
    }

    #[test]
    fn a_key_does_not_return_and_nobody_hands_over_but_the_newest() {
        let mut keys = LogKeys::new(key(1));
        keys.follow(&note(4, 1, 2)).unwrap();
        assert!(keys.follow(&note(6, 1, 3)).is_err());
        assert!(keys.follow(&note(6, 2, 1)).is_err());
        assert!(keys.follow(&note(4, 2, 3)).is_err());
        assert_eq!(*keys.newest(), key(2));
        assert!(keys.follow(&note(6, 2, 3)).is_ok());
    }
}
