//! What has to be so before a shift begins: nobody else works in its folder, and the order is one that
//! can be built, as far as there is anybody to ask.

use std::fs::File;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use fs4::fs_std::FileExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use traveler::OrderId;

use super::card::{self, Then};
use super::floor::{Floor, Rules};
use super::place::SlotPort;
use super::slots::{SlotAt, Slots};
use super::worker::{Kit, News, Worker, ask_way};
use super::{FRAME, SYNC_WITHIN, ShiftArgs};
use crate::calls::{CallError, Patience, Server, silent};
use crate::failure::Failure;
use crate::home::Home;
use crate::lease::Standing;
use crate::link::{Known, Link};
use crate::sync::sync;
use crate::unit::Way;

/// A process that was killed is gone by then.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// Asks for the order before anybody is told to put a unit in. `Err` is why it could not be asked for
/// now, which every slot shows until it can: without an answer nobody knows how to speak to a unit.
///
/// # Errors
/// The [`Failure`] with which nothing can be built here: an order that is unknown or closed, a station
/// that is revoked.
pub(super) async fn ask(
    home: &Home,
    server: Server,
    link: &Arc<Link>,
    order: &OrderId,
) -> anyhow::Result<Result<Way, &'static str>> {
    let link = Arc::clone(link);
    let server = Known { server, link };
    let asked = timeout(SYNC_WITHIN, ask_way(home, &server, order)).await;
    let asked = asked.unwrap_or_else(|_| Err(silent().into()));
    asked.map_or_else(|failure| refused(failure, order), |way| Ok(Ok(way)))
}

/// Tells what passes from what does not.
fn refused(failure: Failure, order: &OrderId) -> anyhow::Result<Result<Way, &'static str>> {
    let advice = failure.advice();
    if card::of(Some(advice.reason), advice.outcome).then == Then::Wait {
        return Ok(Err(advice.reason));
    }
    let why = match advice.reason {
        "UNKNOWN_ORDER" => format!("there is no order {order}"),
        "WORK_ORDER_CLOSED" => format!("order {order} is closed"),
        _ => advice.says.to_owned(),
    };
    Err(anyhow::Error::from(failure).context(format!("{why} - {}", advice.action)))
}

/// Whether the server is there to begin with, when there is a lease to go on with.
pub(super) async fn link(
    home: &Home,
    server: &Server,
    order: &OrderId,
) -> anyhow::Result<Arc<Link>> {
    let link = Link::default();
    let held = Standing::of(home, Some(order))?;
    link.looked(held.leased || held.to_upload > 0);
    if held.leased {
        let answers = timeout(SYNC_WITHIN, server.show_clock()).await;
        // One that refuses this station is there, and is asked why.
        link.set_away(!matches!(
            answers,
            Ok(Ok(_) | Err(CallError::Refused { .. }))
        ));
    }
    Ok(Arc::new(link))
}

/// What became of what a power cut left, as far as anybody can say: a server that is away is no reason
/// not to begin. One that is known to be is not waited for a second time.
pub(super) async fn settle(home: &Home, server: &Server, link: &Arc<Link>) {
    let patience = match link.is_away() {
        true => Patience::NONE,
        false => Patience(SYNC_WITHIN),
    };
    let (server, link) = (server.clone(), Arc::clone(link));
    let _ = sync(home, &Known { server, link }, patience, None).await;
}

/// Two shifts in one folder would each ask for the other's units. One that was killed a moment ago
/// may not be gone yet.
pub(super) async fn alone(home: &Home) -> anyhow::Result<File> {
    let path = home.dir().join("shift.lock");
    let lock = File::create(&path).with_context(|| format!("cannot use {}", path.display()))?;
    let give_up = Instant::now() + GONE_WITHIN;
    while !FileExt::try_lock_exclusive(&lock)? {
        if Instant::now() > give_up {
            bail!("a shift is running in {} already", home.dir().display());
        }
        sleep(FRAME).await;
    }
    Ok(lock)
}

/// The bench of a slots file.
pub(super) fn floor(order: &OrderId, slots: &Slots) -> Floor {
    let rules = Rules {
        order: order.clone(),
        retries: slots.retries,
        lock_after: slots.lock_after,
        answer_within: slots.answer_within,
        slot_before_label: slots.reading.slot_before_label,
    };
    Floor::new(
        rules,
        slots
            .slots
            .iter()
            .map(|slot| (slot.number, slot.place.name())),
    )
}

/// A worker for each slot; what was `asked` none of them asks again.
pub(super) fn workers(
    args: &ShiftArgs,
    home: &Arc<Home>,
    slots: &[SlotAt],
    asked: Option<&Way>,
    (link, news): (&Arc<Link>, &mpsc::UnboundedSender<News>),
) -> Vec<Worker> {
    // Shared: one label at a time, whatever the slot.
    let printer = args.printer.open(home.labels());
    let start = |(at, slot): (usize, &SlotAt)| {
        let (slot, home, news) = (slot.clone(), Arc::clone(home), news.clone());
        let (patience, link) = (args.wait.patience(), Arc::clone(link));
        let (labels, order, way) = (printer.clone(), args.order.clone(), asked.cloned());
        let thread = thread::Builder::new().name(format!("slot {}", slot.number));
        Worker::start(at, thread, news.clone(), move || Kit {
            at,
            // Each its own connection: it was made once already, so the keys are sound.
            server: Known {
                server: Server::of(&home).expect("the station's keys were read a moment ago"),
                link: Arc::clone(&link),
            },
            link,
            port: SlotPort::new(slot.place, slot.number, slot.baud),
            labels,
            lid: slot.lid,
            patience,
            by: order.clone(),
            order,
            way,
            news,
            home,
        })
    };
    slots.iter().enumerate().map(start).collect()
}

#[cfg(test)]
mod tests {
    use api::Reason;

    use super::*;
    use crate::cli::exit_code;

    fn check(reason: Reason, code: Option<u8>, says: &str) {
        let message = "as the server says".to_owned();
        let failure = Failure::from(match reason {
            Reason::HsmUnavailable => CallError::Unavailable {
                reason: Some(reason),
                message,
            },
            _ => CallError::Refused {
                reason,
                message,
                in_use: None,
            },
        });
        match refused(failure, &OrderId::parse("WO-7").unwrap()) {
            Ok(waits) => assert_eq!((None, waits.unwrap_err()), (code, says)),
            Err(error) => {
                assert_eq!(Some(exit_code(&error)), code);
                assert!(format!("{error:#}").starts_with(says), "{error:#}");
            }
        }
    }

    #[test]
    fn only_what_passes_by_itself_is_waited_for() {
        check(Reason::UnknownOrder, Some(2), "there is no order WO-7 - ");
        check(Reason::WorkOrderClosed, Some(2), "order WO-7 is closed - ");
        check(Reason::StationRevoked, Some(30), "");
        check(Reason::HsmUnavailable, None, "HSM_UNAVAILABLE");
        let away = refused(silent().into(), &OrderId::parse("WO-7").unwrap());
        assert_eq!(away.unwrap().unwrap_err(), "NO_SERVER");
    }
}
