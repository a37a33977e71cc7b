//! Lists made from seeds by schemes of every kind, and clean ones.

mod lists;
mod schemes;

use super::super::super::{Cells, Column, List, audit};
use super::DETECTORS;
use crate::Clause;
use crate::list::report::{Class, Finding, Severity};
use crate::list::table::Table;
use lists::{Row, SplitMix, filled, list, rows};
use schemes::{CLEAN, HASHED, VERBATIM};

fn look(table: &Table<'_>) -> Vec<Finding> {
    let looks = DETECTORS.iter().map(|detector| detector.look);
    looks.flat_map(|look| look(table)).collect()
}

/// The one finding that says `expected`; what was said otherwise when there is none.
#[track_caller]
fn check(list: &List, class: Class, clause: Clause, expected: &str) -> Finding {
    let found: Vec<Finding> = look(&Table::whole(list));
    let said: Vec<&str> = found.iter().map(|found| found.evidence.as_str()).collect();
    let said = said.join("\n");
    let finding = found
        .into_iter()
        .find(|finding| finding.evidence.contains(expected));
    let Some(finding) = finding else {
        panic!("expected: {expected}\nsaid: {said}");
    };
    assert_eq!(finding.severity, Severity::Refused, "{expected}");
    assert_eq!(
        (finding.class, finding.clause),
        (class, clause),
        "{expected}"
    );
    assert!(finding.chance_log10 < -9.0, "{finding:?}");
    assert!(finding.examples.iter().all(|row| *row < list.len()));
    finding
}

fn clause_of(expected: &str) -> Clause {
    match expected.contains("SSID") {
        true => Clause::Public,
        false => Clause::Identifier,
    }
}

#[test]
fn identifiers_are_seen_however_they_are_written() {
    for (seed, (expected, scheme)) in VERBATIM.iter().enumerate() {
        let list = list(seed as u64, 100, 100, scheme);
        check(&list, Class::Verbatim, clause_of(expected), expected);
    }
}

#[test]
fn hashes_are_seen_however_they_are_spelt() {
    for (seed, (expected, scheme)) in HASHED.iter().enumerate() {
        let list = list(seed as u64, 30, 100, scheme);
        check(&list, Class::Hash, clause_of(expected), expected);
    }
}

#[test]
fn one_row_in_ten_is_enough() {
    for (expected, scheme) in [VERBATIM[1], HASHED[0], HASHED[3]] {
        let list = list(12, 400, 10, scheme);
        let class = if expected.contains(" of SHA") || expected.contains(" of MD5") {
            Class::Hash
        } else {
            Class::Verbatim
        };
        let found = check(
            &list,
            class,
            Clause::Identifier,
            &format!("{expected}, in 40 of 400"),
        );
        assert_eq!(found.rows, 40);
    }
}

/// One record is refused when it explains some 50 bits, and is let go when it explains 30.
#[test]
fn one_record_is_enough_when_it_says_much() {
    let (expected, scheme) = HASHED[3];
    check(
        &list(3, 1, 100, scheme),
        Class::Hash,
        Clause::Identifier,
        expected,
    );
    let (expected, scheme) = VERBATIM[3];
    check(
        &list(3, 1, 100, scheme),
        Class::Verbatim,
        Clause::Identifier,
        expected,
    );
    let short = list(3, 1, 100, HASHED[0].1);
    assert!(look(&Table::whole(&short)).is_empty());
}

#[test]
fn columns_that_slipped_by_a_row_are_seen() {
    for (expected, scheme) in [VERBATIM[0], HASHED[3]] {
        let mut random = SplitMix(31);
        let rows = rows(40, &mut random);
        let mut passwords: Vec<String> = rows.iter().map(|row| scheme(row, &mut random)).collect();
        passwords.rotate_right(1);
        let list = filled(&rows, passwords.iter().map(String::as_str), &Column::ALL);
        let class = if expected == VERBATIM[0].0 {
            Class::Verbatim
        } else {
            Class::Hash
        };
        let said = format!("{expected}, of the row above, in 39 of 40 rows");
        check(&list, class, Clause::Identifier, &said);
    }
}

#[test]
fn columns_may_be_missing_and_cells_empty() {
    let mut random = SplitMix(8);
    let mut rows = rows(60, &mut random);
    let passwords: Vec<String> = rows
        .iter()
        .map(|row| HASHED[1].1(row, &mut random))
        .collect();
    for row in rows.iter_mut().step_by(3) {
        row.serial.clear();
    }
    let passwords = || passwords.iter().map(String::as_str);
    let list = filled(
        &rows,
        passwords(),
        &[Column::Mac, Column::Serial, Column::Password],
    );
    check(&list, Class::Hash, Clause::Identifier, HASHED[1].0);
    let list = filled(&rows, passwords(), &[Column::Serial, Column::Password]);
    assert!(
        look(&Table::whole(&list)).is_empty(),
        "the address is not known"
    );
    assert!(look(&Table::whole(&List::new(&[]))).is_empty());
}

/// The date and the network name are public; an identifier is more than that.
#[test]
fn what_is_public_has_its_own_limb() {
    let dated = |row: &Row, random: &mut SplitMix| {
        let date: String = row.date.chars().filter(char::is_ascii_digit).collect();
        format!("{date}{}", random.text(b"0123456789", 2))
    };
    let list = list(4, 200, 100, dated);
    check(
        &list,
        Class::Verbatim,
        Clause::Public,
        "first 8 symbols of the password = date",
    );
}

#[test]
fn two_schemes_are_both_named() {
    let mixed = |row: &Row, random: &mut SplitMix| match row.number % 10 {
        0 => HASHED[0].1(row, random),
        _ => row.mac()[4..].to_lowercase(),
    };
    let list = list(5, 300, 100, mixed);
    check(
        &list,
        Class::Verbatim,
        Clause::Identifier,
        "password = last 8 of MAC, in 270 of 300",
    );
    check(
        &list,
        Class::Hash,
        Clause::Identifier,
        "first 8 of MD5 of serial in hexadecimal, in 30 of 300",
    );
}

#[test]
fn clean_lists_are_left_alone() {
    for (seed, (name, scheme)) in CLEAN.iter().enumerate() {
        for count in [1, 40] {
            let list = list(seed as u64 * 100 + count as u64, count, 100, scheme);
            let mut found = look(&Table::whole(&list));
            found.retain(|found| found.severity == Severity::Refused);
            assert!(found.is_empty(), "{name}: {found:?}");
        }
    }
}

/// A list to audit may hold anything.
#[test]
fn nothing_that_arrives_makes_it_fall_over() {
    let mut random = SplitMix(77);
    for _ in 0..8 {
        let mut list = List::new(&Column::ALL);
        for _ in 0..random.below(12) {
            let cells: Vec<Vec<u8>> = (0..Column::ALL.len())
                .map(|_| {
                    let length = random.below(300) * random.below(2);
                    (0..length).map(|_| random.next() as u8).collect()
                })
                .collect();
            let row: Vec<(Column, &[u8])> = Column::ALL
                .iter()
                .zip(&cells)
                .map(|(column, cell)| (*column, cell.as_slice()))
                .collect();
            list.push(&row);
        }
        let found = look(&Table::whole(&list));
        assert!(found.is_empty(), "{found:?}");
    }
    let all = Cells::from_iter([b"ff".repeat(200).as_slice(), b"\xff", b""]);
    let mut list = List::new(&Column::ALL);
    for at in 0..all.len() {
        let row = Column::ALL.map(|column| (column, all.get(at)));
        list.push(&row);
    }
    let every: Vec<u8> = (0..=255).collect();
    for piece in every.chunks(64) {
        list.push(&Column::ALL.map(|column| (column, piece)));
    }
    let _ = look(&Table::whole(&list));
}

#[test]
fn shuffling_takes_every_finding_away() {
    for (_, scheme) in [VERBATIM[0], VERBATIM[3], HASHED[3]] {
        let list = list(6, 200, 100, scheme);
        let order: Vec<u32> = (0..200).map(|row| (row * 7 + 13) % 200).collect();
        let found = look(&Table::whole(&list).with_order(&order));
        assert!(found.is_empty(), "{found:?}");
    }
}

/// The controls, random and shuffled, are silent: nothing is withdrawn.
#[test]
fn an_audit_keeps_what_was_found() {
    for (count, (expected, scheme)) in [(1, VERBATIM[3]), (12, VERBATIM[3]), (150, VERBATIM[1])] {
        let list = list(9, count, 100, scheme);
        let mut random = SplitMix(90);
        let mut fill = |bytes: &mut [u8]| bytes.fill_with(|| random.next() as u8);
        let report = audit(&list, 0, &mut fill, 2, &|_| {});
        assert_eq!(report.verdict(), Some(Severity::Refused), "{report:?}");
        let said = |finding: &Finding| finding.evidence.contains(expected);
        assert!(report.findings.iter().any(said), "{report:?}");
        assert!(report.withdrawn.is_empty(), "{report:?}");
    }
}

/// A part that follows the model follows any hash of it as well, in half of the rows, once.
#[test]
fn what_follows_the_model_is_no_hash_of_it() {
    let marked = |row: &Row, random: &mut SplitMix| {
        format!("{}{}", &row.model[..5], random.text(b"0123456789ABCDEF", 8))
    };
    let found = look(&Table::whole(&list(21, 400, 100, marked)));
    let hashed = found.iter().find(|found| found.class == Class::Hash);
    assert!(hashed.is_none(), "{hashed:?}");
}
