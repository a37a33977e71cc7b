//! A log whose server broke the rules of leases, signed like any other: what a stranger's program,
//! `tests/oracle/verify.py`, says to it.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use std::convert::Infallible;
use std::process::Command;

use line::lease::*;
use line::*;
use tlog::{Checkpoint, Hash, leaf_hash, sign_note};
use traveler::VoidCause::{LeaseExpired, LeaseReturned, RecordLost, ReplyLost, UnitLost};
use traveler::{Blocked, Entry, Event, Recovered};

/// An export of these events behind the first entry, with tiles and signature as they must be.
fn exported(events: &[Event]) -> tempfile::TempDir {
    let key = Key::new(1);
    let first = log_opened(&key);
    let entries: Vec<Vec<u8>> = (0..)
        .zip([&first].into_iter().chain(events))
        .map(|(seq, event)| entry(seq, event).to_bytes())
        .collect();
    let hashes: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let size = entries.len() as u64;
    let mut stored = Vec::new();
    for (at, leaf) in (0..).zip(&hashes) {
        let added = tlog::append_hashes(at, *leaf, &mut |at| known(&stored, at));
        stored.extend(added.unwrap());
    }
    let checkpoint = Checkpoint {
        origin: ORIGIN.into(),
        size,
        root: tlog::root(size, &mut |at| known(&stored, at)).unwrap(),
    };
    let out = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = out.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let framed = entries.iter().flat_map(|entry| {
        let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
        [&length, &entry[..]].concat()
    });
    let framed: Vec<u8> = framed.collect();
    write(&format!("tile/entries/000.p/{size}"), &framed);
    write(&format!("tile/0/000.p/{size}"), &hashes.concat());
    let signed = sign_note(&checkpoint.to_text(), key.as_ref()).unwrap();
    write("checkpoint", signed.as_bytes());
    write(
        "vkey",
        tlog::CheckpointSigner::vkey(&*key).to_string().as_bytes(),
    );
    out
}

fn known(stored: &[Hash], at: u64) -> Result<Hash, Infallible> {
    Ok(stored[usize::try_from(at).unwrap()])
}

fn entry(seq: u64, event: &Event) -> Entry {
    Entry {
        seq,
        time: at(0),
        simulated_hsm: true,
        event: event.clone(),
    }
}

/// Judged good, or bad in these words.
#[track_caller]
fn check(events: &[Event], bad: Option<&str>) {
    let out = exported(events);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracle/verify.py");
    let done = Command::new("python3")
        .args([script, "log"])
        .args([out.path().join("vkey"), out.path().to_owned()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let code = done.status.code();
    match bad {
        None => assert_eq!(code, Some(0), "{done:?}"),
        Some(words) => {
            assert_eq!(code, Some(1), "{done:?}");
            assert!(said.starts_with("BAD") && said.contains(words), "{said}");
        }
    }
}

fn again(event: Event) -> Event {
    Event::Recovered(Box::new(Recovered {
        entry: Box::new(entry(70, &event)),
        proof: "its proof".into(),
        from: station("bench-1"),
    }))
}

#[test]
fn a_spent_lease_was_held_by_who_spent_it() {
    let lease = || leased("BM-1", 1);
    let spend = || spent("BM-1", 1);
    check(&[lease(), spend()], None);
    check(
        &[spend()],
        Some("entry 1, spent of BM-1: it was never leased"),
    );
    check(&[lease(), spent("BM-2", 1)], Some("never leased"));
    check(&[lease(), spent("BM-1", 2)], Some("another attempt"));
    let elsewhere = spent_with("BM-1", 1, |step| step.station = station("bench-2"));
    check(&[lease(), elsewhere], Some("another station"));
    let other = spent_with("BM-1", 1, |step| step.order = order("WO-2"));
    check(&[lease(), other], Some("another order"));
    check(&[lease(), spend(), spend()], Some("over: spent"));
    check(&[again(lease()), again(spend())], None);
    check(
        &[again(lease()), spend(), again(spend())],
        Some("over: spent"),
    );
}

#[test]
fn a_voided_lease_is_spent_only_when_it_had_expired() {
    let lease = || leased("BM-1", 1);
    let spend = || spent("BM-1", 1);
    let void = |cause| lease_voided("BM-1", 1, cause);
    check(&[lease(), void(LeaseExpired), spend()], None);
    for cause in [LeaseReturned, ReplyLost, RecordLost] {
        check(&[lease(), void(cause), spend()], Some("its lease was over"));
    }
    check(
        &[lease(), void(LeaseExpired), spend(), spend()],
        Some("spent"),
    );
    let twice = [lease(), void(LeaseReturned), void(LeaseExpired)];
    check(&twice, Some("over: lease_returned"));
    check(
        &[lease(), spend(), void(LeaseReturned)],
        Some("over: spent"),
    );
    check(&[void(LeaseReturned)], Some("never leased"));
    let anew = [lease(), void(LeaseExpired), issue("BM-1", 2), spend()];
    check(&anew, Some("a later attempt was issued"));
}

/// Its record was damaged, or refused: a person settled it, perhaps long after its time was over.
#[test]
fn a_unit_that_may_exist_comes_to_light_late_and_its_serial_is_given_out_no_more() {
    let lease = || leased("BM-1", 1);
    let void = |cause| lease_voided("BM-1", 1, cause);
    check(&[lease(), void(UnitLost)], None);
    check(&[lease(), void(LeaseExpired), void(UnitLost)], None);
    check(
        &[again(lease()), void(LeaseExpired), again(void(UnitLost))],
        None,
    );
    for cause in [LeaseReturned, ReplyLost, RecordLost, UnitLost] {
        let over = format!("its lease was over: {}", cause.as_str());
        check(&[lease(), void(cause), void(UnitLost)], Some(&over));
    }
    let late = |cause| [lease(), void(LeaseExpired), void(cause)];
    check(&late(LeaseReturned), Some("over: lease_expired"));
    let spent_late = [lease(), void(LeaseExpired), spent("BM-1", 1)];
    let behind = |more: &[Event]| [&spent_late[..], more].concat();
    check(&behind(&[void(UnitLost)]), Some("over: spent"));
    let taken = [
        lease(),
        void(LeaseExpired),
        issue("BM-1", 2),
        void(UnitLost),
    ];
    check(&taken, Some("over: lease_expired"));
    let lost = [lease(), void(LeaseExpired), void(UnitLost)];
    for next in [leased("BM-1", 2), issue("BM-1", 2)] {
        let given_out = [&lost[..], &[next]].concat();
        check(&given_out, Some("a unit with its last lease may exist"));
    }
    check(
        &[&lost[..], &[spent("BM-1", 1)]].concat(),
        Some("unit_lost"),
    );
}

#[test]
fn a_credential_is_recorded_once_and_a_leased_serial_is_nobody_elses() {
    let lease = || leased("BM-1", 1);
    let password = || leased_of(step("BM-1", 1)).fingerprint;
    let same = |unit: &str, attempt| leased_with(unit, attempt, |it| it.fingerprint = password());
    let issued = |unit: &str| issue_with(unit, 1, |it| it.fingerprint = password());
    let used = Some("an earlier entry has its password");
    check(&[lease(), leased("BM-2", 1), issue("BM-3", 1)], None);
    check(&[lease(), same("BM-2", 1)], used);
    check(&[lease(), issued("BM-2")], used);
    check(&[issued("BM-2"), lease()], used);
    check(&[lease(), again(same("BM-2", 1))], used);
    let returned = lease_voided("BM-1", 1, LeaseReturned);
    check(&[lease(), returned.clone(), same("BM-1", 2)], used);
    let Event::Recovered(evidence) = again(lease()) else {
        panic!("not recovered")
    };
    let block = Event::SerialBlocked(Box::new(Blocked {
        serial: serial("BM-1"),
        device_id: None,
        reason: "it cannot stand".into(),
        by: vec!["B-7".into(), "B-8".into()],
        evidence: Some(evidence),
    }));
    check(&[block, issued("BM-2")], used);

    let held = Some("nobody has ended that");
    check(&[lease(), leased("BM-1", 2)], held);
    check(&[lease(), issue("BM-1", 2)], held);
    check(&[lease(), returned.clone(), leased("BM-1", 2)], None);
    let other = leased_with("BM-1", 1, |it| it.fingerprint.0[0] ^= 1);
    check(&[lease(), returned, other], Some("no later attempt"));
}
