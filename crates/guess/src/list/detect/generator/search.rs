//! Every seed, every generator, every map: which of them gives one of these passwords?

use super::field::Field;
use super::source::{Form, SOURCES, Source, Stream, low};
use super::symbol::{Divisor, Map};
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
/// sizes of alphabets.
struct Group {
    pairs: Vec<Pair>,
    streams: [Stream; LANES],
    raw: Vec<u64>,
    symbols: Vec<u8>,
}

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
        let longest = sized
            .iter()
            .map(|targets| targets.prefix)
            .max()
            .unwrap_or(0);
        Group {
            pairs,
            streams: std::array::from_fn(|_| Stream::new(engine, 0)),
            raw: vec![],
            symbols: vec![0; longest + SKIPS],
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
        for (lane, &seed) in seeds.iter().enumerate() {
            self.search_one(sized, lane, seed, &mut |recipe, row| hit(recipe, lane, row));
        }
    }

    fn search_one(
        &mut self,
        sized: &[Targets],
        lane: usize,
        seed: u64,
        hit: &mut dyn FnMut(Recipe, u32),
    ) {
        let Group {
            pairs,
            streams,
            raw,
            symbols,
        } = self;
        let stream = &mut streams[lane];
        raw.clear();
        for &Pair { size, source, map } in pairs.iter() {
            let targets = &sized[size];
            let form = SOURCES[source].form;
            let skips = if map.one_each() { SKIPS } else { 0 };
            let begin = targets.prefix + skips;
            let mut at = 0;
            let mut next = || {
                if at == raw.len() {
                    raw.push(stream.next());
                }
                at += 1;
                raw[at - 1]
            };
            let drawn = match map.one_each() {
                true => begun(map, form, targets, &mut next, &mut symbols[..begin]),
                false => {
                    let begun = &mut symbols[..begin];
                    map.fill(form, targets.k, targets.length, &mut next, begun)
                }
            };
            if !drawn {
                continue;
            }
            for skip in 0..=skips {
                let code = targets.code(&symbols[skip..skip + targets.prefix]);
                if targets.may_begin(code) {
                    let recipe = Recipe {
                        source: source as u16,
                        map,
                        skip: skip as u8,
                        order: 0,
                        reversed: false,
                    };
                    confirm(targets, code, seed, recipe, hit);
                }
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

/// The first symbols of maps that take one value each. A value that such a map rejects makes a
/// symbol that no alphabet has.
///
/// Here the search spends its time: map and form are told apart once for all symbols.
#[inline]
fn begun(
    map: Map,
    form: Form,
    targets: &Targets,
    next: &mut impl FnMut() -> u64,
    out: &mut [u8],
) -> bool {
    let k = targets.k as u64;
    let mut each = |symbol: &mut dyn FnMut(u64) -> u64| {
        for place in out.iter_mut() {
            let symbol = symbol(next());
            *place = if symbol < k { symbol as u8 } else { 0 };
        }
    };
    match (map, form) {
        (Map::Mod, Form::Bits { shift, bits }) if bits <= 32 => {
            let (mask, k) = (low(bits), Divisor::new(k as u32));
            for place in out.iter_mut() {
                *place = k.remainder(((next() >> shift) & mask) as u32) as u8;
            }
        }
        (Map::ShiftMod(by), Form::Bits { shift, bits }) if bits <= 32 => {
            let (mask, k) = (low(bits), Divisor::new(k as u32));
            for place in out.iter_mut() {
                *place = k.remainder((((next() >> shift) & mask) >> by) as u32) as u8;
            }
        }
        (Map::Scale, Form::Bits { shift, bits }) if bits <= 32 => {
            let mask = low(bits);
            for place in out.iter_mut() {
                *place = ((((next() >> shift) & mask) * k) >> bits) as u8;
            }
        }
        _ => each(&mut |value| map.one(form, k, form.of(value)).map_or(0, u64::from)),
    }
    true
}
