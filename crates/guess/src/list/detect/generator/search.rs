//! Every seed, every generator, every map: which of them gives one of these passwords?

use super::field::Field;
use super::source::{Form, SOURCES, Source, Stream};
use super::symbol::Map;
use super::target::{Target, Targets};

/// Outputs that a script may have thrown away before the first symbol, at most.
const SKIPS: usize = 3;

/// Seeds that are taken at a time.
const LANES: usize = 8;

/// Hits that are kept of one search; a search with more has nothing to say.
const HITS_MAX: usize = 1 << 20;

/// How a seed becomes a password.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Recipe {
    /// Which of [`SOURCES`].
    pub(super) source: u16,
    pub(super) map: Map,
    /// Outputs thrown away first.
    pub(super) skip: u8,
    /// Order of the field.
    pub(super) order: u16,
    pub(super) reversed: bool,
}

impl Recipe {
    /// As a report names it.
    pub(super) fn name(&self) -> String {
        let source = &SOURCES[usize::from(self.source)];
        let mut name = format!("{}, {}", source.name, self.map.name());
        if self.reversed {
            name += ", written backwards";
        }
        match self.skip {
            0 => {}
            1 => name += ", after 1 output thrown away",
            skip => name += &format!(", after {skip} outputs thrown away"),
        }
        name
    }

    /// log10 of how many recipes there are, as this one counts them (Bonferroni with weights that
    /// sum to 1): those that scripts use most get most of the chance, so that a single record can
    /// show one of them.
    pub(super) fn ways_log10(&self, pairs: usize) -> f64 {
        let order = f64::from(self.order);
        let skip = if self.skip == 0 {
            2.0
        } else {
            2.0 * SKIPS as f64
        };
        let direction = if self.reversed { 10.0 } else { 10.0 / 9.0 };
        ((order + 1.0) * (order + 2.0) * skip * direction * pairs as f64).log10()
    }

    /// A stream that stands before the first symbol.
    pub(super) fn start(&self, seed: u64) -> Stream {
        let mut stream = Stream::new(SOURCES[usize::from(self.source)].engine, seed);
        self.restart(&mut stream, seed);
        stream
    }

    /// The same with a stream that is at hand.
    pub(super) fn restart(&self, stream: &mut Stream, seed: u64) {
        stream.seed(SOURCES[usize::from(self.source)].engine, seed);
        for _ in 0..self.skip {
            stream.next();
        }
    }

    /// The symbols of the next password, in the order's numbers, as they stand in the password.
    pub(super) fn draw(&self, k: usize, stream: &mut Stream, out: &mut [u8]) -> bool {
        let form = SOURCES[usize::from(self.source)].form;
        let drawn = self.map.draw(form, k, stream, out);
        if self.reversed {
            out.reverse();
        }
        drawn
    }
}

/// A seed that gives a row's whole password.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) recipe: Recipe,
    /// Place of the seed among those searched.
    pub(super) seed: u32,
    /// Row of the table.
    pub(super) row: u32,
}

/// What a search met, and how many generators with their maps it went through.
pub(super) struct Met {
    pub(super) hits: Vec<Hit>,
    pub(super) pairs: usize,
}

/// Looks for passwords of `rows` that some seed gives; `related` says whether a seed (by its
/// place) concerns a row. Alphabets of `sizes` sizes are tried: a handful of symbols leaves many open.
pub(super) fn search(
    field: &Field<'_>,
    rows: &[usize],
    seeds: &[u64],
    sizes: usize,
    related: &dyn Fn(usize, usize) -> bool,
) -> Met {
    let sized = Targets::of(field, rows, sizes);
    let mut hits = vec![];
    let mut pairs = vec![0; sized.len()];
    let numbered: Vec<(usize, &Source)> = SOURCES.iter().enumerate().collect();
    for sources in numbered.chunk_by(|(_, a), (_, b)| a.engine == b.engine) {
        let mut group = Group::of(sources, &sized);
        for pair in &group.pairs {
            pairs[pair.size] += 1;
        }
        for (chunk, seeds) in seeds.chunks(LANES).enumerate() {
            group.search(&sized, seeds, &mut |recipe, lane, row| {
                let place = chunk * LANES + lane;
                if hits.len() < HITS_MAX && related(place, row as usize) {
                    hits.push(Hit {
                        recipe,
                        seed: place as u32,
                        row,
                    });
                }
            });
        }
    }
    Met {
        hits,
        pairs: pairs.into_iter().max().unwrap_or(0),
    }
}

/// A source and a map that can make passwords over an alphabet of one size.
struct Pair {
    /// Which of the targets' sizes.
    size: usize,
    /// Which of [`SOURCES`].
    source: usize,
    map: Map,
}

/// Sources that share an engine, so that it is seeded and runs once for all of them and for all
/// sizes of alphabets; several seeds go side by side.
struct Group {
    pairs: Vec<Pair>,
    streams: [Stream; LANES],
    /// Outputs so far, one of each seed.
    raw: Vec<[u64; LANES]>,
    symbols: Vec<Lanes>,
    /// The same of one seed.
    begun: Vec<u8>,
}

/// A symbol or a code of each seed.
type Lanes = [u32; LANES];

impl Group {
    fn of(sources: &[(usize, &Source)], sized: &[Targets]) -> Group {
        let engine = sources[0].1.engine;
        let mut pairs = vec![];
        for (size, targets) in sized.iter().enumerate() {
            for &(source, it) in sources {
                let maps = it.maps.iter();
                let fit = maps.filter(|map| map.fits(targets.k, targets.length, it.form));
                pairs.extend(fit.map(|&map| Pair { size, source, map }));
            }
        }
        let longest = sized.iter().map(|targets| targets.prefix).max();
        let longest = longest.unwrap_or(0);
        Group {
            pairs,
            streams: std::array::from_fn(|_| Stream::new(engine, 0)),
            raw: vec![],
            symbols: vec![[0; LANES]; longest + SKIPS],
            begun: vec![0; longest],
        }
    }

    /// Tells each recipe, which of the seeds and which row; there are [`LANES`] seeds at most.
    fn search(
        &mut self,
        sized: &[Targets],
        seeds: &[u64],
        hit: &mut dyn FnMut(Recipe, usize, u32),
    ) {
        let mut all = [0; LANES];
        all[..seeds.len()].copy_from_slice(seeds);
        Stream::seed_many(&mut self.streams, all);
        self.raw.clear();
        for at in 0..self.pairs.len() {
            let Pair { size, source, map } = self.pairs[at];
            let targets = &sized[size];
            let recipe = Recipe {
                source: source as u16,
                map,
                skip: 0,
                order: 0,
                reversed: false,
            };
            let mut met = |skip: usize, lane: usize, code: u32| {
                if lane < seeds.len() && targets.may_begin(code) {
                    let skip = skip as u8;
                    let recipe = Recipe { skip, ..recipe };
                    let hit = &mut |recipe, row| hit(recipe, lane, row);
                    confirm(targets, code, seeds[lane], recipe, hit);
                }
            };
            match map.one_each() {
                true => self.one_each(source, map, targets, &mut met),
                false => self.one_by_one(source, map, targets, &mut met),
            }
        }
    }

    /// Maps that take one value for each symbol: the codes of all beginnings, all seeds at once.
    ///
    /// Here the search spends its time.
    fn one_each(
        &mut self,
        source: usize,
        map: Map,
        targets: &Targets,
        met: &mut impl FnMut(usize, usize, u32),
    ) {
        let begin = targets.prefix + SKIPS;
        while self.raw.len() < begin {
            self.raw.push(self.streams.each_mut().map(Stream::next));
        }
        let form = SOURCES[source].form;
        for (symbols, raw) in self.symbols.iter_mut().zip(&self.raw[..begin]) {
            *symbols = symbols_of(map, form, targets.k as u32, raw);
        }
        let k = targets.k as u32;
        let highest = k.wrapping_pow(targets.prefix as u32 - 1);
        let mut codes: Lanes = [0; LANES];
        for symbols in &self.symbols[..targets.prefix] {
            codes = lanes(|lane| codes[lane].wrapping_mul(k).wrapping_add(symbols[lane]));
        }
        for skip in 0..=SKIPS {
            for (lane, &code) in codes.iter().enumerate() {
                met(skip, lane, code);
            }
            if skip < SKIPS {
                let (first, last) = (self.symbols[skip], self.symbols[skip + targets.prefix]);
                codes = lanes(|lane| {
                    let rest = codes[lane].wrapping_sub(first[lane].wrapping_mul(highest));
                    rest.wrapping_mul(k).wrapping_add(last[lane])
                });
            }
        }
    }

    /// All other maps, one seed after the other.
    fn one_by_one(
        &mut self,
        source: usize,
        map: Map,
        targets: &Targets,
        met: &mut impl FnMut(usize, usize, u32),
    ) {
        let form = SOURCES[source].form;
        let begun = &mut self.begun[..targets.prefix];
        for lane in 0..LANES {
            let mut at = 0;
            let mut next = || {
                if at == self.raw.len() {
                    self.raw.push(self.streams.each_mut().map(Stream::next));
                }
                at += 1;
                self.raw[at - 1][lane]
            };
            if map.fill(form, targets.k, targets.length, &mut next, begun) {
                met(0, lane, targets.code(begun));
            }
        }
    }
}

/// Draws the whole password where its beginning is that of a target, and tells of those it is.
#[cold]
fn confirm(
    targets: &Targets,
    code: u32,
    seed: u64,
    mut recipe: Recipe,
    hit: &mut dyn FnMut(Recipe, u32),
) {
    if targets.beginning(code).next().is_none() {
        return;
    }
    let mut whole = zeroize::Zeroizing::new(vec![0; targets.length]);
    let mut fresh = recipe.start(seed);
    if !recipe.draw(targets.k, &mut fresh, &mut whole) {
        return;
    }
    for (target, wanted) in targets.beginning(code) {
        let Target {
            row,
            order,
            reversed,
        } = target;
        if *wanted == **whole {
            (recipe.order, recipe.reversed) = (order, reversed);
            hit(recipe, row);
        }
    }
}

#[inline]
fn lanes(of: impl Fn(usize) -> u32) -> Lanes {
    std::array::from_fn(of)
}

/// The symbol of each value. A value that the map rejects makes the first symbol: the whole password
/// is drawn again before anything is believed.
#[inline]
fn symbols_of(map: Map, form: Form, k: u32, raw: &[u64; LANES]) -> Lanes {
    let range = form.range();
    if range == 0 || range > 1 << 32 {
        return lanes(|lane| {
            let symbol = map.one(form, u64::from(k), form.of(raw[lane]));
            symbol.map_or(0, u32::from)
        });
    }
    let values = lanes(|lane| form.of(raw[lane]) as u32);
    match map {
        Map::Mod => divided(values, k).1,
        Map::ShiftMod(by) => divided(lanes(|lane| values[lane].checked_shr(by).unwrap_or(0)), k).1,
        Map::Divide => {
            let quotients = divided(values, (((range - 1) / u64::from(k)) as u32).max(1)).0;
            lanes(|lane| {
                if quotients[lane] < k {
                    quotients[lane]
                } else {
                    0
                }
            })
        }
        _ if range.is_power_of_two() => {
            let bits = range.trailing_zeros();
            lanes(|lane| ((u64::from(values[lane]) * u64::from(k)) >> bits) as u32)
        }
        _ => lanes(|lane| (u64::from(values[lane]) * u64::from(k) / range) as u32),
    }
}

/// Quotients and remainders, without a division: a multiplication by the inverse gives a quotient
/// that is one too small at most.
#[inline]
fn divided(values: Lanes, by: u32) -> (Lanes, Lanes) {
    let inverse = (1u64 << 32) / u64::from(by);
    let quotients = lanes(|lane| ((u64::from(values[lane]) * inverse) >> 32) as u32);
    let rests = lanes(|lane| values[lane].wrapping_sub(quotients[lane].wrapping_mul(by)));
    let more = lanes(|lane| u32::from(rests[lane] >= by));
    (
        lanes(|lane| quotients[lane] + more[lane]),
        lanes(|lane| rests[lane] - more[lane] * by),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_need_no_division() {
        for by in (1..=257).chain([1 << 16, (1 << 31) - 1, u32::MAX]) {
            let near = [0, 1, u32::MAX / by / 2, u32::MAX / by].map(|times| times * by);
            let below = near.map(|it| it.wrapping_sub(1));
            let values = lanes(|lane| {
                if lane < 4 {
                    near[lane]
                } else {
                    below[lane - 4]
                }
            });
            let (quotients, rests) = divided(values, by);
            assert_eq!(quotients, values.map(|value| value / by), "by {by}");
            assert_eq!(rests, values.map(|value| value % by), "by {by}");
        }
    }

    /// What the search takes for the symbols of all seeds is what a script would write.
    #[test]
    fn symbols_side_by_side_are_those_of_the_map() {
        let raw: [u64; LANES] = std::array::from_fn(|lane| {
            (lane as u64 + 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
        });
        for source in SOURCES {
            let maps = source.maps.iter().filter(|map| map.one_each());
            for (&map, k) in maps.flat_map(|map| [10, 26, 32, 57].map(|k| (map, k))) {
                let all = match source.form {
                    // Of these a generator gives no others.
                    Form::Below { less, range } => raw.map(|raw| raw % range + less),
                    _ => raw,
                };
                let expected = all.map(|raw| {
                    let symbol = map.one(source.form, k, source.form.of(raw));
                    symbol.map_or(0, u32::from)
                });
                let symbols = symbols_of(map, source.form, k as u32, &all);
                assert_eq!(symbols, expected, "{}, {map:?}, {k}", source.name);
            }
        }
    }
}
