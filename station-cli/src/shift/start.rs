//! What has to be so before a shift begins: nobody else works in its folder, and the order is one that
//! can be built, as far as there is anybody to ask.

use std::fs::File;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use fs4::fs_std::FileExt;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use traveler::OrderId;

use super::card::{self, Then};
use super::events::Events;
use super::floor::{Floor, Rules};
use super::place::SlotPort;
use super::slots::{SlotAt, Slots};
use super::words::{Language, Words};
use super::worker::{Kit, News, Worker, ask_way};
use super::{FRAME, SYNC_WITHIN, ShiftArgs};
use crate::calls::{CallError, Patience, Server, silent};
use crate::cli::say;
use crate::failure::Failure;
use crate::home::Home;
use crate::lease::Standing;
use crate::link::{Known, Link};
use crate::sync::sync;
use crate::unit::Way;

/// A process that was killed is gone by then.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// Asks for the order before anybody is told to put a unit in. `Err` within is why it could not be asked
/// for now, which every slot shows until it can: without an answer nobody knows how to speak to a unit.
///
/// # Errors
/// The [`Failure`] with which nothing can be built here: an order that is unknown or closed, a station
/// that is revoked.
pub(super) async fn ask(
    home: &Home,
    server: Server,
    link: &Arc<Link>,
    order: &OrderId,
) -> Result<Result<Way, &'static str>, Failure> {
    let link = Arc::clone(link);
    let server = Known { server, link };
    let asked = timeout(SYNC_WITHIN, ask_way(home, &server, order)).await;
    let asked = asked.unwrap_or_else(|_| Err(silent().into()));
    asked.map_or_else(passes, |way| Ok(Ok(way)))
}

/// Tells what passes from what does not.
fn passes(failure: Failure) -> Result<Result<Way, &'static str>, Failure> {
    let advice = failure.advice();
    match card::of(Some(advice.reason), advice.outcome).then {
        Then::Wait => Ok(Err(advice.reason)),
        _ => Err(failure),
    }
}

/// Says why a shift does not begin, and gives its exit code. No screen for it: that would be gone at
/// once, and its reason stands below it.
pub(super) fn does_not_begin(
    failure: &Failure,
    order: &OrderId,
    words: &Words,
    mut events: Events,
) -> u8 {
    let code = failure.advice().outcome.exit_code();
    events.tell(Duration::ZERO, "end", &json!({ "code": code, "open": 0 }));
    events.end();
    say(&format!("station-cli: {}", refusal(failure, order, words)));
    code
}

/// Why a shift does not begin, for whoever is there to read it.
fn refusal(failure: &Failure, order: &OrderId, words: &Words) -> String {
    let advice = failure.advice();
    let (says, action) = (advice.says, advice.action);
    // Of an order the server says the same in other words.
    let own = matches!(advice.reason, "UNKNOWN_ORDER" | "WORK_ORDER_CLOSED");
    match (words.language, advice.reason) {
        (Language::ZhCn, reason) if own => format!("{order}: {}", words.say(reason)),
        (Language::ZhCn, reason) => format!("{order}: {} ({failure})", words.say(reason)),
        (Language::En, "UNKNOWN_ORDER") => format!("there is no order {order} - {action}"),
        (Language::En, "WORK_ORDER_CLOSED") => format!("order {order} is closed - {action}"),
        (Language::En, _) => format!("{says} - {action}: {failure}"),
    }
}

/// Whether the server is there to begin with, when there is a lease to go on with.
pub(super) async fn link(
    home: &Home,
    server: &Server,
    order: &OrderId,
) -> anyhow::Result<Arc<Link>> {
    let link = Link::default();
    let held = Standing::of(home, Some(order))?;
    link.looked(held.leased);
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

    fn refused(reason: Reason) -> Failure {
        let message = "as the server says".to_owned();
        Failure::from(match reason {
            Reason::HsmUnavailable => CallError::Unavailable {
                reason: Some(reason),
                message,
            },
            _ => CallError::Refused {
                reason,
                message,
                in_use: None,
            },
        })
    }

    #[test]
    fn only_what_passes_by_itself_is_waited_for() {
        for reason in [
            Reason::UnknownOrder,
            Reason::WorkOrderClosed,
            Reason::StationRevoked,
        ] {
            let stays = passes(refused(reason)).unwrap_err();
            assert_eq!(stays.advice().reason, reason.as_str());
        }
        let waits = passes(refused(Reason::HsmUnavailable));
        assert_eq!(waits.unwrap().unwrap_err(), "HSM_UNAVAILABLE");
        let away = passes(silent().into());
        assert_eq!(away.unwrap().unwrap_err(), "NO_SERVER");
    }

    /// Once, and in the language of the bench; what only the server knows stays with it.
    #[test]
    fn why_a_shift_does_not_begin_is_said_in_its_language() {
        let order = OrderId::parse("WO-7").unwrap();
        let said = |language, reason| refusal(&refused(reason), &order, &Words::of(language));
        let english = |reason| said(Language::En, reason);
        assert_eq!(
            english(Reason::UnknownOrder),
            "there is no order WO-7 - check the order number"
        );
        assert_eq!(
            english(Reason::WorkOrderClosed),
            "order WO-7 is closed - take the next order"
        );
        assert_eq!(
            english(Reason::StationRevoked),
            "STATION REVOKED - stop this station, call the lead: as the server says"
        );
        let chinese = |reason| said(Language::ZhCn, reason);
        let closed = chinese(Reason::WorkOrderClosed);
        assert_eq!(closed, "WO-7: \u{5de5}\u{5355}\u{5df2}\u{5173}\u{95ed}");
        let revoked = chinese(Reason::StationRevoked);
        assert!(revoked.ends_with("(as the server says)"), "{revoked}");
        assert!(!revoked.contains("REVOKED"), "{revoked}");
    }
}
