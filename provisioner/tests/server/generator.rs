//! A generator that breaks while the line runs: it is stopped, with the clause in the log, and stays
//! stopped until an administrator says that it is well. A sound one is never stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use api::v1::audit_client::AuditClient;
use api::{Reason, v1};
use hsm_sim::Fault;

use crate::site::{Bench, Town, Unit, reason};

/// Issues within which a broken generator must stop the line.
const WITHIN: u32 = 20;

/// The server mints the keys: the clients stay light.
fn unit(number: u32) -> Unit {
    Unit {
        serial: format!("Q-{number:06}"),
        device_id: (0x5100_0000 + number).to_be_bytes().to_vec(),
        csr: vec![],
        key: None,
    }
}

async fn shown(town: &Town) -> v1::LineRecord {
    let channel = provisioner::admin::connect(&town.site).await.unwrap();
    let mut audit = AuditClient::new(channel);
    let shown = audit.show_line(v1::ShowLineRequest {}).await;
    shown.unwrap().into_inner()
}

async fn resume(town: &Town, stopped_seq: u64, reason: &str) -> Result<(), tonic::Status> {
    let reason = reason.to_owned();
    let request = v1::ResumeLineRequest {
        stopped_seq,
        reason,
    };
    town.admin().await.resume_line(request).await.map(drop)
}

/// Issues until the line stops: how many were granted after the fault.
async fn granted_until_stopped(bench: &mut Bench, order: &str, next: &mut u32) -> u32 {
    for granted in 0..=WITHIN {
        *next += 1;
        let answer = bench.issue(order, &unit(*next)).await;
        if answer.is_err() {
            assert_eq!(reason(answer), Reason::GeneratorUnfit);
            return granted;
        }
    }
    panic!("{WITHIN} issues were granted");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_stops_the_line_within_twenty_issues() {
    let town = Town::on_a_token().await;
    let order = town.order(10_000).await;
    let mut bench = town.bench("bench-1").await;
    let mut next = 0;
    for fault in Fault::GENERATOR {
        for _ in 0..3 {
            next += 1;
            bench.issue(&order, &unit(next)).await.unwrap();
        }
        town.fault(fault);
        let granted = granted_until_stopped(&mut bench, &order, &mut next).await;
        assert!(granted < WITHIN, "{fault}: {granted}");

        let stop = town.entries().pop().unwrap();
        assert_eq!(stop["kind"], "line_stopped", "{fault}: {stop}");
        assert_eq!(stop["order"], order.as_str());
        assert_eq!(stop["serial"], unit(next).serial);
        let limb = match fault {
            Fault::Counting => "1(3)(a)",
            _ => "1(3)(d)",
        };
        assert_eq!(stop["clause"], limb, "{fault}: {stop}");
        let shown = shown(&town).await;
        assert!(shown.stopped && shown.detector == stop["detector"].as_str().unwrap());

        town.fault(Fault::None);
        resume(&town, shown.stopped_seq, "token replaced")
            .await
            .unwrap();
    }
    next += 1;
    bench.issue(&order, &unit(next)).await.unwrap();
    verify(town).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_line_issues_nothing_for_any_order_across_a_restart_and_finishes_the_rest() {
    let town = Town::on_a_token().await;
    let (order, other) = (town.order(100).await, town.labelled_order(100).await);
    let mut bench = town.bench("bench-1").await;
    let open = [unit(1), unit(2), unit(3)];
    let mut issued = vec![];
    for unit in &open {
        issued.push(bench.issue(&order, unit).await.unwrap());
    }
    bench.confirm(&open[0], &issued[0]).await.unwrap();

    town.fault(Fault::Stuck);
    let mut next = 10;
    granted_until_stopped(&mut bench, &order, &mut next).await;
    town.fault(Fault::None);

    // The stop is the server's, and a restart does not end it.
    let town = town.restart().await;
    let mut bench = town.bench("bench-1").await;
    assert_eq!(
        reason(bench.issue(&order, &unit(50)).await),
        Reason::GeneratorUnfit
    );
    let mut labelled = crate::site::request(&other, &unit(51)).into_inner();
    (labelled.model, labelled.revision) = ("CAM2".into(), "B".into());
    let answer = bench.client.issue(labelled).await;
    assert_eq!(reason(answer), Reason::GeneratorUnfit);

    // What is under way is finished, one way or the other; a lost reply is not minted anew.
    bench.seal(&open[0], 1, false).await.unwrap();
    bench.resume(&open[1], &issued[1]).await.unwrap();
    bench.confirm(&open[1], &issued[1]).await.unwrap();
    bench.seal(&open[1], 1, false).await.unwrap();
    assert_eq!(
        reason(bench.issue(&order, &open[2]).await),
        Reason::GeneratorUnfit
    );
    bench.void(&open[2], 1, false).await.unwrap();

    let stop = shown(&town).await;
    let refused = |answer| reason::<()>(answer);
    let seq = stop.stopped_seq;
    assert_eq!(
        refused(resume(&town, seq + 1, "guessed").await),
        Reason::WrongState
    );
    assert_eq!(refused(resume(&town, seq, " ").await), Reason::BadRequest);
    let qa = town.channel(Some(town.person("qa"))).await;
    let mut qa = api::v1::administration_client::AdministrationClient::new(qa);
    let request = v1::ResumeLineRequest {
        stopped_seq: seq,
        reason: "it looks fine".into(),
    };
    assert_eq!(reason(qa.resume_line(request).await), Reason::NotPermitted);
    resume(&town, seq, "token replaced").await.unwrap();
    assert!(!shown(&town).await.stopped);
    bench.issue(&order, &open[2]).await.unwrap();
    assert_eq!(
        refused(resume(&town, seq, "again").await),
        Reason::WrongState
    );
    verify(town).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_generator_is_not_stopped_in_five_thousand_issues() {
    const ISSUES: u32 = 5_000;
    const CLIENTS: usize = 32;
    let town = Town::on_a_token().await;
    let order = town.order(ISSUES).await;
    let bench = town.bench("bench-1").await;
    let next = Arc::new(AtomicU32::new(0));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (mut bench, next, order) = (bench.clone(), Arc::clone(&next), order.clone());
        clients.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= ISSUES {
                    return;
                }
                bench.issue(&order, &unit(number)).await.unwrap();
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let count = town.count(&order).await;
    assert_eq!((count.open, count.not_started), (ISSUES, 0));
    assert!(!shown(&town).await.stopped);
}

/// Policies that are drawn and printed differently: each is issued, and its bundle holds what the
/// policy promises. One that needs a lockout is refused without.
#[tokio::test(flavor = "multi_thread")]
async fn every_policy_is_issued_under() {
    let town = Town::on_a_token().await;
    let mut bench = town.bench("bench-1").await;
    let mut number = 0;
    for name in credential::Policy::names() {
        let definition = format!(
            "sku = \"PLUG-1\"\nname = \"Example plug\"\nmodel = \"PLUG1\"\n\
             [password]\npolicy = \"{name}\"\nlockout = 10\n"
        );
        let order = town.order_for(&definition, "PLUG-1", 20).await;
        for _ in 0..20 {
            number += 1;
            let issued = bench.issue(&order, &unit(number)).await.unwrap();
            let bundle = credential::Bundle::decode(&issued.bundle).unwrap();
            let policy = credential::Policy::named(name, None).unwrap();
            let length = bundle.password.expose(<[u8]>::len);
            assert!(length <= policy.text_max(), "{name}");
        }
    }
    let definition = "sku = \"PLUG-1\"\nname = \"Example plug\"\nmodel = \"PLUG1\"\n\
                      [password]\npolicy = \"pin-lockout\"\n"
        .to_owned();
    let request = v1::ApplyProductRequest { definition };
    let answer = town.admin().await.apply_product(request).await;
    assert_eq!(reason(answer), Reason::BadRequest);
}

/// The administrator's command, as a process: exit code and what it prints.
async fn command(town: &Town, arguments: &'static [&'static str]) -> (i32, String) {
    let data = town.site.data().to_owned();
    let run = move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_provisioner"));
        let output = command.arg("--data").arg(data).arg("line").args(arguments);
        let output = output.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_sees_the_stop_and_ends_it() {
    let town = Town::on_a_token().await;
    let order = town.order(100).await;
    let mut bench = town.bench("bench-1").await;
    let (code, text) = command(&town, &["status"]).await;
    assert_eq!((code, text.as_str()), (0, "RUNNING passwords are minted\n"));
    let (code, _) = command(&town, &["resume", "--reason", "none"]).await;
    assert_eq!(code, 2, "there is nothing to resume");

    town.fault(Fault::Counting);
    granted_until_stopped(&mut bench, &order, &mut 0).await;
    let (code, text) = command(&town, &["status"]).await;
    assert_eq!(code, 1);
    assert!(
        text.starts_with("STOPPED") && text.contains("clause 1(3)(a), counter"),
        "{text}"
    );
    town.fault(Fault::None);
    let (code, text) = command(&town, &["resume", "--reason", "token replaced"]).await;
    assert_eq!((code, text.as_str()), (0, "RUNNING passwords are minted\n"));
    let resumed = town.entries().pop().unwrap();
    assert_eq!(
        (&resumed["kind"], &resumed["reason"]),
        (&"line_resumed".into(), &"token replaced".into())
    );
    verify(town).await;
}

async fn verify(town: Town) {
    let (site, _dir) = town.stop().await;
    let key = site.vkey().unwrap();
    let report = ledger::verify(&site.ledger(), &key, &mut |_, _| {}).unwrap();
    assert_eq!(report.findings, []);
}
