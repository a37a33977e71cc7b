//! What the gate costs: one record beside zxcvbn, in alternating slices of one process; then rows a
//! second of the list door, and the memory it held.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use guess::list::{Column, List, audit};
use guess::{Facts, Verdict, judge};
use zxcvbn::zxcvbn;

#[path = "../tests/strings/mod.rs"]
#[expect(dead_code, reason = "the bench draws random strings only")]
mod strings;

use strings::Strings;

const CROCKFORD: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Slices of each contender; the median is told.
const SLICES: usize = 101;

/// Units of a slice: zxcvbn is given fewer, so that both slices last about as long.
const UNITS: usize = 512;
const UNITS_ZXCVBN: usize = 32;

/// Earlier passwords that the server keeps for an order.
const RECENT: usize = 64;

/// Rows of the lists, and how long the next one may take by the rate of the last.
const ROWS: [usize; 3] = [1_000, 10_000, 100_000];
const LONGEST: Duration = Duration::from_secs(40);

/// One unit as the server meets it.
struct Unit {
    serial: String,
    id: String,
    macs: [String; 2],
    password: String,
}

fn units(count: usize) -> Vec<Unit> {
    let mut random = Strings::new(7);
    let mut unit = |nth: usize| {
        let base = random.next() >> 16;
        Unit {
            serial: format!("BM-{:08}", 20_000_000 + nth),
            id: format!("{:016x}{:016x}", random.next(), random.next()),
            macs: [base, base + 1].map(|mac| format!("{mac:012X}")),
            password: random.random(CROCKFORD, 12),
        }
    };
    (0..count).map(&mut unit).collect()
}

fn main() {
    let units = units(UNITS + RECENT);
    let start = Instant::now();
    black_box(of_gate(&units, 1));
    println!("first verdict, dictionary and all: {:.1?}", start.elapsed());

    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..SLICES {
        let contenders: [(&dyn Fn() -> usize, usize); 3] = [
            (&|| of_gate(&units, UNITS), UNITS),
            (&|| of_zxcvbn(&units, true), UNITS_ZXCVBN),
            (&|| of_zxcvbn(&units, false), UNITS_ZXCVBN),
        ];
        for ((contender, units), times) in contenders.into_iter().zip(&mut times) {
            let start = on_processor();
            black_box(contender());
            times.push((on_processor() - start) / units as f64);
        }
    }
    let [gate, told, untold] = times.map(median);
    println!("12 random symbols, medians of {SLICES} alternating slices of processor time");
    println!("gate                    {:9.0} ns", gate * 1e9);
    for (name, time) in [("the same facts", told), ("no facts", untold)] {
        println!(
            "zxcvbn, {name:<14}  {:9.0} ns  ratio {:.1}",
            time * 1e9,
            time / gate
        );
    }
    println!("resident {}", resident());
    lists();
}

/// Judges units as the server does: folded, with the facts of the call and the passwords before.
fn of_gate(units: &[Unit], count: usize) -> usize {
    let recent: Vec<&[u8]> = units.iter().map(|unit| unit.password.as_bytes()).collect();
    let passes = |(nth, unit): &(usize, &Unit)| {
        let macs: Vec<String> = unit.macs.iter().map(ToString::to_string).collect();
        let facts = Facts {
            serial: &unit.serial,
            device_id: &unit.id,
            macs: &macs,
            model: "KETTLE-9000",
            ssid: Some("HomeHub-7QX2"),
            public: &["KET-9000-UK", "Kettle nine thousand"],
        };
        let folded = fold(&unit.password);
        judge(&folded, &facts, &recent[*nth..nth + RECENT]) == Verdict::Pass
    };
    let judged = units[RECENT..].iter().take(count).enumerate();
    judged.filter(passes).count()
}

/// As a password is handed over: capitals, O as 0, I and L as 1.
fn fold(password: &str) -> Vec<u8> {
    let symbols = password.bytes().filter(|symbol| *symbol != b'-');
    let alike = symbols.map(|symbol| match symbol.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    });
    alike.collect()
}

fn of_zxcvbn(units: &[Unit], told: bool) -> usize {
    let strong = |unit: &&Unit| {
        let facts = [
            &unit.serial,
            &unit.id,
            &unit.macs[0],
            &unit.macs[1],
            "KETTLE-9000",
            "HomeHub-7QX2",
            "KET-9000-UK",
            "Kettle nine thousand",
        ];
        let facts = if told { &facts[..] } else { &[] };
        zxcvbn(&unit.password, facts).score() >= zxcvbn::Score::Three
    };
    let judged = units[RECENT..].iter().take(UNITS_ZXCVBN);
    judged.filter(strong).count()
}

/// Seconds this thread has run on a processor, so that others on a busy machine do not count;
/// where the system does not tell, seconds.
fn on_processor() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = told
        .split(' ')
        .next()
        .and_then(|first| first.parse::<f64>().ok());
    first.map_or_else(
        || START.elapsed().as_secs_f64(),
        |nanoseconds| nanoseconds / 1e9,
    )
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Lists of fair passwords, which every detector has to look through to the end.
fn lists() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut per_row = Duration::ZERO;
    for rows in ROWS {
        if per_row * rows as u32 > LONGEST {
            println!("list of {rows:>7} rows: left out, at this rate over {LONGEST:?}");
            continue;
        }
        let columns = [Column::Serial, Column::Mac, Column::Password];
        let mut list = List::new(&columns);
        for unit in units(rows) {
            list.push(&[
                (Column::Serial, unit.serial.as_bytes()),
                (Column::Mac, unit.macs[0].as_bytes()),
                (Column::Password, unit.password.as_bytes()),
            ]);
        }
        let mut random = Strings::new(11);
        let mut fill = |out: &mut [u8]| out.fill_with(|| random.next() as u8);
        let start = Instant::now();
        let report = audit(&list, 48, &mut fill, threads, &|_| {});
        let time = start.elapsed();
        per_row = time / rows as u32;
        println!(
            "list of {rows:>7} rows: {:>9.0} rows/s, {:.2?} on {threads} threads, {} findings, \
             resident {}",
            rows as f64 / time.as_secs_f64(),
            time,
            report.findings.len(),
            resident()
        );
    }
}

/// What the process holds in memory, where the system tells.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or("unknown", str::trim).to_owned()
}
