//! One slot's own thread: it looks who is there, takes a unit through its turn, and withdraws one.
//!
//! A thread for each, with a runtime of its own, so that a slot whose port or printer hangs in the
//! kernel holds up nobody but itself. A turn is a task of that runtime: when it panics, its handle
//! says so and the thread goes on. What it had in hand is in the journal.

mod look;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use traveler::{OperatorId, OrderId, Serial};
use wire::profile::Driver;
use zeroize::Zeroizing;

pub(super) use look::ask_way;

use super::clock;
use super::floor::{Presence, Second, SlotEvent, Turned};
use super::lookout::Outlook;
use crate::calls::{Patience, Provisioning};
use crate::cli::put_away;
use crate::home::Home;
use crate::link::Link;
use crate::offline::is_away;
use crate::port::Port;
use crate::provision::{Bench, Job, provision};
use crate::reopen::{Broken, break_seal};
use crate::report::{Doubt, Report};
use crate::reprint::{Again, reprint};
use crate::seams::{Labels, Progress, Scanner, Stage};
use crate::sync::withdraw;
use crate::unit::Way;

/// Between two looks at who is there.
const LOOK_EVERY: Duration = Duration::from_millis(600);
/// The same where a vendor's tool has to be run for it, which many units take as a reset.
const LOOK_BY_TOOL_EVERY: Duration = Duration::from_secs(5);
/// How long a turn waits by itself for a cable that was pulled.
const RECONNECT: Duration = Duration::from_secs(60);
/// A clock that is further off is wrong, whoever's it is.
const CLOCK_OFF: Duration = Duration::from_secs(120);

/// What a slot is told.
pub(super) enum Order {
    /// Take a unit as far as it will go.
    Turn {
        serial: Serial,
        order: OrderId,
        operator: OperatorId,
        labels: mpsc::Receiver<Zeroizing<String>>,
    },
    /// Withdraw what is under way.
    Withdraw {
        serial: Serial,
        operator: OperatorId,
        /// Break its seal instead.
        second: Option<Second>,
        scrap: bool,
    },
    /// Print its label again.
    Reprint {
        serial: Serial,
        operator: OperatorId,
    },
}

/// What a slot says, with its place in the list.
pub(super) enum News {
    Slot(usize, SlotEvent),
    /// A turn has ended, with all particulars.
    Report(usize, Box<Report>),
    /// Whether this machine's clock is off, by the server's.
    Clock(bool),
    /// How it stands with server and lease.
    Outlook(Outlook),
    /// Where a turn broke off in this program.
    Broke(String),
}

/// Everything a slot works with.
pub(super) struct Kit<S, P, L> {
    pub(super) at: usize,
    pub(super) home: Arc<Home>,
    pub(super) server: S,
    pub(super) port: P,
    pub(super) labels: L,
    pub(super) lid: Option<PathBuf>,
    pub(super) patience: Patience,
    /// Whether the server is there, as all slots know it.
    pub(super) link: Arc<Link>,
    /// What the shift builds.
    pub(super) order: OrderId,
    /// Whose unit is looked for: the shift's, or that of the order of what was begun here.
    pub(super) by: OrderId,
    /// How the units of `by` are spoken to; asked for once.
    pub(super) way: Option<Way>,
    pub(super) news: mpsc::UnboundedSender<News>,
}

/// A slot at work; dropping `orders` ends it after its turn.
pub(super) struct Worker {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    /// None when it could not be started.
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a slot. `kit` is made inside its own thread, where its connections will live. One that
    /// cannot be started is told of as one that broke off: the others work.
    pub(super) fn start<S, P, L>(
        at: usize,
        thread: thread::Builder,
        news: mpsc::UnboundedSender<News>,
        kit: impl FnOnce() -> Kit<S, P, L> + Send + 'static,
    ) -> Worker
    where
        S: Provisioning + Clone + Send + 'static,
        P: Port + Clone + Sync + 'static,
        L: Labels + Clone + Sync + 'static,
    {
        let (orders, taken) = mpsc::unbounded_channel();
        let mut watch = Watch(Some((at, news)));
        let started = thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async { kit().work(taken).await });
                watch.ended_well();
                runtime.shutdown_background();
            }
        });
        Worker {
            orders,
            thread: started.ok(), // what it was to do is dropped with it, and so is its watch
        }
    }
}

/// Says that a slot's thread is gone, unless it ended in good order.
struct Watch(Option<(usize, mpsc::UnboundedSender<News>)>);

impl Watch {
    fn ended_well(&mut self) {
        self.0 = None;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((at, news)) = &self.0 {
            let _ = news.send(News::Slot(*at, SlotEvent::Died));
        }
    }
}

impl<S, P, L> Kit<S, P, L>
where
    S: Provisioning + Clone + Send + 'static,
    P: Port + Clone + Sync + 'static,
    L: Labels + Clone + Sync + 'static,
{
    async fn work(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut last = Presence::Unknown;
        let mut pause = Duration::ZERO;
        self.look_by_journal();
        loop {
            // A task as well: a port that panics costs one look.
            let mut look = tokio::spawn(self.look(pause));
            let order = tokio::select! {
                biased;
                order = orders.recv() => {
                    look.abort();
                    let _ = look.await; // until it has closed the port
                    order
                }
                seen = &mut look => {
                    let (seen, way) = seen.unwrap_or((Presence::Silent, None));
                    self.way = way.or(self.way.take());
                    // One silence is no absence: the unit may be busy, or starting.
                    let unsure = seen == Presence::Silent
                        && matches!(last, Presence::Unit(_) | Presence::Locked(_));
                    last = if unsure { Presence::Unknown } else { seen.clone() };
                    if !unsure {
                        let empty = matches!(seen, Presence::Nothing | Presence::Silent);
                        if empty && self.by != self.order {
                            self.look_by_journal();
                        }
                        self.tell(SlotEvent::Present(seen));
                    }
                    pause = self.look_every();
                    continue;
                }
            };
            match order {
                None => return,
                Some(Order::Turn {
                    serial,
                    order,
                    operator,
                    labels,
                }) => {
                    // Until it was taken out it stands here, whatever the shift builds.
                    self.look_by(order.clone());
                    self.turn(serial, order, operator, labels).await;
                }
                Some(Order::Withdraw {
                    serial,
                    operator,
                    second,
                    scrap,
                }) => {
                    self.withdraw(&serial, &operator, second.as_ref(), scrap)
                        .await;
                }
                Some(Order::Reprint { serial, operator }) => self.reprint(serial, operator).await,
            }
            last = Presence::Unknown;
            pause = Duration::ZERO;
        }
    }

    /// What the journal has for this place goes ahead of what the shift builds: native frames are
    /// commands at a console, and a profile's lines noise at a native unit.
    fn look_by_journal(&mut self) {
        if let Ok(all) = self.home.journal().open() {
            let here = all.into_iter().find(|open| open.port == self.port.path());
            self.look_by(here.map_or_else(|| self.order.clone(), |open| open.order));
        }
    }

    fn look_by(&mut self, order: OrderId) {
        if self.by != order {
            self.by = order;
            self.way = None; // nothing is typed until the server has said how
        }
    }

    /// Who stands at the port, after a pause.
    fn look(
        &self,
        pause: Duration,
    ) -> impl Future<Output = (Presence, Option<Way>)> + use<S, P, L> {
        let (port, lid, way) = (self.port.clone(), self.lid.clone(), self.way.clone());
        let ask = (Arc::clone(&self.home), self.server.clone(), self.by.clone());
        async move {
            sleep(pause).await;
            look::look(port, lid, way, ask).await
        }
    }

    /// How long the server is waited for: not at all once it is known to be away, nor for a unit whose
    /// credential and record are here, which goes on without it.
    fn patience(&self, serial: &Serial) -> Patience {
        let (leases, outbox) = (self.home.leases(), self.home.outbox());
        let leased = leases.of(serial).is_ok_and(|leased| leased.is_some());
        let told_here = || outbox.of(serial).is_ok_and(|upload| upload.is_some());
        match self.link.is_away() || leased || told_here() {
            true => Patience::NONE,
            false => self.patience,
        }
    }

    async fn reprint(&mut self, serial: Serial, operator: OperatorId) {
        let again = Again {
            patience: self.patience(&serial),
            serial,
            reason: "asked for at the bench".to_owned(),
            operator,
        };
        let done = reprint(&self.home, &self.server, &mut self.labels, &again).await;
        let done = done.map(drop).map_err(|failure| failure.advice().reason);
        self.tell(SlotEvent::Reprinted(done));
    }

    /// Nobody listens any more when the shift has ended.
    fn tell(&self, event: SlotEvent) {
        let _ = self.news.send(News::Slot(self.at, event));
    }

    fn look_every(&self) -> Duration {
        match self.way.as_ref().and_then(Option::as_ref) {
            Some(profile) if matches!(profile.driver, Driver::Exec(_)) => LOOK_BY_TOOL_EVERY,
            _ => LOOK_EVERY,
        }
    }

    async fn turn(
        &mut self,
        serial: Serial,
        order: OrderId,
        operator: OperatorId,
        labels: mpsc::Receiver<Zeroizing<String>>,
    ) {
        let job = Job {
            order,
            serial: serial.clone(),
            operator: Some(operator),
            patience: self.patience(&serial),
            reconnect: RECONNECT,
        };
        let mut bench = Bench {
            server: self.server.clone(),
            port: self.port.clone(),
            scanner: FromFloor(labels),
            labels: self.labels.clone(),
            progress: ToFloor(self.at, self.news.clone()),
        };
        let home = Arc::clone(&self.home);
        let turn = tokio::spawn(async move { provision(&job, &home, &mut bench).await });
        let Ok(report) = turn.await else {
            self.tell(SlotEvent::Died);
            return;
        };
        // Wherever this run prints, the one before may have left it in the station's own folder. When
        // it cannot be removed now, the next turn of this serial or `sync` does.
        let _ = put_away(&self.home, &serial);
        if let Some(off) = report.clock_off {
            let _ = self.news.send(News::Clock(off > CLOCK_OFF));
        }
        let turned = Turned {
            reason: report.reason,
            outcome: report.outcome,
            device_id: report.device_id.clone(),
            open: report.doubt != Doubt::None,
            port: report.port.clone(),
            used: report.used.as_ref().map(clock::used),
        };
        let _ = self.news.send(News::Report(self.at, Box::new(report)));
        self.tell(SlotEvent::Ended(turned));
    }

    async fn withdraw(
        &mut self,
        serial: &Serial,
        operator: &OperatorId,
        second: Option<&Second>,
        scrap: bool,
    ) {
        let (home, server, patience) = (&self.home, &self.server, self.patience(serial));
        let done = match second {
            None => {
                let done = withdraw(home, server, patience, (serial, operator), scrap).await;
                done.map(|()| Broken::Now)
            }
            Some(Second { badge, unit }) => {
                let by = [operator, badge];
                break_seal(home, server, patience, (serial, unit), by, scrap).await
            }
        };
        if done.is_ok() {
            let _ = put_away(&self.home, serial);
        }
        self.tell(match done {
            Ok(Broken::Now) => SlotEvent::Withdrawn(Ok(())),
            Ok(Broken::Later) => SlotEvent::Kept,
            // Nothing here remembers it: it would be in the bin and sealed in the log.
            Err(failure) if second.is_some() && is_away(&failure) => {
                SlotEvent::Withdrawn(Err("ONLY_ONLINE"))
            }
            Err(failure) => SlotEvent::Withdrawn(Err(failure.advice().reason)),
        });
    }
}

/// Labels that the floor sends to this slot.
struct FromFloor(mpsc::Receiver<Zeroizing<String>>);

impl Scanner for FromFloor {
    async fn scan(&mut self, _: &Serial) -> std::io::Result<Option<Zeroizing<String>>> {
        Ok(self.0.recv().await)
    }
}

/// How far a turn is.
struct ToFloor(usize, mpsc::UnboundedSender<News>);

impl Progress for ToFloor {
    fn stage(&mut self, _: &Serial, stage: Stage) {
        let _ = self.1.send(News::Slot(self.0, SlotEvent::Stage(stage)));
    }

    fn ended(&mut self, _: &Report) {}
}

#[cfg(test)]
mod tests;
