//! What each place of a password holds over the rows: one symbol, a few, some classes, or any.

use super::evidence::{ENOUGH, diluted, ln_choose, uneven};
use crate::list::shape::{ALPHABETS, Shape};
use crate::list::table::Table;

/// Share of the prior that a place is not drawn from the whole alphabet.
const REDUCED: f64 = 0.1;

/// What a place by itself must show once the list as a whole shows enough, in nats: 1e-3.
const OWN: f64 = 7.0;

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

    fn name(self) -> &'static str {
        match self {
            Kind::Digit => "digits",
            Kind::Capital => "capitals",
            Kind::Small => "small letters",
            Kind::Other => "other symbols",
        }
    }
}

/// One place.
pub(super) struct Place {
    /// Where in the password.
    pub(super) at: usize,
    /// How often each byte stands there.
    pub(super) counts: Vec<u32>,
    /// Symbols that may stand there, as far as the rows show, ascending.
    pub(super) set: Vec<u8>,
    /// Upper bound on its entropy.
    pub(super) bits: f64,
    /// Bits of `bits` that say of which kind the symbol is.
    kind_bits: f64,
    /// Whether it was found to be anything but a draw from the whole alphabet.
    pub(super) reduced: bool,
}

/// The places of the passwords of the most common length.
pub(super) struct Places {
    /// The rows looked at, as rows of the table.
    pub(super) rows: Vec<usize>,
    pub(super) places: Vec<Place>,
    /// What fresh symbols are drawn from: the smallest alphabet that fits where no constant stands.
    pub(super) alphabet: Vec<u8>,
    /// Strength of as many draws from the smallest alphabet that fits all.
    pub(super) nominal: f64,
    /// Upper bound on the strength, each place by itself.
    pub(super) bits: f64,
    /// In nats, that the places are not draws from the alphabet.
    pub(super) evidence: f64,
    /// Whether each row has as many digits, capitals, small letters and others as the next.
    pub(super) composed: bool,
}

impl Places {
    pub(super) fn of(table: &Table<'_>, shape: &Shape) -> Places {
        let rows: Vec<usize> = (0..table.len())
            .filter(|&row| table.password(row).len() == shape.length)
            .collect();
        let at: Vec<usize> = (0..shape.length)
            .filter(|place| !shape.separators.contains(place))
            .collect();
        let mut counts = vec![vec![0u32; 256]; at.len()];
        for &row in &rows {
            let password = table.password(row);
            for (counts, &at) in counts.iter_mut().zip(&at) {
                counts[usize::from(password[at])] += 1;
            }
        }
        let outer = narrowed(&shape.alphabet, &counts);
        let constant = |counts: &[u32]| counts.iter().filter(|&&count| count > 0).count() == 1;
        let surprise = (rows.len() as f64 - 1.0) * (outer.len().max(1) as f64).ln();
        let rest: Vec<Vec<u32>> = counts
            .iter()
            .filter(|counts| !(constant(counts) && surprise > OWN))
            .cloned()
            .collect();
        let alphabet = match rest.len() < counts.len() && !rest.is_empty() {
            true => narrowed(&smallest(&rest, &outer), &rest),
            false => outer.clone(),
        };
        let nominal = at.len() as f64 * log2(outer.len());
        let mut evidence = 0.0;
        let mut places: Vec<(Place, Fit)> = vec![];
        for (counts, &at) in counts.into_iter().zip(&at) {
            let fresh = !(constant(&counts) && surprise > OWN);
            let fit = Fit::of(&counts, if fresh { &alphabet } else { &outer });
            evidence += diluted(fit.evidence(), REDUCED);
            let place = Place {
                at,
                counts,
                set: outer.clone(),
                bits: log2(outer.len()),
                kind_bits: 0.0,
                reduced: false,
            };
            places.push((place, fit));
        }
        let found = evidence > ENOUGH;
        let alphabet = if found { alphabet } else { outer.clone() };
        let places = places
            .into_iter()
            .map(|(mut place, fit)| {
                if !found {
                    return place;
                }
                place.set.clone_from(&alphabet);
                place.bits = log2(alphabet.len());
                fit.apply(place)
            })
            .collect();
        let mut this = Places {
            rows,
            places,
            alphabet,
            nominal,
            bits: 0.0,
            evidence,
            composed: false,
        };
        this.bits = this.places.iter().map(|place| place.bits).sum();
        if found {
            this.compose(table);
        }
        this
    }

    /// Whether the places are not as they should be.
    pub(super) fn found(&self) -> bool {
        self.evidence > ENOUGH
    }

    /// When each row has one digit and one capital among small letters, say, the kinds of all
    /// places together have the entropy of where these stand, at most.
    fn compose(&mut self, table: &Table<'_>) {
        let composition = |row: usize| {
            let mut of = [0usize; Kind::ALL.len()];
            for place in &self.places {
                of[Kind::of(table.password(row)[place.at]) as usize] += 1;
            }
            of
        };
        let Some((&first, others)) = self.rows.split_first() else {
            return;
        };
        let usual = composition(first);
        if others.len() < 9 || others.iter().any(|&row| composition(row) != usual) {
            return;
        }
        self.composed = true;
        let (mut left, mut arrangements) = (self.places.len(), 0.0);
        for kind in Kind::ALL {
            arrangements += ln_choose(left, usual[kind as usize]) / std::f64::consts::LN_2;
            left -= usual[kind as usize];
        }
        let apart: f64 = self.places.iter().map(|place| place.kind_bits).sum();
        if arrangements < apart {
            self.bits -= apart - arrangements;
        }
    }

    /// Places that hold one and the same symbol in every row.
    pub(super) fn constants(&self) -> usize {
        let constant = |place: &&Place| place.reduced && place.set.len() == 1;
        self.places.iter().filter(constant).count()
    }

    /// The places in words, for example `places 1 to 3: one symbol; places 4 to 7: 10 digits`.
    pub(super) fn description(&self) -> String {
        let mut parts: Vec<(usize, usize, String)> = vec![];
        for place in &self.places {
            let says = place.says();
            match parts.last_mut() {
                Some((_, last, said)) if *said == says => *last = place.at,
                _ => parts.push((place.at, place.at, says)),
            }
        }
        let said = parts.iter().map(|(first, last, says)| match first == last {
            true => format!("place {}: {says}", first + 1),
            false => format!("places {} to {}: {says}", first + 1, last + 1),
        });
        let said: Vec<String> = said.take(8).collect();
        said.join("; ")
    }
}

impl Place {
    fn says(&self) -> String {
        if !self.reduced {
            return "any symbol".to_owned();
        }
        if self.set.len() == 1 {
            return "one symbol".to_owned();
        }
        let mut kinds: Vec<String> = vec![];
        for kind in Kind::ALL {
            let members = self.set.iter().filter(|&&byte| Kind::of(byte) == kind);
            match members.count() {
                0 => {}
                members => kinds.push(format!("{members} {}", kind.name())),
            }
        }
        kinds.join(", ")
    }

    /// Chances of the symbols of `set`, each as likely as the next, and their counts.
    pub(super) fn counted(&self) -> Vec<u32> {
        let count = |&byte: &u8| self.counts[usize::from(byte)];
        self.set.iter().map(count).collect()
    }
}

/// What fits one place, kind by kind.
struct Fit {
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
    fn of(counts: &[u32], alphabet: &[u8]) -> Fit {
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

    fn evidence(&self) -> f64 {
        let sets: f64 = self
            .kinds
            .iter()
            .map(|kind| diluted(kind.evidence, 0.5))
            .sum();
        sets + diluted(self.kind_evidence, 0.5)
    }

    fn apply(&self, mut place: Place) -> Place {
        if self.evidence() < OWN {
            return place;
        }
        let by_kind = self.kind_evidence > OWN;
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
        let named = ALPHABETS.iter().map(|(_, set)| *set).chain(SETS);
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
fn smallest(counts: &[Vec<u32>], otherwise: &[u8]) -> Vec<u8> {
    let seen = |byte: u8| counts.iter().any(|counts| counts[usize::from(byte)] > 0);
    let holds = |set: &[u8]| (0..=255u8).all(|byte| !seen(byte) || set.contains(&byte));
    let fits = ALPHABETS.iter().find(|(_, set)| holds(set));
    fits.map_or_else(|| otherwise.to_vec(), |(_, set)| set.to_vec())
}

/// The symbols seen, when the rows are too many for the others to be missing by chance.
fn narrowed(alphabet: &[u8], counts: &[Vec<u32>]) -> Vec<u8> {
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
