//! Class C: a digest or checksum of the identifiers, without a key, cut and spelt somehow.

use super::digests::{COMMON, HASHES, KEYED};
use super::forms::{self, Form};
use super::found::{Named, findings};
use super::password::{Ground, Read, Reading};
use super::scan::{Ballot, Line, Masks};
use super::spell::{WAYS, Way};
use super::symbols::{Symbols, alphabets};
use super::unit::Unit;
use super::verbatim::{GROUND, vote};
use super::weigh::Scales;
use crate::list::report::{Class, Finding};
use crate::list::table::Table;
use crate::list::table::spread;

/// Rows that are searched: where one in ten is derived, 99 of 100 times two or more are among them.
const SEARCHED: usize = 56;

/// Rows that are searched with the unit above and below, that are read backwards, and whose rare
/// forms are tried.
const SLIPPED: usize = 8;
const BACKWARDS: usize = 16;
const RARE: usize = 24;

/// Rows of a list so short that everything is tried.
const SHORT: usize = 2;

/// Alignments that are weighed.
const WEIGHED: usize = 64;

/// Bits that must agree in one row before an alignment is looked at again.
const RUN_BITS: f64 = 18.0;

/// A text is named by where its parts stand in their tables.
#[derive(Clone, Copy)]
struct Recipe {
    form: usize,
    hash: usize,
    way: usize,
    symbols: usize,
}

impl Recipe {
    fn id(self) -> u32 {
        (self.form << 18 | self.hash << 11 | self.way << 6 | self.symbols) as u32
    }

    fn of(id: u32) -> Recipe {
        let id = id as usize;
        Recipe {
            form: id >> 18,
            hash: id >> 11 & 127,
            way: id >> 6 & 31,
            symbols: id & 63,
        }
    }
}

/// What a list is searched for.
struct Search<'s, 'l> {
    table: &'s Table<'l>,
    ground: &'s Ground,
    forms: Vec<Form>,
    alphabets: Vec<Symbols>,
}

pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    if table.len() == 0 {
        return vec![];
    }
    let ground = Ground::of(&table.sample(GROUND));
    let units: Vec<Unit<'_>> = spread(table.len(), 16, table.seed())
        .map(|row| Unit::of(table, row, 0))
        .collect();
    let search = Search {
        table,
        ground: &ground,
        forms: forms::present(&units),
        alphabets: alphabets(&ground),
    };
    let lines = search.lines();
    let scales = Scales {
        table,
        ground: &ground,
        write: &|id, unit, out| search.write(Recipe::of(id), unit, out),
        cost: &|id| search.cost(Recipe::of(id)),
    };
    findings(&scales, &lines, &|id| search.named(Recipe::of(id)))
}

/// A password read one way, its symbols as values of the alphabets of one size.
struct Group {
    reading: Reading,
    radix: u8,
    symbols: usize,
    /// Symbols that must agree in a row.
    least: usize,
    /// Any of the alphabets.
    any: Masks,
    each: Vec<(usize, Masks)>,
}

impl Search<'_, '_> {
    fn lines(&self) -> Vec<Line> {
        let mut ballot = Ballot::default();
        for (slip, most) in [(0, SEARCHED), (-1, SLIPPED), (1, SLIPPED)] {
            for (at, row) in spread(self.table.len(), most, self.table.seed()).enumerate() {
                let groups = self.groups(row, at < BACKWARDS && slip == 0);
                if !groups.is_empty() {
                    let unit = Unit::of(self.table, row, slip);
                    self.search(&unit, slip, at < RARE, &groups, &mut ballot);
                }
            }
        }
        let bits = -self.ground.alike(Reading::Forward).log2();
        ballot.count(bits, self.table.len().min(SEARCHED), WEIGHED)
    }

    fn groups(&self, row: usize, backwards: bool) -> Vec<Group> {
        let password = self.table.password(row);
        let mut groups: Vec<Group> = vec![];
        let mut read = Read::default();
        for reading in [Reading::Forward, Reading::Backward, Reading::Exact] {
            if reading == Reading::Backward && !backwards {
                continue;
            }
            read.read(password, reading, &self.ground.shape);
            let free = |place: &usize| !self.ground.is_constant(password, read.from[*place].into());
            let most = longest_run((0..read.symbols.len()).map(|place| free(&place)));
            for (at, alphabet) in self.alphabets.iter().enumerate() {
                if alphabet.cased != (reading == Reading::Exact) {
                    continue;
                }
                let bits = (alphabet.symbols.len() as f64).log2();
                let least = ((RUN_BITS / bits).ceil() as usize).min(most).max(3);
                let mut masks = [0u64; 256];
                let mut shown = 0u64;
                for (value, symbol) in alphabet.symbols.iter().enumerate() {
                    for place in (0..read.symbols.len()).filter(free) {
                        if read.symbols[place] == *symbol {
                            masks[value] |= 1 << place;
                            shown |= 1 << place;
                        }
                    }
                }
                let whole = (0..read.symbols.len())
                    .filter(free)
                    .all(|place| shown >> place & 1 == 1);
                let run = longest_run((0..64).map(|place| shown >> place & 1 == 1));
                if run < least || !(whole || alphabet.holds >= least) {
                    continue;
                }
                let radix = alphabet.symbols.len() as u8;
                let same = |group: &&mut Group| group.radix == radix && group.reading == reading;
                match groups.iter_mut().find(same) {
                    Some(group) => {
                        for (any, more) in group.any.iter_mut().zip(&masks) {
                            *any |= more;
                        }
                        group.each.push((at, masks));
                    }
                    None => groups.push(Group {
                        reading,
                        radix,
                        symbols: read.symbols.len(),
                        least,
                        any: masks,
                        each: vec![(at, masks)],
                    }),
                }
            }
        }
        groups.sort_by_key(|group| group.radix);
        groups
    }

    fn search(&self, unit: &Unit<'_>, slip: i8, rare: bool, groups: &[Group], ballot: &mut Ballot) {
        let deep = self.table.len() <= SHORT;
        let mut text = vec![];
        for (at, form) in self.forms.iter().enumerate() {
            if form.rare && !rare {
                continue;
            }
            text.clear();
            let Some(first) = form.write(unit, &mut text) else {
                continue;
            };
            let hashes = match (form.keyed, form.rare) {
                (true, _) => KEYED.len(),
                (false, true) => COMMON,
                (false, false) => HASHES.len(),
            };
            for hash in 0..hashes {
                let digest = digest(form, hash, first, &text);
                let recipe = Recipe {
                    form: at,
                    hash,
                    way: 0,
                    symbols: 0,
                };
                let all = deep || !form.rare && hash < COMMON;
                self.spell(&digest, recipe, slip, all, groups, ballot);
            }
        }
    }

    /// Holds every spelling of a digest against the password, or the usual ones only.
    fn spell(
        &self,
        digest: &[u8],
        recipe: Recipe,
        slip: i8,
        all: bool,
        groups: &[Group],
        ballot: &mut Ballot,
    ) {
        let mut values = Vec::with_capacity(256);
        for same in groups.chunk_by(|a, b| a.radix == b.radix) {
            let radix = same[0].radix;
            for (number, way) in WAYS.iter().enumerate() {
                if !way.applies(digest.len(), radix) || !(all || way.usual(digest.len())) {
                    continue;
                }
                if way.is_bare() {
                    let zeros = values.iter().take_while(|value| **value == 0).count();
                    values.drain(..zeros);
                } else {
                    values.clear();
                    way.write(digest, radix, &mut values);
                }
                let recipe = Recipe {
                    way: number,
                    ..recipe
                };
                for group in same {
                    self.vote(group, recipe, slip, &values, ballot);
                }
            }
        }
    }

    fn vote(&self, group: &Group, recipe: Recipe, slip: i8, values: &[u8], ballot: &mut Ballot) {
        // A glance with all alphabets at once spares most texts the look with each.
        let mut any = false;
        super::scan::triples(&group.any, values, |_, _| any = true);
        if !any {
            return;
        }
        for (symbols, masks) in &group.each {
            let line = Line {
                text: Recipe {
                    symbols: *symbols,
                    ..recipe
                }
                .id(),
                reading: group.reading,
                slip,
                text_from_end: false,
                password_from_end: false,
                lag: 0,
            };
            let ends = [false, self.ground.lengths_differ];
            vote(
                ballot,
                line,
                masks,
                values,
                group.symbols,
                ends,
                group.least,
            );
        }
    }

    fn write(&self, recipe: Recipe, unit: &Unit<'_>, out: &mut Vec<u8>) {
        let form = &self.forms[recipe.form];
        let Some(first) = form.write(unit, out) else {
            return out.clear();
        };
        let digest = digest(form, recipe.hash, first, out);
        out.clear();
        let symbols = &self.alphabets[recipe.symbols].symbols;
        WAYS[recipe.way].write(&digest, symbols.len() as u8, out);
        super::alphabet::spell(out, symbols);
    }

    /// A prefix code over forms, digests, ways and alphabets: the usual ones are short.
    fn cost(&self, recipe: Recipe) -> f64 {
        let form = match self.forms[recipe.form].rare {
            false => 7.5,
            true => 12.0,
        };
        let hash = if recipe.hash < COMMON { 3.0 } else { 7.0 };
        let way = match WAYS[recipe.way] {
            Way::Groups => 1.0,
            Way::Modulo => 2.0,
            _ => 7.0,
        };
        form + hash + way + self.alphabets[recipe.symbols].cost
    }

    fn named(&self, recipe: Recipe) -> Named {
        let form = &self.forms[recipe.form];
        let hash = match form.keyed {
            true => KEYED[recipe.hash].0,
            false => HASHES[recipe.hash].0,
        };
        let alphabet = self.alphabets[recipe.symbols].name;
        let way = WAYS[recipe.way].name();
        Named {
            what: format!("{hash} of {} in {alphabet}{way}", form.name()),
            clause: form.clause(),
            class: Class::Hash,
            detector: "unkeyed hash",
        }
    }
}

fn digest(form: &Form, hash: usize, first: usize, text: &[u8]) -> Vec<u8> {
    match form.keyed {
        true => KEYED[hash].1(&text[..first], &text[first..]),
        false => HASHES[hash].1(text),
    }
}

fn longest_run(places: impl Iterator<Item = bool>) -> usize {
    let (mut longest, mut run) = (0, 0);
    for place in places {
        run = if place { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}
