//! What each place of a password holds over the rows: one symbol, a few, some classes, or any.

use super::evidence::{ENOUGH, diluted, ln_choose};
use super::fit::{Fit, Kind, OWN, log2, narrowed, smallest};
use crate::list::shape::Shape;
use crate::list::table::Table;

/// Share of the prior that a place is not drawn from the whole alphabet.
const REDUCED: f64 = 0.1;

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
    pub(super) kind_bits: f64,
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
