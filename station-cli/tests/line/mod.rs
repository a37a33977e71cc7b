//! A whole line in memory: a station's folder on disk, a unit, an honest server, and one checker
//! that is called after everything.

pub mod leases;
pub mod power;
pub mod server;
pub mod unit;

use std::cell::Cell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use station_cli::{
    Again, Ask, Bench, Failure, Home, Job, Labels, Patience, Printout, Progress, Report, Scanner,
    Stage, Synced, Taken, lease, provision, reprint, sync,
};
use tempfile::TempDir;
use traveler::{Attempt, Entry, Event, OperatorId, OrderId, Serial, State};
use zeroize::Zeroizing;

use server::{Call, Memory};
use unit::{Dut, Fixture};

/// What the operator does when asked to scan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hand {
    /// Scans the label that was printed for the serial.
    Scans,
    /// Scans the first print of it, whatever came after.
    Former,
    /// Nothing; standard input is closed.
    Leaves,
    /// Scans the label of this serial instead.
    Mistakes(&'static str),
    /// Scans a label with this serial's name and another password.
    Forges,
}

/// Labels as they came out of the printer, and how often each serial's did.
pub type Tray = Arc<Mutex<HashMap<Serial, (String, u32)>>>;

/// What a printer does with a label.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Paper {
    /// Prints it, and says so.
    #[default]
    Good,
    /// Says beforehand that it is out of paper.
    Out,
    /// Takes it and says nothing more; a label comes out.
    Silent,
    /// Takes it and says nothing more; none comes out.
    Eats,
    /// A folder: what was put there lies there, to be seen.
    Folder,
    /// A folder out of which something prints and takes the label away.
    Feeder,
}

/// Puts labels on the tray.
pub struct Printer(pub Tray, pub Paper);

impl Labels for Printer {
    async fn print(
        &mut self,
        label: &Printout<'_>,
        begin: &mut (dyn FnMut() -> io::Result<()> + Send),
    ) -> io::Result<Taken> {
        tokio::task::yield_now().await;
        if self.1 == Paper::Out {
            return Err(io::Error::other("out of paper"));
        }
        begin()?;
        tokio::task::yield_now().await;
        if self.1 != Paper::Eats {
            let mut tray = self.0.lock().unwrap();
            let slot = tray.entry(label.serial.clone()).or_default();
            *slot = (label.zpl.to_owned(), slot.1 + 1);
        }
        tokio::task::yield_now().await;
        match self.1 {
            Paper::Good | Paper::Folder | Paper::Feeder => Ok(Taken::Printed),
            _ => Ok(Taken::Unknown("it says nothing".into())),
        }
    }

    fn holds(&self, label: &Printout<'_>) -> bool {
        let tray = self.0.lock().unwrap();
        self.1 == Paper::Folder
            && tray
                .get(label.serial)
                .is_some_and(|lies| lies.0 == label.zpl)
    }
}

/// Scans labels from the tray.
pub struct Operator(pub Tray, pub Hand);

impl Scanner for Operator {
    async fn scan(&mut self, serial: &Serial) -> io::Result<Option<Zeroizing<String>>> {
        tokio::task::yield_now().await;
        let of = match self.1 {
            Hand::Leaves => return Ok(None),
            Hand::Forges => return Ok(Some(format!("BM1:{serial}:K7QDM2X9TR4W").into())),
            Hand::Scans | Hand::Former => serial.clone(),
            Hand::Mistakes(other) => Serial::parse(other).unwrap(),
        };
        let tray = self.0.lock().unwrap();
        let Some((zpl, _)) = tray.get(&of) else {
            return Ok(None);
        };
        let code = &zpl[zpl.find("BM1:").unwrap()..];
        let code = &code[..code.find("^FS").unwrap()];
        let former = code.split_once(" R").map_or(code, |(former, _)| former);
        let shown = match self.1 {
            Hand::Former => former,
            _ => code,
        };
        Ok(Some(shown.to_owned().into()))
    }
}

/// Stages as they were gone through.
#[derive(Default)]
pub struct Stages(pub Vec<Stage>);

impl Progress for Stages {
    fn stage(&mut self, _: &Serial, stage: Stage) {
        self.0.push(stage);
    }

    fn ended(&mut self, _: &Report) {}
}

/// One station with one slot.
pub struct Line {
    folder: TempDir,
    /// What it was before each power cut.
    dead: Vec<TempDir>,
    /// Of the logs whose checkpoint was seen on its disk.
    longest: Cell<u64>,
    pub home: Home,
    pub server: Memory,
    pub fixture: Fixture,
    pub tray: Tray,
    pub hand: Hand,
    pub paper: Paper,
    pub patience: Duration,
    pub reconnect: Duration,
    /// Everything that was printed for people or machines.
    pub output: String,
}

/// A serial of these tests.
pub fn serial(text: &str) -> Serial {
    Serial::parse(text).unwrap()
}

impl Line {
    /// A line with a blank unit that makes its own key, a label, and no patience.
    pub fn new() -> Line {
        let folder = tempfile::tempdir().unwrap();
        let server = Memory::new("bench-1");
        let home = home(folder.path(), &server);
        Line {
            folder,
            dead: Vec::new(),
            longest: Cell::new(0),
            home,
            server,
            fixture: Fixture::new("/dev/slot-1", Dut::new([0xA1; 8], true)),
            tray: Tray::default(),
            hand: Hand::Scans,
            paper: Paper::Folder,
            patience: Duration::ZERO,
            reconnect: Duration::ZERO,
            output: String::new(),
        }
    }

    /// Another unit in the fixture.
    pub fn put_in(&mut self, dut: Dut) -> Dut {
        std::mem::replace(&mut self.fixture.dut(), dut)
    }

    /// One run to its end.
    pub async fn run(&mut self, name: &str) -> Report {
        self.run_until(name, usize::MAX).await.unwrap()
    }

    fn job(&self, name: &str) -> (Job, Bench<Memory, Fixture, Operator, Printer, Stages>) {
        let job = Job {
            order: OrderId::parse("WO-1").unwrap(),
            serial: serial(name),
            operator: None,
            patience: Patience(self.patience),
            reconnect: self.reconnect,
        };
        let bench = Bench {
            server: self.server.clone(),
            port: self.fixture.clone(),
            scanner: Operator(self.tray.clone(), self.hand),
            labels: Printer(self.tray.clone(), self.paper),
            progress: Stages::default(),
        };
        (job, bench)
    }

    /// One run that the power goes in after so many polls; `None` when it did.
    pub async fn run_until(&mut self, name: &str, polls: usize) -> Option<Report> {
        let (job, mut bench) = self.job(name);
        let ended = until(provision(&job, &self.home, &mut bench), polls).await;
        let Some(report) = ended else {
            self.cut();
            return None;
        };
        self.output += &format!("{}\n{report}\n", report.to_json());
        Some(report)
    }

    /// How often a call was made.
    pub fn calls(&self, call: Call) -> usize {
        self.server
            .books()
            .calls
            .iter()
            .filter(|made| **made == call)
            .count()
    }

    /// Where the server has a serial.
    pub fn state(&self, name: &str) -> Option<State> {
        self.server
            .books()
            .units
            .get(&serial(name))
            .map(|row| row.state)
    }

    /// How often a label was printed for a serial.
    pub fn printed(&self, name: &str) -> u32 {
        self.tray
            .lock()
            .unwrap()
            .get(&serial(name))
            .map_or(0, |label| label.1)
    }

    /// Leases so many credentials, A47 and up.
    pub async fn lease(&self, serials: &[&str]) -> Result<usize, Failure> {
        let serials: Vec<Serial> = serials.iter().map(|name| serial(name)).collect();
        let order = OrderId::parse("WO-1").unwrap();
        let ask = Ask {
            order: &order,
            serials: &serials,
            valid_s: 0,
            operator: None,
            patience: Patience(self.patience),
        };
        lease(&self.home, &self.server, &ask).await
    }

    /// One run, during which something happens after so many polls.
    pub async fn run_and(&mut self, name: &str, polls: usize, then: impl FnOnce()) -> Report {
        let (job, mut bench) = self.job(name);
        let mut left = polls;
        let mut then = Some(then);
        let mut run = Box::pin(provision(&job, &self.home, &mut bench));
        let report = poll_fn(|cx| {
            if left == 0
                && let Some(then) = then.take()
            {
                then();
            }
            left = left.saturating_sub(1);
            run.as_mut().poll(cx)
        })
        .await;
        drop(run);
        self.output += &format!("{}\n{report}\n", report.to_json());
        report
    }

    /// A run with no server; why it ended.
    pub async fn run_away(&mut self) -> Option<&'static str> {
        self.server.books().away = true;
        self.run("A47").await.reason
    }

    /// Asks for the label again; its number.
    pub async fn reprint(&self, name: &str) -> u32 {
        let again = Again {
            serial: serial(name),
            reason: "none came out".into(),
            operator: OperatorId::parse("OP-7").unwrap(),
            patience: Patience(self.patience),
        };
        let mut labels = Printer(self.tray.clone(), self.paper);
        let done = reprint(&self.home, &self.server, &mut labels, &again).await;
        done.unwrap().reprint
    }

    /// Withdraws a serial whose unit will not come back.
    pub async fn void(&self, name: &str) -> Result<Vec<Synced>, Failure> {
        let serial = serial(name);
        let patience = Patience(self.patience);
        sync(&self.home, &self.server, patience, Some((&serial, None))).await
    }

    /// Whether a key of a lease is left.
    pub fn has_lease_key(&self) -> bool {
        let entries = std::fs::read_dir(self.home.dir().join("lease"));
        let mut names = entries.into_iter().flatten().flatten();
        names.any(|entry| entry.file_name().to_string_lossy().starts_with("key"))
    }

    /// A leased credential, as it lies on disk.
    pub fn lease_file(&self, name: &str) -> String {
        let path = self.home.dir().join(format!("lease/{name}.json"));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// What the server has yet to hear of a serial, as it lies on disk.
    pub fn outbox(&self, name: &str) -> String {
        let path = self.home.dir().join(format!("outbox/{name}.json"));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Serials with a credential in the lease folder.
    pub fn held(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.dir().join("lease"));
        let names = entries.into_iter().flatten().flatten();
        let names = names.map(|entry| entry.file_name().into_string().unwrap());
        let mut held: Vec<String> = names
            .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
            .filter(|name| !name.contains('.'))
            .collect();
        held.sort();
        held
    }

    /// The files of the journal, locks included.
    pub fn journal(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.dir().join("journal"));
        let names = entries.into_iter().flatten().flatten();
        names
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    }

    /// What must hold whatever happened.
    pub fn check(&self) {
        let books = self.server.books();
        // No unit holds what the ledger does not: a whole bundle in flash is one that was issued.
        let flash = self.fixture.dut().flash();
        let holds = |bundle: &[u8]| flash.windows(bundle.len()).any(|bytes| bytes == bundle);
        let held: Vec<_> = books
            .given
            .iter()
            .filter(|given| holds(&given.bundle))
            .collect();
        assert!(held.len() <= 1, "two bundles in one flash");
        // Nobody is locked before the server knows that the unit holds its bundle.
        if self.fixture.dut().is_locked() {
            let holder = (&held[0].serial, held[0].attempt);
            let told = self.outbox(holder.0.as_str());
            assert!(
                was_loaded(&books.entries, holder) || told.contains("\"confirm\""),
                "locked before it was confirmed"
            );
        }
        // Whoever is sealed can be logged into with what the log committed to.
        for (serial, row) in &books.units {
            if row.state == State::Sealed && row.step.device_id.as_str() == self.device_id() {
                let sealed = (serial, row.step.attempt);
                assert!(
                    held.iter()
                        .any(|given| (&given.serial, given.attempt) == sealed)
                );
                assert!(!self.journal().contains(&format!("{serial}.lock")));
            }
        }
        never_two_live(&books.entries);
        drop(books);
        self.check_checkpoint();
        self.no_secret_outside_unit_and_label();
    }

    fn device_id(&self) -> String {
        self.fixture.dut().device_id()
    }

    /// No issued password or bundle in any file of the station, nor in anything it printed.
    fn no_secret_outside_unit_and_label(&self) {
        let books = self.server.books();
        let mut artefacts = vec![self.output.clone().into_bytes()];
        read_all(self.folder.path(), &mut artefacts);
        for given in &books.given {
            for secret in [&given.password[..], &given.bundle[..64]] {
                let clear = |bytes: &Vec<u8>| bytes.windows(secret.len()).any(|w| w == secret);
                assert!(
                    !artefacts.iter().any(clear),
                    "a secret of {} leaked",
                    given.serial
                );
            }
        }
    }
}

/// Whether an attempt was ever recorded as loaded.
fn was_loaded(entries: &[Vec<u8>], (serial, attempt): (&Serial, Attempt)) -> bool {
    let loaded = |event: &Event| match event {
        Event::Loaded { step, .. } => (&step.serial, step.attempt) == (serial, attempt),
        _ => false,
    };
    count(entries, loaded) > 0
}

/// An attempt is issued only after the one before it was closed.
fn never_two_live(entries: &[Vec<u8>]) {
    let mut open: HashMap<Serial, Attempt> = HashMap::new();
    for bytes in entries {
        let entry = Entry::from_bytes(bytes).unwrap();
        let Some((step, state)) = entry.event.step() else {
            continue;
        };
        match state {
            State::Issued => assert_eq!(open.insert(step.serial.clone(), step.attempt), None),
            State::Loaded => assert_eq!(open.get(&step.serial), Some(&step.attempt)),
            State::Scrapped | State::Rework => assert_eq!(open.get(&step.serial), None),
            _ => assert_eq!(open.remove(&step.serial), Some(step.attempt)),
        }
    }
}

/// How often something was recorded.
pub fn count(entries: &[Vec<u8>], is: impl Fn(&Event) -> bool) -> usize {
    let events = entries
        .iter()
        .map(|bytes| Entry::from_bytes(bytes).unwrap().event);
    events.filter(is).count()
}

/// An enrolled station's folder, as far as a run without TLS looks at it.
pub fn home(dir: &Path, server: &Memory) -> Home {
    let vkey = server.books().vkey();
    let text = format!("server = \"https://memory\"\nstation = \"bench-1\"\nvkey = \"{vkey}\"\n");
    std::fs::write(dir.join("station.toml"), text).unwrap();
    Home::open(dir).unwrap()
}

fn read_all(dir: &Path, out: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        match entry.path().is_dir() {
            true => read_all(&entry.path(), out),
            // One that is just taking another's place is read under that name.
            false => out.extend(std::fs::read(entry.path()).ok()),
        }
    }
}

/// Polls a future so many times, then drops it: what a power cut does. What it leaves: [`Line::cut`].
pub async fn until<T>(future: impl Future<Output = T>, mut polls: usize) -> Option<T> {
    let mut future = Box::pin(future);
    poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}
