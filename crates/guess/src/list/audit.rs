//! Runs the detectors, and holds what they find against control lists before it is said.
//!
//! A refusal that random passwords of the same shape show as well, or that survives shuffling the
//! passwords over the units though it names the unit, is none: it is withdrawn, with all of its kind,
//! and said to be. Notes accuse nobody and are not held against controls.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::detect::{Detector, Link, all, small};
use super::parts::{Part, limits, parts};
use super::report::{Class, Finding, Report, Severity, Withdrawn};
use super::shape::Shape;
use super::table::Table;
use super::{Cells, List, alone, units};
use crate::Clause;

/// Control lists for each detector that found something.
const CONTROLS: usize = 20;

/// Shuffled lists for each detector whose finding hangs on the unit.
const SHUFFLES: usize = 4;

/// Control and shuffled lists for the detectors whose searches take seconds whatever the list's
/// length. Their chances are counted search by search, so the controls only guard against our own
/// mistakes.
const SEARCH_CONTROLS: usize = 3;

/// Rows under which a shuffle leaves too many passwords where they were to say anything.
const SHUFFLED_ROWS: usize = 8;

/// Rows of a control list; thresholds are for any number of rows, so fewer serve as well.
const CONTROL_ROWS: usize = 2_000;

/// How far an audit is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Looks taken.
    pub done: usize,
    /// Looks to take, as far as is known now.
    pub of: usize,
    /// The detector that looked last.
    pub at: &'static str,
}

/// Judges a list. `floor_bits` is the strength under which a list is a [`Severity::Policy`]
/// finding; `random` fills with random bytes for the controls; `threads` detectors look at once.
pub fn audit(
    list: &List,
    floor_bits: u32,
    random: &mut dyn FnMut(&mut [u8]),
    threads: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Report {
    audit_with(&all(), list, floor_bits, random, threads, progress)
}

/// As [`audit`], by those detectors alone whose name is wanted. What they refuse, all of them
/// together refuse as well: a measurement can stop there.
#[doc(hidden)]
pub fn audit_by(
    wanted: &dyn Fn(&str) -> bool,
    list: &List,
    floor_bits: u32,
    random: &mut dyn FnMut(&mut [u8]),
) -> Report {
    let mut detectors = all();
    detectors.retain(|detector| wanted(detector.name));
    audit_with(&detectors, list, floor_bits, random, 1, &|_| ())
}

fn audit_with(
    detectors: &[Detector],
    list: &List,
    floor_bits: u32,
    random: &mut dyn FnMut(&mut [u8]),
    threads: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Report {
    let mut seed = [0; 8];
    random(&mut seed);
    let table = Table::whole(list).seeded(u64::from_le_bytes(seed));
    let parts = parts(&table);
    let hands = Hands {
        threads,
        progress,
        done: AtomicUsize::new(0),
    };
    let looks = looks(&parts, detectors);
    let suspects = suspects(&looks, &hands);
    let spoke = controls_speak(&parts, &suspects, looks.len(), &hands, random);
    let (mut findings, withdrawn) = sort_out(suspects, &spoke);
    let alone = alone::look(&table);
    findings.extend(alone);
    let bits = small::bits(&table);
    if !list.is_empty() && bits < f64::from(floor_bits) {
        findings.push(under_floor(list.len(), bits, floor_bits));
    }
    let facts = units::count(&table, bits);
    findings.extend(facts.shared);
    let mut report = Report {
        rows: list.len(),
        units: facts.units,
        passwords: facts.passwords,
        limits: limits(&table, &parts, &facts.ambiguous),
        bits,
        findings,
        withdrawn,
    };
    report.sort();
    report
}

/// Who looks, and who is told.
struct Hands<'a> {
    threads: usize,
    progress: &'a (dyn Fn(Progress) + Sync),
    done: AtomicUsize,
}

impl Hands<'_> {
    fn looked(&self, of: usize, at: &'static str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        (self.progress)(Progress { done, of, at });
    }
}

/// A detector that found something in a part.
struct Suspect<'a> {
    detector: &'a Detector,
    part: &'a Part<'a>,
    found: Vec<Finding>,
}

/// Who looks at what.
fn looks<'a>(
    parts: &'a [Part<'a>],
    detectors: &'a [Detector],
) -> Vec<(&'a Detector, &'a Part<'a>)> {
    let of_part = |part: &'a Part<'a>| {
        let again = part.number == 0 && parts.iter().any(|part| part.most_common);
        let wanted = move |it: &&Detector| !(again && it.one_length);
        detectors.iter().filter(wanted).map(move |it| (it, part))
    };
    parts.iter().flat_map(of_part).collect()
}

fn suspects<'a>(looks: &[(&'a Detector, &'a Part<'a>)], hands: &Hands<'_>) -> Vec<Suspect<'a>> {
    let found = in_parallel(looks, hands.threads, |(detector, part)| {
        let found = (detector.look)(&part.table);
        hands.looked(looks.len(), detector.name);
        found
    });
    let suspect = |(&(detector, part), found): (&(&'a Detector, &'a Part<'a>), _)| Suspect {
        detector,
        part,
        found,
    };
    let suspects = looks.iter().zip(found).map(suspect);
    suspects.filter(|it| !it.found.is_empty()).collect()
}

/// What a control list said: against which suspect, of which kind of finding, and what it means.
type Spoke = (usize, Vec<Key>, &'static str);

/// Lets every suspect look at control lists. They are drawn before the threads start: randomness is
/// the caller's, one at a time.
fn controls_speak(
    parts: &[Part<'_>],
    suspects: &[Suspect<'_>],
    looks: usize,
    hands: &Hands<'_>,
    random: &mut dyn FnMut(&mut [u8]),
) -> Vec<Spoke> {
    let refuses = |it: &Suspect<'_>| it.found.iter().any(|it| it.severity == Severity::Refused);
    let mut controls = Vec::with_capacity(parts.len());
    for part in parts {
        let of_part = |it: &&Suspect<'_>| it.part.number == part.number;
        controls.push(match suspects.iter().filter(of_part).any(refuses) {
            true => Controls::draw(&part.table, random),
            false => Controls::default(),
        });
    }
    let asked: Vec<(usize, &Table<'_>, &'static str)> = suspects
        .iter()
        .enumerate()
        .filter(|(_, suspect)| refuses(suspect))
        .flat_map(|(number, suspect)| {
            let controls = controls[suspect.part.number].of(suspect.detector);
            controls
                .into_iter()
                .map(move |(table, because)| (number, table, because))
        })
        .collect();
    let of = looks + asked.len();
    in_parallel(&asked, hands.threads, |(number, table, because)| {
        let detector = suspects[*number].detector;
        let against = (detector.look)(table).into_iter();
        let against = against.filter(|finding| finding.severity == Severity::Refused);
        let against: Vec<Key> = against.map(|finding| key(&finding)).collect();
        hands.looked(of, detector.name);
        (*number, against, *because)
    })
}

/// What is held, and what is withdrawn.
fn sort_out(suspects: Vec<Suspect<'_>>, spoke: &[Spoke]) -> (Vec<Finding>, Vec<Withdrawn>) {
    let (mut findings, mut withdrawn) = (vec![], vec![]);
    for (number, suspect) in suspects.into_iter().enumerate() {
        for mut finding in suspect.found {
            let speaks =
                |(other, against, _): &&Spoke| *other == number && against.contains(&key(&finding));
            let against = spoke.iter().find(speaks).map(|(_, _, because)| *because);
            finding.evidence = format!("{}{}", suspect.part.says, finding.evidence);
            match against {
                Some(because) if finding.severity == Severity::Refused => {
                    withdrawn.push(Withdrawn { finding, because });
                }
                _ => findings.push(finding),
            }
        }
    }
    (findings, withdrawn)
}

/// What a control must show for a finding to be withdrawn: the same kind of finding.
type Key = (&'static str, Clause, Class);

fn key(finding: &Finding) -> Key {
    (finding.detector, finding.clause, finding.class)
}

fn under_floor(rows: usize, bits: f64, floor_bits: u32) -> Finding {
    Finding {
        severity: Severity::Policy,
        class: Class::Small,
        detector: "strength",
        clause: Clause::Guessable,
        rows,
        examples: vec![],
        evidence: format!(
            "at most {:.1} bits each, under the floor of {floor_bits}",
            (bits * 10.0).floor() / 10.0 // as a report's own line says it
        ),
        chance_log10: 0.0,
    }
}

/// Lists on which a detector must be silent.
#[derive(Default)]
struct Controls<'a> {
    random: Vec<Table<'a>>,
    shuffled: Vec<Table<'a>>,
}

impl<'a> Controls<'a> {
    fn draw(table: &Table<'a>, random: &mut dyn FnMut(&mut [u8])) -> Controls<'a> {
        let table = table.sample(CONTROL_ROWS);
        let shape = Shape::of(&table);
        Controls {
            random: (0..CONTROLS)
                .map(|_| table.with_passwords(drawn(&table, &shape, random)))
                .collect(),
            shuffled: (0..SHUFFLES)
                .filter(|_| table.len() >= SHUFFLED_ROWS)
                .map(|_| table.with_order(&shuffled(table.len(), random)))
                .collect(),
        }
    }

    /// The lists on which a detector must be silent, each with what it would mean if it were not.
    fn of(&self, detector: &Detector) -> Vec<(&Table<'a>, &'static str)> {
        let most = |all: usize| match detector.searches {
            true => SEARCH_CONTROLS.min(all),
            false => all,
        };
        let random = self.random.iter().take(most(CONTROLS));
        let random = random.map(|it| (it, "random passwords of the same shape show it as well"));
        let shuffles = match detector.hangs_on {
            Link::Units => most(SHUFFLES),
            Link::Passwords => 0,
        };
        let shuffled = self.shuffled.iter().take(shuffles);
        let still = "it is still there when the passwords are shuffled over the units";
        random.chain(shuffled.map(|it| (it, still))).collect()
    }
}

/// Random passwords of the table's shape: every symbol is drawn anew from the alphabet, separators
/// and lengths stay.
fn drawn(table: &Table<'_>, shape: &Shape, random: &mut dyn FnMut(&mut [u8])) -> Cells {
    let mut cells = Cells::default();
    for row in 0..table.len() {
        let own = table.password(row);
        let mut password = Vec::with_capacity(own.len());
        for (place, &byte) in own.iter().enumerate() {
            if own.len() == shape.length && shape.separators.contains(&place) {
                password.push(byte);
            } else {
                password.push(shape.alphabet[below(shape.alphabet.len(), random)]);
            }
        }
        cells.push(&password);
    }
    cells
}

/// A permutation (Fisher and Yates), in which no unit keeps its own password or a neighbour's: one
/// row alone may prove that a list is derived, and columns may have slipped by a row.
fn shuffled(rows: usize, random: &mut dyn FnMut(&mut [u8])) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows as u32).collect();
    for last in (1..rows).rev() {
        order.swap(last, below(last + 1, random));
    }
    let near = |row: usize, password: u32| row.abs_diff(password as usize) < 2;
    for row in 0..rows {
        // Few are near, and for each nearly every row will do to change with.
        for _ in 0..100 {
            if !near(row, order[row]) {
                break;
            }
            let other = below(rows, random);
            if !near(other, order[row]) && !near(row, order[other]) {
                order.swap(row, other);
            }
        }
    }
    order
}

/// A number under `bound`, by rejection; `bound` is not 0.
fn below(bound: usize, random: &mut dyn FnMut(&mut [u8])) -> usize {
    let bound = bound as u64;
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0; 8];
        random(&mut bytes);
        let value = u64::from_le_bytes(bytes);
        if value < fair {
            return (value % bound) as usize;
        }
    }
}

/// log10 of an upper bound on the chance of `hits` or more where `expected` are expected: Chernoff's
/// for a Poisson, e^-m (e m / x)^x.
pub(crate) fn poisson_log10(expected: f64, hits: usize) -> f64 {
    let hits = hits as f64;
    if hits <= expected {
        return 0.0;
    }
    ((hits - expected) - hits * (hits / expected).ln()) / std::f64::consts::LN_10
}

/// `work` on every item, several at once; answers in the items' order.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, 64) {
            scope.spawn(|| {
                loop {
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    let Some(given) = items.get(item) else { break };
                    let answer = work(given);
                    let mut answers = answers.lock().unwrap_or_else(|e| e.into_inner());
                    answers.push((item, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(|e| e.into_inner());
    answers.sort_by_key(|(item, _)| *item);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Column;

    /// 40 units whose password ends in the last digit of their serial.
    fn list() -> List {
        let mut list = List::new(&[Column::Serial]);
        for unit in 0..40u32 {
            let drawn = unit.wrapping_mul(0x9e37_79b9).rotate_left(13) % 10_000_000;
            let (serial, password) = (format!("BM-{unit:04}"), format!("{drawn:07}{}", unit % 10));
            list.push(&[
                (Column::Serial, serial.as_bytes()),
                (Column::Password, password.as_bytes()),
            ]);
        }
        list
    }

    fn refused(evidence: &str, rows: usize) -> Vec<Finding> {
        vec![Finding {
            severity: Severity::Refused,
            class: Class::Verbatim,
            detector: "test",
            clause: Clause::Identifier,
            rows,
            examples: vec![],
            evidence: evidence.to_owned(),
            chance_log10: -12.0,
        }]
    }

    fn always(table: &Table<'_>) -> Vec<Finding> {
        refused("always", table.len())
    }

    /// Sees what all passwords end in, whoever has them.
    fn digits(table: &Table<'_>) -> Vec<Finding> {
        let last = |row: usize| table.password(row).last().copied();
        let mut counts = [0; 10];
        for row in 0..table.len() {
            counts[usize::from(last(row).unwrap_or(b'0') - b'0')] += 1;
        }
        match counts.iter().all(|count| *count == 4) {
            true => refused("every digit four times", table.len()),
            false => vec![],
        }
    }

    fn serial(table: &Table<'_>) -> Vec<Finding> {
        let same =
            |&row: &usize| table.password(row).last() == table.cell(Column::Serial, row).last();
        let rows = (0..table.len()).filter(same).count();
        match rows > 30 {
            true => refused("last digit of the serial", rows),
            false => vec![],
        }
    }

    #[track_caller]
    fn check(hangs_on: Link, look: fn(&Table<'_>) -> Vec<Finding>, expected: &str) {
        let detector = Detector {
            name: "test",
            hangs_on,
            searches: false,
            one_length: false,
            look,
        };
        let report = audit_with(&[detector], &list(), 0, &mut random(), 2, &|_| {});
        let held = report.findings.iter().map(|it| it.evidence.clone());
        let withdrawn = report.withdrawn.iter().map(|it| it.because.to_owned());
        let told: Vec<String> = held.chain(withdrawn).collect();
        assert_eq!(told, [expected]);
    }

    fn random() -> impl FnMut(&mut [u8]) {
        let mut state = 7u64;
        move |out| {
            for byte in out {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                *byte = (state >> 56) as u8;
            }
        }
    }

    /// Says which rows it was shown of the most common length, and how many in all.
    fn shown(table: &Table<'_>) -> Vec<Finding> {
        let mut lengths = std::collections::BTreeMap::new();
        for row in 0..table.len() {
            *lengths.entry(table.password(row).len()).or_insert(0) += 1;
        }
        let most = lengths
            .iter()
            .max_by_key(|&(&length, &count)| (count, length));
        let (length, rows) = most.map_or((0, 0), |(&length, &rows)| (length, rows));
        refused(&format!("{rows} of length {length}"), table.len())
    }

    #[track_caller]
    fn looked(passwords: &[&str], expected: &[&str]) {
        let detector = Detector {
            name: "test",
            hangs_on: Link::Passwords,
            searches: false,
            one_length: true,
            look: shown,
        };
        let mut list = List::new(&[]);
        for password in passwords {
            list.push(&[(Column::Password, password.as_bytes())]);
        }
        let table = Table::whole(&list).seeded(1);
        let (parts, detectors) = (parts(&table), [detector]);
        let looks = looks(&parts, &detectors);
        let seen = looks.iter().flat_map(|(it, part)| (it.look)(&part.table));
        let seen: Vec<String> = seen.map(|it| it.evidence).collect();
        assert_eq!(seen, expected);
    }

    /// A look at the whole list is spared only where a part is the same rows.
    #[test]
    fn no_row_goes_unseen_because_a_list_is_cut() {
        let (six, eight) = (["K7QDM2"; 20], ["K7QDM2X9"; 12]);
        looked(&six, &["20 of length 6"]);
        let both = [&six[..], &eight[..]].concat();
        looked(&both, &["20 of length 6", "12 of length 8"]);
        // Two rows hold what the alphabet of the others does not.
        let odd = [&["K7QD M"; 18][..], &["k7+d/m"; 2][..]].concat();
        looked(&odd, &["20 of length 6", "18 of length 6"]);
        // As many of four lengths: the longest, which a look at the whole took, is among the parts.
        let four = ["K7QDM", "K7QDM2", "K7QDM2X", "K7QDM2X9"].map(|it| [it; 10]);
        let seen = ["10 of length 8", "10 of length 7", "10 of length 6"];
        looked(&four.concat(), &seen);
    }

    #[test]
    fn a_finding_that_controls_show_as_well_is_withdrawn() {
        let random = "random passwords of the same shape show it as well";
        check(Link::Passwords, always, random);
        let shuffled = "it is still there when the passwords are shuffled over the units";
        check(Link::Units, digits, shuffled);
    }

    #[test]
    fn a_finding_that_no_control_shows_is_held() {
        check(Link::Passwords, digits, "every digit four times");
        check(Link::Units, serial, "last digit of the serial");
    }
}
