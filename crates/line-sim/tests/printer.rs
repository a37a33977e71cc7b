//! The station's printer driver against a printer that goes wrong, and what came out of it under other
//! people's decoders: zbar for QR and Code 128, libdmtx for DataMatrix.

#![allow(clippy::unwrap_used, reason = "a test may stop anywhere")]

use std::io;
use std::path::Path;
use std::process::Command;

use label::{Gtin, Label, Template, parse_scan};
use line_sim::{PrinterFault, SimPrinter, picture};
use station_cli::{Labels, Printer, Printout, Scanner, Taken};
use traveler::{Attempt, Serial, Sku, Slot};

const WIFI: &str = include_str!("../../label/templates/wifi.toml");

fn label_of(template: &Template, serial: &str, reprint: u32, password: &str) -> String {
    let label = Label {
        serial: &Serial::parse(serial).unwrap(),
        product: &Sku::parse("KETTLE-1").unwrap(),
        name: "Kettle",
        attempt: Attempt(1),
        password: password.as_bytes(),
        slot: Some(&Slot::parse("slot-2").unwrap()),
        reprint,
        ssid: Some("Kettle-42"),
        gtin: Some(&Gtin::parse("6291041500213").unwrap()),
    };
    label.to_zpl(template).unwrap().as_str().to_owned()
}

fn zpl(serial: &str) -> String {
    label_of(&Template::standard().unwrap(), serial, 0, "K7QDM2X9TR4W")
}

struct Bench {
    sim: SimPrinter,
    printer: Printer,
    begun: u32,
}

impl Bench {
    fn new() -> Bench {
        let sim = SimPrinter::start().unwrap();
        let printer = sim.url().parse().unwrap();
        Bench {
            sim,
            printer,
            begun: 0,
        }
    }

    async fn print(&mut self, serial: &str) -> io::Result<Taken> {
        let zpl = zpl(serial);
        let printout = Printout {
            serial: &Serial::parse(serial).unwrap(),
            attempt: Attempt(1),
            reprint: 0,
            zpl: &zpl,
        };
        let begun = &mut self.begun;
        let mut begin = || {
            *begun += 1;
            Ok(())
        };
        self.printer.print(&printout, &mut begin).await
    }

    /// Serials of what came out.
    fn out(&self) -> Vec<String> {
        let papers = self.sim.out();
        let codes = papers.iter().map(|paper| paper.code().unwrap());
        codes
            .map(|code| parse_scan(&code).unwrap().serial.to_string())
            .collect()
    }
}

#[track_caller]
fn unknown(taken: io::Result<Taken>, expected: &str) {
    match taken.unwrap() {
        Taken::Unknown(why) => assert!(why.contains(expected), "{why}"),
        Taken::Printed => panic!("called printed"),
    }
}

#[tokio::test]
async fn a_good_printer_prints_and_says_so() {
    let mut bench = Bench::new();
    for serial in ["A47", "A48"] {
        assert_eq!(bench.print(serial).await.unwrap(), Taken::Printed);
    }
    assert_eq!(
        (bench.out(), bench.begun),
        (vec!["A47".into(), "A48".into()], 2)
    );
    assert!(bench.printer.ask().await.unwrap().contains("ready"));
}

#[tokio::test]
async fn trouble_beforehand_costs_nothing() {
    for (fault, expected) in [
        (PrinterFault::PaperOut, "out of paper"),
        (PrinterFault::HeadOpen, "head is open"),
        (PrinterFault::Paused, "paused"),
        (PrinterFault::PaperOutAndMute, "has it paper"),
        (PrinterFault::Silent, "has it paper"),
    ] {
        let mut bench = Bench::new();
        bench.sim.fault(fault);
        let error = bench.print("A47").await.unwrap_err().to_string();
        assert!(error.contains(expected), "{fault:?}: {error}");
        let asked = bench.printer.ask().await.unwrap_err().to_string();
        assert!(asked.contains(expected), "{fault:?}: {asked}");
        assert_eq!(bench.begun, 0, "{fault:?}: nothing was sent");
        bench.sim.fault(PrinterFault::None);
        assert!(bench.out().is_empty(), "{fault:?}");
        assert_eq!(bench.print("A47").await.unwrap(), Taken::Printed);
        assert_eq!(bench.out(), ["A47"], "{fault:?}");
    }
}

#[tokio::test]
async fn from_the_first_byte_on_it_is_not_known() {
    for (fault, expected, out) in [
        (PrinterFault::EndsNext, "out of paper", 0),
        (PrinterFault::ReplyLost, "no answer", 1),
        (PrinterFault::Cut(200), "", 0),
    ] {
        let mut bench = Bench::new();
        bench.sim.fault(fault);
        unknown(bench.print("A47").await, expected);
        assert_eq!((bench.out().len(), bench.begun), (out, 1), "{fault:?}");
    }
}

/// A label that waited for paper comes out when there is some: whoever printed it anew would have two.
#[tokio::test]
async fn a_label_that_waits_for_paper_comes_out_late() {
    let mut bench = Bench::new();
    bench.sim.fault(PrinterFault::EndsNext);
    unknown(bench.print("A47").await, "out of paper");
    let serial = Serial::parse("A47").unwrap();
    assert!(bench.sim.scan(&serial).await.unwrap().is_none());
    bench.sim.fault(PrinterFault::None);
    assert!(bench.sim.scan(&serial).await.unwrap().is_some());
}

#[tokio::test]
async fn a_label_after_one_that_was_cut_is_whole() {
    let mut bench = Bench::new();
    bench.sim.fault(PrinterFault::Cut(150));
    unknown(bench.print("A47").await, "");
    assert_eq!(bench.print("A48").await.unwrap(), Taken::Printed);
    assert_eq!(bench.out(), ["A48"]);
    assert!(!bench.sim.out()[0].zpl().contains("A47"));
}

/// The answer to the question before comes while the next is waited for: the line was given up.
#[tokio::test]
async fn an_answer_that_comes_late_answers_nothing() {
    let mut bench = Bench::new();
    bench.sim.fault(PrinterFault::Late(2_500));
    let error = bench.print("A47").await.unwrap_err().to_string();
    assert!(error.contains("no answer"), "{error}");
    bench.sim.fault(PrinterFault::PaperOut);
    let error = bench.print("A47").await.unwrap_err().to_string();
    assert!(
        error.contains("out of paper") || error.contains("no answer"),
        "{error}"
    );
    assert_eq!(bench.begun, 0);
}

/// Two slots, one printer: labels come out whole, each once.
#[tokio::test]
async fn two_slots_share_a_printer() {
    let bench = Bench::new();
    let serials: Vec<String> = (0..8).map(|slot| format!("A-{slot:03}")).collect();
    let tasks = serials.iter().map(|serial| {
        let (mut printer, serial) = (bench.printer.clone(), serial.clone());
        tokio::spawn(async move {
            let zpl = zpl(&serial);
            let printout = Printout {
                serial: &Serial::parse(&serial).unwrap(),
                attempt: Attempt(1),
                reprint: 0,
                zpl: &zpl,
            };
            printer.print(&printout, &mut || Ok(())).await.unwrap()
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), Taken::Printed);
    }
    let mut out = bench.out();
    out.sort();
    assert_eq!(out, serials);
}

fn decoded(program: &str, options: &[&str], picture: &Path) -> String {
    let output = Command::new(program).args(options).arg(picture).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it"));
    String::from_utf8(output.stdout).unwrap()
}

/// What the printer got, drawn as its firmware would, under decoders that are not ours.
#[test]
fn every_printed_code_is_read_by_other_decoders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("label.pbm");
    let wifi = Template::parse(WIFI).unwrap();
    let longest = "K7QD".repeat(16).split_off(1);
    for (serial, reprint, password) in [
        ("BM-000042", 0, "K7QDM2X9TR4W"),
        ("BM-000042", 2, "K7QDM2X9TR4W"),
        ("A-1", 1, r"K7:QD;M2\X9^~_"),
        ("BM-000042-LONGEST-20", 99, longest.as_str()),
    ] {
        let zpl = label_of(&wifi, serial, reprint, password);
        std::fs::write(&path, picture(&zpl).unwrap().as_slice()).unwrap();
        let codes = decoded("zbarimg", &["--quiet"], &path);
        let mut scans = codes
            .lines()
            .filter_map(|line| parse_scan(line.strip_prefix("QR-Code:")?));
        let scan = scans.next().unwrap_or_else(|| panic!("{codes}"));
        assert_eq!((scan.serial.as_str(), scan.reprint), (serial, reprint));
        scan.password
            .expose(|clear| assert_eq!(clear, password.as_bytes()));
        assert!(codes.contains(&format!("CODE-128:{serial}")), "{codes}");
        assert!(
            codes.contains("QR-Code:WIFI:T:WPA;S:Kettle-42;P:"),
            "{codes}"
        );
        let options = ["-N", "1", "-x", "60%", "-m", "60000", "-G", "126"];
        let matrix = decoded("dmtxread", &options, &path);
        assert_eq!(matrix, format!("~010629104150021321{serial}"));
    }
    let standard = label_of(&Template::standard().unwrap(), "A47", 1, "K7QDM2X9TR4W");
    std::fs::write(&path, picture(&standard).unwrap().as_slice()).unwrap();
    let codes = decoded("zbarimg", &["--quiet"], &path);
    assert!(codes.contains("QR-Code:BM1:A47:K7QDM2X9TR4W R1"), "{codes}");
}
