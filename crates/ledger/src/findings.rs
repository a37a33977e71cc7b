//! What an audit says: the entries it read, and what is wrong with them.

use tlog::{Hash, VerifierKey};
use traveler::LogRecovered;

/// Findings that are listed; a ruined file has no more to say after that many.
const FINDINGS_MAX: usize = 1_000;

/// What an audit found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Entries that were read.
    pub entries: u64,
    /// How many of them the newest good checkpoint covers.
    pub size: u64,
    /// The root over those.
    pub root: Hash,
    /// Entries that a trusted checkpoint vouches for and that were not read again; 0 in a whole
    /// audit.
    pub trusted: u64,
    /// The key that signs it now: the one it was checked with, or one that took over from it.
    pub vkey: VerifierKey,
    /// What is wrong; empty when the log is whole.
    pub findings: Vec<Finding>,
    /// The first entry that a newer program wrote, if there is one. Its bytes are as they were
    /// hashed; the rules were not asked about it, nor about any entry after it.
    pub newer: Option<Newer>,
    /// The losses that are on record, with their entries' numbers.
    pub recoveries: Vec<(u64, LogRecovered)>,
}

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.newer.is_none()
    }
}

/// An entry in a form that this version does not know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Newer {
    /// Its number.
    pub seq: u64,
    /// The kind that it says it is.
    pub kind: String,
    /// What this version cannot read of it.
    pub why: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The entry it is about, when it is about one.
    pub seq: Option<u64>,
    /// What is wrong with it, in a sentence.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "entry {seq}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// The list of findings, which does not grow without end.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Whether nothing more is listed.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= FINDINGS_MAX
    }

    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts others in front.
    pub(crate) fn put_first(&mut self, mut others: Findings) {
        others.0.append(&mut self.0);
        others.0.truncate(FINDINGS_MAX);
        *self = others;
    }

    /// All of them, in the order in which they were found.
    pub(crate) fn into_list(self) -> Vec<Finding> {
        self.0
    }

    /// The first of them as a sentence.
    pub(crate) fn first(&self) -> String {
        self.0.first().map(Finding::to_string).unwrap_or_default()
    }

    pub(crate) fn add(&mut self, seq: impl Into<Option<u64>>, what: impl Into<String>) {
        if self.0.len() < FINDINGS_MAX {
            self.0.push(Finding {
                seq: seq.into(),
                what: what.into(),
            });
        }
    }
}
