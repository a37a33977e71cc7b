//! One seed, one password: the recipe is found on a sample of rows and held against all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use zeroize::Zeroizing;

use super::chance;
use super::field::{Field, ORDERS_MAX};
use super::rows::{Sequence, distinct, sample, sequences};
use super::search::{Hit, Met, Recipe, search};
use super::seed::{DAY, Rule, days};
use super::{CLOCK, FEW, UNIT};
use crate::Clause;
use crate::list::report::{Class, Finding, Severity};
use crate::list::table::Table;

/// A finding must be rarer than this on random passwords.
pub(super) const RARE_LOG10: f64 = -9.5;

/// Where so many rows are met by some seed anyway, a search has nothing to say.
const SATURATED_LOG10: f64 = -0.5;

/// Rows of a sample.
const SAMPLE: usize = 256;

/// Seeds that are all tried: a 16-bit number, a process id.
const SMALL: u64 = 1 << 16;

/// Sizes of alphabets for which they are.
const SIZES: usize = 3;

/// Seconds before midnight UTC of a day, and in all, that some clock on earth calls that day.
const AHEAD: u64 = 14 * 3600;
const WINDOW: u64 = DAY + 2 * AHEAD;

/// Rows of a day that the seconds tried are to meet; with more rows in it, fewer seconds do.
const MET: usize = 16;

/// The least share of a day's seconds that is tried is one in so many.
const THINNED_MAX: usize = 16;

/// Days whose rows are held against a recipe that was found.
const CONFIRMED_DAYS: usize = 24;

/// Seeds of all rows that a recipe is run on.
const CONFIRMED_ROWS: usize = 1_000_000;

/// Passwords that must follow one another out of one stream, besides the rare chance.
const FOLLOWED: usize = 2;

/// Every seed of 16 bits.
pub(super) fn small(table: &Table<'_>) -> Vec<Finding> {
    let Some(field) = Field::of(table) else {
        return vec![];
    };
    let seeds: Vec<u64> = (0..SMALL).collect();
    let small = (SMALL as f64).log10();
    let sequences = sequences(&field);
    let mut rows = sample(&field, SAMPLE);
    // A short password is met by some seed anyway: only a stream from its first row can show.
    if small + of_password(&field) > SATURATED_LOG10 {
        rows.clear();
    }
    let sampled = rows.len();
    rows.extend(sequences.iter().map(|sequence| sequence.rows[0]));
    rows.sort_unstable();
    rows.dedup();
    let rows = distinct(&field, rows);
    let met = search(&field, &rows, &seeds, SIZES, &|_, _| true);
    let describe = |recipe: &Recipe, rows: usize| {
        format!(
            "{}, seeded by a number under {SMALL}, in {rows} of",
            recipe.name()
        )
    };
    let mut found = vec![];
    if sampled > 0
        && let Some((recipe, chance)) =
            best(&field, &met, rows.len(), small, |hit| (hit.recipe, 0.0))
    {
        let hits = met_by(&field, &recipe, &seeds, &field.rows);
        found.push(finding(
            FEW,
            &field,
            Clause::Guessable,
            &hits,
            chance,
            describe(&recipe, hits.len()),
        ));
    }
    if found.is_empty() {
        found.extend(followed(
            &field,
            &sequences,
            &met,
            &seeds,
            "a number under 65536",
        ));
    }
    found
}

/// Seeds read off the unit itself, or off its neighbour.
pub(super) fn identified(table: &Table<'_>) -> Vec<Finding> {
    let Some(field) = Field::of(table) else {
        return vec![];
    };
    let rules = Rule::all(table);
    let rows = sample(&field, SAMPLE);
    let (mut seeds, mut whose) = (vec![], vec![]);
    for &row in &rows {
        for (number, rule) in rules.iter().enumerate() {
            if let Some(seed) = rule.seed(table, row) {
                seeds.push(seed);
                whose.push((number, row));
            }
        }
    }
    let met = search(&field, &rows, &seeds, ORDERS_MAX, &|seed, row| {
        whose[seed].1.abs_diff(row) <= 1
    });
    let by = |hit: &Hit| {
        let (rule, row) = whose[hit.seed as usize];
        let shift = row as i64 - i64::from(hit.row);
        let ways = rules.len() as f64 * if shift == 0 { 1.25 } else { 10.0 };
        ((hit.recipe, rule, shift), ways.log10())
    };
    let Some(((recipe, rule, shift), chance)) = best(&field, &met, rows.len(), 0.0, by) else {
        return vec![];
    };
    let hits = met_by_rule(&field, &recipe, rules[rule], shift);
    let neighbour = match shift {
        0 => "",
        1 => " of the next row",
        _ => " of the row before",
    };
    let name = recipe.name();
    let seed = rules[rule].name();
    let evidence = format!("{name}, seeded by {seed}{neighbour}, in {} of", hits.len());
    vec![finding(
        UNIT,
        &field,
        rules[rule].clause(),
        &hits,
        chance,
        evidence,
    )]
}

/// Seconds of the day most units were made on, in any time zone: all of them when the day has few
/// units, down to one in [`THINNED_MAX`] when each is likely to be met anyway.
pub(super) fn dated(table: &Table<'_>) -> Vec<Finding> {
    let Some(field) = Field::of(table) else {
        return vec![];
    };
    if !table.has(crate::list::Column::Date) {
        return vec![];
    }
    let mut by_day: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for &row in &field.rows {
        for day in days(table.cell(crate::list::Column::Date, row)) {
            by_day.entry(day).or_default().push(row);
        }
    }
    let mut busiest: Vec<(&u64, &Vec<usize>)> = by_day.iter().collect();
    busiest.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
    let each = (WINDOW as f64).log10() + of_password(&field);
    if each > SATURATED_LOG10 {
        return vec![];
    }
    let Some(&(&day, rows)) = busiest.first() else {
        return vec![];
    };
    let step = rows.len().div_ceil(SAMPLE);
    let picked: Vec<usize> = rows.iter().copied().step_by(step).collect();
    let picked = distinct(&field, picked);
    let thinned = (picked.len() / MET).clamp(1, THINNED_MAX) as u64;
    // Not every so manieth second: units may leave the line at that takt.
    let tried =
        |second: &u64| (second.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).is_multiple_of(thinned);
    let seeds: Vec<u64> = seconds(day).into_iter().filter(tried).collect();
    let met = search(&field, &picked, &seeds, 1, &|_, _| true);
    let ways = (seeds.len() as f64).log10();
    let Some((recipe, chance)) = best(&field, &met, picked.len(), ways, |hit| (hit.recipe, 0.0))
    else {
        return vec![];
    };
    let mut hits = vec![];
    for &(&day, rows) in busiest.iter().take(CONFIRMED_DAYS) {
        hits.extend(met_by(&field, &recipe, &seconds(day), rows));
    }
    hits.sort_unstable();
    hits.dedup();
    let name = recipe.name();
    let evidence = format!(
        "{name}, seeded by a second of its date, in {} of",
        hits.len()
    );
    vec![finding(
        CLOCK,
        &field,
        Clause::Public,
        &hits,
        chance,
        evidence,
    )]
}

fn seconds(day: u64) -> Vec<u64> {
    let start = (day * DAY).saturating_sub(AHEAD);
    (start..start + WINDOW).collect()
}

fn of_password(field: &Field<'_>) -> f64 {
    let smallest = field.orders.iter().map(|order| order.k).min().unwrap_or(1);
    chance::of_password(field.length(), smallest)
}

/// The recipe, or whatever hits are grouped by, that random passwords would show least; with its
/// chance, when that is rare enough. `each` is log10 of the seeds a row has, `by` also gives log10
/// of the ways that are not the recipe's own.
fn best<K: Copy + Eq + std::hash::Hash>(
    field: &Field<'_>,
    met: &Met,
    rows: usize,
    seeds_log10: f64,
    by: impl Fn(&Hit) -> (K, f64),
) -> Option<(K, f64)> {
    let mut groups: Vec<(K, f64, Recipe, BTreeSet<u32>)> = vec![];
    let mut places = HashMap::new();
    for hit in &met.hits {
        let (key, ways) = by(hit);
        let place = *places.entry((key, hit.recipe)).or_insert(groups.len());
        if place == groups.len() {
            groups.push((key, ways, hit.recipe, BTreeSet::new()));
        }
        groups[place].3.insert(hit.row);
    }
    let chances = groups.iter().map(|(key, ways, recipe, hit)| {
        let k = field.orders[usize::from(recipe.order)].k;
        let each = seeds_log10 + chance::of_password(field.length(), k);
        let ways = ways + recipe.ways_log10(met.pairs);
        (*key, ways + chance::at_least(hit.len(), rows, each))
    });
    // The first of equals: the catalogue has the common generators first.
    let found = chances.reduce(|best, other| if other.1 < best.1 { other } else { best });
    found.filter(|(_, chance)| *chance < RARE_LOG10)
}

/// Rows among `rows` whose password the recipe makes of one of the seeds.
fn met_by(field: &Field<'_>, recipe: &Recipe, seeds: &[u64], rows: &[usize]) -> Vec<usize> {
    let order = &field.orders[usize::from(recipe.order)];
    let hash = |symbols: &mut dyn Iterator<Item = u8>| {
        symbols.fold(0xcbf2_9ce4_8422_2325u64, |hash, symbol| {
            (hash ^ u64::from(symbol))
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(29)
        })
    };
    let mut wanted: Vec<(u64, usize)> = rows
        .iter()
        .map(|&row| (hash(&mut field.values(row, order)), row))
        .collect();
    wanted.sort_unstable();
    let mut hits = vec![];
    let mut stream = recipe.start(0);
    let mut symbols = Zeroizing::new(vec![0; field.length()]);
    for &seed in seeds {
        recipe.restart(&mut stream, seed);
        if !recipe.draw(order.k, &mut stream, &mut symbols) {
            continue;
        }
        let code = hash(&mut symbols.iter().copied());
        let first = wanted.partition_point(|&(other, _)| other < code);
        let same = wanted[first..]
            .iter()
            .take_while(|(other, _)| *other == code);
        hits.extend(same.map(|&(_, row)| row));
    }
    hits.sort_unstable();
    hits.dedup();
    hits
}

/// Rows whose password the recipe makes of their own seed, or their neighbour's.
fn met_by_rule(field: &Field<'_>, recipe: &Recipe, rule: Rule, shift: i64) -> Vec<usize> {
    let order = &field.orders[usize::from(recipe.order)];
    let table = field.table();
    let mut stream = recipe.start(0);
    let mut symbols = Zeroizing::new(vec![0; field.length()]);
    let mut hits = vec![];
    for &row in field.rows.iter().take(CONFIRMED_ROWS) {
        let from = row as i64 + shift;
        let Some(from) = usize::try_from(from)
            .ok()
            .filter(|&from| from < table.len())
        else {
            continue;
        };
        let Some(seed) = rule.seed(table, from) else {
            continue;
        };
        recipe.restart(&mut stream, seed);
        if recipe.draw(order.k, &mut stream, &mut symbols)
            && field.values(row, order).eq(symbols.iter().copied())
        {
            hits.push(row);
        }
    }
    hits
}

/// A seed that gives the first row of a sequence, and then the rows after it.
pub(super) fn followed(
    field: &Field<'_>,
    sequences: &[Sequence],
    met: &Met,
    seeds: &[u64],
    seed: &str,
) -> Option<Finding> {
    let ways = ((seeds.len() * sequences.len()) as f64).log10();
    for hit in &met.hits {
        let order = &field.orders[usize::from(hit.recipe.order)];
        let each = chance::of_password(field.length(), order.k);
        for sequence in sequences.iter().filter(|it| it.rows[0] == hit.row as usize) {
            let mut stream = hit.recipe.start(seeds[hit.seed as usize]);
            let mut symbols = Zeroizing::new(vec![0; field.length()]);
            let follows = sequence.rows.iter().take_while(|&&row| {
                hit.recipe.draw(order.k, &mut stream, &mut symbols)
                    && field.values(row, order).eq(symbols.iter().copied())
            });
            let count = follows.count();
            let chance = ways + hit.recipe.ways_log10(met.pairs) + each * count as f64;
            if chance < RARE_LOG10 && count >= FOLLOWED.min(sequence.rows.len()) {
                let evidence = format!(
                    "one stream of {}, seeded once by {seed}, {}, in {count} of",
                    hit.recipe.name(),
                    sequence.name
                );
                let rows = &sequence.rows[..count];
                return Some(finding(
                    FEW,
                    field,
                    Clause::Guessable,
                    rows,
                    chance,
                    evidence,
                ));
            }
        }
    }
    None
}

/// Puts it in words; `evidence` ends before the number of all rows.
pub(super) fn finding(
    detector: &'static str,
    field: &Field<'_>,
    clause: Clause,
    rows: &[usize],
    chance_log10: f64,
    evidence: String,
) -> Finding {
    let table = field.table();
    Finding {
        severity: Severity::Refused,
        class: Class::Generator,
        detector,
        clause,
        rows: rows.len(),
        examples: rows.iter().take(5).map(|&row| table.number(row)).collect(),
        evidence: format!("password = {evidence} {} rows", table.len()),
        chance_log10,
    }
}
