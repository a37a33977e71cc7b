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
use wire::profile::Driver;
use zeroize::Zeroizing;

use super::clock;
use super::floor::{Presence, Second, SlotEvent, Turned};
use super::lookout::Outlook;
use crate::calls::{Patience, Patient, Provisioning};
use crate::cli::put_away;
use crate::drive::UnitError;
use crate::failure::Failure;
use crate::greet::greet_as;
use crate::home::Home;
use crate::port::{Port, PortError};
use crate::provision::{Bench, Job, provision};
use crate::reopen::break_seal;
use crate::report::{Doubt, Report};
use crate::reprint::{Again, reprint};
use crate::seams::{Labels, Progress, Scanner, Stage};
use crate::settle::Desk;
use crate::sync::withdraw;
use crate::unit::Way;
use crate::way::way;

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
    /// Whether labels lie in the station's own folder.
    pub(super) own_labels: bool,
    /// What the shift builds, which says how its units are spoken to; asked for once.
    pub(super) order: OrderId,
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

    /// Who stands at the port, after a pause.
    fn look(
        &self,
        pause: Duration,
    ) -> impl Future<Output = (Presence, Option<Way>)> + use<S, P, L> {
        let (port, lid, way) = (self.port.clone(), self.lid.clone(), self.way.clone());
        let ask = (
            Arc::clone(&self.home),
            self.server.clone(),
            self.order.clone(),
        );
        async move {
            sleep(pause).await;
            look(port, lid, way, ask).await
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
        let (home, server, patience) = (&self.home, &self.server, self.patience);
        let done = match second {
            None => withdraw(home, server, patience, (serial, operator), scrap).await,
            Some(Second { badge, unit }) => {
                let by = [operator, badge];
                break_seal(home, server, patience, (serial, unit), by, scrap).await
            }
        };
        if done.is_ok() && self.own_labels {
            let _ = put_away(&self.home, serial);
        }
        let done = done.map_err(|failure| failure.advice().reason);
        self.tell(SlotEvent::Withdrawn(done));
    }
}

/// Who stands at a port; and how its units are spoken to, once that is known. Until then nothing is
/// typed: a console takes frames for commands.
async fn look<S: Provisioning>(
    mut port: impl Port,
    lid: Option<PathBuf>,
    way: Option<Way>,
    ask: (Arc<Home>, S, OrderId),
) -> (Presence, Option<Way>) {
    if let Some(lid) = lid
        && !std::fs::read(lid).is_ok_and(|text| text.first() == Some(&b'1'))
    {
        return (Presence::LidOpen, way);
    }
    let way = match way {
        Some(way) => way,
        None => match ask_way(&ask.0, &ask.1, &ask.2).await {
            Ok(way) => way,
            Err(failure) => return (Presence::Unasked(failure.advice().reason), None),
        },
    };
    let seen = match greet_as(&mut port, &way).await {
        Ok(facts) if facts.state == UnitState::Locked => Presence::Locked(facts.device_id),
        Ok(facts) => Presence::Unit(facts.device_id),
        Err(Failure::Port(PortError::Missing { .. }) | Failure::Unit(UnitError::Cable(_))) => {
            Presence::Nothing
        }
        Err(Failure::Port(_)) => Presence::Busy,
        Err(_) => Presence::Silent,
    };
    (seen, Some(way))
}

/// How the units of an order are spoken to.
///
/// # Errors
/// As of the server's answer, when it gives none of use.
pub(super) async fn ask_way(
    home: &Home,
    server: &impl Provisioning,
    order: &OrderId,
) -> Result<Way, Failure> {
    let desk = Desk {
        home,
        calls: Patient::new(server, Patience(Duration::ZERO)),
        operator: None,
    };
    // Without a server, as it said when it gave a lease.
    way(&desk.order(order, true).await?)
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
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use api::v1;
    use tokio::io::DuplexStream;

    use super::*;
    use crate::calls::CallError;
    use crate::printer::Printer;

    /// A server that is away, hangs in the kernel, or makes this program panic.
    #[derive(Clone)]
    enum Fake {
        Away,
        Panics,
        Hangs(Arc<Mutex<Receiver<()>>>),
    }

    impl Fake {
        fn answer<T>(&self) -> Result<T, CallError> {
            match self {
                Fake::Away => {}
                Fake::Panics => panic!("a fault of this program"),
                Fake::Hangs(end) => drop(end.lock().unwrap().recv()),
            }
            Err(CallError::Unavailable {
                reason: None,
                message: String::new(),
            })
        }
    }

    macro_rules! answers {
        ($($call:ident($request:ident) -> $reply:ident;)*) => {
            impl Provisioning for Fake {
                $(async fn $call(&self, _: v1::$request) -> Result<v1::$reply, CallError> {
                    self.answer()
                })*
            }
        };
    }

    answers! {
        open_order(OpenOrderRequest) -> OpenOrderResponse;
        issue(IssueRequest) -> IssueResponse;
        resume(ResumeRequest) -> IssueResponse;
        confirm(ConfirmRequest) -> ProofResponse;
        reprint(ReprintRequest) -> ProofResponse;
        seal(SealRequest) -> ProofResponse;
        void(VoidRequest) -> ProofResponse;
        rework(ReworkRequest) -> ProofResponse;
        scrap(ScrapRequest) -> ProofResponse;
        lease(LeaseRequest) -> LeaseResponse;
        spend(SpendRequest) -> ProofResponse;
        return_lease(ReturnLeaseRequest) -> ReturnLeaseResponse;
        unit_state(UnitStateRequest) -> UnitStateResponse;
    }

    /// A port that panics when it is opened, or is not there.
    #[derive(Clone)]
    struct FakePort {
        panics: bool,
    }

    impl Port for FakePort {
        type Stream = DuplexStream;

        fn path(&self) -> &'static str {
            "p"
        }

        async fn open(&mut self) -> Result<DuplexStream, PortError> {
            assert!(!self.panics, "a port that panics");
            Err(PortError::Missing {
                path: "p".to_owned(),
            })
        }
    }

    fn start(
        at: usize,
        home: &Arc<Home>,
        server: Fake,
        panics: bool,
        news: &mpsc::UnboundedSender<News>,
    ) -> Worker {
        let (home, news) = (Arc::clone(home), news.clone());
        let thread = thread::Builder::new();
        Worker::start(at, thread, news.clone(), move || Kit {
            at,
            labels: Printer::folder(home.labels()),
            home,
            server,
            port: FakePort { panics },
            lid: None,
            patience: Patience(Duration::ZERO),
            own_labels: true,
            order: OrderId::parse("WO-1").unwrap(),
            way: Some(None), // known: these servers are for turns
            news,
        })
    }

    fn turn(worker: &Worker) {
        let (_, labels) = mpsc::channel(1);
        let turn = Order::Turn {
            serial: Serial::parse("A47").unwrap(),
            order: OrderId::parse("WO-1").unwrap(),
            operator: OperatorId::parse("B-7").unwrap(),
            labels,
        };
        worker.orders.send(turn).ok().unwrap();
    }

    /// What a slot said of its turn: the reason, or that it broke off.
    fn said(news: &mut mpsc::UnboundedReceiver<News>, slot: usize) -> &'static str {
        loop {
            match news.blocking_recv().expect("a slot is at work") {
                News::Slot(at, SlotEvent::Ended(turned)) if at == slot => {
                    return turned.reason.unwrap_or("PASS");
                }
                News::Slot(at, SlotEvent::Died) if at == slot => return "died",
                _ => {}
            }
        }
    }

    #[test]
    fn a_slot_that_panics_or_hangs_holds_up_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let [home, other] = ["a", "b"].map(|name| {
            let dir = folder.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            let vkey = tlog::vkey("line.example/log", &[7; 32]).unwrap();
            let text =
                format!("server = \"https://a:1\"\nstation = \"bench-1\"\nvkey = \"{vkey}\"\n");
            std::fs::write(dir.join("station.toml"), text).unwrap();
            Arc::new(Home::open(&dir).unwrap())
        });
        let (news, mut heard) = mpsc::unbounded_channel();
        let (end, wait) = channel();
        let hangs = Fake::Hangs(Arc::new(Mutex::new(wait)));
        let hanging = start(0, &other, hangs, false, &news);
        let panicking = start(1, &home, Fake::Panics, false, &news);
        turn(&hanging);
        turn(&panicking);
        assert_eq!(said(&mut heard, 1), "died");
        turn(&panicking);
        assert_eq!(said(&mut heard, 1), "died", "its thread goes on");
        // A port that panics costs looks, never the slot.
        let away = start(2, &home, Fake::Away, true, &news);
        turn(&away);
        assert_eq!(said(&mut heard, 2), "NO_SERVER");
        assert!(!hanging.thread.as_ref().unwrap().is_finished());
        end.send(()).unwrap();
        assert_eq!(said(&mut heard, 0), "NO_SERVER");
        for worker in [hanging, panicking, away] {
            drop(worker.orders);
            worker.thread.unwrap().join().unwrap();
        }
    }

    #[test]
    fn a_slot_whose_thread_ends_is_reported() {
        let (news, mut heard) = mpsc::unbounded_channel();
        let never = || -> Kit<Fake, FakePort, Printer> { panic!("before its first look") };
        let thread = thread::Builder::new();
        let worker = Worker::start(4, thread, news.clone(), never);
        assert_eq!(said(&mut heard, 4), "died");
        assert!(worker.thread.unwrap().join().is_err());

        // More memory than any machine has: the system refuses the thread.
        let thread = thread::Builder::new().stack_size(1 << 60);
        let worker = Worker::start(5, thread, news, never);
        assert_eq!(said(&mut heard, 5), "died");
        assert!(worker.thread.is_none() && worker.orders.is_closed());
    }
}
