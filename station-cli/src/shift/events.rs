//! A shift for machines: one JSON object a line, as a step inside OpenHTF or TestStand reads it.
//!
//! Reasons, keys and numbers, never words of a language, and never a label: of a label its serial
//! is told, of a code that nobody knows nothing at all. `result` is the same object that `station-cli
//! provision` prints.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use traveler::Serial;

use super::card::Tone;
use super::draw::key;
use super::floor::{Heard, Tile};
use super::outlet::Outlet;
use crate::output::print_line;
use crate::report::Report;

/// How long the end of a shift waits for a slow reader.
pub(super) const LAST: Duration = Duration::from_secs(2);

/// Where lines go.
pub(super) struct Events {
    stdout: Option<Outlet>,
    file: Option<Sink>,
}

/// What `--events` names.
enum Sink {
    /// A file, whose lines are there when the call returns.
    File(File),
    /// A pipe or a terminal: one that nobody reads takes nothing any more once it is full.
    Pipe(Outlet),
}

impl Events {
    /// To standard output, or to the end of a file, or both.
    pub(super) fn open(stdout: bool, file: Option<&Path>) -> io::Result<Events> {
        let write = |line: String| drop(print_line(&line));
        Ok(Events {
            stdout: stdout.then(|| Outlet::new(write)),
            file: file.map(named).transpose()?,
        })
    }

    /// Writes one; whoever does not take it must not cost a unit.
    pub(super) fn tell(&mut self, now: Duration, event: &str, facts: &Value) {
        if self.stdout.is_none() && self.file.is_none() {
            return;
        }
        let at_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut line = json!({ "event": event, "at_ms": at_ms });
        if let (Some(line), Some(facts)) = (line.as_object_mut(), facts.as_object()) {
            line.extend(facts.clone());
        }
        let line = line.to_string();
        let missed =
            |count| json!({ "event": "dropped", "at_ms": at_ms, "lines": count }).to_string();
        match &mut self.file {
            Some(Sink::File(file)) => {
                let _ = file.write_all(format!("{line}\n").as_bytes()); // whole, or cut by a power cut
            }
            Some(Sink::Pipe(pipe)) => pipe.send(line.clone(), missed),
            None => {}
        }
        if let Some(stdout) = &mut self.stdout {
            stdout.send(line, missed);
        }
    }

    /// Nothing comes any more.
    pub(super) fn end(&mut self) {
        if let Some(stdout) = &mut self.stdout {
            stdout.end(LAST);
        }
        if let Some(Sink::Pipe(pipe)) = &mut self.file {
            pipe.end(LAST);
        }
    }
}

fn sink(path: &Path) -> io::Result<Sink> {
    let mut file = append(path)?;
    if file.metadata()?.is_file() {
        return Ok(Sink::File(file));
    }
    Ok(Sink::Pipe(Outlet::new(move |line| {
        let _ = file.write_all(format!("{line}\n").as_bytes());
    })))
}

/// A file that was asked for, or which one it is that cannot be written.
fn named(path: &Path) -> io::Result<Sink> {
    let which = |error: io::Error| {
        let text = format!("--events {}: {error}", path.display());
        io::Error::new(error.kind(), text)
    };
    sink(path).map_err(which)
}

/// The end of a file; what a power cut left of a line stays a line of its own.
fn append(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)?;
    let mut last = [b'\n'];
    // A pipe has no end to look at.
    if file.metadata()?.is_file() && file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// What became of a scan.
pub(super) fn scan(kind: &str, serial: Option<&Serial>, heard: &Heard) -> Value {
    json!({
        "kind": kind,
        "accepted": heard.accepted,
        "says": heard.says,
        "slot": heard.slot,
        "serial": serial,
    })
}

/// How a slot looks now. Seconds pass without an event.
pub(super) fn tile(tile: &Tile) -> Value {
    json!({
        "slot": tile.slot,
        "tile": tone(tile.tone),
        "word": tile.word,
        "says": tile.says.as_ref().map(|said| said.key),
        "number": (tile.number > 0).then_some(tile.number),
        "serial": (!tile.serial.is_empty()).then_some(&tile.serial),
        "stage": tile.stage.map(key),
    })
}

/// A turn's end: the report with its slot.
pub(super) fn result(slot: u32, report: &Report) -> Value {
    #[derive(Serialize)]
    struct Line<'a> {
        slot: u32,
        #[serde(flatten)]
        report: &'a Report,
    }
    serde_json::to_value(Line { slot, report }).unwrap_or_default()
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Empty => "empty",
        Tone::Ready => "ready",
        Tone::Running => "running",
        Tone::Pass => "pass",
        Tone::Fail => "fail",
        Tone::Action => "action",
        Tone::Offline => "offline",
        Tone::Locked => "locked",
        Tone::Stop => "stop",
    }
}

#[cfg(test)]
mod tests {
    use traveler::OrderId;

    use super::*;
    use crate::failure::Failure;

    /// People script against these bytes: if this fails, change the code, not the text.
    #[test]
    fn the_lines_for_machines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut events = Events::open(false, Some(file.path())).unwrap();
        let now = Duration::from_millis(7);
        let serial = Serial::parse("A47").unwrap();
        let heard = Heard {
            accepted: false,
            says: "IN_WORK",
            slot: Some(2),
        };
        events.tell(now, "scan", &scan("serial", Some(&serial), &heard));
        let report = Report::new(&serial, &OrderId::parse("WO-1").unwrap());
        let report = report.end(Err(Failure::NoScan), now);
        events.tell(now, "result", &result(2, &report));
        let text = std::fs::read_to_string(file.path()).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                json!({"event": "scan", "at_ms": 7, "kind": "serial", "accepted": false,
                       "says": "IN_WORK", "slot": 2, "serial": "A47"}),
                json!({"event": "result", "at_ms": 7, "slot": 2, "serial": "A47", "order": "WO-1",
                       "outcome": "loaded", "reason": "NO_SCAN", "device_id": null,
                       "attempt": null, "index": null, "certificate_sha256": null, "cycle_ms": 7}),
            ]
        );
    }

    #[test]
    fn a_pipe_that_nobody_reads_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let (told, heard) = std::sync::mpsc::channel();
        let pipe = path.clone();
        std::thread::spawn(move || {
            let mut events = Events::open(false, Some(&pipe)).unwrap();
            for _ in 0..4_000 {
                events.tell(Duration::ZERO, "tile", &json!({ "says": "x".repeat(100) }));
            }
            told.send(events).unwrap();
        });
        let soon = Duration::from_secs(30);
        let mut events = heard.recv_timeout(soon).expect("the shift goes on");

        // Somebody reads after all, and hears that lines are missing.
        let reader = File::open(&path).unwrap();
        let mut lines = io::BufRead::lines(io::BufReader::new(reader));
        let dropped = lines.by_ref().map(Result::unwrap).find(|line| {
            // More is told meanwhile: what was missed is said before the next.
            events.tell(Duration::ZERO, "tile", &json!({}));
            line.contains("\"dropped\"")
        });
        let dropped: Value = serde_json::from_str(&dropped.unwrap()).unwrap();
        assert!(dropped["lines"].as_u64().unwrap() > 0, "{dropped}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("away/events");
        let error = Events::open(false, Some(&path)).err().unwrap().to_string();
        let name = path.display().to_string();
        assert!(
            error.contains(&name) && error.contains("No such file"),
            "{error}"
        );
    }

    #[test]
    fn half_a_line_of_before_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        for (before, expected) in [("", 1), ("{}\n", 2), ("{}\n{\"eve", 3)] {
            std::fs::write(&path, before).unwrap();
            let mut events = Events::open(false, Some(&path)).unwrap();
            events.tell(Duration::ZERO, "end", &json!({}));
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), expected, "{text}");
            let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
            assert_eq!(last["event"], "end");
        }
    }
}
