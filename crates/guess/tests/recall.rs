//! How many weak lists the list door refuses, and that it refuses no clean one: a small fixed part
//! of the corpus. The example `recall` runs as much of it as is wanted.

#[allow(dead_code, reason = "the example prints more than this test asserts")]
mod corpus;

use corpus::clean::clean;
use corpus::judge::{Outcome, accusing, each, judge};
use corpus::lists::{Variant, weak};
use corpus::weak::{Scheme, schemes};

/// Of the weak lists of a class with 300 units, how many in a hundred must be refused: what all
/// schemes give (100, 100, 86, 100, 92, 88), less what one list in a class weighs here.
const RECALL: &[(char, usize)] = &[
    ('A', 90),
    ('B', 90),
    ('C', 60),
    ('D', 90),
    ('E', 60),
    ('F', 50),
];

/// Of the schemes, one in so many is tried; the example tries all.
const EVERY: usize = 6;

/// Units in a weak list.
const UNITS: usize = 300;

/// Clean lists, and rows in the longest of them.
const CLEAN: usize = 16;
const CLEAN_ROWS: usize = 1_000;

/// Of the clean lists that a seed gives.
const SEED: u64 = 2_023;

const THREADS: usize = 2;

#[test]
fn weak_lists_are_refused() {
    let schemes: Vec<&Scheme> = schemes()
        .filter(|scheme| scheme.seeable)
        .step_by(EVERY)
        .collect();
    let outcomes = each(schemes.len(), THREADS, |at| {
        let order = [Variant::Sequential, Variant::Shuffled][at % 2];
        let list = weak(schemes[at], UNITS, order, SEED);
        Outcome::of(&judge(&list, SEED), schemes[at].classes)
    });
    for &(class, least) in RECALL {
        let of_class = || {
            schemes
                .iter()
                .zip(&outcomes)
                .filter(|(it, _)| it.class() == class)
        };
        let missed: Vec<&str> = of_class()
            .filter(|(_, outcome)| !outcome.is_refused())
            .map(|(scheme, _)| scheme.id)
            .collect();
        let lists = of_class().count();
        let refused = (lists - missed.len()) * 100 / lists;
        assert!(lists > 0 && least > 0, "class {class} is not looked at");
        assert!(
            refused >= least,
            "class {class}: {refused} % of {lists} lists refused, not {least} %; left: {missed:?}"
        );
    }
}

#[test]
fn no_clean_list_is_refused() {
    let accused = each(CLEAN, THREADS, |at| {
        let (name, _, list) = clean(Some(SEED), at, CLEAN_ROWS);
        let report = judge(&list, at as u64);
        accusing(&report.findings)
            .map(|it| format!("{name}: {} says {}", it.detector, it.evidence))
            .collect::<Vec<_>>()
    })
    .concat();
    assert!(accused.is_empty(), "{accused:#?}");
}
