//! The proof that one entry is in the log, as one file (c2sp.org/tlog-proof).
//!
//! Checked offline with nothing but the log's key: index, inclusion proof, and the checkpoint it
//! leads to. The `extra` line is never written and, since nothing vouches for it, never used.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::hash::Hash;
use crate::note::{NoteError, VerifierKey, open_note};
use crate::proof::{ProofError, verify_inclusion};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Most hashes of a proof: one for each level of a tree of 2^64 leaves.
const HASHES_MAX: usize = 64;

/// Where an entry is, the hashes that lead to the root, and who signed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryProof {
    /// The entry's number, from 0.
    pub index: u64,
    /// From the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, as it was signed and cosigned.
    pub checkpoint: String,
}

/// A proof that does not show what it should.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EntryProofError {
    /// Not the form of a proof.
    #[error("this is no tlog-proof: {0}")]
    Malformed(&'static str),
    /// The log did not sign the checkpoint.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// What the log signed is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log {found}, not of {asked}")]
    Origin {
        /// The log of the checkpoint.
        found: String,
        /// The log of the key.
        asked: String,
    },
    /// The hashes do not lead from the entry to the checkpoint.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl EntryProof {
    /// Reads a proof. Nothing is checked but its form.
    ///
    /// # Errors
    /// [`EntryProofError::Malformed`].
    pub fn parse(text: &str) -> Result<EntryProof, EntryProofError> {
        use EntryProofError::Malformed;
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(Malformed("no blank line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(Malformed("the first line is not c2sp.org/tlog-proof@v1"));
        }
        if let Some(extra) = lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            BASE64
                .decode(extra)
                .map_err(|_| Malformed("the extra line is not base 64"))?;
            lines.next();
        }
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .ok_or(Malformed("no index"))?;
        let number: u64 = index
            .parse()
            .map_err(|_| Malformed("the index is no number"))?;
        if number.to_string() != index {
            return Err(Malformed("the index has leading zeros or a sign"));
        }
        let mut hashes = vec![];
        for line in lines {
            let hash = BASE64.decode(line).ok();
            let hash = hash.and_then(|bytes| Hash::try_from(bytes).ok());
            hashes.push(hash.ok_or(Malformed("a hash is not base 64 of 32 bytes"))?);
            if hashes.len() > HASHES_MAX {
                return Err(Malformed("more than 64 hashes"));
            }
        }
        Ok(EntryProof {
            index: number,
            hashes,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Checks that the entry with leaf hash `leaf` is in the log that `log` signs for, and returns
    /// the checkpoint that says so.
    ///
    /// # Errors
    /// [`EntryProofError`]; nothing of the proof is trusted.
    pub fn verify(&self, leaf: &Hash, log: &VerifierKey) -> Result<Checkpoint, EntryProofError> {
        self.verify_by(leaf, std::slice::from_ref(log))
    }

    /// The same for a log that has had several keys, which all have its name: one of them signed.
    ///
    /// # Errors
    /// [`EntryProofError`]; nothing of the proof is trusted.
    pub fn verify_by(
        &self,
        leaf: &Hash,
        keys: &[VerifierKey],
    ) -> Result<Checkpoint, EntryProofError> {
        let text = open_note(&self.checkpoint, keys)?;
        let checkpoint = Checkpoint::parse(text)?;
        if let Some(key) = keys.iter().find(|key| key.name() != checkpoint.origin) {
            return Err(EntryProofError::Origin {
                asked: key.name().to_owned(),
                found: checkpoint.origin,
            });
        }
        let (size, root) = (checkpoint.size, &checkpoint.root);
        verify_inclusion(leaf, self.index, size, root, &self.hashes)?;
        Ok(checkpoint)
    }
}

impl std::fmt::Display for EntryProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FIRST_LINE}\nindex {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", BASE64.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::tests::TestSigner;
    use crate::{CheckpointSigner, append_hashes, inclusion, leaf_hash, root, sign_note};

    /// A proof for entry `index` of a log with `size` entries, and its leaf and key.
    fn proof(index: u64, size: u64) -> (EntryProof, Hash, VerifierKey) {
        let mut stored: Vec<Hash> = vec![];
        for number in 0..size {
            let leaf = leaf_hash(format!("entry {number}").as_bytes());
            let added = append_hashes(number, leaf, &mut |at| Ok::<_, ()>(stored[at as usize]));
            stored.extend(added.unwrap());
        }
        let mut read = |at: u64| Ok::<_, ()>(stored[at as usize]);
        let signer = TestSigner::new("example.com/log", 1);
        let head = Checkpoint {
            origin: "example.com/log".to_owned(),
            size,
            root: root(size, &mut read).unwrap(),
        };
        let proof = EntryProof {
            index,
            hashes: inclusion(index, size, &mut read).unwrap(),
            checkpoint: sign_note(&head.to_text(), &signer).unwrap(),
        };
        let leaf = leaf_hash(format!("entry {index}").as_bytes());
        (proof, leaf, signer.vkey().clone())
    }

    #[test]
    fn a_proof_shows_its_entry_and_no_other() {
        for size in [1, 2, 3, 7, 8, 100] {
            for index in 0..size {
                let (proof, leaf, log) = proof(index, size);
                let read = EntryProof::parse(&proof.to_string()).unwrap();
                assert_eq!(read, proof);
                assert_eq!(read.verify(&leaf, &log).unwrap().size, size);
                assert!(read.verify(&leaf_hash(b"another"), &log).is_err());
            }
        }
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let (proof, leaf, log) = proof(5, 11);
        let text = proof.to_string();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else {
                continue;
            };
            let held = EntryProof::parse(&changed).and_then(|proof| proof.verify(&leaf, &log));
            assert!(held.is_err(), "byte {at}");
        }
    }

    /// Forms as the specification and its other implementations give them.
    #[test]
    fn only_the_form_of_the_specification_is_read() {
        let hash = BASE64.encode([7; 32]);
        let read = |text: String| EntryProof::parse(&text);
        let good = read(format!("{FIRST_LINE}\nindex 0\n\ncheckpoint\n")).unwrap();
        assert_eq!((good.index, good.hashes.len()), (0, 0));
        assert_eq!(good.checkpoint, "checkpoint\n");
        let extra = format!("{FIRST_LINE}\nextra YWJj\nindex 10\n{hash}\n\ncheckpoint\n");
        assert_eq!(read(extra).unwrap().hashes, [[7; 32]]);
        for bad in [
            String::new(),
            "wrong-header\nindex 0\n\ncheckpoint\n".to_owned(),
            format!("{FIRST_LINE}\n\ncheckpoint\n"),
            format!("{FIRST_LINE}\nindex 01\n\ncheckpoint\n"),
            format!("{FIRST_LINE}\nindex -1\n\ncheckpoint\n"),
            format!("{FIRST_LINE}\nextra !!\nindex 0\n\ncheckpoint\n"),
            format!("{FIRST_LINE}\nindex 0\nAAAA\n\ncheckpoint\n"),
            format!(
                "{FIRST_LINE}\nindex 0\n{}\ncheckpoint\n",
                format!("{hash}\n").repeat(65)
            ),
        ] {
            assert!(EntryProof::parse(&bad).is_err(), "{bad}");
        }
    }
}
