//! The whole log once more, entry by entry: hashes, checkpoints and rules, from bytes alone.
//!
//! Where a stored hash differs from the computed one, the replay reports it and goes on with the
//! stored one. So one altered byte is reported where it is, and not again by every root above it;
//! and when nothing is reported, all stored hashes were the computed ones.

use std::collections::HashSet;

use tlog::{Checkpoint, EMPTY_ROOT, Hash, LogKeys, VerifierKey, node_hash};
use traveler::{Entry, Event, Fingerprint, LogRecovered};

use crate::findings::{Findings, Newer, Report};
use crate::memory::Memory;
use crate::profiles::Profiles;
use crate::rows::{Row, SignerName, SigningKeyRow, StepRow};
use crate::rules::{Stop, admit};

/// An entry with what can be said of it without its neighbours; threads make these ahead.
pub(crate) struct Prepared {
    leaf: Hash,
    /// The hashes from level 1 up that it completes, as far as they are known; they hold when no
    /// stored hash under them is another one than the computed one.
    above: Box<[Hash]>,
    entry: Result<Entry, Unread>,
}

/// Bytes that are no entry of this version.
struct Unread {
    why: serde_json::Error,
    /// What every version's entries begin with, when these have it.
    head: Option<Head>,
}

#[derive(serde::Deserialize)]
struct Head {
    seq: u64,
    kind: String,
}

/// Longest kind that is repeated in a message.
const KIND_MAX: usize = 40;

impl Prepared {
    /// Of an entry's bytes, with their leaf hash and the hashes known above it.
    pub(crate) fn new(bytes: &[u8], leaf: Hash, above: Box<[Hash]>) -> Prepared {
        Prepared {
            leaf,
            above,
            entry: Entry::from_bytes(bytes).map_err(|why| Unread {
                why,
                head: serde_json::from_slice(bytes).ok(),
            }),
        }
    }
}

/// How entries are judged.
enum Judge {
    /// By the rules, over all entries before them.
    Rules,
    /// By their form alone, and against each other: what came before was not read.
    Form(HashSet<Fingerprint>),
}

/// Where the stored hash of a complete subtree comes from.
pub(crate) trait StoredHashes {
    /// The hash of subtree `n` of `level`; none when it is not kept or was reported missing.
    /// Asked for each subtree once, in the order in which appends complete them.
    fn stored(&mut self, level: u8, n: u64, findings: &mut Findings) -> Option<Hash>;
}

/// The state of the replay behind the entries fed so far.
pub(crate) struct Replay<'a> {
    /// The key that the log is held against.
    pub(crate) trusted_key: &'a VerifierKey,
    /// The keys of the log as its entries name them; the trusted one until then.
    pub(crate) keys: LogKeys,
    /// The state of the line.
    pub(crate) memory: Memory,
    /// How the loads of each product are vouched for.
    pub(crate) profiles: Profiles,
    /// What was found so far.
    pub(crate) findings: Findings,
    /// Entries fed, missing ones included.
    pub(crate) size: u64,
    /// Hashes of the complete subtrees, the widest first.
    peaks: Vec<Hash>,
    /// Entries up to the last one at which a stored hash was believed and not the computed one.
    odd: u64,
    /// The newest good checkpoint.
    signed: (u64, Hash),
    /// Entries that the log key has signed over, whether or not the root is still theirs: above
    /// them anybody can have written.
    pub(crate) covered: u64,
    trusted: u64,
    judge: Judge,
    /// The first entry of a newer program.
    pub(crate) newer: Option<Newer>,
    recoveries: Vec<(u64, LogRecovered)>,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(key: &'a VerifierKey) -> Replay<'a> {
        Replay {
            trusted_key: key,
            keys: LogKeys::new(key.clone()),
            memory: Memory::default(),
            profiles: Profiles::default(),
            findings: Findings::default(),
            size: 0,
            peaks: Vec::new(),
            odd: 0,
            signed: (0, EMPTY_ROOT),
            covered: 0,
            trusted: 0,
            judge: Judge::Rules,
            newer: None,
            recoveries: Vec::new(),
        }
    }

    /// Begins behind the entries that a trusted checkpoint covers, when `peaks`, the hashes of
    /// their complete subtrees from the widest, lead to its root. False when they do not.
    pub(crate) fn skip(&mut self, trusted: &Checkpoint, peaks: Vec<Hash>) -> bool {
        self.peaks = peaks;
        if self.root() != trusted.root {
            self.peaks.clear();
            let what = format!(
                "the first {} entries are not those that the trusted checkpoint was signed over",
                trusted.size
            );
            self.findings.add(None, what);
            return false;
        }
        self.size = trusted.size;
        self.signed = (trusted.size, trusted.root);
        self.covered = trusted.size;
        self.trusted = trusted.size;
        self.judge = Judge::Form(HashSet::new());
        true
    }

    /// Takes the next entry. `None` stands for one that is missing; its stored hash is believed
    /// so that what comes after it can still be checked. Gives the step the entry makes; all other
    /// rows are in the memory.
    pub(crate) fn feed(
        &mut self,
        entry: Option<Prepared>,
        stored: &mut impl StoredHashes,
    ) -> Option<StepRow> {
        let seq = self.size;
        let kept = stored.stored(0, seq, &mut self.findings);
        let computed = entry.as_ref().map(|entry| entry.leaf);
        let above = entry.as_ref().map_or(&[][..], |entry| &entry.above[..]);
        match (computed, kept) {
            (None, _) => {
                self.findings.add(seq, "it is missing");
                self.odd = seq + 1;
            }
            (Some(computed), Some(kept)) if computed != kept => {
                self.findings
                    .add(seq, "its bytes are not those that were hashed");
                self.odd = seq + 1;
            }
            _ => {}
        }
        let intact = kept.is_some() && kept == computed;
        let mut newest = kept.or(computed).unwrap_or_default();
        for level in 1..=seq.trailing_ones() as u8 {
            let left = self.peaks.pop().unwrap_or_default();
            let first = (seq >> level) << level;
            let computed = match above.get(usize::from(level) - 1) {
                Some(computed) if first >= self.odd => *computed,
                _ => node_hash(&left, &newest),
            };
            let kept = stored.stored(level, seq >> level, &mut self.findings);
            if kept.is_some_and(|kept| kept != computed) {
                let what = format!("the stored hash over entries {first} to {seq} is another one");
                self.findings.add(seq, what);
                self.odd = seq + 1;
            }
            newest = kept.unwrap_or(computed);
        }
        self.peaks.push(newest);
        self.size += 1;
        self.follow(seq, entry?.entry, intact)
    }

    /// Checks a checkpoint over exactly the entries fed so far.
    pub(crate) fn checkpoint(&mut self, note: &str) {
        let last = self.size.checked_sub(1);
        let over = format!("the checkpoint over {} entries", self.size);
        match self.keys.open(note) {
            Err(why) => self
                .findings
                .add(last, format!("{over} is not good: {why}")),
            Ok(checkpoint) if checkpoint.size != self.size => {
                let what = format!("{over} was signed over {}", checkpoint.size);
                self.findings.add(last, what);
            }
            Ok(checkpoint) if checkpoint.root != self.root() => {
                self.covered = self.size;
                let first = self.signed.0.min(self.size.saturating_sub(1));
                let what = format!(
                    "{over} was signed over others: one of the entries {first} to {} was altered \
                     together with its hashes",
                    self.size.saturating_sub(1)
                );
                self.findings.add(first, what);
            }
            Ok(checkpoint) => {
                self.covered = self.size;
                self.signed = (checkpoint.size, checkpoint.root);
            }
        }
    }

    /// The root over the entries fed so far.
    pub(crate) fn root(&self) -> Hash {
        let peaks = self.peaks.iter().copied().rev();
        peaks
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or(EMPTY_ROOT)
    }

    /// Size and root of the newest good checkpoint.
    pub(crate) fn signed(&self) -> (u64, Hash) {
        self.signed
    }

    pub(crate) fn report(mut self) -> Report {
        // The log must be that of the key it is checked with, or of one that handed over to it or
        // took over from it.
        if let Err(error) = self.keys.hold(self.trusted_key) {
            self.findings.add(0, error.to_string());
        }
        let (size, root) = self.signed;
        Report {
            entries: self.size,
            size,
            root,
            trusted: self.trusted,
            vkey: self.keys.newest().clone(),
            findings: self.findings.into_list(),
            newer: self.newer,
            recoveries: self.recoveries,
        }
    }

    /// Lets the rules judge the entry once more. Of one that cannot be read, `intact` says whether
    /// its bytes are those that were hashed: then nobody altered it, and a newer program wrote it.
    fn follow(&mut self, seq: u64, entry: Result<Entry, Unread>, intact: bool) -> Option<StepRow> {
        let entry = match entry {
            Ok(entry) => entry,
            Err(Unread { why, head }) => {
                match head.filter(|head| intact && head.seq == seq) {
                    Some(head) if self.newer.is_none() => {
                        let kind = head.kind.chars().take(KIND_MAX).collect();
                        let why = why.to_string();
                        self.newer = Some(Newer { seq, kind, why });
                    }
                    Some(_) => {}
                    None => self.findings.add(seq, format!("it cannot be read: {why}")),
                }
                return None;
            }
        };
        if entry.seq != seq {
            let what = format!("it says that it is entry {}: entries were moved", entry.seq);
            self.findings.add(seq, what);
            return None;
        }
        if let Event::LogRecovered(said) = &entry.event {
            self.recoveries.push((seq, (**said).clone()));
        }
        if self.newer.is_some() {
            return None; // what that entry changed is not known
        }
        if let Judge::Form(seen) = &mut self.judge {
            match entry.event.happened() {
                Event::Issued(issued) if !seen.insert(issued.fingerprint) => {
                    let what =
                        "its password is that of another entry behind the trusted checkpoint";
                    self.findings.add(seq, what);
                }
                Event::Leased(leased) if !seen.insert(leased.fingerprint) => {
                    let what =
                        "its password is that of another entry behind the trusted checkpoint";
                    self.findings.add(seq, what);
                }
                Event::LogKeyRotated { rotation, .. } => self.hand_over(seq, rotation),
                _ => {}
            }
            return None;
        }
        match admit(&self.memory, &entry) {
            Ok(rows) => {
                if let Some(what) = self.profiles.judge(&self.memory, &entry.event) {
                    self.findings.add(seq, what);
                }
                let mut made = None;
                for row in rows {
                    if let Row::SigningKey(row) = &row {
                        self.take_key(row);
                    }
                    match row {
                        Row::Step(step) => made = Some(step),
                        row => self.memory.put(row),
                    }
                }
                made
            }
            Err(Stop::Refused(refused)) => {
                self.findings
                    .add(seq, format!("the rules forbid it: {refused}"));
                None
            }
            Err(Stop::View(impossible)) => match impossible {},
        }
    }

    /// Another key signs from here on; the rules have seen that it may.
    fn take_key(&mut self, row: &SigningKeyRow) {
        match (row.key, row.seq) {
            (SignerName::Issuing, _) => {}
            (SignerName::Log, 0) => match VerifierKey::parse(&row.public) {
                Ok(first) => self.keys = LogKeys::new(first),
                Err(error) => self.findings.add(0, error.to_string()),
            },
            (SignerName::Log, seq) => self.hand_over(seq, &row.proof),
        }
    }

    fn hand_over(&mut self, seq: u64, note: &str) {
        match self.keys.follow(note) {
            Ok(rotation) if rotation.seq == seq => {}
            Ok(rotation) => {
                let what = format!("its rotation is of entry {}", rotation.seq);
                self.findings.add(seq, what);
            }
            Err(error) => self.findings.add(seq, error.to_string()),
        }
    }
}
