//! Slots at work with servers and ports that fail.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use api::v1;
use tokio::io::DuplexStream;
use traveler::DeviceId;
use wire::profile::Profile;

use super::*;
use crate::calls::CallError;
use crate::journal::Open;
use crate::port::PortError;
use crate::printer::Printer;

/// A server that is away, hangs in the kernel, or makes this program panic.
#[derive(Clone)]
enum Fake {
    Away,
    Panics,
    Hangs(Arc<Mutex<Receiver<()>>>),
    /// Away, and notes which order it is asked for.
    Asked(Arc<Mutex<Vec<String>>>),
}

impl Fake {
    fn answer<T>(&self) -> Result<T, CallError> {
        match self {
            Fake::Away | Fake::Asked(_) => {}
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
            async fn open_order(
                &self,
                request: v1::OpenOrderRequest,
            ) -> Result<v1::OpenOrderResponse, CallError> {
                if let Fake::Asked(asked) = self {
                    asked.lock().unwrap().push(request.order);
                }
                self.answer()
            }

            $(async fn $call(&self, _: v1::$request) -> Result<v1::$reply, CallError> {
                self.answer()
            })*
        }
    };
}

answers! {
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
    Worker::start(at, thread, news.clone(), move || {
        kit(at, &home, server, panics, news)
    })
}

fn kit(
    at: usize,
    home: &Arc<Home>,
    server: Fake,
    panics: bool,
    news: mpsc::UnboundedSender<News>,
) -> Kit<Fake, FakePort, Printer> {
    let order = OrderId::parse("WO-1").unwrap();
    Kit {
        at,
        labels: Printer::folder(home.labels()),
        home: Arc::clone(home),
        server,
        port: FakePort { panics },
        lid: None,
        patience: Patience(Duration::ZERO),
        link: Arc::default(),
        by: order.clone(),
        order,
        way: Some(None), // known: these servers are for turns
        news,
    }
}

fn home(dir: &std::path::Path) -> Arc<Home> {
    std::fs::create_dir(dir).unwrap();
    let vkey = tlog::vkey("line.example/log", &[7; 32]).unwrap();
    let text = format!("server = \"https://a:1\"\nstation = \"bench-1\"\nvkey = \"{vkey}\"\n");
    std::fs::write(dir.join("station.toml"), text).unwrap();
    Arc::new(Home::open(dir).unwrap())
}

/// A power cut with a unit of another order in work: that order says how it is spoken to, and
/// nothing is typed before it did.
#[test]
fn what_has_to_come_back_is_looked_for_as_its_own_order_says() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(&folder.path().join("a"));
    let serial = Serial::parse("A47").unwrap();
    let mut claim = home.journal().claim(&serial).unwrap();
    let other = OrderId::parse("WO-2").unwrap();
    let open = Open {
        serial,
        order: other.clone(),
        port: "p".to_owned(),
        device_id: DeviceId::parse("00112233").unwrap(),
        issued: None,
        withdraw: None,
    };
    claim.write(open).unwrap();
    let (news, mut heard) = mpsc::unbounded_channel();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let worker = start(0, &home, Fake::Asked(Arc::clone(&asked)), true, &news);
    let seen = heard.blocking_recv();
    assert!(matches!(
        seen,
        Some(News::Slot(0, SlotEvent::Present(Presence::Unasked(_))))
    ));
    drop(worker.orders);
    worker.thread.unwrap().join().unwrap();
    let asked = asked.lock().unwrap();
    let right = asked.iter().all(|order| order == "WO-2");
    assert!(right && !asked.is_empty(), "{asked:?}");
    // Settled, and taken out: the shift's own again.
    let mut kit = kit(0, &home, Fake::Away, false, news);
    kit.look_by(other);
    kit.way = Some(None);
    claim.settle().unwrap();
    kit.look_by_journal();
    assert_eq!((&kit.by, kit.way.is_none()), (&kit.order, true));
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
    let [home, other] = ["a", "b"].map(|name| home(&folder.path().join(name)));
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

/// Who scans REPRINT or SCRAP while everybody knows that the server is away gets an answer at once.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_server_that_is_known_to_be_away() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(&folder.path().join("a"));
    let serial = Serial::parse("A47").unwrap();
    let operator = OperatorId::parse("B-7").unwrap();
    for (away, patient) in [(false, true), (true, false)] {
        let (news, mut heard) = mpsc::unbounded_channel();
        let mut kit = kit(0, &home, Fake::Away, false, news);
        kit.patience = Patience(Duration::from_secs(15));
        kit.link.looked(true);
        kit.link.set_away(away);
        let began = tokio::time::Instant::now();
        kit.withdraw(&serial, &operator, None, true).await;
        kit.reprint(serial.clone(), operator.clone()).await;
        assert_eq!(began.elapsed() > Duration::from_secs(20), patient);
        let said = std::iter::from_fn(|| heard.try_recv().ok());
        let refused = |news: News| match news {
            News::Slot(_, SlotEvent::Withdrawn(done) | SlotEvent::Reprinted(done)) => done.err(),
            _ => None,
        };
        let said: Vec<_> = said.filter_map(refused).collect();
        assert_eq!(said, ["NO_SERVER"; 2]);
    }
}

/// A maker's tool that finds no unit says so at once; only a unit that is silent may be dead.
#[tokio::test]
async fn a_slot_where_a_tool_finds_no_unit_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(&folder.path().join("a"));
    for (code, expected) in [(4, Presence::Nothing), (5, Presence::Silent)] {
        let asks = format!("run = [\"sh\", \"-c\", \"exit {code}\"], absent = [4]");
        let text = format!(
            r#"
            name = "tool"
            version = 1
            driver = "exec"
            parts = ["password"]
            states = {{ blank = "0", loaded = "1" }}
            identify.run = [{{ {asks}, capture = {{ device_id = "(1)", model = "(m)" }} }}]
            precheck.run = [{{ run = ["true"], capture = {{ marker = "([01])" }} }}]
            write.run = [{{ run = ["cat"], stdin = ["{{password}}"] }}]
            persist.none = "writing it persists it"
            verify.run = [{{ run = ["true"], read_back = {{ password = "(p)" }} }}]
            reset.run = [{{ run = ["true"] }}]
            verify_again.like = "verify"
            lock.none = "these units have no lock at all"
            "#
        );
        let profile = Profile::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let (news, _heard) = mpsc::unbounded_channel();
        let mut kit = kit(0, &home, Fake::Away, false, news);
        kit.way = Some(Some(Arc::new(profile)));
        assert_eq!(kit.look(Duration::ZERO).await.0, expected, "{code}");
    }
}

/// A shift before this one printed into the station's own folder; this one has a printer.
#[tokio::test]
async fn a_label_of_a_unit_that_is_done_is_not_left_behind_wherever_this_run_prints() {
    let folder = tempfile::tempdir().unwrap();
    let home = home(&folder.path().join("a"));
    std::fs::create_dir(home.labels()).unwrap();
    let left = home.labels().join("A47.zpl");
    std::fs::write(&left, "secret").unwrap();
    let (news, _heard) = mpsc::unbounded_channel();
    let mut kit = kit(0, &home, Fake::Away, false, news);
    kit.labels = Printer::folder(folder.path().join("b"));
    let (_, labels) = mpsc::channel(1);
    let [serial, operator] = ["A47", "B-7"];
    let (serial, operator) = (Serial::parse(serial), OperatorId::parse(operator));
    let order = kit.order.clone();
    kit.turn(serial.unwrap(), order, operator.unwrap(), labels)
        .await;
    assert!(!left.exists());
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
