//! One slot's own thread: it looks who is there, takes a unit through its turn, and withdraws one.
//!
//! A thread for each, with a runtime of its own, so that a slot whose port or printer hangs in the
//! kernel holds up nobody but itself. A turn is a task of that runtime: when it panics, its handle
//! says so and the thread goes on. What it had in hand is in the journal.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use traveler::{OperatorId, OrderId, Serial};
use wire::UnitState;
use zeroize::Zeroizing;

use super::floor::{Presence, SlotEvent, Turned};
use crate::calls::{Patience, Provisioning};
use crate::cli::put_away;
use crate::drive::UnitError;
use crate::failure::Failure;
use crate::greet::greet;
use crate::home::Home;
use crate::port::{Port, PortError};
use crate::provision::{Bench, Job, provision};
use crate::report::{Doubt, Report};
use crate::reprint::{Again, reprint};
use crate::seams::{Labels, Progress, Scanner, Stage};
use crate::sync::withdraw;

/// Between two looks at who is there.
const LOOK_EVERY: Duration = Duration::from_millis(600);
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
    /// Whether labels lie in the station's own folder.
    pub(super) own_labels: bool,
    pub(super) news: mpsc::UnboundedSender<News>,
}

/// A slot at work; dropping `orders` ends it after its turn.
pub(super) struct Worker {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) thread: JoinHandle<()>,
}

impl Worker {
    /// Starts a slot. `kit` is made inside its own thread, where its connections will live.
    pub(super) fn start<S, P, L>(
        name: String,
        kit: impl FnOnce() -> Kit<S, P, L> + Send + 'static,
    ) -> std::io::Result<Worker>
    where
        S: Provisioning + Clone + Send + 'static,
        P: Port + Clone + Sync + 'static,
        L: Labels + Clone + Sync + 'static,
    {
        let (orders, taken) = mpsc::unbounded_channel();
        let thread = thread::Builder::new().name(name).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async { kit().work(taken).await });
                runtime.shutdown_background();
            }
        })?;
        Ok(Worker { orders, thread })
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
        loop {
            let order = tokio::select! {
                biased;
                order = orders.recv() => order,
                seen = self.look(pause) => {
                    // One silence is no absence: the unit may be busy, or starting.
                    let unsure = seen == Presence::Silent
                        && matches!(last, Presence::Unit(_) | Presence::Locked(_));
                    last = if unsure { Presence::Unknown } else { seen.clone() };
                    if !unsure {
                        self.tell(SlotEvent::Present(seen));
                    }
                    pause = LOOK_EVERY;
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
                    self.turn(serial, order, operator, labels).await;
                }
                Some(Order::Withdraw {
                    serial,
                    operator,
                    scrap,
                }) => {
                    self.withdraw(&serial, &operator, scrap).await;
                }
                Some(Order::Reprint { serial, operator }) => self.reprint(serial, operator).await,
            }
            last = Presence::Unknown;
            pause = Duration::ZERO;
        }
    }

    async fn reprint(&mut self, serial: Serial, operator: OperatorId) {
        let again = Again {
            serial,
            reason: "asked for at the bench".to_owned(),
            operator,
            patience: self.patience,
        };
        let done = reprint(&self.home, &self.server, &mut self.labels, &again).await;
        let done = done.map(drop).map_err(|failure| failure.advice().reason);
        self.tell(SlotEvent::Reprinted(done));
    }

    /// Nobody listens any more when the shift has ended.
    fn tell(&self, event: SlotEvent) {
        let _ = self.news.send(News::Slot(self.at, event));
    }

    async fn look(&mut self, pause: Duration) -> Presence {
        sleep(pause).await;
        if let Some(lid) = &self.lid
            && !std::fs::read(lid).is_ok_and(|text| text.first() == Some(&b'1'))
        {
            return Presence::LidOpen;
        }
        match greet(&mut self.port).await {
            Ok(facts) if facts.state == UnitState::Locked => Presence::Locked(facts.device_id),
            Ok(facts) => Presence::Unit(facts.device_id),
            Err(Failure::Port(PortError::Missing { .. }) | Failure::Unit(UnitError::Cable(_))) => {
                Presence::Nothing
            }
            Err(Failure::Port(_)) => Presence::Busy,
            Err(_) => Presence::Silent,
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
            patience: self.patience,
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
        if self.own_labels {
            // When it cannot be removed now, the next turn of this serial or `sync` does.
            let _ = put_away(&self.home, &serial);
        }
        if let Some(off) = report.clock_off {
            let _ = self.news.send(News::Clock(off > CLOCK_OFF));
        }
        let turned = Turned {
            reason: report.reason,
            outcome: report.outcome,
            device_id: report.device_id.clone(),
            open: report.doubt != Doubt::None,
        };
        let _ = self.news.send(News::Report(self.at, Box::new(report)));
        self.tell(SlotEvent::Ended(turned));
    }

    async fn withdraw(&mut self, serial: &Serial, operator: &OperatorId, scrap: bool) {
        let (home, server) = (&self.home, &self.server);
        let done = withdraw(home, server, self.patience, (serial, operator), scrap).await;
        if done.is_ok() && self.own_labels {
            let _ = put_away(&self.home, serial);
        }
        let done = done.map_err(|failure| failure.advice().reason);
        self.tell(SlotEvent::Withdrawn(done));
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
