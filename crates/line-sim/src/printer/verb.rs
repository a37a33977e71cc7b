//! `line-sim printer`: the printer for a person to try, with its faults by their names.

use std::io::BufRead;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{Paper, PrinterFault, SimPrinter, picture};
use crate::cli::{Format, print, say};

/// How soon a label that came out is written.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs until standard input ends. Each line of it is a fault, or `well`.
pub(crate) fn run(listen: SocketAddr, out: &Path, format: Format) -> Result<ExitCode> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot use {}", out.display()))?;
    let printer = SimPrinter::start_at(listen)
        .with_context(|| format!("cannot listen at {listen}: choose another with --listen"))?;
    let url = printer.url();
    print(format, &json!({ "printer": url }), &format!("{url}\n"));
    let faults = PrinterFault::NAMES.map(|(name, _)| name).join(", ");
    say(&format!(
        "labels come out in {}; type {faults}",
        out.display()
    ));
    let typed = lines();
    let mut written = 0;
    loop {
        match typed.recv_timeout(LOOK_EVERY) {
            Ok(line) => match PrinterFault::named(line.trim()) {
                Some(fault) => printer.fault(fault),
                None => say(&format!("it is one of {faults}")),
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(ExitCode::SUCCESS),
        }
        for paper in printer.out().iter().skip(written) {
            written += 1;
            let path = write(out, written, paper)?;
            say(&format!("label {written}: {}", path.display()));
        }
    }
}

fn lines() -> Receiver<String> {
    let (to, from) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
    from
}

/// The label as it was sent, and its codes as a picture.
fn write(out: &Path, number: usize, paper: &Paper) -> Result<PathBuf> {
    let path = out.join(format!("label-{number:04}.zpl"));
    std::fs::write(&path, paper.zpl())?;
    let Some(dots) = picture(paper.zpl()) else {
        bail!("label {number} does not say how large it is");
    };
    std::fs::write(path.with_extension("pbm"), dots.as_slice())?;
    Ok(path)
}
