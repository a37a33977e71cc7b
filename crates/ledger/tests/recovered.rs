//! A log that lost its end says so for ever, and takes back only what its own key had signed.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use ledger::Refused;
use line::lease::*;
use line::*;
use tlog::{Checkpoint, CheckpointSigner, EntryProof};
use traveler::{
    Attempt, Blocked, Entry, Event, LogRecovered, LostCheckpoint, OperatorId, Recovered, State,
    VoidCause,
};

/// Entries of [`Line::new`].
const KEPT: u64 = 7;

/// What a station keeps of its entries, in their order.
fn kept_by_a_station(lost: &Line, from: u64) -> Vec<Recovered> {
    let reader = lost.ledger.reader().unwrap();
    let size = reader.size().unwrap();
    (from..size)
        .map(|seq| {
            let proof = reader.proof(seq).unwrap().unwrap();
            Recovered {
                entry: Box::new(Entry::from_bytes(&proof.entry).unwrap()),
                proof: EntryProof {
                    index: seq,
                    hashes: proof.inclusion,
                    checkpoint: proof.checkpoint,
                }
                .to_string(),
                from: station("bench-1"),
            }
        })
        .collect()
}

fn newest(line: &Line) -> Checkpoint {
    let reader = line.ledger.reader().unwrap();
    let size = reader.size().unwrap();
    Checkpoint {
        origin: ORIGIN.into(),
        size,
        root: reader.root_at(size).unwrap().unwrap(),
    }
}

fn recovery(lost: &Line) -> LogRecovered {
    let seen = newest(lost);
    LogRecovered {
        restored: KEPT,
        kept: KEPT,
        remembered: seen.size,
        lost: seen.size - KEPT,
        token_mark: Some(seen.size),
        checkpoints: vec![LostCheckpoint {
            size: seen.size,
            root: traveler::Digest(seen.root),
            by: "station bench-1".into(),
        }],
        journals: vec![],
        statement: "so many entries are lost".into(),
        by: vec!["B-7".into(), "B-8".into()],
    }
}

fn again(recovered: &Recovered) -> Event {
    Event::Recovered(Box::new(recovered.clone()))
}

#[track_caller]
fn unproven(line: &mut Line, recovered: &Recovered, says: &str) {
    match line.try_one(again(recovered)) {
        Err(Refused::Unproven { why, .. }) => assert!(why.contains(says), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// The log as it was, with units that the copy knows nothing of; and the copy.
fn lost_and_restored() -> (Line, Line) {
    let mut lost = Line::new();
    lost.seal("BM-1");
    lost.ok(issue("BM-2", 1));
    lost.ok(loaded("BM-2", 1));
    (lost, Line::new())
}

/// A number between may stay lost: those behind it still rise.
#[test]
fn a_reprint_comes_back_with_its_number() {
    let reprinted = |reprint| {
        let mut step = step("BM-1", 1);
        step.operator = Some(OperatorId::parse("OP-7").unwrap());
        let reason = "torn".to_owned();
        Event::Reprinted {
            step,
            reprint,
            reason,
        }
    };
    let (mut lost, mut line) = (Line::new(), Line::new());
    lost.ok(issue("BM-1", 1));
    lost.ok(loaded("BM-1", 1));
    lost.ok(reprinted(1));
    lost.ok(reprinted(2));
    let kept = kept_by_a_station(&lost, KEPT);
    line.ok(Event::LogRecovered(Box::new(recovery(&lost))));
    for nth in [0, 1, 3] {
        line.ok(again(&kept[nth]));
    }
    let number = Refused::ReprintNumber {
        serial: serial("BM-1"),
        newest: 2,
        given: 1,
    };
    assert_eq!(line.try_one(again(&kept[2])), Err(number));
    line.ok(reprinted(3));
    line.ok(sealed_by("BM-1", 1, 3));
    line.check();
}

/// The seal comes back when the reprint that it is by does not, but never by a label that was void.
#[test]
fn a_seal_comes_back_with_the_number_of_its_label() {
    let reprinted = |reprint| {
        let mut step = step("BM-1", 1);
        step.operator = Some(OperatorId::parse("OP-7").unwrap());
        let reason = "torn".to_owned();
        Event::Reprinted {
            step,
            reprint,
            reason,
        }
    };
    for (here, comes_back) in [(None, true), (Some(1), true), (Some(2), false)] {
        let (mut lost, mut line) = (Line::new(), Line::new());
        lost.ok(issue("BM-1", 1));
        lost.ok(loaded("BM-1", 1));
        lost.ok(reprinted(1));
        lost.ok(sealed_by("BM-1", 1, 1));
        let kept = kept_by_a_station(&lost, KEPT);
        line.ok(Event::LogRecovered(Box::new(recovery(&lost))));
        line.ok(again(&kept[0]));
        line.ok(again(&kept[1]));
        if let Some(number) = here {
            line.ok(reprinted(number));
        }
        assert_eq!(line.try_one(again(&kept[3])).is_ok(), comes_back);
        line.check();
    }
}

#[test]
fn units_come_back_by_their_proofs_and_by_nothing_else() {
    let (lost, mut line) = lost_and_restored();
    let kept = kept_by_a_station(&lost, KEPT);
    unproven(&mut line, &kept[0], "nothing was lost");
    let seen = newest(&lost);
    line.ok(Event::LogRecovered(Box::new(recovery(&lost))));

    let mut forged = kept[0].clone();
    if let Event::Issued(issued) = &mut forged.entry.event {
        issued.step.serial = serial("BM-9");
    }
    unproven(&mut line, &forged, "another root");
    let mut elsewhere = kept[0].clone();
    elsewhere.proof = kept[1].proof.clone();
    unproven(&mut line, &elsewhere, "");
    let mut foreign = kept[0].clone();
    foreign.proof = foreign.proof.replace('A', "B");
    assert!(line.try_one(again(&foreign)).is_err());
    unproven(
        &mut line,
        &kept_by_a_station(&lost, KEPT - 1)[0],
        "has kept",
    );
    // A load without its issue is no unit.
    assert!(matches!(
        line.try_one(again(&kept[1])),
        Err(Refused::UnknownUnit(_))
    ));

    for one in &kept {
        line.ok(again(one));
    }
    let reader = line.ledger.reader().unwrap();
    let state = |unit| reader.unit(&serial(unit)).unwrap().unwrap().state;
    assert_eq!(
        (state("BM-1"), state("BM-2")),
        (State::Sealed, State::Loaded)
    );
    assert_eq!(reader.traveler(&serial("BM-1")).unwrap().len(), 3);
    let order = reader.order(&order("WO-1")).unwrap().unwrap();
    assert_eq!((order.sealed, order.open, order.not_started), (1, 1, 8));

    // It is one unit, with its password, its silicon and its place; and the line goes on.
    assert!(matches!(
        line.try_one(again(&kept[0])),
        Err(Refused::SerialInUse { .. })
    ));
    let same_password = issue_with("BM-3", 1, |issued| {
        issued.fingerprint = issue_of(step("BM-1", 1)).fingerprint;
    });
    assert_eq!(line.try_one(same_password), Err(Refused::FingerprintUsed));
    line.ok(sealed("BM-2", 1));
    line.seal("BM-4");

    let report = line.verify();
    assert_eq!((report.findings.len(), report.recoveries.len()), (0, 1));
    assert_eq!(report.recoveries[0].0, KEPT);
    let (seq, said) = reader.recovery_of(&seen).unwrap().unwrap();
    assert!(seq == KEPT && said.names(seen.size, &seen.root));
    let now = newest(&line);
    assert!(!said.names(now.size, &now.root));
}

#[test]
fn a_recovery_says_all_that_it_must() {
    type Edit = fn(&mut LogRecovered);
    let (lost, mut line) = lost_and_restored();
    let edits: [(Edit, &str); 7] = [
        (|said| said.by.truncate(1), "two people"),
        (|said| said.by[1] = said.by[0].clone(), "two people"),
        (|said| said.statement = " ".into(), "a reason has"),
        (|said| said.lost -= 1, "do not add up"),
        (|said| said.kept = 99, "more entries than there are"),
        (
            |said| said.token_mark = Some(99),
            "the token remembers more",
        ),
        (|said| said.checkpoints[0].size = 99, "none that was lost"),
    ];
    for (edit, says) in edits {
        let mut said = recovery(&lost);
        edit(&mut said);
        let refused = line.try_one(Event::LogRecovered(Box::new(said)));
        let told = refused.unwrap_err().to_string();
        assert!(told.contains(says), "{told}");
    }
    assert_eq!(line.ledger.reader().unwrap().size().unwrap(), KEPT);
}

#[test]
fn a_later_attempt_proves_that_the_one_before_was_withdrawn() {
    let mut lost = Line::new();
    let mut line = Line::new();
    for line in [&mut lost, &mut line] {
        line.ok(issue("BM-1", 1));
    }
    let record_lost = Event::Voided {
        step: step("BM-1", 1),
        cause: VoidCause::RecordLost,
    };
    assert!(
        line.try_one(record_lost.clone()).is_err(),
        "nothing was lost"
    );
    lost.ok(voided("BM-1", 1));
    lost.ok(issue("BM-1", 2));
    let second = kept_by_a_station(&lost, KEPT + 2).remove(0);
    let said = LogRecovered {
        restored: KEPT + 1,
        kept: KEPT + 1,
        lost: 2,
        ..recovery(&lost)
    };
    line.ok(Event::LogRecovered(Box::new(said)));
    assert!(line.try_one(again(&second)).is_err(), "the first is open");
    line.ok(record_lost);
    line.ok(again(&second));
    let unit = line.ledger.reader().unwrap().unit(&serial("BM-1")).unwrap();
    assert_eq!(unit.unwrap().attempt, Attempt(2));
    line.check();
}

#[test]
fn a_blocked_serial_its_silicon_and_its_password_are_never_issued() {
    let (lost, mut line) = lost_and_restored();
    let blocked = |unit: &str, evidence: Option<Recovered>| {
        Event::SerialBlocked(Box::new(Blocked {
            serial: serial(unit),
            device_id: Some(device(unit)),
            reason: "in no record".into(),
            by: vec!["B-7".into(), "B-8".into()],
            evidence: evidence.map(Box::new),
        }))
    };
    assert!(line.try_one(blocked("BM-7", None)).is_err());
    line.ok(Event::LogRecovered(Box::new(recovery(&lost))));
    let seq = line.ok(blocked("BM-7", None));
    let held = Refused::Blocked {
        serial: serial("BM-7"),
        seq,
    };
    assert_eq!(line.try_one(issue("BM-7", 1)), Err(held.clone()));
    let other_name = issue_with("BM-8", 1, |issued| issued.step.device_id = device("BM-7"));
    assert_eq!(line.try_one(other_name), Err(held));

    let kept = kept_by_a_station(&lost, KEPT);
    assert!(
        line.try_one(blocked("BM-3", Some(kept[0].clone())))
            .is_err()
    );
    line.ok(blocked("BM-1", Some(kept[0].clone())));
    let burnt = issue_with("BM-3", 1, |issued| {
        issued.fingerprint = issue_of(step("BM-1", 1)).fingerprint;
    });
    assert_eq!(line.try_one(burnt), Err(Refused::FingerprintUsed));
    line.seal("BM-3");
    line.check();
    let blocks = line
        .ledger
        .reader()
        .unwrap()
        .blocks(&serial("BM-7"))
        .unwrap();
    assert_eq!(blocks.len(), 1);
}

/// A lease that a station proves is held again, and may be spent; whose void was lost, by a later one.
#[test]
fn leases_come_back_by_their_proofs() {
    let (mut lost, mut line) = (Line::new(), Line::new());
    line.ok(leased("BM-3", 1));
    lost.ok(leased("BM-3", 1));
    let first = lost.ok(leased("BM-1", 1));
    lost.ok(leased("BM-2", 1));
    lost.ok(lease_voided("BM-3", 1, VoidCause::ReplyLost));
    lost.ok(leased("BM-3", 2));
    lost.ok(spent("BM-1", 1));
    lost.ok(lease_voided("BM-2", 1, VoidCause::LeaseReturned));
    let kept = kept_by_a_station(&lost, first);
    let [leased_1, leased_2, _, leased_3, spent_1, voided_2] = &kept[..] else {
        panic!("{kept:?}")
    };
    let none = Refused::Recovery("nothing was lost");
    let record_lost = || lease_voided("BM-3", 1, VoidCause::RecordLost);
    assert_eq!(line.try_one(record_lost()), Err(none));
    line.ok(Event::LogRecovered(Box::new(LogRecovered {
        restored: first,
        kept: first,
        lost: newest(&lost).size - first,
        ..recovery(&lost)
    })));
    line.ok(again(leased_1));
    line.ok(again(leased_2));
    // Whoever altered it does not have the log's word for it.
    let mut forged = leased_2.clone();
    forged.entry.event = lease_voided("BM-1", 1, VoidCause::LeaseReturned);
    unproven(&mut line, &forged, "");
    assert!(matches!(
        line.try_one(again(leased_3)),
        Err(Refused::Leased { .. })
    ));
    line.append(change(vec![record_lost(), again(leased_3)]))
        .unwrap();
    line.ok(again(spent_1));
    line.ok(again(voided_2));
    let reader = line.ledger.reader().unwrap();
    let count = reader.lease_count(&order("WO-1")).unwrap();
    assert_eq!((count.leased, count.returned), (1, 2));
    let unit = reader.unit(&serial("BM-1")).unwrap().unwrap();
    assert_eq!((unit.state, unit.attempt), (State::Issued, Attempt(1)));
    drop(reader);
    // And the line goes on: what was built while nobody heard of it is reported.
    line.ok(loaded("BM-1", 1));
    line.ok(spent("BM-3", 2));
    line.check();
}

/// Of leases that ended before the loss the ends are lost too. What bounds minting does not bind what
/// was minted, or units that are proven would be blocked for want of what nobody can prove.
#[test]
fn leases_whose_ends_are_lost_bind_none_that_came_after() {
    let made = || order_created("WO-2", 600, 0);
    let at_two = |unit: &str| leased_with(unit, 1, |it| it.lease.order = order("WO-2"));
    let names: Vec<String> = (1..=257).map(|number| format!("BM-{number}")).collect();
    let (last, many) = names.split_last().unwrap();
    let (mut lost, mut line) = (Line::new(), Line::new());
    line.ok(made());
    let kept = lost.ok(made()) + 1;
    let leases = many.iter().map(|name| at_two(name));
    lost.append(change(leases.collect())).unwrap();
    let returned = many.iter().map(|name| {
        let mut lease = lease_step(step(name, 1));
        lease.order = order("WO-2");
        let cause = VoidCause::LeaseReturned;
        Event::LeaseVoided { lease, cause }
    });
    lost.append(change(returned.collect())).unwrap();
    lost.ok(at_two(last));
    line.ok(Event::LogRecovered(Box::new(LogRecovered {
        restored: kept,
        kept,
        lost: newest(&lost).size - kept,
        ..recovery(&lost)
    })));
    let leased = |one: &Recovered| matches!(one.entry.event, Event::Leased(_));
    let proven = kept_by_a_station(&lost, kept);
    let again = proven.iter().filter(|one| leased(one)).map(again);
    line.append(change(again.collect())).unwrap();
    let one_more = Refused::LeasesHeld {
        station: station("bench-1"),
        held: 257,
    };
    assert_eq!(
        line.try_one(leased_with("BM-900", 1, |_| {})),
        Err(one_more)
    );
    line.check();
}

/// A unit that was built in time and told of late is none of those that came back, and its report is
/// what may be lost.
#[test]
fn leases_that_came_back_bind_none_that_came_after() {
    let (mut lost, mut line) = (Line::new(), Line::new());
    let over = |line: &mut Line, unit: &str| {
        let events = vec![lease_voided(unit, 1, VoidCause::LeaseExpired)];
        let late = change(events);
        line.append(traveler::Change {
            time: at(LASTS),
            ..late
        })
        .unwrap();
    };
    let names: Vec<String> = (1..=14).map(|number| format!("BM-{number}")).collect();
    for name in &names {
        lost.ok(leased_until(name, LASTS));
        over(&mut lost, name);
    }
    assert!(matches!(
        lost.try_one(leased_until("BM-15", 2 * LASTS)),
        Err(Refused::LeasesReturned { .. })
    ));
    lost.ok(spent("BM-1", 1));
    lost.ok(leased_until("BM-15", 2 * LASTS));
    line.ok(Event::LogRecovered(Box::new(recovery(&lost))));
    for one in kept_by_a_station(&lost, KEPT) {
        let Event::Leased(leased) = &one.entry.event else {
            continue;
        };
        line.ok(again(&one));
        let serial = leased.lease.serial.to_string();
        if serial != "BM-15" {
            over(&mut line, &serial);
        }
    }
    line.check();
}

/// A lost lease that the rules refuse burns its password with the block of its serial.
#[test]
fn a_blocked_lease_burns_its_password() {
    let (mut lost, mut line) = (Line::new(), Line::new());
    lost.ok(leased("BM-1", 1));
    let kept = kept_by_a_station(&lost, KEPT);
    line.ok(Event::LogRecovered(Box::new(recovery(&lost))));
    let block = |unit: &str| {
        Event::SerialBlocked(Box::new(Blocked {
            serial: serial(unit),
            device_id: None,
            reason: "it cannot stand".into(),
            by: vec!["B-7".into(), "B-8".into()],
            evidence: Some(Box::new(kept[0].clone())),
        }))
    };
    let other = Refused::Recovery("the evidence is of another unit");
    assert_eq!(line.try_one(block("BM-2")), Err(other));
    line.ok(block("BM-1"));
    let password = leased_of(step("BM-1", 1)).fingerprint;
    let theft = leased_with("BM-3", 1, |leased| leased.fingerprint = password);
    assert_eq!(line.try_one(theft), Err(Refused::FingerprintUsed));
    let blocked = line.try_one(leased("BM-1", 1)).unwrap_err();
    assert!(matches!(blocked, Refused::Blocked { .. }), "{blocked}");
    line.check();
}

#[test]
fn the_tables_of_a_recovery_are_verified_like_all_others() {
    let (lost, mut line) = lost_and_restored();
    line.ok(Event::LogRecovered(Box::new(recovery(&lost))));
    line.check();
    let db = rusqlite::Connection::open(&line.path).unwrap();
    db.execute("UPDATE recoveries SET remembered = 8", [])
        .unwrap();
    let found = line.verify();
    assert_eq!(found.findings[0].seq, Some(KEPT), "{found:?}");
    db.execute("DELETE FROM recoveries", []).unwrap();
    let found = line.verify();
    assert!(found.findings[0].what.contains("missing"), "{found:?}");
}

#[test]
fn what_any_of_the_logs_keys_signed_comes_back_also_when_another_took_over_since() {
    let [mut lost, mut line] = [Line::new(), Line::new()];
    lost.seal("BM-1");
    let first = kept_by_a_station(&lost, KEPT);
    rotate(&mut lost, 2);
    lost.seal("BM-2");
    let second = kept_by_a_station(&lost, KEPT + 4);
    line.ok(Event::LogRecovered(Box::new(recovery(&lost))));
    // The rotation is lost, and so is what came after it, until the log has that key again.
    unproven(&mut line, &second[0], "none of the trusted keys");
    rotate(&mut line, 3);
    unproven(&mut line, &second[0], "none of the trusted keys");
    for one in &first {
        line.ok(again(one));
    }
    rotate(&mut line, 2);
    for one in &second {
        line.ok(again(one));
    }
    line.seal("BM-3");
    line.check();
    let older = ledger::verify(&line.path, Key::new(1).vkey(), &mut |_, _| {}).unwrap();
    assert!(older.is_clean(), "{older:?}");
}
