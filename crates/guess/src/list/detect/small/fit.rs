//! What one place is drawn from: which kinds of symbols, and which of each kind.

use super::evidence::{ENOUGH, diluted, ln_choose, uneven};
use super::places::Place;
use crate::list::shape::ALPHABETS;

/// What a place by itself must show once the list as a whole shows enough, in nats: 1e-2.
pub(super) const OWN: f64 = 4.6;

/// The same when a place has been found to be limited, of the kinds that stand there.
const KIND: f64 = 2.3;

/// Sets within a class that templates draw from, besides those of [`ALPHABETS`].
const SETS: [&[u8]; 4] = [
    b"aeiouAEIOU",
    b"aeiouyAEIOUY",
    b"bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ",
    b"bcdfghjklmnpqrstvwxyzBCDFGHJKLMNPQRSTVWXYZ",
];

/// Kinds of symbols that class rules and templates speak of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Digit,
    Capital,
    Small,
    Other,
}

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Digit, Kind::Capital, Kind::Small, Kind::Other];

    pub(super) fn of(byte: u8) -> Kind {
        match byte {
            b'0'..=b'9' => Kind::Digit,
            b'A'..=b'Z' => Kind::Capital,
            b'a'..=b'z' => Kind::Small,
            _ => Kind::Other,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Digit => "digits",
            Kind::Capital => "capitals",
            Kind::Small => "small letters",
            Kind::Other => "other symbols",
        }
    }
}

/// What fits one place, kind by kind.
pub(super) struct Fit {
    rows: u32,
    kinds: Vec<KindFit>,
    /// Evidence that the kinds are not as frequent as their share of the alphabet says.
    kind_evidence: f64,
}

struct KindFit {
    seen: u32,
    /// Symbols of this kind in the alphabet, and in what fits.
    whole: Vec<u8>,
    set: Vec<u8>,
    evidence: f64,
}

impl Fit {
    pub(super) fn of(counts: &[u32], alphabet: &[u8]) -> Fit {
        let mut kinds = vec![];
        for kind in Kind::ALL {
            let members = alphabet.iter().copied();
            let whole: Vec<u8> = members.filter(|&byte| Kind::of(byte) == kind).collect();
            if !whole.is_empty() {
                kinds.push(KindFit::of(counts, whole));
            }
        }
        let seen: Vec<u32> = kinds.iter().map(|kind| kind.seen).collect();
        let size = alphabet.len().max(1) as f64;
        let chances: Vec<f64> = kinds
            .iter()
            .map(|it| it.whole.len() as f64 / size)
            .collect();
        Fit {
            rows: seen.iter().sum(),
            kind_evidence: uneven(&seen, &chances, 1.0),
            kinds,
        }
    }

    /// In nats, that the place is not drawn from the whole alphabet.
    pub(super) fn evidence(&self) -> f64 {
        let sets: f64 = self
            .kinds
            .iter()
            .map(|kind| diluted(kind.evidence, 0.5))
            .sum();
        sets + diluted(self.kind_evidence, 0.5)
    }

    /// Limits the place to what fits, when its own evidence is enough.
    pub(super) fn apply(&self, mut place: Place) -> Place {
        if self.evidence() < OWN {
            return place;
        }
        let one = self.kinds.iter().filter(|kind| kind.seen > 0).count() == 1;
        let by_kind = self.kind_evidence > if one { KIND } else { OWN };
        let size: usize = self.kinds.iter().map(|kind| kind.whole.len()).sum();
        place.set.clear();
        (place.bits, place.kind_bits) = (0.0, 0.0);
        let mut present = 0.0;
        for kind in &self.kinds {
            let share = match by_kind {
                true => f64::from(kind.seen) / f64::from(self.rows.max(1)),
                false => kind.whole.len() as f64 / size as f64,
            };
            if share > 0.0 {
                let set = if kind.evidence > OWN {
                    &kind.set
                } else {
                    &kind.whole
                };
                place.bits += share * log2(set.len());
                place.kind_bits -= share * share.log2();
                place.set.extend_from_slice(set);
                present += 1.0;
            }
        }
        if by_kind {
            // What few rows hide of the entropy of frequencies (Miller and Madow, 1955).
            place.kind_bits +=
                (present - 1.0) / (2.0 * f64::from(self.rows) * std::f64::consts::LN_2);
        }
        place.bits += place.kind_bits;
        place.set.sort_unstable();
        place.reduced = true;
        place
    }
}

impl KindFit {
    fn of(counts: &[u32], whole: Vec<u8>) -> KindFit {
        let seen_of = |byte: &u8| counts[usize::from(*byte)];
        let seen: u32 = whole.iter().map(seen_of).sum();
        let used: Vec<u8> = whole.iter().copied().filter(|it| seen_of(it) > 0).collect();
        let mut fit = KindFit {
            seen,
            set: whole.clone(),
            evidence: 0.0,
            whole,
        };
        if seen == 0 {
            return fit;
        }
        let named = ALPHABETS.iter().copied().chain(SETS);
        let options = ALPHABETS.len() + SETS.len();
        for set in named {
            let common = fit.whole.iter().copied().filter(|byte| set.contains(byte));
            let common: Vec<u8> = common.collect();
            if used.iter().all(|byte| common.contains(byte)) {
                fit.try_set(common, (options as f64).ln());
            }
        }
        let unnamed = ln_choose(fit.whole.len(), used.len()) + (fit.whole.len() as f64).ln();
        fit.try_set(used, unnamed);
        fit
    }

    /// Takes a set that holds all that was seen, when it says more than the one before.
    fn try_set(&mut self, set: Vec<u8>, costs: f64) {
        let smaller = (self.whole.len() as f64 / set.len() as f64).ln();
        let evidence = f64::from(self.seen) * smaller - costs - 2f64.ln();
        if evidence > self.evidence {
            (self.evidence, self.set) = (evidence, set);
        }
    }
}

/// The smallest standard alphabet that holds what was seen, or `otherwise`.
pub(super) fn smallest(counts: &[Vec<u32>], otherwise: &[u8]) -> Vec<u8> {
    let seen = |byte: u8| counts.iter().any(|counts| counts[usize::from(byte)] > 0);
    let holds = |set: &[u8]| (0..=255u8).all(|byte| !seen(byte) || set.contains(&byte));
    let fits = ALPHABETS.iter().find(|set| holds(set));
    fits.map_or_else(|| otherwise.to_vec(), |set| set.to_vec())
}

/// The symbols seen, when the rows are too many for the others to be missing by chance.
pub(super) fn narrowed(alphabet: &[u8], counts: &[Vec<u32>]) -> Vec<u8> {
    let seen = |&byte: &u8| {
        counts
            .iter()
            .map(|it| u64::from(it[usize::from(byte)]))
            .sum::<u64>()
    };
    let used: Vec<u8> = alphabet
        .iter()
        .copied()
        .filter(|byte| seen(byte) > 0)
        .collect();
    let draws: u64 = used.iter().map(seen).sum();
    // A third and more of the alphabet is a choice of symbols; less is found place by place.
    if used.len() * 3 < alphabet.len() || used.len() == alphabet.len() {
        return alphabet.to_vec();
    }
    let smaller = (alphabet.len() as f64 / used.len() as f64).ln();
    let costs = ln_choose(alphabet.len(), used.len()) + (alphabet.len() as f64).ln();
    // Many constants make few symbols likely without the rest being drawn from few.
    let one_place = counts
        .iter()
        .filter(|it| it.iter().filter(|&&n| n > 0).count() == 1)
        .count();
    if one_place == 0 && draws as f64 * smaller - costs > ENOUGH {
        return used;
    }
    alphabet.to_vec()
}

/// log2 of a number of choices; one choice when there is none.
pub(super) fn log2(choices: usize) -> f64 {
    (choices.max(1) as f64).log2()
}
