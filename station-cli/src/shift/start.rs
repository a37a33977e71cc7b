//! What a shift starts with: the bench to itself, a thread for each slot, and whether the server is there.

use std::fs::File;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use fs4::fs_std::FileExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use traveler::OrderId;

use super::floor::{Floor, Rules};
use super::place::SlotPort;
use super::slots::{SlotAt, Slots};
use super::worker::{Kit, News, Worker};
use super::{FRAME, SYNC_WITHIN, ShiftArgs};
use crate::calls::Server;
use crate::home::Home;
use crate::lease::Standing;
use crate::link::{Known, Link};

/// A process that was killed is gone by then.
const GONE_WITHIN: Duration = Duration::from_secs(3);

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
        link.set_away(!matches!(answers, Ok(Ok(_))));
    }
    Ok(Arc::new(link))
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

pub(super) fn workers(
    args: &ShiftArgs,
    home: &Arc<Home>,
    slots: &[SlotAt],
    (link, news): (&Arc<Link>, &mpsc::UnboundedSender<News>),
) -> Vec<Worker> {
    // Shared: one label at a time, whatever the slot.
    let printer = args.printer.open(home.labels());
    let start = |(at, slot): (usize, &SlotAt)| {
        let (slot, home, news) = (slot.clone(), Arc::clone(home), news.clone());
        let (patience, link) = (args.wait.patience(), Arc::clone(link));
        let (labels, order) = (printer.clone(), args.order.clone());
        let thread = thread::Builder::new().name(format!("slot {}", slot.number));
        Worker::start(at, thread, news.clone(), move || Kit {
            at,
            // Each its own connection: it was made once already, so the keys are sound.
            server: Known {
                server: Server::of(&home).expect("the station's keys were read a moment ago"),
                link,
            },
            port: SlotPort::new(slot.place, slot.number, slot.baud),
            labels,
            lid: slot.lid,
            patience,
            by: order.clone(),
            order,
            way: None,
            news,
            home,
        })
    };
    slots.iter().enumerate().map(start).collect()
}

/// A turn that breaks off must not write over the screen; where it did is an event.
pub(super) fn watch_panics(news: mpsc::UnboundedSender<News>) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        let _ = news.send(News::Broke(place.unwrap_or_default()));
    }));
}
