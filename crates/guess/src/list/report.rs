//! What an audit says: findings a QA person can act on, and never a symbol of a password.

use crate::Clause;

/// The detector classes of the gate.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// An identifier as it is, or as it is written otherwise.
    Verbatim,
    /// Arithmetic, XOR, permutation or substitution of an identifier.
    Arithmetic,
    /// A hash or checksum without a secret key.
    Hash,
    /// A counter or a date.
    Counter,
    /// A small space: word lists, shared parts, few symbols, short.
    Small,
    /// A weak generator.
    Generator,
}

impl Class {
    /// The letter it is known by.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Class::Verbatim => 'A',
            Class::Arithmetic => 'B',
            Class::Hash => 'C',
            Class::Counter => 'D',
            Class::Small => 'E',
            Class::Generator => 'F',
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// A fact about the format, nothing to mend.
    Note,
    /// Under the strength floor, and nothing more.
    Policy,
    /// Structure was found, or two units with one password: the list breaks what the finding names.
    Refused,
}

/// One thing a detector saw.
#[derive(Clone, Debug)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Which kind of structure.
    pub class: Class,
    /// Which detector.
    pub detector: &'static str,
    /// The limb of Schedule 1 paragraph 1(3) that passwords like these break.
    pub clause: Clause,
    /// How many rows show it.
    pub rows: usize,
    /// Some of them, as numbers of rows in the list, the first row being 0.
    pub examples: Vec<usize>,
    /// What was seen, in words, for example `password = last 8 of MAC, reversed, in 300 of 300
    /// rows`. Holds no symbol of a password.
    pub evidence: String,
    /// log10 of the chance that random passwords of this shape show as much anywhere the detector
    /// looked (bounded from above).
    pub chance_log10: f64,
}

/// A refusal whose detector refused a control list as well.
#[derive(Clone, Debug)]
pub struct Withdrawn {
    /// What had been found.
    pub finding: Finding,
    /// Which control spoke against it.
    pub because: &'static str,
}

/// Rows that a finding names.
pub(crate) const EXAMPLES: usize = 10;

/// What no look at passwords can see; each report says it.
pub const UNSEEN: &[&str] = &[
    "A hash of the serial under a salt that only the maker knows, and a keyed hash, look random. The \
     first is guessable once the salt leaks with one firmware image; the second is allowed by \
     paragraph 1(3)(c). Ask how the passwords are made, and for the key's place.",
    "A good generator that was seeded once from little, or whose output somebody kept.",
];

/// What an audit says of a list.
#[derive(Clone, Debug)]
pub struct Report {
    /// Rows looked at.
    pub rows: usize,
    /// Different units among them: a unit that is listed again is one.
    pub units: usize,
    /// Different passwords, to the letter.
    pub passwords: usize,
    /// What was looked at in part, or not at all, and why; for a report's unseen part.
    pub limits: Vec<String>,
    /// Upper bound on the strength of a password of this list, in bits.
    pub bits: f64,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// Findings that the calibration took back.
    pub withdrawn: Vec<Withdrawn>,
}

impl Report {
    /// Puts the worst finding first, among equals the one that chance explains least.
    pub fn sort(&mut self) {
        self.findings.sort_by(|a, b| {
            let chance = a.chance_log10.total_cmp(&b.chance_log10);
            b.severity.cmp(&a.severity).then(chance)
        });
    }

    /// The worst finding's severity; `None` when there is nothing but notes.
    #[must_use]
    pub fn verdict(&self) -> Option<Severity> {
        let severities = self.findings.iter().map(|finding| finding.severity);
        severities.max().filter(|worst| *worst > Severity::Note)
    }
}
