//! The append contract, clause by clause, as far as one process can see it.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use std::sync::atomic::Ordering;

use ledger::contract::Store;
use ledger::{Error, Refused};
use line::*;
use tlog::CheckpointSigner;
use traveler::Event;

#[test]
fn the_store_keeps_the_contract() {
    let mut line = Line::new();
    let key = std::sync::Arc::clone(&line.key);
    keeps_it(&mut line.ledger, &key);
    line.check();
}

/// Any store with a product, order WO-1 and two benches.
fn keeps_it(store: &mut dyn Store, key: &Key) {
    let begin = store.reader().unwrap().size().unwrap();
    numbers_in_a_row(store, key, begin);
    taken_for_ever(store, key);
    signed_together_or_later(store, key);
    store.maintain(true).unwrap();
    let size = store.reader().unwrap().size().unwrap();
    for seq in 0..size {
        let proof = store.reader().unwrap().proof(seq).unwrap().unwrap();
        proof.verify(key.vkey()).unwrap();
    }
}

/// Clauses 1, 2, 3 and 5.
fn numbers_in_a_row(store: &mut dyn Store, key: &Key, begin: u64) {
    let batch = [
        change(vec![issue("BM-1", 1), loaded("BM-1", 1)]),
        change(vec![issue("BM-2", 1), loaded("BM-9", 1)]), // its second event is impossible
        change(vec![sealed("BM-1", 1)]),                   // judged behind the first
        change(vec![issue("BM-2", 1)]),                    // nothing is left of the refused one
    ];
    let outcomes = store.append(&batch, key).unwrap();
    let places: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().ok().map(|at| (at.first, at.last)))
        .collect();
    let expected = [
        Some((begin, begin + 1)),
        None,
        Some((begin + 2, begin + 2)),
        Some((begin + 3, begin + 3)),
    ];
    assert_eq!(places, expected);
    assert_eq!(store.reader().unwrap().size().unwrap(), begin + 4);
}

/// Clauses 4 and 7: whatever became of it, and a repeat says where the unit stands.
fn taken_for_ever(store: &mut dyn Store, key: &Key) {
    let mut ask = |event: Event| {
        let mut outcomes = store.append(&[change(vec![event])], key).unwrap();
        outcomes.remove(0)
    };
    ask(voided("BM-2", 1)).unwrap();
    let password = issue_with("BM-3", 1, |issued| {
        issued.fingerprint = issue_of(step("BM-2", 1)).fingerprint;
    });
    assert_eq!(ask(password), Err(Refused::FingerprintUsed));
    let repeated = ask(sealed("BM-1", 1));
    assert!(
        matches!(repeated, Err(Refused::WrongState { .. })),
        "{repeated:?}"
    );
    let repeated = ask(issue("BM-1", 1));
    assert!(
        matches!(repeated, Err(Refused::SerialInUse { .. })),
        "{repeated:?}"
    );
}

/// Clause 6.
fn signed_together_or_later(store: &mut dyn Store, key: &Key) {
    key.away.store(true, Ordering::SeqCst);
    let outcomes = store
        .append(&[change(vec![issue("BM-4", 1)])], key)
        .unwrap();
    let seq = outcomes[0].as_ref().unwrap().last;
    assert_eq!(store.reader().unwrap().proof(seq).unwrap(), None);
    assert!(matches!(store.sign_pending(key), Err(Error::Sign(_))));
    key.away.store(false, Ordering::SeqCst);
    assert!(store.sign_pending(key).unwrap());
    assert!(store.reader().unwrap().proof(seq).unwrap().is_some());
}
