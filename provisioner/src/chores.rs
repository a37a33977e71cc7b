//! What a running server does without being asked: watches its token, keeps the token's mark of the
//! log, renews its certificate, voids leases that nobody spent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::line::Line;
use crate::tls::ServerCertificate;

/// How often the token is asked whether it is there, while nothing is known to be wrong.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// How often it is asked while it is lost: what it costs the line when it is back.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A token that answers nobody for this long is as good as gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How often the token's mark of the log is raised: what a roll-back may hide, and a write of
/// its flash each.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// How often the server's certificate is made anew.
const RENEW_EVERY: Duration = Duration::from_secs(24 * 3600);

/// How often leases are looked for whose time is over.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);

/// Does the chores until it is dropped.
pub(crate) async fn run(
    line: Arc<Line>,
    certificate: Arc<ServerCertificate>,
    health: HealthReporter,
) {
    tokio::join!(
        watch(&line, health),
        keep_mark(&line),
        renew(&line, &certificate),
        void_expired(&line)
    );
}

/// Keeps `grpc.health.v1` true, and lets commands pass again when a lost token answers. One probe
/// at a time: one that hangs is waited for.
async fn watch(line: &Arc<Line>, health: HealthReporter) {
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked: Option<Instant> = None;
    loop {
        tick.tick().await;
        if line.breaker.is_open() {
            let status = ServingStatus::NotServing;
            health.set_service_status("", status).await;
        } else if asked.is_some_and(|asked| asked.elapsed() < PROBE_EVERY) {
            continue;
        }
        asked = Some(Instant::now());
        let its = Arc::clone(line);
        let mut probe = tokio::task::spawn_blocking(move || is_well(&its));
        let well = loop {
            let answered = line.breaker.answered();
            match timeout(ANSWER_WITHIN, &mut probe).await {
                Ok(well) => break well,
                Err(_) if line.breaker.answered() == answered => {
                    line.breaker.open("it does not answer");
                    let status = ServingStatus::NotServing;
                    health.set_service_status("", status).await;
                    break probe.await;
                }
                // It answers others: the probe waits for its turn.
                Err(_) => {}
            }
        };
        let status = match well {
            Ok(true) => ServingStatus::Serving,
            _ => ServingStatus::NotServing,
        };
        health.set_service_status("", status).await;
    }
}

/// Whether the token answers. Then what was written while it was away gets its checkpoint.
fn is_well(line: &Line) -> bool {
    match line.breaker.probe() {
        Ok(()) => line.sign_pending().is_ok() && line.not_backwards().is_ok(),
        Err(error) => {
            tracing::debug!(%error, "the HSM does not answer");
            false
        }
    }
}

async fn keep_mark(line: &Arc<Line>) {
    let mut tick = interval(MARK_EVERY);
    tick.reset();
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let its = Arc::clone(line);
        let raised = tokio::task::spawn_blocking(move || raise_mark(&its)).await;
        if raised.is_err() {
            tracing::error!("the token's mark of the log was not raised: a thread panicked");
        }
    }
}

/// Tells the token how long the log is, when it has grown. Crash before this: the mark is at most
/// [`MARK_EVERY`] behind, and a log that is longer than its mark accuses nobody.
pub(crate) fn raise_mark(line: &Line) {
    let Ok(size) = line.read(|ledger| ledger.size()) else {
        return; // whoever needs the ledger next says so
    };
    // A log that went backwards is not the one to be remembered.
    let marked = line.marked.load(Ordering::Relaxed) >= size;
    if marked || line.breaker.is_open() || line.not_backwards().is_err() {
        return;
    }
    match line.hsm.raise_high_water(&line.mark, size) {
        Ok(()) => line.marked.store(size, Ordering::Relaxed),
        Err(error) => tracing::warn!(%error, size, "the token did not take the log's size"),
    }
}

/// Voids the leases whose time is over, once at the start: it may be long over.
async fn void_expired(line: &Arc<Line>) {
    let mut tick = interval(EXPIRE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let its = Arc::clone(line);
        match tokio::task::spawn_blocking(move || its.void_expired()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(voided)) => tracing::warn!(voided, "leases expired unspent"),
            Ok(Err(error)) => tracing::warn!(%error, "expired leases were not all voided"),
            Err(_) => tracing::error!("expired leases were not voided: a thread panicked"),
        }
    }
}

async fn renew(line: &Arc<Line>, certificate: &Arc<ServerCertificate>) {
    let mut tick = interval(RENEW_EVERY);
    tick.reset();
    loop {
        tick.tick().await;
        let (line, certificate) = (Arc::clone(line), Arc::clone(certificate));
        let renewed = tokio::task::spawn_blocking(move || certificate.renew(&line.authority));
        if let Ok(Err(error)) = renewed.await {
            tracing::warn!(%error, "the server's certificate was not renewed");
        }
    }
}
