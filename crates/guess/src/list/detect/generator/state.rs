//! Congruential generators whose seed nobody knows: their state is small enough to be searched.
//!
//! `value % k` with an even `k` shows low bits of the value, and low bits of a state modulo a power
//! of two make a generator of their own: they are searched first, the rest of the state after them.

use zeroize::Zeroizing;

use super::CONGRUENTIAL;
use super::chance;
use super::field::Field;
use super::rows::{Sequence, distinct, sequences};
use super::seeded::{RARE_LOG10, finding};
use super::source::{Engine, Form, SOURCES, low};
use super::symbol::{Divisor, Map};
use crate::Clause;
use crate::list::report::Finding;
use crate::list::table::Table;

/// States that are run through in a look: for generators whose low bits have been found, which
/// random symbols have not, and for all others together; and for one generator and row when rows
/// are looked at by themselves.
const FILTERED_WORK: u64 = 1 << 29;
const WORK: u64 = 1 << 27;
const ROW_WORK: u64 = 1 << 26;

/// Rows whose states are searched one by one.
const ROWS: usize = 4;

/// Symbols of a stream that low bits are held against.
const STREAM: usize = 96;

/// Looks for the state before the first row of a sequence, and before single rows.
pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    let Some(field) = Field::of(table) else {
        return vec![];
    };
    let sequences = sequences(&field);
    let (mut filtered, mut others) = (FILTERED_WORK, WORK);
    let mut tried: Vec<(&Sequence, usize, Machine)> = vec![];
    for sequence in sequences.iter().filter(|it| it.rows.len() > 1).take(2) {
        for (order, orders) in field.orders.iter().enumerate().take(2) {
            tried.extend(machines(orders.k).map(|machine| (sequence, order, machine)));
        }
    }
    // Those whose low bits can be searched cost next to nothing: they come first, and then the
    // common ones in both orders before the work is used up.
    tried.sort_by_key(|(_, _, machine)| (!machine.filtered(), machine.source));
    for (sequence, order, machine) in tried {
        let rows = STREAM.div_ceil(field.length()).min(sequence.rows.len());
        let symbols = field.stream(&sequence.rows[..rows], &field.orders[order]);
        let known = field.length().max(MIN_KNOWN.min(symbols.len()));
        let work = match machine.filtered() {
            true => &mut filtered,
            false => &mut others,
        };
        let state = machine.solve(&symbols, known, work);
        let found = state.and_then(|state| stream_from(&field, sequence, order, &machine, state));
        if let Some(found) = found {
            return vec![found];
        }
    }
    single(&field)
}

/// Symbols that must follow from a state of 48 bits before it is believed.
const MIN_KNOWN: usize = 24;

fn stream_from(
    field: &Field<'_>,
    sequence: &Sequence,
    order: usize,
    machine: &Machine,
    state: u64,
) -> Option<Finding> {
    let k = field.orders[order].k;
    let mut state = state;
    let mut fresh = true;
    let mut follows = |row: usize| {
        field.values(row, &field.orders[order]).all(|symbol| {
            if !std::mem::take(&mut fresh) {
                state = machine.step(state);
            }
            machine.symbol(state) == Some(symbol)
        })
    };
    let count = sequence
        .rows
        .iter()
        .take_while(|&&row| follows(row))
        .count();
    let states = f64::from(machine.bits) * std::f64::consts::LOG10_2 + 2.0;
    let chance = states + chance::of_password(field.length(), k) * count as f64;
    let evidence = format!(
        "one stream of {}, {}, {}, in {count} of",
        SOURCES[machine.source].name,
        machine.map.name(),
        sequence.name
    );
    let rows = &sequence.rows[..count];
    (chance < RARE_LOG10 && count > 1).then(|| {
        finding(
            CONGRUENTIAL,
            field,
            Clause::Guessable,
            rows,
            chance,
            evidence,
        )
    })
}

/// Rows each of which some state of 31 or 32 bits gives.
fn single(field: &Field<'_>) -> Vec<Finding> {
    let spread = (0..ROWS.min(field.rows.len())).map(|n| n * field.rows.len() / ROWS.max(1));
    let rows = distinct(field, spread.map(|place| field.rows[place]).collect());
    for orders in field.orders.iter().take(2) {
        for machine in machines(orders.k).filter(|it| it.filtered()) {
            let states = f64::from(machine.bits) * std::f64::consts::LOG10_2;
            let each = states + chance::of_password(field.length(), orders.k);
            if each > -2.0 {
                continue;
            }
            let hits: Vec<usize> = rows
                .iter()
                .copied()
                .filter(|&row| {
                    let symbols: Zeroizing<Vec<u8>> =
                        Zeroizing::new(field.values(row, orders).collect());
                    machine
                        .solve(&symbols, symbols.len(), &mut { ROW_WORK })
                        .is_some()
                })
                .collect();
            let chance = 2.0 + chance::at_least(hits.len(), rows.len(), each);
            if chance < RARE_LOG10 {
                let evidence = format!(
                    "outputs of {}, {}, whose state has {} bits, in {} of {} rows tried, of",
                    SOURCES[machine.source].name,
                    machine.map.name(),
                    machine.bits,
                    hits.len(),
                    rows.len()
                );
                return vec![finding(
                    CONGRUENTIAL,
                    field,
                    Clause::Guessable,
                    &hits,
                    chance,
                    evidence,
                )];
            }
        }
    }
    vec![]
}

/// A congruential generator with a map.
#[derive(Clone, Copy)]
struct Machine {
    source: usize,
    engine: Engine,
    form: Form,
    map: Map,
    /// Bits of state that its symbols depend on.
    bits: u32,
    k: u64,
}

/// Those of the catalogue that are searched: Lehmer's, and powers of two up to 48 bits.
fn machines(k: usize) -> impl Iterator<Item = Machine> {
    SOURCES.iter().enumerate().flat_map(move |(source, it)| {
        let bits = match (it.engine, it.form) {
            (Engine::Lcg { bits, .. }, Form::Bits { shift, bits: seen }) if bits <= 48 => {
                Some(bits.min(shift + seen))
            }
            (Engine::Lehmer { .. }, Form::Below { .. }) => Some(31),
            _ => None,
        };
        let maps = it
            .maps
            .iter()
            .filter(|map| matches!(map, Map::Mod | Map::Scale));
        let made = maps.map(move |&map| {
            bits.map(|bits| Machine {
                source,
                engine: it.engine,
                form: it.form,
                map,
                bits,
                k: k as u64,
            })
        });
        made.flatten()
    })
}

impl Machine {
    #[inline]
    fn step(&self, state: u64) -> u64 {
        match self.engine {
            Engine::Lcg { a, c, bits, .. } => state.wrapping_mul(a).wrapping_add(c) & low(bits),
            Engine::Lehmer { a, .. } => state * a % 0x7fff_ffff,
            _ => state,
        }
    }

    #[inline]
    fn symbol(&self, state: u64) -> Option<u8> {
        self.map.one(self.form, self.k, self.form.of(state))
    }

    /// How far a value's lowest bit is up in the state.
    fn shift(&self) -> u32 {
        match self.form {
            Form::Bits { shift, .. } => shift,
            _ => 0,
        }
    }

    /// Whether low bits can be searched by themselves.
    fn filtered(&self) -> bool {
        let congruential = matches!(self.engine, Engine::Lcg { .. });
        congruential && self.map == Map::Mod && self.k.is_multiple_of(2)
    }

    /// A state that gives the first of the symbols and after it all of the `known` first; `work` is
    /// taken from.
    fn solve(&self, symbols: &[u8], known: usize, work: &mut u64) -> Option<u64> {
        let range = self.form.range();
        let first = u64::from(symbols[0]);
        let lows = self.lows(symbols, work);
        // Values whose symbol is the first one: every k-th, or one stretch of them.
        let (begin, stride, values) = match self.map {
            Map::Mod => (first, self.k, range / self.k + 1),
            _ => {
                let begin = u128::from(first) * u128::from(range) / u128::from(self.k);
                (begin as u64, 1, range / self.k + 2)
            }
        };
        let needed = (lows.len() as u64).saturating_mul(values);
        if needed > *work {
            return None;
        }
        *work -= needed;
        let begin = match self.form {
            Form::Below { less, .. } => begin + less,
            _ => begin,
        };
        let shift = self.shift();
        let starts = lows
            .iter()
            .map(|&low| (0..values).map(move |number| (begin + number * stride) << shift | low));
        let k = Divisor::new(self.k as u32);
        let known = &symbols[..known];
        match (self.engine, self.form) {
            (Engine::Lcg { a, c, bits, .. }, Form::Bits { shift, bits: seen }) if seen <= 32 => {
                let (mask, shown) = (low(bits), low(seen));
                let step = |state: u64| state.wrapping_mul(a).wrapping_add(c) & mask;
                let value = |state: u64| (state >> shift) & shown;
                match self.map {
                    Map::Mod => first_fit(starts, known, step, |state| {
                        k.remainder(value(state) as u32)
                    }),
                    _ => first_fit(starts, known, step, |state| {
                        ((value(state) * self.k) >> seen) as u32
                    }),
                }
            }
            _ => {
                let shown = |state| self.symbol(state).map_or(u32::MAX, u32::from);
                first_fit(starts, known, |state| self.step(state), shown)
            }
        }
    }

    /// The part of the state under the value: all of them, or those whose own little generator
    /// gives the symbols' low bits.
    fn lows(&self, symbols: &[u8], work: &mut u64) -> Vec<u64> {
        let shift = self.shift();
        let all = 1u64 << shift;
        if *work < all {
            return vec![];
        }
        *work -= all;
        let Engine::Lcg { a, c, .. } = self.engine else {
            return vec![0];
        };
        if !self.filtered() {
            return (0..all).collect();
        }
        let shown = self.k.trailing_zeros();
        let mask = low(shift + shown);
        let shown = low(shown);
        let lowest = |symbol: u8| u64::from(symbol) & shown;
        let fits = |start: &u64| {
            let mut state = lowest(symbols[0]) << shift | start;
            symbols[1..].iter().all(|&symbol| {
                state = state.wrapping_mul(a).wrapping_add(c) & mask;
                state >> shift == lowest(symbol)
            })
        };
        (0..all).filter(fits).collect()
    }
}

/// The first state that shows `known`, one symbol a step.
///
/// Here the search spends its time: the second symbol rules nearly all states out. The first is
/// true of nearly all of them, so it is asked last.
#[inline]
fn first_fit(
    starts: impl Iterator<Item = impl Iterator<Item = u64>>,
    known: &[u8],
    step: impl Fn(u64) -> u64,
    shown: impl Fn(u64) -> u32,
) -> Option<u64> {
    let (&first, after) = known.split_first()?;
    let (&second, rest) = after.split_first()?;
    for starts in starts {
        for start in starts {
            let mut state = step(start);
            if shown(state) != u32::from(second) {
                continue;
            }
            let follows = rest.iter().all(|&symbol| {
                state = step(state);
                shown(state) == u32::from(symbol)
            });
            if follows && shown(start) == u32::from(first) {
                return Some(start);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::search::Recipe;
    use super::*;

    fn check(name: &str, map: Map, k: usize) {
        let source = SOURCES
            .iter()
            .position(|source| source.name == name)
            .unwrap();
        let recipe = Recipe {
            source: source as u16,
            map,
            skip: 3,
            order: 0,
            reversed: false,
        };
        let mut stream = recipe.start(2_718_281_828);
        let mut symbols = vec![0; 64];
        assert!(recipe.draw(k, &mut stream, &mut symbols));
        let machine = machines(k)
            .find(|it| it.source == source && it.map == map)
            .unwrap();
        let mut state = machine.solve(&symbols[..48], 24, &mut (1 << 29)).unwrap();
        for &symbol in &symbols {
            assert_eq!(machine.symbol(state), Some(symbol), "{name}");
            state = machine.step(state);
        }
    }

    #[test]
    fn states_are_found_without_a_seed() {
        check("C library rand() (ANSI, 15 bits)", Map::Mod, 36);
        check("Microsoft C rand()", Map::Mod, 62);
        check("Delphi Random", Map::Scale, 62);
        check("Park-Miller generator (16807)", Map::Mod, 57);
        check("Java Random.nextInt(bound)", Map::Mod, 36);
    }
}
