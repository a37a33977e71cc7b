//! Every seed, every generator, every map: which of them gives one of these passwords?

use super::field::Field;
use super::source::{Engine, Form, SOURCES, Stream, low};
use super::symbol::Map;
use super::target::{Target, Targets};

/// Outputs that a script may have thrown away before the first symbol, at most.
const SKIPS: usize = 3;

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
    let mut met = Met {
        hits: vec![],
        pairs: 0,
    };
    for targets in Targets::of(field, rows, sizes) {
        let mut at = 0;
        let mut pairs = 0;
        while at < SOURCES.len() {
            let engine = SOURCES[at].engine;
            let group = SOURCES[at..]
                .iter()
                .take_while(|source| source.engine == engine)
                .count();
            let mut group = Group::of(engine, at..at + group, &targets);
            pairs += group.pairs.len();
            for (place, &seed) in seeds.iter().enumerate() {
                group.search(&targets, seed, &mut |recipe, row| {
                    if met.hits.len() < HITS_MAX && related(place, row as usize) {
                        met.hits.push(Hit {
                            recipe,
                            seed: place as u32,
                            row,
                        });
                    }
                });
            }
            at += group.sources.len();
        }
        met.pairs = met.pairs.max(pairs);
    }
    met
}

/// Sources that share an engine, so that it runs once for all of them.
struct Group {
    engine: Engine,
    sources: std::ops::Range<usize>,
    /// Source and map of all that can make such passwords.
    pairs: Vec<(usize, Map)>,
    stream: Stream,
    raw: Vec<u64>,
    symbols: Vec<u8>,
}

impl Group {
    fn of(engine: Engine, sources: std::ops::Range<usize>, targets: &Targets) -> Group {
        let mut pairs = vec![];
        for source in sources.clone() {
            let maps = SOURCES[source].maps.iter();
            let fit = maps.filter(|map| map.fits(targets.k, targets.length, SOURCES[source].form));
            pairs.extend(fit.map(|&map| (source, map)));
        }
        Group {
            engine,
            sources,
            pairs,
            stream: Stream::new(engine, 0),
            raw: vec![],
            symbols: vec![0; targets.length + SKIPS],
        }
    }

    fn search(&mut self, targets: &Targets, seed: u64, hit: &mut dyn FnMut(Recipe, u32)) {
        let Group {
            engine,
            pairs,
            stream,
            raw,
            symbols,
            ..
        } = self;
        stream.seed(*engine, seed);
        raw.clear();
        for &(source, map) in pairs.iter() {
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
                if !targets.may_begin(code) || targets.beginning(code).next().is_none() {
                    continue;
                }
                let mut whole = zeroize::Zeroizing::new(vec![0; targets.length]);
                let mut recipe = Recipe {
                    source: source as u16,
                    map,
                    skip: skip as u8,
                    order: 0,
                    reversed: false,
                };
                let mut fresh = recipe.start(seed);
                if !recipe.draw(targets.k, &mut fresh, &mut whole) {
                    continue;
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
            let (mask, k) = (low(bits), k as u32);
            for place in out.iter_mut() {
                *place = (((next() >> shift) & mask) as u32 % k) as u8;
            }
        }
        (Map::ShiftMod(by), Form::Bits { shift, bits }) if bits <= 32 => {
            let (mask, k) = (low(bits), k as u32);
            for place in out.iter_mut() {
                *place = ((((next() >> shift) & mask) >> by) as u32 % k) as u8;
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
