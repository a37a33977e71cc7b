//! `station-cli ports`: what units can be spoken to over, now and as they are plugged in and out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use clap::Args;
use nusb::hotplug::HotplugWatch;
use serde_json::json;
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tokio_stream::StreamExt;

use crate::cli::{Format, FormatArgs, print, say};
use crate::port::{PortFacts, serial_ports};
use crate::usb;

/// How often is looked where nobody says that something was plugged in: nusb hears of it from udevd,
/// which not every machine runs.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a list may take: longer than the 5 s for which the kernel waits for a unit's one answer,
/// while it keeps whoever asks for that unit's name.
const LISTS_WITHIN: Duration = Duration::from_secs(8);

/// Why the ports of this machine are not known.
#[derive(Debug, Error)]
pub enum PortsError {
    /// Its serial ports.
    #[error("the serial ports cannot be listed")]
    Serial(#[from] serialport::Error),
    /// Its USB.
    #[error("what is on USB cannot be listed")]
    Usb(#[from] nusb::Error),
    /// A unit keeps the kernel waiting, and the kernel the list.
    #[error(
        "a unit on USB does not answer and keeps the list of ports waiting: unplug what was plugged \
         in last, then ask again"
    )]
    Silent,
    /// The program is ending.
    #[error("the ports are not listed any more: this program ends")]
    Stopped,
}

/// Lists the ports of this machine, by path: serial ports, and units with a vendor-class interface.
///
/// # Errors
/// When the machine does not tell.
pub fn ports() -> Result<Vec<PortFacts>, PortsError> {
    let mut all = serial_ports()?;
    all.extend(usb::units()?);
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

/// The same, once, for somebody who waits for it: no longer than [`LISTS_WITHIN`].
///
/// # Errors
/// As [`ports`], and [`PortsError::Silent`].
pub(crate) fn listed() -> Result<Vec<PortFacts>, PortsError> {
    listed_by(ports, LISTS_WITHIN)
}

fn listed_by(
    list: impl FnOnce() -> Result<Vec<PortFacts>, PortsError> + Send + 'static,
    within: Duration,
) -> Result<Vec<PortFacts>, PortsError> {
    let (told, heard) = channel();
    // It is left behind when it waits too long: the end of the program is the end of its waiting.
    thread::spawn(move || told.send(list()));
    match heard.recv_timeout(within) {
        Ok(list) => list,
        Err(RecvTimeoutError::Timeout) => Err(PortsError::Silent),
        Err(RecvTimeoutError::Disconnected) => Err(PortsError::Stopped),
    }
}

/// A port that came or went.
#[derive(Debug, Eq, PartialEq)]
pub enum PortChange {
    /// It is there now.
    Plugged(PortFacts),
    /// It is gone. One that was plugged in again between two looks is gone first.
    Unplugged(PortFacts),
}

/// What lists them.
type List = dyn Fn() -> Result<Vec<PortFacts>, PortsError> + Send + Sync;

/// Watches ports come and go, by their places.
pub struct PortWatch {
    /// Says when to look again; `None` where nothing does.
    events: Option<HotplugWatch>,
    /// What was there at the newest look; nothing before the first.
    known: Vec<PortFacts>,
    /// When to look again by itself: kept, so that who gives up waiting more often is told as well.
    look: Instant,
    list: Arc<List>,
    news: VecDeque<PortChange>,
}

impl PortWatch {
    /// Begins with none: what is there already is the first to be told.
    #[must_use]
    pub fn new() -> PortWatch {
        PortWatch {
            // Before the first look, so that nothing falls between the two.
            events: nusb::watch_devices().ok(),
            known: Vec::new(),
            look: Instant::now(),
            list: Arc::new(ports),
            news: VecDeque::new(),
        }
    }

    /// The next change. Nothing is lost when this is cancelled.
    ///
    /// # Errors
    /// As [`ports`]. It can be asked again.
    pub async fn next(&mut self) -> Result<PortChange, PortsError> {
        loop {
            if let Some(change) = self.news.pop_front() {
                return Ok(change);
            }
            self.wait().await;
            // Given up here, the next call looks at once.
            self.look = Instant::now();
            let list = Arc::clone(&self.list);
            // In a thread of its own: a unit that does not answer keeps the list waiting.
            let now = spawn_blocking(move || list()).await;
            self.look = Instant::now() + LOOK_EVERY;
            let now = now.map_err(|_| PortsError::Stopped)??;
            self.news = changes(&self.known, &now).into();
            self.known = now;
        }
    }

    async fn wait(&mut self) {
        let Some(events) = &mut self.events else {
            return sleep_until(self.look).await;
        };
        tokio::select! {
            event = events.next() => {
                if event.is_none() {
                    self.events = None;
                }
            }
            () = sleep_until(self.look) => {}
        }
    }
}

impl Default for PortWatch {
    fn default() -> PortWatch {
        PortWatch::new()
    }
}

/// What happened between two lists: first what went, then what came.
fn changes(before: &[PortFacts], now: &[PortFacts]) -> Vec<PortChange> {
    let missing_in = |other: &[PortFacts], one: &&PortFacts| !other.contains(one);
    let gone = before.iter().filter(|one| missing_in(now, one)).cloned();
    let came = now.iter().filter(|one| missing_in(before, one)).cloned();
    let gone = gone.map(PortChange::Unplugged);
    gone.chain(came.map(PortChange::Plugged)).collect()
}

#[derive(Args)]
pub(crate) struct PortsArgs {
    /// Go on, and say what is plugged in and out, until interrupted.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) async fn run(args: PortsArgs) -> anyhow::Result<u8> {
    let format = args.format.format;
    if !args.watch {
        for port in listed()? {
            match format {
                Format::Json => print(&json!(port))?,
                Format::Text => say(&words(&port)),
            }
        }
        return Ok(0);
    }
    let mut watch = PortWatch::new();
    loop {
        let change = tokio::select! {
            change = watch.next() => change?,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Ok(0);
            }
        };
        let (sign, event, port) = match &change {
            PortChange::Plugged(port) => ("+", "plugged", port),
            PortChange::Unplugged(port) => ("-", "unplugged", port),
        };
        match format {
            Format::Json => print(&json!({"event": event, "port": port}))?,
            Format::Text => say(&format!("{sign} {}", words(port))),
        }
    }
}

fn words(port: &PortFacts) -> String {
    let location = port.location.as_deref().unwrap_or("-");
    // The unit's own words: it must not write to the terminal.
    let product = port.product.as_deref().map(printable);
    let what: Vec<String> = port.usb_id.iter().cloned().chain(product).collect();
    let line = format!(
        "{}  {}  {location}  {}",
        port.path,
        port.kind,
        what.join("  ")
    );
    line.trim_end().to_owned()
}

/// A text with its control characters spelled out.
fn printable(text: &str) -> String {
    let spelled = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(spelled).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn what_a_unit_calls_itself_changes_no_terminal() {
        let mut named = port("usb:1-2", 0);
        named.product = Some("a\u{1b}[2J\nb\u{9b}ü".to_owned());
        assert_eq!(
            words(&named),
            "usb:1-2  usb-vendor  -  a\\u{1b}[2J\\nb\\u{9b}ü"
        );
    }

    fn port(path: &str, plugged: u64) -> PortFacts {
        PortFacts {
            path: path.to_owned(),
            kind: "usb-vendor",
            location: None,
            usb_id: None,
            product: None,
            plugged,
        }
    }

    #[test]
    fn a_unit_that_does_not_answer_keeps_no_list_waiting_for_ever() {
        let (_end, wait) = channel::<()>();
        let silent = listed_by(
            move || {
                let _ = wait.recv(); // as a read of its name does
                Ok(Vec::new())
            },
            Duration::from_millis(20),
        );
        assert!(matches!(silent, Err(PortsError::Silent)), "{silent:?}");
        let one = port("usb:1-2", 1);
        let list = vec![one.clone()];
        let listed = listed_by(move || Ok(list), Duration::from_secs(30));
        assert_eq!(listed.unwrap(), [one]);
    }

    #[test]
    fn a_unit_that_was_plugged_in_again_between_two_looks_went_and_came() {
        let (a, b, again) = (port("usb:1-1", 4), port("usb:1-2", 5), port("usb:1-1", 6));
        let both = [a.clone(), b.clone()];
        assert_eq!(changes(&both, &both), []);
        assert_eq!(
            changes(&both[..1], &[b.clone(), again.clone()]),
            [
                PortChange::Unplugged(a),
                PortChange::Plugged(b),
                PortChange::Plugged(again)
            ]
        );
    }

    /// A watch of lists that are made up, one a look; the last one stays.
    fn watch(lists: Vec<Vec<PortFacts>>) -> PortWatch {
        let lists = Mutex::new(VecDeque::from(lists));
        let list = move || {
            let mut lists = lists.lock().unwrap();
            Ok(match lists.len() {
                1 => lists[0].clone(),
                _ => lists.pop_front().unwrap(),
            })
        };
        PortWatch {
            events: None,
            list: Arc::new(list),
            ..PortWatch::new()
        }
    }

    /// Given up more often than it looks.
    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_given_up_loses_nothing() {
        let (a, b) = (port("a", 1), port("b", 2));
        let mut watch = watch(vec![
            vec![a.clone()],
            vec![a.clone(), b.clone()],
            vec![b.clone()],
        ]);
        let mut told = Vec::new();
        let until = Instant::now() + 4 * LOOK_EVERY;
        while Instant::now() < until {
            let next = timeout(LOOK_EVERY / 3, watch.next()).await;
            told.extend(next.map(Result::unwrap).ok());
        }
        let expected = [
            PortChange::Plugged(a.clone()),
            PortChange::Plugged(b),
            PortChange::Unplugged(a),
        ];
        assert_eq!(told, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_already_is_told_first() {
        let mut watch = PortWatch::new();
        for expected in ports().unwrap() {
            let change = timeout(LOOK_EVERY, watch.next()).await.unwrap();
            assert_eq!(change.unwrap(), PortChange::Plugged(expected));
        }
    }
}
