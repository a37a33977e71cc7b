//! What each fuzz target does with one input; the targets themselves are ten lines.
//!
//! `tests/fuzz/run SECONDS` builds the targets with coverage and runs each for so long. Without a
//! fuzzer a target takes its input from standard input, which replays a finding:
//! `cargo run -p fuzz --bin csv < FINDING`.

mod native;

pub use native::native;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use credential::{Bundle, Password, Salt};
use guess::Facts;
use guess::csv::{Read, Reader};
use guess::list::{Column, List, Severity, audit};
use hsm::message::{self, v1};
use prost::Message;
use traveler::{Attempt, Serial};
use wire::console::{Action, Console, Event, Transcript, Values, replay};
use wire::profile::{ConsoleProfile, Driver, Part, Profile, SHIPPED, Step};

/// A password that no input has by chance.
const PASSWORD: &[u8] = b"K7QDM2X9TR4W";

/// Turns of one conversation: its waits are bounded, so more would be a loop.
const TURNS: usize = 100_000;

/// Rows an audit is given: more only makes the fuzzer slower.
const ROWS: usize = 48;

/// Makes the entry point of a target: of the fuzzer's, or of a program that replays one input.
#[macro_export]
macro_rules! target {
    ($body:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $body(input));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            let mut input = vec![];
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut input)?;
            $body(&input);
            Ok(())
        }
    };
}

/// A table is read, or refused, alike whatever pieces it arrives in.
pub fn csv(input: &[u8]) {
    let Some((&size, text)) = input.split_first() else {
        return;
    };
    let whole = told(read(text, text.len().max(1)));
    assert_eq!(whole, told(read(text, usize::from(size) + 1)));
}

fn read(text: &[u8], piece: usize) -> Result<Read, String> {
    let mut reader = Reader::new();
    for piece in text.chunks(piece) {
        reader.feed(piece).map_err(|error| error.to_string())?;
    }
    reader.finish().map_err(|error| error.to_string())
}

type Told = (Vec<u64>, Vec<String>, Vec<Vec<u8>>);

fn told(read: Result<Read, String>) -> Result<Told, String> {
    let read = read?;
    assert_eq!(read.lines.len(), read.list.len());
    assert!(!read.list.is_empty() && read.lines.is_sorted());
    let rows = 0..read.list.len();
    let cells = rows.flat_map(|row| read.columns.iter().map(move |column| (*column, row)));
    let cells = cells.map(|(column, row)| read.list.cell(column, row).to_vec());
    let cells = cells.collect();
    Ok((read.lines, read.ignored, cells))
}

/// The door for one record answers, whatever a unit says of itself.
pub fn record(input: &[u8]) {
    let mut parts = input.split(|byte| *byte == b'\n');
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let [password, serial, device_id, mac, model, ssid] = std::array::from_fn(|_| text());
    let earlier: Vec<&[u8]> = parts.collect();
    let facts = Facts {
        serial: &serial,
        device_id: &device_id,
        macs: &[mac],
        model: &model,
        ssid: Some(&ssid),
        public: &[&model],
    };
    let first = guess::judge(password.as_bytes(), &facts, &earlier);
    assert_eq!(first, guess::judge(password.as_bytes(), &facts, &earlier));
}

/// The door for lists answers, names only rows that are there, and shows no password.
pub fn list(input: &[u8]) {
    let Some((&columns, text)) = input.split_first() else {
        return;
    };
    let given: Vec<Column> = (0..7)
        .map(|bit| Column::ALL[bit])
        .filter(|column| *column == Column::Password || columns >> (*column as u8) & 1 == 1)
        .collect();
    let mut list = List::new(&given);
    for line in text.split(|byte| *byte == b'\n').take(ROWS) {
        let cells = line.split(|byte| *byte == b',');
        let row: Vec<(Column, &[u8])> = given.iter().copied().zip(cells).collect();
        list.push(&row);
    }
    let state = RefCell::new(u64::from(columns));
    let mut random = |out: &mut [u8]| {
        for byte in out {
            let mut state = state.borrow_mut();
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (*state >> 56) as u8;
        }
    };
    let report = audit(&list, 48, &mut random, 1, &|_| {});
    assert_eq!(report.rows, list.len());
    assert!(report.bits >= 0.0 && report.bits.is_finite());
    // What is in an identifier as well is no secret; anything else of a password must not be told.
    let secret = |row: usize| {
        let password = String::from_utf8_lossy(list.cell(Column::Password, row)).into_owned();
        let told = given.iter().filter(|column| **column != Column::Password);
        let known =
            told.map(|column| String::from_utf8_lossy(list.cell(*column, row)).into_owned());
        let known: String = known.collect();
        (password.len() >= 12 && !known.contains(&password)).then_some(password)
    };
    let secrets: Vec<String> = (0..list.len()).filter_map(secret).collect();
    for finding in &report.findings {
        let told = |secret: &&String| finding.evidence.contains(secret.as_str());
        assert!(
            !secrets.iter().any(|it| told(&it)),
            "evidence repeats a password"
        );
        assert!(finding.rows <= list.len(), "{finding:?}");
        assert!(
            finding.examples.iter().all(|row| *row < list.len()),
            "{finding:?}"
        );
        assert!(finding.chance_log10 <= 0.0, "{finding:?}");
        assert!(finding.severity != Severity::Refused || !finding.evidence.is_empty());
    }
}

/// The PKCS#11 module answers any caller in front of any token.
pub fn pkcs11(input: &[u8]) {
    hsm_sim_pkcs11::drive(input);
}

/// A frame between a token and its client is read as it was written, or refused; never more of it
/// than it says.
pub fn frame(input: &[u8]) {
    one_frame::<v1::Request>(input);
    one_frame::<v1::Response>(input);
}

fn one_frame<M: Message + Default + PartialEq>(input: &[u8]) {
    let mut left = input;
    let Ok(Some(read)) = message::read::<M>(&mut left) else {
        return;
    };
    let taken = input.len() - left.len();
    assert!(taken <= 4 + message::FRAME_MAX);
    let mut written = Vec::new();
    if message::write(&mut written, &read).is_err() {
        // Fields that were given twice were read as one: it can only have become shorter.
        panic!("a message that was read cannot be written");
    }
    let again = message::read::<M>(&mut written.as_slice());
    assert!(again.is_ok_and(|again| again == Some(read)));
}

/// A profile is read, or refused with a place; a transcript that is read is written the same, and
/// held with a profile it ends.
pub fn profile(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Err(error) = Profile::parse(&text) {
        assert!(!error.to_string().is_empty());
    }
    if let Ok(transcript) = Transcript::parse(&text) {
        let again = Transcript::parse(&transcript.to_string());
        assert_eq!(again.as_ref(), Ok(&transcript));
        let _ = replay(&shipped(0), &transcript, &bundle());
    }
}

/// A console that says anything at all: every step ends, and what it never said was not read back.
pub fn console(input: &[u8]) {
    let Some((&which, said)) = input.split_first() else {
        return;
    };
    let mut pieces = said.split(|byte| *byte == 0xff);
    let mut console = Console::new(shipped(usize::from(which) % SHIPPED.len()));
    console.holds(Values::of(&bundle()));
    let mut now = Duration::ZERO;
    for step in [Step::Identify, Step::Precheck, Step::Verify] {
        if console.begin(step).is_err() {
            return;
        }
        let mut action = console.on(Event::Opened, now);
        for turn in 0.. {
            assert!(turn < TURNS, "{step} does not end");
            let (typed, within) = match action {
                Err(_) => break,
                Ok(Action::Finish(found)) => {
                    let read = found.read_back.contains(&Part::Password);
                    // A login shows it by a dialogue, and what was typed is not in the input.
                    let shown = usize::from(which) % SHIPPED.len() == 1;
                    assert!(!read || shown || holds_in_order(said, PASSWORD), "{step}");
                    break;
                }
                Ok(Action::Wait(within)) => (Vec::new(), within),
                Ok(Action::Send(typed, within)) => (typed.to_vec(), within),
            };
            // Echoes what is typed, until the input has other ideas.
            let piece = pieces.next();
            let heard = match piece {
                Some([1, rest @ ..]) => rest.to_vec(),
                Some(piece) => [&typed, piece].concat(),
                None => typed,
            };
            now += Duration::from_millis(1);
            action = if heard.is_empty() {
                now += within;
                console.on(Event::TimedOut, now)
            } else {
                console.on(Event::Received(&heard), now)
            };
        }
        let masked = console.transcript().to_string();
        assert!(
            !masked
                .as_bytes()
                .windows(PASSWORD.len())
                .any(|w| w == PASSWORD)
        );
    }
}

/// Whether the bytes of `text` stand in `said`, in their order.
fn holds_in_order(said: &[u8], text: &[u8]) -> bool {
    let mut left = text.iter();
    let mut next = left.next();
    for byte in said {
        if Some(byte) == next {
            next = left.next();
        }
    }
    next.is_none()
}

fn shipped(nth: usize) -> Arc<ConsoleProfile> {
    let profile = Profile::parse(SHIPPED[nth].1).expect("what is shipped is a profile");
    match profile.driver {
        Driver::Console(console) => console,
        _ => unreachable!("all that are shipped are consoles'"),
    }
}

fn bundle() -> Bundle {
    let password = Password::parse(PASSWORD);
    Bundle {
        serial: Serial::parse("BM-000042").expect("a serial"),
        attempt: Attempt::FIRST,
        password: password.unwrap_or_else(|error| panic!("{error}")),
        salt: Salt::from_bytes([7; 16]),
        chain: vec![vec![0x30; 300]],
        key: None,
    }
}
