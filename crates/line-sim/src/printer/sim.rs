//! A network printer in a thread: raw TCP, `~HS`, and what goes wrong with printers.
//!
//! It keeps what a printer keeps over connections: labels that wait for paper come out when there is
//! some, and a label that was cut in the middle stays a part until `~JX` takes it away or the next
//! label is swallowed by it. Written from the ZPL II Programming Guide (`~HS`, `~JX`, `^XA`, `^XZ`).
//! Deliberately absent: fonts, and anything that a station does not send.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use station_cli::Scanner;
use traveler::Serial;
use zeroize::Zeroizing;

/// How often a connection looks whether the printer was switched off.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What goes wrong with a printer, until something else does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PrinterFault {
    /// Nothing.
    #[default]
    None,
    /// Labels wait until there is paper.
    PaperOut,
    /// The same until the head is closed.
    HeadOpen,
    /// Somebody pressed PAUSE.
    Paused,
    /// Out of paper, and of a make that does not answer then.
    PaperOutAndMute,
    /// It answers nothing and prints nothing: it hangs.
    Silent,
    /// It prints each label, and answers nothing from the first on.
    ReplyLost,
    /// It hangs up for good after so many bytes of a label.
    Cut(usize),
    /// Its paper ends with the next label, which does not come out.
    EndsNext,
    /// Its answer comes after so many milliseconds, and says how it was when it was asked.
    Late(u64),
}

impl PrinterFault {
    /// Those that a person switches by name.
    pub(crate) const NAMES: [(&'static str, PrinterFault); 8] = [
        ("well", PrinterFault::None),
        ("paper-out", PrinterFault::PaperOut),
        ("head-open", PrinterFault::HeadOpen),
        ("paused", PrinterFault::Paused),
        ("silent", PrinterFault::Silent),
        ("reply-lost", PrinterFault::ReplyLost),
        ("cut", PrinterFault::Cut(100)),
        ("late", PrinterFault::Late(2_500)),
    ];

    /// The fault of a name.
    pub(crate) fn named(name: &str) -> Option<PrinterFault> {
        let found = PrinterFault::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, fault)| *fault)
    }
}

/// A piece of paper that came out. Holds a secret: no `Debug`.
pub struct Paper(Zeroizing<String>);

impl Paper {
    /// The label as it was sent.
    #[must_use]
    pub fn zpl(&self) -> &str {
        &self.0
    }

    /// What a scanner reads from it.
    #[must_use]
    pub fn code(&self) -> Option<Zeroizing<String>> {
        super::code(&self.0)
    }
}

#[derive(Default)]
struct State {
    fault: PrinterFault,
    out: Vec<Arc<Paper>>,
    waiting: Vec<Zeroizing<String>>,
    /// What came of a label that is not whole.
    part: Zeroizing<String>,
    /// Whether a label came since the fault began.
    began: bool,
}

/// A printer on a port of this machine, until it is dropped. Clones are the same printer.
#[derive(Clone)]
pub struct SimPrinter {
    inner: Arc<Inner>,
}

struct Inner {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    off: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.off.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address); // it waits for one
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

impl SimPrinter {
    /// Switches one on, on a port that the system chooses.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start() -> io::Result<SimPrinter> {
        SimPrinter::start_at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Switches one on, on this port.
    ///
    /// # Errors
    /// When it is taken.
    pub fn start_at(address: SocketAddr) -> io::Result<SimPrinter> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let (state, off) = (Arc::<Mutex<State>>::default(), Arc::<AtomicBool>::default());
        let (its_state, its_off) = (Arc::clone(&state), Arc::clone(&off));
        let thread = std::thread::spawn(move || serve(&listener, &its_state, &its_off));
        Ok(SimPrinter {
            inner: Arc::new(Inner {
                address,
                state,
                off,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// What `station-cli --printer` takes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("tcp:{}", self.inner.address)
    }

    /// Something goes wrong from now on, or is put right: what waited comes out then.
    pub fn fault(&self, fault: PrinterFault) {
        let mut state = lock(&self.inner.state);
        state.fault = fault;
        state.began = false;
        if state.prints() {
            let waiting = std::mem::take(&mut state.waiting);
            for label in waiting {
                state.out.push(Arc::new(Paper(label)));
            }
        }
    }

    /// What came out, in order.
    #[must_use]
    pub fn out(&self) -> Vec<Arc<Paper>> {
        lock(&self.inner.state).out.clone()
    }
}

/// Scans what came out last for a serial; nothing when nothing did.
impl Scanner for SimPrinter {
    async fn scan(&mut self, serial: &Serial) -> io::Result<Option<Zeroizing<String>>> {
        let mark = format!("BM1:{serial}:");
        let codes = self.out();
        let codes = codes.iter().rev().filter_map(|paper| paper.code());
        let mut of_serial = codes.filter(|code| code.starts_with(&mark));
        Ok(of_serial.next())
    }
}

impl State {
    /// Whether a label comes out when it is whole.
    fn prints(&self) -> bool {
        matches!(
            self.fault,
            PrinterFault::None
                | PrinterFault::ReplyLost
                | PrinterFault::Cut(_)
                | PrinterFault::Late(_)
        )
    }

    fn answers(&self) -> bool {
        match self.fault {
            PrinterFault::Silent | PrinterFault::PaperOutAndMute => false,
            PrinterFault::ReplyLost => !self.began,
            _ => true,
        }
    }

    fn whole(&mut self, label: Zeroizing<String>) {
        if self.fault == PrinterFault::EndsNext {
            self.fault = PrinterFault::PaperOut;
        }
        match (self.fault, self.prints()) {
            (PrinterFault::Silent, _) => {}
            (_, true) => self.out.push(Arc::new(Paper(label))),
            (_, false) => self.waiting.push(label),
        }
    }

    fn status(&self) -> String {
        let flag = |is| u8::from(is);
        let paper_out = matches!(
            self.fault,
            PrinterFault::PaperOut | PrinterFault::PaperOutAndMute
        );
        let (paused, head) = (
            flag(self.fault == PrinterFault::Paused),
            flag(self.fault == PrinterFault::HeadOpen),
        );
        format!(
            "\x02030,{},{paused},0240,{:03},0,0,{},000,0,0,0\x03\r\n\
             \x02000,0,{head},0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n",
            flag(paper_out),
            self.waiting.len(),
            flag(!self.part.is_empty()),
        )
    }
}

/// One connection at a time, as these printers have.
fn serve(listener: &TcpListener, state: &Mutex<State>, off: &AtomicBool) {
    while let Ok((mut stream, _)) = listener.accept() {
        if off.load(Ordering::Relaxed) {
            return;
        }
        let _ = talk(&mut stream, state, off); // a station that hangs up is no trouble
    }
}

fn talk(stream: &mut TcpStream, state: &Mutex<State>, off: &AtomicBool) -> io::Result<()> {
    stream.set_read_timeout(Some(LOOK_EVERY))?;
    let mut bytes = Zeroizing::new([0; 1_024]);
    while !off.load(Ordering::Relaxed) {
        let count = match stream.read(bytes.as_mut_slice()) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        for byte in &bytes[..count] {
            let heard = hear(&mut lock(state), char::from(*byte));
            match heard {
                Heard::Nothing => {}
                Heard::Asked(None, _) => {}
                Heard::Asked(Some(answer), late) => {
                    std::thread::sleep(late);
                    stream.write_all(answer.as_bytes())?;
                }
                Heard::Cut => return Ok(()),
            }
        }
    }
    Ok(())
}

enum Heard {
    Nothing,
    Asked(Option<String>, Duration),
    Cut,
}

/// Takes one character. `~` begins a command that is done at once, wherever it stands.
fn hear(state: &mut State, c: char) -> Heard {
    let before = state.part.len();
    if state.part.is_empty() && c.is_whitespace() {
        return Heard::Nothing;
    }
    if state.part.capacity() == 0 {
        state.part.reserve(1 << 20); // a buffer that grows leaves part of a secret behind
    }
    state.part.push(c);
    if let Some(at) = state
        .part
        .rfind('~')
        .filter(|at| state.part.len() - at == 3)
    {
        let command = state.part[at..].to_owned();
        match command.as_str() {
            "~HS" => {
                state.part.truncate(at);
                let late = match state.fault {
                    PrinterFault::Late(ms) => Duration::from_millis(ms),
                    _ => Duration::ZERO,
                };
                let answer = state.answers().then(|| state.status());
                return Heard::Asked(answer, late);
            }
            "~JX" => state.part.clear(),
            _ => {}
        }
    }
    if state.part.ends_with("^XZ") {
        state.began = true;
        let label = std::mem::take(&mut state.part);
        state.whole(label);
    }
    match state.fault {
        PrinterFault::Cut(after) if before < after && state.part.len() >= after => {
            state.fault = PrinterFault::None;
            Heard::Cut
        }
        _ => Heard::Nothing,
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
