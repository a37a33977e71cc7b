//! A small shift with all that goes wrong in one: the station in a terminal, its scanner the only
//! way in. `line-sim shift --units 200` is the large one.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use line_sim::unit::SimUnit;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use crate::binaries::{binaries, children_of, end_of, ends, run, run_within, text_of, until};
use crate::site::{PLAIN, Site, text};
use crate::units::silicon;

/// What the whole shift may take on a busy machine; it takes half a minute on one that is not.
const WITHIN: Duration = Duration::from_secs(240);

#[test]
fn a_shift_loses_nothing_whatever_is_pulled_cut_or_swapped() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shift").display().to_string();
    let arguments = [
        ["--format", "json"],
        ["shift", "--units=20"],
        ["--slots", "4"],
        ["--seed", "5"],
        ["--cut", "12"],
        ["--data", &data],
    ];
    let done = run_within(&binaries().line_sim, arguments.as_flattened(), WITHIN).ok();
    let fact = done.json();
    for none in ["lost", "duplicates", "wrong_labels", "leaks"] {
        assert_eq!(fact[none], json!([]), "{fact}");
    }
    assert_eq!(fact["log_is_clean"], true, "{fact}");
    let order = &fact["order"];
    let zero = ["scrapped", "open", "not_started"].map(|name| order[name].as_u64());
    assert_eq!(
        (order["sealed"].as_u64(), zero),
        (Some(20), [Some(0); 3]),
        "{fact}"
    );
    // The shift went on through the cut.
    assert!(fact["sealed_offline"].as_u64() > Some(0), "{fact}");
    // What did not happen proves nothing.
    for (what, times) in [
        ("power cuts", 2),
        ("network cuts", 1),
        ("leases taken", 1),
        ("paper out", 2),
        ("units left in", 1),
        ("units swapped", 1),
        ("wrong products", 1),
        ("labels swapped", 1),
        ("nonsense scanned", 1),
        ("cables pulled", 2),
    ] {
        assert_eq!(fact["troubles"][what], times, "{what}: {fact}");
    }
    // What the operator saw.
    for (screen, words) in [
        ("same-unit", "SAME UNIT"),
        ("swapped", "E-205"),
        ("wrong-product", "WRONG PRODUCT"),
        ("paper-out", "CHECK PAPER AND PRINTER"),
        ("labels-swapped", "<->"),
        ("offline", " LEFT"),
        ("put-back", "PUT BACK"),
    ] {
        let path = folder.path().join(format!("shift/screens/{screen}.txt"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(words), "no {words} in {screen}:\n{text}");
    }
}

/// A shift that has begun, and every process that it started.
struct Begun {
    shift: Child,
    station: Pid,
    others: Vec<Pid>,
    out: PathBuf,
}

impl Begun {
    fn begin(folder: &Path) -> Begun {
        let [data, out] = ["shift", "out"].map(|name| folder.join(name));
        let shift = Command::new(&binaries().line_sim)
            .args(["--format", "json", "shift", "--units=20", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(folder.join("err")).unwrap())
            .spawn()
            .unwrap();
        let events = data.join("events.jsonl");
        let begun = || std::fs::read_to_string(&events).is_ok_and(|text| text.contains("HELLO"));
        assert!(until(WITHIN, || begun().then_some(())).is_some());
        let socket = format!("birthmark-shift-{}", shift.id());
        let asked = Command::new("tmux")
            .args(["-L", &socket, "display-message", "-p", "#{pid} #{pane_pid}"])
            .output()
            .unwrap();
        let numbers = String::from_utf8(asked.stdout).unwrap();
        let pids = |text: &str| -> Vec<Pid> {
            let numbers = text.split_whitespace().map(|one| one.parse().unwrap());
            numbers.map(|one| Pid::from_raw(one).unwrap()).collect()
        };
        let [terminal, station] = pids(&numbers)[..] else {
            panic!("tmux says {numbers}");
        };
        let mut others = children_of(&shift);
        assert!(!others.is_empty(), "a server");
        others.push(terminal);
        Begun {
            shift,
            station,
            others,
            out,
        }
    }

    /// It ends with this code and nothing that it started stays; gives what it printed.
    fn ends(self, code: i32) -> Value {
        let out = self.out.clone();
        assert_eq!(self.leaves_nothing(), Some(code));
        let fact: Value = serde_json::from_str(&text_of(&out)).unwrap();
        assert!(fact["screen"].is_array(), "{fact}");
        fact
    }

    /// It ends, by itself or by a signal (then without a code), and nothing that it started stays.
    fn leaves_nothing(mut self) -> Option<i32> {
        let code = end_of(&mut self.shift);
        for process in self.others.into_iter().chain([self.station]) {
            assert!(ends(process), "{process:?} runs");
        }
        code
    }
}

#[test]
fn a_shift_that_is_killed_leaves_nothing_behind_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Begun::begin(folder.path());
    kill_process(Pid::from_child(&begun.shift), Signal::KILL).unwrap();
    assert_eq!(begun.leaves_nothing(), None);
}

#[test]
fn a_shift_that_is_told_to_end_leaves_nothing_behind_that_runs() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let folder = tempfile::tempdir().unwrap();
        let begun = Begun::begin(folder.path());
        kill_process(Pid::from_child(&begun.shift), signal).unwrap();
        assert_eq!(begun.ends(code)["broke"], "told to end");
    }
}

#[test]
fn a_line_that_breaks_is_no_mistake_of_who_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Begun::begin(folder.path());
    kill_process(begun.station, Signal::KILL).unwrap();
    let fact = begun.ends(1);
    assert_eq!(fact["broke"], "the station has ended", "{fact}");
}

/// A shift of one slot that a script runs: scans on standard input, events on standard output.
struct Scripted {
    site: Site,
    order: String,
    station: PathBuf,
    child: Child,
    scanner: Option<ChildStdin>,
    unit: SimUnit,
}

impl Scripted {
    /// With the unit in the slot, which these scans begin.
    fn begin(scans: &[u8]) -> Scripted {
        let site = Site::start();
        site.apply(PLAIN).ok();
        let order = site.order("PLUG-1", 2, 2);
        let station = site.station("bench-1");
        let port = site.path("port");
        let slots = format!(
            "[scan]\nserial = \"P-#####\"\nleads = [\"L-1\"]\nqa = [\"Q-1\"]\n\
             [[slot]]\nnumber = 1\npath = \"{}\"\n",
            text(&port)
        );
        std::fs::write(station.join("slots.toml"), slots).unwrap();
        let mut child = Command::new(&binaries().station_cli)
            .args(["run", "--format", "json", "--order", &order, "--data"])
            .arg(&station)
            .stdin(Stdio::piped())
            .stdout(File::create(site.path("logs/out")).unwrap())
            .stderr(File::create(site.path("logs/err")).unwrap())
            .spawn()
            .unwrap();
        let mut scanner = child.stdin.take().unwrap();
        scanner.write_all(scans).unwrap();
        let unit = SimUnit::spawn(silicon(1, "PLUG1", &site.path("units/1.json"))).unwrap();
        symlink(unit.port().unwrap(), &port).unwrap();
        Scripted {
            site,
            order,
            station,
            child,
            scanner: Some(scanner),
            unit,
        }
    }

    fn lines(&self) -> Vec<Value> {
        let text = text_of(&self.site.path("logs/out"));
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    /// The first event of which this is so.
    fn awaits(&self, what: impl Fn(&Value) -> bool) -> Value {
        let found = until(WITHIN, || self.lines().into_iter().find(&what));
        found.unwrap_or_else(|| panic!("{:#?}", self.lines()))
    }

    /// The input ends, and the shift with it; gives its exit code and the site.
    fn ends(mut self) -> (Option<i32>, Vec<Value>, Site) {
        drop(self.scanner.take());
        let code = end_of(&mut self.child);
        let lines = self.lines();
        self.unit.stop().unwrap();
        (code, lines, self.site)
    }
}

#[test]
fn a_shift_is_a_step_inside_a_script() {
    let shift = Scripted::begin(b"P-00001\nB-7\nP-00001\n");
    let result = shift.awaits(|line| line["event"] == "result");
    let order = shift.order.clone();
    let (code, all, site) = shift.ends();
    assert_eq!(code, Some(0), "{}", text_of(&site.path("logs/err")));
    assert_eq!(
        (&result["outcome"], &result["slot"]),
        (&json!("sealed"), &json!(1))
    );
    let scans: Vec<&Value> = all.iter().filter(|line| line["event"] == "scan").collect();
    let said: Vec<_> = scans
        .iter()
        .map(|scan| (&scan["accepted"], &scan["says"]))
        .collect();
    let (yes, no) = (json!(true), json!(false));
    let [first, hello, put] = ["SCAN_BADGE", "HELLO", "PUT_IN_SLOT"].map(|says| json!(says));
    assert_eq!(said, [(&no, &first), (&yes, &hello), (&yes, &put)]);
    assert_eq!(all.last().unwrap()["event"], "end");
    assert_eq!(site.count(&order).sealed, 1);
}

/// The step says at once what the server hears later.
#[test]
fn a_shift_in_which_two_people_scrap_a_unit_without_a_server_ends_with_20() {
    let mut shift = Scripted::begin(b"B-7\nP-00001\n");
    shift.awaits(|line| line["event"] == "result" && line["outcome"] == "sealed");
    shift.site.kill();
    let scanner = shift.scanner.as_mut().unwrap();
    scanner.write_all(b"L-1\nQ-1\nSLOT1\nSCRAP\n").unwrap();
    shift.awaits(|line| line["event"] == "tile" && line["says"] == "SCRAPPED");
    let (order, station) = (shift.order.clone(), shift.station.clone());
    let (code, all, mut site) = shift.ends();
    assert_eq!(code, Some(20), "{all:#?}");
    let end = all.last().unwrap();
    assert_eq!((&end["code"], &end["to_upload"]), (&json!(20), &json!(1)));
    site.serve();
    let sync = ["sync", "--data", &text(&station)];
    run(&binaries().station_cli, &sync).ok();
    assert_eq!(site.count(&order).scrapped, 1);
}

/// A terminal: the scanner's end, and the station's.
fn terminal() -> (File, OwnedFd) {
    let scanner = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&scanner).unwrap();
    unlockpt(&scanner).unwrap();
    let name = ptsname(&scanner, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let station = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    (File::from(scanner), station)
}

/// A foreign code on a housing may hold several lines, or control characters.
#[test]
fn one_code_is_no_lead_gives_no_command_and_ends_no_shift() {
    let site = Site::start();
    site.apply(PLAIN).ok();
    let order = site.order("PLUG-1", 2, 2);
    let station = site.station("bench-1");
    let slots = "[scan]\nserial = \"P-#####\"\nleads = [\"L-1\"]\n\
                 [[slot]]\nnumber = 1\npath = \"/dev/pts/no-slot\"\n";
    std::fs::write(station.join("slots.toml"), slots).unwrap();
    let out = site.path("logs/out");
    let (mut scanner, terminal) = terminal();
    let mut child = Command::new(&binaries().station_cli)
        .args(["run", "--format", "json", "--order", &order, "--data"])
        .arg(&station)
        .stdin(Stdio::from(terminal))
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(site.path("logs/err")).unwrap())
        .spawn()
        .unwrap();
    let events = |event: &str| -> Vec<Value> {
        let text = text_of(&out);
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let all = whole.lines().map(serde_json::from_str);
        let all = all.map(Result::<Value, _>::unwrap);
        all.filter(|line| line["event"] == event).collect()
    };
    // What is typed before it begins is thrown away.
    assert!(until(WITHIN, || (!events("tile").is_empty()).then_some(())).is_some());
    let mut said = Vec::new();
    for (code, count) in [
        ("B-7\r", 1),
        ("P-00001\rL-1\rSLOT1\rCANCEL\r", 4),
        ("\u{3}\r", 0),
        ("L-1\r", 1),
        ("CANCEL\r", 1),
    ] {
        let before = said.len();
        // As one that scans again, however fast: what comes within 40 ms of a scan is of its code. The
        // scan before was read before it was answered, so a busy machine makes it longer, never less.
        let _ = until(Duration::from_millis(50), || None::<()>);
        scanner.write_all(code.as_bytes()).unwrap();
        let all = || {
            let scans = events("scan");
            (scans.len() >= before + count).then_some(scans)
        };
        let scans = until(WITHIN, all).unwrap_or_else(|| panic!("{code:?} is not answered"));
        let scans = scans.iter().map(|scan| scan["says"].clone());
        said = scans.collect();
    }
    let [hello, put, again, slot, lead] =
        ["HELLO", "PUT_IN_SLOT", "SCAN_AGAIN", "SLOT", "LEAD_HERE"].map(|says| json!(says));
    let expected = [&hello, &put, &again, &slot, &again, &lead, &slot];
    assert_eq!(said.iter().collect::<Vec<_>>(), expected);
    // A person presses Ctrl-C alone, and again if nothing happens.
    let ended = until(WITHIN, || {
        scanner.write_all(b"\x03").unwrap();
        until(Duration::from_millis(500), || child.try_wait().unwrap())
    });
    let ended = ended.expect("it ends by hand").code();
    assert_eq!(ended, Some(0), "{}", text_of(&site.path("logs/err")));
    assert_eq!(events("end").len(), 1);
}

#[test]
fn a_shift_that_can_build_nothing_does_not_begin() {
    let site = Site::start();
    site.apply(PLAIN).ok();
    let station = site.station("bench-1");
    let slots = "[scan]\nserial = \"P-#####\"\n[[slot]]\nnumber = 1\npath = \"/dev/pts/no-slot\"\n";
    std::fs::write(station.join("slots.toml"), slots).unwrap();
    let station = text(&station);
    let begin = |order: &str| {
        let start = [
            "run", "--format", "json", "--order", order, "--data", &station,
        ];
        run(&binaries().station_cli, &start)
    };
    let done = begin("NOPE").refused(2, "there is no order NOPE");
    assert_eq!(done.json()["event"], "end");
    let chinese = [
        "run",
        "--language",
        "zh-CN",
        "--order",
        "NOPE",
        "--data",
        &station,
    ];
    let says = "NOPE: \u{6ca1}\u{6709}\u{8fd9}\u{4e2a}\u{5de5}\u{5355}";
    run(&binaries().station_cli, &chinese).refused(2, says);
    let order = site.order("PLUG-1", 2, 2);
    assert_eq!(begin(&order).code, Some(0), "its input has ended");
    site.provisioner(&["order", "close", &order]).ok();
    begin(&order).refused(2, &format!("order {order} is closed"));
    site.provisioner(&["station", "revoke", "bench-1"]).ok();
    begin(&order).refused(30, "STATION");
}

#[test]
fn a_bench_that_cannot_be_used_says_what_to_do() {
    let site = Site::start();
    let station = text(&site.station("bench-1"));
    let start = ["run", "--order", "WO-0001", "--data", &station];
    run(&binaries().station_cli, &start).refused(2, "--slots");
    let slots = "[[slot]]\nnumber = 1\npath = \"/dev/ttyUSB0\"\n";
    std::fs::write(site.path("stations/bench-1/slots.toml"), slots).unwrap();
    run(&binaries().station_cli, &start).refused(2, "/dev/serial/by-path/");
}
