mod clean;
mod lists;
mod schemes;

use super::DETECTORS;
use crate::Clause;
use crate::list::report::Finding;
use crate::list::table::Table;
use crate::list::{Column, List};
use clean::CLEAN;
use lists::{BASE32, DIGITS, HEX, Random, Unit, list, units, written};
use schemes::{COUNTERS, IDENTIFIERS, weak};

const ALL: &[Column] = &[Column::Serial, Column::Mac, Column::Date, Column::Model];

fn look(list: &List) -> Vec<Finding> {
    let table = Table::whole(list);
    let looks = DETECTORS
        .iter()
        .flat_map(|detector| (detector.look)(&table));
    let found: Vec<Finding> = looks.collect();
    for finding in &found {
        assert!(finding.chance_log10 <= -9.0 && finding.rows > 0);
        assert!(
            !finding.examples.is_empty() && finding.examples.iter().all(|&row| row < list.len())
        );
    }
    found
}

/// `expected` is the limb that one of the findings must name; `None` when there must be none.
fn check(what: &str, list: &List, expected: Option<Clause>) {
    let found = look(list);
    match expected {
        None => assert!(found.is_empty(), "{what}: {found:?}"),
        Some(clause) => {
            let named = found.iter().any(|finding| finding.clause == clause);
            assert!(named, "{what}: {clause} not in {found:?}");
        }
    }
}

fn check_schemes(
    schemes: &[(&str, Clause, schemes::Scheme)],
    rows: usize,
    (sparse, shuffled): (bool, bool),
) {
    for (seed, (name, clause, scheme)) in schemes.iter().enumerate() {
        let (units, passwords) = weak(*scheme, seed as u64, rows, (sparse, shuffled));
        check(name, &list(&units, &passwords, ALL), Some(*clause));
    }
}

#[test]
fn counters_are_seen_in_the_order_they_were_made() {
    check_schemes(COUNTERS, 100, (false, false));
}

#[test]
fn counters_are_seen_when_the_file_is_shuffled() {
    check_schemes(COUNTERS, 300, (true, true));
}

#[test]
fn functions_of_identifiers_are_seen() {
    check_schemes(IDENTIFIERS, 1000, (false, false));
}

#[test]
fn functions_of_identifiers_are_seen_in_a_shuffled_sample() {
    check_schemes(IDENTIFIERS, 1000, (true, true));
}

#[test]
fn passwords_drawn_one_by_one_show_nothing() {
    for (seed, (name, make)) in CLEAN.iter().enumerate() {
        for rows in [10, 60, 300] {
            let mut random = Random(seed as u64 * 1000 + rows);
            let units = units(&mut random, rows as usize, seed % 2 == 0);
            let passwords = make(&mut random, &units);
            // A file that somebody sorted by password ties nothing to a unit only without units.
            let columns = if *name == "sorted by password" {
                &[]
            } else {
                ALL
            };
            check(name, &list(&units, &passwords, columns), None);
        }
    }
}

/// A unit listed twice, all made on one day, no serial at all: facts about a file, not passwords.
#[test]
fn what_files_look_like_is_no_finding() {
    let mut random = Random(77);
    let mut units: Vec<Unit> = units(&mut random, 200, false);
    units.iter_mut().for_each(|unit| unit.day = 3);
    let mut passwords: Vec<Vec<u8>> = units.iter().map(|_| random.text(BASE32, 12)).collect();
    check("one day", &list(&units, &passwords, ALL), None);
    check("no identifier", &list(&units, &passwords, &[]), None);
    let again: Vec<Unit> = units[..100].to_vec();
    units.extend(again);
    passwords.extend(passwords[..100].to_vec());
    check("units twice", &list(&units, &passwords, ALL), None);
}

#[test]
fn a_column_with_holes_is_used_where_it_speaks() {
    let mut random = Random(5);
    let units = units(&mut random, 300, true);
    let constant = random.next() >> 16;
    let mut partly = List::new(&[Column::Serial, Column::Mac]);
    for (n, unit) in units.iter().enumerate() {
        let (mac, password) = (
            unit.mac_text(),
            written((unit.mac ^ constant).into(), HEX, 12),
        );
        let mut row: Vec<(Column, &[u8])> = vec![(Column::Password, &password)];
        if n % 3 != 0 {
            row.push((Column::Mac, &mac));
        }
        partly.push(&row);
    }
    check("MAC in 2 rows of 3", &partly, Some(Clause::Identifier));
}

#[test]
fn evidence_names_what_was_seen_and_no_password() {
    let (units, passwords) = weak(COUNTERS[0].2, 9, 50, (false, true));
    let found = look(&list(&units, &passwords, &[Column::Serial]));
    let said = found
        .iter()
        .find(|finding| finding.detector == "steps")
        .map(|f| &f.evidence);
    let said = said.unwrap();
    assert!(said.ends_with("by the serial, in 49 of 49 pairs"), "{said}");
    for finding in &found {
        for password in &passwords {
            let password = std::str::from_utf8(password).unwrap();
            assert!(!finding.evidence.contains(password), "{}", finding.detector);
        }
    }
}

#[test]
fn nothing_in_a_file_makes_a_look_fall_over() {
    let mut random = Random(11);
    for rows in [0, 1, 2, 3, 4, 5, 40] {
        for longest in [1, 2, 9, 70, 300] {
            let mut list = List::new(&Column::ALL);
            for _ in 0..rows {
                let mut cells: Vec<Vec<u8>> = vec![];
                for _ in Column::ALL {
                    let any: Vec<u8> = (0..=255).collect();
                    let length = random.below(longest + 1) as usize;
                    let alphabet = [&any[..], DIGITS, HEX][random.below(3) as usize];
                    cells.push(random.text(alphabet, length));
                }
                let row: Vec<(Column, &[u8])> = Column::ALL
                    .into_iter()
                    .zip(cells.iter().map(Vec::as_slice))
                    .collect();
                list.push(&row);
            }
            look(&list);
        }
    }
}
