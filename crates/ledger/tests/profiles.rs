//! Who vouched for a unit's load, held against what its product says: the unit, or a station that
//! read it back by a device profile.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use ledger::{Audit, Report, export, verify_bundle_with, verify_with};
use line::*;
use tlog::CheckpointSigner;
use traveler::{Digest, Event};

/// An order's definition as the products of these tests have it: who reads back is its second word.
fn profile_of(definition: &str) -> Result<Option<Digest>, String> {
    match definition.split_whitespace().nth(1) {
        Some("unit") => Ok(None),
        Some("station") => Ok(Some(sha256("profile"))),
        _ => Err("no second word".to_owned()),
    }
}

fn loaded_by(unit: &str, order_id: &str, profile_sha256: Option<Digest>) -> Event {
    let mut step = step(unit, 1);
    step.order = order(order_id);
    let Event::Loaded {
        step,
        bundle_sha256,
        receipt_signed,
        ..
    } = loaded_of(step)
    else {
        panic!("another event");
    };
    Event::Loaded {
        step,
        bundle_sha256,
        receipt_signed,
        profile_sha256,
    }
}

/// An order of its own for each kind of product, with one unit that was loaded under `by`.
fn load(line: &mut Line, nth: usize, definition: &str, by: Option<Digest>) -> u64 {
    let (name, unit) = (format!("WO-A{nth}"), format!("A4{nth}"));
    line.ok(product_applied(definition));
    let Event::OrderCreated {
        product,
        quantity,
        allowance,
        by: who,
        ..
    } = order_created(&name, 1, 3)
    else {
        panic!("another event");
    };
    line.ok(Event::OrderCreated {
        order: order(&name),
        product,
        product_sha256: sha256(definition),
        quantity,
        allowance,
        by: who,
    });
    line.ok(issue_with(&unit, 1, |issued| {
        issued.step.order = order(&name);
        issued.product_sha256 = sha256(definition);
    }));
    line.ok(loaded_by(&unit, &name, by))
}

fn both(line: &Line) -> [Report; 2] {
    let audit = Audit {
        profile_of: Some(profile_of),
        ..Audit::default()
    };
    let out = line.folder.path().join("out");
    export(&line.path, line.key.vkey(), &out).unwrap();
    [
        verify_with(&line.path, line.key.vkey(), &audit, &mut |_, _| {}).unwrap(),
        verify_bundle_with(&out, line.key.vkey(), &audit).unwrap(),
    ]
}

#[test]
fn a_load_is_vouched_for_as_its_product_says_or_the_audit_says_so() {
    let mut line = Line::new();
    load(&mut line, 1, "CAM unit", None);
    load(&mut line, 2, "CAM station", Some(sha256("profile")));
    for report in both(&line) {
        assert_eq!(report.findings, []);
    }
    let wrong = [
        (load(&mut line, 3, "CAM station 3", None), "the unit proved"),
        (
            load(&mut line, 4, "CAM station 4", Some(sha256("another"))),
            "and its product's is",
        ),
        (
            load(&mut line, 5, "CAM unit 5", Some(sha256("profile"))),
            "its product has none",
        ),
        (load(&mut line, 6, "CAM", None), "no second word"),
    ];
    for report in both(&line) {
        assert_eq!(report.findings.len(), wrong.len(), "{:?}", report.findings);
        for ((seq, what), finding) in wrong.iter().zip(&report.findings) {
            assert_eq!(finding.seq, Some(*seq), "{finding}");
            assert!(finding.what.contains(what), "{finding}\n  not {what}");
        }
    }
    line.check(); // whoever brings no function does not judge it
}
