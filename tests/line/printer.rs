//! Labels from the product file to paper: the real programs, a printer on a socket that goes wrong, and
//! decoders that are not ours.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use line_sim::{PrinterFault, SimPrinter, picture};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::bench::Bench;
use crate::binaries::{Done, WITHIN, binaries, end_of, run, run_with, text_of, until};
use crate::site::{Site, text};
use crate::units::{Held, port};

/// A label of every kind of code there is.
const KETTLE: &str = "sku = \"KETTLE-1\"\nname = \"Kettle, größer\"\nmodel = \"KT1\"\n\
    [label]\ntemplate = \"wifi\"\ngtin = \"6291041500213\"\nssid = \"Kettle-{serial_4}\"\n\
    serial_max = 12\n";

/// A bench with a printer.
struct Desk {
    bench: Bench,
    printer: SimPrinter,
}

impl std::ops::Deref for Desk {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
}

impl Desk {
    fn start() -> Desk {
        Desk {
            bench: Bench::of(KETTLE, "KETTLE-1", "KT1"),
            printer: SimPrinter::start().unwrap(),
        }
    }

    /// The same for another order.
    fn for_order(mut self, order: String) -> Desk {
        self.bench.order = order;
        self
    }

    fn turn(&self, serial: &str, scanned: &str) -> Done {
        let (at, home, printer) = (port(&self.unit), text(&self.station), self.printer.url());
        let arguments = [
            ["--order", &self.order],
            ["--serial", serial],
            ["--port", &at],
            ["--data", &home],
            ["--printer", &printer],
            ["--format", "json"],
        ];
        let arguments = [&["provision"], arguments.as_flattened()].concat();
        run_with(&binaries().station_cli, &arguments, scanned)
    }

    fn reprint(&self, serial: &str, reason: &str) -> Done {
        let (home, printer) = (text(&self.station), self.printer.url());
        let arguments = [
            ["--serial", serial],
            ["--reason", reason],
            ["--operator", "B-7"],
            ["--data", &home],
            ["--printer", &printer],
            ["--format", "json"],
        ];
        let arguments = [&["reprint"], arguments.as_flattened()].concat();
        run(&binaries().station_cli, &arguments)
    }

    /// What a scanner reads from the label that came out as number `nth`.
    fn scan(&self, nth: usize) -> String {
        format!("{}\n", self.printer.out()[nth].code().unwrap().as_str())
    }

    fn kinds(&self, serial: &str) -> Vec<String> {
        let unit = self
            .site
            .provisioner(&["audit", "unit", serial])
            .ok()
            .json();
        let entries = unit["entries"].as_array().unwrap();
        let kinds = entries.iter().map(|entry| entry["kind"].as_str().unwrap());
        kinds.map(str::to_owned).collect()
    }
}

#[track_caller]
fn ended(done: &Done, code: i32, reason: &str) {
    assert_eq!(done.code, Some(code), "{done:#?}");
    assert_eq!(done.json()["reason"], reason, "{done:#?}");
}

#[test]
fn a_label_is_on_paper_once_for_each_number_whatever_the_printer_does() {
    let bench = Desk::start();
    bench.printer.fault(PrinterFault::PaperOut);
    let done = bench.turn("K-0001", "");
    ended(&done, 10, "PRINTER");
    assert!(done.err.contains("out of paper"), "{done:#?}");
    assert!(bench.printer.out().is_empty());

    // It prints, and says nothing of it: only a scan can tell, and nobody scans.
    bench.printer.fault(PrinterFault::ReplyLost);
    ended(&bench.turn("K-0001", ""), 10, "LABEL_UNKNOWN");
    bench.printer.fault(PrinterFault::None);
    ended(&bench.turn("K-0001", ""), 10, "LABEL_UNKNOWN");
    assert_eq!(
        bench.printer.out().len(),
        1,
        "never a second one of the same number"
    );

    // Somebody looks, finds nothing, and says so. It was under the bench.
    let control = bench.reprint("K-0001", "torn\u{1b}[2K");
    ended(&control, 2, "BAD_REQUEST");
    assert!(!control.err.contains('\u{1b}'), "{control:#?}");
    assert_eq!(bench.kinds("K-0001"), ["issued", "loaded"]);
    let again = bench.reprint("K-0001", "did not come out");
    assert_eq!(
        (again.code, &again.json()["reprint"]),
        (Some(0), &"R1".into()),
        "{again:#?}"
    );
    assert_eq!(bench.printer.out().len(), 2);

    let former = bench.turn("K-0001", &bench.scan(0));
    ended(&former, 10, "VOID_LABEL");
    assert!(
        former.err.contains("label R0 of K-0001 is void, R1 counts"),
        "{former:#?}"
    );
    let sealed = bench.turn("K-0001", &bench.scan(1)).ok();
    assert_eq!(sealed.json()["outcome"], "sealed");
    let late = bench.reprint("K-0001", "fell off");
    ended(&late, 2, "NO_REPRINT");
    assert!(
        late.err
            .contains("never gives its secret again: set the unit aside"),
        "{late:#?}"
    );
    assert_eq!(bench.printer.out().len(), 2);

    assert_eq!(
        bench.kinds("K-0001"),
        ["issued", "loaded", "reprinted", "sealed"]
    );
    let order = bench
        .site
        .provisioner(&["audit", "order", &bench.order])
        .ok()
        .json();
    assert_eq!(
        (&order["reprints"], &order["sealed"]),
        (&1.into(), &1.into())
    );
    assert_eq!(order["reprint_reasons"]["did not come out"], 1);
    let by = &order["operators"]["B-7"];
    assert_eq!((&by["reprinted"], &by["other"]), (&1.into(), &0.into()));
    bench.site.provisioner(&["audit", "verify"]).ok();
    others_verify(&bench.site);
    others_read(&bench);
    nothing_is_left(&bench);
}

#[test]
fn trouble_before_a_label_costs_nothing_and_trouble_in_it_a_number() {
    let bench = Desk::start();
    for (fault, says) in [
        (PrinterFault::HeadOpen, "head is open"),
        (PrinterFault::Paused, "paused"),
        (PrinterFault::Silent, "has it paper"),
    ] {
        bench.printer.fault(fault);
        let done = bench.turn("K-0003", "");
        ended(&done, 10, "PRINTER");
        assert!(done.err.contains(says), "{done:#?}");
    }
    bench.printer.fault(PrinterFault::Cut(100));
    ended(&bench.turn("K-0003", ""), 10, "LABEL_UNKNOWN");
    ended(&bench.turn("K-0003", ""), 10, "LABEL_UNKNOWN");
    assert!(bench.printer.out().is_empty(), "a part of a label is none");

    // The printer is out of paper for the reprint too: R1 is on record, and printed when there is some.
    bench.printer.fault(PrinterFault::PaperOut);
    ended(&bench.reprint("K-0003", "cut off"), 10, "PRINTER");
    bench.printer.fault(PrinterFault::None);
    ended(&bench.turn("K-0003", ""), 10, "NO_SCAN");
    assert_eq!(
        bench.printer.out().len(),
        1,
        "whole, and not behind the part"
    );
    assert!(bench.scan(0).ends_with(" R1\n"));
    bench.turn("K-0003", &bench.scan(0)).ok();
    let kinds = ["issued", "loaded", "reprinted", "sealed"];
    assert_eq!(bench.kinds("K-0003"), kinds);
    bench.site.provisioner(&["audit", "verify"]).ok();
}

/// A program that shares nothing with ours proves the log with the new kind of entry.
fn others_verify(site: &Site) {
    let out = site.path("export");
    site.provisioner(&["audit", "export", "--out", &text(&out)])
        .ok();
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/verify.py");
    let key = site.data().join("vkey");
    let said = Command::new("python3")
        .arg(oracle)
        .arg("log")
        .arg(key)
        .arg(out)
        .output()
        .unwrap();
    let words = String::from_utf8(said.stdout).unwrap();
    assert!(words.starts_with("GOOD"), "{words}");
}

/// Every code on every label, as the printer's firmware draws it, by zbar and libdmtx.
fn others_read(bench: &Desk) {
    let path = bench.site.path("label.pbm");
    let held = Held::in_flash(&bench.flash).unwrap();
    for (nth, mark) in ["", " R1"].into_iter().enumerate() {
        let paper = &bench.printer.out()[nth];
        std::fs::write(&path, picture(paper.zpl()).unwrap().as_slice()).unwrap();
        let codes = Command::new("zbarimg")
            .arg("-q")
            .arg(&path)
            .output()
            .unwrap();
        let codes = String::from_utf8(codes.stdout).unwrap();
        let password = held.password.as_str();
        for code in [
            "CODE-128:K-0001".to_owned(),
            format!("QR-Code:BM1:K-0001:{password}{mark}"),
            format!("QR-Code:WIFI:T:WPA;S:Kettle-0001;P:{password};;"),
        ] {
            let there = codes.lines().any(|line| line == code);
            assert!(there, "a code of label {nth} is not read"); // it holds a password: not shown
        }
        let options = ["-N", "1", "-x", "60%", "-m", "60000", "-G", "126"];
        let matrix = Command::new("dmtxread")
            .args(options)
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(matrix.stdout, b"~010629104150021321K-0001");
    }
    std::fs::remove_file(&path).unwrap();
}

/// A label that went to a printer is in no file of the station.
fn nothing_is_left(bench: &Desk) {
    let held = Held::in_flash(&bench.flash).unwrap();
    let mut folders = vec![bench.station.clone(), bench.site.data()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap_or_default();
            let secret = held.password.as_bytes();
            let found = bytes.windows(secret.len()).any(|bytes| bytes == secret);
            assert!(!found, "a password is in {}", path.display());
        }
    }
}

#[test]
fn a_template_of_one_s_own_is_part_of_the_product() {
    let bench = Desk::start();
    let own = "name = \"own\"\nwidth = 60.0\nheight = 30.0\n\
        [[item]]\nkind = \"text\"\nat = [2.0, 1.0]\nheight = 2.5\n\
        value = \"OUR {serial} #{attempt}{reprint}\"\n\
        [[item]]\nkind = \"password\"\nat = [2.0, 18.0]\nheight = 3.75\nstep = 4.5\n\
        small_height = 2.75\nsmall_step = 3.0\n\
        [[item]]\nkind = \"qr\"\nat = [44.0, 12.0]\nmodule = 0.375\ncontent = \"scan\"\n";
    std::fs::write(bench.site.path("own.toml"), own).unwrap();
    let with = |bench: &Desk, label: &str| {
        let head = "sku = \"POT-1\"\nname = \"Pot\"\nmodel = \"KT1\"\n";
        bench.site.apply(&format!("{head}[label]\n{label}"))
    };
    with(&bench, "template = \"own.toml\"\n").ok();
    let listed = bench.site.provisioner(&["product", "list"]).ok().json();
    let pot = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["product"] == "POT-1");
    assert!(
        pot.unwrap()["definition"]
            .as_str()
            .unwrap()
            .contains("OUR {serial}")
    );

    let order = bench.site.order("POT-1", 1, 20);
    let bench = bench.for_order(order);
    let long = bench.turn("P-0123456789-0123456789", "");
    ended(&long, 2, "BAD_REQUEST");
    assert!(
        long.err.contains("longer than the 20 characters"),
        "{long:#?}"
    );
    let done = bench.turn("P-0001", "");
    ended(&done, 10, "NO_SCAN");
    assert!(bench.printer.out()[0].zpl().contains("OUR P-0001 #1"));
    bench.turn("P-0001", &bench.scan(0)).ok();

    for (label, says) in [
        ("template = \"none.toml\"\n", "none.toml"),
        ("template = \"big\"\n", "none of ours"),
        ("template = \"wifi\"\n", "no GTIN"),
        (
            "template = \"wifi\"\nssid = \"CAFE\"\n",
            "hexadecimal digits",
        ),
        (
            "template = \"wifi\"\nssid = \"K-{serial}\"\ngtin = \"1\"\n",
            "is no GTIN",
        ),
        ("template = \"own.toml\"\nserial_max = 33\n", "3 to 32"),
    ] {
        with(&bench, label).refused(2, says);
    }
    let narrow = own.replace("width = 60.0", "width = 50.0");
    std::fs::write(bench.site.path("own.toml"), narrow).unwrap();
    let refused = bench.site.apply(
        "sku = \"POT-2\"\nname = \"Pot\"\nmodel = \"KT1\"\n[label]\ntemplate = \"own.toml\"\n",
    );
    refused.refused(2, "does not fit its label");
}

#[test]
fn a_picture_is_sent_where_the_printer_s_own_letters_are_no_use() {
    let bench = Desk::start();
    let product = KETTLE.replace("KETTLE-1", "KETTLE-2") + "raster = true\n";
    bench.site.apply(&product).ok();
    let order = bench.site.order("KETTLE-2", 1, 20);
    let bench = bench.for_order(order);
    ended(&bench.turn("K-0002", ""), 10, "NO_SCAN");
    let paper = &bench.printer.out()[0];
    assert!(paper.zpl().contains("^GFA,"));
    let path = bench.site.path("label.pbm");
    std::fs::write(&path, picture(paper.zpl()).unwrap().as_slice()).unwrap();
    let codes = Command::new("zbarimg")
        .arg("-q")
        .arg("--raw")
        .arg(&path)
        .output()
        .unwrap();
    let codes = String::from_utf8(codes.stdout).unwrap();
    let scanned = codes.lines().find(|line| line.starts_with("BM1:K-0002:"));
    bench
        .turn(
            "K-0002",
            &format!("{}\n", scanned.expect("the label's own code")),
        )
        .ok();
}

/// `line-sim printer`, as a person has it: faults are typed, labels lie in a folder.
#[test]
fn a_printer_to_try_takes_its_faults_by_name() {
    let bench = Desk::start();
    let (out, said) = (
        bench.site.path("paper"),
        bench.site.path("logs/printer.txt"),
    );
    let mut printer = Command::new(&binaries().line_sim)
        .args(["printer", "--listen", "127.0.0.1:0", "--out"])
        .arg(&out)
        .stdin(Stdio::piped())
        .stdout(File::create(&said).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = until(WITHIN, || {
        text_of(&said).strip_suffix('\n').map(str::to_owned)
    })
    .unwrap();
    let home = text(&bench.station);
    let ask = |level_of: &str| {
        let arguments = [
            "doctor",
            "--format",
            "json",
            "--data",
            &home,
            "--printer",
            &url,
        ];
        let done = run(&binaries().station_cli, &arguments);
        let (colour, says) = level(&done, "printer", "");
        (colour == level_of).then_some(says)
    };
    let mut typed = printer.stdin.take().unwrap();
    typed.write_all(b"nonsense\npaper-out\n").unwrap();
    let red = until(WITHIN, || ask("red")).unwrap();
    assert_eq!(red, "the printer is out of paper");
    typed.write_all(b"well\n").unwrap();
    until(WITHIN, || ask("green")).unwrap();

    let arguments = [
        ["--order", &bench.order],
        ["--serial", "K-0004"],
        ["--port", &port(&bench.unit)],
        ["--data", &home],
        ["--printer", &url],
        ["--format", "json"],
    ];
    let arguments = [&["provision"], arguments.as_flattened()].concat();
    ended(&run(&binaries().station_cli, &arguments), 10, "NO_SCAN");
    let label = out.join("label-0001.pbm");
    until(WITHIN, || label.is_file().then_some(())).unwrap();
    drop(typed);
    assert_eq!(end_of(&mut printer), Some(0));
}

/// Each line of `doctor`, by its check.
fn findings(done: &Done) -> Vec<Value> {
    let lines = done.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[track_caller]
fn level(done: &Done, check: &str, subject: &str) -> (String, String) {
    let all = findings(done);
    let subject_is = |it: &Value| subject.is_empty() || it["subject"] == subject;
    let found = all.iter().find(|it| it["check"] == check && subject_is(it));
    let found = found.unwrap_or_else(|| panic!("no {check}: {done:#?}"));
    let word = |name: &str| found[name].as_str().unwrap().to_owned();
    (word("level"), word("says"))
}

#[test]
fn doctor_says_what_stands_in_the_way() {
    let mut bench = Desk::start();
    let (home, printer) = (text(&bench.station), bench.printer.url());
    let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&far).unwrap();
    unlockpt(&far).unwrap();
    let at = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
    let doctor = |home: &str| {
        let arguments = [
            ["--port", &at],
            ["--data", home],
            ["--printer", &printer],
            ["--format", "json"],
        ];
        let arguments = [&["doctor"], arguments.as_flattened()].concat();
        run(&binaries().station_cli, &arguments)
    };
    let well = doctor(&home);
    for check in [
        "disk",
        "disk sync",
        "server",
        "server health",
        "passwords",
        "clock",
        "certificate",
        "printer",
    ] {
        assert_eq!(level(&well, check, "").0, "green", "{check}: {well:#?}");
    }
    assert_eq!(level(&well, "port", &at).0, "green", "{well:#?}");
    let days = level(&well, "certificate", "").1;
    assert!(["89", "90"].iter().any(|it| days.contains(it)), "{days}");

    // Another process opens the port.
    let mut holder = Command::new("sh")
        .args(["-c", "exec 3<>\"$0\"; echo; read line", &at])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut ready).unwrap();
    bench.printer.fault(PrinterFault::HeadOpen);
    let held = doctor(&home);
    assert_eq!(held.code, Some(1));
    let (colour, says) = level(&held, "port", &at);
    assert_eq!(colour, "red");
    assert!(
        says.contains(&format!("(process {})", holder.id())),
        "{says}"
    );
    assert_eq!(
        level(&held, "printer", ""),
        ("red".into(), "the printer's head is open".into())
    );
    drop(holder.stdin.take());
    holder.wait().unwrap();

    bench.bench.site.stop();
    let alone = doctor(&home);
    assert_eq!(
        (alone.code, level(&alone, "server", "").0),
        (Some(1), "red".into())
    );
    let stranger = text(&bench.site.path("nobody"));
    let none = doctor(&stranger);
    assert!(
        level(&none, "station", "").1.contains("is not enrolled"),
        "{none:#?}"
    );
}

/// The shell lets no program below it write a byte to a file, as a disk does that is full.
#[test]
fn doctor_sees_a_disk_that_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let said = Command::new("sh")
        .args(["-c", "ulimit -f 0; trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(&binaries().station_cli)
        .args(["doctor", "--format", "json", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(1));
    let out = String::from_utf8(said.stdout).unwrap();
    let sync = out.lines().find(|line| line.contains("\"disk sync\""));
    assert!(sync.unwrap().contains("\"red\""), "{out}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left"
    );
}

#[test]
fn doctor_prints_rules_that_udev_would_read() {
    let said = run(&binaries().station_cli, &["doctor", "--udev"]).ok();
    for rule in ["ID_MM_DEVICE_IGNORE", "uaccess", "latency_timer"] {
        assert!(said.out.contains(rule), "{said:#?}");
    }
    // A rule is a list of KEY op "value", and every line that is no remark is one.
    for line in said.out.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("ACTION") && line.ends_with('"'), "{line}");
        assert_eq!(line.matches('"').count() % 2, 0, "{line}");
    }
}
